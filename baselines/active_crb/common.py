"""What the policies of this system share: the programs, the first surface, the answer where no SINR can be met."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baselines.active_crb.bound import Relaxed, raise_bound
from baselines.active_crb.initial import first_surface
from baselines.active_crb.programs import Programs, make_programs
from baselines.active_crb.transmit import Step, transmit_step
from baselines.active_crb.units import Beams, Channels
from baselines.chunked import ChunkedPolicy, Part
from baselines.tools.linalg import Array, ComplexArray

NEVER = 1e299
"""Values (dB) from here on stand for: no feasible design."""


@dataclass(kw_only=True)
class Outcome:
    """Result: v (B, N), beams, status (B,), history (iterations, B) of the objective in dB."""

    v: ComplexArray
    beams: Beams
    status: np.ndarray
    history: Array


@dataclass(kw_only=True)
class ActiveCrbPolicy(ChunkedPolicy):
    """Base class: subclasses give `optimise`.

    Attributes:
        solver: form of the convex programs: `fast` (ours, batched) or `cvxpy` (as the paper states them, scene by scene;
            `clarabel` and `scs` name the solver, whatever the size). After `solve`, `programs.calls` holds one report per call.
    """

    solver: str = "fast"
    programs: Programs = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.programs = make_programs(self.solver)

    def begin_calls(self) -> None:
        """Forget the solver reports of the last call of `solve`."""
        self.programs.calls.clear()

    def optimise(self, channels: Channels, generators: list[np.random.Generator]) -> Outcome:
        """Solve scenes with one generator each."""
        raise NotImplementedError

    def step(self, channels: Channels, v: ComplexArray) -> Step:
        """The policy's transmit step at surfaces v (B, N)."""
        return transmit_step(channels, v, lambda scaled: self.programs.transmit(scaled, channels.index))

    def solve_part(self, known: Any, first: int, generators: list[np.random.Generator]) -> Part:
        """`optimise`, and a rule's design where it found none."""
        channels = Channels.of(self.system, known, first)
        outcome = self.optimise(channels, generators)
        beams, sensing = channels.design(outcome.beams)
        design = self.system.design(beams=beams, sensing_beams=sensing, coefficients=outcome.v)
        lost = np.flatnonzero(outcome.history[-1] >= NEVER)
        if len(lost):
            design = design.put(lost, self._rule(known[lost], outcome.v[lost]))
        history = np.where(outcome.history[-1] >= NEVER, 0.0, outcome.history)
        history = np.where(history >= NEVER, np.where(history >= NEVER, -np.inf, history).max(0), history)
        return Part(design=design, status=outcome.status, history=history)

    def _rule(self, known: Any, v: ComplexArray) -> Any:
        """The better by penalised score of the start rule and the rule's beams at v. Benchmarks keep to what they stand for."""
        system = self.system
        best = system.decode(known, system.start(known, "surface"), "surface")
        own = self._rule_at(known, v)
        score = [np.asarray(system.penalised(system.evaluate(known, d), self.penalty)) for d in (best, own)]
        better = np.flatnonzero(score[1] > score[0])
        return best.put(better, own[better]) if len(better) else best

    def _rule_at(self, known: Any, v: ComplexArray) -> Any:
        """The rule's beams at v."""
        system = self.system
        size = (len(v), system.num_antennas)
        nothing = [np.zeros((*size, columns), complex) for columns in (system.num_users, system.num_elements)]
        own = system.design(beams=nothing[0], sensing_beams=nothing[1], coefficients=v)
        return system.decode(known, system.encode(known, own, "surface"), "surface")

    def nothing(self, known: Any) -> Part:
        """The result for no scenes."""
        s = self.system
        sizes = ((0, s.num_antennas, s.num_users), (0, s.num_antennas, s.num_elements), (0, s.num_elements))
        beams, sensing, v = (np.zeros(size, complex) for size in sizes)
        design = s.design(beams=beams, sensing_beams=sensing, coefficients=v)
        return Part(design=design, status=np.zeros(0, "<U10"), history=np.zeros((1, 0)))

    def random_surface(self, channels: Channels, generators: list[np.random.Generator]) -> ComplexArray:
        """Random phases at the cap (B, N)."""
        elements = channels.sizes[0]
        return channels.cap[:, None] * np.exp(2j * np.pi * np.stack([g.random(elements) for g in generators]))

    def begin(self, channels: Channels, generators: list[np.random.Generator]) -> Step:
        """First surface at the cap and its transmit step: random phases; the search of 7.2 where those meet no SINR."""
        v = self.random_surface(channels, generators)
        step = self.step(channels, v)
        if channels.threshold is None:
            return step
        lost = np.flatnonzero(~step.feasible)
        for attempt, restarts in enumerate((1, 4)):
            if attempt and len(lost):
                lost = lost[~raise_bound(Relaxed.at(channels[lost]))[1]]  # the rest is proved to be infeasible
            if not len(lost):
                break
            part, own = channels[lost], [generators[i] for i in lost]
            first = step.v[lost] if not attempt else self.random_surface(part, own)
            known = step[lost] if not attempt else None
            found = first_surface(part, Recall(self, part, known), own, v=first, restarts=restarts)
            good = lost[found.feasible]
            if len(good):
                step = put(step, good, self.step(channels[good], found.v[found.feasible]))
            lost = lost[~found.feasible]
        return step


@dataclass
class Recall:
    """Transmit step for `first_surface`, which asks first for surfaces that were tried already."""

    policy: ActiveCrbPolicy
    channels: Channels
    known: Step | None

    def __call__(self, v: ComplexArray, rows: NDArray[np.int64]) -> tuple[NDArray[np.bool_]]:
        if self.known is not None and len(rows) == len(self.known) and np.array_equal(v, self.known.v):
            return (self.known.feasible,)
        return (self.policy.step(self.channels[rows], v).feasible,)


def put(step: Step, rows: NDArray[np.int64], other: Step) -> Step:
    """`step` with `rows` replaced by those of `other` (without the dual points of the methods)."""

    def merge(old: Any, new: Any) -> Any:
        if isinstance(old, np.ndarray) and old.ndim and len(old) == len(step) and len(new) == len(rows):
            out = old.copy()
            out[rows] = new
            return out
        if is_dataclass(old) and not isinstance(old, type):
            names = [f.name for f in fields(old) if f.name not in getattr(type(old), "_shared", ())]
            return replace(old, **{name: merge(getattr(old, name), getattr(new, name)) for name in names})
        return old

    result: Step = merge(step, other)
    return result


def status_of(step: Step) -> np.ndarray:
    """stopped / infeasible / failed (B,)."""
    return np.where(step.feasible, "stopped", np.where(step.failed, "failed", "infeasible")).astype("<U10")
