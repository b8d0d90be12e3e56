"""The learning benchmark: several seeds per recipe, trained with a budget of CPU time, compared on unseen frozen scenes.

    python benchmarks/learning.py                                    the main recipes, 5 seeds, 10 minutes of one core each
    python benchmarks/learning.py --recipes refine --seeds 2 --minutes 1 --folder runs/quick

Recipes stand in `benchmarks/recipes.py`. Seeds run `--jobs` at a time, each on one thread; interrupted, the same command goes on.
Results: `<folder>/<name>.json` (every run), `.csv`, `.png` (validation curves) and a table on screen. The table compares the
agents of all seeds with the optimisers on the frozen test set; decision times are taken at batch 256 in the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402 - after the number of threads
from recipes import MAIN, RECIPES, label  # noqa: E402

REFERENCES = ("ao", "joint", "separate", "information_only", "prox_linear", "gradient", "random")


def configuration(system: str, recipe: str, seed: int, minutes: float, folder: Path) -> Any:
    """The training run of one recipe and seed."""
    import dataclasses

    from agents import TrainConfig
    from agents.hyperparameters import load

    base, changes = load(system), RECIPES[recipe]
    algorithm = changes.get("algorithm", "ppo")
    parts = {
        name: dataclasses.replace(getattr(base, name), **changes.get(name, {})) for name in ("env", "network", algorithm)
    }
    where = {"folder": str(folder), "name": f"{recipe}-s{seed}"}
    return TrainConfig(
        system=system, algorithm=algorithm, minutes=minutes, clock="cpu", seed=seed, progress=False, **where, **parts
    )


def train_one(system: str, recipe: str, seed: int, minutes: float, folder: Path) -> None:
    """Train in this process (called in a child)."""
    import torch

    from agents import train

    torch.set_num_threads(1)
    train(configuration(system, recipe, seed, minutes, folder))


def train_all(arguments: argparse.Namespace, folder: Path) -> None:
    """Run every seed of every recipe, `jobs` at a time."""
    waiting = [
        (recipe, seed)
        for recipe in arguments.recipes
        for seed in range(arguments.seeds)
        if not (folder / f"{recipe}-s{seed}" / "done.json").exists()
    ]
    running: dict[tuple[str, int], subprocess.Popen[bytes]] = {}
    total = len(waiting)
    while waiting or running:
        while waiting and len(running) < arguments.jobs:
            recipe, seed = waiting.pop(0)
            command = [sys.executable, __file__, "--one", recipe, str(seed), "--minutes", str(arguments.minutes)]
            running[recipe, seed] = subprocess.Popen([*command, "--system", arguments.system, "--folder", str(folder)])
            print(f"started {recipe} seed {seed} ({total - len(waiting)} of {total})", flush=True)
        for key, process in list(running.items()):
            if process.poll() is not None:
                del running[key]
                if process.returncode:
                    raise RuntimeError(f"training of {key[0]} seed {key[1]} failed with exit code {process.returncode}")
                print(f"finished {key[0]} seed {key[1]}", flush=True)
        time.sleep(1.0)


def decision_times(system: Any, policies: dict[str, Any], batch: int = 256, repeats: int = 3) -> dict[str, float]:
    """Median CPU seconds per scene of each policy in one batch, interleaved."""
    from agents.comparison import resolve
    from agents.scenes import frozen_scenes

    known = system.known(frozen_scenes(system, "validation", batch).scene)
    seconds: dict[str, list[float]] = {name: [] for name in policies}
    resolved = {name: resolve(system, policy)[1] for name, policy in policies.items()}
    for repeat in range(repeats + 1):
        for name, policy in resolved.items():
            began = time.process_time()
            policy.solve(known, np.random.default_rng(repeat))
            if repeat:
                seconds[name].append((time.process_time() - began) / batch)
    return {name: float(np.median(values)) for name, values in seconds.items()}


def report(arguments: argparse.Namespace, folder: Path) -> None:
    """Compare all agents with the references on the frozen test set; write and print."""
    import ris_gym
    from agents import compare
    from agents.files import write_csv, write_json
    from baselines import names

    system = ris_gym.systems.make(arguments.system)
    agents = {
        recipe: tuple(str(folder / f"{recipe}-s{seed}") for seed in range(arguments.seeds)) for recipe in arguments.recipes
    }
    references = [name for name in REFERENCES if name in names(system)]
    table = compare(system, {**agents, **{name: name for name in references}}, scenes=arguments.scenes)
    table.save(folder, f"{arguments.name}-comparison")
    print(table)
    seconds = decision_times(system, {**{recipe: runs[0] for recipe, runs in agents.items()}, **{n: n for n in references}})
    rows = []
    for policy in (*agents, *references):
        found = table.row(policy)
        row: dict[str, Any] = {"policy": policy, "runs": found["score_runs"]}
        row |= {key: found[key] for key in ("score", "score_low", "score_high", "score_min", "score_max", "score_iqm")}
        row |= {key: found[key] for key in ("gap_to_bound", "violation_rate", "violation_rate_runs")}
        row["ms_per_scene"] = 1e3 * seconds[policy]
        for reference in (name for name in ("ao", "joint") if name in references):
            row[f"{reference}_time_ratio"] = seconds[reference] / seconds[policy]
        for reference in (name for name in ("ao", "prox_linear", "joint") if name in references and name != policy):
            for what, value in table.against(policy, reference).items():
                row |= {
                    f"{what}_against_{reference}": value.value,
                    f"{what}_against_{reference}_low": value.low,
                    f"{what}_against_{reference}_high": value.high,
                }
        rows.append(row)
        times = " ".join(f"{row[key]:.1f}x {key.removesuffix('_time_ratio')}" for key in row if key.endswith("_time_ratio"))
        print(f"{policy:<22} {row['score']:+.3f} [{row['score_min']:+.3f} .. {row['score_max']:+.3f}]  {times}")
    write_csv(folder / f"{arguments.name}.csv", rows)
    budget = {"minutes": arguments.minutes, "seeds": arguments.seeds}
    write_json(folder / f"{arguments.name}.json", {"rows": rows, "meta": table.meta, **budget})
    curves(folder, arguments, {row["policy"]: row["score"] for row in rows})


def whole_curve(folder: Path) -> list[dict[str, float]]:
    """All validations of a run; its agent's own curve ends at the checkpoint that was kept."""
    from agents.runs import Run

    state = Run(folder).load_checkpoint() or {}
    for part in ("pauses", "callback"):
        if part in state:
            return list(state[part]["curve"])
    stored = json.loads((folder / "agent" / "agent.json").read_text(encoding="utf-8"))
    return list(stored["training"]["curve"])


def curves(folder: Path, arguments: argparse.Namespace, levels: dict[str, float]) -> None:
    """Validation curves of every run, with the references' test scores as lines; right: the part near `joint`."""
    import io

    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from agents.files import write_bytes

    figure, panels = plt.subplots(1, 2, figsize=(11.0, 5.2), layout="constrained")
    styles = {"ao": "--", "joint": "-", "prox_linear": ":", "gradient": "-."}
    for axes in panels:
        for index, recipe in enumerate(arguments.recipes):
            for seed in range(arguments.seeds):
                curve = whole_curve(folder / f"{recipe}-s{seed}")
                axes.plot(
                    [point["seconds"] / 60.0 for point in curve],
                    [point["penalised_score"] for point in curve],
                    color=f"C{index}",
                    alpha=0.8,
                    lw=1.2,
                    label=f"{label(recipe)} ({arguments.seeds} seeds)" if seed == 0 else None,
                )
        for name, style in styles.items():
            if name in levels:
                axes.axhline(levels[name], ls=style, color="k", lw=1.0, label=f"{name} (test scenes)")
        axes.set(xlabel="CPU minutes of one core", ylabel="mean penalised score, validation scenes")
        axes.grid(alpha=0.3)
    if "joint" in levels:
        panels[1].set_ylim(levels["joint"] - 0.2, levels["joint"] + 0.02)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    plt.close(figure)
    write_bytes(folder / f"{arguments.name}.png", buffer.getvalue())


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--system", default="beampattern")
    parser.add_argument("--recipes", nargs="+", choices=sorted(RECIPES), default=list(MAIN))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=10.0, help="CPU minutes per run")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--scenes", type=int, default=100, help="frozen test scenes")
    parser.add_argument("--folder", type=Path, default=Path("runs/learning"))
    parser.add_argument("--name", default="learning", help="files are <folder>/<name>.csv, .json, .png")
    parser.add_argument("--report", action="store_true", help="train nothing, report the runs that are there")
    parser.add_argument("--one", nargs=2, metavar=("RECIPE", "SEED"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    folder = Path(arguments.folder)
    if arguments.one:
        train_one(arguments.system, arguments.one[0], int(arguments.one[1]), arguments.minutes, folder)
        return
    folder.mkdir(parents=True, exist_ok=True)
    if not arguments.report:
        train_all(arguments, folder)
    report(arguments, folder)


if __name__ == "__main__":
    main()
