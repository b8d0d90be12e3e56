"""The learner of an aim: features against plain forms, what is learned, state, artefact, and the policy in episodes."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import agents
import baselines
import ris_gym
from agents.callbacks import Budget
from agents.hyperparameters import AimSettings, EnvSettings, Hyperparameters
from agents.learners import Setup, build
from agents.rollouts import rollout

SETTINGS = AimSettings(hidden=8, episodes=6, epochs=2, minibatch=64)
TRACKING = EnvSettings(episode="tracking", observation="csi")


@pytest.fixture(scope="module")
def moving() -> Any:
    return ris_gym.systems.make("nonorthogonal", preset="tracking", surface_shape=(3, 2), num_frames=6, snr_db=0.0, speed_mps=8.0)


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.pictures.agent_picture", lambda agent, scene: None)


def setup(system: Any, **changes: Any) -> Setup:
    hyper = Hyperparameters(aim=dataclasses.replace(SETTINGS, **changes), env=TRACKING)
    return Setup(system=system, hyper=hyper, seed=0, budget=Budget(None, 100_000), scenes=None, penalty=1.0)


def train_for(learner: Any, pauses: int) -> None:
    calls = iter(range(pauses + 1))
    learner.learn(lambda: next(calls) < pauses)


def test_aim_of_a_belief(moving: Any) -> None:
    """Features in the polar frame, what the last prediction missed, where an offset places the user, the offset that is right."""
    scene = moving.sample_tracking(np.random.default_rng(0), 5)
    assert moving.aim(moving.sample(np.random.default_rng(0), 2)) is None
    first = moving.aim(moving.known(scene))
    design = moving.decode(moving.known(scene), np.zeros((5, 12)))
    after = moving.step(scene, design, np.random.default_rng(0))[1]
    known = moving.known(after)
    aim = moving.aim(known, first.memory)
    assert aim.features.shape == (5, 19) and aim.features.dtype == np.float32 and np.all(first.features[:, 11:] == 0.0)
    for b in range(5):
        mean, size = after.belief_mean[b], moving.speed_mps * moving.block_time_s
        angle = np.arctan2(mean[1], mean[0])
        radial, tangent = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        distance = np.hypot(*mean[:2])
        wanted = [
            (distance - 20.0) / (1.5 * size), (distance - 6.0) / (1.5 * size),
            (angle - np.pi / 3) * distance / (1.5 * size), (angle + np.pi / 3) * distance / (1.5 * size),
            mean[2:] @ radial / 8.0, mean[2:] @ tangent / 8.0,
        ]  # fmt: skip
        assert np.allclose(aim.features[b, :6], np.clip(wanted, -5, 5), atol=1e-5)
        before = scene.belief_mean[b]
        missed = mean - np.concatenate([before[:2] + 0.5 * before[2:], 0.9 * before[2:]])
        found = [missed[:2] @ radial / size, missed[:2] @ tangent / size, missed[2:] @ radial / 8.0, missed[2:] @ tangent / 8.0]
        assert np.allclose(aim.features[b, 11:15], np.clip(found, -5, 5), atol=1e-5)
    right = aim.target(after)
    there = aim.place(right)
    assert np.allclose(there.spatial_frequency, after.spatial_frequency, atol=1e-9) and there.user_position is None
    assert np.allclose(aim.place(np.zeros((5, 2))).reference["products"], known.reference["products"], atol=1e-9)


def test_the_truth_is_not_seen(moving: Any) -> None:
    scene = moving.sample_tracking(np.random.default_rng(1), 4)
    learner = build("aim", setup(moving))
    elsewhere = scene.replace(user_position=scene.user_position + np.array([1.0, 2.0, 0.0]), velocity=-scene.velocity)
    one, other = (
        learner.agent.solve(moving.known(s), np.random.default_rng(0)).design.coefficients for s in (scene, elsewhere)
    )
    assert np.array_equal(one, other)


def test_untrained_it_is_its_designer(moving: Any) -> None:
    """The network begins with offsets of almost zero, so that what is gained is learned."""
    scene = moving.sample_tracking(np.random.default_rng(2), 8)
    agent = build("aim", setup(moving)).agent
    known = moving.known(scene)
    offset = agent.offset(moving.aim(known).features)
    assert offset.shape == (8, 2) and np.abs(offset).max() < 0.5
    hold = baselines.make("hold", moving)
    ours, theirs = (policy.solve(known, np.random.default_rng(3)) for policy in (agent, hold))
    assert np.mean(np.abs(ours.objective - theirs.objective)) < 0.05
    static = moving.sample(np.random.default_rng(0), 3)
    same = [policy.solve(static, np.random.default_rng(0)) for policy in (agent, hold)]
    assert np.array_equal(same[0].design.coefficients, same[1].design.coefficients)


def test_it_learns_where_the_user_is(moving: Any) -> None:
    """On unseen episodes the learned mean is nearer to the truth than the filter's."""
    learner = build("aim", setup(moving, hidden=32, episodes=64, epochs=4, minibatch=128))
    learner.reseed(np.random.default_rng(1))
    train_for(learner, 30)
    scene, memory = moving.sample_tracking(np.random.default_rng(99), 300), None
    before, after = [], []
    for _ in range(6):
        known = moving.known(scene)
        aim = moving.aim(known, memory)
        right = aim.target(scene)
        before.append(np.linalg.norm(right, axis=1))
        after.append(np.linalg.norm(right - learner.agent.offset(aim.features), axis=1))
        memory = aim.memory
        scene = moving.step(scene, moving.decode(known, moving.start(known)), np.random.default_rng(0))[1]
    assert np.mean(after[2:]) < 0.95 * np.mean(before[2:])
    assert learner.steps == 30 * 64 * 6 and 0.0 < learner.scalars()["train/loss"] < 10.0


def test_state_is_everything(moving: Any) -> None:
    first, second = build("aim", setup(moving)), build("aim", setup(moving))
    first.reseed(np.random.default_rng(1))
    train_for(first, 3)
    second.restore(copy.deepcopy(first.state()))
    for learner in (first, second):
        learner.reseed(np.random.default_rng(3))
        train_for(learner, 2)
    assert first.steps == second.steps == 5 * 36
    for name, array in first.weights().items():
        np.testing.assert_array_equal(array, second.weights()[name])


def test_train_load_and_act(moving: Any, tmp_path: Path) -> None:
    """A run writes an artefact that loads as the same policy; driven by memory it equals the agent bound to an environment."""
    config = agents.TrainConfig(
        system=moving, algorithm="aim", minutes=None, steps=72, folder=str(tmp_path), name="run", validation_scenes=3,
        reference=None, progress=False, aim=SETTINGS, env=TRACKING,
    )  # fmt: skip
    result = agents.train(config)
    agent = agents.load(result.agent)
    assert agent.sequential and agent.designer.name == "hold"
    scene = moving.sample_tracking(np.random.default_rng(5), 2)
    found = rollout(moving, agent, scene, np.random.default_rng(0), 1.0)
    assert np.all(np.isfinite(found.score))
    env = gym.make_vec(
        "ris_gym/NonOrthogonal-v0", num_envs=2, episode="tracking", surface_shape=(3, 2), num_frames=6, snr_db=0.0, speed_mps=8.0,
        dtype="complex128",
    )  # fmt: skip
    observation, _ = env.reset(seed=0, options={"scene": scene})
    driver, state, rewards = agent.bind(env), None, []
    for step in range(6):
        action, state = driver.predict(observation, state, np.full(2, step == 0))
        observation, reward, _, truncated, _ = env.step(action)
        rewards.append(reward)
    assert truncated.all() and np.all(np.isfinite(rewards)) and "aim/belief" in state
    with pytest.raises(ValueError, match="steps must be None"):
        agents.load(result.agent, steps=3)


def test_what_does_not_fit(moving: Any, system: Any) -> None:
    for other, env in ((moving, EnvSettings(episode="one_shot")), (system, EnvSettings(episode="fading"))):
        bad = dataclasses.replace(setup(other), hyper=Hyperparameters(aim=SETTINGS, env=env))
        with pytest.raises(ValueError, match=r"env\.episode must be one whose scenes hold a belief"):
            build("aim", bad)
    for name, value in (("episodes", 0), ("reach_m", -1.0), ("learning_rate", float("nan"))):
        with pytest.raises(ValueError, match=f"aim.{name}"):
            AimSettings(**{name: value})
