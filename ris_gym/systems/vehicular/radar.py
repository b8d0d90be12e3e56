"""An unauthorised radar that watches vehicles of `vehicular`, and surfaces that hide from it (part D4). numpy.

A radar at (x_e, y_e) sees vehicle k at distance r_e and direction cosine u_e. With reflecting coefficients v and the monostatic
response `c_i(u) = exp(-2 pi j i u)` (i centred) the BS's gain is `A_b = |c(u)^T v|^2 / N_x^2`, the radar's `A_r` the same at u_e.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import optimize, special

from ris_gym.arrays import cis

if TYPE_CHECKING:
    from ris_gym.systems.vehicular.motion import Outlook
    from ris_gym.systems.vehicular.parameters import Parameters
    from ris_gym.systems.vehicular.records import VehicularDesign

ROUNDS = 200
INSIDE = 0.95
ROBUST = (-1.5, 1.5)
"""Points beside the believed direction, in standard deviations, with `radar_robust`."""


def seen(system: Parameters, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """u_e and r_e (m) of vehicles at positions along the road, m."""
    x, y = system.radar_position_m
    along = position - x
    far = np.sqrt(along**2 + (system.road_offset_m - y) ** 2)
    return along / far, far


def echo_energy(system: Parameters, position: np.ndarray) -> np.ndarray:
    """L rho_e(r_e) 10^(delta / 10): energy SNR of the radar's aligned echo over a whole slot."""
    _, far = seen(system, position)
    return system.slot_samples * system.echo_scale * 10.0 ** (0.1 * system.radar_snr_offset_db) / far**4


def believed(system: Parameters, mean: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """u_e and its standard deviation s_e under the belief."""
    cosine, far = seen(system, mean[..., 0])
    across = system.road_offset_m - system.radar_position_m[1]
    return cosine, across**2 / far**3 * np.sqrt(np.maximum(covariance[..., 0, 0], 0.0))


def response(system: Parameters, cosine: np.ndarray) -> np.ndarray:
    """c(u) (..., N_x)."""
    index = system.column_index.astype(cosine.dtype)
    return cis(np, cosine.dtype.type(-2.0 * math.pi) * cosine[..., None] * index)


def focused(system: Parameters, cosine: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Reflecting coefficients of section 3A, (..., N_x): `exp(2 j pi i u + j pi W i^2 / (2 N_x))`."""
    index, real = system.column_index.astype(cosine.dtype), cosine.dtype
    curve = real.type(0.5 * math.pi / system.num_cols) * width[..., None] * index**2
    return cis(np, real.type(2.0 * math.pi) * cosine[..., None] * index + curve)


def suppressed(
    system: Parameters, start: np.ndarray, suppression: np.ndarray, radar_cosine: np.ndarray, radar_spread: np.ndarray
) -> np.ndarray:
    """Coefficients (M, N_x) near `start` with `|c(u_e)^T v|^2 <= eta N_x^2`, `eta = 10^(-q S / 10)`: at most 200 rounds.

    While `|z| > sqrt(eta) N_x`, z = c_e^T v: `v <- exp(j arg(v - c_e^* (z - 0.95 sqrt(eta) N_x z / |z|) / N_x))`.
    """
    offsets = ROBUST if system.radar_robust else (0.0,)
    real = radar_cosine.dtype
    limit = (10.0 ** (-0.05 * suppression * system.suppression_span_db) * system.num_cols).astype(real)
    points = [response(system, radar_cosine + real.type(offset) * radar_spread) for offset in offsets]
    v, left = start.copy(), np.arange(len(start))
    for turn in range(ROUNDS):
        sizes = [np.abs(np.vecdot(point[left].conj(), v[left])) for point in points]
        left = left[np.any([size > limit[left] * (1.0 + 1e-6) for size in sizes], axis=0)]
        if not len(left):
            break
        c = points[turn % len(points)][left]
        z = np.vecdot(c.conj(), v[left])
        size = np.abs(z)
        excess = np.where(size > limit[left], z * (1.0 - INSIDE * limit[left] / np.maximum(size, 1e-30)), 0.0)
        moved = v[left] - c.conj() * (excess / real.type(system.num_cols))[:, None]
        v[left] = moved / np.maximum(np.abs(moved), 1e-30)
    return v


def gains(
    system: Parameters, mean: np.ndarray, covariance: np.ndarray, cosine_hat: np.ndarray, width: np.ndarray,
    suppression: np.ndarray, cosine: np.ndarray, position: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """A_b and A_r (M,) at the true direction cosines, of the coefficients made from beliefs (M, ...)."""
    v = suppressed(system, focused(system, cosine_hat, width), suppression, *believed(system, mean, covariance))
    to_radar, _ = seen(system, position)
    return _gain(system, v, cosine), _gain(system, v, to_radar)


def _gain(system: Parameters, v: np.ndarray, cosine: np.ndarray) -> np.ndarray:
    z = np.vecdot(response(system, cosine).conj(), v)
    return np.asarray((z.real**2 + z.imag**2) / cosine.dtype.type(system.num_cols**2))


@functools.cache
def _limit(false_alarm: float, detection: float) -> float:
    threshold = -2.0 * math.log(false_alarm)
    found = optimize.brentq(lambda g: 1.0 - special.chndtr(threshold, 2.0, 2.0 * g) - detection, 0.0, 1000.0, xtol=1e-10)
    return float(found)


def limit(system: Parameters) -> float:
    """gamma_max: the energy SNR at which the radar detects with probability `radar_detection_max`."""
    return _limit(system.false_alarm, system.radar_detection_max)


# -- planning -------------------------------------------------------------------------------------------------------------------


def planned(system: Parameters, look: Outlook, design: VehicularDesign) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A_b with and without suppression, and A_r, at the believed directions (B, K)."""
    shape = look.spread.shape
    flat = lambda array: np.asarray(array, float).reshape(-1, *np.shape(array)[2:])  # noqa: E731
    width = flat(system.width_span * np.asarray(design.reflect_width, float) * (2.0 * look.spread))
    start = focused(system, flat(look.cosine), width)
    to_radar, spread = believed(system, flat(look.mean), flat(look.covariance))
    v = suppressed(system, start, flat(design.suppression), to_radar, spread)
    at, there = flat(look.cosine), to_radar
    return tuple(g.reshape(shape) for g in (_gain(system, v, at), _gain(system, start, at), _gain(system, v, there)))  # type: ignore[return-value]


def kept(system: Parameters, look: Outlook, design: VehicularDesign) -> np.ndarray:
    """Factor of the BS's echo under suppression, at the believed directions (B, K)."""
    with_it, without, _ = planned(system, look, design)
    return with_it / np.maximum(without, 1e-12)


def expected_snr(system: Parameters, look: Outlook, design: VehicularDesign) -> np.ndarray:
    """gamma_e of the own dwell and of a helper dwell in the slot before, at the believed directions (B, K)."""
    share = np.asarray(design.sensing_share, float)
    helper = np.zeros_like(share)
    if system.assisted:
        helper[:, 1:] = 1.0 - share[:, :-1]
        if system.cyclic:
            helper[:, 0] = 1.0 - share[:, -1]
    level = system.reflect_share * share + helper
    leaked: Any = planned(system, look, design)[2]
    return level * echo_energy(system, look.mean[..., 0]) * leaked
