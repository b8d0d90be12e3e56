"""Numpy adjoint of the penalised score of `beampattern` for `control="full"` (model page, section 9.3), equal to torch's."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ris_gym.arrays import abs2
from ris_gym.systems.beampattern import beams as rules
from ris_gym.systems.beampattern.records import BeampatternScene

if TYPE_CHECKING:
    from ris_gym.systems.beampattern.system import Beampattern


def full(system: Beampattern, known: BeampatternScene, raw: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """Value (B,) and derivative (B, n) of score - penalty * cost with respect to the raw vector.

    With `B = G F`, `E = conj(S) (v B)`, `Y = conj(H_r) (v B) + conj(H_d) F` and `g_E`, `g_Y` the derivatives of the value
    (`df = 2 Re<g, .>`): `D = S^T g_E + H_r^T g_Y`, `df / d arg v_n = 2 Im sum_s conj(v_n B_ns) D_ns`,
    `g_F = G^H (conj(v) D) + H_d^T g_Y`, then the radial part of the power scaling is projected out.
    """
    m, n, k = system.num_antennas, system.num_elements, system.num_users
    design = system.decode(known, raw, "full")
    metrics = system.evaluate(known, design)
    value = system.penalised(metrics, penalty)
    beams, v = design.all_beams, design.coefficients[..., None]
    columns = beams.shape[-1]
    vb = v * (known.bs_ris @ beams)
    at_targets, at_users = rules.responses(system, np, known, design.coefficients, beams)
    batch = np.arange(len(raw))

    gains = np.sum(abs2(np, at_targets), axis=-1)
    worst = np.argmin(gains, axis=-1)
    floored = metrics.objective <= np.asarray(system.reference_dbm(known)) - 60.0
    slope = np.where(floored, 0.0, 1.0 / (math.log(10.0) * np.maximum(gains[batch, worst], 1e-300 if gains.dtype == np.float64 else 1e-37)))
    worst_response = at_targets[batch, worst] * slope[:, None].astype(gains.dtype)  # (B, C) = g_E of the worst row

    margins = metrics.margins["sinr"]
    active = (margins < 0.0) & (margins > -40.0)
    power = abs2(np, at_users)
    signal = np.einsum("bkk->bk", power[..., :k])
    disturbing = np.ones((k, columns), bool)
    disturbing[np.arange(k), np.arange(k)] = False
    if system.cancel_sensing:
        disturbing[:, k:] = False
    total = np.sum(np.where(disturbing, power, 0.0), axis=-1) + system.noise_w
    weight = np.where(active, penalty / math.log(10.0), 0.0)[..., None]
    with np.errstate(divide="ignore", invalid="ignore"):
        toward = np.where(active, 1.0 / signal, 0.0)[..., None]
    own = np.zeros((k, columns), bool)
    own[np.arange(k), np.arange(k)] = True
    factor = np.where(own, toward, np.where(disturbing, -1.0 / total[..., None], 0.0)) * weight
    g_y = (factor * at_users).astype(beams.dtype)

    row = system.steering.astype(beams.dtype)[worst]  # (B, N)
    d = row[..., None] * worst_response[:, None, :] + np.swapaxes(known.ris_user, 1, 2) @ g_y
    by_phase = 2.0 * np.sum((vb.conj() * d).imag, axis=-1)
    g_f = np.conj(np.swapaxes(known.bs_ris, 1, 2)) @ (v.conj() * d) + np.swapaxes(known.bs_user, 1, 2) @ g_y

    where = 2 * m * k
    stream = raw[:, n : n + where]
    raw_beams = (stream[:, : m * k] + 1j * stream[:, m * k :]).reshape(-1, m, k)
    stream = raw[:, n + where :]
    half = m * system.num_sensing_beams
    raw_sensing = (stream[:, :half] + 1j * stream[:, half:]).reshape(-1, m, system.num_sensing_beams)
    norm = rules.norms(np, np.concatenate([raw_beams, raw_sensing], axis=-1), (1, 2))
    alive = norm >= rules.ZERO_NORM
    unit = beams / math.sqrt(system.power_w)
    radial = np.sum((unit.conj() * g_f).real, axis=(1, 2), keepdims=True)
    g_raw = (g_f - unit * radial) * np.where(alive, math.sqrt(system.power_w) / np.where(alive, norm, 1.0), 0.0)
    flat = lambda a: np.concatenate([a.real.reshape(len(a), -1), a.imag.reshape(len(a), -1)], axis=1)  # noqa: E731
    gradient = np.concatenate([math.pi * by_phase, 2.0 * flat(g_raw[..., :k]), 2.0 * flat(g_raw[..., k:])], axis=1)
    return value, gradient
