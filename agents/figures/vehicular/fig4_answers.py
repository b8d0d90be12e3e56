"""The survey's statements on its Fig. 4, answered from the curves (model page, 11A)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.figures import answers

__all__ = ["Data", "gap_db", "questions", "reach_db"]

Curves = Mapping[str, np.ndarray]
Data = Mapping[str, Mapping[str, Curves]]
"""Panel -> quantity (`rate`, `dedicated`, `least`) -> scheme -> (G,), nan where infeasible."""

SAME_BIT = 1e-3
"""Rates that differ by no more are equal (ten times the tolerance of the optimum)."""
SHOWN_BIT = 0.02
"""A difference of less is not called one."""
SAME_SHARE = 1e-3
"""Shares of the frame that differ by no more are equal (about a grid step)."""
MARKED_DB = 1.0
"""Least gain that is called marked."""
STEP_BIT = 0.1
"""Of the levels that two curves are compared at."""
SCHEMES = {"s&c": "proposed", "w/o s": "w/o s", "w/o c": "w/o c", "w/o s&c": "w/o s&c"}
NAMES = {"flexible": "max-min, free slots", "equal": "sum rate, equal slots"}


def questions(config: Mapping[str, Any], data: Data) -> list[dict[str, Any]]:
    """Statements 1 to 6."""
    gammas = np.asarray(config["thresholds_db"], float)
    panels = [(_place(entry), curves) for entry, curves in zip(config["panels"], data.values(), strict=True)]
    return [
        answers.question(
            "1", "The rate of all schemes decreases as the sensing SNR requirement increases.",
            f"reproduced if no step rises by more than {SAME_BIT} bit/s/Hz and the curve falls by at least {SHOWN_BIT} bit/s/Hz "
            "in all, not reproduced if not; beside it the share of steps that fall by more than the former.",
            [_falls({**where, "scheme": called}, curves["rate"][scheme])
             for where, curves in panels for scheme, called in SCHEMES.items()]),
        answers.question(
            "2", "The proposed scheme is never below the others.",
            f"proposed minus the other at every Gamma that the other can meet: reproduced if the least is above -{SAME_BIT} "
            "bit/s/Hz (infeasible counts as below).",
            [_above({**where, "over": called}, curves["rate"]["s&c"], curves["rate"][scheme])
             for where, curves in panels for scheme, called in list(SCHEMES.items())[1:]]),
        answers.question(
            "3", "The gain of the proposed scheme over w/o s is larger when the requirement is lower.",
            "over the Gamma that both can meet: reproduced if the gain at the lowest exceeds that at the highest and the mean "
            f"over the lower half that over the upper half, each by {SHOWN_BIT} bit/s/Hz; not reproduced if neither does, "
            "else undecided.",
            [_lower(where, gammas, curves["rate"]["s&c"] - curves["rate"]["w/o s"]) for where, curves in panels]),
        answers.question(
            "4", f"At a fixed rate ({config['level']:g} bit/s/Hz) proposed senses markedly better than w/o c.",
            "the largest Gamma at which a curve (linear between its points) still has the rate, difference of the two: "
            f"reproduced from {MARKED_DB:g} dB on, and where proposed alone has the rate at any Gamma shown; undecided where "
            f"neither has. Common levels: every {STEP_BIT:g} bit/s/Hz that both curves pass; all have to meet the rule.",
            [part for where, curves in panels
             for part in _levels(where, gammas, curves["rate"]["s&c"], curves["rate"]["w/o c"], config["level"])]),
        answers.question(
            "5", "Proposed needs less dedicated sensing time than w/o c.",
            f"at every Gamma that both can meet: reproduced if it is shorter by more than {SAME_SHARE:g} of the frame at all of "
            "them, not reproduced if not.",
            [_shorter(where, curves["dedicated"]["s&c"], curves["dedicated"]["w/o c"]) for where, curves in panels]),
        answers.question(
            "6", "Sensing is not always worth it: the optimum takes no more dedicated time than the requirement asks for.",
            f"dedicated time beyond the least possible, at the lowest Gamma: reproduced if it is below {SAME_SHARE:g} of the "
            "frame, not reproduced if above. Beside it the Gamma from which on it is.",
            [_beyond({**where, "scheme": SCHEMES[scheme]}, gammas, curves["dedicated"][scheme], curves["least"][scheme])
             for where, curves in panels for scheme in ("s&c", "w/o c")]),
    ]  # fmt: skip


def _place(entry: Mapping[str, Any]) -> dict[str, str]:
    return {
        "x": "({})".format(", ".join(f"{x:g}" for x in entry["position_m"])) + " m",
        "prior": f"{entry['position_std_m']:g} m",
        "slots": NAMES[entry["slots"]],
    }


def _bit(value: float) -> dict[str, Any]:
    return answers.number(value, "bit/s/Hz", 3)


def _verdict(yes: bool) -> str:
    return answers.YES if yes else answers.NO


def _falls(where: Mapping[str, Any], rate: np.ndarray) -> dict[str, Any]:
    rate = rate[np.isfinite(rate)]
    if len(rate) < 2:
        return answers.case(where, answers.UNDECIDED)
    steps = np.diff(rate)
    yes = steps.max() <= SAME_BIT and rate[0] - rate[-1] >= SHOWN_BIT
    shown = {"fall": _bit(rate[0] - rate[-1]), "largest_rise": _bit(max(float(steps.max()), 0.0))}
    return answers.case(where, _verdict(yes), **shown, steps_that_fall=answers.number(float(np.mean(steps < -SAME_BIT)), "%", 0))


def _above(where: Mapping[str, Any], rate: np.ndarray, other: np.ndarray) -> dict[str, Any]:
    can = np.isfinite(other)
    if not can.any():
        return answers.case(where, answers.UNDECIDED)
    gain = np.where(np.isfinite(rate), rate, -np.inf)[can] - other[can]
    shown = {"least_gain": _bit(float(gain.min())), "largest_gain": _bit(float(gain.max()))}
    return answers.case(where, _verdict(bool(gain.min() >= -SAME_BIT)), **shown)


def _lower(where: Mapping[str, Any], gammas: np.ndarray, gain: np.ndarray) -> dict[str, Any]:
    can = np.isfinite(gain)
    gammas, gain = gammas[can], gain[can]
    if len(gain) < 2:
        return answers.case(where, answers.UNDECIDED)
    half = len(gain) // 2
    ends, halves = float(gain[0] - gain[-1]), float(gain[:half].mean() - gain[half:].mean())
    found = {ends >= SHOWN_BIT, halves >= SHOWN_BIT}
    verdict = answers.UNDECIDED if len(found) == 2 else _verdict(found == {True})
    best = int(np.argmax(gain))
    return answers.case(
        where, verdict, at_the_lowest=_bit(gain[0]), at_the_highest=_bit(gain[-1]), lower_half_minus_upper=_bit(halves),
        largest=_bit(gain[best]), largest_at=answers.number(float(gammas[best]), "dB", 0),
    )  # fmt: skip


def reach_db(gammas: np.ndarray, rate: np.ndarray, level: float) -> float:
    """The largest Gamma at which a curve that falls still has `level`; nan if at none; its last point where it ends above."""
    can = np.isfinite(rate)
    gammas, rate = gammas[can], rate[can]
    has = np.flatnonzero(rate >= level)
    if not len(has):
        return np.nan
    i = int(has[-1])
    if i + 1 == len(rate):
        return float(gammas[i])
    return float(gammas[i] + (gammas[i + 1] - gammas[i]) * (rate[i] - level) / (rate[i] - rate[i + 1]))


def gap_db(gammas: np.ndarray, rate: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Levels that both curves pass, in steps, and by how many dB the first one senses better there."""
    low = max(float(np.nanmin(rate)), float(np.nanmin(other)))
    high = min(float(np.nanmax(rate)), float(np.nanmax(other)))
    steps = np.arange(np.ceil(low / STEP_BIT - 1e-9), np.floor(high / STEP_BIT + 1e-9) + 1.0)
    levels = np.clip(STEP_BIT * steps, low, high)
    return levels, np.array([reach_db(gammas, rate, level) - reach_db(gammas, other, level) for level in levels])


def _levels(
    where: Mapping[str, Any], gammas: np.ndarray, rate: np.ndarray, other: np.ndarray, level: float
) -> list[dict[str, Any]]:
    own, its = reach_db(gammas, rate, level), reach_db(gammas, other, level)
    verdict = answers.UNDECIDED if np.isnan(own) else _verdict(np.isnan(its) or own - its >= MARKED_DB)
    out = [answers.case(
        {**where, "rate": f"{level:g}"}, verdict, proposed=answers.number(own), without_c=answers.number(its),
        gain=answers.number(own - its),
    )]  # fmt: skip
    levels, gaps = gap_db(gammas, rate, other)
    if len(levels):
        out.append(answers.case(
            {**where, "rate": f"{levels[0]:.1f} to {levels[-1]:.1f}"}, _verdict(bool(gaps.min() >= MARKED_DB)),
            gain=answers.number(float(np.median(gaps))), least=answers.number(float(gaps.min())),
            largest=answers.number(float(gaps.max())),
        ))  # fmt: skip
    return out


def _shorter(where: Mapping[str, Any], own: np.ndarray, other: np.ndarray) -> dict[str, Any]:
    saved = (other - own)[np.isfinite(other - own)]
    if not len(saved):
        return answers.case(where, answers.UNDECIDED)
    ratio = (own / other)[np.isfinite(other - own)]
    return answers.case(
        where, _verdict(bool(saved.min() > SAME_SHARE)), least_saving=answers.number(float(saved.min()), "%", 1),
        largest_saving=answers.number(float(saved.max()), "%", 1), mean_ratio=answers.number(float(ratio.mean()), ""),
    )  # fmt: skip


def _beyond(where: Mapping[str, Any], gammas: np.ndarray, time: np.ndarray, least: np.ndarray) -> dict[str, Any]:
    can = np.isfinite(time)
    if not can.any():
        return answers.case(where, answers.UNDECIDED)
    more = (time - least)[can]
    none = gammas[can][more < SAME_SHARE]
    start = float(none[0]) if len(none) else np.nan
    return answers.case(
        where, _verdict(bool(more[0] < SAME_SHARE)), beyond=answers.number(float(more[0]), "%", 2),
        none_beyond_from=answers.number(start, "dB", 0),
    )  # fmt: skip
