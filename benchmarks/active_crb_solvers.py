"""`active_crb`: the fast transmit step and algorithms against cvxpy (Clarabel, SCS), from the same input.

    python benchmarks/active_crb_solvers.py                                  20 scenes, whole algorithms on 5
    python benchmarks/active_crb_solvers.py --preset hard --scenes 10
    python benchmarks/active_crb_solvers.py --json docs/results/active_crb-solvers.json

Input of the transmit step: every element at the cap, random phases; scenes found infeasible are counted and left out of the
comparison. Times are CPU seconds of one thread per call, problems compiled beforehand. The fast form is timed one scene at a
time and in one batch, cvxpy one scene at a time: N x N (the reduction to the surface) and M x M (the paper's variables).
Differences: of the solver's value, where it states one (accepted or not), relative to the fast form's primal value, which lies
above its certified bound by the gap given. Verdicts: feasible (a design accepted) or not.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402 - after the number of threads

FORMS = ("clarabel N x N", "scs N x N", "clarabel M x M", "scs M x M")


def main() -> None:
    """Run the benchmark, print the tables, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default=None)
    parser.add_argument("--scenes", type=int, default=20, help="scenes of the transmit step")
    parser.add_argument("--wide", type=int, default=5, help="of them also in the M x M form")
    parser.add_argument("--whole", type=int, default=5, help="scenes of the whole algorithms")
    parser.add_argument("--batch", type=int, default=256, help="scenes of the batched fast form")
    parser.add_argument("--seed", type=int, default=2025)
    parser.add_argument("--json", type=Path, default=None, help="file for the results")
    arguments = parser.parse_args()
    for name in ("scenes", "whole", "batch"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name} must be at least 1, got {getattr(arguments, name)}")

    import ris_gym
    from agents.artefact import versions
    from agents.files import write_json

    system = ris_gym.systems.make("active_crb", arguments.preset)
    transmit = transmit_step(system, arguments.scenes, arguments.wide, arguments.batch, arguments.seed)
    table(transmit)
    whole = algorithms(system, arguments.whole, arguments.batch, arguments.seed)
    table(whole)
    if arguments.json:
        setting = {key: getattr(arguments, key) for key in ("preset", "scenes", "wide", "whole", "batch", "seed")}
        content = {"setting": setting, "system": system.to_dict(), "transmit": transmit, "whole": whole}
        print(write_json(arguments.json, content | {"versions": versions(), "threads": 1, "clock": "CPU seconds"}))


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """What the function returns, and its CPU seconds."""
    began = time.process_time()
    result = function()
    return result, time.process_time() - began


def transmit_step(system: Any, scenes: int, wide: int, batch: int, seed: int) -> list[dict[str, Any]]:
    """Rows: the fast form in a batch and alone, then each form in cvxpy."""
    from baselines.active_crb.transmit import solve_transmit
    from baselines.active_crb.units import Channels
    from baselines.tools.convex import SOLVED

    rng = np.random.default_rng(seed)
    channels = Channels.of(system, system.sample(rng, max(batch, scenes)))
    v = channels.cap[:, None] * np.exp(2j * np.pi * rng.random((len(channels), system.num_elements)))
    scaled = channels.at(v)
    solve_transmit(scaled[:2])
    _, together = timed(lambda: solve_transmit(scaled))
    answers, alone = [], []
    for i in range(scenes):
        answer, seconds = timed(partial(solve_transmit, scaled[i : i + 1]))
        answers.append(answer)
        alone.append(seconds)
    status = np.array([str(a.status[0]) for a in answers])
    good = np.flatnonzero(status == "optimal")
    value = np.array([float(a.value[0]) for a in answers])
    gap = [float(answers[i].value[0] / answers[i].dual[0] - 1.0) for i in good]
    common = {"scenes": scenes, "status": dict(Counter(status.tolist()))}
    batched = together / len(channels)
    rows: list[dict[str, Any]] = [
        {"what": f"fast, batch of {len(channels)}", "seconds": batched, **common, "largest_gap": max(gap, default=None)},
        {"what": "fast, one scene", "seconds": float(np.median(alone)), "slowest": max(alone), **common},
    ]
    for form in FORMS:
        solver, size = form.split(" ", 1)
        use = range(scenes if size == "N x N" else min(wide, scenes))
        if not len(use) or (size == "M x M" and system.sinr_threshold is None):
            continue
        one = partial(narrow_call, scaled) if size == "N x N" else partial(wide_call, channels, scaled, v)
        one(0, solver)
        found = [one(i, solver) for i in use]
        calls, seconds = [call for _, call, _ in found], np.array([spent for _, _, spent in found])
        pairs = [(x, value[i]) for i, (x, call, _) in zip(use, found, strict=True) if call.status in SOLVED and i in good]
        differences = np.array([abs(x / y - 1.0) for x, y in pairs])
        rows.append(
            {
                "what": form,
                "seconds": float(np.median(seconds)),
                "slowest": float(seconds.max()),
                "scenes": len(use),
                "status": dict(Counter(call.status for call in calls)),
                "accepted": sum(call.accepted for call in calls),
                "same_verdict": sum((i in good) == call.accepted for i, call in zip(use, calls, strict=True)),
                "compared": len(pairs),
                "median_difference": float(np.median(differences)) if len(pairs) else None,
                "largest_difference": float(differences.max()) if len(pairs) else None,
                "ratio_alone": float(np.median(seconds) / np.median(alone)),
                "ratio_batch": float(np.median(seconds) / batched),
            }
        )
    return rows


def narrow_call(scaled: Any, i: int, solver: str) -> tuple[float, Any, float]:
    """(SDR5.1) of one scene in the N x N form: the solver's value, its report, CPU seconds with what is around it."""
    from baselines.active_crb.textbook import budgets, per_noise
    from baselines.active_crb.textbook.transmit import solve_transmit

    users = None if scaled.threshold is None else per_noise(scaled, i)
    data = budgets(scaled, i), users, scaled.threshold
    (_, value, call), seconds = timed(lambda: solve_transmit(*data, i, (solver.upper(),)))
    return value, call, seconds


def wide_call(channels: Any, scaled: Any, v: Any, i: int, solver: str) -> tuple[float, Any, float]:
    """The same in the M x M form."""
    from baselines.active_crb.textbook import budgets, per_noise
    from baselines.active_crb.textbook.wide import solve_wide

    path = v[i][:, None] * channels.bs_ris[i] * np.sqrt(channels.power / scaled.unit_w[i])
    data = path, budgets(scaled, i)[1], per_noise(scaled, i), scaled.threshold
    (_, value, call), seconds = timed(lambda: solve_wide(*data, i, (solver.upper(),)))
    return value, call, seconds


def algorithms(system: Any, scenes: int, batch: int, seed: int) -> list[dict[str, Any]]:
    """Rows: whole policies, cvxpy scene by scene and the fast form in one batch, both from the same seeds."""
    import baselines

    known = system.known(system.sample(np.random.default_rng(seed + 1), max(batch, scenes)))
    names = ["ao", "transmit_only"] + (["zero_forcing"] if system.sinr_threshold is not None else ["reflective_only"])
    rows = []
    for name in names:
        fast, textbook = (baselines.make(name, system, solver=solver) for solver in ("fast", "cvxpy"))
        fast.solve(known[:2], np.random.default_rng(0))
        textbook.solve(known[:1], np.random.default_rng(0))
        _, together = timed(partial(fast.solve, known, np.random.default_rng(0)))
        slow, quick = (
            [timed(partial(policy.solve, known[i : i + 1], np.random.default_rng(i))) for i in range(scenes)]
            for policy in (textbook, fast)
        )
        pairs = [(a[0], b[0]) for a, b in zip(slow, quick, strict=True)]
        both = [(float(a.objective[0]), float(b.objective[0])) for a, b in pairs if a.feasible[0] and b.feasible[0]]
        seconds, alone = (float(np.median([s for _, s in runs])) for runs in (slow, quick))
        differences = np.array([a - b for a, b in both])
        rows.append(
            {
                "what": name,
                "scenes": scenes,
                "same_verdict": sum(bool(a.feasible[0] == b.feasible[0]) for a, b in pairs),
                "compared": len(both),
                "mean_difference_db": float(differences.mean()) if len(both) else None,
                "largest_difference_db": float(np.abs(differences).max()) if len(both) else None,
                "cvxpy_seconds": seconds,
                "fast_alone_seconds": alone,
                "fast_batch_seconds": together / len(known),
                "ratio_alone": seconds / alone,
                "ratio_batch": seconds / (together / len(known)),
            }
        )
    return rows


def table(rows: list[dict[str, Any]]) -> None:
    """Print rows as `key value` pairs."""
    for row in rows:
        cells = (f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in row.items())
        print("  ".join(cells), flush=True)
    print()


if __name__ == "__main__":
    main()
