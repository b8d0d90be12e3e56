"""The numerical self-check of `active_crb` (model page, sections 4 and 12), for users who change parameters or code. numpy."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from ris_gym import channels
from ris_gym import variables as var
from ris_gym.arrays import herm
from ris_gym.systems.active_crb import physics
from ris_gym.systems.active_crb.records import ActiveCrbDesign, ActiveCrbScene

if TYPE_CHECKING:
    from ris_gym.systems.active_crb.system import ActiveCrb

TOLERANCES = {
    "fisher": 1e-6,
    "blue_noise_free": 1e-10,
    "blue_ratio": 0.1,
    "mse_over_crb": 1e-3,
    "mse_prior": 1e-9,
    "decode_encode": 1e-9,
    "hard_constraints": 1e-9,
    "lower_bound_db": 1e-9,
}
"""Largest value of every entry of `run` that passes."""


def run(system: ActiveCrb, seed: int = 0, trials: int = 1000) -> dict[str, float]:
    """Deviations of the closed forms of `system` from explicit ones, by name; each should stay below `TOLERANCES`.

    - `fisher`: closed CRB against the inverse of a finite-difference real Fisher matrix (M = 4, N = 3, T = 6, other parameters
      of `system`), relative;
    - `blue_noise_free`, `blue_ratio`: error of the best linear unbiased estimator without noise, and |ratio - 1| of its mean
      squared error over `trials` to the CRB;
    - `mse_over_crb`: |Bayes MSE / CRB - 1| with the prior raised by 1e6; `mse_prior`: Bayes MSE in dB over N^2 rho at R = 0;
    - `decode_encode`: metrics after decode(encode(.)) and after project; `hard_constraints`: worst relative excess of a budget or
      the cap; `lower_bound_db`: bound 8.1 minus objective.
    """
    rng = np.random.default_rng(seed)
    shape: dict[str, Any] = {"num_antennas": 4, "num_elements": 3, "num_users": 2, "num_snapshots": 6}
    if isinstance(system.sinr_threshold_db, tuple):
        shape["sinr_threshold_db"] = float(np.mean(system.sinr_threshold_db))
    small = dataclasses.replace(system, **shape)
    out = {"fisher": 0.0}
    scene = small.sample(rng, batch=2)
    raw = rng.uniform(-1.0, 1.0, (2, var.length(small.variables())))
    if not small.passive:
        where = var.slices(small.variables())["amplitude"]
        raw[:, where] = 1.0 - 0.3 * rng.random((2, small.num_elements))
    design = small.decode(scene, raw)
    crb = crb_of(small, scene, design)
    for i in range(2):
        out["fisher"] = max(out["fisher"], abs(_fisher(small, scene[i], design[i], rng) / crb[i] - 1.0))
    out |= _blue(small, scene[0], design[0], rng, trials)
    with_prior = 10.0 ** (physics.bayes_mse_db(small, scene, design, 1e6 * _prior_scale(small, scene, design)) / 10.0)
    total = np.sum(np.abs(scene.target_response) ** 2, axis=(1, 2))
    out["mse_over_crb"] = float(np.max(np.abs(with_prior * total / crb - 1.0)))
    silent = design.replace(beams=0.0 * design.beams, sensing_beams=0.0 * design.sensing_beams)
    out["mse_prior"] = float(np.max(np.abs(physics.bayes_mse_db(small, scene, silent))))

    scene = system.sample(rng, batch=8)
    raw = rng.uniform(-1.0, 1.0, (8, var.length(system.variables())))
    raw = np.concatenate([raw, np.clip(system.start(scene) + 0.02 * raw, -1.0, 1.0)])
    scene = type(scene).concatenate([scene, scene])
    design = system.decode(scene, raw)
    metrics = system.evaluate(scene, design)
    again = system.evaluate(scene, system.decode(scene, system.encode(scene, design)))
    once = system.evaluate(scene, system.project(scene, design))
    changed = [np.max(np.abs(np.asarray(b) - np.asarray(a))) for other in (again, once) for a, b in _pairs(metrics, other)]
    out["decode_encode"] = float(max(changed))
    excess = metrics.power_w / system.power_w - 1.0
    if metrics.surface_power_w is not None:
        excess = np.maximum(excess, metrics.surface_power_w / system.surface_power_w - 1.0)
    excess = np.maximum(excess, np.abs(design.coefficients).max(axis=1) / system.max_amplitude - 1.0)
    out["hard_constraints"] = float(max(0.0, excess.max()))
    out["lower_bound_db"] = float(max(0.0, -metrics.gap_db.min()))
    return out


def _pairs(a: object, b: object) -> list[tuple[np.ndarray, np.ndarray]]:
    names = ("objective", "score", "cost", "sinr_db")
    return [(getattr(a, name), getattr(b, name)) for name in names]


def crb_of(system: ActiveCrb, scene: ActiveCrbScene, design: ActiveCrbDesign) -> np.ndarray:
    """The closed form, linear, without the caps of the objective, (B,)."""
    return np.asarray(10.0 ** (np.asarray(system.evaluate(scene, design).objective) / 10.0))


def _prior_scale(system: ActiveCrb, scene: ActiveCrbScene, design: ActiveCrbDesign) -> np.ndarray:
    """Scale of the prior at which it is as wide as the CRB, (B,)."""
    total = np.sum(np.abs(scene.target_response) ** 2, axis=(1, 2))
    return np.maximum(1.0, crb_of(system, scene, design) / total)


def _model(
    system: ActiveCrb, scene: ActiveCrbScene, design: ActiveCrbDesign, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`G^T Psi` (M, N), illumination `Psi G X` (N, T) of X with the exact sample covariance R, noise covariance (M, M)."""
    g, v = np.asarray(scene.bs_ris)[0], np.asarray(design.coefficients)[0]
    f = np.asarray(design.all_beams)[0]
    values, vectors = np.linalg.eigh(f @ np.conj(f.T))
    root = vectors * np.sqrt(np.clip(values, 0.0, None))
    t = system.num_snapshots
    mixing = np.linalg.qr(channels.draw(rng, (t, len(g.T))))[0]  # (T, M), orthonormal columns
    x = np.sqrt(t) * root @ np.conj(mixing.T)
    receive = g.T * v
    noise = system.noise_surface_w * receive @ np.conj(receive.T) + system.noise_bs_w * np.eye(len(g.T))
    return receive, (v[:, None] * g) @ x, noise


def _fisher(system: ActiveCrb, scene: ActiveCrbScene, design: ActiveCrbDesign, rng: np.random.Generator) -> float:
    """Trace of the inverse of the real Fisher matrix of `Re H, Im H` (2 N^2), from differences of the mean of the echo."""
    receive, light, noise = _model(system, scene, design, rng)
    n = system.num_elements
    truth = np.asarray(scene.target_response)[0]
    step = np.abs(truth).max()
    columns = []
    for unit in (1.0, 1j):
        for i in range(n * n):
            change = np.zeros(n * n, complex)
            change[i] = step * unit
            up, down = truth + change.reshape(n, n), truth - change.reshape(n, n)
            columns.append(((receive @ up @ light - receive @ down @ light) / (2.0 * step)).T.ravel())
    derivative = np.stack(columns, axis=1)
    white = np.linalg.solve(np.linalg.cholesky(noise), derivative.reshape(system.num_snapshots, -1, 2 * n * n))
    flat = white.reshape(-1, 2 * n * n)
    return float(np.trace(np.linalg.inv(2.0 * np.real(np.conj(flat.T) @ flat))))


def _blue(
    system: ActiveCrb, scene: ActiveCrbScene, design: ActiveCrbDesign, rng: np.random.Generator, trials: int
) -> dict[str, float]:
    """The best linear unbiased estimator `(A^H S^-1 A)^-1 A^H S^-1 Y X_s^H (X_s X_s^H)^-1`, without noise and by Monte Carlo."""
    receive, light, noise = _model(system, scene, design, rng)
    truth = np.asarray(scene.target_response)[0]
    weighted = np.linalg.solve(noise, receive)
    left = np.linalg.solve(herm(np, receive) @ weighted, herm(np, weighted))
    right = np.linalg.pinv(light)
    clean = receive @ truth @ light
    size = np.linalg.norm(truth)
    noise_free = float(np.linalg.norm(left @ clean @ right - truth) / size)
    v, g = np.asarray(design.coefficients)[0], np.asarray(scene.bs_ris)[0]
    error = 0.0
    for _ in range(trials):
        at_surface = np.sqrt(system.noise_surface_w) * channels.draw(rng, (len(v), system.num_snapshots))
        at_bs = np.sqrt(system.noise_bs_w) * channels.draw(rng, (g.shape[1], system.num_snapshots))
        echo = clean + receive @ at_surface + at_bs
        error += float(np.linalg.norm(left @ echo @ right - truth) ** 2)
    ratio = error / trials / float(crb_of(system, scene, design)[0])
    return {"blue_noise_free": noise_free, "blue_ratio": abs(ratio - 1.0)}
