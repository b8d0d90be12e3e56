"""The System: one paper's model as a frozen set of parameters and batched pure functions of scenes and designs."""

from __future__ import annotations

import dataclasses
import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from ris_gym import variables as var
from ris_gym.arrays import Array, Batch, at_least, field_names, namespace, to_numpy
from ris_gym.systems.ascent import prox_linear

if TYPE_CHECKING:
    from ris_gym.envs.config import EnvConfig
    from ris_gym.systems.landscape import Landscape

ASCENT_STEPS = (0.03, 0.3, 1.5)
"""Step lengths of the prox-linear directions in the local frame (score per squared unit of raw action)."""
ASCENT_REACH = 0.25
"""Unit of the prox-linear steps in the local frame: change of a raw number, the default `step_size` of an environment."""
FEASIBLE_MARGIN = -1e-3
"""A margin (dB, bit/s/Hz) counts as met from here on."""


@dataclass(frozen=True)
class Episode:
    """A form of episode that a system offers.

    Args:
        name: the value of the environment keyword `episode`.
        kind: `refine` (the action moves the raw vector of one design), `single` (one action, one design, the end) or
            `blocks` (one action = one design per block, `system.step` moves the world).
        ends: `terminated` (the task is over) or `truncated` (the world would go on).
        length: system field that sets the length (None: the environment keyword `horizon`).
        preset: the preset taken where the user asks for this episode and gives none.
        sampler: name of the system's method that draws the scenes of this episode, `(rng, batch, csi_error, dtype)` as `sample`.
        fixed: environment keywords that do not apply: anything but their default is refused.
        designed: whether the last design is part of what is observed, valued at the scene to come (`blocks` only); else it is
            valued in the block that it was made for alone, and pictures show that block.
    """

    name: str
    kind: str
    ends: str = "terminated"
    length: str | None = None
    preset: str | None = None
    sampler: str = "sample"
    fixed: tuple[str, ...] = ()
    designed: bool = True


REFINE = Episode("refine", "refine")
ONE_SHOT = Episode("one_shot", "single")
FADING = Episode("fading", "blocks", "truncated")


@dataclass(frozen=True, kw_only=True)
class Aim:
    """How the decisions of a sequential system may aim elsewhere than at the mean of the belief (see `System.aim`).

    Args:
        features: (B, f) float32, O(1): what says where the mean is wrong.
        memory: name -> (B, ...): what the next frame's features need of this one.
        place: offset (B, d), m -> what is known, had the belief this mean.
        target: true scene -> the offset (B, d) that would have been right (for training, where the truth is at hand).
        size: d.
    """

    features: np.ndarray
    memory: Mapping[str, np.ndarray]
    place: Callable[[np.ndarray], Any]
    target: Callable[[Any], np.ndarray]
    size: int = 2


@dataclass(frozen=True, kw_only=True)
class Metrics(Batch):
    """What a design is worth, per scene. Subclasses add the physical quantities of their paper.

    Args:
        objective: (B,) in the system's `unit`; margins: name -> (B, n), met when >= -1e-3; cost: (B,) >= 0;
        score: (B,) O(1), maximised; feasible: (B,) bool, all margins met.

    A subclass for sequential scenes may have a field `counted` (B,): 0 in frames that means over an episode leave out, else 1.
    """

    objective: Array
    score: Array
    cost: Array
    feasible: Array
    margins: dict[str, Array]

    def physical(self) -> dict[str, Array]:
        """Every array held beyond objective, score, cost, feasible and margins: the quantities worth logging."""
        out: dict[str, Array] = {}
        for name in physical_names(type(self)):
            value = getattr(self, name)
            if isinstance(value, Mapping):
                out |= {f"{name}/{key}": entry for key, entry in value.items()}
            elif value is not None:
                out[name] = value
        return out


_PHYSICAL: dict[Any, tuple[str, ...]] = {}


def physical_names(metrics: Any) -> tuple[str, ...]:
    """Names of the fields that a subclass of `Metrics` adds, looked up once per class."""
    if metrics not in _PHYSICAL:
        _PHYSICAL[metrics] = tuple(name for name in field_names(metrics) if name not in field_names(Metrics))
    return _PHYSICAL[metrics]


@dataclass(frozen=True, kw_only=True)
class System(ABC):
    """Parameters of one system model (fields of the subclass) and the functions that every algorithm and environment uses."""

    name: ClassVar[str]
    sense: ClassVar[int] = 1
    unit: ClassVar[str] = "dB"
    default_penalty: ClassVar[float] = 1.0
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    controls: ClassVar[tuple[str, ...]] = ("full", "structured", "surface")
    observations: ClassVar[tuple[str, ...]] = ("csi", "local")
    episodes: ClassVar[tuple[Episode, ...]] = (REFINE, ONE_SHOT, FADING)
    env_defaults: ClassVar[Mapping[str, Any]] = {}
    """Environment keywords whose default differs from the suite's (`action`, `horizon`, ...), see `defaults_for`."""
    turns: ClassVar[bool] = False
    """Whether `refine` with discrete actions sets one raw entry per step, in turn (all alphabets must have one size)."""
    hidden: ClassVar[tuple[str, ...]] = ()
    """Scene fields that `known` sets to None (true states, pre-drawn noise)."""
    csi_errors: ClassVar[bool] = True
    """Whether `csi_error` applies."""
    final: ClassVar[tuple[str, ...]] = ()
    """Sequential systems: `objective` and physical quantities of which the last frame counts, not the mean over frames."""
    bound_of: ClassVar[str] = "objective"
    """What certified bounds are of: `objective`, or `score`: the penalised score, whose weight they take as `penalty`."""
    scene: ClassVar[type[Batch]]
    design: ClassVar[type[Batch]]

    # -- parameters ---------------------------------------------------------------------------------------------------------

    @classmethod
    def from_preset(cls, preset: str | None = None, **fields: Any) -> Self:
        """Build from a named set of values; `fields` override it. Raises ValueError / TypeError naming what is wrong."""
        names = [field.name for field in dataclasses.fields(cls)]
        for name in fields:
            if name not in names:
                raise TypeError(f"{cls.name} has no parameter {name!r}; parameters: {', '.join(names)}")
        if preset is not None and preset not in cls.presets:
            raise ValueError(f"preset must be one of {sorted(cls.presets)} for {cls.name}, got {preset!r}")
        return cls(**{**(cls.presets[preset] if preset is not None else {}), **fields})

    def to_dict(self) -> dict[str, Any]:
        """JSON-able parameters, with the system's name under `system`."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {"system": self.name, **{k: _listed(v) for k, v in fields.items()}}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`. Raises ValueError for another system's parameters."""
        values = dict(values)
        if (name := values.pop("system", cls.name)) != cls.name:
            raise ValueError(f"system must be {cls.name!r}, got {name!r}")
        return cls.from_preset(**{k: _tupled(v) for k, v in values.items()})

    # -- environments -------------------------------------------------------------------------------------------------------

    def defaults_for(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Defaults of the environment keywords for these parameters, where the user gives `given` (its `episode` filled in)."""
        return self.env_defaults

    def check_episode(self, episode: Episode, config: EnvConfig) -> None:
        """Raise ValueError, naming field, value and rule, where the parameters do not fit an episode. Default: they all do."""
        return

    def check_scene_for(self, episode: Episode, scene: Any) -> None:
        """Raise ValueError where valid scenes are of the wrong sort for an episode (static ones in a sequential episode, ...)."""
        return

    # -- the world ----------------------------------------------------------------------------------------------------------

    @abstractmethod
    def sample(self, rng: np.random.Generator, batch: int = 1, csi_error: float = 0.0, dtype: str = "complex128") -> Any:
        """Draw `batch` scenes; `csi_error` is the relative error of the estimates (0: none are stored)."""

    def frames(self, scene: Any) -> int | None:
        """Number of decisions that these scenes hold from now on, the least of the batch; None: static scenes (one decision).

        Scenes after the last decision stay there: they are still observed and evaluated (bootstrapping), `step` does not fail.
        """
        return None

    def finished(self, scene: Any) -> np.ndarray | None:
        """Sequential scenes (B,) bool that have come to their end, by a decision or by their length; None: by length alone.

        In such scenes `step` changes nothing and scores 0.
        """
        return None

    def success(self, metrics: Any) -> Any:
        """What `info["is_success"]` says, (B,) bool: by default that all margins are met."""
        return metrics.feasible

    def known(self, scene: Any) -> Any:
        """What may be acted on: estimates in the place of truths, hidden arrays None."""
        changes: dict[str, Any] = dict.fromkeys(self.hidden)
        for name in field_names(type(scene)):
            if name.endswith("_estimate") and (value := getattr(scene, name)) is not None:
                changes[name.removesuffix("_estimate")] = value
                changes[name] = None
        return scene.replace(**changes) if changes else scene

    def draw_estimates(self, scene: Any, rng: np.random.Generator, csi_error: float) -> Any:
        """The scene with freshly drawn estimates of relative error `csi_error` (given scenes; `sample` draws its own)."""
        if csi_error:
            raise ValueError(f"csi_error must be 0 for {self.name}, got {csi_error!r}")
        return scene

    def aim(self, known: Any, memory: Mapping[str, Any] | None = None) -> Aim | None:
        """Where decisions may aim: features of the belief and of how it failed before (`memory` of the last frame, None in the
        first). None: these scenes hold no belief of a position."""
        return None

    @abstractmethod
    def evaluate(self, scene: Any, design: Any) -> Any:
        """Metrics of a design on the true scene."""

    def trail(self, scene: Any, metrics: Any) -> np.ndarray | None:
        """What pictures show of the blocks before, (B, n), from a block's scene and metrics: where a moving user was, m."""
        return getattr(scene, "user_position", None)

    def diagnostics(self, scene: Any, design: Any) -> dict[str, np.ndarray]:
        """Quantities worth looking at that are too costly for every step, name -> (B,): for validation, tables and pictures."""
        return {}

    def channel_diagnostics(self, scene: Any, design: Any) -> dict[str, np.ndarray]:
        """How the design shapes the true channels (`ris_gym.diagnostics`), name -> (B, ...): `info` with `diagnostics=True`."""
        return {}

    def advance(self, scene: Any, design: Any, rng: np.random.Generator, correlation: float, csi_error: float) -> Any:
        """The next block of the world. Static channels stay as they are unless the subclass lets them fade."""
        return scene

    def step(
        self, scene: Any, design: Any, rng: np.random.Generator, correlation: float = 0.95, csi_error: float = 0.0
    ) -> tuple[Any, Any]:
        """Evaluate one block and move to the next: fading, kinematics, belief."""
        return self.evaluate(scene, design), self.advance(scene, design, rng, correlation, csi_error)

    @abstractmethod
    def check_scene(self, arrays: Mapping[str, np.ndarray]) -> Any:
        """Validate loaded arrays (names and shapes of the model page) and build the scene. Raises ValueError naming the array."""

    def from_file(self, arrays: Mapping[str, np.ndarray]) -> Any:
        """The scene of a file: as `check_scene`, with what a file as a whole adds (for instance its mean level)."""
        return self.check_scene(arrays)

    # -- decisions ----------------------------------------------------------------------------------------------------------

    @abstractmethod
    def variables(self, control: str = "full") -> var.Variables:
        """The decision variables that a control sets, in the order of the raw action."""

    @abstractmethod
    def decode(self, known: Any, raw: Array, control: str = "full") -> Any:
        """Raw action (B, n) in [-1, 1] -> a design that meets every hard constraint at `known`."""

    def decode_evaluate(self, known: Any, raw: Array, control: str = "full") -> tuple[Any, Any]:
        """The design `decode(known, raw)` and its metrics at `known`; a system may share work between the two."""
        design = self.decode(known, raw, control)
        return design, self.evaluate(known, design)

    @abstractmethod
    def encode(self, known: Any, design: Any, control: str = "full") -> Array:
        """The inverse of `decode`, or the nearest representable design."""

    @abstractmethod
    def project(self, scene: Any, design: Any) -> Any:
        """Any raw design -> a hard-feasible one on the truth; idempotent."""

    def canonical(self, known: Any, design: Any) -> Any:
        """The projected design in the form that `decode(control="full")` can make."""
        return self.project(known, design)

    def repair(self, known: Any, design: Any) -> Any:
        """The page's exact repair of the soft constraints, where there is one; canonical."""
        return self.canonical(known, design)

    def start(self, known: Any, control: str = "full") -> np.ndarray:
        """Raw vector (B, n) of the start rule, a cheap closed form. Default: the middle of the box."""
        return np.zeros((len(known), var.length(self.variables(control))))

    # -- what an agent sees -------------------------------------------------------------------------------------------------

    @abstractmethod
    def observe_scene(self, known: Any) -> dict[str, np.ndarray]:
        """Features of the scene, name -> (B, ...), O(1) by known channel statistics."""

    def observe_design(self, known: Any, design: Any, metrics: Any) -> dict[str, np.ndarray]:
        """Features of the current design from its metrics at `known`, name -> (B, ...)."""
        return {}

    def observe(self, known: Any, design: Any | None = None) -> np.ndarray:
        """All features of scene and design, (B, n) float32 (the environment appends raw vector and time left)."""
        features = self.observe_scene(known)
        if design is not None:
            features |= self.observe_design(known, design, self.evaluate(known, design))
        return pack(features)

    def observe_local(self, known: Any, raw: np.ndarray, control: str, penalty: float) -> dict[str, np.ndarray]:
        """The local frame of the design `decode(raw)`: `frame` of its pieces. Subclasses append alignments and Gram matrices."""
        return self.frame(*self.pieces_jacobian(known, raw, control), penalty)

    @staticmethod
    def frame(score: np.ndarray, slack: np.ndarray, jacobian: np.ndarray, penalty: float) -> dict[str, np.ndarray]:
        """Ascent directions from every piece of the penalised score (B, p), (B, q) and their derivatives (B, p + q, n).

        `direction` (B, n) = sqrt(n) d / ||d||, `log_norm` (B, 1) = log10(||d|| + 1e-6), d the derivative of score - penalty cost;
        `ascent` (B, E, n): the prox-linear steps for the lengths `ASCENT_STEPS` over `ASCENT_REACH`, shortened to unit rms where
        longer; `ascent_log_norm` (B, E): log10 of the steps' rms. Where several pieces tie (a max-min objective) d jumps between
        them; the prox-linear step raises all of them together.
        """
        penalty = float(penalty)
        weights = np.concatenate([_first_worst(score), np.where(slack < 0.0, penalty, 0.0)], axis=1).astype(jacobian.dtype)
        gradient = (weights[:, None] @ jacobian)[:, 0]
        norm = np.linalg.norm(gradient, axis=1, keepdims=True)
        root = math.sqrt(jacobian.shape[2])
        steps = prox_linear(score, slack, jacobian, penalty, np.asarray(ASCENT_STEPS))
        lengths = np.linalg.norm(steps, axis=2, keepdims=True) / root
        return {
            "direction": gradient * (root / np.maximum(norm, 1e-30)),
            "log_norm": np.log10(norm + 1e-6),
            "ascent": steps / np.maximum(lengths, ASCENT_REACH),
            "ascent_log_norm": np.log10(lengths[..., 0] + 1e-6),
        }

    # -- penalised score ----------------------------------------------------------------------------------------------------

    def penalised(self, metrics: Metrics, penalty: float | None = None) -> Array:
        """Score - penalty * cost, (B,)."""
        return metrics.score - (self.default_penalty if penalty is None else penalty) * metrics.cost

    def pieces(self, metrics: Metrics) -> tuple[Array, Array]:
        """The smooth pieces of the penalised score, `score = min_i s_i` and `cost = sum_j max(0, -c_j)`: s (B, p), c (B, q)."""
        return metrics.score[:, None], -metrics.cost[:, None]

    def pieces_jacobian(
        self, known: Any, raw: np.ndarray, control: str = "full"
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pieces s (B, p), c (B, q) of `decode(raw)` at `known` and their derivatives (B, p + q, n) with respect to `raw`.

        This general form differentiates the torch form of decode and evaluate; a system may supply a numpy adjoint.

        Raises:
            ImportError: torch is not installed.
        """
        return self.differentiated(known, raw, control)

    def differentiated(
        self, known: Any, raw: np.ndarray, control: str, which: slice = slice(None)
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`pieces_jacobian` by automatic differentiation, of some of the p + q pieces."""
        try:
            import torch
        except ImportError as error:
            raise ImportError("gradients of the metrics need torch: pip install 'ris_gym[agents]'") from error
        raw = np.asarray(raw)
        scene = known.astype("complex64" if raw.dtype == np.float32 else "complex128").to_torch()  # torch mixes no precisions
        u = torch.tensor(raw, requires_grad=True)
        score, slack = self.pieces(self.decode_evaluate(scene, u, control)[1])
        both = torch.cat([score, slack], dim=1)[:, which]
        chosen = torch.eye(both.shape[1], dtype=both.dtype)[:, None, :].expand(-1, *both.shape)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="There is a performance drop")
            (gradient,) = torch.autograd.grad(both, u, chosen, allow_unused=True, is_grads_batched=True)
        if gradient is None:
            gradient = torch.zeros((both.shape[1], *u.shape), dtype=u.dtype)
        jacobian = to_numpy(gradient.transpose(0, 1))
        return to_numpy(score), to_numpy(slack), np.nan_to_num(jacobian, nan=0.0, posinf=0.0, neginf=0.0)

    def landscape(self, known: Any, control: str = "full") -> Landscape:
        """The penalised score over the raw vectors of `control` at `known`, in torch: what a learned optimiser walks on.

        Raises:
            ImportError: torch is not installed.
        """
        check_control(self, control)
        try:
            from ris_gym.systems.landscape import Landscape
        except ImportError as error:
            raise ImportError("landscapes need torch: pip install 'ris_gym[agents]'") from error
        return Landscape(self, known, control)

    def score_gradient(
        self, known: Any, raw: np.ndarray, control: str = "full", penalty: float | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Penalised score (B,) of `decode(raw)` at `known`, its derivative (B, n): the first worst piece and every violation."""
        penalty = self.default_penalty if penalty is None else penalty
        score, slack, jacobian = self.pieces_jacobian(known, raw, control)
        weights = np.concatenate([_first_worst(score), np.where(slack < 0.0, penalty, 0.0)], axis=1)
        value = score.min(axis=1) - penalty * np.clip(-slack, 0.0, None).sum(axis=1)
        return value, (weights[:, None].astype(jacobian.dtype) @ jacobian)[:, 0]


def _listed(value: Any) -> Any:
    """Tuples, nested ones too, as the lists of JSON."""
    return [_listed(entry) for entry in value] if isinstance(value, tuple) else value


def _tupled(value: Any) -> Any:
    """The inverse of `_listed`."""
    return tuple(_tupled(entry) for entry in value) if isinstance(value, list) else value


def _first_worst(score: np.ndarray) -> np.ndarray:
    """One-hot (B, p) of the first smallest piece."""
    return (np.arange(score.shape[1]) == np.argmin(score, axis=1)[:, None]).astype(score.dtype)


def pack(features: Mapping[str, np.ndarray]) -> np.ndarray:
    """Flatten features (B, ...) and join them, float32 (B, n)."""
    parts = [np.asarray(value, np.float32).reshape(len(value), -1) for value in features.values()]
    return np.concatenate(parts, axis=1)


def decibel(value: Array, floor: Array | float) -> Array:
    """`10 log10(max(value, floor))`."""
    xp = namespace(value)
    return 10.0 * xp.log10(xp.maximum(value, floor) if hasattr(floor, "shape") else at_least(xp, value, floor))


def minimum_margin(margins: Mapping[str, Array]) -> Array:
    """Smallest margin of each scene, (B,)."""
    joined = list(margins.values())
    xp = namespace(*joined)
    return xp.min(xp.concat(joined, axis=1), axis=1)


def check_control(system: System, control: str) -> None:
    """Raise ValueError unless `control` is one that the system offers."""
    if control not in system.controls:
        raise ValueError(f"control must be one of {system.controls} for {system.name}, got {control!r}")


def check_raw(system: System, known: Batch, raw: Array, control: str) -> None:
    """Raise ValueError unless `raw` has shape (batch, n) for this control."""
    check_control(system, control)
    expected = (len(known), var.length(system.variables(control)))
    if tuple(raw.shape) != expected:
        raise ValueError(f"raw must have shape {expected} for control={control!r}, got {tuple(raw.shape)}")
