"""Alternating optimisation: transmit, phase and amplitude step in turn, sensing only (P2) and ISAC (P1).

Source: arXiv 2508.00379, sections IV and VI (algorithms for (P2) and (P1)); model page, sections 7, 7.1 and 7.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from baselines.active_crb.amplitudes import amplitude_program
from baselines.active_crb.common import ActiveCrbPolicy, Outcome, put, status_of
from baselines.active_crb.phases import echo_form, phase_program, quadratic
from baselines.active_crb.scaling import joint_scaling
from baselines.active_crb.units import Beams, Channels
from baselines.tools.linalg import Array, ComplexArray


@dataclass(kw_only=True)
class AlternatingOptimisation(ActiveCrbPolicy):
    """Transmit, phase, amplitude step until the CRB falls by less than `tolerance` or `rounds` are over.

    A new surface is accepted only if the transmit step there is feasible and its CRB is not larger; a scene stops where it is
    not, so the history never rises.

    Attributes:
        rounds: at most this many.
        tolerance: relative fall of the CRB below which it stops.
        level: amplitudes of the start over the cap, in (0, 1].
    """

    name: str = "ao"
    rounds: int = 15
    tolerance: float = 1e-3
    level: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if int(self.rounds) != self.rounds or self.rounds < 1:
            raise ValueError(f"rounds must be an integer of at least 1, got {self.rounds!r}")
        if not self.tolerance >= 0:
            raise ValueError(f"tolerance must be at least 0, got {self.tolerance!r}")
        if not 0 < self.level <= 1:
            raise ValueError(f"level must be above 0 and at most 1, got {self.level!r}")

    def optimise(self, channels: Channels, generators: list[np.random.Generator]) -> Outcome:
        """Alternate."""
        step = self.begin(channels, generators)
        if self.level < 1.0:
            low = self.step(channels, self.level * step.v)
            step = put(step, np.flatnonzero(low.feasible), low[low.feasible])
        history = [step.value]
        rows = np.flatnonzero(step.feasible)
        for _ in range(self.rounds):
            if not len(rows):
                break
            part, own, old = channels[rows], [generators[i] for i in rows], step[rows]
            plain, moved = self.surface(part, old.v, old.beams, own)
            new = self.step(part, moved)
            worse = np.flatnonzero(~(new.value <= old.value) & (plain != moved).any(1))
            if len(worse):
                new = put(new, worse, self.step(part[worse], plain[worse]))
            better = new.feasible & (new.value <= old.value)
            step = put(step, rows[better], new[better])
            history.append(step.value)
            rows = rows[better & (old.value - new.value > -10.0 * np.log10(1.0 - min(self.tolerance, 0.999)))]
        return Outcome(v=step.v, beams=step.beams, status=status_of(step), history=np.array(history))

    def surface(
        self, channels: Channels, v: ComplexArray, beams: Beams, generators: list[np.random.Generator]
    ) -> tuple[ComplexArray, ComplexArray]:
        """Phase step, then amplitude step at fixed beams; the same with the joint scaling between them (both (B, N)).

        From amplitudes below the cap with full budgets only the scaling leads on; in ISAC it may miss an SINR.
        """
        a = np.abs(v)
        u = self.phase_step(channels, a, v / a, beams, generators)
        plain = self.amplitude_step(channels, a, u, beams) * u
        ratio, power = joint_scaling(channels, a * u, beams)
        rows = np.flatnonzero(np.abs(ratio - 1.0) > 1e-6)
        if not len(rows):
            return plain, plain
        moved, part = plain.copy(), channels[rows]
        level = np.minimum(a[rows] * np.sqrt(ratio[rows])[:, None], part.cap[:, None])
        moved[rows] = self.amplitude_step(part, level, u[rows], beams[rows].times(power[rows])) * u[rows]
        return plain, moved

    def phase_step(
        self, channels: Channels, a: Array, u: ComplexArray, beams: Beams, generators: list[np.random.Generator]
    ) -> ComplexArray:
        """(P4.2) for sensing only, (SDR6.3) in ISAC: phases (B, N)."""
        if channels.surface_power is None and channels.threshold is None:
            return u
        form, slack = None, None
        if channels.surface_power is not None:
            form = echo_form(channels.target_response, a, beams.cov)
            if channels.threshold is None:
                return self.programs.echo(form, u, generators, channels.index)[0]
            first = (a**2 * np.diagonal(beams.cov, axis1=1, axis2=2).real).sum(-1)
            slack = channels.surface_power - channels.surface_noise(a) - first
            # beams that fill the budget to the last digit: u itself is admissible
            slack = np.maximum(slack, quadratic(form, u))
        assert channels.threshold is not None
        program = phase_program(channels.ris_user, a, beams.users, beams.cov, channels.threshold, channels.noise(a), form, slack)
        return self.programs.phases(program, u, generators, channels.index)[0]

    def amplitude_step(self, channels: Channels, a: Array, u: ComplexArray, beams: Beams) -> Array:
        """(P4.4), (P6.4): amplitudes (B, N); a passive surface has none."""
        if channels.surface_power is None:
            return a
        isac = channels.threshold is not None
        program = amplitude_program(
            u=u,
            cap=channels.cap,
            target_response=channels.target_response,
            incident=beams.cov,
            inverse_diagonal=np.diagonal(channels.inverse, axis1=1, axis2=2).real,
            noise_bs=channels.noise_bs,
            noise_surface=channels.noise_surface,
            surface_power=channels.surface_power,
            ris_user=channels.ris_user if isac else None,
            users=beams.users if isac else None,
            threshold=channels.threshold,
            noise_user=channels.noise_user,
        )
        cap = channels.cap[:, None]
        share, _ = self.programs.amplitudes(program, np.clip(a / cap, 1e-3, 1.0), channels.index)
        return np.minimum(share * cap, cap)
