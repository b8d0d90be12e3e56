"""What an agent sees of `active_crb` (model page, section 12). numpy; every feature is O(1) by known channel statistics."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ris_gym import channels
from ris_gym.arrays import abs2
from ris_gym.geometry import distance
from ris_gym.systems.active_crb.beams import Realised
from ris_gym.systems.active_crb.records import ActiveCrbMetrics, ActiveCrbScene

if TYPE_CHECKING:
    from ris_gym.systems.active_crb.system import ActiveCrb

LARGEST = 9.9
"""Just inside the observation space."""


def bare(scene: ActiveCrbScene) -> ActiveCrbScene:
    """Only what metrics need: channels and constants."""
    return ActiveCrbScene(
        bs_ris=scene.bs_ris, ris_user=scene.ris_user, target_response=scene.target_response, reference=scene.reference
    )


def split(array: np.ndarray) -> np.ndarray:
    """Real and imaginary parts of (B, ...) as float32 (B, 2, ...)."""
    out = np.empty((len(array), 2, *array.shape[1:]), np.float32)
    out[:, 0], out[:, 1] = array.real, array.imag
    return out


def nominal(system: ActiveCrb) -> tuple[float, float]:
    """Amplitudes that normalise the level of the users' channels and the target response."""
    ris = np.array(system.ris_position_m)
    x_min, x_max, y_min, y_max = system.user_area_m
    centre = np.array([0.5 * (x_min + x_max), 0.5 * (y_min + y_max)])
    user = channels.path_amplitude(distance(ris, centre), system.exponent_ris_user, system.path_loss_1m_db)
    gap = float(distance(ris, np.array(system.target_position_m)))
    target = math.sqrt(10.0 ** (-system.path_loss_1m_db / 10.0) * system.target_rcs_m2 / (4.0 * math.pi)) * gap**-2.0
    return float(user), target


def scene(system: ActiveCrb, known: ActiveCrbScene) -> dict[str, np.ndarray]:
    """G over its path amplitude, unit-rms h_k, their levels in dB / 10, upper triangle of H over its nominal rms."""
    user, target = nominal(system)
    rms = np.maximum(channels.rms(known.ris_user, (2,)), np.finfo(known.ris_user.real.dtype).tiny)
    upper = np.triu_indices(system.num_elements)
    return {
        "bs_ris": split(known.bs_ris / system.amplitude_bs_ris),
        "ris_user": split(known.ris_user / rms),
        "ris_user_level": 2.0 * np.log10(rms[..., 0] / user),
        "target_response": split(known.target_response[:, *upper] / target),
    }


def design(system: ActiveCrb, metrics: ActiveCrbMetrics) -> dict[str, np.ndarray]:
    """Score, margins / 10 (not for sensing only), powers over their budgets (passive: the BS's only)."""
    budgets = [metrics.power_w / system.power_w]
    if metrics.surface_power_w is not None:
        budgets.append(metrics.surface_power_w / system.surface_power_w)
    out = {"score": metrics.score[:, None]}
    if metrics.margins:
        out["margins"] = metrics.margins["sinr"] / 10.0
    return out | {"budgets": np.stack(budgets, axis=1)}


def local(system: ActiveCrb, known: ActiveCrbScene, made: Realised) -> dict[str, np.ndarray]:
    """Paths per element and user, shares per element of the sums of CRB and surface power, Gram matrix of the users' rows.

    `alignment` (B, 2, K, N): real and imaginary part of `conj(h_kn) v_n G_n c_k^H`, over its rms in the scene.
    `share` (B, 3 or 2, N): `log10(N share + 1e-3)`. `gram` (B, 2, pairs): products of the unit rows `c_k`, upper triangle.
    """
    v, g = made.design.coefficients, known.bs_ris
    own = known.ris_user.conj() * v[:, None, :]
    rows = own @ g
    aligned = own * (rows.conj() @ g.mT)
    tiny = np.finfo(v.real.dtype).tiny
    aligned = aligned / np.maximum(np.sqrt(np.mean(abs2(np, aligned), axis=(1, 2), keepdims=True)), tiny)
    unit = rows / np.maximum(np.linalg.norm(rows, axis=2, keepdims=True), tiny)
    first, second = np.triu_indices(system.num_users, 1)
    gram = (unit @ np.conj(unit.mT))[:, first, second]
    return {"alignment": split(aligned), "share": shares(system, known, made), "gram": split(gram)}


def shortened(steps: np.ndarray) -> np.ndarray:
    """Directions (..., n) shortened to a largest entry of `LARGEST`: a few entries may hold the whole derivative."""
    largest = np.max(np.abs(steps), axis=-1, keepdims=True)
    return np.asarray(steps * (LARGEST / np.maximum(largest, LARGEST)))


def shares(system: ActiveCrb, known: ActiveCrbScene, made: Realised) -> np.ndarray:
    """`log10(N share + 1e-3)` of each element in both sums of the CRB and in the surface power, (B, 3, N); passive: (B, 2, N)."""
    gain = abs2(np, made.design.coefficients)
    assert known.reference is not None and made.inverse is not None
    terms = [made.inverse[0] / gain, known.reference["inverse_diagonal"] / gain]
    if made.radiated is not None:
        noise = system.noise_surface_w
        back = known.target_response @ (made.design.coefficients[..., None] * made.x)
        spread = (known.reference["response_power"] @ gain[..., None])[..., 0]
        terms.append(gain * (made.radiated.per_element + np.sum(abs2(np, back), axis=2) + noise * (2.0 + spread)))
    stacked = np.stack(terms, axis=1)
    part = stacked / np.maximum(stacked.sum(axis=2, keepdims=True), np.finfo(gain.dtype).tiny)
    return np.asarray(np.log10(system.num_elements * part + 1e-3))
