"""Figures 4 to 6: NO-ISAC against localisation alone, over the symbols' variance, the number of slots, the surface's size."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from agents.figures import answers
from agents.figures.nonorthogonal.curves import line
from agents.figures.nonorthogonal.pictures import draw_sweep
from agents.figures.nonorthogonal.rules import (
    ABOVE_BIT,
    ABOVE_DB,
    EVERY,
    above_bit,
    across,
    bootstrap,
    compared,
    difference,
    ends,
    gaps,
    ratio_db,
    steps,
    within,
)
from agents.figures.nonorthogonal.sweep import Data, at, columns, configuration, searched, sweep
from agents.stats import Estimate, estimate

VARIANCES = [0.2, 0.4, 0.6, 0.8, 1.0]
SLOTS = [2, 5, 10, 20]
SIDES = [2, 3, 4, 5, 6]
ZETAS = [0.5, 0.3, 0.1]
LOCAL = "localisation_only"
FOUND = {"NO": "cross_entropy", "best known": "coordinate_descent"}
BITS, FACTOR = 7.0, 2.0
"""Printed: I at sigma_x^2 = 1, and the CRLB of the angles over that of localisation alone."""


def configure4(quick: bool) -> dict[str, Any]:
    """Five variances."""
    return configuration(
        "symbol variance", [at(x, symbol_variance=x) for x in VARIANCES], [*searched(), line(LOCAL)], 60, quick, [0.2, 1.0],
        [{"line": "cross_entropy", "x": 1.0, "quantity": "information", "value": BITS},
         {"line": "cross_entropy", "x": 1.0, "quantity": "angle", "times": LOCAL, "value": FACTOR}],
        num_slots=5, weight=0.5,
    )  # fmt: skip


def _factor(lines: Mapping[str, Any], name: str) -> Estimate:
    return bootstrap(lambda a, b: a / b, lines[name]["angle"], lines[LOCAL]["angle"])[0]


def more4(config: Mapping[str, Any], data: Data) -> list[dict[str, Any]]:
    """The ratio to localisation alone."""
    return [
        {"preset": preset, "x": x, "line": name, "quantity": f"angle over {LOCAL}", "unit": "",
         **columns(_factor(lines, name)), **({"printed": FACTOR} if (x, name) == (1.0, "cross_entropy") else {})}
        for preset, points in data.items() for x, lines in points.items() for name in FOUND.values()
    ]  # fmt: skip


def questions4(config: Mapping[str, Any], data: Data) -> list[dict[str, Any]]:
    """Both printed numbers; what the variance does."""
    bits, factor = [], []
    for preset, points in data.items():
        end = max(points)
        for called, name in FOUND.items():
            where = {"preset": preset, "design": called}
            found = estimate(points[end][name]["information"])
            told = {"printed": answers.number(BITS, "bit", 0)}
            bits.append(across(where, {"ours": found}, within(BITS - 0.5, BITS + 0.5), "bit", beside=told))
            told = {"printed": answers.number(FACTOR, "", 0)}
            rule = within(FACTOR - 0.5, FACTOR + 0.5)
            factor.append(across(where, {"ours": _factor(points[end], name)}, rule, "", beside=told))
    return [
        answers.question("4.1", "At sigma_x^2 = 1, I is 7 bits/symbol.",
                         "mean of I: reproduced if its 95 % interval lies within 7 +- 0.5 (the rounding), not reproduced if "
                         "outside.", bits),
        answers.question("4.2", "At sigma_x^2 = 1, the accuracy is 2 times lower than that of localisation alone.",
                         "ratio of the mean CRLBs of the angles: reproduced if its 95 % interval lies within 2 +- 0.5 (the "
                         "rounding), not reproduced if outside.", factor),
        answers.question("4.3", "A larger variance of the symbols raises I.", f"each step: {ABOVE_BIT}; {EVERY}.",
                         [across({"preset": preset, "design": called}, steps(points, name, "information", difference), above_bit,
                                 "bit")
                          for preset, points in data.items() for called, name in FOUND.items()]),
        answers.question("4.4", "A larger variance of the symbols worsens the CRLB of the angles.",
                         f"ratio of the means from the smallest to the largest variance: {ABOVE_DB}. Of geometric means beside "
                         "it.",
                         [across({"preset": preset, "design": called}, {"0.2 to 1": ends(points, name, "angle", ratio_db)},
                                 beside={"geometric": answers.number(_geometric(points, name))})
                          for preset, points in data.items() for called, name in FOUND.items()]),
        *gaps("4", data, {"": ("cross_entropy", "coordinate_descent")}),
    ]  # fmt: skip


def _geometric(points: Any, name: str) -> Estimate:
    """10 lg of the ratio of the geometric means, last x over first."""
    xs = list(points)
    return difference(*(10.0 * np.log10(points[x][name]["angle"]) for x in (xs[-1], xs[0])))


def configure5(quick: bool) -> dict[str, Any]:
    """Four numbers of slots, three weights."""
    lines = [part for i, zeta in enumerate(ZETAS) for part in searched(f"weight {zeta:g}", i, weight=zeta)]
    return configuration("slots T", [at(x, num_slots=x) for x in SLOTS], [*lines, line(LOCAL)], 20, quick, [2, 20])


def _weighted(called: str, zeta: float) -> str:
    return f"{FOUND[called]}, weight {zeta:g}"


def _gap(points: Any, called: str, zeta: float) -> dict[str, Estimate]:
    return compared(points, _weighted(called, zeta), LOCAL, "angle", ratio_db)


def questions5(config: Mapping[str, Any], data: Data) -> list[dict[str, Any]]:
    """Does the gap to localisation alone shrink, and vanish?"""
    shrink, vanish, gap = [], [], []
    for preset, points in data.items():
        xs = list(points)
        for called in FOUND:
            for big, small in pairwise(ZETAS):
                found = compared(points, _weighted(called, big), _weighted(called, small), "angle", ratio_db)
                shrink.append(across({"preset": preset, "design": called, "weight": f"{big:g} to {small:g}"}, found))
            last, first = (points[x] for x in (xs[-1], xs[0]))
            name = _weighted(called, min(ZETAS))
            fall = bootstrap(lambda a, b, c, d: 10.0 * abs_log(a / b) - 10.0 * abs_log(c / d),
                             *(part[key]["angle"] for part in (first, last) for key in (name, LOCAL)))[0]  # fmt: skip
            left = ratio_db(last[name]["angle"], last[LOCAL]["angle"])
            told = {"fall": answers.number(fall)}
            vanish.append(across({"preset": preset, "design": called}, {f"gap at {xs[-1]:g}": left}, answers.close, beside=told))
            for zeta in ZETAS:
                shown = {x: answers.number(part) for x, part in _gap(points, called, zeta).items()}
                gap.append(answers.case({"preset": preset, "design": called, "weight": f"{zeta:g}"}, "measured", **shown))
    return [
        answers.question("5.1", "The gap to localisation alone shrinks with a smaller weight.",
                         f"ratio of the mean CRLBs of the two weights: {ABOVE_DB}; {EVERY}. At T = 2 the means have heavy "
                         "tails.", shrink),
        answers.question("5.2", "With the smallest weight the gap vanishes as T grows.",
                         f"ratio of the means at the largest T: reproduced if the 95 % interval lies within {answers.SAME_DB} "
                         "dB, not reproduced if outside. `fall`: how much the gap in dB (its modulus) fell from the smallest "
                         "T.", vanish),
        answers.question("5.3", "The gap to localisation alone.", "ratio of the mean CRLBs. No verdict.", gap),
        *gaps("5", data, {f"{zeta:g}": (_weighted("NO", zeta), _weighted("best known", zeta)) for zeta in ZETAS}, "weight"),
    ]  # fmt: skip


def abs_log(ratio: Any) -> Any:
    """|lg|."""
    return np.abs(np.log10(ratio))


def configure6(quick: bool) -> dict[str, Any]:
    """Five square surfaces, two variances."""
    lines = [part for i, x in enumerate((0.2, 1.0)) for part in searched(f"variance {x:g}", i, symbol_variance=x)]
    return configuration(
        "elements L", [at(side**2, surface_shape=[side, side]) for side in SIDES], [*lines, line(LOCAL)], 20, quick, [4, 16, 36],
        num_slots=2, weight=0.1,
    )  # fmt: skip


def questions6(config: Mapping[str, Any], data: Data) -> list[dict[str, Any]]:
    """Does the CRLB fall with L, and most where L is small?"""
    pairs = {f"{x:g}": tuple(f"{FOUND[called]}, variance {x:g}" for called in FOUND) for x in (0.2, 1.0)}
    named = {f"NO, {x}": pair[0] for x, pair in pairs.items()} | {f"best known, {x}": pair[1] for x, pair in pairs.items()}
    named[LOCAL] = LOCAL
    fall, most, octave = [], [], []
    for preset, points in data.items():
        xs = list(points)
        outer = [points[x] for x in (xs[0], xs[1], xs[-2], xs[-1])]
        octaves = np.log2([xs[1] / xs[0], xs[-1] / xs[-2]])
        for called, name in named.items():
            where = {"preset": preset, "curve and variance": called}
            fall.append(across(where, steps(points, name, "angle", ratio_db, -1)))
            means = [part[name]["angle"] for part in outer]
            found = {
                "dB": bootstrap(lambda a, b, c, d: 10.0 * np.log10(a * d / (b * c)), *means)[0],
                "dB per octave": bootstrap(_by_octave(*octaves), *means)[0],
            }  # fmt: skip
            absolute = bootstrap(lambda a, b, c, d: 10.0 * np.log10((a - b) / np.maximum(c - d, 1e-3 * d)), *means)[0]
            most.append(across(where, {"in rad^2": absolute, "in dB": found["dB"]}))
            octave.append(across(where, {"in dB per doubling": found["dB per octave"]}))
    return [
        answers.question("6.1", "The CRLB of the angles falls with L.", f"each step, ratio of the means: {ABOVE_DB}; {EVERY}.",
                         fall),
        answers.question("6.2", "It falls most where L is small.",
                         f"first step against the last one: {ABOVE_DB}; {EVERY}. Falls in rad^2: 10 lg of their ratio (the "
                         "last one at least 0.1 % of the last CRLB); in dB: their difference.", most),
        answers.question("6.3", "It does so per doubling of L too (ours).",
                         f"fall in dB over the doublings of L, first step minus last one: {ABOVE_DB}.", octave),
        *gaps("6", data, {x: (pair[0], pair[1]) for x, pair in pairs.items()}, "variance"),
    ]  # fmt: skip


def _by_octave(first: float, last: float) -> Any:
    """dB per doubling of x: first step minus last step, which are so many doublings."""
    return lambda a, b, c, d: 10.0 * (np.log10(a / b) / first - np.log10(c / d) / last)


BOTH = {"information": "I, bit/symbol", "angle": "CRLB of the angles, rad$^2$", "value": "V, lg"}
ANGLE = {"angle": "CRLB of the angles, rad$^2$", "value": "V, lg"}
FIG4 = sweep("fig4", "NO-ISAC and localisation alone over the symbols' variance", configure4, questions4, draw_sweep(BOTH), more4)
FIG5 = sweep("fig5", "CRLB of the angles over the number of slots", configure5, questions5, draw_sweep(ANGLE))
FIG6 = sweep("fig6", "CRLB of the angles over the number of elements", configure6, questions6, draw_sweep(ANGLE))
