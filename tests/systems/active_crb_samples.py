"""Small variants of `active_crb` with decoded random designs, shared by the tests of its metrics and of its bound."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from ris_gym import systems
from ris_gym import variables as var
from ris_gym.systems import ActiveCrb
from ris_gym.systems.active_crb import ActiveCrbDesign, ActiveCrbScene

SMALL: dict[str, Any] = {"num_antennas": 4, "num_elements": 3, "num_users": 2, "num_snapshots": 6}
CASES: dict[str, dict[str, Any]] = {
    "small": {},
    "loud surface": {"noise_surface_dbm": -62.0, "noise_user_dbm": -80.0},
    "loop gain": {"max_gain_db": 60.0, "surface_power_dbm": 30.0, "noise_surface_dbm": -75.0},
    "sensing only": {"sinr_threshold_db": None},
    "one user": {"num_users": 1, "sinr_threshold_db": (3.0,)},
    "as many users as elements": {"num_users": 3, "sinr_threshold_db": (3.0, 5.0, 8.0), "num_snapshots": 9},
    "square": {"num_antennas": 3, "rician_db": -10.0},
    "wide": {"num_antennas": 6, "num_elements": 4, "num_users": 3, "num_snapshots": 8, "noise_bs_dbm": -85.0},
    "one element": {"num_elements": 1, "num_users": 1},
    "passive": {"kind": "passive"},
    "passive sensing only": {"kind": "passive", "sinr_threshold_db": None},
}
every_case = pytest.mark.parametrize("name", CASES)
CAP_DB = 100.0


@cache
def setting(name: str, batch: int = 4, seed: int = 0) -> tuple[ActiveCrb, ActiveCrbScene, ActiveCrbDesign]:
    """A small system, scenes and decoded random designs (amplitudes within 20 dB of the cap)."""
    system = systems.make("active_crb", **(SMALL | CASES[name]))
    assert isinstance(system, ActiveCrb)
    rng = np.random.default_rng(seed)
    scene = system.sample(rng, batch)
    variables = system.variables()
    raw = rng.uniform(-1, 1, (batch, var.length(variables)))
    if "amplitude" in (where := var.slices(variables)):
        raw[:, where["amplitude"]] = rng.uniform(0.3, 1.0, (batch, system.num_elements))
    return system, scene, system.decode(scene, raw)


def linear(db: np.ndarray) -> np.ndarray:
    return 10.0 ** (np.asarray(db) / 10.0)


def bare(scene: ActiveCrbScene) -> dict[str, np.ndarray]:
    """The channels alone."""
    return {name: getattr(scene, name) for name in ("bs_ris", "ris_user", "target_response")}
