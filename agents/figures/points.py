"""Units in chunks of scenes, their results put together, and the points of a figure. For the figures of every paper."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from agents.stats import Estimate, estimate

__all__ = ["chunks", "columns", "gather", "masked", "point", "scene_facts"]

Results = Mapping[str, Mapping[str, np.ndarray]]
"""Arrays of finished units by key."""


def chunks(count: int, size: int) -> Iterable[tuple[int, int]]:
    """Cut range(count) into parts of `size`."""
    return ((first, min(first + size, count)) for first in range(0, count, size))


def gather(results: Results, prefix: str) -> dict[str, np.ndarray]:
    """The arrays of all units with keys `<prefix><first scene>`, in the order of scenes, without the hashes `scenes`.

    Histories (rounds, n) are padded with their last value.
    """
    parts = {int(key.removeprefix(prefix)): value for key, value in results.items() if key.startswith(prefix)}
    ordered = [parts[first] for first in sorted(parts)]
    out = {key: np.concatenate([part[key] for part in ordered]) for key in ordered[0] if key not in ("scenes", "history")}
    if "history" in ordered[0]:
        longest = max(len(part["history"]) for part in ordered)
        padded = [np.pad(part["history"], ((0, longest - len(part["history"])), (0, 0)), mode="edge") for part in ordered]
        out["history"] = np.concatenate(padded, axis=1)
    return out


def scene_facts(results: Results, groups: Mapping[str, int]) -> dict[str, Any]:
    """Number and hash of the scenes of each group of units, whose keys begin with `<group>_` and end with `_<first scene>`.

    Args:
        groups: name -> number of scenes.

    Raises:
        RuntimeError: two units of a group met different scenes.
    """
    facts = {}
    for group, count in groups.items():
        found: dict[tuple[int, int], set[str]] = {}
        for key, value in results.items():
            if key.startswith(f"{group}_"):
                chunk = (int(key.rpartition("_")[2]), len(value["feasible"]))
                found.setdefault(chunk, set()).add(str(value["scenes"]))
        if any(len(hashes) != 1 for hashes in found.values()):
            raise RuntimeError(f"the curves of {group} met different scenes")
        text = "".join(found[chunk].pop() for chunk in sorted(found))
        facts[group] = {"count": count, "sha256": hashlib.sha256(text.encode()).hexdigest()}
    return facts


def masked(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Values where the mask holds, nan elsewhere."""
    return np.where(mask, values, np.nan)


def point(values: np.ndarray, digits: int = 4) -> dict[str, Any]:
    """Columns `mean`, `low`, `high`, `count` of a row; values that are nan are left out."""
    return columns(estimate(values), digits)


def columns(found: Estimate, digits: int = 4) -> dict[str, Any]:
    """Columns `mean`, `low`, `high`, `count` of a row."""
    numbers = {"mean": found.value, "low": found.low, "high": found.high}
    return {**{key: round(float(value), digits) for key, value in numbers.items()}, "count": found.count}
