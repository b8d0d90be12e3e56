"""Scenes of `beampattern`: sampling, fading, loading (model page, sections 2 and 12). numpy only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ris_gym import channels
from ris_gym.geometry import direction_cosine, disc, distance, steering_vector
from ris_gym.systems import checks
from ris_gym.systems.beampattern.records import BeampatternScene

if TYPE_CHECKING:
    from ris_gym.systems.beampattern.system import Beampattern

LINKS = ("bs_ris", "ris_user", "bs_user")


def nominal_amplitudes(system: Beampattern) -> dict[str, float]:
    """Path-loss amplitudes at the nominal positions."""
    ends = {"bs": system.bs_position_m, "ris": system.ris_position_m, "user": system.user_position_m}
    out = {}
    for link in LINKS:
        a, b = link.split("_")
        gap = distance(np.array(ends[a]), np.array(ends[b]))
        out[link] = float(channels.path_amplitude(gap, getattr(system, f"exponent_{link}"), system.path_loss_1m_db))
    return out


def los_bs_ris(system: Beampattern) -> np.ndarray:
    """Line-of-sight part of `G`, weight included, (N, M)."""
    bs, ris = np.array(system.bs_position_m), np.array(system.ris_position_m)
    arrival = steering_vector(system.num_elements, direction_cosine(ris, bs, axis=0), system.spacing)
    departure = steering_vector(system.num_antennas, direction_cosine(bs, ris, axis=1), system.spacing)
    weight = 1.0 if system.los_bs_ris else channels.rician_weights(system.rician_db)[0]
    return system.path_amplitudes["bs_ris"] * weight * np.outer(arrival, departure.conj())


def user_geometry(system: Beampattern, users_m: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For positions (..., 2): line-of-sight part of `h_r` (..., N), amplitude of `h_r` (...), amplitude of `h_d` (...)."""
    bs, ris = np.array(system.bs_position_m), np.array(system.ris_position_m)
    rho_r = channels.path_amplitude(distance(ris, users_m), system.exponent_ris_user, system.path_loss_1m_db)
    rho_d = channels.path_amplitude(distance(bs, users_m), system.exponent_bs_user, system.path_loss_1m_db)
    response = steering_vector(system.num_elements, direction_cosine(ris, users_m, axis=0), system.spacing)
    weight = channels.rician_weights(system.rician_db)[0]
    return rho_r[..., None] * weight * response, rho_r, rho_d


def sample(system: Beampattern, rng: np.random.Generator, batch: int, csi_error: float, dtype: str) -> BeampatternScene:
    """Draw scenes. One flat block of normals serves all links, in the precision of `dtype`."""
    if dtype not in ("complex64", "complex128"):
        raise ValueError(f"dtype must be 'complex64' or 'complex128', got {dtype!r}")
    m, n, k = system.num_antennas, system.num_elements, system.num_users
    real: Any = np.float32 if dtype == "complex64" else np.float64
    scattered = channels.rician_weights(system.rician_db)[1]
    rho = system.path_amplitudes["bs_ris"]
    if system.user_radius_m > 0.0:
        users = disc(rng.random((batch, k, 2)), np.array(system.user_position_m), system.user_radius_m)
        los_user, rho_r, rho_d = user_geometry(system, users)
        los_user, rho_r, rho_d = los_user.astype(dtype), rho_r.astype(real), rho_d.astype(real)
    else:
        users = np.broadcast_to(np.array(system.user_position_m), (batch, k, 2))
        los_user, rho_r, rho_d = (repeat(constant.cast(dtype), batch) for constant in system.fixed_user)
    half = math.sqrt(0.5)
    scale_g = 0.0 if system.los_bs_ris else rho * scattered
    scale_r = (rho_r * real(scattered)).astype(real)
    normals = rng.standard_normal(batch * (2 * (n * m + k * n + k * m) + k), dtype=real)
    links, start = [], 0
    for rows, columns in ((n, m), (k, n), (k, m)):
        stop = start + 2 * batch * rows * columns
        links.append(normals[start:stop].reshape(batch, rows, 2 * columns))
        start = stop
    shadowing = normals[start:].reshape(batch, k)
    scale_d = (rho_d * 10.0 ** (real(system.shadowing_db / 20.0) * shadowing)).astype(real)
    # scaled as real numbers, then seen as complex ones: real and imaginary parts alternate
    scales = (real(half * scale_g), real(half) * scale_r[..., None], real(half) * scale_d[..., None])
    for link, scale in zip(links, scales, strict=True):
        link *= scale
    bs_ris, ris_user, bs_user = (link.view(dtype) for link in links)
    los_g = repeat(system.line_of_sight.cast(dtype), batch)
    bs_ris += los_g
    ris_user += los_user
    scene = BeampatternScene(
        bs_ris=bs_ris,
        ris_user=ris_user,
        bs_user=bs_user,
        bs_position=np.broadcast_to(np.array(system.bs_position_m), (batch, 2)),
        ris_position=np.broadcast_to(np.array(system.ris_position_m), (batch, 2)),
        user_position=users,
        bs_ris_los=los_g,
        ris_user_los=los_user,
        bs_ris_scale=np.full(batch, scale_g, real),
        ris_user_scale=scale_r,
        bs_user_scale=scale_d,
    )
    return with_estimates(scene, rng, csi_error) if csi_error else scene


def repeat(array: np.ndarray, batch: int) -> np.ndarray:
    """A read-only view (batch, ...) of one array for every scene."""
    return np.broadcast_to(array, (batch, *array.shape))


def with_estimates(scene: BeampatternScene, rng: np.random.Generator, csi_error: float) -> BeampatternScene:
    """Draw new estimates (none for `csi_error` 0); rms over one scene for `bs_ris`, per user for the others."""
    if csi_error == 0.0:
        return scene.replace(bs_ris_estimate=None, ris_user_estimate=None, bs_user_estimate=None)
    return scene.replace(
        bs_ris_estimate=channels.estimate(rng, scene.bs_ris, csi_error, (1, 2)),
        ris_user_estimate=channels.estimate(rng, scene.ris_user, csi_error, (2,)),
        bs_user_estimate=channels.estimate(rng, scene.bs_user, csi_error, (2,)),
    )


def advance(
    system: Beampattern, scene: BeampatternScene, rng: np.random.Generator, correlation: float, csi_error: float
) -> BeampatternScene:
    """Gauss-Markov step of the scattered parts. A scene without scales counts as all scattered with its own rms."""
    if scene.bs_ris_scale is None:
        scene = scene.replace(**own_scales({link: getattr(scene, link) for link in LINKS}))
    scales = {link: np.asarray(getattr(scene, f"{link}_scale")) for link in LINKS}
    moved = scene.replace(
        bs_ris=channels.evolve(rng, scene.bs_ris, scene.bs_ris_los, scales["bs_ris"][:, None, None], correlation),
        ris_user=channels.evolve(rng, scene.ris_user, scene.ris_user_los, scales["ris_user"][..., None], correlation),
        bs_user=channels.evolve(rng, scene.bs_user, None, scales["bs_user"][..., None], correlation),
    )
    if csi_error == 0.0 and scene.bs_ris_estimate is not None:  # estimates that came with the scene: from now on they are exact
        return moved.replace(**{f"{link}_estimate": getattr(moved, link) for link in LINKS})
    return with_estimates(moved, rng, csi_error)


def check_scene(system: Beampattern, arrays: Mapping[str, np.ndarray]) -> BeampatternScene:
    """Build a scene from loaded arrays after checking names, shapes, finiteness and power."""
    m, n, k = system.num_antennas, system.num_elements, system.num_users
    shapes: dict[str, tuple[int, ...]] = {"bs_ris": (n, m), "ris_user": (k, n), "bs_user": (k, m)}
    optional = {f"{link}_estimate": shapes[link] for link in LINKS} | {
        "bs_ris_los": (n, m), "ris_user_los": (k, n), "bs_ris_scale": (), "ris_user_scale": (k,), "bs_user_scale": (k,),
        "bs_position": (2,), "ris_position": (2,), "user_position": (k, 2),
        "reference/rho_bs_ris": (), "reference/rho_ris_user": (), "reference/rho_bs_user": (),
    }  # fmt: skip
    whole = {name for name in shapes | optional if name.removesuffix("_estimate").removesuffix("_los") in LINKS}
    out: dict[str, Any] = checks.scene_arrays(arrays, shapes, optional, whole)
    for link in LINKS:
        if not np.all(np.any(out[link] != 0, axis=(1, 2))):
            raise ValueError(f"array {link!r} must not be all zero in any scene")
    constants = [f"reference/rho_{link}" for link in LINKS]
    groups = [f"{link}_estimate" for link in LINKS], [f"{link}_scale" for link in LINKS], constants
    checks.all_or_none(out, *groups, ["bs_position", "ris_position", "user_position"])
    reference = {name.removeprefix("reference/"): out.pop(name) for name in constants if name in out}
    if "bs_ris_scale" not in out:
        out |= own_scales(out)
    return BeampatternScene(**out, reference=reference or None)


def own_scales(links: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The rms of each link of each scene as the scale of its scattered part."""
    return {
        "bs_ris_scale": channels.rms(links["bs_ris"], (1, 2))[:, 0, 0],
        "ris_user_scale": channels.rms(links["ris_user"], (2,))[..., 0],
        "bs_user_scale": channels.rms(links["bs_user"], (2,))[..., 0],
    }


def with_file_reference(scene: BeampatternScene) -> BeampatternScene:
    """The rms amplitudes over the whole file as each scene's reference."""
    rms = {f"rho_{link}": channels.rms(getattr(scene, link), (0, 1, 2)).item() for link in LINKS}
    return scene.replace(reference={name: np.full(len(scene), value) for name, value in rms.items()})
