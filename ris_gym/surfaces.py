"""What a surface may do: coefficient sets and the exact projections onto them. Array-API generic, batch axes first."""

from __future__ import annotations

import math

from ris_gym.arrays import Array, abs2, cis, namespace


def unit_modulus(coefficients: Array) -> Array:
    """Nearest passive coefficients: `v = c / |c|` (0 becomes 1). Entries already of unit modulus are kept as they are."""
    xp = namespace(coefficients)
    # scaled by the larger part first, because |c|^2 under- or overflows for extreme c (what is subnormal counts as 0)
    largest = xp.maximum(xp.abs(xp.real(coefficients)), xp.abs(xp.imag(coefficients)))
    zero = largest < xp.finfo(largest.dtype).smallest_normal
    one = xp.ones_like(largest)
    largest = xp.where(zero, one, largest)
    safe = xp.where(zero, xp.ones_like(coefficients), coefficients)
    near = (largest <= 1) & (largest >= 0.5)
    near = near & (xp.abs(abs2(xp, xp.where(near, safe, xp.ones_like(safe))) - 1) <= 1e-15)
    scaled = safe / xp.where(near, one, largest)
    return scaled / xp.where(near, one, xp.sqrt(abs2(xp, scaled)))


def quantise_phase(phase: Array, levels: int | None) -> Array:
    """Nearest phase (radians) of the alphabet `2 pi i / levels` (half-way: up, as in `Variable.index`); None leaves it.

    In torch the derivative is that of the identity (straight-through).
    """
    if levels is None:
        return phase
    xp = namespace(phase)
    step = 2.0 * math.pi / levels
    rounded = step * xp.floor(phase / step + 0.5)
    return phase + (rounded - phase).detach() if hasattr(phase, "detach") else rounded


def discrete_phase(coefficients: Array, levels: int | None) -> Array:
    """Nearest coefficients with unit modulus and, with `levels`, a phase of the alphabet `2 pi i / levels`."""
    xp = namespace(coefficients)
    unit = unit_modulus(coefficients)
    if levels is None:
        return unit
    return cis(xp, quantise_phase(xp.atan2(xp.imag(unit), xp.real(unit)), levels))


def cap_amplitude(coefficients: Array, cap: Array | float, floor: Array | float = 0.0) -> Array:
    """Active elements: moduli clipped to [floor, cap], phases kept (phase of a zero coefficient: 0)."""
    xp = namespace(coefficients)
    power = abs2(xp, coefficients)
    modulus = xp.where(power > 0, xp.sqrt(xp.where(power > 0, power, xp.ones_like(power))), power)
    wanted = xp.clip(modulus, floor, cap)
    return xp.where(wanted == modulus, coefficients, wanted * unit_modulus(coefficients))


def share_cap(coefficients: Array, cap: float, equality: bool = False) -> Array:
    """Reflecting and refracting coefficients (..., 2, M): scale each element's pair to `sum_i |theta_i|^2 <= cap` (or = cap).

    Used by energy splitting (cap beta_max) and, with `equality` and cap 1, by simultaneously transmitting and reflecting
    surfaces, where an element with both coefficients 0 gets `sqrt(cap / 2)` twice.
    """
    xp = namespace(coefficients)
    total = xp.sum(abs2(xp, coefficients), axis=-2, keepdims=True)
    if equality:
        zero = total == 0
        coefficients = xp.where(zero, math.sqrt(0.5 * cap) * xp.ones_like(coefficients), coefficients)
        total = xp.where(zero, cap * xp.ones_like(total), total)
        factor = xp.sqrt(cap / total)
    else:
        factor = xp.sqrt(cap / xp.maximum(total, cap * xp.ones_like(total)))
    return coefficients * factor


def one_side(coefficients: Array) -> Array:
    """Mode switching of (..., 2, M): per element keep the row of larger modulus (the first if equal), zero the other."""
    xp = namespace(coefficients)
    power = abs2(xp, coefficients)
    first = power[..., 0:1, :] >= power[..., 1:2, :]
    keep = xp.concat([first, ~first], axis=-2)
    return xp.where(keep, coefficients, xp.zeros_like(coefficients))
