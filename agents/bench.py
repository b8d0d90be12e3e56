"""`ris-gym bench`: steps per CPU second of every registered environment, where the time goes, and what the fast solvers save.

One thread; per configuration the best of several medians of CPU seconds (`time.process_time`), which other jobs on the machine
disturb least. *Static*: an endless refinement episode on one set of scenes. *Fresh*: one-shot episodes, so that every step
draws new scenes. The parts are timed alone, at the same batch size.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agents.files import write_csv, write_json
from agents.solver_times import sized, solver_times

__all__ = ["bench", "count_normals", "measure", "row"]

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def bench(
    batches: Sequence[int], sizes: Sequence[str], repeats: int, seconds: float, folder: str, solvers: bool = False
) -> list[dict[str, Any]]:
    """Measure all registered environments, print the table, and write `bench.csv` and `bench.json` into `folder`.

    `solvers`: then time the fast form of the baselines against the textbook form (`solvers.csv`, `solvers.json`).

    Raises:
        ValueError: an argument does not fit; the message names it.
    """
    import ris_gym
    from agents.artefact import versions

    if not batches or min(batches) < 1:
        raise ValueError(f"batches must be positive numbers, got {tuple(batches)}")
    if repeats < 1 or not seconds > 0.0:
        raise ValueError(f"repeats must be at least 1 and seconds positive, got {repeats} and {seconds}")
    pairs = [_size(text) for text in sizes]
    _one_thread()
    rows = []
    for name in ris_gym.systems.names():
        done: list[dict[str, Any]] = []
        for antennas, elements in pairs:
            wanted: dict[str, Any] = {"num_antennas": antennas, "num_elements": elements}
            system, actual = sized(name, **wanted)
            if actual in done:
                continue
            done.append(actual)
            for batch in batches:
                rows.append(row(system, batch, repeats, seconds) | actual)
                _print(rows, len(rows) == 1)
    write_csv(Path(folder) / "bench.csv", rows)
    path = write_json(Path(folder) / "bench.json", {"rows": rows, "versions": versions(), "threads": 1, "clock": "CPU seconds"})
    print(f"{path.with_suffix('.csv')}\n{path}")
    if solvers:
        solver_times(elements=32, scenes=8, batch=256, folder=folder)
    return rows


def row(system: Any, batch: int, repeats: int = 5, seconds: float = 0.3) -> dict[str, Any]:
    """One row: rates in environment steps per CPU second, parts in microseconds per environment step.

    Systems whose episodes are sequential only have one rate, that of their own episode, as static and as fresh.
    """

    def time_of(function: Callable[[], Any]) -> float:
        return 1e6 * measure(function, repeats, seconds) / batch

    forms, local = [episode.name for episode in system.episodes], "local" in system.observations
    static, fresh = (_stepper(system, batch, form if form in forms else forms[0]) for form in ("refine", "one_shot"))
    rng = np.random.default_rng(0)
    dtype = "complex64"
    real = np.float32
    scene = system.sample(rng, batch=batch, dtype=dtype)
    known = system.known(scene)
    raw = system.start(known, "full").astype(real)
    design = system.decode(known, raw, "full")
    normals = count_normals(system, batch)
    metrics = system.evaluate(scene, design)
    times = {
        "static": time_of(static),
        "fresh": time_of(fresh),
        "local": time_of(_stepper(system, batch, "refine", observation="local")) if local else np.nan,
        "random_numbers": time_of(lambda: rng.standard_normal(normals, dtype=real)),
        "sample": time_of(lambda: system.sample(rng, batch=batch, dtype=dtype)),
        "decode": time_of(lambda: system.decode(known, raw, "full")),
        "metrics": time_of(lambda: system.evaluate(scene, design)),
        "observation": time_of(lambda: (system.observe_scene(known), system.observe_design(known, design, metrics))),
        "local_features": time_of(lambda: system.observe_local(known, raw, "full", system.default_penalty)) if local else np.nan,
    }
    used = times["sample"] + times["decode"] + times["metrics"]
    return {
        "system": system.name,
        "batch": batch,
        "num_antennas": None,
        "num_elements": None,
        "static_steps_per_s": 1e6 / times["static"],
        "fresh_steps_per_s": 1e6 / times["fresh"],
        "local_steps_per_s": 1e6 / times["local"],
        "fresh_over_static_plus_draw": times["fresh"] / (times["static"] + times["random_numbers"]),
        "normals_per_scene": normals / batch,
        **{f"us_{key}": value for key, value in times.items()},
        "us_autoreset_and_rest": max(0.0, times["fresh"] - used - times["observation"]),
    }


def measure(function: Callable[[], Any], repeats: int = 5, seconds: float = 0.3) -> float:
    """CPU seconds of one call: the best of `repeats` medians, each over about `seconds`."""
    function()
    began = time.process_time()
    calls = 0
    while calls < 3 or time.process_time() - began < 0.02:
        function()
        calls += 1
    once = max(1e-7, (time.process_time() - began) / calls)
    inner = max(1, int(seconds / 7 / once))
    medians = []
    for _ in range(repeats):
        samples = []
        for _ in range(7):
            began = time.process_time()
            for _ in range(inner):
                function()
            samples.append((time.process_time() - began) / inner)
        medians.append(statistics.median(samples))
    return min(medians)


def count_normals(system: Any, batch: int) -> int:
    """How many real normal numbers `system.sample` draws for a batch."""
    counter = _Counting(np.random.PCG64(0))
    system.sample(counter, batch=batch, dtype="complex64")
    return counter.normals


class _Counting(np.random.Generator):
    normals = 0

    def standard_normal(self, *args: Any, **kwargs: Any) -> Any:
        out = super().standard_normal(*args, **kwargs)
        self.normals += int(np.size(out))
        return out

    def normal(self, *args: Any, **kwargs: Any) -> Any:
        out = super().normal(*args, **kwargs)
        self.normals += int(np.size(out))
        return out


def _stepper(system: Any, batch: int, episode: str, observation: str = "csi") -> Callable[[], Any]:
    from agents.policy import make_vector_env

    kwargs: dict[str, Any] = {"episode": episode, "observation": observation}
    if episode == "refine":
        kwargs["horizon"] = 10**9
    env = make_vector_env(system, batch, kwargs, autoreset_mode="SameStep")
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = env.action_space.sample()
    return lambda: env.step(actions)


def _size(text: str) -> tuple[int, int]:
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise ValueError(f"sizes must be ANTENNASxELEMENTS such as 8x64, got {text!r}")
    return int(parts[0]), int(parts[1])


def _one_thread() -> None:
    """Pin the numerical libraries to one thread: they read their variables when they are loaded, so start again if need be."""
    if any(os.environ.get(name) != "1" for name in THREADS):
        os.environ.update(dict.fromkeys(THREADS, "1"))
        if Path(sys.argv[0]).name == "ris-gym":
            os.execv(sys.executable, [sys.executable, *sys.argv])
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def _print(rows: list[dict[str, Any]], heading: bool) -> None:
    last = rows[-1]
    columns = {
        "system": f"{last['system']:<16}",
        "size": f"{last['num_antennas'] or '-'}x{last['num_elements']:<4}",
        "batch": f"{last['batch']:>6}",
        "static/s": f"{last['static_steps_per_s']:>10,.0f}",
        "fresh/s": f"{last['fresh_steps_per_s']:>10,.0f}",
        "local/s": f"{last['local_steps_per_s']:>10,.0f}",
        "ratio": f"{last['fresh_over_static_plus_draw']:>6.2f}",
    }
    parts = ("random_numbers", "sample", "decode", "metrics", "observation", "local_features", "autoreset_and_rest")
    columns |= {part: f"{last[f'us_{part}']:>{max(8, len(part))}.2f}" for part in parts}
    if heading:
        print("environment steps per CPU second, one thread; parts in microseconds per environment step")
        print("ratio: fresh step over (static step + bare draw of the same normal numbers)")
        print("  ".join(f"{name:>{len(text)}}" for name, text in columns.items()))
    print("  ".join(columns.values()), flush=True)
