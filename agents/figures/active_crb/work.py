"""Units of work of the `active_crb` figures: pure functions of JSON-able arguments.

All points and curves of a panel meet the same channels, which the sampler draws from positions and path loss alone; what depends
on budgets and caps (the constants of a scene) is computed for each system. A scene has its own seed for the policies too, so
`transmit_only` has the same phases at every x, `ao` and `direct` begin at them, and neither chunks nor their order matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import baselines
from agents.figures.work import chunk_of

__all__ = ["bound", "solve"]


def solve(
    system: Mapping[str, Any], policy: str, options: Mapping[str, Any], seed: int, first: int, stop: int
) -> dict[str, np.ndarray]:
    """Designs of one policy for scenes first..stop-1.

    Args:
        system: `to_dict` of the system; policy, options: of `baselines.make`; seed: of scenes and policies.

    Returns:
        `nmse` (n,) bound of the normalised error in dB, `feasible` (n,), `level` (n,) amplitude over the cap, mean of the dB;
        `scenes`: their hash.
    """
    model, scene, rng, digest = chunk_of(system, seed, first, stop)
    solver: Any = baselines.make(policy, model, **options)
    design = solver.solve(model.known(scene), rng).design
    metrics: Any = model.evaluate(scene, design)
    share = np.abs(design.coefficients) / scene.reference["cap"][:, None]
    return {
        "scenes": digest,
        "nmse": np.asarray(metrics.nmse_bound_db),
        "feasible": np.asarray(metrics.feasible),
        "level": 20.0 * np.log10(share).mean(axis=1),
    }


def bound(system: Mapping[str, Any], seed: int, first: int, stop: int) -> dict[str, np.ndarray]:
    """The certified bound: `nmse` dB (n,), `feasible` (n,) False where certified infeasible; `scenes` as in `solve`."""
    model, scene, _, digest = chunk_of(system, seed, first, stop)
    found = baselines.bound(model, scene)
    return {
        "scenes": digest,
        "nmse": np.asarray(found.value) - scene.reference["response_db"],
        "feasible": np.asarray(found.status != "infeasible"),
    }
