"""Parameters of `vehicular` and what follows from them. Section numbers: the model page (reciprocity, part A)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from ris_gym.systems import checks
from ris_gym.systems.base import Episode, System

LIGHT_MPS = 299792458.0
PASS = Episode(
    "pass", "blocks", "terminated", length="num_frames", designed=False,
    fixed=("horizon", "step_size", "start", "csi_error", "correlation"),
)  # fmt: skip
POSITIVE = (
    "frame_s", "road_offset_m", "carrier_hz", "bandwidth_hz", "user_distance_m", "element_gain", "report_std_m",
    "report_std_mps", "reflect_share", "suppression_span_db",
)  # fmt: skip
NOT_NEGATIVE = ("jitter_m", "speed_std_mps", "acceleration_psd_m2ps3", "width_span")
LEVELS = ("power_dbm", "noise_dbm", "self_interference_db", "radar_snr_offset_db")


@dataclass(frozen=True, kw_only=True)
class Parameters(System):
    """Fields, their validation and derived values; what they mean: `Vehicular`."""

    name: ClassVar[str] = "vehicular"
    unit: ClassVar[str] = "bit/s/Hz"
    default_penalty: ClassVar[float] = 10.0
    controls: ClassVar[tuple[str, ...]] = ("full", "surface")
    observations: ClassVar[tuple[str, ...]] = ("csi",)
    episodes: ClassVar[tuple[Episode, ...]] = (PASS,)
    csi_errors: ClassVar[bool] = False
    bound_of: ClassVar[str] = "score"
    hidden: ClassVar[tuple[str, ...]] = ("position", "velocity", "process", "report", "echo", "detect")
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "tracking": {"c_assist": False, "sensing_threshold_db": None},
        "requirement": {"c_assist": False, "sensing_threshold_db": 18.0},
        "reciprocity": {"c_assist": True, "sensing_threshold_db": 21.0},
    }

    num_users: int = 3
    num_frames: int = 80
    frame_s: float = 0.05
    road_offset_m: float = 30.0
    start_m: float = -30.0
    spacing_m: float = 10.0
    jitter_m: float = 2.0
    speed_min_mps: float = 13.0
    speed_max_mps: float = 17.0
    speed_std_mps: float = 0.3
    acceleration_psd_m2ps3: float = 0.5
    report_period: int = 20
    report_std_m: float = 2.0
    report_std_mps: float = 0.5
    carrier_hz: float = 28e9
    bandwidth_hz: float = 10e6
    power_dbm: float = 20.0
    noise_dbm: float = -97.0
    self_interference_db: float = 95.0
    num_cols: int = 64
    num_rows: int = 2
    num_antennas: int = 16
    user_distance_m: float = 1.0
    element_gain: float = math.pi
    false_alarm: float = 1e-4
    sensing_threshold_db: float | None = None
    reflect_share: float = 1.0
    width_span: float = 6.0
    c_assist: bool = False
    s_assist: bool = True
    cyclic: bool = True
    choose_reflector: bool = False
    unauthorised_radar: bool = False
    radar_position_m: tuple[float, float] = (20.0, 0.0)
    radar_snr_offset_db: float = 0.0
    radar_detection_max: float = 0.1
    suppression_span_db: float = 40.0
    radar_robust: bool = False

    def __post_init__(self) -> None:
        put = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731
        for name, least in (("num_users", 1), ("num_frames", 2), ("num_cols", 2), ("num_rows", 1), ("num_antennas", 2)):
            put(name, checks.integer(name, getattr(self, name), least))
        put("report_period", checks.integer("report_period", self.report_period, 1, 10**9))
        for name in POSITIVE:
            put(name, checks.real(name, getattr(self, name), 0.0, open_low=True))
        for name in NOT_NEGATIVE:
            put(name, checks.real(name, getattr(self, name), 0.0))
        for name in LEVELS:
            put(name, checks.real(name, getattr(self, name), -300.0, 300.0))
        for name in ("start_m", "spacing_m", "speed_min_mps", "speed_max_mps"):
            put(name, checks.real(name, getattr(self, name)))
        if self.speed_max_mps < self.speed_min_mps:
            raise ValueError(f"speed_max_mps must be at least speed_min_mps = {self.speed_min_mps:g}, got {self.speed_max_mps!r}")
        if self.reflect_share > 1.0:
            raise ValueError(f"reflect_share must be in (0, 1], got {self.reflect_share!r}")
        if self.sensing_threshold_db is not None:
            put("sensing_threshold_db", checks.real("sensing_threshold_db", self.sensing_threshold_db, -100.0, 200.0))
        for name in ("false_alarm", "radar_detection_max"):
            put(name, checks.real(name, getattr(self, name), 0.0, 1.0, open_low=True))
            if getattr(self, name) == 1.0:
                raise ValueError(f"{name} must be in (0, 1), got {getattr(self, name)!r}")
        for name in ("c_assist", "s_assist", "cyclic", "choose_reflector", "unauthorised_radar", "radar_robust"):
            checks.flag(name, getattr(self, name))
        put("radar_position_m", checks.reals("radar_position_m", self.radar_position_m, 2))
        if self.unauthorised_radar:
            self._check_radar()

    def _check_radar(self) -> None:
        if self.radar_position_m[1] >= self.road_offset_m:
            raise ValueError(
                f"radar_position_m must be before the road (y below road_offset_m = {self.road_offset_m:g}), got "
                f"{self.radar_position_m!r}"
            )
        if self.radar_detection_max <= self.false_alarm:
            raise ValueError(
                f"radar_detection_max must exceed false_alarm = {self.false_alarm:g}, got {self.radar_detection_max!r}"
            )

    # -- derived parameters -------------------------------------------------------------------------------------------------

    @property
    def num_elements(self) -> int:
        """N = N_x N_z, elements of one vehicle's surface."""
        return self.num_cols * self.num_rows

    @cached_property
    def slot_s(self) -> float:
        """T_s = frame_s / K, s."""
        return self.frame_s / self.num_users

    @cached_property
    def slot_samples(self) -> float:
        """L = B_w T_s, samples of a whole slot."""
        return self.bandwidth_hz * self.slot_s

    @cached_property
    def wavelength_m(self) -> float:
        """lambda, m."""
        return LIGHT_MPS / self.carrier_hz

    @cached_property
    def assisted(self) -> bool:
        """Whether other vehicles reflect a vehicle's data signal: `c_assist` with two vehicles at least."""
        return self.c_assist and self.num_users > 1

    @cached_property
    def chooses(self) -> bool:
        """Whether the reflecting vehicle is a decision."""
        return self.choose_reflector and self.assisted

    @cached_property
    def threshold(self) -> float | None:
        """Gamma, linear; None: no requirement."""
        return None if self.sensing_threshold_db is None else 10.0 ** (self.sensing_threshold_db / 10.0)

    @cached_property
    def beta_scale(self) -> float:
        """(lambda / 4 pi)^2: path gain at 1 m."""
        return (self.wavelength_m / (4.0 * math.pi)) ** 2

    @cached_property
    def comm_scale(self) -> float:
        """rho_c r^2: `P g^2 beta(1) beta(d_u) N^2 / sigma^2`, m^2."""
        gain = (self.element_gain * self.num_elements) ** 2 * self.beta_scale * self.beta_scale / self.user_distance_m**2
        return float(10.0 ** ((self.power_dbm - self.noise_dbm) / 10.0) * gain)

    @cached_property
    def echo_scale(self) -> float:
        """rho_e r^4: `P g^2 beta(1)^2 N^2 M / (sigma^2 + P 10^(-SI/10))`, m^4."""
        floor = 10.0 ** ((self.noise_dbm - self.power_dbm) / 10.0) + 10.0 ** (-self.self_interference_db / 10.0)
        return float((self.element_gain * self.num_elements * self.beta_scale) ** 2 * self.num_antennas / floor)

    @cached_property
    def column_index(self) -> np.ndarray:
        """i = -(N_x - 1) / 2, ..., (N_x - 1) / 2, centred, (N_x,)."""
        return np.arange(self.num_cols) - 0.5 * (self.num_cols - 1)

    @cached_property
    def report_variance(self) -> tuple[float, float]:
        """Variances of a report: position (m^2), speed (m^2/s^2)."""
        return self.report_std_m**2, self.report_std_mps**2

    def without(self, *flags: str) -> Parameters:
        """The same system without flags (`c_assist`, `s_assist`): the survey's benchmarks; scenes are the same."""
        return dataclasses.replace(self, **dict.fromkeys(flags, False))  # type: ignore[arg-type]
