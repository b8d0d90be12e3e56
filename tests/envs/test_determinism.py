"""Same seed, same bytes; copies go on like the original; nothing depends on global state."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest


def trace(env: Any, steps: int, actions: list[Any]) -> bytes:
    """Bytes of what the next steps return (NEXT_STEP or single; singles are reset after an end)."""
    out = []
    for action in actions[:steps]:
        observation, reward, terminated, truncated, info = env.step(action)
        out += [observation.tobytes(), np.asarray([reward, terminated, truncated]).tobytes(), repr(info).encode()]
        if not hasattr(env, "num_envs") and (terminated or truncated):
            out.append(env.reset()[0].tobytes())
    return b"".join(out)


def actions_of(env: Any, count: int) -> list[Any]:
    env.action_space.seed(7)
    return [env.action_space.sample() for _ in range(count)]


@pytest.mark.parametrize("num_envs", [None, 3])
def test_same_seed_same_bytes(make: Any, episode: Any, num_envs: int | None) -> None:
    paper, form = episode
    keywords = {"episode": form.name, "horizon": 3, "csi_error": 0.1, "start": "random"}
    traces = []
    for seed, noise in ((5, 0), (5, 1), (6, 0)):
        np.random.seed(noise)  # noqa: NPY002 - the environments must not look at it
        env = make(paper, num_envs, **keywords)
        first = env.reset(seed=seed)[0].tobytes()
        traces.append(first + trace(env, 8, actions_of(env, 8)))
    assert traces[0] == traces[1]
    assert traces[0] != traces[2]


@pytest.mark.parametrize("num_envs", [None, 3])
def test_reset_without_seed_goes_on(make: Any, paper: Any, num_envs: int | None) -> None:
    env = make(paper, num_envs)
    action, observations = actions_of(env, 1)[0], []
    for seed in (3, None, 3):
        env.reset(seed=seed)
        observations.append(env.step(action)[0])
    assert np.array_equal(observations[0], observations[2]) and not np.array_equal(observations[0], observations[1])


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))], ids=["deepcopy", "pickle"])
@pytest.mark.parametrize("num_envs", [None, 3])
def test_copies_in_mid_episode(make: Any, episode: Any, num_envs: int | None, duplicate: Any) -> None:
    paper, form = episode
    env = make(paper, num_envs, episode=form.name, horizon=4, csi_error=0.1).unwrapped
    actions = actions_of(env, 10)
    env.reset(seed=0)
    if env.horizon > 1:
        env.step(actions[0])
    twin = duplicate(env)
    assert trace(env, 9, actions[1:]) == trace(twin, 9, actions[1:])


def test_pickled_before_reset(make: Any, paper: Any) -> None:
    env = make(paper)
    twin = pickle.loads(pickle.dumps(env))
    assert np.array_equal(env.reset(seed=1)[0], twin.reset(seed=1)[0])


def test_returned_arrays_are_the_callers_own(make: Any, paper: Any) -> None:
    one, other = make(paper, 2, horizon=4), make(paper, 2, horizon=4)
    actions = actions_of(one, 3)
    for env in (one, other):
        env.reset(seed=0)
    for action in actions:
        mine, theirs = one.step(action.copy()), other.step(action)
        assert np.array_equal(mine[0], theirs[0]) and np.array_equal(mine[1], theirs[1])
        for array in (*theirs[:4], *(v for v in theirs[4].values() if isinstance(v, np.ndarray)), action):
            array[...] = 0
