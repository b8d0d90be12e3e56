"""Transmit step without sensing signal: relaxation and Gaussian randomisation of one beam (K = 1).

Source: arXiv 2111.13511, benchmark "information beamforming only".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from baselines.beampattern.transmit import Covariances, maximum_ratio, transmit_covariances
from baselines.beampattern.units import Scaled
from baselines.tools.linalg import Array, ComplexArray, abs2
from baselines.tools.randomisation import complex_normal


def information_step(
    scaled: Scaled,
    v: ComplexArray,
    generators: list[np.random.Generator],
    draws: int = 1000,
    incumbent: ComplexArray | None = None,
    program: Covariances = transmit_covariances,
) -> tuple[ComplexArray, Array, NDArray[np.bool_]]:
    """Best of `draws` beams w = U Lambda^(1/2) z of unit power, the principal eigenvector, R h and the incumbent.

    Args:
        scaled: scenes with K = 1.
        v: (B, N) surface.
        generators: one per scene.
        draws: candidates.
        incumbent: (B, M, 1 + S0) present beams; its first column is a candidate.
        program: solves (SDR2.1) without sensing signal.

    Returns:
        Beams (B, M, 1 + S0) whose sensing columns are zero, smallest gain (B,), feasibility (B,).
    """
    user, target = scaled.rows(v)
    x, feasible, _ = program(scaled, user, target)
    values, vectors = np.linalg.eigh(x[:, 0])
    root = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
    matched = (x[:, 0] @ user[:, 0].conj()[..., None])[..., 0]
    extra = [vectors[..., -1], matched] if incumbent is None else [vectors[..., -1], matched, incumbent[..., 0]]
    f = maximum_ratio(user, scaled.sensing_beams)
    gain = abs2(target @ f[..., :1]).min((1, 2))
    for i in np.flatnonzero(feasible):
        w = complex_normal(generators[i], (draws, root.shape[-1])) @ root[i].T
        w = np.concatenate([w, np.stack([e[i] for e in extra])])
        w /= np.sqrt(np.maximum(abs2(w).sum(-1, keepdims=True), 1e-300))
        score = np.where(abs2(w @ user[i, 0]) >= 1.0 - 1e-12, abs2(w @ target[i].T).min(-1), -1.0)
        best = int(np.argmax(score))
        if score[best] > gain[i]:
            f[i, :, 0], gain[i] = w[best], score[best]
    return f, gain, feasible
