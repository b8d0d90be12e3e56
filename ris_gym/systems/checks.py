"""Validation of the fields of a system: every error names the field, the value and the rule."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Set
from typing import Any


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
