"""Figure 3: the objective of `ao` over its rounds, for several numbers of antennas and elements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.figures import answers
from agents.figures.base import Figure, Result, Unit
from agents.figures.drawing import canvas, limits
from agents.figures.multifunctional.curves import CURVES, model_fields, unit_key
from agents.figures.multifunctional.rules import NAMES, judged
from agents.figures.multifunctional.sweep import FORMS, scale, units_of
from agents.figures.points import Results, gather, masked, point, scene_facts
from agents.stats import estimate, paired_difference

SIZES: dict[str, dict[str, Any]] = {
    "N 4, M 16": {"num_antennas": 4, "num_elements_h": 4, "num_elements_v": 4},
    "N 8, M 16": {"num_antennas": 8, "num_elements_h": 4, "num_elements_v": 4},
    "N 8, M 32": {"num_antennas": 8, "num_elements_h": 8, "num_elements_v": 4},
    "N 8, M 64": {"num_antennas": 8, "num_elements_h": 8, "num_elements_v": 8},
    "N 8, M 32, 20 dBm": {"num_antennas": 8, "num_elements_h": 8, "num_elements_v": 4, "total_power_dbm": 20.0},
}
PAIRS = [("N 4, M 16", "N 8, M 16"), ("N 8, M 16", "N 8, M 32"), ("N 8, M 32", "N 8, M 64"), ("N 8, M 32, 20 dBm", "N 8, M 32")]
ROUNDS = 30
TOLERANCE = 1e-3
ROUNDING = 1e-6
"""Falls of no more (dB) are rounding."""
ALIKE = 1.0
"""Numbers of rounds that differ by no more are called equal."""


def configure(quick: bool) -> dict[str, Any]:
    """Sizes by name."""
    return {"sizes": SIZES, "forms": FORMS, "scenes": 5 if quick else 20, "chunk": 10, "seed": 0, "system": {}}


def _work(config: Mapping[str, Any], name: str, form: str) -> tuple[str, dict[str, Any]]:
    system = model_fields(CURVES["es"], form, config["sizes"][name], config["system"])
    options = {"rounds": ROUNDS, "tolerance": TOLERANCE}
    key = f"{name}-{form}".replace(", ", "-").replace(" ", "") + unit_key(CURVES["es"], system, seed=config["seed"])[2:]
    return key, {"system": system, "options": options, "seed": config["seed"]}


def units(config: Mapping[str, Any]) -> list[Unit]:
    """Every size for every objective."""
    out = []
    for name in config["sizes"]:
        for form in config["forms"]:
            key, arguments = _work(config, name, form)
            out += list(units_of(config, key, "history", arguments))
    return out


Lines = dict[tuple[str, str], dict[str, np.ndarray]]


def summarise(config: Mapping[str, Any], results: Results) -> Result:
    """Mean histories, padded, over the scenes served; counts of rounds."""
    rows: list[dict[str, Any]] = []
    lines: Lines = {}
    facts: dict[str, Any] = {}
    for name in config["sizes"]:
        for form in config["forms"]:
            key, _ = _work(config, name, form)
            line = gather(results, f"{key}_")
            history = line["history"]
            line["history"] = np.pad(history, ((0, ROUNDS + 1 - len(history)), (0, 0)), mode="edge")
            lines[name, form] = line
            facts |= {name: scene_facts(results, {key: config["scenes"]})[key]}
            for i, values in enumerate(line["history"]):
                place = {"size": name, "objective": form, "round": i, "served": int(line["feasible"].sum())}
                rows.append({**place, **point(masked(values, line["feasible"]))})
    return Result(rows=rows, answers=_questions(config, lines), facts={"scenes": facts}, drawing=lines)


def _questions(config: Mapping[str, Any], lines: Lines) -> list[dict[str, Any]]:
    places = {key: {"designs for": NAMES[key[1]], "size": key[0]} for key in lines}
    pairs = [(pair, form) for pair in PAIRS if set(pair) <= set(config["sizes"]) for form in config["forms"]]
    return [
        answers.question("3.1", "Every history is monotone.", f"no step of any scene falls by more than {ROUNDING:g} dB.",
                         [_monotone(place, lines[key]) for key, place in places.items()]),
        answers.question("3.2", f"The rounds until the relative gain is below {TOLERANCE:g} (ours).",
                         f"mean over the scenes served; at most {ROUNDS}. No verdict.",
                         [_rounds(place, lines[key]) for key, place in places.items()]),
        answers.question("3.3", "The number of rounds does not depend on the numbers of antennas and elements.",
                         "paired difference (scenes of equal positions): reproduced if its 95 % interval lies within "
                         f"{ALIKE:g} round, not reproduced if outside.",
                         [_more(pair, form, lines) for pair, form in pairs]),
    ]  # fmt: skip


def _monotone(place: Mapping[str, str], line: Mapping[str, np.ndarray]) -> dict[str, Any]:
    steps = np.diff(line["history"], axis=0)[:, line["feasible"]]
    fall = float(np.max(-steps, initial=0.0))
    verdict = answers.UNDECIDED if not steps.size else answers.YES if fall <= ROUNDING else answers.NO
    numbers = {"largest fall": answers.number(fall, "dB", 6), "scenes served": answers.number(steps.shape[1], "", 0)}
    return answers.case(place, verdict, **numbers)


def _rounds(place: Mapping[str, str], line: Mapping[str, np.ndarray]) -> dict[str, Any]:
    served = line["feasible"]
    rise = line["history"][-1] - line["history"][0]
    half = np.argmax(line["history"] >= line["history"][-1] - 0.1 * np.maximum(rise, 0.0), axis=0)
    return answers.case(
        place,
        "measured",
        **{
            "rounds": answers.number(estimate(masked(line["rounds"], served)), "", 1),
            "most": answers.number(float(line["rounds"][served].max(initial=0.0)), "", 0),
            "rounds to 90 % of the rise": answers.number(estimate(masked(half.astype(float), served)), "", 1),
            "rise": answers.number(estimate(masked(rise, served))),
        },
    )


def _more(pair: tuple[str, str], form: str, lines: Lines) -> dict[str, Any]:
    one, two = (masked(lines[name, form]["rounds"], lines[name, form]["feasible"]) for name in pair)
    found = paired_difference(two, one)
    verdict = judged(found, lambda part: answers.close(part, ALIKE))
    return answers.case(
        {"designs for": NAMES[form], "from": pair[0], "to": pair[1]}, verdict, more_rounds=answers.number(found, "", 1)
    )  # fmt: skip


def draw(config: Mapping[str, Any], result: Result) -> Any:
    """A column per objective: means, and one scene."""
    figure = canvas(5.6 * len(config["forms"]), 7.4)
    axes = figure.subplots(2, len(config["forms"]), squeeze=False, sharex=True)
    for j, form in enumerate(config["forms"]):
        served = np.logical_and.reduce([result.drawing[name, form]["feasible"] for name in config["sizes"]])
        one = int(np.argmax(served))
        for i, name in enumerate(config["sizes"]):
            line = result.drawing[name, form]
            own = line["history"][:, line["feasible"]]
            if own.shape[1]:
                axes[0, j].plot(own.mean(1), f"C{i}-", marker="o", markersize=3, label=f"{name} ({own.shape[1]} scenes)")
            if served.any():
                axes[1, j].plot(line["history"][:, one], f"C{i}-", marker="o", markersize=3)
        axes[0, j].set_title(f"designs for {NAMES[form]}: mean over the scenes served", fontsize=10)
        axes[1, j].set_title(f"scene {one}" if served.any() else "no scene is served by all", fontsize=10)
        axes[1, j].set_xlabel("round of ao")
        axes[0, j].legend(fontsize=8)
        for axis in axes[:, j]:
            axis.grid(alpha=0.3)
            axis.set_ylabel("objective, dB")
            found = limits([line.get_ydata() for line in axis.get_lines()])
            if found:
                axis.set_ylim(*found)
    return figure


FIGURE = Figure(
    name="multifunctional-fig3",
    paper="multifunctional",
    title="objective of ao over its rounds",
    configure=configure,
    scale=scale,
    units=units,
    summarise=summarise,
    draw=draw,
)
