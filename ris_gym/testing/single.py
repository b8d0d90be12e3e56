"""Parts of `check_vector_env`: a vector environment against the single form, and comparing what they return."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv


def _first(infos: Mapping[str, Any]) -> dict[str, Any]:
    """The single form of infos of a batch of 1: entries whose mask is True."""
    out: dict[str, Any] = {}
    for name, value in infos.items():
        if not name.startswith("_") and infos[f"_{name}"][0]:
            out[name] = _first(value) if isinstance(value, Mapping) else value[0]
    return out


def leaves(value: Any, name: str = "") -> list[tuple[str, np.ndarray]]:
    """Every array in nested tuples and dictionaries, with a name for messages."""
    if isinstance(value, Mapping):
        return [leaf for key, entry in value.items() for leaf in leaves(entry, f"{name}/{key}")]
    if isinstance(value, tuple):
        return [leaf for i, entry in enumerate(value) for leaf in leaves(entry, f"{name}/{i}")]
    return [(name, np.asarray(value))]


def assert_equal(one: Any, other: Any, text: str) -> None:
    """Equal entries and equal bytes."""
    a, b = dict(leaves(one)), dict(leaves(other))
    assert set(a) == set(b), f"{text}: entries {sorted(set(a) ^ set(b))}"
    for name in a:
        if a[name].dtype == object:
            for i, (x, y) in enumerate(zip(a[name], b[name], strict=True)):
                assert (x is None) == (y is None) and (x is None or np.array_equal(x, y)), f"{text}: entry {name}[{i}]"
            continue
        same = a[name].dtype == b[name].dtype and a[name].shape == b[name].shape and a[name].tobytes() == b[name].tobytes()
        found, wanted = (f"{array.dtype}{array.shape}" if array.ndim else repr(array.item()) for array in (a[name], b[name]))
        assert same, f"{text}: entry {name}: {found} and {wanted} differ"


def _close(one: Any, other: Any, tolerance: float, text: str) -> None:
    error = float(np.max(np.abs(np.asarray(one) - other) / (1.0 + np.abs(other)), initial=0.0))
    assert error <= tolerance, f"{text} differs from that of its single form by {error:.2e}"


def length_of(env: Any) -> int | None:
    """Number of steps of every episode, if the environment tells its horizon."""
    horizon = getattr(env.unwrapped, "horizon", None)
    limit = getattr(env.unwrapped, "max_episode_steps", None)
    return min(int(horizon), int(limit or horizon)) if horizon is not None else None


def check_infos(
    native: list[tuple[Any, ...]], sync: list[tuple[Any, ...]], mode: AutoresetMode
) -> None:
    """Structure of what is returned, as far as `sync` goes: keys, dtypes and shapes of `SyncVectorEnv`, and its masks."""
    for call, (mine, theirs) in enumerate(zip(native, sync, strict=False)):
        where = f"{mode.value}, call {call}"
        a, b = dict(leaves(mine)), dict(leaves(theirs))
        assert set(a) == set(b), f"{where}: SyncVectorEnv returns other entries: {sorted(set(a) ^ set(b))}"
        for name in a:
            found, wanted = f"{a[name].dtype}{a[name].shape}", f"{b[name].dtype}{b[name].shape}"
            assert found == wanted, f"{where}: {name} must be {wanted} as in SyncVectorEnv, got {found}"
            if name.rpartition("/")[2].startswith("_"):
                assert np.array_equal(a[name], b[name]), f"{where}: mask {name} must be {b[name]}, got {a[name]}"


def check_single(batch: VectorEnv, one: gymnasium.Env, seed: int) -> None:
    """Two episodes of a batch of 1 and of the single form, bit by bit."""
    mine, _ = batch.reset(seed=seed)
    theirs, _ = one.reset(seed=seed)
    assert_equal(mine[0], theirs, "batch 1, reset: not equal to the single form")
    batch.action_space.seed(seed)
    ended, episodes, step = False, 0, 0
    while episodes < 2 and step < 10_000:
        step += 1
        actions = batch.action_space.sample()
        mine, reward, terminated, truncated, infos = batch.step(actions)
        if ended:
            theirs, info = one.reset()
            expected: tuple[Any, ...] = (theirs, 0.0, False, False, info)
        else:
            expected = one.step(actions[0])
        ended = bool(expected[2] or expected[3])
        episodes += ended
        found = (mine[0], reward[0].item(), terminated[0].item(), truncated[0].item(), _first(infos))
        assert_equal(found, expected, f"batch 1, step {step}: not equal to the single form")
    batch.close()
    one.close()


def check_scenes(make: Any, single: Any, num_envs: int, seed: int, tolerance: float, keywords: dict[str, Any]) -> None:
    """One episode of a batch and of singles on the same scenes; what the environment itself would draw is switched off."""
    probe: Any = single(**keywords)
    form = probe.unwrapped.core.episode
    probe.close()
    errors = dict.fromkeys((name for name in keywords if name.endswith("_error")), 0.0)
    quiet = errors | {"start": "rule", "csi_error": 0.0, "correlation": 1.0}
    keywords = keywords | {name: value for name, value in quiet.items() if name not in form.fixed}
    batch = make(num_envs=num_envs, autoreset_mode=AutoresetMode.NEXT_STEP, **keywords)
    singles = [single(**keywords) for _ in range(num_envs)]
    scene = getattr(batch.unwrapped.system, form.sampler)(np.random.default_rng(seed), num_envs)  # type: ignore[attr-defined]
    mine, _ = batch.reset(seed=seed, options={"scene": scene})
    theirs = [env.reset(seed=seed, options={"scene": scene[i]})[0] for i, env in enumerate(singles)]
    batch.action_space.seed(seed)
    length, step = length_of(batch) or 8, 0
    while True:
        for i in range(num_envs):
            _close(mine[i], theirs[i], tolerance, f"injected scenes, step {step}: observation of episode {i}")
        if step == length:
            break
        step += 1
        actions = batch.action_space.sample()
        mine, rewards, *flags, infos = batch.step(actions)
        for i, env in enumerate(singles):
            theirs[i], reward, *ends, info = env.step(actions[i])
            where = f"injected scenes, step {step}: episode {i}"
            assert [flags[0][i], flags[1][i]] == ends, f"{where}: flags differ from those of its single form"
            _close(rewards[i], reward, tolerance, f"{where}: reward")
            _close(infos["objective"][i], info["objective"], tolerance, f"{where}: objective")
    for env in (batch, *singles):
        env.close()
