"""Units of work of `reciprocity-extensions`: policies over whole passes, with what a radar sees of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import baselines
from agents.figures.vehicular.work import passes
from agents.rollouts import rollout
from agents.scenes import generator

__all__ = ["Parted", "played"]


class Parted:
    """The system, with the parts of the cost of the frames that were played."""

    def __init__(self, system: Any) -> None:
        self._system = system
        self.parts: dict[str, list[np.ndarray]] = {"short": [], "seen": [], "exposed": []}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._system, name)

    def step(self, *arguments: Any, **options: Any) -> Any:
        """As the system's; of the frames that count, means over the vehicles (B,) are kept."""
        metrics, scene = self._system.step(*arguments, **options)
        if np.all(metrics.counted):
            for name, margin in (("short", "sensing"), ("seen", "radar")):
                level = np.asarray(metrics.margins.get(margin, np.zeros_like(metrics.rate)))
                self.parts[name].append(np.maximum(0.0, 1.0 - 10.0 ** (0.1 * level)).mean(axis=1))
                if margin == "radar":
                    self.parts["exposed"].append((level < 0.0).mean(axis=1))
        return metrics, scene


def played(system: Mapping[str, Any], policy: str, options: Mapping[str, Any], seed: int, count: int) -> dict[str, np.ndarray]:
    """A policy over whole passes; arguments as `work.follow`.

    Returns:
        Means over the frames that count (n,): `score` (J), `rate`, `short`, `seen`: cost of the requirement and of the radar,
        `exposed`: share of vehicles and frames with `gamma_e > gamma_max`, `share` of time sensing, `met`, `squared_m2` of
        position; `scenes`: hash.
    """
    model, scene, digest = passes(system, seed, count)
    watched = Parted(model)
    solver: Any = baselines.make(policy, model, **options)
    found = rollout(watched, solver, scene, generator("policy", seed), model.default_penalty, name=policy)
    return {
        "scenes": digest,
        "score": found.score,
        "rate": found.objective,
        "share": found.physical["time_sensing"],
        "met": found.physical.get("requirement_met", np.ones(count)),
        "squared_m2": found.physical["position_error_m2"].mean(axis=1),
        **{name: np.mean(values, axis=0) for name, values in watched.parts.items()},
    }
