"""Transmit step (P2): the best beams for a given surface, exactly, by the dual interior-point method.

    max t  s.t.  g_l^H R g_l >= t,  h_k^H W_k h_k / Gamma_k - sum_{j != k} h_k^H W_j h_k - eps h_k^H R_0 h_k >= sigma^2,
           tr R <= P

Source: arXiv 2111.13511, problem (SDR2.1) and Proposition 1.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from baselines.beampattern.units import Scaled, limit, min_gain
from baselines.tools.dual_ipm import INFEASIBLE, DualProblem, solve_dual
from baselines.tools.linalg import Array, ComplexArray, abs2, herm

Covariances = Callable[[Scaled, ComplexArray, ComplexArray], tuple[ComplexArray, NDArray[np.bool_], Array]]
"""(scaled, user rows, target rows) -> covariances (B, J, M, M) of trace 1, feasibility (B,), value (B,)."""


def transmit_problem(scaled: Scaled, user: ComplexArray, target: ComplexArray) -> tuple[DualProblem, Array]:
    """The dual of (SDR2.1) in scaled units.

    Blocks: K = 1: R alone. K >= 2: R_0, W_1, .., W_K. Variables z = (p, lambda_1..L, mu_1..K).

    Args:
        scaled: scenes.
        user: (B, K, M) rows h_k^H.
        target: (B, L, M) rows g_l^H.

    Returns:
        The problem and the gain (B,) that its unit of value stands for.
    """
    count, users, antennas = user.shape
    angles = target.shape[1]
    unit = np.maximum(abs2(target).sum(-1).mean(-1), 1e-300)
    g = herm(target) / np.sqrt(unit)[:, None, None]
    ease = limit(np.sqrt(abs2(user).sum(-1)))
    columns = np.concatenate([g, herm(user) / ease[:, None, :]], axis=-1)
    blocks = 1 if users == 1 else users + 1
    weights = np.zeros((blocks, angles + users, 1 + angles + users))
    for block in range(blocks):
        for angle in range(angles):
            weights[block, angle, 1 + angle] = -1.0
        for k in range(users):
            own = users == 1 or block == k + 1
            sign = -1.0 if own else scaled.threshold[k] * (scaled.leak if block == 0 else 1.0)
            weights[block, angles + k, 1 + angles + k] = sign
    diagonal = np.zeros((blocks, antennas, 1 + angles + users))
    diagonal[..., 0] = 1.0
    m = 1 + angles + users
    cost = np.zeros((count, m))
    cost[:, 0], cost[:, 1 + angles :] = 1.0, -1.0 / ease**2
    kind = np.repeat([0, 1, 2], [1, angles, users])
    problem = DualProblem(
        factors=np.broadcast_to(columns[:, None], (count, blocks, *columns.shape[1:])),
        weights=weights,
        diagonal=diagonal,
        cost=cost,
        nonnegative=kind > 0,
        group=kind == 1,
        doubled=kind == 0,
        start=np.array([1.0, 1.0 / angles, 0.01])[kind],
    )
    return problem, unit


def transmit_covariances(
    scaled: Scaled, user: ComplexArray, target: ComplexArray
) -> tuple[ComplexArray, NDArray[np.bool_], Array]:
    """Optimal covariances of trace 1 (B, J, M, M), feasibility (B,), certified upper bound of the gain (B,)."""
    users = user.shape[1]
    reach = abs2(user).sum(-1)
    possible = (reach >= 1.0 - 1e-12).all(1)
    problem, unit = transmit_problem(scaled, user, target)
    result = solve_dual(problem, tolerance=5e-5, max_iterations=80 if users == 1 else 200)
    x = result.primal
    feasible = possible & (result.status != INFEASIBLE) & (result.status != "failed")
    trace = np.trace(x, axis1=-2, axis2=-1).real.sum(1)
    feasible_x = trace > 0
    x = x / np.where(feasible_x, trace, 1.0)[:, None, None, None]
    bound = result.value * unit
    if users == 1:
        # exactly at the limit (or without a primal point): the maximum-ratio beam is the only (a safe) answer
        edge = possible & ((reach[:, 0] < 1.0 + 1e-6) | ~feasible_x | ~feasible)
        mrt = herm(user) / np.sqrt(np.maximum(reach, 1e-300))[:, None, :]
        best = (mrt @ herm(mrt))[:, None]
        x = np.where(edge[:, None, None, None], best, x)
        x = np.where(possible[:, None, None, None], meet_snr(x, user), x)
        feasible = possible
    else:
        feasible = feasible & feasible_x
    return x, feasible, bound


def meet_snr(x: ComplexArray, user: ComplexArray) -> ComplexArray:
    """Mix in as much of the maximum-ratio beam as the SNR lacks by rounding (K = 1; page, section 3 (b)).

    Args:
        x: (B, J, M, M) covariances of trace 1, the last one the user's.
        user: (B, 1, M) row h^H.
    """
    reach = np.maximum(abs2(user[:, 0]).sum(-1), 1e-300)
    snr = (user @ x[:, -1] @ herm(user))[:, 0, 0].real
    lack = np.clip((1.0 - snr) / np.maximum(reach - snr, 1e-12), 0.0, 1.0)[:, None, None, None]
    mixed = (1.0 - lack) * x
    mixed[:, -1] += lack[:, 0] * (herm(user) @ user) / reach[:, None, None]
    return mixed


def rank_one(user: ComplexArray, covariances: ComplexArray, sensing: int) -> ComplexArray:
    """Beams F = [W, F0] (B, M, K + sensing) of unit power from the covariances of the transmit step.

    w_k = W_k h_k / sqrt(h_k^H W_k h_k), F0 = the strongest eigenvectors of R - W W^H (Proposition 1; with all of them R is
    unchanged). `covariances` (B, J, M, M): W_1, .., W_K, before them R_0 if J = K + 1.
    """
    total = covariances.sum(1)
    users, blocks = user.shape[1], covariances.shape[1]
    own = covariances if blocks == users else covariances[:, 1:]
    h = herm(user)
    image = np.swapaxes((own @ np.swapaxes(h, -1, -2)[..., None])[..., 0], -1, -2)
    level = np.sqrt(np.maximum(np.sum(h.conj() * image, axis=1).real, 1e-300))
    w = image / level[:, None, :]
    if sensing:
        rest = total - w @ herm(w)
        values, vectors = np.linalg.eigh(0.5 * (rest + herm(rest)))
        width = min(sensing, values.shape[-1])
        f0 = vectors[..., -width:] * np.sqrt(np.maximum(values[..., -width:], 0.0))[:, None, :]
        w = np.concatenate([w, f0[..., ::-1], np.zeros((*f0.shape[:2], sensing - width))], axis=-1)
    return unit_power(w)


def unit_power(f: ComplexArray) -> ComplexArray:
    """F / ||F||_F."""
    return f / np.sqrt(np.maximum(abs2(f).sum((-2, -1), keepdims=True), 1e-300))


def maximum_ratio(user: ComplexArray, sensing: int) -> ComplexArray:
    """Columns h_k, jointly of unit power, no sensing beams: (B, M, K + sensing)."""
    w = unit_power(herm(user))
    return np.concatenate([w, np.zeros((*w.shape[:2], sensing))], axis=-1)


def transmit_step(
    scaled: Scaled, v: ComplexArray, program: Covariances = transmit_covariances
) -> tuple[ComplexArray, Array, NDArray[np.bool_]]:
    """(P2) and its rank-one reconstruction.

    Args:
        scaled: scenes.
        v: (B, N) surface.
        program: solves (SDR2.1).

    Returns:
        Beams F (B, M, K + S0) of unit power, smallest gain (B,), feasibility (B,); maximum-ratio beams where infeasible.
    """
    user, target = scaled.rows(v)
    x, feasible, _ = program(scaled, user, target)
    f = rank_one(user, x, scaled.sensing_beams)
    f = np.where(feasible[:, None, None], f, maximum_ratio(user, scaled.sensing_beams))
    return f, min_gain(target @ f), feasible
