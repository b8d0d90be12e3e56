"""Thompson sampling (model page, part B)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from baselines.anchor.common import Index, PilotPolicy
from baselines.policy import scene_generators


@dataclass(kw_only=True)
class Thompson(PilotPolicy):
    """The finest beam of a direction drawn from the posterior."""

    name: str = "thompson"

    def choose(self, known: Any, mass: np.ndarray, rng: np.random.Generator) -> Index:
        """One draw per scene."""
        draws = np.array([g.random() for g in scene_generators(rng, len(known))])
        summed = np.cumsum(mass, axis=1)
        beam = np.sum(summed <= draws[:, None] * summed[:, -1:], axis=1)
        return self.finest(np.minimum(beam, self.system.num_elements - 1))
