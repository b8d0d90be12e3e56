"""`ris_gym/NonOrthogonal-v0`: decoding and localisation from the same symbols, by way of a surface with discrete phases."""

from __future__ import annotations

from ris_gym.envs.single import RisEnv
from ris_gym.envs.vector import RisVectorEnv
from ris_gym.systems.nonorthogonal import NonOrthogonal


class NonOrthogonalEnv(RisEnv):
    """Decoding and localisation from the same symbols, by way of a surface with discrete phases."""

    system_class = NonOrthogonal


class NonOrthogonalVectorEnv(RisVectorEnv):
    """Many episodes of `NonOrthogonalEnv` at once."""

    system_class = NonOrthogonal
