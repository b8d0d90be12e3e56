"""Variables, decoding, projection, encoding of `multifunctional`: by hand, and exact for any action."""

from __future__ import annotations

from typing import Any

import multifunctional_rules as rules
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multifunctional_designs import (
    BATCH,
    CASES,
    CONTROLS,
    actions,
    close,
    edge_actions,
    every_case,
    every_control,
    extreme,
    hard_constraints,
    in_alphabet,
    random_design,
    raw_designs,
    same_metrics,
    seeds,
    setting,
    shares,
    uniform,
)

from ris_gym import systems
from ris_gym import variables as var

# -- the tables ---------------------------------------------------------------------------------------------------------------

KINDS: dict[str, dict[str, Any]] = {
    "es": {}, "ms": {"protocol": "ms"}, "ts": {"protocol": "ts"}, "star": {"kind": "star"}, "active": {"kind": "active"},
    "passive": {"kind": "passive"},
}  # fmt: skip
SIZES = {  # full, surface, structured (page, section 12)
    "es": (224, 128, 137), "ms": (192, 96, 105), "ts": (321, 129, 138), "star": (192, 96, 105), "active": (160, 64, 73),
    "passive": (128, 32, 41),
}  # fmt: skip


@pytest.mark.parametrize("row", KINDS)
def test_table_of_variables(row: str) -> None:
    """Names, shapes, kinds and owners in the page's order; lengths of the three controls at the default sizes."""
    system = systems.make("multifunctional", **KINDS[row])
    n, m, k, s0, lead = 8, 32, 4, 2, ((2,) if row == "ts" else ())
    expected: list[tuple[str, tuple[int, ...], str, str]] = [
        ("beams", (*lead, n, k), "cartesian", "bs"),
        ("sensing_beams", (*lead, n, s0), "cartesian", "bs"),
        ("phase", (2, m) if row in ("es", "ts", "star") else (m,), "phase", "surface"),
    ]
    if row not in ("star", "passive"):
        expected.append(("amplitude", (2, m) if row == "ts" else (m,), "level", "surface"))
    if row in ("es", "star"):
        expected.append(("split", (m,), "fraction", "surface"))
    if row == "ms":
        expected.append(("mode", (m,), "mode", "surface"))
    if row == "ts":
        expected.append(("time_fraction", (), "fraction", "time"))
    more = [("user_power", (k,), "level", "bs"), ("target_power", (4,), "level", "bs"), ("regulariser", (1,), "level", "bs")]

    def listed(control: str) -> list[tuple[str, tuple[int, ...], str, str]]:
        return [(v.name, v.shape, v.kind, v.owner) for v in system.variables(control)]

    assert listed("full") == expected and listed("surface") == expected[2:] and listed("structured") == expected[2:] + more
    assert tuple(var.length(system.variables(c)) for c in ("full", "surface", "structured")) == SIZES[row]
    assert all(v.n is None for v in system.variables() if v.kind == "phase") and not var.discrete(system.variables("surface"))


@pytest.mark.parametrize("row", KINDS)
@pytest.mark.parametrize("bits", [1, 3])
def test_alphabet_of_the_phases(row: str, bits: int) -> None:
    """`n = 2^b` for every kind; discrete actions for `passive` with the surface alone."""
    system = systems.make("multifunctional", phase_bits=bits, preset="small", **KINDS[row])
    (phase,) = (v for v in system.variables() if v.name == "phase")
    assert phase.n == 2**bits
    assert var.discrete(system.variables("surface")) == (row == "passive")
    assert not var.discrete(system.variables("full"))
    if row == "passive":
        assert np.array_equal(var.alphabet(system.variables("surface")), np.full(8, 2**bits))
        scene = system.sample(np.random.default_rng(0), 6)
        index = np.random.default_rng(1).integers(0, 2**bits, (6, 8))
        design = system.decode(scene, var.from_index(system.variables("surface"), index), "surface")
        chosen = design.coefficients[:, np.arange(8) % 2, np.arange(8)]
        assert np.allclose(chosen, np.exp(2j * np.pi * index / 2**bits), atol=1e-12)


def test_no_sensing_beams_no_target_power() -> None:
    for fields in KINDS.values():
        system = systems.make("multifunctional", num_sensing_beams=0, **fields)
        assert [v.name for v in system.variables("structured")][-2:] == ["user_power", "regulariser"]
        (sensing,) = (v for v in system.variables() if v.name == "sensing_beams")
        assert sensing.size == 0


@pytest.mark.parametrize("control", ["beams", "", "FULL"])
def test_unknown_control_and_wrong_shapes(control: str) -> None:
    system, scene = setting("es")
    with pytest.raises(ValueError, match="control must be one of"):
        system.decode(scene, np.zeros((BATCH, 3)), control)
    for known in CONTROLS:
        n = var.length(system.variables(known))
        for shape in ((BATCH, n + 1), (BATCH - 1, n), (n,)):
            with pytest.raises(ValueError, match="raw must have shape"):
                system.decode(scene, np.zeros(shape), known)


# -- decoding -----------------------------------------------------------------------------------------------------------------


@every_case
def test_decode_full_by_hand(case: str) -> None:
    system, scene = setting(case)
    for raw in edge_actions(system, "full"):
        design = system.decode(scene, raw)
        hard_constraints(system, scene, design)
        for b in range(BATCH):
            expected, mode = rules.decode_full(system, np.asarray(scene.bs_ris[b]), raw[b])
            close(design, b, expected, 1e-9)
            assert (mode is None) == (design.mode is None)
            if mode is not None:
                assert np.array_equal(design.mode[b], mode) and design.mode.dtype == np.int64


def test_the_budget_of_the_surface_binds_somewhere() -> None:
    """The loud cases test step (4), the others the caps."""
    for case in ("es loud", "ms loud", "ts loud", "active loud"):
        system, scene = setting(case)
        found = [system.evaluate(scene, system.decode(scene, np.abs(uniform(system, "full", seed)))) for seed in range(4)]
        used = np.array([metrics.surface_power_w for metrics in found]) / system.surface_power_w
        assert np.mean(np.abs(used - 1.0) < 1e-9) > 0.2, used
    system, scene = setting("es")
    raw = np.ones_like(uniform(system, "full"))
    assert np.allclose(np.sum(np.abs(system.decode(scene, raw).coefficients) ** 2, axis=1), 1000.0, rtol=1e-9)


def test_every_power_of_the_station_is_reached() -> None:
    """The whole ball: inside it beams are sqrt(P_BS) times the action, outside it they have full power."""
    for case in ("es", "ts", "passive"):
        system, scene = setting(case)
        raw = uniform(system, "full")
        beams = sum(v.size for v in system.variables()[:2])
        for scale in (0.0, 1e-3, 0.1, 0.25, 1.0):
            quiet = raw.copy()
            quiet[:, :beams] *= scale
            found = system.evaluate(scene, system.decode(scene, quiet)).power_w
            design = system.decode(scene, quiet)
            parts = var.split(system.variables(), quiet)
            w = np.concatenate([parts["beams"], parts["sensing_beams"]], axis=-1).reshape(BATCH, 1 + (case == "ts"), -1)
            norm = np.minimum(np.linalg.norm(w, axis=-1), 1.0) ** 2
            if case != "ts":
                assert np.allclose(found, system.power_w * norm[:, 0], rtol=1e-9)
            else:
                assert np.all(found <= system.power_w * norm.max(axis=1) * (1 + 1e-9))
            assert np.isfinite(design.beams).all()


@every_case
@every_control
@settings(max_examples=6, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_action_is_feasible(case: str, control: str, data: st.DataObject) -> None:
    """Hard constraints to 1e-9, finite metrics, the projection leaves it."""
    system, scene = setting(case)
    raw = data.draw(actions(var.length(system.variables(control))))
    design = system.decode(scene, raw, control)
    hard_constraints(system, scene, design)
    assert in_alphabet(system, design)
    for name, array in system.evaluate(scene, design).items():
        assert np.isfinite(array).all(), name
    again = system.project(scene, design)
    for (name, array), (_, other) in zip(design.items(), again.items(), strict=True):
        assert np.allclose(array, other, rtol=1e-12, atol=1e-12 * np.abs(array).max(initial=1e-300)), name


@every_case
@every_control
def test_single_precision(case: str, control: str) -> None:
    """Hard constraints to 2e-6 in complex64, metrics close to those of the double action."""
    system, scene = setting(case)
    single = scene.astype("complex64")
    for raw in (*edge_actions(system, control), system.start(scene, control)):
        raw = raw.astype(np.float32)
        design = system.decode(single, raw, control)
        assert {array.dtype.name for _, array in design.items()} <= {"complex64", "float32", "int64"}
        wide, truth = design.astype("complex128"), single.astype("complex128")
        hard_constraints(system, truth, wide, 2e-6)
        assert in_alphabet(system, wide, 1e-6)
        hard_constraints(system, truth, system.project(single, design).astype("complex128"), 2e-6)
        for name, array in system.evaluate(single, design).items():
            assert np.isfinite(array).all(), name
    raw = uniform(system, control).astype(np.float32)
    double = system.evaluate(scene, system.decode(scene, raw.astype(float), control))
    found = system.evaluate(single, system.decode(single, raw, control))
    assert np.allclose(found.score, double.score, atol=5e-3) and np.allclose(found.cost, double.cost, atol=5e-3)


@every_case
@every_control
def test_decode_of_torch(case: str, control: str) -> None:
    import torch

    system, scene = setting(case)
    raw = uniform(system, control)
    raw[0] = 0.0
    ours = system.decode(scene, raw, control)
    theirs = system.decode(scene.to_torch(), torch.as_tensor(raw), control)
    projected = system.project(scene.to_torch(), theirs).to_numpy()
    for (name, array), (_, other), (_, third) in zip(ours.items(), theirs.to_numpy().items(), projected.items(), strict=True):
        scale = np.abs(array).max(initial=1e-300)
        assert np.allclose(array, other, rtol=0, atol=1e-9 * scale) and np.allclose(array, third, rtol=0, atol=1e-9 * scale), name


def test_modes() -> None:
    """MS: r from x = 0 on, t below; each element has one row."""
    system, scene = setting("ms")
    raw = uniform(system, "full")
    where = var.slices(system.variables())["mode"]
    raw[:, where] = np.array([0.0, -1e-12, 1.0, -1.0])
    design = system.decode(scene, raw)
    assert np.array_equal(design.mode, np.tile([0, 1, 0, 1], (BATCH, 1)))
    assert np.array_equal(design.coefficients[:, 1] != 0, design.mode == 1)


def test_time_fraction() -> None:
    """lambda_r = 0.5 + 0.45 x, in [0.05, 0.95]; the projection clips."""
    system, scene = setting("ts")
    raw = uniform(system, "full")
    raw[:, -1] = [-1.0, 0.2, 1.0]
    design = system.decode(scene, raw)
    assert np.allclose(design.time_fraction, [0.05, 0.59, 0.95], atol=1e-15)
    assert np.all(design.time_fraction >= 0.05) and np.all(design.time_fraction <= 0.95)
    clipped = system.project(scene, design.replace(time_fraction=np.array([-2.0, 0.3, 1.0])))
    assert np.allclose(clipped.time_fraction, [0.05, 0.3, 0.95], atol=1e-15)
    assert not design.beams[:, 0, :, 2].any() and not design.beams[:, 1, :, :2].any()


# -- projection ---------------------------------------------------------------------------------------------------------------


@every_case
def test_projection_by_hand(case: str) -> None:
    """Time fraction and columns, rounding, mask, beams, caps, surface power: in this order."""
    system, scene = setting(case)
    for raw in raw_designs(system):
        if raw.time_fraction is not None:
            raw = raw.replace(time_fraction=np.array([0.01, 0.4, 0.99]))
        done = system.project(scene, raw)
        hard_constraints(system, scene, done)
        for b in range(BATCH):
            close(done, b, rules.project(system, np.asarray(scene.bs_ris[b]), rules.raw_of(raw, b)), 1e-9)


@every_case
@settings(max_examples=8, deadline=None, derandomize=True)
@given(seed=seeds, share=shares, columns=st.integers(0, 3))
def test_projection_of_anything(case: str, seed: int, share: float, columns: int) -> None:
    """Feasible, idempotent to 1e-12, finite metrics; any number of sensing columns; `canonical` has S."""
    system, scene = setting(case)
    base = random_design(system, columns=columns)
    changes: dict[str, Any] = {
        name: extreme((seed + i) % 2**32, share, getattr(base, name).shape)
        for i, name in enumerate(("beams", "sensing_beams", "coefficients"))
    }
    if base.time_fraction is not None:
        changes["time_fraction"] = np.array([-1e9, 0.5, 1e-300])
    raw = base.replace(**changes)
    once = system.project(scene, raw)
    hard_constraints(system, scene, once)
    assert in_alphabet(system, once)
    twice = system.project(scene, once)
    for (name, array), (_, again) in zip(once.items(), twice.items(), strict=True):
        assert np.allclose(array, again, rtol=1e-12, atol=1e-12 * np.abs(array).max(initial=1e-300)), name
    for name, array in system.evaluate(scene, once).items():
        assert np.isfinite(array).all(), name
    canonical = system.canonical(scene, raw)
    hard_constraints(system, scene, canonical)
    assert canonical.sensing_beams.shape[-1] == system.num_sensing_beams
    encoded = system.encode(scene, canonical)
    assert np.all(np.abs(encoded) <= 1.0)
    same_metrics(system, scene, system.decode(scene, encoded), canonical)


def test_quiet_designs_are_left() -> None:
    """Nothing is scaled up: power below the maximum stays; star and passive meet their equality."""
    for case in ("es", "ms", "ts", "active"):
        system, scene = setting(case)
        quiet = system.decode(scene, 0.02 * uniform(system, "full"))
        less = quiet.replace(coefficients=0.1 * quiet.coefficients)
        kept = system.project(scene, less)
        for name in ("beams", "sensing_beams", "coefficients"):
            assert np.array_equal(getattr(kept, name), getattr(less, name)) or np.allclose(
                getattr(kept, name), getattr(less, name), rtol=1e-14, atol=0
            ), name


def test_zero_elements() -> None:
    """star: sqrt(1/2) each; passive: 1 on its own side; others stay dark."""
    for case in ("star", "passive", "es", "active"):
        system, scene = setting(case)
        base = random_design(system)
        done = system.project(scene, base.replace(coefficients=0 * base.coefficients)).coefficients
        if case == "star":
            assert np.allclose(done, np.sqrt(0.5), atol=1e-15)
        elif case == "passive":
            assert np.allclose(done, [[1, 0, 1, 0], [0, 1, 0, 1]], atol=1e-15)
        else:
            assert not done.any()


@pytest.mark.parametrize("case", [name for name in CASES if "bits" in name])
def test_rounding(case: str) -> None:
    """Nearest multiple of 2 pi / 2^b, half-way up, by the action and by the projection; encode gives the same back."""
    system, scene = setting(case)
    levels = 2**system.phase_bits
    raw = uniform(system, "full")
    where = var.slices(system.variables())["phase"]
    count = raw[:, where].shape[1]
    raw[:, where] = np.resize(np.concatenate([np.arange(-levels, levels) / levels, [1.0, -1.0, 1e-9, -1e-9]]), (BATCH, count))
    design = system.decode(scene, raw)
    assert in_alphabet(system, design, 1e-12)
    for b in range(BATCH):
        close(design, b, rules.decode_full(system, np.asarray(scene.bs_ris[b]), raw[b])[0])
    found = system.encode(scene, design)
    index = np.floor(levels * found[:, where] / 2 + 0.5) % levels
    dark = np.abs(found[:, where] * levels / 2 - np.round(found[:, where] * levels / 2))
    assert np.all(dark < 1e-9) and set(np.unique(index)) <= set(range(levels))
    same_metrics(system, scene, system.decode(scene, found), design)
    angles = random_design(system)
    rounded = system.project(scene, angles)
    turn = np.angle(rounded.coefficients * angles.coefficients.conj())[np.abs(rounded.coefficients) > 0]
    assert np.abs(turn).max() <= np.pi / levels + 1e-9


def test_wrong_knowledge() -> None:
    """Decoded at wrong estimates, projected on the truth: hard-feasible there (the surface's own limiter)."""
    for case in ("es loud", "ts loud", "active loud"):
        system, _ = setting(case)
        scene = system.sample(np.random.default_rng(3), BATCH, csi_error=0.5)
        known = system.known(scene)
        for control in CONTROLS:
            design = system.decode(known, np.abs(uniform(system, control)), control)
            hard_constraints(system, known, design)
            hard_constraints(system, scene, system.project(scene, design))


@pytest.mark.parametrize("row", KINDS)
@pytest.mark.parametrize(("antennas", "elements", "sensors"), [(1, (2, 1), (1, 1)), (2, (1, 2), (1, 2)), (3, (2, 2), (5, 1))])
def test_smallest_sizes(row: str, antennas: int, elements: tuple[int, int], sensors: tuple[int, int]) -> None:
    """One or two antennas (nothing is left off the filters' span), two elements, two sensors: all controls work."""
    for users in ((1, 0), (0, 1), (1, 1)):
        system: Any = systems.make(
            "multifunctional", num_antennas=antennas, num_elements_h=elements[0], num_elements_v=elements[1],
            num_sensors_h=sensors[0], num_sensors_v=sensors[1], num_users=users, num_targets=(1, 1), num_sensing_beams=1,
            **KINDS[row],
        )  # fmt: skip
        scene = system.sample(np.random.default_rng(0), 2)
        for control in CONTROLS:
            for raw in (uniform(system, control, batch=2), system.start(scene, control)):
                design = system.decode(scene, raw, control)
                hard_constraints(system, scene, design)
                for name, array in system.evaluate(scene, design).items():
                    assert np.isfinite(array).all(), name
                again = system.decode(scene, system.encode(scene, design))
                same_metrics(system, scene, again, design if control != "structured" else system.canonical(scene, design))
