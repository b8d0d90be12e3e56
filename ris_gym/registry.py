"""The one register line of a paper: from it, systems, environments, baselines, command line and tests are found."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import gymnasium


@dataclass(frozen=True)
class Paper:
    """Where the parts of a paper are, as `module:attribute` strings, imported on first use."""

    name: str
    id: str
    system: str
    env: str
    vector_env: str
    baselines: str
    picture: str
    figures: str


PAPERS: dict[str, Paper] = {}


def register(
    name: str,
    title: str,
    *,
    system: str | None = None,
    env: str | None = None,
    baselines: str | None = None,
    picture: str | None = None,
    figures: str | None = None,
    version: int = 0,
) -> Paper:
    """Register a paper: its system, its environment `ris_gym/<title>-v<version>` and its baselines.

    Args:
        name: name of the system, e.g. `beampattern`; title: e.g. `Beampattern`.
        system: module of the class `<title>` (default `ris_gym.systems.<name>`).
        env: module of the classes `<title>Env` and `<title>VectorEnv` (default `ris_gym.envs.<name>`).
        baselines: module that registers the policies (default `baselines.<name>`).
        picture: module of the function `draw` (default `ris_gym.envs.pictures.<name>`; without it a plain picture is drawn).
        figures: module of the tuple `FIGURES` for `ris-gym reproduce` (default `agents.figures.<name>`; may be absent).

    Raises:
        ValueError: the name is taken.
    """
    if name in PAPERS:
        raise ValueError(f"name must be new, {name!r} is registered already")
    env_module = env or f"ris_gym.envs.{name}"
    paper = Paper(
        name=name,
        id=f"ris_gym/{title}-v{version}",
        system=f"{system or f'ris_gym.systems.{name}'}:{title}",
        env=f"{env_module}:{title}Env",
        vector_env=f"{env_module}:{title}VectorEnv",
        baselines=baselines or f"baselines.{name}",
        picture=f"{picture or f'ris_gym.envs.pictures.{name}'}:draw",
        figures=f"{figures or f'agents.figures.{name}'}:FIGURES",
    )
    PAPERS[name] = paper
    gymnasium.register(paper.id, entry_point=paper.env, vector_entry_point=paper.vector_env)
    return paper


def get(name: str) -> Paper:
    """The paper of a system. Raises ValueError for an unknown name."""
    if name not in PAPERS:
        raise ValueError(f"name must be one of {sorted(PAPERS)}, got {name!r}")
    return PAPERS[name]


def load(entry: str) -> Any:
    """Import `module:attribute`."""
    module, _, attribute = entry.partition(":")
    return getattr(importlib.import_module(module), attribute)
