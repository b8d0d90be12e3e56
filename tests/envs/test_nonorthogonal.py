"""`NonOrthogonal`: one element per step, the hidden truth of `tracking`, keywords that exclude each other, clipping, picture."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

from ris_gym import systems
from ris_gym.envs.pictures.nonorthogonal import ring_gain
from ris_gym.envs.pictures.nonorthogonal_bars import limits
from ris_gym.systems.nonorthogonal import NonOrthogonal, tracking

ID = "ris_gym/NonOrthogonal-v0"
TRACK: dict[str, Any] = {"episode": "tracking", "surface_shape": (3, 2), "num_frames": 4}


def make(num_envs: int | None = None, **keywords: Any) -> Any:
    if num_envs is None:
        return gymnasium.make(ID, disable_env_checker=True, **keywords).unwrapped
    return gymnasium.make_vec(ID, num_envs, **keywords).unwrapped


def by_hand(system: Any, scene: Any, phase: np.ndarray) -> float:
    """V of two users and complex symbols from positions, by the formulas of the page; phase (L,), block 0."""
    ris, bs, user, comm = (np.asarray(array).reshape(3) for array in (
        scene.ris_position, scene.bs_position, scene.user_position, scene.comm_position,
    ))  # fmt: skip
    (rows, columns), (m_y, m_z) = system.surface_shape, system.user_shape
    grid = np.array([(y, z) for y in range(rows) for z in range(columns)])

    def towards(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, float]:
        return (b - a) / np.linalg.norm(b - a), float(np.linalg.norm(b - a))

    (to_bs, d_bs), (k, d_user), (k_comm, d_comm) = towards(ris, bs), towards(user, ris), towards(comm, ris)
    sent = np.exp(1j * phase) * np.exp(1j * np.pi * grid @ to_bs[1:])
    g_1, g_2 = (abs(np.sum(sent * np.exp(-1j * np.pi * grid @ direction[1:]))) for direction in (k_comm, k))
    noise = 10.0 ** (-6.0 - 2.3 * np.log10(30.0) - 2.2 - system.snr_db / 10.0)
    a, a_comm = (2e-6 * d_bs**-2.3 * d**-2.2 * system.power_w * system.num_antennas / noise for d in (d_user, d_comm))
    power = float(np.sum(np.abs(scene.symbols) ** 2)) * g_2**2
    fisher = power * m_y * m_z * np.diag([m_y**2 - 1.0, m_z**2 - 1.0]) / 12.0
    gamma, azimuth = np.arcsin(k[2]), np.arctan2(k[1], k[0])
    d = np.pi * np.array([
        [-np.sin(gamma) * np.sin(azimuth), np.cos(gamma) * np.cos(azimuth)], [np.cos(gamma), 0.0],
    ])  # fmt: skip
    angle = 0.5 * np.trace(np.linalg.inv(d.T @ fisher @ d)) / a
    return float(system.weight * np.log10(2.0 / (a_comm * m_y * m_z * g_1**2)) + (1.0 - system.weight) * np.log10(angle))


def test_one_element_per_step() -> None:
    env = make(dtype="complex128", surface_shape=(2, 3), horizon=8, weight=0.3, start="random")
    env.reset(seed=0)
    phase = np.angle(env.design.coefficients[0, 0])
    assert np.allclose(phase % (np.pi / 2), 0.0, atol=1e-9) or np.allclose(np.cos(4 * phase), 1.0)
    total, first = 0.0, -by_hand(env.system, env.scene, phase) - 4.0
    assert env.metrics.score[0] == pytest.approx(first, abs=1e-9)
    for step, index in enumerate((3, 0, 1, 2, 2, 1, 1, 3)):
        assert env.turn.tolist() == [step % 6]
        phase[step % 6] = 2.0 * np.pi * index / 4
        _, reward, terminated, truncated, info = env.step(index)
        total += reward
        assert np.allclose(env.design.coefficients[0, 0], np.exp(1j * phase))
        assert info["objective"] == pytest.approx(by_hand(env.system, env.scene, phase), abs=1e-9)
        assert (terminated, truncated) == (step == 7, False)
    assert total == pytest.approx(info["score"] - first, abs=1e-9) and abs(total) > 1e-3


def test_blocks_in_turn_and_the_forms_of_actions() -> None:
    env = make(num_blocks=2, surface_shape=(2, 1), phase_bits=3)
    assert env.action_space == gymnasium.spaces.Discrete(8) and env.horizon == 4
    env.reset(seed=0)
    for index in (1, 2, 5, 7):
        env.step(index)
    assert np.allclose(env.design.coefficients[0], np.exp(0.25j * np.pi * np.array([[1, 2], [5, 7]])), atol=1e-6)
    box = gymnasium.spaces.Box(-1.0, 1.0, (16,), np.float32)
    for keywords, space, horizon in (
        ({"action": "box"}, box, 16), ({"phase_bits": None}, box, 16), ({"phase_bits": None, "episode": "one_shot"}, box, 1),
        ({"episode": "one_shot"}, gymnasium.spaces.MultiDiscrete([4] * 16), 1),
        ({"episode": "tracking"}, gymnasium.spaces.MultiDiscrete([4] * 128), 32),
        ({"episode": "tracking", "phase_bits": 1, "num_frames": 5}, gymnasium.spaces.MultiDiscrete([2] * 128), 5),
    ):
        env = make(**keywords)
        assert env.action_space == space and env.horizon == horizon, keywords


def test_small_box_increments_add_up() -> None:
    """The raw vector is not rounded, the design is."""
    env = make(action="box", step_size=0.2)
    env.reset(seed=0)
    first = env.design.coefficients.copy()
    env.step(np.ones(16, np.float32))
    assert np.allclose(env.design.coefficients, first, atol=1e-6)
    env.step(np.ones(16, np.float32))
    assert np.allclose(env.design.coefficients, 1j * first, atol=1e-6)


# -- tracking -----------------------------------------------------------------------------------------------------------------


def test_preset_of_tracking() -> None:
    assert make(episode="tracking").system == NonOrthogonal.from_preset("tracking")
    assert make(episode="tracking", snr_db=-5.0).system == NonOrthogonal.from_preset("tracking", snr_db=-5.0)
    given = make(episode="tracking", preset="physical", num_blocks=2).system
    assert given == systems.make("nonorthogonal", num_blocks=2)
    assert make().system == make(preset="physical").system == systems.make("nonorthogonal")


def elsewhere(system: Any, scene: Any, rng: np.random.Generator) -> Any:
    """The same belief about another truth: position, velocity and everything drawn in advance differ."""
    gain = np.asarray(scene.gain_ris_user)
    position = scene.user_position + np.array([1.5, -2.0, 0.0])
    drawn = {name: rng.standard_normal(np.shape(getattr(scene, name))) for name in ("motion_noise", "measurement_noise")}
    moved = tracking.moved_to(system, position, gain / np.abs(gain))
    ahead = scene.symbols_ahead.copy()
    ahead[:, 1:] *= 1.3
    return system.check_scene(dict(scene.replace(**moved, **drawn, velocity=-scene.velocity, symbols_ahead=ahead).items()))


@pytest.mark.parametrize("observation", ["csi", "local"])
@pytest.mark.parametrize("model", ["two_user", "consistent"])
def test_the_truth_is_not_observed(observation: str, model: str) -> None:
    keywords = TRACK | {"observation": observation, "model": model}
    envs = [make(3, **keywords) for _ in range(2)]
    scene = envs[0].system.sample_tracking(np.random.default_rng(1), 3)
    other = elsewhere(envs[0].system, scene, np.random.default_rng(2))
    seen = [env.reset(seed=0, options={"scene": each})[0] for env, each in zip(envs, (scene, other), strict=True)]
    assert np.array_equal(*seen)
    envs[0].action_space.seed(0)
    action = envs[0].action_space.sample()
    one, two = (env.step(action) for env in envs)
    assert np.all(np.abs(one[1] - two[1]) > 1e-5) and not np.array_equal(one[0], two[0])
    start, stop, _ = envs[0].observation_layout["belief"]
    known = envs[0].core.known
    assert known.user_position is None and known.velocity is None and known.motion_noise is None
    assert known.measurement_noise is None and known.symbols_ahead is None
    mean = np.concatenate([known.belief_mean[:, :2] / 10.0, known.belief_mean[:, 2:] / 5.0], axis=1)
    assert np.allclose(one[0][:, start : start + 4], mean, atol=1e-6) and stop == start + 7


def test_frames_of_tracking() -> None:
    env = make(2, **TRACK, dtype="complex128", autoreset_mode="Disabled")
    env.reset(seed=3)
    env.action_space.seed(0)
    places = []
    for step in range(4):
        scene, action = env.scene, env.action_space.sample()
        places.append(scene.user_position.copy())
        _, reward, terminated, truncated, info = env.step(action)
        assert not terminated.any() and (truncated == (step == 3)).all()
        error = np.linalg.norm(scene.belief_mean[:, :2] - scene.user_position[:, :2], axis=1)
        assert np.allclose(info["position_error_m"], error)
        used = env.system.decode(scene, 2.0 * action / 4.0 - 2.0 * (action >= 2))
        assert np.allclose(reward, env.system.evaluate(scene, used).score)
        assert not np.allclose(env.scene.user_position, scene.user_position)
        assert np.array_equal(env.scene.comm_position, scene.comm_position)
    assert np.array_equal(env.core.path(1), np.stack(places)[:, 1])
    env.reset(options={"reset_mask": np.array([False, True])})
    assert env.core.path(1) is None and len(env.core.path(0)) == 4
    env.reset(seed=0)
    assert env.core.path(0) is None and make().core.path(0) is None


@pytest.mark.parametrize(
    ("keywords", "match"),
    [
        ({"episode": "fading"}, "episode must be one of"), ({"control": "structured"}, "control must be one of"),
        ({"action": "discrete", "phase_bits": None}, "needs an alphabet"), ({"phase_bits": 0}, "phase_bits"),
        (TRACK | {"horizon": 8}, "horizon does not apply"), (TRACK | {"start": "random"}, "start does not apply"),
        (TRACK | {"step_size": 0.5}, "step_size does not apply"), (TRACK | {"correlation": 0.5}, "correlation does not apply"),
        (TRACK | {"csi_error": 0.1}, "csi_error does not apply"), (TRACK | {"num_blocks": 1}, "num_blocks=2"),
        (TRACK | {"surface_spacing_m": 0.0}, "surface_spacing_m above 0"), (TRACK | {"num_frames": 1}, "num_frames"),
        (TRACK | {"preset": "physical"}, "num_blocks=2"), (TRACK | {"preset": "paper"}, "num_blocks=2"),
        (TRACK | {"action": "discrete", "phase_bits": None}, "needs an alphabet"),
    ],
    ids=str,
)  # fmt: skip
def test_refused(keywords: dict[str, Any], match: str) -> None:
    for num_envs in (None, 2):
        with pytest.raises(ValueError, match=match):
            make(num_envs, **keywords)


def test_scenes_of_the_other_sort_are_refused() -> None:
    system = systems.make("nonorthogonal", num_blocks=2)
    static, moving = system.sample(np.random.default_rng(0), 1), system.sample_tracking(np.random.default_rng(0), 1)
    for keywords, wrong in (({"episode": "tracking", "preset": "physical"}, static), ({}, moving)):
        keywords |= {"num_blocks": 2}
        with pytest.raises(ValueError, match="scenes: .*moving user"):
            make(scenes=wrong, **keywords)
        env = make(**keywords)
        with pytest.raises(ValueError, match=r"options\['scene'\]: .*moving user"):
            env.reset(options={"scene": wrong})


# -- observations and picture -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["refine", "one_shot", "tracking"])
@pytest.mark.parametrize("name", NonOrthogonal.presets)
def test_observations_are_hardly_ever_clipped(name: str, form: str) -> None:
    """At full size; in `tracking` presets of one block get both."""
    both = {"num_blocks": 2, "surface_spacing_m": 2.0} if form == "tracking" else {"csi_error": 0.1}
    env = make(32, preset=name, episode=form, observation="local", autoreset_mode="SameStep", **both)
    values, _ = env.reset(seed=0)
    env.action_space.seed(0)
    clipped = total = 0
    for _ in range(8):
        clipped, total = clipped + int(np.sum(np.abs(values) >= 10.0)), total + values.size
        values, *_ = env.step(env.action_space.sample())
    assert clipped < 1e-4 * total and np.isfinite(values).all()


@pytest.mark.parametrize("model", ["two_user", "consistent", "literal"])
def test_the_pattern_meets_the_gain_of_the_user(model: str) -> None:
    system = systems.make("nonorthogonal", model=model, num_blocks=2, user_azimuth_deg=20.0)
    scene = system.sample(np.random.default_rng(0), 1)
    design = system.decode(scene, np.random.default_rng(1).uniform(-1.0, 1.0, (1, 32)))
    found = ring_gain(system, scene, design, np.array([-10.0, 20.0]), system.user_floor_distance_m)
    metrics = system.evaluate(scene, design)
    assert np.sqrt(found[:, 1]).mean() == pytest.approx(metrics.gain_sense[0], abs=1e-12)
    assert not np.allclose(found[:, 0], found[:, 1])


@pytest.mark.parametrize("fisher", ["complex", "known"])
def test_limits_of_the_bars(fisher: str) -> None:
    """No design of all 4^4 passes them, and each is reached."""
    system = systems.make("nonorthogonal", surface_shape=(2, 2), fisher=fisher)
    scene = system.sample(np.random.default_rng(0), 1)
    every = np.stack(np.meshgrid(*[np.arange(4) / 2.0 - 1.0] * 4), axis=-1).reshape(-1, 4)
    metrics = system.evaluate(scene[np.zeros(256, int)], system.decode(scene[np.zeros(256, int)], every))
    assert limits(system, scene) == pytest.approx((metrics.crlb_symbol.min(), metrics.crlb_angle.min()), rel=1e-9)
