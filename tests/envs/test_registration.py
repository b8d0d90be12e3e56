"""Registration: specs, JSON, imports."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode

HEAVY = ("torch", "cvxpy", "stable_baselines3", "matplotlib", "tensorboard", "clarabel", "scs")


def python(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def test_light_imports() -> None:
    """Making, resetting and stepping needs none of the heavy packages, nor does importing everything of the environments."""
    program = (
        "import sys, gymnasium, ris_gym, ris_gym.envs, ris_gym.testing, ris_gym.systems\n"
        f"heavy = {HEAVY}\n"
        "print([name for name in heavy if name in sys.modules])\n"
        "for name in ('Beampattern', 'ActiveCrb', 'MultiFunctional', 'NonOrthogonal', 'Anchor'):\n"
        "    env = gymnasium.make_vec(f'ris_gym/{name}-v0', 2, observation='csi' if name == 'Anchor' else 'local')\n"
        "    env.reset(seed=0); env.step(env.action_space.sample())\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    assert python(program).splitlines() == ["[]", "[]"]


def test_module_prefix_registers() -> None:
    program = "import gymnasium; print(gymnasium.make('ris_gym:ris_gym/Beampattern-v0', num_elements=4).spec.id)"
    assert python(program) == "ris_gym/Beampattern-v0"


def test_spec_of_make(make: Any, paper: Any) -> None:
    env = make(paper, horizon=3, csi_error=0.1, max_episode_steps=2)
    spec = EnvSpec.from_json(env.spec.to_json())
    json.loads(env.spec.to_json())
    again = gymnasium.make(spec)
    assert again.unwrapped.system == env.unwrapped.system and again.unwrapped.env_config == env.unwrapped.env_config
    assert np.array_equal(env.reset(seed=0)[0], again.reset(seed=0)[0])


@pytest.mark.parametrize("mode", ["NextStep", "SameStep", "Disabled"])
def test_spec_of_make_vec(make: Any, paper: Any, mode: str) -> None:
    env = make(paper, 3, horizon=4, max_episode_steps=2, autoreset_mode=mode)
    assert env.spec.id == paper.id and env.metadata["autoreset_mode"] is AutoresetMode(mode)
    spec = EnvSpec.from_json(env.spec.to_json())
    again = gymnasium.make_vec(spec, num_envs=3)
    assert again.unwrapped.max_episode_steps == 2 and again.metadata["autoreset_mode"] is AutoresetMode(mode)
    assert np.array_equal(env.reset(seed=0)[0], again.reset(seed=0)[0])
    assert gymnasium.make_vec(env.spec).num_envs == 3


def test_metadata_is_not_shared(make: Any, paper: Any) -> None:
    one, other = make(paper, 2, autoreset_mode="SameStep"), make(paper, 2)
    assert one.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert other.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP


def test_public_state(make: Any, paper: Any) -> None:
    for num_envs in (None, 3):
        env = make(paper, num_envs).unwrapped
        env.reset(seed=0)
        count = num_envs or 1
        if not env.core.episode.designed:  # no design before the first step
            assert env.design is None
            env.step(env.action_space.sample())
        assert len(env.scene) == len(env.design) == len(env.metrics) == len(env.raw) == count
        own = env.core.episode.length
        default = env.system.defaults_for({"episode": env.episode}).get("horizon", 16)
        assert env.horizon == (default if own is None else getattr(env.system, own))
        assert env.control == "full" and env.env_config.penalty == env.system.default_penalty
        assert isinstance(env.observation_layout, dict)
