"""Ascent over surface and beams at once, without alternation, from several starts; then one exact transmit step.

Source: ours; beampattern page, section 9.3 (problem (P1) of arXiv 2111.13511).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baselines.beampattern.common import BeampatternPolicy, Outcome
from baselines.beampattern.communication import ascent, communication_phases, phase_repair
from baselines.beampattern.smoothed import Smoothed
from baselines.beampattern.transmit import maximum_ratio, transmit_step, unit_power
from baselines.beampattern.units import Scaled, min_gain
from baselines.tools.lbfgs import minimise
from baselines.tools.linalg import Array, ComplexArray, abs2, herm
from baselines.tools.randomisation import complex_normal

MISSED = 1e-4
"""Relative shortfall of an SINR that the ascent may leave: half of the tolerance of `feasible` (1e-3 dB)."""


@dataclass(kw_only=True)
class Joint(BeampatternPolicy):
    """L-BFGS on the smoothed objective over the phases and F together.

    Attributes:
        starts: random and communication phases alternate.
        kappas: smoothing of the stages.
        iterations: L-BFGS steps of the stages; None: the page's (30, 40, 60, 60), twice that for K >= 2 or more than 8 angles,
            where those leave 0.6 dB (K = 2) and 0.25 dB (`sectors`) more to the bound.
        information_only: F = W, no sensing beams (so too with `num_sensing_beams` = 0).
    """

    name: str = "joint"
    starts: int = 4
    kappas: tuple[float, ...] = (8.0, 32.0, 128.0, 512.0)
    iterations: tuple[int, ...] | None = None
    information_only: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if int(self.starts) != self.starts or self.starts < 1:
            raise ValueError(f"starts must be an integer of at least 1, got {self.starts!r}")
        if self.iterations is None and len(self.kappas) == 4:
            hard = self.system.num_users > 1 or len(self.system.angles_deg) > 8
            self.iterations = (60, 80, 120, 120) if hard else (30, 40, 60, 60)
        if self.iterations is None or len(self.kappas) != len(self.iterations):
            raise ValueError(f"iterations must have as many entries as kappas ({len(self.kappas)}), got {self.iterations!r}")

    def _plain(self, scaled: Scaled) -> bool:
        return self.information_only or scaled.sensing_beams == 0

    def optimise(self, scaled: Scaled, generators: list[np.random.Generator]) -> Outcome:
        """All starts; the best feasible one is kept."""
        count, users = len(scaled), scaled.ris_user.shape[1]
        streams = users if self._plain(scaled) else (2 if users == 1 else users + 2)
        together = max(1, min(self.starts, 256 // count))  # starts worked on at once: saves time in small batches
        best_v = np.empty((count, scaled.bs_ris.shape[1]), complex)
        best_f = np.empty((count, scaled.bs_ris.shape[2], users + scaled.sensing_beams), complex)
        level, history = np.full(count, -1.0), []
        for first in range(0, self.starts, together):
            group = range(first, min(first + together, self.starts))
            begun = [self._start(scaled, generators, streams, communication=start % 2 == 1) for start in group]
            copies = scaled[np.tile(np.arange(count), len(group))]
            v, f = self._ascend(copies, np.concatenate([v for v, _ in begun]), np.concatenate([f for _, f in begun]))
            v = phase_repair(copies, v)
            f, gain, feasible = self._beams(copies, v, f)
            value = np.where(feasible, gain, -1.0)
            for start in range(len(group)):
                own = slice(start * count, (start + 1) * count)
                better = value[own] > level
                best_v[better], best_f[better] = v[own][better], f[own][better]
                level = np.maximum(level, value[own])
                history.append(level)
        lost = np.flatnonzero(level < 0)
        if len(lost):
            part, own_rng = scaled[lost], [generators[i] for i in lost]
            best_v[lost] = communication_phases(part, own_rng)
            best_f[lost], gain, feasible = self.transmit(part, best_v[lost], own_rng)
            level[lost] = np.where(feasible, gain, -1.0)
        status = np.where(level >= 0, "stopped", "infeasible").astype("<U10")
        return Outcome(v=best_v, f=best_f, status=status, history=np.maximum(np.array(history), 0.0))

    def _start(
        self, scaled: Scaled, generators: list[np.random.Generator], streams: int, communication: bool
    ) -> tuple[ComplexArray, ComplexArray]:
        elements, antennas, users, _ = scaled.sizes
        v = np.exp(2j * np.pi * np.stack([g.random(elements) for g in generators]))
        if communication:
            v = ascent(scaled, v, 20)
        f = maximum_ratio(scaled.rows(v)[0], streams - users)
        noise = np.stack([complex_normal(g, (antennas, streams)) for g in generators])
        return v, unit_power(f + 0.3 * noise / np.sqrt(antennas))

    def _ascend(
        self, scaled: Scaled, v: ComplexArray, f: ComplexArray, frozen: bool = False
    ) -> tuple[ComplexArray, ComplexArray]:
        """The stages of 9.3: kappa rises, rho doubles, multipliers follow. `frozen`: over F only."""
        assert self.iterations is not None
        rho, nu = 10.0, np.zeros((len(v), scaled.ris_user.shape[1]))
        for kappa, iterations in zip(self.kappas, self.iterations, strict=True):
            objective = Smoothed(scaled=scaled, kappa=kappa, rho=rho, nu=nu, streams=f.shape[-1], frozen=frozen)
            x, _ = minimise(objective, objective.join(v, f), iterations=iterations)
            v, f = objective.split(x)
            f = unit_power(f)
            nu = np.maximum(0.0, nu + rho * objective.deficits(v, f))
            rho *= 2.0
        return v, f

    def _beams(self, scaled: Scaled, v: ComplexArray, f: ComplexArray) -> tuple[ComplexArray, Array, NDArray[np.bool_]]:
        if not self._plain(scaled):
            return transmit_step(scaled, v)
        user, target = scaled.rows(v)
        if user.shape[1] == 1:
            f = to_maximum_ratio(user, f)
        f = np.concatenate([f, np.zeros((*f.shape[:2], scaled.sensing_beams))], axis=-1)
        met = np.asarray((scaled.sinr_ratio(user @ f) >= 1.0 - MISSED).all(-1))
        return f, min_gain(target @ f), met

    def transmit(
        self,
        scaled: Scaled,
        v: ComplexArray,
        generators: list[np.random.Generator],
        incumbent: ComplexArray | None = None,
    ) -> tuple[ComplexArray, Array, NDArray[np.bool_]]:
        """Beams for a given surface: the exact transmit step, or (without sensing beams) the ascent over W alone."""
        if not self._plain(scaled):
            return transmit_step(scaled, v)
        user, users = scaled.rows(v)[0], scaled.ris_user.shape[1]
        f = maximum_ratio(user, 0) if incumbent is None else incumbent[..., :users]
        return self._beams(scaled, v, self._ascend(scaled, v, f, frozen=True)[1])


def to_maximum_ratio(user: ComplexArray, w: ComplexArray, points: int = 1001) -> ComplexArray:
    """The first of `points` beams on the segment from w to the aligned maximum-ratio beam that meets the SNR, unit power.

    Args:
        user: (B, 1, M) row h^H.
        w: (B, M, 1).
    """
    received = (user @ w)[:, 0, 0]
    norm = np.sqrt(np.maximum(abs2(user[:, 0]).sum(-1), 1e-300))
    size = np.abs(received)
    phase = np.where(size > 0, received, 1.0) / np.where(size > 0, size, 1.0)
    goal = herm(user) / norm[:, None, None] * phase[:, None, None]
    s = np.linspace(0.0, 1.0, points)
    # |h^H w(s)|^2 / ||w(s)||^2 along the segment, in closed form
    along = (1 - s) * size[:, None] + s * norm[:, None]
    cross = np.sum(w.conj() * goal, axis=(1, 2)).real[:, None]
    length = (1 - s) ** 2 * abs2(w).sum((1, 2))[:, None] + s**2 + 2 * s * (1 - s) * cross
    met = along**2 >= length * (1.0 + 1e-12)
    first = np.where(met.any(1), met.argmax(1), points - 1)
    pick = s[first][:, None, None]
    return unit_power((1 - pick) * w + pick * goal)
