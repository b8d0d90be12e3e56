"""What every training algorithm is to a run: the `Learner`, built from a `Setup`.

The run (`agents.training`) owns the folder, the lock, the budget, the validation scenes, TensorBoard, the artefact and the
checkpoint; it knows no algorithm. A learner owns networks, optimisers and, if it has one, the environment; it writes no file.
A learner is a module `agents/learners/<name>.py` with

    build(setup: Setup) -> Learner

named in `agents.learners.LEARNERS`. A learner whose agents are not an actor of `agents.networks` also has

    load(stored: Artefact, system, penalty: float | None, steps: int | None, name: str) -> policy

named in `agents.learners.KINDS` under its `network["kind"]`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from agents.callbacks import Budget
    from agents.hyperparameters import Hyperparameters
    from agents.scenes import FrozenScenes

__all__ = ["Learner", "Setup"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setup:
    """What a learner is built from.

    Args:
        system: the system to learn in.
        hyper: all sections; a learner reads its own (`hyper.ppo`, ...), `hyper.network` and `hyper.env` as far as they apply.
        seed: of the first weights. All later randomness comes from `Learner.reseed`.
        budget: `budget.fraction(steps)` in [0, 1] is what a schedule (learning rate, ...) may depend on; it depends on nothing
            but `steps` if only steps are limited, so that equal seeds give equal runs.
        scenes: train on these; None: draw fresh ones from the system's sampler.
        penalty: of the penalised score `score - penalty * cost`.
    """

    system: Any
    hyper: Hyperparameters
    seed: int
    budget: Budget
    scenes: FrozenScenes | None
    penalty: float


class Learner(Protocol):
    """A training algorithm in a run.

    `build` is called before the folder of the run exists: settings that do not fit are a ValueError that leaves nothing
    behind, and nothing expensive is done. Then the run calls `restore` if there is a checkpoint, `reseed`, and `learn`.
    A run that is killed at any moment and resumed equals one that was not, bit for bit, if (a) `state` holds all that
    `learn` depends on except random streams and running episodes, and (b) those begin anew in `reseed`, which the run
    calls after every checkpoint as well as after `restore`.
    """

    agent: Any
    """The live policy, like those of `baselines`: `solve(known, rng) -> Solution`; its `name` is set by the run."""
    network: dict[str, Any]
    """Description stored in the artefact (JSON); `network["kind"]` says which loader rebuilds the agent."""
    env: dict[str, Any]
    """`{"id": "ris_gym/...-v0", "kwargs": {...}}` stored in the artefact; `kwargs` is {} where there is no environment."""
    interface: dict[str, Any]
    """Layout of observation and action stored in the artefact (JSON); {} where there is no environment."""

    @property
    def steps(self) -> int:
        """Environment steps (over all parallel scenes), or evaluations of a scene, done so far: what a budget of steps counts."""

    def learn(self, pause: Callable[[], bool]) -> None:
        """Train until `pause()` is False.

        `pause` is called before the first update and between updates, when `agent`, `weights`, `state` and `steps` agree.
        The run may call any method of the learner from inside of it. It is cheap if nothing is due.
        """

    def weights(self) -> dict[str, np.ndarray]:
        """What the artefact stores: name -> array of finite numbers."""

    def state(self) -> dict[str, Any]:
        """Everything that a restart needs: tensors, arrays, numbers, strings, None, and dicts and lists of those.

        It may refer to the live ones: the run writes it to disk at once.
        """

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of `state`; arrays come back as tensors. KeyError, ValueError or RuntimeError if it does not fit."""

    def reseed(self, rng: np.random.Generator) -> None:
        """Set every random stream (scenes, exploration, batches) from `rng`, and begin new episodes."""

    def scalars(self) -> dict[str, float]:
        """Numbers for TensorBoard, by tag (`train/loss`, `rollout/ep_rew_mean`, ...)."""

    def close(self) -> None:
        """Release environments; nothing is called after it."""
