"""Units of work of `anchor-hit-rate`: searches in common worlds, read after several numbers of pilots.

All policies meet the same directions, phases and noises, whatever the number of pilots and the SNR: worlds are drawn with `most`
pilots, of which a search uses the first. No policy but `descent` depends on how many pilots follow, so one search of the longest
length shows what shorter ones would have found.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import baselines
import ris_gym
from agents.figures.work import chunk_of
from agents.scenes import generator

__all__ = ["announced", "bound", "searched", "worlds"]

Arrays = dict[str, np.ndarray]


def worlds(
    system: Mapping[str, Any], most: int, seed: int, first: int, stop: int
) -> tuple[Any, Any, np.random.Generator, np.ndarray]:
    """System, directions first..stop-1 with its number of pilots, the policies' generator, and the hash of the worlds.

    Raises:
        ValueError: the system has more than `most` pilots.
    """
    model: Any = ris_gym.systems.from_dict(system)
    if model.num_pilots > most:
        raise ValueError(f"num_pilots must be at most {most}, got {model.num_pilots}")
    longest = dataclasses.replace(model, num_pilots=most, allow_stop=False)
    _, scene, _, digest = chunk_of(longest.to_dict(), seed, first, stop)
    pilots = ("pilot_phase", "pilot_noise", "codeword", "power")
    cut = {name: np.asarray(getattr(scene, name))[:, : model.num_pilots] for name in pilots}
    return model, scene.replace(**cut), generator("policy", seed, first + 1), digest


def searched(
    system: Mapping[str, Any],
    policy: str,
    options: Mapping[str, Any],
    pilots: Sequence[int],
    most: int,
    seed: int,
    first: int,
    stop: int,
) -> Arrays:
    """A policy that decides by the posterior.

    Args:
        system: `to_dict` of the system; `num_pilots` of at least the largest of `pilots`.
        policy, options: of `baselines.make`; most: pilots that worlds are drawn with; seed: of worlds and policies.

    Returns:
        `hit` (P, n): 1 where the beam of largest mass after that many pilots is the right one; `error` (P, n): |most likely psi -
        psi|; `seconds` (n,) of the policy's CPU time per pilot; `scenes`: hash.
    """
    model, scene, rng, digest = worlds(system, most, seed, first, stop)
    solver: Any = baselines.make(policy, model, **options)
    solver.solve(model.known(scene), np.random.default_rng(0))  # tables are made before the clock starts
    hit, error, seconds, count = [], [], 0.0, max(pilots)
    for t, numbers in enumerate(rng.spawn(count), 1):
        known = model.known(scene)
        begin = time.process_time()
        design = solver.solve(known, numbers).design
        seconds += time.process_time() - begin
        metrics, scene = model.step(scene, design, numbers)
        if t in pilots:
            hit.append(np.asarray(metrics.objective, float))
            error.append(np.asarray(metrics.direction_error, float))
    each = seconds / (count * len(scene))
    return {"scenes": digest, "hit": np.stack(hit), "error": np.stack(error), "seconds": np.full(len(scene), each)}


def announced(
    system: Mapping[str, Any], policy: str, options: Mapping[str, Any], most: int, seed: int, first: int, stop: int
) -> Arrays:
    """A policy that announces a beam of its own after `num_pilots` pilots.

    It needs one decision after its last pilot: here the device may stop, with one pilot more than it uses.

    Returns:
        As `searched`, with P = 1; `error`: from the centre of the announced beam, since the policy has no other estimate.

    Raises:
        RuntimeError: a search used another number of pilots.
    """
    count = int(system["num_pilots"])
    model, scene, rng, digest = worlds({**system, "num_pilots": count + 1, "allow_stop": True}, most, seed, first, stop)
    solver: Any = baselines.make(policy, model, stop_mass=1.0, **options)
    seconds = 0.0
    for numbers in rng.spawn(count + 1):
        known = model.known(scene)
        begin = time.process_time()
        design = solver.solve(known, numbers).design
        seconds += time.process_time() - begin
        metrics, scene = model.step(scene, design, numbers)
    if np.any(np.asarray(metrics.pilots) != count) or np.any(design.decision < 0):
        raise RuntimeError(f"{policy}: a search did not announce its beam after {count} pilots")
    centre = -1.0 + (2.0 * design.decision + 1.0) / model.num_elements
    return {
        "scenes": digest,
        "hit": np.asarray(metrics.objective, float)[None],
        "error": np.abs(centre - np.asarray(scene.direction))[None],
        "seconds": np.full(len(scene), seconds / (count * len(scene))),
    }


def bound(system: Mapping[str, Any], pilots: Sequence[int]) -> Arrays:
    """Fano's bound of the mean hit rate with each number of pilots, `value` (P,)."""
    models = [ris_gym.systems.from_dict({**system, "num_pilots": count}) for count in pilots]
    return {"value": np.array([float(baselines.bound(model, None).value) for model in models])}
