"""Scenes of `nonorthogonal`: geometry, symbols, angle errors, knowledge, files, rejected inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nonorthogonal_brute as brute
import numpy as np
import pytest

import ris_gym
from ris_gym import systems

MODELS = ("two_user", "consistent", "mixed", "literal")
PRESETS = ("physical", "theorem1", "paper", "tracking")


def make(**fields: Any) -> Any:
    return systems.make("nonorthogonal", **fields)


def azimuth_deg(position: np.ndarray) -> np.ndarray:
    return np.degrees(np.arctan2(position[..., 1], position[..., 0]))


# -- geometry -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
def test_deterministic_arrays_follow_from_the_positions(preset: str) -> None:
    """Positions, distances, path losses, steering, u: one number at a time."""
    for fields in ({}, {"num_blocks": 2, "surface_spacing_m": 3.0, "surface_shape": (2, 3), "bs_azimuth_deg": 20.0}):
        system = make(preset=preset, **fields)
        scene = system.sample(np.random.default_rng(0), 3)
        for b in range(3):
            user, comm = scene.user_position[b], scene.comm_position[b] if system.two_user else None
            assert np.allclose(user, brute.floor_point(system, azimuth_deg(user)), atol=1e-9)
            if comm is not None:
                assert np.allclose(comm, brute.floor_point(system, azimuth_deg(comm)), atol=1e-9)
            for name, wanted in brute.static_scene(system, user, comm).items():
                found = scene.reference[name][b] if name == "direction" else getattr(scene, name)[b]
                assert np.allclose(np.abs(found) if name.startswith("gain") else found, wanted, rtol=1e-11, atol=1e-12), name


def test_shapes_and_optional_arrays() -> None:
    for preset in PRESETS:
        system = make(preset=preset)
        n, l = system.num_blocks, system.num_elements
        scene = system.sample(np.random.default_rng(0), 4)
        shapes = {
            "spatial_frequency": (n, 2), "incident": (n, l), "gain_bs_ris": (n,), "gain_ris_user": (n,), "symbols": (n, 2),
            "ris_user_distance": (n,), "bs_steering": (n, 8), "bs_position": (3,), "ris_position": (n, 3), "user_position": (3,),
        }  # fmt: skip
        if system.two_user:
            shapes |= {"comm_spatial_frequency": (n, 2), "gain_ris_comm": (n,), "comm_position": (3,)}
        held = {name: array.shape[1:] for name, array in scene.items() if not name.startswith("reference/")}
        assert held == shapes


def test_nominal_geometry_and_noise() -> None:
    """Section 2: distances 30 and 10 m, user at 30 degrees of elevation, 2.5e-12 W at 0 dB, fixed."""
    system = make(surface_spacing_m=0.0)
    scene = system.sample(np.random.default_rng(1), 5)
    assert np.allclose(np.linalg.norm(scene.bs_position - scene.ris_position[:, 0], axis=-1), 30.0)
    assert np.allclose(scene.ris_user_distance, 10.0)
    assert np.allclose(np.arcsin(scene.reference["direction"][..., 2]), np.radians(30.0))
    assert np.all(scene.reference["direction"][..., 0] < 0.0)
    assert system.noise_w == pytest.approx(1e-6 * 30**-2.3 * 10**-2.2, rel=1e-12)
    assert system.noise_w == pytest.approx(2.5e-12, rel=0.02)
    assert system.noise_dbm == pytest.approx(10 * np.log10(system.noise_w * 1e3))
    assert make(snr_db=-20.0).noise_w == pytest.approx(100.0 * system.noise_w, rel=1e-12)
    assert make(surface_spacing_m=4.0, num_blocks=2).noise_w == system.noise_w
    assert np.allclose(system.level(scene), 2.0 * 8.0) and system.power_w == pytest.approx(1.0)
    assert np.allclose(scene.gain_bs_ris.imag**2 + scene.gain_bs_ris.real**2, 1e-3 * 30**-2.3)


def test_azimuths_and_phases_of_the_gains() -> None:
    """Uniform within the limits, independent of each other; presets and fields fix them."""
    system = make(max_azimuth_deg=40.0, num_blocks=2)
    scene = system.sample(np.random.default_rng(2), 6000)
    user, comm = azimuth_deg(scene.user_position), azimuth_deg(scene.comm_position)
    for angle in (user, comm):
        assert 39.5 < angle.max() <= 40.0 and -40.0 <= angle.min() < -39.5
        assert np.histogram(angle, 8, (-40, 40))[0] == pytest.approx(np.full(8, 750), abs=120)
    assert abs(np.corrcoef(user, comm)[0, 1]) < 0.05
    phases = [np.angle(gain[:, i]) for gain in (scene.gain_bs_ris, scene.gain_ris_user, scene.gain_ris_comm) for i in range(2)]
    turned = np.exp(1j * np.array(phases))
    assert np.all(np.abs(turned.mean(axis=1)) < 0.05) and np.all(np.abs((turned**2).mean(axis=1)) < 0.05)
    cross = np.abs(turned @ turned.conj().T) / 6000
    assert np.all(cross[~np.eye(6, dtype=bool)] < 0.05), "independent per link and block"
    for preset, azimuth in (("theorem1", 0.0), ("paper", 0.0)):
        assert np.allclose(azimuth_deg(make(preset=preset).sample(np.random.default_rng(0), 9).user_position), azimuth)
    fixed = make(user_azimuth_deg=30.0, comm_azimuth_deg=-30.0).sample(np.random.default_rng(0), 3)
    assert np.allclose(azimuth_deg(fixed.user_position), 30.0) and np.allclose(azimuth_deg(fixed.comm_position), -30.0)
    assert np.allclose(azimuth_deg(make(preset="tracking").sample(np.random.default_rng(0), 3).comm_position), -30.0)
    assert np.ptp(azimuth_deg(make().sample(np.random.default_rng(0), 50).user_position)) > 90.0


def test_presets_hold_the_page_values() -> None:
    system = make()
    assert (system.model, system.fisher, system.num_blocks, system.num_antennas) == ("two_user", "complex", 1, 8)
    assert (system.surface_shape, system.user_shape, system.num_slots, system.phase_bits) == ((4, 4), (4, 4), 2, 2)
    assert (system.weight, system.snr_db, system.power_dbm, system.symbol_variance) == (0.5, 0.0, 30.0, 1.0)
    assert np.allclose(system.bs_position_m, brute.static_scene(system, np.zeros(3), None)["bs_position"])
    assert np.allclose(system.ris_position_m, [(0.0, -1.0, 5.0)]) and system == make(preset="physical")
    assert np.allclose(make(num_blocks=2).ris_position_m, [(0.0, -1.0, 5.0), (0.0, 1.0, 5.0)])
    theorem, paper, tracking = (make(preset=name) for name in PRESETS[1:])
    assert (theorem.model, theorem.fisher, theorem.surface_spacing_m) == ("consistent", "paper", 0.0)
    assert (paper.model, paper.fisher, paper.surface_spacing_m) == ("mixed", "paper", 0.0)
    assert (tracking.num_blocks, tracking.surface_shape, tracking.snr_db) == (2, (8, 8), -20.0)


# -- products and symbols -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_products_and_constants(model: str) -> None:
    """c_comm, c_sense (and l c_sense, up to the sign of `literal`), D, a, a_C / a, E, X_2."""
    system = make(model=model, num_blocks=2, surface_shape=(3, 2), num_slots=3)
    scene = system.sample(np.random.default_rng(3), 2)
    design = system.decode(scene, system.start(scene))
    reference = scene.reference
    for b in range(2):
        for i in range(2):
            c = brute.block(system, scene, design, b, i)
            comm, sense = brute.products(c, scene.incident[b, i])
            found = reference["products"][b, i]
            assert np.allclose(found[:, 0], comm) and np.allclose(found[:, 1], sense)
            assert found.shape[1] == (2 if model == "two_user" else 4)
            assert np.allclose(reference["jacobian"][b, i], brute.jacobian(c.angles))
            assert np.allclose(reference["factor"][b, i], np.linalg.inv(brute.jacobian(c.angles)).T)
            assert reference["energy"][b, i] == pytest.approx(np.sum(np.abs(c.x) ** 2))
            assert reference["square"][b, i] == pytest.approx(np.sum(c.x**2))
            assert reference["comm_ratio"][b, i] == pytest.approx(abs(c.alpha_comm / c.alpha) ** 2)
            loss = abs(c.alpha * scene.gain_bs_ris[b, i]) ** 2
            assert reference["level"][b, i] == pytest.approx(2.0 * loss / system.noise_w)


def test_symbols() -> None:
    """CN(mu, sigma^2), mean power 1, circular around the mean, independent of block and slot; E[1/E] = 1/(T-1)."""
    for variance in (1.0, 0.36):
        system = make(num_blocks=2, num_slots=5, symbol_variance=variance)
        scene = system.sample(np.random.default_rng(4), 12000)
        x = scene.symbols
        assert x.shape == (12000, 2, 5)
        assert np.allclose(x.mean(axis=0), np.sqrt(1.0 - variance), atol=0.04)
        around = x - np.sqrt(1.0 - variance)
        assert np.mean(np.abs(around) ** 2) == pytest.approx(variance, rel=0.02)
        assert abs(np.mean(around**2)) < 0.02 and np.mean(np.abs(x) ** 2) == pytest.approx(1.0, rel=0.02)
        flat = around.reshape(12000, 10)
        assert np.all(np.abs(flat.T @ flat.conj() / 12000 - variance * np.eye(10)) < 0.05)
        if variance == 1.0:
            assert np.mean(1.0 / scene.reference["energy"]) == pytest.approx(1.0 / 4.0, rel=0.03)


# -- knowledge ----------------------------------------------------------------------------------------------------------------


def test_angle_errors_in_beam_widths() -> None:
    """u + e (2 pi / L_y, 2 pi / L_z) N(0, I): zero mean, independent per user, block and axis; scaled back where invisible."""
    system = make(num_blocks=2, surface_shape=(8, 4), max_azimuth_deg=20.0, bs_azimuth_deg=0.0)
    scene = system.sample(np.random.default_rng(5), 8000, csi_error=0.05)
    pairs = [(scene.spatial_frequency, scene.spatial_frequency_estimate)]
    pairs.append((scene.comm_spatial_frequency, scene.comm_spatial_frequency_estimate))
    errors = np.concatenate([(guess - truth) / (2 * np.pi / np.array([8, 4])) for truth, guess in pairs], axis=1).reshape(8000, 8)
    assert np.allclose(errors.mean(axis=0), 0.0, atol=0.003)
    assert np.allclose(errors.T @ errors / 8000, 0.05**2 * np.eye(8), atol=2e-4)
    wild = system.sample(np.random.default_rng(5), 4000, csi_error=1.5).spatial_frequency_estimate / np.pi
    size = np.sum(wild**2, axis=-1)
    assert size.max() == pytest.approx(0.99, abs=1e-12) and np.mean(size > 0.98999) > 0.05


@pytest.mark.parametrize("model", MODELS)
def test_known_with_angle_errors_holds_nothing_of_the_truth(model: str) -> None:
    """Another truth behind the same estimates: the same knowledge, the same observations and decisions."""
    system = make(model=model, num_blocks=2, objective_form="constrained")
    scene = system.sample(np.random.default_rng(6), 3, csi_error=0.2)
    known = system.known(scene)
    assert known.user_position is None and known.comm_position is None
    assert np.array_equal(known.spatial_frequency, scene.spatial_frequency_estimate)
    for name in ("gain_bs_ris", "gain_ris_user", "incident", "bs_steering", "symbols", "gain_ris_comm"):
        assert getattr(known, name) is getattr(scene, name), name
    arrays = {name: array for name, array in scene.items() if not name.startswith("reference/")}
    other = dict(arrays)
    for name in ("spatial_frequency", "comm_spatial_frequency"):
        if name in other:
            other[name] = other[name] * [0.3, -0.7] + 0.1
    for name in ("user_position", "comm_position"):
        if name in other:
            other[name] = other[name] + 1.0
    twin, again = system.check_scene(other), system.check_scene(arrays)
    ours, theirs = (dict(system.known(s).items()) for s in (again, twin))
    assert ours.keys() == theirs.keys() and all(np.array_equal(ours[name], theirs[name]) for name in ours)
    design = system.decode(known, system.start(known))
    assert np.any(system.evaluate(again, design).crlb_angle != system.evaluate(twin, design).crlb_angle)
    # constants of what is known follow from the estimates
    believed = {k: v for k, v in dict(known.items()).items() if not k.startswith("reference/")}
    rebuilt = system.check_scene({k: v for k, v in believed.items() if not k.endswith("_position")})
    for name, value in rebuilt.reference.items():
        assert np.allclose(known.reference[name], value, rtol=1e-12), name


def test_statistical_knowledge_hides_the_symbols() -> None:
    system = make(design_symbols="statistical", symbol_variance=0.51, num_slots=4, num_blocks=2)
    scene = system.sample(np.random.default_rng(7), 3)
    known = system.known(scene)
    assert known.symbols is None
    assert np.allclose(known.reference["energy"], 4.0) and np.allclose(known.reference["square"], 4.0 * 0.49)
    other = system.known(system.check_scene(dict(scene.items()) | {"symbols": scene.symbols * 2j}))
    for name, value in known.items():
        assert np.array_equal(value, dict(other.items())[name]), name
    raw = np.random.default_rng(0).uniform(-1, 1, (3, 32))
    assert np.array_equal(system.observe(known, system.decode(known, raw)), system.observe(other, system.decode(other, raw)))


# -- features -----------------------------------------------------------------------------------------------------------------


def numbers(features: dict[str, np.ndarray], b: int) -> list[float]:
    return sorted(np.concatenate([np.ravel(value[b]) for value in features.values()]).tolist())


@pytest.mark.parametrize("model", MODELS)
def test_features(model: str) -> None:
    """Section 12, as a set of numbers: the order within is the system's own."""
    system = make(model=model, num_blocks=2, surface_shape=(2, 3), num_slots=3, weight=0.3, snr_db=7.0)
    scene = system.sample(np.random.default_rng(8), 2)
    raw = np.random.default_rng(1).uniform(-1, 1, (2, 12))
    design = system.decode(scene, raw)
    metrics = system.evaluate(scene, design)
    found, current = system.observe_scene(scene), system.observe_design(scene, design, metrics)
    for b in range(2):
        wanted, of_design = [0.3, 0.7], list[float]()
        for i in range(2):
            c = brute.block(system, scene, design, b, i)
            comm, sense = brute.products(c, scene.incident[b, i])
            e, x2 = np.sum(np.abs(c.x) ** 2), np.sum(c.x**2)
            level = 2.0 * abs(scene.gain_bs_ris[b, i] * c.alpha) ** 2 / c.noise / (2.0 * system.snr)
            for v in (sense, comm):
                wanted += [*np.cos(np.angle(v)), *np.sin(np.angle(v))]
            wanted += [*(brute.jacobian(c.angles) / np.pi).ravel(), e / 3, (x2 / e).real, (x2 / e).imag]
            wanted += [np.log10(level), np.log10(abs(c.alpha_comm / c.alpha) ** 2)]
            g1, g2 = np.sum(c.xi * comm), np.sum(c.xi * sense)
            l = np.array(c.elements) * (-1 if model == "literal" else 1)
            m = (np.array(system.user_shape) - 1) / 2
            r = (m * g2 - (c.xi * sense) @ l) * np.exp(-1j * np.angle(g1)) / 6**1.5
            of_design += [*c.xi.real, *c.xi.imag, abs(g1) / 6, abs(g2) / 6]
            of_design += [] if model == "two_user" else [*r.real, *r.imag]  # r = 0 there
        assert np.allclose(numbers(found, b), sorted(wanted), atol=1e-9)
        assert np.allclose(numbers(current, b), sorted(of_design), atol=1e-9)


# -- files and rejected inputs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tracking", [False, True])
def test_files_round_trip(tmp_path: Path, tracking: bool) -> None:
    fields: dict[str, Any] = {"preset": "tracking", "num_frames": 3, "measurement": "ml"} if tracking else {"num_blocks": 2}
    system = make(**fields)
    rng = np.random.default_rng(9)
    scene = system.sample_tracking(rng, 3) if tracking else system.sample(rng, 3, csi_error=0.1)
    ris_gym.save_scenes(tmp_path / "s.npz", system, scene)
    read, loaded = ris_gym.load_scenes(tmp_path / "s.npz")
    assert read == system
    ours, theirs = dict(scene.items()), dict(loaded.items())
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[k], theirs[k]) and ours[k].dtype == theirs[k].dtype for k in ours)


def test_measured_scenes() -> None:
    """Without positions, beams' steering and symbols: the needed arrays of section 2 suffice for both blocks."""
    system = make(num_blocks=2)
    scene = system.sample(np.random.default_rng(10), 3)
    needed = (
        "spatial_frequency", "comm_spatial_frequency", "incident", "gain_bs_ris", "gain_ris_user", "gain_ris_comm",
        "ris_user_distance",
    )  # fmt: skip
    bare = {name: getattr(scene, name) for name in needed}
    loaded = system.check_scene(bare)
    assert np.allclose(loaded.bs_steering, scene.bs_steering)
    assert np.allclose(loaded.reference["energy"], 2.0) and np.allclose(loaded.reference["square"], 0.0)
    loaded = system.check_scene(bare | {"symbols": scene.symbols})
    design = system.decode(loaded, system.start(loaded))
    ours, theirs = system.evaluate(loaded, design), system.evaluate(scene, design)
    assert all(np.allclose(value, dict(theirs.items())[name], rtol=1e-12) for name, value in ours.items())
    assert np.isfinite(system.observe(loaded, design)).all()
    for name in needed:
        with pytest.raises(ValueError, match=f"array '{name}'"):
            system.check_scene({k: v for k, v in bare.items() if k != name})


def changed(array: np.ndarray, value: Any) -> np.ndarray:
    out = np.array(array)
    out.reshape(len(out), -1)[1, 0] = value
    return out


STATIC: dict[str, Any] = {
    "incident": 0.0, "gain_bs_ris": 0.0, "gain_ris_user": 0.0, "gain_ris_comm": 0.0, "ris_user_distance": -1.0,
    "spatial_frequency": 3.2, "comm_spatial_frequency": -3.2, "symbols": np.nan, "user_position": np.inf,
}  # fmt: skip


@pytest.mark.parametrize("name", STATIC)
def test_rejected_arrays(name: str) -> None:
    """Zero, invisible or not finite; wrong shape; complex where real."""
    system = make(num_blocks=2)
    scene = dict(system.sample(np.random.default_rng(0), 3).items())
    with pytest.raises(ValueError, match=f"array '{name}'"):
        system.check_scene(scene | {name: changed(scene[name], STATIC[name])})
    with pytest.raises(ValueError, match=f"array '{name}' must have shape"):
        system.check_scene(scene | {name: scene[name][:, :1]})
    if scene[name].dtype.kind == "f":
        with pytest.raises(ValueError, match=f"array '{name}' must be real"):
            system.check_scene(scene | {name: scene[name] + 0j})


def test_rejected_groups() -> None:
    system = make()
    scene = dict(system.sample(np.random.default_rng(0), 2, csi_error=0.1).items())
    for name in ("user_position", "bs_position", "spatial_frequency_estimate"):
        with pytest.raises(ValueError, match="must be given all or none"):
            system.check_scene({k: v for k, v in scene.items() if k != name})
    with pytest.raises(ValueError, match="array 'symbols'"):
        system.check_scene(scene | {"symbols": np.zeros_like(scene["symbols"])})
    single = make(model="consistent")
    with pytest.raises(ValueError, match="array 'comm_spatial_frequency'"):
        single.check_scene({k: v for k, v in scene.items() if k not in ("gain_ris_comm", "comm_position")})
    moving = make(preset="tracking", num_frames=4)
    held = dict(moving.sample_tracking(np.random.default_rng(0), 2).items())
    for name in ("velocity", "belief_mean", "belief_cov", "motion_noise", "measurement_noise", "symbols_ahead", "frame"):
        with pytest.raises(ValueError, match=name):
            moving.check_scene({k: v for k, v in held.items() if k != name})
    for value in (-1, 5, 1.5):  # 4: after the last decision
        with pytest.raises(ValueError, match="array 'frame'"):
            moving.check_scene(held | {"frame": np.array([0.0, value])})
    places = {k: v for k, v in held.items() if not k.endswith("_position")}
    with pytest.raises(ValueError, match="user_position"):
        moving.check_scene(places)
    with pytest.raises(ValueError, match="array 'belief_cov'"):
        moving.check_scene(held | {"belief_cov": -held["belief_cov"]})
    received = make(preset="tracking", num_frames=4, measurement="ml")
    held = dict(received.sample_tracking(np.random.default_rng(0), 2).items())
    with pytest.raises(ValueError, match="array 'receiver_seed'"):
        received.check_scene(held | {"receiver_seed": -held["receiver_seed"]})


BAD = {
    "model": "physical", "fisher": "bayes", "objective_form": "rate", "design_symbols": "mean", "measurement": "exact",
    "angle_bound_factor": 0.9, "num_blocks": 3, "num_antennas": 0, "surface_shape": (4, 0), "user_shape": (1, 4),
    "power_dbm": np.nan, "snr_db": np.inf, "num_slots": 0, "weight": 1.01, "phase_bits": 0, "symbol_variance": 1.2,
    "bs_height_m": np.nan, "ris_height_m": 11.0, "bs_ris_distance_m": 4.9, "ris_user_distance_m": 5.0,
    "path_loss_1m_db": np.nan, "exponent_bs_ris": -1.0, "exponent_ris_user": -0.1, "bs_azimuth_deg": 90.0,
    "user_azimuth_deg": -90.0, "comm_azimuth_deg": 85.0, "max_azimuth_deg": -1.0, "surface_spacing_m": -1.0,
    "block_time_s": 0.0, "speed_mps": -1.0, "speed_correlation": 1.1, "initial_std_m": 0.0, "min_range_m": 20.0,
    "max_range_m": 5.0, "num_frames": 1,
}  # fmt: skip


@pytest.mark.parametrize("field", BAD)
def test_rejected_parameters(field: str) -> None:
    """One value per field; the message names the field (heights break the rule of the distances)."""
    named = {"ris_height_m": "ris_user_distance_m", "max_range_m": "min_range_m"}.get(field, field)
    with pytest.raises(ValueError, match=named):
        make(**{field: BAD[field]})


def test_rejected_combinations() -> None:
    one = {"model": "consistent", "fisher": "paper"}
    others: list[dict[str, Any]] = [
        {"symbol_variance": 0.0}, {"weight": -0.1}, {"surface_spacing_m": 20.0}, {"surface_shape": (4, 4, 4)},
        {"user_shape": (1, 4), "surface_shape": (1, 4), **one}, {"num_slots": 1, "user_shape": (1, 1), **one},
        {"user_shape": (4, 1), "model": "consistent"}, {"user_shape": (4, 1), "fisher": "paper"},
    ]  # fmt: skip
    for fields in others:
        with pytest.raises(ValueError, match=next(iter(fields))):
            make(**fields)
    make(user_shape=(1, 4), num_slots=1, **one)


def test_rejected_calls() -> None:
    """Tracking needs two blocks at two places; angle errors and static scenes do not fit it."""
    rng = np.random.default_rng(0)
    for fields in ({}, {"num_blocks": 2, "surface_spacing_m": 0.0}):
        with pytest.raises(ValueError, match="tracking needs num_blocks=2"):
            make(**fields).sample_tracking(rng)
    one_row = make(model="consistent", fisher="paper", num_blocks=2, user_shape=(1, 4))
    with pytest.raises(ValueError, match="user_shape"):
        one_row.sample_tracking(rng)
    with pytest.raises(ValueError, match="csi_error"):
        make(preset="tracking").sample_tracking(rng, csi_error=0.1)
    with pytest.raises(ValueError, match="control must be one of"):
        make().variables("structured")
