"""The learner protocol, PPO and SAC against it, and loading of other kinds of agents."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import agents
from agents import artefact, learners
from agents.callbacks import Budget
from agents.hyperparameters import EnvSettings, Hyperparameters, Network, PPOSettings, SACSettings
from agents.learners import Setup, build

SAC = SACSettings(
    num_envs=4, train_freq=4, gradient_steps=2, batch_size=16, buffer_size=64, learning_starts=16, critic_hidden=8, critic_first=2
)
FORMS = {
    "refine": (EnvSettings(horizon=4), Network(hidden=8, ignore=("bs_ris",))),
    "one_shot": (EnvSettings(episode="one_shot", control="full", observation="csi"), Network("flat", 8)),
    "fading": (EnvSettings(episode="fading", control="full", observation="csi", horizon=6), Network("flat", 8)),
}


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.pictures.agent_picture", lambda agent, scene: None)


def setup(system: Any, form: str = "refine", **changes: Any) -> Setup:
    env, network = FORMS[form]
    ppo = PPOSettings(num_envs=4, n_steps=4, batch_size=8, n_epochs=1)
    hyper = Hyperparameters(ppo=ppo, sac=dataclasses.replace(SAC, **changes), network=network, env=env)
    return Setup(system=system, hyper=hyper, seed=0, budget=Budget(None, 1000), scenes=None, penalty=1.0)


def train_for(learner: Any, pauses: int) -> None:
    calls = iter(range(pauses + 1))
    learner.learn(lambda: next(calls) < pauses)


def config(system: Any, folder: Path, **changes: Any) -> Any:
    env, network = FORMS[changes.pop("form", "refine")]
    values: dict[str, Any] = {
        "system": system, "algorithm": "sac", "minutes": None, "steps": 96, "folder": str(folder), "validation_scenes": 3,
        "reference": None, "progress": False, "sac": SAC, "network": network, "env": env, "name": "run",
    }  # fmt: skip
    return agents.TrainConfig(**(values | changes))


@pytest.mark.parametrize("algorithm", ["ppo", "sac"])
def test_state_is_everything(system: Any, algorithm: str) -> None:
    """A learner restored from the state of another and reseeded alike goes on exactly like it."""
    first, second = build(algorithm, setup(system)), build(algorithm, setup(system))
    first.reseed(np.random.default_rng(1))
    train_for(first, 3)
    second.reseed(np.random.default_rng(2))
    train_for(second, 1)
    assert (first.steps, second.steps) == (48, 16)
    second.restore(copy.deepcopy(first.state()))
    for learner in (first, second):
        learner.reseed(np.random.default_rng(3))
        train_for(learner, 3)
    ours, theirs = first.weights(), second.weights()
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])
    assert any(np.any(value != build(algorithm, setup(system)).weights()[name]) for name, value in ours.items())
    assert {name for name in first.scalars() if name.startswith("rollout/")} >= {"rollout/ep_rew_mean", "rollout/success_rate"}
    first.close()
    second.close()


def test_sac_begins_gently(system: Any) -> None:
    """First transitions come from the untrained actor with its small deviation, and the critics learn first."""
    learner = build("sac", setup(system, critic_first=4, log_std_init=-3.0, learning_starts=32))
    before = learner.weights()
    learner.reseed(np.random.default_rng(0))
    train_for(learner, 2)
    buffer = learner.model.replay_buffer
    assert np.abs(buffer.actions[: buffer.pos]).max() < 0.35 and learner.model._n_updates == 0
    critics = [value.clone() for value in learner.model.critic.parameters()]
    train_for(learner, 2)
    assert learner.model._n_updates == 4
    assert any(not torch.equal(a, b) for a, b in zip(critics, learner.model.critic.parameters(), strict=True))
    for name, value in learner.weights().items():
        np.testing.assert_array_equal(value, before[name])
    train_for(learner, 1)
    assert any(np.any(value != before[name]) for name, value in learner.weights().items())


@pytest.mark.parametrize("form", sorted(FORMS))
def test_replay_buffer_holds_what_happened(system: Any, form: str) -> None:
    """Brute force: record the environment and compare. Natural ends are terminal; time limits are bootstrapped."""
    learner = build("sac", setup(system, form))
    learner.reseed(np.random.default_rng(0))
    seen: list[Any] = []
    original = learner._vector.step

    def step(actions: np.ndarray) -> Any:
        out = original(actions)
        seen.append((actions.copy(), *(np.array(part) for part in out[:4]), out[4].get("final_obs")))
        return out

    learner._vector.step = step
    observation = np.array(learner.model._last_obs)
    train_for(learner, 2)
    buffer = learner.model.replay_buffer
    reads = buffer.reads
    ends = 0
    for i, (action, following, reward, terminated, truncated, final) in enumerate(seen):
        done = terminated | truncated
        ends += int(done.sum())
        then = np.array([final[k] if done[k] else following[k] for k in range(4)])
        np.testing.assert_array_equal(buffer.observations[i], observation[:, reads])
        then[terminated & ~truncated] = 0  # nothing is bootstrapped from them
        np.testing.assert_array_equal(buffer.next_observations[i], then[:, reads])
        np.testing.assert_array_equal(buffer.actions[i], action)
        np.testing.assert_allclose(buffer.rewards[i], reward, rtol=1e-6)
        np.testing.assert_array_equal(buffer.dones[i] * (1 - buffer.timeouts[i]), terminated & ~truncated)
        observation = following
    assert len(seen) == 8 and ends == {"refine": 8, "one_shot": 32, "fading": 4}[form]
    assert np.all(buffer.timeouts[: buffer.pos] == 0) == (form != "fading")


@pytest.mark.parametrize("pauses", [2, 5])
@pytest.mark.parametrize("form", sorted(FORMS))
def test_replay_buffer_is_restored(system: Any, form: str, pauses: int) -> None:
    """Half full and overwritten, across the new episodes of a reseed; the state holds few of the next observations."""
    learner, other = build("sac", setup(system, form)), build("sac", setup(system, form))
    for i in range(pauses):
        learner.reseed(np.random.default_rng(i))
        train_for(learner, 1)
    state = learner.state()["replay"]
    stored, restored = learner.model.replay_buffer, other.model.replay_buffer
    assert stored.full == (pauses == 5) and len(state["next_observations"]) <= state["observations"].shape[0]
    restored.restore(state)
    assert (restored.pos, restored.full) == (stored.pos, stored.full)
    for name in ("observations", "next_observations", "actions", "rewards", "dones", "timeouts"):
        np.testing.assert_array_equal(getattr(restored, name), getattr(stored, name))


def test_replay_buffer_gives_networks_what_they_read(system: Any) -> None:
    """Entries that are not stored come back as zeros, and the networks answer as if they were there."""
    learner = build("sac", setup(system))
    learner.reseed(np.random.default_rng(0))
    train_for(learner, 1)
    buffer, policy = learner.model.replay_buffer, learner.model.policy
    ignored = slice(*learner.interface["observation_layout"]["bs_ris"][:2])
    assert buffer.observations.shape[-1] < buffer.width - 30
    sample = buffer.sample(5)
    assert torch.all(sample.observations[:, ignored] == 0) and sample.observations.shape == (5, buffer.width)
    whole = sample.observations.clone()
    whole[:, np.setdiff1d(np.arange(buffer.width), buffer.reads)] = torch.randn(5, buffer.width - len(buffer.reads))
    with torch.no_grad():
        torch.testing.assert_close(policy.actor.mean(whole), policy.actor.mean(sample.observations))
        for a, b in zip(
            policy.critic(whole, sample.actions), policy.critic(sample.observations, sample.actions), strict=True
        ):
            torch.testing.assert_close(a, b)


def test_critic_sees_the_action(system: Any) -> None:
    learner = build("sac", setup(system))
    observation = torch.as_tensor(learner._vector.reset(seed=0)[0])
    action = torch.zeros(4, learner.features.action_size, requires_grad=True)
    first, second = learner.model.policy.critic(observation, action)
    (first + second).sum().backward()
    assert action.grad is not None and torch.all(action.grad != 0).item() and first.shape == (4, 1)


@pytest.mark.parametrize("form", sorted(FORMS))
def test_sac_agents_are_saved_and_loaded(system: Any, scene: Any, tmp_path: Path, form: str) -> None:
    result = agents.train(config(system, tmp_path, form=form))
    assert result.steps == 96 and result.curve[-1]["steps"] == 96
    stored = artefact.read(result.agent)
    assert stored.network["squash"] is True and stored.training["algorithm"] == "sac"
    assert set(stored.training["config"]) >= {"sac", "network", "env"} and "ppo" not in stored.training["config"]
    agent = agents.load(result.agent)
    solution = agent.solve(system.known(scene), np.random.default_rng(0))
    assert np.all(np.isfinite(solution.objective))
    observation = np.random.default_rng(0).normal(size=(3, agent._env(1).single_observation_space.shape[0]))
    raw = agent.actor(torch.as_tensor(observation, dtype=torch.float32)).detach().numpy()
    np.testing.assert_allclose(agent.act(observation), np.tanh(raw), atol=1e-6)


def test_equal_seeds_write_equal_bytes(system: Any, tmp_path: Path) -> None:
    for algorithm in ("ppo", "sac"):
        ppo = PPOSettings(num_envs=4, n_steps=4, batch_size=8, n_epochs=1)
        found = []
        for folder in ("a", "b"):
            result = agents.train(config(system, tmp_path / algorithm / folder, algorithm=algorithm, ppo=ppo, steps=64))
            found.append([(result.agent / name).read_bytes() for name in ("agent.json", "weights.npz")])
        assert found[0] == found[1]


def test_a_checkpoint_of_something_else_is_refused(system: Any, tmp_path: Path) -> None:
    run = agents.train(config(system, tmp_path, steps=32)).folder
    (run / "done.json").unlink()
    state = torch.load(run / "checkpoint" / "state.pt", weights_only=True)
    del state["learner"]["replay"]
    torch.save(state, run / "checkpoint" / "state.pt")
    with pytest.raises(ValueError, match=r"state\.pt: not usable as a checkpoint .*replay"):
        agents.train(config(system, tmp_path, steps=32))


def test_wrong_algorithms_and_settings(system: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="algorithm must be one of .*got 'dqn'"):
        agents.train(config(system, tmp_path, algorithm="dqn"))
    for changes, message in (
        ({"train_freq": 0}, "sac.train_freq"),
        ({"buffer_size": 3}, "sac.buffer_size"),
        ({"gamma": 1.5}, "sac.gamma"),
        ({"ent_coef": 0.0}, "sac.ent_coef"),
        ({"critic_first": -1}, "sac.critic_first"),
    ):
        with pytest.raises(ValueError, match=message):
            dataclasses.replace(SAC, **changes)
    assert not list(tmp_path.iterdir())


def test_loading_never_unpickles(system: Any, scene: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = agents.train(config(system, tmp_path, steps=32)).agent
    for name in ("weights.pkl", "agent.pkl", "weights.npy", "state.pt"):
        (folder / name).write_bytes(pickle.dumps({"x": 1}))

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("unpickled")

    for module, names in ((pickle, ("load", "loads", "Unpickler")), (torch, ("load",))):
        for name in names:
            monkeypatch.setattr(module, name, refuse)
    agent = agents.load(folder)
    assert len(agent.solve(system.known(scene), np.random.default_rng(0)).objective) == len(scene)


@pytest.mark.parametrize("change", ["shape", "name", "missing"])
def test_weights_of_another_network_are_named(system: Any, tmp_path: Path, change: str) -> None:
    folder = agents.train(config(system, tmp_path, steps=32)).agent
    stored = artefact.read(folder)
    name = sorted(key for key in stored.weights if key.startswith("actor."))[0]
    weights = dict(stored.weights)
    array = weights.pop(name)
    if change != "missing":
        weights[name + "x" if change == "name" else name] = array[..., None] if change == "shape" else array
    artefact.write(folder, dataclasses.replace(stored, weights=weights))
    with pytest.raises(ValueError, match=r"weights\.npz: array 'actor\..* has shape .*, needed"):
        agents.load(folder)


def test_other_kinds_of_agents_have_their_own_loader(
    system: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A learner of another kind, from `TrainConfig.algorithm` to `agents.load`."""

    class Constant:
        """Adds one to a number in every update."""

        def __init__(self, value: float, name: str = "") -> None:
            self.value, self.name = np.full(1, value), name
            self.network, self.env = {"kind": "constant"}, {"id": "ris_gym/Beampattern-v0", "kwargs": {}}
            self.interface: dict[str, Any] = {}
            self.agent, self.steps, self.seeds = self, 0, []

        def solve(self, known: Any, rng: np.random.Generator) -> Any:
            return types.SimpleNamespace(design=system.decode(known, np.zeros((len(known), 24)), control="full"))

        def learn(self, pause: Any) -> None:
            while pause():
                self.value, self.steps = self.value + 1, self.steps + 10

        def weights(self) -> dict[str, np.ndarray]:
            return {"value": self.value}

        def state(self) -> dict[str, Any]:
            return {"value": self.value, "steps": self.steps}

        def restore(self, state: dict[str, Any]) -> None:
            self.value, self.steps = state["value"].numpy(), state["steps"]

        def reseed(self, rng: np.random.Generator) -> None:
            self.seeds.append(int(rng.integers(2**31)))

        def scalars(self) -> dict[str, float]:
            return {"train/value": float(self.value[0])}

        def close(self) -> None:
            pass

    module = types.ModuleType("constant_learner")
    module.build = lambda setup: Constant(0.0)  # type: ignore[attr-defined]

    def load(stored: Any, system: Any, penalty: Any, steps: Any, name: str) -> Constant:
        if stored.weights["value"][0] > 100:
            raise ValueError("value must be at most 100")
        return Constant(float(stored.weights["value"][0]), name)

    module.load = load  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "constant_learner", module)
    monkeypatch.setitem(learners.LEARNERS, "unfolded", "constant_learner")
    monkeypatch.setitem(learners.KINDS, "constant", "constant_learner")
    result = agents.train(config(system, tmp_path, algorithm="unfolded", steps=100))
    assert result.steps == 100 and [point["steps"] for point in result.curve] == [10.0 * i for i in range(11)]
    agent = agents.load(result.folder)
    assert type(agent).__name__ == "Constant" and agent.name == "run"
    stored = json.loads((result.folder / "config.json").read_text())
    assert stored["algorithm"] == "unfolded" and "unfolded" in stored and "sac" not in stored
    artefact.write(result.agent, dataclasses.replace(artefact.read(result.agent), weights={"value": np.full(1, 101.0)}))
    with pytest.raises(ValueError, match="agent: value must be at most 100"):
        agents.load(result.folder)
