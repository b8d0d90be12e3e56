"""Statistics of the sampled scenes of `beampattern`."""

from __future__ import annotations

import numpy as np
import pytest

from ris_gym import channels, systems


def test_rician_statistics() -> None:
    """Mean, power, Rician factor and path loss of sampled links; log-normal shadowing."""
    system = systems.make("beampattern", rician_db=3.0, num_elements=4, num_antennas=3, shadowing_db=6.0)
    scene = system.sample(np.random.default_rng(0), 40_000)
    kappa = 10**0.3
    for link, exponent, gap in (("bs_ris", 2.2, np.hypot(40, 10)), ("ris_user", 2.2, np.hypot(5, 10))):
        array, los = getattr(scene, link), getattr(scene, f"{link}_los")
        power = 1e-3 * gap**-exponent
        mean = array.mean(axis=0)
        assert np.allclose(mean, los[0], atol=4 * np.sqrt(power / (1 + kappa) / 40_000))
        assert np.allclose(np.abs(los[0]) ** 2, power * kappa / (1 + kappa), rtol=1e-12)
        scattered = array - los
        assert np.mean(np.abs(scattered) ** 2) == pytest.approx(power / (1 + kappa), rel=0.01)
        assert np.abs(np.mean(scattered**2)) < 0.02 * power
    direct = scene.bs_user / scene.bs_user_scale[..., None]
    assert np.mean(np.abs(direct) ** 2) == pytest.approx(1.0, rel=0.01)
    shadow = 20 * np.log10(scene.bs_user_scale[:, 0] / channels.path_amplitude(45.0, 3.5, 30.0))
    assert np.mean(shadow) == pytest.approx(0.0, abs=0.15) and np.std(shadow) == pytest.approx(6.0, rel=0.02)
    assert np.abs(np.corrcoef(shadow, np.abs(scene.bs_ris[:, 0, 0]))[0, 1]) < 0.02
    pure = systems.make("beampattern", los_bs_ris=True).sample(np.random.default_rng(0), 3)
    assert np.array_equal(pure.bs_ris, pure.bs_ris_los) and np.allclose(np.abs(pure.bs_ris), 10**-1.5 * np.hypot(40, 10) ** -1.1)


def test_users_fill_their_disc() -> None:
    system = systems.make("beampattern", user_radius_m=4.0, num_users=2)
    scene = system.sample(np.random.default_rng(0), 5000)
    away = scene.user_position - np.array(system.user_position_m)
    radius = np.linalg.norm(away, axis=-1)
    assert radius.max() <= 4.0 and np.mean(radius**2) == pytest.approx(8.0, rel=0.03)
    assert np.allclose(away.mean(axis=(0, 1)), 0.0, atol=0.1)
    b = 17
    for k in range(2):
        d = np.hypot(*(scene.user_position[b, k] - np.array(system.ris_position_m)))
        u = (scene.user_position[b, k] - np.array(system.ris_position_m))[0] / d
        weight = channels.rician_weights(system.rician_db)[0]
        expected = channels.path_amplitude(d, 2.2, 30.0) * weight * np.exp(1j * np.pi * np.arange(32) * u)
        assert np.allclose(scene.ris_user_los[b, k], expected)
