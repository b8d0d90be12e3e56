"""The network of the learned aim: features of a belief -> offset of its mean, m."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["AimNetwork"]


class AimNetwork(nn.Module):
    """`offset = reach tanh(mlp(features))`; at first (almost) 0: an untrained agent aims at the mean.

    Args:
        inputs: number of features; outputs: dimensions of the offset; hidden: width; reach_m: largest offset per dimension.
    """

    def __init__(self, inputs: int, outputs: int, hidden: int = 64, reach_m: float = 6.0) -> None:
        super().__init__()
        self.reach_m = reach_m
        self.net = nn.Sequential(
            nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, outputs)
        )
        last = self.net[-1]
        assert isinstance(last, nn.Linear)
        nn.init.orthogonal_(last.weight, 0.01)
        nn.init.zeros_(last.bias)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, inputs) -> (B, outputs), m."""
        out: torch.Tensor = self.reach_m * torch.tanh(self.net(features))
        return out
