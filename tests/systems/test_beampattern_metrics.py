"""Metrics of `beampattern` against the signal model: Monte Carlo of the transmitted signals, and explicit quadratic forms."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from ris_gym.systems import Beampattern
from ris_gym.systems.beampattern import BeampatternDesign, BeampatternMetrics, BeampatternScene

SMALL: dict[str, Any] = {"num_antennas": 4, "num_elements": 6}
CASES = [
    {"num_users": 1, "angles_deg": (10.0,), "num_sensing_beams": 0},
    {"num_users": 1, "num_sensing_beams": 2},
    {"num_users": 1, "num_sensing_beams": 1, "cancel_sensing": False},
    {"num_users": 2, "angles_deg": (-20.0, 40.0), "num_sensing_beams": 3, "sinr_threshold_db": (8.0, 12.0)},
    {"num_users": 3, "num_sensing_beams": 2, "cancel_sensing": False, "user_radius_m": 5.0, "sinr_threshold_db": 3},
    {"num_users": 3, "num_sensing_beams": 0, "spacing": 0.4, "los_bs_ris": True, "sinr_threshold_db": 0.0},
]


def names(case: dict[str, Any]) -> str:
    return ",".join(f"{key}={value}" for key, value in case.items())


def setting(case: dict[str, Any], batch: int = 5, seed: int = 0) -> tuple[Beampattern, BeampatternScene, BeampatternDesign]:
    """A small system, scenes and random designs."""
    system = Beampattern(**SMALL, **case)
    rng = np.random.default_rng(seed)
    scene = system.sample(rng, batch)
    n = sum(v.size for v in system.variables())
    return system, scene, system.decode(scene, rng.uniform(-1, 1, (batch, n)))


def linear(db: np.ndarray) -> np.ndarray:
    return 10.0 ** (db / 10.0)


def gains_w(metrics: BeampatternMetrics) -> np.ndarray:
    return linear(metrics.gains_dbm - 30.0)


every_case = pytest.mark.parametrize("case", CASES, ids=names)


@every_case
def test_monte_carlo_of_the_signals(case: dict[str, Any]) -> None:
    """`x = sum_k w_k s_k + x_r` through surface and direct path; powers as sample means, cross terms and all."""
    system, scene, design = setting(case, batch=1)
    rng = np.random.default_rng(1)
    users, samples = system.num_users, 400_000

    def normals(rows: int) -> np.ndarray:
        return (rng.standard_normal((rows, samples)) + 1j * rng.standard_normal((rows, samples))) / np.sqrt(2.0)

    s, noise = normals(users), np.sqrt(system.noise_w) * normals(users)
    sensing = design.sensing_beams[0] @ normals(design.sensing_beams.shape[-1])
    x = design.beams[0] @ s + sensing
    phi = np.diag(design.coefficients[0])
    metrics = system.evaluate(scene, design)
    for angle, expected in zip(system.angles_deg, gains_w(metrics)[0], strict=True):
        a = np.exp(2j * np.pi * system.spacing * np.arange(system.num_elements) * np.sin(np.deg2rad(angle)))
        assert np.mean(np.abs(a.conj() @ phi @ scene.bs_ris[0] @ x) ** 2) == pytest.approx(expected, rel=0.01)
    for k in range(users):
        row = scene.ris_user[0, k].conj() @ phi @ scene.bs_ris[0] + scene.bs_user[0, k].conj()
        wanted = (row @ design.beams[0, :, k]) * s[k]
        received = row @ x + noise[k] - (row @ sensing if system.cancel_sensing else 0.0)
        sinr = np.mean(np.abs(wanted) ** 2) / np.mean(np.abs(received - wanted) ** 2)
        assert sinr == pytest.approx(linear(metrics.sinr_db)[0, k], rel=0.01)
        assert metrics.rate[0, k] == pytest.approx(np.log2(1 + linear(metrics.sinr_db)[0, k]), rel=1e-9)
    assert np.mean(np.sum(np.abs(x) ** 2, axis=0)) == pytest.approx(metrics.power_w[0], rel=0.01)


@every_case
def test_quadratic_forms(case: dict[str, Any]) -> None:
    """`p_l = v^H Q_l v` and `h_k^H X h_k = vbar^H (B_k X B_k^H)^* vbar`, with every conjugate of the page."""
    system, scene, design = setting(case)
    metrics = system.evaluate(scene, design)
    for b in range(len(scene)):
        g, v, w = scene.bs_ris[b], design.coefficients[b], design.beams[b]
        r0 = design.sensing_cov[b]
        assert np.allclose(r0, r0.conj().T) and np.linalg.eigvalsh(r0).min() > -1e-12
        r = w @ w.conj().T + r0
        for l, a in enumerate(system.steering):
            q = np.diag(a) @ (g @ r @ g.conj().T).conj() @ np.diag(a).conj().T
            gain = (v.conj() @ q @ v).real
            row = a.conj() @ np.diag(v) @ g
            assert gain == pytest.approx((row @ r @ row.conj()).real, rel=1e-10)
            assert gains_w(metrics)[b, l] == pytest.approx(gain, rel=1e-10)
        vbar = np.append(v, 1.0)
        for k in range(system.num_users):
            lifted = np.vstack([np.diag(scene.ris_user[b, k].conj()) @ g, scene.bs_user[b, k].conj()[None]])

            def form(x: np.ndarray, lifted: np.ndarray = lifted, vbar: np.ndarray = vbar) -> float:
                return float((vbar.conj() @ (lifted @ x @ lifted.conj().T).conj() @ vbar).real)

            power = [form(np.outer(w[:, j], w[:, j].conj())) for j in range(system.num_users)]
            disturbing = sum(power) - power[k] + (0.0 if system.cancel_sensing else form(r0)) + system.noise_w
            assert linear(metrics.sinr_db)[b, k] == pytest.approx(power[k] / disturbing, rel=1e-9)


@every_case
def test_definitions(case: dict[str, Any]) -> None:
    system, scene, design = setting(case, batch=50)
    metrics = system.evaluate(scene, design)
    rho = 10.0 ** (-1.5) * np.hypot(40.0, 10.0) ** -1.1
    reference = system.power_w * rho**2 * system.num_elements**2 * system.num_antennas / len(system.angles_deg)
    assert system.reference_gain_w == pytest.approx(reference, rel=1e-12)
    reference_dbm = 10 * np.log10(reference) + 30
    assert np.allclose(metrics.objective, metrics.gains_dbm.min(axis=1), atol=1e-12)
    assert np.allclose(metrics.score, (metrics.objective - reference_dbm) / 10.0, atol=1e-12)
    margins = metrics.margins["sinr"]
    assert np.all(margins >= -40.0) and np.allclose(metrics.sinr_db - margins, system.thresholds_db, atol=1e-9)
    assert np.allclose(metrics.cost, np.maximum(0.0, -margins).sum(axis=1) / 10.0, atol=1e-12)
    assert np.array_equal(metrics.feasible, np.all(margins >= -1e-3, axis=1))
    assert np.allclose(metrics.power_w, system.power_w, rtol=1e-12)
    score, slack = system.pieces(metrics)
    assert np.allclose(score.min(axis=1), metrics.score) and np.allclose(np.maximum(0, -slack).sum(axis=1), metrics.cost)
    assert np.allclose(system.penalised(metrics, 2.0), metrics.score - 2.0 * metrics.cost)


def test_default_reference_is_the_pages() -> None:
    system = Beampattern()
    assert 10 * np.log10(system.reference_gain_w) + 30 == pytest.approx(-3.4, abs=0.05)
    assert Beampattern.from_preset("sectors").num_sensing_beams == 4 and len(Beampattern.from_preset("sectors").angles_deg) == 25


@every_case
def test_numpy_equals_torch(case: dict[str, Any]) -> None:
    system, scene, design = setting(case, batch=20)
    ours = dict(system.evaluate(scene, design).items())
    theirs = dict(system.evaluate(scene.to_torch(), design.to_torch()).to_numpy().items())
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        assert np.allclose(theirs[name], array, rtol=1e-10, atol=1e-10), name
        assert theirs[name].dtype == array.dtype, name


@every_case
def test_single_precision(case: dict[str, Any]) -> None:
    system, scene, design = setting(case, batch=20)
    double = dict(system.evaluate(scene, design).items())
    single = dict(system.evaluate(scene.astype("complex64"), design.astype("complex64")).items())
    for name, array in double.items():
        if name == "feasible":
            continue
        assert single[name].dtype == np.float32, name
        assert np.allclose(single[name], array, rtol=1e-4, atol=1e-4), name


@every_case
def test_batch_is_scene_by_scene(case: dict[str, Any]) -> None:
    system, scene, design = setting(case)
    whole = dict(system.evaluate(scene, design).items())
    for b in range(len(scene)):
        for name, array in system.evaluate(scene[b], design[b]).items():
            assert np.allclose(array[0], whole[name][b], rtol=1e-12, atol=1e-12), name


@every_case
def test_common_phase_of_the_surface(case: dict[str, Any]) -> None:
    """Leaves all gains; the SINR changes, because of the direct path."""
    system, scene, design = setting(case)
    turned = system.evaluate(scene, design.replace(coefficients=design.coefficients * np.exp(1j)))
    before = system.evaluate(scene, design)
    assert np.allclose(turned.gains_dbm, before.gains_dbm, atol=1e-10)
    assert not np.allclose(turned.sinr_db, before.sinr_db, atol=1e-3)


@every_case
def test_unitary_mixing_of_the_columns(case: dict[str, Any]) -> None:
    """Leaves R, hence gains and power; a common phase of one column leaves everything."""
    system, scene, design = setting(case)
    rng = np.random.default_rng(2)
    columns = design.all_beams.shape[-1]
    unitary, _ = np.linalg.qr(rng.standard_normal((columns, columns)) + 1j * rng.standard_normal((columns, columns)))
    mixed = design.all_beams @ unitary
    k = system.num_users
    after = system.evaluate(scene, design.replace(beams=mixed[..., :k], sensing_beams=mixed[..., k:]))
    before = system.evaluate(scene, design)
    assert np.allclose(after.gains_dbm, before.gains_dbm, atol=1e-9) and np.allclose(after.power_w, before.power_w)
    turn = np.exp(1j * rng.uniform(0, 6, k))
    after = system.evaluate(scene, design.replace(beams=design.beams * turn))
    assert np.allclose(after.sinr_db, before.sinr_db, atol=1e-9) and np.allclose(after.gains_dbm, before.gains_dbm, atol=1e-9)


def test_scaling() -> None:
    """Doubling P at fixed Gamma / P: 3.01 dB of gain and the same margins; doubling N: about 6 dB for the aligned design."""
    system, scene, design = setting({"num_users": 2})
    twice = 10 * np.log10(2)
    more = dataclasses.replace(system, power_dbm=system.power_dbm + twice, noise_dbm=system.noise_dbm + twice)
    doubled = more.evaluate(scene, more.project(scene, design))
    before = system.evaluate(scene, design)
    assert np.allclose(doubled.objective - before.objective, 10 * np.log10(2), atol=1e-9)
    assert np.allclose(doubled.margins["sinr"], before.margins["sinr"], atol=1e-9) and np.allclose(doubled.score, before.score)

    gains = []
    for n in (16, 32, 64):
        one = Beampattern(num_elements=n, angles_deg=(20.0,), rician_db=300.0, num_sensing_beams=0)
        scene = one.sample(np.random.default_rng(0), 1)
        beam = scene.bs_ris[:, 0].conj()[..., None]
        v = one.steering * np.exp(-1j * np.angle(scene.bs_ris @ beam)[..., 0])
        best = one.project(scene, BeampatternDesign(beams=beam, sensing_beams=beam[..., :0], coefficients=v))
        gains.append(one.evaluate(scene, best).objective[0])
        rho = one.path_amplitudes["bs_ris"]
        assert gains[-1] == pytest.approx(10 * np.log10(one.power_w * rho**2 * n**2 * one.num_antennas) + 30, abs=1e-9)
        assert one.evaluate(scene, best).score[0] == pytest.approx(0.0, abs=1e-9)
    assert np.allclose(np.diff(gains), 20 * np.log10(2), atol=1e-9)


def test_cancelling_is_irrelevant_when_nothing_reaches_the_user() -> None:
    system, scene, design = setting({"num_sensing_beams": 2}, batch=20)
    matched = system.repair(scene, design)
    hearing = dataclasses.replace(system, cancel_sensing=False)
    canceled, heard = system.evaluate(scene, matched), hearing.evaluate(scene, matched)
    assert np.allclose(canceled.sinr_db, heard.sinr_db, atol=1e-6)


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("users", [1, 2])
def test_all_zero_beams(users: int, dtype: str, backend: str) -> None:
    system = Beampattern(num_users=users)
    scene = system.sample(np.random.default_rng(0), 3, dtype=dtype)
    raw = np.zeros((3, sum(v.size for v in system.variables())), scene.bs_ris.real.dtype)
    design = system.decode(scene, raw)
    if backend == "torch":
        scene, design = scene.to_torch(), design.to_torch()
    metrics = system.evaluate(scene, design).to_numpy()
    for name, array in metrics.items():
        assert np.all(np.isfinite(array)), name
    assert np.allclose(metrics.score, -6.0, atol=1e-5)
    assert np.allclose(metrics.gains_dbm, 10 * np.log10(system.reference_gain_w) + 30 - 60, atol=1e-4)
    assert np.all(metrics.margins["sinr"] == -40.0) and np.allclose(metrics.cost, 4.0 * users) and not metrics.feasible.any()
    assert np.all(metrics.power_w == 0.0)


def test_beampattern_over_angles() -> None:
    system, scene, design = setting({"num_users": 2})
    metrics = system.evaluate(scene, design)
    assert np.allclose(system.beampattern_dbm(scene, design, np.asarray(system.angles_deg)), metrics.gains_dbm, atol=1e-9)
    grid = np.linspace(-90, 90, 361)
    pattern = system.beampattern_dbm(scene, design, grid)
    assert pattern.shape == (len(scene), 361) and np.isfinite(pattern).all()
    # half-wavelength elements: averaging over u = sin(theta) gives sum_n of each element's power (Parseval)
    u = np.linspace(-1, 1, 4097)[:-1]
    mean = linear(system.beampattern_dbm(scene, design, np.rad2deg(np.arcsin(u))) - 30).mean(axis=1)
    elements = np.sum(np.abs(scene.bs_ris @ design.all_beams) ** 2, axis=(1, 2))
    assert np.allclose(mean, elements, rtol=1e-6)
    floor = system.reference_dbm(scene) - 60.0
    zero = design.replace(beams=0 * design.beams, sensing_beams=0 * design.sensing_beams)
    assert np.allclose(system.beampattern_dbm(scene, zero, grid), floor, atol=1e-9)


def test_any_number_of_sensing_columns() -> None:
    """Splitting a sensing beam into two parallel halves changes nothing."""
    system, scene, design = setting({"num_sensing_beams": 1, "cancel_sensing": False})
    halves = np.concatenate([design.sensing_beams, design.sensing_beams], axis=-1) / np.sqrt(2.0)
    one, two = system.evaluate(scene, design), system.evaluate(scene, design.replace(sensing_beams=halves))
    assert np.allclose(one.gains_dbm, two.gains_dbm) and np.allclose(one.sinr_db, two.sinr_db)
