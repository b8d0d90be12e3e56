"""The two forms of the semidefinite programs behind Algorithm 1, its benchmarks and the joint bound."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from baselines.beampattern import joint_bound, reflective, transmit
from baselines.beampattern.units import Scaled
from baselines.tools.linalg import Array, ComplexArray

SOLVERS = ("fast", "cvxpy")


class Programs(Protocol):
    """What a form of the programs offers; `calls` holds one report per solver call (none in the fast form)."""

    calls: list[Any]

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
    """The dual interior-point method, batched over scenes."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def covariances(
        self, scaled: Scaled, user: ComplexArray, target: ComplexArray, sensing: bool = True
    ) -> tuple[ComplexArray, NDArray[np.bool_], Array]:
        """`transmit_covariances`; for one user R alone, with or without sensing signal."""
        return transmit.transmit_covariances(scaled, user, target)

    def relax(self, scaled: Scaled, f: ComplexArray, users: bool = True) -> tuple[ComplexArray, Array, NDArray[np.bool_]]:
        """`reflective.relax`."""
        return reflective.relax(scaled, f, users)

    def bound(self, scaled: Scaled) -> tuple[Array, NDArray[np.bool_]]:
        """`joint_bound.dual_bound`."""
        return joint_bound.dual_bound(scaled)


def make_programs(solver: str) -> Programs:
    """The form named `solver`; cvxpy is imported on first use.

    Raises:
        ValueError: unknown name.
    """
    if solver not in SOLVERS:
        raise ValueError(f"solver must be one of {SOLVERS}, got {solver!r}")
    if solver == "fast":
        return Fast()
    from baselines.beampattern.textbook import Textbook

    return Textbook()
