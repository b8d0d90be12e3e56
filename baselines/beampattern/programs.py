"""The two forms of the semidefinite programs behind Algorithm 1, its benchmarks and the joint bound."""

from __future__ import annotations

import time
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from baselines.beampattern import joint_bound, reflective, transmit
from baselines.beampattern.units import Scaled
from baselines.tools.linalg import Array, ComplexArray
from baselines.tools.solver_call import SolverCall

SOLVERS = ("fast", "cvxpy", "clarabel", "scs")


class Programs(Protocol):
    """What a form of the programs offers; `calls` holds one report per solver call, in order."""

    calls: list[SolverCall]

    def covariances(
        self, scaled: Scaled, user: ComplexArray, target: ComplexArray, sensing: bool = True
    ) -> tuple[ComplexArray, NDArray[np.bool_], Array]:
        """(SDR2.1): covariances of trace 1 (B, J, M, M), J = 1: R, else R_0 and W_k; feasibility (B,); value (B,)."""
        ...

    def relax(self, scaled: Scaled, f: ComplexArray, users: bool = True) -> tuple[ComplexArray, Array, NDArray[np.bool_]]:
        """(SDR3.1), (P4) without users: V (B, n, n), value (B,), whether there is a solution (B,)."""
        ...

    def bound(self, scaled: Scaled) -> tuple[Array, NDArray[np.bool_]]:
        """Upper bound of the gain of (P1) (B,), inf where none was found; whether infeasibility is proved (B,)."""
        ...


class Fast:
    """The dual interior-point method, batched over scenes: one report per batch, which tells the time."""

    def __init__(self) -> None:
        self.calls: list[SolverCall] = []

    def _report(self, program: str, scaled: Scaled, began: float) -> None:
        first, seconds = int(scaled.index[0]) if len(scaled) else 0, time.process_time() - began
        call = SolverCall(
            program=program, scene=first, scenes=len(scaled), solver="fast", status="stopped", accepted=True, seconds=seconds
        )
        self.calls.append(call)

    def covariances(
        self, scaled: Scaled, user: ComplexArray, target: ComplexArray, sensing: bool = True
    ) -> tuple[ComplexArray, NDArray[np.bool_], Array]:
        """`transmit_covariances`; for one user R alone, with or without sensing signal."""
        began = time.process_time()
        result = transmit.transmit_covariances(scaled, user, target)
        self._report("transmit" if sensing else "information", scaled, began)
        return result

    def relax(self, scaled: Scaled, f: ComplexArray, users: bool = True) -> tuple[ComplexArray, Array, NDArray[np.bool_]]:
        """`reflective.relax`."""
        began = time.process_time()
        result = reflective.relax(scaled, f, users)
        self._report("reflective" if users else "separate", scaled, began)
        return result

    def bound(self, scaled: Scaled) -> tuple[Array, NDArray[np.bool_]]:
        """`joint_bound.dual_bound`."""
        began = time.process_time()
        result = joint_bound.dual_bound(scaled)
        self._report("bound", scaled, began)
        return result


def make_programs(solver: str) -> Programs:
    """The form named `solver`: `fast`, or `cvxpy` (`clarabel`, `scs`: with that solver whatever the size), imported on first use.

    Raises:
        ValueError: unknown name.
    """
    if solver not in SOLVERS:
        raise ValueError(f"solver must be one of {SOLVERS}, got {solver!r}")
    if solver == "fast":
        return Fast()
    from baselines.beampattern.textbook import Textbook

    return Textbook(None if solver == "cvxpy" else (solver.upper(),))
