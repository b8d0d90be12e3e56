"""The tables of `docs/results/beampattern-learning.md`, written from the JSON files beside it, so that page and numbers agree.

    python benchmarks/tables.py                   rewrite the page
    python benchmarks/tables.py --take runs       first copy the JSON files (and pictures) of the benchmarks from there
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "results" / "beampattern-learning.md"
SOURCES = {
    "learning": Path("learning/learning"),
    "ablations": Path("ablations/ablations"),
    "generalisation": Path("generalisation/generalisation"),
}
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
    """Every policy: score, runs, differences to `joint` and `ao`, violations, times."""
    rows = []
    for row in sorted(data["rows"], key=lambda row: -row["score"]):
        score = RANGE.format(**row) if len(row["runs"]) > 1 else f"{row['score']:.3f}"
        rows.append(
            [
                f"`{row['policy']}`", score, f"{row['score_iqm']:.3f}", against(row, "joint"), against(row, "ao"),
                against(row, "ao", "probability"), f"{row['gap_to_bound']:.2f}", f"{100 * row['violation_rate']:.1f} %",
                f"{row['ms_per_scene']:.2f}", f"{row['joint_time_ratio']:.3g}", f"{row['ao_time_ratio']:.3g}",
            ]
        )  # fmt: skip
    header = ["policy", "penalised score (runs)", "IQM", "minus `joint`", "minus `ao`", "P(better than `ao`)", "gap to bound, dB"]
    return table([*header, "violated", "CPU ms/scene", "`joint` / its time", "`ao` / its time"], rows)


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
    """Score minus that of `joint` with its interval, and violations, by condition and policy."""
    policies = [name for name in dict.fromkeys(row["policy"] for row in data["rows"]) if name != "joint"]
    lines = []
    for condition in dict.fromkeys(row["condition"] for row in data["rows"]):
        own = {row["policy"]: row for row in data["rows"] if row["condition"] == condition}
        line = [condition, f"{own['joint']['score']:.3f}, {100 * own['joint']['violation_rate']:.0f} %"]
        for name in policies:
            if (row := own.get(name)) is None:
                line.append("does not fit")
                continue
            low, high = row["score_minus_reference_low"], row["score_minus_reference_high"]
            line.append(f"{row['score_minus_reference']:+.3f} [{low:+.3f}, {high:+.3f}], {100 * row['violation_rate']:.0f} %")
        lines.append(line)
    return table(["condition", "`joint`: score, violated", *(f"`{name}` minus `joint`, violated" for name in policies)], lines)


TABLES: dict[str, Callable[[dict[str, Any]], str]] = {
    "learning": learning,
    "ablations": ablations,
    "generalisation": generalisation,
}


def render(text: str, folder: Path) -> str:
    """The page with every `<!-- table NAME -->` ... `<!-- end -->` filled from `<folder>/NAME.json`."""

    def fill(match: re.Match[str]) -> str:
        name = match.group(1)
        data = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        return f"<!-- table {name} -->\n{TABLES[name](data)}\n<!-- end -->"

    return re.sub(r"<!-- table (\w+) -->\n.*?<!-- end -->", fill, text, flags=re.DOTALL)


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--take", type=Path, help="folder of the runs to take the JSON files from")
    arguments = parser.parse_args()
    from agents.files import write_bytes

    if arguments.take:
        for name, source in SOURCES.items():
            for ending in (".json", ".png"):
                path = arguments.take / source.with_suffix(ending)
                if path.exists():
                    write_bytes(PAGE.parent / f"{name}{ending}", path.read_bytes())
    write_bytes(PAGE, render(PAGE.read_text(encoding="utf-8"), PAGE.parent).encode())
    print(PAGE)


if __name__ == "__main__":
    main()
