"""Gymnasium spaces from the declaration of variables."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from ris_gym import variables as var
from ris_gym.envs.observation import LIMIT


def action_space(variables: var.Variables, action: str, turns: bool = False) -> spaces.Space:
    """`Box(-1, 1, (n,), float32)`, or `MultiDiscrete` of the alphabets (`Discrete` for a single number, and with `turns`)."""
    if action == "box":
        return spaces.Box(-1.0, 1.0, (var.length(variables),), np.float32)
    sizes = var.alphabet(variables)
    return spaces.Discrete(int(sizes[0])) if turns or len(sizes) == 1 else spaces.MultiDiscrete(sizes)


def observation_space(size: int) -> spaces.Box:
    """`Box(-10, 10, (size,), float32)`."""
    return spaces.Box(-LIMIT, LIMIT, (size,), np.float32)


def dict_space(variables: var.Variables, increments: bool = False) -> spaces.Dict:
    """One entry per variable: `MultiDiscrete` for a mode or choice, `Box` with the variable's own numbers for the rest.

    A cartesian variable of shape s has the Box (2, *s): real, then imaginary parts. A single number has the shape (1,).
    `increments`: modes and choices are a Box too, of increments of their raw numbers.
    """
    out: dict[str, spaces.Space] = {}
    for variable in variables:
        if _indexed(variable, increments):
            assert variable.n is not None
            out[variable.name] = spaces.MultiDiscrete(np.full(variable.shape or (1,), variable.n))
        else:
            shape = (2, *variable.shape) if variable.kind == "cartesian" else variable.shape or (1,)
            out[variable.name] = spaces.Box(-1.0, 1.0, shape, np.float32)
    return spaces.Dict(out)


def from_dict(variables: var.Variables, values: dict[str, np.ndarray], increments: bool = False) -> np.ndarray:
    """A raw vector (n,) from an element of `dict_space`."""
    parts = []
    for variable in variables:
        value = np.asarray(values[variable.name]).reshape(1, -1)
        if _indexed(variable, increments):
            value = variable.from_index(value)
        parts.append(value)
    return np.concatenate(parts, axis=1)[0].astype(np.float32)


def to_dict(variables: var.Variables, raw: np.ndarray, increments: bool = False) -> dict[str, np.ndarray]:
    """The element of `dict_space` that a raw vector (n,) stands for."""
    out: dict[str, np.ndarray] = {}
    for variable, where in zip(variables, var.slices(variables).values(), strict=True):
        part = raw[None, where]
        if _indexed(variable, increments):
            out[variable.name] = variable.index(part).reshape(variable.shape or (1,))
        else:
            shape = (2, *variable.shape) if variable.kind == "cartesian" else variable.shape or (1,)
            out[variable.name] = part.astype(np.float32).reshape(shape)
    return out


def _indexed(variable: var.Variable, increments: bool) -> bool:
    """Whether the view by name tells a variable by its index in the alphabet."""
    return variable.kind in ("mode", "choice") and not increments
