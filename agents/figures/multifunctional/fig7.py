"""Figure 7: the echo SINR over the total power budget, for six kinds of surface; shares of the surface; budget or elements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.figures import answers
from agents.figures.multifunctional.curves import SURFACES, line_name
from agents.figures.multifunctional.rules import (
    BETTER,
    EVERY,
    GAIN,
    beats,
    gains,
    higher,
    judged,
    last_questions,
    level,
    steps,
    where,
)
from agents.figures.multifunctional.sweep import FORMS, Data, at, configuration, panel, sweep
from agents.stats import estimate

POWERS = [20.0, 25.0, 30.0, 35.0, 40.0]
SHARES = [0.05, 0.1, 0.2, 0.5]
DOUBLED_DBM = 33.0103
OTHERS = [name for name in SURFACES if name != "es"]
NEAR_DB = 3.0
"""Levels of two kinds of surface that differ by no more are called near."""


def configure(quick: bool) -> dict[str, Any]:
    """Budgets; shares at 30 dBm; twice the budget and twice the elements."""
    panels = [
        panel("power", "total power, dBm", [at(x, total_power_dbm=x) for x in POWERS], SURFACES, ["bound", "bound_ts"]),
        panel("share", "share of the surface", [at(x, surface_share=x) for x in SHARES[:: 3 if quick else 1]],
              [name for name in SURFACES if name != "ms_free"], ["bound", "bound_ts"], total_power_dbm=30.0),
        panel("twice", "default, twice the budget, twice the elements",
              [at(0.0, total_power_dbm=30.0), at(1.0, total_power_dbm=DOUBLED_DBM),
               at(2.0, total_power_dbm=30.0, num_elements_h=8, num_elements_v=8)],
              [name for name in SURFACES if name != "ms_free"], drawn=False),
    ]  # fmt: skip
    return configuration(panels, quick, [20.0, 30.0, 40.0], 50)


def questions(config: Mapping[str, Any], data: Data) -> list[dict[str, Any]]:
    """Who is best, how the curves rise, what a budget is worth, what the share of the surface changes."""
    main = config["panels"][0]
    xs = [place["x"] for place in main["points"]]
    kinds = config["panels"][1]["curves"]
    return [
        answers.question("7.1", "Every curve rises with the total power.", f"each step: {BETTER}; {EVERY}.",
                         steps(data, "power", SURFACES)),
        answers.question("7.2", "Energy splitting is the best surface at every power.",
                         f"energy splitting above the other surface: {BETTER}; {EVERY}.", beats(data, "power", ["es"], OTHERS)),
        answers.question("7.3a", "Time switching is below the active surface.",
                         f"active above time switching: {BETTER}; {EVERY}.", beats(data, "power", ["active"], ["ts"])),
        answers.question("7.3b", "Time switching is near the passive surface.",
                         f"time switching above passive: reproduced if the 95 % interval lies within {NEAR_DB:g} dB, not "
                         f"reproduced if outside; {EVERY}.",
                         beats(data, "power", ["ts"], ["passive"], lambda found: answers.close(found, NEAR_DB))),
        answers.question("7.4", "A doubled budget is worth more than doubled elements.",
                         f"from 30 dBm and 32 elements: gain of 33 dBm minus gain of 64 elements: {GAIN}; not reproduced if the "
                         f"interval lies below {answers.SHOWN_DB} dB.",
                         [_twice(data, form, name) for form in FORMS for name in kinds]),
        answers.question("7.5", "At the same budget energy splitting gains over the active, the STAR and the passive surface.",
                         f"paired gain: {BETTER}. Levels are means over the scenes that both serve; a percentage of a negative "
                         "dB value is taken of its modulus.", gains(data, "power", "es", ["active", "star", "passive"], xs)),
        answers.question("7.6", "Energy splitting is the best surface whatever share of the budget the surface has (30 dBm).",
                         f"energy splitting above the other surface: {BETTER}; {EVERY}.",
                         beats(data, "share", ["es"], [name for name in kinds if name != "es"])),
        *last_questions("7", config, data),
    ]  # fmt: skip


def _twice(data: Data, form: str, name: str) -> dict[str, Any]:
    base, budget, elements = (curves[line_name(name, form)] for curves in data["twice"].values())
    found = estimate(level(budget, form) - level(elements, form) + 0.0 * level(base, form))  # nan where one is not served
    numbers = {
        "gain of twice the budget": higher(budget, base, form),
        "gain of twice the elements": higher(elements, base, form),
        "budget minus elements": found,
    }
    return answers.case(where(form, curve=name), judged(found), **{key: answers.number(part) for key, part in numbers.items()})


FIGURE = sweep("fig7", "echo SINR over the total power budget, six kinds of surface", configure, questions)
