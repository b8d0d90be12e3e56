"""Searches over discrete phases: optima at small sizes, local optimality, the constrained form."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import baselines
from baselines.nonorthogonal.cross_entropy import draw
from ris_gym import systems
from ris_gym.systems.nonorthogonal import physics


def every(system):
    """All coefficients (C, L)."""
    return system.alphabet.double[np.array(list(itertools.product(range(system.phase_levels), repeat=system.num_elements)))]


@pytest.mark.parametrize("bits", [1, 2])
@pytest.mark.parametrize("model", ["two_user", "mixed"])
def test_max_gain_is_exact(model, bits):
    system = systems.make("nonorthogonal", model=model, surface_shape=(1, 5), phase_bits=bits, num_blocks=2)
    scene = system.sample(np.random.default_rng(2), 6)
    gains = np.abs(every(system)[None, None] @ scene.reference["products"]).max(axis=2)  # (B, n, P)
    for column, target in enumerate(("comm", "sense")):
        solution = baselines.make("max_gain", system, target=target).solve(scene, np.random.default_rng(0))
        found = np.abs(physics.moments(np, scene, solution.design.coefficients))
        np.testing.assert_allclose(found[..., column], gains[..., column], rtol=1e-12)


@pytest.mark.parametrize("form", ["weighted", "constrained"])
@pytest.mark.parametrize("model", ["two_user", "consistent", "mixed"])
def test_exhaustive_is_the_best_of_all(model, form):
    system = systems.make(
        "nonorthogonal", model=model, fisher="paper", objective_form=form, surface_shape=(2, 2), num_blocks=2, num_slots=3
    )
    scene = system.sample(np.random.default_rng(3), 3)
    designs = np.broadcast_to(every(system), (2, 256, 4)).swapaxes(0, 1)  # the same in both blocks
    solution = baselines.make("exhaustive", system).solve(scene, np.random.default_rng(0))
    assert solution.feasible.all() and (solution.status == "optimal").all()
    for i in range(3):
        many = scene[np.zeros(256, int) + i]
        found = system.values(many, physics.moments(np, many, designs))
        if form == "weighted":
            best = physics.objective(system, np, found).min(axis=0).mean()
        else:
            bits = physics.information(system, np, many, found, system.level(many))
            met = found.crlb_angle <= many.reference["angle_limit"]
            best = np.where(met, bits, -np.inf).max(axis=0).mean()
        assert solution.objective[i] == pytest.approx(best, abs=1e-10)


@pytest.mark.parametrize("preset", ["theorem1", "paper"])
def test_coordinate_descent_equals_exhaustive(preset):
    system = systems.make("nonorthogonal", preset, surface_shape=(3, 3), user_azimuth_deg=None)
    scene = system.sample(np.random.default_rng(9), 4)
    names = ("coordinate_descent", "exhaustive")
    ours, best = (baselines.make(name, system).solve(scene, np.random.default_rng(1)) for name in names)
    np.testing.assert_allclose(ours.objective, best.objective, atol=1e-10)


@pytest.mark.parametrize("fields", [{}, {"model": "mixed", "fisher": "paper"}, {"objective_form": "constrained"}])
def test_no_change_of_one_element_improves(fields):
    system = systems.make("nonorthogonal", num_blocks=2, **fields)
    scene = system.sample(np.random.default_rng(4), 3)
    solution = baselines.make("coordinate_descent", system, num_starts=8).solve(scene, np.random.default_rng(1))
    xi = solution.design.coefficients
    value = system.merit(scene, physics.moments(np, scene, xi))
    for l in range(system.num_elements):
        candidates = np.repeat(xi[:, :, None], system.phase_levels, axis=2)
        candidates[..., l] = system.alphabet.double
        moment = physics.moments(np, scene, candidates)
        worth = system.merit(scene, moment)
        if fields.get("objective_form"):
            limit = scene.reference["angle_limit"][..., None]
            worth = np.where(system.values(scene, moment).crlb_angle <= limit, worth, -np.inf)
        assert (worth <= value[..., None] + 1e-10).all()


def test_more_and_given_starts_do_not_harm():
    system = systems.make("nonorthogonal", "theorem1", surface_shape=(3, 3))
    scene = system.sample(np.random.default_rng(4), 6)
    policy = baselines.make("coordinate_descent", system, num_starts=1)
    best = baselines.make("exhaustive", system).solve(scene, np.random.default_rng(0))
    index = np.rint(np.angle(best.design.coefficients) * 2 / np.pi).astype(int) % 4
    warm = policy.solve(scene, np.random.default_rng(0), starts=index[:, None])
    np.testing.assert_allclose(warm.objective, best.objective, atol=1e-10)
    assert (policy.solve(scene, np.random.default_rng(0)).objective >= best.objective - 1e-10).all()
    for wrong in (index, index[:, None, :, :4], index[:, None] + 0.5, index[:, None] + 4):
        with pytest.raises(ValueError, match="starts"):
            policy.solve(scene, np.random.default_rng(0), starts=wrong)


@pytest.mark.parametrize("fisher", ["complex", "paper", "known"])
@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_constrained_form_is_met_and_close_to_the_optimum(fisher, factor):
    fields = {"model": "consistent", "fisher": fisher, "objective_form": "constrained", "angle_bound_factor": factor}
    system = systems.make("nonorthogonal", surface_shape=(2, 3), num_blocks=2, weight=0.9, **fields)
    scene = system.sample(np.random.default_rng(4), 6)
    names = ("coordinate_descent", "exhaustive")
    ours, best = (baselines.make(name, system).solve(scene, np.random.default_rng(1)) for name in names)
    assert ours.feasible.all() and ours.history_of == "score"
    assert (ours.objective <= best.objective + 1e-9).all()
    assert np.mean(best.objective - ours.objective) < 0.02


def test_cross_entropy_keeps_the_best_it_saw():
    system = systems.make("nonorthogonal", "paper", surface_shape=(3, 3), num_blocks=2, user_azimuth_deg=None)
    scene = system.sample(np.random.default_rng(6), 24)
    best = baselines.make("cross_entropy", system).solve(scene, np.random.default_rng(1))
    last = baselines.make("cross_entropy", system, elitist=False).solve(scene, np.random.default_rng(1))
    assert (best.objective <= last.objective + 1e-12).all() and (best.objective < last.objective - 1e-6).any()
    assert len(best.history) == len(last.history) < 200
    assert (np.diff(best.history, axis=0) <= 1e-12).all() and (np.diff(last.history, axis=0) <= 1e-12).all()
    wide = baselines.make("cross_entropy", system, num_candidates=450).solve(scene, np.random.default_rng(1))
    assert wide.objective.mean() < best.objective.mean()
    short = baselines.make("cross_entropy", system, max_rounds=1).solve(scene, np.random.default_rng(1))
    np.testing.assert_allclose(short.history[0], short.objective, atol=1e-12)
    assert baselines.make("cross_entropy", system).sizes == (45, 4)


def test_draws_follow_their_chances():
    chances = np.array([[[0.5, 0.0, 0.5, 0.0], [0.0, 0.0, 0.0, 1.0], [0.1, 0.2, 0.3, 0.4]]])
    numbers = np.random.default_rng(0).random((1, 20000, 3))
    numbers[0, 0] = 1.0 - 2.0**-53
    index = draw(chances, numbers)[0]
    counts = np.stack([(index == k).mean(axis=0) for k in range(4)], axis=-1)
    np.testing.assert_allclose(counts, chances[0], atol=0.02)
    assert (counts[chances[0] == 0.0] == 0.0).all()


def test_align_and_gradient_against_descent():
    system = systems.make("nonorthogonal")
    scene = system.sample(np.random.default_rng(8), 40)
    mean = {
        name: baselines.make(name, system).solve(scene, np.random.default_rng(1)).objective.mean()
        for name in ("coordinate_descent", "align", "gradient", "random")
    }
    assert 0.0 < mean["align"] - mean["coordinate_descent"] < 0.1
    assert 0.0 < mean["gradient"] - mean["coordinate_descent"] < 0.05
    assert mean["random"] - mean["coordinate_descent"] > 0.5
