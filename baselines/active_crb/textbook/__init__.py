"""The convex programs of the paper as it states them, in cvxpy, scene by scene: the algorithms' `solver="cvxpy"`.

Every method takes and answers what the fast form of the same step does. Source: arXiv 2508.00379; model page, sections 7 and 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baselines.active_crb.amplitudes import AmplitudeProgram
from baselines.active_crb.phases import PhaseProgram
from baselines.active_crb.textbook.amplitudes import solve_amplitudes
from baselines.active_crb.textbook.lifted import AmplitudeData, solve_lifted
from baselines.active_crb.textbook.phases import candidates, echo_powers, relax_echo, relax_sinr, smallest_ratios
from baselines.active_crb.textbook.transmit import Beams, inverse_trace_of, solve_transmit
from baselines.active_crb.textbook.zero_forcing import solve_zero_forcing, zero_forcing_directions
from baselines.active_crb.transmitted import FAILED, INFEASIBLE, OPTIMAL, Transmitted
from baselines.active_crb.units import Scaled
from baselines.tools.linalg import Array, ComplexArray
from baselines.tools.solver_call import SolverCall

__all__ = ["Textbook"]

OVER = 1e-9
"""Relative violation of the surface power up to which phases count as admissible."""


@dataclass
class Textbook:
    """The programs, scene by scene.

    Attributes:
        solvers: asked in this order whatever the size, None: Clarabel for small cones, SCS above.
        draws: candidates of each Gaussian randomisation, beside the current point.
        calls: one report per program solved (a bisection or a subproblem of a successive approximation counts once), in order.
    """

    solvers: tuple[str, ...] | None = None
    draws: int = 200
    calls: list[SolverCall] = field(default_factory=list)

    def transmit(self, scaled: Scaled, index: NDArray[np.int64] | None = None) -> Transmitted:
        """(SDR5.1) with Proposition 5, (P3) for sensing only; `index`: numbers of the scenes for the reports.

        `dual` is the solver's own optimal value, not certified; there is no dual point (nan).
        """
        answers = []
        for i, scene in enumerate(numbers(index, len(scaled))):
            users = None if scaled.threshold is None else per_noise(scaled, i)
            data = budgets(scaled, i), users, scaled.threshold
            answers.append(solve_transmit(*data, scene, self.solvers) if scaled.possible[i] else None)
        return self._transmitted(scaled, answers)

    def zero_forcing(self, scaled: Scaled, index: NDArray[np.int64] | None = None) -> Transmitted:
        """(SDR5.1) with zero-forcing directions for the users' beams; `scaled.threshold` must not be None."""
        if scaled.threshold is None:
            raise ValueError("scaled must have thresholds for zero forcing, got None")
        answers = []
        for i, scene in enumerate(numbers(index, len(scaled))):
            users = per_noise(scaled, i)
            data = budgets(scaled, i), users, scaled.threshold, zero_forcing_directions(scaled.e1[i], users)
            answers.append(solve_zero_forcing(*data, scene, self.solvers) if scaled.possible[i] else None)
        return self._transmitted(scaled, answers)

    def _transmitted(self, scaled: Scaled, answers: Sequence[tuple[Beams | None, float, SolverCall] | None]) -> Transmitted:
        """The answers of all scenes as one record; None: no surface power is left, infeasible without a call."""
        count, elements, users = scaled.users.shape
        prices = 1 if scaled.e2 is None else 2
        f, omega = np.tile(np.eye(elements, dtype=complex), (count, 1, 1)), np.zeros((count, elements, users), complex)
        value, dual = np.full(count, np.inf), np.full(count, np.inf)
        status = np.full(count, INFEASIBLE, dtype="<U10")
        for i, answer in enumerate(answers):
            if answer is None:
                continue
            beams, bound, call = answer
            self.calls.append(call)
            if beams is not None:
                f[i], omega[i, :, : beams.users.shape[1]] = beams.covariance, beams.users
                value[i], dual[i], status[i] = inverse_trace_of(beams.covariance), bound, OPTIMAL
            elif not call.infeasible:
                dual[i], status[i] = np.nan, FAILED
        return Transmitted(
            f=f,
            omega=omega,
            value=value,
            dual=dual,
            status=status,
            price=np.full((count, prices), np.nan),
            mu=np.full((count, users), np.nan),
            x=np.full((count, users, users), np.nan, complex),
        )

    def phases(
        self,
        program: PhaseProgram,
        u: ComplexArray,
        generators: list[np.random.Generator],
        index: NDArray[np.int64] | None = None,
    ) -> tuple[ComplexArray, Array, NDArray[np.bool_]]:
        """(SDR6.3) and randomisation: phases (B, N), smallest SINR ratio (B,), where they are better than u (B,).

        Candidates above the surface power are dropped; u itself stays where nothing admissible is better.
        """
        out, value = u.copy(), program.ratios(u).min(1)
        better = np.zeros(len(u), bool)
        for i, scene in enumerate(numbers(index, len(u))):
            echo = None if program.echo is None else program.echo[i]
            threshold = np.broadcast_to(program.threshold, program.own.shape[:2])[i]
            data = program.own[i], program.total[i], threshold
            v, _, call = relax_sinr(*data, echo, float(value[i]), scene, self.solvers)
            self.calls.append(call)
            if v is None:
                continue
            points = candidates(v, u[i], self.draws, generators[i])
            ratio = smallest_ratios(*data, points)
            if echo is not None:
                ratio = np.where(echo_powers(echo, points) <= 1.0 + OVER, ratio, -np.inf)
            best = int(ratio.argmax())
            if ratio[best] > value[i]:
                out[i], value[i], better[i] = points[best], ratio[best], True
        return out, value, better

    def echo(
        self, form: ComplexArray, u: ComplexArray, generators: list[np.random.Generator], index: NDArray[np.int64] | None = None
    ) -> tuple[ComplexArray, Array]:
        """(SDR4.3) and randomisation: phases (B, N) and u^H Xi u (B,), not above that of u."""
        out, value = u.copy(), np.empty(len(u))
        for i, scene in enumerate(numbers(index, len(u))):
            v, _, call = relax_echo(form[i], scene, self.solvers)
            self.calls.append(call)
            points = u[i][None] if v is None else candidates(v, u[i], self.draws, generators[i])
            power = echo_powers(form[i], points)
            best = int(power.argmin())
            out[i], value[i] = points[best], power[best]
        return out, value

    def amplitudes(
        self, program: AmplitudeProgram, share: Array, index: NDArray[np.int64] | None = None
    ) -> tuple[Array, NDArray[np.bool_]]:
        """(P4.4), (P6.4) as signomial programs: amplitudes over the cap (B, N), feasible; where better than `share` (B,)."""
        out = np.array(share, dtype=float)
        for i, scene in enumerate(numbers(index, len(out))):
            out[i], calls = solve_amplitudes(program[i : i + 1], out[i], scene, self.solvers)
            self.calls += calls
        return out, np.asarray(program.objective(np.log(out)) < program.objective(np.log(share)))

    def lifted_amplitudes(
        self,
        data: Sequence[AmplitudeData],
        share: Array,
        generators: list[np.random.Generator],
        index: NDArray[np.int64] | None = None,
    ) -> tuple[Array, NDArray[np.bool_]]:
        """The paper's lifted form of the amplitude step, `data` one per scene (`lifted.amplitude_data`); as `amplitudes`."""
        out = np.array(share, dtype=float)
        better = np.zeros(len(out), bool)
        for i, scene in enumerate(numbers(index, len(out))):
            out[i], calls = solve_lifted(data[i], out[i], generators[i], self.draws, scene, self.solvers)
            better[i] = data[i].objective(out[i]) < data[i].objective(share[i])
            self.calls += calls
        return out, better


def numbers(index: NDArray[np.int64] | None, count: int) -> list[int]:
    """Numbers of the scenes: `index`, or 0, 1, .."""
    return list(range(count)) if index is None else [int(i) for i in index]


def budgets(scaled: Scaled, row: int) -> ComplexArray:
    """e1 and e2 of one scene (2, N, N), zeros where there is no surface budget."""
    e1: Any = scaled.e1[row]
    return np.stack([e1, np.zeros_like(e1) if scaled.e2 is None else scaled.e2[row]])


def per_noise(scaled: Scaled, row: int) -> ComplexArray:
    """Users' channels of one scene in units of their noise, (K, N): u_k / sqrt(need_k)."""
    return scaled.users[row].T / np.sqrt(scaled.need[row])[:, None]
