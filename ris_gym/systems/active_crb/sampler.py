"""Scenes of `active_crb`: sampling, fading, loading, constants (model page, sections 2, 8.1 and 12). numpy only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ris_gym import channels
from ris_gym.arrays import abs2
from ris_gym.geometry import direction_cosine, distance, steering_vector
from ris_gym.systems import checks
from ris_gym.systems.active_crb.lower_bound import water
from ris_gym.systems.active_crb.records import ActiveCrbScene

if TYPE_CHECKING:
    from ris_gym.systems.active_crb.system import ActiveCrb

LINKS = ("bs_ris", "ris_user")
CONDITION_LIMIT = 1e6
"""Largest condition number of `bs_ris` and `ris_user`."""
ATTEMPTS = 100


def los_bs_ris(system: ActiveCrb) -> np.ndarray:
    """Line-of-sight part of `G`, weight included, (N, M)."""
    bs, ris = np.array(system.bs_position_m), np.array(system.ris_position_m)
    arrival = steering_vector(system.num_elements, direction_cosine(ris, bs, axis=0))
    departure = steering_vector(system.num_antennas, direction_cosine(bs, ris, axis=0))
    return system.amplitude_bs_ris * channels.rician_weights(system.rician_db)[0] * np.outer(arrival, departure.conj())


def rectangle(uniform: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Points of a rectangle from uniform numbers (..., 2)."""
    return low + uniform * (high - low)


def user_geometry(system: ActiveCrb, users_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For positions (..., 2): line-of-sight part of `h_k`, weight included, (..., N), and its amplitude (...)."""
    ris = np.array(system.ris_position_m)
    rho = channels.path_amplitude(distance(ris, users_m), system.exponent_ris_user, system.path_loss_1m_db)
    response = steering_vector(system.num_elements, direction_cosine(ris, users_m, axis=0))
    return rho[..., None] * channels.rician_weights(system.rician_db)[0] * response, rho


def response_of(system: ActiveCrb, scatterers_m: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """`H = sum_q alpha_q a(theta_q) a(theta_q)^T` (B, N, N) from positions (B, Q, 2) and unit complex normals (B, Q)."""
    ris = np.array(system.ris_position_m)
    gap = distance(ris, scatterers_m)
    variance = 10.0 ** (-system.path_loss_1m_db / 10.0) * system.target_rcs_m2 / (4.0 * math.pi * system.num_scatterers)
    a = steering_vector(system.num_elements, direction_cosine(ris, scatterers_m, axis=0))
    return (a * (math.sqrt(variance) * gap**-2.0 * normals)[..., None]).mT @ a


def constants(system: ActiveCrb, bs_ris: np.ndarray, target_response: np.ndarray) -> dict[str, np.ndarray]:
    """What metrics and rules need once per scene; keys: see `ActiveCrbScene`."""
    left, singular, right = np.linalg.svd(bs_ris.astype(np.complex128, copy=False), full_matrices=False)
    eigenvalues = 1.0 / (system.max_amplitude * singular) ** 2
    x, f = water(eigenvalues, system.power_w, None if system.passive else system.surface_power_w)
    inverse_diagonal = np.einsum("bnj,bj->bn", abs2(np, left), singular**-2.0)
    y = system.num_elements * system.noise_surface_w + system.noise_bs_w * eigenvalues.sum(axis=-1)
    response = abs2(np, target_response).astype(float)
    cap = np.full(len(bs_ris), system.max_amplitude)
    if not system.passive:
        c3 = 2.0 * system.num_elements * system.noise_surface_w
        c4 = system.noise_surface_w * response.sum(axis=(1, 2))
        budget = system.surface_power_w
        cap = np.minimum(cap, np.sqrt(budget / (c3 + np.sqrt(c3**2 + 2.0 * c4 * budget))))
    return {
        "lower_bound_db": 10.0 * np.log10(x * y / system.num_snapshots),
        "left": left,
        "singular": singular,
        "basis": np.ascontiguousarray(np.conj(right.mT)),
        "inverse_diagonal": inverse_diagonal,
        "rule": f * eigenvalues,
        "cap": cap,
        "response_power": response,
        "response_db": 10.0 * np.log10(np.maximum(response.sum(axis=(1, 2)), 1e-300)),
    }


def with_constants(system: ActiveCrb, scene: ActiveCrbScene) -> ActiveCrbScene:
    """The scene with `reference` computed from its arrays, in their precision."""
    dtype = np.asarray(scene.bs_ris).dtype.name
    scene = scene.replace(reference=None)
    filled = scene.replace(reference=constants(system, np.asarray(scene.bs_ris), np.asarray(scene.target_response)))
    return filled.astype(dtype)


def ill_conditioned(channel: np.ndarray) -> np.ndarray:
    """Whether matrices (B, n, m) have a condition number above the limit, or no full rank, (B,)."""
    singular = np.linalg.svd(channel, compute_uv=False)
    return np.asarray(~(singular[..., -1] * CONDITION_LIMIT > singular[..., 0]))


def sample(system: ActiveCrb, rng: np.random.Generator, batch: int, csi_error: float, dtype: str) -> ActiveCrbScene:
    """Draw scenes; those with an ill-conditioned channel again."""
    if dtype not in ("complex64", "complex128"):
        raise ValueError(f"dtype must be 'complex64' or 'complex128', got {dtype!r}")
    scene = _draw(system, rng, batch)
    for _ in range(ATTEMPTS):
        bad = ill_conditioned(scene.bs_ris) | ill_conditioned(scene.ris_user)
        if not bad.any():
            break
        scene = scene.put(bad, _draw(system, rng, int(bad.sum())))
    else:
        raise ValueError(
            f"rician_db must leave channels of full rank (condition number below {CONDITION_LIMIT:g}), got {system.rician_db!r}"
        )
    scene = with_estimates(system, with_constants(system, scene), rng, csi_error)
    return scene if dtype == "complex128" else scene.astype(dtype)


def _draw(system: ActiveCrb, rng: np.random.Generator, batch: int) -> ActiveCrbScene:
    n, m, k, q = system.num_elements, system.num_antennas, system.num_users, system.num_scatterers
    scattered = channels.rician_weights(system.rician_db)[1]
    x_min, x_max, y_min, y_max = system.user_area_m
    users = rectangle(rng.random((batch, k, 2)), np.array([x_min, y_min]), np.array([x_max, y_max]))
    half = 0.5 * np.array(system.target_size_m)
    centre = np.array(system.target_position_m)
    scatterers = rectangle(rng.random((batch, q, 2)), centre - half, centre + half)
    los_user, rho = user_geometry(system, users)
    los_g = np.broadcast_to(system.line_of_sight, (batch, n, m))
    scale_g, scale_r = system.amplitude_bs_ris * scattered, rho * scattered
    return ActiveCrbScene(
        bs_ris=los_g + scale_g * channels.draw(rng, (batch, n, m)),
        ris_user=los_user + scale_r[..., None] * channels.draw(rng, (batch, k, n)),
        target_response=response_of(system, scatterers, channels.draw(rng, (batch, q))),
        user_position=users,
        scatterer_position=scatterers,
        bs_ris_los=los_g,
        ris_user_los=los_user,
        bs_ris_scale=np.full(batch, scale_g),
        ris_user_scale=scale_r,
    )


def with_estimates(system: ActiveCrb, scene: ActiveCrbScene, rng: np.random.Generator, csi_error: float) -> ActiveCrbScene:
    """Draw new estimates of G and h_k (none for `csi_error` 0) and of H (none for `target_response_error` 0)."""
    estimates: dict[str, Any] = {"bs_ris_estimate": None, "ris_user_estimate": None, "target_response_estimate": None}
    if csi_error:
        estimates["bs_ris_estimate"] = channels.estimate(rng, scene.bs_ris, csi_error, (1, 2))
        estimates["ris_user_estimate"] = channels.estimate(rng, scene.ris_user, csi_error, (2,))
    if system.target_response_error:
        response = np.asarray(scene.target_response)
        noise = channels.draw(rng, response.shape, response.real.dtype)
        symmetric = np.triu(noise) + np.swapaxes(np.triu(noise, 1), 1, 2)
        error = system.target_response_error * channels.rms(response, (1, 2)) * symmetric
        estimates["target_response_estimate"] = (response + error).astype(response.dtype, copy=False)
    return scene.replace(**estimates)


def advance(
    system: ActiveCrb, scene: ActiveCrbScene, rng: np.random.Generator, correlation: float, csi_error: float
) -> ActiveCrbScene:
    """Gauss-Markov step of the scattered parts of G and h_k; H stays. A scene without scales counts as all scattered."""
    if scene.bs_ris_scale is None:
        scene = scene.replace(**own_scales({link: np.asarray(getattr(scene, link)) for link in LINKS}))
    g_scale = np.asarray(scene.bs_ris_scale)[:, None, None]
    bs_ris = channels.evolve(rng, scene.bs_ris, scene.bs_ris_los, g_scale, correlation)
    users = channels.evolve(rng, scene.ris_user, scene.ris_user_los, np.asarray(scene.ris_user_scale)[..., None], correlation)
    for name, old, new in (("bs_ris", scene.bs_ris, bs_ris), ("ris_user", scene.ris_user, users)):
        bad = ill_conditioned(new)
        if bad.any():  # so rare that the block is simply held
            scene = scene.replace(**{name: np.where(bad[:, None, None], old, new)})
        else:
            scene = scene.replace(**{name: new})
    came_with = csi_error == 0.0 and scene.bs_ris_estimate is not None
    scene = with_estimates(system, with_constants(system, scene), rng, csi_error)
    if came_with:  # estimates that came with the scene: from now on they are exact
        return scene.replace(bs_ris_estimate=scene.bs_ris, ris_user_estimate=scene.ris_user)
    return scene


def own_scales(links: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The rms of each link of each scene as the scale of its scattered part."""
    return {
        "bs_ris_scale": channels.rms(links["bs_ris"], (1, 2))[:, 0, 0],
        "ris_user_scale": channels.rms(links["ris_user"], (2,))[..., 0],
    }


def check_scene(system: ActiveCrb, arrays: Mapping[str, np.ndarray]) -> ActiveCrbScene:
    """Build a scene from loaded arrays; its constants are computed anew."""
    m, n, k = system.num_antennas, system.num_elements, system.num_users
    shapes: dict[str, tuple[int, ...]] = {"bs_ris": (n, m), "ris_user": (k, n), "target_response": (n, n)}
    whole = shapes | {"bs_ris_los": (n, m), "ris_user_los": (k, n)} | {f"{name}_estimate": s for name, s in shapes.items()}
    real: dict[str, tuple[int, ...]] = {
        "bs_ris_scale": (), "ris_user_scale": (k,), "user_position": (k, 2), "scatterer_position": (system.num_scatterers, 2),
    }  # fmt: skip
    given = {name: array for name, array in arrays.items() if not name.startswith("reference/")}
    if "scatterer_position" in given and given["scatterer_position"].ndim == 3:  # a measured target has as many as it has
        real["scatterer_position"] = (given["scatterer_position"].shape[1], 2)
    out: dict[str, Any] = checks.scene_arrays(given, shapes, whole | real, set(whole))
    checks.all_or_none(out, [f"{link}_estimate" for link in LINKS], [f"{link}_scale" for link in LINKS])
    for name in LINKS:
        for key in (name, f"{name}_estimate"):
            if key in out and (bad := ill_conditioned(out[key])).any():
                where = np.flatnonzero(bad)[0]
                raise ValueError(
                    f"array {key!r} must have full rank and a condition number of at most {CONDITION_LIMIT:g}, "
                    f"which scene {where} breaks"
                )
    for key in ("target_response", "target_response_estimate"):
        if key in out and not np.all(np.any(out[key] != 0, axis=(1, 2))):
            raise ValueError(f"array {key!r} must not be all zero in any scene")
    if "bs_ris_scale" not in out:
        out |= own_scales({link: out[link] - out.get(f"{link}_los", 0.0) for link in LINKS})
    return with_constants(system, ActiveCrbScene(**out))
