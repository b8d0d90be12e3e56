from __future__ import annotations

import json
import pickle
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
        (lambda d: d.update(format_version=99), "format_version 99"),
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


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe"])
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
