"""Policies drive environments."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

import baselines
import ris_gym  # noqa: F401

SMALL = {"num_antennas": 4, "num_elements": 8, "sinr_threshold_db": 15.0, "dtype": "complex128"}
ID = "ris_gym/Beampattern-v0"


class Counting:
    """Counts the scenes that a policy is asked for."""

    def __init__(self, policy):
        self.policy, self.scenes, self.name, self.privileged = policy, 0, policy.name, False

    def solve(self, known, rng):
        self.scenes += len(known)
        return self.policy.solve(known, rng)


def drive(env, model, steps):
    observation, _ = env.reset(seed=1)
    state, total, info = None, 0.0, {}
    for _ in range(steps):
        action, state = model.predict(observation, state=state, episode_start=None, deterministic=True)
        assert action.shape == env.action_space.shape and action.dtype == env.action_space.dtype
        assert env.action_space.contains(action)
        observation, reward, terminated, truncated, info = env.step(action)
        total += reward
        if np.all(terminated | np.asarray(truncated)):
            break
    return total, info


@pytest.mark.parametrize("control", ["full", "surface"])
def test_refine_ends_at_the_design(control):
    env = gym.make(ID, control=control, **SMALL)
    core = env.unwrapped
    policy = baselines.make("separate", core.system)
    counting = Counting(policy)
    model = baselines.binding.BoundPolicy(counting, env, seed=3)
    drive(env, model, 100)
    assert counting.scenes == 1
    known = core.system.known(core.scene)
    seeded = np.random.default_rng(3)
    solution = policy.solve(known, seeded)
    goal = core.system.decode(known, core.system.encode(known, solution.design, control), control)
    np.testing.assert_allclose(core.metrics.objective, core.system.evaluate(core.scene, goal).objective, atol=1e-4)


@pytest.mark.parametrize("episode", ["one_shot", "fading"])
def test_one_action_is_the_design(episode):
    env = gym.make(ID, episode=episode, **SMALL)
    policy = baselines.make("ao", env.unwrapped.system, rounds=2)
    model = policy.bind(env)
    observation, _ = env.reset(seed=2)
    known = env.unwrapped.system.known(env.unwrapped.scene)
    action, _ = model.predict(observation)
    expected = env.unwrapped.system.evaluate(known, env.unwrapped.system.decode(known, action[None].astype(float)))
    _, _, _, _, info = env.step(action)
    assert info["objective"] == pytest.approx(float(expected.objective[0]), abs=1e-4)


def test_vector_environment_solves_each_scene_once():
    env = gym.make_vec(ID, num_envs=3, **SMALL)
    counting = Counting(baselines.make("separate", env.unwrapped.system))
    model = baselines.binding.BoundPolicy(counting, env)
    drive(env, model, env.unwrapped.horizon)
    assert counting.scenes == 3


def test_discrete_surface():
    env = gym.make(ID, control="surface", action="discrete", phase_bits=2, episode="one_shot", **SMALL)
    model = baselines.make("joint", env.unwrapped.system, starts=1).bind(env)
    drive(env, model, 1)
