"""Transmit step (7.3) and its restoration (7.6) by the interior-point method, batched.

With W flattened to (B, N S): D has one N x N block per beam,

    D_j = 2 sum_i w_i q_i q_i^H + 2 v_1 I + 2 v_2 T^H T + sum_{k != j} tau_k h_k^H h_k,

the same for all sensing beams. Source: model page, sections 7.3 and 7.6; shapes as in `programs`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from baselines.multifunctional.interior import State, Step, System, guarded, real, solve
from baselines.multifunctional.programs import TransmitProblem, TransmitRestoration, TransmitSet
from baselines.tools.linalg import Array, ComplexArray, abs2, herm

VIOLATION = 1e-6
"""Violation up to which a solution counts as one."""
INSIDE = 0.99
"""Restorations start from the point scaled down to powers and caps of at most the square of this."""


@dataclass(frozen=True, kw_only=True)
class TransmitStep(Step):
    """Data of the step: start (B, N, S), leak 2 sum_i w_i q_i q_i^H (B, N, N), rows h_k (B, K, N), surface T^H T (B, N, N)."""

    start: ComplexArray
    leak: ComplexArray
    rows: ComplexArray
    surface: ComplexArray | None

    @classmethod
    def of(cls, problem: TransmitProblem) -> Self:
        """The step of a problem."""
        surrogate = problem.surrogate
        batch, sides = surrogate.weight.shape
        q = problem.leak
        leak = 2.0 * np.swapaxes(q, 1, 2) @ (surrogate.weight[..., None] * q.conj())
        flat = surrogate.slope.reshape(batch, sides, problem.point.shape[1] * problem.point.shape[2])
        return cls._of(problem.feasible, problem.point, type(surrogate)(**{**vars(surrogate), "slope": flat}), leak)

    @classmethod
    def restoring(cls, problem: TransmitRestoration) -> Self:
        """The restoration step of a problem."""
        antennas = problem.point.shape[1]
        start = problem.feasible.rotated(problem.point)
        start = start * (INSIDE / np.sqrt(np.maximum(problem.feasible.powers(start).max(-1), 1.0)))[:, None, None]
        return cls._of(problem.feasible, start, None, np.zeros((len(start), antennas, antennas), complex))

    @classmethod
    def _of(cls, sets: TransmitSet, start: ComplexArray, surrogate, leak: ComplexArray) -> Self:  # type: ignore[no-untyped-def]
        surface = None if sets.surface is None else herm(sets.surface) @ sets.surface
        return cls(surrogate=surrogate, root=np.sqrt(sets.threshold), start=start, leak=leak, rows=sets.rows, surface=surface)

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """B, N, S, K."""
        batch, antennas, streams = self.start.shape
        return batch, antennas, streams, self.rows.shape[1]

    def begin(self) -> ComplexArray:
        """W_0, flattened."""
        return self.start.reshape(len(self.start), -1)

    def top(self) -> Array:
        """min_k ||h_k||."""
        return np.sqrt(abs2(self.rows).sum(-1)).min(-1)

    def evaluate(self, x: ComplexArray, delta: Array | None) -> State:
        """Powers, cones and their gradients."""
        batch, antennas, streams, users = self.sizes
        w = x.reshape(batch, antennas, streams)
        k = np.arange(users)
        received = self.rows @ w
        own = received[:, k, k].real
        received[:, k, k] = 0.0
        size = np.sqrt(abs2(received).sum(-1) + 1.0)
        values, more = [1.0 - abs2(x).sum(1)], None
        if self.surface is not None:
            more = self.surface @ w
            values.append(1.0 - (w.conj() * more).real.sum((1, 2)))
        toward = self.rows.conj()
        radial = toward[:, :, :, None] * (received / size[..., None])[:, :, None, :]
        slope = -self.root[..., None, None] * radial
        slope[:, k, :, k] += np.swapaxes(toward, 0, 1)
        cones = own - self.root * size
        if delta is not None:
            cones = cones - delta[:, None]
        affine = np.zeros((batch, 0))
        if self.surrogate is not None:
            s = self.surrogate
            affine = (s.slope.conj() @ x[..., None])[..., 0].real + s.offset
        flat = (batch, users, antennas * streams)
        return State(
            x=x,
            delta=delta,
            values=np.concatenate([np.stack(values, axis=1), cones], axis=1),
            affine=affine,
            size=size,
            radial=radial.reshape(flat),
            cones=slope.reshape(flat),
            more=more,
        )

    def gradient(self, state: State) -> ComplexArray:
        """sum_i phi' a_i - 2 sum_i w_i q_i q_i^H W."""
        if self.surrogate is None:
            return np.zeros_like(state.x)
        w = state.x.reshape(self.start.shape)
        part = (self.inner(state)[:, None] @ self.surrogate.slope)[:, 0]
        return np.asarray(part - (self.leak @ w).reshape(part.shape))

    def transposed(self, state: State, v: Array) -> ComplexArray:
        """Powers: -2 v W, -2 v T^H T W; and the cones."""
        users = self.rows.shape[1]
        out = (v[:, None, v.shape[1] - users :] @ state.cones)[:, 0] - 2.0 * v[:, :1] * state.x
        if state.more is not None:
            out = out - 2.0 * v[:, 1:2] * state.more.reshape(out.shape)
        return np.asarray(out)

    def along(self, state: State, d: ComplexArray) -> tuple[Array, Array]:
        """Real inner products with the gradients."""
        column = real(d)[..., None]
        parts = [-2.0 * (real(state.x)[:, None] @ column)[..., 0]]
        if state.more is not None:
            parts.append(-2.0 * (real(state.more.reshape(d.shape))[:, None] @ column)[..., 0])
        parts.append((real(state.cones) @ column)[..., 0])
        affine = state.affine if self.surrogate is None else (real(self.surrogate.slope) @ column)[..., 0]
        return np.concatenate(parts, axis=1), affine

    def system(self, state: State, v: Array, ratio: Array, right: ComplexArray) -> System:
        """Beam by beam with the inverse of its block."""
        batch, antennas, streams, users = self.sizes
        powers = 1 if self.surface is None else 2
        tau = v[:, powers:] * self.root / state.size
        base = self.leak + 2.0 * v[:, 0, None, None] * np.eye(antennas)
        if self.surface is not None:
            base = base + 2.0 * v[:, 1, None, None] * self.surface
        outer = tau[..., None, None] * (self.rows.conj()[..., None] * self.rows[:, :, None, :])
        full = (base + outer.sum(1))[:, None]
        inverse = guarded(np.linalg.inv, np.concatenate([full - outer, full], axis=1))
        inverse = inverse[:, np.minimum(np.arange(streams), users)]  # (B, S, N, N)
        weights = [np.sqrt(ratio), np.sqrt(tau)]
        vectors = [-2.0 * state.x[:, None], state.cones, state.radial]
        if state.more is not None:
            vectors.insert(1, -2.0 * state.more.reshape(batch, 1, -1))
        if self.surrogate is not None and self.surrogate.logarithmic:
            weights.insert(0, 1.0 / state.affine)
            vectors.insert(0, self.surrogate.slope)
        factor = np.concatenate(weights, axis=1)
        a = np.concatenate(vectors, axis=1) * factor[..., None]
        terms = a.shape[1]
        signs = np.ones(terms)
        signs[terms - users :] = -1.0
        columns = a.reshape(batch, terms, antennas, streams).transpose(0, 3, 2, 1)  # (B, S, N, R)
        solved = np.ascontiguousarray((inverse @ columns).transpose(0, 3, 2, 1)).reshape(a.shape)
        first = (inverse @ right.reshape(batch, antennas, streams).transpose(0, 2, 1)[..., None])[..., 0]
        first = first.transpose(0, 2, 1).reshape(right.shape)
        flat = real(a)
        return System(
            gram=flat @ np.swapaxes(real(solved), 1, 2),
            load=(flat @ real(first)[..., None])[..., 0],
            signs=signs,
            cones=np.arange(terms - 2 * users, terms - users),
            back=lambda y: np.asarray(first - (y[:, None] @ solved)[:, 0]),
        )


def solve_transmit(problem: TransmitProblem, gap: float = 1e-3) -> tuple[ComplexArray, NDArray[np.bool_]]:
    """W (B, N, S) that maximises the minorant up to `gap` (nats), and where it was found (B,); else `point`."""
    x, done = solve(TransmitStep.of(problem), gap=gap)
    w = x.reshape(problem.point.shape)
    good = done & (problem.feasible.violation(w) <= VIOLATION)
    return np.where(good[:, None, None], w, problem.point), good


def restore_transmit(problem: TransmitRestoration, gap: float = 1e-3) -> tuple[ComplexArray, NDArray[np.bool_]]:
    """W (B, N, S) with delta >= 1, or else nearly the largest, and where it was found (B,); else the last
    point reached."""
    x, done = solve(TransmitStep.restoring(problem), gap=gap, iterations=80)
    w = x.reshape(problem.point.shape)
    kept = problem.feasible.powers(w).max(-1) <= 1.0 + VIOLATION
    return np.where(kept[:, None, None], w, problem.point), done & kept
