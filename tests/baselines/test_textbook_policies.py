"""Whole runs with `solver="cvxpy"`: contracts, the verdicts of the fast form, what happens when a solver fails."""

from __future__ import annotations

import numpy as np
import pytest

import baselines
from baselines.beampattern.units import Scaled
from baselines.tools import convex
from baselines.tools.linalg import abs2
from ris_gym import systems

CASES = {
    "five": {},
    "sectors": {"preset": "sectors"},
    "infeasible": {"sinr_threshold_db": 60.0},
    "bits": {"phase_bits": 2},
    "los": {"los_bs_ris": True},
    "no_sensing": {"num_sensing_beams": 0},
    "users": {"num_users": 2, "sinr_threshold_db": 6.0, "user_radius_m": 5.0},
    "leak_bits": {"num_users": 2, "sinr_threshold_db": 6.0, "user_radius_m": 5.0, "cancel_sensing": False, "phase_bits": 3},
}
NAMES = ("ao", "separate", "information_only")


def build(case, batch=2):
    fields = {"num_antennas": 4, "num_elements": 8, "sinr_threshold_db": 10.0} | CASES[case]
    system = systems.make("beampattern", fields.pop("preset", None), **fields)
    return system, system.sample(np.random.default_rng(5), batch=batch)


@pytest.mark.parametrize("case", CASES)
def test_whole_runs(case):
    system, scene = build(case)
    known = system.known(scene)
    bound = baselines.bound(system, scene, solver="cvxpy")
    np.testing.assert_array_equal(bound.status, baselines.bound(system, scene).status)
    for name in NAMES if system.num_users == 1 else NAMES[:2]:
        policy = baselines.make(name, system, solver="cvxpy", randomisations=200)
        solution = policy.solve(known, np.random.default_rng(0))
        fast = baselines.make(name, system, randomisations=200).solve(known, np.random.default_rng(0))
        metrics = system.evaluate(scene, solution.design)
        np.testing.assert_allclose(solution.objective, metrics.objective, atol=1e-9)
        np.testing.assert_array_equal(solution.feasible, metrics.feasible)
        np.testing.assert_array_equal(solution.feasible, fast.feasible)
        np.testing.assert_array_equal(solution.status, fast.status)
        assert np.isfinite(solution.history).all() and (np.diff(solution.history, axis=0) >= -1e-9).all()
        assert (solution.objective <= bound.value + 1e-3)[solution.feasible].all()
        np.testing.assert_allclose(metrics.power_w, system.power_w, rtol=1e-9)
        phases = np.angle(solution.design.coefficients) * 2 ** (system.phase_bits or 0) / (2 * np.pi)
        np.testing.assert_allclose(np.abs(solution.design.coefficients), 1.0, atol=1e-12)
        if system.phase_bits:
            np.testing.assert_allclose(phases, np.round(phases), atol=1e-9)
        if name == "information_only":
            assert not np.abs(solution.design.sensing_beams).any()
        if case == "infeasible":
            assert (solution.status == "infeasible").all() and not solution.feasible.any()
        else:
            assert solution.feasible.all()
        assert policy.programs.calls and {call.scene for call in policy.programs.calls} == {0, 1}
        kinds = {call.program for call in policy.programs.calls}
        assert "separate" in kinds and ("information" in kinds) == (name == "information_only" or case == "no_sensing")


def test_results_depend_neither_on_chunks_nor_on_earlier_calls():
    system, scene = build("five", batch=3)
    whole = baselines.make("ao", system, solver="cvxpy").solve(scene, np.random.default_rng(3))
    policy = baselines.make("ao", system, solver="cvxpy", chunk=2)
    parts = policy.solve(scene, np.random.default_rng(3))
    np.testing.assert_array_equal(whole.objective, parts.objective)
    assert {call.scene for call in policy.programs.calls} == {0, 1, 2}
    count = len(policy.programs.calls)
    policy.solve(scene[:0], np.random.default_rng(0))
    assert count and not policy.programs.calls


@pytest.mark.parametrize("name", NAMES)
def test_one_user_survives_a_solver_that_always_fails(name, monkeypatch):
    monkeypatch.setattr(convex.ConvexProgram, "_attempt", lambda self, solver: ("solver_error", np.nan, 0))
    system, scene = build("five")
    policy = baselines.make(name, system, solver="cvxpy")
    solution = policy.solve(scene, np.random.default_rng(0))
    assert (solution.status == "failed").all() and np.isfinite(solution.objective).all()
    assert solution.feasible[baselines.bound(system, scene).status != "infeasible"].any()  # maximum-ratio beams
    assert all(call.status == "solver_error" and not call.accepted for call in policy.programs.calls)
    assert (baselines.bound(system, scene, solver="cvxpy").status == "unknown").all()


@pytest.mark.parametrize("broken", ["transmit", "reflective"])
def test_a_failing_program_keeps_the_incumbent(broken, monkeypatch):
    attempt = convex.ConvexProgram._attempt

    def sometimes(self, solver):
        return ("solver_error", np.nan, 0) if self.name == broken and self.solves >= start[0] else attempt(self, solver)

    start = [0]
    monkeypatch.setattr(convex.ConvexProgram, "_attempt", sometimes)
    system, scene = build("users")
    policy = baselines.make("ao", system, solver="cvxpy", rounds=2)
    solution = policy.solve(scene, np.random.default_rng(0))
    assert np.isfinite(solution.objective).all() and (np.diff(solution.history, axis=0) >= -1e-9).all()
    if broken == "transmit":
        assert (solution.status == "failed").all()
    else:
        separate = baselines.make("separate", system, solver="cvxpy").solve(scene, np.random.default_rng(0))
        assert (solution.status == "stopped").all()
        np.testing.assert_allclose(solution.objective, separate.objective, atol=1e-9)


def test_the_exact_repair_mends_what_a_solver_leaves_short():
    """A transmit step solved for a threshold 0.002 dB too low: the repair meets the true one and costs next to nothing."""
    fields = {"num_antennas": 4, "num_elements": 8}
    lower, system = (systems.make("beampattern", sinr_threshold_db=level, **fields) for level in (18.0, 18.002))
    scene = lower.sample(np.random.default_rng(5), batch=8)
    solution = baselines.make("separate", lower, solver="cvxpy").solve(scene, np.random.default_rng(0))
    before, repaired = system.evaluate(scene, solution.design), system.repair(scene, solution.design)
    after = system.evaluate(scene, repaired)
    short = ~np.asarray(before.feasible)
    scaled = Scaled.of(system, scene)
    possible = abs2(scaled.rows(solution.design.coefficients)[0]).sum((1, 2)) >= 1.0
    assert (short & possible).any() and (after.margins["sinr"] >= -1e-6)[possible].all()
    assert (np.abs(after.objective - before.objective) < 0.05)[possible].all()
    assert (after.objective <= baselines.bound(system, scene, solver="cvxpy").value + 1e-3)[possible].all()
    again = system.evaluate(scene, system.repair(scene, repaired))
    np.testing.assert_allclose(again.objective, after.objective, atol=1e-6)


def test_bad_solvers_are_named():
    one, two = build("five")[0], build("users")[0]
    for name in ("ao", "separate"):
        with pytest.raises(ValueError, match="solver must be one of"):
            baselines.make(name, one, solver="mosek")
    with pytest.raises(ValueError, match="solver must be 'fast'"):
        baselines.make("information_only", two, solver="cvxpy")
    with pytest.raises(ValueError, match="solver must be one of"):
        baselines.bound(one, build("five")[1], solver="mosek")
    with pytest.raises(TypeError):
        baselines.bound(one, build("five")[1], nonsense=1)
