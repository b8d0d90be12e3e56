"""One element per step: systems that take turns in `refine` with discrete actions; defaults that depend on the parameters."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from toy.baselines import Align
from toy.system import Toy, ToyDesign

from baselines.binding import BoundPolicy
from ris_gym import testing
from ris_gym import variables as var
from ris_gym.arrays import cis
from ris_gym.envs.single import RisEnv
from ris_gym.envs.vector import RisVectorEnv


@dataclass(frozen=True, kw_only=True)
class Lettered(Toy):
    """The toy surface, one element per step where the phases have an alphabet; the power follows."""

    turns: ClassVar[bool] = True
    controls: ClassVar[tuple[str, ...]] = ("surface",)
    phase_bits: int | None = 2
    flips: int = 0

    def defaults_for(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Discrete where there is an alphabet; then a sweep over the elements is the length of `refine`."""
        action = given.get("action", "box" if self.phase_bits is None else "discrete")
        sweep = action == "discrete" and given["episode"] == "refine"
        return {"control": "surface", "action": action} | ({"horizon": self.num_elements} if sweep else {})

    def variables(self, control: str = "surface") -> var.Variables:
        """The last `flips` elements have a sign of their own kind instead of a phase."""
        phase = var.Variable("phase", (self.num_elements - self.flips,), "phase", "surface", self.levels)
        return (phase, var.Variable("flip", (self.flips,), "mode", "surface")) if self.flips else (phase,)

    def decode(self, known: Any, raw: Any, control: str = "surface") -> ToyDesign:
        """With flips: signs behind the phases."""
        if not self.flips:
            return super().decode(known, raw, "surface")
        values = var.split(self.variables(), raw)
        v = np.concatenate([cis(np, values["phase"]), 1.0 - 2.0 * values["flip"]], axis=1).astype(known.ris_user.dtype)
        return ToyDesign(coefficients=v, power=self.least_power(known, v))


class LetteredEnv(RisEnv):
    """Single form."""

    system_class = Lettered


class LetteredVectorEnv(RisVectorEnv):
    """Vector form."""

    system_class = Lettered


@pytest.mark.parametrize("observation", ["csi", "local"])
def test_conformance(observation: str) -> None:
    from stable_baselines3.common.env_checker import check_env as sb3_check

    gymnasium.register("Lettered-v0", LetteredEnv)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            keywords = {"observation": observation, "num_elements": 2, "csi_error": 0.1}
            env = gymnasium.make("Lettered-v0", **keywords).unwrapped
            check_env(env, skip_render_check=True)
            sb3_check(env, warn=True, skip_render_check=True)
            testing.check_vector_env(LetteredVectorEnv, 2, single=LetteredEnv, **keywords)
            if observation == "csi":
                testing.check_vector_env(LetteredVectorEnv, single=LetteredEnv, start="random", horizon=5, **keywords)
    finally:
        del gymnasium.registry["Lettered-v0"]


def test_spaces_and_defaults_follow_the_parameters() -> None:
    env = LetteredEnv()
    assert env.action_space == spaces.Discrete(4) and env.horizon == 4 and env.env_config.action == "discrete"
    batch = LetteredVectorEnv(3, phase_bits=3)
    assert batch.single_action_space == spaces.Discrete(8) and batch.action_space == spaces.MultiDiscrete([8] * 3)
    assert LetteredEnv(horizon=7).horizon == 7
    assert LetteredEnv(episode="one_shot").action_space == spaces.MultiDiscrete([4] * 4)
    fading = LetteredEnv(episode="fading")
    assert fading.action_space == spaces.MultiDiscrete([4] * 4) and fading.horizon == 16
    assert "turn" not in fading.observation_layout
    for env in (LetteredEnv(action="box"), LetteredEnv(phase_bits=None)):
        assert isinstance(env.action_space, spaces.Box) and env.horizon == 16 and env.turn is None
        assert "turn" not in env.observation_layout


def test_a_step_sets_the_element_whose_turn_it_is() -> None:
    env = LetteredVectorEnv(3, horizon=6, autoreset_mode="Disabled", start="random", dtype="complex128", penalty=2.0)
    names = list(env.observation_layout)
    assert names[names.index("time_left") + 1] == "turn"
    observation, _ = env.reset(seed=0)
    assert np.isin(env.raw, [-1.0, -0.5, 0.0, 0.5]).all()
    rng, turns = np.random.default_rng(1), np.zeros(3, int)
    for step in range(6):
        start, stop, shape = env.observation_layout["turn"]
        assert shape == (4,) and np.array_equal(observation[:, start:stop], np.eye(4)[turns])
        assert env.turn is not None and env.turn.tolist() == turns.tolist()
        raw, value, action = env.raw.copy(), env.core.value.copy(), rng.integers(4, size=3)
        expected = raw.copy()
        expected[np.arange(3), turns] = np.array([0.0, 0.5, -1.0, -0.5])[action]
        observation, reward, *_ = env.step(action)
        assert np.array_equal(env.raw, expected)
        metrics = env.system.evaluate(env.scene, env.system.decode(env.scene, expected, "surface"))
        assert np.allclose(reward, metrics.score - 2.0 * metrics.cost - value)
        turns = (turns + 1) % 4
        if step == 1:  # one episode begins anew: its first element is next
            observation, _ = env.reset(options={"reset_mask": np.array([False, True, False])})
            turns[1] = 0


def test_letters_of_every_variable() -> None:
    env = LetteredEnv(phase_bits=1, flips=2, num_elements=4)
    env.reset(seed=0)
    for action in (1, 0, 1, 0):
        env.step(action)
    assert var.to_index(env.system.variables(), env.raw).tolist() == [[1, 0, 1, 0]]
    with pytest.raises(ValueError, match=r"one number per step and needs alphabets of one size, got sizes \[2, 4\]"):
        LetteredEnv(phase_bits=2, flips=2)
    assert LetteredEnv(phase_bits=2, flips=2, episode="one_shot").action_space == spaces.MultiDiscrete([4, 4, 2, 2])


@pytest.mark.parametrize("num_envs", [None, 2])
def test_bad_actions(num_envs: int | None) -> None:
    env: Any = LetteredEnv() if num_envs is None else LetteredVectorEnv(num_envs)
    env.reset(seed=0)
    shape, before = env.action_space.shape, env.raw.copy()
    bad = (4, -1, 1.0, True)
    for action in (*(np.full(shape, value) for value in bad), np.zeros((*shape, 1), int), np.zeros((*shape, 4), int), None, "1"):
        with pytest.raises(ValueError, match="action"):
            env.step(action)
        assert np.array_equal(env.raw, before) and (env.core.steps == 0).all()


@pytest.mark.parametrize("num_envs", [None, 3])
def test_policies_set_every_element_once(num_envs: int | None) -> None:
    env: Any = LetteredEnv() if num_envs is None else LetteredVectorEnv(num_envs)
    policy = Align(env.system)
    model = BoundPolicy(policy, env)
    observation, _ = env.reset(seed=4)
    wanted = policy.solve(env.scene, np.random.default_rng(0))
    for _ in range(4):
        action, state = model.predict(observation, SimpleNamespace())
        assert isinstance(state, SimpleNamespace) and env.action_space.contains(action) and action.shape == env.action_space.shape
        observation, *_ = env.step(action)
    assert np.allclose(env.metrics.objective, wanted.objective, atol=1e-5)
    assert np.allclose(env.design.coefficients, wanted.design.coefficients, atol=1e-6)
    one = LetteredVectorEnv(2, num_elements=1, episode="one_shot")  # a single element is a number, too
    one.reset(seed=0)
    assert one.action_space.contains(BoundPolicy(Align(one.system), one).predict()[0])
