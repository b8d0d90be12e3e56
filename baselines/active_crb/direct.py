"""Descent of the value function: the CRB with the best beams, as a function of the surface alone.

    min over v of log [ min over beams of CRB ],  derivatives by Danskin's theorem from the dual of the transmit step

No alternation: the phase step of the alternation sees beams tuned to the old phases, this one sees the best beams at every v.

Source: ours; model page, section 9 (problems (P1) and (P2) of arXiv 2508.00379).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baselines.active_crb.common import ActiveCrbPolicy, Outcome, put, status_of
from baselines.active_crb.transmit import Step, log_value_gradient
from baselines.active_crb.units import Channels
from baselines.tools.lbfgs import minimise
from baselines.tools.linalg import Array

WALL = 50.0
"""Value (log CRB) of surfaces without a feasible transmit step."""
FALLS = 1e-4
"""Derivative of log CRB by a log amplitude from which on the amplitudes leave the cap."""
START = 0.1
"""First z of a = a_0 exp(-z^2): at z = 0 there is no derivative."""
DEEPEST = 6.9
"""Largest z^2: amplitudes fall by 60 dB at most."""
WINDOW, STALL = 12, 1e-3
DECIBEL = np.log(10.0) / 10.0


class Descent:
    """log CRB and its gradient at phases (and levels); keeps the best step seen.

    x = phases (b, N), or phases and z (b, 2N) with a = a_0 exp(-z^2): levels may fall from where they are and come back.
    """

    def __init__(self, policy: ActiveCrbPolicy, channels: Channels, step: Step, levels: bool) -> None:
        self.policy, self.channels, self.best, self.levels = policy, channels, step, levels
        self.top = np.abs(step.v)
        self.shift = np.where(step.feasible, step.value, 0.0) * DECIBEL
        self.history = [step.value]
        self.count, self.mark = np.zeros(len(step), int), step.value.copy()
        self.done = np.zeros(len(step), bool)

    def __call__(self, x: Array, rows: NDArray[np.int64]) -> tuple[Array, Array]:
        n = self.top.shape[1]
        a = self.top[rows]
        if self.levels:
            a = a * np.exp(-np.minimum(x[:, n:] ** 2, DEEPEST))
        channels = self.channels[rows]
        step = self.policy.step(channels, a * np.exp(1j * x[:, :n]))
        phase, level = log_value_gradient(channels, step)
        gradient = np.concatenate([phase, -2.0 * x[:, n:] * level], axis=1) if self.levels else phase
        better = step.feasible & (step.value < self.best.value[rows])
        if better.any():
            self.best = put(self.best, rows[better], step[better])
        self.history.append(self.best.value)
        self._watch(rows)
        value = np.where(step.feasible, np.where(step.feasible, step.value, 0.0) * DECIBEL - self.shift[rows], WALL)
        return value, np.where((step.feasible & ~self.done[rows])[:, None], gradient, 0.0)

    def _watch(self, rows: NDArray[np.int64]) -> None:
        """Mark scenes that fell by less than `STALL` dB in their last `WINDOW` evaluations: no gradient, so they stop."""
        self.count[rows] += 1
        look = rows[self.count[rows] % WINDOW == 0]
        self.done[look] |= self.mark[look] - self.best.value[look] < STALL
        self.mark[look] = self.best.value[look]


@dataclass(kw_only=True)
class Direct(ActiveCrbPolicy):
    """L-BFGS on the phases at the cap; where an amplitude wants to fall, on phases and amplitudes; the best is kept.

    Attributes:
        iterations: steps of L-BFGS.
        starts: random starts, those without a feasible transmit step led to one where that is found.
    """

    name: str = "direct"
    iterations: int = 60
    starts: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.solver != "fast":
            raise ValueError(f"solver must be 'fast' for direct (it needs the dual points), got {self.solver!r}")
        for option in ("iterations", "starts"):
            if int(getattr(self, option)) != getattr(self, option) or getattr(self, option) < 1:
                raise ValueError(f"{option} must be an integer of at least 1, got {getattr(self, option)!r}")

    def optimise(self, channels: Channels, generators: list[np.random.Generator]) -> Outcome:
        """Descend from every start."""
        best, history = None, []
        for _ in range(self.starts):
            step = self.begin(channels, generators)
            found, values = self.descend(channels, step)
            if best is None:
                best = found
            else:
                better = np.flatnonzero(found.value < best.value)
                best = put(best, better, found[better])
                values = [np.minimum(value, history[-1]) for value in values]
            history += values
        assert best is not None
        return Outcome(v=best.v, beams=best.beams, status=status_of(best), history=np.array(history))

    def descend(self, channels: Channels, step: Step) -> tuple[Step, list[Array]]:
        """The best step of the descent from a feasible one (others stay) and the best value after each evaluation."""
        rows = np.flatnonzero(step.feasible)
        if not len(rows):
            return step, [step.value]
        part, best = channels[rows], step[rows]
        objective = Descent(self, part, best, levels=False)
        minimise(objective, np.angle(best.v), iterations=self.iterations, gradient_tolerance=1e-4)
        best, values = objective.best, objective.history
        _, level = log_value_gradient(part, best)
        falls = np.flatnonzero(level.max(1) > FALLS) if channels.surface_power is not None else rows[:0]
        if len(falls):
            objective = Descent(self, part[falls], best[falls], levels=True)
            start = np.concatenate([np.angle(best.v[falls]), np.full((len(falls), best.v.shape[1]), START)], axis=1)
            minimise(objective, start, iterations=self.iterations, gradient_tolerance=1e-4)
            for value in objective.history:
                values.append(values[-1].copy())
                values[-1][falls] = value
            best = put(best, falls, objective.best)
        history = []
        for value in values:
            history.append(step.value.copy())
            history[-1][rows] = value
        return put(step, rows, best), history
