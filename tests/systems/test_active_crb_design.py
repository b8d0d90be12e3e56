"""From raw actions to designs and back, for `active_crb`: hard constraints, floor, round trips, the three controls, gradients."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

import active_crb_brute as brute
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ris_gym import systems
from ris_gym import variables as var
from ris_gym.systems import ActiveCrb
from ris_gym.systems.active_crb import ActiveCrbDesign, ActiveCrbScene

BATCH = 4
SMALL: dict[str, Any] = {"num_antennas": 4, "num_elements": 3, "num_users": 2, "num_snapshots": 16, "sinr_threshold_db": 3.0}
CASES: dict[str, dict[str, Any]] = {
    "both budgets": {},
    "surface limited": {"surface_power_dbm": -10.0},
    "loud surface": {"noise_surface_dbm": -60.0, "surface_power_dbm": -21.0},  # the effective cap is below the cap
    "loop gain": {"max_gain_db": 60.0, "surface_power_dbm": 30.0},
    "sensing only": {"sinr_threshold_db": None},
    "one user": {"num_users": 1},
    "as many users as elements": {"num_users": 3},
    "square": {"num_antennas": 3},
    "one element": {"num_elements": 1, "num_users": 1, "num_antennas": 2},
    "passive": {"kind": "passive"},
    "passive sensing only": {"kind": "passive", "sinr_threshold_db": None},
}
CONTROLS = ("full", "structured", "surface")
every_case = pytest.mark.parametrize("case", CASES)
every_control = pytest.mark.parametrize("control", CONTROLS)


@cache
def setting(case: str, batch: int = BATCH) -> tuple[ActiveCrb, ActiveCrbScene]:
    """A small system and a few scenes."""
    system = systems.make("active_crb", **(SMALL | CASES[case]))
    assert isinstance(system, ActiveCrb)
    return system, system.sample(np.random.default_rng(7), batch)


def loads(system: ActiveCrb, scene: ActiveCrbScene, design: ActiveCrbDesign) -> np.ndarray:
    """Used shares of the BS and surface budgets, by the explicit sums, (B, 1 or 2)."""
    out = []
    for b in range(len(scene)):
        c = brute.case(system, scene, design, b)
        shares = [np.trace(c.r).real / system.power_w]
        if not system.passive:
            shares.append(sum(brute.surface_power(c)) / system.surface_power_w)
        out.append(shares)
    return np.array(out)


def caps(system: ActiveCrb, scene: ActiveCrbScene) -> np.ndarray:
    """a_cap of every scene, from the definition (half of the budget for the noise), (B,)."""
    if system.passive:
        return np.ones(len(scene))
    return np.array(
        [brute.cap(h, system.noise_surface_w, system.surface_power_w, system.max_amplitude) for h in scene.target_response]
    )


def hard_constraints(system: ActiveCrb, scene: ActiveCrbScene, design: ActiveCrbDesign, tolerance: float = 1e-9) -> None:
    """Finite; `a_min <= a_n <= a_cap`; `tr R <= P_0`; `P_surf <= P_s`."""
    for name, array in design.items():
        assert np.isfinite(array).all(), name
    a, limit = np.abs(design.coefficients), caps(system, scene)[:, None]
    assert np.all(a <= limit * (1.0 + tolerance)) and np.all(a <= system.max_amplitude * (1.0 + tolerance))
    assert np.all(a >= (1.0 if system.passive else 1e-3) * limit * (1.0 - tolerance))
    assert np.max(loads(system, scene, design)) <= 1.0 + tolerance


def same_metrics(system: ActiveCrb, scene: ActiveCrbScene, a: ActiveCrbDesign, b: ActiveCrbDesign, tol: Any = 1e-9) -> None:
    """All metrics agree; `tol`: a number or one per scene."""
    theirs, tol = dict(system.evaluate(scene, b).items()), np.broadcast_to(tol, len(scene))
    for name, array in system.evaluate(scene, a).items():
        if name != "feasible":
            gap = np.abs(array - theirs[name]) / (1.0 + np.abs(array))
            assert np.all(gap.reshape(len(scene), -1).max(axis=1) <= tol), f"{name}: {gap.max()}"


def digits(scene: ActiveCrbScene, design: ActiveCrbDesign, control: str) -> Any:
    """What a round trip may lose: 1e-9, and for beams that cancel the users' interference eps cond(C)^2 of their rows C.

    Amplitudes 60 dB apart leave three users one or two elements: cond(C) up to 1e5.
    """
    if control == "full":
        return 1e-9
    rows = (scene.ris_user.conj() * design.coefficients[:, None]) @ scene.bs_ris
    return 1e-9 + 3e-15 * np.linalg.cond(rows) ** 2


# -- strategies ---------------------------------------------------------------------------------------------------------------

SPECIAL = np.array([-1.0, 1.0, 0.0, -0.0, 1e-13, -1e-7, 1e-200, 0.5, -0.5])
EXTREME = np.array([0.0, 1e140, -1e140, 1e-140, -1e-310, 1e-13, 1.0, -0.3])


def mixed(seed: int, share: float, shape: tuple[int, ...], special: np.ndarray) -> np.ndarray:
    """Uniform numbers in [-1, 1], a share of them replaced by special ones."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(shape) < share, rng.choice(special, shape), rng.uniform(-1, 1, shape))


def corners(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(seed).choice([-1.0, 1.0], shape)


def single(n: int, where: int, value: float) -> np.ndarray:
    """One nonzero entry per scene."""
    raw = np.zeros((BATCH, n))
    raw[np.arange(BATCH), (where + np.arange(BATCH)) % n] = value
    return raw


def small(seed: int, n: int, scale: float) -> np.ndarray:
    """Everything tiny."""
    return scale * np.random.default_rng(seed).uniform(-1, 1, (BATCH, n))


seeds = st.integers(0, 2**32 - 1)
shares = st.sampled_from([0.0, 0.2, 0.9, 1.0])


def actions(n: int) -> st.SearchStrategy[np.ndarray]:
    """Raw actions in the box: anything, with a liking for corners, zeros, single entries and nearly nothing."""
    return st.one_of(
        st.builds(mixed, seeds, shares, st.just((BATCH, n)), st.just(SPECIAL)),
        st.builds(np.full, st.just((BATCH, n)), st.sampled_from(SPECIAL.tolist())),
        st.builds(corners, seeds, st.just((BATCH, n))),
        st.builds(single, st.just(n), st.integers(0, n - 1), st.sampled_from([1.0, -1.0, 1e-3, 1e-100])),
        st.builds(small, seeds, st.just(n), st.sampled_from([1e-6, 1e-13, 1e-60, 1e-170, 1e-300])),
        arrays(np.float64, (BATCH, n), elements=st.floats(-1, 1)),
    )


def numbers(shape: tuple[int, ...]) -> st.SearchStrategy[np.ndarray]:
    """Complex arrays with huge, tiny and zero entries."""
    real = st.builds(mixed, seeds, shares, st.just((2, BATCH, *shape)), st.just(EXTREME))
    return real.map(lambda x: x[0] + 1j * x[1])


def random_designs(system: ActiveCrb, columns: int | None = None, seed: int = 0, batch: int = BATCH) -> ActiveCrbDesign:
    """Gaussian designs of about the cap's amplitudes, `columns` sensing beams (None: N)."""
    rng = np.random.default_rng(seed)
    m, n = system.num_antennas, system.num_elements
    return ActiveCrbDesign(
        beams=brute.normals(rng, batch, m, system.num_users),
        sensing_beams=brute.normals(rng, batch, m, n if columns is None else columns),
        coefficients=system.max_amplitude * brute.normals(rng, batch, n),
    )


def uniform(system: ActiveCrb, control: str, seed: int = 1, batch: int = BATCH) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (batch, var.length(system.variables(control))))


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


# -- controls -----------------------------------------------------------------------------------------------------------------


@every_case
def test_surface_rule_by_hand(case: str) -> None:
    """Beams of the page's closed form, against explicit projections in the metric of R_s."""
    system, scene = setting(case)
    raw = uniform(system, "surface", 5)
    if not system.passive:
        raw[:, : system.num_elements] = np.random.default_rng(6).uniform(0.2, 1.0, (BATCH, system.num_elements))
    design = system.decode(scene, raw, "surface")
    budget = None if system.passive else system.surface_power_w
    for b in range(BATCH):
        c = brute.case(system, scene, design, b)
        _, r_s = brute.lower_bound(c, system.power_w, budget, system.max_amplitude)
        w, r0, _, _ = brute.rule(c, r_s, system.sinr_threshold, system.power_w, budget)
        size = max(np.abs(w).max() ** 2, np.abs(r0).max())
        assert np.allclose(design.beams[b], w, rtol=0, atol=1e-5 * np.sqrt(size))
        assert np.allclose(design.sensing_cov[b], r0, rtol=0, atol=1e-5 * size)
    if system.sinr_threshold is None:
        assert not design.beams.any()


@pytest.mark.parametrize("case", ["both budgets", "surface limited", "one user", "as many users as elements", "passive"])
def test_surface_rule_meets_the_users_exactly(case: str) -> None:
    """`SINR_k = gamma_k + zeta t_k / n_k` wherever zeta >= 1e-2 before its floor; nothing else reaches a user."""
    system, scene = setting(case, 40)
    if system.passive:
        system = dataclasses.replace(system, sinr_threshold_db=-30.0)
    elif system.num_users == system.num_elements:
        system = dataclasses.replace(system, sinr_threshold_db=-5.0)
    raw = uniform(system, "surface", 8, 40)
    if not system.passive:
        raw[:, : system.num_elements] = np.random.default_rng(9).uniform(0.9, 1.0, (40, system.num_elements))
    design = system.decode(scene, raw, "surface")
    metrics = system.evaluate(scene, design)
    budget = None if system.passive else system.surface_power_w
    seen = 0
    for b in range(len(scene)):
        c = brute.case(system, scene, design, b)
        _, r_s = brute.lower_bound(c, system.power_w, budget, system.max_amplitude)
        _, _, zeta, t = brute.rule(c, r_s, system.sinr_threshold, system.power_w, budget)
        paths = (c.h.conj() * c.v) @ c.g
        leak = np.abs(paths @ c.sensing) ** 2
        assert np.sum(leak, axis=1).max() <= 1e-12 * np.max(np.abs(paths @ c.w) ** 2)
        if zeta >= 1e-2:
            seen += 1
            expected = system.sinr_threshold + zeta * t / brute.user_noise(c)
            assert np.allclose(brute.sinr(c), expected, rtol=1e-5)
            assert metrics.feasible[b] and np.all(metrics.margins["sinr"][b] >= 0.0)
    assert seen >= 5


def transmit_feasible(system: ActiveCrb, c: brute.Case) -> bool:
    """Whether any beams meet the SINR and power constraints at these coefficients (those of SDR5.1), by duality.

    A full-rank R may take as little power as one likes, so the data beams alone decide. Under the weighted budget
    `tr((tau I / P_0 + (1 - tau) S / P_1) R) <= 1` the least power is sum_k q_k of the dual uplink, a fixed point; it is concave
    in tau, and both budgets can be met iff its maximum is at most 1. On a grid of tau it errs towards feasible.
    """
    paths = (c.h.conj() * c.v) @ c.g / np.sqrt(brute.user_noise(c))[:, None]
    basis = np.linalg.svd(c.g, full_matrices=False)[2].conj().T
    s, s0 = brute.surface_affine(c)
    tau = np.array([1e-3, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])[:, None, None]
    inner = basis.conj().T @ s @ basis / (system.surface_power_w - s0)
    weight = tau * np.eye(len(inner)) / system.power_w + (1.0 - tau) * inner
    rows = paths @ basis
    outer = rows.conj()[:, :, None] * rows[:, None, :]
    q = np.zeros((len(tau), len(rows)))
    for _ in range(400):
        inverse = np.linalg.inv(weight + np.einsum("tk,kmn->tmn", q, outer))
        reach = np.einsum("km,tmn,kn->tk", rows, inverse, rows.conj()).real
        new = system.sinr_threshold / (1.0 + system.sinr_threshold) / reach
        done, q = np.allclose(new, q, rtol=1e-7, atol=0.0), new
        if done or np.max(q.sum(axis=1)) > 1.0:  # it rises monotonically from 0
            break
    return bool(np.max(q.sum(axis=1)) <= 1.0)


def test_surface_rule_is_feasible_where_anything_is() -> None:
    """At 12 dB on at least 90 % of the random draws of phases on which some beams are (95 %)."""
    system = systems.make("active_crb")
    draws = 40
    scene = system.sample(np.random.default_rng(11), draws)
    raw = uniform(system, "surface", 12, draws)
    raw[:, : system.num_elements] = 1.0
    design = system.decode(scene, raw, "surface")
    met = system.evaluate(scene, design).feasible
    able = np.array([transmit_feasible(system, brute.case(system, scene, design, b)) for b in range(draws)])
    assert able.sum() >= draws // 2 and not np.any(met & ~able)
    assert met[able].mean() >= 0.9, f"{met.sum()} of {able.sum()}"


@every_case
def test_structured_by_hand(case: str) -> None:
    """Regularised zero-forcing of the users in the space of the columns of V."""
    system, scene = setting(case)
    variables = system.variables("structured")
    raw = uniform(system, "structured", 4)
    design, values = system.decode(scene, raw, "structured"), var.split(variables, raw)
    users = system.sinr_threshold is not None
    for b in range(BATCH):
        c, v = brute.case(system, scene, design, b), scene.reference["basis"][b]
        logits = np.concatenate([values["user_power"][b] if users else [], values["target_power"][b]])
        power = np.exp(4.0 * logits) / np.sum(np.exp(4.0 * logits))
        k = system.num_users
        toward = v @ np.diag(np.sqrt(power[-system.num_elements :]))
        w, sensing = np.zeros_like(c.w), toward
        if users:
            paths = (c.h.conj() * c.v) @ c.g
            d = paths @ toward
            gram = d @ d.conj().T
            loading = 10.0 ** (2.0 * values["regulariser"][b, 0] - 2.0) * np.trace(gram).real / k
            columns = toward @ d.conj().T @ np.linalg.inv(gram + loading * np.eye(k))
            w = np.sqrt(power[:k]) * columns / np.linalg.norm(columns, axis=0)
            sensing = toward - columns @ d
        total = np.concatenate([w, sensing], axis=1)
        factor = np.linalg.norm(c.r) / np.linalg.norm(total @ total.conj().T)
        size = np.abs(c.r).max()
        assert np.allclose(c.w, np.sqrt(factor) * w, rtol=0, atol=1e-9 * np.sqrt(size))
        assert np.allclose(design.sensing_cov[b], factor * sensing @ sensing.conj().T, rtol=0, atol=1e-9 * size)


def test_structured_encode_is_the_nearest() -> None:
    """Powers of the beams and of `V^H R_0 V`; `regulariser` -1; the surface as it is."""
    system, scene = setting("both budgets")
    variables = system.variables("structured")
    raw = np.random.default_rng(3).uniform(-0.9, 0.9, (BATCH, var.length(variables)))
    where = var.slices(variables)
    raw[:, where["regulariser"]] = -1.0
    design = system.decode(scene, raw, "structured")
    found = system.encode(scene, design, "structured")
    assert np.all(np.abs(found[:, where["regulariser"]] + 1.0) < 1e-6)
    for name in ("amplitude", "phase"):
        assert np.allclose(found[:, where[name]], raw[:, where[name]], atol=1e-9)
    again = system.decode(scene, found, "structured")
    same_metrics(system, scene, again, system.decode(scene, system.encode(scene, again, "structured"), "structured"))
    full = system.decode(scene, uniform(system, "full"))
    values = var.split(variables, system.encode(scene, full, "structured"))
    powers = np.sum(np.abs(full.beams) ** 2, axis=1)
    inside = np.swapaxes(scene.reference["basis"].conj(), 1, 2) @ full.sensing_beams
    targets = np.sum(np.abs(inside) ** 2, axis=2)
    expected = 0.25 * np.log(np.concatenate([powers, targets], axis=1))
    logits = np.concatenate([values["user_power"], values["target_power"]], axis=1)
    assert np.allclose(np.ptp(logits - expected, axis=1), 0.0, atol=1e-9), "logits up to a common shift"


def test_surface_encode_keeps_the_surface() -> None:
    system, scene = setting("both budgets")
    design = system.decode(scene, uniform(system, "full"))
    again = system.decode(scene, system.encode(scene, design, "surface"), "surface")
    assert np.allclose(again.coefficients, design.coefficients, rtol=1e-9)


# -- start and repair ---------------------------------------------------------------------------------------------------------


@every_case
def test_start_is_the_best_linear_profile(case: str) -> None:
    system, scene = setting(case)
    n = system.num_elements
    values = []
    for i in range(2 * n):
        phase = np.pi * np.arange(n) * (i / n - 1.0)
        part = {"phase": np.tile(phase, (BATCH, 1)), "amplitude": np.ones((BATCH, n))}
        raw = var.join(system.variables("surface"), {v.name: part[v.name] for v in system.variables("surface")})
        values.append(system.penalised(system.evaluate(scene, system.decode(scene, raw, "surface"))))
    best = np.max(values, axis=0)
    for control in CONTROLS:
        raw = system.start(scene, control)
        assert raw.shape == (BATCH, var.length(system.variables(control))) and np.all(np.abs(raw) <= 1.0)
        design = system.decode(scene, raw, control)
        assert np.allclose(np.abs(design.coefficients), caps(system, scene)[:, None], rtol=1e-9)
        steps = design.coefficients[:, 1:] / design.coefficients[:, :-1]
        assert np.allclose(steps, steps[:, :1], rtol=1e-9), "a linear profile"
        if control != "structured":
            assert np.allclose(system.penalised(system.evaluate(scene, design)), best, atol=1e-8)


def test_start_at_the_defaults() -> None:
    system = systems.make("active_crb")
    scene = system.sample(np.random.default_rng(0), 100)
    metrics = system.evaluate(scene, system.decode(scene, system.start(scene)))
    assert metrics.feasible.mean() >= 0.9 and np.median(metrics.gap_db) < 5.0


def blends(system: ActiveCrb, known: ActiveCrbScene, design: ActiveCrbDesign, b: int) -> list[brute.Case]:
    """The 17 designs of the page's repair for one scene."""
    c = brute.case(system, known, design, b)
    budget = None if system.passive else system.surface_power_w
    _, r_s = brute.lower_bound(c, system.power_w, budget, system.max_amplitude)
    w_rule, r_rule, _, _ = brute.rule(c, r_s, system.sinr_threshold, system.power_w, budget)
    paths = (c.h.conj() * c.v) @ c.g
    s, s0 = brute.surface_affine(c)
    out = []
    for share in np.linspace(0.0, 1.0, 17):
        turn = np.exp(-1j * np.angle(np.sum(paths * c.w.T, axis=1)))
        w = (1.0 - share) * c.w * turn + share * w_rule
        r0 = (1.0 - share) * c.sensing @ c.sensing.conj().T + share * r_rule
        r = w @ w.conj().T + r0
        nu = system.power_w / np.trace(r).real
        if budget is not None:
            nu = min(nu, (budget - s0) / np.trace(s @ r).real)
        values, vectors = np.linalg.eigh(nu * r0)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        out.append(brute.Case(c.g, c.h, c.target, np.sqrt(nu) * w, root, c.v, *_noises(system), c.snapshots))
    return out


def _noises(system: ActiveCrb) -> tuple[float, float, float]:
    return system.noise_bs_w, system.noise_user_w, system.noise_surface_w


@pytest.mark.parametrize("case", ["both budgets", "surface limited", "loud surface", "as many users as elements", "passive"])
def test_repair_takes_the_best_feasible_blend(case: str) -> None:
    system, scene = setting(case, 12)
    raw = random_designs(system, batch=12, seed=4)
    start = system.decode(scene, system.start(scene))
    mix = np.linspace(0.0, 1.0, 12)[:, None, None]
    beams = (1 - mix) * system.project(scene, raw).beams + mix * start.beams
    design = system.canonical(scene, start.replace(beams=beams))
    before, repaired = system.evaluate(scene, design), system.repair(scene, design)
    hard_constraints(system, scene, repaired)
    after = system.evaluate(scene, repaired)
    assert np.allclose(repaired.coefficients, design.coefficients, rtol=1e-12)
    for b in range(12):
        options = blends(system, scene, design, b)
        sinr = np.array([brute.sinr(c) for c in options])
        met = np.all(10 * np.log10(sinr / system.sinr_threshold) >= -1e-3, axis=1)
        if met.any():
            best = min(brute.crb(c) for c, ok in zip(options, met, strict=True) if ok)
            assert after.feasible[b] and after.objective[b] == pytest.approx(10 * np.log10(best), abs=1e-4)
        else:
            assert not before.feasible[b]
            assert after.objective[b] == pytest.approx(before.objective[b], abs=1e-5)
            assert np.allclose(after.sinr_db[b], before.sinr_db[b], atol=1e-5)
    had = before.feasible
    assert np.all(after.feasible[had]) and np.all(after.objective[had] <= before.objective[had] + 1e-5)
    same_metrics(system, scene, system.decode(scene, system.encode(scene, repaired)), repaired)


@pytest.mark.parametrize("case", ["sensing only", "passive sensing only"])
def test_repair_without_users_is_never_worse(case: str) -> None:
    system, scene = setting(case)
    design = system.decode(scene, uniform(system, "full"))
    before, after = system.evaluate(scene, design), system.evaluate(scene, system.repair(scene, design))
    assert np.all(after.objective <= before.objective + 1e-5)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(data=st.data(), case=st.sampled_from(["both budgets", "surface limited", "one element", "square", "passive"]))
def test_repair_of_anything(data: st.DataObject, case: str) -> None:
    """Finite, hard-feasible, canonical, and never less feasible; the feasible ones never worse."""
    system, scene = setting(case)
    design = system.decode(scene, data.draw(actions(var.length(system.variables()))))
    repaired = system.repair(scene, design)
    hard_constraints(system, scene, repaired)
    before, after = system.evaluate(scene, design), system.evaluate(scene, repaired)
    for name, array in after.items():
        assert np.isfinite(array).all(), name
    assert np.all(after.feasible | ~before.feasible)
    assert np.all(after.objective[before.feasible] <= before.objective[before.feasible] + 1e-5)


# -- gradients ----------------------------------------------------------------------------------------------------------------


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
