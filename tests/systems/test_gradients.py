"""Derivatives of the penalised score's pieces, and the prox-linear step made of them."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

from ris_gym import systems
from ris_gym import variables as var
from ris_gym.systems.ascent import prox_linear, simplex
from ris_gym.systems.base import System

CASES: dict[str, dict[str, Any]] = {
    "one user": {"num_users": 1, "num_sensing_beams": 2},
    "information only": {"num_users": 1, "num_sensing_beams": 0},
    "not cancelled": {"num_users": 1, "num_sensing_beams": 1, "cancel_sensing": False},
    "two users": {"num_users": 2, "num_sensing_beams": 2},
    "three users, not cancelled": {"num_users": 3, "num_sensing_beams": 1, "cancel_sensing": False},
    "more beams than antennas": {"num_users": 2, "num_sensing_beams": 4, "num_antennas": 3},
}
CONTROLS = ("full", "structured", "surface")
BATCH = 4


@cache
def setting(case: str, csi_error: float = 0.0) -> tuple[Any, Any]:
    """A small system whose margins are not clipped, and what is known of a few scenes."""
    system = systems.make("beampattern", num_antennas=4, num_elements=5, sinr_threshold_db=5.0).to_dict() | CASES[case]
    made = systems.from_dict(system)
    scene = made.sample(np.random.default_rng(3), BATCH, csi_error=csi_error)
    return made, made.known(scene)


def raws(system: System, control: str, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.9, 0.9, (BATCH, var.length(system.variables(control))))


def pieces(system: System, known: Any, raw: np.ndarray, control: str) -> np.ndarray:
    score, slack = system.pieces(system.evaluate(known, system.decode(known, raw, control)))
    return np.concatenate([score, slack], axis=1)


def differences(system: System, known: Any, raw: np.ndarray, control: str, h: float = 1e-5) -> np.ndarray:
    """Central differences of fourth order, (B, p, n)."""
    columns = []
    for i in range(raw.shape[1]):
        step = np.zeros(raw.shape[1])
        step[i] = h
        at = [pieces(system, known, raw + c * step, control) for c in (-2.0, -1.0, 1.0, 2.0)]
        columns.append((at[0] - 8.0 * at[1] + 8.0 * at[2] - at[3]) / (12.0 * h))
    return np.stack(columns, axis=-1)


@pytest.mark.parametrize("csi_error", [0.0, 0.2])
@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize("case", CASES)
def test_jacobian(case: str, control: str, csi_error: float) -> None:
    """numpy (or the system's choice) = torch autograd = central differences."""
    system, known = setting(case, csi_error)
    raw = raws(system, control)
    score, slack, jacobian = system.pieces_jacobian(known, raw, control)
    assert np.allclose(np.concatenate([score, slack], axis=1), pieces(system, known, raw, control), atol=1e-10)
    _, _, torchs = System.pieces_jacobian(system, known, raw, control)
    scale = 1.0 + np.abs(torchs).max()
    assert np.max(np.abs(jacobian - torchs)) <= 1e-10 * scale
    assert np.max(np.abs(jacobian - differences(system, known, raw, control))) <= 1e-6 * scale


@pytest.mark.parametrize("name", systems.names())
def test_score_gradient_of_every_system(name: str) -> None:
    """The derivative of score - penalty * cost for every control, by central differences along random directions.

    Systems with an alphabet by default are differentiated before the rounding: their `continuous` form is the reference.
    """
    system = systems.make(name)
    smooth = getattr(system, "continuous", system)
    if "local" not in system.observations:
        return
    known = system.known(system.sample(np.random.default_rng(0), BATCH))
    for control in system.controls:
        raw = raws(system, control, 5)
        value, gradient = system.score_gradient(known, raw, control, 2.0)
        assert value.shape == (BATCH,) and gradient.shape == raw.shape

        def penalised(u: np.ndarray, control: str = control) -> np.ndarray:
            return system.penalised(system.evaluate(known, smooth.decode(known, u, control)), 2.0)

        assert np.allclose(value, penalised(raw), atol=1e-9)
        for seed in range(3):
            along = np.random.default_rng(seed).standard_normal(raw.shape)
            along /= np.linalg.norm(along, axis=1, keepdims=True)
            found = (penalised(raw + 1e-6 * along) - penalised(raw - 1e-6 * along)) / 2e-6
            assert np.allclose(found, np.sum(gradient * along, axis=1), rtol=1e-4, atol=1e-5 * (1 + np.abs(gradient).max()))


def test_score_gradient_is_the_first_worst_piece_and_every_violation() -> None:
    system, known = setting("two users")
    raw = raws(system, "full")
    score, slack, jacobian = system.pieces_jacobian(known, raw)
    value, gradient = system.score_gradient(known, raw, penalty=3.0)
    for b in range(BATCH):
        expected = jacobian[b, np.argmin(score[b])].copy()
        expected += 3.0 * sum(jacobian[b, score.shape[1] + k] for k in range(slack.shape[1]) if slack[b, k] < 0)
        assert np.allclose(gradient[b], expected)
        assert value[b] == pytest.approx(score[b].min() - 3.0 * np.maximum(0, -slack[b]).sum())
    default = system.score_gradient(known, raw)[0]
    assert np.allclose(default, system.penalised(system.evaluate(known, system.decode(known, raw))))


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize("case", CASES)
def test_always_finite(case: str, control: str, dtype: str) -> None:
    """Zero beams, corners of the box, equal columns: no nan, no inf."""
    system, known = setting(case)
    known = known.astype(dtype)
    n = var.length(system.variables(control))
    extremes = np.stack([np.zeros(n), np.ones(n), -np.ones(n), np.where(np.arange(n) % 2, 1.0, 0.0)])
    nearly = np.where(np.arange(n) < system.num_elements, extremes, 1e-13)
    for raw in (extremes, nearly):
        raw = raw.astype(known.bs_ris.real.dtype)
        for array in system.pieces_jacobian(known, raw, control):
            assert np.isfinite(array).all()
        value, gradient = system.score_gradient(known, raw, control)
        assert np.isfinite(value).all() and np.isfinite(gradient).all()
        for name, array in system.observe_local(known, raw, control, 1.0).items():
            assert np.isfinite(array).all(), name


def test_single_precision() -> None:
    system, known = setting("two users")
    raw = raws(system, "full")
    _, double = system.score_gradient(known, raw)
    _, single = system.score_gradient(known.astype("complex64"), raw.astype(np.float32))
    assert single.dtype == np.float32 and np.allclose(single, double, rtol=1e-3, atol=1e-3 * np.abs(double).max())


def test_floored_gains_have_no_slope() -> None:
    """At zero beams everything is at its floor and the derivative is 0."""
    system, known = setting("two users")
    raw = raws(system, "full")
    raw[:, system.num_elements :] = 0.0
    assert not np.any(system.score_gradient(known, raw)[1])


# -- the local frame ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("control", CONTROLS)
def test_local_frame(control: str) -> None:
    system, known = setting("two users", 0.1)
    raw = raws(system, control)
    frame = system.observe_local(known, raw, control, 1.5)
    _, gradient = system.score_gradient(known, raw, control, 1.5)
    norm = np.linalg.norm(gradient, axis=1, keepdims=True)
    n = raw.shape[1]
    assert np.allclose(frame["direction"], np.sqrt(n) * gradient / norm, atol=1e-9)
    assert np.allclose(frame["log_norm"], np.log10(norm + 1e-6))
    score, slack, jacobian = system.pieces_jacobian(known, raw, control)
    steps = prox_linear(score, slack, jacobian, 1.5, np.asarray(systems.base.ASCENT_STEPS))
    rms = np.sqrt(np.mean(steps**2, axis=-1, keepdims=True))
    shown = steps / np.maximum(rms, systems.base.ASCENT_REACH)
    assert np.allclose(frame["ascent"], shown) and np.allclose(frame["ascent_log_norm"], np.log10(rms[..., 0] + 1e-6))
    v = system.decode(known, raw, control).coefficients
    assert frame["alignment"].shape == (BATCH, 2, system.num_users + len(system.angles_deg), system.num_elements)
    for b in range(BATCH):
        own, total = [], []
        for k in range(system.num_users):
            path = known.ris_user[b, k].conj()[:, None] * v[b][:, None] * known.bs_ris[b]
            own.append(path)
            total.append(path.sum(axis=0) + known.bs_user[b, k].conj())
        for a in system.steering:
            path = a.conj()[:, None] * v[b][:, None] * known.bs_ris[b]
            own.append(path)
            total.append(path.sum(axis=0))
        aligned = np.stack([(t.conj() * p).sum(axis=1) for p, t in zip(own, total, strict=True)])
        aligned = aligned / np.sqrt(np.mean(np.abs(aligned) ** 2))
        assert np.allclose(frame["alignment"][b, 0] + 1j * frame["alignment"][b, 1], aligned, atol=1e-9)
        unit = np.stack([t / np.linalg.norm(t) for t in total])
        gram = (unit @ unit.conj().T)[np.triu_indices(len(unit), 1)]
        assert np.allclose(frame["gram"][b, 0] + 1j * frame["gram"][b, 1], gram, atol=1e-9)


# -- prox-linear ----------------------------------------------------------------------------------------------------------------


def problem(seed: int, p: int, q: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return 0.1 * rng.standard_normal((1, p)), 0.1 * rng.standard_normal((1, q)), rng.standard_normal((1, p + q, n))


def primal(d: np.ndarray, score: np.ndarray, slack: np.ndarray, jacobian: np.ndarray, penalty: float, step: float) -> float:
    """`min_i (s_i + J_i d) - penalty sum_j max(0, -(c_j + J_j d)) - ||d||^2 / (2 step)`."""
    p = score.shape[1]
    moved = jacobian[0] @ d
    cost = np.maximum(0.0, -(slack[0] + moved[p:])).sum()
    return float(np.min(score[0] + moved[:p]) - penalty * cost - d @ d / (2.0 * step))


def by_slsqp(score: np.ndarray, slack: np.ndarray, jacobian: np.ndarray, penalty: float, step: float) -> np.ndarray:
    """The same as a smooth programme in `(d, t, e)`: maximise `t - penalty 1^T e - ||d||^2 / (2 step)`."""
    p, q, n = score.shape[1], slack.shape[1], jacobian.shape[2]
    j = jacobian[0]
    low = np.hstack([j[:p], -np.ones((p, 1)), np.zeros((p, q))])
    high = np.hstack([j[p:], np.zeros((q, 1)), np.eye(q)])
    matrix, offset = np.vstack([low, high]), np.concatenate([score[0], slack[0]])
    constraint = {"type": "ineq", "fun": lambda x: matrix @ x + offset, "jac": lambda x: matrix}
    start = np.concatenate([np.zeros(n), [score[0].min()], np.maximum(0, -slack[0])])
    found = minimize(
        lambda x: x[:n] @ x[:n] / (2 * step) - x[n] + penalty * x[n + 1 :].sum(),
        start,
        jac=lambda x: np.concatenate([x[:n] / step, [-1.0], np.full(q, penalty)]),
        bounds=[(None, None)] * (n + 1) + [(0, None)] * q,
        constraints=[constraint],
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-14},
    )
    assert found.success, found.message
    return found.x[:n]


@pytest.mark.parametrize("penalty", [0.0, 0.5, 2.0])
@pytest.mark.parametrize(("p", "q", "n"), [(1, 1, 3), (3, 0, 4), (5, 1, 8), (4, 3, 6)])
def test_prox_linear_against_slsqp(p: int, q: int, n: int, penalty: float) -> None:
    steps = np.array([0.03, 0.3, 1.5])
    for seed in range(2):
        data = problem(seed, p, q, n)
        ours = prox_linear(*data, penalty, steps, iterations=3000)[0]
        for step, d in zip(steps, ours, strict=True):
            best = by_slsqp(*data, penalty, step)
            assert primal(d, *data, penalty, step) >= primal(best, *data, penalty, step) - 1e-8
            assert np.allclose(d, best, atol=2e-4)


@pytest.mark.parametrize("seed", range(4))
def test_dual_decreases(seed: int) -> None:
    """Doubling the iterations lowers the dual, at the accelerated rate `2 L R^2 / (k + 1)^2`; strong duality holds at the end."""
    score, slack, jacobian = problem(seed, 5, 2, 8)
    penalty, step = 1.0, 0.5
    value = np.concatenate([score, slack], axis=1)[0]
    gram = jacobian[0] @ jacobian[0].T

    def dual(iterations: int) -> float:
        d = prox_linear(score, slack, jacobian, penalty, np.array([step]), iterations)[0, 0]
        weights = np.linalg.lstsq(jacobian[0].T, d / step, rcond=None)[0]
        assert weights[:5].sum() == pytest.approx(1.0) and weights.min() > -1e-9 and weights[5:].max() <= penalty + 1e-9
        return float(0.5 * step * weights @ gram @ weights + weights @ value)

    rounds = np.array([1, 2, 4, 8, 16, 64, 2000])
    values = np.array([dual(i) for i in rounds])
    assert np.all(np.diff(values) <= 1e-3 * (values[0] - values[-1])), values
    curvature = step * np.abs(gram).sum(axis=1).max()
    assert np.all(values - values[-1] <= 2.0 * curvature * (2.0 + 2.0 * penalty**2) / (rounds + 1.0) ** 2)
    final = prox_linear(score, slack, jacobian, penalty, np.array([step]), 2000)[0, 0]
    assert values[-1] == pytest.approx(primal(final, score, slack, jacobian, penalty, step), abs=1e-8)


def test_one_piece_is_the_gradient_step() -> None:
    score, _, jacobian = problem(0, 1, 0, 5)
    steps = prox_linear(score, np.zeros((1, 0)), jacobian, 1.0, np.array([0.1, 2.0]))
    assert np.allclose(steps[0], np.array([[0.1], [2.0]]) * jacobian[0])


def test_met_constraints_far_away_do_not_act() -> None:
    score, _, jacobian = problem(1, 1, 1, 5)
    steps = prox_linear(score, np.full((1, 1), 1e3), jacobian, 1.0, np.array([0.1]))
    assert np.allclose(steps[0, 0], 0.1 * jacobian[0, 0])


def test_prox_linear_is_batched_and_keeps_precision() -> None:
    data = [problem(seed, 4, 2, 6) for seed in range(5)]
    joined = [np.concatenate(parts) for parts in zip(*data, strict=True)]
    steps = np.array([0.03, 0.3])
    together = prox_linear(*joined, 1.0, steps)
    for b, one in enumerate(data):
        assert np.allclose(together[b], prox_linear(*one, 1.0, steps)[0], atol=1e-12)
    single = prox_linear(*[a.astype(np.float32) for a in joined], 1.0, steps)
    assert single.dtype == np.float32 and np.allclose(single, together, atol=1e-4)
    zero = prox_linear(joined[0], joined[1], 0 * joined[2], 1.0, steps)
    assert not zero.any()


def test_simplex() -> None:
    rng = np.random.default_rng(0)
    points = 3.0 * rng.standard_normal((200, 6))
    found = simplex(points)
    assert np.all(found >= 0) and np.allclose(found.sum(axis=1), 1.0)
    others = rng.dirichlet(np.ones(6), (200, 50))
    gap = points[:, None] - found[:, None]
    assert np.all(np.sum(gap * (others - found[:, None]), axis=-1) <= 1e-9), "the projection's variational inequality"
    assert np.allclose(simplex(found), found) and np.allclose(simplex(np.full((1, 4), -7.0)), 0.25)


def test_an_exact_step_raises_the_penalised_score() -> None:
    """Small enough steps of the true system improve it where the plain gradient of a tied minimum may not."""
    system, known = setting("two users")
    raw = raws(system, "full", 8)
    score, slack, jacobian = system.pieces_jacobian(known, raw)
    before = system.score_gradient(known, raw)[0]
    step = prox_linear(score, slack, jacobian, 1.0, np.array([1e-3]), 500)[:, 0]
    assert np.all(system.score_gradient(known, raw + step)[0] > before)
