"""Drive an environment with a policy, in the manner of an SB3 model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baselines.policy import Policy
from ris_gym import variables as var

Memory = dict[str, NDArray]
"""What a sequential policy carries from one decision to the next, name -> (B, ...)."""


class BoundPolicy:
    """`predict(observation, state, episode_start, deterministic)` for one environment, single or vector.

    The policy is asked once per scene and the answer is kept until the scene changes (so once per episode in `refine` and
    `one_shot`, once per block in `fading`); scenes that did not change are not solved again.
    In `refine` the action is clip((u* - u) / step_size, -1, 1), phases by the shortest way round; else it is u* = encode(design),
    as indices where the actions are discrete (where entries are set in turn, the index of the entry whose turn it is).

    A policy with the attribute `sequential` True is asked `solve(known, rng, memory)`: with the memory that its last solution for
    these scenes returned, None where an episode starts. The memory travels in `state`. A privileged policy gets the true scenes.

    Args:
        policy: a policy.
        env: an environment of `ris_gym`, single or vector, possibly wrapped.
        seed: seeds the policy's randomness.
    """

    def __init__(self, policy: Policy, env: Any, seed: int | None = 0) -> None:
        self.policy = policy
        self.env = env
        self.rng = np.random.default_rng(seed)
        self.sequential = bool(getattr(policy, "sequential", False))
        self._seen: dict[str, NDArray] | None = None
        self._target: NDArray[np.float64] | None = None
        self._memory: Memory | None = None

    def predict(
        self, observation: Any = None, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[NDArray, Any]:
        """The action (n,) of the single form or (B, n) of the vector form (a number, (B,) in `Discrete` spaces), and the state.

        Args:
            observation: not used: the policy sees what is known of the environment's scenes.
            state: of a sequential policy, the state that the last call returned (None: no memory); else returned unchanged.
            episode_start: (B,) bool, True where the memory is to be forgotten; where an episode starts it is in any case.
            deterministic: not used: the policy's own randomness is seeded.

        Raises:
            ValueError: `state` is not a dictionary of arrays of this batch.
        """
        env = self.env.unwrapped
        variables, single = env.core.variables, not hasattr(env, "single_action_space")
        target = self._targets(env.core, state, episode_start)
        if env.core.config.action == "discrete":
            action: NDArray = var.to_index(variables, target)
            if env.core.turns:
                action = action[np.arange(len(action)), env.core.turn]
            action = action.reshape(env.core.action_shape).astype(env.action_space.dtype)
        elif env.core.episode.kind == "refine":
            change = target - np.asarray(env.raw, dtype=float)
            change = np.where(var.periodic(variables), var.wrap(change), change)
            action = np.clip(change / env.step_size, -1.0, 1.0).astype(np.float32)
        else:
            action = np.clip(target, -1.0, 1.0).astype(np.float32)
        return action[0] if single else action, self._memory if self.sequential else state

    def _targets(self, core: Any, state: Any, episode_start: Any) -> NDArray[np.float64]:
        """Raw vectors u* (B, n); only scenes that changed since the last call are solved."""
        known = core.known
        given = core.scene if getattr(self.policy, "privileged", False) else known
        arrays = {name: np.array(value) for name, value in given.items()}
        count = len(given)
        if self.sequential and core.episode.kind == "blocks":
            arrays["steps"] = core.steps.copy()  # a decision to come, also where all that is known stays as it was
        old = self._seen
        stale = np.ones(count, bool)
        if old is not None and self._target is not None and _alike(old, arrays):
            stale = np.zeros(count, bool)
            for name, value in arrays.items():
                stale |= (value != old[name]).reshape(count, -1).any(1)
        forgotten = core.steps == 0
        if episode_start is not None:
            forgotten = forgotten | np.broadcast_to(np.asarray(episode_start, bool), (count,))
        memory = _checked(state, count) if self.sequential else None
        for rows, carried in _groups(stale, forgotten, memory):
            extra = ({name: array[rows] for name, array in carried.items()} if carried else None,) if self.sequential else ()
            solution = self.policy.solve(given[rows], self.rng, *extra)
            raw = np.asarray(core.system.encode(known[rows], solution.design, core.config.control), dtype=float)
            self._target = _put(self._target, rows, raw, count)
            if self.sequential:
                self._remember(rows, solution.memory, count)
        self._seen = arrays
        assert self._target is not None
        return self._target

    def _remember(self, rows: NDArray, memory: Mapping[str, Any] | None, count: int) -> None:
        """Keep the memory of the scenes `rows`."""
        entries = {} if memory is None else {name: np.asarray(value) for name, value in memory.items()}
        kept = {} if self._memory is None or len(rows) == count else self._memory
        if kept and set(kept) != set(entries):
            raise ValueError(f"memory must have the entries {sorted(kept)} in every scene, got {sorted(entries)}")
        out = {name: _put(kept.get(name), rows, value, count) for name, value in entries.items()}
        self._memory = out or None


def _groups(
    stale: NDArray[np.bool_], forgotten: NDArray[np.bool_], memory: Memory | None
) -> list[tuple[NDArray, Memory | None]]:
    """Scenes to solve in one call, with the memory they carry."""
    if memory is None:
        groups: list[tuple[NDArray, Memory | None]] = [(np.flatnonzero(stale), None)]
    else:
        groups = [(np.flatnonzero(stale & forgotten), None), (np.flatnonzero(stale & ~forgotten), memory)]
    return [(rows, carried) for rows, carried in groups if len(rows)]


def _put(old: NDArray | None, rows: NDArray, values: NDArray, count: int) -> NDArray:
    """A copy of `old` with the entries `rows` replaced; without an old one of the same shape the others are 0."""
    if len(rows) == count:
        return np.array(values)
    same = old is not None and old.shape == (count, *values.shape[1:])
    out = np.array(old) if same else np.zeros((count, *values.shape[1:]), values.dtype)
    out[rows] = values
    return out


def _checked(state: Any, count: int) -> Memory | None:
    """The memory in `state`. Raises ValueError unless it is None or a dictionary of arrays (count, ...)."""
    if state is None:
        return None
    if not isinstance(state, Mapping) or any(np.shape(value)[:1] != (count,) for value in state.values()):
        raise ValueError(f"state must be None or a dictionary of arrays ({count}, ...), as the last call returned, got {state!r}")
    return {name: np.asarray(value) for name, value in state.items()}


def _alike(old: dict[str, NDArray], new: dict[str, NDArray]) -> bool:
    return old.keys() == new.keys() and all(old[name].shape == new[name].shape for name in new)
