"""The two forms of the convex programs behind the algorithms: ours (batched) and cvxpy (scene by scene)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from baselines.multifunctional import coefficients, transmit
from baselines.multifunctional.programs import (
    CoefficientProblem,
    CoefficientRestoration,
    ProjectionProblem,
    TransmitProblem,
    TransmitRestoration,
)
from baselines.tools.linalg import ComplexArray
from baselines.tools.solver_call import SolverCall

SOLVERS = ("fast", "cvxpy", "clarabel", "scs")
Answer = tuple[ComplexArray, NDArray[np.bool_]]
Index = NDArray[np.int64] | None
"""Numbers of the scenes for the reports, None: 0, 1, .."""


class Programs(Protocol):
    """What a form of the programs offers. Each answers a point (the problem's own where it failed) and where it was solved (B,);
    `calls` holds one report per solver call, in order."""

    calls: list[SolverCall]

    def transmit(self, problem: TransmitProblem, index: Index = None) -> Answer:
        """Step 7.3: W (B, N, S)."""
        ...

    def coefficients(self, problem: CoefficientProblem, index: Index = None) -> Answer:
        """Step 7.4: theta (B, I, M)."""
        ...

    def project(self, problem: ProjectionProblem, index: Index = None) -> Answer:
        """Step 7.5: theta (B, I, M) next to the anchor."""
        ...

    def restore_transmit(self, problem: TransmitRestoration, index: Index = None) -> Answer:
        """Step 7.6: W (B, N, S) of the largest delta <= 1."""
        ...

    def restore_coefficients(self, problem: CoefficientRestoration, index: Index = None) -> Answer:
        """Step 7.6: theta (B, I, M) of the largest delta <= 1."""
        ...


class Fast:
    """Our solvers, batched over scenes: one report per batch, which tells the time.

    Attributes:
        gap: at which the interior-point method ends, nats of the objective.
    """

    def __init__(self, gap: float = 3e-3) -> None:
        self.gap = gap
        self.calls: list[SolverCall] = []

    def _report(self, program: str, solve: Callable[..., Answer], problem: Any, index: Index, *options: float) -> Answer:
        began = time.process_time()
        answer = solve(problem, *options)
        self.calls.append(
            SolverCall(
                program=program,
                scene=int(index[0]) if index is not None and len(index) else 0,
                scenes=len(problem),
                solver="fast",
                status="stopped",
                accepted=bool(answer[1].all()),
                seconds=time.process_time() - began,
            )
        )
        return answer

    def transmit(self, problem: TransmitProblem, index: Index = None) -> Answer:
        """`transmit.solve_transmit`."""
        return self._report("transmit", transmit.solve_transmit, problem, index, self.gap)

    def coefficients(self, problem: CoefficientProblem, index: Index = None) -> Answer:
        """`coefficients.solve_coefficients`."""
        return self._report("coefficients", coefficients.solve_coefficients, problem, index, self.gap)

    def project(self, problem: ProjectionProblem, index: Index = None) -> Answer:
        """`coefficients.project`."""
        return self._report("project", coefficients.project, problem, index)

    def restore_transmit(self, problem: TransmitRestoration, index: Index = None) -> Answer:
        """`transmit.restore_transmit`."""
        return self._report("restore_transmit", transmit.restore_transmit, problem, index)

    def restore_coefficients(self, problem: CoefficientRestoration, index: Index = None) -> Answer:
        """`coefficients.restore_coefficients`."""
        return self._report("restore_coefficients", coefficients.restore_coefficients, problem, index)


def make_programs(solver: str) -> Programs:
    """The form named `solver`: `fast`, or `cvxpy` (`clarabel`, `scs`: with that solver), imported on first use.

    Raises:
        ValueError: unknown name.
    """
    if solver not in SOLVERS:
        raise ValueError(f"solver must be one of {SOLVERS}, got {solver!r}")
    if solver == "fast":
        return Fast()
    from baselines.multifunctional.textbook import Textbook

    return Textbook(None if solver == "cvxpy" else (solver.upper(),))
