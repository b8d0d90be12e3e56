"""Statistics of scores over runs and scenes, with 95 % bootstrap intervals.

The scores of a policy are a matrix X (runs, scenes): one row per trained agent of a recipe, a single row for an optimiser. All
policies meet the same scenes, so a comparison resamples the scenes of both together (paired). Where there are several runs, they
are resampled too: runs and scenes are drawn with replacement, independently of each other (crossed, or pigeonhole, bootstrap).
Entries that are nan (scenes that a run does not serve) are left out.

Intervals are percentile intervals: they exist for constant samples, where BCa does not. In simulations with normal scores they
hold the truth in 92 % of cases for 20 scenes and in 95 % for 100. Few runs are the limit: where the differences between runs
outweigh those between scenes, 3, 5 and 10 runs give intervals that hold it in 74, 84 and 89 %, so every run is shown beside them.
Where runs differ only by independent noise of each entry, the crossed bootstrap is on the safe side.

Sources: interquartile mean, bootstrap over runs, probability of improvement: Agarwal et al. 2021, arXiv 2108.13264, section 4
(tasks are fixed there and only runs are resampled; scenes are a sample themselves). Crossed bootstrap: Owen 2007, "The
pigeonhole bootstrap", Annals of Applied Statistics 1(2).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

__all__ = [
    "Estimate", "difference", "estimate", "interquartile_mean", "paired_difference", "paired_gap", "probability_of_improvement",
]  # fmt: skip

RESAMPLES = 2000
ELEMENTS = 1_000_000
"""Entries that are resampled at a time, which bounds the memory."""
TIE = 1e-9
"""Scores that differ by no more are tied: the rounding of two ways to compute the same design."""


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A statistic over `count` scenes with its 95 % interval; all nan without values."""

    value: float
    low: float
    high: float
    count: int

    def text(self, digits: int = 2, sign: bool = False) -> str:
        """`value [low, high]`, a dash if there is no value; `sign` puts a plus before positive numbers."""
        if not self.count:
            return "-"
        form = f"{'+' if sign else ''}.{digits}f"
        return f"{self.value:{form}} [{self.low:{form}}, {self.high:{form}}]"


def interquartile_mean(values: np.ndarray, axis: int = -1) -> np.ndarray:
    """Mean of the middle half: of the n finite values, `floor(n / 4)` are trimmed from each end (IQM). nan if there are none."""
    ordered = np.sort(np.moveaxis(np.asarray(values, float), axis, -1), axis=-1)  # nan come last
    count = np.sum(np.isfinite(ordered), axis=-1, keepdims=True)
    cut, place = count // 4, np.arange(ordered.shape[-1])
    return _mean(np.where((place >= cut) & (place < count - cut), ordered, np.nan))


def estimate(
    values: np.ndarray, iqm: bool = False, resamples: int = RESAMPLES, seed: int = 0, confidence: float = 0.95
) -> Estimate:
    """Mean (or IQM) over all runs and scenes of `values` (scenes,) or (runs, scenes), with its interval."""
    matrix = np.atleast_2d(np.asarray(values, float))
    finite = np.isfinite(matrix)
    matrix = matrix[finite.any(axis=1)][:, finite.any(axis=0)]
    level = _level(iqm)
    return _bootstrap(lambda i, s: level(_take(matrix, i, s)), matrix.shape, resamples, seed, confidence)


def difference(
    first: np.ndarray, second: np.ndarray, iqm: bool = False, resamples: int = RESAMPLES, seed: int = 0, confidence: float = 0.95
) -> Estimate:
    """Mean(first) - mean(second), or IQM(first) - IQM(second); scenes are resampled together, runs each on their own.

    Args:
        first, second: (runs, scenes) or (scenes,), over the same scenes; the numbers of runs may differ. Scenes in which any
            entry is nan are left out.

    Raises:
        ValueError: the numbers of scenes differ.
    """
    x, y = _same_scenes(first, second)
    kept = np.isfinite(x).all(axis=0) & np.isfinite(y).all(axis=0)
    x, y, level = x[:, kept], y[:, kept], _level(iqm)
    sizes = (len(x), len(y), x.shape[1])
    return _bootstrap(lambda i, j, s: level(_take(x, i, s)) - level(_take(y, j, s)), sizes, resamples, seed, confidence)


def paired_gap(
    first: np.ndarray, second: np.ndarray, resamples: int = RESAMPLES, seed: int = 0, confidence: float = 0.95
) -> Estimate:
    """Mean of `first - second` over all pairs of runs and the scenes where both are finite; arguments as in `difference`."""
    x, y = _same_scenes(first, second)
    return _over_pairs(x[:, None] - y, resamples, seed, confidence)


def paired_difference(first: np.ndarray, second: np.ndarray, iqm: bool = False, seed: int = 0) -> Estimate:
    """Mean (or IQM) of the scene-wise differences of two policies with one run each, over the scenes where both are finite."""
    return estimate(np.asarray(first, float) - np.asarray(second, float), iqm=iqm, seed=seed)


def probability_of_improvement(
    first: np.ndarray, second: np.ndarray, resamples: int = RESAMPLES, seed: int = 0, confidence: float = 0.95
) -> Estimate:
    """`P(X > Y) + P(X = Y) / 2` for a random run of `first` and a random run of `second` on the same random scene.

    Mean over scenes s and all pairs of runs (i, j) of 1 where `X_is > Y_js`, 1/2 where they are tied (within 1e-9), else 0.
    Arguments as in `difference`. It says how often `first` is better, not by how much. Where every scene has the same winner, all
    resamples agree; the interval is then the exact one (Clopper-Pearson) for none or all of so many scenes.

    Source: Agarwal et al. 2021, arXiv 2108.13264, section 4 (per task, averaged over tasks).
    """
    x, y = _same_scenes(first, second)
    gap = x[:, None] - y
    wins = np.where(gap > TIE, 1.0, np.where(gap < -TIE, 0.0, 0.5))
    found = _over_pairs(np.where(np.isfinite(gap), wins, np.nan), resamples, seed, confidence)
    if found.count and found.value in (0.0, 1.0):
        rare = 1.0 - (0.5 - 0.5 * confidence) ** (1.0 / found.count)
        low, high = (0.0, rare) if found.value == 0.0 else (1.0 - rare, 1.0)
        return Estimate(found.value, low, high, found.count)
    return found


def _over_pairs(values: np.ndarray, resamples: int, seed: int, confidence: float) -> Estimate:
    """Mean of values (runs of the first, runs of the second, scenes)."""
    finite = np.isfinite(values)
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        values = np.compress(finite.any(axis=others), values, axis=axis)
    taken = lambda i, j, s: values[i[:, :, None, None], j[:, None, :, None], s[:, None, None, :]]  # noqa: E731
    return _bootstrap(lambda i, j, s: _flat(_mean, taken(i, j, s)), values.shape, resamples, seed, confidence)


def _bootstrap(
    statistic: Callable[..., np.ndarray], sizes: tuple[int, ...], resamples: int, seed: int, confidence: float
) -> Estimate:
    """`statistic` maps index arrays (B, n), one for each n of `sizes`, the last of which counts the scenes, to B values."""
    if 0 in sizes:
        return Estimate(np.nan, np.nan, np.nan, 0)
    value = float(statistic(*(np.arange(n)[None] for n in sizes))[0])
    rng, parts = np.random.default_rng(seed), []
    step = max(1, ELEMENTS // int(np.prod(sizes)))
    for start in range(0, resamples, step):
        batch = min(step, resamples - start)
        parts.append(statistic(*(rng.integers(n, size=(batch, n)) for n in sizes)))
    distribution = np.concatenate(parts)
    if np.isnan(distribution).all():  # no resample holds a value: too little is left to say how sure it is
        return Estimate(value, np.nan, np.nan, sizes[-1])
    if np.nanmax(distribution) - np.nanmin(distribution) <= 1e-12 * max(1.0, abs(value)):
        return Estimate(value, value, value, sizes[-1])
    low, high = np.nanquantile(distribution, [0.5 - 0.5 * confidence, 0.5 + 0.5 * confidence])
    return Estimate(value, float(low), float(high), sizes[-1])


def _same_scenes(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.atleast_2d(np.asarray(first, float)), np.atleast_2d(np.asarray(second, float))
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"first and second must hold the same scenes, got {x.shape[1]} and {y.shape[1]}")
    return x, y


def _take(matrix: np.ndarray, runs: np.ndarray, scenes: np.ndarray) -> np.ndarray:
    return matrix[runs[:, :, None], scenes[:, None, :]]


def _level(iqm: bool) -> Callable[[np.ndarray], np.ndarray]:
    return lambda values: _flat(interquartile_mean if iqm else _mean, values)


def _flat(statistic: Callable[[np.ndarray], np.ndarray], values: np.ndarray) -> np.ndarray:
    return statistic(values.reshape(len(values), -1))


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean of the finite values over the last axis; nan where there are none."""
    finite = np.isfinite(values)
    count = np.sum(finite, axis=-1)
    return np.where(count > 0, np.sum(np.where(finite, values, 0.0), axis=-1) / np.maximum(count, 1), np.nan)
