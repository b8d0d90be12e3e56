"""What the policies of `anchor` share: a codeword per scene from what is known, the stopping rule, the form of the answer."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baselines.binding import BoundPolicy
from baselines.policy import Solution
from ris_gym.systems.anchor import AnchorDesign

Index = NDArray[np.int64]
STOP_MASS = 0.95
"""The stopping rule ends an episode whose largest beam mass exceeds this."""


@dataclass(kw_only=True)
class PilotPolicy:
    """Base class: subclasses give `choose`, and `decide` where they announce another beam than that of largest mass.

    All that a policy needs is in `known` (posterior, pilots sent, powers received), so none has a memory. The design of the last
    pilot is made before its power is known: a policy that announces a beam of its own needs one decision after its last pilot, so
    `num_pilots` one larger, or `allow_stop`. `bind` drives an environment by codewords alone: there the announced beam is always
    that of largest mass.

    Attributes:
        system: the system model; penalty: has no effect (the cost is 0).
        stop_mass: with `allow_stop`, stop where the largest beam mass exceeds it (1: never).
    """

    system: Any = field(repr=False)
    penalty: float | None = None
    stop_mass: float = STOP_MASS
    name: str = ""
    privileged: bool = False

    def __post_init__(self) -> None:
        if not 0.0 <= self.stop_mass <= 1.0:
            raise ValueError(f"stop_mass must be in [0, 1], got {self.stop_mass!r}")

    def choose(self, known: Any, mass: NDArray[np.float64], rng: np.random.Generator) -> Index:
        """Flat indices (B,) of the next codewords; mass (B, N): posterior masses of the beams."""
        raise NotImplementedError

    def decide(self, known: Any) -> Index:
        """The announced beams (B,), -1: that of largest mass. Where a beam is announced and `allow_stop`, the policy stops."""
        return np.full(len(known), -1, np.int64)

    def solve(self, known: Any, rng: np.random.Generator) -> Solution:
        """The next pilot of every scene."""
        begin = time.perf_counter()
        mass = np.asarray(self.system.masses(known), float)
        codeword, decision = self.choose(known, mass, rng), self.decide(known)
        if self.system.allow_stop:
            sure = decision >= 0
            if self.stop_mass < 1.0:
                sure |= mass.max(axis=1, initial=0.0) > self.stop_mass
            codeword = np.where(sure, self.system.num_codewords, codeword)
        design = AnchorDesign(codeword=codeword.astype(np.int64), decision=decision)
        seconds = time.perf_counter() - begin
        metrics = self.system.evaluate(known, design)
        objective = np.asarray(metrics.objective, float)
        return Solution(
            design=design,
            objective=objective,
            feasible=np.asarray(metrics.feasible),
            status=np.full(len(objective), "stopped"),
            history=objective[None],
            seconds=seconds,
        )

    def bind(self, env: Any) -> BoundPolicy:
        """Drive an environment with this policy."""
        return BoundPolicy(self, env)

    def finest(self, beam: NDArray[Any]) -> Index:
        """Flat indices of the finest codewords of beams."""
        return np.asarray(self.system.num_elements - 2 + beam, np.int64)


def level_masses(mass: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Masses of the sectors of levels 0 (the root), 1, ..., log2 N: (B, 2^l) each."""
    out = [mass]
    while out[0].shape[1] > 1:
        out.insert(0, out[0][:, ::2] + out[0][:, 1::2])
    return out
