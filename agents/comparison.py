"""`compare`: policies on the same frozen scenes, each with its results per scene; `agents.summary` makes the table of them.

A policy answers from what may be known (`system.known(scene)`); its design is then projected and evaluated on the truth, for
every policy by the same code. Headline: the mean penalised score over all scenes that are not certified infeasible. In sequential
scenes (episodes) a policy decides in every frame, and the numbers of a scene are means over its frames (`agents.rollouts`).
"""

from __future__ import annotations

import dataclasses
import os
import platform
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agents.artefact import is_artefact, versions
from agents.rollouts import VIOLATION_BIT, VIOLATION_DB, rollout
from agents.scenes import COUNT, episode_preset, generator, own_sampler, resolve_scenes
from agents.stats import Estimate, difference, probability_of_improvement
from agents.summary import Result, summarise

__all__ = ["Result", "Table", "available", "compare", "resolve", "run_policy"]

CHUNK = 256
"""Scenes per call of a policy: fixed, since the random numbers of a call depend on it."""
SINGLE_FRAMES = 4
"""Decisions per scene that are timed at batch 1 in sequential scenes."""

Progress = Callable[[str, int, int], None]
"""Called with (what, done, total)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """A comparison: `rows` for people (one dict per policy or recipe), `results` of every run and `bound` per scene, and what
    identifies it (`meta`)."""

    rows: list[dict[str, Any]]
    results: list[Result]
    bound: np.ndarray
    bound_status: list[str]
    meta: dict[str, Any]

    def row(self, name: str) -> dict[str, Any]:
        """The row of a policy. Raises KeyError for a policy that is not in the table."""
        for row in self.rows:
            if row["policy"] == name:
                return row
        raise KeyError(f"no policy {name!r} in the table; policies: {[row['policy'] for row in self.rows]}")

    def scores(self, name: str) -> np.ndarray:
        """Penalised scores (runs, scenes) of a row, on the scenes that are not certified infeasible."""
        self.row(name)
        counted = np.asarray(self.bound_status) != "infeasible"
        return np.stack([run.score[counted] for run in self.results if (run.group or run.name) == name])

    def against(self, name: str, reference: str) -> dict[str, Estimate]:
        """A row against any other one, paired: `mean` and `iqm` of the penalised score as differences, `probability` of
        improvement, each with its interval over runs and scenes."""
        mine, theirs = self.scores(name), self.scores(reference)
        return {
            "mean": difference(mine, theirs),
            "iqm": difference(mine, theirs, iqm=True),
            "probability": probability_of_improvement(mine, theirs),
        }

    def __str__(self) -> str:
        from agents.report import text

        return text(self)

    def save(self, folder: str | os.PathLike[str], name: str = "comparison") -> list[Path]:
        """Write `<name>.csv`, `.json` (with every scene's values) and `.png`, each atomically."""
        from agents.report import save

        return save(self, Path(folder), name)


def compare(
    system: Any,
    policies: Sequence[Any] | Mapping[str, Any],
    scenes: Any = None,
    penalty: float | None = None,
    seed: int = 0,
    *,
    reference: str | None = None,
    bound: bool = True,
    single: int = 5,
    progress: Progress | None = None,
    episode: str | None = None,
    count: int = COUNT,
    csi_error: float = 0.0,
) -> Table:
    """Compare policies on the same scenes.

    Args:
        system: a system, or the name of one.
        policies: names of baselines, paths of agents, objects with `solve(known, rng)`, callables `(known, rng) -> design`;
            a mapping gives them names. In a mapping, a list or tuple holds the runs of one recipe (agents of several seeds): one
            row, every run shown, intervals over runs and scenes. In sequential scenes they are asked in every frame, those with
            `sequential = True` as `solve(known, rng, memory)` (`agents.rollouts`).
        scenes: the name of a declared set such as `beampattern/test-v1` (its first `count`; it must belong to `system`), a number
            of frozen test scenes, None (`count` of them), a scene, a `FrozenScenes`, or the path of an npz.
        penalty: reward = score - penalty * cost (None: the system's default).
        seed: of the policies' own random numbers (the scenes are fixed).
        reference: policy that differences are taken to (None: the paper's proposal); absent from `policies`, there are none.
        bound: whether to compute the certified bound (of sequential scenes: of the mean objective over an episode).
        single: number of scenes at which decision time at batch 1 is measured.
        episode: form of episode that the scenes are drawn for, for instance `tracking`; it matters where an episode has a sampler
            of its own. None: the one that the agents among `policies` were trained in. A system given by name takes its preset.
        count, csi_error: of frozen sets: number of scenes, and relative error of what the policies know.

    Raises:
        ValueError: an argument does not fit; the message names it.
    """
    import baselines
    import ris_gym

    if isinstance(system, str):
        system = ris_gym.systems.make(system, preset=episode_preset(ris_gym.systems.get(system), episode))
    penalty = float(system.default_penalty if penalty is None else penalty)
    named = _named(system, policies, penalty)
    if episode is None and (scenes is None or isinstance(scenes, int)):
        episode = trained_episode(system, [policy for runs in named.values() for policy in runs.values()])
    frozen = resolve_scenes(system, scenes, count, csi_error, episode)
    reference = baselines.names(system)[0] if reference is None else reference
    report = progress or (lambda what, done, total: None)
    results = [
        dataclasses.replace(run_policy(system, run, policy, frozen.scene, penalty, seed, single, report), group=name)
        for name, runs in named.items()
        for run, policy in runs.items()
    ]
    value, status = np.full(len(frozen), np.nan), ["unknown"] * len(frozen)
    if bound:
        value, status = _bound(system, frozen.scene, penalty, report)
    meta = {
        "system": system.to_dict(),
        "unit": system.unit,
        "sense": system.sense,
        "penalty": penalty,
        "seed": seed,
        "reference": reference,
        "runs": {name: {run: _own_name(policy) for run, policy in runs.items()} for name, runs in named.items()},
        "scenes": frozen.describe(),
        "frames": system.frames(frozen.scene),
        "violation_tolerance": {"dB": VIOLATION_DB, "bit/s/Hz": VIOLATION_BIT},
        "versions": versions(),
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "not set"),
        },
    }
    rows, counts = summarise(results, value, np.asarray(status), system.sense, reference, system.bound_of)
    return Table(rows=rows, results=results, bound=value, bound_status=list(status), meta={**meta, "counts": counts})


def run_policy(
    system: Any,
    name: str,
    policy: Any,
    scene: Any,
    penalty: float,
    seed: int = 0,
    single: int = 5,
    progress: Progress = lambda what, done, total: None,
) -> Result:
    """Let one policy answer for every scene (in sequential ones: in every frame) and value its designs on the truth."""
    total, key = len(scene), zlib.crc32(name.encode())
    singles = []
    for i in range(min(single, total) + 1 if single else 0):
        part, rng = scene[max(0, i - 1)], generator("policy", seed, key, 1, i)
        singles.append(rollout(system, policy, part, rng, penalty, name=name, frames=SINGLE_FRAMES).seconds)
    parts = []
    for start in range(0, total, CHUNK):
        index = np.arange(start, min(total, start + CHUNK))

        def report(done: int, frames: int, start: int = start, count: int = len(index)) -> None:
            progress(name, start + done * count // frames, total)

        rng = generator("policy", seed, key, 0, start)
        parts.append(rollout(system, policy, scene[index], rng, penalty, name=name, progress=report))
    statuses = [status for part in parts for status in part.status]
    scalar = [field for field, value in parts[0].physical.items() if value.ndim == 1]
    joined: dict[str, Any] = {
        field: np.concatenate([getattr(part, field) for part in parts])
        for field in ("objective", "score", "cost", "margin", "violated")
    }
    return Result(
        name=name,
        privileged=bool(getattr(policy, "privileged", False)),
        physical={field: np.concatenate([part.physical[field] for part in parts]) for field in scalar},
        seconds=sum(float(part.seconds.sum()) for part in parts) / (total * len(parts[0].seconds)),
        seconds_single=np.concatenate(singles[1:] or [np.zeros(0)]),
        status={s: statuses.count(s) for s in sorted(set(statuses))},
        **joined,
    )


def _bound(system: Any, scene: Any, penalty: float, progress: Progress) -> tuple[np.ndarray, list[str]]:
    import baselines

    values, statuses = [], []
    for start in range(0, len(scene), CHUNK):
        progress("bound", start, len(scene))
        part = scene[np.arange(start, min(len(scene), start + CHUNK))]
        found = baselines.bound(system, part, **({"penalty": penalty} if system.bound_of == "score" else {}))
        values.append(np.broadcast_to(np.asarray(found.value, float), len(part)))
        statuses += [str(s) for s in np.broadcast_to(np.asarray(found.status), len(part))]
    progress("bound", len(scene), len(scene))
    status = np.asarray(statuses)
    return np.where(status == "certified", np.concatenate(values), np.nan), statuses


def _named(system: Any, policies: Any, penalty: float) -> dict[str, dict[str, Any]]:
    """Rows with their runs: `{row: {run: policy}}`; a single policy is a row with one run of the same name."""
    if isinstance(policies, (str, bytes)) or not isinstance(policies, (Mapping, Iterable)):
        raise ValueError(f"policies must be a sequence or a mapping of policies, got {policies!r}")
    pairs = list(policies.items()) if isinstance(policies, Mapping) else [(None, policy) for policy in policies]
    named: dict[str, dict[str, Any]] = {}
    for name, policy in pairs:
        if name is not None and isinstance(policy, (list, tuple)):
            if not policy:
                raise ValueError(f"policies: {name!r} must hold at least one run, got {policy!r}")
            runs = {f"{name}/{i}": resolve(system, member, penalty)[1] for i, member in enumerate(policy)}
        else:
            own, resolved = resolve(system, policy, penalty)
            runs = {own if name is None else str(name): resolved}
        row = next(iter(runs)) if name is None else str(name)
        if row in named:
            raise ValueError(f"policies: two are named {row!r}; give a mapping with names of your own")
        named[row] = runs
    if not named:
        raise ValueError("policies must hold at least one policy")
    taken = [run for runs in named.values() for run in runs]
    if twice := sorted({run for run in taken if taken.count(run) > 1}):
        raise ValueError(f"policies: two runs are named {twice[0]!r}; give other names")
    return named


def available(system: Any, names: Iterable[str]) -> list[str]:
    """Those of `names` that the system has and that do not refuse its parameters (a user's beams in a task without users)."""
    import baselines

    found = []
    for name in names:
        if name in baselines.names(system):
            try:
                baselines.make(name, system)
            except ValueError:
                continue
            found.append(name)
    return found


def trained_episode(system: Any, policies: Iterable[Any]) -> str | None:
    """The form of episode with a sampler of its own that agents were trained in; None where `system.sample` drew their scenes.

    Raises:
        ValueError: they were trained in different ones.
    """
    found = set()
    for policy in policies:
        trained = getattr(policy, "env_kwargs", None)
        if trained is not None:
            own = own_sampler(system, trained.get("episode"))
            found.add(None if own is None else own.name)
    if len(found) > 1:
        names = sorted(map(str, found))
        raise ValueError(f"policies: agents were trained on the scenes of different episodes {names}: give episode")
    return next(iter(found), None)


def resolve(system: Any, policy: Any, penalty: float | None = None) -> tuple[str, Any]:
    """`(name, policy)` of a baseline's name, an agent's path, a policy object or a callable.

    Raises:
        ValueError: it is none of them; the message lists the baselines.
    """
    import baselines

    if isinstance(policy, (str, os.PathLike)):
        known = list(baselines.names(system))
        if policy in known:
            return str(policy), baselines.make(str(policy), system, penalty=penalty)
        if os.path.isdir(policy) or is_artefact(policy):
            from agents.policy import load

            agent = load(policy, system=system, penalty=penalty)
            return agent.name, agent
        raise ValueError(f"policies: {os.fspath(policy)!r} is neither a baseline {known} nor the folder of an agent")
    if hasattr(policy, "solve") or callable(policy):
        return _own_name(policy), policy
    raise ValueError(f"policies: {policy!r} is not a name, a path, or a callable (known, rng) -> design")


def _own_name(policy: Any) -> str:
    return str(getattr(policy, "name", None) or getattr(policy, "__name__", None) or type(policy).__name__)
