"""Batched linear algebra that never raises: one LAPACK call per matrix, a flag instead of an exception."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

Array = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]


def herm(x: NDArray) -> NDArray:
    """Conjugate transpose of the last two axes."""
    return np.conj(np.swapaxes(x, -1, -2))


def abs2(x: NDArray) -> Array:
    """Squared modulus, elementwise."""
    return x.real**2 + x.imag**2


def is_positive_definite(matrices: ComplexArray) -> NDArray[np.bool_]:
    """Cholesky test of Hermitian matrices (B, n, n) -> (B,); False for non-finite ones."""
    out = np.asarray(np.isfinite(matrices.sum((1, 2))))
    for i in np.flatnonzero(out):
        out[i] = lapack.zpotrf(matrices[i].T, lower=0, clean=0)[1] == 0
    return out


def inverse_positive(matrices: ComplexArray) -> tuple[ComplexArray, NDArray[np.bool_]]:
    """Inverses of Hermitian positive definite matrices.

    Args:
        matrices: (B, n, n).

    Returns:
        (B, n, n) inverses (zero where the factorisation failed) and flags (B,).
    """
    out = np.zeros_like(matrices)
    good = np.zeros(len(matrices), bool)
    for i in np.flatnonzero(np.isfinite(matrices.sum((1, 2)))):
        factor, info = lapack.zpotrf(matrices[i].T, lower=0, clean=0)
        if info == 0:
            inverse, info = lapack.zpotri(factor, lower=0, overwrite_c=1)
            if info == 0:
                out[i] = inverse.T
                good[i] = True
    lower = np.tril(out, -1)
    diagonal = np.diagonal(out, axis1=-2, axis2=-1).real.copy()
    inverse_full = lower + herm(lower)
    index = np.arange(matrices.shape[-1])
    inverse_full[:, index, index] = diagonal
    return inverse_full, good


def solve_positive(matrices: Array, rhs: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Solve symmetric positive definite systems, scaled by their diagonal, with iterative refinement.

    Args:
        matrices: (B, n, n) real.
        rhs: (B, n, m) real.

    Returns:
        Solutions (B, n, m) (zero where the matrix is not positive definite even with a tiny ridge), flags (B,).
    """
    diagonal = np.diagonal(matrices, axis1=-2, axis2=-1)
    sound = np.asarray((diagonal > 0).all(1) & np.isfinite(matrices).all((1, 2)) & np.isfinite(rhs).all((1, 2)))
    scale = 1.0 / np.sqrt(np.where(sound[:, None], diagonal, 1.0))
    scaled = matrices * scale[:, :, None] * scale[:, None, :]
    right = rhs * scale[:, :, None]
    out = np.zeros_like(right)
    good = np.zeros(len(matrices), bool)
    for i in np.flatnonzero(sound):
        matrix = scaled[i]
        for ridge in (0.0, 1e-14, 1e-13, 1e-12, 1e-10):
            factor, info = lapack.dpotrf(matrix if ridge == 0.0 else matrix + ridge * np.eye(len(matrix)), lower=1)
            if info == 0:
                x = lapack.dpotrs(factor, right[i], lower=1)[0]
                for _ in range(1 if ridge == 0.0 else 6):
                    x += lapack.dpotrs(factor, right[i] - matrix @ x, lower=1)[0]
                out[i] = x
                good[i] = True
                break
    return out * scale[:, :, None], good
