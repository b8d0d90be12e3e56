"""What the filter of `tracking` does not use: the room's borders and its own last errors. numpy.

The filter knows no reflection: near a border, and for some frames after one, its prediction is wrong in a way that can be
foreseen from where it is and from how its last predictions failed. `features` shows that in the polar frame of the room
(radial, tangential).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ris_gym.systems.base import Aim
from ris_gym.systems.nonorthogonal import tracking
from ris_gym.systems.nonorthogonal.records import NonOrthogonalScene

if TYPE_CHECKING:
    from ris_gym.systems.nonorthogonal.system import NonOrthogonal

LIMIT = 5.0
"""Features are clipped to this."""


def aim(system: NonOrthogonal, known: NonOrthogonalScene, memory: Mapping[str, Any] | None) -> Aim:
    """See `System.aim`; offsets are (radial, tangential), m. `memory` holds the last belief and its last failure."""
    mean, covariance = np.asarray(known.belief_mean, float), np.asarray(known.belief_cov, float)
    frame = polar(mean)
    failure, before = np.zeros_like(mean), np.zeros_like(mean)
    if memory is not None:
        last, before = np.asarray(memory["belief"], float), np.asarray(memory["failure"], float)
        failure = mean - tracking.predict(system, last, covariance)[0]

    def place(offset: np.ndarray) -> NonOrthogonalScene:
        moved = mean[:, :2] + (frame.mT @ np.asarray(offset, float)[..., None])[..., 0]
        return tracking.at_positions(system, known, moved)

    def target(scene: NonOrthogonalScene) -> np.ndarray:
        gap = np.asarray(scene.user_position, float)[:, :2] - mean[:, :2]
        return np.asarray((frame @ gap[..., None])[..., 0])

    return Aim(
        features=features(system, mean, covariance, frame, failure, before),
        memory={"belief": mean, "failure": failure},
        place=place,
        target=target,
    )


def polar(mean: np.ndarray) -> np.ndarray:
    """Rows radial and tangential unit vector at the mean's position, (B, 2, 2)."""
    angle = np.arctan2(mean[:, 1], mean[:, 0])
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([np.stack([cos, sin], -1), np.stack([-sin, cos], -1)], -2)


def features(
    system: NonOrthogonal,
    mean: np.ndarray,
    covariance: np.ndarray,
    frame: np.ndarray,
    failure: np.ndarray,
    before: np.ndarray,
) -> np.ndarray:
    """(B, 19) float32: distances to the four borders, velocity, spread of the position, range, azimuth, and by how much the last
    two means differ from what was predicted from those before them (position and velocity)."""

    def turned(vector: np.ndarray) -> np.ndarray:
        return np.asarray((frame @ vector[..., None])[..., 0])

    distance, angle = np.hypot(mean[:, 0], mean[:, 1]), np.arctan2(mean[:, 1], mean[:, 0])
    limit = math.radians(system.max_azimuth_deg)
    scale = max(system.speed_mps * system.block_time_s, 1e-3)
    borders = np.stack(
        [
            distance - system.max_range_m,
            distance - system.min_range_m,
            (angle - limit) * distance,
            (angle + limit) * distance,
        ],
        axis=-1,
    )
    spread = frame @ covariance[:, :2, :2] @ frame.mT
    std = np.sqrt(np.stack([spread[:, 0, 0], spread[:, 1, 1]], axis=-1))
    speed = max(system.speed_mps, 1e-3)
    parts = [
        borders / (1.5 * scale),
        turned(mean[:, 2:]) / speed,
        2.0 * std / scale,
        spread[:, :1, 1] / np.prod(std, axis=-1, keepdims=True),
        distance[:, None] / 10.0,
        angle[:, None],
        *(turned(part) / size for past in (failure, before) for part, size in ((past[:, :2], scale), (past[:, 2:], speed))),
    ]
    return np.concatenate(parts, axis=1).clip(-LIMIT, LIMIT).astype(np.float32)
