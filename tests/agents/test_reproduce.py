"""The engine of `ris-gym reproduce`: resuming, damaged and outdated units, worker processes, being killed."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents import cli
from agents.figures.base import Figure, Result, Unit
from agents.files import write_json
from agents.reproduce import configuration, figures, reproduce, select
from agents.runs import RunBusy

TOY = """
import os
import numpy as np

def work(log, number, stop):
    with open(log, "a") as file:
        file.write(f"{number} {os.getpid()}\\n")
    if number == stop:
        raise KeyboardInterrupt
    return {"draw": np.random.default_rng([7, number]).normal(size=3)}
"""

TINY = {
    "panels": [{"preset": "five", "num_elements": 3, "thresholds_db": [0.0], "scenes": 2, "low_db": 0.0, "high_db": 0.0}],
    "randomisations": 10,
    "chunk": 1,
    "system": {"num_antennas": 2, "num_sensing_beams": 1, "angles_deg": [0.0, 30.0]},
}


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Figure]:
    (tmp_path / "units_of_toy.py").write_text(TOY)
    monkeypatch.syspath_prepend(str(tmp_path))
    log = str(tmp_path / "log")

    def units(config: Mapping[str, Any]) -> list[Unit]:
        numbers = range(config["units"])
        return [
            Unit(key=f"u{i}", function="units_of_toy:work", arguments={"log": log, "number": i, "stop": config["stop"]})
            for i in numbers
        ]

    def summarise(config: Mapping[str, Any], results: Mapping[str, Mapping[str, np.ndarray]]) -> Result:
        return Result(rows=[{"unit": key, "mean": float(arrays["draw"].mean())} for key, arrays in results.items()])

    def draw(config: Mapping[str, Any], result: Result) -> Any:
        from agents.figures.drawing import canvas

        return canvas(2, 2)

    yield Figure(
        name="toy-fig1",
        paper="toy",
        title="a toy",
        configure=lambda quick: {"units": 2 if quick else 4, "stop": -1},
        scale=lambda config, scenes: {**config, "units": scenes},
        units=units,
        summarise=summarise,
        draw=draw,
    )
    sys.modules.pop("units_of_toy", None)


def calls(folder: Path) -> list[int]:
    path = folder / "log"
    return [int(line.split()[0]) for line in path.read_text().splitlines()] if path.exists() else []


def no_leftovers(folder: Path) -> bool:
    return not [path for path in folder.rglob(".*") if path.name != ".lock"]


def test_files_and_rerun(toy: Figure, tmp_path: Path) -> None:
    config = configuration(toy)
    seen: list[tuple[str, int, int]] = []
    paths = reproduce(toy, config, tmp_path / "r", progress=lambda *what: seen.append(what))
    assert [path.name for path in paths] == ["toy-fig1.csv", "toy-fig1.json", "toy-fig1.png"]
    assert seen == [("toy-fig1", i, 4) for i in range(5)]
    assert calls(tmp_path) == [0, 1, 2, 3]
    before = paths[0].read_bytes()
    assert reproduce(toy, config, tmp_path / "r") == paths and calls(tmp_path) == [0, 1, 2, 3]
    assert paths[0].read_bytes() == before and before.count(b"\n") == 5
    stored = json.loads(paths[1].read_text())
    assert (
        stored["not_default"] == []
        and stored["config"] == config
        and stored["config_hash"] == paths[1].parent.name
        and len(stored["sources"]) == 1
    )
    elsewhere = reproduce(toy, config, tmp_path / "r", output=tmp_path / "docs")
    assert elsewhere[0] == tmp_path / "docs" / "toy-fig1.csv" and elsewhere[0].read_bytes() == before
    assert no_leftovers(tmp_path / "r")


def test_an_interrupted_run_goes_on(
    toy: Figure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = reproduce(toy, configuration(toy), tmp_path / "whole")[0].read_bytes()
    (tmp_path / "log").unlink()
    monkeypatch.setattr("agents.reproduce.figures", lambda: {toy.name: toy})
    write_json(tmp_path / "stop.json", {"stop": 2})
    argv = ["reproduce", "toy-fig1", "--folder", str(tmp_path / "r"), "--no-progress"]
    assert cli.main([*argv, "--config", str(tmp_path / "stop.json")]) == 130
    assert "goes on from the last checkpoint" in capsys.readouterr().err
    assert calls(tmp_path) == [0, 1, 2]
    (folder,) = (tmp_path / "r" / "toy-fig1").iterdir()
    assert sorted(path.name for path in (folder / "units").iterdir()) == ["u0.npz", "u1.npz"]
    # the units of the interrupted run have other arguments (stop = 2): nothing of them is taken over
    assert cli.main(argv) == 0
    assert calls(tmp_path) == [0, 1, 2, 0, 1, 2, 3]
    csv = next(Path(line) for line in capsys.readouterr().out.splitlines() if line.endswith(".csv"))
    assert csv.read_bytes() == whole


def test_fewer_scenes_continue_to_more(toy: Figure, tmp_path: Path) -> None:
    reproduce(toy, configuration(toy, quick=True), tmp_path / "r")
    reproduce(toy, configuration(toy, scenes=5), tmp_path / "r")
    assert calls(tmp_path) == [0, 1, 2, 3, 4]


def test_damaged_and_foreign_units_are_computed_again(toy: Figure, tmp_path: Path) -> None:
    config = configuration(toy)
    csv = reproduce(toy, config, tmp_path / "r")[0]
    whole, units = csv.read_bytes(), csv.parent / "units"
    data = (units / "u1.npz").read_bytes()
    middle = len(data) // 3
    damages = [b"", data[: len(data) // 2], data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :]]
    for damage in damages:
        (units / "u1.npz").write_bytes(damage)
        (tmp_path / "log").unlink(missing_ok=True)
        with pytest.warns(RuntimeWarning, match="u1.npz cannot be read"):
            reproduce(toy, config, tmp_path / "r")
        assert calls(tmp_path) == [1] and csv.read_bytes() == whole
    (units / "u1.npz").write_bytes((units / "u2.npz").read_bytes())
    with pytest.warns(RuntimeWarning, match="belongs to another configuration"):
        reproduce(toy, config, tmp_path / "r")
    assert calls(tmp_path) == [1, 1] and csv.read_bytes() == whole
    np.savez(units / "u3.npz", draw=np.zeros(3))
    with pytest.warns(RuntimeWarning, match="u3.npz cannot be read"):
        reproduce(toy, config, tmp_path / "r")
    assert csv.read_bytes() == whole


def test_units_of_other_code(toy: Figure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = configuration(toy)
    csv = reproduce(toy, config, tmp_path / "r")[0]
    whole = csv.read_bytes()
    monkeypatch.setattr("agents.reproduce.source_digest", lambda paper: "edited")
    with pytest.warns(RuntimeWarning, match="4 units .* came from other code: used"):
        reproduce(toy, config, tmp_path / "r", stale="use")
    assert len(calls(tmp_path)) == 4
    with pytest.warns(RuntimeWarning, match="4 units .* came from other code: computed again"):
        reproduce(toy, config, tmp_path / "r")
    assert len(calls(tmp_path)) == 8 and csv.read_bytes() == whole
    assert json.loads(csv.with_suffix(".json").read_text())["sources"] == ["edited-1"]


def test_what_a_killed_process_leaves_is_removed(toy: Figure, tmp_path: Path) -> None:
    config = configuration(toy)
    csv = reproduce(toy, config, tmp_path / "r")[0]
    (csv.parent / "units" / ".u1.npz.abc123").write_bytes(b"half")
    (csv.parent / ".toy-fig1.csv.abc123").write_bytes(b"half")
    reproduce(toy, config, tmp_path / "r")
    assert no_leftovers(tmp_path / "r")


def test_one_process_at_a_time(toy: Figure, tmp_path: Path) -> None:
    from agents.runs import Run

    config = configuration(toy)
    csv = reproduce(toy, config, tmp_path / "r")[0]
    with Run(csv.parent).lock(), pytest.raises(RunBusy, match="in use"):
        reproduce(toy, config, tmp_path / "r")


def test_worker_processes_give_the_same(toy: Figure, tmp_path: Path) -> None:
    config = configuration(toy)
    alone = reproduce(toy, config, tmp_path / "a")[0].read_bytes()
    (tmp_path / "log").unlink()
    environment = dict(os.environ)
    assert reproduce(toy, config, tmp_path / "b", jobs=2)[0].read_bytes() == alone
    assert sorted(calls(tmp_path)) == [0, 1, 2, 3] and dict(os.environ) == environment
    processes = {line.split()[1] for line in (tmp_path / "log").read_text().splitlines()}
    assert str(os.getpid()) not in processes


def test_an_error_in_a_worker_keeps_what_is_finished(toy: Figure, tmp_path: Path) -> None:
    config = configuration(toy, overrides={"units": 2, "stop": 1})
    with pytest.raises(KeyboardInterrupt):
        reproduce(toy, config, tmp_path / "r", jobs=2)
    assert no_leftovers(tmp_path / "r")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["nonsense"], "figure must be one of"),
        (["beampattern-fig2", "--scenes", "0"], "scenes must be at least 1"),
        (["beampattern-fig2", "--jobs", "0"], "jobs must be at least 1"),
        (["beampattern-fig2", "--stale", "maybe"], "stale must be"),
        (["beampattern-fig2", "--config", "nowhere.json"], "nowhere.json"),
        (["beampattern-fig2", "--config", "list.json"], "must hold a JSON object"),
        (["beampattern-fig2", "--config", "broken.json"], "is not JSON"),
        (["beampattern-fig2", "--config", "foreign.json"], "entry must be one of"),
    ],
)
def test_errors_name_the_argument(
    argv: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "foreign.json").write_text('{"power": 3}')
    assert cli.main(["reproduce", *argv]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["reproduce"]) == 0
    listed = capsys.readouterr().out
    assert cli.main(["reproduce", "--list"]) == 0 and capsys.readouterr().out == listed
    assert [line.split()[0] for line in listed.splitlines()] == list(figures())
    assert {"beampattern-fig2", "beampattern-fig3", "beampattern-fig4", "beampattern-remarks"} <= set(figures())
    assert [figure.name for figure in select(["beampattern"])] == list(figures("beampattern"))
    assert select(["beampattern-fig4", "all"])[0].name == "beampattern-fig4"
    with pytest.raises(ValueError, match="key must consist of"):
        Unit(key="../x", function="a:b", arguments={})


def test_killed_at_random_moments(tmp_path: Path) -> None:
    """SIGKILL the command several times: no finished unit is lost or computed again, no half-written file is read or left."""
    write_json(tmp_path / "tiny.json", TINY)
    figure = figures()["beampattern-fig4"]
    expected = reproduce(figure, configuration(figure, overrides=TINY), tmp_path / "whole")
    total = len(list((expected[0].parent / "units").glob("*.npz")))
    argv = [sys.executable, "-m", "agents.cli", "reproduce", figure.name, "--config", str(tmp_path / "tiny.json")]
    argv += ["--folder", str(tmp_path / "killed"), "--no-progress"]
    folder = tmp_path / "killed" / figure.name / expected[0].parent.name
    units, chance = folder / "units", random.Random(0)
    finished: dict[str, int] = {}
    for kill in range(3):
        goal = len(finished) + chance.randint(1, total // 5)
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        while process.poll() is None:
            # some milliseconds after the goal, or at the next half-written file
            if len(list(units.glob("*.npz"))) >= goal and (kill != 1 or any(units.glob(".*.npz.*"))):
                break
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.1 if len(list(units.glob("*.npz"))) < goal else 0.001 * chance.random())
        process.send_signal(signal.SIGKILL)
        assert process.stderr is not None and b"Error" not in process.stderr.read()
        process.stderr.close()
        assert process.wait() == -signal.SIGKILL
        now = {path.name: path.stat().st_mtime_ns for path in units.glob("*.npz")}
        assert finished.items() <= now.items() and goal <= len(now) < total
        for name in now:
            with np.load(units / name, allow_pickle=False) as file:
                assert all(file[key].dtype is not None for key in file.files)
        finished = now
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    assert finished.items() <= {path.name: path.stat().st_mtime_ns for path in units.glob("*.npz")}.items()
    assert (folder / expected[0].name).read_bytes() == expected[0].read_bytes()
    assert (folder / expected[2].name).read_bytes() == expected[2].read_bytes()
    answers = [json.loads(path.read_text())["answers"] for path in (folder / expected[1].name, expected[1])]
    assert answers[0] == answers[1]
    assert no_leftovers(tmp_path / "killed")
