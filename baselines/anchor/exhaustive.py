"""Beams of the finest level in order, or at random (model page, part B)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from baselines.anchor.common import Index, PilotPolicy
from baselines.policy import scene_generators


@dataclass(kw_only=True)
class Exhaustive(PilotPolicy):
    """The finest beam t mod N.

    Attributes:
        decision: `posterior`, or `peak`: once every beam was probed, the one of the largest summed power over whole scans
            (`num_pilots` of at least N).
    """

    name: str = "exhaustive"
    decision: str = "posterior"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.decision not in ("posterior", "peak"):
            raise ValueError(f"decision must be one of ('posterior', 'peak'), got {self.decision!r}")
        if self.decision == "peak" and self.system.num_pilots < self.system.num_elements:
            raise ValueError(
                f"decision 'peak' needs num_pilots of at least {self.system.num_elements}, got {self.system.num_pilots}"
            )

    def choose(self, known: Any, mass: np.ndarray, rng: np.random.Generator) -> Index:
        """In order."""
        return self.finest(np.asarray(known.frame) % self.system.num_elements)

    def decide(self, known: Any) -> Index:
        """`peak`: by the powers so far, in whole scans."""
        if self.decision == "posterior":
            return super().decide(known)
        sums = np.zeros((len(known), self.system.num_elements))
        beam = np.asarray(known.codeword) - (self.system.num_elements - 2)
        scans = np.asarray(known.frame) // self.system.num_elements
        whole = np.arange(beam.shape[1]) < (scans * self.system.num_elements)[:, None]
        each, pilot = np.nonzero(whole & (beam >= 0) & (beam < self.system.num_elements))
        np.add.at(sums, (each, beam[each, pilot]), np.asarray(known.power)[each, pilot])
        return np.where(scans > 0, np.argmax(sums, axis=1), -1)


@dataclass(kw_only=True)
class RandomBeam(PilotPolicy):
    """A finest beam at random."""

    name: str = "random"

    def choose(self, known: Any, mass: np.ndarray, rng: np.random.Generator) -> Index:
        """Uniform."""
        count = self.system.num_elements
        return self.finest(np.array([g.integers(count) for g in scene_generators(rng, len(known))], np.int64))
