"""The figure of the options of `vehicular`: parts of the cost, what lines are compared, rules on made-up data, the page."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ris_gym
from agents.figures import answers
from agents.figures.vehicular import extensions, extensions_answers, extensions_work, work
from agents.reproduce import configuration, reproduce, select

FIGURE = extensions.FIGURE
RESULTS = Path(__file__).parents[2] / "docs" / "results"


def test_files(tmp_path: Path) -> None:
    config = configuration(FIGURE, quick=True, overrides={"scenes": 2, "system": {"num_frames": 5}})
    table, facts, picture = reproduce(FIGURE, config, tmp_path)
    with open(table, encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    lines = {(row["part"], row["line"]) for row in rows}
    assert lines == {("radar", name) for name in ("bound", *extensions.HIDERS)} | {
        ("reflector", name) for name in ("bound", *extensions.REFLECTORS)
    }
    mean = {(row["part"], row["line"], row["quantity"]): float(row["mean"]) for row in rows}
    for part, line in lines:
        if line != "bound":
            cost = mean[part, line, "short"] + mean[part, line, "seen"]
            assert mean[part, line, "score"] == pytest.approx(mean[part, line, "rate"] - 10.0 * cost, abs=2e-3)
    stored = json.loads(facts.read_text())
    assert [item["id"] for item in stored["answers"]] == ["H1", "H2", "H3", "H4", "C1", "C2", "B"]
    assert all(item["cases"] for item in stored["answers"]) and stored["scenes"]["passes"]["count"] == 2
    assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 5000


def test_groups_and_configurations() -> None:
    assert FIGURE in select(["vehicular"]) and FIGURE.name == "reciprocity-extensions"
    for quick in (False, True):
        config = configuration(FIGURE, quick, scenes=7)
        units = FIGURE.units(config)
        assert json.loads(json.dumps(config)) == config and len({unit.key for unit in units}) == len(units)
    config = configuration(FIGURE)
    groups = extensions.groups(config)
    assert len(groups) == 12 and (config["seeds"], config["scenes"]) == ([101, 102, 103], 24)
    systems = [ris_gym.systems.make("vehicular", **fields) for _, fields, _ in groups]
    assert all(system.unauthorised_radar for system in systems[:8]) and all(system.chooses for system in systems[8:])
    assert [system.sensing_threshold_db for system in systems[8:]] == [18.0, 21.0, 24.0, 27.0]
    assert {policy for policy, _ in extensions.HIDERS.values()} == {"need_only_wide", "myopic_wide"}


def test_what_the_radar_sees_is_the_margin_of_the_system() -> None:
    fields = {"unauthorised_radar": True, "radar_position_m": (0.5, 0.0), "num_frames": 4}
    system = ris_gym.systems.make("vehicular", preset="reciprocity", **fields)
    found = extensions_work.played(dict(system.to_dict()), "need_only_wide", {"hide": "apart"}, 101, 3)
    assert 0.0 < found["seen"].min() and found["exposed"].max() <= 1.0
    np.testing.assert_allclose(found["score"], found["rate"] - 10.0 * (found["short"] + found["seen"]), atol=1e-9)
    bound = work.bound(dict(system.to_dict()), 101, 3)
    assert str(bound["scenes"]) == str(found["scenes"]) and np.all(found["score"] <= bound["score"])


def group(part: str, scores: dict[str, float], exposed: float = 0.3) -> dict[str, Any]:
    """Lines with these J; 40 passes whose differences between lines are all alike."""
    noise = np.random.default_rng(0).normal(size=40)
    lines = {
        name: {"score": value + 0.1 * noise, **{key: np.full(40, 0.1) for key in ("rate", "share", "short", "seen")},
               "exposed": np.full(40, exposed)}
        for name, value in scores.items()
    }  # fmt: skip
    return {"where": {"part": part, "preset": "reciprocity", "case": "a"}, "lines": lines}


def test_verdicts_on_known_data() -> None:
    scores = {"bound": 5.0, "never": 1.0, "always": 2.0, "apart": 2.01, "myopic, never": 1.5, "myopic, chosen": 3.0}
    chosen = {"bound": 5.0, "next vehicle": 3.0, "chosen": 3.5, "myopic, next vehicle": 4.0}
    found = {q["id"]: q for q in extensions_answers.questions([group("radar", scores), group("reflector", chosen)])}
    assert {name: q["verdict"] for name, q in found.items()} == {
        "H1": answers.NO, "H2": answers.YES, "H3": answers.NO, "H4": answers.YES, "C1": answers.YES, "C2": answers.NO,
        "B": answers.YES,
    }  # fmt: skip
    assert found["H2"]["cases"][0]["numbers"]["difference of J"]["value"] == pytest.approx(1.0)
    assert found["B"]["cases"][0]["where"]["best line"] == "myopic, chosen"
    assert found["B"]["cases"][1]["numbers"]["least gap"]["value"] == pytest.approx(1.0)
    worse = [group("radar", scores | {"apart": 3.5, "bound": 3.4}, exposed=0.005)]
    again = {q["id"]: q["verdict"] for q in extensions_answers.questions(worse)}
    assert (again["H1"], again["H3"], again["H4"], again["B"]) == (answers.YES, answers.YES, answers.NO, answers.NO)


def test_the_page_agrees_with_the_results() -> None:
    text = (RESULTS / "vehicular.md").read_text(encoding="utf-8")
    assert "<!-- answers reciprocity-extensions -->" in text and "(reciprocity-extensions.png)" in text
    assert answers.page(text, RESULTS) == text and (RESULTS / "reciprocity-extensions.csv").exists()
    assert not json.loads((RESULTS / "reciprocity-extensions.json").read_text(encoding="utf-8"))["not_default"]
