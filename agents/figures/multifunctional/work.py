"""Units of work of the `multifunctional` figures: pure functions of JSON-able arguments.

All kinds of surface, budgets, rates and numbers of sensors meet the same scenes: positions, target phases and the channels of
users and base station do not depend on them (`scenes` is the hash of these). A scene has its own seed for each start of a policy,
so neither chunks nor their order matter.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

import baselines
from agents.figures.work import chunk_of
from agents.scenes import generator, scene_hash
from ris_gym.systems.multifunctional.pattern import beampattern_dbm, seen_angles_deg

__all__ = ["bound", "history", "pattern", "solve"]

System = Mapping[str, Any]
Arrays = dict[str, np.ndarray]
LEVELS = {"sum": "sum_sinr_db", "mean": "mean_sinr_db", "min": "min_sinr_db", "echo": "echo_sinr_db"}
"""Names of arrays -> fields of the metrics, dB."""


def _hash(scene: Any) -> np.ndarray:
    """Hash of the channels that every kind of surface has."""
    return np.array(scene_hash(scene.replace(bs_sensor=None, bs_sensor_los=None, sensor_steering=None)))


class Streams:
    """What a policy asks of a generator, one number per scene: here for scenes first..stop-1, once per start, in this order.

    A scene has a number of its own for each start, so neither chunks nor the number of starts change a result.
    """

    def __init__(self, seed: int, starts: int, first: int, stop: int) -> None:
        streams = [generator("policy", seed, start) if start else generator("policy", seed) for start in range(starts)]
        self._numbers = np.concatenate([rng.integers(0, 2**63, size=stop)[first:] for rng in streams])
        self._rest = np.random.default_rng(self._numbers)

    def integers(self, low: int, high: int, size: int | None = None) -> Any:
        """The numbers of all scenes if so many are asked for, else others."""
        return self._numbers if size == len(self._numbers) else self._rest.integers(low, high, size=size)


def _rounds(history: np.ndarray) -> np.ndarray:
    """Number of the last round (n,) that changed the objective, of histories (rounds + 1, n)."""
    moved = np.abs(np.diff(history, axis=0, prepend=history[:1])) > 0
    return np.where(moved.any(0), len(moved) - 1 - np.argmax(moved[::-1], axis=0), 0)


def _memory(memory: Mapping[str, np.ndarray] | None, objective: np.ndarray) -> Arrays:
    """What `sdr` tells, per scene: what truncating the sensing streams costs, ranks, loss of the randomisation (dB)."""
    if not memory:
        return {}
    ranks, losses = memory["coefficient_rank"], memory["randomisation_loss"]
    return {
        "truncation": memory["full_objective"] - objective,
        "sensing_rank": np.asarray(memory["sensing_rank"], float),
        "coefficient_rank": _mean(ranks.max(2)),
        "randomisation": _mean(losses),
    }


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean (n,) of the finite values of (rounds, n); nan without."""
    finite = np.isfinite(values)
    total = np.where(finite, values, 0.0).sum(0)
    return np.where(finite.any(0), total / np.maximum(finite.sum(0), 1), np.nan)


def solve(
    system: System, policy: str, options: Mapping[str, Any], starts: int, seed: int, first: int, stop: int
) -> dict[str, np.ndarray]:
    """The best design of `starts` starts of one policy for scenes first..stop-1: a feasible one before others, then by objective.

    Args:
        system: `to_dict` of the system; policy, options: of `baselines.make`; seed: of scenes and policies.

    Returns:
        `sum`, `mean`, `min` (n,) and `echo` (n, 2) in dB, `feasible` (n,), `tries` and `served` (n, starts): objectives and
        feasibility of the starts, `rounds` (n,) of the one that was kept, `seconds` (n,) of CPU time per start; for `sdr` with a
        single start its losses; `scenes`: hash.
    """
    model, scene, _, _ = chunk_of(system, seed, first, stop)
    solver: Any = baselines.make(policy, model, **options)
    count = len(scene)
    many = scene[np.tile(np.arange(count), starts)]
    begin = time.process_time()
    solution = solver.solve(model.known(many), Streams(seed, starts, first, stop))
    seconds = (time.process_time() - begin) / len(many)
    metrics: Any = model.evaluate(many, solution.design)
    found = {name: np.asarray(getattr(metrics, field)) for name, field in LEVELS.items()}
    found |= {"feasible": np.asarray(metrics.feasible), "rounds": _rounds(solution.history).astype(float)}
    tries, served = (np.asarray(part).reshape(starts, count).T for part in (metrics.objective, metrics.feasible))
    pick = np.argmax(np.where(served, tries, tries - 1e6), axis=1) * count + np.arange(count)
    kept = {name: values[pick] for name, values in found.items()}
    memory = _memory(solution.memory, solution.objective) if starts == 1 else {}
    return {"scenes": _hash(scene), **kept, "tries": tries, "served": served, "seconds": np.full(count, seconds), **memory}


def bound(system: System, seed: int, first: int, stop: int) -> Arrays:
    """The certified bound `value` (n,) in the unit of the objective; `feasible` (n,): certified; `scenes` as in `solve`."""
    model, scene, _, _ = chunk_of(system, seed, first, stop)
    found = baselines.bound(model, scene)
    return {
        "scenes": _hash(scene),
        "value": np.asarray(found.value),
        "feasible": np.asarray(found.status == "certified"),
    }


def history(system: System, options: Mapping[str, Any], seed: int, first: int, stop: int) -> Arrays:
    """Objective of `ao` after each round, one start.

    Returns:
        `history` (rounds + 1, n), `rounds` (n,) until the last change, `feasible` (n,), `scenes`.
    """
    model, scene, rng, _ = chunk_of(system, seed, first, stop)
    solver: Any = baselines.make("ao", model, **options)
    solution = solver.solve(model.known(scene), rng)
    return {
        "scenes": _hash(scene),
        "feasible": np.asarray(solution.feasible),
        "history": np.asarray(solution.history),
        "rounds": _rounds(solution.history).astype(float),
    }


def _peaks(power: np.ndarray) -> np.ndarray:
    """Where a grid (elevation, azimuth) is a local maximum among its eight neighbours."""
    wide = np.pad(power, 1, constant_values=-np.inf)
    rows, columns = power.shape
    shifts = [(i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    return np.asarray(np.all([power >= wide[i : i + rows, j : j + columns] for i, j in shifts], axis=0))


def pattern(
    system: System, options: Mapping[str, Any], starts: int, step: float, seed: int, first: int, stop: int
) -> dict[str, np.ndarray]:
    """Beampatterns of the best of `starts` starts of `ao` on a grid of `step` degrees.

    Returns:
        `pattern` (1, 2, E, A) dBm of scene `first` alone, float32; per scene and target (n, L): `level` dBm, `excess` over the
        median of its half-space (dB), `stronger` the share of directions of its half-space that get more, `distance` to the
        nearest local maximum that is not below the median (degrees of arc); `rate` (n,) the smallest, bit/s/Hz; `feasible` (n,);
        `angles` (n, K + L, 2) elevation and azimuth of users and targets, `echo` (n, 2) dB; `scenes`.
    """
    model, scene, rng, _ = chunk_of(system, seed, first, stop)
    solver: Any = baselines.make("ao", model, starts=starts, **options)
    solution = solver.solve(model.known(scene), rng)
    metrics: Any = model.evaluate(scene, solution.design)
    users, targets = seen_angles_deg(model, scene)
    line = np.linspace(-90.0, 90.0, round(180.0 / step) + 1)
    elevation, azimuth = line[:, None], line[None, :]
    count, side = len(scene), model.target_side
    level, excess, stronger, distance = (np.zeros((count, len(side))) for _ in range(4))
    shown = np.zeros((0, 2, len(line), len(line)), np.float32)
    for n in range(count):
        one, design = scene[n : n + 1], solution.design[n : n + 1]
        power = beampattern_dbm(model, one, design, elevation, azimuth)[0]
        if not n:
            shown = power[None].astype(np.float32)
        for target, (phi, theta) in enumerate(targets[n]):
            half = power[side[target]]
            level[n, target] = beampattern_dbm(model, one, design, phi, theta)[0, side[target]]
            excess[n, target] = level[n, target] - np.median(half)
            stronger[n, target] = np.mean(half > level[n, target])
            distance[n, target] = _arc(half, line, phi, theta)
    return {
        "scenes": _hash(scene),
        "pattern": shown,
        "level": level,
        "excess": excess,
        "stronger": stronger,
        "distance": distance,
        "rate": np.asarray(metrics.rate).min(1, initial=np.inf),
        "feasible": np.asarray(metrics.feasible),
        "echo": np.asarray(metrics.echo_sinr_db),
        "angles": np.concatenate([users, targets], axis=1),
    }


def _arc(half: np.ndarray, line: np.ndarray, elevation: float, azimuth: float) -> float:
    """Degrees of arc from a direction to the nearest local maximum of a half-space (E, A) that is not below its median."""
    i, j = np.nonzero(_peaks(half) & (half >= np.median(half)))
    e, a = np.deg2rad(line[i]), np.deg2rad(line[j])
    phi, theta = np.deg2rad(elevation), np.deg2rad(azimuth)
    cosine = np.sin(e) * np.sin(phi) + np.cos(e) * np.cos(phi) * np.cos(a - theta)
    return float(np.rad2deg(np.arccos(np.clip(cosine.max(), -1.0, 1.0))))
