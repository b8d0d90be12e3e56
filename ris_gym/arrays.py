"""Batches of arrays: the record that scenes, designs and metrics are made of, and array-API helpers.

A `Batch` is a frozen, keyword-only dataclass whose fields are arrays with a leading batch axis, dictionaries of such arrays, or
None.
The functions below are written for the array API standard, so they serve numpy and torch alike.
"""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import array_api_compat
import numpy as np

Array = Any
"""An array of any library that follows the array API standard (numpy, torch)."""
SINGLE = (np.dtype(np.float32), np.dtype(np.complex64))


class Batch:
    """Mixin for frozen dataclasses of arrays that share their first axis (the batch)."""

    def items(self) -> Iterator[tuple[str, Array]]:
        """Yield `(name, array)` of every array held; entries of a dictionary field are named `field/key`."""
        for name in field_names(type(self)):
            value = getattr(self, name)
            if isinstance(value, Mapping):
                for key, entry in value.items():
                    yield f"{name}/{key}", entry
            elif value is not None:
                yield name, value

    def map(self, function: Callable[[Array], Array]) -> Self:
        """Apply `function` to every array held."""
        changes: dict[str, Any] = {}
        for name in field_names(type(self)):
            value = getattr(self, name)
            if isinstance(value, Mapping):
                changes[name] = {key: function(entry) for key, entry in value.items()}
            elif value is not None:
                changes[name] = function(value)
        return self.replace(**changes)

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)  # type: ignore[type-var]

    def __len__(self) -> int:
        for _, array in self.items():
            return int(array.shape[0])
        return 0

    def __getitem__(self, index: Any) -> Self:
        """The entries of the batch at `index` (slice, integer array or boolean mask; an integer keeps the axis)."""
        if isinstance(index, (int, np.integer)):
            if not -len(self) <= index < len(self):
                raise IndexError(f"index {index} is out of range for a batch of {len(self)}")
            index = slice(index, index + 1) if index != -1 else slice(index, None)
        return self.map(lambda array: array[index])

    def __iter__(self) -> Iterator[Self]:
        return (self[i] for i in range(len(self)))

    @classmethod
    def concatenate(cls, batches: Sequence[Self]) -> Self:
        """Join batches along the first axis. Fields must be held by all of them or by none."""
        if not batches:
            raise ValueError("batches must hold at least one batch")
        names = [name for name, _ in batches[0].items()]
        for other in batches[1:]:
            if [name for name, _ in other.items()] != names:
                raise ValueError(f"batches hold different arrays: {names} and {[name for name, _ in other.items()]}")
        columns = [dict(batch.items()) for batch in batches]
        joined = {
            name: namespace(columns[0][name]).concat([column[name] for column in columns], axis=0)
            for name in names
        }
        return cls._from_items(batches[0], joined)

    def put(self, index: Array, other: Self) -> Self:
        """A copy (numpy) in which the entries at `index` are those of `other`; the dtypes stay those of `self`."""
        theirs = dict(other.items())

        def write(name: str, array: np.ndarray) -> np.ndarray:
            out = np.array(array)
            out[index] = theirs[name]
            return out

        if (mine := {name for name, _ in self.items()}) != set(theirs):
            raise ValueError(f"batches hold different arrays: {sorted(mine)} and {sorted(theirs)}")
        return self._from_items(self, {name: write(name, array) for name, array in self.items()})

    @staticmethod
    def _from_items(like: Any, arrays: Mapping[str, Array]) -> Any:
        changes: dict[str, Any] = {}
        for name, array in arrays.items():
            field, _, key = name.partition("/")
            if key:
                changes.setdefault(field, {})[key] = array
            else:
                changes[field] = array
        return like.replace(**changes)

    def astype(self, dtype: str) -> Self:
        """Cast to the precision of `dtype` ("complex64" or "complex128"): complex arrays to it, real ones to its real part."""
        wide = {"complex64": np.float32, "complex128": np.float64}
        if dtype not in wide:
            raise ValueError(f"dtype must be 'complex64' or 'complex128', got {dtype!r}")

        def cast(array: np.ndarray) -> np.ndarray:
            if np.iscomplexobj(array):
                return array.astype(dtype, copy=False)
            return array.astype(wide[dtype], copy=False) if array.dtype.kind == "f" else array

        return self.map(cast)

    def to_torch(self, device: Any = None) -> Self:
        """The same batch as torch tensors (on `device`), which share memory with numpy where possible."""
        import torch

        return self.map(lambda array: torch.as_tensor(np.ascontiguousarray(array), device=device))

    def to_numpy(self) -> Self:
        """The same batch as numpy arrays (detached and on the CPU)."""
        return self.map(to_numpy)


_FIELDS: dict[Any, tuple[str, ...]] = {}


def field_names(cls: Any) -> tuple[str, ...]:
    """Names of the fields of a dataclass, looked up once per class."""
    if cls not in _FIELDS:
        _FIELDS[cls] = tuple(field.name for field in dataclasses.fields(cls))
    return _FIELDS[cls]


def to_numpy(array: Array) -> np.ndarray:
    """A numpy view or copy of an array of any library."""
    return array.detach().cpu().numpy() if hasattr(array, "detach") else np.asarray(array)


def namespace(*arrays: Array) -> Any:
    """The array-API namespace of the arrays (None entries are ignored); numpy's own for numpy arrays."""
    for array in arrays:
        if type(array) is not np.ndarray and array is not None and not isinstance(array, np.generic):
            return array_api_compat.array_namespace(*[array for array in arrays if array is not None])
    return np


def constant(xp: Any, value: np.ndarray, like: Array) -> Array:
    """The numpy constant `value` in the library, precision and device of `like`."""
    if xp is np:
        single = like.dtype in SINGLE
        if value.dtype.kind == "c":
            return value.astype(np.complex64 if single else np.complex128, copy=False)
        return value.astype(np.float32 if single else np.float64, copy=False)
    dtype = real_dtype(xp, like)
    if np.iscomplexobj(value):
        dtype = {xp.float32: xp.complex64, xp.float64: xp.complex128}[dtype]
    value = value if value.flags.writeable and value.flags.c_contiguous else np.array(value)
    return xp.asarray(value, dtype=dtype, device=array_api_compat.device(like))


class Constant:
    """A numpy constant with its casts: `constant` that converts once per precision (other libraries convert each time)."""

    def __init__(self, value: np.ndarray) -> None:
        self.double = value
        self.single = value.astype(np.complex64 if np.iscomplexobj(value) else np.float32)

    def cast(self, dtype: str) -> np.ndarray:
        """The numpy constant in the precision of "complex64" or "complex128"."""
        return self.single if dtype == "complex64" else self.double

    def __call__(self, xp: Any, like: Array) -> Array:
        """The constant in the library, precision and device of `like`."""
        if xp is np:
            return self.single if like.dtype in SINGLE else self.double
        return constant(xp, self.double, like)


def real_dtype(xp: Any, like: Array) -> Any:
    """The real dtype of the precision of `like`."""
    return xp.float32 if like.dtype in (xp.float32, xp.complex64) else xp.float64


def herm(xp: Any, array: Array) -> Array:
    """Conjugate transpose of the last two axes."""
    return xp.conj(array.mT)


def abs2(xp: Any, array: Array) -> Array:
    """Squared modulus, without the square root."""
    return xp.real(array) ** 2 + xp.imag(array) ** 2


def energy(xp: Any, array: Array) -> Array:
    """Sum of the squared moduli over the last axis."""
    if xp is np and array.dtype.kind == "c" and array.flags.c_contiguous and array.ndim:
        parts = array.view(array.real.dtype)  # real and imaginary parts alternate
        return np.asarray(np.vecdot(parts, parts))
    return xp.real(xp.vecdot(array, array))


def scale(xp: Any, array: Array, factor: Array) -> Array:
    """Complex array (B, ...) times a real factor (B,); numpy scales the real and imaginary parts, which is faster."""
    factor = xp.reshape(factor, (-1, *[1] * (array.ndim - 1)))
    if xp is np and array.flags.c_contiguous:
        return (array.view(array.real.dtype) * factor).view(array.dtype)
    return array * factor


def cis(xp: Any, angle: Array) -> Array:
    """`exp(j angle)` of a real array, in its precision."""
    if xp is np:
        out = np.empty(angle.shape, np.complex64 if angle.dtype == np.float32 else np.complex128)
        np.cos(angle, out=out.real)
        np.sin(angle, out=out.imag)
        return out
    return xp.cos(angle) + 1j * xp.sin(angle)


def cartesian(xp: Any, re: Array, im: Array) -> Array:
    """`re + j im` of real arrays, in their precision."""
    if xp is np:
        out = np.empty(re.shape, np.complex64 if re.dtype == np.float32 else np.complex128)
        out.real, out.imag = re, im
        return out
    return re + 1j * im


def at_least(xp: Any, array: Array, floor: float) -> Array:
    """`max(array, floor)` for a Python number, in the precision of `array`; nan stays."""
    return np.maximum(array, floor) if xp is np else xp.clip(array, floor, None)


def save_npz(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
    """Write arrays and a JSON header (entry `meta`) as a compressed npz file, atomically (a reader never sees half a file)."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez_compressed(file, **{"meta": np.array(json.dumps(meta, sort_keys=True)), **arrays})  # type: ignore[arg-type]
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def load_npz(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read a file of `save_npz`, or any npz of plain arrays (then the header is empty). Never unpickles.

    Raises:
        ValueError: the file is missing, broken, or holds pickled objects; the message names it.
    """
    try:
        loaded = np.load(Path(path), allow_pickle=False)
        if not hasattr(loaded, "files"):
            raise ValueError("it is a bare array, not an npz archive")
        with loaded as file:
            arrays = {name: file[name] for name in file.files}
        meta = json.loads(str(arrays.pop("meta"))) if "meta" in arrays else {}
        if not isinstance(meta, dict):
            raise ValueError("its entry 'meta' is not a JSON object")
    except Exception as error:
        raise ValueError(f"scenes file {str(path)!r} cannot be read as an npz of plain arrays: {error}") from error
    return arrays, meta
