"""Every valid combination of keywords conforms to Gymnasium, stable-baselines3 and our own checks, without a warning."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium
import pytest
from gymnasium.utils.env_checker import check_env as gymnasium_check

from ris_gym import testing

Combination = tuple[str, dict[str, Any]]


@pytest.fixture(autouse=True)
def no_warning() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_single(combination: Combination) -> None:
    from stable_baselines3.common.env_checker import check_env as sb3_check

    name, keywords = combination
    env = gymnasium.make(name, **keywords).unwrapped
    gymnasium_check(env, skip_render_check=True)
    sb3_check(env, warn=True, skip_render_check=True)
    env.close()


def test_vector(vector_combination: Combination) -> None:
    name, keywords = vector_combination
    testing.check_vector_env(name, num_envs=2, **keywords)


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_vector_with_time_limit(fit: Any, paper: Any, limit: int) -> None:
    testing.check_vector_env(paper.id, num_envs=3, max_episode_steps=limit, **fit(paper, horizon=3))


def test_double_precision(fit: Any, paper: Any) -> None:
    keywords = fit(paper, horizon=2, start="random")
    testing.check_vector_env(paper.id, num_envs=3, dtype="complex128", tolerance=1e-6, **keywords)


def test_gymnasium_checks_rendering_too(fit: Any, elements: Any, paper: Any) -> None:
    env = gymnasium.make(paper.id, render_mode="rgb_array", **fit(paper, horizon=2), **elements(paper, 3)).unwrapped
    gymnasium_check(env)
    env.close()


def test_gymnasium_wrappers(make: Any, paper: Any) -> None:
    env = make(paper, 3, horizon=3)
    env = gymnasium.wrappers.vector.RecordEpisodeStatistics(gymnasium.wrappers.vector.NormalizeReward(env))
    env.reset(seed=0)
    for _ in range(env.unwrapped.horizon):
        *_, infos = env.step(env.action_space.sample())
    assert infos["_episode"].all() and (infos["episode"]["l"] == env.unwrapped.horizon).all()
