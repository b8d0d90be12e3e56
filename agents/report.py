"""A comparison on screen (rich), as CSV and JSON, and as a picture (matplotlib, without a display)."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from agents.comparison import Table
from agents.files import write_bytes, write_csv, write_json
from agents.stats import Estimate

__all__ = ["figure", "save", "text"]


def text(table: Table, width: int = 160) -> str:
    """The table as text."""
    from rich.console import Console

    console = Console(file=io.StringIO(), width=width)
    console.print(screen(table))
    for line in notes(table):
        console.print(line, highlight=False)
    return str(console.file.getvalue()).rstrip()  # type: ignore[attr-defined]


def screen(table: Table) -> Any:
    """The table for `rich`."""
    from rich.table import Table as RichTable

    unit, reference = table.meta["unit"], table.meta["reference"]
    has_reference = any(row["gap_to_reference_count"] for row in table.rows)
    out = RichTable(title=f"{table.meta['system']['system']}: {table.meta['scenes']['name']}, mean [95 % interval]")
    out.add_column("policy", no_wrap=True)
    headings = ["penalised score", "IQM", f"objective, {unit}"]
    headings += [f"score - {reference}", f"gap to {reference}, dB"] if has_reference else []
    headings += ["gap to bound, dB", "violations", "one decision", "per scene"]
    for heading in headings:
        out.add_column(heading, justify="right")
    for row in table.rows:
        cells = [row["policy"] + (" *" if row["privileged"] else "")]
        cells += [_cell(row, "score", 3), _number(row["score_iqm"], 3), _number(row["objective_common"], 2)]
        cells += [_cell(row, "score_minus_reference", 3), _cell(row, "gap_to_reference", 2)] if has_reference else []
        cells += [_cell(row, "gap_to_bound", 2), f"{100 * row['violation_rate']:.0f} %"]
        cells += [_seconds(row["seconds_single"]), _seconds(row["seconds_per_scene"])]
        out.add_row(*cells)
    return out


def notes(table: Table) -> list[str]:
    """What a reader of the table must know."""
    counts = table.meta["counts"]
    lines = [
        f"{counts['scenes']} scenes, {counts['certified_infeasible']} certified infeasible and left out; bound certified for "
        f"{counts['bound_certified']}; objective over the {counts['common']} scenes that every policy with at most 50 % "
        "violations serves; gaps over the scenes that the policy (and the reference) serve."
    ]
    if any(row["privileged"] for row in table.rows):
        lines.append("* privileged: sees the true channels.")
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
        write_csv(folder / f"{name}.csv", table.rows),
        write_json(folder / f"{name}.json", value),
    ]
    buffer = io.BytesIO()
    drawing = figure(table)
    drawing.savefig(buffer, format="png", dpi=120)
    paths.append(write_bytes(folder / f"{name}.png", buffer.getvalue()))
    return paths


def figure(table: Table) -> Any:
    """Penalised score with its interval (left), and score against decision time (right), as a matplotlib figure."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = sorted(table.rows, key=lambda row: row["score"] if np.isfinite(row["score"]) else -np.inf)
    drawing = Figure(figsize=(11, 1.2 + 0.45 * max(4, len(rows))), layout="constrained")
    FigureCanvasAgg(drawing)
    left, right = drawing.subplots(1, 2, sharey=False)
    for i, row in enumerate(rows):
        colour = f"C{i % 10}"
        error = np.array([[row["score"] - row["score_low"]], [row["score_high"] - row["score"]]])
        left.errorbar(row["score"], i, xerr=np.maximum(np.nan_to_num(error), 0.0), fmt="o", color=colour, capsize=3)
        if np.isfinite(row["seconds_single"]):
            right.plot(1e3 * row["seconds_single"], row["score"], "o", color=colour)
            right.annotate(row["policy"], (1e3 * row["seconds_single"], row["score"]), xytext=(4, 4), textcoords="offset points")
    left.set_yticks(range(len(rows)), [row["policy"] for row in rows])
    left.set_xlabel("penalised score (mean, 95 % interval)")
    left.grid(alpha=0.3)
    right.set_xscale("log")
    right.set_xlabel("time of one decision, ms")
    right.set_ylabel("penalised score")
    right.grid(alpha=0.3)
    drawing.suptitle(f"{table.meta['system']['system']}, {table.meta['scenes']['name']}, {table.meta['counts']['scenes']} scenes")
    return drawing


def _cell(row: dict[str, Any], name: str, digits: int) -> str:
    return Estimate(row[name], row[f"{name}_low"], row[f"{name}_high"], row[f"{name}_count"]).text(digits)


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if np.isfinite(value) else "-"


def _seconds(value: float) -> str:
    if not np.isfinite(value):
        return "-"
    return f"{value:.2f} s" if value >= 1.0 else f"{1e3 * value:.2f} ms"
