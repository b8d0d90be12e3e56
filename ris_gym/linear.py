"""Small batched linear algebra that keeps its digits. numpy in, numpy out; torch in, differentiable torch out."""

from __future__ import annotations

from typing import Any

import numpy as np

from ris_gym.arrays import SINGLE, Array, abs2, constant, herm, to_numpy

SINGULAR = 1e-12
"""Ratio of the smallest to the largest diagonal entry of a triangular factor below which a matrix counts as singular."""
RIDGE = 1e-14
"""Part of the trace added to a Gram matrix formed in double precision from single-precision rows."""


def inverse_gram_diagonal(xp: Any, x: Array) -> tuple[Array, Array]:
    """Diagonal of `(X X^H)^-1` without losing half of the digits: `X^H = Q q`, `[(X X^H)^-1]_nn = sum_j |(q^-1)_nj|^2`.

    Single-precision numpy rows are squared in double precision instead, which keeps what they hold and is faster.

    Args:
        x: (B, N, C) complex, C >= N.

    Returns:
        (B, N), of X = 1 in singular scenes; and whether X has full rank, (B,).
    """
    if xp is np:
        if x.dtype in SINGLE:
            return _by_cholesky(x)
        q = np.linalg.qr(np.conj(x.mT), mode="r")
        regular = _regular(q)
        if not regular.all():
            q = np.where(regular[:, None, None], q, np.eye(q.shape[-1]))
        return lower_inverse_norms(np.conj(q.mT)), regular
    regular_np = _regular(np.linalg.qr(np.conj(np.swapaxes(to_numpy(x), 1, 2)), mode="r"))
    regular = xp.asarray(regular_np)
    eye = constant(xp, np.eye(x.shape[1], x.shape[2]), xp.real(x))
    safe = xp.where(regular[:, None, None], x, eye + 0j * x)
    q = xp.linalg.qr(herm(xp, safe), mode="reduced")[1]
    return xp.sum(abs2(xp, xp.linalg.inv(q)), axis=-1), regular


def _regular(q: np.ndarray) -> np.ndarray:
    """Whether a triangular factor (B, N, N) is far enough from singular, (B,)."""
    size = np.abs(np.diagonal(q, axis1=-2, axis2=-1))
    largest = size.max(axis=-1)
    return np.asarray(np.isfinite(size).all(axis=-1) & (largest > 0.0) & (size.min(axis=-1) > SINGULAR * largest))


def _by_cholesky(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`inverse_gram_diagonal` through the Gram matrix in double precision."""
    wide = x.astype(np.complex128)
    gram = wide @ np.conj(wide.mT)
    diagonal = np.einsum("bnn->bn", gram)
    trace = diagonal.real.sum(axis=-1)
    alive = trace > np.finfo(np.float32).tiny ** 2
    diagonal += RIDGE * trace[:, None]
    if not alive.all():
        gram = np.where(alive[:, None, None], gram, np.eye(x.shape[1]))
    return lower_inverse_norms(np.linalg.cholesky(gram)).astype(x.real.dtype), alive


def lower_inverse_norms(lower: np.ndarray) -> np.ndarray:
    """Squared column norms of the inverses of lower triangular matrices (B, N, N), (B, N): forward substitution over the batch."""
    n = lower.shape[-1]
    turned = np.ascontiguousarray(lower.transpose(1, 2, 0))  # batch last: every operation is long and contiguous
    re, im = np.ascontiguousarray(turned.real), np.ascontiguousarray(turned.imag)
    diagonal = turned[np.arange(n), np.arange(n)]
    turn = np.conj(diagonal) / abs2(np, diagonal)
    row_re = re * turn.real[:, None] - im * turn.imag[:, None]
    row_im = re * turn.imag[:, None] + im * turn.real[:, None]
    out_re, out_im = np.zeros_like(re), np.zeros_like(re)
    for i in range(n):
        a, b, c, d = row_re[i, :i, None], row_im[i, :i, None], out_re[:i, :i], out_im[:i, :i]
        np.subtract((b * d).sum(axis=0), (a * c).sum(axis=0), out=out_re[i, :i])
        np.negative((a * d).sum(axis=0) + (b * c).sum(axis=0), out=out_im[i, :i])
        out_re[i, i], out_im[i, i] = turn[i].real, turn[i].imag
    out_re *= out_re
    out_im *= out_im
    out_re += out_im
    return np.ascontiguousarray(out_re.sum(axis=0).T)
