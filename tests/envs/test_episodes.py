"""Lengths, ends and returns of episodes; clipping of observations."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

from ris_gym import registry

LENGTH = 4


def run(env: Any, seed: int = 0) -> tuple[int, bool, bool, float]:
    """Length, flags and return of an episode of random actions."""
    env.reset(seed=seed)
    env.action_space.seed(seed)
    total = 0.0
    for length in range(1, 100):
        _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        total += reward
        if terminated or truncated:
            return length, terminated, truncated, total
    raise AssertionError("no end")


def expected(kind: str) -> int:
    return 1 if kind == "single" else LENGTH


def test_length_and_end(make: Any, episode: Any) -> None:
    paper, form = episode
    env = make(paper, episode=form.name, horizon=LENGTH)
    length, terminated, truncated, _ = run(env)
    if form.length is None:
        assert length == expected(form.kind) == min(env.unwrapped.horizon, LENGTH)
    assert length == env.unwrapped.horizon
    assert (terminated, truncated) == (form.ends == "terminated", form.ends == "truncated")
    assert terminated is True or terminated is False
    assert truncated is True or truncated is False


@pytest.mark.parametrize("limit", [1, 3, 4, 9])
def test_time_limit(make: Any, episode: Any, limit: int) -> None:
    paper, form = episode
    single = make(paper, episode=form.name, horizon=LENGTH, max_episode_steps=limit)
    horizon = single.unwrapped.horizon
    length, terminated, truncated, _ = run(single)
    assert length == min(limit, horizon)
    assert terminated == (length == horizon and form.ends == "terminated")
    assert truncated == (length == limit or form.ends == "truncated")
    batch = make(paper, 2, episode=form.name, horizon=LENGTH, max_episode_steps=limit)
    batch.reset(seed=0)
    for step in range(1, length + 1):
        _, _, ends, cuts, _ = batch.step(batch.action_space.sample())
        assert (ends | cuts).all() == (step == length)
    assert (ends == terminated).all() and (cuts == truncated).all()


def test_needs_reset(make: Any, episode: Any) -> None:
    from gymnasium.error import ResetNeeded

    paper, form = episode
    env = make(paper, episode=form.name, horizon=LENGTH).unwrapped
    with pytest.raises(ResetNeeded):
        env.step(env.action_space.sample())
    run(env)
    with pytest.raises(ResetNeeded):
        env.step(env.action_space.sample())
    batch = make(paper, 2, episode=form.name, horizon=LENGTH)
    with pytest.raises(ResetNeeded):
        batch.step(batch.action_space.sample())


@pytest.mark.parametrize(("dtype", "tolerance"), [("complex64", 1e-5), ("complex128", 1e-12)])
@pytest.mark.parametrize("csi_error", [0.0, 0.2])
def test_return_of_refine_is_the_gain(make: Any, refine_paper: Any, dtype: str, tolerance: float, csi_error: float) -> None:
    env = make(refine_paper, horizon=6, dtype=dtype, csi_error=csi_error, penalty=1.7, start="random")
    env.reset(seed=1)
    env.action_space.seed(1)
    core = env.unwrapped.core
    first = core.metrics.score[0] - 1.7 * core.metrics.cost[0]
    total, terminated = 0.0, False
    while not terminated:
        _, reward, terminated, _, info = env.step(env.action_space.sample())
        total += reward
        assert type(reward) is float
    assert total == pytest.approx(info["score"] - 1.7 * info["cost"] - first, abs=tolerance)


def test_reward_of_other_episodes_is_the_penalised_score(make: Any, episode: Any) -> None:
    paper, form = episode
    if form.kind == "refine":
        return
    env = make(paper, episode=form.name, horizon=LENGTH, penalty=2.5)
    env.reset(seed=2)
    _, reward, *_, info = env.step(env.action_space.sample())
    assert reward == pytest.approx(info["score"] - 2.5 * info["cost"], abs=1e-5)


@pytest.mark.parametrize("observation", ["csi", "local"])
@pytest.mark.parametrize("start", ["rule", "random"])
def test_observations_are_hardly_ever_clipped(make: Any, elements: Any, paper: Any, observation: str, start: str) -> None:
    system = registry.load(paper.system)
    if observation not in system.observations:
        return
    size = elements(paper, 12) | ({"num_antennas": system.num_antennas} if hasattr(system, "num_antennas") else {})
    assert_hardly_clipped(make(paper, 64, horizon=8, observation=observation, start=start, **size))


def test_observations_of_presets_are_hardly_ever_clipped(fit: Any, local_preset: Any) -> None:
    """At full size."""
    paper, name, observation = local_preset
    assert_hardly_clipped(gymnasium.make_vec(paper.id, 8, **fit(paper, horizon=4), observation=observation, preset=name))


def assert_hardly_clipped(env: Any) -> None:
    """Two episodes of random actions with under 1e-4 of the entries at the limit of the space."""
    env.action_space.seed(0)
    values, _ = env.reset(seed=0)
    clipped = total = 0
    for _ in range(9):
        clipped, total = clipped + int(np.sum(np.abs(values) >= 10.0)), total + values.size
        values, *_ = env.step(env.action_space.sample())
    assert np.isfinite(values).all() and values.dtype == np.float32
    assert clipped < 1e-4 * total
    env.close()


def test_actions_outside_the_box_are_clipped(make: Any, paper: Any) -> None:
    one, other = (make(paper, action="box", horizon=3) for _ in range(2))
    one.reset(seed=0)
    other.reset(seed=0)
    action = np.linspace(-1e300, 1e300, one.action_space.shape[0])
    assert np.array_equal(one.step(action)[0], other.step(np.sign(action))[0])


def test_layout_covers_the_observation(combination: Any) -> None:
    name, keywords = combination
    env = gymnasium.make(name, disable_env_checker=True, **keywords).unwrapped
    stop = 0
    for start, end, shape in env.observation_layout.values():
        assert start == stop and end - start == int(np.prod(shape))
        stop = end
    assert stop == env.observation_space.shape[0]
    env.close()
