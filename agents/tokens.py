"""The networks of actors and critics over gathered observations (`agents.features`).

The *token network*: every surface element and every antenna runs through the same small network, sees the mean over all others
and the global numbers, and answers with its own part of the action. Its weights do not depend on the number of elements or
antennas. The observed ascent directions are added with factors that depend on the state: the network learns step lengths, and
corrections to the directions. The corrections start at (almost) zero, so that an untrained agent leaves the start design as it is
or, with `skip_init`, ascends it by fixed steps.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from agents.features import FeatureMap, TokenGroup

__all__ = ["FlatNetwork", "GlobalCritic", "TokenCritic", "TokenEncoder", "TokenNetwork", "mlp"]


def mlp(*sizes: int, last_gain: float | None = None) -> nn.Sequential:
    """Linear layers with ReLU between them; `last_gain`: gain of the last layer's orthogonal weights, whose biases are then 0."""
    layers: list[nn.Module] = []
    for i, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
        linear = nn.Linear(fan_in, fan_out)
        if i == len(sizes) - 2 and last_gain is not None:
            nn.init.orthogonal_(linear.weight, last_gain)
            nn.init.zeros_(linear.bias)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class TokenEncoder(nn.Module):
    """Observation (B, obs) -> per group token embeddings (B, tokens, H) and one context (B, H).

    `e_i = phi(x_i)`, `context = psi(global, mean_i e_i of every group)`.
    """

    def __init__(self, features: FeatureMap, hidden: int) -> None:
        super().__init__()
        self.groups = features.groups
        self.embed = nn.ModuleDict()
        for group in features.groups:
            self.register_buffer(f"in_{group.name}", torch.as_tensor(group.inputs.ravel()), persistent=False)
            self.embed[group.name] = nn.Sequential(mlp(max(1, group.inputs.shape[1]), hidden, hidden), nn.ReLU())
        self.register_buffer("global_index", torch.as_tensor(features.globals), persistent=False)
        self.context = nn.Sequential(
            mlp(len(features.globals) + hidden * len(features.groups), hidden, hidden), nn.ReLU()
        )

    def forward(self, observation: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Embeddings by group, and the context."""
        embedded: dict[str, torch.Tensor] = {}
        pooled = [observation.index_select(1, self.get_buffer("global_index"))]
        for group in self.groups:
            width = group.inputs.shape[1]
            if width:
                x = observation.index_select(1, self.get_buffer(f"in_{group.name}")).view(-1, group.tokens, width)
            else:
                x = observation.new_zeros(len(observation), group.tokens, 1)
            embedded[group.name] = self.embed[group.name](x)
            pooled.append(embedded[group.name].mean(dim=1))
        return embedded, self.context(torch.cat(pooled, dim=1))


class TokenNetwork(nn.Module):
    """The actor: `action_i = head(e_i, context) + sum_d c_d(context) direction_{d,i}`, with own `c` for every group.

    Args:
        features: the gathering.
        hidden: width.
        skip_init: first values of the factors `c_d` by name of the direction (`features.directions`); the others are 0.
        answers: numbers that a head gives per raw number.
    """

    def __init__(
        self, features: FeatureMap, hidden: int = 64, skip_init: Mapping[str, float] | None = None, answers: int = 1
    ) -> None:
        super().__init__()
        first = dict(skip_init or {})
        if unknown := sorted(set(first) - set(features.directions)):
            raise ValueError(f"skip_init: {unknown} not among the observed directions {features.directions}")
        self.groups = features.groups
        self.encoder = TokenEncoder(features, hidden)
        self.own, self.shared, self.heads = nn.ModuleDict(), nn.ModuleDict(), nn.ModuleDict()
        self.factors = nn.ModuleDict()
        self.num_directions = len(features.directions)
        order = []
        for group in features.groups:
            self.own[group.name] = nn.Linear(hidden, hidden)
            self.shared[group.name] = nn.Linear(hidden, hidden, bias=False)
            self.heads[group.name] = mlp(hidden, answers * group.outputs.shape[1], last_gain=0.01)
            order.append(group.outputs.ravel())
            if self.num_directions:
                factor = mlp(hidden, self.num_directions, last_gain=0.01)
                values = torch.as_tensor([float(first.get(name, 0.0)) for name in features.directions])
                factor[0].bias.data.copy_(values)  # type: ignore[operator]
                self.factors[group.name] = factor
                self.register_buffer(f"along_{group.name}", torch.as_tensor(group.directions.ravel()), persistent=False)
        self.register_buffer("order", torch.as_tensor(np.argsort(np.concatenate(order))), persistent=False)

    def head(self, group: TokenGroup, embedded: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """Answers (B, tokens, C * answers) of tokens (B, tokens, H)."""
        mixed = self.own[group.name](embedded) + self.shared[group.name](context)[:, None, :]
        out: torch.Tensor = self.heads[group.name](torch.relu(mixed))
        return out

    def slope(self, group: TokenGroup, context: torch.Tensor, observation: torch.Tensor) -> torch.Tensor:
        """`sum_d c_d direction_d` of the group's raw numbers, (B, tokens * C)."""
        along = observation.index_select(1, self.get_buffer(f"along_{group.name}"))
        along = along.view(len(along), self.num_directions, -1)
        out: torch.Tensor = (self.factors[group.name](context)[:, None, :] @ along)[:, 0]
        return out

    def ordered(self, outputs: list[torch.Tensor]) -> torch.Tensor:
        """Parts (B, tokens * C, ...) of the groups in the order of the raw vector, (B, n, ...)."""
        return torch.cat(outputs, dim=1).index_select(1, self.get_buffer("order"))

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """Mean action (B, n)."""
        embedded, context = self.encoder(observation)
        outputs = []
        for group in self.groups:
            out = self.head(group, embedded[group.name], context).flatten(1)
            outputs.append(out + self.slope(group, context, observation) if self.num_directions else out)
        return self.ordered(outputs)


class GlobalCritic(nn.Module):
    """The critic's features: (B, obs) -> (B, H) from the global numbers alone, which say how much there is left to gain."""

    def __init__(self, features: FeatureMap, hidden: int = 64) -> None:
        super().__init__()
        index = features.globals if len(features.globals) else np.arange(features.observation_size)
        self.register_buffer("index", torch.as_tensor(index), persistent=False)
        self.net = nn.Sequential(mlp(len(index), hidden, hidden), nn.ReLU())

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """Features of the value (B, H)."""
        out: torch.Tensor = self.net(observation.index_select(1, self.get_buffer("index")))
        return out


class TokenCritic(nn.Module):
    """The critic's features (B, H) from tokens too, for scores that are sums over them: `mean_i relu(own e_i + shared context)`.

    The mean is over the tokens of all groups (`own`: one matrix per group): neither their order nor their number matters.
    """

    def __init__(self, features: FeatureMap, hidden: int = 64) -> None:
        super().__init__()
        self.encoder = TokenEncoder(features, hidden)
        self.own = nn.ModuleDict({group.name: nn.Linear(hidden, hidden) for group in features.groups})
        self.shared = nn.Linear(hidden, hidden, bias=False)

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """Features of the value (B, H)."""
        embedded, context = self.encoder(observation)
        common = self.shared(context)[:, None, :]
        parts = [torch.relu(self.own[name](tokens) + common) for name, tokens in embedded.items()]
        return torch.cat(parts, dim=1).mean(dim=1)


class FlatNetwork(nn.Module):
    """A plain multilayer perceptron over the whole observation: the honest naive form, of fixed size."""

    def __init__(self, inputs: int, outputs: int, hidden: int = 256, last_gain: float | None = 0.01) -> None:
        super().__init__()
        self.net = mlp(inputs, hidden, hidden, outputs, last_gain=last_gain)

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """(B, inputs) -> (B, outputs)."""
        out: torch.Tensor = self.net(observation)
        return out
