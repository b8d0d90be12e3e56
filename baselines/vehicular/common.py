"""What the policies of `vehicular` share: the belief ahead, the width rule, the form of an answer (model page, 7A)."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from baselines.binding import BoundPolicy
from baselines.policy import Solution
from baselines.tools.linalg import Array
from ris_gym.systems.vehicular import beams, motion, planning, radar

HIDDEN_DB, APART = 30.0, 0.01
WIDE_REFLECT = 0.5


@dataclass(frozen=True, kw_only=True)
class Outset:
    """What a decision starts from, all (B, K): `look`, the belief at each vehicle's own slot; widths; `full`, the mean energy SNR
    of a whole slot; `suppression`, None without a radar."""

    known: Any
    look: motion.Outlook
    reflect_width: Array
    refract_width: Array
    full: Array
    suppression: Array | None


def reflect_rule(system: Any, spread: Array, width: float = WIDE_REFLECT) -> Array:
    """b^e = `width` where 6 s exceeds the beam 2 / N_x, else 0."""
    return np.where(6.0 * spread > 2.0 / system.num_cols, width, 0.0)


@dataclass(kw_only=True)
class FramePolicy:
    """Base class: subclasses give `shares`. Acts on the belief predicted to each vehicle's own slot.

    Attributes:
        system: the system model.
        penalty: weight of the cost where a policy weighs it; None: the system's.
        wide: width rule: `b^e = reflect_width` where `6 s > 2 / N_x`, `b^c` by the largest expected rate; False: focused beams.
        reflect_width: of the width rule; the model page's 0.5, or 1 in the policies named `_wider`, which covers three standard
            deviations to either side.
        hide: with `unauthorised_radar`: suppress by 30 dB `never`, `always`, or where the radar is `apart` from the BS by more
            than 0.01 in direction cosine.
        chunk: scenes worked on at a time; results do not depend on it.

    Raises:
        ValueError: an option breaks its rule.
    """

    system: Any = field(repr=False)
    penalty: float | None = None
    wide: bool = False
    reflect_width: float = WIDE_REFLECT
    hide: str = "never"
    chunk: int = 64
    name: str = ""
    privileged: bool = False
    hiding: ClassVar[tuple[str, ...]] = ("never", "always", "apart")

    def __post_init__(self) -> None:
        if self.penalty is None:
            self.penalty = float(self.system.default_penalty)
        if not isinstance(self.wide, bool):
            raise ValueError(f"wide must be True or False, got {self.wide!r}")
        if isinstance(self.reflect_width, bool) or not 0.0 <= self.reflect_width <= 1.0:
            raise ValueError(f"reflect_width must be in [0, 1], got {self.reflect_width!r}")
        if self.hide not in self.hiding:
            raise ValueError(f"hide must be one of {self.hiding}, got {self.hide!r}")
        if int(self.chunk) != self.chunk or self.chunk < 1:
            raise ValueError(f"chunk must be an integer of at least 1, got {self.chunk!r}")

    def shares(self, outset: Outset) -> Array:
        """Sensing shares (B, K) of a chunk of scenes."""
        raise NotImplementedError

    def solve(self, known: Any, rng: np.random.Generator) -> Solution:
        """Designs of this frame. `stopped`: their return over the pass is not optimised."""
        begin = time.perf_counter()
        parts = [self._part(known[first : first + self.chunk]) for first in range(0, max(len(known), 1), self.chunk)]
        design = type(parts[0]).concatenate(parts)
        metrics = self.system.evaluate(known, design)
        objective = np.asarray(metrics.objective, float)
        return Solution(
            design=design,
            objective=objective,
            feasible=np.asarray(metrics.feasible),
            status=np.full(len(objective), "stopped"),
            history=objective[None],
            seconds=time.perf_counter() - begin,
        )

    def decided(self, outset: Outset) -> tuple[Array, Array | None, np.ndarray | None]:
        """Shares, suppressions (None without a radar) and reflecting vehicles (None: the next one), (B, K) each."""
        return self.shares(outset), outset.suppression, None

    def _part(self, known: Any) -> Any:
        outset = self.outset(known)
        real = np.asarray(known.belief_mean).dtype
        share, hidden, reflector = self.decided(outset)
        wide_e, wide_c = (array.astype(real) for array in (outset.reflect_width, outset.refract_width))
        hidden = None if hidden is None else hidden.astype(real)
        return self.system.made(share.astype(real), wide_e, wide_c, hidden, reflector)

    def outset(self, known: Any) -> Outset:
        """The belief ahead and the widths."""
        system = self.system
        look = motion.outlook(system, known)
        wide_e = wide_c = np.zeros_like(look.spread)
        if self.wide:
            wide_e = reflect_rule(system, look.spread, self.reflect_width)
            pointed = look.spread if system.s_assist else look.report_spread
            wide_c = beams.rate_table(system.num_cols, system.width_span).best_width(look.comm, pointed)
        full, suppression = planning.mean_echo(system, look, wide_e), None
        if system.unauthorised_radar:
            suppression = np.zeros_like(full)
            if self.hide in ("always", "apart"):
                suppression += min(HIDDEN_DB / system.suppression_span_db, 1.0)
            if self.hide == "apart":
                to_radar, _ = radar.believed(system, look.mean, look.covariance)
                suppression *= np.abs(look.cosine - to_radar) > APART
            full = full * radar.kept(system, look, system.made(full, wide_e, wide_c, suppression))
        return Outset(
            known=known, look=look, reflect_width=wide_e, refract_width=wide_c, full=full, suppression=suppression
        )

    def needed(self, outset: Outset) -> Array:
        """Need-only shares."""
        return planning.needed_share(self.system, outset.known, outset.full)

    def bind(self, env: Any) -> BoundPolicy:
        """Drive an environment with this policy."""
        return BoundPolicy(self, env)
