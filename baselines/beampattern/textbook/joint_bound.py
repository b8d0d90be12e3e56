"""The bound of the joint problem in cvxpy, in its dual form, so that every point returned is a certificate.

    min P p - sigma^2 sum_k Gamma_k mu_k   s.t.  lambda, mu >= 0,  sum lambda_l = 1,
        [Diag(y) 0; 0 pI - G^H Diag(y) G] - sum_l lambda_l [a_l; 0][a_l; 0]^H - sum_k mu_k h~_k h~_k^H >= 0

The objective is bounded below, since any negative value proves the scene infeasible already.

Source: ours; beampattern page, section 8.3. It holds for every scheme of arXiv 2111.13511.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import cvxpy as cp
import numpy as np
from numpy.typing import NDArray

from baselines.beampattern.units import Scaled, limit
from baselines.tools.convex import SOLVED, ConvexProgram
from baselines.tools.linalg import abs2, herm
from baselines.tools.solver_call import SolverCall

FLOOR = -1.0
"""Objective at which an infeasible scene stops (scaled units)."""
RESIDUAL = 1e-3
"""Relative rise of the value by the repair up to which the solution is accepted; larger ones remain valid bounds."""


@dataclass(frozen=True, kw_only=True)
class BoundProgram:
    """The problem for one set of sizes and its variables."""

    program: ConvexProgram
    y: Any
    p: Any
    targets: Any
    users: Any


@lru_cache(maxsize=64)
def bound_program(elements: int, antennas: int, angles: int, users: int) -> BoundProgram:
    """Build the dual of the lifted problem once per sizes."""
    size = elements + antennas
    y, p = cp.Variable(elements, name="y"), cp.Variable(name="p")
    targets, weights = cp.Variable(angles, nonneg=True, name="lambda"), cp.Variable(users, nonneg=True, name="mu")
    shapes = {"channel": (antennas**2, elements), "steering": (elements**2, angles), "user": (size**2, users)}
    parameters = {f"{name}_{part}": cp.Parameter(shape) for name, shape in shapes.items() for part in ("real", "imag")}
    parameters |= {"price": cp.Parameter(nonneg=True), "noise": cp.Parameter(users, nonneg=True)}

    def slack(part: str) -> Any:
        upper = -cp.reshape(parameters[f"steering_{part}"] @ targets, (elements, elements), order="C")
        lower = -cp.reshape(parameters[f"channel_{part}"] @ y, (antennas, antennas), order="C")
        if part == "real":
            upper, lower = upper + cp.diag(y), lower + p * np.eye(antennas)
        corner = np.zeros((elements, antennas))
        blocks = cp.bmat([[upper, corner], [corner.T, lower]])
        return blocks - cp.reshape(parameters[f"user_{part}"] @ weights, (size, size), order="C")

    real, imag = slack("real"), slack("imag")
    value = parameters["price"] * p - parameters["noise"] @ weights
    rules = [cp.bmat([[real, -imag], [imag, real]]) >> 0, cp.sum(targets) == 1, value >= FLOOR]
    problem = cp.Problem(cp.Minimize(value), rules)
    program = ConvexProgram(name="bound", problem=problem, parameters=parameters, cone=size, tolerance=1e-6)
    return BoundProgram(program=program, y=y, p=p, targets=targets, users=weights)


def solve_bound(scaled: Scaled, row: int, solvers: tuple[str, ...] | None = None) -> tuple[float, SolverCall]:
    """Certified upper bound of the gain of one scene in scaled units (inf: none found, negative: infeasible), the report.

    The multipliers are made nonnegative, and y and p raised together until S is positive semidefinite: p is in units of
    2 lambda_max(G^H G), so that raising both by d adds at least d/2 to every eigenvalue of S.
    """
    elements, antennas, users, angles = scaled.sizes
    built = bound_program(elements, antennas, angles, users)
    g = scaled.bs_ris[row]
    price = max(2.0 * float(np.linalg.eigvalsh(herm(g) @ g)[-1]), 1e-12)
    g = g / np.sqrt(price)
    a = scaled.steering / np.sqrt(elements)
    h = np.concatenate([scaled.ris_user[row], scaled.bs_user[row] / np.sqrt(price)], axis=-1)
    ease = limit(np.sqrt(abs2(h).sum(-1)))
    h = h / ease[:, None]
    data = {"channel": _outer(g.conj()), "steering": _outer(a), "user": _outer(h)}
    values = {f"{name}_real": matrix.real for name, matrix in data.items()}
    values |= {f"{name}_imag": matrix.imag for name, matrix in data.items()}
    call = built.program.solve(int(scaled.index[row]), solvers, **values, price=np.array(price), noise=1.0 / ease**2)
    if call.status not in SOLVED:
        return np.inf, call
    y, p, targets, mu = (np.asarray(x.value, dtype=float) for x in (built.y, built.p, built.targets, built.users))
    targets, mu = np.maximum(targets, 0.0), np.maximum(mu, 0.0)
    if not targets.sum() > 0:
        return np.inf, replace(call, residual=1.0)
    targets = targets / targets.sum()
    slack = -(data["user"] @ mu).reshape(elements + antennas, -1)
    slack[:elements, :elements] += np.diag(y) - (data["steering"] @ targets).reshape(elements, elements)
    slack[elements:, elements:] += p * np.eye(antennas) - (data["channel"] @ y).reshape(antennas, antennas)
    lift = 2.0 * max(0.0, -float(np.linalg.eigvalsh(slack)[0])) + 1e-14
    value = price * (float(p) + lift) - float((mu / ease**2).sum())
    residual = abs(value - call.value) / max(abs(value), 1e-9)
    return value * elements, replace(call, residual=residual, accepted=residual <= RESIDUAL)


def _outer(columns: NDArray) -> NDArray:
    """Vectors c (m, n) -> matrices c c^H as columns (n^2, m)."""
    return (columns[:, :, None] * columns[:, None, :].conj()).reshape(len(columns), -1).T
