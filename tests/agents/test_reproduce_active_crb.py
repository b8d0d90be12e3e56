"""The figures of `active_crb`: equal channels at every x, what must hold between curves, resumption, answers from known data."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import baselines
import ris_gym
from agents.figures import answers
from agents.figures.active_crb import FIGURES as ALL
from agents.figures.active_crb import fig2, fig6, fig7, gaps, remarks, remarks_work, rules, sweep, work
from agents.figures.base import Figure
from agents.figures.work import chunk_of
from agents.reproduce import configuration, reproduce
from agents.scenes import frozen_scenes
from baselines.active_crb.units import Channels
from baselines.policy import scene_generators

SMALL: dict[str, Any] = {"num_antennas": 3, "num_elements": 2, "num_users": 1, "num_scatterers": 4, "noise_user_dbm": -105.0}
COMMON: dict[str, Any] = {"scenes": 3, "chunk": 3, "system": SMALL}
FIGURES: dict[str, Figure] = {figure.name.partition("-")[2]: figure for figure in ALL}
TEXT: dict[str, dict[str, Any]] = {"remarks": {"caps_db": [30.0, 60.0], "budgets_dbm": [0.0, 20.0], "draws": 3}, "gaps": {}}


def tiny(name: str, **more: Any) -> dict[str, Any]:
    """A configuration of seconds: three small scenes, two values of x."""
    config = configuration(FIGURES[name], quick=True, overrides={**COMMON, **TEXT.get(name, {}), **more})
    if "panels" in config:
        config["panels"] = [{**panel, "values": [panel["values"][0], panel["values"][-1]]} for panel in config["panels"]]
    return config


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    folder = tmp_path_factory.mktemp("figures")
    return {name: reproduce(figure, tiny(name), folder) for name, figure in FIGURES.items()}


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", list(FIGURES))
def test_files(made: dict[str, list[Path]], name: str) -> None:
    table, facts, picture = made[name]
    points = rows(table)
    assert points and {"mean", "low", "high", "count"} <= set(points[0])
    for row in points:
        if row["low"]:
            assert float(row["low"]) - 1e-9 <= float(row["mean"]) <= float(row["high"]) + 1e-9, row
        if "served" in row:
            assert int(row["served"]) + int(row["certified_infeasible"]) + int(row["failed"]) == 3
    stored = json.loads(facts.read_text())
    assert len({entry["sha256"] for entry in stored["scenes"].values()}) == 1  # the same channels in all panels
    assert all(question["cases"] for question in stored["answers"])
    assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 5000


@pytest.mark.parametrize("name", list(FIGURES))
def test_full_and_quick_configurations(name: str) -> None:
    for quick in (False, True):
        config = configuration(FIGURES[name], quick, scenes=7)
        units = FIGURES[name].units(config)
        assert json.loads(json.dumps(config)) == config
        assert len({unit.key for unit in units}) == len(units)
        assert all(json.dumps(dict(unit.arguments)) and unit.size == 7 for unit in units)
    assert configuration(FIGURES[name])["scenes"] >= 10 and configuration(FIGURES[name], quick=True)["scenes"] == 3


def test_sizes_of_the_figures_are_those_of_the_model() -> None:
    values = {
        name: configuration(FIGURES[name])["panels"][0]["values"] for name in ("fig2", "fig3", "fig4", "fig5", "fig6", "fig7")
    }
    assert values == {
        "fig2": [10, 15, 20, 25, 30, 35, 40, 50, 60],
        "fig3": [20, 25, 30, 35, 40],
        "fig4": [-10, -5, 0, 5, 10, 20],
        "fig5": [25, 30, 35, 40],
        "fig6": [-5, 0, 5, 10],
        "fig7": [0, 6, 12, 13, 14, 15, 18],
    }
    main, low = configuration(FIGURES["fig5"])["panels"]
    assert low["values"] == [-20, -15, -10, 0] and main["alone"] == low["alone"] == ["passive"]
    system = {unit.key: unit.arguments["system"] for unit in FIGURES["fig5"].units(configuration(FIGURES["fig5"]))}
    assert system["power_25_ao+20dB_0"]["max_gain_db"] == 20 and system["power_25_ao+30dB_0"]["max_gain_db"] == 30
    assert system["power_25_ao+20dB_0"]["power_dbm"] == 25 and system["low_-10_ao+30dB_0"]["sinr_threshold_db"] == -10


def test_channels_and_phases_are_the_same_at_every_x() -> None:
    base = ris_gym.systems.make("active_crb", sinr_threshold_db=None, **SMALL)
    frozen = frozen_scenes(base, "test", 3).scene
    found = {}
    for budget in (0.0, 10.0):
        system = ris_gym.systems.make("active_crb", sinr_threshold_db=None, max_gain_db=40.0, surface_power_dbm=budget, **SMALL)
        model, scene, rng, digest = chunk_of(system.to_dict(), 0, 1, 3)
        for name in ("bs_ris", "ris_user", "target_response"):
            np.testing.assert_array_equal(getattr(scene, name), getattr(frozen, name)[1:3])
        design: Any = baselines.make("transmit_only", model).solve(model.known(scene), rng).design
        found[budget] = (str(digest), np.angle(design.coefficients), scene.reference["lower_bound_db"])
    assert found[0.0][0] == found[10.0][0]
    np.testing.assert_allclose(found[0.0][1], found[10.0][1], atol=1e-12)
    assert (found[0.0][2] > found[10.0][2] + 1.0).all()  # constants are those of each system's budget


def level(path: Path) -> dict[tuple[str, str, str, str], float]:
    """Means by (panel, x, group, curve)."""
    return {
        (row["panel"], row["x"], row["group"], row["curve"]): float(row["mean"]) for row in rows(path) if int(row["count"]) > 0
    }


@pytest.mark.parametrize("name", ["fig2", "fig3", "fig4", "fig5", "fig6", "fig7"])
def test_what_must_hold_between_the_curves(made: dict[str, list[Path]], name: str) -> None:
    found = level(made[name][0])
    assert found
    for (panel, x, group, curve), mean in found.items():
        if curve == "passive":
            continue
        bound = found.get((panel, x, group, "bound"))
        assert bound is None or mean >= bound - 1e-4, (x, group, curve)
        other = found.get((panel, x, group, "transmit_only"))
        if curve in ("ao", "direct") and other is not None:  # they begin at its surface wherever it serves the users
            assert mean <= other + 1e-4, (x, group, curve)


def test_an_interrupted_run_goes_on_and_chunks_do_not_matter(tmp_path: Path, made: dict[str, list[Path]]) -> None:
    figure, calls = FIGURES["fig4"], []

    def stop(name: str, done: int, total: int) -> None:
        calls.append((done, total))
        if done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reproduce(figure, tiny("fig4", chunk=2), tmp_path, progress=stop)
    calls.clear()
    again = reproduce(figure, tiny("fig4", chunk=2), tmp_path, progress=lambda name, done, total: calls.append((done, total)))
    assert calls[0] == (5, 24) and calls[-1] == (24, 24)  # 2 values, 4 curves, 3 scenes in chunks of 2 and 1
    for one, other in zip(rows(made["fig4"][0]), rows(again[0]), strict=True):  # those have a single chunk
        assert float(one["mean"]) == pytest.approx(float(other["mean"]), abs=2e-3) and one["count"] == other["count"]


def line(nmse: Any, feasible: Any = True) -> dict[str, np.ndarray]:
    nmse = np.asarray(nmse, float)
    return {"nmse": nmse, "feasible": np.broadcast_to(np.asarray(feasible), nmse.shape).copy()}


BASE = np.linspace(-1.0, 1.0, 40)
NOISE = 0.05 * np.random.default_rng(0).normal(size=40)


def test_common_scenes() -> None:
    entry = sweep.panel("p", "power_dbm", "x", [1.0], ["ao", "transmit_only"], alone=("passive",))
    half, few = np.arange(40) < 20, np.arange(40) < 3
    curves = {"ao": line(BASE), "transmit_only": line(BASE, half), "passive": line(BASE, False)}
    np.testing.assert_array_equal(sweep.common(entry, curves, ""), half)
    curves["transmit_only"] = line(BASE, few)  # too few to have a say
    assert sweep.common(entry, curves, "").all()
    none = {name: line(BASE, False) for name in curves}
    assert not sweep.common(entry, none, "").any()


def test_differences_are_paired_over_scenes_served_by_both() -> None:
    first = line(BASE - 1.0, np.arange(40) >= 10)
    second = line(np.where(np.arange(40) < 30, BASE, 99.0), np.arange(40) < 30)
    found = rules.lower(first, second)
    assert found.count == 20 and found.value == pytest.approx(1.0)
    assert rules.judged(found) == answers.YES and rules.judged(rules.lower(second, first)) == answers.NO
    few = rules.lower(line(BASE[:4]), line(BASE[:4] + 9.0))
    assert few.value == pytest.approx(9.0) and rules.judged(few) == answers.UNDECIDED


def test_steps_and_constancy() -> None:
    entry = sweep.panel("p", "power_dbm", "x", [1.0, 2.0, 3.0, 4.0], ["a", "b", "c", "d"])
    shifts = {"a": (9, 4, 0, 0.1), "b": (9, 6, 3, 0), "c": (9, 6, 3, 5), "d": (0, 0, 0, 0.0)}
    curves = {
        float(x): {name: line(BASE + NOISE * x + shift[x - 1], name != "d" or x < 4) for name, shift in shifts.items()}
        for x in (1, 2, 3, 4)
    }
    found = {item["where"]["curve"]: item["verdict"] for item in rules.going_on({**entry, "grouped": "g"}, {"p": curves}, "abcd")}
    assert found == {"a": "constant", "b": "falls", "c": "rises", "d": answers.UNDECIDED}
    assert rules.constant_from(curves, "a") == 3.0
    assert np.isnan(rules.constant_from(curves, "b"))
    assert rules.fall(curves, "b").value == pytest.approx(9.0, abs=0.2)


def test_answers_of_figure_2_from_known_data() -> None:
    config = configuration(fig2.FIGURE, quick=True)
    shifts = {"0dBm": (0, -5, -4.9), "5dBm": (0, -5, -12), "10dBm": (0, -5, -20)}
    curves = {
        x: {f"{curve}+{group}": line(BASE + shift[i]) for group, shift in shifts.items() for curve in ("transmit_only", "bound")}
        for i, x in enumerate(config["panels"][0]["values"])
    }
    for lines in curves.values():
        lines["bound+10dBm"] = line(lines["bound+10dBm"]["nmse"] - 3.0)
    found = {item["id"]: item for item in fig2.questions(config, {"gain": curves})}
    assert found["2.1"]["verdict"].startswith("depends on P_s (0 dBm: not reproduced, 5 dBm: reproduced")
    assert found["2.1"]["cases"][0]["numbers"]["lowest at a gain of"]["value"] == 30.0
    assert found["2.3"]["verdict"] == answers.YES
    assert found["2.3"]["cases"][0]["numbers"]["separate from"]["value"] == 60.0
    assert found["2.4"]["verdict"] == "depends on P_s (0 dBm: reproduced, 5 dBm: reproduced, 10 dBm: not reproduced)"


def test_answers_of_figure_6_from_known_data() -> None:
    config = configuration(fig6.FIGURE)
    few = np.arange(40) < 3
    gap = {-5.0: 9.0, 0.0: 0.1, 5.0: 1.0, 10.0: 2.0}
    curves = {
        x: {
            "ao": line(BASE, few if x < 0 else True),
            "direct": line(BASE),
            "transmit_only": line(BASE + opened + NOISE),
            "zero_forcing": line(BASE + 1.5),
            "bound": line(BASE - 1.0),
        }
        for x, opened in gap.items()
    }
    found = {item["id"]: item for item in fig6.questions(config, {"surface": curves})}
    assert found["6.1"]["verdict"] == answers.YES and found["6.1"]["cases"][0]["where"]["surface power P_s, dBm"] == "0"
    assert found["6.2"]["verdict"] == answers.YES
    assert found["6.2"]["cases"][0]["numbers"]["growth of the gap"]["value"] == pytest.approx(1.9, abs=1e-6)
    verdicts = {tuple(item["where"].values()): item["verdict"] for item in found["6.3"]["cases"]}
    assert verdicts[("transmit_only", "5")] == answers.YES and verdicts[("transmit_only", "10")] == answers.NO
    nobody = {x: {name: line(BASE, False) for name in lines} for x, lines in curves.items()}
    assert {item["verdict"] for item in fig6.questions(config, {"surface": nobody})} == {answers.UNDECIDED}


def test_answers_of_figure_7_from_known_data() -> None:
    config = configuration(fig7.FIGURE, quick=True)
    half = np.arange(40) < 20
    at = {
        0.0: {"ao": line(BASE), "transmit_only": line(BASE)},
        12.0: {"ao": line(BASE), "transmit_only": line(BASE + 1.0 + NOISE)},
        18.0: {"ao": line(BASE + 0.1, half), "transmit_only": line(BASE)},
    }
    curves = {x: {**lines, "zero_forcing": line(BASE + 2.0, half), "direct": lines["ao"]} for x, lines in at.items()}
    found = {item["id"]: item for item in fig7.questions(config, {"threshold": curves})}
    region = {tuple(item["where"].values()): item["verdict"] for item in found["7.1"]["cases"]}
    assert region[("transmit_only", "0")] == "equal" and region[("transmit_only", "12")] == answers.YES
    assert region[("transmit_only", "18")] == answers.NO and region[("zero_forcing", "0")] == answers.YES
    assert found["7.2"]["verdict"] == answers.YES and len(found["7.2"]["cases"]) == 2
    assert found["7.3"]["verdict"] == answers.YES


def test_answers_of_the_text_from_known_data() -> None:
    zero = {"crb": np.zeros(30), "surface": BASE[:30], "sinr": BASE[:30]}
    assert remarks._phases({"task": "t"}, zero)["verdict"] == answers.YES
    assert remarks._phases({"task": "t"}, {**zero, "crb": np.full(30, 0.01)})["verdict"] == answers.NO
    flags = np.arange(30) < 10
    form = {"holds": flags, "norm": flags & (np.arange(30) < 5), "trace": np.zeros(30, bool), "above": np.where(flags, 0.0, 2.0)}
    assert remarks._closed({}, form)["verdict"] == answers.YES
    assert remarks._closed({}, {**form, "above": np.full(30, 2.0)})["verdict"] == answers.NO
    none = {**form, "holds": ~np.ones(30, bool), "norm": ~np.ones(30, bool)}
    assert remarks._closed({}, none)["verdict"] == answers.UNDECIDED
    ends = {"below": np.zeros(200), "lowest": np.zeros(200)}
    for positive, verdict in ((0, answers.YES), (60, answers.NO), (10, answers.UNDECIDED)):
        assert remarks._best({}, {**ends, "best": np.where(np.arange(200) < positive, 0.1, -0.1)})["verdict"] == verdict
    for mean, verdict in ((-30.0, answers.YES), (-10.0, answers.NO), (-20.0, answers.UNDECIDED)):
        assert remarks._noise({}, {"ratio": BASE + mean, "loop": BASE})["verdict"] == verdict
    for lost, verdict in ((0.0, answers.YES), (1.0, answers.NO)):
        values = dict.fromkeys(("beta", "gain", "formula"), BASE)
        assert remarks._scaling({}, {**values, "loss": np.full(40, lost)})["verdict"] == verdict
    gap = {"gap": np.full(20, 0.2), "feasible": np.ones(20, bool), "possible": np.ones(20, bool), "rounds": np.ones(20)}
    for limit, verdict in ((0.3, answers.YES), (0.1, answers.NO)):
        assert gaps._gap({}, {**gap, "seconds": np.ones(20)}, limit)["verdict"] == verdict


def system(**fields: Any) -> dict[str, Any]:
    """The default sizes, sensing only."""
    return ris_gym.systems.make("active_crb", **{"sinr_threshold_db": None, **fields}).to_dict()


def test_conditions_of_the_closed_form_imply_each_other() -> None:
    found: dict[str, list[bool]] = {"holds": [], "norm": [], "trace": []}
    for budget in (-10.0, 5.0, 10.0, 13.0, 25.0):
        part = remarks_work.closed(system(surface_power_dbm=budget), 0, 0, 20)
        assert (part["holds"] | ~part["norm"]).all() and (part["norm"] | ~part["trace"]).all()
        assert np.abs(part["above"][part["holds"]]).max(initial=0.0) < 1e-6
        assert (part["above"][~part["holds"]] > 0.0).all()
        for name, flags in found.items():
            flags += part[name].tolist()
    assert all(0 < sum(flags) < len(flags) for flags in found.values())


def test_derivatives_at_the_cap_against_differences() -> None:
    fields = system(max_gain_db=60.0)
    found = remarks_work.amplitudes(fields, 0, 0, 3)
    model, scene, rng, _ = chunk_of(fields, 0, 0, 3)
    channels = Channels.of(model, model.known(scene))
    policy: Any = baselines.make("direct", model)
    step = policy.begin(channels, scene_generators(rng, 3))
    beams, sensing = channels.design(step.beams)
    fixed, best = [], []
    for n in range(8):
        ends = []
        for sign in (1.0, -1.0):
            v = step.v.copy()
            v[:, n] *= np.exp(sign * 1e-4)
            same: Any = model.evaluate(scene, model.design(beams=beams, sensing_beams=sensing, coefficients=v))
            ends.append((same.objective, policy.step(channels, v).value))
        slope = np.log(10.0) / 10.0 * (np.array(ends[0]) - np.array(ends[1])) / 2e-4
        fixed.append(slope[0])
        best.append(slope[1])
    np.testing.assert_allclose(found["fixed"], np.max(fixed, axis=0), rtol=1e-5)
    np.testing.assert_allclose(found["best"], np.max(best, axis=0), atol=1e-5)


def test_scaling_and_starts() -> None:
    high = remarks_work.scaling(system(max_gain_db=70.0), 0, 0, 4)
    assert (high["gain"] > 1.0).all() and (high["beta"] < -1.0).all() and (high["loss"] >= -1e-6).all()
    low = remarks_work.scaling(system(max_gain_db=20.0), 0, 0, 4)
    np.testing.assert_allclose(low["beta"], 0.0, atol=1e-6)
    limited = system(surface_power_dbm=-5.0)
    cap, escaped, stuck = (
        remarks_work.gaps(limited, policy, options, 0, 0, 3)["gap"]
        for policy, options in (("ao", {}), ("ao", {"level": 0.3}), ("ao_without_scaling", {"level": 0.3}))
    )
    assert (np.abs(cap - escaped) < 0.05).all() and (stuck > cap + 1.0).all() and (cap > -1e-6).all()


def test_units_of_a_policy_and_of_the_bound() -> None:
    fields = ris_gym.systems.make("active_crb", **{**SMALL, "sinr_threshold_db": 60.0}).to_dict()  # no one can be served
    bound = work.bound(fields, 0, 0, 2)
    made = work.solve(fields, "ao", {}, 0, 0, 2)
    assert str(bound["scenes"]) == str(made["scenes"])
    assert not bound["feasible"].any() and not made["feasible"].any() and np.isfinite(made["nmse"]).all()


def test_benchmarks_serve_no_scene_by_other_means_than_their_own() -> None:
    """Where the transmit step fails at the random phases, these phases fail; better ones do not count for `transmit_only`."""
    fields = system(sinr_threshold_db=12.0, power_dbm=35.0, max_gain_db=20.0)
    model, scene, rng, _ = chunk_of(fields, 0, 0, 12)
    channels = Channels.of(model, model.known(scene))
    policy: Any = baselines.make("transmit_only", model)
    v = policy.random_surface(channels, scene_generators(rng, 12))
    served = policy.step(channels, v).feasible
    solution = policy.solve(model.known(scene), chunk_of(fields, 0, 0, 12)[2])
    assert 0 < served.sum() < 12
    np.testing.assert_array_equal(solution.feasible, served)
    np.testing.assert_allclose(solution.design.coefficients, v)
