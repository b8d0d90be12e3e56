"""Policies and bound of `anchor`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.integrate import simpson

import baselines
from agents.rollouts import rollout
from baselines.anchor import bound, greedy
from ris_gym import systems
from ris_gym.systems.anchor import Anchor, AnchorDesign, physics


def with_posterior(system: Any, weight: np.ndarray) -> Any:
    """What is known, had the posterior these weights (B, G)."""
    scene = system.known(system.sample(np.random.default_rng(0), len(weight)))
    logs = np.log(np.maximum(weight, 1e-300))
    return scene.replace(log_posterior=logs - logs.max(axis=1, keepdims=True))


def chosen(policy: Any, known: Any, seed: int = 0) -> np.ndarray:
    return np.asarray(policy.solve(known, np.random.default_rng(seed)).design.codeword)


def hits(system: Any, name: str, count: int, seed: int = 5, **options: Any) -> Any:
    scene = system.sample(np.random.default_rng(seed), count)
    return rollout(system, baselines.make(name, system, **options), scene, np.random.default_rng(0), 0.0)


def test_names() -> None:
    names = baselines.names("anchor")
    assert names[0] == "posterior_matching" and set(names) == {
        "posterior_matching", "information_greedy", "thompson", "exhaustive", "descent", "random",
    }  # fmt: skip
    with pytest.raises(ValueError, match="name must be one of"):
        baselines.make("gradient", Anchor())
    for options in ({"stop_mass": 1.5}, {"stop_mass": -1.0}):
        with pytest.raises(ValueError, match="stop_mass must be in"):
            baselines.make("thompson", Anchor(), **options)


# -- policies ------------------------------------------------------------------------------------------------------------------


def walked(mass: np.ndarray) -> int:
    """Posterior matching by the page's words, one scene."""
    count, low, high, parent, level = len(mass), 0, len(mass), None, 0
    while True:
        middle = (low + high) // 2
        halves = [(mass[low:middle].sum(), low, middle), (mass[middle:high].sum(), middle, high)]
        level += 1
        held, left, right = max(halves, key=lambda half: half[0])
        index = 2**level - 2 + left // (count >> level)
        if held < 0.5:
            if parent is not None and abs(parent[1] - 0.5) < abs(held - 0.5):
                return int(parent[0])
            return int(index)
        if right - left == 1:
            return int(index)
        parent, low, high = (index, held), left, right


def test_posterior_matching_walks_as_the_page_says() -> None:
    system = Anchor(num_elements=16)
    rng = np.random.default_rng(0)
    weight = rng.gamma(0.05, size=(300, 64)) ** np.linspace(0.3, 3.0, 300)[:, None]
    weight[0], weight[1] = 1.0, np.eye(64)[37]
    known = with_posterior(system, weight)
    found = chosen(baselines.make("posterior_matching", system), known)
    assert found.tolist() == [walked(mass) for mass in system.masses(known)]
    assert found[0] in (0, 1) and found[1] == 14 + 37 // 4 and len(set(found.tolist())) > 20


def test_descent_and_peak_find_a_loud_device() -> None:
    loud = {"num_elements": 16, "element_snr_db": 20.0, "allow_stop": True, "wide_codewords": "phase"}
    for name, needed, options in (
        ("descent", 8, {"repeats": 1}), ("descent", 16, {"repeats": 2}), ("exhaustive", 16, {"decision": "peak"}),
    ):  # fmt: skip
        found = hits(Anchor(num_pilots=needed + 1, **loud), name, 200, stop_mass=1.0, **options)
        assert np.all(found.physical["pilots"] == needed) and found.objective.mean() > 0.75, name
    system = Anchor(num_pilots=16, **(loud | {"allow_stop": False}))
    policy = baselines.make("descent", system)
    assert policy.repeats == 1
    scene = system.sample(np.random.default_rng(1), 3)
    for t in range(9):
        design = policy.solve(system.known(scene), np.random.default_rng(0)).design
        if t % 2 == 0 and t < 8:
            left = design.codeword.copy()
        elif t < 8:
            assert np.array_equal(design.codeword, left + 1) and np.all(design.decision == -1)
            louder = np.where(scene.power[:, t - 1] < physics.measured(system, scene, left + 1, np.full(3, t)), left + 1, left)
        scene = system.step(scene, design, np.random.default_rng(0))[1]
    assert np.array_equal(design.decision, louder - 14) and np.array_equal(design.codeword, louder)
    with pytest.raises(ValueError, match="decision must be one of"):
        baselines.make("exhaustive", system, decision="loudest")
    with pytest.raises(ValueError, match="num_pilots of at least 64, got 24"):
        baselines.make("exhaustive", Anchor(), decision="peak")
    with pytest.raises(ValueError, match="repeats must be"):
        baselines.make("descent", system, repeats=0)


def test_thompson_draws_from_the_posterior_and_random_from_all_beams() -> None:
    system = Anchor(num_elements=8)
    known = with_posterior(system, np.tile(np.repeat([0.1, 0.4, 0.0, 0.0, 0.3, 0.2, 0.0, 0.0], 4), (3000, 1)))
    for name, wanted in (("thompson", system.masses(known)[0]), ("random", np.full(8, 0.125))):
        found = np.bincount(chosen(baselines.make(name, system), known) - 6, minlength=8) / 3000
        assert np.all(np.abs(found - wanted) < 4.0 * np.sqrt(wanted / 3000)), name
        part = chosen(baselines.make(name, system), known[:50])
        assert np.array_equal(part, chosen(baselines.make(name, system), known)[:50]), "independent of the batch"
    assert np.array_equal(chosen(baselines.make("exhaustive", system), known.replace(frame=known.frame + 11))[:2], [9, 9])


def test_information_of_a_codeword_by_numerical_integration() -> None:
    system = Anchor(num_elements=8, element_snr_db=-5.0, oversample=2)
    weight = np.random.default_rng(0).dirichlet(np.full(16, 0.5), 2)
    found = greedy.information(system, weight)
    received = physics.tables(system, False).root ** 2
    largest = system.element_snr * 64
    cuts = np.concatenate([[0.0], np.geomspace(0.05, max(50.0, 3.0 * largest), 23)])
    fine = np.linspace(0.0, 150.0, 30001)
    for w in (0, 4, 11):
        each = density(fine, received[w])
        rows = np.stack([simpson(density(z, received[w]), z) for z in map(steps, cuts[:-1], cuts[1:])], axis=1)
        rows = np.concatenate([rows, np.maximum(1.0 - rows.sum(axis=1, keepdims=True), 1e-15)], axis=1)
        for b, p in enumerate(weight):
            binned = p @ np.sum(rows * np.log2(np.maximum(rows, 1e-300) / (p @ rows)), axis=1)
            assert found[b, w] == pytest.approx(binned, abs=1e-6)
            whole = p @ simpson(each * np.log2(np.maximum(each, 1e-300) / np.maximum(p @ each, 1e-300)), fine)
            assert 0.93 * whole < found[b, w] < whole, "bins lose a little"
    known = with_posterior(system, weight)
    assert np.array_equal(chosen(baselines.make("information_greedy", system), known), np.argmax(found, axis=1))


def density(z: np.ndarray, s: np.ndarray) -> np.ndarray:
    """p(z | S), (S, z)."""
    return np.asarray(np.exp(-z - s[:, None]) * np.i0(2.0 * np.sqrt(z * s[:, None])))


def steps(low: float, high: float) -> np.ndarray:
    return np.linspace(low, high, 401)


# -- whole episodes ------------------------------------------------------------------------------------------------------------


def test_who_finds_the_beam() -> None:
    """Adaptive codewords against a scan, in the same worlds; the hit rate is that of the last pilot, the cost that of all."""
    system = Anchor(num_pilots=24)
    found = {name: hits(system, name, 150) for name in ("posterior_matching", "information_greedy", "thompson", "exhaustive")}
    rate = {name: result.objective.mean() for name, result in found.items()}
    assert rate["information_greedy"] > rate["posterior_matching"] > rate["thompson"] > rate["exhaustive"] > 0.2
    for result in found.values():
        assert set(result.objective) <= {0.0, 1.0} and np.all(result.physical["pilots"] == 24)
        assert np.allclose(24 * result.score, result.objective - 0.48)


def surprise(system: Anchor, name: str, direction: np.ndarray) -> tuple[float, float]:
    """Brier score of the final beam masses minus what they expect it to be, mean and standard error: 0 if calibrated."""
    scene = system.sample(np.random.default_rng(9), len(direction)).replace(direction=direction)
    last = rollout(system, baselines.make(name, system), scene, np.random.default_rng(0), 0.0).last
    mass = system.masses(system.step(last[0], last[1], np.random.default_rng(0))[1])
    truth = np.eye(system.num_elements)[system.beam(direction)]
    excess = np.sum((mass - truth) ** 2, axis=1) - (1.0 - np.sum(mass**2, axis=1))
    return float(excess.mean()), float(excess.std() / np.sqrt(len(excess)))


@pytest.mark.parametrize("name", ["posterior_matching", "information_greedy"])
def test_the_posterior_of_adaptive_codewords_is_calibrated_on_its_points(name: str) -> None:
    drawn = np.random.default_rng(9).integers(256, size=400)
    mean, error = surprise(Anchor(), name, Anchor().grid[drawn])
    assert abs(mean) < 4.0 * error < 0.03


def test_the_stopping_rule_saves_pilots() -> None:
    system = systems.make("anchor", preset="stop", element_snr_db=-18.0)
    stops, goes = (hits(system, "posterior_matching", 150, stop_mass=mass) for mass in (0.95, 1.0))
    assert stops.physical["pilots"].mean() < 25 and np.all(goes.physical["pilots"] == 48)
    assert stops.objective.mean() > 0.85 and stops.score.sum() > goes.score.sum()
    assert np.allclose(48 * stops.score, stops.objective - 0.02 * stops.physical["pilots"])


def test_bound() -> None:
    for snr_db, bits in ((-26.0, 0.92), (-22.0, 1.34), (-18.0, 1.83)):
        assert bound.capacity(10.0 ** (snr_db / 10.0) * 64**2) == pytest.approx(bits, abs=0.01)
    system = Anchor(num_pilots=2, element_snr_db=-26.0)
    found = baselines.bound(system, system.sample(np.random.default_rng(0), 4))
    assert found.scope == "mean" and found.status == "certified"
    assert found.value == pytest.approx((2 * bound.capacity(system.element_snr * 4096) + 1) / 6)
    assert baselines.bound(Anchor(), None).value == 1.0
    assert hits(system, "information_greedy", 150).objective.mean() < found.value


def test_decision_of_no_scenes() -> None:
    system = Anchor(num_elements=8)
    for name in baselines.names(system):
        known = system.known(system.sample(np.random.default_rng(0), 0))
        solution = baselines.make(name, system).solve(known, np.random.default_rng(0))
        assert isinstance(solution.design, AnchorDesign) and len(solution.objective) == 0
