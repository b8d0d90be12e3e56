"""Scenes and parameters of `active_crb`: statistics, fading, knowledge, rank rules, files, presets, bad fields."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import active_crb_brute as brute
import numpy as np
import pytest

import ris_gym
from ris_gym import systems
from ris_gym import variables as var
from ris_gym.systems import ActiveCrb

CHANNELS = ("bs_ris", "ris_user", "target_response")
SMALL: dict[str, Any] = {"num_antennas": 4, "num_elements": 3, "num_users": 2}


def make(**fields: Any) -> ActiveCrb:
    system = systems.make("active_crb", **fields)
    assert isinstance(system, ActiveCrb)
    return system


def bare(scene: Any) -> dict[str, np.ndarray]:
    """Channels only, as somebody who measured them has them."""
    return {name: np.array(getattr(scene, name)) for name in CHANNELS}


def steering(n: int, sine: float) -> np.ndarray:
    return np.exp(1j * np.pi * np.arange(n) * sine)


# -- sampled scenes -----------------------------------------------------------------------------------------------------------


def test_channels_of_the_sampler() -> None:
    """Mean, power and Rician factor of G and h_k; both ends' steering vectors with the page's signs."""
    system = make(rician_db=3.0, num_antennas=5, num_elements=4, num_users=2)
    count = 20_000
    scene = system.sample(np.random.default_rng(0), count)
    kappa, gap = 10**0.3, np.hypot(30.0, 10.0)
    power = 1e-3 * gap**-2.2
    line = np.sqrt(power * kappa / (1 + kappa)) * np.outer(steering(4, -30 / gap), steering(5, 30 / gap).conj())
    assert np.allclose(scene.bs_ris_los, line, rtol=1e-12, atol=1e-18)
    assert np.allclose(scene.bs_ris.mean(axis=0), line, atol=5 * np.sqrt(power / (1 + kappa) / count))
    scattered = scene.bs_ris - scene.bs_ris_los
    assert np.mean(np.abs(scattered) ** 2) == pytest.approx(power / (1 + kappa), rel=0.01)
    assert np.abs(np.mean(scattered**2)) < 0.02 * power
    b, ris = 17, np.array([30.0, 10.0])
    for k in range(2):
        away = scene.user_position[b, k] - ris
        d = np.hypot(*away)
        expected = np.sqrt(1e-3 * d**-2.8 * kappa / (1 + kappa)) * steering(4, away[0] / d)
        assert np.allclose(scene.ris_user_los[b, k], expected, rtol=1e-10, atol=1e-18)
    d = np.linalg.norm(scene.user_position - ris, axis=-1)
    weak = (scene.ris_user - scene.ris_user_los) / np.sqrt(1e-3 * d**-2.8 / (1 + kappa))[..., None]
    assert np.mean(np.abs(weak) ** 2) == pytest.approx(1.0, rel=0.01) and np.abs(np.mean(weak**2)) < 0.02
    x, y = scene.user_position[..., 0], scene.user_position[..., 1]
    assert 50 <= x.min() < 50.1 and 69.9 < x.max() <= 70 and -35 <= y.min() < -34.9 and -10.1 < y.max() <= -10
    assert x.mean() == pytest.approx(60.0, abs=0.2) and y.mean() == pytest.approx(-22.5, abs=0.2)


def test_target_response_of_the_sampler() -> None:
    """Symmetric, sum of rank-one terms of the stored scatterers, and the power of the radar equation."""
    system = make(num_antennas=6, num_elements=5, num_users=2, num_scatterers=3, target_rcs_m2=7.0)
    count = 20_000
    scene = system.sample(np.random.default_rng(1), count)
    h = scene.target_response
    assert np.allclose(h, np.swapaxes(h, 1, 2), rtol=0, atol=1e-12 * np.abs(h).max())
    ris = np.array([30.0, 10.0])
    away = scene.scatterer_position - ris
    d = np.linalg.norm(away, axis=-1)
    spread = np.abs(scene.scatterer_position - np.array([35.0, 4.0])).max(axis=(0, 1))
    assert np.all(spread <= (2.25, 1.0)) and np.all(spread > (2.2, 0.98))
    for b in range(5):
        a = np.stack([steering(5, sine) for sine in (away[b, :, 0] / d[b])], axis=1)
        inner = np.linalg.pinv(a) @ h[b] @ np.linalg.pinv(a).T
        assert np.allclose(a @ inner @ a.T, h[b], rtol=0, atol=1e-9 * np.abs(h[b]).max()), "a a^T, not a a^H"
    variance = 1e-3 * 7.0 / (4 * np.pi * 3) * np.sum(d**-4.0, axis=1)
    assert np.mean(np.abs(h) ** 2 / variance[:, None, None]) == pytest.approx(1.0, rel=0.02)
    corner = h[:, 0, 0] / np.sqrt(variance)  # a sum of alpha_q: circular Gaussian given the positions
    assert abs(np.mean(corner)) < 0.02 and abs(np.mean(corner**2)) < 0.03
    assert np.mean(np.abs(corner) ** 4) == pytest.approx(2.0, abs=0.12)


def test_shapes_and_conditions_at_the_defaults() -> None:
    system = make()
    scene = system.sample(np.random.default_rng(0), 200)
    assert scene.bs_ris.shape == (200, 8, 16) and scene.ris_user.shape == (200, 3, 8)
    assert scene.target_response.shape == (200, 8, 8)
    assert scene.user_position.shape == (200, 3, 2) and scene.scatterer_position.shape == (200, 12, 2)
    assert np.linalg.cond(scene.bs_ris).max() < 1e6
    assert set(scene.reference) >= {"lower_bound_db", "basis", "singular", "left", "inverse_diagonal", "rule", "cap"}


def test_the_sampler_draws_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """No sampled G has a condition number above 1e6, however strong the line of sight; hopeless parameters are refused."""
    system = make(num_antennas=3, num_elements=3, num_users=1, rician_db=104.0)
    scene = system.sample(np.random.default_rng(0), 300)
    conditions = np.linalg.cond(scene.bs_ris)
    assert conditions.max() <= 1e6 and np.mean(conditions > 3e5) > 0.1, "the limit was in use"
    assert np.isfinite(scene.reference["lower_bound_db"]).all()
    with pytest.raises(ValueError, match="rician_db must"):
        make(**SMALL, rician_db=250.0).sample(np.random.default_rng(0), 2)


# -- fading -------------------------------------------------------------------------------------------------------------------


def test_fading() -> None:
    """The scattered parts of G and h_k correlate by r and keep their power; H, positions and the line of sight stay."""
    system, count, r = make(**SMALL), 3000, 0.8
    scene = system.sample(np.random.default_rng(0), count)
    design = system.decode(scene, np.zeros((count, var.length(system.variables()))))
    rng = np.random.default_rng(1)
    now = scene
    for block in range(1, 6):
        metrics, now = system.step(now, design, rng, correlation=r)
        for name in ("bs_ris", "ris_user"):
            los, scale = getattr(scene, f"{name}_los"), getattr(scene, f"{name}_scale")
            scale = scale.reshape(*scale.shape, *[1] * (los.ndim - scale.ndim))
            before, after = (getattr(s, name) - los for s in (scene, now))
            assert np.mean(np.abs(after / scale) ** 2) == pytest.approx(1.0, abs=0.03)
            assert np.mean(after * before.conj() / scale**2) == pytest.approx(r**block, abs=0.03)
        for name in ("target_response", "user_position", "scatterer_position", "bs_ris_los", "ris_user_los", "bs_ris_scale"):
            assert np.array_equal(getattr(now, name), getattr(scene, name)), name
        assert len(metrics) == count
    fresh = system.check_scene(bare(now))
    for name, array in now.reference.items():
        if name not in ("basis", "left"):
            assert np.allclose(array, fresh.reference[name], rtol=1e-9), f"{name}: renewed each block"
    still = system.step(scene, design, rng, correlation=1.0)[1]
    assert np.allclose(still.bs_ris, scene.bs_ris, rtol=1e-12) and np.allclose(still.ris_user, scene.ris_user, rtol=1e-12)


def test_estimates_are_renewed_in_fading() -> None:
    system = make(**SMALL, target_response_error=0.2)
    scene = system.sample(np.random.default_rng(0), 20, csi_error=0.1)
    design = system.decode(system.known(scene), np.zeros((20, var.length(system.variables()))))
    after = system.step(scene, design, np.random.default_rng(1), correlation=0.9, csi_error=0.1)[1]
    for name in CHANNELS:
        old, new = (getattr(s, f"{name}_estimate") for s in (scene, after))
        truth = getattr(after, name)
        assert not np.array_equal(old, new)
        error = np.linalg.norm(new - truth) / np.linalg.norm(truth)
        assert error == pytest.approx(0.2 if name == "target_response" else 0.1, rel=0.25)


def test_loaded_scenes_fade_as_all_scattered() -> None:
    system = make(**SMALL)
    scene = system.check_scene(bare(system.sample(np.random.default_rng(0), 400)))
    assert scene.bs_ris_los is None and scene.user_position is None
    design = system.decode(scene, np.zeros((400, var.length(system.variables()))))
    rng = np.random.default_rng(2)
    moved = system.step(scene, design, rng, correlation=0.6)[1]
    for name in ("bs_ris", "ris_user"):
        axes = (1, 2) if name == "bs_ris" else (2,)
        before, after = getattr(scene, name), getattr(moved, name)
        power = np.mean(np.abs(before) ** 2, axis=axes, keepdims=True)
        assert np.mean(after * before.conj() / power) == pytest.approx(0.6, abs=0.03)
        assert np.mean(np.abs(after) ** 2 / power) == pytest.approx(1.0, abs=0.05)
        innovation = (after - 0.6 * before) / np.sqrt(power)
        assert np.mean(np.abs(innovation) ** 2) == pytest.approx(1 - 0.36, abs=0.03)
        assert abs(np.mean(innovation**2)) < 0.03
    assert np.array_equal(moved.target_response, scene.target_response)


# -- knowledge ----------------------------------------------------------------------------------------------------------------


def test_estimates_of_the_channels() -> None:
    """G + err rms(G) CN, h_k + err rms(h_k) CN row by row; H exact unless `target_response_error`."""
    system = make(**SMALL)
    scene = system.sample(np.random.default_rng(0), 2000, csi_error=0.2)
    assert scene.target_response_estimate is None
    for name, axes in (("bs_ris", (1, 2)), ("ris_user", (2,))):
        truth = getattr(scene, name)
        noise = (getattr(scene, f"{name}_estimate") - truth) / np.sqrt(np.mean(np.abs(truth) ** 2, axis=axes, keepdims=True))
        assert np.mean(np.abs(noise) ** 2) == pytest.approx(0.04, rel=0.05) and abs(np.mean(noise**2)) < 0.002
    exact = system.sample(np.random.default_rng(0), 3)
    assert all(getattr(exact, f"{name}_estimate") is None for name in CHANNELS) and system.known(exact) is exact


def test_estimates_of_the_target() -> None:
    """`H + err ||H||_F / N Z`, Z symmetric with CN(0, 1) on and above the diagonal, also without `csi_error`."""
    system = make(**SMALL, target_response_error=0.3)
    scene = system.sample(np.random.default_rng(0), 3000)
    assert scene.bs_ris_estimate is None
    truth, estimate = scene.target_response, scene.target_response_estimate
    z = (estimate - truth) * 3 / (0.3 * np.linalg.norm(truth, axis=(1, 2))[:, None, None])
    assert np.allclose(z, np.swapaxes(z, 1, 2), rtol=0, atol=1e-9)
    upper = z[:, *np.triu_indices(3)]
    assert np.allclose(np.mean(np.abs(upper) ** 2, axis=0), 1.0, atol=0.08) and np.abs(np.mean(upper**2)) < 0.03
    gram = upper.T @ upper.conj() / 3000
    assert np.abs(gram - np.eye(6)).max() < 0.09


def test_known_is_made_of_the_estimates() -> None:
    """Channels, bound, basis, cap and rule of `known` come from the estimates; metrics on the truth from the truth."""
    system = make(**SMALL, target_response_error=0.5, noise_surface_dbm=-60.0, surface_power_dbm=-18.0)
    scene = system.sample(np.random.default_rng(0), 6, csi_error=0.3)
    known = system.known(scene)
    for name in CHANNELS:
        assert np.array_equal(getattr(known, name), getattr(scene, f"{name}_estimate"))
        assert getattr(known, f"{name}_estimate") is None
    assert not np.allclose(known.reference["lower_bound_db"], scene.reference["lower_bound_db"], atol=1e-3)
    for part, holder in ((scene, scene), (known, known)):
        fresh = system.check_scene(bare(part))
        for name in ("lower_bound_db", "singular", "inverse_diagonal", "rule", "cap"):
            assert np.allclose(holder.reference[name], fresh.reference[name], rtol=1e-9), name
    raw = np.random.default_rng(1).uniform(-1, 1, (6, var.length(system.variables())))
    raw[:, var.slices(system.variables())["amplitude"]] = np.linspace(0.7, 1.0, 3)
    design = system.decode(known, raw)
    for b in range(6):
        limit = brute.cap(known.target_response[b], system.noise_surface_w, system.surface_power_w, system.max_amplitude)
        assert np.abs(design.coefficients[b]).max() <= limit * (1 + 1e-9)
        true = brute.cap(scene.target_response[b], system.noise_surface_w, system.surface_power_w, system.max_amplitude)
        projected = system.project(scene, design)
        assert np.abs(projected.coefficients[b]).max() <= true * (1 + 1e-9)
        c = brute.case(system, scene, projected, b)
        assert sum(brute.surface_power(c)) <= system.surface_power_w * (1 + 1e-9)
        found = system.evaluate(scene, projected)
        assert found.objective[b] == pytest.approx(10 * np.log10(brute.crb(c)), abs=1e-8)
        assert found.gap_db[b] == pytest.approx(found.objective[b] - scene.reference["lower_bound_db"][b], abs=1e-9)
        seen = brute.case(system, known, design, b)
        assert system.evaluate(known, design).objective[b] == pytest.approx(10 * np.log10(brute.crb(seen)), abs=1e-8)


def test_estimates_of_given_scenes() -> None:
    """`draw_estimates` adds them to scenes from anywhere; error 0 removes those of the channels."""
    system = make(**SMALL)
    scene = system.check_scene(bare(system.sample(np.random.default_rng(0), 50)))
    noisy = system.draw_estimates(scene, np.random.default_rng(1), 0.1)
    assert noisy.bs_ris_estimate is not None and noisy.target_response_estimate is None
    assert np.array_equal(noisy.bs_ris, scene.bs_ris)
    again = system.draw_estimates(noisy, np.random.default_rng(1), 0.0)
    assert again.bs_ris_estimate is None and again.ris_user_estimate is None


# -- loaded scenes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [{}, {"kind": "passive"}, {"sinr_threshold_db": None}])
def test_bare_channels_do_everything(fields: dict[str, Any]) -> None:
    """Measured channels: sample's metrics, every control, repair, start, observation, one block of fading."""
    system = make(**SMALL, **fields)
    drawn = system.sample(np.random.default_rng(0), 4)
    scene = system.check_scene(bare(drawn))
    for control in system.controls:
        raw = np.random.default_rng(1).uniform(-1, 1, (4, var.length(system.variables(control))))
        ours, theirs = (system.evaluate(s, system.decode(s, raw, control)) for s in (scene, drawn))
        for (name, a), (_, b) in zip(ours.items(), theirs.items(), strict=True):
            assert np.allclose(a, b, rtol=1e-9, atol=1e-9), name
        assert system.start(scene, control).shape == raw.shape
    design = system.decode(scene, np.zeros((4, var.length(system.variables()))))
    assert np.isfinite(system.observe(scene, system.repair(scene, design))).all()
    system.step(scene, design, np.random.default_rng(0))


def test_loaded_scenes_of_low_rank_are_refused() -> None:
    system = make(**SMALL)
    arrays = bare(system.sample(np.random.default_rng(0), 3))
    flat = dict(arrays, bs_ris=arrays["bs_ris"].copy())
    flat["bs_ris"][1, 2] = flat["bs_ris"][1, 0]
    with pytest.raises(ValueError, match=r"array 'bs_ris' must .*1e\+06.*scene 1"):
        system.check_scene(flat)
    left, singular, right = np.linalg.svd(arrays["bs_ris"], full_matrices=False)
    for worst, fine in ((2e6, False), (5e5, True)):
        singular[0] = [1.0, 0.5, 1.0 / worst]
        stretched = dict(arrays, bs_ris=(left * singular[:, None]) @ right)
        if fine:
            assert np.isfinite(system.check_scene(stretched).reference["lower_bound_db"]).all()
        else:
            with pytest.raises(ValueError, match="array 'bs_ris'"):
                system.check_scene(stretched)
    same = dict(arrays, ris_user=arrays["ris_user"].copy())
    same["ris_user"][2, 1] = same["ris_user"][2, 0]
    with pytest.raises(ValueError, match="array 'ris_user' must"):
        system.check_scene(same)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("bs_ris", lambda a: a[:, :, :-1]),
        ("bs_ris", lambda a: np.where(np.arange(4) == 1, np.nan, a)),
        ("ris_user", lambda a: a[:, :1]),
        ("target_response", lambda a: a[:, :, :2]),
        ("target_response", lambda a: a[:1]),
    ],
)
def test_bad_arrays_are_named(name: str, change: Any) -> None:
    system = make(**SMALL)
    arrays = bare(system.sample(np.random.default_rng(0), 3))
    with pytest.raises(ValueError, match=f"array '{name}'"):
        system.check_scene(arrays | {name: change(arrays[name])})
    with pytest.raises(ValueError, match=f"array '{name}'"):
        system.check_scene({key: array for key, array in arrays.items() if key != name})


def test_files(tmp_path: Path) -> None:
    """Saved with the parameters, loaded to the same scene, bit by bit."""
    system = make(**SMALL, target_response_error=0.1)
    scene = system.sample(np.random.default_rng(0), 5, csi_error=0.1)
    path = tmp_path / "scenes.npz"
    ris_gym.save_scenes(path, system, scene)
    again, loaded = ris_gym.load_scenes(path)
    assert again == system
    for (name, a), (other, b) in zip(scene.items(), loaded.items(), strict=True):
        assert name == other and a.dtype == b.dtype
        if name.startswith("reference/"):
            assert np.allclose(a, b, rtol=1e-12), name
        else:
            assert np.array_equal(a, b), name
    np.savez(tmp_path / "bare.npz", **bare(scene))
    _, plain = ris_gym.load_scenes(tmp_path / "bare.npz", system)
    assert np.allclose(plain.reference["lower_bound_db"], scene.reference["lower_bound_db"], atol=1e-10)
    stronger = dataclasses.replace(system, power_dbm=40.0)
    _, other = ris_gym.load_scenes(path, stronger)
    fresh = stronger.check_scene(bare(scene))
    assert np.allclose(other.reference["lower_bound_db"], fresh.reference["lower_bound_db"], atol=1e-10), "of the new power"


# -- parameters ---------------------------------------------------------------------------------------------------------------


def test_defaults_and_presets() -> None:
    values = {
        "num_antennas": 16, "num_elements": 8, "num_users": 3, "num_scatterers": 12, "kind": "active",
        "bs_position_m": (0.0, 0.0), "ris_position_m": (30.0, 10.0), "target_position_m": (35.0, 4.0),
        "target_size_m": (4.5, 2.0), "target_rcs_m2": 10.0, "user_area_m": (50.0, 70.0, -35.0, -10.0),
        "path_loss_1m_db": 30.0, "exponent_bs_ris": 2.2,
        "exponent_ris_user": 2.8, "rician_db": 5.0, "power_dbm": 30.0, "surface_power_dbm": 5.0, "max_gain_db": 30.0,
        "noise_bs_dbm": -90.0, "noise_user_dbm": -90.0, "noise_surface_dbm": -90.0, "num_snapshots": 256,
        "sinr_threshold_db": 12.0, "target_response_error": 0.0,
    }  # fmt: skip
    system = make()
    assert system.to_dict() == {"system": "active_crb"} | {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
    presets = {
        "sensing_only": {"sinr_threshold_db": None},
        "hard": {"sinr_threshold_db": 15.0},
        "surface_limited": {"surface_power_dbm": 0.0},
        "surface_limited_sensing": {"surface_power_dbm": -5.0, "sinr_threshold_db": None},
        "passive": {"kind": "passive", "sinr_threshold_db": None},
        "large": {"num_antennas": 32, "num_elements": 16, "num_users": 4},
    }
    assert set(presets) <= set(ActiveCrb.presets)
    for name, changes in presets.items():
        assert make(preset=name) == dataclasses.replace(system, **changes)
        again = systems.from_dict(make(preset=name).to_dict())
        assert again == make(preset=name)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"num_antennas": 7}, ("num_antennas", "num_elements")),
        ({"num_elements": 17}, ("num_antennas", "num_elements")),
        ({"num_users": 9}, ("num_users", "num_elements")),
    ],
)
def test_sizes_without_rank_are_refused(fields: dict[str, Any], named: tuple[str, ...]) -> None:
    with pytest.raises(ValueError) as caught:
        make(**fields)
    message = str(caught.value)
    assert all(name in message for name in named) and "must" in message
    assert any(str(value) in message for value in fields.values())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "semi"),
        ("kind", 1),
        ("num_scatterers", 0),
        ("num_snapshots", 0),
        ("num_snapshots", 2.5),
        ("user_area_m", (70.0, 50.0, -35.0, -10.0)),
        ("user_area_m", (50.0, 70.0, -10.0, -35.0)),
        ("user_area_m", (0.0, 1.0, 2.0)),
        ("target_size_m", (-1.0, 2.0)),
        ("target_rcs_m2", 0.0),
        ("target_rcs_m2", -1.0),
        ("target_response_error", -0.1),
        ("sinr_threshold_db", (12.0, 12.0)),
        ("sinr_threshold_db", "high"),
        ("sinr_threshold_db", float("nan")),
        ("power_dbm", float("inf")),
        ("max_gain_db", "loud"),
        ("ris_position_m", (30.0,)),
        ("exponent_bs_ris", -1.0),
    ],
)
def test_bad_fields_are_named(field: str, value: Any) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        make(**{field: value})
    assert field in str(caught.value) and "must" in str(caught.value)


def test_coinciding_positions_are_refused() -> None:
    """No path of length 0, no user rectangle or target around the surface."""
    for fields, name in (
        ({"ris_position_m": (0.0, 0.0)}, "ris_position_m"),
        ({"target_position_m": (30.0, 10.0)}, "target_position_m"),
        ({"user_area_m": (20.0, 40.0, 0.0, 20.0)}, "user_area_m"),
    ):
        with pytest.raises(ValueError, match=name):
            make(**fields)


def test_one_threshold_per_user() -> None:
    system = make(sinr_threshold_db=(0.0, 6.0, 12.0))
    assert np.allclose(system.thresholds_db, [0.0, 6.0, 12.0])
    scene = system.sample(np.random.default_rng(0), 3)
    metrics = system.evaluate(scene, system.decode(scene, system.start(scene)))
    assert np.allclose(metrics.margins["sinr"], np.clip(metrics.sinr_db - [0.0, 6.0, 12.0], -40, 40), atol=1e-9)
