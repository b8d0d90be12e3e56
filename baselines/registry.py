"""Policies and bounds by system and name. The module of a system is imported on first use and registers what it offers."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from baselines import generic
from baselines.policy import Bound, Policy
from ris_gym import registry as papers

Factory = Callable[..., Policy]
"""factory(system=, penalty=, **options) -> policy."""

_POLICIES: dict[str, dict[str, Factory]] = {}
_BOUNDS: dict[str, Callable[..., Bound]] = {}
_GENERIC: dict[str, Factory] = {
    "prox_linear": generic.ProxLinear,
    "gradient": generic.Gradient,
    "random": generic.Random,
}


def _key(system: Any) -> str:
    name = system if isinstance(system, str) else getattr(system, "name", None)
    if not isinstance(name, str) or not name:
        raise ValueError(f"system must be a system, its class or its name, got {system!r}")
    return name


def _load(key: str) -> None:
    if key in papers.PAPERS:
        importlib.import_module(papers.PAPERS[key].baselines)


def names(system: Any) -> list[str]:
    """Names of the policies of a system; the first is the paper's proposal, the last are the generic ones."""
    key = _key(system)
    _load(key)
    return list(_POLICIES.get(key, {})) + [name for name in _generic(key) if name not in _POLICIES.get(key, {})]


def _generic(key: str) -> list[str]:
    """Names of the generic policies; systems without derivatives have the random one only."""
    if key in papers.PAPERS and "local" not in papers.load(papers.PAPERS[key].system).observations:
        return ["random"]
    return list(_GENERIC)


def register(name: str, system: Any, factory: Factory) -> None:
    """Add a policy to a system: factory(system=system, penalty=penalty, **options).

    Raises:
        ValueError: the name is taken or no name, or the factory is not callable.
    """
    if not isinstance(name, str) or not name:
        raise ValueError(f"name must be a non-empty string, got {name!r}")
    if not callable(factory):
        raise ValueError(f"factory must be callable, got {factory!r}")
    table = _POLICIES.setdefault(_key(system), {})
    if table.get(name, factory) is not factory:
        raise ValueError(f"name must be new for system {_key(system)!r}, {name!r} is registered already")
    table[name] = factory


def register_bound(system: Any, function: Callable[..., Bound]) -> None:
    """Set the bound of a system: function(system, scene, **options) -> Bound."""
    if not callable(function):
        raise ValueError(f"function must be callable, got {function!r}")
    _BOUNDS[_key(system)] = function


def make(name: str, system: Any, penalty: float | None = None, **options: Any) -> Policy:
    """Build a policy.

    Args:
        name: one of `names(system)`.
        system: the system model.
        penalty: weight of the cost against the score, None: the system's.
        **options: the policy's own.

    Raises:
        ValueError: unknown name, or an option breaks its rule; TypeError: unknown option.
    """
    key = _key(system)
    known = names(system)
    if name not in known:
        raise ValueError(f"name must be one of {known} for system {key!r}, got {name!r}")
    if penalty is not None and not penalty >= 0:
        raise ValueError(f"penalty must be at least 0, got {penalty!r}")
    factory = _POLICIES.get(key, {}).get(name) or _GENERIC[name]
    return factory(system=system, penalty=penalty, **options)


def bound(system: Any, scene: Any, **options: Any) -> Bound:
    """Certified bound of the objective on the true scenes; `options` are the bound's own.

    Raises:
        ValueError: the system has none, or an option breaks its rule; TypeError: unknown option.
    """
    key = _key(system)
    _load(key)
    if key not in _BOUNDS:
        raise ValueError(f"system must have a bound (those that do: {sorted(_BOUNDS)}), got {key!r}")
    return _BOUNDS[key](system, scene, **options)
