"""The solver benchmark: bound, gaps, monotonicity and memory of the fast baselines.

    python benchmarks/solvers.py                     200 scenes, then 1000 in one batched call
    python benchmarks/solvers.py --scenes 50 --big 0

Every policy answers in one batched call; its design is evaluated with the system. Checked: no policy above the bound, histories
monotone, mean gap of `joint`. Peak memory is that of this process after the call of `--big` scenes.
"""

from __future__ import annotations

import argparse
import os
import resource
import time

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402 - after the number of threads


def main() -> None:
    """Run the benchmark and print one line per policy."""
    import baselines
    import ris_gym

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--system", default="beampattern")
    parser.add_argument("--preset", default=None)
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--big", type=int, default=1000, help="scenes of the memory test (0: none)")
    parser.add_argument("--seed", type=int, default=12345)
    arguments = parser.parse_args()

    system = ris_gym.systems.make(arguments.system, arguments.preset)
    scene = system.sample(np.random.default_rng(arguments.seed), arguments.scenes)
    known = system.known(scene)
    began = time.process_time()
    bound = baselines.bound(system, scene)
    spent = (time.process_time() - began) / arguments.scenes
    status = np.asarray(bound.status)
    certified, infeasible = status == "certified", status == "infeasible"
    counts = f"{certified.sum()} certified, {infeasible.sum()} certified infeasible"
    print(f"{arguments.scenes} scenes: {counts}; bound {1e3 * spent:.1f} ms/scene")
    for name in baselines.names(system):
        policy = baselines.make(name, system)
        began = time.process_time()
        solution = policy.solve(known, np.random.default_rng(0))
        spent = (time.process_time() - began) / arguments.scenes
        metrics = system.evaluate(scene, system.project(scene, solution.design))
        served = certified & np.asarray(metrics.feasible)
        gap = system.sense * (np.asarray(bound.value) - metrics.objective)
        value = system.penalised(metrics)[~infeasible].mean()
        sense = 1 if solution.history_of == "score" else system.sense
        rise = sense * np.diff(np.asarray(solution.history), axis=0)
        monotone = bool(rise.size == 0 or rise.min() >= -1e-9)
        print(
            f"{name:18s} score {value:8.4f}  gap to bound: mean {gap[served].mean():7.3f} min {gap[served].min():7.4f} "
            f"max {gap[served].max():7.3f}  feasible {np.mean(metrics.feasible):.3f}  monotone {monotone}  "
            f"{1e3 * spent:7.2f} ms/scene"
        )
        if gap[served].min() < -1e-6:
            raise SystemExit(f"{name} is above the bound")
        if not monotone:
            raise SystemExit(f"{name}: history is not monotone")
    if arguments.big:
        big = system.known(system.sample(np.random.default_rng(arguments.seed + 1), arguments.big))
        for name in ("ao", "joint", "bound"):
            began = time.process_time()
            if name == "bound":
                baselines.bound(system, big)
            else:
                baselines.make(name, system).solve(big, np.random.default_rng(0))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
            spent = time.process_time() - began
            print(f"{name}: {arguments.big} scenes in one call, {spent:.1f} s, peak memory so far {peak:.2f} GiB")


if __name__ == "__main__":
    main()
