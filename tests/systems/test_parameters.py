"""Parameters of every registered system: presets, JSON, validation."""

from __future__ import annotations

import dataclasses
import json
import math
import pickle
from typing import Any

import numpy as np
import pytest

from ris_gym import registry, systems
from ris_gym.arrays import Batch
from ris_gym.envs.config import NAMES
from ris_gym.systems.base import Episode

every_system = pytest.mark.parametrize("name", systems.names())



@every_system
def test_class_attributes(name: str) -> None:
    system = systems.make(name)
    assert system.name == name and system.sense in (-1, 1) and isinstance(system.unit, str) and system.default_penalty >= 0
    assert set(system.controls) <= {"full", "structured", "surface"} and system.controls[0] == "full"
    assert set(system.observations) <= {"csi", "local"} and system.observations[0] == "csi"
    for episode in system.episodes:
        assert isinstance(episode, Episode) and episode.kind in ("refine", "single", "blocks")
        assert episode.ends in ("terminated", "truncated") and (episode.length is None or hasattr(system, episode.length))
    assert issubclass(system.scene, Batch) and issubclass(system.design, Batch)
    assert dataclasses.is_dataclass(system) and system.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert registry.get(name).id.startswith("ris_gym/") and type(system).__doc__


@every_system
def test_json_pickle_and_hash(name: str) -> None:
    cls = systems.get(name)
    for preset in (None, *cls.presets):
        system = systems.make(name, preset=preset)
        values = json.loads(json.dumps(system.to_dict()))
        assert systems.from_dict(values) == system and cls.from_dict(values) == system
        assert hash(systems.from_dict(values)) == hash(system)
        assert pickle.loads(pickle.dumps(system)) == system
    with pytest.raises(ValueError, match="system must be"):
        cls.from_dict({"system": "no_such_system"})
    with pytest.raises(ValueError, match="name must be one of"):
        systems.from_dict({"system": "no_such_system"})
    with pytest.raises(ValueError, match="'system'"):
        systems.from_dict({})


@every_system
def test_presets(name: str) -> None:
    cls = systems.get(name)
    fields = [field.name for field in dataclasses.fields(cls)]
    for preset, values in cls.presets.items():
        system = systems.make(name, preset=preset)
        assert set(values) <= set(fields)
        assert system == systems.make(name, **values)
        for field, value in values.items():
            overridden = systems.make(name, preset=preset, **{field: value})
            assert overridden == system
    with pytest.raises(ValueError, match=r"preset must be one of .* 'no_such_preset'"):
        systems.make(name, preset="no_such_preset")


@every_system
def test_frozen(name: str) -> None:
    system = systems.make(name)
    with pytest.raises(dataclasses.FrozenInstanceError):
        system.num_elements = 3


@every_system
def test_field_names(name: str) -> None:
    """Every field is a `gym.make` keyword: none may hide a keyword of the environment."""
    fields = {field.name for field in dataclasses.fields(systems.get(name))}
    reserved = {*NAMES, "preset", "render_mode", "num_envs", "autoreset_mode", "max_episode_steps", "id", "disable_env_checker"}
    assert not fields & reserved
    with pytest.raises(TypeError, match="no parameter 'no_such_field'; parameters: "):
        systems.make(name, no_such_field=1)


@every_system
def test_every_field_has_units_that_agree(name: str) -> None:
    """A number that is neither a count, an exponent nor a fraction carries its unit; positions are in metres."""
    for field in dataclasses.fields(systems.get(name)):
        if "position" in field.name or "radius" in field.name:
            assert field.name.endswith("_m"), field.name
        if "power" in field.name and field.name.startswith(("power", "noise", "total")):
            assert field.name.endswith(("_dbm", "_db", "_w")), field.name


@every_system
def test_every_field_is_validated(name: str) -> None:
    """Bad types and values raise an error that names field and value and says the rule."""
    system = systems.make(name)
    for field in dataclasses.fields(system):
        default = getattr(system, field.name)
        bad: list[Any] = [object(), {"a": 1}, 1j]
        if isinstance(default, bool):
            bad += ["yes", 1, None]
        elif isinstance(default, (int, float)):
            bad += [math.nan, math.inf, -math.inf, "three", b"3", True]
            bad += [2.5, 10**30] if isinstance(default, int) else []
        elif isinstance(default, str):
            bad += ["no such value", 3, None]
        elif isinstance(default, tuple):
            bad += [math.nan, "three", (math.nan,) * len(default), ("a",) * len(default), (*default, object())]
        else:
            bad += ["three", math.nan, -1000 if field.name.endswith(("_deg", "_db")) else -1]  # may be negative
        for value in bad:
            if isinstance(value, int) and value == 10**30 and field.name.startswith("num"):
                continue
            with pytest.raises((TypeError, ValueError)) as caught:
                systems.make(name, **{field.name: value})
            message = str(caught.value)
            assert field.name in message and "must" in message, f"{field.name}={value!r}: {message}"
            assert repr(value) in message or any(repr(entry) in message for entry in _entries(value)), f"{field.name}: {message}"


def _entries(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, dict)) else ()


@every_system
def test_counts_must_be_positive(name: str) -> None:
    system = systems.make(name)
    for field in dataclasses.fields(system):
        value = getattr(system, field.name)
        if field.name.startswith("num_") and isinstance(value, int):
            for bad in (-1,) if "sensing" in field.name else (-1, 0):
                with pytest.raises(ValueError, match=f"{field.name} must be .*got {bad}"):
                    systems.make(name, **{field.name: bad})


@every_system
def test_numpy_numbers_are_fields_too(name: str) -> None:
    """Fields taken from arrays end up as plain, JSON-able, equal values."""
    system = systems.make(name)
    for field in dataclasses.fields(system):
        value = getattr(system, field.name)
        if isinstance(value, bool) or not isinstance(value, (int, float, tuple)) or not _flat(value):
            continue
        other = np.asarray(value) if isinstance(value, tuple) else np.asarray(value)[()]
        made = systems.make(name, **{field.name: other})
        assert made == system and hash(made) == hash(system)
        json.dumps(made.to_dict())


def _flat(value: Any) -> bool:
    return not isinstance(value, tuple) or all(isinstance(entry, (int, float)) for entry in value)
