"""Actors over an alphabet: logits of indices, from the token network shared over elements or a flat one, and how they are drawn.

An actor answers with logits (B, E, N): of all n raw numbers (E = n), or of the one whose turn it is (E = 1), in which case only
its token needs the last layers. N is the largest alphabet; logits of indices that an alphabet does not have are `NEVER`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.distributions import CategoricalDistribution
from torch import nn

from agents.features import Alphabet, FeatureMap
from agents.tokens import FlatNetwork, TokenNetwork

__all__ = ["IndexDistribution", "Logits", "flat_logits", "token_logits"]

NEVER = -1e9


class TokenLogits(TokenNetwork):
    """The token network with N answers `head(e_i, context)` per raw number, and slopes `sum_d c_d(context) direction_{d,i}`."""

    def __init__(self, features: FeatureMap, answers: int, **settings: Any) -> None:
        super().__init__(features, answers=answers, **settings)
        self.answers = answers
        group_of = np.empty(features.action_size, np.int64)
        for g, group in enumerate(features.groups):
            group_of[group.outputs.ravel()] = g
            position = np.zeros(features.action_size, np.int64)
            position[group.outputs.ravel()] = np.arange(group.outputs.size)
            self.register_buffer(f"position_{group.name}", torch.as_tensor(position), persistent=False)
        self.register_buffer("group_of", torch.as_tensor(group_of), persistent=False)

    def forward(  # type: ignore[override]
        self, observation: torch.Tensor, entry: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Answers (B, E, N) and slopes (B, E), of all raw numbers or of `entry` (B,)."""
        embedded, context = self.encoder(observation)
        answers, slopes = [], []
        for group in self.groups:
            tokens = embedded[group.name]
            position = None
            if entry is not None:  # 0 where the entry is another group's
                position = self.get_buffer(f"position_{group.name}")[entry]
                tokens = tokens[torch.arange(len(tokens)), position // group.outputs.shape[1]][:, None]
            out = self.head(group, tokens, context).view(len(observation), -1, self.answers)
            slope = self.slope(group, context, observation) if self.num_directions else None
            if position is not None:
                out = _take(out, position % group.outputs.shape[1])
                slope = None if slope is None else _take(slope, position)
            answers.append(out)
            if slope is not None:
                slopes.append(slope)
        join = self.ordered if entry is None else lambda parts: self._of_group(parts, entry)
        return join(answers), join(slopes) if slopes else None

    def _of_group(self, parts: list[torch.Tensor], entry: torch.Tensor) -> torch.Tensor:
        """The part (B, 1, ...) of the group that owns the entry."""
        if len(parts) == 1:
            return parts[0]
        return _take(torch.cat(parts, dim=1), self.get_buffer("group_of")[entry])


def _take(values: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Entry `index` (B,) of the second axis, which stays with length 1."""
    return values[torch.arange(len(values)), index][:, None]


class FlatLogits(FlatNetwork):
    """The flat network with N numbers per raw number, or for the one whose turn it is (which the observation tells)."""

    def __init__(self, features: FeatureMap, answers: int, **settings: Any) -> None:
        entries = 1 if features.turn.size else features.action_size
        super().__init__(features.observation_size, entries * answers, **settings)
        self.answers = answers

    def forward(  # type: ignore[override]
        self, observation: torch.Tensor, entry: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, None]:
        """Answers (B, E, N), no slopes."""
        return super().forward(observation).view(len(observation), -1, self.answers), None


def token_logits(features: FeatureMap, **settings: Any) -> TokenLogits:
    """The body of `Logits` for the network kind `token`."""
    assert features.alphabet is not None
    return TokenLogits(features, features.alphabet.width, **settings)


def flat_logits(features: FeatureMap, **settings: Any) -> FlatLogits:
    """The body of `Logits` for the network kind `flat`."""
    assert features.alphabet is not None
    return FlatLogits(features, features.alphabet.width, **settings)


class Alphabets(nn.Module):
    """`Alphabet` in torch: the index of raw numbers and what a change of index changes. `entry` (B,) picks one raw number."""

    def __init__(self, alphabet: Alphabet) -> None:
        super().__init__()
        values = np.asarray(alphabet.values, np.float32)
        falling = (values[:, -1] < values[:, 0]) & ~alphabet.periodic
        has = np.arange(alphabet.width) < alphabet.sizes[:, None]
        rising = np.sort(np.where(has, values, np.inf), axis=1)
        middles = 0.5 * (rising[:, 1:] + rising[:, :-1])  # infinite where there is no further letter
        self.equal, self.all_periodic = bool(has.all()), bool(alphabet.periodic.all())
        arrays = {"values": values, "middles": middles, "sizes": alphabet.sizes, "has": has}
        for name, array in (arrays | {"periodic": alphabet.periodic, "falling": falling}).items():
            self.register_buffer(name, torch.as_tensor(array), persistent=False)

    def _of(self, name: str, entry: torch.Tensor | None) -> torch.Tensor:
        array = self.get_buffer(name)
        return array if entry is None else array[entry][:, None]

    def missing(self, entry: torch.Tensor | None) -> torch.Tensor:
        """Mask (..., N) of the indices that there are not."""
        return ~self._of("has", entry)

    def index(self, raw: torch.Tensor, entry: torch.Tensor | None) -> torch.Tensor:
        """Index (B, E) that raw numbers (B, E) stand for, as `ris_gym.variables.Variable.index`."""
        sizes = self._of("sizes", entry)
        turned = torch.floor(0.5 * sizes * raw + 0.5).long() % sizes
        if self.all_periodic:
            return turned
        above = (raw[..., None] >= self._of("middles", entry)).sum(dim=-1)
        falling, periodic = self._of("falling", entry), self._of("periodic", entry)
        return torch.where(periodic, turned, torch.where(falling, sizes - 1 - above, above))

    def rotated(self, logits: torch.Tensor, index: torch.Tensor, entry: torch.Tensor | None) -> torch.Tensor:
        """Logits (B, E, N) of rotations of the periodic numbers as logits of indices, `index` (B, E) being the current ones."""
        target = torch.arange(logits.shape[-1])
        rotation = (target - index[..., None]) % self._of("sizes", entry)[..., None]
        if not self.all_periodic:
            rotation = torch.where(self._of("periodic", entry)[..., None], rotation, target)
        return logits.gather(-1, rotation)

    def change(self, raw: torch.Tensor, entry: torch.Tensor | None) -> torch.Tensor:
        """Change (B, E, N) of the raw number to every index; of a phase its projection on the tangent, `sin(pi change) / pi`."""
        change = self._of("values", entry) - raw[..., None]
        turned = torch.sin(math.pi * change) / math.pi
        return turned if self.all_periodic else torch.where(self._of("periodic", entry)[..., None], turned, change)


class Logits(nn.Module):
    """An actor over indices: `logit_{i,k} = answer_{i,k} + slope_i * change_{i,k} + keep * [k = current index of i]`.

    Args:
        features: the gathering, with an alphabet.
        body: `(observation, entry) -> answers (B, E, N), slopes (B, E) or None`; untrained: almost zero.
        keep: prior of the index that the current raw vector has; an untrained actor holds it with probability
            `1 / (1 + (N - 1) exp(-keep))`.
        relative: the answers for phases are for rotations from the current index (index = current + rotation mod N): what a
            network says then does not depend on where zero phase is.

    Raises:
        ValueError: `keep`, `relative` or directions without a current raw vector in the observation; `keep` is not finite.
    """

    def __init__(self, features: FeatureMap, body: nn.Module, keep: float = 0.0, relative: bool = False) -> None:
        super().__init__()
        assert features.alphabet is not None
        if not math.isfinite(keep):
            raise ValueError(f"network.keep must be finite, got {keep!r}")
        if (keep or relative) and not features.raw.size:
            raise ValueError(
                "network.keep and network.relative need the observation 'raw' of a current design "
                f"(observation='local', or an episode that has one), got keep={keep!r}, relative={relative!r}"
            )
        self.body, self.alphabets = body, Alphabets(features.alphabet)
        self.keep, self.relative, self.single, self.turns = keep, relative, features.single, bool(features.turn.size)
        self.register_buffer("raw", torch.as_tensor(features.raw), persistent=False)
        self.register_buffer("turn", torch.as_tensor(features.turn), persistent=False)

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """Logits (B, E, N)."""
        entry = observation.index_select(1, self.get_buffer("turn")).argmax(dim=1) if self.turns else None
        logits, slope = self.body(observation, entry)
        if self.keep or self.relative or slope is not None:
            raw = observation.index_select(1, self.get_buffer("raw"))
            raw = raw if entry is None else _take(raw, entry)
            index = self.alphabets.index(raw, entry)
            if self.relative:
                logits = self.alphabets.rotated(logits, index, entry)
            if slope is not None:
                logits = logits + slope[..., None] * self.alphabets.change(raw, entry)
            if self.keep:
                logits = logits + self.keep * nn.functional.one_hot(index, logits.shape[-1])
        if not self.alphabets.equal:
            logits = logits.masked_fill(self.alphabets.missing(entry), NEVER)
        return logits

    def decide(self, observation: torch.Tensor) -> torch.Tensor:
        """The most probable indices (B, n), or (B,) where an action is one index."""
        index: torch.Tensor = self(observation).argmax(dim=-1)
        return index[:, 0] if self.single else index


class IndexDistribution(CategoricalDistribution):
    """Independent categorical distributions of all entries at once, from logits (B, E, N)."""

    def __init__(self, features: FeatureMap) -> None:
        assert features.alphabet is not None
        super().__init__(features.alphabet.width)
        self.single = features.single

    def proba_distribution_net(self, latent_dim: int) -> nn.Module:
        """Nothing between the actor and its logits."""
        return nn.Identity()

    def log_prob(self, actions: torch.Tensor) -> torch.Tensor:
        """Logarithm of the probability of actions (B, E) or (B,), (B,)."""
        out: torch.Tensor = self.distribution.log_prob(actions.reshape(len(actions), -1)).sum(dim=1)
        return out

    def entropy(self) -> torch.Tensor:
        """Entropy (B,) of the whole action."""
        return self.distribution.entropy().sum(dim=1)

    def sample(self) -> torch.Tensor:
        """Drawn indices (B, E), or (B,) where an action is one index."""
        return self._shaped(self.distribution.sample())

    def mode(self) -> torch.Tensor:
        """The most probable indices."""
        return self._shaped(torch.argmax(self.distribution.logits, dim=-1))

    def _shaped(self, index: torch.Tensor) -> torch.Tensor:
        return index[:, 0] if self.single else index
