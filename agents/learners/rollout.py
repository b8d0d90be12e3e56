"""What the learners of Stable-Baselines3 share: the native vector environment, the live agent, streams and logged numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from agents.learners.base import Setup

__all__ = ["RolloutLearner"]


class RolloutLearner:
    """The part of a `Learner` around an algorithm of Stable-Baselines3.

    A subclass sets `model` and `agent`, and says what `state` holds beside the policy.

    Args:
        num_envs: parallel scenes; network: description of the actor.

    Raises:
        ValueError: the environment's keywords or the network do not fit, or actions are discrete and the algorithm has no
            policy for those (`discrete`).
    """

    discrete = False
    model: Any = None
    agent: Any

    def __init__(self, setup: Setup, num_envs: int, network: dict[str, Any]) -> None:
        import ris_gym
        from agents.policy import env_interface, interface_features, make_vector_env

        self.setup, self.network = setup, network
        kwargs = self._kwargs = setup.hyper.env.kwargs()
        more = {} if setup.scenes is None else {"scenes": setup.scenes.scene}
        self._vector = make_vector_env(setup.system, num_envs, kwargs, autoreset_mode="SameStep", **more)
        self.env: dict[str, Any] = {"id": ris_gym.registry.get(setup.system.name).id, "kwargs": kwargs}
        self.interface = env_interface(self._vector)
        self.features = interface_features(self.interface, network)
        if self.features.alphabet is not None and not self.discrete:
            self._vector.close()
            name = type(self).__module__.rpartition(".")[2]
            raise ValueError(f"algorithm {name!r} needs env.action='box', got 'discrete'; 'ppo' learns both")
        self._env = ris_gym.as_sb3(self._vector)

    def _begin(self, model: Any, actor: Any) -> None:
        """Take the algorithm and its actor."""
        from stable_baselines3.common.logger import Logger

        from agents.policy import Agent

        self.model, self.actor = model, actor
        model.set_logger(Logger(folder=None, output_formats=[]))
        self.agent = Agent(self.setup.system, actor, self._kwargs, self.network, penalty=self.setup.penalty)

    def _schedule(self, first: float, last: float) -> Callable[[float], float]:
        """A learning rate that falls linearly from `first` to `last` over the budget (the argument of the result is unused)."""

        def rate(_: float) -> float:
            return last + (first - last) * (1.0 - self.setup.budget.fraction(self.steps))

        return rate

    @property
    def steps(self) -> int:
        """Environment steps over all parallel scenes."""
        return 0 if self.model is None else int(self.model.num_timesteps)

    def _learn(self, pause: Callable[[], bool], update: int) -> None:
        """Call the algorithm for `update` steps, its time between two updates, again and again."""
        while pause():
            self.model.learn(update, log_interval=None, reset_num_timesteps=False)

    def weights(self) -> dict[str, np.ndarray]:
        """The actor."""
        return {f"actor.{key}": value.detach().cpu().numpy().copy() for key, value in self.actor.state_dict().items()}

    def state(self) -> dict[str, Any]:
        """Networks and counters."""
        model = self.model
        return {"policy": model.policy.state_dict(), "num_timesteps": self.steps, "updates": int(model._n_updates)}

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of `state`."""
        self.model.policy.load_state_dict(state["policy"])
        self.model.num_timesteps, self.model._n_updates = int(state["num_timesteps"]), int(state["updates"])

    def reseed(self, rng: np.random.Generator) -> None:
        """Seed torch, numpy's global stream, and the environment, and begin new episodes."""
        import torch

        words = [int(word) for word in rng.integers(2**31, size=3)]
        torch.manual_seed(words[0])
        np.random.seed(words[1])  # noqa: NPY002 - Stable-Baselines3 draws batches from the global stream
        self._env.seed(words[2])
        self.model._last_obs = self._env.reset()
        self.model._last_episode_starts = np.ones(self._env.num_envs, dtype=bool)

    def scalars(self) -> dict[str, float]:
        """Returns and success of the last episodes, and what the algorithm recorded."""
        recorded = {key: float(value) for key, value in self.model.logger.name_to_value.items()}
        episodes = self.model.ep_info_buffer or []
        if episodes:
            recorded["rollout/ep_rew_mean"] = float(np.mean([episode["r"] for episode in episodes]))
            recorded["rollout/ep_len_mean"] = float(np.mean([episode["l"] for episode in episodes]))
        if self.model.ep_success_buffer:
            recorded["rollout/success_rate"] = float(np.mean(self.model.ep_success_buffer))
        return recorded

    def close(self) -> None:
        """Release the environment."""
        self._env.close()
