"""The bound of sequential systems, pathwise: every policy over whole episodes beside the certified bound of each scene.

    python benchmarks/pathwise.py                                    vehicular, its presets, 200 passes each
    python benchmarks/pathwise.py --presets reciprocity --fields '{"choose_reflector": true}'
    python benchmarks/pathwise.py --system anchor                    bounded in the mean over the scenes alone

One line per policy: penalised score (mean per frame), least, mean and largest slack of the bound over the scenes. Ends with an
error if a policy is above the bound of any scene, or if a scene has no certified bound.
"""

from __future__ import annotations

import argparse
import json
import os
import time

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402 - after the number of threads


def main() -> None:
    """Run the benchmark and print one line per policy."""
    import baselines
    import ris_gym
    from agents.rollouts import rollout

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--system", default="vehicular")
    parser.add_argument("--presets", nargs="+", default=None, help="default: all of the system")
    parser.add_argument("--fields", type=json.loads, default={}, help="parameters over the presets, as JSON")
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=12345)
    arguments = parser.parse_args()

    for preset in arguments.presets or ris_gym.systems.get(arguments.system).presets:
        system = ris_gym.systems.make(arguments.system, preset, **arguments.fields)
        scene = system.sample(np.random.default_rng(arguments.seed), arguments.scenes)
        if system.frames(scene) is None:
            parser.error(f"--system: {system.name} has no sequential scenes; see benchmarks/solvers.py")
        began = time.process_time()
        bound = baselines.bound(system, scene)
        spent = 1e3 * (time.process_time() - began) / len(scene)
        if not np.all(np.asarray(bound.status) == "certified"):
            raise SystemExit(f"{preset}: scenes without a certified bound")
        value = f"{np.mean(bound.value):.4f} {system.unit}"
        print(f"{system.name}, {preset}: {len(scene)} scenes, bound of the {system.bound_of} {value}, {spent:.1f} ms per scene")
        for name in baselines.names(system):
            began = time.process_time()
            policy = baselines.make(name, system)
            reached = rollout(system, policy, scene, np.random.default_rng(0), system.default_penalty)
            value = reached.score if system.bound_of == "score" else reached.objective
            slack = system.sense * (bound.value - (value if bound.scope == "scene" else value.mean(keepdims=True)))
            print(
                f"{name:20s} score {reached.score.mean():8.4f}  slack: least {slack.min():7.4f} mean {slack.mean():7.4f} "
                f"largest {slack.max():7.4f}  {time.process_time() - began:6.1f} s",
                flush=True,
            )
            if not slack.min() >= 0.0:
                raise SystemExit(f"{name} is above the bound")


if __name__ == "__main__":
    main()
