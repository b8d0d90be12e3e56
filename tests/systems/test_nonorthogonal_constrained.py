"""The constrained form of `nonorthogonal`: Gamma_0, the exact largest gain, margins and cost (section 5)."""

from __future__ import annotations

import itertools
from typing import Any

import nonorthogonal_brute as brute
import numpy as np
import pytest

from ris_gym import systems
from ris_gym.systems.nonorthogonal.records import NonOrthogonalDesign

MODELS = ("two_user", "consistent", "mixed", "literal")


def setting(batch: int = 4, **fields: Any) -> tuple[Any, Any]:
    system = systems.make("nonorthogonal", objective_form="constrained", **fields)
    return system, system.sample(np.random.default_rng(0), batch)


def candidates(bits: int, elements: int) -> np.ndarray:
    """Every alphabet design with i_0 = 0."""
    levels = 2**bits
    index = np.array(list(itertools.product(range(levels), repeat=elements - 1)))
    return np.exp(2j * np.pi * np.concatenate([np.zeros((len(index), 1)), index], axis=1) / levels)


def largest(scene: Any, bits: int, b: int, i: int) -> tuple[float, np.ndarray]:
    """max |g_2| and its phases."""
    every = candidates(bits, scene.incident.shape[2])
    gain = np.abs(every @ scene.reference["products"][b, i, :, 1])
    return float(gain.max()), every[np.argmax(gain)]


@pytest.mark.parametrize(
    ("bits", "shape", "count"), [(1, (3, 4), 1500), (2, (2, 3), 150), (3, (2, 2), 150), (2, (1, 1), 20), (4, (1, 3), 150)]
)
def test_largest_gain_is_exact(bits: int, shape: tuple[int, int], count: int) -> None:
    """Against all designs: random phases (wrong break points lose in one of 1000), scenes of the system, ties."""
    system, scene = setting(count, phase_bits=bits, surface_shape=shape, num_blocks=2)
    phases = np.random.default_rng(1).uniform(0.0, 2.0 * np.pi, scene.incident.shape)
    loose = system.check_scene(dict(scene.items()) | {"incident": np.exp(1j * phases)})
    even = system.check_scene(dict(scene.items()) | {
        "incident": np.ones_like(scene.incident), "spatial_frequency": np.tile([0.0, np.pi / 2**bits], (count, 2, 1)),
    })  # fmt: skip
    every = candidates(bits, shape[0] * shape[1])
    for held in (loose, scene[:10], even[:1]):
        gains = np.abs(held.reference["products"][..., 1].reshape(-1, every.shape[1]) @ every.T)
        assert np.allclose(held.reference["gain"].ravel(), gains.max(axis=1), rtol=1e-12)


def test_largest_gain_of_continuous_phases() -> None:
    _, scene = setting(phase_bits=None, surface_shape=(3, 4))
    assert np.allclose(scene.reference["gain"], 12.0, rtol=1e-12)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("fisher", ["complex", "paper", "known"])
def test_limit_margins_and_cost(model: str, fisher: str) -> None:
    """Gamma_0 = kappa / (2 a) tr[D^T E g_max^2 A D]^-1; the phases of g_max have 3.01 dB to spare (more where not `complex`)."""
    system, scene = setting(3, model=model, fisher=fisher, num_blocks=2, surface_shape=(2, 2), user_shape=(2, 3), num_slots=3)
    assert (system.sense, system.unit) == (1, "bit/symbol")
    best = np.zeros((3, 2, 4), complex)
    limits = np.zeros((3, 2))
    plain = system.made(scene, best)
    for b, i in itertools.product(range(3), range(2)):
        c = brute.block(system, scene, plain, b, i)
        gain, best[b, i] = largest(scene, 2, b, i)
        a = 2.0 * abs(scene.gain_bs_ris[b, i] * c.alpha) ** 2 * system.power_w * 8 / system.noise_w
        spread = 6 * np.diag([3.0 / 12.0, 8.0 / 12.0])
        d = brute.jacobian(c.angles)
        inverse = np.linalg.inv(d.T @ (np.sum(np.abs(c.x) ** 2) * gain**2 * spread) @ d)
        limits[b, i] = 2.0 * 0.5 / a * np.trace(inverse)
    assert np.allclose(scene.reference["angle_limit"], limits, rtol=1e-10)
    found = system.evaluate(scene, system.made(scene, best))
    spare = found.margins["angle"] - 10 * np.log10(2.0)
    assert found.margins["angle"].shape == (3, 2) and found.feasible.all() and np.all(found.cost == 0.0)
    assert np.allclose(spare, 0.0, atol=1e-9) if fisher == "complex" or model == "two_user" else np.all(spare >= -1e-9)
    rng = np.random.default_rng(4)
    xi = np.exp(0.5j * np.pi * rng.integers(0, 4, (3, 2, 4)))
    xi[0, 0] = best[0, 0] * [1, -1, 1, -1]
    design = NonOrthogonalDesign(coefficients=xi, beams=0.5 * system.made(scene, xi).beams)
    metrics = system.evaluate(scene, design)
    for b in range(3):
        angle = [brute.bounds(brute.block(system, scene, design, b, i)).angle for i in range(2)]
        margin = np.clip(10 * np.log10(limits[b] / angle), -40.0, 40.0)
        assert np.allclose(metrics.margins["angle"][b], margin, atol=1e-8)
        assert metrics.cost[b] == pytest.approx(np.sum(np.maximum(0.0, -margin)) / 10.0, abs=1e-8)
        assert bool(metrics.feasible[b]) == bool(np.all(margin >= -1e-3))
    assert np.allclose(system.penalised(metrics), metrics.score - metrics.cost) and system.default_penalty == 1.0


def test_clipped_margins_and_information() -> None:
    """Margins to 40 dB either way, information to -10 bits in the score."""
    system, scene = setting(2, snr_db=-120.0, model="consistent", fisher="paper")
    silent = NonOrthogonalDesign(coefficients=np.ones((2, 1, 16), complex), beams=np.zeros((2, 1, 8, 1), complex))
    found = system.evaluate(scene, silent)
    assert np.all(found.margins["angle"] == -40.0) and np.allclose(found.cost, 4.0) and np.allclose(found.score, -1.0)
    assert not found.feasible.any()
    generous, scene = setting(2, angle_bound_factor=1e6)
    found = generous.evaluate(scene, generous.decode(scene, generous.start(scene)))
    assert np.all(found.margins["angle"] == 40.0) and found.feasible.all()


def test_limit_follows_the_realisation_and_the_factor() -> None:
    """`known` of `statistical` symbols has E = T, the evaluation the symbols' own energy; Gamma_0 scales with the factor."""
    fields: dict[str, Any] = {"design_symbols": "statistical", "num_slots": 3}
    system, scene = setting(4, **fields)
    known = system.known(scene)
    energy = np.sum(np.abs(scene.symbols) ** 2, axis=-1)
    assert np.allclose(known.reference["angle_limit"] * 3.0, scene.reference["angle_limit"] * energy, rtol=1e-12)
    _, other = setting(4, angle_bound_factor=6.0, **fields)
    assert np.allclose(other.reference["angle_limit"], 3.0 * scene.reference["angle_limit"], rtol=1e-12)


def test_the_constraint_is_active() -> None:
    """Section 5: the best design for decoding alone violates it in most scenes of `physical`; the start rule rarely does."""
    system, scene = setting(200)
    best = system.made(scene, scene.reference["products"][..., 0].conj())
    assert np.mean(~system.evaluate(scene, system.canonical(scene, best)).feasible) > 0.5
    assert np.mean(system.evaluate(scene, system.decode(scene, system.start(scene))).feasible) > 0.95
