"""Weights of an artefact into a network."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

__all__ = ["fill"]


def fill(network: nn.Module, weights: Mapping[str, np.ndarray]) -> None:
    """Load weights by name, and set the network to inference.

    Raises:
        ValueError: names or shapes differ from the network's; the message says where.
    """
    expected = {key: tuple(item.shape) for key, item in network.state_dict().items()}
    found = {key: tuple(item.shape) for key, item in weights.items()}
    if expected != found:
        key = sorted({*expected.items()} ^ {*found.items()})[0][0]
        raise ValueError(f"array {key!r} has shape {found.get(key)}, needed {expected.get(key)}")
    network.load_state_dict({key: torch.from_numpy(np.array(item)) for key, item in weights.items()})
    network.eval()
