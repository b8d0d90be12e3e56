"""Coefficient step of the surfaces whose echo returns to the BS over four hops: prox-linear steps, step size adapted.

    maximise <grad f, theta> - rho / 2 ||theta - theta_0||^2 over the convex set of 7.4: project theta_0 + grad f / rho on it,

f = the objective in nepers at the filter of the current point (so, by the envelope theorem, with the filter eliminated).
Amplitudes with equality (star, passive) are normalised after the projection and, where a rate then fails, the beams repaired.

Source: arXiv 2412.01251, benchmarks; model page, section 7.5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baselines.multifunctional.coefficients import project
from baselines.multifunctional.conventional_echo import FourHop, utility
from baselines.multifunctional.initial import normalised
from baselines.multifunctional.programs import ProjectionProblem, coefficient_set
from baselines.multifunctional.units import Channels
from baselines.tools.linalg import Array, ComplexArray

__all__ = ["BACKTRACKS", "Moved", "coefficient_step", "gradient"]

BACKTRACKS = 8
"""Times that rho may be multiplied by four in one step."""
RATE, HARD = 1e-6, 1e-9
"""Tolerances of acceptance: rates in bit/s/Hz, hard constraints relative."""

Projection = Callable[[ProjectionProblem], tuple[ComplexArray, NDArray[np.bool_]]]
"""Point (the old one without a solution) and where a solution was found (B,)."""
Repair = Callable[[Channels, ComplexArray, ComplexArray], ComplexArray]
"""Beams (B, N, S) from the old ones, for coefficients that miss a rate after the normalisation (`initial.repaired`)."""


@dataclass(frozen=True, kw_only=True)
class Moved:
    """Result of a step: beams w (B, N, S) (changed by a repair only), theta (B, 2, M), value (B,) of U in nepers, the next
    rho (B,), and whether the step was accepted (B,); where not, w and theta are the old ones."""

    w: ComplexArray
    theta: ComplexArray
    value: Array
    rho: Array
    accepted: NDArray[np.bool_]


def gradient(data: FourHop, w: ComplexArray, theta: ComplexArray) -> tuple[Array, ComplexArray]:
    """U in nepers (B,) with the filter of Lemma 1, and its gradient 2 dU / d theta^* (B, 2, M), zero off the mask."""
    echo = data.echo(w, theta)
    value, slope = utility(data.form, echo.gamma)
    slope = slope / echo.interference
    out, _ = data.echo_gradient(theta, echo, slope, -slope * echo.gamma)
    return value, np.where(data.channels.mask, out, 0.0)


def coefficient_step(
    channels: Channels,
    w: ComplexArray,
    theta: ComplexArray,
    rho: Array,
    repair: Repair,
    projection: Projection = project,
    backtracks: int = BACKTRACKS,
) -> Moved:
    """One accepted step per scene, or none: U (filter of Lemma 1) does not fall, rates and hard constraints hold.

    Args:
        channels: of kind star, active or passive.
        w: (B, N, S), beams. theta: (B, 2, M), coefficients that meet every constraint with w.
        rho: (B,), multiplied by four after a refusal, halved after a success.
        repair: for star and passive.
        projection: solver of the convex problem.
        backtracks: refusals after which the old point is kept.
    """
    data = FourHop.of(channels)
    value, slope = gradient(data, w, theta)
    w, theta, rho = w.copy(), theta.copy(), rho.copy()
    accepted = np.zeros(len(w), bool)
    feasible = coefficient_set(channels, w, theta)
    for _ in range(backtracks + 1):
        rows = np.flatnonzero(~accepted)
        if not len(rows):
            break
        part, beams = channels[rows], w[rows]
        anchor = theta[rows] + slope[rows] / rho[rows][:, None, None]
        new, found = projection(ProjectionProblem(anchor=anchor, feasible=feasible[rows], point=theta[rows]))
        if channels.equality:
            new = normalised(new, part.mask)
            lost = np.flatnonzero(~part.feasible(beams, new, RATE, HARD))
            if len(lost):
                beams[lost] = repair(part[lost], beams[lost], new[lost])
            found = np.ones(len(rows), bool)
        good = found & part.feasible(beams, new, RATE, HARD)
        level = np.full(len(rows), -np.inf)
        if good.any():
            level[good] = utility(data.form, data[rows[good]].echo(beams[good], new[good]).gamma)[0]
        good &= level >= value[rows]
        take = rows[good]
        w[take], theta[take], value[take], accepted[take] = beams[good], new[good], level[good], True
        rho[rows] *= np.where(good, 0.5, 4.0)
    return Moved(w=w, theta=theta, value=value, rho=rho, accepted=accepted)
