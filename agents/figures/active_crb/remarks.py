"""Statements of the text: Remarks 1 and 2, Propositions 4 and 6 to 8, and the noise that the model neglects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

import ris_gym
from agents.figures import answers
from agents.figures.base import Figure, Result, Unit
from agents.figures.points import Results, chunks, columns, gather, scene_facts
from agents.stats import Estimate, estimate

WORK = "agents.figures.active_crb.remarks_work"
SENSING: dict[str, Any] = {"sinr_threshold_db": None}
CAPS = [20.0, 30.0, 40.0, 50.0, 60.0, 70.0]
BUDGETS = [-5.0, 0.0, 5.0, 10.0, 15.0, 20.0]
TASKS: dict[str, dict[str, Any]] = {
    "sensing only": SENSING,
    "SINR 12 dB": {},
    "SINR 15 dB": {"sinr_threshold_db": 15.0},
    "sensing only, P_s -5 dBm": {**SENSING, "surface_power_dbm": -5.0},
    "SINR 12 dB, P_s 0 dBm": {"surface_power_dbm": 0.0},
}
EXACT_DB = 1e-4
"""Changes of no more count as none."""
FEW = 0.05
"""Share of scenes up to which something counts as never."""
FALLS = 1e-4
"""A derivative of log CRB by log a_n above this asks for a smaller amplitude."""
NEGLIGIBLE_DB = -20.0
"""Noise of no more, against that of the second pass, is negligible."""


def settings(config: Mapping[str, Any]) -> dict[str, list[tuple[dict[str, Any], dict[str, Any]]]]:
    """Unit function -> its settings: columns of the table, parameters of the system."""
    tasks = [({"task": name}, fields) for name, fields in TASKS.items()]
    budgets = [({"P_s, dBm": f"{x:g}"}, {**SENSING, "surface_power_dbm": x}) for x in config["budgets_dbm"]]
    caps = [({"cap, dB": f"{x:g}"}, {**SENSING, "max_gain_db": x}) for x in config["caps_db"]]
    return {
        "phases": tasks,
        "closed": budgets,
        "amplitudes": [
            *(({**place, "cap, dB": "30"}, fields) for place, fields in tasks),
            *(({"task": "sensing only", **place}, fields) for place, fields in caps if fields["max_gain_db"] != 30.0),
        ],
        "scaling": caps,
        "noise": [
            *(({"task": "sensing only", **place}, fields) for place, fields in caps),
            ({"task": "SINR 12 dB", "cap, dB": "30"}, {}),
        ],
    }


def configure(quick: bool) -> dict[str, Any]:
    """Caps and surface powers, draws of the phases."""
    return {
        "caps_db": [20.0, 30.0, 60.0] if quick else CAPS,
        "budgets_dbm": [0.0, 5.0, 20.0] if quick else BUDGETS,
        "draws": 10 if quick else 100,
        "scenes": 3 if quick else 50,
        "chunk": 50,
        "seed": 0,
        "system": {},
    }


def scale(config: dict[str, Any], scenes: int) -> dict[str, Any]:
    """Another number of scenes."""
    return {**config, "scenes": scenes}


def units(config: Mapping[str, Any]) -> list[Unit]:
    """All settings of all statements, keys `text_<function>-<number>_<first scene>`."""
    out = []
    for function, places in settings(config).items():
        for number, (_, fields) in enumerate(places):
            system = ris_gym.systems.make("active_crb", **{**fields, **config["system"]}).to_dict()
            for first, stop in chunks(config["scenes"], config["chunk"]):
                arguments: dict[str, Any] = {"system": system, "seed": config["seed"], "first": first, "stop": stop}
                if function == "phases":
                    arguments["draws"] = config["draws"]
                key = f"text_{function}-{number}_{first}"
                out.append(Unit(key=key, function=f"{WORK}:{function}", arguments=arguments, size=stop - first))
    return out


Arrays = Mapping[str, np.ndarray]
Cases = list[dict[str, Any]]


def summarise(config: Mapping[str, Any], results: Results) -> Result:
    """Rows and tables."""
    rows: list[dict[str, Any]] = []
    cases: dict[str, Cases] = {name: [] for name in ("R1", "R2", "P4a", "P4b", "P6", "N")}
    drawing: dict[str, list[tuple[Mapping[str, Any], Arrays]]] = {}
    judges: dict[str, Iterable[tuple[str, Callable[[Mapping[str, Any], Arrays], dict[str, Any]]]]] = {
        "phases": [("R1", _phases)],
        "closed": [("R2", _closed)],
        "amplitudes": [("P4a", _fixed), ("P4b", _best)],
        "scaling": [("P6", _scaling)],
        "noise": [("N", _noise)],
    }
    for function, places in settings(config).items():
        drawing[function] = []
        for number, (place, _) in enumerate(places):
            arrays = gather(results, f"text_{function}-{number}_")
            served = arrays["feasible"]
            used = {key: value[served] for key, value in arrays.items()}
            drawing[function].append((place, used))
            for name, judge in judges[function]:
                cases[name].append(judge(place, used))
            setting = ", ".join(f"{key} {value}" if key != "task" else value for key, value in place.items())
            for key, value in used.items():
                if key != "feasible":
                    found = estimate(np.asarray(value, float))
                    rows.append({"statement": function, "setting": setting, "quantity": key, **columns(found, 6)})
    facts = {"scenes": scene_facts(results, {"text": config["scenes"]})}
    return Result(rows=rows, answers=_questions(cases, config), facts=facts, drawing=drawing)


def _largest(values: np.ndarray) -> float:
    return float(values.max()) if values.size else np.nan


def _phases(place: Mapping[str, Any], arrays: Arrays) -> dict[str, Any]:
    largest = _largest(arrays["crb"])
    fall = {"largest fall of the smallest SINR": answers.number(estimate(arrays["sinr"]), "dB", 1)}
    if "sensing" in place["task"]:
        fall = {}
    return answers.case(
        place,
        answers.UNDECIDED if np.isnan(largest) else answers.YES if largest <= EXACT_DB else answers.NO,
        largest_change_of_the_CRB=answers.number(largest, "dB", 4),
        largest_change_of_the_surface_power=answers.number(estimate(arrays["surface"]), "dB", 3),
        **fall,
    )


def _closed(place: Mapping[str, Any], arrays: Arrays) -> dict[str, Any]:
    holds, above = arrays["holds"], arrays["above"]
    inside, outside = _largest(np.abs(above[arrays["norm"] | arrays["trace"] | holds])), estimate(above[~holds])
    return answers.case(
        place,
        answers.UNDECIDED if np.isnan(inside) else answers.YES if inside <= EXACT_DB else answers.NO,
        paper_condition=answers.number(answers.share(arrays["trace"]), "%", 0),
        **{"lambda_max condition": answers.number(answers.share(arrays["norm"]), "%", 0)},
        exact_condition=answers.number(answers.share(holds), "%", 0),
        optimum_above_the_closed_form_where_one_holds=answers.number(inside, "dB", 4),
        elsewhere=answers.number(outside),
    )


def _fixed(place: Mapping[str, Any], arrays: Arrays) -> dict[str, Any]:
    largest = _largest(arrays["fixed"])
    return answers.case(
        place,
        answers.UNDECIDED if np.isnan(largest) else answers.YES if largest < 0.0 else answers.NO,
        largest_derivative=answers.number(largest, "", 3),
    )


def _best(place: Mapping[str, Any], arrays: Arrays) -> dict[str, Any]:
    asks = answers.share(arrays["best"] > FALLS)
    more = answers.share_above(asks, FEW)
    verdict = {answers.YES: answers.NO, answers.NO: answers.YES}.get(more, answers.UNDECIDED)
    return answers.case(
        place,
        verdict,
        scenes_with_a_positive_derivative=answers.number(asks, "%", 0),
        largest_derivative=answers.number(_largest(arrays["best"]), "", 3),
        **{"elements that direct leaves below the cap": answers.number(estimate(arrays["below"]), "%", 0)},
        lowest_of_them=answers.number(float(arrays["lowest"].min(initial=0.0)), "dB", 2),
    )


def _scaling(place: Mapping[str, Any], arrays: Arrays) -> dict[str, Any]:
    lost = estimate(arrays["loss"])
    return answers.case(
        place,
        answers.close(lost, answers.SHOWN_DB),
        scaled_below_the_cap=answers.number(answers.share(arrays["beta"] < -0.01), "%", 0),
        best_factor_of_the_gain=answers.number(estimate(arrays["beta"])),
        fall_of_the_CRB=answers.number(estimate(arrays["gain"])),
        closed_form_factor=answers.number(estimate(arrays["formula"])),
        closed_form_loses=answers.number(lost),
    )


def _noise(place: Mapping[str, Any], arrays: Arrays) -> dict[str, Any]:
    ratio = estimate(arrays["ratio"])
    return answers.case(
        place,
        _below(ratio, NEGLIGIBLE_DB),
        neglected_noise=answers.number(ratio, "dB", 1),
        most=answers.number(_largest(arrays["ratio"]), "dB", 1),
        loop_gain=answers.number(estimate(arrays["loop"]), "dB", 1),
    )


def _below(found: Estimate, limit: float) -> str:
    if not found.count:
        return answers.UNDECIDED
    return answers.YES if found.high < limit else answers.NO if found.low > limit else answers.UNDECIDED


def _questions(cases: Mapping[str, Cases], config: Mapping[str, Any]) -> list[dict[str, Any]]:
    draws = config["draws"]
    return [
        answers.question(
            "R1",
            "Remark 1: at a given covariance R the CRB does not depend on the phases of the surface.",
            f"at the design of `ao` the phases are drawn anew {draws} times, R and amplitudes kept: the largest change of the "
            f"CRB over scenes and draws is at most {EXACT_DB:g} dB. What does depend on the phases stands beside it (means of "
            "the largest change per scene).",
            cases["R1"],
        ),
        answers.question(
            "R2",
            "Remark 2: where the surface power does not bind, the closed form (30) is optimal.",
            "sensing only, random phases at the cap. Shares of scenes in which the sufficient condition tr(S) P_0 <= P_1 (the "
            "paper uses conditions of this kind), the weaker one with the largest eigenvalue, and the exact one hold. "
            f"Reproduced if the optimum of the transmit step equals the closed form within {EXACT_DB:g} dB wherever one of them "
            "holds; undecided where none holds in any scene.",
            cases["R2"],
        ),
        answers.question(
            "P4a",
            "Proposition 4: at given beams the CRB falls with every amplitude.",
            "the largest derivative of log CRB by log a_n at the cap, over scenes and elements, is negative.",
            cases["P4a"],
        ),
        answers.question(
            "P4b",
            "Hence the cap is the best amplitude for every element, also when the beams follow.",
            f"share of scenes in which some derivative of log CRB by log a_n, with the best beams for each surface, exceeds "
            f"{FALLS:g} at the cap: reproduced if below {100 * FEW:.0f} %, not reproduced if above (95 % interval). Beside it, "
            "where `direct` ends.",
            cases["P4b"],
        ),
        answers.question(
            "P6",
            "Propositions 6 to 8: the joint scaling of R and the amplitudes has its optimum at the cap or at the closed form.",
            "sensing only, from the best beams at the cap, search over the factor of a^2 against min(cap, beta*): reproduced if "
            f"the closed form loses no more than {answers.SHOWN_DB} dB (95 % interval).",
            cases["P6"],
        ),
        answers.question(
            "N",
            "The noise of the first pass that returns through the target is negligible.",
            f"its power at the base station over that of the second pass's noise, at the design of `ao`: reproduced if the 95 % "
            f"interval of the mean lies below {NEGLIGIBLE_DB:g} dB. Loop gain: largest amplitude times the norm of H.",
            cases["N"],
        ),
    ]


def draw(config: Mapping[str, Any], result: Result) -> Any:
    """Conditions of the closed form over P_s; derivatives at the cap, the scaling's gain and the neglected noise over the cap."""
    from agents.figures.active_crb.text_pictures import draw_remarks

    return draw_remarks(config, result)


FIGURE = Figure(
    name="active_crb-remarks",
    paper="active_crb",
    title="Remarks 1 and 2, Propositions 4 and 6 to 8, the neglected noise",
    configure=configure,
    scale=scale,
    units=units,
    summarise=summarise,
    draw=draw,
)
