"""The unfolded network, its policy and its learner."""

from __future__ import annotations

import dataclasses

import gymnasium
import numpy as np
import pytest
import torch

import agents
import baselines
import ris_gym
from agents import TrainConfig, train
from agents.callbacks import Budget
from agents.hyperparameters import EnvSettings, Hyperparameters, UnfoldedSettings
from agents.learners import Setup, build
from agents.unfolded.network import UnfoldedNetwork, _Dual, value
from agents.unfolded.policy import UnfoldedAgent
from ris_gym.systems.ascent import prox_linear

SMALL = UnfoldedSettings(layers=4, hidden=8, width=4, knots=3, rounds=2, batch=8)


def make(**fields):
    return ris_gym.systems.make("beampattern", **({"num_elements": 8, "num_antennas": 4} | fields))


def scenes(system, batch=6, seed=0, **options):
    return system.sample(np.random.default_rng(seed), batch=batch, **options)


def random_network(**settings):
    torch.manual_seed(0)
    network = UnfoldedNetwork(**({"layers": 5, "hidden": 8, "width": 4} | settings))
    for weight in network.parameters():
        weight.data += 0.1 * torch.randn_like(weight)
    return network


def setup(system, settings=SMALL, env=None, steps=10**6):
    hyper = Hyperparameters(unfolded=settings, env=env or EnvSettings())
    return Setup(
        system=system, hyper=hyper, seed=0, budget=Budget(None, steps), scenes=None, penalty=system.default_penalty
    )


def test_value_is_the_penalised_score():
    system = make(num_users=2, sinr_threshold_db=8.0, user_radius_m=5.0)
    known = system.known(scenes(system))
    raw = np.random.default_rng(1).uniform(-1, 1, (6, 8 + 2 * 4 * 4))
    metrics = system.evaluate(known, system.decode(known, raw))
    score, slack = (torch.as_tensor(part) for part in system.pieces(metrics))
    assert np.allclose(value(score, slack, 1.7).numpy(), system.penalised(metrics, 1.7), atol=1e-12)


def test_dual_reaches_the_prox_linear_step():
    rng = np.random.default_rng(2)
    score, slack = rng.normal(size=(7, 5)), rng.normal(size=(7, 2))
    jacobian = rng.normal(size=(7, 7, 20))
    expected = prox_linear(score, slack, jacobian, 2.0, np.array([0.05]), 5000)[:, 0]
    pieces, j = torch.as_tensor(np.concatenate([score, slack], 1)), torch.as_tensor(jacobian) * 0.05**0.5
    dual = _Dual(torch.zeros(7, 5, dtype=torch.float64), torch.zeros(7, 2, dtype=torch.float64), 2.0)
    weights = dual.descend(pieces, j @ j.mT, torch.full((7,), 4.0, dtype=torch.float64), 1500)
    step = (weights[:, None] @ j)[:, 0].numpy() * 0.05**0.5
    assert np.abs(step - expected).max() < 1e-3 * np.abs(expected).max()


@pytest.mark.parametrize("settings", [{}, {"width": 0}, {"width": 0, "context": False}, {"knots": 1}])
def test_best_iterate_is_never_below_the_start_and_is_what_it_says(settings):
    system = make()
    known = system.known(scenes(system))
    network = random_network(**settings)
    with torch.no_grad():
        landscape = system.landscape(known)
        ascent = network(landscape)
        assert ascent.values.shape == (6, 6)
        assert torch.equal(ascent.values[0], value(*landscape.pieces(landscape.start()), 2.0))
        found = value(*landscape.pieces(ascent.best), 2.0)
    assert torch.allclose(found, ascent.values.max(dim=0).values, atol=1e-5)


def test_order_of_the_elements_does_not_matter():
    system = make()
    known = system.known(scenes(system))
    order = np.random.default_rng(3).permutation(8)
    network = random_network()
    with torch.no_grad():
        plain, shuffled = system.landscape(known), system.landscape(known)
        both = np.concatenate([order, 8 + order])
        shuffled.bs_ris = plain.bs_ris[:, both]
        shuffled.paths = tuple(part[:, order] for part in plain.paths)
        start = plain.start()
        mixed = torch.cat([start[:, order], start[:, 8:]], dim=1)
        first, second = network(plain, start).last, network(shuffled, mixed).last
    assert torch.allclose(first[:, order], second[:, :8], atol=1e-4)
    assert torch.allclose(first[:, 8:], second[:, 8:], atol=1e-4)


@pytest.mark.parametrize(
    "fields",
    [
        {"num_elements": 13},
        {"num_antennas": 2, "num_sensing_beams": 0},
        {"preset": "sectors"},
        {"num_users": 3, "sinr_threshold_db": 8.0, "user_radius_m": 5.0, "cancel_sensing": False},
        {"phase_bits": 2},
        {"los_bs_ris": True},
    ],
)
def test_one_network_serves_every_size(fields):
    system = make(**fields)
    scene = scenes(system)
    agent = UnfoldedAgent(system, random_network())
    solution = agent.solve(system.known(scene), np.random.default_rng(0))
    design = solution.design
    assert np.allclose(np.abs(design.coefficients), 1.0, atol=1e-12)
    again = system.project(scene, design)
    assert all(np.allclose(a, b, atol=1e-12) for (_, a), (_, b) in zip(design.items(), again.items(), strict=True))
    assert solution.history.shape == (6, 6) and (np.diff(solution.history, axis=0) >= 0).all()
    assert np.isfinite(solution.objective).all()


def test_answers_depend_on_neither_batch_nor_chunk():
    system = make()
    known = system.known(scenes(system, 7))
    rng = np.random.default_rng(0)
    whole = UnfoldedAgent(system, random_network()).solve(known, rng)
    parts = UnfoldedAgent(system, random_network(), chunk=3).solve(known, rng)
    assert np.allclose(whole.objective, parts.objective, atol=1e-3)
    assert len(UnfoldedAgent(system, random_network()).solve(known[np.arange(0)], rng).objective) == 0


@pytest.mark.parametrize("env", [EnvSettings(), EnvSettings(csi_error=0.1), EnvSettings(control="structured")])
def test_training_raises_the_score(env):
    system = make()
    settings = dataclasses.replace(SMALL, batch=32, learning_rate=0.01, schedule_rate=0.05)
    learner = build("unfolded", setup(system, settings, env=env))
    learner.reseed(np.random.default_rng(0))
    scene = scenes(system, 64, seed=9, csi_error=env.csi_error or 0.0)

    def score():
        design = learner.agent.solve(system.known(scene), np.random.default_rng(0)).design
        return float(np.mean(system.penalised(system.evaluate(scene, design))))

    before = score()
    pauses = iter([True] * (6 if env.control else 15) + [False])
    learner.learn(lambda: next(pauses))
    assert score() > before + 0.01


def run(folder, name, steps, **changes):
    return train(
        TrainConfig(
            system=make(), algorithm="unfolded", unfolded=SMALL, minutes=None, steps=steps, folder=str(folder), name=name,
            validation_scenes=4, reference=None, progress=False, **changes,
        )
    )  # fmt: skip


def test_trained_agent_is_loaded_and_serves_other_systems(tmp_path, monkeypatch):
    monkeypatch.setattr("agents.pictures.agent_picture", lambda agent, scene: None)
    result = run(tmp_path, "a", 4 * 8 * 12)
    system = make()
    agent = agents.load(result.agent)
    known = system.known(scenes(system))
    first = agent.solve(known, np.random.default_rng(0))
    again = agents.load(result.folder, system=system, steps=4).solve(known, np.random.default_rng(1))
    assert np.array_equal(first.objective, again.objective)
    other = make(num_elements=20, num_users=2, sinr_threshold_db=8.0, user_radius_m=5.0)
    answer = agents.load(result.folder, system=other, steps=7).solve(other.known(scenes(other)), np.random.default_rng(0))
    assert answer.design.coefficients.shape == (6, 20) and len(answer.history) == 8
    with pytest.raises(ValueError, match="steps must be at least 1"):
        agents.load(result.folder, steps=0)
    table = agents.compare(system, {"random": "random", "mine": str(result.folder)}, scenes=scenes(system, 8), bound=False)
    assert table.row("mine")["score"] > table.row("random")["score"]


def test_two_runs_of_one_seed_are_equal_and_a_resumed_one_too(tmp_path, monkeypatch):
    monkeypatch.setattr("agents.pictures.agent_picture", lambda agent, scene: None)
    steps = 4 * 8 * 20
    first, second = run(tmp_path / "x", "a", steps), run(tmp_path / "y", "a", steps)
    class Stop(Exception):
        pass

    from agents.learners.unfolded import Unfolded

    update, count = Unfolded._update, [0]

    def breaking(self):
        count[0] += 1
        if count[0] == 12:
            raise Stop
        update(self)

    monkeypatch.setattr(Unfolded, "_update", breaking)
    with pytest.raises(Stop):
        run(tmp_path / "z", "a", steps)
    monkeypatch.setattr(Unfolded, "_update", update)
    third = run(tmp_path / "z", "a", steps)
    for other in (second, third):
        for file in ("weights.npz", "agent.json"):
            assert (first.agent / file).read_bytes() == (other.agent / file).read_bytes(), file


def test_drives_an_environment():
    system = make()
    env = gymnasium.make_vec(
        "ris_gym/Beampattern-v0", num_envs=3, num_elements=8, num_antennas=4, autoreset_mode="Disabled"
    )
    agent = UnfoldedAgent(system, random_network())
    driver = agent.bind(env)
    observation, _ = env.reset(seed=0)
    begun = env.unwrapped.metrics.score.copy()
    for _ in range(16):
        action, _ = driver.predict(observation)
        observation, *_ = env.step(action)
    solved = agent.solve(system.known(env.unwrapped.scene), np.random.default_rng(0))
    assert np.allclose(env.unwrapped.metrics.objective, solved.objective, atol=0.02)
    assert (env.unwrapped.metrics.score >= begun - 1e-3).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"layers": 0}, "unfolded.layers must be an integer of at least 1, got 0"),
        ({"width": -1}, "unfolded.width"),
        ({"learning_rate": 0.0}, "unfolded.learning_rate must be positive"),
        ({"penalty": -1.0}, "unfolded.penalty must be at least 0"),
        ({"context": False}, "unfolded.width must be 0 without context"),
    ],
)
def test_bad_settings_are_named(change, words):
    with pytest.raises(ValueError, match=words):
        UnfoldedSettings(**change)


def test_fading_is_refused():
    with pytest.raises(ValueError, match="env.episode must be"):
        build("unfolded", setup(make(), env=EnvSettings(episode="fading")))


def test_it_is_better_than_its_untrained_start_and_the_start_rule():
    system = make(num_elements=16)
    known = system.known(scenes(system, 32))
    untrained = UnfoldedAgent(system, UnfoldedNetwork(layers=16)).solve(known, np.random.default_rng(0))
    start = system.evaluate(known, system.decode(known, system.start(known)))
    gradient = baselines.make("gradient", system).solve(known, np.random.default_rng(0))
    assert untrained.history[-1].mean() > system.penalised(start, 2.0).mean() + 0.2
    assert untrained.objective.mean() > gradient.objective.mean()
