"""The programs of the paper as it states them, in cvxpy: `make("ao", system, solver="cvxpy")`.

Source: arXiv 2111.13511, (SDR2.1), (SDR3.1), (P4); beampattern page, sections 7 and 8.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from baselines.beampattern.textbook.joint_bound import solve_bound
from baselines.beampattern.textbook.reflective import solve_reflective
from baselines.beampattern.textbook.transmit import sinr_slack, solve_transmit
from baselines.beampattern.transmit import meet_snr
from baselines.beampattern.units import Scaled
from baselines.tools.linalg import Array, ComplexArray, herm
from baselines.tools.solver_call import SolverCall

__all__ = ["Textbook"]

EDGE = 1e-6
"""Relative distance to the limit of the SNR below which the maximum-ratio beam is the transmit step (K = 1)."""


@dataclass
class Textbook:
    """The semidefinite programs, scene by scene.

    Attributes:
        solvers: asked in this order whatever the size, None: Clarabel for small cones, SCS above.
        calls: one report per program solved, in order.
    """

    solvers: tuple[str, ...] | None = None
    calls: list[SolverCall] = field(default_factory=list)

    def covariances(
        self, scaled: Scaled, user: ComplexArray, target: ComplexArray, sensing: bool = True
    ) -> tuple[ComplexArray, NDArray[np.bool_], Array]:
        """(SDR2.1): covariances R_0 (if `sensing`), W_1, .., W_K of trace 1 (B, J, M, M), feasibility (B,), value (B,).

        With one user the maximum-ratio beam stands in where the solver fails although the SNR can be met.
        """
        count, users, antennas = user.shape
        x = np.zeros((count, users + sensing, antennas, antennas), complex)
        feasible, value = np.zeros(count, bool), np.full(count, np.inf)
        reach = 1.0 + sinr_slack(user) if users == 1 else np.full(count, np.nan)
        for i in range(count):
            if abs(reach[i] - 1.0) >= EDGE or users > 1:
                solution, value[i], call = solve_transmit(scaled, i, user[i], target[i], sensing, self.solvers)
                self.calls.append(call)
                if solution is not None:
                    x[i], feasible[i] = solution, True
                    continue
            if users == 1 and reach[i] >= 1.0 - 1e-12:
                x[i, -1], feasible[i] = herm(user[i]) @ user[i] / reach[i], True
        if users == 1:
            x[feasible] = meet_snr(x[feasible], user[feasible])
        return x, feasible, value

    def relax(self, scaled: Scaled, f: ComplexArray, users: bool = True) -> tuple[ComplexArray, Array, NDArray[np.bool_]]:
        """(SDR3.1), or (P4) without users: V (B, n, n) with unit diagonal, value (B,), where there is one (B,)."""
        count, size = len(scaled), scaled.bs_ris.shape[1] + users
        x, value, good = np.tile(np.eye(size, dtype=complex), (count, 1, 1)), np.full(count, np.inf), np.zeros(count, bool)
        for i in range(count):
            solution, value[i], call = solve_reflective(scaled, i, f[i], users, self.solvers)
            self.calls.append(call)
            if solution is not None:
                x[i], good[i] = solution, True
        return x, value, good

    def bound(self, scaled: Scaled) -> tuple[Array, NDArray[np.bool_]]:
        """Certified upper bounds of the gain in scaled units (B,), inf where none was found; proofs of infeasibility (B,)."""
        value = np.empty(len(scaled))
        for i in range(len(scaled)):
            value[i], call = solve_bound(scaled, i, self.solvers)
            self.calls.append(call)
        return value, value < 0.0
