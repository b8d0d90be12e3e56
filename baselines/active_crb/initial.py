"""First surface of the algorithms for ISAC: random phases, and where they are infeasible a search for feasible ones.

`alternating` (the paper's): max-min SINR beams, scaled to the surface budget, alternated with max-min phases. `joint` (ours):
L-BFGS on phi -> log of the demand of `maxmin.demand`, which is below 1 exactly where the transmit step is feasible; gradient by
the envelope theorem, x_k the beams and q_k the multipliers of the demand:

    d demand = (1 - tau) d tr(S X X^H) / P_1 + sum_k q_k d( sum_{i != k} |c_k x_i|^2 - |c_k x_k|^2 / gamma_k ),  c_k per sqrt(n_k)

Source: arXiv 2508.00379, initialisation of the alternation; model page, section 7.2 (`joint`: ours).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baselines.active_crb.maxmin import Demand, demand, max_min_beams, scale_to_surface
from baselines.active_crb.phases import COLD, echo_form, phase_program, raise_ratio
from baselines.active_crb.units import Channels
from baselines.tools.lbfgs import minimise
from baselines.tools.linalg import Array, ComplexArray, herm

METHODS = ("joint", "alternating")
TARGET = 0.9
"""Demand at which the search stops: a tenth of the budgets is left for the target."""
Transmit = Callable[[ComplexArray, NDArray[np.int64]], tuple[Any, ...]]
"""Transmit step at surfaces v (b, N) of the scenes `rows` (b,): (feasible (b,), anything else)."""


@dataclass(frozen=True, kw_only=True)
class Start:
    """Result of `first_surface`.

    Attributes:
        v: (B, N) surfaces; the first draw where none was found.
        feasible: (B,) whether the transmit step is feasible there.
        tried: (B,) number of transmit steps.
    """

    v: ComplexArray
    feasible: NDArray[np.bool_]
    tried: NDArray[np.int64]


def demand_at(channels: Channels, v: ComplexArray, start: Array | None = None) -> Demand:
    """Demand of the transmit step at surfaces v (B, N): below 1 if and only if (SDR5.1) is feasible there.

    Args:
        channels: scenes, with a threshold.
        v: (B, N).
        start: (B,) guess of tau.

    Returns:
        A `Demand`; `beams` are in the coordinates of `channels.basis`.
    """
    a = np.abs(v)
    seen = channels.left * channels.singular[:, None, :]  # G V
    rows = (channels.ris_user.conj() * v[:, None, :]) @ seen / np.sqrt(channels.noise(a))[..., None]
    surface, budget = None, None
    if channels.surface_power is not None:
        turned = v[:, :, None] * seen
        surface = herm(turned) @ channels.surface_cost(a) @ turned
        budget = channels.surface_power - channels.surface_noise(a)
    assert channels.threshold is not None
    return demand(rows, surface, channels.threshold, channels.power, budget, start=start)


@dataclass(kw_only=True)
class _LogDemand:
    """log demand over the phases (b, N) and its gradient; flat where the demand is below `target`."""

    channels: Channels
    amplitude: Array
    target: float
    tau: Array = field(init=False)

    def __post_init__(self) -> None:
        self.tau = np.ones(len(self.channels))

    def __call__(self, x: Array, rows: NDArray[np.int64]) -> tuple[Array, Array]:
        part = self.channels if len(rows) == len(self.channels) else self.channels[rows]
        a = self.amplitude[rows]
        u = np.exp(1j * x)
        found = demand_at(part, a * u, self.tau[rows])
        self.tau[rows] = found.tau
        value = np.maximum(found.value, 1e-300)
        gradient = demand_slope(part, a, u, found) / value[:, None]
        gradient[found.value <= self.target] = 0.0
        return np.log(value), gradient


def demand_slope(channels: Channels, amplitude: Array, u: ComplexArray, found: Demand) -> Array:
    """Derivative of the demand with respect to the phases, (B, N), at v = amplitude o u."""
    users = (channels.left * channels.singular[:, None, :]) @ found.beams
    paths = channels.ris_user.conj() * amplitude[:, None, :] / np.sqrt(channels.noise(amplitude))[..., None]
    received = (paths * u[:, None, :]) @ users  # (B, K, K)
    weight = np.repeat(found.uplink[:, :, None], received.shape[2], axis=2)
    index = np.arange(weight.shape[1])
    weight[:, index, index] *= -1.0 / np.asarray(channels.threshold)
    # d |u^T s|^2 / d phi = 2 Im(u* o s* (u^T s)), s_ki = path_k o user_i
    slope = np.einsum("bkn,bnk->bn", paths.conj(), users.conj() @ np.swapaxes(weight * received, 1, 2))
    if channels.surface_power is not None:
        form = echo_form(channels.target_response, amplitude, users @ herm(users))
        budget = channels.surface_power - channels.surface_noise(amplitude)
        share = (1.0 - found.tau) / np.where(budget > 0, budget, 1.0)
        slope = slope + share[:, None] * (form @ u[..., None])[..., 0]
    out = 2.0 * (u.conj() * slope).imag
    return np.where(np.isfinite(out), out, 0.0)


def lower_demand(
    channels: Channels, v: ComplexArray, *, target: float = TARGET, iterations: int = 60
) -> tuple[ComplexArray, Array]:
    """Phases of smaller demand by L-BFGS; amplitudes stay.

    Args:
        channels: scenes, with a threshold.
        v: (B, N) start.
        target: demand at which a scene stops (0: at the minimum).
        iterations: L-BFGS steps.

    Returns:
        Surfaces (B, N) and their demand (B,), not above that of v.
    """
    a = np.abs(v)
    objective = _LogDemand(channels=channels, amplitude=a, target=target)
    x, value = minimise(objective, np.angle(v), iterations=iterations, gradient_tolerance=1e-4)
    return a * np.exp(1j * x), np.exp(value)


def max_min_round(channels: Channels, v: ComplexArray) -> ComplexArray:
    """One round of the paper's alternation: max-min beams at v, scaled to the surface budget, then max-min phases (B, N)."""
    a = np.abs(v)
    u = v / a
    noise = channels.noise(a)
    seen = channels.left * channels.singular[:, None, :]
    assert channels.threshold is not None
    rows = (channels.ris_user.conj() * v[:, None, :]) @ seen / np.sqrt(noise)[..., None]
    beams, _ = max_min_beams(rows, channels.threshold, channels.power)
    echo, slack = None, None
    if channels.surface_power is not None:
        turned = v[:, :, None] * seen
        budget = channels.surface_power - channels.surface_noise(a)
        beams = scale_to_surface(beams, herm(turned) @ channels.surface_cost(a) @ turned, budget)
    users = seen @ beams
    incident = users @ herm(users)
    if channels.surface_power is not None:
        echo = echo_form(channels.target_response, a, incident)
        slack = budget - (a**2 * np.einsum("bnn->bn", incident).real).sum(1)
    program = phase_program(channels.ris_user, a, users, incident, channels.threshold, noise, echo, slack)
    return a * raise_ratio(program, u, sharpness=COLD)[0]


def first_surface(
    channels: Channels,
    transmit: Transmit,
    generators: list[np.random.Generator],
    *,
    method: str = "joint",
    rounds: int = 6,
    restarts: int = 5,
    v: ComplexArray | None = None,
) -> Start:
    """A surface at the cap at which the transmit step is feasible.

    Random phases; where they are infeasible the search `method`, from up to `restarts` random phases in all (the first draw
    included). `joint` makes one transmit step per restart, `alternating` one per round.

    Args:
        channels: scenes, with a threshold.
        transmit: the transmit step.
        generators: one per scene.
        method: `joint` or `alternating`.
        rounds: rounds of the alternation per restart.
        restarts: starts per scene.
        v: (B, N) first surfaces in place of random phases at the cap.

    Returns:
        A `Start`.

    Raises:
        ValueError: `method` is unknown.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}, got {method!r}")
    count, n = channels.left.shape[:2]
    cap = channels.cap[:, None]
    if v is None:
        v = np.asarray(cap * np.exp(2j * np.pi * np.stack([g.random(n) for g in generators])), dtype=complex)
    v = v.copy()
    feasible: NDArray[np.bool_] = np.array(transmit(v, np.arange(count))[0], dtype=np.bool_)
    tried = np.ones(count, np.int64)
    for restart in range(restarts):
        rows = np.flatnonzero(~feasible)
        if not len(rows):
            break
        point = v[rows]
        if restart:
            turns = np.stack([generators[i].random(n) for i in rows])
            point = np.asarray(cap[rows] * np.exp(2j * np.pi * turns), dtype=complex)
        for _ in range(rounds if method == "alternating" else 1):
            part = channels[rows]
            if method == "joint":
                point, need = lower_demand(part, point)
                hopeful = need < 1.0
            else:
                point = max_min_round(part, point)
                hopeful = np.ones(len(rows), np.bool_)
            test = rows[hopeful]
            if len(test):
                good = np.array(transmit(point[hopeful], test)[0], dtype=np.bool_)
                tried[test] += 1
                v[test[good]], feasible[test[good]] = point[hopeful][good], True
            remain = ~feasible[rows]
            rows, point = rows[remain], point[remain]
            if not len(rows):
                break
    return Start(v=v, feasible=feasible, tried=tried)
