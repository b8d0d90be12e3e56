"""The convex programs of Algorithms 1 and 2 in cvxpy, scene by scene: the algorithms' `solver="cvxpy"`.

Every method takes a record of `baselines.multifunctional.programs` and answers what the fast form of the same step does.
Source: arXiv 2412.01251; model page, sections 7.3 to 7.6.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baselines.multifunctional.programs import (
    CoefficientProblem,
    CoefficientRestoration,
    CoefficientSet,
    ProjectionProblem,
    TransmitProblem,
    TransmitRestoration,
    TransmitSet,
)
from baselines.multifunctional.textbook import coefficients, transmit
from baselines.tools.linalg import ComplexArray
from baselines.tools.solver_call import SolverCall

__all__ = ["Textbook"]

RESIDUAL = 1e-8
"""Violation (cones in noise amplitudes, powers and caps relative) above which a solution is drawn back to `point`."""
ACCEPTED = 1e-5
"""Violation up to which a solution counts as one."""
Answer = tuple[ComplexArray, NDArray[np.bool_]]
Index = NDArray[np.int64] | None
"""Numbers of the scenes for the reports, None: 0, 1, .."""


@dataclass
class Textbook:
    """The programs, scene by scene. A scene without an accepted solution keeps its `point`, and its flag is False.

    Attributes:
        solvers: asked in this order, None: Clarabel, then SCS.
        calls: one report per program solved, in order; `residual` is the violation of the constraints.
    """

    solvers: tuple[str, ...] | None = None
    calls: list[SolverCall] = field(default_factory=list)

    def transmit(self, problem: TransmitProblem, index: Index = None) -> Answer:
        """Step 7.3: W (B, N, S) that maximises the minorant, and where it was solved (B,)."""
        return self._each(problem, transmit.solve_transmit, index)

    def coefficients(self, problem: CoefficientProblem, index: Index = None) -> Answer:
        """Step 7.4: theta (B, I, M) that maximises the minorant, and where it was solved (B,)."""
        return self._each(problem, coefficients.solve_coefficients, index)

    def project(self, problem: ProjectionProblem, index: Index = None) -> Answer:
        """Step 7.5: the admissible theta (B, I, M) next to the anchor, and where it was solved (B,)."""
        return self._each(problem, coefficients.project, index)

    def restore_transmit(self, problem: TransmitRestoration, index: Index = None) -> Answer:
        """Step 7.6: W (B, N, S) of the largest delta <= 1, and where it was solved (B,)."""
        return self._each(problem, transmit.restore_transmit, index, restoring=True)

    def restore_coefficients(self, problem: CoefficientRestoration, index: Index = None) -> Answer:
        """Step 7.6: theta (B, I, M) of the largest delta <= 1, and where it was solved (B,)."""
        return self._each(problem, coefficients.restore_coefficients, index, restoring=True)

    def _each(
        self,
        problem: Any,
        solve: Callable[[Any, int, int, tuple[str, ...] | None], tuple[ComplexArray | None, SolverCall]],
        index: Index,
        restoring: bool = False,
    ) -> Answer:
        """One program per scene."""
        out, solved = np.array(problem.point, dtype=complex), np.zeros(len(problem), bool)
        for i in range(len(out)):
            x, call = solve(problem, i, i if index is None else int(index[i]), self.solvers)
            if x is not None:
                feasible = problem.feasible[i : i + 1]
                if restoring:  # the cones are its aim: powers and caps must hold
                    feasible = replace(feasible, rows=feasible.rows[:, :0])
                x, residual = drawn_back(feasible, x, out[i])
                call = replace(call, residual=residual, accepted=residual <= ACCEPTED)
                if call.accepted:
                    out[i], solved[i] = x, True
            self.calls.append(call)
        return out, solved


def drawn_back(feasible: TransmitSet | CoefficientSet, x: ComplexArray, point: ComplexArray) -> tuple[ComplexArray, float]:
    """The point nearest to x on the way from x to `point`, where that is feasible, whose violation is small; and its violation.

    Args:
        feasible: the constraints of one scene; x: a solution, up to the solver's tolerance; point: the current one.
    """
    residual = float(feasible.violation(x[None])[0])
    if residual <= RESIDUAL or not feasible.violation(point[None])[0] <= RESIDUAL:
        return x, residual
    share = 1e-9
    while share < 0.5:
        moved = x + share * (point - x)
        residual = float(feasible.violation(moved[None])[0])
        if residual <= RESIDUAL:
            return moved, residual
        share *= 2.0
    return point, 0.0
