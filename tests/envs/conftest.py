"""Parametrisation over the registry: `paper` is every registered paper, `combination` every valid (paper, keywords).

`discrete_paper` is every paper whose surface may have an alphabet (fixture `alphabet`: the fields for it), `refine_paper` every
one with the episode `refine`, `preset` every (paper, name of a preset), `local_preset` the same with every observation. Papers
with many kinds (`PAIRED`) have combinations that cover every pair of values.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import pytest

from ris_gym import registry
from ris_gym import variables as var

SMALL = {"num_antennas": 3, "num_elements": 4, "num_sensing_beams": 1, "angles_deg": (-30.0, 30.0)}
OWN: dict[str, dict[str, Any]] = {
    "active_crb": {"num_antennas": 6, "num_users": 2, "num_scatterers": 4},
    "multifunctional": {
        "num_antennas": 4, "num_elements_h": 2, "num_elements_v": 2, "num_sensors_h": 3, "num_sensors_v": 3,
        "num_users": (1, 1), "num_targets": (1, 1),
    },
    "nonorthogonal": {"surface_shape": (2, 2), "num_frames": 3},
    "vehicular": {"num_frames": 3, "num_users": 2, "num_cols": 4, "num_rows": 1},
    "anchor": {"num_elements": 4, "num_pilots": 4, "codeword_iterations": 5},
}  # fmt: skip
"""What a paper needs beside or instead of `SMALL`."""


def small(paper: registry.Paper) -> dict[str, Any]:
    """Fields that make the system of a paper small."""
    names = fields_of(paper)
    return {name: value for name, value in (SMALL | OWN.get(paper.name, {})).items() if name in names}


def fields_of(paper: registry.Paper) -> set[str]:
    """Names of the parameters of a paper's system."""
    return {field.name for field in dataclasses.fields(registry.load(paper.system))}


def sized(paper: registry.Paper, num_elements: int) -> dict[str, Any]:
    """Fields of a surface with that many elements (`anchor`: the next power of two)."""
    if paper.name == "anchor":
        return {"num_elements": 1 << (num_elements - 1).bit_length()}
    if "num_elements" in fields_of(paper):
        return {"num_elements": num_elements}
    if "surface_shape" in fields_of(paper):
        return {"surface_shape": (num_elements, 1)}
    if "num_cols" in fields_of(paper):
        return {"num_cols": num_elements, "num_rows": 1}
    return {"num_elements_h": num_elements, "num_elements_v": 1}


def lettered(paper: registry.Paper, bits: int) -> dict[str, Any]:
    """Fields that give every variable of the surface an alphabet."""
    return {"phase_bits": bits} | {"multifunctional": {"kind": "passive"}}.get(paper.name, {})


@pytest.fixture
def elements() -> Callable[[registry.Paper, int], dict[str, Any]]:
    return sized


@pytest.fixture
def fit() -> Callable[..., dict[str, Any]]:
    """`fit(paper, **keywords)`: the keywords without those that do not apply in the paper's episode."""
    return lambda paper, **keywords: fitting(registry.load(paper.system), keywords)


@pytest.fixture
def alphabet() -> Callable[[registry.Paper, int], dict[str, Any]]:
    return lettered


def fitting(system_class: Any, keywords: dict[str, Any]) -> dict[str, Any]:
    """The keywords without those that do not apply in their episode; a horizon becomes the field that sets its length."""
    episode = keywords.get("episode", system_class.episodes[0].name)
    form = next((form for form in system_class.episodes if form.name == episode), None)
    if form is None:
        return keywords
    length = {form.length: keywords["horizon"]} if form.length is not None and keywords.get("horizon", 1) > 1 else {}
    return length | {name: value for name, value in keywords.items() if name not in form.fixed}


VARIANTS: dict[str, tuple[dict[str, Any], ...]] = {
    "beampattern": ({"num_users": 2, "cancel_sensing": False}, {"num_sensing_beams": 0, "los_bs_ris": True}),
    "active_crb": (
        {"preset": "sensing_only"}, {"preset": "passive"}, {"kind": "passive", "sinr_threshold_db": (-20.0, -10.0)},
        {"preset": "surface_limited", "target_response_error": 0.3}, {"num_elements": 1, "num_users": 1},
    ),
}  # fmt: skip
"""Kinds of a paper's system; each meets every control, and in turn the episodes, observations and precisions."""


PAIRED: dict[str, dict[str, tuple[Any, ...]]] = {
    "multifunctional": {
        "surface": (
            {"protocol": "es"}, {"protocol": "ms"}, {"protocol": "ts"}, {"kind": "active"}, {"kind": "star"}, {"kind": "passive"},
            {"kind": "passive", "phase_bits": 2, "action": "discrete", "control": "surface"},
        ),
        "control": ("full", "structured", "surface"),
        "episode": ("refine", "one_shot", "fading"),
        "observation": ("csi", "local"),
        "csi_error": (0.0, 0.1),
        "dtype": ("complex64", "complex128"),
        "load": (
            {}, {"objective_form": "sum", "phase_bits": 1, "num_users": (2, 0), "num_sensing_beams": 0, "min_rate_bps_hz": 0.0},
            {"num_users": (0, 1), "num_targets": (1, 2), "num_sensors_h": 1, "num_sensors_v": 1},
        ),
    },
    "nonorthogonal": {
        "form": (
            {"episode": "refine", "action": "discrete"}, {"episode": "refine"}, {"episode": "one_shot", "action": "discrete"},
            {"episode": "one_shot", "phase_bits": None}, {"episode": "tracking", "num_blocks": 2, "action": "discrete"},
            {"episode": "tracking", "num_blocks": 2},
        ),
        "physics": (
            {}, {"model": "mixed", "fisher": "paper"}, {"model": "consistent", "num_blocks": 2},
            {"model": "literal", "fisher": "known"},
        ),
        "objective": ({}, {"objective_form": "constrained"}, {"design_symbols": "statistical", "symbol_variance": 0.5}),
        "control": ("full", "surface"),
        "observation": ("csi", "local"),
        "csi_error": (0.0, 0.1),
        "dtype": ("complex64", "complex128"),
    },
}  # fmt: skip
"""Values of a paper whose pairs are covered instead of all combinations; entries that are dictionaries are sets of keywords."""


def covering(values: dict[str, tuple[Any, ...]]) -> list[dict[str, Any]]:
    """Combinations that hold every pair of values of two names, greedily (the first one that holds most pairs not yet held)."""
    names = list(values)
    rows = list(itertools.product(*(range(len(values[name])) for name in names)))
    pairs = {row: set(itertools.combinations(enumerate(row), 2)) for row in rows}
    left, chosen = set().union(*pairs.values()), []
    while left:
        row = max(rows, key=lambda row: len(pairs[row] & left))
        left -= pairs[row]
        chosen.append({name: values[name][index] for name, index in zip(names, row, strict=True)})
    return chosen


def paired(paper: registry.Paper) -> Iterator[dict[str, Any]]:
    """The combinations of `PAIRED`, small and short. What a kind of surface fixes stays as it is."""
    for row in covering(PAIRED[paper.name]):
        keywords = {"action": "box"} | {name: value for name, value in row.items() if not isinstance(value, dict)}
        fields = small(paper)
        for chosen in (value for value in reversed(row.values()) if isinstance(value, dict)):
            fields |= chosen
        keywords |= {name: fields.pop(name) for name in ("action", "control") if name in fields}
        yield fitting(registry.load(paper.system), keywords | fields | {"horizon": 2})


def combinations(paper: registry.Paper) -> Iterator[dict[str, Any]]:
    """Every valid combination of episode, control, observation, action and CSI error, small and short, and the variants.

    Exact CSI is left out where derivatives come from torch (30 ms each): there the CSI error stands for both.
    """
    if paper.name in PAIRED:
        yield from paired(paper)
        return
    system_class = registry.load(paper.system)
    fields, names = small(paper), fields_of(paper)
    errors = (0.0, 0.1) if system_class.csi_errors else (0.0,)
    for episode, control, observation, action, csi_error in itertools.product(
        system_class.episodes, system_class.controls, system_class.observations, ("box", "discrete"), errors
    ):
        alphabet = {"phase_bits": 2} if action == "discrete" and "phase_bits" in names else {}
        if action == "discrete" and not var.discrete(system_class(**fields, **alphabet).variables(control)):
            continue
        exact = "csi_error" in episode.fixed or not system_class.csi_errors
        if csi_error and exact:
            continue
        if csi_error == 0.0 and not exact and observation == "local" and control != system_class.controls[0]:
            continue
        keywords = fields | alphabet | {
            "episode": episode.name, "control": control, "observation": observation, "action": action,
            "csi_error": csi_error, "horizon": 2,
        }  # fmt: skip
        yield fitting(system_class, keywords)
    for i, variant in enumerate(VARIANTS.get(paper.name, ())):
        for j, control in enumerate(system_class.controls):
            yield fields | variant | {
                "episode": system_class.episodes[(i + j) % len(system_class.episodes)].name, "control": control,
                "observation": ("local", "csi")[(i + j) % 2], "action": "box", "csi_error": errors[(i + j) % len(errors)],
                "dtype": ("complex128", "complex64")[i % 2], "horizon": 2,
            }  # fmt: skip


def _costly(name: str, keywords: dict[str, Any]) -> bool:
    """Where derivatives may come from torch (30 ms each), the vector check is made in `refine` with CSI error only.

    Of a paper with covered pairs only for discrete actions.
    """
    system_class = next(registry.load(paper.system) for paper in registry.PAPERS.values() if paper.id == name)
    torch = keywords["observation"] == "local" and keywords["control"] != system_class.controls[0]
    errors = 0.1 * system_class.csi_errors
    first = keywords["episode"] == system_class.episodes[0].name and keywords.get("csi_error", errors) == errors
    paired = any(registry.PAPERS[paper].id == name for paper in PAIRED)
    return torch and not (first and (keywords["action"] == "discrete" or not paired))


def _name(paper_id: str, keywords: dict[str, Any]) -> str:
    """The varied keywords of a combination; sizes are left out."""
    known = SMALL | OWN.get(next(paper.name for paper in registry.PAPERS.values() if paper.id == paper_id), {})
    shown = {name: value for name, value in keywords.items() if name != "horizon" and known.get(name) != value}
    first = [str(shown.pop(name, "")) for name in ("episode", "control", "observation", "action", "csi_error")]
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
    if "refine_paper" in metafunc.fixturenames:
        refine = [paper for paper in papers if any(e.kind == "refine" for e in registry.load(paper.system).episodes)]
        metafunc.parametrize("refine_paper", refine, ids=[paper.name for paper in refine])
    if "local_preset" in metafunc.fixturenames:
        presets = [
            (paper, preset, observation)
            for paper in papers
            for preset in registry.load(paper.system).presets
            for observation in registry.load(paper.system).observations
        ]
        metafunc.parametrize("local_preset", presets, ids=[f"{p.name}-{preset}-{seen}" for p, preset, seen in presets])
    if "preset" in metafunc.fixturenames:
        presets = [(paper, preset) for paper in papers for preset in registry.load(paper.system).presets]
        metafunc.parametrize("preset", presets, ids=[f"{paper.name}-{preset}" for paper, preset in presets])
    if "episode" in metafunc.fixturenames:
        cases = [(paper, episode) for paper in papers for episode in registry.load(paper.system).episodes]
        metafunc.parametrize("episode", cases, ids=[f"{paper.name}-{episode.name}" for paper, episode in cases])


@pytest.fixture
def make() -> Iterator[Any]:
    """`make(paper, num_envs=None, **keywords)`: a small environment, single without `num_envs`; closed at the end.

    Keywords that do not apply in the episode are left out.
    """
    made: list[Any] = []

    def build(paper: registry.Paper, num_envs: int | None = None, **keywords: Any) -> Any:
        keywords = fitting(registry.load(paper.system), small(paper) | keywords)
        if num_envs is None:
            made.append(gymnasium.make(paper.id, disable_env_checker=True, **keywords))
        else:
            made.append(gymnasium.make_vec(paper.id, num_envs=num_envs, **keywords))
        return made[-1]

    yield build
    for env in made:
        env.close()
