"""Frames: shape, change with the design, scenes without positions or design; matplotlib is optional."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from ris_gym.envs.rendering import figure, pixels


def is_frame(frame: Any) -> bool:
    return isinstance(frame, np.ndarray) and frame.dtype == np.uint8 and frame.ndim == 3 and frame.shape[2] == 3


def test_frames_change_with_the_design(make: Any, episode: Any) -> None:
    paper, form = episode
    env = make(paper, episode=form.name, horizon=2, render_mode="rgb_array")
    env.reset(seed=0)
    before = env.render()
    env.step(np.full(env.action_space.shape, 0.7, np.float32))
    after = env.render()
    assert is_frame(before) and is_frame(after) and before.shape == after.shape
    assert not np.array_equal(before, after) and before.std() > 10
    assert np.array_equal(after, env.render())


def test_vector_frames(make: Any, paper: Any) -> None:
    env = make(paper, 2, episode="one_shot", render_mode="rgb_array", autoreset_mode="SameStep")
    env.reset(seed=0)
    first = env.render()
    assert isinstance(first, tuple) and len(first) == 2 and all(is_frame(frame) for frame in first)
    env.step(env.action_space.sample())
    again = env.render()
    assert np.array_equal(again[0], first[0]) or env.unwrapped.core.steps[0] == 0


def test_no_frame_without_render_mode_or_before_reset(make: Any, paper: Any) -> None:
    from gymnasium.error import ResetNeeded

    env = make(paper).unwrapped
    env.reset(seed=0)
    assert env.render() is None
    for num_envs in (None, 2):
        with pytest.raises(ResetNeeded):
            make(paper, num_envs, render_mode="rgb_array").unwrapped.render()


def test_figure_for_agents(make: Any, paper: Any, tmp_path: Any) -> None:
    env = make(paper, 3)
    env.reset(seed=0)
    system, scene, design = env.unwrapped.system, env.unwrapped.scene, env.unwrapped.design
    drawn = figure(system, scene, design, index=2, title="after training")
    drawn.savefig(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 5000
    assert not np.array_equal(pixels(drawn), pixels(figure(system, scene, design, index=1, title="after training")))
    assert np.array_equal(pixels(drawn), pixels(figure(system, scene.to_torch(), design.to_torch(), 2, "after training")))
    assert is_frame(pixels(figure(system, scene)))
    with pytest.raises(IndexError):
        figure(system, scene, design, index=3)


def test_without_positions() -> None:
    from ris_gym import systems

    system = systems.make("beampattern", num_elements=4, num_users=2, sinr_threshold_db=(3.0, 5.0))
    scene = system.sample(np.random.default_rng(0), 1)
    design = system.decode(scene, np.zeros((1, sum(v.size for v in system.variables()))))
    bare = scene.replace(bs_position=None, ris_position=None, user_position=None)
    with_map, without = figure(system, scene, design), figure(system, bare, design)
    assert len(with_map.axes) == len(without.axes) + 1
    assert is_frame(pixels(without))


def test_a_clear_error_without_matplotlib() -> None:
    program = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "import gymnasium, ris_gym\n"
        "env = gymnasium.make('ris_gym/Beampattern-v0', num_elements=3, render_mode='rgb_array')\n"
        "env.reset(seed=0)\n"
        "try:\n    env.render()\nexcept ImportError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "rendering needs matplotlib: pip install 'ris_gym[agents]'" in done.stdout
