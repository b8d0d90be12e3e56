"""Fano's bound of the mean hit rate of `anchor` (model page, part B)."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from baselines.policy import Bound
from ris_gym.systems.anchor.physics import log_i0e

INPUTS, OUTPUTS, ROUNDS = 120, 800, 300


def hit_bound(system: Any, scene: Any) -> Bound:
    """Mean hit rate <= min(1, (T C + 1) / log2 N), scope "mean": of no single scene. Loose; a sanity floor of the error.

    `P_e >= 1 - (I(psi; z_1, ..., z_T) + 1) / log2 N` for a uniform beam (Fano), and pilots chosen by what was received before
    tell at most C bits each, the `capacity` of one pilot. Certified up to the discretisation of z and S.
    """
    value = min(1.0, (system.num_pilots * capacity(system.element_snr * system.num_elements**2) + 1.0)
                / math.log2(system.num_elements))  # fmt: skip
    return Bound(value=np.asarray(value), status=np.asarray("certified"), scope="mean")


@lru_cache(maxsize=32)
def capacity(largest: float) -> float:
    """Bits that the power z of one pilot tells about S in [0, `largest`]: `max_S D(p(z | S) || q)`, q of Blahut-Arimoto.

    Every q gives an upper bound; 120 inputs uniform in sqrt(S), 800 points of z up to `(sqrt(largest) + 6)^2`, 300 rounds.
    """
    root = np.linspace(0.0, math.sqrt(largest), INPUTS)[:, None]
    z = np.linspace(0.0, (math.sqrt(largest) + 6.0) ** 2, OUTPUTS)[None]
    logs = log_i0e(2.0 * np.sqrt(z) * root) - (np.sqrt(z) - root) ** 2
    logs -= np.log(np.sum(np.exp(logs), axis=1, keepdims=True))
    rows, prior = np.exp(logs), np.full(INPUTS, 1.0 / INPUTS)
    for _ in range(ROUNDS):
        divergence = np.sum(rows * (logs - np.log(prior @ rows)), axis=1)
        prior *= np.exp(divergence - divergence.max())
        prior /= prior.sum()
    return float(np.max(np.sum(rows * (logs - np.log(prior @ rows)), axis=1)) / math.log(2.0))
