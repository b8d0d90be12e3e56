"""The textbook programs in cvxpy against the fast forms from the same input; Proposition 1; how the problems are built."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest

import baselines
from baselines.beampattern.joint_bound import joint_bound
from baselines.beampattern.programs import make_programs
from baselines.beampattern.textbook import Textbook
from baselines.beampattern.textbook.joint_bound import bound_program
from baselines.beampattern.textbook.reflective import reflective_program
from baselines.beampattern.textbook.transmit import transmit_program
from baselines.beampattern.transmit import rank_one, transmit_covariances, transmit_step
from baselines.beampattern.units import Scaled
from baselines.tools import convex
from baselines.tools.linalg import abs2, herm
from ris_gym import systems

SEVERAL = {"user_radius_m": 5.0, "sinr_threshold_db": 6.0}
CASES = {
    "five": {},
    "sectors": {"preset": "sectors", "num_elements": 8},
    "los": {"los_bs_ris": True},
    "two": SEVERAL | {"num_users": 2},
    "two_leak": SEVERAL | {"num_users": 2, "cancel_sensing": False},
    "three": SEVERAL | {"num_users": 3, "num_elements": 8, "sinr_threshold_db": 0.0},
    "three_leak": SEVERAL | {"num_users": 3, "num_elements": 8, "sinr_threshold_db": 0.0, "cancel_sensing": False},
    "one_leak": {"cancel_sensing": False, "num_elements": 6},
}


def build(case, batch=2, **more):
    fields = {"num_antennas": 5, "num_elements": 9, "sinr_threshold_db": 12.0} | CASES[case] | more
    system = systems.make("beampattern", fields.pop("preset", None), **fields)
    scene = system.sample(np.random.default_rng(3), batch=batch)
    v = np.exp(2j * np.pi * np.random.default_rng(4).random((batch, system.num_elements)))
    return system, scene, v


def decibels(first, second):
    return 10.0 * np.log10(first / second)


@pytest.mark.parametrize("case", CASES)
def test_every_program_has_the_value_of_the_fast_form(case):
    system, scene, v = build(case)
    scaled = Scaled.of(system, scene)
    user, target = scaled.rows(v)
    fast, textbook = make_programs("fast"), Textbook()
    _, feasible, bound = fast.covariances(scaled, user, target)
    x, also, value = textbook.covariances(scaled, user, target)
    assert feasible.all() and also.all()
    np.testing.assert_allclose(decibels(value, bound), 0.0, atol=0.01)
    np.testing.assert_allclose(np.trace(x, axis1=-2, axis2=-1).real.sum(1), 1.0, atol=1e-9)
    assert (np.linalg.eigvalsh(x) > -1e-12).all()

    f, gain, _ = transmit_step(scaled, v)
    g, other, met = transmit_step(scaled, v, textbook.covariances)
    np.testing.assert_allclose(decibels(other, gain), 0.0, atol=0.01)
    assert met.all() and (scaled.gain_and_margin(v, g)[1] > 1.0 - 1e-4).all()

    _, bound, good = fast.relax(scaled, f)
    relaxed, value, also = textbook.relax(scaled, f)
    assert good.all() and also.all()
    np.testing.assert_allclose(decibels(value, bound), 0.0, atol=0.01)
    np.testing.assert_allclose(np.diagonal(relaxed, axis1=1, axis2=2), 1.0, atol=1e-12)
    assert relaxed.shape[1] == system.num_elements + 1 and (np.linalg.eigvalsh(relaxed) > -1e-9).all()

    eye = np.broadcast_to(np.eye(system.num_antennas, dtype=complex), (len(scene), system.num_antennas, system.num_antennas))
    np.testing.assert_allclose(decibels(textbook.relax(scaled, eye, False)[1], fast.relax(scaled, eye, False)[1]), 0.0, atol=0.01)
    if system.num_users == 1:
        alone, feasible, value = textbook.covariances(scaled, user, target, sensing=False)
        assert feasible.all() and alone.shape[1] == 1
        np.testing.assert_allclose(decibels(value, transmit_covariances(scaled, user, target)[2]), 0.0, atol=0.01)

    mine, proof = baselines.bound(system, scene, solver="cvxpy"), baselines.bound(system, scene)
    assert (mine.status == "certified").all() and mine.scope == "scene"
    np.testing.assert_allclose(mine.value, proof.value, atol=0.01)
    assert all(call.accepted and call.status in convex.SOLVED and call.residual <= 1e-3 for call in textbook.calls)
    assert {call.scene for call in textbook.calls} == {0, 1}


@pytest.mark.parametrize("case", ["five", "one_leak", "two", "two_leak", "three_leak"])
def test_proposition_1_keeps_covariance_gains_and_power_and_meets_the_sinr(case):
    system, scene, v = build(case)
    scaled = Scaled.of(system, scene)
    user, target = scaled.rows(v)
    x, feasible, _ = Textbook().covariances(scaled, user, target)
    assert feasible.all()
    f = rank_one(user, x, sensing=system.num_antennas)
    users, total = system.num_users, x.sum(1)
    np.testing.assert_allclose(f @ herm(f), total, atol=1e-7)
    np.testing.assert_allclose(abs2(f).sum((1, 2)), 1.0, atol=1e-12)
    gains = (target @ total @ herm(target)).diagonal(axis1=1, axis2=2).real
    np.testing.assert_allclose(abs2(target @ f).sum(-1), gains, rtol=1e-6)
    own = np.einsum("bkm,bkmn,bkn->bk", user, x[:, 1:], user.conj()).real
    np.testing.assert_allclose(abs2(np.einsum("bkm,bmk->bk", user, f[..., :users])), own, rtol=1e-6)
    assert (scaled.sinr_ratio(user @ f) > 1.0 - 1e-4).all()
    rest = total - f[..., :users] @ herm(f[..., :users])
    assert (np.linalg.eigvalsh(rest) > -1e-7).all()


def test_line_of_sight_needs_no_sensing_signal():
    system, scene, v = build("los", batch=4)
    scaled = Scaled.of(system, scene)
    user, target = scaled.rows(v)
    for form, most in ((make_programs("fast"), 2e-3), (Textbook(), 1e-5)):
        x, feasible, _ = form.covariances(scaled, user, target)
        assert feasible.all()
        values = np.linalg.eigvalsh(x.sum(1))
        assert (values[:, -2] < most * values[:, -1]).all()
        # the re-match leaves the gains and needs R_0 = 0 (without it R_0 may hold power where the SNR is slack)
        f = rank_one(user, x, system.num_sensing_beams) * np.sqrt(system.power_w)
        design = system.design(beams=f[..., :1], sensing_beams=f[..., 1:], coefficients=v)
        matched = system.repair(scene, design)
        assert (abs2(matched.sensing_beams).sum((1, 2)) < most * system.power_w).all()
        before, after = system.evaluate(scene, design), system.evaluate(scene, matched)
        np.testing.assert_allclose(after.objective, before.objective, atol=0.01)


def test_infeasible_programs_are_found_infeasible():
    system, scene, v = build("five", sinr_threshold_db=60.0)
    scaled, textbook = Scaled.of(system, scene), Textbook()
    _, feasible, _ = textbook.covariances(scaled, *scaled.rows(v))
    assert not feasible.any() and all(call.infeasible and not call.accepted for call in textbook.calls)
    f, gain, _ = transmit_step(scaled, v, textbook.covariances)
    assert np.isfinite(gain).all()
    _, _, good = textbook.relax(scaled, f)
    assert not good.any()
    value, status = joint_bound(system, scene, program=textbook.bound)
    assert (status == "infeasible").all()
    np.testing.assert_allclose(value, joint_bound(system, scene)[0])


def test_at_the_limit_the_maximum_ratio_beam_is_the_transmit_step():
    system, scene, v = build("five")
    scaled = Scaled.of(system, scene)
    user, target = scaled.rows(v)
    user = user / np.sqrt(abs2(user).sum((1, 2), keepdims=True))
    textbook = Textbook()
    x, feasible, _ = textbook.covariances(scaled, user, target)
    assert feasible.all() and not textbook.calls
    np.testing.assert_allclose(x[:, 1], herm(user) @ user, atol=1e-12)


@pytest.mark.parametrize("users", [1, 2])
def test_the_problems_are_dpp(users):
    programs = [transmit_program(4, 5, users, sensing, leak).program for sensing in (True, False) for leak in (True, False)]
    programs += [reflective_program(6, 5, users).program, reflective_program(6, 5, 0).program]
    programs.append(bound_program(6, 4, 5, users).program)
    for program in programs:
        assert program.problem.is_dcp() and program.problem.is_dpp(), program.name


def test_problems_are_built_and_compiled_once(monkeypatch):
    system, scene, v = build("five", batch=2, num_elements=5)
    scaled, textbook = Scaled.of(system, scene), Textbook()
    user, target = scaled.rows(v)
    f, _, _ = transmit_step(scaled, v)

    def solve_all():
        textbook.covariances(scaled, user, target)
        textbook.relax(scaled, f)
        textbook.bound(scaled)
        shapes = transmit_program(5, 5, 1, True, False), reflective_program(5, 5, 1), bound_program(5, 5, 5, 1)
        return [built.program for built in shapes]

    before = solve_all()
    solved, compiled = [p.solves for p in before], [p.problem._cache.param_prog for p in before]
    assert all(one is not None for one in compiled)
    monkeypatch.setattr(cp.Problem, "__init__", None)  # nothing may be built any more
    after = solve_all()
    assert all(a is b for a, b in zip(before, after, strict=True))
    assert [p.solves for p in after] == [n + 2 for n in solved]
    assert all(p.problem._cache.param_prog is one for p, one in zip(after, compiled, strict=True))


def test_the_bound_stays_a_bound_with_a_careless_solver(monkeypatch):
    system, scene, _ = build("five")
    fast = baselines.bound(system, scene).value
    monkeypatch.setattr(convex, "_options", lambda solver, tolerance: {"eps_abs": 0.1, "eps_rel": 0.1})
    loose = baselines.bound(system, scene, solver="cvxpy")
    assert (loose.value > fast - 1e-3).all() and (loose.value > fast + 1e-3).any()


def test_solvers_are_named_by_size_and_bad_data_is_refused():
    assert convex.solvers_for(8)[0] == "CLARABEL" and convex.solvers_for(17)[0] == "SCS"
    assert convex.solvers_for(65) == ("SCS",)
    program = reflective_program(6, 5, 0).program
    with pytest.raises(ValueError, match="parameters"):
        program.solve(0, gain=np.zeros((5, 72)))
    with pytest.raises(ValueError, match="[Ss]hape|dimension"):
        program.solve(0, gains=np.zeros((4, 72)))
