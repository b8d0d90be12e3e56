"""Coordinate descent over discrete phases from many starts (ours).

Element after element takes the best of its 2^b phases, all others kept; a start ends after a sweep without change, in a design
that no change of one element improves. Moments follow by rank-one updates, all starts of all blocks and scenes are one batch.

Source: model page, section 7 (weighted form), section 5 (constrained form). Not in arXiv 2208.05324.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from baselines.nonorthogonal.align import aligned
from baselines.nonorthogonal.common import (
    Blocks,
    Found,
    Index,
    Judge,
    PhasePolicy,
    check_count,
    merit,
    needs_alphabet,
    weighted,
    within_limit,
)
from baselines.policy import Solution, pad_history
from baselines.tools.linalg import Array, ComplexArray
from ris_gym.systems.nonorthogonal.alphabet import largest_gain

WORK = 8192
"""Candidates worked on at a time (they fit the cache); results do not depend on it."""
MOST_SWEEPS = 200
GAIN = 1e-12
"""Smallest rise for which an element changes."""
ZETAS = np.linspace(0.0, 1.0, 21)
"""Weights of the constrained form's first stage."""


def descend(blocks: Blocks, judge: Judge, alphabet: ComplexArray, owner: Index, index: Index) -> tuple[Index, Array, Array]:
    """Coordinate descent of many designs at once.

    Args:
        blocks: (F, J) rows; owner: (R,) the row that each design is for; index: (R, L) the starts.

    Returns:
        indices (R, L), values (R,) and their histories (sweeps, R).
    """
    points, levels = blocks.reference["products"].shape[1], len(alphabet)
    bare = blocks.replace(reference={k: v for k, v in blocks.reference.items() if k != "products"})
    products = np.ascontiguousarray(np.moveaxis(blocks.reference["products"], 2, 0))  # (L, F, J, P)
    piece = max(1, WORK // (levels * points))
    parts = [
        _descend(bare, products, judge, alphabet, owner[i : i + piece], index[i : i + piece])
        for i in range(0, len(owner), piece)
    ]
    history = pad_history([part[1] for part in parts])
    return np.concatenate([part[0] for part in parts]), history[-1], history


def _descend(
    bare: Blocks, products: ComplexArray, judge: Judge, alphabet: ComplexArray, owner: Index, index: Index
) -> tuple[Index, Array]:
    index = index.copy()
    rows = np.arange(len(owner))
    history: list[Array] = []
    for _ in range(MOST_SWEEPS):
        own, now = owner[rows], index[rows]
        part, each = bare[own], np.arange(len(rows))
        moment = np.einsum("rl,lrjp->rjp", alphabet[now], products[:, own])
        if not history:
            history.append(judge(part, moment[:, :, None])[:, 0])
        value, changed = history[-1][rows], np.zeros(len(rows), bool)
        for l in range(len(products)):
            step = products[l, own]  # (R, J, P)
            turn = alphabet - alphabet[now[:, l]][:, None]  # (R, levels)
            candidates = moment[:, :, None] + turn[:, None, :, None] * step[:, :, None]
            worth = judge(part, candidates)
            pick = np.argmax(worth, axis=1)
            better = worth[each, pick] > worth[each, now[:, l]] + GAIN
            if better.any():
                pick = np.where(better, pick, now[:, l])
                moment, value = candidates[each, :, pick], np.where(better, worth[each, pick], value)
                now[:, l] = pick
                changed |= better
        index[rows] = now
        level = history[-1].copy()
        level[rows] = value
        history.append(level)
        rows = rows[changed]
        if not len(rows):
            break
    return index, np.array(history)


def best_of(owner_count: int, index: Index, value: Array) -> tuple[Index, Array]:
    """The best of the designs (F S, L), S for each of F rows: its index (F, L) and its value (F,)."""
    table = value.reshape(owner_count, -1)
    pick, each = np.argmax(table, axis=1), np.arange(owner_count)
    return index.reshape(owner_count, table.shape[1], -1)[each, pick], table[each, pick]


@dataclass(kw_only=True)
class CoordinateDescent(PhasePolicy):
    """The best of `num_starts` random starts, and of those that are given.

    Constrained form: the weighted problem over the grid of weights 0, 0.05, .., 1 with an eighth of the starts each, then descent
    on the information over moves that keep the bound of the angle, from the best design that meets it and from the phases of
    largest |g_2| (which meet it always).

    Attributes:
        num_starts: random starts per block.

    Raises:
        ValueError: phases are continuous, or an option breaks its rule.
    """

    name: str = "coordinate_descent"
    num_starts: int = 64
    _given: Any = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        needs_alphabet(self.system, self.name)
        self.num_starts = check_count("num_starts", self.num_starts)

    def solve(self, known: Any, rng: np.random.Generator, starts: Any = None) -> Solution:
        """Designs for the scenes of `known`.

        Args:
            starts: indices (B, S, n, L) of further starts, or None.

        Raises:
            ValueError: `starts` has another shape, or holds what is no index.
        """
        self._given = None if starts is None else self._checked(starts, len(known))
        try:
            return super().solve(known, rng)
        finally:
            self._given = None

    def _checked(self, starts: Any, count: int) -> Index:
        array = np.asarray(starts)
        if array.ndim != 4 or (array.shape[0], *array.shape[2:]) != (count, *self.shape):
            raise ValueError(f"starts must have shape ({count}, S, {self.shape[0]}, {self.shape[1]}), got {array.shape}")
        levels = len(self.alphabet)
        if array.dtype.kind not in "iu" or np.any((array < 0) | (array >= levels)):
            raise ValueError(f"starts must hold indices from 0 to {levels - 1}, got {array.dtype} {starts!r}")
        return array.astype(np.int64)

    def optimise(self, known: Any, generators: list[np.random.Generator], first: int) -> Found:
        """Descend on the penalised score, or search under the bound of the angle."""
        given = None if self._given is None else self._given[first : first + len(known)]
        blocks = Blocks.of(known)
        if self.system.objective_form == "constrained":
            index, history = self.constrained(blocks, self.starts(generators, given, max(1, self.num_starts // 8)))
        else:
            index, history = self.descended(blocks, merit(self.system, self.penalty), self.starts(generators, given))
        return Found(coefficients=self.of_index(index), history=self.per_scene(history))

    def starts(self, generators: list[np.random.Generator], given: Index | None, count: int | None = None) -> Index:
        """Random and given starts (F, S, L)."""
        n, elements = self.shape
        count = self.num_starts if count is None else count
        drawn = [g.integers(0, len(self.alphabet), (count, n, elements)) for g in generators]
        index = np.stack(drawn) if given is None else np.concatenate([np.stack(drawn), given], axis=1)
        return np.asarray(np.swapaxes(index, 1, 2).reshape(-1, index.shape[1], elements))

    def descended(self, blocks: Blocks, judge: Judge, starts: Index) -> tuple[Index, Array]:
        """From starts (F, S, L): the best index (F, L), and the best value after each sweep (sweeps, F)."""
        total, count, elements = starts.shape
        owner = np.repeat(np.arange(total), count)
        index, value, history = descend(blocks, judge, self.alphabet, owner, starts.reshape(-1, elements))
        return best_of(total, index, value)[0], history.reshape(len(history), total, count).max(axis=2)

    def constrained(self, blocks: Blocks, starts: Index) -> tuple[Index, Array]:
        """Largest information under the bound of the angle: indices (F, L), history (sweeps, F) in units of the score."""
        total, _, elements = starts.shape
        grid = len(ZETAS)
        rows = np.repeat(np.arange(total), grid)
        many = blocks.replace(reference={k: v[rows] for k, v in blocks.reference.items()}, symbols=_rows(blocks.symbols, rows))
        many = many.put_in(zeta=np.broadcast_to(np.tile(ZETAS, total)[:, None], many.reference["level"].shape))
        found, _ = self.descended(many, weighted(self.system), starts[rows])
        judge = within_limit(self.system)
        candidates = found.reshape(total, grid, elements)
        worth = judge(blocks, blocks.moments(self.alphabet[candidates]))
        each = np.arange(total)
        pick = np.argmax(worth, axis=1)
        safe = self.largest(blocks)
        missed = worth[each, pick] == -np.inf
        chosen = np.where(missed[:, None], safe, candidates[each, pick])
        return self.descended(blocks, judge, np.stack([chosen, safe], axis=1))

    def largest(self, blocks: Blocks) -> Index:
        """Indices (F, L) of the phases of largest |g_2|, at the first point."""
        levels = len(self.alphabet)
        phase, _ = largest_gain(blocks.reference["products"][:, 0, :, 1], levels)
        return np.rint(phase * (levels / (2.0 * np.pi))).astype(np.int64) % levels

    def aligned(self, known: Any) -> Index:
        """Indices (B, n, L) of the policy `align`."""
        levels = len(self.alphabet)
        phase = aligned(self.system, known)
        return np.rint(phase * (levels / (2.0 * np.pi))).astype(np.int64) % levels


def _rows(array: Any, rows: Index) -> Any:
    return None if array is None else array[rows]
