"""What Figures 2 to 7 of `active_crb` share: curves of policies over one parameter.

A panel of a configuration: `name`; `x`, the parameter on the axis, and its `values`; `curves`, names of policies; `groups`, each
with `name`, `label` and the parameters that set its copy of the curves apart; `alone`, policies that have one curve, in no group;
`system`, parameters of the whole panel. A line is `<curve>+<group>`, or `<curve>` where there is a single group without name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import ris_gym
from agents.figures import points
from agents.figures.base import Figure, Result, Unit
from agents.figures.points import Results, chunks, masked, point, scene_facts

__all__ = [
    "BOUND",
    "ENOUGH",
    "Curve",
    "Curves",
    "Data",
    "configuration",
    "label_of",
    "line_name",
    "lines",
    "panel",
    "sweep",
    "where",
]

WORK = "agents.figures.active_crb.work"
BOUND = "bound"
ENOUGH = 5
"""A mean or a difference over fewer scenes is not shown or judged."""

Line = Mapping[str, np.ndarray]
Curves = Mapping[float, Mapping[str, Line]]
"""x -> line -> `nmse` dB (n,), `feasible` (n,)."""
Data = Mapping[str, Curves]
"""By panel."""


@dataclass(frozen=True)
class Curve:
    """One line of a panel: its policy, its group ("" if it has none), the parameters it has of its own."""

    policy: str
    group: str
    system: Mapping[str, Any]

    @property
    def name(self) -> str:
        """`<policy>+<group>`."""
        return line_name(self.policy, self.group)


def line_name(policy: str, group: str = "") -> str:
    """Name of a line."""
    return f"{policy}+{group}" if group else policy


def lines(panel: Mapping[str, Any]) -> Iterator[Curve]:
    """All lines of a panel."""
    for group in panel["groups"]:
        for policy in panel["curves"]:
            yield Curve(policy, group["name"], group["system"])
    for policy in panel["alone"]:
        yield Curve(policy, "", {})


def where(panel: Mapping[str, Any], group: str, x: float | None = None) -> dict[str, Any]:
    """Columns of a table of answers: the group's label under the panel's word for it, and x."""
    found: dict[str, Any] = {panel["grouped"]: label_of(panel, group)} if group else {}
    return found if x is None else found | {panel["label"]: f"{x:g}"}


def label_of(panel: Mapping[str, Any], group: str) -> str:
    """The label of a group; that of none is a dash."""
    return next((entry["label"] for entry in panel["groups"] if group and entry["name"] == group), "-")


def configuration(panels: list[dict[str, Any]], quick: bool, keep: tuple[float, ...], scenes: int = 100) -> dict[str, Any]:
    """The configuration of a sweep; `quick`: 3 scenes, and of the first panel the values `keep` only."""
    if quick:
        panels = [{**panel, "values": [v for v in panel["values"] if i or v in keep]} for i, panel in enumerate(panels)]
    return {"panels": panels, "scenes": 3 if quick else scenes, "chunk": 50, "seed": 0, "system": {}}


def panel(
    name: str,
    x: str,
    label: str,
    values: list[float],
    curves: list[str],
    *,
    groups: Mapping[str, Mapping[str, Any]] | None = None,
    grouped: str = "",
    alone: tuple[str, ...] = (),
    **system: Any,
) -> dict[str, Any]:
    """A panel; `label`: of x, with its unit; `groups`: by label; `grouped`: what their labels are."""
    return {
        "name": name,
        "x": x,
        "label": label,
        "values": values,
        "curves": curves,
        "groups": [
            {"name": key.replace(" ", ""), "label": key, "system": dict(own)} for key, own in (groups or {"": {}}).items()
        ],
        "grouped": grouped,
        "alone": list(alone),
        "system": system,
    }


def scale(config: dict[str, Any], scenes: int) -> dict[str, Any]:
    """Another number of scenes."""
    return {**config, "scenes": scenes}


def units(config: Mapping[str, Any]) -> list[Unit]:
    """All lines at all x, keys `<panel>_<x>_<line>_<first scene>`."""
    out = []
    for entry in config["panels"]:
        for x in entry["values"]:
            for line in lines(entry):
                fields = {**entry["system"], **line.system, entry["x"]: x, **config["system"]}
                system = ris_gym.systems.make("active_crb", **fields).to_dict()
                for first, stop in chunks(config["scenes"], config["chunk"]):
                    arguments: dict[str, Any] = {"system": system, "seed": config["seed"], "first": first, "stop": stop}
                    if line.policy != BOUND:
                        arguments |= {"policy": line.policy, "options": {}}
                    key = f"{entry['name']}_{x:g}_{line.name}_{first}"
                    function = f"{WORK}:{'bound' if line.policy == BOUND else 'solve'}"
                    out.append(Unit(key=key, function=function, arguments=arguments, size=stop - first))
    return out


def common(entry: Mapping[str, Any], curves: Mapping[str, Line], group: str) -> np.ndarray:
    """Scenes that every line of a group serves (n,); lines that serve fewer than `ENOUGH` scenes have no say."""
    own = [curves[line.name]["feasible"] for line in lines(entry) if line.group == group and line.policy not in entry["alone"]]
    heard = [feasible for feasible in own if feasible.sum() >= min(ENOUGH, len(feasible))]
    return np.asarray(np.logical_and.reduce(heard)) if heard else np.zeros(len(own[0]), bool)


def summarise(config: Mapping[str, Any], results: Results) -> tuple[list[dict[str, Any]], Data, dict[str, Any], dict[str, Any]]:
    """Rows, arrays, drawing and facts: means over the scenes that every line of a group serves, and what each line serves."""
    rows: list[dict[str, Any]] = []
    data: dict[str, dict[float, dict[str, Line]]] = {}
    drawing: dict[str, Any] = {}
    for entry in config["panels"]:
        name = entry["name"]
        shown: dict[str, list[dict[str, Any]]] = {line.name: [] for line in lines(entry)}
        drawing[name], data[name] = shown, {}
        for x in entry["values"]:
            curves: dict[str, Line] = {line.name: points.gather(results, f"{name}_{x:g}_{line.name}_") for line in lines(entry)}
            data[name][x] = curves
            for line in lines(entry):
                arrays = curves[line.name]
                alone = line.policy in entry["alone"]
                mask = arrays["feasible"] if alone else common(entry, curves, line.group)
                if arrays["feasible"].sum() < min(ENOUGH, len(mask)):
                    mask = np.zeros(len(mask), bool)
                level = point(masked(arrays["nmse"], mask))
                bound = curves.get(line_name(BOUND, line.group))
                proved = np.zeros(len(mask), bool) if bound is None else ~bound["feasible"]
                served = {
                    "served": int(arrays["feasible"].sum()),
                    "certified_infeasible": int(proved.sum()),
                    "failed": int((~arrays["feasible"] & ~proved).sum()),
                }
                rows.append({"panel": name, "x": x, "curve": line.policy, "group": line.group, **level, **served})
                shown[line.name].append({"x": x, "scenes": len(mask), **level, **served})
    facts = {"scenes": scene_facts(results, {entry["name"]: config["scenes"] for entry in config["panels"]})}
    return rows, data, drawing, facts


def sweep(
    name: str,
    title: str,
    configure: Callable[[bool], dict[str, Any]],
    questions: Callable[[Mapping[str, Any], Data], list[dict[str, Any]]],
) -> Figure:
    """The figure `active_crb-<name>` with its questions."""

    def summary(config: Mapping[str, Any], results: Results) -> Result:
        rows, data, drawing, facts = summarise(config, results)
        return Result(rows=rows, answers=questions(config, data), facts=facts, drawing=drawing)

    def draw(config: Mapping[str, Any], result: Result) -> Any:
        from agents.figures.active_crb.pictures import draw_sweep

        return draw_sweep(config, result)

    return Figure(
        name=f"active_crb-{name}",
        paper="active_crb",
        title=title,
        configure=configure,
        scale=scale,
        units=units,
        summarise=summary,
        draw=draw,
    )
