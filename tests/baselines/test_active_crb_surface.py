"""Phase steps, amplitude steps and first surface of `active_crb` against grids, scipy, cvxpy and finite differences."""

from __future__ import annotations

from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest
from scipy.optimize import minimize

from baselines.active_crb import amplitudes, initial, maxmin, phases, relaxation, signomial
from baselines.active_crb.transmit import solve_transmit
from baselines.active_crb.units import Beams, Channels
from baselines.tools.linalg import abs2, herm
from baselines.tools.randomisation import complex_normal
from ris_gym import systems


def accuracy(tolerance):
    """What the reference solver reaches on degenerate programs without complaint."""
    return {"tol_gap_abs": tolerance, "tol_gap_rel": tolerance, "tol_feas": tolerance}


def scenes(batch, seed=0, **fields):
    system = systems.make("active_crb", **fields)
    return system, Channels.of(system, system.sample(np.random.default_rng(seed), batch))


def surfaces(channels, seed=0, lowest=1.0):
    rng = np.random.default_rng(seed)
    shape = channels.left.shape[:2]
    return channels.cap[:, None] * rng.uniform(lowest, 1.0, shape) * np.exp(2j * np.pi * rng.random(shape))


def beams_at(channels, v, users=0.5, seed=0):
    """User beams that just meet the SINR (demand below `users`), the rest of the budgets to beams they do not see."""
    rng = np.random.default_rng(seed)
    found = initial.demand_at(channels, v)
    w = channels.basis @ found.beams
    rows = (channels.ris_user.conj() * v[:, None, :]) @ channels.bs_ris
    hidden = complex_normal(rng, (len(v), channels.sizes[1], channels.sizes[0]))
    hidden -= np.linalg.pinv(rows) @ (rows @ hidden)
    apart = [Beams.through(channels, x, y) for x, y in ((w, 0 * hidden), (0 * w, hidden))]
    noise = channels.surface_noise(np.abs(v)) / channels.surface_power
    used, extra = (np.stack(channels.spent(v, b)) - np.stack([0 * noise, noise]) for b in apart)
    left = ((np.stack([0 * noise + 1, 1 - noise]) - used) / extra).min(0)
    return Beams.through(channels, w, hidden * np.sqrt(left)[:, None, None]), found


def program_at(channels, v, beams, slack=1.0):
    a = np.abs(v)
    echo = phases.echo_form(channels.target_response, a, beams.cov)
    budget = slack * phases.quadratic(echo, v / a)
    return phases.phase_program(channels.ris_user, a, beams.users, beams.cov, channels.threshold, channels.noise(a), echo, budget)


@pytest.fixture(scope="module")
def default():
    _, channels = scenes(8)
    v, _ = initial.lower_demand(channels, surfaces(channels), target=0.5)
    beams, found = beams_at(channels, v)
    return channels, v, beams, found


@pytest.fixture(scope="module")
def tiny():
    """Three elements, two users, a loud second pass: everything on a grid of the two phases that matter."""
    _, channels = scenes(3, num_antennas=4, num_elements=3, num_users=2, num_scatterers=3, max_gain_db=55.0)
    v, _ = initial.lower_demand(channels, surfaces(channels), target=0.5)
    beams, _ = beams_at(channels, v)
    turns = np.exp(2j * np.pi * np.arange(180) / 180)
    grid = np.stack([np.ones(180 * 180), np.repeat(turns, 180), np.tile(turns, 180)], axis=-1)
    return channels, v, beams, grid


def test_program_is_the_model(default):
    channels, v, beams, _ = default
    program = program_at(channels, v, beams)
    u = surfaces(channels, 5) / channels.cap[:, None]
    moved = np.abs(v) * u
    np.testing.assert_allclose(program.ratios(u), channels.sinr_ratio(moved, beams), rtol=1e-9)
    turned = channels.target_response * moved[:, None, :]
    second = np.einsum("bn,bnn->b", np.abs(v) ** 2, turned @ beams.cov @ herm(turned)).real
    now = phases.quadratic(phases.echo_form(channels.target_response, np.abs(v), beams.cov), v / np.abs(v))
    np.testing.assert_allclose(program.usage(u), second / now, rtol=1e-9)


def test_soft_minimum_has_the_right_gradient(default):
    channels, v, beams, _ = default
    program = program_at(channels, v, beams, slack=1.5)
    objective = phases._Soft(program, 30.0)
    x, rows = np.angle(v), np.arange(len(v))
    _, gradient = objective(x, rows)
    for n in range(x.shape[1]):
        step = np.zeros_like(x)
        step[:, n] = 1e-6
        slope = (objective(x + step, rows)[0] - objective(x - step, rows)[0]) / 2e-6
        np.testing.assert_allclose(gradient[:, n], slope, atol=1e-6 * np.abs(gradient).max())


@pytest.mark.parametrize("slack", [1.0, 1.3, 0.3])
def test_phase_step_never_breaks_the_surface_power_and_never_gets_worse(default, slack):
    channels, v, beams, _ = default
    program = program_at(channels, v, beams, slack)
    start = surfaces(channels, 7) / channels.cap[:, None]
    for u in (v / np.abs(v), start):
        point, value, better = phases.raise_ratio(program, u)
        assert (value >= program.ratios(u).min(1)).all()
        assert (program.usage(point)[better] <= 1.0).all()
        np.testing.assert_array_equal(point[~better], u[~better])
        np.testing.assert_allclose(np.abs(point), 1.0)
        np.testing.assert_allclose(program.ratios(point).min(1), value, rtol=1e-12)
        if slack >= 1.0:
            assert better.any()


def test_phase_step_and_bound_enclose_the_grid_maximum(tiny):
    channels, v, beams, grid = tiny
    for slack in (1.0, 1.2):
        program = program_at(channels, v, beams, slack)
        u = v / np.abs(v)
        best = u, program.ratios(u).min(1)
        for seed in range(6):
            start = u if seed == 0 else surfaces(channels, seed) / channels.cap[:, None]
            point, value, better = phases.raise_ratio(program, start)
            best = best[0], np.maximum(best[1], np.where(better, value, 0.0))
        bound = relaxation.relax_ratio(program, u).bound
        point, value, also = relaxation.randomise_ratio(program, u, [np.random.default_rng(i) for i in range(3)])
        np.testing.assert_allclose(also, bound)
        assert (program.usage(point) <= 1.0 + 1e-9).all() and (value >= program.ratios(u).min(1)).all()
        for i in range(3):
            one = program[np.full(len(grid), i)]
            inside = one.usage(grid) <= 1.0
            top = one.ratios(grid).min(1)[inside].max()
            assert best[1][i] >= top * (1 - 1e-6), (slack, i)
            assert bound[i] >= best[1][i] * (1 - 1e-9) and bound[i] >= value[i] * (1 - 1e-9)


def test_echo_descent_reaches_the_grid_minimum_and_the_relaxation_bounds_it(tiny):
    channels, v, beams, grid = tiny
    form = phases.echo_form(channels.target_response, np.abs(v), beams.cov)
    generators = [np.random.default_rng(i) for i in range(3)]
    u = v / np.abs(v)
    point, value = phases.minimise_echo(form, u, generators)
    np.testing.assert_allclose(phases.quadratic(form, point), value)
    relaxed = relaxation.relax_echo(form)
    _, drawn = relaxation.randomise_echo(form, u, generators)
    assert (drawn <= phases.quadratic(form, u) * (1 + 1e-12)).all()
    for i in range(3):
        low = phases.quadratic(form[np.full(len(grid), i)], grid).min()
        assert value[i] <= low * (1 + 1e-9)
        assert relaxed.bound[i] <= value[i] * (1 + 1e-9) and relaxed.bound[i] <= drawn[i] * (1 + 1e-9)


def test_relaxations_agree_with_cvxpy(default):
    channels, v, beams, _ = default
    program = program_at(channels, v, beams, 1.0)
    n = v.shape[1]
    form = phases.echo_form(channels.target_response, np.abs(v), beams.cov)
    relaxed, bound = relaxation.relax_echo(form), relaxation.relax_ratio(program, v / np.abs(v)).bound
    for i in range(2):
        matrix = cp.Variable((n, n), hermitian=True)
        shape = [matrix >> 0, cp.diag(matrix) == 1]
        unit = np.trace(form[i]).real / n
        problem = cp.Problem(cp.Minimize(cp.real(cp.trace(form[i] / unit @ matrix))), shape)
        problem.solve(solver=cp.CLARABEL, **accuracy(1e-5))
        assert relaxed.bound[i] == pytest.approx(problem.value * unit, rel=1e-3)
        # largest margin at the bound: 0 there, so the bound is the relaxation's optimum
        margins = []
        for ratio in (bound[i] * (1 + 1e-4), bound[i] * (1 - 3e-3)):
            common = cp.Variable()
            rules = [cp.real(cp.trace(program.echo[i] @ matrix)) <= 1]
            for k in range(len(channels.threshold)):
                signal = np.outer(program.own[i, k].conj(), program.own[i, k])
                rest = program.total[i, k] - program.threshold[i, k] * signal
                rules.append(cp.real(cp.trace((signal / ratio - rest) @ matrix)) - 1 >= common)
            problem = cp.Problem(cp.Maximize(common), shape + rules)
            problem.solve(solver=cp.CLARABEL, **accuracy(1e-5))
            margins.append(problem.value)
        assert margins[0] <= 1e-6 and margins[1] > 0


def test_max_min_beams_balance_unequal_thresholds_and_beat_random_ones():
    rng = np.random.default_rng(0)
    rows, gamma = complex_normal(rng, (5, 3, 6)) * 3.0, np.array([1.0, 10.0, 30.0])
    beams, ratio = maxmin.max_min_beams(rows, gamma, 2.0)
    np.testing.assert_allclose(abs2(beams).sum((1, 2)), 2.0)

    def ratios(w):
        power = abs2(rows @ w)
        signal = np.einsum("bkk->bk", power)
        return signal / (gamma * (1 + power.sum(2) - signal))

    np.testing.assert_allclose(ratios(beams), np.repeat(ratio[:, None], 3, 1), rtol=1e-8)
    for _ in range(200):
        other = beams + 0.1 * complex_normal(rng, beams.shape)
        other *= np.sqrt(2.0 / abs2(other).sum((1, 2)))[:, None, None]
        assert (ratios(other).min(1) <= ratio * (1 + 1e-9)).all()


def test_beams_are_scaled_to_the_surface_budget():
    beams, s = np.ones((2, 3, 1), complex), np.broadcast_to(np.eye(3, dtype=complex), (2, 3, 3))
    scaled = maxmin.scale_to_surface(beams, s, np.array([1.5, 12.0]))
    np.testing.assert_allclose(abs2(scaled).sum((1, 2)), [1.5, 3.0])
    assert maxmin.scale_to_surface(beams, None, None) is beams


def test_demand_is_the_optimum_of_the_cone_program():
    rng = np.random.default_rng(1)
    channels, gamma = complex_normal(rng, (6, 3, 4)) * 2.0, np.array([2.0, 5.0, 10.0])
    root = complex_normal(rng, (6, 4, 4))
    surface = root @ herm(root) + 0.1 * np.eye(4)
    budget = np.array([0.3, 1.0, 3.0, 10.0, 30.0, 100.0])
    for start in (None, np.full(6, 0.3)):
        found = maxmin.demand(channels, surface, gamma, 2.0, budget, start=start)
        powers = [abs2(found.beams).sum((1, 2)) / 2.0]
        powers.append(np.einsum("bnk,bnm,bmk->b", found.beams.conj(), surface, found.beams).real / budget)
        np.testing.assert_allclose(np.max(powers, axis=0), found.value, rtol=1e-5)
        received = abs2(channels @ found.beams)
        signal = np.einsum("bkk->bk", received)
        np.testing.assert_allclose(signal / (1 + received.sum(2) - signal), np.tile(gamma, (6, 1)), rtol=1e-9)
    assert (found.tau == 1).any() and ((found.tau > 0) & (found.tau < 1)).any()
    for i in range(6):
        w, share = cp.Variable((4, 3), complex=True), cp.Variable()
        sides = [np.eye(4) / np.sqrt(2.0), np.linalg.cholesky(surface[i]).conj().T / np.sqrt(budget[i])]
        rules = [cp.norm(side @ w, "fro") <= share for side in sides]
        for k in range(3):
            hear = channels[i, k] @ w
            level = cp.norm(cp.hstack([hear, np.ones(1)]))
            rules += [cp.real(hear[k]) * np.sqrt(1 + 1 / gamma[k]) >= level, cp.imag(hear[k]) == 0]
        problem = cp.Problem(cp.Minimize(share), rules)
        problem.solve(solver=cp.CLARABEL)
        assert found.value[i] == pytest.approx(problem.value**2, rel=1e-5)


def test_demand_survives_closed_budgets_parallel_users_and_rubbish():
    rng = np.random.default_rng(2)
    channels = complex_normal(rng, (4, 2, 3))
    channels[1, 1] = channels[1, 0]
    channels[2, 0, 0] = np.nan
    surface = np.broadcast_to(np.eye(3, dtype=complex), (4, 3, 3))
    found = maxmin.demand(channels, surface, np.array([10.0, 10.0]), 1.0, np.array([1.0, 1.0, 1.0, -1.0]))
    assert np.isfinite(found.value).all() and np.isfinite(found.beams).all() and np.isfinite(found.uplink).all()
    assert (found.value[1:] > 1e6).all() and found.value[0] < 1e6


def test_demand_slope_is_the_derivative(default):
    channels, _, _, _ = default
    v = surfaces(channels, 3, lowest=0.5)
    for part in (channels, replace(channels, surface_power=channels.surface_power / 4)):
        a, x = np.abs(v), np.angle(v)
        slope = initial.demand_slope(part, a, v / a, initial.demand_at(part, v))
        for n in range(x.shape[1]):
            step = np.zeros_like(x)
            step[:, n] = 1e-5
            up, down = (initial.demand_at(part, a * np.exp(1j * (x + s * step))).value for s in (1, -1))
            np.testing.assert_allclose(slope[:, n], (up - down) / 2e-5, atol=1e-5 * np.abs(slope).max())


@pytest.mark.parametrize("fields", [{"preset": "hard"}, {"preset": "passive", "sinr_threshold_db": -5.0}])
def test_demand_tells_where_the_transmit_step_is_feasible(fields):
    _, channels = scenes(32, seed=1, **fields)
    v = surfaces(channels, 0)
    value = initial.demand_at(channels, v).value
    assert (np.abs(value - 1) > 1e-3).all() and 0 < (value < 1).sum() < 32
    status = solve_transmit(channels.at(v)).status
    assert (value[status == "optimal"] < 1).all() and (value[status == "infeasible"] > 1).all()
    beams = Beams.through(channels, channels.basis @ initial.demand_at(channels, v).beams, np.zeros((32, 16, 1)))
    np.testing.assert_allclose(channels.sinr_ratio(v, beams), 1.0, rtol=1e-8)
    noise = 0.0 if channels.surface_power is None else channels.surface_noise(np.abs(v)) / channels.surface_power
    bs, surface = channels.spent(v, beams)
    np.testing.assert_allclose(np.maximum(bs, (surface - noise) / (1 - noise)), value, rtol=1e-5)


def test_first_surface_finds_feasible_phases_wherever_many_restarts_do():
    _, channels = scenes(32, seed=7, preset="hard", sinr_threshold_db=17.0)

    def transmit(v, rows):
        return (initial.demand_at(channels[rows], v).value < 1 - 1e-3,)

    def generators():
        return [np.random.default_rng(i) for i in range(32)]

    joint = initial.first_surface(channels, transmit, generators())
    paper = initial.first_surface(channels, transmit, generators(), method="alternating", restarts=1)
    assert transmit(joint.v, np.arange(32))[0].tolist() == joint.feasible.tolist()
    assert transmit(paper.v, np.arange(32))[0].tolist() == paper.feasible.tolist()
    first = transmit(surfaces_from(channels, generators()), np.arange(32))[0]
    assert (joint.feasible & paper.feasible)[first].all()
    assert joint.feasible.sum() >= paper.feasible.sum() >= first.sum()
    lost = np.flatnonzero(~joint.feasible)
    assert 0 < len(lost) < 16
    for seed in range(3):
        _, value = initial.lower_demand(channels[lost], surfaces(channels[lost], seed), target=0.0)
        assert (value > 1 - 1e-3).all()
    np.testing.assert_allclose(np.abs(joint.v), np.repeat(channels.cap[:, None], 8, 1))
    with pytest.raises(ValueError, match="method must be one of"):
        initial.first_surface(channels, transmit, generators(), method="magic")


def surfaces_from(channels, generators):
    return channels.cap[:, None] * np.exp(2j * np.pi * np.stack([g.random(channels.sizes[0]) for g in generators]))


def amplitude_case(kind):
    """Amplitudes below the cap with the surface budget full: program, start and the exact functions of amplitudes."""
    fields = {"surface_power_dbm": -5.0} if kind == "sensing" else {}
    _, channels = scenes(6, seed=3, **fields)
    v = surfaces(channels, 4, lowest=0.4)
    if kind == "isac":
        v, _ = initial.lower_demand(channels, v, target=0.5)
        beams, _ = beams_at(channels, v)
        extra = {
            "ris_user": channels.ris_user,
            "users": beams.users,
            "threshold": channels.threshold,
            "noise_user": channels.noise_user,
        }
    else:
        zero = np.zeros((6, channels.sizes[1], 3), complex)
        beams = Beams.through(channels, zero, channels.basis)
        noise = channels.surface_noise(np.abs(v)) / channels.surface_power
        beams = beams.times((1 - noise) / (channels.spent(v, beams)[1] - noise))
        extra = {}
    q = np.diagonal(channels.inverse, axis1=1, axis2=2).real
    program = amplitudes.amplitude_program(
        u=v / np.abs(v),
        cap=channels.cap,
        target_response=channels.target_response,
        incident=beams.cov,
        inverse_diagonal=q,
        noise_bs=channels.noise_bs,
        noise_surface=channels.noise_surface,
        surface_power=channels.surface_power,
        **extra,
    )
    return channels, v, beams, program, q


@pytest.mark.parametrize("kind", ["sensing", "isac"])
def test_amplitude_program_is_the_model(kind):
    channels, v, beams, program, q = amplitude_case(kind)
    for factor in (1.0, 0.7):
        a = factor * np.abs(v)
        u = np.log(a / channels.cap[:, None])
        left = program.constraints(u)
        np.testing.assert_allclose(left[:, 0] + 1, channels.spent(factor * v, beams)[1], rtol=1e-9)
        if kind == "isac":
            np.testing.assert_array_equal(left[:, 1:] < -1e-9, channels.sinr_ratio(factor * v, beams) > 1 + 1e-9)
        p = np.diagonal(np.linalg.inv(beams.cov), axis1=1, axis2=2).real
        f = (p / a**2).sum(1) * (8 * channels.noise_surface + channels.noise_bs * (q / a**2).sum(1))
        ratio = np.exp(program.objective(u)) / f
        np.testing.assert_allclose(ratio * p.sum(1) / channels.cap**2, 1.0, rtol=1e-6)


@pytest.mark.parametrize("kind", ["sensing", "isac"])
def test_amplitude_steps_are_feasible_monotone_and_as_good_as_slsqp(kind):
    channels, v, beams, program, _ = amplitude_case(kind)
    share = np.abs(v) / channels.cap[:, None]
    start = program.objective(np.log(share))
    found = {}
    for method in amplitudes.METHODS:
        new, better = amplitudes.amplitude_step(program, share, method=method)
        assert better.all() and (new <= 1).all() and (program.constraints(np.log(new)) <= 0).all()
        moved = new * channels.cap[:, None] * v / np.abs(v)
        assert (channels.spent(moved, beams)[1] <= 1 + 1e-12).all()
        if kind == "isac":
            assert (channels.sinr_ratio(moved, beams) >= 1 - 1e-9).all()
        found[method] = program.objective(np.log(new))
        assert (found[method] < start).all()
    for i in range(6):
        one = program[np.array([i])]

        def jacobian(x, one=one):
            return -((one.coefficients * one.monomials(x[None])[:, None]) @ one.exponents)[0]

        result = minimize(
            lambda x, one=one: one.objective(x[None])[0],
            np.log(share[i]),
            jac=lambda x, one=one: signomial.objective_derivatives(one, x[None])[0][0],
            bounds=[(np.log(signomial.LOWEST), 0)] * 8,
            constraints={"type": "ineq", "fun": lambda x, one=one: -one.constraints(x[None])[0], "jac": jacobian},
            method="SLSQP",
            options={"maxiter": 300, "ftol": 1e-10},
        )
        assert found["newton"][i] <= result.fun + 1e-5
        assert found["sca"][i] <= result.fun + (0.05 if kind == "isac" else 1e-5)  # stopped after its 15 rounds


def test_convex_program_agrees_with_cvxpy():
    channels, v, _, program, _ = amplitude_case("isac")
    u, inside = signomial.interior_point(program, np.log(np.abs(v) / channels.cap[:, None]))
    assert inside.all()
    convex = signomial.tangent(program, u)
    np.testing.assert_allclose(convex.constraints(u), program.constraints(u), atol=1e-10)
    near = u - 0.1 * np.random.default_rng(0).random(u.shape)
    assert (convex.constraints(near) >= program.constraints(near) - 1e-10).all()
    point = signomial.solve_barrier(convex, u)
    assert (convex.constraints(point) < 0).all()
    exponents = program.exponents
    for i in range(2):
        x = cp.Variable(8)
        objective = cp.log_sum_exp(np.log(program.transmit[i]) - 2 * x)
        objective += cp.log_sum_exp(cp.hstack([np.log(program.receive[i]) - 2 * x, np.log([program.floor])]))
        rules = [x <= 0, x >= np.log(signomial.LOWEST)]
        for c in range(convex.level.shape[1]):
            plus = np.flatnonzero(convex.plus[i, c] > 1e-12 * convex.plus[i, c].max())
            terms = cp.exp(exponents[plus] @ x + np.log(convex.plus[i, c, plus]))
            rules.append(cp.sum(terms) + convex.slope[i, c] @ x + convex.level[i, c] <= 0)
        problem = cp.Problem(cp.Minimize(objective), rules)
        problem.solve(solver=cp.CLARABEL, **accuracy(1e-6))
        assert program.objective(point)[i] == pytest.approx(problem.value, abs=2e-5)


def test_amplitudes_take_the_cap_where_it_is_feasible_and_keep_what_cannot_move():
    channels, v, _, program, _ = amplitude_case("sensing")
    share = np.abs(v) / channels.cap[:, None]
    loose = replace(program, coefficients=1e-3 * program.coefficients)
    new, better = amplitudes.amplitude_step(loose, share)
    assert better.all() and (new == 1).all()
    again, better = amplitudes.amplitude_step(loose, new)
    assert not better.any() and (again == 1).all()
    hopeless = replace(program, constant=program.constant + 10)
    kept, better = amplitudes.amplitude_step(hopeless, share)
    assert not better.any()
    np.testing.assert_array_equal(kept, share)
    with pytest.raises(ValueError, match="method must be one of"):
        amplitudes.amplitude_step(program, share, method="magic")
