"""Hermitian matrices in batches: a real basis, eigenvalues that never raise."""

from __future__ import annotations

from functools import cache

import numpy as np

from baselines.tools.linalg import Array, ComplexArray, herm


@cache
def hermitian_basis(n: int) -> ComplexArray:
    """Orthonormal real basis of the Hermitian n x n matrices, the diagonal ones first, (n^2, n, n)."""
    basis = np.zeros((n * n, n, n), complex)
    basis[np.arange(n), np.arange(n), np.arange(n)] = 1.0
    count, half = n, np.sqrt(0.5)
    for i in range(n):
        for j in range(i + 1, n):
            basis[count, i, j] = basis[count, j, i] = half
            basis[count + 1, i, j], basis[count + 1, j, i] = 1j * half, -1j * half
            count += 2
    basis.setflags(write=False)
    return basis


def eigh(x: ComplexArray) -> tuple[Array, ComplexArray]:
    """Eigenvalues (B, n) and vectors (B, n, n) of Hermitian matrices; eigenvalue -1 for matrices that are not finite."""
    sound = np.isfinite(x.sum((-2, -1)))
    if sound.all():
        w, q = np.linalg.eigh(x)
        return w, q
    w, q = np.linalg.eigh(np.where(sound[:, None, None], x, -np.eye(x.shape[-1])))
    return w, q


def traces(a: ComplexArray, b: ComplexArray) -> Array:
    """tr(A B) (...,) for Hermitian A, B (..., n, n)."""
    return np.asarray((a * np.swapaxes(b, -1, -2)).sum((-2, -1)).real)


def inverse_roots(x: ComplexArray) -> ComplexArray:
    """X^(-1/2) of positive definite matrices (B, n, n), eigenvalues from 1e-300 up."""
    w, q = eigh(x)
    return (q / np.sqrt(np.maximum(w, 1e-300))[:, None, :]) @ herm(q)
