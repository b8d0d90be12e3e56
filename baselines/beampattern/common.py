"""What the policies of this system share: units, rounding of the phases, the form of a result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from baselines.beampattern.communication import communication_phases
from baselines.beampattern.units import Scaled
from baselines.chunked import ChunkedPolicy, Part
from baselines.tools.linalg import Array, ComplexArray


@dataclass(kw_only=True)
class Outcome:
    """Result in scaled units: v (B, N), f (B, M, K + S0) of unit power, status (B,), history of gains (iterations, B)."""

    v: ComplexArray
    f: ComplexArray
    status: np.ndarray
    history: Array


@dataclass(kw_only=True)
class BeampatternPolicy(ChunkedPolicy):
    """Base class: subclasses give `optimise`."""

    rescue: ClassVar[bool] = True
    """Whether the communication phases are tried where the policy's own surface meets no SINR."""

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

    def solve_part(self, known: Any, first: int, generators: list[np.random.Generator]) -> Part:
        """Scale, `optimise`, round the phases."""
        scaled = Scaled.of(self.system, known, first)
        outcome = self.optimise(scaled, generators)
        if self.system.phase_bits is not None:
            outcome = self._round(scaled, outcome, generators)
        floor = np.asarray(self.system.reference_dbm(known)) - 60.0
        history = 10.0 * np.log10(np.maximum(outcome.history * scaled.unit_w, 1e-300)) + 30.0
        return Part(design=self._design(outcome.v, outcome.f), status=outcome.status, history=np.maximum(history, floor))

    def nothing(self, known: Any) -> Part:
        """The result for no scenes."""
        s = self.system
        beams = np.zeros((0, s.num_antennas, s.num_users + s.num_sensing_beams), complex)
        v, status = np.zeros((0, s.num_elements), complex), np.zeros(0, "<U10")
        return Part(design=self._design(v, beams), status=status, history=np.zeros((1, 0)))

    def _design(self, v: ComplexArray, f: ComplexArray) -> Any:
        """The system's design from beams of unit power."""
        users, f = self.system.num_users, f * np.sqrt(self.system.power_w)
        return self.system.design(beams=f[..., :users], sensing_beams=f[..., users:], coefficients=v)

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


def round_phases(v: ComplexArray, bits: int) -> ComplexArray:
    """Nearest of exp(2 pi j i / 2^bits)."""
    levels = 2**bits
    return np.exp(2j * np.pi * np.round(np.angle(v) * levels / (2 * np.pi)) / levels)
