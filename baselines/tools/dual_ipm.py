"""Dual interior-point method for max-min semidefinite programs with rank-one terms, batched over scenes.

Every dual-feasible point certifies its value c^T z as an upper bound of the primal value.

Source: derived for arXiv 2111.13511, problems (SDR2.1), (SDR3.1), (P4) and the joint bound; beampattern page, section 9.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baselines.tools.dual_problem import DualProblem, all_inverses
from baselines.tools.linalg import Array, ComplexArray, solve_positive

__all__ = ["FAILED", "INFEASIBLE", "OPTIMAL", "STOPPED", "DualProblem", "DualResult", "solve_dual"]

OPTIMAL, STOPPED, INFEASIBLE, FAILED = "optimal", "stopped", "infeasible", "failed"
RESIDUAL = 2e-5
"""Violation of the equality constraints from which on an earlier primal point is preferred."""


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
    A scene leaves the batch when its duality gap is below the tolerance, or its value negative (infeasible).

    Args:
        problem: the batch.
        tolerance: relative duality gap at which a scene is finished.
        max_iterations: Newton steps per scene.
        need_primal: also return the primal matrices.
        chunk: scenes worked on at a time (bounds the memory; results do not depend on it).

    Returns:
        A `DualResult`; never raises on finite data.

    Raises:
        ValueError: the tolerance is not positive.
    """
    if not tolerance > 0:
        raise ValueError(f"tolerance must be positive, got {tolerance}")
    parts = [
        _solve_chunk(problem[first : first + chunk], tolerance, max_iterations, need_primal)
        for first in range(0, max(len(problem), 1), chunk)
    ]
    return DualResult(
        value=np.concatenate([p.value for p in parts]),
        primal=np.concatenate([p.primal for p in parts]),
        z=np.concatenate([p.z for p in parts]),
        status=np.concatenate([p.status for p in parts]),
        iterations=np.concatenate([p.iterations for p in parts]),
    )


def _solve_chunk(problem: DualProblem, tolerance: float, max_iterations: int, need_primal: bool) -> DualResult:
    plus, group, cost = problem.nonnegative, problem.group, problem.cost
    index, degree, count = np.flatnonzero(plus), problem.degree, len(problem)
    z, good = problem.interior_start()
    tau = np.maximum(np.einsum("bm,bm->b", cost, z), 1e-3) / degree
    # the last two central points (z, dz, tau), latest first, and the best point at which S was found positive definite
    central = [(z.copy(), np.zeros_like(z), np.zeros(count)) for _ in range(2)]
    cert_z, cert_value = z.copy(), np.full(count, np.inf)
    status = np.where(good, STOPPED, FAILED).astype("<U10")
    iterations = np.zeros(count, np.int64)
    rows = np.flatnonzero(good)
    active = problem[rows]
    for _ in range(max_iterations):
        if not len(rows):
            break
        zr, tr = z[rows], tau[rows]
        slack = active.slack(zr)
        inverse, ok = all_inverses(slack)
        value = np.einsum("bm,bm->b", active.cost, zr)
        lower = ok & (value < cert_value[rows])
        cert_z[rows[lower]], cert_value[rows[lower]] = zr[lower], value[lower]
        barrier, hessian = active.derivatives(inverse)
        barrier[:, plus] += 1.0 / zr[:, plus]
        hessian[:, index, index] += 1.0 / zr[:, index] ** 2
        rhs = np.stack([active.cost, barrier, np.broadcast_to(group.astype(float), zr.shape)], axis=-1)
        solution, solved = solve_positive(hessian, rhs)
        ok &= solved & np.isfinite(solution).all((1, 2))
        solution[~ok] = 0.0
        dz, decrement = _newton(solution, active.cost / tr[:, None] - barrier, tr, group)

        close = ok & (decrement < 0.5)
        keep = rows[close]
        for older, newer in zip(central[1], central[0], strict=True):
            older[keep] = newer[keep]
        for slot, now in zip(central[0], (zr, dz, tr), strict=True):
            slot[keep] = now[close]
        final = tolerance * np.maximum(np.abs(value), 1e-9) / degree
        done = close & (tr <= final)
        negative = ok & (value < -1e-9)
        status[rows[done]], status[rows[negative]] = OPTIMAL, INFEASIBLE
        iterations[rows] += 1

        if close.any():  # central enough: the same factorisation gives the step at the next tau
            tau[keep] = np.maximum(tr[close] / 10.0, 0.7 * final[close])
            gradient = active.cost[close] / tau[keep][:, None] - barrier[close]
            dz[close], decrement[close] = _newton(solution[close], gradient, tau[keep], group)
        z[rows] = zr + active.step_length(zr, dz, decrement, slack)[:, None] * dz
        remain = ok & ~done & ~negative
        if not remain.all():
            rows, active = rows[remain], active[remain]

    primal = _best_primal(problem, central) if need_primal else np.zeros((count, 0, 0, 0), complex)
    return DualResult(value=cert_value, primal=primal, z=cert_z, status=status, iterations=iterations)


def _newton(solution: Array, gradient: Array, tau: Array, group: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Newton step on sum_group dz = 0 and its decrement, from H^-1 [cost, barrier, group] (B, m, 3)."""
    free = solution[..., 1] - solution[..., 0] / tau[:, None]
    normal = solution[..., 2]
    along = normal[:, group].sum(1)
    dz = free - normal * (free[:, group].sum(1) / np.where(along == 0, 1.0, along))[:, None]
    return dz, np.sqrt(np.maximum(-np.einsum("bm,bm->b", gradient, dz), 0.0))


def _best_primal(problem: DualProblem, central: list[tuple[Array, Array, Array]]) -> ComplexArray:
    """The primal of the last central point, or of the one before where rounding has spoilt its equality constraints."""
    x, residual = problem.primal(*central[0])
    spoilt = np.flatnonzero(~(residual < RESIDUAL) & (central[1][2] > 0))
    if len(spoilt):
        z, dz, tau = (part[spoilt] for part in central[1])
        other, error = problem[spoilt].primal(z, dz, tau)
        better = error < residual[spoilt]
        x[spoilt[better]] = other[better]
    return x
