"""Policies of `vehicular`: dynamic programming against enumeration, rules by their formulas, look-ahead, what they may see."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import baselines
from agents.rollouts import rollout
from baselines.vehicular import BENCHMARKS, benchmark
from ris_gym.systems.vehicular import Vehicular, beams, motion, planning

GRID = (0.0, 0.05, 0.3, 1.0)


def later(system: Vehicular, count: int, frames: int = 3, seed: int = 0) -> Any:
    """Known scenes after some frames, with beliefs of all kinds."""
    scene, rng = system.sample(np.random.default_rng(seed), count), np.random.default_rng(seed + 1)
    for _ in range(frames):
        scene = system.step(scene, system.made(rng.choice(GRID, (count, 3)) * 0.3))[1]
    return system.known(scene)


@pytest.mark.parametrize("fields", [
    {"preset": "tracking"}, {"preset": "requirement"}, {"preset": "reciprocity", "sensing_threshold_db": 25.0},
    {"preset": "reciprocity", "reflect_share": 0.4}, {"preset": "reciprocity", "s_assist": False},
], ids=str)  # fmt: skip
def test_myopic_is_the_best_of_all_combinations(fields: dict[str, Any]) -> None:
    system = Vehicular.from_preset(**fields)
    known, penalty = later(system, 8), 4.0
    policy = baselines.make("myopic", system, penalty=penalty, grid=GRID)
    found = policy.solve(known, np.random.default_rng(0)).design.sensing_share

    def worth(share: np.ndarray) -> np.ndarray:
        plan = planning.expect(system, known, system.made(share), safety_db=1.0)
        total = plan.rate.sum(axis=1)
        if system.threshold is not None:
            total -= penalty * np.maximum(0.0, 1.0 - plan.credit / system.threshold).sum(axis=1)
        return total

    each = np.stack([worth(np.tile(np.array(a), (8, 1))) for a in itertools.product(GRID, repeat=3)])
    assert np.allclose(worth(found), each.max(axis=0), atol=5e-3)  # the table in rho and s, by other splines with widths
    assert len(np.unique(found)) > 1 or not system.s_assist


def test_look_ahead_over_one_frame_is_myopic() -> None:
    system = Vehicular()
    known = later(system, 20)
    one = baselines.make("look_ahead", system, horizon=1, candidates=GRID).solve(known, np.random.default_rng(0))
    same = baselines.make("myopic", system, grid=GRID).solve(known, np.random.default_rng(0))
    assert np.array_equal(one.design.sensing_share, same.design.sensing_share)
    assert one.objective.shape == (20,) and set(one.status) == {"stopped"}


def test_rules() -> None:
    system = Vehicular.from_preset("requirement")
    known = later(system, 20)
    look = motion.outlook(system, known)
    names = ("never", "fixed", "always", "event", "need_only")
    solved = {name: baselines.make(name, system).solve(known, np.random.default_rng(0)).design for name in names}
    for name, share in (("never", 0.0), ("fixed", 0.1), ("always", 0.5)):
        assert np.all(solved[name].sensing_share == share)
    poor = beams.mean_gain(64, look.spread, 0.0, 1) < 0.8
    assert np.array_equal(solved["event"].sensing_share, np.where(poor, 0.1, 0.0)) and 0.0 < poor.mean() < 1.0
    full = look.echo * beams.mean_gain(64, look.spread, 0.0, 2) * 10**-0.1
    assert np.allclose(solved["need_only"].sensing_share, np.minimum(10**1.8 / full, 1.0))
    wide = baselines.make("need_only_wide", system).solve(known, np.random.default_rng(0)).design
    assert np.array_equal(wide.reflect_width, np.where(6.0 * look.spread > 2.0 / 64, 0.5, 0.0))
    wider = baselines.make("need_only_wider", system).solve(known, np.random.default_rng(0)).design
    assert np.array_equal(wider.reflect_width, 2.0 * wide.reflect_width) and wider.reflect_width.max() == 1.0
    assert np.array_equal(wider.refract_width, wide.refract_width) and np.any(wider.sensing_share != wide.sensing_share)
    same = baselines.make("need_only", system, wide=True, reflect_width=1.0).solve(known, np.random.default_rng(0)).design
    assert np.array_equal(same.sensing_share, wider.sensing_share)
    table = beams.rate_table(64, 6.0)
    each = np.stack([table(look.comm, look.spread, np.full((20, 3), b)) for b in beams.WIDE_LEVELS])
    assert np.all(table(look.comm, look.spread, wide.refract_width) > each.max(axis=0) - 0.05)
    spread_over = look.echo * beams.mean_gain(64, look.spread, 12.0 * wide.reflect_width * look.spread, 2) * 10**-0.1
    assert np.allclose(wide.sensing_share, np.minimum(10**1.8 / spread_over, 1.0))


def test_policies_see_what_is_known_and_meet_every_option() -> None:
    rng = np.random.default_rng(0)
    for fields in (
        {"preset": "reciprocity", "choose_reflector": True, "unauthorised_radar": True, "num_users": 2},
        {"num_users": 1, "num_cols": 9}, {"preset": "reciprocity", "s_assist": False, "cyclic": False},
    ):  # fmt: skip
        system = Vehicular.from_preset(**{"num_frames": 4, **fields})
        scene = system.sample(rng, 5, dtype="complex64")
        for name in baselines.names(system):
            options = {"hide": "apart"} if name.endswith("_wide") else {}
            design = baselines.make(name, system, **options).solve(system.known(scene), rng).design
            metrics, after = system.step(scene, design)
            assert design.sensing_share.shape == (5, system.num_users) and np.isfinite(metrics.score).all()
            assert {array.dtype for _, array in after.items()} <= {np.dtype(np.float32), np.dtype(np.int64)}


def test_means_leave_frame_0_out_and_bind_drives() -> None:
    import gymnasium

    system = Vehicular.from_preset("reciprocity", num_frames=6)
    scene, policy = system.sample(np.random.default_rng(0), 3), baselines.make("myopic_wide", system)
    found = rollout(system, policy, scene, np.random.default_rng(0), 10.0)
    env = gymnasium.make_vec("ris_gym/Vehicular-v0", 3, preset="reciprocity", num_frames=6, dtype="complex128")
    env.reset(seed=0, options={"scene": scene})
    rewards, driver = [], policy.bind(env)
    for _ in range(6):
        rewards.append(env.step(driver.predict()[0])[1])
    assert np.allclose(found.score, np.mean(rewards[1:], axis=0), atol=1e-6)
    assert not np.allclose(found.score, np.mean(rewards, axis=0), atol=1e-3)
    assert np.allclose(rollout(system, policy, scene, np.random.default_rng(0), 10.0, frames=1).objective, rewards[0], atol=1e-6)


def test_benchmarks_of_the_survey() -> None:
    """The same scenes; without one assistance J falls, without both most."""
    system = Vehicular.from_preset("reciprocity")
    scene, j = system.sample(np.random.default_rng(101), 12), {}
    for name in BENCHMARKS:
        model = benchmark(system, name)
        j[name] = rollout(model, baselines.make("need_only", model), scene, np.random.default_rng(0), 10.0).score.mean()
    assert j["s&c"] > max(j["w/o c"], j["w/o s"]) and min(j["w/o c"], j["w/o s"]) > j["w/o s&c"]
    with pytest.raises(ValueError, match="w/o x"):
        benchmark(system, "w/o x")


@pytest.mark.parametrize(("name", "options"), [
    ("fixed", {"share": 1.2}), ("myopic", {"grid": (0.3, 0.1)}), ("look_ahead", {"horizon": 0}),
    ("look_ahead", {"candidates": ()}), ("never", {"wide": 1}), ("never", {"hide": "maybe"}), ("never", {"chunk": 0}),
], ids=str)  # fmt: skip
def test_wrong_options(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        baselines.make(name, Vehicular(), **options)
