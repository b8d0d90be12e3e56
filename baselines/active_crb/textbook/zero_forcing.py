"""The zero-forcing benchmark's transmit step in cvxpy: (SDR5.1) with W_k = p_k w_k w_k^H along given directions.

In the coordinates of the surface: Omega_k = p_k d_k d_k^H with h_j^H d_k = 0 for j != k, F = sum_k Omega_k + F_0, F_0 >= 0.

Source: arXiv 2508.00379, section on benchmarks; model page, section 7.3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import cvxpy as cp
import numpy as np

from baselines.active_crb.textbook.transmit import SCS, Beams, inverse_trace, judge, recover, sinr_data, unit
from baselines.tools.convex import SOLVED, ConvexProgram, forms, inner
from baselines.tools.linalg import Array, ComplexArray, abs2, herm
from baselines.tools.solver_call import SolverCall


@dataclass(frozen=True, kw_only=True)
class ZeroForcingProgram:
    """The problem for one set of sizes; variables F_0 and p."""

    program: ConvexProgram
    rest: Any
    power: Any


@lru_cache(maxsize=64)
def zero_forcing_program(elements: int, users: int) -> ZeroForcingProgram:
    """Build the problem once per sizes."""
    data = 2 * elements**2
    rest, power = cp.Variable((elements, elements), hermitian=True, name="F0"), cp.Variable(users, nonneg=True, name="p")
    shapes: dict[str, Any] = {"costs": (2, data), "all": (users, data), "noise": users, "gain": users, "prices": (2, users)}
    shapes |= {"outer_real": (elements**2, users), "outer_imag": (elements**2, users)}
    parameters: dict[str, Any] = {name: cp.Parameter(shape, name=name) for name, shape in shapes.items()}
    real, imag = (cp.reshape(parameters[f"outer_{part}"] @ power, (elements, elements), order="C") for part in ("real", "imag"))
    f = rest + real + 1j * imag
    # the other users' beams are not received, so that only F_0 disturbs: |h_k^H d_k|^2 p_k / gamma_k - h_k^H F_0 h_k >= n_k
    received = cp.multiply(parameters["gain"], power) - inner(parameters["all"], rest)
    spent = inner(parameters["costs"], rest) + parameters["prices"] @ power
    trace, schur = inverse_trace(f)
    rules = [rest >> 0, schur, spent <= 1, received >= parameters["noise"]]
    problem = cp.Problem(cp.Minimize(trace), rules)
    program = ConvexProgram(name="zero forcing", problem=problem, parameters=parameters, cone=elements, tolerance=SCS)
    return ZeroForcingProgram(program=program, rest=rest, power=power)


def zero_forcing_directions(bs_cost: ComplexArray, users: ComplexArray) -> ComplexArray:
    """d_k = Q w_k (N, K), w_k the columns of C^H (C C^H)^-1 with C = [h_k]^H Q, so C C^H = [h_k]^H E_1^-1 [h_k].

    Args:
        bs_cost: (N, N) E_1 = (Q Q^H)^-1 in any unit; users: (K, N) row k = h_k.
    """
    through = np.linalg.solve(bs_cost, users.T)
    return through @ np.linalg.inv(users.conj() @ through)


def solve_zero_forcing(
    cost: ComplexArray,
    users: ComplexArray,
    threshold: Array,
    beams: ComplexArray,
    scene: int = 0,
    solvers: tuple[str, ...] | None = None,
) -> tuple[Beams | None, float, SolverCall]:
    """One scene, arguments and answer as `solve_transmit`; `beams`: (N, K) directions d_k, of any length."""
    elements, count = beams.shape
    scale = unit(cost)
    d = beams / np.sqrt(abs2(beams).sum(0))
    data = sinr_data(np.sqrt(scale) * users, threshold)
    received = abs2(np.einsum("kn,nk->k", users.conj(), d)) * scale
    outer = (d[:, None, :] * d[None, :, :].conj()).reshape(elements**2, count)
    prices = scale * np.einsum("nk,inm,mk->ik", d.conj(), cost, d).real
    values = {"costs": forms(scale * cost), "prices": prices, "all": data["all"], "noise": data["noise"]}
    values |= {"gain": received * data["noise"] / threshold, "outer_real": outer.real, "outer_imag": outer.imag}
    built = zero_forcing_program(elements, count)
    call = built.program.solve(scene, solvers, **values)
    if call.status not in SOLVED:
        # without sensing signal p_k = gamma_k n_k / |h_k^H d_k|^2 is the least that will do
        short = not call.infeasible and (prices @ (threshold / received) > 1.0).any()
        return None, np.inf, replace(call, status="infeasible") if short else call
    omega = d * np.sqrt(np.maximum(np.asarray(built.power.value), 0.0) * scale)
    f = np.asarray(built.rest.value) * scale + omega @ herm(omega)
    return judge(recover(f, omega, cost), call.value / scale, call, users, threshold)
