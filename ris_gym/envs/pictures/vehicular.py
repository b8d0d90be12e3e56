"""The picture of `vehicular`: the road with vehicles, beliefs and beams, time shares, echoes against the requirement, traces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ris_gym.envs.pictures import panels
from ris_gym.systems.vehicular import beams, motion

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ris_gym.systems.vehicular import Vehicular

DATA, SENSE = panels.GREEN, panels.AMBER
PALE = "#e6eaee"
MOST_VEHICLES = 8
LOWEST_DB = -10.0


def draw(
    figure: Figure, system: Vehicular, scene: Any, design: Any, metrics: Any, path: np.ndarray | None = None
) -> str | None:
    """Fill a figure from one scene, the decision point of a frame, and the design played in it (None: the scene alone).

    `path` (frames, 2): mean rate and position error of the frames before. Everything has batch 1. Returns the headline.
    """
    rows = figure.add_gridspec(2, 1, **panels.FRAME, hspace=0.42, height_ratios=[1.15, 1.0])
    upper = rows[0].subgridspec(1, 2, wspace=0.16, width_ratios=[1.9, 1.0])
    road(figure.add_subplot(upper[0]), system, scene, design)
    closer(figure.add_subplot(upper[1]), system, scene, design)
    lower = rows[1].subgridspec(1, 3, wspace=0.28, width_ratios=[1.1, 0.9, 1.2])
    shares(figure.add_subplot(lower[0]), system, design, metrics)
    echoes(figure.add_subplot(lower[1]), system, metrics)
    traces(figure, lower[2], system, path)
    if metrics is None:
        return None
    text = f"rate {metrics.objective[0]:.2f} {system.unit}    cost {metrics.cost[0]:.2f}"
    if metrics.position_error_m is not None:
        text += f"    beliefs off by {np.mean(metrics.position_error_m[0]):.2f} m"
    return text


# -- road ---------------------------------------------------------------------------------------------------------------------


def half_power(system: Vehicular, width: float, sensitivity: int) -> float:
    """Half of the half-power width of A(c Delta, W) in direction cosine: the largest Delta with half of the largest gain."""
    delta = np.linspace(0.0, min(1.0, 2.0 / system.num_cols + abs(width)), 2001)
    found = beams.gain(system.num_cols, sensitivity * delta, np.full_like(delta, width))
    return float(delta[np.flatnonzero(found >= 0.5 * found.max())[-1]])


def reach(system: Vehicular, cosine: float, half: float) -> np.ndarray:
    """Where a beam of direction cosines cosine +- half meets the road, m."""
    edge = np.clip(cosine + half * np.array([-1.0, 1.0]), -0.999, 0.999)
    return system.road_offset_m * edge / np.sqrt(1.0 - edge**2)


def road(axes: Axes, system: Vehicular, scene: Any, design: Any) -> None:
    """Map from above: BS, road, vehicles, beliefs (2 standard deviations along the road), beams to half power."""
    axes.set_title("road from above, beams to half power")
    offset = system.road_offset_m
    mean, cov = np.asarray(scene.belief_mean[0], float), np.asarray(scene.belief_cov[0], float)
    truth = mean[:, 0] if scene.position is None else np.asarray(scene.position[0], float)
    panels.fit_map(axes, np.array([[min(truth.min(), -32.0), -2.0], [max(truth.max(), 32.0), offset + 7.0]]), pad=0.04)
    left, right = axes.get_xlim()
    axes.fill_between([left, right], offset - 2.2, offset + 2.2, color="#eef1f4", zorder=0, linewidth=0)
    axes.axhline(offset, color="white", linewidth=1.5, linestyle=(0, (8, 8)), zorder=1)
    axes.grid(False)
    if design is not None:
        for (first, last), (near, far), reflects in footprints(system, scene, design):
            beam(axes, system, first, last, DATA, 0.30)
            if reflects:
                beam(axes, system, near, far, SENSE, 0.55)
    panels.node(axes, np.zeros(2), "BS", "^", panels.BLUE)
    if system.unauthorised_radar:
        panels.node(axes, np.array(system.radar_position_m), "radar", "v", panels.RED)
    turn = np.linspace(0.0, 2.0 * np.pi, 121)
    for k in range(system.num_users):
        along = mean[k, 0] + 2.0 * np.sqrt(max(cov[k, 0, 0], 0.0)) * np.cos(turn)
        axes.fill(along, offset + 1.6 * np.sin(turn), facecolor=panels.INK, alpha=0.16, linewidth=0, zorder=3)
        axes.plot(along, offset + 1.6 * np.sin(turn), color=panels.INK, linewidth=1.0, zorder=3)
        axes.scatter([mean[k, 0]], [offset], marker="+", s=60.0, color=panels.INK, linewidth=1.4, zorder=4)
        axes.scatter([truth[k]], [offset], s=34.0, color=panels.PURPLE, edgecolor="white", linewidth=0.8, zorder=5)
        axes.annotate(
            str(k + 1), (truth[k], offset + 2.4), (0, 2), textcoords="offset points", ha="center", va="bottom",
            color=panels.PURPLE, fontweight="bold", fontsize=10.0, zorder=6, path_effects=panels.halo(),
        )  # fmt: skip


def footprints(system: Vehicular, scene: Any, design: Any) -> list[tuple[np.ndarray, np.ndarray, bool]]:
    """Per vehicle: where the data and the echo beam meet the road (2,), m, and whether the surface reflects in this frame."""
    mean, cov = np.asarray(scene.belief_mean[0], float), np.asarray(scene.belief_cov[0], float)
    echo = data = motion.pointing(system, mean, cov)
    if not system.s_assist:
        data = motion.pointing(system, np.asarray(scene.report_mean[0], float), np.asarray(scene.report_cov[0], float))
    out = []
    for k in range(system.num_users):
        wide_c = system.width_span * float(design.refract_width[0, k]) * data.spread[k]
        wide_e = system.width_span * float(design.reflect_width[0, k]) * 2.0 * echo.spread[k]
        out.append((
            reach(system, data.cosine[k], half_power(system, wide_c, beams.REFRACT)),
            reach(system, echo.cosine[k], half_power(system, wide_e, beams.REFLECT)),
            bool(design.sensing_share[0, k] > 0.0) or system.assisted,
        ))  # fmt: skip
    return out


def beam(axes: Axes, system: Vehicular, first: float, last: float, colour: str, alpha: float) -> None:
    """The wedge from the BS to the part of the road in a beam."""
    axes.fill([0.0, first, last], [0.0, *[system.road_offset_m] * 2], color=colour, alpha=alpha, linewidth=0, zorder=2)


def closer(axes: Axes, system: Vehicular, scene: Any, design: Any) -> None:
    """Along the road, from the mean of each belief: 2 standard deviations, the true place, the parts of the road in the beams."""
    axes.set_title("belief, truth, beams")
    mean, cov = np.asarray(scene.belief_mean[0], float), np.asarray(scene.belief_cov[0], float)
    truth = mean[:, 0] if scene.position is None else np.asarray(scene.position[0], float)
    count = min(system.num_users, MOST_VEHICLES)
    off, deviation = (truth - mean[:, 0])[:count], 2.0 * np.sqrt(np.maximum(cov[:count, 0, 0], 0.0))
    beams_of = [] if design is None else footprints(system, scene, design)[:count]
    for k in range(count):
        axes.barh([k], [2.0 * deviation[k]], left=-deviation[k], height=0.62, color=panels.INK, alpha=0.16, zorder=2)
        if beams_of:
            data, echo, reflects = beams_of[k]
            axes.plot(data - mean[k, 0], [k + 0.12] * 2, color=DATA, linewidth=4.0, zorder=3, solid_capstyle="butt")
            if reflects:
                axes.plot(echo - mean[k, 0], [k - 0.12] * 2, color=SENSE, linewidth=4.0, zorder=3, solid_capstyle="butt")
        axes.scatter([off[k]], [k], s=34.0, color=panels.PURPLE, edgecolor="white", linewidth=0.8, zorder=5)
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(5))
    half = max(2.0, 1.15 * float(np.max(np.abs(off))), 1.15 * float(deviation.max()))
    axes.set_xlim(-half, half)
    axes.set_yticks(range(count), [str(k + 1) for k in range(count)])
    axes.set_ylim(max(count - 0.4, 1.6), -0.6)
    axes.set_xlabel("m from the belief's mean; grey: 2 deviations")
    axes.grid(False, axis="y")


# -- bars ---------------------------------------------------------------------------------------------------------------------


def shares(axes: Axes, system: Vehicular, design: Any, metrics: Any) -> None:
    """Each vehicle's slot: the part that senses, the part that sends, its rate."""
    axes.set_title("time of each slot, rate")
    if design is None:
        panels.nothing(axes)
        return
    count = min(system.num_users, MOST_VEHICLES)
    place, share = np.arange(count), np.asarray(design.sensing_share[0, :count], float)
    axes.barh(place, share, height=0.42, color=SENSE, zorder=2)
    axes.barh(place, 1.0 - share, left=share, height=0.42, color=DATA, alpha=0.75, zorder=2)
    for k in place:
        axes.text(1.03, float(k), f"{metrics.rate[0, k]:.2f}", va="center", fontsize=10.0)
    axes.set_yticks(place, [str(k + 1) for k in place])
    axes.set_ylim(max(count - 0.4, 1.6), -0.6)
    axes.set_xlim(0.0, 1.2)
    axes.set_xticks([0.0, 0.5, 1.0], ["0", "50 %", "100 %"])
    axes.set_xlabel("sensing, then data; bit/s/Hz")
    axes.grid(False, axis="y")


def echoes(axes: Axes, system: Vehicular, metrics: Any) -> None:
    """Credited energy SNR of each vehicle, against the requirement where there is one."""
    axes.set_title("energy SNR of the echoes")
    if metrics is None:
        panels.nothing(axes)
        return
    count, wanted = min(system.num_users, MOST_VEHICLES), system.sensing_threshold_db
    place, values = np.arange(count), np.asarray(metrics.sensing_snr_db[0, :count], float)
    colours: Any = panels.NEUTRAL
    if wanted is not None:
        met = (metrics.margins["sensing"][0, :count] >= -1e-3) | (metrics.counted[0] == 0.0)
        colours = np.where(met, panels.GREEN, panels.RED)
        axes.axvline(wanted, color=panels.INK, linewidth=1.8, zorder=4)
    axes.barh(place, np.maximum(values, LOWEST_DB) - LOWEST_DB, left=LOWEST_DB, height=0.42, color=colours, zorder=2)
    axes.set_yticks(place, [str(k + 1) for k in place])
    axes.set_ylim(max(count - 0.4, 1.6), -0.6)
    axes.set_xlim(LOWEST_DB, 40.0)
    axes.set_xlabel("dB" if wanted is None else f"dB; needs {wanted:g}")
    axes.grid(False, axis="y")


def traces(figure: Figure, place: Any, system: Vehicular, path: np.ndarray | None) -> None:
    """Mean rate and position error over the frames played."""
    grid = place.subgridspec(2, 1, hspace=0.3)
    rate, error = figure.add_subplot(grid[0]), figure.add_subplot(grid[1])
    rate.set_title("frames so far")
    for axes, name, colour in ((rate, "bit/s/Hz", DATA), (error, "error (m)", panels.INK)):
        axes.set_xlim(-0.5, system.num_frames - 0.5)
        axes.set_ylabel(name, fontsize=10.0)
        axes.set_ylim(bottom=0.0)
        axes.tick_params(labelsize=9.0)
        if path is not None and len(path):
            values = np.asarray(path)[:, 0 if axes is rate else 1]
            axes.plot(np.arange(len(values)), values, color=colour, linewidth=1.6, marker=".", markersize=3.0)
            axes.set_ylim(0.0, 1.1 * max(float(values.max()), 1.0))
    rate.set_xticklabels([])
    error.set_xlabel("frame")
