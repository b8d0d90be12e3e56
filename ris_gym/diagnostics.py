"""How a surface shapes channels: gain, correlation, effective rank, sensing-communication coupling. numpy, batched.

Effective channels are rows (B, R, M): what R receivers or directions see of M transmit antennas. Diagnostics say in which
direction a design moved the channel; they are never rewards, and more of one of them is not better by itself.

Source: model page reciprocity, part C (Table I of the survey names the quantities, in words).
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["correlations", "coupling", "effective_rank", "gain_db", "matrix_gain_db", "mean_correlation", "of_rows"]

FLOOR = 1e-20
"""Gains are floored at -200 dB."""
TOLERANCE = 1e-9
"""Singular values below this part of the largest one do not count for a basis."""


def gain_db(rows: np.ndarray) -> np.ndarray:
    """`10 lg ||h_i||^2` of each row, at least -200: (B, R, M) -> (B, R)."""
    return np.asarray(10.0 * np.log10(np.maximum(_energy(rows), FLOOR)))


def matrix_gain_db(matrix: np.ndarray) -> np.ndarray:
    """`10 lg ||A||_F^2`, at least -200: (B, R, M) -> (B,)."""
    return np.asarray(10.0 * np.log10(np.maximum(_energy(matrix).sum(axis=-1), FLOOR)))


def correlations(rows: np.ndarray) -> np.ndarray:
    """`|h_i^H h_j|^2 / (||h_i||^2 ||h_j||^2)` in [0, 1], 0 for zero rows: (B, R, M) -> (B, R, R)."""
    length = np.sqrt(_energy(rows))[..., None]
    unit = np.divide(rows, length, out=np.zeros(rows.shape, complex), where=length > 0.0)
    return np.asarray(np.minimum(np.abs(unit @ np.conj(unit.mT)) ** 2, 1.0))


def mean_correlation(rows: np.ndarray) -> np.ndarray:
    """Mean of the off-diagonal `correlations`, 0 for one row or none: (B, R, M) -> (B,)."""
    count = rows.shape[-2]
    if count < 2:
        return np.zeros(rows.shape[:-2])
    found = correlations(rows)
    return np.asarray((found.sum(axis=(-2, -1)) - np.einsum("...ii->...", found)) / (count * (count - 1)))


def effective_rank(matrix: np.ndarray) -> np.ndarray:
    """`exp(-sum q_i ln q_i)`, `q = sigma / sum sigma`, between 1 and the rank; 0 for a matrix of zeros: (B, R, M) -> (B,)."""
    if 0 in matrix.shape[-2:]:
        return np.zeros(matrix.shape[:-2])
    sigma = np.linalg.svd(matrix, compute_uv=False)
    total = sigma.sum(axis=-1, keepdims=True)
    q = np.divide(sigma, total, out=np.zeros_like(sigma), where=total > 0.0)
    entropy = -np.sum(q * np.log(np.where(q > 0.0, q, 1.0)), axis=-1)
    return np.where(total[..., 0] > 0.0, np.exp(entropy), 0.0)


def coupling(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Mean `sigma_i^2(Q_c^H Q_s)` of orthonormal bases of two row spaces: (B, R, M), (B, S, M) -> (B,), in [0, 1].

    1: the smaller space lies in the larger one (same dimension: they are the same); 0: orthogonal, or one of them is empty.
    """
    if 0 in one.shape[-2:] or 0 in other.shape[-2:]:
        return np.zeros(one.shape[:-2])
    (first, count), (second, size) = _basis(one), _basis(other)
    common = np.sum(np.abs(first @ np.conj(second.mT)) ** 2, axis=(-2, -1))
    smaller = np.minimum(count, size)
    return np.where(smaller > 0, np.minimum(common / np.maximum(smaller, 1), 1.0), 0.0)


def of_rows(name: str, rows: np.ndarray) -> dict[str, np.ndarray]:
    """`<name>_gain_db` (B, R), `<name>_correlation` and `<name>_rank` (B,) of rows."""
    return {
        f"{name}_gain_db": gain_db(rows),
        f"{name}_correlation": mean_correlation(rows),
        f"{name}_rank": effective_rank(rows),
    }


def double(*batches: Any) -> tuple[Any, ...]:
    """Scenes and designs as numpy arrays in double precision."""
    return tuple(batch.to_numpy().astype("complex128") for batch in batches)


def _energy(rows: np.ndarray) -> np.ndarray:
    return np.asarray(np.sum(np.abs(rows) ** 2, axis=-1))


def _basis(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal rows that span the rows (zero beyond the rank), and the rank."""
    _, sigma, right = np.linalg.svd(rows, full_matrices=False)
    held = (sigma > TOLERANCE * sigma[..., :1]) & (sigma > 0.0)
    return right * held[..., None], held.sum(axis=-1)
