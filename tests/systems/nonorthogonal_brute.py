"""Slow, explicit forms of `nonorthogonal` for one scene and one block, from the signal model alone.

    received      Y[m, t] = sum_l H[m, l] xi_l (G w)_l x(t) + noise,  CN(0, sigma_z^2)
    user channel  H[m, l] = alpha exp(j m.u) exp(-j l.u)             (`literal`: exp(+j l.u))
    BS channel    G[l, n] = alpha_B b_in[l] conj(a_B[n])

The user that is localised knows the gains and not the angles; the one that decodes may be another one (`two_user`: it knows its
own direction, and the localised user knows nothing of the symbols). `mixed`: beta_x of (23) by (4) + (6), the derivatives
(24)-(27) by (58). Powers in watts, lengths in metres, angles (gamma, phi) in radians.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Block:
    """One block of one scene with a design."""

    model: str
    fisher: str
    elements: list[tuple[int, int]]
    antennas: list[tuple[int, int]]
    angles: np.ndarray
    comm_u: np.ndarray | None
    alpha: complex
    alpha_comm: complex
    arrived: np.ndarray  # G w, per element
    xi: np.ndarray
    x: np.ndarray
    noise: float
    variance: float
    slant: float


def grid(shape: tuple[int, int]) -> list[tuple[int, int]]:
    """(y, z) of every element; z runs fastest."""
    return [(y, z) for y in range(shape[0]) for z in range(shape[1])]


def block(system: Any, scene: Any, design: Any, b: int = 0, i: int = 0) -> Block:
    """Block `i` of entry `b` of the batches, with the explicit matrix G."""
    u = np.array(scene.spatial_frequency[b, i])
    ky, kz = u / np.pi
    n = len(scene.bs_steering[b, i])
    bs_ris = np.zeros((len(scene.incident[b, i]), n), complex)
    for l in range(len(bs_ris)):
        for antenna in range(n):
            bs_ris[l, antenna] = scene.gain_bs_ris[b, i] * scene.incident[b, i, l] * scene.bs_steering[b, i, antenna].conj()
    two = system.model == "two_user"
    return Block(
        model=system.model,
        fisher=system.fisher,
        elements=grid(system.surface_shape),
        antennas=grid(system.user_shape),
        angles=np.array([np.arcsin(kz), np.arctan2(ky, -np.sqrt(1.0 - ky**2 - kz**2))]),
        comm_u=np.array(scene.comm_spatial_frequency[b, i]) if two else None,
        alpha=complex(scene.gain_ris_user[b, i]),
        alpha_comm=complex(scene.gain_ris_comm[b, i]) if two else complex(scene.gain_ris_user[b, i]),
        arrived=bs_ris @ design.beams[b, i, :, 0],
        xi=np.array(design.coefficients[b, i]),
        x=np.array(scene.symbols[b, i]),
        noise=system.noise_w,
        variance=system.symbol_variance,
        slant=float(scene.ris_user_distance[b, i]),
    )


# -- channels -----------------------------------------------------------------------------------------------------------------


def frequency(angles: np.ndarray) -> np.ndarray:
    """u of (59), (60)."""
    gamma, phi = angles
    return np.array([np.pi * np.cos(gamma) * np.sin(phi), np.pi * np.sin(gamma)])


def channel(c: Block, u: np.ndarray, alpha: complex, side: int) -> np.ndarray:
    """H; `side` -1: (58), +1: (4) and (6) with the stated relation of the angles."""
    out = np.zeros((len(c.antennas), len(c.elements)), complex)
    for m, (my, mz) in enumerate(c.antennas):
        for l, (ly, lz) in enumerate(c.elements):
            out[m, l] = alpha * np.exp(1j * ((my + side * ly) * u[0] + (mz + side * lz) * u[1]))
    return out


def slopes(c: Block, side: int) -> tuple[np.ndarray, np.ndarray]:
    """H_gamma (27) and H_phi (26)."""
    h, (gamma, phi) = channel(c, frequency(c.angles), c.alpha, side), c.angles
    h_gamma, h_phi = np.zeros_like(h), np.zeros_like(h)
    for m, (my, mz) in enumerate(c.antennas):
        for l, (ly, lz) in enumerate(c.elements):
            y, z = my + side * ly, mz + side * lz
            h_gamma[m, l] = 1j * np.pi * (z * np.cos(gamma) - y * np.sin(gamma) * np.sin(phi)) * h[m, l]
            h_phi[m, l] = 1j * np.pi * y * np.cos(gamma) * np.cos(phi) * h[m, l]
    return h_gamma, h_phi


def derivative_side(c: Block) -> int:
    return 1 if c.model == "literal" else -1


def mean(c: Block, angles: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Noiseless Y of the user that is localised, (M T,); physical models only."""
    assert c.model != "mixed"
    h = channel(c, frequency(angles), c.alpha, derivative_side(c))
    return np.outer(h @ (c.xi * c.arrived), x).ravel()


def decoded(c: Block) -> np.ndarray:
    """beta_x (23) of the user that decodes, (M,)."""
    if c.comm_u is not None:
        return channel(c, c.comm_u, c.alpha_comm, -1) @ (c.xi * c.arrived)
    return channel(c, frequency(c.angles), c.alpha, -1 if c.model == "consistent" else 1) @ (c.xi * c.arrived)


def gains(c: Block) -> tuple[float, float]:
    """|g_1|, |g_2|: magnitudes of what one antenna receives, in units of one element's."""
    scale = abs(c.arrived[0])
    sensed = channel(c, frequency(c.angles), c.alpha, derivative_side(c)) @ (c.xi * c.arrived)
    return abs(decoded(c)[0]) / (abs(c.alpha_comm) * scale), abs(sensed[0]) / (abs(c.alpha) * scale)


# -- Fisher matrices ----------------------------------------------------------------------------------------------------------


def fisher(columns: list[np.ndarray], noise: float) -> np.ndarray:
    """2 / sigma_z^2 Re(D^H D) of the derivatives of the mean."""
    d = np.stack(columns, axis=1)
    return np.asarray(2.0 / noise * (d.conj().T @ d).real)


def symbol_columns(c: Block, beta: np.ndarray) -> list[np.ndarray]:
    """Derivatives of vec(beta x^T) to the unknown real numbers of the symbols."""
    units = {"known": [], "paper": [1.0], "complex": [1.0, 1j]}["complex" if c.model == "two_user" else c.fisher]
    out = []
    for unit in units:
        for t in range(len(c.x)):
            column = np.zeros((len(beta), len(c.x)), complex)
            column[:, t] = unit * beta
            out.append(column.ravel())
    return out


def sensing_beta(c: Block) -> np.ndarray:
    """beta_x as the user that is localised has it."""
    if c.model == "two_user":
        return channel(c, frequency(c.angles), c.alpha, -1) @ (c.xi * c.arrived)
    return decoded(c)


def angle_columns(c: Block) -> list[np.ndarray]:
    """(24), (25), all slots."""
    return [np.outer(h @ (c.xi * c.arrived), c.x).ravel() for h in slopes(c, derivative_side(c))]


def difference_columns(c: Block, step: float = 1e-5) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Columns of the symbols and of the angles by central differences of the mean."""
    symbols, angles = [], []
    units = {"known": [], "paper": [1.0], "complex": [1.0, 1j]}["complex" if c.model == "two_user" else c.fisher]
    for unit in units:
        for t in range(len(c.x)):
            e = np.zeros(len(c.x), complex)
            e[t] = unit * step
            symbols.append((mean(c, c.angles, c.x + e) - mean(c, c.angles, c.x - e)) / (2 * step))
    for k in range(2):
        e = np.eye(2)[k] * step
        angles.append((mean(c, c.angles + e, c.x) - mean(c, c.angles - e, c.x)) / (2 * step))
    return symbols, angles


def effective(symbols: list[np.ndarray], others: list[np.ndarray], noise: float) -> np.ndarray:
    """Information on `others` that is left where the symbols are unknown too (may be singular)."""
    j = fisher(symbols + others, noise)
    s = len(symbols)
    return np.asarray(j[s:, s:] - j[s:, :s] @ np.linalg.solve(j[:s, :s], j[:s, s:]))


@dataclass(frozen=True)
class Bounds:
    """What the Fisher matrix says."""

    symbol: np.ndarray  # per slot
    angle: float
    information: np.ndarray  # per slot
    rate: float


def bounds(c: Block, symbols: list[np.ndarray] | None = None, angles: list[np.ndarray] | None = None) -> Bounds:
    """(28)-(32) from the inverse of (22); the columns may come from elsewhere."""
    beta, slots = decoded(c), len(c.x)
    symbols = symbol_columns(c, sensing_beta(c)) if symbols is None else symbols
    angles = angle_columns(c) if angles is None else angles
    inverse = np.linalg.inv(fisher(symbols + angles, c.noise))
    angle = 0.5 * (inverse[-1, -1] + inverse[-2, -2])
    per_dimension = c.noise / (2.0 * np.linalg.norm(beta) ** 2)
    dimensions = 2 if c.fisher == "complex" else 1
    if c.model == "two_user" or c.fisher == "known":
        symbol = np.full(slots, dimensions * per_dimension)
    else:
        symbol = np.diag(inverse)[: dimensions * slots].reshape(dimensions, slots).sum(axis=0)
    bits = (1.0 if c.fisher == "complex" else 0.5) * np.log2(c.variance / symbol)
    rate = np.log2(1.0 + c.variance * np.linalg.norm(beta) ** 2 / c.noise)
    return Bounds(symbol, float(angle), bits, float(rate))


def metrics(system: Any, scene: Any, design: Any, b: int = 0) -> dict[str, float]:
    """Means over the blocks."""
    blocks = [block(system, scene, design, b, i) for i in range(system.num_blocks)]
    found = [bounds(c) for c in blocks]
    symbol, angle = (np.array(v) for v in ([f.symbol.mean() for f in found], [f.angle for f in found]))
    weight = system.weight
    out = {
        "crlb_symbol": symbol.mean(),
        "crlb_angle": angle.mean(),
        "mutual_information": np.mean([f.information for f in found]),
        "rate": np.mean([f.rate for f in found]),
        "gain_comm": np.mean([gains(c)[0] for c in blocks]) / len(blocks[0].elements),
        "gain_sense": np.mean([gains(c)[1] for c in blocks]) / len(blocks[0].elements),
        "value": np.mean(weight * np.log10(symbol) + (1.0 - weight) * np.log10(angle)),
    }
    if system.num_blocks == 2 and system.surface_spacing_m > 0.0:
        out["peb_m"] = np.sqrt(np.trace(np.linalg.inv(position_information(blocks))))
    return {name: float(value) for name, value in out.items()}


# -- position -----------------------------------------------------------------------------------------------------------------


def towards(angles: np.ndarray) -> np.ndarray:
    """k from elevation and azimuth."""
    gamma, phi = angles
    return np.array([np.cos(gamma) * np.cos(phi), np.cos(gamma) * np.sin(phi), np.sin(gamma)])


def position_information(blocks: list[Block], axes: int = 3) -> np.ndarray:
    """Information on r of all blocks, symbols as nuisances; du/dr by the quotient rule of k = (s - r) / ||s - r||."""
    total = np.zeros((axes, axes))
    for c in blocks:
        u_columns = np.stack(angle_columns(c), axis=1) @ np.linalg.inv(jacobian(c.angles))
        k = towards(c.angles)
        slope = np.zeros((2, axes))
        for row, component in enumerate((1, 2)):
            for axis in range(axes):
                slope[row, axis] = np.pi * (-float(component == axis) + k[component] * k[axis]) / c.slant
        total += slope.T @ effective(symbol_columns(c, sensing_beta(c)), list(u_columns.T), c.noise) @ slope
    return total


def position_differences(c: Block, sub: np.ndarray, user: np.ndarray, step: float = 1e-5) -> list[np.ndarray]:
    """Columns of r by central differences of the mean over the user's position."""
    out = []
    for axis in range(3):
        sides = []
        for sign in (1.0, -1.0):
            k = sub - (user + sign * step * np.eye(3)[axis])
            k = k / np.linalg.norm(k)
            sides.append(mean(c, np.array([np.arcsin(k[2]), np.arctan2(k[1], k[0])]), c.x))
        out.append((sides[0] - sides[1]) / (2.0 * step))
    return out


def jacobian(angles: np.ndarray) -> np.ndarray:
    """D = du / d(gamma, phi)."""
    gamma, phi = angles
    return np.pi * np.array([[-np.sin(gamma) * np.sin(phi), np.cos(gamma) * np.cos(phi)], [np.cos(gamma), 0.0]])


def with_fisher(c: Block, name: str) -> Block:
    return replace(c, fisher=name)


# -- geometry -----------------------------------------------------------------------------------------------------------------


def static_scene(system: Any, user: np.ndarray, comm: np.ndarray | None) -> dict[str, np.ndarray]:
    """Every deterministic array (n, ...) of a scene from the positions, one number at a time."""
    bs_floor = np.sqrt(system.bs_ris_distance_m**2 - (system.bs_height_m - system.ris_height_m) ** 2)
    angle = np.radians(system.bs_azimuth_deg)
    bs = np.array([bs_floor * np.cos(angle), bs_floor * np.sin(angle), system.bs_height_m])
    subs = [np.array([0.0, sign * system.surface_spacing_m / 2.0, system.ris_height_m]) for sign in (-1.0, 1.0)]
    out: dict[str, list[Any]] = {}

    def put(name: str, value: Any) -> None:
        out.setdefault(name, []).append(value)

    def loss(d: float, exponent: float) -> float:
        return float(np.sqrt(10.0 ** (-system.path_loss_1m_db / 10.0) * d**-exponent))

    for s in subs[: system.num_blocks]:
        put("ris_position", s)
        kb = (bs - s) / np.linalg.norm(bs - s)
        put("incident", [np.exp(1j * np.pi * (ly * kb[1] + lz * kb[2])) for ly, lz in grid(system.surface_shape)])
        put("bs_steering", [np.exp(-1j * np.pi * n * kb[1]) for n in range(system.num_antennas)])
        put("gain_bs_ris", loss(float(np.linalg.norm(bs - s)), system.exponent_bs_ris))
        d = float(np.linalg.norm(s - user))
        put("ris_user_distance", d)
        put("gain_ris_user", loss(d, system.exponent_ris_user))
        put("spatial_frequency", np.pi * ((s - user) / d)[1:])
        put("direction", (s - user) / d)
        if comm is not None:
            d = float(np.linalg.norm(s - comm))
            put("gain_ris_comm", loss(d, system.exponent_ris_user))
            put("comm_spatial_frequency", np.pi * ((s - comm) / d)[1:])
    return {"bs_position": bs} | {name: np.array(value) for name, value in out.items()}


def floor_point(system: Any, azimuth_deg: float) -> np.ndarray:
    """A static user."""
    rho = np.sqrt(system.ris_user_distance_m**2 - system.ris_height_m**2)
    return np.array([rho * np.cos(np.radians(azimuth_deg)), rho * np.sin(np.radians(azimuth_deg)), 0.0])


def products(c: Block, incident: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """c_comm, c_sense."""
    u = frequency(c.angles)
    turn = lambda v, sign: np.array([np.exp(sign * 1j * (ly * v[0] + lz * v[1])) for ly, lz in c.elements])  # noqa: E731
    sense = incident * turn(u, 1 if c.model == "literal" else -1)
    if c.comm_u is not None:
        return incident * turn(c.comm_u, -1), sense
    return incident * turn(u, -1 if c.model == "consistent" else 1), sense


# -- the moving user ----------------------------------------------------------------------------------------------------------


def move(system: Any, r: np.ndarray, v: np.ndarray, normal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One step of position and velocity (2,), with reflections in polar coordinates."""
    rho = system.speed_correlation
    r = r + system.block_time_s * v
    v = rho * v + np.sqrt(1.0 - rho**2) * system.speed_mps * normal
    distance, azimuth = float(np.hypot(*r)), float(np.arctan2(r[1], r[0]))
    radial, tangential = r / distance, np.array([-r[1], r[0]]) / distance
    speed = np.array([v @ radial, v @ tangential])
    if distance > system.max_range_m:
        distance, speed[0] = 2 * system.max_range_m - distance, -speed[0]
    elif distance < system.min_range_m:
        distance, speed[0] = 2 * system.min_range_m - distance, -speed[0]
    limit = np.radians(system.max_azimuth_deg)
    if azimuth > limit:
        azimuth, speed[1] = 2 * limit - azimuth, -speed[1]
    elif azimuth < -limit:
        azimuth, speed[1] = -2 * limit - azimuth, -speed[1]
    radial, tangential = np.array([np.cos(azimuth), np.sin(azimuth)]), np.array([-np.sin(azimuth), np.cos(azimuth)])
    return distance * radial, speed[0] * radial + speed[1] * tangential


def measurement_covariance(system: Any, scene: Any, design: Any, b: int) -> np.ndarray:
    """R of the floor position: symbols unknown and complex, whatever the system judges by."""
    blocks = []
    for i in range(2):
        c = with_fisher(block(system, scene, design, b, i), "complex")
        blocks.append(replace(c, model="consistent") if c.model == "mixed" else c)
    return np.asarray(np.linalg.inv(position_information(blocks)[:2, :2] + 1e-2 * np.eye(2)))


def update(m: np.ndarray, cov: np.ndarray, seen: np.ndarray, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bayes' rule in information form: prior N(m, cov), observation of the first two numbers with covariance r."""
    h = np.eye(2, 4)
    after = np.linalg.inv(np.linalg.inv(cov) + h.T @ np.linalg.inv(r) @ h)
    return after @ (np.linalg.inv(cov) @ m + h.T @ np.linalg.inv(r) @ seen), after


def predict(system: Any, m: np.ndarray, cov: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means and covariances of r + tau v and of rho v + noise."""
    tau, rho = system.block_time_s, system.speed_correlation
    out, after = np.zeros(4), np.zeros((4, 4))
    out[:2], out[2:] = m[:2] + tau * m[2:], rho * m[2:]
    rr, rv, vv = cov[:2, :2], cov[:2, 2:], cov[2:, 2:]
    after[:2, :2] = rr + tau * (rv + rv.T) + tau**2 * vv
    after[:2, 2:] = rho * (rv + tau * vv)
    after[2:, :2] = after[:2, 2:].T
    after[2:, 2:] = rho**2 * vv + (1.0 - rho**2) * system.speed_mps**2 * np.eye(2)
    return out, after
