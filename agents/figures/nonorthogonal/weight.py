"""Figure 11: the policies over the weight of communication."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.figures import answers
from agents.figures.nonorthogonal.curves import line
from agents.figures.nonorthogonal.pictures import draw_sweep
from agents.figures.nonorthogonal.rules import ABOVE_DB, EVERY, across, compared, difference, ends, gaps, ratio_db, steps
from agents.figures.nonorthogonal.sweep import Data, at, configuration, searched, sweep

ZETAS = [round(0.1 * i, 1) for i in range(1, 10)]
NAMES = {"NO": "cross_entropy", "best known": "coordinate_descent"}
BOUNDS = {"symbol": "CRLB of a symbol", "angle": "CRLB of the angles"}
MUCH_DB = 3.0
"""Least gain that is called much."""


def configure(quick: bool) -> dict[str, Any]:
    """Nine weights."""
    lines = [*searched(), line("random"), line("max_gain")]
    return configuration("weight", [at(x, weight=x) for x in ZETAS], lines, 60, quick, [0.1, 0.5, 0.9], num_slots=2)


def _much(found: Any) -> str:
    return answers.YES if found.low > MUCH_DB else answers.NO if found.high < MUCH_DB else answers.UNDECIDED


def questions(config: Mapping[str, Any], data: Data) -> list[dict[str, Any]]:
    """How far above random phases, and what the weight does."""
    above = [
        across({"preset": preset, "bound": called}, compared(points, "random", NAMES["NO"], quantity, ratio_db), _much)
        for preset, points in data.items() for quantity, called in BOUNDS.items()
    ]  # fmt: skip
    above += [
        across({"preset": preset, "bound": "10 V"},
               {f"at {x:g}": difference(10.0 * lines["random"]["value"], 10.0 * lines[NAMES["NO"]]["value"])
                for x, lines in points.items()}, _much)
        for preset, points in data.items()
    ]  # fmt: skip
    return [
        answers.question("11.1", "Both bounds of NO are much better than those of random phases.",
                         "random over NO, ratio of the means (10 V: difference): reproduced if the 95 % interval lies above "
                         f"{MUCH_DB:g} dB, not reproduced if below; {EVERY}.", above),
        *[answers.question(
            f"11.{i}", f"With a larger weight the {called} {verb}.",
            f"ratio of the means, from the smallest weight to the largest: {ABOVE_DB}. Steps beside it.",
            [across({"preset": preset, "design": design}, {"first to last": ends(points, name, quantity, ratio_db, sign)},
                    beside={key: answers.number(part) for key, part in steps(points, name, quantity, ratio_db, sign).items()})
             for preset, points in data.items() for design, name in NAMES.items()])
          for i, (quantity, called, verb, sign) in enumerate(
              (("symbol", BOUNDS["symbol"], "falls", -1), ("angle", BOUNDS["angle"], "rises", 1)), 2)],
        *gaps("11", data, {"": (NAMES["NO"], NAMES["best known"])}),
    ]  # fmt: skip


AXES = {"symbol": "CRLB of a symbol", "angle": "CRLB of the angles, rad$^2$", "value": "V, lg"}
FIG11 = sweep("fig11", "policies over the weight of communication", configure, questions, draw_sweep(AXES))
