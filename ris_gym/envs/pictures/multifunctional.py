"""The picture of `multifunctional`: map, beampattern of both half-spaces, coefficients of the surface, rates, budgets, echoes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ris_gym.envs.pictures import multifunctional_bars as bars
from ris_gym.envs.pictures import panels
from ris_gym.envs.pictures.multifunctional_bars import SIDE_COLOURS, SIDES
from ris_gym.systems.multifunctional.pattern import beampattern_dbm, seen_angles_deg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ris_gym.systems.multifunctional import MultiFunctional

GRID_DEG = np.linspace(-90.0, 90.0, 91)
SPAN_DB = 30.0
ELEMENT_SPAN_DB = 30.0
PROTOCOLS = {"es": "energy splitting", "ts": "time switching"}


def draw(figure: Figure, system: MultiFunctional, scene: Any, design: Any, metrics: Any) -> None:
    """Fill a figure from one scene and one design (None: the scene alone). Everything has batch 1."""
    upper = figure.add_gridspec(1, 2, left=0.055, right=0.945, bottom=0.535, top=0.875, wspace=0.17, width_ratios=[1.0, 2.1])
    if scene.user_position is None and scene.target_position is None:
        patterns(figure, upper[:], system, scene, design)
    else:
        world(figure.add_subplot(upper[0]), system, scene)
        patterns(figure, upper[1], system, scene, design)
    wide = 1.75 if system.mode_switching else 1.3
    lower = figure.add_gridspec(
        1, 4, left=0.045, right=0.975, bottom=0.085, top=0.387, wspace=0.27, width_ratios=[wide, 0.78, 0.85, 0.75]
    )
    surface(figure, lower[0], system, design)
    bars.rates(figure.add_subplot(lower[1]), system, metrics)
    bars.budgets(figure.add_subplot(lower[2]), system, scene, design)
    if system.time_switching:
        parts = lower[3].subgridspec(2, 1, hspace=1.15, height_ratios=[2.4, 1.0])
        bars.echoes(figure.add_subplot(parts[0]), system, metrics)
        bars.time(figure.add_subplot(parts[1]), metrics)
    else:
        bars.echoes(figure.add_subplot(lower[3]), system, metrics)


def names(count: int, letters: bool) -> list[str]:
    """Users are 1, 2, ..., targets A, B, ... (many: numbered)."""
    if letters and count <= 26:
        return [chr(ord("A") + i) for i in range(count)]
    return [f"{'T' if letters else ''}{i + 1}" for i in range(count)]


def marks(axes: Axes, system: MultiFunctional, users: np.ndarray, targets: np.ndarray, side: int | None = None) -> None:
    """Users (circles) and targets (diamonds) at places (K, 2) and (L, 2), coloured by side; only those of `side` if given."""
    for places, sides, marker, letters in ((targets, system.target_side, "D", True), (users, system.user_side, "o", False)):
        for place, own, name in zip(places, sides, names(len(places), letters), strict=True):
            if side is None or own == side:
                panels.node(axes, place, name, marker, SIDE_COLOURS[own])


def world(axes: Axes, system: MultiFunctional, scene: Any) -> None:
    """Map seen from above: both half-spaces, BS, surface, users and targets."""
    axes.set_title("map from above")
    bs, ris = (
        np.array(own if held is None else held[0], float)[:2]
        for own, held in ((system.bs_position_m, scene.bs_position), (system.ris_position_m, scene.ris_position))
    )
    none = np.zeros((0, 2))
    users = none if scene.user_position is None else np.asarray(scene.user_position[0])[:, :2]
    targets = none if scene.target_position is None else np.asarray(scene.target_position[0])[:, :2]
    nodes = np.concatenate([bs[None], ris[None], users, targets])
    panels.fit_map(axes, nodes, pad=0.18)
    axes.yaxis.labelpad = -2.0
    (x_low, x_high), (y_low, y_high) = axes.get_xlim(), axes.get_ylim()
    for side, (low, high) in enumerate(((x_low, ris[0]), (ris[0], x_high))):
        axes.axvspan(low, high, color=SIDE_COLOURS[side], alpha=0.07, linewidth=0, zorder=0)
        place, where = ((0.02, "left"), (0.98, "right"))[side]
        axes.text(place, 0.02, SIDES[side], transform=axes.transAxes, ha=where, va="bottom", fontsize=9.5, fontweight="bold",
                  color=SIDE_COLOURS[side], zorder=7, path_effects=panels.halo())  # fmt: skip
    axes.plot(*np.stack([bs, ris], axis=1), color=panels.FAINT, linewidth=2.0, zorder=1)
    for places, sides in ((users, system.user_side), (targets, system.target_side)):
        for place, side in zip(places, sides, strict=False):
            axes.plot(*np.stack([ris, place], axis=1), color=SIDE_COLOURS[side], alpha=0.35, linewidth=1.4, zorder=1)
    half = 0.05 * (y_high - y_low)
    axes.plot([ris[0]] * 2, [ris[1] - half, ris[1] + half], color=panels.PURPLE, linewidth=5.0, zorder=4, solid_capstyle="butt")
    panels.node(axes, bs, "BS", "^", panels.INK)
    marks(axes, system, users, targets)


def patterns(figure: Figure, place: Any, system: MultiFunctional, scene: Any, design: Any) -> None:
    """Beampattern of each half-space over azimuth and elevation, on one scale, with the directions of users and targets."""
    parts = place.subgridspec(1, 3, wspace=0.1, width_ratios=[1.0, 1.0, 0.035])
    users, targets = (angles[0][:, ::-1] for angles in seen_angles_deg(system, scene))
    shown = None if design is None else beampattern_dbm(system, scene, design, GRID_DEG[:, None], GRID_DEG)[0]
    top = 0.0 if shown is None else 5.0 * np.ceil(float(shown.max()) / 5.0)
    image: Any = None
    for side in range(2):
        axes = figure.add_subplot(parts[side])
        axes.set_title("beampattern, " + SIDES[side], color=SIDE_COLOURS[side])
        axes.grid(False)
        if shown is not None:
            image = axes.imshow(
                shown[side], origin="lower", extent=(-90.0, 90.0, -90.0, 90.0), aspect="auto", cmap="viridis",
                vmin=top - SPAN_DB, vmax=top, interpolation="bilinear", zorder=0,
            )  # fmt: skip
            axes.set_title(f"peak {shown[side].max():.0f} dBm", loc="right", fontweight="normal", fontsize=10.5)
        else:
            axes.text(0.5, 0.93, "no design yet", transform=axes.transAxes, ha="center", va="top", color="#8b96a0")
        axes.set(xlim=(-90.0, 90.0), ylim=(-90.0, 90.0), xlabel="azimuth (°)")
        axes.set_xticks([-60, -30, 0, 30, 60])
        axes.set_yticks([-60, -30, 0, 30, 60])
        if side == 0:
            axes.set_ylabel("elevation (°)", labelpad=2.0)
        else:
            axes.tick_params(labelleft=False)
        marks(axes, system, users, targets, side)
    if image is not None:
        scale = figure.colorbar(image, cax=figure.add_subplot(parts[2]))
        scale.outline.set_visible(False)
        scale.ax.set_title("dBm", fontsize=10.0, fontweight="normal", loc="left")


def surface(figure: Figure, place: Any, system: MultiFunctional, design: Any) -> None:
    """Gain (dB of the cap) and phase of each element as images M_h x M_v, a column per side; mode switching: the modes too."""
    columns = 3 if system.mode_switching else 2
    parts = place.subgridspec(2, columns + 1, hspace=0.2, wspace=0.1, width_ratios=[*[1.0] * columns, 0.07])
    grid = [[figure.add_subplot(parts[row, column]) for column in range(columns)] for row in range(2)]
    shape = (system.num_elements_h, system.num_elements_v)
    coefficients = None if design is None else np.asarray(design.coefficients[0])
    gain = None if coefficients is None else np.abs(coefficients) ** 2 / system.max_gain
    images: list[Any] = [None, None]
    for side in range(2):
        grid[0][side].set_title(SIDES[side], color=SIDE_COLOURS[side], fontsize=10.5)
        for row in range(2):
            axes = grid[row][side]
            axes.grid(False)
            if coefficients is None or gain is None:
                panels.nothing(axes)
                continue
            level = 10.0 * np.log10(np.maximum(gain[side], 1e-12))
            used = gain[side] > 1e-12
            values = level if row == 0 else np.where(used, np.rad2deg(np.angle(coefficients[side])), np.nan)
            limits = (-ELEMENT_SPAN_DB, 0.0) if row == 0 else (-180.0, 180.0)
            axes.set_facecolor("#eef1f4")
            images[row] = axes.imshow(
                np.where(used, values, np.nan).reshape(shape).T, origin="lower", aspect="auto", interpolation="nearest",
                cmap="Purples" if row == 0 else circle(), vmin=limits[0], vmax=limits[1],
            )  # fmt: skip
            axes.set_xticks([])
            axes.set_yticks([])
    grid[0][0].set_ylabel("gain (dB)", fontsize=9.5)
    grid[1][0].set_ylabel("phase (°)", fontsize=9.5)
    grid[1][0].set_xlabel(f"{shape[0]} x {shape[1]} elements", fontsize=9.5, loc="left")
    if system.mode_switching:
        modes(grid[0][2], system, design)
        grid[1][2].set_axis_off()
        grid[1][2].text(0.0, 0.0, "mf,\nmode switching", transform=grid[1][2].transAxes, va="bottom", fontsize=9.5)
    else:
        kind = f"mf, {PROTOCOLS[system.protocol]}" if system.kind == "mf" else f"{system.kind} surface"
        grid[1][1].set_xlabel(kind, fontsize=9.5, loc="right")
    for row, ticks in enumerate(([-ELEMENT_SPAN_DB, -0.5 * ELEMENT_SPAN_DB, 0.0], [-180.0, 0.0, 180.0])):
        if images[row] is None:
            continue
        scale = figure.colorbar(images[row], cax=figure.add_subplot(parts[row, columns]), ticks=ticks)
        scale.ax.tick_params(length=0, labelsize=9.0)
        scale.outline.set_visible(False)


def circle() -> Any:
    """Colours of phases, those of `panels.surface`."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    return ListedColormap(colormaps["hsv"](np.linspace(0.0, 1.0, 256)) * np.array([0.82, 0.82, 0.82, 1.0]))


def modes(axes: Axes, system: MultiFunctional, design: Any) -> None:
    """Side that each element serves, and how many serve each."""
    from matplotlib.colors import ListedColormap

    axes.set_title("mode", fontsize=10.5)
    axes.grid(False)
    if design is None:
        panels.nothing(axes)
        return
    mode = np.asarray(design.mode[0])
    axes.imshow(
        mode.reshape(system.num_elements_h, system.num_elements_v).T, origin="lower", aspect="auto", vmin=0, vmax=1,
        interpolation="nearest", cmap=ListedColormap(SIDE_COLOURS), alpha=0.85,
    )  # fmt: skip
    axes.set_xticks([])
    axes.set_yticks([])
    for side, count in enumerate(np.bincount(mode, minlength=2)):
        axes.text(0.0, -0.16 - 0.24 * side, f"{SIDES[side]}: {count}", transform=axes.transAxes, va="top", fontsize=9.5,
                  color=SIDE_COLOURS[side], fontweight="bold")  # fmt: skip
