"""An amplifying surface between two power budgets: what its start rule and the algorithms make of a scarce or ample one.

For surface budgets from scarce to plenty it prints how many scenes meet every SINR and, over the scenes where all designs do, the
bound on the error of the target's response, its gap to the best that any design could reach, and how much of the budget is used.

    python examples/active_surface.py --scenes 20 --policies direct ao
"""

import argparse

import numpy as np

import baselines
import ris_gym

parser = argparse.ArgumentParser()
parser.add_argument("--scenes", type=int, default=20)
parser.add_argument("--budgets-dbm", type=float, nargs="+", default=[0.0, 5.0, 10.0])
parser.add_argument("--policies", nargs="+", default=["direct", "gradient"])
args = parser.parse_args()

print("surface budget  policy          feasible  NMSE bound  gap to LB  surface budget used")
for budget in args.budgets_dbm:
    system = ris_gym.systems.make("active_crb", surface_power_dbm=budget)
    scene = system.sample(np.random.default_rng(0), batch=args.scenes)
    known = system.known(scene)
    results = {"start rule": system.evaluate(scene, system.decode(known, system.start(known)))}
    for name in args.policies:
        solution = baselines.make(name, system).solve(known, np.random.default_rng(0))
        results[name] = system.evaluate(scene, system.project(scene, solution.design))
    common = np.logical_and.reduce([metrics.feasible for metrics in results.values()])
    for name, metrics in results.items():
        row = f"{budget:10.0f} dBm  {name:14}  {metrics.feasible.mean():8.0%}"
        if common.any():
            used = metrics.surface_power_w[common].mean() / system.surface_power_w
            row += f"  {metrics.nmse_bound_db[common].mean():7.1f} dB  {metrics.gap_db[common].mean():6.2f} dB  {used:8.0%}"
        print(row)
