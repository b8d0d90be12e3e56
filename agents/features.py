"""Which numbers of an observation belong to which element, antenna, or to the whole scene.

A flat observation is gathered into *tokens*: one token per surface element and one per BS antenna, each with the same few
numbers (its entries of the ascent directions and of the raw vector, its alignment with every path), and one set of *global*
numbers (Gram matrix, margins, gains, time left). A network shared over tokens then fits any number of elements. Everything here
is integer index arrays derived from two public declarations, `system.variables(control)` and `env.observation_layout`; the
networks only index with them.

The parts `raw`, `direction` and `ascent`, whose last axis is the raw action vector, (..., n), are cut by variable like the action
itself, and so is every other part with n as its last axis and none of the elements; parts with an axis of the elements go to the
elements; the rest is global. Where surfaces have one number per vehicle, vehicles are the elements; shares of time go to the
elements where there is one for each. In a system of several blocks (`blocks`) with variables (..., blocks, elements) there is
one token per block and element: of a part (..., blocks, elements) it sees its own entries, of a part without an axis of the
blocks the element's, and of a part (blocks, ..., k) without elements, which is global too, its block's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ris_gym import variables as var

__all__ = ["Alphabet", "FeatureMap", "TokenGroup", "build_feature_map", "variable_dicts"]

RAW = "raw"
"""The layout entry with the raw vector of the current design."""
PER_ACTION = (RAW, "direction", "ascent")
"""Layout entries with the raw action vector as their last axis."""
NO_ELEMENTS = (
    "bs_user", "bs_sensor", "sensor_steering", "target_phase", "levels", "echo_sinr", "sinr", "margins", "gram",
    "log_norm", "ascent_log_norm", "time_left", "gains", "jacobian", "symbols", "coupling", "task", "belief", "clock",
    "beam_mass",
)  # fmt: skip
"""Layout entries without an axis of the elements, whatever their sizes are."""
OPTIONAL = ("bs_sensor", "sensor_steering")
"""Layout entries that only some kinds of a system have; `ignore` may name them for all."""
TURN = "turn"
"""Layout entry with the raw number to be set next, one-hot (n,)."""
LEAVES = "beam_mass"
"""Layout entry with the masses of a belief over beams."""
ELEMENTS = ("surface", "time")
"""Owners of variables that go to the elements where they have one number (or several) for each."""
ACTIONS = ("box", "indices", "turn")
"""What an action is: raw numbers, one index of the alphabet per raw number, or the index of the one whose turn it is."""


def _none() -> np.ndarray:
    return np.empty(0, np.int64)


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
class Alphabet:
    """The alphabets of a raw vector of length n.

    Args:
        sizes: (n,); values: (n, N) raw numbers of the indices, N the largest size (the last one again where there are fewer).
        periodic: (n,) bool, phases.
    """

    sizes: np.ndarray
    values: np.ndarray
    periodic: np.ndarray

    @property
    def width(self) -> int:
        """The largest size."""
        return int(self.values.shape[1])


@dataclasses.dataclass(frozen=True)
class FeatureMap:
    """The gathering of one environment: token groups that together set every action entry, and the global inputs.

    `directions` are the names of the observed raw directions (`direction`, `ascent[0]`, ...), in the order of the groups' ones.
    Of discrete actions: `alphabet`, and where in the observation the current raw vector (`raw`) and the one-hot entry to be set
    (`turn`, empty unless one is set per step) stand. `leaves` is where the masses of a belief over beams (`beam_mass`) stand.
    `action_size` is the length n of the raw vector.
    """

    groups: tuple[TokenGroup, ...]
    globals: np.ndarray
    directions: tuple[str, ...]
    observation_size: int
    action_size: int
    alphabet: Alphabet | None = None
    raw: np.ndarray = dataclasses.field(default_factory=_none)
    turn: np.ndarray = dataclasses.field(default_factory=_none)
    leaves: np.ndarray = dataclasses.field(default_factory=_none)

    @property
    def single(self) -> bool:
        """Whether a discrete action is one index."""
        return self.alphabet is not None and (self.turn.size > 0 or self.action_size == 1)

    def sizes(self) -> dict[str, Any]:
        """The sizes that a network's weights depend on: they contain no number of tokens."""
        sizes = {
            "globals": len(self.globals),
            "groups": {group.name: [group.inputs.shape[1], group.outputs.shape[1]] for group in self.groups},
        }
        return sizes if self.alphabet is None else sizes | {"alphabet": self.alphabet.width}


def variable_dicts(variables: Iterable[Any]) -> list[dict[str, Any]]:
    """The declaration of variables as plain JSON."""
    return [
        {"name": v.name, "shape": list(v.shape), "kind": v.kind, "owner": v.owner, "n": v.n}
        | ({} if v.grid is None else {"grid": list(v.grid)})
        for v in variables
    ]


def build_feature_map(
    variables: Sequence[Any],
    layout: Mapping[str, Any],
    ignore: Sequence[str] = (),
    raw_phases: bool = False,
    blocks: int | None = None,
    action: str = "box",
) -> FeatureMap:
    """Gather by the rules of this module.

    Args:
        variables: objects or dicts with `name`, `shape`, `kind`, `owner`, and for discrete actions `n` and, if any, `grid`.
        layout: name -> (start, stop, shape), the parts of the flat observation.
        ignore: layout entries that the network does not see (for instance the raw channels).
        raw_phases: whether tokens see their raw phases (a common rotation of which often means nothing).
        blocks: number of blocks of the system; None: it has none.
        action: one of `ACTIONS`.

    Raises:
        ValueError: `ignore` names something that is not in the layout (nor `OPTIONAL`), `action` does not fit.
    """
    if action not in ACTIONS:
        raise ValueError(f"action must be one of {ACTIONS}, got {action!r}")
    declared = [_Variable(v) for v in variables]
    action_size = sum(v.size for v in declared)
    parts = {name: (int(start), int(stop), tuple(shape)) for name, (start, stop, shape) in layout.items()}
    unknown = sorted(set(ignore) - {*parts, *OPTIONAL})
    if unknown:
        raise ValueError(f"ignore: {unknown} not in the observation, which has {sorted(parts)}")
    seen = {name: part for name, part in parts.items() if name not in ignore}
    grid = _Grid.of(declared, blocks)
    antennas = next((v.shape[-2] for v in declared if v.owner == "bs" and len(v.shape) > 1), None)

    members: dict[str, list[tuple[_Variable, np.ndarray]]] = {"element": [], "antenna": [], "entry": []}
    position = 0
    for v in declared:
        index = position + np.arange(v.size).reshape(v.raw_shape)
        position += v.size
        if grid.owns(v):
            members["element"].append((v, grid.cut(index, len(v.raw_shape) - 1)))
        elif v.owner == "bs" and len(v.shape) > 1 and v.shape[-2] == antennas:
            axis = len(v.raw_shape) - 2
            members["antenna"].append((v, np.moveaxis(index, axis, 0).reshape(index.shape[axis], -1)))
        else:
            members["entry"].append((v, index.reshape(-1, 1)))

    rows: list[tuple[str, int]] = []
    tokens_of: list[np.ndarray] = []
    global_parts: list[np.ndarray] = []
    for name, (start, stop, shape) in seen.items():
        index = np.arange(start, stop).reshape(shape)
        where = grid.axis(name, shape)
        like_raw = name in PER_ACTION or (where is None and action_size > 1 and name not in NO_ELEMENTS)
        if like_raw and shape[-1:] == (action_size,):
            rows += [(name, start + i * action_size) for i in range((stop - start) // action_size)]
        elif where is not None and members["element"]:
            tokens_of.append(grid.cut(index, where))
        else:
            global_parts.append(index.reshape(-1))
            if (own := grid.of_block(index)) is not None:
                tokens_of.append(own)
    directions = [(name, start) for name, start in rows if name in PER_ACTION and name != RAW]

    groups = []
    for kind, owned in members.items():
        if not owned:
            continue
        outputs = np.concatenate([index for _, index in owned], axis=1 if kind != "entry" else 0)
        inputs: list[np.ndarray] = list(tokens_of) if kind == "element" else []
        for name, first in rows:
            if kind == "entry":
                inputs.append(first + outputs)
            for v, index in owned if kind != "entry" else []:
                if name != RAW or v.kind != "phase" or raw_phases:
                    inputs.append(first + index)
        along = np.array([first for _, first in directions], np.int64)[:, None, None] + outputs
        width = np.concatenate(inputs, axis=1) if inputs else np.empty((len(outputs), 0), np.int64)
        groups.append(TokenGroup(kind, width.astype(np.int64), outputs.astype(np.int64), along))
    everything = np.concatenate(global_parts) if global_parts else np.empty(0, np.int64)
    total = max((stop for _, stop, _ in layout.values()), default=0)
    start, stop, _ = seen.get(LEAVES, (0, 0, ()))
    leaves = np.arange(start, stop, dtype=np.int64)
    discrete: dict[str, Any] = {}
    if action != "box":
        discrete = {"alphabet": _alphabet(declared), "raw": _vector(parts, RAW, action_size)}
        if action == "turn":
            discrete["turn"] = _vector(parts, TURN, action_size)
            _check_turns(discrete["turn"], discrete["alphabet"])
    return FeatureMap(
        tuple(groups), everything.astype(np.int64), _labels(directions), int(total), action_size, leaves=leaves, **discrete
    )


def _labels(directions: Sequence[tuple[str, int]]) -> tuple[str, ...]:
    """Names of the directions: with their number where an entry of the layout holds several."""
    names = [name for name, _ in directions]
    counted = [f"{name}[{names[:i].count(name)}]" if names.count(name) > 1 else name for i, name in enumerate(names)]
    return tuple(counted)


def _vector(parts: Mapping[str, tuple[int, int, tuple[int, ...]]], name: str, size: int) -> np.ndarray:
    """Positions of a layout entry with one number per raw number; empty if there is none."""
    start, stop, _ = parts.get(name, (0, 0, ()))
    return np.arange(start, stop, dtype=np.int64) if stop - start == size else _none()


def _alphabet(declared: Sequence[_Variable]) -> Alphabet:
    """The alphabets of the variables. Raises ValueError naming a variable without one."""
    variables = tuple(v.declaration for v in declared)
    sizes = var.alphabet(variables)
    values = [var.from_index(variables, np.minimum(k, sizes - 1)[None])[0] for k in range(int(sizes.max()))]
    return Alphabet(sizes, np.stack(values, axis=1), var.periodic(variables))


def _check_turns(turn: np.ndarray, alphabet: Alphabet) -> None:
    if not turn.size:
        raise ValueError(f"action 'turn' needs the observation {TURN!r} with one number per raw number")
    if np.any(alphabet.sizes != alphabet.width):
        raise ValueError(f"action 'turn' needs alphabets of one size, got {sorted(set(alphabet.sizes.tolist()))}")


@dataclasses.dataclass(frozen=True)
class _Grid:
    """The tokens of the surface: `elements`, or `blocks` times `elements` (block-major); None: there are none."""

    elements: int | None
    blocks: int | None

    @classmethod
    def of(cls, declared: Sequence[_Variable], blocks: int | None) -> _Grid:
        """From the variables; blocks count only if every variable of the elements has an axis of them."""
        surface = [v.shape for v in declared if v.owner == "surface" and v.shape]
        elements = surface[0][-1] if surface else None
        own = [v.shape for v in declared if v.owner in ELEMENTS and v.shape and v.shape[-1] == elements]
        blocked = blocks is not None and own and all(shape[-2:-1] == (blocks,) for shape in own)
        return cls(elements, blocks if blocked else None)

    def owns(self, v: _Variable) -> bool:
        return v.owner in ELEMENTS and bool(v.shape) and v.shape[-1] == self.elements

    def axis(self, name: str, shape: tuple[int, ...]) -> int | None:
        """The axis of the elements: the last one of their number, except in `bs_ris` (..., elements, antennas)."""
        if self.elements is None or self.elements not in shape or name in NO_ELEMENTS:
            return None
        if name.startswith("bs_ris") and len(shape) > 1:
            return len(shape) - 2
        return len(shape) - 1 - shape[::-1].index(self.elements)

    def cut(self, index: np.ndarray, axis: int) -> np.ndarray:
        """(..., elements, ...) or (..., blocks, elements, ...) -> (tokens, numbers)."""
        elements = index.shape[axis]
        if self.blocks is None:
            return np.moveaxis(index, axis, 0).reshape(elements, -1)
        if axis and index.shape[axis - 1] == self.blocks:
            return np.moveaxis(index, (axis - 1, axis), (0, 1)).reshape(self.blocks * elements, -1)
        return np.tile(np.moveaxis(index, axis, 0).reshape(elements, -1), (self.blocks, 1))

    def of_block(self, index: np.ndarray) -> np.ndarray | None:
        """(blocks, ..., k) -> (tokens, numbers); None where there is one block, or the part has no axis of them."""
        if self.blocks is None or self.elements is None or self.blocks == 1:
            return None
        if index.ndim < 2 or index.shape[0] != self.blocks:
            return None
        return np.repeat(index.reshape(self.blocks, -1), self.elements, axis=0)


class _Variable:
    """A variable read from an object or from its JSON."""

    def __init__(self, source: Any) -> None:
        get = source.get if isinstance(source, Mapping) else lambda key: getattr(source, key, None)
        missing = [key for key in ("name", "shape", "kind", "owner") if get(key) is None]
        if missing:
            raise ValueError(f"a variable must have name, shape, kind and owner, got {source!r}")
        self.name, self.kind, self.owner = str(get("name")), str(get("kind")), str(get("owner"))
        self.shape = tuple(int(n) for n in get("shape") or ())
        self.raw_shape = (2, *self.shape) if self.kind == "cartesian" else self.shape
        self.size = int(np.prod(self.raw_shape, dtype=int))
        self._n, self._grid = get("n"), get("grid")

    @property
    def declaration(self) -> var.Variable:
        """As `ris_gym` declares it."""
        grid = None if self._grid is None else tuple(float(x) for x in self._grid)
        return var.Variable(self.name, self.shape, self.kind, self.owner, None if self._n is None else int(self._n), grid)
