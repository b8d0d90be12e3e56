from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from agents.files import TEMPORARY, remove_temporaries
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


def test_a_start_that_was_killed_is_repeated(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / f".config.json.x8{TEMPORARY}").write_text("{")
    (tmp_path / "mine" / ".lock").touch()
    run = open_run(tmp_path, "mine", "a", {"seed": 0})
    assert run.config() == {"seed": 0}


def test_the_next_start_tidies_up(tmp_path: Path) -> None:
    run = open_run(tmp_path, "mine", "a", {})
    for name in ("checkpoint", "agent", f".agent.x{TEMPORARY}"):
        (run.folder / name).mkdir()
    (run.folder / f".agent.x{TEMPORARY}" / "weights.npz").touch()
    (run.folder / "checkpoint" / f".state.pt.x{TEMPORARY}").touch()
    (run.folder / ".mine").touch()
    run.tidy()
    left = {str(path.relative_to(run.folder)) for path in run.folder.rglob("*")}
    assert left == {"config.json", "checkpoint", "agent", ".mine"}
    (run.folder / "agent" / "agent.json").touch()
    (run.folder / "agent").rename(run.folder / ".agent.old")
    run.tidy()
    assert (run.folder / "agent" / "agent.json").exists() and remove_temporaries(run.folder) == []


def test_checkpoints_hold_arrays_and_plain_values(tmp_path: Path) -> None:
    run = Run(tmp_path)
    assert run.load_checkpoint() is None
    state = {"a": np.arange(6.0).reshape(2, 3)[:, ::2], "b": [torch.ones(2), {"c": (1, None, "x")}], "d": np.float64(0.5)}
    run.save_checkpoint(state)
    found = run.load_checkpoint()
    assert found is not None and found["d"] == 0.5 and found["b"][1] == {"c": (1, None, "x")}
    np.testing.assert_array_equal(found["a"].numpy(), state["a"])


class Bomb:
    def __reduce__(self) -> object:
        return (pytest.fail, ("unpickled",))


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "foreign", "pickle"])
def test_a_damaged_checkpoint_is_named_with_the_way_out(tmp_path: Path, damage: str) -> None:
    run = Run(tmp_path)
    run.save_checkpoint({"x": torch.arange(1000.0)})
    path = tmp_path / "checkpoint" / "state.pt"
    data = path.read_bytes()
    middle = data.index(torch.arange(1000.0).numpy().tobytes()) + 2000
    if damage in ("foreign", "pickle"):
        torch.save(Bomb() if damage == "pickle" else [1], path)
    else:
        flipped = data[:middle] + bytes([data[middle] ^ 16]) + data[middle + 1 :]
        path.write_bytes({"empty": b"", "cut": data[: len(data) // 2], "flipped": flipped}[damage])
    with pytest.raises(ValueError, match=r"state\.pt: not usable as a checkpoint .*Delete the file to train this run again"):
        run.load_checkpoint()
