"""A learned aim as a policy."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["AimAgent", "own_memory"]

OWN = "aim/"
"""Names of the agent's own memory begin with this; the rest is the designer's."""


def own_memory(memory: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The agent's own part of a memory, which `System.aim` takes."""
    return None if memory is None else {name.removeprefix(OWN): v for name, v in memory.items() if name.startswith(OWN)}


class AimAgent:
    """Aims at the belief's mean plus a learned offset; a baseline makes the design for what would be known there.

    On scenes without a belief it is the baseline itself.

    Args:
        system: the system to act in; network: features -> offset (torch); designer: name of the baseline, sequential or not.
        env_kwargs: keywords of its environment (the episode); name: shown in tables; penalty: of the designer.
    """

    privileged = False
    sequential = True

    def __init__(
        self,
        system: Any,
        network: Any,
        designer: str,
        env_kwargs: Mapping[str, Any],
        name: str = "aim",
        penalty: float | None = None,
    ) -> None:
        import baselines

        self.system, self.network, self.name, self.env_kwargs = system, network, name, dict(env_kwargs)
        self.designer: Any = baselines.make(designer, system, penalty=penalty)

    def solve(self, known: Any, rng: np.random.Generator, memory: Mapping[str, Any] | None = None) -> Any:
        """Designs of this frame, valued at what is known; `Solution.memory` goes into the next frame."""
        began = time.perf_counter()
        rest = None if memory is None else {k: v for k, v in memory.items() if not k.startswith(OWN)} or None
        aim = self.system.aim(known, own_memory(memory))
        there = known if aim is None else aim.place(self.offset(aim.features))
        if getattr(self.designer, "sequential", False):
            found = self.designer.solve(there, rng, rest)
        else:
            found = self.designer.solve(there, rng)
        kept = dict(found.memory or {})
        design, metrics = found.design, None
        if aim is not None:
            design = self.system.canonical(known, design)
            metrics = self.system.evaluate(known, design)
            kept |= {OWN + name: np.asarray(value) for name, value in aim.memory.items()}
        objective = found.objective if metrics is None else np.asarray(metrics.objective, float)
        return dataclasses.replace(
            found,
            design=design,
            objective=objective,
            feasible=found.feasible if metrics is None else np.asarray(metrics.feasible, bool),
            status=np.full(len(known), "stopped"),
            history=objective[None],
            history_of="objective",
            memory=kept or None,
            seconds=time.perf_counter() - began,
        )

    def offset(self, features: np.ndarray) -> np.ndarray:
        """Learned offsets (B, d), m."""
        import torch

        with torch.inference_mode():
            return np.asarray(self.network(torch.as_tensor(features)).numpy())

    def bind(self, env: Any) -> Any:
        """An object with `predict(observation, state, episode_start, deterministic)` that drives `env`."""
        from baselines.binding import BoundPolicy

        return BoundPolicy(self, env)
