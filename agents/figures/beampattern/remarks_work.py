"""Units of work of the remarks: the rank of the optimal transmit covariance, and what one beam loses against it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

import baselines
from agents.figures.work import chunk_of
from agents.scenes import generator
from baselines.beampattern.information import information_step
from baselines.beampattern.joint import Joint
from baselines.beampattern.transmit import transmit_covariances
from baselines.beampattern.units import Scaled
from baselines.policy import scene_generators
from baselines.tools.randomisation import complex_normal

__all__ = ["end_points", "random_surfaces"]

FREE = 1e-12
"""Share of the reachable SNR that stands for no SNR constraint."""


def random_surfaces(
    system: Mapping[str, Any], level: float, seed: int, first: int, stop: int, starts: int
) -> dict[str, np.ndarray]:
    """`rank` at random surfaces where the required SNR is the part `level` of what the surface allows (0: no requirement)."""
    model, scene, rng, digest = chunk_of(system, seed, first, stop)
    angle = generator("policy", seed, 1).random((stop, model.num_elements))[first:]
    v = np.exp(2j * np.pi * angle)
    scaled = Scaled.of(model, model.known(scene))
    reach = (np.abs(scaled.rows(v)[0]) ** 2).sum((1, 2))
    factor = 1.0 / np.sqrt(np.maximum(level, FREE) * reach)[:, None, None]
    scaled = dataclasses.replace(scaled, ris_user=scaled.ris_user * factor, bs_user=scaled.bs_user * factor)
    return {"scenes": digest, **rank(model, scaled, v, scene_generators(rng, len(scene)), starts)}


def end_points(
    system: Mapping[str, Any],
    policy: str,
    options: Mapping[str, Any],
    seed: int,
    first: int,
    stop: int,
    starts: int,
) -> dict[str, np.ndarray]:
    """`rank` at the surfaces where a policy ends, with the system's required SNR."""
    model, scene, rng, digest = chunk_of(system, seed, first, stop)
    known = model.known(scene)
    solution = baselines.make(policy, model, **options).solve(known, rng)
    scaled = Scaled.of(model, known)
    found = rank(model, scaled, np.asarray(solution.design.coefficients), scene_generators(rng, len(scene)), starts)
    return {"scenes": digest, **found}


def rank(model: Any, scaled: Scaled, v: np.ndarray, generators: list[np.random.Generator], starts: int) -> dict[str, np.ndarray]:
    """The optimal covariance R of the transmit step at v (n, N), and the best single beam found there.

    The single beam is the best of 1000 Gaussian draws from R, the principal eigenvector and R h, then of an ascent over w from
    `starts` points (that best beam, the principal eigenvector, draws from R).

    Returns:
        `ratio` second over first eigenvalue of R (n,), `loss` dB of the best beam against R (n,), `feasible` (n,).
    """
    user, target = scaled.rows(v)
    covariance, feasible, _ = transmit_covariances(scaled, user, target)
    covariance = covariance[:, 0]
    values, vectors = np.linalg.eigh(covariance)
    with_r = np.einsum("blm,bmn,bln->bl", target, covariance, target.conj()).real.min(-1)
    best, gain, _ = information_step(scaled, v, generators)
    beams = [best[..., :1], vectors[..., -1:]]
    root = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
    for _ in range(starts - 2):
        beams.append(root @ np.stack([complex_normal(g, (root.shape[-1], 1)) for g in generators]))
    count = len(v)
    w = np.concatenate(beams[:starts])
    copies = np.tile(np.arange(count), len(beams[:starts]))  # all starts of all scenes in one ascent
    ascent: Any = Joint(system=model, information_only=True)
    _, value, met = ascent.transmit(scaled[copies], v[copies], [], w / np.linalg.norm(w, axis=1, keepdims=True))
    gain = np.maximum(gain, np.where(met, value, 0.0).reshape(-1, count).max(0))
    return {
        "ratio": np.maximum(values[:, -2], 0.0) / values[:, -1],
        "loss": 10.0 * np.log10(np.maximum(with_r, 1e-300) / np.maximum(gain, 1e-300)),
        "feasible": feasible,
    }
