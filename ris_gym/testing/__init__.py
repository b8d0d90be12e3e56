"""Checks for users who write an environment, a system or an algorithm of their own. All raise AssertionError, none warns."""

from ris_gym.testing.systems import check_gradient, check_monotone, check_projection
from ris_gym.testing.vector import check_vector_env

__all__ = ["check_gradient", "check_monotone", "check_projection", "check_vector_env"]
