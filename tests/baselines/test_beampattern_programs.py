"""The dual interior-point method against cvxpy, its certificates, its primal points."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from baselines.beampattern.joint_bound import bound_problem, joint_bound
from baselines.beampattern.reflective import path_columns, reflective_problem, relax
from baselines.beampattern.smoothed import Smoothed
from baselines.beampattern.transmit import transmit_covariances, transmit_step
from baselines.beampattern.units import Scaled
from baselines.tools.dual_ipm import solve_dual
from baselines.tools.linalg import abs2, herm
from ris_gym import systems

DB = 10 / np.log(10)


def build(batch=2, **fields):
    fields = {"num_antennas": 3, "num_elements": 5, "sinr_threshold_db": 10.0, "angles_deg": (-50, 0, 40)} | fields
    system = systems.make("beampattern", **fields)
    scene = system.sample(np.random.default_rng(3), batch=batch)
    v = np.exp(2j * np.pi * np.random.default_rng(4).random((batch, system.num_elements)))
    return system, scene, v


def solve(problem):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "may be inaccurate": the comparison judges
        problem.solve("CLARABEL")
    assert problem.status in ("optimal", "optimal_inaccurate")
    return float(problem.value)


def form(cp, columns, x):
    """sum_q f_q^H X f_q."""
    return cp.real(cp.trace((columns @ columns.conj().T) @ x))


@pytest.mark.parametrize("fields", [{}, {"num_users": 2}, {"num_users": 2, "cancel_sensing": False}])
def test_transmit_step_equals_cvxpy(fields):
    cp = pytest.importorskip("cvxpy")
    system, scene, v = build(**fields)
    scaled = Scaled.of(system, scene)
    user, target = scaled.rows(v)
    _, feasible, bound = transmit_covariances(scaled, user, target)
    beams, gain, _ = transmit_step(scaled, v)
    assert feasible.all()
    users = system.num_users
    for i in range(len(scene)):
        w = [cp.Variable((3, 3), hermitian=True) for _ in range(users + 1)]
        t = cp.Variable()
        total = sum(w)
        rules = [x >> 0 for x in w] + [cp.real(cp.trace(total)) <= 1]
        scale = abs2(target[i]).sum(-1).mean()
        rules += [form(cp, herm(target[i])[:, l : l + 1], total) >= scale * t for l in range(3)]
        for k in range(users):
            h = herm(user[i])[:, k : k + 1]
            others = [form(cp, h, w[j]) for j in range(users) if j != k] + [scaled.leak * form(cp, h, w[users])]
            rules.append(form(cp, h, w[k]) >= 1 + scaled.threshold[k] * sum(others))
        value = solve(cp.Problem(cp.Maximize(t), rules)) * scale
        assert DB * abs(np.log(bound[i] / value)) < 0.01
        assert DB * abs(np.log(gain[i] / value)) < 0.01
    assert (scaled.gain_and_margin(v, beams)[1] > 1 - 1e-6).all()


@pytest.mark.parametrize("fields", [{}, {"num_users": 2, "cancel_sensing": False}])
def test_reflective_step_equals_cvxpy(fields):
    cp = pytest.importorskip("cvxpy")
    system, scene, v = build(**fields)
    scaled = Scaled.of(system, scene)
    beams, _, _ = transmit_step(scaled, v)
    relaxed, bound, good = relax(scaled, beams)
    assert good.all()
    target, user = path_columns(scaled, beams)
    users, size = system.num_users, system.num_elements + 1
    np.testing.assert_allclose(np.diagonal(relaxed, axis1=1, axis2=2), 1.0, atol=1e-12)
    assert (np.linalg.eigvalsh(relaxed) > -1e-9).all()
    for i in range(len(scene)):
        x, t = cp.Variable((size, size), hermitian=True), cp.Variable()
        scale = abs2(target[i]).sum((0, 2)).mean()
        rules = [x >> 0, cp.real(cp.diag(x)) == 1]
        rules += [form(cp, target[i, :, l], x[:-1, :-1]) >= scale * t for l in range(3)]
        for k in range(users):
            paths = user[i, :, k]
            others = [np.delete(np.arange(users), k), np.arange(users, paths.shape[1])]
            interference = form(cp, paths[:, others[0]], x) if users > 1 else 0.0
            interference += scaled.leak * form(cp, paths[:, others[1]], x)
            rules.append(form(cp, paths[:, k : k + 1], x) >= 1 + scaled.threshold[k] * interference)
        value = solve(cp.Problem(cp.Maximize(t), rules)) * scale
        assert DB * abs(np.log(bound[i] / value)) < 0.01
        primal = np.einsum("nls,nm,mls->l", target[i].conj(), relaxed[i, :-1, :-1], target[i]).real.min()
        assert primal <= bound[i] * (1 + 1e-9) and primal > bound[i] * (1 - 5e-4)


def test_joint_bound_equals_cvxpy():
    cp = pytest.importorskip("cvxpy")
    system, scene, _ = build()
    scaled = Scaled.of(system, scene)
    value, status = joint_bound(system, scene)
    assert (status == "certified").all()
    n, m = 5, 3
    for i in range(len(scene)):
        g = scaled.bs_ris[i]
        z, t = cp.Variable((n + m, n + m), hermitian=True), cp.Variable()
        rules = [z >> 0, cp.real(cp.trace(z[n:, n:])) <= 1]
        rules += [cp.real(z[j, j]) == form(cp, g[j : j + 1].conj().T, z[n:, n:]) for j in range(n)]
        rules += [form(cp, system.steering[l][:, None], z[:n, :n]) >= t for l in range(3)]
        h = np.concatenate([scaled.ris_user[i, 0], scaled.bs_user[i, 0]])[:, None]
        rules.append(form(cp, h, z) >= 1)
        best = solve(cp.Problem(cp.Maximize(t), rules))
        assert abs(value[i] - (10 * np.log10(best * scaled.unit_w[i]) + 30)) < 0.01


@pytest.mark.parametrize("kind", ["reflective", "bound"])
def test_certificates_are_dual_feasible(kind, small):
    system, scene = small
    scaled = Scaled.of(system, scene)
    v = np.exp(2j * np.pi * np.random.default_rng(0).random((len(scene), 8)))
    problem = bound_problem(scaled)[0] if kind == "bound" else reflective_problem(scaled, transmit_step(scaled, v)[0])[0]
    result = solve_dual(problem)
    np.testing.assert_allclose(result.value, (problem.cost * result.z).sum(1), rtol=1e-12)
    assert (result.z[:, problem.nonnegative] >= 0).all()
    np.testing.assert_allclose(result.z[:, problem.group].sum(1), 1.0, atol=1e-9)
    assert (np.linalg.eigvalsh(problem.slack(result.z)) > 0).all()


def test_chunks_do_not_change_the_solver(small):
    system, scene = small
    problem, _ = bound_problem(Scaled.of(system, scene))
    whole, parts = solve_dual(problem), solve_dual(problem, chunk=2)
    np.testing.assert_allclose(whole.value, parts.value, rtol=1e-10)
    assert (whole.status == parts.status).all()
    with pytest.raises(ValueError, match="tolerance"):
        solve_dual(problem, tolerance=0.0)


def test_infeasible_scenes_are_proved_infeasible():
    system, scene, v = build(sinr_threshold_db=60.0)
    assert (joint_bound(system, scene)[1] == "infeasible").all()
    beams, gain, feasible = transmit_step(Scaled.of(system, scene), v)
    assert not feasible.any() and np.isfinite(gain).all()
    np.testing.assert_allclose(abs2(beams).sum((1, 2)), 1.0)


@pytest.mark.parametrize(("users", "cancel", "fixed"), [(1, True, False), (2, True, False), (3, False, False), (2, False, True)])
def test_gradient_of_the_smoothed_objective(users, cancel, fixed):
    system, scene, v = build(num_users=users, cancel_sensing=cancel)
    rng = np.random.default_rng(1)
    streams = users + 2
    beams = rng.standard_normal((2, 3, streams)) + 1j * rng.standard_normal((2, 3, streams))
    scaled = Scaled.of(system, scene)
    objective = Smoothed(
        scaled=scaled, kappa=8.0, rho=3.0, nu=rng.random((2, users)), streams=streams, beams=beams if fixed else None
    )
    x = objective.join(v, None if fixed else beams)
    _, gradient = objective(x, np.arange(2))
    direction = rng.standard_normal(x.shape)
    step = 1e-6
    change = (objective(x + step * direction, np.arange(2))[0] - objective(x - step * direction, np.arange(2))[0]) / (2 * step)
    np.testing.assert_allclose((gradient * direction).sum(1), change, rtol=1e-5)


def test_scaled_gains_and_margins_are_those_of_the_system():
    for fields in ({}, {"num_users": 2, "cancel_sensing": False}):
        system, scene, v = build(**fields)
        rng = np.random.default_rng(2)
        f = rng.standard_normal((2, 3, 4)) + 1j * rng.standard_normal((2, 3, 4))
        f /= np.sqrt(abs2(f).sum((1, 2), keepdims=True))
        scaled = Scaled.of(system, scene)
        gain, margin = scaled.gain_and_margin(v, f)
        users = system.num_users
        root = np.sqrt(system.power_w)
        design = system.design(beams=f[..., :users] * root, sensing_beams=f[..., users:] * root, coefficients=v)
        metrics = system.evaluate(scene, design)
        np.testing.assert_allclose(10 * np.log10(gain * scaled.unit_w) + 30, metrics.objective, atol=1e-9)
        np.testing.assert_allclose(10 * np.log10(margin), metrics.margins["sinr"].min(1), atol=1e-9)
