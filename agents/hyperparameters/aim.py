"""Settings of the learner of an aim."""

from __future__ import annotations

import dataclasses
import math

__all__ = ["AimSettings"]


@dataclasses.dataclass(frozen=True)
class AimSettings:
    """Learning where to aim (`agents.aim`): regression of the truth's offset from the belief's mean over whole episodes."""

    designer: str = "hold"
    """Baseline that makes the designs of the trained agent."""
    training_designer: str = "align"
    """Baseline that makes the designs of the training episodes: a cheap one, since beliefs hardly depend on it."""
    hidden: int = 64
    """Width of the network."""
    reach_m: float = 6.0
    """Largest offset per dimension."""
    episodes: int = 128
    """Episodes per update, all of their frames."""
    epochs: int = 4
    """Passes over the frames of an update."""
    minibatch: int = 512
    """Frames per step."""
    threshold_m: float = 1.0
    """Errors beyond this count linearly (Huber): a beam that is lost is lost."""
    learning_rate: float = 0.003
    final_learning_rate: float = 0.00001
    max_grad_norm: float = 1.0

    def __post_init__(self) -> None:
        for name in ("hidden", "episodes", "epochs", "minibatch"):
            if int(getattr(self, name)) != getattr(self, name) or getattr(self, name) < 1:
                raise ValueError(f"aim.{name} must be an integer of at least 1, got {getattr(self, name)!r}")
        for name in ("reach_m", "threshold_m", "learning_rate", "final_learning_rate", "max_grad_norm"):
            if not (getattr(self, name) > 0.0 and math.isfinite(getattr(self, name))):
                raise ValueError(f"aim.{name} must be positive, got {getattr(self, name)!r}")
