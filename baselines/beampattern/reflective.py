"""Reflective step (P3) and the surface of the separate design (P4): semidefinite relaxation and Gaussian randomisation.

    max t  s.t.  tr(Q_l V) >= t,  tr(T_k V) >= sigma^2,  V_nn = 1,  V >= 0     (SDR3.1)

Source: arXiv 2111.13511, problems (SDR3.1) and (P4).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from baselines.beampattern.units import Scaled, limit
from baselines.tools.dual_ipm import DualProblem, solve_dual
from baselines.tools.linalg import Array, ComplexArray, abs2
from baselines.tools.randomisation import gaussian_phases

TOLERANCE = 2e-4
Relaxation = Callable[[Scaled, ComplexArray, bool], tuple[ComplexArray, Array, NDArray[np.bool_]]]
"""(scaled, beams, with the SINR constraints) -> V (B, n, n) with unit diagonal, value (B,), where there is one (B,)."""


def path_columns(scaled: Scaled, f: ComplexArray) -> tuple[ComplexArray, ComplexArray]:
    """Columns c with received amplitude c^H v: targets (B, N, L, S) and users (B, N + 1, K, S), last row = direct path."""
    through = scaled.bs_ris @ f
    target = (scaled.steering.T[:, :, None] * through.conj()[:, :, None, :]).astype(complex)
    reflected = np.swapaxes(scaled.ris_user, -1, -2)[..., None] * through.conj()[:, :, None, :]
    direct = (scaled.bs_user.conj() @ f).conj()[:, None]
    return target, np.concatenate([reflected, direct], axis=1)


def reflective_problem(scaled: Scaled, f: ComplexArray, users: bool = True) -> tuple[DualProblem, Array]:
    """The dual of (SDR3.1) (users=False: of (P4), size N) in scaled units; variables z = (y, lambda, mu).

    Args:
        scaled: scenes.
        f: (B, M, S) beams, the first K of them the users'.
        users: with the SINR constraints.

    Returns:
        The problem and the gain (B,) that its unit of value stands for.
    """
    target, user = path_columns(scaled, f)
    count, elements, angles, streams = target.shape
    unit = np.maximum(abs2(target).sum((1, 3)).mean(-1), 1e-300) / elements
    columns = (target / np.sqrt(unit)[:, None, None, None]).reshape(count, elements, angles * streams)
    owner = np.repeat(np.arange(angles), streams)
    size, k = elements, 0
    sign = -np.ones(angles * streams)
    if users:
        size, k = elements + 1, user.shape[2]
        columns = np.concatenate([columns, np.zeros((count, 1, angles * streams))], axis=1)
        own, other = user[..., :k], user[..., k:]
        ease = limit(np.sqrt(np.diagonal(abs2(own).sum(1), axis1=1, axis2=2)))
        own, other = own / ease[:, None, :, None], other / ease[:, None, :, None]
        columns = np.concatenate([columns, np.diagonal(own, axis1=2, axis2=3)], axis=-1)
        owner = np.concatenate([owner, angles + np.arange(k)])
        sign = np.concatenate([sign, -np.ones(k)])
        for j in range(k):
            columns = np.concatenate([columns, np.delete(own[:, :, j], j, axis=-1)], axis=-1)
            owner = np.concatenate([owner, np.full(k - 1, angles + j)])
            sign = np.concatenate([sign, np.full(k - 1, scaled.threshold[j])])
            if scaled.leak:
                columns = np.concatenate([columns, other[:, :, j]], axis=-1)
                owner = np.concatenate([owner, np.full(other.shape[-1], angles + j)])
                sign = np.concatenate([sign, np.full(other.shape[-1], scaled.threshold[j] * scaled.leak)])
    m = size + angles + k
    weights = np.zeros((1, len(owner), m))
    weights[0, np.arange(len(owner)), size + owner] = sign
    diagonal = np.zeros((1, size, m))
    diagonal[0, np.arange(size), np.arange(size)] = 1.0
    kind = np.repeat([0, 1, 2], [size, angles, k])
    cost = np.zeros((count, m))
    cost[:, :size] = 1.0
    if users:
        cost[:, size + angles :] = -1.0 / ease**2
    problem = DualProblem(
        factors=np.ascontiguousarray(columns[:, None]),
        weights=weights,
        diagonal=diagonal,
        cost=cost,
        nonnegative=kind > 0,
        group=kind == 1,
        doubled=kind == 0,
        start=np.array([1.0, 1.0 / angles, 0.01])[kind],
    )
    return problem, unit


def relax(scaled: Scaled, f: ComplexArray, users: bool = True) -> tuple[ComplexArray, Array, NDArray[np.bool_]]:
    """Solution V (B, n, n) with unit diagonal, its certified value as a gain (B,), and where there is one (B,)."""
    problem, unit = reflective_problem(scaled, f, users)
    result = solve_dual(problem, tolerance=TOLERANCE)
    x = result.primal[:, 0]
    power = np.diagonal(x, axis1=-2, axis2=-1).real
    good = (power > 0).all(1) & (result.status != "infeasible")
    scale = 1.0 / np.sqrt(np.where(good[:, None], power, 1.0))
    x = np.where(good[:, None, None], x * scale[:, :, None] * scale[:, None, :], np.eye(x.shape[-1]))
    return x, result.value * unit, good


def reflective_step(
    scaled: Scaled,
    v: ComplexArray,
    f: ComplexArray,
    generators: list[np.random.Generator],
    draws: int = 1000,
    keep_incumbent: bool = True,
    program: Relaxation = relax,
) -> tuple[ComplexArray, NDArray[np.bool_]]:
    """(P3): relaxation, randomisation, best feasible candidate.

    Args:
        scaled: scenes.
        v: (B, N) incumbent.
        f: (B, M, K + S0) beams of unit power.
        generators: one random generator per scene.
        draws: candidates.
        keep_incumbent: also consider v.
        program: solves (SDR3.1).

    Returns:
        The surface (B, N) and where it is better than the incumbent (B,) (found at all, without the incumbent).
    """
    relaxed, _, good = program(scaled, f, True)
    target, user = path_columns(scaled, f)
    users = user.shape[2]
    out, found = v.copy(), np.zeros(len(v), bool)
    old, _ = scaled.gain_and_margin(v, f)
    for i in np.flatnonzero(good):
        candidates = gaussian_phases(relaxed[i], draws, generators[i], reference=True)
        score = _candidate_scores(candidates, target[i], user[i], scaled, users)
        best = int(np.argmax(score))
        gain, margin = scaled[i : i + 1].gain_and_margin(candidates[best : best + 1], f[i : i + 1])
        if margin[0] >= 1.0 - 1e-9 and (gain[0] > old[i] or not keep_incumbent):
            out[i], found[i] = candidates[best], True
    return out, found


def _candidate_scores(candidates: ComplexArray, target: ComplexArray, user: ComplexArray, scaled: Scaled, users: int) -> Array:
    """Smallest gain of each candidate (C, N), -inf where an SINR is missed."""
    elements, angles, streams = target.shape
    gains = abs2(candidates @ target.reshape(elements, -1).conj()).reshape(-1, angles, streams).sum(-1).min(-1)
    paths = user.reshape(elements + 1, -1).conj()
    received = (candidates @ paths[:-1] + paths[-1]).reshape(-1, users, streams)
    return np.where((scaled.sinr_ratio(received) >= 1.0).all(-1), gains, -np.inf)


def separate_surface(
    scaled: Scaled,
    generators: list[np.random.Generator],
    draws: int = 1000,
    turns: int = 64,
    program: Relaxation = relax,
) -> ComplexArray:
    """(P4) max_v min_l ||g_l||^2 by relaxation and randomisation, then the common phase that serves the users best: (B, N)."""
    count = len(scaled)
    antennas = scaled.bs_ris.shape[2]
    identity = np.broadcast_to(np.eye(antennas, dtype=complex), (count, antennas, antennas))
    relaxed, _, _ = program(scaled, identity, False)
    out = np.empty(scaled.bs_ris.shape[:2], complex)
    for i in range(count):
        candidates = gaussian_phases(relaxed[i], draws, generators[i], reference=False)
        rows = scaled.steering.conj()[:, None, :] * scaled.bs_ris[i].T[None]
        gains = abs2(candidates @ rows.reshape(-1, rows.shape[-1]).T).reshape(draws, -1, antennas).sum(-1).min(-1)
        out[i] = candidates[int(np.argmax(gains))]
    return best_common_phase(scaled, out, turns)


def best_common_phase(scaled: Scaled, v: ComplexArray, turns: int = 64) -> ComplexArray:
    """v times the best of `turns` common phases for min_k ||h_k||^2 / Gamma_k."""
    reflected = scaled.ris_user.conj() @ (v[:, :, None] * scaled.bs_ris)
    phase = np.exp(2j * np.pi * np.arange(turns) / turns)
    cross = np.sum(reflected * scaled.bs_user, axis=-1)
    level = abs2(reflected).sum(-1) + abs2(scaled.bs_user).sum(-1)
    power = level[:, None, :] + 2.0 * (phase[None, :, None] * cross[:, None, :]).real
    return v * phase[power.min(-1).argmax(-1)][:, None]
