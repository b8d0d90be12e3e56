"""Frames of `vehicular` against the plain scalar form; kinematics, filter consistency, what is known, options."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from vehicular_brute import Brute

from ris_gym.systems.vehicular import Vehicular, dwell, motion, planning

RECIPROCITY = Vehicular.presets["reciprocity"]
CASES: dict[str, dict[str, Any]] = {
    "tracking": {},
    "requirement": {"sensing_threshold_db": 10.0, "report_period": 2},
    "reciprocity": RECIPROCITY,
    "joint": {**RECIPROCITY, "reflect_share": 0.5, "num_users": 2},
    "reports": {**RECIPROCITY, "s_assist": False, "report_period": 3},
    "line": {**RECIPROCITY, "cyclic": False},
    "chosen": {**RECIPROCITY, "choose_reflector": True, "num_users": 4},
    "chosen in a line": {**RECIPROCITY, "choose_reflector": True, "cyclic": False},
    "alone": {**RECIPROCITY, "num_users": 1, "num_cols": 7, "num_rows": 3},
}


@pytest.mark.parametrize("case", CASES)
def test_frames_equal_the_plain_form(case: str) -> None:
    system = Vehicular(num_frames=6, report_std_m=0.5, **{"num_cols": 16, **CASES[case]})
    rng, detections = np.random.default_rng(4), 0
    scene = system.sample(rng, 4)
    size = sum(v.size for v in system.variables())
    for frame in range(system.num_frames):
        design = system.decode(system.known(scene), rng.uniform(-1, 1, (4, size)))
        if frame == 1:
            design = design.replace(sensing_share=np.where(design.sensing_share < 0.5, 0.0, 1.0))  # no dwell of no time
        metrics, after = system.step(scene, design)
        for b in range(4):
            brute = Brute(system, scene[b], design[b]).run()
            detections += brute.detections
            assert np.allclose(metrics.rate[b], brute.rate, atol=1e-8)
            assert np.allclose(10 ** (metrics.sensing_snr_db[b] / 10), np.maximum(brute.credit, 1e-6), rtol=1e-8)
            assert metrics.detections[b] == brute.detections
            for name, value in (
                ("position", brute.x[:, 0]), ("velocity", brute.x[:, 1]), ("belief_mean", brute.m), ("belief_cov", brute.c),
                ("report_mean", brute.rm), ("report_cov", brute.rc), ("helper_snr", brute.helper),
            ):  # fmt: skip
                assert np.allclose(getattr(after, name)[b], value, rtol=1e-7, atol=1e-8), name
        if system.threshold is not None:
            credit = 10 ** (metrics.sensing_snr_db / 10)
            cost = np.mean(np.maximum(0.0, 1.0 - credit / system.threshold), axis=1)
            assert np.allclose(metrics.cost, cost if frame else 0.0, atol=1e-6)
        assert np.all(metrics.counted == (frame > 0)) and np.all(after.frame == frame + 1)
        scene = after
    assert detections > 5 and system.frames(scene) == 0
    still = system.step(scene, design)[1]
    assert all(np.array_equal(array, getattr(scene, name)) for name, array in still.items())


def test_steps_compose() -> None:
    """Two half steps are one step: beliefs, and the noise that is drawn for the truth."""
    mean, cov = np.array([[1.0, 14.0]]), np.array([[[2.0, 0.3], [0.3, 0.4]]])
    once = motion.predict(mean, cov, 0.5, 0.04)
    twice = motion.predict(*motion.predict(mean, cov, 0.5, 0.01), 0.5, 0.03)
    assert all(np.allclose(a, b, rtol=1e-14) for a, b in zip(once, twice, strict=True))
    f, q = motion.step_matrices(0.5, 0.02)
    assert np.allclose(f @ q @ f.T + q, motion.step_matrices(0.5, 0.04)[1], rtol=1e-14)
    assert np.allclose(motion.root(q) @ motion.root(q).T, q, rtol=1e-14)


def test_planned_update_is_the_filter_of_expected_information() -> None:
    system, rng = Vehicular(), np.random.default_rng(0)
    root = rng.standard_normal((5, 2, 2))
    cov, mean = root @ root.mT + 0.1 * np.eye(2), np.stack([rng.uniform(-30, 30, 5), rng.uniform(12, 17, 5)], axis=1)
    gamma, duration = 10 ** rng.uniform(0, 2, 5), rng.uniform(1e-3, 1e-2, 5)
    seen = np.stack(dwell.observables(system, mean[:, 0], mean[:, 1]), axis=-1)
    same, after = dwell.echo_update(system, mean, cov, seen, gamma, duration)
    assert np.allclose(same, mean) and np.allclose(after, dwell.planned_update(system, mean, cov, gamma, duration), rtol=1e-8)


def test_filter_is_consistent_as_the_page_states() -> None:
    """NEES 2.1 to 2.45 in the mean, 1.5 to 2.4 % of it above 9.21 (with the spread of a small set)."""
    system = Vehicular.from_preset("requirement")
    scene, found = system.sample(np.random.default_rng(101), 64), []
    for _ in range(system.num_frames):
        known = system.known(scene)
        wide = np.where(6.0 * motion.outlook(system, known).spread > 2.0 / 64, 0.5, 0.0)
        share = planning.ruled_share(system, known, wide)
        metrics, scene = system.step(scene, system.made(share, wide, wide))
        found.append(metrics.nees)
    nees = np.array(found)[1:]
    assert 2.0 < nees.mean() < 2.5 and 0.01 < np.mean(nees > 9.21) < 0.03


def test_known_hides_the_truth() -> None:
    system = Vehicular.from_preset("reciprocity")
    scene = system.sample(np.random.default_rng(0), 5)
    for name in ("position", "velocity", "process", "report", "echo", "detect"):
        assert getattr(system.known(scene), name) is None
    other = scene.replace(position=scene.position + 5.0, velocity=scene.velocity + 1.0, echo=-scene.echo, detect=1 - scene.detect)
    raw = np.random.default_rng(1).uniform(-1, 1, (5, 6))
    for a, b in (
        (system.observe(system.known(scene)), system.observe(system.known(other))),
        (system.decode(system.known(scene), raw, "surface").sensing_share,) * 2,
        (system.start(system.known(scene)), system.start(system.known(other))),
    ):
        assert np.array_equal(a, b)
    expected = [system.evaluate(system.known(s), system.decode(system.known(s), raw, "surface")) for s in (scene, other)]
    assert np.array_equal(expected[0].rate, expected[1].rate) and expected[0].position_error_m is None


def test_expected_rate_is_the_mean_over_beliefs_and_noise() -> None:
    """Without sensing, exactly: truths drawn from the belief, predicted to the slot. With sensing the plan is near."""
    system = Vehicular(report_std_m=0.4)
    one = system.sample(np.random.default_rng(3), 1)
    rng, count = np.random.default_rng(5), 4000
    many = one[np.zeros(count, int)]
    noise = system.sample(rng, count)
    state = many.belief_mean + np.einsum("bkij,bkj->bki", np.linalg.cholesky(many.belief_cov), rng.standard_normal((count, 3, 2)))
    world = many.replace(
        position=state[..., 0], velocity=state[..., 1], process=noise.process, echo=noise.echo, detect=noise.detect
    )
    for share, width, tolerance in ((0.0, 0.0, 0.03), (0.0, 0.3, 0.03), (0.2, 0.3, 0.15)):
        design = system.made(*(np.full((1, 3), value) for value in (share, width, width)))
        planned = system.evaluate(system.known(one), design)
        drawn = system.evaluate(world, design[np.zeros(count, int)])
        assert np.allclose(drawn.rate.mean(axis=0), planned.rate[0], atol=tolerance)
        credit = 10 ** (drawn.sensing_snr_db / 10)
        error = 4 * credit.std(axis=0) / np.sqrt(count) + 0.02 * credit.mean(axis=0) + 1e-6
        assert np.all(np.abs(credit.mean(axis=0) - 10 ** (planned.sensing_snr_db[0] / 10)) < error)


def test_needed_share_meets_the_requirement_by_prediction() -> None:
    system = Vehicular.from_preset("reciprocity", sensing_threshold_db=25.0)
    scene = system.sample(np.random.default_rng(0), 30)
    scene = system.step(scene, system.made(np.full((30, 3), 0.3)))[1]
    known = system.known(scene)
    share = planning.ruled_share(system, known, np.full((30, 3), 0.5))
    credit = planning.expect(system, known, system.made(share, np.full((30, 3), 0.5)), safety_db=1.0).credit
    inside = (share > 0) & (share < 1)
    assert inside.sum() > 5 and np.allclose(credit[inside], system.threshold)
    assert np.all(credit[share == 0] >= system.threshold) and np.all(credit[share == 1] <= system.threshold * (1 + 1e-9))


@pytest.mark.parametrize(
    ("fields", "error", "text"),
    [
        ({"reflect_share": 1.5}, ValueError, "reflect_share"), ({"speed_max_mps": 12.0}, ValueError, "speed_max_mps"),
        ({"false_alarm": 1.0}, ValueError, "false_alarm"), ({"c_assist": 1}, TypeError, "c_assist"),
        ({"unauthorised_radar": True, "radar_position_m": (0.0, 40.0)}, ValueError, "radar_position_m"),
        ({"unauthorised_radar": True, "radar_detection_max": 1e-5}, ValueError, "radar_detection_max"),
    ],
)  # fmt: skip
def test_wrong_parameters(fields: dict[str, Any], error: type, text: str) -> None:
    with pytest.raises(error, match=text):
        Vehicular(**fields)


@pytest.mark.parametrize(
    ("name", "change"),
    [("frame", 81.0), ("detect", 1.5), ("helper_snr", -1.0), ("belief_cov", -1.0), ("position", np.nan)],
)
def test_wrong_scenes(name: str, change: float) -> None:
    system = Vehicular()
    arrays = dict(system.sample(np.random.default_rng(0), 2).items())
    arrays[name] = np.full_like(np.asarray(arrays[name], float), change)
    with pytest.raises(ValueError, match=f"array '{name}'"):
        system.check_scene(arrays)
