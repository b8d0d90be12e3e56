"""Settings of PPO."""

from __future__ import annotations

import dataclasses

__all__ = ["PPOSettings"]


@dataclasses.dataclass(frozen=True)
class PPOSettings:
    """Proximal policy optimisation (Stable-Baselines3)."""

    num_envs: int = 128
    """Parallel scenes."""
    n_steps: int = 16
    """Steps of every scene between two updates; best a multiple of the horizon."""
    batch_size: int = 512
    n_epochs: int = 4
    learning_rate: float = 1e-3
    """At the start; decays linearly over the budget to `final_learning_rate`."""
    final_learning_rate: float = 1e-5
    gamma: float = 0.9
    """Discount; low, because the reward is the improvement itself."""
    gae_lambda: float = 0.95
    clip_range: float = 0.2
    ent_coef: float = 0.0
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5
    log_std_init: float = -1.5
    """Logarithm of the first standard deviation of the actions."""

    def __post_init__(self) -> None:
        for name in ("num_envs", "n_steps", "batch_size", "n_epochs"):
            if getattr(self, name) < 1:
                raise ValueError(f"ppo.{name} must be at least 1, got {getattr(self, name)}")
        if self.num_envs * self.n_steps < 2:
            raise ValueError("ppo.num_envs * ppo.n_steps must be at least 2")
        if not self.learning_rate > 0.0:
            raise ValueError(f"ppo.learning_rate must be positive, got {self.learning_rate}")
