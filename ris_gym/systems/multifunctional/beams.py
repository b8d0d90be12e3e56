"""Closed-form beams: the rule of `control="surface"` and the family of `control="structured"` (model page, section 12).

Array-API generic, differentiable in torch. Both work on slots: without time switching one slot with all users and targets, with
it one per side. Rows `h_k^H` over the amplitude of the user's noise are `h` (B, K, N), those of the targets `eta` (B, L, N); the
hat of the page (projected off what the sensors' filters hear) is a product with Pi.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ris_gym.arrays import Array, abs2, at_least, constant, energy, herm, to_numpy
from ris_gym.systems.multifunctional import physics
from ris_gym.systems.multifunctional.records import MultiFunctionalScene

if TYPE_CHECKING:
    from ris_gym.systems.multifunctional.system import MultiFunctional

TARGET_LOADING = 0.1
RATE_MARGIN = 10.0**0.1
LOGIT_GAIN = 4.0


def quiet(system: MultiFunctional, xp: Any, known: MultiFunctionalScene, rows: Array) -> Array:
    """Rows times Pi."""
    if system.kind != "mf":
        return rows
    assert known.reference is not None
    return rows @ known.reference["projector"]


def isotropic(system: MultiFunctional, xp: Any, known: MultiFunctionalScene, theta: Array) -> tuple[Array, Array]:
    """`theta` scaled up or down to the surface's budget with `W W^H = (P_BS / N) I`, and its size before, (B,) or (B, 2)."""
    slots = (theta.shape[0], 2) if system.time_switching else (theta.shape[0],)
    if not system.amplifies:
        return theta, xp.ones(slots, dtype=xp.real(theta).dtype)
    load = energy(xp, known.bs_ris) * (system.power_w / system.num_antennas)
    if system.time_switching:
        load = xp.stack([load, load], axis=1)
    radiated = physics.surface_power(system, xp, abs2(xp, theta), load) / system.surface_power_w
    size = xp.sqrt(at_least(xp, radiated, 1e-20))
    return theta / wide(system, size), size


def wide(system: MultiFunctional, factor: Array) -> Array:
    """A factor per scene (B,) or slot (B, 2), broadcastable to coefficients (B, 2, M)."""
    return factor[:, :, None] if system.time_switching else factor[:, None, None]


def unit(xp: Any, columns: Array) -> Array:
    """Columns (B, N, n) of norm 1 (0 stays 0)."""
    squared = xp.sum(abs2(xp, columns), axis=-2, keepdims=True)
    return columns / xp.sqrt(at_least(xp, squared, float(xp.finfo(squared.dtype).smallest_normal)))


def loaded(xp: Any, h: Array, loading: Array, wanted: Array) -> Array:
    """`(h^H h + lambda I)^-1 wanted` lambda, for rows h (B, K, N), lambda (B,), columns (B, N, n): by the K x K Gram matrix."""
    gram = h @ herm(xp, h)
    eye = constant(xp, np.eye(h.shape[1]), xp.real(gram))
    inner = xp.linalg.solve(gram + loading[:, None, None] * eye, h @ wanted)
    return wanted - herm(xp, h) @ inner


def towards_users(xp: Any, h: Array, loading: Array) -> Array:
    """Normalised columns of `(h^H h + lambda I)^-1 h^H = h^H (h h^H + lambda I)^-1`, (B, N, K)."""
    gram = h @ herm(xp, h)
    eye = constant(xp, np.eye(h.shape[1]), xp.real(gram))
    return unit(xp, herm(xp, xp.linalg.solve(gram + loading[:, None, None] * eye, h)))


def mean_energy(xp: Any, h: Array) -> Array:
    """`||h||_F^2 / K`, (B,), at least the smallest number."""
    total = xp.sum(abs2(xp, h), axis=(-2, -1)) / max(1, h.shape[1])
    return at_least(xp, total, 1e3 * float(xp.finfo(total.dtype).smallest_normal))


# -- rule -----------------------------------------------------------------------------------------------------------------------


def rule(system: MultiFunctional, xp: Any, known: MultiFunctionalScene, theta: Array, time: Array | None) -> Array:
    """Beams that aim at feasibility (steps 1 to 6), W (B, N, S) or (B, 2, N, S)."""
    return consistent(system, xp, known, theta, lambda scaled: _beams(system, xp, known, scaled, time))


def consistent(
    system: MultiFunctional, xp: Any, known: MultiFunctionalScene, theta: Array, beams: Callable[[Array], Array]
) -> Array:
    """W = beams(theta') with theta' the coefficients that the surface's budget leaves of theta with this W.

    The page computes the beams twice; here they are computed until both agree, so that a design is its own start.
    """
    if not system.amplifies:
        return beams(theta)
    gain = abs2(xp, theta)
    size = isotropic(system, xp, known, theta)[1]
    scale = 1.0 / at_least(xp, size, 1.0)
    tolerance = 4.0 * float(xp.finfo(gain.dtype).eps)
    w = beams(theta * wide(system, scale))
    for _ in range(FIXED_POINT_ROUNDS):
        load = physics.energy(xp, physics.incoming(system, known, w))
        radiated = physics.surface_power(system, xp, gain, load) / system.surface_power_w
        new = 1.0 / xp.sqrt(at_least(xp, radiated, 1.0))
        if float(np.max(to_numpy(xp.abs(new - scale)), initial=0.0)) <= tolerance:
            break
        scale = new
        w = beams(theta * wide(system, scale))
    return w


def _beams(system: MultiFunctional, xp: Any, known: MultiFunctionalScene, theta: Array, time: Array | None) -> Array:
    """Steps 2 to 5 at theta."""
    rows, eta, amplified = raw_rows(system, xp, known, theta)
    noise = xp.sqrt(amplified + system.noise_user_w)
    both = quiet(system, xp, known, xp.concat([rows / noise[..., None], eta], axis=1))
    h, eta = both[:, : system.users], both[:, system.users :]
    ones = xp.ones((h.shape[0],), dtype=noise.dtype)
    if time is None:
        required = (2.0**system.min_rate_bps_hz - 1.0) * ones
        return _slot(system, xp, rows / noise[..., None], h, eta, RATE_MARGIN * required)
    slots = []
    for i, share in enumerate((time, 1.0 - time)):
        users, targets = system.user_slices[i], system.target_slices[i]
        part = _slot(system, xp, (rows / noise[..., None])[:, users], h[:, users], eta[:, targets], slot_sinr(system, xp, share))
        slots.append(widened(system, xp, part, i))
    return xp.stack(slots, axis=1)


def slot_sinr(system: MultiFunctional, xp: Any, share: Array) -> Array:
    """SINR (B,) that gives R_min in a share of time, with the rule's margin; at most 60 bit per slot."""
    return RATE_MARGIN * xp.expm1(physics.LN2 * xp.clip(system.min_rate_bps_hz / share, None, 60.0))


def widened(system: MultiFunctional, xp: Any, part: Array, side: int) -> Array:
    """Columns (users of a side, others) with zero columns for the other side's users."""
    count = system.user_counts[side]
    none = xp.zeros((*part.shape[:-1], system.user_counts[1 - side]), dtype=part.dtype)
    own = [part[..., :count], none] if side == 0 else [none, part[..., :count]]
    return xp.concat([*own, part[..., count:]], axis=-1)


def raw_rows(system: MultiFunctional, xp: Any, known: MultiFunctionalScene, theta: Array) -> tuple[Array, Array, Array]:
    """`h_k^H` (B, K, N), `eta_l` (B, L, N), surface noise at each user (B, K), W."""
    assert known.reference is not None
    rows = (physics.spread(xp, theta, system.all_counts) * known.reference["rows"]) @ known.bs_ris
    amplified = physics.user_noise(system, xp, known, abs2(xp, theta)) - system.noise_user_w
    return rows[:, : system.users], rows[:, system.users :], at_least(xp, amplified, 0.0)


def _slot(system: MultiFunctional, xp: Any, rows: Array, h: Array, eta: Array, required: Array) -> Array:
    """Beams of a slot (B, N, K + S_0) from rows over noise without and with Pi; `required` (B,): SINR."""
    users, streams = rows.shape[1], system.num_sensing_beams
    parts = [herm(xp, rows)[..., :0]]  # nothing to send in a slot without users and sensing streams
    if users:
        parts.append(towards_users(xp, h, (users / system.power_w) * xp.ones_like(required)))
    if streams:
        parts.append(_sensing(system, xp, h, eta))
    directions = xp.concat(parts, axis=-1)
    gain = abs2(xp, rows @ directions)
    share = xp.ones((gain.shape[0], streams), dtype=gain.dtype) / max(1, streams)
    return directions * xp.sqrt(just_served(xp, gain, required, share, system.power_w) + 1e-30)[:, None, :]


FIXED_POINT_ROUNDS = 12
LARGEST_WEIGHT = 1e6
"""Ratio of required SINR to the channel's gain (per watt) above which a user counts as out of reach."""


def just_served(xp: Any, gain: Array, required: Array, share: Array, power: float) -> Array:
    """Powers (B, K + S_0) with which every user just gets its SINR, the rest being for sensing in shares (B, S_0).

    `gain` (B, K, K + S_0): of every direction at every user, over noise; `required` (B,): SINR. Where that takes more than
    `power`: nothing for sensing, equal powers for the users.
    """
    users = gain.shape[1]
    if not users:
        return power * share
    mixed, heard = gain[..., :users], gain[..., users:]
    eye = constant(xp, np.eye(users), gain)
    own = xp.sum(mixed * eye, axis=-1)
    reached = own * LARGEST_WEIGHT > required[:, None]
    weight = xp.where(reached, required[:, None] / xp.where(reached, own, xp.ones_like(own)), xp.zeros_like(own))
    mixing = eye - weight[..., None] * (mixed * (1.0 - eye))  # rows over their own gain
    sound = xp.all(reached, axis=-1) & (xp.max(xp.abs(mixing), axis=(-2, -1)) < LARGEST_WEIGHT)
    mixing = xp.where(sound[:, None, None], mixing, eye)
    right = xp.stack([weight, weight * xp.sum(heard * share[:, None], axis=-1)], axis=-1)
    both = xp.linalg.solve(mixing, right)
    a, b = both[..., 0], both[..., 1]
    left = (power - xp.sum(a, axis=-1)) / (1.0 + xp.sum(b, axis=-1))
    good = sound & (left > 0.0) & xp.all(a >= 0.0, axis=-1) & xp.all(b >= 0.0, axis=-1)
    equal = xp.full_like(a, power / users)
    if not share.shape[1]:  # nothing else to send: all power to the users, in proportion
        whole = xp.sum(a, axis=-1)
        good = good & (whole > 0.0)
        return xp.where(good[:, None], a * (power / xp.where(good, whole, xp.ones_like(whole)))[:, None], equal)
    left = xp.where(good, left, xp.zeros_like(left))
    return xp.concat([xp.where(good[:, None], a + b * left[:, None], equal), left[:, None] * share], axis=-1)


def _sensing(system: MultiFunctional, xp: Any, quiet_h: Array, quiet_eta: Array) -> Array:
    """Step 4: unit directions (B, N, S_0), stream j for the targets `l = j mod S_0` of the slot."""
    streams, targets = system.num_sensing_beams, quiet_eta.shape[1]
    if not streams:
        return herm(xp, quiet_eta)[..., :0]
    aim = unit(xp, herm(xp, quiet_eta))
    share = np.zeros((targets, streams))
    share[np.arange(targets), np.arange(targets) % streams] = 1.0
    if targets < streams:  # more streams than targets: they start over
        share[np.arange(streams) % targets, np.arange(streams)] = 1.0
    wanted = aim @ (constant(xp, share, xp.real(aim)) + 0.0j)
    if not quiet_h.shape[1]:
        return unit(xp, wanted)
    return unit(xp, loaded(xp, quiet_h, TARGET_LOADING * mean_energy(xp, quiet_h), wanted))


# -- structured -----------------------------------------------------------------------------------------------------------------


def structured(system: MultiFunctional, xp: Any, known: MultiFunctionalScene, theta: Array, values: dict[str, Array]) -> Array:
    """Regularised zero-forcing with the targets as virtual users, powers by logits: W (B, N, K + L) or (B, 2, N, K + L)."""
    return consistent(system, xp, known, theta, lambda scaled: family(system, xp, known, scaled, values))


def family(system: MultiFunctional, xp: Any, known: MultiFunctionalScene, theta: Array, values: dict[str, Array]) -> Array:
    """The beams of `structured` at theta."""
    rows, eta, amplified = raw_rows(system, xp, known, theta)
    rows = rows / xp.sqrt(amplified + system.noise_user_w)[..., None]
    both = quiet(system, xp, known, xp.concat([rows, eta], axis=1))
    h, eta = both[:, : system.users], both[:, system.users :]
    level = 10.0 ** (2.0 * values["regulariser"][:, 0] - 1.0)
    if not system.time_switching:
        return _family(system, xp, h, eta, level, values["user_power"], values.get("target_power"))
    slots = []
    for i in range(2):
        users, targets = system.user_slices[i], system.target_slices[i]
        aims = values["target_power"][:, targets] if "target_power" in values else None
        part = _family(system, xp, h[:, users], eta[:, targets], level, values["user_power"][:, users], aims)
        count = system.user_counts[i]
        whole = widened(system, xp, part[..., :count], i)
        if aims is not None:
            none = [xp.zeros((*part.shape[:-1], c), dtype=part.dtype) for c in system.target_counts]
            none[i] = part[..., count:]
            whole = xp.concat([whole, *none], axis=-1)
        slots.append(whole)
    return xp.stack(slots, axis=1)


def _family(
    system: MultiFunctional, xp: Any, h: Array, eta: Array, level: Array, users: Array, targets: Array | None
) -> Array:
    """Beams of one slot at given logits."""
    directions, logits = [], []
    if h.shape[1]:
        loading = level * mean_energy(xp, h)
        directions.append(towards_users(xp, h, loading))
        logits.append(users)
        if targets is not None:
            directions.append(unit(xp, loaded(xp, h, loading, unit(xp, herm(xp, eta)))))
    elif targets is not None:
        directions.append(unit(xp, herm(xp, eta)))
    if targets is not None:
        logits.append(targets)
    if not logits:
        return herm(xp, h)[..., :0]
    whole = xp.concat(directions, axis=-1)
    power = softmax(xp, LOGIT_GAIN * xp.concat(logits, axis=1)) * system.power_w
    return whole * xp.sqrt(power)[:, None, :]


def softmax(xp: Any, logits: Array) -> Array:
    """Softmax over the last axis."""
    shifted = xp.exp(logits - xp.max(logits, axis=-1, keepdims=True))
    return shifted / xp.sum(shifted, axis=-1, keepdims=True)
