"""Derivatives of every gain and margin of `beampattern` for `control="full"` (model page, section 9.3), in numpy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ris_gym.arrays import abs2, energy
from ris_gym.systems.beampattern import beams as rules
from ris_gym.systems.beampattern.records import BeampatternMetrics, BeampatternScene

if TYPE_CHECKING:
    from ris_gym.systems.beampattern.system import Beampattern

LN10 = math.log(10.0)


def jacobian(
    system: Beampattern, known: BeampatternScene, raw: np.ndarray
) -> tuple[BeampatternMetrics, np.ndarray]:
    """Metrics of `decode(raw)` and the derivatives (B, L + K, n) of `log10 p_l` and `log10 SINR_k` (0 where floored or clipped).

    With `X` the rows of `[A; H]`, `Y = X F` and `g` the derivative with respect to a row of `Y` (`df = 2 Re<g, .>`):
    `df / d arg v_n = -2 Im(p_n sum_s conj(g_s) (G F)_ns)`, p the row's path per element, and `df / dF = conj(x) g^T`, x the row
    of `X`; then the radial part of the power scaling is projected out.
    """
    m, n, k, targets = system.num_antennas, system.num_elements, system.num_users, len(system.angles_deg)
    design = system.decode(known, raw, "full")
    metrics = system.evaluate(known, design)
    beams, v = design.all_beams, design.coefficients
    own, effective = rules.paths(system, known, v)
    at_rows = effective @ beams  # (B, L + K, C)
    at_targets = at_rows[:, :targets]
    floor = np.asarray(system.reference_dbm(known)).reshape(-1, 1) - 60.0
    gains = np.maximum(energy(np, at_targets), np.finfo(v.real.dtype).tiny)
    responses = np.empty_like(at_rows)
    responses[:, :targets] = at_targets * np.where(metrics.gains_dbm > floor, 1.0 / gains, 0.0)[..., None]
    responses[:, targets:] = _by_user(system, at_rows[:, targets:], metrics.margins["sinr"])
    responses *= v.real.dtype.type(1.0 / LN10)

    out = np.empty((len(raw), own.shape[1], raw.shape[1]), v.real.dtype)
    back = (responses.conj() @ beams.mT) @ known.bs_ris.mT
    back *= own
    np.multiply(back.imag, -2.0 * math.pi, out=out[..., :n])

    norm = np.sqrt(np.vecdot(raw[:, n:], raw[:, n:]))
    alive = norm >= rules.ZERO_NORM
    scale = np.where(alive, 2.0 * math.sqrt(system.power_w) / np.where(alive, norm, 1.0), 0.0).astype(norm.dtype)[:, None]
    radial = np.vecdot(at_rows, responses).real * (scale / system.power_w)
    responses *= scale[..., None]
    by_beams = np.conj(effective)[..., :, None] * responses[..., None, :]  # (B, L + K, M, C)
    by_beams -= radial[..., None, None] * beams[:, None]
    start = n
    for part in (by_beams[..., :k], by_beams[..., k:]):
        size = m * part.shape[-1]
        out[..., start : start + size].reshape(part.shape)[...] = part.real
        out[..., start + size : start + 2 * size].reshape(part.shape)[...] = part.imag
        start += 2 * size
    return metrics, out


def _by_user(system: Beampattern, at_users: np.ndarray, margins: np.ndarray) -> np.ndarray:
    """`g` of `ln SINR_k` with respect to row k of `Y`: `T_kk / |T_kk|^2` for the signal, `-Y_kj / D_k` for what disturbs."""
    k, columns = system.num_users, at_users.shape[-1]
    disturbing = np.ones((k, columns), bool)
    disturbing[np.arange(k), np.arange(k)] = False
    if system.cancel_sensing:
        disturbing[:, k:] = False
    power = abs2(np, at_users)
    own = np.eye(k, columns, dtype=bool)
    signal = np.sum(np.where(own, power, 0.0), axis=-1, keepdims=True)
    total = np.sum(np.where(disturbing, power, 0.0), axis=-1, keepdims=True) + system.noise_w
    alive = (margins > -40.0)[..., None]
    toward = np.where(alive, 1.0 / np.where(alive, signal, 1.0), 0.0)
    factor = np.where(own, toward, np.where(disturbing & alive, -1.0 / total, 0.0))
    return at_users * factor
