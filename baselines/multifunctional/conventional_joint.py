"""Joint ascent of beams and coefficients for star, active and passive: L-BFGS on an augmented Lagrangian.

    max U(W, theta)   s.t.  ln SINR_k >= ln Gamma_k,  P_surf <= P_MF,

with every other constraint in the coordinates: W = V / sqrt(||V||_F^2 + s^2) (s = 0 without a surface budget, where full
power is best), theta_im = |theta_im| e^{j phi_im}; star: |theta_rm| = cos psi_m, |theta_tm| = sin psi_m, active:
|theta_m| = cos z_m, passive: 1.
The filter is eliminated by Lemma 1, its derivative by the envelope theorem.

Source: ours; model page, sections 4, 7.5 and 9 (joint ascent).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baselines.multifunctional.alternate import Point
from baselines.multifunctional.conventional_echo import FourHop, utility
from baselines.multifunctional.forms import Programs
from baselines.multifunctional.initial import repaired
from baselines.multifunctional.units import Channels
from baselines.tools.lbfgs import minimise
from baselines.tools.linalg import Array, ComplexArray, abs2, herm

__all__ = ["Coordinates", "joint_ascent", "polished"]

MARGIN = 1e-5
"""Nepers by which the constraints are tightened, so that the residual of the method does not violate them."""
STILL = 1e-4
"""Change of the objective in a round, nepers, below which a scene is finished."""
WEIGHT = 3.0
"""First weight of the squared constraints."""
LENGTH = 5.0
"""First ||(V, s)||: the beams' share in the metric of the quasi-Newton method."""
RUNAWAY = 5.0
"""Change of ln ||(V, s)|| that no line search may pass in a round."""
FLAT = 1e-3
"""Norm of the gradient at which a round ends."""
MEMORY = 40
PATIENCE, HOPELESS = 4, 0.1
"""Rounds without a smaller violation after which a scene is given up; violation, nepers, with which it is so after as many."""
SHRINK = 0.1
"""First z and s over ||V||: at 0 their derivatives vanish."""


@dataclass(frozen=True)
class Coordinates:
    """The map from x (B, n) to (W, theta): V real and imaginary, [s], free phases, [psi or z]."""

    channels: Channels
    streams: int

    @property
    def parts(self) -> tuple[int, int, int, int]:
        """Lengths: V, s, phases, levels."""
        n, m, _, _ = self.channels.sizes
        star, budget = self.channels.kind == "star", self.channels.budget
        return 2 * n * self.streams, int(budget), 2 * m if star else m, m if star or budget else 0

    def encode(self, w: ComplexArray, theta: ComplexArray) -> Array:
        """x (B, n) of beams (B, N, S) and coefficients (B, 2, M) that meet the caps (or the equality)."""
        batch = len(w)
        flat = LENGTH * w.reshape(batch, -1)
        parts = [flat.real, flat.imag]
        size, total = np.abs(theta), theta.sum(1)
        if self.channels.budget:
            spent = np.sqrt(abs2(flat).sum(-1, keepdims=True))
            parts.append(np.sqrt(np.maximum(LENGTH**2 - spent**2, (SHRINK * spent) ** 2)))
        if self.channels.kind == "star":
            parts += [np.angle(theta).reshape(batch, -1), np.arctan2(size[:, 1], size[:, 0])]
        else:
            parts.append(np.angle(total))
            if self.channels.budget:
                parts.append(np.arccos(np.minimum(np.abs(total), np.cos(SHRINK))))
        return np.concatenate(parts, axis=1)

    def _split(self, x: Array) -> list[Array]:
        return np.split(x, np.cumsum(self.parts)[:-1], axis=1)

    def length(self, x: Array) -> Array:
        """||(V, s)|| (B,), which has no effect on the point."""
        v, s, _, _ = self._split(x)
        return np.sqrt((v**2).sum(1) + (s**2).sum(1))

    def decode(self, x: Array) -> tuple[ComplexArray, ComplexArray]:
        """W (B, N, S) and theta (B, 2, M)."""
        batch, (n, m, _, _) = len(x), self.channels.sizes
        v, _, phase, level = self._split(x)
        half = v.shape[1] // 2
        length = self.length(x)
        w = np.asarray((v[:, :half] + 1j * v[:, half:]) / length[:, None], dtype=complex)
        turn = np.exp(1j * phase)
        if self.channels.kind == "star":
            theta = turn.reshape(batch, 2, m) * np.stack([np.cos(level), np.sin(level)], axis=1)
        else:
            theta = self.channels.mask[:1] * (turn * np.cos(level) if level.shape[1] else turn)[:, None, :]
        return w.reshape(batch, n, self.streams), theta

    def pull(self, x: Array, w: ComplexArray, theta: ComplexArray, d_w: ComplexArray, d_theta: ComplexArray) -> Array:
        """Gradient by x from 2 d / d W^* (B, N, S) and 2 d / d theta^* (B, 2, M); w, theta = decode(x)."""
        batch = len(x)
        _, s, _, level = self._split(x)
        length = self.length(x)[:, None]
        flat, slope = w.reshape(batch, -1), d_w.reshape(batch, -1)
        radial = (flat.conj() * slope).real.sum(1, keepdims=True)
        inner = slope - radial * flat
        parts = [inner.real / length, inner.imag / length]
        if s.shape[1]:
            parts.append(-radial * s / length**2)
        turned = (theta.conj() * d_theta).imag
        if self.channels.kind == "star":
            unit = np.exp(1j * self._split(x)[2]).reshape(theta.shape)
            along = (unit.conj() * d_theta).real
            parts += [turned.reshape(batch, -1), np.cos(level) * along[:, 1] - np.sin(level) * along[:, 0]]
        else:
            parts.append(turned.sum(1))
            if level.shape[1]:
                unit = np.exp(1j * self._split(x)[2])
                along = (unit.conj() * np.where(self.channels.mask[:1], d_theta, 0.0).sum(1)).real
                parts.append(-np.sin(level) * along)
        return np.concatenate(parts, axis=1)


class _Lagrangian:
    """-U + (1 / 2 mu) sum (max(0, lambda + mu c)^2 - lambda^2) and its gradient; c <= 0 are the constraints."""

    def __init__(self, data: FourHop, streams: int, multiplier: Array, weight: Array) -> None:
        self.data, self.coordinates = data, Coordinates(data.channels, streams)
        self.multiplier, self.weight = multiplier, weight

    def constraints(self, data: FourHop, theta: ComplexArray, v: ComplexArray) -> Array:
        """c (B, K or K + 1), nepers; users without a threshold: far from it."""
        c = np.where(data.channels.threshold > 0, MARGIN - data.user_ratio(theta, v), -1e9)
        if data.channels.budget:
            c = np.concatenate([c, np.log(data.surface_use(theta, v))[:, None] + MARGIN], axis=1)
        return c

    def __call__(self, x: Array, rows: NDArray[np.int64]) -> tuple[Array, Array]:
        """Value and gradient of `rows`; infinite where the length of the beams, which has no effect, runs away."""
        with np.errstate(over="ignore", divide="ignore"):
            away = ~(np.abs(np.log(self.coordinates.length(x) / LENGTH)) < RUNAWAY)
        x = np.where(away[:, None], 1.0, x)
        data = self.data if len(rows) == len(self.data) else self.data[rows]
        w, theta = self.coordinates.decode(x)
        echo = data.echo(w, theta)
        level, slope = utility(data.form, echo.gamma)
        slope = slope / echo.interference
        d_theta, d_v = data.echo_gradient(theta, echo, -slope, slope * echo.gamma, beams=True)
        assert d_v is not None
        c = self.constraints(data, theta, echo.incident)
        mu, multiplier = self.weight[rows][:, None], self.multiplier[rows]
        push = np.maximum(multiplier + mu * c, 0.0)
        value = -level + ((push**2 - multiplier**2) / (2.0 * mu)).sum(-1)
        users = data.channels.ris_user.shape[1]
        more_theta, more_v = data.user_gradient(theta, echo.incident, -push[:, :users])
        d_theta, d_v = d_theta + more_theta, d_v + more_v
        if data.channels.budget:
            use = push[:, -1:] / data.surface_use(theta, echo.incident)[:, None]
            d_theta = d_theta + 2.0 * (use * data.burden(echo.incident))[:, None, :] * theta
            d_v = d_v + 2.0 * (use * abs2(theta).sum(1))[..., None] * echo.incident
        slope_x = self.coordinates.pull(x, w, theta, herm(data.bs_ris) @ d_v, d_theta)
        return np.where(away, np.inf, value), slope_x


def joint_ascent(
    channels: Channels, w: ComplexArray, theta: ComplexArray, *, rounds: int = 20, iterations: int = 150, form: str | None = None
) -> tuple[ComplexArray, ComplexArray, Array]:
    """Ascend from any point, also from one that misses rates, until constraints and objective stand still.

    Args:
        channels: of kind star, active or passive.
        w: (B, N, S) beams; theta: (B, 2, M) coefficients that meet the caps (or the equality).
        rounds: updates of the multipliers at most. iterations: L-BFGS steps in each.
        form: of the objective, None: that of channels.

    Returns:
        Beams and coefficients, and the largest violation (B,) of a rate or the surface power, nepers (negative: met).
    """
    data, streams = FourHop.of(channels, form), w.shape[2]
    x = Coordinates(channels, streams).encode(w, theta)
    size = len(x)
    multiplier = np.zeros((size, channels.ris_user.shape[1] + int(channels.budget)))
    weight, residual = np.full(size, WEIGHT), np.full(size, np.inf)
    level, worst = np.full(size, -np.inf), np.full(size, -np.inf)
    rows, stuck = np.arange(size), np.zeros(size, int)
    for count in range(rounds):
        if not len(rows):
            break
        part = data[rows]
        problem = _Lagrangian(part, streams, multiplier[rows], weight[rows])
        x[rows], _ = minimise(problem, x[rows], iterations=iterations, memory=MEMORY, gradient_tolerance=FLAT)
        beams, surface = problem.coordinates.decode(x[rows])
        scale = np.ones((len(rows), x.shape[1]))
        scale[:, : sum(problem.coordinates.parts[:2])] = (LENGTH / problem.coordinates.length(x[rows]))[:, None]
        x[rows] *= scale
        c = problem.constraints(part, surface, part.bs_ris @ beams)
        worst[rows] = c.max(-1, initial=-np.inf) - MARGIN
        distance = np.abs(np.maximum(c, -multiplier[rows] / weight[rows, None])).max(-1, initial=0.0)
        multiplier[rows] = np.maximum(multiplier[rows] + weight[rows, None] * c, 0.0)
        weight[rows] = np.where(distance > 0.25 * residual[rows], np.minimum(4.0 * weight[rows], 1e5), weight[rows])
        stuck[rows] = np.where(distance > 0.9 * residual[rows], stuck[rows] + 1, 0)
        residual[rows] = np.minimum(distance, residual[rows])
        value = utility(part.form, part.echo(beams, surface).gamma)[0]
        still = (distance <= 0.5 * MARGIN) & (np.abs(value - level[rows]) <= STILL)
        level[rows] = value
        lost = (distance > MARGIN) & (stuck[rows] >= PATIENCE)
        if count + 1 >= PATIENCE:
            lost |= distance > HOPELESS
        rows = rows[~still & ~lost]
    return *Coordinates(channels, streams).decode(x), worst


def polished(channels: Channels, point: Point, programs: Programs, rounds: int = 20, iterations: int = 150) -> Point:
    """The joint ascent from where an alternation ended; kept where it is feasible and better, or the first feasible one.

    Args:
        channels: of kind star, active or passive. point: of the alternation. programs: for the repair of a rate that is missed.
        rounds, iterations: of `joint_ascent`.
    """
    w, theta, _ = joint_ascent(channels, point.w, point.theta, rounds=rounds, iterations=iterations)
    lost = np.flatnonzero(~channels.feasible(w, theta))
    if len(lost):
        if channels.budget:
            use = channels.surface_power(w[lost], theta[lost])
            theta[lost] /= np.sqrt(np.maximum(use, 1.0))[:, None, None]
        w[lost] = repaired(channels[lost], w[lost], theta[lost], programs)
    found = Point.at(channels, w, theta, point.rho)
    rows = np.flatnonzero(found.feasible & (~point.feasible | (found.value > point.value)))
    return point.put(rows, found[rows])
