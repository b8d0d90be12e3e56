"""Estimates against hand computation, brute force and simulation: an interval that claims 95 % is put to the test."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from agents import stats

MATRICES = st.integers(0, 10_000).map(np.random.default_rng)


def test_interval_matches_the_normal_theory() -> None:
    values = np.random.default_rng(0).normal(3.0, 2.0, 400)
    found = stats.estimate(values)
    half = 1.96 * values.std() / np.sqrt(400)
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.04)
    assert found.high == pytest.approx(values.mean() + half, abs=0.04)


def test_one_run_is_scipys_bootstrap() -> None:
    values = np.random.default_rng(3).exponential(size=60)
    for iqm, statistic in ((False, np.mean), (True, lambda x, axis: scipy_stats.trim_mean(x, 0.25, axis=axis))):
        result = scipy_stats.bootstrap((values,), statistic, n_resamples=2000, method="percentile", rng=np.random.default_rng(0))
        found = stats.estimate(values, iqm=iqm)
        assert (found.low, found.high) == pytest.approx(tuple(result.confidence_interval), rel=0.02)


def test_iqm_is_the_mean_of_the_middle_half() -> None:
    values = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 1000.0])
    assert stats.estimate(values, iqm=True).value == pytest.approx(3.5)
    assert stats.interquartile_mean(np.array([np.nan, 9.0, 1.0, 2.0, 3.0, np.nan])) == pytest.approx(2.5)  # of 1, 2, 3, 9
    assert np.isnan(stats.interquartile_mean(np.array([np.nan])))


@given(rng=MATRICES, count=st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_iqm_is_scipys_trimmed_mean(rng: np.random.Generator, count: int) -> None:
    values = rng.standard_cauchy((3, count))
    np.testing.assert_allclose(stats.interquartile_mean(values), scipy_stats.trim_mean(values, 0.25, axis=1), rtol=1e-12)
    np.testing.assert_allclose(stats.interquartile_mean(values, axis=0), scipy_stats.trim_mean(values, 0.25, axis=0), rtol=1e-12)


def test_iqm_of_several_runs_is_over_all_their_scores() -> None:
    matrix = np.random.default_rng(4).normal(size=(5, 30))
    assert stats.estimate(matrix, iqm=True).value == pytest.approx(scipy_stats.trim_mean(matrix.ravel(), 0.25))


@given(rng=MATRICES, runs=st.integers(1, 4), others=st.integers(1, 4), scenes=st.integers(1, 12))
@settings(max_examples=40, deadline=None)
def test_probability_of_improvement_by_brute_force(rng: np.random.Generator, runs: int, others: int, scenes: int) -> None:
    x, y = rng.integers(0, 4, (runs, scenes)).astype(float), rng.integers(0, 4, (others, scenes)).astype(float)
    wins = [
        1.0 if x[i, s] > y[j, s] else 0.5 if x[i, s] == y[j, s] else 0.0
        for i, j, s in itertools.product(range(runs), range(others), range(scenes))
    ]
    found = stats.probability_of_improvement(x, y, resamples=50)
    assert found.value == pytest.approx(np.mean(wins)) and found.count == scenes
    assert 0.0 <= found.low <= found.high <= 1.0
    turned = stats.probability_of_improvement(y, x, resamples=50)
    assert turned.value == pytest.approx(1.0 - found.value)


def test_probability_of_improvement_is_mann_whitney_per_scene() -> None:
    rng = np.random.default_rng(6)
    x, y = rng.normal(0.3, 1.0, (6, 9)), rng.normal(0.0, 1.0, (4, 9))
    per_scene = [scipy_stats.mannwhitneyu(x[:, s], y[:, s]).statistic / 24 for s in range(9)]
    assert stats.probability_of_improvement(x, y).value == pytest.approx(np.mean(per_scene))


def test_the_same_winner_everywhere_is_not_certain() -> None:
    scores = np.random.default_rng(0).normal(size=32)
    exact = scipy_stats.binomtest(32, 32).proportion_ci(0.95)
    better, worse = (stats.probability_of_improvement(scores + step, scores) for step in (1.0, -1.0))
    assert (better.value, better.low, better.high) == pytest.approx((1.0, exact.low, 1.0))
    assert (worse.value, worse.low, worse.high) == pytest.approx((0.0, 0.0, 1.0 - exact.low))


def test_rounding_is_a_tie() -> None:
    scores = np.random.default_rng(0).normal(size=20)
    found = stats.probability_of_improvement(scores * (1.0 + 1e-15), scores)
    assert found == stats.Estimate(0.5, 0.5, 0.5, 20)


def test_pairing_removes_the_common_part() -> None:
    rng = np.random.default_rng(1)
    scene = rng.normal(0.0, 10.0, 100)
    first, second = scene + 0.5 + 0.01 * rng.normal(size=100), scene
    for found in (stats.paired_difference(first, second), stats.difference(first, second), stats.paired_gap(first, second)):
        assert 0.49 < found.low < found.high < 0.51
    paired = stats.difference(first, second, iqm=True)
    assert paired.value == pytest.approx(scipy_stats.trim_mean(first, 0.25) - scipy_stats.trim_mean(second, 0.25))
    unpaired = stats.difference(rng.permutation(first), second, iqm=True)
    assert paired.high - paired.low < 0.05 < 1.0 < unpaired.high - unpaired.low


def test_difference_is_the_paired_one_for_single_runs() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=50), rng.normal(size=50)
    assert stats.difference(first, second).value == pytest.approx(stats.paired_difference(first, second).value)
    assert stats.difference(first, second).low == pytest.approx(stats.paired_difference(first, second).low)


def test_runs_widen_the_interval_and_scenes_alone_do_not_tell() -> None:
    rng = np.random.default_rng(5)
    scene, recipe = rng.normal(size=100), np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    both = stats.difference(scene + recipe[:, None], scene)
    assert both.value == pytest.approx(0.0, abs=1e-12) and both.high - both.low > 0.9
    # the crossed bootstrap of a difference that only runs have is the bootstrap of the runs' means
    alone = stats.estimate(recipe)
    assert (both.low, both.high) == pytest.approx((alone.low, alone.high), abs=0.11)


Draw = Callable[[np.random.Generator], tuple[np.ndarray, ...]]


def crossed(runs: int, scenes: int, run: float, scene: float, noise: float) -> Draw:
    """Scores with effects of run, scene and both; two recipes that share the scenes and have equal truth."""

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        common = scene * rng.normal(size=(1, scenes))
        one = run * rng.normal(size=(runs, 1)) + common + noise * rng.normal(size=(runs, scenes))
        return one, common + noise * rng.normal(size=(1, scenes))

    return draw


def coverage(draw: Draw, interval: Callable[..., stats.Estimate], truth: float, repeats: int = 250) -> float:
    rng = np.random.default_rng(11)
    found = [interval(*draw(rng)) for _ in range(repeats)]
    return float(np.mean([estimate.low <= truth <= estimate.high for estimate in found]))


# 250 repeats: standard error 1.4 %. 5 runs whose own differences dominate: theory P(|t_4| < 1.96 sqrt(4 / 5)) = 84.5 %.
CASES: list[tuple[str, Draw, tuple[float, float]]] = [
    ("one run", crossed(1, 60, 0.0, 1.0, 0.5), (0.90, 0.985)),
    ("five runs, alike", crossed(5, 60, 0.05, 1.0, 0.3), (0.91, 0.99)),
    ("five runs, unlike", crossed(5, 60, 1.0, 0.3, 0.1), (0.77, 0.90)),
]


@pytest.mark.parametrize(("draw", "within"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
@pytest.mark.parametrize("iqm", [False, True])
def test_coverage_of_levels(draw: Draw, within: tuple[float, float], iqm: bool) -> None:
    found = coverage(draw, lambda x, y: stats.estimate(x, iqm=iqm, resamples=300), 0.0)
    assert within[0] <= found <= within[1]


@pytest.mark.parametrize("iqm", [False, True])
@pytest.mark.parametrize("runs", [1, 5])
def test_coverage_of_differences(runs: int, iqm: bool) -> None:
    draw = crossed(runs, 60, 0.0, 2.0, 0.5)
    assert 0.90 <= coverage(draw, lambda x, y: stats.difference(x, y, iqm=iqm, resamples=300), 0.0) <= 1.0


def test_coverage_of_the_probability_of_improvement() -> None:
    """Score differences N(0.5, 1) over scenes: P(X > Y) = Phi(0.5)."""

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        common = 3.0 * rng.normal(size=80)
        return common + rng.normal(0.5, 1.0, 80), common

    truth = float(scipy_stats.norm.cdf(0.5))
    found = coverage(draw, lambda x, y: stats.probability_of_improvement(x, y, resamples=300), truth)
    assert 0.90 <= found <= 0.985


@pytest.mark.parametrize("values", [[], [np.nan], [2.0], [2.0, 2.0, 2.0], [[2.0], [2.0]], [[np.nan, 2.0], [np.nan, np.nan]]])
def test_degenerate_samples(values: list[float]) -> None:
    found = stats.estimate(np.array(values))
    finite = np.array(values)[np.isfinite(np.array(values))]
    if finite.size:
        assert found.value == found.low == found.high == 2.0
    else:
        assert np.isnan(found.value) and found.text() == "-" and found.count == 0
    nothing = stats.difference(np.array(values, float), np.full_like(np.array(values, float), np.nan))
    assert nothing.count == 0 and np.isnan(nothing.value)


def test_scenes_that_a_run_does_not_serve_are_left_out() -> None:
    matrix = np.array([[1.0, 2.0, np.nan, np.nan], [3.0, np.nan, np.nan, np.nan], [np.nan] * 4])
    found = stats.estimate(matrix)
    assert found.value == pytest.approx(2.0) and found.count == 2
    assert np.isfinite([found.low, found.high]).all()
    gap = stats.paired_gap(matrix, np.array([0.0, np.nan, 1.0, 1.0]))
    assert gap.value == pytest.approx(2.0) and gap.count == 1
    assert stats.probability_of_improvement(matrix, np.array([2.0, 1.0, 0.0, np.nan])).value == pytest.approx(2.0 / 3.0)


def test_other_scenes_are_refused() -> None:
    for function in (stats.difference, stats.paired_gap, stats.probability_of_improvement):
        with pytest.raises(ValueError, match="same scenes, got 3 and 4"):
            function(np.zeros((2, 3)), np.zeros(4))


def test_text_and_equal_seeds() -> None:
    values = np.random.default_rng(2).normal(size=30)
    assert stats.estimate(values) == stats.estimate(values)
    assert stats.Estimate(0.1234, -0.05, 0.3, 9).text(2) == "0.12 [-0.05, 0.30]"
    assert stats.Estimate(0.1234, -0.05, 0.3, 9).text(2, sign=True) == "+0.12 [-0.05, +0.30]"
