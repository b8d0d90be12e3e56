"""The bounds of `nonorthogonal`: crossed by no design of small surfaces, near the best where they must be, proven in any case."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import baselines
from baselines.nonorthogonal import bound as bound_module
from baselines.nonorthogonal.block_forms import BlockForms, certificate
from baselines.nonorthogonal.bound import METHODS, joint_bound, walk
from baselines.nonorthogonal.cells import largest_product
from baselines.nonorthogonal.lifted import cone_projection, hull_projection, raise_bound, tangent
from ris_gym import systems
from ris_gym.systems.base import FEASIBLE_MARGIN
from ris_gym.systems.nonorthogonal import physics
from ris_gym.systems.nonorthogonal.parameters import FISHERS, MODELS

CASES = [(model, fisher) for model in MODELS for fisher in FISHERS]


def make(**fields):
    return systems.make("nonorthogonal", **fields)


def everything(system, scene):
    """V, mutual information and angle bound of every design of a block, (B, n, C): element 0 at phase 0."""
    points = np.exp(2j * np.pi * np.arange(system.phase_levels) / system.phase_levels)
    rest = np.array(list(itertools.product(points, repeat=system.num_elements - 1)))
    xi = np.concatenate([np.ones((len(rest), 1)), rest], axis=1)
    found = system.values(scene, xi @ scene.reference["products"])
    bits = physics.information(system, np, scene, found, system.level(scene))
    return physics.objective(system, np, found), bits, found.crlb_angle


def methods_for(system):
    return [m for m in METHODS if m != "cells" or system.two_user or system.fisher == "complex"]


@pytest.mark.parametrize(("model", "fisher"), CASES)
@pytest.mark.parametrize("fields", [{"surface_shape": (2, 2)}, {"surface_shape": (3, 2), "phase_bits": 1, "num_blocks": 2}])
def test_the_best_of_all_designs_is_above_the_bound(model, fisher, fields):
    system = make(model=model, fisher=fisher, weight=0.4, **fields)
    scene = system.sample(np.random.default_rng(3), 6)
    best = everything(system, scene)[0].min(axis=2).mean(axis=1)
    closed = joint_bound(system, scene, "closed").value
    for method in [None, *methods_for(system)]:
        bound = joint_bound(system, scene, method)
        assert (bound.status == "certified").all() and bound.scope == "scene"
        assert (bound.value <= best).all() and (bound.value >= closed).all()
        assert (best - bound.value < 0.65).all()


@pytest.mark.parametrize(("model", "fisher"), CASES)
def test_the_best_feasible_information_is_below_the_bound(model, fisher):
    system = make(model=model, fisher=fisher, surface_shape=(2, 3), objective_form="constrained", angle_bound_factor=1.3)
    scene = system.sample(np.random.default_rng(4), 6)
    _, bits, angle = everything(system, scene)
    met = 10.0 * np.log10(scene.reference["angle_limit"][..., None] / angle) >= FEASIBLE_MARGIN
    best = np.where(met, bits, -np.inf).max(axis=2).mean(axis=1)
    closed, tight = joint_bound(system, scene, "closed").value, joint_bound(system, scene).value
    assert (best <= tight).all() and (tight <= closed).all()
    if model in ("two_user", "mixed"):  # two directions: the angle bound costs information
        assert tight.mean() < closed.mean() - 0.05


def test_cells_find_the_optimum_of_two_users():
    for bits, shape in ((1, (3, 2)), (2, (3, 2)), (3, (2, 2))):
        system = make(surface_shape=shape, phase_bits=bits)
        scene = system.sample(np.random.default_rng(5), 30)
        gap = everything(system, scene)[0].min(axis=2).mean(axis=1) - joint_bound(system, scene).value
        assert (gap >= 0).all() and gap.mean() < 1e-3 and gap.max() < 0.03
        blocks = BlockForms.of(system, scene)
        largest, met = largest_product(blocks)  # of |g|^zeta: designs met on the way are real ones
        assert (met <= largest).all() and (largest - met).mean() < 1e-3


def test_gaps_to_coordinate_descent():
    cases = (("theorem1", (3, 3), 0.06, 0.12), ("theorem1", (4, 4), 0.006, 0.02), ("paper", (4, 4), 0.08, 0.15))
    for preset, shape, mean, most in cases:
        system = make(preset=preset, surface_shape=shape)
        scene = system.sample(np.random.default_rng(6), 10)
        policy = baselines.make("coordinate_descent", system, num_starts=16)
        solution = policy.solve(system.known(scene), np.random.default_rng(0))
        gap = np.asarray(system.evaluate(scene, solution.design).objective) - baselines.bound(system, scene).value
        assert (gap >= 0).all() and gap.mean() < mean and gap.max() < most


def test_one_user_with_complex_symbols_is_nearly_closed_form():
    system = make(model="consistent")
    scene = system.sample(np.random.default_rng(7), 10)
    policy = baselines.make("coordinate_descent", system, num_starts=16)
    solution = policy.solve(system.known(scene), np.random.default_rng(0))
    gap = np.asarray(system.evaluate(scene, solution.design).objective) - joint_bound(system, scene, "closed").value
    assert (gap >= 0).all() and gap.max() < 0.003


@pytest.mark.parametrize("preset", ["physical", "theorem1", "paper"])
@pytest.mark.parametrize("bits", [None, 1, 2, 3])
def test_random_designs_stay_on_their_side(preset, bits):
    for form in ("weighted", "constrained"):
        system = make(preset=preset, phase_bits=bits, objective_form=form, surface_shape=(3, 3), num_blocks=1)
        rng = np.random.default_rng(8)
        scene = system.sample(rng, 20, dtype="complex64" if bits == 2 else "complex128")
        bound = joint_bound(system, scene)
        for _ in range(100):
            metrics = system.evaluate(scene, system.decode(scene, rng.uniform(-1.0, 1.0, (20, 9)).astype(np.float32)))
            ahead = system.sense * (np.asarray(metrics.objective) - bound.value)
            assert (ahead[np.asarray(metrics.feasible)] <= 0).all()


@pytest.mark.parametrize("fisher", ["paper", "known"])
@pytest.mark.parametrize("bits", [1, 2, None])
def test_a_certificate_holds_for_any_dual_point(fisher, bits):
    """Perturbed, scaled or random: the number stays a bound of what designs reach (here: of random ones and the aligned one)."""
    system = make(model="mixed", fisher=fisher, surface_shape=(2, 2), phase_bits=bits)
    rng = np.random.default_rng(9)
    scene = system.sample(rng, 5)
    blocks = BlockForms.of(system, scene)
    if bits is None:
        xi = np.exp(2j * np.pi * rng.random((5, 1, 4000, 4)))
        found = system.values(scene, xi @ scene.reference["products"])
        best = physics.objective(system, np, found).min(axis=2)[:, 0]
    else:
        best = everything(system, scene)[0].min(axis=2)[:, 0]
    x = np.repeat(np.eye(4, dtype=complex)[None], 5, axis=0)
    w, p = tangent(blocks, x)
    for size in (0.0, 1e-3, 1e-1, 1.0, 30.0):
        noise = rng.standard_normal((5, 4, 4, 2)) @ [1.0, 1j]
        skew = p * (1.0 + size * rng.standard_normal(p.shape))
        value = certificate(blocks, w * np.exp(size * rng.standard_normal(5)), skew, size * noise / 16.0)
        assert (value <= best).all() and (np.isfinite(value).any() or size > 1)
    assert (raise_bound(blocks, 40) <= raise_bound(blocks, 400, 1e-9) + 1e-12).all()


def test_a_failing_relaxation_leaves_the_closed_form(monkeypatch):
    system = make(preset="theorem1", surface_shape=(2, 2))
    scene = system.sample(np.random.default_rng(2), 3)
    for broken in (lambda blocks: np.full(len(blocks), np.nan), lambda blocks: np.linalg.inv(np.zeros((2, 2)))):
        monkeypatch.setattr(bound_module, "raise_bound", broken)
        found = joint_bound(system, scene)
        assert np.array_equal(found.value, joint_bound(system, scene, "closed").value) and (found.status == "certified").all()


def test_weights_at_their_ends_are_exact():
    for weight in (0.0, 1.0):
        for fisher in ("complex", "known"):
            system = make(surface_shape=(2, 2), weight=weight, fisher=fisher)
            scene = system.sample(np.random.default_rng(1), 4)
            best = everything(system, scene)[0].min(axis=2)[:, 0]
            for method in METHODS:
                gap = best - joint_bound(system, scene, method).value
                assert (gap >= 0).all() and (gap < 1e-7).all()
    system = make(preset="theorem1", surface_shape=(2, 2), weight=0.0)
    scene = system.sample(np.random.default_rng(1), 4)
    assert (joint_bound(system, scene).value <= everything(system, scene)[0].min(axis=2)[:, 0]).all()


def test_scenes_do_not_depend_on_their_batch():
    for fields in ({}, {"preset": "theorem1"}, {"objective_form": "constrained"}):
        system = make(surface_shape=(3, 3), **fields)
        scene = system.sample(np.random.default_rng(13), 70)
        whole, part = joint_bound(system, scene).value, joint_bound(system, scene[np.arange(62, 66)]).value
        assert np.allclose(whole[62:66], part, rtol=0.0, atol=1e-10)


def test_truth_and_realised_symbols_are_used():
    system = make(preset="theorem1", design_symbols="statistical", surface_shape=(2, 2))
    scene = system.sample(np.random.default_rng(3), 5, csi_error=0.3)
    plain = make(preset="theorem1", surface_shape=(2, 2))
    assert np.array_equal(joint_bound(system, scene).value, joint_bound(plain, scene).value)


def test_a_path_is_the_same_for_all_designs_and_its_bound_holds():
    fields = {"preset": "tracking", "surface_shape": (3, 3), "num_frames": 5}
    for model, fisher in (("two_user", "complex"), ("consistent", "paper"), ("mixed", "known")):
        system, rng = make(model=model, fisher=fisher, **fields), np.random.default_rng(10)
        scene = system.sample_tracking(rng, 12)
        path = walk(system, scene)
        assert len(path) == 5
        bound, loose = joint_bound(system, scene), joint_bound(system, scene, "closed")
        assert (bound.status == "certified").all() and (loose.value <= bound.value).all()
        for cheat in (False, True):
            now, total = scene, np.zeros(12)
            for frame in path:
                for name in ("spatial_frequency", "gain_ris_user", "symbols"):
                    assert np.array_equal(getattr(now, name), getattr(frame, name))
                if cheat:  # the best of many designs at the true position
                    tries = [system.decode(now, rng.uniform(-1.0, 1.0, (12, 18))) for _ in range(60)] + [
                        system.decode(now, system.start(now))
                    ]
                    values = np.array([np.asarray(system.evaluate(now, d).objective) for d in tries])
                    total += values.min(axis=0)
                    design = tries[0]
                else:
                    design = system.decode(now, rng.uniform(-1.0, 1.0, (12, 18)))
                    total += np.asarray(system.evaluate(now, design).objective)
                now = system.advance(now, design, rng, 0.0, 0.0)
            assert (bound.value <= total / 5).all()


def test_projections_are_nearest_points():
    rng = np.random.default_rng(12)
    x = rng.standard_normal((6, 5, 5, 2)) @ [1.0, 1j]
    x = x + np.conj(np.swapaxes(x, 1, 2))
    for levels in (2, 4, 8):
        y = hull_projection(x, levels)
        points = np.exp(2j * np.pi * np.arange(levels) / levels)
        away = x - y
        inner = np.real(np.conj(away)[..., None] * (points - y[..., None]))  # obtuse to every corner: nearest
        off = ~np.eye(5, dtype=bool)
        assert (inner[:, off] <= 1e-12).all() and np.array_equal(np.diagonal(y, axis1=1, axis2=2), np.ones((6, 5)))
    y = cone_projection(x)
    assert np.linalg.eigvalsh(y).min() > -1e-12 and np.linalg.eigvalsh(x - y).max() < 1e-12


def test_arguments():
    system = make(preset="theorem1", surface_shape=(2, 2))
    scene = system.sample(np.random.default_rng(0), 1)
    with pytest.raises(ValueError, match="method must be one of"):
        joint_bound(system, scene, "lp")
    with pytest.raises(ValueError, match="'cells' needs"):
        joint_bound(system, scene, "cells")
    for fields in ({"user_shape": (1, 4)}, {"surface_shape": (1, 1)}):
        odd = make(preset="theorem1", **{"surface_shape": (2, 2), **fields})
        part = odd.sample(np.random.default_rng(0), 3)
        best = everything(odd, part)[0].min(axis=2)[:, 0]
        for method in ("sdp", "closed"):
            found = joint_bound(odd, part, method)
            assert (found.status == "certified").all() and (found.value <= best).all()
