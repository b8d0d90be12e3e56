"""Scenes of `multifunctional`: geometry, channels, draw order, fading, knowledge, constants, files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import multifunctional_brute as brute
import multifunctional_rules as rules
import numpy as np
import pytest
from multifunctional_designs import CASES, KINDS, SMALL, every_kind, uniform

import ris_gym
from ris_gym import systems
from ris_gym import variables as var

LINKS = ("bs_ris", "bs_sensor", "ris_user")
NEEDED = ("bs_ris", "ris_user", "target_steering", "target_gain")
SENSED = ("bs_sensor", "sensor_steering")


def make(**fields: Any) -> Any:
    return systems.make("multifunctional", **fields)


def small(case: str = "es", **fields: Any) -> Any:
    return make(**(SMALL | CASES[case] | fields))


def bare(system: Any, scene: Any) -> dict[str, np.ndarray]:
    """What a measured scene must have."""
    return {name: np.array(getattr(scene, name)) for name in NEEDED + (SENSED if system.kind == "mf" else ())}


def surface_steering(mh: int, mv: int, e: np.ndarray) -> np.ndarray:
    """a(e), element by element: horizontal along y, vertical along z, the vertical index runs fastest, negative sign."""
    out = np.zeros(mh * mv, complex)
    for h in range(mh):
        for v in range(mv):
            out[h * mv + v] = np.exp(-1j * np.pi * (e[1] * h + e[2] * v))
    return out


def line(n: int, u: float) -> np.ndarray:
    return np.array([np.exp(-1j * np.pi * u * i) for i in range(n)])


def sensors(sh: int, sv: int, e: np.ndarray) -> np.ndarray:
    """b(e): one horizontal line, then one vertical."""
    return np.concatenate([line(sh, e[1]), line(sv, e[2])])


def towards(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, float]:
    d = float(np.linalg.norm(b - a))
    return (b - a) / d, d


# -- geometry and line of sight -----------------------------------------------------------------------------------------------


def test_shapes_at_the_defaults() -> None:
    for kind in ("mf", "active", "star", "passive"):
        scene = make(kind=kind).sample(np.random.default_rng(0), 5)
        shapes = {
            "bs_ris": (32, 8), "ris_user": (4, 32), "target_steering": (4, 32), "target_gain": (4,), "bs_ris_los": (32, 8),
            "ris_user_los": (4, 32), "bs_position": (3,), "ris_position": (3,), "user_position": (4, 3),
            "target_position": (4, 3),
        }  # fmt: skip
        if kind == "mf":
            shapes |= {"bs_sensor": (2, 12, 8), "bs_sensor_los": (2, 12, 8), "sensor_steering": (4, 12)}
            shapes |= {"reference/filter": (2, 12), "reference/projector": (8, 8)}
        found = {name: array.shape[1:] for name, array in scene.items()}
        assert shapes.items() <= found.items() and len(scene) == 5
        assert all(name.startswith("reference/") for name in found.keys() - shapes.keys())


def test_positions() -> None:
    """Half-spaces, ranges, heights, uniform."""
    system, count = make(num_users=(1, 2), num_targets=(2, 1)), 4000
    scene = system.sample(np.random.default_rng(0), count)
    for position, sign in ((scene.user_position, [-1, 1, 1]), (scene.target_position, [-1, -1, 1])):
        x, y = position[..., 0] * np.array(sign), position[..., 1]
        assert 5.0 <= x.min() < 5.05 and 19.95 < x.max() <= 20.0 and -20.0 <= y.min() < -19.9 and 19.9 < y.max() <= 20.0
        for values, low, high in ((x, 5.0, 20.0), (y, -20.0, 20.0)):
            for i in range(3):
                ranks = (np.sort(values[:, i]) - low) / (high - low)
                assert np.abs(ranks - (np.arange(count) + 0.5) / count).max() < 1.95 / np.sqrt(count), "Kolmogorov, 0.1 %"
            assert np.abs(np.corrcoef(values.T) - np.eye(3)).max() < 0.06
    assert np.all(scene.user_position[..., 2] == 1.5)
    z = scene.target_position[..., 2]
    assert 0.0 <= z.min() < 0.05 and 19.95 < z.max() <= 20.0 and z.mean() == pytest.approx(10.0, abs=0.3)
    assert np.all(scene.bs_position == (-20.0, 10.0, 10.0)) and np.all(scene.ris_position == (0.0, 0.0, 10.0))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"bs_position_m": (-15.0, -7.0, 4.0), "ris_position_m": (0.0, 3.0, 8.0), "exponent_bs_ris": 2.6, "exponent_ris_user": 3},
        {"rician_db": -3.0, "path_loss_1m_db": 37.0, "target_rcs_m2": 4.0, "isolation_db": (3.0, 17.0)},
    ],
)
def test_line_of_sight(fields: dict[str, Any]) -> None:
    """Path losses, weights and both ends' steering vectors, entry by entry from the positions."""
    system = make(num_antennas=5, num_elements_h=3, num_elements_v=4, num_sensors_h=2, num_sensors_v=3, **fields)
    scene = system.sample(np.random.default_rng(2), 3)
    kappa, base = 10 ** (system.rician_db / 10), 10 ** (-system.path_loss_1m_db / 10)
    weight = np.sqrt(kappa / (1 + kappa))
    bs, ris = np.array(system.bs_position_m), np.array(system.ris_position_m)
    away, d = towards(ris, bs)
    back, _ = towards(bs, ris)
    amplitude = np.sqrt(base * d**-system.exponent_bs_ris) * weight
    departure = line(5, back[1]).conj()
    assert np.allclose(scene.bs_ris_los, amplitude * np.outer(surface_steering(3, 4, away), departure), rtol=1e-10, atol=0)
    for i in range(2):
        expected = amplitude * 10 ** (-system.isolation_db[i] / 20) * np.outer(sensors(2, 3, away), departure)
        assert np.allclose(scene.bs_sensor_los[:, i], expected, rtol=1e-10, atol=0)
    for b in range(3):
        for k in range(4):
            e, d = towards(ris, scene.user_position[b, k])
            expected = np.sqrt(base * d**-system.exponent_ris_user) * weight * surface_steering(3, 4, e)
            assert np.allclose(scene.ris_user_los[b, k], expected, rtol=1e-10, atol=0)
        for l in range(4):
            e, d = towards(ris, scene.target_position[b, l])
            assert np.allclose(scene.target_steering[b, l], surface_steering(3, 4, e), rtol=1e-10)
            assert np.allclose(scene.sensor_steering[b, l], sensors(2, 3, e), rtol=1e-10)
            level = np.sqrt(base * system.target_rcs_m2 / (4 * np.pi * d**4))
            assert abs(scene.target_gain[b, l]) == pytest.approx(level, rel=1e-10)


def test_scattering() -> None:
    """Mean, power, circularity and independence of the scattered part of every link; phases of the targets uniform."""
    system, count = small(rician_db=3.0, isolation_db=(2.0, 11.0)), 6000
    scene = system.sample(np.random.default_rng(0), count)
    kappa, base = 10**0.3, 1e-3
    d = np.linalg.norm(np.array(system.bs_position_m) - np.array(system.ris_position_m))
    user = np.linalg.norm(scene.user_position - np.array(system.ris_position_m), axis=-1)
    power = {
        "bs_ris": np.full((1, 1, 1), base * d**-2.2),
        "bs_sensor": (base * d**-2.2 * 10 ** -np.array([0.2, 1.1]))[None, :, None, None],
        "ris_user": (base * user**-2.2)[..., None],
    }
    together = []
    for name in LINKS:
        z = (getattr(scene, name) - getattr(scene, f"{name}_los")) * np.sqrt((1 + kappa) / power[name])
        z = z.reshape(count, -1)
        assert np.abs(z.mean(axis=0)).max() < 5 / np.sqrt(count), name
        assert np.abs(np.mean(np.abs(z) ** 2, axis=0) - 1).max() < 0.07, name
        assert np.abs(np.mean(z**2, axis=0)).max() < 0.07 and np.mean(np.abs(z) ** 4) == pytest.approx(2.0, abs=0.06), name
        together.append(z)
    every = np.concatenate(together, axis=1)
    assert np.abs(every.T @ every.conj() / count - np.eye(every.shape[1])).max() < 0.09
    phase = scene.target_gain / np.abs(scene.target_gain)
    assert np.abs(phase.mean(axis=0)).max() < 0.06 and np.abs((phase**2).mean(axis=0)).max() < 0.06
    assert abs(np.mean(phase[:, 0] * phase[:, 1].conj())) < 0.06


def test_isolation_scales_the_sensors_alone() -> None:
    plain = small().sample(np.random.default_rng(1), 4)
    apart = small(isolation_db=(10.0, 36.0)).sample(np.random.default_rng(1), 4)
    for i, factor in enumerate((10**-0.5, 10**-1.8)):
        assert np.allclose(apart.bs_sensor[:, i], factor * plain.bs_sensor[:, i], rtol=1e-12, atol=0)
    for name in (*NEEDED, "sensor_steering", "user_position"):
        assert np.array_equal(getattr(apart, name), getattr(plain, name)), name


def test_given_target_angles() -> None:
    """`e = (-+cos cos, cos sin, sin)`, minus on side r; at the given distance."""
    angles = ((-20.0, -40.0), (15.0, 30.0), (-15.0, -30.0), (20.0, 40.0))
    for system in (make(preset="pattern"), make(target_angles_deg=angles, target_distance_m=33.0)):
        assert np.allclose(system.target_angles_deg, angles)
        scene = system.sample(np.random.default_rng(0), 3)
        for l, (phi, theta) in enumerate(np.deg2rad(angles)):
            x = np.cos(phi) * np.cos(theta) * (-1 if l < 2 else 1)
            e = np.array([x, np.cos(phi) * np.sin(theta), np.sin(phi)])
            expected = np.array([0.0, 0.0, 10.0]) + system.target_distance_m * e
            assert np.allclose(scene.target_position[:, l], expected, rtol=1e-10)
            assert np.allclose(scene.target_steering[:, l], surface_steering(8, 4, e), rtol=1e-9)
            level = np.sqrt(1e-3 / (4 * np.pi)) / system.target_distance_m**2
            assert np.allclose(np.abs(scene.target_gain[:, l]), level, rtol=1e-10)
    assert make(preset="pattern").target_distance_m == 20.0


def test_scenes_of_one_seed_share_what_was_drawn_before() -> None:
    """Positions and target phases first, then users, BS to surface, BS to sensors (page, section 6)."""
    def drawn(**fields: Any) -> Any:
        return make(**fields).sample(np.random.default_rng(9), 6)

    base = drawn()
    changed = {
        "elements": drawn(num_elements_h=4, num_elements_v=2),
        "antennas": drawn(num_antennas=5),
        "sensors": drawn(num_sensors_h=2, num_sensors_v=7),
        "ts": drawn(protocol="ts"),
        "star": drawn(kind="star"),
        "passive": drawn(kind="passive", total_power_dbm=20.0),
        "active": drawn(kind="active", noise_user_dbm=-70.0),
    }
    for name, other in changed.items():
        for field in ("user_position", "target_position", "target_gain"):
            assert np.array_equal(getattr(other, field), getattr(base, field)), (name, field)
        if name != "elements":
            assert np.array_equal(other.ris_user, base.ris_user), name
        if name not in ("elements", "antennas"):
            assert np.array_equal(other.bs_ris, base.bs_ris), name
        if name == "ts":
            assert np.array_equal(other.bs_sensor, base.bs_sensor)


# -- constants of the scene ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [{}, {"num_targets": (2, 2)}, {"num_sensors_h": 1, "num_sensors_v": 1}, {"num_antennas": 5}])
def test_reference(fields: dict[str, Any]) -> None:
    """`u_i`: first left singular vector of `P_i A_i`; projector off span {G_i^H u_i} (page, section 7.6)."""
    system = small(**fields)
    scene = system.sample(np.random.default_rng(4), 4, csi_error=0.2)
    for at in (scene, system.known(scene), system.check_scene(bare(system, scene))):
        for b in range(4):
            u, off = rules.reference(system, rules.bare_case(system, at, b))
            for i in range(2):
                assert abs(np.vdot(u[i], at.reference["filter"][b, i])) == pytest.approx(1.0, abs=1e-9)
                assert np.linalg.norm(at.reference["filter"][b, i]) == pytest.approx(1.0, abs=1e-12)
            assert np.allclose(at.reference["projector"][b], off, atol=1e-8)


@every_kind
def test_only_mf_has_sensors(case: str) -> None:
    system = small(case)
    scene = system.sample(np.random.default_rng(0), 2)
    assert ("filter" in (scene.reference or {})) == ("projector" in (scene.reference or {})) == (system.kind == "mf")
    assert (scene.bs_sensor is None) == (system.kind != "mf")
    assert (scene.sensor_steering is None) == (system.kind != "mf")


# -- fading -------------------------------------------------------------------------------------------------------------------


def still(system: Any, scene: Any) -> Any:
    return system.decode(system.known(scene), np.zeros((len(scene), var.length(system.variables()))))


@pytest.mark.parametrize("case", ["es", "star"])
def test_fading(case: str) -> None:
    """Scattered parts correlate by rho and keep their power; line of sight, positions, steering, target gains stay."""
    system, count, rho = small(case, isolation_db=(0.0, 20.0)), 2000, 0.8
    scene = system.sample(np.random.default_rng(0), count)
    design, rng, now = still(system, scene), np.random.default_rng(1), scene
    links = [name for name in LINKS if getattr(scene, name) is not None]
    for block in range(1, 5):
        metrics, now = system.step(now, design, rng, correlation=rho)
        assert len(metrics) == count
        for name in links:
            los = getattr(scene, f"{name}_los")
            axes = {"bs_ris": (1, 2), "bs_sensor": (2, 3), "ris_user": (2,)}[name]
            scale = np.sqrt(np.mean(np.abs(los) ** 2, axis=axes, keepdims=True) / 10**0.3)
            before, after = ((getattr(s, name) - los) / scale for s in (scene, now))
            assert np.mean(np.abs(after) ** 2) == pytest.approx(1.0, abs=0.03), name
            assert np.mean(after * before.conj()) == pytest.approx(rho**block, abs=0.03), name
            assert abs(np.mean(after**2)) < 0.03 and abs(np.mean(after)) < 0.02, name
            if name != "bs_ris":
                each = np.mean(np.abs(after) ** 2, axis=(0, *axes))
                assert np.allclose(each, 1.0, atol=0.06), "per user and side"
    for name in (*(f"{n}_los" for n in links), "target_steering", "target_gain", "user_position", "target_position"):
        assert np.array_equal(getattr(now, name), getattr(scene, name)), name
    if system.kind == "mf":
        assert np.array_equal(now.sensor_steering, scene.sensor_steering)
        fresh = system.check_scene(bare(system, now[:20]))
        assert np.allclose(now.reference["projector"][:20], fresh.reference["projector"], atol=1e-8), "renewed each block"
    frozen = system.step(scene, design, rng, correlation=1.0)[1]
    assert all(np.allclose(getattr(frozen, name), getattr(scene, name), rtol=1e-12, atol=0) for name in links)


def test_default_correlation() -> None:
    system = small()
    scene = system.sample(np.random.default_rng(0), 1500)
    now = system.step(scene, still(system, scene), np.random.default_rng(1))[1]
    before, after = (s.bs_ris - scene.bs_ris_los for s in (scene, now))
    assert np.mean(after * before.conj()) / np.mean(np.abs(before) ** 2) == pytest.approx(0.95, abs=0.01)


def test_loaded_scenes_fade_as_all_scattered() -> None:
    """Z' with the rms of the array, of each side and user."""
    system = small(isolation_db=(0.0, 30.0))
    scene = system.check_scene(bare(system, system.sample(np.random.default_rng(0), 1000)))
    assert scene.bs_ris_los is None and scene.user_position is None
    moved = system.step(scene, still(system, scene), np.random.default_rng(2), correlation=0.6)[1]
    for name, axes in (("bs_ris", (1, 2)), ("bs_sensor", (2, 3)), ("ris_user", (2,))):
        before, after = getattr(scene, name), getattr(moved, name)
        power = np.mean(np.abs(before) ** 2, axis=axes, keepdims=True)
        innovation = (after - 0.6 * before) / np.sqrt(power)
        kept = tuple(a for a in range(before.ndim) if a == 0 or a in axes)
        assert np.allclose(np.mean(np.abs(innovation) ** 2, axis=kept), 0.64, atol=0.03), name
        assert abs(np.mean(innovation * before.conj() / np.sqrt(power))) < 0.03 and abs(np.mean(innovation**2)) < 0.03
    assert np.array_equal(moved.target_gain, scene.target_gain)


# -- knowledge ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ["es", "active"])
def test_estimates(case: str) -> None:
    """`h + err rms(h) CN`: rms of the array, of each side, of each user, of each target."""
    system, error = small(case, isolation_db=(0.0, 25.0)), 0.2
    scene = system.sample(np.random.default_rng(0), 1500, csi_error=error)
    axes = {"bs_ris": (1, 2), "bs_sensor": (2, 3), "ris_user": (2,), "target_gain": ()}
    for name, over in axes.items():
        truth = getattr(scene, name)
        if truth is None:
            assert getattr(scene, f"{name}_estimate") is None
            continue
        size = np.sqrt(np.mean(np.abs(truth) ** 2, axis=over, keepdims=True)) if over else np.abs(truth)
        z = (getattr(scene, f"{name}_estimate") - truth) / (error * size)
        kept = tuple(a for a in range(truth.ndim) if a == 0 or a in over)
        assert np.allclose(np.mean(np.abs(z) ** 2, axis=kept), 1.0, atol=0.09), name
        assert abs(np.mean(z**2)) < 0.05 and abs(np.mean(z)) < 0.05 and np.mean(np.abs(z) ** 4) == pytest.approx(2.0, abs=0.2)
    exact = system.sample(np.random.default_rng(0), 3)
    assert all(getattr(exact, f"{name}_estimate") is None for name in axes)
    drawn = system.sample(np.random.default_rng(0), 1500)
    assert np.array_equal(drawn.bs_ris, scene.bs_ris), "the truth does not depend on what is known of it"


@every_kind
def test_known(case: str) -> None:
    """Estimates in the place of truths; the rule works on the estimates, evaluation and projection on the truth."""
    system = small(case)
    scene = system.sample(np.random.default_rng(0), 3, csi_error=0.3)
    known = system.known(scene)
    for name in ("bs_ris", "ris_user", "target_gain", *(("bs_sensor",) if system.kind == "mf" else ())):
        assert np.array_equal(getattr(known, name), getattr(scene, f"{name}_estimate"))
        assert getattr(known, f"{name}_estimate") is None and not np.array_equal(getattr(known, name), getattr(scene, name))
    assert np.array_equal(known.target_steering, scene.target_steering)
    if system.kind == "mf":
        assert np.array_equal(known.sensor_steering, scene.sensor_steering)
        assert not np.allclose(known.reference["projector"], scene.reference["projector"], atol=1e-3)
    fresh = system.check_scene(bare(system, known))
    raw = uniform(system, "surface")
    ours, theirs = system.decode(known, raw, "surface"), system.decode(fresh, raw, "surface")
    for (name, a), (_, b) in zip(ours.items(), theirs.items(), strict=True):
        assert np.allclose(a, b, rtol=1e-7, atol=1e-9), name
    found = system.evaluate(scene, ours)
    for b in range(3):
        assert np.allclose(found.echo_sinr_db[b], brute.metrics(system, scene, ours, b)["echo_sinr_db"], atol=1e-7)


def test_estimates_in_fading_and_of_given_scenes() -> None:
    system = small()
    scene = system.sample(np.random.default_rng(0), 200, csi_error=0.1)
    after = system.step(scene, still(system, scene), np.random.default_rng(1), correlation=0.9, csi_error=0.1)[1]
    given = system.draw_estimates(system.check_scene(bare(system, scene)), np.random.default_rng(3), 0.1)
    for at in (after, given):
        for name in (*LINKS, "target_gain"):
            truth, estimate = getattr(at, name), getattr(at, f"{name}_estimate")
            assert not np.array_equal(estimate, getattr(scene, f"{name}_estimate"))
            assert np.linalg.norm(estimate - truth) / np.linalg.norm(truth) == pytest.approx(0.1, rel=0.12)
    exact = system.draw_estimates(given, np.random.default_rng(3), 0.0)
    assert all(getattr(exact, f"{name}_estimate") is None for name in (*LINKS, "target_gain"))
    assert np.array_equal(system.known(exact).bs_ris, scene.bs_ris)


# -- loaded scenes ------------------------------------------------------------------------------------------------------------


@every_kind
def test_bare_channels_do_everything(case: str) -> None:
    system = small(case)
    drawn = system.sample(np.random.default_rng(0), 3)
    scene = system.check_scene(bare(system, drawn))
    for control in system.controls:
        raw = uniform(system, control)
        ours, theirs = (system.evaluate(s, system.decode(s, raw, control)) for s in (scene, drawn))
        for (name, a), (_, b) in zip(ours.items(), theirs.items(), strict=True):
            assert np.allclose(a, b, rtol=1e-8, atol=1e-8), name
        assert system.start(scene, control).shape == raw.shape
    assert np.isfinite(system.observe(scene, still(system, scene))).all()
    system.step(scene, still(system, scene), np.random.default_rng(0))


@pytest.mark.parametrize("case", KINDS)
def test_bad_arrays_are_named(case: str) -> None:
    system = small(case)
    arrays = bare(system, system.sample(np.random.default_rng(0), 3))
    for name, array in arrays.items():
        broken = array.copy()
        broken.reshape(-1)[1] = np.nan
        for change in (array[..., :-1], array[:2] if name != "bs_ris" else array[0], broken):
            with pytest.raises(ValueError, match=f"'{name}'"):
                system.check_scene(arrays | {name: change})
        with pytest.raises(ValueError, match=f"array '{name}' is missing"):
            system.check_scene({key: value for key, value in arrays.items() if key != name})
    for foreign in ("target_response", "bs_user"):
        with pytest.raises(ValueError, match=f"'{foreign}'"):
            system.check_scene(arrays | {foreign: arrays["bs_ris"]})
    with pytest.raises(ValueError, match="'user_position'"):
        system.check_scene(arrays | {"user_position": np.zeros((3, 3, 2))})
    with pytest.raises(ValueError, match="'user_position'"):
        system.check_scene(arrays | {"user_position": np.zeros((3, 3, 3), complex)})


@every_kind
def test_files(case: str, tmp_path: Path) -> None:
    """Saved with the parameters, loaded to the same scene, bit by bit; bare files too."""
    system = small(case)
    scene = system.sample(np.random.default_rng(0), 4, csi_error=0.1)
    ris_gym.save_scenes(tmp_path / "scenes.npz", system, scene)
    again, loaded = ris_gym.load_scenes(tmp_path / "scenes.npz")
    assert again == system
    ours, theirs = dict(scene.items()), dict(loaded.items())
    assert ours.keys() == theirs.keys()
    for name, a in ours.items():
        assert a.dtype == theirs[name].dtype
        assert np.allclose(a, theirs[name], rtol=1e-10, atol=1e-12 if name.startswith("reference") else 0), name
    np.savez(tmp_path / "bare.npz", **bare(system, scene))
    _, plain = ris_gym.load_scenes(tmp_path / "bare.npz", system)
    assert np.array_equal(plain.bs_ris, scene.bs_ris) and plain.user_position is None
    with pytest.raises(ValueError, match="bs_ris"):
        ris_gym.load_scenes(tmp_path / "bare.npz", small(case, num_antennas=7))


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_precision_of_samples(dtype: str) -> None:
    system = small()
    scene = system.sample(np.random.default_rng(0), 2, dtype=dtype)
    real = "float32" if dtype == "complex64" else "float64"
    assert {array.dtype.name for _, array in scene.items()} == {dtype, real}
    with pytest.raises(ValueError, match="dtype must"):
        system.sample(np.random.default_rng(0), 2, dtype="complex256")
    with pytest.raises((TypeError, ValueError), match="csi_error must"):
        system.sample(np.random.default_rng(0), 2, csi_error=-0.1)
