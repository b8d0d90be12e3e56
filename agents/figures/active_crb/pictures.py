"""The drawing of a sweep: levels over x (curves far above in a strip of their own), and the share of scenes served below."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from agents.figures.active_crb.sweep import BOUND, label_of, lines
from agents.figures.base import Result
from agents.figures.drawing import canvas, limits

__all__ = ["STYLES", "draw_sweep", "symbols"]

Shown = Mapping[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Style:
    """How a policy looks; wide lines lie under narrow ones, so that curves that coincide are all seen."""

    colour: str
    marker: str
    width: float
    size: float
    hollow: bool = False


STYLES = {
    BOUND: Style("0.65", "", 5.0, 0.0),
    "ao": Style("C0", "o", 2.4, 9.0, hollow=True),
    "direct": Style("C3", "D", 1.8, 5.5),
    "transmit_only": Style("C2", "x", 1.2, 6.0),
    "reflective_only": Style("C1", "s", 1.4, 5.0),
    "zero_forcing": Style("C4", "v", 1.4, 5.0),
    "passive": Style("C5", "P", 1.4, 5.0),
}
DASHES = ("-", "--", ":")
WORDS = {
    "power_dbm": ("$P_0$", "dBm"),
    "surface_power_dbm": ("$P_s$", "dBm"),
    "max_gain_db": ("cap", "dB"),
    "sinr_threshold_db": ("SINR", "dB"),
}
"""Symbol and unit of the parameters that titles name."""
SYMBOLS = {"P_0": "$P_0$", "P_s": "$P_s$"}
LEAST_SPAN_DB = 4.0
"""Least height of an axis."""
APART_DB = 12.0
"""A curve that lies by so much above all others is drawn in a strip of its own."""


def draw_sweep(config: Mapping[str, Any], result: Result) -> Any:
    """One column per panel."""
    panels = config["panels"]
    served = not all(_sensing(entry) for entry in panels)
    figure = canvas(7.4 if len(panels) == 1 else 5.6 * len(panels), 6.8 if served else 5.6)
    outer = figure.add_gridspec(1, len(panels))
    labels: dict[str, Any] = {}
    for i, entry in enumerate(panels):
        labels |= _panel(figure, outer[0, i], entry, result.drawing[entry["name"]], served)
    columns = 3 if len(panels) == 1 else 5
    figure.legend(labels.values(), labels, loc="outside lower center", ncols=columns, fontsize=8, handlelength=3.4)
    return figure


def _sensing(entry: Mapping[str, Any]) -> bool:
    return entry["x"] != "sinr_threshold_db" and entry["system"].get("sinr_threshold_db", 0.0) is None


def _mean(points: list[dict[str, Any]], key: str = "mean") -> np.ndarray:
    return np.array([entry[key] for entry in points], float)


def _panel(figure: Any, place: Any, entry: Mapping[str, Any], shown: Shown, served: bool) -> dict[str, Any]:
    """Draw a panel into a cell of the grid and return its lines by label."""
    inside, far = _split(shown)
    ratios = ([0.7] if far else []) + [3.0] + ([1.0] if served else [])
    cells = place.subgridspec(len(ratios), 1, height_ratios=ratios)
    axes = [figure.add_subplot(cells[0, 0])]
    axes += [figure.add_subplot(cells[i, 0], sharex=axes[0]) for i in range(1, len(ratios))]
    main = axes[1 if far else 0]
    for name, points in shown.items():
        _line(axes[0] if name in far else main, entry, name, points)
    for part, names in ((main, inside), *(((axes[0], far),) if far else ())):
        found = limits([_mean(shown[name]) for name in names], 0.08)
        if found:
            centre, half = 0.5 * sum(found), max(0.5 * (found[1] - found[0]), LEAST_SPAN_DB / 2)
            part.set_ylim(centre - half, centre + half)
    if far:
        _break(axes[0], main)
    main.set_ylabel("CRB / $\\Vert H\\Vert_F^2$, dB (mean)")
    if served:
        _served(axes[-1], entry, shown)
    for part in axes[:-1]:
        part.tick_params(labelbottom=False)
    axes[-1].set_xticks(entry["values"])
    axes[-1].set_xlabel(symbols(entry["label"]))
    axes[0].set_title(_title(entry, shown), fontsize=10)
    for part in axes:
        part.grid(alpha=0.3)
    handles = [line for part in axes for line in part.get_lines()]
    return {str(line.get_label()): line for line in handles if not str(line.get_label()).startswith("_")}


def symbols(text: str) -> str:
    """A text with P_0 and P_s as mathematical symbols."""
    for plain, symbol in SYMBOLS.items():
        text = text.replace(plain, symbol)
    return text


def _split(shown: Shown) -> tuple[list[str], list[str]]:
    """Names of the lines in the main axes and of those far above."""
    levels = {name: _mean(points)[np.isfinite(_mean(points))] for name, points in shown.items()}
    levels = {name: level for name, level in levels.items() if level.size}
    names = sorted(levels, key=lambda name: float(levels[name].min()))
    for i in range(1, len(names)):
        if levels[names[i]].min() > max(levels[name].max() for name in names[:i]) + APART_DB:
            return names[:i], names[i:]
    return names, []


def _look(entry: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Keywords of `plot`. Many groups of few policies: a colour per group; else a colour per policy, dashes per group."""
    line = next(line for line in lines(entry) if line.name == name)
    style = STYLES[line.policy]
    groups = [group["name"] for group in entry["groups"]]
    number = groups.index(line.group) if line.group in groups else 0
    colour, dash = style.colour, DASHES[len(groups) - 1 - number] if line.group in groups else "-"
    if len(groups) > 2:
        dash = "-"
        colour = f"C{number}" if line.policy != BOUND else ("#a6c8e4", "#ffcf9f", "#a8d8a8")[number]
    label = line.policy
    if line.group and line.policy not in entry["alone"]:
        label += f", {symbols(entry['grouped'])} {label_of(entry, line.group)}"
    return {
        "color": colour,
        "linestyle": dash,
        "linewidth": style.width,
        "marker": style.marker or None,
        "markersize": style.size,
        "markerfacecolor": "none" if style.hollow else colour,
        "label": label,
        "zorder": 2.0 + 1.0 / style.width,
    }


def _line(axes: Any, entry: Mapping[str, Any], name: str, points: list[dict[str, Any]]) -> None:
    look = _look(entry, name)
    x = _mean(points, "x")
    axes.plot(x, _mean(points), **look)


def _break(top: Any, bottom: Any) -> None:
    """A broken y axis."""
    top.spines["bottom"].set_visible(False)
    bottom.spines["top"].set_visible(False)
    top.tick_params(bottom=False)
    mark: dict[str, Any] = {"marker": [(-1, -0.6), (1, 0.6)], "markersize": 9, "linestyle": "none"}
    mark |= {"color": "k", "clip_on": False}
    top.plot([0, 1], [0, 0], transform=top.transAxes, **mark)
    bottom.plot([0, 1], [1, 1], transform=bottom.transAxes, **mark)


def _served(axes: Any, entry: Mapping[str, Any], shown: Shown) -> None:
    for name, points in shown.items():
        share = 100.0 * _mean(points, "served") / _mean(points, "scenes")
        look = _look(entry, name)
        axes.plot(_mean(points, "x"), share, **look)
    axes.set_ylim(-6, 106)
    axes.set_ylabel("scenes served, %")


def _title(entry: Mapping[str, Any], shown: Shown) -> str:
    parts = []
    for key, value in entry["system"].items():
        if key in WORDS and value is not None:
            word, unit = WORDS[key]
            parts.append(f"{word} {value:g} {unit}")
    if _sensing(entry):
        parts.insert(0, "sensing only")
    scenes = max(point["scenes"] for points in shown.values() for point in points)
    return ", ".join([*parts, f"{scenes} scenes"])
