"""Figure 7: the CRB over the required SINR, the trade-off between sensing and communication."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.figures import answers
from agents.figures.active_crb.rules import BETTER, CLOSE, GAIN, at_every_x, judged, lower, worst
from agents.figures.active_crb.sweep import BOUND, Curves, Data, configuration, panel, sweep

THRESHOLDS = [0.0, 6.0, 12.0, 13.0, 14.0, 15.0, 18.0]
CURVES = ["ao", "direct", "transmit_only", "zero_forcing", BOUND]


def configure(quick: bool) -> dict[str, Any]:
    """One panel."""
    main = panel("threshold", "sinr_threshold_db", "required SINR, dB", THRESHOLDS, CURVES,
                 power_dbm=30.0, surface_power_dbm=5.0, max_gain_db=30.0)  # fmt: skip
    return configuration([main], quick, (0.0, 12.0, 18.0), scenes=50)


def questions(config: Mapping[str, Any], data: Data) -> list[dict[str, Any]]:
    """Whose region is the largest, where the curves meet, who is worst."""
    (entry,) = config["panels"]
    curves = data[entry["name"]]
    ends = {x: curves[x] for x in (min(curves), max(curves))}
    return [
        answers.question(
            "7.1",
            "The CRB-SINR region of `ao` is the largest.",
            "at each threshold: not reproduced if `ao` is above the benchmark (95 % interval of `lower by` below 0) or the "
            f"benchmark serves more scenes; else reproduced if `ao` is lower ({GAIN}) or serves more; else "
            f"`equal` where the interval lies below {answers.SHOWN_DB} dB.",
            [_region(entry, curves, other, x) for other in ("transmit_only", "zero_forcing") for x in curves],
        ),
        answers.question(
            "7.2",
            "`ao` and `transmit_only` are close at the lowest and at the highest threshold.",
            f"`ao` below `transmit_only` over the scenes that both serve: {CLOSE}.",
            at_every_x(entry, {entry["name"]: ends}, "ao", ["transmit_only"], answers.close, served=True),
        ),
        answers.question(
            "7.3",
            "`zero_forcing` is the worst throughout.",
            f"paired difference to each other curve over the scenes that both serve, at each threshold: {BETTER}.",
            worst(entry, data, "zero_forcing", ["ao", "transmit_only"]),
        ),
        answers.question(
            "7.4",
            "There is a better design than that of `ao`: `direct`, which descends the CRB of the best beams (ours).",
            f"`direct` below `ao` over the scenes that both serve, at each threshold: {BETTER}.",
            at_every_x(entry, data, "direct", ["ao"], served=True),
        ),
    ]


def _region(entry: Mapping[str, Any], curves: Curves, other: str, x: float) -> dict[str, Any]:
    ao, benchmark = curves[x]["ao"], curves[x][other]
    found = lower(ao, benchmark)
    only_ao = int(np.sum(ao["feasible"] & ~benchmark["feasible"]))
    only_other = int(np.sum(benchmark["feasible"] & ~ao["feasible"]))
    if (found.count and found.high < 0.0) or only_other > only_ao:
        verdict = answers.NO
    elif judged(found) == answers.YES or only_ao > only_other:
        verdict = answers.YES
    else:
        verdict = "equal" if judged(found) == answers.NO else answers.UNDECIDED
    return answers.case(
        {"benchmark": other, entry["label"]: f"{x:g}"},
        verdict,
        lower_by=answers.number(found),
        served_by_ao_alone=answers.number(only_ao, "scenes", 0),
        by_the_benchmark_alone=answers.number(only_other, "scenes", 0),
    )


FIGURE = sweep("fig7", "CRB over the required SINR", configure, questions)
