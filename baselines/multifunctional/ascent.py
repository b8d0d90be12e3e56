"""Batched joint ascent on beams and coefficients at once, without convex programs, alone or from an alternating optimisation.

Adam on raw W and theta through the projection on the hard constraints, filters eliminated by Lemma 1 (envelope theorem: the
derivative at fixed filters), rates by a hinge in log2 SINR, step size falling with a cosine. Derivatives in closed form.

Source: not in arXiv 2412.01251; model page, section 9. Kinds other than `mf` go to `conventional_joint`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from baselines.multifunctional.alternate import Point, first_feasible, transmit_step
from baselines.multifunctional.ao import Alternating, AlternatingOptimisation
from baselines.multifunctional.filters import best_filters
from baselines.multifunctional.units import FLOOR, Channels
from baselines.tools.linalg import Array, ComplexArray, abs2, herm

HINGE, MARGIN = 5.0, 0.02
"""Weight of the shortfall in log2 SINR, and how far above the need the hinge ends."""
LN2 = np.log(2.0)


def projected(channels: Channels, w: ComplexArray, theta: ComplexArray) -> tuple[ComplexArray, ComplexArray]:
    """W (B, N, S) and theta (B, I, M) scaled into the hard constraints, in the order of model page, section 3."""
    w = w / np.maximum(np.sqrt(abs2(w).sum((1, 2))), 1.0)[:, None, None]
    theta = theta / np.maximum(np.sqrt(abs2(theta).sum(1, keepdims=True)), 1.0)
    return w, theta / np.sqrt(np.maximum(channels.surface_power(w, theta), 1.0))[:, None, None]


def value_and_gradient(channels: Channels, w: ComplexArray, theta: ComplexArray) -> tuple[Array, ComplexArray, ComplexArray]:
    """U - HINGE * shortfall (B,), U in powers of two, and its gradients by W (B, N, S) and theta (B, I, M), `mf`.

    U: sum_i log2(1 + gamma_i) (`log`), sum_i log2 gamma_i (`db`), log2 sum_i gamma_i (`sum`).
    """
    assert channels.sensing is not None and channels.bs_sensor is not None
    u, _ = best_filters(channels.echoes(theta), w)
    y = channels.bs_ris @ w  # (B, M, S)
    z = (herm(channels.sensing) @ u[..., None])[..., 0]  # (B, I, M)
    heard = (herm(channels.bs_sensor) @ u[..., None])[..., 0]  # (B, I, N)
    noise = channels.surface_noise[:, None, None]
    signal = (z.conj() * theta) @ y  # (B, I, S)
    leak = heard.conj() @ w
    strength, damped = abs2(signal).sum(-1), noise * abs2(z) * theta
    interference = abs2(leak).sum(-1) + (damped * theta.conj()).real.sum(-1) + 1.0
    gamma = np.maximum(strength / interference, FLOOR)
    if channels.form == "log":
        value, slope = np.log2(1.0 + gamma).sum(-1), 1.0 / (1.0 + gamma)
    elif channels.form == "db":
        value, slope = np.log2(gamma).sum(-1), 1.0 / gamma
    else:
        value, slope = np.log2(gamma.sum(-1)), 1.0 / gamma.sum(-1, keepdims=True) * np.ones_like(gamma)
    rise = 2.0 * slope / LN2 / interference
    fall = (rise * gamma)[..., None]
    pushed = rise[..., None] * signal  # (B, I, S)
    to_theta = z * (pushed @ herm(y)) - fall * damped
    to_y = np.swapaxes(z * theta.conj(), 1, 2) @ pushed
    to_w = -np.swapaxes(heard, 1, 2) @ (fall * leak)

    g, own = channels.ris_user, theta[:, channels.user_side]
    received = (g.conj() * own) @ y  # (B, K, S)
    users = np.arange(g.shape[1])
    power = abs2(received)
    mine = np.maximum(power[:, users, users], 1e-300)
    amplified = noise * abs2(g) * own
    rest = power.sum(-1) - power[:, users, users] + (amplified * own.conj()).real.sum(-1) + 1.0
    with np.errstate(divide="ignore"):
        short = np.log2(channels.threshold) + MARGIN - np.log2(mine / rest)
    active = np.where(short > 0, HINGE, 0.0)
    value = value - (active * np.maximum(short, 0.0)).sum(-1)
    weight = np.repeat((-active / rest)[..., None], received.shape[2], axis=2)
    weight[:, users, users] = active / mine
    pushed = 2.0 / LN2 * weight * received
    each = g * (pushed @ herm(y)) - (2.0 / LN2 * active / rest)[..., None] * amplified
    for k, side in enumerate(channels.user_side):
        to_theta[:, side] += each[:, k]
    to_y = to_y + np.swapaxes(g * own.conj(), 1, 2) @ pushed
    return value, to_w + herm(channels.bs_ris) @ to_y, np.where(channels.mask, to_theta, 0.0)


def pulled_back(
    channels: Channels, w: ComplexArray, theta: ComplexArray, at_w: ComplexArray, at_theta: ComplexArray
) -> tuple[ComplexArray, ComplexArray]:
    """Gradients by the raw w and theta from those at `projected(channels, w, theta)`."""
    size, level = np.sqrt(abs2(w).sum((1, 2)))[:, None, None], np.sqrt(abs2(theta).sum(1, keepdims=True))
    inner, capped = w / np.maximum(size, 1.0), theta / np.maximum(level, 1.0)
    power = channels.surface_power(inner, capped)
    over = power > 1.0
    root = np.where(over, power, 1.0)[:, None, None] ** -0.5
    pull = np.where(over, -0.5 * power**-1.5 * (at_theta.conj() * capped).real.sum((1, 2)), 0.0)[:, None, None]
    arrived = channels.bs_ris @ inner
    incident = abs2(arrived).sum(-1) + channels.surface_noise[:, None]
    at_theta = root * at_theta + 2.0 * pull * incident[:, None] * capped
    at_w = at_w + 2.0 * pull * (herm(channels.bs_ris) @ (abs2(capped).sum(1)[..., None] * arrived))
    along = (at_theta.conj() * theta).real.sum(1, keepdims=True)
    at_theta = np.where(level > 1.0, (at_theta - theta * along / np.maximum(level, 1.0) ** 2) / np.maximum(level, 1.0), at_theta)
    along = (at_w.conj() * w).real.sum((1, 2), keepdims=True)
    at_w = np.where(size > 1.0, (at_w - w * along / np.maximum(size, 1.0) ** 2) / np.maximum(size, 1.0), at_w)
    return at_w, at_theta


def ascend(
    channels: Channels, w: ComplexArray, theta: ComplexArray, steps: int, step_size: float
) -> tuple[ComplexArray, ComplexArray]:
    """The best iterate of each scene by the penalised value: beams (B, N, S), coefficients (B, I, M), within hard constraints."""
    raw = [w.copy(), theta.copy()]
    first = [np.zeros(x.shape, complex) for x in raw]
    second = [np.zeros((*x.shape, 2)) for x in raw]
    best, level = [w.copy(), theta.copy()], np.full(len(w), -np.inf)
    for t in range(steps + 1):
        now = projected(channels, *raw)
        value, *slopes = value_and_gradient(channels, *now)
        rows = np.flatnonzero(value > level)
        for kept, x in zip(best, now, strict=True):
            kept[rows] = x[rows]
        level[rows] = value[rows]
        if t == steps:
            break
        rate = step_size * 0.5 * (1.0 + np.cos(np.pi * t / steps))
        for j, slope in enumerate(pulled_back(channels, *raw, *slopes)):
            first[j] = 0.9 * first[j] + 0.1 * slope
            second[j] = 0.999 * second[j] + 0.001 * np.stack([slope.real**2, slope.imag**2], axis=-1)
            mean, root = first[j] / (1 - 0.9 ** (t + 1)), np.sqrt(second[j] / (1 - 0.999 ** (t + 1))) + 1e-12
            raw[j] = raw[j] + rate * (mean.real / root[..., 0] + 1j * mean.imag / root[..., 1])
    return best[0], best[1]


@dataclass(kw_only=True)
class JointAscent(Alternating):
    """Joint ascent from the start of `ao`, then a restoration of the rates and one transmit step.

    Attributes:
        steps: gradient evaluations; step_size: of the first one.
    """

    name: str = "ascent"
    steps: int = 1000
    step_size: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if int(self.steps) != self.steps or self.steps < 1:
            raise ValueError(f"steps must be an integer of at least 1, got {self.steps!r}")
        if not self.step_size > 0:
            raise ValueError(f"step_size must be positive, got {self.step_size!r}")

    surface = AlternatingOptimisation.surface  # type: ignore[assignment]

    def run(self, channels: Channels, w: ComplexArray, theta: ComplexArray) -> tuple[Point, Array]:
        """Ascend, then meet the rates."""
        point = self._ascended(channels, w, theta)
        return point, point.gamma[None]

    def _ascended(self, channels: Channels, w: ComplexArray, theta: ComplexArray) -> Point:
        if not w.shape[2]:
            return Point.at(channels, w, theta)
        if channels.kind == "mf":
            w, theta = ascend(channels, w, theta, int(self.steps), float(self.step_size))
        else:
            from baselines.multifunctional.conventional_joint import joint_ascent

            w, theta, _ = joint_ascent(channels, w, theta)
        w, theta = first_feasible(channels, w, theta, self.programs)
        point = Point.at(channels, w, theta)
        rows = np.flatnonzero(point.feasible)
        return point.put(rows, transmit_step(channels[rows], point[rows], self.programs)) if len(rows) else point


@dataclass(kw_only=True)
class AscentAfterAlternation(JointAscent):
    """`ao`, then a joint ascent from its design with a small step; the better of the two."""

    name: str = "ao+ascent"
    steps: int = 300
    step_size: float = 0.01

    def run(self, channels: Channels, w: ComplexArray, theta: ComplexArray) -> tuple[Point, Array]:
        """Alternate, then ascend."""
        point, gammas = self._alternate(channels, w, theta)
        better = point.improved(self._ascended(channels, point.w, point.theta))
        return better, np.concatenate([gammas, better.gamma[None]])


def gradient(**options: Any) -> Any:
    """Adam on the coefficients with beams that follow the rule, 16 steps as the horizon, step size 0.08.

    Chosen on 12 validation scenes (20.2 bit; `structured` 17.1, `full` 15.9; star likewise), flat from 0.04 to 0.16.
    """
    from baselines.generic import Gradient

    given: dict[str, Any] = {"control": "surface", "steps": 16, "step_size": 0.08}
    return Gradient(**(given | options))
