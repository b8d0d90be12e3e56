"""All slots are pilots: localisation without data (benchmark of arXiv 2208.05324, section V; model page, section 7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from baselines.nonorthogonal.common import Found, weighted
from baselines.nonorthogonal.cross_entropy import CrossEntropy
from baselines.nonorthogonal.protocol import design_of, pilot_angle, pilot_blocks
from baselines.tools.linalg import Array


@dataclass(kw_only=True)
class LocalisationOnly(CrossEntropy):
    """Cross-entropy for the angle bound alone, of T known pilots |x| = 1; options as `cross_entropy`.

    `Solution.objective` is the design's in the system's own terms (data in every slot), and the history (of lg CRLB_angle) is
    shifted to end there; `evaluate_as` judges by the policy's own protocol. The constrained form does not change the search.
    """

    name: str = "localisation_only"

    def optimise(self, known: Any, generators: list[np.random.Generator], first: int) -> Found:
        """Search with zeta = 0."""
        blocks = pilot_blocks(self.system, known, self.system.num_slots)
        index, history = self.search(blocks, weighted(self.system, 0.0, "known"), generators)
        return Found(coefficients=self.of_index(index), history=self.per_scene(history))

    def evaluate_as(self, scene: Any, answer: Any) -> dict[str, Array]:
        """Means over the blocks (B,), by the protocol: every slot a known pilot, so nothing is communicated.

        Args:
            scene: true scenes; answer: a `Solution` or a canonical design.

        Returns:
            `crlb_angle` (rad^2); `crlb_symbol`: the variance of a symbol before anything is received; `mutual_information`: 0.
        """
        angle = pilot_angle(self.system, scene, np.asarray(design_of(answer).coefficients), self.system.num_slots).mean(axis=1)
        return {
            "crlb_angle": angle,
            "crlb_symbol": np.full_like(angle, self.system.symbol_variance),
            "mutual_information": np.zeros_like(angle),
        }
