"""The moving user of `nonorthogonal`: start, motion, measurement, Kalman filter (model page, section 12). numpy only.

State: position (x, y) on the floor and velocity. The decision of a frame is made on the *predicted* belief of that frame.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ris_gym.arrays import abs2
from ris_gym.systems.nonorthogonal import physics, sampler
from ris_gym.systems.nonorthogonal.records import NonOrthogonalDesign, NonOrthogonalScene

if TYPE_CHECKING:
    from ris_gym.systems.nonorthogonal.system import NonOrthogonal

START_RANGE_M = (7.0, 15.0)
"""Floor distance from the foot of the surface at the start, m (within the room's range)."""
REGULARISER = 1e-2
"""Added to the information of a measurement, 1/m^2."""


def sample(system: NonOrthogonal, rng: np.random.Generator, batch: int, dtype: str) -> NonOrthogonalScene:
    """Scenes of an episode: truth, belief and the normals of all its frames."""
    frames, blocks, slots = system.num_frames, system.num_blocks, system.num_slots
    low, high = (float(np.clip(r, system.min_range_m, system.max_range_m)) for r in START_RANGE_M)
    distance = low + (high - low) * rng.random(batch)
    angle = np.deg2rad(system.max_azimuth_deg) * (2.0 * rng.random(batch) - 1.0)
    position = np.stack([distance * np.cos(angle), distance * np.sin(angle), np.zeros(batch)], axis=-1)
    error, speed = rng.standard_normal((2, batch, 2))
    covariance = np.diag([system.initial_std_m**2] * 2 + [max(system.speed_mps, 1e-6) ** 2] * 2)
    ahead = sampler.draw_symbols(system, rng, (batch, frames, blocks, slots))
    scene = NonOrthogonalScene(
        **moved_to(system, position, sampler.random_phase(rng, (batch, blocks))),
        **sampler.decoder(system, rng, batch),
        **sampler.links(system, rng, batch),
        symbols=ahead[:, 0],
        frame=np.zeros(batch, np.int64),
        velocity=system.speed_mps * speed,
        belief_mean=np.concatenate([position[:, :2] + system.initial_std_m * error, np.zeros((batch, 2))], axis=1),
        belief_cov=np.tile(covariance, (batch, 1, 1)),
        motion_noise=rng.standard_normal((batch, frames, 2)),
        measurement_noise=rng.standard_normal((batch, frames, 2)),
        symbols_ahead=ahead,
        receiver_seed=rng.integers(2**53, size=(batch, frames)) if system.measurement == "ml" else None,
    )
    return sampler.finished(system, scene, dtype)


def moved_to(system: NonOrthogonal, position: np.ndarray, phase: np.ndarray) -> dict[str, Any]:
    """Arrays of the scene that follow from a user's position (B, 3); phase (B, n): unit numbers of the gain."""
    frequency, distance = sampler.seen_from(system, position)
    return {
        "spatial_frequency": frequency,
        "ris_user_distance": distance,
        "gain_ris_user": sampler.user_amplitude(system, distance) * phase,
        "user_position": position,
    }


def believed(system: NonOrthogonal, scene: NonOrthogonalScene) -> NonOrthogonalScene:
    """What is known: the user at the belief's mean; truth and all numbers drawn in advance hidden."""
    return _placed(system, scene, np.asarray(scene.belief_mean, float)[:, :2])


def _placed(system: NonOrthogonal, scene: NonOrthogonalScene, floor: np.ndarray) -> NonOrthogonalScene:
    """The scene with the user believed at points (B, 2) of the floor; constants are still those of before."""
    position = np.concatenate([floor, np.zeros((len(floor), 1))], axis=1)
    gain = np.asarray(scene.gain_ris_user).astype(complex)
    return scene.replace(**{**moved_to(system, position, gain / np.abs(gain)), "user_position": None})


def at_positions(system: NonOrthogonal, known: NonOrthogonalScene, floor: np.ndarray) -> NonOrthogonalScene:
    """What is known, were the user at points (B, 2) of the floor, m; in double precision."""
    return sampler.finished(system, _placed(system, known, floor), "complex128")


def measurement_information(
    system: NonOrthogonal, scene: NonOrthogonalScene, design: NonOrthogonalDesign
) -> np.ndarray:
    """J_r (B, 2, 2) of the position on the floor, 1/m^2: section 4.6 with the columns x, y and the `complex` Lambda."""
    weight = angle_information(system, scene, design)
    rows = np.asarray(physics.position_rows(np, scene), float)[..., :2]
    return np.asarray(np.sum(rows.mT @ (weight[..., None] * rows), axis=1))


def angle_information(system: NonOrthogonal, scene: NonOrthogonalScene, design: NonOrthogonalDesign) -> np.ndarray:
    """Diagonals of a Lambda, the information on u per block (B, n, 2), 1/rad^2: always the `complex` one."""
    level = physics.beam_level(np, scene, design)
    moment = physics.moments(np, scene, design.coefficients)
    power = np.maximum(abs2(np, moment[..., 1]), physics.LEAST_GAIN**2)
    energy = scene.reference["energy"]  # type: ignore[index]
    return np.asarray((level * energy * power)[..., None] * system.user_spread, float)


def advance(system: NonOrthogonal, scene: NonOrthogonalScene, design: NonOrthogonalDesign) -> NonOrthogonalScene:
    """Measure with the design, filter, predict, move the user: the scene of the next frame, with all its numbers drawn before."""
    dtype = np.asarray(scene.incident).dtype.name
    each = np.arange(len(scene))
    frame = np.asarray(scene.frame)
    row = np.minimum(frame, system.num_frames - 1)
    mean, covariance = np.asarray(scene.belief_mean, float), np.asarray(scene.belief_cov, float)
    noise = np.linalg.inv(measurement_information(system, scene, design) + REGULARISER * np.eye(2))
    measured = measure(system, scene, design, noise, row)
    mean, covariance = predict(system, *update(mean, covariance, measured, noise))
    fresh = np.asarray(scene.motion_noise, float)[each, row]
    position, velocity = move(system, np.asarray(scene.user_position, float), np.asarray(scene.velocity, float), fresh)
    following = np.minimum(frame + 1, system.num_frames - 1)
    gain = np.asarray(scene.gain_ris_user).astype(complex)
    after = scene.replace(
        **moved_to(system, position, gain / np.abs(gain)),
        velocity=velocity,
        belief_mean=mean,
        belief_cov=covariance,
        frame=frame + 1,
        symbols=np.asarray(scene.symbols_ahead)[each, following],
    )
    return sampler.finished(system, after, dtype)


def measure(
    system: NonOrthogonal, scene: NonOrthogonalScene, design: NonOrthogonalDesign, noise: np.ndarray, row: np.ndarray
) -> np.ndarray:
    """The measured position (B, 2) on the floor, m: `gaussian` r + R^(1/2) N(0, I), or the estimator of section 4.6."""
    if system.measurement == "ml":
        from ris_gym.systems.nonorthogonal.estimator import measured_position

        return measured_position(system, scene, design, row)
    error = np.asarray(scene.measurement_noise, float)[np.arange(len(row)), row]
    truth = np.asarray(scene.user_position, float)[:, :2]
    return np.asarray(truth + (np.linalg.cholesky(noise) @ error[..., None])[..., 0])


def update(
    mean: np.ndarray, covariance: np.ndarray, measured: np.ndarray, noise: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Kalman update with a position of covariance R: `K = C_:r (C_rr + R)^-1`, in Joseph's form (stays positive definite)."""
    gain = covariance[..., :2] @ np.linalg.inv(covariance[..., :2, :2] + noise)
    mean = mean + (gain @ (measured - mean[:, :2])[..., None])[..., 0]
    rest = np.eye(4) - np.concatenate([gain, np.zeros_like(gain)], axis=-1)
    return mean, rest @ covariance @ rest.mT + gain @ noise @ gain.mT


def predict(system: NonOrthogonal, mean: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One frame ahead: `F = [[I, tau I], [0, rho I]]`, `Q = diag(0, 0, 1, 1) (1 - rho^2) sigma_v^2`; no reflection."""
    keep = system.speed_correlation
    step = np.kron(np.array([[1.0, system.block_time_s], [0.0, keep]]), np.eye(2))
    drift = np.diag([0.0, 0.0, 1.0, 1.0]) * (1.0 - keep**2) * system.speed_mps**2
    covariance = step @ covariance @ step.T + drift
    return mean @ step.T, 0.5 * (covariance + covariance.mT)


def move(
    system: NonOrthogonal, position: np.ndarray, velocity: np.ndarray, fresh: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One frame of motion, with polar reflection at the borders of the room: (B, 3), (B, 2)."""
    keep = system.speed_correlation
    floor = position[:, :2] + system.block_time_s * velocity
    velocity = keep * velocity + math.sqrt(1.0 - keep**2) * system.speed_mps * fresh
    distance, angle = np.hypot(floor[:, 0], floor[:, 1]), np.arctan2(floor[:, 1], floor[:, 0])
    radial = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    tangent = np.stack([-radial[:, 1], radial[:, 0]], axis=-1)
    along, across = np.sum(velocity * radial, axis=-1), np.sum(velocity * tangent, axis=-1)
    distance, flipped = _reflected(distance, system.min_range_m, system.max_range_m)
    along = np.where(flipped, -along, along)
    limit = math.radians(system.max_azimuth_deg)
    angle, flipped = _reflected(angle, -limit, limit)
    across = np.where(flipped, -across, across)
    radial = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    tangent = np.stack([-radial[:, 1], radial[:, 0]], axis=-1)
    velocity = along[:, None] * radial + across[:, None] * tangent
    return np.concatenate([distance[:, None] * radial, position[:, 2:]], axis=1), velocity


def folded(system: NonOrthogonal, floor: np.ndarray) -> np.ndarray:
    """Points (B, 2) of the floor, m, those outside of the room mirrored at its borders, as the motion of the user is."""
    distance, angle = np.hypot(floor[:, 0], floor[:, 1]), np.arctan2(floor[:, 1], floor[:, 0])
    limit = math.radians(system.max_azimuth_deg)
    distance = _reflected(distance, system.min_range_m, system.max_range_m)[0]
    angle = _reflected(angle, -limit, limit)[0]
    return np.stack([distance * np.cos(angle), distance * np.sin(angle)], axis=-1)


def _reflected(value: np.ndarray, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Values mirrored at the borders (a step longer than the room ends at its border), and where that happened."""
    over, under = value > high, value < low
    value = np.where(over, 2.0 * high - value, np.where(under, 2.0 * low - value, value))
    return np.clip(value, low, high), over | under
