"""Closed-form beams of `active_crb`: `surface`, `structured`, the start rule and repair, by hand."""

from __future__ import annotations

import dataclasses

import active_crb_brute as brute
import numpy as np
import pytest
from active_crb_designs import (
    BATCH,
    CONTROLS,
    actions,
    caps,
    every_case,
    hard_constraints,
    random_designs,
    same_metrics,
    setting,
    uniform,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from ris_gym import systems
from ris_gym import variables as var
from ris_gym.systems import ActiveCrb
from ris_gym.systems.active_crb import ActiveCrbDesign, ActiveCrbScene

# -- controls -----------------------------------------------------------------------------------------------------------------


@every_case
def test_surface_rule_by_hand(case: str) -> None:
    """Beams of the page's closed form, against explicit projections in the metric of R_s."""
    system, scene = setting(case)
    raw = uniform(system, "surface", 5)
    if not system.passive:
        raw[:, : system.num_elements] = np.random.default_rng(6).uniform(0.2, 1.0, (BATCH, system.num_elements))
    design = system.decode(scene, raw, "surface")
    budget = None if system.passive else system.surface_power_w
    for b in range(BATCH):
        c = brute.case(system, scene, design, b)
        _, r_s = brute.lower_bound(c, system.power_w, budget, system.max_amplitude)
        w, r0, _, _ = brute.rule(c, r_s, system.sinr_threshold, system.power_w, budget)
        size = max(np.abs(w).max() ** 2, np.abs(r0).max())
        assert np.allclose(design.beams[b], w, rtol=0, atol=1e-5 * np.sqrt(size))
        assert np.allclose(design.sensing_cov[b], r0, rtol=0, atol=1e-5 * size)
    if system.sinr_threshold is None:
        assert not design.beams.any()


@pytest.mark.parametrize("case", ["both budgets", "surface limited", "one user", "as many users as elements", "passive"])
def test_surface_rule_meets_the_users_exactly(case: str) -> None:
    """`SINR_k = gamma_k + zeta t_k / n_k` wherever zeta >= 1e-2 before its floor; nothing else reaches a user."""
    system, scene = setting(case, 40)
    if system.passive:
        system = dataclasses.replace(system, sinr_threshold_db=-30.0)
    elif system.num_users == system.num_elements:
        system = dataclasses.replace(system, sinr_threshold_db=-5.0)
    raw = uniform(system, "surface", 8, 40)
    if not system.passive:
        raw[:, : system.num_elements] = np.random.default_rng(9).uniform(0.9, 1.0, (40, system.num_elements))
    design = system.decode(scene, raw, "surface")
    metrics = system.evaluate(scene, design)
    budget = None if system.passive else system.surface_power_w
    seen = 0
    for b in range(len(scene)):
        c = brute.case(system, scene, design, b)
        _, r_s = brute.lower_bound(c, system.power_w, budget, system.max_amplitude)
        _, _, zeta, t = brute.rule(c, r_s, system.sinr_threshold, system.power_w, budget)
        paths = (c.h.conj() * c.v) @ c.g
        leak = np.abs(paths @ c.sensing) ** 2
        assert np.sum(leak, axis=1).max() <= 1e-12 * np.max(np.abs(paths @ c.w) ** 2)
        if zeta >= 1e-2:
            seen += 1
            expected = system.sinr_threshold + zeta * t / brute.user_noise(c)
            assert np.allclose(brute.sinr(c), expected, rtol=1e-5)
            assert metrics.feasible[b] and np.all(metrics.margins["sinr"][b] >= 0.0)
    assert seen >= 5


def transmit_feasible(system: ActiveCrb, c: brute.Case) -> bool:
    """Whether any beams meet the SINR and power constraints at these coefficients (those of SDR5.1), by duality.

    A full-rank R may take as little power as one likes, so the data beams alone decide. Under the weighted budget
    `tr((tau I / P_0 + (1 - tau) S / P_1) R) <= 1` the least power is sum_k q_k of the dual uplink, a fixed point; it is concave
    in tau, and both budgets can be met iff its maximum is at most 1. On a grid of tau it errs towards feasible.
    """
    paths = (c.h.conj() * c.v) @ c.g / np.sqrt(brute.user_noise(c))[:, None]
    basis = np.linalg.svd(c.g, full_matrices=False)[2].conj().T
    s, s0 = brute.surface_affine(c)
    tau = np.array([1e-3, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])[:, None, None]
    inner = basis.conj().T @ s @ basis / (system.surface_power_w - s0)
    weight = tau * np.eye(len(inner)) / system.power_w + (1.0 - tau) * inner
    rows = paths @ basis
    outer = rows.conj()[:, :, None] * rows[:, None, :]
    q = np.zeros((len(tau), len(rows)))
    for _ in range(400):
        inverse = np.linalg.inv(weight + np.einsum("tk,kmn->tmn", q, outer))
        reach = np.einsum("km,tmn,kn->tk", rows, inverse, rows.conj()).real
        new = system.sinr_threshold / (1.0 + system.sinr_threshold) / reach
        done, q = np.allclose(new, q, rtol=1e-7, atol=0.0), new
        if done or np.max(q.sum(axis=1)) > 1.0:  # it rises monotonically from 0
            break
    return bool(np.max(q.sum(axis=1)) <= 1.0)


def test_surface_rule_is_feasible_where_anything_is() -> None:
    """At 12 dB on at least 90 % of the random draws of phases on which some beams are (95 %)."""
    system = systems.make("active_crb")
    draws = 40
    scene = system.sample(np.random.default_rng(11), draws)
    raw = uniform(system, "surface", 12, draws)
    raw[:, : system.num_elements] = 1.0
    design = system.decode(scene, raw, "surface")
    met = system.evaluate(scene, design).feasible
    able = np.array([transmit_feasible(system, brute.case(system, scene, design, b)) for b in range(draws)])
    assert able.sum() >= draws // 2 and not np.any(met & ~able)
    assert met[able].mean() >= 0.9, f"{met.sum()} of {able.sum()}"


@every_case
def test_structured_by_hand(case: str) -> None:
    """Regularised zero-forcing of the users in the space of the columns of V."""
    system, scene = setting(case)
    variables = system.variables("structured")
    raw = uniform(system, "structured", 4)
    design, values = system.decode(scene, raw, "structured"), var.split(variables, raw)
    users = system.sinr_threshold is not None
    for b in range(BATCH):
        c, v = brute.case(system, scene, design, b), scene.reference["basis"][b]
        logits = np.concatenate([values["user_power"][b] if users else [], values["target_power"][b]])
        power = np.exp(4.0 * logits) / np.sum(np.exp(4.0 * logits))
        k = system.num_users
        toward = v @ np.diag(np.sqrt(power[-system.num_elements :]))
        w, sensing = np.zeros_like(c.w), toward
        if users:
            paths = (c.h.conj() * c.v) @ c.g
            d = paths @ toward
            gram = d @ d.conj().T
            loading = 10.0 ** (2.0 * values["regulariser"][b, 0] - 2.0) * np.trace(gram).real / k
            columns = toward @ d.conj().T @ np.linalg.inv(gram + loading * np.eye(k))
            w = np.sqrt(power[:k]) * columns / np.linalg.norm(columns, axis=0)
            sensing = toward - columns @ d
        total = np.concatenate([w, sensing], axis=1)
        factor = np.linalg.norm(c.r) / np.linalg.norm(total @ total.conj().T)
        size = np.abs(c.r).max()
        assert np.allclose(c.w, np.sqrt(factor) * w, rtol=0, atol=1e-9 * np.sqrt(size))
        assert np.allclose(design.sensing_cov[b], factor * sensing @ sensing.conj().T, rtol=0, atol=1e-9 * size)


def test_structured_encode_is_the_nearest() -> None:
    """Powers of the beams and of `V^H R_0 V`; `regulariser` -1; the surface as it is."""
    system, scene = setting("both budgets")
    variables = system.variables("structured")
    raw = np.random.default_rng(3).uniform(-0.9, 0.9, (BATCH, var.length(variables)))
    where = var.slices(variables)
    raw[:, where["regulariser"]] = -1.0
    design = system.decode(scene, raw, "structured")
    found = system.encode(scene, design, "structured")
    assert np.all(np.abs(found[:, where["regulariser"]] + 1.0) < 1e-6)
    for name in ("amplitude", "phase"):
        assert np.allclose(found[:, where[name]], raw[:, where[name]], atol=1e-9)
    again = system.decode(scene, found, "structured")
    same_metrics(system, scene, again, system.decode(scene, system.encode(scene, again, "structured"), "structured"))
    full = system.decode(scene, uniform(system, "full"))
    values = var.split(variables, system.encode(scene, full, "structured"))
    powers = np.sum(np.abs(full.beams) ** 2, axis=1)
    inside = np.swapaxes(scene.reference["basis"].conj(), 1, 2) @ full.sensing_beams
    targets = np.sum(np.abs(inside) ** 2, axis=2)
    expected = 0.25 * np.log(np.concatenate([powers, targets], axis=1))
    logits = np.concatenate([values["user_power"], values["target_power"]], axis=1)
    assert np.allclose(np.ptp(logits - expected, axis=1), 0.0, atol=1e-9), "logits up to a common shift"


def test_surface_encode_keeps_the_surface() -> None:
    system, scene = setting("both budgets")
    design = system.decode(scene, uniform(system, "full"))
    again = system.decode(scene, system.encode(scene, design, "surface"), "surface")
    assert np.allclose(again.coefficients, design.coefficients, rtol=1e-9)


# -- start and repair ---------------------------------------------------------------------------------------------------------


@every_case
def test_start_is_the_best_linear_profile(case: str) -> None:
    system, scene = setting(case)
    n = system.num_elements
    values = []
    for i in range(2 * n):
        phase = np.pi * np.arange(n) * (i / n - 1.0)
        part = {"phase": np.tile(phase, (BATCH, 1)), "amplitude": np.ones((BATCH, n))}
        raw = var.join(system.variables("surface"), {v.name: part[v.name] for v in system.variables("surface")})
        values.append(system.penalised(system.evaluate(scene, system.decode(scene, raw, "surface"))))
    best = np.max(values, axis=0)
    for control in CONTROLS:
        raw = system.start(scene, control)
        assert raw.shape == (BATCH, var.length(system.variables(control))) and np.all(np.abs(raw) <= 1.0)
        design = system.decode(scene, raw, control)
        assert np.allclose(np.abs(design.coefficients), caps(system, scene)[:, None], rtol=1e-9)
        steps = design.coefficients[:, 1:] / design.coefficients[:, :-1]
        assert np.allclose(steps, steps[:, :1], rtol=1e-9), "a linear profile"
        if control != "structured":
            assert np.allclose(system.penalised(system.evaluate(scene, design)), best, atol=1e-8)


def test_start_at_the_defaults() -> None:
    system = systems.make("active_crb")
    scene = system.sample(np.random.default_rng(0), 100)
    metrics = system.evaluate(scene, system.decode(scene, system.start(scene)))
    assert metrics.feasible.mean() >= 0.9 and np.median(metrics.gap_db) < 5.0


def blends(system: ActiveCrb, known: ActiveCrbScene, design: ActiveCrbDesign, b: int) -> list[brute.Case]:
    """The 17 designs of the page's repair for one scene."""
    c = brute.case(system, known, design, b)
    budget = None if system.passive else system.surface_power_w
    _, r_s = brute.lower_bound(c, system.power_w, budget, system.max_amplitude)
    w_rule, r_rule, _, _ = brute.rule(c, r_s, system.sinr_threshold, system.power_w, budget)
    paths = (c.h.conj() * c.v) @ c.g
    s, s0 = brute.surface_affine(c)
    out = []
    for share in np.linspace(0.0, 1.0, 17):
        turn = np.exp(-1j * np.angle(np.sum(paths * c.w.T, axis=1)))
        w = (1.0 - share) * c.w * turn + share * w_rule
        r0 = (1.0 - share) * c.sensing @ c.sensing.conj().T + share * r_rule
        r = w @ w.conj().T + r0
        nu = system.power_w / np.trace(r).real
        if budget is not None:
            nu = min(nu, (budget - s0) / np.trace(s @ r).real)
        values, vectors = np.linalg.eigh(nu * r0)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        out.append(brute.Case(c.g, c.h, c.target, np.sqrt(nu) * w, root, c.v, *_noises(system), c.snapshots))
    return out


def _noises(system: ActiveCrb) -> tuple[float, float, float]:
    return system.noise_bs_w, system.noise_user_w, system.noise_surface_w


@pytest.mark.parametrize("case", ["both budgets", "surface limited", "loud surface", "as many users as elements", "passive"])
def test_repair_takes_the_best_feasible_blend(case: str) -> None:
    system, scene = setting(case, 12)
    raw = random_designs(system, batch=12, seed=4)
    start = system.decode(scene, system.start(scene))
    mix = np.linspace(0.0, 1.0, 12)[:, None, None]
    beams = (1 - mix) * system.project(scene, raw).beams + mix * start.beams
    design = system.canonical(scene, start.replace(beams=beams))
    before, repaired = system.evaluate(scene, design), system.repair(scene, design)
    hard_constraints(system, scene, repaired)
    after = system.evaluate(scene, repaired)
    assert np.allclose(repaired.coefficients, design.coefficients, rtol=1e-12)
    for b in range(12):
        options = blends(system, scene, design, b)
        sinr = np.array([brute.sinr(c) for c in options])
        met = np.all(10 * np.log10(sinr / system.sinr_threshold) >= -1e-3, axis=1)
        if met.any():
            best = min(brute.crb(c) for c, ok in zip(options, met, strict=True) if ok)
            assert after.feasible[b] and after.objective[b] == pytest.approx(10 * np.log10(best), abs=1e-4)
        else:
            assert not before.feasible[b]
            assert after.objective[b] == pytest.approx(before.objective[b], abs=1e-5)
            assert np.allclose(after.sinr_db[b], before.sinr_db[b], atol=1e-5)
    had = before.feasible
    assert np.all(after.feasible[had]) and np.all(after.objective[had] <= before.objective[had] + 1e-5)
    same_metrics(system, scene, system.decode(scene, system.encode(scene, repaired)), repaired)


@pytest.mark.parametrize("case", ["sensing only", "passive sensing only"])
def test_repair_without_users_is_never_worse(case: str) -> None:
    system, scene = setting(case)
    design = system.decode(scene, uniform(system, "full"))
    before, after = system.evaluate(scene, design), system.evaluate(scene, system.repair(scene, design))
    assert np.all(after.objective <= before.objective + 1e-5)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(data=st.data(), case=st.sampled_from(["both budgets", "surface limited", "one element", "square", "passive"]))
def test_repair_of_anything(data: st.DataObject, case: str) -> None:
    """Finite, hard-feasible, canonical, and never less feasible; the feasible ones never worse."""
    system, scene = setting(case)
    design = system.decode(scene, data.draw(actions(var.length(system.variables()))))
    repaired = system.repair(scene, design)
    hard_constraints(system, scene, repaired)
    before, after = system.evaluate(scene, design), system.evaluate(scene, repaired)
    for name, array in after.items():
        assert np.isfinite(array).all(), name
    assert np.all(after.feasible | ~before.feasible)
    assert np.all(after.objective[before.feasible] <= before.objective[before.feasible] + 1e-5)
