"""Derivatives of the pieces of `active_crb` through decode: against differences, through the floor, at the clips."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from active_crb_designs import BATCH, every_case, every_control, setting, uniform

from ris_gym import variables as var
from ris_gym.systems import ActiveCrb
from ris_gym.systems.active_crb import ActiveCrbScene


def pieces(system: ActiveCrb, known: ActiveCrbScene, raw: np.ndarray, control: str) -> np.ndarray:
    score, slack = system.pieces(system.evaluate(known, system.decode(known, raw, control)))
    return np.concatenate([score, slack], axis=1)


def differences(system: ActiveCrb, known: ActiveCrbScene, raw: np.ndarray, control: str, h: float) -> np.ndarray:
    """Central differences of fourth order, (B, p, n)."""
    columns = []
    for i in range(raw.shape[1]):
        step = np.zeros(raw.shape[1])
        step[i] = h
        at = [pieces(system, known, raw + c * step, control) for c in (-2.0, -1.0, 1.0, 2.0)]
        columns.append((at[0] - 8.0 * at[1] + 8.0 * at[2] - at[3]) / (12.0 * h))
    return np.stack(columns, axis=-1)


@every_case
@every_control
def test_gradients(case: str, control: str) -> None:
    """Derivatives of every piece through decode, by central differences."""
    system, scene = setting(case)
    raw = 0.9 * uniform(system, control, 3)
    _, _, jacobian = system.pieces_jacobian(scene, raw, control)
    found = differences(system, scene, raw, control, 1e-4)
    assert np.max(np.abs(jacobian - found)) <= 1e-6 * (1.0 + np.abs(found).max())


@pytest.mark.parametrize("case", ["both budgets", "surface limited", "sensing only", "passive"])
def test_gradients_through_the_floor(case: str) -> None:
    """Singular beams: the derivative is that of the floored design, up to the clip of the score."""
    system, scene = setting(case)
    where = var.slices(system.variables())
    raw = 0.9 * uniform(system, "full", 3)
    column = np.zeros((BATCH, system.num_antennas, system.num_elements), complex)
    rng = np.random.default_rng(4)
    column[..., 0] = rng.uniform(-1, 1, column.shape[:2]) + 1j * rng.uniform(-1, 1, column.shape[:2])
    raw[:, where["sensing_beams"]] = var.join(system.variables()[1:2], {"sensing_beams": column})
    raw[:, where["beams"]] = 0.0
    for point in (raw, 0.0 * raw):  # a step along one number leaves them singular
        gradient, found = objective_gradient(system, scene, point), objective_differences(system, scene, point, 1e-4)
        assert np.isfinite(gradient).all()
        assert np.max(np.abs(gradient - found)) <= 1e-5 * (1.0 + np.abs(found).max())
    assert np.abs(objective_gradient(system, scene, raw)[:, where["sensing_beams"]]).max() > 1e-2


def objective_gradient(system: ActiveCrb, known: ActiveCrbScene, raw: np.ndarray) -> np.ndarray:
    """Derivative of the objective in dB (the score is clipped at such designs), (B, n)."""
    import torch

    u, at = torch.tensor(raw, requires_grad=True), known.to_torch()
    (gradient,) = torch.autograd.grad(system.evaluate(at, system.decode(at, u)).objective.sum(), u)
    return gradient.numpy()


def objective_differences(system: ActiveCrb, known: ActiveCrbScene, raw: np.ndarray, h: float) -> np.ndarray:
    """The same by central differences."""
    columns = []
    for step in h * np.eye(raw.shape[1]):
        ends = [system.evaluate(known, system.decode(known, raw + sign * step)).objective for sign in (1.0, -1.0)]
        columns.append((ends[0] - ends[1]) / (2.0 * h))
    return np.stack(columns, axis=1)


def test_clipped_pieces_have_no_slope() -> None:
    """Beyond the clips of score (-6), margins (40 dB) and cost (3 per user) nothing moves."""
    system, scene = setting("both budgets")
    raw = uniform(system, "full", 3)
    far = dataclasses.replace(system, sinr_threshold_db=90.0)
    score, slack, jacobian = far.pieces_jacobian(scene, raw)
    assert not jacobian[:, score.shape[1] :].any() and np.allclose(np.maximum(0, -slack).sum(axis=1), 6.0)
    where = var.slices(system.variables())["amplitude"]
    raw[:, where] = -1.0  # 60 dB below the cap
    score, _, jacobian = system.pieces_jacobian(scene, raw)
    assert np.all(score == -6.0) and not jacobian[:, : score.shape[1]].any()


@every_control
@pytest.mark.parametrize("case", ["both budgets", "sensing only", "passive"])
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_gradients_are_finite(case: str, control: str, dtype: str) -> None:
    """Zero beams, corners of the box, equal columns: no nan, no inf."""
    system, scene = setting(case)
    known = scene.astype(dtype)
    n = var.length(system.variables(control))
    extremes = np.stack([np.zeros(n), np.ones(n), -np.ones(n), np.where(np.arange(n) % 2, 1.0, 0.0)])
    for raw in (extremes, 1e-13 * extremes):
        raw = raw.astype(known.bs_ris.real.dtype)
        for array in system.pieces_jacobian(known, raw, control):
            assert np.isfinite(array).all()
        for name, array in system.observe_local(known, raw, control, 2.0).items():
            assert np.isfinite(array).all(), name
