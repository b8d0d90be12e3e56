"""Corners that once went wrong: precision, discrete phases, measured channels, seeds."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import baselines
import ris_gym
from agents.scenes import SPLITS, generator

SMALL: dict[str, Any] = {"num_antennas": 3, "num_elements": 4}
ID = "ris_gym/Beampattern-v0"


def measured(system: Any, count: int, seed: int = 0) -> Any:
    """Channels without anything but themselves, as a user measures them."""
    drawn = system.sample(np.random.default_rng(seed), count)
    return system.scene(bs_ris=drawn.bs_ris, ris_user=drawn.ris_user, bs_user=drawn.bs_user)


@pytest.mark.parametrize("control", ["full", "structured", "surface"])
@pytest.mark.parametrize("users", [1, 2])
@pytest.mark.parametrize("sensing", [0, 2])
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_controls_with_and_without_sensing_beams(control: str, users: int, sensing: int, dtype: str) -> None:
    env = gym.make(ID, control=control, num_users=users, num_sensing_beams=sensing, dtype=dtype, **SMALL)
    check_env(env.unwrapped, skip_render_check=True)


@pytest.mark.parametrize("control", ["full", "structured", "surface"])
def test_rounded_phases_have_the_straight_through_derivative(control: str) -> None:
    system = ris_gym.systems.make("beampattern", phase_bits=2, **SMALL)
    known = system.sample(np.random.default_rng(0), 6)
    raw = np.random.default_rng(1).uniform(-1.0, 1.0, system.start(known, control).shape)
    _, gradient = system.score_gradient(known, raw, control)
    phases = gradient[:, : system.num_elements]
    assert np.all(np.linalg.norm(phases, axis=1) > 1e-3)
    smooth = ris_gym.systems.make("beampattern", **SMALL)
    rounded = raw.copy()
    rounded[:, : system.num_elements] = np.floor(2.0 * raw[:, : system.num_elements] + 0.5) / 2.0
    np.testing.assert_allclose(phases, smooth.score_gradient(known, rounded, control)[1][:, : system.num_elements], atol=1e-9)


@pytest.mark.parametrize("episode", ["refine", "one_shot"])
def test_sequential_scenes_start_anew_with_a_seed(episode: str) -> None:
    system = ris_gym.systems.make("beampattern", **SMALL)
    env = gym.make(ID, episode=episode, scenes=measured(system, 5), scenes_order="sequential", **SMALL)
    check_env(env.unwrapped, skip_render_check=True)
    first, _ = env.reset(seed=1)
    second, _ = env.reset()
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(env.reset(seed=1)[0], first)


@pytest.mark.parametrize("estimates", [False, True])
def test_measured_channels_fade_and_reset_in_part(estimates: bool) -> None:
    system = ris_gym.systems.make("beampattern", **SMALL)
    scenes = measured(system, 6)
    if estimates:
        scenes = system.draw_estimates(scenes, np.random.default_rng(3), 0.1)
    env = gym.make_vec(ID, num_envs=3, episode="fading", scenes=scenes, autoreset_mode="Disabled", **SMALL)
    env.reset(seed=0)
    actions = env.action_space.sample()
    env.step(actions)
    observation, _ = env.reset(options={"reset_mask": np.array([True, False, False])})
    assert np.isfinite(observation).all()
    assert np.isfinite(env.step(actions)[1]).all()


def test_a_partial_reset_on_other_arrays_says_so_and_changes_nothing() -> None:
    system = ris_gym.systems.make("beampattern", **SMALL)
    env = gym.make_vec(ID, num_envs=2, autoreset_mode="Disabled", **SMALL)
    env.reset(seed=0, options={"scene": measured(system, 2)})
    before = env.unwrapped.core.observe()
    with pytest.raises(ValueError, match="begin all episodes anew"):
        env.reset(options={"reset_mask": np.array([True, False])})
    np.testing.assert_array_equal(env.unwrapped.core.observe(), before)


def test_a_scene_scores_the_same_alone_and_among_others() -> None:
    system = ris_gym.systems.make("beampattern", **SMALL)
    scenes = measured(system, 3)
    scenes = scenes.replace(bs_ris=scenes.bs_ris * np.array([1.0, 2.0, 4.0])[:, None, None])
    env = gym.make_vec(ID, num_envs=3, dtype="complex128", **SMALL)
    env.reset(options={"scene": scenes})
    raw = env.unwrapped.raw
    alone = [system.evaluate(scenes[i], system.decode(scenes[i], raw[i : i + 1])).score[0] for i in range(3)]
    np.testing.assert_allclose(env.unwrapped.metrics.score, alone, atol=1e-12)


@pytest.mark.parametrize("control", ["full", "structured", "surface"])
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("kind", ["blocked user", "equal users"])
def test_degenerate_scenes_are_served(control: str, dtype: str, kind: str) -> None:
    system = ris_gym.systems.make("beampattern", num_users=2, cancel_sensing=False, **SMALL)
    scene = measured(system, 2)
    ris_user, bs_user = scene.ris_user.copy(), scene.bs_user.copy()
    if kind == "blocked user":
        ris_user[:, 1] = 0.0
    else:
        ris_user[:, 1], bs_user[:, 1] = ris_user[:, 0], bs_user[:, 0]
    scene = scene.replace(ris_user=ris_user, bs_user=bs_user)
    env = gym.make_vec(ID, num_envs=2, control=control, dtype=dtype, num_users=2, cancel_sensing=False, **SMALL)
    observation, _ = env.reset(options={"scene": scene})
    assert np.isfinite(observation).all()
    observation, reward, *_ = env.step(env.action_space.sample())
    assert np.isfinite(observation).all() and np.isfinite(reward).all()
    if dtype == "complex128" and control == "full":
        solution = baselines.make("prox_linear", system, steps=2).solve(scene, np.random.default_rng(0))
        assert np.isfinite(solution.objective).all()


def test_no_plain_seed_draws_a_frozen_set() -> None:
    drawn = {split: generator(split, 0).random() for split in SPLITS}
    assert len(set(drawn.values())) == len(SPLITS)
    assert not set(drawn.values()) & {np.random.default_rng(seed).random() for seed in range(100)}


def test_true_scales_are_hidden_with_the_channels() -> None:
    system = ris_gym.systems.make("beampattern", **SMALL)
    known = system.known(system.sample(np.random.default_rng(0), 2, csi_error=0.1))
    assert known.bs_user_scale is None and known.bs_ris_scale is None
