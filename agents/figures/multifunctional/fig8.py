"""Figure 8: the echo SINR over the required rate, for six kinds of surface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.figures import answers
from agents.figures.multifunctional.curves import SURFACES, line_name
from agents.figures.multifunctional.rules import BETTER, CLOSE, EVERY, Rule, beats, higher, judged, last_questions, where
from agents.figures.multifunctional.sweep import ENOUGH, FORMS, Data, at, configuration, panel, sweep

RATES = [0.5, 1.0, 2.0, 3.0]
OTHERS = [name for name in SURFACES if name != "es"]
AMPLIFYING = ["es", "ms", "ms_free", "ts", "active"]


def configure(quick: bool) -> dict[str, Any]:
    """One panel."""
    points = [at(x, min_rate_bps_hz=x) for x in RATES]
    main = panel("rate", "required rate, bit/s/Hz", points, SURFACES, ["bound", "bound_ts"], total_power_dbm=30.0)
    return configuration([main], quick, [0.5, 1.0, 3.0], 50)


def questions(config: Mapping[str, Any], data: Data) -> list[dict[str, Any]]:
    """The order of the surfaces, and what the rates cost."""
    served = f"The last rate at which both it and the first one are served in at least {ENOUGH} scenes"
    return [
        answers.question("8.1", "Energy splitting is the best surface.",
                         f"energy splitting above the other surface: {BETTER}; {EVERY}.", beats(data, "rate", ["es"], OTHERS)),
        answers.question("8.2", "Time switching is below the active surface.",
                         f"active above time switching: {BETTER}; {EVERY}.", beats(data, "rate", ["active"], ["ts"])),
        answers.question("8.3", "Amplifying surfaces hardly lose as the required rate grows.",
                         f"fall from the first rate to the last: {CLOSE}. {served} counts.",
                         [_loses(data, form, name, answers.close) for form in FORMS for name in AMPLIFYING]),
        answers.question("8.4", "STAR and passive surfaces lose as the required rate grows.",
                         f"fall from the first rate to the last: {BETTER}. {served} counts.",
                         [_loses(data, form, name, answers.above) for form in FORMS for name in ("star", "passive")]),
        *last_questions("8", config, data),
    ]  # fmt: skip


def _loses(data: Data, form: str, name: str, rule: Rule) -> dict[str, Any]:
    curves, line = data["rate"], line_name(name, form)
    first, *rest = curves
    falls = {x: higher(curves[first][line], curves[x][line], form) for x in rest}
    served = [x for x, fall in falls.items() if fall.count >= ENOUGH]
    verdict = judged(falls[served[-1]], rule) if served else answers.UNDECIDED
    numbers = {f"fall from {first:g} to {x:g}": answers.number(fall) for x, fall in falls.items()}
    return answers.case(where(form, curve=name), verdict, **numbers)


FIGURE = sweep("fig8", "echo SINR over the required rate, six kinds of surface", configure, questions)
