"""The picture of `anchor`: posterior, pattern of the last codeword, pilots so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ris_gym.envs.pictures import panels
from ris_gym.systems.anchor import codebook

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ris_gym.systems.anchor import Anchor

SPAN_DB = 50.0
DIRECTIONS = np.linspace(-1.0, 1.0, 801)


def draw(
    figure: Figure, system: Anchor, scene: Any, design: Any, metrics: Any, path: np.ndarray | None = None
) -> str | None:
    """Fill a figure from one scene and the design played in it (None: the scene alone). Everything has batch 1.

    Returns the headline.
    """
    if design is not None and scene.direction is not None:
        scene = system.step(scene, design, np.random.default_rng(0))[1]
    grid = figure.add_gridspec(1, 2, **(panels.FRAME | {"right": 0.945}), wspace=0.17, width_ratios=[1.5, 1.0])
    left = grid[0].subgridspec(2, 1, hspace=0.42)
    above = figure.add_subplot(left[0])
    posterior(above, system, scene)
    pattern(figure.add_subplot(left[1]), system, scene, design)
    pilots(figure, grid[1], system, scene)
    if metrics is None:
        return None
    return (
        f"{'right' if metrics.objective[0] > 0.5 else 'wrong'} beam    entropy {metrics.entropy_bits[0]:.2f} bit    "
        f"score {metrics.score[0]:+.2f}"
    )


def posterior(axes: Axes, system: Anchor, scene: Any) -> None:
    """Posterior density over psi, the true direction, the beam of largest mass."""
    axes.set_title("posterior of the direction")
    weight = np.exp(np.asarray(scene.log_posterior[0], float))
    density = weight / weight.sum() * system.num_points / 2.0
    best = int(np.argmax(system.masses(scene)[0]))
    width = 2.0 / system.num_elements
    axes.axvspan(-1.0 + best * width, -1.0 + (best + 1) * width, color=panels.AMBER, alpha=0.35, linewidth=0, zorder=0)
    axes.fill_between(system.grid, 0.0, density, step="mid", color=panels.BLUE, alpha=0.25, linewidth=0)
    axes.step(system.grid, density, where="mid", color=panels.BLUE, linewidth=1.4)
    axes.set(xlim=(-1.0, 1.0), ylim=(0.0, 1.15 * max(float(density.max()), 1.0)), ylabel="density")
    axes.set_xlabel("ψ; dashed: the true direction, amber: the likeliest beam")
    truth(axes, scene)


def pattern(axes: Axes, system: Anchor, scene: Any, design: Any) -> None:
    """Gain of the last codeword over psi, and its sector."""
    index = last_codeword(system, scene, design)
    axes.set(xlim=(-1.0, 1.0), ylim=(-SPAN_DB, 3.0), xlabel="ψ", ylabel="dB of all in phase")
    if index is None:
        axes.set_title("gain of the last codeword")
        panels.nothing(axes, "no pilot yet")
        return
    level = int(codebook.level_of(np.array(index)))
    axes.set_title(f"gain of codeword {index} (level {level})")
    v = codebook.codebook(system.num_elements, system.wide_codewords, system.codeword_iterations)[index]
    gain = np.abs(codebook.response(system.num_elements, DIRECTIONS) @ v) ** 2 / system.num_elements**2
    centre, width = codebook.sector(np.array(index))
    axes.axvspan(float(centre - 0.5 * width), float(centre + 0.5 * width), color=panels.PURPLE, alpha=0.12, linewidth=0)
    axes.plot(DIRECTIONS, 10.0 * np.log10(np.maximum(gain, 1e-9)), color=panels.PURPLE, linewidth=1.3)
    truth(axes, scene)


def pilots(figure: Figure, place: Any, system: Anchor, scene: Any) -> None:
    """Sector of every pilot sent, by time, coloured by the power received."""
    parts = place.subgridspec(1, 2, width_ratios=[1.0, 0.045], wspace=0.07)
    axes = figure.add_subplot(parts[0])
    axes.set_xticks([-1.0, -0.5, 0.0, 0.5, 1.0])
    axes.set_title("pilots so far")
    count = int(scene.frame[0])
    axes.set(xlim=(-1.0, 1.0), ylim=(system.num_pilots + 0.5, 0.5), xlabel="ψ (sector asked)", ylabel="pilot")
    if count == 0:
        panels.nothing(axes, "no pilot yet")
        return
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    power = 10.0 * np.log10(np.maximum(np.asarray(scene.power[0, :count], float), 0.1))
    top = max(10.0 * np.log10(system.element_snr * system.num_elements**2) + 3.0, 10.0)
    shade, scale = colormaps["viridis"], Normalize(-10.0, float(top))
    centre, width = codebook.sector(np.asarray(scene.codeword[0, :count]))
    axes.barh(np.arange(1, count + 1), width, left=centre - 0.5 * width, height=0.8, color=shade(scale(power)))
    truth(axes, scene)
    drawn: Any = figure.colorbar(ScalarMappable(scale, shade), cax=figure.add_subplot(parts[1]))
    drawn.outline.set_visible(False)
    drawn.ax.set_title("z (dB)", fontsize=9.5, fontweight="normal", loc="center")
    drawn.ax.tick_params(length=0, labelsize=9.0)


def last_codeword(system: Anchor, scene: Any, design: Any) -> int | None:
    """The codeword of the last pilot, or of the design before the first one."""
    count = int(scene.frame[0])
    if count:
        return int(scene.codeword[0, count - 1])
    return None if design is None or int(design.codeword[0]) >= system.num_codewords else int(design.codeword[0])


def truth(axes: Axes, scene: Any) -> None:
    """The true direction, where it is given."""
    if scene.direction is not None:
        axes.axvline(float(scene.direction[0]), color=panels.RED, linewidth=1.4, linestyle=(0, (4, 3)), zorder=4)
