"""What the policies of this system share: chunks, units, rounding, canonical designs, the answer."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from baselines.beampattern.communication import communication_phases
from baselines.beampattern.units import Scaled
from baselines.binding import BoundPolicy
from baselines.policy import Solution, pad_history, scene_generators
from baselines.tools.linalg import Array, ComplexArray


@dataclass(kw_only=True)
class Outcome:
    """Result in scaled units: v (B, N), f (B, M, K + S0) of unit power, status (B,), history of gains (iterations, B)."""

    v: ComplexArray
    f: ComplexArray
    status: np.ndarray
    history: Array


@dataclass(kw_only=True)
class BeampatternPolicy:
    """Base class: subclasses give `optimise`.

    Attributes:
        system: the system model.
        penalty: weight of the cost where a policy weighs score against cost; None: the system's.
        chunk: scenes worked on at a time; results do not depend on it.
    """

    system: Any = field(repr=False)
    penalty: float | None = None
    chunk: int = 256
    name: str = ""
    privileged: bool = False
    rescue: ClassVar[bool] = True
    """Whether the communication phases are tried where the policy's own surface meets no SINR."""

    def __post_init__(self) -> None:
        if int(self.chunk) != self.chunk or self.chunk < 1:
            raise ValueError(f"chunk must be an integer of at least 1, got {self.chunk!r}")
        if self.penalty is None:
            self.penalty = float(self.system.default_penalty)

    def optimise(self, scaled: Scaled, generators: list[np.random.Generator]) -> Outcome:
        """Solve scaled scenes with one generator each."""
        raise NotImplementedError

    def transmit(
        self,
        scaled: Scaled,
        v: ComplexArray,
        generators: list[np.random.Generator],
        incumbent: ComplexArray | None = None,
    ) -> tuple[ComplexArray, Array, NDArray[np.bool_]]:
        """The policy's transmit step at a given surface: beams, gain, feasibility."""
        raise NotImplementedError

    def solve(self, known: Any, rng: np.random.Generator) -> Solution:
        """Canonical, hard-feasible designs for the scenes of `known`."""
        begin = time.perf_counter()
        generators = scene_generators(rng, len(known))
        self.begin_calls()
        outcomes = [] if len(known) else [self._nothing()]
        for first in range(0, len(known), self.chunk):
            part = slice(first, first + self.chunk)
            scaled = Scaled.of(self.system, known[part], first)
            outcome = self.optimise(scaled, generators[part])
            if self.system.phase_bits is not None:
                outcome = self._round(scaled, outcome, generators[part])
            floor = np.asarray(self.system.reference_dbm(known[part])) - 60.0
            outcome.history = 10.0 * np.log10(np.maximum(outcome.history * scaled.unit_w, 1e-300)) + 30.0
            outcome.history = np.maximum(outcome.history, floor)
            outcomes.append(outcome)
        root = np.sqrt(self.system.power_w)
        f = np.concatenate([o.f for o in outcomes]) * root
        users = self.system.num_users
        design = self.system.design(
            beams=f[..., :users],
            sensing_beams=f[..., users:],
            coefficients=np.concatenate([o.v for o in outcomes]),
        )
        design = self.system.canonical(known, design)
        metrics = self.system.evaluate(known, design)
        status = np.concatenate([o.status for o in outcomes])
        feasible = np.asarray(metrics.feasible)
        status = np.where(feasible & (status == "infeasible"), "stopped", status)
        status[self.undecided()] = "failed"
        status = np.where(~feasible & (status != "infeasible"), "failed", status)
        history = pad_history([o.history for o in outcomes])
        objective = np.asarray(metrics.objective)
        history = history + (objective - history[-1])
        return Solution(
            design=design,
            objective=objective,
            feasible=feasible,
            status=status,
            history=history,
            seconds=time.perf_counter() - begin,
        )

    def begin_calls(self) -> None:
        """Forget the solver reports of the last call of `solve`."""

    def undecided(self) -> list[int]:
        """Scenes whose transmit step a solver left without answer, so that neither the design nor infeasibility is proved."""
        return []

    def _nothing(self) -> Outcome:
        """The outcome for no scenes."""
        s = self.system
        beams = np.zeros((0, s.num_antennas, s.num_users + s.num_sensing_beams), complex)
        v, status = np.zeros((0, s.num_elements), complex), np.zeros(0, "<U10")
        return Outcome(v=v, f=beams, status=status, history=np.zeros((1, 0)))

    def _round(self, scaled: Scaled, outcome: Outcome, generators: list[np.random.Generator]) -> Outcome:
        """Nearest discrete phases, then the transmit step once more; the communication phases where that fails."""
        v = round_phases(outcome.v, self.system.phase_bits)
        f, gain, feasible = self.transmit(scaled, v, generators, outcome.f)
        retry = np.flatnonzero(~feasible)
        if len(retry) and self.rescue:
            own = [generators[i] for i in retry]
            v[retry] = round_phases(communication_phases(scaled[retry], own), self.system.phase_bits)
            f[retry], gain[retry], feasible[retry] = self.transmit(scaled[retry], v[retry], own)
        status = np.where(feasible, np.where(outcome.status == "infeasible", "stopped", outcome.status), "infeasible")
        return Outcome(v=v, f=f, status=status.astype("<U10"), history=gain[None])

    def bind(self, env: Any) -> BoundPolicy:
        """Drive an environment with this policy."""
        return BoundPolicy(self, env)


def round_phases(v: ComplexArray, bits: int) -> ComplexArray:
    """Nearest of exp(2 pi j i / 2^bits)."""
    levels = 2**bits
    return np.exp(2j * np.pi * np.round(np.angle(v) * levels / (2 * np.pi)) / levels)
