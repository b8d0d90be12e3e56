"""The drawing of a sweep: a column per panel and objective; surfaces that do not amplify in a strip below; scenes served."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.figures.base import Result
from agents.figures.drawing import canvas, limits
from agents.figures.multifunctional.curves import BOUND, CURVES, line_name
from agents.figures.multifunctional.sweep import LEVEL

__all__ = ["draw_sweep"]

Points = list[dict[str, Any]]
TITLES = {
    "sum": "designs that maximise the sum (17a)",
    "db": "designs that maximise the mean of the dB",
}
AXES = {
    "sum": "$10\\,\\log_{10}(\\gamma_r+\\gamma_t)$, dB (mean)",
    "db": "mean over the sides (lines)\nand weaker side (thin), dB",
}
APART_DB = 20.0
"""Curves that lie by so much below the others are drawn in a strip of their own."""
LEAST_SPAN_DB = 6.0


def draw_sweep(config: Mapping[str, Any], result: Result) -> Any:
    """A column per panel and objective."""
    panels = [entry for entry in config["panels"] if entry["drawn"]]
    columns = len(panels) * len(config["forms"])
    figure = canvas(5.2 * columns, 7.6)
    outer = figure.add_gridspec(1, columns)
    handles: dict[str, Any] = {}
    for i, entry in enumerate(panels):
        for j, form in enumerate(config["forms"]):
            handles |= _column(figure, outer[0, i * len(config["forms"]) + j], entry, form, result.drawing[entry["name"]])
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=5 if columns > 1 else 3, fontsize=9)
    return figure


def _values(points: Points, key: str) -> np.ndarray:
    return np.array([point[key]["mean"] if key in point else np.nan for point in points], float)


def _column(figure: Any, place: Any, entry: Mapping[str, Any], form: str, shown: Mapping[str, Points]) -> dict[str, Any]:
    """Draw one objective of a panel and return its lines by label."""
    names = [*entry["bounds"], *entry["curves"]]
    near, far = _split({name: _values(shown[line_name(name, form)], LEVEL[form]) for name in names})
    heights = [_span(shown, names, form) for names in (near, far) if names]
    total = sum(heights)
    ratios = [max(3.2 * height / total, 0.9) for height in heights] + [1.0]
    cells = place.subgridspec(len(ratios), 1, height_ratios=ratios)
    axes = [figure.add_subplot(cells[0, 0])]
    axes += [figure.add_subplot(cells[i, 0], sharex=axes[0]) for i in range(1, len(ratios))]
    found: dict[str, Any] = {}
    for axis, group in zip(axes, [near, far] if far else [near], strict=False):
        for name in group:
            found[CURVES[name].label] = _line(axis, name, form, shown[line_name(name, form)])
        bounds = limits(_levels(shown, group, form), 0.06)
        if bounds:
            centre, half = 0.5 * sum(bounds), max(0.5 * (bounds[1] - bounds[0]), LEAST_SPAN_DB / 2)
            axis.set_ylim(centre - half, centre + half)
    if far:
        _break(axes[0], axes[1])
    axes[0].set_ylabel(AXES[form])
    _served(axes[-1], entry, form, shown)
    for axis in axes:
        axis.grid(alpha=0.3)
        axis.tick_params(labelbottom=axis is axes[-1])
    axes[-1].set_xticks([point["x"] for point in entry["points"]])
    axes[-1].set_xlabel(entry["label"])
    axes[0].set_title(TITLES[form], fontsize=10)
    return found


def _split(levels: Mapping[str, np.ndarray]) -> tuple[list[str], list[str]]:
    """Names of the curves in the upper axes and of those far below; curves without a point are in neither strip's way."""
    seen = {name: level[np.isfinite(level)] for name, level in levels.items()}
    order = sorted((name for name in seen if seen[name].size), key=lambda name: -float(seen[name].max()))
    for i in range(1, len(order)):
        if seen[order[i]].max() < min(seen[name].min() for name in order[:i]) - APART_DB:
            return [name for name in levels if name in order[:i]], [name for name in levels if name in order[i:]]
    return list(levels), []


def _levels(shown: Mapping[str, Points], names: list[str], form: str) -> list[np.ndarray]:
    keys = {name: [LEVEL[form]] + (["min"] if form != "sum" and CURVES[name].policy != BOUND else []) for name in names}
    return [_values(shown[line_name(name, form)], key) for name in names for key in keys[name]]


def _span(shown: Mapping[str, Points], names: list[str], form: str) -> float:
    bounds = limits(_levels(shown, names, form))
    return max(bounds[1] - bounds[0], LEAST_SPAN_DB) if bounds else LEAST_SPAN_DB


def _line(axis: Any, name: str, form: str, points: Points) -> Any:
    curve, x = CURVES[name], [point["x"] for point in points]
    bound = curve.policy == BOUND
    look: dict[str, Any] = {"color": curve.colour, "linestyle": curve.dash}
    if form != "sum" and not bound:
        axis.plot(x, _values(points, "min"), linewidth=0.8, linestyle=":", marker=curve.marker, markersize=3, color=curve.colour)
    return axis.plot(
        x, _values(points, LEVEL[form]), linewidth=4.0 if bound else 1.8, zorder=1.5 if bound else 2.5,
        marker=curve.marker or None, markersize=7, markerfacecolor="none" if curve.marker in "od" else curve.colour, **look,
    )[0]  # fmt: skip


def _served(axis: Any, entry: Mapping[str, Any], form: str, shown: Mapping[str, Points]) -> None:
    for name in entry["curves"]:
        points, curve = shown[line_name(name, form)], CURVES[name]
        share = [100.0 * point["served"] / point["scenes"] for point in points]
        x = [point["x"] for point in points]
        axis.plot(x, share, color=curve.colour, marker=curve.marker, markersize=5, linewidth=1.2, markerfacecolor="none")
        marked = [(a, b) for a, b, point in zip(x, share, points, strict=True) if point["infeasible"]]
        if marked:
            axis.plot(*zip(*marked, strict=True), linestyle="none", marker="x", color="k", markersize=9, zorder=4)
    axis.set_ylim(-6, 106)
    axis.set_ylabel("served, %\n(x: infeasible)")


def _break(top: Any, bottom: Any) -> None:
    """A broken y axis."""
    top.spines["bottom"].set_visible(False)
    bottom.spines["top"].set_visible(False)
    top.tick_params(bottom=False)
    mark: dict[str, Any] = {"marker": [(-1, -0.6), (1, 0.6)], "markersize": 9, "linestyle": "none"}
    mark |= {"color": "k", "clip_on": False}
    top.plot([0, 1], [0, 0], transform=top.transAxes, **mark)
    bottom.plot([0, 1], [1, 1], transform=bottom.transAxes, **mark)
