"""Settings of the unfolded learner."""

from __future__ import annotations

import dataclasses
from typing import Any

__all__ = ["UnfoldedSettings"]


@dataclasses.dataclass(frozen=True)
class UnfoldedSettings:
    """Unfolded ascent (`agents.unfolded`), trained through the differentiable metrics."""

    control: str | None = None
    """Variables of the ascent; None: `env.control`, or all of them."""
    layers: int = 32
    """Steps of an ascent."""
    hidden: int = 32
    """Width of the network over the state of the ascent."""
    width: int = 8
    """Width of the network shared over the elements; 0: none."""
    knots: int = 16
    """Support points of the schedule of every step's settings."""
    rounds: int = 4
    """Mirror steps of the dual per layer."""
    context: bool = True
    """Whether there is a network over the state (False: the schedule alone)."""
    first_metric: tuple[float, float] = (0.8, 1.0)
    """First entries of the metric: coordinates of the surface (for 32 of them), and the others."""
    first_momentum: float = 0.5
    """First momentum factor."""
    memory: float | None = None
    """Decay of the mean square of each coordinate's slope, by whose root the metric is divided; None: it is not."""
    anneal: bool = False
    """Whether the first metric falls over the layers."""
    penalty: float = 2.0
    """Weight of the cost in the ascent and in the loss."""
    batch: int = 128
    """Scenes per update."""
    learning_rate: float = 0.002
    final_learning_rate: float = 0.00001
    schedule_rate: float = 0.01
    """Learning rate of the schedule, which falls like the other."""
    saturation: float | None = None
    """Level s from which on the loss -v of a scene counts like its logarithm, `s log(1 + |v| / s)` (for scores up to 0): scenes
    that cannot be served then do not drown the others. None: the plain mean."""
    first_order: bool = False
    """Whether training leaves second derivatives of the landscape out: several times as many updates in the same time."""
    max_grad_norm: float = 1.0
    tail: int = 8
    """The loss weighs the last layer 0.7, the mean of the last `tail` layers 0.2, and that of all layers 0.1."""

    def __post_init__(self) -> None:
        for name in ("layers", "hidden", "knots", "rounds", "batch", "tail"):
            _whole(name, getattr(self, name), 1)
        _whole("width", self.width, 0)
        for name in ("learning_rate", "final_learning_rate", "schedule_rate", "max_grad_norm"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"unfolded.{name} must be positive, got {getattr(self, name)!r}")
        if len(self.first_metric) != 2 or not min(self.first_metric) > 0.0:
            raise ValueError(f"unfolded.first_metric must be two positive numbers, got {self.first_metric!r}")
        object.__setattr__(self, "first_metric", tuple(float(entry) for entry in self.first_metric))
        if not 0.0 < self.first_momentum < 1.0:
            raise ValueError(f"unfolded.first_momentum must be in (0, 1), got {self.first_momentum!r}")
        if self.memory is not None and not 0.0 < self.memory < 1.0:
            raise ValueError(f"unfolded.memory must be None or in (0, 1), got {self.memory!r}")
        if not self.penalty >= 0.0:
            raise ValueError(f"unfolded.penalty must be at least 0, got {self.penalty!r}")
        if self.saturation is not None and not self.saturation > 0.0:
            raise ValueError(f"unfolded.saturation must be None or positive, got {self.saturation!r}")
        if self.width and not self.context:
            raise ValueError("unfolded.width must be 0 without context")

    def network(self) -> dict[str, Any]:
        """The keywords of `agents.unfolded.network.UnfoldedNetwork`."""
        names = ("layers", "hidden", "width", "knots", "rounds", "context", "penalty", "first_metric", "first_momentum")
        return {name: getattr(self, name) for name in (*names, "memory", "anneal")}


def _whole(name: str, value: Any, least: int) -> None:
    if int(value) != value or value < least:
        raise ValueError(f"unfolded.{name} must be an integer of at least {least}, got {value!r}")
