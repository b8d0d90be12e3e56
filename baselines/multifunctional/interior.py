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

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baselines.multifunctional.programs import Surrogate
from baselines.multifunctional.records import Rows
from baselines.tools.linalg import Array, ComplexArray, abs2

SHRINK, REACH = 0.1, 0.95
"""t over the present mean of s v; longest step, as a share of the way to the boundary."""
LEAST_SLACK = 0.02
"""Smallest slack at the start: powers and caps relative, rate cones in noise amplitudes."""
CAREFUL_SHRINK, CAREFUL_START = 0.3, 0.1
"""SHRINK, and s_j v_j at the start, of a restoration, which goes from feasible point to feasible point."""
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
        values: (B, m) constraints, the K rate cones last. affine: (B, I) arguments of the logarithms (0 columns: restoring).
        size: (B, K) norms r_k in the rate cones; radial, cones: gradients of r_k and of the cones, in the layout of the step.
        more: a further array of the step, None without.
    """

    x: ComplexArray
    delta: Array | None
    values: Array
    affine: Array
    size: Array
    radial: ComplexArray
    cones: ComplexArray
    more: ComplexArray | None


@dataclass(frozen=True, kw_only=True)
class Step(Rows):
    """A convex problem. Subclasses give the methods and the fields of their data.

    Attributes:
        surrogate: slopes in the layout of the step, None when restoring.
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

    def gradient(self, state: State) -> ComplexArray:
        """grad f by x (B, n)."""
        raise NotImplementedError

    def transposed(self, state: State, v: Array) -> ComplexArray:
        """J^T v (B, n) of v (B, m)."""
        raise NotImplementedError

    def along(self, state: State, d: ComplexArray) -> tuple[Array, Array]:
        """J d (B, m) and the change of the logarithms' arguments (B, I) along d (B, n)."""
        raise NotImplementedError

    def system(self, state: State, v: Array, ratio: Array, right: ComplexArray) -> System:
        """The Newton system of multipliers v and ratio = v / s (B, m) for the right-hand side (B, n)."""
        raise NotImplementedError

    def inner(self, state: State) -> Array:
        """Derivatives of phi (B, I)."""
        assert self.surrogate is not None
        return 1.0 / state.affine if self.surrogate.logarithmic else np.ones_like(state.affine)

    def newton(
        self, state: State, v: Array, ratio: Array, right: ComplexArray, right_delta: Array | None, width: Array
    ) -> tuple[ComplexArray, Array | None]:
        """Solution of the Newton system for the right-hand sides (B, n) and (B,)."""
        system = self.system(state, v, ratio, right)
        gram, load, users = system.gram, system.load, self.root.shape[1]
        shift = None
        if right_delta is not None:
            shift = np.zeros(load.shape)
            shift[:, system.cones] = -np.sqrt(ratio[:, ratio.shape[1] - users :])
            scaled = shift * (width**2)[:, None]
            gram = gram + shift[:, :, None] * scaled[:, None, :]
            load = load + shift * (width**2 * right_delta)[:, None]
        terms = np.arange(gram.shape[1])
        gram[:, terms, terms] += system.signs
        y = guarded(np.linalg.solve, gram, load[..., None])[..., 0]
        d = system.back(np.asarray(y))
        if right_delta is None or shift is None:
            return d, None
        return d, width**2 * (right_delta - (shift * y).sum(-1))


@dataclass(kw_only=True)
class System:
    """D + sum_r signs_r a_r a_r^T, with the roots of the weights in the a_r.

    Attributes:
        gram: (B, R, R) a_r^T D^{-1} a_q. load: (B, R) a_r^T D^{-1} right. signs: (R,).
        cones: (K,) numbers of the terms of the rate cones' gradients.
        back: y (B, R) -> D^{-1} (right - sum_r y_r a_r), (B, n).
    """

    gram: Array
    load: Array
    signs: Array
    cones: NDArray[np.int64]
    back: Callable[[Array], ComplexArray]


def guarded(function: Callable[..., Any], *matrices: Any) -> Any:
    """`function` (`np.linalg.inv` or `solve`) of batches; nan, which ends the iteration, where a matrix is singular."""
    try:
        return function(*matrices)
    except np.linalg.LinAlgError:
        out = np.full(matrices[-1].shape, np.nan, matrices[-1].dtype)
        for i, own in enumerate(zip(*matrices, strict=True)):
            with suppress(np.linalg.LinAlgError):
                out[i] = function(*own)
        return out


def real(x: ComplexArray) -> Array:
    """(.., n) complex as (.., 2 n) real."""
    return np.ascontiguousarray(x).view(float)


def _reach(value: Array, change: Array) -> Array:
    """Longest step (B,) that keeps value + step * change >= 0."""
    if not value.shape[1]:
        return np.full(len(value), np.inf)
    falling = change < 0
    return np.asarray(np.where(falling, -value / np.where(falling, change, 1.0), np.inf).min(1))


def solve(step: Step, *, gap: float, iterations: int = 40, start: float = 3e-3) -> tuple[ComplexArray, NDArray[np.bool_]]:
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
        delta = state.values[:, state.values.shape[1] - users :].min(1) - 1.0
        top = 1.0 + step.top()
        width = top - delta
        state = step.evaluate(x, delta)
    s = np.maximum(state.values, LEAST_SLACK)
    v = (CAREFUL_START if restoring else start) / s
    shrink = CAREFUL_SHRINK if restoring else SHRINK
    count = s.shape[1]
    for _ in range(iterations):
        residual = state.values - s
        mean = (s * v).mean(1)
        gradient = step.gradient(state)
        left = gradient + step.transposed(state, v)
        # at a feasible x: f* - f <= v^T c + ||left|| ||x* - x||
        met = (state.values.min(1) >= 0.0) | (np.abs(residual).max(1) <= CLOSED)
        spare = np.maximum((v * np.abs(state.values)).sum(1), np.sqrt(abs2(left).sum(1) * abs2(state.x).sum(1)))
        through = met & (spare <= gap)
        if state.delta is not None:
            gradient_delta = (top - state.delta) / width**2
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
            gradient = gradient[keep]
        target = np.maximum(shrink * mean, 0.3 * gap / count)[:, None]
        ratio = v / s
        pull = target / s - ratio * residual
        right = gradient + step.transposed(state, pull)
        right_delta = None
        if state.delta is not None:
            right_delta = (top - state.delta) / width**2 - pull[:, count - users :].sum(1)
        d, d_delta = step.newton(state, v, ratio, right, right_delta, width)
        change, affine = step.along(state, d)
        ds = change + residual
        if d_delta is not None:
            ds[:, count - users :] -= d_delta[:, None]
        dv = target / s - v - ratio * ds
        primal = _reach(s, ds)
        if step.surrogate is not None and step.surrogate.logarithmic:
            primal = np.minimum(primal, _reach(state.affine, affine))
        primal = np.minimum(1.0, REACH * primal)
        dual = np.minimum(1.0, REACH * _reach(v, dv))
        s = s + primal[:, None] * ds
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
            s, dual = np.maximum(state.values, 1e-12), np.minimum(dual, primal)
        v = v + dual[:, None] * dv
    finite = np.isfinite(abs2(state.x).sum(1))
    out[rows[finite]] = state.x[finite]
