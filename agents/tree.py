"""The network of a search over sectors: one small network for every codeword of a binary tree, from the belief's masses.

A belief over N = 2^L beams gives a mass to every sector of the tree, 2^l of width 2 / 2^l at the levels l = 1, ..., L. What
decides whether a sector is worth a pilot is mostly how the mass lies in it and around it, wherever it points and, up to a little,
however wide it is. So all 2 N - 2 sectors share the weights; levels have biases of their own. Sectors and their indices are those
of the hierarchical codebook of `ris_gym.systems.anchor`: sector j of level l is index 2^l - 2 + j.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from agents.features import FeatureMap
from agents.tokens import mlp

__all__ = ["TreeCritic", "TreeLogits"]

FLOOR = 1e-3
"""Beams of mass p are observed as `log10(N p + FLOOR)`; the floor of the densities too."""
NUMBERS = 8
"""Numbers that a sector sees."""
ROWS = 64
"""Scenes at a time where nothing is differentiated: what so few need stays in the cache (at best, two fifths less time)."""


class Masses(nn.Module):
    """Masses of the whole circle and of all sectors, (B, 2 N - 1), level by level, and the other global numbers, (B, G).

    Args:
        features: the gathering, with the masses of the beams (`leaves`).

    Raises:
        ValueError: the observation holds no `beam_mass` of N = 2^L numbers, or the action is not one index of the 2 N - 2
            sectors (and one more, to stop).
    """

    def __init__(self, features: FeatureMap) -> None:
        super().__init__()
        n = len(features.leaves)
        self.levels = max(n.bit_length() - 1, 0)
        answers = 0 if features.alphabet is None else features.alphabet.width
        if features.action_size != 1 or n < 2 or n != 2**self.levels or answers not in (2 * n - 2, 2 * n - 1):
            raise ValueError(
                "network.kind 'tree' needs an observation 'beam_mass' of N = 2^L numbers and one index of 2 N - 2 codewords "
                f"(2 N - 1 with stop), got N = {n} and {answers} indices"
            )
        self.leaves, self.stops = n, answers == 2 * n - 1
        self.num_globals = len(features.globals) - n
        inside = [np.kron(np.eye(2**level), np.full((1, n // 2**level), 1.0 / n)) for level in range(self.levels + 1)]
        self._index("leaf_index", features.leaves)
        self._index("global_index", np.setdiff1d(features.globals, features.leaves))
        self.register_buffer("inside", torch.as_tensor(np.concatenate(inside).T, dtype=torch.float32), persistent=False)

    def _index(self, name: str, index: np.ndarray) -> None:
        self.register_buffer(name, torch.as_tensor(index), persistent=False)

    def forward(self, observation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Masses (B, 2 N - 1) and global numbers (B, G)."""
        log_mass = observation.index_select(1, self.get_buffer("leaf_index"))
        scaled = torch.clamp(torch.exp(math.log(10.0) * log_mass) - FLOOR, min=0.0)
        return scaled @ self.get_buffer("inside"), observation.index_select(1, self.get_buffer("global_index"))


class TreeLogits(nn.Module):
    """Logits (B, 1, 2 N - 2): `head(relu(A x_s + bias_level))` of every sector s, sector j of level l being `2^l - 2 + j`.

    `x_s` holds mass m and density `log10(2^l m + 1e-3)` of the sector, the densities of its two neighbours on the circle, mass
    and density of its parent, and the masses of its halves (of a beam, which has none: its own). One more logit where the index
    may say stop, from what the critic sees. Small on purpose: a decision is to cost little beside one that weighs every outcome
    of every codeword.

    Args:
        features: the gathering; hidden: width.

    Raises:
        ValueError: see `Masses`.
    """

    gather: torch.Tensor
    scale: torch.Tensor
    level_of: torch.Tensor

    def __init__(self, features: FeatureMap, hidden: int = 12) -> None:
        super().__init__()
        self.masses = Masses(features)
        self.register_buffer("gather", torch.as_tensor(self._table().ravel()), persistent=False)
        level = np.repeat(np.arange(self.masses.levels + 1), 2 ** np.arange(self.masses.levels + 1))
        self.register_buffer("scale", torch.as_tensor(2.0**level, dtype=torch.float32), persistent=False)
        self.register_buffer("level_of", torch.as_tensor(level[1:] - 1), persistent=False)
        self.sector = nn.Linear(NUMBERS, hidden, bias=False)
        self.level = nn.Parameter(torch.zeros(self.masses.levels, hidden))
        self.head = mlp(hidden, 1, last_gain=0.01)
        self.stop = mlp(summary_size(self.masses), hidden, 1, last_gain=0.01) if self.masses.stops else None

    def _table(self) -> np.ndarray:
        """(2 N - 2, 8): where the numbers of a sector stand in (masses, densities).

        Sector j of level l stands at `2^l - 1 + j`, so that halves of i are at 2 i + 1 and 2 i + 2.
        """
        nodes = 2 * self.masses.leaves - 1
        place = np.arange(1, nodes)
        level = np.floor(np.log2(place + 1)).astype(np.int64)
        first, count = 2**level - 1, 2**level
        left, right = (first + (place - first + side) % count for side in (-1, 1))
        parent = (place - 1) // 2
        halves = [np.where(2 * place + side < nodes, 2 * place + side, place) for side in (1, 2)]
        return np.stack([place, parent, *halves, *(nodes + index for index in (place, left, right, parent))], axis=1)

    def forward(self, observation: torch.Tensor, entry: torch.Tensor | None = None) -> tuple[torch.Tensor, None]:
        """Answers (B, 1, 2 N - 2), one more with stop; no slopes."""
        masses, numbers = self.masses(observation)
        density = torch.log10(self.scale * masses + FLOOR)
        base, bias = torch.cat([masses, density], dim=1), self.level[self.level_of]
        last = self.head[0]
        assert isinstance(last, nn.Linear)
        weight, head = self.sector.weight.T.contiguous(), last.weight[0]
        rows = ROWS if not torch.is_grad_enabled() else max(1, len(base))
        parts = []
        for part in base.split(rows):
            x = part.index_select(1, self.gather).view(-1, 2 * self.masses.leaves - 2, NUMBERS)
            parts.append(torch.matmul(torch.matmul(x, weight).add_(bias).relu_(), head))
        logits = torch.cat(parts).add_(last.bias)
        if self.stop is not None:
            logits = torch.cat([logits, self.stop(summary(self.masses, masses, numbers))], dim=1)
        return logits[:, None, :], None


class TreeCritic(nn.Module):
    """The critic's features (B, H): of every level the largest mass and the sum of squares, and the global numbers."""

    def __init__(self, features: FeatureMap, hidden: int = 64) -> None:
        super().__init__()
        self.masses = Masses(features)
        self.net = nn.Sequential(mlp(summary_size(self.masses), hidden, hidden), nn.ReLU())

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """Features of the value (B, H)."""
        out: torch.Tensor = self.net(summary(self.masses, *self.masses(observation)))
        return out


def summary(tree: Masses, masses: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """Largest mass and sum of squared masses of every level, and the global numbers, (B, 2 L + G)."""
    levels = masses[:, 1:].split([2**level for level in range(1, tree.levels + 1)], dim=1)
    parts = [torch.stack([m.amax(dim=1), m.square().sum(dim=1)], dim=1) for m in levels]
    return torch.cat([*parts, numbers], dim=1)


def summary_size(tree: Masses) -> int:
    """Length of `summary`."""
    return 2 * tree.levels + tree.num_globals
