from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from agents import stats


def test_interval_matches_the_normal_theory() -> None:
    values = np.random.default_rng(0).normal(3.0, 2.0, 400)
    found = stats.estimate(values)
    half = 1.96 * values.std() / np.sqrt(400)
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.04)
    assert found.high == pytest.approx(values.mean() + half, abs=0.04)


def test_iqm_is_the_mean_of_the_middle_half() -> None:
    values = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 1000.0])
    assert stats.estimate(values, iqm=True).value == pytest.approx(3.5)
    assert stats.interquartile_mean(values) == pytest.approx(scipy_stats.trim_mean(values, 0.25))


def test_pairing_removes_the_common_part() -> None:
    rng = np.random.default_rng(1)
    scene = rng.normal(0.0, 10.0, 100)
    first, second = scene + 0.5 + 0.01 * rng.normal(size=100), scene
    found = stats.paired_difference(first, second)
    assert 0.49 < found.low < found.high < 0.51


@pytest.mark.parametrize("values", [[], [np.nan], [2.0], [2.0, 2.0, 2.0]])
def test_degenerate_samples(values: list[float]) -> None:
    found = stats.estimate(np.array(values))
    finite = [v for v in values if np.isfinite(v)]
    assert found.count == len(finite)
    assert (found.value == found.low == found.high == 2.0) if finite else (np.isnan(found.value) and found.text() == "-")


def test_equal_seeds_give_equal_intervals() -> None:
    values = np.random.default_rng(2).normal(size=30)
    assert stats.estimate(values) == stats.estimate(values)
