"""From raw actions to designs, and the exact projections (model page, section 3). Array-API generic, differentiable in torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ris_gym import variables as var
from ris_gym.arrays import Array, abs2, at_least, cis, constant, energy, namespace
from ris_gym.surfaces import cap_amplitude, one_side, quantise_phase, share_cap, unit_modulus
from ris_gym.systems.multifunctional import beams as rules
from ris_gym.systems.multifunctional import physics
from ris_gym.systems.multifunctional.records import (
    MultiFunctionalDesign,
    MultiFunctionalMetrics,
    MultiFunctionalScene,
)

if TYPE_CHECKING:
    from ris_gym.systems.multifunctional.system import MultiFunctional

LEAST_TIME = 0.05


# -- the surface ----------------------------------------------------------------------------------------------------------------


def coefficients(system: MultiFunctional, xp: Any, raw: dict[str, Array]) -> Array:
    """`theta` (B, 2, M) of the raw numbers of the surface's variables by name."""
    m = system.num_elements
    phase = math.pi * raw["phase"]
    turn = cis(xp, quantise_phase(phase, system.phase_levels))
    if system.split_phases:
        turn = xp.reshape(turn, (turn.shape[0], 2, m))
    amplitude = math.sqrt(system.max_gain)
    if "amplitude" in raw:
        amplitude = (0.5 * amplitude) * (raw["amplitude"] + 1.0)
    if system.time_switching:
        return turn * xp.reshape(amplitude, turn.shape)
    if "split" in raw:
        psi = (0.25 * math.pi) * (raw["split"] + 1.0)
        return turn * xp.stack([amplitude * xp.cos(psi), amplitude * xp.sin(psi)], axis=1)
    one = amplitude * turn
    if "mode" in raw:
        x = raw["mode"]
        first = xp.astype(x >= 0.0, x.dtype)
        if hasattr(x, "detach"):  # straight-through: d first / d x = 1 / 2
            first = first + 0.5 * (x - x.detach())
        return xp.stack([first * one, (1.0 - first) * one], axis=1)
    return one[:, None, :] * constant(xp, system.mask, phase)


def raw_by_name(system: MultiFunctional, raw: Array, control: str) -> dict[str, Array]:
    """The raw numbers of each variable, (B, size)."""
    return {name: raw[:, where] for name, where in var.slices(system.variables(control)).items()}


def time_of(raw: dict[str, Array]) -> Array | None:
    """`lambda_r = 0.5 + 0.45 x`, (B,); None without time switching."""
    return 0.5 + 0.45 * raw["time_fraction"][:, 0] if "time_fraction" in raw else None


# -- projections ----------------------------------------------------------------------------------------------------------------


def discrete(system: MultiFunctional, theta: Array) -> Array:
    """Step (0): every phase rounded to the alphabet of `phase_bits`."""
    if system.phase_levels is None:
        return theta
    xp = namespace(theta)
    angle = quantise_phase(xp.atan2(xp.imag(theta), xp.real(theta)), system.phase_levels)
    return xp.sqrt(abs2(xp, theta)) * cis(xp, angle)


def clipped(system: MultiFunctional, theta: Array) -> Array:
    """Steps (1) and (3): mask, and caps (star, passive: equalities) of coefficients (B, 2, M)."""
    xp = namespace(theta)
    cap = system.max_gain
    if system.mode_switching:
        theta = one_side(theta)
    elif system.kind in ("active", "passive"):
        theta = theta * constant(xp, system.mask, xp.real(theta))
    if system.kind == "passive":
        return unit_modulus(theta) * constant(xp, system.mask, xp.real(theta))
    if system.time_switching or system.kind == "active":
        return cap_amplitude(theta, math.sqrt(cap))
    return share_cap(theta, cap, equality=system.kind == "star")


def served(system: MultiFunctional, w: Array) -> Array:
    """Time switching: the columns of users of the other side set to 0."""
    if not system.time_switching:
        return w
    xp = namespace(w)
    users = w[..., : system.users] * constant(xp, system.served_columns, xp.real(w))
    return xp.concat([users, w[..., system.users :]], axis=-1)


def within_power(system: MultiFunctional, w: Array) -> Array:
    """Step (2): `W min(1, sqrt(P_BS) / ||W||)`, per slot."""
    xp = namespace(w)
    largest = xp.max(xp.maximum(xp.abs(xp.real(w)), xp.abs(xp.imag(w))), axis=(-2, -1), keepdims=True)
    w = w / at_least(xp, largest / (1e6 * math.sqrt(system.power_w)), 1.0)  # far above the budget: nothing overflows
    spent = energy(xp, physics.flat(xp, system, w))
    over = at_least(xp, spent / system.power_w, 1.0)
    return w / xp.sqrt(over)[..., None, None]


def within_surface(system: MultiFunctional, theta: Array, load: Array) -> Array:
    """Step (4): all coefficients (time switching: of a slot) scaled by `sqrt(P_MF / P_surf)` where that is below 1."""
    if not system.amplifies:
        return theta
    xp = namespace(theta)
    radiated = physics.surface_power(system, xp, abs2(xp, theta), load)
    over = at_least(xp, radiated / system.surface_power_w, 1.0)
    factor = 1.0 / xp.sqrt(over)
    return theta * (factor[:, :, None] if system.time_switching else factor[:, None, None])


def project(system: MultiFunctional, scene: MultiFunctionalScene, design: MultiFunctionalDesign) -> MultiFunctionalDesign:
    """Steps (0) to (4): nearest alphabet, mask, BS power, caps, surface power."""
    xp = namespace(design.beams, design.coefficients)
    theta = clipped(system, discrete(system, bounded(system, design.coefficients)))
    w = within_power(system, served(system, design.all_beams))
    through = physics.incoming(system, scene, w)
    theta = within_surface(system, theta, energy(xp, through))
    return assembled(system, xp, w, theta, design.time_fraction)


def bounded(system: MultiFunctional, theta: Array) -> Array:
    """Coefficients with moduli above 1e6 of the cap shrunk to about that, keeping ratios of a pair, so that nothing overflows."""
    xp = namespace(theta)
    largest = xp.max(xp.maximum(xp.abs(xp.real(theta)), xp.abs(xp.imag(theta))), axis=1, keepdims=True)
    return theta / at_least(xp, largest / (1e6 * math.sqrt(system.max_gain)), 1.0)


def assembled(
    system: MultiFunctional, xp: Any, w: Array, theta: Array, time: Array | None
) -> MultiFunctionalDesign:
    """The design of beams (all columns), coefficients, and what the protocol adds."""
    mode = None
    if system.mode_switching:
        power = abs2(xp, theta)
        mode = xp.astype(power[:, 1] > power[:, 0], xp.int64)
    if system.time_switching:
        time = 0.5 + 0.0 * xp.real(theta[:, 0, 0]) if time is None else xp.clip(time, LEAST_TIME, 1.0 - LEAST_TIME)
    return MultiFunctionalDesign(
        beams=w[..., : system.users],
        sensing_beams=w[..., system.users :],
        coefficients=theta,
        time_fraction=time if system.time_switching else None,
        mode=mode,
    )


# -- decode ---------------------------------------------------------------------------------------------------------------------


@dataclass
class Realised:
    """A design with what was computed on the way.

    `raw_norm` (B,) or (B, 2): norm of the raw beams (full); `theta` (B, 2, M): coefficients before step (4); `through`: `H W`,
    and its energies `load`.
    """

    design: MultiFunctionalDesign
    theta: Array
    through: Array
    load: Array
    raw_norm: Array | None = None

    def paths(self, system: MultiFunctional, scene: MultiFunctionalScene) -> physics.Paths:
        """Products of the design."""
        xp = namespace(self.theta)
        return physics.paths(system, xp, scene, self.design, self.through, self.load)

    def evaluate(self, system: MultiFunctional, scene: MultiFunctionalScene) -> MultiFunctionalMetrics:
        """Metrics, without computing the shared products again."""
        xp = namespace(self.theta)
        return physics.evaluate(system, xp, scene, self.design, self.paths(system, scene))


def realised(system: MultiFunctional, known: MultiFunctionalScene, raw: Array, control: str) -> Realised:
    """The design of a raw action (B, n)."""
    xp = namespace(raw, known.bs_ris)
    values = raw_by_name(system, raw, control)
    theta = coefficients(system, xp, values)
    time = time_of(values)
    norm = None
    if control == "full":
        w, norm = raw_beams(system, xp, raw)
    elif control == "structured":
        w = rules.structured(system, xp, known, theta, values)
    else:
        w = rules.rule(system, xp, known, theta, time)
    through = physics.incoming(system, known, w)
    load = energy(xp, through)
    kept = within_surface(system, theta, load)
    return Realised(assembled(system, xp, w, kept, time), theta, through, load, norm)


def raw_beams(system: MultiFunctional, xp: Any, raw: Array) -> tuple[Array, Array]:
    """`sqrt(P_BS) W_raw / max(1, ||W_raw||)` of a raw action of `full`, and the norm, per slot."""
    k, s, n = system.users, system.num_sensing_beams, system.num_antennas
    slots = (2,) if system.time_switching else ()
    if xp is np:
        w = np.empty((len(raw), *slots, n, k + s), np.result_type(raw.dtype, np.complex64))
        first = 0
        for columns in (slice(0, k), slice(k, k + s)):
            size = math.prod((*slots, n, columns.stop - columns.start))
            for part in (w.real, w.imag):
                part[..., columns] = raw[:, first : first + size].reshape(len(raw), *slots, n, -1)
                first += size
    else:
        values = raw_by_name(system, raw, "full")
        variables = {v.name: v for v in system.variables("full")}
        w = xp.concat([variables[name].value(values[name]) for name in ("beams", "sensing_beams")], axis=-1)
    w = served(system, w)
    squared = energy(xp, physics.flat(xp, system, w))
    norm = xp.sqrt(at_least(xp, squared, 1e-30))
    return w * (math.sqrt(system.power_w) / at_least(xp, norm, 1.0))[..., None, None], norm
