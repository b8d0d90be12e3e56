"""When does sensing pay: the best share of one vehicle's slot over the accuracy of the prior and the strength of the echo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import ris_gym
from agents.figures import answers
from agents.figures.base import Figure, Result, Unit
from agents.figures.drawing import canvas
from agents.figures.points import Results

QUANTITIES = {"share": "", "gain": "", "slope": ""}
STDS = [0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0]
LEVELS = [-30.0, -20.0, -10.0, 0.0, 10.0]

Data = Mapping[float, Mapping[str, np.ndarray]]
"""x -> quantity -> (levels, priors)."""


def configure(quick: bool) -> dict[str, Any]:
    """Echo levels are added to `self_interference_db`; candidates are 0 and `count` geometric points from `least` to 1."""
    return {
        "positions_m": [0.0, 40.0],
        "position_std_m": STDS[::2] if quick else STDS,
        "levels_db": LEVELS[::2] if quick else LEVELS,
        "velocity_mps": 15.0,
        "velocity_std_mps": 0.2,
        "least": 1e-4,
        "count": 101 if quick else 401,
        "system": {},
    }


def units(config: Mapping[str, Any]) -> list[Unit]:
    """One per position."""
    fields = {"num_users": 1, "c_assist": False, "sensing_threshold_db": None, **config["system"]}
    system = dict(ris_gym.systems.make("vehicular", **fields).to_dict())
    names = ("levels_db", "velocity_mps", "position_std_m", "velocity_std_mps", "least", "count")
    return [
        Unit(
            key=f"at_{x:g}",
            function="agents.figures.vehicular.work:payoff",
            arguments={"system": system, "position_m": x, **{name: config[name] for name in names}},
        )
        for x in config["positions_m"]
    ]


def summarise(config: Mapping[str, Any], results: Results) -> Result:
    """A row per place, level, prior and quantity; no intervals: nothing is random."""
    data = {x: results[f"at_{x:g}"] for x in config["positions_m"]}
    rows = [
        {"x_m": x, "echo_level_db": level, "position_std_m": std, "quantity": quantity, "unit": unit,
         "mean": round(float(found[quantity][i, j]), 6)}
        for x, found in data.items() for i, level in enumerate(config["levels_db"])
        for j, std in enumerate(config["position_std_m"]) for quantity, unit in QUANTITIES.items()
    ]  # fmt: skip
    cells = len(config["positions_m"]) * len(config["levels_db"]) * len(config["position_std_m"])
    facts = {"scenes": {"none (deterministic); cells of the map": {"count": cells}}}
    return Result(rows=rows, answers=questions(config, data), facts=facts, drawing=data)


def questions(config: Mapping[str, Any], data: Data) -> list[dict[str, Any]]:
    """The survey's statement 6 on the map, and the local condition."""
    stds, levels = config["position_std_m"], config["levels_db"]
    pays = {x: found["share"] > 0.0 for x, found in data.items()}
    where = {x: {"x": f"{x:g} m"} for x in data}
    return [
        answers.question(
            "6", "Sensing is not always worth it.",
            "the best share is 0 in some cells of the map and above 0 in others.",
            [answers.case(where[x], answers.YES if found.any() and not found.all() else answers.NO,
                          cells_where_it_pays=answers.number(float(found.mean()), "%", 0),
                          largest_gain=answers.number(float(data[x]["gain"].max()), ""))
             for x, found in pays.items()]),
        answers.question(
            "6a", "It is not where the prediction is accurate.",
            "at each echo level: reproduced if it pays from some standard deviation of the prior on, above the smallest, and not "
            "below (undecided where it never pays).",
            [answers.case({**where[x], "echo": f"{level:+g} dB" if level else "0 dB"}, _from_some(found[i]),
                          pays_from=answers.number(_first(found[i], stds), "m"))
             for x, found in pays.items() for i, level in enumerate(levels)]),
        answers.question(
            "6b", "It is not where the measurement is inaccurate.",
            "at each standard deviation of the prior: reproduced if it pays from some echo level on, above the lowest, and not "
            "below (undecided where it never pays).",
            [answers.case({**where[x], "prior": f"{std:g} m"}, _from_some(found[:, j]),
                          pays_from=answers.number(_first(found[:, j], levels), "dB", 0))
             for x, found in pays.items() for j, std in enumerate(stds)]),
        answers.question(
            "6c", "The local condition phi'(0+) > phi(0) tells where it pays (ours).",
            f"slope at the smallest share ({config['least']:g}) over phi(0): reproduced if it is above 1 in exactly the cells "
            "where it pays.",
            [answers.case(where[x], answers.YES if np.array_equal(data[x]["slope"] > 1.0, found) else answers.NO,
                          cells_where_it_pays=answers.number(float(found.sum()), "", 0),
                          cells_where_the_condition_holds=answers.number(float((data[x]["slope"] > 1.0).sum()), "", 0),
                          largest_slope=answers.number(float(data[x]["slope"].max()), ""))
             for x, found in pays.items()]),
    ]  # fmt: skip


def _first(pays: np.ndarray, values: list[float]) -> float:
    return float(values[int(np.argmax(pays))]) if pays.any() else np.nan


def _from_some(pays: np.ndarray) -> str:
    """Whether it pays from an index above 0 on."""
    if not pays.any():
        return answers.UNDECIDED
    return answers.YES if not pays[0] and bool(np.all(np.diff(pays.astype(int)) >= 0)) else answers.NO


def draw(config: Mapping[str, Any], result: Result) -> Any:
    """Per place: the gain, coloured, with the best share in per cent written into the cells where it is not 0."""
    stds, levels = config["position_std_m"], config["levels_db"]
    figure = canvas(5.4 * len(result.drawing) + 0.8, 4.4)
    axes = figure.subplots(1, len(result.drawing), squeeze=False)[0]
    top = max(float(np.max(found["gain"])) for found in result.drawing.values())
    for axis, (x, found) in zip(axes, result.drawing.items(), strict=True):
        shown = axis.imshow(found["gain"], origin="lower", aspect="auto", cmap="viridis", vmin=1.0, vmax=max(top, 1.01))
        for (i, j), share in np.ndenumerate(found["share"]):
            light = found["gain"][i, j] < 1.0 + 0.6 * (top - 1.0)
            text = f"{found['gain'][i, j]:.2f}\n{100.0 * share:.1f} %" if share > 0.0 else "0"
            axis.text(j, i, text, ha="center", va="center", color="w" if light else "k", fontsize=9)
        axis.set_xticks(range(len(stds)), [f"{std:g}" for std in stds])
        axis.set_yticks(range(len(levels)), [f"{level:+g}" if level else "0" for level in levels])
        axis.set_xlabel("standard deviation of the predicted position, m")
        axis.set_title(f"x = {x:g} m", fontsize=10)
    axes[0].set_ylabel("echo level against the default, dB")
    figure.colorbar(shown, ax=list(axes), label="$\\max_a (1-a)\\phi(a)\\,/\\,\\phi(0)$ (below: best share a; 0: never sense)")
    return figure


FIGURE = Figure(
    name="reciprocity-pays",
    paper="vehicular",
    title="when sensing pays: gain and best share over prior and echo",
    configure=configure,
    scale=lambda config, scenes: config,
    units=units,
    summarise=summarise,
    draw=draw,
)
