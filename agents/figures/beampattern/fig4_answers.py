"""The statements about Figure 4 with our numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from agents.figures import answers
from agents.figures.beampattern.curves import AO, BOUND, INFORMATION, STARTS, Panel, gain
from agents.figures.points import masked
from agents.stats import Estimate, estimate

__all__ = ["questions"]

Curves = Mapping[str, Mapping[str, np.ndarray]]
Data = Mapping[str, Mapping[float, Curves]]
ENOUGH = 5
"""A difference over fewer common scenes is not judged."""


def questions(config: Mapping[str, Any], data: Data) -> list[dict[str, Any]]:
    """All statements, for both starts and all panels. `data`: panel -> threshold -> curve -> arrays."""
    entries = [(Panel.of(entry), entry, data[Panel.of(entry).name]) for entry in config["panels"]]
    starts = [(panel, entry, curves, start) for panel, entry, curves in entries for start in STARTS]
    shown = f"{answers.SHOWN_DB} dB"
    gained = f"a 95 % interval above 0 and a mean of at least {shown}; not reproduced if the interval lies below {shown}"
    near = f"the 95 % interval lies within {answers.SAME_DB} dB; not reproduced if it lies outside"
    low = "low threshold (the lowest of each panel)"
    overall = (
        f"paired differences at every threshold with at least {ENOUGH} common scenes: {gained}; `depends on the threshold` "
        "if it is so at some; if at none, judged by the mean over thresholds, which is the number given."
    )
    return [
        answers.question(
            "4.1a",
            "The joint design (`ao`) has a significant gain over information beamforming only.",
            overall,
            [_everywhere(p, c, s, AO[s], INFORMATION[s]) for p, _, c, s in starts],
        ),
        answers.question(
            "4.1b",
            "The joint design (`ao`) has a significant gain over the separate design.",
            overall,
            [_everywhere(p, c, s, AO[s], "separate") for p, _, c, s in starts],
        ),
        answers.question(
            "4.2a",
            "At a low SNR threshold the separate design is close to the joint design.",
            f"`ao` minus `separate` at the {low}: {near}.",
            [_at(p, c, e["low_db"], s, AO[s], "separate", answers.close) for p, e, c, s in starts],
        ),
        answers.question(
            "4.2b",
            "At a low SNR threshold the separate design is above information beamforming only.",
            f"`separate` minus `information_only` at the {low}: {gained}.",
            [_at(p, c, e["low_db"], s, "separate", INFORMATION[s], answers.above) for p, e, c, s in starts],
        ),
        answers.question(
            "4.3a",
            "At a low SNR threshold dedicated sensing beams give a significant gain (`ao` against `information_only`).",
            f"at the {low}: {gained}.",
            [_at(p, c, e["low_db"], s, AO[s], INFORMATION[s], answers.above) for p, e, c, s in starts],
        ),
        answers.question(
            "4.3b",
            "At a low SNR threshold dedicated sensing beams give a significant gain (`joint` with and without them).",
            f"at the {low}: {gained}.",
            [_at(p, c, e["low_db"], None, "joint", "joint-plain", answers.above) for p, e, c in entries],
        ),
        answers.question(
            "4.4",
            "At a high SNR threshold the separate design is infeasible.",
            "of the scenes not certified infeasible, `separate` misses the SNR in more than half (95 % interval of the share "
            "above one half), at each threshold from the first high one on.",
            [_infeasible(p, c, t) for p, e, c in entries for t in c if t >= e["high_db"]],
        ),
        answers.question(
            "4.5",
            "At a high SNR threshold information beamforming only is close to the joint design.",
            f"`ao` minus `information_only` at each threshold from the first high one on: {near}.",
            [_high(p, c, t, s) for p, e, c, s in starts for t in c if t >= e["high_db"]],
        ),
    ]


def _everywhere(panel: Panel, curves: Mapping[float, Curves], start: str, first: str, second: str) -> dict[str, Any]:
    differences, verdicts, below, used = [], [], 0, []
    for threshold, curve in curves.items():
        found = gain(curve[first], curve[second])
        if found.count < ENOUGH:
            continue
        used.append(threshold)
        verdicts.append(answers.above(found))
        below += found.high < 0.0
        served = curve[first]["feasible"] & curve[second]["feasible"]
        differences.append(masked(curve[first]["objective"] - curve[second]["objective"], served))
    mean = estimate(_mean_over(differences))
    if answers.YES in verdicts:
        verdict = answers.YES if set(verdicts) == {answers.YES} else "depends on the threshold"
    else:
        verdict = answers.NO if answers.above(mean) == answers.NO else answers.UNDECIDED
    return answers.case(
        {**panel.where, "start": start},
        verdict,
        mean_difference=answers.number(mean),
        thresholds=answers.number(len(used), "", 0),
        of_them_a_gain=answers.number(verdicts.count(answers.YES), "", 0),
        interval_below_0=answers.number(below, "", 0),
        gain_up_to=answers.number(max(used, default=np.nan), "dB", 0),
    )


def _mean_over(differences: list[np.ndarray]) -> np.ndarray:
    """Mean over thresholds of each scene, over those at which both serve it; nan where there is none."""
    if not differences:
        return np.array([])
    values = np.array(differences)
    finite = np.isfinite(values)
    return np.where(finite.any(0), np.where(finite, values, 0.0).sum(0) / np.maximum(finite.sum(0), 1), np.nan)


def _at(
    panel: Panel,
    curves: Mapping[float, Curves],
    threshold: float,
    start: str | None,
    first: str,
    second: str,
    rule: Callable[[Estimate], str],
) -> dict[str, Any]:
    found = gain(curves[threshold][first], curves[threshold][second])
    where = {**panel.where, "SNR, dB": f"{threshold:g}", **({"start": start} if start else {})}
    return answers.case(where, rule(found), difference=answers.number(found))


def _infeasible(panel: Panel, curves: Mapping[float, Curves], threshold: float) -> dict[str, Any]:
    curve = curves[threshold]
    possible = curve[BOUND]["feasible"]
    missed = answers.share(~curve["separate"]["feasible"][possible])
    by_ao = answers.share(~curve[AO["separate"]]["feasible"][possible])
    return answers.case(
        {**panel.where, "SNR, dB": f"{threshold:g}"},
        answers.share_above(missed),
        missed_by_separate=answers.number(missed, "%", 0),
        missed_by_ao=answers.number(by_ao, "%", 0),
        certified_infeasible=answers.number(float((~possible).mean()), "%", 0),
    )


def _high(panel: Panel, curves: Mapping[float, Curves], threshold: float, start: str) -> dict[str, Any]:
    found = gain(curves[threshold][AO[start]], curves[threshold][INFORMATION[start]])
    verdict = answers.close(found) if found.count >= ENOUGH else answers.UNDECIDED
    return answers.case({**panel.where, "SNR, dB": f"{threshold:g}", "start": start}, verdict, difference=answers.number(found))
