"""Gymnasium environments for integrated sensing and communication with reconfigurable intelligent surfaces.

`import ris_gym` registers the environments; it imports neither torch nor cvxpy nor stable-baselines3 nor matplotlib.
"""

from __future__ import annotations

from typing import Any

from ris_gym.registry import register

__version__ = "0.1.0"
__all__ = ["as_sb3", "envs", "load_scenes", "register", "save_scenes", "systems", "testing"]

register("beampattern", "Beampattern")
register("active_crb", "ActiveCrb")
register("multifunctional", "MultiFunctional")
register("nonorthogonal", "NonOrthogonal")
register("vehicular", "Vehicular")
register("anchor", "Anchor")

_LAZY = {
    "as_sb3": "ris_gym.envs.sb3:as_sb3",
    "load_scenes": "ris_gym.scenes:load_scenes",
    "save_scenes": "ris_gym.scenes:save_scenes",
}


def __getattr__(name: str) -> Any:
    import importlib

    if name in _LAZY:
        from ris_gym.registry import load

        return load(_LAZY[name])
    if name in ("systems", "envs", "testing", "variables", "arrays", "geometry", "channels", "surfaces", "scenes"):
        return importlib.import_module(f"ris_gym.{name}")
    raise AttributeError(f"module 'ris_gym' has no attribute {name!r}")
