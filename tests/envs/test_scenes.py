"""Scenes from files, from a Scene, from options; what the agent knows and what it is judged by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ris_gym import load_scenes, save_scenes
from ris_gym.arrays import Batch


def same(one: Batch, other: Batch) -> bool:
    """Equal arrays, up to single precision."""
    a, b = dict(one.items()), dict(other.items())
    return set(a) == set(b) and all(np.allclose(a[name], b[name], rtol=1e-6, atol=0) for name in a)


@pytest.mark.parametrize("source", ["scene", "path", "string"])
def test_sequential_order(make: Any, paper: Any, source: str, tmp_path: Path) -> None:
    system = make(paper).unwrapped.system
    scenes = system.sample(np.random.default_rng(0), 5)
    if source != "scene":
        save_scenes(tmp_path / "a.npz", system, scenes)
        assert same(load_scenes(tmp_path / "a.npz")[1], scenes) and load_scenes(tmp_path / "a.npz")[0] == system
    given = {"scene": scenes, "path": tmp_path / "a.npz", "string": str(tmp_path / "a.npz")}[source]
    env = make(paper, 3, scenes=given, scenes_order="sequential", horizon=2)
    env.reset(seed=0)
    assert same(env.unwrapped.scene, scenes[:3])
    env.reset()
    assert same(env.unwrapped.scene, scenes[np.array([3, 4, 0])])
    env.reset(options={"reset_mask": np.array([False, True, False])})
    assert same(env.unwrapped.scene, scenes[np.array([3, 1, 0])])


def test_random_order_draws_from_the_set(make: Any, paper: Any) -> None:
    scenes = make(paper).unwrapped.system.sample(np.random.default_rng(0), 3)
    env = make(paper, 40, scenes=scenes)
    env.reset(seed=0)
    drawn = [next(i for i in range(3) if same(scene, scenes[i])) for scene in env.unwrapped.scene]
    assert set(drawn) == {0, 1, 2}


@pytest.mark.parametrize("num_envs", [None, 3])
def test_injected_scenes(make: Any, episode: Any, num_envs: int | None) -> None:
    paper, form = episode
    env = make(paper, num_envs, episode=form.name, horizon=3)
    scenes = getattr(env.unwrapped.system, form.sampler)(np.random.default_rng(4), num_envs or 1)
    options = {"scene": scenes}
    first, _ = env.reset(seed=0, options=options)
    assert list(options) == ["scene"] and same(env.unwrapped.scene, scenes)
    second, _ = env.reset(seed=1, options=options)
    assert np.array_equal(first, second)
    env.reset()
    assert not same(env.unwrapped.scene, scenes)


def test_injected_scenes_with_a_mask(make: Any, paper: Any) -> None:
    env = make(paper, 3)
    env.reset(seed=0)
    before = env.unwrapped.scene
    scenes = env.unwrapped.system.sample(np.random.default_rng(4), 2)
    env.reset(options={"scene": scenes, "reset_mask": np.array([True, False, True])})
    assert same(env.unwrapped.scene[[0, 2]], scenes) and same(env.unwrapped.scene[1], before[1])


def test_the_file_is_for_the_size_of_the_environment(make: Any, elements: Any, paper: Any, tmp_path: Path) -> None:
    system = make(paper, **elements(paper, 6)).unwrapped.system
    save_scenes(tmp_path / "six.npz", system, system.sample(np.random.default_rng(0), 2))
    with pytest.raises(ValueError, match=r"six\.npz"):
        make(paper, scenes=tmp_path / "six.npz")


@pytest.mark.parametrize("control", ["full", "surface"])
def test_csi_error(make: Any, episode: Any, control: str) -> None:
    paper, form = episode
    keywords = {"episode": form.name, "control": control, "action": "box", "csi_error": 0.5, "horizon": 3}
    env = make(paper, 4, dtype="complex128", penalty=1.0, **keywords)
    system, core = env.unwrapped.system, env.unwrapped.core
    observation, _ = env.reset(seed=0)
    for _ in range(2):
        scene, known = env.unwrapped.scene, system.known(env.unwrapped.scene)
        features = {name: np.asarray(value, np.float32).reshape(4, -1) for name, value in system.observe_scene(known).items()}
        truth = {name: np.asarray(value, np.float32).reshape(4, -1) for name, value in system.observe_scene(scene).items()}
        for name, value in features.items():
            start, stop, _ = env.unwrapped.observation_layout[name]
            assert np.allclose(observation[:, start:stop], np.clip(value, -10, 10), atol=1e-5), name
        assert not form.designed or any(not np.allclose(features[name], truth[name]) for name in features)
        raw_before, value_before = core.raw.copy(), core.value.copy()
        action = env.action_space.sample()
        observation, reward, ended, cut, info = env.step(action)
        raw = core.raw if form.kind == "refine" else action.astype(float)
        assert form.kind != "refine" or not np.array_equal(raw, raw_before)
        metrics = system.evaluate(scene, system.project(scene, system.decode(known, raw, control)))
        assert np.allclose(info["objective"], metrics.objective)
        value = system.penalised(metrics, 1.0)
        assert np.allclose(reward, value - value_before if form.kind == "refine" else value, atol=1e-9)
        if (ended | cut).any():
            break


def test_exact_csi_knows_the_scene(make: Any, paper: Any) -> None:
    env = make(paper, 2)
    env.reset(seed=0)
    assert (env.unwrapped.core.known is env.unwrapped.scene) == (not env.unwrapped.system.hidden)
