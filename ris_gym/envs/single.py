"""The single environment: a view of one episode of the batched core."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium
import numpy as np

from ris_gym.envs.config import split_keywords
from ris_gym.envs.core import Core, Views
from ris_gym.envs.spaces import action_space, observation_space
from ris_gym.envs.vector import check_render_mode
from ris_gym.systems.base import System


class RisEnv(Views, gymnasium.Env):
    """One episode. Subclasses name their system and picture; batch axes of `scene`, `design`, `metrics`, `raw` have length 1.

    Args:
        render_mode: None or "rgb_array".
        keywords: those of `EnvConfig`, `preset`, and the system's fields.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012
    system_class: ClassVar[type[System]]

    def __init__(self, *, render_mode: str | None = None, **keywords: Any) -> None:
        self.render_mode = check_render_mode(render_mode)
        system, config = split_keywords(self.system_class, keywords)
        self.core = Core(system, config, 1)
        self.observation_space = observation_space(self.core.observer.size)
        self.action_space = action_space(self.core.variables, config.action, self.core.turns)
        self._ended = True

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode, on `options["scene"]` (a batch of one) if given."""
        options = dict(options or {})
        scene = options.pop("scene", None)
        if options:
            raise ValueError(f"options may hold 'scene', got {sorted(options)}")
        scene = self.core.check_scene(scene)
        super().reset(seed=seed)
        self.core.reset(self.np_random, scene=scene, seeded=seed is not None)
        self._ended = False
        return self.core.observe()[0], {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One step; `info` holds plain numbers and small arrays."""
        if self._ended:
            raise gymnasium.error.ResetNeeded("the episode has not begun or has ended: call reset")
        reward, terminated, truncated, metrics = self.core.step(np.asarray(action)[None], self.np_random)
        self._ended = bool(terminated[0] or truncated[0])
        info = _first(self.core.info(metrics))
        return self.core.observe()[0], float(reward[0]), bool(terminated[0]), bool(truncated[0]), info

    def render(self) -> np.ndarray | None:
        """A frame (height, width, 3) uint8, or None without a render mode."""
        if self.render_mode is None:
            return None
        from ris_gym.envs.rendering import frame

        if self.core.scene is None:
            raise gymnasium.error.ResetNeeded("call reset before render")
        return frame(self, 0)


def _first(info: dict[str, Any]) -> dict[str, Any]:
    """The info of the only episode: numbers as Python numbers, the rest as arrays."""
    out: dict[str, Any] = {}
    for name, value in info.items():
        if isinstance(value, dict):
            out[name] = _first(value)
        else:
            out[name] = value[0].item() if value.ndim == 1 else value[0].copy()
    return out
