"""Batched limited-memory BFGS minimisation: one problem per row, each with its own line search."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from baselines.tools.linalg import Array

Objective = Callable[[Array, NDArray[np.int64]], tuple[Array, Array]]
"""f(x (b, n), rows (b,)) -> values (b,), gradients (b, n); `rows` names the problems that x belongs to."""


def minimise(
    objective: Objective,
    start: Array,
    *,
    iterations: int,
    memory: int = 20,
    backtracks: int = 12,
    gradient_tolerance: float = 1e-7,
) -> tuple[Array, Array]:
    """Minimise a batch of smooth functions.

    Two-loop recursion, steps accepted by Armijo's rule (1e-4) with quadratic interpolation; a pair enters the memory if its
    curvature is positive. A row stops when its gradient is small or no step is found along the negative gradient.

    Args:
        objective: value and gradient of selected rows.
        start: (B, n).
        iterations: steps per row.
        memory: pairs kept.
        backtracks: trials per line search.
        gradient_tolerance: Euclidean norm of the gradient at which a row stops.

    Returns:
        Points (B, n) and values (B,); no value is above its start.
    """
    count, n = start.shape
    x = start.copy()
    rows = np.arange(count)
    value, gradient = objective(x, rows)
    # memory as a ring, oldest first in `order`; empty slots have rho = 0 and drop out
    s, y = np.zeros((memory, count, n)), np.zeros((memory, count, n))
    rho, scale = np.zeros((memory, count)), np.zeros(count)
    alive = np.isfinite(value) & np.isfinite(gradient).all(1)
    for iteration in range(iterations):
        alive &= np.sqrt(np.einsum("bn,bn->b", gradient, gradient)) > gradient_tolerance
        rows = np.flatnonzero(alive)
        if not len(rows):
            break
        order = [k % memory for k in range(max(0, iteration - memory), iteration)][:memory]
        whole = len(rows) == count
        pick: slice | NDArray = slice(None) if whole else rows
        direction = _two_loop(gradient[pick], s, y, rho, scale, order, pick)
        slope = np.einsum("bn,bn->b", gradient[pick], direction)
        bad = ~(slope < 0)
        direction[bad] = -gradient[rows[bad]]
        norm = np.sqrt(np.einsum("bn,bn->b", gradient[pick], gradient[pick]))
        slope = np.where(bad, -(norm**2), slope)
        step = np.where(bad | (scale[pick] == 0), np.minimum(1.0, 1.0 / norm), 1.0)
        new_x, new_value, new_gradient, moved = _line_search(
            objective, x[pick], value[pick], gradient[pick], direction, slope, step, rows, backtracks
        )
        slot = iteration % memory
        ds, dy = new_x - x[pick], new_gradient - gradient[pick]
        curvature = np.einsum("bn,bn->b", ds, dy)
        square = np.einsum("bn,bn->b", dy, dy)
        use = moved & (curvature > 1e-10 * square) & (square > 0)
        s[slot], y[slot], rho[slot] = 0.0, 0.0, 0.0
        s[slot, pick], y[slot, pick] = ds, dy
        rho[slot, pick] = np.where(use, 1.0 / np.where(use, curvature, 1.0), 0.0)
        scale[pick] = np.where(use, curvature / np.where(use, square, 1.0), np.where(moved, scale[pick], 0.0))
        # no step although the direction was the negative gradient: finished; else forget the memory and try that
        stuck = ~moved
        rho[:, rows[stuck]] = 0.0
        alive[rows[stuck & bad]] = False
        stuck_once = stuck & ~bad & (len(order) == 0)
        alive[rows[stuck_once]] = False
        x[pick], value[pick], gradient[pick] = new_x, new_value, new_gradient
    return x, value


def _two_loop(gradient: Array, s: Array, y: Array, rho: Array, scale: Array, order: list[int], pick: slice | NDArray) -> Array:
    """-H g for the rows `pick`; slots with rho = 0 act as the identity."""
    q = -gradient
    alphas = []
    for k in reversed(order):
        alpha = rho[k, pick] * np.einsum("bn,bn->b", s[k, pick], q)
        q -= alpha[:, None] * y[k, pick]
        alphas.append(alpha)
    q *= np.where(scale[pick] > 0, scale[pick], 1.0)[:, None]
    for k, alpha in zip(order, reversed(alphas), strict=True):
        beta = rho[k, pick] * np.einsum("bn,bn->b", y[k, pick], q)
        q += (alpha - beta)[:, None] * s[k, pick]
    return q


def _line_search(
    objective: Objective,
    x: Array,
    value: Array,
    gradient: Array,
    direction: Array,
    slope: Array,
    step: Array,
    rows: NDArray[np.int64],
    backtracks: int,
) -> tuple[Array, Array, Array, NDArray[np.bool_]]:
    """Armijo backtracking per row; rows without success keep their point."""
    new_x, new_value, new_gradient = x.copy(), value.copy(), gradient.copy()
    moved = np.zeros(len(x), bool)
    todo = np.arange(len(x))
    step = step.copy()
    for _ in range(backtracks):
        trial = x[todo] + step[todo, None] * direction[todo]
        f, g = objective(trial, rows[todo])
        good = np.isfinite(f) & np.isfinite(g).all(1) & (f <= value[todo] + 1e-4 * step[todo] * slope[todo])
        done = todo[good]
        new_x[done], new_value[done], new_gradient[done], moved[done] = trial[good], f[good], g[good], True
        rest = ~good
        left = todo[rest]
        if not len(left):
            break
        rise = np.where(np.isfinite(f[rest]), f[rest] - value[left] - step[left] * slope[left], np.inf)
        factor = np.where(rise > 0, -0.5 * step[left] * slope[left] / np.where(rise > 0, rise, 1.0), 0.5)
        step[left] *= np.clip(factor, 0.1, 0.5)
        todo = left
    return new_x, new_value, new_gradient, moved
