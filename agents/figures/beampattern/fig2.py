"""Figure 2: convergence of the alternating optimisation, and what becomes of it without the rule "keep the incumbent"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.figures import answers
from agents.figures.base import Figure, Result, Unit
from agents.figures.beampattern.curves import AO, BOUND, STARTS, Panel, curve_units, gain, gather
from agents.figures.points import masked, point, scene_facts
from agents.stats import estimate

FEW = 5
"""Rounds that count as few."""
FALL_DB = 0.01
"""A fall of less is not counted."""


def configure(quick: bool) -> dict[str, Any]:
    """Panels with their threshold, rounds on the axis, scenes of the (long) runs without the rule (`free_scenes`)."""
    sizes = (("five", 32, 22.0, 100, 100), ("five", 64, 28.0, 100, 100), ("sectors", 32, 22.0, 100, 100))
    panels = [
        {"preset": preset, "num_elements": n, "threshold_db": threshold, "scenes": scenes, "free_scenes": free}
        for preset, n, threshold, scenes, free in sizes
    ]
    if quick:
        panels = [{**panel, "scenes": 8, "free_scenes": 4} for panel in panels if panel["num_elements"] == 32]
    return {
        "panels": panels,
        "rounds": 10,
        "randomisations": 1000,
        "free_randomisations": [1000, 2000] if quick else [1000, 10000],
        "chunk": 25,
        "seed": 0,
        "system": {},
    }


def scale(config: dict[str, Any], scenes: int) -> dict[str, Any]:
    """Another number of scenes in every panel."""
    return {**config, "panels": [{**panel, "scenes": scenes, "free_scenes": scenes} for panel in config["panels"]]}


def free_name(start: str, draws: int) -> str:
    """Curve of `ao` without the rule."""
    return f"{AO[start]}+free{draws}"


def units(config: Mapping[str, Any]) -> list[Unit]:
    """`ao` with and without the rule from both starts, `joint`, the bound."""
    out: list[Unit] = []
    for entry in config["panels"]:
        panel, threshold = Panel.of(entry), entry["threshold_db"]
        for name in (*AO.values(), "joint", BOUND):
            more: dict[str, Any] = {"history": True} if name in AO.values() else {}
            out += curve_units(config, panel, threshold, name, **more)
        for start in STARTS:
            for draws in config["free_randomisations"]:
                options = {"keep_incumbent": False, "rounds": config["rounds"], "randomisations": draws}
                more = {"options": options, "suffix": f"+free{draws}", "history": True, "endless": True}
                out += curve_units(config, panel, threshold, AO[start], entry["free_scenes"], **more)
    return out


def rounds_axis(history: np.ndarray, rounds: int) -> np.ndarray:
    """History (any length, n) -> (rounds + 1, n): cut, or padded with the last value."""
    index = np.minimum(np.arange(rounds + 1), len(history) - 1)
    return np.asarray(history[index])


def last_rise(history: np.ndarray) -> np.ndarray:
    """Round after which the gain does not change any more, (n,)."""
    moved = np.abs(np.diff(history, axis=0)) > 0.0
    return (
        np.where(moved.any(0), len(moved) - np.argmax(moved[::-1], axis=0), 0) if len(moved) else np.zeros(history.shape[1], int)
    )


def summarise(config: Mapping[str, Any], results: Mapping[str, Mapping[str, np.ndarray]]) -> Result:
    """Curves over the rounds and the answers."""
    rows: list[dict[str, Any]] = []
    drawing: dict[str, Any] = {}
    cases: dict[str, list[dict[str, Any]]] = {"few": [], "monotone": [], "below": []}
    panels = [Panel.of(entry) for entry in config["panels"]]
    for entry, panel in zip(config["panels"], panels, strict=True):
        threshold = entry["threshold_db"]
        curve = {name: gather(results, panel, threshold, name) for name in (*AO.values(), "joint", BOUND)}
        served = np.logical_and.reduce([curve[name]["feasible"] for name in (*AO.values(), "joint")])
        shown: dict[str, Any] = {"threshold": threshold, "count": int(served.sum())}
        for start in STARTS:
            ao = curve[AO[start]]
            shown[AO[start]] = level = rounds_axis(ao["history"], config["rounds"])[:, served]
            stop = last_rise(ao["history"])[served]
            shown[f"stop-{start}"] = stop
            rows += [
                {
                    "panel": panel.name,
                    "curve": AO[start],
                    "round": i,
                    "quantity": "gain_dbm",
                    **point(level[i]),
                    **_quartiles(level[i]),
                }
                for i in range(len(level))
            ]
            rows += [
                {
                    "panel": panel.name,
                    "curve": AO[start],
                    "round": i,
                    "quantity": "scenes_stopped",
                    "mean": int(n),
                    "count": len(stop),
                }
                for i, n in enumerate(np.bincount(stop))
            ]
            where = {**panel.where, "start": start}
            cases["few"].append(_few(where, ao["history"][:, served], stop))
            cases["below"].append(_below(where, ao, curve))
            for draws in config["free_randomisations"]:
                name = free_name(start, draws)
                free = gather(results, panel, threshold, name)
                mask = free["feasible"] & served[: len(free["feasible"])]
                path = rounds_axis(free["history"], config["rounds"])[:, mask]
                shown[name], shown["free"] = path, path.shape[1]
                for i in range(len(path)):
                    facts = {"panel": panel.name, "curve": name, "round": i, "quantity": "gain_dbm"}
                    rows.append({**facts, **point(path[i]), **_quartiles(path[i])})
                kept = level_of(shown[AO[start]], served, mask)
                cases["monotone"].append(_monotone({**where, "draws": draws}, path, kept))
        for name in ("joint", BOUND):
            shown[name] = curve[name]["objective"][served]
            for i in (0, config["rounds"]):
                facts = {"panel": panel.name, "curve": name, "round": i, "quantity": "gain_dbm"}
                rows.append({**facts, **point(shown[name]), **_quartiles(shown[name])})
        drawing[panel.name] = shown
    return Result(
        rows=rows,
        answers=_questions(cases),
        facts={"scenes": scene_facts(results, {panel.name: panel.scenes for panel in panels})},
        drawing=drawing,
    )


def _quartiles(values: np.ndarray) -> dict[str, float]:
    if not values.size:
        return {}
    first, median, third = np.percentile(values, [25, 50, 75])
    return {"quartile_1": round(float(first), 4), "median": round(float(median), 4), "quartile_3": round(float(third), 4)}


def _few(where: Mapping[str, Any], history: np.ndarray, stop: np.ndarray) -> dict[str, Any]:
    few = answers.share(stop <= FEW)
    last = np.take_along_axis(history, np.maximum(stop, 1)[None], 0)[0] if len(history) > 1 else history[0]
    before = np.take_along_axis(history, np.maximum(stop - 1, 0)[None], 0)[0]
    small = (stop > 0) & (10.0 ** ((last - before) / 10.0) - 1.0 <= 1e-3)
    return answers.case(
        where,
        answers.share_above(few, 0.9),
        median_rounds=answers.number(float(np.median(stop)) if stop.size else np.nan, "", 1),
        most_rounds=answers.number(float(stop.max(initial=0)), "", 0),
        no_round_at_all=answers.number(answers.share(stop == 0), "%", 0),
        **{f"at_most_{FEW}_rounds": answers.number(few, "%", 0)},
        rise_over_start=answers.number(estimate(history[-1] - history[0])),
        ended_by_the_tolerance=answers.number(answers.share(small), "%", 0),
    )


def _below(where: Mapping[str, Any], ao: Mapping[str, np.ndarray], curve: Mapping[str, Any]) -> dict[str, Any]:
    to_joint = gain(curve["joint"], ao)
    both = ao["feasible"] & curve[BOUND]["feasible"]
    to_bound = estimate(masked(curve[BOUND]["objective"] - ao["objective"], both))
    near = answers.close(to_joint)
    return answers.case(where, near, joint_minus_ao=answers.number(to_joint), bound_minus_ao=answers.number(to_bound))


def level_of(shown: np.ndarray, served: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Last gain (m,) of the served scenes (rounds + 1, sum(served)) at the scenes of `mask`, which covers the first of them."""
    last = np.full(len(served), np.nan)
    last[served] = shown[-1]
    return last[: len(mask)][mask]


def _monotone(where: Mapping[str, Any], path: np.ndarray, kept: np.ndarray) -> dict[str, Any]:
    step = np.diff(path, axis=0)
    falls = answers.share((step < -FALL_DB).any(0))
    verdict = answers.YES if falls.count and falls.high < 0.05 else answers.NO if falls.value > 0.05 else answers.UNDECIDED
    return answers.case(
        where,
        verdict,
        scenes_with_a_fall=answers.number(falls, "%", 0),
        in_the_first_round=answers.number(answers.share((step[:1] < -FALL_DB).any(0)), "%", 0),
        change_in_the_first_round=answers.number(estimate(step[0]) if len(step) else estimate(np.array([]))),
        **{"last round against ao with the rule": answers.number(estimate(path[-1] - kept))},
    )


def _questions(cases: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [
        answers.question(
            "2.1",
            "The alternating optimisation converges within a few rounds.",
            f"the gain changes for the last time in round {FEW} or before in more than 90 % of the scenes (95 % interval of the "
            "share above 90 %). `ended by the tolerance`: the last rise was below 0.1 %; the other scenes stop because no "
            "randomised surface beats the present one.",
            cases["few"],
        ),
        answers.question(
            "2.2",
            "The gain is non-decreasing over the rounds (here without the rule that keeps the incumbent, run for all rounds).",
            f"fewer than 5 % of the scenes fall by more than {FALL_DB} dB in some round (upper end of the 95 % interval below "
            "5 %). The last column is the last round of these runs minus the end of `ao` with the rule, same scenes.",
            cases["monotone"],
        ),
        answers.question(
            "2.3",
            "The point that the alternating optimisation reaches is close to the best known (ours: the paper has no bound).",
            f"the 95 % interval of `joint` minus `ao` lies within {answers.SAME_DB} dB.",
            cases["below"],
        ),
    ]


def draw(config: Mapping[str, Any], result: Result) -> Any:
    """One column per panel: gain over the rounds, and the histogram of rounds until the stop."""
    from agents.figures.beampattern.curves import CURVES
    from agents.figures.drawing import canvas

    panels = list(result.drawing)
    figure = canvas(4.6 * len(panels), 6.6)
    grid = figure.subplots(2, len(panels), squeeze=False, height_ratios=[3, 1])
    x = np.arange(config["rounds"] + 1)
    for (top, bottom), name in zip(grid.T, panels, strict=True):
        shown = result.drawing[name]
        for key in ("joint", BOUND):
            if shown[key].size:
                top.axhline(
                    float(np.mean(shown[key])), color=CURVES[key].colour, linestyle=":" if key == BOUND else "-", label=key
                )
        for start, width in zip(STARTS, (-0.2, 0.2), strict=True):
            curve = CURVES[AO[start]]
            level = shown[AO[start]]
            colour = "C0" if start == "separate" else "C9"
            if level.size:
                top.plot(x, level.mean(1), "o-", color=colour, markersize=4, label=curve.label)
                top.fill_between(x, *np.percentile(level, [25, 75], axis=1), color=colour, alpha=0.12, linewidth=0)
            for draws, style in zip(config["free_randomisations"], ("--", ":"), strict=False):
                path = shown[free_name(start, draws)]
                if path.size:
                    label = f"{curve.label}, incumbent not kept, {draws} draws"
                    top.plot(x, path.mean(1), style, color=colour, label=label)
            stop = shown[f"stop-{start}"]
            counts = np.bincount(np.minimum(stop, config["rounds"]), minlength=config["rounds"] + 1)
            bottom.bar(x + width, counts, 0.4, color=colour, label=curve.label)
        fewer = f" (without the rule: {shown['free']})" if shown["free"] < shown["count"] else ""
        top.set_title(f"{name}, {shown['threshold']:g} dB, {shown['count']} scenes{fewer}", fontsize=11)
        top.set_ylabel("minimum gain, dBm (mean; band: quartiles)")
        bottom.set_ylabel("scenes")
        bottom.set_xlabel("round (bars: round of the last change)")
        for axes in (top, bottom):
            axes.set_xlim(-0.5, config["rounds"] + 0.5)
            axes.set_xticks(x)
            axes.grid(alpha=0.3)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8)
    return figure


FIGURE = Figure(
    name="beampattern-fig2",
    paper="beampattern",
    title="convergence of the alternating optimisation over its rounds",
    configure=configure,
    scale=scale,
    units=units,
    summarise=summarise,
    draw=draw,
)
