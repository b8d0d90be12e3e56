"""Pictures of what an agent does, from the environment's own renderer."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["agent_frames", "agent_picture"]


def agent_frames(agent: Any, scene: Any, every: int = 1) -> list[np.ndarray]:
    """Frames (H, W, 3) uint8 of a refinement episode of an agent on one scene, the start design first."""
    from agents.policy import make_vector_env

    env = make_vector_env(agent.system, 1, agent.env_kwargs, render_mode="rgb_array", autoreset_mode="Disabled")
    try:
        observation, _ = env.reset(options={"scene": scene})
        frames = [_first(env.render())]
        horizon = env.unwrapped.horizon
        for step in range(1, horizon + 1):
            observation, *_ = env.step(agent.act(observation))
            if step % every == 0 or step == horizon:
                frames.append(_first(env.render()))
        return frames
    finally:
        env.close()


def agent_picture(agent: Any, scene: Any) -> np.ndarray | None:
    """The last frame of `agent_frames`; None where matplotlib is absent."""
    try:
        return agent_frames(agent, scene, every=10**9)[-1]
    except ImportError:
        return None


def _first(frames: Any) -> np.ndarray:
    return np.asarray(frames[0] if isinstance(frames, (tuple, list)) else frames)
