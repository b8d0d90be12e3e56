"""(SDR3.1) and (P4) in cvxpy: the relaxed surface V = [v; 1][v; 1]^H.

    max t  s.t.  tr(Q_l V_{1:N,1:N}) >= t,  tr(T_k V) >= sigma^2,  V_nn = 1,  V >= 0

Source: arXiv 2111.13511, problems (SDR3.1) and (P4).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import cvxpy as cp
import numpy as np

from baselines.beampattern.reflective import path_columns
from baselines.beampattern.units import Scaled, limit
from baselines.tools.convex import SOLVED, ConvexProgram, forms, inner, nearest_psd
from baselines.tools.linalg import ComplexArray, abs2, herm
from baselines.tools.solver_call import SolverCall

RESIDUAL = 1e-3
"""Relative violation or loss up to which V is accepted: it only feeds the randomisation, whose candidates are checked exactly."""


@dataclass(frozen=True, kw_only=True)
class ReflectiveProgram:
    """The problem for one set of sizes and its matrix variable."""

    program: ConvexProgram
    v: Any


@lru_cache(maxsize=64)
def reflective_program(elements: int, angles: int, users: int) -> ReflectiveProgram:
    """Build (SDR3.1), of size N + 1, once per sizes; users = 0: (P4), of size N and without SINR constraints."""
    size = elements + 1 if users else elements
    v, t = cp.Variable((size, size), hermitian=True, name="V"), cp.Variable(name="t")
    gains = cp.Parameter((angles, 2 * elements**2), name="gains")
    parameters = {"gains": gains}
    rules = [v >> 0, cp.real(cp.diag(v)) == 1, inner(gains, v[:elements, :elements]) >= t]
    if users:
        parameters["sinr"] = cp.Parameter((users, 2 * size**2), name="sinr")
        parameters["noise"] = cp.Parameter(users, name="noise")
        rules.append(inner(parameters["sinr"], v) >= parameters["noise"])
    program = ConvexProgram(
        name="reflective" if users else "separate",
        problem=cp.Problem(cp.Maximize(t), rules),
        parameters=parameters,
        cone=size,
    )
    return ReflectiveProgram(program=program, v=v)


def solve_reflective(
    scaled: Scaled, row: int, f: ComplexArray, users: bool, solvers: tuple[str, ...] | None = None
) -> tuple[ComplexArray | None, float, SolverCall]:
    """One scene.

    Args:
        scaled: scenes; row: which of them.
        f: (M, S) beams, the first K of them the users'.
        users: with the SINR constraints (else (P4) with R = F F^H); solvers: see `ConvexProgram.solve`.

    Returns:
        V (n, n), positive semidefinite with unit diagonal (None unless accepted), the optimal value as a gain, the report.
    """
    target, user = (columns[0] for columns in path_columns(scaled[row : row + 1], f[None]))
    elements, angles, _ = target.shape
    count = user.shape[1] if users else 0
    built = reflective_program(elements, angles, count)
    unit = max(float(abs2(target).sum((0, 2)).mean()), 1e-300) / elements
    q = np.einsum("nls,mls->lnm", target, target.conj()) / unit
    values = {"gains": forms(_hermitian(q))}
    if users:
        sign = -scaled.threshold[:, None] * np.ones(user.shape[2])
        sign[:, count:] *= scaled.leak
        sign[np.arange(count), np.arange(count)] = 1.0
        own = np.sqrt(np.diagonal(abs2(user[..., :count]).sum(0)))
        ease = limit(own)
        t = np.einsum("nks,ks,mks->knm", user, sign / ease[:, None] ** 2, user.conj())
        values |= {"sinr": forms(_hermitian(t)), "noise": 1.0 / ease**2}
    call = built.program.solve(int(scaled.index[row]), solvers, **values)
    if call.status not in SOLVED:
        return None, np.inf, call
    x = nearest_psd(np.asarray(built.v.value))
    power = np.diagonal(x).real
    if not (power > 0).all():
        return None, np.inf, replace(call, residual=1.0)
    x = x / np.sqrt(power[:, None] * power)
    gain = float(np.einsum("lnm,mn->l", q, x[:elements, :elements]).real.min())
    residual = max(1.0 - gain / max(call.value, 1e-12), 0.0)
    if users:
        met = np.einsum("knm,mn->k", t, x).real * ease**2
        residual = max(residual, float((1.0 - met).max()))
    call = replace(call, residual=residual, accepted=residual <= RESIDUAL)
    return (x if call.accepted else None), call.value * unit, call


def _hermitian(x: ComplexArray) -> ComplexArray:
    return 0.5 * (x + herm(x))
