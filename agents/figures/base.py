"""What a figure is: a list of independent units of work, a summary of their results, and a drawing."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from agents.files import jsonable

__all__ = ["Figure", "Result", "Unit", "config_hash"]

Arrays = Mapping[str, np.ndarray]
"""Results of one unit by name."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Unit:
    """One piece of work: `function(**arguments)` is a dictionary of plain arrays and depends on nothing else.

    Random numbers come from the arguments alone, so neither the order of the units, nor an interruption, nor the number of
    processes changes a result.

    Attributes:
        key: name of the unit within its figure, letters, digits and `._+-`; also the name of its file.
        function: `module:name`, importable in another process.
        arguments: JSON-able keyword arguments.
        size: work in scenes, for the progress bar.
    """

    key: str
    function: str
    arguments: Mapping[str, Any]
    size: int = 1

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", self.key):
            raise ValueError(f"key must consist of letters, digits and ._+-, got {self.key!r}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """What the units say together.

    Attributes:
        rows: the points of the figure, one tidy row (dictionary) per point, for the CSV.
        answers: the paper's statements with our numbers (`agents.figures.answers`).
        facts: what identifies the data (hashes of scenes, counts), for the JSON.
        drawing: what the drawing needs.
    """

    rows: Sequence[Mapping[str, Any]]
    answers: Sequence[Mapping[str, Any]] = ()
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    drawing: Any = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure of a paper.

    Attributes:
        name: `<system>-<figure>`; paper: name of the system; title: one line.
        configure: `configure(quick)` is the JSON-able configuration; its entries can be overridden one by one.
        scale: `scale(config, scenes)` is the configuration with another number of scenes.
        units: the units of a configuration, in the order of work.
        summarise: `summarise(config, results)` from the arrays of all units by key.
        draw: a matplotlib figure.
        revision: raise it when units of equal arguments mean something else than before.
    """

    name: str
    paper: str
    title: str
    configure: Callable[[bool], dict[str, Any]]
    scale: Callable[[dict[str, Any], int], dict[str, Any]]
    units: Callable[[Mapping[str, Any]], list[Unit]]
    summarise: Callable[[Mapping[str, Any], Mapping[str, Arrays]], Result]
    draw: Callable[[Mapping[str, Any], Result], Any]
    revision: int = 1


def config_hash(figure: Figure, config: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits that stand for a figure and its configuration."""
    text = json.dumps(jsonable({"figure": figure.name, "revision": figure.revision, "config": config}), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
