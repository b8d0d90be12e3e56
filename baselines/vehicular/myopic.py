"""The frame's optimal time shares under the belief, by dynamic programming along the chain of vehicles (model page, 7A).

The helper couples neighbours alone: what vehicle k gains depends on a_{k-1} and a_k. So the best shares on a grid are found
exactly, vehicle by vehicle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from baselines.tools.linalg import Array
from baselines.vehicular.common import FramePolicy, Outset
from ris_gym.systems.vehicular import planning

GRID = (
    0.0, 0.002, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, *(round(0.05 * i, 2) for i in range(3, 21)),
)  # fmt: skip


@dataclass(kw_only=True)
class Myopic(FramePolicy):
    """Maximise the sum over vehicles of expected rate - penalty * shortfall, in this frame alone, on the grid.

    Attributes:
        grid: shares to choose from, increasing in [0, 1].
    """

    name: str = "myopic"
    grid: tuple[float, ...] = GRID

    def __post_init__(self) -> None:
        super().__post_init__()
        grid = np.asarray(self.grid, float)
        if grid.ndim != 1 or not len(grid) or np.any(np.diff(grid) <= 0.0) or grid[0] < 0.0 or grid[-1] > 1.0:
            raise ValueError(f"grid must hold increasing shares in [0, 1], got {self.grid!r}")

    def shares(self, outset: Outset) -> Array:
        """Forward maximisation, then back along the best predecessors."""
        grid, users = np.asarray(self.grid, float), self.system.num_users
        value = self.gains(outset, 0, grid)[:, 0]
        before: list[np.ndarray] = []
        for k in range(1, users):
            total = value[:, :, None] + self.gains(outset, k, grid)
            before.append(np.argmax(total, axis=1))
            value = np.max(total, axis=1)
        chosen = [np.argmax(value, axis=1)]
        for best in reversed(before):
            chosen.append(best[np.arange(len(best)), chosen[-1]])
        return grid[np.stack(chosen[::-1], axis=1)]

    def gains(self, outset: Outset, k: int, grid: Array) -> Array:
        """What vehicle k adds, (B, a_{k-1}, a_k); the middle axis has length 1 where no vehicle helps."""
        system, full = self.system, outset.full[:, k, None, None]
        helps = system.assisted and k > 0
        lasting = (1.0 - grid)[None, :, None] if helps else np.zeros((1, 1, 1))
        own, helped = system.reflect_share * grid * full, lasting * full
        width = outset.refract_width[:, k, None, None]
        phi = planning.data_rate(
            system, outset.look, k, own, np.broadcast_to(helped, np.broadcast_shapes(own.shape, helped.shape)), grid, lasting,
            width if np.any(width) else None, self.wide,
        )  # fmt: skip
        first = planning.first_rate(
            system, outset.look, outset.refract_width if np.any(outset.refract_width) else None, self.wide
        )
        out = (1.0 - grid) * phi + grid * first[:, k, None, None]
        if system.threshold is not None:
            have = np.asarray(outset.known.helper_snr, float)[:, k, None, None]
            credit = have + (own + helped) * 10.0 ** (-0.1 * planning.SAFETY_DB)
            out = out - self.penalty * np.maximum(0.0, 1.0 - credit / system.threshold)
        return out
