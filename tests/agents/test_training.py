from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import agents
import ris_gym
from agents import artefact, hyperparameters
from agents.callbacks import Budget, Pauses
from agents.hyperparameters import EnvSettings, Network, PPOSettings

PPO = PPOSettings(num_envs=8, n_steps=4, batch_size=16, n_epochs=2, log_std_init=-2.5)
NETWORK = Network(hidden=8, ignore=("bs_ris",))
ENV = EnvSettings(horizon=4)
STEPS = 8 * 4 * 6


def config(model: Any, folder: Path, **changes: Any) -> Any:
    values: dict[str, Any] = {
        "system": model, "minutes": None, "steps": STEPS, "folder": str(folder), "validation_scenes": 4, "reference": None,
        "progress": False, "ppo": PPO, "network": NETWORK, "env": ENV, "name": "run",
    }  # fmt: skip
    return agents.TrainConfig(**(values | changes))


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.pictures.agent_picture", lambda agent, scene: None)


@pytest.fixture(scope="module")
def trained(system: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("agents.pictures.agent_picture", lambda agent, scene: None)
        return agents.train(config(system, tmp_path_factory.mktemp("runs")))


def test_a_run_leaves_what_it_promises(trained: Any, system: Any) -> None:
    assert trained.steps == STEPS
    for name in ("config.json", "done.json", "validation.npz", "checkpoint/state.pt", "agent/agent.json", "agent/weights.npz"):
        assert (trained.folder / name).is_file(), name
    assert list((trained.folder / "tensorboard").glob("events.*"))
    stored = artefact.read(trained.folder)
    assert stored.training["seed"] == 0 and stored.training["curve"]
    sets = stored.training["config"]["scene_sets"]
    assert sets["validation"] == agents.frozen_scenes(system, "validation", 4).describe() and sets["train"] is None
    assert ris_gym.systems.from_dict(stored.system) == system


def test_curve_holds_the_metrics(trained: Any) -> None:
    names = set(trained.curve[-1])
    assert {"penalised_score", "success_rate", "violation_rate", "objective", "steps"} <= names
    assert {"gains_dbm_min", "margin_sinr_mean"} <= names


def test_tensorboard_has_the_curves(trained: Any) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(trained.folder / "tensorboard"))
    events.Reload()
    tags = set(events.Tags()["scalars"])
    wanted = {"penalised_score", "success_rate", "margin_sinr_min", "gains_dbm_min"}
    assert {f"validation/{name}" for name in wanted} | {"rollout/ep_rew_mean", "rollout/success_rate"} <= tags


def test_best_iterate_is_never_below_the_start(trained: Any, system: Any, scene: Any) -> None:
    agent = agents.load(trained.agent)
    solution = agent.solve(system.known(scene), np.random.default_rng(0))
    start = system.evaluate(scene, system.decode(scene, system.start(scene)))
    found = system.evaluate(scene, solution.design)
    assert np.all(system.penalised(found) >= system.penalised(start) - 1e-5)
    np.testing.assert_allclose(found.objective, solution.objective)
    assert solution.history.shape == (5, len(scene)) and set(solution.status) == {"stopped"}


def test_loaded_agent_is_the_trained_one(trained: Any, system: Any, scene: Any) -> None:
    first, second = (agents.load(trained.folder).solve(scene, np.random.default_rng(0)) for _ in range(2))
    np.testing.assert_array_equal(first.design.coefficients, second.design.coefficients)
    one = agents.load(trained.folder).solve(scene[2], np.random.default_rng(0))
    np.testing.assert_allclose(one.objective[0], first.objective[2], atol=1e-3)


def test_token_agent_serves_other_sizes(trained: Any) -> None:
    larger = ris_gym.systems.make("beampattern", num_antennas=4, num_elements=12, num_sensing_beams=1, sinr_threshold_db=5.0)
    scene = larger.sample(np.random.default_rng(0), batch=3)
    solution = agents.load(trained.folder, system=larger, steps=2).solve(scene, np.random.default_rng(0))
    assert solution.design.coefficients.shape == (3, 12)
    other = ris_gym.systems.make("beampattern", num_antennas=4, num_elements=8, num_sensing_beams=3)
    with pytest.raises(ValueError, match=r"weights\.npz: array 'actor\..* trained for other sizes"):
        agents.load(trained.folder, system=other)


def test_bound_agent_drives_the_environment_it_was_trained_in(trained: Any, system: Any, scene: Any) -> None:
    from agents.policy import make_vector_env

    agent = agents.load(trained.folder)
    env = make_vector_env(system, len(scene), ENV.kwargs(), autoreset_mode="Disabled")
    driver = agent.bind(env)
    observation, _ = env.reset(seed=0, options={"scene": scene})
    best = system.penalised(env.unwrapped.metrics)
    for _ in range(4):
        action, _ = driver.predict(observation)
        assert action.shape == env.action_space.shape
        observation, *_ = env.step(action)
        best = np.maximum(best, system.penalised(env.unwrapped.metrics))
    found = system.evaluate(scene, agent.solve(scene, np.random.default_rng(0)).design)
    assert np.all(system.penalised(found) >= best - 1e-4)


def test_agent_in_a_comparison(trained: Any, system: Any, scene: Any) -> None:
    table = agents.compare(system, [str(trained.folder), "random"], scene, bound=False, single=0)
    assert [row["policy"] for row in table.rows] == ["run", "random"]


class Killed(BaseException):
    pass


def test_killed_run_resumes_to_the_same_result(
    trained: Any, system: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, count = Pauses.__call__, 0

    def kill(self: Pauses) -> bool:
        nonlocal count
        count += 1
        if count == 5:
            raise Killed
        return original(self)

    monkeypatch.setattr(Pauses, "__call__", kill)
    with pytest.raises(Killed):
        agents.train(config(system, tmp_path))
    assert agents.load(tmp_path / "run").solve is not None
    monkeypatch.undo()
    monkeypatch.setattr("agents.pictures.agent_picture", lambda agent, scene: None)
    resumed = agents.train(config(system, tmp_path))
    assert resumed.steps == trained.steps
    assert resumed.curve == trained.curve
    for name in ("agent.json", "weights.npz"):
        assert (resumed.agent / name).read_bytes() == (trained.agent / name).read_bytes()


def test_finished_runs_are_not_touched(trained: Any, system: Any) -> None:
    before = {path: path.read_bytes() for path in trained.folder.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match="is finished"):
        agents.train(config(system, trained.folder.parent))
    with pytest.raises(ValueError, match=r"other values of .*'seed'"):
        agents.train(config(system, trained.folder.parent, seed=1))
    assert before == {path: path.read_bytes() for path in trained.folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps must be at least 1"),
        ({"steps": None, "minutes": None}, "minutes or steps"),
        ({"minutes": -1.0}, "minutes must be positive"),
        ({"validation_scenes": 0}, "validation_scenes"),
        ({"scenes": "nowhere.npz"}, "nowhere.npz"),
        ({"env": EnvSettings(control="telepathy")}, "control"),
        ({"network": Network(ignore=("nonsense",))}, "ignore: .*nonsense"),
        ({"name": "a/b"}, "name must be a plain folder name"),
        ({"system": "nonsense"}, "nonsense"),
    ],
)
def test_wrong_arguments_are_named_and_nothing_is_written(system: Any, tmp_path: Path, changes: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        agents.train(config(system, tmp_path, **changes))
    assert not list(tmp_path.iterdir())


def test_training_on_a_file_keeps_its_test_part_back(system: Any, tmp_path: Path) -> None:
    scene = system.sample(np.random.default_rng(3), batch=24)
    ris_gym.save_scenes(tmp_path / "channels.npz", system, scene)
    result = agents.train(config(system, tmp_path, scenes=str(tmp_path / "channels.npz"), steps=64, network=Network("flat", 8)))
    sets = artefact.read(result.agent).training["config"]["scene_sets"]
    assert {name: part["count"] for name, part in sets.items()} == {"test": 8, "validation": 4, "train": 12}


def test_budget_counts_steps_or_time() -> None:
    budget = Budget(None, 100)
    budget.resume()
    assert budget.fraction(25) == 0.25 and budget.fraction(1000) == 1.0
    timed = Budget(1.0, 100, "cpu")
    timed.resume(30.0)
    assert timed.fraction(10) >= 0.5


def test_hyperparameter_files() -> None:
    for name in ("beampattern", "a system without a file"):
        found = hyperparameters.load(name)
        assert dataclasses.is_dataclass(found) and found.env.episode == "refine"
    with pytest.raises(ValueError, match="PPOSettings has no"):
        hyperparameters._build(PPOSettings, {"nonsense": 1}, "x")
    with pytest.raises(ValueError, match=r"ppo\.num_envs"):
        PPOSettings(num_envs=0)


def test_config_file_is_complete(trained: Any) -> None:
    stored = json.loads((trained.folder / "config.json").read_text())
    assert stored["ppo"]["num_envs"] == 8 and stored["env"]["horizon"] == 4 and stored["system"]["num_elements"] == 8
