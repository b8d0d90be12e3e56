"""Figure 4: the smallest gain over the required SNR, for all policies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.figures.base import Figure, Result, Unit
from agents.figures.beampattern.curves import AO, BOUND, CURVES, INFORMATION, Panel, curve_units, gain, gather
from agents.figures.beampattern.fig4_answers import questions
from agents.figures.points import columns, masked, point, scene_facts

NAMES = (*AO.values(), *INFORMATION.values(), "separate", "joint", "joint-plain", "random", BOUND)
COMMON = (*AO.values(), *INFORMATION.values(), "joint")
"""Policies that must serve a scene for it to count in the means."""
PAIRS = (
    *((ao, other) for start, ao in AO.items() for other in (INFORMATION[start], "separate", "joint", BOUND)),
    *(("separate", name) for name in INFORMATION.values()),
    ("joint", "joint-plain"),
)
THRESHOLDS = {32: [5, 10, 15, 19, 22, 25, 28, 30, 32], 64: [10, 16, 22, 25, 28, 30, 32, 34]}
LOW, HIGH = {32: 5.0, 64: 10.0}, {32: 28.0, 64: 32.0}
"""The low threshold, and the first high one, by number of elements."""


def configure(quick: bool) -> dict[str, Any]:
    """Panels with their thresholds."""
    panels = [
        {"preset": preset, "num_elements": n, "thresholds_db": [float(t) for t in THRESHOLDS[n]]}
        | {"scenes": 50 if (preset, n) == ("sectors", 64) else 100, "low_db": LOW[n], "high_db": HIGH[n]}
        for preset in ("five", "sectors")
        for n in (32, 64)
    ]
    if quick:
        panels = [{**panel, "thresholds_db": [5.0, 22.0, 30.0], "scenes": 8} for panel in panels if panel["num_elements"] == 32]
    return {"panels": panels, "randomisations": 1000, "chunk": 25, "seed": 0, "system": {}}


def scale(config: dict[str, Any], scenes: int) -> dict[str, Any]:
    """Another number of scenes in every panel."""
    return {**config, "panels": [{**panel, "scenes": scenes} for panel in config["panels"]]}


def units(config: Mapping[str, Any]) -> list[Unit]:
    """All curves at all thresholds."""
    return [
        unit
        for entry in config["panels"]
        for threshold in entry["thresholds_db"]
        for name in NAMES
        for unit in curve_units(config, Panel.of(entry), threshold, name)
    ]


def summarise(config: Mapping[str, Any], results: Mapping[str, Mapping[str, np.ndarray]]) -> Result:
    """Means over the commonly served scenes, paired differences, shares of feasible scenes, and the answers."""
    rows: list[dict[str, Any]] = []
    data: dict[str, dict[float, dict[str, dict[str, np.ndarray]]]] = {}
    drawing: dict[str, Any] = {}
    panels = [Panel.of(entry) for entry in config["panels"]]
    for entry, panel in zip(config["panels"], panels, strict=True):
        data[panel.name] = {}
        shown: dict[str, list[dict[str, Any]]] = {name: [] for name in NAMES}
        for threshold in entry["thresholds_db"]:
            curve = {name: gather(results, panel, threshold, name) for name in NAMES}
            data[panel.name][threshold] = curve
            common = np.logical_and.reduce([curve[name]["feasible"] for name in COMMON])
            for name in NAMES:
                arrays = curve[name]
                mask = {"separate": arrays["feasible"], "random": np.ones(len(common), bool)}.get(
                    name, common & arrays["feasible"]
                )
                facts = {"panel": panel.name, "threshold_db": threshold, "curve": name}
                level = point(masked(arrays["objective"], mask))
                served = float(arrays["feasible"].mean())
                rows.append({**facts, "quantity": "gain_dbm", **level})
                rows.append({**facts, "quantity": "share_feasible", "mean": served, "count": len(common)})
                shown[name].append({"threshold": threshold, "share": served, **level})
            for first, second in PAIRS:
                facts = {"panel": panel.name, "threshold_db": threshold, "curve": f"{first} minus {second}"}
                rows.append({**facts, "quantity": "difference_db", **columns(gain(curve[first], curve[second]))})
        drawing[panel.name] = shown
    facts = {"scenes": scene_facts(results, {panel.name: panel.scenes for panel in panels})}
    return Result(rows=rows, answers=questions(config, data), facts=facts, drawing=drawing)


def draw(config: Mapping[str, Any], result: Result) -> Any:
    """One column per panel: gains (random designs far below are named, not drawn) and shares of feasible scenes."""
    from agents.figures.drawing import canvas, limits

    figure = canvas(max(4.4 * len(result.drawing), 7.0), 7.2)
    grid = figure.subplots(2, len(result.drawing), squeeze=False, sharex="col", height_ratios=[2.3, 1])
    counts = {Panel.of(entry).name: entry["scenes"] for entry in config["panels"]}
    for (top, bottom), (name, shown) in zip(grid.T, result.drawing.items(), strict=True):
        inside = []
        for key in NAMES:
            x = [entry["threshold"] for entry in shown[key]]
            mean = np.array([entry["mean"] for entry in shown[key]])
            share = 100.0 * np.array([entry["share"] for entry in shown[key]])
            bottom.plot(x, share, marker=".", linewidth=1.1, **CURVES[key].style)
            if key == "random":
                text = f"random: {np.nanmean(mean):.1f} dBm, below the axis"
                top.text(0.02, 0.02, text, transform=top.transAxes, fontsize=8, color=CURVES[key].colour)
                top.plot([], [], **CURVES[key].style)
                continue
            inside.append(mean)
            band = [np.array([entry[side] for entry in shown[key]]) for side in ("low", "high")]
            top.plot(x, mean, marker=".", linewidth=1.2, **CURVES[key].style)
            if key in ("joint", AO["separate"]):
                top.fill_between(x, *band, color=CURVES[key].colour, alpha=0.12, linewidth=0)
        found = limits(inside, 0.1)
        if found:
            top.set_ylim(*found)
        top.set_title(f"{name}, {counts[name]} scenes")
        top.set_ylabel("minimum gain, dBm (mean)")
        bottom.set_ylabel("scenes served, %")
        bottom.set_xlabel("required SNR, dB")
        bottom.set_ylim(-4, 104)
        top.grid(alpha=0.3)
        bottom.grid(alpha=0.3)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3 if len(result.drawing) < 3 else 5, fontsize=9)
    return figure


FIGURE = Figure(
    name="beampattern-fig4",
    paper="beampattern",
    title="smallest gain over the required SNR",
    configure=configure,
    scale=scale,
    units=units,
    summarise=summarise,
    draw=draw,
)
