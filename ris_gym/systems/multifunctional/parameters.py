"""Parameters of `multifunctional` and what follows from them. Source: arXiv 2412.01251; section numbers: the model page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from ris_gym.systems import checks
from ris_gym.systems.base import System

KINDS = ("mf", "active", "star", "passive")
PROTOCOLS = ("es", "ms", "ts")
FORMS = ("auto", "log", "sum", "db")
LEVELS = (
    "path_loss_1m_db", "rician_db", "noise_user_dbm", "noise_surface_dbm", "noise_sensor_dbm", "max_gain_db", "total_power_dbm",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Parameters(System):
    """Fields, their validation and derived values; what they mean: `MultiFunctional`."""

    name: ClassVar[str] = "multifunctional"
    sense: ClassVar[int] = 1
    default_penalty: ClassVar[float] = 5.0
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "default": {},
        "small": {
            "num_antennas": 4, "num_elements_h": 4, "num_elements_v": 2, "num_sensors_h": 3, "num_sensors_v": 3,
            "num_users": (1, 1), "num_targets": (1, 1), "num_sensing_beams": 1,
        },
        "tiny": {
            "num_antennas": 4, "num_elements_h": 2, "num_elements_v": 2, "num_sensors_h": 3, "num_sensors_v": 3,
            "num_users": (1, 1), "num_targets": (1, 1), "num_sensing_beams": 4,
        },
        "pattern": {"target_angles_deg": ((-20.0, -40.0), (15.0, 30.0), (-15.0, -30.0), (20.0, 40.0))},
        "ms": {"protocol": "ms"},
        "ts": {"protocol": "ts"},
        "active": {"kind": "active"},
        "star": {"kind": "star"},
        "passive": {"kind": "passive"},
    }  # fmt: skip

    kind: str = "mf"
    protocol: str = "es"
    objective_form: str = "auto"
    phase_bits: int | None = None
    num_antennas: int = 8
    num_elements_h: int = 8
    num_elements_v: int = 4
    num_sensors_h: int = 6
    num_sensors_v: int = 6
    num_users: tuple[int, int] = (2, 2)
    num_targets: tuple[int, int] = (2, 2)
    num_sensing_beams: int = 2
    bs_position_m: tuple[float, float, float] = (-20.0, 10.0, 10.0)
    ris_position_m: tuple[float, float, float] = (0.0, 0.0, 10.0)
    x_range_m: tuple[float, float] = (5.0, 20.0)
    y_range_m: tuple[float, float] = (-20.0, 20.0)
    user_height_m: float = 1.5
    target_height_range_m: tuple[float, float] = (0.0, 20.0)
    target_angles_deg: tuple[tuple[float, float], ...] | None = None
    target_distance_m: float = 20.0
    path_loss_1m_db: float = 30.0
    exponent_bs_ris: float = 2.2
    exponent_ris_user: float = 2.2
    rician_db: float = 3.0
    target_rcs_m2: float = 1.0
    noise_user_dbm: float = -80.0
    noise_surface_dbm: float = -80.0
    noise_sensor_dbm: float = -80.0
    max_gain_db: float = 30.0
    total_power_dbm: float = 30.0
    surface_share: float = 0.1
    min_rate_bps_hz: float = 1.0
    isolation_db: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        put = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731
        for name, values in (("kind", KINDS), ("protocol", PROTOCOLS), ("objective_form", FORMS)):
            if getattr(self, name) not in values:
                raise ValueError(f"{name} must be one of {values}, got {getattr(self, name)!r}")
        if self.objective_form == "log" and self.kind != "mf":
            raise ValueError(f"objective_form must be 'sum', 'db' or 'auto' for kind {self.kind!r}, got 'log'")
        if self.phase_bits is not None:
            put("phase_bits", checks.integer("phase_bits", self.phase_bits, 1, 16))
        counts = ("num_antennas", "num_elements_h", "num_elements_v", "num_sensors_h", "num_sensors_v")
        for name in counts:
            put(name, checks.integer(name, getattr(self, name), 1))
        put("num_sensing_beams", checks.integer("num_sensing_beams", self.num_sensing_beams, 0))
        for name, least in (("num_users", 0), ("num_targets", 1)):
            put(name, _pair_of_counts(name, getattr(self, name), least))
        if sum(self.num_users) + self.num_sensing_beams < 1:
            raise ValueError(f"num_sensing_beams must be at least 1 without users, got {self.num_sensing_beams}")
        if self.num_elements % 2 and (self.kind in ("active", "passive") or self.mode_switching):
            raise ValueError(
                f"num_elements_h * num_elements_v must be even where elements serve one side each, got {self.num_elements}"
            )
        for name in ("bs_position_m", "ris_position_m"):
            put(name, checks.reals(name, getattr(self, name), 3))
        for name in ("x_range_m", "y_range_m", "target_height_range_m", "isolation_db"):
            put(name, checks.reals(name, getattr(self, name), 2))
        put("user_height_m", checks.real("user_height_m", self.user_height_m))
        for name in LEVELS:
            put(name, checks.real(name, getattr(self, name), -300.0, 300.0))
        for name in ("exponent_bs_ris", "exponent_ris_user"):
            put(name, checks.real(name, getattr(self, name), 0.0))
        for name in ("target_rcs_m2", "target_distance_m"):
            put(name, checks.real(name, getattr(self, name), 0.0, open_low=True))
        put("min_rate_bps_hz", checks.real("min_rate_bps_hz", self.min_rate_bps_hz, 0.0, 100.0))
        put("surface_share", checks.real("surface_share", self.surface_share))
        if not 0.0 < self.surface_share < 1.0:
            raise ValueError(f"surface_share must be in (0, 1), got {self.surface_share!r}")
        self._check_geometry(put)

    def _check_geometry(self, put: Any) -> None:
        for name in ("x_range_m", "y_range_m", "target_height_range_m"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} must be (low, high) with low <= high, got {(low, high)}")
        if not self.x_range_m[0] > 0.0:
            raise ValueError(f"x_range_m must be positive (distances from the surface's plane), got {self.x_range_m}")
        if not self.bs_position_m[0] < self.ris_position_m[0]:
            raise ValueError(
                f"bs_position_m must lie in front of the surface (x below {self.ris_position_m[0]}), got {self.bs_position_m}"
            )
        if self.target_angles_deg is None:
            return
        if isinstance(self.target_angles_deg, (str, bytes)) or not hasattr(self.target_angles_deg, "__iter__"):
            raise TypeError(f"target_angles_deg must be a sequence of pairs or None, got {self.target_angles_deg!r}")
        pairs = tuple(checks.reals("target_angles_deg", pair, 2, -90.0, 90.0) for pair in self.target_angles_deg)
        if len(pairs) != self.targets:
            raise ValueError(f"target_angles_deg must hold {self.targets} pairs, one per target, got {self.target_angles_deg!r}")
        put("target_angles_deg", pairs)

    # -- derived parameters -------------------------------------------------------------------------------------------------

    @property
    def unit(self) -> str:  # type: ignore[override]
        """Unit of the objective: bit for `log`, else dB."""
        return "bit" if self.form == "log" else "dB"

    @cached_property
    def form(self) -> str:
        """`objective_form` with `auto` resolved."""
        if self.objective_form != "auto":
            return self.objective_form
        return "log" if self.kind == "mf" else "db"

    @cached_property
    def num_elements(self) -> int:
        """M."""
        return self.num_elements_h * self.num_elements_v

    @cached_property
    def num_sensors(self) -> int:
        """M_s, per side."""
        return self.num_sensors_h + self.num_sensors_v

    @cached_property
    def users(self) -> int:
        """K, both sides."""
        return sum(self.num_users)

    @cached_property
    def targets(self) -> int:
        """L, both sides."""
        return sum(self.num_targets)

    @cached_property
    def streams(self) -> int:
        """S = K + S_0."""
        return self.users + self.num_sensing_beams

    @cached_property
    def amplifies(self) -> bool:
        """Whether the surface amplifies: noise and a power budget of its own."""
        return self.kind in ("mf", "active")

    @cached_property
    def equality(self) -> bool:
        """Whether each element's amplitude is fixed."""
        return self.kind in ("star", "passive")

    @cached_property
    def time_switching(self) -> bool:
        """Whether the sides take turns."""
        return self.kind == "mf" and self.protocol == "ts"

    @cached_property
    def mode_switching(self) -> bool:
        """Whether every element chooses a side."""
        return self.kind == "mf" and self.protocol == "ms"

    @cached_property
    def split_phases(self) -> bool:
        """Whether every element has a phase per side."""
        return self.kind == "star" or (self.kind == "mf" and self.protocol != "ms")

    @cached_property
    def max_gain(self) -> float:
        """beta_max, power gain, linear (star, passive: 1)."""
        return 10.0 ** (self.max_gain_db / 10.0) if self.amplifies else 1.0

    @cached_property
    def power_w(self) -> float:
        """BS power budget P_BS in W."""
        return watts(self.total_power_dbm) * (1.0 - self.surface_share if self.amplifies else 1.0)

    @cached_property
    def surface_power_w(self) -> float | None:
        """Surface power budget P_MF in W; None: star, passive."""
        return watts(self.total_power_dbm) * self.surface_share if self.amplifies else None

    @cached_property
    def noise_user_w(self) -> float:
        """Noise power at a user in W."""
        return watts(self.noise_user_dbm)

    @cached_property
    def noise_surface_w(self) -> float:
        """Noise power of each element in W (star, passive: 0)."""
        return watts(self.noise_surface_dbm) if self.amplifies else 0.0

    @cached_property
    def noise_sensor_w(self) -> float:
        """Noise power of each sensor, or antenna of the BS's receiver, in W."""
        return watts(self.noise_sensor_dbm)

    @cached_property
    def user_counts(self) -> tuple[int, int]:
        """Users of each side."""
        return self.num_users

    @cached_property
    def target_counts(self) -> tuple[int, int]:
        """Targets of each side."""
        return self.num_targets

    @cached_property
    def all_counts(self) -> tuple[int, ...]:
        """Users and targets of each side, in the order (r, t, r, t)."""
        return (*self.num_users, *self.num_targets)

    @cached_property
    def user_side(self) -> np.ndarray:
        """Side of each user, (K,)."""
        return np.repeat(np.arange(2), self.num_users)

    @cached_property
    def target_side(self) -> np.ndarray:
        """Side of each target, (L,)."""
        return np.repeat(np.arange(2), self.num_targets)

    @cached_property
    def user_slices(self) -> tuple[slice, slice]:
        """Where each side's users stand."""
        return slice(0, self.num_users[0]), slice(self.num_users[0], self.users)

    @cached_property
    def target_slices(self) -> tuple[slice, slice]:
        """Where each side's targets stand."""
        return slice(0, self.num_targets[0]), slice(self.num_targets[0], self.targets)

    @cached_property
    def most_targets(self) -> int:
        """Targets of the side that has more."""
        return max(self.num_targets)

    @cached_property
    def even_targets(self) -> bool:
        """Whether both sides have equally many targets."""
        return self.num_targets[0] == self.num_targets[1]

    @cached_property
    def target_index(self) -> np.ndarray:
        """Targets by side, (2, most_targets), the shorter side filled up with target 0."""
        out = np.zeros((2, self.most_targets), np.int64)
        for i, rows in enumerate(self.target_slices):
            out[i, : self.num_targets[i]] = np.arange(rows.start, rows.stop)
        return out

    @cached_property
    def target_mask(self) -> np.ndarray:
        """1 where `target_index` stands for a target of the side, else 0."""
        return (np.arange(self.most_targets) < np.array(self.num_targets)[:, None]).astype(float)

    @cached_property
    def mask(self) -> np.ndarray:
        """1 where an element serves a side when sides are interleaved: even elements r, odd ones t, (2, M)."""
        even = np.arange(self.num_elements) % 2 == 0
        return np.stack([even, ~even]).astype(float)

    @cached_property
    def served_columns(self) -> np.ndarray:
        """Time switching: 1 for the users' columns that are used in each slot, (2, 1, K)."""
        own = np.arange(2)[:, None] == self.user_side
        return own[:, None, :].astype(float)

    @cached_property
    def phase_levels(self) -> int | None:
        """Size of the phase alphabet; None: continuous."""
        return None if self.phase_bits is None else 2**self.phase_bits


def _pair_of_counts(name: str, value: Any, least: int) -> tuple[int, int]:
    """Counts of both sides."""
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        raise TypeError(f"{name} must be a pair of integers (r, t), got {value!r}")
    entries = tuple(checks.integer(f"{name}[{i}]", entry, least) for i, entry in enumerate(value))
    if len(entries) != 2:
        raise ValueError(f"{name} must hold 2 integers (r, t), got {value!r}")
    return entries[0], entries[1]


def watts(dbm: float) -> float:
    """dBm -> W."""
    return 10.0 ** (dbm / 10.0 - 3.0)
