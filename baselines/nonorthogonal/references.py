"""References of `tracking`: hold the beam at the prediction, fold that into the room, widen the beam, or know the truth (ours).

Coordinate descent, frame by frame, from the last frame's design, the phases of `align` and a few random starts. On static scenes
they are coordinate descent with these starts.

Source: model page, section 12. Not in arXiv 2208.05324.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from baselines.nonorthogonal.common import Blocks, Found, check_count, merit
from baselines.nonorthogonal.coordinate_descent import CoordinateDescent
from baselines.policy import Solution
from ris_gym.systems.nonorthogonal.tracking import at_positions, folded


@dataclass(kw_only=True)
class Hold(CoordinateDescent):
    """Coordinate descent at the predicted mean of the belief.

    `Solution.memory` is `{"index": (B, n, L)}`.

    Attributes:
        num_starts: random starts beside the last design and those of `align`.
    """

    name: str = "hold"
    num_starts: int = 4
    sequential: ClassVar[bool] = True

    def solve(self, known: Any, rng: np.random.Generator, memory: Mapping[str, Any] | None = None) -> Solution:  # type: ignore[override]
        """Designs of this frame.

        Args:
            memory: of the last frame's solution, None in the first one.

        Raises:
            ValueError: the memory does not fit the scenes.
        """
        starts = self.aligned(known.astype("complex128"))[:, None]
        if memory is not None:
            if "index" not in memory:
                raise ValueError(f"memory must hold 'index', got {sorted(memory)}")
            last = np.asarray(memory["index"])
            if last.shape != (len(known), *self.shape):
                raise ValueError(f"memory['index'] must have shape {(len(known), *self.shape)}, got {last.shape}")
            starts = np.concatenate([starts, last.astype(np.int64)[:, None]], axis=1)
        solution = super().solve(known, rng, starts=starts)
        phase = np.angle(solution.design.coefficients)
        levels = len(self.alphabet)
        index = np.rint(phase * (levels / (2.0 * np.pi))).astype(np.int64) % levels
        return dataclasses.replace(solution, memory={"index": index})


@dataclass(kw_only=True)
class Fold(Hold):
    """As `hold`, at the predicted mean mirrored into the room: what the filter, which knows no borders, leaves undone."""

    name: str = "fold"

    def optimise(self, known: Any, generators: list[np.random.Generator], first: int) -> Found:
        """Descend at the mirrored position; as `hold` where there is no belief."""
        if known.belief_mean is not None:
            known = at_positions(self.system, known, folded(self.system, known.belief_mean[:, :2]))
        return super().optimise(known, generators, first)


@dataclass(kw_only=True)
class Widen(Hold):
    """Coordinate descent on the mean of the penalised score over the belief: its mean and `num_draws` draws of the position.

    Attributes:
        num_draws: 12 by default, so 13 points.
    """

    name: str = "widen"
    num_draws: int = 12

    def __post_init__(self) -> None:
        super().__post_init__()
        self.num_draws = check_count("num_draws", self.num_draws)

    def optimise(self, known: Any, generators: list[np.random.Generator], first: int) -> Found:
        """Descend on the mean over the points; as `hold` where there is no belief."""
        if known.belief_mean is None:
            return super().optimise(known, generators, first)
        given = None if self._given is None else self._given[first : first + len(known)]
        normals = np.stack([g.standard_normal((self.num_draws, 2)) for g in generators])
        root = np.linalg.cholesky(known.belief_cov[:, :2, :2])
        points = known.belief_mean[:, None, :2] + normals @ root.mT
        scenes = [known, *(at_positions(self.system, known, points[:, i]) for i in range(self.num_draws))]
        judge = merit(self.system, self.penalty)
        index, history = self.descended(Blocks.of(*scenes), judge, self.starts(generators, given))
        return Found(coefficients=self.of_index(index), history=self.per_scene(history))


@dataclass(kw_only=True)
class Oracle(Hold):
    """As `hold`, at the true position: it is given the true scenes."""

    name: str = "oracle"
    privileged: bool = True
