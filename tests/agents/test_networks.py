from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

import ris_gym  # noqa: F401 - registers the environments
from agents.features import build_feature_map
from agents.hyperparameters import load
from agents.networks import AgentPolicy, build_actor
from agents.policy import env_interface, interface_features
from agents.tokens import GlobalCritic, TokenCritic


def interface(elements: int, antennas: int = 4) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    variables = [
        {"name": "phase", "shape": [elements], "kind": "phase", "owner": "surface", "n": None},
        {"name": "beams", "shape": [antennas, 2], "kind": "cartesian", "owner": "bs", "n": None},
        {"name": "regulariser", "shape": [1], "kind": "level", "owner": "bs", "n": None},
    ]
    size = elements + 4 * antennas + 1
    shapes = {
        "bs_ris": (2, elements, antennas),
        "direction": (size,),
        "log_norm": (1,),
        "alignment": (2, 3, elements),
        "gram": (2, 3),
        "raw": (size,),
    }
    layout, start = {}, 0
    for name, shape in shapes.items():
        stop = start + int(np.prod(shape))
        layout[name] = (start, stop, shape)
        start = stop
    return variables, layout


def test_tokens_gather_what_is_theirs() -> None:
    variables, layout = interface(6)
    features = build_feature_map(variables, layout)
    element, antenna, entry = features.groups
    start = layout["alignment"][0]
    alignment = start + np.arange(36).reshape(2, 3, 6)[:, :, 2].ravel()
    channel = layout["bs_ris"][0] + np.arange(48).reshape(2, 6, 4)[:, 2].ravel()
    direction = layout["direction"][0] + 2
    assert sorted(element.inputs[2]) == sorted([*alignment, *channel, direction])
    beams = 6 + np.arange(16).reshape(2, 4, 2)[:, 1].ravel()
    assert list(antenna.outputs[1]) == list(beams)
    assert sorted(antenna.inputs[1]) == sorted([*(layout["direction"][0] + beams), *(layout["raw"][0] + beams)])
    assert entry.outputs.tolist() == [[22]]
    every = np.concatenate([group.outputs.ravel() for group in features.groups])
    assert sorted(every) == list(range(features.action_size)) == list(range(23))
    assert len(features.globals) == 1 + 6


@pytest.mark.parametrize("elements", [4, 2, 1])
def test_equal_sizes_are_not_confused(elements: int) -> None:
    variables, layout = interface(elements, antennas=4)
    element = build_feature_map(variables, layout).groups[0]
    assert element.tokens == elements
    channel = layout["bs_ris"][0] + np.arange(8 * elements).reshape(2, elements, 4)[:, 0].ravel()
    assert set(channel) <= set(element.inputs[0])


def sided(kind: str, control: str, elements: int = 6, antennas: int = 4) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Variables and layout of `multifunctional`: one user and target on each side."""
    sizes = {"num_elements_h": elements // 2, "num_elements_v": 2, "num_antennas": antennas}
    env = gymnasium.make(
        "ris_gym/MultiFunctional-v0", preset=kind, control=control, observation="local", num_users=(1, 1), num_targets=(1, 1),
        num_sensing_beams=1, num_sensors_h=2, num_sensors_v=2, **sizes,
    )  # fmt: skip
    interface = env_interface(env)
    return interface["variables"], interface["observation_layout"]


@pytest.mark.parametrize("control", ["full", "structured", "surface"])
@pytest.mark.parametrize("kind", ["default", "ms", "ts", "star", "active", "passive"])
def test_tokens_of_both_sides_and_slots(kind: str, control: str) -> None:
    variables, layout = sided(kind, control)
    features = build_feature_map(variables, layout)
    groups = {group.name: group for group in features.groups}
    every = np.concatenate([group.outputs.ravel() for group in features.groups])
    assert sorted(every) == list(range(features.action_size))
    assert features.directions == ("direction", "ascent[0]", "ascent[1]", "ascent[2]")
    assert groups["element"].tokens == 6 and ("antenna" in groups) == (control == "full")
    own = {"default": 4, "ms": 3, "ts": 4, "star": 3, "active": 2, "passive": 1}[kind]
    assert groups["element"].outputs.shape == (6, own)
    start, _, shape = layout["alignment"]
    aligned = start + np.arange(np.prod(shape)).reshape(shape)
    assert all(set(aligned[..., m].ravel()) <= set(groups["element"].inputs[m]) for m in range(6))
    if control == "full":
        slots = 2 if kind == "ts" else 1
        beams = np.arange(2 * slots * 4 * 2).reshape(2, slots, 4, 2)[:, :, 1].ravel()
        assert groups["antenna"].tokens == 4 and set(beams) <= set(groups["antenna"].outputs[1])
        assert groups["antenna"].outputs.shape == (4, 2 * slots * 3)
    for name in ("gram", "levels", "margins", "sinr", "echo_sinr"):
        assert set(range(layout[name][0], layout[name][1])) <= set(features.globals)


@pytest.mark.parametrize("elements", [4, 6, 8])
def test_sensors_and_gram_matrix_are_never_taken_for_elements(elements: int) -> None:
    """Four sensors and antennas, six entries of the Gram matrix; weights do not depend on the coincidence."""
    variables, layout = sided("default", "surface", elements)
    features = build_feature_map(variables, layout)
    reference = build_feature_map(*sided("default", "surface", 10))
    assert features.sizes() == reference.sizes()


def test_ignore_must_name_a_part() -> None:
    variables, layout = interface(6)
    with pytest.raises(ValueError, match="ignore: .*'channels'"):
        build_feature_map(variables, layout, ignore=["channels"])
    assert build_feature_map(variables, layout, ignore=["bs_sensor"]).sizes() == build_feature_map(variables, layout).sizes()


def test_weights_do_not_depend_on_the_number_of_elements_or_antennas() -> None:
    shapes = []
    for elements, antennas in ((6, 4), (20, 4), (6, 9)):
        variables, layout = interface(elements, antennas)
        actor = build_actor({"kind": "token", "hidden": 8}, build_feature_map(variables, layout, ignore=["bs_ris"]))
        shapes.append({name: tuple(value.shape) for name, value in actor.state_dict().items()})
    assert shapes[0] == shapes[1] == shapes[2]


def test_network_is_equivariant_to_the_order_of_elements() -> None:
    variables, layout = interface(6)
    features = build_feature_map(variables, layout)
    actor = build_actor({"kind": "token", "hidden": 8, "skip_init": {"direction": 0.3}}, features)
    observation = torch.randn(3, features.observation_size)
    order = torch.tensor([3, 1, 0, 5, 2, 4])
    moved = observation.clone()
    element = torch.as_tensor(features.groups[0].inputs)
    moved[:, element] = observation[:, element[order]]
    before, after = actor(observation), actor(moved)
    torch.testing.assert_close(after[:, :6], before[:, :6][:, order])
    torch.testing.assert_close(after[:, 6:], before[:, 6:])


@pytest.mark.parametrize("spec", [{"kind": "token", "hidden": 8}, {"kind": "flat", "hidden": 8}])
def test_untrained_actor_does_almost_nothing(spec: dict[str, Any]) -> None:
    variables, layout = interface(6)
    features = build_feature_map(variables, layout)
    assert build_actor(spec, features)(torch.randn(50, features.observation_size)).abs().max() < 0.1


def test_unknown_settings_are_named() -> None:
    features = build_feature_map(*interface(6))
    with pytest.raises(ValueError, match="kind must be"):
        build_actor({"kind": "transformer"}, features)
    with pytest.raises(ValueError, match="skip_init: .*'uphill'"):
        build_actor({"kind": "token", "skip_init": {"uphill": 1.0}}, features)
    with pytest.raises(ValueError, match="depth"):
        build_actor({"kind": "token", "depth": 3}, features)


# -- vehicles ----------------------------------------------------------------------------------------------------------------

OWN = ("position", "velocity", "spread", "speed_std", "correlation", "comm_snr", "echo_snr", "helper_snr")
RADAR = ("radar_offset", "radar_cosine", "radar_snr")
SETS = ("sensing_share", "reflect_width", "refract_width")


def vehicles(users: int = 3, action: str = "discrete", control: str = "full", **changes: Any) -> dict[str, Any]:
    """The interface of `vehicular`; three vehicles are as many as the clock has numbers."""
    env = gymnasium.make(
        "ris_gym/Vehicular-v0", preset="reciprocity", control=control, action=action, num_users=users, num_frames=4, num_cols=4,
        **changes,
    )  # fmt: skip
    return env_interface(env)


@pytest.mark.parametrize("users", [1, 2, 3, 5, 9])
@pytest.mark.parametrize(
    ("changes", "seen", "sets"),
    [
        ({}, OWN, SETS),
        ({"action": "box"}, OWN, SETS),
        ({"control": "surface"}, OWN, SETS[1:]),
        ({"s_assist": False}, (*OWN, "report_position", "report_spread"), SETS),
        ({"choose_reflector": True}, OWN, (*SETS, "reflector")),
        ({"unauthorised_radar": True}, (*OWN, *RADAR), (*SETS, "suppression")),
        ({"unauthorised_radar": True, "choose_reflector": True}, (*OWN, *RADAR), (*SETS, "suppression", "reflector")),
    ],
)
def test_vehicles_hold_their_own(users: int, changes: dict[str, Any], seen: tuple[str, ...], sets: tuple[str, ...]) -> None:
    """One token per vehicle, which sees its belief and links and sets its share, widths, suppression and reflector."""
    interface = vehicles(users, **changes)
    features = interface_features(interface, {})
    layout = interface["observation_layout"]
    if users == 1:
        sets = tuple(name for name in sets if name != "reflector")  # there is none to choose
    assert [v["name"] for v in interface["variables"]] == list(sets) and set(layout) == {*seen, "clock"}
    (group,) = features.groups
    assert group.name == "element" and group.tokens == users
    for k in range(users):
        assert sorted(group.inputs[k]) == sorted(layout[name][0] + k for name in seen)
        assert list(group.outputs[k]) == [v * users + k for v in range(len(sets))]
    assert list(features.globals) == list(range(layout["clock"][0], layout["clock"][1])) and len(features.globals) == 3


def test_shares_of_blocks_are_set_once() -> None:
    """A share per element in a system of blocks: no variable is an element's unless it has an axis of the blocks."""
    variables = [
        {"name": "phase", "shape": [2, 3], "kind": "phase", "owner": "surface"},
        {"name": "share", "shape": [3], "kind": "fraction", "owner": "time"},
        {"name": "time", "shape": [], "kind": "fraction", "owner": "time"},
    ]
    features = build_feature_map(variables, {"raw": (0, 10, (10,))}, blocks=2)
    assert sorted(np.concatenate([group.outputs.ravel() for group in features.groups])) == list(range(10))
    element, entry = features.groups
    assert element.outputs.tolist() == [[0, 3, 6], [1, 4, 7], [2, 5, 8]] and entry.outputs.tolist() == [[9]]


def shaken(module: torch.nn.Module) -> torch.nn.Module:
    """Weights away from the first, almost zero ones."""
    torch.manual_seed(1)
    for weight in module.parameters():
        weight.data += 0.3 * torch.randn_like(weight)
    return module


def test_critic_of_tokens_sees_vehicles_in_any_order_and_number() -> None:
    features = interface_features(vehicles(3), {})
    critic, blind = shaken(TokenCritic(features, 8)), shaken(GlobalCritic(features, 8))
    observation = torch.randn(4, features.observation_size)
    value = critic(observation)
    assert value.shape == (4, 8)
    for position in range(features.observation_size):
        changed = observation.clone()
        changed[:, position] += 1.0
        assert (critic(changed) - value).abs().max() > 1e-4
        assert torch.equal(blind(changed), blind(observation)) == (position not in features.globals)
    tokens = torch.as_tensor(features.groups[0].inputs)
    moved = observation.clone()
    moved[:, tokens] = observation[:, tokens[[2, 0, 1]]]
    torch.testing.assert_close(critic(moved), value)
    twice = interface_features(vehicles(6), {})
    other = TokenCritic(twice, 8)
    other.load_state_dict(critic.state_dict())
    doubled = torch.zeros(4, twice.observation_size)
    doubled[:, twice.globals] = observation[:, features.globals]
    doubled[:, twice.groups[0].inputs] = torch.cat([observation[:, tokens]] * 2, dim=1)
    torch.testing.assert_close(other(doubled), value)  # a mean


def test_critic_of_several_groups_is_the_mean_over_all_tokens() -> None:
    features = build_feature_map(*interface(6))
    critic = shaken(TokenCritic(features, 8))
    observation = torch.randn(2, features.observation_size)
    embedded, context = critic.encoder(observation)
    parts = [
        torch.relu(critic.own[group.name](embedded[group.name][:, i]) + critic.shared(context))
        for group in features.groups
        for i in range(group.tokens)
    ]
    assert len(parts) == 6 + 4 + 1
    torch.testing.assert_close(critic(observation), sum(parts) / 11)


@pytest.mark.parametrize("users", [2, 7])
def test_vehicles_serve_other_numbers(users: int) -> None:
    """The actor and the critic of three vehicles have the weights of those of other numbers."""
    spec = load("vehicular").network.spec()
    shapes = []
    for number in (3, users):
        described = vehicles(number)
        policy = AgentPolicy(
            *_spaces(described), lambda _: 1e-3, network=spec, features=interface_features(described, spec)
        )
        assert type(policy.mlp_extractor.critic) is TokenCritic
        shapes.append({name: tuple(weight.shape) for name, weight in policy.state_dict().items()})
    assert shapes[0] == shapes[1]
    plain = interface_features(vehicles(3), spec)
    del spec["critic"]
    policy = AgentPolicy(*_spaces(vehicles(3)), lambda _: 1e-3, network=spec, features=plain)
    assert type(policy.mlp_extractor.critic) is GlobalCritic


def _spaces(described: dict[str, Any]) -> tuple[gymnasium.Space[Any], gymnasium.Space[Any]]:
    size = max(stop for _, stop, _ in described["observation_layout"].values())
    sizes = [v["n"] for v in described["variables"] for _ in range(v["shape"][0])]
    return gymnasium.spaces.Box(-10.0, 10.0, (size,)), gymnasium.spaces.MultiDiscrete(sizes)
