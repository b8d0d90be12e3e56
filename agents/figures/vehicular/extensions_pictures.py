"""The drawing of `reciprocity-extensions`: J and exposure by place of the radar, J and time by requirement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.figures.base import Result
from agents.figures.drawing import canvas

__all__ = ["draw"]

LOOKS = {
    "bound": ("certified bound", "0.65", "_"),
    "never": ("need-only, never hides", "k", "o"),
    "always": ("need-only, 30 dB always", "C3", "s"),
    "apart": ("need-only, 30 dB where apart", "C1", "D"),
    "myopic, never": ("myopic, never hides", "C7", "v"),
    "myopic, chosen": ("myopic, suppression chosen", "C0", "^"),
    "next vehicle": ("need-only, next vehicle reflects", "k", "o"),
    "chosen": ("need-only, reflecting vehicle chosen", "C2", "P"),
    "myopic, next vehicle": ("myopic, next vehicle reflects", "C7", "v"),
}


def draw(config: Mapping[str, Any], result: Result) -> Any:
    """A column per preset with a radar, and one for the reflecting vehicle; bars: 95 % intervals."""
    panels = [("radar", preset) for preset in config["presets"]] + [("reflector", "reciprocity")]
    figure = canvas(0.6 + 4.5 * len(panels), 8.2)
    grid = figure.subplots(2, len(panels), squeeze=False, height_ratios=[1.6, 1.0], sharex="col")
    handles: dict[str, Any] = {}
    for axes, (part, preset) in zip(grid.T, panels, strict=True):
        own = [row for row in result.rows if (row["part"], row["preset"]) == (part, preset)]
        cases = list(dict.fromkeys(row["case"] for row in own))
        lines = list(dict.fromkeys(row["line"] for row in own if row["line"] != "bound"))
        for axis, quantity in zip(axes, ("score", "exposed" if part == "radar" else "share"), strict=True):
            rows = [row for row in own if row["quantity"] == quantity]
            for row in rows:
                if row["line"] == "bound":
                    at, (label, colour, _) = cases.index(row["case"]), LOOKS["bound"]
                    handles[label] = axis.hlines(row["mean"], at - 0.4, at + 0.4, color=colour, linewidth=4.5, zorder=1.5)
            for i, name in enumerate(lines):
                shown, (label, colour, marker) = [row for row in rows if row["line"] == name], LOOKS[name]
                place = [cases.index(row["case"]) + 0.13 * (i - 0.5 * (len(lines) - 1)) for row in shown]
                mean = np.array([row["mean"] for row in shown])
                bars = np.abs(np.array([[row["low"], row["high"]] for row in shown]).T - mean)
                look: dict[str, Any] = {"linestyle": "none", "marker": marker, "color": colour, "markerfacecolor": "none"}
                handles.setdefault(label, axis.errorbar(place, mean, bars, capsize=3, **look))
            axis.grid(alpha=0.3)
        title = "reflecting vehicle, reciprocity" if part == "reflector" else f"radar, {preset}"
        axes[0].set_title(title, fontsize=10, loc="left")
        axes[1].set_xticks(range(len(cases)), [case.replace(", ", ",\n") for case in cases], fontsize=8.5)
        axes[1].set_xlim(-0.6, len(cases) - 0.4)
        axes[1].set_xlabel("radar beside the BS" if part == "radar" else "requirement")
        axes[0].set_ylabel("J, bit/s/Hz")
        axes[1].set_ylabel("share exposed to the radar" if part == "radar" else "share of time sensing")
        axes[1].set_ylim(bottom=0.0)
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=3, fontsize=9)
    return figure
