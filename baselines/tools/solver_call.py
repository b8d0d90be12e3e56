"""The report of a solver call."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class SolverCall:
    """What a solver said about one program of one scene, or of a batch of scenes in the fast form.

    Attributes:
        program: name of the program; scene: number of the (first) scene in the batch; solver: the one that spoke last.
        scenes: how many scenes.
        status: cvxpy's (optimal, optimal_inaccurate, infeasible, infeasible_inaccurate, ...) or solver_error.
        accepted: solved, and our own check of the residuals passed.
        residual: largest relative violation found by that check, nan without a solution.
        value: optimal value in the units of the program, nan without a solution.
        iterations: of the solver; seconds: CPU time of the call with compilation.
    """

    program: str
    scene: int
    solver: str
    status: str
    scenes: int = 1
    accepted: bool = False
    residual: float = np.nan
    value: float = np.nan
    iterations: int = 0
    seconds: float = 0.0

    @property
    def infeasible(self) -> bool:
        """The solver claims a certificate of infeasibility."""
        return self.status in ("infeasible", "infeasible_inaccurate")
