"""What an agent sees of `vehicular` (section 12A). numpy; every feature is O(1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ris_gym.systems.vehicular import motion, radar

if TYPE_CHECKING:
    from ris_gym.systems.vehicular.parameters import Parameters

HELPER_FLOOR = 0.1


def scene(system: Parameters, known: Any) -> dict[str, np.ndarray]:
    """Beliefs predicted to each vehicle's own slot, link levels, helper echoes; clock and requirement."""
    look = motion.outlook(system, known)
    cov = look.covariance
    first, second, cross = cov[..., 0, 0], cov[..., 1, 1], cov[..., 0, 1]
    out = {
        "position": look.mean[..., 0] / 50.0,
        "velocity": (look.mean[..., 1] - 15.0) / 5.0,
        "spread": np.log10(look.spread),
        "speed_std": 0.5 * np.log10(np.maximum(second, 1e-12)),
        "correlation": np.clip(cross / np.sqrt(np.maximum(first * second, 1e-30)), -1.0, 1.0),
        "comm_snr": np.log10(look.comm),
        "echo_snr": np.log10(look.echo),
        "helper_snr": np.log10(np.maximum(np.asarray(known.helper_snr, float), HELPER_FLOOR)),
    }
    if not system.s_assist:
        ahead = system.slot_s * np.arange(1.0, system.num_users + 1)
        out["report_position"] = (np.asarray(known.report_mean, float) @ np.array([1.0, 0.0])) / 50.0
        out["report_position"] += ahead * np.asarray(known.report_mean, float)[..., 1] / 50.0
        out["report_spread"] = np.log10(look.report_spread)
    if system.unauthorised_radar:
        to_radar, _ = radar.believed(system, look.mean, cov)
        out["radar_offset"] = look.cosine - to_radar
        out["radar_cosine"] = to_radar
        out["radar_snr"] = np.log10(radar.echo_energy(system, look.mean[..., 0]))
    frame = np.asarray(known.frame, float)
    period = system.report_period
    threshold = 0.0 if system.sensing_threshold_db is None else system.sensing_threshold_db / 20.0
    out["clock"] = np.stack(
        [(period - frame % period) / period, 1.0 - frame / system.num_frames, np.full_like(frame, threshold)], axis=-1
    )
    return out
