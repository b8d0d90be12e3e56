"""Closed-form beams of `multifunctional`: `surface`, `structured`, the start rule, recomputed explicitly (page, section 12)."""

from __future__ import annotations

import dataclasses
from typing import Any

import multifunctional_brute as brute
import multifunctional_rules as rules
import numpy as np
import pytest
from multifunctional_designs import (
    BATCH,
    CASES,
    CONTROLS,
    KINDS,
    close,
    every_case,
    every_control,
    hard_constraints,
    setting,
    uniform,
)

from ris_gym import systems
from ris_gym import variables as var

EXPLICIT = [  # cases that the page defines to the last digit: a user in every slot, at most as many streams as targets
    name for name in CASES if "no sensing" not in name and "ts users" not in name
]
DEFAULT: list[dict[str, Any]] = [{}, {"protocol": "ms"}, {"protocol": "ts"}, {"kind": "active"}, {"kind": "star"}]


def loud_surface(system: Any, control: str, seed: int) -> np.ndarray:
    """Random actions with amplitudes near the caps."""
    raw, where = uniform(system, control, seed), var.slices(system.variables(control))
    if "amplitude" in where:
        raw[:, where["amplitude"]] = np.random.default_rng(seed).uniform(0.5, 1.0, raw[:, where["amplitude"]].shape)
    return raw


def follows(system: Any, scene: Any, design: Any, b: int, task: rules.Task) -> bool:
    """The design is the one of the task; returns whether the surface's budget had a say.

    Where it has none: the page's steps, to 1e-7. Where it scales theta, powers, directions and scale depend on each other and
    the page goes round twice; the system goes on until they agree: the beams are the page's at the final theta, and that is
    step (4) of the action's theta.
    """
    free = not task.binds(system, scene, b)
    if free:
        close(design, b, task.by_page(system, scene, b), 1e-7)
    given = rules.raw_of(design, b)
    close(design, b, task.run(system, scene, b, lambda c, off, s: (task.make(c, off, s), c.theta), given.theta), 1e-8)
    close(design, b, rules.finish(system, np.asarray(scene.bs_ris[b]), dataclasses.replace(given, theta=task.theta)), 1e-7)
    return not free


@pytest.mark.parametrize("control", ["surface", "structured"])
@pytest.mark.parametrize("case", EXPLICIT)
def test_beams_by_hand(case: str, control: str) -> None:
    """`surface`: steps 1 to 6 of the rule; `structured`: directions, softmax of the powers, projection step (4)."""
    system, scene = setting(case)
    bound = []
    for raw in (uniform(system, control), loud_surface(system, control, 5)):
        design = system.decode(scene, raw, control)
        hard_constraints(system, scene, design)
        bound += [follows(system, scene, design, b, rules.task(system, raw[b], control)) for b in range(BATCH)]
    assert any(bound) == ("loud" in case)


@pytest.mark.parametrize("fields", DEFAULT)
def test_beams_at_the_defaults(fields: dict[str, Any]) -> None:
    system = systems.make("multifunctional", **fields)
    scene = system.sample(np.random.default_rng(1), 2)
    for control in ("surface", "structured"):
        for raw in (uniform(system, control, batch=2), system.start(scene, control)):
            design = system.decode(scene, raw, control)
            for b in range(2):
                follows(system, scene, design, b, rules.task(system, raw[b], control))


def test_both_branches_of_the_powers_are_tested() -> None:
    """Among the cases above are scenes whose rates the rule can meet, and scenes where it falls back to equal powers."""
    served = []
    for case in EXPLICIT:
        system, scene = setting(case)
        for raw in (uniform(system, "surface"), loud_surface(system, "surface", 5)):
            served += list(np.abs(system.decode(scene, raw, "surface").sensing_beams).reshape(BATCH, -1).max(axis=1) > 1e-9)
    assert 0.1 < np.mean(served) < 0.95


@pytest.mark.parametrize("case", EXPLICIT)
def test_rates_of_the_rule(case: str) -> None:
    """Where the powers exist and the last step leaves the surface alone, each user has exactly Gamma, 1 dB above its rate."""
    system, scene = setting(case)
    for raw in (uniform(system, "surface"), system.start(scene, "surface")):
        design = system.decode(scene, raw, "surface")
        found = system.evaluate(scene, design)
        user_side, gaps = brute.sides(system.num_users), []
        for b in range(BATCH):
            share = None if design.time_fraction is None else float(design.time_fraction[b])
            slots = rules.slot_list(system, share)
            for i, slot in enumerate(slots):
                sensing = design.sensing_beams[b] if share is None else design.sensing_beams[b, i]
                below = found.surface_power_w is None or found.surface_power_w[b] < system.surface_power_w * 0.999
                if np.abs(sensing).max() > 1e-9 and below:
                    gamma = 10**0.1 * (2**slot.rate - 1)
                    gaps += [brute.linear(found.sinr_db[b, k]) / gamma for k in slot.users]
        assert np.allclose(gaps, 1.0, atol=1e-6) and len(user_side) == found.rate.shape[1]


@pytest.mark.parametrize("preset", ["default", "small"])
@pytest.mark.parametrize("fields", [{}, {"kind": "active"}])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_rule_meets_the_rates(preset: str, fields: dict[str, Any], seed: int) -> None:
    """8 of 8 scenes, from the start (page, section 12)."""
    system = systems.make("multifunctional", preset=preset, **fields)
    scene = system.sample(np.random.default_rng(seed), 8)
    for control in ("surface", "full"):
        found = system.evaluate(scene, system.decode(scene, system.start(scene, control), control))
        assert found.feasible.all() and not found.cost.any()


@every_case
def test_rule_without_users_or_streams(case: str) -> None:
    """Slots without users, no sensing streams, a dark surface, no rate: finite, within the budgets, nobody else served."""
    base, scene = setting(case)
    for system in (base, dataclasses.replace(base, min_rate_bps_hz=0.0), dataclasses.replace(base, min_rate_bps_hz=30.0)):
        for raw in (uniform(system, "surface"), -np.ones_like(uniform(system, "surface"))):
            design = system.decode(scene, raw, "surface")
            hard_constraints(system, scene, design)
            for name, array in system.evaluate(scene, design).items():
                assert np.isfinite(array).all(), name
    if case == "ts users on one side":
        design = base.decode(scene, base.start(scene, "surface"), "surface")
        assert not design.beams[:, 1].any() and np.abs(design.sensing_beams[:, 1]).max() > 0


@pytest.mark.parametrize("streams", [1, 2, 3, 4])
def test_more_streams_than_targets(streams: int) -> None:
    """`tiny` has four sensing beams and two targets: rates met, budget kept."""
    system = systems.make("multifunctional", preset="small", num_sensing_beams=streams)
    scene = system.sample(np.random.default_rng(0), 8)
    design = system.decode(scene, system.start(scene))
    hard_constraints(system, scene, design)
    assert design.sensing_beams.shape == (8, 4, streams) and system.evaluate(scene, design).feasible.all()


# -- structured ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ["es no sensing beams", "ts no sensing beams"])
def test_structured_without_sensing(case: str) -> None:
    """No sensing columns, the whole power to the users."""
    system, scene = setting(case)
    raw = uniform(system, "structured")
    design = system.decode(scene, raw, "structured")
    assert design.sensing_beams.shape[-1] == 0
    hard_constraints(system, scene, design)
    values = var.split(system.variables("structured"), raw)
    ts = design.time_fraction is not None
    for b in range(BATCH):
        share = None if design.time_fraction is None else float(design.time_fraction[b])
        for i, slot in enumerate(rules.slot_list(system, share)):
            beams = design.beams[b, i] if ts else design.beams[b]
            logits = np.exp(4 * values["user_power"][b][slot.users])
            found = np.linalg.norm(beams[:, slot.users], axis=0) ** 2
            assert np.allclose(found, system.power_w * logits / logits.sum(), rtol=1e-9)


@pytest.mark.parametrize("case", KINDS)
def test_structured_encode(case: str) -> None:
    """The surface comes back; powers by least squares; `regulariser` 0."""
    system, scene = setting(case)
    design = system.decode(scene, system.start(scene))
    raw = system.encode(scene, design, "structured")
    where = var.slices(system.variables("structured"))
    assert np.all(raw[:, where["regulariser"]] == 0.0)
    full = system.encode(scene, design)
    surface = var.length(system.variables("surface"))
    tail = full[:, -surface:]
    assert np.allclose(np.exp(1j * np.pi * raw[:, :surface]), np.exp(1j * np.pi * tail), atol=1e-9)
    assert np.all(np.abs(raw) <= 1.0)


@pytest.mark.parametrize("case", KINDS)
def test_structured_encode_finds_the_powers(case: str) -> None:
    """Designs of the family at `regulariser` 0 with powers within its reach: the logits come back up to a common shift."""
    system, scene = setting(case)
    where = var.slices(system.variables("structured"))
    raw = 0.4 * uniform(system, "structured")
    if "amplitude" in where:
        raw[:, where["amplitude"]] = -0.5
    raw[:, where["regulariser"]] = 0.0
    design = system.decode(scene, raw, "structured")
    found = system.encode(scene, design, "structured")
    side = np.concatenate([brute.sides(system.num_users), brute.sides(system.num_targets)])
    part = slice(where["user_power"].start, where["target_power"].stop)
    groups = [side == i for i in range(2)] if case == "ts" else [side >= 0]
    for group in groups:
        shift = (found - raw)[:, part][:, group]
        assert np.allclose(np.ptp(shift, axis=1), 0.0, atol=1e-6)


# -- start --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", [name for name in EXPLICIT if "bits" not in name])
def test_start_by_hand(case: str) -> None:
    """Phases from targets, users and the strongest beam; equal amplitudes; beams by the rule."""
    system, scene = setting(case)
    raw = system.start(scene)
    assert raw.shape == (BATCH, var.length(system.variables())) and np.all(np.abs(raw) <= 1.0)
    design = system.decode(scene, raw)
    for b in range(BATCH):
        expected = rules.start_task(system, scene, b)
        ratio = np.vdot(expected.theta, design.coefficients[b])
        follows(system, scene, design, b, dataclasses.replace(expected, theta=expected.theta * ratio / abs(ratio)))


@every_case
@every_control
def test_start_of_every_control(case: str, control: str) -> None:
    """Same surface for all; `surface` gives the same design as `full`; deterministic."""
    system, scene = setting(case)
    raw = system.start(scene, control)
    assert np.array_equal(raw, system.start(scene, control)) and np.all(np.abs(raw) <= 1.0)
    design, full = system.decode(scene, raw, control), system.decode(scene, system.start(scene))
    hard_constraints(system, scene, design)
    unit = [np.exp(1j * np.angle(d.coefficients)) * (np.abs(d.coefficients) > 0) for d in (design, full)]
    assert np.allclose(unit[0], unit[1], atol=1e-7)
    if control == "surface":
        ours, theirs = system.evaluate(scene, design), system.evaluate(scene, full)
        assert np.allclose(ours.score, theirs.score, atol=1e-6) and np.allclose(ours.cost, theirs.cost, atol=1e-6)


def test_start_beats_random_actions() -> None:
    """The penalised score of the start is above the best of 30 random actions in nearly every default scene, for every kind."""
    for fields in DEFAULT:
        system = systems.make("multifunctional", **fields)
        scene = system.sample(np.random.default_rng(2), 10)
        start = system.penalised(system.evaluate(scene, system.decode(scene, system.start(scene))))
        draws = [
            system.penalised(system.evaluate(scene, system.decode(scene, uniform(system, "full", i, 10)))) for i in range(30)
        ]
        assert np.mean(start > np.max(draws, axis=0)) >= 0.9


def test_controls_are_the_three() -> None:
    assert systems.make("multifunctional").controls == CONTROLS
