"""What an agent sees of `multifunctional` (model page, section 12). numpy; every feature is O(1) by known channel statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ris_gym import channels
from ris_gym.arrays import abs2
from ris_gym.geometry import distance
from ris_gym.systems.multifunctional import physics, sampler
from ris_gym.systems.multifunctional.decoding import Realised
from ris_gym.systems.multifunctional.records import MultiFunctionalMetrics, MultiFunctionalScene

if TYPE_CHECKING:
    from ris_gym.systems.multifunctional.system import MultiFunctional

LARGEST = 9.9
"""Just inside the observation space."""
NOMINAL_DISTANCE_M = 20.0


def bare(scene: MultiFunctionalScene) -> MultiFunctionalScene:
    """Only what metrics and rules need: channels, steering vectors and constants."""
    names = ("bs_ris", "ris_user", "target_steering", "target_gain", "bs_sensor", "sensor_steering", "reference")
    return MultiFunctionalScene(**{name: getattr(scene, name) for name in names})


def split(array: np.ndarray) -> np.ndarray:
    """Real and imaginary parts of (B, ...) as float32 (B, 2, ...)."""
    out = np.empty((len(array), 2, *array.shape[1:]), np.float32)
    out[:, 0], out[:, 1] = array.real, array.imag
    return out


def scene(system: MultiFunctional, known: MultiFunctionalScene) -> dict[str, np.ndarray]:
    """Unit-rms links, steering vectors, phases of the targets' gains; levels over the model's values, dB / 10."""
    tiny = np.finfo(known.bs_ris.real.dtype).tiny
    gap = distance(np.array(system.bs_position_m), np.array(system.ris_position_m))
    near = float(channels.path_amplitude(gap, system.exponent_bs_ris, system.path_loss_1m_db))
    user = float(channels.path_amplitude(NOMINAL_DISTANCE_M, system.exponent_ris_user, system.path_loss_1m_db))
    target = float(sampler.target_level(system, NOMINAL_DISTANCE_M))

    def normalised(array: np.ndarray, axes: tuple[int, ...], level: float) -> tuple[np.ndarray, np.ndarray]:
        rms = np.maximum(channels.rms(array, axes), tiny)
        return split(array / rms), 2.0 * np.log10(rms.reshape(len(array), -1) / level)

    levels = []
    out = {}
    out["bs_ris"], level = normalised(known.bs_ris, (1, 2), near)
    levels.append(level)
    if known.bs_sensor is not None:
        out["bs_sensor"], level = normalised(known.bs_sensor, (2, 3), near)
        levels.append(level)
    out["ris_user"], level = normalised(known.ris_user, (2,), user)
    levels.append(level)
    out["target_steering"] = split(known.target_steering)
    if known.sensor_steering is not None:
        out["sensor_steering"] = split(known.sensor_steering)
    size = np.maximum(np.abs(known.target_gain), tiny)
    out["target_phase"] = split(known.target_gain / size)
    levels.append(2.0 * np.log10(size / target))
    out["levels"] = np.concatenate(levels, axis=1)
    return out


def design(system: MultiFunctional, metrics: MultiFunctionalMetrics) -> dict[str, np.ndarray]:
    """Echo SINRs in dB / 20, users' SINRs in dB / 10, margins of the rates / 5."""
    return {
        "echo_sinr": metrics.echo_sinr_db / 20.0,
        "sinr": metrics.sinr_db / 10.0,
        "margins": metrics.margins["rate"] / 5.0,
    }


def local(system: MultiFunctional, known: MultiFunctionalScene, made: Realised) -> dict[str, np.ndarray]:
    """Paths per element of each user and target times the conjugate of their total, over their rms in the scene, and the Gram
    matrix of the unit rows `[h_k^H; eta_l]`.

    `alignment` (B, 2, K + L, M): real and imaginary part of `g_km^* theta_im H_m h_k` and `a_lm^* theta_im H_m eta_l^H`.
    `gram` (B, 2, pairs): upper triangle.
    """
    theta = made.design.coefficients
    tiny = np.finfo(theta.real.dtype).tiny
    assert known.reference is not None
    own = physics.spread(np, theta, system.all_counts) * known.reference["rows"]
    rows = own @ known.bs_ris
    unit = rows / np.maximum(np.linalg.norm(rows, axis=2, keepdims=True), tiny)
    aligned = own * (unit.conj() @ known.bs_ris.mT)
    rms = np.sqrt(np.mean(abs2(np, aligned), axis=2, keepdims=True))
    aligned = aligned / np.maximum(rms, tiny)
    first, second = np.triu_indices(rows.shape[1], 1)
    gram = (unit @ np.conj(unit.mT))[:, first, second]
    return {"alignment": split(aligned), "gram": split(gram)}


def shortened(steps: np.ndarray) -> np.ndarray:
    """Directions (..., n) shortened to a largest entry of `LARGEST`."""
    largest = np.max(np.abs(steps), axis=-1, keepdims=True)
    return np.asarray(steps * (LARGEST / np.maximum(largest, LARGEST)))
