"""Figure 3: the CRB over the power of the base station, sensing only, at two caps of the amplification."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.figures import answers
from agents.figures.active_crb.rules import BETTER, CLOSE, CONSTANT, GAIN, at_every_x, going_on, higher_cap
from agents.figures.active_crb.sweep import BOUND, Data, configuration, panel, sweep

POWERS = [20.0, 25.0, 30.0, 35.0, 40.0]
CAPS = {"20 dB": {"max_gain_db": 20.0}, "30 dB": {"max_gain_db": 30.0}}
CURVES = ["ao", "transmit_only", "reflective_only", BOUND]


def configure(quick: bool) -> dict[str, Any]:
    """One panel: four curves at two caps, and the passive surface."""
    main = panel("power", "power_dbm", "BS power P_0, dBm", POWERS, CURVES, groups=CAPS, grouped="cap", alone=("passive",),
                 sinr_threshold_db=None, surface_power_dbm=5.0)  # fmt: skip
    return configuration([main], quick, (20.0, 30.0, 40.0))


def questions(config: Mapping[str, Any], data: Data) -> list[dict[str, Any]]:
    """Who is better, what the phases matter, what the cap helps, how the curves go on."""
    (entry,) = config["panels"]
    return [
        answers.question(
            "3.1",
            "The alternating optimisation (`ao`) is better than reflective beamforming only at every power.",
            f"paired difference at each power: {BETTER}.",
            at_every_x(entry, data, "ao", ["reflective_only"]),
        ),
        answers.question(
            "3.2",
            "The active surface (`ao`) is better than the passive one at every power.",
            f"paired difference at each power: {BETTER}.",
            at_every_x(entry, data, "ao", ["passive"], grouped=False),
        ),
        answers.question(
            "3.3",
            "`transmit_only` is close to `ao`: the phases hardly matter.",
            f"`ao` below `transmit_only` at each power: {CLOSE}.",
            at_every_x(entry, data, "ao", ["transmit_only"], answers.close),
        ),
        answers.question(
            "3.4",
            "A higher cap on the amplification helps.",
            f"the same policy at both caps, at each power: {BETTER}.",
            higher_cap(entry, data, ["ao", "transmit_only", "reflective_only"]),
        ),
        answers.question(
            "3.5",
            "How do the curves go on at high power?",
            f"the last step of the power: `constant` if it {CONSTANT}, else `falls` or `rises` if the change has {GAIN}.",
            going_on(entry, data, [*CURVES, "passive"]),
        ),
    ]


FIGURE = sweep("fig3", "CRB over the power of the base station, sensing only", configure, questions)
