"""Figure 3: the beampattern over the angle, of one scene and in the mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.figures import answers
from agents.figures.base import Figure, Result, Unit
from agents.figures.beampattern.curves import AO, CURVES, INFORMATION, STARTS, Panel, curve_units, gain, gather
from agents.figures.points import scene_facts
from agents.stats import estimate

NAMES = (*AO.values(), *INFORMATION.values(), "separate", "joint", "random")


def configure(quick: bool) -> dict[str, Any]:
    """Panels with their threshold; points of the grid of angles."""
    panels = [
        {"preset": preset, "num_elements": 32, "threshold_db": 22.0, "scenes": 8 if quick else 50}
        for preset in ("five", "sectors")
    ]
    return {"panels": panels, "grid": 361, "randomisations": 1000, "chunk": 25, "seed": 0, "system": {}}


def scale(config: dict[str, Any], scenes: int) -> dict[str, Any]:
    """Another number of scenes in every panel."""
    return {**config, "panels": [{**panel, "scenes": scenes} for panel in config["panels"]]}


def units(config: Mapping[str, Any]) -> list[Unit]:
    """All policies of the figure."""
    return [
        unit
        for entry in config["panels"]
        for name in NAMES
        for unit in curve_units(config, Panel.of(entry), entry["threshold_db"], name, grid=config["grid"])
    ]


def band(values: np.ndarray, resamples: int = 1000, seed: int = 0) -> np.ndarray:
    """Mean and 95 % bootstrap interval over the rows of (n, points): (3, points). Scenes are resampled."""
    if not len(values):
        return np.full((3, values.shape[1]), np.nan)
    weights = np.random.default_rng(seed).multinomial(len(values), np.full(len(values), 1 / len(values)), size=resamples)
    low, high = np.percentile(weights @ values / len(values), [2.5, 97.5], axis=0)
    return np.stack([values.mean(0), low, high])


def summarise(config: Mapping[str, Any], results: Mapping[str, Mapping[str, np.ndarray]]) -> Result:
    """Mean patterns over the scenes that a policy serves (random: over all), and the answers."""
    rows: list[dict[str, Any]] = []
    drawing: dict[str, Any] = {}
    angles = np.linspace(-90.0, 90.0, config["grid"])
    cases: dict[str, list[dict[str, Any]]] = {"beams": [], "worst": []}
    panels = [Panel.of(entry) for entry in config["panels"]]
    for entry, panel in zip(config["panels"], panels, strict=True):
        threshold = entry["threshold_db"]
        curve = {name: gather(results, panel, threshold, name) for name in NAMES}
        shown: dict[str, Any] = {"threshold": threshold, "angles": panel.system(config, threshold).angles_deg}
        for name, arrays in curve.items():
            mask = arrays["feasible"] | (name == "random")
            mean, low, high = band(arrays["pattern"][mask])
            first = arrays["pattern"][0]
            shown[name] = {"mean": mean, "first": first, "count": int(mask.sum())}
            rows += [
                {"panel": panel.name, "curve": name, "angle_deg": round(float(a), 4), "first_scene_dbm": round(float(f), 3),
                 "mean": round(float(m), 3), "low": round(float(lo), 3), "high": round(float(hi), 3), "count": int(mask.sum())}
                for a, f, m, lo, hi in zip(angles, first, mean, low, high, strict=True)
            ]  # fmt: skip
            contrast = estimate((arrays["objective"] - np.median(arrays["pattern"], axis=1))[mask])
            if name != "random":
                where = {"preset": panel.preset, "policy": CURVES[name].label}
                numbers = {"worst_desired_angle_minus_median_over_angles": answers.number(contrast)}
                cases["beams"].append(answers.case(where, answers.above(contrast, 3.0), **numbers))
        for start in STARTS:
            for other in (INFORMATION[start], "separate"):
                where = {"preset": panel.preset, "start": start, "benchmark": other.partition("-")[0]}
                cases["worst"].append(_worst(where, curve[AO[start]], curve[other]))
        drawing[panel.name] = shown
    return Result(
        rows=rows,
        answers=_questions(cases),
        facts={"scenes": scene_facts(results, {panel.name: panel.scenes for panel in panels})},
        drawing=drawing,
    )


def _worst(where: Mapping[str, Any], ao: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> dict[str, Any]:
    both = ao["feasible"] & other["feasible"]
    difference = gain(ao, other)
    higher = (ao["objective"] > other["objective"] + 0.01)[both]
    lower = (ao["objective"] < other["objective"] - 0.01)[both]
    return answers.case(
        where,
        answers.above(difference),
        difference=answers.number(difference),
        ao_higher=answers.number(answers.share(higher), "%", 0),
        ao_lower=answers.number(answers.share(lower), "%", 0),
    )


def _questions(cases: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [
        answers.question(
            "3.1",
            "The designs form beams towards the desired angles.",
            "gain at the worst desired angle minus the median of the gain over the grid of angles, per scene: a 95 % interval "
            "above 0 and a mean of at least 3 dB.",
            cases["beams"],
        ),
        answers.question(
            "3.2",
            "The joint design (`ao`) has a higher gain at the worst desired angle than the benchmarks.",
            f"paired difference over the scenes that both serve: a 95 % interval above 0 and a mean of at least "
            f"{answers.SHOWN_DB} dB; not reproduced if the interval lies below {answers.SHOWN_DB} dB. Higher and lower: by more "
            "than 0.01 dB.",
            cases["worst"],
        ),
    ]


def draw(config: Mapping[str, Any], result: Result) -> Any:
    """Rows: panels. Left: the first scene; right: the mean."""
    from agents.figures.drawing import canvas

    figure = canvas(13.0, 0.8 + 3.7 * len(result.drawing))
    grid = figure.subplots(len(result.drawing), 2, squeeze=False, sharex=True)
    angles = np.linspace(-90.0, 90.0, config["grid"])
    for line, (name, shown) in zip(grid, result.drawing.items(), strict=True):
        for axes, what in zip(line, ("first", "mean"), strict=True):
            for angle in shown["angles"]:
                axes.axvline(angle, color="0.85", linewidth=1.0, zorder=0)
            for key in NAMES:
                axes.plot(angles, shown[key][what], linewidth=1.1, **CURVES[key].style)
            axes.set_xlim(-90, 90)
            axes.set_xticks(np.arange(-90, 91, 30))
            axes.grid(alpha=0.25)
            axes.set_ylabel("beampattern gain, dBm")
            if what == "first":
                low = min(float(np.percentile(shown[key]["first"], 2)) for key in NAMES)
                axes.set_ylim(bottom=low)
        counts = [shown[key]["count"] for key in NAMES]
        line[0].set_title(f"{name}, {shown['threshold']:g} dB: first scene (grey: desired angles)")
        line[1].set_title(f"{name}: mean over the scenes served ({min(counts)}-{max(counts)})")
    for axes in grid[-1]:
        axes.set_xlabel("angle from the surface's normal, degrees")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=9)
    return figure


FIGURE = Figure(
    name="beampattern-fig3",
    paper="beampattern",
    title="beampattern over the angle, one scene and the mean",
    configure=configure,
    scale=scale,
    units=units,
    summarise=summarise,
    draw=draw,
)
