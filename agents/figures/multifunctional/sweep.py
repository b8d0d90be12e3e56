"""What the sweeps of the `multifunctional` figures share: curves of surfaces or policies over one parameter, for two objectives.

A panel of a configuration: `name`; `label` of x; `points`, each an `x` with the parameters that it stands for; `curves`, names of
`CURVES`; `bounds`, likewise; `system`, parameters of the whole panel; `drawn`. A line is `<curve>+<objective form>`. Lines that
do the same work (the same surface at the same parameters) share their units, also over the panels of a figure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from agents.figures import points
from agents.figures.base import Figure, Result, Unit
from agents.figures.multifunctional.curves import BOUND, CURVES, line_name, model_fields, unit_key
from agents.figures.points import Results, chunks, masked, point

__all__ = ["ENOUGH", "FORMS", "LEVEL", "SERVES", "Curves", "Data", "Line", "configuration", "panel", "sweep", "units_of"]

WORK = "agents.figures.multifunctional.work"
ENOUGH = 5
"""A mean or a difference over fewer scenes is not shown or judged."""
SERVES = 0.5
"""A curve that serves a smaller share of the scenes at a point is marked `infeasible` there."""
FORMS = ["sum", "db"]
LEVEL = {"sum": "sum", "db": "mean", "log": "mean"}
"""Objective -> the level (dB) by which its designs are judged."""

Line = Mapping[str, np.ndarray]
Curves = Mapping[float, Mapping[str, Line]]
"""x -> line -> arrays of `work.solve` or `work.bound`."""
Data = Mapping[str, Curves]
"""By panel."""


def panel(
    name: str,
    label: str,
    points: list[dict[str, Any]],
    curves: list[str],
    bounds: list[str] | None = None,
    drawn: bool = True,
    **system: Any,
) -> dict[str, Any]:
    """A panel; `points`: of `at`."""
    return {
        "name": name,
        "label": label,
        "points": points,
        "curves": curves,
        "bounds": bounds or [],
        "drawn": drawn,
        "system": system,
    }


def at(x: float, **system: Any) -> dict[str, Any]:
    """A point of a panel."""
    return {"x": x, "system": system}


def configuration(panels: list[dict[str, Any]], quick: bool, keep: list[float], scenes: int) -> dict[str, Any]:
    """The configuration of a sweep; `quick`: 5 scenes, one start, and of the first panel the points `keep` only."""
    if quick:
        panels = [
            {**entry, "points": [p for p in entry["points"] if i or p["x"] in keep]} for i, entry in enumerate(panels)
        ]  # fmt: skip
    return {
        "panels": panels,
        "forms": FORMS,
        "starts": 1 if quick else 3,
        "scenes": 5 if quick else scenes,
        "chunk": 10,
        "seed": 0,
        "system": {},
    }


def scale(config: dict[str, Any], scenes: int) -> dict[str, Any]:
    """Another number of scenes."""
    return {**config, "scenes": scenes}


def work_of(config: Mapping[str, Any], name: str, form: str, *fields: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Key (without the scene) and arguments (without the scenes) of the units of a line at one point."""
    curve = CURVES[name]
    arguments: dict[str, Any] = {"system": model_fields(curve, form, *fields, config["system"]), "seed": config["seed"]}
    starts = curve.starts or config["starts"]
    if curve.policy != BOUND:
        arguments |= {"policy": curve.policy, "options": dict(curve.options), "starts": starts}
    return unit_key(curve, arguments["system"], starts=starts, seed=config["seed"]), arguments


def lines(config: Mapping[str, Any], entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Curve and form of all lines of a panel."""
    for form in config["forms"]:
        for name in [*entry["curves"], *entry["bounds"]]:
            yield name, form


def units_of(config: Mapping[str, Any], key: str, function: str, arguments: Mapping[str, Any]) -> Iterator[Unit]:
    """Units in chunks of scenes, keys `<key>_<first scene>`."""
    for first, stop in chunks(config["scenes"], config["chunk"]):
        own = {**arguments, "first": first, "stop": stop}
        yield Unit(key=f"{key}_{first}", function=f"{WORK}:{function}", arguments=own, size=stop - first)


def units(config: Mapping[str, Any]) -> list[Unit]:
    """All lines at all points, each piece of work once."""
    out: dict[str, Unit] = {}
    for entry in config["panels"]:
        for place in entry["points"]:
            for name, form in lines(config, entry):
                key, arguments = work_of(config, name, form, entry["system"], place["system"])
                function = "bound" if CURVES[name].policy == BOUND else "solve"
                out |= {unit.key: unit for unit in units_of(config, key, function, arguments)}
    return list(out.values())


def read(config: Mapping[str, Any], results: Results) -> tuple[Data, dict[str, Any]]:
    """Arrays by panel, x and line; facts: hashes of the scenes of every panel.

    Raises:
        RuntimeError: two lines of a point met different scenes.
    """
    data: dict[str, dict[float, dict[str, Line]]] = {}
    facts: dict[str, Any] = {}
    for entry in config["panels"]:
        own: dict[float, dict[str, Line]] = {}
        hashes = []
        for place in entry["points"]:
            met: list[tuple[str, ...]] = []
            own[place["x"]] = {}
            for name, form in lines(config, entry):
                key, _ = work_of(config, name, form, entry["system"], place["system"])
                own[place["x"]][line_name(name, form)] = points.gather(results, f"{key}_")
                parts = [results[f"{key}_{first}"] for first, _ in chunks(config["scenes"], config["chunk"])]
                met.append(tuple(str(part["scenes"]) for part in parts))
            if len(set(met)) != 1:
                raise RuntimeError(f"the curves of {entry['name']} met different scenes at {place['x']:g}")
            hashes.append(met[0])
        data[entry["name"]] = own
        facts[entry["name"]] = {"count": config["scenes"], "sha256": points_hash(hashes)}
    return data, {"scenes": facts}


def points_hash(hashes: list[tuple[str, ...]]) -> str:
    """One hash of the scenes of all points."""
    import hashlib

    return hashlib.sha256("".join(part for place in hashes for part in place).encode()).hexdigest()


def infeasible(line: Line) -> bool:
    """Whether a line serves too few scenes to be drawn and to have a say."""
    served = line["feasible"]
    return bool(served.sum() < SERVES * len(served))


def common(entry: Mapping[str, Any], curves: Mapping[str, Line], form: str) -> np.ndarray:
    """Scenes (n,) that every line of a form serves, those that are marked infeasible aside."""
    own = [curves[line_name(name, form)] for name in entry["curves"]]
    heard = [line["feasible"] for line in own if not infeasible(line)]
    return np.asarray(np.logical_and.reduce(heard)) if heard else np.zeros(len(own[0]["feasible"]), bool)


def summarise(config: Mapping[str, Any], data: Data) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows and drawing: means over the scenes that every line of a form serves."""
    rows: list[dict[str, Any]] = []
    drawing: dict[str, Any] = {}
    for entry in config["panels"]:
        name = entry["name"]
        drawing[name] = {line_name(*line): [] for line in lines(config, entry)}
        for x, curves in data[name].items():
            for curve, form in lines(config, entry):
                line = curves[line_name(curve, form)]
                mask = common(entry, curves, form)
                place = {"panel": name, "x": x, "curve": curve, "objective": form}
                if CURVES[curve].policy == BOUND:
                    level = {LEVEL[form]: point(masked(line["value"], mask))}
                    served: dict[str, Any] = {"served": "", "scenes": len(mask), "infeasible": ""}
                else:
                    if infeasible(line):
                        mask = np.zeros(len(mask), bool)
                    level = {key: point(masked(line[key], mask)) for key in ("sum", "mean", "min")}
                    served = {"served": int(line["feasible"].sum()), "scenes": len(mask), "infeasible": infeasible(line)}
                rows += [{**place, "quantity": f"{key}_sinr_db", **value, **served} for key, value in level.items()]
                drawing[name][line_name(curve, form)].append({"x": x, **served, **level})
    return rows, drawing


def sweep(
    name: str,
    title: str,
    configure: Callable[[bool], dict[str, Any]],
    questions: Callable[[Mapping[str, Any], Data], list[dict[str, Any]]],
) -> Figure:
    """The figure `multifunctional-<name>` with its questions."""

    def summary(config: Mapping[str, Any], results: Results) -> Result:
        data, facts = read(config, results)
        rows, drawing = summarise(config, data)
        return Result(rows=rows, answers=questions(config, data), facts=facts, drawing=drawing)

    def draw(config: Mapping[str, Any], result: Result) -> Any:
        from agents.figures.multifunctional.pictures import draw_sweep

        return draw_sweep(config, result)

    return Figure(
        name=f"multifunctional-{name}",
        paper="multifunctional",
        title=title,
        configure=configure,
        scale=scale,
        units=units,
        summarise=summary,
        draw=draw,
    )
