"""Pictures of a scene and a design: matplotlib figures (for TensorBoard, papers) and frames (for `render`, GIFs).

matplotlib is imported when the first picture is drawn, without pyplot: no global state, no window, safe in threads.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import numpy as np

from ris_gym import registry
from ris_gym.envs.pictures import panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ris_gym.systems.base import Metrics, System

SIZE_INCH = (12.0, 7.0)
DPI = 80


def figure(
    system: System, scene: Any, design: Any = None, index: int = 0, title: str | None = None, dpi: int = DPI,
    path: np.ndarray | None = None,
) -> Figure:  # fmt: skip
    """Draw one scene and, if given, a design for it.

    Args:
        system: whose picture is drawn (a system without one of its own gets margins, objective and surface).
        scene: scenes, numpy or torch; the true ones, metrics are computed on them.
        design: designs for those scenes, or None before there is one.
        index: which entry of the batch.
        title: left part of the headline (default: the system's name); objective and feasibility stand to its right.
        dpi: pixels per inch of the 12 x 7 inch figure.
        path: what `system.trail` says of the blocks before, (blocks, n): where a moving user was, m, or another trace.

    Returns:
        A `matplotlib.figure.Figure` that belongs to no window; `figure.savefig(path)` writes it.

    Raises:
        ImportError: matplotlib is not installed. IndexError: `index` is outside the batch.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("rendering needs matplotlib: pip install 'ris_gym[agents]'") from error
    scene = scene[index].to_numpy().astype("complex128")
    metrics = None
    if design is not None:
        design = design[index].to_numpy().astype("complex128")
        metrics = system.evaluate(scene, design)
    with rc_context(panels.STYLE):
        drawn = Figure(figsize=SIZE_INCH, dpi=dpi)
        FigureCanvasAgg(drawn)
        more = {} if path is None else {"path": path}
        text = _picture(system)(drawn, system, scene, design, metrics, **more)
        panels.headline(drawn, title or system.name, system, metrics, text)
    return drawn


def pixels(drawn: Figure) -> np.ndarray:
    """The pixels (height, width, 3) uint8 of a figure made by `figure`, a fresh array."""
    canvas: Any = drawn.canvas
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3].copy()


def frame(env: Any, index: int = 0) -> np.ndarray:
    """The picture (height, width, 3) uint8 of episode `index` of an environment that has been reset.

    Without a current design (before the step of a `one_shot` episode) only the scene is drawn. Where the observations of
    an episode of blocks show no design, the block just played is drawn.
    """
    core = env.unwrapped.core
    steps = int(core.steps[index])
    designed = core.observer.designed or steps > 0
    title = f"{core.system.name}   {core.config.episode}, step {steps} of {core.horizon}"
    scene = core.scene if core.observer.designed or steps == 0 or core.episode.kind != "blocks" else core.played
    return pixels(figure(core.system, scene, core.design if designed else None, index, title, path=core.path(index)))


def _picture(system: System) -> Any:
    """The drawing function of a system's paper, or the one that serves every system. What it returns is the headline's text."""
    paper = registry.PAPERS.get(system.name)
    if paper is not None and importlib.util.find_spec(paper.picture.partition(":")[0]) is not None:
        return registry.load(paper.picture)
    return _plain


def _plain(
    drawn: Figure, system: System, scene: Any, design: Any, metrics: Metrics | None, path: np.ndarray | None = None
) -> None:
    """Margins and surface, for systems without a picture of their own."""
    grid = drawn.add_gridspec(1, 2, **panels.FRAME, wspace=0.22)
    panels.margins(drawn.add_subplot(grid[0]), metrics)
    panels.surface(drawn.add_subplot(grid[1]), getattr(design, "coefficients", None))
