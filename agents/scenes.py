"""Frozen scene sets: train, validation and test never share a scene, and every set has a name and a hash.

Sampled scenes: the streams of the splits are spawned from the seed, so they are independent of each other and of
`numpy.random.default_rng(n)` for every n, which users seed environments with. Scenes are drawn in blocks of fixed size, each
with a stream of its own: the first n scenes are the same whatever number is asked for. Estimates (`csi_error`) have streams of
their own too, so the true channels do not depend on them. Scenes of a file: one fixed permutation cuts the file into
test, validation and training scenes. A form of episode may have a sampler of its own (`Episode.sampler`: sequential scenes, one
per episode); `episode=` names it, and its sets have names of their own.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import os
import warnings
from typing import Any

import numpy as np

from agents import test_sets

__all__ = [
    "BLOCK", "SPLITS", "FrozenScenes", "ScenesDiffer", "draw_scenes", "episode_preset", "frozen_scenes", "generator",
    "named_scenes", "own_sampler", "resolve_scenes", "scene_hash", "split_scenes",
]  # fmt: skip

SPLITS = {"train": 1, "validation": 2, "test": 3, "policy": 4, "stream": 5, "csi": 6, "world": 7}
"""Streams: three splits of scenes, the policies' own numbers, the learners', the errors of estimates, and what the steps of a
sequential world draw (all of its noise is in the scenes: nothing, unless a system says otherwise)."""
BLOCK = {"train": 100, "validation": 64, "test": 100}
"""Scenes per block: 100 test and 64 validation scenes, the usual numbers, are one draw of the sampler."""
COUNT = 100
"""Scenes of a set that are used unless a number is given."""
HASH_BITS = 20
"""Values are hashed to 2^-20 of (the power of two below) the rms of their array, about 1e-6."""
SINGLE_BITS = 8
"""The same of noise drawn in single precision, where a set says so: 2^-8, about 0.4 %."""


@dataclasses.dataclass(frozen=True)
class FrozenScenes:
    """A scene set with the facts that identify it: `name` (for instance `beampattern/test-v1`), `seed` and `sha256`; `episode`
    where an episode's own sampler drew the scenes; `single`: of a declared set with noise drawn in single precision."""

    scene: Any
    name: str
    split: str
    seed: int | None
    sha256: str
    episode: str | None = None
    single: bool = False

    def __len__(self) -> int:
        return len(self.scene)

    def first(self, count: int) -> FrozenScenes:
        """The first `count` of them (all, if there are fewer)."""
        if count >= len(self):
            return self
        part = self.scene[np.arange(count)]
        return dataclasses.replace(self, scene=part, sha256=scene_hash(part, self.single))

    def describe(self) -> dict[str, Any]:
        """What is stored in results; `sha256` is that of these scenes, not of the whole set."""
        facts = {"name": self.name, "split": self.split, "seed": self.seed, "count": len(self), "sha256": self.sha256}
        return facts if self.episode is None else {**facts, "episode": self.episode}


def generator(split: str, *keys: int) -> np.random.Generator:
    """The generator of a split: independent of those of all other splits and keys (a key of 0 at the end counts as none)."""
    return np.random.default_rng(np.random.SeedSequence(entropy=[0, *keys], spawn_key=(SPLITS[split],)))


def scene_hash(scene: Any, single: bool = False) -> str:
    """SHA-256 of names, shapes and values of the arrays of a scene, equal on machines whose results differ in the last bits.

    `reference`, which the system computes from the others, is left out: factors of a matrix are unique only up to phases.

    Sines, powers and square roots differ between libraries by about 1e-16 of the value. So a value x is hashed as the whole
    number nearest to x / step, where step = 2^(floor(log2 rms) - 20) of its array: 1e-6 of the rms or less. Changes below
    the step may go unnoticed, which is no harm: they change no result beyond the sixth digit. A value so near the middle
    between two steps that its last bits decide would break the equality; for the declared sets a test shows that there is none.

    Noise drawn in single precision has so few bits that many values lie there. Most are exact everywhere, but the tails of normal
    numbers come from a logarithm, and then the last bit of *single* precision differs. `single`: arrays whose values are all of
    single precision are hashed with steps of 2^-8.
    """
    digest = hashlib.sha256()
    for name, array in scene.items():
        if name.startswith("reference/"):
            continue
        array = np.asarray(array)
        digest.update(f"{name}{array.shape}{array.dtype.kind}".encode())
        digest.update(_rounded(array, single).astype("<f8").tobytes())
    return digest.hexdigest()


def _rounded(array: np.ndarray, single: bool) -> np.ndarray:
    """Values in steps of 2^-20 (2^-8) rms, rounded; whole numbers and flags as they are."""
    if array.dtype.kind == "c":
        array = np.stack([array.real, array.imag])
    if array.dtype.kind != "f":
        return array
    array = array.astype(np.float64)
    return np.asarray(np.rint(array / hash_step(array, single)) + 0.0)  # + 0.0: no negative zeros


def hash_step(array: np.ndarray, single: bool = False) -> float:
    """The step of `scene_hash` for real values (real and imaginary parts together), a power of two."""
    bits = SINGLE_BITS if single and np.array_equal(array, array.astype(np.float32)) else HASH_BITS
    rms = math.sqrt(float(np.mean(array**2))) if array.size else 0.0
    return math.ldexp(1.0, math.frexp(rms)[1] - 1 - bits) if rms > 0.0 and math.isfinite(rms) else 1.0


def own_sampler(system: Any, episode: str | None) -> Any:
    """The `Episode` of a name if it draws its scenes by a method of its own, None where `system.sample` does.

    Raises:
        ValueError: the system has no such episode.
    """
    if episode is None:
        return None
    offered = {entry.name: entry for entry in system.episodes}
    if episode not in offered:
        raise ValueError(f"episode must be one of {tuple(offered)} for {system.name}, got {episode!r}")
    return offered[episode] if offered[episode].sampler != "sample" else None


def episode_preset(system_class: Any, episode: str | None) -> str | None:
    """The preset that a form of episode takes where none is given, or None."""
    return next((entry.preset for entry in system_class.episodes if entry.name == episode), None)


def frozen_scenes(
    system: Any, split: str = "test", count: int = COUNT, csi_error: float = 0.0, seed: int = 0, episode: str | None = None
) -> FrozenScenes:
    """The first `count` scenes of a stream; equal arguments give equal scenes, and a smaller count the first of a larger one's.

    Args:
        system: the parameters; split: `train`, `validation` or `test`; seed: of the stream.
        csi_error: relative error of estimates that are drawn beside the true channels, with a stream of their own.
        episode: the form of episode that the scenes are for; it matters where that has a sampler of its own.

    Where a set is declared for exactly these parameters (`agents.test_sets`) and holds `count` scenes, the scenes carry its name;
    others are called `<system>/<8 digits of the parameters' hash>/<split>` (`.../<episode>-<split>` where the episode has a
    sampler of its own). Estimates add `/csi-<error>`. If the scenes are not the declared ones (another numpy may draw others), a
    warning says so and they do not carry the name.

    Raises:
        ValueError: `split` or `count` is out of range, the episode is unknown, or there are no estimates.
    """
    if split not in BLOCK:
        raise ValueError(f"split must be one of {sorted(BLOCK)}, got {split!r}")
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    own = own_sampler(system, episode)
    episode = None if own is None else own.name
    entry = test_sets.declared(system, split, seed, episode)
    if entry is not None and count <= entry.count:
        try:
            return named_scenes(entry.name, count, csi_error)
        except ScenesDiffer as error:
            warnings.warn(str(error), RuntimeWarning, stacklevel=2)
    return _frozen(system, test_sets.set_name(system, split, seed, episode), split, count, seed, csi_error, episode)


def named_scenes(name: str, count: int = COUNT, csi_error: float = 0.0) -> FrozenScenes:
    """The first `count` scenes of a declared set; the whole set is drawn and verified by its hash.

    Raises:
        ValueError: no set has this name, it holds fewer scenes, or the scenes drawn here are not the declared ones.
    """
    entry = test_sets.get(name)
    if not 1 <= count <= entry.count:
        raise ValueError(f"count must be in [1, {entry.count}] for {name!r}, got {count}")
    system = entry.system()
    whole = draw_scenes(system, entry.split, entry.count, entry.seed, episode=entry.episode)
    if (found := scene_hash(whole, entry.single)) != entry.sha256:
        raise ScenesDiffer(
            f"scenes: those drawn here for {name!r} have SHA-256 {found[:12]}... instead of {entry.sha256[:12]}...: numpy "
            f"{np.__version__} draws other random numbers than the version the set was declared with, or the sampler was "
            "changed; results on these scenes cannot be compared with published ones"
        )
    return _frozen(system, name, entry.split, count, entry.seed, csi_error, entry.episode, entry.single)


class ScenesDiffer(ValueError):
    """The scenes drawn on this machine are not those of the declared set."""


def _frozen(
    system: Any, name: str, split: str, count: int, seed: int, csi_error: float, episode: str | None, single: bool = False
) -> FrozenScenes:
    scene = draw_scenes(system, split, count, seed, csi_error, episode)
    name += f"/csi-{csi_error:g}" if csi_error else ""
    return FrozenScenes(scene, name, split, seed, scene_hash(scene, single), episode, single)


def draw_scenes(
    system: Any, split: str, count: int, seed: int = 0, csi_error: float = 0.0, episode: str | None = None
) -> Any:
    """The first `count` scenes of a stream, drawn in blocks. The first block has the stream of the split itself."""
    own = own_sampler(system, episode)
    if own is not None and csi_error and "csi_error" in own.fixed:
        raise ValueError(f"csi_error must be 0 for scenes of episode {own.name!r}, got {csi_error}")
    sample, blocks = getattr(system, "sample" if own is None else own.sampler), []
    for b in range(-(-count // BLOCK[split])):
        block = sample(generator(split, seed, b) if b else generator(split, seed), batch=BLOCK[split])
        if csi_error:
            block = system.draw_estimates(block, generator("csi", SPLITS[split], seed, b), csi_error)
        blocks.append(block)
    return type(blocks[0]).concatenate(blocks)[np.arange(count)]


def resolve_scenes(
    system: Any, scenes: Any = None, count: int = COUNT, csi_error: float = 0.0, episode: str | None = None
) -> FrozenScenes:
    """What `compare` and the command line take for scenes: a name, a number, a path, a scene, a `FrozenScenes` or None.

    Args:
        scenes: the name of a declared set (its first `count` scenes), a number of frozen test scenes, None (`count` of them), the
            path of an npz, or scenes in memory; csi_error: for frozen sets.
        episode: the form of episode that the scenes are for (it may have a sampler of its own); a declared set has its own.

    Raises:
        ValueError: the scenes do not fit the system, or are none of these.
    """
    import ris_gym

    own = own_sampler(system, episode)
    if scenes is None or (isinstance(scenes, (int, np.integer)) and not isinstance(scenes, bool)):
        return frozen_scenes(system, "test", count if scenes is None else int(scenes), csi_error, episode=episode)
    if isinstance(scenes, str) and (entry := test_sets.find(scenes)) is not None:
        entry.check(system)
        if episode is not None and (None if own is None else own.name) != entry.episode:
            drawn = "the system's sampler" if entry.episode is None else f"the episode {entry.episode!r}"
            raise ValueError(f"scenes: those of {entry.name!r} are drawn by {drawn}, and do not serve the episode {episode!r}")
        return named_scenes(entry.name, count, csi_error)
    if csi_error:
        raise ValueError(f"csi_error must be 0 with scenes of your own (store estimates beside them), got {csi_error}")
    if isinstance(scenes, FrozenScenes):
        return scenes
    name = "given"
    if isinstance(scenes, (str, os.PathLike)):
        name, scenes = os.path.basename(os.fspath(scenes)), ris_gym.load_scenes(scenes, system)[1]
    if not isinstance(scenes, system.scene):
        raise ValueError(
            f"scenes must be a {system.scene.__name__}, a path, the name of a set, a number or None, got {type(scenes).__name__}"
        )
    if not len(scenes):
        raise ValueError("scenes must hold at least one scene")
    if episode is not None:
        system.check_scene_for(next(entry for entry in system.episodes if entry.name == episode), scenes)
    return FrozenScenes(scenes, name, "test", None, scene_hash(scenes), None if own is None else own.name)


def split_scenes(scene: Any, source: str | os.PathLike[str], test: int = 100, validation: int = 64) -> dict[str, FrozenScenes]:
    """Cut a user's scenes into disjoint `test`, `validation` and `train` sets (at most half of them for the first two)."""
    total = len(scene)
    if total < 4:
        raise ValueError(f"scenes: {os.fspath(source)!r} holds {total} scenes; training and testing need at least 4")
    order = np.random.default_rng(np.random.SeedSequence([SPLITS["test"], total])).permutation(total)
    num_test = max(1, min(test, total // 3))
    num_validation = max(1, min(validation, total // 6))
    parts = {
        "test": order[:num_test],
        "validation": order[num_test : num_test + num_validation],
        "train": order[num_test + num_validation :],
    }
    base = os.path.basename(os.fspath(source))
    out = {}
    for split, index in parts.items():
        part = scene[np.sort(index)]
        out[split] = FrozenScenes(part, f"{base}/{split}", split, None, scene_hash(part))
    return out
