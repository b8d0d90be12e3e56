"""What every registered system owes to environments, policies and agents."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest

from ris_gym import systems
from ris_gym import variables as var
from ris_gym.arrays import Batch
from ris_gym.systems.base import Metrics, System

BATCH = 5
every_system = pytest.mark.parametrize("name", systems.names())
every_control = pytest.mark.parametrize(
    ("name", "control"), [(name, control) for name in systems.names() for control in systems.get(name).controls]
)


def drawn(name: str, csi_error: float = 0.0, batch: int = BATCH, seed: int = 0, **fields: Any) -> tuple[Any, Any]:
    """A system and scenes."""
    system = systems.make(name, **fields)
    return system, system.sample(np.random.default_rng(seed), batch, csi_error=csi_error if system.csi_errors else 0.0)


def uniform(system: System, control: str, batch: int = BATCH, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (batch, var.length(system.variables(control))))


def equal(a: Batch, b: Batch, tolerance: float = 0.0) -> bool:
    """Same arrays, same dtypes, same values."""
    ours, theirs = dict(a.items()), dict(b.items())
    return ours.keys() == theirs.keys() and all(
        array.dtype == theirs[name].dtype
        and array.shape == theirs[name].shape
        and np.allclose(array, theirs[name], rtol=tolerance, atol=tolerance)
        for name, array in ours.items()
    )


def seen(system: System, known: Any, raw: np.ndarray, control: str) -> Metrics:
    return system.evaluate(known, system.decode(known, raw, control))


# -- scenes ---------------------------------------------------------------------------------------------------------------------


@every_system
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_sample(name: str, dtype: str) -> None:
    system = systems.make(name)
    scene = system.sample(np.random.default_rng(0), BATCH, dtype=dtype)
    assert isinstance(scene, system.scene) and len(scene) == BATCH
    for field, array in scene.items():
        assert isinstance(array, np.ndarray) and array.shape[0] == BATCH and np.isfinite(array).all(), field
        if array.dtype.kind == "c":
            assert array.dtype == np.dtype(dtype), field
        assert not field.endswith("_estimate")
    assert len(system.sample(np.random.default_rng(0))) == 1
    for error, keyword in ((ValueError, {"batch": -1}), (ValueError, {"csi_error": -0.1}), (TypeError, {"batch": 2.5})):
        with pytest.raises(error, match=next(iter(keyword))):
            system.sample(np.random.default_rng(0), **keyword)
    with pytest.raises(ValueError, match=r"dtype must be .*'float64'"):
        system.sample(np.random.default_rng(0), dtype="float64")


@every_system
def test_same_seed_same_bytes(name: str) -> None:
    first, again, other = (drawn(name, 0.1, seed=seed)[1] for seed in (3, 3, 4))
    for (field, a), (_, b) in zip(first.items(), again.items(), strict=True):
        assert a.tobytes() == b.tobytes(), field
    assert not equal(first, other)


@every_system
def test_scenes_are_independent_draws(name: str) -> None:
    _, scene = drawn(name, batch=2000)
    for field, array in scene.items():
        if array.dtype.kind == "c" and not field.endswith("_los"):
            flat = array.reshape(2000, -1)
            flat = flat - flat.mean(axis=0)
            power = np.mean(np.abs(flat) ** 2, axis=0)
            alive = power > 1e-20 * np.mean(np.abs(array) ** 2)  # constants of the geometry leave rounding errors only
            if not alive.any():
                continue
            serial = np.abs(np.mean(flat[1:] * flat[:-1].conj(), axis=0))[alive] / power[alive]
            assert np.mean(serial) < 0.1, field


@every_system
def test_known(name: str) -> None:
    """Exact knowledge is the scene itself; with an error, estimates stand in the place of truths, and nothing else differs."""
    system, scene = drawn(name)
    known = system.known(scene)
    assert isinstance(known, system.scene)
    for field in system.hidden:
        assert getattr(known, field) is None
    if not system.csi_errors:
        with pytest.raises(ValueError, match="csi_error"):
            system.draw_estimates(scene, np.random.default_rng(0), 0.1)
        return
    if not system.hidden:
        assert known is scene
    error = 0.1
    system, scene = drawn(name, error, batch=400)
    known = system.known(scene)
    estimated = [field.removesuffix("_estimate") for field, _ in scene.items() if field.endswith("_estimate")]
    assert estimated
    for field in estimated:
        truth, estimate = getattr(scene, field), getattr(scene, f"{field}_estimate")
        assert getattr(known, field) is estimate and getattr(known, f"{field}_estimate") is None
        if truth.dtype.kind == "c":
            ratio = np.linalg.norm(estimate - truth) / np.linalg.norm(truth)
            assert ratio == pytest.approx(error, rel=0.2), field
            residual = (estimate - truth).reshape(400, -1)
            residual = residual / np.linalg.norm(residual, axis=1, keepdims=True)
            assert np.abs(np.mean(residual**2)) < 0.1 * np.mean(np.abs(residual) ** 2), f"{field}: circular noise"
    for field, array in known.items():
        if field not in estimated and not field.startswith("reference/"):  # constants of the arrays that are held
            assert array is dict(scene.items())[field]
    without = system.draw_estimates(scene, np.random.default_rng(0), 0.0)
    assert not any(field.endswith("_estimate") for field, _ in without.items())
    redrawn = system.draw_estimates(scene, np.random.default_rng(9), error)
    assert not equal(redrawn, scene)


@every_system
def test_scene_survives_check(name: str) -> None:
    """`check_scene` accepts what `sample` makes, and metrics stay the same."""
    system, scene = drawn(name, 0.2)
    checked = system.check_scene(dict(scene.items()))
    raw = uniform(system, "full")
    assert equal(seen(system, checked, raw, "full"), seen(system, scene, raw, "full"), 1e-9)
    first = next(name for name, _ in scene.items())
    with pytest.raises(ValueError, match=f"array '{first}'"):
        system.check_scene({key: array for key, array in scene.items() if key != first})
    with pytest.raises(ValueError, match="array 'stranger'"):
        system.check_scene(dict(scene.items()) | {"stranger": np.zeros(BATCH)})


# -- decisions ------------------------------------------------------------------------------------------------------------------


@every_control
def test_variables(name: str, control: str) -> None:
    system = systems.make(name)
    variables = system.variables(control)
    assert isinstance(variables, tuple) and all(isinstance(v, var.Variable) for v in variables)
    assert len({v.name for v in variables}) == len(variables) and var.length(variables) > 0
    if control == "surface":
        assert not any(v.owner == "bs" for v in variables)
    if control == "full" and "structured" in system.controls:
        surface = [v for v in variables if v.owner != "bs"]
        assert all(v in system.variables("structured") for v in surface)
    for call in (system.variables, lambda c: system.decode(system.known(drawn(name)[1]), uniform(system, "full"), c)):
        with pytest.raises(ValueError, match=r"control must be one of .* got 'no_such_control'"):
            call("no_such_control")


@every_control
def test_round_trip(name: str, control: str) -> None:
    system, scene = drawn(name, 0.1)
    known = system.known(scene)
    raw = uniform(system, control)
    raw[0], raw[1] = 0.0, 1.0
    design = system.decode(known, raw, control)
    assert isinstance(design, system.design) and len(design) == BATCH
    encoded = system.encode(known, design, control)
    assert encoded.shape == raw.shape and np.all(np.abs(encoded) <= 1.0)
    assert equal(seen(system, known, encoded, control), seen(system, known, raw, control), 1e-9)
    canonical = system.canonical(known, design)
    full = system.decode(known, system.encode(known, canonical, "full"), "full")
    assert equal(system.evaluate(known, full), system.evaluate(known, canonical), 1e-9)


@every_control
def test_projection_is_idempotent_and_leaves_the_feasible(name: str, control: str) -> None:
    system, scene = drawn(name)
    design = system.decode(system.known(scene), uniform(system, control), control)
    once = system.project(scene, design)
    assert equal(once, design, 1e-9) and equal(system.project(scene, once), once, 1e-12)
    huge = system.project(scene, design.map(lambda array: 1e6 * array if array.dtype.kind in "fc" else array))
    assert equal(system.project(scene, huge), huge, 1e-12)
    for made in (system.canonical(scene, design), system.repair(scene, design)):
        assert isinstance(made, system.design) and equal(system.project(scene, made), made, 1e-9)
        assert all(np.isfinite(array).all() for _, array in made.items())


@every_control
def test_batched_equals_scalar(name: str, control: str) -> None:
    system, scene = drawn(name, 0.1)
    known, raw = system.known(scene), uniform(system, control)
    design = system.decode(known, raw, control)
    metrics, encoded, start = system.evaluate(scene, design), system.encode(known, design, control), system.start(known, control)
    features = system.observe(known, design)
    for b in range(BATCH):
        one = system.decode(known[b], raw[b : b + 1], control)
        assert equal(one, design[b], 1e-10)
        assert equal(system.evaluate(scene[b], one), metrics[b], 1e-9)
        assert np.allclose(system.encode(known[b], one, control), encoded[b], atol=1e-9)
        assert np.allclose(np.exp(1j * np.pi * system.start(known[b], control)), np.exp(1j * np.pi * start[b]), atol=1e-7)
        assert np.allclose(system.observe(known[b], one), features[b], atol=1e-5)


@every_control
def test_start(name: str, control: str) -> None:
    system, scene = drawn(name, 0.1)
    known = system.known(scene)
    raw = system.start(known, control)
    assert raw.shape == (BATCH, var.length(system.variables(control))) and np.all(np.abs(raw) <= 1.0)
    assert equal(Batch_of(raw=raw), Batch_of(raw=system.start(known, control))), "deterministic"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Batch_of(Batch):
    raw: np.ndarray


# -- metrics --------------------------------------------------------------------------------------------------------------------


@every_control
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_metrics(name: str, control: str, dtype: str) -> None:
    system, scene = drawn(name, batch=60)
    scene = scene.astype(dtype)
    real = np.float32 if dtype == "complex64" else np.float64
    metrics = seen(system, scene, uniform(system, control, 60).astype(real), control)
    assert isinstance(metrics, Metrics)
    for field in ("objective", "score", "cost", "feasible"):
        assert getattr(metrics, field).shape == (60,), field
    assert metrics.feasible.dtype == bool and isinstance(metrics.margins, dict)
    for field, array in metrics.items():
        assert array.shape[0] == 60 and np.isfinite(array).all(), field
        assert array.dtype in (np.dtype(real), np.dtype(bool)) or array.dtype.kind in "iu", field
    assert np.all(metrics.cost >= 0) and np.abs(metrics.score).max() < 50
    met = np.ones(60, bool)
    for margin in metrics.margins.values():
        assert margin.ndim == 2 and np.all(margin >= -40.0)
        met &= np.all(margin >= -1e-3, axis=1)
    assert np.array_equal(metrics.feasible, met)
    assert np.all(metrics.cost[np.all([np.all(m >= 0, axis=1) for m in metrics.margins.values()], axis=0)] == 0.0)
    order = np.argsort(metrics.objective)
    assert np.all(np.diff(system.sense * metrics.score[order]) >= -1e-5), "the score rises with sense * objective"
    physical = metrics.physical()
    assert not {key.split("/")[0] for key in physical} & {"objective", "score", "cost", "feasible", "margins"}
    score, slack = system.pieces(metrics)
    assert np.allclose(score.min(axis=1), metrics.score, atol=1e-5)
    assert np.allclose(np.maximum(0, -slack).sum(axis=1), metrics.cost, atol=1e-5)
    assert np.allclose(system.penalised(metrics), metrics.score - system.default_penalty * metrics.cost)
    assert np.allclose(system.penalised(metrics, 0.0), metrics.score)


@every_control
def test_torch_form(name: str, control: str) -> None:
    """Systems that offer the local frame evaluate torch tensors, differentiably, to the same numbers."""
    import torch

    system, scene = drawn(name, 0.1)
    if "local" not in system.observations:
        return
    known = system.known(scene)
    raw = uniform(system, control)
    ours = seen(system, known, raw, control)
    u = torch.tensor(raw, requires_grad=True)
    theirs = system.evaluate(known.to_torch(), system.decode(known.to_torch(), u, control))
    theirs.score.sum().backward()
    assert torch.isfinite(u.grad).all()
    assert equal(theirs.to_numpy(), ours, 1e-9)


@every_control
def test_step(name: str, control: str) -> None:
    system, scene = drawn(name, 0.1)
    design = system.project(scene, system.decode(system.known(scene), uniform(system, control), control))
    metrics, after = system.step(scene, design, np.random.default_rng(5), correlation=0.9)
    assert equal(metrics, system.evaluate(scene, design)) and isinstance(after, system.scene) and len(after) == BATCH
    again = system.step(scene, design, np.random.default_rng(5), correlation=0.9)[1]
    assert equal(after, again) and {a.dtype for _, a in after.items()} <= {a.dtype for _, a in scene.items()}
    single = scene.astype("complex64")
    moved = system.step(single, design.astype("complex64"), np.random.default_rng(5))[1]
    assert all(array.dtype != np.complex128 for _, array in moved.items())


# -- fading ---------------------------------------------------------------------------------------------------------------------

FADING = [name for name in systems.names() if any(e.name == "fading" for e in systems.get(name).episodes)]
fading = pytest.mark.parametrize("name", FADING)


@fading
def test_gauss_markov(name: str) -> None:
    """Correlation r and unchanged power of the scattered part, block after block; the line of sight stays."""
    count, r = 1500, 0.8
    system, scene = drawn(name, batch=count)
    design = system.decode(scene, uniform(system, "full", count))
    rng = np.random.default_rng(2)
    frozen = system.step(scene, design, rng, correlation=1.0)[1]
    after = system.step(scene, design, rng, correlation=r)[1]
    later = after
    for _ in range(4):
        later = system.step(later, design, rng, correlation=r)[1]
    changed = 0
    for field, array in scene.items():
        if field.startswith("reference/"):  # renewed with the channels
            continue
        if array.dtype.kind != "c" or field.endswith(("_los", "_estimate")):
            assert np.array_equal(array, getattr(after, field)) if hasattr(after, field) else True, field
            continue
        los = getattr(scene, f"{field}_los", None)
        los = 0.0 if los is None else los
        before, now, then = (getattr(s, field) - los for s in (scene, after, later))
        if not np.any(now != before):
            continue
        changed += 1
        assert np.allclose(getattr(frozen, field), array, rtol=1e-12, atol=0), field
        weight = np.mean(np.abs(before) ** 2, axis=tuple(range(1, array.ndim)), keepdims=True)  # shadowing: scene by scene
        before, now, then = (x / np.sqrt(weight) for x in (before, now, then))
        assert np.mean(now * before.conj()).real == pytest.approx(r, abs=0.03), field
        assert abs(np.mean(now * before.conj()).imag) < 0.03, field
        assert np.mean(np.abs(now) ** 2) == pytest.approx(1.0, abs=0.25 if array[0].size < 20 else 0.05), field
        assert np.mean(then * before.conj()).real == pytest.approx(r**5, abs=0.06), field
    assert changed


@fading
def test_estimates_are_drawn_anew_in_every_block(name: str) -> None:
    system, scene = drawn(name, 0.1)
    design = system.decode(system.known(scene), uniform(system, "full"))
    rng = np.random.default_rng(2)
    after = system.step(scene, design, rng, correlation=1.0, csi_error=0.1)[1]
    exact = system.step(scene, design, rng, correlation=1.0, csi_error=0.0)[1]
    names = [field for field, _ in scene.items() if field.endswith("_estimate")]
    assert names
    for field in names:
        estimate, truth = getattr(exact, field), getattr(exact, field.removesuffix("_estimate"))
        assert estimate is None or np.array_equal(estimate, truth)
    assert all(not np.array_equal(getattr(after, field), getattr(scene, field)) for field in names)


@fading
def test_loaded_scenes_fade(name: str) -> None:
    """Bare channels, without line of sight or scales, count as all scattered with their own rms."""
    system, scene = drawn(name, batch=50)
    bare = {}
    for field, array in scene.items():
        if array.dtype.kind == "c" and not field.endswith(("_los", "_estimate")) and not field.startswith("reference/"):
            bare[field] = array
    loaded = system.check_scene(bare)
    design = system.decode(loaded, uniform(system, "full", 50))
    rng = np.random.default_rng(0)
    moved = loaded
    for _ in range(30):
        moved = system.step(moved, design, rng, correlation=0.5)[1]
    for field, array in bare.items():
        before, after = (np.mean(np.abs(x) ** 2, axis=tuple(range(1, array.ndim))) for x in (array, getattr(moved, field)))
        assert np.median(after / before) == pytest.approx(1.0, abs=0.35), field


# -- observations ---------------------------------------------------------------------------------------------------------------


@every_control
def test_observe(name: str, control: str) -> None:
    system, scene = drawn(name, 0.1, batch=300)
    known = system.known(scene)
    design = system.decode(known, uniform(system, control, 300), control)
    if system.frames(scene) is not None:  # a belief of nothing may be the same in every scene
        known = system.known(system.step(scene, design, np.random.default_rng(0))[1])
    bare, full = system.observe(known), system.observe(known, design)
    for array in (bare, full):
        assert array.dtype == np.float32 and array.shape[0] == 300 and np.isfinite(array).all()
        assert np.mean(np.abs(array) > 10.0) < 1e-4
    assert np.array_equal(full[:, : bare.shape[1]], bare)
    spread = np.sqrt(np.mean(full.astype(float) ** 2, axis=0))
    assert 0.05 < np.median(spread) < 5.0, "O(1)"
    if "local" in system.observations:
        frame = system.observe_local(known[:40], uniform(system, control, 40), control, 1.0)
        assert all(len(array) == 40 and np.isfinite(array).all() for array in frame.values())


@every_system
def test_pickled_scenes(name: str) -> None:
    _, scene = drawn(name, 0.1)
    assert equal(pickle.loads(pickle.dumps(scene)), scene)
