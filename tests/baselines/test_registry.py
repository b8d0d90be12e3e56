"""Registries are generic: a toy system, a function as a policy, lazy imports."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import baselines
from baselines.policy import Bound, Solution
from ris_gym import variables as var
from ris_gym.arrays import Batch
from ris_gym.systems.base import Metrics, System


@dataclass(frozen=True, kw_only=True)
class ToyScene(Batch):
    goal: np.ndarray


@dataclass(frozen=True, kw_only=True)
class ToyDesign(Batch):
    phase: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Toy(System):
    """Maximise sum cos(phase - goal)."""

    name: ClassVar[str] = "toy_of_the_tests"
    scene: ClassVar[type] = ToyScene
    design: ClassVar[type] = ToyDesign
    controls: ClassVar[tuple[str, ...]] = ("full",)

    def sample(self, rng, batch=1, csi_error=0.0, dtype="complex128"):
        return ToyScene(goal=rng.uniform(-3, 3, (batch, 3)))

    def evaluate(self, scene, design):
        value = np.cos(design.phase - scene.goal).sum(1)
        return Metrics(objective=value, score=value, cost=0 * value, feasible=value > -9, margins={"all": value[:, None] + 9})

    def check_scene(self, arrays):
        return ToyScene(**arrays)

    def variables(self, control="full"):
        return (var.Variable("phase", (3,), "phase", "surface"),)

    def decode(self, known, raw, control="full"):
        return ToyDesign(phase=np.pi * raw)

    def encode(self, known, design, control="full"):
        return design.phase / np.pi

    def project(self, scene, design):
        return design

    def observe_scene(self, known):
        return {"goal": known.goal}

    def score_gradient(self, known, raw, control="full", penalty=None):
        angle = np.pi * raw - known.goal
        return np.cos(angle).sum(1), -np.pi * np.sin(angle)


class Exact:
    name = "exact"
    privileged = False

    def __init__(self, system, penalty=None):
        self.system = system

    def solve(self, known, rng):
        design = ToyDesign(phase=known.goal)
        value = self.system.evaluate(known, design).objective
        count = len(value)
        return Solution(
            design=design,
            objective=value,
            feasible=np.ones(count, bool),
            status=np.full(count, "optimal"),
            history=value[None],
            seconds=0.0,
        )

    def bind(self, env):
        return None


@pytest.fixture
def toy():
    from baselines import registry

    system = Toy()
    baselines.register("exact", system, Exact)
    yield system
    registry._POLICIES.pop(system.name, None)
    registry._BOUNDS.pop(system.name, None)


def test_a_new_system_is_served(toy):
    assert baselines.names(toy) == ["exact", "prox_linear", "gradient", "random"]
    scene = toy.sample(np.random.default_rng(0), batch=20)
    exact = baselines.make("exact", toy).solve(scene, np.random.default_rng(0))
    assert isinstance(baselines.make("exact", toy), baselines.Policy)
    np.testing.assert_allclose(exact.objective, 3.0)
    gradient = baselines.make("gradient", toy, steps=60).solve(scene, np.random.default_rng(0))
    rand = baselines.make("random", toy).solve(scene, np.random.default_rng(1))
    assert gradient.objective.mean() > 2.8 > rand.objective.mean()
    assert (np.diff(gradient.history, axis=0) >= 0).all()
    assert gradient.history.shape == (61, 20)


def test_register_refuses_a_taken_name(toy):
    baselines.register("exact", toy, Exact)  # the same factory again is fine
    with pytest.raises(ValueError, match="registered already"):
        baselines.register("exact", toy, lambda **options: None)
    with pytest.raises(ValueError, match="factory"):
        baselines.register("other", toy, None)
    with pytest.raises(ValueError, match="name"):
        baselines.register("", toy, Exact)
    with pytest.raises(ValueError, match="system"):
        baselines.names(3)


def test_bounds(toy):
    with pytest.raises(ValueError, match="bound"):
        baselines.bound(toy, None)
    baselines.register_bound(toy, lambda system, scene: Bound(value=np.full(2, 3.0), status=np.full(2, "certified")))
    assert baselines.bound(toy, None).scope == "scene"


def test_importing_and_making_imports_no_solver_and_no_torch():
    code = (
        "import sys, baselines; from ris_gym import systems; s = systems.make('beampattern');"
        "[baselines.make(n, s) for n in baselines.names(s)];"
        "assert not {'torch', 'cvxpy', 'stable_baselines3'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
