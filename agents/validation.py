"""The fixed validation set of a run: what the reference and the bound reach on it (computed once), and the agent's gaps."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from agents.comparison import _bound, run_policy
from agents.files import write_npz
from agents.rollouts import rollout
from agents.scenes import FrozenScenes, generator

__all__ = ["Validation", "prepare"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Validation:
    """Validation scenes with reference values, each (scenes,): nan where there is none.

    Args:
        reference_score: penalised score of the reference algorithm on the truth; reference_objective: its objective, nan
            where it violates; bound: certified bound of the objective (of what `system.bound_of` says).
    """

    system: Any
    scenes: FrozenScenes
    penalty: float
    reference: str
    reference_score: np.ndarray
    reference_objective: np.ndarray
    bound: np.ndarray
    counted: np.ndarray

    def measure(self, policy: Any) -> tuple[dict[str, float], Any]:
        """`(scalars, (scene, design, metrics))` of a policy on the truth: means over the scenes not certified infeasible.

        Scalars: penalised score, rates, objective and cost, gaps to the reference and to the bound, every margin, every physical
        quantity of the metrics and of `system.diagnostics`. In sequential scenes they are means over the frames first, margins
        the least of them, and scene, design and metrics those of the last frame.
        """
        numbers = generator("policy", 0)
        found = rollout(self.system, policy, self.scenes.scene, numbers, self.penalty, name="validated", diagnostics=True)
        sense, counted = self.system.sense, self.counted
        served, reference_serves = counted & ~found.violated, np.isfinite(self.reference_objective)
        objective, scored = np.where(served, found.objective, np.nan), self.system.bound_of == "score"
        scalars = {
            "penalised_score": _mean(found.score[counted]),
            "success_rate": _mean(found.feasible[counted].astype(float)),
            "violation_rate": _mean(found.violated[counted].astype(float)),
            f"violation_rate_where_{self.reference}_serves": _mean(found.violated[reference_serves].astype(float)),
            "objective": _mean(found.objective[counted]),
            "cost": _mean(found.cost[counted]),
            f"score_minus_{self.reference}": _mean((found.score - self.reference_score)[counted]),
            f"gap_to_{self.reference}": _mean(sense * (self.reference_objective - objective)),
            "gap_to_bound": _mean(self.bound - found.score if scored else sense * (self.bound - objective)),
        }
        for name, lowest in found.margins.items():
            scalars[f"margin_{name}_mean"] = _mean(lowest[counted])
            scalars[f"margin_{name}_min"] = float(np.min(lowest[counted], initial=np.inf))
        for name, values in found.physical.items():
            values = values.reshape(len(values), -1)[counted]
            scalars[name] = _mean(values)
            if values.shape[1:] != (1,) and values.size:
                scalars[f"{name}_min"] = _mean(values.min(axis=1))
        return {key: value for key, value in scalars.items() if np.isfinite(value)}, found.last


def _mean(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(np.mean(values)) if values.size else float("nan")


def prepare(
    system: Any,
    scenes: FrozenScenes,
    penalty: float,
    reference: str | None = "ao",
    cache: Path | None = None,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Validation:
    """Run the reference and the bound, or read them from `cache` if it is of these scenes and this penalty."""
    names = ("reference_score", "reference_objective", "bound", "counted")
    key = np.array([scenes.sha256, repr(penalty), str(reference)])
    if cache is not None and cache.exists():
        with np.load(cache, allow_pickle=False) as file:
            if "key" in file.files and np.array_equal(file["key"], key):
                arrays = {name: file[name] for name in names}
                return Validation(
                    system=system, scenes=scenes, penalty=penalty, reference=reference or "reference", **arrays
                )
    nothing = np.full(len(scenes), np.nan)
    arrays = dict.fromkeys(names, nothing) | {"counted": np.ones(len(scenes), bool)}
    if reference is not None:
        import baselines

        policy = baselines.make(reference, system, penalty=penalty)
        found = run_policy(system, reference, policy, scenes.scene, penalty, single=0, progress=progress)
        arrays["reference_score"] = found.score
        arrays["reference_objective"] = np.where(found.violated, np.nan, found.objective)
        arrays["bound"], status = _bound(system, scenes.scene, penalty, progress)
        arrays["counted"] = np.asarray(status) != "infeasible"
    if cache is not None:
        write_npz(cache, {"key": key, **arrays})
    return Validation(system=system, scenes=scenes, penalty=penalty, reference=reference or "reference", **arrays)
