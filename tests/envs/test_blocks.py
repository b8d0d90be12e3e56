"""Episodes of their own: a hidden state, a belief, a length and a preset; policies with a memory."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from toy.walker import Walker, WalkerDesign, WalkerEnv, WalkerVectorEnv

from baselines.binding import BoundPolicy
from ris_gym import testing

LENGTH = 3  # of the preset "wide"


@pytest.mark.parametrize(("form", "observation"), [("tracking", "csi"), ("tracking", "local"), ("refine", "csi")])
def test_conformance(form: str, observation: str) -> None:
    from stable_baselines3.common.env_checker import check_env as sb3_check

    gymnasium.register("Walker-v0", WalkerEnv)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            keywords = {"episode": form, "observation": observation} | ({"horizon": 2} if form == "refine" else {})
            env = gymnasium.make("Walker-v0", **keywords).unwrapped
            check_env(env, skip_render_check=True)
            sb3_check(env, warn=True, skip_render_check=True)
            testing.check_vector_env(WalkerVectorEnv, single=WalkerEnv, **keywords)
    finally:
        del gymnasium.registry["Walker-v0"]


def test_time_limit_and_double_precision() -> None:
    for limit in (1, 2, 4):
        make = lambda max_episode_steps=None, **keywords: (  # noqa: E731
            gymnasium.wrappers.TimeLimit(WalkerEnv(**keywords), max_episode_steps)
        )
        testing.check_vector_env(WalkerVectorEnv, single=make, episode="tracking", max_episode_steps=limit, dtype="complex128")


def test_projection_of_an_episode_s_scenes() -> None:
    testing.check_projection(Walker(), sampler="sample_path")
    testing.check_gradient(Walker(), sampler="sample_path")


def test_preset_length_and_end() -> None:
    assert WalkerEnv(episode="tracking").system == Walker(num_frames=3, speed=0.2)
    assert WalkerEnv(episode="tracking", num_frames=4).system == Walker(num_frames=4, speed=0.2)
    assert WalkerEnv().system == Walker() and WalkerEnv(episode="tracking", preset="wide").horizon == LENGTH
    env = WalkerVectorEnv(2, episode="tracking", autoreset_mode="Disabled")
    env.reset(seed=0)
    for step in range(1, LENGTH + 1):
        *_, terminated, truncated, info = env.step(np.zeros((2, 1)))
        assert not terminated.any() and truncated.all() == (step == LENGTH)
        assert (info["frame"] == step - 1).all() and (env.metrics.frame == step).all()


@pytest.mark.parametrize(
    ("keywords", "match"),
    [
        ({"episode": "tracking", "horizon": 4}, "horizon does not apply in episode='tracking': must be 16, got 4"),
        ({"episode": "tracking", "start": "random"}, "start .* got 'random'"),
        ({"episode": "tracking", "step_size": 0.5}, "step_size .* got 0.5"),
        ({"episode": "tracking", "correlation": 1.0}, "correlation .* got 1.0"),
        ({"episode": "tracking", "num_frames": 1}, "num_frames must be at least 2, got 1"),
        ({"episode": "tracking", "speed": 0.0}, "speed must be positive"),
        ({"episode": "tracking", "scenes": Walker().sample(np.random.default_rng(0), 4)}, "scenes: .* need belief"),
        ({"episode": "tracking", "scenes": Walker(num_frames=2).sample_path(np.random.default_rng(0))}, "scenes: .* 3 dec.* 2"),
        ({"scenes": Walker().sample_path(np.random.default_rng(0), 4)}, "scenes: .* have no belief"),
    ],
)
def test_refused(keywords: dict[str, Any], match: str) -> None:
    for make in (WalkerEnv, WalkerVectorEnv):
        with pytest.raises(ValueError, match=match):
            make(**keywords)


def test_the_truth_is_judged_and_the_belief_is_seen() -> None:
    env = WalkerVectorEnv(4, episode="tracking", dtype="complex128", autoreset_mode="Disabled")
    observation, _ = env.reset(seed=3)
    for _ in range(LENGTH):
        scene, aim = env.scene, np.random.default_rng(1).uniform(-1.0, 1.0, (4, 1))
        assert np.allclose(env.core.observer.scene(env.core.known), observation[:, :2])
        assert env.core.known.position is None and np.allclose(env.core.known.mean, scene.mean)
        assert np.allclose(observation[:, 0], scene.mean, atol=1e-6)
        observation, reward, *_, info = env.step(aim)
        assert np.allclose(reward, 1.0 - (scene.position - 2.0 * aim[:, 0]) ** 2) and np.allclose(reward, info["objective"])
        assert np.allclose(info["position_error"], np.abs(scene.position - scene.mean))
        assert not np.allclose(env.scene.position, scene.position) and not np.allclose(env.scene.mean, scene.mean)
        assert np.allclose(env.metrics.score, 1.0 - (env.scene.position - 2.0 * aim[:, 0]) ** 2)
        start, stop, _ = env.observation_layout["score"]
        assert np.allclose(observation[:, start], 1.0 - (env.scene.mean - 2.0 * aim[:, 0]) ** 2, atol=1e-6) and stop == start + 1


def test_partial_resets_and_injected_paths() -> None:
    env = WalkerVectorEnv(3, episode="tracking", autoreset_mode="Disabled")
    env.reset(seed=0)
    env.step(np.zeros((3, 1)))
    before, mask = env.scene, np.array([False, True, False])
    given = env.system.sample_path(np.random.default_rng(5), 1)
    first, _ = env.reset(options={"reset_mask": mask, "scene": given})
    assert env.scene.frame.tolist() == [1, 0, 1] and np.allclose(env.scene.noise[1], given.noise[0])
    assert all(np.array_equal(array[~mask], dict(before.items())[name][~mask]) for name, array in env.scene.items())
    again, _ = WalkerEnv(episode="tracking").reset(seed=9, options={"scene": given})
    assert np.allclose(first[1], again, atol=1e-6)
    for bad in (env.system.sample(np.random.default_rng(0), 1), given.replace(frame=np.array([1]))):
        with pytest.raises(ValueError, match=r"options\['scene'\]: "):
            env.reset(options={"reset_mask": mask, "scene": bad})


def test_same_step_begins_a_new_path() -> None:
    env = WalkerVectorEnv(2, episode="tracking", autoreset_mode="SameStep")
    env.reset(seed=0)
    env.step(np.zeros((2, 1)))
    env.reset(options={"reset_mask": np.array([True, False])})
    env.step(np.zeros((2, 1)))
    *_, truncated, info = env.step(np.zeros((2, 1)))
    assert truncated.tolist() == [False, True] and env.scene.frame.tolist() == [2, 0]
    assert info["final_info"]["frame"][1] == LENGTH - 1 and info["frame"][0] == 1


# -- policies ---------------------------------------------------------------------------------------------------------------


class Follower:
    """Points at the mean and counts in its memory; writes down what it was asked."""

    name = "follower"

    def __init__(self, sequential: bool = True, privileged: bool = False) -> None:
        self.sequential, self.privileged = sequential, privileged
        self.asked: list[Any] = []

    def solve(self, known: Any, rng: np.random.Generator, *extra: Any) -> Any:
        assert len(extra) == self.sequential
        memory = extra[0] if extra else None
        self.asked.append((known, memory))
        count = np.zeros(len(known), np.int64) if memory is None else memory["count"]
        aim = known.position if self.privileged else known.mean
        return SimpleNamespace(design=WalkerDesign(aim=aim), memory={"count": count + 1, "aim": aim[:, None]})


def test_memory_travels_in_the_state() -> None:
    env, policy = WalkerVectorEnv(2, episode="tracking", autoreset_mode="SameStep"), Follower()
    model = BoundPolicy(policy, env)
    observation, _ = env.reset(seed=0)
    state = None
    counts = []
    for step in range(5):
        action, state = model.predict(observation, state, np.zeros(2, bool))
        assert action.shape == (2, 1) and action.dtype == np.float32 and np.allclose(2.0 * action[:, 0], env.scene.mean)
        counts.append(state["count"].tolist())
        same, again = model.predict(observation, state)  # asked twice about one decision: not solved again
        assert np.array_equal(same, action) and again["count"].tolist() == counts[-1]
        observation, *_ = env.step(action)
        if step == 0:
            observation, _ = env.reset(options={"reset_mask": np.array([True, False])})
    assert counts == [[1, 1], [1, 2], [2, 3], [3, 1], [1, 2]]
    assert all(memory is None or set(memory) == {"count", "aim"} for _, memory in policy.asked)
    forgetful, kept = model.predict(observation, state, np.array([False, True]))[1], state
    assert forgetful["count"].tolist() == [2, 1] and kept["count"].tolist() == [1, 2]
    for bad in ({"count": np.zeros(3)}, {"count": 1.0}, np.zeros(2)):
        with pytest.raises(ValueError, match="state"):
            model.predict(observation, bad)


def test_no_state_is_no_memory_and_static_policies_have_none() -> None:
    env, policy = WalkerEnv(episode="tracking"), Follower()
    model = BoundPolicy(policy, env)
    observation, _ = env.reset(seed=0)
    for _ in range(2):
        action, state = model.predict(observation)
        assert action.shape == (1,) and state["count"].tolist() == [1]
        observation, *_ = env.step(action)
    assert BoundPolicy(Follower(sequential=False), env).predict(observation, "anything")[1] == "anything"


def test_privileged_policies_see_the_truth() -> None:
    env = WalkerVectorEnv(3, episode="tracking", dtype="complex128")
    model = BoundPolicy(Follower(privileged=True), env)
    observation, _ = env.reset(seed=0)
    state = None
    for _ in range(LENGTH):
        action, state = model.predict(observation, state)
        observation, reward, *_ = env.step(action)
        assert np.allclose(reward, 1.0, atol=1e-6)
