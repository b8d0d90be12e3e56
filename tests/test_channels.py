"""Path loss, Rician weights, Gaussian draws, Gauss-Markov fading and estimation errors."""

from __future__ import annotations

import numpy as np
import pytest

from ris_gym import channels

MANY = 60_000


def test_path_amplitude() -> None:
    assert channels.path_amplitude(1.0, 2.2, 30.0) ** 2 == pytest.approx(1e-3)
    assert np.allclose(20 * np.log10(channels.path_amplitude(np.array([10.0, 100.0]), 3.5, 30.0)), [-65.0, -100.0])


@pytest.mark.parametrize("db", [-300.0, -3.0103, 0.0, 10.0, 300.0])
def test_rician_weights(db: float) -> None:
    los, scattered = channels.rician_weights(db)
    assert los**2 + scattered**2 == pytest.approx(1.0)
    if abs(db) < 100:
        assert 10 * np.log10(los**2 / scattered**2) == pytest.approx(db)


@pytest.mark.parametrize(("real", "complex_"), [(np.float64, np.complex128), (np.float32, np.complex64)])
def test_draw_is_circular_with_unit_variance(real: type, complex_: type) -> None:
    z = channels.draw(np.random.default_rng(0), (MANY, 3), real)
    assert z.dtype == complex_ and z.shape == (MANY, 3)
    assert np.allclose(np.mean(np.abs(z) ** 2, axis=0), 1.0, atol=0.02)
    assert np.all(np.abs(np.mean(z, axis=0)) < 0.015) and np.all(np.abs(np.mean(z**2, axis=0)) < 0.02)
    cross = np.mean(z[:, 0] * z[:, 1].conj())
    assert abs(cross) < 0.015 and np.mean(np.abs(z) ** 4) == pytest.approx(2.0, rel=0.05)


def test_complex_normals_views_its_block() -> None:
    block = np.arange(6.0)
    assert np.allclose(channels.complex_normals(block), np.array([0 + 1j, 2 + 3j, 4 + 5j]) * np.sqrt(0.5))
    assert channels.complex_normals(np.ones(4, np.float32)).dtype == np.complex64


def test_rms() -> None:
    x = np.array([[[3 + 4j, 0], [0, 0]]])
    assert channels.rms(x, (1, 2)).shape == (1, 1, 1) and channels.rms(x, (1, 2)).item() == pytest.approx(2.5)
    assert np.allclose(channels.rms(x, (2,))[0, :, 0], [5 / np.sqrt(2), 0])


@pytest.mark.parametrize("with_los", [False, True])
@pytest.mark.parametrize("r", [0.0, 0.6, 0.95])
def test_evolve(r: float, with_los: bool) -> None:
    """`E[X' X^*] = r s^2` of the scattered part, the stationary power s^2 for every r, and the mean stays."""
    rng = np.random.default_rng(1)
    scale = np.array([0.5, 2.0])
    los = np.broadcast_to(np.array([1 - 1j, 3j]), (MANY, 2)) if with_los else None
    start = scale * channels.draw(rng, (MANY, 2)) + (0 if los is None else los)
    after = channels.evolve(rng, start, los, scale, r)
    mean = 0 if los is None else los[0]
    before, now = (start - mean) / scale, (after - mean) / scale
    assert np.allclose(np.mean(now * before.conj(), axis=0), r, atol=0.02)
    assert np.allclose(np.mean(np.abs(now) ** 2, axis=0), 1.0, atol=0.02)
    assert np.allclose(np.mean(after, axis=0), mean, atol=0.04)
    for _ in range(3):
        after = channels.evolve(rng, after, los, scale, r)
    assert np.allclose(np.mean((after - mean) / scale * before.conj(), axis=0), r**4, atol=0.02)
    assert np.allclose(np.mean(np.abs((after - mean) / scale) ** 2, axis=0), 1.0, atol=0.02)


def test_evolve_limits_and_precision() -> None:
    rng = np.random.default_rng(2)
    x = channels.draw(rng, (3, 4))
    assert np.array_equal(channels.evolve(rng, x, None, np.ones(4), 1.0), x)
    single = x.astype(np.complex64)
    assert channels.evolve(rng, single, single, np.ones(4, np.float32), 0.9).dtype == np.complex64
    assert np.array_equal(channels.evolve(rng, x, x, np.zeros(4), 0.3), x)


@pytest.mark.parametrize("error", [0.01, 0.3])
def test_estimate(error: float) -> None:
    """Error variance e^2 rms^2, the rms of each link of each scene."""
    rng = np.random.default_rng(3)
    x = channels.draw(rng, (4000, 2, 16)) * np.array([1.0, 10.0])[:, None]
    per_user = channels.estimate(rng, x, error, (2,)) - x
    ratio = np.linalg.norm(per_user, axis=2) / np.linalg.norm(x, axis=2)
    assert np.allclose(np.mean(ratio**2, axis=0), error**2, rtol=0.03)
    whole = channels.estimate(rng, x, error, (1, 2)) - x
    both = np.mean(np.abs(whole) ** 2, axis=(0, 2))
    assert both[0] == pytest.approx(both[1], rel=0.05), "one rms for both users"
    assert np.abs(np.mean(per_user[:, 0] * x[:, 0].conj())) < 0.01 * error, "independent of the truth"
    assert channels.estimate(rng, x.astype(np.complex64), error, (2,)).dtype == np.complex64
