"""Beampattern of `multifunctional`: what the surface radiates by direction, in each half-space (model page, section 4). numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ris_gym.arrays import abs2
from ris_gym.systems.multifunctional.records import MultiFunctionalDesign, MultiFunctionalScene
from ris_gym.systems.multifunctional.sampler import direction, surface_response, towards

if TYPE_CHECKING:
    from ris_gym.systems.multifunctional.system import MultiFunctional

FLOOR_DBM = -150.0
CHUNK = 4096
"""Directions computed at once: bounds the memory of fine grids."""


def beampattern_w(
    system: MultiFunctional,
    scene: MultiFunctionalScene,
    design: MultiFunctionalDesign,
    elevation_deg: np.ndarray | float,
    azimuth_deg: np.ndarray | float,
) -> np.ndarray:
    """Power radiated by the surface towards directions of both half-spaces, per unit path.

    `p_i(e) = ||a(e)^H diag(theta_i) H W||^2`, `e = (-/+ cos phi cos vartheta, cos phi sin vartheta, sin phi)`; with time
    switching `W` is that of slot i. Without the surface's own noise.

    Args:
        scene: the channels on which the design is used (any batch B); design: of the same batch.
        elevation_deg, azimuth_deg: phi and vartheta seen from the surface, in [-90, 90], of shapes that broadcast; a grid is
            `elevation[:, None], azimuth[None, :]`.

    Returns:
        (B, 2, *shape) in W, float64; entry i of the second axis belongs to half-space i (0 = r, 1 = t).

    Source: arXiv 2412.01251, beampattern figure; the formula is reconstructed (model page, section 4).
    """
    scene, design = scene.to_numpy(), design.to_numpy()
    elevation, azimuth = np.broadcast_arrays(np.asarray(elevation_deg, float), np.asarray(azimuth_deg, float))
    w = np.asarray(design.all_beams).astype(complex)
    through = np.asarray(scene.bs_ris).astype(complex)[:, None] @ (w if system.time_switching else w[:, None])
    waves = np.asarray(design.coefficients)[..., None] * through  # (B, 2, M, S)
    batch, sides, elements, streams = waves.shape
    columns = waves.transpose(2, 0, 1, 3).reshape(elements, -1)
    # e_y and e_z, all that the array sees, are the same on both sides
    units = towards(elevation.reshape(-1), azimuth.reshape(-1), 1)
    out = np.empty((len(units), batch, sides))
    for start in range(0, len(units), CHUNK):
        part = surface_response(system, units[start : start + CHUNK]).conj() @ columns
        out[start : start + CHUNK] = abs2(np, part).reshape(-1, batch, sides, streams).sum(axis=-1)
    return np.ascontiguousarray(np.moveaxis(out, 0, -1)).reshape(batch, sides, *elevation.shape)


def beampattern_dbm(
    system: MultiFunctional,
    scene: MultiFunctionalScene,
    design: MultiFunctionalDesign,
    elevation_deg: np.ndarray | float,
    azimuth_deg: np.ndarray | float,
) -> np.ndarray:
    """`beampattern_w` in dBm, floored at -150."""
    power = beampattern_w(system, scene, design, elevation_deg, azimuth_deg)
    return np.asarray(10.0 * np.log10(np.maximum(power, 10.0 ** (FLOOR_DBM / 10.0 - 3.0))) + 30.0)


def angles_deg(origin_m: np.ndarray, position_m: np.ndarray) -> np.ndarray:
    """Elevation and azimuth in degrees of positions (..., 3) seen from `origin_m` (3,) or (..., 3), as (..., 2), in [-90, 90]."""
    x, y, z = np.moveaxis(direction(np.asarray(origin_m, float), np.asarray(position_m, float)), -1, 0)
    return np.rad2deg(np.stack([np.arctan2(z, np.hypot(x, y)), np.arctan2(y, np.abs(x))], axis=-1))


def seen_angles_deg(system: MultiFunctional, scene: MultiFunctionalScene) -> tuple[np.ndarray, np.ndarray]:
    """Elevation and azimuth in degrees of users (B, K, 2) and targets (B, L, 2), seen from the surface.

    From positions where the scene has them; else the direction of the strongest path, the largest `|a(e)^H g_k|` and
    `|a(e)^H a_l|` on a grid of 2 degrees (with a single row or column of elements one of the angles is not defined).
    """
    scene = scene.to_numpy()
    ris = scene.ris_position
    out = []
    for position, rows in ((scene.user_position, scene.ris_user), (scene.target_position, scene.target_steering)):
        if position is not None:
            origin = np.array(system.ris_position_m)[None] if ris is None else np.asarray(ris)
            out.append(angles_deg(origin[:, None], np.asarray(position)))
        else:
            out.append(_strongest(system, np.asarray(rows)))
    return out[0], out[1]


def _strongest(system: MultiFunctional, rows: np.ndarray) -> np.ndarray:
    """Direction (..., 2) of the largest `|a(e)^H row|` of rows (..., M), degrees."""
    line = np.arange(-90.0, 91.0, 2.0)
    grid = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    responses = surface_response(system, towards(grid[:, 0], grid[:, 1], 1))
    return grid[np.argmax(abs2(np, rows @ responses.conj().T), axis=-1)]
