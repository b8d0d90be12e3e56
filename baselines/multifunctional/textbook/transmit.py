"""Algorithm 1 as a cone program: the transmit step at fixed filters and coefficients, in cvxpy.

    max_W sum_i phi(l_i(W)) - w_i ||W^H q_i||^2   s.t.  ||W||_F <= 1, ||T W||_F <= 1,
                                                       Re(h_k w_k) >= sqrt(Gamma_k) ||[h_k w_j]_{j != k}, 1||

and the restoration: maximise delta <= 1 with every rate cone >= delta.

Source: arXiv 2412.01251, Algorithm 1; model page, sections 7.3 and 7.6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import cvxpy as cp
import numpy as np

from baselines.multifunctional.programs import TransmitProblem, TransmitRestoration, TransmitSet
from baselines.multifunctional.textbook.model import affine_data, cone_program, minorant, real_rows, stacked, unstacked
from baselines.tools.convex import ConvexProgram
from baselines.tools.linalg import Array, ComplexArray, abs2
from baselines.tools.solver_call import SolverCall

Sizes = tuple[int, int, int, bool]
"""N, S, K and whether the surface has a power budget."""


def sizes(feasible: TransmitSet, point: ComplexArray) -> Sizes:
    """Of the programs for these constraints."""
    return point.shape[1], point.shape[2], feasible.rows.shape[1], feasible.surface is not None


def constraints(size: Sizes, x: Any, delta: Any = 0.0) -> tuple[list[Any], dict[str, Any]]:
    """Powers and rate cones of x (2 N, S), and their parameters."""
    antennas, streams, users, budget = size
    parameters: dict[str, Any] = {}
    rules = [cp.norm(x, "fro") <= 1]
    if budget:
        parameters["surface"] = cp.Parameter((2 * antennas, 2 * antennas), name="surface")
        rules.append(cp.norm(parameters["surface"] @ x, "fro") <= 1)
    for k in range(users):
        own = parameters[f"own{k}"] = cp.Parameter((1, 2 * antennas), name=f"own{k}")
        cross = parameters[f"cross{k}"] = cp.Parameter((2, 2 * antennas), name=f"cross{k}")
        unit = parameters[f"unit{k}"] = cp.Parameter((2,), nonneg=True, name=f"unit{k}")
        others = [cross @ x[:, j] for j in range(streams) if j != k]
        rules.append((own @ x[:, k])[0] - delta * unit[0] >= cp.norm(cp.hstack([*others, unit[1]])))
    return rules, parameters


def constraint_data(feasible: TransmitSet, row: int) -> dict[str, Array]:
    """The parameters of `constraints` of one scene; each cone over the size of its user's channel."""
    data: dict[str, Array] = {}
    if feasible.surface is not None:
        data["surface"] = real_rows(np.asarray(np.linalg.qr(padded(feasible.surface[row]), mode="r")))
    for k, h in enumerate(feasible.rows[row]):
        size = max(float(np.sqrt(abs2(h).sum())), 1.0)
        root = float(np.sqrt(feasible.threshold[row, k]))
        both = real_rows(h[None]) / size
        data |= {f"own{k}": both[:1], f"cross{k}": root * both, f"unit{k}": np.array([1.0, root]) / size}
    return data


def padded(rows: ComplexArray) -> ComplexArray:
    """Rows (m, n) with zeros below, at least n of them."""
    missing = max(rows.shape[1] - rows.shape[0], 0)
    return np.concatenate([rows, np.zeros((missing, rows.shape[1]), complex)])


@lru_cache(maxsize=64)
def transmit_program(size: Sizes, sides: int, logarithmic: bool) -> ConvexProgram:
    """Build the transmit step once per sizes; its only variable is X = [Re W; Im W]."""
    antennas, streams, _, _ = size
    x = cp.Variable((2 * antennas, streams), name="X")
    rules, parameters = constraints(size, x)
    affine, interference = [], []
    for i in range(sides):
        slope = parameters[f"slope{i}"] = cp.Parameter((2 * antennas, streams), name=f"slope{i}")
        offset = parameters[f"offset{i}"] = cp.Parameter(name=f"offset{i}")
        leak = parameters[f"leak{i}"] = cp.Parameter((2, 2 * antennas), name=f"leak{i}")
        affine.append(cp.sum(cp.multiply(slope, x)) + offset)
        interference.append(cp.sum_squares(leak @ x))
    goal = cp.Maximize(minorant(affine, interference, logarithmic))
    return cone_program("transmit", goal, rules, parameters)


@lru_cache(maxsize=64)
def restoration_program(size: Sizes) -> ConvexProgram:
    """Build the restoration once per sizes; variables X and delta."""
    antennas, streams, _, _ = size
    x, delta = cp.Variable((2 * antennas, streams), name="X"), cp.Variable(name="delta")
    rules, parameters = constraints(size, x, delta)
    return cone_program("restore_transmit", cp.Maximize(delta), [*rules, delta <= 1], parameters)


def solve_transmit(
    problem: TransmitProblem, row: int, scene: int, solvers: tuple[str, ...] | None
) -> tuple[ComplexArray | None, SolverCall]:
    """One scene: W (N, S), None without a solution, and the report; its value is f(W) of `TransmitProblem.value`."""
    surrogate, one = problem.surrogate[row : row + 1], problem[row : row + 1]
    level = one.affine(surrogate, one.point)[0]
    slope, offset = affine_data(surrogate.slope[0], surrogate.offset[0], level, surrogate.logarithmic)
    leak = np.sqrt(surrogate.weight[0])[:, None] * one.leak[0].conj()
    data = constraint_data(one.feasible, 0)
    for i in range(len(level)):
        data |= {f"slope{i}": stacked(slope[i]), f"offset{i}": offset[i], f"leak{i}": real_rows(leak[i][None])}
    size = sizes(problem.feasible, problem.point)
    program = transmit_program(size, len(level), surrogate.logarithmic)
    call = program.solve(scene, solvers, **data)
    shift = -surrogate.weight[0].sum() + (np.log(level).sum() if surrogate.logarithmic and (level > 0).all() else 0.0)
    return answer(program), replace(call, value=call.value + shift)


def restore_transmit(
    problem: TransmitRestoration, row: int, scene: int, solvers: tuple[str, ...] | None
) -> tuple[ComplexArray | None, SolverCall]:
    """One scene: W (N, S), None without a solution, and the report; its value is delta."""
    program = restoration_program(sizes(problem.feasible, problem.point))
    call = program.solve(scene, solvers, **constraint_data(problem.feasible, row))
    return answer(program), call


def answer(program: Any, variable: str = "X") -> ComplexArray | None:
    """The complex matrix in the variable of a program, None where it holds none."""
    values: Mapping[str, Any] = program.problem.var_dict
    value = values[variable].value
    return None if value is None else unstacked(np.asarray(value))
