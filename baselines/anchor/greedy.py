"""The codeword of most information (model page, part B)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.special import chndtr, xlogy

from baselines.anchor.common import Index, PilotPolicy
from ris_gym.systems.anchor.physics import tables

BINS = 24
LEAST = 1e-15


def edges(largest: float) -> np.ndarray:
    """Edges of the bins of z, (25,): 0, 23 geometric ones from 0.05, infinity."""
    return np.concatenate([[0.0], np.geomspace(0.05, max(50.0, 3.0 * largest), BINS - 1), [np.inf]])


@lru_cache(maxsize=4)
def bin_tables(system: Any) -> tuple[np.ndarray, np.ndarray]:
    """`P(bin | psi_g, w)` (G, n, 24) and its entropy in bits (G, n), for every point and codeword."""
    received = tables(system, False).root.T ** 2  # (G, n)
    largest = system.element_snr * system.num_elements**2
    at, where = np.unique(received, return_inverse=True)
    cdf = np.ones((len(at), BINS + 1))
    cdf[:, :-1] = chndtr(2.0 * edges(largest)[None, :-1], 2.0, 2.0 * at[:, None])
    rows = np.maximum(np.diff(cdf, axis=1), LEAST)
    entropy = -np.sum(xlogy(rows, rows), axis=1) / np.log(2.0)
    return rows[where.reshape(received.shape)], entropy[where.reshape(received.shape)]


def information(system: Any, weight: np.ndarray) -> np.ndarray:
    """I(psi; z) in bits of every codeword, (B, n), of normalised posteriors (B, G), with z in 24 bins."""
    table, entropy = bin_tables(system)
    points, count, _ = table.shape
    output = (weight @ table.reshape(points, -1)).reshape(len(weight), count, BINS)
    return np.asarray(-np.sum(xlogy(output, output), axis=2) / np.log(2.0) - weight @ entropy)


@dataclass(kw_only=True)
class InformationGreedy(PilotPolicy):
    """Maximise the information of the next pilot over all codewords; of equal ones the first (the widest)."""

    name: str = "information_greedy"
    chunk: int = 256

    def choose(self, known: Any, mass: np.ndarray, rng: np.random.Generator) -> Index:
        """One matrix product per chunk of scenes."""
        weight = np.exp(np.asarray(known.log_posterior, float))
        weight /= weight.sum(axis=1, keepdims=True)
        parts = [weight[first : first + self.chunk] for first in range(0, len(weight), self.chunk)]
        found = [np.argmax(information(self.system, part), axis=1) for part in parts]
        return np.concatenate(found) if found else np.zeros(0, np.int64)
