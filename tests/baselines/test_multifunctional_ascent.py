"""Joint ascent of `multifunctional`: derivatives, and what it adds to the alternation."""

from __future__ import annotations

import numpy as np
import pytest

import baselines
from baselines.multifunctional.ascent import projected, pulled_back, value_and_gradient
from baselines.multifunctional.units import Channels
from ris_gym import systems


@pytest.mark.parametrize("form", ["log", "sum", "db"])
@pytest.mark.parametrize("size", [0.1, 0.5])
def test_derivative_through_the_projection(form, size):
    system = systems.make("multifunctional", preset="small", objective_form=form, min_rate_bps_hz=4.0)
    channels = Channels.of(system, system.known(system.sample(np.random.default_rng(0), 2)))
    rng = np.random.default_rng(1)

    def draw(*shape):
        return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)

    w, theta = size * draw(2, 4, 3), size * draw(2, 2, 8)
    dw, dtheta = draw(*w.shape), draw(*theta.shape)
    slopes = pulled_back(channels, w, theta, *value_and_gradient(channels, *projected(channels, w, theta))[1:])
    exact = (slopes[0].conj() * dw).real.sum((1, 2)) + (slopes[1].conj() * dtheta).real.sum((1, 2))
    step = 1e-6
    sides = [value_and_gradient(channels, *projected(channels, w + s * dw, theta + s * dtheta))[0] for s in (step, -step)]
    assert np.allclose((sides[0] - sides[1]) / (2 * step), exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("fields", [{}, {"protocol": "ms"}, {"protocol": "ts"}])
def test_after_the_alternation_it_does_not_lose_and_keeps_the_rates(fields):
    system = systems.make("multifunctional", preset="small", **fields)
    known = system.known(system.sample(np.random.default_rng(3), 3))
    options = {"time_fractions": (0.5,)} if fields.get("protocol") == "ts" else {}
    ao = baselines.make("ao", system, **options).solve(known, np.random.default_rng(0))
    both = baselines.make("ao+ascent", system, steps=60, **options).solve(known, np.random.default_rng(0))
    alone = baselines.make("ascent", system, steps=200, **options).solve(known, np.random.default_rng(0))
    assert both.feasible.all() and alone.feasible.all()
    assert (both.objective >= ao.objective - 1e-9).all() and (both.objective > ao.objective + 1e-3).any()
    assert (np.diff(both.history, axis=0) >= -1e-9).all()
    assert alone.objective.mean() > 0.7 * ao.objective.mean()


@pytest.mark.parametrize(("options", "name"), [({"steps": 0}, "steps"), ({"step_size": 0.0}, "step_size")])
def test_wrong_options(options, name):
    with pytest.raises(ValueError, match=name):
        baselines.make("ascent", systems.make("multifunctional", preset="small"), **options)
