"""(SDR2.1) in cvxpy: the transmit step with W_1, .., W_K and R_0 as variables.

    max t  s.t.  g_l^H R g_l >= t,  h_k^H W_k h_k / Gamma_k - sum_{j != k} h_k^H W_j h_k - eps h_k^H R_0 h_k >= sigma^2,
           tr R <= P,  R = sum_k W_k + R_0,  W_k >= 0,  R_0 >= 0

Source: arXiv 2111.13511, problem (SDR2.1).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import cvxpy as cp
import numpy as np

from baselines.beampattern.units import Scaled, limit
from baselines.tools.convex import SOLVED, ConvexProgram, forms, inner, nearest_psd
from baselines.tools.linalg import Array, ComplexArray, abs2, herm
from baselines.tools.solver_call import SolverCall

RESIDUAL = 1e-4
"""Relative violation of the SINR constraints, or loss of value by the repair, up to which a solution is accepted."""


@dataclass(frozen=True, kw_only=True)
class TransmitProgram:
    """The problem for one set of sizes; `covariances` are its matrix variables R_0 (if any), W_1, .., W_K."""

    program: ConvexProgram
    covariances: list[Any]


@lru_cache(maxsize=64)
def transmit_program(antennas: int, angles: int, users: int, sensing: bool, leak: bool) -> TransmitProgram:
    """Build (SDR2.1) once per sizes; `sensing`: with R_0; `leak`: the users do not cancel the sensing signal."""
    data = 2 * antennas**2
    w = [cp.Variable((antennas, antennas), hermitian=True, name=f"W{k + 1}") for k in range(users)]
    r0 = [cp.Variable((antennas, antennas), hermitian=True, name="R0")] if sensing else []
    t = cp.Variable(name="t")
    gains = cp.Parameter((angles, data), name="gains")
    signal = cp.Parameter((users, data), name="signal")
    noise = cp.Parameter(users, name="noise")
    parameters = {"gains": gains, "signal": signal, "noise": noise}
    total = sum(w[1:] + r0, w[0])
    rules = [x >> 0 for x in r0 + w] + [cp.real(cp.trace(total)) <= 1, inner(gains, total) >= t]
    disturbing = users > 1 or (sensing and leak)
    if disturbing:
        parameters["interference"] = cp.Parameter((users, data), name="interference")
    for k in range(users):
        received = inner(signal[k : k + 1], w[k])
        if disturbing:
            others = [x for j, x in enumerate(w) if j != k] + (r0 if leak else [])
            received = received - inner(parameters["interference"][k : k + 1], sum(others[1:], others[0]))
        rules.append(received >= noise[k : k + 1])
    program = ConvexProgram(
        name="transmit" if sensing else "information",
        problem=cp.Problem(cp.Maximize(t), rules),
        parameters=parameters,
        cone=antennas,
    )
    return TransmitProgram(program=program, covariances=r0 + w)


def solve_transmit(
    scaled: Scaled, row: int, user: ComplexArray, target: ComplexArray, sensing: bool, solvers: tuple[str, ...] | None = None
) -> tuple[ComplexArray | None, float, SolverCall]:
    """One scene.

    Args:
        scaled: scenes (thresholds and whether the sensing signal is cancelled); row: which of them.
        user: (K, M) rows h_k^H.
        target: (L, M) rows g_l^H.
        sensing: with R_0; solvers: see `ConvexProgram.solve`.

    Returns:
        Covariances R_0 (if any), W_1, .., W_K (J, M, M), positive semidefinite and of trace 1 together (None unless
        accepted), the optimal value as a gain, the solver's report.
    """
    angles, antennas = target.shape
    users, leak = len(user), bool(scaled.leak)
    built = transmit_program(antennas, angles, users, sensing, leak)
    unit = max(float(abs2(target).sum(-1).mean()), 1e-300)
    ease = limit(np.sqrt(abs2(user).sum(-1)))
    signal = forms(_outer(user / ease[:, None]))
    values = {"gains": forms(_outer(target / np.sqrt(unit))), "signal": signal, "noise": 1.0 / ease**2}
    if "interference" in built.program.parameters:
        values["interference"] = scaled.threshold[:, None] * signal
    call = built.program.solve(int(scaled.index[row]), solvers, **values)
    if call.status not in SOLVED:
        return None, np.inf, call
    x = nearest_psd(np.stack([np.asarray(block.value) for block in built.covariances]))
    x /= max(float(np.trace(x, axis1=1, axis2=2).real.sum()), 1e-300)
    gain = float(np.einsum("lm,mn,ln->l", target, x.sum(0), target.conj()).real.min()) / unit
    own = x[1:] if sensing else x
    received = np.einsum("km,jmn,kn->kj", user, own, user.conj()).real
    useful = np.diagonal(received)
    disturbance = received.sum(1) - useful
    if sensing:
        disturbance = disturbance + scaled.leak * np.einsum("km,mn,kn->k", user, x[0], user.conj()).real
    missing = 1.0 - useful / (1.0 + scaled.threshold * disturbance)
    residual = max(float(missing.max()), 1.0 - gain / max(call.value, 1e-12), 0.0)
    call = replace(call, residual=residual, accepted=residual <= RESIDUAL)
    return (x if call.accepted else None), call.value * unit, call


def _outer(rows: ComplexArray) -> ComplexArray:
    """Rows a^H (m, n) -> matrices a a^H (m, n, n), for a^H X a = tr(a a^H X)."""
    return herm(rows[:, None, :]) @ rows[:, None, :]


def sinr_slack(user: ComplexArray) -> Array:
    """P ||h||^2 / (Gamma sigma^2) - 1 of one user, from its scaled rows (.., 1, M): negative where no beam meets the SNR."""
    return abs2(user[..., 0, :]).sum(-1) - 1.0
