"""Units of work of the `vehicular` figures: optimal times of a frame, what sensing is worth, policies and bound over passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import baselines
import ris_gym
from agents.rollouts import rollout
from agents.scenes import generator, scene_hash
from baselines.vehicular import BENCHMARKS, allocation, benchmark

__all__ = ["NEES_LIMIT", "Watched", "bound", "follow", "passes", "payoff", "times"]

System = Mapping[str, Any]
Arrays = dict[str, np.ndarray]
NEES_LIMIT = 9.21
"""1 % point of the chi-square with 2 degrees of freedom."""


def times(
    system: System, position_m: Sequence[float], velocity_mps: float, position_std_m: float, velocity_std_mps: float, slots: str,
    thresholds_db: Sequence[float], grid: int, tolerance: float,
) -> Arrays:  # fmt: skip
    """Fig. 4: the optimum of each scheme (rows in the order of `BENCHMARKS`) at each threshold, nan where infeasible.

    Args:
        slots: `flexible` or `equal`; grid, tolerance: of `baselines.vehicular.allocation`.

    Returns:
        (4, G): `rate`, bit/s/Hz; `dedicated` = sum of tau; `least`: the dedicated time that the requirement takes alone, Gamma /
        f_k of every vehicle that nobody helps.
    """
    model = ris_gym.systems.from_dict(system)
    threshold = 10.0 ** (np.asarray(thresholds_db, float) / 10.0)
    out: dict[str, list[np.ndarray]] = {"rate": [], "dedicated": [], "least": []}
    for name in BENCHMARKS:
        scene = allocation.frame(benchmark(model, name), position_m, velocity_mps, position_std_m, velocity_std_mps)
        if slots == "flexible":
            found = allocation.flexible_slots(scene, thresholds_db, grid, tolerance)
        else:
            found = allocation.equal_slots(scene, thresholds_db, grid)
        alone = threshold[:, None] / (scene.full[:1] if scene.helped else scene.full)
        out["rate"].append(found.rate)
        out["dedicated"].append(found.dedicated.sum(axis=1))
        out["least"].append(np.where(np.isfinite(found.rate), alone.sum(axis=1), np.nan))
    return {name: np.stack(rows) for name, rows in out.items()}


def payoff(
    system: System, levels_db: Sequence[float], position_m: float, velocity_mps: float, position_std_m: Sequence[float],
    velocity_std_mps: float, least: float, count: int,
) -> Arrays:  # fmt: skip
    """When sensing pays: `share`, `gain`, `slope` of `allocation.sensing_payoff`, (levels, priors).

    Args:
        levels_db: added to `self_interference_db`. least, count: candidates are 0 and `count` geometric points from `least` to 1.
    """
    shares = np.concatenate([[0.0], np.geomspace(least, 1.0, count)])
    place = np.full(len(position_std_m), position_m)
    out: dict[str, list[np.ndarray]] = {"share": [], "gain": [], "slope": []}
    for level in levels_db:
        model = ris_gym.systems.from_dict({**system, "self_interference_db": system["self_interference_db"] + level})
        scene = allocation.frame(model, place, velocity_mps, np.asarray(position_std_m, float), velocity_std_mps)
        found = allocation.sensing_payoff(scene, shares)
        for name, rows in out.items():
            rows.append(getattr(found, name))
    return {name: np.stack(rows) for name, rows in out.items()}


# -- passes ---------------------------------------------------------------------------------------------------------------------


class Watched:
    """The system, with the position errors and the consistency of the frames that were played, frame by frame."""

    def __init__(self, system: Any) -> None:
        self._system = system
        self.error_m: list[np.ndarray] = []
        self.nees: list[np.ndarray] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._system, name)

    def step(self, *arguments: Any, **options: Any) -> Any:
        """As the system's; errors (B, K) of the frames that count are kept."""
        metrics, scene = self._system.step(*arguments, **options)
        if np.all(metrics.counted):
            self.error_m.append(np.asarray(metrics.position_error_m))
            self.nees.append(np.asarray(metrics.nees))
        return metrics, scene


def passes(system: System, seed: int, count: int) -> tuple[Any, Any, np.ndarray]:
    """System, `count` passes drawn with a seed, their hash."""
    model: Any = ris_gym.systems.from_dict(system)
    scene = model.sample(np.random.default_rng(seed), count)
    return model, scene, np.array(scene_hash(scene))


def follow(system: System, policy: str, options: Mapping[str, Any], seed: int, count: int) -> Arrays:
    """A policy over whole passes.

    Returns:
        Means over the frames that count (n,): `score` (J), `rate`, `cost`, `share` of time sensing, `met` (1 without a
        requirement), `squared_m2` of position, `nees`, `nees_high`: share above the 1 % point; `error_m` (n, T - 1, K);
        `scenes`: hash; `feasible` (n,): all met in every frame.
    """
    model, scene, digest = passes(system, seed, count)
    watched = Watched(model)
    solver: Any = baselines.make(policy, model, **options)
    found = rollout(watched, solver, scene, generator("policy", seed), model.default_penalty, name=policy)
    error, nees = np.stack(watched.error_m, axis=1), np.stack(watched.nees, axis=1)
    return {
        "scenes": digest,
        "score": found.score,
        "rate": found.objective,
        "cost": found.cost,
        "share": found.physical["time_sensing"],
        "met": found.physical.get("requirement_met", np.ones(count)),
        "squared_m2": np.mean(error**2, axis=(1, 2)),
        "nees": np.mean(nees, axis=(1, 2)),
        "nees_high": np.mean(nees > NEES_LIMIT, axis=(1, 2)),
        "error_m": error,
        "feasible": found.feasible,
    }


def bound(system: System, seed: int, count: int) -> Arrays:
    """The certified bound of J, `score` (n,), inf where none was found; `scenes`: hash; `feasible`: whether it is certified."""
    model, scene, digest = passes(system, seed, count)
    found = baselines.bound(model, scene)
    return {"scenes": digest, "score": np.asarray(found.value), "feasible": np.asarray(found.status) == "certified"}
