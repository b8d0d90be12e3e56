"""Policies and bound of the system `vehicular` (model page reciprocity, part A)."""

from __future__ import annotations

from functools import partial

from baselines.registry import register, register_bound
from baselines.vehicular.benchmarks import BENCHMARKS, benchmark
from baselines.vehicular.bound import pass_bound
from baselines.vehicular.look_ahead import LookAhead
from baselines.vehicular.myopic import Myopic
from baselines.vehicular.reflector import Reflector
from baselines.vehicular.rules import Always, Event, Fixed, NeedOnly, Never

__all__ = ["BENCHMARKS", "benchmark"]

POLICIES = {
    "myopic": Myopic, "look_ahead": LookAhead, "need_only": NeedOnly, "event": Event, "fixed": Fixed, "always": Always,
    "never": Never, "reflector": Reflector,
}  # fmt: skip

for _name, _policy in POLICIES.items():
    register(_name, "vehicular", _policy)
for _name, _policy in POLICIES.items():
    register(f"{_name}_wide", "vehicular", partial(_policy, wide=True, name=f"{_name}_wide"))
for _name in ("look_ahead", "need_only", "event"):
    register(f"{_name}_wider", "vehicular", partial(POLICIES[_name], wide=True, reflect_width=1.0, name=f"{_name}_wider"))
register_bound("vehicular", pass_bound)
