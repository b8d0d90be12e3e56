"""The drawing of the moving user: V, what is lost against `oracle`, and the belief, over speed, elements and SNR."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.figures.base import Result
from agents.figures.drawing import canvas

__all__ = ["draw"]

LOOKS = {
    "bound": ("certified bound", "0.65", "", "-"),
    "oracle": ("oracle (knows the position)", "C2", "^", "-"),
    "widen": ("widen (over the belief)", "C3", "s", "--"),
    "hold": ("hold (beam at the prediction)", "C0", "o", "-"),
    "cross_entropy": ("cross_entropy at the prediction", "C1", "v", "-."),
    "align": ("align at the prediction", "C4", "P", ":"),
    "random": ("random", "C7", "d", ":"),
}


def draw(config: Mapping[str, Any], result: Result) -> Any:
    """Three columns; rows: V, V above oracle, normalised squared error."""
    panels = [panel for panel in config["panels"] if panel["label"]]
    figure = canvas(4.6 * len(panels), 9.2)
    grid = figure.subplots(3, len(panels), squeeze=False, sharey="row", sharex="col", height_ratios=[1.2, 1.2, 0.8])
    handles: dict[str, Any] = {}
    for axes, panel in zip(grid.T, panels, strict=True):
        rows = [row for row in result.rows if row["panel"] == panel["name"]]
        for policy, (label, colour, marker, dash) in LOOKS.items():
            look: dict[str, Any] = {"color": colour, "linestyle": dash, "marker": marker or None, "label": label}
            look |= {"markerfacecolor": "none"}
            if policy == "bound":
                look |= {"linewidth": 4.5, "zorder": 1.5}
            for axis, quantity in zip(axes, ("value", "value above oracle", "squared"), strict=True):
                own = [row for row in rows if row["policy"] == policy and row["quantity"] == quantity]
                if not own or (policy == "random" and quantity != "value"):
                    continue
                mean = np.array([row["mean"] for row in own])
                error = np.abs(np.array([[row["low"], row["high"]] for row in own]).T - mean)
                bars = None if quantity == "value" else error
                shown = axis.errorbar([row["x"] for row in own], mean, bars, capsize=3, **look)
                handles.setdefault(label, shown)
        axes[1].axhline(0.0, color="k", linewidth=0.8)
        axes[2].axhspan(2.0, 2.3, color="0.85", zorder=0)
        for axis in axes:
            axis.grid(alpha=0.3)
            axis.set_xticks([point["x"] for point in panel["points"]])
        axes[2].set_xlabel(panel["label"])
    for axis, label in zip(grid[:, 0], ("V, lg (mean over frames)", "V above oracle, lg", "$e^T C_{rr}^{-1} e$ after the update"),
                           strict=True):  # fmt: skip
        axis.set_ylabel(label)
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=4, fontsize=9)
    return figure
