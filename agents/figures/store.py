"""The files of finished units: written in one piece, checked when read."""

from __future__ import annotations

import hashlib
import json
import warnings
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agents.figures.base import Unit
from agents.files import jsonable, write_bytes, write_npz

__all__ = ["Store", "source_digest"]

META = "__unit__"


class Store:
    """Finished units of one configuration in a folder, one npz each.

    Args:
        folder: where the files are; siblings: folders of other configurations, whose units of equal arguments are taken over;
            source: digest of the code; stale: `use` also takes units that other code computed, `recompute` does not.
    """

    def __init__(self, folder: Path, source: str, stale: str = "recompute", siblings: Sequence[Path] = ()) -> None:
        if stale not in ("recompute", "use"):
            raise ValueError(f"stale must be 'recompute' or 'use', got {stale!r}")
        self.folder, self._source, self._stale, self._siblings = folder, source, stale, siblings
        self.sources: set[str] = set()
        self.seconds = 0.0
        self._outdated = 0

    def path(self, unit: Unit) -> Path:
        """The unit's file."""
        return self.folder / f"{unit.key}.npz"

    def sweep(self) -> None:
        """Remove what killed processes left half-written. Call it only under the run's lock."""
        for path in self.folder.glob(".*.npz.*"):
            path.unlink(missing_ok=True)

    def save(self, unit: Unit, arrays: Mapping[str, np.ndarray], seconds: float) -> None:
        """Write a finished unit (atomic)."""
        if META in arrays:
            raise ValueError(f"array name {META!r} is reserved")
        meta = {**self._identity(unit), "source": self._source, "seconds": seconds}
        write_npz(self.path(unit), {**arrays, META: np.array(json.dumps(meta))})

    def load(self, unit: Unit) -> dict[str, np.ndarray] | None:
        """The arrays of a finished unit; None if there are none that can be used (a damaged file: with a warning)."""
        own = self.path(unit)
        arrays = self._read(own, unit)
        for folder in self._siblings:
            if arrays is not None:
                break
            other = folder / own.name
            arrays = self._read(other, unit, quiet=True)
            if arrays is not None:
                write_bytes(own, other.read_bytes())
        return arrays

    def _read(self, path: Path, unit: Unit, quiet: bool = False) -> dict[str, np.ndarray] | None:
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            meta = json.loads(str(arrays.pop(META)))
            seconds, source = float(meta["seconds"]), str(meta["source"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            if not quiet:
                self._warn(f"unit {path} cannot be read ({error}); it is computed again")
            return None
        identity = self._identity(unit)
        if {name: meta.get(name) for name in identity} != identity:
            if not quiet:
                self._warn(f"unit {path} belongs to another configuration; it is computed again")
            return None
        if source != self._source:
            self._outdated += not quiet
            if self._stale == "recompute":
                return None
        self.sources.add(source)
        self.seconds += seconds
        return arrays

    def _warn(self, text: str) -> None:
        warnings.warn(text, RuntimeWarning, stacklevel=4)

    def warn_outdated(self) -> None:
        """One warning if units of other code were met."""
        if self._outdated:
            what = "used (stale='use')" if self._stale == "use" else "computed again; --stale use would take them"
            self._warn(f"{self._outdated} units in {self.folder} came from other code: {what}")
            self._outdated = 0

    def _identity(self, unit: Unit) -> dict[str, Any]:
        return {"key": unit.key, "function": unit.function, "arguments": jsonable(unit.arguments)}


def source_digest(paper: str) -> str:
    """Digest of the code that the results of a paper's units depend on: systems, baselines, units."""
    import agents
    import baselines
    import ris_gym

    roots = [Path(str(package.__file__)).parent for package in (ris_gym, baselines, agents)]
    names = ["*.py", "systems/*.py", f"systems/{paper}/**/*.py", "tools/*.py", f"{paper}/**/*.py"]
    files = [path for root in roots[:2] for name in names for path in root.glob(name)]
    files += [roots[2] / "scenes.py", roots[2] / "figures" / "work.py", *(roots[2] / "figures" / paper).glob("*work.py")]
    digest = hashlib.sha256(np.__version__.encode())
    for path in sorted(path for path in set(files) if path.is_file()):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
