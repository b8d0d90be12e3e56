"""Statements of the text: how far `ao` and `direct` end from the certified bound, at what cost, and what the start matters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import ris_gym
from agents.figures import answers
from agents.figures.active_crb.rules import ENOUGH
from agents.figures.base import Figure, Result, Unit
from agents.figures.points import Results, chunks, columns, gather, masked, scene_facts
from agents.stats import Estimate, estimate, paired_difference

WORK = "agents.figures.active_crb.remarks_work"
LOW = 0.3
"""The other start: amplitudes over the cap."""
TASKS: dict[str, dict[str, Any]] = {
    "sensing only": {"sinr_threshold_db": None},
    "sensing only, P_s -5 dBm": {"sinr_threshold_db": None, "surface_power_dbm": -5.0},
    "SINR 12 dB": {},
    "SINR 15 dB": {"sinr_threshold_db": 15.0},
    "SINR 12 dB, P_s 0 dBm": {"surface_power_dbm": 0.0},
    "SINR 12 dB, P_0 37 dBm": {"power_dbm": 37.0},
}
STARTS: dict[str, tuple[str, dict[str, Any]]] = {
    "ao from the cap": ("ao", {}),
    f"ao from {LOW:g} of it": ("ao", {"level": LOW}),
    f"from {LOW:g} of it, without joint scaling": ("ao_without_scaling", {"level": LOW}),
}
LOW_TASK = "sensing only, P_s -5 dBm"
LIMITS: dict[str, float] = {"SINR 12 dB": 0.3, "SINR 12 dB, P_0 37 dBm": 0.015}
"""Gaps (dB) within which the best design of these tasks is expected; others: `answers.SAME_DB`."""
POLICIES = ("ao", "direct")


def configure(quick: bool) -> dict[str, Any]:
    """Tasks of the table of gaps."""
    tasks = ["sensing only", "SINR 12 dB"] if quick else list(TASKS)
    return {"tasks": tasks, "scenes": 3 if quick else 50, "chunk": 50, "seed": 0, "system": {}}


def scale(config: dict[str, Any], scenes: int) -> dict[str, Any]:
    """Another number of scenes."""
    return {**config, "scenes": scenes}


def units(config: Mapping[str, Any]) -> list[Unit]:
    """Keys `text_<task number>-<policy>_<first scene>` and `text_start-<number>_<first scene>`."""
    runs: list[tuple[str, Mapping[str, Any], str, Mapping[str, Any]]] = [
        (f"{number}-{policy}", TASKS[task], policy, {}) for number, task in enumerate(config["tasks"]) for policy in POLICIES
    ]
    runs += [(f"start-{number}", TASKS[LOW_TASK], *run) for number, run in enumerate(STARTS.values())]
    out = []
    for name, fields, policy, options in runs:
        system = ris_gym.systems.make("active_crb", **{**fields, **config["system"]}).to_dict()
        for first, stop in chunks(config["scenes"], config["chunk"]):
            arguments = {
                "system": system,
                "policy": policy,
                "options": options,
                "seed": config["seed"],
                "first": first,
                "stop": stop,
            }
            out.append(Unit(key=f"text_{name}_{first}", function=f"{WORK}:gaps", arguments=arguments, size=stop - first))
    return out


Arrays = Mapping[str, np.ndarray]


def summarise(config: Mapping[str, Any], results: Results) -> Result:
    """Gaps, rounds and times; differences to the start at the cap."""
    rows: list[dict[str, Any]] = []
    cases: dict[str, list[dict[str, Any]]] = {"gap": [], "better": [], "start": []}
    drawing: dict[str, dict[str, Any]] = {}
    for number, task in enumerate(config["tasks"]):
        found = {policy: gather(results, f"text_{number}-{policy}_") for policy in POLICIES}
        drawing[task] = found
        for policy, arrays in found.items():
            cases["gap"].append(_gap({"task": task, "policy": policy}, arrays, LIMITS.get(task, answers.SAME_DB)))
            rows += _rows(task, policy, arrays)
        cases["better"].append(_better({"task": task}, found))
    starts = {name: gather(results, f"text_start-{number}_") for number, name in enumerate(STARTS)}
    cap = starts["ao from the cap"]
    for name, arrays in starts.items():
        rows += _rows(LOW_TASK, name, arrays)
        if arrays is not cap:
            cases["start"].append(_start({"start": name}, arrays, cap))
    facts = {"scenes": scene_facts(results, {"text": config["scenes"]})}
    return Result(rows=rows, answers=_questions(cases), facts=facts, drawing=drawing)


def _rows(task: str, curve: str, arrays: Arrays) -> list[dict[str, Any]]:
    served = arrays["feasible"]
    place = {"task": task, "curve": curve}
    counts = {
        "served": int(served.sum()),
        "certified_infeasible": int((~arrays["possible"]).sum()),
        "failed": int((~served & arrays["possible"]).sum()),
    }
    units_of = {"gap": "gap_db", "rounds": "rounds", "seconds": "cpu_seconds"}
    return [
        {**place, "quantity": label, **columns(estimate(arrays[key][served].astype(float)), 6), **counts}
        for key, label in units_of.items()
    ]


def _gap(place: Mapping[str, Any], arrays: Arrays, limit: float) -> dict[str, Any]:
    served = arrays["feasible"]
    gap = estimate(arrays["gap"][served])
    verdict = answers.close(gap, limit) if gap.count >= ENOUGH else answers.UNDECIDED
    return answers.case(
        place,
        verdict,
        expected_within=answers.number(limit, "dB", 3),
        gap_to_the_bound=answers.number(gap, "dB", 3),
        largest=answers.number(float(arrays["gap"][served].max()) if served.any() else np.nan, "dB", 2),
        served=answers.number(int(served.sum()), "scenes", 0),
        certified_infeasible=answers.number(int((~arrays["possible"]).sum()), "", 0),
        failed=answers.number(int((~served & arrays["possible"]).sum()), "", 0),
        rounds=answers.number(float(arrays["rounds"][served].mean()) if served.any() else np.nan, "", 1),
        **{"CPU time per scene": answers.number(1e3 * float(arrays["seconds"].mean()), "ms", 0)},
    )


def difference(first: Arrays, second: Arrays) -> Estimate:
    """By how many dB `first` is below `second`, over the scenes that both serve."""
    return paired_difference(masked(second["objective"], second["feasible"]), masked(first["objective"], first["feasible"]))


def _better(place: Mapping[str, Any], found: Mapping[str, Arrays]) -> dict[str, Any]:
    below = difference(found["direct"], found["ao"])
    verdict = answers.above(below) if below.count >= ENOUGH else answers.UNDECIDED
    return answers.case(place, verdict, direct_below_ao_by=answers.number(below))


def _start(place: Mapping[str, Any], arrays: Arrays, cap: Arrays) -> dict[str, Any]:
    above = difference(cap, arrays)
    return answers.case(
        place,
        answers.above(above) if above.count >= ENOUGH else answers.UNDECIDED,
        above_ao_from_the_cap=answers.number(above),
        gap_to_the_bound=answers.number(estimate(arrays["gap"][arrays["feasible"]])),
        rounds=answers.number(float(arrays["rounds"].mean()), "", 1),
    )


def _questions(cases: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    gained = f"a 95 % interval above 0 and a mean of at least {answers.SHOWN_DB} dB"
    return [
        answers.question(
            "G1",
            "The alternating optimisation (`ao`) ends close to the optimum (ours: the certified bound; beside it `direct`).",
            "the 95 % interval of the gap lies within the limit of the first column. Times: one thread, 50 scenes at a time; "
            "`rounds`: iterations (`direct`: evaluations) until the last change, mean.",
            cases["gap"],
        ),
        answers.question(
            "G2",
            "There is a better design than that of `ao` (ours: `direct`).",
            f"`direct` below `ao` over the scenes that both serve: {gained}.",
            cases["better"],
        ),
        answers.question(
            "G3",
            "From smaller amplitudes with a full surface budget the alternation does not find the way to the cap.",
            f"{LOW_TASK}: CRB above that of `ao` started at the cap: {gained}.",
            cases["start"],
        ),
    ]


def draw(config: Mapping[str, Any], result: Result) -> Any:
    """Distribution of the gaps, and times."""
    from agents.figures.active_crb.text_pictures import draw_gaps

    return draw_gaps(config, result)


FIGURE = Figure(
    name="active_crb-gaps",
    paper="active_crb",
    title="gap of ao and direct to the certified bound, times, and the start of ao",
    configure=configure,
    scale=scale,
    units=units,
    summarise=summarise,
    draw=draw,
)
