"""The tables of `docs/results/<system>-learning.md`, written from the JSON files beside them, so that pages and numbers agree.

    python benchmarks/tables.py                          rewrite the pages
    python benchmarks/tables.py active_crb --take runs   one page; first copy the JSON files (and pictures) of the benchmarks

A line `<!-- table NAME -->` begins the table of `NAME.json`, which ends with `<!-- end -->`.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "docs" / "results"
RANGE = "{score:.3f} ({score_min:.3f} to {score_max:.3f})"


def table(header: list[str], rows: list[list[str]]) -> str:
    """A markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def against(row: dict[str, Any], reference: str, what: str = "mean") -> str:
    """`+0.01 [+0.00, +0.02]`, a dash against itself."""
    key = f"{what}_against_{reference}"
    if key not in row:
        return "-"
    form = ".2f" if what == "probability" else "+.3f"
    value, low, high = (format(row[f"{key}{end}"], form) for end in ("", "_low", "_high"))
    return f"{value} [{low}, {high}]"


def learning(data: dict[str, Any]) -> str:
    """Every policy: score, runs, differences to the best local solver and to the paper's proposal, gaps, violations, times.

    With scenes that no policy serves, violations are shown among the others too (per run: the range)."""
    from agents.report import gap_unit

    strong, paper = data.get("strong", "joint"), data.get("proposal", "ao")
    unit, first = gap_unit(data["meta"]["unit"]), data["rows"][0]
    columns: dict[str, Callable[[dict[str, Any]], str]] = {
        "policy": lambda row: f"`{row['policy']}`",
        "penalised score (runs)": lambda row: RANGE.format(**row) if len(row["runs"]) > 1 else f"{row['score']:.3f}",
        "IQM": lambda row: f"{row['score_iqm']:.3f}",
        f"minus `{strong}`": lambda row: against(row, strong),
        f"minus `{paper}`": lambda row: against(row, paper),
        f"P(better than `{paper}`)": lambda row: against(row, paper, "probability"),
    }
    if f"gap_to_{paper}" in first:
        columns[f"gap to `{paper}`, {unit}"] = lambda row: number(row[f"gap_to_{paper}"])
    columns[f"gap to bound, {unit}"] = lambda row: number(row["gap_to_bound"])
    columns["violated"] = lambda row: f"{100 * row['violation_rate']:.1f} %"
    if "violation_rate_servable_runs" in first:
        columns["of servable scenes"] = lambda row: percentages(row["violation_rate_servable_runs"])
    if "ms_single" in first:
        columns["CPU ms, one scene"] = lambda row: f"{row['ms_single']:.2f}"
    columns["CPU ms/scene"] = lambda row: f"{row['ms_per_scene']:.2f}"
    for reference in (strong, paper):
        columns[f"`{reference}` / its time"] = lambda row, key=f"{reference}_time_ratio": f"{row[key]:.3g}"  # type: ignore[misc]
    rows = sorted(data["rows"], key=lambda row: -row["score"])
    return table(list(columns), [[write(row) for write in columns.values()] for row in rows])


def hits(data: dict[str, Any]) -> str:
    """Every policy of a search: share of scenes that end right (runs), paired differences, CPU times."""
    strong, paper = data["strong"], data["proposal"]
    columns: dict[str, Callable[[dict[str, Any]], str]] = {
        "policy": lambda row: f"`{row['policy']}`",
        "hit rate (runs)": lambda row: f"{row['objective']:.3f}" + runs(row["objective_runs"]),
        f"minus `{strong}`": lambda row: against(row, strong, "objective"),
        f"minus `{paper}`": lambda row: against(row, paper, "objective"),
        "CPU us/pilot": lambda row: f"{1e3 * row['ms_per_scene']:.1f}",
        f"`{strong}` / its time": lambda row: f"{row[f'{strong}_time_ratio']:.3g}",
    }
    rows = sorted(data["rows"], key=lambda row: -row["objective"])
    return table(list(columns), [[write(row) for write in columns.values()] for row in rows])


def passes(data: dict[str, Any]) -> str:
    """Every policy of an episode of many frames: penalised score (runs), differences, rate, cost, what it does, times."""
    strong = data["strong"]
    costs = any(row["cost"] for row in data["rows"])
    columns: dict[str, Callable[[dict[str, Any]], str]] = {
        "policy": lambda row: f"`{row['policy']}`",
        "penalised score (runs)": lambda row: f"{row['score']:.3f}" + runs(row["runs"]),
        f"minus `{strong}`": lambda row: against(row, strong),
        f"P(better than `{strong}`)": lambda row: against(row, strong, "probability"),
    }
    for beside in data["beside"]:
        columns[f"minus `{beside}`"] = lambda row, key=beside: against(row, key)  # type: ignore[misc]
    columns["gap to bound"] = lambda row: f"{row['bound_minus_score']:.3f}"
    if costs:
        columns["rate"] = lambda row: f"{row['objective']:.3f}"
        columns["cost"] = lambda row: f"{row['cost']:.4f}"
        columns[f"cost minus `{strong}`"] = lambda row: against(row, strong, "cost")
        columns["requirement met"] = lambda row: f"{100 * row['physical']['requirement_met']:.1f} %"
    columns["time sensing"] = lambda row: f"{100 * row['physical']['time_sensing']:.1f} %"
    columns["CPU us/frame"] = lambda row: f"{1e3 * row['ms_per_scene']:.0f}"
    columns[f"`{strong}` / its time"] = lambda row: f"{row[f'{strong}_time_ratio']:.3g}"
    rows = sorted(data["rows"], key=lambda row: -row["score"])
    return table(list(columns), [[write(row) for write in columns.values()] for row in rows])


def runs(values: list[float]) -> str:
    """` (0.86 to 0.87)`; nothing for one run."""
    return f" ({min(values):.3f} to {max(values):.3f})" if len(values) > 1 else ""


def number(value: float | None) -> str:
    """Two digits; a dash where nothing was measured (no scene is served)."""
    return "-" if value is None else f"{value:.2f}"


def percentages(values: list[float | None]) -> str:
    """`0.0 %`, or the range over several runs."""
    known = [100 * value for value in values if value is not None]
    if not known:
        return "-"
    low, high = f"{min(known):.1f}", f"{max(known):.1f}"
    return f"{low} %" if low == high else f"{low} to {high} %"


def ablations(data: dict[str, Any]) -> str:
    """Every variant: score and its runs, difference to no-learning `prox_linear`, violations, time."""
    rows = [
        [
            f"`{row['policy']}`", RANGE.format(**row) if len(row["runs"]) > 1 else f"{row['score']:.3f}",
            against(row, "prox_linear"), f"{100 * row['violation_rate']:.1f} %", f"{row['ms_per_scene']:.2f}",
        ]
        for row in data["rows"]
    ]  # fmt: skip
    return table(["variant", "penalised score (runs)", "minus `prox_linear`", "violated", "CPU ms/scene"], rows)


def generalisation(data: dict[str, Any]) -> str:
    """Score minus that of the reference with its interval, and violations, by condition and policy."""
    first = data.get("reference", "joint")
    policies = [name for name in dict.fromkeys(row["policy"] for row in data["rows"]) if name != first]
    lines = []
    for condition in dict.fromkeys(row["condition"] for row in data["rows"]):
        own = {row["policy"]: row for row in data["rows"] if row["condition"] == condition}
        line = [condition, f"{own[first]['score']:.3f}, {100 * own[first]['violation_rate']:.0f} %"]
        for name in policies:
            if (row := own.get(name)) is None:
                line.append("does not fit")
                continue
            low, high = row["score_minus_reference_low"], row["score_minus_reference_high"]
            line.append(f"{row['score_minus_reference']:+.3f} [{low:+.3f}, {high:+.3f}], {100 * row['violation_rate']:.0f} %")
        lines.append(line)
    return table(
        ["condition", f"`{first}`: score, violated", *(f"`{name}` minus `{first}`, violated" for name in policies)], lines
    )


@dataclass(frozen=True)
class Entry:
    """A table of a page: what writes it, and the benchmark's files (without ending) under the folder of the runs."""

    write: Callable[[dict[str, Any]], str]
    source: Path


PAGES: dict[str, dict[str, Entry]] = {
    "beampattern": {
        "learning": Entry(learning, Path("learning/learning")),
        "ablations": Entry(ablations, Path("ablations/ablations")),
        "generalisation": Entry(generalisation, Path("generalisation/generalisation")),
    },
    "active_crb": {
        "active_crb-learning": Entry(learning, Path("active_crb/default/active_crb-learning")),
        "active_crb-hard": Entry(learning, Path("active_crb/hard/active_crb-hard")),
        "active_crb-ablations": Entry(ablations, Path("active_crb/ablations/active_crb-ablations")),
    },
    "multifunctional": {
        f"multifunctional-{name}": Entry(write, Path(f"multifunctional/{folder}/multifunctional-{name}"))
        for name, folder, write in (
            ("learning", "default", learning),
            ("ms", "ms", learning),
            ("ts", "ts", learning),
            ("active", "active", learning),
            ("ablations", "ablations", ablations),
        )
    },
    "nonorthogonal": {
        "nonorthogonal-learning": Entry(learning, Path("nonorthogonal/physical/nonorthogonal-learning")),
        "nonorthogonal-generalisation": Entry(generalisation, Path("nonorthogonal/generalisation/nonorthogonal-generalisation")),
        "nonorthogonal-aim": Entry(learning, Path("nonorthogonal/tracking/nonorthogonal-aim")),
    },
    "vehicular": {
        "vehicular-learning": Entry(passes, Path("vehicular/tracking/vehicular-learning")),
        "vehicular-requirement": Entry(passes, Path("vehicular/requirement/vehicular-requirement")),
        "vehicular-generalisation": Entry(generalisation, Path("vehicular/generalisation/vehicular-generalisation")),
    },
    "anchor": {
        "anchor-learning": Entry(hits, Path("anchor/default/anchor-learning")),
    },
}
"""System -> name of its table (and of the JSON file) -> what it is."""


def page(system: str) -> Path:
    """The page of a system."""
    return RESULTS / f"{system}-learning.md"


def render(text: str, folder: Path, tables: dict[str, Entry]) -> str:
    """The page with every `<!-- table NAME -->` ... `<!-- end -->` filled from `<folder>/NAME.json`."""

    def fill(match: re.Match[str]) -> str:
        name = match.group(1)
        data = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        return f"<!-- table {name} -->\n{tables[name].write(data)}\n<!-- end -->"

    return re.sub(r"<!-- table ([\w-]+) -->\n.*?<!-- end -->", fill, text, flags=re.DOTALL)


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("systems", nargs="*", help=f"of {', '.join(PAGES)}; default: all that have a page")
    parser.add_argument("--take", type=Path, help="folder of the runs to take the JSON files from")
    arguments = parser.parse_args()
    from agents.files import write_bytes

    if unknown := sorted(set(arguments.systems) - set(PAGES)):
        parser.error(f"systems must be of {', '.join(PAGES)}, got {', '.join(unknown)}")
    for system in arguments.systems or [name for name in PAGES if page(name).exists()]:
        tables, path = PAGES[system], page(system)
        if arguments.take:
            for name, entry in tables.items():
                for ending in (".json", ".png"):
                    source = arguments.take / entry.source.with_suffix(ending)
                    if source.exists():
                        write_bytes(RESULTS / f"{name}{ending}", source.read_bytes())
        write_bytes(path, render(path.read_text(encoding="utf-8"), RESULTS, tables).encode())
        print(path)


if __name__ == "__main__":
    main()
