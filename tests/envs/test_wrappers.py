"""Wrappers tell the same story as the environment."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from ris_gym import variables as var
from ris_gym.envs import CostSignal, DictActions, VectorReward
from ris_gym.envs.spaces import from_dict, to_dict


@pytest.mark.parametrize("penalty", [0.0, 2.5])
def test_vector_reward_weighted_is_the_scalar_reward(make: Any, episode: Any, penalty: float) -> None:
    paper, form = episode
    keywords = {"episode": form.name, "horizon": 3, "penalty": penalty, "dtype": "complex128", "csi_error": 0.1}
    scalar, vector = make(paper, **keywords), VectorReward(make(paper, **keywords))
    assert vector.reward_space.shape == (2,) and vector.unwrapped.reward_space == vector.reward_space
    scalar.action_space.seed(0)
    for seed in (0, 1):
        assert np.array_equal(scalar.reset(seed=seed)[0], vector.reset(seed=seed)[0])
        done = False
        while not done:
            action = scalar.action_space.sample()
            observation, reward, terminated, truncated, info = scalar.step(action)
            mine, parts, *flags, infos = vector.step(action)
            assert np.array_equal(observation, mine) and flags == [terminated, truncated] and infos.keys() == info.keys()
            assert parts in vector.reward_space and parts.dtype == np.float64
            assert np.dot(parts, [1.0, penalty]) == pytest.approx(reward, abs=1e-12)
            done = terminated or truncated


def test_cost_signal(make: Any, episode: Any) -> None:
    paper, form = episode
    scalar, safe = make(paper, episode=form.name, penalty=0.0, horizon=3), CostSignal(make(paper, episode=form.name, horizon=3))
    scalar.reset(seed=0)
    safe.reset(seed=0)
    for _ in range(scalar.unwrapped.horizon):
        action = scalar.action_space.sample()
        _, reward, *_, info = scalar.step(action)
        observation, score, cost, terminated, truncated, _ = safe.step(action)
        assert observation in safe.observation_space and type(terminated) is bool and type(truncated) is bool
        assert score == pytest.approx(reward, abs=1e-5) and cost == info["cost"] >= 0.0 and type(cost) is float


@pytest.mark.parametrize("control", ["full", "surface"])
def test_dict_actions(make: Any, episode: Any, control: str) -> None:
    paper, form = episode
    flat, named = (make(paper, episode=form.name, control=control, action="box", horizon=3) for _ in range(2))
    named = DictActions(named)
    variables = flat.unwrapped.system.variables(control)
    assert isinstance(named.action_space, gymnasium.spaces.Dict) and set(named.action_space) == {v.name for v in variables}
    flat.reset(seed=0)
    named.reset(seed=0)
    raw = flat.action_space.sample()
    if form.kind != "refine" and var.discrete(variables):  # choices are told by their index there
        raw = var.from_index(variables, var.to_index(variables, raw[None]))[0].astype(raw.dtype)
    values = to_dict(variables, raw)
    assert values in named.action_space and np.array_equal(from_dict(variables, values), raw)
    for mine, theirs in zip(flat.step(raw)[:4], named.step(values)[:4], strict=True):
        assert np.array_equal(mine, theirs)


def test_dict_actions_conform(fit: Any, elements: Any, paper: Any) -> None:
    gymnasium.register("DictView-v0", lambda **keywords: DictActions(gymnasium.make(paper.id, **keywords)))
    try:
        env = gymnasium.make("DictView-v0", action="box", disable_env_checker=True, **fit(paper, horizon=2), **elements(paper, 3))
        check_env(env, skip_render_check=True)
    except UserWarning as warning:  # wrapped on purpose
        assert "unwrapped" in str(warning)
    finally:
        del gymnasium.registry["DictView-v0"]


def test_dict_actions_need_a_box(make: Any, alphabet: Any, discrete_paper: Any) -> None:
    with pytest.raises(ValueError, match="action='box'"):
        DictActions(make(discrete_paper, control="surface", action="discrete", **alphabet(discrete_paper, 1)))


def test_dict_actions_refuse(make: Any, paper: Any) -> None:
    env = DictActions(make(paper, action="box"))
    env.reset(seed=0)
    good = env.action_space.sample()
    name = next(iter(good))
    for bad in ({}, {**good, "other": 1.0}, {**good, name: np.zeros(99)}, np.zeros(3), None):
        with pytest.raises(ValueError, match="action"):
            env.step(bad)
    assert env.unwrapped.core.steps[0] == 0


def test_modes_and_choices_by_name() -> None:
    variables = (
        var.Variable("mode", (2,), "mode", "surface"),
        var.Variable("split", (), "fraction", "surface"),
        var.Variable("beam", (), "choice", "bs", 5),
        var.Variable("w", (2, 1), "cartesian", "bs"),
    )
    raw = np.array([0.5, -0.5, 0.25, -0.2, 0.1, 0.2, 0.3, 0.4], np.float32)
    values = to_dict(variables, raw)
    assert values["mode"].tolist() == [0, 1] and values["beam"].tolist() == [2] and values["w"].shape == (2, 2, 1)
    back = from_dict(variables, values)
    assert np.allclose(back[[0, 1, 2, 4, 5, 6, 7]], raw[[0, 1, 2, 4, 5, 6, 7]]) and var.split(variables, back[None])["beam"] == 2
