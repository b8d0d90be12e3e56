"""The reinforcement-learning protocol: one batched core, a single and a vector form, wrappers, pictures."""

from ris_gym.envs.config import EnvConfig
from ris_gym.envs.core import Core
from ris_gym.envs.rendering import figure
from ris_gym.envs.single import RisEnv
from ris_gym.envs.vector import RisVectorEnv
from ris_gym.envs.wrappers import CostSignal, DictActions, VectorReward

__all__ = ["Core", "CostSignal", "DictActions", "EnvConfig", "RisEnv", "RisVectorEnv", "VectorReward", "figure"]
