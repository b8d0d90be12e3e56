"""Transmit step with zero-forcing directions: (SDR5.1) where user k's beam has the direction that no other user receives.

The directions w_k = columns of C^H (C C^H)^-1 are seen at the surface as omega_k = e1^-1 U (U^H e1^-1 U)^-1 (columns; u_i^H
omega_k = 1 for i = k, else 0). With W_k = p_k w_k w_k^H and S the sensing signal at the surface, SINR k is met with equality by
p_k = gamma_k (need_k + u_k^H S u_k), so that F is affine in S alone and the step is

    min tr(F^-1)  s.t.  F = S + sum_k gamma_k (need_k + u_k^H S u_k) omega_k omega_k^H,  S >= 0,  tr(e_i F) <= 1,

feasible if and only if S = 0 leaves something of both budgets. (More power than needed only moves a part of S into p_k.)
Solved by barrier Newton steps on S = B (I + D) B^H, all scenes of a batch at once.

Source: arXiv 2508.00379, benchmark of section VII; model page, section 7.3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baselines.active_crb.algebra import eigh, hermitian_basis, traces
from baselines.active_crb.transmitted import FAILED, INFEASIBLE, OPTIMAL, Transmitted, safe_scaled
from baselines.active_crb.units import Scaled, _Rows
from baselines.tools.linalg import Array, ComplexArray, herm

SHRINK = 0.05
TOLERANCE = 1e-6
STEPS = 80
BLOCK = 16
"""Scenes worked on at a time: more do not fit the cache."""
ROOM = 1e-6
"""Share of a budget that must be left at S = 0."""


def directions(e1: ComplexArray, users: ComplexArray) -> ComplexArray:
    """omega_k (B, N, K), u_k^H omega_k = 1."""
    image = np.linalg.solve(e1, users)
    return np.asarray(image @ np.linalg.inv(herm(users) @ image))


@dataclass(frozen=True, kw_only=True)
class Problem(_Rows):
    """F = S + sum_k gain_k (need_k + u_k^H S u_k) omega_k omega_k^H; tr(e_i F) = tr(costs_i S) + fixed_i <= 1."""

    users: ComplexArray  # (B, N, K)
    omega: ComplexArray  # (B, N, K)
    costs: ComplexArray  # (B, P, N, N)
    fixed: Array  # (B, P)
    gain: Array  # (B, K) gamma_k
    need: Array  # (B, K)

    def f(self, s: ComplexArray) -> ComplexArray:
        """F (B, N, N)."""
        return s + (self.omega * self.power(s)[:, None, :]) @ herm(self.omega)

    def power(self, s: ComplexArray) -> Array:
        """p_k (B, K)."""
        seen = np.einsum("bnk,bnm,bmk->bk", self.users.conj(), s, self.users, optimize=True).real
        return np.asarray(self.gain * (self.need + seen))

    def slack(self, s: ComplexArray) -> Array:
        """1 - tr(e_i F) (B, P)."""
        return 1.0 - self.fixed - traces(self.costs, s[:, None])


def problem_of(scaled: Scaled) -> Problem:
    """The problem at one surface; `scaled.threshold` must not be None."""
    assert scaled.threshold is not None
    parts = [scaled.e1] if scaled.e2 is None else [scaled.e1, scaled.e2]
    budgets = np.stack(parts, axis=1)
    omega = directions(scaled.e1, scaled.users)
    gain = np.broadcast_to(scaled.threshold, scaled.need.shape)
    spent = gain[:, None, :] * np.einsum("bnk,bpnm,bmk->bpk", omega.conj(), budgets, omega, optimize=True).real
    costs = budgets + (scaled.users[:, None] * spent[:, :, None, :]) @ herm(scaled.users)[:, None]
    fixed = (spent * scaled.need[:, None, :]).sum(-1)
    return Problem(users=scaled.users, omega=omega, costs=costs, fixed=fixed, gain=gain, need=scaled.need)


def solve_zero_forcing(scaled: Scaled) -> Transmitted:
    """The step for a batch of surfaces. `dual` is value - t (N + P), the lower end of the gap on the central path.

    Raises:
        ValueError: no thresholds.
    """
    if scaled.threshold is None:
        raise ValueError("scaled must have thresholds for zero forcing, got None")
    scaled = safe_scaled(scaled)
    problem = problem_of(scaled)
    count, elements, users = scaled.users.shape
    possible = scaled.possible & (problem.fixed < 1.0 - ROOM).all(1)
    rows = np.flatnonzero(possible)
    s = np.tile(np.eye(elements, dtype=complex), (count, 1, 1))
    t, done = np.zeros(count), np.zeros(count, bool)
    for first in range(0, len(rows), BLOCK):
        part = rows[first : first + BLOCK]
        s[part], t[part], done[part] = minimise(problem[part])
    f = problem.f(s)
    w = np.linalg.eigvalsh(f)
    value = (1.0 / np.maximum(w, 1e-300)).sum(1)
    good = possible & done & (w[:, 0] > 0)
    omega = problem.omega * np.sqrt(problem.power(s))[:, None, :]
    slack = np.maximum(problem.slack(s), 1e-300)
    return Transmitted(
        f=np.where(good[:, None, None], f, np.eye(elements)),
        omega=np.where(good[:, None, None], omega, 0.0),
        value=np.where(good, value, np.inf),
        dual=np.where(possible, value - t * (elements + slack.shape[1]), np.inf),
        status=np.where(good, OPTIMAL, np.where(possible, FAILED, INFEASIBLE)),
        price=np.where(good[:, None], t[:, None] / slack, 0.0),
        mu=np.zeros((count, users)),
        x=np.zeros((count, users, users), complex),
    )


def on_basis(linear: ComplexArray, n: int) -> ComplexArray:
    """linear (B, rows, n^2), acting on the entries of matrices, on the elements of `hermitian_basis`: (B, rows, n^2)."""
    i, j = np.triu_indices(n, 1)
    upper, lower = linear[..., i * n + j], linear[..., j * n + i]
    out = np.empty_like(linear)
    out[..., :n] = linear[..., np.arange(n) * (n + 1)]
    out[..., n::2] = np.sqrt(0.5) * (upper + lower)
    out[..., n + 1 :: 2] = 1j * np.sqrt(0.5) * (upper - lower)
    return out


def minimise(problem: Problem) -> tuple[ComplexArray, Array, NDArray[np.bool_]]:
    """S (B, N, N), t (B,) and whether the path was followed to its end (B,)."""
    count, elements, _ = problem.users.shape
    trace = np.trace(problem.costs, axis1=-2, axis2=-1).real
    start = 0.5 * ((1.0 - problem.fixed) / trace).min(1)
    factor = np.sqrt(start)[:, None, None] * np.eye(elements, dtype=complex)
    dimension = elements + trace.shape[1]
    value = (1.0 / np.linalg.eigvalsh(problem.f(factor @ herm(factor)))).sum(1)
    t = value / dimension
    out, done = factor.copy(), np.zeros(count, bool)
    final = t.copy()
    rows, part = np.arange(count), problem
    stuck = np.zeros(count, int)
    for _ in range(STEPS):
        if not len(rows):
            break
        factor, value, decrement, moved = newton_step(part, factor, t)
        last = TOLERANCE * value / dimension
        end = (t <= 1.001 * last) & (decrement <= 0.1 * TOLERANCE * value)
        stuck = np.where(moved, 0, stuck + 1)
        near = (decrement < t) & moved | ~moved
        over = end | (stuck > 2)
        out[rows], final[rows] = factor, t
        done[rows[end | (over & (t <= 1e3 * last))]] = True
        t = np.where(near, np.maximum(SHRINK * t, last), t)
        keep = ~over
        rows, part, factor, t, stuck = rows[keep], part[keep], factor[keep], t[keep], stuck[keep]
    return out @ herm(out), final, done


def newton_step(problem: Problem, factor: ComplexArray, t: Array) -> tuple[ComplexArray, Array, Array, NDArray[np.bool_]]:
    """One step of tr(F^-1) - t log det S - t sum_i log(slack_i): new factor of S, tr(F^-1), decrement, whether it moved."""
    count, elements, _ = problem.users.shape
    flat = hermitian_basis(elements).reshape(elements**2, -1)
    s = factor @ herm(factor)
    w, q = eigh(problem.f(s))
    w = np.maximum(w, 1e-300)
    slack = problem.slack(s)
    # dF = B D B^H + sum_k gain_k (u_k^H B D B^H u_k) omega_k omega_k^H in the eigenvectors of F, as a matrix on the entries of D
    turned, paths = herm(q) @ factor, herm(q) @ problem.omega
    seen = herm(factor) @ problem.users
    linear = (turned[:, :, None, :, None] * turned.conj()[:, None, :, None, :]).reshape(count, elements**2, -1)
    out_of = (paths[:, :, None] * paths.conj()[:, None]).reshape(count, elements**2, -1) * problem.gain[:, None, :]
    linear += out_of @ np.swapaxes((seen.conj()[:, :, None] * seen[:, None]).reshape(count, elements**2, -1), 1, 2)
    diagonal = np.arange(elements) * (elements + 1)
    g = -(on_basis((linear[:, diagonal] * w[:, :, None] ** -2.0).sum(1)[:, None], elements)[:, 0]).real
    linear *= ((w**-0.5)[:, :, None] / w[:, None, :]).reshape(count, -1, 1)
    change = on_basis(linear, elements)
    real = np.concatenate([change.real, change.imag], axis=1)
    hessian = 2.0 * np.swapaxes(real, 1, 2) @ real
    cost = herm(factor)[:, None] @ problem.costs @ factor[:, None]
    slope = (cost.reshape(count, -1, elements**2) @ flat.conj().T).real / slack[..., None]  # (B, P, N^2)
    g += t[:, None] * slope.sum(1)
    g[:, :elements] -= t[:, None]
    hessian += t[:, None, None] * np.swapaxes(slope, 1, 2) @ slope
    every = np.arange(elements**2)
    hessian[:, every, every] += t[:, None]
    step = -np.linalg.solve(hessian, g[..., None])[..., 0]
    decrement = -(g * step).sum(1)
    values, vectors = eigh((step @ flat).reshape(count, elements, elements))
    spend = (slope * step[:, None, :]).sum(-1).max(1)  # share of the slack that a whole step uses
    length = np.minimum(1.0, 0.95 / np.maximum(np.maximum(-values[:, 0], spend), 1e-300))
    level = (1.0 / w).sum(1)
    start = level - t * np.log(slack).sum(1)
    out, got, moved = factor.copy(), level.copy(), np.zeros(count, bool)
    todo = np.flatnonzero(np.isfinite(decrement))
    for _ in range(30):
        if not len(todo):
            break
        part, a = problem[todo], length[todo]
        grow = 1.0 + a[:, None] * values[todo]
        trial = factor[todo] @ vectors[todo] * np.sqrt(grow)[:, None, :]
        point = trial @ herm(trial)
        new, room = np.linalg.eigvalsh(part.f(point)), part.slack(point)
        inside = (new[:, 0] > 0) & (room > 0).all(1)
        new, room = np.where(inside[:, None], new, 1.0), np.where(inside[:, None], room, 1.0)
        new_level = (1.0 / new).sum(1)
        total = new_level - t[todo] * (np.log(room).sum(1) + np.log(grow).sum(1))
        good = inside & (total <= start[todo] - 1e-4 * a * decrement[todo] + 1e-13 * np.abs(start[todo]))
        out[todo[good]], got[todo[good]], moved[todo[good]] = trial[good], new_level[good], True
        length[todo] *= 0.4
        todo = todo[~good]
    return out, got, decrement, moved
