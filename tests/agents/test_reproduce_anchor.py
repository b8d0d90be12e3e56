"""The figure of `anchor`: common worlds, one search read at several lengths, announced beams, rules on made-up data, the page."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import baselines
from agents.figures import answers
from agents.figures.anchor import FIGURES, hit_rate, rules, work
from agents.reproduce import configuration, reproduce, select
from agents.rollouts import rollout
from agents.stats import Estimate
from ris_gym.systems.anchor import Anchor, AnchorDesign

(FIGURE,) = FIGURES
RESULTS = Path(__file__).parents[2] / "docs" / "results"
SMALL: dict[str, Any] = {"num_elements": 8, "element_snr_db": -8.0}


def fields(pilots: int, **more: Any) -> dict[str, Any]:
    return dict(Anchor(num_pilots=pilots, **SMALL, **more).to_dict())


def tiny() -> dict[str, Any]:
    config = configuration(FIGURE, quick=True, scenes=8)
    return config | {
        "system": SMALL, "pilots": [2, 6], "bounded": [1], "descent": [{"pilots": 6, "repeats": 1}], "peak": [8],
        "few": 4, "chunk": 4,
    }  # fmt: skip


def test_files(tmp_path: Path) -> None:
    table, facts, picture = reproduce(FIGURE, tiny(), tmp_path)
    with open(table, encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if row["standard_error"]:
            rate, count = float(row["mean"]), int(row["count"])
            assert float(row["standard_error"]) == pytest.approx(np.sqrt(rate * (1 - rate) / count), abs=1e-4)
            assert float(row["low"]) <= rate <= float(row["high"])
    told = {(row["policy"], int(row["pilots"])) for row in rows if row["quantity"] == "hit rate"}
    assert told == {(name, t) for name in (*hit_rate.POLICIES, "bound") for t in (1, 2, 6)} | {("descent", 6), ("peak", 8)}
    stored = json.loads(facts.read_text())
    assert {part["count"] for part in stored["scenes"].values()} == {8, 4}
    assert [item["id"] for item in stored["answers"]] == [f"7.{i}" for i in range(1, 10)]
    assert all(item["cases"] for item in stored["answers"])
    spent = {case["where"]["policy"]: case["numbers"]["time"]["value"] for case in stored["answers"][-1]["cases"]}
    assert set(spent) == {*hit_rate.POLICIES, "descent", "peak"} and min(spent.values()) > 0.0
    assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 5000


def test_values_are_those_of_the_model_page() -> None:
    assert select(["anchor"]) == [FIGURE] and FIGURE.name == "anchor-hit-rate"
    config = configuration(FIGURE)
    assert (config["snrs_db"], config["pilots"], config["seed"]) == ([-26.0, -22.0, -18.0], [6, 12, 24, 48], 5)
    assert [hit_rate.count_of(config, name) for name in ("thompson", "information_greedy")] == [600, 200]
    units = FIGURE.units(config)
    assert json.loads(json.dumps(config)) == config and len({unit.key for unit in units}) == len(units)
    assert sum(unit.size for unit in units) == 3 * (8 * 600 + 200 + 1)
    descent = {unit.arguments["system"]["num_pilots"]: unit.arguments["options"]
               for unit in units if unit.arguments.get("policy") == "descent"}  # fmt: skip
    assert descent == {12: {"repeats": 1}, 24: {"repeats": 2}, 48: {"repeats": 4}}
    assert {unit.arguments["most"] for unit in units if "most" in unit.arguments} == {65}
    assert units[0].arguments["system"] == Anchor(element_snr_db=-26.0, num_pilots=48).to_dict()


def test_a_search_shows_what_shorter_ones_find_in_the_same_worlds() -> None:
    for policy in ("posterior_matching", "thompson"):
        found = work.searched(fields(6), policy, {}, [2, 6], 9, 5, 4, 8)
        for i, pilots in enumerate((2, 6)):
            model, scene, rng, digest = work.worlds(fields(pilots), 9, 5, 4, 8)
            played = rollout(model, baselines.make(policy, model), scene, rng, 0.0)
            assert np.array_equal(found["hit"][i], played.objective) and str(found["scenes"]) == str(digest)
            assert np.array_equal(found["error"][i], played.physical["direction_error"])
    first, longer = (work.worlds(fields(pilots), 9, 5, 4, 8)[1] for pilots in (2, 9))
    assert np.array_equal(first.direction, longer.direction) and np.array_equal(first.pilot_noise, longer.pilot_noise[:, :2])
    with pytest.raises(ValueError, match="num_pilots must be at most 9, got 10"):
        work.worlds(fields(10), 9, 5, 0, 1)


def test_announced_beams_use_just_their_pilots() -> None:
    """The loudest beam of one scan, from the powers themselves; and a search that is too short for its announcement."""
    found = work.announced(fields(8), "exhaustive", {"decision": "peak"}, 9, 5, 0, 40)
    model, scene, _, _ = work.worlds(fields(8), 9, 5, 0, 40)
    truth, rng = scene.direction, np.random.default_rng(0)
    for beam in range(8):
        scene = model.step(scene, AnchorDesign(codeword=np.full(40, 6 + beam), decision=np.full(40, -1)), rng)[1]
    loudest = np.argmax(scene.power, axis=1)
    assert np.array_equal(found["hit"][0], loudest == model.beam(truth)) and 0.2 < found["hit"].mean() < 1.0
    assert np.allclose(found["error"][0], np.abs(truth - (loudest - 3.5) / 4))
    assert work.announced(fields(6), "descent", {"repeats": 1}, 9, 5, 0, 40)["hit"].mean() > 0.2
    with pytest.raises(RuntimeError, match="descent: a search did not announce its beam after 5 pilots"):
        work.announced(fields(5), "descent", {"repeats": 1}, 9, 5, 0, 4)
    value = work.bound(fields(1), [1, 6])["value"]
    assert value[0] == baselines.bound(Anchor(num_pilots=1, **SMALL), None).value < value[1] == 1.0


def point(rate: float, error: float = 0.1) -> dict[str, np.ndarray]:
    """200 directions, of which the first share is hit."""
    return {"hit": (np.arange(200) < 200 * rate).astype(float), "error": np.linspace(0.5, 1.5, 200) * error}


def test_verdicts_on_known_data() -> None:
    config = configuration(FIGURE)
    rates = {6: 0.2, 12: 0.4, 24: 0.7, 48: 0.9}
    curves: dict[str, Any] = {name: {t: point(rate - 0.1) for t, rate in rates.items()} for name in config["policies"]}
    curves["posterior_matching"] = {t: point(rate, 1.0 / t) for t, rate in rates.items()}
    curves["information_greedy"] = {t: point(rate) for t, rate in rates.items()}
    curves["descent"] = {t: point(rates[t]) for t in (12, 24, 48)}
    curves["peak"] = {64: point(0.9)}
    bounds = {-22.0: {6: 0.17, 12: 0.6, 24: 1.0, 48: 1.0}}
    found = {item["id"]: item for item in rules.questions(config, {-22.0: curves}, bounds, {})}
    for name in ("7.1", "7.2", "7.3", "7.6", "7.7"):
        assert found[name]["verdict"] == answers.YES, name
    assert [case["verdict"] for case in found["7.4"]["cases"]] == 3 * [answers.NO] + [answers.YES]
    assert found["7.4"]["cases"][2]["numbers"]["difference"]["value"] == pytest.approx(-0.2)
    assert found["7.5"]["verdict"] == answers.NO and len(found["7.5"]["cases"]) == 3
    verdicts = {case["where"]["policy"]: case["verdict"] for case in found["7.8"]["cases"]}
    assert verdicts["posterior_matching"] == answers.UNDECIDED and verdicts["exhaustive"] == answers.YES
    assert rules.below({}, {24: curves["random"][24]}, bounds[-22.0])["verdict"] == answers.UNDECIDED
    assert rules.under(Estimate(0.5, 0.4, 0.6, 9), 0.3) == answers.NO
    flat = {t: point(0.5) for t in rates}
    assert rules.steps(-22.0, flat, config["pilots"])["verdict"] == answers.NO
    assert rules.falls(-22.0, {**flat, 48: point(0.5, 0.2)}, config["pilots"])["verdict"] == answers.NO
    assert rules.root(np.full(9, 4.0)).value == 2.0


def test_the_page_agrees_with_the_results() -> None:
    text = (RESULTS / "anchor.md").read_text(encoding="utf-8")
    assert answers.page(text, RESULTS) == text
    stored = json.loads((RESULTS / "anchor-hit-rate.json").read_text(encoding="utf-8"))
    assert "<!-- answers anchor-hit-rate -->" in text and "(anchor-hit-rate.png)" in text and not stored["not_default"]
    assert (RESULTS / "anchor-hit-rate.csv").exists()
