"""How much faster the fast form of a baseline is than its textbook form: rows of `ris-gym bench`."""

from __future__ import annotations

import math
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from agents.files import write_csv, write_json

__all__ = ["sized", "solver_rows", "solver_times"]


def solver_times(elements: int, scenes: int, batch: int, folder: str) -> list[dict[str, Any]]:
    """Rows for the first policy of every registered system that has both forms; table, `solvers.csv` and `solvers.json`.

    Args:
        elements: number of surface elements, where the system has that parameter and admits the number (else its default).
        scenes: scenes solved by the textbook form, one at a time (with Clarabel at every size: 1).
        batch: scenes solved by the fast form in one call.
        folder: where the files go.

    Raises:
        ValueError: a number is below 1.
    """
    import baselines
    import ris_gym
    from agents.artefact import versions

    for name, value in (("elements", elements), ("scenes", scenes), ("batch", batch)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    rows: list[dict[str, Any]] = []
    for name in ris_gym.systems.names():
        system, sizes = sized(name, num_elements=elements)
        policy = baselines.names(system)[0]
        if "solver" in getattr(type(baselines.make(policy, system)), "__dataclass_fields__", {}):
            for solver, count in (("cvxpy", scenes), ("clarabel", 1)):
                rows += [row | sizes for row in solver_rows(system, policy, count, batch, solver)]
    if rows:
        print("\nCPU milliseconds per scene: textbook programs, scene by scene (median), and the fast form in one batch")
        print("cvxpy: Clarabel for small cones, SCS above; clarabel: that solver at every size")
        for row in rows:
            times = f"{row['solver']:>8} {row['textbook_ms']:>9.2f}  fast {row['fast_ms']:>8.3f}  ratio {row['ratio']:>7.1f}"
            print(f"{row['system']:<16}{row['what']:<24}{times}  ({row['scenes']} scenes, batch {row['batch']})")
        write_csv(Path(folder) / "solvers.csv", rows)
        content = {"rows": rows, "versions": versions(), "threads": 1, "clock": "CPU seconds"}
        print(write_json(Path(folder) / "solvers.json", content))
    return rows


def sized(name: str, **wanted: int) -> tuple[Any, dict[str, Any]]:
    """A system with these sizes as far as it has such fields, its own where it has none or refuses them; the sizes it then has.

    `num_elements` of a planar surface (`num_elements_h`, `num_elements_v`, or a pair `surface_shape`): the nearest to a square.
    """
    import ris_gym

    fields = ris_gym.systems.get(name).__dataclass_fields__
    known: dict[str, dict[str, Any]] = {size: {size: count} for size, count in wanted.items() if size in fields}
    if (count := wanted.get("num_elements")) is not None and "num_elements" not in fields:
        across = next(n for n in range(math.isqrt(count), 0, -1) if count % n == 0)
        if "num_elements_h" in fields:
            known["num_elements"] = {"num_elements_h": count // across, "num_elements_v": across}
        elif "surface_shape" in fields:
            known["num_elements"] = {"surface_shape": (count // across, across)}
    try:
        system = ris_gym.systems.make(name, **{field: count for part in known.values() for field, count in part.items()})
    except ValueError:
        system = ris_gym.systems.make(name)
    return system, {size: getattr(system, size) for size in wanted if size in known or hasattr(system, size)}


def solver_rows(system: Any, name: str, scenes: int, batch: int, solver: str = "cvxpy") -> list[dict[str, Any]]:
    """Whole runs of the policy, then each of its programs: one row each.

    A program's time in the fast form is that of the call with most scenes, in the textbook form the median over all calls.
    With more than one scene, problems are built and compiled before the clock starts. No row for a program that the few scenes
    did not need.
    """
    import baselines

    known = system.known(system.sample(np.random.default_rng(0), batch))
    textbook, fast = (baselines.make(name, system, solver=form) for form in (solver, "fast"))
    if scenes > 1:
        textbook.solve(known[:1], np.random.default_rng(0))
    fast.solve(known[:2], np.random.default_rng(0))
    whole, calls = [], []
    for index in range(min(scenes, batch)):
        began = time.process_time()
        textbook.solve(known[index : index + 1], np.random.default_rng(index))
        whole.append(time.process_time() - began)
        calls += _calls(textbook)
    began = time.process_time()
    fast.solve(known, np.random.default_rng(0))
    entire = (time.process_time() - began) / batch
    pairs = {name: (statistics.median(whole), entire)}
    for program in dict.fromkeys(call.program for call in calls):
        largest = max((c for c in _calls(fast) if c.program == program), key=lambda c: c.scenes, default=None)
        if largest is not None:
            seconds = statistics.median(c.seconds for c in calls if c.program == program)
            pairs[f"program {program}"] = seconds, largest.seconds / largest.scenes
    return [
        {
            "system": system.name,
            "what": what,
            "solver": solver,
            "textbook_ms": 1e3 * slow,
            "fast_ms": 1e3 * quick,
            "ratio": slow / quick,
            "scenes": len(whole),
            "batch": batch,
        }
        for what, (slow, quick) in pairs.items()
    ]


def _calls(policy: Any) -> list[Any]:
    return list(policy.programs.calls)
