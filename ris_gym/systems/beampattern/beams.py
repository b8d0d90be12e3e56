"""From raw actions to designs and back: projection, the beam rule, regularised zero-forcing, SNR repair, start rule.

Model page, sections 3 and 12. `decode` and what it calls are array-API generic (and differentiable in torch); `encode` is numpy.
Notation: `H` (B, K, M) rows `h_k^H`, `A` (B, L, M) rows `g_l^H`, `F = [W, F_0]`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ris_gym import variables as var
from ris_gym.arrays import Array, abs2, at_least, cis, constant, energy, herm, namespace
from ris_gym.surfaces import quantise_phase
from ris_gym.systems.beampattern.records import BeampatternDesign, BeampatternScene

if TYPE_CHECKING:
    from ris_gym.systems.beampattern.system import Beampattern

ZERO_NORM = 1e-12
LOGIT_GAIN = 4.0


def effective_rows(system: Beampattern, xp: Any, scene: BeampatternScene, coefficients: Array) -> tuple[Array, Array]:
    """`(H, A)`: `H = (conj(H_r) * v) G + conj(H_d)` (B, K, M) and `A = (conj(S) * v) G` (B, L, M), by one product with `G`."""
    steering = system.departure(xp, coefficients)
    v = coefficients[:, None, :]
    stacked = xp.concat([xp.conj(scene.ris_user) * v, steering[None] * v], axis=1) @ scene.bs_ris
    users = system.num_users
    return stacked[:, :users] + xp.conj(scene.bs_user), stacked[:, users:]


def paths(system: Beampattern, scene: BeampatternScene, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Per element `conj(x) * v` for rows x of `[S; H_r]`, (B, L + K, N), and the effective rows `[A; H]` (B, L + K, M). numpy."""
    targets = len(system.angles_deg)
    own = np.empty((len(v), targets + system.num_users, v.shape[1]), v.dtype)
    np.multiply(system.departure(np, v), v[:, None], out=own[:, :targets])
    np.multiply(scene.ris_user.conj(), v[:, None], out=own[:, targets:])
    effective = own @ scene.bs_ris
    effective[:, targets:] += scene.bs_user.conj()
    return own, effective


def responses(
    system: Beampattern, xp: Any, scene: BeampatternScene, coefficients: Array, beams: Array
) -> tuple[Array, Array]:
    """`(A F, H F)`: amplitudes of each beam at the targets (B, L, C) and at the users (B, K, C), through `v * (G F)`.

    All products are transposed: the coefficients then scale contiguous rows, and one product serves all targets of the batch.
    """
    rows = beams.mT
    reflected = (rows @ scene.bs_ris.mT) * coefficients[:, None, :]
    batch, columns, elements = reflected.shape
    flat = xp.reshape(reflected, (batch * columns, elements)) @ system.departure(xp, coefficients).mT
    at_targets = xp.reshape(flat, (batch, columns, flat.shape[-1]))
    at_users = reflected @ herm(xp, scene.ris_user) + rows @ herm(xp, scene.bs_user)
    return at_targets.mT, at_users.mT


def norms(xp: Any, array: Array, axis: int | tuple[int, ...]) -> Array:
    """Euclidean norms over `axis`, kept with length 1; scaled so that extreme entries neither over- nor underflow."""
    if array.shape[-1] == 0:
        return xp.zeros((array.shape[0], 1, 1), dtype=xp.real(array).dtype)
    largest = xp.max(xp.maximum(xp.abs(xp.real(array)), xp.abs(xp.imag(array))), axis=axis, keepdims=True)
    alive = largest >= xp.finfo(largest.dtype).smallest_normal
    safe = xp.where(alive, largest, xp.ones_like(largest))
    total = xp.sum(abs2(xp, array / safe), axis=axis, keepdims=True)
    return safe * xp.sqrt(xp.where(alive, total, xp.ones_like(total))) * xp.astype(alive, total.dtype)


def full_power(system: Beampattern, xp: Any, beams: Array) -> Array:
    """`F sqrt(P) / ||F||`; beams of norm below 1e-12 become 0."""
    if beams.shape[-1] == 0:
        return beams
    norm = norms(xp, beams, (-2, -1))
    alive = norm >= ZERO_NORM
    safe = xp.where(alive, norm, xp.ones_like(norm))
    return beams / safe * xp.where(alive, math.sqrt(system.power_w) * xp.ones_like(norm), xp.zeros_like(norm))


def raw_power(system: Beampattern, xp: Any, beams: Array) -> Array:
    """`full_power` of beams whose entries come from a raw vector: in the box nothing can overflow, and less than 1e-12 is 0."""
    total = energy(xp, xp.reshape(beams, (beams.shape[0], beams.shape[1] * beams.shape[2])))
    scale = math.sqrt(system.power_w) / xp.sqrt(at_least(xp, total, ZERO_NORM**2))
    return beams * (scale * xp.astype(total >= ZERO_NORM**2, total.dtype))[:, None, None]


def unit_columns(xp: Any, array: Array) -> Array:
    """Columns divided by their norms (zero columns stay)."""
    total = xp.sum(abs2(xp, array), axis=-2, keepdims=True)
    return array / xp.sqrt(xp.where(total > 0, total, xp.ones_like(total)))


# -- decode ---------------------------------------------------------------------------------------------------------------------


def decode(system: Beampattern, known: BeampatternScene, raw: Array, control: str) -> BeampatternDesign:
    """Raw action (B, n) -> design. See the system's method."""
    xp = namespace(raw, known.bs_ris)
    values = var.split(system.variables(control), raw)
    levels = None if system.phase_bits is None else 2**system.phase_bits
    v = cis(xp, quantise_phase(values["phase"], levels))
    users = system.num_users
    if control == "full":
        w, f = values["beams"], values["sensing_beams"]
        beams = raw_power(system, xp, w if f.shape[-1] == 0 else xp.concat([w, f], axis=-1))
    elif control == "structured":
        logits = xp.concat([values["user_power"], values["target_power"]], axis=1)
        directions, _, _ = zero_forcing(system, xp, known, v, values["regulariser"])
        beams = directions * xp.sqrt(system.power_w * softmax(xp, LOGIT_GAIN * logits))[:, None, :]
    else:
        beams = rule(system, xp, known, v)
    return BeampatternDesign(beams=beams[..., :users], sensing_beams=beams[..., users:], coefficients=v)


def softmax(xp: Any, logits: Array) -> Array:
    """Softmax over the last axis."""
    shifted = xp.exp(logits - xp.max(logits, axis=-1, keepdims=True))
    return shifted / xp.sum(shifted, axis=-1, keepdims=True)


def zero_forcing(
    system: Beampattern, xp: Any, known: BeampatternScene, v: Array, level: Array
) -> tuple[Array, Array, Array]:
    """Regularised zero-forcing with the targets as virtual users.

    `Z` = rows of `H` over `sigma / sqrt(P)`, then rows of `A` scaled to their rms norm; directions = unit columns of
    `Z^H (Z Z^H + lambda I)^-1`, `lambda = 10^(2 x) tr(Z Z^H) / (K + L)`.

    Returns:
        directions (B, M, K + L), Z (B, K + L, M), tr(Z Z^H) / (K + L) (B, 1).
    """
    h, a = effective_rows(system, xp, known, v)
    h = h * math.sqrt(system.power_w / system.noise_w)
    wanted = xp.mean(xp.sum(abs2(xp, h), axis=-1), axis=-1)
    found = xp.mean(xp.sum(abs2(xp, a), axis=-1), axis=-1)
    scale = xp.sqrt(wanted / xp.where(found > 0, found, xp.ones_like(found)))
    z = xp.concat([h, a * scale[:, None, None]], axis=1)
    gram = z @ herm(xp, z)
    mean = xp.sum(xp.real(xp.linalg.diagonal(gram)), axis=-1, keepdims=True) / z.shape[1]
    loading = (10.0 ** (2.0 * level) * mean)[:, :, None]
    eye = constant(xp, np.eye(z.shape[1]), mean)
    inverse = xp.linalg.inv(gram + loading * eye)
    return unit_columns(xp, herm(xp, z) @ inverse), z, mean


def rule(system: Beampattern, xp: Any, known: BeampatternScene, v: Array) -> Array:
    """Beams of `control="surface"` in closed form (section 12): (B, M, K + L), or (B, M, K) without sensing beams."""
    h, a = effective_rows(system, xp, known, v)
    power, users = system.power_w, system.num_users
    towards = unit_columns(xp, herm(xp, a))
    if users == 1:
        beams = math.sqrt(power / towards.shape[-1]) * towards
        beams = match(system, xp, *meet_snr(system, xp, beams, herm(xp, h)))
        if system.num_sensing_beams == 0:
            beams = beams[..., :1]
        return full_power(system, xp, beams)
    sensing = system.num_sensing_beams > 0
    share = power / (2.0 * users) if sensing else power / users
    gram = h @ herm(xp, h)
    eye = constant(xp, np.eye(users), xp.real(gram))
    loaded = gram + (2.0 * users * system.noise_w / power) * eye
    data = math.sqrt(share) * unit_columns(xp, herm(xp, h) @ xp.linalg.inv(loaded))
    if not sensing:
        return full_power(system, xp, data)
    if not system.cancel_sensing and system.num_antennas > users:
        ridge = max(1e-12, 10.0 * float(xp.finfo(xp.real(gram).dtype).eps))
        tiny = ridge * xp.max(xp.real(xp.linalg.diagonal(gram)), axis=-1)[:, None, None]
        towards = towards - herm(xp, h) @ (xp.linalg.inv(gram + tiny * eye) @ (h @ towards))
    scale = 0.5 * power / xp.clip(xp.sum(abs2(xp, towards), axis=(-2, -1), keepdims=True), ZERO_NORM**2, None)
    return full_power(system, xp, xp.concat([data, towards * xp.sqrt(scale)], axis=-1))


# -- repair ---------------------------------------------------------------------------------------------------------------------


def meet_snr(system: Beampattern, xp: Any, beams: Array, h: Array) -> tuple[Array, Array]:
    """SNR repair (b) for one user: `F <- [sqrt(1 - alpha) F, sqrt(alpha P) h / ||h||]`, `h` (B, M, 1). Returns (F, h)."""
    power, needed = system.power_w, float(system.sinr_threshold[0]) * system.noise_w
    has = xp.sum(abs2(xp, herm(xp, h) @ beams), axis=(-2, -1), keepdims=True)
    norm2 = xp.sum(abs2(xp, h), axis=(-2, -1), keepdims=True)
    eta = max(1e-12, float(xp.finfo(has.dtype).eps))
    room = xp.maximum(power * norm2 - has, eta * power * norm2)
    alive = norm2 > 0
    alpha = xp.clip((needed - has) / xp.where(alive, room, xp.ones_like(room)), eta, 1.0 - eta)
    direction = h / xp.sqrt(xp.where(alive, norm2, xp.ones_like(norm2)))
    return xp.concat([xp.sqrt(1.0 - alpha) * beams, xp.sqrt(alpha * power) * direction], axis=-1), h


def match(system: Beampattern, xp: Any, beams: Array, h: Array) -> Array:
    """Re-match (a) for one user: the unitary mixing of the columns whose first column is `R h / sqrt(h^H R h)`.

    All gains stay; the SNR becomes `h^H R h / sigma^2`, the largest with this `R`; `R_0 h = 0`. Householder form, no EVD.
    """
    at_user = herm(xp, beams) @ h
    norm = norms(xp, at_user, (-2, -1))
    first = constant(xp, np.eye(beams.shape[-1])[:, :1], xp.real(at_user))
    q = xp.where(norm > 0, at_user / xp.where(norm > 0, norm, xp.ones_like(norm)), first + 0j * at_user)
    head = q[:, :1, :]
    size = xp.sqrt(xp.where(abs2(xp, head) > 0, abs2(xp, head), xp.ones_like(norm)))
    phase = xp.where(abs2(xp, head) > 0, head / size, xp.ones_like(head))
    u = q + phase * first
    modulus = xp.real(xp.conj(phase) * head)
    return -phase * (beams - (beams @ u) @ herm(xp, u) / (1.0 + modulus))


def repair(system: Beampattern, known: BeampatternScene, design: BeampatternDesign) -> BeampatternDesign:
    """(b) then (a) on a projected design of one user; one column more than before."""
    xp = namespace(known.bs_ris, design.beams)
    h, _ = effective_rows(system, xp, known, design.coefficients)
    beams = match(system, xp, *meet_snr(system, xp, design.all_beams, herm(xp, h)))
    return design.replace(beams=beams[..., :1], sensing_beams=beams[..., 1:])


def truncate(system: Beampattern, design: BeampatternDesign) -> BeampatternDesign:
    """`F_0` with exactly `num_sensing_beams` columns: its strongest left singular vectors times singular values, or zeros."""
    f, wanted = design.sensing_beams, system.num_sensing_beams
    xp = namespace(f)
    if f.shape[-1] < wanted:
        more = xp.zeros((*f.shape[:-1], wanted - f.shape[-1]), dtype=f.dtype)
        return design.replace(sensing_beams=more if f.shape[-1] == 0 else xp.concat([f, more], axis=-1))
    if f.shape[-1] == wanted:
        return design
    if wanted == 0:
        return design.replace(sensing_beams=f[..., :0])
    scale = norms(xp, f, (-2, -1))
    f = f / xp.where(scale > 0, scale, xp.ones_like(scale))
    values, vectors = xp.linalg.eigh(f @ herm(xp, f))
    strongest = vectors[..., -wanted:] * xp.sqrt(xp.clip(values[:, None, -wanted:], 0.0, None)) * scale
    if f.shape[-2] < wanted:
        more = xp.zeros((*f.shape[:-1], wanted - f.shape[-2]), dtype=f.dtype)
        strongest = xp.concat([strongest, more], axis=-1)
    return design.replace(sensing_beams=strongest)


# -- encode ---------------------------------------------------------------------------------------------------------------------


def encode(system: Beampattern, known: BeampatternScene, design: BeampatternDesign, control: str) -> np.ndarray:
    """Design -> raw vector (B, n). `full`: exact for canonical designs; `surface` keeps `v`; else `_encode_structured`."""
    design = design.to_numpy()
    if control == "structured":
        return _encode_structured(system, known.to_numpy(), system.project(known, design))
    design = system.canonical(known, design) if control == "full" else system.project(known, design)
    values = {"phase": np.angle(design.coefficients)}
    if control == "full":
        beams = design.all_beams
        largest = np.max(np.maximum(np.abs(beams.real), np.abs(beams.imag)), axis=(1, 2), keepdims=True)
        scaled = beams / np.where(largest > 0, 2.0 * largest, 1.0)
        values |= {"beams": scaled[..., : system.num_users], "sensing_beams": scaled[..., system.num_users :]}
    return var.join(system.variables(control), values)


def _encode_structured(system: Beampattern, known: BeampatternScene, design: BeampatternDesign) -> np.ndarray:
    """Powers and regulariser of a design: exact in the image of `decode`, else powers by least squares at x = 0.

    A direction of regularised zero-forcing obeys `(Z^H Z + lambda I) f_i ~ z_i`, so with `Q_i` the projector off `z_i`,
    `lambda = -Re<Q_i f_i, Q_i Z^H Z f_i> / ||Q_i f_i||^2`, in least squares over all columns.
    """
    v, beams, users = design.coefficients, design.all_beams, system.num_users
    targets = len(system.angles_deg)
    level = np.zeros((len(design), 1), v.real.dtype)
    directions, z, mean = zero_forcing(system, np, known, v, level)
    rows = np.conj(np.swapaxes(z, 1, 2))
    tiny = np.finfo(v.real.dtype).tiny
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), tiny)
    if beams.shape[-1] == users + targets:
        f = unit_columns(np, beams)
        mapped = np.conj(np.swapaxes(z, 1, 2)) @ (z @ f)
        off = lambda x: x - rows * np.sum(rows.conj() * x, axis=1, keepdims=True)  # noqa: E731
        qf, qm = off(f), off(mapped)
        den = np.sum(abs2(np, qf), axis=(1, 2))
        num = -np.sum((qf.conj() * qm).real, axis=(1, 2))
        informative = (den > 1e-20) & (num > 0)
        loading = np.where(informative, num / np.where(informative, den, 1.0), mean[:, 0])
        level = np.clip(0.5 * np.log10(loading / mean[:, 0]), -1.0, 1.0)[:, None]
        powers = np.sum(abs2(np, beams), axis=1)
    else:
        user_power = np.sum(abs2(np, design.beams), axis=1)
        onto = np.conj(np.swapaxes(directions[..., users:], 1, 2)) @ design.sensing_beams
        target_power = np.sum(abs2(np, onto), axis=2)
        spent = np.sum(abs2(np, design.sensing_beams), axis=(1, 2))[:, None]
        found = np.sum(target_power, axis=1, keepdims=True)
        target_power *= np.where(found > 0, spent / np.where(found > 0, found, 1.0), 0.0)
        powers = np.concatenate([user_power, target_power], axis=1)
    log = np.log(np.maximum(powers, 1e-30 * system.power_w)) / LOGIT_GAIN
    low = np.maximum(log.min(axis=1, keepdims=True), log.max(axis=1, keepdims=True) - 2.0)
    logits = np.clip(log - 0.5 * (low + log.max(axis=1, keepdims=True)), -1.0, 1.0)
    values = {"phase": np.angle(v), "user_power": logits[:, :users], "target_power": logits[:, users:], "regulariser": level}
    return var.join(system.variables("structured"), values)


def encode_rule(system: Beampattern, known: BeampatternScene, v: np.ndarray, control: str) -> np.ndarray:
    """Raw vector of coefficients `v` with the beams of the rule."""
    if control == "surface":
        return var.join(system.variables(control), {"phase": np.angle(v)})
    beams = rule(system, np, known, v)
    users = system.num_users
    design = BeampatternDesign(beams=beams[..., :users], sensing_beams=beams[..., users:], coefficients=v)
    return encode(system, known, design, control)


def start_coefficients(system: Beampattern, known: BeampatternScene) -> np.ndarray:
    """Start rule (section 12): `arg[(sum_l e^(j pi l^2 / L) a_l + sum_k ... h_rk / rms) * conj(G q)]`, then the common phase.

    The common phase aligns the reflected with the direct path.
    """
    g, hr, hd = known.bs_ris, known.ris_user, known.bs_user
    targets = len(system.angles_deg)
    _, vectors = np.linalg.eigh(np.conj(np.swapaxes(g, 1, 2)) @ g)
    strongest = (g @ vectors[..., -1:])[..., 0]
    twist = np.exp(1j * np.pi * np.arange(targets + system.num_users) ** 2 / targets)
    level = np.sqrt(np.mean(abs2(np, hr), axis=-1, keepdims=True))
    wanted = twist[:targets] @ system.steering + np.sum(twist[targets:, None] * hr / np.where(level > 0, level, 1.0), axis=1)
    v = np.exp(1j * np.angle(wanted * strongest.conj()))
    common = np.sum(np.sum(hr.conj() * v[:, None, :] * (hd @ np.swapaxes(g, 1, 2)), axis=-1), axis=-1)
    v = v * np.exp(-1j * np.angle(common))[:, None]
    return v.astype(g.dtype)
