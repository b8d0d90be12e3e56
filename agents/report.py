"""A comparison on screen (rich), and as files: CSV and JSON here, the picture by `agents.report_figure`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from agents.comparison import Table
from agents.files import write_bytes, write_csv, write_json
from agents.report_figure import figure
from agents.stats import Estimate

__all__ = ["figure", "save", "text"]


def text(table: Table, width: int = 136) -> str:
    """The tables as text, at most `width` characters wide (long names of policies are folded)."""
    from rich.console import Console

    console = Console(file=io.StringIO(), width=width)
    console.print(screen(table))
    if has_reference(table):
        console.print(differences(table))
    for line in notes(table):
        console.print(line, highlight=False)
    return "\n".join(line.rstrip() for line in console.file.getvalue().rstrip().splitlines())  # type: ignore[attr-defined]


def has_reference(table: Table) -> bool:
    """Whether the reference is one of the policies, and another one is there to be compared with it."""
    return len(table.rows) > 1 and any(row["policy"] == table.meta["reference"] for row in table.rows)


def servable_differ(table: Table) -> bool:
    """Whether some scenes that are not certified infeasible are served by no policy of the table."""
    counts = table.meta["counts"]
    return bool(counts["servable"] < counts["scenes"] - counts["certified_infeasible"])


def gap_unit(unit: str) -> str:
    """Unit of a difference between two objectives: dB for levels in dB or dBm."""
    return "dB" if unit.startswith("dB") else unit


def screen(table: Table) -> Any:
    """What every policy reaches, for `rich`: one line per row of the table."""
    unit, scenes = table.meta["unit"], table.meta["scenes"]
    out = _table(f"{table.meta['system']['system']}: {scenes['name']}, first {scenes['count']} scenes; mean [95 % interval]")
    headings = ["penalised score", "interquartile mean", f"gap to bound, {gap_unit(unit)}", f"objective,\n{unit}"]
    told_apart = servable_differ(table)
    violated = "violated\n(servable)" if told_apart else "violated"
    batched = "per frame\nin batch" if table.meta.get("frames") else "per scene\nin batch"
    for heading in [*headings, violated, "one\ndecision", batched]:
        out.add_column(heading, justify="right", no_wrap=True)
    for row in table.rows:
        cells = [_cell(row, "score", 3), _cell(row, "score_iqm", 3), _cell(row, "gap_to_bound", 2)]
        rate = _percent(row["violation_rate"]) + (f" ({_percent(row['violation_rate_servable'])})" if told_apart else "")
        cells += [_number(row["objective_common"], 2), rate]
        out.add_row(_name(row), *cells, _seconds(row["seconds_single"]), _seconds(row["seconds_per_scene"]))
    return out


def differences(table: Table) -> Any:
    """Every policy against the reference, for `rich`: paired differences and the probability of improvement."""
    reference = table.meta["reference"]
    out = _table(f"against {reference}, paired; difference [95 % interval]")
    headings = ["penalised score", "interquartile mean", f"probability of\nimprovement on {reference}"]
    headings.append(f"gap to {reference}, {gap_unit(table.meta['unit'])}")
    for heading in headings:
        out.add_column(heading, justify="right", no_wrap=True)
    for row in table.rows:
        if row["policy"] != reference:
            cells = [_cell(row, f"{name}_minus_reference", 3, sign=True) for name in ("score", "score_iqm")]
            cells += [_cell(row, "probability_of_improvement", 2), _cell(row, "gap_to_reference", 2, sign=True)]
            out.add_row(_name(row), *cells)
    return out


def notes(table: Table) -> list[str]:
    """What a reader of the table must know; every run of a recipe."""
    counts, reference = table.meta["counts"], table.meta["reference"]
    lines = []
    for row in table.rows:
        if row["runs"] > 1:
            each = ", ".join(f"{value:.3f}" for value in row["score_runs"])
            span = f"{row['score_min']:.3f} to {row['score_max']:.3f}"
            lines.append(f"{row['policy']}, penalised score of every run: {each} ({span})")
    lines.append(
        f"{counts['scenes']} scenes, {counts['certified_infeasible']} certified infeasible and left out; bound certified for "
        f"{counts['bound_certified']}; objective over the {counts['common']} scenes that every policy with at most 50 % "
        "violations serves; gaps over the scenes that the policy (and the reference) serve."
    )
    if frames := table.meta.get("frames"):
        lines.append(
            f"Every scene is an episode of {frames} frames: scores, objectives and the bound are means over its frames, a "
            "violation in any frame counts, times are per scene and frame."
        )
    if servable_differ(table):
        lines.append(
            f"(servable): violations among the {counts['servable']} scenes that at least one policy of this table serves; "
            "whether the others can be served is not known."
        )
    if has_reference(table):
        lines.append(
            f"Probability of improvement: how often the score is above {reference}'s on the same scene, ties as one half. "
            "Interquartile mean: of the middle half of the scores; differences are between two of them."
        )
    if any(row["runs"] > 1 for row in table.rows):
        lines.append("Rows of several runs: intervals over runs and scenes; with few runs, trust the spread of the runs more.")
    if any(row["privileged"] for row in table.rows):
        lines.append(f"* privileged: sees the true {'states' if table.meta.get('frames') else 'channels'}.")
    return lines


def save(table: Table, folder: Path, name: str) -> list[Path]:
    """Write CSV, JSON and PNG."""
    scenes = {
        result.name: {
            "objective": result.objective,
            "score": result.score,
            "margin": result.margin,
            "violated": result.violated,
            "seconds_single": result.seconds_single,
            "physical": result.physical,
        }
        for result in table.results
    }
    value = {
        **table.meta,
        "rows": table.rows,
        "bound": {"value": table.bound, "status": table.bound_status},
        "per_scene": scenes,
    }
    paths = [
        write_csv(folder / f"{name}.csv", [{key: _joined(entry) for key, entry in row.items()} for row in table.rows]),
        write_json(folder / f"{name}.json", value),
    ]
    buffer = io.BytesIO()
    drawing = figure(table)
    drawing.savefig(buffer, format="png", dpi=120)
    paths.append(write_bytes(folder / f"{name}.png", buffer.getvalue()))
    return paths


def _joined(entry: Any) -> Any:
    return " ".join(map(repr, entry)) if isinstance(entry, list) else entry


def _table(title: str) -> Any:
    from rich import box
    from rich.table import Table as RichTable

    out = RichTable(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    out.add_column("policy", overflow="fold")
    return out


def _name(row: dict[str, Any]) -> str:
    runs = f" ({row['runs']} runs)" if row["runs"] > 1 else ""
    return f"{row['policy']}{runs}{' *' if row['privileged'] else ''}"


def _cell(row: dict[str, Any], name: str, digits: int, sign: bool = False) -> str:
    return Estimate(row[name], row[f"{name}_low"], row[f"{name}_high"], row[f"{name}_count"]).text(digits, sign)


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if np.isfinite(value) else "-"


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %" if np.isfinite(value) else "-"


def _seconds(value: float) -> str:
    if not np.isfinite(value):
        return "-"
    if value >= 1.0:
        return f"{value:.2f} s"
    milliseconds = 1e3 * value
    return f"{milliseconds:.{max(0, 2 - int(np.log10(max(milliseconds, 1.0))))}f} ms"
