from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agents import scenes


def test_frozen_scenes_are_frozen_and_disjoint(system: Any) -> None:
    first, again = (scenes.frozen_scenes(system, "test", 5) for _ in range(2))
    assert first.sha256 == again.sha256 and first.name == "beampattern/test-v1"
    others = [scenes.frozen_scenes(system, split, 5) for split in ("train", "validation")]
    assert len({first.sha256, *(other.sha256 for other in others)}) == 3
    for other in others:
        assert not np.intersect1d(first.scene.bs_user, other.scene.bs_user).size


def test_split_of_a_file_is_disjoint_and_complete(system: Any) -> None:
    scene = system.sample(np.random.default_rng(0), batch=30)
    parts = scenes.split_scenes(scene, "channels.npz")
    assert {name: len(part) for name, part in parts.items()} == {"test": 10, "validation": 5, "train": 15}
    seen = np.concatenate([part.scene.bs_user.reshape(len(part), -1)[:, 0] for part in parts.values()])
    assert len(np.unique(seen)) == 30
    assert parts["test"].first(3).scene.bs_user.shape[0] == 3 and parts["test"].first(99) is parts["test"]


def test_wrong_arguments_are_named(system: Any) -> None:
    with pytest.raises(ValueError, match="split must be one of"):
        scenes.frozen_scenes(system, "exam")
    with pytest.raises(ValueError, match="count must be at least 1"):
        scenes.frozen_scenes(system, count=0)
    with pytest.raises(ValueError, match="holds 2 scenes"):
        scenes.split_scenes(system.sample(np.random.default_rng(0), batch=2), "tiny.npz")
