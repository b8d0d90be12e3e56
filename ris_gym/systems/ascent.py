"""Prox-linear ascent of a penalised score `min_i s_i - penalty * sum_j max(0, -c_j)`: the step for a linearised min."""

from __future__ import annotations

import numpy as np


def simplex(points: np.ndarray) -> np.ndarray:
    """Euclidean projection of the rows (..., p) onto the probability simplex."""
    points = points - np.max(points, axis=-1, keepdims=True)
    ordered = -np.sort(-points, axis=-1)
    excess = np.cumsum(ordered, axis=-1) - 1.0
    counts = np.arange(1, points.shape[-1] + 1, dtype=points.dtype)
    inside = np.sum(ordered * counts > excess, axis=-1, keepdims=True)
    threshold = np.take_along_axis(excess, inside - 1, axis=-1) / inside.astype(points.dtype)
    return np.maximum(points - threshold, 0.0)


def prox_linear(
    score: np.ndarray, slack: np.ndarray, jacobian: np.ndarray, penalty: float, step: np.ndarray, iterations: int = 16
) -> np.ndarray:
    """`argmax_d min_i (s_i + J_i d) - penalty * sum_j max(0, -(c_j + J_j d)) - ||d||^2 / (2 step)`, for several steps.

    Its dual is a quadratic over the simplex times a box, `min_w step / 2 ||J^T w||^2 + w^T [s; c]`, solved by accelerated projected
    gradient on the (p + q)-dimensional Gram matrix `J J^T`; then `d = step J^T w`. With one piece and no slack it is the gradient step.

    Args:
        score: (B, p) pieces `s_i`; slack: (B, q) pieces `c_j`; jacobian: (B, p + q, n); step: (E,) step lengths.

    Returns:
        (B, E, n) ascent steps.
    """
    pieces = score.shape[1]
    gram = jacobian @ np.swapaxes(jacobian, 1, 2)
    dtype = gram.dtype
    step = np.asarray(step, dtype)
    values = np.concatenate([score, slack], axis=1).astype(dtype)[:, None, :]
    # curvature bound of the dual per step: the largest row sum bounds the largest eigenvalue
    bound = np.maximum(np.max(np.sum(np.abs(gram), axis=2), axis=1)[:, None] * step, dtype.type(1e-3))
    rate = (1.0 / bound)[..., None]
    weights = np.zeros((len(score), len(step), values.shape[-1]), dtype)
    weights[..., :pieces] = 1.0 / pieces
    leading, previous_t = weights, 1.0
    scaled = step[None, :, None]
    for _ in range(iterations):
        moved = leading - rate * (scaled * (leading @ gram) + values)
        new = np.concatenate([simplex(moved[..., :pieces]), np.clip(moved[..., pieces:], 0.0, penalty)], axis=-1)
        t = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * previous_t**2))
        leading = new + dtype.type((previous_t - 1.0) / t) * (new - weights)
        weights, previous_t = new, t
    return scaled * (weights @ jacobian)
