"""The policies of `vehicular` over whole passes in its three presets, beside the certified bound: J, rate, cost, errors.

A line of the table is an entry of `lines`: a policy with its options, in the preset's system with the fields `system`, in the
presets named (None: all). All lines meet the same passes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import ris_gym
from agents.figures.base import Figure, Result, Unit
from agents.figures.nonorthogonal.rules import mapped
from agents.figures.points import Results, columns
from agents.figures.vehicular.policies_answers import Data, questions, standard_error
from agents.figures.vehicular.policies_pictures import draw
from agents.stats import Estimate, estimate, paired_difference
from baselines.vehicular import BENCHMARKS

__all__ = ["BOUND", "FIGURE", "LINES", "REFERENCE", "line"]

WORK = "agents.figures.vehicular.work"
BOUND = "bound"
REFERENCE = "look-ahead 10 wide"
PRESETS = ["tracking", "requirement", "reciprocity"]
QUANTITIES = {"score": "bit/s/Hz", "rate": "bit/s/Hz", "cost": "", "met": "", "share": "", "squared_m2": "m^2", "nees": "",
              "nees_high": ""}  # fmt: skip


def line(
    name: str, policy: str, presets: Sequence[str] | None = None, system: Mapping[str, Any] | None = None, **options: Any
) -> dict[str, Any]:
    """An entry of a configuration's `lines`."""
    return {"name": name, "policy": policy, "options": options, "system": dict(system or {}), "presets": presets}


LINES = [
    line(BOUND, BOUND),
    line("never", "never"),
    line("never wide", "never_wide"),
    line("fixed 0.1 wide", "fixed_wide", share=0.1),
    line("always 0.5 wide", "always_wide"),
    line("event wide", "event_wide"),
    line("need-only wide", "need_only_wide"),
    line("myopic", "myopic"),
    line("myopic wide", "myopic_wide"),
    *[line(f"look-ahead {horizon} wide", "look_ahead_wide", horizon=horizon) for horizon in (5, 10, 20)],
    line("random", "random"),
    *[line(name, "need_only", ["reciprocity"], dict.fromkeys(flags, False)) for name, flags in BENCHMARKS.items()],
]
QUICK = (BOUND, "never wide", "need-only wide", REFERENCE, *BENCHMARKS)


def configure(quick: bool) -> dict[str, Any]:
    """`scenes` per seed; seed 7 is for development."""
    return {
        "presets": PRESETS,
        "lines": [entry for entry in LINES if not quick or entry["name"] in QUICK],
        "reference": REFERENCE,
        "seeds": [101] if quick else [101, 102, 103],
        "scenes": 6 if quick else 24,
        "system": {"num_frames": 25} if quick else {},
    }


def scale(config: dict[str, Any], scenes: int) -> dict[str, Any]:
    """Another number of passes per seed."""
    return {**config, "scenes": scenes}


def lines_of(config: Mapping[str, Any], preset: str) -> list[dict[str, Any]]:
    """Those of a preset."""
    return [entry for entry in config["lines"] if entry["presets"] is None or preset in entry["presets"]]


def key(preset: str, name: str, seed: int) -> str:
    """Of a unit."""
    return f"{preset}_{re.sub('[^A-Za-z0-9.-]+', '_', name)}_{seed}"


def units(config: Mapping[str, Any]) -> list[Unit]:
    """One per preset, line and seed."""
    out = []
    for preset in config["presets"]:
        for entry in lines_of(config, preset):
            fields = {**entry["system"], **config["system"]}
            system = dict(ris_gym.systems.make("vehicular", preset=preset, **fields).to_dict())
            for seed in config["seeds"]:
                arguments = {"system": system, "seed": seed, "count": config["scenes"]}
                if entry["policy"] != BOUND:
                    arguments |= {"policy": entry["policy"], "options": entry["options"]}
                function = f"{WORK}:{'bound' if entry['policy'] == BOUND else 'follow'}"
                name = key(preset, entry["name"], seed)
                out.append(Unit(key=name, function=function, arguments=arguments, size=config["scenes"]))
    return out


def read(config: Mapping[str, Any], results: Results) -> tuple[Data, dict[str, Any]]:
    """Preset -> line -> quantity -> (n,); facts: hashes of the passes.

    Raises:
        RuntimeError: two lines of a preset met different passes.
    """
    data: dict[str, dict[str, dict[str, np.ndarray]]] = {}
    facts: dict[str, Any] = {}
    for preset in config["presets"]:
        data[preset], met = {}, set()
        for entry in lines_of(config, preset):
            parts = [results[key(preset, entry["name"], seed)] for seed in config["seeds"]]
            met.add(tuple(str(part["scenes"]) for part in parts))
            names = [name for name in parts[0] if name != "scenes"]
            data[preset][entry["name"]] = {name: np.concatenate([part[name] for part in parts]) for name in names}
        if len(met) != 1:
            raise RuntimeError(f"the lines of {preset} met different passes")
        count = config["scenes"] * len(config["seeds"])
        facts[preset] = {"count": count, "seeds": config["seeds"], "sha256": "+".join(h[:16] for h in met.pop())}
    return data, {"scenes": facts}


def summarise(config: Mapping[str, Any], results: Results) -> Result:
    """Means with intervals, J with its standard error, errors of position, differences to the reference paired per pass."""
    data, facts = read(config, results)
    rows = []
    for preset, lines in data.items():
        for name, arrays in lines.items():
            place = {"preset": preset, "line": name}
            for quantity, unit in QUANTITIES.items():
                if quantity in arrays:
                    row = {**place, "quantity": quantity, "unit": unit, **columns(estimate(arrays[quantity]))}
                    if quantity == "score":
                        row["standard_error"] = round(standard_error(arrays[quantity]), 4)
                    rows.append(row)
            if "error_m" in arrays:
                rms = columns(mapped(estimate(arrays["squared_m2"]), lambda value: float(np.sqrt(value))))
                rows.append({**place, "quantity": "rms error", "unit": "m", **rms})
                middle = round(float(np.median(arrays["error_m"])), 4)
                rows.append({**place, "quantity": "median error", "unit": "m", "mean": middle, "count": len(arrays["score"])})
            if name != config["reference"] and config["reference"] in lines:
                gap = columns(against(lines, name, config["reference"]))
                rows.append({**place, "quantity": f"score minus {config['reference']}", "unit": "bit/s/Hz", **gap})
    return Result(rows=rows, answers=questions(config, data), facts=facts, drawing=data)


def against(lines: Mapping[str, Any], name: str, other: str) -> Estimate:
    """J of a line minus that of another one, paired per pass."""
    return paired_difference(lines[name]["score"], lines[other]["score"])


FIGURE = Figure(
    name="reciprocity-policies",
    paper="vehicular",
    title="policies and bound of whole passes in the three presets",
    configure=configure,
    scale=scale,
    units=units,
    summarise=summarise,
    draw=draw,
)
