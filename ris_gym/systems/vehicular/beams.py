"""Beams of `vehicular`: gains under a pointing error, their means under a belief, surface coefficients. numpy.

Normalised gain of a column of N_x elements with a quadratic phase, index i centred,

    A(delta, W) = | sum_i exp(j pi (i delta + W i^2 / (2 N_x))) |^2 / N_x^2 ,

refraction at delta = Delta, reflection at 2 Delta (out and back), Delta the error of the direction cosine. Source: model page
(reciprocity), 3A and 4A.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from scipy import ndimage

REFRACT, REFLECT = 1, 2
"""Sensitivity c of a gain: A(c Delta)."""
GAIN_FLOOR_DB = -60.0
PHI_RHO_DB = np.arange(-40.0, 61.0, 2.0)
"""SNR below it counts as no rate: 1e-4 bit/s/Hz."""
PHI_LOG_SPREAD = np.arange(-4.0, 0.01, 0.1)
PHI_WIDTH = np.linspace(0.0, 1.0, 21)
WIDE_LEVELS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8)
"""Refract widths b^c that the width rule chooses from (nodes of the table)."""


def gain(num_cols: int, delta: np.ndarray, width: np.ndarray) -> np.ndarray:
    """A(delta, W), elementwise, in the precision of `delta`. The index is symmetric: twice the sum of cosines over i > 0."""
    real = delta.dtype
    positive = _positive(num_cols).astype(real)
    tilt = np.cos(real.type(math.pi) * delta[..., None] * positive)
    chirp = real.type(0.5 * math.pi / num_cols) * width[..., None] * positive**2
    re = 2.0 * np.vecdot(tilt, np.cos(chirp)) + (num_cols % 2)
    im = 2.0 * np.vecdot(tilt, np.sin(chirp))
    return np.asarray((re**2 + im**2) / real.type(num_cols**2))


def _positive(num_cols: int) -> np.ndarray:
    """The positive indices."""
    return np.arange(num_cols // 2) + (0.5 if num_cols % 2 == 0 else 1.0)


def mean_gain(num_cols: int, spread: np.ndarray, width: np.ndarray, sensitivity: int) -> np.ndarray:
    """E A(c Delta, W), Delta ~ N(0, s^2), exactly: `[N + 2 sum_m D_m exp(-(pi c m s)^2 / 2)] / N^2`, m = 1, ..., N - 1.

    `D_m = sin(pi W m (N - m) / (2 N)) / sin(pi W m / (2 N))`, the sum over index pairs m apart; N - m for W = 0.
    """
    spread, width = np.broadcast_arrays(np.asarray(spread, float), np.asarray(width, float))
    lag = np.arange(1.0, num_cols)
    decay = np.exp(-0.5 * (math.pi * sensitivity * spread[..., None] * lag) ** 2)
    if not np.any(width):
        pairs = np.broadcast_to(num_cols - lag, decay.shape)
    else:
        angle = 0.5 * math.pi / num_cols * width[..., None] * lag
        below = np.sin(angle)
        near = np.abs(below) < 1e-9  # angle near a multiple of pi: cos((N - m) angle) (N - m) / cos(angle)
        ratio = np.sin(angle * (num_cols - lag)) / np.where(near, 1.0, below)
        limit = (num_cols - lag) * np.cos(angle * (num_cols - lag)) * np.cos(angle)
        pairs = np.where(near, limit, ratio)
    return np.asarray((num_cols + 2.0 * np.vecdot(pairs, decay)) / num_cols**2)


def decibels(value: np.ndarray) -> np.ndarray:
    """Gains in dB, floored at -60 dB."""
    return 10.0 * np.log10(np.maximum(value, 10.0 ** (GAIN_FLOOR_DB / 10.0)))


# -- expected rates -----------------------------------------------------------------------------------------------------------


def expected_rate(
    num_cols: int, snr: np.ndarray, spread: np.ndarray, width: np.ndarray | float = 0.0, nodes: int | None = None
) -> np.ndarray:
    """phi(rho, s) = E log2(1 + rho A(Delta, W)), Delta ~ N(0, s^2), elementwise, by a dense trapezoid over +-6 s.

    Args:
        nodes: None: as many as resolve 1 / N_x, at least 1601.
    """
    snr, spread, width = np.broadcast_arrays(np.asarray(snr, float), np.asarray(spread, float), np.asarray(width, float))
    out = np.empty(snr.shape)
    for where in np.ndindex(snr.shape):
        count = nodes or max(1601, math.ceil(144.0 * spread[where] * num_cols))
        z, weight = _nodes(count)
        found = gain(num_cols, z * spread[where], np.broadcast_to(width[where], z.shape))
        out[where] = weight @ np.log2(1.0 + snr[where] * found)
    return out


def _nodes(count: int) -> tuple[np.ndarray, np.ndarray]:
    z = np.linspace(0.0, 6.0, count // 2 + 1)  # the gain is even
    weight = np.exp(-0.5 * z**2)
    weight[[0, -1]] *= 0.5
    return z, weight / weight.sum()


class RateTable:
    """phi(rho, W = span b s, s) on a grid of (b, lg s, rho in dB), between its points by cubic splines.

    Attributes:
        values: (21, S, R) bit/s/Hz.
    """

    def __init__(self, num_cols: int, span: float) -> None:
        rho = 10.0 ** (PHI_RHO_DB / 10.0)
        self.values = np.empty((len(PHI_WIDTH), len(PHI_LOG_SPREAD), len(rho)))
        positive = _positive(num_cols)
        for j, spread in enumerate(10.0**PHI_LOG_SPREAD):
            z, weight = _nodes(max(801, math.ceil(144.0 * spread * num_cols)))
            tilt = np.cos(math.pi * spread * z[:, None] * positive)
            chirp = 0.5 * math.pi / num_cols * span * spread * PHI_WIDTH * positive[:, None] ** 2
            found = (2.0 * tilt @ np.cos(chirp) + num_cols % 2) ** 2 + (2.0 * tilt @ np.sin(chirp)) ** 2
            for i, row in enumerate(found.T / num_cols**2):
                self.values[i, j] = np.log2(1.0 + rho[:, None] * row) @ weight
        offered = self.values[np.rint(np.array(WIDE_LEVELS) * (len(PHI_WIDTH) - 1)).astype(int)]
        self._widest = np.array(WIDE_LEVELS)[np.argmax(offered, axis=0)]
        self._splines = ndimage.spline_filter(self.values, mode="nearest")
        self._focused = ndimage.spline_filter(self.values[0], mode="nearest")
        self._best = ndimage.spline_filter(offered.max(axis=0), mode="nearest")

    def __call__(self, snr: np.ndarray, spread: np.ndarray, width: np.ndarray | None = None) -> np.ndarray:
        """phi at SNR rho (linear), spread s and width level b (None: 0), elementwise; outside the grid: at its edge."""
        at = _places(snr, spread)
        if width is None:
            return _interpolated(self._focused, at)
        return _interpolated(self._splines, [np.asarray(width, float) * (len(PHI_WIDTH) - 1), *at])

    def best(self, snr: np.ndarray, spread: np.ndarray) -> np.ndarray:
        """The largest phi over `WIDE_LEVELS`."""
        return _interpolated(self._best, _places(snr, spread))

    def best_width(self, snr: np.ndarray, spread: np.ndarray) -> np.ndarray:
        """The level of `WIDE_LEVELS` with the largest phi, at the nearest node of the grid."""
        spreads, rhos = (
            np.clip(np.rint(place), 0, size - 1).astype(int)
            for place, size in zip(_places(snr, spread), self._widest.shape, strict=True)
        )
        return self._widest[spreads, rhos]


def _places(snr: np.ndarray, spread: np.ndarray) -> list[np.ndarray]:
    """Coordinates in the grid of lg s and of rho."""
    log_spread, rho_db = np.log10(np.maximum(spread, 1e-30)), 10.0 * np.log10(np.maximum(snr, 1e-30))
    return [
        (log_spread - PHI_LOG_SPREAD[0]) / (PHI_LOG_SPREAD[1] - PHI_LOG_SPREAD[0]),
        (rho_db - PHI_RHO_DB[0]) / (PHI_RHO_DB[1] - PHI_RHO_DB[0]),
    ]


def _interpolated(splines: np.ndarray, at: list[np.ndarray]) -> np.ndarray:
    joined = np.stack(np.broadcast_arrays(*at))
    found = ndimage.map_coordinates(splines, joined.reshape(len(at), -1), prefilter=False, mode="nearest")
    return np.maximum(np.asarray(found), 0.0).reshape(joined.shape[1:])


@functools.cache
def rate_table(num_cols: int, span: float) -> RateTable:
    """The table of a surface, made once per process."""
    return RateTable(num_cols, span)
