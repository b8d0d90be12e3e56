"""`ris_gym/ActiveCrb-v0`: Cramér-Rao bound of an extended target behind an amplifying surface under an SINR constraint."""

from __future__ import annotations

from ris_gym.envs.single import RisEnv
from ris_gym.envs.vector import RisVectorEnv
from ris_gym.systems.active_crb import ActiveCrb


class ActiveCrbEnv(RisEnv):
    r"""Cramér-Rao bound of an extended target behind an amplifying surface under an SINR constraint."""

    system_class = ActiveCrb


class ActiveCrbVectorEnv(RisVectorEnv):
    """The vector form of `ActiveCrbEnv` (see there): `num_envs` episodes advanced together.

    Adds `num_envs`, `max_episode_steps` and `autoreset_mode` ("NextStep", "SameStep", "Disabled"). `reset(options=...)` takes
    `scene` (one entry per episode begun) and `reset_mask`.
    """

    system_class = ActiveCrb
