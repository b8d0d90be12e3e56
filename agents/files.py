"""Atomic files: a reader, or a run that was killed, sees the old file or the new one and never a part."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

__all__ = [
    "atomic_folder",
    "jsonable",
    "previous_folder",
    "recover_folder",
    "remove_temporaries",
    "write_bytes",
    "write_csv",
    "write_json",
    "write_npz",
]

TEMPORARY = ".tmp"
"""End of the names of unfinished files and folders, which begin with a dot."""


def write_bytes(path: str | os.PathLike[str], data: bytes | memoryview) -> Path:
    """Write ``data`` to a temporary file beside ``path``, flush it to disk, and rename it into place."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=TEMPORARY)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    return path


def jsonable(value: Any) -> Any:
    """``value`` with arrays, numpy scalars, paths and tuples as plain JSON; nan and infinities become None."""
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return jsonable(value.tolist())
    if isinstance(value, (list, tuple, set, frozenset)):
        return [jsonable(item) for item in value]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value


def write_json(path: str | os.PathLike[str], value: Any) -> Path:
    """Write ``value`` as indented JSON (`jsonable` first)."""
    return write_bytes(path, (json.dumps(jsonable(value), indent=1, allow_nan=False) + "\n").encode())


def write_csv(path: str | os.PathLike[str], rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write rows with one header line; the columns are the union of the keys in order of appearance."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: "" if jsonable(value) is None else jsonable(value) for key, value in row.items()})
    return write_bytes(path, buffer.getvalue().encode())


def write_npz(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray]) -> Path:
    """Write arrays as ``.npz``; object arrays, which only pickle could store, are refused."""
    for name, array in arrays.items():
        if np.asarray(array).dtype.hasobject:
            raise ValueError(f"array {name!r} holds Python objects; only plain numbers are stored")
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{name: np.asarray(array) for name, array in arrays.items()})  # type: ignore[arg-type]
    return write_bytes(path, buffer.getvalue())


@contextlib.contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield an empty folder; when the block ends without an error it replaces ``path``.

    A folder cannot be exchanged in one call. The old one is moved aside just before, and `recover_folder` puts it
    back if the process died between the two renames.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    recover_folder(path)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=TEMPORARY))
    os.chmod(temporary, 0o755)
    try:
        yield temporary
        old = previous_folder(path)
        if path.exists():
            os.replace(path, old)
        os.replace(temporary, path)
        shutil.rmtree(old, ignore_errors=True)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        recover_folder(path)
        raise


def previous_folder(path: Path) -> Path:
    """Where the folder that `atomic_folder` replaces is for a moment."""
    return path.parent / f".{path.name}.old"


def recover_folder(path: str | os.PathLike[str]) -> None:
    """Finish what an `atomic_folder` that was killed left behind: restore or drop the previous folder."""
    path = Path(path)
    if previous_folder(path).exists():
        if path.exists():
            shutil.rmtree(previous_folder(path))
        else:
            os.replace(previous_folder(path), path)


def is_temporary(path: Path) -> bool:
    """Whether this is an unfinished file or folder of this module."""
    return path.name.startswith(".") and path.name.endswith(TEMPORARY)


def remove_temporaries(folder: str | os.PathLike[str]) -> list[Path]:
    """Remove what killed processes left unfinished in `folder` and below. Only for a folder that nobody else writes in.

    Returns:
        The paths that were removed.
    """
    found = [path for path in Path(folder).rglob(f".*{TEMPORARY}") if is_temporary(path)]
    for path in found:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return found
