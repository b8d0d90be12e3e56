"""Phases in closed form: aligned with the weighted sum of both directions (ours; the cheapest serious opponent).

Source: model page, section 7. Not in arXiv 2208.05324.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from baselines.nonorthogonal.common import Found, PhasePolicy
from baselines.tools.linalg import Array


def aligned(system: Any, known: Any) -> Array:
    """`-arg(zeta c_comm + (1 - zeta) c_sense)` (B, n, L), of c_sense where that sum vanishes; radians."""
    comm, sense = known.reference["products"][..., 0], known.reference["products"][..., 1]
    total = system.weight * comm + (1.0 - system.weight) * sense
    return np.asarray(-np.angle(np.where(np.abs(total) < 1e-9, sense, total)))


@dataclass(kw_only=True)
class Align(PhasePolicy):
    """Nearest phases of `aligned`."""

    name: str = "align"

    def optimise(self, known: Any, generators: list[np.random.Generator], first: int) -> Found:
        """Round."""
        coefficients = self.rounded(aligned(self.system, known))
        return Found(coefficients=coefficients, history=self.scored(known, coefficients)[None])
