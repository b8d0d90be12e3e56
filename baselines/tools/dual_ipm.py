"""Dual interior-point method for small max-min semidefinite programs with rank-one terms, batched over scenes.

Primal (X >= 0 block diagonal, a free scalar t) and dual, with A_i = sums of signed rank-one and diagonal terms:

    max t   s.t.  <A_i, X> = c_i or <= c_i,  sum over the max-min group >= t
    min c^T z   s.t.  S(z) = Diag(D z) + F diag(E z) F^H >= 0,  z_i >= 0 for i in `nonnegative`,  sum_{i in group} z_i = 1

Every dual-feasible z certifies c^T z as an upper bound of the primal value.

Source: derived for arXiv 2111.13511, problems (SDR2.1), (SDR3.1), (P4) and the joint bound; beampattern page, section 9.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baselines.tools.linalg import (
    Array,
    ComplexArray,
    abs2,
    herm,
    inverse_positive,
    is_positive_definite,
    solve_positive,
)

OPTIMAL, STOPPED, INFEASIBLE, FAILED = "optimal", "stopped", "infeasible", "failed"


RESIDUAL = 2e-5
"""Violation of the equality constraints from which on an earlier primal point is preferred."""


@dataclass(frozen=True, kw_only=True)
class DualProblem:
    """A batch of programs of one shape.

    Attributes:
        factors: (B, J, n, q) complex, columns F of the J diagonal blocks.
        weights: (J, q, m) real, E: which variable weighs which column, with sign.
        diagonal: (J, n, m) real, D: which variable enters which diagonal entry.
        cost: (B, m) real, c.
        nonnegative: (m,) bool, variables with z_i >= 0.
        group: (m,) bool, the max-min multipliers, which sum to 1 (they must be nonnegative too).
        doubled: (m,) bool, variables that are doubled from `start` until S is positive definite.
        start: (m,) real, first point.
    """

    factors: ComplexArray
    weights: Array
    diagonal: Array
    cost: Array
    nonnegative: NDArray[np.bool_]
    group: NDArray[np.bool_]
    doubled: NDArray[np.bool_]
    start: Array

    def __len__(self) -> int:
        return len(self.factors)

    def slack(self, z: Array, rows: NDArray | slice = slice(None)) -> ComplexArray:
        """S(z), (B, J, n, n), for z (B, m) of the scenes `rows`."""
        return _assemble(self.factors[rows], self.weights, self.diagonal, z)


@dataclass(frozen=True, kw_only=True)
class DualResult:
    """Result of `solve_dual`.

    Attributes:
        value: (B,) certified upper bounds c^T z.
        primal: (B, J, n, n) Hermitian PSD, feasible up to the last normalisation (zero where none was reached).
        z: (B, m) dual-feasible points.
        status: (B,) of optimal / stopped / infeasible / failed (failed: no interior start was found, value = inf).
        iterations: (B,) Newton steps.
    """

    value: Array
    primal: ComplexArray
    z: Array
    status: NDArray[np.str_]
    iterations: NDArray[np.int64]


def solve_dual(
    problem: DualProblem,
    *,
    tolerance: float = 1e-4,
    max_iterations: int = 80,
    need_primal: bool = True,
    chunk: int = 256,
) -> DualResult:
    """Solve a batch of dual programs.

    Newton's method on c^T z / tau - log det S - sum log z_+, with tau divided by 10 whenever the decrement is below 0.5.

    Args:
        problem: the batch.
        tolerance: relative duality gap at which a scene is finished.
        max_iterations: Newton steps per scene.
        need_primal: also return the primal matrices.
        chunk: scenes worked on at a time (bounds the memory; results do not depend on it).

    Returns:
        A `DualResult`; never raises on finite data.
    """
    if tolerance <= 0:
        raise ValueError(f"tolerance must be positive, got {tolerance}")
    count = len(problem)
    blocks, size, _ = problem.factors.shape[1:]
    m = problem.cost.shape[1]
    z = np.zeros((count, m))
    value = np.full(count, np.inf)
    status = np.full(count, FAILED, dtype="<U10")
    iterations = np.zeros(count, np.int64)
    primal = np.zeros((count, blocks, size, size) if need_primal else (count, 0, 0, 0), complex)
    for first in range(0, count, chunk):
        part = slice(first, min(first + chunk, count))
        z[part], value[part], status[part], iterations[part], x = _solve_chunk(
            problem, part, tolerance, max_iterations, need_primal
        )
        if need_primal:
            primal[part] = x
    return DualResult(value=value, primal=primal, z=z, status=status, iterations=iterations)


def _assemble(factors: ComplexArray, weights: Array, diagonal: Array, z: Array) -> ComplexArray:
    """Diag(D z) + F diag(E z) F^H, exactly Hermitian up to rounding."""
    column = (weights @ z[:, None, :, None])[..., 0]
    out = (factors * column[:, :, None, :]) @ herm(factors)
    index = np.arange(factors.shape[2])
    out[..., index, index] = out[..., index, index].real + (diagonal @ z[:, None, :, None])[..., 0]
    return out


def _flat(x: NDArray) -> NDArray:
    return x.reshape(-1, *x.shape[2:])


def _solve_chunk(problem: DualProblem, part: slice, tolerance: float, max_iterations: int, need_primal: bool):
    factors, cost = problem.factors[part], problem.cost[part]
    weights, diagonal = problem.weights, problem.diagonal
    plus, group = problem.nonnegative, problem.group
    count, blocks, size, _ = factors.shape
    degree = blocks * size + int(plus.sum())

    z, good = _interior_start(problem, factors)
    central = [
        (z.copy(), np.zeros_like(z), np.zeros(count)) for _ in range(2)
    ]  # the last two central points, latest first
    cert_z, cert_value = z.copy(), np.full(count, np.inf)  # best point at which S was found positive definite
    status = np.where(good, STOPPED, FAILED).astype("<U10")
    iterations = np.zeros(count, np.int64)
    rows = np.flatnonzero(good)
    tau = np.maximum(np.einsum("bm,bm->b", cost, z), 1e-3) / degree
    f = factors[rows]
    for _ in range(max_iterations):
        if not len(rows):
            break
        zr, tr = z[rows], tau[rows]
        slack = _assemble(f, weights, diagonal, zr)
        inverse, ok = inverse_positive(_flat(slack))
        inverse = inverse.reshape(len(rows), blocks, size, size)
        ok = ok.reshape(len(rows), blocks).all(1)
        value = np.einsum("bm,bm->b", cost[rows], zr)
        lower = ok & (value < cert_value[rows])
        cert_z[rows[lower]], cert_value[rows[lower]] = zr[lower], value[lower]
        barrier, hessian = _derivatives(inverse, f, weights, diagonal)
        barrier[:, plus] += 1.0 / zr[:, plus]
        index = np.flatnonzero(plus)
        hessian[:, index, index] += 1.0 / zr[:, index] ** 2
        rhs = np.stack([cost[rows], barrier, np.broadcast_to(group.astype(float), zr.shape)], axis=-1)
        solution, solved = solve_positive(hessian, rhs)
        ok &= solved & np.isfinite(solution).all((1, 2))
        solution[~ok] = 0.0
        dz, decrement = _newton(solution, cost[rows] / tr[:, None] - barrier, tr, group)

        close = ok & (decrement < 0.5)
        keep = rows[close]
        for older, newer in zip(central[1], central[0], strict=True):
            older[keep] = newer[keep]
        for slot, now in zip(central[0], (zr, dz, tr), strict=True):
            slot[keep] = now[close]
        final = tolerance * np.maximum(np.abs(value), 1e-9) / degree
        done = close & (tr <= final)
        status[rows[done]] = OPTIMAL
        negative = ok & (value < -1e-9)
        status[rows[negative]] = INFEASIBLE
        iterations[rows] += 1

        if close.any():  # central enough: the same factorisation gives the step at the next tau
            tau[keep] = np.maximum(tr[close] / 10.0, 0.7 * final[close])
            gradient = cost[keep] / tau[keep][:, None] - barrier[close]
            dz[close], decrement[close] = _newton(solution[close], gradient, tau[keep], group)
        step = _step_length(zr, dz, decrement, slack, f, weights, diagonal, plus)
        z[rows] = zr + step[:, None] * dz
        remain = ok & ~done & ~negative
        if not remain.all():
            rows, f = rows[remain], f[remain]

    x = _best_primal(factors, weights, diagonal, cost, ~plus, central) if need_primal else None
    return cert_z, cert_value, status, iterations, x


def _newton(solution: Array, gradient: Array, tau: Array, group: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Newton step on sum_group dz = 0 and its decrement, from H^-1 [cost, barrier, group] (B, m, 3)."""
    free = solution[..., 1] - solution[..., 0] / tau[:, None]
    normal = solution[..., 2]
    along = normal[:, group].sum(1)
    dz = free - normal * (free[:, group].sum(1) / np.where(along == 0, 1.0, along))[:, None]
    return dz, np.sqrt(np.maximum(-np.einsum("bm,bm->b", gradient, dz), 0.0))


def _interior_start(problem: DualProblem, factors: ComplexArray) -> tuple[Array, NDArray[np.bool_]]:
    """Double the variables `doubled` until S - 1e-3 min(start) I is positive definite."""
    count, blocks, size, _ = factors.shape
    z = np.tile(problem.start, (count, 1))
    good = np.zeros(count, bool)
    index = np.arange(size)
    for _ in range(80):
        todo = np.flatnonzero(~good)
        if not len(todo):
            break
        slack = _assemble(factors[todo], problem.weights, problem.diagonal, z[todo])
        slack[..., index, index] -= 1e-3 * z[todo][:, problem.doubled].min(1)[:, None, None]
        inside = is_positive_definite(_flat(slack)).reshape(-1, blocks).all(1)
        good[todo[inside]] = True
        outside = todo[~inside]
        z[np.ix_(outside, np.flatnonzero(problem.doubled))] *= 2.0
    return z, good


def _derivatives(inverse: ComplexArray, f: ComplexArray, weights: Array, diagonal: Array) -> tuple[Array, Array]:
    """tr(S^-1 A_i) (B, m) and tr(S^-1 A_i S^-1 A_j) (B, m, m)."""
    inner = inverse @ f
    kernel = herm(f) @ inner
    first = np.diagonal(inverse, axis1=-2, axis2=-1).real[..., None, :] @ diagonal
    first = first + np.diagonal(kernel, axis1=-2, axis2=-1).real[..., None, :] @ weights
    dt, wt = np.swapaxes(diagonal, -1, -2), np.swapaxes(weights, -1, -2)
    cross = dt @ (abs2(inner) @ weights)
    second = dt @ (abs2(inverse) @ diagonal) + cross + np.swapaxes(cross, -1, -2) + wt @ (abs2(kernel) @ weights)
    return first[..., 0, :].sum(1), second.sum(1)


def _step_length(z, dz, decrement, slack, f, weights, diagonal, plus) -> Array:
    """min(1, 0.9 x distance to the boundary), the distance to S > 0 found by backtracking with Cholesky tests."""
    ratio = np.where(dz[:, plus] < 0, -z[:, plus] / np.where(dz[:, plus] < 0, dz[:, plus], -1.0), np.inf)
    step = np.minimum(1.0, 0.9 * ratio.min(1, initial=np.inf))
    moving = np.flatnonzero(np.abs(dz).max(1) > 0)
    safe = 0.9 / np.maximum(decrement, 1e-300)  # Dikin ellipsoid
    todo = moving[step[moving] > safe[moving]]
    if not len(todo):
        return step
    change = _assemble(f[todo], weights, diagonal, dz[todo])
    slack = slack[todo]
    blocks = f.shape[1]
    for _ in range(60):
        trial = slack + (step[todo] / 0.9)[:, None, None, None] * change
        inside = is_positive_definite(_flat(trial)).reshape(-1, blocks).all(1)
        step[todo[~inside]] = np.maximum(0.75 * step[todo[~inside]], 0.99 * safe[todo[~inside]])
        remain = ~inside & (step[todo] > safe[todo])
        if not remain.any():
            break
        todo, slack, change = todo[remain], slack[remain], change[remain]
    return step


def _best_primal(factors, weights, diagonal, cost, free, central) -> ComplexArray:
    """The primal point of the last central point, or of the one before where rounding has spoilt its equality constraints."""
    x, residual = _primal(factors, weights, diagonal, cost, free, *central[0])
    spoilt = np.flatnonzero(~(residual < RESIDUAL) & (central[1][2] > 0))
    if len(spoilt):
        older = [part[spoilt] for part in central[1]]
        other, error = _primal(factors[spoilt], weights, diagonal, cost[spoilt], free, *older)
        better = error < np.where(np.isfinite(residual[spoilt]), residual[spoilt], np.inf)
        x[spoilt[better]] = other[better]
    return x


def _primal(factors, weights, diagonal, cost, free, z, dz, tau) -> tuple[ComplexArray, Array]:
    """X = tau (S^-1 - S^-1 dS S^-1), (B, J, n, n), and the largest violation of its equality constraints (B,)."""
    inverse, good = inverse_positive(_flat(_assemble(factors, weights, diagonal, z)))
    inverse = inverse.reshape(factors.shape[0], factors.shape[1], factors.shape[2], factors.shape[2])
    good = good.reshape(inverse.shape[:2]).all(1) & (tau > 0)
    x = inverse - inverse @ _assemble(factors, weights, diagonal, dz) @ inverse
    x = np.where(good, tau, 0.0)[:, None, None, None] * x
    x = 0.5 * (x + herm(x))
    image = np.sum(factors.conj() * (x @ factors), axis=-2).real[..., None, :] @ weights
    image = image + np.diagonal(x, axis1=-2, axis2=-1).real[..., None, :] @ diagonal
    violation = np.abs(image[..., 0, :].sum(1) - cost)[:, free].max(1, initial=0.0)
    return x, np.where(good, violation / np.maximum(1.0, np.abs(cost[:, free]).max(1, initial=1.0)), np.inf)
