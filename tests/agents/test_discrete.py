"""Agents with discrete actions: logits of indices, PPO over them, one raw number per step, and sequential agents."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3.common.distributions import MultiCategoricalDistribution

import agents
from agents import artefact
from agents.callbacks import Budget
from agents.discrete import Alphabets, IndexDistribution, Logits
from agents.features import FeatureMap, build_feature_map, variable_dicts
from agents.hyperparameters import EnvSettings, Hyperparameters, Network, PPOSettings
from agents.learners import Setup, build
from agents.networks import build_actor
from agents.policy import Agent, env_interface, interface_features, make_vector_env
from ris_gym import variables as var
from ris_gym.envs.beampattern import BeampatternEnv
from ris_gym.systems.beampattern import Beampattern

MIXED = (
    var.Variable("phase", (5,), "phase", "surface", n=4),
    var.Variable("side", (5,), "mode", "surface"),
    var.Variable("level", (5,), "level", "surface", grid=(-1.0, -0.2, 0.5)),
    var.Variable("which", (2,), "choice", "bs", n=3),
)
PHASES = (var.Variable("phase", (2, 3), "phase", "surface", n=8),)


def gathered(variables: var.Variables, action: str = "indices", blocks: int | None = None, **more: Any) -> FeatureMap:
    n = var.length(variables)
    shapes = {"raw": (n,), "direction": (n,), "log_norm": (1,), "alignment": (2, 3, variables[0].shape[-1]), "turn": (n,)} | more
    layout, start = {}, 0
    for name, shape in shapes.items():
        layout[name] = (start, start + int(np.prod(shape)), shape)
        start += int(np.prod(shape))
    return build_feature_map(variable_dicts(variables), layout, blocks=blocks, action=action)


def observed(features: FeatureMap, raw: np.ndarray, turn: np.ndarray | None = None) -> torch.Tensor:
    observation = np.random.default_rng(0).normal(size=(len(raw), features.observation_size)).astype(np.float32)
    observation[:, features.raw] = raw
    if turn is not None:
        observation[:, features.turn] = np.eye(raw.shape[1])[turn]
    return torch.as_tensor(observation)


def shaken(module: torch.nn.Module) -> torch.nn.Module:
    """Weights away from the first, almost zero ones."""
    torch.manual_seed(1)
    for weight in module.parameters():
        weight.data += 0.3 * torch.randn_like(weight)
    return module


# -- alphabets ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variables", [MIXED, PHASES])
def test_indices_are_those_of_the_variables(variables: var.Variables) -> None:
    alphabet = gathered(variables).alphabet
    assert alphabet is not None
    np.testing.assert_array_equal(alphabet.sizes, var.alphabet(variables))
    rng = np.random.default_rng(0)
    n = len(alphabet.sizes)
    letters = var.from_index(variables, rng.integers(alphabet.sizes, size=(20, n)))
    raw = np.concatenate([2.0 * rng.random((50, n)) - 1.0, np.repeat([[-1.0], [0.25], [1.0]], n, 1), letters]).astype(np.float32)
    expected = var.to_index(variables, raw)
    alphabets = Alphabets(alphabet)
    found = alphabets.index(torch.as_tensor(raw), None)
    np.testing.assert_array_equal(found, expected)
    entry = torch.as_tensor(rng.integers(raw.shape[1], size=len(raw)))
    one = torch.as_tensor(raw).gather(1, entry[:, None])
    assert torch.equal(alphabets.index(one, entry), found.gather(1, entry[:, None]))
    change = alphabets.change(torch.as_tensor(raw), None).numpy()
    steps = np.asarray(alphabet.values)[None] - raw[..., None]
    turned = np.sin(np.pi * steps) / np.pi
    np.testing.assert_allclose(change, np.where(alphabet.periodic[:, None], turned, steps), atol=1e-6)


def test_distribution_is_the_multi_categorical() -> None:
    """Unequal alphabets, against Stable-Baselines3; indices that there are not are never drawn."""
    features = gathered(MIXED)
    actor = shaken(build_actor({"kind": "token", "hidden": 8}, features))
    logits = actor(torch.randn(40, features.observation_size))
    sizes = var.alphabet(MIXED)
    ours = IndexDistribution(features).proba_distribution(logits)
    reference = MultiCategoricalDistribution(sizes.tolist())
    flat = torch.cat([logits[:, i, :size] for i, size in enumerate(sizes)], dim=1)
    reference.proba_distribution(flat)
    draws = torch.stack([ours.sample() for _ in range(20)])
    assert draws.shape == (20, 40, len(sizes)) and torch.all(draws < torch.as_tensor(sizes))
    torch.testing.assert_close(ours.log_prob(draws[0]), reference.log_prob(draws[0]))
    torch.testing.assert_close(ours.entropy(), reference.entropy())
    assert torch.equal(ours.mode(), reference.mode())
    loss = (ours.log_prob(draws[0]) + ours.entropy()).sum()
    assert all(torch.isfinite(g).all() for g in torch.autograd.grad(loss, list(actor.body.heads.parameters())))


# -- networks ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["token", "flat"])
@pytest.mark.parametrize("relative", [False, True])
def test_untrained_actor_keeps_what_there_is(kind: str, relative: bool) -> None:
    features = gathered(MIXED)
    raw = 2.0 * np.random.default_rng(0).random((30, 17)) - 1.0
    actor = build_actor({"kind": kind, "hidden": 8, "keep": 3.0, "relative": relative}, features)
    assert isinstance(actor, Logits)
    observation = observed(features, raw)
    np.testing.assert_array_equal(actor.decide(observation), var.to_index(MIXED, raw.astype(np.float32)))
    for found, keep in ((actor, 3.0), (build_actor({"kind": kind, "hidden": 8}, features), 0.0)):
        likeliest = torch.softmax(found(observation), dim=-1).amax(dim=-1).detach().numpy()
        expected = 1.0 / (1.0 + (var.alphabet(MIXED) - 1.0) * np.exp(-keep))
        np.testing.assert_allclose(likeliest, np.broadcast_to(expected, likeliest.shape), atol=0.05)


def test_relative_logits_turn_with_the_current_phase() -> None:
    features = gathered(PHASES, blocks=2)
    actor = shaken(build_actor({"kind": "token", "hidden": 8, "keep": 0.5, "relative": True}, features))
    rng = np.random.default_rng(0)
    index, turned = rng.integers(8, size=(9, 6)), rng.integers(8, size=(9, 6))
    first, second = (
        actor(observed(features, var.from_index(PHASES, i))).detach().numpy() for i in (index, (index + turned) % 8)
    )
    back = (np.arange(8) - turned[..., None]) % 8
    np.testing.assert_allclose(second, np.take_along_axis(first, back, axis=2), atol=1e-5)
    assert np.abs(first - second).max() > 0.1


@pytest.mark.parametrize("variables", [PHASES, (*MIXED[:1], var.Variable("which", (3,), "choice", "bs", n=4))])
@pytest.mark.parametrize("relative", [False, True])
def test_turns_answer_as_the_whole_vector_does(variables: var.Variables, relative: bool) -> None:
    """One entry's logits are those that the network with the same weights gives for it among all."""
    spec = {"kind": "token", "hidden": 8, "keep": 1.0, "relative": relative, "skip_init": {"direction": 0.7}}
    every, one = gathered(variables), gathered(variables, "turn")
    actor, turns = shaken(build_actor(spec, every)), build_actor(spec, one)
    turns.load_state_dict(actor.state_dict())
    rng = np.random.default_rng(0)
    n = var.length(variables)
    turn = rng.integers(n, size=40)
    observation = observed(one, 2.0 * rng.random((40, n)) - 1.0, turn)
    expected = actor(observation)[torch.arange(40), torch.as_tensor(turn)]
    torch.testing.assert_close(turns(observation)[:, 0], expected)
    assert torch.equal(turns.decide(observation), expected.argmax(dim=1))
    flat = build_actor({"kind": "flat", "hidden": 8}, one)
    assert flat(observation).shape == (40, 1, variables[0].n)


@pytest.mark.parametrize("blocks", [1, 2])
def test_tokens_of_blocks_and_elements(blocks: int) -> None:
    variables = (var.Variable("phase", (blocks, 3), "phase", "surface", n=4),)
    n = 3 * blocks
    parts = {"aligned": (2, blocks, 3), "strength": (blocks, 3), "common": (4, 3), "own": (blocks, 2), "both": (2, n)}
    parts |= {"once": (4,), "task": (2,)}
    features = gathered(variables, "turn", blocks, alignment=(5, blocks, 3), log_norm=(1,), **parts)
    (group,) = features.groups
    assert group.outputs.tolist() == [[i] for i in range(n)]
    layout, start = {}, 0
    first = {"raw": (n,), "direction": (n,), "log_norm": (1,), "alignment": (5, blocks, 3), "turn": (n,)}
    for name, shape in (first | parts).items():
        layout[name] = start + np.arange(np.prod(shape)).reshape(shape)
        start += int(np.prod(shape))
    for i in range(n):
        b, m = divmod(i, 3)
        mine = [layout["aligned"][:, b, m], layout["alignment"][:, b, m], layout["strength"][b, m], layout["common"][:, m]]
        mine += [layout["direction"][i], layout["turn"][i], layout["both"][:, i]]
        mine += [layout["own"][b]] if blocks == 2 else []
        assert sorted(group.inputs[i]) == sorted(np.concatenate([np.ravel(part) for part in mine]))
    shared = np.concatenate([layout[name].ravel() for name in ("log_norm", "own", "once", "task")])
    assert sorted(features.globals) == sorted(shared)


def test_token_network_serves_any_number_of_elements() -> None:
    sizes = []
    for shape in ((2, 3), (2, 7)):
        variables = (var.Variable("phase", shape, "phase", "surface", n=4),)
        actor = build_actor({"kind": "token", "hidden": 8}, gathered(variables, blocks=2))
        sizes.append({name: tuple(value.shape) for name, value in actor.state_dict().items()})
    assert sizes[0] == sizes[1]


def test_wrong_settings_are_named(system: Any, tmp_path: Path) -> None:
    mixed, box = gathered(MIXED), gathered(MIXED, "box")
    with pytest.raises(ValueError, match="need discrete actions"):
        build_actor({"kind": "token", "keep": 1.0}, box)
    with pytest.raises(ValueError, match="need the observation 'raw'"):
        build_actor({"kind": "token", "relative": True}, dataclasses.replace(mixed, raw=np.empty(0, np.int64)))
    with pytest.raises(ValueError, match="alphabets of one size"):
        gathered(MIXED, "turn")
    with pytest.raises(ValueError, match="needs the observation 'turn'"):
        gathered(PHASES, "turn", turn=(2,))
    with pytest.raises(ValueError, match="action must be one of"):
        gathered(PHASES, "letters")
    with pytest.raises(ValueError, match=r"network\.keep must be finite"):
        Network(keep=float("nan"))
    for changes, message in (
        ({"algorithm": "sac"}, "'sac' needs env.action='box'"),
        ({"env": dataclasses.replace(FORMS["one_shot"], observation="csi")}, "need the observation 'raw'"),
    ):
        with pytest.raises(ValueError, match=message):
            agents.train(config(discrete(system), tmp_path, "one_shot", **changes))
    assert not list(tmp_path.iterdir())


# -- runs --------------------------------------------------------------------------------------------------------------------

FORMS = {
    "one_shot": EnvSettings(episode="one_shot", control="surface", action="discrete"),
    "refine": EnvSettings(control="surface", action="discrete", horizon=4),
    "turn": EnvSettings(control="surface", action="discrete", horizon=10),
    "fading": EnvSettings(episode="fading", control="surface", action="discrete", horizon=5),
    "fading_box": EnvSettings(episode="fading", control="surface", action="box", horizon=5),
}
NETWORK = Network(hidden=8, ignore=("bs_ris",), keep=2.0, relative=True)


def discrete(system: Any) -> Any:
    return dataclasses.replace(system, phase_bits=2)


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.pictures.agent_picture", lambda agent, scene: None)


@pytest.fixture
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A form of episode; in `turn` the system sets one raw number per step."""
    if request.param == "turn":
        monkeypatch.setattr(Beampattern, "turns", True)
    return str(request.param)


def config(system: Any, folder: Path, form: str, **changes: Any) -> Any:
    ppo = PPOSettings(num_envs=4, n_steps=4, batch_size=8, n_epochs=1, learning_rate=0.01)
    values: dict[str, Any] = {
        "system": system, "minutes": None, "steps": 48, "folder": str(folder), "validation_scenes": 3, "reference": None,
        "progress": False, "ppo": ppo, "network": NETWORK, "env": FORMS[form], "name": "run",
    }  # fmt: skip
    return agents.TrainConfig(**(values | changes))


@pytest.mark.parametrize("form", ["one_shot", "turn"], indirect=True)
def test_state_is_everything(system: Any, form: str) -> None:
    """A learner restored from the state of another and reseeded alike goes on exactly like it."""
    ppo = PPOSettings(num_envs=4, n_steps=4, batch_size=8, n_epochs=1, ent_coef=0.01)
    hyper = Hyperparameters(ppo=ppo, network=NETWORK, env=FORMS[form])
    setup = Setup(system=discrete(system), hyper=hyper, seed=0, budget=Budget(None, 1000), scenes=None, penalty=1.0)

    def learn(learner: Any, seed: int) -> None:
        learner.reseed(np.random.default_rng(seed))
        calls = iter(range(3))
        learner.learn(lambda: next(calls) < 2)

    first, second = build("ppo", setup), build("ppo", setup)
    before = first.weights()
    learn(first, 1)
    second.restore(copy.deepcopy(first.state()))
    for learner in (first, second):
        learn(learner, 3)
    ours, theirs = first.weights(), second.weights()
    assert ours.keys() == theirs.keys() and "log_std" not in ours and first.steps == 64
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])
    assert any(np.any(value != before[name]) for name, value in ours.items())
    assert first.features.single == (form == "turn")


@pytest.mark.parametrize("form", ["one_shot", "refine", "turn"], indirect=True)
def test_agents_are_saved_loaded_and_solve(system: Any, scene: Any, tmp_path: Path, form: str) -> None:
    model = discrete(system)
    result = agents.train(config(model, tmp_path, form))
    stored = artefact.read(result.agent)
    assert stored.interface["action"] == ("turn" if form == "turn" else "indices") and stored.interface["variables"][0]["n"] == 4
    assert (stored.network["keep"], stored.network["relative"]) == (2.0, True)
    agent = agents.load(result.agent)
    solution, again = (agent.solve(scene, np.random.default_rng(0)) for _ in range(2))
    np.testing.assert_array_equal(solution.design.coefficients, again.design.coefficients)
    assert solution.memory is None and not agent.sequential
    steps = np.angle(solution.design.coefficients) / (np.pi / 2)
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-6)
    np.testing.assert_allclose(model.evaluate(scene, solution.design).objective, solution.objective)
    env = make_vector_env(model, len(scene), FORMS[form].kwargs(), autoreset_mode="Disabled")
    driver = agent.bind(env)
    observation, _ = env.reset(seed=0, options={"scene": scene})
    for _ in range(env.unwrapped.horizon):
        action, _ = driver.predict(observation)
        assert env.action_space.contains(action)
        observation, *_ = env.step(action)
    np.testing.assert_array_equal(agent.act(observation[:1]), agent.act(observation)[:1])
    if form == "one_shot":
        np.testing.assert_allclose(agent._once(scene, np.random.default_rng(0)), env.unwrapped.raw)
    else:
        start = model.penalised(model.evaluate(scene, model.decode(scene, model.start(scene, "surface"), "surface")))
        assert solution.history.shape == (FORMS[form].horizon + 1, len(scene))
        assert np.all(solution.history[-1] >= np.maximum(start, model.penalised(env.unwrapped.metrics)) - 1e-4)


@pytest.mark.parametrize("form", ["turn"], indirect=True)
def test_a_single_environment_in_turns(system: Any, form: str) -> None:
    model = discrete(system)
    env = make_vector_env(model, 1, FORMS[form].kwargs())
    interface, network, kwargs = env_interface(env), NETWORK.spec(), FORMS[form].kwargs()
    agent = Agent(model, build_actor(network, interface_features(interface, network)), kwargs, network)
    single = BeampatternEnv(**{name: value for name, value in model.to_dict().items() if name != "system"}, **kwargs)
    assert env_interface(single) == interface
    observation, _ = single.reset(seed=0)
    raw = np.array(single.raw)
    for _ in range(9):
        action, _ = agent.bind(single).predict(observation)
        assert single.action_space.contains(action)
        observation, *_ = single.step(action)
    variables = model.variables("surface")  # untrained: every number stays as it is
    np.testing.assert_array_equal(var.to_index(variables, single.raw), var.to_index(variables, raw))


# -- sequences ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [0.0, 0.1])
@pytest.mark.parametrize("form", ["fading", "fading_box"], indirect=True)
def test_sequential_agents_see_what_the_environment_shows(system: Any, form: str, error: float) -> None:
    """Driven frame by frame with `solve` and its memory, an agent acts as on the environment's observations."""
    model = discrete(system)
    kwargs = FORMS[form].kwargs()
    env = make_vector_env(model, 3, kwargs | {"csi_error": error, "correlation": 0.3}, autoreset_mode="Disabled")
    network = dataclasses.replace(NETWORK, keep=0.0, relative=form == "fading").spec()
    actor = shaken(build_actor(network, interface_features(env_interface(env), network)))
    agent = Agent(model, actor, kwargs, network)
    assert agent.sequential
    driver = agent.bind(env)
    observation, _ = env.reset(seed=4)
    memory, used = None, []
    for _ in range(5):
        action, _ = driver.predict(observation)
        solution = agent.solve(model.known(env.unwrapped.scene), np.random.default_rng(0), memory)
        observation, *_ = env.step(action)
        memory = solution.memory
        np.testing.assert_allclose(memory["raw"], env.unwrapped.raw, atol=1e-4)
        used.append(memory["raw"])
    assert np.any(used[0] != used[-1])
    with pytest.raises(ValueError, match=r"memory\['raw'\] must have shape \(3, 8\)"):
        agent.solve(model.known(env.unwrapped.scene), np.random.default_rng(0), {"raw": memory["raw"][:2]})
