"""Projection of surface coefficients on the convex set of the coefficient step: caps, surface power, rate cones.

    min 1/2 ||theta - p||^2   s.t.  sum_i |theta_im|^2 <= 1,   sum_im b_m |theta_im|^2 <= 1,
                                    sqrt(Gamma_k) || ([E_k theta]_{j != k}, sigma g_k o theta, 1) || <= Re [E_k theta]_k

First without the cones (closed form but for one multiplier, found by bisection); the scenes whose rates then fail go to a
primal-dual interior-point method on the smooth convex constraints, batched, in the real coordinates that the mask leaves free.

Source: arXiv 2412.01251, benchmarks; model page, sections 7.4 (the set) and 7.5 (the projection).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from baselines.multifunctional.programs import CoefficientSet, ProjectionProblem
from baselines.tools.linalg import Array, ComplexArray, abs2

__all__ = ["project"]

STEPS = 40
"""Interior-point iterations at most."""


def project(problem: ProjectionProblem, tolerance: float = 1e-9) -> tuple[ComplexArray, NDArray[np.bool_]]:
    """The nearest point of each set to `anchor` (B, I, M), and where it was found (B,); the mask is that of the first scene.

    The caps and the surface power hold to rounding, a cone that binds to about `tolerance` of its size; where no solution was
    found (an empty set, rounding) the point is the last one reached.
    """
    sets, anchor = problem.feasible, np.where(problem.feasible.mask, problem.anchor, 0.0)
    theta = _without_cones(sets, anchor)
    good: NDArray[np.bool_] = np.asarray((sets.cones(theta) >= 0).all(-1))
    rows = np.flatnonzero(~good)
    if len(rows):
        theta[rows], good[rows] = _Interior(sets[rows], anchor[rows]).solve(tolerance)
    return theta, good


def _without_cones(sets: CoefficientSet, p: ComplexArray) -> ComplexArray:
    """Caps and surface power alone: theta_m = p_m / (1 + nu b_m) scaled into the unit ball; nu by bisection."""
    if sets.incident is None:
        return _shorten(p)
    b = sets.incident

    def spend(nu: Array) -> tuple[ComplexArray, Array]:
        theta = _shorten(p / (1.0 + nu[:, None] * b)[:, None, :])
        return theta, (b * abs2(theta).sum(1)).sum(-1)

    theta, spent = spend(np.zeros(len(p)))
    rows = spent > 1.0
    if not rows.any():
        return theta
    low = np.zeros(len(p))
    # sum b |p|^2 / (1 + nu b)^2 <= sum |p|^2 / (4 nu): at most 1 from nu = ||p||^2 / 4 on
    high = 0.25 * abs2(p).sum((1, 2))
    for _ in range(100):
        middle = 0.5 * (low + high)
        above = spend(middle)[1] > 1.0
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.where(rows[:, None, None], spend(high)[0], theta)


def _shorten(theta: ComplexArray) -> ComplexArray:
    """Each element's pair scaled into the unit ball."""
    return theta / np.maximum(np.sqrt(abs2(theta).sum(1, keepdims=True)), 1.0)


class _Interior:
    """Primal-dual interior-point method with slacks, one scene per row; coordinates x = (re, im) of the free entries.

    Constraints in this order: caps and power as (q(x) - 1) / 2, cones as sqrt(Gamma) ||..|| - Re .. over their size at the start.
    """

    def __init__(self, sets: CoefficientSet, p: ComplexArray) -> None:
        self.sets = sets
        batch, sides, elements = p.shape
        self.free = np.flatnonzero(sets.mask[0].ravel())
        self.count = len(self.free)
        self.element = np.concatenate([self.free % elements] * 2)
        self.p = self.real(p)
        users, streams = sets.rows.shape[1], sets.rows.shape[2]
        full = np.zeros((batch, users, streams, sides, elements), complex)
        for k, side in enumerate(sets.user_side):
            full[:, k, :, side] = sets.rows[:, k]
        rows = full.reshape(batch, users, streams, -1)[..., self.free]
        index = np.arange(users)
        self.own = np.concatenate([rows[:, index, index].real, -rows[:, index, index].imag], axis=-1)
        rows[:, index, index] = 0.0
        stacked = np.concatenate(
            [np.concatenate([rows.real, -rows.imag], -1), np.concatenate([rows.imag, rows.real], -1)], axis=2
        )
        self.square = np.swapaxes(stacked, -1, -2) @ stacked
        noise = np.zeros((batch, users, sides, elements))
        for k, side in enumerate(sets.user_side):
            noise[:, k, side] = sets.noise[:, k] ** 2
        diagonal = noise.reshape(batch, users, -1)[..., self.free]
        line = np.arange(2 * self.count)
        self.square[:, :, line, line] += np.concatenate([diagonal, diagonal], axis=-1)
        self.root = np.sqrt(sets.threshold)
        self.active = sets.threshold > 0
        self.load = None if sets.incident is None else sets.incident[:, self.element]
        self.caps = np.zeros((elements, 2 * self.count))
        self.caps[self.element, np.arange(2 * self.count)] = 1.0
        self.caps = self.caps[self.caps.any(1)]

    def real(self, theta: ComplexArray) -> Array:
        """Coordinates (B, 2 n) of (B, 2, M)."""
        part = theta.reshape(len(theta), -1)[:, self.free]
        return np.concatenate([part.real, part.imag], axis=-1)

    def complex(self, x: Array) -> ComplexArray:
        """The inverse of `real`; masked entries 0."""
        out = np.zeros((len(x), self.sets.mask[0].size), complex)
        out[:, self.free] = x[:, : self.count] + 1j * x[:, self.count :]
        return out.reshape(len(x), *self.sets.mask[0].shape)

    def constraints(self, x: Array) -> tuple[Array, Array, Array, Array]:
        """Values c (B, m) and Jacobian (B, m, n); of the cones: image (B, K, n) of `square` and norms (B, K)."""
        image = (self.square @ x[:, None, :, None])[..., 0]
        norm = np.sqrt(np.einsum("bkn,bn->bk", image, x) + 1.0)
        value = [0.5 * ((x**2) @ self.caps.T - 1.0)]
        slope = [self.caps * x[:, None, :]]
        if self.load is not None:
            value.append(0.5 * ((self.load * x**2).sum(-1, keepdims=True) - 1.0))
            slope.append((self.load * x)[:, None, :])
        cone = self.root * norm - np.einsum("bkn,bn->bk", self.own, x)
        cone_slope = (self.root / norm)[..., None] * image - self.own
        value.append(np.where(self.active, cone / self.size, -1.0))
        slope.append(np.where(self.active[..., None], cone_slope / self.size[..., None], 0.0))
        return np.concatenate(value, axis=1), np.concatenate(slope, axis=1), image, norm

    def hessian(self, multiplier: Array, image: Array, norm: Array) -> Array:
        """I + sum lambda_i grad^2 c_i (B, n, n)."""
        caps, users = len(self.caps), self.root.shape[1]
        weight = np.where(self.active, multiplier[:, -users:] * self.root / (self.size * norm), 0.0)
        out = np.einsum("bk,bkmn->bmn", weight, self.square, optimize=True)
        tilted = image * (np.sqrt(weight) / norm)[..., None]
        out -= np.swapaxes(tilted, 1, 2) @ tilted
        diagonal = 1.0 + multiplier[:, :caps] @ self.caps
        if self.load is not None:
            diagonal = diagonal + multiplier[:, caps : caps + 1] * self.load
        line = np.arange(2 * self.count)
        out[:, line, line] += diagonal
        return out

    def solve(self, tolerance: float) -> tuple[ComplexArray, NDArray[np.bool_]]:
        """Coefficients and whether the optimality conditions hold to `tolerance`."""
        x = self.real(_without_cones(self.sets, self.complex(self.p)))
        self.size = np.ones_like(self.root)
        image = (self.square @ x[:, None, :, None])[..., 0]
        self.size = np.maximum(self.root * np.sqrt(np.einsum("bkn,bn->bk", image, x) + 1.0), 1e-12)
        c, jacobian, image, norm = self.constraints(x)
        s = np.maximum(-c, 0.1)
        multiplier = 0.1 / s
        done = np.zeros(len(x), bool)
        for _ in range(STEPS):
            dual = x - self.p + (np.swapaxes(jacobian, 1, 2) @ multiplier[..., None])[..., 0]
            gap = (s * multiplier).mean(-1)
            scale = 1.0 + np.abs(self.p).max(-1)
            done = (np.abs(dual).max(-1) < tolerance * scale) & (np.abs(c + s).max(-1) < tolerance) & (gap < tolerance)
            if done.all():
                break
            matrix = self.hessian(multiplier, image, norm)
            matrix = matrix + np.swapaxes(jacobian, 1, 2) @ ((multiplier / s)[..., None] * jacobian)
            affine = self._direction(matrix, jacobian, dual, c, s, multiplier, np.zeros_like(s))
            reach = _reach(s, affine[1], multiplier, affine[2], 1.0)
            trial = ((s + reach[:, None] * affine[1]) * (multiplier + reach[:, None] * affine[2])).mean(-1)
            centre = np.clip((trial / gap) ** 3, 1e-4, 1.0)
            second = (centre * gap)[:, None] - affine[1] * affine[2]
            dx, ds, dm = self._direction(matrix, jacobian, dual, c, s, multiplier, second)
            reach = np.where(done, 0.0, _reach(s, ds, multiplier, dm, 0.995))[:, None]
            x, s, multiplier = x + reach * dx, s + reach * ds, multiplier + reach * dm
            c, jacobian, image, norm = self.constraints(x)
        theta = _shorten(self.complex(x))
        if self.sets.incident is not None:
            spent = (self.sets.incident * abs2(theta).sum(1)).sum(-1)
            theta = theta / np.sqrt(np.maximum(spent, 1.0))[:, None, None]
        return theta, done

    @staticmethod
    def _direction(
        matrix: Array, jacobian: Array, dual: Array, c: Array, s: Array, multiplier: Array, target: Array
    ) -> tuple[Array, Array, Array]:
        """Newton direction for s lambda = target (componentwise)."""
        push = (target + multiplier * c) / s
        rhs = -dual - (np.swapaxes(jacobian, 1, 2) @ push[..., None])[..., 0]
        dx = np.asarray(np.linalg.solve(matrix, rhs[..., None])[..., 0], dtype=np.float64)
        ds = -(c + s) - (jacobian @ dx[..., None])[..., 0]
        return dx, ds, (target - multiplier * ds) / s - multiplier


def _reach(s: Array, ds: Array, multiplier: Array, dm: Array, share: float) -> Array:
    """Longest common step (B,) that keeps `share` of the distance to s, lambda > 0; at most 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        low = np.where(ds < 0, -s / ds, np.inf).min(-1)
        low = np.minimum(low, np.where(dm < 0, -multiplier / dm, np.inf).min(-1))
    return np.minimum(1.0, share * low)
