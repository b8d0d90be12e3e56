"""The phases of the largest gain towards one user, exactly (ours).

Source: model page, section 7 (`max_gain`). Not in arXiv 2208.05324.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from baselines.nonorthogonal.common import Found, PhasePolicy
from ris_gym.systems.nonorthogonal.alphabet import largest_gain

TARGETS = ("sense", "comm")


@dataclass(kw_only=True)
class MaxGain(PhasePolicy):
    """Exact maximiser of |g_2| or |g_1|; `stopped`, since that is not the system's objective.

    Attributes:
        target: `sense` (|g_2|: the localisation beam) or `comm` (|g_1|).

    Raises:
        ValueError: unknown target.
    """

    name: str = "max_gain"
    target: str = "sense"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.target not in TARGETS:
            raise ValueError(f"target must be one of {TARGETS}, got {self.target!r}")

    def optimise(self, known: Any, generators: list[np.random.Generator], first: int) -> Found:
        """Test the L directions of each block."""
        c = known.reference["products"][..., 1 - TARGETS.index(self.target)]
        phase, _ = largest_gain(np.asarray(c), self.system.phase_levels)
        coefficients = self.rounded(phase)
        return Found(coefficients=coefficients, history=self.scored(known, coefficients)[None])
