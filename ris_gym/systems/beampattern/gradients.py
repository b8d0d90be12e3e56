"""Derivatives of every gain and margin of `beampattern` for `control="full"` (model page, section 9.3), in numpy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ris_gym.arrays import abs2
from ris_gym.systems.beampattern import beams as rules
from ris_gym.systems.beampattern.records import BeampatternMetrics, BeampatternScene

if TYPE_CHECKING:
    from ris_gym.systems.beampattern.system import Beampattern

LN10 = math.log(10.0)


def jacobian(
    system: Beampattern, known: BeampatternScene, raw: np.ndarray
) -> tuple[BeampatternMetrics, np.ndarray]:
    """Metrics of `decode(raw)` and the derivatives (B, L + K, n) of `log10 p_l` and `log10 SINR_k` (0 where floored or clipped).

    With `B = diag(v) G F`, `E = conj(S) B`, `Y = conj(H_r) B + conj(H_d) F`, rows `x` of `[S; H_r]` and `g` the derivative with
    respect to the row's response (`df = 2 Re<g, .>`): `df / d arg v_n = 2 Im(x_n sum_s g_s conj(B_ns))` and
    `df / dF = g_l g^T` with `g_l` the effective channel as a column; then the radial part of the power scaling is projected out.
    """
    m, n, k = system.num_antennas, system.num_elements, system.num_users
    design = system.decode(known, raw, "full")
    metrics = system.evaluate(known, design)
    beams, v = design.all_beams, design.coefficients
    at_targets, at_users = rules.responses(system, np, known, v, beams)
    tiny = np.finfo(at_targets.real.dtype).tiny
    by_target = at_targets / np.maximum(np.sum(abs2(np, at_targets), axis=-1, keepdims=True), tiny)
    floor = np.asarray(system.reference_dbm(known)).reshape(-1, 1) - 60.0
    by_target = np.where((metrics.gains_dbm > floor)[..., None], by_target, 0.0)
    by_user = _by_user(system, at_users, metrics.margins["sinr"])
    responses = (np.concatenate([by_target, by_user], axis=1) / LN10).astype(beams.dtype)  # (B, L + K, C)

    steering = np.broadcast_to(system.steering.astype(v.dtype), (len(raw), *system.steering.shape))
    rows = np.concatenate([steering, known.ris_user], axis=1)  # (B, L + K, N)
    reflected = v[..., None] * (known.bs_ris @ beams)
    by_phase = (2.0 * math.pi) * (rows * (responses @ np.conj(np.swapaxes(reflected, 1, 2)))).imag

    h, a = rules.effective_rows(system, np, known, v)
    columns = np.conj(np.concatenate([a, h], axis=1))  # effective channels, (B, L + K, M)
    by_beams = columns[..., :, None] * responses[..., None, :]  # (B, L + K, M, C)
    unit = beams / math.sqrt(system.power_w)
    radial = np.sum((unit.conj()[:, None] * by_beams).real, axis=(2, 3), keepdims=True)
    norm = np.sqrt(np.sum(raw[:, n:] ** 2, axis=1))
    alive = norm >= rules.ZERO_NORM
    scale = np.where(alive, 2.0 * math.sqrt(system.power_w) / np.where(alive, norm, 1.0), 0.0).astype(norm.dtype)
    by_beams = (by_beams - unit[:, None] * radial) * scale[:, None, None, None]

    out = np.empty((len(raw), rows.shape[1], raw.shape[1]), by_phase.dtype)
    out[..., :n] = by_phase
    start = n
    for part in (by_beams[..., :k], by_beams[..., k:]):
        size = m * part.shape[-1]
        out[..., start : start + size] = part.real.reshape(*part.shape[:2], size)
        out[..., start + size : start + 2 * size] = part.imag.reshape(*part.shape[:2], size)
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
