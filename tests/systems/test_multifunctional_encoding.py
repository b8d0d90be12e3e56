"""Encoding of `multifunctional`: the inverse of decoding, canonical designs, repair."""

from __future__ import annotations

import multifunctional_rules as rules
import numpy as np
import pytest
from multifunctional_designs import (
    BATCH,
    edge_actions,
    every_case,
    hard_constraints,
    random_design,
    raw_designs,
    same_metrics,
    setting,
    uniform,
)

from ris_gym import variables as var


@every_case
def test_encode_by_hand(case: str) -> None:
    """Section 3's inverse, number by number."""
    system, scene = setting(case)
    design = system.decode(scene, uniform(system, "full"))
    row, _ = rules.traits(system)
    raw = system.encode(scene, design)
    where, variables = var.slices(system.variables()), {v.name: v for v in system.variables()}
    root, limit = np.sqrt(rules.budgets(system)[0]), rules.cap(system)
    for b in range(BATCH):
        theta = design.coefficients[b]
        q = np.sum(np.abs(theta) ** 2, axis=0)
        used = np.abs(theta).argmax(axis=0)
        for name in ("beams", "sensing_beams"):
            flat = np.asarray(getattr(design, name)[b]).reshape(-1) / root
            assert np.allclose(raw[b, where[name]], np.concatenate([flat.real, flat.imag]), atol=1e-12), name
        phases = np.angle(theta) if row in ("es", "ts", "star") else np.angle(theta[used, np.arange(len(q))])
        turned = raw[b, where["phase"]].reshape(phases.shape) - phases / np.pi
        assert np.allclose(np.exp(1j * np.pi * turned), 1.0, atol=1e-9) and np.all(raw[b, where["phase"]] < 1.0)
        if "amplitude" in where:
            level = np.abs(theta) if row == "ts" else np.sqrt(q)
            assert np.allclose(raw[b, where["amplitude"]], (2 * level / np.sqrt(limit) - 1).reshape(-1), atol=1e-9)
        if "split" in where:
            psi = np.arctan2(np.abs(theta[1]), np.abs(theta[0]))
            assert np.allclose(raw[b, where["split"]], 4 * psi / np.pi - 1, atol=1e-9)
        if "mode" in where:
            assert np.array_equal(raw[b, where["mode"]], np.where(design.mode[b] == 0, 0.5, -0.5))
        if "time_fraction" in where:
            assert np.allclose(raw[b, where["time_fraction"]], (design.time_fraction[b] - 0.5) / 0.45, atol=1e-12)
    assert raw.shape[1] == sum(v.size for v in variables.values())


def test_unused_numbers_are_zero() -> None:
    """Phases of dark coefficients and unserved columns 0, psi = pi/4 (x = 0) for a dark element."""
    for case in ("es", "ms", "ts", "active"):
        system, scene = setting(case)
        design = system.decode(scene, uniform(system, "full"))
        theta = design.coefficients.copy()
        theta[:, :, 1] = 0.0
        dark = system.project(scene, design.replace(coefficients=theta))
        raw = system.encode(scene, dark)
        where, m = var.slices(system.variables()), system.num_elements
        phase = raw[:, where["phase"]].reshape(BATCH, -1, m)
        assert not phase[:, :, 1].any()
        assert np.allclose(raw[:, where["amplitude"]].reshape(BATCH, -1, m)[:, :, 1], -1.0)
        if case == "es":
            assert np.all(raw[:, where["split"]][:, 1] == 0.0)
        if case == "ts":
            beams = raw[:, where["beams"]].reshape(BATCH, 2, 2, 5, 3)  # parts, slots, N, K
            assert not beams[:, :, 0, :, 2].any() and not beams[:, :, 1, :, :2].any()
        same_metrics(system, scene, system.decode(scene, raw), dark)


@every_case
def test_round_trips(case: str) -> None:
    """Metrics of decode(encode(d)) to 1e-9: decode's image, canonical designs, quiet ones, designs of other columns."""
    system, scene = setting(case)
    designs = [system.decode(scene, raw) for raw in edge_actions(system, "full")]
    designs += [system.canonical(scene, raw) for raw in raw_designs(system)]
    designs += [system.canonical(scene, random_design(system, 5, columns=columns)) for columns in (0, 1, 3)]
    for design in designs:
        raw = system.encode(scene, design)
        assert raw.shape == (BATCH, var.length(system.variables())) and np.all(np.abs(raw) <= 1.0)
        again = system.decode(scene, raw)
        same_metrics(system, scene, again, design)
        for (name, array), (_, other) in zip(design.items(), again.items(), strict=True):
            assert np.allclose(array, other, rtol=0, atol=1e-9 * np.abs(array).max(initial=1e-12)), name
        assert np.allclose(system.encode(scene, again), raw, atol=1e-7)


@every_case
@pytest.mark.parametrize("control", ["surface", "structured"])
def test_round_trips_of_the_other_controls(case: str, control: str) -> None:
    """Decode's image comes back to the same metrics."""
    system, scene = setting(case)
    for raw in (uniform(system, control), system.start(scene, control), 0 * uniform(system, control)):
        design = system.decode(scene, raw, control)
        encoded = system.encode(scene, design, control)
        assert encoded.shape == raw.shape and np.all(np.abs(encoded) <= 1.0)
        same_metrics(system, scene, system.decode(scene, encoded, control), design)


@every_case
@pytest.mark.parametrize("columns", [0, 1, 3])
def test_canonical(case: str, columns: int) -> None:
    """S columns; the best rank S_0 of the sensing covariance where there are more, the same covariance where there are fewer."""
    system, scene = setting(case)
    feasible = system.project(scene, random_design(system, 6, columns=columns))
    done = system.canonical(scene, feasible)
    hard_constraints(system, scene, done)
    s0 = system.num_sensing_beams
    assert done.sensing_beams.shape[-1] == s0
    assert np.allclose(done.beams, feasible.beams, rtol=1e-9, atol=1e-12)
    assert np.allclose(done.coefficients, feasible.coefficients, rtol=1e-9, atol=1e-12)
    count = BATCH * (2 if done.time_fraction is not None else 1)
    ours, theirs = (x.reshape(count, system.num_antennas, x.shape[-1]) for x in (done.sensing_beams, feasible.sensing_beams))
    for found, sensing in zip(ours, theirs, strict=True):
        values, vectors = np.linalg.eigh(sensing @ sensing.conj().T)
        values[: len(values) - s0] = 0.0
        assert np.allclose(found @ found.conj().T, (vectors * values) @ vectors.conj().T, atol=1e-10)
    if columns <= s0:
        same_metrics(system, scene, done, feasible)
    twice = system.canonical(scene, done)
    same_metrics(system, scene, twice, done, 1e-10)
    wild = system.canonical(scene, random_design(system, 6, columns=columns, scale=10.0))
    hard_constraints(system, scene, wild)
    assert wild.sensing_beams.shape[-1] == s0


def test_repair_keeps_what_is_hard() -> None:
    """Whatever the repair is, its designs are hard-feasible, canonical and finite; nothing feasible gets infeasible."""
    for case in ("es", "ms loud", "ts", "active", "star", "passive"):
        system, scene = setting(case)
        for raw in (uniform(system, "full"), system.start(scene)):
            design = system.decode(scene, raw)
            done = system.repair(scene, design)
            hard_constraints(system, scene, done)
            before, after = system.evaluate(scene, design), system.evaluate(scene, done)
            assert np.all(after.feasible | ~before.feasible) and np.isfinite(after.score).all()
            same_metrics(system, scene, system.decode(scene, system.encode(scene, done)), done)
