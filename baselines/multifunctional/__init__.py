"""Policies and bound of the system `multifunctional` (arXiv 2412.01251)."""

from __future__ import annotations

from baselines.multifunctional.ao import AlternatingOptimisation, RandomCoefficients
from baselines.multifunctional.ascent import AscentAfterAlternation, JointAscent, gradient
from baselines.multifunctional.bound import joint_bound
from baselines.multifunctional.exhaustive import ExhaustiveSearch
from baselines.multifunctional.sdr import SemidefiniteRelaxation
from baselines.registry import register, register_bound

register("ao", "multifunctional", AlternatingOptimisation)
register("sdr", "multifunctional", SemidefiniteRelaxation)
register("exhaustive", "multifunctional", ExhaustiveSearch)
register("random", "multifunctional", RandomCoefficients)
register("gradient", "multifunctional", gradient)
register("ascent", "multifunctional", JointAscent)
register("ao+ascent", "multifunctional", AscentAfterAlternation)
register_bound("multifunctional", joint_bound)
