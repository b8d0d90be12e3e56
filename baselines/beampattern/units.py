"""The scaled data of one batch of scenes: what the programs of the `beampattern` baselines are built from.

With G' = G / g0 (g0 = rms of the entries of G), h_r' = g0 h_r sqrt(P / (Gamma sigma^2)), h_d' = h_d sqrt(P / (Gamma sigma^2)) and
F' = F / sqrt(P) every number is O(1), the power budget is ||F'||_F = 1 and the SINR constraint reads
|h_k'^H w_k'|^2 >= 1 + Gamma_k (interference).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baselines.tools.linalg import Array, ComplexArray, abs2


@dataclass(frozen=True, kw_only=True)
class Scaled:
    """Scaled scene.

    Attributes:
        bs_ris: (B, N, M), G / g0.
        ris_user: (B, K, N), bs_user: (B, K, M), divided by sqrt(Gamma_k sigma^2 / P), the first times g0.
        steering: (L, N).
        threshold: (K,) linear SINR.
        leak: 0 if the users cancel the sensing signal, 1 if not.
        unit_w: (B,) W, P g0^2: a gain of 1 in scaled units.
        sensing_beams: S0.
        index: (B,) number of each scene in the batch it came from.
    """

    bs_ris: ComplexArray
    ris_user: ComplexArray
    bs_user: ComplexArray
    steering: ComplexArray
    threshold: Array
    leak: float
    unit_w: Array
    sensing_beams: int
    index: NDArray[np.int64]

    @classmethod
    def of(cls, system: Any, scene: Any, first: int = 0) -> Scaled:
        """Scale the channels of scenes (or of what is known of them), numbered from `first`."""
        g = np.asarray(scene.bs_ris, dtype=complex)
        g0 = np.sqrt(np.maximum(abs2(g).mean((1, 2)), 1e-300))
        threshold = np.broadcast_to(np.asarray(system.sinr_threshold, dtype=float), (system.num_users,))
        h0 = np.sqrt(threshold * system.noise_w / system.power_w)[:, None]
        return cls(
            bs_ris=g / g0[:, None, None],
            ris_user=np.asarray(scene.ris_user, dtype=complex) * g0[:, None, None] / h0,
            bs_user=np.asarray(scene.bs_user, dtype=complex) / h0,
            steering=np.asarray(system.steering, dtype=complex),
            threshold=threshold,
            leak=0.0 if system.cancel_sensing else 1.0,
            unit_w=system.power_w * g0**2,
            sensing_beams=system.num_sensing_beams,
            index=np.arange(first, first + len(g)),
        )

    def __len__(self) -> int:
        return len(self.bs_ris)

    def __getitem__(self, rows: Any) -> Scaled:
        return Scaled(
            bs_ris=self.bs_ris[rows],
            ris_user=self.ris_user[rows],
            bs_user=self.bs_user[rows],
            steering=self.steering,
            threshold=self.threshold,
            leak=self.leak,
            unit_w=self.unit_w[rows],
            sensing_beams=self.sensing_beams,
            index=self.index[rows],
        )

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """N, M, K, L."""
        return self.bs_ris.shape[1], self.bs_ris.shape[2], self.ris_user.shape[1], self.steering.shape[0]

    def rows(self, v: ComplexArray) -> tuple[ComplexArray, ComplexArray]:
        """User rows h_k^H (B, K, M) and target rows g_l^H (B, L, M) at the surface v (B, N)."""
        turned = v[:, :, None] * self.bs_ris
        return self.ris_user.conj() @ turned + self.bs_user.conj(), self.steering.conj() @ turned

    def gain_and_margin(self, v: ComplexArray, f: ComplexArray) -> tuple[Array, Array]:
        """Smallest gain (B,) and smallest SINR_k / Gamma_k (B,) of beams F = [W, F0] (B, M, K + S) of unit power."""
        user, target = self.rows(v)
        return min_gain(target @ f), self.sinr_ratio(user @ f).min(-1)

    def sinr_ratio(self, received: ComplexArray) -> Array:
        """SINR_k / Gamma_k (B, K) from the received amplitudes h_k'^H f_s (B, K, K + S)."""
        users = received.shape[1]
        power = abs2(received)
        signal = np.diagonal(power[..., :users], axis1=-2, axis2=-1)
        interference = power[..., :users].sum(-1) - signal + self.leak * power[..., users:].sum(-1)
        return signal / (1.0 + self.threshold * np.maximum(interference, 0.0))


def min_gain(received: ComplexArray) -> Array:
    """min_l sum_s |g_l^H f_s|^2 from amplitudes (..., L, S)."""
    return abs2(received).sum(-1).min(-1)


def limit(norms: Array, most: float = 10.0) -> Array:
    """Divisors that bring norms of constraint vectors down to `most`: constraints that are easy to meet stay well scaled."""
    return np.maximum(1.0, norms / most)
