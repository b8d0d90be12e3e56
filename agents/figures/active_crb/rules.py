"""Cases of the statements about curves over one parameter: who is better, who is close, what goes on, what stays constant."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from agents.figures import answers
from agents.figures.active_crb.sweep import ENOUGH, Curves, Data, Line, label_of, line_name, where
from agents.figures.points import masked
from agents.stats import Estimate, estimate, paired_difference

__all__ = [
    "BETTER", "CLOSE", "CONSTANT", "ENOUGH", "GAIN", "at_every_x", "change_of_difference", "constant_from", "fall", "going_on",
    "higher_cap", "judged", "lower", "pair", "steps", "worst",
]  # fmt: skip

GAIN = f"a 95 % interval above 0 and a mean of at least {answers.SHOWN_DB} dB"
BETTER = f"{GAIN}; not reproduced if the interval lies below {answers.SHOWN_DB} dB"
CLOSE = f"the 95 % interval lies within {answers.SAME_DB} dB; not reproduced if it lies outside"
CONSTANT = f"changes by no more than {answers.SAME_DB} dB (95 % interval of the paired difference)"

Rule = Callable[[Estimate], str]


def lower(first: Line, second: Line) -> Estimate:
    """By how many dB `first` is below `second`, over the scenes that both serve."""
    return paired_difference(masked(second["nmse"], second["feasible"]), masked(first["nmse"], first["feasible"]))


def judged(found: Estimate, rule: Rule = answers.above) -> str:
    """The rule's verdict; undecided for fewer than `ENOUGH` scenes."""
    return rule(found) if found.count >= ENOUGH else answers.UNDECIDED


def pair(found: Estimate, place: Mapping[str, Any], text: str, rule: Rule = answers.above, **more: Any) -> dict[str, Any]:
    """A case about one difference; `text` names it."""
    return answers.case(place, judged(found, rule), **{text: answers.number(found)}, **more)


def at_every_x(
    panel: Mapping[str, Any],
    data: Data,
    first: str,
    others: Iterable[str],
    rule: Rule = answers.above,
    text: str = "lower by",
    grouped: bool = True,
    served: bool = False,
) -> list[dict[str, Any]]:
    """A case per x, group and benchmark: by how much `first` is below it. `grouped`: the benchmarks have groups too.

    `served`: also the numbers of scenes that each of the two serves.
    """
    cases = []
    for other in others:
        for group in [entry["name"] for entry in panel["groups"]]:
            for x, curves in data[panel["name"]].items():
                one, two = curves[line_name(first, group)], curves[line_name(other, group if grouped else "")]
                counts = {}
                if served:
                    for name, line in ((first, one), ("benchmark", two)):
                        counts[f"{name} serves"] = answers.number(float(line["feasible"].mean()), "%", 0)
                cases.append(pair(lower(one, two), {"benchmark": other, **where(panel, group, x)}, text, rule, **counts))
    return cases


def steps(curves: Curves, line: str) -> dict[float, Estimate]:
    """x (but the first) -> by how much a line falls from the x before, over the scenes served at both."""
    xs = list(curves)
    return {x: lower(curves[x][line], curves[before][line]) for before, x in pairwise(xs)}


def fall(curves: Curves, line: str) -> Estimate:
    """By how much a line falls from the first x to the last one."""
    xs = list(curves)
    return lower(curves[xs[-1]][line], curves[xs[0]][line])


def constant_from(curves: Curves, line: str) -> float:
    """The first x from which on every step is constant; nan if the last step is not."""
    xs, found = list(curves), np.nan
    moves = steps(curves, line)
    for before, x in reversed(list(pairwise(xs))):
        if judged(moves[x], answers.close) != answers.YES:
            break
        found = before
    return float(found)


def change_of_difference(curves: Curves, xs: tuple[float, float], lines: tuple[str, str]) -> Estimate:
    """By how much `second - first` (dB) is larger at xs[1] than at xs[0], over the scenes that both serve at both."""
    differences = []
    for x in xs:
        one, two = (curves[x][name] for name in lines)
        differences.append(masked(two["nmse"] - one["nmse"], one["feasible"] & two["feasible"]))
    return estimate(differences[1] - differences[0])


def worst(panel: Mapping[str, Any], data: Data, name: str, others: Iterable[str]) -> list[dict[str, Any]]:
    """A case per x and other curve: by how much the curve `name` is above it (panels of one group)."""
    return [
        pair(lower(curves[other], curves[name]), {"other": other, **where(panel, "", x)}, f"{name} higher by")
        for other in others
        for x, curves in data[panel["name"]].items()
    ]


def higher_cap(panel: Mapping[str, Any], data: Data, names: Iterable[str]) -> list[dict[str, Any]]:
    """A case per curve and x: by how much the last group is below the first."""
    low, high = panel["groups"][0]["name"], panel["groups"][-1]["name"]
    return [
        pair(
            lower(curves[line_name(name, high)], curves[line_name(name, low)]),
            {"curve": name, **where(panel, "", x)},
            f"{label_of(panel, high)} below {label_of(panel, low)} by",
        )
        for name in names
        for x, curves in data[panel["name"]].items()
    ]


def going_on(panel: Mapping[str, Any], data: Data, names: Iterable[str]) -> list[dict[str, Any]]:
    """A case per line: `constant`, `falls`, `rises` or undecided at the last step of x."""
    cases = []
    for name in names:
        alone = name in panel["alone"]
        for group in [""] if alone else [entry["name"] for entry in panel["groups"]]:
            moves = steps(data[panel["name"]], line_name(name, group))
            first, last = moves[min(moves)], moves[max(moves)]
            rise = Estimate(-last.value, -last.high, -last.low, last.count)
            if judged(last, answers.close) == answers.YES:
                verdict = "constant"
            else:
                moves_on = {"falls": last, "rises": rise}
                verdict = next((word for word, move in moves_on.items() if judged(move) == answers.YES), answers.UNDECIDED)
            place = {"curve": name, panel["grouped"]: label_of(panel, group)}
            numbers = {"fall_in_the_first_step": answers.number(first), "fall_in_the_last_step": answers.number(last)}
            cases.append(answers.case(place, verdict, **numbers))
    return cases
