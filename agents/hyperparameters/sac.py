"""Settings of SAC."""

from __future__ import annotations

import dataclasses

__all__ = ["SACSettings"]


@dataclasses.dataclass(frozen=True)
class SACSettings:
    """Soft actor-critic (Stable-Baselines3)."""

    num_envs: int = 128
    """Parallel scenes."""
    train_freq: int = 16
    """Steps of every scene between two updates; best a multiple of the horizon."""
    gradient_steps: int = 32
    """Gradient steps of an update."""
    batch_size: int = 256
    buffer_size: int = 32768
    """Transitions that are kept (over all scenes)."""
    learning_starts: int = 2048
    """Transitions before the first gradient step; they come from the untrained actor, never from uniform actions."""
    critic_first: int = 300
    """Gradient steps before the actor learns too."""
    learning_rate: float = 5e-4
    """At the start; decays linearly over the budget to `final_learning_rate`."""
    final_learning_rate: float = 1e-5
    gamma: float = 0.5
    """Discount; low, because the reward is the improvement itself."""
    tau: float = 0.01
    """Step of the target critics towards the critics."""
    log_std_init: float = -2.0
    """Logarithm of the first standard deviation of the actions, before the squashing."""
    ent_coef: float = 1e-4
    """First weight of the entropy."""
    target_entropy: float = -2.0
    """Entropy per action entry that the weight of the entropy is adapted to."""
    critic_hidden: int = 32
    """Width of the critics."""

    def __post_init__(self) -> None:
        for name in ("num_envs", "train_freq", "gradient_steps", "batch_size", "buffer_size", "critic_hidden"):
            if getattr(self, name) < 1:
                raise ValueError(f"sac.{name} must be at least 1, got {getattr(self, name)}")
        if self.buffer_size < self.num_envs:
            raise ValueError(f"sac.buffer_size must be at least sac.num_envs = {self.num_envs}, got {self.buffer_size}")
        for name in ("learning_starts", "critic_first"):
            if getattr(self, name) < 0:
                raise ValueError(f"sac.{name} must not be negative, got {getattr(self, name)}")
        for name in ("learning_rate", "ent_coef"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"sac.{name} must be positive, got {getattr(self, name)}")
        for name in ("gamma", "tau"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"sac.{name} must lie in [0, 1], got {getattr(self, name)}")
