"""Scene, design and metrics of `anchor`. B batch, T pilots, N elements (and beams), G = oversample N points of direction."""

from __future__ import annotations

from dataclasses import dataclass

from ris_gym.arrays import Array, Batch
from ris_gym.systems.base import Metrics


@dataclass(frozen=True, kw_only=True)
class AnchorScene(Batch):
    """A device in a direction that is hidden, what it has measured, and the belief.

    Row t of `pilot_phase` and `pilot_noise` belongs to pilot t, whatever its codeword: every policy meets the same world.
    A device that has stopped has the index 2 N - 2 in row `frame` of `codeword`.
    """

    direction: Array | None = None  # (B,) psi = sin(theta), in [-1, 1]; None in what is known
    pilot_phase: Array | None = None  # (B, T) rad; None in what is known
    pilot_noise: Array | None = None  # (B, T) complex, CN(0, 1); None in what is known
    log_posterior: Array  # (B, G) natural log, its maximum is 0
    codeword: Array  # (B, T) int64, codewords of the pilots sent, -1 where not yet sent
    power: Array  # (B, T) z of the pilots sent, 0 where not yet sent
    frame: Array  # (B,) int64, pilots used


@dataclass(frozen=True, kw_only=True)
class AnchorDesign(Batch):
    """The next codeword, and the beam that is announced if the episode ends. Coefficients: `Anchor.coefficients`."""

    codeword: Array  # (B,) int64 in [0, 2 N - 3]; 2 N - 2 stops (`allow_stop`)
    decision: Array  # (B,) int64 in [0, N - 1], or -1: the beam of largest mass


@dataclass(frozen=True, kw_only=True)
class AnchorMetrics(Metrics):
    """After the pilot. `objective`: 1 where the decision is the right beam, else 0 (at what is known: the belief in it).

    `margins` is empty, `cost` is 0. At what is known nothing is measured: all of it is before the pilot.
    """

    entropy_bits: Array  # (B,) of the posterior on its G points
    pilots: Array  # (B,) int64, pilots used
    direction_error: Array | None = None  # (B,) |most likely psi - psi|; on the truth only
