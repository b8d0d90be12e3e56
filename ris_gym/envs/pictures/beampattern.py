"""The picture of `beampattern`: map, beampattern, phases of the surface, SINR against its threshold, power split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ris_gym.envs.pictures import panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ris_gym.systems.beampattern import Beampattern

GRID_DEG = np.linspace(-90.0, 90.0, 721)
SPAN_DB = 40.0
HEADROOM_DB = 10.0
"""The range of gains shown ends this far above the reference gain, further up only where a gain is larger."""


def draw(figure: Figure, system: Beampattern, scene: Any, design: Any, metrics: Any) -> None:
    """Fill a figure from one scene and one design (None: the scene alone). Everything has batch 1."""
    top = float(np.max(system.reference_dbm(scene))) + HEADROOM_DB
    gains = None if design is None else system.beampattern_dbm(scene, design, GRID_DEG)[0]
    if gains is not None:
        top = max(top, float(gains.max()) + 1.0)
    rows = figure.add_gridspec(2, 1, **panels.FRAME, hspace=0.4)
    if scene.ris_position is None:
        pattern(figure.add_subplot(rows[0]), system, gains, metrics, top)
    else:
        upper = rows[0].subgridspec(1, 2, wspace=0.16, width_ratios=[1.0, 1.15])
        world(figure.add_subplot(upper[0]), system, scene, gains, top)
        pattern(figure.add_subplot(upper[1]), system, gains, metrics, top)
    lower = rows[1].subgridspec(1, 3, wspace=0.36, width_ratios=[1.6, 1.0, 0.9])
    panels.surface(figure.add_subplot(lower[0]), None if design is None else design.coefficients)
    panels.sinr(figure.add_subplot(lower[1]), system, metrics)
    power(figure.add_subplot(lower[2]), system, design)


def world(axes: Axes, system: Beampattern, scene: Any, gains: np.ndarray | None, top: float) -> None:
    """Map: links, desired directions, and the beampattern as lobes from the surface (radius linear in dB)."""
    axes.set_title("map")
    bs, ris, users = scene.bs_position[0], scene.ris_position[0], scene.user_position[0]
    nodes = np.concatenate([bs[None], ris[None], users])
    reach = 0.55 * float(np.linalg.norm(nodes.max(axis=0) - nodes.min(axis=0)))
    rays = ris + reach * _towards(np.asarray(system.angles_deg))
    for ray in rays:
        axes.plot([ris[0], ray[0]], [ris[1], ray[1]], color=panels.AMBER, linestyle=(0, (4, 3)), linewidth=1.1, zorder=1)
    if gains is not None:
        radius = reach * np.clip((gains - top + SPAN_DB) / SPAN_DB, 0.0, 1.0)
        lobes = ris + radius[:, None] * _towards(GRID_DEG)
        axes.fill(lobes[:, 0], lobes[:, 1], color=panels.PURPLE, alpha=0.25, linewidth=0, zorder=2)
        axes.plot(lobes[:, 0], lobes[:, 1], color=panels.PURPLE, linewidth=1.0, zorder=2)
    axes.plot(*np.stack([bs, ris], axis=1), color=panels.FAINT, linewidth=2.0, zorder=1)
    for user in users:
        axes.plot(*np.stack([bs, user], axis=1), color=panels.FAINT, linewidth=1.4, linestyle=":", zorder=1)
        axes.plot(*np.stack([ris, user], axis=1), color=panels.FAINT, linewidth=2.0, zorder=1)
    panels.node(axes, bs, "BS", "^", panels.BLUE)
    panels.node(axes, ris, "surface", "s", panels.PURPLE)
    for k, user in enumerate(users):
        panels.node(axes, user, "user" if len(users) == 1 else f"{k + 1}", "o", panels.GREEN, below=True)
    panels.fit_map(axes, np.concatenate([nodes, rays]))


def pattern(axes: Axes, system: Beampattern, gains: np.ndarray | None, metrics: Any, top: float) -> None:
    """Beampattern gain p(theta) in dBm with the desired angles; the least of them, the objective, as a line."""
    axes.set_title("beampattern gain p(θ)")
    for angle in system.angles_deg:
        axes.axvline(angle, color=panels.AMBER, linestyle=(0, (4, 3)), linewidth=1.1, zorder=1)
    axes.set_xlim(-90, 90)
    axes.set_xticks(range(-90, 91, 30))
    axes.set_ylim(top - SPAN_DB, top)
    axes.set_xlabel("angle from the normal of the surface (degrees)")
    axes.set_ylabel("gain (dBm)")
    if gains is None:
        axes.text(0.5, 0.5, "no design yet", transform=axes.transAxes, ha="center", va="center", color="#8b96a0")
        return
    shown = np.maximum(gains, top - SPAN_DB)
    axes.fill_between(GRID_DEG, top - SPAN_DB, shown, color=panels.PURPLE, alpha=0.14, linewidth=0)
    axes.plot(GRID_DEG, shown, color=panels.PURPLE, linewidth=1.8)
    at_angles = np.maximum(metrics.gains_dbm[0], top - SPAN_DB)
    small = 22.0 if len(at_angles) > 10 else 48.0
    axes.scatter(system.angles_deg, at_angles, s=small, color=panels.AMBER, edgecolor="white", linewidth=0.8, zorder=4)
    least = float(metrics.objective[0])
    axes.axhline(max(least, top - SPAN_DB), color=panels.INK, linewidth=1.1, linestyle=(0, (1, 2)))
    axes.set_title(f"least at the desired angles {least:.1f} dBm", loc="right", fontweight="normal", fontsize=11)


def power(axes: Axes, system: Beampattern, design: Any) -> None:
    """Transmit power of each user's beam and of the sensing signal, in per cent of P."""
    axes.set_title("power split")
    if design is None:
        panels.nothing(axes)
        return
    users = np.sum(np.abs(design.beams[0]) ** 2, axis=0)
    sensing = float(np.sum(np.abs(design.sensing_beams[0]) ** 2))
    shares = 100.0 * np.append(users, sensing) / system.power_w
    names = ["user"] if system.num_users == 1 else [f"user {k + 1}" for k in range(system.num_users)]
    place = np.arange(len(shares))
    bars = axes.barh(place, shares, height=0.5, color=[panels.GREEN] * len(users) + [panels.AMBER])
    axes.bar_label(bars, [f"{share:.0f} %" for share in shares], padding=4, fontsize=10.5)
    axes.set_yticks(place, [*names, "sensing"])
    axes.set_ylim(len(shares) - 0.4, -0.6)
    axes.set_xlim(0, 122)
    axes.set_xticks(range(0, 101, 25))
    axes.set_xlabel(f"% of {system.power_w:.3g} W")
    axes.grid(False, axis="y")


def _towards(angles_deg: np.ndarray) -> np.ndarray:
    """Unit vectors (n, 2) of angles from the normal -y of the surface, positive towards +x."""
    angles = np.deg2rad(angles_deg)
    return np.stack([np.sin(angles), -np.cos(angles)], axis=1)
