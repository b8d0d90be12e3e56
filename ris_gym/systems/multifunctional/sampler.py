"""Scenes of `multifunctional`: sampling, fading, loading, constants (model page, sections 2, 7.6 and 12). numpy only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ris_gym import channels
from ris_gym.geometry import distance, planar_steering_vector, steering_vector
from ris_gym.systems import checks
from ris_gym.systems.multifunctional.records import MultiFunctionalScene

if TYPE_CHECKING:
    from ris_gym.systems.multifunctional.system import MultiFunctional

SIGN = -1
"""Sign of the exponent of every steering vector."""
LINKS: dict[str, tuple[int, ...]] = {"bs_ris": (1, 2), "bs_sensor": (2, 3), "ris_user": (2,)}
"""Fading links and the axes over which one link's rms is taken."""
ESTIMATED = {**LINKS, "target_gain": ()}


def direction(origin_m: np.ndarray, point_m: np.ndarray) -> np.ndarray:
    """Unit vectors from an origin (3,) to points (..., 3)."""
    gap = point_m - origin_m
    return np.asarray(gap / np.linalg.norm(gap, axis=-1, keepdims=True))


def towards(elevation_deg: np.ndarray, azimuth_deg: np.ndarray, side: np.ndarray | int) -> np.ndarray:
    """Unit vectors `(-/+ cos phi cos theta, cos phi sin theta, sin phi)`, minus on side 0, (..., 3)."""
    phi, theta = np.deg2rad(elevation_deg), np.deg2rad(azimuth_deg)
    x = np.cos(phi) * np.cos(theta) * (2.0 * np.asarray(side) - 1.0)
    return np.stack(np.broadcast_arrays(x, np.cos(phi) * np.sin(theta), np.sin(phi)), axis=-1)


def surface_response(system: MultiFunctional, unit: np.ndarray) -> np.ndarray:
    """`a(e)` (..., M) of unit vectors (..., 3); element `m = i_h M_v + i_v`."""
    shape = (system.num_elements_h, system.num_elements_v)
    return planar_steering_vector(shape, unit[..., 1], unit[..., 2], sign=SIGN)


def sensor_response(system: MultiFunctional, unit: np.ndarray) -> np.ndarray:
    """`b(e)` (..., M_s): one horizontal and one vertical line of sensors."""
    horizontal = steering_vector(system.num_sensors_h, unit[..., 1], sign=SIGN)
    return np.concatenate([horizontal, steering_vector(system.num_sensors_v, unit[..., 2], sign=SIGN)], axis=-1)


def bs_links(system: MultiFunctional) -> tuple[np.ndarray, np.ndarray]:
    """Line-of-sight parts of `H` (M, N) and `G_i` (2, M_s, N), weights included."""
    bs, ris = np.array(system.bs_position_m), np.array(system.ris_position_m)
    level = channels.path_amplitude(distance(bs, ris), system.exponent_bs_ris, system.path_loss_1m_db)
    level = level * channels.rician_weights(system.rician_db)[0]
    departure = steering_vector(system.num_antennas, direction(bs, ris)[1], sign=SIGN).conj()
    arrival = direction(ris, bs)
    isolation = 10.0 ** (-np.array(system.isolation_db) / 20.0)
    sensors = np.outer(sensor_response(system, arrival), departure)
    return level * np.outer(surface_response(system, arrival), departure), level * isolation[:, None, None] * sensors


def target_level(system: MultiFunctional, distance_m: np.ndarray | float) -> np.ndarray:
    """`|alpha| = sqrt(l_0 RCS / (4 pi d^4))`."""
    loss = 10.0 ** (-system.path_loss_1m_db / 10.0)
    return np.asarray(math.sqrt(loss * system.target_rcs_m2 / (4.0 * math.pi)) / np.asarray(distance_m) ** 2)


def sample(
    system: MultiFunctional, rng: np.random.Generator, batch: int, csi_error: float, dtype: str
) -> MultiFunctionalScene:
    """Draw scenes: positions and target phases first, then `ris_user`, `bs_ris`, `bs_sensor`."""
    if dtype not in ("complex64", "complex128"):
        raise ValueError(f"dtype must be 'complex64' or 'complex128', got {dtype!r}")
    users, targets, phases = (rng.random((batch, *s)) for s in ((system.users, 2), (system.targets, 3), (system.targets,)))
    ris = np.array(system.ris_position_m)
    user_m = _place(system, users, np.full(users.shape[:2], system.user_height_m), system.user_side)
    low, high = system.target_height_range_m
    target_m = _place(system, targets[..., :2], low + (high - low) * targets[..., 2], system.target_side)
    if system.target_angles_deg is not None:
        angles = np.array(system.target_angles_deg)
        fixed = ris + system.target_distance_m * towards(angles[:, 0], angles[:, 1], system.target_side)
        target_m = np.broadcast_to(fixed, target_m.shape)
    target_unit, user_unit = direction(ris, target_m), direction(ris, user_m)
    los, scattered = channels.rician_weights(system.rician_db)
    level = channels.path_amplitude(distance(ris, user_m), system.exponent_ris_user, system.path_loss_1m_db)[..., None]
    ris_user_los = los * level * surface_response(system, user_unit)
    shape = (batch, system.num_elements, system.num_antennas)
    ris_user = ris_user_los + scattered * level * channels.draw(rng, ris_user_los.shape)
    bs_ris_los, bs_sensor_los = (np.broadcast_to(a, (batch, *a.shape)).copy() for a in system.line_of_sight)
    bs_ris = bs_ris_los + scale(system, bs_ris_los, (1, 2)) * channels.draw(rng, shape)
    out: dict[str, Any] = {}
    if system.kind == "mf":
        fresh = channels.draw(rng, (batch, 2, system.num_sensors, system.num_antennas))
        out = {
            "bs_sensor": bs_sensor_los + scale(system, bs_sensor_los, (2, 3)) * fresh,
            "bs_sensor_los": bs_sensor_los,
            "sensor_steering": sensor_response(system, target_unit),
        }
    scene = MultiFunctionalScene(
        bs_ris=bs_ris,
        ris_user=ris_user,
        target_steering=surface_response(system, target_unit),
        target_gain=target_level(system, distance(ris, target_m)) * np.exp(2j * np.pi * phases),
        bs_ris_los=bs_ris_los,
        ris_user_los=ris_user_los,
        bs_position=np.tile(np.array(system.bs_position_m), (batch, 1)),
        ris_position=np.tile(ris, (batch, 1)),
        user_position=user_m,
        target_position=np.array(target_m),
        **out,
    )
    scene = with_estimates(system, with_constants(system, scene), rng, csi_error)
    return scene if dtype == "complex128" else scene.astype(dtype)


def _place(system: MultiFunctional, uniform: np.ndarray, height: np.ndarray, side: np.ndarray) -> np.ndarray:
    """Positions (..., 3) from uniform numbers (..., 2), heights (...) and sides."""
    (x_low, x_high), (y_low, y_high) = system.x_range_m, system.y_range_m
    ris = system.ris_position_m
    x = ris[0] + (2.0 * side - 1.0) * (x_low + (x_high - x_low) * uniform[..., 0])
    return np.stack([x, ris[1] + y_low + (y_high - y_low) * uniform[..., 1], height], axis=-1)


def scale(system: MultiFunctional, los: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Standard deviation of the scattered part: `rms(LoS) / sqrt(kappa)`, per link."""
    return channels.rms(los, axes) * 10.0 ** (-system.rician_db / 20.0)


def constants(system: MultiFunctional, scene: MultiFunctionalScene) -> dict[str, np.ndarray]:
    """What metrics and rules need once per scene; keys: see `MultiFunctionalScene`."""
    rows = np.concatenate([np.conj(scene.ris_user), np.conj(scene.target_steering)], axis=1)
    if system.kind != "mf":
        return {"rows": rows}
    filters, projector = sensing_filters(system, scene)
    return {"rows": rows, "filter": filters, "projector": projector}


def sensing_filters(system: MultiFunctional, scene: MultiFunctionalScene) -> tuple[np.ndarray, np.ndarray]:
    """Filters u_i (B, 2, M_s) and the projector (B, N, N) off span {G_i^H u_i} of section 7.6; with N <= 2 the identity."""
    g = np.asarray(scene.bs_sensor).astype(np.complex128)
    sensors, antennas = g.shape[2:]
    strongest = np.linalg.eigh(np.conj(g.mT) @ g)[1][..., -max(1, min(antennas, sensors // 2)) :]
    left = np.linalg.qr(g @ strongest)[0]  # spans the first left singular vectors
    filters = np.empty((*g.shape[:2], sensors), complex)
    for side, rows in enumerate(system.target_slices):
        b = np.asarray(scene.sensor_steering)[:, rows].astype(complex).mT
        a = np.asarray(scene.target_steering)[:, rows].astype(complex)
        gain = np.asarray(scene.target_gain)[:, rows, None].astype(complex)
        b = b - left[:, side] @ (np.conj(left[:, side].mT) @ b)
        factor = np.asarray(np.linalg.qr((np.conj(gain) * a).mT, mode="r"))  # A_i = b factor^H Q^H
        filters[:, side] = np.linalg.svd(b @ np.conj(factor.mT), full_matrices=False)[0][..., 0]
    seen = (np.conj(filters)[:, :, None] @ g)[:, :, 0]  # rows u_i^H G_i
    norm = np.linalg.norm(seen, axis=-1, keepdims=True)
    basis = np.linalg.qr(np.conj(seen / np.where(norm > 0, norm, 1.0)).mT)[0]
    projector = np.tile(np.eye(antennas, dtype=complex), (len(g), 1, 1))
    if antennas > 2:
        projector -= basis @ np.conj(basis.mT)
    return filters, projector


def with_constants(system: MultiFunctional, scene: MultiFunctionalScene) -> MultiFunctionalScene:
    """The scene with `reference` computed from its arrays, in their precision."""
    dtype = np.asarray(scene.bs_ris).dtype.name
    return scene.replace(reference=constants(system, scene)).astype(dtype)


def with_estimates(
    system: MultiFunctional, scene: MultiFunctionalScene, rng: np.random.Generator, csi_error: float
) -> MultiFunctionalScene:
    """Draw new estimates `X + e rms(X) CN` of every link and of each target's gain; none for `csi_error` 0."""
    estimates: dict[str, Any] = {f"{name}_estimate": None for name in ESTIMATED}
    for name, axes in ESTIMATED.items() if csi_error else ():
        if (array := getattr(scene, name)) is not None:
            entry = np.asarray(array)
            noise = channels.draw(rng, entry.shape, entry.real.dtype)
            size = channels.rms(entry, axes) if axes else np.abs(entry)
            estimates[f"{name}_estimate"] = (entry + csi_error * size * noise).astype(entry.dtype, copy=False)
    return scene.replace(**estimates)


def advance(
    system: MultiFunctional, scene: MultiFunctionalScene, rng: np.random.Generator, correlation: float, csi_error: float
) -> MultiFunctionalScene:
    """Gauss-Markov step of the scattered parts of every link; positions, steering vectors and target gains stay."""
    came_with = csi_error == 0.0 and scene.bs_ris_estimate is not None
    moved: dict[str, Any] = {}
    for name, axes in LINKS.items():
        if (array := getattr(scene, name)) is None:
            continue
        los = getattr(scene, f"{name}_los")
        size = channels.rms(np.asarray(array), axes) if los is None else scale(system, np.asarray(los), axes)
        moved[name] = channels.evolve(rng, np.asarray(array), los, size, correlation)
    scene = with_estimates(system, with_constants(system, scene.replace(**moved)), rng, csi_error)
    if came_with:  # estimates that came with the scene: from now on they are exact
        exact = {f"{name}_estimate": getattr(scene, name) for name in ESTIMATED if getattr(scene, name) is not None}
        return scene.replace(**exact)
    return scene


def check_scene(system: MultiFunctional, arrays: Mapping[str, np.ndarray]) -> MultiFunctionalScene:
    """Build a scene from loaded arrays; its constants are computed anew."""
    n, m, k, t, s = system.num_antennas, system.num_elements, system.users, system.targets, system.num_sensors
    shapes: dict[str, tuple[int, ...]] = {
        "bs_ris": (m, n), "ris_user": (k, m), "target_steering": (t, m), "target_gain": (t,),
    }  # fmt: skip
    if system.kind == "mf":
        shapes |= {"bs_sensor": (2, s, n), "sensor_steering": (t, s)}
    links = [name for name in LINKS if name in shapes]
    estimated = [name for name in ESTIMATED if name in shapes]
    los = {f"{name}_los": shapes[name] for name in links}
    guesses = {f"{name}_estimate": shapes[name] for name in estimated}
    positions = {"bs_position": (3,), "ris_position": (3,), "user_position": (k, 3), "target_position": (t, 3)}
    given = {name: array for name, array in arrays.items() if not name.startswith("reference/")}
    whole = set(shapes) | set(los) | set(guesses)
    out: dict[str, Any] = checks.scene_arrays(given, shapes, {**los, **guesses, **positions}, whole)
    checks.all_or_none(out, list(guesses), list(positions))
    for name, axes in ESTIMATED.items():
        if name not in out:
            continue
        dead = ~np.any(out[name] != 0, axis=axes) if axes else out[name] == 0
        if dead.any():
            raise ValueError(f"array {name!r} must not be all zero for any link, which scene {np.argwhere(dead)[0][0]} breaks")
    return with_constants(system, MultiFunctionalScene(**out))
