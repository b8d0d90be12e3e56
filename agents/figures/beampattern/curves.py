"""Curves and panels that the `beampattern` figures share: names, units, collection of chunks, colours."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import ris_gym
from agents.figures.base import Unit
from agents.stats import Estimate, estimate, paired_difference

__all__ = ["AO", "BOUND", "CURVES", "STARTS", "Curve", "Panel", "curve_units", "gather", "scene_facts"]

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


def chunks(count: int, size: int) -> Iterable[tuple[int, int]]:
    """Cut range(count) into parts of `size`."""
    return ((first, min(first + size, count)) for first in range(0, count, size))


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


def gather(
    results: Mapping[str, Mapping[str, np.ndarray]], panel: Panel, threshold_db: float, name: str
) -> dict[str, np.ndarray]:
    """The arrays of one curve (with its suffix) over all chunks. Histories are padded with their last value."""
    prefix = f"{panel.name}_{threshold_db:g}_{name}_"
    parts = {int(key.removeprefix(prefix)): value for key, value in results.items() if key.startswith(prefix)}
    ordered = [parts[first] for first in sorted(parts)]
    out = {key: np.concatenate([part[key] for part in ordered]) for key in ordered[0] if key not in ("scenes", "history")}
    if "history" in ordered[0]:
        longest = max(len(part["history"]) for part in ordered)
        padded = [np.pad(part["history"], ((0, longest - len(part["history"])), (0, 0)), mode="edge") for part in ordered]
        out["history"] = np.concatenate(padded, axis=1)
    return out


def scene_facts(results: Mapping[str, Mapping[str, np.ndarray]], groups: Mapping[str, int]) -> dict[str, Any]:
    """Number and hash of the scenes of each group of units, whose keys begin with `<group>_` and end with `_<first scene>`.

    Args:
        groups: name -> number of scenes.

    Raises:
        RuntimeError: two units of a group met different scenes.
    """
    facts = {}
    for group, count in groups.items():
        found: dict[tuple[int, int], set[str]] = {}
        for key, value in results.items():
            if key.startswith(f"{group}_"):
                chunk = (int(key.rpartition("_")[2]), len(value["feasible"]))
                found.setdefault(chunk, set()).add(str(value["scenes"]))
        if any(len(hashes) != 1 for hashes in found.values()):
            raise RuntimeError(f"the curves of {group} met different scenes")
        text = "".join(found[chunk].pop() for chunk in sorted(found))
        facts[group] = {"count": count, "sha256": hashlib.sha256(text.encode()).hexdigest()}
    return facts


def masked(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Values where the mask holds, nan elsewhere."""
    return np.where(mask, values, np.nan)


def gain(first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]) -> Estimate:
    """Paired difference of the objectives, dB, over the scenes that both serve."""
    return paired_difference(masked(first["objective"], first["feasible"]), masked(second["objective"], second["feasible"]))


def point(values: np.ndarray, digits: int = 4) -> dict[str, Any]:
    """Columns `mean`, `low`, `high`, `count` of a row; values that are nan are left out."""
    return columns(estimate(values), digits)


def columns(found: Estimate, digits: int = 4) -> dict[str, Any]:
    """Columns `mean`, `low`, `high`, `count` of a row."""
    numbers = {"mean": found.value, "low": found.low, "high": found.high}
    return {**{key: round(float(value), digits) for key, value in numbers.items()}, "count": found.count}
