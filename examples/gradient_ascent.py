"""The metrics are differentiable: gradient ascent on the penalised score through torch, all scenes at once.

    python examples/gradient_ascent.py --steps 200
"""

import argparse

import numpy as np
import torch

import ris_gym

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=200)
parser.add_argument("--scenes", type=int, default=32)
args = parser.parse_args()

system = ris_gym.systems.make("beampattern", num_elements=16, sinr_threshold_db=15.0)
scene = system.sample(np.random.default_rng(0), batch=args.scenes)
known = system.known(scene).to_torch()
raw = torch.tensor(system.start(system.known(scene)), requires_grad=True)
optimiser = torch.optim.Adam([raw], lr=0.03)
for step in range(args.steps + 1):
    metrics = system.evaluate(known, system.decode(known, raw))
    score = metrics.score - system.default_penalty * metrics.cost
    if step % max(1, args.steps // 5) == 0:
        feasible = metrics.feasible.double().mean()
        print(f"step {step:4d}: objective {metrics.objective.mean():7.2f} {system.unit}, feasible {feasible:.0%}")
    optimiser.zero_grad()
    (-score.mean()).backward()
    optimiser.step()
