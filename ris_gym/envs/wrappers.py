"""Other views of a single environment: a vector of rewards, actions by name, costs beside the reward."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from ris_gym.envs.spaces import dict_space, from_dict


class _Parts(gymnasium.Wrapper):
    """Keeps score and -cost of the last step, so that the reward can be told in parts."""

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        self._gain = env.unwrapped.core.episode.kind == "refine"  # type: ignore[attr-defined]
        self._before = np.zeros(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """As the environment's."""
        observation, info = self.env.reset(seed=seed, options=options)
        if self._gain:
            metrics = self.env.unwrapped.metrics  # type: ignore[attr-defined]
            self._before = np.array([metrics.score[0], -metrics.cost[0]], np.float64)
        return observation, info

    def parts(self, info: Mapping[str, Any]) -> np.ndarray:
        """`[score, -cost]` of this step, as gains in `refine`, (2,) float64."""
        now = np.array([info["score"], -info["cost"]], np.float64)
        parts = now - self._before if self._gain else now
        self._before = now if self._gain else self._before
        return parts


class VectorReward(_Parts):
    """Multi-objective view (as in mo-gymnasium): the reward is the vector `[score, -cost]`, in `refine` its gain.

    Weights `(1, penalty)` give the scalar reward back, up to rounding in the precision of `dtype`. `reward_space` is a Box of
    shape (2,), set on the wrapper and on the unwrapped environment, where mo-gymnasium's wrappers look for it.

    Args:
        env: a single environment of this package.
    """

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        self.reward_space = spaces.Box(-np.inf, np.inf, (2,), np.float64)
        self.env.unwrapped.reward_space = self.reward_space  # type: ignore[attr-defined]

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """As the environment's, with the vector as reward."""
        observation, _, terminated, truncated, info = self.env.step(action)
        return observation, self.parts(info), terminated, truncated, info


class CostSignal(_Parts):
    """Constrained view (as in safety-gymnasium): `step` returns `(observation, reward, cost, terminated, truncated, info)`.

    The reward is the score (in `refine` its gain) without the penalty; the cost is that of the design just used, >= 0.

    Args:
        env: a single environment of this package.
    """

    def step(self, action: Any) -> Any:
        """The 6-tuple."""
        observation, _, terminated, truncated, info = self.env.step(action)
        return observation, float(self.parts(info)[0]), float(info["cost"]), terminated, truncated, info


class DictActions(gymnasium.ActionWrapper):
    """Actions by variable name: `{"phase": ..., "beams": ...}` instead of one flat vector.

    Entries as `ris_gym.envs.spaces.dict_space` describes them: a complex variable of shape s is a Box (2, *s) of real, then
    imaginary parts; modes and choices are MultiDiscrete. In `refine` all numbers are increments, as in the flat form: there modes
    and choices are Boxes, increments of the raw number whose sign (of a mode) or interval (of a choice) counts.

    Args:
        env: a single environment of this package with `action="box"`.

    Raises:
        ValueError: the environment has `action="discrete"`; in `step`: an entry is missing, unknown or misshapen.
    """

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        core = env.unwrapped.core  # type: ignore[attr-defined]
        if core.config.action != "box":
            raise ValueError(f"env must have action='box', got {core.config.action!r}")
        self.variables, self.increments = core.variables, core.episode.kind == "refine"
        self.action_space = self.entries = dict_space(self.variables, self.increments)

    def action(self, action: Mapping[str, Any]) -> np.ndarray:
        """The flat action (n,) float32."""
        if not isinstance(action, Mapping) or set(action) != set(self.entries.spaces):
            found = sorted(action) if isinstance(action, Mapping) else type(action).__name__
            raise ValueError(f"action must hold the entries {sorted(self.entries.spaces)}, got {found}")
        for name, space in self.entries.spaces.items():
            if np.shape(action[name]) != space.shape:
                raise ValueError(f"action[{name!r}] must have shape {space.shape}, got {np.shape(action[name])}")
        return from_dict(self.variables, dict(action), self.increments)
