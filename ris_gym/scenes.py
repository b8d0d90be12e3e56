"""Scene files: channels (sampled, measured or ray-traced) with the parameters of the system they belong to."""

from __future__ import annotations

import os

from ris_gym import systems
from ris_gym.arrays import Batch, load_npz, save_npz
from ris_gym.systems.base import System

FORMAT = 1


def save_scenes(path: str | os.PathLike[str], system: System, scene: Batch) -> None:
    """Write a scene as npz with the system's parameters, atomically."""
    arrays = {name.replace("/", "."): array for name, array in scene.to_numpy().items()}
    save_npz(path, arrays, {"format": FORMAT, "parameters": system.to_dict()})


def load_scenes(path: str | os.PathLike[str], system: System | None = None) -> tuple[System, Batch]:
    """Read scenes: `(system, scene)`. Never unpickles.

    Args:
        path: an npz of `save_scenes`, or any npz with the arrays of the model page (then `system` is required).
        system: the system to read for (its parameters win; shapes are checked against it); None takes the file's own.

    Raises:
        ValueError: the file is broken or foreign, or an array is missing, misshapen or not finite; the message names it.
    """
    arrays, meta = load_npz(path)
    version = meta.get("format", FORMAT)
    if version != FORMAT:
        raise ValueError(f"scenes file {str(path)!r} has format {version!r}; this version reads format {FORMAT}")
    stored = meta.get("parameters")
    if system is None:
        if not isinstance(stored, dict):
            raise ValueError(f"scenes file {str(path)!r} holds no system parameters: give the system to read it for")
        system = systems.from_dict(stored)
    elif isinstance(stored, dict) and stored.get("system") != system.name:
        raise ValueError(f"scenes file {str(path)!r} belongs to system {stored.get('system')!r}, not to {system.name!r}")
    try:
        return system, system.from_file({name.replace(".", "/"): array for name, array in arrays.items()})
    except ValueError as error:
        raise ValueError(f"scenes file {str(path)!r}: {error}") from None
