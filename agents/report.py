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
    """Penalised score with its interval (left), and score against time per scene in batch (right), as a matplotlib figure.

    Policies far below the others (random designs) stand at the edge with their value, so that the others can be told apart.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = sorted((row for row in table.rows if np.isfinite(row["score"])), key=lambda row: row["score"])
    scores = np.array([row["score"] for row in rows])
    below = scores.max(initial=-np.inf) - scores
    spread = float(np.median(below)) if len(rows) > 2 else 0.0
    shown = below <= 8.0 * spread if spread > 0.0 else np.ones(len(rows), bool)
    edge = min((row["score_low"] for row, inside in zip(rows, shown, strict=True) if inside), default=0.0)
    drawing = Figure(figsize=(11, 1.2 + 0.45 * max(4, len(rows))), layout="constrained")
    FigureCanvasAgg(drawing)
    left, right = drawing.subplots(1, 2, sharey=False)
    for i, (row, inside) in enumerate(zip(rows, shown, strict=True)):
        colour = f"C{i % 10}"
        if not inside:
            left.plot(edge, i, "<", color=colour)
            left.annotate(f"{row['score']:.2f}", (edge, i), xytext=(8, -4), textcoords="offset points")
            continue
        error = np.array([[row["score"] - row["score_low"]], [row["score_high"] - row["score"]]])
        left.errorbar(row["score"], i, xerr=np.maximum(np.nan_to_num(error), 0.0), fmt="o", color=colour, capsize=3)
        milliseconds = 1e3 * row["seconds_per_scene"]
        right.plot(milliseconds, row["score"], "o", color=colour, label=row["policy"])
    left.set_yticks(range(len(rows)), [row["policy"] for row in rows])
    left.set_xlabel("penalised score (mean, 95 % interval)")
    left.grid(alpha=0.3)
    right.set_xscale("log")
    right.set_xlabel("time per scene in batch, ms")
    right.set_ylabel("penalised score")
    right.grid(alpha=0.3)
    if any(shown):
        right.legend(fontsize=8, reverse=True)
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
