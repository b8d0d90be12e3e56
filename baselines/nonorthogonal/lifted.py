"""The semidefinite bound of `nonorthogonal`: a batched splitting method whose dual point is turned into a certificate.

    min V(X)   s.t.   X >= 0,   X_ll = 1,   X_ij in the hull of the alphabet (the PSK cuts)

V (`BlockForms`) is convex and depends on X by a few inner products. Three-operator splitting (Davis and Yin 2017): projections on
the cone and on the hull, and the gradient of V. The residual of the second projection is a dual point, the Z that `certificate`
asks for; the bound never relies on convergence.

Source: ours; model page, section 8 (system of arXiv 2208.05324).
"""

from __future__ import annotations

import numpy as np

from baselines.nonorthogonal.block_forms import BlockForms, certificate
from baselines.tools.linalg import Array, ComplexArray, herm

STEP = 4.0
"""L^2 over the step."""
OVER = 1.0
"""Over-relaxation."""
CHECK = 20
"""Iterations between certificates."""
CHUNK = 64
"""BlockForms worked on at a time (bounds the memory; results do not depend on it)."""


def hull_projection(x: ComplexArray, levels: int | None) -> ComplexArray:
    """Nearest points of the hull of the alphabet, entrywise (continuous phases: x itself); diagonals of (N, L, L) become 1."""
    out: ComplexArray = x.copy()
    if levels == 2:
        out = (np.clip(x.real, -1.0, 1.0) + 0j).astype(complex)
    elif levels is not None:
        delta = 2.0 * np.pi / levels
        turn = np.exp(1j * delta * (np.floor(np.angle(x) / delta) + 0.5))
        seen = x * turn.conj()
        side = np.clip(seen.imag, -np.sin(0.5 * delta), np.sin(0.5 * delta))
        out = np.where(seen.real > np.cos(0.5 * delta), (np.cos(0.5 * delta) + 1j * side) * turn, x)
    index = np.arange(x.shape[-1])
    out[:, index, index] = 1.0
    return out


def cone_projection(x: ComplexArray) -> ComplexArray:
    """Nearest positive semidefinite matrices of Hermitian (N, L, L)."""
    values, vectors = np.linalg.eigh(x)
    return (vectors * np.maximum(values, 0.0)[:, None, :]) @ herm(vectors)


def tangent(blocks: BlockForms, x: ComplexArray) -> tuple[Array, Array]:
    """w (N,) and P (N, 2, 2) of the gradient -C of V at X, tr(C X) = 1."""
    s, j = blocks.forms(x)
    length = x.shape[-1]
    s = np.maximum(s, 1e-3 * length)
    ridge = 1e-9 * np.trace(j, axis1=1, axis2=2)[:, None, None] * np.eye(2)
    inverse = np.linalg.inv(j + ridge)
    trace = np.trace(inverse, axis1=1, axis2=2)
    return blocks.weight / s, ((1.0 - blocks.weight) / trace)[:, None, None] * (inverse @ inverse)


def start(blocks: BlockForms) -> ComplexArray:
    """Lifted phases that align both gains, mixed with the identity."""
    length = blocks.comm.shape[1]
    xi = np.exp(1j * np.angle(blocks.weight[:, None] * blocks.comm + (1.0 - blocks.weight[:, None]) * blocks.sense))
    return 0.8 * xi[:, :, None] * xi[:, None, :].conj() + 0.2 * np.eye(length)


def raise_bound(blocks: BlockForms, iterations: int = 400, tolerance: float = 1e-4) -> Array:
    """Certified lower bounds of V, (N,), lg; -inf where none was found.

    Args:
        iterations: at most, per block; tolerance: a block ends when `CHECK` iterations raised its bound by less, lg.
    """
    best = np.full(len(blocks), -np.inf)
    for first in range(0, len(blocks), CHUNK):
        rows = np.arange(first, min(len(blocks), first + CHUNK))
        best[rows] = _raise(blocks[rows], iterations, tolerance)
    return best


def _raise(blocks: BlockForms, iterations: int, tolerance: float) -> Array:
    rows, best = np.arange(len(blocks)), np.full(len(blocks), -np.inf)
    gamma = blocks.comm.shape[1] ** 2 / STEP
    z = start(blocks)
    for k in range(1, iterations + 1):
        x = cone_projection(z)
        w, p = tangent(blocks, x)
        free = 2.0 * x - z + gamma * blocks.form(w, p)
        y = hull_projection(free, blocks.levels)
        z = z + OVER * (y - x)
        if k % CHECK:
            continue
        found = certificate(blocks, w, p, (free - y) / gamma)
        last = best[rows]
        best[rows] = np.maximum(last, found)
        keep = ~(found < last + tolerance) | (k <= 2 * CHECK)
        if not keep.any():
            break
        if not keep.all():
            rows, blocks, z = rows[keep], blocks[keep], z[keep]
    return best
