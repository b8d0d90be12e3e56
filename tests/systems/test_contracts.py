"""What every registered system owes to environments, policies and agents."""

from __future__ import annotations

import dataclasses
import json
import math
import pickle
from typing import Any

import numpy as np
import pytest

from ris_gym import channels, registry, systems
from ris_gym import variables as var
from ris_gym.arrays import Batch
from ris_gym.envs.config import NAMES
from ris_gym.systems.base import Episode, Metrics, System

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


# -- parameters -----------------------------------------------------------------------------------------------------------------


@every_system
def test_class_attributes(name: str) -> None:
    system = systems.make(name)
    assert system.name == name and system.sense in (-1, 1) and isinstance(system.unit, str) and system.default_penalty >= 0
    assert set(system.controls) <= {"full", "structured", "surface"} and system.controls[0] == "full"
    assert set(system.observations) <= {"csi", "local"} and system.observations[0] == "csi"
    for episode in system.episodes:
        assert isinstance(episode, Episode) and episode.kind in ("refine", "single", "blocks")
        assert episode.ends in ("terminated", "truncated") and (episode.length is None or hasattr(system, episode.length))
    assert issubclass(system.scene, Batch) and issubclass(system.design, Batch)
    assert dataclasses.is_dataclass(system) and system.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert registry.get(name).id.startswith("ris_gym/") and type(system).__doc__


@every_system
def test_json_pickle_and_hash(name: str) -> None:
    cls = systems.get(name)
    for preset in (None, *cls.presets):
        system = systems.make(name, preset=preset)
        values = json.loads(json.dumps(system.to_dict()))
        assert systems.from_dict(values) == system and cls.from_dict(values) == system
        assert hash(systems.from_dict(values)) == hash(system)
        assert pickle.loads(pickle.dumps(system)) == system
    with pytest.raises(ValueError, match="system must be"):
        cls.from_dict({"system": "no_such_system"})
    with pytest.raises(ValueError, match="name must be one of"):
        systems.from_dict({"system": "no_such_system"})
    with pytest.raises(ValueError, match="'system'"):
        systems.from_dict({})


@every_system
def test_presets(name: str) -> None:
    cls = systems.get(name)
    fields = [field.name for field in dataclasses.fields(cls)]
    for preset, values in cls.presets.items():
        system = systems.make(name, preset=preset)
        assert set(values) <= set(fields)
        assert system == systems.make(name, **values)
        for field, value in values.items():
            overridden = systems.make(name, preset=preset, **{field: value})
            assert overridden == system
    with pytest.raises(ValueError, match=r"preset must be one of .* 'no_such_preset'"):
        systems.make(name, preset="no_such_preset")


@every_system
def test_frozen(name: str) -> None:
    system = systems.make(name)
    with pytest.raises(dataclasses.FrozenInstanceError):
        system.num_elements = 3


@every_system
def test_field_names(name: str) -> None:
    """Every field is a `gym.make` keyword: none may hide a keyword of the environment."""
    fields = {field.name for field in dataclasses.fields(systems.get(name))}
    reserved = {*NAMES, "preset", "render_mode", "num_envs", "autoreset_mode", "max_episode_steps", "id", "disable_env_checker"}
    assert not fields & reserved
    with pytest.raises(TypeError, match="no parameter 'no_such_field'; parameters: "):
        systems.make(name, no_such_field=1)


@every_system
def test_every_field_has_units_that_agree(name: str) -> None:
    """A number that is neither a count, an exponent nor a fraction carries its unit; positions are in metres."""
    for field in dataclasses.fields(systems.get(name)):
        if "position" in field.name or "radius" in field.name:
            assert field.name.endswith("_m"), field.name
        if "power" in field.name and field.name.startswith(("power", "noise", "total")):
            assert field.name.endswith(("_dbm", "_db", "_w")), field.name


@every_system
def test_every_field_is_validated(name: str) -> None:
    """Bad types and values raise an error that names field and value and says the rule."""
    system = systems.make(name)
    for field in dataclasses.fields(system):
        default = getattr(system, field.name)
        bad: list[Any] = [object(), {"a": 1}, 1j]
        if isinstance(default, bool):
            bad += ["yes", 1, None]
        elif isinstance(default, (int, float)):
            bad += [math.nan, math.inf, -math.inf, "three", b"3", True]
            bad += [2.5, 10**30] if isinstance(default, int) else []
        elif isinstance(default, str):
            bad += ["no such value", 3, None]
        elif isinstance(default, tuple):
            bad += [math.nan, "three", (math.nan,) * len(default), ("a",) * len(default), (*default, object())]
        else:
            bad += ["three", math.nan, -1]
        for value in bad:
            if isinstance(value, int) and value == 10**30 and field.name.startswith("num"):
                continue
            with pytest.raises((TypeError, ValueError)) as caught:
                systems.make(name, **{field.name: value})
            message = str(caught.value)
            assert field.name in message and "must" in message, f"{field.name}={value!r}: {message}"
            assert repr(value) in message or any(repr(entry) in message for entry in _entries(value)), f"{field.name}: {message}"


def _entries(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, dict)) else ()


@every_system
def test_counts_must_be_positive(name: str) -> None:
    system = systems.make(name)
    for field in dataclasses.fields(system):
        value = getattr(system, field.name)
        if field.name.startswith("num_") and isinstance(value, int):
            for bad in (-1,) if "sensing" in field.name else (-1, 0):
                with pytest.raises(ValueError, match=f"{field.name} must be .*got {bad}"):
                    systems.make(name, **{field.name: bad})


@every_system
def test_numpy_numbers_are_fields_too(name: str) -> None:
    """Fields taken from arrays end up as plain, JSON-able, equal values."""
    system = systems.make(name)
    for field in dataclasses.fields(system):
        value = getattr(system, field.name)
        if isinstance(value, bool) or not isinstance(value, (int, float, tuple)) or not _flat(value):
            continue
        other = np.asarray(value) if isinstance(value, tuple) else np.asarray(value)[()]
        made = systems.make(name, **{field.name: other})
        assert made == system and hash(made) == hash(system)
        json.dumps(made.to_dict())


def _flat(value: Any) -> bool:
    return not isinstance(value, tuple) or all(isinstance(entry, (int, float)) for entry in value)


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
            alive = power > 0
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
    estimated = [field.name.removesuffix("_estimate") for field in dataclasses.fields(scene) if field.name.endswith("_estimate")]
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
        if field not in estimated:
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
    assert names and all(getattr(exact, field) is None for field in names)
    assert all(not np.array_equal(getattr(after, field), getattr(scene, field)) for field in names)


@fading
def test_loaded_scenes_fade(name: str) -> None:
    """Bare channels, without line of sight or scales, count as all scattered with their own rms."""
    system, scene = drawn(name, batch=50)
    bare = {}
    for field, array in scene.items():
        if array.dtype.kind == "c" and not field.endswith(("_los", "_estimate")):
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


def test_rician_statistics() -> None:
    """Mean, power, Rician factor and path loss of sampled links; log-normal shadowing."""
    system = systems.make("beampattern", rician_db=3.0, num_elements=4, num_antennas=3, shadowing_db=6.0)
    scene = system.sample(np.random.default_rng(0), 40_000)
    kappa = 10**0.3
    for link, exponent, gap in (("bs_ris", 2.2, np.hypot(40, 10)), ("ris_user", 2.2, np.hypot(5, 10))):
        array, los = getattr(scene, link), getattr(scene, f"{link}_los")
        power = 1e-3 * gap**-exponent
        mean = array.mean(axis=0)
        assert np.allclose(mean, los[0], atol=4 * np.sqrt(power / (1 + kappa) / 40_000))
        assert np.allclose(np.abs(los[0]) ** 2, power * kappa / (1 + kappa), rtol=1e-12)
        scattered = array - los
        assert np.mean(np.abs(scattered) ** 2) == pytest.approx(power / (1 + kappa), rel=0.01)
        assert np.abs(np.mean(scattered**2)) < 0.02 * power
    direct = scene.bs_user / scene.bs_user_scale[..., None]
    assert np.mean(np.abs(direct) ** 2) == pytest.approx(1.0, rel=0.01)
    shadow = 20 * np.log10(scene.bs_user_scale[:, 0] / channels.path_amplitude(45.0, 3.5, 30.0))
    assert np.mean(shadow) == pytest.approx(0.0, abs=0.15) and np.std(shadow) == pytest.approx(6.0, rel=0.02)
    assert np.abs(np.corrcoef(shadow, np.abs(scene.bs_ris[:, 0, 0]))[0, 1]) < 0.02
    pure = systems.make("beampattern", los_bs_ris=True).sample(np.random.default_rng(0), 3)
    assert np.array_equal(pure.bs_ris, pure.bs_ris_los) and np.allclose(np.abs(pure.bs_ris), 10**-1.5 * np.hypot(40, 10) ** -1.1)


def test_users_fill_their_disc() -> None:
    system = systems.make("beampattern", user_radius_m=4.0, num_users=2)
    scene = system.sample(np.random.default_rng(0), 5000)
    away = scene.user_position - np.array(system.user_position_m)
    radius = np.linalg.norm(away, axis=-1)
    assert radius.max() <= 4.0 and np.mean(radius**2) == pytest.approx(8.0, rel=0.03)
    assert np.allclose(away.mean(axis=(0, 1)), 0.0, atol=0.1)
    b = 17
    for k in range(2):
        d = np.hypot(*(scene.user_position[b, k] - np.array(system.ris_position_m)))
        u = (scene.user_position[b, k] - np.array(system.ris_position_m))[0] / d
        weight = channels.rician_weights(system.rician_db)[0]
        expected = channels.path_amplitude(d, 2.2, 30.0) * weight * np.exp(1j * np.pi * np.arange(32) * u)
        assert np.allclose(scene.ris_user_los[b, k], expected)
