"""Scene, design and metrics of `beampattern`. M antennas, N elements, K users, L angles, S sensing beams, B batch."""

from __future__ import annotations

from dataclasses import dataclass

from ris_gym.arrays import Array, Batch, herm, namespace
from ris_gym.systems.base import Metrics


@dataclass(frozen=True, kw_only=True)
class BeampatternScene(Batch):
    """Channels (amplitudes), positions (m) and what `fading` needs. Names and shapes: see each line."""

    bs_ris: Array  # (B, N, M) BS -> surface
    ris_user: Array  # (B, K, N) row k used as h_rk^H
    bs_user: Array  # (B, K, M) row k used as h_dk^H
    bs_position: Array | None = None  # (B, 2)
    ris_position: Array | None = None  # (B, 2)
    user_position: Array | None = None  # (B, K, 2)
    bs_ris_los: Array | None = None  # (B, N, M) line-of-sight part, weight included
    ris_user_los: Array | None = None  # (B, K, N)
    bs_ris_scale: Array | None = None  # (B,) rms of the scattered part
    ris_user_scale: Array | None = None  # (B, K)
    bs_user_scale: Array | None = None  # (B, K)
    bs_ris_estimate: Array | None = None
    ris_user_estimate: Array | None = None
    bs_user_estimate: Array | None = None
    reference: dict[str, Array] | None = None  # amplitudes `rho_bs_ris`, `rho_ris_user`, `rho_bs_user` (B,) of loaded channels


@dataclass(frozen=True, kw_only=True)
class BeampatternDesign(Batch):
    """Beams (amplitudes, sqrt(W)) and surface coefficients."""

    beams: Array  # (B, M, K) W, column k carries user k
    sensing_beams: Array  # (B, M, S) F_0
    coefficients: Array  # (B, N) v

    @property
    def sensing_cov(self) -> Array:
        """Sensing covariance `R_0 = F_0 F_0^H`, (B, M, M), W."""
        xp = namespace(self.sensing_beams)
        return self.sensing_beams @ herm(xp, self.sensing_beams)

    @property
    def all_beams(self) -> Array:
        """`F = [W, F_0]`, (B, M, K + S)."""
        if self.sensing_beams.shape[-1] == 0:
            return self.beams
        xp = namespace(self.beams)
        return xp.concat([self.beams, self.sensing_beams], axis=-1)


@dataclass(frozen=True, kw_only=True)
class BeampatternMetrics(Metrics):
    """`margins` has the entry `sinr` (B, K) in dB."""

    gains_dbm: Array  # (B, L) beampattern gain at the desired angles
    sinr_db: Array  # (B, K)
    rate: Array  # (B, K) bit/s/Hz
    power_w: Array  # (B,) transmit power
