"""Actor and critic of a network description, and the Stable-Baselines3 policy that holds them (networks: `agents.tokens`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import nn

from agents.discrete import IndexDistribution, Logits, flat_logits, token_logits
from agents.features import FeatureMap
from agents.tokens import FlatNetwork, GlobalCritic, TokenCritic, TokenEncoder, TokenNetwork
from agents.tree import TreeCritic, TreeLogits

__all__ = ["AgentPolicy", "FlatNetwork", "TokenEncoder", "TokenNetwork", "build_actor"]

LOGITS: dict[str, Callable[..., nn.Module]] = {"token": token_logits, "flat": flat_logits, "tree": TreeLogits}
"""Kind -> body of `agents.discrete.Logits`."""
NOT_THE_ACTORS = ("kind", "ignore", "raw_phases", "squash", "critic")
"""Settings that say how observations are gathered or outputs are used, and what the critic is."""


def build_actor(spec: Mapping[str, Any], features: FeatureMap) -> nn.Module:
    """The actor of a network description.

    Args:
        spec: `{"kind": "token", "hidden": 64, "skip_init": {}}`, `{"kind": "flat", "hidden": 256}` or `{"kind": "tree",
            "hidden": 12}` (`agents.tree`, discrete actions only). What says how observations are gathered (`ignore`,
            `raw_phases`), outputs are used (`squash`) or what the critic is (`critic`) is not for the actor. For discrete
            actions also `keep` and `relative`, see `agents.discrete.Logits`.

    Returns:
        Observation (B, obs) -> mean action (B, n), or `Logits` where actions are discrete.

    Raises:
        ValueError: unknown kind or setting, or observation and action do not fit it.
    """
    settings = {key: value for key, value in spec.items() if key not in NOT_THE_ACTORS}
    kind = spec.get("kind")
    if kind not in LOGITS:
        raise ValueError(f"network kind must be one of {tuple(LOGITS)}, got {kind!r}")
    keep, relative = settings.pop("keep", 0.0), settings.pop("relative", False)
    try:
        if kind == "tree" or features.alphabet is not None:
            body = LOGITS[kind](features, **settings)
            return Logits(features, body, keep=float(keep), relative=bool(relative))
        if keep or relative:
            raise ValueError(f"network.keep and network.relative need discrete actions, got keep={keep!r}, relative={relative!r}")
        if kind == "token":
            return TokenNetwork(features, **settings)
        return FlatNetwork(features.observation_size, features.action_size, **settings)
    except TypeError as error:
        raise ValueError(f"network {dict(spec)}: {error}") from None


class _Extractor(nn.Module):
    """What Stable-Baselines3 calls an `mlp_extractor`: here the whole actor, and the critic up to its last layer."""

    def __init__(self, spec: Mapping[str, Any], features: FeatureMap) -> None:
        super().__init__()
        self.actor = build_actor(spec, features)
        hidden = int(spec.get("hidden", 64))
        if spec["kind"] == "token":
            critic = TokenCritic if spec.get("critic") == "tokens" else GlobalCritic
            self.critic: nn.Module = critic(features, hidden)
        elif spec["kind"] == "tree":
            self.critic = TreeCritic(features, hidden)
        else:
            self.critic = nn.Sequential(FlatNetwork(features.observation_size, hidden, hidden, None), nn.ReLU())
        self.latent_dim_pi, self.latent_dim_vf = features.action_size, hidden

    def forward(self, observation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.actor(observation), self.critic(observation)

    def forward_actor(self, observation: torch.Tensor) -> torch.Tensor:
        return self.actor(observation)

    def forward_critic(self, observation: torch.Tensor) -> torch.Tensor:
        return self.critic(observation)


class AgentPolicy(ActorCriticPolicy):
    """Actor and critic of `build_actor` as a Stable-Baselines3 policy.

    Actions are drawn from a diagonal Gaussian around the actor's output, or from the actor's logits where they are discrete.

    Args:
        network: the description for `build_actor`.
        features: the gathering of observation and action.
        log_std_init: logarithm of the first standard deviation; small, since actions are clipped to the box. Discrete actions
            have none.
    """

    def __init__(
        self, *args: Any, network: Mapping[str, Any], features: FeatureMap, log_std_init: float = -1.5, **kwargs: Any
    ) -> None:
        self._network, self._features = dict(network), features
        super().__init__(*args, **(kwargs | {"ortho_init": False, "log_std_init": log_std_init}))

    def _build_mlp_extractor(self) -> None:
        self.mlp_extractor = _Extractor(self._network, self._features)  # type: ignore[assignment]

    def _build(self, lr_schedule: Any) -> None:
        if self._features.alphabet is not None:
            self.action_dist = IndexDistribution(self._features)
        super()._build(lr_schedule)
        self.action_net = nn.Identity()
        nn.init.zeros_(self.value_net.bias)
        self.optimizer = self.optimizer_class(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)  # type: ignore[call-arg]

    @property
    def actor(self) -> nn.Module:
        """The network whose weights an artefact stores."""
        actor: nn.Module = self.mlp_extractor.actor  # type: ignore[assignment]
        return actor
