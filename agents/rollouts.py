"""A policy on scenes: one decision per scene where the world is static, one per frame where the scenes are sequential.

One frame: the policy answers at what is known, its design is projected and valued on the truth, and `system.step` moves the
world. All noise of a sequential world is drawn in its scenes beforehand, so that every policy meets the same world.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from agents.scenes import generator

__all__ = ["VIOLATION_BIT", "VIOLATION_DB", "Rollout", "rollout"]

VIOLATION_DB, VIOLATION_BIT = 0.05, 0.01


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rollout:
    """What a policy reached on scenes; arrays are (scenes,) unless stated otherwise. Static scenes have one frame.

    Args:
        objective, score, cost: means over the frames (those that count, where metrics have `counted`), on the truth; `score` is
            penalised.
        margin: least of all constraints and frames; margins: the same by constraint; violated: in any frame, by the tolerances.
        feasible: in all frames.
        physical: such means of every physical quantity, name -> (scenes, ...). Of what `system.final` names, `objective` too,
            the last frame's value stands for the mean.
        status: the policy's answers, one per scene and frame; seconds: (frames,) wall times of its decisions for all scenes.
        last: `(scene, design, metrics)` of the last frame.
    """

    objective: np.ndarray
    score: np.ndarray
    cost: np.ndarray
    margin: np.ndarray
    margins: dict[str, np.ndarray]
    violated: np.ndarray
    feasible: np.ndarray
    physical: dict[str, np.ndarray]
    status: list[str]
    seconds: np.ndarray
    last: tuple[Any, Any, Any]


def rollout(
    system: Any,
    policy: Any,
    scene: Any,
    rng: np.random.Generator,
    penalty: float,
    *,
    name: str = "policy",
    frames: int | None = None,
    diagnostics: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Rollout:
    """Let a policy decide on every scene, in every frame of it, and value its designs on the truth.

    Args:
        policy: an object with `solve(known, rng)`, or a callable `(known, rng) -> design`. One with `sequential = True` is asked
            `solve(known, rng, memory)`: the `Solution.memory` of its last answer for these scenes (None or a dict of arrays with
            the batch first), None in the first frame. Others are asked anew in every frame. With `privileged = True` it gets the
            true scene in the place of `known`.
        rng: of the policy; every frame of sequential scenes has a child of it, so what a policy draws in one frame does not
            change its numbers in the next.
        penalty: score - penalty * cost; frames: stop after so many (None: at the end).
        diagnostics: whether `physical` holds those of `system.diagnostics` too.
        progress: called with the number of frames done and their total.

    Raises:
        ValueError: an answer cannot be evaluated, or its memory does not fit; the message names the policy.
        RuntimeError: the policy failed.
    """
    held = system.frames(scene)
    total = 1 if held is None else held if frames is None else min(held, frames)
    generators = [rng] if held is None else rng.spawn(total)
    world, memory = generator("world"), None
    parts: list[dict[str, Any]] = []
    status: list[str] = []
    seconds = np.zeros(total)
    for frame, numbers in enumerate(generators):
        progress(frame, total)
        known = scene if getattr(policy, "privileged", False) else system.known(scene)
        began = time.perf_counter()
        design, answers, memory = _ask(name, policy, known, numbers, memory)
        seconds[frame] = time.perf_counter() - began
        status += answers
        try:
            if (answered := len(design)) == len(scene):
                design = system.project(scene, design)
                following = scene
                if held is None:
                    metrics = system.evaluate(scene, design)
                else:
                    metrics, following = system.step(scene, design, world)
        except Exception as error:
            raise ValueError(f"policy {name!r} answered with a design that cannot be evaluated: {error}") from error
        if answered != len(scene):
            raise ValueError(f"policy {name!r} answered {answered} designs for {len(scene)} scenes")
        parts.append(_judge(system, metrics, penalty, system.diagnostics(scene, design) if diagnostics else {}))
        last, scene = (scene, design, metrics), following
    progress(total, total)
    return Rollout(**_over_frames(parts, system.final), status=status, seconds=seconds, last=last)


def _ask(
    name: str, policy: Any, known: Any, rng: np.random.Generator, memory: Any
) -> tuple[Any, list[str], Mapping[str, np.ndarray] | None]:
    """Design, status of every scene, and what a sequential policy remembers."""
    sequential = bool(getattr(policy, "sequential", False))
    try:
        if not hasattr(policy, "solve"):
            answer = policy(known, rng)
        else:
            answer = policy.solve(known, rng, memory) if sequential else policy.solve(known, rng)
    except Exception as error:
        raise RuntimeError(f"policy {name!r} failed: {type(error).__name__}: {error}") from error
    if not hasattr(answer, "design"):
        return answer, [], None
    kept = getattr(answer, "memory", None) if sequential else None
    if kept is not None and not (isinstance(kept, Mapping) and all(len(array) == len(known) for array in kept.values())):
        raise ValueError(f"policy {name!r}: memory must be None or a dict of arrays with {len(known)} entries each")
    return answer.design, [str(s) for s in np.atleast_1d(getattr(answer, "status", []))], kept


def _judge(system: Any, metrics: Any, penalty: float, diagnostics: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `Rollout` for one frame."""
    score = np.asarray(system.penalised(metrics, penalty), float)
    margins = {
        name: np.asarray(values, float).reshape(len(score), -1).min(axis=1, initial=np.inf)
        for name, values in metrics.margins.items()
    }
    margin, violated = np.full(len(score), np.inf), np.zeros(len(score), bool)
    for name, lowest in margins.items():
        margin = np.minimum(margin, lowest)
        violated |= lowest < -(VIOLATION_BIT if "rate" in name else VIOLATION_DB)
    return {
        "objective": np.asarray(metrics.objective, float),
        "score": score,
        "cost": np.asarray(metrics.cost, float),
        "margin": margin,
        "margins": margins,
        "violated": violated,
        "feasible": np.asarray(metrics.feasible, bool),
        "counted": np.asarray(getattr(metrics, "counted", np.ones(len(score))), float),
        "physical": {name: np.asarray(value, float) for name, value in {**metrics.physical(), **diagnostics}.items()},
    }


def _over_frames(parts: list[dict[str, Any]], final: tuple[str, ...]) -> dict[str, Any]:
    """Means (of `final`: the last), least margins, any violation and feasibility throughout; one frame stays as it is."""
    first, counted = parts[0], np.array([part["counted"] for part in parts])
    counted[:, ~counted.any(axis=0)] = 1.0  # stopped before the first frame that counts

    def mean(values: list[np.ndarray]) -> np.ndarray:
        stacked = np.array(values)
        if counted.all():
            return np.asarray(stacked.mean(axis=0))
        weights = counted.reshape(*counted.shape, *[1] * (stacked.ndim - 2))
        return np.asarray((weights * stacked).sum(axis=0) / weights.sum(axis=0))

    out: dict[str, Any] = {name: mean([part[name] for part in parts]) for name in ("objective", "score", "cost")}
    if "objective" in final:
        out["objective"] = parts[-1]["objective"]
    out["margin"] = np.min([part["margin"] for part in parts], axis=0)
    out["margins"] = {name: np.min([part["margins"][name] for part in parts], axis=0) for name in first["margins"]}
    out["violated"] = np.any([part["violated"] for part in parts], axis=0)
    out["feasible"] = np.all([part["feasible"] for part in parts], axis=0)
    out["physical"] = {
        name: parts[-1]["physical"][name] if name in final else mean([part["physical"][name] for part in parts])
        for name in first["physical"]
    }
    return out
