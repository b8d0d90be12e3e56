"""Gains, their means and expected rates, detection and measurement bounds of `vehicular`, against explicit forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

from ris_gym.systems.vehicular import Vehicular, beams, dwell, motion, radar

LIGHT = 299792458.0


@pytest.mark.parametrize("columns", [5, 8])
def test_gain_is_that_of_the_array(columns: int) -> None:
    """Coefficients of section 3A against the channels of 2A, with the passenger's phases, rows and centred index."""
    system = Vehicular(num_cols=columns, num_rows=2, num_users=2)
    scene = system.sample(np.random.default_rng(0), 6)
    design = system.decode(system.known(scene), np.random.default_rng(1).uniform(-1, 1, (6, 6)))
    belief = motion.pointing(system, scene.belief_mean, scene.belief_cov)
    u = scene.position / np.hypot(scene.position, 30.0)
    index = np.repeat(np.arange(columns) - (columns - 1) / 2, 2)
    arrive = np.exp(-1j * np.pi * u[..., None] * index)
    data = np.sum(np.exp(1j * scene.user_phase) * system.refract_coefficients(scene, design) * arrive, axis=-1)
    echo = np.sum(arrive * system.reflect_coefficients(scene, design) * arrive, axis=-1)
    delta, size = belief.cosine - u, system.num_elements**2
    assert np.allclose(abs(data) ** 2 / size, beams.gain(columns, delta, 6.0 * design.refract_width * belief.spread), atol=1e-12)
    wide = 12.0 * design.reflect_width * belief.spread
    assert np.allclose(abs(echo) ** 2 / size, beams.gain(columns, 2 * delta, wide), atol=1e-12)
    focused = (np.sin(np.pi * columns * delta / 2) / (columns * np.sin(np.pi * delta / 2))) ** 2
    assert np.allclose(beams.gain(columns, delta, np.zeros_like(delta)), focused, atol=1e-12)
    assert np.allclose(abs(system.refract_coefficients(scene, design)), 1.0)


@pytest.mark.parametrize(("columns", "sensitivity"), [(64, 1), (64, 2), (7, 2)])
def test_mean_gain_and_expected_rate_are_those_of_draws(columns: int, sensitivity: int) -> None:
    normal = np.random.default_rng(0).standard_normal(40_000)
    for spread in (1e-3, 0.02, 0.2):
        for width in (0.0, 0.5, 1.0):
            w = np.full_like(normal, 6.0 * width * sensitivity * spread)
            drawn = beams.gain(columns, sensitivity * spread * normal, w)
            error = 4.0 * drawn.std() / 200.0 + 1e-9
            assert abs(beams.mean_gain(columns, spread, w[0], sensitivity) - drawn.mean()) < error
            if sensitivity == 1 and columns == 64:
                rate = np.log2(1.0 + 40.0 * drawn)
                found = beams.rate_table(64, 6.0)(np.array(40.0), np.array(spread), np.array(width))
                assert abs(found - rate.mean()) < 4.0 * rate.std() / 200.0 + 0.005
                assert found <= np.log2(1.0 + 40.0 * drawn.mean()) + 0.01  # Jensen
    closed = columns + 2 * sum(
        (columns - m) * np.exp(-0.5 * (np.pi * sensitivity * m * 0.02) ** 2) for m in range(1, columns)
    )
    assert beams.mean_gain(columns, 0.02, 0.0, sensitivity) == pytest.approx(closed / columns**2, rel=1e-12)


def test_table_is_the_dense_trapezoid() -> None:
    rng, table = np.random.default_rng(2), beams.rate_table(64, 6.0)
    spread, snr, width = 10 ** rng.uniform(-3.4, -0.3, 40), 10 ** rng.uniform(-3, 4, 40), rng.uniform(0, 1, 40)
    assert np.abs(table(snr, spread, width) - beams.expected_rate(64, snr, spread, 6.0 * width * spread)).max() < 0.02
    assert np.abs(table(snr, spread) - beams.expected_rate(64, snr, spread)).max() < 0.005
    each = np.stack([table(snr, spread, np.full(40, b)) for b in beams.WIDE_LEVELS])
    assert np.abs(table.best(snr, spread) - each.max(axis=0)).max() < 0.02
    chosen = table(snr, spread, table.best_width(snr, spread))
    assert np.all(chosen > each.max(axis=0) - 0.1) and np.mean(each.max(axis=0) - chosen) < 0.01


def test_detection() -> None:
    gamma = np.concatenate([[0.0], 10 ** np.linspace(-3, 3.3, 200)])
    exact = stats.ncx2.sf(-2 * np.log(1e-4), 2, 2 * gamma)
    exact[0] = 1e-4
    assert np.abs(dwell.detection(1e-4, gamma) - exact).max() < 1e-7


def test_variances_are_those_of_a_finite_difference_fisher_matrix() -> None:
    """Samples over antennas, frequencies and times, a complex amplitude unknown; all indices centred."""
    system = Vehicular(num_antennas=6, bandwidth_hz=2e6)
    duration, gamma, size = 3e-3, 7.0, 48
    centred = (np.arange(size) - (size - 1) / 2) / size
    antenna, frequency, time = np.meshgrid(
        np.arange(6) - 2.5, system.bandwidth_hz * centred, duration * centred, indexing="ij"
    )

    def samples(parameters: np.ndarray) -> np.ndarray:
        re, im, u, r, speed = parameters
        phase = np.pi * antenna * u - 4 * np.pi * frequency * r / LIGHT - 4 * np.pi * time * speed / system.wavelength_m
        return ((re + 1j * im) * np.exp(1j * phase)).ravel()

    amplitude = np.sqrt(gamma / antenna.size)  # energy SNR gamma over noise of unit power
    at, steps = np.array([0.6 * amplitude, 0.8 * amplitude, 0.3, 35.0, 11.0]), np.array([1e-6, 1e-6, 1e-4, 1e-2, 1e-3])
    slope = np.stack([(samples(at + h) - samples(at - h)) / (2 * h.sum()) for h in np.diag(steps)], axis=1)
    bound = np.linalg.inv(2.0 * np.real(slope.conj().T @ slope))
    found = dwell.variances(system, np.array(gamma), np.array(duration))
    assert np.allclose(np.diag(bound)[2:], found, rtol=1e-3)
    correlation = bound / np.sqrt(np.outer(np.diag(bound), np.diag(bound)))
    assert np.abs(correlation[2:, 2:] - np.eye(3)).max() < 1e-6


def test_suppression_keeps_its_promise() -> None:
    """D4: the radar's gain under the believed direction, the loss of the BS's gain of the page, and nothing for q = 0."""
    system = Vehicular(unauthorised_radar=True)
    offset = np.array([0.003, 0.006, 0.01, 0.02, 0.05])
    cosine, zero = np.full(5, 0.2), np.zeros(5)
    start = radar.focused(system, cosine, zero)
    assert np.array_equal(radar.suppressed(system, start, zero, cosine + offset, zero), start)
    v = radar.suppressed(system, start, np.full(5, 0.75), cosine + offset, zero)
    towards = np.abs(np.sum(radar.response(system, cosine + offset) * v, axis=-1)) ** 2 / 64**2
    loss = -20 * np.log10(np.abs(np.sum(radar.response(system, cosine) * v, axis=-1)) / 64)
    assert np.all(towards <= 1.0001e-3) and np.allclose(abs(v), 1.0)
    assert np.allclose(loss, [9.8, 4.5, 1.2, 0.25, 0.01], atol=0.06)
    limit = radar.limit(system)
    assert 1 - special.chndtr(-2 * np.log(1e-4), 2, 2 * limit) == pytest.approx(0.1, abs=1e-9)
    plain = Vehicular(report_std_m=0.3)
    system = Vehicular(unauthorised_radar=True, radar_position_m=(0.3, 0.0), report_std_m=0.3)
    scene = system.sample(np.random.default_rng(0), 40)
    design = system.made(np.full((40, 3), 0.1), suppression=np.full((40, 3), 0.75))
    open_, hidden = (system.evaluate(scene, design.replace(suppression=np.full((40, 3), q))) for q in (0.0, 0.75))
    assert np.allclose(open_.rate, plain.evaluate(scene, plain.made(np.full((40, 3), 0.1))).rate, atol=1e-9)
    assert hidden.radar_snr_db.mean() < open_.radar_snr_db.mean() - 3.0
    later = system.step(scene, design)[1]
    metrics = system.evaluate(later, design)
    assert np.array_equal(metrics.feasible, np.all(metrics.margins["radar"] >= -1e-3, axis=1))
    robust = Vehicular(unauthorised_radar=True, radar_robust=True)
    spread = np.full(5, 0.004)
    v = radar.suppressed(robust, start, np.full(5, 0.5), cosine + 0.03, spread)
    for side in (-1.5, 1.5):
        gain = np.abs(np.sum(radar.response(robust, cosine + 0.03 + side * spread) * v, axis=-1)) ** 2 / 64**2
        assert np.all(gain <= 1.0001e-2)
