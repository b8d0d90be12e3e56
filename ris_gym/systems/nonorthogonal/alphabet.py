"""Exact designs of one inner product over the phase alphabet (model page, section 7, `max_gain`). numpy."""

from __future__ import annotations

import numpy as np


def largest_gain(c: np.ndarray, levels: int | None) -> tuple[np.ndarray, np.ndarray]:
    """The phases that maximise `|sum_l xi_l c_l|`, exactly.

    For a target direction t the best index is `round((t - arg c_l) / delta)`, delta = 2 pi / levels. It changes only where
    `t = arg c_l + delta / 2` modulo delta, so it suffices to test the L directions between these points.

    Args:
        c: (..., L) complex; levels: size of the alphabet `exp(j delta i)`, None: continuous phases.

    Returns:
        phases (..., L) in radians (multiples of delta) and the gain (...).
    """
    angle = np.angle(c)
    if levels is None:
        return -angle, np.abs(c).sum(axis=-1)
    delta = 2.0 * np.pi / levels
    turn = np.sort(np.mod(angle + 0.5 * delta, delta), axis=-1)
    after = np.concatenate([turn[..., 1:], turn[..., :1] + delta], axis=-1)
    middle = 0.5 * (turn + after)  # (..., L) directions
    best_gain = np.full(c.shape[:-1], -1.0)
    best = np.zeros(c.shape, np.int64)
    for i in range(c.shape[-1]):
        index = np.rint((middle[..., i, None] - angle) / delta).astype(np.int64)
        gain = np.abs(np.sum(np.exp(1j * delta * index) * c, axis=-1))
        better = gain > best_gain
        best_gain = np.where(better, gain, best_gain)
        best = np.where(better[..., None], index, best)
    return delta * np.mod(best, levels), best_gain
