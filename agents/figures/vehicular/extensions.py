"""Figure `reciprocity-extensions`: surfaces that hide from a radar (D4) and the choice of the reflecting vehicle (3A).

A group is a system and the lines that play it: a preset with the radar at a place, or `reciprocity` with a requirement and the
choice. All groups meet the same passes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import ris_gym
from agents.figures.base import Figure, Result, Unit
from agents.figures.points import Results, columns
from agents.figures.vehicular.extensions_answers import questions
from agents.figures.vehicular.extensions_pictures import draw
from agents.stats import estimate

__all__ = ["FIGURE"]

WORK = "agents.figures.vehicular"
BOUND = "bound"
RADARS: dict[str, dict[str, Any]] = {
    "default (20 m)": {},
    "20 m, 20 dB stronger": {"radar_snr_offset_db": 20.0},
    "2 m, 10 dB stronger": {"radar_position_m": [2.0, 0.0], "radar_snr_offset_db": 10.0},
    "0.5 m": {"radar_position_m": [0.5, 0.0]},
}
"""Places beside the BS (at 0 m), and levels."""
HIDERS: dict[str, tuple[str, dict[str, Any]]] = {
    "never": ("need_only_wide", {"hide": "never"}),
    "always": ("need_only_wide", {"hide": "always"}),
    "apart": ("need_only_wide", {"hide": "apart"}),
    "myopic, never": ("myopic_wide", {"hide": "never"}),
    "myopic, chosen": ("myopic_wide", {"hide": "chosen"}),
}
THRESHOLDS_DB = [18.0, 21.0, 24.0, 27.0]
REFLECTORS: dict[str, tuple[str, dict[str, Any]]] = {
    "next vehicle": ("need_only_wide", {}),
    "chosen": ("reflector_wide", {}),
    "myopic, next vehicle": ("myopic_wide", {}),
}
QUANTITIES = {"score": "bit/s/Hz", "rate": "bit/s/Hz", "short": "", "seen": "", "exposed": "", "share": "", "met": "",
              "squared_m2": "m^2"}  # fmt: skip


def configure(quick: bool) -> dict[str, Any]:
    """`scenes` per seed; `radars`: fields by name."""
    return {
        "presets": ["reciprocity"] if quick else ["reciprocity", "requirement"],
        "radars": dict(list(RADARS.items())[2:3]) if quick else RADARS,
        "thresholds_db": [24.0] if quick else THRESHOLDS_DB,
        "seeds": [101] if quick else [101, 102, 103],
        "scenes": 6 if quick else 24,
        "system": {"num_frames": 25} if quick else {},
    }


def scale(config: dict[str, Any], scenes: int) -> dict[str, Any]:
    """Another number of passes per seed."""
    return {**config, "scenes": scenes}


Group = tuple[dict[str, Any], dict[str, Any], dict[str, tuple[str, dict[str, Any]]]]


def groups(config: Mapping[str, Any]) -> list[Group]:
    """Where (part, preset, place or requirement), fields of the system, lines."""
    out: list[Group] = []
    for preset in config["presets"]:
        for place, fields in config["radars"].items():
            where = {"part": "radar", "preset": preset, "case": place}
            out.append((where, {"preset": preset, "unauthorised_radar": True, **fields}, HIDERS))
    for level in config["thresholds_db"]:
        where = {"part": "reflector", "preset": "reciprocity", "case": f"{level:g} dB"}
        fields = {"preset": "reciprocity", "choose_reflector": True, "sensing_threshold_db": level}
        out.append((where, fields, REFLECTORS))
    return out


def units(config: Mapping[str, Any]) -> list[Unit]:
    """One per group, line and seed."""
    out = []
    for i, (_, fields, lines) in enumerate(groups(config)):
        system = dict(ris_gym.systems.make("vehicular", **{**fields, **config["system"]}).to_dict())
        for j, (policy, options) in enumerate([(BOUND, {}), *lines.values()]):
            for seed in config["seeds"]:
                arguments = {"system": system, "seed": seed, "count": config["scenes"]}
                function = f"{WORK}.work:bound"
                if policy != BOUND:
                    arguments |= {"policy": policy, "options": options}
                    function = f"{WORK}.extensions_work:played"
                key = f"group{i}_line{j}_{seed}"
                out.append(Unit(key=key, function=function, arguments=arguments, size=config["scenes"]))
    return out


def read(config: Mapping[str, Any], results: Results) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Per group: `where` and `lines`, line -> quantity -> (n,); facts: hash of the passes.

    Raises:
        RuntimeError: two lines met different passes.
    """
    data, met = [], set()
    for i, (where, _, lines) in enumerate(groups(config)):
        found = {}
        for j, name in enumerate([BOUND, *lines]):
            parts = [results[f"group{i}_line{j}_{seed}"] for seed in config["seeds"]]
            met.add(tuple(str(part["scenes"]) for part in parts))
            names = [quantity for quantity in parts[0] if quantity in QUANTITIES]
            found[name] = {quantity: np.concatenate([part[quantity] for part in parts]) for quantity in names}
        data.append({"where": where, "lines": found})
    if len(met) != 1:
        raise RuntimeError("the lines met different passes")
    count = config["scenes"] * len(config["seeds"])
    facts = {"passes": {"count": count, "seeds": config["seeds"], "sha256": "+".join(h[:16] for h in met.pop())}}
    return data, {"scenes": facts}


def summarise(config: Mapping[str, Any], results: Results) -> Result:
    """Means over the passes with their intervals; the statements."""
    data, facts = read(config, results)
    rows = [
        {**group["where"], "line": name, "quantity": quantity, "unit": QUANTITIES[quantity], **columns(estimate(values))}
        for group in data
        for name, arrays in group["lines"].items()
        for quantity, values in arrays.items()
    ]
    return Result(rows=rows, answers=questions(data), facts=facts, drawing=data)


FIGURE = Figure(
    name="reciprocity-extensions",
    paper="vehicular",
    title="surfaces that hide from a radar, and the choice of the reflecting vehicle",
    configure=configure,
    scale=scale,
    units=units,
    summarise=summarise,
    draw=draw,
)
