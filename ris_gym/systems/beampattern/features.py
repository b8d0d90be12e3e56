"""What an agent sees of `beampattern` (model page, section 12). numpy; every feature is O(1) by known channel statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ris_gym.arrays import energy
from ris_gym.systems.beampattern import beams as rules
from ris_gym.systems.beampattern.records import BeampatternDesign, BeampatternMetrics, BeampatternScene

if TYPE_CHECKING:
    from ris_gym.systems.beampattern.system import Beampattern


def without_los(scene: BeampatternScene) -> BeampatternScene:
    """Only what metrics need: channels and reference."""
    return BeampatternScene(
        bs_ris=scene.bs_ris, ris_user=scene.ris_user, bs_user=scene.bs_user, reference=scene.reference
    )


def amplitude(system: Beampattern, scene: BeampatternScene, link: str) -> float | np.ndarray:
    """Amplitude that normalises a link: nominal, or the file's (B, 1, 1)."""
    if scene.reference is None:
        return system.path_amplitudes[link]
    return np.asarray(scene.reference[f"rho_{link}"])[:, None, None]


def scene(system: Beampattern, known: BeampatternScene) -> dict[str, np.ndarray]:
    """`G / rho_1`, `h_r / rho_2`, unit `h_d` times sqrt(M) (real, then imaginary parts) and the level of `h_d`."""
    power = energy(np, known.bs_user)[..., None]
    tiny = np.finfo(power.dtype).tiny
    scales = {
        "bs_ris": 1.0 / amplitude(system, known, "bs_ris"),
        "ris_user": 1.0 / amplitude(system, known, "ris_user"),
        "bs_user": np.sqrt(system.num_antennas / np.maximum(power, tiny)),
    }
    out = {}
    for name, scale in scales.items():
        channel = getattr(known, name)
        packed = np.empty((len(channel), 2, *channel.shape[1:]), np.float32)
        np.multiply(channel.real, scale, out=packed[:, 0])
        np.multiply(channel.imag, scale, out=packed[:, 1])
        out[name] = packed
    level = power / (system.num_antennas * amplitude(system, known, "bs_user") ** 2)
    out["bs_user_level"] = np.log10(np.maximum(level[..., 0], 1e-30))
    return out


def design(system: Beampattern, known: BeampatternScene, metrics: BeampatternMetrics) -> dict[str, np.ndarray]:
    """Gains over `p_ref` in dB / 10 (floored at -6) and margins / 10."""
    reference = np.asarray(system.reference_dbm(known)).reshape(-1, 1)
    return {"gains": (metrics.gains_dbm - reference) / 10.0, "margins": metrics.margins["sinr"] / 10.0}


def local(system: Beampattern, known: BeampatternScene, current: BeampatternDesign) -> dict[str, np.ndarray]:
    """Alignments per element with every user's and target's total path, and the Gram matrix of the effective channels.

    `alignment` (B, 2, K + L, N): real and imaginary part of `sum_m conj(H_km) h_r,kn^* v_n G_nm`, over its rms in the scene.
    `gram` (B, 2, pairs): upper triangle of the unit rows' products, real and imaginary part (diagonal left out).
    """
    users, targets = system.num_users, len(system.angles_deg)
    own, rows = rules.paths(system, known, current.coefficients)
    aligned = rows.conj() @ known.bs_ris.mT
    aligned *= own
    count = aligned.shape[1] * aligned.shape[2]
    mean = energy(np, aligned.reshape(len(aligned), count))[:, None, None] / count
    scale = 1.0 / np.sqrt(np.maximum(mean, np.finfo(mean.dtype).tiny))
    alignment = np.empty((len(aligned), 2, *aligned.shape[1:]), mean.dtype)
    for to, origin in ((slice(None, users), slice(targets, None)), (slice(users, None), slice(None, targets))):
        np.multiply(aligned.real[:, origin], scale, out=alignment[:, 0, to])
        np.multiply(aligned.imag[:, origin], scale, out=alignment[:, 1, to])
    norm = np.sqrt(np.maximum(energy(np, rows), np.finfo(mean.dtype).tiny))
    unit = rows / norm[..., None]
    order = np.roll(np.arange(users + targets), users)
    first, second = np.triu_indices(users + targets, 1)
    gram = (unit @ np.conj(unit.mT))[:, order[first], order[second]]
    return {"alignment": alignment, "gram": np.stack([gram.real, gram.imag], axis=1)}
