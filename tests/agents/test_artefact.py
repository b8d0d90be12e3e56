from __future__ import annotations

import dataclasses
import io
import json
import os
import pickle
import threading
import time
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents import artefact


def example(**changes: Any) -> artefact.Artefact:
    values: dict[str, Any] = {
        "network": {"kind": "flat", "hidden": 4},
        "system": {"system": "beampattern"},
        "env": {"id": "ris_gym/Beampattern-v0", "kwargs": {}},
        "interface": {"variables": []},
        "weights": {"actor.w": np.arange(6.0).reshape(2, 3), "log_std": np.zeros(3, np.float32)},
        "training": {"curve": [{"steps": 1.0}]},
    }
    return artefact.Artefact(**(values | changes))


def test_round_trip(tmp_path: Path) -> None:
    artefact.write(tmp_path / "run" / "agent", example())
    found = artefact.read(tmp_path / "run")
    assert found.network == example().network and found.training == example().training
    assert "torch" in found.versions and "numpy" in found.versions
    for name, array in example().weights.items():
        assert found.weights[name].dtype == array.dtype
        np.testing.assert_array_equal(found.weights[name], array)
    assert artefact.is_artefact(tmp_path / "run") and not artefact.is_artefact(tmp_path)


def test_overwriting_is_whole(tmp_path: Path) -> None:
    artefact.write(tmp_path / "a", example())
    artefact.write(tmp_path / "a", example(weights={"actor.w": np.ones(2)}))
    assert list(artefact.read(tmp_path / "a").weights) == ["actor.w"]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_other_folders_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("x")
    with pytest.raises(ValueError, match="path .*thesis.* holds no agent"):
        artefact.write(tmp_path / "thesis", example())
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter.tex"]


class Bomb:
    def __reduce__(self) -> Any:
        return (pytest.fail, ("unpickled",))


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    folder = artefact.write(tmp_path / "a", example())
    np.savez(folder / "weights.npz", **{"actor.w": np.array([Bomb()], dtype=object)})
    with pytest.raises(ValueError, match="weights.npz"):
        artefact.read(folder)
    (folder / "weights.npz").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match="weights.npz"):
        artefact.read(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(format="other"), "not an agent of ris_gym"),
        (lambda d: d.update(format_version=99), r"agent\.json: written by a newer version of ris_gym .*update ris_gym"),
        (lambda d: d.update(format_version="2"), "format_version '2' is not one of"),
        (lambda d: d.pop("format_version"), "format_version None is not one of"),
        (lambda d: d["training"].update(seed=1), "changed or damaged"),
        (lambda d: d.pop("sha256"), "changed or damaged"),
        (lambda d: d.pop("network"), "'network' is missing"),
        (lambda d: d.update(system=[1]), "'system' is missing or not an object"),
        (lambda d: d.update(weights_sha256="0"), "hash differs"),
    ],
)
def test_damage_is_described(tmp_path: Path, change: Any, message: str) -> None:
    folder = artefact.write(tmp_path / "a", example())
    description = json.loads((folder / "agent.json").read_text())
    change(description)
    (folder / "agent.json").write_text(json.dumps(description))
    with pytest.raises(ValueError, match=message):
        artefact.read(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000])
def test_broken_json(tmp_path: Path, content: bytes) -> None:
    folder = artefact.write(tmp_path / "a", example())
    (folder / "agent.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"agent\.json"):
        artefact.read(folder)


def test_weights_that_are_not_numbers(tmp_path: Path) -> None:
    folder = artefact.write(tmp_path / "a", example())
    np.savez(folder / "weights.npz", **{"actor.w": np.array([np.nan])})
    with pytest.raises(ValueError, match="finite numbers"):
        artefact.read(folder)


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such folder"):
        artefact.read(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="holds no agent"):
        artefact.read(tmp_path)


def test_equal_agents_have_equal_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = artefact.write(tmp_path / "a", example())
    later = time.time() + 1e6
    monkeypatch.setattr(time, "time", lambda: later)
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(later))
    second = artefact.write(tmp_path / "b", example())
    for name in ("agent.json", "weights.npz"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_the_first_format_is_still_read(tmp_path: Path) -> None:
    folder = artefact.write(tmp_path / "a", example())
    description = json.loads((folder / "agent.json").read_text())
    del description["sha256"]
    description["format_version"] = 1
    (folder / "agent.json").write_text(json.dumps(description))
    assert artefact.read(folder).network == example().network


@pytest.mark.parametrize("name", ["agent.json", "weights.npz"])
def test_no_flipped_or_missing_byte_goes_unnoticed(tmp_path: Path, name: str) -> None:
    """Every byte of a small file in turn; a changed byte must raise an error that names the file, or change nothing that is read
    (letters of a key that nobody reads, the padding of the archive)."""
    folder = artefact.write(tmp_path / "a", example(versions={"numpy": "2"}))
    whole, before = (folder / name).read_bytes(), artefact.read(folder)
    unnoticed = []
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << (position % 8)
        (folder / name).write_bytes(bytes(damaged))
        try:
            found = artefact.read(folder)
        except ValueError as error:
            assert str(folder) in str(error)
            continue
        unnoticed.append(position)
        for field in dataclasses.fields(found):
            if field.name != "weights":
                assert getattr(found, field.name) == getattr(before, field.name), (position, whole[position - 20 : position + 20])
        assert found.weights.keys() == before.weights.keys()
        assert all(np.array_equal(found.weights[key], array) for key, array in before.weights.items())
    assert len(unnoticed) < 0.25 * len(whole)  # dates, attributes and the padding of headers in the archive; blanks in the JSON
    for length in range(0, len(whole) - 1, 7):
        (folder / name).write_bytes(whole[:length])
        with pytest.raises(ValueError, match=name):
            artefact.read(folder)


def _archive(path: Path, entries: list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", compression) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # equal names
        for name, data in entries:
            file.writestr(name, data)


def _npy(shape: tuple[int, ...], values: int, descr: str = "<f8") -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": descr, "fortran_order": False, "shape": shape})
    return buffer.getvalue() + bytes(8 * values)


@pytest.mark.parametrize(
    ("entries", "compression", "message"),
    [
        ([("actor.w.npy", _npy((10**15,), 1))], zipfile.ZIP_STORED, "announces shape"),
        ([("actor.w.npy", _npy((10**6,), 10**6))], zipfile.ZIP_DEFLATED, "not a stored array"),
        ([("../../actor.pkl", b"x")], zipfile.ZIP_STORED, "'../../actor.pkl' is not a stored array"),
        ([("a.npy", _npy((1,), 1)), ("a.npy", _npy((1,), 1))], zipfile.ZIP_STORED, "equal names"),
        ([("a.npy", _npy((1,), 1, "|O"))], zipfile.ZIP_STORED, "pickled Python objects"),
        ([("a.npy", b"\x93NUMPY\x09\x00")], zipfile.ZIP_STORED, "weights.npz"),
        ([("actor.w.npy", _npy((2,), 2))], zipfile.ZIP_STORED, "hash differs"),
    ],
)
def test_hostile_archives(tmp_path: Path, entries: Any, compression: int, message: str) -> None:
    folder = artefact.write(tmp_path / "a", example())
    _archive(folder / "weights.npz", entries, compression)
    with pytest.raises(ValueError, match=message) as caught:
        artefact.read(folder)
    assert "weights.npz" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_missing_weights(tmp_path: Path) -> None:
    folder = artefact.write(tmp_path / "a", example())
    (folder / "weights.npz").unlink()
    with pytest.raises(ValueError, match=r"weights\.npz"):
        artefact.read(folder)


def test_an_agent_whose_writer_was_killed_is_read_as_it_was(tmp_path: Path) -> None:
    artefact.write(tmp_path / "run" / "agent", example())
    os.replace(tmp_path / "run" / "agent", tmp_path / "run" / ".agent.old")
    assert artefact.read(tmp_path / "run").network == artefact.read(tmp_path / "run" / "agent").network == example().network
    artefact.write(tmp_path / "run" / "agent", example(network={"kind": "flat", "hidden": 5}))
    assert artefact.read(tmp_path / "run").network["hidden"] == 5
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["agent"]


def test_reading_while_it_is_replaced(tmp_path: Path) -> None:
    """A reader in a loop beside a writer sees one agent or the other, whole."""
    agents = [example(weights={"actor.w": np.full(3, float(i))}, training={"i": i}) for i in range(2)]
    folder = artefact.write(tmp_path / "agent", agents[0])
    stop = threading.Event()

    def write() -> None:
        i = 0
        while not stop.is_set():
            artefact.write(folder, agents[(i := i + 1) % 2])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(100):
            found = artefact.read(folder)
            assert np.all(found.weights["actor.w"] == found.training["i"])
    finally:
        stop.set()
        writer.join()
