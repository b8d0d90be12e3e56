"""Bound of `nonorthogonal` where r does not matter: branch and bound over the phases of both gains.

Maximise zeta ln|g_1| + (1 - zeta) ln|g_2|. Where arg g_i lies within delta_i of t_i, |g_i| <= Re(e^{-j t_i} g_i) / cos(delta_i),
and for every ratio e^lambda of weights

    zeta ln Re(e^{-j t_1} g_1) + (1 - zeta) ln Re(e^{-j t_2} g_2) <= ln H - zeta lambda + zeta ln zeta + (1 - zeta) ln(1 - zeta),
    H = sum_l max_v Re[v (e^lambda e^{-j t_1} c_comm,l + e^{-j t_2} c_sense,l)],   v in the alphabet:

one element at a time, and convex in lambda. A turn of all elements moves t_1 into [0, 2 pi / 2^b) (continuous phases: to 0). What
remains is the gap of the convex hull over the choices of single elements, and half a cell. Source: ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from baselines.nonorthogonal.block_forms import BlockForms
from baselines.tools.linalg import Array, ComplexArray

WIDTH = np.pi / 4.0
"""Largest width of the first cells."""
DEPTH = 5
"""Halvings of a cell."""
BISECTIONS = 8
REACH = 4.0
"""Largest |lambda - ln(zeta / (1 - zeta))|."""
SHARE = 0.1
"""A cell is halved while its width costs more than this share of its distance from the best design found."""
CHUNK = 4096
"""Cells worked on at a time (bounds the memory; results do not depend on it)."""


@dataclass(frozen=True)
class Cells:
    """K cells: block (K,), centres t_1, t_2 (K,), half-widths (2,)."""

    row: NDArray[np.int64]
    t1: Array
    t2: Array
    half: tuple[float, float]

    @classmethod
    def cover(cls, count: int, levels: int | None) -> Self:
        """The first cells of `count` blocks."""
        period = 0.0 if levels is None else 2.0 * np.pi / levels
        n1, n2 = max(1, int(np.ceil(period / WIDTH - 1e-9))), int(np.ceil(2.0 * np.pi / WIDTH - 1e-9))
        t1, t2 = (np.arange(n1) + 0.5) * period / n1, (np.arange(n2) + 0.5) * 2.0 * np.pi / n2
        grid1, grid2 = (g.ravel() for g in np.meshgrid(t1, t2, indexing="ij"))
        row = np.repeat(np.arange(count), len(grid1))
        return cls(row, np.tile(grid1, count), np.tile(grid2, count), (0.5 * period / n1, np.pi / n2))

    def halved(self, keep: NDArray[np.bool_]) -> Self:
        """Two or four cells in the place of each that is kept."""
        row, t1, t2 = self.row[keep], self.t1[keep], self.t2[keep]
        h1, h2 = 0.5 * self.half[0], 0.5 * self.half[1]
        signs = [(i, j) for i in ((-1, 1) if h1 > 0 else (0,)) for j in (-1, 1)]
        shifts1, shifts2 = (np.concatenate([t + s[i] * h for s in signs]) for i, (t, h) in enumerate(((t1, h1), (t2, h2))))
        return type(self)(np.tile(row, len(signs)), shifts1, shifts2, (h1, h2))


def best_choices(z: ComplexArray, levels: int | None) -> ComplexArray:
    """The alphabet's points v that maximise Re(v z), elementwise."""
    if levels is None:
        return np.exp(-1j * np.angle(z))
    if levels == 2:
        return np.where(z.real >= 0, 1.0, -1.0) + 0j
    if levels == 4:
        real = np.abs(z.real) >= np.abs(z.imag)
        return np.where(real, np.where(z.real >= 0, 1.0, -1.0), np.where(z.imag >= 0, -1j, 1j))
    delta = 2.0 * np.pi / levels
    return np.exp(1j * delta * np.rint(-np.angle(z) / delta))


def at_centres(comm: ComplexArray, sense: ComplexArray, zeta: Array, levels: int | None) -> tuple[Array, Array]:
    """The bound at the centres (K,) of rows (K, L) turned to t = 0, and the best value of a design met on the way."""
    middle = np.log(zeta) - np.log1p(-zeta)
    low, high = middle - REACH, middle + REACH
    upper, found = np.full(len(comm), np.inf), np.full(len(comm), -np.inf)
    for _ in range(BISECTIONS):
        lam = 0.5 * (low + high)
        weight = np.exp(lam)
        v = best_choices(weight[:, None] * comm + sense, levels)
        g1, g2 = np.sum(v * comm, axis=-1), np.sum(v * sense, axis=-1)
        total = weight * g1.real + g2.real
        with np.errstate(divide="ignore"):
            upper = np.minimum(upper, np.log(np.maximum(total, 0.0)) - zeta * lam)
            found = np.maximum(found, zeta * np.log(np.abs(g1)) + (1.0 - zeta) * np.log(np.abs(g2)))
        rising = weight * g1.real > zeta * total
        low, high = np.where(rising, low, lam), np.where(rising, lam, high)
    return upper + zeta * np.log(zeta) + (1.0 - zeta) * np.log1p(-zeta), found


def largest_product(blocks: BlockForms, tolerance: float = 1e-5) -> tuple[Array, Array]:
    """Upper bound of zeta ln|g_1| + (1 - zeta) ln|g_2| over all designs, (N,), and the best one met; 0 < zeta < 1, r ignored.

    Args:
        tolerance: distance from the best design met (natural log) at which a cell is left as it is.
    """
    comm, sense, zeta = blocks.comm.conj(), blocks.sense.conj(), blocks.weight
    cells = Cells.cover(len(blocks), blocks.levels)
    bound, found = np.full(len(blocks), -np.inf), np.full(len(blocks), -np.inf)
    for depth in range(DEPTH + 1):
        upper = np.empty(len(cells.row))
        for first in range(0, len(upper), CHUNK):
            part = slice(first, first + CHUNK)
            row = cells.row[part]
            one, two = (np.exp(-1j * t[part])[:, None] * c[row] for t, c in ((cells.t1, comm), (cells.t2, sense)))
            upper[part], reached = at_centres(one, two, zeta[row], blocks.levels)
            np.maximum.at(found, row, reached)
        share = zeta[cells.row]
        loss = -share * np.log(np.cos(cells.half[0])) - (1.0 - share) * np.log(np.cos(cells.half[1]))
        upper = upper + loss
        excess = upper - found[cells.row]
        split = (excess > tolerance) & (loss > SHARE * excess) & (depth < DEPTH)
        np.maximum.at(bound, cells.row[~split], upper[~split])
        if not split.any():
            break
        cells = cells.halved(split)
    return bound, found
