"""Parameters of `nonorthogonal` and what follows from them. Source: arXiv 2208.05324; section numbers: the model page."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from ris_gym.arrays import Constant
from ris_gym.systems import checks
from ris_gym.systems.base import ONE_SHOT, REFINE, Episode, System

MODELS = ("two_user", "consistent", "mixed", "literal")
FISHERS = ("complex", "paper", "known")
FORMS = ("weighted", "constrained")
SYMBOLS = ("realisation", "statistical")
MEASUREMENTS = ("gaussian", "ml")
POSITIVE = (
    "bs_ris_distance_m", "ris_user_distance_m", "block_time_s", "initial_std_m", "min_range_m", "max_range_m",
    "angle_bound_factor", "symbol_variance",
)  # fmt: skip
TRACKING = Episode(
    "tracking", "blocks", "truncated", length="num_frames", preset="tracking", sampler="sample_tracking",
    fixed=("horizon", "step_size", "start", "csi_error", "correlation"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Parameters(System):
    """Fields, their validation and derived values; what they mean: `NonOrthogonal`."""

    name: ClassVar[str] = "nonorthogonal"
    default_penalty: ClassVar[float] = 1.0
    controls: ClassVar[tuple[str, ...]] = ("full", "surface")
    episodes: ClassVar[tuple[Episode, ...]] = (REFINE, ONE_SHOT, TRACKING)
    turns: ClassVar[bool] = True
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "physical": {},
        "theorem1": {"model": "consistent", "fisher": "paper", "user_azimuth_deg": 0.0, "surface_spacing_m": 0.0},
        "paper": {"model": "mixed", "fisher": "paper", "user_azimuth_deg": 0.0, "surface_spacing_m": 0.0},
        "tracking": {"num_blocks": 2, "surface_shape": (8, 8), "snr_db": -20.0, "comm_azimuth_deg": -30.0},
    }

    model: str = "two_user"
    fisher: str = "complex"
    objective_form: str = "weighted"
    design_symbols: str = "realisation"
    angle_bound_factor: float = 2.0
    num_blocks: int = 1
    num_antennas: int = 8
    surface_shape: tuple[int, int] = (4, 4)
    user_shape: tuple[int, int] = (4, 4)
    power_dbm: float = 30.0
    snr_db: float = 0.0
    num_slots: int = 2
    weight: float = 0.5
    phase_bits: int | None = 2
    symbol_variance: float = 1.0
    bs_height_m: float = 10.0
    ris_height_m: float = 5.0
    bs_ris_distance_m: float = 30.0
    ris_user_distance_m: float = 10.0
    path_loss_1m_db: float = 30.0
    exponent_bs_ris: float = 2.3
    exponent_ris_user: float = 2.2
    bs_azimuth_deg: float = -45.0
    user_azimuth_deg: float | None = None
    comm_azimuth_deg: float | None = None
    max_azimuth_deg: float = 60.0
    surface_spacing_m: float = 2.0
    block_time_s: float = 0.5
    speed_mps: float = 4.0
    speed_correlation: float = 0.9
    initial_std_m: float = 1.0
    min_range_m: float = 6.0
    max_range_m: float = 20.0
    num_frames: int = 32
    measurement: str = "gaussian"

    def __post_init__(self) -> None:
        put = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731
        choices = {
            "model": MODELS, "fisher": FISHERS, "objective_form": FORMS, "design_symbols": SYMBOLS, "measurement": MEASUREMENTS,
        }  # fmt: skip
        for name, values in choices.items():
            if getattr(self, name) not in values:
                raise ValueError(f"{name} must be one of {values}, got {getattr(self, name)!r}")
        put("num_blocks", checks.integer("num_blocks", self.num_blocks, 1, 2))
        for name, least in (("num_antennas", 1), ("num_slots", 1), ("num_frames", 2)):
            put(name, checks.integer(name, getattr(self, name), least))
        for name in ("surface_shape", "user_shape"):
            put(name, _shape(name, getattr(self, name)))
        if self.phase_bits is not None:
            put("phase_bits", checks.integer("phase_bits", self.phase_bits, 1, 16))
        if min(self.user_shape) < 2 and (self.two_user or self.fisher != "paper"):
            raise ValueError(
                "user_shape must be at least 2 in both dimensions (else angles are not identified; only fisher='paper' of one "
                f"user makes an exception), got {self.user_shape}"
            )
        if any(m < 2 and l < 2 for m, l in zip(self.user_shape, self.surface_shape, strict=True)):
            raise ValueError(
                f"user_shape must be at least 2 in a dimension where surface_shape is 1 (no phase holds that angle), got "
                f"{self.user_shape} and {self.surface_shape}"
            )
        if self.num_user_antennas == 1 and self.num_slots == 1:
            raise ValueError(f"num_slots must be at least 2 with one user antenna (two angles, one number), got {self.num_slots}")
        put("weight", checks.real("weight", self.weight, 0.0, 1.0))
        for name in ("power_dbm", "snr_db", "path_loss_1m_db"):
            put(name, checks.real(name, getattr(self, name), -200.0, 200.0))
        for name in POSITIVE:
            put(name, checks.real(name, getattr(self, name), 0.0, open_low=True))
        if self.symbol_variance > 1.0:
            raise ValueError(f"symbol_variance must be in (0, 1] (the symbols' mean power is 1), got {self.symbol_variance!r}")
        if self.angle_bound_factor < 1.0:
            raise ValueError(f"angle_bound_factor must be at least 1 (else infeasible), got {self.angle_bound_factor!r}")
        for name in ("bs_height_m", "ris_height_m"):
            put(name, checks.real(name, getattr(self, name)))
        for name in ("exponent_bs_ris", "exponent_ris_user", "surface_spacing_m", "speed_mps"):
            put(name, checks.real(name, getattr(self, name), 0.0))
        put("speed_correlation", checks.real("speed_correlation", self.speed_correlation, 0.0, 1.0))
        self._check_geometry(put)

    def _check_geometry(self, put: Any) -> None:
        put("max_azimuth_deg", checks.real("max_azimuth_deg", self.max_azimuth_deg, 0.0, 80.0))
        for name in ("bs_azimuth_deg", "user_azimuth_deg", "comm_azimuth_deg"):
            if getattr(self, name) is not None:
                put(name, checks.real(name, getattr(self, name), -80.0, 80.0))
            elif name == "bs_azimuth_deg":
                raise TypeError(f"{name} must be a real number, got None")
        rise = abs(self.bs_height_m - self.ris_height_m)
        if not self.bs_ris_distance_m > rise:
            raise ValueError(f"bs_ris_distance_m must exceed the heights' difference {rise:g}, got {self.bs_ris_distance_m!r}")
        if not self.ris_user_distance_m > abs(self.ris_height_m):
            limit = f"ris_user_distance_m must exceed ris_height_m = {self.ris_height_m:g}"
            raise ValueError(f"{limit}, got {self.ris_user_distance_m!r}")
        if not self.min_range_m < self.max_range_m:
            raise ValueError(f"min_range_m must be below max_range_m = {self.max_range_m:g}, got {self.min_range_m!r}")
        if self.surface_spacing_m >= 2.0 * self.ris_user_distance_m:
            raise ValueError(f"surface_spacing_m must be below twice ris_user_distance_m, got {self.surface_spacing_m!r}")

    # -- derived parameters -------------------------------------------------------------------------------------------------

    @property
    def sense(self) -> int:  # type: ignore[override]
        """-1 (V is minimised), +1 in the constrained form (mutual information is maximised)."""
        return -1 if self.objective_form == "weighted" else 1

    @property
    def unit(self) -> str:  # type: ignore[override]
        """Unit of the objective: lg of the weighted bounds, or bit/symbol."""
        return "lg" if self.objective_form == "weighted" else "bit/symbol"

    @cached_property
    def num_elements(self) -> int:
        """L, elements of one sub-surface."""
        return self.surface_shape[0] * self.surface_shape[1]

    @cached_property
    def num_user_antennas(self) -> int:
        """M."""
        return self.user_shape[0] * self.user_shape[1]

    @cached_property
    def phase_levels(self) -> int | None:
        """Size 2^b of the phase alphabet; None: continuous."""
        return None if self.phase_bits is None else 2**self.phase_bits

    @cached_property
    def two_user(self) -> bool:
        """Whether one user decodes and another one is localised (then element positions do not matter: r = 0)."""
        return self.model == "two_user"

    @cached_property
    def power_w(self) -> float:
        """P_t in W."""
        return 10.0 ** (self.power_dbm / 10.0 - 3.0)

    @cached_property
    def snr(self) -> float:
        """SNR at nominal distances before beamforming gain, linear."""
        return 10.0 ** (self.snr_db / 10.0)

    @cached_property
    def noise_w(self) -> float:
        """sigma_z^2 = |alpha_B2I alpha_I2U|^2 / SNR at the nominal distances, W."""
        loss = 2.0 * self.path_loss_1m_db / 10.0
        far = self.exponent_bs_ris * math.log10(self.bs_ris_distance_m)
        near = self.exponent_ris_user * math.log10(self.ris_user_distance_m)
        return float(10.0 ** (-loss - far - near) / self.snr)

    @property
    def noise_dbm(self) -> float:
        """sigma_z^2 in dBm."""
        return 10.0 * math.log10(self.noise_w) + 30.0

    @cached_property
    def nominal_level(self) -> float:
        """a_nom = 2 SNR P_t N_t."""
        return 2.0 * self.snr * self.power_w * self.num_antennas

    @cached_property
    def symbol_mean(self) -> float:
        """mu_x = sqrt(1 - sigma_x^2)."""
        return math.sqrt(1.0 - self.symbol_variance)

    @cached_property
    def bs_position_m(self) -> tuple[float, float, float]:
        """BS, m."""
        return self._on_ring(self.bs_ris_distance_m, self.bs_height_m, self.bs_azimuth_deg)

    @cached_property
    def ris_position_m(self) -> tuple[tuple[float, float, float], ...]:
        """Centres of the sub-surfaces, one per block, m."""
        offset = 0.5 * self.surface_spacing_m
        return tuple((0.0, y, self.ris_height_m) for y in (-offset, offset)[: self.num_blocks])

    def _on_ring(self, distance_m: float, height_m: float, azimuth_deg: float) -> tuple[float, float, float]:
        """Point at a distance from the surface's centre and at a height."""
        floor = math.sqrt(distance_m**2 - (height_m - self.ris_height_m) ** 2)
        angle = math.radians(azimuth_deg)
        return (floor * math.cos(angle), floor * math.sin(angle), height_m)

    @cached_property
    def user_floor_distance_m(self) -> float:
        """rho_U, distance of a static user from the foot of the surface, m."""
        return math.sqrt(self.ris_user_distance_m**2 - self.ris_height_m**2)

    @cached_property
    def element_index(self) -> np.ndarray:
        """l = (l_y, l_z) of every element, (L, 2), from 0."""
        return grid(self.surface_shape)

    @cached_property
    def user_index(self) -> np.ndarray:
        """m = (m_y, m_z) of every antenna of a user, (M, 2), from 0."""
        return grid(self.user_shape)

    @cached_property
    def user_centre(self) -> np.ndarray:
        """m bar, (2,)."""
        return 0.5 * (np.array(self.user_shape) - 1.0)

    @cached_property
    def user_spread(self) -> np.ndarray:
        """Diagonal of A = M diag((M_y^2 - 1) / 12, (M_z^2 - 1) / 12), (2,)."""
        return self.num_user_antennas * (np.array(self.user_shape) ** 2 - 1.0) / 12.0

    @cached_property
    def alphabet(self) -> Constant | None:
        """The coefficients exp(j 2 pi i / 2^b), (2^b,); None: continuous."""
        if self.phase_levels is None:
            return None
        return Constant(np.exp(2j * np.pi * np.arange(self.phase_levels) / self.phase_levels))

    @cached_property
    def position_bound(self) -> bool:
        """Whether both blocks together bound the position (two blocks at different places)."""
        return self.num_blocks == 2 and self.surface_spacing_m > 0.0

    @cached_property
    def continuous(self) -> Self:
        """The same system without the rounding of phases."""
        return self if self.phase_bits is None else dataclasses.replace(self, phase_bits=None)


def grid(shape: tuple[int, int]) -> np.ndarray:
    """Index pairs (i // shape[1], i mod shape[1]), (shape[0] shape[1], 2)."""
    index = np.arange(shape[0] * shape[1])
    return np.stack([index // shape[1], index % shape[1]], axis=1)


def _shape(name: str, value: Any) -> tuple[int, int]:
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        raise TypeError(f"{name} must be a pair of integers (y, z), got {value!r}")
    entries = tuple(checks.integer(f"{name}[{i}]", entry, 1) for i, entry in enumerate(value))
    if len(entries) != 2:
        raise ValueError(f"{name} must hold 2 integers (y, z), got {value!r}")
    return entries[0], entries[1]
