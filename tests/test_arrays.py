"""Batches of arrays and npz files."""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ris_gym import arrays
from ris_gym.arrays import Batch, load_npz, save_npz


@dataclass(frozen=True, kw_only=True)
class Record(Batch):
    channel: Any
    level: Any
    side: Any
    estimate: Any = None
    margins: dict[str, Any] | None = None


def record(batch: int = 4, seed: int = 0) -> Record:
    rng = np.random.default_rng(seed)
    return Record(
        channel=rng.standard_normal((batch, 2, 3)) + 1j,
        level=rng.standard_normal(batch),
        side=rng.integers(0, 2, (batch, 3)),
        margins={"sinr": rng.standard_normal((batch, 2)), "rate": rng.standard_normal((batch, 1))},
    )


def same(a: Batch, b: Batch) -> bool:
    ours, theirs = dict(a.items()), dict(b.items())
    return ours.keys() == theirs.keys() and all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_items_and_length() -> None:
    batch = record()
    assert [name for name, _ in batch.items()] == ["channel", "level", "side", "margins/sinr", "margins/rate"]
    assert len(batch) == 4 and len(record(0)) == 0


@pytest.mark.parametrize(
    "index",
    [slice(1, 3), slice(None, None, -1), np.array([2, 0, 2]), np.array([True, False, False, True]), [3, 1], slice(0, 0)],
    ids=repr,
)
def test_index(index: Any) -> None:
    batch = record()
    chosen = batch[index]
    assert isinstance(chosen, Record) and chosen.estimate is None
    for (name, array), (_, whole) in zip(chosen.items(), batch.items(), strict=True):
        assert np.array_equal(array, whole[index]), name


@pytest.mark.parametrize("i", [0, 3, -1, -4, np.int64(2)])
def test_an_integer_keeps_the_axis(i: int) -> None:
    batch = record()
    assert len(batch[i]) == 1 and np.array_equal(batch[i].channel[0], batch.channel[i])


@pytest.mark.parametrize("i", [4, -5])
def test_out_of_range(i: int) -> None:
    with pytest.raises(IndexError, match=f"index {i} is out of range for a batch of 4"):
        record()[i]


def test_iteration_and_concatenation() -> None:
    batch = record()
    parts = list(batch)
    assert len(parts) == 4 and same(Record.concatenate(parts), batch)
    assert same(Record.concatenate([batch[:1], batch[1:1], batch[1:]]), batch)
    with pytest.raises(ValueError, match="at least one batch"):
        Record.concatenate([])
    with pytest.raises(ValueError, match="batches hold different arrays"):
        Record.concatenate([batch, batch.replace(estimate=batch.channel)])


def test_put() -> None:
    batch, other = record(), record(2, seed=1)
    mask = np.array([False, True, False, True])
    out = batch.put(mask, other)
    assert same(out[mask], other) and same(out[~mask], batch[~mask]) and same(batch, record())
    narrow = batch.astype("complex64").put(np.array([1, 3]), other)
    assert narrow.channel.dtype == np.complex64 and narrow.level.dtype == np.float32 and narrow.side.dtype == batch.side.dtype
    assert not np.shares_memory(out.level, batch.level)
    with pytest.raises(ValueError, match="batches hold different arrays"):
        batch.put(mask, other.replace(margins=None))


def test_astype() -> None:
    single = record().astype("complex64")
    assert {array.dtype for _, array in single.items()} == {np.dtype(t) for t in (np.complex64, np.float32, np.int64)}
    assert same(single.astype("complex128").astype("complex64"), single)
    with pytest.raises(ValueError, match="dtype must be 'complex64' or 'complex128', got 'float32'"):
        record().astype("float32")


def test_frozen_and_replace() -> None:
    batch = record()
    with pytest.raises(AttributeError):
        batch.level = None  # type: ignore[misc]
    assert batch.replace(level=None).level is None and batch.level is not None
    assert same(pickle.loads(pickle.dumps(batch)), batch)


def test_torch() -> None:
    import torch

    batch = record()
    tensors = batch.to_torch()
    assert isinstance(tensors.margins["sinr"], torch.Tensor) and same(tensors.to_numpy(), batch)
    assert tensors.level.data_ptr() == batch.level.ctypes.data, "shares memory"
    assert same(tensors[1:3].to_numpy(), batch[1:3]) and len(tensors) == 4
    joined = Record.concatenate([tensors[:2], tensors[2:]])
    assert same(joined.to_numpy(), batch)
    grown = tensors.map(lambda t: t.clone().requires_grad_() if t.is_floating_point() else t)
    assert same(grown.to_numpy(), batch)
    sliced = batch.map(lambda a: a[::-1]).to_torch().to_numpy()
    assert np.array_equal(sliced.level, batch.level[::-1])


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_helpers_agree_between_libraries(dtype: str) -> None:
    import torch

    z = record().astype(dtype).channel
    t = torch.as_tensor(z)
    for function in (arrays.herm, arrays.abs2):
        assert np.allclose(function(arrays.namespace(t), t).numpy(), function(arrays.namespace(z), z))
    xp, tp = arrays.namespace(z, None), arrays.namespace(None, t)
    assert arrays.cis(tp, tp.real(t)).numpy().dtype == arrays.cis(xp, z.real).dtype == np.dtype(dtype)
    assert np.allclose(arrays.cis(tp, tp.real(t)).numpy(), np.exp(1j * z.real), atol=1e-6)
    for value in (np.arange(3.0), 1j * np.arange(3.0), np.broadcast_to(np.arange(3.0), (2, 3))):
        a, b = arrays.constant(xp, value, z), arrays.constant(tp, value, t).numpy()
        assert np.array_equal(a, b) and np.iscomplexobj(b) == np.iscomplexobj(value)
        assert a.dtype == b.dtype and a.itemsize == z.itemsize // (1 if np.iscomplexobj(value) else 2)


# -- npz ------------------------------------------------------------------------------------------------------------------------


def test_npz_round_trip(tmp_path: Path) -> None:
    held = {"a": np.arange(6.0).reshape(2, 3), "b.c": np.array([1 + 2j])}
    path = tmp_path / "new" / "folder" / "file.npz"
    save_npz(path, held, {"x": [1, "two", None]})
    got, meta = load_npz(str(path))
    assert meta == {"x": [1, "two", None]} and got.keys() == held.keys()
    assert all(np.array_equal(got[name], held[name]) and got[name].dtype == held[name].dtype for name in held)
    assert os.listdir(path.parent) == ["file.npz"], "no temporary file stays"


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.npz"
    save_npz(path, {"a": np.zeros(3)}, {})
    before = path.read_bytes()

    class Broken:
        def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
            raise RuntimeError("out of luck")

    with pytest.raises(RuntimeError, match="out of luck"):
        save_npz(path, {"a": np.ones(3), "b": Broken()}, {})  # type: ignore[dict-item]
    with pytest.raises(TypeError):
        save_npz(path, {"a": np.ones(3)}, {"x": object()})
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["file.npz"]


class Bomb:
    def __reduce__(self) -> Any:
        return (os.mkdir, ("exploded",))


def test_never_unpickles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("objects.npz", a=np.array([Bomb()], dtype=object))
    Path("plain.npz").write_bytes(pickle.dumps(Bomb()))
    np.save("array.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    for name in ("objects.npz", "plain.npz", "array.npy"):
        with pytest.raises(ValueError, match=f"'{name}' cannot be read"):
            load_npz(name)
    assert not Path("exploded").exists()


def test_broken_files(tmp_path: Path) -> None:
    good = tmp_path / "good.npz"
    save_npz(good, {"a": np.arange(1000.0)}, {"x": 1})
    content = good.read_bytes()
    broken = tmp_path / "broken.npz"
    for data in (b"", b"not an archive", content[: len(content) // 2], content[:60] + b"\x00" * 40 + content[100:]):
        broken.write_bytes(data)
        with pytest.raises(ValueError, match=r"broken\.npz' cannot be read as an npz of plain arrays"):
            load_npz(broken)
        assert broken.read_bytes() == data
    with pytest.raises(ValueError, match=r"missing\.npz' cannot be read"):
        load_npz(tmp_path / "missing.npz")
    with pytest.raises(ValueError, match="cannot be read"):
        load_npz(tmp_path)
    np.save(tmp_path / "bare.npy", np.zeros(3))
    with pytest.raises(ValueError, match="bare array"):
        load_npz(tmp_path / "bare.npy")
    np.savez(tmp_path / "meta.npz", meta=np.array("[1]"), a=np.zeros(1))
    with pytest.raises(ValueError, match="not a JSON object"):
        load_npz(tmp_path / "meta.npz")
    np.savez(tmp_path / "bare.npz", a=np.zeros(1))
    assert load_npz(tmp_path / "bare.npz")[1] == {}
