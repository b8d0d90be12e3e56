"""The moving user: V of the references, policies and bound around the preset `tracking`, and where there is room above `hold`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import ris_gym
from agents.figures import answers
from agents.figures.base import Figure, Result, Unit
from agents.figures.nonorthogonal.curves import BOUND, unit_key
from agents.figures.nonorthogonal.rules import across, bootstrap, difference, within
from agents.figures.nonorthogonal.sweep import Points, at, columns, joined, scale, units_of
from agents.figures.nonorthogonal.tracking_pictures import draw
from agents.figures.points import Results
from agents.stats import Estimate, estimate

WORK = "agents.figures.nonorthogonal.tracking_work"
POLICIES = ["oracle", "widen", "hold", "cross_entropy", "align", "random"]
SPEEDS, SIDES, SNRS = [1.0, 2.0, 4.0, 8.0], [4, 8, 12], [-30.0, -20.0, -10.0, 0.0]
ROOM_LG = 0.1
"""Room above `hold` from which tracking is called a challenge, lg of V (1 dB)."""
GROWN_LG = 0.02
"""Least growth of the room that is called one."""
TELLS = {"value": "lg", "squared": "", "error_m": "m", "seconds": "s"}
STATED = {"preset": (0.1, "about 0.1 lg at the preset's numbers"), "large": (0.2, "0.2 lg with (12, 12) elements"),
          "easy": (0.0, "under 0.01 lg at 0 dB, (4, 4) elements, 2 m/s")}  # fmt: skip


def configure(quick: bool) -> dict[str, Any]:
    """One parameter at a time; two corners of their own."""
    panels = [
        {"name": "speed", "label": "speed, m/s", "points": [at(x, speed_mps=x) for x in (SPEEDS[::3] if quick else SPEEDS)]},
        {"name": "elements", "label": "elements of a sub-surface",
         "points": [at(side**2, surface_shape=[side, side]) for side in (SIDES[:2] if quick else SIDES)]},
        {"name": "snr", "label": "SNR, dB", "points": [at(x, snr_db=x) for x in (SNRS[::3] if quick else SNRS)]},
        {"name": "easy", "label": "", "points": [at(0, snr_db=0.0, surface_shape=[4, 4], speed_mps=2.0)]},
        *([] if quick else [{"name": "hard", "label": "", "points": [at(0, surface_shape=[12, 12], speed_mps=8.0)]}]),
    ]  # fmt: skip
    return {"panels": panels, "policies": POLICIES, "scenes": 4 if quick else 30, "chunk": 10, "seed": 0,
            "system": {"num_frames": 8} if quick else {}}  # fmt: skip


def work_of(config: Mapping[str, Any], policy: str, place: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Key (without the episode) and arguments (without the episodes)."""
    fields = {**place["system"], **config["system"]}
    system = dict(ris_gym.systems.make("nonorthogonal", preset="tracking", **fields).to_dict())
    arguments: dict[str, Any] = {"system": system, "seed": config["seed"]}
    if policy != BOUND:
        arguments |= {"policy": policy, "options": {}}
    return unit_key(policy, **arguments), arguments


def units(config: Mapping[str, Any]) -> list[Unit]:
    """All policies and the bound at all points, each piece of work once."""
    out: dict[str, Unit] = {}
    for panel in config["panels"]:
        for place in panel["points"]:
            for policy in (*config["policies"], BOUND):
                key, arguments = work_of(config, policy, place)
                function = f"{WORK}:{'bound' if policy == BOUND else 'follow'}"
                out |= {unit.key: unit for unit in units_of(config, key, function, arguments)}
    return list(out.values())


def read(config: Mapping[str, Any], results: Results) -> tuple[Mapping[str, Points], dict[str, Any]]:
    """Arrays by panel, x and policy; facts: hashes of the episodes.

    Raises:
        RuntimeError: two policies of a point met different episodes.
    """
    data: dict[str, dict[float, dict[str, Any]]] = {}
    facts: dict[str, Any] = {}
    for panel in config["panels"]:
        own = data[panel["name"]] = {}
        for place in panel["points"]:
            met = set()
            own[place["x"]] = {}
            for policy in (*config["policies"], BOUND):
                own[place["x"]][policy], hashes = joined(config, results, work_of(config, policy, place)[0])
                met.add(hashes)
            if len(met) != 1:
                raise RuntimeError(f"the policies met different episodes at {panel['name']} {place['x']:g}")
            facts[f"{panel['name']} {place['x']:g}"] = {"count": config["scenes"], "sha256": "+".join(h[:16] for h in met.pop())}
    return data, {"scenes": facts}


def room(lines: Mapping[str, Any], policy: str = "hold", best: str = "oracle") -> Estimate:
    """V of a policy minus that of another one, lg, paired over episodes."""
    return difference(lines[policy]["value"], lines[best]["value"])


def summarise(config: Mapping[str, Any], results: Results) -> Result:
    """Means over episodes, the room, the belief."""
    data, facts = read(config, results)
    rows = []
    for panel, points in data.items():
        for x, lines in points.items():
            for policy, arrays in lines.items():
                place = {"panel": panel, "x": x, "policy": policy}
                rows += [{**place, "quantity": quantity, "unit": unit, **columns(estimate(arrays[quantity]))}
                         for quantity, unit in TELLS.items() if quantity in arrays]  # fmt: skip
                if policy not in ("oracle", BOUND):
                    found = columns(room(lines, policy))
                    rows.append({**place, "quantity": "value above oracle", "unit": "lg", **found})
    return Result(rows=rows, answers=questions(config, data), facts=facts, drawing=data)


def questions(config: Mapping[str, Any], data: Mapping[str, Points]) -> list[dict[str, Any]]:
    """Where there is room, what it grows with, who uses it, and whether the belief is honest."""
    cases = {(panel["name"], point["x"]): _name(panel, point) for panel in config["panels"] for point in panel["points"]}
    every = {called: data[panel][x] for (panel, x), called in cases.items()}
    more = within(ROOM_LG, np.inf)
    grows = []
    for panel, sign in (("speed", 1), ("elements", 1), ("snr", -1)):
        if panel not in data:
            continue
        xs = list(data[panel])
        low, high = (data[panel][x] for x in (xs[0], xs[-1])[::sign])
        found = bootstrap(lambda a, b, c, d: (c - d) - (a - b),
                          *(line[name]["value"] for line in (low, high) for name in ("hold", "oracle")))[0]  # fmt: skip
        called = {"speed": "speed", "elements": "elements", "snr": "lower SNR"}[panel]
        grows.append(across({"with": called}, {"growth of the room": found}, _grown, "lg", 3))
    return [
        answers.question("R1", f"There is room of {ROOM_LG} lg (1 dB) or more above `hold`.",
                         f"V of `hold` minus V of `oracle`: reproduced if the 95 % interval over episodes lies above {ROOM_LG} "
                         "lg, not reproduced if below.",
                         [across({"where": called}, {"room": room(lines)}, more, "lg", 3,
                                 beside={"hold above the bound": answers.number(room(lines, "hold", BOUND), "lg", 3)})
                          for called, lines in every.items()]),
        answers.question("R2", "The room grows with speed, elements and lower SNR.",
                         "from one end of the panel to the other: reproduced if the 95 % interval lies above 0 and the mean "
                         f"is at least {GROWN_LG} lg, not reproduced if the interval lies below {GROWN_LG} lg.", grows),
        answers.question("R3", "The room has the stated size.",
                         "reproduced if the 95 % interval lies within 0.05 lg of it (the last: below 0.01), not reproduced if "
                         "outside.",
                         _stated(data)),
        answers.question("R4", "`widen` beats `hold`.", "V of `hold` minus V of `widen`: reproduced if the 95 % interval lies "
                                                        "above 0, not reproduced if below.",
                         [across({"where": called}, {"gain": room(lines, "hold", "widen")}, _positive, "lg", 3,
                                 beside={"share of the room": answers.number(_share(lines), "%", 0)})
                          for called, lines in every.items()]),
        answers.question("R5", "`hold` beats the policies that ignore what the belief is for.",
                         "V of the other minus V of `hold`: reproduced if the 95 % interval lies above 0, not reproduced if "
                         "below.",
                         [across({"where": called, "over": policy}, {"gain": room(lines, policy, "hold")}, _positive, "lg", 3)
                          for called, lines in every.items() for policy in ("cross_entropy", "align", "random")]),
        answers.question("R6", "The mean normalised squared error of the belief after the update is 2.0 to 2.3 (2: an honest "
                               "belief).",
                         "reproduced if the 95 % interval lies within 1.9 and 2.4, not reproduced if outside.",
                         [across({"where": called, "policy": policy}, {"normalised": estimate(lines[policy]["squared"])},
                                 within(1.9, 2.4), "",
                                 beside={"error": answers.number(estimate(lines[policy]["error_m"]), "m")})
                          for called, lines in every.items() for policy in ("hold", "oracle")]),
    ]  # fmt: skip


def _name(panel: Mapping[str, Any], point: Mapping[str, Any]) -> str:
    corners = {"easy": "0 dB, 16 elements, 2 m/s", "hard": "-20 dB, 144 elements, 8 m/s"}
    return corners.get(panel["name"], f"{panel['label'].partition(',')[0]} {point['x']:g}")


def _positive(found: Estimate) -> str:
    return answers.YES if found.low > 0.0 else answers.NO if found.high < 0.0 else answers.UNDECIDED


def _grown(found: Estimate) -> str:
    return answers.above(found, GROWN_LG)


def _share(lines: Mapping[str, Any]) -> float:
    gap = room(lines).value
    return room(lines, "hold", "widen").value / gap if gap > 1e-3 else np.nan


def _stated(data: Mapping[str, Points]) -> list[dict[str, Any]]:
    places = {"preset": ("speed", 4.0), "large": ("elements", 144), "easy": ("easy", 0)}
    out = []
    for name, (panel, x) in places.items():
        if x in data.get(panel, {}):
            told, text = STATED[name]
            rule = within(told - 0.05, told + 0.05) if told else within(-np.inf, 0.01)
            out.append(across({"stated": text}, {"room": room(data[panel][x])}, rule, "lg", 3))
    return out


FIGURE = Figure(
    name="nonorthogonal-tracking",
    paper="nonorthogonal",
    title="moving user: V of the references around the preset tracking",
    configure=configure,
    scale=scale,
    units=units,
    summarise=summarise,
    draw=draw,
)
