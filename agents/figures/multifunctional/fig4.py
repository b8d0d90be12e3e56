"""Figure 4: the beampatterns of both half-spaces with the directions of users and targets, as heat maps and as surfaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import ris_gym
from agents.figures import answers
from agents.figures.base import Figure, Result, Unit
from agents.figures.multifunctional.curves import CURVES, model_fields, unit_key
from agents.figures.multifunctional.rules import ENOUGH, NAMES
from agents.figures.multifunctional.sweep import FORMS, scale, units_of
from agents.figures.points import Results, gather, point, scene_facts
from agents.stats import estimate

EXCESS_DB = 3.0
"""Least excess over the median of the half-space that counts as a beam."""

EXCESS = (
    "excess over the median direction of the target's half-space, worst target of the scene: reproduced if the 95 % interval of "
    f"its mean lies above {EXCESS_DB:g} dB, not reproduced if below. Weaker, stronger: the half-space of lower or higher echo "
    "SINR. Beside it, the share of directions that get more power."
)
BEAM = (
    "share of targets that are nearer than {beam:.1f} degrees of arc (half of the wider half-power beamwidth) to a local maximum "
    "above the median: reproduced if its 95 % interval over scenes lies above one half, not reproduced if below."
)


def configure(quick: bool) -> dict[str, Any]:
    """Preset `pattern`; the picture shows the first scene."""
    return {
        "forms": [*FORMS, "log"],
        "starts": 1 if quick else 3,
        "step_deg": 1.0,
        "scenes": 5 if quick else 20,
        "chunk": 10,
        "seed": 0,
        "system": {"preset": "pattern"},
    }


def _work(config: Mapping[str, Any], form: str) -> tuple[str, dict[str, Any]]:
    system = model_fields(CURVES["es"], form, config["system"])
    arguments = {"system": system, "options": {}, "starts": config["starts"], "step": config["step_deg"], "seed": config["seed"]}
    return f"{form}_{unit_key(CURVES['es'], system, starts=config['starts'], seed=config['seed'])}", arguments


def units(config: Mapping[str, Any]) -> list[Unit]:
    """Each objective."""
    out = []
    for form in config["forms"]:
        key, arguments = _work(config, form)
        out += list(units_of(config, key, "pattern", arguments))
    return out


Arrays = Mapping[str, np.ndarray]


def half_beam(system: Mapping[str, Any]) -> float:
    """Half of the wider half-power beamwidth (degrees) of the surface: 0.886 * 2 / n for n elements half a wavelength apart."""
    model: Any = ris_gym.systems.from_dict(system)
    least = min(model.num_elements_h, model.num_elements_v)
    return float(np.rad2deg(0.886 / least))


def summarise(config: Mapping[str, Any], results: Results) -> Result:
    """Levels and excesses of all targets, of the stronger and the weaker half-space."""
    rows: list[dict[str, Any]] = []
    drawing: dict[str, Arrays] = {}
    facts: dict[str, Any] = {}
    beam = 0.0
    for form in config["forms"]:
        key, arguments = _work(config, form)
        drawing[form] = gather(results, f"{key}_")
        beam = half_beam(arguments["system"])
        facts |= {"pattern": scene_facts(results, {key: config["scenes"]})[key]}
        served = drawing[form]["feasible"]
        for name in ("level", "excess", "stronger", "distance"):
            for target in range(drawing[form][name].shape[1]):
                values = drawing[form][name][served, target]
                rows.append({"objective": form, "quantity": name, "target": target, **point(values), "served": int(served.sum())})
    sides = ris_gym.systems.from_dict(_work(config, config["forms"][0])[1]["system"]).target_side
    return Result(rows=rows, answers=_questions(drawing, beam, sides), facts={"scenes": facts}, drawing=(drawing, sides))


def _questions(drawing: Mapping[str, Arrays], beam: float, sides: np.ndarray) -> list[dict[str, Any]]:
    places = [(form, which) for form in drawing for which in ("both", "stronger", "weaker")]
    return [
        answers.question("4.1", "The power towards each target is larger than elsewhere.",
                         EXCESS,
                         [_excess(form, which, drawing[form], sides) for form, which in places]),
        answers.question("4.2", "There is a beam on each target: a local maximum of the pattern.",
                         BEAM.format(beam=beam),
                         [_beam(form, which, drawing[form], sides, beam) for form, which in places]),
        answers.question("4.3", "The users' rates hold meanwhile.", "every scene is served. Beside it, the smallest rate.",
                         [_served(form, drawing[form]) for form in drawing]),
    ]  # fmt: skip


def _chosen(arrays: Arrays, which: str, sides: np.ndarray) -> np.ndarray:
    """Which targets (n, L) lie in the half-space asked for."""
    weak = np.argmin(arrays["echo"], axis=1)[:, None]
    if which == "both":
        return np.ones((len(weak), len(sides)), bool)
    return np.asarray(sides == (weak if which == "weaker" else 1 - weak))


def _per_scene(arrays: Arrays, values: np.ndarray, which: str, sides: np.ndarray, worst: bool) -> np.ndarray:
    """Smallest value or mean over the chosen targets of the scenes served (n,)."""
    chosen = _chosen(arrays, which, sides)
    found = np.where(chosen, values, np.inf).min(1) if worst else np.where(chosen, values, 0.0).sum(1) / chosen.sum(1)
    return np.asarray(found[arrays["feasible"]])


def _excess(form: str, which: str, arrays: Arrays, sides: np.ndarray) -> dict[str, Any]:
    found = estimate(_per_scene(arrays, arrays["excess"], which, sides, True))
    verdict = answers.UNDECIDED
    if found.count >= ENOUGH:
        verdict = answers.YES if found.low > EXCESS_DB else answers.NO if found.high < EXCESS_DB else verdict
    return answers.case(
        {"designs for": NAMES[form], "half-space": which},
        verdict,
        worst_target_above_the_median=answers.number(found),
        mean_target_above_the_median=answers.number(estimate(_per_scene(arrays, arrays["excess"], which, sides, False))),
        directions_that_get_more=answers.number(estimate(_per_scene(arrays, arrays["stronger"], which, sides, False)), "%", 0),
    )


def _beam(form: str, which: str, arrays: Arrays, sides: np.ndarray, beam: float) -> dict[str, Any]:
    near = estimate(_per_scene(arrays, np.asarray(arrays["distance"] <= beam, float), which, sides, False))
    distance = estimate(_per_scene(arrays, arrays["distance"], which, sides, False))
    verdict = answers.share_above(near) if near.count >= ENOUGH else answers.UNDECIDED
    numbers = {"targets near a maximum": answers.number(near, "%", 0), "distance": answers.number(distance, "degrees", 1)}
    return answers.case({"designs for": NAMES[form], "half-space": which}, verdict, **numbers)


def _served(form: str, arrays: Arrays) -> dict[str, Any]:
    served = arrays["feasible"]
    return answers.case(
        {"designs for": NAMES[form]},
        answers.YES if served.all() else answers.NO,
        served=answers.number(int(served.sum()), f"of {len(served)}", 0),
        smallest_rate=answers.number(float(arrays["rate"].min()), "bit/s/Hz", 3),
        weaker_side=answers.number(estimate(arrays["echo"].min(1)[served])),
        stronger_side=answers.number(estimate(arrays["echo"].max(1)[served])),
    )


def draw(config: Mapping[str, Any], result: Result) -> Any:
    """Heat maps and surfaces of the first scene."""
    from agents.figures.multifunctional.pattern_pictures import draw_patterns

    return draw_patterns(config, result)


FIGURE = Figure(
    name="multifunctional-fig4",
    paper="multifunctional",
    title="beampatterns of both half-spaces with the directions of users and targets",
    configure=configure,
    scale=scale,
    units=units,
    summarise=summarise,
    draw=draw,
)
