"""Units of work of `nonorthogonal-tracking`: policies over whole episodes of a moving user, and the bound of an episode."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

import baselines
import ris_gym
from agents.rollouts import rollout
from agents.scenes import draw_scenes, generator, scene_hash
from ris_gym.systems.nonorthogonal import tracking

__all__ = ["Watched", "bound", "episodes", "follow"]

System = Mapping[str, Any]
Arrays = dict[str, np.ndarray]


class Watched:
    """The system, with what the belief is worth after the measurement of a frame as diagnostics."""

    def __init__(self, system: Any) -> None:
        self._system = system

    def __getattr__(self, name: str) -> Any:
        return getattr(self._system, name)

    def diagnostics(self, scene: Any, design: Any) -> Arrays:
        """`squared` (B,): e^T C_rr^-1 e of the position's error e; `error_m` (B,): |e|; after the update with this frame."""
        system = self._system
        noise = np.linalg.inv(tracking.measurement_information(system, scene, design) + tracking.REGULARISER * np.eye(2))
        measured = tracking.measure(system, scene, design, noise, np.minimum(scene.frame, system.num_frames - 1))
        mean, covariance = tracking.update(scene.belief_mean, scene.belief_cov, measured, noise)
        error = mean[:, :2] - scene.user_position[:, :2]
        squared = np.sum(error * np.linalg.solve(covariance[:, :2, :2], error[..., None])[..., 0], axis=-1)
        return {"squared": squared, "error_m": np.linalg.norm(error, axis=-1)}


def episodes(system: System, seed: int, first: int, stop: int) -> tuple[Any, Any, np.ndarray]:
    """System, frozen episodes first..stop-1, their hash."""
    model: Any = ris_gym.systems.from_dict(system)
    scene = draw_scenes(model, "test", stop, seed, episode="tracking")[np.arange(first, stop)]
    return model, scene, np.array(scene_hash(scene))


def follow(system: System, policy: str, options: Mapping[str, Any], seed: int, first: int, stop: int) -> Arrays:
    """A policy in all frames of episodes first..stop-1; arguments as `work.solve`.

    Returns:
        Means over the frames (n,): `value`: V at the true positions; `squared`, `error_m`: see `Watched`; `seconds` of CPU time
        per frame; `scenes`: hash.
    """
    model, scene, digest = episodes(system, seed, first, stop)
    solver: Any = baselines.make(policy, model, **options)
    begin = time.process_time()
    found = rollout(
        Watched(model), solver, scene, generator("policy", seed, first + 1), model.default_penalty, name=policy, diagnostics=True
    )
    seconds = (time.process_time() - begin) / (len(scene) * model.num_frames)
    return {
        "scenes": digest,
        "value": found.objective,
        "squared": found.physical["squared"],
        "error_m": found.physical["error_m"],
        "seconds": np.full(len(scene), seconds),
    }


def bound(system: System, seed: int, first: int, stop: int) -> Arrays:
    """The certified lower bound of the mean V of an episode, `value` (n,), -inf where none was found; `scenes`: hash."""
    model, scene, digest = episodes(system, seed, first, stop)
    return {"scenes": digest, "value": np.asarray(baselines.bound(model, scene).value)}
