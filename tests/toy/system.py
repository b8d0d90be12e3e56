"""The system `toy`: least transmit power for one user behind a surface, `SNR = p |h^T v|^2 / sigma^2 >= Gamma`, `|v_n| = 1`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ris_gym import channels
from ris_gym import variables as var
from ris_gym.arrays import Array, Batch, abs2, cis, namespace
from ris_gym.surfaces import discrete_phase, quantise_phase
from ris_gym.systems import checks
from ris_gym.systems.base import FEASIBLE_MARGIN, Metrics, System, check_control, check_raw, decibel


@dataclass(frozen=True, kw_only=True)
class ToyScene(Batch):
    """Cascaded channel of unit variance."""

    ris_user: Array  # (B, N)
    ris_user_estimate: Array | None = None


@dataclass(frozen=True, kw_only=True)
class ToyDesign(Batch):
    """Coefficients of the surface and transmit power."""

    coefficients: Array  # (B, N)
    power: Array  # (B,) dB, in [-range_db, range_db]


@dataclass(frozen=True, kw_only=True)
class ToyMetrics(Metrics):
    """`margins` has the entry `snr` (B, 1) in dB."""

    power_db: Array  # (B,)


@dataclass(frozen=True, kw_only=True)
class Toy(System):
    """Minimise the power (dB) under an SNR threshold, by the phases (`phase_bits` bits) of the elements and the power."""

    name: ClassVar[str] = "toy"
    sense: ClassVar[int] = -1
    unit: ClassVar[str] = "dB"
    default_penalty: ClassVar[float] = 3.0
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"coarse": {"phase_bits": 1}}
    controls: ClassVar[tuple[str, ...]] = ("full", "surface")
    scene: ClassVar[type] = ToyScene
    design: ClassVar[type] = ToyDesign

    num_elements: int = 4
    snr_threshold_db: float = 10.0
    range_db: float = 20.0
    phase_bits: int | None = None

    def __post_init__(self) -> None:
        put = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731
        put("num_elements", checks.integer("num_elements", self.num_elements, 1))
        put("snr_threshold_db", checks.real("snr_threshold_db", self.snr_threshold_db, -100.0, 100.0))
        put("range_db", checks.real("range_db", self.range_db, 0.0, 100.0, open_low=True))
        if self.phase_bits is not None:
            put("phase_bits", checks.integer("phase_bits", self.phase_bits, 1, 16))

    @property
    def levels(self) -> int | None:
        """Size of the phase alphabet."""
        return None if self.phase_bits is None else 2**self.phase_bits

    def sample(self, rng: np.random.Generator, batch: int = 1, csi_error: float = 0.0, dtype: str = "complex128") -> ToyScene:
        """Rayleigh channels."""
        checks.integer("batch", batch, 0)
        scene = ToyScene(ris_user=channels.draw(rng, (batch, self.num_elements))).astype(dtype)
        return self.draw_estimates(scene, rng, checks.real("csi_error", csi_error, 0.0))

    def draw_estimates(self, scene: ToyScene, rng: np.random.Generator, csi_error: float) -> ToyScene:
        """`h + e rms(h) CN`."""
        if csi_error == 0.0:
            return scene.replace(ris_user_estimate=None)
        return scene.replace(ris_user_estimate=channels.estimate(rng, scene.ris_user, csi_error, (1,)))

    def advance(self, scene: ToyScene, design: Any, rng: np.random.Generator, correlation: float, csi_error: float) -> ToyScene:
        """Gauss-Markov fading."""
        scale = np.ones((len(scene), 1), scene.ris_user.real.dtype)
        moved = channels.evolve(rng, scene.ris_user, None, scale, correlation)
        return self.draw_estimates(scene.replace(ris_user=moved), rng, csi_error)

    def check_scene(self, arrays: Mapping[str, np.ndarray]) -> ToyScene:
        """`ris_user` (B, N), finite."""
        if "ris_user" not in arrays:
            raise ValueError("array 'ris_user' is missing")
        for name, array in arrays.items():
            if name not in ("ris_user", "ris_user_estimate"):
                raise ValueError(f"array {name!r} is not one of this system's")
            if array.ndim != 2 or array.shape[1] != self.num_elements or len(array) != len(arrays["ris_user"]) or not len(array):
                raise ValueError(f"array {name!r} must have shape (batch, {self.num_elements}), got {array.shape}")
            if array.dtype.kind not in "fciu" or not np.all(np.isfinite(array)):
                raise ValueError(f"array {name!r} must hold finite numbers")
        return ToyScene(**{name: array.astype(np.complex128) for name, array in arrays.items()})

    def evaluate(self, scene: ToyScene, design: ToyDesign) -> ToyMetrics:
        """Objective: the power in dB; margin: `10 log10(SNR / Gamma)`."""
        xp = namespace(scene.ris_user, design.coefficients)
        gain = abs2(xp, xp.sum(scene.ris_user * design.coefficients, axis=-1))
        margin = xp.clip(decibel(gain, 1e-30) + design.power - self.snr_threshold_db, -40.0, None)
        return ToyMetrics(
            objective=design.power,
            score=-design.power / 10.0,
            cost=xp.clip(-margin, 0.0, None) / 10.0,
            feasible=margin >= FEASIBLE_MARGIN,
            margins={"snr": margin[:, None]},
            power_db=design.power,
        )

    def variables(self, control: str = "full") -> var.Variables:
        """`phase` (N,); `full` adds the power."""
        check_control(self, control)
        phase = var.Variable("phase", (self.num_elements,), "phase", "surface", self.levels)
        return (phase, var.Variable("power", (), "level", "bs")) if control == "full" else (phase,)

    def least_power(self, known: ToyScene, coefficients: Array) -> Array:
        """The least power that meets the threshold, kept in its range."""
        xp = namespace(known.ris_user, coefficients)
        gain = abs2(xp, xp.sum(known.ris_user * coefficients, axis=-1))
        return xp.clip(self.snr_threshold_db - decibel(gain, 1e-30), -self.range_db, self.range_db)

    def decode(self, known: ToyScene, raw: Array, control: str = "full") -> ToyDesign:
        """`surface`: the power follows from the phases."""
        check_raw(self, known, raw, control)
        values = var.split(self.variables(control), raw)
        v = cis(namespace(raw), quantise_phase(values["phase"], self.levels))
        power = self.range_db * values["power"] if control == "full" else self.least_power(known, v)
        return ToyDesign(coefficients=v, power=power)

    def encode(self, known: ToyScene, design: ToyDesign, control: str = "full") -> Array:
        """Inverse of `decode`."""
        design = self.project(known, design.to_numpy())
        values = {"phase": np.angle(design.coefficients), "power": design.power / self.range_db}
        return var.join(self.variables(control), values)

    def project(self, scene: ToyScene, design: ToyDesign) -> ToyDesign:
        """Unit modulus (or nearest of the alphabet), power clipped."""
        xp = namespace(design.coefficients)
        power = xp.clip(design.power, -self.range_db, self.range_db)
        return ToyDesign(coefficients=discrete_phase(design.coefficients, self.levels), power=power)

    def observe_scene(self, known: ToyScene) -> dict[str, np.ndarray]:
        """The channel."""
        return {"ris_user": np.stack([known.ris_user.real, known.ris_user.imag], axis=1)}

    def observe_design(self, known: ToyScene, design: ToyDesign, metrics: ToyMetrics) -> dict[str, np.ndarray]:
        """The margin over 10 dB."""
        return {"margins": metrics.margins["snr"] / 10.0}

    def optimum_db(self, scene: ToyScene) -> np.ndarray:
        """The exact optimum of continuous phases: `Gamma sigma^2 / (sum |h_n|)^2`, (B,); inf where it is out of range."""
        least = self.snr_threshold_db - 20.0 * np.log10(np.sum(np.abs(scene.ris_user), axis=1))
        return np.where(least > self.range_db, math.inf, np.maximum(least, -self.range_db))
