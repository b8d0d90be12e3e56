"""The declared sets: they are what they were declared to be, here and on machines whose last bits differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import agents
import baselines
import ris_gym
from agents import cli, scenes, test_sets

NAMES = sorted(test_sets.SETS)
NORMAL = ("process", "report", "echo")
"""Normal numbers that `vehicular` draws in single precision."""
TAIL = 3.65
"""numpy draws larger normal numbers of single precision by a logarithm, the others from a table."""
DECLARED = [
    ("beampattern/test-v1", "beampattern", "five", "test", 1000),
    ("beampattern/sectors-test-v1", "beampattern", "sectors", "test", 1000),
    ("beampattern/validation-v1", "beampattern", "five", "validation", 256),
    ("active_crb/test-v1", "active_crb", "default", "test", 1000),
    ("active_crb/hard-test-v1", "active_crb", "hard", "test", 1000),
    ("active_crb/validation-v1", "active_crb", "default", "validation", 256),
    ("active_crb/hard-validation-v1", "active_crb", "hard", "validation", 256),
    ("multifunctional/test-v1", "multifunctional", "default", "test", 1000),
    ("multifunctional/ms-test-v1", "multifunctional", "ms", "test", 1000),
    ("multifunctional/ts-test-v1", "multifunctional", "ts", "test", 1000),
    ("multifunctional/active-test-v1", "multifunctional", "active", "test", 1000),
    ("multifunctional/validation-v1", "multifunctional", "default", "validation", 256),
    ("multifunctional/ms-validation-v1", "multifunctional", "ms", "validation", 256),
    ("multifunctional/ts-validation-v1", "multifunctional", "ts", "validation", 256),
    ("multifunctional/active-validation-v1", "multifunctional", "active", "validation", 256),
    ("nonorthogonal/test-v1", "nonorthogonal", "physical", "test", 1000),
    ("nonorthogonal/theorem1-test-v1", "nonorthogonal", "theorem1", "test", 1000),
    ("nonorthogonal/paper-test-v1", "nonorthogonal", "paper", "test", 1000),
    ("nonorthogonal/validation-v1", "nonorthogonal", "physical", "validation", 256),
    ("nonorthogonal/tracking-test-v1", "nonorthogonal", "tracking", "test", 200),
    ("nonorthogonal/tracking-validation-v1", "nonorthogonal", "tracking", "validation", 128),
    ("vehicular/test-v1", "vehicular", "tracking", "test", 200),
    ("vehicular/requirement-test-v1", "vehicular", "requirement", "test", 200),
    ("vehicular/reciprocity-test-v1", "vehicular", "reciprocity", "test", 200),
    ("vehicular/validation-v1", "vehicular", "tracking", "validation", 128),
    ("vehicular/requirement-validation-v1", "vehicular", "requirement", "validation", 128),
    ("anchor/test-v1", "anchor", "default", "test", 1000),
    ("anchor/validation-v1", "anchor", "default", "validation", 512),
]


def test_every_set_is_tested() -> None:
    assert [entry[0] for entry in DECLARED] == list(test_sets.SETS)


@pytest.mark.parametrize(("name", "model", "preset", "split", "count"), DECLARED)
def test_sets_are_those_of_the_presets(name: str, model: str, preset: str, split: str, count: int) -> None:
    entry = test_sets.get(name)
    system = ris_gym.systems.make(model, preset=preset)
    assert (entry.split, entry.seed, entry.count) == (split, 0, count) and entry.system() == system
    episode = "tracking" if (model, preset) == ("nonorthogonal", "tracking") else None
    assert entry.episode == episode and test_sets.declared(system, split, episode=episode) is entry
    assert scenes.frozen_scenes(system, split, 2, episode=episode).name == name
    whole = scenes.named_scenes(name, count)
    assert len(whole) == count and whole.sha256 == entry.sha256 and whole.name == name


@pytest.mark.parametrize("name", NAMES)
def test_hashes_survive_other_last_bits(name: str) -> None:
    """No value lies so near to the middle between two steps, and no rms so near to a power of two, that 64 ulp could matter."""
    entry = test_sets.get(name)
    drawn = scenes.draw_scenes(entry.system(), entry.split, entry.count, entry.seed, episode=entry.episode)
    for key, array in drawn.items():
        if key.startswith("reference/"):
            continue  # derived, not hashed
        values = np.stack([array.real, array.imag]) if array.dtype.kind == "c" else array
        single = entry.single and np.array_equal(values, values.astype(np.float32))
        step = scenes.hash_step(values, entry.single)
        part = np.abs(values / step - np.floor(values / step) - 0.5) * step
        assert np.all(part > (last_bits(values, key) if single else 64.0 * np.spacing(np.abs(values)))), key
        mantissa = np.sqrt(np.mean(values**2)) / (step * 2.0 ** (scenes.SINGLE_BITS if single else scenes.HASH_BITS))
        slack = 1e-8 if single else 1e-12
        assert mantissa == 0.0 or 1.0 <= mantissa < 2.0 - slack, key
        assert mantissa == 0.0 or np.ptp(values) == 0.0 or mantissa > 1.0 + slack, key
        if key in ("belief_mean", "report_mean") and entry.single:  # the first reports are in them
            system, report = entry.system(), drawn.report[:, 0]
            deviation = np.array([system.report_std_m, system.report_std_mps])
            assert np.all(part > deviation * last_bits(report, "report")), key


def last_bits(values: np.ndarray, key: str) -> np.ndarray:
    """How far noise drawn in single precision may lie elsewhere from where it is here: nowhere (-1: a table's entry times a whole
    number), but two last bits for the tails of normal numbers, which are made by a logarithm."""
    tail = (np.abs(values) > TAIL) & (key in NORMAL)
    return np.where(tail, 2.0 * np.spacing(np.abs(values).astype(np.float32)), -1.0)


def test_single_precision_is_hashed_coarsely_and_nothing_else() -> None:
    scene = scenes.named_scenes("vehicular/validation-v1", 128).scene
    hashed, fine = scenes.scene_hash(scene, single=True), scenes.scene_hash(scene)
    echo = np.where(np.abs(scene.echo) > TAIL, np.nextafter(scene.echo.astype(np.float32), np.float32(9.0)), scene.echo)
    assert np.any(echo != scene.echo)
    assert scenes.scene_hash(scene.replace(echo=echo), single=True) == hashed == test_sets.get("vehicular/validation-v1").sha256
    assert scenes.scene_hash(scene.replace(echo=echo)) != fine != hashed
    for changes in ({"echo": -scene.echo}, {"position": scene.position + 1e-3}, {"detect": 1.0 - scene.detect}):
        assert scenes.scene_hash(scene.replace(**changes), single=True) != hashed
    whole = scenes.named_scenes("vehicular/test-v1", 200)
    assert whole.first(7).sha256 == scenes.named_scenes("vehicular/test-v1", 7).sha256 != scenes.scene_hash(whole.scene[:7])


def test_smaller_numbers_and_estimates_are_of_the_set() -> None:
    whole = scenes.named_scenes("beampattern/test-v1", 1000)
    hundred, few = scenes.named_scenes("beampattern/test-v1"), scenes.named_scenes("beampattern/test-v1", 7, 0.1)
    assert len(hundred) == 100 and hundred.sha256 == whole.first(100).sha256
    np.testing.assert_array_equal(few.scene.bs_ris, whole.scene.bs_ris[:7])
    assert few.name == "beampattern/test-v1/csi-0.1" and few.scene.bs_ris_estimate is not None
    system = ris_gym.systems.make("beampattern")
    assert scenes.frozen_scenes(system).sha256 == hundred.sha256 and scenes.frozen_scenes(system).name == "beampattern/test-v1"
    drawn = system.sample(scenes.generator("test", 0), batch=100)  # the scenes of the results before the sets had hashes
    np.testing.assert_array_equal(hundred.scene.bs_user, drawn.bs_user)


def test_derived_constants_are_not_hashed() -> None:
    """Singular vectors are unique up to phases only, so another machine may find others."""
    scene = scenes.named_scenes("active_crb/test-v1", 3).scene
    turned = scene.replace(reference={**scene.reference, "basis": -scene.reference["basis"]})
    assert scenes.scene_hash(turned) == scenes.scene_hash(scene)
    for name in ("bs_ris", "ris_user", "target_response"):
        assert scenes.scene_hash(scene.replace(**{name: -getattr(scene, name)})) != scenes.scene_hash(scene)


def test_other_parameters_have_other_names() -> None:
    default = ris_gym.systems.make("beampattern")
    others = [
        ris_gym.systems.make("beampattern", **changes)
        for changes in ({"num_elements": 16}, {"sinr_threshold_db": 20.0}, {"noise_dbm": -79.999}, {"num_sensing_beams": 1})
    ]
    names = [scenes.frozen_scenes(system, "test", 2).name for system in [*others, ris_gym.systems.make("beampattern")]]
    assert len(set(names)) == 5 and names[-1] == "beampattern/test-v1"
    for name, system in zip(names, others, strict=False):
        assert name == f"beampattern/{test_sets.parameter_hash(system)}/test"
    assert scenes.frozen_scenes(default, "test", 1001).name == f"beampattern/{test_sets.parameter_hash(default)}/test"
    assert scenes.frozen_scenes(default, "test", 2, seed=3).name.endswith("/test-seed3")
    assert scenes.frozen_scenes(default, "train", 2).name.endswith("/train")
    same = ris_gym.systems.make("beampattern", rician_db=np.nextafter(default.rician_db, 0.0))
    assert scenes.frozen_scenes(same, "test", 2).name == "beampattern/test-v1"


def test_scenes_that_differ_are_not_passed_off_as_the_set(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = ris_gym.systems.Beampattern.sample

    def other(self: Any, rng: np.random.Generator, **kwargs: Any) -> Any:
        rng.standard_normal()
        return sample(self, rng, **kwargs)

    system = ris_gym.systems.make("beampattern")
    monkeypatch.setattr(ris_gym.systems.Beampattern, "sample", other)
    with pytest.raises(ValueError, match=r"'beampattern/test-v1' have SHA-256 .* instead of 38aa2f636562.* other random"):
        scenes.named_scenes("beampattern/test-v1")
    with pytest.warns(RuntimeWarning, match="cannot be compared with published ones"):
        found = scenes.frozen_scenes(system, "test", 3)
    assert found.name == f"beampattern/{test_sets.parameter_hash(system)}/test"


@pytest.mark.parametrize(
    ("name", "count", "message"),
    [
        ("beampattern/test-v2", 3, "declared sets: beampattern/test-v1"),
        ("beampattern/test-v1", 1001, r"count must be in \[1, 1000\]"),
        ("beampattern/test-v1", 0, r"count must be in \[1, 1000\]"),
    ],
)
def test_wrong_names_and_numbers(name: str, count: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        scenes.named_scenes(name, count)


def test_find_leaves_files_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert test_sets.find("beampattern/channels.npz") is None and test_sets.find("mine") is None
    with pytest.raises(ValueError, match="no set is called 'beampattern/test-v9'"):
        test_sets.find("beampattern/test-v9")
    (tmp_path / "beampattern").mkdir()
    (tmp_path / "beampattern" / "test-v9").write_bytes(b"")
    assert test_sets.find("beampattern/test-v9") is None


def test_compare_takes_names() -> None:
    system = ris_gym.systems.make("beampattern", preset="sectors")
    table = agents.compare(system, ["random"], scenes="beampattern/sectors-test-v1", bound=False, single=0)
    assert table.meta["scenes"]["name"] == "beampattern/sectors-test-v1" and table.meta["counts"]["scenes"] == 100
    with pytest.raises(ValueError, match=r"declared for other .*num_sensing_beams=4 \(declared: 2\).*beampattern/\w{8}/test"):
        agents.compare(system, ["random"], scenes="beampattern/test-v1", bound=False, single=0)


def test_play_takes_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr("agents.play.record", lambda system, policy, scene: seen.append(scene) or [np.zeros((4, 4, 3), np.uint8)])
    play = ["play", "--policy", "random", "--index", "1", "--output", str(tmp_path / "a.gif")]
    assert cli.main([*play, "--scenes", "beampattern/validation-v1"]) == 0
    wanted = scenes.named_scenes("beampattern/validation-v1", 2).scene[1]
    np.testing.assert_array_equal(seen[0].bs_ris, wanted.bs_ris)


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = lambda system, scene: baselines.Bound(value=np.zeros(len(scene)), status=np.full(len(scene), "unknown"))  # noqa: E731
    monkeypatch.setattr(baselines, "bound", nothing)  # takes many seconds with 25 directions
    folder = ["--folder", str(tmp_path)]
    argv = ["compare", "--scenes", "beampattern/sectors-test-v1", "--policies", "a=random,random", "--count", "3"]
    assert cli.main([*argv, *folder]) == 0
    out = capsys.readouterr().out
    assert "beampattern/sectors-test-v1" in out and "a (2 runs)" in out
    for argv, message in (
        (["--scenes", "beampattern/test-v1", "--system.num-elements", "16"], "num_elements=16 (declared: 32)"),
        (["--scenes", "beampattern/test-v1", "--preset", "sectors"], "num_sensing_beams=4 (declared: 2)"),
        (["--scenes", "beampattern/test-v1", "--count", "1001"], "count must be in [1, 1000]"),
        (["--scenes", "beampattern/test-v7"], "no set is called 'beampattern/test-v7'"),
        (["active_crb", "--scenes", "beampattern/test-v1"], "belongs to system 'beampattern', not to 'active_crb'"),
        (["--scenes", "active_crb/test-v1", "--preset", "hard"], "sinr_threshold_db=15 (declared: 12)"),
        (["--policies", "a=random,nonsense"], "'nonsense' is neither"),
        (["--policies", "a=random", "a=random"], "two are named 'a'"),
    ):
        assert cli.main(["compare", *argv, *folder]) == 2
        assert message in capsys.readouterr().err
    assert cli.main(["list", *folder]) == 0
    out = capsys.readouterr().out
    for name in NAMES:
        assert name in out and test_sets.get(name).sha256[:12] in out
