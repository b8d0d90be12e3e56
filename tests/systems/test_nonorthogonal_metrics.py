"""Metrics of `nonorthogonal` against explicit Fisher matrices, central differences of the mean, and the page's checks."""

from __future__ import annotations

import itertools
from typing import Any

import nonorthogonal_brute as brute
import numpy as np
import pytest

from ris_gym import systems
from ris_gym.systems.nonorthogonal.records import NonOrthogonalDesign

MODELS = ("two_user", "consistent", "mixed", "literal")
FISHERS = ("complex", "paper", "known")
every_model = pytest.mark.parametrize("model", MODELS)
every_case = pytest.mark.parametrize(("model", "fisher"), list(itertools.product(MODELS, FISHERS)))


def make(**fields: Any) -> Any:
    return systems.make("nonorthogonal", **fields)


def drawn(seed: int = 0, batch: int = 2, **fields: Any) -> tuple[Any, Any]:
    system = make(**fields)
    return system, system.sample(np.random.default_rng(seed), batch)


def any_design(system: Any, batch: int, seed: int = 1) -> NonOrthogonalDesign:
    """Random phases (off the alphabet) and beams of random direction, below the power limit."""
    rng = np.random.default_rng(seed)
    shape = (batch, system.num_blocks)
    xi = np.exp(2j * np.pi * rng.random((*shape, system.num_elements)))
    w = rng.standard_normal((*shape, system.num_antennas, 2)) @ [1, 1j]
    w *= np.sqrt(system.power_w * rng.uniform(0.3, 1.0, shape) / np.sum(np.abs(w) ** 2, axis=-1))[..., None]
    return NonOrthogonalDesign(coefficients=xi, beams=w[..., None])


# -- against the explicit Fisher matrix ---------------------------------------------------------------------------------------


@every_case
def test_metrics_are_those_of_the_explicit_fisher_matrix(model: str, fisher: str) -> None:
    """Every number, blocks 1 and 2, T = 1, 2, 5, both forms, to 1e-10."""
    for blocks, slots, form in itertools.product((1, 2), (1, 2, 5), ("weighted", "constrained")):
        system, scene = drawn(
            slots, model=model, fisher=fisher, num_blocks=blocks, num_slots=slots, objective_form=form, surface_shape=(3, 4),
            user_shape=(3, 2), num_antennas=3, symbol_variance=0.6 if slots == 2 else 1.0, weight=0.3, snr_db=4.0,
        )  # fmt: skip
        design = any_design(system, 2, slots)
        found = system.evaluate(scene, design)
        for b in range(2):
            wanted = brute.metrics(system, scene, design, b)
            for name in set(wanted) - {"value"}:
                assert getattr(found, name)[b] == pytest.approx(wanted[name], rel=1e-10, abs=1e-12), (name, blocks, slots)
            if form == "weighted":
                assert found.objective[b] == pytest.approx(wanted["value"], abs=1e-10)
                assert found.score[b] == pytest.approx(-wanted["value"] - 4.0, abs=1e-10)
                assert found.cost[b] == 0.0 and not found.margins and found.feasible[b]
            else:
                assert found.objective[b] == found.mutual_information[b]
                assert found.score[b] == pytest.approx(np.clip(wanted["mutual_information"], -10.0, 40.0) / 10.0, abs=1e-10)
        assert (found.peb_m is None) == (blocks == 1) and found.position_error_m is None


@pytest.mark.parametrize("fields", [{}, {"preset": "theorem1"}, {"preset": "paper"}, {"preset": "tracking"}])
def test_metrics_at_the_presets(fields: dict[str, Any]) -> None:
    system, scene = drawn(5, **fields)
    design = system.decode(scene, system.start(scene))
    found = system.evaluate(scene, design)
    for b in range(2):
        wanted = brute.metrics(system, scene, design, b)
        assert found.objective[b] == pytest.approx(wanted.pop("value"), abs=1e-10)
        for name, value in wanted.items():
            assert getattr(found, name)[b] == pytest.approx(value, rel=1e-10), name


@pytest.mark.parametrize("model", ["two_user", "consistent", "literal"])
@pytest.mark.parametrize("fisher", FISHERS)
def test_metrics_are_those_of_differences_of_the_mean(model: str, fisher: str) -> None:
    """Physical models: central differences of the mean over symbols, angles and position."""
    system, scene = drawn(
        7, 1, model=model, fisher=fisher, num_blocks=2, num_slots=3, surface_shape=(3, 3), user_shape=(2, 3), symbol_variance=0.7
    )
    design = any_design(system, 1, 3)
    found = system.evaluate(scene, design)
    blocks = [brute.block(system, scene, design, 0, i) for i in range(2)]
    columns = [brute.difference_columns(c) for c in blocks]
    parts = [brute.bounds(c, *pair) for c, pair in zip(blocks, columns, strict=True)]
    assert found.crlb_angle[0] == pytest.approx(np.mean([p.angle for p in parts]), rel=1e-7)
    assert found.crlb_symbol[0] == pytest.approx(np.mean([p.symbol for p in parts]), rel=1e-7)
    assert found.mutual_information[0] == pytest.approx(np.mean([p.information for p in parts]), rel=1e-7)
    information = np.zeros((3, 3))
    for c, (symbols, _), s in zip(blocks, columns, scene.ris_position[0], strict=True):
        information += brute.effective(symbols, brute.position_differences(c, s, scene.user_position[0]), c.noise)
    assert found.peb_m[0] == pytest.approx(np.sqrt(np.trace(np.linalg.inv(information))), rel=1e-6)


def test_one_antenna_is_invertible_by_the_papers_matrix_alone() -> None:
    """Section 4.5: `paper` with M = 1 and M_y = 1, two slots."""
    for shape in ((1, 1), (1, 3), (3, 1)):
        system, scene = drawn(2, model="consistent", fisher="paper", user_shape=shape, num_slots=2)
        design = any_design(system, 2)
        found = system.evaluate(scene, design)
        for b in range(2):
            wanted = brute.metrics(system, scene, design, b)
            assert found.crlb_angle[b] == pytest.approx(wanted["crlb_angle"], rel=1e-8)
            assert found.crlb_symbol[b] == pytest.approx(wanted["crlb_symbol"], rel=1e-8)


# -- order, invariance, scaling -----------------------------------------------------------------------------------------------


@every_model
def test_loewner_order_of_the_effective_information(model: str) -> None:
    """`complex` <= `paper` <= `known`, strictly where element positions matter."""
    angle = {}
    for fisher in FISHERS:
        system, scene = drawn(3, 6, model=model, fisher=fisher, user_shape=(2, 2))
        design = any_design(system, 6)
        angle[fisher] = system.evaluate(scene, design).crlb_angle
    assert np.all(angle["known"] <= angle["paper"] * (1 + 1e-12)) and np.all(angle["paper"] <= angle["complex"] * (1 + 1e-12))
    if model == "two_user":
        assert np.allclose(angle["known"], angle["complex"], rtol=1e-12)
        return
    assert np.median(angle["complex"] / angle["known"]) > 1.1
    for b in range(6):
        c = brute.block(system, scene, design, b)
        j = [
            brute.effective(brute.symbol_columns(d, brute.sensing_beta(d)), brute.angle_columns(d), d.noise)
            for d in (brute.with_fisher(c, name) for name in FISHERS)
        ]
        for lower, upper in itertools.pairwise(j):
            assert np.linalg.eigvalsh(upper - lower).min() > -1e-9 * np.trace(upper)


@every_case
def test_common_phase_changes_nothing(model: str, fisher: str) -> None:
    """Of each block on its own."""
    system, scene = drawn(1, 4, model=model, fisher=fisher, num_blocks=2)
    design = any_design(system, 4)
    turned = design.replace(coefficients=design.coefficients * np.exp(1j * np.array([0.7, -2.1]))[:, None])
    ours, theirs = system.evaluate(scene, design), system.evaluate(scene, turned)
    for name, value in ours.items():
        assert np.allclose(value, dict(theirs.items())[name], rtol=1e-11, atol=1e-12), name


@every_case
def test_bounds_scale_with_snr_and_power(model: str, fisher: str) -> None:
    """CRLBs as 1/SNR; 5 dB are 0.83 bit (1.66 where both parts of a symbol are unknown)."""
    fields = {"model": model, "fisher": fisher, "num_blocks": 2}
    system, scene = drawn(4, 3, **fields)
    design = any_design(system, 3)
    low = system.evaluate(scene, design)
    louder = make(**fields, snr_db=5.0)
    high = louder.evaluate(louder.sample(np.random.default_rng(4), 3), design)
    gain = 10.0**0.5
    for name in ("crlb_symbol", "crlb_angle"):
        assert np.allclose(getattr(low, name) / getattr(high, name), gain, rtol=1e-10), name
    assert np.allclose(low.peb_m / high.peb_m, np.sqrt(gain), rtol=1e-10)
    bits = high.mutual_information - low.mutual_information
    assert np.allclose(bits, (2 if fisher == "complex" else 1) * 0.8304820237, atol=1e-8)
    assert np.allclose(low.objective - high.objective, 0.5)


def test_ceiling_of_mutual_information() -> None:
    """Section 10: 8.0 bits at 0 dB, L = M = 16, continuous phases, `paper`; no design is above it."""
    system, scene = drawn(0, 3, preset="theorem1", phase_bits=None)
    best = system.decode(scene, system.start(scene))
    assert np.allclose(system.evaluate(scene, best).mutual_information, 8.0, atol=1e-9)
    assert np.all(system.evaluate(scene, any_design(system, 3)).mutual_information < 8.0)


def test_rate_at_full_gain() -> None:
    """`log2(1 + SNR M L^2 P_t N_t)` at the nominal distances: 45 dB, 15 bits at 0 dB (section 6: 44 and 14.8 with two bits)."""
    system, scene = drawn(0, 1, surface_spacing_m=0.0, phase_bits=None)
    comm, sense = np.moveaxis(scene.reference["products"], -1, 0)
    full = np.log2(1.0 + 16 * 16**2 * 8)
    found = system.evaluate(scene, system.made(scene, comm.conj()))
    assert found.rate[0] == pytest.approx(full, abs=1e-9) and found.gain_comm[0] == pytest.approx(1.0, abs=1e-12)
    assert system.evaluate(scene, system.made(scene, sense.conj())).rate[0] < full - 0.1


def test_beams_of_41_are_optimal_and_bounds_scale_with_their_gain() -> None:
    system, scene = drawn(2, 5, num_blocks=2)
    design = any_design(system, 5)
    best = design.replace(beams=np.sqrt(system.power_w / system.num_antennas) * scene.bs_steering[..., None])
    ours, theirs = system.evaluate(scene, best), system.evaluate(scene, design)
    assert np.all(ours.objective < theirs.objective)
    assert np.allclose(system.canonical(scene, system.project(scene, design)).beams, best.beams, rtol=1e-12)
    single, one = drawn(2, 5)
    design = any_design(single, 5)
    optimal = np.sqrt(single.power_w / single.num_antennas) * one.bs_steering[..., None]
    gain = np.array([abs(np.vdot(one.bs_steering[b, 0], design.beams[b, 0, :, 0])) ** 2 for b in range(5)])
    full = single.evaluate(one, design.replace(beams=optimal))
    part = single.evaluate(one, design)
    for name in ("crlb_symbol", "crlb_angle"):
        assert np.allclose(getattr(part, name) / getattr(full, name), single.power_w * single.num_antennas / gain, rtol=1e-10)


def test_dead_gains_give_finite_numbers() -> None:
    """|g| clipped below by 1e-6: rows of +1, -1 cancel."""
    for model, fisher in itertools.product(MODELS, FISHERS):
        system, scene = drawn(0, 2, model=model, fisher=fisher)
        _, sense = brute.products(brute.block(system, scene, any_design(system, 2)), scene.incident[0, 0])
        signs = np.where(np.arange(16) % 2 == 0, 1.0, -1.0)
        xi = np.stack([signs * sense.conj(), np.zeros(16)])[:, None]
        found = system.evaluate(scene, NonOrthogonalDesign(coefficients=xi, beams=np.zeros((2, 1, 8, 1), complex)))
        assert all(np.isfinite(value).all() for _, value in found.items()), (model, fisher)
        silent = system.made(scene, xi)
        found = system.evaluate(scene, silent)
        assert all(np.isfinite(value).all() for _, value in found.items()), (model, fisher)
        assert np.all(found.gain_sense < 1e-6)


# -- statistical symbols ------------------------------------------------------------------------------------------------------


@every_case
def test_statistical_symbols(model: str, fisher: str) -> None:
    """`known` judges by E = T and X_2 = T mu^2: as symbols of that energy and square would be; evaluation uses the truth."""
    fields = {"model": model, "fisher": fisher, "num_slots": 2, "symbol_variance": 0.36, "num_blocks": 2}
    system, scene = drawn(6, 3, design_symbols="statistical", **fields)
    same = make(**fields)
    design = any_design(system, 3)
    known = system.known(scene)
    assert known.symbols is None and np.allclose(known.reference["energy"], 2.0)
    assert np.allclose(known.reference["square"], 2.0 * 0.64)
    # x = e^{+-j a}: energy 2, square 2 cos(2 a) = 2 mu^2
    a = 0.5 * np.arccos(0.64)
    twin = same.check_scene(dict(scene.items()) | {"symbols": np.broadcast_to(np.exp([1j * a, -1j * a]), (3, 2, 2))})
    seen, wanted = system.evaluate(known, design), same.evaluate(twin, design)
    for name in ("objective", "crlb_symbol", "crlb_angle", "rate", "peb_m", "gain_comm", "gain_sense"):
        assert np.allclose(getattr(seen, name), getattr(wanted, name), rtol=1e-10), name
    truth, plain = system.evaluate(scene, design), same.evaluate(same.sample(np.random.default_rng(6), 3), design)
    assert np.array_equal(truth.objective, plain.objective)
    assert np.isfinite(seen.mutual_information).all()
