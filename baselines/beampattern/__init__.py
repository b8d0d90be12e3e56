"""Policies and bound of the system `beampattern` (arXiv 2111.13511)."""

from __future__ import annotations

from typing import Any

from baselines.beampattern.ao import AlternatingOptimisation, Separate, make_information_only
from baselines.beampattern.joint import Joint
from baselines.beampattern.joint_bound import joint_bound
from baselines.beampattern.local import LocalAlternation
from baselines.beampattern.programs import make_programs
from baselines.policy import Bound
from baselines.registry import register, register_bound


def _bound(system: Any, scene: Any, solver: str = "fast") -> Bound:
    """Bound 8.3; `solver` as of the policies: `fast` (batched), `cvxpy`, `clarabel` or `scs`. ValueError: another name."""
    value, status = joint_bound(system, scene, program=make_programs(solver).bound)
    return Bound(value=value, status=status, scope="scene")


register("ao", "beampattern", AlternatingOptimisation)
register("separate", "beampattern", Separate)
register("information_only", "beampattern", make_information_only)
register("joint", "beampattern", Joint)
register("ao_local", "beampattern", LocalAlternation)
register_bound("beampattern", _bound)
