"""`ris-gym demo`: train an agent for some minutes, compare it with the optimisers on unseen scenes, and leave the files."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from agents.comparison import available, compare
from agents.progress import Bars
from agents.runs import Run
from agents.scenes import frozen_scenes
from agents.training import TrainConfig, scene_sets, train

__all__ = ["Demo", "demo"]

POLICIES = (
    "ao", "joint", "direct", "separate", "information_only", "transmit_only", "zero_forcing", "prox_linear", "gradient", "random",
)  # fmt: skip
"""What an agent is compared with, as far as the system has it."""


@dataclasses.dataclass(frozen=True)
class Demo:
    """Train an agent and compare it with the optimisers on frozen unseen scenes."""

    system: Any
    algorithm: Literal["ppo", "sac", "unfolded"] = "ppo"
    """`ppo`, `sac`: reinforcement learning in refinement episodes; `unfolded`: through the differentiable physics."""
    minutes: float = 3.0
    """Wall time of the training."""
    steps: int | None = None
    """Budget in environment steps, beside the minutes."""
    scenes: str | None = None
    """Your own channels (npz); a part of the file is kept back for validation and test."""
    count: int = 100
    """Number of unseen scenes of the comparison."""
    validation_scenes: int = 32
    """Size of the validation set during training."""
    policies: tuple[str, ...] | None = None
    """What the agent is compared with; names that do not apply to the system are left out. None: the usual ones."""
    seed: int = 0
    folder: str = "runs"
    progress: bool = True
    """Show progress bars."""


def demo(config: Demo) -> Any:
    """Run the demo and return the table. Interrupted at any moment, the same call goes on."""
    if config.count < 1:
        raise ValueError(f"count must be at least 1, got {config.count}")
    system = config.system
    training = TrainConfig(
        system=system,
        algorithm=config.algorithm,
        minutes=config.minutes,
        steps=config.steps,
        seed=config.seed,
        scenes=config.scenes,
        folder=config.folder,
        validation_scenes=config.validation_scenes,
        progress=config.progress,
    )
    what = f"{config.algorithm} on {system.name} for {config.minutes:g} minutes"
    print(f"1/2  training {what} (after reference values of the validation scenes)")
    result = train(training, complete=_complete)
    names = available(system, config.policies or POLICIES)
    if missing := sorted(set(config.policies or ()) - set(names)):
        print(f"     not available for {system.name}: {', '.join(missing)}")
    episode = training.resolved()[1].env.episode
    kept = scene_sets(system, config.scenes, config.validation_scenes, 0.0, episode)["test"]
    scenes = frozen_scenes(system, "test", config.count, episode=episode) if kept is None else kept.first(config.count)
    print(f"2/2  comparing on {len(scenes)} unseen scenes ({scenes.name})")
    with Bars(config.progress) as bars:
        table = compare(system, {"agent": str(result.agent), **{n: n for n in names}}, scenes, progress=bars)
    print(table)
    print("\nfiles:")
    for path in [result.agent, *table.save(result.folder, "comparison")]:
        print(f"  {path}")
    print(f"\ncurves and pictures:\n  .venv/bin/tensorboard --logdir {config.folder}      then open http://localhost:6006")
    return table


def _complete(run: Run) -> bool:
    return run.finished and (run.folder / "comparison.png").exists()
