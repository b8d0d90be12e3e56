"""Training, artefacts, validation, comparison and episodes of `multifunctional`: protocols, kinds, controls and units."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import agents
import ris_gym
from agents import artefact, cli, play
from agents.callbacks import Pauses
from agents.hyperparameters import EnvSettings, Network, PPOSettings, UnfoldedSettings
from agents.scenes import frozen_scenes
from agents.validation import prepare

CASES = (
    ("default", "ppo", "structured"), ("ms", "ppo", "surface"), ("ts", "ppo", "full"), ("active", "ppo", "surface"),
    ("star", "ppo", "structured"), ("passive", "ppo", "surface"), ("default", "unfolded", "full"), ("ts", "unfolded", "full"),
)  # fmt: skip
CHANNELS = ("bs_ris", "bs_sensor", "ris_user", "target_steering", "sensor_steering")


def small(preset: str = "default", **changes: Any) -> Any:
    sizes = ris_gym.systems.get("multifunctional").presets["small"]
    return ris_gym.systems.make("multifunctional", preset=preset, **{**sizes, **changes})


def config(system: Any, algorithm: str, control: str, folder: Path, **changes: Any) -> Any:
    values: dict[str, Any] = {
        "system": system, "algorithm": algorithm, "minutes": None, "steps": 32, "folder": str(folder), "name": algorithm,
        "validation_scenes": 2, "reference": None, "progress": False,
        "ppo": PPOSettings(num_envs=8, n_steps=2, batch_size=16, n_epochs=1, log_std_init=-2.5),
        "unfolded": UnfoldedSettings(layers=2, batch=4, hidden=4, width=2, knots=2, tail=2, memory=0.9, anneal=True),
        "network": Network(hidden=8, ignore=CHANNELS), "env": EnvSettings(horizon=3, control=control),
    }  # fmt: skip
    return agents.TrainConfig(**(values | changes))


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.pictures.agent_picture", lambda agent, scene: None)


@pytest.mark.parametrize(("preset", "algorithm", "control"), CASES)
def test_agents_are_trained_stored_and_answer_for_other_sizes(preset: str, algorithm: str, control: str, tmp_path: Path) -> None:
    system = small(preset)
    result = agents.train(config(system, algorithm, control, tmp_path))
    stored, wanted = artefact.read(result.agent), frozen_scenes(system, "validation", 2)
    assert ris_gym.systems.from_dict(stored.system) == system
    assert stored.training["config"]["scene_sets"]["validation"] == wanted.describe()
    last, scene = result.curve[-1], wanted.scene
    physical = set(system.evaluate(scene, system.decode(scene, system.start(scene))).physical())
    assert physical | {"margin_rate_mean", "margin_rate_min"} <= set(last) and np.all(np.isfinite(list(last.values())))
    assert ("surface_power_w" in last) == system.amplifies and ("time_fraction" in last) == system.time_switching
    agent, known = agents.load(result.folder), system.known(scene)
    found = system.evaluate(scene, system.project(scene, agent.solve(known, np.random.default_rng(0)).design))
    raw = system.start(known, control)
    if algorithm == "unfolded":  # begins where its landscape does: beams that follow the rule's surface
        landscape = system.landscape(known, control)
        raw = landscape.raw(landscape.start())
    start = system.evaluate(scene, system.decode(known, raw, control))
    assert np.all(system.penalised(found) >= system.penalised(start) - 1e-5)
    larger = dataclasses.replace(system, num_elements_h=6, num_antennas=5, num_sensors_h=4)
    scene = larger.sample(np.random.default_rng(0), batch=2)
    design = agents.load(result.folder, system=larger).solve(larger.known(scene), np.random.default_rng(0)).design
    assert design.coefficients.shape == (2, 2, 12) and np.all(np.isfinite(larger.evaluate(scene, design).objective))


class Killed(BaseException):
    pass


@pytest.mark.parametrize(("preset", "algorithm", "control"), [("ts", "ppo", "structured"), ("active", "unfolded", "full")])
def test_killed_run_resumes_to_the_same_result(
    preset: str, algorithm: str, control: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, count, system = Pauses.__call__, 0, small(preset)

    def kill(self: Pauses) -> bool:
        nonlocal count
        count += 1
        if count == 3:
            raise Killed
        return original(self)

    whole = agents.train(config(system, algorithm, control, tmp_path / "whole", steps=48))
    monkeypatch.setattr(Pauses, "__call__", kill)
    with pytest.raises(Killed):
        agents.train(config(system, algorithm, control, tmp_path / "killed", steps=48))
    monkeypatch.setattr(Pauses, "__call__", original)
    resumed = agents.train(config(system, algorithm, control, tmp_path / "killed", steps=48))
    assert resumed.steps == whole.steps and resumed.curve == whole.curve
    for name in ("agent.json", "weights.npz"):
        assert (resumed.agent / name).read_bytes() == (whole.agent / name).read_bytes()


def rule(known: Any, rng: np.random.Generator) -> Any:
    system = small()
    return system.decode(known, system.start(known))


@pytest.mark.parametrize(
    ("fields", "unit"),
    [({}, "bit"), ({"objective_form": "sum"}, "dB"), ({"objective_form": "db"}, "dB"), ({"kind": "active"}, "dB")],
)
def test_tables_are_in_the_unit_of_the_objective(fields: dict[str, Any], unit: str) -> None:
    """`unit` follows the form of the objective; the bound of `mf` lies above, other kinds have none."""
    system = small(**fields)
    weaker = lambda known, rng: rule(known, rng).replace(beams=0.5 * rule(known, rng).beams)  # noqa: E731
    policies = {"first": "gradient", "second": "random" if fields.get("kind") else weaker}
    table = agents.compare(system, policies, scenes=3, reference="first", single=0)
    assert table.meta["unit"] == unit == system.unit
    shown = str(table)
    assert f"gap to bound, {unit}" in shown and f"gap to first, {unit}" in shown and f" {unit} " in shown
    certified = table.meta["counts"]["bound_certified"]
    assert certified == (3 if system.kind == "mf" else 0)
    if certified:
        assert table.row("first")["gap_to_bound"] > 0.0


def test_validation_compares_with_the_reference() -> None:
    system = small()
    validation = prepare(system, frozen_scenes(system, "validation", 3), 5.0, "gradient")
    import baselines

    scalars, _ = validation.measure(baselines.make("gradient", system, penalty=5.0))
    assert scalars["gap_to_gradient"] == pytest.approx(0.0, abs=1e-9) and scalars["gap_to_bound"] > 0.0
    assert scalars["objective"] == pytest.approx(10.0 * scalars["penalised_score"]) and scalars["success_rate"] == 1.0
    assert scalars["echo_sinr_db_min"] <= scalars["echo_sinr_db"] and scalars["min_sinr_db"] <= scalars["mean_sinr_db"]


def test_agents_of_another_kind_are_refused(tmp_path: Path) -> None:
    result = agents.train(config(small("ms"), "ppo", "surface", tmp_path, steps=16))
    with pytest.raises(ValueError, match="does not fit|differ|interface|shape|size"):
        agents.load(result.folder, system=small("star"))


def test_play_records_an_episode(tmp_path: Path) -> None:
    from PIL import Image

    output = tmp_path / "a.gif"
    record = play.record
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("agents.play.record", lambda system, policy, scene: record(system, policy, scene, every=10**9))
        sizes = ["--system.num-elements-h", "4", "--system.num-elements-v", "2", "--system.num-antennas", "4"]
        argv = ["play", "multifunctional", "--preset", "ts", *sizes, "--policy", "gradient", "--output", str(output)]
        assert cli.main(argv) == 0
    with Image.open(output) as image:
        assert getattr(image, "n_frames", 1) == 2


def test_command_line_takes_presets_fields_and_sets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = ["--folder", str(tmp_path), "--policies", "gradient"]
    argv = ["compare", "multifunctional", "--preset", "ts", "--system.objective-form", "db", "--system.num-users", "1", "2"]
    assert cli.main([*argv, "--count", "2", *folder]) == 0
    out = capsys.readouterr().out
    assert "gap to bound, dB" in out and "multifunctional/" in out
    assert cli.main(["compare", "--scenes", "multifunctional/ms-test-v1", "--count", "2", *folder]) == 0
    assert "multifunctional/ms-test-v1" in capsys.readouterr().out
    assert cli.main(["compare", "--scenes", "multifunctional/ms-test-v1", "--preset", "ts", "--count", "2", *folder]) == 2
    assert "protocol=ts (declared: ms)" in capsys.readouterr().err


def test_measured_channels_have_the_sizes_of_the_system(tmp_path: Path) -> None:
    """Users and elements of a file say nothing about sides and rows: those of the preset are kept."""
    system = small()
    scene = system.sample(np.random.default_rng(0), batch=2)
    names = ("bs_ris", "ris_user", "target_steering", "target_gain", "bs_sensor", "sensor_steering")
    np.savez(tmp_path / "a.npz", **{name: getattr(scene, name) for name in names})
    found = cli.system_of_file(str(tmp_path / "a.npz"), "multifunctional", "small")
    assert found == system
    assert len(agents.scenes.resolve_scenes(found, str(tmp_path / "a.npz"))) == 2
