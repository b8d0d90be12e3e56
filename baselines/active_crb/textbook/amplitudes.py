"""The amplitude step (P4.4), (P6.4) as a signomial program, its convex subproblem in cvxpy.

With x = log(a / a_cap) <= 0, log f is convex and every constraint a signomial sum_j c_j exp(l_j^T x) + s <= 0. Around a feasible
point every term with c_j < 0 is replaced by its tangent, which lies above it: what is feasible for the subproblem is feasible,
and the objective, which is kept as it is, cannot rise.

Source: arXiv 2508.00379, problems (P4.4) and (P6.4); model page, sections 7.1 and 7.2 (in place of the paper's surrogates).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import cvxpy as cp
import numpy as np
from numpy.typing import NDArray

from baselines.active_crb.amplitudes import LOWEST, AmplitudeProgram
from baselines.tools.convex import SOLVED, ConvexProgram
from baselines.tools.linalg import Array
from baselines.tools.solver_call import SolverCall

TOLERANCE = 1e-5
"""Relative fall of the objective below which the successive approximation stops."""
ROUNDS = 15
ALLOWED = 1e-7
"""Violation that is still called none (surface power: over its budget, SINR: over threshold times noise at the cap)."""
PRECISION = 1e-6
"""Relative rise of the objective that is the solver's rounding: the point cannot be improved."""
SHRINKS = (1.0, 1.0 - 1e-6, 1.0 - 1e-4, 0.99, 0.9, 0.5)
"""Shares of the solver's step that are tried until the constraints hold: the tangent forms are convex and hold at the start."""


@dataclass(frozen=True, kw_only=True)
class TangentProgram:
    """The subproblem for one set of sizes and its variable delta = x - x_0."""

    program: ConvexProgram
    delta: Any


@lru_cache(maxsize=64)
def tangent_program(elements: int, constraints: int, exponents: tuple[tuple[float, ...], ...]) -> TangentProgram:
    """Build the subproblem once per sizes; its coefficients are the values of the terms at the current point.

    Args:
        elements: N. constraints: C, at least 1. exponents: l_j, J rows of N.
    """
    delta = cp.Variable(elements, name="delta")
    names = {"p": elements, "q": elements, "room": elements, "depth": elements, "limit": constraints}
    parameters: dict[str, Any] = {name: cp.Parameter(size, name=name) for name, size in names.items()}
    parameters["floor"] = cp.Parameter(name="floor")
    parameters["slope"] = cp.Parameter((constraints, elements), name="slope")
    parameters["plus"] = cp.Parameter((constraints, len(exponents)), nonneg=True, name="plus")
    transmit = cp.log_sum_exp(parameters["p"] - 2 * delta)
    receive = cp.log_sum_exp(cp.hstack([parameters["floor"], parameters["q"] - 2 * delta]))
    left = parameters["plus"] @ cp.exp(np.array(exponents) @ delta) + parameters["slope"] @ delta
    rules = [left <= parameters["limit"], delta <= parameters["room"], delta >= parameters["depth"]]
    problem = cp.Problem(cp.Minimize(transmit + receive), rules)
    return TangentProgram(program=ConvexProgram(name="amplitudes", problem=problem, parameters=parameters, cone=1), delta=delta)


def tangent_data(data: AmplitudeProgram, x: Array) -> dict[str, Array]:
    """The parameters of `tangent_program` for one scene at x (N,), each constraint divided by its largest side."""
    terms = data.coefficients[0] * data.monomials(x[None])
    plus, minus = np.maximum(terms, 0.0), np.minimum(terms, 0.0)
    size = np.maximum(np.maximum(plus.sum(1), -minus.sum(1)), 1e-300)[:, None]
    return {
        "p": np.log(data.transmit[0]) - 2 * x,
        "q": np.log(data.receive[0] / data.receive[0].sum()) - 2 * x,
        "floor": np.log(max(data.floor / data.receive[0].sum(), 1e-30)),
        "room": np.maximum(-x, 0.0),
        "depth": np.minimum(np.log(LOWEST) - x, 0.0),
        "plus": plus / size,
        "slope": minus @ data.exponents / size,
        "limit": -(data.constant[0] + minus.sum(1)) / size[:, 0],
    }


def tangent_constraints(data: AmplitudeProgram, x: Array, at: Array) -> Array:
    """Left-hand sides (C,) of the subproblem around `at` (N,) at x (N,): an upper bound of the true ones."""
    terms = data.coefficients[0] * data.monomials(at[None])
    plus, minus = np.maximum(terms, 0.0), np.minimum(terms, 0.0)
    power = data.exponents @ (x - at)
    return plus @ np.exp(power) + minus @ (1.0 + power) + data.constant[0]


def within(data: AmplitudeProgram, x: Array) -> NDArray[np.bool_]:
    """Whether x (.., N), at most 0, meets all constraints of the one scene of `data`."""
    return np.array([bool((data.constraints(point[None]) <= ALLOWED).all()) for point in np.atleast_2d(x)])


def solve_tangent(
    data: AmplitudeProgram, x: Array, scene: int = 0, solvers: tuple[str, ...] | None = None
) -> tuple[Array | None, SolverCall]:
    """One subproblem.

    Args:
        data: the amplitude step of one scene.
        x: (N,) feasible point, log of the amplitudes over the cap.
        scene: number for the report; solvers: see `ConvexProgram.solve`.

    Returns:
        A feasible point that is not worse (N,) (None where there is none), the report; its residual is the largest violation
        of a true constraint by the solver's point, before the step is shortened.
    """
    built = tangent_program(len(x), data.constant.shape[1], tuple(map(tuple, data.exponents.tolist())))
    call = built.program.solve(scene, solvers, **tangent_data(data, x))
    if call.status not in SOLVED:
        return None, call
    step = np.asarray(built.delta.value)
    residual = max(float(data.constraints((x + step)[None]).max()), 0.0)
    old = float(data.objective(x[None])[0])
    for share in SHRINKS:
        new = np.clip(x + share * step, np.log(LOWEST), 0.0)
        rise = float(data.objective(new[None])[0]) - old
        if rise <= PRECISION and within(data, new)[0]:
            return (new if rise <= 0.0 else x), replace(call, residual=residual, accepted=True)
    return None, replace(call, residual=residual)


def solve_amplitudes(
    data: AmplitudeProgram, share: Array, scene: int = 0, solvers: tuple[str, ...] | None = None
) -> tuple[Array, list[SolverCall]]:
    """The amplitude step of one scene: the cap where it is feasible (Proposition 4), else the successive approximation.

    Args:
        data: the step of one scene.
        share: (N,) amplitudes over the cap, in [1e-3, 1].
        scene: number for the reports; solvers: see `ConvexProgram.solve`.

    Returns:
        Amplitudes over the cap (N,), feasible and not worse than `share` (`share` itself where that is not feasible), and one
        report per subproblem.
    """
    x = np.log(share)
    calls: list[SolverCall] = []
    if within(data, np.zeros_like(x))[0]:
        return np.ones_like(share), calls
    if not within(data, x)[0]:
        return share, calls
    for _ in range(ROUNDS):
        new, call = solve_tangent(data, x, scene, solvers)
        calls.append(call)
        if new is None:
            break
        fall = float(data.objective(x[None])[0] - data.objective(new[None])[0])
        x = new
        if fall <= TOLERANCE:
            break
    return np.asarray(np.minimum(np.exp(x), 1.0)), calls
