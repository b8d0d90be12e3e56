"""Tables, files and the picture of a comparison whose numbers are given."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest

from agents.comparison import Table
from agents.report import text
from agents.report_figure import figure
from agents.summary import Result, summarise

SCENES = 40


def result(name: str, level: float, group: str | None = None, seed: int = 0, **changes: Any) -> Result:
    rng = np.random.default_rng(seed)
    values = {
        "objective": -10.0 + 10.0 * level + rng.normal(0.0, 0.3, SCENES),
        "score": level + np.random.default_rng(99).normal(0.0, 0.05, SCENES) + rng.normal(0.0, 0.01, SCENES),
        "margin": np.full(SCENES, 0.5),
        "violated": np.zeros(SCENES, bool),
        "seconds": 0.0123,
        "seconds_single": np.array([0.1, 0.2]),
        "status": {"stopped": SCENES},
        "privileged": False,
    }
    return Result(name=name, group=group, **{**values, **changes})


def table(*results: Result, reference: str = "ao") -> Table:
    bound, status = np.full(SCENES, 0.0), np.full(SCENES, "certified")
    rows, counts = summarise(results, bound, status, 1, reference)
    meta = {
        "system": {"system": "beampattern"},
        "unit": "dBm",
        "reference": reference,
        "scenes": {"name": "beampattern/test-v1", "count": SCENES},
        "counts": counts,
    }
    return Table(rows=rows, results=list(results), bound=bound, bound_status=list(status), meta=meta)


@pytest.fixture(scope="module")
def full() -> Table:
    recipe = [result(f"refine/{i}", -0.48 + 0.005 * i, "refine", i) for i in range(5)]
    bad = {"violated": np.arange(SCENES) % 10 < 7}
    return table(
        *recipe, result("ao", -0.52, seed=7), result("information_only", -0.53, seed=8), result("random", -3.0, seed=9, **bad)
    )


def test_text_is_readable_and_whole(full: Table) -> None:
    lines = text(full).splitlines()
    assert max(map(len, lines)) <= 136
    out = "\n".join(lines)
    row = full.row("refine")
    for word in ("refine (5 runs)", "information_only", "beampattern/test-v1, first 40 scenes", "70.0 %", "12.3 ms", "150 ms"):
        assert word in out
    for name, digits, sign in (
        ("score", 3, ""), ("score_iqm", 3, ""), ("gap_to_bound", 2, ""), ("score_minus_reference", 3, "+"),
        ("score_iqm_minus_reference", 3, "+"), ("probability_of_improvement", 2, ""), ("gap_to_reference", 2, "+"),
    ):  # fmt: skip
        value, low, high = (f"{row[name + end]:{sign}.{digits}f}" for end in ("", "_low", "_high"))
        assert f"{value} [{low}, {high}]" in out
    (runs,) = [line for line in lines if line.startswith("refine, penalised score of every run")]
    assert all(f"{value:.3f}" in runs for value in row["score_runs"])
    against = out[out.index("against ao") :]
    assert not [line for line in against.splitlines() if line.startswith(" ao ")]  # nothing to say about itself


def test_long_names_are_folded_and_not_cut(full: Table) -> None:
    lines = text(table(result("a" * 70, -0.5), result("ao", -0.52, seed=1))).splitlines()
    assert max(map(len, lines)) <= 136
    assert "".join(line.split()[0] for line in lines if line.strip().startswith("aaa"))[:70] == "a" * 70


def test_without_a_reference_there_are_no_differences() -> None:
    alone = table(result("mine", -0.5), result("random", -3.0, seed=2))
    assert "against" not in text(alone) and "improvement" not in text(alone)
    assert len(figure(alone).axes) == 2 and np.isnan(alone.row("mine")["probability_of_improvement"])
    only = table(result("ao", -0.5))
    assert "against" not in text(only) and len(figure(only).axes) == 2


def test_files_hold_every_run_and_every_statistic(full: Table, tmp_path: Path) -> None:
    csv_path, json_path, png_path = full.save(tmp_path, "t")
    with open(csv_path, encoding="utf-8") as file:
        rows = {row["policy"]: row for row in csv.DictReader(file)}
    row = full.row("refine")
    assert [float(value) for value in rows["refine"]["score_runs"].split()] == row["score_runs"]
    for name in ("score_iqm", "score_minus_reference", "score_iqm_minus_reference", "probability_of_improvement"):
        for end in ("", "_low", "_high"):
            assert float(rows["refine"][name + end]) == row[name + end]
    assert float(rows["refine"]["score_min"]) == min(row["score_runs"]) and rows["refine"]["runs"] == "5"
    stored = json.loads(json_path.read_text())
    assert stored["rows"][0]["score_runs"] == row["score_runs"]
    assert sorted(stored["per_scene"]) == sorted(result.name for result in full.results)
    assert matplotlib.image.imread(png_path).std() > 0.05


def test_picture_shows_levels_differences_probabilities_and_runs(full: Table) -> None:
    levels, differences, probability, times = figure(full).axes
    row = full.row("refine")
    names = [label.get_text() for label in levels.get_yticklabels()]
    assert names == ["random", "information_only", "ao", "refine (5 runs)"]
    points = {float(x) for line in levels.lines for x in np.ravel(line.get_xdata())}
    assert {row["score"], row["score_iqm"], *row["score_runs"]} <= points
    points = {float(x) for line in differences.lines for x in np.ravel(line.get_xdata())}
    assert {row["score_minus_reference"], row["score_iqm_minus_reference"]} <= points
    points = {float(x) for line in probability.lines for x in np.ravel(line.get_xdata())}
    assert {row["probability_of_improvement"], 0.5, 0.0} <= points
    assert any("-3.0" in annotation.get_text() or "-2.9" in annotation.get_text() for annotation in levels.texts)
    assert times.get_xscale() == "log"


def test_scenes_certified_infeasible_count_nowhere() -> None:
    one, ao = result("one", -0.5, seed=3), result("ao", -0.6, seed=4)
    status = np.where(np.arange(SCENES) < 10, "infeasible", "certified")
    rows, counts = summarise([one, ao], np.zeros(SCENES), status, 1, "ao")
    assert counts["certified_infeasible"] == 10 and rows[0]["score"] == pytest.approx(one.score[10:].mean())
    assert rows[0]["probability_of_improvement_count"] == 30
    rows, counts = summarise([one, ao], np.zeros(SCENES), np.full(SCENES, "infeasible"), 1, "ao")
    assert np.isnan(rows[0]["score"]) and counts["common"] == 0 and rows[0]["score_count"] == 0


def test_scenes_that_nobody_serves_are_told_apart() -> None:
    """Certified infeasible: the first 4. Served by `ao` alone: 4 to 9. Served by nobody: 10 to 12."""
    index = np.arange(SCENES)
    recipe = [result(f"mine/{i}", -0.5, "mine", i, violated=(index < 13) | (index == 20 + i)) for i in range(2)]
    ao = result("ao", -0.6, seed=4, violated=(index < 4) | ((index >= 10) & (index < 13)))
    status = np.where(index < 4, "infeasible", "unknown")
    rows, counts = summarise([*recipe, ao], np.full(SCENES, np.nan), status, -1, "ao")
    assert (counts["servable"], counts["certified_infeasible"]) == (33, 4)
    mine, reference = rows
    assert mine["violation_rate"] == pytest.approx(10 / 36) and mine["violation_rate_servable"] == pytest.approx(7 / 33)
    assert mine["violation_rate_servable_runs"] == pytest.approx([7 / 33, 7 / 33])
    assert reference["violation_rate"] == pytest.approx(3 / 36) and reference["violation_rate_servable"] == 0.0
    meta = table(ao).meta | {"counts": counts}
    shown = Table(rows=rows, results=[*recipe, ao], bound=np.zeros(SCENES), bound_status=list(status), meta=meta)
    out = text(shown)
    assert "27.8 % (21.2 %)" in out and "among the 33 scenes" in " ".join(out.split()) and max(map(len, out.splitlines())) <= 136


def test_sense_turns_the_gaps() -> None:
    one, ao = result("one", -0.5, seed=3), result("ao", -0.6, seed=4)
    status = np.full(SCENES, "certified")
    gaps = [summarise([one, ao], np.zeros(SCENES), status, sense, "ao")[0][0]["gap_to_reference"] for sense in (1, -1)]
    assert gaps[0] == pytest.approx(np.mean(ao.objective - one.objective)) == -gaps[1]
