r"""The learning benchmark: several seeds per recipe, trained with a budget of CPU time, compared on unseen frozen scenes.

    python benchmarks/learning.py                                    the main recipes, 5 seeds, 10 minutes of one core each
    python benchmarks/learning.py --recipes refine --seeds 2 --minutes 1 --folder runs/quick
    python benchmarks/learning.py --system active_crb --preset hard --folder runs/active_crb/hard --name active_crb-hard
    python benchmarks/learning.py --system active_crb --fields '{"surface_power_dbm": 0}' --folder runs/active_crb/weak
    python benchmarks/learning.py --system multifunctional --preset ts --seeds 3 --folder runs/multifunctional/ts
    python benchmarks/learning.py --system nonorthogonal --episode tracking --folder runs/nonorthogonal/tracking
    python benchmarks/learning.py --system vehicular --preset requirement --recipes surface --strong need_only_wide \
        --folder runs/vehicular/requirement

Recipes and reference policies stand in `benchmarks/recipes.py`. Seeds run `--jobs` at a time, each on one thread; interrupted,
the same command goes on. Results: `<folder>/<name>.json` (every run), `.csv`, `.png` (validation curves) and tables on screen,
which compare the agents of all seeds with the optimisers on the frozen test set of the parameters. Decision times are taken one
scene at a time and in batches of 256, all policies interleaved in the same run. With `--episode` (sequential scenes) they are
compared on whole episodes, and a decision is one that follows another.
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
from recipes import EPISODES, MAIN, RECIPES, REFERENCES, STRONG, label, task  # noqa: E402

BLOCK = 0.02
"""CPU seconds that a timed block lasts at least."""


def make_system(name: str, preset: str | None = None, fields: str = "{}", episode: str | None = None) -> Any:
    """The system of a command line; `fields` is a JSON object of parameters, `episode` has a preset of its own.

    Raises:
        ValueError, TypeError: it is none, or the system refuses it.
    """
    import ris_gym
    from agents.scenes import episode_preset

    values = json.loads(fields)
    if not isinstance(values, dict):
        raise ValueError(f"fields must be a JSON object, got {fields!r}")
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    preset = preset or episode_preset(ris_gym.systems.get(name), episode)
    return ris_gym.systems.make(name, preset=preset, **values)


def configuration(system: Any, recipe: str, seed: int, minutes: float, folder: Path) -> Any:
    """The training run of one recipe and seed."""
    import dataclasses

    from agents import TrainConfig
    from agents.hyperparameters import load

    base, changes = load(system.name), RECIPES[system.name][recipe]
    algorithm = changes.get("algorithm", "ppo")
    parts = {
        name: dataclasses.replace(getattr(base, name), **changes.get(name, {})) for name in ("env", "network", algorithm)
    }
    where: dict[str, Any] = {"folder": str(folder), "name": f"{recipe}-s{seed}"}
    forms = {form.name: form for form in system.episodes}
    if (form := forms[parts["env"].episode]).length is not None:  # a validation scene is a whole episode of decisions
        own = None if form is system.episodes[0] else form.name
        where |= {"validation_scenes": EPISODES.get(system.name, 16), "reference": STRONG[task(system.name, own)]}
    trained = dataclasses.replace(system, **changes.get("fields", {}))
    return TrainConfig(
        system=trained, algorithm=algorithm, minutes=minutes, clock="cpu", seed=seed, progress=False, **where, **parts
    )


def train_one(system: Any, recipe: str, seed: int, minutes: float, folder: Path) -> None:
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
            command += ["--system", arguments.system, "--fields", arguments.fields, "--folder", str(folder)]
            for name in ("preset", "episode"):
                command += [f"--{name}", value] if (value := getattr(arguments, name)) else []
            running[recipe, seed] = subprocess.Popen(command)
            print(f"started {recipe} seed {seed} ({total - len(waiting)} of {total})", flush=True)
        for key, process in list(running.items()):
            if process.poll() is not None:
                del running[key]
                if process.returncode:
                    raise RuntimeError(f"training of {key[0]} seed {key[1]} failed with exit code {process.returncode}")
                print(f"finished {key[0]} seed {key[1]}", flush=True)
        time.sleep(1.0)


def decision_times(
    system: Any, policies: dict[str, Any], batch: int = 256, repeats: int = 3, episode: str | None = None
) -> dict[str, float]:
    """Median CPU seconds per scene of each policy in one batch, interleaved; a batch of 1 is another scene every time.

    Quick policies decide again and again for `BLOCK` seconds, as in a rollout: alone, the first decision after another policy's
    would be one with cold caches. A sequential policy has decided on these scenes once before, and remembers it."""
    from agents.comparison import resolve
    from agents.scenes import frozen_scenes

    scene = frozen_scenes(system, "validation", batch if batch > 1 else repeats + 1, episode=episode).scene
    known = system.known(scene)
    seconds: dict[str, list[float]] = {name: [] for name in policies}
    resolved = {name: resolve(system, policy)[1] for name, policy in policies.items()}
    for repeat in range(repeats + 1):
        for name, policy in resolved.items():
            part = scene if getattr(policy, "privileged", False) else known
            part = part if batch > 1 else part[[repeat]]
            memory = ()
            if getattr(policy, "sequential", False):
                memory = (policy.solve(part, np.random.default_rng(repeat)).memory,)
            began, done = time.process_time(), 0
            while not done or time.process_time() - began < BLOCK:
                policy.solve(part, np.random.default_rng(repeat), *memory)
                done += 1
            if repeat:
                seconds[name].append((time.process_time() - began) / (batch * done))
    return {name: float(np.median(values)) for name, values in seconds.items()}


def finished(folder: Path, recipe: str, seeds: int) -> list[Path]:
    """The runs of a recipe that are over; a report takes those that are there. Raises ValueError for none."""
    runs = [run for seed in range(seeds) if (run := folder / f"{recipe}-s{seed}").joinpath("done.json").exists()]
    if not runs:
        raise ValueError(f"recipes: no finished run of {recipe!r} in {folder}")
    return runs


def report(arguments: argparse.Namespace, folder: Path) -> None:
    """Compare all agents with the references on the frozen test set; write and print."""
    import baselines
    from agents import compare
    from agents.comparison import available
    from agents.files import write_csv, write_json
    from agents.stats import difference

    episode, what = arguments.episode, task(arguments.system, arguments.episode)
    system = make_system(arguments.system, arguments.preset, arguments.fields, episode)
    agents = {
        recipe: tuple(str(run) for run in finished(folder, recipe, arguments.seeds)) for recipe in arguments.recipes
    }
    references, proposal = available(system, REFERENCES[what]), baselines.names(system)[0]
    strong = arguments.strong or STRONG[what]
    strong = strong if strong in references else proposal
    beside = [name for name in (arguments.beside,) if name]
    table = compare(system, {**agents, **{name: name for name in references}}, scenes=arguments.scenes, episode=episode)
    table.save(folder, f"{arguments.name}-comparison")
    print(table)
    timed = {**{recipe: runs[0] for recipe, runs in agents.items()}, **{name: name for name in references}}
    seconds = decision_times(system, timed, arguments.batch, arguments.repeats, episode)
    single = decision_times(system, timed, 1, 3 * arguments.repeats, episode)
    runs = {
        policy: [run for run in table.results if (run.group or run.name) == policy] for policy in (*agents, *references)
    }
    final = "objective" in system.final
    rows = []
    for policy in (*agents, *references):
        found = table.row(policy)
        row: dict[str, Any] = {"policy": policy, "runs": found["score_runs"]}
        row |= {key: found[key] for key in ("score", "score_low", "score_high", "score_min", "score_max", "score_iqm")}
        row |= {key: found[key] for key in ("gap_to_bound", "violation_rate", "violation_rate_runs")}
        row[f"gap_to_{proposal}"] = found["gap_to_reference"]
        row |= {key: found[key] for key in ("violation_rate_servable", "violation_rate_servable_runs")}
        row["ms_per_scene"], row["ms_single"] = 1e3 * seconds[policy], 1e3 * single[policy]
        for field in ("objective", "cost"):
            values = {name: np.stack([getattr(run, field) for run in runs[name]]) for name in {policy, proposal, strong, *beside}}
            row |= {field: float(values[policy].mean()), f"{field}_runs": values[policy].mean(axis=1).tolist()}
            for reference in sorted({proposal, strong, *beside} - {policy}):
                row |= estimate(f"{field}_against_{reference}", difference(values[policy], values[reference]))
        if system.bound_of == "score":
            row["bound_minus_score"] = float(np.mean(table.bound - np.mean([run.score for run in runs[policy]], axis=0)))
        physical = {name: float(np.mean([run.physical[name] for run in runs[policy]])) for name in runs[policy][0].physical}
        row["physical"] = physical
        for reference in (proposal, strong):
            row[f"{reference}_time_ratio"] = seconds[reference] / seconds[policy]
        for reference in (proposal, "prox_linear", strong, *beside):
            if reference not in references or reference == policy:
                continue
            for kind, value in table.against(policy, reference).items():
                row |= estimate(f"{kind}_against_{reference}", value)
        rows.append(row)
    print(f"\n{acceptance(rows, table.meta['counts'], strong, proposal)}\ntimes: CPU per scene in a batch of {arguments.batch}")
    write_csv(folder / f"{arguments.name}.csv", [{k: v for k, v in row.items() if k != "physical"} for row in rows])
    budget = {"minutes": arguments.minutes, "seeds": arguments.seeds, "batch": arguments.batch}
    budget |= {"strong": strong, "proposal": proposal, "beside": beside}
    write_json(folder / f"{arguments.name}.json", {"rows": rows, "meta": table.meta, **budget})
    key = "objective" if final else "penalised_score"
    curves(folder, arguments, {row["policy"]: row["objective" if final else "score"] for row in rows}, strong, proposal, key)


def estimate(name: str, found: Any) -> dict[str, float]:
    """A value and the ends of its interval."""
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}


def acceptance(rows: list[dict[str, Any]], counts: dict[str, int], strong: str, proposal: str) -> str:
    """What is claimed of an agent, one line per policy: score against the paper's proposal and the best local solver (paired,
    95 % intervals), violations among the servable scenes in every run, and how many times faster it decides in a batch."""

    def against(row: dict[str, Any], reference: str) -> str:
        ends = ("", "_low", "_high")
        if (key := f"mean_against_{reference}") not in row:
            return f"{'-':>24}"
        value, low, high = (row[f"{key}{end}"] for end in ends)
        return f"{value:+.3f} [{low:+.3f}, {high:+.3f}]".rjust(24)

    references = list(dict.fromkeys((proposal, strong)))
    heading = [*(f"minus {name}".rjust(24) for name in references), " ", *(f"{name}/time" for name in references)]
    lines = [
        f"{counts['scenes']} scenes, {counts['certified_infeasible']} certified infeasible and left out, {counts['servable']} "
        "served by some policy; violated: among these, per run",
        f"{'policy':<22} {' '.join(heading)}  violated",
    ]
    for row in rows:
        differences = " ".join(against(row, name) for name in references)
        times = " ".join(f"{row[f'{name}_time_ratio']:9.3g}" for name in references)
        violated = ", ".join(f"{100 * rate:.1f} %" for rate in row["violation_rate_servable_runs"])
        lines.append(f"{row['policy']:<22} {differences} {times}   {violated}")
    return "\n".join(lines)


def whole_curve(folder: Path) -> list[dict[str, float]]:
    """All validations of a run; its agent's own curve ends at the checkpoint that was kept."""
    from agents.runs import Run

    state = Run(folder).load_checkpoint() or {}
    for part in ("pauses", "callback"):
        if part in state:
            return list(state[part]["curve"])
    stored = json.loads((folder / "agent" / "agent.json").read_text(encoding="utf-8"))
    return list(stored["training"]["curve"])


def curves(
    folder: Path, arguments: argparse.Namespace, levels: dict[str, float], strong: str, proposal: str,
    key: str = "penalised_score",
) -> None:
    """Validation curves of every run, with the references' test scores as lines; right: the part near the best local solver.

    `key`: what is drawn; the final objective where the scores of training are of another kind."""
    import io

    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from agents.files import write_bytes

    figure, panels = plt.subplots(1, 2, figsize=(11.0, 5.2), layout="constrained")
    styles = {proposal: "--", strong: "-", "prox_linear": ":", "gradient": "-."}
    for axes in panels:
        for index, recipe in enumerate(arguments.recipes):
            runs = finished(folder, recipe, arguments.seeds)
            for run in runs:
                curve = whole_curve(run)
                axes.plot(
                    [point["seconds"] / 60.0 for point in curve],
                    [point[key] for point in curve],
                    color=f"C{index}",
                    alpha=0.8,
                    lw=1.2,
                    label=f"{label(recipe)} ({len(runs)} seeds)" if run is runs[0] else None,
                )
        for name, style in styles.items():
            if name in levels:
                axes.axhline(levels[name], ls=style, color="k", lw=1.0, label=f"{name} (test scenes)")
        axes.set(xlabel="CPU minutes of one core", ylabel=f"mean {key.replace('_', ' ')}, validation scenes")
        axes.grid(alpha=0.3)
    top = max(levels[strong], *(axes.dataLim.y1 for axes in panels))
    panels[1].set_ylim(levels[strong] - 0.2, top + 0.02)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    plt.close(figure)
    write_bytes(folder / f"{arguments.name}.png", buffer.getvalue())


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--system", default="beampattern", choices=sorted(RECIPES))
    parser.add_argument("--preset", help="named values of the system")
    parser.add_argument("--episode", help="form of episode with scenes of its own, for instance tracking (sets the preset, too)")
    parser.add_argument("--fields", default="{}", help="JSON object of parameters of the system, over the preset")
    parser.add_argument("--strong", help="the reference to be beaten; default: the one in benchmarks/recipes.py")
    parser.add_argument("--beside", help="one more reference that differences are taken to")
    parser.add_argument("--recipes", nargs="+", help="names in benchmarks/recipes.py; default: the main ones of the system")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=10.0, help="CPU minutes per run")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--scenes", type=int, default=100, help="frozen test scenes")
    parser.add_argument("--batch", type=int, default=256, help="scenes of the batch in which decision times are taken")
    parser.add_argument("--repeats", type=int, default=3, help="decision times are medians of so many")
    parser.add_argument("--folder", type=Path, default=Path("runs/learning"))
    parser.add_argument("--name", default="learning", help="files are <folder>/<name>.csv, .json, .png")
    parser.add_argument("--report", action="store_true", help="train nothing, report the runs that are there")
    parser.add_argument("--one", nargs=2, metavar=("RECIPE", "SEED"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    folder, known = Path(arguments.folder), RECIPES[arguments.system]
    arguments.recipes = arguments.recipes or list(MAIN.get(task(arguments.system, arguments.episode), ()))
    if unknown := sorted(set(arguments.recipes) - set(known)):
        parser.error(f"argument --recipes: {unknown} must be of {sorted(known)} for {arguments.system}")
    try:
        system = make_system(arguments.system, arguments.preset, arguments.fields, arguments.episode)
    except (ValueError, TypeError) as error:
        parser.error(str(error))
    if arguments.one:
        train_one(system, arguments.one[0], int(arguments.one[1]), arguments.minutes, folder)
        return
    folder.mkdir(parents=True, exist_ok=True)
    if not arguments.report:
        train_all(arguments, folder)
    report(arguments, folder)


if __name__ == "__main__":
    main()
