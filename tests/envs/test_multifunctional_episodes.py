"""Episodes of `MultiFunctional` on measured scenes and at odd sizes; observations of every kind stay within the space."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

from ris_gym import save_scenes, systems
from ris_gym.envs.rendering import frame

ID = "ris_gym/MultiFunctional-v0"
SMALL: dict[str, Any] = {"preset": "small", "num_elements_h": 3, "num_elements_v": 2, "num_users": (1, 2), "num_targets": (2, 1)}
KINDS: list[dict[str, Any]] = [
    {"protocol": "es"}, {"protocol": "ms"}, {"protocol": "ts"}, {"kind": "active"}, {"kind": "star"}, {"kind": "passive"},
]  # fmt: skip
NEEDED = {"bs_ris", "ris_user", "target_steering", "target_gain", "bs_sensor", "sensor_steering"}


def measured(system: Any, batch: int, **keywords: Any) -> Any:
    """Scenes with nothing that a measurement would not have."""
    scene = system.sample(np.random.default_rng(5), batch, **keywords)
    keep = NEEDED | {f"{name}_estimate" for name in NEEDED}
    return scene.replace(**{name: None for name, _ in scene.items() if name.partition("/")[0] not in keep | {"reference"}})


@pytest.mark.parametrize(("kind", "form"), [*((kind, "fading") for kind in KINDS), (KINDS[0], "refine")], ids=str)
def test_measured_scenes(kind: dict[str, Any], form: str, tmp_path: Any) -> None:
    system = systems.make("multifunctional", **SMALL, **kind)
    scene = measured(system, 3)
    save_scenes(tmp_path / "measured.npz", system, scene)
    keywords: dict[str, Any] = {"scenes": tmp_path / "measured.npz", "scenes_order": "sequential", "dtype": "complex128"}
    env = gymnasium.make_vec(ID, 3, episode=form, horizon=3, control="surface", csi_error=0.2, **keywords, **SMALL, **kind)
    env.reset(seed=0)
    env.action_space.seed(0)
    held = env.unwrapped.scene
    assert np.array_equal(held.bs_ris, scene.bs_ris) and held.user_position is None and held.bs_ris_los is None
    assert held.bs_ris_estimate is not None and not np.array_equal(held.bs_ris_estimate, held.bs_ris)
    for _ in range(2):
        before = env.unwrapped.scene
        observation, reward, *_, info = env.step(env.action_space.sample())
        assert np.isfinite(reward).all() and observation in env.observation_space
        assert (info["power_w"] <= system.power_w * (1 + 1e-9)).all()
        assert system.surface_power_w is None or (info["surface_power_w"] <= system.surface_power_w * (1 + 1e-9)).all()
        moved = [not np.array_equal(getattr(before, n), getattr(env.unwrapped.scene, n)) for n in ("bs_ris", "ris_user")]
        assert moved == [form == "fading"] * 2
        assert np.array_equal(before.target_gain, env.unwrapped.scene.target_gain)
    if form == "refine":
        assert frame(env).shape == (560, 960, 3)


def test_estimates_that_come_with_the_scenes() -> None:
    system = systems.make("multifunctional", **SMALL)
    scene = measured(system, 2, csi_error=0.3)
    env = gymnasium.make_vec(ID, 2, scenes=scene, scenes_order="sequential", dtype="complex128", **SMALL)
    env.reset(seed=0)
    known = env.unwrapped.core.known
    for name in ("bs_ris", "bs_sensor", "ris_user", "target_gain"):
        assert np.array_equal(getattr(known, name), getattr(scene, f"{name}_estimate"))
        assert np.array_equal(getattr(env.unwrapped.scene, name), getattr(scene, name))


ODD: list[dict[str, Any]] = [
    {"num_users": (0, 0), "num_targets": (1, 1)}, {"num_users": (2, 0), "num_sensing_beams": 0}, {"num_antennas": 1},
    {"num_elements_h": 2, "num_elements_v": 1, "num_users": (3, 0)}, {"num_targets": (1, 4), "num_sensing_beams": 6},
    {"min_rate_bps_hz": 0.0}, {"min_rate_bps_hz": 20.0}, {"num_sensors_h": 1, "num_sensors_v": 1, "isolation_db": (0.0, 60.0)},
    {"total_power_dbm": -60.0}, {"max_gain_db": -40.0},
]  # fmt: skip


@pytest.mark.parametrize("control", ["full", "structured", "surface"])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_odd_sizes(kind: dict[str, Any], control: str) -> None:
    """Finite rewards and observations in the space, also at the edges of the box."""
    for i, fields in enumerate(ODD):
        observation = "local" if control == "full" else "csi"
        form = ("refine", "one_shot", "fading")[i % 3]
        keywords = SMALL | kind | fields | {"control": control, "observation": observation, "episode": form, "horizon": 2}
        env = gymnasium.make_vec(ID, 3, start="random", **keywords)
        env.reset(seed=0)
        env.action_space.seed(0)
        actions = env.action_space.sample()
        actions[1], actions[2] = 0.0, np.sign(actions[2])
        values, reward, *_, info = env.step(actions)
        assert np.isfinite(reward).all() and values in env.observation_space and np.abs(values).max() < 10.0, fields
        assert all(np.isfinite(value).all() for value in info.values() if isinstance(value, np.ndarray)), fields


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_observations_are_hardly_ever_clipped(kind: dict[str, Any]) -> None:
    """At full size, in the rule's and random designs; the space ends at 10."""
    for start, form in (("random", "refine"), ("rule", "fading")):
        env = gymnasium.make_vec(ID, 16, observation="local", start=start, episode=form, horizon=4, csi_error=0.1, **kind)
        values, _ = env.reset(seed=0)
        env.action_space.seed(0)
        clipped = total = 0
        for _ in range(5):
            clipped, total = clipped + int(np.sum(np.abs(values) >= 10.0)), total + values.size
            values, *_ = env.step(env.action_space.sample())
        assert clipped < 1e-4 * total and np.isfinite(values).all()
