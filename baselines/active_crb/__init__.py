"""Policies and bound of the system `active_crb` (arXiv 2508.00379)."""

from __future__ import annotations

from typing import Any

from baselines.active_crb.ao import AlternatingOptimisation
from baselines.active_crb.bound import joint_bound
from baselines.active_crb.direct import Direct
from baselines.active_crb.simple import Passive, ReflectiveOnly, TransmitOnly, ZeroForcing
from baselines.policy import Bound
from baselines.registry import register, register_bound


def _bound(system: Any, scene: Any, solver: str = "fast") -> Bound:
    """Bound 8.2, never below 8.1 (sensing only: 8.1). `solver`: `fast`, the only form there is. ValueError: another name."""
    value, status = joint_bound(system, scene, solver=solver)
    return Bound(value=value, status=status, scope="scene")


register("ao", "active_crb", AlternatingOptimisation)
register("direct", "active_crb", Direct)
register("transmit_only", "active_crb", TransmitOnly)
register("reflective_only", "active_crb", ReflectiveOnly)
register("zero_forcing", "active_crb", ZeroForcing)
register("passive", "active_crb", Passive)
register_bound("active_crb", _bound)
