"""What units of work share: a chunk of frozen test scenes and the policies' random numbers at its first scene."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import ris_gym
from agents.scenes import draw_scenes, generator, scene_hash

__all__ = ["chunk_of"]


def chunk_of(system: Mapping[str, Any], seed: int, first: int, stop: int) -> tuple[Any, Any, np.random.Generator, np.ndarray]:
    """System, frozen test scenes first..stop-1, the policies' generator at scene `first`, and the hash of these scenes."""
    model = ris_gym.systems.from_dict(system)
    scene = draw_scenes(model, "test", stop, seed)[np.arange(first, stop)]
    rng = generator("policy", seed)
    rng.integers(0, 2**63, size=first)  # a policy draws one such number per scene
    return model, scene, rng, np.array(scene_hash(scene))
