"""The vehicle that reflects in stage 2 of every slot, where that is a decision (model page, 3A)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from baselines.tools.linalg import Array
from baselines.vehicular.common import FramePolicy, Outset
from ris_gym.systems.vehicular import planning

MOST = 256
"""Combinations that are enumerated."""
ROUNDS = 4
MARGIN = 10.0 ** (-0.1 * planning.SAFETY_DB)
LEAST = 1e-9
"""Gain from which another choice than the next vehicle is taken."""


@dataclass(kw_only=True)
class Reflector(FramePolicy):
    """Need-only time for every choice c of reflecting vehicles; the choice of largest predicted value.

    Value: sum over vehicles of expected rate - penalty * shortfall, in this frame and in one more that repeats the choice at the
    same belief and begins with the helper echoes that this frame leaves. So an echo counts where it is needed, also for a vehicle
    whose next own slot is in the next frame. The time is exactly need-only for each choice. Up to 256 combinations (K = 4) are
    enumerated, the default c = 1 first; with more vehicles pairs of slots take turns, from c = 1, until no change of a pair is
    better (at most four rounds). Without `choose_reflector` this is need-only. An unauthorised radar does not enter the value.
    """

    name: str = "reflector"

    def shares(self, outset: Outset) -> Array:
        """Need-only, the next vehicle reflects."""
        return self.needed(outset)

    def decided(self, outset: Outset) -> tuple[Array, Array | None, np.ndarray | None]:
        """The best choice, and the shares that it needs."""
        system = self.system
        if not system.chooses:
            return super().decided(outset)
        reflector = self.enumerated(outset) if system.num_users**system.num_users <= MOST else self.in_turns(outset)
        share = planning.needed_share(system, outset.known, outset.full, reflector)
        return share, outset.suppression, reflector

    def enumerated(self, outset: Outset) -> np.ndarray:
        """The best of all choices (B, K)."""
        users = self.system.num_users
        every = np.array([(1,) * users, *itertools.product(range(users), repeat=users)])
        values = np.stack([self.value(outset, np.tile(c, (len(outset.full), 1))) for c in every], axis=1)
        best = np.argmax(values, axis=1)
        return every[np.where(np.max(values, axis=1) > values[:, 0] + LEAST, best, 0)]

    def in_turns(self, outset: Outset) -> np.ndarray:
        """A choice (B, K) that no change of two slots improves (or four rounds of it)."""
        users = self.system.num_users
        chosen = np.ones(outset.full.shape, np.int64)
        value = self.value(outset, chosen)
        for _ in range(ROUNDS):
            before = value.copy()
            pairs = itertools.combinations(range(users), 2)
            for pair, c in itertools.product(pairs, itertools.product(range(users), repeat=2)):
                other = chosen.copy()
                other[:, pair] = c
                found = self.value(outset, other)
                better = found > value + LEAST
                chosen[better], value = other[better], np.where(better, found, value)
            if np.array_equal(value, before):
                break
        return chosen

    def value(self, outset: Outset, reflector: np.ndarray) -> Array:
        """Predicted value (B,) of choices (B, K) over both frames."""
        none = np.zeros_like(outset.full)
        have = np.asarray(outset.known.helper_snr, float)
        first, helped, lasting = self.frame(outset, reflector, have, none, none)
        return first + self.frame(outset, reflector, helped * MARGIN, helped, lasting)[0]

    def frame(
        self, outset: Outset, reflector: np.ndarray, have: Array, helped: Array, lasting: Array
    ) -> tuple[Array, Array, Array]:
        """Value (B,) of one frame; the helper echoes (B, K) that it leaves for the next, and their shares times them.

        Args:
            have: planned echoes that count already; helped, lasting: those of them that the belief does not hold yet.
        """
        system, full, each = self.system, outset.full, np.arange(len(outset.full))
        credit, helped, lasting, total = have.copy(), helped.copy(), lasting.copy(), np.zeros(len(full))
        first = planning.first_rate(system, outset.look, outset.refract_width, self.wide)
        for k in range(system.num_users):
            own = system.reflect_share * full[:, k]
            a = np.zeros(len(full))
            if system.threshold is not None:
                a = np.clip((system.threshold - credit[:, k]) / np.maximum(own * MARGIN, 1e-30), 0.0, 1.0)
                total -= self.penalty * np.maximum(0.0, 1.0 - (credit[:, k] + a * own * MARGIN) / system.threshold)
            longest = lasting[:, k] / np.maximum(helped[:, k], 1e-30)
            width = outset.refract_width[:, k]
            phi = planning.data_rate(system, outset.look, k, a * own, helped[:, k], a, longest, width, self.wide)
            total += (1.0 - a) * phi + a * first[:, k]
            credit[:, k] = helped[:, k] = lasting[:, k] = 0.0
            j = (k + reflector[:, k]) % system.num_users
            present = (reflector[:, k] > 0) & (system.cyclic | (k + reflector[:, k] < system.num_users))
            gamma = present * (1.0 - a) * full[each, j]
            credit[each, j] += gamma * MARGIN
            helped[each, j] += gamma
            lasting[each, j] += gamma * (1.0 - a)
        return total, helped, lasting
