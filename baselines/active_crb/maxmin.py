"""Beams of largest common SINR ratio and of smallest power demand at fixed phases, by uplink-downlink duality.

`max_min_beams`: max_W min_k SINR_k / gamma_k under the base station's budget. `demand`: the smallest share of both budgets at
which every SINR_k >= gamma_k can be had,

    min_W max(tr W W^H / P_0, tr(S W W^H) / P_1)  s.t.  SINR_k >= gamma_k   =   max_{0<=tau<=1} sum_k q_k(tau),

q(tau) the uplink powers in noise of covariance E(tau) = tau I / P_0 + (1 - tau) S / P_1. The transmit step (SDR5.1) is feasible
if and only if the demand is below 1.

Source: arXiv 2508.00379, initialisation of the alternation; model page, section 7.2; the demand is ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baselines.tools.linalg import Array, ComplexArray, abs2, herm

__all__ = ["Demand", "demand", "max_min_beams", "scale_to_surface"]

LARGE = 1e12
"""Demand of a scene without finite beams (parallel channels)."""


def max_min_beams(rows: ComplexArray, threshold: Array, power: float, *, iterations: int = 200) -> tuple[ComplexArray, Array]:
    """Beams of total power P_0 that maximise min_k SINR_k / gamma_k without sensing signal.

    Uplink fixed point q_k <- gamma_k (1 - x_k) / b_k, x_k = q_k b_k, b_k = [(Gram^-1 + diag q)^-1]_kk, scaled to sum q = P_0;
    downlink powers = dominant eigenvector of the extended coupling matrix. (The page's numerator gamma_k / (1 + gamma_k) is
    the same for equal gamma_k; this one balances unequal ones too.)

    Args:
        rows: (B, K, M), channels c_k / sqrt(n_k), used as c_k w.
        threshold: (K,) or (B, K), gamma_k, linear.
        power: P_0, W.
        iterations: at most this many rounds.

    Returns:
        Beams (B, M, K) and the smallest ratio (B,).
    """
    count, users, _ = rows.shape
    gamma = np.broadcast_to(np.asarray(threshold, dtype=float), (count, users))
    rows, sound = _sound(rows)
    gram = rows @ herm(rows)
    q = np.full((count, users), power / users)
    index = np.arange(users)
    for _ in range(iterations):
        level = _filtered(gram, q)[:, index, index].real
        new = gamma * np.maximum(1.0 - q * level, 1e-15) / np.maximum(level, 1e-300)
        new *= power / new.sum(1, keepdims=True)
        done = np.abs(new - q).max() <= 1e-12 * power
        q = new
        if done:
            break
    directions = herm(rows) @ herm(_coefficients(gram, q))
    directions /= np.sqrt(np.maximum(abs2(directions).sum(1, keepdims=True), 1e-300))
    gain = abs2(rows @ directions)
    own = np.maximum(gain[:, index, index], 1e-300)
    coupling = gain.copy()
    coupling[:, index, index] = 0.0
    top = np.concatenate([coupling, np.ones((count, users, 1))], axis=2) * (gamma / own)[..., None]
    extended = np.concatenate([top, top.sum(1, keepdims=True) / power], axis=1)
    values, vectors = np.linalg.eig(extended)
    lead = values.real.argmax(1)
    vector = vectors[np.arange(count), :, lead].real
    shares = np.abs(vector[:, :-1])
    p = shares * (power / np.maximum(shares.sum(1, keepdims=True), 1e-300))
    beams = directions * np.sqrt(p)[:, None, :]
    received = gain * p[:, None, :]
    signal = received[:, index, index]
    ratio = signal / (gamma * (1.0 + received.sum(2) - signal))
    return beams, np.where(sound, ratio.min(1), 0.0)


def scale_to_surface(beams: ComplexArray, surface: ComplexArray | None, budget: Array | None) -> ComplexArray:
    """Scale beams (B, M, K) down so that tr(S W W^H) <= P_1; `surface` (B, M, M) = S, `budget` (B,) = P_1 in W, or None."""
    if surface is None or budget is None:
        return beams
    used = np.einsum("bmk,bmk->b", beams.conj(), surface @ beams).real
    share = np.maximum(budget, 0.0) / np.maximum(used, 1e-300)
    return beams * np.sqrt(np.minimum(1.0, share))[:, None, None]


def _sound(matrices: ComplexArray) -> tuple[ComplexArray, NDArray[np.bool_]]:
    """The matrices with non-finite scenes set to a rectangular identity, and which scenes are finite."""
    sound = np.asarray(np.isfinite(matrices).all((1, 2)))
    if sound.all():
        return matrices, sound
    return np.where(sound[:, None, None], matrices, np.eye(*matrices.shape[1:])), sound


def _filtered(gram: ComplexArray, q: Array) -> ComplexArray:
    """C Z^-1 C^H (B, K, K) with Z = I + sum_k q_k c_k^H c_k, from the Gram matrix C C^H."""
    return _coefficients(gram, q, gram)


def _coefficients(gram: ComplexArray, q: Array, right: ComplexArray | None = None) -> ComplexArray:
    """(I + Gram diag q)^-1 right (right = I if None), through the Hermitian form, never singular."""
    root = np.sqrt(q)
    inner = root[:, :, None] * gram * root[:, None, :]
    index = np.arange(q.shape[1])
    inner[:, index, index] += 1.0
    # (I + G Q)^-1 = I - G Q^1/2 (I + Q^1/2 G Q^1/2)^-1 Q^1/2
    if right is None:
        right = np.broadcast_to(np.eye(q.shape[1], dtype=complex), gram.shape)
    return np.asarray(right - (gram * root[:, None, :]) @ np.linalg.solve(inner, root[:, :, None] * right))


@dataclass(frozen=True, kw_only=True)
class Demand:
    """Result of `demand`.

    Attributes:
        value: (B,), smallest share of the budgets; below 1 if and only if the transmit step is feasible.
        beams: (B, N, K), columns x_k of the optimal beams V x_k; both budgets are used to at most `value` (up to rounding).
        uplink: (B, K), multipliers q_k of the SINR constraints.
        tau: (B,), share of the base station's budget in E(tau); 1 - tau is that of the surface.
    """

    value: Array
    beams: ComplexArray
    uplink: Array
    tau: Array


def demand(
    channels: ComplexArray,
    surface: ComplexArray | None,
    threshold: Array,
    power: float,
    budget: Array | None = None,
    *,
    start: Array | None = None,
    tolerance: float = 1e-6,
    searches: int = 25,
) -> Demand:
    """Smallest share of both budgets at which the SINR thresholds can be met (exact, no relaxation).

    For given tau by policy iteration (receivers, then the powers they need): monotone and quadratic, from zero forcing. Then
    a bracketing secant method on the slope in tau, which is the difference of the two budgets' shares.

    Args:
        channels: (B, K, N), rows c_k V / sqrt(n_k).
        surface: (B, N, N), V^H S V (Hermitian positive definite), or None (base station's budget alone).
        threshold: (K,) or (B, K), gamma_k, linear.
        power: P_0, W.
        budget: (B,), P_1, W; a scene with P_1 <= 0 has demand `LARGE`.
        start: (B,), tau to try first (of a neighbouring point).
        tolerance: accepted difference of the two shares, relative to the value.
        searches: at most this many values of tau.

    Returns:
        A `Demand`.
    """
    count, users, n = channels.shape
    gamma = np.broadcast_to(np.asarray(threshold, dtype=float), (count, users))
    channels, sound = _sound(channels)
    if surface is not None:
        surface, sound_surface = _sound(surface)
        sound &= sound_surface
    if surface is None:
        levels, basis = np.ones((count, n)), np.broadcast_to(np.eye(n, dtype=complex), (count, n, n))
    else:
        room = np.asarray(budget, dtype=float)
        closed = room <= 0
        levels, basis = np.linalg.eigh(np.asarray(surface / np.where(closed, 1.0, room)[:, None, None], dtype=complex))
        levels = np.where(closed[:, None], LARGE / power, np.maximum(levels, 1e-300)) * power
    turned = channels @ basis * np.sqrt(power)  # base station's budget 1, surface's budget diag(levels)
    low, high = np.zeros(count), np.ones(count)
    slope_low, slope_high = np.full(count, np.inf), np.full(count, -np.inf)
    tau = np.ones(count) if start is None or surface is None else np.clip(start, 0.0, 1.0)
    value, uplink, best_tau = np.full(count, LARGE), np.zeros((count, users)), tau.copy()
    beams = np.zeros((count, n, users), complex)
    rows = np.arange(count)
    for search in range(searches if surface is not None else 1):
        at = tau[rows]
        q, x = _powers(turned[rows], levels[rows], gamma[rows], at)
        size = abs2(x).sum(2)
        first, second = size.sum(1), (size * levels[rows]).sum(1)
        slope = first - second
        value[rows], uplink[rows], best_tau[rows], beams[rows] = q.sum(1), q, at, x
        done = np.abs(slope) <= tolerance * q.sum(1)
        done |= ((at >= 1.0) & (slope >= 0)) | ((at <= 0.0) & (slope <= 0)) | ~np.isfinite(slope)
        up = slope > 0  # concave in tau: the maximum lies above
        low[rows[up]], slope_low[rows[up]] = at[up], slope[up]
        high[rows[~up]], slope_high[rows[~up]] = at[~up], slope[~up]
        rows = rows[~done]
        if not len(rows):
            break
        lo, hi, sl, sh = low[rows], high[rows], slope_low[rows], slope_high[rows]
        tried = np.isfinite(sl) & np.isfinite(sh)
        rise, fall = np.where(tried, sl, 1.0), np.where(tried, -sh, 1.0)
        secant = lo + (hi - lo) * rise / (rise + fall)
        margin = 0.02 * (hi - lo)
        bisect = tried & ((search % 3 == 2) | (hi - lo < 1e-14))
        step = np.where(bisect, 0.5 * (lo + hi), np.clip(secant, lo + margin * (search % 2), hi - margin * (search % 2)))
        # one end not tried yet: near a given start first, then the end itself
        near = 0.02 * 8.0**search
        step = np.where(np.isfinite(sl) & ~tried, np.minimum(lo + near, 1.0), step)
        step = np.where(np.isfinite(sh) & ~tried, np.maximum(hi - near, 0.0), step)
        tau[rows] = step
    value = np.where(sound & np.isfinite(value), np.minimum(value, LARGE), LARGE)
    beams = np.where(np.isfinite(beams), basis @ beams * np.sqrt(power), 0.0)
    return Demand(value=value, beams=beams, uplink=np.where(np.isfinite(uplink), uplink, 0.0), tau=best_tau)


def _powers(channels: ComplexArray, levels: Array, gamma: Array, tau: Array) -> tuple[Array, ComplexArray]:
    """Uplink powers (b, K) and downlink beams (b, N, K) at noise diag(tau + (1 - tau) levels)."""
    noise = tau[:, None] + (1.0 - tau)[:, None] * levels
    white = channels / np.sqrt(noise)[:, None, :]
    gram = white @ herm(white)
    users = gram.shape[1]
    index = np.arange(users)
    diagonal = np.maximum(gram[:, index, index].real, 1e-300)
    scale = 1.0 / np.sqrt(diagonal)
    unit = gram * scale[:, :, None] * scale[:, None, :]
    unit[:, index, index] = 1.0 + 1e-13
    receiver = np.linalg.inv(unit)  # zero forcing; the uplink powers here are in units of 1 / ||c_k||^2
    q = gamma * np.abs(receiver[:, index, index].real)
    for _ in range(12):
        filtered = herm(_coefficients(unit, q))
        coupling = abs2(unit @ filtered)  # [i, k]: power of user i in the receiver of k
        own = np.maximum(coupling[:, index, index], 1e-300)
        noise_power = np.maximum(np.einsum("bik,bij,bjk->bk", filtered.conj(), unit, filtered).real, 1e-300)
        matrix = -np.swapaxes(coupling, 1, 2) * (gamma / own)[..., None]
        matrix[:, index, index] = 1.0
        new = np.linalg.solve(matrix, (gamma * noise_power / own)[..., None])[..., 0]
        new = np.where((new > 0) & np.isfinite(new), new, q)
        still = np.abs(new - q).max() <= 1e-10 * np.abs(q).max()
        q = new
        if still:
            break
    filtered = herm(_coefficients(unit, q))
    directions = herm(white) * scale[:, None, :] @ filtered
    directions = directions / np.sqrt(np.maximum(abs2(directions).sum(1, keepdims=True), 1e-300))
    gain = abs2(white @ directions)
    own = np.maximum(gain[:, index, index], 1e-300)
    matrix = -gain * (gamma / own)[..., None]
    matrix[:, index, index] = 1.0
    p = np.linalg.solve(matrix, (gamma / own)[..., None])[..., 0]
    p = np.maximum(p, 0.0)
    return q * scale**2, directions * np.sqrt(p)[:, None, :] / np.sqrt(noise)[:, :, None]
