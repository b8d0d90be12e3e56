"""Prox-linear ascent of a penalised score `min_i s_i - penalty * sum_j max(0, -c_j)`: the step for a linearised min."""

from __future__ import annotations

import math

import numpy as np


def simplex(points: np.ndarray) -> np.ndarray:
    """Euclidean projection of the rows (..., p) onto the probability simplex."""
    columns = np.ascontiguousarray(np.moveaxis(points, -1, 0))
    columns = columns - columns.max(axis=0)
    threshold, _ = _threshold(columns, np.ones(columns.shape, bool))
    return np.moveaxis(np.maximum(columns - threshold, 0.0), 0, -1)


def _threshold(points: np.ndarray, support: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """t with `sum(max(points - t, 0)) = 1` along the first axis, and which entries exceed it (Michelot's rule).

    `points` have maximum 0. Any set of entries S gives a lower bound `(sum_S x - 1) / |S|` of t. From that of `support` (a guess,
    not empty) on, entries below the bound leave until none does: at most p rounds, and one or two with a good guess.
    """
    real = points.dtype
    threshold = (np.add.reduce(points * support, axis=0) - 1.0) / np.add.reduce(support, axis=0, dtype=real)
    support = points > threshold
    size = np.count_nonzero(support)
    for _ in range(len(points)):
        threshold = (np.add.reduce(points * support, axis=0) - 1.0) / np.add.reduce(support, axis=0, dtype=real)
        support &= points > threshold
        if size == (size := np.count_nonzero(support)):
            break
    return threshold, support


FLAT = 1e-25
"""Curvature of the dual below which a slack does not depend on the step."""


def _one_at_a_time(
    weights: np.ndarray, values: np.ndarray, curved: np.ndarray, penalty: float, sweeps: int
) -> None:
    """The dual of `prox_linear` for one piece, in place: its weight is 1, the box is left, where one coordinate after the other
    is minimised exactly, whatever the scales of the slacks' derivatives are (which differ by orders of magnitude)."""
    slope = values + np.einsum("ijeb,ieb->jeb", curved, weights)
    for _ in range(sweeps):
        for j in range(1, len(weights)):
            change = np.clip(weights[j] - slope[j] / np.maximum(curved[j, j], FLAT), 0.0, penalty) - weights[j]
            weights[j] += change
            slope += curved[j] * change


def prox_linear(
    score: np.ndarray, slack: np.ndarray, jacobian: np.ndarray, penalty: float, step: np.ndarray, iterations: int = 16
) -> np.ndarray:
    """Ascent of `min_i (s_i + J_i d) - penalty * sum_j max(0, -(c_j + J_j d)) - ||d||^2 / (2 step)` in d, for several steps.

    Its dual is a quadratic over the simplex times a box, `min_w step / 2 ||J^T w||^2 + w^T [s; c]`, solved by accelerated
    projected gradient on the (p + q)-dimensional Gram matrix `J J^T` (one piece: coordinate by coordinate); then
    `d = step J^T w`. With one piece and no slack it is the gradient step. The maximiser is reached in the limit of
    `iterations`; few already give a good step. The batch runs along the last axis inside: the pieces are few, so every
    operation is long and contiguous.

    Args:
        score: (B, p) pieces `s_i`; slack: (B, q) pieces `c_j`; jacobian: (B, p + q, n); step: (E,) step lengths.

    Returns:
        (B, E, n) ascent steps.
    """
    pieces = score.shape[1]
    gram = jacobian @ np.swapaxes(jacobian, 1, 2)
    dtype = gram.dtype
    step = np.asarray(step, dtype)
    # curvature bound of the dual per step: the largest row sum bounds the largest eigenvalue
    bound = np.maximum(step[:, None] * np.abs(gram).sum(axis=2).max(axis=1), dtype.type(1e-3))
    values = np.concatenate([score, slack], axis=1).astype(dtype).T[:, None] / bound  # (p + q, E, B), like all below
    curved = np.ascontiguousarray(gram.transpose(1, 2, 0))[:, :, None] * (step[:, None] / bound)
    weights = np.zeros(values.shape, dtype)
    weights[:pieces] = 1.0 / pieces
    if pieces == 1:
        _one_at_a_time(weights, values, curved, penalty, iterations)
        return step[:, None] * (np.ascontiguousarray(weights.transpose(2, 1, 0)) @ jacobian)
    leading, previous_t = weights, 1.0
    support = np.ones((pieces, *values.shape[1:]), bool)
    for _ in range(iterations):
        new = leading - values
        new -= np.einsum("ijeb,ieb->jeb", curved, leading)
        new[:pieces] -= np.maximum.reduce(new[:pieces], axis=0)
        threshold, support = _threshold(new[:pieces], support)
        new[:pieces] -= threshold
        np.maximum(new, 0.0, out=new)
        np.minimum(new[pieces:], penalty, out=new[pieces:])
        t = 0.5 * (1.0 + math.sqrt(1.0 + 4.0 * previous_t**2))
        leading = new - weights
        leading *= (previous_t - 1.0) / t
        leading += new
        weights, previous_t = new, t
    return step[:, None] * (np.ascontiguousarray(weights.transpose(2, 1, 0)) @ jacobian)
