"""The paper's proposal: the cross-entropy method over discrete phases.

Each element has a distribution over the alphabet, uniform at first. A round draws candidates, element by element independently,
and sets the distributions to the frequencies among the best of them, until all candidates of a round are worth the same.

Source: arXiv 2208.05324, Algorithm 1 (eq. (44) read as an independent categorical distribution per element); model page,
section 7.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from baselines.nonorthogonal.common import Blocks, Found, Index, Judge, PhasePolicy, check_count, merit, needs_alphabet
from baselines.tools.linalg import Array


@dataclass(kw_only=True)
class CrossEntropy(PhasePolicy):
    """Algorithm 1. The history is that of the best design seen so far, shifted to end at the design that is returned.

    Attributes:
        num_candidates: C per round, None: 5 L; num_elite: C_elite, None: C / 10, at least 1.
        tolerance: kappa, spread of a round's values below which a block stops; max_rounds: at most so many.
        elitist: return the best design ever drawn; False: the best of the last draw, as the paper.

    Raises:
        ValueError: phases are continuous, or an option breaks its rule.
    """

    name: str = "cross_entropy"
    chunk: int = 64
    num_candidates: int | None = None
    num_elite: int | None = None
    tolerance: float = 1e-3
    max_rounds: int = 200
    elitist: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        needs_alphabet(self.system, self.name)
        self.max_rounds = check_count("max_rounds", self.max_rounds)
        if not self.tolerance >= 0:
            raise ValueError(f"tolerance must be at least 0, got {self.tolerance!r}")
        if self.num_candidates is not None:
            self.num_candidates = check_count("num_candidates", self.num_candidates)
        if self.num_elite is not None:
            self.num_elite = check_count("num_elite", self.num_elite)
            if self.num_elite > self.sizes[0]:
                raise ValueError(f"num_elite must be at most num_candidates = {self.sizes[0]}, got {self.num_elite!r}")

    @property
    def sizes(self) -> tuple[int, int]:
        """C, C_elite."""
        count = 5 * int(self.system.num_elements) if self.num_candidates is None else self.num_candidates
        return count, max(1, count // 10) if self.num_elite is None else self.num_elite

    def optimise(self, known: Any, generators: list[np.random.Generator], first: int) -> Found:
        """Search by the penalised score."""
        index, history = self.search(Blocks.of(known), merit(self.system, self.penalty), generators)
        return Found(coefficients=self.of_index(index), history=self.per_scene(history))

    def search(self, blocks: Blocks, judge: Judge, generators: list[np.random.Generator]) -> tuple[Index, Array]:
        """Algorithm 1 on the rows of scenes: the indices (F, L) it returns, the best value so far (rounds, F)."""
        n, elements = self.shape
        (count, elite), levels, total = self.sizes, len(self.alphabet), len(blocks)
        chances = np.full((total, elements, levels), 1.0 / levels)
        best, level = np.zeros((total, elements), np.int64), np.full(total, -np.inf)
        answer, history, active = best.copy(), [], np.ones(total, bool)
        for _ in range(self.max_rounds):
            scenes = np.flatnonzero(active.reshape(-1, n).any(axis=1))
            numbers = np.stack([generators[i].random((n, count, elements)) for i in scenes]).reshape(-1, count, elements)
            rows = (scenes[:, None] * n + np.arange(n)).ravel()
            numbers, rows = numbers[active[rows]], rows[active[rows]]
            drawn = draw(chances[rows], numbers)
            part = blocks if len(rows) == total else blocks[rows]
            value = judge(part, part.moments(self.alphabet[drawn]))
            order = np.argsort(-value, axis=1, kind="stable")[:, :elite]
            each = np.arange(len(rows))
            top, top_value = drawn[each, order[:, 0]], value[each, order[:, 0]]
            answer[rows] = top
            better = top_value > level[rows]
            best[rows[better]], level[rows[better]] = top[better], top_value[better]
            history.append(level.copy())
            active[rows] = top_value - value.min(axis=1) >= self.tolerance
            if not active.any():
                break
            chances[rows] = frequencies(drawn[each[:, None], order], levels)
        return best if self.elitist else answer, np.array(history)


def draw(chances: Array, numbers: Array) -> Index:
    """Indices (F, C, L) of categorical distributions (F, L, levels) from uniform numbers (F, C, L)."""
    edges = np.cumsum(chances, axis=-1)
    index = np.zeros(numbers.shape, np.int64)
    for k in range(chances.shape[-1] - 1):
        index += numbers >= edges[:, None, :, k]
    # an edge rounded below 1 must not make an index of chance 0
    last = chances.shape[-1] - 1 - np.argmax(chances[..., ::-1] > 0.0, axis=-1)
    return np.minimum(index, last[:, None])


def frequencies(index: Index, levels: int) -> Array:
    """Frequencies (F, L, levels) among designs (F, E, L)."""
    return np.stack([(index == k).mean(axis=1) for k in range(levels)], axis=-1)
