"""Shares that pay over the next frames: one-step candidates, then need-only time, on propagated covariances (model page, 7A)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from baselines.tools.linalg import Array
from baselines.vehicular.common import FramePolicy, Outset, reflect_rule
from ris_gym.systems.vehicular import beams, dwell, motion, planning

CANDIDATES = (0.0, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32)


@dataclass(kw_only=True)
class LookAhead(FramePolicy):
    """Per vehicle: this frame's expected rate with each candidate share plus the rates of the `horizon - 1` frames after it.

    In those the share is the need-only one and, with a helper, a full-slot helper dwell precedes the own one; a dwell changes the
    covariance to `P_d P^+ + (1 - P_d) P`. Frames after the end of the pass do not count.

    Attributes:
        horizon: H frames in all, at least 1.
        candidates: shares to choose from, raised to the need-only share.
    """

    name: str = "look_ahead"
    horizon: int = 10
    candidates: tuple[float, ...] = CANDIDATES

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.horizon, bool) or int(self.horizon) != self.horizon or self.horizon < 1:
            raise ValueError(f"horizon must be an integer of at least 1, got {self.horizon!r}")
        if not self.candidates or not all(0.0 <= a <= 1.0 for a in self.candidates):
            raise ValueError(f"candidates must hold shares in [0, 1], got {self.candidates!r}")

    def shares(self, outset: Outset) -> Array:
        """The best of the candidates' sums."""
        system, look, needed = self.system, outset.look, self.needed(outset)
        if not system.s_assist:  # echoes do not change the rate
            return needed
        share = np.maximum(np.asarray(self.candidates), needed[..., None])
        helps = np.full((1, system.num_users, 1), float(system.assisted))
        first = helps.copy()
        first[:, 0] = 0.0  # vehicle 0's helper echo is in the belief already
        if not system.cyclic:
            helps[:, 0] = 0.0
        mean = np.broadcast_to(look.mean[:, :, None], (*share.shape, 2))
        cov = np.broadcast_to(look.covariance[:, :, None], (*share.shape, 2, 2))
        full = np.broadcast_to(outset.full[..., None], share.shape)
        total, cov = self._frame(mean, cov, full, share, first, outset)
        kept = outset.full / np.maximum(planning.mean_echo(system, look, outset.reflect_width), 1e-30)  # under suppression
        left = system.num_frames - np.asarray(outset.known.frame)
        for ahead in range(1, self.horizon):
            mean, cov = motion.predict(mean, cov, system.acceleration_psd_m2ps3, system.frame_s)
            spread = motion.pointing(system, mean, cov).spread
            width = np.zeros_like(spread)
            if self.wide:
                width = reflect_rule(system, spread, self.reflect_width) * system.width_span * 2.0 * spread
            full = motion.echo_energy(system, mean[..., 0]) * beams.mean_gain(system.num_cols, spread, width, beams.REFLECT)
            full = full * kept[..., None]
            rate, cov = self._frame(mean, cov, full, self._need(full, helps), helps, None)
            total = total + rate * (ahead < left)[:, None, None]
        return np.take_along_axis(share, np.argmax(total, axis=2)[..., None], axis=2)[..., 0]

    def _need(self, full: Array, helps: Array) -> Array:
        system = self.system
        if system.threshold is None:
            return np.zeros_like(full)
        planned = full * 10.0 ** (-0.1 * planning.SAFETY_DB)
        own = np.maximum(system.reflect_share * planned, 1e-30)
        return np.clip((system.threshold - helps * planned) / own, 0.0, 1.0)

    def _frame(
        self, mean: Array, cov: Array, full: Array, share: Array, helps: Array, outset: Outset | None
    ) -> tuple[Array, Array]:
        """Expected rate of a frame (B, K, C), and the expected covariance after its dwell."""
        system = self.system
        table = beams.rate_table(system.num_cols, system.width_span)
        phi = table.best if self.wide else table
        snr = motion.comm_snr(system, mean[..., 0])
        own, helped = system.reflect_share * share * full, helps * full
        gamma = own + helped
        duration = system.slot_s * (helps * helped + share * own) / np.maximum(gamma, 1e-30)
        after = dwell.planned_update(system, mean, cov, gamma, duration)
        detected = np.where(gamma > 0.0, dwell.detection(system.false_alarm, gamma), 0.0)
        old, new = motion.pointing(system, mean, cov).spread, motion.pointing(system, mean, after).spread
        data = detected * phi(snr, new) + (1.0 - detected) * phi(snr, old)
        rate = (1.0 - share) * data
        if system.reflect_share < 1.0:
            rate = rate + share * phi((1.0 - system.reflect_share) * snr, old)
        weight = detected[..., None, None]
        return rate, weight * after + (1.0 - weight) * cov
