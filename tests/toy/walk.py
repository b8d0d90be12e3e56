"""A tiny sequential system, registered nowhere: aim at a walker that is seen through a filter, never directly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ris_gym import variables as var
from ris_gym.arrays import Array, Batch
from ris_gym.systems.base import ONE_SHOT, Episode, Metrics, System


@dataclass(frozen=True, kw_only=True)
class WalkScene(Batch):
    """`mean`: the belief; `position`: the truth; `noise` (B, frames, 2): motion and measurement of all frames, None if static."""

    mean: Array
    position: Array | None = None
    frame: Array | None = None
    noise: Array | None = None


@dataclass(frozen=True, kw_only=True)
class WalkDesign(Batch):
    aim: Array  # (B,), in [-10, 10]


@dataclass(frozen=True, kw_only=True)
class WalkMetrics(Metrics):
    miss: Array  # (B,)
    pair: Array  # (B, 2): position, aim


@dataclass(frozen=True, kw_only=True)
class Walk(System):
    """Objective: - miss^2. Margin: 2 - |miss|. The measurement is worse the further one aims from the walker."""

    name: ClassVar[str] = "walk"
    controls: ClassVar[tuple[str, ...]] = ("full",)
    hidden: ClassVar[tuple[str, ...]] = ("position", "noise")
    episodes: ClassVar[tuple[Episode, ...]] = (
        ONE_SHOT,
        Episode("track", "blocks", "truncated", "num_frames", preset="short", sampler="sample_track", fixed=("csi_error",)),
    )
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"short": {"num_frames": 5}}
    scene: ClassVar[type] = WalkScene
    design: ClassVar[type] = WalkDesign

    num_frames: int = 6

    def sample(self, rng: np.random.Generator, batch: int = 1, csi_error: float = 0.0, dtype: str = "complex128") -> WalkScene:
        position = rng.standard_normal(batch)
        return WalkScene(mean=position + 0.1 * rng.standard_normal(batch), position=position)

    def sample_track(
        self, rng: np.random.Generator, batch: int = 1, csi_error: float = 0.0, dtype: str = "complex128"
    ) -> WalkScene:
        noise = rng.standard_normal((batch, self.num_frames, 2))
        return self.sample(rng, batch).replace(noise=noise, frame=np.zeros(batch, np.int64))

    def frames(self, scene: WalkScene) -> int | None:
        if scene.frame is None:
            return None
        return int(self.num_frames - np.max(scene.frame, initial=0))

    def evaluate(self, scene: WalkScene, design: WalkDesign) -> WalkMetrics:
        position = scene.mean if scene.position is None else scene.position
        miss = design.aim - position
        margin = 2.0 - np.abs(miss)
        return WalkMetrics(
            objective=-(miss**2), score=-(miss**2), cost=np.maximum(0.0, -margin), feasible=margin >= -1e-3,
            margins={"near": margin[:, None]}, miss=miss, pair=np.stack([position, design.aim], axis=1),
        )  # fmt: skip

    def diagnostics(self, scene: WalkScene, design: WalkDesign) -> dict[str, np.ndarray]:
        return {"belief_error": np.abs(scene.mean - scene.position)}

    def advance(self, scene: WalkScene, design: Any, rng: np.random.Generator, correlation: float, csi_error: float) -> WalkScene:
        drawn = scene.noise[np.arange(len(scene)), scene.frame]  # type: ignore[index]
        seen = scene.position + 0.3 * np.abs(design.aim - scene.position) * drawn[:, 1]
        return scene.replace(mean=seen, position=scene.position + drawn[:, 0], frame=scene.frame + 1)

    def check_scene(self, arrays: Mapping[str, np.ndarray]) -> WalkScene:
        return WalkScene(**arrays)

    def check_scene_for(self, episode: Episode, scene: WalkScene) -> None:
        if (scene.noise is None) == (episode.name == "track"):
            raise ValueError(f"scenes must hold noise in episode 'track' alone, got episode {episode.name!r}")

    def variables(self, control: str = "full") -> var.Variables:
        return (var.Variable("aim", (), "level", "bs"),)

    def decode(self, known: WalkScene, raw: Array, control: str = "full") -> WalkDesign:
        return WalkDesign(aim=10.0 * raw[:, 0])

    def encode(self, known: WalkScene, design: WalkDesign, control: str = "full") -> Array:
        return design.aim[:, None] / 10.0

    def project(self, scene: WalkScene, design: WalkDesign) -> WalkDesign:
        return WalkDesign(aim=np.clip(design.aim, -10.0, 10.0))

    def observe_scene(self, known: WalkScene) -> dict[str, np.ndarray]:
        return {"mean": known.mean[:, None]}
