"""`anchor`: codebook, pilots, posterior, scores, the hidden truth, the end by decision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import kstest, ncx2

from ris_gym import systems
from ris_gym.systems.anchor import Anchor, AnchorDesign, codebook, physics


def asked(codeword: Any, decision: Any = None) -> AnchorDesign:
    codeword = np.asarray(codeword, np.int64)
    return AnchorDesign(codeword=codeword, decision=np.full_like(codeword, -1) if decision is None else np.asarray(decision))


def played(system: Any, scene: Any, codewords: np.ndarray) -> Any:
    """The scene after the codewords (B, pilots)."""
    for column in codewords.T:
        scene = system.step(scene, asked(column), np.random.default_rng(0))[1]
    return scene


# -- codebook -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "wanted", "tolerance"),
    [("phase", (21.0, 24.0, 26.8, 29.8, 32.2, 35.1), 0.06), ("off", (5.1, None, None, None, None, 35.1), 0.06)],
)
def test_mean_gain_in_the_sector(kind: str, wanted: tuple[float | None, ...], tolerance: float) -> None:
    system = systems.make("anchor", wide_codewords=kind)
    received = physics.tables(system, False).root ** 2 / system.element_snr
    for level, value in enumerate(wanted, 1):
        index = np.arange(2**level - 2, 2 ** (level + 1) - 2)
        centre, width = codebook.sector(index)
        inside = np.abs(system.grid - centre[:, None]) < 0.5 * width[:, None]
        assert np.array_equal(codebook.level_of(index), np.full(2**level, level)) and np.all(inside.sum(axis=0) == 1)
        assert value is None or 10.0 * np.log10(received[index][inside].mean()) == pytest.approx(value, abs=tolerance)


@pytest.mark.parametrize("num_elements", [2, 16, 64])
def test_parseval_and_moduli(num_elements: int) -> None:
    """The mean of |g|^2 over psi is the energy of v: N for unit moduli, 2^l with elements off."""
    psi = -1.0 + np.arange(2 * num_elements) / num_elements
    for kind in codebook.KINDS:
        v = codebook.codebook(num_elements, kind)
        energy = np.mean(np.abs(codebook.response(num_elements, psi) @ v.T) ** 2, axis=0)
        assert np.allclose(energy, np.sum(np.abs(v) ** 2, axis=1), rtol=1e-12)
        if kind == "phase":
            assert np.allclose(np.abs(v), 1.0, atol=1e-12)
        else:
            assert np.allclose(energy, 2.0 ** codebook.level_of(np.arange(len(v))))


def test_projections_of_one_codeword_by_the_formulas_of_the_page() -> None:
    count, level, j, width = 16, 2, 2, 0.5
    centre = -1.0 + (2 * j + 1) / 4.0
    psi, i = -1.0 + 2.0 * np.arange(8 * count) / (8 * count), np.arange(count)
    matrix = np.exp(1j * np.pi * np.outer(psi, i))
    v = np.exp(-1j * np.pi * (centre * i + width * (i - 7.5) ** 2 / (2.0 * count)))
    inside = np.abs((psi - centre + 1.0) % 2.0 - 1.0) <= width / 2.0
    for _ in range(30):
        wanted = np.where(inside, np.sqrt(2.0 * count / width) * np.exp(1j * np.angle(matrix @ v)), 0.0)
        v = np.exp(1j * np.angle(matrix.conj().T @ wanted))
    assert np.allclose(codebook.codebook(count, "phase", 30)[2**level - 2 + j], v, atol=1e-9)


# -- pilots and belief --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "tolerance"), [("complex128", 1e-10), ("complex64", 2e-4)])
def test_posterior_is_bayes_with_the_noncentral_density(dtype: str, tolerance: float) -> None:
    system = Anchor(num_elements=16, num_pilots=5, element_snr_db=-8.0)
    rng = np.random.default_rng(0)
    scene = system.sample(rng, 6, dtype=dtype)
    codewords = rng.integers(system.num_codewords, size=(6, 5))
    after = played(system, scene, codewords)
    v = codebook.codebook(16)
    for b in range(6):
        density = np.ones(64)
        for t, w in enumerate(codewords[b]):
            truth = v[w] @ np.exp(1j * np.pi * np.arange(16) * float(scene.direction[b]))
            noise = np.exp(1j * float(scene.pilot_phase[b, t])) * np.sqrt(system.element_snr) * abs(truth)
            z = abs(noise + complex(scene.pilot_noise[b, t])) ** 2
            assert after.power[b, t] == pytest.approx(z, rel=1e-3 if dtype == "complex64" else 1e-9) and after.codeword[b, t] == w
            gain = np.abs(np.exp(1j * np.pi * np.outer(system.grid, np.arange(16))) @ v[w]) ** 2
            density *= 2.0 * ncx2.pdf(2.0 * z, 2, 2.0 * system.element_snr * gain)
        found = np.exp(after.log_posterior[b].astype(float))
        assert found.max() == 1.0 and np.allclose(found / found.sum(), density / density.sum(), atol=tolerance)
        beams = (density / density.sum()).reshape(16, 4).sum(axis=1)
        assert np.allclose(system.masses(after)[b], beams, atol=tolerance)
        p = density / density.sum()
        bits = physics.belief(system, after.log_posterior[b : b + 1]).entropy
        assert bits == pytest.approx(-np.sum(p * np.log2(p)), abs=20 * tolerance)


def test_bessel_function_in_single_precision() -> None:
    r = np.concatenate([np.linspace(0.0, 8.0, 2001), np.geomspace(8.0, 1e5, 500)])
    assert np.abs(physics.log_i0e(r.astype(np.float32)) - physics.log_i0e(r.astype(np.float32).astype(float))).max() < 2e-6


def test_the_posterior_is_calibrated() -> None:
    """The posterior's distribution function at the truth is uniform, and beams are right as often as their mass says."""
    system = Anchor(num_elements=16, num_pilots=8, element_snr_db=-12.0)
    rng = np.random.default_rng(1)
    scene = system.sample(rng, 4000)
    after = played(system, scene, rng.integers(system.num_codewords, size=(4000, 8)))
    weight = np.exp(after.log_posterior)
    summed = np.concatenate([np.zeros((4000, 1)), np.cumsum(weight, axis=1)], axis=1) / weight.sum(axis=1, keepdims=True)
    at = 32.0 * (scene.direction + 1.0)
    cell = np.minimum(at.astype(int), 63)
    each = np.arange(4000)
    level = summed[each, cell] + (at - cell) * (summed[each, cell + 1] - summed[each, cell])
    assert kstest(level, "uniform").pvalue > 1e-3
    mass = system.masses(after)
    best, hit = mass.max(axis=1), np.argmax(mass, axis=1) == system.beam(scene.direction)
    for low, high in ((0.0, 0.3), (0.3, 0.6), (0.6, 0.9), (0.9, 1.01)):
        some = (best >= low) & (best < high)
        assert some.sum() > 100
        spread = np.sqrt(np.sum(best[some] * (1.0 - best[some])))
        assert abs(hit[some].sum() - best[some].sum()) < 4.0 * spread + 1.0


def test_the_same_world_for_every_policy() -> None:
    """Pilot t has its own phase and noise, whatever was asked before; and nothing in it is known."""
    system = Anchor(num_elements=8, num_pilots=3)
    scene = system.sample(np.random.default_rng(2), 20)
    one = played(system, scene, np.tile([3, 7, 5], (20, 1)))
    other = played(system, scene, np.tile([12, 1, 5], (20, 1)))
    assert np.array_equal(one.power[:, 2], other.power[:, 2]) and not np.allclose(one.power[:, 1], other.power[:, 1])
    known, elsewhere = system.known(one), system.known(one.replace(direction=-one.direction, pilot_noise=0.0 * one.pilot_noise))
    assert known.direction is None and known.pilot_phase is None and known.pilot_noise is None
    for (name, a), (_, b) in zip(known.items(), elsewhere.items(), strict=True):
        assert np.array_equal(a, b), name
    assert np.array_equal(system.observe(known), system.observe(elsewhere))
    metrics = system.evaluate(known, asked(np.zeros(20)))
    assert np.allclose(metrics.objective, system.masses(known).max(axis=1)) and metrics.direction_error is None


# -- scores and ends ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["hit", "gain", "entropy"])
def test_scores(kind: str) -> None:
    system = Anchor(num_elements=8, num_pilots=3, score_kind=kind, pilot_cost=0.05, element_snr_db=0.0)
    scene = system.sample(np.random.default_rng(3), 50)
    total, entropy = np.zeros(50), []
    for t in range(3):
        metrics, scene = system.step(scene, asked(np.full(50, 6 + 2 * t)), np.random.default_rng(0))
        entropy.append(metrics.entropy_bits)
        total += metrics.score
        assert np.array_equal(metrics.pilots, np.full(50, t + 1)) and np.all(metrics.cost == 0.0) and metrics.margins == {}
    decided = np.argmax(system.masses(scene), axis=1)
    hit = decided == system.beam(scene.direction)
    assert np.array_equal(metrics.objective, hit) and np.array_equal(system.success(metrics), hit) and 0 < hit.sum() < 50
    offset = scene.direction - (-1.0 + (2 * decided + 1) / 8.0)
    gain = np.abs(np.exp(1j * np.pi * np.outer(offset, np.arange(8))).sum(axis=1)) ** 2 / 64.0
    wanted = {"hit": hit.astype(float), "gain": 1.0 + np.log10(np.maximum(gain, 1e-4)), "entropy": (5.0 - entropy[-1]) / 3.0}
    assert np.allclose(total, wanted[kind] - 0.15)
    most = system.grid[np.argmax(scene.log_posterior, axis=1)]
    assert np.allclose(metrics.direction_error, np.abs(most - scene.direction))


def test_decision_counts_at_the_end_alone() -> None:
    system = Anchor(num_elements=8, num_pilots=2)
    scene = system.sample(np.random.default_rng(4), 30)
    right = system.beam(scene.direction)
    before, scene = system.step(scene, asked(np.zeros(30), right), np.random.default_rng(0))
    assert not before.objective.all()
    after, scene = system.step(scene, asked(np.zeros(30), right), np.random.default_rng(0))
    assert after.objective.all() and np.allclose(after.score, 0.98)


def test_stop() -> None:
    system = Anchor(num_elements=8, num_pilots=3, allow_stop=True)
    scene = system.sample(np.random.default_rng(5), 40)
    _, scene = system.step(scene, asked(np.zeros(40)), np.random.default_rng(0))
    stop = np.where(np.arange(40) % 2, 14, 3)
    metrics, after = system.step(scene, asked(stop), np.random.default_rng(0))
    ended = stop == 14
    assert np.array_equal(system.finished(after), stop == 14) and system.frames(after) == 0 and system.frames(scene) == 2
    hit = np.argmax(system.masses(scene), axis=1) == system.beam(scene.direction)
    assert np.allclose(metrics.score, np.where(ended, hit, -0.02)) and np.array_equal(after.frame, np.where(ended, 1, 2))
    idle, later = system.step(after, asked(np.full(40, 5)), np.random.default_rng(0))
    assert np.all(idle.score[ended] == 0.0) and np.all(idle.pilots[ended] == 1)
    assert np.array_equal(idle.objective[ended], hit[ended])
    assert np.array_equal(later.codeword[ended], after.codeword[ended]) and np.all(later.frame[~ended] == 3)
    assert np.array_equal(later.log_posterior[ended], after.log_posterior[ended]) and system.finished(later).all()
    assert np.all(system.coefficients(asked([14, 13]))[0] == 0.0) and np.allclose(np.abs(system.coefficients(asked([13]))), 1.0)


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"num_elements": 24}, "num_elements must be a power of two, got 24"), ({"wide_codewords": "on"}, "wide_codewords"),
        ({"score_kind": "rate"}, "score_kind must be one of"), ({"pilot_cost": -0.1}, "pilot_cost"),
        ({"oversample": 0}, "oversample"),
    ],
)  # fmt: skip
def test_refused(fields: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Anchor(**fields)


@pytest.mark.parametrize(
    ("name", "change", "match"),
    [
        ("direction", lambda a: a + 2.0, "'direction' must be in"), ("codeword", lambda a: a + 99, "'codeword' must hold"),
        ("frame", lambda a: a - 1, "'frame' must hold integers"), ("power", lambda a: a - 1.0, "'power' must be at least 0"),
        ("log_posterior", lambda a: a - 1.0, "'log_posterior' must have the maximum 0"), ("frame", None, "all or none"),
    ],
)  # fmt: skip
def test_refused_scenes(name: str, change: Any, match: str) -> None:
    system = Anchor(num_elements=8, num_pilots=3)
    arrays = dict(system.sample(np.random.default_rng(0), 2).items())
    value = arrays.pop(name)
    if change is not None:
        arrays[name] = change(value)
    with pytest.raises(ValueError, match=match):
        system.check_scene(arrays)
    bare = {key: arrays[key] for key in ("pilot_phase", "pilot_noise") if key in arrays} | {"direction": np.zeros(2)}
    assert system.frames(system.check_scene(bare)) == 3
