"""Landscapes: the closed form against automatic differentiation, finite differences, and the metrics themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import ris_gym
from ris_gym import variables as var
from ris_gym.systems.beampattern import beams as rules
from ris_gym.systems.beampattern.landscape import BeampatternLandscape
from ris_gym.systems.landscape import Landscape

DIFFERENTIABLE = [name for name in ris_gym.systems.names() if "local" in ris_gym.systems.get(name).observations]

SEVERAL = {"num_users": 2, "sinr_threshold_db": 8.0, "user_radius_m": 5.0}


def make(**fields):
    return ris_gym.systems.make("beampattern", **({"num_elements": 9, "num_antennas": 4} | fields))


def point(landscape, seed=0, size=0.3):
    torch.manual_seed(seed)
    x = landscape.start()
    return landscape.move(x, size * torch.randn(x.shape, dtype=x.dtype))


@pytest.mark.parametrize(
    "fields",
    [
        SEVERAL,
        SEVERAL | {"cancel_sensing": False},
        SEVERAL | {"num_users": 3, "num_sensing_beams": 0, "sinr_threshold_db": (5.0, 8.0, 10.0)},
        SEVERAL | {"preset": "sectors", "cancel_sensing": False},
    ],
)
def test_closed_form_equals_automatic_differentiation(fields):
    system = make(**fields)
    known = system.known(system.sample(np.random.default_rng(0), batch=4))
    closed, general = BeampatternLandscape(system, known, torch.float64), Landscape(system, known, "full", torch.float64)
    x = point(closed)
    mine, other = closed.linearise(x), general.linearise(x)
    assert torch.allclose(mine.score, other.score, rtol=0, atol=1e-12)
    assert torch.allclose(mine.slack, other.slack, rtol=0, atol=1e-12)
    assert torch.allclose(mine.jacobian, other.jacobian, rtol=0, atol=1e-11)


@pytest.mark.parametrize("sensing", [0, 2])
def test_one_user_counts_the_snr_after_the_rematch(sensing):
    system = make(num_sensing_beams=sensing)
    known = system.known(system.sample(np.random.default_rng(1), batch=5))
    landscape = BeampatternLandscape(system, known, torch.float64)
    x = point(landscape)
    score, slack = landscape.pieces(x)
    design = system.decode(known, landscape.raw(x))
    h, _ = rules.effective_rows(system, np, known, design.coefficients)
    beams = rules.match(system, np, design.all_beams, h.conj().swapaxes(1, 2))
    metrics = system.evaluate(known, design.replace(beams=beams[..., :1], sensing_beams=beams[..., 1:]))
    expected = system.pieces(metrics)
    assert np.allclose(score.numpy(), expected[0], rtol=0, atol=1e-12)
    assert np.allclose(slack.numpy(), expected[1], rtol=0, atol=1e-12)


def test_jacobian_equals_finite_differences_of_pieces():
    system = make()
    known = system.known(system.sample(np.random.default_rng(2), batch=3))
    landscape = BeampatternLandscape(system, known, torch.float64)
    x = point(landscape)
    jacobian = landscape.linearise(x).jacobian
    step = 1e-6
    for i in range(x.shape[1]):
        change = torch.zeros_like(x)
        change[:, i] = step
        plus, minus = torch.cat(landscape.pieces(x + change), 1), torch.cat(landscape.pieces(x - change), 1)
        if i >= system.num_elements:  # along F itself a piece of un-normalised beams grows; the landscape counts directions
            plus = torch.cat(landscape.pieces(landscape.move(x, change)), 1)
            minus = torch.cat(landscape.pieces(landscape.move(x, -change)), 1)
        assert torch.allclose(jacobian[:, i], (plus - minus) / (2 * step), rtol=0, atol=1e-7), i


def test_alignment_is_minus_half_of_the_curvature_of_the_numerator():
    """Along one phase, `|y|^2` of a beam has second derivative `2 |b|^2 - 2 Re(conj(y) b)`, b the path over that element."""
    system = make(num_sensing_beams=0)
    known = system.known(system.sample(np.random.default_rng(3), batch=2))
    landscape = BeampatternLandscape(system, known, torch.float64)
    x = point(landscape)
    at = landscape.linearise(x)
    total = at.alignment.sum(dim=1)[:, : landscape.targets]
    # sum_n Re(conj(y) b_n) 2 / (ln 10 |y|^2) = 2 / ln 10 for targets: all their paths go over the surface
    assert torch.allclose(total, torch.full_like(total, 2.0 / np.log(10.0)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("control", ["structured", "surface"])
def test_general_form_equals_pieces_jacobian(control):
    system = make()
    known = system.known(system.sample(np.random.default_rng(4), batch=3))
    landscape = system.landscape(known, control)
    assert type(landscape) is Landscape
    landscape = Landscape(system, known, control, torch.float64)
    x = landscape.start()
    at = landscape.linearise(x)
    score, slack, jacobian = system.pieces_jacobian(known, landscape.raw(x), control)
    assert np.allclose(at.score, score, atol=1e-12) and np.allclose(at.slack, slack, atol=1e-12)
    assert np.allclose(at.jacobian.numpy().swapaxes(1, 2), jacobian, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "control"),
    [(name, control) for name in DIFFERENTIABLE for control in ris_gym.systems.get(name).controls],
)
def test_every_system_has_a_landscape(name, control):
    system = ris_gym.systems.make(name)
    known = system.known(system.sample(np.random.default_rng(5), batch=3))
    landscape = system.landscape(known, control)
    x = landscape.start()
    raw = landscape.raw(landscape.move(x, torch.full_like(x, 0.3)))
    score, slack = system.pieces(system.evaluate(known, system.decode(known, raw, control)))
    mine = landscape.pieces(landscape.move(x, torch.full_like(x, 0.3)))
    assert np.allclose(mine[0], score, atol=1e-4)
    if type(landscape) is Landscape:
        assert np.allclose(mine[1], slack, atol=1e-4)
    else:  # a closed form may count what an exact repair adds (one user of `beampattern`), never less than the design's own
        assert np.all(mine[1].numpy() >= slack - 1e-4)
    owners = [v.owner == "surface" and bool(v.shape) for v in landscape.variables for _ in range(v.size)]
    assert landscape.surface == sum(owners) and raw.shape[1] == var.length(landscape.variables)


def test_single_precision_and_raw_vector_agree_with_evaluate():
    system = make(num_elements=32, num_antennas=8)
    known = system.known(system.sample(np.random.default_rng(6), batch=32))
    landscape = system.landscape(known)
    assert isinstance(landscape, BeampatternLandscape)
    x = point(landscape, size=1.0)
    raw = landscape.raw(x)
    assert raw.min() >= -1.0 and raw.max() <= 1.0
    score, _ = system.pieces(system.evaluate(known, system.decode(known, raw)))
    assert np.abs(landscape.pieces(x)[0].numpy() - score).max() < 1e-4


@pytest.mark.parametrize("name", ["bs_ris", "ris_user", "bs_user"])
def test_dead_channels_give_finite_numbers(name):
    system = make()
    scene = system.sample(np.random.default_rng(7), batch=2)
    dead = system.known(scene.replace(**{name: np.zeros_like(getattr(scene, name))}))
    landscape = system.landscape(dead)
    at = landscape.linearise(landscape.start())
    for part in (at.score, at.slack, at.jacobian, at.alignment):
        assert torch.isfinite(part).all()


@pytest.mark.parametrize("name", ris_gym.systems.names())
def test_unknown_control_is_named(name):
    system = ris_gym.systems.make(name)
    with pytest.raises(ValueError, match="control must be one of"):
        system.landscape(system.known(system.sample(np.random.default_rng(8), batch=1)), "phases")
