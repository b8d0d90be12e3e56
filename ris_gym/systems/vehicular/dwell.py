"""Dwells on a vehicle and the filter of `vehicular`: detection, measurement noise, updates (section 4A). numpy.

A dwell of energy SNR gamma and duration T_d is detected with probability `Q_1(sqrt(2 gamma), sqrt(-2 ln P_fa))`; then u, r and r'
are measured with the Cramér-Rao variances (unknown complex amplitude; the three decouple).
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from ris_gym.systems.vehicular.motion import distance
from ris_gym.systems.vehicular.parameters import LIGHT_MPS

if TYPE_CHECKING:
    from ris_gym.systems.vehicular.parameters import Parameters

FLOOR = 1e-9
"""Floor of the energy SNR, and of the duration (s), in variances."""
NODES = 20001


@functools.cache
def _detection_table(false_alarm: float) -> tuple[np.ndarray, np.ndarray]:
    threshold = -2.0 * math.log(false_alarm)
    amplitude = np.linspace(0.0, math.sqrt(threshold) + 9.0, NODES)
    return amplitude, 1.0 - special.chndtr(threshold, 2.0, amplitude**2)


def detection(false_alarm: float, snr: np.ndarray) -> np.ndarray:
    """P_d at energy SNR gamma: survival at -2 ln P_fa of the noncentral chi-square, 2 degrees of freedom, noncentrality 2 gamma.

    From a table in sqrt(2 gamma), linear between nodes; off by less than 1e-7.
    """
    amplitude, probability = _detection_table(false_alarm)
    return np.interp(np.sqrt(2.0 * np.maximum(snr, 0.0)), amplitude, probability)


def variances(system: Parameters, snr: np.ndarray, duration_s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """sigma^2 of direction cosine, range (m^2) and radial speed (m^2/s^2)."""
    snr, duration_s = np.maximum(snr, FLOOR), np.maximum(duration_s, FLOOR)
    spectral = 3.0 / (2.0 * math.pi**2)
    cosine = 6.0 / (math.pi**2 * (system.num_antennas**2 - 1)) / snr
    reach = (0.5 * LIGHT_MPS / system.bandwidth_hz) ** 2 * spectral / snr
    speed = (0.5 * system.wavelength_m) ** 2 * spectral / (duration_s**2 * snr)
    return cosine, reach, speed


def jacobian(system: Parameters, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows of d (u, r, r') / d (x, v): `[D^2 / r^3, 0]`, `[x / r, 0]`, `[v D^2 / r^3, x / r]`, as (du, dr, dr'/dx, dr'/dv)."""
    position, speed = mean[..., 0], mean[..., 1]
    far = distance(system.road_offset_m, position)
    slope, cosine = system.road_offset_m**2 / far**3, position / far
    return slope, cosine, speed * slope, cosine


def observables(system: Parameters, position: np.ndarray, velocity: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """u, r (m), r' (m/s)."""
    far = distance(system.road_offset_m, position)
    return position / far, far, velocity * position / far


def scalar_update(
    mean: np.ndarray, covariance: np.ndarray, row: tuple[np.ndarray, np.ndarray], innovation: np.ndarray, variance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One measurement with row h (2 entries): `K = P h / (h^T P h + R)`, covariance in Joseph's form."""
    a, b = row
    p, q, s = covariance[..., 0, 0], covariance[..., 0, 1], covariance[..., 1, 1]
    left, right = p * a + q * b, q * a + s * b
    total = a * left + b * right + variance
    k, m = left / total, right / total
    i11, i12, i21, i22 = 1.0 - k * a, -k * b, -m * a, 1.0 - m * b
    f11, f12 = i11 * p + i12 * q, i11 * q + i12 * s  # (I - K h^T) P
    f21, f22 = i21 * p + i22 * q, i21 * q + i22 * s
    out = np.empty_like(covariance)
    out[..., 0, 0] = f11 * i11 + f12 * i12 + k * k * variance
    out[..., 0, 1] = out[..., 1, 0] = 0.5 * (f11 * i21 + f12 * i22 + f21 * i11 + f22 * i12) + k * m * variance
    out[..., 1, 1] = f21 * i21 + f22 * i22 + m * m * variance
    return np.stack([mean[..., 0] + k * innovation, mean[..., 1] + m * innovation], axis=-1), out


def report_update(
    system: Parameters, mean: np.ndarray, covariance: np.ndarray, reported: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A report (..., 2) of position and speed."""
    one, zero = np.ones_like(mean[..., 0]), np.zeros_like(mean[..., 0])
    for i, (row, variance) in enumerate(zip(((one, zero), (zero, one)), system.report_variance, strict=True)):
        innovation = reported[..., i] - mean[..., i]
        mean, covariance = scalar_update(mean, covariance, row, innovation, np.full_like(one, variance))
    return mean, covariance


def echo_update(
    system: Parameters, mean: np.ndarray, covariance: np.ndarray, measured: np.ndarray, snr: np.ndarray, duration_s: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Extended Kalman filter with z = (u, r, r') (..., 3), linearised at the mean.

    The noises are independent and the rows fixed, so that updates one after the other equal the joint one; u and r, whose rows
    are parallel, first join to one measurement of the position.
    """
    cosine, reach, speed = (v.astype(mean.dtype, copy=False) for v in variances(system, snr, duration_s))
    du, dr, dx, dv = jacobian(system, mean)
    u, r, radial = observables(system, mean[..., 0], mean[..., 1])
    position = 1.0 / (du * du / cosine + dr * dr / reach)
    off = position * (du * (measured[..., 0] - u) / cosine + dr * (measured[..., 1] - r) / reach)
    p, q, s = covariance[..., 0, 0], covariance[..., 0, 1], covariance[..., 1, 1]
    k, m = p / (p + position), q / (p + position)
    first = np.empty_like(covariance)
    first[..., 0, 0] = (1.0 - k) ** 2 * p + k * k * position
    first[..., 0, 1] = first[..., 1, 0] = (1.0 - k) * (q - m * p) + k * m * position
    first[..., 1, 1] = s - 2.0 * m * q + m * m * (p + position)
    moved_x, moved_v = k * off, m * off
    at = np.stack([mean[..., 0] + moved_x, mean[..., 1] + moved_v], axis=-1)
    innovation = measured[..., 2] - radial - dx * moved_x - dv * moved_v
    return scalar_update(at, first, (dx, dv), innovation, speed)


def information(system: Parameters, mean: np.ndarray, snr: np.ndarray, duration_s: np.ndarray) -> tuple[np.ndarray, ...]:
    """H^T R^-1 H of a dwell: entries (xx, xv, vv)."""
    cosine, reach, speed = variances(system, snr, duration_s)
    du, dr, dx, dv = jacobian(system, mean)
    return du**2 / cosine + dr**2 / reach + dx**2 / speed, dx * dv / speed, dv**2 / speed


def planned_update(
    system: Parameters, mean: np.ndarray, covariance: np.ndarray, snr: np.ndarray, duration_s: np.ndarray
) -> np.ndarray:
    """P^+ = (P^-1 + H^T R^-1 H)^-1 = (I + P J)^-1 P of a detected dwell, (..., 2, 2)."""
    xx, xv, vv = information(system, mean, snr, duration_s)
    p, q, s = covariance[..., 0, 0], covariance[..., 0, 1], covariance[..., 1, 1]
    determinant = np.maximum(p * s - q * q, 0.0)
    total = 1.0 + p * xx + 2.0 * q * xv + s * vv + determinant * np.maximum(xx * vv - xv * xv, 0.0)
    out = np.empty((*total.shape, 2, 2))
    out[..., 0, 0] = (p + determinant * vv) / total
    out[..., 0, 1] = out[..., 1, 0] = (q - determinant * xv) / total
    out[..., 1, 1] = (s + determinant * xx) / total
    return out
