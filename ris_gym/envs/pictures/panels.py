"""Parts of pictures that papers share: headline, map, phases of a surface, bars against a threshold. Axes in, nothing out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, RED, GREEN, AMBER, PURPLE = "#2f6db3", "#d1495b", "#2e8b57", "#e09f3e", "#7a5195"
"""Colours that stay apart for colour-blind readers: BS, violated, met, sensing, surface."""
INK, FAINT, PAPER = "#22303c", "#c9d1d9", "#f6f8fa"
STYLE: dict[Any, Any] = {
    "font.size": 11.0,
    "axes.titlesize": 12.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e6eaee",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 10.0,
}
FRAME: dict[str, float] = {"left": 0.065, "right": 0.975, "top": 0.865, "bottom": 0.09}


def headline(figure: Figure, title: str, system: Any, metrics: Any) -> None:
    """Title on the left; objective and whether all margins are met on the right."""
    figure.text(0.02, 0.965, title, fontsize=15, fontweight="bold", va="center")
    if metrics is None:
        figure.text(0.98, 0.965, "no design yet", fontsize=13, color="#6a7681", ha="right", va="center")
        return
    met = bool(metrics.feasible[0])
    text = f"objective {metrics.objective[0]:.1f} {system.unit}    score {metrics.score[0]:+.2f}    cost {metrics.cost[0]:.2f}"
    figure.text(0.845, 0.965, text, fontsize=13, ha="right", va="center", family="monospace")
    box = {"boxstyle": "round,pad=0.35", "facecolor": GREEN if met else RED, "edgecolor": "none"}
    figure.text(0.98, 0.965, "all met" if met else "violated", fontsize=12, color="white", ha="right", va="center", bbox=box)


def nothing(axes: Axes, text: str = "no design yet") -> None:
    """A panel without content."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color="#8b96a0")


def surface(axes: Axes, coefficients: np.ndarray | None) -> None:
    """Phases of surface coefficients (1, ..., N): stems coloured by phase; fainter where the modulus is below the largest."""
    axes.set_title("phase of each element of the surface")
    axes.set_ylim(-200, 200)
    axes.set_yticks([-180, -90, 0, 90, 180])
    axes.set_ylabel("phase (degrees)")
    if coefficients is None:
        nothing(axes)
        return
    from matplotlib import colormaps

    v = np.asarray(coefficients).reshape(-1)
    phase, modulus = np.angle(v), np.abs(v)
    colours = colormaps["hsv"](phase / (2.0 * np.pi) + 0.5) * np.array([0.82, 0.82, 0.82, 1.0])
    colours[:, 3] = np.clip(modulus / max(float(modulus.max()), 1e-300), 0.15, 1.0)
    index = np.arange(1, len(v) + 1)
    axes.vlines(index, 0.0, np.rad2deg(phase), colors=colours, linewidth=2.0)
    axes.scatter(index, np.rad2deg(phase), c=colours, s=float(np.clip(1500 / len(v), 9, 42)), zorder=3)
    axes.axhline(0.0, color=FAINT, linewidth=1.0)
    axes.set_xlim(0.0, len(v) + 1.0)
    axes.set_xlabel("element")


def margins(axes: Axes, metrics: Any) -> None:
    """A bar per margin, green where met and red where violated."""
    axes.set_title("margins")
    if metrics is None or not metrics.margins:
        nothing(axes, "no design yet" if metrics is None else "no soft constraint")
        return
    names = [f"{name} {i + 1}" for name, array in metrics.margins.items() for i in range(array.shape[1])]
    values = np.concatenate([array[0] for array in metrics.margins.values()])
    place = np.arange(len(values))
    axes.barh(place, values, color=[GREEN if value >= -1e-3 else RED for value in values], height=0.6)
    axes.set_yticks(place, names)
    axes.invert_yaxis()
    axes.axvline(0.0, color=INK, linewidth=1.2)
    limit = 1.15 * max(10.0, float(np.abs(values).max()))
    axes.set_xlim(-limit, limit)
    axes.grid(False, axis="y")


def node(axes: Axes, place: np.ndarray, name: str, marker: str, colour: str, below: bool = False) -> None:
    """A labelled node of a map; a name of one character stands inside its marker."""
    from matplotlib.patheffects import withStroke

    inside = len(name) == 1
    size = 190 if inside else 130
    axes.scatter([place[0]], [place[1]], marker=marker, s=size, color=colour, zorder=5, edgecolor="white", linewidth=1.2)
    axes.annotate(
        name, (place[0], place[1]), (0, 0 if inside else -13 if below else 11), textcoords="offset points",
        ha="center", va="center" if inside else "top" if below else "bottom", color="white" if inside else colour,
        fontweight="bold", fontsize=10.0, zorder=6,
        path_effects=None if inside else [withStroke(linewidth=3.0, foreground="white")],
    )  # fmt: skip


def fit_map(axes: Axes, points: np.ndarray, pad: float = 0.12) -> None:
    """Equal axes in metres around points (n, 2), with `pad` of their extent as a margin, that fill the panel."""
    figure: Any = axes.figure
    width, height = axes.get_position().size * figure.get_size_inches()
    low, high = points.min(axis=0), points.max(axis=0)
    extent = (1.0 + 2.0 * pad) * np.maximum(high - low, 1e-9)
    metres_per_inch = max(extent[0] / width, extent[1] / height)
    half = 0.5 * metres_per_inch * np.array([width, height])
    middle = 0.5 * (low + high)
    axes.set_xlim(middle[0] - half[0], middle[0] + half[0])
    axes.set_ylim(middle[1] - half[1], middle[1] + half[1])
    axes.set_xlabel("x (m)")
    axes.set_ylabel("y (m)")
