"""Semidefinite relaxations of both steps of `multifunctional`, the policies on them, and the exhaustive search."""

from __future__ import annotations

import numpy as np
import pytest

import baselines
from baselines.multifunctional import ratio, relaxation, transmit_sdp
from baselines.multifunctional.alternate import alternate
from baselines.multifunctional.filters import best_filters
from baselines.multifunctional.forms import make_programs
from baselines.multifunctional.initial import matched_beams, sensing_noise, within_budget
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


@pytest.mark.parametrize("case", ["users", "few_sensors"])
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
            for t in (single, most * np.array([1e-2, 0.6])):
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


def served(system, scene, solution):
    """The solution is canonical, hard feasible, meets the rates and has the value it states."""
    design = solution.design
    assert design.sensing_beams.shape[-1] == system.num_sensing_beams
    again = system.project(scene, design)
    np.testing.assert_allclose(again.all_beams, design.all_beams, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(again.coefficients, design.coefficients, rtol=1e-12, atol=1e-15)
    metrics = system.evaluate(scene, design)
    np.testing.assert_allclose(metrics.objective, solution.objective)
    assert solution.feasible.all() and metrics.feasible.all() and (solution.status == "stopped").all()
    assert (np.diff(solution.history, axis=0) >= -1e-9).all()
    assert (solution.objective <= baselines.bound(system, scene).value).all()
    copy = system.decode(scene, system.encode(scene, design))
    np.testing.assert_allclose(system.evaluate(scene, copy).objective, solution.objective, rtol=1e-6)


@pytest.mark.parametrize("protocol", ["es", "ms", "ts"])
def test_sdr_serves_its_scenes_whatever_the_protocol(protocol):
    system = systems.make("multifunctional", preset="tiny", protocol=protocol)
    scene = system.sample(np.random.default_rng(0), 2)
    options = {"rounds": 2, "draws": 40, "time_fractions": (0.5,)}
    solution = baselines.make("sdr", system, **options).solve(system.known(scene), np.random.default_rng(1))
    served(system, scene, solution)
    again = baselines.make("sdr", system, chunk=1, **options).solve(system.known(scene), np.random.default_rng(1))
    np.testing.assert_allclose(again.objective, solution.objective, rtol=1e-9)
    if protocol == "ts":
        assert solution.memory is None
        return
    # as many streams as antennas: nothing of R_0 is lost
    np.testing.assert_allclose(solution.memory["full_objective"], solution.objective, rtol=1e-6)
    assert solution.memory["coefficient_rank"].shape == (2, 2, 2) and solution.memory["randomisation_loss"].shape == (2, 2)
    assert (solution.memory["sensing_rank"] <= 4).all() and (solution.memory["sensing_rank"] >= 1).all()
    assert (np.nan_to_num(solution.memory["randomisation_loss"]) > -0.05).all()


def test_sdr_returns_the_strongest_streams_and_reports_what_they_leave_out():
    system = systems.make("multifunctional", preset="small", num_sensing_beams=1)
    scene = system.sample(np.random.default_rng(2), 1)
    solution = baselines.make("sdr", system, rounds=1, draws=40).solve(system.known(scene), np.random.default_rng(1))
    served(system, scene, solution)
    assert solution.memory["sensing_rank"][0] > 1
    assert abs(solution.memory["full_objective"][0] - solution.objective[0]) > 1e-6


def test_sdr_with_cvxpy_serves_its_scene_too():
    system = systems.make("multifunctional", preset="tiny", num_elements_v=1)
    scene = system.sample(np.random.default_rng(0), 1)
    policy = baselines.make("sdr", system, rounds=1, draws=40, solver="cvxpy")
    solution = policy.solve(system.known(scene), np.random.default_rng(1))
    served(system, scene, solution)
    calls = [call for call in policy.programs.calls if call.program == "ratio"]
    assert calls and all(call.solver == "CLARABEL" and call.scene == 0 for call in calls)
    assert solution.history[-1, 0] > solution.history[0, 0] + 0.1


def test_sdr_and_exhaustive_refuse_what_they_cannot_do():
    for kind in ("star", "active", "passive"):
        system = systems.make("multifunctional", preset="tiny", kind=kind)
        for name in ("sdr", "exhaustive"):
            with pytest.raises(ValueError, match="system"):
                baselines.make(name, system)
    system = systems.make("multifunctional", preset="tiny")
    for options in ({"draws": 0}, {"search_tolerance": 0.0}, {"search_rounds": 1.5}):
        with pytest.raises(ValueError, match=next(iter(options))):
            baselines.make("sdr", system, **options)
    for options in ({"phase_bits": 0}, {"refine": 0}, {"phase_bits": 2}):  # 24^4 candidates
        with pytest.raises(ValueError, match=r"phase_bits|refine|candidates"):
            baselines.make("exhaustive", system, **options)
    with pytest.raises(ValueError, match="num_elements must give at most 20000 candidates"):
        baselines.make("exhaustive", systems.make("multifunctional", preset="small"))
    with pytest.raises(ValueError, match="protocol"):
        baselines.make("exhaustive", systems.make("multifunctional", preset="tiny", protocol="ts"))
    with pytest.raises(ValueError, match="phase_bits must be at most"):
        baselines.make("exhaustive", systems.make("multifunctional", preset="tiny", num_elements_v=1, phase_bits=1), phase_bits=2)


def test_the_candidates_are_all_levels_once():
    policy = baselines.make("exhaustive", systems.make("multifunctional", preset="tiny"))
    every = policy.candidates()
    assert every.shape == (4096, 2, 4) and len(np.unique(np.round(every, 6).reshape(4096, -1), axis=0)) == 4096
    share = abs2(every)
    np.testing.assert_allclose(share.sum(1), 1.0)
    assert set(np.round(share[:, 0].ravel(), 9)) == {0.0, 0.5, 1.0}
    np.testing.assert_allclose(np.abs(np.imag(every)), 0.0, atol=1e-12)
    modes = baselines.make("exhaustive", systems.make("multifunctional", preset="tiny", protocol="ms"), phase_bits=2)
    assert modes.candidates().shape == (4096, 2, 4) and (abs2(modes.candidates()).min(1) == 0).all()


@pytest.mark.parametrize("protocol", ["es", "ms"])
def test_exhaustive_is_the_best_of_all_refined(protocol):
    system = systems.make("multifunctional", preset="tiny", num_elements_v=1, protocol=protocol)
    scene = system.sample(np.random.default_rng(4), 2)
    policy = baselines.make("exhaustive", system)
    solution = policy.solve(system.known(scene), np.random.default_rng(1))
    served(system, scene, solution)
    levels = np.angle(solution.design.coefficients) / np.pi
    np.testing.assert_allclose(levels, np.round(levels), atol=1e-9)
    if protocol == "ms":
        strong = np.argmax(np.abs(solution.design.coefficients), axis=1)
        np.testing.assert_array_equal(solution.design.mode, strong)
    # every candidate of its own, with other sensing streams to begin with
    channels, every = Channels.of(system, scene), policy.candidates()
    for i in range(2):
        rows = np.full(len(every), i)
        many, generators = channels[rows], [np.random.default_rng(9) for _ in rows]
        w = matched_beams(many, every, sensing_noise(many, generators))
        point, _ = alternate(many, w, within_budget(many, w, every), make_programs("fast"), surface=False)
        best = point.value[point.feasible].max()
        assert solution.objective[i] >= best - 0.02
