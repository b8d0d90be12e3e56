"""Settings of the unfolded learner."""

from __future__ import annotations

import dataclasses

__all__ = ["UnfoldedSettings"]


@dataclasses.dataclass(frozen=True)
class UnfoldedSettings:
    """Unfolded ascent, trained through the differentiable metrics."""
