"""`Vehicular`: actions by name and by index, the ruled share, what observations show, the end, options, picture."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import gymnasium
import numpy as np
import pytest

from ris_gym.envs.pictures.vehicular import half_power
from ris_gym.systems.vehicular import beams, motion, planning

ID = "ris_gym/Vehicular-v0"


def make(num_envs: int | None = None, **keywords: Any) -> Any:
    if num_envs is None:
        return gymnasium.make(ID, disable_env_checker=True, **keywords).unwrapped
    return gymnasium.make_vec(ID, num_envs, **keywords).unwrapped


def test_discrete_actions_are_the_page_s_grids() -> None:
    env = make(action="discrete", preset="reciprocity", choose_reflector=True)
    assert env.action_space.nvec.tolist() == [9] * 3 + [5] * 6 + [3] * 3
    env.reset(seed=0)
    env.step(np.array([0, 5, 8, 0, 1, 4, 2, 3, 0, 0, 1, 2]))
    design = env.design
    assert np.allclose(design.sensing_share, [[0.0, 0.16, 1.0]]) and np.allclose(design.reflect_width, [[0.0, 0.25, 1.0]])
    assert np.allclose(design.refract_width, [[0.5, 0.75, 0.0]]) and design.reflector.tolist() == [[0, 1, 2]]
    assert np.isclose(env.metrics.time_sensing[0], 1.16 / 3)


@pytest.mark.parametrize("named", ["tracking", "requirement"])
def test_ruled_share(named: str) -> None:
    env = make(2, control="surface", preset=named, dtype="complex128")
    env.reset(seed=0)
    for _ in range(3):
        known = env.system.known(env.scene)
        env.step(np.full((2, 6), -0.2))
        look = motion.outlook(env.system, known)
        if named == "tracking":
            share = np.where(beams.mean_gain(64, look.spread, 0.0, 1) < 0.8, 0.1, 0.0)
        else:
            full = look.echo * beams.mean_gain(64, look.spread, 12.0 * 0.4 * look.spread, 2) * 10**-0.1
            share = np.minimum(10**1.8 / full, 1.0)
        assert np.allclose(env.design.sensing_share, share) and np.allclose(env.design.reflect_width, 0.4)
        assert np.array_equal(share, planning.ruled_share(env.system, known, np.full((2, 3), 0.4))) or named != "tracking"


def test_observation_is_the_belief_in_each_vehicle_s_slot() -> None:
    env = make(preset="reciprocity", dtype="complex128", report_period=2, num_frames=4)
    observation, _ = env.reset(seed=3)
    for frame in range(4):
        scene, layout = env.scene, env.observation_layout
        part = {name: observation[start:stop] for name, (start, stop, _) in layout.items()}
        for k in range(3):
            dt = (k + 1) * 0.05 / 3
            f, q = np.array([[1, dt], [0, 1]]), 0.5 * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
            (x, v), p = f @ scene.belief_mean[0, k], f @ scene.belief_cov[0, k] @ f.T + q
            r = np.hypot(x, 30.0)
            wanted = {
                "position": x / 50, "velocity": (v - 15) / 5, "spread": np.log10(900 / r**3 * np.sqrt(p[0, 0])),
                "speed_std": 0.5 * np.log10(p[1, 1]), "correlation": p[0, 1] / np.sqrt(p[0, 0] * p[1, 1]),
                "comm_snr": 1.6762884 - 2 * np.log10(r / 30), "echo_snr": 2.9452830 - 4 * np.log10(r / 30),
                "helper_snr": np.log10(max(scene.helper_snr[0, k], 0.1)),
            }  # fmt: skip
            for name, value in wanted.items():
                assert part[name][k] == pytest.approx(value, abs=2e-6), name
        assert np.allclose(part["clock"], [(2 - frame % 2) / 2, 1 - frame / 4, 1.05])
        observation, _, terminated, truncated, info = env.step(np.full(9, -0.5))
        assert (terminated, truncated) == (frame == 3, False)
        assert info["counted"] == float(frame > 0) and (frame > 0 or info["cost"] == 0.0)
    assert observation[env.observation_layout["clock"][0] + 1] == 0.0


@pytest.mark.parametrize("keywords", [
    {"observation": "local"}, {"control": "structured"}, {"episode": "fading"}, {"csi_error": 0.1}, {"horizon": 8},
    {"step_size": 0.5}, {"start": "random"}, {"correlation": 0.5},
], ids=str)  # fmt: skip
def test_what_does_not_apply(keywords: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(keywords))):
        make(**keywords)


def test_no_derivatives() -> None:
    env = make()
    env.reset(seed=0)
    known = env.system.known(env.scene)
    with pytest.raises(ValueError, match="no derivatives"):
        env.system.score_gradient(known, np.zeros((1, 9)))
    with pytest.raises(ValueError, match="no derivatives"):
        env.system.landscape(known)


def test_half_power_of_a_beam() -> None:
    """0.4 m and 1.9 m of road at x = 0 and 40 m for the data beam, half of it for the echo; wide beams cover the belief."""
    system = make().system
    data, echo = half_power(system, 0.0, 1), half_power(system, 0.0, 2)
    for x, metres in ((0.0, 0.4), (40.0, 1.9)):
        assert data * (x**2 + 900) ** 1.5 / 900 == pytest.approx(metres, abs=0.05)
    assert data == pytest.approx(2 * echo, rel=0.02) and half_power(system, 0.3, 1) > 0.1


@pytest.mark.parametrize("keywords", [{"preset": "reciprocity"}, {"unauthorised_radar": True}, {"num_users": 9}], ids=str)
def test_picture_shows_the_frame_played(keywords: dict[str, Any]) -> None:
    env = make(num_cols=8, num_frames=4, render_mode="rgb_array", **keywords)
    env.reset(seed=0)
    frames, before = [env.render()], env.scene
    for _ in range(2):
        before = env.scene
        env.step(env.action_space.sample())
        frames.append(env.render())
    assert env.core.played is before and env.core.path(0).shape == (2, 2)
    assert all(not np.array_equal(a, b) for a, b in pairwise(frames))
    assert np.allclose(env.core.path(0)[-1, 0], env.metrics.objective[0])
