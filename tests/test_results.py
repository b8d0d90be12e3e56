"""The tables of the results pages are those of the JSON files beside them; recipes and the report of the learning benchmark."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import agents
import baselines
import ris_gym

ROOT = Path(__file__).parent.parent
SYSTEMS = ("beampattern", "active_crb", "multifunctional", "nonorthogonal", "vehicular", "anchor")


@pytest.fixture(scope="module")
def benchmarks() -> Iterator[Any]:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import learning
        import recipes
        import tables
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))
    yield SimpleNamespace(learning=learning, recipes=recipes, tables=tables)


def test_pages_agree_with_their_json(benchmarks: Any) -> None:
    tables = benchmarks.tables
    assert set(tables.PAGES) == set(SYSTEMS) and tables.page("beampattern").exists()
    for system, entries in tables.PAGES.items():
        if not tables.page(system).exists():
            continue  # nothing measured yet
        text = tables.page(system).read_text(encoding="utf-8")
        assert tables.render(text, tables.RESULTS, entries) == text
        found = re.findall(r"<!-- table (\S+) -->", text)
        assert found and set(found) <= set(entries) and len(found) == len(set(found)) == text.count("<!-- end -->")


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_recipe_fits_the_settings(benchmarks: Any, name: str, tmp_path: Path) -> None:
    system = benchmarks.learning.make_system(name)
    recipes = benchmarks.recipes
    for recipe in recipes.RECIPES[name]:
        config = benchmarks.learning.configuration(system, recipe, 0, 1.0, tmp_path)
        assert config.clock == "cpu" and recipes.label(recipe)
    for task in [key for key in recipes.MAIN if key.partition("-")[0] == name]:
        assert set(recipes.MAIN[task]) <= set(recipes.RECIPES[name]) and recipes.STRONG[task] in recipes.REFERENCES[task]
        assert set(recipes.REFERENCES[task]) <= set(baselines.names(system))
    if "ppo_no_ascent" not in recipes.RECIPES[name]:
        return
    parts = set(ris_gym.systems.make(name).observe_scene(system.sample(np.random.default_rng(0), 1)))
    ignored = set(recipes.RECIPES[name]["ppo_no_ascent"]["network"]["ignore"])
    assert ignored - {"ascent", "ascent_log_norm"} <= parts


def test_systems_of_the_benchmark(benchmarks: Any) -> None:
    make = benchmarks.learning.make_system
    assert make("active_crb", "hard", '{"surface_power_dbm": 3, "sinr_threshold_db": [9, 10, 11]}') == ris_gym.systems.make(
        "active_crb", surface_power_dbm=3, sinr_threshold_db=(9.0, 10.0, 11.0)
    )
    assert make("nonorthogonal", episode="tracking") == ris_gym.systems.make("nonorthogonal", preset="tracking")
    with pytest.raises(ValueError, match="fields must be a JSON object"):
        make("active_crb", None, "[1]")
    with pytest.raises(TypeError, match="no parameter 'nonsense'"):
        make("active_crb", None, '{"nonsense": 1}')


def test_learning_benchmark_from_training_to_table(
    benchmarks: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two runs of an unfolded network on a small system: report, JSON and the table of the page. Cheap policies stand in for
    `ao` and `direct`."""
    learning = benchmarks.learning
    baselines.names("active_crb")  # registers the policies
    policies = baselines.registry._POLICIES["active_crb"]
    monkeypatch.setitem(policies, "ao", policies["transmit_only"])
    monkeypatch.setitem(policies, "direct", baselines.generic.Gradient)
    monkeypatch.setattr("agents.pictures.agent_picture", lambda agent, scene: None)
    monkeypatch.setitem(benchmarks.recipes.REFERENCES, "active_crb", ("ao", "direct", "random"))
    monkeypatch.setattr(agents, "compare", functools.partial(agents.compare, single=0))
    fields = '{"num_antennas": 6, "num_elements": 4, "num_users": 2}'
    system = learning.make_system("active_crb", "hard", fields)
    for seed in range(2):
        config = learning.configuration(system, "unfolded_8_layers", seed, 1.0, tmp_path)
        short = dataclasses.replace(config.unfolded, layers=2, batch=2)
        changes = {"minutes": 1.0, "steps": 8, "validation_scenes": 2, "reference": None, "unfolded": short}
        agents.train(dataclasses.replace(config, **changes))
    measured: list[dict[str, float]] = []
    clock = learning.decision_times

    def timed(system: Any, policies: Any, batch: int, repeats: int, episode: str | None) -> dict[str, float]:
        measured.append(clock(system, policies, batch, repeats, episode))
        return {name: 1e-3 * (i + 1) for i, name in enumerate(policies)}

    monkeypatch.setattr(learning, "decision_times", timed)
    arguments = argparse.Namespace(
        system="active_crb",
        preset="hard",
        fields=fields,
        episode=None,
        strong=None,
        beside=None,
        recipes=["unfolded_8_layers"],
        seeds=2,
        minutes=1.0,
        scenes=3,
        name="x",
        batch=2,
        repeats=1,
    )
    learning.report(arguments, tmp_path)
    assert set(measured[0]) == {"unfolded_8_layers", "ao", "direct", "random"} and min(measured[0].values()) > 0.0
    out = capsys.readouterr().out
    data = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))
    assert data["strong"] == "direct" and data["meta"]["system"]["sinr_threshold_db"] == 15.0
    rows = {row["policy"]: row for row in data["rows"]}
    row, counts = rows["unfolded_8_layers"], data["meta"]["counts"]
    assert len(row["runs"]) == 2 and row["ao_time_ratio"] == pytest.approx(2.0) and row["direct_time_ratio"] == pytest.approx(3.0)
    assert f"{counts['servable']} served by some policy" in out
    difference = [row[f"mean_against_ao{end}"] for end in ("", "_low", "_high")]
    assert "{:+.3f} [{:+.3f}, {:+.3f}]".format(*difference) in out
    assert (tmp_path / "x.png").stat().st_size > 1000
    page = benchmarks.tables.render(
        "<!-- table x -->\n<!-- end -->", tmp_path, {"x": benchmarks.tables.Entry(benchmarks.tables.learning, Path("x"))}
    )
    (line,) = [line for line in page.splitlines() if line.startswith("| `unfolded_8_layers` |")]
    cells = [cell.strip() for cell in line.split("|")[1:-1]]
    assert cells[8] == benchmarks.tables.percentages(row["violation_rate_servable_runs"]) and cells[-2:] == ["3", "2"]
    assert "minus `direct`" in page and "of servable scenes" in page


def test_decisions_of_sequential_scenes_are_timed(benchmarks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those with a memory and with the truth among them: each is asked for the scenes of the episode."""
    monkeypatch.setattr(benchmarks.learning, "BLOCK", 0.0)
    make = benchmarks.learning.make_system
    system = make("nonorthogonal", None, '{"surface_shape": [2, 2], "num_frames": 2}', "tracking")
    asked: list[tuple[bool, bool]] = []

    class Hold(baselines.nonorthogonal.Hold):
        def solve(self, known: Any, rng: Any, memory: Any = None) -> Any:
            asked.append((known.velocity is None, memory is None))
            return super().solve(known, rng, memory)

    policies = {"hold": Hold(system=system), "oracle": Hold(system=system, privileged=True), "align": "align"}
    seconds = benchmarks.learning.decision_times(system, policies, 2, 1, "tracking")
    assert min(seconds.values()) > 0.0 and set(seconds) == set(policies)
    assert asked == 2 * [(True, True), (True, False), (False, True), (False, False)]


def test_decisions_in_the_loop_are_timed(benchmarks: Any) -> None:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import loop_times
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))
    system = ris_gym.systems.make("anchor", num_elements=8, num_pilots=3)
    found = loop_times.measure(system, {"thompson": "thompson", "again": "posterior_matching"}, 2, 4, "discrete")
    assert set(found) == {"thompson", "again"} and min(found.values()) > 0.0
