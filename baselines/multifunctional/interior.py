"""Primal-dual interior-point method for the convex steps, all problems of a batch at once.

maximise f(x) subject to c(x) >= 0, f and c concave and smooth, with slacks s and multipliers v:

    grad f + J^T v = 0,   c(x) = s,   s_j v_j = t,   t -> 0.

The start need not be feasible. The Newton matrix is D + sum_r k_r a_r a_r^T with a D that is block-diagonal (per beam, per
element) and few terms of rank one (logarithms, powers, rate cones), so that one iteration costs a small dense system (Woodbury).
A restoration step has one more variable, delta: f = -((top - delta) / width)^2 / 2 with a top that no delta reaches, rate
cones c_k(x) - delta >= 0; it ends early at a feasible point
with delta >= 1 or SOUND of that top.

Source: the problems are those of model page, sections 7.3 to 7.6; the method is a textbook one, with the structure of our own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baselines.multifunctional.programs import Surrogate
from baselines.multifunctional.records import Rows
from baselines.tools.linalg import Array, ComplexArray, abs2

SHRINK, REACH = 0.1, 0.95
"""t over the present mean of s v; longest step, as a share of the way to the boundary."""
LEAST_SLACK = 0.02
"""Smallest slack at the start: powers and caps relative, rate cones in noise amplitudes."""
SOUND = 0.02
"""Share of the bound of delta at which a restoration may stop."""
BACKTRACKS = 20
"""Halvings of a restoration's step at most."""
CLOSED = 1e-8
"""Residual of c(x) = s at which an iteration may stop (units as above)."""


@dataclass(frozen=True, kw_only=True)
class State(Rows):
    """What the method needs at a point x.

    Attributes:
        x: (B, n) complex. delta: (B,), None unless restoring.
        caps: (B, M) values of the elementwise constraints, M = 0 without.
        dense: (B, m) values of the powers, then of the K rate cones; jacobian: (B, m, n) their gradients.
        affine: (B, I) arguments of the logarithms (0 columns when restoring).
        size: (B, K) norms r_k in the rate cones, radial: (B, K, n) their gradients.
    """

    x: ComplexArray
    delta: Array | None
    caps: Array
    dense: Array
    jacobian: ComplexArray
    affine: Array
    size: Array
    radial: ComplexArray

    @property
    def values(self) -> Array:
        """All constraints (B, M + m)."""
        return np.concatenate([self.caps, self.dense], axis=1)


@dataclass(frozen=True, kw_only=True)
class Step(Rows):
    """A convex problem. Subclasses give `evaluate`, `quadratic`, `divide` and the fields of their data.

    Attributes:
        surrogate: slope (B, I, n), None when restoring.
        root: (B, K) sqrt(Gamma_k).
    """

    surrogate: Surrogate | None
    root: Array

    def begin(self) -> ComplexArray:
        """The start (B, n)."""
        raise NotImplementedError

    def evaluate(self, x: ComplexArray, delta: Array | None) -> State:
        """Constraints and gradients at x (B, n)."""
        raise NotImplementedError

    def top(self) -> Array:
        """A bound of the rate cones (B,), for restoration."""
        raise NotImplementedError

    def pull(self, state: State) -> ComplexArray:
        """Gradient of the quadratic part -sum_i w_i I_i of f at x (B, n)."""
        raise NotImplementedError

    def spread(self, state: State, v: Array) -> ComplexArray:
        """sum_m v_m grad cap_m (B, n) for v (B, M)."""
        return np.zeros_like(state.x)

    def along(self, state: State, d: ComplexArray) -> Array:
        """Derivatives of the caps along d (B, M)."""
        return np.zeros((len(d), 0))

    def rank_one(self, state: State, tau: Array) -> tuple[Array, ComplexArray]:
        """Further terms k_r >= 0 (B, R), a_r (B, R, n) of the Newton matrix, if any; tau as in `divide`."""
        return np.zeros((len(tau), 0)), np.zeros((len(tau), 0, state.x.shape[1]), complex)

    def divide(self, state: State, v: Array, ratio: Array, tau: Array, right: ComplexArray) -> ComplexArray:
        """D^{-1} applied to `right` (B, R, n); multipliers v (B, M + m), ratio = v / s, tau = v_k sqrt(Gamma_k) / r_k (B, K)."""
        raise NotImplementedError

    def newton(
        self, state: State, v: Array, ratio: Array, right: ComplexArray, right_delta: Array | None, width: Array
    ) -> tuple[ComplexArray, Array | None]:
        """Solution of the Newton system for the right-hand sides (B, n) and (B,)."""
        batch, users = self.root.shape
        caps = state.caps.shape[1]
        tau = v[:, v.shape[1] - users :] * self.root / state.size
        weights, vectors = [ratio[:, caps:]], [state.jacobian]
        if self.surrogate is not None and self.surrogate.logarithmic:
            weights.append(1.0 / state.affine**2)
            vectors.append(self.surrogate.slope)
        more, further = self.rank_one(state, tau)
        weights += [more, tau]
        vectors += [further, state.radial]
        factor = np.sqrt(np.concatenate(weights, axis=1))
        a = np.concatenate(vectors, axis=1) * factor[..., None]
        terms = a.shape[1]
        signs = np.ones(terms)
        signs[terms - users :] = -1.0
        solved = self.divide(state, v, ratio, tau, np.concatenate([a, right[:, None]], axis=1))
        gram = _real(a) @ np.swapaxes(_real(solved), 1, 2)  # (B, R, R + 1)
        shift = None
        if right_delta is not None:
            shift = np.zeros((batch, terms))
            cones = state.dense.shape[1] - users
            shift[:, cones : cones + users] = -factor[:, cones : cones + users]
            scaled = shift * (width**2)[:, None]
            gram[:, :, :terms] += shift[:, :, None] * scaled[:, None, :]
            gram[:, :, terms] += shift * (width**2 * right_delta)[:, None]
        gram[:, np.arange(terms), np.arange(terms)] += signs
        y = np.linalg.solve(gram[:, :, :terms], gram[:, :, terms:])
        d = solved[:, terms] - (np.swapaxes(y, 1, 2) @ solved[:, :terms])[:, 0]
        if right_delta is None or shift is None:
            return d, None
        return d, width**2 * (right_delta - (shift * y[..., 0]).sum(-1))


def _gradient(step: Step, state: State, top: Array, width: Array) -> tuple[ComplexArray, Array]:
    """grad f by x (B, n) and by delta (B,)."""
    if step.surrogate is None:
        assert state.delta is not None
        return step.pull(state), (top - state.delta) / width**2
    inner = 1.0 / state.affine if step.surrogate.logarithmic else np.ones_like(state.affine)
    return step.pull(state) + (inner[:, None] @ step.surrogate.slope)[:, 0], np.zeros(len(state.x))


def _real(x: ComplexArray) -> Array:
    """(.., n) complex as (.., 2 n) real."""
    return np.ascontiguousarray(x).view(float)


def dot(rows: ComplexArray, d: ComplexArray) -> Array:
    """Re <rows_m, d> (B, m) of rows (B, m, n) and d (B, n)."""
    return (_real(rows) @ _real(d)[..., None])[..., 0]


def _reach(value: Array, change: Array) -> Array:
    """Longest step (B,) that keeps value + step * change >= 0."""
    if not value.shape[1]:
        return np.full(len(value), np.inf)
    falling = change < 0
    return np.asarray(np.where(falling, -value / np.where(falling, change, 1.0), np.inf).min(1))


def solve(step: Step, *, gap: float, iterations: int = 40, start: float = 0.01) -> tuple[ComplexArray, NDArray[np.bool_]]:
    """Maximisers x (B, n) and where the method converged (B,).

    Args:
        step: the problems.
        gap: s^T v at the end, in units of f (nats; `sum`: relative).
        iterations: at most. start: s_j v_j at the start.
    """
    out = step.begin().copy()
    done = np.zeros(len(out), bool)
    with np.errstate(all="ignore"):
        _solve(step, np.arange(len(out)), out, done, gap, iterations, start)
    return out, done


def _solve(
    step: Step, rows: NDArray[np.int64], out: ComplexArray, done: NDArray[np.bool_], gap: float, iterations: int, start: float
) -> None:
    """Fill `out` and `done`; scenes that are through are dropped."""
    restoring = step.surrogate is None
    users = step.root.shape[1]
    x, delta = out.copy(), None
    state = step.evaluate(x, None)
    width = top = np.ones(len(rows))
    if restoring:
        delta = state.dense[:, state.dense.shape[1] - users :].min(1) - 1.0
        top = 1.0 + step.top()
        width = top - delta
        state = step.evaluate(x, delta)
    s = np.maximum(state.values, LEAST_SLACK)
    v = start / s
    count = s.shape[1]
    for _ in range(iterations):
        caps = state.caps.shape[1]
        residual = state.values - s
        mean = (s * v).mean(1)
        gradient, gradient_delta = _gradient(step, state, top, width)
        left = gradient + step.spread(state, v[:, :caps]) + (v[:, None, caps:] @ state.jacobian)[:, 0]
        # f* - f <= s^T v + ||left|| ||x* - x||
        open_by = np.maximum(mean * count, np.sqrt(abs2(left).sum(1) * abs2(state.x).sum(1)))
        through = (open_by <= gap) & (np.abs(residual).max(1) <= CLOSED)
        if state.delta is not None:
            through &= np.abs(gradient_delta - v[:, count - users :].sum(1)) * width <= gap
            through |= (state.delta >= np.minimum(1.0, SOUND * top)) & (state.values.min(1) >= 0.0)
        lost = ~np.isfinite(mean)
        if (through | lost).any():
            out[rows[through]], done[rows[through]] = state.x[through], True
            keep = np.flatnonzero(~(through | lost))
            if not len(keep):
                return
            step, state, rows, width, top = step[keep], state[keep], rows[keep], width[keep], top[keep]
            s, v, residual, mean = s[keep], v[keep], residual[keep], mean[keep]
            gradient, gradient_delta = gradient[keep], gradient_delta[keep]
        target = np.maximum(SHRINK * mean, 0.3 * gap / count)[:, None]
        ratio = v / s
        pull = target / s - ratio * residual
        right = gradient + step.spread(state, pull[:, :caps]) + (pull[:, None, caps:] @ state.jacobian)[:, 0]
        right_delta = gradient_delta - pull[:, count - users :].sum(1) if restoring else None
        d, d_delta = step.newton(state, v, ratio, right, right_delta, width)
        ds = np.concatenate([step.along(state, d), dot(state.jacobian, d)], axis=1) + residual
        if d_delta is not None:
            ds[:, count - users :] -= d_delta[:, None]
        dv = target / s - v - ratio * ds
        primal = _reach(s, ds)
        if step.surrogate is not None and step.surrogate.logarithmic:
            primal = np.minimum(primal, _reach(state.affine, dot(step.surrogate.slope, d)))
        primal = np.minimum(1.0, REACH * primal)
        dual = np.minimum(1.0, REACH * _reach(v, dv))
        s = s + primal[:, None] * ds
        v = v + dual[:, None] * dv
        delta = None if state.delta is None or d_delta is None else state.delta + primal * d_delta
        new = step.evaluate(state.x + primal[:, None] * d, delta)
        for _ in range(BACKTRACKS if restoring else 0):  # every point stays feasible
            bad = (new.values <= 0.01 * state.values).any(1)
            if not bad.any():
                break
            assert state.delta is not None and d_delta is not None
            primal = np.where(bad, 0.5 * primal, primal)
            new = step.evaluate(state.x + primal[:, None] * d, state.delta + primal * d_delta)
        state = new
        if restoring:
            s = np.maximum(state.values, 1e-12)
    finite = np.isfinite(abs2(state.x).sum(1))
    out[rows[finite]] = state.x[finite]
