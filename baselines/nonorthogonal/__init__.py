"""Policies and bound of the system `nonorthogonal` (arXiv 2208.05324)."""

from __future__ import annotations

from baselines.nonorthogonal.align import Align
from baselines.nonorthogonal.bound import joint_bound
from baselines.nonorthogonal.coordinate_descent import CoordinateDescent
from baselines.nonorthogonal.cross_entropy import CrossEntropy
from baselines.nonorthogonal.exhaustive import ExhaustiveSearch
from baselines.nonorthogonal.gradient import GradientPhases
from baselines.nonorthogonal.localisation_only import LocalisationOnly
from baselines.nonorthogonal.max_gain import MaxGain
from baselines.nonorthogonal.random import RandomPhases
from baselines.nonorthogonal.references import Fold, Hold, Oracle, Widen
from baselines.nonorthogonal.td_isac import TimeDivision
from baselines.registry import register, register_bound

register("cross_entropy", "nonorthogonal", CrossEntropy)
register("coordinate_descent", "nonorthogonal", CoordinateDescent)
register("localisation_only", "nonorthogonal", LocalisationOnly)
register("td_isac", "nonorthogonal", TimeDivision)
register("align", "nonorthogonal", Align)
register("max_gain", "nonorthogonal", MaxGain)
register("exhaustive", "nonorthogonal", ExhaustiveSearch)
register("gradient", "nonorthogonal", GradientPhases)
register("random", "nonorthogonal", RandomPhases)
register("hold", "nonorthogonal", Hold)
register("fold", "nonorthogonal", Fold)
register("widen", "nonorthogonal", Widen)
register("oracle", "nonorthogonal", Oracle)
register_bound("nonorthogonal", joint_bound)
