"""The fast coefficient step of `multifunctional`, its projection and restoration, against cvxpy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from baselines.multifunctional.coefficients import project, restore_coefficients, solve_coefficients
from baselines.multifunctional.filters import best_filters
from baselines.multifunctional.initial import matched_beams, random_phases, sensing_noise, within_budget
from baselines.multifunctional.programs import (
    CoefficientRestoration,
    ProjectionProblem,
    coefficient_problem,
    coefficient_set,
    transmit_problem,
)
from baselines.multifunctional.textbook import Textbook
from baselines.multifunctional.transmit import solve_transmit
from baselines.multifunctional.units import Channels
from ris_gym import systems

CASES = {
    "log": {},
    "sum": {"objective_form": "sum"},
    "db": {"objective_form": "db"},
    "uneven": {"num_users": (2, 0), "num_targets": (1, 2)},
    "three_users": {"num_users": (1, 2), "num_antennas": 5},
    "modes": {"protocol": "ms"},
    "no_users": {"num_users": (0, 0)},
}


def build(case, batch=3, seed=3, slot=None, **fields):
    """Channels and a point that meets the rates (mf)."""
    system = systems.make("multifunctional", preset="small", **CASES.get(case, {}), **fields)
    channels = Channels.of(system, system.known(system.sample(np.random.default_rng(seed), batch)))
    if slot is not None:
        channels = channels.slot(slot, 0.5)
    generators = [np.random.default_rng(i) for i in range(batch)]
    theta = random_phases(channels, generators)
    w = matched_beams(channels, theta, sensing_noise(channels, generators))
    theta = within_budget(channels, w, theta)
    u = best_filters(channels.echoes(theta), w)[0]
    w, done = solve_transmit(transmit_problem(channels, theta, w, u))
    assert done.all() and channels.feasible(w, theta).all()
    return channels, w, theta


def check(problem):
    fast, done = solve_coefficients(problem, gap=1e-7)
    slow, solved = Textbook().coefficients(problem)
    assert done.all() and solved.all()
    assert (problem.feasible.violation(fast) <= 1e-7).all()
    value, other = problem.value(fast), problem.value(slow)
    assert (value >= other - 2e-5).all() and (value <= other + 5e-3).all()  # Clarabel stops a little early
    assert (problem.value(fast) >= problem.value(problem.point) - 1e-6).all()


@pytest.mark.parametrize("case", CASES)
def test_value_is_that_of_cvxpy(case):
    channels, w, theta = build(case)
    check(coefficient_problem(channels, theta, w, best_filters(channels.echoes(theta), w)[0]))


@pytest.mark.parametrize("slot", [0, 1])
def test_value_is_that_of_cvxpy_in_a_slot(slot):
    channels, w, theta = build("log", slot=slot, protocol="ts")
    assert theta.shape[1] == 1
    check(coefficient_problem(channels, theta, w, best_filters(channels.echoes(theta), w)[0]))


def test_problem_agrees_with_the_quotient_of_lemma_1():
    channels, w, theta = build("log")
    u, gamma = best_filters(channels.echoes(theta), w)
    problem = coefficient_problem(channels, theta, w, u)
    assert np.allclose(problem.echo(theta) / problem.interference(theta), gamma, rtol=1e-9)
    sinr = channels.sinr(w, theta)
    cones = problem.feasible.cones(theta)
    assert np.array_equal(cones >= 0, sinr >= channels.threshold)


@pytest.mark.parametrize("kind", ["mf", "active", "star", "passive"])
def test_projection_is_that_of_cvxpy(kind):
    batch = 3
    system = systems.make("multifunctional", preset="small", kind=kind, min_rate_bps_hz=0.05)
    channels = Channels.of(system, system.known(system.sample(np.random.default_rng(1), batch)))
    generators = [np.random.default_rng(i) for i in range(batch)]
    theta = random_phases(channels, generators)
    w = matched_beams(channels, theta, sensing_noise(channels, generators))
    theta = within_budget(channels, w, theta)
    sets = coefficient_set(channels, w, theta)
    for size in (0.05, 1.5):
        noise = np.stack([g.standard_normal((*theta.shape[1:], 2)) for g in generators]) @ [1.0, 1.0j]
        problem = ProjectionProblem(anchor=theta + size * noise, feasible=sets, point=theta)
        fast, done = project(problem, gap=1e-8)
        slow, solved = Textbook().project(problem)
        assert np.array_equal(done, solved) and done.any()
        assert (sets.violation(fast)[done] <= 1e-7).all()
        assert np.allclose(fast[done], slow[done], atol=2e-3)


def test_restoration_reaches_the_rates_where_cvxpy_does():
    channels, w, theta = build("log", batch=4)
    weak = 0.05 * theta
    sets = coefficient_set(channels, w, weak)
    assert (sets.cones(weak).min(-1) < 0).any()
    problem = CoefficientRestoration(feasible=sets, point=weak)
    fast, done = restore_coefficients(problem)
    assert done.all() and channels.feasible(w, fast, rate=1e-6).all()
    hopeless = replace(sets, threshold=sets.threshold * 1e3)
    problem = CoefficientRestoration(feasible=hopeless, point=weak)
    fast, done = restore_coefficients(problem, gap=1e-4)
    slow, _ = Textbook().restore_coefficients(problem)
    assert done.all() and (hopeless.cones(slow).min(-1) < 0).all()
    assert np.allclose(hopeless.cones(fast).min(-1), hopeless.cones(slow).min(-1), rtol=1e-2)
