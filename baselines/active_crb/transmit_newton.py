"""Barrier Newton method for the dual of the transmit step, all scenes of a batch at once.

maximise  2 tr(Y^(1/2)) + sum_k need_k mu_k - sum_i p_i + t (log det Y + sum_i log p_i + log det X),   t -> 0,

over the prices p = (lambda, nu) and X > 0 (K x K), Y = sum_i p_i e_i + U (diag(mu) - X) U^H, mu_k = 1 / (c_k [X^-1]_kk). Steps
are taken in the coordinates p_i (1 + d_i), X = B (I + D) B^H (B: any factor of X), in which the barriers are spheres; where a
primal slack is larger than t over its multiplier, it takes its place in the Hessian (primal-dual scaling). With l_k the unit
vector along B^-1 e_k, phi_k = 1 / [X^-1]_kk changes by phi_k l_k^H D l_k in first order and by
-2 phi_k (||D l_k||^2 - (l_k^H D l_k)^2) / 2 in second order.

Source: model page, section 9 (there with mu_k as unknown), problem (SDR5.1) of arXiv 2508.00379.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from baselines.active_crb.algebra import eigh, hermitian_basis
from baselines.active_crb.units import TINY, Scaled, _Rows
from baselines.tools.linalg import Array, ComplexArray, abs2, herm

SHRINK, CENTRED = 0.01, 100.0
"""t falls by this factor after a step of decrement below CENTRED t."""
BACK = 0.95
"""Longest step, as a share of the way to the boundary."""
WORST = 1e3
"""A certified value of more than this times N (nominal: N) counts as infeasible."""


@dataclass(frozen=True, kw_only=True)
class Problem(_Rows):
    """Data of the dual: budgets e (B, P, N, N), users U (B, N, K), need (B, K), c (K,)."""

    budgets: ComplexArray
    users: ComplexArray
    need: Array
    c: Array

    _shared = frozenset({"c"})

    @classmethod
    def of(cls, scaled: Scaled) -> Problem:
        """The dual at one surface; `scaled.threshold` must not be None."""
        assert scaled.threshold is not None
        parts = [scaled.e1] if scaled.e2 is None else [scaled.e1, scaled.e2]
        c = 1.0 + 1.0 / scaled.threshold
        return cls(budgets=np.stack(parts, axis=1), users=scaled.users, need=scaled.need, c=c)

    def __len__(self) -> int:
        return len(self.users)

    def matrix(self, price: Array, x: ComplexArray, phi: Array) -> ComplexArray:
        """Y (B, N, N)."""
        inner = -x
        k = np.arange(x.shape[-1])
        inner[:, k, k] += phi / self.c
        y = np.einsum("bp,bpmn->bmn", price, self.budgets)
        return y + self.users @ inner @ herm(self.users)

    def slope(self, price: Array, phi: Array) -> Array:
        """sum_i p_i - sum_k need_k mu_k (B,): at most 0 with Y >= 0 proves that no F meets the constraints."""
        return np.asarray(price.sum(-1) - (self.need * phi / self.c).sum(-1))


@dataclass(frozen=True, kw_only=True)
class State(_Rows):
    """Dual points: prices (B, P), X = factor factor^H with inverse = factor^-1, phi (B, K), t (B,), Y = Q diag(w) Q^H."""

    price: Array
    factor: ComplexArray
    inverse: ComplexArray
    phi: Array
    t: Array
    w: Array
    vectors: ComplexArray

    def put(self, rows: NDArray, other: State) -> None:
        """Write the rows of `other` here, in place."""
        for name in ("price", "factor", "inverse", "phi", "t", "w", "vectors"):
            getattr(self, name)[rows] = getattr(other, name)

    @property
    def x(self) -> ComplexArray:
        """X (B, K, K)."""
        return self.factor @ herm(self.factor)

    @property
    def level(self) -> Array:
        """tr(Y^(1/2)) (B,): the value, at the best scale of the dual point."""
        return np.asarray(np.sqrt(self.w).sum(-1))


def begin(problem: Problem) -> State:
    """Equal prices and X = (U^H Y_0^-1 U)^-1 / 2, which is inside, at the best common scale."""
    count, elements, users = problem.users.shape
    budgets = problem.budgets.shape[1]
    price = np.ones((count, budgets))
    gram = herm(problem.users) @ np.linalg.solve(problem.budgets.sum(1), problem.users)
    values, vectors = eigh(0.5 * (gram + herm(gram)))
    values = np.maximum(values, 1e-12 * values[:, -1:])
    factor = vectors * np.sqrt(0.5 / values)[:, None, :]
    inverse = herm(vectors) * np.sqrt(values / 0.5)[:, :, None]
    phi = 1.0 / abs2(inverse).sum(1)
    w, vectors = eigh(problem.matrix(price, factor @ herm(factor), phi))
    w = np.maximum(w, 1e-12 * w[:, -1:])
    slope = problem.slope(price, phi)
    root = np.sqrt(w).sum(-1)
    scale = (root / np.where(slope > 1e-3 * root, slope, np.maximum(root, TINY))) ** 2
    return State(
        price=price * scale[:, None],
        factor=factor * np.sqrt(scale)[:, None, None],
        inverse=inverse / np.sqrt(scale)[:, None, None],
        phi=phi * scale[:, None],
        t=root * np.sqrt(scale) / (elements + users + budgets),
        w=w * scale[:, None],
        vectors=vectors,
    )


def direction(problem: Problem, state: State) -> tuple[Array, Array]:
    """Gradient g and Newton step (B, P + K^2) in the coordinates (d, D)."""
    count, elements, users = problem.users.shape
    budgets = problem.budgets.shape[1]
    basis = hermitian_basis(users)
    size, k = budgets + users * users, np.arange(users)
    root, t = np.sqrt(state.w), state.t[:, None]
    weight = 1.0 / root + t / state.w  # eigenvalues of F
    seen = herm(state.vectors) @ problem.users
    costs = herm(state.vectors)[:, None] @ problem.budgets @ state.vectors[:, None] * state.price[:, :, None, None]
    received = herm(seen) @ (weight[:, :, None] * seen)  # U^H F U
    phi = state.phi
    strength = (problem.need + received[:, k, k].real) / problem.c * phi
    unit = state.inverse * np.sqrt(phi)[:, None, :]
    images = np.einsum("iac,bck->bkia", basis, unit)  # D_i l_k
    first = (images @ unit.transpose(0, 2, 1).conj()[..., None])[..., 0].real  # l_k^H D_i l_k, (B, K, K^2)
    # gradient
    g = np.empty((count, size))
    g[:, :budgets] = (np.diagonal(costs, axis1=-2, axis2=-1).real * weight[:, None, :]).sum(-1) - state.price + t
    slack = herm(state.factor) @ received @ state.factor - (unit * strength[:, None, :]) @ herm(unit)
    flat = basis.reshape(users * users, -1)
    g[:, budgets:] = -(slack.reshape(count, -1) @ flat.conj().T).real
    g[:, budgets : budgets + users] += t
    # Hessian: the root and the barrier of Y
    inner = -(state.factor[:, None] @ basis @ herm(state.factor)[:, None])
    inner[:, :, k, k] += np.swapaxes(first, 1, 2) * (phi / problem.c)[:, None, :]
    kron = (seen[:, :, None, :, None] * seen.conj()[:, None, :, None, :]).reshape(count, elements**2, users**2)
    change = np.empty((count, size, elements**2), complex)
    change[:, :budgets] = costs.reshape(count, budgets, -1)
    change[:, budgets:] = np.swapaxes(kron @ np.swapaxes(inner.reshape(count, -1, users**2), 1, 2), 1, 2)
    product = root[:, :, None] * root[:, None, :]
    kernel = 1.0 / (product * (root[:, :, None] + root[:, None, :])) + t[..., None] / product**2
    change *= np.sqrt(kernel).reshape(count, 1, -1)
    real = change.view(float)
    hessian = real @ np.swapaxes(real, 1, 2)
    # the curvature of mu_k(X)
    root_strength = np.sqrt(2.0 * strength)[:, :, None]
    images = np.swapaxes(images * root_strength[..., None], 1, 2).reshape(count, users**2, -1).view(float)
    first = first * root_strength
    block = images @ np.swapaxes(images, 1, 2) - np.swapaxes(first, 1, 2) @ first
    # barriers, or the slacks in their place
    values, vectors = eigh(slack)
    held = (vectors * np.maximum(values, t)[:, None, :]) @ herm(vectors)
    block += (held[:, None] @ basis).reshape(count, users**2, -1).view(float) @ flat.copy().view(float).T
    hessian[:, budgets:, budgets:] += block
    p = np.arange(budgets)
    hessian[:, p, p] += np.maximum(t, t - g[:, :budgets])
    every = np.arange(size)
    hessian[:, every, every] *= 1.0 + 1e-13
    return g, np.linalg.solve(hessian, g[..., None])[..., 0]


def search(problem: Problem, state: State, g: Array, step: Array) -> tuple[State, NDArray[np.bool_]]:
    """Armijo's rule along the step from at most `BACK` of the way to the boundary; where no point is found nothing changes."""
    budgets, users = state.price.shape[1], problem.users.shape[2]
    basis = hermitian_basis(users)
    price_step = step[:, :budgets]
    values, vectors = eigh((step[:, budgets:] @ basis.reshape(users * users, -1)).reshape(-1, users, users))
    lowest = np.minimum(values[:, 0], price_step.min(-1))
    decrement = (g * step).sum(-1)
    t = state.t
    length = np.minimum(1.0, BACK / np.maximum(-lowest, 1e-300))

    def value(p: Problem, s: State, barrier: Array) -> Array:
        return 2.0 * s.level - p.slope(s.price, s.phi) + s.t * (np.log(s.w).sum(-1) + barrier)

    start = value(problem, state, np.zeros_like(t))
    factor, inverse = state.factor @ vectors, herm(vectors) @ state.inverse
    out = replace(state, **{n: getattr(state, n).copy() for n in ("price", "factor", "inverse", "phi", "w", "vectors")})
    todo = np.flatnonzero(np.isfinite(decrement))
    moved = np.zeros(len(t), bool)
    for _ in range(30):
        if not len(todo):
            break
        part, a = problem[todo] if len(todo) < len(problem) else problem, length[todo]
        grow = 1.0 + a[:, None] * values[todo]
        widen = 1.0 + a[:, None] * price_step[todo]
        new_factor = factor[todo] * np.sqrt(grow)[:, None, :]
        new_inverse = inverse[todo] / np.sqrt(grow)[:, :, None]
        phi = 1.0 / abs2(new_inverse).sum(1)
        price = state.price[todo] * widen
        w, q = eigh(part.matrix(price, new_factor @ herm(new_factor), phi))
        inside = w[:, 0] > 0
        trial = State(
            price=price,
            factor=new_factor,
            inverse=new_inverse,
            phi=phi,
            t=t[todo],
            w=np.where(inside[:, None], w, 1.0),
            vectors=q,
        )
        got = value(part, trial, np.log(grow).sum(-1) + np.log(widen).sum(-1))
        wanted = start[todo] + 1e-4 * a * decrement[todo] - 1e-13 * np.abs(start[todo])
        good = inside & (got >= wanted)
        out.put(todo[good], trial[good])
        moved[todo[good]] = True
        length[todo] *= 0.4
        todo = todo[~good]
    return out, moved


def maximise(problem: Problem, tolerance: float = 1e-7, steps: int = 160) -> tuple[State, NDArray[np.bool_], NDArray[np.bool_]]:
    """Dual points, whether the path was followed to its end (B,), whether infeasibility shows (B,).

    Args:
        problem: the duals.
        tolerance: relative gap at the end of the path.
        steps: at most this many Newton steps.
    """
    count, elements, users = problem.users.shape
    dimension = elements + users + problem.budgets.shape[1]
    whole = begin(problem)
    done, endless = np.zeros(count, bool), np.zeros(count, bool)
    rows, part, state = np.arange(count), problem, whole
    stuck = np.zeros(count, int)
    for _ in range(steps):
        if not len(rows):
            break
        g, step = direction(part, state)
        decrement = (g * step).sum(-1)
        state, moved = search(part, state, g, step)
        level = state.level
        last = tolerance * level / dimension
        no_end = ~(level**2 < WORST * elements * part.slope(state.price, state.phi))
        end = (state.t <= 1.001 * last) & (decrement <= 0.1 * tolerance * level)
        stuck = np.where(moved, 0, stuck + 1)
        over = no_end | end | (stuck > 2)
        near = (decrement < CENTRED * state.t) & moved | ~moved
        state = replace(state, t=np.where(near, np.maximum(SHRINK * state.t, last), state.t))
        if over.any():
            whole.put(rows[over], state[over])
            done[rows[over]], endless[rows[over]] = end[over], no_end[over]
            keep = ~over
            rows, part, state, stuck = rows[keep], part[keep], state[keep], stuck[keep]
    whole.put(rows, state)
    return whole, done, endless
