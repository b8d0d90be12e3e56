"""Policies and bound of the system `nonorthogonal` (arXiv 2208.05324)."""
