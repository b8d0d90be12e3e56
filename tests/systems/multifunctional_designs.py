"""Small systems, hard constraints, random designs and actions that the tests of `multifunctional` share."""

from __future__ import annotations

from functools import cache
from typing import Any

import multifunctional_brute as brute
import multifunctional_rules as rules
import numpy as np
import pytest
from hypothesis import strategies as st

from ris_gym import systems
from ris_gym import variables as var
from ris_gym.systems.multifunctional.records import MultiFunctionalDesign, MultiFunctionalScene

BATCH = 3
SMALL: dict[str, Any] = {
    "num_antennas": 5, "num_elements_h": 2, "num_elements_v": 2, "num_sensors_h": 3, "num_sensors_v": 2,
    "num_users": (2, 1), "num_targets": (1, 2), "num_sensing_beams": 1,
}  # fmt: skip
LOUD: dict[str, Any] = {"max_gain_db": 50.0, "noise_surface_dbm": -55.0}  # the surface's budget binds, its noise is heard
CASES: dict[str, dict[str, Any]] = {
    "es": {},
    "ms": {"protocol": "ms"},
    "ts": {"protocol": "ts"},
    "active": {"kind": "active"},
    "star": {"kind": "star"},
    "passive": {"kind": "passive"},
    "es loud": LOUD,
    "ms loud": {"protocol": "ms", **LOUD, "num_sensing_beams": 2},
    "ts loud": {"protocol": "ts", **LOUD},
    "active loud": {"kind": "active", **LOUD, "num_sensing_beams": 2},
    "es few sensors": {"num_sensors_h": 1, "num_sensors_v": 1, "num_antennas": 4, "objective_form": "sum"},
    "es one target each": {"num_targets": (1, 1), "num_sensing_beams": 2, "objective_form": "db"},
    "es no sensing beams": {"num_sensing_beams": 0},
    "ts no sensing beams": {"protocol": "ts", "num_sensing_beams": 0, "num_antennas": 4},
    "es users on one side": {"num_users": (0, 2)},
    "ts users on one side": {"protocol": "ts", "num_users": (3, 0), "num_targets": (2, 1), "num_sensing_beams": 2},
    "star two sensing beams": {"kind": "star", "num_sensing_beams": 2, "num_users": (1, 1), "objective_form": "sum"},
    "es bits": {"phase_bits": 1},
    "ms bits": {"protocol": "ms", "phase_bits": 2},
    "ts bits": {"protocol": "ts", "phase_bits": 2},
    "active bits": {"kind": "active", "phase_bits": 3},
    "star bits": {"kind": "star", "phase_bits": 1},
    "passive bits": {"kind": "passive", "phase_bits": 2},
}
CONTROLS = ("full", "structured", "surface")
KINDS = ("es", "ms", "ts", "active", "star", "passive")
every_case = pytest.mark.parametrize("case", CASES)
every_kind = pytest.mark.parametrize("case", KINDS)
every_control = pytest.mark.parametrize("control", CONTROLS)


@cache
def setting(case: str, batch: int = BATCH) -> tuple[Any, MultiFunctionalScene]:
    """A small system and a few scenes."""
    system: Any = systems.make("multifunctional", **(SMALL | CASES[case]))
    return system, system.sample(np.random.default_rng(7), batch)


def hard_constraints(system: Any, scene: Any, design: Any, tolerance: float = 1e-9) -> None:
    """Finite; BS power, caps or equalities, masks, alphabet, surface power, time fraction, unserved columns."""
    for name, array in design.items():
        assert np.isfinite(array).all(), name
    row, amplifies = rules.traits(system)
    power, surface = rules.budgets(system)
    theta, q = design.coefficients, np.sum(np.abs(design.coefficients) ** 2, axis=1)
    above = 1.0 + tolerance
    if row == "ts":
        assert np.all(np.abs(theta) ** 2 <= rules.cap(system) * above)
        assert np.all(design.time_fraction >= 0.05 - tolerance) and np.all(design.time_fraction <= 0.95 + tolerance)
        side = brute.sides(system.num_users)
        for i in range(2):
            assert not design.beams[:, i][:, :, side != i].any()
    elif amplifies:
        assert np.all(q <= rules.cap(system) * above)
    else:
        assert np.allclose(q, 1.0, rtol=0, atol=3 * tolerance)
    if row in ("active", "passive"):
        assert not theta[:, 0, 1::2].any() and not theta[:, 1, 0::2].any()
    if row == "ms":
        assert np.all((theta[:, 0] == 0) | (theta[:, 1] == 0))
        assert not np.any(theta[:, 0] * (design.mode == 1)) and not np.any(theta[:, 1] * (design.mode == 0))
        assert set(np.unique(design.mode)) <= {0, 1}
    else:
        assert design.mode is None
    assert (design.time_fraction is None) == (row != "ts")
    for b in range(len(scene)):
        h = np.asarray(scene.bs_ris[b])
        w = np.concatenate([design.beams[b], design.sensing_beams[b]], axis=-1)
        for i in range(2 if row == "ts" else 1):
            slot, part = (w[i], theta[b, i : i + 1]) if row == "ts" else (w, theta[b])
            assert np.linalg.norm(slot) ** 2 <= power * above
            if surface is not None:
                assert brute.surface_power(h, slot, part, rules.noise(system)) <= surface * above


def in_alphabet(system: Any, design: MultiFunctionalDesign, atol: float = 1e-9) -> bool:
    """Whether every nonzero coefficient has a phase of the alphabet."""
    if system.phase_bits is None:
        return True
    theta = design.coefficients[np.abs(design.coefficients) > 0]
    turns = np.angle(theta) * 2**system.phase_bits / (2 * np.pi)
    return bool(np.all(np.abs(turns - np.round(turns)) <= atol * 2**system.phase_bits))


def same_metrics(system: Any, scene: Any, a: Any, b: Any, tol: float = 1e-9) -> None:
    """All metrics agree."""
    theirs = dict(system.evaluate(scene, b).items())
    for name, array in system.evaluate(scene, a).items():
        if name != "feasible":
            gap = np.abs(array - theirs[name]) / (1.0 + np.abs(array))
            assert np.all(gap <= tol), f"{name}: {gap.max()}"


def close(design: Any, b: int, expected: rules.Raw, tol: float = 1e-9) -> None:
    """The entries of a design are those of the explicit form, relative to the largest of each array."""
    pairs = {
        "beams": (design.beams[b], expected.beams),
        "sensing_beams": (design.sensing_beams[b], expected.sensing),
        "coefficients": (design.coefficients[b], expected.theta),
    }
    power = np.sqrt(np.linalg.norm(expected.beams) ** 2 + np.linalg.norm(expected.sensing) ** 2)
    for name, (found, wanted) in pairs.items():
        assert found.shape == wanted.shape, name
        scale = np.abs(expected.theta).max() if name == "coefficients" else power
        assert np.allclose(found, wanted, rtol=0, atol=tol * max(scale, 1e-12)), f"{name}: {np.abs(found - wanted).max() / scale}"
    if expected.share is not None:
        assert abs(design.time_fraction[b] - expected.share) <= tol


# -- random designs and actions -----------------------------------------------------------------------------------------------


def random_design(system: Any, seed: int = 0, batch: int = BATCH, columns: int | None = None, scale: float = 1.0) -> Any:
    """Gaussian designs about the budgets, not projected; every row of the coefficients is in use."""
    rng = np.random.default_rng(seed)
    row, _ = rules.traits(system)
    lead = (2,) if row == "ts" else ()
    n, k, m = system.num_antennas, sum(system.num_users), system.num_elements
    s0 = system.num_sensing_beams if columns is None else columns
    theta = scale * np.sqrt(0.3 * rules.cap(system)) * brute.normals(rng, batch, 2, m)
    return MultiFunctionalDesign(
        beams=scale * 0.3 * brute.normals(rng, batch, *lead, n, k),
        sensing_beams=scale * 0.3 * brute.normals(rng, batch, *lead, n, s0),
        coefficients=theta,
        time_fraction=rng.uniform(0.1, 0.9, batch) if row == "ts" else None,
        mode=(np.abs(theta[:, 0]) < np.abs(theta[:, 1])).astype(np.int64) if row == "ms" else None,
    )


def uniform(system: Any, control: str, seed: int = 1, batch: int = BATCH) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (batch, var.length(system.variables(control))))


def edge_actions(system: Any, control: str) -> list[np.ndarray]:
    """Uniform, all zero, a corner, nearly nothing, the other corner, beams inside the ball."""
    raw = uniform(system, control)
    faint = 0.01 * raw
    return [raw, 0 * raw, np.sign(raw), 1e-13 * raw, -np.ones_like(raw), np.ones_like(raw), faint]


def raw_designs(system: Any) -> list[Any]:
    """About the budgets, well inside, far outside, with zeros and with equal rows."""
    base = random_design(system)
    some = base.coefficients.copy()
    some[:, :, 0] = 0.0
    some[:, 1, 1] = some[:, 0, 1]
    some[0] *= 1e-3
    return [base, random_design(system, 2, scale=0.05), random_design(system, 3, scale=30.0), base.replace(coefficients=some)]


SPECIAL = np.array([-1.0, 1.0, 0.0, -0.0, 1e-13, -1e-7, 1e-200, 0.5, -0.5])
EXTREME = np.array([0.0, 1e140, -1e140, 1e-140, -1e-310, 1e-13, 1.0, -0.3])


def mixed(seed: int, share: float, shape: tuple[int, ...], special: np.ndarray) -> np.ndarray:
    """Uniform numbers in [-1, 1], a share of them replaced by special ones."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(shape) < share, rng.choice(special, shape), rng.uniform(-1, 1, shape))


def corners(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(seed).choice([-1.0, 1.0], shape)


def small(seed: int, n: int, scale: float) -> np.ndarray:
    """Everything tiny."""
    return scale * np.random.default_rng(seed).uniform(-1, 1, (BATCH, n))


seeds = st.integers(0, 2**32 - 1)
shares = st.sampled_from([0.0, 0.2, 0.9, 1.0])


def actions(n: int) -> st.SearchStrategy[np.ndarray]:
    """Raw actions in the box: anything, with a liking for corners, zeros and nearly nothing."""
    return st.one_of(
        st.builds(mixed, seeds, shares, st.just((BATCH, n)), st.just(SPECIAL)),
        st.builds(np.full, st.just((BATCH, n)), st.sampled_from(SPECIAL.tolist())),
        st.builds(corners, seeds, st.just((BATCH, n))),
        st.builds(small, seeds, st.just(n), st.sampled_from([1e-6, 1e-13, 1e-60, 1e-170, 1e-300])),
    )


def extreme(seed: int, share: float, shape: tuple[int, ...]) -> np.ndarray:
    """Complex numbers, a share of them huge, tiny or zero."""
    return mixed(seed, share, shape, EXTREME) + 1j * mixed(seed + 1, share, shape, EXTREME)


# -- synthetic scenes ---------------------------------------------------------------------------------------------------------

SYNTHETIC: dict[str, Any] = {
    "noise_user_dbm": 25.0, "noise_surface_dbm": 28.0, "noise_sensor_dbm": 22.0, "max_gain_db": 3.0, "total_power_dbm": 33.0,
    "surface_share": 0.3,
}  # fmt: skip


@cache
def synthetic(case: str, batch: int = 2, **fields: Any) -> tuple[Any, MultiFunctionalScene]:
    """Channels, gains and noises of order one, so that every term of the model matters."""
    quieter = {} if CASES[case].get("kind", "mf") == "mf" else {"noise_surface_dbm": 25.0, "noise_sensor_dbm": 32.0}
    system: Any = systems.make("multifunctional", **(SMALL | CASES[case] | SYNTHETIC | quieter | fields))
    rng = np.random.default_rng(11)
    m, n, k, l = system.num_elements, system.num_antennas, sum(system.num_users), sum(system.num_targets)
    arrays = {
        "bs_ris": brute.normals(rng, batch, m, n),
        "ris_user": brute.normals(rng, batch, k, m),
        "target_steering": np.exp(2j * np.pi * rng.random((batch, l, m))),
        "target_gain": (0.6 if system.kind == "mf" else 2.0) * brute.normals(rng, batch, l),
    }
    if system.kind == "mf":
        arrays["bs_sensor"] = brute.normals(rng, batch, 2, system.num_sensors, n)
        arrays["sensor_steering"] = np.exp(2j * np.pi * rng.random((batch, l, system.num_sensors)))
    return system, system.check_scene(arrays)
