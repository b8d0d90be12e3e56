"""Figure 5: the echo SINR over the number of elements, for six kinds of surface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.figures import answers
from agents.figures.multifunctional.curves import SURFACES
from agents.figures.multifunctional.rules import BETTER, EVERY, beats, last_questions, steps
from agents.figures.multifunctional.sweep import Data, at, configuration, panel, sweep

ELEMENTS = {16: (4, 4), 32: (8, 4), 48: (8, 6), 64: (8, 8)}
OTHERS = [name for name in SURFACES if name != "es"]


def configure(quick: bool) -> dict[str, Any]:
    """One panel."""
    points = [at(float(x), num_elements_h=h, num_elements_v=v) for x, (h, v) in ELEMENTS.items()]
    main = panel("elements", "number of elements", points, SURFACES, ["bound", "bound_ts"], total_power_dbm=30.0)
    return configuration([main], quick, [16.0, 64.0], 50)


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
        *last_questions("5", config, data),
    ]  # fmt: skip


FIGURE = sweep("fig5", "echo SINR over the number of elements, six kinds of surface", configure, questions)
