"""Unfolded ascent: a fixed number of prox-linear steps whose lengths, metric, momentum and dual weights a small network sets."""
