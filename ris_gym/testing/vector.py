"""`check_vector_env`: Gymnasium 1.4's contract of vector environments, and equality with the single form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from ris_gym.testing.single import assert_equal, check_infos, check_scenes, check_single, leaves, length_of

Make = Callable[..., VectorEnv]
"""`make(num_envs=..., autoreset_mode=...) -> VectorEnv`."""


def check_vector_env(
    env: str | Make,
    num_envs: int = 3,
    *,
    seed: int = 0,
    single: Callable[..., gymnasium.Env] | None = None,
    tolerance: float = 1e-3,
    **keywords: Any,
) -> None:
    """Check a native vector environment in its three autoreset modes.

    Spaces are batched; observations lie in them; dtypes and shapes; no array is used twice; equal seeds give equal bytes;
    episodes have their exact length also when they end at different times; the step after an end has reward 0 (NEXT_STEP),
    `final_obs` and `final_info` hold the end (SAME_STEP), a finished episode refuses to step and `reset_mask` begins anew exactly
    those asked for (DISABLED). Against the single form: a batch of 1 is equal bit by bit at equal seed; infos have the keys,
    masks and dtypes of a `SyncVectorEnv`; a batch of n equals n singles on injected scenes (`options={"scene": ...}`).

    Args:
        env: id of a registered environment with a vector entry point, or a function `(num_envs, autoreset_mode, **keywords)`.
        num_envs: batch size, at least 2.
        seed: of environments and actions.
        single: makes the single form, `single(**keywords)` (default for an id: `gymnasium.make`; None for a function: those
            comparisons are left out).
        tolerance: of batch n against singles (absolute and relative; float32 sums differ in their order).
        keywords: for the environment, `max_episode_steps` among them.

    Raises:
        AssertionError: what is violated, in which mode and step.

    Example:
        >>> from ris_gym.testing import check_vector_env
        >>> check_vector_env("ris_gym/Beampattern-v0", num_antennas=2, num_elements=3, horizon=2)
    """
    assert num_envs >= 2, f"num_envs must be at least 2, got {num_envs}"
    make, single = _makers(env, single)
    for mode in AutoresetMode:
        _check_spaces(make(num_envs=num_envs, autoreset_mode=mode, **keywords), num_envs, mode)
        length = length_of(make(num_envs=num_envs, autoreset_mode=mode, **keywords)) or 8
        first = _rollout(make(num_envs=num_envs, autoreset_mode=mode, **keywords), mode, seed, 2 * length + 3)
        _check_fresh(first, mode)
        again = _rollout(make(num_envs=num_envs, autoreset_mode=mode, **keywords), mode, seed, length + 2, check=False)
        for step, (one, two) in enumerate(zip(first, again, strict=False)):
            assert_equal(one, two, f"{mode.value}, step {step}: equal seeds give other values")
        if single is not None:
            sync = gymnasium.vector.SyncVectorEnv([lambda: single(**keywords)] * num_envs, autoreset_mode=mode)
            check_infos(first, _rollout(sync, mode, seed, length + 2, check=False), mode)
    _check_disabled(make(num_envs=num_envs, autoreset_mode=AutoresetMode.DISABLED, **keywords), seed)
    if single is not None:
        check_single(make(num_envs=1, autoreset_mode=AutoresetMode.NEXT_STEP, **keywords), single(**keywords), seed)
        check_scenes(make, single, num_envs, seed, tolerance, keywords)


def _makers(env: str | Make, single: Any) -> tuple[Make, Any]:
    if not isinstance(env, str):
        return env, single
    name = env

    def make(*, num_envs: int, autoreset_mode: AutoresetMode, **keywords: Any) -> VectorEnv:
        return gymnasium.make_vec(
            name, num_envs, vectorization_mode="vector_entry_point", autoreset_mode=autoreset_mode.value, **keywords
        )

    def one(**keywords: Any) -> gymnasium.Env:
        return gymnasium.make(name, disable_env_checker=True, **keywords)

    return make, single or one


def _check_spaces(env: VectorEnv, num_envs: int, mode: AutoresetMode) -> None:
    found = env.metadata.get("autoreset_mode")
    assert isinstance(found, AutoresetMode) and found == mode, f"metadata['autoreset_mode'] must be {mode!r}, got {found!r}"
    assert env.num_envs == num_envs, f"num_envs must be {num_envs}, got {env.num_envs}"
    for name in ("observation_space", "action_space"):
        wanted = batch_space(getattr(env, f"single_{name}"), num_envs)
        assert getattr(env, name) == wanted, f"{name} must be the batched single_{name}, {wanted}, got {getattr(env, name)}"
    env.close()


# -- rollouts -----------------------------------------------------------------------------------------------------------------


def _rollout(env: VectorEnv, mode: AutoresetMode, seed: int, steps: int, check: bool = True) -> list[tuple[Any, ...]]:
    """Some steps, with episode 0 begun anew after the first so that ends fall apart; everything returned.

    Raises:
        AssertionError: a return value is malformed or an episode has the wrong length (`check`).
    """
    env.action_space.seed(seed)
    observation, infos = env.reset(seed=seed)
    blind = bool(np.all(observation == observation[:1]))  # every episode begins with the same observation
    out: list[tuple[Any, ...]] = [(observation, infos)]
    count, pending = np.zeros(env.num_envs, int), np.zeros(env.num_envs, bool)
    length = length_of(env) if check else None
    last = np.asarray(observation)
    for step in range(1, steps + 1):
        observation, reward, terminated, truncated, infos = env.step(env.action_space.sample())
        out.append((observation, reward, terminated, truncated, infos))
        ended = terminated | truncated
        where = f"{mode.value}, step {step}"
        if check:
            _check_returns(env, observation, reward, terminated, truncated, infos, where)
            _check_mode(env, mode, reward, ended, infos, pending, where)
        count = np.where(pending, 0, count + 1)
        if length is not None:
            assert np.array_equal(ended, count == length), f"{where}: episodes of {length} steps: at {count}, ended {ended}"
        pending = ended if mode == AutoresetMode.NEXT_STEP else pending
        count = np.where(ended & (mode == AutoresetMode.SAME_STEP), 0, count)
        begin = ended.copy() if mode == AutoresetMode.DISABLED else np.zeros(env.num_envs, bool)
        begin[0] |= step == 1
        last = np.array(observation)
        if begin.any():
            options = {"reset_mask": begin.copy()}
            observation, infos = env.reset(options=options)
            out.append((observation, infos))
            if check:
                assert list(options) == ["reset_mask"], f"{where}: reset changed the caller's options"
                _check_reset(last, observation, begin & (not blind), f"{where}, reset with mask {begin}", begin)
            count, pending, last = np.where(begin, 0, count), pending & ~begin, np.array(observation)
    env.close()
    return out


def _check_returns(
    env: VectorEnv, observation: Any, reward: Any, terminated: Any, truncated: Any, infos: dict[str, Any], where: str
) -> None:
    assert observation in env.observation_space, f"{where}: the observation is not in {env.observation_space}"
    returned = {"rewards": (reward, "float64"), "terminations": (terminated, "bool"), "truncations": (truncated, "bool")}
    for name, (array, kind) in returned.items():
        assert isinstance(array, np.ndarray), f"{where}: {name} must be an array, got {type(array).__name__}"
        found, wanted = f"{array.dtype}{array.shape}", f"{kind}{(env.num_envs,)}"
        assert found == wanted, f"{where}: {name} must be {wanted}, got {found}"
    assert np.isfinite(reward).all(), f"{where}: rewards hold nan or inf"
    _check_masks(infos, env.num_envs, where)


def _check_masks(infos: Mapping[str, Any], num_envs: int, where: str) -> None:
    for name, value in infos.items():
        if name.startswith("_"):
            assert name[1:] in infos, f"{where}: infos hold the mask {name!r} without {name[1:]!r}"
            assert value.dtype == bool and value.shape == (num_envs,), f"{where}: mask {name!r} must be bool({num_envs},)"
            continue
        assert f"_{name}" in infos, f"{where}: infos hold {name!r} without its mask"
        if isinstance(value, Mapping):
            _check_masks(value, num_envs, f"{where}, {name}")
            continue
        assert len(value) == num_envs, f"{where}: infos[{name!r}] must have {num_envs} entries"
        if value.dtype.kind == "f":
            assert np.isfinite(value).all(), f"{where}: infos[{name!r}] holds nan or inf"


def _check_mode(
    env: VectorEnv, mode: AutoresetMode, reward: Any, ended: Any, infos: dict[str, Any], pending: np.ndarray, where: str
) -> None:
    if mode == AutoresetMode.NEXT_STEP:
        assert not reward[pending].any(), f"{where}: the step after an end must have reward 0, got {reward[pending]}"
        assert not ended[pending].any(), f"{where}: the step after an end must not end"
        for name, mask in infos.items():
            if name.startswith("_"):
                assert not mask[pending].any(), f"{where}: {name!r} must be False in the step after an end"
    held = {"final_obs", "final_info"} & set(infos)
    if mode != AutoresetMode.SAME_STEP or not ended.any():
        assert not held, f"{where}: infos must not hold {held}"
        return
    assert held == {"final_obs", "final_info"}, f"{where}: infos must hold final_obs and final_info, got {sorted(infos)}"
    for name in ("_final_obs", "_final_info"):
        assert np.array_equal(infos[name], ended), f"{where}: {name} must be {ended}, got {infos[name]}"
    for i, final in enumerate(infos["final_obs"]):
        if ended[i]:
            assert final in env.single_observation_space, f"{where}: final_obs[{i}] is not in {env.single_observation_space}"
        else:
            assert final is None, f"{where}: final_obs[{i}] must be None, got {final!r}"


def _check_reset(before: np.ndarray, after: np.ndarray, changed: np.ndarray, where: str, begun: np.ndarray) -> None:
    assert np.array_equal(before[~begun], after[~begun]), f"{where}: other episodes changed"
    for i in np.flatnonzero(changed):
        assert not np.array_equal(before[i], after[i]), f"{where}: episode {i} did not begin anew"


def _check_fresh(steps: list[tuple[Any, ...]], mode: AutoresetMode) -> None:
    """No array that was returned shares memory with one returned before."""
    for step in range(1, len(steps)):
        for name, array in leaves(steps[step]):
            for other_name, other in leaves(steps[step - 1]):
                shared = array.dtype != object and np.shares_memory(array, other)
                assert not shared, f"{mode.value}, call {step}: {name} shares memory with the last call's {other_name}"


def _check_disabled(env: VectorEnv, seed: int) -> None:
    env.reset(seed=seed)
    ended = np.zeros(env.num_envs, bool)
    for _ in range(10_000):
        _, _, terminated, truncated, _ = env.step(env.action_space.sample())
        ended = terminated | truncated
        if ended.any():
            break
    assert ended.any(), "Disabled: no episode ended in 10000 steps"
    try:
        env.step(env.action_space.sample())
    except Exception:
        env.close()
        return
    raise AssertionError("Disabled: stepping an episode that has ended must raise")
