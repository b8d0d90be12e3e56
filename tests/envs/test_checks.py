"""The checks shipped to users pass on every system and find what is wrong."""

from __future__ import annotations

import doctest
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest

from ris_gym import registry, testing


@pytest.fixture
def small(elements: Any) -> Any:
    return lambda paper, **fields: registry.load(paper.system)(**(elements(paper, 6) | fields))


def test_projection(small: Any, paper: Any) -> None:
    testing.check_projection(small(paper))
    if hasattr(registry.load(paper.system), "phase_bits"):
        testing.check_projection(small(paper, phase_bits=2))


def continuous(paper: Any) -> dict[str, Any]:
    """Fields without an alphabet (behind which derivatives are not those of the rounded design)."""
    return {"phase_bits": None} if hasattr(registry.load(paper.system), "phase_bits") else {}


def test_gradient(small: Any, paper: Any) -> None:
    testing.check_gradient(small(paper, **continuous(paper)))


def test_projection_finds_faults(small: Any, paper: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    system_class = registry.load(paper.system)
    project = system_class.project
    monkeypatch.setattr(system_class, "project", lambda self, scene, design: design.map(lambda array: 0.5 * array))
    with pytest.raises(AssertionError, match="project"):
        testing.check_projection(small(paper))
    monkeypatch.setattr(system_class, "project", project)
    monkeypatch.setattr(system_class, "encode", lambda self, known, design, control: np.zeros((8, 0)))
    with pytest.raises((AssertionError, ValueError)):
        testing.check_projection(small(paper))


def test_gradient_finds_faults(small: Any, paper: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    system_class = registry.load(paper.system)
    if "local" not in system_class.observations:  # no derivatives
        return
    jacobian = system_class.pieces_jacobian

    def wrong(self: Any, known: Any, raw: Any, control: str = "full") -> Any:
        score, slack, derivative = jacobian(self, known, raw, control)
        return score, slack, 1.001 * derivative

    monkeypatch.setattr(system_class, "pieces_jacobian", wrong)
    with pytest.raises(AssertionError, match="derivative of piece"):
        testing.check_gradient(small(paper, **continuous(paper)))


def solution(history: Any, **changes: Any) -> Any:
    values = {"history": np.asarray(history, float), "objective": np.zeros(2), "status": np.array(["optimal", "stopped"])}
    return SimpleNamespace(**(values | changes))


def test_monotone() -> None:
    testing.check_monotone(solution([[0, 1], [0, 2], [3, 2]]))
    testing.check_monotone(solution([[3, 2], [3, 1]]), sense=-1)
    for bad, match in (
        (solution([[0, 1], [0, 0.5]]), "worse by 5.000e-01 after iteration 0 in scene 1"),
        (solution([[0, np.nan]]), "nan"),
        (solution([0, 1]), "shape"),
        (solution([[0, 1]], status=np.array(["good", "bad"])), "status"),
        (solution([[0, 1]], objective=np.array([np.inf, 0])), "objective"),
    ):
        with pytest.raises(AssertionError, match=match):
            testing.check_monotone(bad)


# -- faulty vector environments -----------------------------------------------------------------------------------------------


def faulty(vector_class: Any, fault: str) -> Any:
    """A subclass with one fault."""

    class Faulty(vector_class):
        def __init__(self, *args: Any, **keywords: Any) -> None:
            super().__init__(*args, **keywords)
            if fault == "metadata":
                self.metadata = {**self.metadata, "autoreset_mode": "NextStep"}
            if fault == "space":
                self.observation_space = self.single_observation_space
            self.buffer = None

        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            seed = None if fault == "seed" else seed
            if fault == "options" and options:
                options.pop("reset_mask")
            if fault == "reset_mask":
                options = None
            return super().reset(seed=seed, options=options)

        def step(self, actions: Any) -> Any:
            observation, reward, terminated, truncated, infos = super().step(actions)
            if fault == "buffer":
                self.buffer = observation if self.buffer is None else self.buffer
                self.buffer[...] = observation
                observation = self.buffer
            if fault == "dtype":
                reward = reward.astype(np.float32)
            if fault == "flags":
                terminated, truncated = truncated, terminated
            if fault == "end":
                terminated = np.zeros_like(terminated)
            if fault == "mask":
                infos.pop("_objective", None)
            if fault == "key":
                infos["extra"], infos["_extra"] = np.zeros(self.num_envs), np.ones(self.num_envs, bool)
            if fault == "info_dtype" and "cost" in infos:
                infos["cost"] = infos["cost"].astype(np.float32)
            if fault == "final" and "final_obs" in infos:
                infos["final_obs"] = np.stack([np.zeros(self.single_observation_space.shape)] * self.num_envs)
            if fault == "reward":
                reward = reward * (1.0 + 1e-12)
            if fault == "space_left":
                observation = observation + np.float32(30.0)
            return observation, reward, terminated, truncated, infos

    return Faulty


@pytest.mark.parametrize(
    "fault",
    ["metadata", "space", "seed", "options", "reset_mask", "buffer", "dtype", "flags", "end", "mask", "key", "info_dtype",
     "final", "reward", "space_left", None],
)  # fmt: skip
def test_vector_check_finds_faults(fit: Any, elements: Any, paper: Any, fault: str | None) -> None:
    make = faulty(registry.load(paper.vector_env), fault or "")

    def single(**keywords: Any) -> gymnasium.Env:
        return gymnasium.make(paper.id, disable_env_checker=True, **keywords)

    keywords = fit(paper, horizon=2) | elements(paper, 3)
    if fault is None:
        return testing.check_vector_env(make, single=single, **keywords)
    with pytest.raises(AssertionError) as error:
        testing.check_vector_env(make, single=single, **keywords)
    assert len(str(error.value)) > 15


def test_docstrings() -> None:
    import ris_gym.envs.active_crb
    import ris_gym.envs.anchor
    import ris_gym.envs.beampattern
    import ris_gym.envs.multifunctional
    import ris_gym.envs.nonorthogonal
    import ris_gym.envs.vehicular
    import ris_gym.testing.vector

    for module in (
        ris_gym.envs.active_crb, ris_gym.envs.beampattern, ris_gym.envs.multifunctional, ris_gym.envs.nonorthogonal,
        ris_gym.envs.anchor, ris_gym.envs.vehicular, ris_gym.testing.vector,
    ):  # fmt: skip
        result = doctest.testmod(module, raise_on_error=False)
        assert result.failed == 0 and result.attempted > 0, module.__name__
