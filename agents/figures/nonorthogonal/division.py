"""Figures 8 to 10: NO-ISAC against time division, over the number of slots, the SNR, the surface's size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.figures import answers
from agents.figures.nonorthogonal.curves import line
from agents.figures.nonorthogonal.localisation import BOTH
from agents.figures.nonorthogonal.pictures import draw_sweep
from agents.figures.nonorthogonal.rules import (
    ABOVE_BIT,
    ABOVE_DB,
    EVERY,
    SAME_BIT,
    above_bit,
    across,
    bootstrap,
    compared,
    difference,
    gaps,
    ratio_db,
    steps,
    within,
)
from agents.figures.nonorthogonal.sweep import Data, Points, at, configuration, searched, sweep
from agents.stats import Estimate

SLOTS = [5, 10, 15, 20]
SNRS = [-10.0, -5.0, 0.0, 5.0, 10.0]
SIDES = [2, 3, 4, 5]
NO, BEST = "cross_entropy", "coordinate_descent"
TD = ["td_isac", "td_isac_split"]
LINES = [*searched(), *(line(name) for name in (*TD, "max_gain"))]
LIMIT_DB = 10.0 * np.log10(5.0)
"""T / T_p: the pilots' share of the slots is a fifth."""


def configure8(quick: bool) -> dict[str, Any]:
    """Four numbers of slots."""
    return configuration("slots T", [at(x, num_slots=x) for x in SLOTS], LINES, 20, quick, [5, 20], weight=0.5)


def configure9(quick: bool) -> dict[str, Any]:
    """Five SNRs."""
    points = [at(x, snr_db=x) for x in SNRS]
    return configuration("SNR, dB", points, LINES, 20, quick, [-10.0, 10.0], num_slots=10, weight=0.5)


def configure10(quick: bool) -> dict[str, Any]:
    """Four square surfaces."""
    points = [at(side**2, surface_shape=[side, side]) for side in SIDES]
    return configuration("elements L", points, LINES, 20, quick, [4, 25], num_slots=10, weight=0.5)


def wins(name: str, data: Data) -> list[dict[str, Any]]:
    """Is NO better than both forms of time division, in both quantities?"""
    out = []
    for i, (other, called) in enumerate(zip(TD, ("time division", "split time division"), strict=True)):
        bits = [across({"preset": preset}, compared(points, NO, other, "information", difference), above_bit, "bit")
                for preset, points in data.items()]  # fmt: skip
        angle = [across({"preset": preset}, compared(points, other, NO, "angle", ratio_db)) for preset, points in data.items()]
        out += [
            answers.question(f"{name}.{2 * i + 1}", f"NO has a larger I than {called} everywhere.", f"{ABOVE_BIT}; {EVERY}.",
                             bits),
            answers.question(f"{name}.{2 * i + 2}", f"NO has a lower CRLB of the angles than {called} everywhere.",
                             f"ratio of the means, the other over NO: {ABOVE_DB}; {EVERY}.", angle),
        ]  # fmt: skip
    return out


def grows(points: Points, other: str) -> tuple[Estimate, Estimate]:
    """By how much NO's advantage over a line grows from the first x to the last: bits, dB of the CRLB of the angles."""
    xs = list(points)
    parts = [points[x][name] for x in (xs[0], xs[-1]) for name in (NO, other)]
    bits = bootstrap(lambda a, b, c, d: (c - d) - (a - b), *(part["information"] for part in parts))[0]
    angle = bootstrap(lambda a, b, c, d: 10.0 * np.log10(d * a / (c * b)), *(part["angle"] for part in parts))[0]
    return bits, angle


def questions8(config: Mapping[str, Any], data: Data) -> list[dict[str, Any]]:
    """Who wins, how the advantage grows, what stays."""
    last = max(points for points in next(iter(data.values())))
    limit = within(LIMIT_DB - answers.SAME_DB, LIMIT_DB + answers.SAME_DB)
    stable = []
    for preset, points in data.items():
        for name in (NO, *TD):
            found = {f"{x:g} above 5": difference(lines[name]["information"], points[5][name]["information"])
                     for x, lines in points.items() if x != 5}  # fmt: skip
            stable.append(across({"preset": preset, "curve": name}, found, within(-SAME_BIT, SAME_BIT), "bit"))
    return [
        *wins("8", data),
        answers.question("8.5", "NO's advantage in localisation grows with T.",
                         f"ratio of the mean CRLBs, the other over NO, from the smallest T to the largest: {ABOVE_DB}.",
                         [across({"preset": preset, "over": other}, {"growth": grows(points, other)[1]})
                          for preset, points in data.items() for other in TD]),
        answers.question("8.6", "Its limit is T / T_p = 5, 7.0 dB (ours).",
                         f"ratio at the largest T: reproduced if the 95 % interval lies within {answers.SAME_DB} dB of 7.0 dB, "
                         "not reproduced if outside.",
                         [across({"preset": preset, "over": other},
                                 {f"ratio at {last:g}": ratio_db(points[last][other]["angle"], points[last][NO]["angle"])}, limit)
                          for preset, points in data.items() for other in TD]),
        answers.question("8.7", "I of both is stable in T.",
                         f"difference to T = 5: reproduced if the 95 % interval lies within {SAME_BIT} bit, not reproduced if "
                         f"outside; {EVERY}.", stable),
        *gaps("8", data, {"": (NO, BEST)}),
    ]  # fmt: skip


def questions9(config: Mapping[str, Any], data: Data) -> list[dict[str, Any]]:
    """Who wins, and does the gap of I grow?"""
    return [
        *wins("9", data),
        answers.question("9.5", "The gap of I grows with the SNR.", f"from the lowest to the highest SNR: {ABOVE_BIT}.",
                         [across({"preset": preset, "over": other}, {"growth": grows(points, other)[0]}, above_bit, "bit")
                          for preset, points in data.items() for other in TD]),
        *gaps("9", data, {"": (NO, BEST)}),
    ]  # fmt: skip


def questions10(config: Mapping[str, Any], data: Data) -> list[dict[str, Any]]:
    """Who wins, what the elements bring to each, and does the advantage grow?"""
    return [
        *wins("10", data),
        answers.question("10.5", "I of both grows with L.", f"each step: {ABOVE_BIT}; {EVERY}.",
                         [across({"preset": preset, "curve": name}, steps(points, name, "information", difference), above_bit,
                                 "bit")
                          for preset, points in data.items() for name in (NO, *TD)]),
        answers.question("10.6", "The CRLB of the angles of both falls with L.", f"each step: {ABOVE_DB}; {EVERY}.",
                         [across({"preset": preset, "curve": name}, steps(points, name, "angle", ratio_db, -1))
                          for preset, points in data.items() for name in (NO, *TD)]),
        answers.question("10.7", "NO's advantage grows with L, as a difference of I.", "from the smallest L to the largest: "
                                                                                       f"{ABOVE_BIT}.",
                         [across({"preset": preset, "over": other}, {"growth": grows(points, other)[0]}, above_bit, "bit")
                          for preset, points in data.items() for other in TD]),
        answers.question("10.8", "NO's advantage grows with L, as a ratio of CRLBs.",
                         f"ratio of the mean CRLBs, the other over NO, from the smallest L to the largest: {ABOVE_DB}.",
                         [across({"preset": preset, "over": other}, {"growth": grows(points, other)[1]})
                          for preset, points in data.items() for other in TD]),
        *gaps("10", data, {"": (NO, BEST)}),
    ]  # fmt: skip


FIG8 = sweep("fig8", "NO-ISAC and time division over the number of slots", configure8, questions8, draw_sweep(BOTH))
FIG9 = sweep("fig9", "NO-ISAC and time division over the SNR", configure9, questions9, draw_sweep(BOTH))
FIG10 = sweep("fig10", "NO-ISAC and time division over the number of elements", configure10, questions10, draw_sweep(BOTH))
