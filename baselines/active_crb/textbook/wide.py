"""(SDR5.1) in the paper's own variables, the M x M covariances R and W_1, .., W_K: the check of the exact reduction.

    min tr((Q R Q^H)^-1)  s.t.  W_k >= 0,  R >= sum_k W_k,  tr R <= 1,  tr(E_2 Q R Q^H) <= 1,
                                (1 + 1/gamma_k) c_k W_k c_k^H - c_k R c_k^H >= 1,   c_k = h_k^H Q

Source: arXiv 2508.00379, problem (SDR5.1), Proposition 5; model page, sections 7 and 7.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cvxpy as cp
import numpy as np

from baselines.active_crb.textbook.transmit import (
    SCS,
    Beams,
    inverse_trace,
    judge,
    proposition_5,
    recover,
    sinr_data,
    sinr_rules,
)
from baselines.tools.convex import SOLVED, ConvexProgram, forms, inner
from baselines.tools.linalg import Array, ComplexArray, herm
from baselines.tools.solver_call import SolverCall

__all__ = ["solve_wide", "wide_program"]

RESIDUAL = 5e-3
"""As in the N x N form, but the M x M form leaves the solver no interior in the directions that the surface does not see."""


@dataclass(frozen=True, kw_only=True)
class WideProgram:
    """The problem for one set of sizes; `shares` are the variables W_1, .., W_K."""

    program: ConvexProgram
    covariance: Any
    shares: list[Any]


@lru_cache(maxsize=64)
def wide_program(antennas: int, elements: int, users: int) -> WideProgram:
    """Build the problem once per sizes; the parameter `path` maps the entries of R to those of F = Q R Q^H."""
    r = cp.Variable((antennas, antennas), hermitian=True, name="R")
    shares = [cp.Variable((antennas, antennas), hermitian=True, name=f"W{k + 1}") for k in range(users)]
    data = 2 * antennas**2
    parameters = {"path": cp.Parameter((2 * elements**2, data), name="path"), "cost": cp.Parameter((1, data), name="cost")}
    entries = cp.reshape(inner(parameters["path"], r), (2, elements**2), order="C")
    real, imag = (cp.reshape(entries[part], (elements, elements), order="C") for part in (0, 1))
    rules = [
        cp.real(cp.trace(r)) <= elements,
        inner(parameters["cost"], r) <= 1,
        (r - sum(shares[1:], shares[0]) if users else r) >> 0,
    ]
    if users:
        parameters |= {name: cp.Parameter((users, data), name=name) for name in ("own", "all")}
        parameters["noise"] = cp.Parameter(users, name="noise")
        rules += [x >> 0 for x in shares] + sinr_rules(parameters, shares, r)
    trace, schur = inverse_trace(real + 1j * imag)
    problem = cp.Problem(cp.Minimize(trace), [*rules, schur])
    program = ConvexProgram(name="transmit (M x M)", problem=problem, parameters=parameters, cone=antennas, tolerance=SCS)
    return WideProgram(program=program, covariance=r, shares=shares)


def solve_wide(
    path: ComplexArray,
    surface_cost: ComplexArray,
    users: ComplexArray,
    threshold: Array,
    scene: int = 0,
    solvers: tuple[str, ...] | None = None,
) -> tuple[Beams | None, float, SolverCall]:
    """One scene, in units of P_0, P_1 and the users' noise.

    Args:
        path: (N, M) Q sqrt(P_0), so that tr R <= 1.
        surface_cost: (N, N) E_2 / P_1 (zeros: no surface budget).
        users: (K, N) row k = h_k / sqrt(n_k); threshold: (K,) linear SINR.
        scene: number for the report; solvers: see `ConvexProgram.solve`.

    Returns:
        As `solve_transmit`: the design in the coordinates of the surface (F = Q R Q^H), tr(F^-1), the report.
    """
    elements, antennas = path.shape
    built = wide_program(antennas, elements, len(users))
    # R = r / N of trace N, F = f_0 f with the mean eigenvalue of f about 1
    scale = float((np.abs(path) ** 2).sum()) / elements**2
    narrow = path / np.sqrt(elements * scale)
    pairs = np.einsum("im,jn->ijmn", narrow, narrow.conj()).reshape(elements**2, antennas**2)
    values = {"path": np.block([[pairs.real, -pairs.imag], [pairs.imag, pairs.real]])}
    values["cost"] = forms((herm(path) @ surface_cost @ path)[None] / elements)
    if len(users):
        values |= sinr_data(users @ path.conj() / np.sqrt(elements), threshold)
    call = built.program.solve(scene, solvers, **values)
    if call.status not in SOLVED:
        return None, np.inf, call
    r = np.asarray(built.covariance.value) / elements
    cost = np.stack([np.linalg.inv(path @ herm(path)), surface_cost])
    omega = np.zeros((elements, 0), complex)
    if len(users):
        shares = np.stack([np.asarray(x.value) for x in built.shares]) / elements
        omega = path @ proposition_5(shares, users @ path.conj())
    return judge(recover(path @ r @ herm(path), omega, cost), call.value / scale, call, users, threshold, RESIDUAL)
