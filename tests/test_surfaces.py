"""Exact projections onto the coefficient sets of surfaces."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ris_gym import surfaces

EXTREME = [0j, 1e200 + 1e200j, 1e-200j, 5e-324 + 0j, -1 + 0j, 1.7e308 + 1j]
NUMBERS = st.lists(st.one_of(st.complex_numbers(max_magnitude=10), st.sampled_from(EXTREME)), min_size=1, max_size=8)


def coefficients(seed: int, *shape: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 2.0 * (rng.standard_normal(shape) + 1j * rng.standard_normal(shape))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(NUMBERS)
def test_unit_modulus(values: list[complex]) -> None:
    c = np.array(values)
    v = surfaces.unit_modulus(c)
    assert np.max(np.abs(np.abs(v) - 1.0)) <= 1e-15 * 4
    normal = np.maximum(np.abs(c.real), np.abs(c.imag)) >= np.finfo(float).tiny
    assert np.allclose(v[normal], np.exp(1j * np.angle(c[normal])), atol=1e-14)
    assert np.all(v[~normal] == 1.0)
    assert np.allclose(surfaces.unit_modulus(v), v, rtol=0, atol=1e-15)


def test_unit_modulus_keeps_units() -> None:
    v = np.exp(1j * np.linspace(0, 6, 1000))
    assert np.array_equal(surfaces.unit_modulus(surfaces.unit_modulus(v)), surfaces.unit_modulus(v))
    single = surfaces.unit_modulus(np.array([1e30 + 1e30j, 1e-30, 0], np.complex64))
    assert single.dtype == np.complex64 and np.allclose(single, [np.exp(0.25j * np.pi), 1, 1], atol=1e-6)


@pytest.mark.parametrize("levels", [2, 4, 8, 3])
def test_discrete_phase_is_the_nearest(levels: int) -> None:
    c = coefficients(0, 500)
    v = surfaces.discrete_phase(c, levels)
    alphabet = np.exp(2j * np.pi * np.arange(levels) / levels)
    assert np.max(np.min(np.abs(v[:, None] - alphabet), axis=1)) < 1e-12
    unit = c / np.abs(c)
    assert np.allclose(np.abs(v - unit), np.min(np.abs(unit[:, None] - alphabet), axis=1), atol=1e-12)
    assert np.allclose(surfaces.discrete_phase(v, levels), v, atol=1e-14)
    assert np.allclose(surfaces.discrete_phase(c, None), unit)


def test_quantise_phase_halves_go_up() -> None:
    assert np.allclose(surfaces.quantise_phase(np.array([np.pi / 2, -np.pi / 2]), 2), [np.pi, 0.0])
    x = np.array([0.3])
    assert surfaces.quantise_phase(x, None) is x


def test_cap_amplitude() -> None:
    c = np.concatenate([coefficients(1, 200), [0.0]])
    v = surfaces.cap_amplitude(c, 1.5, 0.5)
    assert np.allclose(np.abs(v), np.clip(np.abs(c), 0.5, 1.5)) and np.allclose(np.angle(v[:-1]), np.angle(c[:-1]))
    assert v[-1] == 0.5
    inside = (np.abs(c) > 0.5) & (np.abs(c) < 1.5)
    assert np.array_equal(v[inside], c[inside]), "what is feasible stays as it is"
    assert np.allclose(surfaces.cap_amplitude(v, 1.5, 0.5), v, atol=1e-15)


@pytest.mark.parametrize("equality", [False, True])
def test_share_cap(equality: bool) -> None:
    c = coefficients(2, 10, 2, 6)
    c[0, :, 0] = 0.0
    c[1] *= 0.01
    v = surfaces.share_cap(c, 1.0, equality)
    total = np.sum(np.abs(v) ** 2, axis=1)
    before = np.sum(np.abs(c) ** 2, axis=1)
    if equality:
        assert np.allclose(total, 1.0) and np.allclose(v[0, :, 0], np.sqrt(0.5))
    else:
        assert np.allclose(total, np.minimum(before, 1.0)) and np.array_equal(v[1], c[1])
    ratio = np.abs(v[2:, 0]) / np.abs(v[2:, 1])
    assert np.allclose(ratio, np.abs(c[2:, 0]) / np.abs(c[2:, 1])), "the split stays"
    assert np.allclose(surfaces.share_cap(v, 1.0, equality), v, atol=1e-15)


def test_one_side() -> None:
    c = coefficients(3, 10, 2, 6)
    c[0, 1, 0] = c[0, 0, 0]
    v = surfaces.one_side(c)
    assert np.all(np.sum(v != 0, axis=1) == 1)
    larger = np.abs(c[:, 0]) >= np.abs(c[:, 1])
    assert np.array_equal(v[:, 0][larger], c[:, 0][larger]) and np.array_equal(v[:, 1][~larger], c[:, 1][~larger])
    assert v[0, 0, 0] == c[0, 0, 0] and np.array_equal(surfaces.one_side(v), v)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (surfaces.unit_modulus, ()),
        (surfaces.discrete_phase, (4,)),
        (surfaces.cap_amplitude, (1.5, 0.5)),
        (surfaces.share_cap, (1.0, True)),
        (surfaces.share_cap, (1.0,)),
        (surfaces.one_side, ()),
    ],
)
def test_numpy_equals_torch(function: Any, arguments: tuple) -> None:
    import torch

    c = coefficients(4, 5, 2, 6)
    c[0, :, 0] = 0.0
    ours, theirs = function(c, *arguments), function(torch.as_tensor(c), *arguments)
    assert np.allclose(theirs.numpy(), ours, atol=1e-14)
    tensor = torch.tensor(c, requires_grad=True)
    torch.view_as_real(function(tensor, *arguments)).sum().backward()
    assert tensor.grad is None or torch.isfinite(torch.view_as_real(tensor.grad)).all()
