from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ris_gym
from agents import cli
from agents.bench import count_normals, measure

SMALL = ["--system.num-antennas", "4", "--system.num-elements", "8", "--system.sinr-threshold-db", "5"]
FAST = ["--ppo.num-envs", "8", "--ppo.n-steps", "4", "--ppo.batch-size", "16", "--ppo.n-epochs", "1", "--network.hidden", "8"]


def run(*argv: str) -> int:
    return cli.main(list(argv))


def test_help_and_unknown_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0 and "ris-gym train" in capsys.readouterr().out
    assert run("destroy") == 2 and "command must be one of" in capsys.readouterr().err


def test_list(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run("list", "--folder", str(tmp_path)) == 0
    out = capsys.readouterr().out
    assert "beampattern" in out and "ao" in out


def test_train_compare_list(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.pictures.agent_picture", lambda agent, scene: None)
    folder = ["--folder", str(tmp_path)]
    more = ["--steps", "64", "--minutes", "None", "--validation-scenes", "3", "--reference", "None"]
    more += ["--env.horizon", "4", "--name", "a"]
    assert run("train", "beampattern", *SMALL, *FAST, *more, *folder, "--no-progress") == 0
    assert "tensorboard --logdir" in capsys.readouterr().out
    agent = str(tmp_path / "a")
    assert run("compare", *SMALL, "--policies", "random", agent, "--count", "3", *folder, "--name", "t") == 0
    assert (tmp_path / "t.csv").is_file() and (tmp_path / "t.png").is_file()
    assert run("list", *folder) == 0
    assert "beampattern" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["compare", "--policies", "nonsense"], "'nonsense' is neither"),
        (["compare", "nonsense"], "SYSTEM must be one of"),
        (["compare", "--preset", "nonsense"], "preset must be one of"),
        (["compare", "--scenes", "nowhere.npz"], "nowhere.npz"),
        (["compare", "--system.num-elements", "0"], "num_elements"),
        (["train", "--steps", "0"], "steps must be at least 1"),
        (["bench", "--sizes", "big"], "sizes must be"),
        (["bench", "--batches", "0"], "batches must be"),
        (["play", "--output", "x.mp4"], "output must end with .gif"),
        (["play", "--index", "-1"], "index must be in"),
        (["demo", "--count", "0"], "count must be at least 1"),
    ],
)
def test_errors_name_the_argument_and_write_nothing(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        code = run(*argv)
    except SystemExit as stop:
        code = int(stop.code or 0)
    assert code == 2
    captured = capsys.readouterr()
    assert message in captured.err + captured.out
    assert not list(tmp_path.iterdir())


def test_system_of_a_users_file(tmp_path: Path) -> None:
    small = ris_gym.systems.make("beampattern", num_antennas=3, num_elements=5, num_users=2)
    scene = small.sample(np.random.default_rng(0), batch=4)
    np.savez(tmp_path / "own.npz", bs_ris=scene.bs_ris, ris_user=scene.ris_user, bs_user=scene.bs_user)
    found = cli.system_of_file(str(tmp_path / "own.npz"), "beampattern")
    assert (found.num_antennas, found.num_elements, found.num_users) == (3, 5, 2)
    ris_gym.save_scenes(tmp_path / "saved.npz", small, scene)
    assert cli.system_of_file(str(tmp_path / "saved.npz")) == small


def test_system_of_a_command_line(tmp_path: Path) -> None:
    """SYSTEM, --preset and what --scenes holds, together."""
    make = ris_gym.systems.make
    assert cli._system([]) == (make("beampattern"), [])
    assert cli._system(["active_crb", "--preset=hard", "--seed", "1"]) == (make("active_crb", preset="hard"), ["--seed", "1"])
    sets = ["--scenes", "active_crb/hard-test-v1"]
    assert cli._system(sets) == cli._system(["active_crb", *sets]) == (make("active_crb", preset="hard"), sets)
    assert cli._system([*sets, "--preset", "passive"])[0] == make("active_crb", preset="passive")
    own = make("active_crb", num_antennas=6, num_elements=4, num_users=2, power_dbm=25.0)
    path = str(tmp_path / "own.npz")
    ris_gym.save_scenes(path, own, own.sample(np.random.default_rng(0), batch=2))
    scenes = ["--scenes", path]
    assert cli._system(scenes) == cli._system(["active_crb", *scenes]) == (own, scenes)
    hard = make("active_crb", num_antennas=6, num_elements=4, num_users=2, power_dbm=25.0, sinr_threshold_db=15.0)
    assert cli._system(["--preset", "hard", *scenes])[0] == hard
    for words, message in (
        (["beampattern", *scenes], "belongs to system 'active_crb', not to 'beampattern'"),
        (["--preset", "five", *scenes], "preset must be one of"),
        (["--preset"], "preset must be one of"),
    ):
        with pytest.raises(ValueError, match=message):
            cli._system(words)


def test_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.pictures.agent_picture", lambda agent, scene: None)
    system = ris_gym.systems.make("beampattern", num_antennas=4, num_elements=8, sinr_threshold_db=5.0)
    ris_gym.save_scenes(tmp_path / "own.npz", system, system.sample(np.random.default_rng(0), batch=24))
    argv = ["demo", "--minutes", "0.01", "--scenes", str(tmp_path / "own.npz"), "--folder", str(tmp_path / "runs")]
    argv += ["--policies", "separate", "gradient", "random", "--no-progress"]
    assert run(*argv) == 0
    out = capsys.readouterr().out
    assert "tensorboard --logdir" in out and "8 unseen scenes" in out
    (folder,) = (tmp_path / "runs").iterdir()
    assert {"comparison.csv", "comparison.json", "comparison.png", "agent", "tensorboard"} <= {p.name for p in folder.iterdir()}
    with open(folder / "comparison.csv", encoding="utf-8") as file:
        assert [row["policy"] for row in csv.DictReader(file)] == ["agent", "separate", "gradient", "random"]
    (folder / "comparison.png").unlink()
    assert run(*argv) == 0 and (folder / "comparison.png").exists()
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [folder.name]


def test_bench(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    argv = ["bench", "--batches", "1", "8", "--sizes", "4x16", "--repeats", "1", "--seconds", "0.001", "--folder", str(tmp_path)]
    assert run(*argv, "--no-solvers") == 0
    assert not (tmp_path / "solvers.csv").exists()
    rows = json.loads((tmp_path / "bench.json").read_text())["rows"]
    assert [row["batch"] for row in rows] == [1, 8] * len(ris_gym.systems.names())
    for row in rows:
        assert row["static_steps_per_s"] > 0 and row["fresh_over_static_plus_draw"] > 0 and row["us_metrics"] > 0
        system = ris_gym.systems.make(row["system"])
        assert row["num_elements"] and (row["num_antennas"] is None) == (not hasattr(system, "num_antennas"))
    assert [row["num_elements"] for row in rows if row["system"] == "vehicular"] == [128, 128]
    assert "steps per CPU second" in capsys.readouterr().out


def test_normals_are_counted() -> None:
    system: Any = ris_gym.systems.make("beampattern", num_antennas=2, num_elements=3, num_users=1)
    assert count_normals(system, 5) == 5 * (2 * (3 * 2 + 3 + 2) + 1)
    assert measure(lambda: None, 1, 0.001) < 1e-3
