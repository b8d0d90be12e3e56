"""The textbook programs (cvxpy) against the fast forms: whole runs and each program from the same input.

    python benchmarks/textbook.py                          200 scenes, 16 elements
    python benchmarks/textbook.py --users 2 --scenes 50    several users

Every scene is solved alone in cvxpy and in one batch by the fast form, in this process, with the same seeds. Times are CPU s
of one thread per scene. An interrupted run goes on where it stopped: `scenes.json` is written after every few scenes, the summary
(`summary.json`, `summary.csv`, `programs.csv`) at the end, all below `--folder`.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402 - after the number of threads

POLICIES = ("ao", "separate", "information_only")
SEEDS = 5
"""Runs of the fast form with other random numbers: what randomisation alone changes."""
PROGRAMS = ("transmit", "information", "reflective", "separate")


def main() -> None:
    """Run or resume the benchmark and print the summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="five")
    parser.add_argument("--elements", type=int, default=16)
    parser.add_argument("--users", type=int, default=1, help="several users: within 5 m, threshold 8 dB")
    parser.add_argument("--leak", action="store_true", help="the sensing signal is not cancelled")
    parser.add_argument("--los", action="store_true", help="BS-surface channel without scattering")
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--chunk", type=int, default=5, help="scenes between two writes")
    parser.add_argument("--seed", type=int, default=2024)
    parser.add_argument("--folder", default="runs/textbook")
    arguments = parser.parse_args()

    import ris_gym
    from agents.files import write_json

    fields: dict[str, Any] = {"num_elements": arguments.elements, "cancel_sensing": not arguments.leak}
    fields["los_bs_ris"] = arguments.los
    if arguments.users > 1:
        fields |= {"num_users": arguments.users, "user_radius_m": 5.0, "sinr_threshold_db": 8.0}
    system = ris_gym.systems.make("beampattern", arguments.preset, **fields)
    scene = system.sample(np.random.default_rng(arguments.seed), arguments.scenes)
    setting = {"system": system.to_dict(), "scenes": arguments.scenes, "seed": arguments.seed}
    setting = json.loads(json.dumps(setting))
    policies = POLICIES if arguments.users == 1 else POLICIES[:2]

    folder = Path(arguments.folder)
    path = folder / "scenes.json"
    rows: list[dict[str, Any]] = []
    if path.exists():
        stored = json.loads(path.read_text())
        if stored["setting"] != setting:
            raise SystemExit(f"{path} holds another setting: move it or give another --folder")
        rows = stored["rows"]
    fast = run_fast(system, scene, policies)
    began, first = time.monotonic(), len(rows)
    while len(rows) < arguments.scenes:
        for index in range(len(rows), min(len(rows) + arguments.chunk, arguments.scenes)):
            rows.append(one_scene(system, scene[index : index + 1], index, policies, fast))
        write_json(path, {"setting": setting, "rows": rows})
        left = (time.monotonic() - began) / (len(rows) - first) * (arguments.scenes - len(rows))
        print(f"\r{len(rows)} of {arguments.scenes} scenes, about {left:.0f} s left ", end="", flush=True)
    print()
    summarise(folder, setting, rows, fast, policies)


def run_fast(system: Any, scene: Any, policies: tuple[str, ...]) -> dict[str, Any]:
    """The fast forms on all scenes at once: answers, CPU seconds per scene, and the objectives (SEEDS, B) of more seeds."""
    import baselines

    known, out = system.known(scene), {}
    for name in policies:
        baselines.make(name, system).solve(known[:2], np.random.default_rng(0))
        began = time.process_time()
        solution = baselines.make(name, system).solve(known, np.random.default_rng(1))
        out[name] = {"solution": solution, "seconds": (time.process_time() - began) / len(scene)}
        others = [baselines.make(name, system).solve(known, np.random.default_rng(seed)) for seed in range(2, 1 + SEEDS)]
        out[name]["objective"] = np.array([solution.objective, *(other.objective for other in others)])
        out[name]["feasible"] = np.array([solution.feasible, *(other.feasible for other in others)])
    began = time.process_time()
    bound = baselines.bound(system, scene)
    out["bound"] = {"solution": bound, "seconds": (time.process_time() - began) / len(scene)}
    return out


def one_scene(system: Any, scene: Any, index: int, policies: tuple[str, ...], fast: dict[str, Any]) -> dict[str, Any]:
    """Whole runs of one scene in cvxpy beside the fast answers, and the programs from the same input."""
    import baselines

    row: dict[str, Any] = {"scene": index}
    known = system.known(scene)
    calls: Counter[str] = Counter()
    seeds = np.random.default_rng(1).integers(0, 2**63, size=index + 1)
    for name in policies:
        policy = baselines.make(name, system, solver="cvxpy")
        began = time.process_time()
        solution = policy.solve(known, _Seeds(int(seeds[-1])))  # type: ignore[arg-type]
        seconds = time.process_time() - began
        calls.update(f"{c.program} {c.solver} {c.status}{'' if c.accepted else ' not accepted'}" for c in policy.programs.calls)
        other = fast[name]["solution"]
        row[name] = {
            "cvxpy_dbm": solution.objective[0],
            "fast_dbm": other.objective[index],
            "cvxpy_feasible": solution.feasible[0],
            "fast_feasible": other.feasible[index],
            "cvxpy_status": str(solution.status[0]),
            "fast_status": str(other.status[index]),
            "cvxpy_s": seconds,
            "monotone": bool((np.diff(solution.history, axis=0) >= -1e-9).all()),
        }
    began = time.process_time()
    bound = baselines.bound(system, scene, solver="cvxpy")
    seconds = time.process_time() - began
    other = fast["bound"]["solution"]
    row["bound"] = {
        "cvxpy_dbm": bound.value[0],
        "fast_dbm": other.value[index],
        "cvxpy_status": str(bound.status[0]),
        "fast_status": str(other.status[index]),
        "cvxpy_s": seconds,
    }
    row["programs"] = same_input(system, known, fast["separate"]["solution"].design[index : index + 1])
    row["calls"] = dict(calls)
    return row


class _Seeds(np.random.Generator):
    """Hands out one seed: the one that the scene has in the batch."""

    def __init__(self, seed: int) -> None:
        super().__init__(np.random.PCG64(0))
        self.seed = seed

    def integers(self, *args: Any, **kwargs: Any) -> Any:
        return np.array([self.seed])


def same_input(system: Any, known: Any, design: Any) -> dict[str, Any]:
    """Value of each program in dB, cvxpy minus fast, at the given surface and beams; None where both are infeasible."""
    from baselines.beampattern.programs import make_programs
    from baselines.beampattern.units import Scaled

    scaled = Scaled.of(system, known)
    v = np.asarray(design.coefficients)
    f = np.concatenate([design.beams, design.sensing_beams], axis=-1) / np.sqrt(system.power_w)
    eye = np.eye(system.num_antennas, dtype=complex)[None]
    user, target = scaled.rows(v)
    found: dict[str, list[tuple[float, bool, float]]] = {}
    for solver in ("fast", "cvxpy"):
        programs = make_programs(solver)
        runs = {
            "transmit": lambda p=programs: p.covariances(scaled, user, target)[:0:-1],
            "information": lambda p=programs: p.covariances(scaled, user, target, sensing=False)[:0:-1],
            "reflective": lambda p=programs: p.relax(scaled, f)[1:],
            "separate": lambda p=programs: p.relax(scaled, eye, False)[1:],
        }
        if system.num_users > 1:
            del runs["information"]
        for name, run in runs.items():
            began = time.process_time()
            value, good = run()
            found.setdefault(name, []).append((float(value[0]), bool(good[0]), time.process_time() - began))
    out: dict[str, Any] = {}
    for name, ((fast, served, fast_s), (textbook, also, textbook_s)) in found.items():
        out[name] = {"served_fast": served, "served_cvxpy": also, "fast_alone_s": fast_s, "cvxpy_s": textbook_s}
        out[name]["difference_db"] = 10.0 * np.log10(textbook / fast) if served and also else None
    return out


def over_seeds(fast: dict[str, Any], part: list[dict[str, Any]]) -> dict[str, float]:
    """cvxpy minus the mean over the seeds of the fast form, and how much the fast mean itself varies from seed to seed."""
    from agents.stats import paired_difference

    served = fast["feasible"].all(0) & np.array([p["cvxpy_feasible"] for p in part])
    values = fast["objective"][:, served]
    difference = paired_difference(np.array([p["cvxpy_dbm"] for p in part])[served], values.mean(0))
    means = values.mean(1)
    return {
        "all_serve": int(served.sum()),
        "mean_difference_to_seeds_db": difference.value,
        "low_seeds": difference.low,
        "high_seeds": difference.high,
        "lowest_fast_mean_dbm": float(means.min()),
        "highest_fast_mean_dbm": float(means.max()),
    }


def summarise(folder: Path, setting: Any, rows: list[dict[str, Any]], fast: dict[str, Any], policies: tuple[str, ...]) -> None:
    """Print and write the summary."""
    from agents.artefact import versions
    from agents.files import write_csv, write_json
    from agents.stats import paired_difference

    table: list[dict[str, Any]] = []
    for name in (*policies, "bound"):
        part = [row[name] for row in rows]
        if name == "bound":
            both = [p["cvxpy_status"] == p["fast_status"] == "certified" for p in part]
            same = [p["cvxpy_status"] == p["fast_status"] for p in part]
        else:
            both = [p["cvxpy_feasible"] and p["fast_feasible"] for p in part]
            same = [p["cvxpy_feasible"] == p["fast_feasible"] for p in part]
        pairs = np.array([[p["cvxpy_dbm"], p["fast_dbm"]] for p, used in zip(part, both, strict=True) if used]).reshape(-1, 2)
        difference = paired_difference(pairs[:, 0], pairs[:, 1])
        seconds = float(np.median([p["cvxpy_s"] for p in part]))
        table.append(
            {
                "run": name,
                "scenes": len(rows),
                "both_serve": sum(both),
                "same_verdict": sum(same),
                "mean_difference_db": difference.value,
                "low": difference.low,
                "high": difference.high,
                "largest_difference_db": np.abs(pairs[:, 0] - pairs[:, 1]).max(initial=0.0),
                **(over_seeds(fast[name], part) if name != "bound" else {}),
                "cvxpy_ms": 1e3 * seconds,
                "fast_ms": 1e3 * fast[name]["seconds"],
                "time_ratio": seconds / fast[name]["seconds"],
                "monotone": all(p.get("monotone", True) for p in part),
            }
        )
    programs: list[dict[str, Any]] = []
    for name in PROGRAMS:
        part = [row["programs"][name] for row in rows if name in row["programs"]]
        values = np.array([p["difference_db"] for p in part if p["difference_db"] is not None], float)
        if part:
            programs.append(
                {
                    "program": name,
                    "compared": len(values),
                    "same_verdict": sum(p["served_fast"] == p["served_cvxpy"] for p in part),
                    "largest_difference_db": np.abs(values).max(initial=0.0),
                    "cvxpy_ms": 1e3 * np.median([p["cvxpy_s"] for p in part]),
                }
            )
    calls: Counter[str] = Counter()
    for row in rows:
        calls.update(row["calls"])
    for line in (*table, *programs):
        cells = (f"{key} {value:.5g}" if isinstance(value, float) else f"{key} {value}" for key, value in line.items())
        print("  ".join(cells))
    print("\n".join(f"{count:6d}  {call}" for call, count in sorted(calls.items())))
    write_csv(folder / "summary.csv", table)
    write_csv(folder / "programs.csv", programs)
    content = {"setting": setting, "runs": table, "programs": programs, "calls": calls, "versions": versions(), "threads": 1}
    print(write_json(folder / "summary.json", content))


if __name__ == "__main__":
    main()
