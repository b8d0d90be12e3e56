"""The network over a tree of codewords: masses, neighbours, parents and halves against loops, symmetries, what it refuses."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

import ris_gym
from agents.discrete import Logits
from agents.features import FeatureMap, build_feature_map, variable_dicts
from agents.hyperparameters import Network
from agents.networks import build_actor
from agents.policy import env_interface, interface_features, make_vector_env
from agents.tree import FLOOR, ROWS, Masses, TreeCritic, TreeLogits
from ris_gym import variables as var

SPEC = {"kind": "tree", "hidden": 8}


def gathered(beams: int = 16, stop: int = 0, answers: int | None = None, action: str = "indices", **more: Any) -> FeatureMap:
    """As `anchor` has them, the other numbers before and after the beams."""
    n = 2 * beams - 2 + stop if answers is None else answers
    variables = (var.Variable("codeword", (), "choice", "surface", n=n),)
    shapes = {"entropy": (1,), "beam_mass": (beams,), "pilots_left": (1,), "element_snr": (1,)} | more
    layout, start = {}, 0
    for name, shape in shapes.items():
        layout[name] = (start, start + int(np.prod(shape)), shape)
        start += int(np.prod(shape))
    return build_feature_map(variable_dicts(variables), layout, action=action)


def beliefs(beams: int = 16, batch: int = 5) -> np.ndarray:
    """Masses of the beams (B, N), peaked, with some zeros."""
    p = np.random.default_rng(0).random((batch, beams)) ** 8 * (np.arange(beams) % 5 != 2)
    return p / p.sum(axis=1, keepdims=True)


def observed(p: np.ndarray) -> torch.Tensor:
    others = np.random.default_rng(1).normal(size=(len(p), 3))
    return torch.as_tensor(np.concatenate([others[:, :1], np.log10(p.shape[1] * p + FLOOR), others[:, 1:]], axis=1)).float()


def shaken(module: Any) -> Any:
    """Weights away from the first, almost zero ones."""
    torch.manual_seed(1)
    for weight in module.parameters():
        weight.data += 0.3 * torch.randn_like(weight)
    return module


def test_masses_are_those_of_the_system() -> None:
    system = ris_gym.systems.make("anchor", num_elements=16, num_pilots=4)
    env = make_vector_env(system, 6, {})
    env.reset(seed=0)
    for action in (3, 17):
        observation, *_ = env.step(np.full(6, action))
    features = interface_features(env_interface(env), SPEC)
    masses, others = Masses(features)(torch.as_tensor(observation))
    beams = system.masses(system.known(env.unwrapped.scene))
    levels = [beams.reshape(6, 2**level, -1).sum(axis=2) for level in range(5)]
    np.testing.assert_allclose(masses.numpy(), np.concatenate(levels, axis=1), atol=2e-6)
    assert np.ptp(beams) > 0.05
    start, stop, _ = env.unwrapped.observation_layout["beam_mass"]
    np.testing.assert_array_equal(others, np.delete(observation, np.arange(start, stop), axis=1))


@pytest.mark.parametrize("beams", [2, 4, 16])
def test_logits_and_features_against_loops(beams: int) -> None:
    """Sector by sector from its arc of the circle, with the weights of the network."""
    features = gathered(beams, stop=1)
    network, critic = shaken(TreeLogits(features, 8)), shaken(TreeCritic(features, 8))
    p = beliefs(beams)
    observation = observed(p)
    logits = network(observation)[0].detach().double().numpy()
    value = critic(observation).detach().double().numpy()
    assert logits.shape == (5, 1, 2 * beams - 1) and value.shape == (5, 8)
    weights = {name: weight.double().numpy() for name, weight in network.state_dict().items()}
    top = beams.bit_length() - 1

    def mass(b: int, level: int, j: int) -> float:
        width = beams // 2**level
        return sum(p[b, (j * width + i) % beams] for i in range(width))

    def dense(b: int, level: int, j: int) -> float:
        return float(np.log10(2**level * mass(b, level, j) + FLOOR))

    for b in range(len(p)):
        shared = observation[b, [0, -2, -1]].double().numpy()
        summary: list[float] = []
        for level in range(1, top + 1):
            for j in range(2**level):
                own, parent = (level, j), (level - 1, j // 2)
                around = [own, (level, j - 1), (level, j + 1), parent]
                halves = [(level + 1, 2 * j), (level + 1, 2 * j + 1)] if level < top else 2 * [(level, j)]
                x = [mass(b, *s) for s in (own, parent, *halves)] + [dense(b, *s) for s in around]
                hidden = np.maximum(weights["sector.weight"] @ np.array(x) + weights["level"][level - 1], 0.0)
                expected = weights["head.0.weight"] @ hidden + weights["head.0.bias"]
                np.testing.assert_allclose(logits[b, 0, 2**level - 2 + j], expected[0], atol=2e-5)
            all_of_level = [mass(b, level, j) for j in range(2**level)]
            summary += [max(all_of_level), sum(m * m for m in all_of_level)]
        seen = np.array([*summary, *shared])
        hidden = np.maximum(weights["stop.0.weight"] @ seen + weights["stop.0.bias"], 0.0)
        stop = weights["stop.2.weight"] @ hidden + weights["stop.2.bias"]
        np.testing.assert_allclose(logits[b, 0, -1], stop[0], atol=2e-5)
        first, _, second = critic.net[0]
        hidden = torch.relu(first(torch.as_tensor(seen).float()))
        np.testing.assert_allclose(value[b], torch.relu(second(hidden)).detach().numpy(), atol=2e-5)


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_logits_turn_with_the_belief(level: int) -> None:
    """By half the circle: all of them. By a sector of a finer level: those below that level, whose parents turn too."""
    features = gathered(16, stop=1)
    actor, critic = shaken(build_actor(SPEC, features)), shaken(TreeCritic(features, 8))
    assert isinstance(actor, Logits)
    p = beliefs(16)
    shift = 16 // 2**level
    before, after = actor(observed(p))[:, 0].detach(), actor(observed(np.roll(p, shift, axis=1)))[:, 0].detach()
    for at in range(1, 5):
        one, other = (logits[:, 2**at - 2 : 2 ** (at + 1) - 2] for logits in (before, after))
        turns = at > level or level == 1
        if at >= level:
            gap = (torch.roll(one, shift * 2**at // 16, dims=1) - other).abs().max()
            assert (gap < 1e-5) == turns and (turns or gap > 1e-3)
        assert (one - other).abs().max() > 1e-3  # it is not that nothing matters
    if level == 1:
        torch.testing.assert_close(before[:, -1], after[:, -1])
        torch.testing.assert_close(critic(observed(p)), critic(observed(np.roll(p, shift, axis=1))))


def test_one_belief_has_one_answer() -> None:
    """Sectors of a level in which the mass lies alike have equal logits; masses below the floor count as none."""
    actor = shaken(build_actor(SPEC, gathered(8)))
    logits = actor(observed(np.full((1, 8), 0.125)))[0, 0]
    for level in (1, 2, 3):
        part = logits[2**level - 2 : 2 ** (level + 1) - 2]
        torch.testing.assert_close(part, part[:1].expand_as(part))
    low = observed(beliefs(8))
    low[:, 1:9] = torch.where(low[:, 1:9] < -2.9, low[:, 1:9] - 5.0, low[:, 1:9])
    masses, _ = Masses(gathered(8))(low)
    assert masses.min() == 0.0
    torch.testing.assert_close(masses, Masses(gathered(8))(observed(beliefs(8)))[0], atol=1e-6, rtol=0.0)
    assert torch.isfinite(actor(low)).all()


@pytest.mark.parametrize("batch", [0, 1, ROWS, 2 * ROWS + 3])
def test_without_gradients_pieces_say_the_same(batch: int) -> None:
    actor = shaken(build_actor(SPEC, gathered(16, stop=1)))
    assert isinstance(actor, Logits)
    observation = observed(beliefs(16, batch=batch))
    expected = actor(observation)
    with torch.inference_mode():
        torch.testing.assert_close(actor(observation), expected, atol=1e-5, rtol=1e-5)
        assert actor.decide(observation).shape == (batch,)


def test_untrained_is_almost_uniform_and_learns() -> None:
    features = gathered(16, stop=1)
    torch.manual_seed(0)
    actor = build_actor(SPEC, features)
    logits = actor(observed(beliefs(16)))
    assert torch.softmax(logits, dim=-1).max() < 1.2 / 31
    loss = -torch.log_softmax(logits, dim=-1)[:, 0, [4, 30]].mean()
    loss.backward()
    assert all(weight.grad is not None and weight.grad.abs().max() > 0.0 for weight in actor.parameters())
    assert actor(observed(beliefs(16))[:0]).shape == (0, 1, 31)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"beam_mass": (12,), "beams": 12}, "got N = 12 and 22 indices"),
        ({"beam_mass": (16,), "answers": 32}, "got N = 16 and 32 indices"),
        ({"beam_mass": (16,), "answers": 16}, "got N = 16 and 16 indices"),
        ({"action": "box"}, "got N = 16 and 0 indices"),
        ({"beam_mass": (1,), "beams": 1, "answers": 1}, "got N = 1 and 1 indices"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_actor(SPEC, gathered(**changes))


def test_other_refusals() -> None:
    features = gathered()
    with pytest.raises(ValueError, match="got N = 0 and 30 indices"):
        build_actor(SPEC, dataclasses.replace(features, leaves=np.empty(0, np.int64)))
    with pytest.raises(ValueError, match="got N = 16 and 30 indices"):  # two indices at a time
        build_actor(SPEC, dataclasses.replace(features, action_size=2))
    with pytest.raises(ValueError, match="depth"):
        build_actor({**SPEC, "depth": 3}, features)
    with pytest.raises(ValueError, match="need the observation 'raw'"):
        build_actor({**SPEC, "keep": 1.0}, features)
    with pytest.raises(ValueError, match=r"network\.critic must be 'global' or 'tokens'"):
        Network(critic="leaves")  # type: ignore[arg-type]
    assert Network("tree", 8, critic="tokens").spec() == {"kind": "tree", "hidden": 8, "ignore": [], "raw_phases": False}
