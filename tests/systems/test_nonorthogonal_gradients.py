"""Derivatives of the unrounded score of `nonorthogonal`: closed form, automatic differentiation, central differences."""

from __future__ import annotations

import itertools
from typing import Any

import nonorthogonal_brute as brute
import numpy as np
import pytest

from ris_gym import systems

MODELS = ("two_user", "consistent", "mixed", "literal")
FISHERS = ("complex", "paper", "known")
CASES = list(itertools.product(MODELS, FISHERS, ("weighted", "constrained")))
STEP = 1e-6


def setting(model: str, fisher: str, form: str, **fields: Any) -> tuple[Any, Any, np.ndarray]:
    sizes: dict[str, Any] = {"num_blocks": 2, "surface_shape": (2, 3), "user_shape": (2, 3), "num_slots": 3}
    sizes |= {"weight": 0.3, "symbol_variance": 0.7}
    system = systems.make("nonorthogonal", model=model, fisher=fisher, objective_form=form, **(sizes | fields))
    known = system.known(system.sample(np.random.default_rng(1), 4, csi_error=0.1))
    return system, known, np.random.default_rng(2).uniform(-1, 1, (4, 12))


def pieces(system: Any, known: Any, raw: np.ndarray) -> np.ndarray:
    """Score and slacks of the phases before they are rounded, (B, p + q)."""
    phases = np.exp(1j * np.pi * raw.reshape(len(raw), system.num_blocks, system.num_elements))
    return np.concatenate(system.pieces(system.evaluate(known, system.made(known, phases))), axis=1)


@pytest.mark.parametrize(("model", "fisher", "form"), CASES)
def test_jacobian(model: str, fisher: str, form: str) -> None:
    """Central differences of every number of the raw vector; numpy's closed form = torch; single precision is close."""
    system, known, raw = setting(model, fisher, form)
    score, slack, jacobian = system.pieces_jacobian(known, raw)
    assert score.shape == (4, 1) and slack.shape == (4, 0 if form == "weighted" else 2) and jacobian.shape[2] == 12
    value = pieces(system, known, raw)
    assert np.allclose(np.concatenate([score, slack], axis=1), value, atol=1e-10)
    scale = 1.0 + np.abs(jacobian).max()
    for k in range(12):
        change = STEP * np.eye(12)[k]
        slope = (pieces(system, known, raw + change) - pieces(system, known, raw - change)) / (2 * STEP)
        assert np.allclose(jacobian[..., k], slope, rtol=0, atol=2e-7 * scale), k
    torch_score, _, torch_jacobian = system.continuous.differentiated(known, raw, "full")
    assert np.allclose(score, torch_score, atol=1e-11) and np.allclose(jacobian, torch_jacobian, rtol=0, atol=1e-9 * scale)
    single = system.pieces_jacobian(known.astype("complex64"), raw.astype(np.float32))
    assert single[2].dtype == np.float32 and np.allclose(single[2], jacobian, rtol=0, atol=3e-4 * scale)
    assert np.allclose(single[0], score, atol=1e-4)


def test_derivative_does_not_see_the_alphabet() -> None:
    """The same for 1, 2, 3 bits and none; orthogonal to a common phase of each block."""
    wanted = None
    for bits in (None, 1, 2, 3):
        system, known, raw = setting("consistent", "paper", "weighted", phase_bits=bits)
        _, _, jacobian = system.pieces_jacobian(known, raw)
        wanted = jacobian if wanted is None else wanted
        assert np.array_equal(jacobian, wanted)
    assert np.allclose(wanted.reshape(4, 2, 6).sum(axis=2), 0.0, atol=1e-10)


def test_penalised_score_of_the_constrained_form() -> None:
    system, known, raw = setting("two_user", "complex", "constrained", angle_bound_factor=1.0)
    value, gradient = system.score_gradient(known, raw, penalty=2.0)
    penalised = lambda u: np.array([p[0] - 2.0 * np.sum(np.maximum(0.0, -p[1:])) for p in pieces(system, known, u)])  # noqa: E731
    assert np.allclose(value, penalised(raw)) and np.any(pieces(system, known, raw)[:, 1:] < 0.0)
    along = np.random.default_rng(3).standard_normal(raw.shape)
    slope = (penalised(raw + STEP * along) - penalised(raw - STEP * along)) / (2 * STEP)
    assert np.allclose(slope, np.sum(gradient * along, axis=1), atol=1e-6 * (1 + np.abs(gradient).max()))


def test_dead_gains_have_finite_slopes() -> None:
    """Alternating signs of the localisation beam: g_2 = 0 (and g_1 = 0 in `consistent`)."""
    for model, fisher, form in CASES:
        system, known, _ = setting(model, fisher, form)
        phase = -np.angle(known.reference["products"][..., 1]) + np.pi * (np.arange(6) % 2)
        found = system.pieces_jacobian(known, phase.reshape(4, 12) / np.pi)
        assert all(np.isfinite(part).all() for part in found), (model, fisher, form)


@pytest.mark.parametrize("form", ["weighted", "constrained"])
def test_local_frame(form: str) -> None:
    """sqrt(n) d / ||d||, log10(||d|| + 1e-6), xi c g^* over its rms per block (section 12)."""
    system, known, raw = setting("two_user", "complex", form)
    frame = system.observe_local(known, raw, "full", 1.0)
    _, gradient = system.score_gradient(known, raw, penalty=1.0)
    norm = np.linalg.norm(gradient, axis=1, keepdims=True)
    assert np.allclose(frame["direction"], np.sqrt(12) * gradient / norm, atol=1e-5)
    assert np.allclose(frame["log_norm"], np.log10(norm + 1e-6), atol=1e-5)
    design = system.decode(known, raw)
    for b in range(4):
        sides: dict[str, list[np.ndarray]] = {"comm_alignment": [], "sense_alignment": []}
        for i in range(2):
            c = brute.block(system, known, design, b, i)
            for name, product in zip(sides, brute.products(c, known.incident[b, i]), strict=True):
                turned = c.xi * product * np.conj(np.sum(c.xi * product))
                sides[name].append(turned / np.sqrt(np.mean(np.abs(turned) ** 2)))
        for name, wanted in sides.items():
            numbers = np.concatenate([np.real(wanted).ravel(), np.imag(wanted).ravel()])
            assert np.allclose(np.sort(np.ravel(frame[name][b])), np.sort(numbers), atol=1e-5), name
