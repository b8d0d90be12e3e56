"""Coefficient step of `mf` (7.4), its restoration (7.6) and the projection on its set (7.5), batched.

With theta flattened to (B, I M): D is diagonal plus, per element, the rank-one term of its cap,

    D_im = 2 w_i d_im^2 + 2 v_m + 2 v_p incident_m + sum_{k on side i} tau_k n_km^2,   + 4 (v_m / s_m) theta_m theta_m^T,

and the users' received interference E_k adds 2 (S - 1) terms of rank one per user.
Source: model page, sections 7.4 to 7.6; shapes as in `programs`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray

from baselines.multifunctional.interior import State, Step, System, solve
from baselines.multifunctional.programs import (
    CoefficientProblem,
    CoefficientRestoration,
    CoefficientSet,
    ProjectionProblem,
    Surrogate,
)
from baselines.tools.linalg import Array, ComplexArray, abs2

VIOLATION = 1e-6
"""Violation up to which a solution counts as one."""
INSIDE = 0.99
"""Restorations start from the point scaled down to power and caps of at most the square of this."""


@dataclass(frozen=True, kw_only=True)
class CoefficientStep(Step):
    """Data of the step.

    Attributes:
        start: (B, I, M). quadratic: (B, I, M) 2 w_i d_im^2.
        sets: the constraints. own: (B, K, M) conjugate row of user k's signal; adjoint: (B, K, M, S) E_k^H.
        received: (B, K, 2 (S - 1), 2 M) gradients of the parts of each user's interference, real parts then imaginary parts.
        sides: the users of each side, which must be in this order.
    """

    start: ComplexArray
    quadratic: Array
    sets: CoefficientSet
    own: ComplexArray
    adjoint: ComplexArray
    received: Array
    sides: tuple[slice, ...]

    @classmethod
    def of(cls, problem: CoefficientProblem) -> Self:
        """The step of a problem."""
        surrogate, mask = problem.surrogate, problem.feasible.mask
        surrogate = replace(surrogate, slope=np.where(mask, surrogate.slope, 0.0))
        quadratic = 2.0 * surrogate.weight[..., None] * problem.leak**2
        return cls._of(problem.feasible, problem.point, surrogate, quadratic)

    @classmethod
    def projecting(cls, problem: ProjectionProblem) -> Self:
        """-||theta - anchor||^2 / 2 over its size at `point`."""
        anchor = np.where(problem.feasible.mask, problem.anchor, 0.0)
        weight = 1.0 / np.maximum(abs2(anchor - problem.point).sum((1, 2)), 1e-12)
        nothing = np.zeros(anchor.shape[:2])
        surrogate = Surrogate(
            slope=weight[:, None, None] * anchor,
            offset=nothing,
            weight=nothing,
            logarithmic=False,
        )
        quadratic = np.broadcast_to(weight[:, None, None], problem.point.shape).copy()
        return cls._of(problem.feasible, problem.point, surrogate, quadratic)

    @classmethod
    def restoring(cls, problem: CoefficientRestoration) -> Self:
        """The restoration step of a problem."""
        worst = np.maximum(abs2(problem.point).sum(1).max(-1), problem.feasible.power(problem.point))
        start = problem.point * (INSIDE / np.sqrt(np.maximum(worst, 1.0)))[:, None, None]
        return cls._of(problem.feasible, start, None, np.zeros(problem.point.shape))

    @classmethod
    def _of(cls, sets: CoefficientSet, start: ComplexArray, surrogate: Surrogate | None, quadratic: Array) -> Self:
        users, streams = sets.rows.shape[1:3]
        own_mask = sets.mask[:, sets.user_side]
        masked = sets.rows.conj() * own_mask[:, :, None]
        other = np.array([[j for j in range(streams) if j != k] for k in range(users)], int).reshape(users, streams - 1)
        rest = masked[:, np.arange(users)[:, None], other]
        received = np.concatenate([_planar(rest), _planar(1j * rest)], axis=2)
        edges = np.searchsorted(sets.user_side, np.arange(start.shape[1] + 1))
        each = np.arange(users)
        return cls(
            surrogate=surrogate,
            root=np.sqrt(sets.threshold),
            start=np.where(sets.mask, start, 0.0),
            quadratic=quadratic,
            sets=sets,
            own=masked[:, each, each],
            adjoint=np.ascontiguousarray(np.swapaxes(masked, 2, 3)),
            received=received,
            sides=tuple(slice(int(x), int(y)) for x, y in pairwise(edges)),
        )

    def begin(self) -> ComplexArray:
        """theta_0, flattened."""
        return self.start.reshape(len(self.start), -1)

    def top(self) -> Array:
        """min_k sum_m |signal of element m|."""
        return np.abs(self.own).sum(-1).min(-1)

    def evaluate(self, x: ComplexArray, delta: Array | None) -> State:
        """Caps, power, cones and their gradients."""
        sets = self.sets
        theta = x.reshape(self.start.shape)
        users = sets.rows.shape[1]
        k = np.arange(users)
        mine = theta[:, sets.user_side]
        received = (sets.rows @ mine[..., None])[..., 0]
        own = received[:, k, k].real
        received[:, k, k] = 0.0
        damped = sets.noise**2 * mine
        size = np.sqrt(abs2(received).sum(-1) + (damped * mine.conj()).real.sum(-1) + 1.0)
        radial = ((self.adjoint @ received[..., None])[..., 0] + damped) / size[..., None]
        slope = self.own - self.root[..., None] * radial
        cones = own - self.root * size
        if delta is not None:
            cones = cones - delta[:, None]
        level = abs2(theta).sum(1)
        values = [1.0 - level, cones]
        if sets.incident is not None:
            values.insert(1, 1.0 - (level * sets.incident).sum(-1, keepdims=True))
        affine = np.zeros((len(x), 0))
        if self.surrogate is not None:
            affine = (self.surrogate.slope.conj() * theta).real.sum(-1) + self.surrogate.offset
        return State(
            x=x,
            delta=delta,
            values=np.concatenate(values, axis=1),
            affine=affine,
            size=size,
            radial=radial,
            cones=slope,
            more=None,
        )

    def gradient(self, state: State) -> ComplexArray:
        """phi' a_i - 2 w_i d_im^2 theta_im."""
        part = -self.quadratic * state.x.reshape(self.start.shape)
        if self.surrogate is not None:
            part = part + self.inner(state)[..., None] * self.surrogate.slope
        return part.reshape(len(part), -1)

    def _pulled(self, state: State, v: Array) -> Array:
        """v_m + v_p incident_m (B, M)."""
        elements = self.start.shape[2]
        if self.sets.incident is None:
            return v[:, :elements]
        return np.asarray(v[:, :elements] + v[:, elements, None] * self.sets.incident)

    def transposed(self, state: State, v: Array) -> ComplexArray:
        """-2 (v_m + v_p incident_m) theta_im, and the cones."""
        theta = state.x.reshape(self.start.shape)
        out = -2.0 * self._pulled(state, v)[:, None] * theta
        own = v[:, v.shape[1] - self.own.shape[1] :]
        for i, users in enumerate(self.sides):
            out[:, i] += (own[:, None, users] @ state.cones[:, users])[:, 0]
        return np.asarray(out.reshape(len(v), -1))

    def along(self, state: State, d: ComplexArray) -> tuple[Array, Array]:
        """Real inner products with the gradients."""
        theta, move = state.x.reshape(self.start.shape), d.reshape(self.start.shape)
        caps = -2.0 * (theta.conj() * move).real.sum(1)
        parts = [caps, (state.cones.conj() * move[:, self.sets.user_side]).real.sum(-1)]
        if self.sets.incident is not None:
            parts.insert(1, (caps * self.sets.incident).sum(-1, keepdims=True))
        affine = state.affine if self.surrogate is None else (self.surrogate.slope.conj() * move).real.sum(-1)
        return np.concatenate(parts, axis=1), affine

    def system(self, state: State, v: Array, ratio: Array, right: ComplexArray) -> System:
        """D element by element (Sherman-Morrison for the cap); all other terms but the power live on one side each."""
        batch, sides, elements = self.start.shape
        users, parts = self.own.shape[1], self.received.shape[2]
        theta, load = state.x.reshape(self.start.shape), right.reshape(self.start.shape)
        tau = v[:, v.shape[1] - users :] * self.root / state.size
        noise = tau[..., None] * self.sets.noise**2
        d = self.quadratic + 2.0 * self._pulled(state, v)[:, None]
        for i, own in enumerate(self.sides):
            d[:, i] += noise[:, own].sum(1)
        scaled = theta / d
        strength = 4.0 * ratio[:, :elements]
        strength = strength / (1.0 + strength * (theta.conj() * scaled).real.sum(1))
        logs = int(self.surrogate is not None and self.surrogate.logarithmic)
        power = int(self.sets.incident is not None)
        total = power + logs * sides + users * (parts + 2)
        gram, caps = np.zeros((batch, total, total)), np.zeros((batch, total, elements))
        loads, signs, numbers = np.zeros((batch, total)), np.ones(total), np.zeros(users, np.int64)
        divided = _planar(load / d)
        along = (scaled.conj() * load).real.sum(1)
        flat_scaled, flat_divisor = _planar(scaled), np.tile(1.0 / d, 2)
        root_tau, root_ratio = np.sqrt(tau), np.sqrt(ratio[:, ratio.shape[1] - users :])
        kept, first = [], power
        for i, own in enumerate(self.sides):
            count = own.stop - own.start
            last = first + logs + count * (parts + 2)
            a = np.empty((batch, power + last - first, 2 * elements))
            if self.sets.incident is not None:
                a[:, 0] = _planar((-2.0 * np.sqrt(ratio[:, elements]))[:, None] * self.sets.incident * theta[:, i])
            if logs:
                assert self.surrogate is not None
                a[:, power] = _planar(self.surrogate.slope[:, i] / state.affine[:, i, None])
            begin = power + logs
            inner = a[:, begin : begin + count * parts].reshape(batch, count, parts, 2 * elements)
            np.multiply(self.received[:, own], root_tau[:, own, None, None], out=inner)
            begin += count * parts
            a[:, begin : begin + count] = _planar(root_ratio[:, own, None] * state.cones[:, own])
            a[:, begin + count :] = _planar(root_tau[:, own, None] * state.radial[:, own])
            numbers[own] = first + begin - power + np.arange(count)
            signs[last - count : last] = -1.0
            block = (a * flat_divisor[:, i, None]) @ np.swapaxes(a, 1, 2)
            turned = a * flat_scaled[:, i, None]
            cap = turned[..., :elements] + turned[..., elements:]
            toward = (a @ divided[:, i, :, None])[..., 0]
            own_terms = slice(first, last)
            gram[:, own_terms, own_terms] = block[:, power:, power:]
            caps[:, own_terms] = cap[:, power:]
            loads[:, own_terms] = toward[:, power:]
            if power:
                gram[:, 0, own_terms] = gram[:, own_terms, 0] = block[:, 0, 1:]
                gram[:, 0, 0] += block[:, 0, 0]
                caps[:, 0] += cap[:, 0]
                loads[:, 0] += toward[:, 0]
            kept.append((a, own_terms))
            first = last
        gram -= (caps * strength[:, None]) @ np.swapaxes(caps, 1, 2)
        loads -= (caps @ (strength * along)[..., None])[..., 0]

        def back(y: Array) -> ComplexArray:
            rest = load.copy()
            for i, (a, own_terms) in enumerate(kept):
                whole = np.concatenate([y[:, :power], y[:, own_terms]], axis=1)
                moved = (whole[:, None] @ a)[:, 0]
                rest[:, i] -= moved[:, :elements] + 1j * moved[:, elements:]
            push = strength * (scaled.conj() * rest).real.sum(1)
            return np.asarray((rest / d - scaled * push[:, None]).reshape(batch, -1))

        return System(gram=gram, load=loads, signs=signs, cones=numbers, back=back)


def _planar(x: ComplexArray) -> Array:
    """(.., M) complex as (.., 2 M): real parts, then imaginary parts."""
    return np.concatenate([x.real, x.imag], axis=-1)


def solve_coefficients(problem: CoefficientProblem, gap: float = 1e-3) -> tuple[ComplexArray, NDArray[np.bool_]]:
    """theta (B, I, M) that maximises the minorant up to `gap` (nats), and where it was found (B,); else `point`."""
    x, done = solve(CoefficientStep.of(problem), gap=gap)
    theta = x.reshape(problem.point.shape)
    good = done & (problem.feasible.violation(theta) <= VIOLATION)
    return np.where(good[:, None, None], theta, problem.point), good


def project(problem: ProjectionProblem, gap: float = 1e-4) -> tuple[ComplexArray, NDArray[np.bool_]]:
    """The point (B, I, M) of the set next to `anchor`, and where it was found (B,); else `point`.

    ||theta - anchor||^2 is at most 2 `gap` times its value at `point` above the least one.
    """
    x, done = solve(CoefficientStep.projecting(problem), gap=gap)
    theta = x.reshape(problem.point.shape)
    good = done & (problem.feasible.violation(theta) <= VIOLATION)
    return np.where(good[:, None, None], theta, problem.point), good


def restore_coefficients(problem: CoefficientRestoration, gap: float = 1e-3) -> tuple[ComplexArray, NDArray[np.bool_]]:
    """theta (B, I, M) with delta >= 1, or else nearly the largest, and where it was found (B,); else the last
    point reached."""
    x, done = solve(CoefficientStep.restoring(problem), gap=gap, iterations=80)
    theta = x.reshape(problem.point.shape)
    sets = problem.feasible
    kept = np.maximum(abs2(theta).sum(1).max(-1), sets.power(theta)) <= 1.0 + VIOLATION
    return np.where(kept[:, None, None], theta, problem.point), done & kept
