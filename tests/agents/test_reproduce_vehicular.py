"""The figures of `vehicular`: curves and passes are those of the optimum and of the system, rules on made-up data, the page."""

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
from agents.figures.base import Figure
from agents.figures.vehicular import fig4, fig4_answers, pays, policies, policies_answers, work
from agents.reproduce import configuration, reproduce, select
from agents.rollouts import rollout
from agents.scenes import generator
from baselines.vehicular import BENCHMARKS
from baselines.vehicular.allocation import flexible_slots, frame

ALL = (fig4.FIG4, fig4.SETTINGS, pays.FIGURE, policies.FIGURE)
FIGURES: dict[str, Figure] = {figure.name.removeprefix("reciprocity-"): figure for figure in ALL}
RESULTS = Path(__file__).parents[2] / "docs" / "results"


def tiny(name: str) -> dict[str, Any]:
    """A configuration of seconds."""
    config = configuration(FIGURES[name], quick=True)
    if name == "policies":
        return config | {"scenes": 2, "system": {"num_frames": 6}}
    return config | ({"grid": {"flexible": 101, "equal": 21}} if name.startswith("fig4") else {})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    folder = tmp_path_factory.mktemp("figures")
    return {name: reproduce(figure, tiny(name), folder) for name, figure in FIGURES.items()}


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", FIGURES)
def test_files(made: dict[str, list[Path]], name: str) -> None:
    table, facts, picture = made[name]
    assert {path.stem for path in made[name]} == {f"reciprocity-{name}"} and "mean" in rows(table)[0]
    stored = json.loads(facts.read_text())
    assert stored["scenes"] and all(question["cases"] for question in stored["answers"])
    assert answers.render(stored).count("**") > 4
    assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 5000


def test_the_figures_are_found_by_name_and_by_system() -> None:
    assert [figure for figure in select(["vehicular"]) if figure in ALL] == list(ALL)
    assert select(["reciprocity-fig4"]) == [fig4.FIG4] and set(FIGURES) == {"fig4", "fig4-settings", "pays", "policies"}


@pytest.mark.parametrize("name", FIGURES)
def test_full_and_quick_configurations(name: str) -> None:
    for quick in (False, True):
        config = configuration(FIGURES[name], quick, scenes=7)
        units = FIGURES[name].units(config)
        assert json.loads(json.dumps(config)) == config
        assert len({unit.key for unit in units}) == len(units) and {unit.size for unit in units} <= {1, 7}


def test_values_of_the_figures_are_those_of_the_model() -> None:
    config = configuration(fig4.FIG4)
    assert config["thresholds_db"] == list(range(8, 25)) and config["grid"] == {"flexible": 1201, "equal": 201}
    (panel,) = config["panels"]
    assert (panel["position_m"], panel["position_std_m"], panel["slots"]) == ([-20.0, 0.0, 20.0], 0.5, "flexible")
    panels = {(p["layout"], p["position_std_m"], p["slots"]) for p in configuration(fig4.SETTINGS)["panels"]}
    assert panels == {(layout, std, "flexible") for layout in ("wide", "close") for std in (0.3, 0.5, 1.0, 2.0)} | {
        (layout, 0.5, "equal") for layout in ("wide", "close")
    }
    config = configuration(pays.FIGURE)
    assert config["position_std_m"] == [0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0] and config["positions_m"] == [0.0, 40.0]
    assert config["levels_db"] == [-30.0, -20.0, -10.0, 0.0, 10.0] and (config["least"], config["count"]) == (1e-4, 401)
    config = configuration(policies.FIGURE)
    assert config["seeds"] == [101, 102, 103] and config["scenes"] == 24
    counts = [len(policies.lines_of(config, preset)) for preset in ("tracking", "requirement", "reciprocity")]
    assert counts == [13, 13, 17] and len(policies.units(config)) == 3 * sum(counts)


def test_rates_are_the_optimum_of_each_scheme(made: dict[str, list[Path]]) -> None:
    points = rows(made["fig4"][0])
    system = ris_gym.systems.make("vehicular", preset="reciprocity", c_assist=False)
    scene = frame(system, [-20.0, 0.0, 20.0], 15.0, 0.5, 0.2)
    found = flexible_slots(scene, [16.0], 101)
    told = {(r["scheme"], r["quantity"]): float(r["mean"]) for r in points if r["threshold_db"] == "16.0"}
    assert told["w/o c", "rate"] == pytest.approx(found.rate[0], abs=1e-5)
    assert told["w/o c", "dedicated"] == pytest.approx(found.dedicated.sum(), abs=1e-5)
    assert told["w/o c", "least"] == pytest.approx(np.sum(10**1.6 / scene.full), abs=1e-5)
    assert told["s&c", "least"] == pytest.approx(10**1.6 / scene.full[0], abs=1e-5)
    assert told["s&c", "rate"] > max(told["w/o c", "rate"], told["w/o s", "rate"]) > told["w/o s&c", "rate"]
    gaps = [r for r in points if r["threshold_db"] == "24.0" and r["quantity"] == "rate"]
    assert len(gaps) == 4 and not any(r["mean"] for r in gaps)  # nobody meets it


def test_passes_are_those_of_the_seed_for_all_lines() -> None:
    fields = dict(ris_gym.systems.make("vehicular", preset="reciprocity", num_frames=6).to_dict())
    found = work.follow(fields, "need_only", {}, 101, 3)
    model, scene, digest = work.passes(fields, 101, 3)
    assert np.array_equal(scene.position, model.sample(np.random.default_rng(101), 3).position)
    played = rollout(model, baselines.make("need_only", model), scene, generator("policy", 101), 10.0)
    for name, value in (("score", played.score), ("share", played.physical["time_sensing"])):
        assert np.array_equal(found[name], value)
    errors = played.physical["position_error_m2"].mean(axis=1)
    assert found["error_m"].shape == (3, 5, 3) and np.allclose(found["squared_m2"], errors)
    assert np.allclose(found["nees"], played.physical["nees"].mean(axis=1))
    low = work.bound(fields, 101, 3)
    plain = work.follow({**fields, "s_assist": False}, "need_only", {}, 101, 3)
    assert str(low["scenes"]) == str(digest) == str(found["scenes"]) == str(plain["scenes"])
    assert np.all(low["score"] >= found["score"]) and not np.array_equal(plain["rate"], found["rate"])


def test_standard_errors_and_differences(made: dict[str, list[Path]]) -> None:
    points = rows(made["policies"][0])
    table = {(r["preset"], r["line"], r["quantity"]): r for r in points}
    config = tiny("policies")
    fields = dict(ris_gym.systems.make("vehicular", preset="tracking", **config["system"]).to_dict())
    j = {name: work.follow(fields, policy, {}, 101, 2)["score"] for name, policy in
         (("never wide", "never_wide"), ("look-ahead 10 wide", "look_ahead_wide"))}  # fmt: skip
    row = table["tracking", "never wide", "score"]
    assert float(row["mean"]) == pytest.approx(j["never wide"].mean(), abs=1e-4)
    assert float(row["standard_error"]) == pytest.approx(abs(np.subtract(*j["never wide"])) / 2.0, abs=1e-4)
    gap = table["tracking", "never wide", "score minus look-ahead 10 wide"]
    assert float(gap["mean"]) == pytest.approx((j["never wide"] - j["look-ahead 10 wide"]).mean(), abs=1e-4)
    assert {r["line"] for r in points if r["preset"] == "reciprocity"} >= {"bound", *BENCHMARKS}


GAMMAS = np.arange(8.0, 13.0)


def curves(**rates: list[float]) -> dict[str, Any]:
    """Fig. 4 from rates of proposed, w/o s, w/o c; dedicated time is 1 % a vehicle, least a tenth of it for w/o c."""
    nothing = np.full(5, np.nan)
    rate = {name: np.array(rates.get(key, nothing)) for name, key in (("s&c", "s"), ("w/o s", "a"), ("w/o c", "b"))}
    share = {"s&c": 0.01, "w/o s": 0.01, "w/o c": 0.03, "w/o s&c": 0.03}
    return {
        "rate": rate | {"w/o s&c": nothing},
        "dedicated": {name: np.full(5, value) for name, value in share.items()},
        "least": {name: np.full(5, 0.01 if value == 0.01 else 0.003) for name, value in share.items()},
    }


def test_answers_of_figure_4_from_known_data() -> None:
    config = {"thresholds_db": list(GAMMAS), "panels": [fig4.panel("wide", 0.5)], "level": 4.9}
    data = {"p": curves(s=[5.0, 4.9, 4.8, 4.0, 3.0], a=[4.0, 4.0, 4.1, 3.5, np.nan], b=[4.8, 4.0, 3.0, 2.0, 1.0])}
    found = {item["id"]: item for item in fig4_answers.questions(config, data)}
    falls = {case["where"]["scheme"]: case["verdict"] for case in found["1"]["cases"]}
    assert falls == {"proposed": answers.YES, "w/o s": answers.NO, "w/o c": answers.YES, "w/o s&c": answers.UNDECIDED}
    assert [case["verdict"] for case in found["2"]["cases"]] == [answers.YES, answers.YES, answers.UNDECIDED]
    assert found["3"]["verdict"] == answers.YES and found["5"]["verdict"] == answers.YES
    own, common = found["4"]["cases"]
    assert own["verdict"] == answers.YES and own["numbers"]["without c"]["value"] is None
    assert own["numbers"]["proposed"]["value"] == pytest.approx(9.0)
    assert common["where"]["rate"] == "3.0 to 4.8" and common["numbers"]["gain"]["value"] == pytest.approx(2.0, abs=0.2)
    assert found["6"]["verdict"] == "depends on scheme (proposed: reproduced, w/o c: not reproduced)"
    below = {"p": curves(s=[4.0, 3.9, 3.8, 3.7, np.nan], a=[3.0, 3.0, 3.0, 2.9, 2.8], b=[4.1, 3.9, 3.8, 3.7, 3.6])}
    found = {item["id"]: item for item in fig4_answers.questions(config, below)}
    assert [case["verdict"] for case in found["2"]["cases"]] == [answers.NO, answers.NO, answers.UNDECIDED]
    assert found["4"]["cases"][0]["verdict"] == answers.UNDECIDED and found["4"]["cases"][1]["verdict"] == answers.NO
    assert fig4_answers.reach_db(GAMMAS, np.array([5.0, 4.0, 4.0, 3.0, np.nan]), 3.5) == 10.5
    assert fig4_answers.reach_db(GAMMAS, np.array([5.0, 4.0, 4.0, 3.0, np.nan]), 2.0) == 11.0


def test_answers_of_the_map_from_known_data() -> None:
    config = configuration(pays.FIGURE) | {"position_std_m": [0.1, 1.0], "levels_db": [-10.0, 0.0]}
    shares = {0.0: [[0.0, 0.0], [0.0, 0.1]], 40.0: [[0.1, 0.0], [0.2, 0.2]]}
    data = {x: {"share": np.array(v), "gain": 1.0 + np.array(v), "slope": 10.0 * np.array(v)} for x, v in shares.items()}
    found = {item["id"]: {tuple(case["where"].values()): case["verdict"] for case in item["cases"]}
             for item in pays.questions(config, data)}  # fmt: skip
    assert set(found["6"].values()) == {answers.YES}
    assert found["6a"] == {("0 m", "-10 dB"): answers.UNDECIDED, ("0 m", "0 dB"): answers.YES,
                           ("40 m", "-10 dB"): answers.NO, ("40 m", "0 dB"): answers.NO}  # fmt: skip
    assert found["6b"][("0 m", "1 m")] == answers.YES and found["6b"][("40 m", "0.1 m")] == answers.NO
    assert found["6c"] == {("0 m",): answers.NO, ("40 m",): answers.NO}


def test_answers_of_the_policies_from_known_data() -> None:
    noise = 0.05 * np.random.default_rng(0).normal(size=40)
    levels = {"bound": 5.0, "never": 3.0, "never wide": 4.4, "need-only wide": 4.0, "myopic wide": 4.2,
              "look-ahead 10 wide": 4.43, "look-ahead 5 wide": 4.43, "s&c": 3.0, "w/o c": 2.0, "w/o s": 2.0,
              "w/o s&c": 2.0}  # fmt: skip
    other = dict.fromkeys(("rate", "cost", "met", "share", "squared_m2", "error_m"), np.ones(40)) | {"feasible": noise < 9.0}
    belief = {"nees": 2.2 + noise, "nees_high": np.full(40, 0.02)}
    lines = {name: {"score": level + noise, **belief, **other} for name, level in levels.items()}
    found = {item["id"]: item for item in policies_answers.questions(configuration(policies.FIGURE), {"tracking": lines})}
    cases = {(case["where"]["line"], case["where"]["over"]): case["verdict"] for case in found["P1"]["cases"]}
    assert cases["s&c", "w/o s"] == answers.YES and cases["w/o c", "w/o s&c"] == answers.NO
    table = {case["where"]["line"]: case["numbers"] for case in found["P2"]["cases"]}
    assert table["look-ahead 10 wide"]["bound minus J"]["value"] == pytest.approx(0.57) and found["P2"]["verdict"] == answers.YES
    assert table["never"]["standard error"]["value"] == pytest.approx(noise.std(ddof=1) / np.sqrt(40), abs=1e-6)
    (gap,) = found["P3"]["cases"]
    assert gap["verdict"] == answers.YES and gap["numbers"]["gap"]["value"] == pytest.approx(0.114, abs=2e-3)
    for name, verdict in (("P4", answers.YES), ("P5", answers.YES), ("P6", answers.NO), ("P7", answers.YES), ("P8", answers.YES)):
        assert found[name]["verdict"] == verdict, name
    lines["never"] = {**lines["never"], "score": lines["bound"]["score"] + 1e-3}
    found = {item["id"]: item for item in policies_answers.questions(configuration(policies.FIGURE), {"tracking": lines})}
    assert {case["where"]["line"] for case in found["P2"]["cases"] if case["verdict"] == answers.NO} == {"never"}


def test_the_page_agrees_with_the_results() -> None:
    path = RESULTS / "vehicular.md"
    text = path.read_text(encoding="utf-8")
    assert answers.page(text, RESULTS) == text
    for name, figure in FIGURES.items():
        stored = json.loads((RESULTS / f"{figure.name}.json").read_text(encoding="utf-8"))
        assert f"<!-- answers {figure.name} -->" in text and f"({figure.name}.png)" in text
        assert (RESULTS / f"{figure.name}.csv").exists()
        assert not stored["not_default"], name
