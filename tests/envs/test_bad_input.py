"""Wrong input raises an error that names the argument, and leaves environment and files as they were."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from ris_gym import registry, save_scenes
from ris_gym import variables as var


def state(env: Any) -> bytes:
    """Everything that an episode depends on."""
    return pickle.dumps((env.unwrapped.core, env.unwrapped.np_random.bit_generator.state))


def bad_actions(shape: tuple[int, ...]) -> list[tuple[str, Any]]:
    nan, inf = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    nan[..., -1], inf[..., 0] = np.nan, -np.inf
    return [
        ("nan", nan), ("inf", inf), ("longer", np.zeros((*shape[:-1], shape[-1] + 1))), ("deeper", np.zeros((1, *shape))),
        ("number", 0.5), ("complex", np.zeros(shape, complex)), ("bool", np.zeros(shape, bool)),
        ("text", np.full(shape, "0")), ("object", np.full(shape, None)), ("none", None), ("dict", {"phase": 0.0}),
    ]  # fmt: skip


@pytest.mark.parametrize("num_envs", [None, 3])
def test_bad_actions(make: Any, episode: Any, num_envs: int | None) -> None:
    paper, form = episode
    env = make(paper, num_envs, episode=form.name, action="box")
    env.reset(seed=0)
    before = state(env)
    for name, action in bad_actions(env.action_space.shape):
        with pytest.raises(ValueError, match="action"):
            env.unwrapped.step(action)
        assert state(env) == before, name


@pytest.mark.parametrize("num_envs", [None, 3])
def test_bad_discrete_actions(make: Any, alphabet: Any, discrete_paper: Any, num_envs: int | None) -> None:
    env = make(discrete_paper, num_envs, control="surface", action="discrete", **alphabet(discrete_paper, 2))
    env.reset(seed=0)
    before, shape = state(env), env.action_space.shape
    for action in (np.full(shape, 4), np.full(shape, -1), np.zeros(shape), np.zeros((*shape, 1), int), np.full(shape, True)):
        with pytest.raises(ValueError, match="action"):
            env.unwrapped.step(action)
        assert state(env) == before


KEYWORDS: list[tuple[str, Any]] = [
    ("episode", "refinement"), ("horizon", 0), ("horizon", 2.5), ("horizon", True), ("step_size", 0.0), ("step_size", np.nan),
    ("step_size", "1"), ("start", "zero"), ("control", "all"), ("action", "continuous"), ("observation", "raw"),
    ("dtype", "float32"), ("dtype", np.complex64), ("penalty", -1.0), ("penalty", np.inf), ("csi_error", -0.1),
    ("csi_error", np.nan), ("correlation", 1.5), ("scenes", 3), ("scenes", "no_such_file.npz"), ("scenes_order", "shuffled"),
    ("render_mode", "human_readable"), ("preset", "none_of_these"), ("num_elements", 0), ("num_elements", 2.0),
    ("no_such_keyword", 1),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), KEYWORDS, ids=[f"{name}={value}" for name, value in KEYWORDS])
def test_bad_keywords(paper: Any, name: str, value: Any) -> None:
    for entry in (paper.env, paper.vector_env):
        with pytest.raises((ValueError, TypeError), match=name):
            registry.load(entry)(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("num_envs", 0), ("num_envs", 1.5), ("max_episode_steps", 0), ("autoreset_mode", "Sometimes"), ("autoreset_mode", None)],
)
def test_bad_vector_keywords(paper: Any, name: str, value: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=name):
        registry.load(paper.vector_env)(**{name: value})


def test_invalid_combinations(paper: Any) -> None:
    make, system_class = registry.load(paper.env), registry.load(paper.system)
    bits, none = ({"phase_bits": b} if hasattr(system_class, "phase_bits") else {} for b in (2, None))
    if not var.discrete(system_class(**none).variables("surface")):
        with pytest.raises(ValueError, match="action='discrete' needs an alphabet"):
            make(action="discrete", control="surface", **none)
    if not var.discrete(system_class(**bits).variables("full")):
        with pytest.raises(ValueError, match="action='discrete' needs an alphabet"):
            make(action="discrete", control="full", **bits)
    for episode in system_class.episodes:
        if episode.kind == "blocks" and episode.length is None:
            with pytest.raises(ValueError, match="horizon must be at least 2"):
                make(episode=episode.name, horizon=1)


def test_bad_options(make: Any, elements: Any, paper: Any) -> None:
    other = make(paper, **elements(paper, 5))
    other.reset(seed=0)
    single, batch = make(paper), make(paper, 3)
    nan = single.unwrapped.system.sample(np.random.default_rng(0), 1).map(lambda array: array * np.nan)
    two = single.unwrapped.system.sample(np.random.default_rng(0), 2)
    for env in (single, batch):
        env.reset(seed=1)
        before = state(env)
        for options, match in (
            ({"scenes": two}, "options may hold 'scene'"),
            ({"scene": 3}, r"options\['scene'\]"),
            ({"scene": {"bs_ris": 1}}, r"options\['scene'\]"),
            ({"scene": two}, r"options\['scene'\] must hold [13] scenes"),
            ({"scene": nan}, r"options\['scene'\]"),
            ({"scene": other.unwrapped.scene}, r"options\['scene'\]"),
        ):
            with pytest.raises((ValueError, TypeError), match=match):
                env.reset(seed=5, options=options)
            assert state(env) == before, options
        with pytest.raises(gymnasium.error.Error, match="[Ss]eed"):
            env.reset(seed=-1)
        assert state(env) == before
    with pytest.raises(TypeError, match="seed"):
        batch.reset(seed=[1, 2, 3])


def test_bad_reset_mask(make: Any, paper: Any) -> None:
    env = make(paper, 3)
    with pytest.raises(ValueError, match="reset_mask.* must be all True"):
        env.reset(options={"reset_mask": np.array([True, False, False])})
    env.reset(seed=1)
    before = state(env)
    for mask in ([True, False, True], np.zeros(3, bool), np.ones(2, bool), np.ones(3, int)):
        with pytest.raises((ValueError, TypeError), match="reset_mask"):
            env.reset(options={"reset_mask": mask})
        assert state(env) == before


# -- files --------------------------------------------------------------------------------------------------------------------


def broken_files(system: Any, folder: Path) -> dict[str, Path]:
    """Scene files that must be refused."""
    scene = system.sample(np.random.default_rng(0), 4)
    good = folder / "good.npz"
    save_scenes(good, system, scene)
    arrays = {name: array for name, array in np.load(good).items() if name != "meta"}
    name = next(iter(arrays))
    made: dict[str, dict[str, Any]] = {
        "missing_array": {key: value for key, value in arrays.items() if key != name},
        "foreign_array": arrays | {"weather": np.ones(4)},
        "nan": arrays | {name: arrays[name] * np.nan},
        "misshapen": arrays | {name: arrays[name][..., :-1]},
        "empty_batch": {key: value[:0] for key, value in arrays.items()},
        "text": arrays | {name: np.full(arrays[name].shape, "a")},
        "bad_meta": arrays | {"meta": np.array("{not json")},
        "other_system": arrays | {"meta": np.array('{"format": 1, "parameters": {"system": "another"}}')},
        "other_format": arrays | {"meta": np.array('{"format": 99}')},
    }
    for case, content in made.items():
        np.savez(folder / f"{case}.npz", **content)
    np.savez(folder / "pickled.npz", **(arrays | {name: np.array([{"a": 1}] * 4, dtype=object)}))
    (folder / "truncated.npz").write_bytes(good.read_bytes()[:-200])
    (folder / "nothing.npz").write_bytes(b"")
    (folder / "words.npz").write_text("not an archive")
    np.save(folder / "bare.npy", np.ones(3))
    with open(folder / "pickle.pkl", "wb") as file:
        pickle.dump({"a": 1}, file)
    return {path.stem: path for path in folder.iterdir() if path != good}


def test_broken_files(make: Any, paper: Any, tmp_path: Path) -> None:
    env = make(paper)
    env.reset(seed=0)
    before = state(env)
    for case, path in broken_files(env.unwrapped.system, tmp_path).items():
        content = path.read_bytes()
        with pytest.raises(ValueError, match=path.name):
            make(paper, scenes=str(path))
        assert path.read_bytes() == content, case
    assert state(env) == before
    assert make(paper, scenes=tmp_path / "good.npz").reset(seed=0)[0].dtype == np.float32
