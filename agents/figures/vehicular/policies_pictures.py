"""The drawing of the policies: J with its standard error, sensing time and position errors, a column per preset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.figures.base import Result
from agents.figures.drawing import canvas
from agents.figures.vehicular.policies_answers import standard_error

__all__ = ["draw"]

LOWEST = 0.0
"""J below is written, not drawn."""
ERRORS_M = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0]


def draw(config: Mapping[str, Any], result: Result) -> Any:
    """A row per preset: J, mean sensing share, rms and median error."""
    presets = list(result.drawing)
    heights = [0.26 * len(result.drawing[preset]) + 0.5 for preset in presets]
    figure = canvas(12.0, sum(heights) + 0.8)
    grid = figure.subplots(len(presets), 3, squeeze=False, height_ratios=heights, width_ratios=[1.5, 0.8, 1.0])
    for axes, preset in zip(grid, presets, strict=True):
        lines = result.drawing[preset]
        rows = {(row["line"], row["quantity"]): row for row in result.rows if row["preset"] == preset}
        names = list(lines)
        place = np.arange(len(names))[::-1]
        bound = rows["bound", "score"]["mean"] if "bound" in names else np.nan
        for y, name in zip(place, names, strict=True):
            colour = "0.6" if name == "bound" else "C3" if name == config["reference"] else "C0"
            mean, error = float(np.mean(lines[name]["score"])), standard_error(lines[name]["score"])
            if mean > LOWEST:
                axes[0].barh(y, mean, xerr=error, color=colour, height=0.7, ecolor="k", capsize=2)
            end = mean + error if mean > LOWEST else LOWEST
            axes[0].text(end + 0.06, y, f"{mean:.3f} ± {error:.3f}", va="center", fontsize=8)
            if name != "bound":
                axes[1].barh(y, 100.0 * rows[name, "share"]["mean"], color=colour, height=0.7)
                axes[2].plot(rows[name, "rms error"]["mean"], y, "o", color=colour)
                axes[2].plot(rows[name, "median error"]["mean"], y, "|", color=colour, markersize=10, markeredgewidth=2)
        axes[0].axvline(bound, color="0.6", linestyle="--", linewidth=1.0)
        axes[0].set_xlim(LOWEST, 6.6)
        axes[2].set_xscale("log")
        axes[2].set_xlim(0.006, 4.0)
        axes[2].set_xticks(ERRORS_M, [f"{x:g}" for x in ERRORS_M])
        axes[2].minorticks_off()
        for axis in axes:
            axis.set_ylim(-0.7, len(names) - 0.3)
            axis.set_yticks(place, names if axis is axes[0] else [""] * len(names), fontsize=8)
            axis.grid(alpha=0.3, axis="x")
        axes[0].set_title(preset, fontsize=10, loc="left")
    for axis, label in zip(
        grid[-1], ("J, bit/s/Hz (± standard error)", "sensing share, %", "position error, m (dot: rms, bar: median)"), strict=True
    ):
        axis.set_xlabel(label)
    return figure
