"""Cases of the statements about curves over one parameter: a row per curve and objective, a column per value of the parameter."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from agents.figures import answers
from agents.figures.multifunctional.curves import CURVES, line_name
from agents.figures.multifunctional.sweep import ENOUGH, FORMS, LEVEL, Curves, Data, Line
from agents.figures.points import masked
from agents.stats import Estimate, estimate, paired_difference

__all__ = [
    "BETTER", "CLOSE", "EVERY", "GAIN", "across", "beats", "converged", "counts", "gains", "higher", "judged", "level", "steps",
    "steps_of", "where",
]  # fmt: skip

GAIN = f"a 95 % interval above 0 and a mean of at least {answers.SHOWN_DB} dB"
BETTER = f"{GAIN}; not reproduced if the interval lies below {answers.SHOWN_DB} dB"
CLOSE = f"the 95 % interval lies within {answers.SAME_DB} dB; not reproduced if it lies outside"
EVERY = (
    "reproduced if so at every value of x, not reproduced if not so at one; values at which fewer than "
    f"{ENOUGH} scenes are served by both have no say"
)
NAMES = {"sum": "sum (17a)", "db": "mean of dB", "log": "log"}
"""How tables call the objectives."""

Rule = Callable[[Estimate], str]


def where(form: str, **more: str) -> dict[str, str]:
    """The first columns of a table; curves by their labels."""
    return {"designs for": NAMES[form], **{key: CURVES[name].label if name in CURVES else name for key, name in more.items()}}


def level(line: Line, form: str) -> np.ndarray:
    """What designs for `form` are judged by, dB (n,), nan where the scene is not served."""
    return masked(line[LEVEL[form]], line["feasible"])


def higher(first: Line, second: Line, form: str) -> Estimate:
    """By how many dB `first` is above `second`, over the scenes that both serve."""
    return paired_difference(level(first, form), level(second, form))


def judged(found: Estimate, rule: Rule = answers.above) -> str:
    """The rule's verdict; undecided for fewer than `ENOUGH` scenes."""
    return rule(found) if found.count >= ENOUGH else answers.UNDECIDED


def together(verdicts: Iterable[str]) -> str:
    """No if one is no, else undecided if one is, else yes; undecided without any."""
    found = set(verdicts)
    return next((word for word in (answers.NO, answers.UNDECIDED, answers.YES) if word in found), answers.UNDECIDED)


def across(
    place: Mapping[str, str], found: Mapping[str, Estimate], rule: Rule = answers.above, **more: Mapping[str, Any]
) -> dict[str, Any]:
    """A case with one number per column, all of which have to meet the rule (those with too few scenes aside)."""
    verdict = together(judged(part, rule) for part in found.values() if part.count >= ENOUGH)
    shown = {name: answers.number(part if part.count >= ENOUGH else Estimate(np.nan, np.nan, np.nan, part.count))
             for name, part in found.items()}  # fmt: skip
    return answers.case(place, verdict, **shown, **more)


def beats(
    data: Data, panel: str, firsts: Iterable[str], others: Iterable[str], rule: Rule = answers.above
) -> list[dict[str, Any]]:
    """By how much each of the first curves is above each of the others, at every x."""
    cases = []
    for form in FORMS:
        for first, other in itertools.product(firsts, others):
            found = {
                f"at {x:g}": higher(curves[line_name(first, form)], curves[line_name(other, form)], form)
                for x, curves in data[panel].items()
            }
            cases.append(across(where(form, curve=first, over=other), found, rule))
    return cases


def steps_of(curves: Curves, name: str, form: str) -> dict[str, Estimate]:
    """By how much a line rises from each x to the next, over the scenes served at both."""
    line = line_name(name, form)
    return {f"{a:g} to {b:g}": higher(curves[b][line], curves[a][line], form) for a, b in pairwise(list(curves))}


def steps(data: Data, panel: str, names: Iterable[str], rule: Rule = answers.above) -> list[dict[str, Any]]:
    """A case per line: its steps."""
    return [
        across(where(form, curve=name), steps_of(data[panel], name, form), rule) for form in FORMS for name in names
    ]  # fmt: skip


def gains(data: Data, panel: str, first: str, others: Iterable[str], xs: Iterable[float]) -> list[dict[str, Any]]:
    """What a curve gains over others: dB, and per cent of the dB values and of the linear ones (means over common scenes)."""
    return [
        _gain({**where(form, over=other), "x": f"{x:g}"},
              *(level(data[panel][x][line_name(name, form)], form) for name in (first, other)))
        for form in FORMS
        for other in others
        for x in xs
    ]  # fmt: skip


def _gain(place: Mapping[str, str], one: np.ndarray, two: np.ndarray) -> dict[str, Any]:
    both = np.isfinite(one) & np.isfinite(two)
    if both.sum() < ENOUGH:
        return answers.case(place, answers.UNDECIDED)
    found = paired_difference(one, two)
    high, low = one[both].mean(), two[both].mean()
    linear = float(np.mean(10.0 ** (one[both] / 10.0)) / np.mean(10.0 ** (two[both] / 10.0)))
    return answers.case(
        place,
        judged(found),
        gain=answers.number(found),
        level=answers.number(high),
        **{
            "level of the other": answers.number(low),
            "gain of the dB value": answers.number((high - low) / abs(low), "%", 0),
            "gain of the linear value": answers.number(linear - 1.0, "%", 0),
        },
    )


def counts(config: Mapping[str, Any], data: Data, entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Scenes that each line serves at every x."""
    cases = []
    for form in config["forms"]:
        for name in entry["curves"]:
            served = {x: curves[line_name(name, form)]["feasible"] for x, curves in data[entry["name"]].items()}
            numbers = {f"at {x:g}": answers.number(int(flags.sum()), "", 0) for x, flags in served.items()}
            least = min(flags.mean() for flags in served.values())
            verdict = "all" if least == 1.0 else f"at least {100 * least:.0f} %"
            cases.append(answers.case(where(form, curve=name), verdict, **numbers))
    return cases


def pooled(parts: list[np.ndarray]) -> Estimate:
    """Mean over scenes of the mean over x, without nan."""
    values = np.stack(parts)
    finite = np.isfinite(values)
    total = np.where(finite, values, 0.0).sum(0)
    return estimate(np.where(finite.any(0), total / np.maximum(finite.sum(0), 1), np.nan))


def converged(config: Mapping[str, Any], data: Data, entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """How much the best start is above the first and the worst one, and how far below the bound; means over all x."""
    cases = []
    for form in config["forms"]:
        for name in entry["curves"]:
            lines = [curves[line_name(name, form)] for curves in data[entry["name"]].values()]
            if lines[0]["tries"].shape[1] < 2:
                continue
            best = [masked(np.max(np.where(line["served"], line["tries"], -np.inf), axis=1), line["feasible"]) for line in lines]
            first = [masked(line["tries"][:, 0], line["served"][:, 0]) for line in lines]
            worst = [masked(np.min(line["tries"], axis=1), np.asarray(line["served"].all(1))) for line in lines]
            gain = pooled([a - b for a, b in zip(best, first, strict=True)])
            spread = pooled([a - b for a, b in zip(best, worst, strict=True)])
            numbers = {
                "best of the starts above one": answers.number(gain),
                "above the worst": answers.number(spread),
                "rounds": answers.number(float(np.mean([line["rounds"][line["feasible"]].mean() for line in lines if
                                                        line["feasible"].any()] or [np.nan])), "", 1),
            }  # fmt: skip
            if CURVES[name].bound in entry["bounds"]:
                bounds = [curves[line_name(CURVES[name].bound, form)]["value"] for curves in data[entry["name"]].values()]
                numbers["gap to the bound"] = answers.number(pooled([b - a for a, b in zip(best, bounds, strict=True)]))
            cases.append(answers.case(where(form, curve=name), judged(gain, answers.close), **numbers))
    return cases


CONVERGED = (
    "The solver is no part of the comparison: a single start is as good as the best of several (ours; mean over all x)."
)
CONVERGED_RULE = (
    f"best of the starts above a single one: {CLOSE}. In the unit of the objective. Beside it, how far the best is above the "
    "worst start where all serve, the rounds of `ao`, and for the multi-functional surface the gap to the certified bound."
)
COUNTS_RULE = (
    "number of scenes served (rates and hard constraints). Fewer than half: the curve is marked `infeasible` there, is not "
    "drawn and has no say in the common scenes."
)


def last_questions(name: str, config: Mapping[str, Any], data: Data) -> list[dict[str, Any]]:
    """Counts and convergence of the first panel."""
    entry = config["panels"][0]
    found = [answers.question(f"{name}.N", "Feasible counts (ours).", COUNTS_RULE, counts(config, data, entry))]
    if cases := converged(config, data, entry):
        found.append(answers.question(f"{name}.S", CONVERGED, CONVERGED_RULE, cases))
    return found
