"""Decision variables: the one declaration from which spaces, decoding, action tables and per-element networks derive.

A raw action is a vector in [-1, 1]^n: the variables' numbers in the order of declaration, each in C order. What a number means
follows from the kind of its variable:

| kind | numbers per entry | value |
| --- | --- | --- |
| `cartesian` | 2 (all real parts, then all imaginary parts) | complex, re + j im |
| `phase` | 1 (periodic) | radians, pi x; with an alphabet of n: the nearest multiple of 2 pi / n |
| `level` | 1 | x itself; the system says what it scales (an amplitude in dB, a logit, a width) |
| `fraction` | 1 | (x + 1) / 2 in [0, 1] |
| `mode` | 1 | 0 if x >= 0, else 1 |
| `choice` | 1 | min(n - 1, floor(n (x + 1) / 2)), one of n |

A `level` or `fraction` may have a `grid` of values: then it has an alphabet too (`action="discrete"` offers the grid), while raw
numbers still mean what the table says.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from ris_gym.arrays import Array, cartesian, constant, namespace

KINDS = ("cartesian", "phase", "level", "fraction", "mode", "choice")
OWNERS = ("bs", "surface", "time")


@dataclass(frozen=True)
class Variable:
    """One decision variable of a system.

    Args:
        name: `phase`, `amplitude`, `split`, `mode`, `beams`, `sensing_beams`, ...
        shape: shape of its value without the batch axis; () is one number.
        kind: see the table above.
        owner: `bs`, `surface` or `time`: who sets it.
        n: size of the alphabet (`choice`: required; `phase`: 2^b with b-bit phases, else None; `mode`: always 2; else of `grid`).
        grid: alphabet of values of a `level` (in [-1, 1]) or `fraction` (in [0, 1]), increasing; None: continuous only.

    Raises:
        ValueError: a field breaks its rule; the message names field and value.
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    owner: str
    n: int | None = None
    grid: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind of variable {self.name!r} must be one of {KINDS}, got {self.kind!r}")
        if self.owner not in OWNERS:
            raise ValueError(f"owner of variable {self.name!r} must be one of {OWNERS}, got {self.owner!r}")
        if self.kind == "mode" and self.n is None:
            object.__setattr__(self, "n", 2)
        if (self.kind == "choice" and self.n is None) or (self.n is not None and self.n < 1):
            raise ValueError(f"n of variable {self.name!r} must be a positive alphabet size, got {self.n!r}")
        if self.kind == "mode" and self.n != 2:
            raise ValueError(f"n of variable {self.name!r} must be 2 for kind 'mode', got {self.n!r}")
        if self.n is not None and self.grid is None and self.kind not in ("phase", "mode", "choice"):
            raise ValueError(f"n of variable {self.name!r} must be None for kind {self.kind!r}, got {self.n!r}")
        if self.grid is not None:
            self._check_grid(self.grid)

    def _check_grid(self, grid: tuple[float, ...]) -> None:
        low = {"level": -1.0, "fraction": 0.0}.get(self.kind)
        if low is None:
            raise ValueError(f"grid of variable {self.name!r} must be None for kind {self.kind!r}, got {grid!r}")
        if not grid or grid[0] < low or grid[-1] > 1.0 or any(b <= a for a, b in pairwise(grid)):
            raise ValueError(f"grid of variable {self.name!r} must increase in [{low:g}, 1], got {grid!r}")
        if self.n not in (None, len(grid)):
            raise ValueError(f"n of variable {self.name!r} must be None or {len(grid)} with this grid, got {self.n!r}")
        object.__setattr__(self, "n", len(grid))

    @cached_property
    def entries(self) -> int:
        """Number of entries of the value."""
        return math.prod(self.shape)

    @cached_property
    def size(self) -> int:
        """Number of raw real numbers."""
        return self.entries * (2 if self.kind == "cartesian" else 1)

    def value(self, raw: Array) -> Array:
        """The value of raw numbers: (batch, size) -> (batch, *shape). Rounding is left to `quantise`."""
        xp = namespace(raw)
        shape = (raw.shape[0], *self.shape)
        if self.kind == "cartesian":
            re, im = raw[:, : self.entries], raw[:, self.entries :]
            return xp.reshape(cartesian(xp, re, im), shape)
        raw = xp.reshape(raw, shape)
        if self.kind == "phase":
            return math.pi * raw
        if self.kind == "fraction":
            return 0.5 * (raw + 1.0)
        if self.kind == "mode":
            return xp.astype(raw < 0.0, xp.int64)
        if self.kind == "choice":
            assert self.n is not None
            return xp.astype(xp.clip(xp.floor(0.5 * self.n * (raw + 1.0)), 0, self.n - 1), xp.int64)
        return raw

    def raw(self, value: Array) -> Array:
        """The inverse of `value`: (batch, *shape) -> (batch, size); phases are wrapped to [-1, 1)."""
        xp = namespace(value)
        flat = xp.reshape(value, (value.shape[0], self.entries))
        if self.kind == "cartesian":
            return xp.concat([xp.real(flat), xp.imag(flat)], axis=1)
        if self.kind == "phase":
            return wrap(flat / math.pi)
        if self.kind == "fraction":
            return 2.0 * flat - 1.0
        if self.kind == "mode":
            return 0.5 - xp.astype(flat, xp.float64)
        if self.kind == "choice":
            return (2.0 * xp.astype(flat, xp.float64) + 1.0) / self.n - 1.0
        return flat

    def index(self, raw: Array) -> Array:
        """The alphabet index that raw numbers (batch, size) stand for, int64 of the same shape."""
        xp = namespace(raw)
        if self.n is None:
            raise ValueError(f"variable {self.name!r} has no alphabet")
        if self.kind == "phase":
            return xp.astype(xp.floor(0.5 * self.n * raw + 0.5), xp.int64) % self.n
        if self.grid is not None:
            grid = np.asarray(self.grid)
            middles = constant(xp, 0.5 * (grid[1:] + grid[:-1]), raw)
            value = xp.reshape(self.value(raw), (*raw.shape, 1))
            return xp.sum(xp.astype(value >= middles, xp.int64), axis=-1)
        return xp.reshape(self.value(raw), raw.shape)

    def from_index(self, index: Array) -> Array:
        """Raw numbers of alphabet indices (batch, size), float64."""
        xp = namespace(index)
        if self.n is None:
            raise ValueError(f"variable {self.name!r} has no alphabet")
        if self.grid is not None:
            values = constant(xp, np.asarray(self.grid), xp.astype(index, xp.float64))
            raw = xp.reshape(xp.take(values, xp.reshape(index, (-1,))), index.shape)
            return raw if self.kind == "level" else 2.0 * raw - 1.0
        index = xp.astype(index, xp.float64)
        if self.kind == "phase":
            return wrap(2.0 * index / self.n)
        if self.kind == "mode":
            return 0.5 - index
        return (2.0 * index + 1.0) / self.n - 1.0


Variables = tuple[Variable, ...]


def length(variables: Iterable[Variable]) -> int:
    """Number of raw numbers of all variables together."""
    return sum(variable.size for variable in variables)


def slices(variables: Iterable[Variable]) -> dict[str, slice]:
    """Where each variable's raw numbers stand."""
    out: dict[str, slice] = {}
    start = 0
    for variable in variables:
        out[variable.name] = slice(start, start + variable.size)
        start += variable.size
    return out


def split(variables: Variables, raw: Array) -> dict[str, Array]:
    """Values of a raw vector (batch, n), by name."""
    where = slices(variables)
    return {variable.name: variable.value(raw[:, where[variable.name]]) for variable in variables}


def join(variables: Variables, values: Mapping[str, Array]) -> Array:
    """The raw vector (batch, n) of values by name: the inverse of `split`."""
    parts = [variable.raw(values[variable.name]) for variable in variables]
    xp = namespace(*parts)
    return xp.concat(parts, axis=1)


def discrete(variables: Iterable[Variable]) -> bool:
    """Whether every variable has an alphabet, so that `action="discrete"` is possible."""
    return all(variable.n is not None for variable in variables)


def alphabet(variables: Variables) -> np.ndarray:
    """Sizes of the alphabets, one per raw number (int64)."""
    if not discrete(variables):
        raise ValueError(f"variables without an alphabet: {[v.name for v in variables if v.n is None]}")
    return np.concatenate([np.full(v.size, v.n, np.int64) for v in variables])


def from_index(variables: Variables, index: np.ndarray) -> np.ndarray:
    """Raw vector (batch, n) of alphabet indices (batch, n)."""
    where = slices(variables)
    return np.concatenate([v.from_index(index[:, where[v.name]]) for v in variables], axis=1)


def to_index(variables: Variables, raw: np.ndarray) -> np.ndarray:
    """Alphabet indices (batch, n) that a raw vector (batch, n) stands for."""
    where = slices(variables)
    return np.concatenate([v.index(raw[:, where[v.name]]) for v in variables], axis=1)


def periodic(variables: Variables) -> np.ndarray:
    """Mask (n,) of the raw numbers that are periodic (phases)."""
    return np.concatenate([np.full(v.size, v.kind == "phase") for v in variables])


def wrap(raw: Array) -> Array:
    """Wrap raw phases to [-1, 1)."""
    xp = namespace(raw)
    wrapped = raw - 2.0 * xp.floor(0.5 * (raw + 1.0))
    return xp.where(wrapped >= 1.0, -xp.ones_like(wrapped), wrapped)


def move(mask: np.ndarray, raw: np.ndarray, increment: np.ndarray) -> np.ndarray:
    """`raw + increment` kept in the box: periodic entries (mask) wrapped, the others clipped."""
    moved = raw + increment.astype(raw.dtype, copy=False)
    turned = moved[:, mask]
    turned -= 2.0 * np.floor(0.5 * (turned + 1.0))
    moved.clip(-1.0, 1.0, out=moved)
    moved[:, mask] = turned.clip(-1.0, 1.0, out=turned)
    return moved


def action_table(variables: Variables) -> str:
    """The documented action table (Markdown) of a raw action."""
    meaning = {
        "cartesian": "real parts, then imaginary parts",
        "phase": "phase / pi",
        "level": "level",
        "fraction": "2 * fraction - 1",
        "mode": "0 if x >= 0, else 1",
        "choice": "index of n",
    }
    rows = ["| Num | Action | Shape | Kind | Owner | Min | Max | Meaning |", "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    for variable, where in zip(variables, slices(variables).values(), strict=True):
        text = meaning[variable.kind] + (f", {variable.n} values" if variable.n is not None else "")
        numbers = f"{where.start}-{where.stop - 1}" if variable.size else "none"
        rows.append(
            f"| {numbers} | `{variable.name}` | {variable.shape} | {variable.kind} "
            f"| {variable.owner} | -1 | 1 | {text} |"
        )
    return "\n".join(rows)
