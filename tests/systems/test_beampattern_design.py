"""From raw actions to designs and back, for `beampattern`: hard constraints, round trips, repair, rules, truncation."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ris_gym import variables as var
from ris_gym.systems import Beampattern
from ris_gym.systems.beampattern import BeampatternDesign, BeampatternScene
from ris_gym.systems.beampattern import beams as rules

BATCH = 4
CASES: dict[str, dict[str, Any]] = {
    "one user": {"num_users": 1, "num_sensing_beams": 2},
    "one user, information only": {"num_users": 1, "num_sensing_beams": 0},
    "one user, 1 bit": {"num_users": 1, "num_sensing_beams": 1, "phase_bits": 1},
    "one user, one angle": {"num_users": 1, "num_sensing_beams": 1, "angles_deg": (15.0,)},
    "two users": {"num_users": 2, "num_sensing_beams": 3},
    "two users, information only, 3 bits": {"num_users": 2, "num_sensing_beams": 0, "phase_bits": 3},
    "three users, not cancelled": {"num_users": 3, "num_sensing_beams": 2, "cancel_sensing": False},
    "more beams than antennas": {"num_users": 2, "num_sensing_beams": 5, "num_antennas": 2, "cancel_sensing": False},
    "one antenna": {"num_users": 1, "num_sensing_beams": 1, "num_antennas": 1, "num_elements": 1},
}
CONTROLS = ("full", "structured", "surface")


@cache
def setting(case: str) -> tuple[Beampattern, BeampatternScene]:
    """A small system and a few scenes."""
    system = Beampattern(**{"num_antennas": 3, "num_elements": 4, "sinr_threshold_db": 5.0, **CASES[case]})
    return system, system.sample(np.random.default_rng(7), BATCH)


def hard_constraints(system: Beampattern, design: BeampatternDesign, tolerance: float = 1e-9) -> None:
    """`|v_n| = 1` (and in the alphabet), `||F||^2 <= P`."""
    v, beams = design.coefficients, design.all_beams
    assert np.isfinite(v).all() and np.isfinite(beams).all()
    assert np.max(np.abs(np.abs(v) - 1.0)) <= tolerance
    assert np.max(np.sum(np.abs(beams) ** 2, axis=(1, 2))) <= system.power_w * (1.0 + tolerance)
    if system.phase_bits is not None:
        steps = np.angle(v) / (2.0 * np.pi / 2**system.phase_bits)
        assert np.max(np.abs(steps - np.round(steps))) <= 1e-6


def same_metrics(system: Beampattern, scene: BeampatternScene, a: BeampatternDesign, b: BeampatternDesign) -> None:
    """All metrics agree to 1e-9."""
    theirs = dict(system.evaluate(scene, b).items())
    for name, array in system.evaluate(scene, a).items():
        if name != "feasible":
            assert np.allclose(array, theirs[name], rtol=0, atol=1e-9), f"{name}: {np.max(np.abs(array - theirs[name]))}"


SPECIAL = np.array([-1.0, 1.0, 0.0, -0.0, 1e-13, -1e-7, 1e-300, 0.5, -0.5])
EXTREME = np.array([0.0, 1e200, -1e200, 1e-200, -1e-310, 1e-13, 1.0, -0.3])


def mixed(seed: int, share: float, shape: tuple[int, ...], special: np.ndarray) -> np.ndarray:
    """Uniform numbers in [-1, 1], a share of them replaced by special ones."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(shape) < share, rng.choice(special, shape), rng.uniform(-1, 1, shape))


seeds = st.integers(0, 2**32 - 1)
shares = st.sampled_from([0.0, 0.2, 0.9, 1.0])


def actions(n: int) -> st.SearchStrategy[np.ndarray]:
    """Raw actions in the box: anything, with a liking for corners, zeros and nearly nothing."""
    some = st.builds(mixed, seeds, shares, st.just((BATCH, n)), st.just(SPECIAL))
    same = st.builds(np.full, st.just((BATCH, n)), st.sampled_from(SPECIAL.tolist()))
    return st.one_of(some, same, arrays(np.float64, (BATCH, n), elements=st.floats(-1, 1)))


def numbers(shape: tuple[int, ...]) -> st.SearchStrategy[np.ndarray]:
    """Complex arrays with huge, tiny and zero entries."""
    real = st.builds(mixed, seeds, shares, st.just((2, BATCH, *shape)), st.just(EXTREME))
    return real.map(lambda x: x[0] + 1j * x[1])


def random_designs(system: Beampattern, columns: int, seed: int = 0, batch: int = BATCH) -> BeampatternDesign:
    """Gaussian designs with `columns` sensing beams."""
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> np.ndarray:
        return rng.standard_normal((batch, *shape)) + 1j * rng.standard_normal((batch, *shape))

    m = system.num_antennas
    n = system.num_elements
    return BeampatternDesign(beams=draw(m, system.num_users), sensing_beams=draw(m, columns), coefficients=draw(n))


every_case = pytest.mark.parametrize("case", CASES)
every_control = pytest.mark.parametrize("control", CONTROLS)


@every_case
@every_control
@settings(max_examples=20, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_action_is_hard_feasible_and_comes_back(case: str, control: str, data: st.DataObject) -> None:
    system, scene = setting(case)
    raw = data.draw(actions(var.length(system.variables(control))))
    design = system.decode(scene, raw, control)
    hard_constraints(system, design)
    power = np.sum(np.abs(design.all_beams) ** 2, axis=(1, 2))
    assert np.all((np.abs(power - system.power_w) <= 1e-9 * system.power_w) | (power == 0.0))
    encoded = system.encode(scene, design, control)
    assert encoded.shape == raw.shape and np.all(np.abs(encoded) <= 1.0) and np.isfinite(encoded).all()
    same_metrics(system, scene, system.decode(scene, encoded, control), design)


@every_case
@settings(max_examples=30, deadline=None, derandomize=True)
@given(data=st.data())
def test_projection(case: str, data: st.DataObject) -> None:
    system, scene = setting(case)
    m, columns = system.num_antennas, data.draw(st.integers(0, 3))
    raw = BeampatternDesign(
        beams=data.draw(numbers((m, system.num_users))),
        sensing_beams=data.draw(numbers((m, columns))),
        coefficients=data.draw(numbers((system.num_elements,))),
    )
    once = system.project(scene, raw)
    hard_constraints(system, once)
    twice = system.project(scene, once)
    for (name, array), (_, again) in zip(once.items(), twice.items(), strict=True):
        assert np.allclose(array, again, rtol=1e-12, atol=1e-12), name
    for _, array in system.evaluate(scene, once).items():
        assert np.isfinite(array).all()
    canonical = system.canonical(scene, raw)
    hard_constraints(system, canonical)
    assert canonical.sensing_beams.shape[-1] == system.num_sensing_beams
    same_metrics(system, scene, system.decode(scene, system.encode(scene, canonical)), canonical)


@every_case
def test_projection_by_hand(case: str) -> None:
    system, scene = setting(case)
    raw = random_designs(system, system.num_sensing_beams)
    done = system.project(scene, raw)
    scale = np.sqrt(system.power_w) / np.linalg.norm(raw.all_beams.reshape(BATCH, -1), axis=1)
    assert np.allclose(done.all_beams, raw.all_beams * scale[:, None, None], rtol=1e-13)
    if system.phase_bits is None:
        assert np.allclose(done.coefficients, raw.coefficients / np.abs(raw.coefficients), rtol=1e-13)
    else:
        alphabet = np.exp(2j * np.pi * np.arange(2**system.phase_bits) / 2**system.phase_bits)
        unit = raw.coefficients / np.abs(raw.coefficients)
        nearest = alphabet[np.argmin(np.abs(unit[..., None] - alphabet), axis=-1)]
        assert np.allclose(done.coefficients, nearest, atol=1e-12)
    zero = system.project(scene, raw.map(lambda array: 0 * array))
    assert np.allclose(zero.coefficients, 1.0) and not zero.all_beams.any()


@every_case
@every_control
def test_single_precision(case: str, control: str) -> None:
    system, scene = setting(case)
    raw = np.random.default_rng(0).uniform(-1, 1, (BATCH, var.length(system.variables(control))))
    raw[0] = 0.0
    design = system.decode(scene.astype("complex64"), raw.astype(np.float32), control)
    assert {array.dtype for _, array in design.items()} == {np.dtype(np.complex64)}
    hard_constraints(system, design.astype("complex128"), 2e-6)
    again = system.project(scene.astype("complex64"), design)
    hard_constraints(system, again.astype("complex128"), 2e-6)


@every_case
@every_control
def test_decode_of_torch_is_decode_of_numpy(case: str, control: str) -> None:
    import torch

    system, scene = setting(case)
    raw = np.random.default_rng(1).uniform(-1, 1, (BATCH, var.length(system.variables(control))))
    ours = system.decode(scene, raw, control)
    theirs = system.decode(scene.to_torch(), torch.as_tensor(raw), control)
    for (name, array), (_, other) in zip(ours.items(), theirs.to_numpy().items(), strict=True):
        assert np.allclose(array, other, rtol=1e-10, atol=1e-10), name
    projected = system.project(scene.to_torch(), theirs)
    assert np.allclose(projected.to_numpy().all_beams, ours.all_beams, atol=1e-10)


@every_case
@every_control
def test_encode_of_canonical_designs(case: str, control: str) -> None:
    """`full`: exact; `surface` keeps the phases; `structured`: the nearest, and what it makes is a fixed point."""
    system, scene = setting(case)
    canonical = system.canonical(scene, random_designs(system, 3))
    encoded = system.encode(scene, canonical, control)
    assert np.all(np.abs(encoded) <= 1.0)
    again = system.decode(scene, encoded, control)
    assert np.allclose(again.coefficients, canonical.coefficients, atol=1e-12)
    if control == "full":
        assert np.allclose(again.all_beams, canonical.all_beams, rtol=1e-12, atol=1e-14)
        where = var.slices(system.variables())
        assert np.allclose(np.abs(encoded[:, where["beams"].start :]).max(axis=1), 0.5)
    same_metrics(system, scene, system.decode(scene, system.encode(scene, again, control), control), again)


def test_structured_encode_finds_powers_and_regulariser() -> None:
    system, scene = setting("two users")
    variables = system.variables("structured")
    where = var.slices(variables)
    raw = np.random.default_rng(3).uniform(-0.9, 0.9, (BATCH, var.length(variables)))
    found = system.encode(scene, system.decode(scene, raw, "structured"), "structured")
    assert np.allclose(found[:, where["regulariser"]], raw[:, where["regulariser"]], atol=1e-6)
    logits = slice(where["user_power"].start, where["target_power"].stop)
    assert np.allclose(np.ptp(found[:, logits] - raw[:, logits], axis=1), 0.0, atol=1e-9), "logits up to a common shift"


def test_structured_is_regularised_zero_forcing() -> None:
    """Columns of `Z^H (Z Z^H + lambda I)^-1`, unit, with powers P softmax(4 logits)."""
    system, scene = setting("two users")
    variables = system.variables("structured")
    raw = np.random.default_rng(4).uniform(-1, 1, (BATCH, var.length(variables)))
    design, values = system.decode(scene, raw, "structured"), var.split(variables, raw)
    for b in range(BATCH):
        v = np.exp(1j * values["phase"][b])
        h = scene.ris_user[b].conj() @ np.diag(v) @ scene.bs_ris[b] + scene.bs_user[b].conj()
        a = system.steering.conj() @ np.diag(v) @ scene.bs_ris[b]
        h = h / np.sqrt(system.noise_w / system.power_w)
        a = a * np.sqrt(np.mean(np.sum(np.abs(h) ** 2, 1)) / np.mean(np.sum(np.abs(a) ** 2, 1)))
        z = np.vstack([h, a])
        loading = 10.0 ** (2 * values["regulariser"][b, 0]) * np.trace(z @ z.conj().T).real / len(z)
        columns = z.conj().T @ np.linalg.inv(z @ z.conj().T + loading * np.eye(len(z)))
        logits = np.concatenate([values["user_power"][b], values["target_power"][b]])
        power = np.exp(4 * logits) / np.sum(np.exp(4 * logits)) * system.power_w
        expected = columns / np.linalg.norm(columns, axis=0) * np.sqrt(power)
        assert np.allclose(design.all_beams[b], expected, rtol=1e-9, atol=1e-9)
        assert design.beams.shape[-1] == 2 and design.sensing_beams.shape[-1] == len(system.angles_deg)


# -- repair -------------------------------------------------------------------------------------------------------------------


def effective(system: Beampattern, scene: BeampatternScene, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`h` (B, K, M) and `g` (B, L, M) as columns (the conjugates of the rows)."""
    h, a = rules.effective_rows(system, np, scene, v)
    return h.conj(), a.conj()


@pytest.mark.parametrize("threshold", [-10.0, 10.0, 22.0, 60.0])
@pytest.mark.parametrize("columns", [0, 1, 3])
def test_repair(threshold: float, columns: int) -> None:
    system = Beampattern(num_antennas=4, num_elements=8, sinr_threshold_db=threshold, num_sensing_beams=4)
    batch = 200
    scene = system.sample(np.random.default_rng(1), batch)
    before = system.project(scene, random_designs(system, columns, seed=2, batch=batch))
    after = system.repair(scene, before)
    hard_constraints(system, after)
    h = effective(system, scene, before.coefficients)[0][:, 0]
    needed, able = system.sinr_threshold[0] * system.noise_w, system.power_w * np.sum(np.abs(h) ** 2, axis=1)
    margin = system.evaluate(scene, after).margins["sinr"][:, 0]
    possible = able >= needed
    assert np.all(margin[possible] >= -1e-6), "met whenever P ||h||^2 >= Gamma sigma^2"
    if threshold == 60.0:
        assert not possible.any()
    best = np.maximum(10 * np.log10(able / needed), -40.0)
    assert np.allclose(margin[~possible], best[~possible], atol=1e-6), "else the least violation with this surface"
    had = np.sum(np.abs(np.einsum("bm,bms->bs", h.conj(), before.all_beams)) ** 2, axis=1) >= needed
    assert np.allclose(system.evaluate(scene, after).gains_dbm[had], system.evaluate(scene, before).gains_dbm[had], atol=1e-6)
    leak = np.einsum("bms,bm->bs", after.sensing_beams.conj(), h)
    scale = np.sqrt(system.power_w) * np.linalg.norm(h, axis=1, keepdims=True)
    assert np.max(np.abs(leak / scale)) < 1e-7, "R_0 h = 0"


def test_matching_is_a_unitary_mixing() -> None:
    """Gains and R unchanged, first column `R h / sqrt(h^H R h)`, `R_0 h = 0` to machine precision, SNR = h^H R h / sigma^2."""
    system, scene = setting("one user")
    design = system.project(scene, random_designs(system, 3))
    h = effective(system, scene, design.coefficients)[0][:, 0][..., None]
    before = design.all_beams
    after = rules.match(system, np, before, h)
    r = before @ np.conj(np.swapaxes(before, 1, 2))
    assert np.allclose(after @ np.conj(np.swapaxes(after, 1, 2)), r, atol=1e-13)
    hrh = np.real(np.conj(np.swapaxes(h, 1, 2)) @ r @ h)
    assert np.allclose(after[..., :1], r @ h / np.sqrt(hrh), atol=1e-12)
    leak = np.abs(np.conj(np.swapaxes(h, 1, 2)) @ after[..., 1:]) / np.sqrt(hrh)
    assert np.max(leak) < 1e-13
    mixed = design.replace(beams=after[..., :1], sensing_beams=after[..., 1:])
    ours, theirs = system.evaluate(scene, mixed), system.evaluate(scene, design)
    assert np.allclose(ours.gains_dbm, theirs.gains_dbm, atol=1e-9)
    assert np.allclose(10 ** (ours.sinr_db[:, 0] / 10), hrh[:, 0, 0] / system.noise_w, rtol=1e-9)
    blind = rules.match(system, np, np.zeros_like(before), h)
    assert np.isfinite(blind).all() and not blind.any()


def test_repair_of_several_users_only_makes_canonical() -> None:
    system, scene = setting("two users")
    design = random_designs(system, 5)
    repaired, canonical = system.repair(scene, design), system.canonical(scene, design)
    assert all(np.allclose(a, b, rtol=1e-12) for (_, a), (_, b) in zip(repaired.items(), canonical.items(), strict=True))


# -- rules --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ["one user", "one user, information only", "one user, one angle"])
def test_surface_rule_of_one_user(case: str) -> None:
    """`R = (1 - alpha) P / L sum g g^H / ||g||^2 + alpha P h h^H / ||h||^2` with the least alpha that meets the SNR."""
    system, _ = setting(case)
    scene = system.sample(np.random.default_rng(5), 100)
    raw = np.random.default_rng(6).uniform(-1, 1, (100, system.num_elements))
    design = system.decode(scene, raw, "surface")
    h, g = effective(system, scene, design.coefficients)
    h = h[:, 0]
    unit = g / np.linalg.norm(g, axis=-1, keepdims=True)
    targets = system.power_w / len(system.angles_deg) * np.einsum("blm,bln->bmn", unit, unit.conj())
    power, needed = system.power_w * np.sum(np.abs(h) ** 2, axis=1), system.sinr_threshold[0] * system.noise_w
    has = np.einsum("bm,bmn,bn->b", h.conj(), targets, h).real
    alpha = np.clip((needed - has) / (power - has), 1e-12, 1 - 1e-12)[:, None, None]
    toward = np.einsum("bm,bn->bmn", h, h.conj()) / np.sum(np.abs(h) ** 2, axis=1)[:, None, None]
    expected = (1 - alpha) * targets + alpha * system.power_w * toward
    metrics = system.evaluate(scene, design)
    met = power >= needed
    assert met.sum() > 20 and np.all(metrics.margins["sinr"][met, 0] >= -1e-6)
    if system.num_sensing_beams:
        found = design.all_beams @ np.conj(np.swapaxes(design.all_beams, 1, 2))
        assert np.allclose(found, expected, atol=1e-9)
        assert design.sensing_beams.shape[-1] == len(system.angles_deg)
    else:
        w = np.einsum("bmn,bn->bm", expected, h)
        w = w / np.linalg.norm(w, axis=1, keepdims=True) * np.sqrt(system.power_w)
        assert np.allclose(design.beams[..., 0], w, atol=1e-9) and design.sensing_beams.shape[-1] == 0


@pytest.mark.parametrize("case", ["two users", "two users, information only, 3 bits", "three users, not cancelled"])
def test_surface_rule_of_several_users(case: str) -> None:
    system, scene = setting(case)
    k, power = system.num_users, system.power_w
    raw = np.random.default_rng(6).uniform(-1, 1, (BATCH, system.num_elements))
    design = system.decode(scene, raw, "surface")
    h, g = effective(system, scene, design.coefficients)
    share = power / (2 * k) if system.num_sensing_beams else power / k
    for b in range(BATCH):
        rows = h[b].conj()
        columns = rows.conj().T @ np.linalg.inv(rows @ rows.conj().T + 2 * k * system.noise_w / power * np.eye(k))
        data = columns / np.linalg.norm(columns, axis=0) * np.sqrt(share)
        assert np.allclose(design.beams[b], data, atol=1e-9)
        if not system.num_sensing_beams:
            assert design.sensing_beams.shape[-1] == 0
            continue
        unit = (g[b] / np.linalg.norm(g[b], axis=1, keepdims=True)).T
        if not system.cancel_sensing and system.num_antennas > k:
            unit = unit - np.linalg.pinv(rows) @ rows @ unit
        sensing = unit * np.sqrt(0.5 * power / np.sum(np.abs(unit) ** 2))
        if system.cancel_sensing:
            assert np.allclose(design.sensing_beams[b], sensing, atol=1e-9)
        assert np.sum(np.abs(design.all_beams[b]) ** 2) == pytest.approx(power, rel=1e-9)


def test_surface_rule_keeps_sensing_off_the_users() -> None:
    system = Beampattern(num_antennas=6, num_elements=8, num_users=3, cancel_sensing=False, sinr_threshold_db=5.0)
    scene = system.sample(np.random.default_rng(0), 20)
    design = system.decode(scene, np.random.default_rng(1).uniform(-1, 1, (20, 8)), "surface")
    h, _ = effective(system, scene, design.coefficients)
    leak = np.linalg.norm(h.conj() @ design.sensing_beams, axis=(1, 2)) / np.linalg.norm(h, axis=(1, 2))
    assert np.max(leak) < 1e-6


@pytest.mark.parametrize(
    ("fields", "level_db", "share"),
    [({}, -9.0, 0.95), ({"preset": "sectors"}, -13.0, 0.90), ({"num_elements": 64, "sinr_threshold_db": 28.0}, None, 0.80)],
    ids=["five", "sectors", "64 elements"],
)
def test_start_rule(fields: dict[str, Any], level_db: float | None, share: float) -> None:
    """About 9 (13) dB below the reference gain; SNR met in about 95 (90, 80) % of the scenes."""
    system = Beampattern.from_preset(**fields)
    scene = system.sample(np.random.default_rng(0), 400)
    raw = system.start(scene)
    assert np.all(np.abs(raw) <= 1.0)
    metrics = system.evaluate(scene, system.decode(scene, raw))
    if level_db is not None:
        assert 10.0 * metrics.score.mean() == pytest.approx(level_db, abs=1.0)
    assert metrics.feasible.mean() == pytest.approx(share, abs=0.05)


@every_case
@every_control
def test_start_follows_the_page(case: str, control: str) -> None:
    system, scene = setting(case)
    raw = system.start(scene, control)
    assert raw.shape == (BATCH, var.length(system.variables(control))) and np.all(np.abs(raw) <= 1.0)
    g, hr, hd = scene.bs_ris, scene.ris_user, scene.bs_user
    targets, users = len(system.angles_deg), system.num_users
    for b in range(BATCH):
        _, _, vh = np.linalg.svd(g[b])
        total = sum(np.exp(1j * np.pi * l**2 / targets) * a for l, a in enumerate(system.steering))
        for k in range(users):
            rms = np.sqrt(np.mean(np.abs(hr[b, k]) ** 2))
            total = total + np.exp(1j * np.pi * (targets + k) ** 2 / targets) * hr[b, k] / rms
        v = np.exp(1j * np.angle(total * (g[b] @ vh[0].conj()).conj()))
        c = sum(hr[b, k].conj() @ np.diag(v) @ g[b] @ hd[b, k] for k in range(users))
        v = v * np.exp(-1j * np.angle(c))
        if system.phase_bits is not None and control != "surface":
            step = 2.0 * np.pi / 2**system.phase_bits
            v = np.exp(1j * step * np.round(np.angle(v) / step))
        assert np.allclose(np.exp(1j * np.pi * raw[b, : system.num_elements]), v, atol=1e-7)


def test_common_phase_of_the_start_is_the_best() -> None:
    """It maximises `sum_k ||h_k||^2` over common phases."""
    system, scene = setting("two users")
    v = rules.start_coefficients(system, scene)
    level = np.sum(np.abs(effective(system, scene, v)[0]) ** 2, axis=(1, 2))
    for turn in np.exp(1j * np.linspace(0.05, 6.2, 60)):
        assert np.all(np.sum(np.abs(effective(system, scene, v * turn)[0]) ** 2, axis=(1, 2)) <= level * (1 + 1e-12))


# -- truncation ---------------------------------------------------------------------------------------------------------------


@every_case
@pytest.mark.parametrize("columns", [0, 1, 2, 6])
def test_truncation(case: str, columns: int) -> None:
    """The strongest singular directions of `F_0`, or zero columns; then exactly P."""
    system, scene = setting(case)
    design = random_designs(system, columns)
    canonical = system.canonical(scene, design)
    wanted = system.num_sensing_beams
    assert canonical.sensing_beams.shape == (BATCH, system.num_antennas, wanted)
    assert np.allclose(np.sum(np.abs(canonical.all_beams) ** 2, axis=(1, 2)), system.power_w, rtol=1e-12)
    for b in range(BATCH):
        left, singular, _ = np.linalg.svd(design.sensing_beams[b], full_matrices=False)
        kept = (left[:, :wanted] * singular[:wanted] ** 2) @ left[:, :wanted].conj().T
        data = design.beams[b] @ design.beams[b].conj().T
        scale = system.power_w / np.trace(kept + data).real
        assert np.allclose(canonical.sensing_cov[b], scale * kept, atol=1e-12)
        assert np.allclose(canonical.beams[b], np.sqrt(scale) * design.beams[b], atol=1e-12)
    if columns <= wanted:
        same_metrics(system, scene, canonical, system.project(scene, design))


def test_canonical_of_a_covariance_is_idempotent() -> None:
    system, scene = setting("two users")
    once = system.canonical(scene, random_designs(system, 6))
    twice = system.canonical(scene, once)
    assert all(np.allclose(a, b, rtol=1e-12, atol=1e-14) for (_, a), (_, b) in zip(once.items(), twice.items(), strict=True))


@every_control
def test_raw_of_a_wrong_shape(control: str) -> None:
    system, scene = setting("one user")
    n = var.length(system.variables(control))
    for shape in ((BATCH, n + 1), (BATCH - 1, n), (n,)):
        with pytest.raises(ValueError, match="raw must have shape"):
            system.decode(scene, np.zeros(shape), control)
    with pytest.raises(ValueError, match=r"control must be one of .* got 'beams'"):
        system.decode(scene, np.zeros((BATCH, n)), "beams")
