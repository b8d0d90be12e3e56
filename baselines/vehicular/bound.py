"""Certified bound of the penalised score of a pass, with the true states (model page, 8A).

Gains are at most 1, whatever a policy knows. With aligned SNRs at the true positions the mean penalised score over the frames
that count is at most the optimum of a linear programme in the shares a and the shortfalls xi:

    max mean (1 - a) log2(1 + rho_c) + a log2(1 + (1 - eps) rho_c) - penalty xi,
    xi >= 1 - (eps a gamma_own + (1 - a_prev) gamma_help) / Gamma,  0 <= a <= 1,  xi >= 0 .

Without helper every slot is in closed form. With the reflecting vehicle as a decision, weights w_j >= 0 of slot k with sum_j w_j
<= 1 - a_k replace 1 - a_prev: a relaxation.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import optimize, sparse

from baselines.policy import Bound
from baselines.tools.linalg import Array
from ris_gym.systems.vehicular import motion

SLACK = 1e-9
SINGLE = 1e-5


def pass_bound(system: Any, scene: Any, penalty: float | None = None) -> Bound:
    """Upper bound of the mean penalised score over the frames from `scene` on that count (frame 0 does not), per scene.

    Args:
        penalty: weight of the cost; None: the system's.

    Raises:
        ValueError: negative penalty.
    """
    penalty = float(system.default_penalty if penalty is None else penalty)
    if not penalty >= 0.0:
        raise ValueError(f"penalty must be at least 0, got {penalty!r}")
    value, status = np.empty(len(scene)), np.full(len(scene), "certified")
    single = np.asarray(scene.position).dtype == np.float32
    for b in range(len(scene)):
        first = int(scene.frame[b])
        value[b] = _one(system, scene[b], first, penalty)
    bad = ~np.isfinite(value)
    value += (SINGLE if single else SLACK) * np.maximum(1.0, np.abs(value))
    status[bad], value[bad] = "unknown", np.inf
    return Bound(value=value, status=status)


def true_positions(system: Any, scene: Any) -> Array:
    """Positions (F, K slot, K vehicle), m, in the slots of the frames from the scene's (a batch of one) on."""
    frames = np.asarray(scene.process)[0, int(scene.frame[0]) :].astype(float)
    f, q = motion.step_matrices(system.acceleration_psd_m2ps3, system.slot_s)
    noise = frames @ motion.root(q).T
    state = np.stack([np.asarray(scene.position)[0], np.asarray(scene.velocity)[0]], axis=-1).astype(float)
    out = np.empty(frames.shape[:3])
    for n in range(frames.shape[0]):
        for k in range(frames.shape[1]):
            state = state @ f.T + noise[n, k]
            out[n, k] = state[:, 0]
    return out


def _one(system: Any, scene: Any, first: int, penalty: float) -> float:
    """The bound of one scene."""
    position = true_positions(system, scene)
    if first == 0 and len(position) == 1:
        return 0.0
    index = np.arange(system.num_users)
    own_position = position[:, index, index]  # (F, K)
    snr = motion.comm_snr(system, own_position)
    send, both = np.log2(1.0 + snr), np.log2(1.0 + (1.0 - system.reflect_share) * snr)
    counts = np.arange(first, first + len(position)) > 0
    if not counts.any():
        return math.inf
    if system.threshold is None:
        return float(send[counts].mean())
    own = system.reflect_share * motion.echo_energy(system, own_position) / system.threshold
    if not system.assisted:
        credit = np.zeros_like(own)
        credit[0] = np.asarray(scene.helper_snr, float)[0] / system.threshold
        enough = np.clip((1.0 - credit) / own, 0.0, 1.0)

        def worth(a: Array) -> Array:
            return (1.0 - a) * send + a * both - penalty * np.maximum(0.0, 1.0 - credit - own * a)

        return float(np.maximum(worth(np.zeros_like(own)), worth(enough))[counts].mean())
    return _programme(system, scene, position, send, both, own, counts, penalty)


def _programme(
    system: Any, scene: Any, position: Array, send: Array, both: Array, own: Array, counts: np.ndarray, penalty: float
) -> float:
    """The linear programme of one scene; slots t = n K + k in time order."""
    users, slots = system.num_users, own.size
    help_gain = motion.echo_energy(system, position) / system.threshold  # (F, K slot, K vehicle)
    have = np.asarray(scene.helper_snr, float)[0] / system.threshold
    weights: list[tuple[int, int, float]] = []  # (slot, vehicle, gain per share of the slot)
    for t in range(slots):
        n, k = divmod(t, users)
        for step in range(1, users if system.chooses else 2):
            if system.cyclic or k + step < users:
                j = (k + step) % users
                weights.append((t, j, float(help_gain[n, k, j])))
    counted = np.repeat(counts, users)
    rows = np.flatnonzero(counted)
    row_of = np.full(slots, -1)
    row_of[rows] = np.arange(len(rows))
    # unknowns: a (slots), xi (rows), w (weights)
    cost = np.concatenate([
        np.where(counted, (send - both).reshape(-1), 0.0), np.full(len(rows), penalty), np.zeros(len(weights)),
    ])  # fmt: skip
    entry: list[tuple[int, int, float]] = [(i, int(t), -own.reshape(-1)[t]) for i, t in enumerate(rows)]
    entry += [(i, slots + i, -1.0) for i in range(len(rows))]
    limit = np.full(len(rows), -1.0)
    limit[rows < users] += have[rows[rows < users]]
    for i, (t, j, gain) in enumerate(weights):
        served = t + (j - t) % users  # the next own slot of vehicle j
        if served < slots and row_of[served] >= 0:
            entry.append((int(row_of[served]), slots + len(rows) + i, -gain))
    entry += [(len(rows) + t, t, 1.0) for t in range(slots)]
    entry += [(len(rows) + t, slots + len(rows) + i, 1.0) for i, (t, _, _) in enumerate(weights)]
    limit = np.concatenate([limit, np.ones(slots)])
    row, column, value = zip(*entry, strict=True)
    matrix = sparse.csr_matrix((value, (row, column)), shape=(len(limit), len(cost)))
    bounds = np.array([[0.0, 1.0]] * slots + [[0.0, np.inf]] * (len(cost) - slots))
    found = optimize.linprog(cost, A_ub=matrix, b_ub=limit, bounds=bounds, method="highs")
    if found.status != 0:
        return math.inf
    return float((send.reshape(-1)[counted].sum() - _certified(found, cost, matrix, limit, bounds)) / counted.sum())


def _certified(found: Any, cost: Array, matrix: Any, limit: Array, bounds: Array) -> float:
    """A lower bound of min c^T x from the solver's multipliers y <= 0 alone: y^T b + sum_i min over the box of (c - A^T y)_i x_i.

    Unbounded unknowns have multipliers that leave their reduced cost negative only by rounding; the box of xi and w is at most 1
    in an optimum.
    """
    dual = np.minimum(np.asarray(found.ineqlin.marginals), 0.0)
    reduced = cost - matrix.T @ dual
    return float(dual @ limit + np.minimum(reduced, 0.0).sum())
