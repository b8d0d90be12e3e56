"""`nonorthogonal`: received samples, the maximum-likelihood estimator and the bounds it attains, the self-check."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ris_gym import systems
from ris_gym.systems.nonorthogonal import NonOrthogonal, estimator, gradients, physics, self_check, tracking

TRIALS = 4000


def made(scenes: int = 4, seed: int = 0, **fields: Any) -> tuple[Any, Any, Any]:
    """A system, scenes, and designs with random phases."""
    system: Any = systems.make("nonorthogonal", **fields)
    rng = np.random.default_rng(seed)
    scene = system.sample(rng, scenes)
    raw = rng.uniform(-1.0, 1.0, (scenes, system.num_blocks * system.num_elements))
    return system, scene, system.decode(scene, raw)


def trials(system: Any, scene: Any, design: Any, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Samples (S, TRIALS, n, M, T) and estimates of u (S, TRIALS, n, 2)."""
    many = np.repeat(np.arange(len(scene)), TRIALS)
    samples = estimator.received(system, scene[many], design[many], np.random.default_rng(seed))
    found = estimator.estimate_frequencies(system, samples)
    return samples.reshape(len(scene), TRIALS, *samples.shape[1:]), found.reshape(len(scene), TRIALS, *found.shape[1:])


def rms(error: np.ndarray, axis: int = 1) -> np.ndarray:
    return np.asarray(np.sqrt(np.mean(error**2, axis=axis)))


# -- received samples -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["two_user", "consistent", "literal", "mixed"])
def test_received(model: str) -> None:
    """H diag(xi) G w x^T from whole matrices; noise of variance sigma_z^2 on top."""
    system, scene, design = made(2, model=model, num_blocks=2, surface_shape=(3, 2), user_shape=(2, 4))
    silent = estimator.received(system, scene, design, np.zeros((2, 2, 8, 2)))
    sign = 1.0 if model == "literal" else -1.0
    for b in range(2):
        for i in range(2):
            u = scene.spatial_frequency[b, i]
            channel = scene.gain_bs_ris[b, i] * np.outer(scene.incident[b, i], scene.bs_steering[b, i].conj())
            row = np.exp(sign * 1j * system.element_index @ u)
            h = scene.gain_ris_user[b, i] * np.outer(np.exp(1j * system.user_index @ u), row)
            wanted = h @ np.diag(design.coefficients[b, i]) @ channel @ design.beams[b, i] @ scene.symbols[b, i][None]
            assert np.allclose(silent[b, i], wanted, rtol=1e-12, atol=1e-12 * np.abs(wanted).max())
    many = np.zeros(TRIALS, int)
    noise = estimator.received(system, scene[many], design[many], np.random.default_rng(0)) - silent[0]
    assert np.mean(np.abs(noise) ** 2) == pytest.approx(system.noise_w, rel=0.02)
    assert abs(np.mean(noise**2)) < 0.02 * system.noise_w


def test_received_raises() -> None:
    system, scene, design = made(2)
    with pytest.raises(ValueError, match="noise must have shape"):
        estimator.received(system, scene, design, np.zeros((2, 1, 16, 3)))
    with pytest.raises(ValueError, match="symbols"):
        estimator.received(system, scene.replace(symbols=None), design, np.random.default_rng(0))
    with pytest.raises(ValueError, match="samples must have shape"):
        estimator.estimate_frequencies(system, np.zeros((2, 1, 15, 2)))
    line: Any = systems.make("nonorthogonal", model="consistent", fisher="paper", user_shape=(1, 4))
    with pytest.raises(ValueError, match="user_shape"):
        estimator.estimate_frequencies(line, np.zeros((2, 1, 4, 2)))
    with pytest.raises(ValueError, match="receiver_seed"):
        estimator.receiver_noise(system, scene, np.zeros(2, int))


# -- angles ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4, 4), (2, 2), (2, 5), (8, 3)])
def test_estimate_is_the_global_maximum(shape: tuple[int, int]) -> None:
    """Exact without noise, also at the edge of the visible region; with it at least as high as the best of a fine grid."""
    system: Any = systems.make("nonorthogonal", user_shape=shape)
    rng = np.random.default_rng(0)
    angle, radius = 2.0 * np.pi * rng.random(200), np.pi * np.sqrt(0.99 * rng.random(200))
    truth = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    steering = np.exp(1j * truth @ system.user_index.T)
    x = rng.standard_normal((200, 1, 3)) + 1j * rng.standard_normal((200, 1, 3))
    found = estimator.estimate_frequencies(system, steering[..., None] * x)
    assert np.abs(found - truth).max() < 1e-10
    noisy = steering[:60, :, None] * x[:60] + rng.standard_normal((60, *steering.shape[1:], 3))

    def value(u: np.ndarray) -> np.ndarray:
        """(60, K) of u (60 or 1, K, 2)."""
        return np.asarray(np.sum(np.abs(np.exp(-1j * u @ system.user_index.T) @ noisy) ** 2, axis=-1))

    axis = np.linspace(-np.pi, np.pi, 101)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    grid = grid[np.hypot(grid[:, 0], grid[:, 1]) < 0.9 * np.pi]
    best = estimator.estimate_frequencies(system, noisy)
    reached = value(best[:, None])[:, 0]
    assert np.all(reached >= value(grid[None]).max(axis=1))
    alone = np.concatenate([estimator.estimate_frequencies(system, noisy[i : i + 1]) for i in range(8)])
    assert np.array_equal(alone, best[:8])  # whatever else is in the batch


def test_the_complex_matrix_is_attained() -> None:
    """Section 1, item 2: with 2x2 antennas and random phases the estimator's error is the `complex` bound's, not Theorem 1's.

    A receiver that knows Im x(t) attains Theorem 1's.
    """
    system, scene, design = made(6, seed=1, model="consistent", fisher="complex", user_shape=(2, 2), snr_db=30.0)
    samples, found = trials(system, scene, design)
    inverse = np.linalg.inv(scene.reference["jacobian"][:, 0])
    moment = physics.moments(np, scene, design.coefficients)
    bound = {kind: np.sqrt(system.values(scene, moment, kind).crlb_angle[:, 0]) for kind in ("complex", "paper")}

    def angular(guess: np.ndarray) -> np.ndarray:
        """rms error of the angles, mean of both, as in CRLB_angle."""
        error = np.einsum("sij,stj->sti", inverse, guess - scene.spatial_frequency)
        return np.asarray(np.sqrt(0.5 * np.mean(np.sum(error**2, axis=-1), axis=1)))

    error = angular(found[:, :, 0])
    assert np.abs(error / bound["complex"] - 1.0).max() < 0.05
    assert np.all(error / bound["paper"] > 1.15) and np.mean(error / bound["paper"]) > 1.8
    helped = np.stack([imaginary_known(system, scene, design, b, samples[b, :, 0], found[b, :, 0]) for b in range(6)])
    assert np.abs(angular(helped) / bound["paper"] - 1.0).max() < 0.05


def imaginary_known(system: Any, scene: Any, design: Any, b: int, samples: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Least squares of u and Re x(t), given Im x(t): Gauss-Newton from the estimates of u (K, 2)."""
    beam = np.vdot(scene.bs_steering[b, 0], design.beams[b, 0, :, 0])
    lit = scene.gain_bs_ris[b, 0] * scene.gain_ris_user[b, 0] * beam * design.coefficients[b, 0] * scene.incident[b, 0]
    u, real = start.copy(), np.tile(scene.symbols[b, 0].real, (len(start), 1))
    for _ in range(4):
        q = lit * np.exp(-1j * u @ system.element_index.T)
        gain, b_u = q.sum(axis=-1), np.exp(1j * u @ system.user_index.T)
        path = gain[:, None] * b_u
        x = real + 1j * scene.symbols[b, 0].imag
        moved = gain[:, None, None] * system.user_index - (q @ system.element_index)[:, None]  # (K, M, 2)
        columns = [(1j * moved[..., i] * b_u)[..., None] * x[:, None] for i in range(2)]
        columns += [path[..., None] * unit for unit in np.eye(system.num_slots)]
        flat = np.stack([column.reshape(len(u), -1) for column in columns], axis=-1)
        gap = (samples - path[..., None] * x[:, None]).reshape(len(u), -1, 1)
        both, rest = np.concatenate([flat.real, flat.imag], axis=1), np.concatenate([gap.real, gap.imag], axis=1)
        step = np.linalg.solve(both.mT @ both, both.mT @ rest)[..., 0]
        u, real = u + step[:, :2], real + step[:, 2:]
    return u


# -- position -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [{}, {"model": "consistent", "num_slots": 3, "user_shape": (3, 4)}], ids=str)
def test_position_attains_its_bound(fields: dict[str, Any]) -> None:
    """rms errors of u per block and axis, and of the position, within 5 % of their bounds at high SNR."""
    system, scene, design = made(2, num_blocks=2, snr_db=20.0, fisher="complex", **fields)
    _, found = trials(system, scene, design)
    weight = tracking.angle_information(system, scene, design)
    assert np.abs(rms(found - scene.spatial_frequency[:, None]) * np.sqrt(weight) - 1.0).max() < 0.05
    many = np.repeat(np.arange(2), TRIALS)
    place = estimator.locate(system, scene[many], found.reshape(-1, 2, 2), weight[many]).reshape(2, TRIALS, 3)
    off = rms(np.linalg.norm(place - scene.user_position[:, None], axis=-1))
    peb = system.evaluate(scene, design).peb_m
    assert np.all(peb < 0.2) and np.abs(off / peb - 1.0).max() < 0.05
    flat = estimator.locate(system, scene[many], found.reshape(-1, 2, 2), weight[many], floor=True).reshape(2, TRIALS, 3)
    assert np.all(flat[..., 2] == 0.0)
    floor_bound = np.sqrt(np.trace(np.linalg.inv(tracking.measurement_information(system, scene, design)), axis1=1, axis2=2))
    off = rms(np.linalg.norm(flat - scene.user_position[:, None], axis=-1))
    assert np.abs(off / floor_bound - 1.0).max() < 0.05


@pytest.mark.parametrize("floor", [False, True])
def test_locate_is_exact_and_always_finite(floor: bool) -> None:
    system, scene, design = made(50, num_blocks=2)
    weight = tracking.angle_information(system, scene, design)
    place = estimator.locate(system, scene, scene.spatial_frequency, weight, floor)
    assert np.abs(place - scene.user_position).max() < 1e-6
    bare = scene.replace(ris_position=None)
    assert np.array_equal(estimator.locate(system, bare, scene.spatial_frequency, weight, floor), place)
    wild = np.random.default_rng(0).uniform(-np.pi, np.pi, (50, 2, 2))
    wild[:5] = np.array([np.pi, 0.0, -np.pi, 3.0, -0.01])[:, None, None]  # behind, above, at infinity
    for some in (weight, 0.0 * weight, weight * np.array([1e-30, 1.0])):
        place = estimator.locate(system, scene, wild, some, floor)
        assert np.isfinite(place).all() and np.all(place[:, 0] > 0.0)
        room = estimator.in_room(system, place[:, :2])
        assert np.all(np.hypot(*room.T) <= 20.0 + 1e-9) and np.all(np.abs(np.arctan2(room[:, 1], room[:, 0])) <= np.pi / 3 + 1e-9)


def test_locate_needs_enough_blocks() -> None:
    single, scene, _ = made(2)
    one, u = np.ones((2, 1, 2)), scene.spatial_frequency
    assert np.allclose(estimator.locate(single, scene, u, one, floor=True), scene.user_position, atol=1e-6)
    with pytest.raises(ValueError, match="num_blocks=2"):
        estimator.locate(single, scene, u, one)
    with pytest.raises(ValueError, match="frequency and weight"):
        estimator.locate(single, scene, u, np.ones((2, 2, 2)))
    low: Any = systems.make("nonorthogonal", ris_height_m=0.0)
    with pytest.raises(ValueError, match="ris_height_m"):
        estimator.locate(low, scene, u, one, floor=True)


# -- tracking -------------------------------------------------------------------------------------------------------------------


def tracked(system: Any, policy: str, batch: int = 64, frames: int = 8, dtype: str = "complex128") -> dict[str, np.ndarray]:
    """Paths, beliefs and normalised squared errors of the beliefs after the update (frames, batch, ...)."""
    scene = system.sample_tracking(np.random.default_rng(3), batch, dtype=dtype)
    rng = np.random.default_rng(4)
    out: dict[str, list[np.ndarray]] = {"path": [], "belief": [], "noise": [], "nees": []}
    for frame in range(frames):
        known = system.known(scene)
        assert known.receiver_seed is None
        raw = system.start(known)
        if policy == "random":
            raw = rng.uniform(-1.0, 1.0, raw.shape)
        out["noise"].append(estimator.receiver_noise(system, scene, np.full(batch, frame)))
        design = system.decode(known, raw)
        covariance = np.linalg.inv(tracking.measurement_information(system, scene, design) + tracking.REGULARISER * np.eye(2))
        measured = estimator.measured_position(system, scene, design, np.full(batch, frame))
        mean, wide = tracking.update(scene.belief_mean, scene.belief_cov, measured, covariance)
        gap = mean[:, :2] - scene.user_position[:, :2]
        out["nees"].append(np.einsum("bi,bij,bj->b", gap, np.linalg.inv(wide[:, :2, :2]), gap))
        scene = system.advance(scene, design, rng, 0.0, 0.0)
        assert np.allclose(scene.belief_mean, tracking.predict(system, mean, wide)[0], atol=1e-4)
        out["path"].append(scene.user_position)
        out["belief"].append(scene.belief_mean)
    return {name: np.stack(arrays) for name, arrays in out.items()}


def test_tracking_by_the_estimator() -> None:
    """Deterministic; one world for whatever policy; the belief is as wide as its errors."""
    system: Any = systems.make("nonorthogonal", preset="tracking", measurement="ml", snr_db=-10.0)
    once, again, other = (tracked(system, policy) for policy in ("start", "start", "random"))
    for name, array in once.items():
        assert np.isfinite(array).all() and np.array_equal(array, again[name])
    assert np.array_equal(once["path"], other["path"]) and np.array_equal(once["noise"], other["noise"])
    assert not np.allclose(once["belief"], other["belief"])
    assert len(np.unique(once["noise"].real)) == once["noise"].size  # frames, scenes and blocks differ
    assert 1.7 < once["nees"].mean() < 2.4
    assert np.isfinite(tracked(system, "random", dtype="complex64")["belief"]).all()


def test_measured_position_has_the_stated_covariance() -> None:
    """e^T J_r e has mean 2 where no estimate is an outlier."""
    system: Any = systems.make("nonorthogonal", preset="tracking", measurement="ml", snr_db=0.0)
    scene = system.sample_tracking(np.random.default_rng(5), 2000)
    design = system.decode(scene, system.start(scene))  # the beam at the true position
    place = estimator.measured_position(system, scene, design, np.zeros(2000, int))
    gap = place - scene.user_position[:, :2]
    squared = np.einsum("bi,bij,bj->b", gap, tracking.measurement_information(system, scene, design), gap)
    assert squared.mean() == pytest.approx(2.0, abs=0.15)  # standard deviation of the mean: 0.045


# -- self-check -----------------------------------------------------------------------------------------------------------------

CHECKED: list[dict[str, Any]] = [
    {},
    {"preset": "theorem1"},
    {"preset": "paper"},
    {"preset": "tracking", "surface_shape": (3, 3)},
    {"model": "literal", "num_blocks": 2, "fisher": "known", "phase_bits": None, "num_slots": 3},
    {"objective_form": "constrained", "symbol_variance": 0.3, "design_symbols": "statistical"},
    {"model": "consistent", "fisher": "paper", "user_shape": (1, 1), "num_slots": 3},
]


@pytest.mark.parametrize("fields", CHECKED, ids=str)
def test_self_check(fields: dict[str, Any]) -> None:
    system: Any = systems.make("nonorthogonal", **fields)
    found = system.self_check()
    missing = self_check.TOLERANCES.keys() - found.keys()
    expected = {"differences"} if system.model == "mixed" else set()
    if system.model == "mixed" or min(system.user_shape) < 2:
        expected |= {"estimator_angle", "estimator_position"}
    if not system.position_bound:
        expected |= {"estimator_position"}
    assert missing == expected
    assert all(value <= self_check.TOLERANCES[name] for name, value in found.items()), found


def test_self_check_notices(monkeypatch: pytest.MonkeyPatch) -> None:
    """A transposed coupling, a wrong slope, a phase reference and a noise that is too loud show."""
    system: Any = systems.make("nonorthogonal", model="consistent", fisher="complex", num_blocks=2)

    def failed() -> set[str]:
        found = system.self_check()
        monkeypatch.undo()
        return {name for name, value in found.items() if value > self_check.TOLERANCES[name]}

    coupling, adjoint, moments, received = physics.coupling, gradients.adjoint, physics.moments, estimator.received
    monkeypatch.setattr(physics, "coupling", lambda *given: tuple(pair[::-1] for pair in coupling(*given)))
    assert {"explicit", "differences"} <= failed()
    monkeypatch.setattr(gradients, "adjoint", lambda *given: 1.001 * adjoint(*given))
    assert failed() == {"gradient"}
    monkeypatch.setattr(physics, "moments", lambda xp, scene, xi: moments(xp, scene, xi) + xp.real(xi[..., :1]))
    assert "common_phase" in failed()
    louder = lambda system, *given: received(NonOrthogonal(num_blocks=2, snr_db=system.snr_db - 1.0), *given)  # noqa: E731
    monkeypatch.setattr(estimator, "received", louder)
    assert failed() == {"estimator_angle", "estimator_position"}
