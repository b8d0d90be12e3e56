"""Frames: shape, change with the design, scenes without positions or design; matplotlib is optional."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from ris_gym import registry, systems
from ris_gym.envs.pictures.panels import spread
from ris_gym.envs.rendering import figure, pixels


def is_frame(frame: Any) -> bool:
    return isinstance(frame, np.ndarray) and frame.dtype == np.uint8 and frame.ndim == 3 and frame.shape[2] == 3


def test_frames_change_with_the_design(make: Any, episode: Any) -> None:
    paper, form = episode
    env = make(paper, episode=form.name, action="box", horizon=2, render_mode="rgb_array")
    env.reset(seed=0)
    before = env.render()
    env.step(np.full(env.action_space.shape, 0.7, np.float32))
    after = env.render()
    assert is_frame(before) and is_frame(after) and before.shape == after.shape
    assert not np.array_equal(before, after) and before.std() > 10
    assert np.array_equal(after, env.render())


def test_vector_frames(make: Any, paper: Any) -> None:
    form = next((e for e in registry.load(paper.system).episodes if e.kind == "single"), None)
    if form is None:
        return
    env = make(paper, 2, episode=form.name, render_mode="rgb_array", autoreset_mode="SameStep")
    env.reset(seed=0)
    first = env.render()
    assert isinstance(first, tuple) and len(first) == 2 and all(is_frame(frame) for frame in first)
    env.step(env.action_space.sample())
    again = env.render()
    assert np.array_equal(again[0], first[0]) or env.unwrapped.core.steps[0] == 0


def test_no_frame_without_render_mode_or_before_reset(make: Any, paper: Any) -> None:
    from gymnasium.error import ResetNeeded

    env = make(paper).unwrapped
    env.reset(seed=0)
    assert env.render() is None
    for num_envs in (None, 2):
        with pytest.raises(ResetNeeded):
            make(paper, num_envs, render_mode="rgb_array").unwrapped.render()


def test_figure_for_agents(make: Any, paper: Any, tmp_path: Any) -> None:
    env = make(paper, 3)
    env.reset(seed=0)
    system, scene = env.unwrapped.system, env.unwrapped.scene
    known = system.known(scene)
    design = system.decode(known, system.start(known))
    drawn = figure(system, scene, design, index=2, title="after training")
    drawn.savefig(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 5000
    assert not np.array_equal(pixels(drawn), pixels(figure(system, scene, design, index=1, title="after training")))
    assert np.array_equal(pixels(drawn), pixels(figure(system, scene.to_torch(), design.to_torch(), 2, "after training")))
    assert is_frame(pixels(figure(system, scene)))
    with pytest.raises(IndexError):
        figure(system, scene, design, index=3)


SOME = {"num_elements": 4, "num_users": 2, "sinr_threshold_db": (3.0, 5.0)}
FIELDS: dict[str, dict[str, Any]] = {
    "beampattern": SOME, "active_crb": SOME, "multifunctional": {"kind": "star"}, "nonorthogonal": {},
}  # fmt: skip


@pytest.mark.parametrize("name", FIELDS)
def test_without_positions(name: str) -> None:
    system = systems.make(name, **FIELDS[name])
    scene = system.sample(np.random.default_rng(0), 1)
    design = system.decode(scene, np.zeros((1, sum(v.size for v in system.variables()))))
    bare = scene.replace(**{field: None for field, _ in scene.items() if field.endswith("_position")})
    with_map, without = figure(system, scene, design), figure(system, bare, design)
    assert len(with_map.axes) == len(without.axes) + 1
    assert is_frame(pixels(without))


SHAPES: list[tuple[str, dict[str, Any]]] = [
    ("active_crb", {"num_antennas": 1, "num_elements": 1, "num_users": 1}),
    ("active_crb", {"num_antennas": 24, "num_elements": 18, "num_users": 8}),
    ("active_crb", {"kind": "passive"}),
    ("active_crb", {"kind": "passive", "sinr_threshold_db": None}),
    ("active_crb", {"sinr_threshold_db": None, "num_scatterers": 1, "target_size_m": (0.0, 0.0)}),
    ("multifunctional", {"protocol": "ms"}),
    ("multifunctional", {"protocol": "ts", "num_elements_h": 16, "num_users": (6, 5), "num_targets": (3, 4)}),
    ("multifunctional", {"kind": "star", "num_users": (1, 0), "num_elements_h": 1, "num_elements_v": 1}),
    ("multifunctional", {"kind": "active", "num_users": (0, 0), "objective_form": "sum"}),
    ("nonorthogonal", {}),
    ("nonorthogonal", {"preset": "paper", "num_blocks": 2}),
    ("nonorthogonal", {"num_blocks": 2, "objective_form": "constrained", "model": "consistent", "phase_bits": None}),
]


def texts_of(axes: Any) -> list[Any]:
    """Everything written in and around a panel that is in view."""
    ticks = [
        tick.label1
        for axis in (axes.xaxis, axes.yaxis)
        for tick in axis.get_major_ticks()
        if min(axis.get_view_interval()) - 1e-9 <= tick.get_loc() <= max(axis.get_view_interval()) + 1e-9
    ]
    parts = [*axes.texts, *ticks, axes.xaxis.label, axes.yaxis.label, axes.title, axes._left_title, axes._right_title]
    return [text for text in parts if text.get_text() and text.get_visible()]


@pytest.mark.parametrize(("name", "fields"), SHAPES, ids=str)
@pytest.mark.parametrize("start", ["rule", "random", None])
def test_no_text_covers_another(name: str, fields: dict[str, Any], start: str | None) -> None:
    """Below the map; and all of it stays inside the picture."""
    system = systems.make(name, **fields)
    scene, rng = system.sample(np.random.default_rng(0), 1), np.random.default_rng(1)
    count = sum(v.size for v in system.variables())
    raw = system.start(scene) if start == "rule" else rng.uniform(-1.0, 1.0, (1, count))
    drawn = figure(system, scene, None if start is None else system.decode(scene, raw))
    pixels(drawn)
    texts = [*drawn.texts, *(text for axes in drawn.axes if axes.get_position().y1 < 0.5 for text in texts_of(axes))]
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
    for i, (text, box) in enumerate(boxes):
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= 960 and box.y1 <= 560, text
        for other_text, other in boxes[:i]:
            width = min(box.x1, other.x1) - max(box.x0, other.x0)
            height = min(box.y1, other.y1) - max(box.y0, other.y0)
            assert width < 1.5 or height < 2.5, (text, other_text)


def test_power_radiated_by_direction() -> None:
    """Its mean over psi is the power of the first pass, and towards one direction it is the energy that arrives there."""
    system = systems.make("active_crb", num_elements=5, num_users=2)
    scene = system.sample(np.random.default_rng(0), 3)
    design = system.decode(scene, system.start(scene))
    psi = np.arange(64) / 32.0 - 1.0
    found = system.radiated_w(scene, design, psi)
    assert np.allclose(found.mean(axis=1), system.evaluate(scene, design).first_pass_w, rtol=1e-12)
    response = np.exp(1j * np.pi * np.arange(5) * psi[7])
    waves = response.conj() * design.coefficients[1] @ scene.bs_ris[1] @ design.all_beams[1]
    noise = system.noise_surface_w * np.sum(np.abs(design.coefficients[1]) ** 2)
    assert found[1, 7] == pytest.approx(np.sum(np.abs(waves) ** 2) + noise, rel=1e-12)


def test_spread_labels() -> None:
    places = spread(np.array([0.5, 0.49, -0.9, 0.51]), 0.1, -0.95, 0.55)
    order = np.argsort([0.5, 0.49, -0.9, 0.51])
    assert np.all(np.diff(places[order]) >= 0.1 - 1e-12) and places.max() <= 0.55 + 1e-12 and places[2] == -0.9
    crowded = spread(np.zeros(30), 0.1, -1.0, 1.0)
    assert np.allclose(np.diff(np.sort(crowded)), 2.0 / 29.0) and np.abs(crowded).max() <= 1.0 + 1e-12


def test_a_clear_error_without_matplotlib() -> None:
    program = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "import gymnasium, ris_gym\n"
        "env = gymnasium.make('ris_gym/Beampattern-v0', num_elements=3, render_mode='rgb_array')\n"
        "env.reset(seed=0)\n"
        "try:\n    env.render()\nexcept ImportError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "rendering needs matplotlib: pip install 'ris_gym[agents]'" in done.stdout
