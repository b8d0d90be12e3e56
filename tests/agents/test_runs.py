from __future__ import annotations

from pathlib import Path

import pytest

from agents.runs import Run, RunBusy, open_run


def test_unfinished_runs_are_continued(tmp_path: Path) -> None:
    first = open_run(tmp_path, None, "a", {"seed": 0})
    assert open_run(tmp_path, None, "a", {"seed": 0}).folder == first.folder
    assert open_run(tmp_path, None, "a", {"seed": 1}).folder != first.folder
    first.finish({})
    assert open_run(tmp_path, None, "a", {"seed": 0}).folder != first.folder


def test_a_caller_decides_what_is_complete(tmp_path: Path) -> None:
    first = open_run(tmp_path, None, "a", {})
    first.finish({})
    assert open_run(tmp_path, None, "a", {}, lambda run: False).folder == first.folder


def test_running_runs_are_left_alone(tmp_path: Path) -> None:
    first = open_run(tmp_path, None, "a", {})
    with first.lock():
        assert open_run(tmp_path, None, "a", {}).folder != first.folder
        with pytest.raises(RunBusy), Run(first.folder).lock():
            pass


def test_named_runs(tmp_path: Path) -> None:
    run = open_run(tmp_path, "mine", "a", {"seed": 0})
    assert run.folder == tmp_path / "mine"
    with pytest.raises(ValueError, match=r"name: .* other values of \['seed'\]"):
        open_run(tmp_path, "mine", "a", {"seed": 1})
    run.finish({})
    with pytest.raises(ValueError, match="name: .* is finished"):
        open_run(tmp_path, "mine", "a", {"seed": 0})
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "x").touch()
    with pytest.raises(ValueError, match="name: .* holds no run"):
        open_run(tmp_path, "thesis", "a", {})
    with pytest.raises(ValueError, match="plain folder name"):
        open_run(tmp_path, "../x", "a", {})
