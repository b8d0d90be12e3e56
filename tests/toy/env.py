"""`ris_gym/Toy-v0`."""

from __future__ import annotations

from ris_gym.envs.single import RisEnv
from ris_gym.envs.vector import RisVectorEnv
from toy.system import Toy


class ToyEnv(RisEnv):
    """Least transmit power through a surface."""

    system_class = Toy


class ToyVectorEnv(RisVectorEnv):
    """Vector form."""

    system_class = Toy
