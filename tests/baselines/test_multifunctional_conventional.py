"""Surfaces with a four-hop echo: values, derivatives, the projection, the coefficient step and the joint ascent."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import cvxpy as cp
import numpy as np
import pytest

from baselines.multifunctional.alternate import Point, alternate
from baselines.multifunctional.coefficients import project
from baselines.multifunctional.conventional import coefficient_step, gradient
from baselines.multifunctional.conventional_echo import FourHop, utility
from baselines.multifunctional.conventional_joint import Coordinates, joint_ascent, polished
from baselines.multifunctional.forms import make_programs
from baselines.multifunctional.initial import normalised, repaired, restore
from baselines.multifunctional.programs import ProjectionProblem, coefficient_set
from baselines.multifunctional.units import Channels
from ris_gym import systems

KINDS = ("star", "active", "passive")


def scenes(kind: str, batch: int = 3, **fields):
    """System, scenes, channels and the design of the start rule in the units of `Channels`."""
    system = systems.make("multifunctional", kind=kind, **fields)
    scene = system.sample(np.random.default_rng(3), batch)
    known = system.known(scene)
    design = system.decode(known, system.start(known, "surface"), "surface")
    w, theta = design.all_beams / np.sqrt(system.power_w), design.coefficients / np.sqrt(system.max_gain)
    return system, scene, Channels.of(system, known), w, theta


def gaussian(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def as_design(system, w, theta):
    beams = w * np.sqrt(system.power_w)
    users = system.users
    return system.design(
        beams=beams[..., :users], sensing_beams=beams[..., users:], coefficients=theta * np.sqrt(system.max_gain)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_values_are_those_of_the_system(kind):
    system, scene, channels, w, theta = scenes(kind)
    metrics = system.evaluate(scene, as_design(system, w, theta))
    data = FourHop.of(channels)
    np.testing.assert_allclose(10 * np.log10(data.echo(w, theta).gamma), metrics.echo_sinr_db, atol=1e-9)
    value = 10 / np.log(10) * utility(data.form, data.echo(w, theta).gamma)[0]
    np.testing.assert_allclose(value, metrics.objective, atol=1e-9)
    incident = channels.bs_ris @ w
    ratio = np.exp(data.user_ratio(theta, incident)) * channels.threshold
    np.testing.assert_allclose(10 * np.log10(ratio), metrics.sinr_db, atol=1e-9)
    if kind == "active":
        np.testing.assert_allclose(data.surface_use(theta, incident) * system.surface_power_w, metrics.surface_power_w)


def test_mf_is_refused():
    system = systems.make("multifunctional", preset="small")
    channels = Channels.of(system, system.known(system.sample(np.random.default_rng(0), 1)))
    with pytest.raises(ValueError, match="kind 'star'"):
        FourHop.of(channels)
    with pytest.raises(ValueError, match="form must be"):
        utility("linear", np.ones((1, 2)))


@pytest.mark.parametrize("form", ["db", "sum", "log"])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_match_differences(kind, form):
    """In theta and in the beams; the filter of Lemma 1 recomputed at every point (envelope theorem)."""
    _, _, channels, w, theta = scenes(kind)
    data, step = FourHop.of(channels, form), 1e-6
    value, slope = gradient(data, w, theta)
    d_theta, d_w = gaussian(theta.shape) * channels.mask, gaussian(w.shape, 1)

    def at(t):
        return utility(form, data.echo(w + t * d_w, theta + t * d_theta).gamma)[0]

    echo = data.echo(w, theta)
    weight = utility(form, echo.gamma)[1] / echo.interference
    _, beams = data.echo_gradient(theta, echo, weight, -weight * echo.gamma, beams=True)
    assert beams is not None
    expected = (slope.conj() * d_theta).real.sum((1, 2)) + (beams.conj() * (channels.bs_ris @ d_w)).real.sum((1, 2))
    np.testing.assert_allclose((at(step) - at(-step)) / (2 * step), expected, rtol=1e-5)
    np.testing.assert_allclose(value, at(0.0))
    fixed = [utility(form, data.echo(w, theta + t * d_theta, echo.u).gamma)[0] for t in (step, -step)]
    np.testing.assert_allclose((fixed[0] - fixed[1]) / (2 * step), (slope.conj() * d_theta).real.sum((1, 2)), rtol=1e-5)


def nearest(sets, target: np.ndarray, row: int) -> float:
    """Squared distance of `target` (B, 2, M) from one set."""
    x = cp.Variable(target.shape[1:], complex=True)
    rules = [cp.norm(x, 2, axis=0) <= 1, cp.multiply(x, ~sets.mask[row]) == 0]
    for k, side in enumerate(sets.user_side):
        received = sets.rows[row, k] @ x[side]
        rest = cp.hstack([received[:k], received[k + 1 :], cp.multiply(sets.noise[row, k], x[side]), np.ones(1)])
        rules.append(np.sqrt(sets.threshold[row, k]) * cp.norm(rest) <= cp.real(received[k]))
    if sets.incident is not None:
        rules.append(cp.sum_squares(cp.multiply(x, np.sqrt(sets.incident[[row, row]]))) <= 1)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x - target[row])), rules)
    return float(problem.solve(solver="CLARABEL", tol_gap_abs=1e-9, tol_gap_rel=1e-9, tol_feas=1e-9))


@pytest.mark.parametrize("kind", KINDS)
def test_projection_is_that_of_cvxpy(kind):
    """Thresholds 5 % below what the point has and an anchor far away: cones bind; the active surface is over its budget."""
    _, _, channels, w, theta = scenes(kind, num_elements_h=4, num_elements_v=2)
    ratio = np.exp(FourHop.of(channels).user_ratio(theta, channels.bs_ris @ w)) * channels.threshold
    sets = replace(coefficient_set(channels, w, theta), threshold=0.95 * ratio)
    if sets.incident is not None:
        sets = replace(sets, incident=sets.incident / sets.power(theta)[:, None])
    anchor = theta + gaussian(theta.shape)
    problem = ProjectionProblem(anchor=anchor, feasible=sets, point=theta)
    point, found = project(problem, gap=1e-9)
    assert found.all()
    assert (sets.cones(point).min(-1) < 1e-6).any()
    assert sets.violation(point).max() < 1e-8
    target = np.where(sets.mask, anchor, 0.0)
    near = (np.abs(point - target) ** 2).sum((1, 2))
    for row, distance in enumerate(near):
        np.testing.assert_allclose(distance, nearest(sets, target, row), rtol=1e-6)
    # any other point y of the set: ||y - point||^2 <= ||y - anchor||^2 - ||point - anchor||^2
    far = (np.abs(theta - target) ** 2).sum((1, 2))
    assert ((np.abs(point - theta) ** 2).sum((1, 2)) <= far - near + 1e-7).all()


@pytest.mark.parametrize("kind", KINDS)
def test_coefficient_step_is_monotone_and_feasible(kind):
    system, scene, channels, w, theta = scenes(kind, preset="small")
    w, theta = restore(channels, w, theta, make_programs("fast"))
    rows = np.flatnonzero(channels.feasible(w, theta, 1e-6, 1e-9))
    channels, scene, w, theta = channels[rows], scene[rows], w[rows], theta[rows]
    assert len(rows)
    rho = np.ones(len(rows))
    values = []
    for _ in range(4):
        moved = coefficient_step(channels, w, theta, rho, partial(repaired, programs=make_programs("fast")))
        w, theta, rho = moved.w, moved.theta, moved.rho
        values.append(moved.value)
        design = as_design(system, w, theta)
        metrics = system.evaluate(scene, design)
        np.testing.assert_allclose(metrics.objective, 10 / np.log(10) * moved.value, atol=1e-8)
        assert metrics.margins["rate"].min() >= -1e-6
        exact = system.project(scene, design)
        np.testing.assert_allclose(exact.coefficients, design.coefficients, rtol=1e-9)
        np.testing.assert_allclose(exact.beams, design.beams, rtol=1e-9)
        if channels.equality:
            np.testing.assert_allclose((np.abs(theta) ** 2).sum(1), 1.0, rtol=1e-12)
    assert (np.diff(values, axis=0) >= 0).all()
    assert (values[-1] > values[0] + 1e-6).all() and (values[-1] > values[0] + 1e-3).any()


@pytest.mark.parametrize("kind", KINDS)
def test_coordinates(kind):
    """decode(encode) is the identity but for the interior start of `active`; the pulled gradient matches differences."""
    _, _, channels, w, theta = scenes(kind, preset="small")
    coordinates = Coordinates(channels, w.shape[2])
    x = coordinates.encode(w, theta)
    if kind == "active":
        x = coordinates.encode(*coordinates.decode(x + 0.3))
        np.testing.assert_allclose(coordinates.encode(*coordinates.decode(x)), x, atol=1e-12)
    else:
        for one, other in zip(coordinates.decode(x), (w, theta), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-12)
    c_w, c_theta = gaussian(w.shape), gaussian(theta.shape, 1)
    direction, step = np.random.default_rng(2).standard_normal(x.shape), 1e-6

    def linear(t):
        a, b = coordinates.decode(x + t * direction)
        return (c_w.conj() * a).real.sum((1, 2)) + (c_theta.conj() * b).real.sum((1, 2))

    slope = coordinates.pull(x, *coordinates.decode(x), c_w, c_theta)
    np.testing.assert_allclose((linear(step) - linear(-step)) / (2 * step), (slope * direction).sum(1), rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_joint_ascent_restores_rates_and_climbs(kind):
    """From random phases and random beams, which miss the rates, to a feasible stationary point; the caps hold throughout."""
    system, scene, channels, w, theta = scenes(kind, preset="small")
    theta = normalised(gaussian(theta.shape) * channels.mask, channels.mask)
    w = gaussian(w.shape, 1)
    w /= np.linalg.norm(w, axis=(1, 2), keepdims=True)
    assert (channels.sinr(w, theta) < channels.threshold).any()
    found, surface, worst = joint_ascent(channels, w, theta)
    assert worst.max() <= 1e-6
    assert channels.feasible(found, surface, 1e-6, 1e-9).all()
    metrics = system.evaluate(scene, as_design(system, found, surface))
    assert metrics.feasible.all()
    assert (metrics.objective > system.evaluate(scene, as_design(system, w, theta)).objective + 3.0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_polished_improves_an_alternation(kind):
    """Feasible and not worse in every scene, better in some; what the alternation left without rates may be served."""
    _, _, channels, w, theta = scenes(kind, preset="small", batch=3)
    programs = make_programs("fast")
    point, _ = alternate(channels, w, theta, programs, rounds=3)
    better = polished(channels, point, programs)
    assert better.feasible.sum() >= point.feasible.sum()
    rows = np.flatnonzero(point.feasible)
    gain = better.value[rows] - point.value[rows]
    assert (gain >= 0).all() and (gain > 0.1).any()
    fresh = Point.at(channels, better.w, better.theta)
    np.testing.assert_allclose(fresh.value, better.value)
    assert (fresh.feasible == better.feasible).all()
