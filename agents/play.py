"""`ris-gym play`: one episode of a policy as a GIF."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from agents.files import write_bytes

__all__ = ["play", "record", "write_gif"]


def play(
    system: Any,
    policy: str | None,
    output: str | os.PathLike[str],
    scenes: str | None = None,
    index: int = 0,
    fps: float = 4.0,
    episode: str | None = None,
) -> Path:
    """Record an episode of a baseline (None: the paper's proposal) or an agent on one scene and write it as a GIF.

    `episode`: its form (None: that of an agent or of a declared set, else the environment's default).

    Raises:
        ValueError: an argument does not fit; the message names it.
    """
    import baselines
    from agents.comparison import resolve, trained_episode
    from agents.scenes import resolve_scenes

    if Path(output).suffix != ".gif":
        raise ValueError(f"output must end with .gif, got {os.fspath(output)!r}")
    if not fps > 0.0:
        raise ValueError(f"fps must be positive, got {fps}")
    driver = resolve(system, baselines.names(system)[0] if policy is None else policy)[1]
    drawn = trained_episode(system, [driver]) if episode is None and scenes is None else episode
    frozen = resolve_scenes(system, scenes, max(0, index) + 1, episode=drawn)
    if not 0 <= index < len(frozen):
        raise ValueError(f"index must be in [0, {len(frozen) - 1}], got {index}")
    episode = frozen.episode if episode is None else episode
    form: dict[str, Any] = {} if episode is None else {"episode": episode}
    return write_gif(output, record(system, driver, frozen.scene[index], **form), fps)


def record(
    system: Any, policy: Any, scene: Any, seed: int = 0, every: int = 1, episode: str | None = None
) -> list[np.ndarray]:
    """Frames (H, W, 3) uint8 of an episode that `policy` drives on one scene: the first, every `every`-th and the last one.

    An agent that was trained in an environment acts in its form of episode, any other policy in the default one, unless `episode`
    names another.
    """
    from agents.policy import make_vector_env

    kwargs = {**getattr(policy, "env_kwargs", {}), **({} if episode is None else {"episode": episode})}
    env = make_vector_env(system, 1, kwargs, render_mode="rgb_array", autoreset_mode="Disabled")
    try:
        driver = policy.bind(env)
        observation, _ = env.reset(seed=seed, options={"scene": scene})
        frames, state, start = [_first(env.render())], None, np.ones(1, bool)
        done, step = np.zeros(1, bool), 0
        while not done.all():
            action, state = driver.predict(observation, state, start, deterministic=True)
            observation, _, terminated, truncated, _ = env.step(action)
            done, start = terminated | truncated, np.zeros(1, bool)
            step += 1
            if step % every == 0 or done.all():
                frames.append(_first(env.render()))
        return frames
    finally:
        env.close()


def write_gif(path: str | os.PathLike[str], frames: list[np.ndarray], fps: float = 4.0) -> Path:
    """Write frames as an endless GIF; the last frame stays for two seconds."""
    from PIL import Image

    images = [Image.fromarray(frame).convert("P", palette=Image.Palette.ADAPTIVE) for frame in frames]
    duration = [int(1000 / fps)] * (len(images) - 1) + [2000]
    buffer = io.BytesIO()
    images[0].save(buffer, format="GIF", save_all=True, append_images=images[1:], duration=duration, loop=0)
    return write_bytes(path, buffer.getvalue())


def _first(frames: Any) -> np.ndarray:
    return np.asarray(frames[0] if isinstance(frames, (tuple, list)) else frames)
