"""Scene, design and metrics of `nonorthogonal`.

B batch, n blocks, L elements per block, M antennas of a user, N_t of the BS, T slots.
Block i uses sub-surface i; every array with a block axis holds one entry per block, behind the batch axis.
"""

from __future__ import annotations

from dataclasses import dataclass

from ris_gym.arrays import Array, Batch
from ris_gym.systems.base import Metrics


@dataclass(frozen=True, kw_only=True)
class NonOrthogonalScene(Batch):
    """Directions, gains, symbols, positions (m); in `tracking` also the state, the belief and all numbers drawn in advance.

    `reference` (from the arrays of this record, so from estimates, belief and statistics in what is known):
    `products` (B, n, L, 2 or 4), columns c_comm, c_sense and, where element positions matter, l_y c_sense, l_z c_sense;
    `direction` (B, n, 3), k from user to sub-surface; `jacobian` (B, n, 2, 2), D = d u / d (gamma, phi); `factor` (B, n, 2, 2),
    D^-T; `level` (B, n), 2 |alpha_B2I alpha_I2U|^2 / sigma_z^2; `comm_ratio` (B, n), a_C / a; `energy` (B, n), E;
    `square` (B, n), X_2; constrained form: `gain` (B, n), the largest |g_2|, and `angle_limit` (B, n), Gamma_0 in rad^2.
    """

    spatial_frequency: Array  # (B, n, 2) u = pi (k_y, k_z) of the user that is localised
    incident: Array  # (B, n, L) b_in
    gain_bs_ris: Array  # (B, n) alpha_B2I
    gain_ris_user: Array  # (B, n) alpha_I2U
    ris_user_distance: Array  # (B, n) m
    bs_steering: Array  # (B, n, N_t) a_B
    symbols: Array | None = None  # (B, n, T) x; None in what is known with design_symbols="statistical"
    comm_spatial_frequency: Array | None = None  # (B, n, 2) u_C; model two_user only
    gain_ris_comm: Array | None = None  # (B, n) alpha_I2C; model two_user only
    bs_position: Array | None = None  # (B, 3)
    ris_position: Array | None = None  # (B, n, 3)
    user_position: Array | None = None  # (B, 3)
    comm_position: Array | None = None  # (B, 3)
    spatial_frequency_estimate: Array | None = None
    comm_spatial_frequency_estimate: Array | None = None
    frame: Array | None = None  # (B,) int64, tracking: the frame to be decided
    velocity: Array | None = None  # (B, 2) m/s
    belief_mean: Array | None = None  # (B, 4) position x, y (m) and velocity (m/s), predicted for this frame
    belief_cov: Array | None = None  # (B, 4, 4)
    motion_noise: Array | None = None  # (B, F, 2) standard normals of all frames
    measurement_noise: Array | None = None  # (B, F, 2)
    symbols_ahead: Array | None = None  # (B, F, n, T)
    receiver_seed: Array | None = None  # (B, F) int64, measurement "ml": seeds of the receiver's noise
    reference: dict[str, Array] | None = None


@dataclass(frozen=True, kw_only=True)
class NonOrthogonalDesign(Batch):
    """Coefficients of the sub-surfaces (modulus 1) and the BS's beam per block (amplitudes, sqrt(W))."""

    coefficients: Array  # (B, n, L) xi
    beams: Array  # (B, n, N_t, 1) w, ||w||^2 <= P_t; canonical: sqrt(P_t / N_t) a_B, eq. (41)


@dataclass(frozen=True, kw_only=True)
class NonOrthogonalMetrics(Metrics):
    """`objective` V (lg) or mutual information (bit/symbol); `margins` has `angle` (B, n), dB, in the constrained form only.

    Everything is a mean over the blocks.
    """

    crlb_symbol: Array  # (B,) mean over the slots of the Cramer-Rao bound of a symbol
    crlb_angle: Array  # (B,) rad^2, mean of both angles
    mutual_information: Array  # (B,) bit/symbol
    rate: Array  # (B,) log2(1 + SNR) of the decoding user, bit/symbol
    gain_comm: Array  # (B,) |g_1| / L
    gain_sense: Array  # (B,) |g_2| / L
    peb_m: Array | None = None  # (B,) position error bound; two blocks at different places only
    position_error_m: Array | None = None  # (B,) tracking, on the truth: distance of the belief's mean from the user
