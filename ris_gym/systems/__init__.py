"""Systems by name: `make("beampattern", num_elements=32)`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ris_gym import registry
from ris_gym.systems.base import Episode, Metrics, System

__all__ = ["Beampattern", "Episode", "Metrics", "System", "from_dict", "get", "make", "names"]


def names() -> list[str]:
    """Names of the registered systems."""
    return list(registry.PAPERS)


def get(name: str) -> type[System]:
    """The class of a registered system. Raises ValueError for an unknown name."""
    return registry.load(registry.get(name).system)


def make(name: str, preset: str | None = None, **fields: Any) -> System:
    """Build a system by name: `preset` names a set of values, `fields` override it. Raises ValueError / TypeError."""
    return get(name).from_preset(preset, **fields)


def from_dict(values: Mapping[str, Any]) -> System:
    """Build a system from `system.to_dict()`. Raises ValueError."""
    if "system" not in values:
        raise ValueError(f"values must hold the entry 'system', got the entries {sorted(values)}")
    return get(values["system"]).from_dict(values)


def __getattr__(attribute: str) -> Any:
    for paper in registry.PAPERS.values():
        if paper.system.partition(":")[2] == attribute:
            return registry.load(paper.system)
    raise AttributeError(f"module 'ris_gym.systems' has no attribute {attribute!r}")
