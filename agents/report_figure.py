"""The picture of a comparison (matplotlib, without a display)."""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.comparison import Table

__all__ = ["figure"]

STYLES: tuple[dict[str, Any], ...] = ({"fmt": "o"}, {"fmt": "D", "mfc": "white", "ms": 4})
FAR = 8.0
"""A policy further below the best than this many median distances stands at the edge, with its value."""


def figure(table: Table) -> Any:
    """Four panels, one colour per row: scores, differences to the reference, probability of improvement, score against time.

    A filled dot is the mean, a hollow diamond the interquartile mean, both with their 95 % intervals; small ticks are the runs of
    a recipe. Policies far below the others (random designs) stand at the edge with their value, so that the others can be told
    apart. Without a reference the two panels in the middle are left out.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from agents.report import has_reference

    rows = sorted((row for row in table.rows if np.isfinite(row["score"])), key=lambda row: row["score"])
    compared, reference = has_reference(table), table.meta["reference"]
    drawing = Figure(figsize=(17 if compared else 11, 1.6 + 0.5 * max(4, len(rows))), layout="constrained")
    FigureCanvasAgg(drawing)
    panels = drawing.subplots(1, 4 if compared else 2)
    shown = _near(np.array([row["score"] for row in rows]))
    _levels(panels[0], rows, shown, ("score", "score_iqm"), "penalised score")
    panels[0].set_yticks(range(len(rows)), [_label(row) for row in rows])
    if compared:
        _levels(panels[1], rows, shown, ("score_minus_reference", "score_iqm_minus_reference"), f"score - {reference}'s")
        panels[1].axvline(0.0, color="k", lw=0.8)
        everything = [True] * len(rows)
        _levels(panels[2], rows, everything, ("probability_of_improvement",), f"probability of improvement on {reference}")
        panels[2].axvline(0.5, color="k", lw=0.8)
        panels[2].set_xlim(-0.03, 1.03)
        for panel in panels[1:3]:
            panel.set_yticks(range(len(rows)), [])
    for panel in panels[:-1]:
        panel.set_ylim(-0.6, len(rows) - 0.4)
    _times(panels[-1], rows, shown, "scene and frame" if table.meta.get("frames") else "scene")
    what = f"{table.meta['system']['system']}, {table.meta['scenes']['name']}, {table.meta['counts']['scenes']} scenes"
    marks = ["mean (dot)", "interquartile mean (diamond)", "95 % intervals"]
    marks += ["every run (tick)"] if any(row["runs"] > 1 for row in rows) else []
    drawing.suptitle(f"{what}: {', '.join(marks)}")
    return drawing


def _near(scores: np.ndarray) -> list[bool]:
    below = scores.max(initial=-np.inf) - scores
    spread = float(np.median(below)) if len(scores) > 2 else 0.0
    return [bool(distance <= FAR * spread) if spread > 0.0 else True for distance in below]


def _levels(panel: Any, rows: list[dict[str, Any]], shown: list[bool], names: tuple[str, ...], title: str) -> None:
    """Statistics with intervals, one line per row."""
    edge = min((row[f"{names[0]}_low"] for row, inside in zip(rows, shown, strict=True) if inside), default=0.0)
    for i, (row, inside) in enumerate(zip(rows, shown, strict=True)):
        colour = f"C{i % 10}"
        if not inside:
            panel.plot(edge, i, "<", color=colour)
            several = names[0] == "score" and row["runs"] > 1
            span = f" ({row['score_min']:.2f} to {row['score_max']:.2f})" if several else ""
            panel.annotate(f"{row[names[0]]:.2f}{span}", (edge, i), xytext=(8, -4), textcoords="offset points")
            continue
        for name, place, style in zip(names, (0.0, -0.22), STYLES, strict=False):
            if row[f"{name}_count"]:
                error = np.array([[row[name] - row[f"{name}_low"]], [row[f"{name}_high"] - row[name]]])
                panel.errorbar(row[name], i + place, xerr=np.maximum(error, 0.0), color=colour, capsize=2.5, **style)
        if names[0] == "score" and row["runs"] > 1:
            panel.plot(row["score_runs"], np.full(row["runs"], i + 0.22), "|", color=colour, ms=8)
    panel.locator_params(axis="x", nbins=5)
    panel.set_xlabel(title)
    panel.grid(alpha=0.3)


def _times(panel: Any, rows: list[dict[str, Any]], shown: list[bool], what: str) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    for i, (row, inside) in enumerate(zip(rows, shown, strict=True)):
        if inside:
            panel.plot(1e3 * row["seconds_per_scene"], row["score"], "o", color=f"C{i % 10}", label=_label(row))
    panel.set_xscale("log")
    panel.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    panel.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.set_xlabel(f"time per {what} in batch, ms")
    panel.set_ylabel("penalised score")
    panel.grid(alpha=0.3)
    if any(shown):
        panel.legend(fontsize=8, reverse=True)


def _label(row: dict[str, Any]) -> str:
    return f"{row['policy']} ({row['runs']} runs)" if row["runs"] > 1 else str(row["policy"])
