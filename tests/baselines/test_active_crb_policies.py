"""Policies of `active_crb`: answers, monotone histories, benchmarks against each other, options that do not apply."""

from __future__ import annotations

import numpy as np
import pytest

import baselines
import ris_gym
from baselines.active_crb.common import put
from baselines.active_crb.transmit import transmit_step
from baselines.active_crb.units import Channels

SMALL = {"num_antennas": 6, "num_elements": 4, "num_users": 2, "sinr_threshold_db": 2}
ISAC = ("ao", "direct", "transmit_only", "zero_forcing", "passive")
SENSING = ("ao", "direct", "transmit_only", "reflective_only", "passive")


def setting(count=5, seed=0, **changes):
    system = ris_gym.systems.make("active_crb", **{**SMALL, **changes})
    scene = system.sample(np.random.default_rng(seed), count)
    return system, scene, system.known(scene)


def solve(name, system, known, seed=1, **options):
    return baselines.make(name, system, **options).solve(known, np.random.default_rng(seed))


def check(system, scene, known, solution, canonical=True):
    metrics = system.evaluate(known, solution.design)
    assert np.array_equal(metrics.objective, solution.objective)
    assert np.array_equal(metrics.feasible, solution.feasible)
    assert np.isfinite(solution.objective).all()
    assert np.isfinite(solution.history).all()
    assert set(solution.status) <= {"optimal", "stopped", "infeasible", "failed"}
    assert np.all(solution.feasible == (solution.status == "stopped"))
    assert np.all(np.diff(solution.history, axis=0) <= 1e-9)
    assert np.allclose(solution.history[-1], solution.objective)
    assert np.all(np.asarray(metrics.power_slack_db) > -1e-9)
    if metrics.surface_slack_db is not None:
        assert np.all(np.asarray(metrics.surface_slack_db) > -1e-9)
    if canonical:
        again = system.decode(known, system.encode(known, solution.design))
        assert np.allclose(system.evaluate(known, again).objective, solution.objective, atol=1e-7)


def test_names():
    assert baselines.names("active_crb") == [
        *("ao", "direct", "transmit_only", "reflective_only", "zero_forcing", "passive"),
        *("prox_linear", "gradient", "random"),
    ]


@pytest.mark.parametrize("name", ISAC)
def test_isac_answers(name):
    system, scene, known = setting()
    check(system, scene, known, solve(name, system, known))


@pytest.mark.parametrize("name", SENSING)
def test_sensing_only_answers(name):
    system, scene, known = setting(sinr_threshold_db=None, surface_power_dbm=-5)
    solution = solve(name, system, known)
    check(system, scene, known, solution, canonical=name != "reflective_only")
    assert solution.feasible.all()


def test_passive_system():
    system, scene, known = setting(kind="passive", sinr_threshold_db=-20)
    for name in ("ao", "direct", "transmit_only", "zero_forcing"):
        check(system, scene, known, solve(name, system, known))


def test_order_of_the_isac_policies():
    system, _, known = setting(count=8)
    found = {name: solve(name, system, known) for name in ISAC}
    value = {name: np.where(s.feasible, s.objective, 1e3) for name, s in found.items()}
    assert np.all(value["ao"] <= value["transmit_only"] + 1e-5)  # same draw of phases
    assert np.all(value["direct"] <= value["transmit_only"] + 1e-5)
    assert value["direct"].mean() < value["ao"].mean() + 1e-6
    assert value["ao"].mean() < value["zero_forcing"].mean()
    assert np.array_equal(found["transmit_only"].status == "infeasible", ~found["transmit_only"].feasible)


def test_transmit_only_draws_the_same_phases_at_every_budget():
    system, _, known = setting()
    other = ris_gym.systems.make("active_crb", **{**SMALL, "power_dbm": 35, "max_gain_db": 20, "sinr_threshold_db": None})
    scene = other.sample(np.random.default_rng(0), 5)
    one, two = solve("transmit_only", system, known), solve("transmit_only", other, scene)
    same = one.feasible
    a, b = np.asarray(one.design.coefficients)[same], np.asarray(two.design.coefficients)[same]
    assert np.allclose(a / np.abs(a), b / np.abs(b))


def test_answers_do_not_depend_on_the_chunk():
    system, _, known = setting(count=4)
    for name in ("ao", "direct"):
        whole, parts = solve(name, system, known), solve(name, system, known, chunk=3)
        assert np.allclose(whole.objective, parts.objective, atol=1e-3)
        assert np.array_equal(whole.status, parts.status)


def test_no_scenes():
    system, _, known = setting()
    solution = solve("ao", system, known[0:0])
    assert len(solution.objective) == 0


def test_estimates_and_single_precision():
    system, _, _ = setting()
    scene = system.sample(np.random.default_rng(0), 3, csi_error=0.1, dtype="complex64")
    known = system.known(scene)
    solution = solve("direct", system, known)
    assert np.allclose(system.evaluate(known, solution.design).objective, solution.objective)
    projected = system.project(scene, solution.design)
    assert np.isfinite(np.asarray(system.evaluate(scene, projected).objective)).all()


def test_alternation_from_low_amplitudes_reaches_the_cap():
    """Sensing only, budgets full: only the joint scaling leads back to the cap (start of section 7.2)."""
    system, _, known = setting(sinr_threshold_db=None, surface_power_dbm=-5)
    high, low = solve("ao", system, known), solve("ao", system, known, level=0.3)
    assert np.allclose(high.objective, low.objective, atol=0.05)
    assert low.history[0].mean() > low.history[-1].mean() + 3.0


def test_direct_lowers_amplitudes_where_that_gains():
    system, _, known = setting(sinr_threshold_db=None, max_gain_db=65)
    direct, fixed = solve("direct", system, known), solve("transmit_only", system, known)
    assert np.all(direct.objective <= fixed.objective + 1e-6)
    assert direct.objective.mean() < fixed.objective.mean() - 1e-3


def test_reflective_only_keeps_the_covariance():
    system, _, known = setting(sinr_threshold_db=None)
    solution = solve("reflective_only", system, known)
    basis = np.asarray(known.reference["basis"])
    isotropic = basis @ np.conj(np.swapaxes(basis, 1, 2)) * system.power_w / system.num_antennas
    assert np.allclose(solution.design.sensing_cov, isotropic, atol=1e-9 * system.power_w)
    assert np.all(solution.objective >= solve("ao", system, known).objective)


def test_passive_design_has_unit_amplitudes():
    system, _, known = setting(sinr_threshold_db=None)
    solution = solve("passive", system, known)
    assert np.allclose(np.abs(solution.design.coefficients), 1.0)
    same = ris_gym.systems.make("active_crb", **{**SMALL, "sinr_threshold_db": None, "kind": "passive"})
    direct = solve("ao", same, same.sample(np.random.default_rng(0), 5))
    assert np.allclose(direct.objective, solution.objective, atol=1e-3)


def test_textbook_solver_gives_the_same_sensing_design():
    system, _, known = setting(count=2, sinr_threshold_db=None)
    fast, textbook = (solve("transmit_only", system, known, solver=solver) for solver in ("fast", "cvxpy"))
    assert np.allclose(fast.objective, textbook.objective, atol=1e-4)
    policy = baselines.make("ao", setting()[0], solver="clarabel", rounds=1)
    system, scene, known = setting(count=1)
    solution = policy.solve(known, np.random.default_rng(1))
    check(system, scene, known, solution)
    assert {call.program for call in policy.programs.calls} >= {"transmit"}
    assert all(call.solver.lower() == "clarabel" for call in policy.programs.calls)


@pytest.mark.parametrize(
    ("name", "changes", "options", "match"),
    [
        ("reflective_only", {}, {}, "sinr_threshold_db"),
        ("zero_forcing", {"sinr_threshold_db": None}, {}, "sinr_threshold_db"),
        ("passive", {"kind": "passive"}, {}, "kind"),
        ("direct", {}, {"solver": "cvxpy"}, "solver"),
        ("direct", {}, {"starts": 0}, "starts"),
        ("ao", {}, {"solver": "simplex"}, "solver"),
        ("ao", {}, {"rounds": 0}, "rounds"),
        ("ao", {}, {"level": 0.0}, "level"),
        ("ao", {}, {"tolerance": -1.0}, "tolerance"),
        ("ao", {}, {"chunk": 0}, "chunk"),
    ],
)
def test_options_that_do_not_apply(name, changes, options, match):
    system, _, _ = setting(count=1, **changes)
    with pytest.raises(ValueError, match=match):
        baselines.make(name, system, **options)


def test_steps_are_merged_by_rows():
    system, scene, _ = setting(count=4)
    channels = Channels.of(system, scene)
    rng = np.random.default_rng(0)
    one, two = (transmit_step(channels, channels.cap[:, None] * np.exp(2j * np.pi * rng.random((4, 4)))) for _ in range(2))
    rows = np.array([1, 3])
    merged = put(one, rows, two[rows])
    for i, source in enumerate((one, two, one, two)):
        assert np.array_equal(merged.v[i], source.v[i])
        assert merged.value[i] == source.value[i]
        assert np.array_equal(merged.result.f[i], source.result.f[i])
        assert np.array_equal(merged.scaled.e1[i], source.scaled.e1[i])
        assert np.array_equal(merged.beams.cov[i], source.beams.cov[i])
    assert np.array_equal(merged.scaled.threshold, one.scaled.threshold)
