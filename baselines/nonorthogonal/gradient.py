"""Ascent of the penalised score over continuous phases without learning, then rounding (model page, section 7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from baselines.nonorthogonal.common import Found, PhasePolicy, check_count


@dataclass(kw_only=True)
class GradientPhases(PhasePolicy):
    """Adam on continuous phases from the start rule; per scene the better of the start and the rounded end.

    The end is the last iterate. The constrained form differentiates with torch.

    Attributes:
        steps: gradient evaluations; step_size: Adam's, in raw action (pi radians).
    """

    name: str = "gradient"
    steps: int = 64
    step_size: float = 0.16

    def __post_init__(self) -> None:
        super().__post_init__()
        self.steps = check_count("steps", self.steps)
        if not self.step_size > 0:
            raise ValueError(f"step_size must be positive, got {self.step_size!r}")

    def optimise(self, known: Any, generators: list[np.random.Generator], first: int) -> Found:
        """Ascend and round."""
        start = np.asarray(self.system.start(known), float)
        raw, mean, square = start, 0.0, 0.0
        for count in range(1, self.steps + 1):
            _, slope = self.system.score_gradient(known, raw, "full", self.penalty)
            mean, square = 0.9 * mean + 0.1 * slope, 0.999 * square + 0.001 * slope**2
            raw = raw + self.step_size * (mean / (1 - 0.9**count)) / (np.sqrt(square / (1 - 0.999**count)) + 1e-8)
        begin, end = (self.rounded(np.pi * u.reshape(-1, *self.shape)) for u in (start, raw))
        before, after = self.scored(known, begin), self.scored(known, end)
        better = after > before
        coefficients = np.where(better[:, None, None], end, begin)
        return Found(coefficients=coefficients, history=np.stack([before, np.maximum(before, after)]))
