"""The picture of `nonorthogonal`: map, the surface's pattern over azimuth, phases, gains of both paths, bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ris_gym.envs.pictures import nonorthogonal_bars as bars
from ris_gym.envs.pictures import panels
from ris_gym.envs.pictures.multifunctional import circle
from ris_gym.envs.pictures.nonorthogonal_bars import BLOCK_COLOURS, COMM, SENSE
from ris_gym.systems.nonorthogonal import sampler

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ris_gym.systems.nonorthogonal import NonOrthogonal

AZIMUTH_DEG = np.linspace(-90.0, 90.0, 361)
SPAN_DB = 35.0


def draw(
    figure: Figure, system: NonOrthogonal, scene: Any, design: Any, metrics: Any, path: np.ndarray | None = None
) -> str | None:
    """Fill a figure from one scene and one design (None: the scene alone). Everything has batch 1. Returns the headline.

    `path` (frames, 3): where a moving user was in the frames before, m.
    """
    rows = figure.add_gridspec(2, 1, **panels.FRAME, hspace=0.45, height_ratios=[1.25, 1.0])
    if scene.user_position is None:
        pattern(figure.add_subplot(rows[0]), system, scene, design)
    else:
        upper = rows[0].subgridspec(1, 2, wspace=0.17, width_ratios=[1.0, 1.3])
        world(figure.add_subplot(upper[0]), system, scene, path)
        pattern(figure.add_subplot(upper[1]), system, scene, design)
    lower = rows[1].subgridspec(1, 3, wspace=0.2, width_ratios=[0.5 + 0.5 * system.num_blocks, 0.8, 1.05])
    phases(figure, lower[0], system, design)
    bars.gains(figure.add_subplot(lower[1]), system, scene, design)
    bars.bounds(figure.add_subplot(lower[2]), system, scene, metrics)
    if metrics is None:
        return None
    text = f"objective {metrics.objective[0]:.2f} {system.unit}    score {metrics.score[0]:+.2f}"
    if scene.frame is not None:
        text += f"    belief off by {metrics.position_error_m[0]:.2f} m"
    return text


# -- map ----------------------------------------------------------------------------------------------------------------------


def world(axes: Axes, system: NonOrthogonal, scene: Any, path: np.ndarray | None) -> None:
    """Map seen from above; a moving user with its room, path and belief, enlarged in the emptiest corner."""
    axes.set_title("map from above")
    own = np.array(system.ris_position_m)
    bs = np.array(system.bs_position_m if scene.bs_position is None else scene.bs_position[0])[:2]
    ris = (own if scene.ris_position is None else np.asarray(scene.ris_position[0]))[:, :2]
    user = np.asarray(scene.user_position[0])[:2]
    comm = None if scene.comm_position is None else np.asarray(scene.comm_position[0])[:2]
    moving = scene.belief_mean is not None
    nodes = np.concatenate([bs[None], ris, user[None], *([] if comm is None else [comm[None]])])
    edge = room(system) if moving else np.zeros((0, 2))
    panels.fit_map(axes, np.concatenate([nodes, edge]), pad=0.16)
    if moving:
        axes.fill(*edge.T, facecolor="#f1f4f7", edgecolor=panels.FAINT, linewidth=1.0, zorder=0)
    middle = ris.mean(axis=0)
    axes.plot(*np.stack([bs, middle], axis=1), color=panels.FAINT, linewidth=2.0, zorder=1)
    axes.plot(*np.stack([middle, user], axis=1), color=SENSE, alpha=0.45, linewidth=1.6, zorder=1)
    if comm is not None:
        axes.plot(*np.stack([middle, comm], axis=1), color=COMM, alpha=0.45, linewidth=1.6, zorder=1)
    panels.node(axes, bs, "BS", "^", panels.BLUE)
    surfaces(axes, ris)
    if comm is not None:
        panels.node(axes, comm, "C", "o", COMM)
    if not moving:
        panels.node(axes, user, "U", "o", SENSE)
        return
    believed(axes, scene, path)
    axes.scatter([user[0]], [user[1]], s=34.0, color=SENSE, edgecolor="white", linewidth=0.8, zorder=5)
    mean, cov = np.asarray(scene.belief_mean[0])[:2], np.asarray(scene.belief_cov[0])[:2, :2]
    half = max(2.0, 1.5 * float(np.abs(user - mean).max()), 2.6 * float(np.sqrt(np.diag(cov).max())))
    inset = axes.inset_axes(panels.free_corner(axes, np.concatenate([nodes, edge]), 0.33, 0.5))
    inset.set(xlim=mean[0] + half * np.array([-1, 1]), ylim=mean[1] + half * np.array([-1, 1]), xticks=[], yticks=[])
    inset.set_aspect("equal", adjustable="box", anchor="C")
    inset.grid(False)
    inset.set_facecolor("white")
    for spine in inset.spines.values():
        spine.set(visible=True, color=SENSE)
    inset.set_title(f"belief ({2.0 * half:.1f} m)", fontsize=9.5, color=panels.DARK_AMBER, pad=3)
    believed(inset, scene, path)
    inset.scatter([mean[0]], [mean[1]], marker="+", s=80.0, color=panels.INK, linewidth=1.6, zorder=5)
    panels.node(inset, user, "U", "o", SENSE)


def room(system: NonOrthogonal) -> np.ndarray:
    """Outline of where a moving user may be, (points, 2), m."""
    angle = np.deg2rad(np.linspace(-system.max_azimuth_deg, system.max_azimuth_deg, 61))
    arc = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return np.concatenate([system.max_range_m * arc, system.min_range_m * arc[::-1]])


def surfaces(axes: Axes, ris: np.ndarray) -> None:
    """The sub-surfaces, in the colour of their block."""
    for (x, y), colour in zip(ris, BLOCK_COLOURS, strict=False):
        axes.plot([x, x], [y - 0.75, y + 0.75], color=colour, linewidth=6.0, zorder=4, solid_capstyle="butt")
    axes.annotate(
        "surface" if len(ris) == 1 else "surfaces", ris.mean(axis=0), (-7, 0), textcoords="offset points", ha="right",
        va="center", color=panels.PURPLE, fontweight="bold", fontsize=10.0, zorder=6, path_effects=panels.halo(),
    )  # fmt: skip


def believed(axes: Axes, scene: Any, path: np.ndarray | None) -> None:
    """The belief's ellipse at 2 standard deviations, and the user's path up to where it is."""
    values, vectors = np.linalg.eigh(np.asarray(scene.belief_cov[0])[:2, :2])
    turn = np.linspace(0.0, 2.0 * np.pi, 121)
    circle = np.stack([np.cos(turn), np.sin(turn)])
    edge = np.asarray(scene.belief_mean[0])[:2, None] + vectors @ (2.0 * np.sqrt(values)[:, None] * circle)
    axes.fill(*edge, facecolor=panels.INK, alpha=0.12, zorder=2, linewidth=0)
    axes.plot(*edge, color=panels.INK, linewidth=1.1, zorder=3)
    if path is not None and len(path):
        line = np.concatenate([np.asarray(path)[:, :2], np.asarray(scene.user_position[0])[None, :2]])
        axes.plot(*line.T, color=SENSE, linewidth=1.5, marker="o", markersize=2.5, zorder=4)


# -- pattern ------------------------------------------------------------------------------------------------------------------


def ring_gain(system: NonOrthogonal, scene: Any, design: Any, azimuth_deg: np.ndarray, distance_m: float) -> np.ndarray:
    """`|sum_l xi_l b_in,l exp(-j l.u(phi))|^2 / L^2` per block (n, azimuths), on a ring around the foot of the surface."""
    angle = np.deg2rad(azimuth_deg)
    ring = distance_m * np.stack([np.cos(angle), np.sin(angle), 0.0 * angle], axis=-1)
    frequency, _ = sampler.seen_from(system, ring)
    response = sampler.surface_response(system, frequency, 1 if system.model == "literal" else -1)
    sent = np.asarray(design.coefficients[0]) * np.asarray(scene.incident[0])
    return (np.abs(np.sum(sent * response, axis=-1)) ** 2 / system.num_elements**2).T


def seen_at(system: NonOrthogonal, frequency: Any, position: Any) -> float:
    """Azimuth of a user, degrees: from its position or, without one, from its directions at the sub-surfaces."""
    if position is not None:
        return float(np.rad2deg(np.arctan2(*np.asarray(position)[1::-1])))
    away = -sampler.directions(np.asarray(frequency)).mean(axis=0)
    return float(np.rad2deg(np.arctan2(away[1], away[0])))


def floor_distance(system: NonOrthogonal, scene: Any) -> float:
    """Distance of the localised user from the foot of the surface, m."""
    if scene.user_position is not None:
        return float(np.hypot(*np.asarray(scene.user_position[0])[:2]))
    return float(np.sqrt(max(np.mean(scene.ris_user_distance[0]) ** 2 - system.ris_height_m**2, 1e-6)))


def pattern(axes: Axes, system: NonOrthogonal, scene: Any, design: Any) -> None:
    """Gain over azimuth on the floor ring of the localised user, a curve per block; the gain that each user has (dots)."""
    distance = floor_distance(system, scene)
    what = "gain over azimuth" if scene.frame is None else "gain of the last design"
    axes.set_title(f"{what}, {distance:.1f} m from the foot")
    top = 9.0
    axes.set(xlim=(-90.0, 90.0), ylim=(-SPAN_DB, top), xlabel="azimuth (°)", ylabel="dB of all in phase")
    axes.set_xticks(range(-90, 91, 30))
    axes.set_yticks(range(0, int(-SPAN_DB), -10))
    users = [("U", SENSE, seen_at(system, scene.spatial_frequency[0], _first(scene.user_position)), 1)]
    if system.two_user:
        users.append(("C", COMM, seen_at(system, scene.comm_spatial_frequency[0], _first(scene.comm_position)), 0))
    elif system.model == "mixed":
        users.append(("", COMM, users[0][2], 0))
        axes.text(0.01, 0.03, "mixed conventions: not a physical channel", transform=axes.transAxes, fontsize=9.5, zorder=7,
                  path_effects=panels.halo())  # fmt: skip
    places = panels.spread(np.array([user[2] for user in users if user[0]]), 7.0, -86.0, 86.0)
    for (name, colour, at, _), label in zip(users, places, strict=False):
        axes.plot([at, at, label], [-SPAN_DB, 1.5, 4.0], color=colour, linewidth=1.1, linestyle=(0, (4, 3)), zorder=1)
        panels.node(axes, np.array([label, 6.0]), name, "o", colour)
    if scene.belief_mean is not None:
        mean = np.asarray(scene.belief_mean[0])
        axes.set_xlabel("azimuth (°); dots: each user's own gain, dotted: the belief's mean")
        axes.axvline(seen_at(system, None, mean), ymax=0.8, color=panels.INK, linewidth=1.1, linestyle=":", zorder=1)
    if design is None:
        axes.text(0.5, 0.5, "no design yet", transform=axes.transAxes, ha="center", va="center", color="#8b96a0")
        return
    level = 10.0 * np.log10(np.maximum(ring_gain(system, scene, design, AZIMUTH_DEG, distance), 1e-6))
    gains = 20.0 * np.log10(np.maximum(bars.path_gains(scene, design) / system.num_elements, 1e-3))
    for i, colour in enumerate(BLOCK_COLOURS[: system.num_blocks]):
        if i == 0:
            axes.fill_between(AZIMUTH_DEG, -SPAN_DB, np.maximum(level[i], -SPAN_DB), color=colour, alpha=0.12, linewidth=0)
        axes.plot(AZIMUTH_DEG, level[i], color=colour, linewidth=1.8)
        if system.num_blocks > 1:
            axes.text(0.87 + 0.13 * i, 1.02, f"block {i}", transform=axes.transAxes, ha="right", va="bottom", color=colour,
                      fontsize=10.5, fontweight="bold")  # fmt: skip
        for _, mark, at, column in users:
            axes.scatter([at], [max(gains[i, column], -SPAN_DB)], s=42.0, color=mark, edgecolor=colour, linewidth=1.4, zorder=6)


def _first(array: Any) -> Any:
    return None if array is None else array[0]


# -- surface ------------------------------------------------------------------------------------------------------------------


def phases(figure: Figure, place: Any, system: NonOrthogonal, design: Any) -> None:
    """Phase of each element as an image L_y x L_z per block."""
    count = system.num_blocks
    parts = place.subgridspec(1, count + 1, wspace=0.12, width_ratios=[*[1.0] * count, 0.06])
    image: Any = None
    for i in range(count):
        axes = figure.add_subplot(parts[i])
        axes.set_title("phases" if count == 1 else f"phases, block {i}", color=panels.INK if count == 1 else BLOCK_COLOURS[i])
        axes.grid(False)
        if design is None:
            panels.nothing(axes)
            continue
        values = np.rad2deg(np.angle(np.asarray(design.coefficients[0, i])))
        image = axes.imshow(
            values.reshape(system.surface_shape).T, origin="lower", aspect="auto", interpolation="nearest", cmap=circle(),
            vmin=-180.0, vmax=180.0,
        )  # fmt: skip
        axes.set_xticks([])
        axes.set_yticks([])
        if i == 0:
            axes.set_xlabel(f"{system.surface_shape[0]} x {system.surface_shape[1]} elements", fontsize=9.5, loc="left")
    if image is not None:
        scale = figure.colorbar(image, cax=figure.add_subplot(parts[count]), ticks=[-180.0, -90.0, 0.0, 90.0, 180.0])
        scale.ax.tick_params(length=0, labelsize=9.0)
        scale.outline.set_visible(False)
        scale.ax.set_title("°", fontsize=10.0, fontweight="normal", loc="left")
