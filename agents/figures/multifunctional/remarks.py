"""Statement of the text: maximising the sum of the echo SINRs is equivalent to maximising that of each half-space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.figures import answers
from agents.figures.base import Figure, Result, Unit
from agents.figures.drawing import canvas
from agents.figures.multifunctional.curves import BOUND, CURVES
from agents.figures.multifunctional.rules import CLOSE, NAMES, judged
from agents.figures.multifunctional.sweep import scale, units_of, work_of
from agents.figures.points import Results, gather, masked, point, scene_facts
from agents.stats import estimate, paired_difference

FORMS = ["sum", "log", "db"]
SURFACES = ["es", "ms", "ts"]
PLACES = {"side r": 0, "side t": 1, "stronger side": 2, "weaker side": 3}
STARVED_DB = 0.0
"""A side below counts as starved."""


def configure(quick: bool) -> dict[str, Any]:
    """Three objectives, the three protocols."""
    return {"surfaces": SURFACES, "forms": FORMS, "starts": 1 if quick else 3, "scenes": 5 if quick else 20, "chunk": 10,
            "seed": 0, "system": {}}  # fmt: skip


def units(config: Mapping[str, Any]) -> list[Unit]:
    """Each surface for each objective, and the bounds."""
    out = []
    for name in config["surfaces"]:
        for form in config["forms"]:
            for curve in dict.fromkeys((name, CURVES[name].bound)):
                key, arguments = work_of(config, curve, form)
                function = "bound" if CURVES[curve].policy == BOUND else "solve"
                out += list(units_of(config, key, function, arguments))
    return list({unit.key: unit for unit in out}.values())


Lines = dict[tuple[str, str], dict[str, np.ndarray]]


def summarise(config: Mapping[str, Any], results: Results) -> Result:
    """Both sides of every design."""
    rows: list[dict[str, Any]] = []
    lines: Lines = {}
    facts: dict[str, Any] = {}
    for name in config["surfaces"]:
        for form in config["forms"]:
            key, _ = work_of(config, name, form)
            line = gather(results, f"{key}_")
            line["bound"] = gather(results, f"{work_of(config, CURVES[name].bound, form)[0]}_")["value"]
            lines[name, form] = line
            facts |= {"text": scene_facts(results, {key: config["scenes"]})[key]}
            for place in PLACES:
                values = masked(_sides(line)[place], line["feasible"])
                row = {"surface": name, "objective": form, "quantity": f"{place}, dB", **point(values)}
                rows.append({**row, "served": int(line["feasible"].sum())})
    return Result(rows=rows, answers=_questions(config, lines), facts={"scenes": facts}, drawing=lines)


def _sides(line: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    echo = line["echo"]
    found = [echo[:, 0], echo[:, 1], echo.max(1), echo.min(1)]
    return {place: found[i] for place, i in PLACES.items()}


def _questions(config: Mapping[str, Any], lines: Lines) -> list[dict[str, Any]]:
    others = [form for form in config["forms"] if form != "sum"]
    return [
        answers.question("T1", "Maximising the sum of the SINRs is equivalent to maximising the SINR of each half-space.",
                         f"designs for the sum against those for the other objective, side by side: {CLOSE}.",
                         [_equal(lines, name, other, place)
                          for name in config["surfaces"] for other in others for place in PLACES]),
        answers.question("T2", "No half-space is starved by maximising the sum.",
                         f"share of scenes whose weaker side lies below {STARVED_DB:g} dB: not reproduced if its 95 % interval "
                         "lies above 5 %, reproduced if below, for every objective.",
                         [_starved(lines, name, form) for name in config["surfaces"] for form in config["forms"]]),
        *([] if config["starts"] < 2 else [answers.question("T3", "The designs are converged (ours).",
                         f"best of the starts above a single one: {CLOSE}. In the unit of the objective, and so is the gap.",
                         [_gap(lines, name, form) for name in config["surfaces"] for form in config["forms"]])]),
    ]  # fmt: skip


def _equal(lines: Lines, name: str, other: str, place: str) -> dict[str, Any]:
    one, two = (masked(_sides(lines[name, form])[place], lines[name, form]["feasible"]) for form in ("sum", other))
    found = paired_difference(one, two)
    levels = {f"for {form}": answers.number(estimate(part)) for form, part in (("the sum", one), ("the other", two))}
    return answers.case(
        {"surface": CURVES[name].label, "sum against": NAMES[other], "where": place},
        judged(found, answers.close),
        **{"sum minus other": answers.number(found)},
        **levels,
    )


def _starved(lines: Lines, name: str, form: str) -> dict[str, Any]:
    line = lines[name, form]
    served = line["feasible"]
    part = answers.share(line["echo"].min(1)[served] < STARVED_DB)
    told = answers.share_above(part, 0.05)
    verdict = {answers.YES: answers.NO, answers.NO: answers.YES}.get(told, told)
    numbers = {"weaker side below 0 dB": answers.number(part, "%", 0),
               "difference of the sides": answers.number(estimate(np.abs(np.diff(line["echo"], axis=1)[served, 0])))}  # fmt: skip
    return answers.case({"surface": CURVES[name].label, "designs for": NAMES[form]}, verdict, **numbers)


def _gap(lines: Lines, name: str, form: str) -> dict[str, Any]:
    line = lines[name, form]
    unit = "bit" if form == "log" else "dB"
    best = masked(np.max(np.where(line["served"], line["tries"], -np.inf), axis=1), line["feasible"])
    gain = estimate(best - masked(line["tries"][:, 0], line["served"][:, 0]))
    numbers = {"best of the starts above one": answers.number(gain, unit),
               "gap to the bound": answers.number(estimate(line["bound"] - best), unit)}  # fmt: skip
    return answers.case({"surface": CURVES[name].label, "designs for": NAMES[form]}, judged(gain, answers.close), **numbers)


def draw(config: Mapping[str, Any], result: Result) -> Any:
    """Side t over side r, one panel per surface."""
    figure = canvas(5.2 * len(config["surfaces"]), 5.2)
    axes = figure.subplots(1, len(config["surfaces"]), squeeze=False, sharex=True, sharey=True)[0]
    for axis, name in zip(axes, config["surfaces"], strict=True):
        for i, form in enumerate(config["forms"]):
            line = result.drawing[name, form]
            echo = line["echo"][line["feasible"]]
            look: dict[str, Any] = {"color": f"C{i}", "markersize": 6, "alpha": 0.8, "label": f"designs for {NAMES[form]}"}
            axis.plot(echo[:, 0], echo[:, 1], "os^"[i], **look)
        axis.axline((0.0, 0.0), slope=1.0, color="0.7", linewidth=1.0)
        axis.set_title(CURVES[name].label, fontsize=10)
        axis.set_xlabel("echo SINR of side r, dB")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("echo SINR of side t, dB")
    axes[0].legend(fontsize=8)
    return figure


FIGURE = Figure(
    name="multifunctional-remarks",
    paper="multifunctional",
    title="maximising the sum and maximising each half-space",
    configure=configure,
    scale=scale,
    units=units,
    summarise=summarise,
    draw=draw,
)
