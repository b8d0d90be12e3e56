"""The reinforcement-learning protocol: one batched core, a single and a vector form, wrappers, pictures."""

from ris_gym.envs.config import EnvConfig
from ris_gym.envs.core import Core
from ris_gym.envs.single import RisEnv
from ris_gym.envs.vector import RisVectorEnv

__all__ = ["Core", "EnvConfig", "RisEnv", "RisVectorEnv"]
