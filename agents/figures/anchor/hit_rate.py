"""Figure `anchor-hit-rate`: how often the right beam is found over the number of pilots, and the error of the direction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import ris_gym
from agents.figures import answers
from agents.figures.anchor.pictures import draw
from agents.figures.anchor.rules import count_of, questions, root
from agents.figures.base import Figure, Result, Unit
from agents.figures.points import Results, chunks, columns

__all__ = ["FIGURE"]

WORK = "agents.figures.anchor.work"
BOUNDED = [1, 2, 4]
"""Further numbers of pilots, at which the bound is below 1."""
PILOTS, SNRS_DB = [6, 12, 24, 48], [-26.0, -22.0, -18.0]
POLICIES = ["exhaustive", "random", "posterior_matching", "thompson", "information_greedy"]
REPEATS = {12: 1, 24: 2, 48: 4}
"""Pilots of hard descent in 64 directions, and the repeats that they are."""


def configure(quick: bool) -> dict[str, Any]:
    """Three SNRs, four numbers of pilots; `few`: directions of information greedy."""
    return {
        "snrs_db": SNRS_DB[1:2] if quick else SNRS_DB,
        "pilots": PILOTS,
        "bounded": BOUNDED,
        "policies": POLICIES,
        "descent": [{"pilots": pilots, "repeats": repeats} for pilots, repeats in REPEATS.items()],
        "peak": [64],
        "scenes": 100 if quick else 600,
        "few": 50 if quick else 200,
        "chunk": 100,
        "seed": 5,
        "system": {},
    }


def scale(config: dict[str, Any], scenes: int) -> dict[str, Any]:
    """Another number of directions."""
    return {**config, "scenes": scenes, "few": min(scenes, config["few"])}


def read_at(config: Mapping[str, Any]) -> list[int]:
    """Numbers of pilots after which searches are read."""
    return sorted({*config["bounded"], *config["pilots"]})


def searches(config: Mapping[str, Any], snr_db: float) -> list[tuple[str, str, dict[str, Any]]]:
    """Policy, function and arguments (without the directions) of all searches at an SNR."""
    most = 1 + max([*config["pilots"], *config["peak"], *(entry["pilots"] for entry in config["descent"])])

    def arguments(pilots: int, policy: str, **options: Any) -> dict[str, Any]:
        system = ris_gym.systems.make("anchor", **{"element_snr_db": snr_db, **config["system"], "num_pilots": pilots})
        return {"system": dict(system.to_dict()), "policy": policy, "options": options, "most": most, "seed": config["seed"]}

    out = []
    for policy in config["policies"]:
        out.append((policy, "searched", {**arguments(max(config["pilots"]), policy), "pilots": read_at(config)}))
    out += [("descent", "announced", arguments(entry["pilots"], "descent", repeats=entry["repeats"]))
            for entry in config["descent"]]  # fmt: skip
    out += [("peak", "announced", arguments(pilots, "exhaustive", decision="peak")) for pilots in config["peak"]]
    return out


def key_of(snr_db: float, policy: str, arguments: Mapping[str, Any]) -> str:
    """Key without the first direction."""
    return f"{policy}_{arguments['system']['num_pilots']}_{-snr_db:g}dB"


def units(config: Mapping[str, Any]) -> list[Unit]:
    """All searches, and the bound."""
    out = []
    for snr_db in config["snrs_db"]:
        for policy, function, arguments in searches(config, snr_db):
            for first, stop in chunks(count_of(config, policy), config["chunk"]):
                key = f"{key_of(snr_db, policy, arguments)}_{first}"
                own = {**arguments, "first": first, "stop": stop}
                out.append(Unit(key=key, function=f"{WORK}:{function}", arguments=own, size=stop - first))
        system = dict(ris_gym.systems.make("anchor", **{"element_snr_db": snr_db, **config["system"]}).to_dict())
        own = {"system": system, "pilots": read_at(config)}
        out.append(Unit(key=f"bound_{-snr_db:g}dB", function=f"{WORK}:bound", arguments=own))
    return out


def read(
    config: Mapping[str, Any], results: Results
) -> tuple[dict[float, dict[str, Any]], dict[float, dict[str, float]], dict[str, Any]]:
    """Curves, CPU seconds per pilot, and the hashes of the worlds.

    Raises:
        RuntimeError: two policies met different worlds.
    """
    data: dict[float, dict[str, dict[int, dict[str, np.ndarray]]]] = {}
    seconds: dict[float, dict[str, float]] = {}
    met: dict[int, set[str]] = {}
    for snr_db in config["snrs_db"]:
        data[snr_db], seconds[snr_db] = {}, {}
        for policy, _, arguments in searches(config, snr_db):
            cuts = list(chunks(count_of(config, policy), config["chunk"]))
            parts = [results[f"{key_of(snr_db, policy, arguments)}_{first}"] for first, _ in cuts]
            for (first, stop), part in zip(cuts, parts, strict=True):
                if stop - first == config["chunk"]:
                    met.setdefault(first, set()).add(str(part["scenes"]))
            curve = data[snr_db].setdefault(policy, {})
            for i, pilots in enumerate(arguments.get("pilots", [arguments["system"]["num_pilots"]])):
                curve[pilots] = {name: np.concatenate([part[name][i] for part in parts]) for name in ("hit", "error")}
            seconds[snr_db][policy] = float(np.mean(np.concatenate([part["seconds"] for part in parts])))
    if any(len(hashes) != 1 for hashes in met.values()):
        raise RuntimeError("the policies met different worlds")
    groups = (("directions (the same for all curves)", ""), ("information greedy", "information_greedy"))
    facts: dict[str, dict[str, Any]] = {name: {"count": count_of(config, policy)} for name, policy in groups}
    facts["directions (the same for all curves)"]["sha256"] = "+".join(met[first].copy().pop()[:16] for first in sorted(met))
    return data, seconds, {"scenes": facts}


def summarise(config: Mapping[str, Any], results: Results) -> Result:
    """Hit rates with their Wilson intervals and binomial standard errors, rms errors of psi, CPU time."""
    data, seconds, facts = read(config, results)
    bounds = {snr_db: dict(zip(read_at(config), map(float, results[f"bound_{-snr_db:g}dB"]["value"]), strict=True))
              for snr_db in config["snrs_db"]}  # fmt: skip
    rows: list[dict[str, Any]] = []
    for snr_db, curves in data.items():
        for policy, curve in curves.items():
            for pilots, arrays in curve.items():
                place = {"element_snr_db": snr_db, "policy": policy, "pilots": pilots}
                rate = arrays["hit"].mean()
                deviation = round(float(np.sqrt(rate * (1.0 - rate) / len(arrays["hit"]))), 4)
                rows.append({**place, "quantity": "hit rate", "unit": "", **columns(answers.share(arrays["hit"])),
                             "standard_error": deviation})  # fmt: skip
                rows.append({**place, "quantity": "rms error", "unit": "psi", **columns(root(arrays["error"] ** 2), 5)})
            milliseconds = round(1e3 * seconds[snr_db][policy], 4)
            place = {"element_snr_db": snr_db, "policy": policy, "pilots": max(curve)}
            rows.append({**place, "quantity": "CPU time per pilot", "unit": "ms", "mean": milliseconds})
        rows += [{"element_snr_db": snr_db, "policy": "bound", "pilots": pilots, "quantity": "hit rate", "unit": "",
                  "mean": round(value, 4)} for pilots, value in bounds[snr_db].items()]  # fmt: skip
    spent = {policy: float(np.mean([found[policy] for found in seconds.values()])) for policy in next(iter(seconds.values()))}
    return Result(rows=rows, answers=questions(config, data, bounds, spent), facts=facts, drawing=data)


FIGURE = Figure(
    name="anchor-hit-rate",
    paper="anchor",
    title="device that localises itself: the right beam over the number of pilots",
    configure=configure,
    scale=scale,
    units=units,
    summarise=summarise,
    draw=draw,
)
