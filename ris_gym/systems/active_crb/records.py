"""Scene, design and metrics of `active_crb`. M antennas, N elements, K users, Q scatterers, B batch."""

from __future__ import annotations

from dataclasses import dataclass

from ris_gym.arrays import Array, Batch, herm, namespace
from ris_gym.systems.base import Metrics


@dataclass(frozen=True, kw_only=True)
class ActiveCrbScene(Batch):
    """Channels (amplitudes), positions (m), what `fading` needs, and constants of the scene. Names and shapes: see each line.

    `reference` (from the arrays of this record, so from the estimates in what is known): `lower_bound_db` (B,), bound 8.1;
    `left` U (B, N, N), `singular` (B, N), `basis` V (B, M, N) of `G = U diag(s) V^H`; `inverse_diagonal` (B, N), diagonal of
    `(G G^H)^-1`; `rule` (B, N), eigenvalues of the covariance `R_s = V diag(rule) V^H` of 8.1, W; `cap` (B,), largest amplitude;
    `response_power` (B, N, N), `|H_mn|^2`, and `response_db` (B,), `10 log10 ||H||_F^2`.
    """

    bs_ris: Array  # (B, N, M) G, BS -> surface
    ris_user: Array  # (B, K, N) row k used as h_k^H
    target_response: Array  # (B, N, N) H, symmetric
    user_position: Array | None = None  # (B, K, 2)
    scatterer_position: Array | None = None  # (B, Q, 2)
    bs_ris_los: Array | None = None  # (B, N, M) line-of-sight part, weight included
    ris_user_los: Array | None = None  # (B, K, N)
    bs_ris_scale: Array | None = None  # (B,) rms of the scattered part
    ris_user_scale: Array | None = None  # (B, K)
    bs_ris_estimate: Array | None = None
    ris_user_estimate: Array | None = None
    target_response_estimate: Array | None = None
    reference: dict[str, Array] | None = None


@dataclass(frozen=True, kw_only=True)
class ActiveCrbDesign(Batch):
    """Beams (amplitudes, sqrt(W)) and surface coefficients."""

    beams: Array  # (B, M, K) W, column k carries user k
    sensing_beams: Array  # (B, M, N) L, R_0 = L L^H
    coefficients: Array  # (B, N) v_n = a_n exp(j phi_n)

    @property
    def sensing_cov(self) -> Array:
        """Sensing covariance `R_0 = L L^H`, (B, M, M), W."""
        xp = namespace(self.sensing_beams)
        return self.sensing_beams @ herm(xp, self.sensing_beams)

    @property
    def all_beams(self) -> Array:
        """`F = [W, L]`, (B, M, K + N)."""
        xp = namespace(self.beams)
        return xp.concat([self.beams, self.sensing_beams], axis=-1)


@dataclass(frozen=True, kw_only=True)
class ActiveCrbMetrics(Metrics):
    """`objective` = 10 log10 CRB; `margins` has the entry `sinr` (B, K) in dB unless the task is sensing only."""

    nmse_bound_db: Array  # (B,) 10 log10(CRB / ||H||_F^2)
    gap_db: Array  # (B,) objective - lower bound 8.1
    sinr_db: Array  # (B, K)
    rate: Array  # (B, K) bit/s/Hz
    min_sinr_margin_db: Array | None  # (B,) None: sensing only
    power_w: Array  # (B,) transmit power tr(R)
    power_slack_db: Array  # (B,) 10 log10(P_0 / tr R)
    surface_power_w: Array | None  # (B,) both passes; None: passive surface
    first_pass_w: Array | None
    second_pass_w: Array | None
    surface_slack_db: Array | None  # (B,) 10 log10(P_s / surface power)
    surface_room_db: Array | None  # (B,) by how much R may grow: 10 log10((P_s - s_0) / tr(S R))
