"""Cases of the statements: differences and ratios of means over common realisations, points read off a curve."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from agents.figures import answers
from agents.figures.nonorthogonal.curves import BOUND
from agents.figures.nonorthogonal.sweep import Data, Line, Points
from agents.stats import Estimate

__all__ = [
    "ABOVE_BIT", "ABOVE_DB", "EVERY", "NOISE_DB", "RESAMPLES", "SAME_BIT", "SHOWN_BIT", "above_bit", "across", "bootstrap",
    "compared", "difference", "ends", "gaps", "mapped", "ratio_db", "read_off", "steps", "together", "within",
]  # fmt: skip

RESAMPLES = 2000
SHOWN_BIT = 0.02
"""A difference of I of less is not called one."""
SAME_BIT = 0.1
"""I that differ by no more are called equal."""
NOISE_DB = 0.8
"""20 %: differences of mean angle bounds at T = 2 below are not read."""
ABOVE_DB = (
    f"the 95 % interval lies above 0 and the mean is at least {answers.SHOWN_DB} dB; not reproduced if the interval lies below "
    f"{answers.SHOWN_DB} dB"
)
ABOVE_BIT = (
    f"the 95 % interval lies above 0 and the mean is at least {SHOWN_BIT} bit; not reproduced if the interval lies below "
    f"{SHOWN_BIT} bit"
)
EVERY = "reproduced if so in every column, not reproduced if not so in one"
GAP_RULE = (
    f"10 (V - other V), V being a mean of lg: reproduced if the 95 % interval lies within {answers.SAME_DB} dB in every "
    "column, not reproduced if it lies outside in one"
)

Rule = Callable[[Estimate], str]


def bootstrap(statistic: Callable[..., np.ndarray], *samples: np.ndarray) -> tuple[Estimate, np.ndarray]:
    """A function of means over common realisations, with its 95 % percentile interval (paired: all samples resampled together).

    Args:
        statistic: of the means of the samples (..., R) each; gives (R,), nan where it does not exist.
        samples: (..., n) each.

    Returns:
        The estimate (interval over the resamples where it exists), and the resampled values (R,).
    """
    arrays = [np.asarray(sample, float) for sample in samples]
    n = arrays[0].shape[-1]
    weight = _weights(n)
    value = float(statistic(*(array.mean(-1)[..., None] for array in arrays))[0])
    found = np.asarray(statistic(*(array @ weight for array in arrays)))
    if np.isnan(found).all():
        return Estimate(value, np.nan, np.nan, n), found
    low, high = np.nanquantile(found, [0.025, 0.975])
    return Estimate(value, float(low), float(high), n), found


def ratio_db(first: np.ndarray, second: np.ndarray) -> Estimate:
    """10 lg of the ratio of two means."""
    return bootstrap(lambda a, b: 10.0 * np.log10(a / b), first, second)[0]


def difference(first: np.ndarray, second: np.ndarray) -> Estimate:
    """Difference of two means."""
    return bootstrap(lambda a, b: a - b, first, second)[0]


@functools.lru_cache(maxsize=8)
def _weights(n: int) -> np.ndarray:
    """(n, R): how often each of n realisations is drawn, over n."""
    draws = np.random.default_rng(0).integers(n, size=(RESAMPLES, n))
    return np.stack([np.bincount(row, minlength=n) for row in draws], axis=1) / n


def mapped(found: Estimate, function: Callable[[float], float]) -> Estimate:
    """A monotone function of an estimate and of its interval."""
    return Estimate(function(found.value), function(found.low), function(found.high), found.count)


def above_bit(found: Estimate) -> str:
    """`answers.above` for bits."""
    return answers.above(found, SHOWN_BIT)


def within(low: float, high: float) -> Rule:
    """Yes if the interval lies within [low, high], no if it does not meet it, else undecided."""

    def rule(found: Estimate) -> str:
        if not found.count or not np.isfinite([found.low, found.high]).all():
            return answers.UNDECIDED
        if low <= found.low and found.high <= high:
            return answers.YES
        return answers.NO if found.low > high or found.high < low else answers.UNDECIDED

    return rule


def together(verdicts: Iterable[str]) -> str:
    """No if one is no, else undecided if one is, else yes; undecided without any."""
    found = set(verdicts)
    return next((word for word in (answers.NO, answers.UNDECIDED, answers.YES) if word in found), answers.UNDECIDED)


def across(
    where: Mapping[str, Any],
    found: Mapping[str, Estimate],
    rule: Rule = answers.above,
    unit: str = "dB",
    digits: int = 2,
    beside: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """A case with one number per column, all of which have to meet the rule; `beside`: numbers that have no say."""
    shown = {name: answers.number(part, unit, digits) for name, part in found.items()}
    return answers.case(where, together(rule(part) for part in found.values()), **shown, **(beside or {}))


def compared(
    points: Points, first: str, second: str, quantity: str, form: Callable[..., Estimate], sign: int = 1
) -> dict[str, Estimate]:
    """By how much a line is above another one (`sign` -1: below) at every x."""
    pair = (first, second) if sign > 0 else (second, first)
    return {f"at {x:g}": form(*(lines[name][quantity] for name in pair)) for x, lines in points.items()}


def steps(points: Points, name: str, quantity: str, form: Callable[..., Estimate], sign: int = 1) -> dict[str, Estimate]:
    """By how much a line rises (`sign` -1: falls) from each x to the next."""
    pairs = [(a, b) if sign > 0 else (b, a) for a, b in pairwise(list(points))]
    return {
        f"{min(a, b):g} to {max(a, b):g}": form(points[b][name][quantity], points[a][name][quantity]) for a, b in pairs
    }  # fmt: skip


def ends(points: Points, name: str, quantity: str, form: Callable[..., Estimate], sign: int = 1) -> Estimate:
    """By how much a line rises from the first x to the last."""
    xs = list(points)
    first, last = (points[x][name][quantity] for x in (xs[0], xs[-1]))
    return form(last, first) if sign > 0 else form(first, last)


def read_off(
    information: np.ndarray, angle: np.ndarray, bits: float
) -> tuple[Estimate, float, tuple[float, float]]:
    """10 lg of the CRLB of the angles where the curve of means reaches `bits` (linear in I between its points).

    Args:
        information, angle: (K, n) of the K points of the curve.

    Returns:
        The estimate, nan outside of the curve; the share of resamples in which it is outside; the range of I of the curve.
    """

    def statistic(i: np.ndarray, c: np.ndarray) -> np.ndarray:
        level = 10.0 * np.log10(c)
        out = np.full(i.shape[-1], np.nan)
        for r in range(i.shape[-1]):
            order = np.argsort(i[:, r])
            out[r] = np.interp(bits, i[order, r], level[order, r], left=np.nan, right=np.nan)
        return out

    found, values = bootstrap(statistic, information, angle)
    means = information.mean(-1)
    return found, float(np.isnan(values).mean()), (float(means.min()), float(means.max()))


def gaps(name: str, data: Data, pairs: Mapping[str, tuple[str, str]], label: str = "line") -> list[dict[str, Any]]:
    """Questions `<name>.G` and `<name>.B`: NO above the best known design, and that above the bound, in V.

    Args:
        pairs: what a row is called -> names of the lines of NO and of the best known design (its bound has the same suffix).
    """
    first, second = [], []
    for preset, points in data.items():
        for called, (search, best) in pairs.items():
            where = {"preset": preset, label: called} if called else {"preset": preset}
            to_best = {f"at {x:g}": _gap(lines[search], lines[best]) for x, lines in points.items()}
            low = BOUND + best.removeprefix("coordinate_descent")
            to_bound = {f"at {x:g}": _gap(lines[best], lines[low]) for x, lines in points.items()}
            first.append(across(where, to_best, answers.close))
            second.append(across(where, to_bound, answers.close))
    return [
        answers.question(f"{name}.G", "Cross-entropy with C = 5 L finds the best known design (ours).", GAP_RULE + ".", first),
        answers.question(f"{name}.B", "The best known design is certified close to the optimum (ours).",
                         GAP_RULE + "; the other V is the certified bound.", second),
    ]  # fmt: skip


def _gap(line: Line, other: Line) -> Estimate:
    return difference(10.0 * line["value"], 10.0 * other["value"])
