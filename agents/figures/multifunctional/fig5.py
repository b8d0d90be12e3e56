"""Figure 5: the echo SINR over the number of elements, for six kinds of surface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.figures import answers
from agents.figures.multifunctional.curves import SURFACES, line_name
from agents.figures.multifunctional.rules import BETTER, EVERY, beats, higher, judged, last_questions, steps, where
from agents.figures.multifunctional.sweep import FORMS, Data, at, configuration, panel, sweep

ELEMENTS = {16: (4, 4), 32: (8, 4), 48: (8, 6), 64: (8, 8)}
DOUBLED_DBM = 33.0103
OTHERS = [name for name in SURFACES if name != "es"]


def configure(quick: bool) -> dict[str, Any]:
    """Numbers of elements; from 32 elements at 30 dBm: twice the budget and twice the elements."""
    points = [at(float(x), num_elements_h=h, num_elements_v=v) for x, (h, v) in ELEMENTS.items()]
    main = panel("elements", "number of elements", points, SURFACES, ["bound", "bound_ts"], total_power_dbm=30.0)
    doubled = [at(0.0), at(1.0, total_power_dbm=DOUBLED_DBM), at(2.0, num_elements_h=8, num_elements_v=8)]
    twice = panel("twice", "32 elements, twice the budget, twice the elements", doubled, SURFACES, drawn=False)
    return configuration([main, twice], quick, [16.0, 64.0], 50)


def questions(config: Mapping[str, Any], data: Data) -> list[dict[str, Any]]:
    """How the curves rise, who is best and worst, who overtakes time switching."""
    last = max(data["elements"])
    most = {"elements": {last: data["elements"][last]}}
    return [
        answers.question("5.1", "Every curve rises with the number of elements.", f"each step: {BETTER}; {EVERY}.",
                         steps(data, "elements", SURFACES)),
        answers.question("5.2", "Energy splitting is the best surface.",
                         f"energy splitting above the other surface: {BETTER}; {EVERY}.",
                         beats(data, "elements", ["es"], OTHERS)),
        answers.question("5.3", "The passive surface is the worst.",
                         f"the other surface above passive: {BETTER}; {EVERY}.",
                         beats(data, "elements", [name for name in SURFACES if name != "passive"], ["passive"])),
        answers.question("5.4", "With many elements the passive and the STAR surface overtake time switching.",
                         f"at {last:g} elements, passive or STAR above time switching: {BETTER}.",
                         beats(most, "elements", ["passive", "star"], ["ts"])),
        answers.question("5.5", "A doubled budget is worth more than doubled elements (asked of Figure 7).",
                         f"from 30 dBm and 32 elements: gain of 33 dBm minus gain of 64 elements: {BETTER}.",
                         [_twice(data, form, name) for form in FORMS for name in SURFACES]),
        *last_questions("5", config, data),
    ]  # fmt: skip


def _twice(data: Data, form: str, name: str) -> dict[str, Any]:
    base, budget, elements = (curves[line_name(name, form)] for curves in data["twice"].values())
    found = {
        "gain of twice the budget": higher(budget, base, form),
        "gain of twice the elements": higher(elements, base, form),
        "budget minus elements": higher(budget, elements, form),
    }
    numbers = {key: answers.number(part) for key, part in found.items()}
    return answers.case(where(form, curve=name), judged(found["budget minus elements"]), **numbers)


FIGURE = sweep("fig5", "echo SINR over the number of elements, six kinds of surface", configure, questions)
