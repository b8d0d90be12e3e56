"""Explicit forms of what `multifunctional` decides, for one scene: projection, decoding, beams by rule, start (page 3, 7.6, 12).

A plan is (beams (N, S), theta (2, M)) of one slot; without time switching there is one slot that serves both sides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import multifunctional_brute as brute
import numpy as np


@dataclass(frozen=True)
class Raw:
    """A design of one scene before or after projection; `beams`, `sensing` have a slot axis with time switching."""

    beams: np.ndarray
    sensing: np.ndarray
    theta: np.ndarray
    share: float | None = None


def traits(system: Any) -> tuple[str, bool]:
    """Name of the row of the page's table (`es`, `ms`, `ts`, `active`, ...), and whether elements amplify."""
    return (system.protocol if system.kind == "mf" else system.kind), system.kind in ("mf", "active")


def cap(system: Any) -> float:
    """Largest power gain."""
    return float(10.0 ** (system.max_gain_db / 10.0)) if traits(system)[1] else 1.0


def budgets(system: Any) -> tuple[float, float | None]:
    """P_BS and P_MF, W."""
    total = brute.watts(system.total_power_dbm)
    if not traits(system)[1]:
        return total, None
    return (1.0 - system.surface_share) * total, system.surface_share * total


def noise(system: Any) -> float:
    """sigma_s^2, W."""
    return brute.watts(system.noise_surface_dbm) if traits(system)[1] else 0.0


def raw_of(design: Any, b: int) -> Raw:
    share = None if design.time_fraction is None else float(design.time_fraction[b])
    return Raw(np.array(design.beams[b]), np.array(design.sensing_beams[b]), np.array(design.coefficients[b]), share)


def own_side(m: int) -> int:
    """Interleaved halves: even elements serve side r, odd ones side t."""
    return m % 2


def rounded(angle: float, bits: int | None) -> float:
    """The nearest multiple of 2 pi / 2^b, half-way cases up."""
    if bits is None:
        return angle
    levels = 2**bits
    return float(2.0 * np.pi * (np.floor(levels * angle / (2.0 * np.pi) + 0.5) % levels) / levels)


# -- projection (page 3) ------------------------------------------------------------------------------------------------------


def surface_step(system: Any, h: np.ndarray, w: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Step (4): all coefficients by one factor."""
    limit = budgets(system)[1]
    if limit is None:
        return theta
    power = brute.surface_power(h, w, theta, noise(system))
    return theta * np.sqrt(limit / power) if power > limit else theta


def project(system: Any, h: np.ndarray, raw: Raw) -> Raw:
    """Steps (0) to (4) in the page's order."""
    row, _ = traits(system)
    user_side = brute.sides(system.num_users)
    beams, sensing, theta, share = raw.beams.copy(), raw.sensing.copy(), raw.theta.copy(), raw.share
    if row == "ts":
        assert share is not None
        share = min(max(share, 0.05), 0.95)
        for i in range(2):
            beams[i][:, user_side != i] = 0.0
    elements = theta.shape[1]
    for i in range(2):
        for m in range(elements):
            if theta[i, m]:
                theta[i, m] = abs(theta[i, m]) * np.exp(1j * rounded(float(np.angle(theta[i, m])), system.phase_bits))
    for m in range(elements):
        if row == "ms":
            keep = 0 if abs(raw.theta[0, m]) >= abs(raw.theta[1, m]) else 1
        elif row in ("active", "passive"):
            keep = own_side(m)
        else:
            continue
        theta[1 - keep, m] = 0.0
    power = budgets(system)[0]
    whole: list[Any] = [0, 1] if row == "ts" else [...]
    for i in whole:
        size = np.sqrt(np.linalg.norm(beams[i]) ** 2 + np.linalg.norm(sensing[i]) ** 2)
        if size > np.sqrt(power):
            beams[i] *= np.sqrt(power) / size
            sensing[i] *= np.sqrt(power) / size
    for m in range(elements):
        for rows in ([0], [1]) if row == "ts" else ([0, 1],):
            q = float(np.sum(np.abs(theta[rows, m]) ** 2))
            if row == "star":
                theta[rows, m] = theta[rows, m] / np.sqrt(q) if q else np.sqrt(0.5)
            elif row == "passive":
                theta[own_side(m), m] = theta[own_side(m), m] / np.sqrt(q) if q else 1.0
            elif q > cap(system):
                theta[rows, m] *= np.sqrt(cap(system) / q)
    return finish(system, h, Raw(beams, sensing, theta, share))


def finish(system: Any, h: np.ndarray, raw: Raw) -> Raw:
    """Step (4) for every slot."""
    w = np.concatenate([raw.beams, raw.sensing], axis=-1)
    if traits(system)[0] != "ts":
        return replace(raw, theta=surface_step(system, h, w, raw.theta))
    return replace(raw, theta=np.concatenate([surface_step(system, h, w[i], raw.theta[i : i + 1]) for i in range(2)]))


# -- decoding by the page's list ----------------------------------------------------------------------------------------------


class Reader:
    """Takes numbers from the front of a raw action."""

    def __init__(self, numbers: np.ndarray) -> None:
        self.numbers = np.asarray(numbers, float)

    def take(self, *shape: int) -> np.ndarray:
        count = int(np.prod(shape))
        assert len(self.numbers) >= count, "the action is too short"
        out, self.numbers = self.numbers[:count], self.numbers[count:]
        return out.reshape(shape)

    def complex(self, *shape: int) -> np.ndarray:
        re = self.take(*shape)
        return re + 1j * self.take(*shape)


def surface_of(system: Any, reader: Reader) -> tuple[np.ndarray, float | None, np.ndarray | None]:
    """Coefficients before step (4), lambda_r and modes, from `phase`, `amplitude`, `split`, `mode`, `time_fraction`."""
    row, amplifies = traits(system)
    m = system.num_elements_h * system.num_elements_v
    both = row in ("es", "ts", "star")

    def turn(x: float) -> complex:
        if system.phase_bits is None:
            return complex(np.exp(1j * np.pi * x))
        levels = 2**system.phase_bits
        return complex(np.exp(2j * np.pi * (np.floor(levels * x / 2.0 + 0.5) % levels) / levels))

    phase = reader.take(2, m) if both else reader.take(m)
    level = np.ones((2, m) if row == "ts" else m)
    if amplifies:
        level = np.sqrt(cap(system)) * (reader.take(*level.shape) + 1.0) / 2.0
    theta, mode, share = np.zeros((2, m), complex), None, None
    if row in ("es", "star"):
        psi = np.pi * (reader.take(m) + 1.0) / 4.0
    if row == "ms":
        mode = np.array([0 if x >= 0 or not level[e] else 1 for e, x in enumerate(reader.take(m))])
    if row == "ts":
        share = float(0.5 + 0.45 * reader.take(1)[0])
    for e in range(m):
        if row in ("es", "star"):
            theta[0, e] = level[e] * np.cos(psi[e]) * turn(phase[0, e])
            theta[1, e] = level[e] * np.sin(psi[e]) * turn(phase[1, e])
        elif row == "ts":
            for i in range(2):
                theta[i, e] = level[i, e] * turn(phase[i, e])
        else:
            theta[own_side(e) if mode is None else mode[e], e] = level[e] * turn(phase[e])
    return theta, share, mode


def decode_full(system: Any, h: np.ndarray, action: np.ndarray) -> tuple[Raw, np.ndarray | None]:
    """`control="full"`: the design and the modes."""
    row, _ = traits(system)
    reader = Reader(action)
    n, k, s0 = system.num_antennas, sum(system.num_users), system.num_sensing_beams
    lead = (2,) if row == "ts" else ()
    beams = reader.complex(*lead, n, k)
    sensing = reader.complex(*lead, n, s0)
    power = budgets(system)[0]
    if row == "ts":
        side = brute.sides(system.num_users)
        for i in range(2):
            beams[i][:, side != i] = 0.0  # before the norm, as in the projection
    whole: list[Any] = [0, 1] if row == "ts" else [...]
    for i in whole:
        size = max(1.0, float(np.sqrt(np.linalg.norm(beams[i]) ** 2 + np.linalg.norm(sensing[i]) ** 2)))
        beams[i] *= np.sqrt(power) / size
        sensing[i] *= np.sqrt(power) / size
    theta, share, mode = surface_of(system, reader)
    assert not len(reader.numbers), "the action is too long"
    return finish(system, h, Raw(beams, sensing, theta, share)), mode


# -- reference filter of 7.6 --------------------------------------------------------------------------------------------------


def reference(system: Any, c: brute.Case) -> tuple[np.ndarray, np.ndarray]:
    """u_i (2, M_s) up to a phase, and the projector (N, N) off span {G_i^H u_i}."""
    assert c.g is not None and c.b is not None
    n, sensors = c.h.shape[1], c.receivers
    filters, spans = [], []
    for i in range(2):
        response = sum(c.alpha[l] * np.outer(c.b[l], c.a[l].conj()) for l in c.targets(i))
        left = np.linalg.svd(c.g[i])[0][:, : max(min(n, sensors // 2), 1)]
        off = np.eye(sensors) - left @ left.conj().T
        u = np.linalg.svd(off @ response)[0][:, 0]
        filters.append(u)
        spans.append(c.g[i].conj().T @ u)
    basis = np.linalg.qr(np.stack(spans, axis=1))[0]
    return np.stack(filters), np.eye(n) - basis @ basis.conj().T


# -- beams by rule (page 12) --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Slot:
    """What a slot serves."""

    users: list[int]
    targets: list[int]
    rate: float


def slot_list(system: Any, share: float | None) -> list[Slot]:
    """One slot, or two with time switching."""
    user_side, target_side = brute.sides(system.num_users), brute.sides(system.num_targets)
    if share is None:
        return [Slot(list(range(len(user_side))), list(range(len(target_side))), system.min_rate_bps_hz)]
    return [
        Slot(
            [int(k) for k in np.flatnonzero(user_side == i)],
            [int(l) for l in np.flatnonzero(target_side == i)],
            system.min_rate_bps_hz / ([share, 1.0 - share][i]),
        )
        for i in range(2)
    ]


def unit(columns: np.ndarray) -> np.ndarray:
    """Columns of length 1; 0 stays 0."""
    length = np.linalg.norm(columns, axis=0)
    return columns / np.where(length > 0, length, 1.0)


def prepared(c: brute.Case, off: np.ndarray, slot: Slot) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of the users in units of their noise, the same behind the projector, and of the targets (rows eta_l)."""
    rows = [brute.user_row(c, k) / np.sqrt(brute.user_noise(c, k)) for k in slot.users]
    bar = np.array(rows).reshape(len(rows), c.h.shape[1])
    eta = np.array([(c.a[l].conj() * c.theta[c.target_side[l]]) @ c.h for l in slot.targets])
    return bar, bar @ off, eta


def isotropic(system: Any, c: brute.Case) -> brute.Case:
    """Step 1: the surface scaled for `W W^H = P_BS / N I`."""
    n = c.h.shape[1]
    return replace(c, theta=surface_step(system, c.h, np.sqrt(budgets(system)[0] / n) * np.eye(n), c.theta))


def feasibility_powers(bar: np.ndarray, data: np.ndarray, sensing: np.ndarray, gamma: float, power: float) -> tuple[Any, float]:
    """Step 5: powers of the data directions, power of all sensing streams."""
    users = len(bar)
    gain = np.abs(bar @ data) ** 2
    leak = np.mean(np.abs(bar @ sensing) ** 2, axis=1) if sensing.shape[1] else np.zeros(users)
    own = np.diag(np.diag(gain))
    if not np.all(np.diag(gain)):
        return np.full(users, power / users), 0.0
    inverse = np.linalg.inv(own - gamma * (gain - own))
    a, b = gamma * inverse @ np.ones(users), gamma * inverse @ leak
    rest = float((power - a.sum()) / (1.0 + b.sum()))
    if rest <= 0.0 or np.any(a < 0.0) or np.any(b < 0.0):
        return np.full(users, power / users), 0.0
    return a + b * rest, rest


def rule_beams(system: Any, c: brute.Case, off: np.ndarray, slot: Slot) -> np.ndarray:
    """Steps 2 to 5 at the theta of `c`: W (N, users of the slot + S_0). Needs a user and 1 <= S_0 <= targets of the slot."""
    power, streams = budgets(system)[0], system.num_sensing_beams
    bar, hat, eta = prepared(c, off, slot)
    k, n = len(bar), c.h.shape[1]
    data = unit(np.linalg.inv(hat.conj().T @ hat + k / power * np.eye(n)) @ hat.conj().T)
    loading = 0.1 * np.linalg.norm(hat) ** 2 / k
    goals = np.zeros((n, streams), complex)
    for l in range(len(eta)):
        goals[:, [l % streams]] += unit(off @ eta[l].conj()[:, None])
    sensing = unit(np.linalg.inv(hat.conj().T @ hat + loading * np.eye(n)) @ goals)
    gamma = 10.0**0.1 * (2.0**slot.rate - 1.0)
    powers, rest = feasibility_powers(bar, data, sensing, gamma, power)
    return np.concatenate([data * np.sqrt(powers), sensing * np.sqrt(rest / streams)], axis=1)


def family_beams(
    system: Any, c: brute.Case, off: np.ndarray, slot: Slot, user: np.ndarray, target: np.ndarray, x: float
) -> np.ndarray:
    """Beams of the family of `structured` at the theta of `c`: W (N, users + targets of the slot); all logits."""
    _, hat, eta = prepared(c, off, slot)
    loading = 10.0 ** (2.0 * x - 1.0) * np.linalg.norm(hat) ** 2 / len(hat)
    inverse = np.linalg.inv(hat.conj().T @ hat + loading * np.eye(c.h.shape[1]))
    directions = unit(inverse @ np.concatenate([hat, eta @ off]).conj().T)
    logits = 4.0 * np.concatenate([user[slot.users], target[slot.targets]])
    return directions * np.sqrt(budgets(system)[0] * np.exp(logits) / np.sum(np.exp(logits)))


Make = Callable[[brute.Case, np.ndarray, Slot], np.ndarray]


def rounds(system: Any, make: Make, count: int) -> Callable[[brute.Case, np.ndarray, Slot], tuple[np.ndarray, np.ndarray]]:
    """The page's order: step 1, then beams at the scaled theta and step (4), `count` times."""

    def run(c: brute.Case, off: np.ndarray, slot: Slot) -> tuple[np.ndarray, np.ndarray]:
        c = isotropic(system, c)
        for _ in range(count):
            w = make(c, off, slot)
            c = replace(c, theta=surface_step(system, c.h, w, c.theta))
        return w, c.theta

    return run


def per_slot(system: Any, scene: Any, raw: Raw, b: int, columns: int, run: Any, places: bool) -> Raw:
    """Fill a design slot by slot with what `run` returns (W, theta); `places`: sensing columns belong to targets."""
    row, _ = traits(system)
    n, users = system.num_antennas, sum(system.num_users)
    beams, sensing = np.zeros((2, n, users), complex), np.zeros((2, n, columns), complex)
    theta = np.array(raw.theta)
    for i, slot in enumerate(slot_list(system, raw.share)):
        part = np.array(raw.theta)
        if row == "ts":
            part[1 - i] = 0.0
        c = replace(bare_case(system, scene, b), theta=part)
        off = reference(system, c)[1] if system.kind == "mf" else np.eye(n)
        w, scaled = run(c, off, slot)
        beams[i][:, slot.users] = w[:, : len(slot.users)]
        sensing[i][:, slot.targets if places else range(columns)] = w[:, len(slot.users) :]
        theta = scaled if row != "ts" else np.stack([scaled[0], theta[1]] if i == 0 else [theta[0], scaled[1]])
    if row != "ts":
        return Raw(beams[0], sensing[0], theta, None)
    return Raw(beams, sensing, theta, raw.share)


def bare_case(system: Any, scene: Any, b: int) -> brute.Case:
    """Channels of entry `b` without a design."""

    class Nothing:
        beams = sensing_beams = np.zeros((b + 1, system.num_antennas, 0))
        coefficients = np.zeros((b + 1, 2, system.num_elements))

    return brute.case(system, scene, Nothing, b)


@dataclass(frozen=True)
class Task:
    """An action of `surface` or `structured`: the theta that it names, and how beams follow from a theta."""

    theta: np.ndarray
    share: float | None
    make: Make
    columns: int
    places: bool

    def run(self, system: Any, scene: Any, b: int, run: Any, theta: np.ndarray | None = None) -> Raw:
        """`run` on every slot, from `theta` (None: the one of the action)."""
        raw = Raw(np.zeros(0), np.zeros(0), self.theta if theta is None else theta, self.share)
        return per_slot(system, scene, raw, b, self.columns, run, self.places)

    def by_page(self, system: Any, scene: Any, b: int) -> Raw:
        """In the page's order (the rule goes round twice)."""
        return self.run(system, scene, b, rounds(system, self.make, 1 if self.places else 2))

    def binds(self, system: Any, scene: Any, b: int) -> bool:
        """Whether the surface's budget scales the action's theta anywhere on the page's way."""
        norm = np.linalg.norm(self.by_page(system, scene, b).theta, axis=1)
        return bool(np.any(norm < np.linalg.norm(self.theta, axis=1) * (1.0 - 1e-12)))


def task(system: Any, action: np.ndarray, control: str) -> Task:
    """Read an action (S_0 >= 1)."""
    reader = Reader(action)
    theta, share, _ = surface_of(system, reader)
    if control == "surface":
        assert not len(reader.numbers)
        return Task(theta, share, lambda c, off, s: rule_beams(system, c, off, s), system.num_sensing_beams, False)
    user, target, x = reader.take(sum(system.num_users)), reader.take(sum(system.num_targets)), reader.take(1)[0]
    assert not len(reader.numbers)
    return Task(theta, share, lambda c, off, s: family_beams(system, c, off, s, user, target, x), sum(system.num_targets), True)


def start_task(system: Any, scene: Any, b: int) -> Task:
    """The start rule, up to a common phase of all coefficients (that of the singular vector)."""
    row, _ = traits(system)
    c = bare_case(system, scene, b)
    heard = c.h @ np.linalg.svd(c.h)[2][0].conj()
    theta = np.zeros_like(c.theta, dtype=complex)
    for i in range(2):
        goal = sum((c.a[l] for l in c.targets(i)), np.zeros(c.h.shape[0], complex))
        for k in np.flatnonzero(c.user_side == i):
            goal = goal + c.users[k] / np.sqrt(np.mean(np.abs(c.users[k]) ** 2))
        theta[i] = np.exp(1j * np.angle(goal * heard.conj()))
        if row in ("ms", "active", "passive"):
            theta[i] *= np.array([own_side(m) == i for m in range(c.h.shape[0])])
    theta *= np.sqrt(cap(system) * (0.5 if row in ("es", "star") else 1.0))
    share = 0.5 if row == "ts" else None
    return Task(theta, share, lambda c, off, s: rule_beams(system, c, off, s), system.num_sensing_beams, False)
