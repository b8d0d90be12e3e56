"""Units, filter and alternating optimisation of `multifunctional`."""

from __future__ import annotations

import numpy as np
import pytest

import baselines
from baselines.multifunctional.filters import best_filters
from baselines.multifunctional.units import Channels
from ris_gym import systems

KINDS = {
    "es": {},
    "ms": {"protocol": "ms"},
    "ts": {"protocol": "ts"},
    "active": {"kind": "active"},
    "star": {"kind": "star", "min_rate_bps_hz": 0.1},
    "passive": {"kind": "passive", "min_rate_bps_hz": 0.1},
}


def make(case, batch=3, preset="small", **fields):
    system = systems.make("multifunctional", preset=preset, **KINDS.get(case, {}), **fields)
    scene = system.sample(np.random.default_rng(3), batch)
    return system, scene, system.known(scene)


@pytest.mark.parametrize("case", ["es", "ms", "active", "star", "passive"])
def test_units_give_the_metrics_of_the_system(case):
    system, scene, known = make(case)
    channels = Channels.of(system, known)
    raw = np.random.default_rng(0).uniform(-1, 1, system.start(known).shape)
    design = system.decode(known, raw)
    metrics = system.evaluate(scene, design)
    w, theta = design.all_beams / np.sqrt(system.power_w), design.coefficients / np.sqrt(system.max_gain)
    gamma = best_filters(channels.echoes(theta), w)[1]
    assert np.allclose(10 * np.log10(gamma), metrics.echo_sinr_db, atol=1e-8)
    assert np.allclose(np.log2(1 + channels.sinr(w, theta)), metrics.rate, rtol=1e-9)
    assert np.allclose(channels.utility(gamma), metrics.objective, atol=1e-8)
    if channels.budget:
        assert np.allclose(channels.surface_power(w, theta) * system.surface_power_w, metrics.surface_power_w, rtol=1e-9)


def test_units_of_a_slot_give_the_metrics_of_the_system():
    system, scene, known = make("ts", num_users=(2, 1), num_targets=(1, 2))
    raw = np.random.default_rng(0).uniform(-1, 1, system.start(known).shape)
    design = system.decode(known, raw)
    metrics = system.evaluate(scene, design)
    channels = Channels.of(system, known)
    for side in (0, 1):
        slot = channels.slot(side)
        own = np.flatnonzero(system.user_side == side)
        w = np.concatenate([design.beams[:, side][:, :, own], design.sensing_beams[:, side]], axis=2) / np.sqrt(system.power_w)
        theta = design.coefficients[:, [side]] / np.sqrt(system.max_gain)
        share = design.time_fraction if side == 0 else 1 - design.time_fraction
        gamma = best_filters(slot.echoes(theta), w)[1][:, 0]
        assert np.allclose(10 * np.log10(gamma * share), metrics.echo_sinr_db[:, side], atol=1e-8)
        assert np.allclose(np.log2(1 + slot.sinr(w, theta)) * share[:, None], metrics.rate[:, own], rtol=1e-9)


def test_no_other_filter_beats_lemma_1():
    system, _, known = make("es")
    channels = Channels.of(system, known)
    design = system.decode(known, system.start(known))
    w, theta = design.all_beams / np.sqrt(system.power_w), design.coefficients / np.sqrt(system.max_gain)
    echoes = channels.echoes(theta)
    u, gamma = best_filters(echoes, w)

    def quotient(v):
        signal = (np.abs(v.conj()[..., None, :] @ echoes.signal @ w[:, None]) ** 2).sum((-1, -2))
        leak = (np.abs(v.conj()[..., None, :] @ echoes.leak @ w[:, None]) ** 2).sum((-1, -2))
        return signal / (leak + (v.conj()[..., None, :] @ echoes.noise @ v[..., None]).real[..., 0, 0])

    assert np.allclose(quotient(u), gamma, rtol=1e-9)
    rng = np.random.default_rng(0)
    for scale in (1e-3, 0.1, 10.0):
        for _ in range(20):
            assert (quotient(u + scale * (rng.standard_normal(u.shape) + 1j * rng.standard_normal(u.shape))) <= gamma).all()


@pytest.mark.parametrize("case", KINDS)
@pytest.mark.parametrize("name", ["ao", "random"])
def test_monotone_canonical_and_below_the_bound(case, name):
    system, scene, known = make(case)
    options = {"time_fractions": (0.3, 0.5)} if case == "ts" else {}
    solution = baselines.make(name, system, **options).solve(known, np.random.default_rng(0))
    assert set(solution.status) <= {"stopped", "infeasible"}
    assert np.array_equal(solution.feasible, solution.status == "stopped") and solution.feasible.any()
    assert (np.diff(solution.history, axis=0) >= -1e-9).all()
    again = system.decode(known, system.encode(known, solution.design))
    assert np.allclose(system.evaluate(scene, again).objective, solution.objective, atol=1e-7)
    projected = system.project(scene, solution.design)
    assert np.allclose(system.evaluate(scene, projected).objective, solution.objective, atol=1e-9)
    if system.kind == "mf":
        assert (baselines.bound(system, scene).value >= solution.objective - 1e-9).all()
    if name == "ao":
        rough = baselines.make("random", system, **options).solve(known, np.random.default_rng(0))
        both = solution.feasible & rough.feasible
        assert (solution.objective[both] > rough.objective[both]).all()


def test_answer_is_that_of_cvxpy_and_does_not_depend_on_the_batch():
    system, _, known = make("es", batch=4)
    fast = baselines.make("ao", system).solve(known, np.random.default_rng(2))
    slow = baselines.make("ao", system, solver="cvxpy").solve(known, np.random.default_rng(2))
    assert fast.feasible.all() and slow.feasible.all()
    assert fast.objective.mean() >= slow.objective.mean() - 0.05
    chunked = baselines.make("ao", system, chunk=3).solve(known, np.random.default_rng(2))
    assert np.allclose(chunked.objective, fast.objective, atol=1e-6)


def test_fewer_sensors_than_antennas():
    system, _, known = make("es", preset="default", num_sensors_h=2, num_sensors_v=2)
    solution = baselines.make("ao", system).solve(known, np.random.default_rng(0))
    assert solution.feasible.all() and (solution.objective > 10.0).all()  # plain ascent: 0 to 15 bit


def test_more_starts_are_not_worse():
    system, _, known = make("es")
    one = baselines.make("ao", system).solve(known, np.random.default_rng(0))
    three = baselines.make("ao", system, starts=3).solve(known, np.random.default_rng(0))
    assert (three.objective >= one.objective - 1e-9).all() and (three.objective > one.objective + 1e-3).any()


def test_free_modes_are_not_worse_than_interleaved_ones():
    system, _, known = make("ms")
    fixed = baselines.make("ao", system).solve(known, np.random.default_rng(0))
    free = baselines.make("ao", system, mode_rule="free").solve(known, np.random.default_rng(0))
    # the interleaved run of `free` has another start
    assert free.feasible.all() and free.objective.mean() > fixed.objective.mean() - 0.1
    assert (np.abs(free.design.coefficients) > 0).sum(1).max() == 1


@pytest.mark.parametrize("case", ["es", "ms", "ts", "passive"])
def test_phase_bits(case):
    system, _, known = make(case, phase_bits=2)
    options = {"time_fractions": (0.5,)} if case == "ts" else {}
    solution = baselines.make("ao", system, **options).solve(known, np.random.default_rng(0))
    theta = solution.design.coefficients
    turn = np.angle(theta[np.abs(theta) > 1e-9]) / (np.pi / 2)
    assert np.allclose(turn, np.round(turn), atol=1e-9)
    assert solution.feasible.any()


def test_impossible_rates_are_infeasible_and_the_design_is_hard_feasible():
    system, scene, known = make("es", batch=2, min_rate_bps_hz=15.0)
    solution = baselines.make("ao", system).solve(known, np.random.default_rng(0))
    assert (solution.status == "infeasible").all() and np.isfinite(solution.objective).all()
    metrics = system.evaluate(scene, solution.design)
    assert (metrics.power_w <= system.power_w * (1 + 1e-9)).all()
    assert (metrics.surface_power_w <= system.surface_power_w * (1 + 1e-9)).all()


@pytest.mark.parametrize("fields", [{"num_users": (0, 0)}, {"num_users": (2, 0), "num_sensing_beams": 0, "protocol": "ts"}])
def test_no_users_or_no_streams(fields):
    system, _, known = make("", **fields)
    solution = baselines.make("ao", system).solve(known, np.random.default_rng(0))
    assert solution.feasible.all() and np.isfinite(solution.objective).all()


def test_no_scenes():
    system, _, known = make("es")
    solution = baselines.make("ao", system).solve(known[:0], np.random.default_rng(0))
    assert len(solution.objective) == 0


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"rounds": 0}, "rounds"),
        ({"tolerance": -1.0}, "tolerance"),
        ({"starts": 0}, "starts"),
        ({"mode_rule": "best"}, "mode_rule"),
        ({"time_fractions": (0.01,)}, "time_fractions"),
        ({"extrapolation": -1.0}, "extrapolation"),
        ({"solver": "gurobi"}, "solver"),
    ],
)
def test_wrong_options(options, name):
    with pytest.raises(ValueError, match=name):
        baselines.make("ao", make("es", batch=1)[0], **options)
