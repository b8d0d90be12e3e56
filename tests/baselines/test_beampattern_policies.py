"""Every policy of `beampattern`: contracts, quality, edge cases."""

from __future__ import annotations

import numpy as np
import pytest

import baselines
from baselines.beampattern.transmit import transmit_covariances, transmit_step
from baselines.beampattern.units import Scaled
from baselines.policy import STATUSES
from ris_gym import systems

CASES = {
    "small": {},
    "infeasible": {"sinr_threshold_db": 60.0},
    "bits": {"phase_bits": 2},
    "information": {"num_sensing_beams": 0},
    "users": {"num_users": 2, "sinr_threshold_db": 6.0, "user_radius_m": 5.0},
    "leak": {"num_users": 2, "sinr_threshold_db": 6.0, "user_radius_m": 5.0, "cancel_sensing": False},
    "users_bits": {"num_users": 2, "sinr_threshold_db": 3.0, "phase_bits": 3, "num_sensing_beams": 0},
    "one": {"num_antennas": 1, "num_elements": 1, "angles_deg": (10.0,), "sinr_threshold_db": 0.0},
}
NAMES = ["ao", "separate", "information_only", "joint", "ao_local", "prox_linear", "gradient", "random"]
GENERIC = ("prox_linear", "gradient", "random")


def build(case, batch=4):
    fields = {"num_antennas": 4, "num_elements": 8, "sinr_threshold_db": 18.0} | CASES[case]
    system = systems.make("beampattern", **fields)
    return system, system.sample(np.random.default_rng(5), batch=batch)


def check(system, scene, solution):
    count = len(scene)
    metrics = system.evaluate(scene, solution.design)
    assert np.isin(solution.status, STATUSES).all()
    assert solution.status.shape == solution.objective.shape == solution.feasible.shape == (count,)
    assert solution.history.ndim == 2 and solution.history.shape[1] == count
    assert np.isfinite(solution.history).all() and np.isfinite(solution.objective).all()
    for _, array in solution.design.items():
        assert np.isfinite(array).all()
    np.testing.assert_allclose(solution.objective, metrics.objective, atol=1e-9)
    np.testing.assert_array_equal(solution.feasible, metrics.feasible)
    again = system.evaluate(scene, system.canonical(scene, solution.design))
    np.testing.assert_allclose(again.objective, metrics.objective, atol=1e-9)
    assert solution.design.sensing_beams.shape[-1] == system.num_sensing_beams
    np.testing.assert_allclose(np.abs(solution.design.coefficients), 1.0, atol=1e-9)
    np.testing.assert_allclose(metrics.power_w, system.power_w, rtol=1e-9)
    assert (np.diff(solution.history, axis=0) >= -1e-9).all()
    assert solution.seconds >= 0 and solution.memory is None


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", NAMES)
def test_contract(name, case):
    system, scene = build(case)
    policy = baselines.make(name, system)
    assert policy.name == name and policy.privileged is False
    known = system.known(scene)
    solution = policy.solve(known, np.random.default_rng(0))
    check(system, scene, solution)
    bound = baselines.bound(system, scene)
    assert set(bound.status) <= {"certified", "infeasible", "unknown"} and np.isfinite(bound.value).all()
    assert (solution.objective <= bound.value + 1e-3)[solution.feasible].all()
    assert not solution.feasible[bound.status == "infeasible"].any()
    if case == "infeasible":
        assert (bound.status == "infeasible").all() and not solution.feasible.any()
        if name not in GENERIC:
            assert (solution.status == "infeasible").all()
    elif name not in GENERIC:
        assert (solution.feasible == (solution.status != "infeasible")).all()
    raw = system.encode(known, solution.design)
    back = system.evaluate(scene, system.decode(known, raw))
    np.testing.assert_allclose(back.objective, solution.objective, atol=1e-6)


def test_the_registry_lists_every_policy(default):
    assert baselines.names(default[0]) == NAMES


@pytest.mark.parametrize("name", ["ao", "separate", "information_only", "joint", "ao_local"])
def test_chunks_do_not_change_results(name, small):
    system, scene = small[0], small[1][:4]
    options = {"joint": {"starts": 2}, "ao_local": {"rounds": 2}}.get(name, {})
    whole = baselines.make(name, system, **options).solve(scene, np.random.default_rng(3))
    parts = baselines.make(name, system, chunk=3, **options).solve(scene, np.random.default_rng(3))
    np.testing.assert_allclose(whole.objective, parts.objective, atol=1e-3)
    np.testing.assert_array_equal(whole.feasible, parts.feasible)
    again = baselines.make(name, system, **options).solve(scene, np.random.default_rng(3))
    np.testing.assert_array_equal(whole.objective, again.objective)


@pytest.mark.parametrize("batch", [0, 1])
@pytest.mark.parametrize("name", NAMES)
def test_empty_and_single_batches(name, batch):
    system, scene = build("small")
    solution = baselines.make(name, system).solve(scene[:batch], np.random.default_rng(0))
    assert len(solution.objective) == len(solution.status) == batch
    assert solution.history.shape[1] == batch


def test_quality_at_the_defaults(default):
    system, scene = default
    bound = baselines.bound(system, scene)
    assert (bound.status == "certified").all()
    gap, score = {}, {}
    for name in NAMES:
        solution = baselines.make(name, system).solve(scene, np.random.default_rng(1))
        check(system, scene, solution)
        assert (solution.objective <= bound.value + 1e-3)[solution.feasible].all()
        gap[name] = (bound.value - solution.objective)[solution.feasible].mean()
        score[name] = system.penalised(system.evaluate(scene, solution.design)).mean()
        if name in ("ao", "information_only", "joint", "ao_local"):
            assert solution.feasible.all()
    assert gap["joint"] < 0.6
    assert gap["ao_local"] < 1.2 and gap["ao"] < 2.0
    assert score["joint"] > score["ao_local"] > score["ao"] > score["gradient"] > score["random"]
    assert score["ao"] > score["separate"]


def test_quality_with_sectors():
    system = systems.make("beampattern", preset="sectors")
    scene = system.sample(np.random.default_rng(2), batch=6)
    solution = baselines.make("joint", system).solve(scene, np.random.default_rng(1))
    bound = baselines.bound(system, scene)
    assert solution.feasible.all() and (bound.value - solution.objective).mean() < 0.95


def test_several_users_come_close_to_the_bound():
    system = systems.make("beampattern", num_users=2, num_elements=12, user_radius_m=5.0, sinr_threshold_db=8.0)
    scene = system.sample(np.random.default_rng(2), batch=4)
    bound = baselines.bound(system, scene)
    solution = baselines.make("joint", system, starts=2).solve(scene, np.random.default_rng(1))
    assert solution.feasible.all() and (bound.value - solution.objective).mean() < 1.3


@pytest.mark.parametrize("init", ["separate", "random", "communication"])
def test_starts_of_ao(init, small):
    system, scene = small
    solution = baselines.make("ao", system, init=init, randomisations=100, rounds=3).solve(scene, np.random.default_rng(1))
    check(system, scene, solution)


def test_ao_without_the_incumbent_stays_valid(small):
    system, scene = small
    solution = baselines.make("ao", system, keep_incumbent=False, rounds=5).solve(scene, np.random.default_rng(1))
    assert np.isfinite(solution.history).all() and solution.feasible.any()


def test_sensing_signal_is_orthogonal_to_the_only_user(default):
    system, scene = default
    design = baselines.make("separate", system).solve(scene, np.random.default_rng(1)).design
    kept = {}
    for cancel in (True, False):
        other = systems.make("beampattern", cancel_sensing=cancel)
        kept[cancel] = other.evaluate(scene, design).sinr_db
    np.testing.assert_allclose(kept[True], kept[False], atol=1e-4)


def test_policies_act_on_estimates():
    system, _ = build("small")
    scene = system.sample(np.random.default_rng(0), batch=3, csi_error=0.2)
    known = system.known(scene)
    solution = baselines.make("ao", system).solve(known, np.random.default_rng(0))
    np.testing.assert_allclose(solution.objective, system.evaluate(known, solution.design).objective, atol=1e-9)
    truth = system.evaluate(scene, system.project(scene, solution.design))
    assert np.abs(truth.objective - solution.objective).max() > 1e-3


def test_loaded_channels_have_their_own_reference(small):
    system, scene = small
    loaded = system.check_scene({name: 3.0 * getattr(scene, name) for name in ("bs_ris", "ris_user", "bs_user")})
    solution = baselines.make("separate", system, chunk=4).solve(loaded, np.random.default_rng(0))
    check(system, loaded, solution)
    bound = baselines.bound(system, loaded)
    assert (solution.objective <= bound.value + 1e-3)[solution.feasible].all()


def test_transmit_step_is_exact_for_random_surfaces():
    for fields in ({}, {"num_users": 3, "user_radius_m": 5.0, "sinr_threshold_db": 12.0, "cancel_sensing": False}):
        system = systems.make("beampattern", **fields)
        scene = system.sample(np.random.default_rng(9), batch=24)
        scaled = Scaled.of(system, scene)
        v = np.exp(2j * np.pi * np.random.default_rng(3).random((24, 32)))
        _, feasible, bound = transmit_covariances(scaled, *scaled.rows(v))
        beams, gain, _ = transmit_step(scaled, v)
        assert feasible.mean() > 0.5
        assert (10 * np.log10(bound[feasible] / gain[feasible])).max() < 0.01
        assert (scaled.gain_and_margin(v, beams)[1][feasible] > 1 - 1e-5).all()


def test_single_precision_scenes_are_solved_in_double(small):
    system, scene = small
    solution = baselines.make("ao", system, rounds=2).solve(scene.astype("complex64"), np.random.default_rng(0))
    assert solution.design.coefficients.dtype == np.complex128 and np.isfinite(solution.objective).all()


@pytest.mark.parametrize(
    ("name", "options", "word"),
    [
        ("ao", {"init": "nearest"}, "init"),
        ("ao", {"randomisations": 0}, "randomisations"),
        ("ao", {"rounds": 1.5}, "rounds"),
        ("ao", {"tolerance": float("nan")}, "tolerance"),
        ("ao", {"chunk": 0}, "chunk"),
        ("ao", {"penalty": -1.0}, "penalty"),
        ("joint", {"starts": 0}, "starts"),
        ("joint", {"kappas": (8.0,)}, "iterations"),
        ("gradient", {"steps": 0}, "steps"),
        ("gradient", {"step_size": 0.0}, "step_size"),
        ("random", {"control": "none"}, "control"),
        ("nonsense", {}, "name"),
    ],
)
def test_bad_options_are_named(name, options, word, small):
    with pytest.raises(ValueError, match=word):
        baselines.make(name, small[0], **options)
