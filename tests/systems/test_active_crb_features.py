"""Observations of `active_crb` by hand: channel features, the design's state, the local frame."""

from __future__ import annotations

from functools import cache
from typing import Any

import active_crb_brute as brute
import numpy as np
import pytest

from ris_gym import systems
from ris_gym import variables as var
from ris_gym.systems import ActiveCrb
from ris_gym.systems.base import System

BATCH = 4
CASES: dict[str, dict[str, Any]] = {
    "default": {},
    "small": {"num_antennas": 5, "num_elements": 3, "num_users": 2, "noise_surface_dbm": -65.0, "sinr_threshold_db": 3.0},
    "sensing only": {"sinr_threshold_db": None},
    "passive": {"kind": "passive", "num_users": 2},
    "passive sensing only": {"preset": "passive"},
}
every_case = pytest.mark.parametrize("case", CASES)


@cache
def setting(case: str) -> tuple[ActiveCrb, Any, Any]:
    """A system, its scenes and what is known of them."""
    system = systems.make("active_crb", **CASES[case])
    assert isinstance(system, ActiveCrb)
    scene = system.sample(np.random.default_rng(1), BATCH, csi_error=0.1)
    return system, scene, system.known(scene)


def uniform(system: ActiveCrb, control: str, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.9, 0.9, (BATCH, var.length(system.variables(control))))


def parts(array: np.ndarray) -> np.ndarray:
    """Real parts, then imaginary parts."""
    return np.concatenate([array.real.ravel(), array.imag.ravel()])


@every_case
def test_observe_by_hand(case: str) -> None:
    """Every array of the page in its order, real parts before imaginary ones."""
    system, _, known = setting(case)
    design = system.decode(known, uniform(system, "full"))
    found, metrics = system.observe(known, design), system.evaluate(known, design)
    assert found.dtype == np.float32
    centre = np.array([60.0, -22.5]) - np.array([30.0, 10.0])
    user = 1e-3 * np.linalg.norm(centre) ** -2.8
    link = np.sqrt(1e-3 * np.hypot(30.0, 10.0) ** -2.2)
    target = np.sqrt(1e-3 * 10.0 / (4.0 * np.pi)) * np.hypot(5.0, 6.0) ** -2.0
    for b in range(BATCH):
        rms = np.sqrt(np.mean(np.abs(known.ris_user[b]) ** 2, axis=1))
        expected = [
            parts(known.bs_ris[b] / link),
            parts(known.ris_user[b] / rms[:, None]),
            (10 * np.log10(rms**2) - 10 * np.log10(user)) / 10.0,
            parts(known.target_response[b][np.triu_indices(system.num_elements)] / target),
            [metrics.score[b]],
        ]
        if system.sinr_threshold is not None:
            expected.append(metrics.margins["sinr"][b] / 10.0)
        expected.append([metrics.power_w[b] / system.power_w])
        if not system.passive:
            expected.append([metrics.surface_power_w[b] / system.surface_power_w])
        assert np.allclose(found[b], np.concatenate(expected), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("control", ["full", "structured", "surface"])
@every_case
def test_local_frame_by_hand(case: str, control: str) -> None:
    """Direction and log-norm of the derivative, paths per element and user, shares, the Gram matrix."""
    system, _, known = setting(case)
    raw = uniform(system, control, 2)
    frame = system.observe_local(known, raw, control, 2.0)
    _, gradient = system.score_gradient(known, raw, control, 2.0)
    n = raw.shape[1]
    norm = np.linalg.norm(gradient, axis=1, keepdims=True)
    direction = np.sqrt(n) * gradient / np.maximum(norm, 1e-300)
    longest = np.max(np.abs(direction), axis=1, keepdims=True)  # shortened into the observation space, not clipped
    shown = direction * np.minimum(1.0, 9.9 / np.maximum(longest, 1e-300))
    assert np.allclose(frame["direction"], shown, atol=1e-6)
    assert np.allclose(frame["log_norm"], np.log10(norm + 1e-6), atol=1e-9)
    design = system.decode(known, raw, control)
    users, elements = system.num_users, system.num_elements
    upper = np.triu_indices(users, 1)
    for b in range(BATCH):
        c = brute.case(system, known, design, b)
        paths = (c.h.conj() * c.v) @ c.g
        aligned = np.zeros((users, elements), complex)
        for k in range(users):
            for i in range(elements):
                own = c.h[k, i].conj() * c.v[i] * c.g[i]
                aligned[k, i] = own @ paths[k].conj()
        aligned = aligned / np.sqrt(np.mean(np.abs(aligned) ** 2))
        assert np.allclose(frame["alignment"][b, 0] + 1j * frame["alignment"][b, 1], aligned, atol=1e-5)
        unit = paths / np.linalg.norm(paths, axis=1, keepdims=True)
        gram = (unit @ unit.conj().T)[upper]
        assert np.allclose(frame["gram"][b, 0] + 1j * frame["gram"][b, 1], gram, atol=1e-5)
        a2, arriving = np.abs(c.v) ** 2, c.g @ c.r @ c.g.conj().T
        sums = [np.diag(np.linalg.inv(matrix)).real / a2 for matrix in (arriving, c.g @ c.g.conj().T)]
        if not system.passive:
            psi, noise = np.diag(c.v), c.noise_surface * np.eye(elements)
            echo = c.target @ psi @ (arriving + noise) @ psi.conj().T @ c.target.conj().T
            sums.append(a2 * np.diag(arriving + echo + 2.0 * noise).real)
        shares = np.stack([one / one.sum() for one in sums])
        assert np.allclose(frame["share"][b], np.log10(elements * shares + 1e-3), atol=1e-5)


@pytest.mark.parametrize("control", ["full", "structured", "surface"])
@every_case
def test_closed_form_derivatives_are_those_of_torch(case: str, control: str) -> None:
    """Also where the floor is added, where a budget changes hands, and at the clips."""
    system, _, known = setting(case)
    full = uniform(system, control, 4)
    floored = full.copy()
    for name, where in var.slices(system.variables(control)).items():
        if name.endswith("beams"):
            floored[1:, where] = 0.0
            floored[2:, where.start : where.start + 1] = 0.5
    quiet = full.copy()
    where = var.slices(system.variables(control)).get("amplitude")
    if where is not None:
        quiet[:, where] = np.linspace(-1.0, 0.0, BATCH)[:, None]
    for raw in (full, floored, quiet):
        ours = system.pieces_jacobian(known, raw, control)
        theirs = System.pieces_jacobian(system, known, raw, control)
        for a, b in zip(ours, theirs, strict=True):
            assert np.max(np.abs(a - b), initial=0.0) <= 1e-9 * (1.0 + np.abs(b).max(initial=0.0))
