"""Small scenes shared by the tests of the baselines."""

from __future__ import annotations

import numpy as np
import pytest

from ris_gym import systems


@pytest.fixture(scope="session")
def default():
    """The default system and 24 scenes."""
    system = systems.make("beampattern")
    return system, system.sample(np.random.default_rng(11), batch=24)


@pytest.fixture(scope="session")
def small():
    """A small system (M = 4, N = 8) with a threshold that is hard for some scenes, and 6 scenes."""
    system = systems.make("beampattern", num_antennas=4, num_elements=8, sinr_threshold_db=18.0)
    return system, system.sample(np.random.default_rng(5), batch=6)
