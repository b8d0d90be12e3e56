"""Training, artefacts, validation, comparison and episodes of `active_crb` in its presets, and of `vehicular` and `anchor`:
nothing in `agents` knows a paper."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import agents
import ris_gym
from agents import artefact, play
from agents.callbacks import Pauses
from agents.hyperparameters import EnvSettings, Network, PPOSettings, UnfoldedSettings, load
from agents.policy import make_vector_env
from agents.rollouts import rollout
from agents.scenes import frozen_scenes
from agents.validation import Validation, prepare

CONTROL = {"ppo": "structured", "unfolded": "full"}
PRESETS = ("hard", "sensing_only", "passive")
SIZES = {"num_antennas": 6, "num_elements": 4, "num_users": 2}
CHANNELS = ("bs_ris", "ris_user", "target_response")
DIAGNOSTICS = {"bayes_mse_db", "neglected_noise_db"}


def small(preset: str, **changes: Any) -> Any:
    return ris_gym.systems.make("active_crb", preset=preset, **{**SIZES, **changes})


def config(preset: str, algorithm: str, folder: Path, **changes: Any) -> Any:
    values: dict[str, Any] = {
        "system": small(preset), "algorithm": algorithm, "minutes": None, "steps": 64, "folder": str(folder), "name": algorithm,
        "validation_scenes": 3, "reference": None, "progress": False,
        "ppo": PPOSettings(num_envs=8, n_steps=4, batch_size=16, n_epochs=1, log_std_init=-2.5),
        "unfolded": UnfoldedSettings(layers=2, batch=4, hidden=4, width=2, knots=2, tail=2),
        "network": Network(hidden=8, ignore=CHANNELS), "env": EnvSettings(horizon=4, control=CONTROL[algorithm]),
    }  # fmt: skip
    return agents.TrainConfig(**(values | changes))


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.pictures.agent_picture", lambda agent, scene: None)


@pytest.fixture(scope="module", params=[(p, a) for p in PRESETS for a in ("ppo", "unfolded")], ids="-".join)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """(system, control, result of a training run) of every preset and learner."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("agents.pictures.agent_picture", lambda agent, scene: None)
        preset, algorithm = request.param
        result = agents.train(config(preset, algorithm, tmp_path_factory.mktemp("runs")))
        return small(preset), CONTROL[algorithm], result


def test_validation_is_of_the_preset_and_holds_every_quantity(trained: Any) -> None:
    system, _, result = trained
    stored = artefact.read(result.agent)
    wanted = frozen_scenes(system, "validation", 3)
    assert stored.training["config"]["scene_sets"]["validation"] == wanted.describe()
    assert ris_gym.systems.from_dict(stored.system) == system
    names = set(result.curve[-1])
    metrics = system.evaluate(wanted.scene, system.decode(wanted.scene, system.start(wanted.scene)))
    expected = set(metrics.physical()) | (DIAGNOSTICS if not system.passive else {"bayes_mse_db"})
    assert expected <= names and all(np.isfinite(list(result.curve[-1].values())))
    assert {name for name in names if name.startswith("margin_")} == (
        {"margin_sinr_mean", "margin_sinr_min"} if system.sinr_threshold_db is not None else set()
    )
    assert system.passive == ("surface_power_w" not in names)


def test_agents_load_and_answer_for_other_sizes(trained: Any) -> None:
    system, control, result = trained
    agent = agents.load(result.folder)
    scene = frozen_scenes(system, "test", 3).scene
    metrics = system.evaluate(scene, system.project(scene, agent.solve(system.known(scene), np.random.default_rng(0)).design))
    start = system.evaluate(scene, system.decode(scene, system.start(scene, control), control))
    assert np.all(system.penalised(metrics) >= system.penalised(start) - 1e-5)
    larger = dataclasses.replace(system, num_antennas=8, num_elements=6)
    scene = larger.sample(np.random.default_rng(0), batch=2)
    design = agents.load(result.folder, system=larger).solve(larger.known(scene), np.random.default_rng(0)).design
    assert design.coefficients.shape == (2, 6) and np.all(np.isfinite(larger.evaluate(scene, design).objective))


def test_an_agent_of_one_preset_serves_another(trained: Any) -> None:
    system, control, result = trained
    if system.sinr_threshold_db is None:
        other = dataclasses.replace(system, power_dbm=25.0, surface_power_dbm=0.0)
    else:
        other = small("surface_limited")
    scene = other.sample(np.random.default_rng(1), batch=2)
    solution = agents.load(result.folder, system=other).solve(other.known(scene), np.random.default_rng(0))
    found = other.evaluate(scene, other.project(scene, solution.design))
    start = other.evaluate(scene, other.decode(scene, other.start(scene, control), control))
    assert np.all(other.penalised(found) >= other.penalised(start) - 1e-5)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("algorithm", ["ppo", "unfolded"])
def test_killed_run_resumes_to_the_same_result(algorithm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original, count = Pauses.__call__, 0

    def kill(self: Pauses) -> bool:
        nonlocal count
        count += 1
        if count == 3:
            raise Killed
        return original(self)

    whole = agents.train(config("hard", algorithm, tmp_path / "whole"))
    monkeypatch.setattr(Pauses, "__call__", kill)
    with pytest.raises(Killed):
        agents.train(config("hard", algorithm, tmp_path / "killed"))
    monkeypatch.setattr(Pauses, "__call__", original)
    resumed = agents.train(config("hard", algorithm, tmp_path / "killed"))
    assert resumed.steps == whole.steps and resumed.curve == whole.curve
    for name in ("agent.json", "weights.npz"):
        assert (resumed.agent / name).read_bytes() == (whole.agent / name).read_bytes()


def rule(known: Any, rng: np.random.Generator) -> Any:
    """The start rule with the elements at a quarter of the cap: worse by more than 10 dB."""
    system = small("sensing_only")
    design = system.decode(known, system.start(known))
    return design.replace(coefficients=0.25 * design.coefficients)


def test_gaps_of_a_minimised_objective(tmp_path: Path) -> None:
    """Sensing only: no margins, nothing is violated, the bound is reached and a worse design lies above it."""
    system = small("sensing_only")
    table = agents.compare(system, {"ao": "ao", "rule": rule}, scenes=4, single=0)
    best, worse = table.row("ao"), table.row("rule")
    assert -1e-6 <= best["gap_to_bound"] <= 0.01
    assert worse["gap_to_bound"] > 5.0 and worse["gap_to_reference"] == pytest.approx(
        worse["gap_to_bound"] - best["gap_to_bound"]
    )
    assert worse["objective"] > best["objective"] and worse["score_minus_reference"] < 0.0
    assert best["violation_rate"] == worse["violation_rate_servable"] == 0.0 and table.meta["counts"]["servable"] == 4
    assert "objective,\n" not in str(table) and "dB" in str(table)
    path = table.save(tmp_path)[1]
    stored = json.loads(path.read_text(encoding="utf-8"))
    assert stored["rows"][0]["margin_min"] is None and stored["sense"] == -1


def test_comparison_leaves_certified_infeasible_scenes_out() -> None:
    """15 dB for two users behind four elements: some scenes are proved infeasible, others are served."""
    system = small("hard")
    table = agents.compare(system, ["transmit_only", "random"], scenes=12, reference="transmit_only", single=0)
    counts, status = table.meta["counts"], np.array(table.bound_status)
    assert 0 < counts["certified_infeasible"] < 12
    assert counts["certified_infeasible"] == np.sum(status == "infeasible") and np.all(
        np.isnan(table.bound[status == "infeasible"])
    )
    row, (mine, random) = table.row("transmit_only"), table.results
    counted = status != "infeasible"
    assert np.all(mine.violated[~counted]) and np.all(random.violated[~counted])  # else the certificate would be false
    assert row["score"] == pytest.approx(mine.score[counted].mean())
    servable = counted & ~(mine.violated & random.violated)
    assert 0 < counts["servable"] == servable.sum()
    assert row["violation_rate_servable"] == pytest.approx(mine.violated[servable].mean())
    assert row["gap_to_bound"] >= 0.0


def test_validation_measures_gaps_and_diagnostics() -> None:
    system = small("hard")
    scenes = frozen_scenes(system, "validation", 6)
    validation: Validation = prepare(system, scenes, 2.0, "transmit_only")
    import baselines

    policy = baselines.make("transmit_only", system, penalty=2.0)
    scalars, (scene, design, metrics) = validation.measure(policy)
    assert DIAGNOSTICS <= set(scalars) and scalars["gap_to_bound"] >= 0.0
    counted = validation.counted
    expected = system.diagnostics(scene, design)["bayes_mse_db"][counted].mean()
    assert scalars["bayes_mse_db"] == pytest.approx(expected)
    assert scalars["success_rate"] == pytest.approx(np.mean(metrics.feasible[counted]))
    weaker = dataclasses.replace(validation, reference_objective=validation.reference_objective + 1.0)
    assert weaker.measure(policy)[0]["gap_to_transmit_only"] == pytest.approx(scalars["gap_to_transmit_only"] - 1.0)


@pytest.mark.parametrize("preset", ["hard", "passive"])
def test_play_records_an_episode(preset: str, tmp_path: Path) -> None:
    from PIL import Image

    system = small(preset)
    scene = system.sample(np.random.default_rng(0), batch=1)
    frames = play.record(system, _Still(system), scene, every=8)
    with Image.open(play.write_gif(tmp_path / "a.gif", frames)) as image:
        assert getattr(image, "n_frames", 1) == len(frames) == 3


class _Still:
    """Stays at the start design; the bound form of every policy."""

    def __init__(self, system: Any) -> None:
        self.system = system

    def bind(self, env: Any) -> Any:
        return self

    def predict(self, observation: Any, state: Any, start: Any, deterministic: bool) -> Any:
        return np.zeros((len(observation), len(self.system.start(self.system.sample(np.random.default_rng(0), 1))[0]))), state


# -- beliefs -----------------------------------------------------------------------------------------------------------------

PASSES = {"num_frames": 5, "num_cols": 4, "report_period": 3}
BELIEFS: dict[str, tuple[str, dict[str, Any], dict[str, Any], int]] = {
    "vehicular": ("vehicular", {"preset": "requirement", **PASSES}, {}, 5),
    "surface": ("vehicular", {"preset": "reciprocity", **PASSES}, {"control": "surface"}, 5),
    "choices": ("vehicular", {"preset": "reciprocity", "choose_reflector": True, "unauthorised_radar": True, **PASSES}, {}, 5),
    "anchor": ("anchor", {"num_elements": 8, "num_pilots": 4}, {}, 4),
    "stop": ("anchor", {"preset": "stop", "num_elements": 8, "num_pilots": 4}, {}, 4),
}


@pytest.fixture(scope="module", params=list(BELIEFS))
def believing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """(system, number of decisions, result) of a run with the settings of the system's file, but for budget and width."""
    name, fields, changes, length = BELIEFS[request.param]
    system, defaults = ris_gym.systems.make(name, **fields), load(name)
    ppo = PPOSettings(num_envs=8, n_steps=4, batch_size=16, n_epochs=1, ent_coef=defaults.ppo.ent_coef)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("agents.pictures.agent_picture", lambda agent, scene: None)
        config = agents.TrainConfig(
            system=system, minutes=None, steps=64, folder=str(tmp_path_factory.mktemp("runs")), name="run", validation_scenes=3,
            reference=None, progress=False, ppo=ppo, network=dataclasses.replace(defaults.network, hidden=8),
            env=dataclasses.replace(defaults.env, **changes),
        )  # fmt: skip
        return system, length, agents.train(config)


def test_agents_with_beliefs_are_saved_loaded_and_play_whole_episodes(believing: Any) -> None:
    """`solve` with its memory decides as the actor in the environment does; what is loaded is what was trained."""
    system, length, result = believing
    stored = artefact.read(result.agent)
    assert stored.network["kind"] == ("tree" if system.name == "anchor" else "token") and result.steps == 64
    assert stored.network.get("critic") == (None if system.name == "anchor" else "tokens")
    assert not [name for name in stored.weights if "critic" in name] and ris_gym.systems.from_dict(stored.system) == system
    assert all(np.isfinite(list(result.curve[-1].values())))
    agent = agents.load(result.folder)
    assert agent.sequential
    scenes = frozen_scenes(system, "test", 4).scene
    env = make_vector_env(system, 4, stored.env["kwargs"], autoreset_mode="Disabled", diagnostics=False)
    driver = agent.bind(env)
    observation, _ = env.reset(seed=0, options={"scene": scenes})
    scene, memory = scenes, None
    for decision in range(length):
        action, _ = driver.predict(observation)
        solution = agent.solve(system.known(scene), np.random.default_rng(0), memory)
        raw = system.encode(scene, solution.design, agent.control)
        np.testing.assert_allclose(raw, solution.memory["raw"], atol=1e-6)
        _, scene = system.step(scene, solution.design, np.random.default_rng(0))
        memory = solution.memory
        observation, reward, terminated, _, _ = env.step(action)
        assert np.all(np.isfinite(reward))
        if terminated.any():
            assert decision == length - 1 or system.allow_stop
            break
        np.testing.assert_allclose(env.unwrapped.raw, memory["raw"], atol=1e-4)
    assert terminated.any()
    found = rollout(system, agents.load(result.folder), scenes, np.random.default_rng(0), agent.penalty)
    assert found.score.shape == (4,) and np.all(np.isfinite(found.score))


def test_agents_with_beliefs_in_a_comparison(believing: Any) -> None:
    system, _, result = believing
    table = agents.compare(system, {"agent": str(result.folder), "random": "random"}, scenes=3, bound=False, single=0)
    assert [row["policy"] for row in table.rows] == ["agent", "random"] and np.isfinite(table.row("agent")["score"])


@pytest.mark.parametrize("believing", ["vehicular", "anchor"], indirect=True)
def test_agents_with_beliefs_in_other_systems(believing: Any) -> None:
    """More vehicles are served; a tree of more codewords has other levels, another SNR does not matter."""
    system, _, result = believing
    if system.name == "vehicular":
        other = dataclasses.replace(system, num_users=5, sensing_threshold_db=None)
    else:
        other = dataclasses.replace(system, element_snr_db=-18.0, num_pilots=6)
        with pytest.raises(ValueError, match=r"'actor\.body\.level' has shape \(3, 8\), needed \(4, 8\); .* other sizes"):
            agents.load(result.folder, system=dataclasses.replace(system, num_elements=16))
    scene = other.sample(np.random.default_rng(0), batch=2)
    solution = agents.load(result.folder, system=other).solve(other.known(scene), np.random.default_rng(0))
    assert np.all(np.isfinite(other.evaluate(scene, solution.design).objective))


def test_a_tree_needs_a_belief_over_beams(tmp_path: Path) -> None:
    """Nor do box actions or another algorithm fit; nothing is written."""
    anchor, network = ris_gym.systems.make("anchor", num_elements=8, num_pilots=4), Network("tree", 8)
    for model, changes, message in (
        (anchor, {"env": EnvSettings(episode="pilots", observation="csi", action="box")}, "got N = 8 and 0 indices"),
        (anchor, {"network": Network("tree", 8, ignore=("beam_mass",))}, "got N = 0 and 14 indices"),
        (anchor, {"algorithm": "sac"}, "'sac' needs env.action='box'"),
        (ris_gym.systems.make("vehicular", **PASSES), {}, "got N = 0 and 9 indices"),
    ):
        with pytest.raises(ValueError, match=message):
            config = agents.TrainConfig(**{"system": model, "steps": 8, "folder": str(tmp_path), "network": network} | changes)
            agents.train(config)
    assert not list(tmp_path.iterdir())
