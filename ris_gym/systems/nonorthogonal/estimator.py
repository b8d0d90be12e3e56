"""Angles and position of the localised user from received samples (model page, sections 2 and 4.6). numpy only.

The symbols are unknown complex numbers to this receiver. It attains the Fisher matrix `complex`; that of `paper` (Theorem 1)
needs a receiver that knows the imaginary part of every symbol beforehand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ris_gym import channels
from ris_gym.arrays import abs2
from ris_gym.geometry import planar_steering_vector
from ris_gym.systems.nonorthogonal.records import NonOrthogonalDesign, NonOrthogonalScene

if TYPE_CHECKING:
    from ris_gym.systems.nonorthogonal.system import NonOrthogonal

OVERSAMPLING = 4
"""Points of the search grid per antenna and dimension."""
NEWTON_STEPS = 6
GAUSS_NEWTON_STEPS = 10
CHUNK = 2**16
"""Complex numbers of one padded spectrum at a time."""
EDGE = 1.0 - 1e-6
"""Largest (u_y^2 + u_z^2) / pi^2 of an estimate."""
DISTANCES_M = np.geomspace(0.5, 200.0, 16)
"""Where on the rays the search of a position starts."""
LEAST_DEPTH_M, REACH_M = 0.1, 1e3
"""Users are in front of the surface, x >= LEAST_DEPTH_M, with coordinates of at most REACH_M."""


def received(
    system: NonOrthogonal, scene: NonOrthogonalScene, design: NonOrthogonalDesign, noise: np.ndarray | np.random.Generator
) -> np.ndarray:
    """Samples of the localised user, `Y = H diag(xi) G w x^T + sigma_z Z`.

    `H diag(xi) G w = alpha_B2I alpha_I2U (a_B^H w) g_2 b_U`: BS to sub-surface to user, rank one.
    In `mixed`, which is no physical channel, `H` is that of its derivatives ((58), as in `consistent`).

    Args:
        noise: Z (B, n, M, T), circular complex normals of unit variance, or a generator to draw them from.

    Returns:
        Y (B, n, M, T), complex128, sqrt(W).

    Raises:
        ValueError: the scene has no symbols (statistics only), or `noise` has another shape.

    Source: arXiv 2208.05324, eqs. (4), (6); the page's section 2.
    """
    if scene.symbols is None:
        raise ValueError("scene.symbols is None: received samples need the realised symbols")
    symbols = np.asarray(scene.symbols).astype(complex)
    shape = (*symbols.shape[:2], system.num_user_antennas, system.num_slots)
    if isinstance(noise, np.random.Generator):
        noise = channels.draw(noise, shape)
    if np.shape(noise) != shape:
        raise ValueError(f"noise must have shape (B, n, M, T) = {shape}, got {np.shape(noise)}")
    sense = np.asarray(scene.reference["products"])[..., 1].astype(complex)  # type: ignore[index]
    gain = np.sum(np.asarray(design.coefficients) * sense, axis=-1)
    beam = np.sum(np.conj(np.asarray(scene.bs_steering)) * np.asarray(design.beams)[..., 0], axis=-1)
    amplitude = np.asarray(scene.gain_bs_ris) * np.asarray(scene.gain_ris_user) * beam * gain
    steering = _steering(system, np.asarray(scene.spatial_frequency, float))
    clean = (amplitude[..., None] * steering)[..., None] * symbols[..., None, :]
    return np.asarray(clean + np.sqrt(system.noise_w) * np.asarray(noise))


def _steering(system: NonOrthogonal, frequency: np.ndarray) -> np.ndarray:
    """b_U(u) = exp(j m.u), (..., M)."""
    return planar_steering_vector(system.user_shape, frequency[..., 0] / np.pi, frequency[..., 1] / np.pi)


def estimate_frequencies(system: NonOrthogonal, samples: np.ndarray) -> np.ndarray:
    """Maximum-likelihood estimate of u with unknown complex symbols: argmax of `||b_U(u)^H Y||^2`.

    A zero-padded Fourier transform over the user's array finds the peak among visible directions, Newton steps refine it; a step
    that lowers the value is shortened, and where the Hessian is indefinite a gradient step takes its place.

    Args:
        samples: Y (..., M, T).

    Returns:
        u (..., 2), rad, `||u|| < pi`; always finite.

    Raises:
        ValueError: `samples` has another number of antennas, or `user_shape` is below 2 in a dimension (u is not identified).

    Source: the page's section 4.6.
    """
    if min(system.user_shape) < 2:
        raise ValueError(f"user_shape must be at least 2 in both dimensions to estimate angles, got {system.user_shape}")
    samples = np.asarray(samples)
    if samples.ndim < 2 or samples.shape[-2] != system.num_user_antennas:
        raise ValueError(f"samples must have shape (..., {system.num_user_antennas}, T), got {samples.shape}")
    flat = samples.reshape(-1, *samples.shape[-2:]).astype(complex)
    sizes = tuple(2 ** int(np.ceil(np.log2(OVERSAMPLING * m))) for m in system.user_shape)
    count = max(1, CHUNK // (sizes[0] * sizes[1] * flat.shape[-1]))
    parts = [_peak(system, flat[i : i + count], sizes) for i in range(0, max(len(flat), 1), count)]
    return np.concatenate(parts).reshape(*samples.shape[:-2], 2)


def _peak(system: NonOrthogonal, samples: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """Estimates (C, 2) from samples (C, M, T)."""
    axes = [2.0 * np.pi * np.fft.fftfreq(size) for size in sizes]
    rows, columns = (np.exp(-1j * np.outer(axis, np.arange(m))) for axis, m in zip(axes, system.user_shape, strict=True))
    images = np.ascontiguousarray(samples.mT).reshape(*samples.mT.shape[:2], *system.user_shape)  # (C, T, M_y, M_z)
    power = np.sum(abs2(np, rows @ images @ columns.T), axis=1)  # for few antennas faster than an FFT
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    cell = 2.0 * np.pi / np.array(sizes)
    seen = np.hypot(grid[:, 0], grid[:, 1]) <= np.pi + 0.5 * np.hypot(*cell)
    power = np.where(seen, power.reshape(len(samples), len(grid)), -1.0)
    return _refined(system, samples, grid[np.argmax(power, axis=1)], cell)


def _refined(system: NonOrthogonal, samples: np.ndarray, start: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Safeguarded Newton steps on `f = sum_t |s_t|^2`, `s_t = sum_m y_mt exp(-j m.u)`, from start (C, 2)."""
    y, z = (system.user_index - system.user_centre).T  # a shift of m leaves f as it is
    powers = np.stack([np.ones_like(y), y, z, y * y, y * z, z * z])
    spread = system.user_spread / system.num_user_antennas
    point = best = start
    value = np.full(len(start), -np.inf)
    step, scale = np.zeros_like(start), np.ones(len(start))
    for _ in range(NEWTON_STEPS + 1):
        s = (powers * np.conj(_steering(system, point))[:, None, :]) @ samples  # (C, 6, T)
        inner = np.sum(np.conj(s[:, :1]) * s, axis=-1)
        f = inner[:, 0].real
        better = f >= value * (1.0 - 1e-12)
        best, value = np.where(better[:, None], point, best), np.where(better, f, value)
        gradient = 2.0 * inner[:, 1:3].imag
        outer = np.real(s[:, 1:3] @ np.conj(s[:, 1:3].mT))
        hessian = 2.0 * (outer - inner[:, [3, 4, 4, 5]].real.reshape(-1, 2, 2))
        det = hessian[:, 0, 0] * hessian[:, 1, 1] - hessian[:, 0, 1] ** 2
        concave = (det > 0.0) & (hessian[:, 0, 0] < 0.0)
        size = np.where(concave, det, 1.0)
        newton = np.stack([
            hessian[:, 0, 1] * gradient[:, 1] - hessian[:, 1, 1] * gradient[:, 0],
            hessian[:, 0, 1] * gradient[:, 0] - hessian[:, 0, 0] * gradient[:, 1],
        ], axis=-1) / size[:, None]  # fmt: skip
        ascent = gradient / np.maximum(2.0 * f[:, None] * spread, 1e-300)
        fresh = np.clip(np.where(concave[:, None], newton, ascent), -cell, cell)
        step, scale = np.where(better[:, None], fresh, step), np.where(better, 1.0, 0.25 * scale)
        point = best + scale[:, None] * step
    best = np.mod(best + np.pi, 2.0 * np.pi) - np.pi  # f is periodic
    norm = np.sum((best / np.pi) ** 2, axis=-1, keepdims=True)
    return np.asarray(best * np.sqrt(EDGE / np.maximum(norm, EDGE)))


def locate(
    system: NonOrthogonal, known: NonOrthogonalScene, frequency: np.ndarray, weight: np.ndarray, floor: bool = False
) -> np.ndarray:
    """Position from the estimates of u of all blocks: `min_r sum_i (u_i(r) - u_i)^T a_i Lambda_i (u_i(r) - u_i)`.

    Damped Gauss-Newton steps from the best of some points on the rays of the estimates; r stays in front of the surface and
    within 1 km, so that it is finite for whatever estimates.

    Args:
        known: gives `ris_position` (absent: that of the system).
        frequency: estimates of u (B, n, 2), rad; weight: diagonals of a_i Lambda_i (B, n, 2), 1 / rad^2.
        floor: the user is known to be at height 0.

    Returns:
        (B, 3), m.

    Raises:
        ValueError: the blocks do not determine a position (without `floor`: two blocks at different places are needed; with it
            one does unless the surface is at height 0), or shapes differ.

    Source: the page's section 4.6.
    """
    shape = (len(np.asarray(frequency)), system.num_blocks, 2)
    if np.shape(frequency) != shape or np.shape(weight) != shape:
        got = f"{np.shape(frequency)} and {np.shape(weight)}"
        raise ValueError(f"frequency and weight must have shape (B, n, 2) = {shape}, got {got}")
    if not system.position_bound and (not floor or system.ris_height_m == 0.0):
        need = "ris_height_m other than 0, or " if floor else ""
        got = f"{system.num_blocks} and {system.surface_spacing_m:g}"
        raise ValueError(f"a position needs {need}num_blocks=2 and surface_spacing_m above 0, got {got}")
    given = system.ris_position_m if known.ris_position is None else known.ris_position
    origin = np.broadcast_to(np.asarray(given, float), (*shape[:2], 3))
    frequency = np.asarray(frequency, float)
    weight = np.maximum(np.asarray(weight, float), 1e-300)
    weight = np.maximum(weight / np.max(weight, axis=(1, 2), keepdims=True), 1e-12)
    free = 2 if floor else 3
    point = _start(origin, frequency, weight, floor)
    each = np.arange(len(point))
    cost, normal, slope = _normal(origin, point, frequency, weight, free)
    damping = np.full(len(point), 1e-3)
    for _ in range(GAUSS_NEWTON_STEPS):
        eye = np.eye(free)
        lifted = normal * (1.0 + damping[:, None, None] * eye) + 1e-14 * np.trace(normal, axis1=1, axis2=2)[:, None, None] * eye
        moved = point.copy()
        moved[:, :free] -= np.linalg.solve(lifted, slope[..., None])[..., 0]
        moved = _bounded(moved)
        found = _normal(origin, moved, frequency, weight, free)
        better = found[0] <= cost * (1.0 + 1e-12)
        for old, new in zip((point, cost, normal, slope), (moved, *found), strict=True):
            old[each[better]] = new[better]
        damping = np.where(better, 0.1, 10.0) * damping
    return point


def _bounded(point: np.ndarray) -> np.ndarray:
    return np.clip(point, [LEAST_DEPTH_M, -REACH_M, -REACH_M], REACH_M)


def _residual(origin: np.ndarray, point: np.ndarray, frequency: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """u_i(r) - u_i (..., n, 2), k (..., n, 3) and distances (..., n) of points r (..., 3)."""
    gap = origin - point[..., None, :]
    distance = np.linalg.norm(gap, axis=-1)
    k = gap / distance[..., None]
    return np.pi * k[..., 1:] - frequency, k, distance


def _start(origin: np.ndarray, frequency: np.ndarray, weight: np.ndarray, floor: bool) -> np.ndarray:
    """The best of points on the rays `s_i - d k_i` (B, 3), among them those on the floor."""
    yz = frequency / np.pi
    k = np.concatenate([-np.sqrt(np.maximum(1.0 - np.sum(yz**2, axis=-1, keepdims=True), 0.0)), yz], axis=-1)
    rise = origin[..., 2] * k[..., 2]
    down = np.where(rise > 0.0, origin[..., 2] / np.where(rise > 0.0, k[..., 2], 1.0), REACH_M)
    steps = np.concatenate([np.broadcast_to(DISTANCES_M, (*down.shape, len(DISTANCES_M))), down[..., None]], axis=-1)
    points = (origin[:, :, None] - steps[..., None] * k[:, :, None]).reshape(len(k), k.shape[1] * steps.shape[-1], 3)
    points = _bounded(points * np.array([1.0, 1.0, 0.0 if floor else 1.0]))
    gap, _, _ = _residual(origin[:, None], points, frequency[:, None])
    cost = np.sum(weight[:, None] * gap**2, axis=(-2, -1))
    return np.asarray(points[np.arange(len(k)), np.argmin(cost, axis=1)])


def _normal(
    origin: np.ndarray, point: np.ndarray, frequency: np.ndarray, weight: np.ndarray, free: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cost (B,), J^T W J (B, free, free) and J^T W residual (B, free); J = Q_i, the first `free` columns."""
    gap, k, distance = _residual(origin, point, frequency)
    rows = (np.eye(3) - k[..., :, None] * k[..., None, :])[..., 1:, :free] * (-np.pi / distance)[..., None, None]
    weighted = rows * weight[..., None]
    normal = np.sum(weighted.mT @ rows, axis=1)
    slope = np.sum(weighted.mT @ gap[..., None], axis=1)[..., 0]
    return np.sum(weight * gap**2, axis=(1, 2)), normal, slope


def in_room(system: NonOrthogonal, floor_m: np.ndarray) -> np.ndarray:
    """Floor positions (B, 2) moved along their ray and circle into the room of `tracking` (range and azimuth)."""
    limit = np.deg2rad(system.max_azimuth_deg)
    distance = np.clip(np.hypot(floor_m[:, 0], floor_m[:, 1]), system.min_range_m, system.max_range_m)
    angle = np.clip(np.arctan2(floor_m[:, 1], floor_m[:, 0]), -limit, limit)
    return np.stack([distance * np.cos(angle), distance * np.sin(angle)], axis=-1)


def receiver_noise(system: NonOrthogonal, scene: NonOrthogonalScene, row: np.ndarray) -> np.ndarray:
    """Z (B, n, M, T) of the frames `row` (B,), from the scene's seeds: the same for whatever design."""
    if scene.receiver_seed is None:
        raise ValueError("scene.receiver_seed is None: received samples of a frame need scenes drawn with measurement='ml'")
    seeds = np.asarray(scene.receiver_seed)[np.arange(len(row)), row]
    shape = (system.num_blocks, system.num_user_antennas, system.num_slots)
    out = np.empty((len(row), *shape), complex)
    for b, seed in enumerate(seeds):
        out[b] = channels.draw(np.random.Generator(np.random.Philox(key=int(seed))), shape)
    return out


def measured_position(
    system: NonOrthogonal, scene: NonOrthogonalScene, design: NonOrthogonalDesign, row: np.ndarray
) -> np.ndarray:
    """The position (B, 2) on the floor that a receiver measures in the frames `row` (B,), m: `measurement="ml"`, section 12.

    Received samples, u of both blocks by maximum likelihood, Gauss-Newton on the floor; an estimate out of the room is moved to
    its border. The weights are those of the true SNR, which the receiver measures.

    Raises:
        ValueError: the scene has no `receiver_seed` (drawn with measurement="gaussian").
    """
    from ris_gym.systems.nonorthogonal.tracking import angle_information

    samples = received(system, scene, design, receiver_noise(system, scene, row))
    weight = angle_information(system, scene, design)
    return in_room(system, locate(system, scene, estimate_frequencies(system, samples), weight, floor=True)[:, :2])
