"""Pictures of what an agent does, from the environment's own renderer."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["agent_frames", "agent_picture"]


def agent_frames(agent: Any, scene: Any, every: int = 1) -> list[np.ndarray]:
    """Frames (H, W, 3) uint8 of an episode of an agent on one scene, the start design first (`agents.play.record`)."""
    from agents.play import record

    return record(agent.system, agent, scene, every=every)


def agent_picture(agent: Any, scene: Any) -> np.ndarray | None:
    """The last frame of `agent_frames`; None where matplotlib is absent."""
    try:
        return agent_frames(agent, scene, every=10**9)[-1]
    except ImportError:
        return None
