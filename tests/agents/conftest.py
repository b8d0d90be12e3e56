"""A small system and scenes for the tests of `agents`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ris_gym


@pytest.fixture(scope="session")
def system() -> Any:
    return ris_gym.systems.make("beampattern", num_antennas=4, num_elements=8, num_sensing_beams=1, sinr_threshold_db=5.0)


@pytest.fixture(scope="session")
def scene(system: Any) -> Any:
    return system.sample(np.random.default_rng(5), batch=6)
