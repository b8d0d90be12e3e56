"""What the picture of `MultiFunctional` shows: budgets, coefficients, beampattern, marks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ris_gym import systems
from ris_gym.envs.pictures.multifunctional import GRID_DEG, names
from ris_gym.envs.pictures.multifunctional_bars import spending
from ris_gym.envs.rendering import figure
from ris_gym.systems.multifunctional.pattern import beampattern_dbm

KINDS: list[dict[str, Any]] = [
    {"protocol": "es"}, {"protocol": "ms"}, {"protocol": "ts"}, {"kind": "active"}, {"kind": "star"}, {"kind": "passive"},
]  # fmt: skip


def drawn(**fields: Any) -> tuple[Any, Any, Any, Any]:
    system = systems.make("multifunctional", **fields)
    rng = np.random.default_rng(1)
    scene = system.sample(rng, 1)
    design = system.decode(scene, rng.uniform(-1.0, 1.0, (1, sum(v.size for v in system.variables()))))
    return system, scene, design, figure(system, scene, design)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_what_is_shown_is_the_design(kind: dict[str, Any]) -> None:
    system, scene, design, picture = drawn(**kind)
    metrics = system.evaluate(scene, design)
    rows = [(name, budget, sum(share for _, share, _ in parts)) for name, budget, parts in spending(system, scene, design)]
    for wanted, power in (("BS", metrics.power_w), ("surface", metrics.surface_power_w)):
        spent = [budget * share for name, budget, share in rows if name.startswith(wanted)]
        assert len(spent) == (0 if power is None else 2 if system.time_switching else 1)
        assert power is None or max(spent) == pytest.approx(power[0], rel=1e-12)
    images = [axes.images[0].get_array() for axes in picture.axes if axes.images]
    level = beampattern_dbm(system, scene, design, GRID_DEG[:, None], GRID_DEG)[0]
    assert len(images) == (7 if system.mode_switching else 6)
    for side in range(2):
        assert np.array_equal(images[side], level[side])
        theta = design.coefficients[0, side].reshape(system.num_elements_h, system.num_elements_v).T
        gain, phase = images[2 + side], images[-2 + side]
        assert np.array_equal(~gain.mask & np.ones(theta.shape, bool), np.abs(theta) > 0.0)
        assert np.allclose(gain.compressed(), 10.0 * np.log10(np.abs(theta[theta != 0.0]) ** 2 / system.max_gain))
        assert np.allclose(phase.compressed(), np.rad2deg(np.angle(theta[theta != 0.0])))
    if system.mode_switching:
        assert np.array_equal(images[4].T.reshape(-1), design.mode[0])


def test_names_of_users_and_targets() -> None:
    assert names(3, letters=False) == ["1", "2", "3"] and names(3, letters=True) == ["A", "B", "C"]
    assert names(27, letters=True)[-1] == "T27"
