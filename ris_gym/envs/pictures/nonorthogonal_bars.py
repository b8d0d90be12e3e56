"""Bars of the picture of `nonorthogonal`: gains of both paths per block, both bounds, mutual information, margin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ris_gym.envs.pictures import panels
from ris_gym.systems.nonorthogonal import physics
from ris_gym.systems.nonorthogonal.alphabet import largest_gain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ris_gym.systems.nonorthogonal import NonOrthogonal

SENSE, COMM = panels.AMBER, panels.GREEN
"""The user that is localised, the one that decodes."""
BLOCK_COLOURS = (panels.PURPLE, panels.BLUE)
PALE = "#e6eaee"
DECADES = 2.0
"""Length of the bars of both bounds, from the limit on."""
MARGIN_DB = 10.0


def path_gains(scene: Any, design: Any) -> np.ndarray:
    """|g_1|, |g_2| per block, (n, 2)."""
    return np.asarray(np.abs(physics.moments(np, scene, np.asarray(design.coefficients))[0, :, :2]))


def limits(system: NonOrthogonal, scene: Any) -> tuple[float, float]:
    """What CRLB_x cannot fall below, and CRLB_angle at the largest |g_2| (for r = 0 its limit too): means over the blocks.

    `n_f / (a_C M max |g_1|^2)` and `1 / (2 a) tr [D^T E max |g_2|^2 A D]^-1` (model page, sections 5 and 8), exact maxima.
    """
    reference, level = scene.reference, np.asarray(system.level(scene))
    g1, g2 = (largest_gain(np.asarray(reference["products"])[..., i], system.phase_levels)[1] for i in range(2))
    parts = 2.0 if system.fisher == "complex" else 1.0
    symbol = parts / (level * reference["comm_ratio"] * system.num_user_antennas * g1**2)
    spread = (reference["energy"] * g2**2)[..., None] * system.user_spread
    angle = 0.5 * np.sum(np.asarray(reference["factor"]) ** 2 / spread[..., None], axis=(-2, -1)) / level
    return float(symbol[0].mean()), float(angle[0].mean())


def gains(axes: Axes, system: NonOrthogonal, scene: Any, design: Any) -> None:
    """Gain |g| / L of the path to each user in each block; the black mark is the largest that the alphabet allows."""
    axes.set_title("gains of the paths")
    if design is None:
        panels.nothing(axes)
        return
    found = path_gains(scene, design) / system.num_elements
    columns = (1, 0) if system.model in ("two_user", "mixed") else (1,)
    most = largest_gain(np.moveaxis(np.asarray(scene.reference["products"])[0, ..., :2], -1, 0), system.phase_levels)[1]
    names = {"two_user": ("decoding", "localised"), "mixed": ("of symbols", "of angles")}.get(system.model, ("", "user"))
    place = 0.0
    for i in range(system.num_blocks):
        for column in columns:
            colour = (COMM, SENSE)[column]
            text = names[column] + (f", block {i}" if system.num_blocks > 1 else "")
            value = 100.0 * float(found[i, column])
            axes.barh([place], [100.0], height=0.26, color=PALE, zorder=1)
            axes.barh([place], [value], height=0.26, color=colour, zorder=2)
            mark = 100.0 * float(most[column, i]) / system.num_elements
            axes.vlines([mark], place - 0.17, place + 0.17, color=panels.INK, linewidth=1.6, zorder=3)
            axes.text(0.0, place - 0.2, text, va="bottom", fontsize=9.5)
            axes.text(100.0, place - 0.2, f"{value:.0f} %", va="bottom", ha="right", fontsize=9.5, fontweight="bold")
            place += 1.0
    axes.set_ylim(max(place - 0.5, 1.5), -0.62)
    axes.set_xlim(0.0, 101.0)
    axes.set_xticks([0, 50, 100])
    axes.set_yticks([])
    axes.set_xlabel("% of all in phase")
    axes.spines["left"].set_visible(False)
    axes.grid(False)


def bounds(axes: Axes, system: NonOrthogonal, scene: Any, metrics: Any) -> None:
    """lg of both bounds, mutual information, and margin or position bound: value, bar, and black mark at the limit alone."""
    axes.set_title("bounds")
    if metrics is None:
        panels.nothing(axes)
        return
    symbol, angle = limits(system, scene)
    share = 1.0 if system.fisher == "complex" else 0.5
    most = min(share * np.log2(system.symbol_variance / symbol), physics.INFORMATION_RANGE[1])
    bits = float(metrics.mutual_information[0])
    limited = system.two_user or system.fisher == "complex"
    rows: list[tuple[str, str, float, str, bool]] = [
        decades("lg CRLB of symbols", float(metrics.crlb_symbol[0]), symbol, COMM, True),
        decades("lg CRLB of angles (rad²)", float(metrics.crlb_angle[0]), angle, SENSE, limited),
        ("mutual information", f"{bits:.2f} bit", bits / most if most > 0.0 else 0.0, COMM, True),
    ]
    if metrics.peb_m is not None:
        rows.append(("position bound", f"{metrics.peb_m[0]:.3g} m", np.nan, SENSE, False))
    if "angle" in metrics.margins:
        rows.append(margin(system, metrics))
    for i, (name, value, length, colour, marked) in enumerate(rows):
        axes.text(0.0, i - 0.2, name, va="bottom", fontsize=9.5)
        axes.text(1.0, i - 0.2, value, va="bottom", ha="right", fontsize=9.5, fontweight="bold")
        if np.isnan(length):
            continue
        axes.barh([i], [1.0], height=0.26, color=PALE, zorder=1)
        axes.barh([i], [np.clip(length, 0.0, 1.0)], height=0.26, color=colour, zorder=2)
        if "margin" in name:
            axes.vlines([0.5], i - 0.17, i + 0.17, color=panels.INK, linewidth=1.6, zorder=3)
        if marked:
            axes.vlines([1.0], i - 0.17, i + 0.17, color=panels.INK, linewidth=1.6, zorder=3)
    axes.set_ylim(max(len(rows) - 0.5, 2.5), -0.62 - 0.04 * max(len(rows) - 3, 0))
    axes.set_xlim(0.0, 1.01)
    axes.set_xticks([0.0, 1.0], [f"{DECADES:g} decades off", "limit of each alone"])
    for label, where in zip(axes.get_xticklabels(), ("left", "right"), strict=True):
        label.set(ha=where, fontsize=9.5)
    axes.tick_params(axis="x", length=0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(False)


def decades(name: str, value: float, limit: float, colour: str, marked: bool) -> tuple[str, str, float, str, bool]:
    """A row whose bar ends `DECADES` before the limit."""
    return name, f"{np.log10(value):.2f}", 1.0 - float(np.log10(value / limit)) / DECADES, colour, marked


def margin(system: NonOrthogonal, metrics: Any) -> tuple[str, str, float, str, bool]:
    """Row of the least margin of the angle's bound, from -10 to 10 dB, green where met."""
    value = float(metrics.margins["angle"][0].min())
    name = "margin of the angles" if system.num_blocks == 1 else "least margin of the angles"
    colour = panels.GREEN if value >= -1e-3 else panels.RED
    return name, f"{value:+.1f} dB", 0.5 + 0.5 * value / MARGIN_DB, colour, False
