"""Benchmarks: random phases, beams without a target in mind, the passive surface, zero-forcing beams.

Source: arXiv 2508.00379, section VII; model page, section 7.3.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from baselines.active_crb.ao import AlternatingOptimisation
from baselines.active_crb.common import ActiveCrbPolicy, Outcome, status_of
from baselines.active_crb.transmit import Step, transmit_step
from baselines.active_crb.units import Beams, Channels
from baselines.chunked import Part
from baselines.tools.linalg import Array, ComplexArray, abs2
from ris_gym.systems.active_crb.sampler import with_constants


@dataclass(kw_only=True)
class TransmitOnly(ActiveCrbPolicy):
    """Random phases at the cap and the best beams there; where those meet no SINR the scene is called infeasible."""

    name: str = "transmit_only"

    def optimise(self, channels: Channels, generators: list[np.random.Generator]) -> Outcome:
        """One transmit step."""
        step = self.step(channels, self.random_surface(channels, generators))
        return Outcome(v=step.v, beams=step.beams, status=status_of(step), history=step.value[None])

    def _rule(self, known: Any, v: ComplexArray) -> Any:
        """The phases stay random."""
        return self._rule_at(known, v)


@dataclass(kw_only=True)
class ReflectiveOnly(AlternatingOptimisation):
    """Sensing only: R = (P_0 / M) I, phases, then amplitudes; the design is not scaled up (it is not canonical)."""

    name: str = "reflective_only"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.system.sinr_threshold is not None:
            raise ValueError("sinr_threshold_db must be None for reflective_only (its beams serve no user), got thresholds")

    def canonical(self, known: Any, design: Any) -> Any:
        """Not scaled up: R = (P_0 / M) I as it is, within the budgets."""
        return self.system.project(known, design)

    def solve_part(self, known: Any, first: int, generators: list[np.random.Generator]) -> Part:
        """R is kept: L = sqrt(P_0 / M) V."""
        channels = Channels.of(self.system, known, first)
        part = channels.power / channels.sizes[1]
        v = self.reflect(channels, part, generators)
        beams, sensing = np.zeros((len(v), channels.sizes[1], channels.sizes[2]), complex), np.sqrt(part) * channels.basis
        design = self.system.design(beams=beams, sensing_beams=sensing, coefficients=v)
        objective = np.asarray(self.system.evaluate(known, self.system.project(known, design)).objective)
        return Part(design=design, status=np.full(len(v), "stopped", dtype="<U10"), history=objective[None])

    def reflect(self, channels: Channels, level: float, generators: list[np.random.Generator]) -> ComplexArray:
        """Phases and amplitudes for R = level I (B, N)."""
        v = self.random_surface(channels, generators)
        cov = level * (channels.left * channels.singular[:, None, :] ** 2) @ np.conj(np.swapaxes(channels.left, 1, 2))
        beams = Beams(cov=cov, users=np.zeros((len(v), channels.sizes[0], channels.sizes[2]), complex))
        if channels.surface_power is None:
            return v
        for _ in range(2):
            a = fit(channels, v, beams)
            u = self.phase_step(channels, a, v / np.abs(v), beams, generators)
            v = fit(channels, channels.cap[:, None] * u, beams) * u
            v = self.amplitude_step(channels, np.abs(v), u, beams) * u
        return v


def fit(channels: Channels, v: ComplexArray, beams: Beams) -> Array:
    """Amplitudes of v, scaled down to the surface budget at fixed R where they exceed it (0.999 of the way), (B, N)."""
    a = np.abs(v)
    if channels.surface_power is None:
        return a
    h = channels.target_response * v[:, None, :]
    first = (a**2 * (np.diagonal(beams.cov, axis1=1, axis2=2).real + 2.0 * channels.noise_surface)).sum(-1)
    second = (a**2 * np.einsum("bmi,bij,bmj->bm", h, beams.cov, h.conj(), optimize=True).real).sum(-1)
    second = second + channels.surface_noise(a) - 2.0 * channels.noise_surface * (a**2).sum(-1)
    scale = 2.0 * channels.surface_power / (first + np.sqrt(first**2 + 4.0 * second * channels.surface_power))
    return a * np.where(scale < 1.0, np.sqrt(0.999 * scale), 1.0)[:, None]


@dataclass(kw_only=True)
class ZeroForcing(AlternatingOptimisation):
    """ISAC with zero-forcing directions for the user beams; phases max-min, amplitudes at the cap."""

    name: str = "zero_forcing"
    rounds: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.system.sinr_threshold is None:
            raise ValueError("sinr_threshold_db must not be None for zero_forcing (there are no user beams in sensing only)")

    def step(self, channels: Channels, v: ComplexArray) -> Step:
        """The transmit step with zero-forcing directions."""
        return transmit_step(channels, v, lambda scaled: self.programs.zero_forcing(scaled, channels.index))

    def amplitude_step(self, channels: Channels, a: Array, u: ComplexArray, beams: Beams) -> Array:
        """The amplitudes stay."""
        return a

    def _rule(self, known: Any, v: ComplexArray) -> Any:
        """Zero-forcing beams of equal margins, a tenth of their power for the rule's sensing beams; they serve no one either."""
        rows = (known.ris_user.conj() * v[:, None, :]) @ known.bs_ris
        need = self.system.sinr_threshold * Channels.of(self.system, known).noise(np.abs(v))
        beams = np.linalg.pinv(rows) * np.sqrt(need)[:, None, :]
        sensing = self._rule_at(known, v).sensing_beams
        level = np.sqrt(0.1 * abs2(beams).sum((1, 2)) / abs2(sensing).sum((1, 2)))
        return self.system.design(beams=beams, sensing_beams=level[:, None, None] * sensing, coefficients=v)


@dataclass(kw_only=True)
class Passive(AlternatingOptimisation):
    """The same channels with a passive surface: a = 1, no noise and no budget of its own; alternation over beams and phases.

    The design is returned in the shapes of the active system, which values it with a = 1.
    """

    name: str = "passive"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.system.passive:
            raise ValueError("kind must be 'active' for passive (use ao, the system is passive already), got 'passive'")

    def solve_part(self, known: Any, first: int, generators: list[np.random.Generator]) -> Part:
        """Alternate on the passive system, then state the values of the active one."""
        passive = dataclasses.replace(self.system, kind="passive")
        policy = AlternatingOptimisation(
            system=passive, penalty=self.penalty, solver=self.solver, rounds=self.rounds, tolerance=self.tolerance
        )
        policy.programs = self.programs
        return policy.solve_part(with_constants(passive, known), first, generators)
