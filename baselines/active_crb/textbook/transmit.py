"""(P3) and (SDR5.1) in cvxpy: the transmit step in the coordinates F = Q R Q^H of the surface, Q = Psi G.

    min tr(F^-1)  s.t.  Omega_k >= 0,  F >= sum_k Omega_k,  tr(E_1 F) <= 1,  tr(E_2 F) <= 1,
                        (1 + 1/gamma_k) h_k^H Omega_k h_k - h_k^H F h_k >= 1

in units of the two budgets and of the users' noise; tr(F^-1) = min tr X with [X I; I F] >= 0. Without users: (P3).

Source: arXiv 2508.00379, problems (P3) and (SDR5.1), Proposition 5; model page, sections 7.1 and 7.2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import cvxpy as cp
import numpy as np

from baselines.tools.convex import SOLVED, ConvexProgram, forms, inner, nearest_psd, solvers_for
from baselines.tools.linalg import Array, ComplexArray, abs2, herm
from baselines.tools.solver_call import SolverCall

RESIDUAL = 1e-4
"""Relative violation of the SINR constraints, or rise of the value by the repair, up to which a solution is accepted."""
SCS = 1e-6
"""Accuracy asked of SCS: with less its designs rarely meet the SINR to `RESIDUAL`, and it hardly takes more iterations."""
SHORT = 1e-2
"""Share of the noise that must be missing before a scene on which the solver failed is called infeasible."""
MOST = 10.0
"""Norm of a scaled user channel from which on its constraint is divided by its size (it is easy to meet)."""


@dataclass(frozen=True, kw_only=True)
class Beams:
    """A transmit design in the coordinates of the surface.

    Attributes:
        covariance: F (N, N), Hermitian positive definite, sensing signal and users together.
        users: omega (N, K), F - omega omega^H is positive semidefinite.
    """

    covariance: ComplexArray
    users: ComplexArray


@dataclass(frozen=True, kw_only=True)
class TransmitProgram:
    """The problem for one set of sizes; `shares` are the variables Omega_1, .., Omega_K."""

    program: ConvexProgram
    covariance: Any
    shares: list[Any]


@lru_cache(maxsize=64)
def transmit_program(elements: int, users: int) -> TransmitProgram:
    """Build (SDR5.1), or (P3) for no users, once per sizes."""
    data = 2 * elements**2
    f = cp.Variable((elements, elements), hermitian=True, name="F")
    shares = [cp.Variable((elements, elements), hermitian=True, name=f"Omega{k + 1}") for k in range(users)]
    parameters = {"costs": cp.Parameter((2, data), name="costs")}
    rules = [inner(parameters["costs"], f) <= 1]
    if users:
        parameters |= {name: cp.Parameter((users, data), name=name) for name in ("own", "all")}
        parameters["noise"] = cp.Parameter(users, name="noise")
        rules += [x >> 0 for x in shares] + [f - sum(shares[1:], shares[0]) >> 0]
        rules += sinr_rules(parameters, shares, f)
    trace, schur = inverse_trace(f)
    program = ConvexProgram(
        name="transmit",
        problem=cp.Problem(cp.Minimize(trace), [*rules, schur]),
        parameters=parameters,
        cone=elements,
        tolerance=SCS,
    )
    return TransmitProgram(program=program, covariance=f, shares=shares)


@lru_cache(maxsize=64)
def reach_program(elements: int, users: int) -> ConvexProgram:
    """max s such that the SINR constraints hold with s times the noise: asked where a solver neither solves nor proves.

    Near the border tr(F^-1) grows without limit, and solvers break off; this program has interior points on both sides.
    """
    data = 2 * elements**2
    shares = [cp.Variable((elements, elements), hermitian=True, name=f"Omega{k + 1}") for k in range(users)]
    s = cp.Variable(name="s")
    parameters = {"costs": cp.Parameter((2, data), name="costs"), "noise": cp.Parameter(users, nonneg=True, name="noise")}
    parameters |= {name: cp.Parameter((users, data), name=name) for name in ("own", "all")}
    total = sum(shares[1:], shares[0])
    rules = [x >> 0 for x in shares] + [inner(parameters["costs"], total) <= 1]
    rules += sinr_rules(parameters | {"noise": s * parameters["noise"]}, shares, total)
    return ConvexProgram(name="reach", problem=cp.Problem(cp.Maximize(s), rules), parameters=parameters, cone=elements)


def proof(call: SolverCall, values: dict[str, Array]) -> SolverCall:
    """The report of a failed call, infeasible where the same solver finds the SINR constraints out of reach."""
    elements = int(np.sqrt(values["costs"].shape[1] // 2))
    reach = reach_program(elements, len(values["noise"])).solve(call.scene, (call.solver,), **values)
    call = replace(call, seconds=call.seconds + reach.seconds)
    if reach.status in SOLVED and reach.value < 1.0 - SHORT:
        call = replace(call, status=reach.status.replace("optimal", "infeasible"))
    return call


def inverse_trace(f: Any) -> tuple[Any, Any]:
    """An expression and a constraint for tr(F^-1), F (n, n) affine and Hermitian."""
    size = f.shape[0]
    x = cp.Variable((size, size), hermitian=True, name="X")
    return cp.real(cp.trace(x)), cp.bmat([[x, np.eye(size)], [np.eye(size), f]]) >> 0


def sinr_rules(parameters: dict[str, Any], shares: list[Any], f: Any) -> list[Any]:
    """<own_k, Omega_k> - <all_k, F> >= noise_k."""
    own, every, noise = parameters["own"], parameters["all"], parameters["noise"]
    return [inner(own[k : k + 1], x) - inner(every[k : k + 1], f) >= noise[k : k + 1] for k, x in enumerate(shares)]


def sinr_data(rows: ComplexArray, threshold: Array) -> dict[str, Array]:
    """The parameters of `sinr_rules` from channels (K, n), row k = h_k used as h_k^H, noise 1."""
    ease = np.maximum(1.0, np.sqrt(abs2(rows).sum(-1)) / MOST)
    h = rows / ease[:, None]
    every = forms(h[:, :, None] * h[:, None, :].conj())
    return {"own": (1.0 + 1.0 / threshold)[:, None] * every, "all": every, "noise": 1.0 / ease**2}


def unit(cost: ComplexArray) -> float:
    """f_0 such that F = f_0 I is within all budgets tr(E_i F) <= 1, `cost` = E_i (.., N, N)."""
    return 1.0 / max(float(np.trace(cost, axis1=-2, axis2=-1).real.max()), 1e-300)


def solve_transmit(
    cost: ComplexArray,
    users: ComplexArray | None,
    threshold: Array | None,
    scene: int = 0,
    solvers: tuple[str, ...] | None = None,
) -> tuple[Beams | None, float, SolverCall]:
    """One scene.

    Args:
        cost: (2, N, N) E_1 / P_0 and E_2 / P_1 (zeros: no surface budget).
        users: (K, N) row k = h_k / sqrt(n_k), used as h_k^H; None or K = 0: (P3).
        threshold: (K,) linear SINR gamma_k.
        scene: number for the report; solvers: asked in this order, None: as `solvers_for` the size says.

    Returns:
        The design (Proposition 5; None unless accepted), tr(F^-1) at the optimum as the solver states it (inf without one),
        the report of the last solver, with the time of all.
    """
    count = 0 if users is None else len(users)
    scale = unit(cost)
    values = {"costs": forms(scale * cost)}
    if users is not None and threshold is not None and count:
        values |= sinr_data(np.sqrt(scale) * users, threshold)
    built = transmit_program(cost.shape[-1], count)
    spent, best = 0.0, np.inf
    for solver in solvers or solvers_for(cost.shape[-1]):
        call = built.program.solve(scene, (solver,), **values)
        beams = None
        if call.status in SOLVED:
            f = (np.asarray(built.covariance.value) * scale).astype(complex)
            omega = np.zeros((len(f), 0), complex)
            if count and users is not None:
                shares = (np.stack([np.asarray(x.value) for x in built.shares]) * scale).astype(complex)
                omega = proposition_5(shares, users)
            beams, best, call = judge(recover(f, omega, cost), call.value / scale, call, users, threshold)
        if beams is None and count and not call.infeasible:
            call = proof(call, values)
        spent += call.seconds
        if beams is not None or call.infeasible:
            break
    return beams, best, replace(call, seconds=spent)


def proposition_5(shares: ComplexArray, users: ComplexArray) -> ComplexArray:
    """omega_k = Omega_k h_k / sqrt(h_k^H Omega_k h_k): rank one, as much signal, omega_k omega_k^H <= Omega_k.

    Args:
        shares: (K, n, n) Omega_k.
        users: (K, n) row k = h_k.

    Returns:
        (n, K).
    """
    received = np.einsum("knm,km->nk", nearest_psd(shares), users)
    power = np.einsum("kn,nk->k", users.conj(), received).real
    return received / np.sqrt(np.maximum(power, 1e-300))


def recover(f: ComplexArray, users: ComplexArray, cost: ComplexArray) -> Beams:
    """Make F - omega omega^H positive semidefinite and meet the larger budget with equality."""
    f = nearest_psd(f - users @ herm(users)) + users @ herm(users)
    scale = 1.0 / max(float(np.einsum("inm,mn->i", cost, f).real.max()), 1e-300)
    return Beams(covariance=scale * f, users=np.sqrt(scale) * users)


def judge(
    beams: Beams,
    value: float,
    call: SolverCall,
    users: ComplexArray | None,
    threshold: Array | None,
    most: float = RESIDUAL,
) -> tuple[Beams | None, float, SolverCall]:
    """The answer with the residual: largest relative violation of an SINR constraint, or rise of tr(F^-1) over `value`."""
    residual = max(inverse_trace_of(beams.covariance) / max(value, 1e-300) - 1.0, 0.0)
    if users is not None and threshold is not None and len(users):
        residual = max(residual, float((1.0 - sinr_ratio(beams, users, threshold)).max()))
    call = replace(call, residual=residual, accepted=residual <= most)
    return (beams if call.accepted else None), value, call


def inverse_trace_of(f: ComplexArray) -> float:
    """tr(F^-1), inf for a matrix that is not positive definite."""
    values = np.linalg.eigvalsh(f)
    return float((1.0 / values).sum()) if values[0] > 0 else np.inf


def sinr_ratio(beams: Beams, users: ComplexArray, threshold: Array) -> Array:
    """SINR_k / gamma_k (K,) for channels of noise 1."""
    signal = abs2(np.einsum("kn,nk->k", users.conj(), beams.users))
    total = np.einsum("kn,nm,km->k", users.conj(), beams.covariance, users).real
    return np.asarray(signal / (threshold * (1.0 + np.maximum(total - signal, 0.0))))
