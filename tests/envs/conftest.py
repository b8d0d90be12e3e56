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


VARIANTS: dict[str, tuple[dict[str, Any], ...]] = {
    "beampattern": ({"num_users": 2, "cancel_sensing": False}, {"num_sensing_beams": 0, "los_bs_ris": True}),
    "active_crb": (
        {"preset": "sensing_only"}, {"preset": "passive"}, {"kind": "passive", "sinr_threshold_db": (-20.0, -10.0)},
        {"preset": "surface_limited", "target_response_error": 0.3}, {"num_elements": 1, "num_users": 1},
    ),
}  # fmt: skip
"""Kinds of a paper's system; each meets every control, and in turn the episodes, observations and precisions."""


def combinations(paper: registry.Paper) -> Iterator[dict[str, Any]]:
    """Every valid combination of episode, control, observation, action and CSI error, small and short, and the variants.

    Exact CSI is left out where derivatives come from torch (30 ms each): there the CSI error stands for both.
    """
    system_class = registry.load(paper.system)
    fields, names = small(paper), fields_of(paper)
    errors = (0.0, 0.1) if system_class.csi_errors else (0.0,)
    for episode, control, observation, action, csi_error in itertools.product(
        system_class.episodes, system_class.controls, system_class.observations, ("box", "discrete"), errors
    ):
        alphabet = {"phase_bits": 2} if action == "discrete" and "phase_bits" in names else {}
        if action == "discrete" and not var.discrete(system_class(**fields, **alphabet).variables(control)):
            continue
        if csi_error == 0.0 and system_class.csi_errors and observation == "local" and control != system_class.controls[0]:
            continue
        yield fields | alphabet | {
            "episode": episode.name, "control": control, "observation": observation, "action": action,
            "csi_error": csi_error, "horizon": 2,
        }  # fmt: skip
    for i, variant in enumerate(VARIANTS.get(paper.name, ())):
        for j, control in enumerate(system_class.controls):
            yield fields | variant | {
                "episode": system_class.episodes[(i + j) % len(system_class.episodes)].name, "control": control,
                "observation": ("local", "csi")[(i + j) % 2], "action": "box", "csi_error": errors[(i + j) % len(errors)],
                "dtype": ("complex128", "complex64")[i % 2], "horizon": 2,
            }  # fmt: skip


def _costly(name: str, keywords: dict[str, Any]) -> bool:
    """Where derivatives may come from torch (30 ms each), the vector check is made in `refine` with CSI error only."""
    system_class = next(registry.load(paper.system) for paper in registry.PAPERS.values() if paper.id == name)
    torch = keywords["observation"] == "local" and keywords["control"] != system_class.controls[0]
    first = keywords["episode"] == system_class.episodes[0].name and keywords["csi_error"] == 0.1 * system_class.csi_errors
    return torch and not first


def _name(paper_id: str, keywords: dict[str, Any]) -> str:
    """The varied keywords of a combination; sizes are left out."""
    shown = {name: value for name, value in keywords.items() if name not in SMALL and name not in ("horizon", "num_scatterers")}
    first = [str(shown.pop(name)) for name in ("episode", "control", "observation", "action", "csi_error")]
    return "-".join([paper_id.partition("/")[2], *first, *(f"{name}={value}" for name, value in shown.items())])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    papers = list(registry.PAPERS.values())
    if wanted := {"combination", "vector_combination"} & set(metafunc.fixturenames):
        cases = [(paper.id, keywords) for paper in papers for keywords in combinations(paper)]
        if "vector_combination" in wanted:
            cases = [case for case in cases if not _costly(*case)]
        metafunc.parametrize(wanted.pop(), cases, ids=[_name(*case) for case in cases])
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
