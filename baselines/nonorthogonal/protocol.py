"""Judgement of designs by protocols with pilots, whose symbols differ from the scene's (model page, sections 4.3 and 7)."""

from __future__ import annotations

from typing import Any

import numpy as np

from baselines.nonorthogonal.common import Blocks
from baselines.tools.linalg import Array, ComplexArray
from ris_gym.systems.nonorthogonal import physics


def pilot_blocks(system: Any, known: Any, pilots: int) -> Blocks:
    """Rows of scenes in which x = 1 is sent in `pilots` slots and known: E = X_2 = pilots."""
    blocks = Blocks.of(known)
    shape = blocks.reference["level"].shape
    return blocks.put_in(energy=np.full(shape, float(pilots)), square=np.full(shape, pilots + 0j)).replace(symbols=None)


def pilot_angle(system: Any, scene: Any, coefficients: ComplexArray, pilots: int) -> Array:
    """CRLB_angle (B, n) of known pilots, rad^2: Lambda of section 4.3 with E = pilots, beams (41)."""
    blocks = pilot_blocks(system, scene, pilots)
    flat = coefficients.reshape(-1, 1, coefficients.shape[-1])
    found = system.values(blocks, blocks.moments(flat), "known")
    return np.asarray(found.crlb_angle).reshape(coefficients.shape[:2])


def data_symbols(system: Any, scene: Any, coefficients: ComplexArray, slots: int) -> tuple[Array, Array]:
    """Bound of a data symbol at known angles, and the mutual information of a block with `slots` data slots, each (B, n).

    `CRLB = n_f / (a_C M |g_1|^2)` and `I = slots / T n_c log2(sigma_x^2 / CRLB)`, n_f = 2 and n_c = 1 where the system judges by
    `complex`, else n_f = 1 and n_c = 1/2 (section 4.3).
    """
    moment = physics.moments(np, scene, coefficients)
    bound = np.asarray(system.values(scene, moment, "known").crlb_symbol)
    share = 0.5
    if system.fisher == "complex":
        bound, share = 2.0 * bound, 1.0
    bits = np.clip(share * np.log2(system.symbol_variance / bound), *physics.INFORMATION_RANGE)
    return bound, slots / system.num_slots * bits


def design_of(answer: Any) -> Any:
    """The design of a `Solution`, or the design itself."""
    return getattr(answer, "design", answer)
