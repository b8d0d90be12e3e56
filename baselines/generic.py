"""Policies for every system: uniform random actions, and gradient ascent without learning."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from baselines.binding import BoundPolicy
from baselines.policy import Solution
from ris_gym import variables as var


@dataclass(kw_only=True)
class _Generic:
    system: Any = field(repr=False)
    penalty: float | None = None
    control: str = "full"
    name: str = ""
    privileged: bool = False

    def __post_init__(self) -> None:
        if self.penalty is None:
            self.penalty = float(self.system.default_penalty)
        if self.control not in self.system.controls:
            raise ValueError(f"control must be one of {self.system.controls}, got {self.control!r}")

    def bind(self, env: Any) -> BoundPolicy:
        """Drive an environment with this policy."""
        return BoundPolicy(self, env)

    def _answer(self, known: Any, raw: np.ndarray, history: np.ndarray | None, begin: float) -> Solution:
        design = self.system.decode(known, raw, self.control)
        if self.control != "full":
            design = self.system.canonical(known, design)
        metrics = self.system.evaluate(known, design)
        objective = np.asarray(metrics.objective, dtype=float)
        return Solution(
            design=design,
            objective=objective,
            feasible=np.asarray(metrics.feasible),
            status=np.full(len(objective), "stopped"),
            history=objective[None] if history is None else history,
            seconds=time.perf_counter() - begin,
        )


@dataclass(kw_only=True)
class Random(_Generic):
    """A uniform raw action, decoded."""

    name: str = "random"

    def solve(self, known: Any, rng: np.random.Generator) -> Solution:
        """One random design per scene."""
        begin = time.perf_counter()
        size = var.length(self.system.variables(self.control))
        return self._answer(known, rng.uniform(-1.0, 1.0, (len(known), size)), None, begin)


@dataclass(kw_only=True)
class Gradient(_Generic):
    """Adam on the raw action through `decode`, from the start rule, maximising score - penalty * cost.

    `history` is the penalised score of the best iterate so far, which is also what is returned.

    Attributes:
        steps: gradient evaluations, as many as the horizon of `refine`.
        step_size: Adam's; chosen on validation scenes of `beampattern` (both presets, N = 32 and 64; flat from 0.03 to 0.05).
    """

    name: str = "gradient"
    steps: int = 16
    step_size: float = 0.04

    def __post_init__(self) -> None:
        super().__post_init__()
        if int(self.steps) != self.steps or self.steps < 1:
            raise ValueError(f"steps must be an integer of at least 1, got {self.steps!r}")
        if not self.step_size > 0:
            raise ValueError(f"step_size must be positive, got {self.step_size!r}")

    def solve(self, known: Any, rng: np.random.Generator) -> Solution:
        """`steps` steps for all scenes together; the best iterate of each is returned."""
        begin = time.perf_counter()
        periodic = var.periodic(self.system.variables(self.control))
        raw = np.asarray(self.system.start(known, self.control), dtype=float)
        first, second = np.zeros_like(raw), np.zeros_like(raw)
        best, level = raw, np.full(len(raw), -np.inf)
        history = []
        for step in range(1, self.steps + 1):
            value, slope = self.system.score_gradient(known, raw, self.control, self.penalty)
            best = np.where((value > level)[:, None], raw, best)
            level = np.maximum(level, value)
            history.append(level)
            first = 0.9 * first + 0.1 * slope
            second = 0.999 * second + 0.001 * slope**2
            rise = first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
            raw = var.move(periodic, raw, self.step_size * rise)
        metrics = self.system.evaluate(known, self.system.decode(known, raw, self.control))
        value = np.asarray(self.system.penalised(metrics, self.penalty), dtype=float)
        best = np.where((value > level)[:, None], raw, best)
        history.append(np.maximum(level, value))
        return self._answer(known, best, np.array(history), begin)
