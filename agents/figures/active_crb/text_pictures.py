"""The drawings of the statements of the text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.figures.active_crb.pictures import STYLES, symbols
from agents.figures.base import Result
from agents.figures.drawing import canvas

__all__ = ["draw_gaps", "draw_remarks"]


def draw_remarks(config: Mapping[str, Any], result: Result) -> Any:
    """Four panels of the text's statements; bands: all scenes."""
    figure = canvas(10.4, 7.4)
    (closed, best), (scaling, noise) = figure.subplots(2, 2)
    places = result.drawing["closed"]
    x = [float(place["P_s, dBm"]) for place, _ in places]
    looks = (
        ("trace", "$\\mathrm{tr}(S)P_0\\leq P_1$", "C0"),
        ("norm", "$\\lambda_{\\max}(S)P_0\\leq P_1$", "C1"),
        ("holds", "exact", "C2"),
    )
    at = np.arange(len(x))
    for shift, (key, label, colour) in zip((-0.26, 0.0, 0.26), looks, strict=True):
        share = [100.0 * arrays[key].mean() if arrays[key].size else np.nan for _, arrays in places]
        closed.bar(at + shift, share, 0.24, color=colour, label=label)
    closed.set_title("closed form (30): its conditions", fontsize=10)
    closed.set_xlabel("surface power $P_s$, dBm")
    closed.set_ylabel("scenes in which it holds, %")
    closed.set_xticks(at, [f"{value:g}" for value in x])
    only = [(place, arrays) for place, arrays in result.drawing["amplitudes"] if place["task"] == "sensing only"]
    _over_caps(best, only, "fixed", "C1", "at fixed beams")
    _over_caps(best, only, "best", "C0", "with the best beams")
    best.axhline(0.0, color="k", linewidth=0.8)
    best.set_title("largest $\\partial\\log\\mathrm{CRB}/\\partial\\log a_n$ at the cap", fontsize=10)
    best.set_ylabel("derivative")
    _over_caps(scaling, result.drawing["scaling"], "gain", "C0", "fall by the best factor", size=8)
    _over_caps(scaling, result.drawing["scaling"], "loss", "C1", "closed form above the best factor")
    scaling.set_title("joint scaling from the cap", fontsize=10)
    scaling.set_ylabel("CRB, dB")
    sensing = [(place, arrays) for place, arrays in result.drawing["noise"] if place["task"] == "sensing only"]
    _over_caps(noise, sensing, "ratio", "C0", "neglected over counted noise")
    _over_caps(noise, sensing, "loop", "C1", "loop gain $a\\,\\Vert H\\Vert$")
    noise.axhline(0.0, color="k", linewidth=0.8)
    noise.set_title("noise of the first pass through the target", fontsize=10)
    noise.set_ylabel("dB")
    for axes in (best, scaling, noise):
        axes.set_xlabel("cap on the power gain, dB")
    for axes in (closed, best, scaling, noise):
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    return figure


def _over_caps(axes: Any, places: Any, key: str, colour: str, label: str, size: float = 4.0) -> None:
    """Mean over the cap, and the range of all scenes."""
    ordered = sorted(((float(place["cap, dB"]), arrays[key]) for place, arrays in places), key=lambda pair: pair[0])
    x = [cap for cap, values in ordered if values.size]
    values = [values for _, values in ordered if values.size]
    axes.plot(x, [value.mean() for value in values], "o-", color=colour, markersize=size, label=label)
    axes.fill_between(x, [v.min() for v in values], [v.max() for v in values], color=colour, alpha=0.15, linewidth=0)


def draw_gaps(config: Mapping[str, Any], result: Result) -> Any:
    """Left: gaps of all scenes (boxes: quartiles, whiskers: 5 to 95 %); right: CPU time per scene."""
    tasks = list(result.drawing)
    figure = canvas(10.4, 1.9 + 0.62 * len(tasks))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[1.7, 1])
    y = np.arange(len(tasks))[::-1]
    for shift, policy in ((0.2, "ao"), (-0.2, "direct")):
        colour = STYLES[policy].colour
        gaps = [found[policy]["gap"][found[policy]["feasible"]] for found in result.drawing.values()]
        boxes = left.boxplot(
            gaps, positions=y + shift, widths=0.3, orientation="horizontal", patch_artist=True, whis=(5, 95), manage_ticks=False,
            flierprops={"marker": ".", "markersize": 3, "markeredgecolor": colour},
        )  # fmt: skip
        for box in boxes["boxes"]:
            box.set(facecolor=colour, alpha=0.6)
        for line in boxes["medians"]:
            line.set(color="k")
        milliseconds = [1e3 * float(found[policy]["seconds"].mean()) for found in result.drawing.values()]
        right.barh(y + shift, milliseconds, 0.35, color=colour, alpha=0.8, label=policy)
    left.set_xlabel("gap to the certified bound, dB")
    left.set_xlim(left=-0.02)
    left.set_yticks(y, [symbols(task) for task in tasks])
    right.set_xlabel("CPU time per scene, ms (log scale)")
    right.set_xscale("log")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    handles, labels = right.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=9)
    return figure
