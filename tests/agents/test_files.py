from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from agents import files


def test_write_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.json"
    files.write_json(path, {"x": np.float64(1.5), "y": np.arange(2), "z": np.nan, "t": (1, True)})
    files.write_json(path, {"x": 2})
    assert json.loads(path.read_text()) == {"x": 2}
    assert [p.name for p in path.parent.iterdir()] == ["a.json"]


def test_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = files.write_bytes(tmp_path / "a", b"old")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        files.write_bytes(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


def test_jsonable_has_no_nan() -> None:
    value = files.jsonable({"a": [np.inf, np.int64(3), np.bool_(True)], 1: Path("x"), "n": None})
    assert value == {"a": [None, 3, True], "1": "x", "n": None}


def test_npz_refuses_objects(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'bad' holds Python objects"):
        files.write_npz(tmp_path / "a.npz", {"bad": np.array([{}], dtype=object)})
    assert not list(tmp_path.iterdir())


def test_csv_has_the_union_of_columns(tmp_path: Path) -> None:
    text = files.write_csv(tmp_path / "a.csv", [{"a": 1}, {"a": np.nan, "b": "x"}]).read_text()
    assert text == "a,b\n1,\n,x\n"


def test_folder_is_whole_or_old(tmp_path: Path) -> None:
    path = tmp_path / "agent"
    with files.atomic_folder(path) as folder:
        (folder / "a").write_text("1")
    with pytest.raises(RuntimeError), files.atomic_folder(path) as folder:
        (folder / "a").write_text("2")
        raise RuntimeError
    assert (path / "a").read_text() == "1" and [p.name for p in tmp_path.iterdir()] == ["agent"]
    with files.atomic_folder(path) as folder:
        (folder / "b").write_text("3")
    assert [p.name for p in path.iterdir()] == ["b"]


def test_folder_killed_between_the_renames_is_recovered(tmp_path: Path) -> None:
    path = tmp_path / "agent"
    with files.atomic_folder(path) as folder:
        (folder / "a").write_text("1")
    os.replace(path, tmp_path / ".agent.old")
    files.recover_folder(path)
    assert (path / "a").read_text() == "1"


def test_importing_agents_is_light() -> None:
    code = "import sys, agents; print([m for m in ('torch', 'stable_baselines3', 'matplotlib', 'cvxpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
