"""Scenes of `vehicular`: sampling and loading (section 2A). numpy only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ris_gym.systems import checks
from ris_gym.systems.vehicular.records import VehicularScene

if TYPE_CHECKING:
    from ris_gym.systems.vehicular.parameters import Parameters

BELIEFS = ("belief", "report")


def sample(system: Parameters, rng: np.random.Generator, batch: int, dtype: str) -> VehicularScene:
    """Draw the first decision points of `batch` passes, with all noise to come."""
    if dtype not in ("complex64", "complex128"):
        raise ValueError(f"dtype must be 'complex64' or 'complex128', got {dtype!r}")
    users, frames = system.num_users, system.num_frames
    order = np.arange(users) - 0.5 * (users - 1)
    position = system.start_m - system.spacing_m * order + rng.uniform(-system.jitter_m, system.jitter_m, (batch, users))
    speed = rng.uniform(system.speed_min_mps, system.speed_max_mps, (batch, 1))
    velocity = speed + system.speed_std_mps * rng.standard_normal((batch, users))
    process = rng.standard_normal((batch, frames, users, users, 2), np.float32)
    report = rng.standard_normal((batch, frames, users, 2), np.float32)
    echo = rng.standard_normal((batch, frames, users, 2, 3), np.float32)
    detect = rng.random((batch, frames, users, 2), np.float32)
    phase = (2.0 * math.pi) * rng.random((batch, users, system.num_elements), np.float32)
    deviation = np.array([system.report_std_m, system.report_std_mps])
    mean = np.stack([position, velocity], axis=-1) + deviation * report[:, 0]
    covariance = np.tile(np.diag(deviation**2), (batch, users, 1, 1))
    return VehicularScene(
        position=position, velocity=velocity, process=process, report=report, echo=echo, detect=detect,
        belief_mean=mean, belief_cov=covariance, report_mean=mean.copy(), report_cov=covariance.copy(),
        helper_snr=np.zeros((batch, users)), frame=np.zeros(batch, np.int64), user_phase=phase,
    ).astype(dtype)  # fmt: skip


def check_scene(system: Parameters, arrays: Mapping[str, np.ndarray]) -> VehicularScene:
    """Build a scene from loaded arrays, in double precision."""
    users, frames = system.num_users, system.num_frames
    needed: dict[str, tuple[int, ...]] = {
        "position": (users,), "velocity": (users,), "process": (frames, users, users, 2), "report": (frames, users, 2),
        "echo": (frames, users, 2, 3), "detect": (frames, users, 2), "belief_mean": (users, 2), "belief_cov": (users, 2, 2),
        "report_mean": (users, 2), "report_cov": (users, 2, 2), "helper_snr": (users,), "frame": (),
        "user_phase": (users, system.num_elements),
    }  # fmt: skip
    out = checks.scene_arrays(arrays, needed, {}, set())
    frame, detect = out["frame"], out["detect"]
    if np.any(wrong := (frame < 0) | (frame > frames) | (frame != np.floor(frame))):
        raise ValueError(f"array 'frame' must hold integers in [0, {frames}], got {frame[wrong][0]:g}")
    if np.any(wrong := (detect < 0.0) | (detect > 1.0)):
        raise ValueError(f"array 'detect' must lie in [0, 1], got {detect[wrong][0]:g}")
    if np.any(wrong := out["helper_snr"] < 0.0):
        raise ValueError(f"array 'helper_snr' must not be negative, got {out['helper_snr'][wrong][0]:g}")
    for name in (f"{belief}_cov" for belief in BELIEFS):
        cov = out[name]
        first, second, cross = cov[..., 0, 0], cov[..., 1, 1], cov[..., 0, 1]
        scale = np.sqrt(np.maximum(first * second, 0.0))
        odd = (first <= 0.0) | (second <= 0.0) | (np.abs(cross) > 1.00001 * scale)
        odd |= np.abs(cross - cov[..., 1, 0]) > 1e-5 * scale
        if np.any(odd):
            scene = np.argwhere(odd)[0][0]
            raise ValueError(f"array {name!r} must be symmetric and positive definite, which scene {scene} breaks")
    out["frame"] = frame.astype(np.int64)
    return VehicularScene(**out)
