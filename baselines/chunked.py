"""What the solvers of all systems share: scenes in chunks with a generator each, canonical designs, the answer."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from baselines.binding import BoundPolicy
from baselines.policy import Solution, pad_history, scene_generators
from baselines.tools.linalg import Array


@dataclass(kw_only=True)
class Part:
    """Result for a chunk of scenes: the system's design, status (B,), history (iterations, B) in the objective's unit.

    A history is shifted to end at the objective of the canonical design (at what `ChunkedPolicy.measured` says).
    """

    design: Any
    status: np.ndarray
    history: Array


@dataclass(kw_only=True)
class ChunkedPolicy:
    """Base class: subclasses give `solve_part` and `nothing`.

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

    def __post_init__(self) -> None:
        if int(self.chunk) != self.chunk or self.chunk < 1:
            raise ValueError(f"chunk must be an integer of at least 1, got {self.chunk!r}")
        if self.penalty is None:
            self.penalty = float(self.system.default_penalty)

    def solve_part(self, known: Any, first: int, generators: list[np.random.Generator]) -> Part:
        """Solve a chunk of scenes, the first of which has the number `first`, with one generator each."""
        raise NotImplementedError

    def nothing(self, known: Any) -> Part:
        """The result for no scenes."""
        raise NotImplementedError

    def canonical(self, known: Any, design: Any) -> Any:
        """The last step: what is returned of a design."""
        return self.system.canonical(known, design)

    def solve(self, known: Any, rng: np.random.Generator) -> Solution:
        """Canonical, hard-feasible designs for the scenes of `known`."""
        begin = time.perf_counter()
        generators = scene_generators(rng, len(known))
        self.begin_calls()
        parts = [] if len(known) else [self.nothing(known)]
        for first in range(0, len(known), self.chunk):
            rows = slice(first, first + self.chunk)
            parts.append(self.solve_part(known[rows], first, generators[rows]))
        design = self.canonical(known, type(parts[0].design).concatenate([part.design for part in parts]))
        metrics = self.system.evaluate(known, design)
        status = np.concatenate([part.status for part in parts])
        feasible = np.asarray(metrics.feasible)
        status = np.where(feasible & (status == "infeasible"), "stopped", status)
        status[self.undecided()] = "failed"
        status = np.where(~feasible & (status != "infeasible"), "failed", status)
        history = pad_history([part.history for part in parts])
        last, history_of = self.measured(metrics)
        return Solution(
            design=design,
            objective=np.asarray(metrics.objective),
            feasible=feasible,
            status=status,
            history=history + (last - history[-1]),
            seconds=time.perf_counter() - begin,
            history_of=history_of,
        )

    def measured(self, metrics: Any) -> tuple[Array, str]:
        """What histories are of: its value (B,) for the designs that are returned, and its name (`Solution.history_of`)."""
        return np.asarray(metrics.objective), "objective"

    def begin_calls(self) -> None:
        """Forget the solver reports of the last call of `solve`."""

    def undecided(self) -> list[int]:
        """Scenes whose transmit step a solver left without answer, so that neither the design nor infeasibility is proved."""
        return []

    def bind(self, env: Any) -> BoundPolicy:
        """Drive an environment with this policy."""
        return BoundPolicy(self, env)
