"""Policy `align` of the system `toy`: phases aligned with the channel, then the least power; with one phase alphabet, rounded."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from baselines.binding import BoundPolicy
from baselines.policy import Bound, Solution
from baselines.registry import register, register_bound
from toy.system import ToyDesign


class Align:
    """`v = exp(-j arg h)`, in closed form."""

    name = "align"
    privileged = False

    def __init__(self, system: Any, penalty: float | None = None) -> None:
        self.system, self.penalty = system, penalty

    def solve(self, known: Any, rng: np.random.Generator) -> Solution:
        """One design per scene."""
        begin = time.perf_counter()
        aligned = ToyDesign(coefficients=np.exp(-1j * np.angle(known.ris_user)), power=np.zeros(len(known)))
        v = self.system.project(known, aligned).coefficients
        design = ToyDesign(coefficients=v, power=self.system.least_power(known, v))
        metrics = self.system.evaluate(known, design)
        return Solution(
            design=design,
            objective=np.asarray(metrics.objective, float),
            feasible=np.asarray(metrics.feasible),
            status=np.where(metrics.feasible, "optimal", "infeasible"),
            history=np.asarray(metrics.objective, float)[None],
            seconds=time.perf_counter() - begin,
        )

    def bind(self, env: Any) -> BoundPolicy:
        """Drive an environment."""
        return BoundPolicy(self, env)


def _bound(system: Any, scene: Any) -> Bound:
    value = system.optimum_db(scene)
    infeasible = np.isinf(value)
    return Bound(value=np.where(infeasible, system.range_db, value), status=np.where(infeasible, "infeasible", "certified"))


register("align", "toy", Align)
register_bound("toy", _bound)
