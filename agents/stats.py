"""Means with 95 % bootstrap intervals over scenes.

Policies meet the same scenes, so a difference is bootstrapped as the mean of per-scene differences (paired). Intervals are
percentile intervals: they exist for constant samples, where BCa does not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from scipy import stats

__all__ = ["Estimate", "estimate", "interquartile_mean", "paired_difference"]


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A statistic of `count` values with its 95 % interval; all nan without values."""

    value: float
    low: float
    high: float
    count: int

    def text(self, digits: int = 2) -> str:
        """`value [low, high]`, a dash if there is no value."""
        if not self.count:
            return "-"
        return f"{self.value:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"


def interquartile_mean(values: np.ndarray, axis: int = -1) -> np.ndarray:
    """Mean of the middle half: 25 % trimmed from each end (IQM)."""
    return np.asarray(stats.trim_mean(values, 0.25, axis=axis))


def _mean(values: np.ndarray, axis: int = -1) -> np.ndarray:
    return np.mean(values, axis=axis)


def estimate(
    values: np.ndarray, iqm: bool = False, resamples: int = 2000, seed: int = 0, confidence: float = 0.95
) -> Estimate:
    """Mean (or IQM) of `values` (n,) with its bootstrap interval. Values that are nan are left out."""
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    statistic: Callable[..., np.ndarray] = interquartile_mean if iqm else _mean
    if values.size == 0:
        return Estimate(np.nan, np.nan, np.nan, 0)
    value = float(statistic(values))
    if values.size == 1 or np.ptp(values) == 0.0:
        return Estimate(value, value, value, values.size)
    result = stats.bootstrap(
        (values,),
        statistic,
        n_resamples=resamples,
        confidence_level=confidence,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(seed),
    )
    interval = result.confidence_interval
    return Estimate(value, float(interval.low), float(interval.high), values.size)


def paired_difference(first: np.ndarray, second: np.ndarray, iqm: bool = False, seed: int = 0) -> Estimate:
    """Mean of `first - second` over the scenes where both are finite."""
    return estimate(np.asarray(first, float) - np.asarray(second, float), iqm=iqm, seed=seed)
