"""Optimal times of one frame: against exhaustive search, by dominance, over Gamma; equal slots; when sensing pays."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from baselines.vehicular import BENCHMARKS, benchmark
from baselines.vehicular.allocation import Frame, equal_slots, flexible_slots, frame, sensing_payoff
from ris_gym.systems.vehicular import Vehicular, beams
from ris_gym.systems.vehicular.parameters import LIGHT_MPS

SYSTEM = Vehicular.from_preset("reciprocity")


def vehicles(name: str = "s&c", places: tuple[float, ...] = (-20.0, 0.0, 20.0), std: float = 0.5) -> Frame:
    return frame(benchmark(SYSTEM, name), places, 15.0, std, 0.2)


def rate_of(system: Vehicular, x: float, std: float, sensed: float) -> float:
    """phi by the page's formulas alone: exact integrals, a matrix inverse, the chi-square's survival."""
    far = math.hypot(x, 30.0)
    slope, spread = 900.0 / far**3, 900.0 / far**3 * std
    snr = system.comm_scale / far**2
    gamma = system.bandwidth_hz * system.frame_s * system.echo_scale / far**4 * sensed
    gamma *= float(beams.mean_gain(64, np.array(spread), 0.0, 2))
    before = float(beams.expected_rate(64, np.array(snr), np.array(spread)))
    if sensed == 0.0:
        return before
    noise = np.array([6.0 / (math.pi**2 * 255.0), (LIGHT_MPS / 2e7) ** 2 * 1.5 / math.pi**2, 0.0]) / gamma
    noise[2] = (system.wavelength_m / 2.0) ** 2 * 1.5 / (math.pi**2 * (0.05 * sensed) ** 2 * gamma)
    rows = np.array([[slope, 0.0], [x / far, 0.0], [15.0 * slope, x / far]])
    after = np.linalg.inv(np.diag([std**-2, 25.0]) + rows.T @ np.diag(1.0 / noise) @ rows)
    detected = stats.ncx2.sf(-2.0 * math.log(1e-4), 2, 2.0 * gamma)
    new = float(beams.expected_rate(64, np.array(snr), np.array(slope * math.sqrt(after[0, 0]))))
    return float(detected * new + (1.0 - detected) * before)


def test_rates_and_levels_are_those_of_the_page() -> None:
    scene = vehicles()
    for k, x in enumerate((-20.0, 0.0, 20.0)):
        for sensed in (0.0, 0.003, 0.02, 0.4):
            assert scene.rate(np.array([sensed]))[k, 0] == pytest.approx(rate_of(SYSTEM, x, 0.5, sensed), abs=2e-3)
    plain = vehicles("w/o s")
    assert np.allclose(plain.rate(np.array([0.3])), plain.rate(np.zeros(1))) and np.allclose(plain.full, scene.full)
    assert scene.rate(np.array([0.3]))[1, 0] > plain.rate(np.zeros(1))[1, 0] + 0.5


@pytest.mark.parametrize("name", BENCHMARKS)
def test_two_vehicles_against_exhaustive_search(name: str) -> None:
    """All (c_1, c_2, tau_1, tau_2) on a grid of 1/60: none is better, the best is less than a grid step worse."""
    scene, n = vehicles(name, (-20.0, 5.0)), 60
    i = np.array([c for c in itertools.product(range(n + 1), repeat=3) if sum(c) <= n])
    shares = np.column_stack([i, n - i.sum(axis=1)]) / n
    served, dedicated = shares[:, :2], shares[:, 2:]
    sensed = dedicated.copy()
    if name in ("s&c", "w/o s"):
        sensed[:, 1] += served[:, 0]
    each = np.linspace(0.0, 1.0, n + 1)
    table = scene.rate(each)
    rates = 2.0 * np.min([served[:, k] * table[k][np.rint(sensed[:, k] * n).astype(int)] for k in range(2)], axis=0)
    for gamma_db in (5.0, 18.0, 22.0):
        enough = np.all(sensed * scene.full >= 10.0 ** (gamma_db / 10.0), axis=1)
        best = rates[enough].max()
        found = flexible_slots(scene, [gamma_db])
        assert best - 1e-3 <= found.rate[0] <= best + 2.0 * 5.0 / n
        own, snr = scene.value(found.served, found.dedicated)
        assert 2.0 * own.min() == pytest.approx(found.rate[0], abs=1e-3)
        assert snr.min() >= 10.0 ** (gamma_db / 10.0) * (1.0 - 1e-9)
        assert (found.served + found.dedicated).sum() <= 1.0 + 1e-9


def test_finer_grids_change_nothing() -> None:
    for name in BENCHMARKS:
        gammas = [8.0, 16.0, 22.0]
        coarse, fine = (flexible_slots(vehicles(name), gammas, grid).rate for grid in (1201, 6001))
        assert np.allclose(coarse, fine, atol=5e-4)


def test_dedicated_time_of_any_vehicle_but_the_first_is_never_needed() -> None:
    scene, rng = vehicles(), np.random.default_rng(0)
    shares = rng.dirichlet(np.full(6, 0.5), 4000)
    served, dedicated = shares[:, :3], shares[:, 3:]
    rate, snr = scene.value(served, dedicated)
    moved = served + np.pad(dedicated[:, 1:], ((0, 0), (0, 1)))
    rate_moved, snr_moved = scene.value(moved, dedicated * [1.0, 0.0, 0.0])
    assert np.allclose(snr, snr_moved) and np.all(rate_moved >= rate - 1e-9) and np.mean(rate_moved > rate + 1e-3) > 0.5
    for gamma_db in (8.0, 18.0):
        enough = np.all(snr >= 10.0 ** (gamma_db / 10.0), axis=1)
        best = flexible_slots(scene, [gamma_db])
        assert enough.sum() > 50 and best.rate[0] > 3.0 * rate[enough].min(axis=1).max() and not best.dedicated[0, 1:].any()


@pytest.mark.parametrize("name", BENCHMARKS)
def test_rates_fall_with_the_requirement(name: str) -> None:
    gammas = np.arange(6.0, 30.0, 2.0)
    for solved in (flexible_slots(vehicles(name), gammas, 401), equal_slots(vehicles(name), gammas, 101)):
        possible = np.isfinite(solved.rate)
        assert not possible[-1] and possible[0] and np.all(possible[:-1] >= possible[1:])
        assert np.all(np.diff(solved.rate[possible]) <= 1e-4) and np.array_equal(possible, np.isfinite(solved.served).all(axis=1))
    assert np.allclose(solved.served[possible] + solved.dedicated[possible], 1.0 / 3.0)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_equal_slots_are_the_best_of_all_combinations(name: str) -> None:
    scene, grid = vehicles(name), np.linspace(0.0, 1.0, 9)
    a = np.array(list(itertools.product(grid, repeat=3)))
    rate, snr = scene.value((1.0 - a) / 3.0, a / 3.0)
    for gamma_db in (0.0, 20.0):
        enough = np.all(snr >= 10.0 ** (gamma_db / 10.0) * (1.0 - 1e-12), axis=1)
        found = equal_slots(scene, [gamma_db], 9)
        assert found.rate[0] == pytest.approx(rate[enough].sum(axis=1).max())
        assert scene.value(found.served, found.dedicated)[0].sum() == pytest.approx(found.rate[0])


def test_sensing_pays_with_a_poor_prior_and_a_strong_echo() -> None:
    shares = np.concatenate([[0.0], np.geomspace(1e-4, 1.0, 401)])
    scene = frame(Vehicular(), np.zeros(3), 15.0, [0.05, 0.5, 1.0], 0.2)
    found = sensing_payoff(scene, shares)
    assert found.share[0] == 0.0 and found.gain[0] == 1.0 and np.all(found.share[1:] > 0.0) and np.all(found.gain[1:] > 1.1)
    worth = [(1.0 - a) * rate_of(SYSTEM, 0.0, 1.0, a) for a in (0.0, float(found.share[2]))]
    assert found.gain[2] == pytest.approx(worth[1] / worth[0], rel=1e-3) and np.all(found.slope < 1.0)
    weak: Any = frame(Vehicular(self_interference_db=55.0), [0.0], 15.0, 0.5, 0.2)
    assert sensing_payoff(weak, shares).share[0] == 0.0


def test_arguments() -> None:
    scene = vehicles()
    for call, text in (
        (lambda: frame(SYSTEM, [], 15.0, 0.5, 0.2), "position_m must"),
        (lambda: frame(SYSTEM, [0.0], 15.0, 0.0, 0.2), "position_std_m must be positive"),
        (lambda: frame(Vehicular(reflect_share=0.5), [0.0], 15.0, 0.5, 0.2), "reflect_share must be 1"),
        (lambda: flexible_slots(scene, [10.0], grid=2), "grid must"),
        (lambda: flexible_slots(scene, [10.0], tolerance=0.0), "tolerance must"),
        (lambda: equal_slots(scene, [10.0], grid=1), "grid must"),
        (lambda: sensing_payoff(scene, [0.1, 0.2]), "shares must"),
    ):
        with pytest.raises(ValueError, match=text):
            call()
