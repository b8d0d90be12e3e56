"""`ris_gym/Beampattern-v0`."""

from __future__ import annotations

from ris_gym.envs.single import RisEnv
from ris_gym.envs.vector import RisVectorEnv
from ris_gym.systems.beampattern import Beampattern


class BeampatternEnv(RisEnv):
    """Max-min beampattern gain."""

    system_class = Beampattern


class BeampatternVectorEnv(RisVectorEnv):
    """Vector form."""

    system_class = Beampattern
