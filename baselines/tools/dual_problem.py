"""A batch of small semidefinite programs with rank-one terms, in dual form: the matrices that Newton's method needs.

    min c^T z   s.t.  S(z) = Diag(D z) + F diag(E z) F^H >= 0,  z_i >= 0 for i in `nonnegative`,  sum_{i in group} z_i = 1

Source: derived for arXiv 2111.13511, problems (SDR2.1), (SDR3.1), (P4) and the joint bound; beampattern page, section 9.1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from baselines.tools.linalg import Array, ComplexArray, abs2, herm, inverse_positive, is_positive_definite


@dataclass(frozen=True, kw_only=True)
class DualProblem:
    """A batch of programs of one shape: B scenes, J diagonal blocks of size n, q columns, m variables.

    Attributes:
        factors: (B, J, n, q) complex, columns F of the diagonal blocks.
        weights: (J, q, m) real, E: which variable weighs which column, with sign.
        diagonal: (J, n, m) real, D: which variable enters which diagonal entry.
        cost: (B, m) real, c.
        nonnegative: (m,) bool, variables with z_i >= 0.
        group: (m,) bool, the max-min multipliers, which sum to 1 (they must be nonnegative too).
        doubled: (m,) bool, variables that are doubled from `start` until S is positive definite.
        start: (m,) real, first point.
    """

    factors: ComplexArray
    weights: Array
    diagonal: Array
    cost: Array
    nonnegative: NDArray[np.bool_]
    group: NDArray[np.bool_]
    doubled: NDArray[np.bool_]
    start: Array

    def __len__(self) -> int:
        return len(self.factors)

    def __getitem__(self, rows: slice | NDArray) -> DualProblem:
        return replace(self, factors=self.factors[rows], cost=self.cost[rows])

    @property
    def degree(self) -> int:
        """Barrier parameter: size of S plus number of inequalities; the duality gap on the central path is degree * tau."""
        return self.factors.shape[1] * self.factors.shape[2] + int(self.nonnegative.sum())

    def slack(self, z: Array, rows: slice | NDArray = slice(None)) -> ComplexArray:
        """S(z) of the scenes `rows` for z (b, m): (b, J, n, n), linear in z."""
        factors = self.factors[rows]
        column = (self.weights @ z[:, None, :, None])[..., 0]
        out = (factors * column[:, :, None, :]) @ herm(factors)
        index = np.arange(factors.shape[2])
        out[..., index, index] = out[..., index, index].real + (self.diagonal @ z[:, None, :, None])[..., 0]
        return out

    def derivatives(self, inverse: ComplexArray) -> tuple[Array, Array]:
        """tr(S^-1 A_i) (B, m) and tr(S^-1 A_i S^-1 A_j) (B, m, m), A_i = dS / dz_i, from S^-1 (B, J, n, n)."""
        weights, diagonal = self.weights, self.diagonal
        inner = inverse @ self.factors
        kernel = herm(self.factors) @ inner
        first = np.diagonal(inverse, axis1=-2, axis2=-1).real[..., None, :] @ diagonal
        first = first + np.diagonal(kernel, axis1=-2, axis2=-1).real[..., None, :] @ weights
        dt, wt = np.swapaxes(diagonal, -1, -2), np.swapaxes(weights, -1, -2)
        cross = dt @ (abs2(inner) @ weights)
        second = dt @ (abs2(inverse) @ diagonal) + cross + np.swapaxes(cross, -1, -2) + wt @ (abs2(kernel) @ weights)
        return first[..., 0, :].sum(1), second.sum(1)

    def interior_start(self) -> tuple[Array, NDArray[np.bool_]]:
        """Double the variables `doubled` until S - 1e-3 min(start) I is positive definite: z (B, m), success (B,)."""
        z = np.tile(self.start, (len(self), 1))
        good = np.zeros(len(self), bool)
        index = np.arange(self.factors.shape[2])
        for _ in range(80):
            todo = np.flatnonzero(~good)
            if not len(todo):
                break
            slack = self.slack(z[todo], todo)
            slack[..., index, index] -= 1e-3 * z[todo][:, self.doubled].min(1)[:, None, None]
            inside = all_positive(slack)
            good[todo[inside]] = True
            z[np.ix_(todo[~inside], np.flatnonzero(self.doubled))] *= 2.0
        return z, good

    def step_length(self, z: Array, dz: Array, decrement: Array, slack: ComplexArray) -> Array:
        """min(1, 0.9 x distance to the boundary) (B,); the distance to S > 0 by backtracking with Cholesky tests."""
        down = dz[:, self.nonnegative] < 0
        ratio = np.where(down, -z[:, self.nonnegative] / np.where(down, dz[:, self.nonnegative], -1.0), np.inf)
        step = np.minimum(1.0, 0.9 * ratio.min(1, initial=np.inf))
        safe = 0.9 / np.maximum(decrement, 1e-300)  # Dikin ellipsoid
        todo = np.flatnonzero((step > safe) & (np.abs(dz).max(1) > 0))
        if not len(todo):
            return step
        change, slack = self.slack(dz[todo], todo), slack[todo]
        for _ in range(60):
            inside = all_positive(slack + (step[todo] / 0.9)[:, None, None, None] * change)
            step[todo[~inside]] = np.maximum(0.75 * step[todo[~inside]], 0.99 * safe[todo[~inside]])
            remain = ~inside & (step[todo] > safe[todo])
            if not remain.any():
                break
            todo, slack, change = todo[remain], slack[remain], change[remain]
        return step

    def primal(self, z: Array, dz: Array, tau: Array) -> tuple[ComplexArray, Array]:
        """X = tau (S^-1 - S^-1 dS S^-1) (B, J, n, n) and the largest violation of its equality constraints (B,)."""
        inverse, good = all_inverses(self.slack(z))
        good &= tau > 0
        x = inverse - inverse @ self.slack(dz) @ inverse
        x = np.where(good, tau, 0.0)[:, None, None, None] * x
        x = 0.5 * (x + herm(x))
        image = np.sum(self.factors.conj() * (x @ self.factors), axis=-2).real[..., None, :] @ self.weights
        image = image + np.diagonal(x, axis1=-2, axis2=-1).real[..., None, :] @ self.diagonal
        free = ~self.nonnegative
        violation = np.abs(image[..., 0, :].sum(1) - self.cost)[:, free].max(1, initial=0.0)
        return x, np.where(good, violation / np.abs(self.cost[:, free]).max(1, initial=1.0), np.inf)


def all_positive(matrices: ComplexArray) -> NDArray[np.bool_]:
    """Whether every block of (B, J, n, n) is positive definite, (B,)."""
    count, blocks = matrices.shape[:2]
    return np.asarray(is_positive_definite(matrices.reshape(-1, *matrices.shape[2:])).reshape(count, blocks).all(1))


def all_inverses(matrices: ComplexArray) -> tuple[ComplexArray, NDArray[np.bool_]]:
    """Inverses of the blocks of (B, J, n, n), and whether all of a scene exist (B,)."""
    inverse, good = inverse_positive(matrices.reshape(-1, *matrices.shape[2:]))
    return inverse.reshape(matrices.shape), np.asarray(good.reshape(matrices.shape[:2]).all(1))
