"""Linear algebra, L-BFGS, randomisation."""

from __future__ import annotations

import numpy as np
import pytest

from baselines.tools.lbfgs import minimise
from baselines.tools.linalg import abs2, herm, inverse_positive, is_positive_definite, solve_positive
from baselines.tools.randomisation import complex_normal, gaussian_phases


def positive(rng, batch, n):
    a = complex_normal(rng, (batch, n, 2 * n))
    return a @ herm(a)


def test_inverse_and_cholesky_flag_instead_of_raising():
    rng = np.random.default_rng(0)
    good = positive(rng, 3, 5)
    bad = good.copy()
    bad[1] -= 100 * np.eye(5)
    bad[2, 0, 0] = np.nan
    assert is_positive_definite(good).all()
    assert is_positive_definite(bad).tolist() == [True, False, False]
    inverse, flags = inverse_positive(good)
    assert flags.all()
    np.testing.assert_allclose(inverse @ good, np.broadcast_to(np.eye(5), (3, 5, 5)), atol=1e-10)
    inverse, flags = inverse_positive(bad)
    assert flags.tolist() == [True, False, False] and np.isfinite(inverse).all()


def test_solve_positive_is_scaled_and_refined():
    rng = np.random.default_rng(1)
    a = positive(rng, 4, 6).real
    scale = np.exp(rng.uniform(-12, 12, (4, 6)))
    a = a * scale[:, :, None] * scale[:, None, :]
    x = rng.standard_normal((4, 6, 2)) / scale[:, :, None]
    solution, good = solve_positive(a, a @ x)
    assert good.all()
    np.testing.assert_allclose(solution, x, rtol=1e-8, atol=0)
    assert not solve_positive(-a, a @ x)[1].any()


def rosenbrock(x, rows):
    head, tail = x[:, :-1], x[:, 1:]
    gap = tail - head**2
    value = (100 * gap**2 + (1 - head) ** 2).sum(1)
    gradient = np.zeros_like(x)
    gradient[:, :-1] = -400 * head * gap - 2 * (1 - head)
    gradient[:, 1:] += 200 * gap
    return value, gradient


def test_lbfgs_reaches_the_minimum_of_every_row_and_never_rises():
    start = np.random.default_rng(2).uniform(-2, 2, (7, 6))
    x, value = minimise(rosenbrock, start, iterations=300)
    # a second stationary point exists for n >= 4, value about 4
    assert ((np.abs(x - 1).max(1) < 1e-4) | (np.abs(value - 3.9866) < 0.02)).all()
    previous = rosenbrock(start, np.arange(7))[0]
    for iterations in (1, 3, 10, 30):
        _, value = minimise(rosenbrock, start, iterations=iterations)
        assert (value <= previous + 1e-12).all()
        previous = value


def test_lbfgs_rows_are_independent():
    start = np.random.default_rng(3).uniform(-2, 2, (5, 4))
    together, _ = minimise(rosenbrock, start, iterations=40)
    alone = np.concatenate([minimise(rosenbrock, start[i : i + 1], iterations=40)[0] for i in range(5)])
    np.testing.assert_allclose(together, alone, rtol=1e-9, atol=1e-12)


def test_lbfgs_survives_a_stationary_or_broken_start():
    x, value = minimise(lambda x, rows: (np.zeros(len(x)), np.zeros_like(x)), np.ones((2, 3)), iterations=5)
    assert (x == 1).all() and (value == 0).all()
    x, _ = minimise(lambda x, rows: (np.full(len(x), np.nan), x), np.ones((2, 3)), iterations=5)
    assert (x == 1).all()


@pytest.mark.parametrize("reference", [True, False])
def test_gaussian_phases_of_a_rank_one_matrix_return_its_phases(reference):
    rng = np.random.default_rng(4)
    v = np.exp(2j * np.pi * rng.random(9))
    candidates = gaussian_phases(np.outer(v, v.conj()), 20, rng, reference)
    np.testing.assert_allclose(np.abs(candidates), 1.0, atol=1e-12)
    goal = v[:-1] / v[-1] if reference else v
    np.testing.assert_allclose(abs2(candidates @ goal.conj()), len(goal) ** 2, rtol=1e-9)


def test_gaussian_phases_follow_the_covariance():
    rng = np.random.default_rng(5)
    v = np.exp(2j * np.pi * rng.random(4))
    matrix = 0.8 * np.outer(v, v.conj()) + 0.2 * np.eye(4)
    mean = gaussian_phases(matrix, 20000, rng, True).mean(0)
    np.testing.assert_allclose(np.angle(mean), np.angle(v[:-1] / v[-1]), atol=0.05)
