"""Parts of pictures that papers share: headline, map, phases of a surface, bars against a threshold. Axes in, nothing out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, RED, GREEN, AMBER, PURPLE = "#2f6db3", "#d1495b", "#2e8b57", "#e09f3e", "#7a5195"
"""Colours that stay apart for colour-blind readers: BS, violated, met, sensing, surface."""
INK, FAINT, PAPER = "#22303c", "#c9d1d9", "#f6f8fa"
NEUTRAL, DARK_AMBER = "#6a7f92", "#a86b12"
"""Users without a requirement, text about sensing."""
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


def headline(figure: Figure, title: str, system: Any, metrics: Any, text: str | None = None) -> None:
    """Title on the left; on the right `text` (default: objective, score, cost) and whether all margins are met."""
    figure.text(0.02, 0.965, title, fontsize=15, fontweight="bold", va="center")
    if metrics is None:
        figure.text(0.98, 0.965, "no design yet", fontsize=13, color="#6a7681", ha="right", va="center")
        return
    met = bool(metrics.feasible[0])
    if text is None:
        text = f"objective {metrics.objective[0]:.1f} {system.unit}    score {metrics.score[0]:+.2f}"
        text += f"    cost {metrics.cost[0]:.2f}"
    figure.text(0.845 if metrics.margins else 0.98, 0.965, text, fontsize=13, ha="right", va="center", family="monospace")
    if not metrics.margins:
        return
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
    from matplotlib.ticker import MaxNLocator

    v = np.asarray(coefficients).reshape(-1)
    phase, modulus = np.angle(v), np.abs(v)
    colours = colormaps["hsv"](phase / (2.0 * np.pi) + 0.5) * np.array([0.82, 0.82, 0.82, 1.0])
    colours[:, 3] = np.clip(modulus / max(float(modulus.max()), 1e-300), 0.15, 1.0)
    index = np.arange(1, len(v) + 1)
    axes.vlines(index, 0.0, np.rad2deg(phase), colors=colours, linewidth=2.0)
    axes.scatter(index, np.rad2deg(phase), c=colours, s=float(np.clip(1500 / len(v), 9, 42)), zorder=3)
    axes.axhline(0.0, color=FAINT, linewidth=1.0)
    axes.set_xlim(0.0, len(v) + 1.0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
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


def sinr(axes: Axes, system: Any, metrics: Any) -> None:
    """A bar per user, green where its threshold (black mark) is met and red where not; thresholds None: bars alone."""
    alone = "SNR" if getattr(system, "cancel_sensing", False) else "SINR"
    axes.set_title(f"{alone} of the user" if system.num_users == 1 else "SINR of each user")
    if metrics is None:
        nothing(axes)
        return
    values, wanted = metrics.sinr_db[0], system.thresholds_db
    place = np.arange(system.num_users)
    if wanted is None:
        if np.max(values) < -59.0:
            nothing(axes, "users are not served")
            return
        low, top = float(np.max(values)) - 30.0, float(np.max(values)) + 5.0
        colours: Any = NEUTRAL
    else:
        depth = 25.0 if np.min(values - wanted) > -22.0 else 45.0 if np.min(values - wanted) > -42.0 else 75.0
        low, top = float(np.min(wanted)) - depth, float(max(np.max(wanted) + 10.0, np.max(values)))
        colours = np.where(metrics.margins["sinr"][0] >= -1e-3, GREEN, RED)
        axes.vlines(wanted, place - 0.36, place + 0.36, color=INK, linewidth=2.2, zorder=4)
    high = top + 0.34 * (top - low)
    axes.barh(place, np.maximum(values, low) - low, left=low, height=0.5, color=colours)
    for k, value in enumerate(values):
        axes.text(high, k, f"{value:.1f} dB", ha="right", va="center", fontsize=11.0 if len(values) <= 8 else 8.0)
        if wanted is not None and (k == 0 or wanted[k] != wanted[k - 1]):
            text = f"needs {wanted[k]:g}"
            axes.annotate(text, (wanted[k], k - 0.36), (0, 3), textcoords="offset points", ha="center", va="bottom", fontsize=9.5)
    axes.set_yticks(place, [str(k + 1) for k in place] if len(place) > 1 else [""])
    axes.set_ylim(max(system.num_users - 0.3, 0.9), -max(0.9, 0.55 + 0.13 * system.num_users))
    axes.set_xlim(low, high)
    axes.set_xlabel("dB")
    axes.grid(False, axis="y")


def stacked(axes: Axes, rows: Sequence[tuple[str, float, Sequence[tuple[str, float, str]]]]) -> None:
    """Budgets: per row (name, budget in W, parts); a part is (name, share of the budget, colour). Parts stand end to end."""
    for i, (name, budget, parts) in enumerate(rows):
        axes.barh([i], [100.0], height=0.24, color="#e6eaee", zorder=1)
        left = 0.0
        for _, share, colour in parts:
            axes.barh([i], [100.0 * share], left=left, height=0.24, color=colour, zorder=2)
            left += 100.0 * share
        axes.text(0.0, i - 0.17, f"{name} {power_text(budget)}", va="bottom", fontsize=10.0)
        axes.text(100.0, i - 0.17, f"{100.0 * sum(share for _, share, _ in parts):.0f} %", va="bottom", ha="right",
                  fontsize=10.0, fontweight="bold")  # fmt: skip
        for j, (part, share, colour) in enumerate(parts):
            text = f"{100.0 * share:.{0 if share >= 0.095 or share == 0.0 else 1}f} %" if not 0.0 < share < 5e-4 else "< 0.1 %"
            axes.text(0.0, i + 0.17 + 0.15 * j, part, va="top", fontsize=9.0, color=colour, fontweight="bold")
            axes.text(100.0, i + 0.17 + 0.15 * j, text, va="top", ha="right", fontsize=9.0, color=colour)
        axes.vlines([100.0], i - 0.15, i + 0.15, color=INK, linewidth=1.6, zorder=3)
    axes.set_ylim(1.6, -0.5)
    axes.set_xlim(0.0, 101.0)
    axes.set_xticks(range(0, 101, 25))
    axes.set_yticks([])
    axes.set_xlabel("% of budget")
    axes.spines["left"].set_visible(False)
    axes.grid(False)


def power_text(power_w: float) -> str:
    """A power with the unit that fits: W, mW, uW or nW."""
    for scale, unit in ((1.0, "W"), (1e-3, "mW"), (1e-6, "µW")):
        if power_w >= 0.9995 * scale:
            return f"{power_w / scale:.3g} {unit}"
    return f"{power_w / 1e-9:.3g} nW"


def rounded(value: float) -> str:
    """Two decimals, without a negative zero."""
    return f"{round(float(value), 2) + 0.0:.2f}"


def halo() -> list[Any]:
    """Path effects of text that stays legible on lines."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=3.0, foreground="white")]


def spread(values: np.ndarray, gap: float, low: float, high: float) -> np.ndarray:
    """Places in [low, high] for labels at `values` (n,): nearest in the same order, `gap` apart (less where they do not fit)."""
    from scipy.optimize import isotonic_regression

    if len(values) == 0:
        return np.zeros(0)
    gap = min(gap, (high - low) / max(len(values) - 1, 1))
    order, offset = np.argsort(values, kind="stable"), gap * np.arange(len(values))
    out = np.empty(len(values))
    out[order] = np.clip(isotonic_regression(np.asarray(values, float)[order] - offset).x, low, high - offset[-1]) + offset
    return out


def free_corner(axes: Axes, points: np.ndarray, width: float, height: float) -> tuple[float, float, float, float]:
    """Bounds (left, bottom, width, height) in axes coordinates of the corner whose box is farthest from points (n, 2)."""
    (x_low, x_high), (y_low, y_high) = axes.get_xlim(), axes.get_ylim()
    at = (points - [x_low, y_low]) / [x_high - x_low, y_high - y_low]

    def room(corner: tuple[float, float]) -> float:
        middle, half = np.add(corner, [0.5 * width, 0.5 * height]), np.array([0.5 * width, 0.5 * height])
        return float(np.min(np.max(np.abs(at - middle) - half, axis=1)))

    corners = [(x, y) for y in (0.05, 0.95 - height - 0.06) for x in (0.03, 0.97 - width)]
    best = max(corners, key=room)
    return (*best, width, height)


def node(axes: Axes, place: np.ndarray, name: str, marker: str, colour: str, below: bool = False) -> None:
    """A labelled node of a map; a name of one character stands inside its marker."""
    inside = len(name) == 1
    size = 190 if inside else 130
    axes.scatter([place[0]], [place[1]], marker=marker, s=size, color=colour, zorder=5, edgecolor="white", linewidth=1.2)
    axes.annotate(
        name, (place[0], place[1]), (0, 0 if inside else -13 if below else 11), textcoords="offset points",
        ha="center", va="center" if inside else "top" if below else "bottom", color="white" if inside else colour,
        fontweight="bold", fontsize=10.0, zorder=6,
        path_effects=None if inside else halo(),
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
