"""The folder of a training run: its configuration, its lock, and the private checkpoint from which it resumes."""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from agents.files import is_temporary, jsonable, recover_folder, remove_temporaries, write_bytes, write_json

__all__ = ["Run", "RunBusy", "open_run"]

CONFIG, CHECKPOINT, DONE, LOCK = "config.json", "checkpoint/state.pt", "done.json", ".lock"


class RunBusy(RuntimeError):
    """Another process works in the run's folder."""


class Run:
    """A run's folder and what is in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def agent(self) -> Path:
        """The artefact."""
        return self.folder / "agent"

    @property
    def finished(self) -> bool:
        """Whether the budget was used up."""
        return (self.folder / DONE).exists()

    def config(self) -> dict[str, Any] | None:
        """The stored configuration; None in an empty or foreign folder."""
        try:
            value = json.loads((self.folder / CONFIG).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return value if isinstance(value, dict) else None

    def save_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Replace the checkpoint: one atomic file. Arrays are kept as tensors."""
        import torch

        buffer = io.BytesIO()
        torch.save(_tensors(state), buffer)
        write_bytes(self.folder / CHECKPOINT, buffer.getbuffer())

    def load_checkpoint(self) -> dict[str, Any] | None:
        """The last checkpoint, or None. Tensors and plain containers only (`weights_only`)."""
        import torch

        path = self.folder / CHECKPOINT
        if not path.exists():
            return None
        try:
            with zipfile.ZipFile(path) as archive:  # torch itself checks no sums
                if (name := archive.testzip()) is not None:
                    raise ValueError(f"entry {name!r} is damaged")
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise self.bad_checkpoint(error) from None
        if not isinstance(state, dict):
            raise self.bad_checkpoint("not a checkpoint of this package")
        return state

    def bad_checkpoint(self, reason: object) -> ValueError:
        """The error of a checkpoint that cannot be used, with the way out."""
        first = (str(reason).strip().splitlines() or [repr(reason)])[0]
        return ValueError(
            f"{self.folder / CHECKPOINT}: not usable as a checkpoint ({first}); the agent saved so far can still be used. "
            "Delete the file to train this run again from the start, which replaces that agent, or choose another name"
        )

    def tidy(self) -> None:
        """Finish or remove what a killed process left behind; for the holder of the lock."""
        recover_folder(self.agent)
        remove_temporaries(self.folder)

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Mark the run as complete."""
        write_json(self.folder / DONE, summary)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run. The operating system drops the lock when the process dies, however it dies.

        Raises:
            RunBusy: another process holds it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / LOCK, "w", encoding="utf-8") as file:
            try:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except ImportError:  # pragma: no cover - no advisory locks on this platform
                pass
            except OSError:
                raise RunBusy(f"run {str(self.folder)!r} is in use by another process") from None
            yield


def open_run(
    root: str | os.PathLike[str],
    name: str | None,
    label: str,
    config: Mapping[str, Any],
    complete: Callable[[Run], bool] = lambda run: run.finished,
) -> Run:
    """The run to work in: a new one, or the unfinished one with the same configuration.

    Args:
        root: folder of all runs; name: of this run, or None to continue an unfinished run of the same configuration if there
            is one, else to choose `<label>-<date>-<time>`; config: what defines the run (JSON); complete: whether
            a run is over.

    Raises:
        ValueError: the named run is finished, or was started with another configuration; nothing is changed.
    """
    root, wanted = Path(root), jsonable(config)
    if name is not None:
        if os.sep in name or name in ("", ".", ".."):
            raise ValueError(f"name must be a plain folder name, got {name!r}")
        run = Run(root / name)
        stored = run.config()
        if stored is None:
            if run.folder.exists() and not all(is_temporary(path) or path.name == LOCK for path in run.folder.iterdir()):
                raise ValueError(f"name: folder {str(run.folder)!r} exists and holds no run; choose another name")
        elif stored != wanted:
            different = sorted(key for key in {*stored, *wanted} if stored.get(key) != wanted.get(key))
            raise ValueError(f"name: run {str(run.folder)!r} was started with other values of {different}; choose another name")
        elif complete(run):
            raise ValueError(f"name: run {str(run.folder)!r} is finished; choose another name or delete it")
    else:
        for folder in sorted(root.glob(f"{label}-*"), reverse=True):
            run = Run(folder)
            if run.config() == wanted and not complete(run) and not _busy(run):
                break
        else:
            stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
            folder, i = root / f"{label}-{stamp}", 1
            while folder.exists():
                folder, i = root / f"{label}-{stamp}-{i}", i + 1
            run = Run(folder)
    if run.config() is None:
        write_json(run.folder / CONFIG, wanted)
    return run


def _busy(run: Run) -> bool:
    try:
        with run.lock():
            return False
    except RunBusy:
        return True


def _tensors(value: Any) -> Any:
    """`value` with arrays as tensors and numpy scalars as numbers: what `torch.load(weights_only=True)` reads."""
    if isinstance(value, np.ndarray):
        import torch

        return torch.from_numpy(np.ascontiguousarray(value))
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {key: _tensors(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_tensors(item) for item in value)
    return value
