"""A sequential system in one file: point a beam at a walker on a line who is never seen, only measured.

Position `x <- x + w`, measurement `z = x + r v` with `r^2 = 0.01 + (x - aim)^2`, Kalman filter of mean and variance; score
`1 - (x - aim)^2`. Scenes of episode `tracking` hold the truth, the belief, the frame index and the noise of all frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ris_gym import variables as var
from ris_gym.arrays import Array, Batch, namespace
from ris_gym.envs.single import RisEnv
from ris_gym.envs.vector import RisVectorEnv
from ris_gym.systems import checks
from ris_gym.systems.base import ONE_SHOT, REFINE, Episode, Metrics, System, check_raw

NOISE = ("motion", "noise")


@dataclass(frozen=True, kw_only=True)
class WalkerScene(Batch):
    """Static scenes hold the position alone."""

    position: Array | None = None  # (B,)
    mean: Array | None = None  # (B,)
    variance: Array | None = None  # (B,)
    frame: Array | None = None  # (B,) int64
    motion: Array | None = None  # (B, F)
    noise: Array | None = None  # (B, F)


@dataclass(frozen=True, kw_only=True)
class WalkerDesign(Batch):
    """Where the beam points."""

    aim: Array  # (B,)


@dataclass(frozen=True, kw_only=True)
class WalkerMetrics(Metrics):
    """`position_error` (B,): of the belief, on the truth only; `frame` (B,): the one played."""

    frame: Array
    position_error: Array | None = None


@dataclass(frozen=True, kw_only=True)
class Walker(System):
    """See the module."""

    name: ClassVar[str] = "walker"
    unit: ClassVar[str] = "m"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"wide": {"num_frames": 3, "speed": 0.2}}
    controls: ClassVar[tuple[str, ...]] = ("full",)
    episodes: ClassVar[tuple[Episode, ...]] = (
        REFINE,
        ONE_SHOT,
        Episode(
            "tracking", "blocks", "truncated", "num_frames", "wide", "sample_path",
            ("horizon", "step_size", "start", "csi_error", "correlation"),
        ),
    )  # fmt: skip
    csi_errors: ClassVar[bool] = False
    scene: ClassVar[type] = WalkerScene
    design: ClassVar[type] = WalkerDesign

    num_frames: int = 5
    speed: float = 0.0

    def sample(self, rng: np.random.Generator, batch: int = 1, csi_error: float = 0.0, dtype: str = "complex128") -> WalkerScene:
        """Uniform positions."""
        return WalkerScene(position=rng.uniform(-1.0, 1.0, batch)).astype(dtype)

    def sample_path(
        self, rng: np.random.Generator, batch: int = 1, csi_error: float = 0.0, dtype: str = "complex128"
    ) -> WalkerScene:
        """The start of paths, with the noise to come."""
        position = rng.uniform(-1.0, 1.0, batch)
        return WalkerScene(
            position=position,
            mean=position + 0.3 * rng.standard_normal(batch),
            variance=np.full(batch, 0.09),
            frame=np.zeros(batch, np.int64),
            motion=rng.standard_normal((batch, self.num_frames)),
            noise=rng.standard_normal((batch, self.num_frames)),
        ).astype(dtype)

    def known(self, scene: WalkerScene) -> WalkerScene:
        """The belief; static scenes are known."""
        return scene if scene.mean is None else scene.replace(position=None, motion=None, noise=None)

    def frames(self, scene: WalkerScene) -> int | None:
        """Frames left."""
        return None if scene.frame is None else int(np.min(scene.noise.shape[1] - scene.frame))

    def check_episode(self, episode: Episode, config: Any) -> None:
        """A path needs speed."""
        if episode.name == "tracking" and self.speed <= 0.0:
            raise ValueError(f"speed must be positive in episode='tracking', got {self.speed!r}")

    def check_scene_for(self, episode: Episode, scene: WalkerScene) -> None:
        """Paths in `tracking`, positions elsewhere."""
        if (scene.mean is None) == (episode.name == "tracking"):
            raise ValueError(f"scenes of episode={episode.name!r} {'need' if scene.mean is None else 'have no'} belief")

    def check_scene(self, arrays: Mapping[str, np.ndarray]) -> WalkerScene:
        """Shapes; all arrays of a path or none."""
        shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("mean", "variance", "frame"), ())
        shapes |= dict.fromkeys(NOISE, np.shape(arrays.get("noise"))[1:2])
        found = checks.scene_arrays(arrays, {"position": ()}, shapes, set())
        checks.all_or_none(found, tuple(shapes))
        whole = {"frame": found.pop("frame").astype(np.int64)} if "frame" in found else {}
        return WalkerScene(**found, **whole)

    def evaluate(self, scene: WalkerScene, design: WalkerDesign) -> WalkerMetrics:
        """At `known`: of a walker at the mean."""
        where = scene.mean if scene.position is None else scene.position
        xp = namespace(where, design.aim)
        score = 1.0 - (where - design.aim) ** 2
        truth = scene.position is not None and scene.mean is not None
        return WalkerMetrics(
            objective=score,
            score=score,
            cost=xp.zeros_like(score),
            feasible=score > -1e9,
            margins={},
            frame=xp.zeros_like(score) if scene.frame is None else scene.frame,
            position_error=xp.abs(where - scene.mean) if truth else None,
        )

    def advance(self, scene: WalkerScene, design: Any, rng: np.random.Generator, correlation: float, csi_error: float) -> Any:
        """Measure, filter, walk. Nothing happens after the last frame."""
        going = scene.frame < scene.noise.shape[1]
        now = np.minimum(scene.frame, scene.noise.shape[1] - 1)[:, None]
        noise, motion = (np.take_along_axis(array, now, 1)[:, 0] for array in (scene.noise, scene.motion))
        spread = 0.01 + (scene.position - design.aim) ** 2
        measured = scene.position + np.sqrt(spread) * noise
        gain = scene.variance / (scene.variance + spread)
        moved = {
            "position": scene.position + self.speed * motion,
            "mean": scene.mean + gain * (measured - scene.mean),
            "variance": (1.0 - gain) * scene.variance + self.speed**2,
            "frame": scene.frame + 1,
        }
        return scene.replace(**{name: np.where(going, new, getattr(scene, name)) for name, new in moved.items()})

    def variables(self, control: str = "full") -> var.Variables:
        """`aim` in [-2, 2]."""
        return (var.Variable("aim", (), "level", "bs"),)

    def decode(self, known: WalkerScene, raw: Array, control: str = "full") -> WalkerDesign:
        """Twice the raw number."""
        check_raw(self, known, raw, control)
        return WalkerDesign(aim=2.0 * raw[:, 0])

    def encode(self, known: WalkerScene, design: WalkerDesign, control: str = "full") -> Array:
        """Half the aim."""
        return 0.5 * design.aim[:, None]

    def project(self, scene: WalkerScene, design: WalkerDesign) -> WalkerDesign:
        """Clipped."""
        return design.replace(aim=namespace(design.aim).clip(design.aim, -2.0, 2.0))

    def pieces_jacobian(
        self, known: WalkerScene, raw: np.ndarray, control: str = "full"
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of a parabola."""
        miss = (known.position if known.mean is None else known.mean) - 2.0 * raw[:, 0]
        slope = np.stack([4.0 * miss, np.zeros_like(miss)], axis=1)[:, :, None].astype(raw.dtype)
        return (1.0 - miss**2)[:, None], np.zeros((len(raw), 1)), slope

    def start(self, known: WalkerScene, control: str = "full") -> np.ndarray:
        """At the mean."""
        return np.clip(0.5 * (known.position if known.mean is None else known.mean), -1.0, 1.0)[:, None]

    def observe_scene(self, known: WalkerScene) -> dict[str, np.ndarray]:
        """The belief."""
        if known.mean is None:
            return {"position": known.position[:, None]}
        return {"belief": np.stack([known.mean, np.sqrt(known.variance)], axis=1)}

    def observe_design(self, known: WalkerScene, design: WalkerDesign, metrics: WalkerMetrics) -> dict[str, np.ndarray]:
        """The score at the mean."""
        return {"score": metrics.score[:, None]}


class WalkerEnv(RisEnv):
    """Single form."""

    system_class = Walker


class WalkerVectorEnv(RisVectorEnv):
    """Vector form."""

    system_class = Walker
