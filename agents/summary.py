"""The rows of a comparison: statistics of every policy, or of all runs of a recipe, over runs and scenes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np

from agents.stats import Estimate, difference, estimate, paired_gap, probability_of_improvement

__all__ = ["Result", "Row", "summarise"]

NOTHING = Estimate(np.nan, np.nan, np.nan, 0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """One policy (one run of a recipe) on all scenes; arrays are (scenes,).

    Args:
        objective: in the system's unit, on the truth; score: penalised score on the truth. In sequential scenes both are means
            over the frames.
        margin: smallest margin over all constraints (dB or bit/s/Hz) and frames; violated: whether any margin is below the
            tolerance.
        seconds: wall time per scene and frame, in batches; seconds_single: wall times of decisions at batch 1.
        status: counts of the policy's answers, one per scene and frame.
        group: the row of the table it belongs to (None: a row of its own).
        physical: the scalar physical quantities, name -> (scenes,), in sequential scenes means over the frames.
        cost: of the soft constraints, unweighted; empty where nobody has asked for it.
    """

    name: str
    privileged: bool
    objective: np.ndarray
    score: np.ndarray
    margin: np.ndarray
    violated: np.ndarray
    seconds: float
    seconds_single: np.ndarray
    status: dict[str, int]
    group: str | None = None
    physical: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    cost: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))


class Row:
    """The runs behind one row: matrices (runs, scenes) of what each run did, on the scenes that count."""

    def __init__(self, name: str, runs: list[Result], counted: np.ndarray) -> None:
        self.name, self.runs = name, runs
        self.score = np.stack([run.score[counted] for run in runs])
        self.objective = np.stack([run.objective[counted] for run in runs])
        self.violated = np.stack([run.violated[counted] for run in runs])
        self.physical = {name: np.stack([run.physical[name][counted] for run in runs]) for name in runs[0].physical}
        self.margin_min = float(min(np.min(run.margin) for run in runs))
        self.seconds = float(np.mean([run.seconds for run in runs]))
        self.seconds_single = np.concatenate([run.seconds_single for run in runs])

    @property
    def served(self) -> np.ndarray:
        """Objective where the run violates nothing, else nan, (runs, scenes)."""
        return np.where(self.violated, np.nan, self.objective)

    def status(self) -> str:
        """Counts of the solvers' answers over all runs."""
        counts: dict[str, int] = {}
        for run in self.runs:
            for key, value in run.status.items():
                counts[key] = counts.get(key, 0) + value
        return " ".join(f"{key}:{value}" for key, value in sorted(counts.items()))


def summarise(
    results: Iterable[Result], bound: np.ndarray, status: np.ndarray, sense: int, reference: str, bound_of: str = "objective"
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """One dict per row, and the counts of scenes.

    Args:
        results: of every run; bound: certified bound per scene or nan; status: of the bound, scenes `infeasible` are left out;
            sense: of the objective; reference: the row that differences are taken to; bound_of: `objective`, or `score`: the
            bound is of the penalised score, whether or not a run violates anything.

    Each statistic `x` has `x_low`, `x_high` (95 %) and `x_count` (scenes). `score_iqm_minus_reference` is the difference of the
    two IQMs, `probability_of_improvement` that of the penalised score over the reference's. `score_runs` holds the mean of each
    run, `score_min` and `score_max` the least and the largest of them. `seconds_single` (median) and `seconds_per_scene` (in
    batches) are per decision: in sequential scenes per scene and frame. `mean_<name>` is the mean of a scalar physical quantity
    over runs and scenes (and frames). `violation_rate` is over the scenes that are not certified infeasible,
    `violation_rate_servable` over those of them that at least one run of the table serves without a violation: where a feasible
    design is known to exist.
    """
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(result.name if result.group is None else result.group, []).append(result)
    counted = status != "infeasible"
    rows = {name: Row(name, runs, counted) for name, runs in groups.items()}
    serving = [row for row in rows.values() if counted.any() and np.mean(row.violated) <= 0.5]
    common = ~np.any([row.violated.any(axis=0) for row in serving], axis=0) if serving else np.zeros(int(counted.sum()), bool)
    servable = ~np.all([row.violated.all(axis=0) for row in rows.values()], axis=0)
    ao, random = rows.get(reference), rows.get("random")
    table = []
    for row in rows.values():
        gap = bound[counted] - row.score if bound_of == "score" else sense * (bound[counted] - row.served)
        table.append(_row(row, row in serving, common, servable, gap, sense, ao, random))
    counts = {
        "scenes": len(status),
        "certified_infeasible": int(np.sum(~counted)),
        "bound_certified": int(np.sum(status == "certified")),
        "servable": int(np.sum(servable)),
        "common": int(np.sum(common)),
    }
    return table, counts


def _row(
    row: Row,
    serving: bool,
    common: np.ndarray,
    servable: np.ndarray,
    gap: np.ndarray,
    sense: int,
    ao: Row | None,
    random: Row | None,
) -> dict[str, Any]:
    means = [float(np.mean(scores)) if scores.size else np.nan for scores in row.score]
    statistics = {
        "score": estimate(row.score),
        "score_iqm": estimate(row.score, iqm=True),
        "objective": estimate(row.served),
        "objective_common": estimate(row.objective[:, common]) if serving else NOTHING,
        **_against(row, ao, sense),
        "gap_to_bound": estimate(gap),
        "gap_to_bound_iqm": estimate(gap, iqm=True),
    }
    out: dict[str, Any] = {
        "policy": row.name,
        "privileged": any(run.privileged for run in row.runs),
        "runs": len(row.runs),
        "score_runs": means,
        "score_min": min(means),
        "score_max": max(means),
    }
    for name, found in statistics.items():
        out.update({name: found.value, f"{name}_low": found.low, f"{name}_high": found.high, f"{name}_count": found.count})
    for name, violated in (("violation_rate", row.violated), ("violation_rate_servable", row.violated[:, servable])):
        out[name] = float(np.mean(violated)) if violated.size else np.nan
        out[f"{name}_runs"] = [float(np.mean(run)) if run.size else np.nan for run in violated]
    out["margin_min"] = row.margin_min
    out["normalised"] = _normalised(row, ao, random)
    singles = row.seconds_single
    out["seconds_single"] = float(np.median(singles)) if singles.size else np.nan
    out["seconds_single_p95"] = float(np.percentile(singles, 95)) if singles.size else np.nan
    out["seconds_per_scene"] = row.seconds
    out["status"] = row.status()
    return out | {f"mean_{name}": float(np.mean(values)) if values.size else np.nan for name, values in row.physical.items()}


def _against(row: Row, ao: Row | None, sense: int) -> dict[str, Estimate]:
    """Differences to the reference; the reference's own are 0 (probability 1/2), by definition and without an interval."""
    names = ("score_minus_reference", "score_iqm_minus_reference", "probability_of_improvement", "gap_to_reference")
    if ao is None:
        return dict.fromkeys(names, NOTHING)
    if row is ao:
        count, served = row.score.shape[1], int(np.sum(np.isfinite(row.served).any(axis=0)))
        values = (0.0, 0.0, 0.5, 0.0)
        counts = (count, count, count, served)
        return {
            name: Estimate(value, value, value, n) if n else NOTHING
            for name, value, n in zip(names, values, counts, strict=True)
        }
    found = (
        difference(row.score, ao.score),
        difference(row.score, ao.score, iqm=True),
        probability_of_improvement(row.score, ao.score),
        paired_gap(sense * ao.served, sense * row.served),
    )
    return dict(zip(names, found, strict=True))


def _normalised(row: Row, ao: Row | None, random: Row | None) -> float:
    """(score - random) / (ao - random), means over runs and counted scenes: 0 is a random design and 1 is the reference."""
    if ao is None or random is None or not row.score.size:
        return float("nan")
    low, high, mine = (float(np.mean(part.score)) for part in (random, ao, row))
    return (mine - low) / (high - low) if high > low else float("nan")
