"""A trained agent as a policy: `solve(known, rng)` like an optimiser, `bind(env)` to drive an environment."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from agents import artefact as store
from agents.features import FeatureMap, build_feature_map, variable_dicts
from ris_gym import variables as var

__all__ = ["Agent", "BoundAgent", "env_interface", "load", "make_vector_env"]


def make_vector_env(system: Any, num_envs: int, kwargs: Mapping[str, Any], **more: Any) -> Any:
    """The native vector environment of a system, unwrapped of nothing: `gymnasium.make_vec` with the system's fields."""
    import gymnasium

    import ris_gym

    fields = {key: value for key, value in system.to_dict().items() if key != "system"}
    fields = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
    return gymnasium.make_vec(ris_gym.registry.get(system.name).id, num_envs=num_envs, **fields, **kwargs, **more)


def env_interface(env: Any) -> dict[str, Any]:
    """What an agent's network depends on: the layout of observation and action, JSON-able.

    `observation_layout`, `variables`; `blocks` where the system has a `num_blocks`; `action` (`agents.features.ACTIONS`) where
    actions are discrete.
    """
    core = env.unwrapped
    layout = {name: [int(a), int(b), list(shape)] for name, (a, b, shape) in core.observation_layout.items()}
    interface: dict[str, Any] = {"observation_layout": layout, "variables": variable_dicts(core.system.variables(core.control))}
    if (blocks := getattr(core.system, "num_blocks", None)) is not None:
        interface["blocks"] = int(blocks)
    if core.env_config.action == "discrete":
        interface["action"] = "indices" if core.turn is None else "turn"
    return interface


def interface_features(interface: Mapping[str, Any], network: Mapping[str, Any]) -> FeatureMap:
    """The feature map of an interface under a network description."""
    return build_feature_map(
        interface["variables"],
        interface["observation_layout"],
        ignore=tuple(network.get("ignore", ())),
        raw_phases=bool(network.get("raw_phases", False)),
        blocks=interface.get("blocks"),
        action=interface.get("action", "box"),
    )


class Agent:
    """A trained actor and the form of episode that it was trained in.

    `solve` runs a refinement episode on the given scenes with deterministic actions and returns the best iterate by the penalised
    score at `known`, the start design included (in the other forms of episode: the design of its one action), after the system's
    exact repair where that meets what was violated or raises the score. An agent of an episode of blocks is `sequential`: `solve`
    decides one block, on the observation that the environment gives of it after the last block's raw vector, which it hands on
    as `Solution.memory`.

    Args:
        system: the system to act in.
        actor: observation (B, n) -> mean action, or `agents.discrete.Logits` (torch).
        env_kwargs: keywords of the environment, without scenes and system fields.
        network: description of the actor; with `squash` the action is the tanh of its output.
        name: shown in tables.
        penalty: of the score that selects the best iterate; None: the one trained with.
        steps: number of refinement steps; None: the horizon trained with.
    """

    privileged = False

    def __init__(
        self,
        system: Any,
        actor: Any,
        env_kwargs: Mapping[str, Any],
        network: Mapping[str, Any],
        name: str = "agent",
        penalty: float | None = None,
        steps: int | None = None,
    ) -> None:
        if steps is not None and steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps}")
        self.system, self.actor, self.network, self.name = system, actor, dict(network), name
        self.env_kwargs = dict(env_kwargs)
        if steps is not None:
            self.env_kwargs["horizon"] = steps
        self.env_kwargs.pop("csi_error", None)
        trained = self.env_kwargs.get("penalty")
        self.penalty = penalty if penalty is not None else system.default_penalty if trained is None else trained
        self._envs: dict[int, Any] = {}

    def act(self, observation: np.ndarray) -> np.ndarray:
        """Deterministic actions for observations (B, obs): (B, n) in [-1, 1]; indices (B, n), or (B,) where a step sets one."""
        import torch

        with torch.inference_mode():
            batch = torch.as_tensor(np.ascontiguousarray(observation, np.float32))
            if hasattr(self.actor, "decide"):
                index: np.ndarray = self.actor.decide(batch).numpy()
                return index
            action = self.actor(batch)
            if self.network.get("squash"):
                action = torch.tanh(action)
        return np.clip(action.numpy(), -1.0, 1.0)

    def solve(self, known: Any, rng: np.random.Generator, memory: Any = None) -> Any:
        """Designs for the scenes of `known`, as a `baselines` Solution.

        Args:
            memory: of a sequential agent, the last block's `Solution.memory`, `{"raw": (B, n)}`; None: the first block, which
                finds the design of the start rule.

        Raises:
            ValueError: the memory does not fit the scenes.
        """
        from baselines.finish import finish
        from baselines.policy import Solution
        from ris_gym.systems.base import System

        began = time.perf_counter()
        history: np.ndarray | None = None
        if self.sequential:
            raw = self._frame(known, memory)
        elif self._kind == "refine":
            raw, history = self._refine(known, rng)
        else:
            raw = self._once(known, rng)
        design = self.system.decode(known, raw.astype(np.float64), self.control)
        if type(self.system).repair is not System.repair or self.control != self.system.controls[0]:
            # else there is nothing to gain: no repair, and what the first control decodes is canonical
            design = finish(self.system, known, design, self.penalty)
        metrics = self.system.evaluate(known, design)
        objective = np.asarray(metrics.objective, float)
        return Solution(
            design=design,
            objective=objective,
            feasible=np.asarray(metrics.feasible, bool),
            status=np.full(len(known), "stopped"),
            history=self.system.penalised(metrics, self.penalty)[None] if history is None else history,
            seconds=time.perf_counter() - began,
            memory={"raw": raw} if self.sequential else None,
            history_of="score",
        )

    @property
    def control(self) -> str:
        """The control that the agent was trained in."""
        return str(self.env_kwargs.get("control") or self.system.controls[0])

    @property
    def episode(self) -> str:
        """The form of episode that the agent was trained in."""
        return str(self.env_kwargs.get("episode") or self.system.episodes[0].name)

    @property
    def sequential(self) -> bool:
        """Whether a decision depends on the one before."""
        return self._kind == "blocks"

    @property
    def _kind(self) -> str:
        return str({episode.name: episode.kind for episode in self.system.episodes}[self.episode])

    def _raw(self, action: np.ndarray) -> np.ndarray:
        """Raw vectors (B, n) of actions that set them all."""
        if not hasattr(self.actor, "decide"):
            return action
        return var.from_index(self.system.variables(self.control), action.reshape(len(action), -1))

    def _refine(self, known: Any, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Raw vectors of the best iterates of a refinement episode, and their penalised score at `known` after every step."""
        env = self._env(len(known))
        core = env.unwrapped
        observation, _ = env.reset(seed=int(rng.integers(2**31)), options={"scene": known})
        raw = np.array(core.raw)
        best = np.asarray(self.system.penalised(core.metrics, self.penalty), float)
        history = [best]
        for _ in range(core.horizon):
            observation, _, _, _, _ = env.step(self.act(observation))
            value = np.asarray(self.system.penalised(core.metrics, self.penalty), float)
            better = value > best
            raw[better], best = core.raw[better], np.where(better, value, best)
            history.append(best)
        return raw, np.stack(history)

    def _once(self, known: Any, rng: np.random.Generator) -> np.ndarray:
        """Raw vectors of one action per scene: the design itself, in episodes of one action."""
        if self._env(1).unwrapped.env_config.start == "random":
            observation, _ = self._env(len(known)).reset(seed=int(rng.integers(2**31)), options={"scene": known})
            return self._raw(self.act(observation))
        return self._raw(self.act(self._observation(known)))

    def _frame(self, known: Any, memory: Any) -> np.ndarray:
        """Raw vectors of the action for a block."""
        if memory is None:
            return self._raw(self.act(self._observation(known)))
        raw, needed = np.asarray(memory["raw"]), (len(known), self._env(1).unwrapped.core.num_raw)
        if raw.shape != needed:
            raise ValueError(f"memory['raw'] must have shape {needed}, got {raw.shape}")
        return self._raw(self.act(self._observation(known, raw)))

    def _observation(self, known: Any, raw: np.ndarray | None = None) -> np.ndarray:
        """What the environment shows of scenes and a raw vector (None: the start rule's), without its checks of the scenes."""
        core = self._env(1).unwrapped.core
        observer, known = core.observer, known.astype(core.config.dtype)
        scene: np.ndarray = observer.scene(known)
        if not observer.designed:
            return scene
        raw = (self.system.start(known, self.control) if raw is None else raw).astype(core.real)
        design, metrics = self.system.decode_evaluate(known, raw, self.control)
        observation: np.ndarray = observer(scene, known, raw, design, metrics, np.zeros(len(known), np.int64))
        return observation

    def bind(self, env: Any) -> Any:
        """An object with `predict(observation, state, episode_start, deterministic)` for `env`.

        In the episode of refinement or blocks that the agent was trained in, with the same observation, it is the actor itself;
        in any other episode it solves once per scene.
        """
        core = env.unwrapped
        if self._kind != "single" and core.episode == self.episode and env_interface(env) == env_interface(self._env(1)):
            return BoundAgent(self)
        from baselines.binding import BoundPolicy

        return BoundPolicy(self, env)

    def _env(self, batch: int) -> Any:
        if batch not in self._envs:
            if len(self._envs) > 4:
                self._envs.pop(next(iter(self._envs))).close()
            self._envs[batch] = make_vector_env(self.system, batch, self.env_kwargs, autoreset_mode="Disabled")
        return self._envs[batch]


class BoundAgent:
    """The actor behind the interface of a Stable-Baselines3 model."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent

    def predict(
        self, observation: np.ndarray, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[np.ndarray, Any]:
        """Actions for one observation (n,) or a batch (B, n)."""
        observation = np.asarray(observation)
        single = observation.ndim == 1
        action = self.agent.act(observation[None] if single else observation)
        return (action[0] if single else action), state


def load(
    path: str | os.PathLike[str], system: Any = None, penalty: float | None = None, steps: int | None = None
) -> Any:
    """Load an agent from its folder (or the folder of its run). Nothing is unpickled.

    Args:
        path: the folder.
        system: act in this system instead of the one trained in; a token network serves other numbers of elements.
        penalty: of the score that selects the best iterate.
        steps: number of refinement steps; None: as trained.

    Returns:
        An `Agent`, or the policy of another learner (`agents.learners.KINDS`): `solve(known, rng)` and `bind(env)`.

    Raises:
        ValueError: the folder is no agent, is damaged, or does not fit `system`; the message says where.
    """
    import torch

    import ris_gym
    from agents.learners import loader
    from agents.networks import build_actor

    stored = store.read(path)
    folder = store.find(path)
    trained = ris_gym.systems.from_dict(stored.system)
    if system is None:
        system = trained
    elif system.name != trained.name:
        raise ValueError(f"{folder}: trained for system {trained.name!r}, not for {system.name!r}")
    name = str(stored.training.get("name") or Path(path).resolve().name)
    special = loader(stored.network.get("kind"))
    if special is not None:
        try:
            return special(stored, system, penalty, steps, name)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"{folder}: {error}") from None
    kwargs = stored.env.get("kwargs", {})
    if not isinstance(kwargs, dict) or {"scenes", "num_envs", "autoreset_mode"} & set(kwargs):
        raise ValueError(f"{folder / store.DESCRIPTION}: env.kwargs must be keywords of the environment without scenes")
    interface = stored.interface
    if system != trained:
        interface = env_interface(make_vector_env(system, 1, kwargs))
    try:
        features = interface_features(interface, stored.network)
        actor = build_actor(stored.network, features)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{folder / store.DESCRIPTION}: {error}") from None
    weights = {key.removeprefix("actor."): value for key, value in stored.weights.items() if key.startswith("actor.")}
    expected = {key: tuple(value.shape) for key, value in actor.state_dict().items()}
    found = {key: value.shape for key, value in weights.items()}
    if expected != found:
        key = sorted({*expected.items()} ^ {*found.items()})[0][0]
        hint = "" if system == trained else "; the agent was trained for other sizes"
        raise ValueError(
            f"{folder / store.WEIGHTS}: array 'actor.{key}' has shape {found.get(key)}, needed {expected.get(key)}{hint}"
        )
    actor.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in weights.items()})
    actor.eval()
    return Agent(system, actor, kwargs, stored.network, name, penalty, steps)
