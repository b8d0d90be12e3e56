"""Time division: pilots first, then data (benchmark of arXiv 2208.05324, section V; model page, section 7)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from baselines.nonorthogonal.common import Found, Index, weighted
from baselines.nonorthogonal.cross_entropy import CrossEntropy
from baselines.nonorthogonal.protocol import data_symbols, design_of, pilot_angle, pilot_blocks
from baselines.policy import Solution
from baselines.tools.linalg import Array


@dataclass(kw_only=True)
class TimeDivision(CrossEntropy):
    """Cross-entropy by the protocol's bounds: T_p = max(1, T // 5) pilots x = 1, then data at angles known from them.

    One set of phases for the whole block, with the system's weight. With `split` one per phase: zeta = 0 for the pilots, zeta = 1
    for the data; `Solution.design` is then that of the data, and `Solution.memory["pilot_index"]` (B, n, L) are the indices of
    the pilots' phases. `Solution.objective` is the design's in the system's own terms, where the history (of the protocol's V,
    with `split` of the data phase) is shifted to end; `evaluate_as` judges by the protocol. The constrained form does not change
    the search. Other options as `cross_entropy`.
    """

    name: str = "td_isac"
    split: bool = False
    _pilot: list[Index] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def num_pilots(self) -> int:
        """T_p."""
        return max(1, int(self.system.num_slots) // 5)

    def optimise(self, known: Any, generators: list[np.random.Generator], first: int) -> Found:
        """Search, in the split form once per phase."""
        blocks = pilot_blocks(self.system, known, self.num_pilots)
        if self.split:
            index, _ = self.search(blocks, weighted(self.system, 0.0, "known"), generators)
            self._pilot.append(index.reshape(-1, *self.shape))
        zeta = 1.0 if self.split else self.system.weight
        index, history = self.search(blocks, weighted(self.system, zeta, "known"), generators)
        return Found(coefficients=self.of_index(index), history=self.per_scene(history))

    def solve(self, known: Any, rng: np.random.Generator) -> Solution:
        """Designs for the scenes of `known`."""
        self._pilot = []
        solution = super().solve(known, rng)
        if not self.split:
            return solution
        pilot = np.concatenate([np.zeros((0, *self.shape), np.int64), *self._pilot])
        return dataclasses.replace(solution, memory={"pilot_index": pilot})

    def evaluate_as(self, scene: Any, answer: Any) -> dict[str, Array]:
        """Means over the blocks (B,), by the protocol (sections 4.3 and 7).

        Args:
            scene: true scenes; answer: a `Solution`, or a canonical design (of the whole block; not with `split`).

        Returns:
            `crlb_angle` (rad^2) of T_p pilots; `crlb_symbol` of a data slot at known angles; `mutual_information` (bit/symbol),
            `(T - T_p) / T I`, 0 where no slot is left for data.

        Raises:
            ValueError: the form is split and `answer` does not hold the pilots' phases.
        """
        coefficients = np.asarray(design_of(answer).coefficients)
        pilot = coefficients
        if self.split:
            memory = getattr(answer, "memory", None)
            if not memory or "pilot_index" not in memory:
                raise ValueError("answer must be a Solution of the split form (its memory holds 'pilot_index')")
            pilot = self.alphabet[np.asarray(memory["pilot_index"])]
        slots = self.system.num_slots - self.num_pilots
        symbol, bits = data_symbols(self.system, scene, coefficients, slots)
        return {
            "crlb_angle": pilot_angle(self.system, scene, pilot, self.num_pilots).mean(axis=1),
            "crlb_symbol": symbol.mean(axis=1),
            "mutual_information": bits.mean(axis=1),
        }
