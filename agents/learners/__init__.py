"""The training algorithms by name (see `agents.learners.base` for what they are to a run). Imported when they are used."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from agents.learners.base import Learner, Setup

__all__ = ["KINDS", "LEARNERS", "Learner", "Setup", "build", "loader"]

LEARNERS = {
    "ppo": "agents.learners.ppo",
    "sac": "agents.learners.sac",
    "unfolded": "agents.learners.unfolded",
    "aim": "agents.learners.aim",
}
"""Value of `TrainConfig.algorithm` -> module with `build`."""

KINDS = {"unfolded": "agents.learners.unfolded", "aim": "agents.learners.aim"}
"""`network["kind"]` of an artefact -> module with `load`; the kinds `token` and `flat` are actors of `agents.networks`."""


def build(algorithm: str, setup: Setup) -> Learner:
    """The learner of an algorithm.

    Raises:
        ValueError: unknown algorithm, or settings that do not fit.
    """
    if algorithm not in LEARNERS:
        raise ValueError(f"algorithm must be one of {sorted(LEARNERS)}, got {algorithm!r}")
    learner: Learner = importlib.import_module(LEARNERS[algorithm]).build(setup)
    return learner


def loader(kind: Any) -> Callable[..., Any] | None:
    """What rebuilds an agent from an artefact with this kind of network; None: `agents.policy` does it itself."""
    if kind not in KINDS:
        return None
    load: Callable[..., Any] = importlib.import_module(KINDS[kind]).load
    return load
