"""From raw actions to designs: budgets, floor, the closed-form beams of `surface` and `structured` (model page, 3 and 12).

Array-API generic and differentiable in torch. Notation: `F = [W, L]`, `X = G F`, `C` (B, K, M) rows `c_k = h_k^H Psi G`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ris_gym import variables as var
from ris_gym.arrays import Array, abs2, at_least, cis, constant, energy, herm, namespace, to_numpy
from ris_gym.arrays import scale as scaled
from ris_gym.linear import inverse_gram_diagonal
from ris_gym.surfaces import cap_amplitude, unit_modulus
from ris_gym.systems.active_crb import physics
from ris_gym.systems.active_crb.records import ActiveCrbDesign, ActiveCrbMetrics, ActiveCrbScene

if TYPE_CHECKING:
    from ris_gym.systems.active_crb.system import ActiveCrb

AMPLITUDE_RANGE_DB = 60.0
FLOOR_RATIO = 1e-5
FLOOR_LEVEL = 1e-6
ZERO_NORM = 1e-9
"""Raw beams of a spectral norm below this count as 0."""
LEAST_SHARE = 1e-2
LOGIT_GAIN = 4.0
LEVEL_NEPER = AMPLITUDE_RANGE_DB / 40.0 * math.log(10.0)
"""`ln a` per unit of raw level: half of 60 dB."""


# -- the surface ----------------------------------------------------------------------------------------------------------------


def coefficients(system: ActiveCrb, xp: Any, known: ActiveCrbScene, values: dict[str, Array]) -> Array:
    """`v = a exp(j phi)`, `20 log10(a / cap) = 30 (level - 1)` dB."""
    v = cis(xp, values["phase"])
    if system.passive:
        return v
    assert known.reference is not None
    return v * (known.reference["cap"][:, None] * xp.exp(LEVEL_NEPER * (values["amplitude"] - 1.0)))


def clipped(system: ActiveCrb, scene: ActiveCrbScene, v: Array) -> Array:
    """Coefficients with amplitudes in [1e-3 cap, cap]; unit modulus for a passive surface."""
    if system.passive:
        return unit_modulus(v)
    assert scene.reference is not None
    cap = scene.reference["cap"][:, None]
    return cap_amplitude(v, cap, 10.0 ** (-AMPLITUDE_RANGE_DB / 20.0) * cap)


# -- budgets --------------------------------------------------------------------------------------------------------------------


def fill(system: ActiveCrb, xp: Any, spent: Array, radiated: physics.Passes | None) -> Array:
    """`min(P_0 / tr R, (P_s - s_0) / tr(S R))`, (B,): by how much R may grow (or has to shrink)."""
    tiny = float(xp.finfo(spent.dtype).smallest_normal) ** 0.5
    factor = system.power_w / at_least(xp, spent, tiny)
    if radiated is None:
        return factor
    room = at_least(xp, system.surface_power_w - radiated.noise, 0.0)
    return xp.minimum(factor, room / at_least(xp, radiated.signal, tiny))


def total(xp: Any, f: Array) -> Array:
    """`tr R = ||F||^2`, (B,)."""
    return energy(xp, xp.reshape(f, (f.shape[0], f.shape[1] * f.shape[2])))


def project(system: ActiveCrb, scene: ActiveCrbScene, design: ActiveCrbDesign, grow: bool = False) -> ActiveCrbDesign:
    """Amplitudes clipped, then F scaled down to both budgets (`grow`: up, too)."""
    xp = namespace(design.beams, design.coefficients)
    v = clipped(system, scene, design.coefficients)
    f = safe_scale(xp, design.all_beams)
    factor = fill(system, xp, total(xp, f), physics.passes(system, xp, scene, v, scene.bs_ris @ f))
    if not grow:
        factor = xp.minimum(factor, xp.ones_like(factor))
    f = f * xp.sqrt(factor)[:, None, None]
    users = design.beams.shape[-1]
    return ActiveCrbDesign(beams=f[..., :users], sensing_beams=f[..., users:], coefficients=v)


def safe_scale(xp: Any, f: Array) -> Array:
    """F with entries above 1e6 sqrt(W) shrunk to that, so that nothing overflows: such beams are far above every budget."""
    largest = xp.max(xp.maximum(xp.abs(xp.real(f)), xp.abs(xp.imag(f))), axis=(1, 2), keepdims=True)
    return f / at_least(xp, largest / 1e6, 1.0)


@dataclass
class Realised:
    """A design with what was computed on the way: `x = G F`, the surface's powers, `inverse_gram_diagonal(x)` (numpy only).

    `spent` (B,): `tr R`; `scale` (B,): factor of the raw beams; `floored` (B,): where the floor was added (numpy).
    """

    design: ActiveCrbDesign
    x: Array
    spent: Array
    radiated: physics.Passes | None
    inverse: tuple[Array, Array] | None
    scale: Array
    floored: np.ndarray

    def evaluate(self, system: ActiveCrb, known: ActiveCrbScene) -> ActiveCrbMetrics:
        """Metrics at `known`, without computing the shared products again."""
        xp = namespace(self.x)
        return physics.evaluate(system, xp, known, self.design, self.x, self.spent, self.radiated, self.inverse)


def realise(system: ActiveCrb, xp: Any, known: ActiveCrbScene, v: Array, f: Array, floor: bool) -> Realised:
    """The design of coefficients and raw beams: floor where asked and needed, F scaled to its first binding budget."""
    x = known.bs_ris @ f
    inverse = inverse_gram_diagonal(np, x) if xp is np else None
    floored = np.zeros(len(f), bool)
    spent = total(xp, f)
    if floor and (floored := needs_floor(known, f, x, inverse, spent)).any():
        f = xp.where(xp.asarray(floored)[:, None, None], lift(system, xp, known, f), f)
        x, spent = known.bs_ris @ f, total(xp, f)
        inverse = inverse_gram_diagonal(np, x) if xp is np else None
    radiated = physics.passes(system, xp, known, v, x)
    factor = fill(system, xp, spent, radiated)
    root = xp.sqrt(factor)
    f, x = scaled(xp, f, root), scaled(xp, x, root)
    if inverse is not None:
        inverse = inverse[0] / np.maximum(factor, np.finfo(factor.dtype).tiny)[:, None], inverse[1] & (factor > 0.0)
    users = system.num_users
    design = ActiveCrbDesign(beams=f[..., :users], sensing_beams=f[..., users:], coefficients=v)
    spent = spent * factor
    return Realised(design, x, spent, None if radiated is None else radiated.scaled(factor), inverse, root, floored)


def needs_floor(
    known: ActiveCrbScene, f: Array, x: Array, inverse: tuple[Array, Array] | None = None, spent: Array | None = None
) -> np.ndarray:
    """Whether `sigma_min / sigma_max` of `V^H F` is below 1e-5, (B,).

    `cond(V^H F) <= cond(G) cond(X)` and `cond(X) <= ||X|| ||X^+||` (Frobenius) settle nearly every scene without its spectrum.
    """
    assert known.reference is not None
    f, x = to_numpy(f), to_numpy(x)
    spent = total(np, f) if spent is None else to_numpy(spent)
    diagonal, regular = inverse_gram_diagonal(np, x) if inverse is None else inverse
    singular, basis = to_numpy(known.reference["singular"]), to_numpy(known.reference["basis"])
    size = np.sqrt(diagonal.sum(axis=-1) * total(np, x)) * (singular[:, 0] / singular[:, -1])
    doubtful = ~(regular & (size < 1.0 / FLOOR_RATIO) & (spent > 1e2 * ZERO_NORM**2))
    out = np.zeros(len(f), bool)
    if doubtful.any():
        seen = np.conj(basis[doubtful].mT).astype(np.complex128) @ f[doubtful]
        spectrum = np.linalg.svd(seen, compute_uv=False)
        out[doubtful] = ~(spectrum[:, -1] >= FLOOR_RATIO * spectrum[:, 0]) | (spectrum[:, 0] < ZERO_NORM)
    return out


def lift(system: ActiveCrb, xp: Any, known: ActiveCrbScene, f: Array) -> Array:
    """`L <- V chol(V^H L L^H V + eps max(t, 1) / M I)`, `t = tr R`: sensing beams of full rank."""
    assert known.reference is not None
    users = system.num_users
    basis = known.reference["basis"]
    seen = herm(xp, basis) @ f[..., users:]
    level = FLOOR_LEVEL * at_least(xp, total(xp, f), 1.0) / system.num_antennas
    wide = xp.astype(seen, xp.complex128)
    gram = wide @ herm(xp, wide) + xp.astype(level, xp.float64)[:, None, None] * xp.asarray(np.eye(seen.shape[1]))
    factor = xp.astype(xp.linalg.cholesky(gram), f.dtype)
    return xp.concat([f[..., :users], basis @ factor], axis=-1)


# -- closed-form beams ----------------------------------------------------------------------------------------------------------


def rule(system: ActiveCrb, xp: Any, known: ActiveCrbScene, v: Array) -> Array:
    """Raw F (B, M, K + N) of `control="surface"`: users served without interference, the rest of 8.1's covariance unseen by them.

    `w_k = sqrt(gamma_k n_k + zeta t_k) K_0[:, k]`, `L = sqrt(zeta) L_perp`: `SINR_k = gamma_k + zeta t_k / n_k`.
    """
    assert known.reference is not None
    free = known.reference["basis"] * xp.sqrt(known.reference["rule"])[:, None, :]
    if system.sinr_threshold is None:
        return xp.concat([xp.zeros((*free.shape[:-1], system.num_users), dtype=free.dtype), free], axis=-1)
    rows = physics.effective_rows(xp, known, v)
    toward, inverse = pseudo_inverse(xp, rows @ free)
    served = free @ toward  # K_0, (B, M, K)
    hidden = free - served @ (rows @ free)
    strength = 1.0 / xp.real(xp.linalg.diagonal(inverse))
    needed = constant(xp, system.sinr_threshold, strength) * physics.user_noise(system, xp, known, v)
    x = known.bs_ris @ xp.concat([served, hidden], axis=-1)
    cost, budget = _column_costs(system, xp, known, v, served, hidden, x)
    users = system.num_users
    fixed = xp.sum(cost[..., :users] * needed[:, None, :], axis=-1)
    growing = xp.sum(cost[..., :users] * strength[:, None, :], axis=-1) + xp.sum(cost[..., users:], axis=-1)
    zeta = at_least(xp, xp.min((budget - fixed) / growing, axis=-1), LEAST_SHARE)
    amplitude = xp.sqrt(needed + zeta[:, None] * strength)
    return xp.concat([served * amplitude[:, None, :], hidden * xp.sqrt(zeta)[:, None, None]], axis=-1)


def pseudo_inverse(xp: Any, d: Array) -> tuple[Array, Array]:
    """`D^H T^-1` and `T^-1` with `T = D D^H` (B, K, K), a ridge of the order of the rounding error of T keeping it regular."""
    gram = d @ herm(xp, d)
    mean = xp.sum(xp.real(xp.linalg.diagonal(gram)), axis=-1)[:, None, None] / gram.shape[-1]
    ridge = 10.0 * float(xp.finfo(mean.dtype).eps) * mean + float(xp.finfo(mean.dtype).smallest_normal)
    inverse = xp.linalg.inv(gram + ridge * constant(xp, np.eye(gram.shape[-1]), mean))
    return herm(xp, d) @ inverse, inverse


def _column_costs(
    system: ActiveCrb, xp: Any, known: ActiveCrbScene, v: Array, served: Array, hidden: Array, x: Array
) -> tuple[Array, Array]:
    """What each column costs of each budget (B, i, K + N), and the budgets (B, i): BS, surface (active)."""
    power = xp.sum(abs2(xp, xp.concat([served, hidden], axis=-1)), axis=1)
    if system.passive:
        return power[:, None, :], system.power_w + 0.0 * power[:, :1]
    reflected = v[..., None] * x
    gain = abs2(xp, v)[..., None]
    back = known.target_response @ reflected
    radiated = xp.sum(abs2(xp, reflected), axis=1) + xp.sum(gain * abs2(xp, back), axis=1)
    own = physics.passes(system, xp, known, v, x)
    assert own is not None
    budget = xp.stack([system.power_w + 0.0 * own.noise, at_least(xp, system.surface_power_w - own.noise, 0.0)], axis=1)
    return xp.stack([power, radiated], axis=1), budget


def structured(system: ActiveCrb, xp: Any, known: ActiveCrbScene, v: Array, values: dict[str, Array]) -> Array:
    """Raw F of regularised zero-forcing with the N columns of V as virtual users (model page, section 12)."""
    assert known.reference is not None
    basis = known.reference["basis"]
    if system.sinr_threshold is None:
        shares = softmax(xp, LOGIT_GAIN * values["target_power"])
        free = basis * xp.sqrt(shares)[:, None, :]
        return xp.concat([xp.zeros((*free.shape[:-1], system.num_users), dtype=free.dtype), free], axis=-1)
    users = system.num_users
    shares = softmax(xp, LOGIT_GAIN * xp.concat([values["user_power"], values["target_power"]], axis=1))
    free = basis * xp.sqrt(shares[:, None, users:])
    d = physics.effective_rows(xp, known, v) @ free
    mapping = regularised(xp, d, values["regulariser"])
    directions = free @ mapping
    norm = xp.sqrt(at_least(xp, xp.sum(abs2(xp, directions), axis=1), float(xp.finfo(shares.dtype).smallest_normal)))
    served = directions * (xp.sqrt(shares[:, :users]) / norm)[:, None, :]
    return xp.concat([served, free - directions @ d], axis=-1)


def regularised(xp: Any, d: Array, level: Array) -> Array:
    """`D^H (D D^H + lambda I)^-1`, `lambda = 10^(2 x - 2) tr(D D^H) / K`, D scaled to unit rms rows first."""
    users = d.shape[1]
    mean = at_least(xp, xp.sum(abs2(xp, d), axis=(1, 2)) / users, float(xp.finfo(xp.real(d).dtype).smallest_normal))
    unit = d / xp.sqrt(mean)[:, None, None]
    loading = (10.0 ** (2.0 * level - 2.0))[:, :, None]
    inverse = xp.linalg.inv(unit @ herm(xp, unit) + loading * constant(xp, np.eye(users), mean))
    return herm(xp, unit) @ inverse / xp.sqrt(mean)[:, None, None]


def softmax(xp: Any, logits: Array) -> Array:
    """Softmax over the last axis."""
    shifted = xp.exp(logits - xp.max(logits, axis=-1, keepdims=True))
    return shifted / xp.sum(shifted, axis=-1, keepdims=True)


# -- decode ---------------------------------------------------------------------------------------------------------------------


def realised(system: ActiveCrb, known: ActiveCrbScene, raw: Array, control: str) -> Realised:
    """`realise` of a raw action."""
    xp = namespace(raw, known.bs_ris)
    if control == "full" and xp is np:
        size = 2 * system.num_antennas * (system.num_users + system.num_elements)
        values = var.split(system.variables("surface"), raw[:, size:])
        v, f = coefficients(system, xp, known, values), raw_beams(system, raw[:, :size])
        return realise(system, xp, known, v, f, floor=True)
    values = var.split(system.variables(control), raw)
    v = coefficients(system, xp, known, values)
    if control == "full":
        f = xp.concat([values["beams"], values["sensing_beams"]], axis=-1)
    elif control == "structured":
        f = structured(system, xp, known, v, values)
    else:
        f = rule(system, xp, known, v)
    return realise(system, xp, known, v, f, floor=control != "surface")


def raw_beams(system: ActiveCrb, raw: np.ndarray) -> np.ndarray:
    """F of the raw numbers of `beams` and `sensing_beams`, written in one pass."""
    m, k, n = system.num_antennas, system.num_users, system.num_elements
    f = np.empty((len(raw), m, k + n), np.result_type(raw.dtype, np.complex64))
    first = 0
    for columns in (slice(0, k), slice(k, k + n)):
        size = m * (columns.stop - columns.start)
        for part in (f.real, f.imag):
            part[..., columns] = raw[:, first : first + size].reshape(len(raw), m, -1)
            first += size
    return f
