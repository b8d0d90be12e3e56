"""What the records of this package share: indexing by rows of the batch."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, Self

import numpy as np


class Rows:
    """Mixin for frozen dataclasses: arrays (and records) whose first axis is the batch are indexed, `_shared` names are kept."""

    _shared: frozenset[str] = frozenset()

    def _names(self) -> list[str]:
        """Fields with a batch axis that are held."""
        held = (np.ndarray, Rows)
        return [f.name for f in fields(self) if f.name not in self._shared and isinstance(getattr(self, f.name), held)]  # type: ignore[arg-type]

    def __getitem__(self, rows: Any) -> Self:
        """The entries of the batch at `rows` (slice, integer array or boolean mask)."""
        return replace(self, **{name: getattr(self, name)[rows] for name in self._names()})  # type: ignore[type-var]

    def __len__(self) -> int:
        value = getattr(self, self._names()[0])
        return len(value)

    def put(self, rows: Any, other: Self) -> Self:
        """A copy with `rows` replaced by those of `other`."""
        changes: dict[str, Any] = {}
        for name in self._names():
            old, new = getattr(self, name), getattr(other, name)
            if isinstance(old, Rows):
                changes[name] = old.put(rows, new)
            else:
                changes[name] = old.copy()
                changes[name][rows] = new
        return replace(self, **changes)  # type: ignore[type-var]

    @classmethod
    def concatenate(cls, parts: list[Self]) -> Self:
        """Join records along the batch; what is shared comes from the first."""
        changes: dict[str, Any] = {}
        for name in parts[0]._names():
            values = [getattr(part, name) for part in parts]
            changes[name] = type(values[0]).concatenate(values) if isinstance(values[0], Rows) else np.concatenate(values)
        return replace(parts[0], **changes)  # type: ignore[type-var]
