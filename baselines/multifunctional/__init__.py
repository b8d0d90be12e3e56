"""Policies and bound of the system `multifunctional` (arXiv 2412.01251)."""

from __future__ import annotations

from baselines.multifunctional.ao import AlternatingOptimisation, RandomCoefficients
from baselines.registry import register

register("ao", "multifunctional", AlternatingOptimisation)
register("random", "multifunctional", RandomCoefficients)
