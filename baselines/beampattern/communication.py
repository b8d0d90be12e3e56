"""Communication phases: the surface that serves the users best, and the repair of a surface that misses the SNR by a little.

    v <- exp(j arg(beta v + d / mean|d|)),  d = gradient of sum_k ||h_k(v)||^2, convex in v: monotone for every beta >= 0.

Source: ours (arXiv 2111.13511 is silent about the start); beampattern page, section 7.7.
"""

from __future__ import annotations

import numpy as np

from baselines.beampattern.units import Scaled
from baselines.tools.linalg import ComplexArray, abs2


def ascent(scaled: Scaled, v: ComplexArray, steps: int, beta: float = 0.0) -> ComplexArray:
    """`steps` monotone steps on sum_k ||h_k||^2 from v (B, N)."""
    for _ in range(steps):
        v = _turn(scaled, v, beta)
    return v


def _turn(scaled: Scaled, v: ComplexArray, beta: float) -> ComplexArray:
    turned = v[:, :, None] * scaled.bs_ris
    user = scaled.ris_user.conj() @ turned + scaled.bs_user.conj()
    slope = np.sum(np.swapaxes(scaled.ris_user, -1, -2) * (scaled.bs_ris.conj() @ np.swapaxes(user, -1, -2)), axis=-1)
    if beta:
        slope = beta * v + slope / np.maximum(np.abs(slope).mean(-1, keepdims=True), 1e-300)
    size = np.abs(slope)
    return np.asarray(np.where(size > 0, slope, v) / np.where(size > 0, size, 1.0), dtype=complex)


def reach(scaled: Scaled, v: ComplexArray) -> np.ndarray:
    """sum_k ||h_k||^2 in scaled units, (B,); K = 1: the SNR is reachable where it is at least 1."""
    return abs2(scaled.rows(v)[0]).sum((1, 2))


def communication_phases(scaled: Scaled, generators: list[np.random.Generator], starts: int = 4, steps: int = 50) -> ComplexArray:
    """Best of `starts` random starts of `ascent`, (B, N)."""
    count, elements = scaled.bs_ris.shape[:2]
    angle = np.stack([g.random((starts, elements)) for g in generators], axis=1)
    best = np.ones((count, elements), complex)
    level = np.full(count, -1.0)
    for start in np.exp(2j * np.pi * angle):
        v = ascent(scaled, start, steps)
        value = reach(scaled, v)
        best = np.where((value > level)[:, None], v, best)
        level = np.maximum(level, value)
    return best


def phase_repair(scaled: Scaled, v: ComplexArray, beta: float = 20.0, steps: int = 200) -> ComplexArray:
    """Small monotone steps until P ||h||^2 >= (1 + 1e-4) Gamma sigma^2 (K = 1; other K: unchanged)."""
    if scaled.ris_user.shape[1] != 1:
        return v
    v = v.copy()
    todo = np.flatnonzero(reach(scaled, v) < 1.0 + 1e-4)
    for _ in range(steps):
        if not len(todo):
            break
        part = scaled[todo]
        v[todo] = _turn(part, v[todo], beta)
        todo = todo[reach(part, v[todo]) < 1.0 + 1e-4]
    return v
