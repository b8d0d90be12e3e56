"""The textbook programs of `multifunctional` in cvxpy: optimality, admissibility, and what happens where there is no solution."""

from __future__ import annotations

import numpy as np
import pytest

from baselines.multifunctional.filters import best_filters
from baselines.multifunctional.programs import (
    CoefficientRestoration,
    ProjectionProblem,
    TransmitRestoration,
    coefficient_problem,
    coefficient_set,
    transmit_problem,
    transmit_set,
)
from baselines.multifunctional.textbook import Textbook, drawn_back
from baselines.multifunctional.units import Channels
from ris_gym import systems

CASES = {
    "log": {},
    "sum": {"objective_form": "sum"},
    "db": {"objective_form": "db"},
    "few_sensors": {"num_sensors_h": 1, "num_sensors_v": 1},
    "uneven": {"num_users": (2, 0), "num_targets": (1, 2)},
    "modes": {"protocol": "ms", "objective_form": "sum"},
    "active": {"kind": "active"},
    "passive": {"kind": "passive", "min_rate_bps_hz": 0.1},
}
MF = [case for case in CASES if case not in ("active", "passive")]


def cn(rng, *shape):
    return rng.standard_normal((*shape, 2)) @ [1.0, 1j] / np.sqrt(2.0)


def build(case, batch=2, slot=None, **fields):
    """Channels, and beams and coefficients within their hard constraints."""
    fields = {"objective_form": "log"} | CASES.get(case, {}) | fields
    if fields.get("kind") in ("active", "passive"):
        fields["objective_form"] = "db"
    system = systems.make("multifunctional", preset="small", **fields)
    rng = np.random.default_rng(7)
    channels = Channels.of(system, system.sample(rng, batch))
    if slot is not None:
        channels = channels.slot(slot, 0.5)
    antennas, elements, _, sides = channels.sizes
    theta = channels.mask * np.exp(2j * np.pi * rng.random((batch, sides, elements)))
    theta /= np.sqrt(np.maximum((np.abs(theta) ** 2).sum(1, keepdims=True), 1e-9))
    rows = channels.user_rows(theta)
    matched = np.swapaxes(rows.conj(), 1, 2) / np.linalg.norm(rows, axis=-1)[:, None, :]
    w = np.concatenate([matched, 0.1 * cn(rng, batch, antennas, channels.num_sensing_beams)], axis=-1)
    w /= np.linalg.norm(w, axis=(1, 2))[:, None, None]
    if channels.budget:
        theta /= np.sqrt(np.maximum(channels.surface_power(w, theta), 1.0))[:, None, None]
    return channels, w, theta


def restored(channels, w, theta):
    """Both moved until the rates hold."""
    textbook = Textbook()
    for _ in range(3):
        w, good = textbook.restore_transmit(TransmitRestoration(feasible=transmit_set(channels, theta), point=w))
        assert good.all()
        problem = CoefficientRestoration(feasible=coefficient_set(channels, w, theta), point=theta)
        theta, good = textbook.restore_coefficients(problem)
        assert good.all()
    assert channels.feasible(w, theta).all() if not channels.equality else True
    return w, theta


def others(feasible, x, rng, count=20):
    """Admissible points near and far: perturbed, then drawn to x until everything holds."""
    for _ in range(count):
        moved = x + np.sqrt(np.mean(np.abs(x) ** 2)) * 10.0 ** rng.uniform(-3, 0) * cn(rng, *x.shape)
        if hasattr(feasible, "mask"):
            moved = moved * feasible.mask
        for _ in range(40):
            bad = feasible.violation(moved) > 1e-9
            if not bad.any():
                break
            moved = np.where(bad[:, None, None], x + 0.6 * (moved - x), moved)
        yield np.where((feasible.violation(moved) <= 1e-9)[:, None, None], moved, x)


@pytest.mark.parametrize("case", MF)
def test_both_steps_are_optimal_and_the_alternation_rises(case):
    channels, w, theta = build(case)
    w, theta = restored(channels, w, theta)
    textbook, rng = Textbook(), np.random.default_rng(0)
    u, gamma = best_filters(channels.echoes(theta), w)
    values = [channels.utility(gamma)]
    for _ in range(2):
        problem = transmit_problem(channels, theta, w, u)
        assert (problem.feasible.violation(problem.point) <= 1e-6).all()
        w, good = textbook.transmit(problem)
        check(problem, w, good, rng)
        u = best_filters(channels.echoes(theta), w)[0]
        problem = coefficient_problem(channels, theta, w, u)
        theta, good = textbook.coefficients(problem)
        check(problem, theta, good, rng)
        u, gamma = best_filters(channels.echoes(theta), w)
        values.append(channels.utility(gamma))
        assert channels.feasible(w, theta).all()
    assert (np.diff(values, axis=0) > 0).all()
    assert {call.program for call in textbook.calls} == {"transmit", "coefficients"} and len(textbook.calls) == 8
    assert [call.scene for call in textbook.calls] == [0, 1] * 4


def check(problem, x, good, rng):
    """x is admissible and no admissible point is better."""
    assert good.all() and (problem.feasible.violation(x) <= 1e-8).all()
    value = problem.value(x)
    assert (value >= problem.value(problem.point) - 1e-7).all()
    for other in others(problem.feasible, x, rng):
        assert (problem.value(other) <= value + 2e-6).all()


@pytest.mark.parametrize("solver", ["CLARABEL", "SCS"])
def test_the_report_has_the_value_of_the_minorant_whatever_the_solver(solver):
    channels, w, theta = build("log")
    w, theta = restored(channels, w, theta)
    u = best_filters(channels.echoes(theta), w)[0]
    textbook = Textbook(solvers=(solver,))
    problem = transmit_problem(channels, theta, w, u)
    w, good = textbook.transmit(problem, index=np.array([4, 9]))
    assert good.all()
    np.testing.assert_allclose([call.value for call in textbook.calls], problem.value(w), atol=1e-4)
    assert [(call.scene, call.solver) for call in textbook.calls] == [(4, solver), (9, solver)]
    best, _ = Textbook().transmit(problem)
    np.testing.assert_allclose(problem.value(best), problem.value(w), atol=1e-4)


def test_a_slot_is_one_side():
    channels, w, theta = build("log", slot=1, protocol="ts")
    w, theta = restored(channels, w, theta)
    u, gamma = best_filters(channels.echoes(theta), w)
    assert u.shape[1] == 1
    w, good = Textbook().transmit(transmit_problem(channels, theta, w, u))
    problem = coefficient_problem(channels, theta, w, best_filters(channels.echoes(theta), w)[0])
    theta, also = Textbook().coefficients(problem)
    assert good.all() and also.all() and channels.feasible(w, theta).all()
    assert (best_filters(channels.echoes(theta), w)[1] > gamma).all()


@pytest.mark.parametrize("case", ["log", "modes", "active", "passive", "uneven"])
def test_the_projection_is_the_nearest_admissible_point(case):
    channels, w, theta = build(case)
    w, theta = restored(channels, w, theta)
    rng = np.random.default_rng(1)
    sets = coefficient_set(channels, w, theta)
    anchor = theta + 2.0 * np.abs(theta).max() * cn(rng, *theta.shape)
    textbook = Textbook()
    x, good = textbook.project(ProjectionProblem(anchor=anchor, feasible=sets, point=theta))
    assert good.all() and (sets.violation(x) <= 1e-8).all()
    size = np.linalg.norm(anchor - x, axis=(1, 2))
    np.testing.assert_allclose([call.value for call in textbook.calls], size, rtol=1e-5)
    for other in others(sets, x, rng):  # variational inequality
        assert (((anchor - x).conj() * (other - x)).sum((1, 2)).real <= 1e-5 * size).all()
    inside, good = textbook.project(ProjectionProblem(anchor=theta, feasible=sets, point=theta))
    np.testing.assert_allclose(inside, theta, atol=1e-4)


@pytest.mark.parametrize("case", ["log", "active", "passive"])
def test_the_restoration_raises_the_smallest_cone(case):
    channels, w, theta = build(case, min_rate_bps_hz=6.0)  # hopeless for some
    sets = transmit_set(channels, theta)
    textbook = Textbook()
    moved, good = textbook.restore_transmit(TransmitRestoration(feasible=sets, point=w))
    assert good.all() and (sets.powers(moved) <= 1.0 + 1e-7).all()
    least = sets.cones(moved).min(-1)
    assert (least >= np.minimum(sets.cones(sets.rotated(w)).min(-1), 1.0) - 1e-6).all()
    np.testing.assert_allclose([call.value for call in textbook.calls], np.minimum(least, 1.0), atol=1e-4)
    own = coefficient_set(channels, moved, theta)
    problem = CoefficientRestoration(feasible=own, point=theta)
    after, good = textbook.restore_coefficients(problem)
    assert good.all() and (own.power(after) <= 1.0 + 1e-7).all() and (np.abs(after) ** 2).sum(1).max() <= 1.0 + 1e-7
    assert (own.cones(after).min(-1) >= np.minimum(own.cones(theta).min(-1), 1.0) - 1e-6).all()
    assert (after[~channels.mask] == 0.0).all()


def test_a_scene_without_a_solution_keeps_its_point():
    channels, w, theta = build("log", min_rate_bps_hz=20.0)
    u = best_filters(channels.echoes(theta), w)[0]
    textbook = Textbook()
    problem = transmit_problem(channels, theta, w, u)
    same, good = textbook.transmit(problem)
    assert not good.any() and all(call.infeasible and not call.accepted for call in textbook.calls)
    np.testing.assert_array_equal(same, problem.point)


def test_a_solution_outside_is_drawn_back_as_little_as_needed():
    channels, w, theta = build("log")
    w, theta = restored(channels, w, theta)
    sets = transmit_set(channels, theta)[:1]
    point = sets.rotated(w[:1])[0]
    outside = 1.001 * point / np.sqrt(sets.powers(point[None]).max())
    assert sets.violation(outside[None])[0] > 1e-4
    moved, residual = drawn_back(sets, outside, point)
    assert residual <= 1e-8 and sets.violation(moved[None])[0] == residual
    assert sets.violation((outside + 0.4 * (moved - outside))[None])[0] > 1e-8
    same, residual = drawn_back(sets, point, outside)
    assert residual <= 1e-8 and same is point
