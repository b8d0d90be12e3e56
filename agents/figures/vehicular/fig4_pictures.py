"""The drawing of Fig. 4: rate and dedicated time over the requirement, a column per setting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.figures.base import Result
from agents.figures.drawing import canvas

__all__ = ["draw"]

LOOKS = {
    "s&c": ("proposed (both directions)", "C3", "o", "-"),
    "w/o s": ("w/o sensing assistance", "C0", "s", "--"),
    "w/o c": ("w/o communication assistance", "C2", "^", "-."),
    "w/o s&c": ("w/o either", "C7", "v", ":"),
}
TITLES = {"flexible": "prior {:g} m", "equal": "prior {:g} m, equal slots"}


def draw(config: Mapping[str, Any], result: Result) -> Any:
    """A single panel: rate and time side by side; several: a pair of rows per layout, the panels of it side by side."""
    layouts = list(dict.fromkeys(entry["layout"] for entry in config["panels"]))
    columns = max(sum(entry["layout"] == layout for entry in config["panels"]) for layout in layouts)
    single = len(config["panels"]) == 1
    figure = canvas(10.5, 4.6) if single else canvas(3.4 * columns + 0.6, 5.6 * len(layouts) + 0.6)
    grid = figure.subplots(1, 2)[:, None] if single else figure.subplots(2 * len(layouts), columns, squeeze=False, sharex=True)
    gammas = np.asarray(config["thresholds_db"], float)
    place = dict.fromkeys(layouts, 0)
    handles: dict[str, Any] = {}
    for entry, curves in zip(config["panels"], result.drawing.values(), strict=True):
        row, column = 2 * layouts.index(entry["layout"]), place[entry["layout"]]
        place[entry["layout"]] += 1
        upper, lower = grid[row, column], grid[row + 1, column]
        for scheme, (label, colour, marker, dash) in LOOKS.items():
            look: dict[str, Any] = {"color": colour, "marker": marker, "linestyle": dash, "markerfacecolor": "none"}
            (handles[label],) = upper.plot(gammas, curves["rate"][scheme], label=label, **look)
            over = {"zorder": 3.0 if scheme == "s&c" else 2.0}
            lower.plot(gammas, 100.0 * curves["dedicated"][scheme], **look, **over)
        handles[f"{config['level']:g} bit/s/Hz (the survey's level)"] = upper.axhline(
            config["level"], color="k", linewidth=0.8, linestyle=(0, (4, 3))
        )
        cars = ", ".join(f"{x:g}" for x in entry["position_m"])
        upper.set_title(f"x = ({cars}) m, " + TITLES[entry["slots"]].format(entry["position_std_m"]), fontsize=9)
        if entry["slots"] == "equal":
            upper.text(0.03, 0.05, "sum rate", transform=upper.transAxes, fontsize=9)
        if not single:
            upper.set_ylim(0.0, 5.6)
            lower.set_ylim(-3.0, 103.0)
        for axis in (upper, lower):
            axis.grid(alpha=0.3)
            axis.set_xlim(gammas[0] - 0.5, gammas[-1] + 0.5)
            axis.set_xticks(np.arange(gammas[0], gammas[-1] + 0.1, 4.0))
    for row in range(0, len(grid), 2):
        grid[row, 0].set_ylabel("rate, bit/s/Hz")
        grid[row + 1, 0].set_ylabel("dedicated sensing time, %")
    for axis in grid[-1] if not single else grid[:, 0]:
        axis.set_xlabel("sensing SNR requirement $\\Gamma$, dB")
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=3, fontsize=9)
    return figure
