"""Figure 6: the CRB over the power budget of the surface with users to serve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.figures import answers
from agents.figures.active_crb.rules import BETTER, CLOSE, at_every_x, change_of_difference, lower, pair, worst
from agents.figures.active_crb.sweep import BOUND, ENOUGH, Curves, Data, configuration, panel, sweep

BUDGETS = [-5.0, 0.0, 5.0, 10.0]
CURVES = ["ao", "direct", "transmit_only", "zero_forcing", BOUND]


def configure(quick: bool) -> dict[str, Any]:
    """One panel."""
    main = panel("surface", "surface_power_dbm", "surface power P_s, dBm", BUDGETS, CURVES,
                 sinr_threshold_db=12.0, power_dbm=30.0, max_gain_db=30.0)  # fmt: skip
    return configuration([main], quick, (0.0, 5.0, 10.0), scenes=50)


def questions(config: Mapping[str, Any], data: Data) -> list[dict[str, Any]]:
    """What the phases matter at low and high surface power, and who is worst."""
    (entry,) = config["panels"]
    curves = data[entry["name"]]
    return [
        answers.question(
            "6.1",
            "At low surface power `ao` is close to `transmit_only`.",
            f"`ao` below `transmit_only` at the lowest surface power with at least {ENOUGH} scenes that both serve: {CLOSE}.",
            [_low(entry, data)],
        ),
        answers.question(
            "6.2",
            "Their gap opens as the surface power grows.",
            f"growth of the gap from that surface power to the largest, over the scenes that both serve at both: {BETTER}.",
            [_opens(curves)],
        ),
        answers.question(
            "6.3",
            "`zero_forcing` is the worst throughout.",
            f"paired difference to each other curve over the scenes that both serve, at each surface power: {BETTER}.",
            worst(entry, data, "zero_forcing", ["ao", "transmit_only"]),
        ),
        answers.question(
            "6.4",
            "`ao` is better than `transmit_only` and `zero_forcing` at every surface power.",
            f"paired difference over the scenes that both serve: {BETTER}.",
            at_every_x(entry, data, "ao", ["transmit_only", "zero_forcing"], served=True),
        ),
    ]


def lowest(curves: Curves) -> float:
    """The lowest x at which `ao` and `transmit_only` serve enough scenes in common; nan if there is none."""
    found = [x for x in sorted(curves) if lower(curves[x]["ao"], curves[x]["transmit_only"]).count >= ENOUGH]
    return found[0] if found else np.nan


def _low(entry: Mapping[str, Any], data: Data) -> dict[str, Any]:
    curves = data[entry["name"]]
    x = lowest(curves)
    if np.isnan(x):
        return answers.case({entry["label"]: "none"}, answers.UNDECIDED)
    found = lower(curves[x]["ao"], curves[x]["transmit_only"])
    return pair(found, {entry["label"]: f"{x:g}"}, "ao lower by", answers.close)


def _opens(curves: Curves) -> dict[str, Any]:
    first, last = lowest(curves), max(curves)
    if not first < last:
        return answers.case({"surface powers": "none"}, answers.UNDECIDED)
    gaps: dict[str, Any] = {
        f"gap at {x:g} dBm": answers.number(lower(curves[x]["ao"], curves[x]["transmit_only"]))
        for x in sorted(curves)
        if x >= first
    }
    found = change_of_difference(curves, (first, last), ("ao", "transmit_only"))
    return pair(found, {"surface powers": f"{first:g} to {last:g} dBm"}, "growth of the gap", **gaps)


FIGURE = sweep("fig6", "CRB over the power budget of the surface with users to serve", configure, questions)
