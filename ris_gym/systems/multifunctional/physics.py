"""Surface power, rates and echo SINRs of `multifunctional` (model page, section 4). Array-API generic.

Echoes of side i are written `X_i W = T_i E_i` with `T_i` (., L_i) the directions in which they arrive at the receiver and `E_i`
(L_i, S) what each target sends back of each stream, so `gamma_i = lambda_max(P_i E_i E_i^H)` with `P_i = T_i^H Q_i^-1 T_i`,
L_i x L_i. The receiver's small matrices are in double precision: the direct path to the sensors is up to 70 dB above the noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ris_gym.arrays import Array, abs2, at_least, constant, energy, herm
from ris_gym.systems.base import FEASIBLE_MARGIN, decibel
from ris_gym.systems.multifunctional.records import (
    MultiFunctionalDesign,
    MultiFunctionalMetrics,
    MultiFunctionalScene,
)

if TYPE_CHECKING:
    from ris_gym.systems.multifunctional.system import MultiFunctional

ECHO_FLOOR_DB = -100.0
SINR_FLOOR_DB = -60.0
LN2 = math.log(2.0)


@dataclass
class Paths:
    """What users and targets receive, per side where the design has slots.

    `users` (B, K, S): `h_k^H W`; `targets` (B, L, S): `a_l^H diag(theta_i) H W`; `incoming` `H W` (B, M, S), time switching
    (B, 2, M, S); `load` (B, M), time switching (B, 2, M): energy per element; `gain` (B, 2, M): `|theta|^2`.
    """

    users: Array
    targets: Array
    incoming: Array
    load: Array
    gain: Array


def incoming(system: MultiFunctional, scene: MultiFunctionalScene, w: Array) -> Array:
    """`H W`, (B, M, S); time switching: (B, 2, M, S)."""
    return (scene.bs_ris[:, None] if system.time_switching else scene.bs_ris) @ w


def surface_power(system: MultiFunctional, xp: Any, gain: Array, load: Array) -> Array:
    """`P_surf` (17e), (B,); time switching: of each slot, (B, 2). W. From `|theta|^2` (B, 2, M) and energies per element."""
    if system.time_switching:
        return xp.sum(gain * (load + system.noise_surface_w), axis=-1)
    return xp.sum(xp.sum(gain, axis=1) * (load + system.noise_surface_w), axis=-1)


def paths(
    system: MultiFunctional, xp: Any, scene: MultiFunctionalScene, design: MultiFunctionalDesign,
    through: Array | None = None, load: Array | None = None,
) -> Paths:  # fmt: skip
    """Products of a design; `H W` and its energies where they are known."""
    theta = design.coefficients
    if through is None:
        through = incoming(system, scene, design.all_beams)
    if load is None:
        load = energy(xp, through)
    assert scene.reference is not None
    own = spread(xp, theta, system.all_counts) * scene.reference["rows"]
    if system.time_switching:
        parts = []
        for i, count in enumerate(system.all_counts):
            first = sum(system.all_counts[:i])
            parts.append(own[:, first : first + count] @ through[:, i % 2])
        received = xp.concat(parts, axis=1)
    else:
        received = own @ through
    k = system.users
    return Paths(received[:, :k], received[:, k:], through, load, abs2(xp, theta))


def spread(xp: Any, sides: Array, counts: tuple[int, ...]) -> Array:
    """Rows of side 0, 1, 0, 1, ... of (B, 2, n) repeated `counts` times each, (B, sum, n)."""
    shape = (sides.shape[0], -1, sides.shape[2])
    parts = [xp.broadcast_to(sides[:, i % 2 : i % 2 + 1], (shape[0], c, shape[2])) for i, c in enumerate(counts) if c]
    if not parts:
        return sides[:, :0]
    return parts[0] if len(parts) == 1 else xp.concat(parts, axis=1)


def side_sums(xp: Any, rows: Array, gain: Array, slices: tuple[slice, slice]) -> Array:
    """`sum_m rows_km gain_{i(k) m}` of (B, K, M) and (B, 2, M), (B, K)."""
    parts = [(rows[:, s] @ gain[:, i][..., None])[..., 0] for i, s in enumerate(slices)]
    return xp.concat(parts, axis=1)


def user_noise(system: MultiFunctional, xp: Any, scene: MultiFunctionalScene, gain: Array) -> Array:
    """`sigma_s^2 sum_m |g_km|^2 |theta_im|^2 + sigma_k^2`, (B, K), W."""
    if not system.noise_surface_w:
        return system.noise_user_w + 0.0 * abs2(xp, scene.ris_user[..., 0])
    amplified = side_sums(xp, abs2(xp, scene.ris_user), gain, system.user_slices)
    return system.noise_surface_w * amplified + system.noise_user_w


def user_sinr(system: MultiFunctional, xp: Any, scene: MultiFunctionalScene, made: Paths) -> Array:
    """SINR of each user, (B, K), linear."""
    power = abs2(xp, made.users)
    own = constant(xp, np.eye(*power.shape[1:]), power)
    signal = xp.sum(power * own, axis=-1)
    return signal / (xp.sum(power * (1.0 - own), axis=-1) + user_noise(system, xp, scene, made.gain))


# -- echoes ---------------------------------------------------------------------------------------------------------------------


def double(xp: Any, array: Array) -> Array:
    """In double precision."""
    return xp.astype(array, xp.complex128, copy=False)


def by_side(system: MultiFunctional, xp: Any, rows: Array) -> Array:
    """Targets' rows (B, L, n) by side, (B, 2, L_max, n); what fills up the shorter side repeats a row of the other one."""
    if system.even_targets:
        return xp.reshape(rows, (rows.shape[0], 2, system.most_targets, rows.shape[2]))
    index = xp.asarray(system.target_index.reshape(-1))
    return xp.reshape(xp.take(rows, index, axis=1), (rows.shape[0], 2, system.most_targets, rows.shape[2]))


@dataclass
class Echo:
    """Per side, in units of the receiver's noise: `P` (B, 2, L, L), what targets return `E` (B, 2, L, S), `T` (B, 2, ., L).

    `gain` (B, 2, L, 1): alpha over the noise's amplitude, 0 where a side is filled up. For the filter `u = Q^-1 T c`: `solved`
    `Q^-1 T` (B, 2, ., L). Kind `mf`: `own` N (B, 2, L, L), surface noise that targets return, `silent` P without it, and `solved`
    without it; where `direct` F (B, 2, M_s, S), `G_i W` over the noise's amplitude, is held, `solved` (B, 2, S, L) is
    `(I + F^H F)^-1 F^H T` instead.
    """

    p: Array
    e: Array
    t: Array
    gain: Array
    solved: Array
    direct: Array | None = None
    own: Array | None = None
    silent: Array | None = None

    def filters(self, c: Array) -> Array:
        """`Q^-1 T c` (kind `mf`: without the noise `own`) of vectors c (B, 2, L, 1), (B, 2, .)."""
        solved = self.solved @ c
        if self.direct is not None:
            solved = self.t @ c - self.direct @ solved
        return solved[..., 0]


def target_gain(system: MultiFunctional, xp: Any, scene: MultiFunctionalScene) -> Array:
    """`alpha_l / sigma_e` by side, (B, 2, L_max, 1), 0 where a side is filled up."""
    gain = by_side(system, xp, double(xp, scene.target_gain)[..., None]) * (1.0 / math.sqrt(system.noise_sensor_w))
    return gain if system.even_targets else gain * xp.asarray(system.target_mask[..., None])


def echo(
    system: MultiFunctional, xp: Any, scene: MultiFunctionalScene, design: MultiFunctionalDesign, made: Paths
) -> Echo:
    """The small matrices of both sides."""
    gain = target_gain(system, xp, scene)
    reach = by_side(system, xp, double(xp, made.targets))
    e = gain * reach
    if system.kind == "mf":
        t = by_side(system, xp, double(xp, scene.sensor_steering)).mT
        w = design.all_beams
        f = direct(system, xp, scene, w)
        silent, solved, kept = interference(xp, t, f)
        own = returned_noise(system, xp, scene, gain, made)
        return Echo(with_noise(xp, silent, own), e, t, gain, solved, kept, own, silent)
    hop = spread(xp, design.coefficients, system.target_counts) * xp.conj(scene.target_steering)  # rho_l
    t = by_side(system, xp, double(xp, hop @ scene.bs_ris)).mT
    # in units of the noise: each side's echo is T_i E_i S; the other side's is interference
    other = t @ e
    q = xp.flip(other @ herm(xp, other), axis=(1,)) if xp is not np else (other @ herm(xp, other))[:, ::-1]
    if system.noise_surface_w:
        returned = t @ (gain * by_side(system, xp, double(xp, hop)))  # D_i
        noise = xp.sum(returned @ herm(xp, returned), axis=1)
        h = double(xp, scene.bs_ris).mT * xp.sqrt(xp.sum(made.gain, axis=1))[:, None, :]
        noise = noise + (h @ herm(xp, h)) / system.noise_sensor_w
        q = q + system.noise_surface_w * noise[:, None]
    q = q + xp.asarray(np.eye(q.shape[-1]))
    solved = xp.linalg.solve(q, t)
    return Echo(herm(xp, t) @ solved, e, t, gain, solved)


def returned_noise(
    system: MultiFunctional, xp: Any, scene: MultiFunctionalScene, gain: Array, made: Paths
) -> Array:
    """`sigma_s^2 / sigma_e^2 diag(alpha) A_i^H |Theta_i|^2 A_i diag(alpha)^H`, (B, 2, L, L)."""
    steering = by_side(system, xp, scene.target_steering)
    gram = double(xp, (xp.conj(steering) * made.gain[:, :, None]) @ steering.mT)
    return system.noise_surface_w * (gain @ herm(xp, gain)) * gram


def direct(system: MultiFunctional, xp: Any, scene: MultiFunctionalScene, w: Array) -> Array:
    """`F = G_i W` over the amplitude of the sensors' noise, (B, 2, M_s, S), in double precision."""
    g = scene.bs_sensor
    assert g is not None
    if system.time_switching:
        heard = g @ w
    else:  # both sides in one product
        heard = xp.reshape(xp.reshape(g, (g.shape[0], g.shape[1] * g.shape[2], g.shape[3])) @ w, (*g.shape[:3], w.shape[-1]))
    return double(xp, heard * (1.0 / math.sqrt(system.noise_sensor_w)))  # a complex quotient is slow


def interference(xp: Any, t: Array, f: Array) -> tuple[Array, Array, Array | None]:
    """`T^H (I + F F^H)^-1 T`, (B, 2, L, L), by the smaller of both Gram matrices, with `solved` and `direct` of `Echo`."""
    size, streams = f.shape[-2:]
    adjoint = herm(xp, f)
    if size <= streams:
        solved = xp.linalg.solve(f @ adjoint + xp.asarray(np.eye(size)), t)
        return herm(xp, t) @ solved, solved, None
    y = adjoint @ t
    solved = xp.linalg.solve(adjoint @ f + xp.asarray(np.eye(streams)), y)
    return herm(xp, t) @ t - herm(xp, y) @ solved, solved, f


def with_noise(xp: Any, p: Array, own: Array) -> Array:
    """`(P^-1 + N)^-1 = (I + P N)^-1 P`, (B, 2, L, L)."""
    count = p.shape[-1]
    if count == 1:
        return p / (1.0 + p * own)
    mixed = p @ own
    if count > 2:
        return xp.linalg.solve(xp.asarray(np.eye(count)) + mixed, p)
    a, b, c, d = 1.0 + mixed[..., 0, 0], mixed[..., 0, 1], mixed[..., 1, 0], 1.0 + mixed[..., 1, 1]
    first = d[..., None] * p[..., 0, :] - b[..., None] * p[..., 1, :]
    second = a[..., None] * p[..., 1, :] - c[..., None] * p[..., 0, :]
    return xp.stack([first, second], axis=-2) / (a * d - b * c)[..., None, None]


def largest(xp: Any, p: Array, e: Array) -> Array:
    """`lambda_max(P E E^H)`, (B, 2): closed forms up to two targets."""
    count = p.shape[-1]
    if count == 1:
        return xp.real(p[..., 0, 0]) * xp.sum(abs2(xp, e[..., 0, :]), axis=-1)
    gram = e @ herm(xp, e)
    if count == 2:
        c = p @ gram
        half = 0.5 * xp.real(c[..., 0, 0] + c[..., 1, 1])
        det = _det2(xp, p) * _det2(xp, gram)
        root = xp.sqrt(at_least(xp, half**2 - det, 1e-300))
        return at_least(xp, half + root, 0.0)
    size = xp.real(xp.sum(xp.linalg.diagonal(p), axis=-1))[..., None, None]
    lower = xp.linalg.cholesky(0.5 * (p + herm(xp, p)) + (1e-13 * size + 1e-300) * xp.asarray(np.eye(count)))
    return at_least(xp, xp.linalg.eigvalsh(herm(xp, lower) @ gram @ lower)[..., -1], 0.0)


def _det2(xp: Any, a: Array) -> Array:
    """Determinant of Hermitian 2 x 2 matrices, at least 0."""
    return at_least(xp, xp.real(a[..., 0, 0]) * xp.real(a[..., 1, 1]) - abs2(xp, a[..., 0, 1]), 0.0)


# -- metrics --------------------------------------------------------------------------------------------------------------------


def shares(system: MultiFunctional, xp: Any, design: MultiFunctionalDesign) -> Array | None:
    """Time of each side, (B, 2); None without time switching."""
    if not system.time_switching:
        return None
    assert design.time_fraction is not None
    return xp.stack([design.time_fraction, 1.0 - design.time_fraction], axis=1)


def evaluate(
    system: MultiFunctional, xp: Any, scene: MultiFunctionalScene, design: MultiFunctionalDesign, made: Paths | None = None
) -> MultiFunctionalMetrics:
    """Metrics of a design; its products where they are known."""
    if made is None:
        made = paths(system, xp, scene, design)
    real = made.gain.dtype
    sinr = user_sinr(system, xp, scene, made)
    rate = xp.log1p(sinr) / LN2
    received = echo(system, xp, scene, design, made)
    gamma = largest(xp, received.p, received.e)
    time = shares(system, xp, design)
    if time is not None:
        own = [xp.broadcast_to(time[:, i : i + 1], (rate.shape[0], c)) for i, c in enumerate(system.user_counts)]
        rate = rate * xp.concat(own, axis=1)
        gamma = gamma * time
    objective = xp.astype(objective_of(system, xp, gamma), real, copy=False)
    margins = rate - system.min_rate_bps_hz
    if system.min_rate_bps_hz > 0.0:
        cost = xp.sum(at_least(xp, -margins, 0.0), axis=-1) / system.min_rate_bps_hz
    else:
        cost = 0.0 * objective
    spent = energy(xp, flat(xp, system, design.all_beams))
    radiated = None
    if system.amplifies:
        radiated = surface_power(system, xp, made.gain, made.load)
    if system.time_switching:
        spent, radiated = xp.max(spent, axis=-1), xp.max(radiated, axis=-1)
    levels = xp.astype(decibel(gamma, 10.0 ** (ECHO_FLOOR_DB / 10.0)), real, copy=False)
    total = decibel(xp.sum(at_least(xp, gamma, 10.0 ** (ECHO_FLOOR_DB / 10.0)), axis=-1), 10.0 ** (ECHO_FLOOR_DB / 10.0))
    return MultiFunctionalMetrics(
        objective=objective,
        score=objective / 10.0,
        cost=cost,
        feasible=xp.all(margins >= FEASIBLE_MARGIN, axis=-1),
        margins={"rate": margins},
        echo_sinr_db=levels,
        sum_sinr_db=xp.astype(total, real, copy=False),
        mean_sinr_db=0.5 * (levels[:, 0] + levels[:, 1]),
        min_sinr_db=xp.min(levels, axis=-1),
        rate=rate,
        sinr_db=decibel(sinr, 10.0 ** (SINR_FLOOR_DB / 10.0)),
        power_w=spent,
        surface_power_w=radiated,
        time_fraction=design.time_fraction if system.time_switching else None,
    )


def flat(xp: Any, system: MultiFunctional, w: Array) -> Array:
    """W with its last two axes joined."""
    return xp.reshape(w, (*w.shape[:-2], w.shape[-2] * w.shape[-1]))


def objective_of(system: MultiFunctional, xp: Any, gamma: Array) -> Array:
    """The objective of both echo SINRs (B, 2), linear: `log` in bit, `sum` and `db` in dB."""
    floor = 10.0 ** (ECHO_FLOOR_DB / 10.0)
    gamma = at_least(xp, gamma, floor)
    if system.form == "log":
        return xp.sum(xp.log1p(gamma), axis=-1) / LN2
    if system.form == "sum":
        return decibel(xp.sum(gamma, axis=-1), floor)
    return 0.5 * xp.sum(decibel(gamma, floor), axis=-1)
