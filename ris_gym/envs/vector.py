"""The native vector environment: the batched core with Gymnasium's three autoreset modes."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from ris_gym.arrays import Batch
from ris_gym.envs.config import split_keywords
from ris_gym.envs.core import Core, Views
from ris_gym.envs.spaces import action_space, observation_space
from ris_gym.systems import checks
from ris_gym.systems.base import System


class RisVectorEnv(Views, gymnasium.vector.VectorEnv):
    """Many episodes at once. Subclasses name their system and picture.

    Args:
        num_envs: number of episodes; max_episode_steps: time limit (truncates), None for none.
        autoreset_mode: `AutoresetMode` or its value ("NextStep", "SameStep", "Disabled").
        render_mode: None or "rgb_array".
        keywords: those of `EnvConfig`, `preset`, and the system's fields.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012
        "render_modes": ["rgb_array"],
        "render_fps": 4,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }
    system_class: ClassVar[type[System]]

    def __init__(
        self,
        num_envs: int = 1,
        *,
        max_episode_steps: int | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        render_mode: str | None = None,
        **keywords: Any,
    ) -> None:
        self.num_envs = checks.integer("num_envs", num_envs, 1)
        if max_episode_steps is not None:
            checks.integer("max_episode_steps", max_episode_steps, 1)
        self.autoreset_mode = _mode(autoreset_mode)
        self.render_mode = check_render_mode(render_mode)
        self.metadata = {**type(self).metadata, "autoreset_mode": self.autoreset_mode}
        self.max_episode_steps = max_episode_steps
        system, config = split_keywords(self.system_class, keywords)
        self.core = Core(system, config, num_envs)
        self.single_observation_space = observation_space(self.core.observer.size)
        self.single_action_space = action_space(self.core.variables, config.action, self.core.turns)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._resetting = np.zeros(num_envs, bool)
        self._started = False

    # -- protocol -------------------------------------------------------------------------------------------------------------

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin new episodes: all or those of `options["reset_mask"]`, on `options["scene"]` if given (one scene per episode)."""
        if isinstance(seed, (list, tuple)):
            raise TypeError("seed must be one integer or None: all episodes share one generator")
        scene, mask = _options(options, self.num_envs)
        if not self._started and mask is not None and not mask.all():
            raise ValueError("options['reset_mask'] must be all True at the first reset")
        scene = self.core.check_scene(scene, mask)
        super().reset(seed=seed)
        self.core.reset(self.np_random, mask, scene, seeded=seed is not None)
        self._started = True
        self._resetting[slice(None) if mask is None else mask] = False
        return self.core.observe(), {}

    def step(
        self, actions: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One step of every episode, with autoreset by the mode."""
        if not self._started:
            raise gymnasium.error.ResetNeeded("call reset before step")
        actions = np.asarray(actions)
        if self._resetting.any():
            resetting = self._resetting.copy()
            if self.autoreset_mode == AutoresetMode.DISABLED:
                raise gymnasium.error.ResetNeeded(
                    f"episodes {np.flatnonzero(resetting).tolist()} have ended: call reset(options={{'reset_mask': ...}})"
                )
            return self._step_and_reset(actions, resetting)
        reward, terminated, truncated, metrics = self.core.step(actions, self.np_random)
        ended, truncated = self._limit(terminated, truncated)
        infos = _masked(self.core.info(metrics), np.ones(self.num_envs, bool))
        observation = self.core.observe()
        if self.autoreset_mode == AutoresetMode.SAME_STEP and ended.any():
            infos, observation = self._same_step(infos, observation, ended)
        else:
            self._resetting = ended
        return observation, reward, terminated, truncated, infos

    def _step_and_reset(
        self, actions: np.ndarray, resetting: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """NEXT_STEP with ended episodes: they begin anew (action ignored, reward 0); the others step."""
        never = np.zeros(self.num_envs, bool)
        if resetting.all():
            self.core.reset(self.np_random)
            self._resetting = never
            return self.core.observe(), np.zeros(self.num_envs), never.copy(), never.copy(), {}
        ignored = actions.copy()
        ignored[resetting] = 0
        reward, terminated, truncated, metrics = self.core.step(ignored, self.np_random)
        self.core.reset(self.np_random, resetting)
        reward, terminated, truncated = (np.where(resetting, 0, a).astype(a.dtype) for a in (reward, terminated, truncated))
        self._resetting, truncated = self._limit(terminated, truncated)
        self._resetting &= ~resetting
        return self.core.observe(), reward, terminated, truncated, _masked(self.core.info(metrics), ~resetting)

    def _same_step(
        self, infos: dict[str, Any], observation: np.ndarray, ended: np.ndarray
    ) -> tuple[dict[str, Any], np.ndarray]:
        """SAME_STEP: `final_obs` and `final_info` hold the end; observation and infos belong to the new episodes."""
        plain = {name: value for name, value in infos.items() if not name.startswith("_")}
        going = _masked(plain, ~ended) if not ended.all() else {}
        final = np.full(self.num_envs, None, dtype=object)
        for i in np.flatnonzero(ended):
            final[i] = observation[i]  # a view: nobody else holds this array
        self.core.reset(self.np_random, ended)
        going |= {
            "final_obs": final,
            "_final_obs": ended.copy(),
            "final_info": _masked(plain, ended),
            "_final_info": ended.copy(),
        }
        return going, self.core.observe()

    def _limit(self, terminated: np.ndarray, truncated: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Apply the time limit: (ended, truncated)."""
        if self.max_episode_steps is not None:
            truncated = truncated | (self.core.steps >= self.max_episode_steps)
        return terminated | truncated, truncated

    def render(self) -> tuple[np.ndarray, ...] | None:
        """A tuple of `num_envs` frames (height, width, 3) uint8, or None without a render mode."""
        if self.render_mode is None:
            return None
        from ris_gym.envs.rendering import frame

        if not self._started:
            raise gymnasium.error.ResetNeeded("call reset before render")
        return tuple(frame(self, index) for index in range(self.num_envs))


def check_render_mode(render_mode: str | None) -> str | None:
    """None or "rgb_array"."""
    if render_mode not in (None, "rgb_array"):
        raise ValueError(f"render_mode must be None or 'rgb_array', got {render_mode!r}")
    return render_mode


def _mode(mode: AutoresetMode | str) -> AutoresetMode:
    if isinstance(mode, AutoresetMode):
        return mode
    for member in AutoresetMode:
        if mode in (member.value, member.name):
            return member
    raise ValueError(f"autoreset_mode must be one of {[m.value for m in AutoresetMode]}, got {mode!r}")


def _options(options: dict[str, Any] | None, num_envs: int) -> tuple[Batch | None, np.ndarray | None]:
    """`(scene, reset_mask)` of reset options, which are not changed. Raises ValueError / TypeError naming the entry."""
    options = dict(options or {})
    scene, mask = options.pop("scene", None), options.pop("reset_mask", None)
    if options:
        raise ValueError(f"options may hold 'scene' and 'reset_mask', got {sorted(options)}")
    if mask is not None:
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
            raise TypeError(f"options['reset_mask'] must be a boolean numpy array, got {mask!r}")
        if mask.shape != (num_envs,) or not mask.any():
            raise ValueError(f"options['reset_mask'] must have shape {(num_envs,)} and one True at least, got {mask!r}")
    return scene, mask


def _masked(info: dict[str, Any], mask: np.ndarray) -> dict[str, Any]:
    """Gymnasium's vector form of infos: every key `k` with its mask `_k`; entries outside the mask are zero."""
    out: dict[str, Any] = {}
    whole = bool(mask.all())
    for name, value in info.items():
        if name.startswith("_"):
            continue
        if isinstance(value, dict):
            out[name] = _masked(value, mask)
        elif whole:
            out[name] = value
        else:
            out[name] = np.where(mask.reshape(-1, *[1] * (value.ndim - 1)), value, np.zeros((), value.dtype))
        out[f"_{name}"] = mask.copy()
    return out


