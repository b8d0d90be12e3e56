"""Decision times behind the interface of an environment: `policy.bind(env).predict(observation)` in the loop, step after step.

    python benchmarks/loop_times.py --system anchor --policies information_greedy posterior_matching agent=runs/NAME --batch 256

Every policy answers in every step of the same episodes (the first one's actions are played), one thread. What an agent gets is
the observation that the environment has made anyway; an optimiser works on what is known. Prints the median CPU time per scene
and step, and how many times the first policy's it is.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402 - after the number of threads


def measure(system: Any, policies: dict[str, Any], batch: int, steps: int, action: str) -> dict[str, float]:
    """Median CPU seconds per scene and step of each policy, by name."""
    from agents.comparison import resolve
    from agents.policy import make_vector_env

    env = make_vector_env(system, batch, {"action": action}, autoreset_mode="SameStep")
    observation, _ = env.reset(seed=0)
    bound = {name: resolve(system, policy)[1].bind(env) for name, policy in policies.items()}
    seconds: dict[str, list[float]] = {name: [] for name in policies}
    states: dict[str, Any] = dict.fromkeys(policies)
    for _ in range(steps):
        actions = []
        for name, policy in bound.items():
            began = time.process_time()
            found, states[name] = policy.predict(observation, states[name])
            seconds[name].append((time.process_time() - began) / batch)
            actions.append(found)
        observation, *_ = env.step(actions[0])
    env.close()
    return {name: float(np.median(values)) for name, values in seconds.items()}


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--system", default="anchor")
    parser.add_argument("--preset", help="named values of the system")
    parser.add_argument("--policies", nargs="+", required=True, help="names of baselines, or NAME=RUN of agents")
    parser.add_argument("--action", default="discrete", choices=("box", "discrete"))
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--steps", type=int, default=96)
    arguments = parser.parse_args()
    import torch

    import ris_gym

    torch.set_num_threads(1)
    pairs = [text.partition("=") for text in arguments.policies]
    policies = {name: run or name for name, _, run in pairs}
    system = ris_gym.systems.make(arguments.system, preset=arguments.preset)
    found = measure(system, policies, arguments.batch, arguments.steps, arguments.action)
    first = found[next(iter(found))]
    for name, seconds in found.items():
        print(f"{name:<24} {1e6 * seconds:8.2f} us   {first / seconds:6.2f} times less than the first")


if __name__ == "__main__":
    main()
