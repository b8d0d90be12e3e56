"""Protocols with pilots (`localisation_only`, `td_isac`) and the references of `tracking`."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

import baselines
import ris_gym  # noqa: F401
from ris_gym import systems


def by_hand(system, scene, pilot, data, pilots):
    """CRLB_angle of `pilots` known pilots, symbol bound and I of the other slots, from the page's formulas: (B, n) each."""
    m, at = system.num_user_antennas, np.ndindex(*pilot.shape[:2])
    out = np.zeros((3, *pilot.shape[:2]))
    for b, n in at:
        k = scene.reference["direction"][b, n]
        gamma, phi = np.arcsin(k[2]), np.arctan2(k[1], k[0])
        d = np.pi * np.array(
            [[-np.sin(gamma) * np.sin(phi), np.cos(gamma) * np.cos(phi)], [np.cos(gamma), 0.0]]
        )
        comm, sense = scene.reference["products"][b, n, :, 0], scene.reference["products"][b, n, :, 1]
        a = 2.0 * abs(scene.gain_bs_ris[b, n] * scene.gain_ris_user[b, n]) ** 2 * system.power_w * system.num_antennas
        a, a_comm = a / system.noise_w, a / system.noise_w
        q = pilot[b, n] * sense
        centre = (np.array(system.user_shape) - 1.0) / 2.0
        r = np.zeros(2)
        if system.model == "two_user":
            a_comm = a * abs(scene.gain_ris_comm[b, n] / scene.gain_ris_user[b, n]) ** 2
        else:
            r = centre * q.sum() - system.element_index.T @ q
        spread = m * np.diag((np.array(system.user_shape) ** 2 - 1.0) / 12.0)
        fisher = pilots * (abs(q.sum()) ** 2 * spread + m * np.outer(r.conj(), r).real)
        inverse = np.linalg.inv(d)
        out[0, b, n] = 0.5 * np.trace(inverse @ np.linalg.inv(fisher) @ inverse.T) / a
        factor, share = (2.0, 1.0) if system.fisher == "complex" else (1.0, 0.5)
        out[1, b, n] = factor / (a_comm * m * abs(np.sum(data[b, n] * comm)) ** 2)
        rest = (system.num_slots - pilots) / system.num_slots
        out[2, b, n] = rest * share * np.log2(system.symbol_variance / out[1, b, n])
    return out


@pytest.mark.parametrize("slots", [1, 4, 10])
@pytest.mark.parametrize(
    "fields", [{"num_blocks": 2}, {"model": "consistent", "fisher": "paper", "symbol_variance": 0.4, "snr_db": 5.0}]
)
def test_time_division_is_judged_by_its_protocol(fields, slots):
    system = systems.make("nonorthogonal", num_slots=slots, **fields)
    scene = system.sample(np.random.default_rng(1), 3)
    pilots = max(1, slots // 5)
    one = baselines.make("td_isac", system)
    solution = one.solve(scene, np.random.default_rng(0))
    xi = solution.design.coefficients
    expected = by_hand(system, scene, xi, xi, pilots).mean(axis=2)
    for answer in (solution, solution.design):
        got = one.evaluate_as(scene, answer)
        for name, value in zip(("crlb_angle", "crlb_symbol", "mutual_information"), expected, strict=True):
            np.testing.assert_allclose(got[name], value, rtol=1e-10, atol=1e-12)

    split = baselines.make("td_isac", system, split=True)
    both = split.solve(scene, np.random.default_rng(0))
    pilot = system.alphabet.double[both.memory["pilot_index"]]
    expected = by_hand(system, scene, pilot, both.design.coefficients, pilots).mean(axis=2)
    got = split.evaluate_as(scene, both)
    for name, value in zip(("crlb_angle", "crlb_symbol", "mutual_information"), expected, strict=True):
        np.testing.assert_allclose(got[name], value, rtol=1e-10, atol=1e-12)
    whole = one.evaluate_as(scene, solution)
    assert np.log10(got["crlb_angle"]).mean() < np.log10(whole["crlb_angle"]).mean() + 0.02
    assert np.log10(got["crlb_symbol"]).mean() < np.log10(whole["crlb_symbol"]).mean() + 0.02
    with pytest.raises(ValueError, match="pilot_index"):
        split.evaluate_as(scene, both.design)


def test_localisation_only_has_the_smaller_angle_bound():
    system = systems.make("nonorthogonal", "theorem1", num_slots=5)
    scene = system.sample(np.random.default_rng(1), 8)
    policy = baselines.make("localisation_only", system)
    solution = policy.solve(scene, np.random.default_rng(0))
    got = policy.evaluate_as(scene, solution)
    xi = solution.design.coefficients
    np.testing.assert_allclose(got["crlb_angle"], by_hand(system, scene, xi, xi, 5)[0].mean(axis=1), rtol=1e-10)
    assert (got["mutual_information"] == 0.0).all() and (got["crlb_symbol"] == 1.0).all()
    shared = baselines.make("cross_entropy", system).solve(scene, np.random.default_rng(0))
    assert got["crlb_angle"].mean() < np.asarray(system.evaluate(scene, shared.design).crlb_angle).mean()


@pytest.fixture(scope="module")
def tracking():
    system = systems.make("nonorthogonal", "tracking", surface_shape=(4, 4))
    return system, system.sample_tracking(np.random.default_rng(3), 6)


def test_references_carry_their_design_and_rank(tracking):
    system, scene = tracking
    known = system.known(scene)
    mean = {}
    for name in ("hold", "widen", "oracle"):
        policy = baselines.make(name, system)
        assert policy.sequential
        given = scene if policy.privileged else known
        first = policy.solve(given, np.random.default_rng(0))
        assert set(first.memory) == {"index"}
        np.testing.assert_allclose(system.alphabet.double[first.memory["index"]], first.design.coefficients, atol=1e-12)
        # the last design is among the starts: asked again about the same scenes, no answer gets worse
        again = policy.solve(given, np.random.default_rng(0), first.memory)
        check = [np.asarray(system.evaluate(given, s.design).objective) for s in (again, first)]
        assert (check[0] <= check[1] + 1e-9).all()
        mean[name] = np.asarray(system.evaluate(scene, first.design).objective).mean()
        with pytest.raises(ValueError, match="index"):
            policy.solve(given, np.random.default_rng(0), {"index": first.memory["index"][:, :1]})
        with pytest.raises(ValueError, match="index"):
            policy.solve(given, np.random.default_rng(0), {"raw": first.memory["index"]})
    assert mean["oracle"] < min(mean["hold"], mean["widen"])


def test_widen_minimises_the_mean_over_the_belief(tracking):
    from ris_gym.systems.nonorthogonal.tracking import at_positions

    system, scene = tracking
    known = system.known(scene)
    rng = np.random.default_rng(7)
    root = np.linalg.cholesky(known.belief_cov[:, :2, :2])
    points = [known.belief_mean[:, :2] + (root @ rng.standard_normal((6, 2, 1)))[..., 0] for _ in range(200)]
    at_mean = at_positions(system, known, known.belief_mean[:, :2])
    for key, value in known.reference.items():
        np.testing.assert_allclose(at_mean.reference[key], value, rtol=1e-9)
    mean = {}
    for name, options in (("hold", {}), ("widen", {"num_draws": 60})):
        design = baselines.make(name, system, **options).solve(known, np.random.default_rng(0)).design
        values = [system.evaluate(at_positions(system, known, p), design).objective for p in points]
        mean[name] = np.mean(values, axis=0)
    assert mean["widen"].mean() < mean["hold"].mean()


def test_references_drive_the_tracking_environment():
    fields = {"surface_shape": (3, 3), "num_frames": 4, "dtype": "complex128"}
    returns = {}
    for name in ("hold", "random"):
        env = gym.make("ris_gym/NonOrthogonal-v0", episode="tracking", **fields)
        model = baselines.make(name, env.unwrapped.core.system).bind(env)
        total = 0.0
        for seed in range(4):
            observation, _ = env.reset(seed=seed)
            state, done = None, False
            while not done:
                action, state = model.predict(observation, state=state)
                observation, reward, terminated, truncated, _ = env.step(action)
                total, done = total + reward, terminated or truncated
            assert truncated and (name == "random" or set(state) == {"index"})
        returns[name] = total
    assert returns["hold"] > returns["random"] + 1.0


def test_fold_mirrors_the_prediction_into_the_room(tracking):
    """Inside it is `hold`; outside it holds the beam where a user would be after the reflection."""
    from ris_gym.systems.nonorthogonal.tracking import at_positions, folded

    system, scene = tracking
    angle, far = np.deg2rad(np.linspace(-70.0, 70.0, len(scene))), np.linspace(5.0, 22.0, len(scene))
    mean = np.array(scene.belief_mean)
    mean[:, :2] = far[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    known = system.known(scene.replace(belief_mean=mean))
    inside = (np.abs(angle) <= np.pi / 3) & (far >= 6.0) & (far <= 20.0)
    mirrored = folded(system, mean[:, :2])
    np.testing.assert_allclose(mirrored[inside], mean[inside, :2])
    size, turned = np.hypot(*mirrored.T), np.arctan2(mirrored[:, 1], mirrored[:, 0])
    np.testing.assert_allclose(size, np.where(far > 20.0, 40.0 - far, np.where(far < 6.0, 12.0 - far, far)))
    limit = np.pi / 3
    np.testing.assert_allclose(turned, np.where(np.abs(angle) > limit, np.sign(angle) * 2.0 * limit - angle, angle))
    there = at_positions(system, known, mirrored)
    found = baselines.make("fold", system).solve(known, np.random.default_rng(0))
    hold = baselines.make("hold", system).solve(known, np.random.default_rng(0))
    np.testing.assert_allclose(found.objective, system.evaluate(known, found.design).objective)
    same = np.all(found.design.coefficients == hold.design.coefficients, axis=(1, 2))
    assert same[inside].all() and not same[~inside].all()
    better = [np.asarray(system.evaluate(there, s.design).objective)[~inside].mean() for s in (found, hold)]
    assert better[0] < better[1]
