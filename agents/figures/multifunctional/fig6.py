"""Figure 6: the echo SINR over the number of sensors per side, for six kinds of surface."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from agents.figures import answers
from agents.figures.multifunctional.curves import SURFACES, line_name
from agents.figures.multifunctional.rules import BETTER, EVERY, beats, higher, judged, last_questions, steps_of, where
from agents.figures.multifunctional.sweep import FORMS, Data, at, configuration, panel, sweep

SENSORS = [2, 4, 6, 8, 12, 16, 20]
SENSING = ["es", "ms", "ms_free", "ts"]


def configure(quick: bool) -> dict[str, Any]:
    """One panel; half of the sensors are horizontal. Surfaces without sensors are constant."""
    points = [at(float(x), num_sensors_h=x // 2, num_sensors_v=x // 2) for x in SENSORS]
    main = panel("sensors", "sensors per side", points, SURFACES, ["bound", "bound_ts"], total_power_dbm=30.0)
    return configuration([main], quick, [2.0, 12.0, 20.0], 50)


def questions(config: Mapping[str, Any], data: Data) -> list[dict[str, Any]]:
    """Whether the curves rise and stop rising, and the order of the surfaces."""
    return [
        answers.question("6.1", "The SINR of the multi-functional surfaces rises with the number of sensors.",
                         f"from the first number to the last: {BETTER}. Steps beside it.",
                         [_rises(data, form, name) for form in FORMS for name in SENSING]),
        answers.question("6.2", "From some number of sensors on, more of them do not help.",
                         f"the last step changes by no more than {answers.SAME_DB} dB (95 % interval); not reproduced if the "
                         "interval lies outside. `constant from`: the number from which on every step is so.",
                         [_stops(data, form, name) for form in FORMS for name in SENSING]),
        answers.question("6.3", "The active and the passive surface are below energy splitting and mode switching.",
                         f"energy splitting or mode switching above the other: {BETTER}; {EVERY}.",
                         beats(data, "sensors", ["es", "ms", "ms_free"], ["active", "passive"])),
        answers.question("6.4", "Time switching lies between the passive and the active surface.",
                         f"time switching above passive, and active above time switching: {BETTER}; {EVERY}.",
                         [*beats(data, "sensors", ["ts"], ["passive"]), *beats(data, "sensors", ["active"], ["ts"])]),
        *last_questions("6", config, data),
    ]  # fmt: skip


def _rises(data: Data, form: str, name: str) -> dict[str, Any]:
    curves, line = data["sensors"], line_name(name, form)
    found = higher(curves[max(curves)][line], curves[min(curves)][line], form)
    moves = {f"step {key}": answers.number(part) for key, part in steps_of(curves, name, form).items()}
    return answers.case(where(form, curve=name), judged(found), **{"first to last": answers.number(found)}, **moves)


def _stops(data: Data, form: str, name: str) -> dict[str, Any]:
    curves = data["sensors"]
    moves, constant = steps_of(curves, name, form), np.nan
    for (before, _), move in reversed(list(zip(pairwise(list(curves)), moves.values(), strict=True))):
        if judged(move, answers.close) != answers.YES:
            break
        constant = before
    last = moves[list(moves)[-1]]
    numbers = {"last step": answers.number(last), "constant from": answers.number(constant, "", 0)}
    return answers.case(where(form, curve=name), judged(last, answers.close), **numbers)


FIGURE = sweep("fig6", "echo SINR over the number of sensors, six kinds of surface", configure, questions)
