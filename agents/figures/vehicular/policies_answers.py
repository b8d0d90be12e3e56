"""Statements on the policies of `vehicular` over passes: the survey's mutual assistance, and ours (model page, 7A to 11A)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.figures import answers
from agents.figures.nonorthogonal.rules import across, bootstrap, within
from agents.stats import Estimate, estimate, paired_difference

__all__ = ["Data", "questions", "standard_error"]

Data = Mapping[str, Mapping[str, Mapping[str, np.ndarray]]]
"""Preset -> line -> quantity -> (n,)."""

SHOWN_BIT = 0.02
"""A difference of less is not called one."""
GAP_STATED = {"tracking": 0.114, "requirement": 0.153, "reciprocity": 0.065}
"""Gap of the best policy to the bound that the model page states, of the bound."""
GAP_WITHIN = 0.02
NEES_STATED, NEES_WITHIN = (2.1, 2.45), 0.2
BELIEF = within(NEES_STATED[0] - NEES_WITHIN, NEES_STATED[1] + NEES_WITHIN)
CHECKED = ("never wide", "event wide", "need-only wide", "myopic wide", "look-ahead 10 wide", "random")
"""Lines whose belief is checked."""
PARTS = {"rate": ("rate", "", 3), "cost": ("cost", "", 4), "met": ("met", "%", 1), "mean a": ("share", "%", 1)}
"""What J is made of: name -> quantity, unit, digits."""
ASSISTED = (("s&c", "w/o c"), ("s&c", "w/o s"), ("s&c", "w/o s&c"), ("w/o c", "w/o s&c"), ("w/o s", "w/o s&c"))
MORE = (
    "difference of J, paired per pass: reproduced if the 95 % interval lies above 0 and the mean is at least "
    f"{SHOWN_BIT} bit/s/Hz, not reproduced if the interval lies below {SHOWN_BIT} bit/s/Hz"
)


def more(found: Estimate) -> str:
    """`answers.above` for bits."""
    return answers.above(found, SHOWN_BIT)


def questions(config: Mapping[str, Any], data: Data) -> list[dict[str, Any]]:
    """What the lines that are there say."""
    pairs = [(preset, first, second) for preset, lines in data.items() for first, second in _offered(lines)]
    compared = {
        "wide": [pair for pair in pairs if pair[1] == f"{pair[2]} wide"],
        "ahead": [pair for pair in pairs if pair[1] == config["reference"] and pair[2] in ("myopic wide", "need-only wide")],
        "horizon": [pair for pair in pairs if pair[1] == config["reference"] and pair[2] in _horizons(config)],
        "dedicated": [pair for pair in pairs if pair[1:] == (config["reference"], "never wide")],
        "assisted": [pair for pair in pairs if pair[1:] in ASSISTED],
    }

    def cases(which: str) -> list[dict[str, Any]]:
        return [across({"preset": preset, "line": first, "over": second},
                       {"difference of J": paired_difference(data[preset][first]["score"], data[preset][second]["score"])},
                       more, "bit/s/Hz", 3)
                for preset, first, second in compared[which]]  # fmt: skip

    asked = [
        answers.question("P1", "Sensing and communication assist each other (the survey's schemes, over whole passes).",
                         MORE + ".", cases("assisted")),
        answers.question("P2", "The bound holds in every pass for every line (ours).",
                         "bound minus J, the least of all passes: reproduced if not negative. J with its 95 % interval and its "
                         "standard error; beside it what it is made of, errors of the position that points the data beam, the "
                         "consistency of the filter.",
                         [_bounded(preset, name, lines) for preset, lines in data.items() if "bound" in lines
                          for name in lines]),
        answers.question("P3", "The best line is as far below the bound as the model page states (ours).",
                         "1 - mean J / mean bound: reproduced if the 95 % interval lies within "
                         f"{100 * GAP_WITHIN:g} points of the stated gap, not reproduced if outside. The line is chosen on the "
                         "same passes.",
                         [_gap(preset, lines) for preset, lines in data.items() if "bound" in lines]),
        answers.question("P4", "The width rule raises J (ours).", MORE + ".", cases("wide")),
        answers.question("P5", "Looking ahead beats the optimum of the frame and need-only time (ours).", MORE + ".",
                         cases("ahead")),
        answers.question("P6", "Ten frames ahead are better than five or twenty (ours).", MORE + ".", cases("horizon")),
        answers.question("P7", "Dedicated sensing pays over whole passes (ours).", MORE + ".", cases("dedicated")),
        answers.question("P8", f"The belief is nearly consistent: mean NEES {NEES_STATED[0]:g} to {NEES_STATED[1]:g} (2: an "
                               "honest belief), as the model page states (ours).",
                         f"reproduced if the 95 % interval lies within {NEES_WITHIN:g} of this range, not reproduced if outside. "
                         "Beside it the share of samples above 9.21 (1 %: honest; stated: 1.5 to 2.4 %).",
                         [across({"preset": preset, "line": name}, {"NEES": estimate(lines[name]["nees"])}, BELIEF, "",
                                 beside={"above 9.21": answers.number(estimate(lines[name]["nees_high"]), "%", 1)})
                          for preset, lines in data.items() for name in CHECKED if name in lines]),
    ]  # fmt: skip
    return [item for item in asked if item["cases"]]


def _offered(lines: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(first, second) for first in lines for second in lines if first != second and "bound" not in (first, second)]


def _horizons(config: Mapping[str, Any]) -> list[str]:
    return [entry["name"] for entry in config["lines"] if "horizon" in entry["options"]]


def _bounded(preset: str, name: str, lines: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, Any]:
    """A row of the table of policies."""
    arrays = lines[name]
    room = float(np.min(lines["bound"]["score"] - arrays["score"]))
    shown = {
        "J": answers.number(estimate(arrays["score"]), "", 3),
        "standard_error": answers.number(standard_error(arrays["score"]), "", 3),
    }
    if name != "bound":
        shown |= {"bound_minus_J": answers.number(room, "", 3)}
        shown |= {
            called: answers.number(float(np.mean(arrays[key])), unit, digits) for called, (key, unit, digits) in PARTS.items()
        }
        shown |= {
            "rms_error": answers.number(float(np.sqrt(np.mean(arrays["squared_m2"]))), "m"),
            "median": answers.number(float(np.median(arrays["error_m"])), "m", 3),
            "NEES": answers.number(float(np.mean(arrays["nees"])), ""),
        }
    return answers.case({"preset": preset, "line": name}, answers.YES if room >= 0.0 else answers.NO, **shown)


def standard_error(values: np.ndarray) -> float:
    """Of a mean."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def _gap(preset: str, lines: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, Any]:
    best = max((name for name in lines if name != "bound"), key=lambda name: float(np.mean(lines[name]["score"])))
    found = bootstrap(lambda a, b: 1.0 - a / b, lines[best]["score"], lines["bound"]["score"])[0]
    stated = GAP_STATED.get(preset, np.nan)
    shown = {
        "J": answers.number(estimate(lines[best]["score"]), "bit/s/Hz", 3),
        "bound": answers.number(float(np.mean(lines["bound"]["score"])), "bit/s/Hz", 3),
        "stated": answers.number(stated, "%", 1),
    }
    rule = within(stated - GAP_WITHIN, stated + GAP_WITHIN)
    return across({"preset": preset, "best": best}, {"gap": found}, rule, "%", 1, beside=shown)
