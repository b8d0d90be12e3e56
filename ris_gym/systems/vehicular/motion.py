"""Geometry and motion of `vehicular`: direction cosine, SNRs, kinematics, beliefs ahead (sections 2A, 4A). numpy.

A belief is a mean (..., 2) and a covariance (..., 2, 2) of position along the road (m) and speed (m/s).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ris_gym.systems.vehicular.parameters import Parameters

LEAST_SPREAD = 1e-6
"""Floor of the standard deviation s of a direction cosine."""


def distance(offset_m: float, position: np.ndarray) -> np.ndarray:
    """r = sqrt(x^2 + D^2), m."""
    return np.sqrt(position**2 + offset_m**2)


def comm_snr(system: Parameters, position: np.ndarray) -> np.ndarray:
    """Aligned SNR rho_c of the passenger's data link."""
    return system.comm_scale / (position**2 + system.road_offset_m**2)


def echo_energy(system: Parameters, position: np.ndarray) -> np.ndarray:
    """L rho_e: energy SNR of the aligned echo of a whole slot, after combining at the BS."""
    return (system.slot_samples * system.echo_scale) / (position**2 + system.road_offset_m**2) ** 2


def step_matrices(psd: float, dt: float) -> tuple[np.ndarray, np.ndarray]:
    """F and Q (2, 2) of a step dt: `Q = q [[dt^3 / 3, dt^2 / 2], [dt^2 / 2, dt]]`."""
    return np.array([[1.0, dt], [0.0, 1.0]]), psd * np.array([[dt**3 / 3.0, dt**2 / 2.0], [dt**2 / 2.0, dt]])


def root(covariance: np.ndarray) -> np.ndarray:
    """Cholesky factor (2, 2), zero for zero noise."""
    return np.linalg.cholesky(covariance) if covariance[0, 0] > 0.0 else np.zeros((2, 2))


def predict(
    mean: np.ndarray, covariance: np.ndarray, psd: float, dt: float | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The belief dt later: `F m`, `F P F^T + Q`; dt: a number, or one per belief."""
    dt = np.asarray(dt, mean.dtype)
    out, position = np.empty_like(covariance), mean[..., 0] + dt * mean[..., 1]
    cross = covariance[..., 0, 1] + dt * covariance[..., 1, 1]
    out[..., 0, 0] = covariance[..., 0, 0] + dt * (covariance[..., 0, 1] + cross) + psd * dt**3 / 3.0
    out[..., 0, 1] = out[..., 1, 0] = cross + psd * dt**2 / 2.0
    out[..., 1, 1] = covariance[..., 1, 1] + psd * dt
    return np.stack([position, mean[..., 1]], axis=-1), out


@dataclass(frozen=True)
class Pointing:
    """What beams are made of: the believed direction cosine and its standard deviation."""

    cosine: np.ndarray
    spread: np.ndarray


def pointing(system: Parameters, mean: np.ndarray, covariance: np.ndarray) -> Pointing:
    """`u = x / r` and `s = D^2 / r^3 sqrt(P_xx)` at the mean."""
    position = mean[..., 0]
    far = distance(system.road_offset_m, position)
    spread = system.road_offset_m**2 / far**3 * np.sqrt(np.maximum(covariance[..., 0, 0], 0.0))
    return Pointing(position / far, np.maximum(spread, mean.dtype.type(LEAST_SPREAD)))


@dataclass(frozen=True)
class Outlook:
    """Beliefs of what is known, predicted to each vehicle's own slot (k + 1 steps of T_s), and what follows; (B, K), double."""

    mean: np.ndarray  # (B, K, 2)
    covariance: np.ndarray  # (B, K, 2, 2)
    cosine: np.ndarray
    spread: np.ndarray
    report_cosine: np.ndarray  # of the belief from reports alone
    report_spread: np.ndarray
    comm: np.ndarray  # rho_c
    echo: np.ndarray  # L rho_e


def outlook(system: Parameters, known: Any) -> Outlook:
    """See `Outlook`."""
    ahead = system.slot_s * np.arange(1.0, system.num_users + 1)

    def own(mean: Any, covariance: Any) -> tuple[np.ndarray, np.ndarray]:
        return predict(np.asarray(mean, float), np.asarray(covariance, float), system.acceleration_psd_m2ps3, ahead)

    mean, covariance = own(known.belief_mean, known.belief_cov)
    seen = pointing(system, mean, covariance)
    reported = seen if system.s_assist else pointing(system, *own(known.report_mean, known.report_cov))
    return Outlook(
        mean, covariance, seen.cosine, seen.spread, reported.cosine, reported.spread, comm_snr(system, mean[..., 0]),
        echo_energy(system, mean[..., 0]),
    )  # fmt: skip
