"""Gaussian randomisation of a relaxed unit-modulus quadratic program."""

from __future__ import annotations

import numpy as np

from baselines.tools.linalg import Array, ComplexArray, abs2


def square_root(covariance: ComplexArray) -> ComplexArray:
    """A factor U Lambda^(1/2) (n, r) of a Hermitian PSD matrix, eigenvalues below 1e-10 of the largest dropped."""
    values, vectors = np.linalg.eigh(covariance)
    keep = values > 1e-10 * max(values[-1], 1e-300)
    return vectors[:, keep] * np.sqrt(values[keep])


def complex_normal(generator: np.random.Generator, shape: tuple[int, ...]) -> ComplexArray:
    """Circular complex Gaussian numbers of unit variance."""
    x: Array = generator.standard_normal((*shape, 2))
    return x.view(complex)[..., 0] * np.sqrt(0.5)


def gaussian_phases(covariance: ComplexArray, draws: int, generator: np.random.Generator, reference: bool) -> ComplexArray:
    """Candidates v = exp(j arg(c_{1..N} / c_{N+1})), c ~ CN(0, V).

    Args:
        covariance: (n, n) Hermitian PSD, n = N + 1 with `reference`, else N.
        draws: number of candidates.
        generator: source of randomness.
        reference: divide by the last entry and leave it out.

    Returns:
        (draws, N), unit modulus.
    """
    factor = square_root(covariance)
    c = complex_normal(generator, (draws, factor.shape[1])) @ factor.T
    if reference:
        c = c[:, :-1] * c[:, -1:].conj()
    size = np.sqrt(abs2(c))
    return np.asarray(np.where(size > 0, c, 1.0) / np.where(size > 0, size, 1.0), dtype=complex)
