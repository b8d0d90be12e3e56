"""Alternating optimisation and the two benchmarks of the paper.

Source: arXiv 2111.13511, Algorithm 1 and section V (separate design, information beamforming only).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from baselines.beampattern.common import BeampatternPolicy, Outcome
from baselines.beampattern.communication import communication_phases
from baselines.beampattern.information import information_step
from baselines.beampattern.programs import Programs, make_programs
from baselines.beampattern.reflective import reflective_step, separate_surface
from baselines.beampattern.transmit import transmit_step
from baselines.beampattern.units import Scaled
from baselines.tools.linalg import Array, ComplexArray

INITS = ("separate", "random", "communication")


@dataclass(kw_only=True)
class AlternatingOptimisation(BeampatternPolicy):
    """Algorithm 1: transmit step, reflective step, until the gain rises by less than `tolerance` or `rounds` are over.

    Attributes:
        init: first surface: `separate` (P4), `random` or `communication`.
        randomisations: candidates of the Gaussian randomisation.
        rounds: at most this many.
        tolerance: relative rise of the gain below which it stops.
        keep_incumbent: accept only what is not worse (False: the paper's plain statement; then the history may fall).
        information_only: beams without sensing signal (R_0 = 0), K = 1.
        solver: form of the semidefinite programs: `fast` (our dual interior-point method, batched) or `cvxpy` (as the paper
            states them, scene by scene; `clarabel` and `scs` name the solver, whatever the size). After `solve`,
            `programs.calls` holds one report per call of a solver.
    """

    name: str = "ao"
    init: str = "separate"
    randomisations: int = 1000
    rounds: int = 20
    tolerance: float = 1e-3
    keep_incumbent: bool = True
    information_only: bool = False
    solver: str = "fast"
    programs: Programs = field(init=False, repr=False, compare=False)
    vital: ClassVar[tuple[str, ...]] = ("transmit", "information")
    """Programs without which there is no design worth the name."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.init not in INITS:
            raise ValueError(f"init must be one of {INITS}, got {self.init!r}")
        for option in ("randomisations", "rounds"):
            if int(getattr(self, option)) != getattr(self, option) or getattr(self, option) < 1:
                raise ValueError(f"{option} must be an integer of at least 1, got {getattr(self, option)!r}")
        if not self.tolerance >= 0:
            raise ValueError(f"tolerance must be at least 0, got {self.tolerance!r}")
        self.programs = make_programs(self.solver)

    def begin_calls(self) -> None:
        """Forget the solver reports of the last call of `solve`."""
        self.programs.calls.clear()

    def undecided(self) -> list[int]:
        """Scenes in which a program that the design rests on was neither solved nor found infeasible."""
        open_calls = {(c.program, c.scene) for c in self.programs.calls if not (c.accepted or c.infeasible)}
        solved = {(c.program, c.scene) for c in self.programs.calls if c.accepted}
        return sorted({scene for program, scene in open_calls - solved if program in self.vital})

    def first_surface(self, scaled: Scaled, generators: list[np.random.Generator]) -> ComplexArray:
        """The start `init`, (B, N)."""
        if self.init == "separate":
            return separate_surface(scaled, generators, self.randomisations, program=self.programs.relax)
        if self.init == "communication":
            return communication_phases(scaled, generators)
        elements = scaled.bs_ris.shape[1]
        return np.exp(2j * np.pi * np.stack([g.random(elements) for g in generators]))

    def transmit(
        self,
        scaled: Scaled,
        v: ComplexArray,
        generators: list[np.random.Generator],
        incumbent: ComplexArray | None = None,
    ) -> tuple[ComplexArray, Array, NDArray[np.bool_]]:
        """Beams for v, the gain and whether the SINR is met: 7.1 + 7.2, or the information-only step."""
        if scaled.ris_user.shape[1] == 1 and (self.information_only or scaled.sensing_beams == 0):
            alone = partial(self.programs.covariances, sensing=False)
            return information_step(scaled, v, generators, self.randomisations, incumbent, alone)
        return transmit_step(scaled, v, self.programs.covariances)

    def begin(
        self, scaled: Scaled, generators: list[np.random.Generator]
    ) -> tuple[ComplexArray, ComplexArray, Array, NDArray[np.bool_]]:
        """First surface, beams, gain and feasibility; the communication phases where the start `init` is infeasible."""
        v = self.first_surface(scaled, generators)
        f, gain, feasible = self.transmit(scaled, v, generators)
        retry = np.flatnonzero(~feasible)
        if len(retry):
            own = [generators[i] for i in retry]
            v[retry] = communication_phases(scaled[retry], own)
            f[retry], gain[retry], feasible[retry] = self.transmit(scaled[retry], v[retry], own)
        return v, f, gain, feasible

    def optimise(self, scaled: Scaled, generators: list[np.random.Generator]) -> Outcome:
        """Run Algorithm 1 on scaled scenes."""
        v, f, gain, feasible = self.begin(scaled, generators)
        status = np.where(feasible, "stopped", "infeasible").astype("<U10")
        history = [gain.copy()]
        rows = np.flatnonzero(feasible)
        for _ in range(self.rounds):
            if not len(rows):
                break
            part, own = scaled[rows], [generators[i] for i in rows]
            new_v, found = reflective_step(
                part, v[rows], f[rows], own, self.randomisations, self.keep_incumbent, self.programs.relax
            )
            status[rows[~found]] = "stopped"
            rows, part, new_v = rows[found], part[found], new_v[found]
            if not len(rows):
                break
            middle, _ = part.gain_and_margin(new_v, f[rows])
            new_f, new_gain, ok = self.transmit(part, new_v, [generators[i] for i in rows], f[rows])
            better = ok & (new_gain >= middle) if self.keep_incumbent else ok
            new_f = np.where(better[:, None, None], new_f, f[rows])
            new_gain = np.where(better, new_gain, middle)
            old = gain[rows]
            v[rows], f[rows], gain[rows] = new_v, new_f, new_gain
            history.append(gain.copy())
            rising = new_gain - old > self.tolerance * old
            status[rows[~rising]] = "stopped"
            rows = rows[rising]
        return Outcome(v=v, f=f, status=status, history=np.array(history))


@dataclass(kw_only=True)
class Separate(AlternatingOptimisation):
    """Separate design: the surface for sensing alone (P4), then one transmit step."""

    name: str = "separate"
    rescue: ClassVar[bool] = False
    vital: ClassVar[tuple[str, ...]] = ("separate", "transmit", "information")

    def optimise(self, scaled: Scaled, generators: list[np.random.Generator]) -> Outcome:
        """(P4), 7.1 and 7.2."""
        v = separate_surface(scaled, generators, self.randomisations, program=self.programs.relax)
        f, gain, feasible = self.transmit(scaled, v, generators)
        return Outcome(v=v, f=f, status=np.where(feasible, "stopped", "infeasible").astype("<U10"), history=gain[None])


def make_information_only(system: Any, **options: Any) -> BeampatternPolicy:
    """7.5: Algorithm 1 without sensing signal for K = 1, the joint ascent with F = W for K >= 2."""
    solver = options.pop("solver", "fast")
    if system.num_users == 1:
        options["solver"] = solver
        return AlternatingOptimisation(system=system, name="information_only", information_only=True, **options)
    if solver != "fast":
        raise ValueError(f"solver must be 'fast' for several users without sensing signal (no exact program), got {solver!r}")
    from baselines.beampattern.joint import Joint

    return Joint(system=system, name="information_only", information_only=True, **options)
