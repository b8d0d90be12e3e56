"""The frame's optimal time shares under the belief, by dynamic programming along the chain of vehicles (model page, 7A).

The helper couples neighbours alone: what vehicle k gains depends on a_{k-1} and a_k. So the best shares on a grid are found
exactly, vehicle by vehicle. With an unauthorised radar (D4) vehicle k also chooses its suppression q_k, on which nothing else
depends: the best one is taken within every pair. The radar counts the last slot's dwell on vehicle 0 too, so the chain is a ring.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from baselines.tools.linalg import Array
from baselines.vehicular.common import FramePolicy, Outset
from ris_gym.systems.vehicular import planning, radar

GRID = (
    0.0, 0.002, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, *(round(0.05 * i, 2) for i in range(3, 21)),
)  # fmt: skip
SUPPRESSIONS = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(kw_only=True)
class Myopic(FramePolicy):
    """Maximise the sum over vehicles of expected rate - penalty * cost, in this frame alone, on the grid.

    The cost is the shortfall of the echoes and, with an unauthorised radar, the excess `max(0, 1 - gamma_max / gamma_e)`, gamma_e
    at the believed directions. What a helper echo is worth in the next frame does not count.

    Attributes:
        grid: shares to choose from, increasing in [0, 1].
        hide: as for every policy, or `chosen`: of `suppressions`, together with the shares.
        suppressions: q to choose from, in [0, 1]; of equal ones the first.
    """

    name: str = "myopic"
    grid: tuple[float, ...] = GRID
    hide: str = "chosen"
    suppressions: tuple[float, ...] = SUPPRESSIONS
    hiding: ClassVar[tuple[str, ...]] = (*FramePolicy.hiding, "chosen")

    def __post_init__(self) -> None:
        super().__post_init__()
        grid = np.asarray(self.grid, float)
        if grid.ndim != 1 or not len(grid) or np.any(np.diff(grid) <= 0.0) or grid[0] < 0.0 or grid[-1] > 1.0:
            raise ValueError(f"grid must hold increasing shares in [0, 1], got {self.grid!r}")
        if not self.suppressions or not all(0.0 <= q <= 1.0 for q in self.suppressions):
            raise ValueError(f"suppressions must hold numbers in [0, 1], got {self.suppressions!r}")

    def decided(self, outset: Outset) -> tuple[Array, Array | None, np.ndarray | None]:
        """Shares, and with `chosen` the suppressions."""
        if outset.suppression is None or self.hide != "chosen":
            return super().decided(outset)
        share, suppression = self.hidden(outset)
        return share, suppression, None

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

    def hidden(self, outset: Outset) -> tuple[Array, Array]:
        """Shares and suppressions (B, K): best chains from every a_0 to every a_{K-1}, closed by vehicle 0."""
        grid, users, batch = np.asarray(self.grid, float), self.system.num_users, len(outset.full)
        worth = [self.best_hidden(outset, k, grid) for k in range(users)]
        square, each = (batch, len(grid), len(grid)), np.arange(batch)
        if users == 1:
            path = np.where(np.eye(len(grid), dtype=bool), 0.0, np.full(square, -np.inf))
        else:
            path = np.broadcast_to(worth[1][0], square)
        before: list[np.ndarray] = []
        for gain, _ in worth[2:]:
            total = path[..., None] + gain[:, None]  # (B, a_0, a_{k-1}, a_k)
            before.append(np.argmax(total, axis=2))
            path = np.max(total, axis=2)
        closed = path + np.swapaxes(worth[0][0], 1, 2)
        first, last = np.divmod(np.argmax(closed.reshape(batch, -1), axis=1), len(grid))
        chosen = [last]
        for best in reversed(before):
            chosen.append(best[each, first, chosen[-1]])
        place = np.stack([first, *chosen[::-1]][:users], axis=1)
        levels = np.asarray(self.suppressions, float)
        found = []
        for k, (_, best) in enumerate(worth):
            found.append(levels[best[each, place[:, k - 1] if best.shape[1] > 1 else 0, place[:, k]]])
        return grid[place], np.stack(found, axis=1)

    def best_hidden(self, outset: Outset, k: int, grid: Array) -> tuple[Array, np.ndarray]:
        """What vehicle k adds with its best suppression, (B, a_{k-1}, a_k), and which one that is; k = 0: after a_{K-1}.

        The middle axis has length 1 where nothing depends on it.
        """
        system = self.system
        watched = system.assisted and (k > 0 or system.cyclic)
        level = system.reflect_share * grid + ((1.0 - grid)[:, None] if watched else 0.0)
        values = []
        for full, seen in self.exposures(outset):
            excess = np.maximum(0.0, 1.0 - radar.limit(system) / np.maximum(level * seen[:, k, None, None], 1e-12))
            values.append(self.gains(dataclasses.replace(outset, full=full), k, grid) - self.penalty * excess)
        stacked = np.stack(values)
        return stacked.max(axis=0), stacked.argmax(axis=0)

    def exposures(self, outset: Outset) -> Iterator[tuple[Array, Array]]:
        """For every suppression: mean energy SNR of a whole slot at the BS and at the radar, (B, K)."""
        system, look = self.system, outset.look
        there = radar.echo_energy(system, look.mean[..., 0])
        for q in self.suppressions:
            design = system.made(
                np.zeros_like(outset.full), outset.reflect_width, outset.refract_width, np.full_like(outset.full, q)
            )
            with_it, without, leaked = radar.planned(system, look, design)
            yield outset.full * with_it / np.maximum(without, 1e-12), there * leaked

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
