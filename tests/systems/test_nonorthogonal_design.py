"""Decisions of `nonorthogonal`: the phase alphabet, decode, encode, project, start rule, canonical design."""

from __future__ import annotations

from typing import Any

import nonorthogonal_brute as brute
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ris_gym import systems
from ris_gym import variables as var
from ris_gym.systems.nonorthogonal.records import NonOrthogonalDesign

BITS = (1, 2, 3, None)
every_alphabet = pytest.mark.parametrize("bits", BITS)
SHAPE = (2, 2, 6)  # batch, blocks, elements


def make(bits: int | None = 2, **fields: Any) -> Any:
    return systems.make("nonorthogonal", **({"num_blocks": 2, "surface_shape": (2, 3), "phase_bits": bits} | fields))


def setting(bits: int | None = 2, **fields: Any) -> tuple[Any, Any]:
    system = make(bits, **fields)
    return system, system.sample(np.random.default_rng(0), SHAPE[0])


SYSTEMS = {bits: setting(bits, num_antennas=3, power_dbm=23.0) for bits in BITS}


def on_alphabet(coefficients: np.ndarray, bits: int | None) -> bool:
    """Modulus 1 and a phase of the alphabet, to 1e-9."""
    if np.max(np.abs(np.abs(coefficients) - 1.0)) > 1e-9:
        return False
    return bits is None or bool(np.max(np.abs(coefficients ** (2**bits) - 1.0)) < 1e-9 * 2**bits)


# -- decode, encode -----------------------------------------------------------------------------------------------------------


@every_alphabet
def test_decode_is_the_nearest_phase_of_the_alphabet(bits: int | None) -> None:
    """theta = pi a; index round(theta / delta) mod 2^b; beams (41)."""
    system, scene = setting(bits)
    (variable,) = system.variables()
    assert (variable.name, variable.shape, variable.kind, variable.owner) == ("phase", (2, 6), "phase", "surface")
    assert variable.n == (None if bits is None else 2**bits) and system.variables("surface") == system.variables("full")
    raw = np.random.default_rng(1).uniform(-1, 1, (2, 12))
    raw[0, :4] = [-1.0, 1.0, 0.0, -1e-300]
    design = system.decode(scene, raw)
    assert design.coefficients.shape == SHAPE and design.beams.shape == (2, 2, 8, 1)
    for b in range(2):
        for k in range(12):
            xi = design.coefficients[b, k // 6, k % 6]
            if bits is None:
                assert xi == pytest.approx(np.exp(1j * np.pi * raw[b, k]), abs=1e-14)
                continue
            delta = 2 * np.pi / 2**bits
            phases = delta * np.arange(2**bits)
            gaps = np.abs(np.exp(1j * np.pi * raw[b, k]) - np.exp(1j * phases))
            assert abs(xi - np.exp(1j * phases[np.argmin(gaps)])) < 1e-12
    w = np.sqrt(system.power_w / 8) * scene.bs_steering
    assert np.allclose(design.beams[..., 0], w, rtol=1e-14)
    assert np.allclose(np.sum(np.abs(design.beams) ** 2, axis=(2, 3)), system.power_w, rtol=1e-12)


@pytest.mark.parametrize("bits", BITS[:-1])
def test_indices_and_raw_numbers(bits: int) -> None:
    """`encode`: a = 2 i / 2^b wrapped to [-1, 1); every index survives the round trip, and is the phase 2 pi i / 2^b."""
    system, scene = setting(bits)
    n = 2**bits
    index = np.random.default_rng(2).integers(0, n, (2, 12))
    raw = var.from_index(system.variables(), index)
    assert np.allclose(raw, (2.0 * index / n + 1.0) % 2.0 - 1.0, atol=0) and raw.min() >= -1.0 and raw.max() < 1.0
    design = system.decode(scene, raw)
    assert np.allclose(design.coefficients.reshape(2, 12), np.exp(2j * np.pi * index / n), atol=1e-12)
    assert np.allclose(system.encode(scene, design), raw, atol=1e-12)
    assert np.array_equal(var.to_index(system.variables(), system.encode(scene, design)), index)
    assert np.array_equal(var.to_index(system.variables(), raw), index)


@pytest.mark.parametrize("bits", BITS[:-1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_half_way_raw_numbers(bits: int, dtype: type) -> None:
    """Half-way cases and their neighbours: `decode`, its torch form, `Variable.index` and `encode` agree on one index."""
    import torch

    system, scene = setting(bits, surface_shape=(8, 3))
    (variable,) = system.variables()
    n = 2**bits
    middle = ((2 * np.arange(-n // 2, n // 2) + 1) / n).astype(dtype)
    every = np.concatenate([middle, np.nextafter(middle, dtype(2)), np.nextafter(middle, dtype(-2)), [-1.0, 1.0, 0.0]])
    raw = np.resize(every.clip(-1, 1).astype(dtype), (2, 48))
    index = variable.index(raw)
    wanted = np.exp(2j * np.pi * index / n).reshape(2, 2, 24)
    design = system.decode(scene, raw)
    assert np.allclose(design.coefficients, wanted, atol=1e-6)
    tensor = system.decode(scene.to_torch(), torch.tensor(raw)).coefficients.numpy()
    assert np.allclose(tensor, wanted, atol=1e-6)
    assert np.array_equal(variable.index(system.encode(scene, design)), index)
    projected = system.project(scene, design)
    assert np.allclose(projected.coefficients, wanted, atol=1e-6)


def test_continuous_round_trip() -> None:
    system, scene = setting(None)
    raw = np.random.default_rng(3).uniform(-1, 1, (2, 12))
    assert np.allclose(system.encode(scene, system.decode(scene, raw)), raw, atol=1e-12)
    with pytest.raises(ValueError, match="alphabet"):
        var.alphabet(system.variables())


def test_encode_ignores_the_beams_and_rounds_the_phases() -> None:
    system, scene = setting(2)
    rng = np.random.default_rng(4)
    xi = np.exp(2j * np.pi * rng.random(SHAPE)) * rng.uniform(0.1, 5.0, SHAPE)
    design = NonOrthogonalDesign(coefficients=xi, beams=0.1 * np.ones((2, 2, 8, 1), complex))
    back = system.decode(scene, system.encode(scene, design))
    assert np.allclose(back.coefficients, system.project(scene, design).coefficients, atol=1e-12)
    canonical = system.canonical(scene, design)
    assert np.allclose(back.beams, canonical.beams) and np.allclose(back.coefficients, canonical.coefficients)
    for b in range(2):
        w = np.sqrt(system.power_w / 8) * scene.bs_steering[b]
        assert np.allclose(canonical.beams[b, ..., 0], w)


# -- projection ---------------------------------------------------------------------------------------------------------------


def numbers(shape: tuple[int, ...]) -> st.SearchStrategy[np.ndarray]:
    """Ordinary numbers, zeros, denormals, huge ones."""
    real = st.one_of(
        st.floats(-3, 3), st.sampled_from([0.0, -0.0, 5e-324, -1e-310, 1e-200, 1e150, -1e154, 1e300, 1.0, -1.0, 0.5]),
    )  # fmt: skip
    return st.builds(lambda a, b: a + 1j * b, arrays(float, shape, elements=real), arrays(float, shape, elements=real))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(xi=numbers(SHAPE), w=numbers((2, 2, 3, 1)), bits=st.sampled_from(BITS))
def test_projection_meets_every_hard_constraint(xi: np.ndarray, w: np.ndarray, bits: int | None) -> None:
    """Modulus 1, alphabet, `||w||^2 <= P_t` to 1e-9; idempotent; short beams and alphabet phases stay."""
    system, scene = SYSTEMS[bits]
    once = system.project(scene, NonOrthogonalDesign(coefficients=xi, beams=w))
    assert on_alphabet(once.coefficients, bits)
    power = np.sum(np.abs(once.beams) ** 2, axis=(2, 3))
    assert np.isfinite(once.beams).all() and np.all(power <= system.power_w * (1.0 + 1e-9))
    twice = system.project(scene, once)
    assert np.array_equal(twice.coefficients, once.coefficients) or np.allclose(
        twice.coefficients, once.coefficients, rtol=0, atol=1e-15
    )
    assert np.allclose(twice.beams, once.beams, rtol=1e-12, atol=0)
    short = np.sum(np.minimum(np.abs(w), 1e3) ** 2, axis=(2, 3)) <= system.power_w
    assert np.array_equal(once.beams[short], w[short])
    assert np.allclose(power[~short], system.power_w, rtol=1e-9)
    assert np.all(np.abs(once.coefficients[xi == 0] - 1.0) < 1e-12), "zero becomes index 0"
    sizeable = (np.abs(xi) > 1e-300) & (np.abs(xi) < 1e151)
    gap = np.angle(once.coefficients * np.conj(np.where(sizeable, xi / np.maximum(np.abs(xi), 1e-300), 1.0)))
    limit = np.pi / 2**bits if bits else 0.0
    assert np.all(np.abs(gap[sizeable]) <= limit + 1e-7), "nearest phase"
    canonical = system.canonical(scene, once)
    assert np.array_equal(canonical.coefficients, once.coefficients)
    assert np.allclose(canonical.beams[..., 0], np.sqrt(system.power_w / 3) * scene.bs_steering)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(raw=arrays(float, (2, 12), elements=st.floats(-1, 1)), bits=st.sampled_from(BITS))
def test_decoded_designs_are_feasible(raw: np.ndarray, bits: int | None) -> None:
    """Exactly, and the projection leaves them."""
    system, scene = SYSTEMS[bits]
    design = system.decode(scene, raw)
    assert on_alphabet(design.coefficients, bits)
    same = system.project(scene, design)
    assert np.allclose(same.coefficients, design.coefficients, rtol=0, atol=1e-12)
    assert np.allclose(same.beams, design.beams, rtol=1e-12)
    metrics = system.evaluate(scene, design)
    assert metrics.feasible.all() and np.all(metrics.cost == 0.0) and np.isfinite(metrics.score).all()


def test_a_longer_beam_keeps_its_direction() -> None:
    system, scene = setting(2)
    rng = np.random.default_rng(5)
    w = rng.standard_normal((2, 2, 8, 1)) + 1j * rng.standard_normal((2, 2, 8, 1))
    w *= np.sqrt(system.power_w) * np.array([[3.0, 0.5], [1.0, 1e6]])[..., None, None] / np.linalg.norm(w, axis=2, keepdims=True)
    once = system.project(scene, NonOrthogonalDesign(coefficients=np.ones(SHAPE, complex), beams=w)).beams
    scale = np.array([[1 / 3.0, 1.0], [1.0, 1e-6]])[..., None, None]
    assert np.allclose(once, scale * w, rtol=1e-9)


# -- start rule ---------------------------------------------------------------------------------------------------------------


@every_alphabet
def test_start_rule_is_the_localisation_beam(bits: int | None) -> None:
    """i_l = round(-arg c_sense / delta) mod 2^b."""
    for model in ("two_user", "consistent", "mixed", "literal"):
        system = make(bits, model=model)
        scene = system.sample(np.random.default_rng(6), 2, csi_error=0.1)
        known = system.known(scene)
        raw = system.start(known)
        design = system.decode(known, raw)
        assert np.all(np.abs(raw) <= 1.0) and np.array_equal(system.start(known, "surface"), raw)
        for b in range(2):
            for i in range(2):
                _, sense = brute.products(brute.block(system, known, design, b, i), known.incident[b, i])
                wanted = -np.angle(sense)
                if bits is not None:
                    delta = 2 * np.pi / 2**bits
                    wanted = delta * (np.round(wanted / delta) % 2**bits)
                assert np.allclose(design.coefficients[b, i], np.exp(1j * wanted), atol=1e-9), (model, bits)


def test_start_rule_is_near_the_largest_gain() -> None:
    """Two bits lose at most half an alphabet step per element: |g_2| > L cos(pi / 4), and more on average."""
    system = make(2, surface_shape=(4, 4))
    scene = system.sample(np.random.default_rng(7), 200)
    gain = system.evaluate(scene, system.decode(scene, system.start(scene))).gain_sense
    assert gain.min() > np.cos(np.pi / 4) and gain.mean() == pytest.approx(np.sinc(1 / 4), abs=0.04)


def test_wrong_shapes_and_controls_are_named() -> None:
    system, scene = setting(2)
    with pytest.raises(ValueError, match="raw must have shape"):
        system.decode(scene, np.zeros((2, 11)))
    for call in (system.encode, system.decode):
        with pytest.raises(ValueError, match="control must be one of"):
            call(scene, np.zeros((2, 12)) if call is system.decode else system.decode(scene, np.zeros((2, 12))), "structured")
    with pytest.raises(ValueError, match="control must be one of"):
        system.start(scene, "structured")
