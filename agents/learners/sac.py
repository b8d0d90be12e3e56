"""SAC (Stable-Baselines3) over the native vector environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from agents.learners.base import Setup
from agents.learners.rollout import RolloutLearner

__all__ = ["build"]


def build(setup: Setup) -> SACLearner:
    """The learner of `setup.hyper.sac`."""
    return SACLearner(setup)


class SACLearner(RolloutLearner):
    """Soft actor-critic with the actor of `agents.networks`. All scenes step together; then come some gradient steps.

    The end of an episode by its nature (`refine`, `one_shot`) is terminal; one by a time limit (`fading`) is bootstrapped from
    the last observation.
    """

    def __init__(self, setup: Setup) -> None:
        from agents.learners.sac_networks import AgentSACPolicy, GatheredReplayBuffer, GentleSAC, read_by

        sac = setup.hyper.sac
        super().__init__(setup, sac.num_envs, setup.hyper.network.spec() | {"squash": True})
        self._update = sac.num_envs * sac.train_freq
        model = GentleSAC(
            AgentSACPolicy,
            self._env,
            learning_rate=self._schedule(sac.learning_rate, sac.final_learning_rate),
            buffer_size=sac.buffer_size,
            learning_starts=sac.learning_starts,
            batch_size=sac.batch_size,
            tau=sac.tau,
            gamma=sac.gamma,
            train_freq=sac.train_freq,
            gradient_steps=sac.gradient_steps,
            replay_buffer_class=GatheredReplayBuffer,
            replay_buffer_kwargs={"reads": read_by(self.features, self.network)},
            ent_coef=f"auto_{sac.ent_coef}",
            target_entropy=sac.target_entropy * self.features.action_size,
            policy_kwargs={
                "network": self.network,
                "features": self.features,
                "critic_hidden": sac.critic_hidden,
                "log_std_init": sac.log_std_init,
            },
            seed=setup.seed,
            device="cpu",
        )
        model.critic_first = sac.critic_first
        self._begin(model, model.policy.actor.mean)

    def learn(self, pause: Callable[[], bool]) -> None:
        """Some steps of all scenes and some gradient steps between two pauses."""
        self._learn(pause, self._update)

    def weights(self) -> dict[str, np.ndarray]:
        """The actor, and the deviation of its exploration before the squashing."""
        return {**super().weights(), "log_std": self.model.policy.actor.log_std.detach().cpu().numpy().copy()}

    def scalars(self) -> dict[str, float]:
        """And the mean deviation of the exploration."""
        return {**super().scalars(), "train/std": float(self.model.policy.actor.log_std.detach().exp().mean())}

    def state(self) -> dict[str, Any]:
        """Networks, counters, optimisers, weight of the entropy, replay buffer."""
        model = self.model
        return {
            **super().state(),
            "actor_optimizer": model.actor.optimizer.state_dict(),
            "critic_optimizer": model.critic.optimizer.state_dict(),
            "entropy_optimizer": model.ent_coef_optimizer.state_dict(),
            "log_ent_coef": model.log_ent_coef.detach(),
            "replay": model.replay_buffer.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of `state`."""
        super().restore(state)
        model = self.model
        model.actor.optimizer.load_state_dict(state["actor_optimizer"])
        model.critic.optimizer.load_state_dict(state["critic_optimizer"])
        model.ent_coef_optimizer.load_state_dict(state["entropy_optimizer"])
        model.log_ent_coef.data.copy_(state["log_ent_coef"])
        model.replay_buffer.restore(state["replay"])
