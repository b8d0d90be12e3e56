"""Adding a paper is three files and one register line: everything that is found by the registries works for the toy paper."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from toy.system import Toy

import baselines
import ris_gym
from ris_gym import registry, systems


@pytest.fixture
def system() -> Toy:
    return systems.make("toy", num_elements=3)


def test_registered_once() -> None:
    assert "toy" in systems.names() and registry.get("toy").id == "ris_gym/Toy-v0"
    with pytest.raises(ValueError, match="name must be new, 'toy'"):
        ris_gym.register("toy", "Toy")


def test_systems_make(system: Toy) -> None:
    assert isinstance(system, Toy) and systems.Toy is Toy and systems.get("toy") is Toy
    assert systems.make("toy", preset="coarse").phase_bits == 1
    assert systems.from_dict(system.to_dict()) == system


def test_gymnasium_make() -> None:
    env = gymnasium.make("ris_gym/Toy-v0", num_elements=3, episode="one_shot", control="surface")
    observation, _ = env.reset(seed=1)
    assert env.observation_space.contains(observation) and env.action_space.shape == (3,)
    _, reward, terminated, truncated, info = env.step(np.zeros(3, np.float32))
    assert terminated and not truncated and reward == pytest.approx(-info["power_db"] / 10.0 - 3.0 * info["cost"])
    env.close()


@pytest.mark.parametrize("action", ["box", "discrete"])
def test_make_vec(action: str) -> None:
    env = gymnasium.make_vec("ris_gym/Toy-v0", num_envs=5, phase_bits=2, control="surface", action=action, horizon=3)
    env.reset(seed=0)
    for _ in range(4):
        observation, reward, *_ = env.step(env.action_space.sample())
    assert observation.shape[0] == 5 and np.isfinite(observation).all() and np.isfinite(reward).all()
    env.close()


def test_baselines(system: Toy) -> None:
    names = baselines.names(system)
    assert names[0] == "align" and {"gradient", "random"} <= set(names[1:])
    scene = system.sample(np.random.default_rng(0), 200)
    bound = baselines.bound(system, scene)
    best = baselines.make("align", system).solve(system.known(scene), np.random.default_rng(1))
    certified = bound.status == "certified"
    assert certified.all() and best.feasible.all()
    assert np.allclose(best.objective, bound.value, atol=1e-9)
    for name in names[1:]:
        other = baselines.make(name, system).solve(system.known(scene), np.random.default_rng(2))
        assert np.all(system.sense * (bound.value - other.objective)[other.feasible] >= -1e-3)


def test_bound_policy_drives_the_environment() -> None:
    env = gymnasium.make_vec("ris_gym/Toy-v0", num_envs=4, horizon=16, step_size=0.5, dtype="complex128")
    policy = baselines.make("align", env.unwrapped.system).bind(env)
    observation, _ = env.reset(seed=3)
    for _ in range(15):
        action, _ = policy.predict(observation)
        observation, *_ = env.step(action)
    optimum = env.unwrapped.system.optimum_db(env.unwrapped.scene)
    assert np.allclose(env.unwrapped.metrics.objective, optimum, atol=1e-4)
    env.close()
