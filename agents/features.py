"""Which numbers of an observation belong to which element, antenna, or to the whole scene.

A flat observation is gathered into *tokens*: one token per surface element and one per BS antenna, each with the same few
numbers (its entries of the ascent directions and of the raw vector, its alignment with every path), and one set of *global*
numbers (Gram matrix, margins, gains, time left). A network shared over tokens then fits any number of elements. Everything here
is integer index arrays derived from two public declarations, `system.variables(control)` and `env.observation_layout`; the
networks only index with them.

The parts `raw`, `direction` and `ascent`, whose last axis is the raw action vector, (..., n), are cut by variable like the action
itself; parts with an axis of the elements go to the elements; the rest is global.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["FeatureMap", "TokenGroup", "build_feature_map", "variable_dicts"]

RAW = "raw"
"""The layout entry with the raw vector of the current design."""
PER_ACTION = (RAW, "direction", "ascent")
"""Layout entries with the raw action vector as their last axis."""
NO_ELEMENTS = (
    "bs_user", "bs_sensor", "sensor_steering", "target_phase", "levels", "echo_sinr", "sinr", "margins", "gram",
    "log_norm", "ascent_log_norm", "time_left",
)  # fmt: skip
"""Layout entries without an axis of the elements, whatever their sizes are."""
OPTIONAL = ("bs_sensor", "sensor_steering")
"""Layout entries that only some kinds of a system have; `ignore` may name them for all."""


@dataclasses.dataclass(frozen=True)
class TokenGroup:
    """The tokens of one kind.

    Args:
        name: `element`, `antenna` or `entry`.
        inputs: (tokens, F) positions in the observation.
        outputs: (tokens, C) positions in the action.
        directions: (D, tokens, C) positions in the observation of the directions that belong to `outputs`.
    """

    name: str
    inputs: np.ndarray
    outputs: np.ndarray
    directions: np.ndarray

    @property
    def tokens(self) -> int:
        """Number of tokens."""
        return int(self.outputs.shape[0])


@dataclasses.dataclass(frozen=True)
class FeatureMap:
    """The gathering of one environment: token groups that together set every action entry, and the global inputs.

    `directions` are the names of the observed raw directions (`direction`, `ascent[0]`, ...), in the order of the groups' ones.
    """

    groups: tuple[TokenGroup, ...]
    globals: np.ndarray
    directions: tuple[str, ...]
    observation_size: int
    action_size: int

    def sizes(self) -> dict[str, Any]:
        """The sizes that a network's weights depend on: they contain no number of tokens."""
        return {
            "globals": len(self.globals),
            "groups": {group.name: [group.inputs.shape[1], group.outputs.shape[1]] for group in self.groups},
        }


def variable_dicts(variables: Iterable[Any]) -> list[dict[str, Any]]:
    """The declaration of variables as plain JSON."""
    return [
        {"name": v.name, "shape": list(v.shape), "kind": v.kind, "owner": v.owner, "n": v.n} for v in variables
    ]


def build_feature_map(
    variables: Sequence[Any], layout: Mapping[str, Any], ignore: Sequence[str] = (), raw_phases: bool = False
) -> FeatureMap:
    """Gather by the rules of this module.

    Args:
        variables: objects or dicts with `name`, `shape`, `kind`, `owner`.
        layout: name -> (start, stop, shape), the parts of the flat observation.
        ignore: layout entries that the network does not see (for instance the raw channels).
        raw_phases: whether tokens see their raw phases (a common rotation of which often means nothing).

    Raises:
        ValueError: `ignore` names something that is not in the layout (nor `OPTIONAL`).
    """
    declared = [_Variable(v) for v in variables]
    action_size = sum(v.size for v in declared)
    parts = {name: (int(start), int(stop), tuple(shape)) for name, (start, stop, shape) in layout.items()}
    unknown = sorted(set(ignore) - {*parts, *OPTIONAL})
    if unknown:
        raise ValueError(f"ignore: {unknown} not in the observation, which has {sorted(parts)}")
    parts = {name: part for name, part in parts.items() if name not in ignore}
    elements = next((v.shape[-1] for v in declared if v.owner == "surface" and v.shape), None)
    antennas = next((v.shape[-2] for v in declared if v.owner == "bs" and len(v.shape) > 1), None)
    counts = {"element": elements, "antenna": antennas}

    members: dict[str, list[tuple[_Variable, np.ndarray]]] = {"element": [], "antenna": [], "entry": []}
    position = 0
    for v in declared:
        index = position + np.arange(v.size).reshape(v.raw_shape)
        position += v.size
        if v.owner == "surface" and v.shape and v.shape[-1] == elements:
            kind, axis = "element", len(v.raw_shape) - 1
        elif v.owner == "bs" and len(v.shape) > 1 and v.shape[-2] == antennas:
            kind, axis = "antenna", len(v.raw_shape) - 2
        else:
            members["entry"].append((v, index.reshape(-1, 1)))
            continue
        members[kind].append((v, np.moveaxis(index, axis, 0).reshape(index.shape[axis], -1)))

    per_action = {name: part for name, part in parts.items() if name in PER_ACTION and part[2][-1:] == (action_size,)}
    rows = [
        (name, start + i * action_size)
        for name, (start, stop, _) in per_action.items()
        for i in range((stop - start) // action_size)
    ]
    directions = [(name, start) for name, start in rows if name != RAW]
    counter: dict[str, int] = {}
    labels = []
    for name, _ in directions:
        counter[name] = counter.get(name, -1) + 1
        labels.append(f"{name}[{counter[name]}]" if per_action[name][1] - per_action[name][0] > action_size else name)
    tokens_of: dict[str, list[np.ndarray]] = {"element": [], "antenna": []}
    global_parts: list[np.ndarray] = []
    for name, (start, stop, shape) in parts.items():
        if name in per_action:
            continue
        index = np.arange(start, stop).reshape(shape)
        where = _element_axis(name, shape, elements)
        if where is not None and members["element"]:
            tokens_of["element"].append(np.moveaxis(index, where, 0).reshape(shape[where], -1))
        else:
            global_parts.append(index.reshape(-1))

    groups = []
    for kind, owned in members.items():
        if not owned:
            continue
        outputs = np.concatenate([index for _, index in owned], axis=1 if kind != "entry" else 0)
        inputs: list[np.ndarray] = list(tokens_of.get(kind, []))
        for name, first in rows:
            if kind == "entry":
                inputs.append(first + outputs)
            for v, index in owned if kind != "entry" else []:
                if name != RAW or v.kind != "phase" or raw_phases:
                    inputs.append(first + index)
        along = np.array([first for _, first in directions], np.int64)[:, None, None] + outputs
        width = np.concatenate(inputs, axis=1) if inputs else np.empty((len(outputs), 0), np.int64)
        groups.append(TokenGroup(kind, width.astype(np.int64), outputs.astype(np.int64), along))
        if kind != "entry" and counts[kind] != len(outputs):  # pragma: no cover - guarded by construction
            raise ValueError(f"variables of {kind}s disagree on their number")
    everything = np.concatenate(global_parts) if global_parts else np.empty(0, np.int64)
    total = max((stop for _, stop, _ in layout.values()), default=0)
    return FeatureMap(tuple(groups), everything.astype(np.int64), tuple(labels), int(total), action_size)


def _element_axis(name: str, shape: tuple[int, ...], elements: int | None) -> int | None:
    """The axis of the elements: the last one of their number, except in `bs_ris` (..., elements, antennas)."""
    if elements is None or elements not in shape or name in NO_ELEMENTS:
        return None
    if name.startswith("bs_ris") and len(shape) > 1:
        return len(shape) - 2
    return len(shape) - 1 - shape[::-1].index(elements)


class _Variable:
    """A variable read from an object or from its JSON."""

    def __init__(self, source: Any) -> None:
        get = source.__getitem__ if isinstance(source, Mapping) else lambda key: getattr(source, key)
        self.name, self.kind, self.owner = str(get("name")), str(get("kind")), str(get("owner"))
        self.shape = tuple(int(n) for n in get("shape"))
        self.raw_shape = (2, *self.shape) if self.kind == "cartesian" else self.shape
        self.size = int(np.prod(self.raw_shape, dtype=int))
