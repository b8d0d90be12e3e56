"""Parametrised cvxpy problems: built once, solved for many scenes, every call reported.

Hermitian data enter through real parameters: tr(A X) = <Re A, Re X> + <Im A, Im X>, so that one parameter matrix holds a row per
quadratic form and the problem stays DPP. The solver is always named: Clarabel while the complex cones are small (its cost grows
with the sixth power of their size), SCS above.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cvxpy as cp
import numpy as np
from numpy.typing import NDArray

from baselines.tools.linalg import Array, ComplexArray, herm
from baselines.tools.solver_call import SolverCall

__all__ = ["CLARABEL_CONE", "SOLVED", "ConvexProgram", "forms", "inner", "nearest_psd", "solvers_for"]

SOLVED = ("optimal", "optimal_inaccurate")
CLARABEL_CONE = 12
"""Largest complex cone that Clarabel gets first."""
RESCUE_CONE = 40
"""Largest complex cone that Clarabel gets where SCS has failed (some seconds)."""
LOOSE_GAP = 1e-3
"""Relative gap up to which an SCS run that reached its last iteration counts as solved."""


@dataclass(kw_only=True)
class ConvexProgram:
    """A problem and its parameters by name.

    Attributes:
        name: for reports.
        problem: DPP; compiled at the first `solve`, then only re-filled.
        parameters: set by `solve(name=array)`.
        cone: size of its largest complex semidefinite cone, decides the solver.
        tolerance: of SCS (its eps); Clarabel always gets 1e-7.
        clarabel: further settings of Clarabel.
        solves: how often it was solved.
    """

    name: str
    problem: Any
    parameters: Mapping[str, Any]
    cone: int
    tolerance: float = 1e-5
    clarabel: Mapping[str, Any] = field(default_factory=dict)
    solves: int = field(default=0, init=False)

    def solve(self, scene: int, solvers: tuple[str, ...] | None = None, **data: NDArray) -> SolverCall:
        """Fill in the parameters and solve; never raises on finite data. The variables hold the solution (or None).

        Args:
            scene: number for the report; solvers: asked in this order, None: as `solvers_for` the cone says.
            **data: the parameters.

        Raises:
            ValueError: a name that is no parameter, one is missing, or a shape does not fit.
        """
        if data.keys() != self.parameters.keys():
            raise ValueError(f"data must name the parameters {sorted(self.parameters)}, got {sorted(data)}")
        for name, array in data.items():
            self.parameters[name].value = array
        began = time.process_time()
        for solver in solvers or solvers_for(self.cone):
            status, value, iterations = self._attempt(solver)
            if status in SOLVED or "infeasible" in status:
                break
        self.solves += 1
        return SolverCall(
            program=self.name,
            scene=scene,
            solver=solver,
            status=status,
            value=value,
            iterations=iterations,
            seconds=time.process_time() - began,
        )

    def _attempt(self, solver: str) -> tuple[str, float, int]:
        """Status, value and iterations of one solver on the present parameters."""
        for variable in self.problem.variables():
            variable.value = None
        status, value, iterations = "solver_error", np.nan, 0
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # "may be inaccurate": the caller checks the residuals
                # no warm start: a result must not depend on the scene solved before
                own = self.clarabel if solver == "CLARABEL" else {}
                self.problem.solve(solver=solver, warm_start=False, **(_options(solver, self.tolerance) | dict(own)))
            status = self.problem.status
            iterations = int(self.problem.solver_stats.num_iters or 0)
        except (cp.SolverError, ArithmeticError, np.linalg.LinAlgError):
            pass
        if status in SOLVED:
            value = float(self.problem.value)
            finite = all(v.value is not None and np.isfinite(v.value).all() for v in self.problem.variables())
            if not (finite and np.isfinite(value)) or (solver == "SCS" and status != "optimal" and not self._closed()):
                status = "solver_error"
        return status, value, iterations

    def _closed(self) -> bool:
        """Whether SCS ended with a small gap although not with the one asked for (residuals: the caller's check)."""
        info = (self.problem.solver_stats.extra_stats or {}).get("info", {})
        gap, scale = info.get("gap", np.inf), max(abs(info.get("pobj", 0.0)), abs(info.get("dobj", 0.0)), 1e-9)
        return bool(abs(gap) <= LOOSE_GAP * scale)


def solvers_for(cone: int) -> tuple[str, ...]:
    """The solver for complex semidefinite cones of this size, then the one that is asked if the first fails."""
    if cone <= CLARABEL_CONE:
        return "CLARABEL", "SCS"
    return ("SCS", "CLARABEL") if cone <= RESCUE_CONE else ("SCS",)


def _options(solver: str, tolerance: float) -> dict[str, Any]:
    if solver == "CLARABEL":
        return {"tol_gap_abs": 1e-7, "tol_gap_rel": 1e-7, "tol_feas": 1e-7}
    return {"eps_abs": tolerance, "eps_rel": tolerance, "max_iters": 5000}


def forms(matrices: ComplexArray) -> Array:
    """Hermitian matrices (.., n, n) -> rows (.., 2 n^2) for `inner`."""
    flat = np.asarray(matrices).reshape(*np.shape(matrices)[:-2], -1)
    return np.concatenate([flat.real, flat.imag], axis=-1)


def inner(rows: Any, x: Any) -> Any:
    """tr(A_i X) for each row of `rows` (m, 2 n^2) and a Hermitian expression X (n, n): real, (m,)."""
    return rows @ cp.hstack([cp.vec(cp.real(x), order="C"), cp.vec(cp.imag(x), order="C")])


def nearest_psd(x: ComplexArray) -> ComplexArray:
    """Hermitian part with negative eigenvalues set to zero."""
    values, vectors = np.linalg.eigh(0.5 * (x + herm(x)))
    return (vectors * np.maximum(values, 0.0)[..., None, :]) @ herm(vectors)
