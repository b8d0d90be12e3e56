"""The networks of SAC: a squashed Gaussian around the actor of `agents.networks`, and critics of observation and action."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.distributions import SquashedDiagGaussianDistribution
from stable_baselines3.sac import SAC
from stable_baselines3.sac.policies import SACPolicy
from torch import nn

from agents.features import FeatureMap
from agents.networks import FlatNetwork, TokenEncoder, build_actor

__all__ = ["AgentSACPolicy", "GatheredReplayBuffer", "GentleSAC", "read_by"]

LOG_STD = (-6.0, 1.0)
"""Range of the logarithm of the standard deviation before the squashing."""


def read_by(features: FeatureMap, network: Mapping[str, Any]) -> np.ndarray:
    """Sorted positions of the observation that the networks of a description read."""
    if network["kind"] == "flat":
        return np.arange(features.observation_size)
    parts = [features.globals, *(g.inputs.ravel() for g in features.groups), *(g.directions.ravel() for g in features.groups)]
    return np.unique(np.concatenate(parts))


class SquashedActor(nn.Module):
    """`tanh(mean(observation) + std * normal)`, one learned deviation per entry of the action."""

    def __init__(self, mean: nn.Module, actions: int, log_std_init: float) -> None:
        super().__init__()
        self.mean = mean
        self.log_std = nn.Parameter(torch.full((actions,), float(log_std_init)))
        self.distribution = SquashedDiagGaussianDistribution(actions)

    optimizer: torch.optim.Optimizer

    def _parameters_at(self, observation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean = self.mean(observation)
        return mean, self.log_std.clamp(*LOG_STD).expand_as(mean)

    def forward(self, observation: torch.Tensor, deterministic: bool = False) -> torch.Tensor:
        """Actions (B, n) in (-1, 1)."""
        return self.distribution.actions_from_params(*self._parameters_at(observation), deterministic=deterministic)

    def action_log_prob(self, observation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Drawn actions (B, n) and the logarithm of their densities (B,)."""
        return self.distribution.log_prob_from_params(*self._parameters_at(observation))

    def set_training_mode(self, mode: bool) -> None:
        """As Stable-Baselines3 calls it."""
        self.train(mode)


class TokenCritic(nn.Module):
    """Q(observation, action) from tokens: every token sees its own part of the action.

    The last layers also get, of every group, the means over its entries of `direction_d * action` and of `action^2`: what a step
    gains to first order, and how far it goes.
    """

    def __init__(self, features: FeatureMap, hidden: int) -> None:
        super().__init__()
        size = features.observation_size
        self.groups = tuple(
            dataclasses.replace(group, inputs=np.concatenate([group.inputs, size + group.outputs], axis=1))
            for group in features.groups
        )
        self.num_directions = len(features.directions)
        for group in features.groups:
            self.register_buffer(f"out_{group.name}", torch.as_tensor(group.outputs.ravel()), persistent=False)
            self.register_buffer(f"along_{group.name}", torch.as_tensor(group.directions.ravel()), persistent=False)
        self.encoder = TokenEncoder(dataclasses.replace(features, groups=self.groups), hidden)
        self.head = nn.Sequential(
            nn.Linear(hidden + (self.num_directions + 1) * len(self.groups), hidden), nn.ReLU(), nn.Linear(hidden, 1)
        )

    def forward(self, observation: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        """Values (B, 1)."""
        _, context = self.encoder(torch.cat([observation, action], dim=1))
        parts = [context]
        for group in self.groups:
            own = action.index_select(1, self.get_buffer(f"out_{group.name}"))
            along = observation.index_select(1, self.get_buffer(f"along_{group.name}")).view(len(own), self.num_directions, -1)
            parts += [(along @ own[:, :, None])[:, :, 0] / own.shape[1], own.square().mean(dim=1, keepdim=True)]
        out: torch.Tensor = self.head(torch.cat(parts, dim=1))
        return out


class FlatCritic(nn.Module):
    """Q(observation, action): a plain multilayer perceptron over both."""

    def __init__(self, features: FeatureMap, hidden: int) -> None:
        super().__init__()
        self.net = FlatNetwork(features.observation_size + features.action_size, 1, hidden, None)

    def forward(self, observation: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        """Values (B, 1)."""
        out: torch.Tensor = self.net(torch.cat([observation, action], dim=1))
        return out


class Critics(nn.Module):
    """Two critics, of which the lower one counts."""

    def __init__(self, kind: str, features: FeatureMap, hidden: int) -> None:
        super().__init__()
        cls = TokenCritic if kind == "token" else FlatCritic
        self.critics = nn.ModuleList([cls(features, hidden) for _ in range(2)])

    optimizer: torch.optim.Optimizer

    def forward(self, observation: torch.Tensor, action: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Values (B, 1) of each."""
        return tuple(critic(observation, action) for critic in self.critics)

    def set_training_mode(self, mode: bool) -> None:
        """As Stable-Baselines3 calls it."""
        self.train(mode)


class AgentSACPolicy(SACPolicy):
    """The actor of `build_actor`, squashed, and two critics, as a Stable-Baselines3 policy.

    Args:
        network: the description for `build_actor`.
        features: the gathering of observation and action.
        critic_hidden: width of the critics.
        log_std_init: logarithm of the first standard deviation.
    """

    def __init__(
        self,
        *args: Any,
        network: Mapping[str, Any],
        features: FeatureMap,
        critic_hidden: int = 64,
        log_std_init: float = -2.0,
        **kwargs: Any,
    ) -> None:
        self._network, self._features = dict(network), features
        self._critic_hidden, self._log_std_init = critic_hidden, log_std_init
        super().__init__(*args, **kwargs)

    def make_actor(self, features_extractor: Any = None) -> Any:
        """The squashed actor."""
        mean = build_actor(self._network, self._features)
        return SquashedActor(mean, self._features.action_size, self._log_std_init)

    def make_critic(self, features_extractor: Any = None) -> Any:
        """Two critics."""
        return Critics(self._network["kind"], self._features, self._critic_hidden)


class GatheredReplayBuffer(ReplayBuffer):
    """A replay buffer that stores only the entries `reads` of observations; the others come back as zeros."""

    def __init__(
        self, buffer_size: int, observation_space: Any, action_space: Any, *args: Any, reads: np.ndarray, **kw: Any
    ) -> None:
        from gymnasium.spaces import Box

        self.reads, self._index, self.width = reads, torch.as_tensor(reads), int(observation_space.shape[0])
        gathered = Box(observation_space.low[reads], observation_space.high[reads], dtype=observation_space.dtype)
        super().__init__(buffer_size, gathered, action_space, *args, **kw)

    def add(self, obs: Any, next_obs: Any, action: Any, reward: Any, done: Any, infos: list[dict[str, Any]]) -> None:
        """Store transitions of all scenes. What follows a natural end is stored as zeros: nothing is bootstrapped from it."""
        following = next_obs[:, self.reads]
        following[[bool(end) and not info.get("TimeLimit.truncated", False) for end, info in zip(done, infos, strict=True)]] = 0
        super().add(obs[:, self.reads], following, action, reward, done, infos)

    def _get_samples(self, *args: Any, **kw: Any) -> Any:
        samples = super()._get_samples(*args, **kw)
        return samples._replace(
            observations=self._whole(samples.observations), next_observations=self._whole(samples.next_observations)
        )

    def _whole(self, gathered: torch.Tensor) -> torch.Tensor:
        whole = gathered.new_zeros(len(gathered), self.width)
        return whole.index_copy_(1, self._index, gathered)

    _ARRAYS = ("observations", "actions", "rewards", "dones", "timeouts")

    def state(self) -> dict[str, Any]:
        """The stored transitions. Of the next observations only those that are neither zeros nor the observations of the step
        after, which they are inside of an episode."""
        filled = self.buffer_size if self.full else self.pos
        following = self.next_observations[:filled]
        same = np.zeros(following.shape[:2], bool)
        same[:-1] = (following[:-1] == self.observations[1:filled]).all(axis=-1)
        other = following.any(axis=-1) & ~same
        return {
            "pos": self.pos,
            "full": self.full,
            "same": same,
            "other": other,
            "next_observations": following[other],
            **{name: getattr(self, name)[:filled] for name in self._ARRAYS},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state`."""
        pos, full = int(state["pos"]), bool(state["full"])
        filled = self.buffer_size if full else pos
        for name in self._ARRAYS:
            array, stored = getattr(self, name), np.asarray(state[name])
            if stored.shape != (filled, *array.shape[1:]):
                raise ValueError(f"replay buffer: {name} has shape {stored.shape}, needed {(filled, *array.shape[1:])}")
            array[:filled] = stored
        following, same = np.zeros_like(self.observations[:filled]), np.asarray(state["same"])
        following[:-1][same[:-1]] = self.observations[1:filled][same[:-1]]
        following[np.asarray(state["other"])] = np.asarray(state["next_observations"])
        self.next_observations[:filled] = following
        self.pos, self.full = pos, full


class GentleSAC(SAC):
    """SAC that begins gently. Its first transitions come from the untrained actor (uniform actions are far from any useful step),
    and in the first `critic_first` gradient steps only the critics learn: an actor that follows an untrained critic is lost."""

    critic_first = 0

    def _update_learning_rate(self, optimizers: Any) -> None:
        super()._update_learning_rate(optimizers)
        if self._n_updates < self.critic_first:
            for group in self.actor.optimizer.param_groups:
                group["lr"] = 0.0

    def _sample_action(self, learning_starts: int, action_noise: Any = None, n_envs: int = 1) -> tuple[np.ndarray, np.ndarray]:
        return super()._sample_action(0, action_noise, n_envs)
