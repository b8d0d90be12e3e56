"""Pilots, belief and metrics of `anchor` (model page, part B). numpy only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import i0e

from ris_gym.arrays import abs2
from ris_gym.systems.anchor.codebook import codebook, response
from ris_gym.systems.anchor.records import AnchorDesign, AnchorMetrics, AnchorScene

if TYPE_CHECKING:
    from ris_gym.systems.anchor.system import Anchor

LEAST_GAIN = 1e-4
"""Floor of |g|^2 / N^2 (-40 dB) where its logarithm counts."""
CHUNK = 8192
"""Numbers worked on at a time: they stay in the cache."""
_SMALL = (1.0, 3.5156229, 3.0899424, 1.2067492, 0.2659732, 0.0360768, 0.0045813)
_LARGE = (0.39894228, 0.01328592, 0.00225319, -0.00157565, 0.00916281, -0.02057706, 0.02635537, -0.01647633, 0.00392377)


@dataclass(frozen=True)
class Tables:
    """Constants of a system in one precision: codewords (n, N), sqrt(S) of every codeword at the points psi_g, (n, G)."""

    coefficients: np.ndarray
    root: np.ndarray
    grid: np.ndarray


@lru_cache(maxsize=16)
def tables(system: Anchor, single: bool) -> Tables:
    """Computed once per system and precision."""
    v = codebook(system.num_elements, system.wide_codewords, system.codeword_iterations)
    root = math.sqrt(system.element_snr) * np.abs(v @ response(system.num_elements, system.grid).T)
    if single:
        return Tables(v.astype(np.complex64), root.astype(np.float32), system.grid.astype(np.float32))
    return Tables(v, root, system.grid)


def log_i0e(r: np.ndarray) -> np.ndarray:
    """`log(exp(-r) I0(r))`, r >= 0. Single precision: Abramowitz & Stegun 9.8.1, 9.8.2 (relative error of I0 below 2e-7)."""
    if r.dtype != np.float32:
        return np.asarray(np.log(i0e(r)))
    small = r < 3.75
    t = np.square(np.minimum(r, 3.75) / 3.75)
    near = _horner(_SMALL, t)
    far = np.maximum(r, 3.75)
    away = _horner(_LARGE, 3.75 / far)
    away /= np.sqrt(far)
    np.copyto(away, near, where=small)
    out = np.log(away, out=away)
    return np.subtract(out, r, out=out, where=small)


def _horner(coefficients: tuple[float, ...], t: np.ndarray) -> np.ndarray:
    out = np.full_like(t, coefficients[-1])
    for value in coefficients[-2::-1]:
        out *= t
        out += t.dtype.type(value)
    return out


def log_likelihood(power: np.ndarray, root: np.ndarray) -> np.ndarray:
    """`log p(z | S)` of z = `power` (B,) with sqrt(S) = `root` (B, G): `-(z + S) + log I0(2 sqrt(z S))`."""
    out = np.empty(root.shape, root.dtype)
    level = np.sqrt(power)[:, None]
    rows = max(1, CHUNK // root.shape[1])
    for first in range(0, len(root), rows):
        part = slice(first, first + rows)
        found = log_i0e(2.0 * level[part] * root[part])
        found -= np.square(level[part] - root[part])
        out[part] = found
    return out


def measured(system: Anchor, scene: AnchorScene, codeword: np.ndarray, row: np.ndarray) -> np.ndarray:
    """z (B,) of pilot `row` sent with a codeword: `|sqrt(S) exp(j phi) + n|^2`, `S = snr |g_w(psi)|^2`."""
    assert scene.direction is not None and scene.pilot_phase is not None and scene.pilot_noise is not None
    each = np.arange(len(row))
    amplitude = np.sqrt(system.element_snr * true_gain(system, scene.direction, codeword))
    phase, noise = scene.pilot_phase[each, row], scene.pilot_noise[each, row]
    power = (amplitude * np.cos(phase) + noise.real) ** 2 + (amplitude * np.sin(phase) + noise.imag) ** 2
    return np.asarray(power, phase.dtype)


def true_gain(system: Anchor, direction: np.ndarray, codeword: np.ndarray) -> np.ndarray:
    """`|g_w(psi)|^2` (B,), at most N^2."""
    chosen = tables(system, direction.dtype == np.float32).coefficients[codeword]
    return np.asarray(abs2(np, np.sum(chosen * response(system.num_elements, direction), axis=1)))


def ended(system: Anchor, scene: AnchorScene) -> np.ndarray:
    """(B,): all pilots are used, or the device has stopped."""
    row = np.minimum(scene.frame, system.num_pilots - 1)
    return np.asarray((scene.frame >= system.num_pilots) | (scene.codeword[np.arange(len(row)), row] == system.num_codewords))


@dataclass(frozen=True)
class Belief:
    """Posterior on the points (B, G), not normalised, its sum (B,), the mass of each beam (B, N), the entropy in bits (B,)."""

    weight: np.ndarray
    total: np.ndarray
    mass: np.ndarray
    entropy: np.ndarray


def belief(system: Anchor, log_posterior: np.ndarray) -> Belief:
    """Masses and entropy of a posterior."""
    weight = np.exp(log_posterior)
    total = weight.sum(axis=1)
    mass = beams(system, weight) / total[:, None]
    entropy = np.log(total) - np.vecdot(weight, log_posterior) / total
    return Belief(weight, total, mass, entropy / weight.dtype.type(math.log(2.0)))


def beams(system: Anchor, values: np.ndarray) -> np.ndarray:
    """Sums over the points of each beam, (B, G) -> (B, N)."""
    out = values[:, :: system.oversample].copy()
    for i in range(1, system.oversample):
        out += values[:, i :: system.oversample]
    return out


def play(system: Anchor, scene: AnchorScene, design: AnchorDesign, move: bool) -> tuple[AnchorMetrics, Any]:
    """Metrics of a decision, and with `move` the scene after it. Without a true direction: metrics before the pilot, no move."""
    real = scene.log_posterior.dtype.type
    over = ended(system, scene)
    stop = design.codeword >= system.num_codewords
    sends = ~over & ~stop
    row = np.minimum(scene.frame, system.num_pilots - 1)
    index = np.minimum(design.codeword, system.num_codewords - 1)
    known = scene.direction is None
    log_posterior, power = scene.log_posterior, None
    if not known:
        power = measured(system, scene, index, row)
        log_posterior = log_posterior + log_likelihood(power, tables(system, real is np.float32).root[index])
        if not sends.all():
            log_posterior[~sends] = scene.log_posterior[~sends]
        log_posterior -= log_posterior.max(axis=1, keepdims=True)
    after = belief(system, log_posterior)
    last = ~over & (stop | (scene.frame + 1 >= system.num_pilots))
    decision = np.argmax(after.mass, axis=1)
    decision = np.where((last | over) & (design.decision >= 0), design.decision, decision)
    objective, value, error = _judged(system, scene, after, decision)
    score = real(-system.pilot_cost) * sends
    if system.score_kind != "entropy":
        score = score + np.where(last, value, real(0.0))
    elif not known:
        before = belief(system, scene.log_posterior).entropy
        score = score + (before - after.entropy) / real(math.log2(system.num_elements))
    if error is not None:
        most = tables(system, real is np.float32).grid[np.argmax(log_posterior, axis=1)]
        error = np.abs(most - scene.direction)
    metrics = AnchorMetrics(
        objective=objective,
        score=score.astype(real, copy=False),
        cost=np.zeros_like(objective),
        feasible=np.ones(len(objective), bool),
        margins={},
        entropy_bits=after.entropy,
        pilots=scene.frame + (0 if known else sends),
        direction_error=error,
    )
    if known or not move:
        return metrics, scene
    assert power is not None
    each, told = np.arange(len(row)), ~over
    codewords, powers = scene.codeword.copy(), scene.power.copy()
    codewords[each, row] = np.where(told, np.where(stop, system.num_codewords, index), codewords[each, row])
    powers[each, row] = np.where(sends, power, powers[each, row])
    return metrics, scene.replace(
        log_posterior=log_posterior, codeword=codewords, power=powers, frame=scene.frame + sends
    )


def _judged(
    system: Anchor, scene: AnchorScene, after: Belief, decision: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Objective, value at the end, and a placeholder of the error (None without a true direction), (B,) each."""
    real = scene.log_posterior.dtype.type
    if scene.direction is None:
        objective = after.mass[np.arange(len(decision)), decision]
        if system.score_kind != "gain":
            return objective, objective, None
        finest = tables(system, real is np.float32).root[system.num_elements - 2 + decision]
        share = np.square(finest) / real(system.element_snr * system.num_elements**2)
        logs = np.log10(np.maximum(share, real(LEAST_GAIN)))
        return objective, np.vecdot(after.weight, logs) / after.total + real(1.0), None
    objective = (decision == system.beam(scene.direction)).astype(real)
    if system.score_kind != "gain":
        return objective, objective, objective
    share = true_gain(system, scene.direction, system.num_elements - 2 + decision) / real(system.num_elements**2)
    return objective, np.log10(np.maximum(share, real(LEAST_GAIN))) + real(1.0), objective
