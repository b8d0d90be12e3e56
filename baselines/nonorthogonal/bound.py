"""Certified bound of the objective of `nonorthogonal` over all designs, on the truth (directions and realised symbols).

Methods, per block; the objective is the mean over blocks, and over the frames of a moving user, whose path no design changes:

* `closed`: both terms of V on their own, |g_1| and |g_2| at their exact maxima (`block_forms.separate`); any size and model.
* `cells`: where r does not matter (`two_user`, or the Fisher matrix `complex`): both gains together (`cells`).
* `sdp`: the semidefinite relaxation with PSK cuts, certified (`lifted`).

Constrained form: I <= n_c log2(sigma_x^2 / q), n_c = 1 (`complex`) or 1/2, with a bound q of CRLB_x: the closed form, and in
static scenes also `lg q >= (V* - (1 - zeta) lg Gamma_0) / zeta`, V* the bound of the weighted form, at several zeta.

Source: ours; model page, section 8 (system of arXiv 2208.05324).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from baselines.nonorthogonal.block_forms import SINGLE, SLACK, BlockForms, separate
from baselines.nonorthogonal.cells import largest_product
from baselines.nonorthogonal.lifted import raise_bound
from baselines.policy import Bound
from baselines.tools.linalg import Array
from ris_gym.systems.base import FEASIBLE_MARGIN
from ris_gym.systems.nonorthogonal.physics import INFORMATION_RANGE

METHODS = ("cells", "sdp", "closed")
LARGEST = 64
"""Elements up to which the default takes `sdp`."""
MOVING_TOLERANCE = 1e-3
"""Of `cells` in a path (natural log)."""
MULTIPLIERS = (0.3, 0.5, 0.65, 0.8, 0.9, 0.97)
"""zeta of the constrained form."""


def joint_bound(system: Any, scene: Any, method: str | None = None) -> Bound:
    """Lower bound of V (lg), or upper bound of the mutual information (bit/symbol), per scene.

    Args:
        method: one of `METHODS`, each joined with `closed`; None: `cells` where it applies, else `sdp` for static scenes of at
            most `LARGEST` elements, else `closed`.

    Raises:
        ValueError: unknown method, or `cells` where r matters.
    """
    coupled = not (system.two_user or system.fisher == "complex")
    if method is not None and method not in METHODS:
        raise ValueError(f"method must be one of {METHODS} or None, got {method!r}")
    if method == "cells" and coupled:
        raise ValueError(f"method 'cells' needs model 'two_user' or fisher 'complex', got {system.model!r}, {system.fisher!r}")
    if method is None:
        small = scene.frame is None and system.num_elements <= LARGEST
        method = "closed" if coupled and not small else "sdp" if coupled else "cells"
    if scene.frame is None:
        value = block_bounds(system, scene, method, moving=False)
    else:
        path = walk(system, scene)
        value = np.mean([block_bounds(system, frame, method, moving=True) for frame in path], axis=0)
    slack = SINGLE if np.asarray(scene.incident).dtype == np.complex64 else SLACK
    value = value.mean(axis=1) + system.sense * slack * np.maximum(1.0, np.abs(value).max(axis=1, initial=0.0))
    good = np.isfinite(value)
    return Bound(value=np.where(good, value, system.sense * np.inf), status=np.where(good, "certified", "unknown"))


def walk(system: Any, scene: Any) -> list[Any]:
    """The true scenes of all frames from `scene` on: the same for every design."""
    plain = dataclasses.replace(system, measurement="gaussian")
    frames = [scene]
    for _ in range(system.frames(scene) - 1):
        last = frames[-1]
        frames.append(plain.advance(last, plain.decode(last, plain.start(last)), np.random.default_rng(0), 0.0, 0.0))
    return frames


def block_bounds(system: Any, scene: Any, method: str, moving: bool) -> Array:
    """Bounds (B, n) per block of one decision."""
    blocks = BlockForms.of(system, scene)
    shape = np.shape(scene.reference["energy"])
    symbol, angle = separate(blocks)
    if system.objective_form == "weighted":
        return weighted(blocks, symbol, angle, method, moving).reshape(shape)
    least = blocks.symbol_lg + symbol / np.log(10.0)
    if not moving and method != "closed":
        limit = np.log10(np.asarray(scene.reference["angle_limit"], float).reshape(-1)) - 0.1 * FEASIBLE_MARGIN
        for zeta in MULTIPLIERS:
            found = weighted(blocks.weighted(zeta), symbol, angle, method, moving)
            least = np.maximum(least, (found - (1.0 - zeta) * limit) / zeta)
    share = 1.0 if system.fisher == "complex" else 0.5
    bits = share * (np.log2(system.symbol_variance) - least / np.log10(2.0))
    return np.clip(bits, *INFORMATION_RANGE).reshape(shape)


def weighted(blocks: BlockForms, symbol: Array, angle: Array, method: str, moving: bool) -> Array:
    """Lower bounds of V (N,), lg; `symbol`, `angle`: the closed form's."""
    value = blocks.value(symbol, angle)
    inside = (blocks.weight > 0.0) & (blocks.weight < 1.0)  # else the closed form is exact, or all there is
    if method == "sdp" and np.any(blocks.weight < 1.0):
        try:
            value = np.fmax(value, raise_bound(blocks))
        except np.linalg.LinAlgError:
            pass
    if method == "cells" and inside.all() and not np.array_equal(blocks.comm, blocks.sense):
        largest, _ = largest_product(blocks, MOVING_TOLERANCE if moving else 1e-5)
        # tr J^-1 = tr (D^T A D)^-1 / |g_2|^2
        inner = blocks.jacobian.mT @ (blocks.spread[:, None] * blocks.jacobian)
        alone = np.log(np.trace(np.linalg.inv(inner), axis1=1, axis2=2))
        value = np.fmax(value, blocks.value(np.zeros_like(alone), alone) - 2.0 * largest / np.log(10.0))
    return value
