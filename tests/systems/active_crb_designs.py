"""Small systems, hard constraints and random designs that the tests of `active_crb` share."""

from __future__ import annotations

from functools import cache
from typing import Any

import active_crb_brute as brute
import numpy as np
import pytest
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
