"""Figure 2: the CRB over the amplification, sensing only, at several power budgets of the surface."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from agents.figures import answers
from agents.figures.active_crb.rules import BETTER, CLOSE, change_of_difference, fall, judged, lower, pair, steps
from agents.figures.active_crb.sweep import BOUND, Curves, Data, configuration, label_of, line_name, panel, sweep, where

GAINS = [10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0, 50.0, 60.0]
BUDGETS = [0.0, 5.0, 10.0]
POLICY = "transmit_only"


def configure(quick: bool) -> dict[str, Any]:
    """One panel: `transmit_only` and the bound, a group per surface power."""
    groups = {f"{value:g} dBm": {"surface_power_dbm": value} for value in BUDGETS}
    main = panel("gain", "max_gain_db", "cap on the power gain, dB", GAINS, [POLICY, BOUND], groups=groups, grouped="P_s",
                 sinr_threshold_db=None, power_dbm=30.0)  # fmt: skip
    return configuration([main], quick, (10.0, 30.0, 60.0))


def questions(config: Mapping[str, Any], data: Data) -> list[dict[str, Any]]:
    """Does the CRB fall, and where do the budgets separate?"""
    (entry,) = config["panels"]
    curves = data[entry["name"]]
    names = [group["name"] for group in entry["groups"]]
    return [
        answers.question(
            "2.1",
            "The CRB (`transmit_only`) falls over the whole range of the amplification.",
            f"the fall from each gain to the next: {BETTER}. Reproduced if so at every step, not reproduced if not at one.",
            [_falls(entry, curves, group) for group in names],
        ),
        answers.question(
            "2.2",
            "A larger surface power gives a lower CRB (`transmit_only`).",
            f"difference between neighbouring budgets at each gain: {BETTER}.",
            [_budgets(entry, curves, two, x) for two in pairwise(names) for x in curves],
        ),
        answers.question(
            "2.3",
            "The curves of different surface powers separate as the amplification grows.",
            f"growth of the difference from the first gain to the last: {BETTER}. `separate from`: from this gain on every "
            "difference of 2.2 is reproduced.",
            [_separate(entry, curves, two) for two in pairwise(names)],
        ),
        answers.question(
            "2.4",
            "Random phases with the best beams at the cap are as good as any design (ours: the certified bound).",
            f"`{POLICY}` above the bound: {CLOSE}.",
            [
                pair(
                    lower(curves[x][line_name(BOUND, group)], curves[x][line_name(POLICY, group)]),
                    where(entry, group, x), "above the bound", answers.close,
                )
                for group in names
                for x in curves
            ],
        ),
    ]  # fmt: skip


def _falls(entry: Mapping[str, Any], curves: Curves, group: str) -> dict[str, Any]:
    line = line_name(POLICY, group)
    moves = steps(curves, line)
    verdicts = {judged(found) for found in moves.values()}
    verdict = answers.NO if answers.NO in verdicts else answers.UNDECIDED if answers.UNDECIDED in verdicts else answers.YES
    best = min(curves, key=lambda x: float(np.mean(curves[x][line]["nmse"])))
    last = max(curves)
    return answers.case(
        where(entry, group),
        verdict,
        fall_from_first_to_last=answers.number(fall(curves, line)),
        smallest_fall_of_a_step=answers.number(min(moves.values(), key=lambda found: found.value)),
        lowest_at_a_gain_of=answers.number(best, "dB", 0),
        rise_from_there_to_the_last=answers.number(lower(curves[best][line], curves[last][line])),
    )


def _difference(curves: Curves, groups: tuple[str, str], x: float) -> Any:
    small, large = (curves[x][line_name(POLICY, group)] for group in groups)
    return lower(large, small)


def _between(entry: Mapping[str, Any], groups: tuple[str, str]) -> dict[str, Any]:
    return {entry["grouped"]: " to ".join(label_of(entry, group) for group in groups)}


def _budgets(entry: Mapping[str, Any], curves: Curves, groups: tuple[str, str], x: float) -> dict[str, Any]:
    place = {**_between(entry, groups), **where(entry, "", x)}
    return pair(_difference(curves, groups, x), place, "lower by")


def _separate(entry: Mapping[str, Any], curves: Curves, groups: tuple[str, str]) -> dict[str, Any]:
    xs = sorted(curves)
    separate = np.nan
    for x in reversed(xs):
        if judged(_difference(curves, groups, x)) != answers.YES:
            break
        separate = x
    lines = (line_name(POLICY, groups[1]), line_name(POLICY, groups[0]))
    return pair(
        change_of_difference(curves, (xs[0], xs[-1]), lines),
        _between(entry, groups),
        "growth of the difference",
        at_the_first_gain=answers.number(_difference(curves, groups, xs[0])),
        at_the_last_gain=answers.number(_difference(curves, groups, xs[-1])),
        separate_from=answers.number(separate, "dB", 0),
    )


FIGURE = sweep("fig2", "CRB over the amplification at several surface powers, sensing only", configure, questions)
