"""`ris_gym/MultiFunctional-v0`: echo SINRs of both half-spaces around a surface that reflects, refracts, amplifies and senses."""

from __future__ import annotations

from ris_gym.envs.single import RisEnv
from ris_gym.envs.vector import RisVectorEnv
from ris_gym.systems.multifunctional import MultiFunctional


class MultiFunctionalEnv(RisEnv):
    """Echo SINRs of both half-spaces around a surface that reflects, refracts, amplifies and senses, under rate thresholds."""

    system_class = MultiFunctional


class MultiFunctionalVectorEnv(RisVectorEnv):
    """The vector form of `MultiFunctionalEnv` (see there): `num_envs` episodes advanced together.

    Adds `num_envs`, `max_episode_steps` and `autoreset_mode` ("NextStep", "SameStep", "Disabled"). `reset(options=...)` takes
    `scene` (one entry per episode begun) and `reset_mask`.
    """

    system_class = MultiFunctional
