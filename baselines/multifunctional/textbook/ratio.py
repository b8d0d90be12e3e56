"""The Charnes-Cooper semidefinite programs of the transmit and coefficient steps in cvxpy, one t at a time.

    max <P_0, X>  s.t.  <Q_0, X> + c_0 s <= 1,  t (<Q_1, X> + c_1 s) <= <P_1, X>,  <A_l, X> + a_l s <= 0,  X >= 0, s >= 0

Source: model page, sections 8.2 and 8.3 (steps of arXiv 2412.01251, Algorithms 1 and 2).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import cvxpy as cp
import numpy as np

from baselines.multifunctional.ratio import VIOLATION, RatioAnswers, RatioProgram
from baselines.tools.convex import SOLVED, ConvexProgram, forms, inner
from baselines.tools.linalg import Array, ComplexArray
from baselines.tools.solver_call import SolverCall

LOOSE = 1e-4
"""Relative excess of a solver's optimal value that makes it an upper bound (it carries no certificate of its own)."""


@lru_cache(maxsize=64)
def ratio_program(blocks: int, size: int, rules: int) -> ConvexProgram:
    """Build the program once per sizes: `blocks` matrices of size n and `rules` inequalities; the last variable is s."""
    x = [cp.Variable((size, size), hermitian=True, name=f"X{j}") for j in range(blocks)]
    s = cp.Variable(name="s")
    data = 2 * size**2
    parameters = {
        "level": cp.Parameter(rules, name="level"),
        "fixed": cp.Parameter(name="fixed"),
        **{f"goal{j}": cp.Parameter((1, data), name=f"goal{j}") for j in range(blocks)},
        **{f"unit{j}": cp.Parameter((1, data), name=f"unit{j}") for j in range(blocks)},
        **{f"rules{j}": cp.Parameter((rules, data), name=f"rules{j}") for j in range(blocks)},
    }

    def total(name: str) -> Any:
        return sum(inner(parameters[f"{name}{j}"], x[j]) for j in range(blocks))

    limits = [block >> 0 for block in x] + [s >= 0, total("unit") + parameters["fixed"] * s <= 1]
    limits.append(total("rules") + parameters["level"] * s <= 0)
    problem = cp.Problem(cp.Maximize(cp.sum(total("goal"))), limits)
    return ConvexProgram(name="ratio", problem=problem, parameters=parameters, cone=size, tolerance=1e-6)


@dataclass
class TextbookRatio:
    """`ratio.solve_fast` with cvxpy: call it with a program, the main side, the t of the other side and a guess.

    Attributes:
        solvers: asked in this order, None: as the size says.
        scene: number of the scene for the reports. calls: one report per program.
    """

    solvers: tuple[str, ...] | None = None
    scene: int = 0
    calls: list[SolverCall] = field(default_factory=list)

    def __call__(self, program: RatioProgram, main: int, t: Array, guess: float) -> RatioAnswers:
        """The programs one after the other; `upper` is the solver's optimal value, not certified."""
        answers = [self._one(program, main, float(each), guess) for each in t]
        return RatioAnswers(
            upper=np.array([upper for upper, _, _ in answers]),
            x=np.stack([x for _, x, _ in answers]),
            solved=np.array([solved for _, _, solved in answers]),
        )

    def _one(self, program: RatioProgram, main: int, t: float, guess: float) -> tuple[float, ComplexArray, bool]:
        sides, dense, constant = program.sides, program.matrices(), program.constant
        rows, level = dense[2 * sides :], constant[2 * sides :]
        if sides == 2 and np.isfinite(t):
            other = dense[3 - main] - dense[1 - main] / t
            rows, level = np.concatenate([other[None], rows]), np.concatenate([constant[3 - main, None], level])
        blocks, size = program.factors.shape[:2]
        built = ratio_program(blocks, size, len(level))
        data: dict[str, Any] = {"level": level, "fixed": constant[sides + main]}
        for j in range(blocks):
            data |= {
                f"goal{j}": forms(dense[main, j : j + 1] / guess),
                f"unit{j}": forms(dense[sides + main, j : j + 1]),
                f"rules{j}": forms(rows[:, j]),
            }
        call = built.solve(self.scene, self.solvers, **data)
        self.calls.append(call)
        nothing = np.zeros((blocks, size, size), complex)
        if call.status not in SOLVED:
            return (-np.inf if call.infeasible else np.inf), nothing, False
        values = built.problem.var_dict
        s = float(values["s"].value)
        upper = guess * call.value * (1.0 + LOOSE)
        if s <= 0:
            return upper, nothing, False
        x: ComplexArray = np.array([values[f"X{j}"].value for j in range(blocks)], dtype=np.complex128) / s
        return upper, x, bool(program.violation(x[None])[0] <= 10.0 * VIOLATION)
