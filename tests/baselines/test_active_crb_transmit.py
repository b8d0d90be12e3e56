"""`active_crb`: transmit steps, joint scaling, bounds and policies against cvxpy, brute force and the system's own metrics."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.optimize import minimize

import baselines
import ris_gym
from baselines.active_crb.bound import Objective, Relaxed, raise_bound
from baselines.active_crb.scaling import joint_scaling, scaled_design, stationary_point
from baselines.active_crb.sensing import closed_form
from baselines.active_crb.textbook import Textbook
from baselines.active_crb.transmit import log_value_gradient, solve_transmit, transmit_step
from baselines.active_crb.units import Beams, Channels
from baselines.active_crb.zero_forcing import directions, solve_zero_forcing
from baselines.tools.linalg import herm
from ris_gym.systems.active_crb.lower_bound import water

SMALL = {"num_antennas": 6, "num_elements": 4, "num_users": 2}


def system_of(**changes):
    return ris_gym.systems.make("active_crb", **{**SMALL, **changes})


def random_surface(channels, rng, depth=0.3):
    size = (len(channels), channels.sizes[0])
    return channels.cap[:, None] * np.exp(2j * np.pi * rng.random(size) - depth * rng.random(size))


def setting(count=6, seed=0, depth=0.3, **changes):
    system = system_of(**changes)
    scene = system.sample(np.random.default_rng(seed), count)
    channels = Channels.of(system, scene)
    depth = 0.0 if system.passive else depth
    return system, scene, channels, random_surface(channels, np.random.default_rng(seed + 1), depth)


def design_of(system, channels, step):
    beams, sensing = channels.design(step.beams)
    return system.design(beams=beams, sensing_beams=sensing, coefficients=step.v)


# -- bound 8.1


def test_water_meets_its_dual_and_both_budgets():
    rng = np.random.default_rng(0)
    e = 10 ** rng.uniform(-2, 2, (500, 5)) * 10 ** rng.uniform(-1, 1, (500, 1))
    x, f = water(e, 0.3, 0.7)
    bs, surface = (e * f).sum(1) / 0.3, f.sum(1) / 0.7
    assert np.allclose((1 / f).sum(1), x, rtol=1e-12)  # primal = dual: both optimal
    assert np.allclose(np.maximum(bs, surface), 1.0, rtol=1e-12)
    kinds = [(bs > surface + 1e-9).sum(), (surface > bs + 1e-9).sum(), (np.abs(bs - surface) < 1e-9).sum()]
    assert min(kinds) > 10  # every case is among them


def test_water_against_a_general_solver():
    e = np.array([[0.2, 0.7, 3.0]])
    x, f = water(e, 1.0, 2.0)
    found = minimize(
        lambda y: np.exp(-y).sum(),
        np.log(0.1 * np.ones(3)),
        constraints=[
            {"type": "ineq", "fun": lambda y: 1.0 - (e[0] * np.exp(y)).sum()},
            {"type": "ineq", "fun": lambda y: 2.0 - np.exp(y).sum()},
        ],
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert x[0] == pytest.approx(found.fun, rel=1e-6)
    assert np.allclose(f[0], np.exp(found.x), rtol=1e-3)


def test_water_without_a_surface_budget_and_bad_input():
    e = np.array([[1.0, 4.0]])
    x, f = water(e, 2.0, None)
    assert x[0] == pytest.approx(9.0 / 2.0)
    assert (e * f).sum() == pytest.approx(2.0)
    with pytest.raises(ValueError, match="power"):
        water(e, -1.0, None)
    with pytest.raises(ValueError, match="e:"):
        water(-e, 1.0, None)


# -- transmit step


@pytest.mark.parametrize(
    "changes",
    [{}, {"surface_power_dbm": -5, "sinr_threshold_db": 3}, {"kind": "passive", "sinr_threshold_db": -20}, {"power_dbm": 40}],
    ids=["default", "surface", "passive", "power"],
)
def test_transmit_step_against_cvxpy_and_the_metrics(changes):
    system, scene, channels, v = setting(**changes)
    step = transmit_step(channels, v)
    feasible = np.flatnonzero(step.feasible)
    assert len(feasible) >= 2
    assert not step.failed.any()
    dual, value = step.result.dual[feasible], step.result.value[feasible]
    assert np.all(dual <= value * (1 + 1e-12))
    assert np.all(value <= dual * (1 + 1e-6))
    some = feasible[:2]
    textbook = Textbook().transmit(step.scaled[some])
    assert np.allclose(textbook.value, step.result.value[some], rtol=1e-5)
    metrics = system.evaluate(scene, design_of(system, channels, step))
    assert np.allclose(np.asarray(metrics.objective)[feasible], step.value[feasible], atol=1e-5)
    assert np.all(np.asarray(metrics.margins["sinr"])[feasible] > -1e-4)
    assert np.all(np.asarray(metrics.power_slack_db)[feasible] > -1e-6)
    if not system.passive:
        assert np.all(np.asarray(metrics.surface_slack_db)[feasible] > -1e-6)


def test_dual_value_is_what_its_point_says():
    _, _, channels, v = setting(sinr_threshold_db=3)
    scaled = channels.at(v)
    result = solve_transmit(scaled)
    assert np.isfinite(result.dual).sum() >= 4
    c = 1 + 1 / scaled.threshold
    inner = -result.x + np.eye(2) * result.mu[:, None, :]
    y = result.price[:, 0, None, None] * scaled.e1 + result.price[:, 1, None, None] * scaled.e2
    y = y + scaled.users @ inner @ herm(scaled.users)
    roots = np.linalg.eigvalsh(y)
    assert np.all(roots > 0)
    objective = 2 * np.sqrt(roots).sum(1) + (scaled.need * result.mu).sum(1) - result.price.sum(1)
    proved = np.isinf(result.dual)  # there the objective has no end along the point
    assert np.allclose(objective[~proved], result.dual[~proved], rtol=1e-9)
    assert np.all((result.price.sum(1) <= (scaled.need * result.mu).sum(1))[proved])
    for k in range(2):
        e = np.zeros((2, 2))
        e[k, k] = 1.0
        gap = result.x - (c[k] * result.mu[:, k])[:, None, None] * e
        assert np.all(np.linalg.eigvalsh(gap)[:, 0] > -1e-9 * np.trace(result.x, axis1=1, axis2=2).real)


def test_transmit_step_tells_infeasible_scenes_within_a_batch():
    _, _, channels, v = setting(sinr_threshold_db=12)
    easy = solve_transmit(channels.at(v))
    hard = dataclasses.replace(channels.at(v), need=channels.at(v).need * np.array([1, 1e6, 1, 1, 1e6, 1])[:, None])
    result = solve_transmit(hard)
    assert list(result.status[[1, 4]]) == ["infeasible"] * 2
    rest = [0, 2, 3, 5]
    assert np.array_equal(result.status[rest], easy.status[rest])
    assert np.allclose(result.value[rest], easy.value[rest], rtol=1e-9)
    proofs = Textbook().transmit(hard[np.array([1])])
    assert proofs.status[0] == "infeasible"


def test_transmit_step_never_answers_nan():
    _, _, channels, v = setting()
    scaled = channels.at(v)
    e1 = scaled.e1.copy()
    e1[2] = np.nan
    result = solve_transmit(dataclasses.replace(scaled, e1=e1))
    assert result.status[2] != "optimal"
    assert np.isfinite(result.f).all()
    assert np.isfinite(result.omega).all()
    # no surface power left
    loud = dataclasses.replace(channels, noise_surface=1.0)
    assert not transmit_step(loud, v).feasible.any()


@pytest.mark.parametrize("surface_dbm", [-15, 0, 3, 30])
def test_sensing_only_against_cvxpy_and_the_closed_form(surface_dbm):
    system, scene, channels, v = setting(sinr_threshold_db=None, surface_power_dbm=surface_dbm, count=8)
    step = transmit_step(channels, v)
    assert step.feasible.all()
    assert np.allclose(step.result.value, step.result.dual, rtol=1e-10)
    assert np.allclose(Textbook().transmit(step.scaled[:2]).value, step.result.value[:2], rtol=1e-5)
    metrics = system.evaluate(scene, design_of(system, channels, step))
    assert np.allclose(metrics.objective, step.value, atol=1e-8)
    closed = closed_form(channels, v)
    reached = step.result.value / step.scaled.unit_w
    assert np.array_equal(closed.holds, np.isclose(reached, closed.value, rtol=1e-9))
    assert np.all(closed.norm_condition[closed.trace_condition])
    assert np.all(closed.holds[closed.norm_condition])
    if surface_dbm == 30:
        assert closed.holds.all()


@pytest.mark.parametrize("changes", [{}, {"sinr_threshold_db": None}, {"kind": "passive", "sinr_threshold_db": -20}])
def test_derivatives_of_the_value(changes):
    _, _, channels, v = setting(noise_surface_dbm=-60, max_gain_db=40, **changes)
    step = transmit_step(channels, v)
    rows = np.flatnonzero(step.feasible)[:3]
    phase, level = log_value_gradient(channels, step)
    part, v = channels[rows], v[rows]
    for n in range(channels.sizes[0]):
        move = np.zeros(channels.sizes[0])
        move[n] = 1e-4
        for factor, slope in ((1j, phase), (1.0, level)):
            up, down = (transmit_step(part, v * np.exp(sign * factor * move)).value for sign in (1, -1))
            numeric = (up - down) * np.log(10) / 10 / 2e-4
            assert np.allclose(numeric, slope[rows, n], atol=2e-4 * (1 + np.abs(slope[rows]).max()))


def test_zero_forcing_against_cvxpy_and_the_metrics():
    system, scene, channels, v = setting(sinr_threshold_db=6, count=12)
    scaled = channels.at(v)
    omega = directions(scaled.e1, scaled.users)
    assert np.allclose(herm(scaled.users) @ omega, np.eye(2), atol=1e-9)
    result = solve_zero_forcing(scaled)
    best = solve_transmit(scaled)
    good = result.status == "optimal"
    assert good.sum() >= 2
    assert np.all(result.value[good] >= best.value[good] * (1 - 1e-6))
    some = np.flatnonzero(good)[:2]
    assert np.allclose(Textbook().zero_forcing(scaled[some]).value, result.value[some], rtol=1e-5)
    step = transmit_step(channels, v, solve_zero_forcing)
    design = design_of(system, channels, step)
    received = (np.conj(scene.ris_user) * v[:, None, :]) @ scene.bs_ris @ design.beams
    off = np.abs(received[:, 0, 1])[good] / np.abs(received[:, 0, 0])[good]
    assert np.all(off < 1e-8)
    assert np.all(np.asarray(system.evaluate(scene, design).margins["sinr"])[good] > -1e-4)
    with pytest.raises(ValueError, match="thresholds"):
        solve_zero_forcing(dataclasses.replace(scaled, threshold=None))


def test_channels_see_what_the_system_sees():
    system, scene, channels, v = setting()
    rng = np.random.default_rng(3)
    w = 1e-1 * (rng.standard_normal((6, 6, 2)) + 1j * rng.standard_normal((6, 6, 2)))
    sensing = 1e-1 * (rng.standard_normal((6, 6, 4)) + 1j * rng.standard_normal((6, 6, 4)))
    beams = Beams.through(channels, w, sensing)
    metrics = system.evaluate(scene, system.design(beams=w, sensing_beams=sensing, coefficients=v))
    assert np.allclose(10 * np.log10(channels.sinr_ratio(v, beams)), metrics.margins["sinr"], atol=1e-8)
    assert np.allclose(channels.spent(v, beams)[1], metrics.surface_power_w / system.surface_power_w)
    f, omega = channels.at(v).f_of(beams)
    again = channels.at(v).beams(f, omega)
    assert np.allclose(again.cov, beams.cov)
    assert np.allclose(again.users, beams.users)


# -- joint scaling


@pytest.mark.parametrize("noise_dbm", [-90, -40])
def test_joint_scaling_against_a_grid(noise_dbm):
    system, scene, channels, v = setting(sinr_threshold_db=None, noise_surface_dbm=noise_dbm, surface_power_dbm=-5)
    v = 0.1 * v
    beams = transmit_step(channels, v).beams
    beta, nu = joint_scaling(channels, v, beams)

    def objective(beta, nu):
        u, new = scaled_design(v, beams, beta, nu)
        w, sensing = channels.design(new)
        metrics = system.evaluate(scene, system.design(beams=w, sensing_beams=sensing, coefficients=u))
        return np.asarray(metrics.objective), np.asarray(metrics.power_slack_db), np.asarray(metrics.surface_slack_db)

    best, bs, surface = objective(beta, nu)
    assert np.allclose(np.minimum(bs, surface), 0.0, atol=1e-6)
    limit = channels.cap**2 / (np.abs(v) ** 2).max(1)
    assert np.all(beta <= limit * (1 + 1e-12))
    for share in np.geomspace(1e-3, 1.0, 60):
        at = share * limit
        spent = joint_scaling_nu(channels, v, beams, at)
        value, _, slack = objective(at, spent)
        assert np.all(slack > -1e-6)
        assert np.all(best <= value + 1e-6)


def joint_scaling_nu(channels, v, beams, beta):
    """Largest factor of R at `beta`, from the two budgets as `Channels.spent` states them."""
    u = v * np.sqrt(beta)[:, None]
    bs, surface = channels.spent(u, beams)
    noise = channels.surface_noise(np.abs(u)) / channels.surface_power
    return np.minimum(1 / bs, (1 - noise) / (surface - noise))


def test_stationary_point_of_proposition_8():
    """Loud surface noise, weak target response: c_2 and c_4 vanish and the surface budget limits."""
    _, _, channels, v = setting(sinr_threshold_db=None, noise_surface_dbm=-30, surface_power_dbm=-10, power_dbm=60)
    channels = dataclasses.replace(channels, target_response=0 * channels.target_response, gain=0 * channels.gain)
    channels = dataclasses.replace(channels, noise_bs=1e-3)
    v = 1e-2 * v
    beams = transmit_step(channels, v).beams
    beta, _ = joint_scaling(channels, v, beams)
    assert np.allclose(beta, stationary_point(channels, v, beams), rtol=1e-5)


# -- bound 8.2


def test_gradient_of_the_bound():
    system, scene, _, _ = setting(count=3)
    relaxed = Relaxed.of(system, scene)
    objective = Objective(relaxed)
    rng = np.random.default_rng(5)
    x = np.concatenate([rng.standard_normal((3, 1)), 0.02 * rng.standard_normal((3, 8))], axis=1)
    rows = np.arange(3)
    value, gradient = objective(x, rows)
    assert np.isfinite(value).all()
    for i in range(9):
        move = np.zeros(9)
        move[i] = 1e-6
        numeric = (objective(x + move, rows)[0] - objective(x - move, rows)[0]) / 2e-6
        assert np.allclose(numeric, gradient[:, i], rtol=1e-3, atol=1e-5 * np.abs(gradient).max())


@pytest.mark.parametrize("changes", [{}, {"surface_power_dbm": 0}, {"kind": "passive", "sinr_threshold_db": -22}])
def test_bound_holds_for_every_design_and_is_above_the_simple_one(changes):
    system, scene, channels, _ = setting(count=5, **changes)
    bound = baselines.bound(system, scene)
    simple = np.asarray(scene.reference["lower_bound_db"])
    assert np.all(bound.value >= simple - 1e-9)
    rng = np.random.default_rng(7)
    for _ in range(6):
        step = transmit_step(channels, random_surface(channels, rng, 0.0 if system.passive else 0.2))
        assert np.all(step.value[step.feasible] >= bound.value[step.feasible] - 1e-9)
        assert not np.any(step.feasible & (bound.status == "infeasible"))
    solution = baselines.make("direct", system).solve(system.known(scene), rng)
    good = solution.feasible
    assert good.sum() >= 2
    assert np.all(solution.objective[good] >= bound.value[good] - 1e-6)
    assert np.median(solution.objective[good] - bound.value[good]) < 0.2


def test_bound_proves_infeasibility():
    system, scene, _, _ = setting(sinr_threshold_db=60, count=3)
    bound = baselines.bound(system, scene)
    assert set(bound.status) == {"infeasible"}
    solution = baselines.make("direct", system).solve(system.known(scene), np.random.default_rng(0))
    assert set(solution.status) == {"infeasible"}
    assert not solution.feasible.any()
    assert np.isfinite(solution.history).all()
    found, proved = raise_bound(Relaxed.of(system_of(sinr_threshold_db=0), scene))
    assert not proved.any()
    assert (found > 0).all()


def test_bound_is_the_simple_one_for_sensing_only():
    system, scene, _, _ = setting(sinr_threshold_db=None)
    assert np.array_equal(baselines.bound(system, scene).value, scene.reference["lower_bound_db"])
    with pytest.raises(ValueError, match="solver"):
        baselines.bound(system, scene, solver="simplex")
