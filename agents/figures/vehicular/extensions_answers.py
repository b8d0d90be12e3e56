"""What the options of `vehicular` are worth, by rules on J paired per pass (ours; the survey names both without numbers)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from agents.figures import answers
from agents.stats import Estimate, estimate, paired_difference

__all__ = ["questions"]

Groups = Sequence[Mapping[str, Any]]
SHOWN_BIT = 0.02
"""A difference of J of less is not called one."""
IDLE = 0.01
"""Share of exposed vehicles up to which a radar is called idle."""
MORE = (
    "difference of J, paired per pass: reproduced if the 95 % interval lies above 0 and the mean is at least "
    f"{SHOWN_BIT} bit/s/Hz, not reproduced if the interval lies below {SHOWN_BIT} bit/s/Hz"
)
RULES = ("never", "always", "apart")


def questions(data: Groups) -> list[dict[str, Any]]:
    """Hiding from a radar (H), reflecting vehicles (C), the bound (B)."""
    hidden = [group for group in data if group["where"]["part"] == "radar"]
    chosen = [group for group in data if group["where"]["part"] == "reflector"]
    return [
        answers.question("H1", "Without hiding the radar detects next to nothing.",
                         "share of vehicles and frames with gamma_e > gamma_max under need-only time: reproduced if the 95 % "
                         f"interval lies below {IDLE}, not reproduced if above it.",
                         [_case(group, {"exposed": estimate(group["lines"]["never"]["exposed"])}, _idle, "%", 1)
                          for group in hidden]),
        answers.question("H2", "30 dB of suppression always pays, with need-only time.", f"always minus never, {MORE}.",
                         [_case(group, {"difference of J": _gap(group, "always", "never")}, _more,
                                beside=_parts(group, "always", "never")) for group in hidden]),
        answers.question("H3", "Suppressing only where the radar is apart is better than always.",
                         f"apart minus always, {MORE}.",
                         [_case(group, {"difference of J": _gap(group, "apart", "always")}, _more,
                                beside=_parts(group, "apart", "always")) for group in hidden]),
        answers.question("H4", "Suppression chosen together with the time in every frame beats all fixed rules.",
                         f"myopic over q minus each rule, {MORE}; reproduced if so in every column, not reproduced if not so in "
                         "one.",
                         [_case(group, {f"over {name}": _gap(group, "myopic, chosen", name)
                                        for name in (*RULES, "myopic, never")}, _more,
                                beside=_parts(group, "myopic, chosen")) for group in hidden]),
        answers.question("C1", "Choosing the reflecting vehicle pays, with need-only time.",
                         f"chosen minus next vehicle, {MORE}.",
                         [_case(group, {"difference of J": _gap(group, "chosen", "next vehicle")}, _more,
                                beside=_parts(group, "chosen", "next vehicle")) for group in chosen]),
        answers.question("C2", "It pays more than time that is optimised frame by frame without the choice.",
                         f"chosen minus myopic with the next vehicle, {MORE}.",
                         [_case(group, {"difference of J": _gap(group, "chosen", "myopic, next vehicle")}, _more,
                                beside=_parts(group, "chosen", "myopic, next vehicle")) for group in chosen]),
        answers.question("B", "All stay below the certified bound, pass by pass.",
                         "reproduced if the least gap over passes and lines is at least 0, else not reproduced.",
                         [_bounded(group) for group in data]),
    ]  # fmt: skip


def _gap(group: Mapping[str, Any], first: str, second: str) -> Estimate:
    return paired_difference(group["lines"][first]["score"], group["lines"][second]["score"])


def _more(found: Estimate) -> str:
    return answers.above(found, SHOWN_BIT)


def _idle(found: Estimate) -> str:
    return answers.YES if found.high < IDLE else answers.NO if found.low > IDLE else answers.UNDECIDED


def _every(verdicts: Iterable[str]) -> str:
    met = set(verdicts)
    return next(word for word in (answers.NO, answers.UNDECIDED, answers.YES) if word in met)


def _place(group: Mapping[str, Any]) -> dict[str, str]:
    where = group["where"]
    if where["part"] == "radar":
        return {"preset": where["preset"], "radar": where["case"]}
    return {"requirement": where["case"]}


def _parts(group: Mapping[str, Any], first: str, second: str | None = None) -> dict[str, Any]:
    """J of both lines, and what that of the first is made of."""
    arrays = group["lines"][first]
    out = {f"J ({name})": answers.number(float(group["lines"][name]["score"].mean()), "", 3) for name in (first, second) if name}
    shown = [("rate", "rate", "", 3), ("time sensing", "share", "%", 1), ("cost of the requirement", "short", "", 3)]
    if group["where"]["part"] == "radar":
        shown.append(("cost of the radar", "seen", "", 3))
    return out | {label: answers.number(float(arrays[key].mean()), unit, digits) for label, key, unit, digits in shown}


def _case(
    group: Mapping[str, Any], found: Mapping[str, Estimate], rule: Any, unit: str = "bit/s/Hz", digits: int = 3,
    beside: Mapping[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    numbers = {name: answers.number(value, unit, digits) for name, value in found.items()}
    return answers.case(_place(group), _every(map(rule, found.values())), **numbers, **(beside or {}))


def _bounded(group: Mapping[str, Any]) -> dict[str, Any]:
    bound, lines = group["lines"]["bound"]["score"], {n: a["score"] for n, a in group["lines"].items() if n != "bound"}
    least = min(float(np.min(bound - score)) for score in lines.values())
    best = max(lines, key=lambda name: float(lines[name].mean()))
    numbers = {
        "bound": answers.number(float(bound.mean()), "", 3),
        "best": answers.number(float(lines[best].mean()), "", 3),
        "least gap": answers.number(least, "", 3),
    }
    where = {
        "part": group["where"]["part"],
        "preset": group["where"]["preset"],
        "case": group["where"]["case"],
        "best line": best,
    }
    return answers.case(where, answers.YES if least >= 0.0 else answers.NO, **numbers)
