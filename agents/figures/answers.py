"""The paper's statements with our numbers: rules for a verdict, and the markdown tables of a results page.

A question is a JSON-able dictionary: `id`, `paper` (the statement), `rule`, `verdict`, and `cases`, each with `where` (for
instance preset, elements, start), `numbers` (name -> estimate and digits) and its own `verdict`.
"""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from agents.files import write_bytes
from agents.stats import Estimate

__all__ = [
    "NO", "SAME_DB", "SHOWN_DB", "UNDECIDED", "YES", "above", "case", "close", "number", "overall", "page", "question",
    "render", "share", "share_above", "update_page",
]  # fmt: skip

YES, NO, UNDECIDED = "reproduced", "not reproduced", "undecided"
SHOWN_DB = 0.1
"""A gain of less is not called a gain."""
SAME_DB = 0.5
"""Curves that differ by no more are called close."""


def above(difference: Estimate, least: float = SHOWN_DB) -> str:
    """Whether a difference is a gain: yes if its interval lies above 0 and its mean is at least `least`, no if the interval
    lies below `least`, else undecided."""
    if not difference.count:
        return UNDECIDED
    if difference.low > 0.0 and difference.value >= least:
        return YES
    return NO if difference.high < least else UNDECIDED


def close(difference: Estimate, within: float = SAME_DB) -> str:
    """Whether two curves are close: yes if the interval lies in +-`within`, no if it lies outside, else undecided."""
    if not difference.count:
        return UNDECIDED
    if -within <= difference.low and difference.high <= within:
        return YES
    return NO if difference.low > within or difference.high < -within else UNDECIDED


def share_above(part: Estimate, least: float = 0.5) -> str:
    """Whether a share is above `least`: yes if its interval is, no if the interval lies below, else undecided."""
    if not part.count:
        return UNDECIDED
    if part.low > least:
        return YES
    return NO if part.high < least else UNDECIDED


def share(flags: Any) -> Estimate:
    """Share of True with its 95 % Wilson interval, which exists for shares of 0 and 1 too."""
    flags = np.asarray(flags, bool)
    if not flags.size:
        return Estimate(np.nan, np.nan, np.nan, 0)
    interval = stats.binomtest(int(flags.sum()), flags.size).proportion_ci(0.95, method="wilson")
    return Estimate(float(flags.mean()), float(interval.low), float(interval.high), flags.size)


def number(value: Estimate | float, unit: str = "dB", digits: int = 2) -> dict[str, Any]:
    """An entry of `numbers`; shares have the unit `%`."""
    if not isinstance(value, Estimate):
        return {"value": _rounded(value), "unit": unit, "digits": digits}
    bounds = {"low": _rounded(value.low), "high": _rounded(value.high), "count": value.count}
    return {"value": _rounded(value.value), **bounds, "unit": unit, "digits": digits}


def _rounded(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None


def case(where: Mapping[str, Any], verdict: str, **numbers: Mapping[str, Any]) -> dict[str, Any]:
    """One case of a question; underscores in the names of numbers become spaces."""
    return {
        "where": dict(where),
        "numbers": {name.replace("_", " "): dict(value) for name, value in numbers.items()},
        "verdict": verdict,
    }


def question(name: str, statement: str, rule: str, cases: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A statement of the paper with all its cases and the verdict over them."""
    return {"id": name, "paper": statement, "rule": rule, "verdict": overall(cases), "cases": list(cases)}


def overall(cases: Sequence[Mapping[str, Any]]) -> str:
    """The verdict that all cases share; else `depends on` the fewest columns that decide it, with the counts."""
    verdicts = [item["verdict"] for item in cases]
    if not verdicts:
        return UNDECIDED
    if len(set(verdicts)) == 1:
        return str(verdicts[0])
    keys = list(dict.fromkeys(key for item in cases for key in item["where"]))
    for deciding in (part for size in range(1, len(keys) + 1) for part in itertools.combinations(keys, size)):
        told: dict[tuple[Any, ...], set[str]] = {}
        for item in cases:
            told.setdefault(tuple(item["where"].get(key) for key in deciding), set()).add(item["verdict"])
        if all(len(found) == 1 for found in told.values()):
            break
    if len(deciding) == 1:
        parts = ", ".join(f"{value}: {next(iter(found))}" for (value,), found in told.items())
        return f"depends on {deciding[0]} ({parts})"
    counts = ", ".join(f"{verdict} in {verdicts.count(verdict)}" for verdict in dict.fromkeys(verdicts))
    return f"depends on {' and '.join(deciding)} ({counts} of {len(verdicts)} cases)"


def _cell(value: Mapping[str, Any]) -> str:
    if value["value"] is None:
        return "-"
    scale, unit = (100.0, " %") if value["unit"] == "%" else (1.0, f" {value['unit']}" if value["unit"] else "")

    def text(name: str) -> str:
        return f"{round(scale * value[name], value['digits']) + 0.0:.{value['digits']}f}"  # + 0.0: no negative zeros

    interval = f" [{text('low')}, {text('high')}]" if value.get("low") is not None else ""
    return f"{text('value')}{interval}{unit}"


def _count(item: Mapping[str, Any]) -> str:
    counts = [value["count"] for value in item["numbers"].values() if "count" in value]
    if not counts:
        return "-"
    return str(counts[0]) if len(set(counts)) == 1 else f"{min(counts)}-{max(counts)}"


def render(value: Mapping[str, Any]) -> str:
    """The answers of one figure's JSON as markdown: a summary of the statements, then one table per statement."""
    scenes = "; ".join(f"{name}: {facts['count']}" for name, facts in value.get("scenes", {}).items())
    cost = f" {value['cpu_seconds'] / 60:.0f} CPU minutes." if "cpu_seconds" in value else ""
    other = f" Other than the command's defaults: {', '.join(value['not_default'])}." if value.get("not_default") else ""
    lines = [f"Scenes: {scenes}.{cost}{other}", "", "| | the paper's statement | verdict |", "| --- | --- | --- |"]
    for item in value["answers"]:
        lines.append(f"| {item['id']} | {item['paper']} | **{item['verdict']}** |")
    for item in value["answers"]:
        where = list(dict.fromkeys(key for part in item["cases"] for key in part["where"]))
        names = list(dict.fromkeys(key for part in item["cases"] for key in part["numbers"]))
        lines += ["", f"**{item['id']}. {item['paper']}** Rule: {item['rule']}", ""]
        lines.append("| " + " | ".join([*where, *names, "scenes", "verdict"]) + " |")
        lines.append("| " + " | ".join(["---"] * (len(where) + len(names) + 2)) + " |")
        for part in item["cases"]:
            cells = [str(part["where"].get(key, "")) for key in where]
            cells += [_cell(part["numbers"][key]) if key in part["numbers"] else "" for key in names]
            lines.append("| " + " | ".join([*cells, _count(part), part["verdict"]]) + " |")
    return "\n".join(lines) + "\n"


_BLOCK = re.compile(r"(<!-- answers (?P<name>[\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def page(text: str, folder: str | os.PathLike[str]) -> str:
    """A markdown page with each block `<!-- answers NAME --> ... <!-- end -->` written anew from `folder`/NAME.json.

    Raises:
        FileNotFoundError: a page names a figure whose JSON is not there.
    """

    def block(match: re.Match[str]) -> str:
        path = Path(folder) / f"{match['name']}.json"
        return f"{match[1]}\n{render(json.loads(path.read_text(encoding='utf-8')))}\n{match[3]}"

    return _BLOCK.sub(block, text)


def update_page(path: str | os.PathLike[str]) -> Path:
    """Write a page's tables anew from the JSON files beside it."""
    path = Path(path)
    return write_bytes(path, page(path.read_text(encoding="utf-8"), path.parent).encode())
