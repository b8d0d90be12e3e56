"""Training, saved agents, comparison with the optimisers, and the command line `ris-gym`.

Importing this package is cheap: torch, Stable-Baselines3 and matplotlib are imported by the functions that need them.

    agents.train(agents.TrainConfig(minutes=3))        an agent in runs/<name>/agent
    agents.load("runs/<name>")                         the agent, a policy like those of `baselines`
    agents.compare(system, ["ao", "runs/<name>"])      a table on the same frozen scenes
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agents.comparison import Table, compare
    from agents.policy import Agent, load
    from agents.scenes import frozen_scenes
    from agents.training import TrainConfig, train

_HOME = {
    "Agent": "agents.policy",
    "Table": "agents.comparison",
    "TrainConfig": "agents.training",
    "compare": "agents.comparison",
    "frozen_scenes": "agents.scenes",
    "load": "agents.policy",
    "train": "agents.training",
}

__all__ = ["Agent", "Table", "TrainConfig", "compare", "frozen_scenes", "load", "train"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'agents' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
