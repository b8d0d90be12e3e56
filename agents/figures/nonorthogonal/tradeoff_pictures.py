"""The drawings of the trade-offs: the curves, V above its bound, and for several sizes the ranges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.figures.base import Result
from agents.figures.drawing import canvas
from agents.figures.nonorthogonal.curves import BOUND
from agents.figures.nonorthogonal.pictures import STAR, TITLES, line_look, star

__all__ = ["draw_ranges", "draw_tradeoff"]


def draw_tradeoff(config: Mapping[str, Any], result: Result) -> Any:
    """Left: CRLB of the angles against I; right: V over the weight, with its bound."""
    return _draw(config, result, 2)


def draw_ranges(config: Mapping[str, Any], result: Result) -> Any:
    """As `draw_tradeoff`, and the ranges along the weight over L."""
    return _draw(config, result, 4)


def _draw(config: Mapping[str, Any], result: Result, columns: int) -> Any:
    presets = list(result.drawing)
    figure = canvas(5.4 + 3.9 * (columns - 1), 3.3 * len(presets) + 0.9)
    grid = figure.subplots(len(presets), columns, squeeze=False, width_ratios=[1.4, 1.0, 0.8, 0.8][:columns])
    handles: dict[str, Any] = {}
    for axes, preset in zip(grid, presets, strict=True):
        points = result.drawing[preset]
        for entry in config["lines"]:
            name, look = entry["name"], line_look(entry)
            random, bound = (entry["curve"] == kind for kind in ("random", BOUND))
            if not bound:
                bits, angle = (_means(points, name, quantity) for quantity in ("information", "angle"))
                if random:  # the weight does not matter
                    bits, angle, look = bits[:1], angle[:1], {**look, "linestyle": "none", "markersize": 8}
                axes[0].plot(bits, angle, **look)
            if not random:
                axes[1].plot(list(points), _means(points, name, "value"), **look)
        for told in config["printed"]:
            star(axes[0], told["information"], told["value"])
        axes[0].set_yscale("log")
        axes[0].set_xlabel("I, bit/symbol")
        axes[0].set_ylabel("CRLB of the angles, rad$^2$")
        axes[1].set_ylabel("V, lg")
        axes[1].set_xlabel("weight")
        if columns > 2:
            _ranges(axes[2:], preset, result)
        for axis in axes:
            axis.grid(alpha=0.3)
            axis.tick_params(labelbottom=True)
            found, labels = axis.get_legend_handles_labels()
            handles |= dict(zip(labels, found, strict=True))
        axes[0].set_title(TITLES[preset].replace("\n", " "), fontsize=10, loc="left")
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=3, fontsize=8.5)
    return figure


def _means(points: Mapping[float, Any], name: str, quantity: str) -> np.ndarray:
    return np.array([lines[name][quantity].mean() for lines in points.values()])


def _ranges(axes: Any, preset: str, result: Result) -> None:
    """Ranges of I and of the CRLB (dB) along the weight, with their intervals, from the rows."""
    for axis, quantity, unit in zip(axes, ("information", "angle"), ("bit/symbol", "dB"), strict=True):
        rows = [row for row in result.rows if row["preset"] == preset and row["quantity"] == f"range of {quantity}"]
        for curve, colour, marker in (("cross_entropy", "0.2", "o"), ("coordinate_descent", "0.55", "s")):
            own = [row for row in rows if row["line"].startswith(curve)]
            size = [int(row["line"].rpartition(" ")[2]) for row in own]
            mean = np.array([row["mean"] for row in own])
            error = np.abs(np.array([[row["low"], row["high"]] for row in own]).T - mean)
            axis.errorbar(size, mean, error, color=colour, marker=marker, markerfacecolor="none", capsize=3,
                          label=f"range along the weight, {curve}")  # fmt: skip
        for row in rows:
            if "printed" in row and row["line"].startswith("cross_entropy"):
                axis.plot([int(row["line"].rpartition(" ")[2])], [row["printed"]], label="printed in the paper's text", **STAR)
        axis.set_xticks([9, 16, 25])
        axis.set_xlabel("elements L")
        axis.set_ylabel(f"range of {'I' if quantity == 'information' else 'the CRLB'}, {unit}")
