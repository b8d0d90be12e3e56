from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agents import play


def test_gif_has_all_frames_and_is_atomic(tmp_path: Path) -> None:
    frames = [np.full((20, 30, 3), 40 * i, np.uint8) for i in range(4)]
    path = play.write_gif(tmp_path / "a.gif", frames, fps=5.0)
    with Image.open(path) as image:
        assert getattr(image, "n_frames", 1) == 4 and image.size == (30, 20)
    assert [p.name for p in tmp_path.iterdir()] == ["a.gif"]


def test_an_episode_of_a_baseline(system: object, tmp_path: Path) -> None:
    pytest.importorskip("ris_gym.envs.rendering")
    path = play.play(system, "random", tmp_path / "random.gif")
    with Image.open(path) as image:
        assert getattr(image, "n_frames", 1) > 2
