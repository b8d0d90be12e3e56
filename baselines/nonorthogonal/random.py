"""Uniform random phases of the alphabet (benchmark of arXiv 2208.05324)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from baselines.nonorthogonal.common import Found, PhasePolicy


@dataclass(kw_only=True)
class RandomPhases(PhasePolicy):
    """One draw per scene."""

    name: str = "random"

    def optimise(self, known: Any, generators: list[np.random.Generator], first: int) -> Found:
        """Draw."""
        levels = self.system.phase_levels
        numbers = np.stack([g.random(self.shape) for g in generators])
        phase = 2.0 * np.pi * (numbers if levels is None else np.floor(numbers * levels) / levels)
        coefficients = self.rounded(phase)
        return Found(coefficients=coefficients, history=self.scored(known, coefficients)[None])
