"""Metrics of `active_crb` against the signal model: finite-difference Fisher matrix, estimators, Monte Carlo of all signals."""

from __future__ import annotations

import dataclasses
from typing import Any

import active_crb_brute as brute
import numpy as np
import pytest
from active_crb_samples import CAP_DB, bare, every_case, linear, setting

from ris_gym import systems
from ris_gym.systems import ActiveCrb
from ris_gym.systems.active_crb import ActiveCrbDesign, ActiveCrbMetrics, self_check

# -- the brute-force forms against each other ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("m", "n", "k", "t"), [(4, 3, 2, 6), (5, 2, 1, 5), (3, 3, 3, 7), (2, 1, 1, 4)])
@pytest.mark.parametrize("noise_surface", [0.0, 0.02, 1.0])
def test_explicit_forms_agree(m: int, n: int, k: int, t: int, noise_surface: float) -> None:
    """The real Fisher matrix, the complex Kronecker form and the product of traces (page 4; no extra factor 2)."""
    c = brute.random_case(m + n, m, n, k, t, noise_surface)
    x = brute.snapshots(c, np.random.default_rng(1))
    assert np.allclose(x @ x.conj().T / t, c.r, atol=1e-12)
    by_differences, by_kronecker = brute.crb_by_differences(c, x), brute.crb_by_kronecker(c, x)
    assert by_differences == pytest.approx(by_kronecker, rel=1e-8) and by_kronecker == pytest.approx(brute.crb(c), rel=1e-8)
    s, s0 = brute.surface_affine(c)
    assert sum(brute.surface_power(c)) == pytest.approx(np.trace(s @ c.r).real + s0, rel=1e-12)


# -- the bound ----------------------------------------------------------------------------------------------------------------


@every_case
def test_crb_is_the_finite_difference_bound(name: str) -> None:
    system, scene, design = setting(name)
    metrics = system.evaluate(scene, design)
    for b in range(len(scene)):
        c = brute.case(system, scene, design, b)
        x = brute.snapshots(c, np.random.default_rng(b))
        expected = brute.crb_by_differences(c, x)
        assert linear(metrics.objective)[b] == pytest.approx(expected, rel=1e-6)
        assert linear(metrics.objective)[b] == pytest.approx(brute.crb_by_kronecker(c, x), rel=1e-8)
        power = np.sum(np.abs(c.target) ** 2)
        assert linear(metrics.nmse_bound_db)[b] == pytest.approx(expected / power, rel=1e-6)


def test_surface_noise_matters_in_the_cases() -> None:
    """The cases are no tests of the surface's noise unless it changes the bound."""
    shares = []
    for name in ("small", "loud surface", "loop gain"):
        system, scene, design = setting(name)
        c = brute.case(system, scene, design)
        quiet = dataclasses.replace(c, noise_surface=0.0)
        shares.append(brute.crb(quiet) / brute.crb(c))
    assert min(shares) < 0.7 and max(shares) > 0.9


@pytest.mark.parametrize("name", ["loud surface", "as many users as elements", "passive"])
def test_least_squares_attains_the_bound(name: str) -> None:
    """Noise-free error 0; over noise draws the mean squared error is the CRB (page 4, BLUE)."""
    system, scene, design = setting(name)
    metrics = system.evaluate(scene, design)
    rng = np.random.default_rng(5)
    for b in range(2):
        c = brute.case(system, scene, design, b)
        x = brute.snapshots(c, rng)
        clean = brute.mean_echo(c, x, c.target)
        found = brute.least_squares(c, x, clean)
        assert np.linalg.norm(found - c.target) <= 1e-10 * np.linalg.norm(c.target)
        trials, t = 400, c.snapshots
        # the estimator is linear and exact: its error is the estimate made of the noise alone
        noise = brute.echo_noise(c, rng, trials * t).reshape(-1, trials, t)
        errors = [np.sum(np.abs(brute.least_squares(c, x, noise[:, i])) ** 2) for i in range(trials)]
        assert np.mean(errors) / linear(metrics.objective)[b] == pytest.approx(1.0, abs=0.1)


@every_case
def test_common_phases_of_the_elements_leave_the_bound(name: str) -> None:
    system, scene, design = setting(name)
    turn = np.exp(2j * np.pi * np.random.default_rng(2).random(design.coefficients.shape))
    before = system.evaluate(scene, design)
    turned = system.evaluate(scene, design.replace(coefficients=design.coefficients * turn))
    assert np.allclose(turned.objective, before.objective, rtol=0, atol=1e-9)
    once = system.evaluate(scene, design.replace(coefficients=design.coefficients * np.exp(1j)))
    for field, array in once.items():
        if field != "feasible":
            assert np.allclose(array, dict(before.items())[field], rtol=1e-10, atol=1e-9), field


def test_scalings() -> None:
    """CRB ~ 1 / (T power); ~ a^-4 where the receiver's noise dominates, ~ a^-2 where the surface's does."""
    system, scene, design = setting("small")
    before = system.evaluate(scene, design).objective
    ten = 10.0**0.5
    louder = design.replace(beams=ten * design.beams, sensing_beams=ten * design.sensing_beams)
    assert np.allclose(system.evaluate(scene, louder).objective, before - 10.0, atol=1e-9)
    longer = dataclasses.replace(system, num_snapshots=60)
    assert np.allclose(longer.evaluate(scene, design).objective, before - 10.0, atol=1e-9)
    for quiet, power in ((-200.0, 40.0), (60.0, 20.0)):
        other = dataclasses.replace(system, noise_surface_dbm=quiet)
        at = other.check_scene(bare(scene))  # its own bound, so that nothing is at the cap
        one = other.evaluate(at, design).objective
        more = other.evaluate(at, design.replace(coefficients=10.0 * design.coefficients)).objective
        assert np.allclose(one - more, power, atol=1e-5)


@every_case
def test_mixing_the_sensing_columns_changes_nothing(name: str) -> None:
    system, scene, design = setting(name)
    rng = np.random.default_rng(3)
    columns = design.sensing_beams.shape[-1]
    unitary, _ = np.linalg.qr(brute.normals(rng, columns, columns))
    mixed = design.sensing_beams @ unitary
    spread = np.concatenate([mixed, np.zeros_like(mixed)], axis=-1)  # any number of columns is a design
    before = dict(system.evaluate(scene, design).items())
    turned = design.beams * np.exp(1j * rng.uniform(0, 6, design.beams.shape[-1]))
    for other in (design.replace(sensing_beams=mixed, beams=turned), design.replace(sensing_beams=spread)):
        for field, array in system.evaluate(scene, other).items():
            assert np.allclose(array, before[field], rtol=1e-10, atol=1e-9), field


# -- users and powers ---------------------------------------------------------------------------------------------------------


@every_case
def test_sinr_and_powers_are_the_explicit_sums(name: str) -> None:
    system, scene, design = setting(name)
    metrics = system.evaluate(scene, design)
    for b in range(len(scene)):
        c = brute.case(system, scene, design, b)
        sinr = brute.sinr(c)
        floored = np.maximum(sinr, 1e-6)
        assert np.allclose(linear(metrics.sinr_db)[b], floored, rtol=1e-9)
        assert np.allclose(metrics.rate[b], np.log2(1 + floored), rtol=1e-9)
        assert metrics.power_w[b] == pytest.approx(np.trace(c.r).real, rel=1e-12)
        if system.passive:
            assert metrics.surface_power_w is None and metrics.first_pass_w is None and metrics.second_pass_w is None
            assert metrics.surface_slack_db is None
            continue
        first, second = brute.surface_power(c)
        assert metrics.first_pass_w[b] == pytest.approx(first, rel=1e-10)
        assert metrics.second_pass_w[b] == pytest.approx(second, rel=1e-10)
        s, s0 = brute.surface_affine(c)
        assert metrics.surface_power_w[b] == pytest.approx(np.trace(s @ c.r).real + s0, rel=1e-10)


def monte_carlo(c: brute.Case, rng: np.random.Generator, samples: int) -> tuple[np.ndarray, float, float, float]:
    """Sample means: SINR (K,), power of each pass, coherent cross term `2 Re E[r_1^H r_2]`; one set of signals for all."""
    users, n = c.w.shape[1], len(c.v)
    s = brute.normals(rng, users, samples)
    x = c.w @ s + c.sensing @ brute.normals(rng, c.sensing.shape[1], samples)
    first = c.v[:, None] * (c.g @ x + np.sqrt(c.noise_surface) * brute.normals(rng, n, samples))
    again = c.v[:, None] * (c.target @ first + np.sqrt(c.noise_surface) * brute.normals(rng, n, samples))
    received = c.h.conj() @ first + np.sqrt(c.noise_user) * brute.normals(rng, users, samples)
    sinr = np.zeros(users)
    for k in range(users):
        wanted = (c.h[k].conj() * c.v) @ c.g @ c.w[:, k] * s[k]
        sinr[k] = np.mean(np.abs(wanted) ** 2) / np.mean(np.abs(received[k] - wanted) ** 2)
    powers = [float(np.mean(np.sum(np.abs(r) ** 2, axis=0))) for r in (first, again)]
    cross = 2.0 * float(np.mean(np.sum(first.conj() * again, axis=0).real))
    return sinr, powers[0], powers[1], cross


@pytest.mark.parametrize("name", ["loud surface", "as many users as elements", "one user", "passive"])
def test_monte_carlo_of_the_signals(name: str) -> None:
    system, scene, design = setting(name)
    metrics = system.evaluate(scene[0], design[0])
    sinr, first, second, _ = monte_carlo(brute.case(system, scene, design), np.random.default_rng(1), 200_000)
    assert np.allclose(sinr, linear(metrics.sinr_db)[0], rtol=0.02)
    if not system.passive:
        assert first == pytest.approx(metrics.first_pass_w[0], rel=0.01)
        assert second == pytest.approx(metrics.second_pass_w[0], rel=0.01)


def test_the_cross_term_of_the_passes_is_small() -> None:
    """The model adds the two passes' powers (page 10); what it leaves out is within a few percent in the default scenario."""
    system = systems.make("active_crb")
    scene = system.sample(np.random.default_rng(0), 5)
    design = system.decode(scene, system.start(scene))
    rng = np.random.default_rng(2)
    shares = []
    for b in range(len(scene)):
        _, first, second, cross = monte_carlo(brute.case(system, scene, design, b), rng, 20_000)
        assert first + second == pytest.approx(system.evaluate(scene, design).surface_power_w[b], rel=0.03)
        shares.append(cross / (first + second))
    assert np.max(np.abs(shares)) < 0.1, shares


@pytest.mark.parametrize("name", ["small", "passive"])
def test_neglected_noise(name: str) -> None:
    """Power of `G^T Psi H Psi N_1` over that of `G^T Psi N_2`, by samples."""
    system, scene, design = setting(name)
    found = system.diagnostics(scene, design)["neglected_noise_db"] if not system.passive else None
    if found is None:
        assert all(np.isfinite(array).all() for array in system.diagnostics(scene, design).values())
        return
    rng = np.random.default_rng(3)
    c = brute.case(system, scene, design, 1)
    n1, n2 = (brute.normals(rng, len(c.v), 100_000) for _ in range(2))
    through = c.g.T @ np.diag(c.v)
    echo = through @ c.target @ np.diag(c.v) @ n1
    ratio = np.sum(np.abs(echo) ** 2) / np.sum(np.abs(through @ n2) ** 2)
    assert linear(found)[1] == pytest.approx(max(ratio, 1e-6), rel=0.02)


# -- definitions --------------------------------------------------------------------------------------------------------------


@every_case
def test_definitions(name: str) -> None:
    system, scene, design = setting(name, batch=40)
    metrics = system.evaluate(scene, design)
    assert isinstance(metrics, ActiveCrbMetrics) and system.sense == -1 and system.unit == "dB" and system.default_penalty == 2.0
    bound = scene.reference["lower_bound_db"]
    assert np.allclose(metrics.gap_db, metrics.objective - bound, atol=1e-9)
    assert np.allclose(metrics.score, np.maximum(-(metrics.objective - bound) / 10.0, -6.0), atol=1e-10)
    norm = 10 * np.log10(np.sum(np.abs(scene.target_response) ** 2, axis=(1, 2)))
    assert np.allclose(metrics.nmse_bound_db, metrics.objective - norm, atol=1e-9)
    assert np.allclose(metrics.power_slack_db, 10 * np.log10(system.power_w / metrics.power_w), atol=1e-9)
    if not system.passive:
        assert np.allclose(metrics.surface_power_w, metrics.first_pass_w + metrics.second_pass_w, rtol=1e-12)
        assert np.allclose(metrics.surface_slack_db, 10 * np.log10(system.surface_power_w / metrics.surface_power_w), atol=1e-9)
    score, slack = system.pieces(metrics)
    assert np.allclose(score.min(axis=1), metrics.score) and np.allclose(np.maximum(0, -slack).sum(axis=1), metrics.cost)
    assert metrics.sinr_db.shape == metrics.rate.shape == (40, system.num_users)
    if system.sinr_threshold is None:
        assert metrics.margins == {} and metrics.feasible.all() and not metrics.cost.any()
        assert metrics.feasible.dtype == bool and metrics.min_sinr_margin_db is None
        return
    margins = metrics.margins["sinr"]
    true = np.stack([10 * np.log10(brute.sinr(brute.case(system, scene, design, b))) for b in range(40)]) - system.thresholds_db
    assert np.allclose(margins, np.clip(true, -40.0, 40.0), atol=1e-8)
    assert np.allclose(metrics.min_sinr_margin_db, margins.min(axis=1))
    assert np.allclose(metrics.cost, np.minimum(np.maximum(0.0, -margins) / 10.0, 3.0).sum(axis=1), atol=1e-12)
    assert np.array_equal(metrics.feasible, np.all(margins >= -1e-3, axis=1))
    assert np.allclose(system.penalised(metrics), metrics.score - 2.0 * metrics.cost)


def test_derived_parameters() -> None:
    system = systems.make("active_crb")
    assert system.power_w == pytest.approx(1.0) and system.surface_power_w == pytest.approx(10**-2.5)
    for noise in (system.noise_bs_w, system.noise_user_w, system.noise_surface_w):
        assert noise == pytest.approx(1e-12)
    assert system.max_amplitude == pytest.approx(10**1.5) and not system.passive and system.kind == "active"
    assert np.allclose(system.sinr_threshold, np.full(3, 10**1.2)) and np.allclose(system.thresholds_db, 12.0)
    passive = systems.make("active_crb", preset="passive")
    assert passive.passive and passive.max_amplitude == 1.0 and passive.noise_surface_w == 0.0 and passive.sinr_threshold is None


def test_default_level() -> None:
    """Page 6: NMSE bounds of good designs are about -15 to -4 dB per scene in the default."""
    system = systems.make("active_crb")
    scene = system.sample(np.random.default_rng(0), 100)
    norm = 10 * np.log10(np.sum(np.abs(scene.target_response) ** 2, axis=(1, 2)))
    level = scene.reference["lower_bound_db"] - norm
    assert -15.0 < np.median(level) < -4.0
    conditions = np.linalg.cond(scene.bs_ris)
    assert 5.0 < np.median(conditions) < 40.0


# -- edges --------------------------------------------------------------------------------------------------------------------


def singular_designs(system: ActiveCrb, design: ActiveCrbDesign) -> dict[str, ActiveCrbDesign]:
    """Designs whose CRB is infinite (N >= 2)."""
    zero = design.map(lambda array: 0 * array).replace(coefficients=design.coefficients)
    one = np.zeros_like(design.sensing_beams)
    one[..., 0] = design.sensing_beams[..., 0]
    equal = np.repeat(design.sensing_beams[..., :1], design.sensing_beams.shape[-1], axis=-1)
    return {
        "nothing": zero,
        "one beam": zero.replace(sensing_beams=one),
        "equal beams": zero.replace(sensing_beams=equal),
        "tiny": zero.replace(sensing_beams=1e-160 * equal),
        "no columns": zero.replace(sensing_beams=one[..., :0]),
    }


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("name", ["small", "sensing only", "passive", "square"])
def test_singular_designs(name: str, dtype: str, backend: str) -> None:
    """Finite everywhere, the objective at its cap, LB + 100 dB."""
    system, scene, design = setting(name)
    for kind, singular in singular_designs(system, design).items():
        at, chosen = scene.astype(dtype), singular.astype(dtype)
        if backend == "torch":
            at, chosen = at.to_torch(), chosen.to_torch()
        metrics = system.evaluate(at, chosen).to_numpy()
        for field, array in metrics.items():
            assert np.isfinite(array).all(), (kind, field)
        bound = scene.reference["lower_bound_db"]
        assert np.allclose(metrics.objective, bound + CAP_DB, atol=1e-3 if dtype == "complex64" else 1e-9), kind
        assert np.allclose(metrics.gap_db, CAP_DB, atol=1e-3) and np.allclose(metrics.score, -6.0, atol=1e-5)
        if system.sinr_threshold is not None and kind == "nothing":
            assert np.all(metrics.margins["sinr"] == -40.0) and np.allclose(metrics.cost, 3.0 * system.num_users)
            assert np.allclose(metrics.sinr_db, -60.0, atol=1e-4) and not metrics.feasible.any()


def test_the_cap_and_clips() -> None:
    """A design 100 dB off is at the cap, one 60 dB off at score -6; 200 dB of threshold cost 3 per user."""
    system, scene, design = setting("small")
    before = system.evaluate(scene, design)
    for loss in (30.0, 70.0, 300.0):
        scale = 10 ** (-loss / 20)
        quiet = design.replace(beams=scale * design.beams, sensing_beams=scale * design.sensing_beams)
        metrics = system.evaluate(scene, quiet)
        gap = np.minimum(before.gap_db + loss, CAP_DB)
        assert np.allclose(metrics.gap_db, gap, atol=1e-8) and np.allclose(metrics.score, np.maximum(-gap / 10, -6.0))
    hard = dataclasses.replace(system, sinr_threshold_db=90.0).evaluate(scene, design)
    assert np.allclose(hard.cost, 6.0) and np.all(hard.margins["sinr"] == -40.0)
    easy = dataclasses.replace(system, sinr_threshold_db=-90.0).evaluate(scene, design)
    assert np.all(easy.margins["sinr"] == 40.0) and easy.feasible.all() and not easy.cost.any()


def test_nearly_singular_designs_keep_their_digits() -> None:
    """Singular values of the beams from 1 to 1e-5: the bound to 1e-8 of an exactly known value."""
    system, scene, design = setting("wide")
    n = system.num_elements
    _, singular, vh = np.linalg.svd(scene.bs_ris, full_matrices=False)
    v = np.swapaxes(vh, 1, 2).conj()
    strength = 1e5 * np.logspace(0, -5, n)  # strong, so that nothing is at the cap
    steep = design.replace(beams=0 * design.beams, sensing_beams=v * strength)
    left = np.linalg.svd(scene.bs_ris, full_matrices=False)[0]
    a2 = np.abs(design.coefficients) ** 2
    first = np.sum(np.abs(left) ** 2 / (singular * strength)[:, None] ** 2 / a2[:, :, None], axis=(1, 2))
    gram = np.sum(np.abs(left) ** 2 / singular[:, None] ** 2, axis=2)
    second = n * system.noise_surface_w + system.noise_bs_w * np.sum(gram / a2, axis=1)
    expected = 10 * np.log10(first * second / system.num_snapshots)
    assert np.allclose(system.evaluate(scene, steep).objective, expected, rtol=0, atol=1e-8)


# -- libraries and precisions -------------------------------------------------------------------------------------------------


@every_case
def test_numpy_equals_torch(name: str) -> None:
    system, scene, design = setting(name, batch=20)
    ours = dict(system.evaluate(scene, design).items())
    theirs = dict(system.evaluate(scene.to_torch(), design.to_torch()).to_numpy().items())
    assert ours.keys() == theirs.keys()
    for field, array in ours.items():
        assert np.allclose(theirs[field], array, rtol=1e-10, atol=1e-10), field
        assert theirs[field].dtype == array.dtype, field


@every_case
def test_single_precision(name: str) -> None:
    system, scene, design = setting(name, batch=20)
    double = dict(system.evaluate(scene, design).items())
    single = dict(system.evaluate(scene.astype("complex64"), design.astype("complex64")).items())
    for field, array in double.items():
        if field == "feasible":
            continue
        assert single[field].dtype == np.float32, field
        assert np.allclose(single[field], array, rtol=1e-4, atol=2e-3), (field, np.abs(single[field] - array).max())


@every_case
def test_batch_is_scene_by_scene(name: str) -> None:
    system, scene, design = setting(name)
    whole = dict(system.evaluate(scene, design).items())
    for b in range(len(scene)):
        for field, array in system.evaluate(scene[b], design[b]).items():
            assert np.allclose(array[0], whole[field][b], rtol=1e-12, atol=1e-11), field


# -- the Bayesian error -------------------------------------------------------------------------------------------------------


@every_case
def test_bayes_mse(name: str) -> None:
    """Against the explicit Kronecker form; never more than the prior; finite for singular designs."""
    system, scene, design = setting(name)
    found = system.diagnostics(scene, design)["bayes_mse_db"]
    n = system.num_elements
    for b in range(len(scene)):
        c = brute.case(system, scene, design, b)
        power = np.sum(np.abs(c.target) ** 2)
        assert linear(found)[b] == pytest.approx(brute.bayes_mse(c, power / n**2) / power, rel=1e-8)
    assert np.all(found <= 1e-12)
    for singular in singular_designs(system, design).values():
        some = system.diagnostics(scene, singular)["bayes_mse_db"]
        assert np.isfinite(some).all() and np.all(some <= 1e-12)
    nothing = system.diagnostics(scene, singular_designs(system, design)["nothing"])["bayes_mse_db"]
    assert np.allclose(nothing, 0.0, atol=1e-12)


def test_bayes_mse_tends_to_the_bound() -> None:
    """A target 120 dB stronger, so a prior 120 dB wider: MSE = CRB to 1e-3 (page 12)."""
    system, scene, design = setting("loud surface")
    strong = system.check_scene(bare(scene) | {"target_response": 1e6 * scene.target_response})
    relative = linear(system.diagnostics(strong, design)["bayes_mse_db"] - system.evaluate(strong, design).nmse_bound_db)
    assert np.allclose(relative, 1.0, atol=1e-3) and np.all(relative <= 1.0)


@pytest.mark.parametrize("fields", [{}, {"preset": "passive"}, {"sinr_threshold_db": (3.0, 6.0, 9.0)}])
def test_self_check(fields: dict[str, Any]) -> None:
    """The check that ships with the system runs clean, also on the variants."""
    system = systems.make("active_crb", **fields)
    found = system.self_check()
    assert found.keys() == self_check.TOLERANCES.keys()
    assert all(value <= self_check.TOLERANCES[name] for name, value in found.items()), found


def test_self_check_notices(monkeypatch: pytest.MonkeyPatch) -> None:
    """A surface noise that the metrics count once too often shows."""
    system = systems.make("active_crb", noise_surface_dbm=-65.0)
    right = ActiveCrb.evaluate

    def wrong(self: ActiveCrb, scene: Any, design: Any) -> ActiveCrbMetrics:
        return right(dataclasses.replace(self, noise_surface_dbm=self.noise_surface_dbm + 0.01), scene, design)

    monkeypatch.setattr(ActiveCrb, "evaluate", wrong)
    found = system.self_check()
    assert found["fisher"] > self_check.TOLERANCES["fisher"]
