"""Units of work of the `beampattern` figures: pure functions of JSON-able arguments.

All curves of a panel meet the same scenes (the sampler does not depend on the threshold) and the same random numbers: a scene
has its own seed, drawn from a stream that depends on `seed` alone. So `ao` starts from the very surface of `separate`, curves
over the threshold are smooth, neither chunks nor their order matter, and more scenes only add to fewer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import baselines
from agents.figures.work import chunk_of
from agents.scenes import generator
from ris_gym import variables

__all__ = ["bound", "solve"]


def solve(
    system: Mapping[str, Any],
    policy: str,
    options: Mapping[str, Any],
    seed: int,
    first: int,
    stop: int,
    history: bool = False,
    endless: bool = False,
    grid: int = 0,
) -> dict[str, np.ndarray]:
    """Designs of one policy for scenes first..stop-1.

    Args:
        system: `to_dict` of the system; policy, options: of `baselines.make`; seed: of scenes and policies.
        history: also the gain after each round; endless: `ao` without its stopping rule, until its rounds are over.
        grid: also the beampattern at that many angles in -90..90 degrees.

    Returns:
        `objective` dBm (n,), `feasible` (n,), `margin` dB (n,) and, on demand, `history` (rounds + 1, n) dBm,
        `pattern` (n, grid) dBm; `scenes`: their hash.
    """
    model, scene, rng, digest = chunk_of(system, seed, first, stop)
    solver: Any = baselines.make(policy, model, **options)
    if policy == "random":  # it draws one number per variable instead
        rng = generator("policy", seed)
        rng.random((first, variables.length(model.variables())))
    if endless:
        solver.tolerance = -np.inf
    solution = solver.solve(model.known(scene), rng)
    metrics: Any = model.evaluate(scene, solution.design)
    out = {
        "scenes": digest,
        "objective": np.asarray(metrics.objective),
        "feasible": np.asarray(metrics.feasible),
        "margin": np.asarray(metrics.margins["sinr"]).min(axis=1),
    }
    if history:
        out["history"] = solution.history
    if grid:
        out["pattern"] = model.beampattern_dbm(scene, solution.design, np.linspace(-90.0, 90.0, grid))  # type: ignore[attr-defined]
    return out


def bound(system: Mapping[str, Any], seed: int, first: int, stop: int) -> dict[str, np.ndarray]:
    """The certified bound: `objective` dBm (n,), `feasible` (n,) False where certified infeasible; `scenes` as in `solve`."""
    model, scene, _, digest = chunk_of(system, seed, first, stop)
    found = baselines.bound(model, scene)
    return {"scenes": digest, "objective": np.asarray(found.value), "feasible": np.asarray(found.status != "infeasible")}
