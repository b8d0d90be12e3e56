"""Hard descent of the hierarchy: both halves are probed, the louder one is kept (model page, part B)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from baselines.anchor.common import Index, PilotPolicy


@dataclass(kw_only=True)
class Descent(PilotPolicy):
    """Per level both children of the current node, `repeats` pilots each; go to the larger sum. No belief is used.

    2 `repeats` log2 N pilots lead to a leaf, which is announced; then it is probed until the end or the policy stops. Where the
    episode ends before, the beam of largest mass is announced.

    Attributes:
        repeats: pilots per child; None: as many as leave one decision for the leaf, at least 1.
    """

    name: str = "descent"
    repeats: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.levels = int(self.system.num_elements).bit_length() - 1
        if self.repeats is None:
            self.repeats = max(1, (self.system.num_pilots - 1) // (2 * self.levels))
        if isinstance(self.repeats, bool) or int(self.repeats) != self.repeats or self.repeats < 1:
            raise ValueError(f"repeats must be None or an integer of at least 1, got {self.repeats!r}")

    def nodes(self, known: Any) -> tuple[Index, Index]:
        """Nodes (B,) reached, and their levels."""
        assert self.repeats is not None
        frame, power = np.asarray(known.frame), np.asarray(known.power)
        node, level = np.zeros(len(frame), np.int64), np.zeros(len(frame), np.int64)
        for i in range(self.levels):
            first = 2 * self.repeats * i
            known_now = frame >= first + 2 * self.repeats
            if not known_now.any():
                break
            sums = power[:, first : first + 2 * self.repeats].reshape(len(frame), 2, self.repeats).sum(axis=2)
            node = np.where(known_now, 2 * node + (sums[:, 1] > sums[:, 0]), node)
            level += known_now
        return node, level

    def choose(self, known: Any, mass: np.ndarray, rng: np.random.Generator) -> Index:
        """The child whose turn it is, then the leaf."""
        assert self.repeats is not None
        node, level = self.nodes(known)
        turn = np.asarray(known.frame) % (2 * self.repeats) // self.repeats
        child = 2 ** (level + 1) - 2 + 2 * node + turn
        return np.where(level == self.levels, self.finest(node), child)

    def decide(self, known: Any) -> Index:
        """The leaf, once it is reached."""
        node, level = self.nodes(known)
        return np.where(level == self.levels, node, -1)
