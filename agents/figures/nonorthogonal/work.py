"""Units of work of the `nonorthogonal` figures: pure functions of JSON-able arguments.

All lines meet the same symbols: realisation i has the same 20 normal numbers in every figure, of which a block of T slots has the
first T (`symbols` is their hash), and a policy has the same random numbers in it, whatever the weight, the SNR, ...
"""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

import baselines
from agents.figures.work import chunk_of
from ris_gym.systems.nonorthogonal import sampler
from ris_gym.systems.nonorthogonal.estimator import estimate_frequencies, received

__all__ = ["SLOTS", "attained", "bound", "common_scenes", "solve"]

System = Mapping[str, Any]
Arrays = dict[str, np.ndarray]
SLOTS = 20
"""Slots for which symbols are drawn."""


def common_scenes(system: System, seed: int, first: int, stop: int) -> tuple[Any, Any, np.random.Generator, np.ndarray]:
    """System, realisations first..stop-1, the policies' generator at the first, and the hash of the symbols' normals."""
    import ris_gym

    model: Any = ris_gym.systems.from_dict(system)
    slots = max(SLOTS, model.num_slots)
    _, scene, rng, _ = chunk_of(dataclasses.replace(model, num_slots=slots).to_dict(), seed, first, stop)
    normals = (np.asarray(scene.symbols) - model.symbol_mean) / np.sqrt(model.symbol_variance)
    whole = np.rint(np.stack([normals.real, normals.imag]) * 2.0**20) + 0.0  # + 0.0: no negative zeros
    digest = hashlib.sha256(whole.astype("<f8").tobytes()).hexdigest()
    cut = scene.replace(symbols=scene.symbols[..., : model.num_slots])
    return model, sampler.finished(model, cut, "complex128"), rng, np.array(digest)


def solve(
    system: System, policy: str, options: Mapping[str, Any], seed: int, first: int, stop: int
) -> Arrays:
    """Designs of a policy for realisations first..stop-1, judged on the truth, or by the policy's own protocol where it has one.

    Args:
        system: `to_dict` of the system; policy, options: of `baselines.make`; seed: of scenes and policies.

    Returns:
        (n,) each: `information` (bit/symbol), `angle` (rad^2), `symbol` (mean bound of a symbol), `value`: V of the system,
        nan for policies with a protocol of their own; `seconds` of CPU time; `symbols`: hash.
    """
    model, scene, rng, digest = common_scenes(system, seed, first, stop)
    solver: Any = baselines.make(policy, model, **options)
    begin = time.process_time()
    solution = solver.solve(model.known(scene), rng)
    seconds = (time.process_time() - begin) / len(scene)
    if hasattr(solver, "evaluate_as"):
        found = solver.evaluate_as(scene, solution)
        value = np.full(len(scene), np.nan)
    else:
        metrics: Any = model.evaluate(scene, solution.design)
        found = {name: getattr(metrics, name) for name in ("mutual_information", "crlb_angle", "crlb_symbol")}
        value = np.asarray(metrics.objective)
    return {
        "symbols": digest,
        "information": np.asarray(found["mutual_information"]),
        "angle": np.asarray(found["crlb_angle"]),
        "symbol": np.asarray(found["crlb_symbol"]),
        "value": value,
        "seconds": np.full(len(scene), seconds),
    }


def bound(system: System, seed: int, first: int, stop: int) -> Arrays:
    """The certified lower bound of V, `value` (n,), -inf where none was found; `seconds` (n,) of CPU time; `symbols`: hash."""
    model, scene, _, digest = common_scenes(system, seed, first, stop)
    begin = time.process_time()
    found = baselines.bound(model, scene)
    seconds = (time.process_time() - begin) / len(scene)
    return {"symbols": digest, "value": np.asarray(found.value), "seconds": np.full(len(scene), seconds)}


def attained(system: System, policy: str, draws: int, seed: int, first: int, stop: int) -> Arrays:
    """Mean squared error of both angles by maximum likelihood with unknown complex symbols, against bounds.

    Args:
        policy: gives the phases; draws: of the receiver's noise per realisation.

    Returns:
        (n,) each, rad^2: `error`, mean over draws and both angles; `paper`, `complex`: the bounds by these Fisher matrices;
        `symbols`: hash.
    """
    model, scene, rng, digest = common_scenes(system, seed, first, stop)
    design = baselines.make(policy, model).solve(model.known(scene), rng).design  # type: ignore[attr-defined]
    noise = np.random.default_rng([seed, first, 1])
    error = np.zeros(len(scene))
    for n in range(len(scene)):
        row = np.full(draws, n)
        samples = received(model, scene[row], design[row], noise)
        k = sampler.directions(estimate_frequencies(model, samples))[:, 0]
        truth = np.asarray(scene.reference["direction"])[n, 0]
        error[n] = 0.5 * np.mean(np.sum(_apart(_angles(k), _angles(truth)) ** 2, axis=-1))
    moment = np.sum(design.coefficients[..., None] * scene.reference["products"], axis=-2)
    bounds = {kind: np.asarray(model.values(scene, moment, kind).crlb_angle)[:, 0] for kind in ("paper", "complex")}
    return {"symbols": digest, "error": error, **bounds}


def _angles(k: np.ndarray) -> np.ndarray:
    """gamma, phi (..., 2) of unit vectors k."""
    return np.stack([np.arcsin(k[..., 2]), np.arctan2(k[..., 1], k[..., 0])], axis=-1)


def _apart(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Differences of angles, in [-pi, pi)."""
    return np.asarray(np.mod(first - second + np.pi, 2.0 * np.pi) - np.pi)
