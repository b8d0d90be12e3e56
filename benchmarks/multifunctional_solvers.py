"""Alternating optimisation of `multifunctional`: our form of the convex programs beside cvxpy's, in one run.

    python benchmarks/multifunctional_solvers.py --scenes 8 --batch 64 --json FILE

For every surface: CPU seconds per scene of one thread (problems compiled beforehand) of the fast form, in a batch and one scene
at a time, and of cvxpy; objectives and gaps to the bound (8.1, `mf`) on the scenes that all forms solved; smallest step of any
history; then stronger variants of our own, and fewer sensors than antennas. Same scenes and starts for all forms.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402 - after the number of threads

SURFACES: dict[str, dict[str, Any]] = {
    "mf es": {},
    "mf ms": {"protocol": "ms"},
    "mf ts": {"protocol": "ts"},
    "active": {"kind": "active"},
    "star": {"kind": "star"},
    "passive": {"kind": "passive"},
}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "ao": ("ao", {}),
    "ao, extrapolated": ("ao", {"extrapolation": 2.0}),
    "ao, 3 starts": ("ao", {"starts": 3}),
    "ascent, 300 steps": ("ascent", {"steps": 300}),
    "ascent, 1000 steps": ("ascent", {"steps": 1000}),
    "ao+ascent": ("ao+ascent", {}),
    "random": ("random", {}),
    "gradient": ("gradient", {}),
}


def main() -> None:
    """Run the benchmark, print the rows, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=8, help="scenes of cvxpy and of the fast form one at a time")
    parser.add_argument("--batch", type=int, default=64, help="scenes of the fast form in a batch")
    parser.add_argument("--surfaces", nargs="*", choices=SURFACES, default=list(SURFACES))
    parser.add_argument("--seed", type=int, default=2025)
    parser.add_argument("--json", type=Path, default=None, help="file for the results")
    arguments = parser.parse_args()
    if not 1 <= arguments.scenes <= arguments.batch:
        parser.error(f"--scenes must be from 1 to --batch, got {arguments.scenes}")
    from agents.artefact import versions
    from agents.files import write_json

    forms = [compare(name, arguments.scenes, arguments.batch, arguments.seed) for name in arguments.surfaces]
    variants = []
    for sensors in (6, 3, 2, 1):
        variants += [variant(label, sensors, arguments.batch, arguments.seed) for label in VARIANTS]
    if arguments.json:
        setting = {key: getattr(arguments, key) for key in ("scenes", "batch", "seed")}
        content = {"setting": setting, "forms": forms, "variants": variants, "threads": 1, "clock": "CPU seconds"}
        print(write_json(arguments.json, content | {"versions": versions()}))


def timed(policy: Any, known: Any, seed: int) -> tuple[Any, float]:
    """The solution, and CPU seconds per scene."""
    began = time.process_time()
    solution = policy.solve(known, np.random.default_rng(seed))
    return solution, (time.process_time() - began) / len(known)


def prepared(seed: int, batch: int, **fields: Any) -> tuple[Any, Any, np.ndarray]:
    """System, what is known of its scenes, and the bound."""
    import baselines
    import ris_gym

    system = ris_gym.systems.make("multifunctional", **fields)
    scene = system.sample(np.random.default_rng(seed), batch)
    return system, system.known(scene), np.asarray(baselines.bound(system, scene).value)


def compare(name: str, scenes: int, batch: int, seed: int) -> dict[str, Any]:
    """One surface: fast form and cvxpy."""
    import baselines

    system, known, bound = prepared(seed, batch, **SURFACES[name])
    few = known[:scenes]
    fast, slow = baselines.make("ao", system), baselines.make("ao", system, solver="cvxpy")
    for policy in (fast, slow):
        policy.solve(known[:1], np.random.default_rng(0))
    a, single = timed(fast, few[:1], seed)
    single = float(np.mean([single, *(timed(fast, few[i], seed + i)[1] for i in range(1, scenes))]))
    a, _ = timed(fast, few, seed)
    b, textbook = timed(slow, few, seed)
    wide, batched = timed(fast, known, seed)
    both = a.feasible & b.feasible
    row = {
        "surface": name,
        "unit": system.unit,
        "fast_batch_s": batched,
        "fast_single_s": single,
        "cvxpy_s": textbook,
        "ratio_batch": textbook / batched,
        "ratio_single": textbook / single,
        "fast": float(a.objective[both].mean()),
        "cvxpy": float(b.objective[both].mean()),
        "compared": int(both.sum()),
        "feasible": int(wide.feasible.sum()),
        "of": batch,
        "rounds": int(len(wide.history) - 1),
        "least_step": float(np.diff(wide.history, axis=0).min()),
        "gap": float((bound - wide.objective)[wide.feasible].mean()) if system.kind == "mf" else None,
    }
    print(row, flush=True)
    return row


def variant(label: str, sensors: int, batch: int, seed: int) -> dict[str, Any]:
    """A policy on mf es with `sensors` per line and side."""
    import baselines

    system, known, bound = prepared(seed, batch, num_sensors_h=sensors, num_sensors_v=sensors)
    name, options = VARIANTS[label]
    solution, seconds = timed(baselines.make(name, system, **options), known, seed)
    good = solution.feasible
    row = {
        "policy": label,
        "sensors": 2 * sensors,
        "seconds": seconds,
        "objective": float(solution.objective[good].mean()) if good.any() else None,
        "gap": float((bound - solution.objective)[good].mean()) if good.any() else None,
        "feasible": int(good.sum()),
        "of": batch,
    }
    print(row, flush=True)
    return row


if __name__ == "__main__":
    main()
