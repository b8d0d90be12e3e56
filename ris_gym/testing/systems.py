"""Self-checks of systems and solutions: projection and decoding, derivatives, monotone histories."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ris_gym import variables as var
from ris_gym.arrays import Batch
from ris_gym.systems.base import System

TOLERANCES = {"complex128": (1e-12, 1e-9), "complex64": (2e-6, 2e-5)}
"""Of idempotence (relative) and of metrics, by precision."""


def check_projection(system: System, batch: int = 8, seed: int = 0, sampler: str = "sample") -> None:
    """Check that projecting and decoding give hard-feasible designs, for every control and both precisions.

    - `project` is idempotent (1e-12; complex64 2e-6), also for wild designs, and keeps the precision;
    - `decode` of any raw vector (random, corners, zero) is left unchanged by `project`, so it meets every hard constraint;
    - metrics are finite, and margins, cost and feasibility agree;
    - `decode(encode(d))` has the metrics of d = decode(raw) (complex128, 1e-9).

    Args:
        system: the system; batch: number of scenes; seed: of scenes and designs.
        sampler: the system's method that draws the scenes (that of an `Episode`).

    Raises:
        AssertionError: what is violated, for which control and precision, and by how much.
    """
    for dtype, (exact, _) in TOLERANCES.items():
        rng = np.random.default_rng(seed)
        scene = getattr(system, sampler)(rng, batch, dtype=dtype)
        known = system.known(scene)
        for control in system.controls:
            where = f"control={control!r}, {dtype}"
            count = var.length(system.variables(control))
            raw = rng.uniform(-1.0, 1.0, (batch, count))
            raw[0], raw[1 % batch], raw[2 % batch] = 0.0, 1.0, -1.0
            design = system.decode(known, raw.astype(np.float32 if dtype == "complex64" else np.float64), control)
            _assert_close(design, system.project(scene, design), exact * 10, f"project changes decode(raw): {where}")
            metrics = system.evaluate(scene, design)
            _check_metrics(metrics, where)
            if dtype == "complex128":
                again = system.decode(known, system.encode(known, design, control), control)
                _assert_close(metrics, system.evaluate(scene, again), 1e-9, f"decode(encode(d)) has other metrics: {where}")
            wild = design.map(partial(_disturb, rng))
            once = system.project(scene, wild)
            _assert_close(once, system.project(scene, once), exact, f"project is not idempotent: {where}")
            for (name, before), (_, after) in zip(design.items(), once.items(), strict=True):
                assert before.dtype == after.dtype, f"project changes the dtype of {name!r} to {after.dtype}: {where}"


def check_gradient(system: System, batch: int = 4, seed: int = 0, tolerance: float = 1e-5, sampler: str = "sample") -> None:
    """Check `pieces_jacobian` and `score_gradient` against central differences of `evaluate(decode(raw))`, for every control.

    Controls with an alphabet are left out: there the derivative passes straight through the rounding.

    Args:
        system: the system; batch: number of scenes; seed: of scenes and raw vectors; tolerance: of the relative error.
        sampler: the system's method that draws the scenes (that of an `Episode`).

    Raises:
        AssertionError: the control, the piece and the largest error relative to the largest derivative.
        ImportError: torch is needed (systems without a numpy adjoint) and not installed.
    """
    rng = np.random.default_rng(seed)
    step = 1e-6
    for control in system.controls:
        variables = system.variables(control)
        if any(variable.n is not None for variable in variables):
            continue
        known = system.known(getattr(system, sampler)(rng, batch))
        raw = rng.uniform(-0.9, 0.9, (batch, var.length(variables)))

        def pieces(at: np.ndarray, known: Any = known, control: str = control) -> np.ndarray:
            return np.concatenate(system.pieces(system.evaluate(known, system.decode(known, at, control))), axis=1)

        score, slack, jacobian = system.pieces_jacobian(known, raw, control)
        both = np.concatenate([score, slack], axis=1)
        error = np.abs(both - pieces(raw)).max()
        assert error < 1e-9, f"pieces_jacobian returns other pieces than evaluate: control={control!r}, error {error:.2e}"
        for _ in range(4):
            direction = rng.standard_normal(raw.shape)
            found = (pieces(raw + step * direction) - pieces(raw - step * direction)) / (2.0 * step)
            wanted = np.einsum("bpn,bn->bp", jacobian, direction)
            worst = np.abs(found - wanted) / np.maximum(np.abs(found).max(), 1.0)
            piece = int(np.argmax(worst.max(axis=0)))
            assert worst.max() < tolerance, f"derivative of piece {piece}: control={control!r}, relative error {worst.max():.2e}"
        value, gradient = system.score_gradient(known, raw, control)
        metrics = system.evaluate(known, system.decode(known, raw, control))
        error = np.abs(value - system.penalised(metrics)).max()
        assert error < 1e-9, f"score_gradient returns another value than penalised: control={control!r}, error {error:.2e}"
        assert gradient.shape == raw.shape and np.isfinite(gradient).all(), f"score_gradient: control={control!r}: {gradient!r}"


def check_monotone(solution: Any, sense: int = 1, tolerance: float = 1e-9) -> None:
    """Check a policy's `Solution`: its history (iterations, batch) is finite and never gets worse, its status is a known one.

    Args:
        solution: what `policy.solve` returned; sense: +1 if the history is maximised, -1 if minimised.
        tolerance: by how much a step may be worse (rounding).

    Raises:
        AssertionError: where the history gets worse, and by how much, or which entry is malformed.
    """
    history = np.asarray(solution.history)
    batch = len(solution.objective)
    assert history.ndim == 2 and history.shape[1] == batch, f"history must have shape (iterations, {batch}), got {history.shape}"
    assert np.isfinite(history).all(), "history holds nan or inf"
    assert np.isfinite(solution.objective).all(), "objective holds nan or inf"
    known = {"optimal", "stopped", "infeasible", "failed"}
    assert set(np.asarray(solution.status).tolist()) <= known, f"status must be of {sorted(known)}, got {solution.status}"
    if len(history) > 1:
        worse = -sense * np.diff(history, axis=0)
        step, scene = np.unravel_index(int(np.argmax(worse)), worse.shape)
        assert worse.max() <= tolerance, f"history gets worse by {worse.max():.3e} after iteration {step} in scene {scene}"


def _disturb(rng: np.random.Generator, array: np.ndarray) -> np.ndarray:
    """The array times random factors of very different size, plus noise; integers stay."""
    if array.dtype.kind not in "fc":
        return array
    factor = 10.0 ** rng.uniform(-3.0, 3.0, (len(array), *[1] * (array.ndim - 1)))
    noise = rng.standard_normal(array.shape) + (1j * rng.standard_normal(array.shape) if array.dtype.kind == "c" else 0.0)
    return (factor * (array + noise)).astype(array.dtype)


def _assert_close(one: Batch, other: Batch, tolerance: float, text: str) -> None:
    """Every array equal up to `tolerance` relative to the largest entry of its scene (at least 1 for real arrays)."""
    for (name, a), (_, b) in zip(one.items(), other.items(), strict=True):
        assert a.shape == b.shape, f"{text} ({name!r}: shape {a.shape} and {b.shape})"
        if a.size == 0:
            continue
        if a.dtype.kind not in "fc":
            assert np.array_equal(a, b), f"{text} ({name!r})"
            continue
        size = np.maximum(np.abs(a).max(), 1.0 if a.dtype.kind == "f" else 1e-30)
        error = float(np.abs(a - b).max() / size)
        assert error <= tolerance, f"{text} ({name!r}: relative error {error:.2e} > {tolerance:.0e})"


def _check_metrics(metrics: Any, where: str) -> None:
    for name, array in metrics.items():
        assert np.isfinite(array).all(), f"metrics hold nan or inf in {name!r}: {where}"
    assert np.all(metrics.cost >= 0.0), f"cost is negative: {where}"
    met = np.ones(len(metrics), bool)
    for array in metrics.margins.values():
        met &= np.all(array >= -1e-3, axis=1)
    assert np.array_equal(met, metrics.feasible), f"feasible disagrees with the margins: {where}"
