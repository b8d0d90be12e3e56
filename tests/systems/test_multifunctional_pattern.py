"""The beampattern against loops over directions, elements and streams; angles against the positions that they stand for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ris_gym import systems
from ris_gym.systems.multifunctional import pattern
from ris_gym.systems.multifunctional.sampler import towards

SMALL = {"num_antennas": 3, "num_elements_h": 4, "num_elements_v": 3, "num_users": (1, 2), "num_targets": (2, 1)}
KINDS: list[dict[str, Any]] = [
    {"protocol": "es"}, {"protocol": "ms"}, {"protocol": "ts"}, {"kind": "active"}, {"kind": "star"}, {"kind": "passive"},
]  # fmt: skip


def designed(**fields: Any) -> tuple[Any, Any, Any]:
    system = systems.make("multifunctional", **(SMALL | fields))
    rng = np.random.default_rng(3)
    scene = system.sample(rng, 2)
    raw = rng.uniform(-1.0, 1.0, (2, sum(v.size for v in system.variables())))
    return system, scene, system.decode(scene, raw)


def looped(system: Any, scene: Any, design: Any, b: int, side: int, elevation: float, azimuth: float) -> float:
    """`sum_s |sum_m conj(a_m) theta_im sum_n H_mn W_ns|^2`, every sum a loop."""
    phi, theta = np.deg2rad(elevation), np.deg2rad(azimuth)
    e_y, e_z = np.cos(phi) * np.sin(theta), np.sin(phi)
    w = np.concatenate([design.beams[b], design.sensing_beams[b]], axis=-1)
    w = w[side] if system.time_switching else w
    total = 0.0
    for s in range(w.shape[1]):
        wave = 0.0j
        for h in range(system.num_elements_h):
            for v in range(system.num_elements_v):
                m = h * system.num_elements_v + v
                response = np.exp(-1j * np.pi * (h * e_y + v * e_z))
                arriving = sum(scene.bs_ris[b, m, n] * w[n, s] for n in range(system.num_antennas))
                wave += np.conj(response) * design.coefficients[b, side, m] * arriving
        total += abs(wave) ** 2
    return total


@pytest.mark.parametrize("fields", KINDS, ids=str)
def test_against_loops(fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    system, scene, design = designed(**fields)
    monkeypatch.setattr(pattern, "CHUNK", 4)
    elevation, azimuth = np.array([-70.0, 0.0, 35.0]), np.array([-90.0, 12.0])
    found = pattern.beampattern_w(system, scene, design, elevation[:, None], azimuth[None])
    assert found.shape == (2, 2, 3, 2) and found.dtype == np.float64
    for b, side, i, j in np.ndindex(found.shape):
        assert found[b, side, i, j] == pytest.approx(looped(system, scene, design, b, side, elevation[i], azimuth[j]), rel=1e-10)
    level = pattern.beampattern_dbm(system, scene, design, elevation[:, None], azimuth[None])
    assert np.allclose(level, np.maximum(10.0 * np.log10(1e3 * found), pattern.FLOOR_DBM), atol=1e-9)


@pytest.mark.parametrize("fields", KINDS, ids=str)
def test_towards_a_target_it_is_what_the_target_returns(fields: dict[str, Any]) -> None:
    """`p_i(e_l)` is the energy over all streams that reaches target l by way of its own half-space."""
    system, scene, design = designed(**fields)
    _, at = pattern.seen_angles_deg(system, scene)
    found = pattern.beampattern_w(system, scene[1], design[1], at[1, :, 0], at[1, :, 1])
    for target, side in enumerate(system.target_side):
        w = design.all_beams[1, side] if system.time_switching else design.all_beams[1]
        row = (scene.target_steering[1, target].conj() * design.coefficients[1, side]) @ scene.bs_ris[1] @ w
        assert found[0, side, target] == pytest.approx(np.sum(np.abs(row) ** 2), rel=1e-9)


def test_mean_over_orthogonal_directions_is_the_power_without_noise() -> None:
    """The responses of two elements to azimuths 0 and 90 degrees are (1, 1) and (1, -1)."""
    system, scene, design = designed(num_elements_h=2, num_elements_v=1)
    found = pattern.beampattern_w(system, scene, design, 0.0, np.array([0.0, 90.0]))
    load = np.sum(np.abs(scene.bs_ris @ design.all_beams) ** 2, axis=-1)
    expected = np.sum(np.abs(design.coefficients) ** 2 * load[:, None], axis=-1)
    assert np.allclose(found.mean(axis=-1), expected, rtol=1e-12)


def test_angles_invert_directions() -> None:
    elevation, azimuth, side = np.array([-80.0, 0.0, 55.0]), np.array([30.0, -75.0, 10.0]), np.array([0, 1, 0])
    origin = np.array([1.0, -2.0, 3.0])
    found = pattern.angles_deg(origin, origin + 7.0 * towards(elevation, azimuth, side))
    assert np.allclose(found, np.stack([elevation, azimuth], axis=-1), atol=1e-12)


def test_directions_of_users_and_targets() -> None:
    angles = ((-20.0, -40.0), (15.0, 30.0), (-15.0, -30.0), (20.0, 40.0))
    system = systems.make("multifunctional", preset="pattern", rician_db=40.0)
    scene = system.sample(np.random.default_rng(0), 2)
    users, targets = pattern.seen_angles_deg(system, scene)
    assert users.shape == (2, 4, 2) and np.allclose(targets, angles, atol=1e-10)
    bare = scene.replace(**{name: None for name, _ in scene.items() if name.endswith("_position")})
    by_path = pattern.seen_angles_deg(system, bare)
    assert np.allclose(by_path[1], angles, atol=1.01) and np.abs(by_path[0] - users).max() < 4.0
