"""Validation of the fields of a system: every error names the field, the value and the rule."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np


def integer(name: str, value: Any, low: int, high: int | None = None) -> int:
    """An integer in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if int(value) < low or (high is not None and int(value) > high):
        raise ValueError(f"{name} must be {f'at least {low}' if high is None else f'in [{low}, {high}]'}, got {value!r}")
    return int(value)


def real(name: str, value: Any, low: float = -math.inf, high: float = math.inf, *, open_low: bool = False) -> float:
    """A finite real number in [low, high], or in (low, high] with `open_low`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a real number, got {value!r}")
    number = float(value)
    if not math.isfinite(number) or number < low or number > high or (open_low and number == low):
        raise ValueError(f"{name} must be finite and in {'(' if open_low else '['}{low}, {high}], got {value!r}")
    return number


def flag(name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return value


def reals(name: str, value: Any, size: int | None = None, low: float = -math.inf, high: float = math.inf) -> tuple[float, ...]:
    """A sequence of finite reals in [low, high], of a given length if `size` is set."""
    if isinstance(value, (str, bytes, Mapping, Set)) or not hasattr(value, "__iter__"):
        raise TypeError(f"{name} must be a sequence of numbers, got {value!r}")
    entries = [getattr(entry, "item", lambda e=entry: e)() for entry in value]
    numbers_ = tuple(real(f"{name}[{i}]", entry, low, high) for i, entry in enumerate(entries))
    if size is not None and len(numbers_) != size:
        raise ValueError(f"{name} must hold {size} numbers, got {value!r}")
    return numbers_


def scene_arrays(
    arrays: Mapping[str, np.ndarray],
    needed: Mapping[str, tuple[int, ...]],
    optional: Mapping[str, tuple[int, ...]],
    whole: Set[str],
) -> dict[str, np.ndarray]:
    """Loaded arrays of a scene, checked and in double precision.

    Args:
        arrays: name -> (B, ...); needed, optional: name -> shape without the batch axis; whole: names that may be complex.

    Raises:
        ValueError: an array is missing, foreign, misshapen, not finite, or complex where it must be real; the message names it.
    """
    shapes = {**needed, **optional}
    if missing := [name for name in needed if name not in arrays]:
        raise ValueError(f"array {missing[0]!r} is missing; needed: {', '.join(needed)}")
    if foreign := [name for name in arrays if name not in shapes]:
        raise ValueError(f"array {foreign[0]!r} is not one of this system's: {', '.join(shapes)}")
    first = next(iter(needed))
    batch = arrays[first].shape[:1]
    if batch in ((), (0,)):
        inner = ", ".join(map(str, needed[first]))
        raise ValueError(f"array {first!r} must have shape (batch, {inner}) with batch >= 1, got {arrays[first].shape}")
    out: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        expected = batch + shapes[name]
        if array.shape != expected:
            raise ValueError(f"array {name!r} must have shape {expected}, got {array.shape}")
        if array.dtype.kind not in "fciu" or not np.all(np.isfinite(array)):
            raise ValueError(f"array {name!r} must hold finite numbers")
        if name not in whole and array.dtype.kind == "c":
            raise ValueError(f"array {name!r} must be real, got {array.dtype}")
        out[name] = array.astype(np.complex128 if name in whole else np.float64)
    return out


def all_or_none(arrays: Mapping[str, Any], *groups: Sequence[str]) -> None:
    """Raise ValueError unless each group of names is in `arrays` as a whole or not at all."""
    for names in groups:
        if 0 < sum(name in arrays for name in names) < len(names):
            raise ValueError(f"arrays {list(names)} must be given all or none")
