"""The textbook programs of `active_crb` in cvxpy against the fast forms from the same input, brute force and their own claims."""

from __future__ import annotations

import itertools
from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest

import baselines
from baselines.active_crb import amplitudes as fast_amplitudes
from baselines.active_crb import phases as fast_phases
from baselines.active_crb.textbook import Textbook, amplitudes, budgets, lifted, per_noise, phases, transmit, wide, zero_forcing
from baselines.active_crb.transmit import solve_transmit
from baselines.active_crb.units import Channels
from baselines.active_crb.zero_forcing import solve_zero_forcing
from baselines.tools import convex
from baselines.tools.linalg import abs2, herm
from ris_gym import systems

SMALL = {"num_antennas": 6, "num_elements": 4, "num_users": 2, "num_scatterers": 6, "sinr_threshold_db": 3.0}
CASES = {
    "default": ({}, 1),
    "small": (SMALL, 3),
    "unequal": (SMALL | {"sinr_threshold_db": (-3.0, 5.0)}, 2),
    "one": (SMALL | {"num_users": 1, "sinr_threshold_db": 15.0}, 2),
    "surface_limited": (SMALL | {"surface_power_dbm": 0.0, "sinr_threshold_db": 0.0}, 2),
    "bs_limited": (SMALL | {"surface_power_dbm": 30.0}, 2),
    "passive": (SMALL | {"kind": "passive", "sinr_threshold_db": -20.0}, 2),
    "sensing": (SMALL | {"sinr_threshold_db": None}, 2),
    "passive_sensing": (SMALL | {"kind": "passive", "sinr_threshold_db": None}, 2),
}


def build(case, seed=3):
    fields, batch = CASES[case]
    system = systems.make("active_crb", **fields)
    scene = system.sample(np.random.default_rng(seed), batch)
    channels = Channels.of(system, scene)
    u = np.exp(2j * np.pi * np.random.default_rng(seed + 1).random((batch, system.num_elements)))
    return system, scene, channels, channels.cap[:, None] * u


def seeds(count):
    return [np.random.default_rng(100 + i) for i in range(count)]


@pytest.mark.parametrize("case", CASES)
def test_the_transmit_step_has_the_value_of_the_dual_and_its_design_keeps_every_promise(case):
    system, scene, channels, v = build(case)
    scaled, textbook = channels.at(v), Textbook()
    slow, fast = textbook.transmit(scaled), solve_transmit(scaled)
    assert (slow.status == "optimal").all() and (fast.status == "optimal").all()
    np.testing.assert_allclose(slow.value, fast.value, rtol=1e-5)
    np.testing.assert_allclose(slow.dual, fast.value, rtol=1e-5)
    assert (slow.value >= fast.dual * (1.0 - 1e-6)).all()  # a certified bound
    assert all(call.accepted and call.residual <= 1e-4 and call.status in convex.SOLVED for call in textbook.calls)
    beams = scaled.beams(slow.f, slow.omega)
    assert (np.linalg.eigvalsh(slow.f - slow.omega @ herm(slow.omega)) > -1e-9).all()
    np.testing.assert_allclose(np.max(channels.spent(v, beams), axis=0), 1.0, atol=1e-6)
    # the system agrees, in watts and through W and L
    w, sensing = channels.design(beams)
    metrics = system.evaluate(scene, system.design(beams=w, sensing_beams=sensing, coefficients=v))
    crb = slow.value / scaled.unit_w * channels.receive(np.abs(v))
    np.testing.assert_allclose(metrics.objective, 10.0 * np.log10(crb), atol=1e-5)
    assert (metrics.feasible).all()


@pytest.mark.parametrize("case", ["small", "bs_limited", "one", "passive"])
def test_the_reduction_to_the_surface_is_exact(case):
    _, _, channels, v = build(case)
    scaled = channels.at(v)
    for i in range(len(scaled)):
        cost, users = budgets(scaled, i), per_noise(scaled, i)
        path = v[i][:, None] * channels.bs_ris[i] * np.sqrt(channels.power / scaled.unit_w[i])
        np.testing.assert_allclose(np.linalg.inv(path @ herm(path)), cost[0], rtol=1e-8, atol=1e-10)
        _, narrow, _ = transmit.solve_transmit(cost, users, scaled.threshold, i)
        beams, value, call = wide.solve_wide(path, cost[1], users, scaled.threshold, i)
        assert call.status in convex.SOLVED and call.scene == i
        np.testing.assert_allclose(value, narrow, rtol=5e-4)
        assert beams is not None
        np.testing.assert_allclose(transmit.inverse_trace_of(beams.covariance), narrow, rtol=5e-3)


def test_proposition_5_keeps_signal_and_covariance():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 6, 6, 2)) @ [1, 1j]
    shares, users = x @ herm(x), rng.standard_normal((3, 6, 2)) @ [1, 1j]
    omega = transmit.proposition_5(shares, users)
    for k in range(3):
        h, share = users[k], shares[k]
        np.testing.assert_allclose(abs(h.conj() @ omega[:, k]) ** 2, (h.conj() @ share @ h).real, rtol=1e-10)
        rest = share - np.outer(omega[:, k], omega[:, k].conj())
        assert np.linalg.eigvalsh(rest)[0] > -1e-9 and np.allclose(rest @ h, 0.0, atol=1e-9)
    # where every SINR constraint binds, the sensing signal is invisible to the users
    _, _, channels, v = build("default")
    scaled = channels.at(v)
    answer = Textbook().transmit(scaled)
    np.testing.assert_allclose(channels.sinr_ratio(v, scaled.beams(answer.f, answer.omega)), 1.0, atol=1e-4)
    rest = answer.f - answer.omega @ herm(answer.omega)
    leak = np.einsum("bnk,bnm,bmk->bk", scaled.users.conj(), rest, scaled.users).real / scaled.need
    assert (leak < 1e-3).all()


def test_without_users_and_surface_budget_the_optimum_is_the_closed_form():
    _, _, channels, v = build("passive_sensing")
    scaled = channels.at(v)
    closed = (1.0 / channels.singular).sum(1) ** 2 / channels.power
    np.testing.assert_allclose(Textbook().transmit(scaled).value / scaled.unit_w, closed, rtol=1e-6)


@pytest.mark.parametrize("level", [40.0, 70.0])
def test_scenes_out_of_reach_are_found_infeasible(level):
    system = systems.make("active_crb", **SMALL | {"sinr_threshold_db": level})
    channels = Channels.of(system, system.sample(np.random.default_rng(3), 2))
    scaled = channels.at(channels.cap[:, None] * np.exp(1j * np.arange(4.0)))
    textbook = Textbook(solvers=("CLARABEL",))
    assert (solve_transmit(scaled).status == "infeasible").all()
    answer = textbook.transmit(scaled)
    assert (answer.status == "infeasible").all() and np.isinf(answer.value).all() and np.isfinite(answer.f).all()
    assert all(call.infeasible and not call.accepted for call in textbook.calls)
    assert (textbook.zero_forcing(scaled).status == "infeasible").all()


def test_a_surface_without_power_left_needs_no_solver():
    _, _, channels, v = build("small")
    scaled = replace(channels.at(v), possible=np.zeros(3, bool))
    textbook = Textbook()
    assert (textbook.transmit(scaled).status == "infeasible").all() and not textbook.calls


@pytest.mark.parametrize("case", ["small", "unequal", "passive"])
def test_zero_forcing_beams_do_not_disturb_and_cost_value(case):
    _, _, channels, v = build(case)
    scaled, textbook = channels.at(v), Textbook()
    answer, best, fast = textbook.zero_forcing(scaled), solve_transmit(scaled), solve_zero_forcing(scaled)
    np.testing.assert_array_equal(answer.status, fast.status)
    good = answer.status == "optimal"
    assert good.any()
    np.testing.assert_allclose(answer.value[good], fast.value[good], rtol=1e-5)
    received = abs2(herm(scaled.users) @ answer.omega)
    diagonal = np.einsum("bkk->bk", received)
    assert (received - np.eye(2) * diagonal[:, None] <= 1e-9 * diagonal.max(1)[:, None, None]).all()
    assert (answer.value >= best.value * (1.0 - 1e-6)).all()
    assert (channels.sinr_ratio(v, scaled.beams(answer.f, answer.omega))[good] > 1.0 - 1e-4).all()
    # the directions are those of C^H (C C^H)^-1 of the page, seen at the surface
    for i in range(len(v)):
        q = v[i][:, None] * channels.bs_ris[i]
        c = scaled.users[i].T.conj() @ q
        page = q @ np.linalg.pinv(c)
        mine = zero_forcing.zero_forcing_directions(scaled.e1[i], scaled.users[i].T)
        cosine = abs((page.conj() * mine).sum(0)) / np.linalg.norm(page, axis=0) / np.linalg.norm(mine, axis=0)
        np.testing.assert_allclose(cosine, 1.0, atol=1e-9)
    assert all(call.accepted or call.infeasible for call in textbook.calls)


def grid(steps=90):
    """Phases of three elements, the first fixed: all that quadratic forms see."""
    turn = np.exp(2j * np.pi * np.arange(steps) / steps)
    return np.array([(1.0, a, b) for a, b in itertools.product(turn, turn)])


def phase_case(slack=1.5, seed=3, batch=3):
    """Three elements: a program at the optimal beams of random phases, the surface budget `slack` times what they need."""
    system = systems.make("active_crb", num_antennas=5, num_elements=3, num_users=2, num_scatterers=5, sinr_threshold_db=6.0)
    channels = Channels.of(system, system.sample(np.random.default_rng(seed), batch))
    u = np.exp(2j * np.pi * np.random.default_rng(seed).random((batch, 3)))
    a = np.tile(channels.cap[:, None], 3)
    answer = solve_transmit(channels.at(a * u))
    assert (answer.status == "optimal").all()
    beams = channels.at(a * u).beams(answer.f, answer.omega)
    form = fast_phases.echo_form(channels.target_response, a, beams.cov)
    program = fast_phases.phase_program(
        channels.ris_user, a, beams.users, beams.cov, channels.threshold, channels.noise(a), form,
        slack * fast_phases.quadratic(form, u),
    )  # fmt: skip
    return program, form, u


@pytest.mark.parametrize("slack", [1.0, 1.5, np.inf])
def test_max_min_phases_against_brute_force(slack):
    program, _, u = phase_case(min(slack, 2.0))
    if slack == np.inf:
        program = replace(program, echo=None)
    textbook = Textbook()
    found, ratio, better = textbook.phases(program, u, seeds(len(u)))
    _, local, _ = fast_phases.raise_ratio(program, u)
    np.testing.assert_allclose(abs(found), 1.0, atol=1e-12)
    np.testing.assert_allclose(program.ratios(found).min(1), ratio, rtol=1e-9)
    assert (program.usage(found) <= 1.0 + 1e-8).all()
    np.testing.assert_array_equal(found[~better], u[~better])
    points = grid()
    for i in range(len(u)):
        data = program.own[i], program.total[i], program.threshold[i]
        echo = None if program.echo is None else program.echo[i]
        values = phases.smallest_ratios(*data, points)
        np.testing.assert_allclose(values[:5], program[np.full(5, i)].ratios(points[:5]).min(1), rtol=1e-9)
        if echo is not None:
            values = np.where(phases.echo_powers(echo, points) <= 1.0, values, 0.0)
        _, (low, high), call = phases.relax_sinr(*data, echo, float(program.ratios(u)[i].min()))
        assert call.accepted and low <= high <= low * 1.0011
        assert values.max() <= high * (1.0 + 1e-4)  # the last upper end bounds every choice of phases
        assert max(ratio[i], local[i]) <= high * (1.0 + 1e-4)
        assert ratio[i] >= 0.95 * max(values.max(), local[i])


def test_the_second_pass_against_brute_force():
    _, form, u = phase_case()
    textbook = Textbook()
    found, value = textbook.echo(form, u, seeds(len(u)))
    np.testing.assert_allclose(abs(found), 1.0, atol=1e-12)
    np.testing.assert_allclose(fast_phases.quadratic(form, found), value, rtol=1e-9)
    assert (value <= fast_phases.quadratic(form, u)).all()
    for i in range(len(u)):
        v, low, call = phases.relax_echo(form[i])
        best = phases.echo_powers(form[i], grid()).min()
        assert call.accepted and v is not None and low <= best * (1.0 + 1e-6) + 1e-6 * np.trace(form[i]).real
        assert value[i] <= 1.02 * best + 1e-4 * np.trace(form[i]).real


def amplitude_case(kind, seed=5):
    """The amplitude step from interior points: surface budget short; `isac`: SINR thresholds just below what is reached."""
    system = systems.make("active_crb", **SMALL)
    channels = Channels.of(system, system.sample(np.random.default_rng(seed), 3))
    u = np.exp(2j * np.pi * np.random.default_rng(seed).random((3, 4)))
    v = channels.cap[:, None] * u
    answer = solve_transmit(channels.at(v))
    assert (answer.status == "optimal").all()
    beams = channels.at(v).beams(answer.f, answer.omega)
    share = np.random.default_rng(seed + 1).uniform(0.4, 0.8, (3, 4))
    data = {
        "target_response": channels.target_response,
        "incident": beams.cov,
        "inverse_diagonal": np.diagonal(channels.inverse, axis1=1, axis2=2).real,
        "noise_bs": channels.noise_bs,
        "noise_surface": channels.noise_surface,
    }
    if kind == "isac":
        reached = channels.sinr_ratio(share * v, beams).min() * channels.threshold
        data |= {"ris_user": channels.ris_user, "users": beams.users}
        data |= {"threshold": 0.9 * reached, "noise_user": channels.noise_user}
    spent = channels.spent(share * v, beams)[1]
    budget = 1.1 * spent.max() * channels.surface_power
    data |= {"u": u, "cap": channels.cap, "surface_power": budget}
    each = [{k: x[i] if isinstance(x, np.ndarray) and k != "threshold" else x for k, x in data.items()} for i in range(3)]
    lifts = [lifted.amplitude_data(**item) for item in each]
    return fast_amplitudes.amplitude_program(**data), lifts, share, (channels, beams, v, budget)


@pytest.mark.parametrize("kind", ["sensing", "isac"])
def test_amplitude_steps_agree(kind):
    program, lifts, share, (channels, beams, v, budget) = amplitude_case(kind)
    textbook = Textbook()
    local, _ = fast_amplitudes.amplitude_step(program, share, method="sca")
    signomial, better = textbook.amplitudes(program, share)
    drawn, also = textbook.lifted_amplitudes(lifts, share, seeds(3))
    assert better.all() and also.all() and len({call.program for call in textbook.calls}) == 2
    assert all(call.accepted for call in textbook.calls if call.program == "amplitudes")
    start, value = program.objective(np.log(share)), program.objective(np.log(local))
    gain = start - value
    assert (gain > 0.01).all()
    np.testing.assert_allclose(program.objective(np.log(signomial)), value, atol=1e-4)
    # randomisation of the paper's form: a share of the gain, never beyond the constraints
    assert (program.objective(np.log(drawn)) <= start - 0.3 * gain).all()
    for found in (signomial, drawn):
        assert (found > 0).all() and (found <= 1.0).all()
        assert (channels.spent(found * v, beams)[1] * channels.surface_power <= budget * (1.0 + 1e-6)).all()
        if kind == "isac":
            threshold = replace(channels, threshold=channels.threshold * 0.9 * channels.sinr_ratio(share * v, beams).min())
            assert (threshold.sinr_ratio(found * v, beams) >= 1.0 - 1e-6).all()
    for i in range(3):  # the two forms of the data agree, far from any solution too
        points = np.random.default_rng(i).uniform(0.1, 1.0, (20, 4))
        rows = program[np.full(20, i)]
        left = rows.constraints(np.log(points))
        np.testing.assert_allclose(sum(lifts[i].powers(points)) - 1.0, left[:, 0], rtol=1e-9, atol=1e-12)
        if kind == "isac":
            mine = np.einsum("pi,kij,pj->pk", points, lifts[i].sinr, points) + lifts[i].noise
            np.testing.assert_allclose(mine, left[:, 1:], rtol=1e-9, atol=1e-12)
        ratio = np.log(lifts[i].objective(points)) - rows.objective(np.log(points))
        np.testing.assert_allclose(ratio, ratio[0], atol=1e-9)


def test_the_signomial_solution_against_a_grid():
    """Two elements, sensing only: no point of a fine grid that meets the surface power is better."""
    system = systems.make("active_crb", num_antennas=4, num_elements=2, num_users=1, sinr_threshold_db=None)
    channels = Channels.of(system, system.sample(np.random.default_rng(8), 1))
    v = channels.cap[:, None] * np.ones((1, 2), complex)
    beams = channels.at(v).beams(solve_transmit(channels.at(v)).f, np.zeros((1, 2, 1), complex))
    program = fast_amplitudes.amplitude_program(
        u=v / abs(v),
        cap=channels.cap,
        target_response=channels.target_response,
        incident=beams.cov,
        inverse_diagonal=np.diagonal(channels.inverse, axis1=1, axis2=2).real,
        noise_bs=channels.noise_bs,
        noise_surface=channels.noise_surface,
        surface_power=0.3 * float(channels.spent(v, beams)[1][0]) * channels.surface_power,
    )
    found, better = Textbook().amplitudes(program, np.array([[0.1, 0.2]]))
    axis = np.linspace(0.01, 1.0, 400)
    points = np.array(list(itertools.product(axis, axis)))
    rows = program[np.zeros(len(points), int)]
    values = rows.objective(np.log(points))[(rows.constraints(np.log(points)) <= 0).all(1)]
    assert better.all() and program.objective(np.log(found))[0] <= values.min() + 1e-6
    assert program.objective(np.log(found))[0] >= values.min() - 0.02


def test_tangents_lie_above_and_touch():
    program, _, share, _ = amplitude_case("isac")
    rng = np.random.default_rng(0)
    for i in range(3):
        row, at = program[i : i + 1], np.log(share[i])
        np.testing.assert_allclose(amplitudes.tangent_constraints(row, at, at), row.constraints(at[None])[0], atol=1e-12)
        for _ in range(20):
            x = np.log(rng.uniform(0.05, 1.0, 4))
            assert (amplitudes.tangent_constraints(row, x, at) >= row.constraints(x[None])[0] - 1e-12).all()
            near = at + 1e-5 * (x - at)
            slope = (amplitudes.tangent_constraints(row, near, at) - row.constraints(near[None])[0]) / 1e-5
            np.testing.assert_allclose(slope, 0.0, atol=1e-2)


def test_lifted_surrogates_lie_above_and_touch():
    _, lifts, share, _ = amplitude_case("isac")
    rng = np.random.default_rng(1)
    for data, a in zip(lifts, share, strict=True):
        at = np.outer(a, a)
        x, y = lifted.factors(data, at)
        np.testing.assert_allclose([x * y, lifted.surface_power(data, at)], [data.objective(a), sum(data.powers(a))], rtol=1e-10)
        np.testing.assert_allclose(lifted.surrogate_objective(data, at, at), x * y, rtol=1e-10)
        np.testing.assert_allclose(lifted.surrogate_power(data, at, at), lifted.surface_power(data, at), rtol=1e-10)
        for _ in range(20):
            root = rng.uniform(-0.5, 1.0, (4, 4))
            other = root @ root.T
            other = other / max(np.diagonal(other).max(), 1.0)
            first, second = lifted.factors(data, other)
            assert lifted.surrogate_objective(data, other, at) >= first * second * (1.0 - 1e-12)
            assert lifted.surrogate_power(data, other, at) >= lifted.surface_power(data, other) * (1.0 - 1e-12)
            for surrogate, true in (
                (lifted.surrogate_objective, lambda d, z: np.prod(lifted.factors(d, z))),
                (lifted.surrogate_power, lifted.surface_power),
            ):
                near = at + 1e-5 * (other - at)
                slope = (surrogate(data, near, at) - true(data, near)) / 1e-5 / true(data, at)
                assert abs(slope) < 1e-2


def test_the_rescaling_meets_the_surface_power_or_the_cap():
    _, lifts, share, _ = amplitude_case("sensing")
    for data in lifts:
        drawn = np.random.default_rng(2).uniform(0.01, 3.0, (50, 4)) * share[0]
        points = lifted.rescale(data, drawn)
        power, most = sum(data.powers(points)), points.max(1)
        np.testing.assert_allclose(np.maximum(power, most), 1.0, rtol=1e-9)
        assert (power <= 1.0 + 1e-9).all() and (most <= 1.0 + 1e-9).all()
        np.testing.assert_allclose(points / drawn, (points / drawn)[:, :1] * np.ones(4), rtol=1e-9)


def test_the_cap_is_taken_where_it_is_feasible():
    program, lifts, share, _ = amplitude_case("sensing")
    loose = replace(program, coefficients=0.1 * program.coefficients)
    textbook = Textbook()
    np.testing.assert_array_equal(textbook.amplitudes(loose, share)[0], 1.0)
    lifts = [replace(data, first=0.1 * data.first, second=0.1 * data.second) for data in lifts]
    np.testing.assert_array_equal(textbook.lifted_amplitudes(lifts, share, seeds(3))[0], 1.0)
    assert not textbook.calls


def test_an_infeasible_start_is_left_alone():
    program, lifts, share, _ = amplitude_case("isac")
    tight = replace(program, coefficients=50.0 * program.coefficients)
    textbook = Textbook()
    found, better = textbook.amplitudes(tight, share)
    np.testing.assert_array_equal(found, share)
    lifts = [replace(data, first=50.0 * data.first) for data in lifts]
    found, also = textbook.lifted_amplitudes(lifts, share, seeds(3))
    np.testing.assert_array_equal(found, share)
    assert not better.any() and not also.any()


def test_a_solver_that_always_fails_leaves_the_current_point(monkeypatch):
    monkeypatch.setattr(convex.ConvexProgram, "_attempt", lambda self, solver: ("solver_error", np.nan, 0))
    textbook = Textbook()
    _, _, channels, v = build("small")
    answer = textbook.transmit(channels.at(v))
    assert (answer.status == "failed").all() and np.isinf(answer.value).all() and np.isfinite(answer.f).all()
    assert (textbook.zero_forcing(channels.at(v)).status == "failed").all()
    program, form, u = phase_case()
    found, _, better = textbook.phases(program, u, seeds(3))
    np.testing.assert_array_equal(found, u)
    np.testing.assert_array_equal(textbook.echo(form, u, seeds(3))[0], u)
    amplitude, lifts, share, _ = amplitude_case("isac")
    np.testing.assert_array_equal(textbook.amplitudes(amplitude, share)[0], share)
    rescaled, _ = textbook.lifted_amplitudes(lifts, share, seeds(3))  # draws and rescaling of the current point remain
    assert (amplitude.constraints(np.log(rescaled)) <= 1e-6).all()
    assert (amplitude.objective(np.log(rescaled)) <= amplitude.objective(np.log(share))).all()
    assert not better.any() and not any(call.accepted for call in textbook.calls)
    assert {call.status for call in textbook.calls} == {"solver_error"}


def test_reports_carry_the_numbers_of_the_scenes_and_the_solver_asked_for():
    _, _, channels, v = build("small")
    textbook = Textbook(solvers=("SCS",))
    scaled = channels.at(v)
    answer = textbook.transmit(scaled, np.array([7, 9, 11]))
    assert [call.scene for call in textbook.calls] == [7, 9, 11] and {call.solver for call in textbook.calls} == {"SCS"}
    assert (answer.status == "optimal").any()
    good = answer.status == "optimal"
    np.testing.assert_allclose(answer.value[good], solve_transmit(scaled).value[good], rtol=2e-4)
    with pytest.raises(ValueError, match="thresholds"):
        textbook.zero_forcing(replace(scaled, threshold=None))


def test_the_problems_are_dpp_and_built_once(monkeypatch):
    exponents = tuple(map(tuple, amplitude_case("sensing")[0].exponents.tolist()))

    def every():
        return [
            transmit.transmit_program(4, 2).program,
            transmit.transmit_program(4, 0).program,
            transmit.reach_program(4, 2),
            wide.wide_program(6, 4, 2).program,
            zero_forcing.zero_forcing_program(4, 2).program,
            phases.echo_problem(4).program,
            phases.sinr_problem(4, 2, True).program,
            phases.sinr_problem(4, 2, False).program,
            amplitudes.tangent_program(4, 3, exponents).program,
            lifted.lifted_program(4, 2).program,
            lifted.lifted_program(4, 0).program,
        ]

    before = every()
    for program in before:
        assert program.problem.is_dcp() and program.problem.is_dpp(), program.name
    _, _, channels, v = build("small")
    textbook = Textbook()
    first = textbook.transmit(channels.at(v))
    monkeypatch.setattr(cp.Problem, "__init__", None)  # nothing may be built any more
    solves = before[0].solves
    again = textbook.transmit(channels.at(v))
    np.testing.assert_array_equal(first.value, again.value)
    assert all(a is b for a, b in zip(before, every(), strict=True)) and before[0].solves == solves + len(v)


WHOLE = {
    "small": ("ao", "transmit_only", "zero_forcing"),
    "surface_limited": ("ao", "zero_forcing"),
    "sensing": ("ao", "transmit_only", "reflective_only", "passive"),
}


@pytest.mark.parametrize("case", WHOLE)
def test_whole_runs(case):
    system, scene, _, _ = build(case)
    known = system.known(scene)
    for name in WHOLE[case]:
        policy = baselines.make(name, system, solver="cvxpy")
        solution = policy.solve(known, np.random.default_rng(0))
        fast = baselines.make(name, system).solve(known, np.random.default_rng(0))
        metrics = system.evaluate(scene, solution.design)
        np.testing.assert_allclose(solution.objective, metrics.objective, atol=1e-9)
        np.testing.assert_array_equal(solution.feasible, fast.feasible)
        np.testing.assert_array_equal(solution.status, fast.status)
        both = solution.feasible & fast.feasible
        np.testing.assert_allclose(solution.objective[both], fast.objective[both], atol=0.3 if name == "ao" else 0.1)
        assert (np.diff(solution.history, axis=0)[:, both] <= 1e-9).all()
        if name != "reflective_only" and (name, case) != ("passive", "sensing"):
            assert {call.scene for call in policy.programs.calls} == set(range(len(scene)))
        assert all(call.solver in ("CLARABEL", "SCS", "none") for call in policy.programs.calls)
