"""Scenes of `nonorthogonal`: sampling, angle errors, loading, constants (model page, sections 2 and 12). numpy only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ris_gym import channels
from ris_gym.geometry import planar_steering_vector, steering_vector
from ris_gym.systems import checks
from ris_gym.systems.nonorthogonal import alphabet
from ris_gym.systems.nonorthogonal.records import NonOrthogonalScene

if TYPE_CHECKING:
    from ris_gym.systems.nonorthogonal.system import NonOrthogonal

LEAST_DEPTH = 1e-3
"""|k_x| is clipped below by this, so that D stays invertible (a belief may leave the half-space of the surface)."""
VISIBLE = 0.99
"""Largest k_y^2 + k_z^2 of an estimate."""


def unit(origin_m: np.ndarray, point_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors from origins to points (..., 3), and distances (...), m."""
    gap = point_m - origin_m
    distance = np.linalg.norm(gap, axis=-1)
    return gap / distance[..., None], distance


def ring(system: NonOrthogonal, azimuth_deg: np.ndarray) -> np.ndarray:
    """Positions (..., 3) on the floor ring of the static users."""
    angle, floor = np.deg2rad(azimuth_deg), system.user_floor_distance_m
    return np.stack([floor * np.cos(angle), floor * np.sin(angle), np.zeros_like(angle)], axis=-1)


def seen_from(system: NonOrthogonal, position_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """u = pi (k_y, k_z), (B, n, 2), and distances (B, n) of a user at (B, 3); k points from the user to each sub-surface."""
    direction, distance = unit(position_m[:, None], np.array(system.ris_position_m))
    return np.pi * direction[..., 1:], distance


def user_amplitude(system: NonOrthogonal, distance_m: np.ndarray) -> np.ndarray:
    """|alpha_I2U| at a distance."""
    return channels.path_amplitude(distance_m, system.exponent_ris_user, system.path_loss_1m_db)


def azimuths(system: NonOrthogonal, name: str, rng: np.random.Generator, batch: int) -> np.ndarray:
    """Fixed or uniform azimuths (B,), degrees; the numbers are drawn in either case, so that scenes stay comparable."""
    drawn = system.max_azimuth_deg * (2.0 * rng.random(batch) - 1.0)
    fixed = getattr(system, name)
    return drawn if fixed is None else np.full(batch, fixed)


def draw_symbols(system: NonOrthogonal, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """x ~ CN(mu_x, sigma_x^2)."""
    return system.symbol_mean + math.sqrt(system.symbol_variance) * channels.draw(rng, shape)


def links(system: NonOrthogonal, rng: np.random.Generator, batch: int) -> dict[str, Any]:
    """What does not depend on the users: directions and gains of the BS, positions."""
    ris, bs = np.array(system.ris_position_m), np.array(system.bs_position_m)
    direction, distance = unit(ris, bs)
    incident = planar_steering_vector(system.surface_shape, direction[:, 1], direction[:, 2])
    steering = steering_vector(system.num_antennas, direction[:, 1], sign=-1)
    size = channels.path_amplitude(distance, system.exponent_bs_ris, system.path_loss_1m_db)
    tile = lambda array: np.tile(array, (batch, *[1] * array.ndim))  # noqa: E731
    return {
        "incident": tile(incident),
        "bs_steering": tile(steering),
        "gain_bs_ris": size * random_phase(rng, (batch, system.num_blocks)),
        "bs_position": tile(bs),
        "ris_position": tile(ris),
    }


def random_phase(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Unit numbers of uniform phase."""
    return np.exp(2j * np.pi * rng.random(shape))


def decoder(system: NonOrthogonal, rng: np.random.Generator, batch: int) -> dict[str, Any]:
    """The communication user of `two_user`; nothing in the other models."""
    position = ring(system, azimuths(system, "comm_azimuth_deg", rng, batch))
    frequency, distance = seen_from(system, position)
    gain = user_amplitude(system, distance) * random_phase(rng, distance.shape)
    if not system.two_user:
        return {}
    return {"comm_spatial_frequency": frequency, "gain_ris_comm": gain, "comm_position": position}


def sample(
    system: NonOrthogonal, rng: np.random.Generator, batch: int, csi_error: float, dtype: str
) -> NonOrthogonalScene:
    """Draw static scenes: azimuths, phases of the gains, symbols."""
    position = ring(system, azimuths(system, "user_azimuth_deg", rng, batch))
    frequency, distance = seen_from(system, position)
    gain = user_amplitude(system, distance) * random_phase(rng, distance.shape)
    scene = NonOrthogonalScene(
        spatial_frequency=frequency,
        gain_ris_user=gain,
        ris_user_distance=distance,
        user_position=position,
        **decoder(system, rng, batch),
        **links(system, rng, batch),
        symbols=draw_symbols(system, rng, (batch, system.num_blocks, system.num_slots)),
    )
    return finished(system, with_estimates(system, scene, rng, csi_error), dtype)


def finished(system: NonOrthogonal, scene: NonOrthogonalScene, dtype: str) -> NonOrthogonalScene:
    """The scene with its constants, in a precision."""
    if dtype not in ("complex64", "complex128"):
        raise ValueError(f"dtype must be 'complex64' or 'complex128', got {dtype!r}")
    scene = scene.replace(reference=constants(system, scene))
    return scene if dtype == "complex128" else scene.astype(dtype)


def surface_response(system: NonOrthogonal, frequency: np.ndarray, sign: int) -> np.ndarray:
    """`exp(sign j l.u)` (..., L)."""
    return planar_steering_vector(system.surface_shape, frequency[..., 0] / np.pi, frequency[..., 1] / np.pi, sign=sign)


def directions(frequency: np.ndarray) -> np.ndarray:
    """k (..., 3) of u: k_x < 0 since users are in front of the surface."""
    yz = frequency / np.pi
    depth = np.sqrt(np.maximum(1.0 - np.sum(yz**2, axis=-1), LEAST_DEPTH**2))
    return np.concatenate([-depth[..., None], yz], axis=-1)


def jacobians(direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """D = d u / d (gamma, phi) and D^-T, (..., 2, 2): gamma = arcsin k_z, phi = atan2(k_y, k_x)."""
    x, y, z = np.moveaxis(direction, -1, 0)
    lateral = np.sqrt(np.maximum(x**2 + y**2, LEAST_DEPTH**2))  # cos gamma
    zero = np.zeros_like(x)
    # u_y = pi cos gamma sin phi, u_z = pi sin gamma
    d = np.pi * np.stack([np.stack([-z * y / lateral, x], -1), np.stack([lateral, zero], -1)], -2)
    return d, np.linalg.inv(d).mT


def constants(system: NonOrthogonal, scene: NonOrthogonalScene) -> dict[str, np.ndarray]:
    """What metrics need once per scene; keys: see `NonOrthogonalScene`. Double precision."""
    frequency = np.asarray(scene.spatial_frequency, float)
    incident = np.asarray(scene.incident).astype(complex)
    opposite = 1 if system.model == "literal" else -1
    sense = incident * surface_response(system, frequency, opposite)
    if system.two_user:
        comm = incident * surface_response(system, np.asarray(scene.comm_spatial_frequency, float), -1)
        products = np.stack([comm, sense], axis=-1)
        ratio = np.abs(np.asarray(scene.gain_ris_comm, complex) / np.asarray(scene.gain_ris_user, complex)) ** 2
    else:
        comm = incident * surface_response(system, frequency, 1) if system.model == "mixed" else sense
        moved = -opposite * system.element_index * sense[..., None]
        products = np.concatenate([comm[..., None], sense[..., None], moved], axis=-1)
        ratio = np.ones(frequency.shape[:2])
    direction = directions(frequency)
    jacobian, factor = jacobians(direction)
    gain = np.abs(np.asarray(scene.gain_bs_ris, complex) * np.asarray(scene.gain_ris_user, complex)) ** 2
    energy, square = symbol_statistics(system, scene, gain.shape)
    out = {
        "products": products, "direction": direction, "jacobian": jacobian, "factor": factor,
        "level": 2.0 * gain / system.noise_w, "comm_ratio": ratio, "energy": energy, "square": square,
    }  # fmt: skip
    if system.objective_form == "constrained":
        out["gain"] = alphabet.largest_gain(sense, system.phase_levels)[1]
        beam = system.power_w * system.num_antennas
        spread = energy[..., None] * (out["gain"] ** 2)[..., None] * system.user_spread
        angle = 0.5 * np.sum(factor**2 / spread[..., None], axis=(-2, -1)) / (out["level"] * beam)
        out["angle_limit"] = system.angle_bound_factor * angle
    return out


def symbol_statistics(
    system: NonOrthogonal, scene: NonOrthogonalScene, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """E = sum |x|^2 and X_2 = sum x^2, (B, n); without symbols their means T and T mu_x^2."""
    if scene.symbols is None:
        return np.full(shape, float(system.num_slots)), np.full(shape, system.num_slots * system.symbol_mean**2 + 0j)
    x = np.asarray(scene.symbols).astype(complex)
    return np.sum(np.abs(x) ** 2, axis=-1), np.sum(x**2, axis=-1)


def with_estimates(
    system: NonOrthogonal, scene: NonOrthogonalScene, rng: np.random.Generator, csi_error: float
) -> NonOrthogonalScene:
    """Estimates `u + e (2 pi / L_y, 2 pi / L_z) o N(0, I)` of the users' directions, per user and block; none for 0."""
    width = 2.0 * np.pi / np.array(system.surface_shape)
    out: dict[str, Any] = {}
    for name in ("spatial_frequency", "comm_spatial_frequency"):
        out[f"{name}_estimate"] = None
        if csi_error and (truth := getattr(scene, name)) is not None:
            guess = np.asarray(truth) + csi_error * width * rng.standard_normal(np.shape(truth))
            size = np.sum((guess / np.pi) ** 2, axis=-1, keepdims=True)
            guess = guess * np.sqrt(VISIBLE / np.maximum(size, VISIBLE))
            out[f"{name}_estimate"] = guess.astype(np.asarray(truth).dtype, copy=False)
    return scene.replace(**out)


def check_scene(system: NonOrthogonal, arrays: Mapping[str, np.ndarray]) -> NonOrthogonalScene:
    """Build a scene from loaded arrays; constants are computed anew. Missing symbols have E = T and X_2 = 0 (T > 1)."""
    n, elements, slots, frames = system.num_blocks, system.num_elements, system.num_slots, system.num_frames
    needed: dict[str, tuple[int, ...]] = {
        "spatial_frequency": (n, 2), "incident": (n, elements), "gain_bs_ris": (n,), "gain_ris_user": (n,),
        "ris_user_distance": (n,),
    }  # fmt: skip
    if system.two_user:
        needed |= {"comm_spatial_frequency": (n, 2), "gain_ris_comm": (n,)}
    guesses = {f"{name}_estimate": (n, 2) for name in ("spatial_frequency", "comm_spatial_frequency") if name in needed}
    places: dict[str, tuple[int, ...]] = {"bs_position": (3,), "ris_position": (n, 3), "user_position": (3,)}
    if system.two_user:
        places["comm_position"] = (3,)
    moving = {
        "frame": (), "velocity": (2,), "belief_mean": (4,), "belief_cov": (4, 4), "motion_noise": (frames, 2),
        "measurement_noise": (frames, 2), "symbols_ahead": (frames, n, slots),
    }  # fmt: skip
    if system.measurement == "ml":
        moving["receiver_seed"] = (frames,)
    more = {"bs_steering": (n, system.num_antennas), "symbols": (n, slots)}
    given = {name: array for name, array in arrays.items() if not name.startswith("reference/")}
    whole = {"incident", "gain_bs_ris", "gain_ris_user", "gain_ris_comm", "bs_steering", "symbols", "symbols_ahead"}
    out: dict[str, Any] = checks.scene_arrays(given, needed, {**more, **guesses, **places, **moving}, whole)
    checks.all_or_none(out, list(guesses), list(places), list(moving))
    for name in ("incident", "gain_bs_ris", "gain_ris_user", "gain_ris_comm", "ris_user_distance"):
        if name in out and np.any(low := np.abs(out[name]) <= 0.0 if name != "ris_user_distance" else out[name] <= 0.0):
            raise ValueError(f"array {name!r} must not be zero (distances positive), which scene {np.argwhere(low)[0][0]} breaks")
    for name in ("spatial_frequency", "comm_spatial_frequency"):
        if name in out and np.any(far := np.sum((out[name] / np.pi) ** 2, axis=-1) >= 1.0):
            raise ValueError(
                f"array {name!r} must be pi (k_y, k_z) of a direction in front of the surface (k_y^2 + k_z^2 < 1), which scene "
                f"{np.argwhere(far)[0][0]} breaks"
            )
    for name in ("symbols", "symbols_ahead"):
        if name in out and np.any(silent := np.all(out[name] == 0.0, axis=-1)):
            scene = np.argwhere(silent)[0][0]
            raise ValueError(f"array {name!r} must not be zero in all slots of a block, which scene {scene} breaks")
    if "frame" in out:
        _check_moving(system, out)
    batch = len(out["spatial_frequency"])
    if "bs_steering" not in out:
        out["bs_steering"] = links(system, np.random.default_rng(0), batch)["bs_steering"]
    if "symbols" not in out:
        turns = np.exp(1j * np.pi * np.arange(slots) / slots)
        out["symbols"] = np.tile(turns, (batch, n, 1))
    for name in ("frame", "receiver_seed"):
        if name in out:
            out[name] = out[name].astype(np.int64)
    return finished(system, NonOrthogonalScene(**out), "complex128")


def _check_moving(system: NonOrthogonal, arrays: Mapping[str, np.ndarray]) -> None:
    """Raise ValueError unless frame, belief and positions of a moving user are in order."""
    frame, cov, noise = arrays["frame"], arrays["belief_cov"], arrays.get("receiver_seed", np.zeros(1))
    if np.any(wrong := (frame < 0) | (frame > system.num_frames) | (frame != np.floor(frame))):
        raise ValueError(f"array 'frame' must hold integers in [0, {system.num_frames}], got {frame[wrong][0]:g}")
    if np.any(noise < 0) or np.any(noise != np.floor(noise)):
        raise ValueError("array 'receiver_seed' must hold integers of at least 0")
    scale = np.sqrt(np.maximum(np.einsum("bii->bi", cov), 1e-300))
    shape = cov / (scale[:, :, None] * scale[:, None, :])
    if not np.allclose(shape, shape.mT, rtol=0.0, atol=1e-6) or np.any(np.linalg.eigvalsh(shape)[:, 0] < -1e-6):
        raise ValueError("array 'belief_cov' must be symmetric and positive semidefinite")
    if "user_position" not in arrays:
        raise ValueError("array 'user_position' is missing; scenes of a moving user need all positions")
