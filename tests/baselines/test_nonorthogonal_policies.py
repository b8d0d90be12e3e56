"""Every policy of `nonorthogonal`: contracts, batches and chunks, environments, options."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

import baselines
import ris_gym  # noqa: F401
from baselines.policy import STATUSES
from ris_gym import systems
from ris_gym.testing import check_monotone

NAMES = [
    "cross_entropy", "coordinate_descent", "localisation_only", "td_isac", "align", "max_gain", "exhaustive", "gradient",
    "random", "hold", "fold", "widen", "oracle", "prox_linear",
]  # fmt: skip
CONTINUOUS = ("align", "max_gain", "gradient", "random", "prox_linear")
SMALL = {"surface_shape": (2, 3), "num_antennas": 4, "user_shape": (2, 3)}
CASES = {
    "physical": {},
    "theorem1": {"model": "consistent", "fisher": "paper", "num_slots": 5, "num_blocks": 2},
    "mixed": {"model": "mixed", "fisher": "paper", "phase_bits": 1, "symbol_variance": 0.3, "design_symbols": "statistical"},
    "literal": {"model": "literal", "fisher": "known", "num_slots": 1, "surface_shape": (1, 2)},
    "constrained": {"objective_form": "constrained", "num_blocks": 2},
    "constrained paper": {"objective_form": "constrained", "model": "consistent", "fisher": "paper", "phase_bits": 1},
    "one element": {"surface_shape": (1, 1), "weight": 1.0},
}


def build(case, batch=4, csi_error=0.0):
    system = systems.make("nonorthogonal", **{**SMALL, **CASES[case]})
    return system, system.sample(np.random.default_rng(5), batch, csi_error=csi_error)


def check(system, given, solution):
    count = len(given)
    metrics = system.evaluate(given, solution.design)
    assert np.isin(solution.status, STATUSES).all()
    assert solution.status.shape == solution.objective.shape == solution.feasible.shape == (count,)
    check_monotone(solution, system.sense if solution.history_of == "objective" else 1)
    np.testing.assert_allclose(solution.objective, metrics.objective, atol=1e-9)
    np.testing.assert_array_equal(solution.feasible, metrics.feasible)
    canonical = system.canonical(given, solution.design)
    for (_, a), (_, b) in zip(canonical.items(), solution.design.items(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)
    raw = system.encode(given, solution.design)
    back = system.evaluate(given, system.decode(given, raw))
    np.testing.assert_allclose(back.objective, solution.objective, atol=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_contract(case):
    system, scene = build(case, csi_error=0.1 if case == "physical" else 0.0)
    assert baselines.names(system) == NAMES
    known = system.known(scene)
    reached = {}
    for name in NAMES:
        policy = baselines.make(name, system, **({"steps": 2} if name in ("gradient", "prox_linear") else {}))
        assert policy.name == name and policy.privileged is (name == "oracle")
        given = scene if policy.privileged else known
        solution = policy.solve(given, np.random.default_rng(0))
        check(system, given, solution)
        metrics = system.evaluate(given, solution.design)
        if name != "prox_linear":
            last = metrics.objective if solution.history_of == "objective" else system.penalised(metrics)
            np.testing.assert_allclose(solution.history[-1], last, atol=1e-9)
        reached[name] = np.asarray(system.penalised(metrics))
        assert (solution.memory is None) is (name not in ("hold", "fold", "widen", "oracle"))
        if name in ("exhaustive", "coordinate_descent", "hold", "fold", "widen", "max_gain"):
            assert solution.feasible.all()
        assert (solution.status == "optimal").all() == (name == "exhaustive")
    for name in NAMES[:-1]:
        if name != "oracle" and system.objective_form == "weighted":
            assert (reached[name] <= reached["exhaustive"] + 1e-9).all(), name
    assert (reached["coordinate_descent"] >= reached["align"] - 1e-9).all()


def test_continuous_phases():
    system = systems.make("nonorthogonal", **SMALL, phase_bits=None)
    scene = system.sample(np.random.default_rng(5), 4)
    for name in NAMES:
        if name in CONTINUOUS:
            check(system, scene, baselines.make(name, system).solve(scene, np.random.default_rng(0)))
        else:
            with pytest.raises(ValueError, match="phase_bits"):
                baselines.make(name, system)


@pytest.mark.parametrize("case", ["physical", "theorem1", "constrained"])
def test_batches_and_chunks_do_not_change_results(case):
    system, scene = build(case, 5)
    for name in NAMES[:-1]:
        options = {"td_isac": {"split": True}, "coordinate_descent": {"num_starts": 9}, "gradient": {"steps": 3}}.get(name, {})
        whole, parts = (
            baselines.make(name, system, chunk=chunk, **options).solve(scene, np.random.default_rng(3)) for chunk in (256, 2)
        )
        np.testing.assert_array_equal(whole.design.coefficients, parts.design.coefficients)
        np.testing.assert_allclose(whole.history, parts.history, atol=1e-12)
        one = baselines.make(name, system, **options).solve(scene[:1], np.random.default_rng(3))
        np.testing.assert_array_equal(whole.design.coefficients[:1], one.design.coefficients)
        none = baselines.make(name, system, **options).solve(scene[:0], np.random.default_rng(3))
        assert none.history.shape == (1, 0) and none.objective.shape == none.status.shape == (0,)


def test_single_precision_scenes_give_the_same_designs():
    system, scene = build("theorem1")
    for name in ("cross_entropy", "coordinate_descent", "align", "max_gain"):
        double, single = (
            baselines.make(name, system).solve(scene.astype(dtype), np.random.default_rng(3))
            for dtype in ("complex128", "complex64")
        )
        np.testing.assert_allclose(single.objective, double.objective, atol=1e-4)
        assert single.design.coefficients.dtype == np.complex128


@pytest.mark.parametrize(
    ("name", "options", "match"),
    [
        ("cross_entropy", {"num_candidates": 0}, "num_candidates"),
        ("cross_entropy", {"num_candidates": 5, "num_elite": 6}, "num_elite"),
        ("cross_entropy", {"tolerance": -1.0}, "tolerance"),
        ("cross_entropy", {"max_rounds": 0}, "max_rounds"),
        ("coordinate_descent", {"num_starts": 0}, "num_starts"),
        ("max_gain", {"target": "both"}, "target"),
        ("gradient", {"steps": 0}, "steps"),
        ("gradient", {"step_size": 0.0}, "step_size"),
        ("widen", {"num_draws": 0}, "num_draws"),
    ],
)
def test_wrong_options(name, options, match):
    with pytest.raises(ValueError, match=match):
        baselines.make(name, build("physical", 1)[0], **options)


def test_exhaustive_refuses_large_surfaces():
    with pytest.raises(ValueError, match=r"2\^30"):
        baselines.make("exhaustive", systems.make("nonorthogonal"))


@pytest.mark.parametrize("episode", ["refine", "one_shot"])
def test_a_policy_drives_an_environment(episode):
    env = gym.make("ris_gym/NonOrthogonal-v0", episode=episode, dtype="complex128", **SMALL)
    core = env.unwrapped.core
    policy = baselines.make("coordinate_descent", core.system)
    model = policy.bind(env)
    observation, _ = env.reset(seed=1)
    goal = policy.solve(core.known, np.random.default_rng(0)).objective
    state, done = None, False
    while not done:
        action, state = model.predict(observation, state=state)
        observation, _, terminated, truncated, info = env.step(action)
        done = terminated or truncated
    assert info["objective"] == pytest.approx(goal[0], abs=1e-6)
