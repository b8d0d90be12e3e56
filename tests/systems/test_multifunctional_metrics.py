"""Metrics of `multifunctional` against the signal model: Monte Carlo of every hop, explicit covariances, filters, edges."""

from __future__ import annotations

import dataclasses
from typing import Any

import multifunctional_brute as brute
import multifunctional_rules as rules
import numpy as np
import pytest
from multifunctional_designs import (
    BATCH,
    CASES,
    KINDS,
    every_case,
    every_kind,
    extreme,
    random_design,
    setting,
    synthetic,
    uniform,
)

from ris_gym import systems
from ris_gym.systems.multifunctional.records import MultiFunctionalDesign, MultiFunctionalMetrics

SAMPLES = 40_000


def slots(system: Any) -> tuple[int | None, int | None]:
    """The slot that serves each side (None: no slots)."""
    return (0, 1) if rules.traits(system)[0] == "ts" else (None, None)


def shares(system: Any, design: Any, b: int) -> np.ndarray:
    """lambda_i, or ones."""
    if design.time_fraction is None:
        return np.ones(2)
    return np.array([design.time_fraction[b], 1.0 - design.time_fraction[b]])


def form_of(system: Any) -> str:
    """The objective in use."""
    if system.objective_form != "auto":
        return str(system.objective_form)
    return "log" if system.kind == "mf" else "db"


def any_filter(c: brute.Case) -> np.ndarray:
    """A filter that knows nothing."""
    return brute.normals(np.random.default_rng(8), c.receivers)


# -- the brute-force forms against each other ---------------------------------------------------------------------------------


@every_kind
def test_explicit_forms_agree(case: str) -> None:
    """The pencil of LAPACK and the Cholesky form; one target: `|alpha|^2 ||x||^2 b^H Q^-1 b` (page, section 4)."""
    system, scene = synthetic(case)
    design = random_design(system, batch=2)
    for i, slot in enumerate(slots(system)):
        c = brute.case(system, scene, design, 0, slot)
        gamma, u = brute.lemma1(c, i)
        r, q = brute.covariances(c, i)
        assert gamma == pytest.approx(brute.echo_sinr(c, i), rel=1e-10)
        assert brute.quotient(u, r, q) == pytest.approx(gamma, rel=1e-10)
        if case in ("es", "ms", "ts") and i == 0:  # one target on side r
            assert c.b is not None
            (l,) = c.targets(0)
            x = (c.a[l].conj() * c.theta[0]) @ c.h @ c.w
            closed = abs(c.alpha[l]) ** 2 * np.linalg.norm(x) ** 2 * (c.b[l].conj() @ np.linalg.solve(q, c.b[l])).real
            assert gamma == pytest.approx(closed / c.noise_sensor, rel=1e-10)


# -- the metrics --------------------------------------------------------------------------------------------------------------


def compare(system: Any, scene: Any, design: Any, tol: float = 1e-9) -> None:
    """Every metric is the explicit one."""
    found = system.evaluate(scene, design)
    assert isinstance(found, MultiFunctionalMetrics)
    for b in range(len(scene)):
        wanted = brute.metrics(system, scene, design, b)
        for name in ("echo_sinr_db", "sum_sinr_db", "mean_sinr_db", "min_sinr_db", "objective", "score", "cost"):
            assert np.allclose(getattr(found, name)[b], wanted[name], rtol=tol, atol=5 * tol), (name, b)
        floored = np.maximum(wanted["sinr"], 1e-6)
        assert np.allclose(brute.linear(found.sinr_db)[b], floored, rtol=tol), b
        assert np.allclose(found.rate[b], wanted["rate"], rtol=tol, atol=2e-6 * np.any(wanted["sinr"] < 1e-6) + tol)
        assert np.allclose(found.margins["rate"][b], wanted["margin"], rtol=tol, atol=2e-6 * np.any(wanted["sinr"] < 1e-6) + tol)
        assert found.power_w[b] == pytest.approx(wanted["power_w"], rel=tol)
        assert bool(found.feasible[b]) == wanted["feasible"]
        if rules.traits(system)[1]:
            assert found.surface_power_w[b] == pytest.approx(wanted["surface_power_w"], rel=tol)
        else:
            assert found.surface_power_w is None
        if rules.traits(system)[0] == "ts":
            assert found.time_fraction[b] == design.time_fraction[b]
        else:
            assert found.time_fraction is None


@every_case
def test_metrics_are_the_explicit_ones(case: str) -> None:
    """On sampled and synthetic scenes, for decoded, started and raw designs."""
    system, scene = setting(case)
    compare(system, scene, system.decode(scene, uniform(system, "full")))
    compare(system, scene, system.decode(scene, system.start(scene)))
    compare(system, scene, random_design(system, 3))
    system, scene = synthetic(case)
    compare(system, scene, random_design(system, 4, batch=2))


def test_metrics_at_the_defaults() -> None:
    """The preset sizes, three protocols of the default kind, and the interferer at its real strength."""
    for fields in ({}, {"protocol": "ts"}, {"kind": "active"}, {"preset": "tiny"}):
        system = systems.make("multifunctional", **fields)
        scene = system.sample(np.random.default_rng(3), 2)
        compare(system, scene, system.decode(scene, system.start(scene)))
        compare(system, scene, system.decode(scene, uniform(system, "full", batch=2)))


@every_kind
def test_every_term_matters_in_the_synthetic_scenes(case: str) -> None:
    """No test of a term unless it changes the numbers: surface noise, sensor noise, the interference, the sensing stream."""
    system, scene = synthetic(case)
    design = random_design(system, batch=2)

    def gains(**changes: Any) -> np.ndarray:
        out = []
        for i, slot in enumerate(slots(system)):
            c = brute.case(system, scene, design, 0, slot)
            other = dataclasses.replace(c, **changes)
            k = int(np.flatnonzero(c.user_side == i)[0])
            out.append([brute.lemma1(other, i)[0] / brute.lemma1(c, i)[0], brute.user_sinr(other, k) / brute.user_sinr(c, k)])
        return np.array(out)

    if rules.traits(system)[1]:
        assert np.all(gains(noise_surface=0.0).max(axis=0) > 1.2)
    assert gains(noise_sensor=1e-3)[:, 0].max() > 1.2 and gains(noise_user=1e-9)[:, 1].max() > 1.1
    clearer = []
    for i, slot in enumerate(slots(system)):
        c = brute.case(system, scene, design, 0, slot)
        r, q = brute.covariances(c, i)
        part = brute.echo(c, i)[1] @ c.w
        u = any_filter(c)
        clearer.append(brute.quotient(u, r, q - part @ part.conj().T / c.noise_sensor) / brute.quotient(u, r, q))
    assert max(clearer) > 1.15


@every_kind
def test_monte_carlo_of_the_users(case: str) -> None:
    system, scene = synthetic(case)
    design = random_design(system, batch=2)
    found, rng = system.evaluate(scene, design), np.random.default_rng(1)
    for k, side in enumerate(brute.sides(system.num_users)):
        c = brute.case(system, scene, design, 1, slots(system)[side])
        sampled = brute.monte_carlo_user(c, k, rng, SAMPLES)
        assert brute.linear(found.sinr_db)[1, k] == pytest.approx(sampled, rel=0.04)
        assert found.rate[1, k] == pytest.approx(shares(system, design, 1)[side] * np.log2(1 + sampled), rel=0.04)


@every_kind
def test_monte_carlo_of_the_echo(case: str) -> None:
    system, scene = synthetic(case)
    design = random_design(system, batch=2)
    found, rng = system.evaluate(scene, design), np.random.default_rng(2)
    for i, slot in enumerate(slots(system)):
        c = brute.case(system, scene, design, 0, slot)
        sampled = brute.monte_carlo_echo(c, i, brute.lemma1(c, i)[1], rng, SAMPLES)
        assert brute.linear(found.echo_sinr_db)[0, i] == pytest.approx(shares(system, design, 0)[i] * sampled, rel=0.04)
        sampled = brute.monte_carlo_echo(c, i, any_filter(c), rng, SAMPLES)  # one that does not null the interference
        assert brute.quotient(any_filter(c), *brute.covariances(c, i)) == pytest.approx(sampled, rel=0.04)


@every_kind
def test_monte_carlo_of_the_surface_power(case: str) -> None:
    system, scene = synthetic(case)
    design = random_design(system, batch=2)
    found = system.evaluate(scene, design)
    if not rules.traits(system)[1]:
        assert found.surface_power_w is None
        return
    cases = [brute.case(system, scene, design, 0, slot) for slot in dict.fromkeys(slots(system))]
    sampled = max(brute.monte_carlo_surface(c, np.random.default_rng(3), SAMPLES) for c in cases)
    assert found.surface_power_w[0] == pytest.approx(sampled, rel=0.03)


@every_kind
def test_no_other_filter_is_better(case: str) -> None:
    """Neither random ones nor small steps from Lemma 1, which attains the value."""
    system, scene = synthetic(case)
    design = random_design(system, batch=2)
    found, rng = system.evaluate(scene, design), np.random.default_rng(4)
    for b in range(2):
        for i, slot in enumerate(slots(system)):
            c = brute.case(system, scene, design, b, slot)
            r, q = brute.covariances(c, i)
            best = brute.linear(found.echo_sinr_db)[b, i] / shares(system, design, b)[i]
            u = brute.lemma1(c, i)[1]
            assert brute.quotient(u, r, q) == pytest.approx(best, rel=1e-9)
            near = [u + step * brute.normals(rng, len(u)) for step in (1.0, 0.1, 1e-2, 1e-3) for _ in range(100)]
            matched = [c.b[l] for l in c.targets(i)] if c.b is not None else []
            others = [brute.normals(rng, len(u)) for _ in range(200)] + matched
            assert max(brute.quotient(v, r, q) for v in near + others) <= best * (1 + 1e-12)


@pytest.mark.parametrize("case", KINDS)
def test_scenes_one_by_one(case: str) -> None:
    system, scene = setting(case)
    design = system.decode(scene, uniform(system, "full"))
    whole = dict(system.evaluate(scene, design).items())
    for b in range(BATCH):
        for name, array in system.evaluate(scene[b], design[b]).items():
            assert np.allclose(array[0], whole[name][b], rtol=1e-11, atol=1e-11), name


# -- what may not change the metrics ------------------------------------------------------------------------------------------


@every_kind
def test_phases_of_streams_and_order_of_sensing_streams(case: str) -> None:
    """A phase per data beam, a unitary mix of the sensing beams, empty columns, a common phase of the surface."""
    system, scene = setting(case)
    design, rng = random_design(system, columns=3), np.random.default_rng(5)
    before = dict(system.evaluate(scene, design).items())
    mix = np.linalg.qr(brute.normals(rng, 3, 3))[0]
    turned = design.beams * np.exp(2j * np.pi * rng.random(design.beams.shape[-1]))
    mixed = design.sensing_beams @ mix
    more = np.concatenate([mixed, 0 * mixed], axis=-1)
    whole = design.replace(beams=turned, sensing_beams=more, coefficients=design.coefficients * np.exp(1j))
    for name, array in system.evaluate(scene, whole).items():
        assert np.allclose(array, before[name], rtol=1e-9, atol=1e-9), name


def test_beams_of_the_other_side_interfere() -> None:
    """ES: streams of users on both sides disturb; TS: only those of the slot."""
    system, scene = setting("es")
    design = system.decode(scene, uniform(system, "full"))
    alone = design.beams.copy()
    alone[..., 2] = 0.0
    assert np.all(system.evaluate(scene, design.replace(beams=alone)).rate[:, :2] > system.evaluate(scene, design).rate[:, :2])
    system, scene = setting("ts")
    design = system.decode(scene, uniform(system, "full"))
    first = system.evaluate(scene, design)
    other = design.sensing_beams.copy()
    other[:, 1] *= 0.3
    theta = design.coefficients.copy()
    theta[:, 1] *= 0.2
    second = system.evaluate(scene, design.replace(sensing_beams=other, coefficients=theta))
    assert np.allclose(first.rate[:, :2], second.rate[:, :2], rtol=1e-12)
    assert np.allclose(first.echo_sinr_db[:, 0], second.echo_sinr_db[:, 0], rtol=1e-12)


# -- forms, floors, rewards ---------------------------------------------------------------------------------------------------


@every_kind
@pytest.mark.parametrize("form", ["auto", "log", "sum", "db"])
def test_objective_forms(case: str, form: str) -> None:
    fields = {"num_users": (1, 1), "min_rate_bps_hz": 2.0} | CASES[case]
    kind = fields.get("kind", "mf")
    if form == "log" and kind != "mf":
        with pytest.raises(ValueError, match="objective_form must .*got 'log'"):
            systems.make("multifunctional", objective_form=form, **fields)
        return
    system = systems.make("multifunctional", preset="small", objective_form=form, **fields)
    scene = system.sample(np.random.default_rng(0), 4)
    metrics = system.evaluate(scene, random_design(system, batch=4))
    gamma = brute.linear(metrics.echo_sinr_db)
    resolved = form if form != "auto" else ("log" if kind == "mf" else "db")
    expected = {
        "log": np.log2(1 + gamma[:, 0]) + np.log2(1 + gamma[:, 1]),
        "sum": brute.decibel(gamma.sum(axis=1)),
        "db": metrics.echo_sinr_db.mean(axis=1),
    }[resolved]
    assert system.sense == 1 and system.unit == ("bit" if resolved == "log" else "dB") and system.default_penalty == 5.0
    assert np.allclose(metrics.objective, expected, rtol=1e-10, atol=1e-12)
    assert np.allclose(metrics.score, expected / 10, rtol=1e-10, atol=1e-12)
    assert np.allclose(metrics.sum_sinr_db, brute.decibel(gamma.sum(axis=1)), atol=1e-9)
    assert np.allclose(metrics.mean_sinr_db, metrics.echo_sinr_db.mean(axis=1), atol=1e-9)
    assert np.allclose(metrics.min_sinr_db, metrics.echo_sinr_db.min(axis=1), atol=1e-12)
    assert np.allclose(metrics.margins["rate"], metrics.rate - 2.0, atol=1e-12)
    assert np.allclose(metrics.cost, np.maximum(0, -metrics.margins["rate"]).sum(axis=1) / 2.0, atol=1e-12)
    assert np.array_equal(metrics.feasible, np.all(metrics.margins["rate"] >= -1e-3, axis=1)) and metrics.feasible.dtype == bool
    assert np.allclose(system.penalised(metrics), metrics.score - 5.0 * metrics.cost)
    score, slack = system.pieces(metrics)
    assert np.allclose(score.min(axis=1), metrics.score) and np.allclose(np.maximum(0, -slack).sum(axis=1), metrics.cost)


def test_no_rate_is_asked() -> None:
    """R_min = 0: no cost, always feasible; a shortfall of everything costs one per user."""
    for case in KINDS:
        system, scene = setting(case)
        free = dataclasses.replace(system, min_rate_bps_hz=0.0)
        design = random_design(free)
        nothing = design.replace(beams=0 * design.beams, sensing_beams=0 * design.sensing_beams)
        for chosen in (design, nothing):
            metrics = free.evaluate(scene, chosen)
            assert not metrics.cost.any() and metrics.feasible.all()
        assert np.allclose(system.evaluate(scene, nothing).cost, 3.0, atol=1e-5)
        assert not system.evaluate(scene, nothing).feasible.any()


@every_case
@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_designs_without_anything(case: str, dtype: str, backend: str) -> None:
    """Zero beams, zero coefficients, both, one side dark, nearly nothing: finite, at the floors of -100 dB and 0 bit."""
    system, scene = setting(case)
    base = random_design(system)
    dark = base.coefficients.copy()
    dark[:, 0] = 0.0
    designs = {
        "no beams": base.replace(beams=0 * base.beams, sensing_beams=0 * base.sensing_beams),
        "no surface": base.replace(coefficients=0 * base.coefficients),
        "nothing": base.map(lambda a: a if a.dtype.kind in "fi" else 0 * a),
        "dark": base.replace(coefficients=dark),
        "faint": base.replace(beams=1e-18 * base.beams, sensing_beams=1e-18 * base.sensing_beams),
    }
    for name, design in designs.items():
        at, chosen = scene.astype(dtype), design.astype(dtype)
        if backend == "torch":
            at, chosen = at.to_torch(), chosen.to_torch()
        metrics = system.evaluate(at, chosen).to_numpy()
        for field, array in metrics.items():
            assert np.isfinite(array).all(), (name, field)
        echo = metrics.echo_sinr_db if name != "dark" else metrics.echo_sinr_db[:, :1]
        assert np.allclose(echo, -100.0, atol=1e-4), name
        if name != "dark":
            floor = {"sum": -100 + brute.decibel(2.0), "db": -100.0, "log": 2e-10 / np.log(2)}[form_of(system)]
            assert np.allclose(metrics.objective, floor, atol=1e-4) and np.allclose(metrics.sinr_db, -60.0, atol=1e-3)
            assert np.allclose(metrics.rate, 0.0, atol=2e-6) and np.allclose(metrics.cost, len(metrics.rate[0]), atol=1e-5)


def bounded(array: np.ndarray) -> np.ndarray:
    """Within the range of single precision."""
    return np.clip(array.real, -1e30, 1e30) + 1j * np.clip(array.imag, -1e30, 1e30) if array.dtype.kind == "c" else array


@every_case
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_huge_raw_designs(case: str, dtype: str) -> None:
    """Whatever is handed in, what the projection returns has finite metrics; and raw ones of 60 dB too much have, unprojected."""
    system, scene = setting(case)
    base = random_design(system)
    for seed, share in enumerate((0.3, 1.0)):
        wild = MultiFunctionalDesign(
            beams=extreme(seed, share, base.beams.shape),
            sensing_beams=extreme(seed + 10, share, base.sensing_beams.shape),
            coefficients=extreme(seed + 20, share, base.coefficients.shape),
            time_fraction=None if base.time_fraction is None else np.array([-3.0, 0.5, 1e9]),
            mode=base.mode,
        )
        if dtype == "complex64":
            wild = wild.map(bounded)
        at = scene.astype(dtype)
        for name, array in system.evaluate(at, system.project(at, wild.astype(dtype))).items():
            assert np.isfinite(array).all(), name
    for name, array in system.evaluate(scene.astype(dtype), random_design(system, scale=1e3).astype(dtype)).items():
        assert np.isfinite(array).all(), name


# -- libraries and precisions -------------------------------------------------------------------------------------------------


@every_case
def test_numpy_equals_torch(case: str) -> None:
    system, scene = setting(case)
    for design in (system.decode(scene, system.start(scene)), random_design(system)):
        ours = dict(system.evaluate(scene, design).items())
        theirs = dict(system.evaluate(scene.to_torch(), design.to_torch()).to_numpy().items())
        assert ours.keys() == theirs.keys()
        for field, array in ours.items():
            assert np.allclose(theirs[field], array, rtol=1e-9, atol=1e-9) and theirs[field].dtype == array.dtype, field


@every_case
def test_single_precision(case: str) -> None:
    """The same design seen in single precision: 0.02 dB, 0.005 bit."""
    system, scene = setting(case)
    for design in (system.decode(scene, system.start(scene)), system.decode(scene, uniform(system, "full"))):
        single(system, scene, design)


def single(system: Any, scene: Any, design: Any) -> None:
    scene, design = scene.astype("complex64").astype("complex128"), design.astype("complex64").astype("complex128")
    double = dict(system.evaluate(scene, design).items())
    found = dict(system.evaluate(scene.astype("complex64"), design.astype("complex64")).items())
    for field, array in double.items():
        if field != "feasible":
            assert found[field].dtype in (np.float32, np.int64), field
            assert np.allclose(found[field], array, rtol=2e-4, atol=2e-2), (field, np.abs(found[field] - array).max())


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"preset": "small"},
        {"bs_position_m": (-2.0, 1.0, 10.0)},
        {"bs_position_m": (-2.0, 1.0, 10.0), "noise_sensor_dbm": -110.0},
        {"isolation_db": (-20.0, 20.0)},
        {"protocol": "ts", "total_power_dbm": 45.0},
        {"num_sensors_h": 2, "num_sensors_v": 2},
    ],
)
def test_strong_direct_interference(fields: dict[str, Any]) -> None:
    """Interference up to 120 dB over the noise: explicit values in double precision, close to them in single."""
    system = systems.make("multifunctional", **fields)
    scene = system.sample(np.random.default_rng(5), 2)
    for raw in (system.start(scene), uniform(system, "full", batch=2)):
        design = system.decode(scene, raw)
        compare(system, scene, design, 1e-7)
        single(system, scene, design)


@every_kind
@pytest.mark.parametrize("targets", [(3, 4), (1, 5), (6, 2)])
def test_many_targets(case: str, targets: tuple[int, int]) -> None:
    """More targets on a side than streams, than antennas; as many as there may be."""
    system = systems.make("multifunctional", preset="small", **CASES[case] | {"num_targets": targets, "num_sensing_beams": 3})
    scene = system.sample(np.random.default_rng(0), 2)
    design = system.decode(scene, uniform(system, "full", batch=2))
    compare(system, scene, design)
    single(system, scene, design)


@every_kind
def test_targets_in_one_place(case: str) -> None:
    """Equal steering vectors: the echoes of a side have rank one, and the sum of both gains."""
    system = systems.make("multifunctional", preset="small", **CASES[case] | {"num_targets": (3, 2)})
    drawn = system.sample(np.random.default_rng(0), 2)
    names = ["bs_ris", "ris_user", "target_steering", "target_gain"]
    names += ["bs_sensor", "sensor_steering"] if system.kind == "mf" else []
    arrays = {name: np.array(getattr(drawn, name)) for name in names}
    for name in {"target_steering", "sensor_steering"} & arrays.keys():
        arrays[name][:, 1], arrays[name][:, 4] = arrays[name][:, 0], arrays[name][:, 3]
    scene = system.check_scene(arrays)
    design = system.decode(scene, uniform(system, "full", batch=2))
    compare(system, scene, design)
    single(system, scene, design)


@pytest.mark.parametrize("rician_db", [3.0, 30.0, 60.0])
@pytest.mark.parametrize("fields", [{}, {"bs_position_m": (-2.0, 1.0, 10.0)}, {"num_sensors_h": 2, "num_sensors_v": 2}])
def test_target_in_front_of_the_station(rician_db: float, fields: dict[str, Any]) -> None:
    """A target in the direction of the BS, whose direct path has rank nearly one: the small rest keeps its digits."""
    bs = np.array(fields.get("bs_position_m", (-20.0, 10.0, 10.0)))
    towards = (0.0, float(np.rad2deg(np.arctan2(bs[1], -bs[0]))))
    angles = (towards, (10.0, 20.0), (5.0, 5.0), (20.0, -30.0))
    system = systems.make("multifunctional", rician_db=rician_db, target_angles_deg=angles, **fields)
    scene = system.sample(np.random.default_rng(0), 2)
    design = system.decode(scene, uniform(system, "full", batch=2))
    compare(system, scene, design, 1e-8)
    single(system, scene, design)


def test_feasible_within_a_thousandth_of_a_bit() -> None:
    for case in KINDS:
        system, scene = setting(case)
        design = system.decode(scene, uniform(system, "full"))
        rates = system.evaluate(scene, design).rate
        for b in range(BATCH):
            for gap, met in ((-1e-6, True), (9e-4, True), (1.1e-3, False)):
                asked = dataclasses.replace(system, min_rate_bps_hz=float(rates[b].min()) + max(gap, -rates[b].min()))
                assert bool(asked.evaluate(scene, design).feasible[b]) == met
