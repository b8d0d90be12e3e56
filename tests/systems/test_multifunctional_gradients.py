"""Derivatives and landscape of `multifunctional`: closed forms against automatic differentiation, differences, metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import ris_gym
from ris_gym import variables as var
from ris_gym.systems.base import System
from ris_gym.systems.multifunctional import physics, self_check
from ris_gym.systems.multifunctional.landscape import MultiFunctionalLandscape

SMALL: dict[str, Any] = {"num_antennas": 4, "num_elements_h": 3, "num_elements_v": 2, "num_sensors_h": 3, "num_sensors_v": 2}
KINDS: list[dict[str, Any]] = [
    {},
    {"objective_form": "sum"},
    {"objective_form": "db"},
    {"protocol": "ms"},
    {"protocol": "ts"},
    {"protocol": "ts", "num_users": (1, 2), "num_targets": (2, 1), "num_sensing_beams": 0},
    {"kind": "active"},
    {"kind": "active", "objective_form": "sum", "num_targets": (1, 3)},
    {"kind": "star"},
    {"kind": "passive"},
    {"num_users": (2, 0), "num_targets": (3, 1)},
    {"num_targets": (1, 1), "num_sensors_h": 1, "num_sensors_v": 1},
    {"phase_bits": 2},
    {"min_rate_bps_hz": 0.0},
]


def drawn(fields: dict[str, Any], batch: int = 5) -> tuple[Any, Any, np.ndarray]:
    """A system, what is known of scenes, raw vectors: random ones, quiet ones, near the start rule."""
    system = ris_gym.systems.make("multifunctional", **(SMALL | fields))
    known = system.known(system.sample(np.random.default_rng(0), batch, csi_error=0.05))
    raw = np.random.default_rng(1).uniform(-1.0, 1.0, (batch, var.length(system.variables())))
    raw[0] *= 0.03
    raw[-1] = 0.9 * system.start(known)[-1]
    return system, known, raw


@pytest.mark.parametrize("fields", KINDS, ids=str)
def test_closed_form_equals_automatic_differentiation(fields: dict[str, Any]) -> None:
    system, known, raw = drawn(fields)
    ours, general = system.pieces_jacobian(known, raw), System.pieces_jacobian(system, known, raw)
    for mine, theirs in zip(ours, general, strict=True):
        size = np.abs(theirs).max(axis=tuple(range(2, theirs.ndim)), keepdims=True) if theirs.ndim > 2 else 1.0
        assert np.all(np.abs(mine - theirs) <= 1e-8 * size)


@pytest.mark.parametrize("fields", [{}, {"protocol": "ts"}, {"kind": "active"}, {"kind": "star"}], ids=str)
def test_closed_form_equals_differences(fields: dict[str, Any]) -> None:
    system, known, raw = drawn(fields)
    jacobian = system.pieces_jacobian(known, raw)[2]
    direction = np.random.default_rng(2).standard_normal(raw.shape)
    step = 1e-6

    def values(at: np.ndarray) -> np.ndarray:
        return np.concatenate(system.pieces(system.evaluate(known, system.decode(known, at))), axis=1)

    change = (values(raw + step * direction) - values(raw - step * direction)) / (2.0 * step)
    assert np.allclose((jacobian @ direction[..., None])[..., 0], change, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("fields", [{}, {"protocol": "ms"}, {"kind": "star"}], ids=str)
def test_surface_leaves_out_what_vanishes(fields: dict[str, Any]) -> None:
    system = ris_gym.systems.make("multifunctional", **fields)
    known = system.sample(np.random.default_rng(6), 12)
    raw = np.random.default_rng(7).uniform(-0.9, 0.9, (12, var.length(system.variables("surface"))))
    ours, general = system.pieces_jacobian(known, raw, "surface"), System.pieces_jacobian(system, known, raw, "surface")
    missed = np.any(general[1] < 0.0, axis=1)
    largest = np.abs(general[2]).max(axis=(1, 2))
    assert np.allclose(ours[2][:, :1], general[2][:, :1], rtol=1e-6, atol=1e-9)
    assert np.allclose(ours[2][missed], general[2][missed], rtol=1e-6, atol=1e-9)
    assert (~missed).any()
    served = np.abs(general[2][~missed, 1:]).max(axis=(1, 2))
    # a scene that the rule gives up, but where equal powers happen to do, has other derivatives
    assert np.mean(served < 1e-6 * largest[~missed]) > 0.8


def test_single_precision() -> None:
    system, known, raw = drawn({}, batch=40)
    wide = system.pieces_jacobian(known, raw)[2]
    narrow = system.pieces_jacobian(known.astype("complex64"), raw.astype(np.float32))[2]
    assert narrow.dtype == np.float32
    error = np.abs(narrow - wide).max(axis=2) / np.abs(wide).max(axis=2)
    assert np.median(error) < 1e-5 and error.max() < 1e-2


@pytest.mark.parametrize("fields", [f for f in KINDS if f.get("min_rate_bps_hz") != 0.0], ids=str)
def test_landscape_counts_what_its_raw_vector_is_worth(fields: dict[str, Any]) -> None:
    system, known, _ = drawn(fields)
    landscape = system.landscape(known)
    assert isinstance(landscape, MultiFunctionalLandscape)
    torch.manual_seed(0)
    x = landscape.start()
    x = landscape.move(x, 0.3 * torch.randn(x.shape))
    raw = landscape.raw(x)
    assert raw.shape[1] == var.length(system.variables()) and np.abs(raw).max() <= 1.0
    score, slack = system.pieces(system.evaluate(known, system.decode(known, raw)))
    mine = landscape.pieces(x)
    assert np.allclose(mine[0], score, atol=1e-5) and np.allclose(mine[1], slack, atol=1e-5)


@pytest.mark.parametrize("fields", [{}, {"protocol": "ts"}, {"kind": "active"}], ids=str)
def test_landscape_slopes_are_differences(fields: dict[str, Any]) -> None:
    system, known, _ = drawn(fields)
    landscape = system.landscape(known)
    torch.manual_seed(1)
    x = landscape.start().double()
    x = landscape.move(x, 0.2 * torch.randn(x.shape, dtype=torch.float64))
    slope = landscape.linearise(x).jacobian[..., 0]
    direction, step = torch.randn(x.shape, dtype=torch.float64), 1e-6
    plus, minus = (landscape.pieces(x + sign * step * direction)[0][:, 0] for sign in (1.0, -1.0))
    assert torch.allclose((slope * direction).sum(dim=1), (plus - minus) / (2.0 * step), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("fields", [{}, {"protocol": "ms"}, {"protocol": "ts"}, {"kind": "active"}, {"kind": "star"}], ids=str)
def test_landscape_meets_the_rates_along_the_way(fields: dict[str, Any]) -> None:
    """Where the powers suffice at all, moving the surface and the beams leaves every rate met, by the margin and no more."""
    system: Any = ris_gym.systems.make("multifunctional", **fields)
    known = system.sample(np.random.default_rng(3), 20)
    landscape = system.landscape(known)
    torch.manual_seed(2)
    x = landscape.start()
    x = landscape.move(x, 0.1 * torch.randn(x.shape))
    slack = landscape.pieces(x)[1]
    met = (slack >= 0.0).all(dim=1)
    assert met.float().mean() > (0.9 if system.amplifies else 0.5)
    assert slack[met].max() < 0.05 * 5.0 / system.min_rate_bps_hz
    at = landscape.linearise(x[met.numpy()] if met.all() else x)
    assert torch.isfinite(at.jacobian).all()


def test_landscape_on_the_truth() -> None:
    system = ris_gym.systems.make("multifunctional", **SMALL)
    scene = system.sample(np.random.default_rng(4), 4, csi_error=0.2)
    known = system.known(scene)
    landscape = system.landscape(known)
    x = landscape.start()
    design = system.project(scene, system.decode(known, landscape.raw(x)))
    expected = system.pieces(system.evaluate(scene, design))
    score, slack = landscape.on(scene).pieces(x)
    assert np.allclose(score, expected[0], atol=1e-5) and np.allclose(slack, expected[1], atol=1e-5)


@pytest.mark.parametrize("fields", KINDS[:10], ids=str)
def test_self_check(fields: dict[str, Any]) -> None:
    system: Any = ris_gym.systems.make("multifunctional", **(SMALL | fields))
    found = system.self_check()
    assert found.keys() == self_check.TOLERANCES.keys()
    assert all(value <= self_check.TOLERANCES[name] for name, value in found.items()), found


def test_self_check_notices(monkeypatch: pytest.MonkeyPatch) -> None:
    """A transposed response, a missing noise and a wrong slope show."""
    system: Any = ris_gym.systems.make("multifunctional", **SMALL)
    monkeypatch.setattr(physics, "returned_noise", lambda *arguments: 0.0 * original(*arguments))
    assert system.self_check()["echo"] > self_check.TOLERANCES["echo"]
    monkeypatch.undo()
    monkeypatch.setattr(physics, "user_noise", lambda system, xp, scene, gain: 2.0 * noise(system, xp, scene, gain))
    assert system.self_check()["rate"] > self_check.TOLERANCES["rate"]


original, noise = physics.returned_noise, physics.user_noise


def test_unfolded_ascent_climbs_and_trains_to_first_order() -> None:
    """Few untrained layers raise the score with all rates met; the first-order form has the same values, and a gradient."""
    from agents.unfolded.network import UnfoldedNetwork

    system = ris_gym.systems.make("multifunctional")
    known = system.sample(np.random.default_rng(5), 6)
    network = UnfoldedNetwork(layers=6, penalty=5.0, first_metric=(0.05, 0.03), memory=0.9, anneal=True)
    ascent = network(system.landscape(known), first_order=True)
    assert (ascent.values[-1] > ascent.values[0] + 0.3).all()
    ascent.values[-1].mean().backward()
    gradient = network.schedule.grad
    assert gradient is not None and torch.isfinite(gradient).all() and gradient.abs().max() > 0.0
    with torch.no_grad():
        again = network(system.landscape(known))
    assert torch.allclose(again.values, ascent.values.detach(), atol=1e-6)
