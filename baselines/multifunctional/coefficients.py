"""Coefficient step of `mf` (7.4), its restoration (7.6) and the projection on its set (7.5), batched.

With theta flattened to (B, I M): D is diagonal plus, per element, the rank-one term of its cap,

    D_im = 2 w_i d_im^2 + 2 v_m + 2 v_p incident_m + sum_{k on side i} tau_k n_km^2,   + 4 (v_m / s_m) theta_m theta_m^T,

and the users' received interference E_k adds 2 (S - 1) terms of rank one per user.
Source: model page, sections 7.4 to 7.6; shapes as in `programs`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from baselines.multifunctional.interior import State, Step, solve
from baselines.multifunctional.programs import (
    CoefficientProblem,
    CoefficientRestoration,
    CoefficientSet,
    ProjectionProblem,
    Surrogate,
)
from baselines.tools.linalg import Array, ComplexArray, abs2, herm

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
        onehot: (K, I) side of each user. received: (B, 2 K (S - 1), I M) gradients of the parts of the users' interference.
    """

    start: ComplexArray
    quadratic: Array
    sets: CoefficientSet
    own: ComplexArray
    adjoint: ComplexArray
    onehot: Array
    received: ComplexArray

    _shared = frozenset({"onehot"})

    @classmethod
    def of(cls, problem: CoefficientProblem) -> Self:
        """The step of a problem."""
        surrogate, mask = problem.surrogate, problem.feasible.mask
        batch, sides, elements = problem.point.shape
        slope = np.zeros((batch, sides, sides, elements), complex)
        slope[:, np.arange(sides), np.arange(sides)] = np.where(mask, surrogate.slope, 0.0)
        surrogate = replace(surrogate, slope=slope.reshape(batch, sides, sides * elements))
        quadratic = 2.0 * surrogate.weight[..., None] * problem.leak**2
        return cls._of(problem.feasible, problem.point, surrogate, quadratic)

    @classmethod
    def projecting(cls, problem: ProjectionProblem) -> Self:
        """-||theta - anchor||^2 / 2 over its size at `point`."""
        batch, sides, elements = problem.point.shape
        anchor = np.where(problem.feasible.mask, problem.anchor, 0.0)
        weight = 1.0 / np.maximum(abs2(anchor - problem.point).sum((1, 2)), 1e-12)
        nothing = np.zeros((batch, 1))
        surrogate = Surrogate(
            slope=(weight[:, None, None] * anchor).reshape(batch, 1, sides * elements),
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
        batch, users, streams, elements = sets.rows.shape
        sides = start.shape[1]
        onehot = np.zeros((users, sides))
        onehot[np.arange(users), sets.user_side] = 1.0
        other = streams - 1
        received = np.zeros((batch, users, 2 * other, sides, elements), complex)
        for k in range(users):
            i = int(sets.user_side[k])
            rest = np.delete(sets.rows[:, k], k, axis=1).conj() * sets.mask[:, None, i]
            received[:, k, :other, i], received[:, k, other:, i] = rest, 1j * rest
        each = np.arange(users)
        return cls(
            surrogate=surrogate,
            root=np.sqrt(sets.threshold),
            start=np.where(sets.mask, start, 0.0),
            quadratic=quadratic,
            sets=sets,
            own=sets.rows[:, each, each].conj(),
            adjoint=np.ascontiguousarray(herm(sets.rows)),
            onehot=onehot,
            received=received.reshape(batch, users * 2 * other, sides * elements),
        )

    def begin(self) -> ComplexArray:
        """theta_0, flattened."""
        return self.start.reshape(len(self.start), -1)

    def _sided(self, vectors: ComplexArray) -> ComplexArray:
        """Vectors (B, K, M) on the user's side as (B, K, I M), masked."""
        spread = vectors[:, :, None, :] * self.onehot[:, :, None] * self.sets.mask[:, None]
        return spread.reshape(*vectors.shape[:2], self.onehot.shape[1] * vectors.shape[2])

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
        dense, jacobian = cones, self._sided(slope)
        if sets.incident is not None:
            power = 1.0 - (level * sets.incident).sum(-1, keepdims=True)
            lit = (-2.0 * theta * sets.incident[:, None]).reshape(len(x), 1, -1)
            dense, jacobian = np.concatenate([power, cones], axis=1), np.concatenate([lit, jacobian], axis=1)
        affine = np.zeros((len(x), 0))
        if self.surrogate is not None:
            affine = (self.surrogate.slope.conj() @ x[..., None])[..., 0].real + self.surrogate.offset
        return State(
            x=x,
            delta=delta,
            caps=1.0 - level,
            dense=dense,
            jacobian=jacobian,
            affine=affine,
            size=size,
            radial=self._sided(radial),
        )

    def pull(self, state: State) -> ComplexArray:
        """-2 w_i d_im^2 theta_im."""
        return -self.quadratic.reshape(len(self.quadratic), -1) * state.x

    def spread(self, state: State, v: Array) -> ComplexArray:
        """-2 v_m theta_im."""
        theta = state.x.reshape(self.start.shape)
        return (-2.0 * theta * v[:, None]).reshape(len(v), -1)

    def along(self, state: State, d: ComplexArray) -> Array:
        """-2 Re sum_i theta_im^* d_im."""
        theta = state.x.reshape(self.start.shape)
        return -2.0 * (theta.conj() * d.reshape(theta.shape)).real.sum(1)

    def rank_one(self, state: State, tau: Array) -> tuple[Array, ComplexArray]:
        """The interference of the users."""
        users = tau.shape[1]
        each = self.received.shape[1] // users if users else 0
        return np.repeat(tau, each, axis=1), self.received

    def divide(self, state: State, v: Array, ratio: Array, tau: Array, right: ComplexArray) -> ComplexArray:
        """Element by element (Sherman-Morrison for the cap)."""
        batch, sides, elements = self.start.shape
        theta = state.x.reshape(self.start.shape)
        d = self.quadratic + 2.0 * v[:, None, :elements]
        if self.sets.incident is not None:
            d = d + 2.0 * v[:, elements, None, None] * self.sets.incident[:, None]
        if tau.shape[1]:
            d = d + np.swapaxes(np.swapaxes(tau[..., None] * self.sets.noise**2, 1, 2) @ self.onehot, 1, 2)
        scaled = theta / d
        strength = 4.0 * ratio[:, :elements]
        strength = strength / (1.0 + strength * (theta.conj() * scaled).real.sum(1))
        r = right.reshape(batch, -1, sides, elements)
        inner = (scaled.conj()[:, None] * r).real.sum(2) * strength[:, None]
        return (r / d[:, None] - scaled[:, None] * inner[:, :, None]).reshape(batch, -1, sides * elements)


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
    """theta (B, I, M) with delta >= 1, or else nearly the largest, and where it was found (B,); else `point`."""
    x, done = solve(CoefficientStep.restoring(problem), gap=gap)
    theta = x.reshape(problem.point.shape)
    sets = problem.feasible
    good = done & (np.maximum(abs2(theta).sum(1).max(-1), sets.power(theta)) <= 1.0 + VIOLATION)
    return np.where(good[:, None, None], theta, problem.point), good
