"""Steering vectors and directions, against their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from ris_gym import geometry


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("spacing", [0.5, 0.3])
def test_steering_vector(sign: int, spacing: float) -> None:
    u = np.array([[-1.0, 0.3], [0.0, 0.9]])
    a = geometry.steering_vector(5, u, spacing, sign)
    assert a.shape == (2, 2, 5) and a.dtype == np.complex128
    for i in range(5):
        assert np.allclose(a[..., i], np.exp(sign * 2j * np.pi * spacing * i * u))
    assert np.allclose(np.abs(a), 1.0) and np.all(a[..., 0] == 1.0)
    assert np.allclose(geometry.steering_vector(5, u, spacing, -sign), a.conj())
    assert geometry.steering_vector(4, 0.2).shape == (4,)


def test_centred_steering_vector() -> None:
    a = geometry.steering_vector(6, 0.4, centred=True)
    assert np.allclose(a, geometry.steering_vector(6, 0.4) * np.exp(-1j * np.pi * 0.4 * 2.5))
    assert np.allclose(a, a[::-1].conj())


def test_orthogonal_directions() -> None:
    """Half-wavelength elements: directions 2 / N apart are orthogonal."""
    n = 8
    a = geometry.steering_vector(n, -1.0 + 2.0 * np.arange(n) / n)
    assert np.allclose(a @ a.conj().T, n * np.eye(n), atol=1e-12)


def test_planar_steering_vector() -> None:
    u, w = np.array([0.2, -0.7]), np.array([0.5, 0.1])
    a = geometry.planar_steering_vector((3, 4), u, w, sign=-1)
    assert a.shape == (2, 12)
    for b in range(2):
        rows, columns = geometry.steering_vector(3, u[b], sign=-1), geometry.steering_vector(4, w[b], sign=-1)
        assert np.allclose(a[b], np.kron(rows, columns)), "the columns' index runs fastest"


def test_near_field_tends_to_the_far_field() -> None:
    wavelength = 0.01
    elements = np.stack([np.arange(16) * wavelength / 2, np.zeros(16)], axis=-1)
    angles = np.deg2rad([-50.0, 0.0, 30.0])
    toward = np.stack([np.sin(angles), np.cos(angles)], axis=-1)
    far = geometry.near_field_vector(elements, 1e5 * toward, wavelength)
    assert np.allclose(far, geometry.steering_vector(16, np.sin(angles)), atol=1e-5)
    near = geometry.near_field_vector(elements, 0.1 * toward, wavelength)
    r = np.linalg.norm(0.1 * toward[2] - elements, axis=-1)
    assert np.allclose(near[2], np.exp(-2j * np.pi * (r - r[0]) / wavelength))
    assert not np.allclose(near, far, atol=0.1)
    assert np.allclose(geometry.near_field_vector(elements, toward, wavelength, sign=1).conj(), geometry.near_field_vector(
        elements, toward, wavelength))  # fmt: skip


def test_distance_and_direction() -> None:
    a, b = np.array([40.0, 10.0]), np.array([[45.0, 0.0], [0.0, 0.0]])
    assert np.allclose(geometry.distance(a, b), [np.sqrt(125.0), np.sqrt(1700.0)])
    assert np.allclose(geometry.direction_cosine(a, b, 0), [5 / np.sqrt(125.0), -40 / np.sqrt(1700.0)])
    assert np.allclose(geometry.direction_cosine(a, b, 1), [-10 / np.sqrt(125.0), -10 / np.sqrt(1700.0)])
    assert np.rad2deg(np.arcsin(geometry.direction_cosine(a, b, 0)[0])) == pytest.approx(26.6, abs=0.05)
    both = [geometry.direction_cosine(a, b, axis) for axis in (0, 1)]
    assert np.allclose(both[0] ** 2 + both[1] ** 2, 1.0)


def test_disc_is_uniform() -> None:
    points = geometry.disc(np.random.default_rng(0).random((40_000, 2)), np.array([3.0, -1.0]), 2.0)
    away = points - np.array([3.0, -1.0])
    r = np.linalg.norm(away, axis=1)
    assert r.max() <= 2.0 and np.allclose(away.mean(axis=0), 0.0, atol=0.03)
    assert np.mean(r <= 1.0) == pytest.approx(0.25, abs=0.01) and np.allclose(np.cov(away.T), np.eye(2), atol=0.03)
    assert np.all(geometry.disc(np.random.default_rng(0).random((5, 2)), np.array([3.0, -1.0]), 0.0) == [3.0, -1.0])
