"""Closed-form beams: the rule of `control="surface"` and the family of `control="structured"` (model page, section 12).

Array-API generic, differentiable in torch. Both work on slots: without time switching one slot with all users and targets, with
it one per side. Rows `h_k^H` over the amplitude of the user's noise are `h` (B, K, N), those of the targets `eta` (B, L, N); the
hat of the page (projected off what the sensors' filters hear) is a product with Pi.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ris_gym.arrays import Array, abs2, at_least, constant, energy, herm
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
    """`theta` scaled up or down to the surface's budget with `W W^H = (P_BS / N) I`, and how much larger it was, (B,) or (B, 2).

    From there the directions of the beams are computed, so that they do not depend on a common factor of theta, which the
    projection to the surface's budget changes.
    """
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


@dataclass
class Slot:
    """Directions of one slot and what they do at the scaled theta: users first, then the sensing streams.

    `directions` (B, N, K + S_0); `gain` (B, K, K + S_0): `|h_k^H d_j|^2`; `amplified` (B, K): surface noise at the users; W.
    `cost` (B, K + S_0): what the surface radiates of a watt of each direction; `own` (B,): of its noise, W.
    """

    directions: Array
    gain: Array
    amplified: Array
    cost: Array
    own: Array

    @property
    def users(self) -> int:
        """Users served in this slot."""
        return int(self.gain.shape[1])


def rule(system: MultiFunctional, xp: Any, known: MultiFunctionalScene, theta: Array, time: Array | None) -> Array:
    """Beams that aim at feasibility (steps 2 to 6), W (B, N, S) or (B, 2, N, S).

    Powers and the surface's scale depend on each other; step 6 is repeated until they agree, so that the rule's design is its own
    start (the page repeats it once).
    """
    scaled, size = isotropic(system, xp, known, theta)
    rows, eta, amplified = raw_rows(system, xp, known, scaled)
    noise = xp.sqrt(amplified + system.noise_user_w)
    both = quiet(system, xp, known, xp.concat([rows / noise[..., None], eta], axis=1))
    h, eta = both[:, : system.users], both[:, system.users :]
    gain = abs2(xp, scaled)
    parts = []
    for i in range(2) if system.time_switching else (None,):
        users = slice(None) if i is None else system.user_slices[i]
        targets = slice(None) if i is None else system.target_slices[i]
        reflecting = xp.sum(gain, axis=1) if i is None else gain[:, i]
        slot = _slot(system, xp, known, rows[:, users], amplified[:, users], h[:, users], eta[:, targets], reflecting)
        fraction = None if time is None else time if i == 0 else 1.0 - time
        w = _powered(system, xp, slot, size if i is None else size[:, i], fraction)
        parts.append(w if i is None else widened(system, xp, w, i))
    return parts[0] if len(parts) == 1 else xp.stack(parts, axis=1)


def raw_rows(system: MultiFunctional, xp: Any, known: MultiFunctionalScene, theta: Array) -> tuple[Array, Array, Array]:
    """`h_k^H` (B, K, N), `eta_l` (B, L, N), surface noise at each user (B, K), W."""
    assert known.reference is not None
    rows = (physics.spread(xp, theta, system.all_counts) * known.reference["rows"]) @ known.bs_ris
    amplified = physics.user_noise(system, xp, known, abs2(xp, theta)) - system.noise_user_w
    return rows[:, : system.users], rows[:, system.users :], at_least(xp, amplified, 0.0)


def _slot(
    system: MultiFunctional, xp: Any, known: MultiFunctionalScene, rows: Array, amplified: Array, h: Array, eta: Array,
    reflecting: Array,
) -> Slot:  # fmt: skip
    """Directions of a slot from rows without and with Pi."""
    users, streams = rows.shape[1], system.num_sensing_beams
    parts = []
    if users:
        ones = xp.ones((rows.shape[0],), dtype=xp.real(rows).dtype)
        parts.append(towards_users(xp, h, (users / system.power_w) * ones))
    if streams:
        parts.append(_sensing(system, xp, h, eta))
    parts.append(herm(xp, rows)[..., :0])  # nothing to send in a slot without users and sensing streams
    directions = xp.concat(parts, axis=-1)
    through = abs2(xp, known.bs_ris @ directions)
    cost = xp.sum(reflecting[..., None] * through, axis=1)
    own = system.noise_surface_w * xp.sum(reflecting, axis=-1)
    return Slot(directions, abs2(xp, rows @ directions), amplified, cost, own)


FIXED_POINT_ROUNDS = 16


def _powered(system: MultiFunctional, xp: Any, slot: Slot, size: Array, fraction: Array | None) -> Array:
    """Step 5 and its fixed point: W of the slot, (B, N, K + S_0). `size` (B,): of the given theta, over the scaled one."""
    rate = system.min_rate_bps_hz
    if fraction is None:
        required = RATE_MARGIN * (2.0**rate - 1.0) + 0.0 * size
    else:
        required = RATE_MARGIN * (xp.exp(physics.LN2 * rate / fraction) - 1.0)
    scale = size
    powers = _powers(system, xp, slot, scale, required)
    for _ in range(FIXED_POINT_ROUNDS if system.amplifies else 0):
        radiated = (xp.sum(powers * slot.cost, axis=-1) + slot.own) / system.surface_power_w
        scale = xp.minimum(size, 1.0 / xp.sqrt(at_least(xp, radiated, 1e-20)))
        powers = _powers(system, xp, slot, scale, required)
    return slot.directions * xp.sqrt(powers + 1e-30)[:, None, :]


def _powers(system: MultiFunctional, xp: Any, slot: Slot, scale: Array, required: Array) -> Array:
    """Powers of the directions with the surface at `scale`, W: users just served with the margin, the rest for sensing."""
    power, streams, users = system.power_w, system.num_sensing_beams, slot.users
    if not users:
        return xp.full_like(slot.cost, power / max(1, streams))
    squared = scale[:, None] ** 2
    relative = squared / (squared * slot.amplified + system.noise_user_w)
    gain = slot.gain * relative[..., None]
    mixed, heard = gain[..., :users], gain[..., users:]
    eye = constant(xp, np.eye(users), gain)
    own = at_least(xp, xp.sum(mixed * eye, axis=-1), 1e6 * float(xp.finfo(gain.dtype).smallest_normal))
    weight = required[:, None] / own
    mixing = eye - weight[..., None] * (mixed * (1.0 - eye))  # rows over their own gain
    average = xp.sum(heard, axis=-1) / max(1, streams)
    right = xp.stack([weight, weight * average], axis=-1)
    both = _solved(xp, mixing, right)
    a, b = both[..., 0], both[..., 1]
    left = (power - xp.sum(a, axis=-1)) / (1.0 + xp.sum(b, axis=-1))
    good = (left > 0.0) & xp.all(a >= 0.0, axis=-1) & xp.all(b >= 0.0, axis=-1)
    left = xp.where(good, left, xp.zeros_like(left))
    equal = xp.full_like(a, power / users)
    if not streams:  # nothing else to send: all power to the users, in proportion
        whole = xp.sum(a, axis=-1, keepdims=True)
        good = good & (whole[:, 0] > 0.0)
        return xp.where(good[:, None], a * (power / xp.where(good[:, None], whole, xp.ones_like(whole))), equal)
    data = xp.where(good[:, None], a + b * left[:, None], equal)
    share = xp.broadcast_to((left / streams)[:, None], (left.shape[0], streams))
    return xp.concat([data, share], axis=-1)


def _solved(xp: Any, matrix: Array, right: Array) -> Array:
    """Solutions (B, K, 2) of small systems; of matrices too large to have a positive one: negative."""
    eye = constant(xp, np.eye(matrix.shape[-1]), matrix)
    good = xp.max(xp.abs(matrix), axis=(-2, -1)) < 1e6
    safe = xp.where(good[:, None, None], matrix, eye) + 1e-13 * eye
    return xp.linalg.solve(safe, xp.where(good[:, None, None], right, -xp.ones_like(right)))


def widened(system: MultiFunctional, xp: Any, part: Array, side: int) -> Array:
    """Columns (users of a side, others) with zero columns for the other side's users."""
    count = system.user_counts[side]
    none = xp.zeros((*part.shape[:-1], system.user_counts[1 - side]), dtype=part.dtype)
    own = [part[..., :count], none] if side == 0 else [none, part[..., :count]]
    return xp.concat([*own, part[..., count:]], axis=-1)


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
    rows, eta, amplified = raw_rows(system, xp, known, isotropic(system, xp, known, theta)[0])
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
