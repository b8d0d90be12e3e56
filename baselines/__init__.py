"""The papers' algorithms and ours, as policies: `make("ao", system).solve(system.known(scene), rng)`."""

from baselines.policy import Bound, Policy, Solution
from baselines.registry import bound, make, names, register, register_bound

__all__ = ["Bound", "Policy", "Solution", "bound", "make", "names", "register", "register_bound"]
