"""The drawings of the sweeps: a row per preset, a column per quantity; stars are numbers printed in the paper's text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from agents.figures.base import Result
from agents.figures.drawing import canvas
from agents.figures.nonorthogonal.curves import CURVES

__all__ = ["draw_sweep", "line_look", "star"]

TITLES = {
    "paper": "preset paper (printed conventions,\nno physical channel)",
    "theorem1": "preset theorem1 (one convention,\nTheorem 1)",
    "physical": "preset physical (two users,\ncomplex symbols)",
}
STAR: dict[str, Any] = {
    "color": "k", "marker": "*", "markersize": 13, "linestyle": "none", "markerfacecolor": "gold", "zorder": 6,
}  # fmt: skip


def line_look(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Colour by variant (if any) or curve; dash and marker by curve."""
    curve = CURVES[entry["curve"]]
    colour = curve.colour if entry["variant"] is None else f"C{entry['variant']}"
    bound = entry["curve"] == "bound"
    look: dict[str, Any] = {"color": colour, "linestyle": curve.dash, "label": label_of(entry), "linewidth": 1.6}
    if bound:
        look |= {"linewidth": 4.5, "alpha": 0.35 if entry["variant"] is not None else 1.0, "zorder": 1.5}
    else:
        look |= {"marker": curve.marker, "markersize": 6, "markerfacecolor": "none", "zorder": 2.5}
    return look


def label_of(entry: Mapping[str, Any]) -> str:
    """For the legend."""
    return CURVES[entry["curve"]].label + (f", {entry['label']}" if entry["label"] else "")


def star(axis: Any, x: float, y: float) -> None:
    """A printed number."""
    axis.plot([x], [y], label="printed in the paper's text", **STAR)


def draw_sweep(quantities: Mapping[str, str], width: float = 4.6) -> Callable[[Mapping[str, Any], Result], Any]:
    """The drawing of a sweep: quantity -> label of its axis; CRLBs on a log axis."""

    def draw(config: Mapping[str, Any], result: Result) -> Any:
        presets = list(result.drawing)
        figure = canvas(width * len(quantities), 3.1 * len(presets) + 0.9)
        grid = figure.subplots(len(presets), len(quantities), squeeze=False, sharex=True)
        handles: dict[str, Any] = {}
        for axes, preset in zip(grid, presets, strict=True):
            points = result.drawing[preset]
            for axis, (quantity, name) in zip(axes, quantities.items(), strict=True):
                _curves(axis, config, points, quantity)
                for told in config["printed"]:
                    if told["quantity"] == quantity and told["x"] in points:
                        base = points[told["x"]][told["times"]][quantity].mean() if "times" in told else 1.0
                        star(axis, told["x"], told["value"] * base)
                axis.set_ylabel(name)
                if quantity in ("angle", "symbol"):
                    axis.set_yscale("log")
                axis.grid(alpha=0.3, which="both" if quantity in ("angle", "symbol") else "major")
                axis.set_xticks(list(points))
                found, labels = axis.get_legend_handles_labels()
                handles |= dict(zip(labels, found, strict=True))
            axes[0].set_title(TITLES[preset].replace("\n", " "), fontsize=10, loc="left")
        for axis in grid[-1]:
            axis.set_xlabel(config["label"])
        figure.legend(handles.values(), handles, loc="outside lower center", ncols=3 if len(quantities) > 2 else 2, fontsize=8.5)
        return figure

    return draw


def _curves(axis: Any, config: Mapping[str, Any], points: Mapping[float, Any], quantity: str) -> None:
    for entry in config["lines"]:
        if any(quantity not in lines[entry["name"]] for lines in points.values()):
            continue
        level = [float(np.mean(lines[entry["name"]][quantity])) for lines in points.values()]
        if np.isfinite(level).all() and (quantity != "information" or np.any(level)):  # no data: I = 0
            axis.plot(list(points), level, **line_look(entry))
