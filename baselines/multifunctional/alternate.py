"""Alternating optimisation of beams, filters and coefficients, batched over scenes (or slots).

Source: arXiv 2412.01251, Algorithm 3; model page, sections 7.2 to 7.6.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baselines.multifunctional.filters import best_filters
from baselines.multifunctional.forms import Programs
from baselines.multifunctional.initial import repaired, restore
from baselines.multifunctional.programs import coefficient_problem, transmit_problem
from baselines.multifunctional.records import Rows
from baselines.multifunctional.units import Channels
from baselines.tools.linalg import Array, ComplexArray

FEASIBLE = {"rate": 1e-6, "hard": 1e-7}
"""Tolerances of acceptance: rates in bit/s/Hz, powers and caps relative (the design's projection removes the rest)."""


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
        """`other` where it is feasible and not worse, else this one; always the rho of `other`."""
        good = other.feasible & (other.value >= self.value)
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


def alternate(
    channels: Channels,
    w: ComplexArray,
    theta: ComplexArray,
    programs: Programs,
    *,
    rounds: int = 30,
    tolerance: float = 1e-3,
    surface: bool = True,
) -> tuple[Point, Array]:
    """From beams and coefficients that meet the hard constraints to a stationary design; rates are restored first.

    Args:
        channels: of the batch. w: (B, N, S). theta: (B, I, M).
        programs: form of the convex programs.
        rounds: at most. tolerance: relative gain of the objective (of at least 1 bit or dB) below which a scene stops.
        surface: also change theta; else beams and filters only.

    Returns:
        The last point, and the echo SINRs after each round, (rounds done + 1, B, I). A scene that no restoration makes feasible
        stays where the last one ended.
    """
    if not w.shape[2]:
        surface, rounds = False, 0
    else:
        w, theta = restore(channels, w, theta, programs, surface)
    point = Point.at(channels, w, theta)
    history = [point.gamma]
    rows = np.flatnonzero(point.feasible)
    for _ in range(rounds):
        if not len(rows):
            break
        part, old = channels[rows], point[rows]
        new = transmit_step(part, old, programs)
        if surface:
            new = surface_step(part, new, programs)
        point = point.put(rows, new)
        history.append(point.gamma)
        gain = new.value - old.value
        rows = rows[gain > tolerance * np.maximum(np.abs(old.value), 1.0)]
    return point, np.stack(history)
