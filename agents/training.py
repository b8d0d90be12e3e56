"""`train`: PPO (Stable-Baselines3) in refinement episodes over the native vector environment.

The run's folder holds the configuration, TensorBoard logs, the best agent so far by the validation score (the artefact) and a
private checkpoint. Killed at any moment, the same call goes on from the last checkpoint; with a budget of steps the result is
the one of an uninterrupted run.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from agents.hyperparameters import EnvSettings, Hyperparameters, Network, PPOSettings
from agents.hyperparameters import load as load_hyperparameters
from agents.progress import Bars
from agents.runs import Run, open_run
from agents.scenes import FrozenScenes, frozen_scenes, generator, split_scenes

__all__ = ["TrainConfig", "TrainResult", "scene_sets", "train"]


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """A training run. Unset sections come from `agents/hyperparameters`."""

    system: Any = "beampattern"
    """The system, or the name of one."""
    minutes: float | None = 3.0
    """Budget in minutes of `clock`."""
    steps: int | None = None
    """Budget in environment steps (over all parallel scenes)."""
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
    reference: str | None = "ao"
    """Algorithm that the validation shows the gap to; None: neither it nor the bound."""
    progress: bool = True
    """Show progress bars."""
    ppo: PPOSettings | None = None
    network: Network | None = None
    env: EnvSettings | None = None

    def resolved(self) -> tuple[Any, Hyperparameters]:
        """The system and the hyperparameters with all defaults filled in."""
        import ris_gym

        system = ris_gym.systems.make(self.system) if isinstance(self.system, str) else self.system
        defaults = load_hyperparameters(system.name)
        chosen = {name: getattr(self, name) or getattr(defaults, name) for name in ("ppo", "network", "env")}
        return system, Hyperparameters(**chosen)


@dataclasses.dataclass(frozen=True)
class TrainResult:
    """A finished run: its folder, the path of the agent, the validation curve, steps and seconds used."""

    folder: Path
    agent: Path
    curve: list[dict[str, float]]
    steps: int
    seconds: float


def scene_sets(system: Any, scenes: str | None, validation: int, csi_error: float) -> dict[str, FrozenScenes | None]:
    """Training (None: the sampler), validation and test scenes, disjoint."""
    if scenes is None:
        return {
            "train": None,
            "validation": frozen_scenes(system, "validation", validation, csi_error),
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
    from agents.callbacks import Budget

    system, hyper = config.resolved()
    budget = Budget(config.minutes, config.steps, config.clock)
    if config.validation_scenes < 1:
        raise ValueError(f"validation_scenes must be at least 1, got {config.validation_scenes}")
    env_kwargs = hyper.env.kwargs()
    penalty = float(system.default_penalty if hyper.env.penalty is None else hyper.env.penalty)
    sets = scene_sets(system, config.scenes, config.validation_scenes, hyper.env.csi_error or 0.0)
    env = _environment(system, hyper, env_kwargs, sets["train"])
    described = {
        "system": system.to_dict(),
        **dataclasses.asdict(hyper),
        **{k: getattr(config, k) for k in ("minutes", "steps", "clock", "seed", "scenes", "validation_scenes", "reference")},
        "scene_sets": {name: None if part is None else part.describe() for name, part in sets.items()},
    }
    run = open_run(config.folder, config.name, f"{system.name}-s{config.seed}", described, complete)
    with run.lock():
        return _Training(system, hyper, config, budget, run, env, env_kwargs, sets, penalty, described).execute()


def _environment(
    system: Any, hyper: Hyperparameters, env_kwargs: dict[str, Any], scenes: FrozenScenes | None
) -> tuple[Any, Any]:
    """The environment as Stable-Baselines3 and as Gymnasium see it; raises for a network that does not fit it."""
    import ris_gym
    from agents.policy import env_interface, interface_features, make_vector_env

    more = {} if scenes is None else {"scenes": scenes.scene}
    vector = make_vector_env(system, hyper.ppo.num_envs, env_kwargs, autoreset_mode="SameStep", **more)
    interface_features(env_interface(vector), hyper.network.spec())
    return ris_gym.as_sb3(vector), vector


class _Training:
    """The parts of one run, wired."""

    def __init__(
        self,
        system: Any,
        hyper: Hyperparameters,
        config: TrainConfig,
        budget: Any,
        run: Run,
        env: tuple[Any, Any],
        env_kwargs: dict[str, Any],
        sets: dict[str, FrozenScenes | None],
        penalty: float,
        described: dict[str, Any],
    ) -> None:
        from agents.policy import Agent, env_interface, interface_features

        self.system, self.hyper, self.config, self.budget, self.run = system, hyper, config, budget, run
        self.env, vector = env
        self.env_kwargs, self.sets, self.penalty, self.described = env_kwargs, sets, penalty, described
        self.spec = hyper.network.spec()
        self.interface = env_interface(vector)
        self.features = interface_features(self.interface, self.spec)
        self.model = self._model()
        self.agent = Agent(system, self.model.policy.actor, env_kwargs, self.spec, run.folder.name, penalty)

    def _model(self) -> Any:
        from stable_baselines3 import PPO

        from agents.networks import AgentPolicy

        ppo = self.hyper.ppo
        rollout = ppo.num_envs * ppo.n_steps

        def rate(_: float) -> float:
            left = 1.0 - self.budget.fraction(self.model.num_timesteps if hasattr(self, "model") else 0)
            return ppo.final_learning_rate + (ppo.learning_rate - ppo.final_learning_rate) * left

        return PPO(
            AgentPolicy,
            self.env,
            learning_rate=rate,
            n_steps=ppo.n_steps,
            batch_size=min(ppo.batch_size, rollout),
            n_epochs=ppo.n_epochs,
            gamma=ppo.gamma,
            gae_lambda=ppo.gae_lambda,
            clip_range=ppo.clip_range,
            ent_coef=ppo.ent_coef,
            vf_coef=ppo.vf_coef,
            max_grad_norm=ppo.max_grad_norm,
            policy_kwargs={"network": self.spec, "features": self.features, "log_std_init": ppo.log_std_init},
            seed=self.config.seed,
            device="cpu",
        )

    def execute(self) -> TrainResult:
        """Prepare the references, train to the end of the budget, and return the result."""
        import torch
        from stable_baselines3.common.logger import configure

        from agents.callbacks import RunCallback
        from agents.pictures import agent_picture
        from agents.validation import prepare

        if "OMP_NUM_THREADS" not in os.environ:
            torch.set_num_threads(1)  # networks this small lose time to a second thread
        scenes = self.sets["validation"]
        assert scenes is not None
        cache = self.run.folder / "validation.npz"
        with Bars(self.config.progress) as bars:
            validation = prepare(self.system, scenes, self.penalty, self.config.reference, cache, bars)
        self.model.set_logger(configure(str(self.run.folder / "tensorboard"), ["tensorboard"]))
        self.callback = RunCallback(
            self.budget,
            validation,
            self.agent,
            improved=self._save_agent,
            checkpoint=self._save_checkpoint,
            reseed=self._reseed,
            picture=lambda: agent_picture(self.agent, scenes.scene[0]),
            bar=self.config.progress,
            title=self.run.folder.name,
        )
        resumed = self._restore()
        if not resumed:
            self.budget.resume()
            self._reseed()
        if self.budget.fraction(self.model.num_timesteps) < 1.0:
            total = self.config.steps if self.config.steps is not None else 10**12
            self.model.learn(total - (self.model.num_timesteps if resumed else 0), self.callback, reset_num_timesteps=not resumed)
            self.callback.validate()
            self._save_checkpoint()
        result = TrainResult(
            self.run.folder, self.run.agent, self.callback.curve, int(self.model.num_timesteps), self.budget.elapsed()
        )
        self.run.finish({"steps": result.steps, "seconds": result.seconds, "best_validation_score": self.callback.best})
        self.model.logger.close()
        self.env.close()
        return result

    def _save_agent(self, curve: list[dict[str, float]]) -> None:
        from agents import artefact

        weights = {f"actor.{k}": v.detach().cpu().numpy() for k, v in self.model.policy.actor.state_dict().items()}
        weights["log_std"] = self.model.policy.log_std.detach().cpu().numpy()
        stored = artefact.Artefact(
            network=self.spec,
            system=self.system.to_dict(),
            env={"id": self._id(), "kwargs": self.env_kwargs},
            interface=self.interface,
            weights=weights,
            training={
                "name": self.run.folder.name,
                "seed": self.config.seed,
                "seconds": self.budget.elapsed(),
                "steps": int(self.model.num_timesteps),
                "config": self.described,
                "curve": curve,
            },
        )
        artefact.write(self.run.agent, stored)

    def _id(self) -> str:
        import ris_gym

        identity: str = ris_gym.registry.get(self.system.name).id
        return identity

    def _save_checkpoint(self) -> None:
        self.run.save_checkpoint(
            {
                "policy": self.model.policy.state_dict(),
                "optimizer": self.model.policy.optimizer.state_dict(),
                "num_timesteps": int(self.model.num_timesteps),
                "updates": int(self.model._n_updates),
                "seconds": self.budget.elapsed(),
                "callback": self.callback.state(),
            }
        )

    def _restore(self) -> bool:
        state = self.run.load_checkpoint()
        if state is None:
            return False
        self.model.policy.load_state_dict(state["policy"])
        self.model.policy.optimizer.load_state_dict(state["optimizer"])
        self.model.num_timesteps = state["num_timesteps"]
        self.model._n_updates = state["updates"]
        self.callback.restore(state["callback"])
        self.budget.resume(state["seconds"])
        self._reseed()
        return True

    def _reseed(self) -> None:
        """Set every stream (scenes, exploration, batches) from the seed and the number of steps done, and begin new episodes."""
        import torch

        rng = generator("stream", self.config.seed, int(self.model.num_timesteps))
        words = [int(word) for word in rng.integers(2**31, size=3)]
        torch.manual_seed(words[0])
        np.random.seed(words[1])  # noqa: NPY002 - Stable-Baselines3 shuffles batches with the global stream
        self.env.seed(words[2])
        self.model._last_obs = self.env.reset()
        self.model._last_episode_starts = np.ones(self.env.num_envs, dtype=bool)
