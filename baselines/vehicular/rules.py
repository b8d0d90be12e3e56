"""Shares by rule: never, fixed, always, event-triggered, need-only (model page, 7A)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from baselines.tools.linalg import Array
from baselines.vehicular.common import FramePolicy, Outset
from ris_gym.systems.vehicular import planning


@dataclass(kw_only=True)
class Never(FramePolicy):
    """a = 0: reports alone (and helper echoes where there are any)."""

    name: str = "never"

    def shares(self, outset: Outset) -> Array:
        """Zero."""
        return np.zeros_like(outset.full)


@dataclass(kw_only=True)
class Fixed(FramePolicy):
    """The same share in every slot.

    Attributes:
        share: a in [0, 1].
    """

    name: str = "fixed"
    share: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 <= self.share <= 1.0:
            raise ValueError(f"share must be in [0, 1], got {self.share!r}")

    def shares(self, outset: Outset) -> Array:
        """`share`."""
        return np.full_like(outset.full, self.share)


@dataclass(kw_only=True)
class Always(Fixed):
    """Half of every slot."""

    name: str = "always"
    share: float = 0.5


@dataclass(kw_only=True)
class Event(FramePolicy):
    """a = 0.1 where the predicted mean gain of a focused data beam is below 0.8."""

    name: str = "event"

    def shares(self, outset: Outset) -> Array:
        """By the predicted belief."""
        return planning.triggered_share(self.system, outset.look)


@dataclass(kw_only=True)
class NeedOnly(FramePolicy):
    """The least shares that meet the requirement by prediction, with 1 dB to spare; 0 without a requirement."""

    name: str = "need_only"

    def shares(self, outset: Outset) -> Array:
        """`planning.needed_share`."""
        return self.needed(outset)
