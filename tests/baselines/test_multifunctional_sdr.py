"""Semidefinite relaxations of both steps of `multifunctional`, the policies on them, and the exhaustive search."""

from __future__ import annotations

import numpy as np
import pytest

from baselines.multifunctional import ratio, relaxation, transmit_sdp
from baselines.multifunctional.filters import best_filters
from baselines.multifunctional.programs import TransmitRestoration, coefficient_problem, transmit_problem, transmit_set
from baselines.multifunctional.textbook import Textbook
from baselines.multifunctional.textbook.ratio import TextbookRatio
from baselines.multifunctional.units import Channels
from baselines.tools.linalg import abs2, herm
from ris_gym import systems

CASES = {
    "log": {},
    "sum": {"objective_form": "sum"},
    "db": {"objective_form": "db"},
    "users": {"num_users": (2, 1), "num_sensing_beams": 2, "min_rate_bps_hz": 2.0},
    "modes": {"protocol": "ms"},
    "few_sensors": {"num_sensors_h": 1, "num_sensors_v": 1},
}


def alternated(case, batch=1, rounds=2, slot=None, seed=5):
    """Channels and a design of the textbook alternation, filters included."""
    system = systems.make("multifunctional", preset="small", **({"num_sensing_beams": 3} | CASES[case]))
    rng, textbook = np.random.default_rng(seed), Textbook()
    scene = system.sample(rng, batch)
    channels = Channels.of(system, scene)
    design = system.decode(scene, system.start(scene))
    w = design.all_beams / np.sqrt(system.power_w)
    theta = design.coefficients / np.sqrt(system.max_gain)
    if slot is not None:
        channels, w, theta = channels.slot(slot), np.delete(w, 1 - slot, axis=2), theta[:, [slot]]
    if not channels.feasible(w, theta).all():
        w, _ = textbook.restore_transmit(TransmitRestoration(feasible=transmit_set(channels, theta), point=w))
    assert channels.feasible(w, theta).all()
    for _ in range(rounds):
        w, _ = textbook.transmit(transmit_problem(channels, theta, w, best_filters(channels.echoes(theta), w)[0]))
        theta, _ = textbook.coefficients(coefficient_problem(channels, theta, w, best_filters(channels.echoes(theta), w)[0]))
    return channels, w, theta, best_filters(channels.echoes(theta), w)[0]


def converged(problem, step, of, rounds=20):
    """The minorant step iterated at fixed filters."""
    x = problem.point
    for _ in range(rounds):
        x, _ = step(of(x))
    return x


@pytest.mark.parametrize("case", CASES)
def test_the_transmit_sdp_is_where_the_iterated_minorant_step_ends(case):
    channels, w, theta, u = alternated(case)
    problem = transmit_problem(channels, theta, w, u)
    textbook = Textbook()
    x = converged(problem, textbook.transmit, lambda x: transmit_problem(channels, theta, x, u))
    local = channels.utility(problem.echo(x) / problem.interference(x))
    for i in range(len(channels)):
        found = transmit_sdp.solve_transmit_sdp(problem, i, tolerance=2e-2, rounds=8)
        assert found.beams is not None
        assert local[i] <= found.upper and found.value <= found.upper
        assert found.upper - found.value <= 2.1e-2
        assert found.value >= local[i] - 2.1e-2
        # the rank-one beams and all of R_0 keep every constraint
        streams = np.concatenate([found.beams, transmit_sdp.square_root(found.sensing)], axis=1)[None]
        assert problem.feasible[i : i + 1].violation(streams)[0] <= 1e-7
        one = problem[i : i + 1]
        value = channels.utility(one.echo(streams) / one.interference(streams))[0]
        np.testing.assert_allclose(value, found.value, rtol=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_the_relaxed_coefficients_are_where_the_iterated_minorant_step_ends(case):
    channels, w, theta, u = alternated(case)
    problem = coefficient_problem(channels, theta, w, u)
    textbook = Textbook()
    x = converged(problem, textbook.coefficients, lambda x: coefficient_problem(channels, x, w, u))
    local = channels.utility(problem.echo(x) / problem.interference(x))
    generator = np.random.default_rng(0)
    for i in range(len(channels)):
        found = relaxation.relax_coefficients(problem, i, tolerance=2e-2, rounds=8)
        assert found.covariance is not None and (found.ranks >= 1).all()
        assert local[i] <= found.upper and found.value <= found.upper <= found.value + 2.1e-2
        assert found.value >= local[i] - 2.1e-2
        assert (np.linalg.eigvalsh(found.covariance) > -1e-9).all()
        assert (np.abs(found.covariance[~channels.mask[i]]) == 0).all()
        candidates = relaxation.scaled(problem.feasible, i, relaxation.draw(found, 50, generator))
        many = problem[np.full(50, i)]
        assert (many.feasible.power(candidates) <= 1 + 1e-9).all() and (abs2(candidates).sum(1) <= 1 + 1e-9).all()
        good = (
            np.log2(1.0 + channels[np.full(50, i)].sinr(w[np.full(50, i)], candidates))
            >= np.log2(1.0 + channels.threshold[i]) - 1e-6
        ).all(1)
        value = channels.utility(many.echo(candidates) / many.interference(candidates))
        if good.any():
            assert value[good].max() <= found.upper


@pytest.mark.parametrize("case", ["log", "users", "few_sensors"])
def test_the_dual_method_and_cvxpy_agree(case):
    channels, w, theta, u = alternated(case)
    programs = [
        transmit_sdp.ratio_program(transmit_problem(channels, theta, w, u), 0)[0],
        relaxation.ratio_program(coefficient_problem(channels, theta, w, u), 0),
    ]
    for program in programs:
        textbook = TextbookRatio(solvers=("CLARABEL",))
        for main in (0, 1):
            single = np.array([np.nan])
            most = ratio.solve_fast(program, 1 - main, single, program.limit[1 - main]).upper[0]
            for t in (single, most * np.array([1e-2, 0.3, 0.9])):
                fast = ratio.solve_fast(program, main, t, program.limit[main])
                slow = textbook(program, main, t, program.limit[main])
                assert fast.solved.all()
                value = program.gamma(fast.x)[:, main]
                assert (value <= fast.upper * (1 + 1e-9)).all()
                np.testing.assert_allclose(fast.upper, slow.upper, rtol=5e-4)
                np.testing.assert_allclose(fast.upper, value, rtol=2e-3)
                assert (program.violation(fast.x) <= 1e-6).all()
                assert len(t) == 1 or (program.gamma(fast.x)[:, 1 - main] >= t * (1 - 1e-4)).all()


def test_beyond_the_largest_ratio_and_with_hopeless_rates_infeasibility_is_proved():
    channels, w, theta, u = alternated("log")
    problem = transmit_problem(channels, theta, w, u)
    program, _ = transmit_sdp.ratio_program(problem, 0)
    most = ratio.solve_fast(program, 1, np.array([np.nan]), program.limit[1]).upper[0]
    answer = ratio.solve_fast(program, 0, most * np.array([0.9, 1.5]), program.limit[0])
    assert answer.solved.tolist() == [True, False] and answer.upper[1] == -np.inf
    for margin in (1e6, 1e9):
        found = transmit_sdp.solve_transmit_sdp(problem, 0, margin=margin)
        assert found.beams is None and found.upper == -np.inf and found.value == -np.inf
        relaxed = relaxation.relax_coefficients(coefficient_problem(channels, theta, w, u), 0, margin=margin)
        assert relaxed.covariance is None and relaxed.upper == -np.inf


def test_a_slot_needs_no_search():
    channels, w, theta, u = alternated("log", batch=2, slot=1)
    for i in range(2):
        problem = transmit_problem(channels, theta, w, u)
        found = transmit_sdp.solve_transmit_sdp(problem, i)
        assert found.programs == 1 and 0 <= found.upper - found.value < 1e-3
        gamma = problem.echo(problem.point) / problem.interference(problem.point)
        assert found.upper >= channels.utility(gamma)[i]


def test_rank_one_beams_have_the_metrics_of_the_shares():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, 6, 6, 2)) @ [1.0, 1j]
    shares, rows = x @ herm(x), rng.standard_normal((3, 6, 2)) @ [1.0, 1j]
    beams, sensing = transmit_sdp.rank_one(shares, rows)
    np.testing.assert_allclose(beams @ herm(beams) + sensing, shares.sum(0), atol=1e-9)
    assert np.linalg.eigvalsh(sensing)[0] > -1e-9
    for k, row in enumerate(rows):
        np.testing.assert_allclose(abs(row @ beams[:, k]) ** 2, (row @ shares[k] @ row.conj()).real, rtol=1e-10)
    root = transmit_sdp.square_root(sensing)
    np.testing.assert_allclose(root @ herm(root), sensing, atol=1e-9)
    values = np.linalg.eigvalsh(sensing)[::-1]
    np.testing.assert_allclose(np.linalg.norm(transmit_sdp.square_root(sensing, 2), axis=0) ** 2, values[:2])
    assert (transmit_sdp.square_root(sensing, 8)[:, 6:] == 0).all()


def test_interval_bounds_hold_for_every_solution_between():
    channels, w, theta, u = alternated("log")
    program = relaxation.ratio_program(coefficient_problem(channels, theta, w, u), 0)
    most = ratio.solve_fast(program, 1, np.array([np.nan]), program.limit[1]).upper[0]
    t = most * np.array([0.05, 0.2, 0.5, 0.8])
    ends = ratio.solve_fast(program, 0, t, program.limit[0])
    bounds = ratio.interval_bounds(program, t, ends.upper)
    for j in range(3):
        inner = ratio.solve_fast(program, 0, np.linspace(t[j], t[j + 1], 6)[1:-1], program.limit[0])
        gamma = program.gamma(inner.x)
        assert (program.value(gamma)[gamma[:, 1] <= t[j + 1]] <= bounds[j]).all()
