"""Policies for every system: uniform random actions, and ascent of the penalised score without learning."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from baselines.binding import BoundPolicy
from baselines.finish import finish
from baselines.policy import Solution
from ris_gym import variables as var
from ris_gym.systems.ascent import prox_linear


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

    def solve(self, known: Any, rng: np.random.Generator) -> Solution:
        """Designs for the scenes of `known`."""
        raise NotImplementedError

    def bind(self, env: Any) -> BoundPolicy:
        """Drive an environment with this policy."""
        return BoundPolicy(self, env)

    def _answer(self, known: Any, raw: np.ndarray, history: np.ndarray | None, begin: float) -> Solution:
        design = self.system.decode(known, raw, self.control)
        if history is not None:
            assert self.penalty is not None
            design = finish(self.system, known, design, self.penalty)
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
            history_of="objective" if history is None else "score",
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
class _Ascent(_Generic):
    """A fixed number of steps on the raw vector from the start rule; the best iterate by penalised score, after `finish`."""

    steps: int = 16
    step_size: float = 0.04

    def __post_init__(self) -> None:
        super().__post_init__()
        if int(self.steps) != self.steps or self.steps < 1:
            raise ValueError(f"steps must be an integer of at least 1, got {self.steps!r}")
        if not self.step_size > 0:
            raise ValueError(f"step_size must be positive, got {self.step_size!r}")

    def _rises(self, known: Any) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """A function of the raw vectors (B, n) to their penalised scores (B,) and the next increments (B, n)."""
        raise NotImplementedError

    def solve(self, known: Any, rng: np.random.Generator) -> Solution:
        """`steps` steps for all scenes together; `history` is the penalised score of the best iterate so far."""
        begin = time.perf_counter()
        periodic = var.periodic(self.system.variables(self.control))
        rises = self._rises(known)
        raw = np.asarray(self.system.start(known, self.control), dtype=float)
        best, level = raw, np.full(len(raw), -np.inf)
        history = []
        for _ in range(self.steps):
            value, increment = rises(raw)
            best = np.where((value > level)[:, None], raw, best)
            level = np.maximum(level, value)
            history.append(level)
            raw = var.move(periodic, raw, increment)
        metrics = self.system.evaluate(known, self.system.decode(known, raw, self.control))
        value = np.asarray(self.system.penalised(metrics, self.penalty), dtype=float)
        best = np.where((value > level)[:, None], raw, best)
        history.append(np.maximum(level, value))
        return self._answer(known, best, np.array(history), begin)


@dataclass(kw_only=True)
class Gradient(_Ascent):
    """Adam on the raw action through `decode`, maximising score - penalty * cost. No learning.

    Attributes:
        steps: gradient evaluations, as many as the horizon of `refine`.
        step_size: Adam's; chosen on validation scenes of `beampattern` (both presets, N = 32 and 64; flat from 0.03 to 0.05).
    """

    name: str = "gradient"

    def _rises(self, known: Any) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
        first, second, count = 0.0, 0.0, 0

        def rise(raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            nonlocal first, second, count
            value, slope = self.system.score_gradient(known, raw, self.control, self.penalty)
            count += 1
            first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2
            scaled = first / (1 - 0.9**count) / (np.sqrt(second / (1 - 0.999**count)) + 1e-8)
            return value, self.step_size * scaled

        return rise


@dataclass(kw_only=True)
class ProxLinear(_Ascent):
    """Prox-linear ascent: each step ascends the linearised penalised score minus ||d||^2 / (2 step_size). No learning.

    What the local frame of an observation shows of a design, applied as it is: the baseline that says what an agent in that
    frame has learned beyond it.

    Attributes:
        step_size: length of the step (score per squared unit of raw action); limit: largest change of one number.
            Both were chosen on validation scenes of `beampattern`.
        iterations: of the inner solver; enough to reach the maximiser (an environment's local frame shows fewer).
    """

    name: str = "prox_linear"
    step_size: float = 1.5
    limit: float = 0.25
    iterations: int = 60

    def _rises(self, known: Any) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
        assert self.penalty is not None
        penalty = float(self.penalty)

        def rise(raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            score, slack, jacobian = self.system.pieces_jacobian(known, raw, self.control)
            value = score.min(axis=1) - penalty * np.clip(-slack, 0.0, None).sum(axis=1)
            step = prox_linear(score, slack, jacobian, penalty, np.array([self.step_size]), self.iterations)[:, 0]
            return value, np.clip(step, -self.limit, self.limit)

        return rise
