"""Remarks 2 and 3: is a dedicated sensing signal needed (R_0 != 0), with a random and with a line-of-sight channel G?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import ris_gym
from agents.figures import answers
from agents.figures.base import Figure, Result, Unit
from agents.figures.beampattern.curves import AO, CURVES
from agents.figures.points import chunks, columns, scene_facts
from agents.stats import Estimate, estimate

WORK = "agents.figures.beampattern.remarks_work"
CHANNELS = {"random": False, "los": True}
POLICIES = (*AO.values(), "joint")
RANK = 1e-3
"""Least ratio of second to first eigenvalue that counts as a second beam."""
FEW = 0.05
"""Share of scenes up to which R_0 counts as zero in general."""
LOSS_DB = 0.01
"""Least loss of the best single beam that counts."""


def configure(quick: bool) -> dict[str, Any]:
    """Numbers of equally spaced angles, parts of the reachable SNR, presets of the end points."""
    return {
        "angles": [5, 9, 13],
        "levels": [0.0, 0.5, 0.9],
        "presets": ["five", "sectors"],
        "num_elements": 32,
        "threshold_db": 22.0,
        "scenes": 10 if quick else 100,
        "starts": 8,
        "randomisations": 1000,
        "chunk": 25,
        "seed": 0,
        "system": {},
    }


def scale(config: dict[str, Any], scenes: int) -> dict[str, Any]:
    """Another number of scenes."""
    return {**config, "scenes": scenes}


def units(config: Mapping[str, Any]) -> list[Unit]:
    """Random surfaces and end points, for both channels."""
    out = []
    size = {"num_elements": config["num_elements"], "sinr_threshold_db": config["threshold_db"], **config["system"]}
    common = {"seed": config["seed"], "starts": config["starts"]}
    for channel, los in CHANNELS.items():
        for first, stop in chunks(config["scenes"], config["chunk"]):
            part = {**common, "first": first, "stop": stop}
            for number in config["angles"]:
                angles = tuple(float(angle) for angle in np.linspace(-60.0, 60.0, number))
                system = ris_gym.systems.make("beampattern", **{"angles_deg": angles, "los_bs_ris": los, **size}).to_dict()
                for level in config["levels"]:
                    key = f"{channel}_surface-{number}-{level:g}_{first}"
                    arguments = {**part, "system": system, "level": level}
                    out.append(Unit(key=key, function=f"{WORK}:random_surfaces", arguments=arguments, size=stop - first))
            for preset in config["presets"]:
                system = ris_gym.systems.make("beampattern", preset=preset, **{"los_bs_ris": los, **size}).to_dict()
                for name in POLICIES:
                    curve = CURVES[name]
                    options = {**curve.options, **({"randomisations": config["randomisations"]} if curve.policy == "ao" else {})}
                    arguments = {**part, "system": system, "policy": curve.policy, "options": options}
                    key = f"{channel}_end-{preset}-{name}_{first}"
                    out.append(Unit(key=key, function=f"{WORK}:end_points", arguments=arguments, size=stop - first))
    return out


def summarise(config: Mapping[str, Any], results: Mapping[str, Mapping[str, np.ndarray]]) -> Result:
    """Share of scenes with a second beam and the loss of one beam, per setting."""
    rows, drawing = [], []
    cases: dict[str, list[dict[str, Any]]] = {"2a": [], "2b": [], "3a": [], "3b": []}
    for channel in CHANNELS:
        settings: list[tuple[str, dict[str, Any]]] = [
            (f"surface-{n}-{level:g}", {"angles": n, "SNR": f"{100 * level:.0f} % of reach" if level else "none"})
            for n in config["angles"]
            for level in config["levels"]
        ]
        settings += [
            (f"end-{preset}-{name}", {"preset": preset, "end point of": CURVES[name].label})
            for preset in config["presets"]
            for name in POLICIES
        ]
        for name, where in settings:
            prefix = f"{channel}_{name}_"
            parts = [
                results[key] for key in sorted((k for k in results if k.startswith(prefix)), key=lambda k: int(k[len(prefix) :]))
            ]
            ratio, loss, feasible = (np.concatenate([part[key] for part in parts]) for key in ("ratio", "loss", "feasible"))
            second = answers.share(ratio[feasible] > RANK)
            needed = answers.share(loss[feasible] > LOSS_DB)
            lost = estimate(loss[feasible])
            facts = {"channel": channel, "setting": name}
            rows += [
                {**facts, "quantity": "share_second_eigenvalue", **columns(second)},
                {**facts, "quantity": "share_loss_above_0.01_db", **columns(needed)},
                {**facts, "quantity": "loss_of_one_beam_db", **columns(lost)},
            ]
            drawing.append((channel, name, second, lost))
            question = ("2" if channel == "random" else "3") + ("a" if name.startswith("surface") else "b")
            cases[question].append(_case(where, channel, second, needed, lost))
    return Result(
        rows=rows,
        answers=_questions(cases),
        facts={"scenes": scene_facts(results, dict.fromkeys(CHANNELS, config["scenes"]))},
        drawing=drawing,
    )


def _case(where: Mapping[str, Any], channel: str, second: Estimate, needed: Estimate, lost: Estimate) -> dict[str, Any]:
    needed_by_more = answers.share_above(second, FEW)
    opposite = {answers.YES: answers.NO, answers.NO: answers.YES, answers.UNDECIDED: answers.UNDECIDED}
    verdict = needed_by_more if channel == "random" else opposite[needed_by_more]
    return answers.case(
        where,
        verdict,
        second_eigenvalue=answers.number(second, "%", 0),
        **{f"one beam loses over {LOSS_DB} dB": answers.number(needed, "%", 0)},
        loss_of_the_best_single_beam=answers.number(lost, "dB", 3),
    )


def _questions(cases: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    counted = (
        f"`second eigenvalue`: share of the scenes in which the second eigenvalue of the optimal R exceeds {RANK:g} of the first."
    )
    random = f"{counted} Reproduced if that share is above {100 * FEW:.0f} %, not reproduced if below (95 % interval)."
    los = f"{counted} Reproduced if that share is below {100 * FEW:.0f} %, not reproduced if above (95 % interval)."
    return [
        answers.question(
            "R2a", "Remark 2: with a random G, R_0 is not zero in general (at random surfaces).", random, cases["2a"]
        ),
        answers.question("R2b", "Remark 2: the same at the surfaces where the algorithms end.", random, cases["2b"]),
        answers.question("R3a", "Remark 3: with a line-of-sight G, R_0 = 0 is optimal (at random surfaces).", los, cases["3a"]),
        answers.question("R3b", "Remark 3: the same at the surfaces where the algorithms end.", los, cases["3b"]),
    ]


def draw(config: Mapping[str, Any], result: Result) -> Any:
    """Left: share of scenes with a second beam; right: what the best single beam loses. One line per setting."""
    from agents.figures.drawing import canvas

    names = list(dict.fromkeys(name for _, name, _, _ in result.drawing))
    figure = canvas(11.5, 1.6 + 0.32 * len(names))
    left, right = figure.subplots(1, 2, sharey=True)
    for channel, shift, colour in (("random", -0.18, "C0"), ("los", 0.18, "C1")):
        label = "random G" if channel == "random" else "line-of-sight G"
        shown = {name: (second, lost) for found, name, second, lost in result.drawing if found == channel}
        for axes, index, factor in ((left, 0, 100.0), (right, 1, 1.0)):
            points = [shown[name][index] for name in names]
            value, low, high = (factor * np.array([getattr(p, key) for p in points]) for key in ("value", "low", "high"))
            error = np.nan_to_num(np.maximum(np.stack([value - low, high - value]), 0.0))
            y = np.arange(len(names)) + shift
            axes.errorbar(value, y, xerr=error, fmt="o", markersize=4, capsize=2, color=colour, label=label)
    left.set_yticks(range(len(names)), [_label(name) for name in names])
    left.invert_yaxis()
    left.set_xlabel("scenes whose R has a second beam, %")
    left.set_xlim(-3, 103)
    right.set_xlabel("loss of the best single beam, dB")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    left.legend(fontsize=9)
    return figure


def _label(name: str) -> str:
    kind, rest = name.split("-", 1)
    if kind == "end":
        preset, policy = rest.split("-", 1)
        return f"{preset}: end of {CURVES[policy].label}"
    angles, level = rest.split("-")
    return f"random surface, {angles} angles, " + (
        f"SNR {100 * float(level):.0f} % of reach" if float(level) else "no SNR constraint"
    )


FIGURE = Figure(
    name="beampattern-remarks",
    paper="beampattern",
    title="rank of the optimal transmit covariance (Remarks 2 and 3)",
    configure=configure,
    scale=scale,
    units=units,
    summarise=summarise,
    draw=draw,
)
