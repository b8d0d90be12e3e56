"""PPO (Stable-Baselines3) over the native vector environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from agents.learners.base import Setup
from agents.learners.rollout import RolloutLearner

__all__ = ["build"]


def build(setup: Setup) -> PPOLearner:
    """The learner of `setup.hyper.ppo`."""
    return PPOLearner(setup)


class PPOLearner(RolloutLearner):
    """Proximal policy optimisation with the actor of `agents.networks`: a Gaussian around it, or its logits of indices."""

    discrete = True

    def __init__(self, setup: Setup) -> None:
        from stable_baselines3 import PPO

        from agents.networks import AgentPolicy

        ppo = setup.hyper.ppo
        super().__init__(setup, ppo.num_envs, setup.hyper.network.spec())
        self._rollout = ppo.num_envs * ppo.n_steps
        model: Any = PPO(
            AgentPolicy,
            self._env,
            learning_rate=self._schedule(ppo.learning_rate, ppo.final_learning_rate),
            n_steps=ppo.n_steps,
            batch_size=min(ppo.batch_size, self._rollout),
            n_epochs=ppo.n_epochs,
            gamma=ppo.gamma,
            gae_lambda=ppo.gae_lambda,
            clip_range=ppo.clip_range,
            ent_coef=ppo.ent_coef,
            vf_coef=ppo.vf_coef,
            max_grad_norm=ppo.max_grad_norm,
            policy_kwargs={"network": self.network, "features": self.features, "log_std_init": ppo.log_std_init},
            seed=setup.seed,
            device="cpu",
        )
        self._begin(model, model.policy.actor)

    def learn(self, pause: Callable[[], bool]) -> None:
        """A rollout and its epochs between two pauses."""
        self._learn(pause, self._rollout)

    def weights(self) -> dict[str, np.ndarray]:
        """The actor, and the deviation of its exploration (discrete actions have none)."""
        if self.features.alphabet is not None:
            return super().weights()
        return {**super().weights(), "log_std": self.model.policy.log_std.detach().cpu().numpy().copy()}

    def state(self) -> dict[str, Any]:
        """Networks, counters, optimiser."""
        return {**super().state(), "optimizer": self.model.policy.optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of `state`."""
        super().restore(state)
        self.model.policy.optimizer.load_state_dict(state["optimizer"])
