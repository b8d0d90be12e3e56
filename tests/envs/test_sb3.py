"""`as_sb3`: what stable-baselines3 sees is what the native environment returned."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ris_gym import as_sb3, registry


@pytest.mark.parametrize("limit", [None, 2, 3])
def test_steps(make: Any, episode: Any, limit: int | None) -> None:
    paper, form = episode
    keywords: dict[str, Any] = {"episode": form.name, "horizon": 3, "autoreset_mode": "SameStep", "max_episode_steps": limit}
    native, adapter = make(paper, 3, **keywords), as_sb3(make(paper, 3, **keywords), monitor=False)
    adapter.seed(4)
    assert np.array_equal(native.reset(seed=4)[0], adapter.reset())
    native.action_space.seed(0)
    ends = 0
    for _ in range(7):
        actions = native.action_space.sample()
        observation, reward, terminated, truncated, infos = native.step(actions)
        found, rewards, dones, lists = adapter.step(actions)
        assert np.array_equal(observation, found) and np.array_equal(reward.astype(np.float32), rewards)
        assert rewards.dtype == np.float32 and np.array_equal(dones, terminated | truncated)
        for i, info in enumerate(lists):
            if not dones[i]:
                assert info == {}
                continue
            ends += 1
            assert np.array_equal(info["terminal_observation"], infos["final_obs"][i])
            assert info["TimeLimit.truncated"] is bool(truncated[i] and not terminated[i])
            assert info["is_success"] is bool(infos["final_info"]["is_success"][i])
    assert ends >= 3 * (7 // min(native.unwrapped.horizon, limit or 7))


def test_interface(make: Any, paper: Any) -> None:
    env = make(paper, 2, horizon=16, autoreset_mode="SameStep", render_mode="rgb_array")
    adapter = as_sb3(env, info_keys=("is_success", "objective"))
    assert adapter.get_attr("system") == [env.unwrapped.system] * 2
    assert adapter.get_attr("render_mode", [0]) == ["rgb_array"]
    assert adapter.env_is_wrapped(object) == [False, False]
    with pytest.raises(AttributeError):
        adapter.get_attr("no_such_attribute")
    with pytest.raises(NotImplementedError, match="horizon"):
        adapter.set_attr("horizon", 3)
    adapter.reset()
    for _ in range(env.unwrapped.horizon):
        _, _, dones, infos = adapter.step(np.array([adapter.action_space.sample() for _ in range(2)]))
    assert dones.all() and infos[0]["episode"]["l"] == env.unwrapped.horizon and np.isfinite(infos[0]["objective"])


@pytest.mark.parametrize("mode", ["NextStep", "Disabled"])
def test_other_modes_are_refused(make: Any, paper: Any, mode: str) -> None:
    with pytest.raises(ValueError, match="autoreset_mode='SameStep'"):
        as_sb3(make(paper, 2, autoreset_mode=mode))


def test_ppo_learns_on_it(make: Any, alphabet: Any, paper: Any) -> None:
    from stable_baselines3 import PPO

    discrete = {"action": "discrete", **alphabet(paper, 1)} if hasattr(registry.load(paper.system), "phase_bits") else {}
    env = as_sb3(make(paper, 4, control="surface", horizon=3, autoreset_mode="SameStep", **discrete))
    model = PPO("MlpPolicy", env, n_steps=4, batch_size=8, n_epochs=1, seed=0, device="cpu").learn(32)
    assert model.num_timesteps == 32 and len(model.ep_info_buffer) > 0
