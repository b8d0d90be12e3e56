"""Figure 2: the policies for energy splitting over the total power budget, on the smallest surface and on the default one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.figures import answers
from agents.figures.multifunctional.curves import POLICIES, line_name
from agents.figures.multifunctional.rules import (
    BETTER,
    CLOSE,
    ENOUGH,
    EVERY,
    across,
    beats,
    last_questions,
    where,
)
from agents.figures.multifunctional.sweep import FORMS, Data, at, configuration, panel, sweep
from agents.figures.points import masked
from agents.stats import Estimate, estimate, paired_difference

POWERS = [20.0, 25.0, 30.0, 35.0, 40.0]
MUCH_DB = 3.0
"""Least loss that is called much."""
LOSS_DB = 0.1
"""Least loss that counts as one."""

RANKS = (
    f"reproduced if a rank exceeds one and its loss {LOSS_DB} dB (95 % interval of the mean over all scenes served at all x), "
    f"not reproduced if the interval lies below {LOSS_DB} dB or the rank is one. Transmit step: rank of the sensing "
    "covariance, and what its truncation costs. Coefficient step: mean of the larger rank of V_r and V_t, and value of the "
    "relaxation minus that of the best candidate."
)


def configure(quick: bool) -> dict[str, Any]:
    """The smallest surface with all policies, the default one without `exhaustive`."""
    points = [at(x, total_power_dbm=x) for x in POWERS]
    few = [point for point in points if point["x"] in ((30.0,) if quick else (20.0, 30.0, 40.0))]
    panels = [
        panel("tiny", "total power, dBm (preset tiny)", points, POLICIES, ["bound"], preset="tiny"),
        panel("default", "total power, dBm (preset default)", few, ["ao", "sdr", "random", "gradient"], ["bound"]),
    ]
    return configuration(panels, quick, [20.0, 30.0, 40.0], 50)


def questions(config: Mapping[str, Any], data: Data) -> list[dict[str, Any]]:
    """Who is best and why, and what the time is."""
    both = [entry["name"] for entry in config["panels"]]
    relaxed = [entry["name"] for entry in config["panels"] if "sdr" in entry["curves"]]
    return [
        answers.question("2.1", "`ao` is above `sdr` (from the same single start).",
                         f"paired difference: {BETTER}; {EVERY}.",
                         [_single(data, name, form, "sdr") for name in relaxed for form in FORMS]),
        answers.question("2.2", "The reason are high-rank solutions: `sdr` loses where ranks above one are rounded.",
                         RANKS,
                         [_loss(data, name, form, step)
                          for name in relaxed for form in FORMS for step in ("transmit", "coefficients")]),
        answers.question("2.3", "Random coefficients are much worse than `ao`.",
                         f"`ao` above `random`: reproduced if the 95 % interval lies above {MUCH_DB:g} dB, not reproduced if "
                         f"below; {EVERY}.",
                         [_panelled(case, name) for name in both for case in beats(data, name, ["ao"], ["random"], _much)]),
        answers.question("2.4a", "Exhaustive search is an upper bound of `ao`.",
                         "`exhaustive` above `ao`: not reproduced if the 95 % interval lies below 0, reproduced if not below 0; "
                         f"{EVERY}. It is exhaustive over one bit of phase and three splits only.",
                         beats(data, "tiny", ["exhaustive"], ["ao"], _not_below)),
        answers.question("2.4b", "`ao` is close to exhaustive search, or better.",
                         f"`exhaustive` above `ao` by no more than {answers.SAME_DB} dB: reproduced if the interval lies below "
                         f"{answers.SAME_DB} dB, not reproduced if above; {EVERY}.",
                         beats(data, "tiny", ["exhaustive"], ["ao"], _near)),
        answers.question("2.4c", "`ao` is close to the certified bound (ours).", f"bound above `ao`: {CLOSE}; {EVERY}.",
                         [_gap(data, name, form, policy) for form in FORMS
                          for name, policy in (("tiny", "ao"), ("tiny", "exhaustive"), ("default", "ao"))]),
        answers.question("2.5", "CPU time per scene and start.",
                         "mean over scenes, smallest over x and objectives; scenes in one batch, one thread. No verdict.",
                         [_time(data, entry["name"], policy) for entry in config["panels"] for policy in entry["curves"]]),
        *last_questions("2", config, data),
    ]  # fmt: skip


def _much(found: Estimate) -> str:
    return answers.YES if found.low > MUCH_DB else answers.NO if found.high < MUCH_DB else answers.UNDECIDED


def _not_below(found: Estimate) -> str:
    return answers.YES if found.low >= 0.0 else answers.NO if found.high < 0.0 else answers.UNDECIDED


def _near(found: Estimate) -> str:
    limit = answers.SAME_DB
    return answers.YES if found.high <= limit else answers.NO if found.low > limit else answers.UNDECIDED


def _panelled(case: dict[str, Any], name: str) -> dict[str, Any]:
    return {**case, "where": {"preset": name, **case["where"]}}


def _single(data: Data, name: str, form: str, other: str) -> dict[str, Any]:
    """`ao` minus another policy in the unit of the objective, both from the first start."""
    found = {}
    for x, curves in data[name].items():
        one, two = (curves[line_name(policy, form)] for policy in ("ao", other))
        first, second = (masked(line["tries"][:, 0], line["served"][:, 0]) for line in (one, two))
        found[f"at {x:g}"] = paired_difference(first, second)
    return _panelled(across(where(form), found), name)


def _loss(data: Data, name: str, form: str, step: str) -> dict[str, Any]:
    lines = [curves[line_name("sdr", form)] for curves in data[name].values()]
    keys = ("sensing_rank", "truncation") if step == "transmit" else ("coefficient_rank", "randomisation")
    rank, loss = (estimate(np.concatenate([masked(line[key], line["feasible"]) for line in lines])) for key in keys)
    high = loss.count >= ENOUGH and rank.low > 1.0
    verdict = answers.UNDECIDED
    if loss.count >= ENOUGH:
        verdict = answers.YES if high and loss.low > LOSS_DB else answers.NO if loss.high < LOSS_DB or not high else verdict
    place = {"preset": name, **where(form), "step": step}
    return answers.case(place, verdict, rank=answers.number(rank, ""), loss=answers.number(loss))


def _gap(data: Data, name: str, form: str, policy: str) -> dict[str, Any]:
    found = {}
    for x, curves in data[name].items():
        line, bound = curves[line_name(policy, form)], curves[line_name("bound", form)]["value"]
        found[f"at {x:g}"] = estimate(bound - masked(line["tries"].max(1), line["feasible"]))
    return _panelled(across(where(form, curve=policy), found, answers.close), name)


def _time(data: Data, name: str, policy: str) -> dict[str, Any]:
    used = [curves[line_name(policy, form)]["seconds"].mean() for curves in data[name].values() for form in FORMS]
    number = answers.number(1e3 * float(np.min(used)), "ms", 0)
    return answers.case({"preset": name, "policy": policy}, "measured", **{"CPU time": number})


FIGURE = sweep("fig2", "policies for energy splitting over the total power budget", configure, questions)
