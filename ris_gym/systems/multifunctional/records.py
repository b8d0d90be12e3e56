"""Scene, design and metrics of `multifunctional`. N antennas, M elements, K users, L targets, M_s sensors per side, B batch.

Side 0 (r) is the half-space of the BS, reached by reflection; side 1 (t) the one behind the surface, reached by refraction. Users
and targets of side r come first.
"""

from __future__ import annotations

from dataclasses import dataclass

from ris_gym.arrays import Array, Batch, herm, namespace
from ris_gym.systems.base import Metrics


@dataclass(frozen=True, kw_only=True)
class MultiFunctionalScene(Batch):
    """Channels (amplitudes), steering vectors, positions (m), line-of-sight parts for `fading`, constants of the scene.

    `reference` (from the arrays of this record, so from the estimates in what is known): `rows` (B, K + L, M), `g_k^H` and
    `a_l^H`; kind `mf`: `filter` (B, 2, M_s), the filters u_i that the rule for the beams assumes (model page, section 7.6), and
    `projector` (B, N, N) off span {G_i^H u_i}.
    """

    bs_ris: Array  # (B, M, N) H, BS -> surface
    ris_user: Array  # (B, K, M) row k: g_k, used as g_k^H
    target_steering: Array  # (B, L, M) a_l
    target_gain: Array  # (B, L) alpha_l
    bs_sensor: Array | None = None  # (B, 2, M_s, N) G_i, BS -> sensors of side i; None unless kind `mf`
    sensor_steering: Array | None = None  # (B, L, M_s) b_l
    bs_ris_los: Array | None = None  # line-of-sight parts, weight included
    bs_sensor_los: Array | None = None
    ris_user_los: Array | None = None
    bs_position: Array | None = None  # (B, 3)
    ris_position: Array | None = None  # (B, 3)
    user_position: Array | None = None  # (B, K, 3)
    target_position: Array | None = None  # (B, L, 3)
    bs_ris_estimate: Array | None = None
    bs_sensor_estimate: Array | None = None
    ris_user_estimate: Array | None = None
    target_gain_estimate: Array | None = None
    reference: dict[str, Array] | None = None


@dataclass(frozen=True, kw_only=True)
class MultiFunctionalDesign(Batch):
    """Beams (amplitudes, sqrt(W)) and surface coefficients; with time switching one set of beams per slot (r, t)."""

    beams: Array  # (B, N, K), column k carries user k; time switching (B, 2, N, K), columns of unserved users 0
    sensing_beams: Array  # (B, N, S_0); time switching (B, 2, N, S_0)
    coefficients: Array  # (B, 2, M) rows theta_r, theta_t; time switching: row i is used in slot i only
    time_fraction: Array | None = None  # (B,) lambda_r, time switching only
    mode: Array | None = None  # (B, M) int64, 0 = r, 1 = t, mode switching only

    @property
    def all_beams(self) -> Array:
        """`W = [beams, sensing_beams]`, (B, N, S); time switching (B, 2, N, S)."""
        xp = namespace(self.beams)
        return xp.concat([self.beams, self.sensing_beams], axis=-1)

    @property
    def sensing_cov(self) -> Array:
        """Sensing covariance, (B, N, N), W; time switching (B, 2, N, N)."""
        xp = namespace(self.sensing_beams)
        return self.sensing_beams @ herm(xp, self.sensing_beams)


@dataclass(frozen=True, kw_only=True)
class MultiFunctionalMetrics(Metrics):
    """`objective` in the unit of its form (bit or dB); `margins` has the entry `rate` (B, K), bit/s/Hz."""

    echo_sinr_db: Array  # (B, 2) gamma_r, gamma_t after the filter of Lemma 1
    sum_sinr_db: Array  # (B,) 10 log10(gamma_r + gamma_t)
    mean_sinr_db: Array  # (B,) mean of both in dB
    min_sinr_db: Array  # (B,)
    rate: Array  # (B, K) bit/s/Hz
    sinr_db: Array  # (B, K) of the users (time switching: within their slot)
    power_w: Array  # (B,) BS power (time switching: the larger of the slots)
    surface_power_w: Array | None  # (B,) radiated by the surface, its noise included; None: star, passive
    time_fraction: Array | None  # (B,) lambda_r; None: no time switching
