"""What the actions of `MultiFunctional` mean: numbers by variable, views by name, alphabets, keywords that exclude each other."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

from ris_gym.envs import DictActions
from ris_gym.envs.spaces import from_dict, to_dict

ID = "ris_gym/MultiFunctional-v0"
N, K, S, M, L = 8, 4, 2, 32, 4
BOXES = {
    "es": {"beams": (2, N, K), "sensing_beams": (2, N, S), "phase": (2, M), "amplitude": (M,), "split": (M,)},
    "ms": {"beams": (2, N, K), "sensing_beams": (2, N, S), "phase": (M,), "amplitude": (M,), "mode": (M,)},
    "ts": {
        "beams": (2, 2, N, K), "sensing_beams": (2, 2, N, S), "phase": (2, M), "amplitude": (2, M), "time_fraction": (1,),
    },
    "star": {"beams": (2, N, K), "sensing_beams": (2, N, S), "phase": (2, M), "split": (M,)},
    "active": {"beams": (2, N, K), "sensing_beams": (2, N, S), "phase": (M,), "amplitude": (M,)},
    "passive": {"beams": (2, N, K), "sensing_beams": (2, N, S), "phase": (M,)},
}  # fmt: skip
LENGTHS = {"es": (224, 137, 128), "ms": (192, 105, 96), "ts": (321, 138, 129), "star": (192, 105, 96), "active": (160, 73, 64),
           "passive": (128, 41, 32)}  # fmt: skip


def make(form: str, **keywords: Any) -> Any:
    kind = {"protocol": form} if form in ("es", "ms", "ts") else {"kind": form}
    return gymnasium.make(ID, disable_env_checker=True, **kind, **keywords)


@pytest.mark.parametrize("form", BOXES)
def test_lengths_and_order(form: str) -> None:
    for control, length in zip(("full", "structured", "surface"), LENGTHS[form], strict=True):
        env = make(form, control=control)
        assert env.action_space == gymnasium.spaces.Box(-1.0, 1.0, (length,), np.float32)
        names = [v.name for v in env.unwrapped.system.variables(control)]
        surface = [name for name in BOXES[form] if "beams" not in name]
        added = {"full": [], "structured": ["user_power", "target_power", "regulariser"], "surface": []}[control]
        assert names == (list(BOXES[form]) if control == "full" else surface + added)


@pytest.mark.parametrize("form", BOXES)
def test_the_page_names_what_a_kind_adds(form: str) -> None:
    env = make(form, observation="local")
    env.reset(seed=0)
    info = env.step(env.action_space.sample())[-1]
    page = env.unwrapped.__doc__
    assert all(f"`{name}`" in page for name in [*env.unwrapped.observation_layout, *info, *BOXES[form]])
    assert f"| {LENGTHS[form][0]} |" in page and f"| {LENGTHS[form][1]} |" in page and f"| {LENGTHS[form][2]} |" in page


@pytest.mark.parametrize("increments", [True, False])
@pytest.mark.parametrize("form", BOXES)
def test_view_by_name(form: str, increments: bool) -> None:
    kind = "refine" if increments else "one_shot"
    flat, named = make(form, episode=kind), DictActions(make(form, episode=kind))
    assert {name: space.shape for name, space in named.action_space.items()} == BOXES[form]
    if form == "ms" and not increments:
        assert named.action_space["mode"] == gymnasium.spaces.MultiDiscrete([2] * M)
    flat.reset(seed=0)
    named.reset(seed=0)
    raw = flat.action_space.sample()
    values = to_dict(flat.unwrapped.core.variables, raw, increments)
    assert values in named.action_space
    one, other = flat.step(raw), named.step(values)
    assert np.array_equal(flat.unwrapped.design.coefficients, named.unwrapped.design.coefficients)
    assert one[1] == other[1]
    if form == "ms" and not increments:
        assert np.array_equal(named.unwrapped.design.mode[0], values["mode"])
        back = from_dict(flat.unwrapped.core.variables, values)
        assert np.array_equal(np.sign(back[-M:]), np.where(raw[-M:] >= 0.0, 1.0, -1.0))


def test_modes_choose_the_row() -> None:
    env = DictActions(make("ms", episode="one_shot", control="surface"))
    env.reset(seed=0)
    mode = np.arange(M) % 3 == 0
    env.step({"phase": np.linspace(-1.0, 0.9, M), "amplitude": np.ones(M), "mode": mode.astype(int)})
    design = env.unwrapped.design
    rows = np.abs(design.coefficients[0]) > 0.0
    assert np.array_equal(rows[1], mode) and np.array_equal(rows[0], ~mode)
    used = np.where(mode, design.coefficients[0, 1], design.coefficients[0, 0])
    assert np.allclose(np.angle(used * np.exp(-1j * np.pi * np.linspace(-1.0, 0.9, M))), 0.0, atol=1e-5)


@pytest.mark.parametrize(("x", "share"), [(-1.0, 0.05), (0.0, 0.5), (1.0, 0.95)])
def test_time_fraction_by_name(x: float, share: float) -> None:
    env = DictActions(make("ts", episode="one_shot", control="surface"))
    env.reset(seed=0)
    action = env.action_space.sample() | {"time_fraction": np.array([x])}
    info = env.step(action)[-1]
    assert info["time_fraction"] == pytest.approx(share, abs=1e-6)
    beams = env.unwrapped.design.beams[0]
    assert not beams[0, :, 2:].any() and not beams[1, :, :2].any() and beams[0, :, :2].any() and beams[1, :, 2:].any()


@pytest.mark.parametrize("bits", [1, 3])
def test_alphabet(bits: int) -> None:
    env = make("passive", phase_bits=bits, control="surface", action="discrete", episode="one_shot")
    assert env.action_space == gymnasium.spaces.MultiDiscrete([2**bits] * M)
    env.reset(seed=0)
    action = np.arange(M) % 2**bits
    env.step(action)
    design = env.unwrapped.design
    wanted = np.exp(2j * np.pi * action / 2**bits)
    assert np.allclose(design.coefficients[0].sum(axis=0), wanted, atol=1e-6)
    assert not design.coefficients[0, 0, 1::2].any() and not design.coefficients[0, 1, ::2].any()


@pytest.mark.parametrize("form", BOXES)
def test_rounded_phases_of_every_kind(form: str) -> None:
    env = make(form, phase_bits=2)
    env.reset(seed=0)
    env.step(env.action_space.sample())
    theta = env.unwrapped.design.coefficients
    phases = np.angle(theta[np.abs(theta) > 1e-6]) / (0.5 * np.pi)
    assert len(phases) >= M and np.allclose(phases, np.round(phases), atol=1e-5)


@pytest.mark.parametrize(
    ("keywords", "match"),
    [
        ({"action": "discrete", "control": "surface", "phase_bits": 2}, r"has none for \['amplitude', 'split'\]"),
        ({"action": "discrete", "control": "surface", "phase_bits": 2, "protocol": "ms"}, r"has none for \['amplitude'\]"),
        ({"action": "discrete", "control": "surface", "phase_bits": 2, "kind": "star"}, r"has none for \['split'\]"),
        ({"action": "discrete", "control": "surface", "kind": "passive"}, r"has none for \['phase'\]"),
        ({"action": "discrete", "control": "structured", "phase_bits": 2, "kind": "passive"}, "has none for"),
        ({"kind": "star", "objective_form": "log"}, "objective_form"),
        ({"kind": "active", "num_elements_h": 3, "num_elements_v": 1}, "num_elements_h"),
        ({"protocol": "ms", "num_elements_h": 5, "num_elements_v": 1}, "num_elements_h"),
        ({"num_targets": (2, 0)}, "num_targets"), ({"num_users": 4}, "num_users"), ({"num_users": (1, 2, 3)}, "num_users"),
        ({"protocol": "tdma"}, "protocol"), ({"kind": "hybrid"}, "kind"), ({"surface_share": 1.0}, "surface_share"),
        ({"min_rate_bps_hz": -1.0}, "min_rate_bps_hz"), ({"bs_position_m": (1.0, 0.0, 0.0)}, "bs_position_m"),
        ({"target_angles_deg": ((0.0, 0.0),)}, "target_angles_deg"), ({"num_elements_h": 0}, "num_elements_h"),
    ],
    ids=str,
)  # fmt: skip
def test_what_excludes_each_other(keywords: dict[str, Any], match: str) -> None:
    for build in (gymnasium.make, gymnasium.make_vec):
        with pytest.raises((ValueError, TypeError), match=match):
            build(ID, **keywords)
