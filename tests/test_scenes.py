"""Scene files: round trips for every system, and clear errors for every way in which a file can be wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ris_gym
from ris_gym import systems
from ris_gym.arrays import load_npz, save_npz

SMALL: dict[str, Any] = {"num_antennas": 3, "num_elements": 4, "num_users": 2, "num_sensing_beams": 1, "user_radius_m": 2.0}


@pytest.fixture
def system() -> Any:
    return systems.make("beampattern", **SMALL)


@pytest.fixture
def scene(system: Any) -> Any:
    return system.sample(np.random.default_rng(0), 6, csi_error=0.1)


@pytest.fixture
def channels(scene: Any) -> dict[str, np.ndarray]:
    """Bare channels, as a measurement would give."""
    return {name: getattr(scene, name) for name in ("bs_ris", "ris_user", "bs_user")}


@pytest.mark.parametrize("csi_error", [0.0, 0.1])
@pytest.mark.parametrize("name", systems.names())
def test_round_trip(tmp_path: Path, name: str, csi_error: float) -> None:
    system = systems.make(name)
    scene = system.sample(np.random.default_rng(1), 3, csi_error=csi_error if system.csi_errors else 0.0)
    path = tmp_path / "scenes.npz"
    ris_gym.save_scenes(path, system, scene)
    for given in (None, system):
        read, loaded = ris_gym.load_scenes(path, given)
        assert read == system
        ours, theirs = dict(scene.items()), dict(loaded.items())
        assert ours.keys() == theirs.keys()
        assert all(np.array_equal(ours[key], theirs[key]) and ours[key].dtype == theirs[key].dtype for key in ours)
    ris_gym.save_scenes(tmp_path / "again.npz", read, loaded)
    _, twice = ris_gym.load_scenes(tmp_path / "again.npz")
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(loaded.items(), twice.items(), strict=True))


def test_single_precision_becomes_double(tmp_path: Path, system: Any, scene: Any) -> None:
    ris_gym.save_scenes(tmp_path / "s.npz", system, scene.astype("complex64"))
    _, loaded = ris_gym.load_scenes(tmp_path / "s.npz")
    assert loaded.bs_ris.dtype == np.complex128 and np.allclose(loaded.bs_ris, scene.bs_ris, rtol=1e-6)


def test_foreign_channels(tmp_path: Path, system: Any, channels: dict[str, np.ndarray]) -> None:
    """A bare npz of measured channels: references are the rms amplitudes of the whole file, kept in every part of it."""
    np.savez(tmp_path / "measured.npz", **channels)
    with pytest.raises(ValueError, match="holds no system parameters"):
        ris_gym.load_scenes(tmp_path / "measured.npz")
    _, loaded = ris_gym.load_scenes(tmp_path / "measured.npz", system)
    for link, array in channels.items():
        rms = np.sqrt(np.mean(np.abs(array) ** 2))
        assert np.allclose(loaded.reference[f"rho_{link}"], rms) and loaded.reference[f"rho_{link}"].shape == (6,)
    reference = system.power_w * loaded.reference["rho_bs_ris"] ** 2 * 16 * 3 / 5
    assert np.allclose(system.reference_dbm(loaded), 10 * np.log10(reference) + 30)
    ris_gym.save_scenes(tmp_path / "half.npz", system, loaded[:2])
    _, half = ris_gym.load_scenes(tmp_path / "half.npz")
    assert np.array_equal(half.reference["rho_bs_user"], loaded.reference["rho_bs_user"][:2])
    raw = np.random.default_rng(0).uniform(-1, 1, (6, sum(v.size for v in system.variables())))
    metrics = system.evaluate(loaded, system.decode(loaded, raw))
    assert all(np.isfinite(array).all() for _, array in metrics.items())
    features = system.observe(loaded, system.decode(loaded, raw))
    assert np.isfinite(features).all() and np.mean(np.abs(features) > 10) < 1e-3
    scaled = system.from_file({name: 100.0 * array for name, array in channels.items()})
    assert np.allclose(system.observe(scaled), system.observe(loaded), atol=1e-5), "units do not matter to the features"


def spoil(name: str, array: np.ndarray | None) -> Any:
    def change(held: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {k: v for k, v in held.items() if k != name} if array is None else held | {name: array}

    return change


def poisoned(value: complex) -> np.ndarray:
    out = np.ones((6, 2, 4), complex)
    out[3, 1, 2] = value
    return out


WRONG = {
    "missing": (spoil("ris_user", None), "array 'ris_user' is missing"),
    "stranger": (spoil("bs_target", np.zeros((6, 2))), "array 'bs_target' is not one of this system's"),
    "nan": (spoil("ris_user", poisoned(np.nan)), "array 'ris_user' must hold finite numbers"),
    "inf": (spoil("ris_user", poisoned(complex(0, np.inf))), "array 'ris_user' must hold finite numbers"),
    "shape": (spoil("bs_user", np.ones((6, 2, 4))), r"array 'bs_user' must have shape \(6, 2, 3\), got \(6, 2, 4\)"),
    "rank": (spoil("bs_user", np.ones(6)), r"array 'bs_user' must have shape \(6, 2, 3\), got \(6,\)"),
    "no batch axis": (spoil("bs_ris", np.array(1.0)), r"array 'bs_ris' must have shape \(batch, 4, 3\)"),
    "batch": (spoil("ris_user", np.ones((5, 2, 4))), r"array 'ris_user' must have shape \(6, 2, 4\), got \(5, 2, 4\)"),
    "zero": (spoil("bs_ris", np.zeros((6, 4, 3))), "array 'bs_ris' must not be all zero"),
    "strings": (spoil("bs_user", np.full((6, 2, 3), "x")), "array 'bs_user' must hold finite numbers"),
    "complex position": (spoil("user_position", np.ones((6, 2, 2), complex)), "array 'user_position' must be real"),
    "half of the scales": (spoil("bs_ris_scale", np.ones(6)), "must be given all or none"),
    "half of the estimates": (spoil("bs_ris_estimate", np.ones((6, 4, 3))), "must be given all or none"),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_arrays(tmp_path: Path, system: Any, channels: dict[str, np.ndarray], change: Any, message: str) -> None:
    path = tmp_path / "wrong.npz"
    save_npz(path, change(channels), {"format": 1, "parameters": system.to_dict()})
    before = path.read_bytes()
    for given in (None, system):
        with pytest.raises(ValueError, match=f"scenes file .*wrong.npz.*{message}"):
            ris_gym.load_scenes(path, given)
    assert path.read_bytes() == before


def test_empty_file(tmp_path: Path, system: Any, channels: dict[str, np.ndarray]) -> None:
    save_npz(tmp_path / "e.npz", {name: array[:0] for name, array in channels.items()}, {"parameters": system.to_dict()})
    with pytest.raises(ValueError, match="batch >= 1"):
        ris_gym.load_scenes(tmp_path / "e.npz")


def test_pickled_and_broken(tmp_path: Path, system: Any, channels: dict[str, np.ndarray]) -> None:
    path = tmp_path / "p.npz"
    np.savez(path, **(channels | {"bs_user": channels["bs_user"].astype(object)}))
    with pytest.raises(ValueError, match=r"p\.npz' cannot be read as an npz of plain arrays"):
        ris_gym.load_scenes(path, system)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match=r"p\.npz' cannot be read"):
        ris_gym.load_scenes(path, system)


def test_wrong_headers(tmp_path: Path, system: Any, channels: dict[str, np.ndarray]) -> None:
    path = tmp_path / "h.npz"
    cases: dict[str, dict[str, Any]] = {
        "has format 99; this version reads format 1": {"format": 99, "parameters": system.to_dict()},
        "name must be one of": {"parameters": {"system": "no_such_system"}},
        "num_users": {"parameters": system.to_dict() | {"num_users": -1}},
        "holds no system parameters": {"parameters": 3},
    }
    for message, meta in cases.items():
        save_npz(path, channels, meta)
        with pytest.raises(ValueError, match=message):
            ris_gym.load_scenes(path)
    save_npz(path, channels, {"parameters": systems.make("toy").to_dict()})
    with pytest.raises(ValueError, match="belongs to system 'toy', not to 'beampattern'"):
        ris_gym.load_scenes(path, system)
    save_npz(path, channels, {"parameters": system.to_dict() | {"no_such_field": 1}})
    with pytest.raises((ValueError, TypeError), match="no_such_field"):
        ris_gym.load_scenes(path)


def test_parameters_of_the_reader_win(tmp_path: Path, system: Any, scene: Any) -> None:
    ris_gym.save_scenes(tmp_path / "s.npz", system, scene)
    other = systems.make("beampattern", **SMALL, sinr_threshold_db=3.0)
    assert ris_gym.load_scenes(tmp_path / "s.npz", other)[0] is other
    larger = systems.make("beampattern", **(SMALL | {"num_elements": 5}))
    with pytest.raises(ValueError, match=r"array 'bs_ris' must have shape \(6, 5, 3\), got \(6, 4, 3\)"):
        ris_gym.load_scenes(tmp_path / "s.npz", larger)


def test_saved_arrays_are_plain(tmp_path: Path, system: Any, scene: Any) -> None:
    ris_gym.save_scenes(tmp_path / "s.npz", system, system.from_file({"bs_ris": scene.bs_ris, "ris_user": scene.ris_user,
        "bs_user": scene.bs_user}))  # fmt: skip
    held, meta = load_npz(tmp_path / "s.npz")
    assert "reference.rho_bs_ris" in held and meta["format"] == 1 and meta["parameters"] == system.to_dict()
