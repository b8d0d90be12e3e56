"""The closed-form bound of `multifunctional`: never crossed, tight where it must be, its split against a grid."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from baselines.multifunctional.bound import SLACK, best_split, echo_limits, joint_bound, norms, utility
from baselines.multifunctional.units import FLOOR
from ris_gym import systems

FORMS = ("log", "sum", "db")
PROTOCOLS = ("es", "ms", "ts")


def make(form="log", protocol="es", **fields):
    return systems.make("multifunctional", preset="small", objective_form=form, protocol=protocol, **fields)


def shifted(design, system, rng):
    """Designs around `design`: every array plus noise of its own size."""
    moved = {}
    for name in ("beams", "sensing_beams", "coefficients"):
        x = np.asarray(getattr(design, name))
        size = np.sqrt(np.mean(np.abs(x) ** 2)) * 10.0 ** rng.uniform(-1.5, 0.5)
        moved[name] = x + size * (rng.standard_normal((*x.shape, 2)) @ [1.0, 1j])
    if design.time_fraction is not None:
        moved["time_fraction"] = rng.uniform(0.05, 0.95, len(design))
    return design.replace(**moved)


@pytest.mark.parametrize(("form", "protocol"), list(itertools.product(FORMS, PROTOCOLS)))
def test_no_design_crosses_the_bound(form, protocol):
    system, rng = make(form, protocol, isolation_db=(60.0, 60.0), min_rate_bps_hz=0.0), np.random.default_rng(3)
    scene = system.sample(rng, 20)
    bound = joint_bound(system, scene)
    assert (bound.status == "certified").all() and bound.scope == "scene" and np.isfinite(bound.value).all()
    raw = system.start(scene)
    best = np.asarray(system.evaluate(scene, system.decode(scene, raw)).objective)
    for step in range(60):  # a random search that gains a good part of the way
        design = system.project(scene, shifted(system.decode(scene, raw), system, rng))
        objective = np.asarray(system.evaluate(scene, design).objective)
        assert (objective <= bound.value).all()
        better = objective > best
        raw = np.where(better[:, None], system.encode(scene, design), raw)
        best = np.where(better, objective, best)
        random = system.decode(scene, rng.uniform(-1.0, 1.0, raw.shape))
        assert (system.evaluate(scene, random).objective <= bound.value).all(), step


@pytest.mark.parametrize("protocol", ["es", "ts"])
@pytest.mark.parametrize("form", FORMS)
def test_one_antenna_in_line_of_sight_without_direct_path_attains_it(form, protocol):
    fields = {"num_antennas": 1, "rician_db": 120.0, "isolation_db": (300.0, 300.0), "min_rate_bps_hz": 0.0, "max_gain_db": 80.0}
    system = make(form, protocol, num_sensing_beams=1, **fields)
    scene = system.sample(np.random.default_rng(1), 3)
    kappa, c, total = norms(system, scene)
    bound, x = best_split(form, kappa, c, total, system.time_switching)
    # matched coefficients of equal modulus; all of the time or power where the split says so
    turned = scene.target_steering * np.exp(-1j * np.angle(scene.bs_ris[:, None, :, 0]))
    split = np.stack([x, 1.0 - x], axis=1)
    arrived = system.power_w * np.sum(np.abs(scene.bs_ris) ** 2, axis=(1, 2))
    level = (np.ones_like(split) if system.time_switching else split) * (total / arrived)[:, None]
    slots = (2,) if system.time_switching else ()
    beams = np.zeros((3, *slots, 1, 2), complex)
    sensing = np.full((3, *slots, 1, 1), np.sqrt(system.power_w), complex)
    extra = {"time_fraction": np.clip(x, 0.05, 0.95)} if system.time_switching else {}
    kind = type(system.decode(scene, system.start(scene)))
    design = kind(beams=beams, sensing_beams=sensing, coefficients=turned * np.sqrt(level)[..., None], **extra)
    metrics = system.evaluate(scene, system.project(scene, design))
    if form == "sum" and system.time_switching:  # all the time is one side's, of which a design can take 95 %
        np.testing.assert_allclose(np.abs(x - 0.5), 0.5, atol=1e-9)
        gamma = echo_limits(kappa, c, np.repeat(total[:, None], 2, axis=1))[0]
        bound = 10.0 * np.log10(0.95 * gamma.max(1) + 0.05 * gamma.min(1))
    np.testing.assert_allclose(metrics.objective, bound, rtol=1e-6)
    assert (metrics.objective <= joint_bound(system, scene).value).all()


@pytest.mark.parametrize("switching", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_the_split_is_the_best_of_a_fine_grid(form, switching):
    rng = np.random.default_rng(0)
    kappa, total = 10.0 ** rng.uniform(-1, 6, 40), 10.0 ** rng.uniform(-3, 3, 40)
    c = 10.0 ** rng.uniform(-3, 4, (40, 2))
    value, x = best_split(form, kappa, c, total, switching)
    grid = np.concatenate([np.logspace(-9, np.log10(0.5), 4000), 1.0 - np.logspace(-9, np.log10(0.5), 4000)])
    brute = np.full(40, -np.inf)
    for share in grid:
        split = np.array([share, 1.0 - share])
        t = total[:, None] * (np.ones(2) if switching else split)
        gamma = kappa[:, None] * c * t / (kappa[:, None] + c * t) * (split if switching else 1.0) + FLOOR
        brute = np.maximum(brute, utility(form, gamma)[0])
    assert (value >= brute - 1e-12 * np.abs(brute)).all()
    np.testing.assert_allclose(value, brute, rtol=1e-5, atol=1e-5)
    assert ((x >= 0) & (x <= 1)).all()
    if form == "db" and switching:
        np.testing.assert_allclose(x, 0.5, atol=1e-4)  # up to the floor, some echoes are weak


@pytest.mark.parametrize("switching", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_the_tangent_bounds_at_any_split(form, switching, monkeypatch):
    rng = np.random.default_rng(1)
    kappa, total, c = 10.0 ** rng.uniform(0, 4, 20), 10.0 ** rng.uniform(-2, 2, 20), 10.0 ** rng.uniform(-2, 3, (20, 2))
    best = best_split(form, kappa, c, total, switching)[0]
    for steps in (0, 1, 3, 8, 20):
        monkeypatch.setattr("baselines.multifunctional.bound.STEPS", steps)
        assert (best_split(form, kappa, c, total, switching)[0] >= best - 1e-9 * np.abs(best)).all()


def test_derivatives_of_the_utilities():
    gamma = 10.0 ** np.random.default_rng(0).uniform(-2, 3, (50, 2))
    for form in FORMS:
        value, slope = utility(form, gamma)
        for i in range(2):
            h = 1e-6 * gamma * np.eye(2)[i]
            change = (utility(form, gamma + h)[0] - utility(form, gamma - h)[0]) / (2.0 * h[:, i])
            np.testing.assert_allclose(slope[:, i], change, rtol=1e-5)
        assert np.isfinite(value).all()
    with pytest.raises(ValueError, match="form must be"):
        utility("linear", gamma)


def test_mode_switching_has_the_value_of_energy_splitting_and_time_switching_less():
    scene = make().sample(np.random.default_rng(2), 5)
    value = {p: joint_bound(make(protocol=p), scene).value for p in PROTOCOLS}
    np.testing.assert_array_equal(value["ms"], value["es"])
    assert (value["ts"] < value["es"]).all()


@pytest.mark.parametrize("kind", ["active", "star", "passive"])
def test_of_other_kinds_none_is_known(kind):
    system = make("db", kind=kind)
    bound = joint_bound(system, system.sample(np.random.default_rng(0), 4))
    assert (bound.status == "unknown").all() and (bound.value == np.inf).all() and bound.value.shape == (4,)


def test_the_slack_is_small():
    system = make()
    scene = system.sample(np.random.default_rng(0), 10)
    plain = best_split("log", *norms(system, scene))[0]
    excess = joint_bound(system, scene).value - plain
    assert ((excess > 0) & (excess < 10.0 * SLACK * plain)).all()
    single = [joint_bound(system, scene[i : i + 1]).value[0] for i in range(10)]
    np.testing.assert_allclose(joint_bound(system, scene).value, single, rtol=1e-12)
