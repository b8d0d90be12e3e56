"""`as_sb3`: a thin adapter from a native vector environment to stable-baselines3's `VecEnv`."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode


def as_sb3(vector_env: gymnasium.vector.VectorEnv, info_keys: tuple[str, ...] = ("is_success",), monitor: bool = True) -> Any:
    """Wrap a vector environment in SAME_STEP mode for stable-baselines3.

    Args:
        vector_env: made with `autoreset_mode="SameStep"`.
        info_keys: scalar info entries that ended episodes carry (those of `VecMonitor`'s `info_keywords` among them).
        monitor: wrap in a `VecMonitor`, which adds `episode` to the infos of ended episodes.

    Returns:
        A `stable_baselines3.common.vec_env.VecEnv`: ended episodes have `terminal_observation` and `TimeLimit.truncated` in
        their info; the other infos are empty.

    Raises:
        ValueError: the autoreset mode is not SAME_STEP. ImportError: stable-baselines3 is not installed.
    """
    if vector_env.metadata.get("autoreset_mode") != AutoresetMode.SAME_STEP:
        mode = vector_env.metadata.get("autoreset_mode")
        raise ValueError(f"vector_env must be made with autoreset_mode='SameStep', got {mode}")
    try:
        from stable_baselines3.common.vec_env import VecEnv, VecMonitor
    except ImportError as error:
        raise ImportError("as_sb3 needs stable-baselines3: pip install 'ris_gym[agents]'") from error

    class Adapter(VecEnv):
        """The native vector environment as SB3 sees it."""

        def __init__(self) -> None:
            self.env = vector_env
            super().__init__(vector_env.num_envs, vector_env.single_observation_space, vector_env.single_action_space)
            self._actions: Any = None

        def reset(self) -> np.ndarray:
            seed = next((s for s in self._seeds if s is not None), None)
            options = next((o for o in self._options if o), None)
            observation, _ = self.env.reset(seed=seed, options=options)
            self._reset_seeds()
            self._reset_options()
            return observation

        def step_async(self, actions: np.ndarray) -> None:
            self._actions = actions

        def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
            observation, reward, terminated, truncated, infos = self.env.step(self._actions)
            done = terminated | truncated
            out: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
            for i in np.flatnonzero(done):
                final = infos["final_info"]
                out[i] = {
                    "terminal_observation": infos["final_obs"][i],
                    "TimeLimit.truncated": bool(truncated[i] and not terminated[i]),
                } | {key: final[key][i].item() for key in info_keys if key in final}
            return observation, reward.astype(np.float32), done, out

        def close(self) -> None:
            self.env.close()

        def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
            return [getattr(self.env, attr_name)] * len(list(self._get_indices(indices)))

        def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
            raise NotImplementedError(f"attribute {attr_name!r} cannot be set: the native environment holds all episodes")

        def env_method(self, method_name: str, *args: Any, indices: Any = None, **keywords: Any) -> list[Any]:
            return [getattr(self.env, method_name)(*args, **keywords)] * len(list(self._get_indices(indices)))

        def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
            return [False] * len(list(self._get_indices(indices)))

        def get_images(self) -> list[np.ndarray | None]:
            frames: Any = self.env.render()
            return list(frames) if frames is not None else [None] * self.num_envs

    adapter = Adapter()
    return VecMonitor(adapter, info_keywords=info_keys) if monitor else adapter
