"""From raw actions to designs and back, for `active_crb`: hard constraints, floor, projection, encode, canonical form."""

from __future__ import annotations

import dataclasses

import active_crb_brute as brute
import numpy as np
import pytest
from active_crb_designs import (
    BATCH,
    CONTROLS,
    actions,
    caps,
    digits,
    every_case,
    every_control,
    hard_constraints,
    loads,
    numbers,
    random_designs,
    same_metrics,
    setting,
    uniform,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from ris_gym import systems
from ris_gym import variables as var
from ris_gym.systems.active_crb import ActiveCrbDesign

# -- variables ----------------------------------------------------------------------------------------------------------------


@every_case
def test_variables_are_the_pages(case: str) -> None:
    system, _ = setting(case)
    m, n, k = system.num_antennas, system.num_elements, system.num_users
    surface = [("phase", (n,), "phase", "surface")]
    if not system.passive:
        surface.insert(0, ("amplitude", (n,), "level", "surface"))
    logits = [("target_power", (n,), "level", "bs")]
    if system.sinr_threshold is not None:
        logits = [("user_power", (k,), "level", "bs"), *logits, ("regulariser", (1,), "level", "bs")]
    beams = [("beams", (m, k), "cartesian", "bs"), ("sensing_beams", (m, n), "cartesian", "bs")]
    for control, expected in (("full", beams + surface), ("structured", surface + logits), ("surface", surface)):
        assert [(v.name, v.shape, v.kind, v.owner) for v in system.variables(control)] == expected


def test_lengths_at_the_defaults() -> None:
    for fields, sizes in (
        ({}, (368, 28, 16)),
        ({"kind": "passive"}, (360, 20, 8)),
        ({"preset": "sensing_only"}, (368, 24, 16)),
    ):
        system = systems.make("active_crb", **fields)
        assert tuple(var.length(system.variables(control)) for control in CONTROLS) == sizes


# -- decode -------------------------------------------------------------------------------------------------------------------


@every_case
@every_control
@settings(max_examples=12, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_action_is_hard_feasible_and_comes_back(case: str, control: str, data: st.DataObject) -> None:
    system, scene = setting(case)
    raw = data.draw(actions(var.length(system.variables(control))))
    design = system.decode(scene, raw, control)
    hard_constraints(system, scene, design)
    assert np.allclose(loads(system, scene, design).max(axis=1), 1.0, rtol=0, atol=1e-9), "one budget met with equality"
    for name, array in system.evaluate(scene, design).items():
        assert np.isfinite(array).all(), name
    projected = system.project(scene, design)
    for (name, array), (_, other) in zip(projected.items(), design.items(), strict=True):
        assert np.allclose(array, other, rtol=1e-12, atol=1e-12 * np.abs(other).max()), name
    encoded = system.encode(scene, design, control)
    assert encoded.shape == raw.shape and np.all(np.abs(encoded) <= 1.0) and np.isfinite(encoded).all()
    same_metrics(system, scene, system.decode(scene, encoded, control), design, digits(scene, design, control))


@every_case
def test_decode_full_by_hand(case: str) -> None:
    """Beams as they are, levels over 60 dB, phases; then one common factor, up or down."""
    system, scene = setting(case)
    raw = uniform(system, "full")
    design, values = system.decode(scene, raw), var.split(system.variables(), raw)
    expected = np.exp(1j * values["phase"])
    if not system.passive:
        expected = expected * caps(system, scene)[:, None] * 10.0 ** (30.0 * (values["amplitude"] - 1.0) / 20.0)
    assert np.allclose(design.coefficients, expected, rtol=1e-9)
    ratio = design.all_beams / np.concatenate([values["beams"], values["sensing_beams"]], axis=-1)
    assert np.allclose(ratio, ratio[:, :1, :1], rtol=1e-11) and np.all(np.real(ratio) > 0)
    assert np.allclose(loads(system, scene, design).max(axis=1), 1.0, atol=1e-10)


def test_either_budget_binds() -> None:
    """The cases above exercise both; the cap lies below the maximum where the surface is loud."""
    bs = loads(*setting("passive"), setting("passive")[0].decode(setting("passive")[1], uniform(setting("passive")[0], "full")))
    assert np.allclose(bs, 1.0)
    for case, column in (("surface limited", 1), ("both budgets", 0)):
        system, scene = setting(case)
        raw = uniform(system, "full")
        where = var.slices(system.variables())["amplitude"]
        raw[:, where] = 1.0 if column else -0.8
        assert np.allclose(loads(system, scene, system.decode(scene, raw))[:, column], 1.0, atol=1e-10)
    system, scene = setting("loud surface")
    assert np.all(caps(system, scene) < 0.99 * system.max_amplitude)
    noise = [
        brute.surface_affine(brute.case(system, scene, random_designs(system).replace(coefficients=v), b))[1]
        for b, v in enumerate(caps(system, scene)[:, None] * np.ones((BATCH, 3)))
        for v in [np.broadcast_to(v, (BATCH, 3))]
    ]
    assert np.allclose(noise, 0.5 * system.surface_power_w, rtol=1e-9), "the noise takes half of the budget at the cap"


@every_case
def test_floor_of_singular_actions(case: str) -> None:
    """`L <- V chol(V^H L L^H V + eps max(t, 1) / M I)` when the rank is lost, and only then."""
    system, scene = setting(case)
    n, m = system.num_elements, system.num_antennas
    basis = scene.reference["basis"]
    where = var.slices(system.variables())
    rng = np.random.default_rng(2)
    zero = uniform(system, "full")
    zero[:, where["beams"]] = zero[:, where["sensing_beams"]] = 0.0
    one = zero.copy()
    column = np.zeros((BATCH, m, n), complex)
    column[..., 0] = rng.uniform(-1, 1, (BATCH, m)) + 1j * rng.uniform(-1, 1, (BATCH, m))
    one[:, where["sensing_beams"]] = var.join(system.variables()[1:2], {"sensing_beams": column})
    for raw in (zero, one):
        design, values = system.decode(scene, raw), var.split(system.variables(), raw)
        if n == 1 and raw is one:
            continue
        for b in range(BATCH):
            w, l, v = values["beams"][b], values["sensing_beams"][b], basis[b]
            t = np.linalg.norm(w) ** 2 + np.linalg.norm(l) ** 2
            inner = v.conj().T @ l
            floored = v @ (inner @ inner.conj().T + 1e-6 * max(t, 1.0) / m * np.eye(n)) @ v.conj().T
            found = design.sensing_cov[b]
            assert np.allclose(found / np.trace(found), floored / np.trace(floored), rtol=0, atol=1e-12)
            singular = np.linalg.svd(v.conj().T @ design.all_beams[b], compute_uv=False)
            assert singular[-1] >= 0.999e-3 / np.sqrt(m) * singular[0]
        encoded = system.encode(scene, design)
        again = system.decode(scene, encoded)
        assert np.allclose(again.sensing_cov, design.sensing_cov, rtol=0, atol=1e-12 * np.abs(design.sensing_cov).max())


@every_case
@settings(max_examples=15, deadline=None, derandomize=True)
@given(data=st.data())
def test_projection(case: str, data: st.DataObject) -> None:
    system, scene = setting(case)
    m, columns = system.num_antennas, data.draw(st.integers(0, system.num_elements + 1))
    raw = ActiveCrbDesign(
        beams=data.draw(numbers((m, system.num_users))),
        sensing_beams=data.draw(numbers((m, columns))),
        coefficients=data.draw(numbers((system.num_elements,))),
    )
    once = system.project(scene, raw)
    hard_constraints(system, scene, once)
    assert once.sensing_beams.shape == raw.sensing_beams.shape, "no floor, no truncation"
    twice = system.project(scene, once)
    for (name, array), (_, again) in zip(once.items(), twice.items(), strict=True):
        assert np.allclose(array, again, rtol=1e-12, atol=1e-12 * np.abs(array).max(initial=0.0)), name
    for name, array in system.evaluate(scene, once).items():
        assert np.isfinite(array).all(), name
    canonical = system.canonical(scene, raw)
    hard_constraints(system, scene, canonical)
    assert canonical.sensing_beams.shape == (BATCH, m, system.num_elements)
    same_metrics(system, scene, system.decode(scene, system.encode(scene, canonical)), canonical)


@every_case
def test_projection_by_hand(case: str) -> None:
    """Amplitudes clipped, beams scaled down by the exact factor or left; zero coefficients get phase 0."""
    system, scene = setting(case)
    raw = random_designs(system)
    raw.coefficients[0, 0], raw.coefficients[1] = 0.0, 1e-9 * raw.coefficients[1]
    done, limit = system.project(scene, raw), caps(system, scene)[:, None]
    a = np.clip(np.abs(raw.coefficients), (1.0 if system.passive else 1e-3) * limit, limit)
    assert np.allclose(done.coefficients, a * np.exp(1j * np.angle(raw.coefficients)), rtol=1e-9)
    clipped = raw.replace(coefficients=done.coefficients)
    for b in range(BATCH):
        c = brute.case(system, scene, clipped, b)
        nu = min(1.0, system.power_w / np.trace(c.r).real)
        if not system.passive:
            s, s0 = brute.surface_affine(c)
            nu = min(nu, (system.surface_power_w - s0) / np.trace(s @ c.r).real)
        assert np.allclose(done.all_beams[b], np.sqrt(nu) * raw.all_beams[b], rtol=1e-9)
    quiet = raw.replace(beams=1e-9 * raw.beams, sensing_beams=1e-9 * raw.sensing_beams)
    kept = system.project(scene, quiet)
    assert np.allclose(kept.all_beams, quiet.all_beams, rtol=1e-13), "never scaled up"
    nothing = system.project(scene, raw.map(lambda array: 0 * array))
    assert not nothing.all_beams.any() and np.allclose(np.angle(nothing.coefficients), 0.0)


@every_case
@every_control
def test_single_precision(case: str, control: str) -> None:
    system, scene = setting(case)
    single_scene = scene.astype("complex64")
    raw = uniform(system, control, 0)
    raw[0], raw[1] = 0.0, np.sign(raw[1])
    design = system.decode(single_scene, raw.astype(np.float32), control)
    assert {array.dtype for _, array in design.items()} == {np.dtype(np.complex64)}
    hard_constraints(system, scene, design.astype("complex128"), 2e-6)
    assert np.allclose(loads(system, scene, design.astype("complex128")).max(axis=1), 1.0, atol=2e-6)
    again = system.project(single_scene, design)
    hard_constraints(system, scene, again.astype("complex128"), 2e-6)
    double = system.evaluate(scene, system.decode(scene, raw, control))
    found = system.evaluate(single_scene, design)
    assert np.allclose(found.score, double.score, atol=2e-3) and np.allclose(found.cost, double.cost, atol=2e-3)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(data=st.data(), case=st.sampled_from(["both budgets", "loud surface", "passive", "one element"]))
def test_any_action_in_single_precision(data: st.DataObject, case: str) -> None:
    system, scene = setting(case)
    for control in CONTROLS:
        raw = data.draw(actions(var.length(system.variables(control)))).astype(np.float32)
        design = system.decode(scene.astype("complex64"), raw, control)
        hard_constraints(system, scene, design.astype("complex128"), 2e-6)
        for name, array in system.evaluate(scene.astype("complex64"), design).items():
            assert np.isfinite(array).all(), name


@every_case
@every_control
def test_decode_of_torch_is_decode_of_numpy(case: str, control: str) -> None:
    import torch

    system, scene = setting(case)
    raw = uniform(system, control)
    raw[0] = 0.0
    ours = system.decode(scene, raw, control)
    theirs = system.decode(scene.to_torch(), torch.as_tensor(raw), control)
    projected = system.project(scene.to_torch(), theirs).to_numpy()
    for (name, array), (_, other), (_, third) in zip(ours.items(), theirs.to_numpy().items(), projected.items(), strict=True):
        for b in range(BATCH):
            limit = 1e-9 * np.abs(array[b] if name == "coefficients" else ours.all_beams[b]).max()
            assert np.allclose(array[b], other[b], rtol=0, atol=limit), name
            assert np.allclose(array[b], third[b], rtol=0, atol=limit), name


@every_case
def test_knowledge_of_the_target_does_not_break_the_surface(case: str) -> None:
    """Decoded at a wrong estimate of H, projected on the truth: hard-feasible there (the surface's own limiter)."""
    system, _ = setting(case)
    system = dataclasses.replace(system, target_response_error=1.0)
    scene = system.sample(np.random.default_rng(3), BATCH, csi_error=0.3)
    known = system.known(scene)
    design = system.decode(known, uniform(system, "full"))
    hard_constraints(system, known, design)
    hard_constraints(system, scene, system.project(scene, design))


@every_control
def test_raw_of_a_wrong_shape(control: str) -> None:
    system, scene = setting("one user")
    n = var.length(system.variables(control))
    for shape in ((BATCH, n + 1), (BATCH - 1, n), (n,)):
        with pytest.raises(ValueError, match="raw must have shape"):
            system.decode(scene, np.zeros(shape), control)
    with pytest.raises(ValueError, match=r"control must be one of .* got 'beams'"):
        system.decode(scene, np.zeros((BATCH, n)), "beams")


# -- encode and canonical -----------------------------------------------------------------------------------------------------


@every_case
def test_encode_by_hand(case: str) -> None:
    """W, L over their largest real or imaginary part; level 1 + dB / 30; phase over pi."""
    system, scene = setting(case)
    design = system.decode(scene, uniform(system, "full"))
    values = var.split(system.variables(), system.encode(scene, design))
    joined = design.all_beams.reshape(BATCH, -1)
    largest = np.maximum(np.abs(joined.real), np.abs(joined.imag)).max(axis=1)[:, None, None]
    assert np.allclose(values["beams"], design.beams / largest, rtol=1e-12)
    assert np.allclose(values["sensing_beams"], design.sensing_beams / largest, rtol=1e-12)
    assert np.allclose(np.exp(1j * values["phase"]), np.exp(1j * np.angle(design.coefficients)), atol=1e-12)
    if not system.passive:
        level = 1.0 + 20.0 * np.log10(np.abs(design.coefficients) / caps(system, scene)[:, None]) / 30.0
        assert np.allclose(values["amplitude"], level, atol=1e-9)


@pytest.mark.parametrize("case", ["both budgets", "surface limited", "as many users as elements", "sensing only", "passive"])
def test_round_trips_are_exact(case: str) -> None:
    """Metrics to 1e-13 relative where the page says so: decoded, floored and unit-amplitude designs."""
    system, scene = setting(case)
    raw = uniform(system, "full")
    designs = [system.decode(scene, raw), system.decode(scene, 0.0 * raw), system.canonical(scene, random_designs(system))]
    unit = designs[0].replace(coefficients=designs[0].coefficients / np.abs(designs[0].coefficients))
    designs.append(system.canonical(scene, unit))
    for design in designs:
        again = system.decode(scene, system.encode(scene, design))
        same_metrics(system, scene, again, design, 1e-11)
    if not system.passive:
        assert np.allclose(np.abs(designs[-1].coefficients), 1.0, rtol=1e-12)


@every_case
def test_encode_of_other_designs_comes_back_at_full_power(case: str) -> None:
    system, scene = setting(case)
    design = system.decode(scene, uniform(system, "full"))
    for factor in (0.1, 0.7):
        quiet = design.replace(beams=factor * design.beams, sensing_beams=factor * design.sensing_beams)
        same_metrics(system, scene, system.decode(scene, system.encode(scene, quiet)), design)


@every_case
@pytest.mark.parametrize("columns", [0, 2, 7])
def test_canonical(case: str, columns: int) -> None:
    """`V` times the PSD root of `V^H R_0 V`; scaled up to the first binding budget; metrics the same or better."""
    system, scene = setting(case)
    raw = random_designs(system, columns)
    canonical, projected = system.canonical(scene, raw), system.project(scene, raw)
    hard_constraints(system, scene, canonical)
    assert np.allclose(loads(system, scene, canonical).max(axis=1), 1.0, atol=1e-9)
    assert np.allclose(canonical.coefficients, projected.coefficients, rtol=1e-12)
    full_rank = system.num_users + columns >= system.num_elements
    for b in range(BATCH):
        v, l = scene.reference["basis"][b], canonical.sensing_beams[b]
        root = v.conj().T @ l
        assert np.allclose(v @ root, l, atol=1e-10 * np.abs(canonical.all_beams[b]).max()), "in the row space of G"
        scale = np.vdot(canonical.beams[b], raw.beams[b]) / np.linalg.norm(raw.beams[b]) ** 2
        assert np.allclose(canonical.beams[b], scale.real * raw.beams[b], rtol=1e-9)
        if full_rank:
            inside = v.conj().T @ raw.sensing_cov[b] @ v * scale.real**2
            size = np.abs(canonical.all_beams[b]).max()
            assert np.allclose(root, root.conj().T, atol=1e-9 * size) and np.linalg.eigvalsh(root).min() > -1e-9 * size
            assert np.allclose(root @ root, inside, rtol=0, atol=1e-9 * size**2)
    if full_rank:
        before, after = system.evaluate(scene, projected), system.evaluate(scene, canonical)
        assert np.all(after.objective <= before.objective + 1e-5) and np.all(after.cost <= before.cost + 1e-5)
        assert np.all(after.sinr_db >= before.sinr_db - 1e-5)
    twice = system.canonical(scene, canonical)
    same_metrics(system, scene, twice, canonical)
    same_metrics(system, scene, system.decode(scene, system.encode(scene, canonical)), canonical)
