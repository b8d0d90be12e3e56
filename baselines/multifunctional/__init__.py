"""Policies and bound of the system `multifunctional` (arXiv 2412.01251)."""
