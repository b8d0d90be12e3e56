"""The reinforcement-learning protocol, once and batched: scenes in, raw actions in, rewards and observations out."""

from __future__ import annotations

from typing import Any

import numpy as np

from ris_gym import variables as var
from ris_gym.arrays import Batch
from ris_gym.envs.config import EnvConfig, checked_scene, episode_of, horizon_of, sampler_of, takes_turns, validate
from ris_gym.envs.observation import Observer, raw_dtype
from ris_gym.systems.base import Metrics, System


class Core:
    """`num_envs` episodes of one system, advanced together. No autoreset, no spaces: the environments add those.

    Attributes:
        scene, known: the worlds and what may be acted on (batch `num_envs`); played: the worlds of the last block.
        raw: raw vectors (B, n) of the current designs; design, metrics: the designs and their metrics on the truth.
        value: penalised score (B,) of the current design, float64; known_metrics: metrics at `known`.
        steps: steps taken in the episode (B,); done: episodes that have ended (B,).
        turns: whether a step sets one raw number, `turn` (B,), by its index in the alphabet.
        channels: with `diagnostics`, how the last design shaped the channels, name -> (B, ...); `_first`: the first one.
    """

    def __init__(self, system: System, config: EnvConfig, num_envs: int = 1) -> None:
        self.system, self.config, self.num_envs = system, validate(system, config), num_envs
        self.episode, self.horizon = episode_of(system, self.config), horizon_of(system, self.config)
        self.variables = system.variables(self.config.control)
        self.num_raw = var.length(self.variables)
        self.periodic = var.periodic(self.variables)
        self.real = raw_dtype(self.config)
        self.turns = takes_turns(system, self.config)
        one = self.config.action == "discrete" and (self.turns or self.num_raw == 1)
        self.action_shape = (num_envs,) if one else (num_envs, self.num_raw)
        if self.turns:
            letters = np.arange(var.alphabet(self.variables)[0])[:, None]
            self._letters = np.concatenate([v.from_index(letters) for v in self.variables], axis=1).astype(self.real)
            self._variable = np.repeat(np.arange(len(self.variables)), [v.size for v in self.variables])
        self.observer = Observer(system, self.config)
        self.scene: Any = None
        self.known: Any = None
        self.played: Any = None
        self.design: Any = None
        self.metrics: Metrics | None = None
        self.known_metrics: Metrics | None = None
        self.raw = np.zeros((num_envs, self.num_raw), self.real)
        self.value = np.zeros(num_envs)
        self.steps = np.zeros(num_envs, np.int64)
        self.done = np.ones(num_envs, bool)
        self._features: np.ndarray = np.zeros((num_envs, 0), np.float32)
        self._next_scene = 0
        self.channels: dict[str, np.ndarray] = {}
        self._passed: list[np.ndarray] = []

    # -- reset --------------------------------------------------------------------------------------------------------------

    def reset(
        self, rng: np.random.Generator, mask: np.ndarray | None = None, scene: Batch | None = None, seeded: bool = False
    ) -> None:
        """Begin new episodes where `mask` is True (None: all), on `scene` (of `check_scene`) or on fresh ones.

        `seeded`: the generator was just seeded, so that a sequential scene set starts anew too.

        Raises:
            ValueError: a part of the episodes would begin on scenes with other arrays than the running ones.
        """
        if seeded:
            self._next_scene = 0
        if self.scene is None or mask is None or bool(mask.all()):
            mask, count = None, self.num_envs
        else:
            count = int(mask.sum())
            if count == 0:
                return
        if scene is None:
            fresh = self._draw(rng, count)
        else:
            fresh = scene
        if scene is not None or self.config.scenes is not None:
            if self.config.csi_error:
                fresh = self.system.draw_estimates(fresh, rng, self.config.csi_error)
            fresh = fresh.astype(self.config.dtype)
        known = self.system.known(fresh)
        if mask is not None and (other := {name for name, _ in fresh.items()} ^ {name for name, _ in self.scene.items()}):
            raise ValueError(f"the running episodes' scenes differ in the arrays {sorted(other)}: begin all episodes anew")
        raw = self._start(rng, known)
        if mask is None:
            self._passed = []
            self.scene, self.known, self.raw = fresh, known, raw
            self._features = self.observer.scene(known)
            self.steps, self.done = np.zeros(self.num_envs, np.int64), np.zeros(self.num_envs, bool)
        else:
            self.scene = self.scene.put(mask, fresh)
            self.known = self.system.known(self.scene)
            self.raw, self._features = self.raw.copy(), self._features.copy()
            self.raw[mask], self._features[mask] = raw, self.observer.scene(known)
            self.steps[mask], self.done[mask] = 0, False
        if not self.observer.designed and mask is None:
            self.design = self.metrics = self.known_metrics = None
        if self.observer.designed:
            part = None if mask is None or self.metrics is None else mask
            self._evaluate(part)
        if self.config.diagnostics:
            self._first_channels(mask)

    def check_scene(self, scene: Any, mask: np.ndarray | None = None) -> Any:
        """The validated scene of reset options, one entry per episode begun (None stays). Raises ValueError, TypeError."""
        if scene is None:
            return None
        count = self.num_envs if mask is None else int(mask.sum())
        scene = checked_scene(self.system, self.config, scene, "options['scene']")
        if len(scene) != count:
            raise ValueError(f"options['scene'] must hold {count} scenes, one per episode begun, got {len(scene)}")
        if mask is not None and not mask.all():
            drawn = "_estimate" if self.config.csi_error else None
            held, given = ({name for name, _ in batch.items() if not (drawn and drawn in name)} for batch in (self.scene, scene))
            if held != given:
                raise ValueError(f"options['scene'] must hold the arrays of the running episodes, not {sorted(held ^ given)}")
        return scene

    def _draw(self, rng: np.random.Generator, count: int) -> Any:
        scenes = self.config.scenes
        if scenes is None:
            return sampler_of(self.system, self.config)(rng, count, self.config.csi_error, self.config.dtype)
        assert isinstance(scenes, Batch)
        if self.config.scenes_order == "random":
            return scenes[rng.integers(len(scenes), size=count)]
        index = (self._next_scene + np.arange(count)) % len(scenes)
        self._next_scene = int((self._next_scene + count) % len(scenes))
        return scenes[index]

    def _start(self, rng: np.random.Generator, known: Any) -> np.ndarray:
        if not self.observer.designed:
            return np.zeros((len(known), self.num_raw), self.real)
        if self.config.start == "random":
            raw = (2.0 * rng.random((len(known), self.num_raw)) - 1.0).astype(self.real)
        else:
            raw = self.system.start(known, self.config.control).astype(self.real)
        if self.turns:  # entries that are not yet set stand at a letter too
            raw = var.from_index(self.variables, var.to_index(self.variables, raw)).astype(self.real)
        return raw

    # -- step ---------------------------------------------------------------------------------------------------------------

    @property
    def turn(self) -> np.ndarray:
        """Raw number (B,) that the next action sets, where numbers are set in turn."""
        return self.steps % self.num_raw

    def check_action(self, action: Any, discrete: bool) -> np.ndarray:
        """Validated actions (B, n): a box action clipped to [-1, 1], an alphabet action as raw numbers. Raises ValueError.

        Where numbers are set in turn: the raw vectors after the action.
        """
        array = np.asarray(action)
        if array.shape != self.action_shape:
            raise ValueError(f"action must have shape {self.action_shape}, got {array.shape}")
        if array.dtype.kind not in "fiu":
            raise ValueError(f"action must hold real numbers, got dtype {array.dtype}")
        if discrete:
            sizes = var.alphabet(self.variables)[: 1 if self.turns else None]
            if array.dtype.kind == "f" or np.any(array < 0) or np.any(array >= sizes):
                raise ValueError(f"action must hold integers in [0, {int(sizes.max()) - 1}], got {array!r}")
            if self.turns:
                raw, turn = self.raw.copy(), self.turn
                raw[np.arange(self.num_envs), turn] = self._letters[array, self._variable[turn]]
                return raw
            return var.from_index(self.variables, array.reshape(self.num_envs, self.num_raw)).astype(self.real)
        if not np.isfinite(array).all():
            raise ValueError("action must be finite, got nan or inf")
        return array.clip(-1.0, 1.0).astype(self.real, copy=False)

    def step(self, action: Any, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, Metrics]:
        """One step of every episode.

        Returns:
            reward (B,) float64, terminated (B,), truncated (B,), and the metrics of the designs used (on the truth).

        Raises:
            ValueError: the action is malformed; the state is unchanged then.
        """
        discrete = self.config.action == "discrete"
        action = self.check_action(action, discrete)
        if self.episode.kind == "refine" and not discrete:
            action = var.move(self.periodic, self.raw, self.real.type(self.config.step_size) * action)
        self.raw = action
        if self.episode.kind == "blocks":
            return self._block(rng)
        before = self.value
        self._evaluate()
        assert self.metrics is not None
        self._diagnose(self.scene)
        self.steps = self.steps + 1
        ended = self.steps >= self.horizon
        reward = self.value - before if self.episode.kind == "refine" else self.value
        return self._end(reward, ended, self.metrics)

    def _block(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, Metrics]:
        self.design = self._design()
        self.played = self.scene
        self._diagnose(self.scene)
        used, self.scene = self.system.step(self.scene, self.design, rng, self.config.correlation, self.config.csi_error)
        if self.episode.length is not None and (passed := self.system.trail(self.played, used)) is not None:
            self._passed = [*self._passed, passed][-self.horizon :]
        reward = np.asarray(self.system.penalised(used, self.config.penalty), np.float64)
        self.known = self.system.known(self.scene)
        self._features = self.observer.scene(self.known)
        if self.observer.designed:
            self._evaluate()
        else:
            self.metrics, self.value = used, reward
        self.steps = self.steps + 1
        ended, finished = self.steps >= self.horizon, self.system.finished(self.scene)
        return self._end(reward, ended if finished is None else ended | finished, used)

    def _end(
        self, reward: np.ndarray, ended: np.ndarray, metrics: Metrics
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, Metrics]:
        self.done = ended.copy()
        never = np.zeros(self.num_envs, bool)
        if self.episode.ends == "terminated":
            return reward, ended, never, metrics
        return reward, never, ended, metrics

    def _first_channels(self, mask: np.ndarray | None) -> None:
        """Diagnostics of new episodes' first designs: the start of `refine`, else the start rule's; sequential: none."""
        if self.episode.length is not None:
            return
        rows = np.arange(self.num_envs) if mask is None else np.flatnonzero(mask)
        scene, design = self.scene[rows], None if self.design is None else self.design[rows]
        if not self.observer.designed:
            known = self.system.known(scene)
            raw = self.system.start(known, self.config.control).astype(self.real)
            design = self.system.project(scene, self.system.decode(known, raw, self.config.control))
        for name, array in self.system.channel_diagnostics(scene, design).items():
            old = self.channels.get(f"{name}_first")
            new = np.zeros((self.num_envs, *array.shape[1:])) if old is None else old.copy()
            new[rows] = array
            self.channels[f"{name}_first"] = new

    def _diagnose(self, scene: Any) -> None:
        """Diagnostics of the current design on the scenes that it is for."""
        if self.config.diagnostics:
            self.channels = self.channels | self.system.channel_diagnostics(scene, self.design)

    def _design(self) -> Any:
        design = self.system.decode(self.known, self.raw, self.config.control)
        return design if self.known is self.scene else self.system.project(self.scene, design)

    def _realise(self, scene: Any, known: Any, raw: np.ndarray) -> tuple[Any, Any, Any]:
        """Design of raw vectors, its metrics on the truth and at `known`."""
        if known is scene:
            design, metrics = self.system.decode_evaluate(scene, raw, self.config.control)
            return design, metrics, metrics
        design = self.system.project(scene, self.system.decode(known, raw, self.config.control))
        return design, self.system.evaluate(scene, design), self.system.evaluate(known, design)

    def _evaluate(self, mask: np.ndarray | None = None) -> None:
        """Design, metrics and value of the current raw vectors, everywhere or where `mask` is True."""
        if mask is None:
            self.design, self.metrics, self.known_metrics = self._realise(self.scene, self.known, self.raw)
            self.value = self.system.penalised(self.metrics, self.config.penalty).astype(np.float64, copy=False)
            return
        scene = self.scene[mask]
        known = scene if self.known is self.scene else self.known[mask]
        design, metrics, known_metrics = self._realise(scene, known, self.raw[mask])
        assert self.metrics is not None and self.known_metrics is not None
        same = self.known_metrics is self.metrics
        self.design, self.metrics = self.design.put(mask, design), self.metrics.put(mask, metrics)
        self.known_metrics = (
            self.metrics if same else self.known_metrics.put(mask, known_metrics)
        )
        self.value = self.value.copy()
        self.value[mask] = self.system.penalised(metrics, self.config.penalty)

    # -- views --------------------------------------------------------------------------------------------------------------

    def observe(self) -> np.ndarray:
        """Observations (B, n) float32, fresh."""
        if not self.observer.designed:
            return self._features.copy()
        assert self.known_metrics is not None
        return self.observer(self._features, self.known, self.raw, self.design, self.known_metrics, self.steps)

    def path(self, index: int) -> np.ndarray | None:
        """What `system.trail` says of an episode's blocks before, (blocks, n), for instance where a user was; None: nothing."""
        count = min(int(self.steps[index]), len(self._passed))
        return np.stack([passed[index] for passed in self._passed[-count:]]) if count else None

    def info(self, metrics: Metrics) -> dict[str, Any]:
        """Arrays of the `info` dictionary, float64 or bool, fresh; `margins` is nested."""
        out: dict[str, Any] = {
            "objective": metrics.objective.astype(np.float64),
            "score": metrics.score.astype(np.float64),
            "cost": metrics.cost.astype(np.float64),
            "feasible": metrics.feasible.copy(),
            "is_success": np.array(self.system.success(metrics), bool),
            "margins": {name: array.astype(np.float64) for name, array in metrics.margins.items()},
        }
        for name, array in self.channels.items():
            out[name] = array.astype(np.float64)
        for name, array in metrics.physical().items():
            out[name] = array.astype(np.float64 if array.dtype.kind == "f" else array.dtype)
        return out


class Views:
    """The public state of an environment: what its core holds (batch axes first, also in the single form).

    In `refine` and `one_shot`, `design` and `metrics` are the current ones (None before a one-shot action). In episodes of
    blocks they are the last design (at first the start rule's) on the true channels of the block to come, which the observation
    shows at what is known of it (where it shows no design: those of the block just played, None before the first); `info` has
    the block just played. `scene` holds the truth, hidden states included.
    `turn`: the raw number that the next action sets (B,), None where an action sets them all.
    """

    core: Core

    system = property(lambda self: self.core.system)
    scene = property(lambda self: self.core.scene)
    design = property(lambda self: self.core.design)
    metrics = property(lambda self: self.core.metrics)
    raw = property(lambda self: self.core.raw)
    env_config = property(lambda self: self.core.config)
    observation_layout = property(lambda self: self.core.observer.layout)
    episode = property(lambda self: self.core.config.episode)
    control = property(lambda self: self.core.config.control)
    step_size = property(lambda self: self.core.config.step_size)
    horizon = property(lambda self: self.core.horizon)
    turn = property(lambda self: self.core.turn if self.core.turns else None)
