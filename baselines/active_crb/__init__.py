"""Policies and bound of the system `active_crb` (arXiv 2508.00379)."""

from __future__ import annotations

from typing import Any

from baselines.active_crb.ao import AlternatingOptimisation
from baselines.active_crb.bound import joint_bound
from baselines.active_crb.direct import Direct
from baselines.active_crb.simple import Passive, ReflectiveOnly, TransmitOnly, ZeroForcing
from baselines.generic import Gradient, ProxLinear
from baselines.policy import Bound, Policy
from baselines.registry import register, register_bound


def _bound(system: Any, scene: Any, solver: str = "fast") -> Bound:
    """Bound 8.2, never below 8.1 (sensing only: 8.1). `solver`: `fast`, the only form there is. ValueError: another name."""
    value, status = joint_bound(system, scene, solver=solver)
    return Bound(value=value, status=status, scope="scene")


def _gradient(**options: Any) -> Policy:
    """Adam on the numbers of `structured`, of which it makes more than of `full`; 24 steps as the agents take, step size 0.04
    (chosen on validation scenes, flat from 0.02 to 0.04)."""
    given: dict[str, Any] = {"control": "structured", "steps": 24, "step_size": 0.04}
    return Gradient(**(given | options))


def _prox_linear(**options: Any) -> Policy:
    """Prox-linear steps on the numbers of `structured`, 24 of them, of length 0.03 (chosen on validation scenes)."""
    given: dict[str, Any] = {"control": "structured", "steps": 24, "step_size": 0.03}
    return ProxLinear(**(given | options))


register("ao", "active_crb", AlternatingOptimisation)
register("direct", "active_crb", Direct)
register("transmit_only", "active_crb", TransmitOnly)
register("reflective_only", "active_crb", ReflectiveOnly)
register("zero_forcing", "active_crb", ZeroForcing)
register("passive", "active_crb", Passive)
register("prox_linear", "active_crb", _prox_linear)
register("gradient", "active_crb", _gradient)
register_bound("active_crb", _bound)
