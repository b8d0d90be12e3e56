"""Lemma 1: the filter of each side that maximises its echo SINR, in closed form.

Source: arXiv 2412.01251, Lemma 1; model page, section 4.
"""

from __future__ import annotations

import numpy as np

from baselines.multifunctional.units import Echoes
from baselines.tools.linalg import Array, ComplexArray, abs2, herm


def best_filters(echoes: Echoes, w: ComplexArray) -> tuple[ComplexArray, Array]:
    """Unit filters u (B, I, Q) and echo SINRs gamma (B, I) at beams w (B, N, S).

    With Q_i = J_i W W^H J_i^H + Z_i = L L^H, Y = L^{-1} X_i W: gamma_i = lambda_max(Y Y^H), u_i along L^{-H} of its eigenvector.
    """
    if not w.shape[2]:
        size = echoes.noise.shape[:3]
        u = np.zeros(size, complex)
        u[..., 0] = 1.0
        return u, np.zeros(size[:2])
    received, leaked = echoes.signal @ w[:, None], echoes.leak @ w[:, None]
    root = np.linalg.cholesky(leaked @ herm(leaked) + echoes.noise)
    y = np.linalg.solve(root, received)
    values, vectors = np.linalg.eigh(herm(y) @ y)
    u = np.linalg.solve(herm(root), y @ vectors[..., -1:])[..., 0]
    size = np.sqrt(abs2(u).sum(-1, keepdims=True))
    fallback = np.zeros_like(u)
    fallback[..., 0] = 1.0
    u = np.where(size > 0, u / np.where(size > 0, size, 1.0), fallback)
    return u, np.maximum(values[..., -1], 0.0)
