"""Optimal time of one frame at known positions, slot lengths free or equal, and whether sensing pays at all (model page, 7A).

Vehicle k is served for a share c_k of the frame and sensed for a share e_k: its dedicated time tau_k and, with a helper, the time
c_{k-1} in which it reflects the signal of the vehicle before it. With `f_k = L_f rho_e,k E A(2 Delta)` (L_f = B_w frame_s), prior
spread s_k and detection probability P_d at energy SNR f_k e,

    phi_k(e) = P_d(f_k e) phi(rho_c,k, s_k^+(e)) + (1 - P_d(f_k e)) phi(rho_c,k, s_k),    f_k e_k >= Gamma .

Focused beams, mode switching; the first vehicle has no helper. `c_assist` of the system: whether vehicles help; `s_assist`:
whether what was sensed points the data beams (False: `phi_k = phi(rho_c,k, s_k)`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from baselines.tools.linalg import Array
from ris_gym.systems.vehicular import motion, planning

__all__ = ["Allocation", "Frame", "Payoff", "equal_slots", "flexible_slots", "frame", "sensing_payoff"]

HIGHEST_RATE = 30.0
NEVER = 1e12
"""Time, in frames, of what cannot be."""


@dataclass(frozen=True)
class Frame:
    """One frame of a system: mean energy SNR of a whole frame of sensing, and expected rates.

    Attributes:
        full: f_k, (K,), linear.
        helped: whether vehicle k + 1 reflects while vehicle k is served.
    """

    full: Array
    helped: bool
    _single: Any
    _look: motion.Outlook

    def rate(self, sensed: Array) -> Array:
        """phi_k at sensed shares e (K, ...) or (...) for all vehicles alike -> (K, ...), bit/s/Hz of the time served."""
        sensed = np.asarray(sensed, float)
        if sensed.ndim < 2:
            sensed = np.broadcast_to(sensed, (len(self.full), *sensed.shape[-1:]))
        zero = np.zeros_like(sensed)
        energy = self.full.reshape(-1, *[1] * (sensed.ndim - 1)) * sensed
        return planning.data_rate(self._single, self._look, 0, energy, zero, sensed, zero)

    def sensed(self, served: Array, dedicated: Array) -> Array:
        """e_k from c and tau, (..., K)."""
        before = np.roll(served, 1, axis=-1) * (np.arange(np.shape(served)[-1]) > 0)
        return np.asarray(dedicated) + (before if self.helped else 0.0)

    def value(self, served: Array, dedicated: Array) -> tuple[Array, Array]:
        """Rates c_k phi_k(e_k) and energy SNRs f_k e_k, both (n, K), of shares (n, K)."""
        sensed = self.sensed(served, dedicated)
        return np.asarray(served) * self.rate(sensed.T).T, sensed * self.full


@dataclass(frozen=True)
class Allocation:
    """Optimal shares of the frame for G thresholds; nan where the requirement cannot be met.

    Attributes:
        rate: (G,) `K min_k c_k phi_k` (flexible slots) or `sum_k c_k phi_k` (equal slots), bit/s/Hz.
        served, dedicated: c and tau, (G, K).
    """

    rate: Array
    served: Array
    dedicated: Array


@dataclass(frozen=True)
class Payoff:
    """What sensing is worth to each vehicle alone, (K,).

    Attributes:
        share: the a that maximises `(1 - a) phi(a)`. gain: the maximum over phi(0).
        slope: `(phi(a_1) - phi(0)) / (a_1 phi(0))` at the smallest share a_1 above 0; the local condition asks for more than 1.
    """

    share: Array
    gain: Array
    slope: Array


def frame(
    system: Any, position_m: Sequence[float] | Array, velocity_mps: float | Array, position_std_m: float | Array,
    velocity_std_mps: float | Array,
) -> Frame:  # fmt: skip
    """The frame of vehicles at known positions (K,) and speeds with independent prior errors.

    Raises:
        ValueError: no vehicle, a joint stage (`reflect_share` below 1), or a standard deviation of 0 or below.
    """
    place = np.atleast_1d(np.asarray(position_m, float))
    if place.ndim != 1 or not len(place):
        raise ValueError(f"position_m must hold one position per vehicle, got {position_m!r}")
    if system.reflect_share < 1.0:
        raise ValueError(f"reflect_share must be 1 (mode switching) for optimal times, got {system.reflect_share!r}")
    given = (velocity_mps, position_std_m, velocity_std_mps)
    speed, std, speed_std = (np.broadcast_to(np.asarray(value, float), place.shape) for value in given)
    for name, value in (("position_std_m", std), ("velocity_std_mps", speed_std)):
        if not np.all(value > 0.0):
            raise ValueError(f"{name} must be positive, got {value.tolist()}")
    single = dataclasses.replace(system, num_users=1)  # one slot: the frame
    mean = np.stack([place, speed], axis=-1)[:, None]
    covariance = np.zeros((len(place), 1, 2, 2))
    covariance[:, 0, 0, 0], covariance[:, 0, 1, 1] = std**2, speed_std**2
    seen = motion.pointing(single, mean, covariance)
    look = motion.Outlook(
        mean, covariance, seen.cosine, seen.spread, seen.cosine, seen.spread, motion.comm_snr(single, mean[..., 0]),
        motion.echo_energy(single, mean[..., 0]),
    )  # fmt: skip
    return Frame(planning.mean_echo(single, look, 0.0)[:, 0], system.c_assist and len(place) > 1, single, look)


# -- slots of any length --------------------------------------------------------------------------------------------------------


def flexible_slots(scene: Frame, thresholds_db: Sequence[float] | Array, grid: int = 1201, tolerance: float = 1e-4) -> Allocation:
    """Maximise `K min_k c_k phi_k(e_k)` subject to `sum_k c_k + tau_k <= 1` and `f_k e_k >= Gamma`, for every Gamma.

    Bisection on the common rate t. For fixed t the least total time: with helpers a chain, by backward dynamic programming

        V_k(c_{k-1}) = min c_k + V_{k+1}(c_k)  over  c_k >= t / (K phi_k(c_{k-1})),    then over c_0 = tau_1,

    as dedicated time is never needed but for the first vehicle (moved into c_{k-1} it keeps e_k and the total and raises the rate
    of vehicle k - 1); without helpers every vehicle on its own, `min_tau tau + t / (K phi_k(tau))`. Shares lie on a grid that
    holds the least sensed shares Gamma / f_k, and at the smallest c_k that serves t, where V is linear between grid points.

    Args:
        thresholds_db: Gamma, (G,). grid: points in [0, 1]. tolerance: of the rate, bit/s/Hz.

    Raises:
        ValueError: grid below 3, tolerance not positive.

    Source: Fig. 4 of the survey; it stands in for the polyblock algorithm of arXiv 2212.12909 (same optimum).
    """
    if int(grid) != grid or grid < 3:
        raise ValueError(f"grid must be an integer of at least 3, got {grid!r}")
    if not tolerance > 0.0:
        raise ValueError(f"tolerance must be positive, got {tolerance!r}")
    chain = _Chain(scene, 10.0 ** (np.atleast_1d(np.asarray(thresholds_db, float)) / 10.0), int(grid))
    low, high = np.zeros(chain.count), np.full(chain.count, HIGHEST_RATE)
    while np.max(high - low) > tolerance:
        middle = 0.5 * (low + high)
        fits = chain.least_time(middle)[0] <= 1.0
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    total, served, dedicated = chain.least_time(low)
    possible = total <= 1.0
    rate = np.where(possible, low, np.nan)
    return Allocation(rate, np.where(possible[:, None], served, np.nan), np.where(possible[:, None], dedicated, np.nan))


class _Chain:
    """Least total time for G thresholds at once. Axes: threshold, grid."""

    def __init__(self, scene: Frame, threshold: Array, grid: int) -> None:
        self.scene, self.count, self.users = scene, len(threshold), len(scene.full)
        least = threshold[:, None] / scene.full  # (G, K)
        even = np.broadcast_to(np.linspace(0.0, 1.0, grid), (self.count, grid))
        # points[k]: sensed shares of vehicle k, which are the served shares of vehicle k - 1 where it helps
        self.points = [np.sort(np.concatenate([even, np.minimum(least[:, [k]], 1.0)], axis=1), axis=1) for k in range(self.users)]
        self.allowed = [self.points[k] >= np.minimum(least[:, [k]], np.nextafter(1.0, 2.0)) for k in range(self.users)]
        self.phi = [self._phi(k) for k in range(self.users)]

    def _phi(self, k: int) -> Array:
        flat = np.zeros((self.users, self.points[k].size))
        flat[k] = self.points[k].ravel()
        return self.scene.rate(flat)[k].reshape(self.points[k].shape)

    def least_time(self, rate: Array) -> tuple[Array, Array, Array]:
        """Total time (G,), c and tau (G, K) that serve every vehicle at `rate` / K, rate (G,)."""
        goal = rate[:, None] / self.users
        needed = [np.where(self.allowed[k], goal / self.phi[k], NEVER) for k in range(self.users)]
        rows = np.arange(self.count)
        served, dedicated = np.zeros((2, self.count, self.users))
        if not self.scene.helped:
            total = np.zeros(self.count)
            for k in range(self.users):
                time = self.points[k] + needed[k]
                best = np.argmin(time, axis=1)
                total += time[rows, best]
                served[:, k], dedicated[:, k] = needed[k][rows, best], self.points[k][rows, best]
            return total, served, dedicated
        value, chosen = needed[-1], [needed[-1]]
        for k in range(self.users - 2, -1, -1):
            value, own = self._before(needed[k], self.points[k + 1], value)
            chosen.append(own)
        chosen.reverse()
        total = self.points[0] + value
        dedicated[:, 0] = self.points[0][rows, np.argmin(total, axis=1)]
        at = dedicated[:, 0]
        for k in range(self.users):
            served[:, k] = at = _linear(self.points[k], chosen[k], at[:, None])[:, 0]
        return total.min(axis=1), served, dedicated

    def _before(self, needed: Array, points: Array, value: Array) -> tuple[Array, Array]:
        """V_k and c_k on the grid of c_{k-1}, from `points` of c_k and V_{k+1} there."""
        total = points + value
        backwards = np.minimum.accumulate(total[:, ::-1], axis=1)[:, ::-1]
        index = np.where(total <= backwards, np.arange(total.shape[1]), total.shape[1])
        index = np.minimum(np.minimum.accumulate(index[:, ::-1], axis=1)[:, ::-1], total.shape[1] - 1)  # where the minimum is
        after = np.stack([np.searchsorted(row, need) for row, need in zip(points, needed, strict=True)])
        outside = after >= total.shape[1]
        after = np.minimum(after, total.shape[1] - 1)
        on_grid = np.where(outside, NEVER, np.take_along_axis(backwards, after, axis=1))
        exact = needed + _linear(points, value, np.minimum(needed, 1.0))
        own = np.where(exact <= on_grid, needed, np.take_along_axis(np.take_along_axis(points, index, axis=1), after, axis=1))
        return np.minimum(on_grid, exact), own


def _linear(points: Array, values: Array, at: Array) -> Array:
    """Values (G, n) at increasing points (G, n) from 0 to 1, linear between them, at (G, m) in [0, 1]."""
    return np.stack([np.interp(x, row, value) for x, row, value in zip(at, points, values, strict=True)])


# -- equal slots ----------------------------------------------------------------------------------------------------------------


def equal_slots(scene: Frame, thresholds_db: Sequence[float] | Array, grid: int = 201) -> Allocation:
    """Maximise `sum_k c_k phi_k(e_k)` with slots of 1 / K: `tau_k = a_k / K`, `c_k = (1 - a_k) / K`, a_k on a grid; exact on it.

    Dynamic programming along the chain, as in `baselines.vehicular.myopic`, subject to `f_k e_k >= Gamma`.

    Args:
        thresholds_db: Gamma, (G,). grid: shares a in [0, 1].

    Raises:
        ValueError: grid below 2.
    """
    if int(grid) != grid or grid < 2:
        raise ValueError(f"grid must be an integer of at least 2, got {grid!r}")
    share, users = np.linspace(0.0, 1.0, grid), len(scene.full)
    threshold = 10.0 ** (np.atleast_1d(np.asarray(thresholds_db, float)) / 10.0)
    helped = (1.0 - share[:, None] if scene.helped else np.zeros((1, 1))) / users
    # only the sum a_k - a_{k-1} matters: 2 n - 1 values
    steps = np.arange(-(grid - 1), grid) / (grid - 1.0)
    phi = scene.rate((steps + 1.0) / users) if scene.helped else scene.rate(share / users)
    offset = np.arange(grid) - np.arange(grid)[:, None] + grid - 1 if scene.helped else np.arange(grid)[None]
    first = scene.rate(share / users)[0]
    value = np.where(scene.full[0] * share / users >= threshold[:, None] * (1.0 - 1e-12), (1.0 - share) * first / users, -np.inf)
    before = []
    for k in range(1, users):
        sensed = share / users + helped  # (a_{k-1}, a_k)
        gain = (1.0 - share) * phi[k][offset] / users
        enough = scene.full[k] * sensed >= threshold[:, None, None] * (1.0 - 1e-12)
        total = value[:, :, None] + np.where(enough, gain, -np.inf)
        before.append(np.argmax(total, axis=1))
        value = np.max(total, axis=1)
    rows, chosen = np.arange(len(threshold)), [np.argmax(value, axis=1)]
    for best in reversed(before):
        chosen.append(best[rows, chosen[-1]])
    a = share[np.stack(chosen[::-1], axis=1)]
    rate = value.max(axis=1)
    possible = np.isfinite(rate)[:, None]
    return Allocation(
        np.where(possible[:, 0], rate, np.nan),
        np.where(possible, (1.0 - a) / users, np.nan),
        np.where(possible, a / users, np.nan),
    )


# -- when sensing pays ----------------------------------------------------------------------------------------------------------


def sensing_payoff(scene: Frame, shares: Sequence[float] | Array) -> Payoff:
    """The share a of its own slot, here the whole frame, that maximises `(1 - a) phi_k(a)`, for every vehicle alone, (K,).

    Sensing pays where the maximum exceeds `phi_k(0)`. With a detection threshold phi is flat at 0, so that the local condition
    `phi'(0+) > phi(0)` says little.

    Args:
        shares: candidates, (n,), increasing, the first one 0.

    Raises:
        ValueError: shares that do not begin with 0, or do not increase within [0, 1].
    """
    a = np.asarray(shares, float)
    if a.ndim != 1 or len(a) < 2 or a[0] != 0.0 or np.any(np.diff(a) <= 0.0) or a[-1] > 1.0:
        raise ValueError(f"shares must increase from 0 within [0, 1], got {shares!r}")
    phi = scene.rate(a)
    total = (1.0 - a) * phi
    best = np.argmax(total, axis=1)
    start = phi[:, 0]
    return Payoff(a[best], total[np.arange(len(best)), best] / start, (phi[:, 1] - start) / a[1] / start)
