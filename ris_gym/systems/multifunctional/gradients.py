"""Derivatives of the pieces of the penalised score of `multifunctional` in closed form (numpy), for `control="full"`.

The cotangent of a complex array X of a real f is the array C with `df = Re sum conj(C) dX`. A user's rate and a side's echo SINR
both come from one effective row `r Y`, `Y = H W`: of user k, `r = conj(g_k) theta`; of side i, with the best filter `u` held (the
envelope theorem), `r = t theta`, `t = u^H T_i diag(alpha) conj(a)`, and what the filter lets through of the direct path.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ris_gym.arrays import abs2, herm
from ris_gym.systems.multifunctional import physics
from ris_gym.systems.multifunctional.decoding import Realised
from ris_gym.systems.multifunctional.records import MultiFunctionalScene

if TYPE_CHECKING:
    from ris_gym.systems.multifunctional.system import MultiFunctional

EDGE = 1e-6
"""Beams this close to the full power count as scaled down to it: designs at full power lie there."""


@dataclass
class Cotangents:
    """Of the P = 1 + K pieces (score, slack of each user).

    `beams` (B, P, N, S), time switching (B, P, 2, N, S); `theta` (B, P, 2, M); `time` (B, P): with respect to lambda_r.
    """

    beams: np.ndarray
    theta: np.ndarray
    time: np.ndarray | None


@dataclass
class Values:
    """Pieces: `score` (B,), `slack` (B, K); and how they depend on SINRs, `echo` (B, 2), `sinr` (B, K), and `time` (B, 1 + K)."""

    score: np.ndarray
    slack: np.ndarray
    echo: np.ndarray
    sinr: np.ndarray
    time: np.ndarray | None


def values(
    system: MultiFunctional, made: Realised, gamma: np.ndarray, sinr: np.ndarray
) -> Values:
    """Pieces and their derivatives with respect to echo SINRs (B, 2) and users' SINRs (B, K) within their time."""
    floor = 10.0 ** (physics.ECHO_FLOOR_DB / 10.0)
    share = physics.shares(system, np, made.design)
    own = np.ones_like(gamma) if share is None else share.astype(gamma.dtype)
    total = np.maximum(gamma * own, floor)
    score = physics.objective_of(system, np, total) / 10.0
    alive = gamma * own > floor
    if system.form == "log":
        slope = 1.0 / (10.0 * physics.LN2 * (1.0 + total))
    elif system.form == "sum":
        slope = 1.0 / (math.log(10.0) * total.sum(axis=1, keepdims=True)) * np.ones_like(total)
    else:
        slope = 0.5 / (math.log(10.0) * total)
    slope = np.where(alive, slope, 0.0)
    rate = np.log1p(sinr) / physics.LN2
    least = system.min_rate_bps_hz if system.min_rate_bps_hz > 0.0 else 1.0  # without it the rates are no pieces
    side = own[:, system.user_side].astype(sinr.dtype)
    slack = (rate * side - least) / least
    by_sinr = side / (least * physics.LN2 * (1.0 + sinr))
    time = None
    if share is not None:
        sign = np.array([1.0, -1.0])
        by_time = np.sum(slope * gamma * sign, axis=1, keepdims=True)
        time = np.concatenate([by_time, rate * sign[system.user_side] / least], axis=1).astype(sinr.dtype)
    return Values(score.astype(sinr.dtype), slack, (slope * own).astype(sinr.dtype), by_sinr, time)


def cotangents(
    system: MultiFunctional, known: MultiFunctionalScene, made: Realised
) -> tuple[np.ndarray, np.ndarray, Cotangents]:
    """Pieces (B, 1), (B, K) and their cotangents with respect to the design."""
    paths = made.paths(system, known)
    received = physics.echo(system, np, known, made.design, paths)
    gamma, b, u = top(system, received)
    real = paths.gain.dtype
    power = abs2(np, paths.users)
    own = np.eye(*power.shape[1:], dtype=real)
    signal = np.sum(power * own, axis=-1)
    against = np.sum(power * (1.0 - own), axis=-1) + physics.user_noise(system, np, known, paths.gain)
    sinr = signal / against
    at = values(system, made, gamma, sinr)
    w = made.design.all_beams
    batch, users = sinr.shape
    theta_out = np.zeros((batch, 1 + users, *made.theta.shape[1:]), w.dtype)
    beams_out = np.zeros((batch, 1 + users, *w.shape[1:]), w.dtype)
    # users
    inverse = (at.sinr / against)[..., None]
    factor = np.where(own > 0, 2.0 * inverse, -2.0 * inverse * sinr[..., None])
    back = paths.users * factor  # cotangent of h_k^H W, (B, K, S)
    assert known.reference is not None
    rows = known.reference["rows"][:, :users]
    theta = physics.spread(np, made.design.coefficients, system.user_counts)
    amplified = abs2(np, rows) * (-2.0 * system.noise_surface_w * inverse * sinr[..., None])
    for i, users_of in enumerate(system.user_slices):
        y = paths.incoming[:, i] if system.time_switching else paths.incoming
        own_rows, own_theta, own_back = rows[:, users_of], theta[:, users_of], back[:, users_of]
        h = (own_rows * own_theta) @ known.bs_ris
        to_theta = own_rows.conj() * (own_back @ herm(np, y)) + amplified[:, users_of] * own_theta
        pieces = slice(1 + users_of.start, 1 + users_of.stop)
        theta_out[:, pieces, i] = to_theta
        to_beams = h.conj()[..., None] * own_back[:, :, None, :]
        if system.time_switching:
            beams_out[:, pieces, i] = to_beams
        else:
            beams_out[:, pieces] = to_beams
    # echoes
    sides = _own_echo if system.kind == "mf" else _bs_echo
    sides(system, known, made, paths, received, gamma, b, u, at.echo, beams_out[:, 0], theta_out[:, 0])
    return at.score[:, None], at.slack, Cotangents(beams_out, theta_out, at.time)


def top(system: MultiFunctional, received: physics.Echo) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Echo SINRs (B, 2), `b = T^H u` (B, 2, L) and the best filters `u` (B, 2, .), scaled to `u^H Q u = 1`."""
    p, e = received.p, received.e
    gram = e @ herm(np, e)
    gamma = physics.largest(np, p, e)
    count = p.shape[-1]
    if count == 1:
        c = np.ones((*gamma.shape, 1), p.dtype)
    elif count == 2:
        a = gram @ p
        first = np.stack([a[..., 0, 1], gamma - a[..., 0, 0]], axis=-1)
        second = np.stack([gamma - a[..., 1, 1], a[..., 1, 0]], axis=-1)
        more = np.sum(abs2(np, first), axis=-1) >= np.sum(abs2(np, second), axis=-1)
        c = np.where(more[..., None], first, second)
        c = np.where(np.sum(abs2(np, c), axis=-1, keepdims=True) > 0, c, np.array([1.0, 0.0]))
    else:
        size = np.einsum("bill->bi", p).real[..., None, None]
        lower = np.linalg.cholesky(0.5 * (p + herm(np, p)) + (1e-13 * size + 1e-300) * np.eye(count))
        y = np.linalg.eigh(herm(np, lower) @ gram @ lower)[1][..., -1:]
        c = np.linalg.solve(herm(np, lower), y)[..., 0]
    c = c / np.maximum(np.max(np.abs(c), axis=-1, keepdims=True), 1e-300)
    b = (p @ c[..., None])[..., 0]
    size = np.sqrt(np.maximum(np.sum((c.conj() * b).real, axis=-1, keepdims=True), 1e-300))
    b, c = b / size, (c / size)[..., None]
    if received.own is not None:
        assert received.silent is not None
        c = np.linalg.solve(np.eye(count) + received.own @ received.silent, c)
    return gamma, b, received.filters(c)


def _own_echo(
    system: MultiFunctional, known: MultiFunctionalScene, made: Realised, paths: physics.Paths, received: physics.Echo,
    gamma: np.ndarray, b: np.ndarray, u: np.ndarray, weight: np.ndarray, beams: np.ndarray, theta: np.ndarray,
) -> None:  # fmt: skip
    """Adds the score's cotangents of kind `mf`: `d gamma = 2 Re(ds s^H) - gamma d(u^H Q u)`, `s = t theta Y`, `q = u^H F`."""
    dtype = beams.dtype
    steering = physics.by_side(system, np, known.target_steering)
    t = (np.swapaxes((b.conj()[..., None] * received.gain), -1, -2) @ steering.conj())[:, :, 0].astype(dtype)
    s = (b.conj()[..., None, :] @ received.e)[:, :, 0]
    assert known.bs_sensor is not None
    kappa = (u.conj()[..., None, :] @ known.bs_sensor)[:, :, 0] / math.sqrt(system.noise_sensor_w)  # (B, 2, N)
    w = made.design.all_beams
    q = (kappa[:, :, None] @ (w if system.time_switching else w[:, None]))[:, :, 0]
    weighted = weight * gamma
    back = (2.0 * weight[..., None] * s).astype(dtype)
    leak = (-2.0 * weighted[..., None] * q).astype(dtype)
    kappa = kappa.conj().astype(dtype)
    own = made.design.coefficients
    h = ((t * own)[:, :, None] @ known.bs_ris[:, None])[:, :, 0].conj()  # (B, 2, N)
    to_beams = h[..., None] * back[..., None, :] + kappa[..., None] * leak[..., None, :]
    beams += to_beams if system.time_switching else to_beams.sum(axis=1)
    y = paths.incoming if system.time_switching else paths.incoming[:, None]
    noise = (-2.0 * system.noise_surface_w * weighted)[..., None].astype(theta.real.dtype) * abs2(np, t)
    theta += t.conj() * (back[..., None, :] @ herm(np, y))[:, :, 0] + noise * own


def _bs_echo(
    system: MultiFunctional, known: MultiFunctionalScene, made: Realised, paths: physics.Paths, received: physics.Echo,
    gamma: np.ndarray, b: np.ndarray, u: np.ndarray, weight: np.ndarray, beams: np.ndarray, theta: np.ndarray,
) -> None:  # fmt: skip
    """Adds the score's cotangents of the kinds that sense at the BS, `X_i = sum_l alpha_l eta_l^T eta_l`.

    With filter u of side i: `tau_l = u^H eta_l^T`, signal `s = sum tau_l alpha_l eta_l W` over its own targets, interference the
    same over the other side's, noise `sigma_s^2 (sum |u^H H^T theta|^2 + sum_j ||sum_l tau_l alpha_l rho_l||^2) + u^H u`.
    """
    wide = np.complex128
    h, w, own = known.bs_ris.astype(wide), made.design.all_beams.astype(wide), made.design.coefficients.astype(wide)
    steering = physics.by_side(system, np, known.target_steering).astype(wide).conj()  # (B, 2, L, M)
    rho = steering * own[:, :, None]
    eta = rho @ h[:, None]  # (B, 2, L, N)
    reach = eta @ w[:, None]  # (B, 2, L, S)
    gain = received.gain[..., 0]
    noise = system.noise_surface_w
    beams_sum, theta_sum = np.zeros(beams.shape, wide), np.zeros(theta.shape, wide)
    for i in range(2):
        conjugate = u[:, i].conj()
        factor = 2.0 * weight[:, i].astype(float)
        for j in range(2):
            tau = (eta[:, j] @ conjugate[..., None])[..., 0] * gain[:, j]  # tau_l alpha_l
            s = (tau[:, None] @ reach[:, j])[:, 0]
            sign = factor if i == j else -factor * gamma[:, i]
            xi = (tau[:, None] @ eta[:, j])[:, 0]
            beams_sum += (sign[:, None] * xi.conj())[..., None] * s[:, None]
            # ds = sum_l alpha_l d eta_l (conj(u) eta_l W + tau_l W): row e_l of d eta_l for s^H
            along = (reach[:, j] @ s.conj()[..., None])[..., 0] * gain[:, j]
            row = along[..., None] * conjugate[:, None] + tau[..., None] * (w @ s.conj()[..., None])[:, None, :, 0]
            theta_sum[:, j] += sign[:, None] * np.sum(steering[:, j] * (row @ h.mT), axis=1).conj()
            if noise:
                v = (tau[:, None] @ rho[:, j])[:, 0]  # (B, M)
                spread = (rho[:, j] @ v.conj()[..., None])[..., 0] * gain[:, j]
                row = spread[..., None] * conjugate[:, None]
                inner = tau[..., None] * v.conj()[:, None] + row @ h.mT
                theta_sum[:, j] -= (factor * gamma[:, i] * noise)[:, None] * np.sum(steering[:, j] * inner, axis=1).conj()
        if noise:
            heard = abs2(np, (h @ conjugate[..., None])[..., 0]) / system.noise_sensor_w
            theta_sum -= (factor * gamma[:, i] * noise)[:, None, None] * heard[:, None] * own
    beams += beams_sum.astype(beams.dtype)
    theta += theta_sum.astype(theta.dtype)


# -- through decode -------------------------------------------------------------------------------------------------------------


def jacobian(
    system: MultiFunctional, known: MultiFunctionalScene, raw: np.ndarray, made: Realised
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pieces (B, 1), (B, K) of `decode(raw)` and their derivatives (B, 1 + K, n) with respect to the raw vector of `full`."""
    score, slack, out = cotangents(system, known, made)
    beams, theta = through_budget(system, known, made, out.beams, out.theta)
    parts = _beam_parts(system, raw, made, beams)
    parts += surface_parts(system, raw, theta, "full")
    if out.time is not None:
        parts.append(0.45 * out.time[..., None])
    real = raw.dtype if raw.dtype == np.float32 else np.float64
    whole = np.concatenate([np.asarray(part, real) for part in parts], axis=2)
    return (score, slack, whole) if system.min_rate_bps_hz > 0.0 else (score, slack[:, :0], whole[:, :1])


def through_budget(
    system: MultiFunctional, known: MultiFunctionalScene, made: Realised, beams: np.ndarray, theta: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """From cotangents of the design to those of beams and coefficients before step (4)."""
    if not system.amplifies:
        return beams, theta
    assert system.surface_power_w is not None
    own = made.theta
    gain = abs2(np, own)
    radiated = physics.surface_power(system, np, gain, made.load)
    over = radiated / system.surface_power_w
    active = over > 1.0
    factor = 1.0 / np.sqrt(np.where(active, over, 1.0))
    level = np.where(active, 0.5 * factor / np.where(active, radiated, 1.0), 0.0)
    if system.time_switching:  # per slot
        inner = np.sum((theta.conj() * own[:, None]).real, axis=-1)  # (B, P, 2)
        drop = -level[:, None] * inner
        load = made.load + system.noise_surface_w
        theta = factor[:, None, :, None] * theta + 2.0 * drop[..., None] * (load * own)[:, None]
        pulled = known.bs_ris.conj().mT[:, None] @ (gain[..., None] * made.through)  # (B, 2, N, S)
        return beams + 2.0 * drop[..., None, None] * pulled[:, None], theta
    inner = np.sum((theta.conj() * own[:, None]).real, axis=(-2, -1))  # (B, P)
    drop = -level[:, None] * inner
    load = (made.load + system.noise_surface_w)[:, None]
    theta = factor[:, None, None, None] * theta + 2.0 * drop[..., None, None] * (load * own)[:, None]
    pulled = herm(np, known.bs_ris) @ (gain.sum(axis=1)[..., None] * made.through)
    return beams + 2.0 * drop[..., None, None] * pulled[:, None], theta


def _beam_parts(system: MultiFunctional, raw: np.ndarray, made: Realised, beams: np.ndarray) -> list[np.ndarray]:
    """Derivatives with respect to the raw numbers of the beams."""
    assert made.raw_norm is not None
    root = math.sqrt(system.power_w)
    norm = made.raw_norm
    large = norm > 1.0 - EDGE
    w = made.design.all_beams / root  # raw beams over max(1, norm)
    inner = np.sum((beams.conj() * w[:, None]).real, axis=(-2, -1))
    inner = np.where(large[:, None], inner, 0.0)
    scale = root / np.maximum(norm, 1.0)
    beams = (beams - inner[..., None, None] * w[:, None]) * scale[:, None, ..., None, None]
    if system.time_switching:
        beams = beams.copy()
        beams[..., : system.users] *= system.served_columns.astype(beams.real.dtype)
    parts = []
    for part in (beams[..., : system.users], beams[..., system.users :]):
        parts += [part.real.reshape(*part.shape[:2], -1), part.imag.reshape(*part.shape[:2], -1)]
    return parts


def surface_parts(system: MultiFunctional, raw: np.ndarray, theta: np.ndarray, control: str) -> list[np.ndarray]:
    """Derivatives with respect to the raw numbers of the surface's variables, in their order, from cotangents (B, P, 2, M)."""
    from ris_gym.systems.multifunctional import decoding

    values = decoding.raw_by_name(system, raw, control)
    batch, pieces, _, m = theta.shape
    turn = decoding.cis(np, decoding.quantise_phase(math.pi * values["phase"], system.phase_levels))
    cap = math.sqrt(system.max_gain)
    amplitude = 0.5 * cap * (values["amplitude"] + 1.0) if "amplitude" in values else np.full_like(raw[:, :m], cap)
    if system.split_phases:
        turn = turn.reshape(batch, 2, m)
        radial = theta.conj() * turn[:, None]  # d f = Re(radial dA) - Im(radial) A dphi
        if system.time_switching:
            amplitude = amplitude.reshape(batch, 1, 2, m)
            by_phase = -math.pi * radial.imag * amplitude
            return [by_phase.reshape(batch, pieces, -1), (0.5 * cap * radial.real).reshape(batch, pieces, -1)]
        psi = (0.25 * math.pi) * (values["split"] + 1.0)
        shares = np.stack([np.cos(psi), np.sin(psi)], axis=1)[:, None]
        size = amplitude[:, None, None]
        parts = [(-math.pi * radial.imag * shares * size).reshape(batch, pieces, -1)]
        if "amplitude" in values:
            parts.append(0.5 * cap * np.sum(radial.real * shares, axis=2))
        turned = radial.real[:, :, 1] * shares[:, :, 0] - radial.real[:, :, 0] * shares[:, :, 1]
        parts.append(0.25 * math.pi * amplitude[:, None] * turned)
        return parts
    if system.mode_switching:
        first = (values["mode"] >= 0.0)[:, None]
        radial = theta.conj() * turn[:, None, None]
        chosen = np.where(first, radial[:, :, 0], radial[:, :, 1])
        by_mode = 0.5 * amplitude[:, None] * (radial.real[:, :, 0] - radial.real[:, :, 1])
        return [-math.pi * chosen.imag * amplitude[:, None], 0.5 * cap * chosen.real, by_mode]
    chosen = np.sum(theta * system.mask.astype(theta.real.dtype), axis=2).conj() * turn[:, None]
    parts = [-math.pi * chosen.imag * amplitude[:, None]]
    if "amplitude" in values:
        parts.append(0.5 * cap * chosen.real)
    return parts
