"""The artefact of an agent: a folder with `weights.npz` and `agent.json`, written whole and read without unpickling.

`agent.json` holds the format version, the network, the system, the keywords of the environment, the layout of observation
and action, the versions of the packages, seeds and the training curve, a hash of the weights, so that a folder put
together from two agents is noticed, and a hash of all this, so that damage is noticed. Equal agents have equal bytes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import platform
import zipfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from agents.files import atomic_folder, jsonable, previous_folder, write_json, write_npz

__all__ = ["FORMAT_VERSION", "Artefact", "find", "is_artefact", "read", "versions", "write"]

FORMAT = "ris_gym.agent"
FORMAT_VERSION = 2
"""1: without the hash of the description."""
WEIGHTS, DESCRIPTION = "weights.npz", "agent.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Artefact:
    """What is stored of an agent.

    Args:
        network: `{"kind": ..., **sizes}`, see `agents.networks.build_actor`.
        system: `system.to_dict()`.
        env: `{"id": "ris_gym/...-v0", "kwargs": {...}}`, the keywords without scenes and system fields.
        interface: `observation_layout` (name -> [start, stop, shape]), `observation_size`, `variables`, `action_size`.
        weights: name -> array of the actor, and `log_std`.
        training: seeds, budget, hyperparameters, curve: for people and plots, not needed to act.
        versions: package -> version.
    """

    network: dict[str, Any]
    system: dict[str, Any]
    env: dict[str, Any]
    interface: dict[str, Any]
    weights: dict[str, np.ndarray]
    training: dict[str, Any] = dataclasses.field(default_factory=dict)
    versions: dict[str, str] = dataclasses.field(default_factory=dict)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that shape an agent."""
    found = {"python": platform.python_version()}
    for name in ("ris-gym", "gymnasium", "numpy", "scipy", "torch", "stable-baselines3"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def write(path: str | os.PathLike[str], artefact: Artefact) -> Path:
    """Write the folder `path`. Nobody ever sees half of it: it is completed beside and renamed into place."""
    path = Path(path)
    if path.exists() and not (path / DESCRIPTION).exists() and (not path.is_dir() or any(path.iterdir())):
        raise ValueError(f"path {str(path)!r} exists and holds no agent; choose another folder")
    description = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        **{field.name: getattr(artefact, field.name) for field in dataclasses.fields(artefact) if field.name != "weights"},
        "weights_sha256": _digest(artefact.weights),
    }
    description["versions"] = artefact.versions or versions()
    description["sha256"] = _description_digest(jsonable(description))
    with atomic_folder(path) as folder:
        write_npz(folder / WEIGHTS, artefact.weights)
        write_json(folder / DESCRIPTION, description)
    return path


def is_artefact(path: str | os.PathLike[str]) -> bool:
    """Whether `find` would return a folder."""
    try:
        find(path)
    except (ValueError, OSError):
        return False
    return True


def find(path: str | os.PathLike[str]) -> Path:
    """The folder of the agent: `path` itself or its subfolder `agent` (a run)."""
    path = Path(path)
    for folder in (path, path / "agent"):
        # the writer is between two renames, or was killed there; or it has just passed them
        for candidate in (folder, previous_folder(folder), folder):
            if (candidate / DESCRIPTION).is_file():
                return candidate
    if not path.exists():
        raise ValueError(f"path {str(path)!r}: no such folder")
    raise ValueError(f"path {str(path)!r} holds no agent: neither {DESCRIPTION} nor agent/{DESCRIPTION} in it")


def read(path: str | os.PathLike[str]) -> Artefact:
    """Read an artefact: JSON and plain arrays only. A run that replaces it meanwhile does no harm.

    Raises:
        ValueError: the folder is not an agent, is damaged, or was written by a newer format; the message names the file.
    """
    while True:
        folder = find(path)
        before = _identity(folder)
        try:
            return _read(folder)
        except ValueError:
            if _identity(folder) == before:
                raise


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(folder)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _read(folder: Path) -> Artefact:
    name = folder / DESCRIPTION
    try:
        raw = json.loads(name.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise ValueError(f"{name}: not readable as JSON ({error})") from None
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise ValueError(f"{name}: not an agent of ris_gym (format is not {FORMAT!r})")
    version = raw.get("format_version")
    if not isinstance(version, int) or version < 1:
        raise ValueError(f"{name}: format_version {version!r} is not one of 1 to {FORMAT_VERSION}")
    if version > FORMAT_VERSION:
        found = raw.get("versions")
        writer = found.get("ris-gym") if isinstance(found, dict) else None
        raise ValueError(
            f"{name}: written by a newer version of ris_gym ({writer or 'unknown'}; format_version {version}, this one reads up "
            f"to {FORMAT_VERSION}); update ris_gym"
        )
    sections: dict[str, Any] = {}
    for key in ("network", "system", "env", "interface", "training", "versions"):
        if not isinstance(raw.get(key), dict):
            raise ValueError(f"{name}: entry {key!r} is missing or not an object")
        sections[key] = raw[key]
    if (version > 1 or "sha256" in raw) and raw.get("sha256") != _description_digest(raw):
        raise ValueError(f"{name}: changed or damaged since it was written (hash differs)")
    weights = _read_weights(folder / WEIGHTS)
    if _digest(weights) != raw.get("weights_sha256"):
        raise ValueError(f"{folder / WEIGHTS}: the weights are not those that {DESCRIPTION} describes (hash differs)")
    return Artefact(weights=weights, **sections)


def _read_weights(path: Path) -> dict[str, np.ndarray]:
    try:
        _check_archive(path)
        with np.load(path, allow_pickle=False) as file:
            weights = {name: file[name] for name in file.files}
    except Exception as error:
        raise ValueError(f"{path}: not readable as plain arrays ({error or type(error).__name__})") from None
    for name, array in weights.items():
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu" or not np.all(np.isfinite(array)):
            kind = f"dtype {array.dtype}" if isinstance(array, np.ndarray) else "no array"
            raise ValueError(f"{path}: array {name!r} must hold finite numbers, got {kind}")
    return weights


def _check_archive(path: Path) -> None:
    """Refuse what `write` never makes: anything but stored `.npy` entries of exactly the size that they announce."""
    with zipfile.ZipFile(path) as archive:
        names = [entry.filename for entry in archive.infolist()]
        if len(set(names)) != len(names):
            raise ValueError("entries with equal names")
        for entry in archive.infolist():
            if not entry.filename.endswith(".npy") or entry.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"entry {entry.filename!r} is not a stored array")
            with archive.open(entry) as file:
                version = np.lib.format.read_magic(file)
                header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, _, dtype = header(file)
                if dtype.hasobject:
                    raise ValueError(f"entry {entry.filename!r} holds pickled Python objects, which are never opened")
                if file.tell() + math.prod(shape) * dtype.itemsize != entry.file_size:
                    raise ValueError(f"entry {entry.filename!r} announces shape {shape}, but has {entry.file_size} bytes")


def _description_digest(description: Mapping[str, Any]) -> str:
    """Hash of a description read from JSON, or `jsonable`, without the hash itself."""
    rest = {key: value for key, value in description.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _digest(weights: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(weights):
        array = np.ascontiguousarray(weights[name])
        digest.update(json.dumps([name, str(array.dtype), jsonable(array.shape)]).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
