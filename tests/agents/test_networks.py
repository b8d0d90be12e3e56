from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

import ris_gym  # noqa: F401 - registers the environments
from agents.features import build_feature_map
from agents.networks import build_actor
from agents.policy import env_interface


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
