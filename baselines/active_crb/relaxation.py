"""Semidefinite relaxations of the phase steps: (SDR4.3) and (SDR6.3), their certified bounds and Gaussian randomisation.

Both by the dual interior-point method. (SDR6.3) needs no bisection: at a ratio t the dual value of

    max_V min_k [ tr(S_k V) / (t gamma_k n_k) - tr(I_k V) / n_k ]  s.t.  V_nn = 1, V >= 0, tr(Xi V) <= slack

certifies that no phases reach more than t max(1, value), because tr(I_k V) >= 0; the ratio of the maximiser is the next t
(Dinkelbach's method, superlinear).

Source: arXiv 2508.00379, problems (SDR4.3) and (SDR6.3); model page, sections 7.1, 7.2 and 8.3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baselines.active_crb.phases import PhaseProgram, quadratic
from baselines.tools.dual_ipm import DualProblem, DualResult, solve_dual
from baselines.tools.linalg import Array, ComplexArray, abs2
from baselines.tools.randomisation import gaussian_phases

TOLERANCE = 1e-4


@dataclass(frozen=True, kw_only=True)
class Relaxed:
    """A solved relaxation.

    Attributes:
        covariance: (B, N, N), V with unit diagonal (identity where there is none).
        bound: (B,), certified: lower bound of min u^H Xi u, or upper bound of the max-min ratio.
        solved: (B,), whether a V was found.
    """

    covariance: ComplexArray
    bound: Array
    solved: NDArray[np.bool_]


def _unit_diagonal(result: DualResult) -> tuple[ComplexArray, NDArray[np.bool_]]:
    """V of the dual's primal matrices with unit diagonal (B, N, N), and where there is one (B,)."""
    x = result.primal[:, 0]
    power = np.diagonal(x, axis1=1, axis2=2).real
    good: NDArray[np.bool_] = np.asarray((power > 0).all(1) & np.isfinite(x).all((1, 2)))
    scale = 1.0 / np.sqrt(np.where(good[:, None], power, 1.0))
    unit = np.where(good[:, None, None], x * scale[:, :, None] * scale[:, None, :], np.eye(x.shape[1]))
    return unit, good


def _columns(form: ComplexArray) -> ComplexArray:
    """X with X X^H = form (B, N, N), Hermitian PSD up to rounding."""
    sound = np.asarray(np.isfinite(form).all((1, 2)))
    values, vectors = np.linalg.eigh(np.where(sound[:, None, None], form, 0.0))
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :])


def _problem(factors: ComplexArray, owner: Array, sign: Array, users: int, echo: bool) -> DualProblem:
    """min sum y (+ nu) s.t. Diag(y) + factors diag(sign z_owner) factors^H >= 0, sum mu = 1; z = (y, mu, nu)."""
    count, n, columns = factors.shape
    m = n + users + int(echo)
    weights, diagonal, cost = np.zeros((1, columns, m)), np.zeros((1, n, m)), np.zeros((count, m))
    weights[0, np.arange(columns), n + owner.astype(int)] = sign
    diagonal[0, np.arange(n), np.arange(n)] = 1.0
    cost[:, :n] = 1.0
    cost[:, n + users :] = 1.0
    kind = np.repeat([0, 1, 2], [n, users, int(echo)])
    return DualProblem(
        factors=np.ascontiguousarray(factors[:, None]),
        weights=weights,
        diagonal=diagonal,
        cost=cost,
        nonnegative=kind > 0,
        group=kind == 1,
        doubled=kind == 0,
        start=np.array([1.0, 1.0 / users, 0.01])[kind],
    )


def relax_echo(form: ComplexArray) -> Relaxed:
    """(SDR4.3): min tr(Xi V) s.t. V_nn = 1, V >= 0, for Xi (B, N, N); `bound` is below u^H Xi u for all phases."""
    n = form.shape[1]
    sound = np.asarray(np.isfinite(form).all((1, 2)))
    form = np.where(sound[:, None, None], form, 0.0)
    # a multiple of the identity, constant over unit-modulus u, keeps the dual value positive: Xi -> c I - Xi >= 0
    top = np.maximum(np.linalg.eigvalsh(form)[:, -1], 1e-300)
    turned = np.eye(n) - form / top[:, None, None]
    problem = _problem(_columns(turned), np.zeros(n), -np.ones(n), 1, False)
    result = solve_dual(problem, tolerance=0.1 * TOLERANCE)
    covariance, good = _unit_diagonal(result)
    bound = np.where(np.isfinite(result.value), top * np.maximum(n - result.value, 0.0), 0.0)
    return Relaxed(covariance=covariance, bound=bound, solved=good & sound)


def relax_ratio(program: PhaseProgram, u: ComplexArray, *, ratio_tolerance: float = 1e-3, rounds: int = 12) -> Relaxed:
    """(SDR6.3) from phases u (B, N): `bound` is above min_k SINR_k / gamma_k for all phases within the surface power.

    Args:
        program: the batch.
        u: (B, N), a first point.
        ratio_tolerance: relative distance of the bound from the relaxation's optimum.
        rounds: dual programs per scene at most.

    Returns:
        A `Relaxed`.
    """
    count, users, n = program.own.shape
    own = np.swapaxes(program.own.conj(), 1, 2)  # (B, N, K)
    signal = program.own.conj()[..., :, None] * program.own[..., None, :]
    interference = program.total - program.threshold[..., None, None] * signal
    columns = _columns(interference.reshape(-1, n, n)).reshape(count, users, n, n)
    spread = np.swapaxes(columns, 1, 2).reshape(count, n, users * n)
    owner = np.concatenate([np.arange(users), np.repeat(np.arange(users), n)])
    sign = np.concatenate([-np.ones(users), np.ones(users * n)])
    extra: list[ComplexArray] = []
    if program.echo is not None:
        extra = [_columns(program.echo)]
        owner, sign = np.concatenate([owner, np.full(n, users)]), np.concatenate([sign, np.ones(n)])
    start = np.where(program.usage(u) <= 1.0 + 1e-9, program.ratios(u).min(1), 0.0)
    best = np.maximum(start, 1e-3 * (np.abs(program.own).sum(2) ** 2).min(1))
    # a trivial bound: coherent signal, no interference
    bound = (np.abs(program.own).sum(2) ** 2).min(1)
    covariance = np.broadcast_to(np.eye(n, dtype=complex), (count, n, n)).copy()
    solved = np.zeros(count, bool)
    finite = np.isfinite(program.own).all((1, 2)) & np.isfinite(program.total).all((1, 2, 3))
    rows = np.flatnonzero((bound > 0) & finite)
    for _ in range(rounds):
        if not len(rows):
            break
        scaled = own[rows] / np.sqrt(best[rows])[:, None, None]
        factors = np.concatenate([scaled, spread[rows], *(x[rows] for x in extra)], axis=2)
        result = solve_dual(_problem(factors, owner, sign, users, bool(extra)), tolerance=TOLERANCE)
        bound[rows] = np.minimum(bound[rows], best[rows] * np.maximum(result.value, 1.0))
        unit, good = _unit_diagonal(result)
        received = np.einsum("bnk,bnm,bmk->bk", own[rows].conj(), unit, own[rows], optimize=True).real
        noise = 1.0 + np.einsum("bkmn,bnm->bk", interference[rows], unit).real
        ratio = (received / np.maximum(noise, 1e-12)).min(1)
        covariance[rows[good]], solved[rows[good]] = unit[good], True
        ratio = np.where(good, ratio, 0.0)
        lower = ratio < best[rows] * (1.0 - 1e-6)  # the start was too high: come from below
        best[rows] = np.where(lower, np.maximum(ratio, 0.3 * best[rows]), np.maximum(ratio, best[rows]))
        rows = rows[bound[rows] > np.where(good, best[rows], bound[rows]) * (1.0 + ratio_tolerance)]
    return Relaxed(covariance=covariance, bound=bound, solved=solved)


def randomise_echo(
    form: ComplexArray, u: ComplexArray, generators: list[np.random.Generator], draws: int = 200
) -> tuple[ComplexArray, Array]:
    """(P4.2) by (SDR4.3) and randomisation, the current u included: phases (B, N) and u^H Xi u (B,)."""
    relaxed = relax_echo(form)
    out, value = u.copy(), quadratic(form, u)
    for i in np.flatnonzero(relaxed.solved):
        candidates = gaussian_phases(relaxed.covariance[i], draws, generators[i], reference=False)
        power = np.einsum("cn,cn->c", candidates.conj(), candidates @ form[i].T).real
        k = int(power.argmin())
        if power[k] < value[i]:
            out[i], value[i] = candidates[k], power[k]
    return out, value


def randomise_ratio(
    program: PhaseProgram, u: ComplexArray, generators: list[np.random.Generator], draws: int = 200
) -> tuple[ComplexArray, Array, Array]:
    """(SDR6.3) and randomisation, the current u included: phases (B, N), smallest ratio (B,), certified bound (B,).

    Candidates beyond the surface power are left out.
    """
    relaxed = relax_ratio(program, u)
    out, value = u.copy(), program.ratios(u).min(1)
    for i in np.flatnonzero(relaxed.solved):
        candidates = gaussian_phases(relaxed.covariance[i], draws, generators[i], reference=False)
        signal = abs2(candidates @ program.own[i].T)
        both = np.einsum("cn,knm,cm->ck", candidates.conj(), program.total[i], candidates, optimize=True).real
        ratio = (signal / np.maximum(1.0 + both - program.threshold[i] * signal, 1e-12)).min(1)
        if program.echo is not None:
            usage = np.einsum("cn,cn->c", candidates.conj(), candidates @ program.echo[i].T).real
            ratio = np.where(usage <= 1.0, ratio, -np.inf)
        k = int(ratio.argmax())
        if ratio[k] > value[i]:
            out[i], value[i] = candidates[k], ratio[k]
    return out, value, relaxed.bound


__all__ = ["Relaxed", "randomise_echo", "randomise_ratio", "relax_echo", "relax_ratio"]
