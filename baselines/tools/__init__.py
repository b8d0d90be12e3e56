"""Optimisation tools shared by the baselines; plain numpy arrays in and out, leading batch axis everywhere."""
