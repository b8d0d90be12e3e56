"""The numerical self-check of `multifunctional` (model page, sections 3, 4 and 10), for users who change parameters or code."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ris_gym import variables as var
from ris_gym.arrays import abs2
from ris_gym.systems.multifunctional import decoding, physics
from ris_gym.systems.multifunctional.records import MultiFunctionalDesign, MultiFunctionalScene

if TYPE_CHECKING:
    from ris_gym.systems.multifunctional.system import MultiFunctional

TOLERANCES = {
    "echo": 1e-6,
    "filters": 1e-9,
    "rate": 1e-9,
    "surface_power": 1e-9,
    "hard_constraints": 1e-9,
    "decode_encode": 1e-9,
    "slope": 1e-3,
}
"""Largest value of every entry of `run` that passes."""


def run(system: MultiFunctional, seed: int = 0, trials: int = 200) -> dict[str, float]:
    """Deviations of the closed forms of `system` from explicit ones, by name; each should stay below `TOLERANCES`.

    - `echo`: echo SINR against the largest generalised eigenvalue of the explicit matrices (R_i, Q_i), relative;
    - `filters`: by how much the best of `trials` random filters exceeds it (negative: it does not), relative;
    - `rate`, `surface_power`: against sums over users, streams and elements, relative;
    - `hard_constraints`: worst relative excess of a budget or cap; `decode_encode`: metrics after decode(encode(.));
    - `slope`: derivatives in closed form against differences along random directions, relative to the largest.
    """
    rng = np.random.default_rng(seed)
    scene = system.sample(rng, batch=3)
    raw = rng.uniform(-1.0, 1.0, (3, var.length(system.variables())))
    scene = type(scene).concatenate([scene, scene])
    raw = np.concatenate([raw, np.clip(system.start(scene[np.arange(3)]) + 0.02 * raw, -1.0, 1.0)])
    design = system.decode(scene, raw)
    metrics = system.evaluate(scene, design)
    shares = physics.shares(system, np, design)
    out = {"echo": 0.0, "filters": -math.inf, "rate": 0.0, "surface_power": 0.0, "hard_constraints": -1.0}
    for b in range(len(scene)):
        for side in range(2):
            w = np.asarray(design.all_beams)[b, side] if system.time_switching else np.asarray(design.all_beams)[b]
            signal, other = explicit_echo(system, scene, b, side, w, _active(system, design, b, side))
            inverse = np.linalg.inv(np.linalg.cholesky(other))
            gamma = float(np.linalg.eigvalsh(inverse @ signal @ inverse.conj().T)[-1])
            share = 1.0 if shares is None else float(shares[b, side])
            floor = 10.0 ** (physics.ECHO_FLOOR_DB / 10.0)
            mine = 10.0 ** (float(metrics.echo_sinr_db[b, side]) / 10.0)
            out["echo"] = max(out["echo"], abs(mine / max(share * gamma, floor) - 1.0))
            u = rng.standard_normal((trials, len(other))) + 1j * rng.standard_normal((trials, len(other)))
            reached = np.einsum("ti,ij,tj->t", u.conj(), signal, u).real / np.einsum("ti,ij,tj->t", u.conj(), other, u).real
            out["filters"] = max(out["filters"], float(np.max(reached)) * share / mine - 1.0)
        rate = np.array([explicit_rate(system, scene, design, b, k) for k in range(system.users)])
        worst = np.max(np.abs(rate - metrics.rate[b]) / np.maximum(rate, 1e-12), initial=0.0)
        out["rate"] = max(out["rate"], float(worst))
        if metrics.surface_power_w is not None:
            power = explicit_surface_power(system, scene, design, b)
            out["surface_power"] = max(out["surface_power"], abs(float(metrics.surface_power_w[b]) / power - 1.0))
    out["hard_constraints"] = excess(system, scene, design)
    again = system.evaluate(scene, system.decode(scene, system.encode(scene, design)))
    out["decode_encode"] = float(np.max(np.abs(again.objective - metrics.objective)))
    out["slope"] = _slope(system, scene, raw, rng)
    return out


def _active(system: MultiFunctional, design: MultiFunctionalDesign, b: int, side: int) -> np.ndarray:
    """Coefficients (2, M) of scene b while side `side` is sensed."""
    theta = np.array(design.coefficients[b])
    if system.time_switching:
        theta[1 - side] = 0.0
    return theta


def explicit_echo(
    system: MultiFunctional, scene: MultiFunctionalScene, b: int, side: int, w: np.ndarray, theta: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """`R_i` and `Q_i` of section 4 from full matrices, both over the receiver's noise."""
    h, covariance = scene.bs_ris[b], w @ w.conj().T
    noise, own = system.noise_sensor_w, system.noise_surface_w
    a, gain = scene.target_steering[b], scene.target_gain[b]
    if system.kind == "mf":
        assert scene.sensor_steering is not None and scene.bs_sensor is not None
        rows = range(*system.target_slices[side].indices(system.targets))
        response = sum(gain[t] * np.outer(scene.sensor_steering[b, t], a[t].conj()) for t in rows)
        seen = response @ np.diag(theta[side])
        x, g = seen @ h, scene.bs_sensor[b, side]
        other = g @ covariance @ g.conj().T + own * seen @ seen.conj().T + noise * np.eye(len(g))
        return x @ covariance @ x.conj().T / noise, other / noise
    both = []
    other = noise * np.eye(system.num_antennas, dtype=complex)
    for i in range(2):
        c = np.zeros((system.num_antennas, system.num_antennas), complex)
        d = np.zeros((system.num_antennas, system.num_elements), complex)
        for t in range(*system.target_slices[i].indices(system.targets)):
            rho = a[t].conj() @ np.diag(theta[i])
            eta = rho @ h
            c += gain[t] * np.outer(eta, eta)
            d += gain[t] * np.outer(eta, rho)
        both.append(c)
        other = other + own * (h.T @ np.diag(abs2(np, theta[i])) @ h.conj() + d @ d.conj().T)
    other = other + both[1 - side] @ covariance @ both[1 - side].conj().T
    return both[side] @ covariance @ both[side].conj().T / noise, other / noise


def explicit_rate(
    system: MultiFunctional, scene: MultiFunctionalScene, design: MultiFunctionalDesign, b: int, k: int
) -> float:
    """Rate of user k by sums over elements and streams, bit/s/Hz."""
    side = int(system.user_side[k])
    w = np.asarray(design.all_beams)[b, side] if system.time_switching else np.asarray(design.all_beams)[b]
    path = scene.ris_user[b, k].conj() * design.coefficients[b, side]
    received = [abs(sum(path[m] * (scene.bs_ris[b, m] @ w[:, j]) for m in range(len(path)))) ** 2 for j in range(w.shape[1])]
    noise = system.noise_surface_w * float(np.sum(abs2(np, path))) + system.noise_user_w
    rate = math.log2(1.0 + received[k] / (sum(received) - received[k] + noise))
    if design.time_fraction is not None:
        rate *= float(design.time_fraction[b]) if side == 0 else 1.0 - float(design.time_fraction[b])
    return rate


def explicit_surface_power(
    system: MultiFunctional, scene: MultiFunctionalScene, design: MultiFunctionalDesign, b: int
) -> float:
    """(17e) by sums over elements; time switching: of the slot that takes more. W."""
    totals = []
    for side in range(2 if system.time_switching else 1):
        w = np.asarray(design.all_beams)[b, side] if system.time_switching else np.asarray(design.all_beams)[b]
        rows = [side] if system.time_switching else [0, 1]
        power = 0.0
        for m in range(system.num_elements):
            arriving = float(np.sum(abs2(np, scene.bs_ris[b, m] @ w))) + system.noise_surface_w
            power += arriving * sum(abs(design.coefficients[b, i, m]) ** 2 for i in rows)
        totals.append(power)
    return max(totals)


def excess(system: MultiFunctional, scene: MultiFunctionalScene, design: MultiFunctionalDesign) -> float:
    """Largest relative excess of BS power, an element's cap (star, passive: distance from the equality) or surface power."""
    w, gain = np.asarray(design.all_beams), abs2(np, np.asarray(design.coefficients))
    spent = np.sum(abs2(np, w), axis=(-2, -1)) / system.power_w - 1.0
    total = gain if system.time_switching else gain.sum(axis=1)
    over = total / system.max_gain - 1.0
    out = max(float(np.max(spent)), float(np.max(np.abs(over) if system.equality else over)))
    if system.amplifies:
        load = physics.energy(np, physics.incoming(system, scene, w))
        assert system.surface_power_w is not None
        out = max(out, float(np.max(physics.surface_power(system, np, gain, load))) / system.surface_power_w - 1.0)
    return out


def _slope(system: MultiFunctional, scene: MultiFunctionalScene, raw: np.ndarray, rng: np.random.Generator) -> float:
    """Worst relative difference of a directional derivative of the score from a central difference."""
    if system.mode_switching or system.phase_levels is not None:  # straight-through derivatives are not differences
        names = [v.name for v in system.variables() if v.n is None]
    else:
        names = [v.name for v in system.variables()]
    where = var.slices(system.variables())
    direction = np.zeros_like(raw)
    for name in names:
        direction[:, where[name]] = rng.standard_normal((len(raw), where[name].stop - where[name].start))
    step = 1e-6
    jacobian: Any = system.pieces_jacobian(scene, raw)[2][:, 0]

    def score(at: np.ndarray) -> np.ndarray:
        made = decoding.realised(system, scene, at, "full")
        return np.asarray(made.evaluate(system, scene).score)

    change = (score(raw + step * direction) - score(raw - step * direction)) / (2.0 * step)
    size = np.linalg.norm(jacobian, axis=1) * np.linalg.norm(direction, axis=1)
    mine = np.sum(jacobian * direction, axis=1)
    return float(np.max(np.abs(mine - change) / np.maximum(size, 1e-9)))
