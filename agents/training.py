"""`train`: a learner (`agents.learners`: PPO by default) in a run that survives.

The run's folder holds the configuration, TensorBoard logs, the best agent so far by the validation score (the artefact) and a
private checkpoint. Killed at any moment, the same call goes on from the last checkpoint; with a budget of steps the result is,
byte for byte, the one of an uninterrupted run.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from agents.hyperparameters import (
    SECTIONS,
    AimSettings,
    EnvSettings,
    Hyperparameters,
    Network,
    PPOSettings,
    SACSettings,
    UnfoldedSettings,
)
from agents.hyperparameters import load as load_hyperparameters
from agents.learners import Learner, Setup, build
from agents.progress import Bars
from agents.runs import Run, open_run
from agents.scenes import FrozenScenes, frozen_scenes, generator, split_scenes

__all__ = ["TrainConfig", "TrainResult", "scene_sets", "train"]

PROPOSAL = "proposal"
"""Stands for the first of `baselines.names(system)`."""


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """A training run. Unset sections come from `agents/hyperparameters`."""

    system: Any = "beampattern"
    """The system, or the name of one."""
    algorithm: Literal["ppo", "sac", "unfolded", "aim"] = "ppo"
    """What learns; its settings are the section of the same name."""
    minutes: float | None = 3.0
    """Budget in minutes of `clock`."""
    steps: int | None = None
    """Budget in environment steps (over all parallel scenes), used in whole updates."""
    clock: Literal["wall", "cpu"] = "wall"
    """What `minutes` count."""
    seed: int = 0
    """Of the training scenes, the first weights and the exploration."""
    scenes: str | None = None
    """Train on the channels of this npz file; its test part is kept back."""
    name: str | None = None
    """Folder of the run under `folder`; None: continue an unfinished run of this configuration, else a new name."""
    folder: str = "runs"
    validation_scenes: int = 64
    """Size of the fixed validation set."""
    reference: str | None = PROPOSAL
    """Algorithm that the validation shows the gap to (`proposal`: the paper's); None: neither it nor the bound."""
    progress: bool = True
    """Show progress bars."""
    ppo: PPOSettings | None = None
    sac: SACSettings | None = None
    unfolded: UnfoldedSettings | None = None
    aim: AimSettings | None = None
    network: Network | None = None
    env: EnvSettings | None = None

    def resolved(self) -> tuple[Any, Hyperparameters]:
        """The system and the hyperparameters with all defaults filled in."""
        import ris_gym

        system = ris_gym.systems.make(self.system) if isinstance(self.system, str) else self.system
        defaults = load_hyperparameters(system.name)
        chosen = {name: getattr(self, name) or getattr(defaults, name) for name in SECTIONS}
        return system, Hyperparameters(**chosen)


@dataclasses.dataclass(frozen=True)
class TrainResult:
    """A finished run: its folder, the path of the agent, the validation curve, steps and seconds used."""

    folder: Path
    agent: Path
    curve: list[dict[str, float]]
    steps: int
    seconds: float


def scene_sets(
    system: Any, scenes: str | None, validation: int, csi_error: float, episode: str | None = None
) -> dict[str, FrozenScenes | None]:
    """Training (None: the sampler of the system or of the `episode`), validation and test scenes, disjoint."""
    if scenes is None:
        return {
            "train": None,
            "validation": frozen_scenes(system, "validation", validation, csi_error, episode=episode),
            "test": None,
        }
    import ris_gym

    return dict(split_scenes(ris_gym.load_scenes(scenes, system)[1], scenes, validation=validation))


def train(config: TrainConfig, complete: Callable[[Run], bool] = lambda run: run.finished) -> TrainResult:
    """Train an agent (see `TrainConfig`); resumes an interrupted run of the same configuration.

    `complete` says which runs are over; a caller with work after the training keeps a run open until that is done too.

    Raises:
        ValueError: an argument does not fit; the message names it and no file is changed.
        RunBusy: another process works in the named run.
    """
    import baselines
    from agents.callbacks import Budget

    system, hyper = config.resolved()
    if config.reference == PROPOSAL:
        config = dataclasses.replace(config, reference=baselines.names(system)[0])
    budget = Budget(config.minutes, config.steps, config.clock)
    if config.validation_scenes < 1:
        raise ValueError(f"validation_scenes must be at least 1, got {config.validation_scenes}")
    penalty = float(system.default_penalty if hyper.env.penalty is None else hyper.env.penalty)
    sets = scene_sets(system, config.scenes, config.validation_scenes, hyper.env.csi_error or 0.0, hyper.env.episode)
    setup = Setup(system=system, hyper=hyper, seed=config.seed, budget=budget, scenes=sets["train"], penalty=penalty)
    learner = build(config.algorithm, setup)
    described = {
        "algorithm": config.algorithm,
        "system": system.to_dict(),
        **hyper.of(config.algorithm),
        **{k: getattr(config, k) for k in ("minutes", "steps", "clock", "seed", "scenes", "validation_scenes", "reference")},
        "scene_sets": {name: None if part is None else part.describe() for name, part in sets.items()},
    }
    label = system.name if config.algorithm == "ppo" else f"{system.name}-{config.algorithm}"
    run = open_run(config.folder, config.name, f"{label}-s{config.seed}", described, complete)
    with run.lock():
        run.tidy()
        return _Training(setup, learner, config, run, sets, described).execute()


class _Training:
    """The parts of one run, wired: the learner, and everything around it that depends on no algorithm."""

    def __init__(
        self, setup: Setup, learner: Learner, config: TrainConfig, run: Run, sets: dict[str, Any], described: dict[str, Any]
    ) -> None:
        self.setup, self.learner, self.config, self.run = setup, learner, config, run
        self.budget, self.sets, self.described = setup.budget, sets, described
        learner.agent.name = run.folder.name

    def execute(self) -> TrainResult:
        """Prepare the references, train to the end of the budget, and return the result."""
        import torch

        from agents.callbacks import Pauses
        from agents.pictures import agent_picture
        from agents.validation import prepare

        if "OMP_NUM_THREADS" not in os.environ:
            torch.set_num_threads(1)  # networks this small lose time to a second thread
        learner, setup, scenes = self.learner, self.setup, self.sets["validation"]
        cache = self.run.folder / "validation.npz"
        with Bars(self.config.progress) as bars:
            validation = prepare(setup.system, scenes, setup.penalty, self.config.reference, cache, bars)
        self.pauses = Pauses(
            self.budget,
            learner,
            validation,
            improved=self._save_agent,
            checkpoint=self._save_checkpoint,
            reseed=self._reseed,
            picture=lambda: agent_picture(learner.agent, scenes.scene[0]),
            log=self.run.folder / "tensorboard",
            bar=self.config.progress,
            title=self.run.folder.name,
        )
        self.budget.resume(self._restore())
        self._reseed()
        if self.budget.fraction(learner.steps) < 1.0:
            with self.pauses:
                learner.learn(self.pauses)
                self.pauses.validate()
                self._save_checkpoint()
        result = TrainResult(self.run.folder, self.run.agent, self.pauses.curve, learner.steps, self.budget.elapsed())
        self.run.finish({"steps": result.steps, "seconds": result.seconds, "best_validation_score": self.pauses.best})
        learner.close()
        return result

    def _save_agent(self, curve: list[dict[str, float]]) -> None:
        from agents import artefact

        training = {
            "name": self.run.folder.name,
            "algorithm": self.config.algorithm,
            "seed": self.config.seed,
            "steps": self.learner.steps,
            "config": self.described,
            "curve": curve,
        }
        if self.budget.seconds is not None:  # else the artefact depends on nothing but the seed
            training["seconds"] = self.budget.elapsed()
        stored = artefact.Artefact(
            network=self.learner.network,
            system=self.setup.system.to_dict(),
            env=self.learner.env,
            interface=self.learner.interface,
            weights=self.learner.weights(),
            training=training,
        )
        artefact.write(self.run.agent, stored)

    def _save_checkpoint(self) -> None:
        self.run.save_checkpoint(
            {"learner": self.learner.state(), "seconds": self.budget.elapsed(), "pauses": self.pauses.state()}
        )

    def _restore(self) -> float:
        """Go back to the last checkpoint, if there is one; the seconds used until then."""
        state = self.run.load_checkpoint()
        if state is None:
            return 0.0
        try:
            self.learner.restore(state["learner"])
            self.pauses.restore(state["pauses"])
            return float(state["seconds"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise self.run.bad_checkpoint(error) from None

    def _reseed(self) -> None:
        """Set every stream from the seed and the number of steps done, and begin new episodes."""
        self.learner.reseed(generator("stream", self.config.seed, self.learner.steps))
