"""Scene, design and metrics of `vehicular`. B batch, K vehicles (and slots per frame), T frames, N elements of a surface."""

from __future__ import annotations

from dataclasses import dataclass

from ris_gym.arrays import Array, Batch
from ris_gym.systems.base import Metrics


@dataclass(frozen=True, kw_only=True)
class VehicularScene(Batch):
    """The decision point of one frame: state, belief with this frame's report, and the noise of the whole pass (section 2A).

    In what is known the truth and all noise are None.
    """

    position: Array | None = None  # (B, K) along the road, m
    velocity: Array | None = None  # (B, K) m/s
    process: Array | None = None  # (B, T, K slot, K vehicle, 2) standard normals
    report: Array | None = None  # (B, T, K, 2) standard normals, times the report's standard deviations
    echo: Array | None = None  # (B, T, K slot, 2 dwell, 3) standard normals of u, r, r'; dwell 0: own, 1: helper
    detect: Array | None = None  # (B, T, K slot, 2 dwell) uniform in [0, 1]
    belief_mean: Array  # (B, K, 2) m, m/s
    belief_cov: Array  # (B, K, 2, 2)
    report_mean: Array  # (B, K, 2) the belief from reports alone
    report_cov: Array  # (B, K, 2, 2)
    helper_snr: Array  # (B, K) energy SNR of helper dwells since the vehicle's last own slot, linear
    frame: Array  # (B,) int64, n
    user_phase: Array  # (B, K, N) phase of the channels from a vehicle's surface to its passenger, rad


@dataclass(frozen=True, kw_only=True)
class VehicularDesign(Batch):
    """Decisions of one frame, in [0, 1]; index: the vehicle (its own slot; the surface that uses a width)."""

    sensing_share: Array  # (B, K) a: first part of the slot, in which the vehicle's surface reflects
    reflect_width: Array  # (B, K) b^e
    refract_width: Array  # (B, K) b^c
    suppression: Array | None = None  # (B, K) q, with `unauthorised_radar`
    reflector: Array | None = None  # (B, K) int64 c: vehicle (k + c) mod K reflects in slot k, 0: none; with `choose_reflector`


@dataclass(frozen=True, kw_only=True)
class VehicularMetrics(Metrics):
    """`objective` = score: mean rate of the frame, bit/s/Hz. `margins`: `sensing` (B, K), dB, with a requirement."""

    counted: Array  # (B,) 0 in frame 0, else 1
    rate: Array  # (B, K) bit/s/Hz
    sensing_snr_db: Array  # (B, K) gamma credited to each vehicle, dB
    time_sensing: Array  # (B,) mean sensing share
    refract_gain_db: Array  # (B, K) A(Delta, W_c) at the end of the own slot, dB
    reflect_gain_db: Array  # (B, K) A(2 Delta, W_e)
    requirement_met: Array | None = None  # (B,) share of vehicles with gamma >= Gamma
    position_error_m: Array | None = None  # (B, K) truth only: of the belief that points the data beam, in the own slot
    position_error_m2: Array | None = None  # (B, K) its square
    nees: Array | None = None  # (B, K) truth only: normalised squared error of the full belief after the own dwell
    detections: Array | None = None  # (B,) truth only: detected dwells of the frame
    radar_snr_db: Array | None = None  # (B, K) gamma_e, with `unauthorised_radar`
    radar_detection: Array | None = None  # (B, K) P_e
