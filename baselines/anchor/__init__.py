"""Policies and bound of the system `anchor` (model page, part B)."""

from __future__ import annotations

from baselines.anchor.bound import hit_bound
from baselines.anchor.descent import Descent
from baselines.anchor.exhaustive import Exhaustive, RandomBeam
from baselines.anchor.greedy import InformationGreedy
from baselines.anchor.matching import PosteriorMatching
from baselines.anchor.thompson import Thompson
from baselines.registry import register, register_bound

register("posterior_matching", "anchor", PosteriorMatching)
register("information_greedy", "anchor", InformationGreedy)
register("thompson", "anchor", Thompson)
register("exhaustive", "anchor", Exhaustive)
register("descent", "anchor", Descent)
register("random", "anchor", RandomBeam)
register_bound("anchor", hit_bound)
