"""The bound of a pass: pathwise above every policy, equal to enumeration where vehicles are few, exact forms in one."""

from __future__ import annotations

import dataclasses
import itertools
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import baselines
from agents.rollouts import rollout
from baselines.vehicular.bound import true_positions
from ris_gym.systems.vehicular import Vehicular, motion


@pytest.mark.parametrize("fields", [
    {"preset": "tracking"}, {"preset": "requirement"}, {"preset": "reciprocity"},
    {"preset": "requirement", "reflect_share": 0.5}, {"preset": "reciprocity", "cyclic": False, "sensing_threshold_db": 26.0},
    {"preset": "reciprocity", "choose_reflector": True, "sensing_threshold_db": 26.0},
], ids=str)  # fmt: skip
def test_above_every_policy_pathwise(fields: dict[str, Any]) -> None:
    system = Vehicular.from_preset(**{"num_frames": 20, **fields})
    scene = system.sample(np.random.default_rng(7), 8)
    bound, gaps = baselines.bound(system, scene), {}
    assert set(bound.status) == {"certified"}
    for name in baselines.names(system):
        reached = rollout(system, baselines.make(name, system), scene, np.random.default_rng(0), 10.0)
        gaps[name] = bound.value - reached.score
        assert gaps[name].min() >= 0.0, name
    assert min(gap.mean() for gap in gaps.values()) < 2.5  # not idle


@pytest.mark.parametrize(("assist", "cyclic", "share"), [(True, True, 1.0), (True, False, 0.5), (False, True, 0.7)])
def test_is_the_best_share_with_full_gains(assist: bool, cyclic: bool, share: float) -> None:
    """Two vehicles, two frames: enumerated shares with all gains 1, from a scene in the middle too."""
    system = Vehicular(
        num_users=2, num_frames=3, sensing_threshold_db=27.0, c_assist=assist, cyclic=cyclic, reflect_share=share
    )
    scene = system.sample(np.random.default_rng(1), 2)
    for first in (0, 1):
        bound = baselines.bound(system, scene, penalty=5.0).value
        for b in range(2):
            at = scene[b]
            position = true_positions(system, at)
            own = position[:, [0, 1], [0, 1]].reshape(-1)
            send = np.log2(1 + motion.comm_snr(system, own))
            both = np.log2(1 + (1 - share) * motion.comm_snr(system, own))
            echo = motion.echo_energy(system, position) / system.threshold
            helped = [at.helper_snr[0, 0] / system.threshold, *(echo[t // 2, t % 2, (t + 1) % 2] for t in range(len(own) - 1))]
            grid = np.linspace(0, 1, 26)
            shares = np.array(list(itertools.product(grid, repeat=4)))
            if first == 0:  # shares of frame 0 are free: the slot before frame 1 only helps, so it never senses
                shares = np.concatenate([np.zeros((len(shares), 2)), shares], axis=1)
            total = np.zeros(len(shares))
            for t in range(len(own) - 4, len(own)):
                before = helped[t] * (1 - shares[:, t - 1]) if t else np.full(len(shares), helped[0])
                if not assist or (not cyclic and t % 2 == 0):
                    before = at.helper_snr[0, t % 2] / system.threshold * (t < 2)
                credit = share * shares[:, t] * echo[t // 2, t % 2, t % 2] + before
                total += (1 - shares[:, t]) * send[t] + shares[:, t] * both[t] - 5.0 * np.maximum(0, 1 - credit)
            assert total.max() / 4 <= bound[b] <= total.max() / 4 + 0.12
        scene = system.step(scene, system.made(np.full((2, 2), 0.3)))[1]


def test_without_requirement_it_is_the_aligned_rate() -> None:
    system = Vehicular(num_frames=5, acceleration_psd_m2ps3=0.0)
    scene = system.sample(np.random.default_rng(0), 3)
    time = system.slot_s * np.arange(1, 16).reshape(5, 3)[1:]
    x = scene.position[:, None] + time * scene.velocity[:, None]
    rate = np.log2(1.0 + motion.comm_snr(system, x)).mean(axis=(1, 2))
    assert np.allclose(baselines.bound(system, scene).value, rate, atol=1e-7)
    one = dataclasses.replace(system, sensing_threshold_db=-60.0)
    assert np.allclose(baselines.bound(one, scene).value, rate, atol=1e-5)
    with pytest.raises(ValueError, match="penalty"):
        baselines.bound(system, scene, penalty=-1.0)


def test_the_benchmark_tells_the_slack_and_fails_above_the_bound(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    main = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "pathwise.py"))["main"]
    argv = ["pathwise.py", "--scenes", "3", "--presets", "reciprocity", "--fields", '{"num_frames": 3}']
    monkeypatch.setattr("sys.argv", argv)
    main()
    printed = capsys.readouterr().out
    assert "reciprocity: 3 scenes, bound of the score" in printed
    assert all(f"\n{name} " in printed for name in baselines.names("vehicular"))
    real = baselines.bound
    monkeypatch.setattr(baselines, "bound", lambda *a: dataclasses.replace(real(*a), value=real(*a).value - 5.0))
    with pytest.raises(SystemExit, match="myopic is above the bound"):
        main()
