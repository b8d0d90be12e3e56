"""Parameters of `multifunctional`: defaults, presets, derived values, every rule of section 6, JSON."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from ris_gym import systems
from ris_gym import variables as var
from ris_gym.systems.multifunctional import MultiFunctional


def make(**fields: Any) -> Any:
    return systems.make("multifunctional", **fields)


DEFAULTS: dict[str, Any] = {
    "kind": "mf", "protocol": "es", "phase_bits": None, "num_antennas": 8, "num_elements_h": 8, "num_elements_v": 4,
    "num_sensors_h": 6, "num_sensors_v": 6, "num_users": (2, 2), "num_targets": (2, 2), "num_sensing_beams": 2,
    "bs_position_m": (-20.0, 10.0, 10.0), "ris_position_m": (0.0, 0.0, 10.0), "x_range_m": (5.0, 20.0),
    "y_range_m": (-20.0, 20.0), "user_height_m": 1.5, "target_height_range_m": (0.0, 20.0), "target_angles_deg": None,
    "target_distance_m": 20.0, "path_loss_1m_db": 30.0, "exponent_bs_ris": 2.2, "exponent_ris_user": 2.2, "rician_db": 3.0,
    "target_rcs_m2": 1.0, "noise_user_dbm": -80.0, "noise_surface_dbm": -80.0, "noise_sensor_dbm": -80.0, "max_gain_db": 30.0,
    "total_power_dbm": 30.0, "surface_share": 0.1, "min_rate_bps_hz": 1.0, "isolation_db": (0.0, 0.0),
}  # fmt: skip
SMALL = {
    "num_antennas": 4, "num_elements_h": 4, "num_elements_v": 2, "num_sensors_h": 3, "num_sensors_v": 3, "num_users": (1, 1),
    "num_targets": (1, 1), "num_sensing_beams": 1,
}  # fmt: skip
TINY = SMALL | {"num_elements_h": 2, "num_elements_v": 2, "num_sensing_beams": 4}
PATTERN = {"target_angles_deg": ((-20.0, -40.0), (15.0, 30.0), (-15.0, -30.0), (20.0, 40.0))}


def test_defaults() -> None:
    system = make()
    assert isinstance(system, MultiFunctional)
    assert {field.name for field in dataclasses.fields(system)} == {*DEFAULTS, "objective_form"}
    for name, value in DEFAULTS.items():
        assert getattr(system, name) == value, name


@pytest.mark.parametrize(("preset", "changes"), [("default", {}), ("small", SMALL), ("tiny", TINY), ("pattern", PATTERN)])
def test_presets(preset: str, changes: dict[str, Any]) -> None:
    system = make(preset=preset)
    assert system == make(**changes)
    for name, value in (DEFAULTS | changes).items():
        assert getattr(system, name) == value, name
    assert make(preset=preset, kind="star", min_rate_bps_hz=2.0) == make(**changes, kind="star", min_rate_bps_hz=2.0)


@pytest.mark.parametrize("fields", [{}, {"kind": "star"}, {"preset": "pattern"}, {"protocol": "ts", "phase_bits": 3}])
def test_json(fields: dict[str, Any]) -> None:
    system = make(**fields, objective_form="sum")
    values = json.loads(json.dumps(system.to_dict()))
    assert values["system"] == "multifunctional"
    assert systems.from_dict(values) == system and hash(systems.from_dict(values)) == hash(system)
    plain = make(**fields)
    assert systems.from_dict(json.loads(json.dumps(plain.to_dict()))) == plain


def test_derived() -> None:
    """Budgets by the share, noises, gains, sizes; none of the amplifier's for star and passive."""
    system = make(total_power_dbm=33.0, surface_share=0.25, num_users=(3, 1), num_targets=(1, 2), noise_surface_dbm=-70.0)
    total = 10**0.3
    assert system.power_w == pytest.approx(0.75 * total) and system.surface_power_w == pytest.approx(0.25 * total)
    assert system.noise_user_w == pytest.approx(1e-11) and system.noise_sensor_w == pytest.approx(1e-11)
    assert system.noise_surface_w == pytest.approx(1e-10) and system.max_gain == pytest.approx(1000.0)
    assert (system.num_elements, system.num_sensors, system.users, system.targets, system.streams) == (32, 12, 4, 3, 6)
    assert np.array_equal(system.user_side, [0, 0, 0, 1]) and np.array_equal(system.target_side, [0, 1, 1])
    assert [list(range(4))[part] for part in system.user_slices] == [[0, 1, 2], [3]]
    assert [list(range(3))[part] for part in system.target_slices] == [[0], [1, 2]]
    assert system.default_penalty == 5.0 and system.sense == 1
    for kind in ("mf", "active", "star", "passive"):
        other = make(kind=kind, total_power_dbm=33.0, surface_share=0.25)
        amplifies = kind in ("mf", "active")
        assert other.amplifies == amplifies and other.equality == (not amplifies)
        assert other.power_w == pytest.approx(total * (0.75 if amplifies else 1.0))
        assert (other.surface_power_w is None) == (not amplifies)
        assert other.max_gain == pytest.approx(1000.0 if amplifies else 1.0) and (other.noise_surface_w > 0) == amplifies
        assert other.unit == ("bit" if kind == "mf" else "dB")
    assert [(s.time_switching, s.mode_switching) for s in (make(protocol=p) for p in ("es", "ms", "ts"))] == [
        (False, False), (False, True), (True, False),
    ]  # fmt: skip
    ignored = make(kind="star", protocol="ts")
    assert not ignored.time_switching and len(ignored.variables()) == 4


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"kind": "hybrid"}, "kind"),
        ({"kind": None}, "kind"),
        ({"protocol": "fs"}, "protocol"),
        ({"protocol": 1}, "protocol"),
        ({"objective_form": "mean"}, "objective_form"),
        ({"objective_form": None}, "objective_form"),
        ({"kind": "active", "objective_form": "log"}, "objective_form"),
        ({"kind": "star", "objective_form": "log"}, "objective_form"),
        ({"kind": "passive", "objective_form": "log"}, "objective_form"),
        ({"phase_bits": 0}, "phase_bits"),
        ({"phase_bits": -1}, "phase_bits"),
        ({"phase_bits": 1.5}, "phase_bits"),
        ({"phase_bits": True}, "phase_bits"),
        ({"num_antennas": 0}, "num_antennas"),
        ({"num_elements_h": 0}, "num_elements_h"),
        ({"num_elements_v": 2.0}, "num_elements_v"),
        ({"num_sensors_h": -1}, "num_sensors_h"),
        ({"num_targets": (0, 2)}, "num_targets"),
        ({"num_targets": (2, 0)}, "num_targets"),
        ({"num_targets": (2,)}, "num_targets"),
        ({"num_targets": 4}, "num_targets"),
        ({"num_users": (1, 2, 3)}, "num_users"),
        ({"num_users": (-1, 2)}, "num_users"),
        ({"num_users": (1.5, 2)}, "num_users"),
        ({"num_sensing_beams": -1}, "num_sensing_beams"),
        ({"surface_share": 0.0}, "surface_share"),
        ({"surface_share": 1.0}, "surface_share"),
        ({"surface_share": -0.1}, "surface_share"),
        ({"surface_share": 1.1}, "surface_share"),
        ({"surface_share": float("nan")}, "surface_share"),
        ({"min_rate_bps_hz": -0.5}, "min_rate_bps_hz"),
        ({"x_range_m": (20.0, 5.0)}, "x_range_m"),
        ({"x_range_m": (-5.0, 5.0)}, "x_range_m"),
        ({"y_range_m": (1.0,)}, "y_range_m"),
        ({"y_range_m": (20.0, -20.0)}, "y_range_m"),
        ({"target_height_range_m": (20.0, 0.0)}, "target_height_range_m"),
        ({"target_angles_deg": ((0.0, 10.0),)}, "target_angles_deg"),
        ({"target_angles_deg": ((0.0, 10.0, 1.0),) * 4}, "target_angles_deg"),
        ({"target_angles_deg": "ahead"}, "target_angles_deg"),
        ({"target_distance_m": 0.0}, "target_distance_m"),
        ({"target_rcs_m2": -1.0}, "target_rcs_m2"),
        ({"bs_position_m": (0.0, 1.0)}, "bs_position_m"),
        ({"bs_position_m": (0.0, 0.0, 10.0)}, "bs_position_m|ris_position_m"),
        ({"isolation_db": (0.0,)}, "isolation_db"),
        ({"isolation_db": 0.0}, "isolation_db"),
        ({"max_gain_db": float("inf")}, "max_gain_db"),
        ({"total_power_dbm": "loud"}, "total_power_dbm"),
        ({"exponent_bs_ris": -1.0}, "exponent_bs_ris"),
    ],
)
def test_bad_fields_are_named(fields: dict[str, Any], named: str) -> None:
    """The message names the field, the value and the rule."""
    with pytest.raises((ValueError, TypeError)) as caught:
        make(**fields)
    message = str(caught.value)
    assert any(name in message for name in named.split("|")) and "must" in message, message
    value = fields[named.split("|")[0]]
    entries = [value, *(value if isinstance(value, tuple) else ())]
    assert any(repr(entry) in message for entry in entries), message


def test_even_number_of_elements() -> None:
    """Two equal groups need it: active, passive, MS; others do not."""
    odd = {"num_elements_h": 3, "num_elements_v": 1}
    for fields in ({"kind": "active"}, {"kind": "passive"}, {"protocol": "ms"}):
        with pytest.raises(ValueError, match=r"(?s)num_elements.*must.*even|num_elements.*even.*must") as caught:
            make(**odd, **fields)
        assert "3" in str(caught.value)
    for fields in ({}, {"protocol": "ts"}, {"kind": "star"}, {"kind": "star", "protocol": "ms"}):
        system = make(preset="small", **odd, **fields)
        scene = system.sample(np.random.default_rng(0), 2)
        raw = np.random.default_rng(0).uniform(-1, 1, (2, var.length(system.variables())))
        assert np.isfinite(system.evaluate(scene, system.decode(scene, raw)).score).all()
