"""Policies in sequential scenes: the same world for all, memory, means over the frames; static scenes stay as they were."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from toy.walk import Walk, WalkDesign, WalkScene

import agents
import baselines
from agents import cli, comparison, play, scenes, test_sets, validation
from agents.report_figure import figure
from agents.rollouts import rollout
from agents.training import scene_sets
from baselines.policy import scene_generators

FRAMES = 6


@pytest.fixture(scope="module")
def walk() -> Walk:
    return Walk()


@pytest.fixture(scope="module")
def track(walk: Walk) -> WalkScene:
    return walk.sample_track(np.random.default_rng(3), 9)


@pytest.fixture
def bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """No policy comes closer than to aim exactly."""
    certified = lambda system, scene: baselines.Bound(value=np.zeros(len(scene)), status=np.full(len(scene), "certified"))  # noqa: E731
    monkeypatch.setattr(baselines, "bound", certified)


def belief(known: WalkScene, rng: np.random.Generator) -> WalkDesign:
    """Aims at the belief."""
    return WalkDesign(aim=known.mean)


class Spy:
    """Aims at the belief plus noise, and writes down what it was given."""

    def __init__(self, name: str, draws: int = 0, privileged: bool = False) -> None:
        self.name, self.draws, self.privileged, self.seen = name, draws, privileged, []  # type: ignore[var-annotated]

    def solve(self, known: WalkScene, rng: np.random.Generator) -> Any:
        self.seen.append(known)
        noise = rng.standard_normal((len(known), self.draws)).sum(axis=1)
        return SimpleNamespace(design=WalkDesign(aim=known.mean + noise), status=np.full(len(known), "stopped"))


class Average:
    """A memory: aims at the mean of all beliefs so far, with a small draw of its own for every scene."""

    name, sequential, privileged = "average", True, False

    def __init__(self) -> None:
        self.counts: list[Any] = []

    def solve(self, known: WalkScene, rng: np.random.Generator, memory: dict[str, np.ndarray] | None) -> Any:
        self.counts.append(None if memory is None else memory["count"].copy())
        total = known.mean + (0.0 if memory is None else memory["total"])
        count = np.ones(len(known)) + (0.0 if memory is None else memory["count"])
        noise = np.array([generator.standard_normal() for generator in scene_generators(rng, len(known))])
        kept = {"total": total, "count": count}
        return SimpleNamespace(design=WalkDesign(aim=total / count + 0.01 * noise), status="stopped", memory=kept)


def test_a_rollout_is_the_mean_over_its_frames(walk: Walk, track: WalkScene) -> None:
    found = rollout(walk, belief, track, np.random.default_rng(0), 2.0, diagnostics=True)
    scene, misses, errors = track, [], []
    for _ in range(FRAMES):
        last, design = scene, WalkDesign(aim=np.clip(scene.mean, -10.0, 10.0))
        metrics, scene = walk.step(scene, design, np.random.default_rng(9))
        misses.append(metrics.miss)
        errors.append(np.abs(last.mean - last.position))
    miss = np.array(misses)
    margin = 2.0 - np.abs(miss)
    np.testing.assert_allclose(found.objective, -np.mean(miss**2, axis=0))
    np.testing.assert_allclose(found.cost, np.mean(np.maximum(0.0, -margin), axis=0))
    np.testing.assert_allclose(found.score, found.objective - 2.0 * found.cost)
    np.testing.assert_allclose(found.margin, margin.min(axis=0))
    np.testing.assert_array_equal(found.margins["near"], found.margin)
    np.testing.assert_array_equal(found.violated, (margin < -0.05).any(axis=0))
    np.testing.assert_array_equal(found.feasible, (margin >= -1e-3).all(axis=0))
    assert 0 < found.violated.sum() < len(track)
    np.testing.assert_allclose(found.physical["miss"], miss.mean(axis=0))
    np.testing.assert_allclose(found.physical["belief_error"], np.mean(errors, axis=0))
    assert found.physical["pair"].shape == (9, 2) and found.seconds.shape == (FRAMES,)
    np.testing.assert_array_equal(found.last[0].position, last.position)
    np.testing.assert_array_equal(found.last[2].miss, miss[-1])


def test_every_policy_meets_the_same_world(walk: Walk, track: WalkScene) -> None:
    spies = [Spy("first", privileged=True), Spy("second", 7, privileged=True)]
    comparison.compare(walk, spies, track, bound=False, single=0)
    for one, other in zip(spies[0].seen, spies[1].seen, strict=True):
        np.testing.assert_array_equal(one.position, other.position)
    assert len(spies[0].seen) == FRAMES and not np.array_equal(spies[0].seen[-1].mean, spies[1].seen[-1].mean)


def test_only_the_privileged_see_the_truth(walk: Walk, track: WalkScene) -> None:
    plain, marked = Spy("plain"), Spy("marked", privileged=True)
    table = comparison.compare(walk, [plain, marked], track, bound=False, single=0)
    assert all(known.position is None and known.noise is None for known in plain.seen)
    assert all(known.position is not None for known in marked.seen)
    assert [row["privileged"] for row in table.rows] == [False, True]
    np.testing.assert_array_equal(table.results[0].score, table.results[1].score)


def test_memory_comes_back_and_chunks_do_not_matter(
    walk: Walk, track: WalkScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = Average()
    whole = rollout(walk, policy, track, np.random.default_rng(1), 1.0)
    assert policy.counts[0] is None
    np.testing.assert_array_equal(policy.counts[1:], np.arange(1, FRAMES)[:, None] * np.ones(9))
    few = rollout(walk, Average(), track[:4], np.random.default_rng(1), 1.0)  # the first scenes do not feel the others
    np.testing.assert_array_equal(few.score, whole.score[:4])
    forgetful = rollout(walk, belief, track, np.random.default_rng(1), 1.0)
    assert not np.allclose(forgetful.score, whole.score)

    results = {}
    for chunk in (2, 256):
        monkeypatch.setattr(comparison, "CHUNK", chunk)
        policy = Average()
        results[chunk] = comparison.run_policy(walk, "belief", belief, track, 1.0, single=2)
        comparison.run_policy(walk, "average", policy, track, 1.0, single=0)
        starts = [i for i, count in enumerate(policy.counts) if count is None]
        assert starts == list(range(0, FRAMES * -(-9 // chunk), FRAMES))  # a chunk does not inherit another's memory
        assert results[chunk].seconds_single.shape == (2 * comparison.SINGLE_FRAMES,) and results[chunk].seconds > 0.0
    np.testing.assert_array_equal(results[2].score, results[256].score)


def test_wrong_answers_name_the_policy(walk: Walk, track: WalkScene) -> None:
    class Forgetful(Average):
        def solve(self, known: WalkScene, rng: np.random.Generator, memory: Any) -> Any:
            answer = super().solve(known, rng, memory)
            answer.memory["total"] = answer.memory["total"][:2]
            return answer

    with pytest.raises(ValueError, match="'mine': memory must be None or a dict of arrays with 9 entries"):
        rollout(walk, Forgetful(), track, np.random.default_rng(0), 1.0, name="mine")
    with pytest.raises(ValueError, match="'mine' answered 4 designs for 9 scenes"):
        rollout(walk, lambda known, rng: belief(known[:4], rng), track, np.random.default_rng(0), 1.0, name="mine")
    with pytest.raises(RuntimeError, match=r"'mine' failed: TypeError"):
        rollout(walk, lambda known: None, track, np.random.default_rng(0), 1.0, name="mine")


def test_static_scenes_are_answered_once_with_the_same_numbers(system: Any, scene: Any) -> None:
    policy = baselines.make("random", system)
    found = comparison.run_policy(system, "random", policy, scene, 1.0, seed=4)
    rng = scenes.generator("policy", 4, zlib.crc32(b"random"), 0, 0)
    design = policy.solve(system.known(scene), rng).design
    metrics = system.evaluate(scene, system.project(scene, design))
    np.testing.assert_array_equal(found.objective, metrics.objective)
    np.testing.assert_array_equal(found.score, system.penalised(metrics, 1.0))
    assert found.seconds_single.shape == (5,) and found.status == {"stopped": 6}
    for name, values in found.physical.items():
        np.testing.assert_array_equal(values, metrics.physical()[name])


def test_a_table_of_episodes(
    walk: Walk, track: WalkScene, bounded: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    table = agents.compare(walk, {"belief": belief, "spy": Spy("spy", 1), "average": Average()}, track, reference="belief")
    row, result = table.row("belief"), table.results[0]
    assert table.meta["frames"] == FRAMES and table.results[1].status == {"stopped": 9 * FRAMES}
    assert row["mean_miss"] == pytest.approx(result.physical["miss"].mean()) and "mean_pair" not in row
    served = result.objective[~result.violated]
    assert row["gap_to_bound"] == pytest.approx(-served.mean()) and row["score_count"] == 9
    assert table.row("spy")["score_minus_reference"] < 0.0
    text = str(table)
    assert "episode of 6 frames" in text and "per frame" in text
    assert figure(table).axes[-1].get_xlabel() == "time per scene and frame in batch, ms"
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda *arguments, **keywords: None)
    stored = json.loads(table.save(tmp_path)[1].read_text(encoding="utf-8"))
    assert stored["per_scene"]["belief"]["physical"]["miss"] == pytest.approx(list(result.physical["miss"]))


def test_validation_of_episodes(walk: Walk, bounded: None, monkeypatch: pytest.MonkeyPatch) -> None:
    frozen = scenes.frozen_scenes(walk, "validation", 8, episode="track")
    monkeypatch.setattr(baselines, "make", lambda name, system, penalty: Average())
    prepared = validation.prepare(walk, frozen, 1.0, "average")
    policy = Spy("mine")
    scalars, (scene, design, metrics) = prepared.measure(policy)
    found = rollout(walk, policy, frozen.scene, np.random.default_rng(0), 1.0)
    assert scalars["penalised_score"] == pytest.approx(found.score.mean())
    assert scalars["score_minus_average"] == pytest.approx(np.mean(found.score - prepared.reference_score))
    assert scalars["gap_to_bound"] == pytest.approx(-found.objective[~found.violated].mean())
    assert scalars["violation_rate"] == found.violated.mean() and scalars["success_rate"] == found.feasible.mean()
    assert scalars["margin_near_min"] == found.margin.min() and scalars["belief_error"] > 0.0
    assert scalars["pair"] == pytest.approx(found.physical["pair"].mean())
    assert np.all(scene.frame == FRAMES - 1) and len(design) == len(metrics.miss) == 8


def test_scenes_of_an_episode_have_names_of_their_own(walk: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    static, track = scenes.frozen_scenes(walk, "test", 7), scenes.frozen_scenes(walk, "test", 7, episode="track")
    digits = test_sets.parameter_hash(walk)
    assert (static.name, track.name) == (f"walk/{digits}/test", f"walk/{digits}/track-test")
    assert static.scene.noise is None and track.scene.noise.shape == (7, FRAMES, 2) and static.sha256 != track.sha256
    assert static.describe().keys() ^ track.describe().keys() == {"episode"} and track.first(3).episode == "track"
    same = scenes.frozen_scenes(walk, "test", 7, episode="one_shot")
    assert (same.name, same.sha256, same.episode) == (static.name, static.sha256, None)
    more = scenes.frozen_scenes(walk, "test", 130, episode="track")
    np.testing.assert_array_equal(more.scene.noise[:7], track.scene.noise)
    sets = scene_sets(walk, None, 4, 0.0, "track")
    assert sets["validation"].name == f"walk/{digits}/track-validation" and sets["train"] is None  # type: ignore[union-attr]

    whole = scenes.draw_scenes(walk, "test", 20, episode="track")
    entry = test_sets.SceneSet("walk/track-test-v1", "test", 0, 20, walk.to_dict(), scenes.scene_hash(whole), "track")
    monkeypatch.setitem(test_sets.SETS, entry.name, entry)
    monkeypatch.setattr(test_sets.SceneSet, "system", lambda self: walk)
    assert scenes.frozen_scenes(walk, "test", 7, episode="track").name == entry.name
    assert scenes.frozen_scenes(walk, "test", 7).name == static.name
    named = scenes.resolve_scenes(walk, "walk/track-test-v1", 7)
    assert (named.sha256, named.episode) == (track.sha256, "track") and test_sets.find("walk/track-test-v1") is entry
    table = agents.compare(walk, [belief], "walk/track-test-v1", bound=False, single=0, count=5)
    assert table.meta["scenes"]["name"] == entry.name and table.meta["counts"]["scenes"] == 5
    with pytest.raises(ValueError, match="drawn by the episode 'track', and do not serve the episode 'one_shot'"):
        scenes.resolve_scenes(walk, entry.name, 7, episode="one_shot")


def test_the_episode_chooses_the_scenes_of_a_comparison(walk: Walk, track: WalkScene) -> None:
    run = {"bound": False, "single": 0, "count": 3}
    assert agents.compare(walk, [belief], **run).meta["frames"] is None  # type: ignore[arg-type]
    table = agents.compare(walk, [belief], episode="track", **run)  # type: ignore[arg-type]
    assert table.meta["frames"] == FRAMES and table.meta["scenes"]["episode"] == "track"
    agent, other = Average(), Average()
    agent.env_kwargs, other.env_kwargs = {"episode": "track"}, {"episode": "one_shot"}  # type: ignore[attr-defined]
    table = agents.compare(walk, {"agent": agent, "belief": belief}, **run)  # type: ignore[arg-type]
    assert table.meta["scenes"]["episode"] == "track"
    with pytest.raises(ValueError, match="trained on the scenes of different episodes"):
        agents.compare(walk, {"agent": agent, "other": other}, **run)  # type: ignore[arg-type]
    assert scenes.episode_preset(Walk, "track") == "short" and scenes.episode_preset(Walk, "one_shot") is None
    for arguments, message in (
        ({"episode": "walking"}, r"episode must be one of \('one_shot', 'track'\) for walk"),
        ({"episode": "track", "csi_error": 0.1}, "csi_error must be 0 for scenes of episode 'track'"),
        ({"episode": "one_shot", "scenes": track}, "scenes must hold noise in episode 'track' alone"),
    ):
        with pytest.raises(ValueError, match=message):
            agents.compare(walk, [belief], bound=False, **arguments)  # type: ignore[arg-type]


def test_play_in_a_form_of_episode(system: Any, scene: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    drawn: list[Any] = []

    def frame(env: Any, index: int) -> np.ndarray:
        drawn.append(np.array(env.scene.bs_ris))
        return np.zeros((4, 4, 3), np.uint8)

    monkeypatch.setattr("ris_gym.envs.rendering.frame", frame)
    output = tmp_path / "fading.gif"
    small = ["--system.num-elements", "4", "--system.num-antennas", "3"]
    assert cli.main(["play", "beampattern", "--policy", "random", "--episode", "fading", *small, "--output", str(output)]) == 0
    assert len(drawn) == 17 and not np.array_equal(drawn[0], drawn[1]) and output.stat().st_size > 0
    drawn.clear()
    assert len(play.record(system, baselines.make("random", system), scene[0], every=8, episode="one_shot")) == len(drawn) == 2
