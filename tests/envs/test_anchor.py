"""`Anchor`: pilots one by one, the end by decision, keywords that do not apply, policies in the environment."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

import baselines

ID = "ris_gym/Anchor-v0"
SMALL: dict[str, Any] = {"num_elements": 8, "num_pilots": 5, "allow_stop": True}


def make(num_envs: int | None = None, **keywords: Any) -> Any:
    if num_envs is None:
        return gymnasium.make(ID, disable_env_checker=True, **keywords).unwrapped
    return gymnasium.make_vec(ID, num_envs, **keywords).unwrapped


def test_spaces() -> None:
    assert make().action_space == gymnasium.spaces.Discrete(126) and make(preset="stop").action_space.n == 127
    assert make(action="box").action_space.shape == (1,) and make().horizon == 24 and make(preset="stop").horizon == 48
    assert make(4).single_observation_space.shape == (67,)


@pytest.mark.parametrize("mode", ["SameStep", "NextStep", "Disabled"])
def test_episodes_end_when_the_device_stops(mode: str) -> None:
    env = make(3, **SMALL, autoreset_mode=mode, dtype="complex128")
    env.reset(seed=0)
    env.step(np.array([0, 1, 2]))
    scene = env.scene
    _, reward, terminated, truncated, info = env.step(np.array([14, 3, 14]))
    assert terminated.tolist() == [True, False, True] and not truncated.any()
    info = info["final_info"] if mode == "SameStep" else info
    hit = np.argmax(env.system.masses(scene), axis=1) == env.system.beam(scene.direction)
    assert np.array_equal(info["is_success"][[0, 2]], hit[[0, 2]]) and info["pilots"][[0, 2]].tolist() == [1, 1]
    assert np.allclose(reward[[0, 2]], hit[[0, 2]]) and reward[1] == pytest.approx(-0.02)
    if mode == "Disabled":
        with pytest.raises(gymnasium.error.ResetNeeded):
            env.step(np.array([0, 0, 0]))
        env.reset(options={"reset_mask": np.array([True, False, True])})
    elif mode == "NextStep":
        *_, terminated, truncated, _ = env.step(np.array([14, 4, 14]))
        assert not terminated.any()
    assert env.core.steps.tolist() == [0, 2 + (mode == "NextStep"), 0]
    assert env.scene.frame.tolist() == [0, 2 + (mode == "NextStep"), 0]


def test_single_form_stops() -> None:
    env = make(**SMALL)
    env.reset(seed=0)
    env.step(3)
    *_, terminated, truncated, info = env.step(14)
    assert terminated is True and truncated is False and info["pilots"] == 1
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(0)


@pytest.mark.parametrize(
    ("keywords", "match"),
    [
        ({"horizon": 8}, "horizon does not apply"), ({"start": "random"}, "start does not apply"),
        ({"step_size": 0.5}, "step_size does not apply"), ({"csi_error": 0.1}, "csi_error"),
        ({"correlation": 0.5}, "correlation does not apply"), ({"control": "structured"}, "control must be one of"),
        ({"observation": "local"}, "observation must be one of"), ({"episode": "refine"}, "episode must be one of"),
        ({"num_pilots": 1}, "num_pilots must be at least 2, got 1"),
    ],
)  # fmt: skip
def test_refused(keywords: dict[str, Any], match: str) -> None:
    for num_envs in (None, 2):
        with pytest.raises(ValueError, match=match):
            make(num_envs, **keywords)


def test_scenes_on_which_pilots_were_sent_are_refused() -> None:
    env = make(2, **SMALL)
    env.reset(seed=0)
    env.step(np.array([0, 1]))
    with pytest.raises(ValueError, match=r"options\['scene'\]: .*needs scenes of 5 decisions, got 4"):
        env.reset(options={"scene": env.scene})


@pytest.mark.parametrize("name", ["posterior_matching", "information_greedy", "descent", "random"])
def test_policies_drive_the_environment(name: str) -> None:
    env = make(40, num_elements=16, num_pilots=12, allow_stop=True, element_snr_db=0.0, autoreset_mode="SameStep")
    policy = baselines.make(name, env.system).bind(env)
    observation, _ = env.reset(seed=0)
    ends = []
    for _ in range(12):
        action, _ = policy.predict(observation)
        observation, _, terminated, _, info = env.step(action)
        ends += info["final_info"]["is_success"][terminated].tolist() if terminated.any() else []
    assert len(ends) >= 40 and np.mean(ends) > (0.4 if name == "random" else 0.75)
