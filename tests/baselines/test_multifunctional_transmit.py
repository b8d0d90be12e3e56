"""The fast transmit step of `multifunctional`: cvxpy's optimum, from feasible and infeasible points, restoration, minorants."""

from __future__ import annotations

import numpy as np
import pytest

from baselines.multifunctional.filters import best_filters
from baselines.multifunctional.initial import matched_beams, random_phases, sensing_noise, within_budget
from baselines.multifunctional.programs import TransmitRestoration, transmit_problem, transmit_set
from baselines.multifunctional.textbook import Textbook
from baselines.multifunctional.transmit import restore_transmit, solve_transmit
from baselines.multifunctional.units import Channels
from ris_gym import systems

CASES = {
    "log": {},
    "sum": {"objective_form": "sum"},
    "db": {"objective_form": "db"},
    "few_sensors": {"num_sensors_h": 1, "num_sensors_v": 1},
    "uneven": {"num_users": (2, 0), "num_targets": (1, 2)},
    "no_rate": {"min_rate_bps_hz": 0.0},
    "no_users": {"num_users": (0, 0)},
    "active": {"kind": "active"},
    "star": {"kind": "star", "min_rate_bps_hz": 0.1},
}


def build(case, batch=3, seed=3):
    """Channels and a first point, which need not meet the rates."""
    system = systems.make("multifunctional", preset="small", **CASES[case])
    rng = np.random.default_rng(seed)
    channels = Channels.of(system, system.known(system.sample(rng, batch)))
    generators = [np.random.default_rng(i) for i in range(batch)]
    theta = random_phases(channels, generators)
    w = matched_beams(channels, theta, sensing_noise(channels, generators))
    return channels, w, within_budget(channels, w, theta)


def cn(rng, *shape):
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2.0)


@pytest.mark.parametrize("case", CASES)
def test_value_is_that_of_cvxpy_from_an_infeasible_point(case):
    channels, w, theta = build(case)
    problem = transmit_problem(channels, theta, w, best_filters(channels.echoes(theta), w)[0])
    fast, done = solve_transmit(problem, gap=1e-7)
    slow, solved = Textbook().transmit(problem)
    assert np.array_equal(done, solved) and done.any()
    assert (problem.feasible.violation(fast[done]) <= 1e-7).all()
    value, other = problem.value(fast)[done], problem.value(slow)[done]
    assert (value >= other - 2e-5).all() and (value <= other + 5e-3).all()  # Clarabel stops a little early


@pytest.mark.parametrize("gap", [1e-1, 1e-2, 1e-4])
def test_gap_is_kept(gap):
    channels, w, theta = build("log")
    problem = transmit_problem(channels, theta, w, best_filters(channels.echoes(theta), w)[0])
    best = problem.value(solve_transmit(problem, gap=1e-8)[0])
    lower = problem.value(solve_transmit(problem, gap=gap)[0])
    # s^T v <= gap and the term of the dual residual
    assert (best - lower <= 3.0 * gap).all() and (lower <= best + 1e-7).all()


@pytest.mark.parametrize("case", ["log", "sum", "db"])
def test_minorant_is_tight_to_first_order_and_below(case):
    channels, w, theta = build(case, batch=2)
    u = best_filters(channels.echoes(theta), w)[0]
    problem = transmit_problem(channels, theta, w, u)

    def truth(x):
        gamma = problem.echo(x) / problem.interference(x)
        if case == "sum":
            return gamma.sum(-1) / (problem.echo(problem.point) / problem.interference(problem.point)).sum(-1)
        return np.log(1.0 + gamma).sum(-1) if case == "log" else np.log(gamma).sum(-1)

    rng = np.random.default_rng(0)
    base = problem.value(problem.point) - truth(problem.point)
    for scale in (1e-6, 1e-2, 0.3):
        for _ in range(5):
            x = problem.point + scale * cn(rng, *w.shape)
            change = problem.value(x) - truth(x) - base
            assert (change <= 1e-9).all()
            if scale == 1e-6:
                assert (np.abs(change) <= 1e-5).all()


def test_problem_agrees_with_the_quotient_of_lemma_1():
    channels, w, theta = build("log")
    u, gamma = best_filters(channels.echoes(theta), w)
    problem = transmit_problem(channels, theta, w, u)
    assert np.allclose(problem.echo(problem.point) / problem.interference(problem.point), gamma, rtol=1e-9)


@pytest.mark.parametrize("case", ["log", "active", "star"])
def test_restoration_reaches_the_rates_where_cvxpy_does(case):
    channels, w, theta = build(case, batch=4)
    sets = transmit_set(channels, theta)
    problem = TransmitRestoration(feasible=sets, point=sets.rotated(w))
    fast, done = restore_transmit(problem)
    slow, _ = Textbook().restore_transmit(problem)
    assert done.all() and (sets.powers(fast) <= 1.0 + 1e-6).all()
    reach, least = sets.cones(slow).min(-1), sets.cones(fast).min(-1)
    assert np.array_equal(least > 0, reach > 0)
    # it may end at a delta that is sound: it must not end below the largest one where that is negative
    assert (least[reach <= 0] >= reach[reach <= 0] - 1e-2).all()


def test_restoration_of_a_hopeless_set_is_the_largest_delta():
    channels, w, theta = build("log", batch=2)
    channels = type(channels)(**{**vars(channels), "threshold": channels.threshold * 3e3})
    sets = transmit_set(channels, theta)
    problem = TransmitRestoration(feasible=sets, point=sets.rotated(w))
    fast, done = restore_transmit(problem, gap=1e-6)
    slow, _ = Textbook().restore_transmit(problem)
    reach = sets.cones(slow).min(-1)
    assert done.all() and (reach < 0).all()
    assert np.allclose(sets.cones(fast).min(-1), reach, rtol=1e-3)
