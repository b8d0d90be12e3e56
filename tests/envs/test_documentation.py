"""The class docstring is the documentation page: it names every keyword, feature, action and info entry."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from ris_gym import registry
from ris_gym.envs.config import NAMES

SECTIONS = (
    "Description", "Action Space", "Observation Space", "Rewards", "Starting State", "Episode End", "Arguments", "References",
    "Version History",
)  # fmt: skip


@pytest.fixture
def page(paper: Any) -> str:
    return registry.load(paper.env).__doc__


def ours(paper: Any) -> bool:
    return paper.env.startswith("ris_gym.")


def test_sections_in_order(paper: Any, page: str) -> None:
    found = [line.strip()[3:] for line in page.splitlines() if line.strip().startswith("## ")]
    assert found == list(SECTIONS) or not ours(paper)


def test_names_everything(make: Any, paper: Any, page: str) -> None:
    if not ours(paper):
        return
    system_class = registry.load(paper.system)
    wanted = [*NAMES, "render_mode", "preset", *(field.name for field in dataclasses.fields(system_class)), *system_class.presets]
    for control in system_class.controls:
        wanted += [control, *(variable.name for variable in system_class().variables(control))]
    for episode in system_class.episodes:
        env = make(paper, episode=episode.name, observation=system_class.observations[-1])
        env.reset(seed=0)
        info = env.step(env.action_space.sample())[-1]
        wanted += [episode.name, *env.unwrapped.observation_layout, *info, *info["margins"]]
    missing = [name for name in dict.fromkeys(wanted) if f"`{name}`" not in page]
    assert not missing
