"""Figure 4: the CRB over the power budget of the surface, sensing only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.figures import answers
from agents.figures.active_crb.rules import BETTER, CLOSE, CONSTANT, at_every_x, constant_from, judged, steps
from agents.figures.active_crb.sweep import BOUND, Curves, Data, configuration, panel, sweep

BUDGETS = [-10.0, -5.0, 0.0, 5.0, 10.0, 20.0]
CURVES = ["ao", "transmit_only", "reflective_only", BOUND]


def configure(quick: bool) -> dict[str, Any]:
    """One panel."""
    main = panel("surface", "surface_power_dbm", "surface power P_s, dBm", BUDGETS, CURVES,
                 sinr_threshold_db=None, power_dbm=30.0, max_gain_db=30.0)  # fmt: skip
    return configuration([main], quick, (-10.0, 0.0, 10.0, 20.0))


def questions(config: Mapping[str, Any], data: Data) -> list[dict[str, Any]]:
    """Where the curves become constant."""
    (entry,) = config["panels"]
    curves = data[entry["name"]]
    constant = f"`constant from`: the surface power from which on every step {CONSTANT}"
    return [
        answers.question(
            "4.1",
            "The CRB falls with the surface power and then stays constant.",
            f"the first step falls ({BETTER}) and the last one {CONSTANT}; not reproduced if either is not so. {constant}.",
            [_falls_then_constant(curves, name) for name in CURVES],
        ),
        answers.question(
            "4.2",
            "Reflective beamforming only is constant at high surface power.",
            f"the last step {CONSTANT}; not reproduced if the interval lies outside. {constant}.",
            [_constant(curves, "reflective_only")],
        ),
        answers.question(
            "4.3",
            "`ao` is better than reflective beamforming only at every surface power.",
            f"paired difference at each surface power: {BETTER}.",
            at_every_x(entry, data, "ao", ["reflective_only"]),
        ),
        answers.question(
            "4.4",
            "`transmit_only` is close to `ao` at every surface power.",
            f"`ao` below `transmit_only`: {CLOSE}.",
            at_every_x(entry, data, "ao", ["transmit_only"], answers.close),
        ),
    ]


def _numbers(curves: Curves, line: str) -> dict[str, Any]:
    moves = steps(curves, line)
    return {
        "fall_in_the_first_step": answers.number(moves[min(moves)]),
        "fall_in_the_last_step": answers.number(moves[max(moves)]),
        "constant_from": answers.number(constant_from(curves, line), "dBm", 0),
    }


def _falls_then_constant(curves: Curves, line: str) -> dict[str, Any]:
    moves = steps(curves, line)
    verdicts = {judged(moves[min(moves)]), judged(moves[max(moves)], answers.close)}
    verdict = answers.NO if answers.NO in verdicts else answers.UNDECIDED if answers.UNDECIDED in verdicts else answers.YES
    return answers.case({"curve": line}, verdict, **_numbers(curves, line))


def _constant(curves: Curves, line: str) -> dict[str, Any]:
    moves = steps(curves, line)
    return answers.case({"curve": line}, judged(moves[max(moves)], answers.close), **_numbers(curves, line))


FIGURE = sweep("fig4", "CRB over the power budget of the surface, sensing only", configure, questions)
