"""The drawing of `anchor-hit-rate`: hit rate and rms error of the direction over the pilots, one column per SNR."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.figures.base import Result
from agents.figures.drawing import canvas

__all__ = ["draw"]

LOOKS = {
    "bound": ("Fano's bound", "0.65", "", "-"),
    "information_greedy": ("information greedy", "C2", "^", "-"),
    "posterior_matching": ("hierarchical posterior matching", "C0", "o", "-"),
    "thompson": ("Thompson sampling", "C4", "P", "--"),
    "exhaustive": ("finest beams in order", "C3", "s", "--"),
    "random": ("finest beams at random", "C7", "d", ":"),
    "descent": ("hard descent", "C1", "v", ""),
    "peak": ("full scan, loudest beam", "k", "*", ""),
}


def draw(config: Mapping[str, Any], result: Result) -> Any:
    """Bars: binomial standard errors (hit rate), 95 % intervals (error)."""
    snrs = list(config["snrs_db"])
    figure = canvas(0.8 + 4.3 * len(snrs), 7.6)
    grid = figure.subplots(2, len(snrs), squeeze=False, sharey="row", sharex=True)
    handles: dict[str, Any] = {}
    ticks = sorted({*config["pilots"], *config["peak"]})
    for axes, snr_db in zip(grid.T, snrs, strict=True):
        for policy, (label, colour, marker, dash) in LOOKS.items():
            for axis, quantity in zip(axes, ("hit rate", "rms error"), strict=True):
                place = (snr_db, policy, quantity)
                own = [row for row in result.rows if (row["element_snr_db"], row["policy"], row["quantity"]) == place]
                own = [row for row in own if row["pilots"] in ticks]
                if not own:
                    continue
                look: dict[str, Any] = {"color": colour, "linestyle": dash or "none", "marker": marker or None, "label": label}
                look |= {"linewidth": 4.5, "zorder": 1.5} if policy == "bound" else {"markerfacecolor": "none"}
                mean = np.array([row["mean"] for row in own])
                bars: Any = None
                if quantity == "rms error":
                    bars = np.abs(np.array([[row["low"], row["high"]] for row in own]).T - mean)
                elif policy != "bound":
                    bars = [row["standard_error"] for row in own]
                shown = axis.errorbar([row["pilots"] for row in own], mean, bars, capsize=3, **look)
                handles.setdefault(label, shown)
        axes[0].set_title(f"element SNR {snr_db:g} dB", fontsize=10, loc="left")
        axes[1].set_yscale("log")
        axes[1].set_xlabel("pilots")
        for axis in axes:
            axis.set_xscale("log")
            axis.set_xticks(ticks, [f"{tick}" for tick in ticks])
            axis.minorticks_off()
            axis.grid(alpha=0.3)
    grid[0, 0].set_ylabel("hit rate")
    grid[0, 0].set_ylim(0.0, 1.05)
    grid[1, 0].set_ylabel(r"rms error of $\psi$")
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=4, fontsize=9)
    return figure
