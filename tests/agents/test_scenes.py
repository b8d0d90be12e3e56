from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ris_gym
from agents import scenes


def same(first: Any, second: Any) -> None:
    one, two = dict(first.items()), dict(second.items())
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)


def test_frozen_scenes_are_frozen_and_disjoint(system: Any) -> None:
    first, again = (scenes.frozen_scenes(system, "test", 5) for _ in range(2))
    assert first.sha256 == again.sha256
    same(first.scene, again.scene)


def test_splits_seeds_and_blocks_share_no_scene(system: Any) -> None:
    sets = [scenes.frozen_scenes(system, split, 230, seed=seed) for split in ("train", "validation", "test") for seed in (0, 1)]
    for name in ("bs_ris", "ris_user", "bs_user"):
        drawn = [getattr(entry.scene, name).reshape(230, -1)[:, 0] for entry in sets]
        assert np.unique(np.concatenate(drawn)).size == 6 * 230
    assert len({entry.sha256 for entry in sets}) == 6
    environment = system.sample(np.random.default_rng(0), 230)
    assert not np.intersect1d(environment.bs_user, np.concatenate([entry.scene.bs_user for entry in sets])).size


@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize("error", [0.0, 0.2])
def test_the_first_scenes_do_not_depend_on_the_number(system: Any, split: str, error: float) -> None:
    whole = scenes.frozen_scenes(system, split, 250, error)
    for count in (1, 32, 64, 100, 101):
        part = scenes.frozen_scenes(system, split, count, error)
        same(part.scene, whole.scene[np.arange(count)])
        assert part.sha256 == whole.first(count).sha256


@pytest.mark.parametrize(("split", "count"), [("test", 100), ("validation", 64)])
def test_the_usual_numbers_are_one_draw_of_the_sampler(system: Any, split: str, count: int) -> None:
    same(scenes.frozen_scenes(system, split, count).scene, system.sample(scenes.generator(split, 0), batch=count))


def test_estimates_leave_the_truth_alone(system: Any) -> None:
    exact, small, large = (scenes.frozen_scenes(system, "test", 130, error) for error in (0.0, 0.1, 0.4))
    for erroneous in (small, large):
        for link in ("bs_ris", "ris_user", "bs_user"):
            np.testing.assert_array_equal(getattr(exact.scene, link), getattr(erroneous.scene, link))
    assert exact.scene.bs_ris_estimate is None and small.name == exact.name + "/csi-0.1"
    noise = [(entry.scene.bs_ris_estimate - entry.scene.bs_ris) / error for entry, error in ((small, 0.1), (large, 0.4))]
    np.testing.assert_allclose(noise[0], noise[1], rtol=1e-6, atol=1e-12)  # the same errors, scaled
    assert len(np.unique(noise[0].reshape(130, -1)[:, 0])) == 130


def test_hash_sees_values_and_not_the_last_bits(system: Any) -> None:
    scene = scenes.frozen_scenes(system, "test", 20).scene
    whole = scenes.scene_hash(scene)
    assert scenes.scene_hash(scene.map(lambda array: array * (1.0 + 4e-16))) == whole
    assert scenes.scene_hash(scene.replace(bs_user=scene.bs_user * (1.0 + 1e-4))) != whole
    moved = scene.bs_ris.copy()
    moved[3, 1, 2] += 1e-4 * np.sqrt(np.mean(np.abs(moved) ** 2))
    assert scenes.scene_hash(scene.replace(bs_ris=moved)) != whole
    assert scenes.scene_hash(scene[np.arange(20)[::-1]]) != whole
    assert scenes.scene_hash(scene.replace(bs_ris=scene.bs_user, bs_user=scene.bs_ris)) != whole
    assert scenes.scene_hash(scene.replace(bs_ris_scale=None)) != whole


def test_hash_of_odd_arrays(system: Any) -> None:
    scene = scenes.frozen_scenes(system, "test", 2).scene
    hashes = [
        scenes.scene_hash(scene.replace(bs_ris=array))
        for array in (np.zeros((2, 3)), np.array([[0.0, np.nan]]), np.zeros((0, 4)), np.array([[1, 2]]), np.array([[True]]))
    ]
    assert len(set(hashes)) == 5
    assert scenes.scene_hash(scene.replace(bs_ris=-np.zeros((2, 3)))) == hashes[0]


def test_split_of_a_file_is_disjoint_and_complete(system: Any) -> None:
    scene = system.sample(np.random.default_rng(0), batch=30)
    parts = scenes.split_scenes(scene, "channels.npz")
    assert {name: len(part) for name, part in parts.items()} == {"test": 10, "validation": 5, "train": 15}
    seen = np.concatenate([part.scene.bs_user.reshape(len(part), -1)[:, 0] for part in parts.values()])
    assert len(np.unique(seen)) == 30
    assert parts["test"].first(3).scene.bs_user.shape[0] == 3 and parts["test"].first(99) is parts["test"]


def test_everything_that_compare_takes(system: Any, tmp_path: Path) -> None:
    scene = system.sample(np.random.default_rng(0), batch=4)
    ris_gym.save_scenes(tmp_path / "own.npz", system, scene)
    found = {
        "number": scenes.resolve_scenes(system, 4),
        "none": scenes.resolve_scenes(system, None, 4),
        "path": scenes.resolve_scenes(system, tmp_path / "own.npz"),
        "scene": scenes.resolve_scenes(system, scene),
    }
    assert {name: len(entry) for name, entry in found.items()} == dict.fromkeys(found, 4)
    assert found["number"].sha256 == found["none"].sha256 and found["path"].sha256 == found["scene"].sha256
    assert scenes.resolve_scenes(system, found["path"]) is found["path"] and found["path"].name == "own.npz"
    for one, two in itertools.combinations(("number", "scene"), 2):
        assert found[one].sha256 != found[two].sha256


def test_wrong_arguments_are_named(system: Any) -> None:
    with pytest.raises(ValueError, match="split must be one of"):
        scenes.frozen_scenes(system, "exam")
    with pytest.raises(ValueError, match="count must be at least 1"):
        scenes.frozen_scenes(system, count=0)
    with pytest.raises(ValueError, match="holds 2 scenes"):
        scenes.split_scenes(system.sample(np.random.default_rng(0), batch=2), "tiny.npz")
    with pytest.raises(ValueError, match="csi_error must be 0 with scenes of your own"):
        scenes.resolve_scenes(system, system.sample(np.random.default_rng(0), batch=2), csi_error=0.1)
    with pytest.raises(ValueError, match="scenes must be a BeampatternScene.* got bool"):
        scenes.resolve_scenes(system, True)
