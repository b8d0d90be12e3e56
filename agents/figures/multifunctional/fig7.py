"""Figure 7: the echo SINR over the total power budget, for six kinds of surface; shares of the surface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.figures import answers
from agents.figures.multifunctional.curves import SURFACES, line_name
from agents.figures.multifunctional.rules import BETTER, CLOSE, EVERY, beats, gains, higher, judged, last_questions, steps, where
from agents.figures.multifunctional.sweep import FORMS, Data, at, configuration, panel, sweep
from agents.figures.points import masked
from agents.stats import paired_difference

POWERS = [20.0, 25.0, 30.0, 35.0, 40.0]
SHARES = [0.05, 0.1, 0.2, 0.5]
OTHERS = [name for name in SURFACES if name != "es"]
CONVENTIONAL = ["active", "star", "passive"]
NEAR_DB = 3.0
"""Levels of two kinds of surface that differ by no more are called near."""


def configure(quick: bool) -> dict[str, Any]:
    """Budgets; shares of the surface at 30 dBm."""
    panels = [
        panel("power", "total power, dBm", [at(x, total_power_dbm=x) for x in POWERS], SURFACES, ["bound", "bound_ts"]),
        panel("share", "share of the surface", [at(x, surface_share=x) for x in SHARES[:: 3 if quick else 1]],
              [name for name in SURFACES if name != "ms_free"], ["bound", "bound_ts"], total_power_dbm=30.0),
        panel("polish", "total power, dBm", [at(30.0, total_power_dbm=30.0)],
              [f"{name}{end}" for name in CONVENTIONAL for end in ("", "_polished")], drawn=False),
    ]  # fmt: skip
    return configuration(panels, quick, [20.0, 30.0, 40.0], 50)


def questions(config: Mapping[str, Any], data: Data) -> list[dict[str, Any]]:
    """Who is best, how the curves rise, what energy splitting gains, what the share of the surface changes."""
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
        answers.question("7.4", "At the same budget energy splitting gains over the active, the STAR and the passive surface.",
                         f"paired gain: {BETTER}. Levels are means over the scenes that both serve; a percentage of a negative "
                         "dB value is taken of its modulus.", gains(data, "power", "es", CONVENTIONAL, xs)),
        answers.question("7.5", "Energy splitting is the best surface whatever share of the budget the surface has (30 dBm).",
                         f"energy splitting above the other surface: {BETTER}; {EVERY}.",
                         beats(data, "share", ["es"], [name for name in kinds if name != "es"])),
        *([_polishing(data)] if "polish" in data else []),
        *last_questions("7", config, data),
    ]  # fmt: skip


def _polishing(data: Data) -> dict[str, Any]:
    return answers.question(
        "7.6",
        "A joint ascent after `ao` adds little to the conventional surfaces (ours).",
        f"30 dBm: one start of `ao` with the ascent at its end against the same without: {CLOSE}. Beside it, against the best of "
        "the starts without, and the gain of energy splitting over it.",
        [_polished(data, form, name) for form in FORMS for name in CONVENTIONAL],
    )


def _polished(data: Data, form: str, name: str) -> dict[str, Any]:
    curves = data["polish"][30.0]
    plain, polished = curves[line_name(name, form)], curves[line_name(f"{name}_polished", form)]
    one, start = (masked(line["tries"][:, 0], line["served"][:, 0]) for line in (polished, plain))
    found = paired_difference(one, start)
    numbers = {
        "above the same start": answers.number(found),
        "above the best start": answers.number(higher(polished, plain, form)),
        "energy splitting above it": answers.number(higher(data["power"][30.0][line_name("es", form)], polished, form)),
    }
    return answers.case(where(form, curve=name), judged(found, answers.close), **numbers)


FIGURE = sweep("fig7", "echo SINR over the total power budget, six kinds of surface", configure, questions)
