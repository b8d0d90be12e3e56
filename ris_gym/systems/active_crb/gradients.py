"""Derivatives of the score and every margin of `active_crb` for `full` and `structured`, in numpy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ris_gym.arrays import SINGLE, abs2, herm
from ris_gym.systems.active_crb import beams as rules
from ris_gym.systems.active_crb import features, physics, zero_forcing
from ris_gym.systems.active_crb.records import ActiveCrbScene

if TYPE_CHECKING:
    from ris_gym.systems.active_crb.system import ActiveCrb

LN10 = math.log(10.0)
Pieces = tuple[np.ndarray, np.ndarray, np.ndarray]


def jacobian(
    system: ActiveCrb,
    known: ActiveCrbScene,
    raw: np.ndarray,
    control: str,
    general: Callable[[ActiveCrbScene, np.ndarray, str], Pieces],
    made: rules.Realised | None = None,
) -> Pieces:
    """Pieces (B, 2) (passive: (B, 1)), (B, K) of `decode(raw)` and their derivatives (B, P, n).

    With `d = 2 Re<g, dF>` for the gradient g of a piece at the scaled beams `F = scale F_raw`, and e its derivative with respect
    to the logarithm of the power: `d piece = scale 2 Re<g, dF_raw> + e d ln(power) + (direct part of v)`. Score:
    `g = G^H B^-1 A^-2 B^-1 X / (S_1 ln 10)`, `B = X X^H`, S_1 and S_2 the two sums of the CRB. Where the floor acts, `general`
    (automatic differentiation) answers instead. `structured` beams lie in the row space of G: there F stands for `V^H F`.

    Args:
        made: `beams.realised` of `raw`, where it is known.
    """
    made = rules.realised(system, known, raw, control) if made is None else made
    score, slack = system.pieces(made.evaluate(system, known))
    users, budgets = slack.shape[1], score.shape[1]
    pieces = budgets + users
    v, x, f, through = made.design.coefficients, made.x, made.design.all_beams, known.bs_ris
    if control == "structured":
        assert known.reference is not None
        f, through = herm(np, known.reference["basis"]) @ f, through @ known.reference["basis"]
    gain = abs2(np, v)
    count, n, columns = x.shape
    real = gain.dtype
    by_x = np.empty((count, n, pieces, columns), x.dtype)  # gradients with respect to X: those of F are G^H times them
    by_v = np.zeros((count, pieces, n), x.dtype)  # d ln a + j d phi of element n: 2 Re(by_v (d ln a + j d phi))
    by_power = np.empty((count, pieces), real)
    by_x[:, :, :budgets], by_v[:, :budgets] = (part[..., None, :] for part in _score(system, known, x, gain, made, score))
    by_power[:, :budgets] = np.where(score[:, :1] > physics.SCORE_FLOOR, 1.0 / LN10, 0.0)
    if users:
        by_users, by_v[:, budgets:], by_power[:, budgets:] = _margins(system, known, v, x, slack)
        by_x[:, :, budgets:] = by_users.swapaxes(1, 2)
    by_f = (herm(np, through) @ by_x.reshape(count, n, pieces * columns)).reshape(count, -1, pieces, columns).swapaxes(1, 2)
    use_by_f, use_by_v = _budgets(system, known, v, f, through, made)
    _grow(system, made, by_power, use_by_f, use_by_v, by_f, by_v)
    by_f *= made.scale.astype(real)[:, None, None, None]

    out = np.empty((count, pieces, raw.shape[1]), real)
    if control == "structured":
        by_v += zero_forcing.chain(system, known, v, raw, by_f, through, out)
        _write_surface(system, by_v, out)
    else:
        first = _write_beams(system, by_f, out)
        _write_surface(system, by_v, out[..., first:])
    if made.floored.any():
        rows = np.flatnonzero(made.floored)
        out[rows] = general(features.bare(known)[rows], raw[rows], control)[2]
    return score, slack, out


def _grow(
    system: ActiveCrb,
    made: rules.Realised,
    by_power: np.ndarray,
    use_by_f: list[np.ndarray],
    use_by_v: list[np.ndarray],
    by_f: np.ndarray,
    by_v: np.ndarray,
) -> None:
    """Subtract, in place, what a piece loses when the budget that it counts with fills up: its own, for users the binding one."""
    budgets = len(use_by_f)
    for i in range(budgets):
        by_f[:, i] -= by_power[:, i, None, None] * use_by_f[i]
        by_v[:, i] -= by_power[:, i, None] * use_by_v[i]
    if by_power.shape[1] == budgets:
        return
    used_f, used_v = use_by_f[0], use_by_v[0]
    if made.radiated is not None:
        surface = made.spent * physics.room_w(system, np, made.radiated) < made.radiated.signal * system.power_w
        used_f = np.where(surface[:, None, None], use_by_f[1], used_f)
        used_v = np.where(surface[:, None], use_by_v[1], used_v)
    by_f[:, budgets:] -= by_power[:, budgets:, None, None] * used_f[:, None]
    by_v[:, budgets:] -= by_power[:, budgets:, None] * used_v[:, None]


def _write_beams(system: ActiveCrb, by_f: np.ndarray, out: np.ndarray) -> int:
    """The derivatives with respect to the raw beams, (B, P, M, C), into `out`; how many numbers they are."""
    first = 0
    for part in (by_f[..., : system.num_users], by_f[..., system.num_users :]):
        for values in (part.real, part.imag):
            size = values.shape[2] * values.shape[3]
            np.multiply(values, 2.0, out=out[..., first : first + size].reshape(values.shape))
            first += size
    return first


def _write_surface(system: ActiveCrb, by_v: np.ndarray, out: np.ndarray) -> None:
    """The derivatives with respect to the raw levels and phases into the first numbers of `out`."""
    n = system.num_elements
    first = 0
    if not system.passive:
        np.multiply(by_v.real, 2.0 * rules.LEVEL_NEPER, out=out[..., :n])
        first = n
    np.multiply(by_v.imag, -2.0 * math.pi, out=out[..., first : first + n])


def _score(
    system: ActiveCrb, known: ActiveCrbScene, x: np.ndarray, gain: np.ndarray, made: rules.Realised, score: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Gradients of `-log10(S_1 S_2)` with respect to X (B, N, C) and v (B, N); 0 where the score is clipped."""
    assert known.reference is not None
    alive = score[:, 0] > physics.SCORE_FLOOR
    safe = x if alive.all() else np.where(alive[:, None, None], x, np.eye(*x.shape[1:]).astype(x.dtype))
    inverse = _inverse_gram(safe)
    diagonal = np.einsum("bnn->bn", inverse).real
    s1 = np.sum(diagonal / gain, axis=1)
    received = system.noise_bs_w * known.reference["inverse_diagonal"] / gain
    s2 = system.num_elements * system.noise_surface_w + np.sum(received, axis=1)
    by_x = (inverse / gain[:, None, :]) @ (inverse @ safe)
    by_x *= np.where(alive, 1.0 / (LN10 * s1), 0.0)[:, None, None]
    by_v = (diagonal / gain / s1[:, None] + received / s2[:, None]) / LN10
    return by_x, np.where(alive[:, None], by_v, 0.0)


def _inverse_gram(x: np.ndarray) -> np.ndarray:
    """`(X X^H)^-1` in double precision; single-precision X is squared, double-precision X goes through its QR factor."""
    if x.dtype in SINGLE:
        wide = x.astype(np.complex128)
        return np.linalg.inv(wide @ herm(np, wide))
    inverse = np.linalg.inv(np.linalg.qr(herm(np, x), mode="r"))
    return np.asarray(inverse @ herm(np, inverse))


def _margins(
    system: ActiveCrb, known: ActiveCrbScene, v: np.ndarray, x: np.ndarray, slack: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of `log10 SINR_k` with respect to X (B, K, N, C), v (B, K, N) and ln power (B, K); 0 where clipped."""
    users, columns = system.num_users, x.shape[-1]
    own = known.ris_user.conj() * v[:, None, :]
    received = own @ x  # (B, K, C)
    power = abs2(np, received)
    mine = np.eye(users, columns, dtype=bool)
    signal = np.sum(np.where(mine, power, 0.0), axis=-1)
    noise = physics.user_noise(system, np, known, v)
    disturbed = np.sum(np.where(mine, 0.0, power), axis=-1) + noise
    alive = (slack > -physics.COST_LIMIT) & (slack < 0.1 * physics.MARGIN_LIMIT_DB)
    weight = np.where(alive, 1.0 / LN10, 0.0)
    over_signal = (weight / np.where(signal > 0, signal, 1.0))[..., None]
    response = received * np.where(mine, over_signal, -(weight / disturbed)[..., None]).astype(power.dtype)
    by_x = own.conj()[..., None] * response[:, :, None, :]
    by_v = own * (response.conj() @ x.mT)
    if not system.passive:
        amplified = system.noise_surface_w * abs2(np, own)
        by_v -= amplified * (weight / disturbed)[..., None]
    return by_x, by_v, weight * noise / disturbed


def _budgets(
    system: ActiveCrb, known: ActiveCrbScene, v: np.ndarray, f: np.ndarray, through: np.ndarray, made: rules.Realised
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Gradients of `ln tr R` and, for an active surface, of `ln(tr(S R) / (P_s - s_0))` with respect to F and v."""
    by_bs = f / made.spent[:, None, None]
    radiated, x = made.radiated, made.x
    if radiated is None:
        return [by_bs], [np.zeros_like(v)]
    noise, gain = system.noise_surface_w, abs2(np, v)
    reflected = v[..., None] * x
    back = known.target_response @ reflected
    returned = herm(np, known.target_response) @ (gain[..., None] * back)
    assert known.reference is not None
    response = known.reference["response_power"]
    signal, room = radiated.signal[:, None], physics.room_w(system, np, radiated)[:, None]
    own = noise * gain * (2.0 + ((response + response.mT) @ gain[..., None])[..., 0])
    direct = gain * (radiated.per_element + np.sum(abs2(np, back), axis=2))
    by_v = (direct + np.sum(returned.conj() * reflected, axis=2)) / signal + own / room
    by_f = herm(np, through) @ (v.conj()[..., None] * (reflected + returned) / signal[..., None])
    return [by_bs, by_f], [np.zeros_like(v), by_v.astype(v.dtype)]
