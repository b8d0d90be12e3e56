"""`ris-gym reproduce`: the figures of the papers as CSV, JSON and PNG, resumable at every finished unit of work.

<folder>/<figure>/<configuration>/units/*.npz      finished units, each written in one piece
<folder>/<figure>/<configuration>/<figure>.csv     the points: mean, 95 % interval, count
<folder>/<figure>/<configuration>/<figure>.json    configuration, versions, hashes of scenes, the paper's statements answered
<folder>/<figure>/<configuration>/<figure>.png     the picture
"""

from __future__ import annotations

import dataclasses
import importlib
import io
import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from agents.figures.base import Figure, config_hash
from agents.figures.store import Store, source_digest
from agents.figures.workers import run_units
from agents.files import write_bytes, write_csv, write_json
from agents.runs import Run

__all__ = ["Reproduce", "configuration", "figures", "reproduce", "select"]

Progress = Callable[[str, int, int], None]


@dataclasses.dataclass(frozen=True)
class Reproduce:
    """Reproduce figures of the papers: CSV, JSON (with the paper's statements answered) and PNG. Resumable."""

    list: bool = False
    """Only show the names of the figures (as without a name)."""
    scenes: int | None = None
    """Number of scenes of every panel; None: as the figure says."""
    quick: bool = False
    """Few scenes and points: seconds instead of minutes, with wide intervals."""
    jobs: int = 1
    """Processes (one thread each); the results do not depend on it."""
    config: str | None = None
    """A JSON file whose entries replace those of the figure's configuration."""
    stale: str = "recompute"
    """Finished units that other versions of the code computed: `recompute` or `use`."""
    folder: str = "runs/reproduce"
    """Where the units are kept."""
    output: str | None = None
    """Folder of CSV, JSON and PNG; None: beside the units."""
    page: str | None = None
    """A markdown page in the folder of the results whose tables are written anew from the JSON files there."""
    progress: bool = True
    """Show a progress bar."""


def figures(paper: str | None = None) -> dict[str, Figure]:
    """All figures by name, of one paper or of all registered ones; a paper without a module of figures has none."""
    from ris_gym import registry

    found: dict[str, Figure] = {}
    for name, entry in registry.PAPERS.items():
        if paper is not None and name != paper:
            continue
        module = entry.figures.partition(":")[0]
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name and (module == error.name or module.startswith(f"{error.name}.")):
                continue
            raise
        found |= {figure.name: figure for figure in registry.load(entry.figures)}
    return found


def select(names: Sequence[str]) -> list[Figure]:
    """Figures by name; the name of a paper stands for all of its figures, `all` for all. Raises ValueError."""
    known = figures()
    chosen: dict[str, Figure] = {}
    for name in names:
        part = {key: figure for key, figure in known.items() if name in (key, figure.paper, "all")}
        if not part:
            papers = sorted({figure.paper for figure in known.values()})
            raise ValueError(f"figure must be one of {[*known, *papers, 'all']}, got {name!r}")
        chosen |= part
    return list(chosen.values())


def configuration(
    figure: Figure, quick: bool = False, scenes: int | None = None, overrides: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The configuration of a figure.

    Raises:
        ValueError: an override that the figure does not have, or `scenes` below 1.
    """
    config = figure.configure(quick)
    for key, value in (overrides or {}).items():
        if key not in config:
            raise ValueError(f"config: entry must be one of {sorted(config)} for {figure.name}, got {key!r}")
        config[key] = value
    if scenes is not None:
        if scenes < 1:
            raise ValueError(f"scenes must be at least 1, got {scenes}")
        config = figure.scale(config, scenes)
    return config


def reproduce(
    figure: Figure,
    config: Mapping[str, Any],
    folder: str | os.PathLike[str] = "runs/reproduce",
    output: str | os.PathLike[str] | None = None,
    jobs: int = 1,
    stale: str = "recompute",
    progress: Progress | None = None,
) -> list[Path]:
    """Compute what is missing of a figure and write its CSV, JSON and PNG.

    Args:
        figure: what to do; config: of `configuration`.
        folder: root of the units; output: folder of the three files, None: beside the units.
        jobs: processes; stale: `use` takes units of other code too; progress: called with (figure, scenes done, scenes in all).

    Returns:
        The paths of the three files.

    Raises:
        RunBusy: another process works on the same configuration.
    """
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    label = config_hash(figure, config)
    run = Run(Path(folder) / figure.name / label)
    units = figure.units(config)
    if len({unit.key for unit in units}) < len(units):
        raise ValueError(f"{figure.name}: units must have different keys")
    siblings = [path for path in sorted((Path(folder) / figure.name).glob("*/units")) if path.parent != run.folder]
    store = Store(run.folder / "units", f"{source_digest(figure.paper)}-{figure.revision}", stale, siblings)
    with run.lock():
        store.sweep()
        write_json(run.folder / "config.json", config)
        results = {unit.key: arrays for unit in units if (arrays := store.load(unit)) is not None}
        store.warn_outdated()
        total = sum(unit.size for unit in units)
        done = sum(unit.size for unit in units if unit.key in results)
        if progress:
            progress(figure.name, done, total)
        for unit, arrays, seconds in run_units([unit for unit in units if unit.key not in results], jobs):
            store.save(unit, arrays, seconds)
            done += unit.size
            if progress:
                progress(figure.name, done, total)
        # read back, so that a fresh run and a resumed one see the same arrays
        store.sources.clear()
        store.seconds = 0.0
        results = {}
        for unit in units:
            arrays_or_none = store.load(unit)
            if arrays_or_none is None:
                raise RuntimeError(f"unit {store.path(unit)} vanished while {figure.name} was running")
            results[unit.key] = arrays_or_none
        return _write(figure, config, label, results, store, Path(output) if output else run.folder)


def _write(
    figure: Figure, config: Mapping[str, Any], label: str, results: Mapping[str, Any], store: Store, folder: Path
) -> list[Path]:
    import numpy as np
    import scipy
    from PIL import Image

    import ris_gym

    result = figure.summarise(config, results)
    default = figure.configure(False)
    facts = {
        "figure": figure.name,
        "title": figure.title,
        "config": config,
        "config_hash": label,
        "not_default": sorted(key for key, value in config.items() if value != default.get(key)),
        "versions": {
            "ris_gym": ris_gym.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
        },
        "sources": sorted(store.sources),
        "cpu_seconds": round(store.seconds, 1),
        **result.facts,
        "answers": result.answers,
    }
    for left in folder.glob(f".{figure.name}.*"):
        left.unlink(missing_ok=True)
    buffer = io.BytesIO()
    figure.draw(config, result).savefig(buffer, format="png", dpi=100)
    picture = Image.open(buffer).convert("RGB").quantize(128, dither=Image.Dither.NONE)
    small = io.BytesIO()
    picture.save(small, format="png", optimize=True)
    return [
        write_csv(folder / f"{figure.name}.csv", result.rows),
        write_json(folder / f"{figure.name}.json", facts),
        write_bytes(folder / f"{figure.name}.png", small.getvalue()),
    ]


def read_overrides(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Entries of a JSON file. Raises ValueError if it is no JSON object."""
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"config: {os.fspath(path)!r} is not JSON ({error})") from None
    if not isinstance(value, dict):
        raise ValueError(f"config: {os.fspath(path)!r} must hold a JSON object, got {type(value).__name__}")
    return value
