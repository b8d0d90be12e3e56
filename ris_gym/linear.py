"""Small batched linear algebra that keeps its digits. numpy in, numpy out; torch in, differentiable torch out."""

from __future__ import annotations

from typing import Any

import numpy as np

from ris_gym.arrays import SINGLE, Array, abs2, constant, herm, to_numpy

SINGULAR = 1e-12
"""Ratio of the smallest to the largest diagonal entry of a triangular factor below which a matrix counts as singular."""
RIDGE = 1e-14
"""Part of the trace added to a Gram matrix formed in double precision from single-precision rows."""
NOTHING = 1e-100
"""Matrices in double precision whose factor stays below this count as 0."""
LARGE = 1e37
"""Largest entry of an inverse in single precision."""


def inverse_gram_diagonal(xp: Any, x: Array) -> tuple[Array, Array]:
    """Diagonal of `(X X^H)^-1` without losing half of the digits: `X^H = Q q`, `[(X X^H)^-1]_nn = sum_j |(q^-1)_nj|^2`.

    Single-precision numpy rows are squared in double precision instead, which keeps what they hold and is faster.

    Args:
        x: (B, N, C) complex, C < N has no full rank.

    Returns:
        (B, N), of X = 1 in singular scenes; and whether X has full rank, (B,).
    """
    if x.shape[-1] < x.shape[-2]:
        return xp.ones(x.shape[:-1], dtype=xp.real(x).dtype), xp.zeros(x.shape[:1], dtype=xp.bool)
    if xp is np:
        if x.dtype in SINGLE:
            return _by_cholesky(x)
        q = _factor(np.conj(x.mT))
        regular = _regular(q)
        if not regular.all():
            q = np.where(regular[:, None, None], q, np.eye(q.shape[-1]))
        turn = np.einsum("bnn->bn", q)
        turn = turn.conj() / np.abs(turn)
        return lower_inverse_norms(np.conj((turn[..., None] * q).mT)), regular
    regular = xp.asarray(_regular(_factor(np.conj(np.swapaxes(to_numpy(x), 1, 2)))))
    eye = constant(xp, np.eye(x.shape[1], x.shape[2]), xp.real(x))
    safe = xp.where(regular[:, None, None], x, eye + 0j * x)
    q = xp.linalg.qr(herm(xp, safe), mode="reduced")[1]
    return xp.sum(abs2(xp, xp.linalg.inv(q)), axis=-1), regular


def _factor(x: np.ndarray) -> np.ndarray:
    """Triangular factor of the QR decomposition, (B, N, N)."""
    return np.asarray(np.linalg.qr(x, mode="r"))


def _regular(q: np.ndarray) -> np.ndarray:
    """Whether a triangular factor (B, N, N) is far enough from singular, (B,)."""
    size = np.abs(np.diagonal(q, axis1=-2, axis2=-1))
    largest = size.max(axis=-1)
    return np.asarray(np.isfinite(size).all(axis=-1) & (largest > NOTHING) & (size.min(axis=-1) > SINGULAR * largest))


def _by_cholesky(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`inverse_gram_diagonal` through the Gram matrix in double precision."""
    wide = x.astype(np.complex128)
    gram = wide @ np.conj(wide.mT)
    diagonal = np.einsum("bnn->bn", gram)
    trace = diagonal.real.sum(axis=-1)
    alive = trace > np.finfo(np.float32).tiny
    if not alive.all():
        gram[~alive] = np.eye(x.shape[1])
        trace = np.where(alive, trace, 1.0)
    diagonal += RIDGE * trace[:, None]
    norms = lower_inverse_norms(np.linalg.cholesky(gram), x.real.dtype, 1.0 / np.sqrt(trace))
    return np.minimum(norms / trace[:, None], LARGE).astype(x.real.dtype), alive


def lower_inverse_norms(
    lower: np.ndarray, real: np.dtype | None = None, scale: np.ndarray | float = 1.0
) -> np.ndarray:
    """Squared column norms of the inverses of `scale` (B,) times Cholesky factors (B, N, N) (real positive diagonal), (B, N).

    Forward substitution in the real dtype `real`, with the batch last, so that every operation is long and contiguous; both
    halves of the diagonal at once, what lies below them by products: `[[A, 0], [C, D]]^-1 = [[A^-1, 0], [-D^-1 C A^-1, D^-1]]`.
    """
    n = lower.shape[-1]
    real = lower.real.dtype if real is None else np.dtype(real)
    if n < 4 or n % 2:
        re, im = _substitute(*_planes(lower, real, scale))
        re *= re
        im *= im
        re += im
        return np.ascontiguousarray(re.sum(axis=0).T)
    half = n // 2
    count = len(lower)
    blocks = np.concatenate([lower[:, :half, :half], lower[:, half:, half:]])
    re, im = _substitute(*_planes(blocks, real, np.concatenate([scale, scale]) if np.ndim(scale) else scale))
    inverse = np.empty((2 * count, half, half), np.result_type(real, np.complex64))
    inverse.real, inverse.imag = re.transpose(2, 0, 1), im.transpose(2, 0, 1)
    first, second = inverse[:count], inverse[count:]
    corner = (lower[:, half:, :half] * np.reshape(scale, (-1, 1, 1))).astype(inverse.dtype)
    below = second @ (corner @ first)
    out = np.empty((count, n), real)
    re *= re
    im *= im
    re += im
    norms = re.sum(axis=0)
    out[:, :half], out[:, half:] = norms[:, :count].T, norms[:, count:].T
    out[:, :half] += abs2(np, below).sum(axis=1)
    return out


def _planes(lower: np.ndarray, real: np.dtype, scale: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """Real and imaginary parts of `scale` times (B, n, n), with the batch last."""
    turned = lower.transpose(1, 2, 0)
    re, im = np.empty(turned.shape, real), np.empty(turned.shape, real)
    np.multiply(turned.real, scale, out=re, casting="same_kind")
    np.multiply(turned.imag, scale, out=im, casting="same_kind")
    return re, im


def _substitute(re: np.ndarray, im: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverses of lower triangular matrices with a real diagonal, (n, n, B) as real and imaginary parts."""
    n = len(re)
    inverse = 1.0 / re[np.arange(n), np.arange(n)]
    re *= inverse[:, None]
    im *= inverse[:, None]
    out_re, out_im = np.zeros_like(re), np.zeros_like(re)
    for i in range(n):
        if i:
            a, b, c, d = re[i, :i, None], im[i, :i, None], out_re[:i, :i], out_im[:i, :i]
            product = b * d
            product -= a * c
            np.add.reduce(product, axis=0, out=out_re[i, :i])
            np.multiply(a, d, out=product)
            product += b * c
            np.add.reduce(product, axis=0, out=out_im[i, :i])
            out_im[i, :i] *= -1.0
        out_re[i, i] = inverse[i]
    return out_re, out_im
