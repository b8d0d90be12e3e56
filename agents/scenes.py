"""Frozen scene sets: train, validation and test never share a scene, and every set has a name and a hash.

Sampled scenes: the streams of the splits are spawned from the seed, so they are independent of each other and of
`numpy.random.default_rng(n)` for every n, which users seed environments with. Scenes of a
file: one fixed permutation cuts the file into test, validation and training scenes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from typing import Any

import numpy as np

__all__ = ["SPLITS", "FrozenScenes", "frozen_scenes", "generator", "scene_hash", "split_scenes"]

SPLITS = {"train": 1, "validation": 2, "test": 3, "policy": 4, "stream": 5}


@dataclasses.dataclass(frozen=True)
class FrozenScenes:
    """A scene set with the facts that identify it: `name` (for instance `beampattern/test-v1`), `seed` and `sha256`."""

    scene: Any
    name: str
    split: str
    seed: int | None
    sha256: str

    def __len__(self) -> int:
        return len(self.scene)

    def first(self, count: int) -> FrozenScenes:
        """The first `count` of them (all, if there are fewer)."""
        if count >= len(self):
            return self
        part = self.scene[np.arange(count)]
        return dataclasses.replace(self, scene=part, sha256=scene_hash(part))

    def describe(self) -> dict[str, Any]:
        """What is stored in results."""
        return {"name": self.name, "split": self.split, "seed": self.seed, "count": len(self), "sha256": self.sha256}


def generator(split: str, *keys: int) -> np.random.Generator:
    """The generator of a split: independent of those of all other splits and keys."""
    return np.random.default_rng(np.random.SeedSequence(entropy=[0, *keys], spawn_key=(SPLITS[split],)))


def scene_hash(scene: Any) -> str:
    """SHA-256 of names, shapes and bytes of all arrays of the scene."""
    digest = hashlib.sha256()
    for name, array in scene.items():
        array = np.ascontiguousarray(array)
        digest.update(f"{name}{array.shape}{array.dtype}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def frozen_scenes(system: Any, split: str = "test", count: int = 100, csi_error: float = 0.0, seed: int = 0) -> FrozenScenes:
    """`count` scenes of the sampler; equal arguments give equal scenes, on every machine with the same numpy."""
    if split not in SPLITS:
        raise ValueError(f"split must be one of {sorted(SPLITS)}, got {split!r}")
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    scene = system.sample(generator(split, seed), batch=count, csi_error=csi_error)
    name = f"{system.name}/{split}-v1"
    return FrozenScenes(scene, name, split, seed, scene_hash(scene))


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
