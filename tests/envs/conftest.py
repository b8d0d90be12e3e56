"""Parametrisation over the registry: `paper` is every registered paper, `combination` every valid (paper, keywords).

`discrete_paper` is every paper whose surface may have an alphabet, `preset` every (paper, name of a preset).
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

import gymnasium
import pytest

from ris_gym import registry
from ris_gym import variables as var

SMALL = {"num_antennas": 3, "num_elements": 4, "num_sensing_beams": 1, "angles_deg": (-30.0, 30.0)}
OWN: dict[str, dict[str, Any]] = {"active_crb": {"num_antennas": 6, "num_users": 2, "num_scatterers": 4}}
"""What a paper needs beside or instead of `SMALL`."""


def small(paper: registry.Paper) -> dict[str, Any]:
    """Fields that make the system of a paper small."""
    names = fields_of(paper)
    return {name: value for name, value in (SMALL | OWN.get(paper.name, {})).items() if name in names}


def fields_of(paper: registry.Paper) -> set[str]:
    """Names of the parameters of a paper's system."""
    return {field.name for field in dataclasses.fields(registry.load(paper.system))}


def combinations(paper: registry.Paper) -> Iterator[dict[str, Any]]:
    """Every valid combination of episode, control, observation, action and CSI error, small and short."""
    system_class = registry.load(paper.system)
    fields, names = small(paper), fields_of(paper)
    errors = (0.0, 0.1) if system_class.csi_errors else (0.0,)
    for episode, control, observation, action, csi_error in itertools.product(
        system_class.episodes, system_class.controls, system_class.observations, ("box", "discrete"), errors
    ):
        alphabet = {"phase_bits": 2} if action == "discrete" and "phase_bits" in names else {}
        if action == "discrete" and not var.discrete(system_class(**fields, **alphabet).variables(control)):
            continue
        yield fields | alphabet | {
            "episode": episode.name, "control": control, "observation": observation, "action": action,
            "csi_error": csi_error, "horizon": 2,
        }  # fmt: skip


def _costly(name: str, keywords: dict[str, Any]) -> bool:
    """Where derivatives may come from torch (30 ms each), the vector check is made in `refine` with CSI error only."""
    system_class = next(registry.load(paper.system) for paper in registry.PAPERS.values() if paper.id == name)
    torch = keywords["observation"] == "local" and keywords["control"] != system_class.controls[0]
    first = keywords["episode"] == system_class.episodes[0].name and keywords["csi_error"] == 0.1 * system_class.csi_errors
    return torch and not first


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    papers = list(registry.PAPERS.values())
    if wanted := {"combination", "vector_combination"} & set(metafunc.fixturenames):
        cases = [(paper.id, keywords) for paper in papers for keywords in combinations(paper)]
        if "vector_combination" in wanted:
            cases = [case for case in cases if not _costly(*case)]
        parts = ("episode", "control", "observation", "action", "csi_error")
        names = ["-".join([case_id.partition("/")[2], *(str(keywords[part]) for part in parts)]) for case_id, keywords in cases]
        metafunc.parametrize(wanted.pop(), cases, ids=names)
    if "paper" in metafunc.fixturenames:
        metafunc.parametrize("paper", papers, ids=[paper.name for paper in papers])
    if "discrete_paper" in metafunc.fixturenames:
        discrete = [paper for paper in papers if "phase_bits" in fields_of(paper)]
        metafunc.parametrize("discrete_paper", discrete, ids=[paper.name for paper in discrete])
    if "preset" in metafunc.fixturenames:
        presets = [(paper, preset) for paper in papers for preset in registry.load(paper.system).presets]
        metafunc.parametrize("preset", presets, ids=[f"{paper.name}-{preset}" for paper, preset in presets])
    if "episode" in metafunc.fixturenames:
        cases = [(paper, episode) for paper in papers for episode in registry.load(paper.system).episodes]
        metafunc.parametrize("episode", cases, ids=[f"{paper.name}-{episode.name}" for paper, episode in cases])


@pytest.fixture
def make() -> Iterator[Any]:
    """`make(paper, num_envs=None, **keywords)`: a small environment, single without `num_envs`; closed at the end."""
    made: list[Any] = []

    def build(paper: registry.Paper, num_envs: int | None = None, **keywords: Any) -> Any:
        keywords = small(paper) | keywords
        if num_envs is None:
            made.append(gymnasium.make(paper.id, disable_env_checker=True, **keywords))
        else:
            made.append(gymnasium.make_vec(paper.id, num_envs=num_envs, **keywords))
        return made[-1]

    yield build
    for env in made:
        env.close()
