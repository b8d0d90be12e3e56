"""The best of all designs, for small surfaces (ours).

A phase common to all elements changes nothing, so element 0 keeps index 0: 2^(b (L - 1)) candidates per block, as sums of the
moments of two halves of the elements.

Source: model page, section 7.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from baselines.nonorthogonal.common import Blocks, Found, Index, PhasePolicy, merit, needs_alphabet, within_limit

MOST = 2**20
"""Candidates per block from which on the search is refused."""
WORK = 16384
"""Candidates worked on at a time."""


@dataclass(kw_only=True)
class ExhaustiveSearch(PhasePolicy):
    """Optimal designs. In the constrained form: of those that meet the bound of the angle.

    Raises:
        ValueError: phases are continuous, or there are more than 2^20 candidates.
    """

    name: str = "exhaustive"

    def __post_init__(self) -> None:
        super().__post_init__()
        needs_alphabet(self.system, self.name)
        bits, elements = int(self.system.phase_bits), self.shape[1]
        if bits * (elements - 1) > 20:
            raise ValueError(
                f"system must give at most {MOST} candidates 2^(b (L - 1)) for 'exhaustive', "
                f"got phase_bits {bits} and {elements} elements (2^{bits * (elements - 1)})"
            )

    def optimise(self, known: Any, generators: list[np.random.Generator], first: int) -> Found:
        """Search block by block."""
        blocks = Blocks.of(known)
        judge = within_limit(self.system) if self.system.objective_form == "constrained" else merit(self.system, self.penalty)
        half = (self.shape[1] + 1) // 2
        heads, tails = self._all(half - 1), self._all(self.shape[1] - half)
        heads = np.concatenate([np.zeros((len(heads), 1), np.int64), heads], axis=1)
        step = max(1, WORK // len(tails))
        best, level = np.zeros((len(blocks), self.shape[1]), np.int64), np.full(len(blocks), -np.inf)
        for f in range(len(blocks)):
            part = blocks[f]
            products = part.reference["products"]  # (1, 1, L, P)
            front = self.alphabet[heads] @ products[:, :, :half]
            back = self.alphabet[tails] @ products[:, :, half:]
            for i in range(0, len(heads), step):
                moment = front[:, :, i : i + step, None] + back[:, :, None]
                value = judge(part, moment.reshape(1, 1, -1, moment.shape[-1]))[0]
                pick = int(np.argmax(value))
                if value[pick] > level[f]:
                    level[f] = value[pick]
                    best[f] = np.concatenate([heads[i + pick // len(tails)], tails[pick % len(tails)]])
        return Found(coefficients=self.of_index(best), history=self.per_scene(level)[None], status="optimal")

    def _all(self, elements: int) -> Index:
        """All indices (levels^elements, elements)."""
        if not elements:
            return np.zeros((1, 0), np.int64)
        return np.indices((len(self.alphabet),) * elements).reshape(elements, -1).T.copy()
