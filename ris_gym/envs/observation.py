"""Assembling observations: scene features once per scene, design features every step, into one float32 vector."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ris_gym.arrays import Batch
from ris_gym.envs.config import EnvConfig, episode_of, horizon_of, sampler_of, takes_turns
from ris_gym.systems.base import Metrics, System, pack

LIMIT = 10.0


class Observer:
    """Observations of one system under one configuration.

    `layout` maps each feature to `(start, stop, shape)` in the observation vector: scene features, then (where a current design
    exists) the raw vector, design features and, in `refine`, the time left, the number to be set next (one-hot, where numbers are
    set in turn), then the local frame.
    """

    def __init__(self, system: System, config: EnvConfig) -> None:
        self.system, self.config = system, config
        episode, self.horizon = episode_of(system, config), horizon_of(system, config)
        self.local = config.observation == "local"
        self.timed, self.turns = episode.kind == "refine", takes_turns(system, config)
        self.designed = (episode.kind != "single" and episode.designed) or self.local
        self.layout = self._layout()
        self.size = next(reversed(self.layout.values()))[1]
        scene_names = list(system.observe_scene(self._probe()[0]))
        self.scene_size = self.layout[scene_names[-1]][1] if scene_names else 0

    def _probe(self) -> tuple[Batch, np.ndarray]:
        scene = sampler_of(self.system, self.config)(np.random.default_rng(0), 1, 0.0, self.config.dtype)
        known = self.system.known(scene)
        return known, self.system.start(known, self.config.control).astype(raw_dtype(self.config))

    def _layout(self) -> dict[str, tuple[int, int, tuple[int, ...]]]:
        known, raw = self._probe()
        features = dict(self.system.observe_scene(known))
        if self.designed:
            design = self.system.decode(known, raw, self.config.control)
            metrics = self.system.evaluate(known, design)
            features |= self._design(known, raw, design, metrics, np.zeros(1, np.int64))
        layout, start = {}, 0
        for name, array in features.items():
            shape = tuple(array.shape[1:])
            layout[name] = (start, start + math.prod(shape), shape)
            start += math.prod(shape)
        return layout

    def _design(
        self, known: Any, raw: np.ndarray, design: Any, metrics: Metrics, steps: np.ndarray
    ) -> Mapping[str, np.ndarray]:
        features = {"raw": raw} | self.system.observe_design(known, design, metrics)
        if self.timed:
            features["time_left"] = 1.0 - steps[:, None] / self.horizon
        if self.turns:
            features["turn"] = np.arange(raw.shape[1]) == steps[:, None] % raw.shape[1]
        if self.local:
            assert self.config.penalty is not None
            features |= self.system.observe_local(known, raw, self.config.control, self.config.penalty)
        return features

    def scene(self, known: Batch) -> np.ndarray:
        """Scene features (B, scene_size), float32, clipped."""
        features = self.system.observe_scene(known)
        if not features:
            return np.zeros((len(known), 0), np.float32)
        return clip(pack(features))

    def __call__(
        self, scene: np.ndarray, known: Any, raw: np.ndarray, design: Any, metrics: Metrics, steps: np.ndarray
    ) -> np.ndarray:
        """The observation (B, size) after `steps` (B,) steps of the episode, a fresh float32 array."""
        features = self._design(known, raw, design, metrics, steps)
        out = np.empty((len(scene), self.size), np.float32)
        out[:, : self.scene_size] = scene
        for name, array in features.items():
            start, stop, _ = self.layout[name]
            out[:, start:stop] = array.reshape(len(array), stop - start)
        clip(out[:, self.layout["raw"][1] :])
        return out


def clip(features: np.ndarray) -> np.ndarray:
    """The features clipped to the observation space, in place."""
    return features.clip(-LIMIT, LIMIT, out=features)


def raw_dtype(config: EnvConfig) -> np.dtype:
    """Real dtype of raw vectors in a rollout."""
    return np.dtype(np.float32 if config.dtype == "complex64" else np.float64)
