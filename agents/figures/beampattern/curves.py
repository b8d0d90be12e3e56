"""Curves and panels that the `beampattern` figures share: names, units, collection, colours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import ris_gym
from agents.figures import points
from agents.figures.base import Unit
from agents.figures.points import Results, chunks, masked
from agents.stats import Estimate, paired_difference

__all__ = ["AO", "BOUND", "CURVES", "STARTS", "Curve", "Panel", "curve_units", "gain", "gather"]

WORK = "agents.figures.beampattern.work"
STARTS = ("separate", "random")


@dataclass(frozen=True)
class Curve:
    """A policy with its options, its label and its line."""

    label: str
    policy: str
    colour: str
    dashed: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    system: Mapping[str, Any] = field(default_factory=dict)

    @property
    def style(self) -> dict[str, Any]:
        """Keywords of matplotlib's `plot`."""
        return {"color": self.colour, "linestyle": "--" if self.dashed else "-", "label": self.label}


AO = {start: f"ao-{start}" for start in STARTS}
INFORMATION = {start: f"information_only-{start}" for start in STARTS}
BOUND = "bound"
CURVES: dict[str, Curve] = {
    "ao-separate": Curve("ao, start separate", "ao", "C0", options={"init": "separate"}),
    "ao-random": Curve("ao, start random", "ao", "C0", True, {"init": "random"}),
    "information_only-separate": Curve(
        "information_only, start separate", "information_only", "C1", options={"init": "separate"}
    ),
    "information_only-random": Curve("information_only, start random", "information_only", "C1", True, {"init": "random"}),
    "separate": Curve("separate", "separate", "C2"),
    "joint": Curve("joint", "joint", "C3"),
    "joint-plain": Curve("joint, no sensing beams", "joint", "C4", True, system={"num_sensing_beams": 0}),
    "random": Curve("random", "random", "C7"),
    BOUND: Curve("bound", BOUND, "black"),
}


@dataclass(frozen=True)
class Panel:
    """One setting of a figure."""

    preset: str
    num_elements: int
    scenes: int

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Panel:
        """From an entry of a configuration's `panels`."""
        return cls(entry["preset"], entry["num_elements"], entry["scenes"])

    @property
    def name(self) -> str:
        """`<preset>-<elements>`."""
        return f"{self.preset}-{self.num_elements}"

    @property
    def where(self) -> dict[str, Any]:
        """Columns of a table of answers."""
        return {"preset": self.preset, "N": self.num_elements}

    def system(self, config: Mapping[str, Any], threshold_db: float, **fields: Any) -> Any:
        """The system of the panel at a threshold; `config["system"]` overrides parameters."""
        own = {"num_elements": self.num_elements, "sinr_threshold_db": threshold_db, **config["system"], **fields}
        return ris_gym.systems.make("beampattern", preset=self.preset, **own)


def curve_units(
    config: Mapping[str, Any],
    panel: Panel,
    threshold_db: float,
    name: str,
    scenes: int | None = None,
    options: Mapping[str, Any] | None = None,
    suffix: str = "",
    **more: Any,
) -> list[Unit]:
    """The units of one curve at one threshold, keys `<panel>_<threshold>_<curve><suffix>_<first scene>`."""
    curve = CURVES[name]
    scenes = panel.scenes if scenes is None else min(scenes, panel.scenes)
    system = panel.system(config, threshold_db, **curve.system).to_dict()
    common: dict[str, Any] = {"system": system, "seed": config["seed"]}
    if curve.policy != BOUND:
        chosen = {**curve.options, **(options or {})}
        if "init" in chosen or curve.policy == "separate":
            chosen = {"randomisations": config["randomisations"], **chosen}
        common |= {"policy": curve.policy, "options": chosen, **more}
    return [
        Unit(
            key=f"{panel.name}_{threshold_db:g}_{name}{suffix}_{first}",
            function=f"{WORK}:{'bound' if curve.policy == BOUND else 'solve'}",
            arguments={**common, "first": first, "stop": stop},
            size=stop - first,
        )
        for first, stop in chunks(scenes, config["chunk"])
    ]


def gather(results: Results, panel: Panel, threshold_db: float, name: str) -> dict[str, np.ndarray]:
    """The arrays of one curve (with its suffix) over all chunks. Histories are padded with their last value."""
    return points.gather(results, f"{panel.name}_{threshold_db:g}_{name}_")


def gain(first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]) -> Estimate:
    """Paired difference of the objectives, dB, over the scenes that both serve."""
    return paired_difference(masked(first["objective"], first["feasible"]), masked(second["objective"], second["feasible"]))
