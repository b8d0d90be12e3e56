"""Alternating optimisation of beams, filters and coefficients, batched over scenes (or slots).

Source: arXiv 2412.01251, Algorithm 3; model page, sections 7.2 to 7.6.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baselines.multifunctional.filters import best_filters
from baselines.multifunctional.forms import Programs
from baselines.multifunctional.initial import repaired, restore, within_budget
from baselines.multifunctional.programs import coefficient_problem, transmit_problem
from baselines.multifunctional.records import Rows
from baselines.multifunctional.units import Channels
from baselines.tools.linalg import Array, ComplexArray, abs2

FEASIBLE = {"rate": 1e-6, "hard": 1e-7}
"""Tolerances of acceptance: rates in bit/s/Hz, powers and caps relative (the design's projection removes the rest)."""


SLOW = 0.02
"""Relative gain of a round below which the next one may be extrapolated."""


@dataclass(frozen=True, kw_only=True)
class Point(Rows):
    """Where an alternation stands: beams w (B, N, S), coefficients theta (B, I, M), filters u (B, I, Q), echo SINRs gamma (B, I),
    objective value (B,), whether every constraint is met (B,), prox weight rho (B,)."""

    w: ComplexArray
    theta: ComplexArray
    u: ComplexArray
    gamma: Array
    value: Array
    feasible: NDArray[np.bool_]
    rho: Array

    @classmethod
    def at(cls, channels: Channels, w: ComplexArray, theta: ComplexArray, rho: Array | None = None) -> Point:
        """With the filters of Lemma 1."""
        u, gamma = best_filters(channels.echoes(theta), w)
        return cls(
            w=w,
            theta=theta,
            u=u,
            gamma=gamma,
            value=channels.utility(gamma),
            feasible=channels.feasible(w, theta, **FEASIBLE),
            rho=np.ones(len(w)) if rho is None else rho,
        )

    def improved(self, other: Point) -> Point:
        """`other` where it is feasible and not worse (than this one if that is feasible), else this one; rho of `other`."""
        good = other.feasible & (~self.feasible | (other.value >= self.value))
        rows = np.flatnonzero(good)
        out = self.put(rows, other[rows])
        return Point(**{**vars(out), "rho": other.rho})


def transmit_step(channels: Channels, point: Point, programs: Programs) -> Point:
    """Filter and 7.3."""
    problem = transmit_problem(channels, point.theta, point.w, point.u)
    w = programs.transmit(problem, channels.index)[0]
    return point.improved(Point.at(channels, w, point.theta, point.rho))


def surface_step(channels: Channels, point: Point, programs: Programs) -> Point:
    """Filter and 7.4 (`mf`) or 7.5."""
    if channels.kind == "mf":
        problem = coefficient_problem(channels, point.theta, point.w, point.u)
        theta = programs.coefficients(problem, channels.index)[0]
        return point.improved(Point.at(channels, point.w, theta, point.rho))
    from baselines.multifunctional.conventional import coefficient_step

    moved = coefficient_step(
        channels,
        point.w,
        point.theta,
        point.rho,
        repair=lambda part, w, theta: repaired(part, w, theta, programs),
        projection=programs.project,
    )
    return point.improved(Point.at(channels, moved.w, moved.theta, moved.rho))


def first_feasible(
    channels: Channels, w: ComplexArray, theta: ComplexArray, programs: Programs, surface: bool = True
) -> tuple[ComplexArray, ComplexArray]:
    """Beams and coefficients that meet the rates where they are found: by a transmit step, which needs no feasible start, then by
    restoration (7.6)."""
    w = w.copy()
    lost = np.flatnonzero(~channels.feasible(w, theta, **FEASIBLE))
    if len(lost):
        part = channels[lost]
        u = best_filters(part.echoes(theta[lost]), w[lost])[0]
        w[lost] = programs.transmit(transmit_problem(part, theta[lost], w[lost], u), part.index)[0]
    return restore(channels, w, theta, programs, surface)


def alternate(
    channels: Channels,
    w: ComplexArray,
    theta: ComplexArray,
    programs: Programs,
    *,
    rounds: int = 30,
    tolerance: float = 1e-3,
    surface: bool = True,
    extrapolation: float = 0.0,
) -> tuple[Point, Array]:
    """From beams and coefficients that meet the hard constraints to a stationary design; rates are restored first.

    Args:
        channels: of the batch. w: (B, N, S). theta: (B, I, M).
        programs: form of the convex programs.
        rounds: at most. tolerance: relative gain of the objective (of at least 1 bit or dB) below which a scene stops.
        surface: also change theta; else beams and filters only.
        extrapolation: `mf`: rounds start this many times the last change further on, once gains are below `SLOW`; where that
            does not pay, from the old point.

    Returns:
        The last point, and the echo SINRs after each round, (rounds done + 1, B, I). A scene that no restoration makes feasible
        stays where the last one ended.
    """
    if w.shape[2]:
        w, theta = first_feasible(channels, w, theta, programs, surface)
    else:
        rounds = 0
    point = Point.at(channels, w, theta)
    history = [point.gamma]
    rows = np.flatnonzero(point.feasible)
    before, reach = point, np.zeros(len(point))
    for _ in range(rounds):
        if not len(rows):
            break
        part, old = channels[rows], point[rows]
        new = old
        ahead = np.flatnonzero(reach[rows] > 0)
        if len(ahead):
            far = extrapolated(part[ahead], old[ahead], before[rows[ahead]], reach[rows[ahead]])
            new = new.put(ahead, _round(part[ahead], far, programs, surface))
        done = new.feasible & (new.value > old.value)
        rest = np.flatnonzero(~done)
        if len(rest):
            new = new.put(rest, _round(part[rest], old[rest], programs, surface))
        point, before = point.put(rows, new), before.put(rows, old)
        history.append(point.gamma)
        gain = (new.value - old.value) / np.maximum(np.abs(old.value), 1.0)
        if surface and channels.kind == "mf":
            reach[rows] = np.where(gain < SLOW, extrapolation, 0.0)
            reach[rows[ahead[~done[ahead]]]] = 0.0
        rows = rows[gain > tolerance]
    return point, np.stack(history)


def _round(channels: Channels, point: Point, programs: Programs, surface: bool) -> Point:
    point = transmit_step(channels, point, programs)
    return surface_step(channels, point, programs) if surface else point


def extrapolated(channels: Channels, now: Point, before: Point, reach: Array) -> Point:
    """now + reach (now - before), scaled into the hard constraints; rates need not hold. `reach` (B,)."""
    step = reach[:, None, None]
    w = now.w + step * (now.w - before.w)
    theta = now.theta + step * (now.theta - before.theta)
    w = w / np.maximum(np.sqrt(abs2(w).sum((1, 2))), 1.0)[:, None, None]
    theta = theta / np.maximum(np.sqrt(abs2(theta).sum(1, keepdims=True)), 1.0)
    return Point.at(channels, w, within_budget(channels, w, theta), now.rho)
