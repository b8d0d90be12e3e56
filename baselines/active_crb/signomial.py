"""The amplitude step's program in u = log(a / a_cap), its convex approximations, and a batched log-barrier Newton method.

    min log f(u)  s.t.  sum_j c_j exp(l_j^T u) + constant <= 0 for every constraint,  log(a_min / a_cap) <= u_n <= 0

log f is convex; a constraint with the tangents of its negative terms in their place is convex and an upper bound.

Source: arXiv 2508.00379, problems (P4.4) and (P6.4); model page, section 7.1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from baselines.tools.linalg import Array

LOWEST = 1e-3
"""Smallest amplitude over the cap (the projection's a_min)."""
INSIDE = 1e-12
"""Distance from the border at which a constraint counts as met with room."""


@lru_cache(maxsize=8)
def monomials(n: int) -> tuple[Array, sparse.csr_matrix, sparse.csr_matrix]:
    """Exponents (J, N) of the monomials a_i a_j (first N (N + 1) / 2 of them) and a_m^2 a_i a_j, and the maps (J, N^2), (J, N^3)
    that sum coefficients of index (i, j) and (m, i, j)."""
    unit = np.eye(n, dtype=np.int64)
    pairs = (unit[:, None] + unit).reshape(-1, n)
    fours = (2 * unit[:, None, None] + unit[:, None] + unit).reshape(-1, n)
    two, where_two = np.unique(pairs, axis=0, return_inverse=True)
    four, where_four = np.unique(fours, axis=0, return_inverse=True)
    count = len(two) + len(four)
    maps = [
        sparse.csr_matrix((np.ones(len(index)), (index.ravel(), np.arange(len(index)))), shape=(count, len(index)))
        for index in (where_two.ravel(), len(two) + where_four.ravel())
    ]
    return np.concatenate([two, four]).astype(float), maps[0], maps[1]


@dataclass(frozen=True, kw_only=True)
class AmplitudeProgram:
    """The program at fixed beams and phases, amplitudes in units of the cap: x = a / a_cap, J monomials x^l of degree 2 and 4.

    Attributes:
        transmit: (B, N), p_n; the scale is free. receive: (B, N), q_n sigma_b^2 / a_cap^2. floor: N sigma_r^2.
        coefficients: (B, C, J), c_j of constraint c; constant: (B, C): sum_j c_j x^l_j + constant <= 0 (surface power first).
    """

    transmit: Array
    receive: Array
    floor: float
    coefficients: Array
    constant: Array

    def __len__(self) -> int:
        return len(self.transmit)

    def __getitem__(self, rows: slice | NDArray) -> AmplitudeProgram:
        return replace(
            self,
            transmit=self.transmit[rows],
            receive=self.receive[rows],
            coefficients=self.coefficients[rows],
            constant=self.constant[rows],
        )

    @property
    def exponents(self) -> Array:
        """(J, N)."""
        return monomials(self.transmit.shape[1])[0]

    def monomials(self, u: Array) -> Array:
        """x^l (B, J) at u = log x (B, N)."""
        return np.exp(u @ self.exponents.T)

    def constraints(self, u: Array) -> Array:
        """Left-hand sides (B, C); feasible where <= 0."""
        return (self.coefficients @ self.monomials(u)[..., None])[..., 0] + self.constant

    def objective(self, u: Array) -> Array:
        """log f (B,), up to a constant per scene."""
        inverse = np.exp(-2.0 * u)
        return np.log((self.transmit * inverse).sum(1)) + np.log(self.floor + (self.receive * inverse).sum(1))


@dataclass(frozen=True, kw_only=True)
class Barrier:
    """Constraints sum_j plus_cj x^l_j + slope_c^T u + level_c <= 0 in u = log x, convex where plus >= 0.

    Attributes:
        program: objective and monomials.
        plus: (B, C, J). slope: (B, C, N). level: (B, C).
        convex: whether all of `plus` is nonnegative.
    """

    program: AmplitudeProgram
    plus: Array
    slope: Array
    level: Array
    convex: bool

    def __getitem__(self, rows: NDArray) -> Barrier:
        plus, slope, level = self.plus[rows], self.slope[rows], self.level[rows]
        return replace(self, program=self.program[rows], plus=plus, slope=slope, level=level)

    def constraints(self, u: Array) -> Array:
        """Left-hand sides (B, C)."""
        positive = (self.plus @ self.program.monomials(u)[..., None])[..., 0]
        return positive + (self.slope @ u[..., None])[..., 0] + self.level


def tangent(program: AmplitudeProgram, u: Array) -> Barrier:
    """The constraints with their negative terms replaced by their tangents at u (B, N)."""
    minus = np.minimum(program.coefficients, 0.0) * program.monomials(u)[:, None, :]
    slope = minus @ program.exponents
    level = program.constant + minus.sum(2) - (slope @ u[..., None])[..., 0]
    plus = np.maximum(program.coefficients, 0.0)
    return Barrier(program=program, plus=plus, slope=slope, level=level, convex=True)


def itself(program: AmplitudeProgram) -> Barrier:
    """The constraints as they are, not convex."""
    slope = np.zeros((*program.constant.shape, program.transmit.shape[1]))
    return Barrier(program=program, plus=program.coefficients, slope=slope, level=program.constant, convex=False)


def _room(barrier: Barrier, u: Array, slack: Array) -> Array:
    """Distances from the border (B, C + 2N): constraints and box, each widened by slack (B,)."""
    wide = slack[:, None]
    return np.concatenate([wide - barrier.constraints(u), wide - u, wide + u - np.log(LOWEST)], axis=1)


def _derivatives(barrier: Barrier, u: Array, room: Array) -> tuple[Array, Array, Array]:
    """Gradient (B, N) and Hessian (B, N, N) of -sum log room in u, and d room_c / d u (B, C + 2N, N)."""
    exponents = barrier.program.exponents
    count, n = u.shape
    constraints = barrier.level.shape[1]
    inverse = 1.0 / room
    monomials = barrier.program.monomials(u)
    first = (barrier.plus * monomials[:, None, :]) @ exponents + barrier.slope
    eye = np.broadcast_to(np.eye(n), (count, n, n))
    jacobian = np.concatenate([-first, -eye, eye], axis=1)
    weight = np.einsum("bcj,bc->bj", barrier.plus, inverse[:, :constraints]) * monomials
    outer = _outer(n)
    scaled = jacobian * inverse[..., None]
    hessian = (weight @ outer).reshape(count, n, n) + np.swapaxes(scaled, 1, 2) @ scaled
    return -scaled.sum(1), hessian, jacobian


@lru_cache(maxsize=8)
def _outer(n: int) -> Array:
    """l_j l_j^T as rows (J, N^2)."""
    exponents = monomials(n)[0]
    return (exponents[:, :, None] * exponents[:, None, :]).reshape(len(exponents), -1)


def objective_derivatives(program: AmplitudeProgram, u: Array) -> tuple[Array, Array]:
    """Gradient (B, N) and Hessian (B, N, N) of log f."""
    inverse = np.exp(-2.0 * u)
    gradient, hessian = np.zeros_like(u), np.zeros((*u.shape, u.shape[1]))
    index = np.arange(u.shape[1])
    for weight, rest in ((program.transmit, 0.0), (program.receive, program.floor)):
        share = weight * inverse
        share = share / (rest + share.sum(1, keepdims=True))
        gradient -= 2.0 * share
        hessian[:, index, index] += 4.0 * share
        hessian -= 4.0 * share[:, :, None] * share[:, None, :]
    return gradient, hessian


def _solve(hessian: Array, gradient: Array, definite: bool = True) -> Array:
    """-H^-1 g, scaled by the diagonal, zero where it is not finite; not definite: with the moduli of H's eigenvalues."""
    diagonal = np.maximum(np.abs(np.einsum("bnn->bn", hessian)), 1e-300)
    scale = 1.0 / np.sqrt(diagonal)
    scaled = hessian * scale[:, :, None] * scale[:, None, :]
    finite = np.isfinite(scaled).all((1, 2)) & np.isfinite(gradient).all(1)
    index = np.arange(gradient.shape[1])
    scaled = np.where(finite[:, None, None], scaled, np.eye(gradient.shape[1]))
    right = np.where(finite[:, None], gradient * scale, 0.0)[..., None]
    if definite:
        scaled[:, index, index] += 1e-13
        step = np.linalg.solve(scaled, right)[..., 0] * scale
    else:
        values, vectors = np.linalg.eigh(scaled)
        values = np.maximum(np.abs(values), 1e-10 * np.abs(values).max(1, keepdims=True))
        step = (vectors @ ((np.swapaxes(vectors, 1, 2) @ right) / values[..., None]))[..., 0] * scale
    return np.where(finite[:, None] & np.isfinite(step), -step, 0.0)


def _box(u: Array, step: Array) -> Array:
    """Longest length in (0, 1] that keeps u + length step within 1 of the box, (B,): no overflow in trials."""
    top, bottom = np.maximum(1.0 - u, 1e-3), np.maximum(u - np.log(LOWEST) + 1.0, 1e-3)
    limit = np.where(step > 0, top, bottom) / np.maximum(np.abs(step), 1e-300)
    return np.minimum(1.0, limit.min(1))


def solve_barrier(barrier: Barrier, u: Array, *, gap: float = 1e-7, factor: float = 20.0, steps: int = 200) -> Array:
    """Minimise log f under the constraints from a strictly feasible point (in a local sense unless they are convex).

    Args:
        barrier: the batch.
        u: (B, N), strictly feasible.
        gap: bound on the distance of log f from the minimum.
        factor: growth of the barrier parameter per stage.
        steps: Newton steps per stage.

    Returns:
        (B, N), strictly feasible.
    """
    u = u.copy()
    count, n = u.shape
    size = barrier.level.shape[1] + 2 * n
    none = np.zeros(count)
    tau, final = 10.0 * size, size / gap
    while True:
        rows = np.arange(count)
        for _ in range(steps):
            if not len(rows):
                break
            part = barrier if len(rows) == count else barrier[rows]
            at, zero = u[rows], none[rows]
            room = _room(part, at, zero)
            gradient, hessian, _ = _derivatives(part, at, room)
            first, second = objective_derivatives(part.program, at)
            gradient, hessian = gradient + tau * first, hessian + tau * second
            step = _solve(hessian, gradient, barrier.convex)
            decrement = -np.einsum("bn,bn->b", gradient, step)
            value = tau * part.program.objective(at) - np.log(room).sum(1)
            length = np.where(decrement > 0, _box(at, step), 0.0)
            for _ in range(40):
                trial = at + length[:, None] * step
                new_room = _room(part, trial, zero)
                inside = (new_room > 0).all(1)
                new = tau * part.program.objective(trial) - np.log(np.where(new_room > 0, new_room, 1.0)).sum(1)
                enough = inside & (new <= value - 1e-2 * length * decrement + 1e-12 * np.abs(value))
                if enough.all():
                    break
                length = np.where(enough, length, 0.4 * length)
            moved = enough & (length > 0)
            u[rows[moved]] = trial[moved]
            rows = rows[moved & (decrement > 1e-3)]
        if tau >= final:
            return u
        tau = min(tau * factor, final)


def interior_point(program: AmplitudeProgram, u: Array, *, steps: int = 40) -> tuple[Array, NDArray[np.bool_]]:
    """A point strictly inside the constraints near u: Newton on min s, every constraint and the box widened by s.

    Args:
        program: the batch.
        u: (B, N).
        steps: Newton steps at most.

    Returns:
        Points (B, N) and where they are strictly inside (B,).
    """
    u = u.copy()
    count, n = u.shape
    inside = np.zeros(count, bool)
    if not count:
        return u, inside
    barrier = tangent(program, u)
    goal = -3e-3  # far enough inside
    slack = np.maximum((-_room(barrier, u, np.zeros(count))).max(1), goal)
    rows = np.flatnonzero(slack > goal)
    inside[slack <= goal] = True
    slack = slack + 1e-2
    tau = np.full(count, 1e2)
    for _ in range(steps):
        if not len(rows):
            break
        part, at, wide = barrier[rows], u[rows], slack[rows]
        room = _room(part, at, wide)
        first, hessian, jacobian = _derivatives(part, at, room)
        inverse = 1.0 / room
        gradient = np.concatenate([first, (tau[rows] - inverse.sum(1))[:, None]], axis=1)
        whole = np.zeros((len(rows), n + 1, n + 1))
        whole[:, :n, :n] = hessian
        whole[:, :n, n] = whole[:, n, :n] = (jacobian * inverse[..., None] ** 2).sum(1)
        whole[:, n, n] = (inverse**2).sum(1)
        step = _solve(whole, gradient)
        decrement = -np.einsum("bn,bn->b", gradient, step)
        value = tau[rows] * wide - np.log(room).sum(1)
        length = _box(at, step[:, :n])
        for _ in range(40):
            trial, trial_wide = at + length[:, None] * step[:, :n], wide + length * step[:, n]
            new_room = _room(part, trial, trial_wide)
            valid = (new_room > 0).all(1)
            new = tau[rows] * trial_wide - np.log(np.where(new_room > 0, new_room, 1.0)).sum(1)
            enough = valid & (new <= value - 1e-2 * length * decrement + 1e-12 * np.abs(value))
            if enough.all():
                break
            length = np.where(enough, length, 0.4 * length)
        u[rows[enough]], slack[rows[enough]] = trial[enough], trial_wide[enough]
        tau[rows[decrement < 0.3]] *= 10.0
        worst = (-_room(part, u[rows], np.zeros(len(rows)))).max(1)
        rows = rows[(worst > goal) & (tau[rows] < 1e10)]
    return u, np.asarray((_room(barrier, u, np.zeros(count)) > INSIDE).all(1) & (program.constraints(u) < 0.0).all(1))
