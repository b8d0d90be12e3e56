"""Hierarchical posterior matching (model page, part B)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from baselines.anchor.common import Index, PilotPolicy, level_masses


@dataclass(kw_only=True)
class PosteriorMatching(PilotPolicy):
    """The codeword whose sector holds nearly half of the posterior.

    From the root take the better child while its mass is at least 1/2. At the first child below, use it or its parent, whichever
    is nearer to 1/2 (the root is no codeword); a leaf of at least 1/2 is used.
    """

    name: str = "posterior_matching"

    def choose(self, known: Any, mass: np.ndarray, rng: np.random.Generator) -> Index:
        """Walk down all scenes together."""
        levels = level_masses(mass)
        each = np.arange(len(mass))
        node, held = np.zeros(len(mass), np.int64), np.ones(len(mass))
        chosen, going = np.zeros(len(mass), np.int64), np.ones(len(mass), bool)
        for level in range(1, len(levels)):
            left, right = levels[level][each, 2 * node], levels[level][each, 2 * node + 1]
            child, found = 2 * node + (right > left), np.maximum(left, right)
            below = found < 0.5
            keep = below & (level > 1) & (np.abs(held - 0.5) < np.abs(found - 0.5))
            index = np.where(keep, 2 ** (level - 1) - 2 + node, 2**level - 2 + child)
            chosen = np.where(going, index, chosen)
            going &= ~below
            node, held = child, found
        return chosen
