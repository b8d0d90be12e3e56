"""Algorithm 2 as a cone program: the coefficient step at fixed filters and beams, in cvxpy.

    max_theta sum_i phi(l_i(theta_i)) - w_i ||d_i * theta_i||^2
    s.t.  ||(theta_rm, theta_tm)|| <= 1 for every element,  sum_im |theta_im|^2 incident_m <= 1,
          Re [E_k theta]_k >= sqrt(Gamma_k) ||([E_k theta]_{j != k}, n_k * theta, 1)||,

the projection on the same set (min ||theta - anchor||^2) and the restoration (maximise delta <= 1 with every rate cone >= delta).

Source: arXiv 2412.01251, Algorithm 2; model page, sections 7.4 to 7.6.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import cvxpy as cp
import numpy as np

from baselines.multifunctional.programs import CoefficientProblem, CoefficientRestoration, CoefficientSet, ProjectionProblem
from baselines.multifunctional.textbook.model import affine_data, cone_program, minorant, real_rows, stacked
from baselines.multifunctional.textbook.transmit import answer
from baselines.tools.convex import ConvexProgram
from baselines.tools.linalg import Array, ComplexArray, abs2
from baselines.tools.solver_call import SolverCall


@dataclass(frozen=True)
class Sizes:
    """M, I, S, the side of each user and whether the surface has a power budget: what a program is built for."""

    elements: int
    sides: int
    streams: int
    users: tuple[int, ...]
    budget: bool

    @classmethod
    def of(cls, feasible: CoefficientSet) -> Sizes:
        """Of the programs for these constraints."""
        sides, elements = feasible.mask.shape[1:]
        users = tuple(int(i) for i in feasible.user_side)
        return cls(elements, sides, feasible.rows.shape[2], users, feasible.incident is not None)


def constraints(size: Sizes, x: Any, delta: Any = 0.0) -> tuple[list[Any], dict[str, Any]]:
    """Caps, power and rate cones of x (2 M, I), column i = [Re theta_i; Im theta_i], and their parameters."""
    m, parameters = size.elements, {}
    rules = [cp.norm(cp.hstack([x[:m], x[m:]]), 2, axis=1) <= 1]
    if size.budget:
        parameters["incident"] = cp.Parameter((2 * m, 1), nonneg=True, name="incident")
        rules.append(cp.norm(cp.hstack([cp.multiply(parameters["incident"][:, 0], x[:, i]) for i in range(size.sides)])) <= 1)
    for k, side in enumerate(size.users):
        own = parameters[f"own{k}"] = cp.Parameter((1, 2 * m), name=f"own{k}")
        cross = parameters[f"cross{k}"] = cp.Parameter((2 * (size.streams - 1), 2 * m), name=f"cross{k}")
        noise = parameters[f"noise{k}"] = cp.Parameter((2 * m,), nonneg=True, name=f"noise{k}")
        unit = parameters[f"unit{k}"] = cp.Parameter((2,), nonneg=True, name=f"unit{k}")
        theta = x[:, side]
        rest = cp.hstack([cross @ theta, cp.multiply(noise, theta), unit[1]])
        rules.append((own @ theta)[0] - delta * unit[0] >= cp.norm(rest))
    return rules, parameters


def constraint_data(feasible: CoefficientSet, row: int) -> dict[str, Array]:
    """The parameters of `constraints` of one scene; what the mask forbids has no effect on anything."""
    data: dict[str, Array] = {}
    if feasible.incident is not None:
        data["incident"] = np.sqrt(np.tile(feasible.incident[row], 2))[:, None]
    for k, side in enumerate(feasible.user_side):
        allowed = feasible.mask[row, side]
        rows, noise = feasible.rows[row, k] * allowed, feasible.noise[row, k] * allowed
        size = max(float(np.sqrt(abs2(rows[k]).sum())), 1.0)
        root = float(np.sqrt(feasible.threshold[row, k]))
        data |= {
            f"own{k}": real_rows(rows[k][None])[:1] / size,
            f"cross{k}": real_rows(np.delete(rows, k, axis=0)) * (root / size),
            f"noise{k}": np.tile(noise, 2) * (root / size),
            f"unit{k}": np.array([1.0, root]) / size,
        }
    return data


@lru_cache(maxsize=64)
def coefficient_program(size: Sizes, logarithmic: bool) -> ConvexProgram:
    """Build the coefficient step once per sizes."""
    x = cp.Variable((2 * size.elements, size.sides), name="X")
    rules, parameters = constraints(size, x)
    affine, interference = [], []
    for i in range(size.sides):
        slope = parameters[f"slope{i}"] = cp.Parameter((2 * size.elements,), name=f"slope{i}")
        offset = parameters[f"offset{i}"] = cp.Parameter(name=f"offset{i}")
        leak = parameters[f"leak{i}"] = cp.Parameter((2 * size.elements,), nonneg=True, name=f"leak{i}")
        affine.append(slope @ x[:, i] + offset)
        interference.append(cp.sum_squares(cp.multiply(leak, x[:, i])))
    goal = cp.Maximize(minorant(affine, interference, logarithmic))
    return cone_program("coefficients", goal, rules, parameters)


@lru_cache(maxsize=64)
def projection_program(size: Sizes) -> ConvexProgram:
    """Build the projection once per sizes."""
    x = cp.Variable((2 * size.elements, size.sides), name="X")
    rules, parameters = constraints(size, x)
    anchor = parameters["anchor"] = cp.Parameter((2 * size.elements, size.sides), name="anchor")
    return cone_program("project", cp.Minimize(cp.norm(x - anchor, "fro")), rules, parameters)


@lru_cache(maxsize=64)
def restoration_program(size: Sizes) -> ConvexProgram:
    """Build the restoration once per sizes."""
    x, delta = cp.Variable((2 * size.elements, size.sides), name="X"), cp.Variable(name="delta")
    rules, parameters = constraints(size, x, delta)
    return cone_program("restore_coefficients", cp.Maximize(delta), [*rules, delta <= 1], parameters)


def solve_coefficients(
    problem: CoefficientProblem, row: int, scene: int, solvers: tuple[str, ...] | None
) -> tuple[ComplexArray | None, SolverCall]:
    """One scene: theta (I, M), None without a solution, and the report; its value is f of `CoefficientProblem.value`."""
    one = problem[row : row + 1]
    surrogate = one.surrogate
    level = one.affine(surrogate, one.point)[0]
    slope, offset = affine_data(surrogate.slope[0] * one.feasible.mask[0], surrogate.offset[0], level, surrogate.logarithmic)
    leak = np.sqrt(surrogate.weight[0])[:, None] * one.leak[0] * one.feasible.mask[0]
    data = constraint_data(one.feasible, 0)
    for i in range(len(level)):
        data |= {f"slope{i}": stacked(slope[i]), f"offset{i}": offset[i], f"leak{i}": np.tile(leak[i], 2)}
    program = coefficient_program(Sizes.of(problem.feasible), surrogate.logarithmic)
    call = program.solve(scene, solvers, **data)
    shift = -(surrogate.weight[0] * one.constant[0]).sum()
    shift += np.log(level).sum() if surrogate.logarithmic and (level > 0).all() else 0.0
    return masked(program, one.feasible), replace(call, value=call.value + shift)


def project(
    problem: ProjectionProblem, row: int, scene: int, solvers: tuple[str, ...] | None
) -> tuple[ComplexArray | None, SolverCall]:
    """One scene: theta (I, M), None without a solution, and the report; its value is the distance ||theta - anchor||."""
    program = projection_program(Sizes.of(problem.feasible))
    anchor = problem.anchor[row] * problem.feasible.mask[row]
    call = program.solve(scene, solvers, anchor=stacked(anchor.T), **constraint_data(problem.feasible, row))
    off = float(np.linalg.norm(problem.anchor[row] - anchor))
    return masked(program, problem.feasible[row : row + 1]), replace(call, value=float(np.hypot(call.value, off)))


def restore_coefficients(
    problem: CoefficientRestoration, row: int, scene: int, solvers: tuple[str, ...] | None
) -> tuple[ComplexArray | None, SolverCall]:
    """One scene: theta (I, M), None without a solution, and the report; its value is delta."""
    program = restoration_program(Sizes.of(problem.feasible))
    call = program.solve(scene, solvers, **constraint_data(problem.feasible, row))
    return masked(program, problem.feasible[row : row + 1]), call


def masked(program: ConvexProgram, feasible: CoefficientSet) -> ComplexArray | None:
    """theta (I, M) in the variable of a program, zero off the mask."""
    value = answer(program)
    return None if value is None else np.where(feasible.mask[0], value.T, 0.0)
