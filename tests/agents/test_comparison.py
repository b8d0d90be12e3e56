from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats as scipy_stats

import agents
import baselines
import ris_gym
from agents import comparison


def start_rule(known: Any, rng: np.random.Generator) -> Any:
    system = ris_gym.systems.make("beampattern", num_antennas=4, num_elements=8, num_sensing_beams=1, sinr_threshold_db=5.0)
    return system.decode(known, system.start(known))


class Oracle:
    """Answers like the start rule, and is marked."""

    name, privileged = "oracle", True

    def solve(self, known: Any, rng: np.random.Generator) -> Any:
        return SimpleNamespace(design=start_rule(known, rng), status=np.full(len(known), "optimal"))


def fake_bound(status: list[str]) -> Any:
    def bound(system: Any, scene: Any) -> Any:
        return baselines.Bound(value=np.full(len(scene), 40.0), status=np.array(status[: len(scene)]))

    return bound


def test_values_are_those_of_the_system(system: Any, scene: Any) -> None:
    table = agents.compare(system, ["random", start_rule], scene, bound=False, single=2)
    metrics = system.evaluate(scene, system.decode(scene, system.start(scene)))
    result = table.results[1]
    np.testing.assert_allclose(result.objective, metrics.objective)
    np.testing.assert_allclose(result.score, metrics.score - metrics.cost)
    np.testing.assert_array_equal(result.violated, metrics.margins["sinr"].min(axis=1) < -0.05)
    row = table.row("start_rule")
    assert row["score"] == pytest.approx(result.score.mean()) and row["score_low"] <= row["score"] <= row["score_high"]
    assert row["violation_rate"] == result.violated.mean()
    assert result.seconds_single.shape == (2,) and row["seconds_single"] > 0


def test_certified_infeasible_scenes_are_counted_and_left_out(system: Any, scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "bound", fake_bound(["certified", "infeasible", "unknown", *["certified"] * 3]))
    table = agents.compare(system, {"mine": start_rule, "marked": Oracle()}, scene, single=0)
    counted = np.array([True, False, True, True, True, True])
    row, result = table.row("mine"), table.results[0]
    counts = {"scenes": 6, "certified_infeasible": 1, "bound_certified": 4, "common": row["objective_count"]}
    counts["servable"] = int(np.sum(counted & ~result.violated))
    assert table.meta["counts"] == counts
    assert row["score"] == pytest.approx(result.score[counted].mean()) and row["score_count"] == 5
    served = counted & ~result.violated & (np.arange(6) != 2)
    assert row["gap_to_bound"] == pytest.approx(np.mean(40.0 - result.objective[served]))
    assert np.isnan(row["seconds_single"])
    assert table.row("marked")["privileged"] and "marked *" in str(table) and "privileged" in str(table)


def test_gap_to_the_reference_is_paired(system: Any, scene: Any) -> None:
    table = agents.compare(system, {"ao": start_rule, "random": "random", "same": start_rule}, scene, bound=False, single=0)
    same = table.row("same")
    assert same["gap_to_reference"] == same["gap_to_reference_low"] == same["gap_to_reference_high"] == 0.0
    assert same["score_minus_reference"] == 0.0 and same["normalised"] == pytest.approx(1.0)
    assert table.row("random")["normalised"] == pytest.approx(0.0)


def test_policies_meet_the_known_channels_only(system: Any) -> None:
    scene = system.sample(np.random.default_rng(0), batch=3, csi_error=0.3)
    seen = []

    def spy(known: Any, rng: np.random.Generator) -> Any:
        seen.append(known)
        return start_rule(known, rng)

    agents.compare(system, [spy], scene, bound=False, single=0)
    np.testing.assert_array_equal(seen[0].bs_ris, scene.bs_ris_estimate)
    assert seen[0].bs_ris_estimate is None


def test_policies_that_do_not_apply_are_left_out() -> None:
    names = ["ao", "joint", "zero_forcing", "random"]
    assert comparison.available(ris_gym.systems.make("beampattern"), names) == ["ao", "joint", "random"]
    assert comparison.available(ris_gym.systems.make("active_crb"), names) == ["ao", "zero_forcing", "random"]
    sensing = ris_gym.systems.make("active_crb", preset="sensing_only")
    assert comparison.available(sensing, names) == ["ao", "random"]


def test_results_do_not_depend_on_the_other_policies(system: Any, scene: Any) -> None:
    alone = agents.compare(system, ["random"], scene, bound=False, single=0)
    beside = agents.compare(system, [start_rule, "random"], scene, bound=False, single=2)
    np.testing.assert_array_equal(alone.results[0].objective, beside.results[1].objective)
    other = agents.compare(system, ["random"], scene, seed=1, bound=False, single=0)
    assert not np.array_equal(alone.results[0].objective, other.results[0].objective)


def test_files(system: Any, scene: Any, tmp_path: Path) -> None:
    table = agents.compare(system, [start_rule, "random"], scene, bound=False, single=1)
    paths = table.save(tmp_path / "out", "table")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["table.csv", "table.json", "table.png"]
    with open(paths[0], encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["policy"] for row in rows] == ["start_rule", "random"]
    stored = json.loads(paths[1].read_text())
    assert len(stored["per_scene"]["random"]["objective"]) == 6
    assert stored["scenes"]["sha256"] and stored["versions"]["numpy"] and stored["system"] == table.meta["system"] | {
        "angles_deg": list(system.angles_deg)
    }
    assert paths[2].read_bytes()[:4] == b"\x89PNG"


def noisy(level: float) -> Any:
    """A policy that moves the start rule by a random step: differs by scene and by run."""

    def policy(known: Any, rng: np.random.Generator) -> Any:
        system = ris_gym.systems.make("beampattern", num_antennas=4, num_elements=8, num_sensing_beams=1, sinr_threshold_db=5.0)
        raw = system.start(known)
        return system.decode(known, np.clip(raw + level * rng.standard_normal(raw.shape), -1.0, 1.0))

    return policy


def test_runs_of_a_recipe_are_one_row(system: Any) -> None:
    scene = system.sample(np.random.default_rng(8), batch=12)
    policies = {"recipe": [noisy(0.1), noisy(0.2), noisy(0.3)], "ao": noisy(0.15), "pair": (noisy(0.1), noisy(0.1))}
    table = agents.compare(system, policies, scene, single=1)
    assert [row["policy"] for row in table.rows] == ["recipe", "ao", "pair"]
    runs = {result.name: result for result in table.results}
    assert list(runs) == ["recipe/0", "recipe/1", "recipe/2", "ao", "pair/0", "pair/1"]
    assert not np.array_equal(runs["pair/0"].score, runs["pair/1"].score)  # one recipe, numbers of their own
    assert table.meta["runs"]["recipe"] == dict.fromkeys(("recipe/0", "recipe/1", "recipe/2"), "policy")
    row, score = table.row("recipe"), np.stack([runs[f"recipe/{i}"].score for i in range(3)])
    violated = np.stack([runs[f"recipe/{i}"].violated for i in range(3)])
    assert row["runs"] == 3 and row["score_runs"] == pytest.approx(score.mean(axis=1))
    assert (row["score_min"], row["score_max"]) == (min(row["score_runs"]), max(row["score_runs"]))
    assert row["score"] == pytest.approx(score.mean()) and row["score_count"] == 12
    assert row["score_iqm"] == pytest.approx(scipy_stats.trim_mean(score.ravel(), 0.25))
    assert row["violation_rate"] == violated.mean() and row["violation_rate_runs"] == list(violated.mean(axis=1))
    ao = runs["ao"]
    assert row["score_minus_reference"] == pytest.approx((score - ao.score).mean())
    expected = scipy_stats.trim_mean(score.ravel(), 0.25) - scipy_stats.trim_mean(ao.score, 0.25)
    assert row["score_iqm_minus_reference"] == pytest.approx(expected)
    assert row["probability_of_improvement"] == pytest.approx(np.mean(score > ao.score))
    both = ~violated & ~ao.violated
    gaps = [ao.objective[s] - runs[f"recipe/{i}"].objective[s] for i, s in zip(*np.nonzero(both), strict=True)]
    assert row["gap_to_reference"] == pytest.approx(np.mean(gaps)) if gaps else row["gap_to_reference_count"] == 0
    for name in ("score", "score_iqm", "score_minus_reference", "score_iqm_minus_reference", "probability_of_improvement"):
        assert row[f"{name}_low"] < row[name] < row[f"{name}_high"]
    served = np.where(violated, np.nan, table.bound - np.stack([runs[f"recipe/{i}"].objective for i in range(3)]))
    assert row["gap_to_bound"] == pytest.approx(np.nanmean(served)) if np.isfinite(served).any() else True


def test_a_recipe_can_be_the_reference(system: Any, scene: Any) -> None:
    policies = {"old": [noisy(0.1), noisy(0.2)], "new": [noisy(0.1), noisy(0.3), noisy(0.2)]}
    table = agents.compare(system, policies, scene, reference="old", bound=False, single=0)
    scores = {name: np.stack([r.score for r in table.results if r.group == name]) for name in policies}
    wins = [np.mean(scores["new"][i] > scores["old"][j]) for i in range(3) for j in range(2)]
    assert table.row("new")["probability_of_improvement"] == pytest.approx(np.mean(wins))
    own = table.row("old")
    found = table.against("new", "old")
    assert (found["mean"].value, found["mean"].low) == (
        table.row("new")["score_minus_reference"],
        table.row("new")["score_minus_reference_low"],
    )
    assert found["iqm"].value == table.row("new")["score_iqm_minus_reference"]
    assert table.against("old", "new")["probability"].value == pytest.approx(1.0 - np.mean(wins))
    assert table.scores("new").shape == (3, 6)
    with pytest.raises(KeyError, match="no policy 'older'"):
        table.against("new", "older")
    assert [own[f"probability_of_improvement{end}"] for end in ("", "_low", "_high")] == [0.5, 0.5, 0.5]
    assert own["score_minus_reference"] == own["score_iqm_minus_reference"] == own["score_minus_reference_high"] == 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"policies": "ao"}, "policies must be a sequence"),
        ({"policies": []}, "at least one policy"),
        ({"policies": ["nonsense"]}, "'nonsense' is neither a baseline"),
        ({"policies": [3]}, "policies: 3 is not a name"),
        ({"policies": ["random", "random"]}, "two are named 'random'"),
        ({"policies": {"a": []}}, "policies: 'a' must hold at least one run"),
        ({"policies": {"a": ["random"], "a/0": "random"}}, "two runs are named 'a/0'"),
        ({"policies": {"a": ["random", 3]}}, "policies: 3 is not a name"),
        ({"policies": ["random"], "scenes": {"bs_ris": 1}}, "scenes must be a BeampatternScene"),
        ({"policies": ["random"], "scenes": 0}, "count must be at least 1"),
        ({"policies": ["random"], "scenes": "nowhere.npz"}, "nowhere.npz"),
    ],
)
def test_wrong_arguments_are_named(system: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        agents.compare(system, bound=False, **arguments)


def test_a_foreign_file_is_refused_and_left_alone(system: Any, tmp_path: Path) -> None:
    path = tmp_path / "measured.npz"
    np.savez(path, temperature=np.ones(3))
    before = path.read_bytes()
    with pytest.raises(ValueError, match="bs_ris"):
        agents.compare(system, ["random"], path, bound=False)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("answer", [lambda known, rng: None, lambda known, rng: start_rule(known[0], rng)])
def test_wrong_answers_name_the_policy(system: Any, scene: Any, answer: Any) -> None:
    with pytest.raises(ValueError, match="'mine'"):
        agents.compare(system, {"mine": answer}, scene, bound=False, single=0)


def test_a_failing_policy_is_named(system: Any, scene: Any) -> None:
    def broken(known: Any, rng: np.random.Generator) -> Any:
        raise KeyError("x")

    with pytest.raises(RuntimeError, match="'broken' failed: KeyError"):
        agents.compare(system, [broken], scene, bound=False)
