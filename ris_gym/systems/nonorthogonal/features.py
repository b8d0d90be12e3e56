"""What an agent sees of `nonorthogonal` (model page, section 12). numpy; every feature is O(1) by known channel statistics."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ris_gym.arrays import abs2
from ris_gym.systems.nonorthogonal import physics
from ris_gym.systems.nonorthogonal.records import NonOrthogonalDesign, NonOrthogonalMetrics, NonOrthogonalScene

if TYPE_CHECKING:
    from ris_gym.systems.nonorthogonal.system import NonOrthogonal


def split(array: np.ndarray) -> np.ndarray:
    """Real and imaginary parts of (B, ...) as (B, 2, ...)."""
    out = np.empty((len(array), 2, *array.shape[1:]), np.float32)
    out[:, 0], out[:, 1] = array.real, array.imag
    return out


def scene(system: NonOrthogonal, known: NonOrthogonalScene) -> dict[str, np.ndarray]:
    """Phases of c_sense and c_comm, D / pi, symbols, levels, parameters, and the belief where there is one."""
    reference = known.reference
    assert reference is not None
    products, energy = reference["products"], reference["energy"]
    out = {
        "sense": split(products[..., 1]),
        "comm": split(products[..., 0]),
        "jacobian": reference["jacobian"] / math.pi,
        "symbols": np.stack(
            [energy / system.num_slots, reference["square"].real / energy, reference["square"].imag / energy], axis=-1
        ),
        "levels": np.stack(
            [
                np.log10(reference["level"] * (system.power_w * system.num_antennas / system.nominal_level)),
                np.log10(reference["comm_ratio"]),
            ],
            axis=-1,
        ),
        "task": np.tile(np.array([system.weight, system.snr_db / 10.0], np.float32), (len(energy), 1)),
    }
    if known.belief_mean is not None:
        mean, cov = np.asarray(known.belief_mean), np.asarray(known.belief_cov)
        std = np.sqrt(np.stack([cov[:, 0, 0], cov[:, 1, 1]], axis=-1))
        correlation = cov[:, 0, 1] / np.maximum(std[:, 0] * std[:, 1], 1e-30)
        belief = [mean[:, :2] / 10.0, mean[:, 2:] / 5.0, std, correlation[:, None]]
        out["belief"] = np.concatenate(belief, axis=1)
    return out


def design(
    system: NonOrthogonal, known: NonOrthogonalScene, current: NonOrthogonalDesign, metrics: NonOrthogonalMetrics
) -> dict[str, np.ndarray]:
    """Current coefficients, gains |g| / L and the coupling r~ / L^1.5 per block; margins / 10 in the constrained form."""
    moment = physics.moments(np, known, current.coefficients)
    size = system.num_elements
    out = {
        "coefficients": split(current.coefficients),
        "gains": np.sqrt(abs2(np, moment[..., :2])) / size,
    }
    if not system.two_user:
        p, q = physics.coupling(system, np, moment, np.ones_like(moment[..., 0]))
        out["coupling"] = np.stack([*p, *q], axis=-1) / size**1.5
    if "angle" in metrics.margins:
        out["margins"] = metrics.margins["angle"] / 10.0
    return out


def alignment(system: NonOrthogonal, known: NonOrthogonalScene, coefficients: np.ndarray) -> dict[str, np.ndarray]:
    """`xi_l c_l g^*` of both inner products over its rms in the block, real and imaginary parts, (B, 2, n, L) each."""
    reference = known.reference
    assert reference is not None
    products = reference["products"][..., :2]
    own = coefficients[..., None] * products
    turned = own * np.conj(np.sum(own, axis=-2, keepdims=True))
    rms = np.sqrt(np.mean(abs2(np, turned), axis=-2, keepdims=True))
    turned = turned / np.maximum(rms, np.finfo(rms.dtype).tiny * 1e6)
    return {"comm_alignment": split(turned[..., 0]), "sense_alignment": split(turned[..., 1])}
