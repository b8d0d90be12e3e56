"""Figure 5: the CRB over the power of the base station with users to serve, and active against passive at low thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.figures import answers
from agents.figures.active_crb.fig3 import CAPS
from agents.figures.active_crb.rules import BETTER, CONSTANT, GAIN, at_every_x, going_on, higher_cap
from agents.figures.active_crb.sweep import BOUND, Data, configuration, line_name, panel, sweep, where

POWERS = [25.0, 30.0, 35.0, 40.0]
LOW_THRESHOLDS = [-20.0, -15.0, -10.0, 0.0]
CURVES = ["ao", "direct", "transmit_only", "zero_forcing", BOUND]
BENCHMARKS = ["transmit_only", "zero_forcing"]


def configure(quick: bool) -> dict[str, Any]:
    """Five curves at two caps over the power, with the passive surface; `ao` and passive over low thresholds."""
    panels = [
        panel("power", "power_dbm", "BS power P_0, dBm", POWERS, CURVES, groups=CAPS, grouped="cap", alone=("passive",),
              sinr_threshold_db=12.0, surface_power_dbm=5.0),
        panel("low", "sinr_threshold_db", "required SINR, dB", LOW_THRESHOLDS, ["ao", BOUND], groups={"30 dB": CAPS["30 dB"]},
              grouped="cap", alone=("passive",), power_dbm=30.0, surface_power_dbm=5.0),
    ]  # fmt: skip
    return configuration(panels, quick, (30.0, 35.0, 40.0), scenes=50)


def questions(config: Mapping[str, Any], data: Data) -> list[dict[str, Any]]:
    """Who is better, active against passive, what goes on at high power."""
    power, low = config["panels"]
    return [
        answers.question(
            "5.1",
            "The alternating optimisation (`ao`) is better than `transmit_only` and `zero_forcing` at every power.",
            f"paired difference over the scenes that both serve, at each power: {BETTER}.",
            at_every_x(power, data, "ao", BENCHMARKS, served=True),
        ),
        answers.question(
            "5.2a",
            "The active surface (`ao`) is far better than the passive one, where both serve the users.",
            f"paired difference over the scenes that both serve: {BETTER} (second panel).",
            at_every_x(low, data, "ao", ["passive"], grouped=False, served=True),
        ),
        answers.question(
            "5.2b",
            "At the threshold of the first panel the active surface (`ao`) serves the users and the passive one does not.",
            "share of the scenes that `ao` serves and `passive` does not: reproduced if its 95 % interval lies above one half, "
            "not reproduced if below.",
            [_serves(power, data, group["name"], x) for group in power["groups"] for x in power["values"]],
        ),
        answers.question(
            "5.3",
            "All curves tend to a constant at high power.",
            f"`constant` if the last step of the power {CONSTANT}, else `falls` or `rises` "
            f"if the change has {GAIN}.",
            going_on(power, data, CURVES),
        ),
        answers.question(
            "5.4",
            "A higher cap on the amplification helps.",
            f"the same policy at both caps over the scenes served at both, at each power: {BETTER}.",
            higher_cap(power, data, ["ao", "direct", "transmit_only", "zero_forcing"]),
        ),
        answers.question(
            "5.5",
            "There is a better design than that of `ao`: `direct`, which descends the CRB of the best beams (ours).",
            f"`direct` below `ao` over the scenes that both serve, at each power: {BETTER}.",
            at_every_x(power, data, "direct", ["ao"], served=True),
        ),
    ]  # fmt: skip


def _serves(entry: Mapping[str, Any], data: Data, group: str, x: float) -> dict[str, Any]:
    curves = data[entry["name"]][x]
    ao, passive = curves[line_name("ao", group)]["feasible"], curves["passive"]["feasible"]
    alone = answers.share(ao & ~passive)
    return answers.case(
        where(entry, group, x),
        answers.share_above(alone),
        served_by_ao_alone=answers.number(alone, "%", 0),
        passive_serves=answers.number(answers.share(passive), "%", 0),
    )


FIGURE = sweep("fig5", "CRB over the power of the base station with users to serve", configure, questions)
