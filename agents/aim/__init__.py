"""Agents of sequential systems that learn where to aim; a baseline makes the design there."""
