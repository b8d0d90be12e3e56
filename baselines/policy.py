"""What a policy is and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

STATUSES = ("optimal", "stopped", "infeasible", "failed")


@dataclass(frozen=True, kw_only=True)
class Solution:
    """Designs for a batch of scenes, valued at what was known.

    Attributes:
        design: the system's design, batch axis first, hard feasible.
        objective: (B,) in the system's unit.
        feasible: (B,) bool.
        status: (B,) of optimal (proven) / stopped (a local method came to its end) / infeasible / failed.
        history: (iterations, B) value after each iteration, padded with the last one.
        history_of: "objective" (in the system's unit), or "score" (penalised score, maximised).
        seconds: wall time of the call.
        memory: what a sequential policy carries to the next decision, None in static systems.
    """

    design: Any
    objective: NDArray[np.float64]
    feasible: NDArray[np.bool_]
    status: NDArray[np.str_]
    history: NDArray[np.float64]
    seconds: float
    memory: Any = None
    history_of: str = "objective"


@dataclass(frozen=True, kw_only=True)
class Bound:
    """A bound of the objective: sense * (value - objective) >= 0 for every feasible design.

    Where `system.bound_of` is "score" it is of the penalised score: value - score >= 0 for every design. In sequential scenes it
    bounds the mean over the frames that count.

    Attributes:
        value: (B,) in the system's unit (a number with scope "mean").
        status: (B,) of certified / infeasible / unknown.
        scope: "scene", or "mean" where only the mean over scenes is bounded.
    """

    value: NDArray[np.float64]
    status: NDArray[np.str_]
    scope: str = "scene"


@runtime_checkable
class Policy(Protocol):
    """A map from what is known of a batch of scenes to designs."""

    name: str
    privileged: bool

    def solve(self, known: Any, rng: np.random.Generator) -> Solution:
        """Designs for the scenes of `known`; raises on no valid scene."""
        ...

    def bind(self, env: Any) -> Any:
        """An object with `predict(observation, state, episode_start, deterministic)` that drives `env`."""
        ...


def scene_generators(rng: np.random.Generator, count: int) -> list[np.random.Generator]:
    """One generator per scene, so that a scene's draws depend on neither its batch nor its chunk."""
    return [np.random.Generator(np.random.SFC64(int(seed))) for seed in rng.integers(0, 2**63, size=count)]


def pad_history(history: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Stack histories (iterations_i, b_i) of chunks of scenes along the batch, padded with each scene's last value."""
    longest = max(len(h) for h in history)
    return np.concatenate([np.concatenate([h, np.repeat(h[-1:], longest - len(h), axis=0)]) for h in history], axis=1)
