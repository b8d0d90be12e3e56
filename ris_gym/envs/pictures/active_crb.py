"""The picture of `active_crb`: map, radiated power, amplitudes and phases of the surface, SINR, both budgets, the bound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ris_gym.envs.pictures import panels
from ris_gym.geometry import direction_cosine

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ris_gym.systems.active_crb import ActiveCrb

PSI = np.linspace(-1.0, 1.0, 721)
SPAN_DB = 35.0
HEADROOM_DB = 4.0
RANGES_DB = (20.0, 50.0, 110.0)
"""How far the panel of the bound reaches above the lower bound: the first range that holds the design."""
LIGHT = "#a985bd"
"""The second pass: the surface's colour, lighter."""


def draw(figure: Figure, system: ActiveCrb, scene: Any, design: Any, metrics: Any) -> str | None:
    """Fill a figure from one scene and one design (None: the scene alone). Everything has batch 1. Returns the headline."""
    colours = user_colours(system, metrics)
    rows = figure.add_gridspec(2, 1, **panels.FRAME, hspace=0.42, height_ratios=[1.1, 1.0])
    if scene.user_position is None and scene.scatterer_position is None:
        pattern(figure.add_subplot(rows[0]), system, scene, design, colours)
    else:
        upper = rows[0].subgridspec(1, 2, wspace=0.16, width_ratios=[1.0, 1.15])
        world(figure.add_subplot(upper[0]), system, scene, colours)
        pattern(figure.add_subplot(upper[1]), system, scene, design, colours)
    lower = rows[1].subgridspec(1, 4, wspace=0.3, width_ratios=[1.5, 1.0, 0.95, 0.95])
    surface(figure, lower[0], system, scene, design)
    panels.sinr(figure.add_subplot(lower[1]), system, metrics)
    budgets(figure.add_subplot(lower[2]), system, design, metrics)
    bound(figure.add_subplot(lower[3]), scene, metrics)
    if metrics is None:
        return None
    text = f"NMSE bound {metrics.nmse_bound_db[0]:.1f} dB    gap {panels.rounded(metrics.gap_db[0])} dB"
    return f"{text}    cost {metrics.cost[0]:.2f}" if metrics.margins else text


def user_colours(system: ActiveCrb, metrics: Any) -> list[str]:
    """Green where the SINR is met, red where not, blue-grey where none is asked for."""
    if metrics is None or not metrics.margins:
        return [panels.NEUTRAL] * system.num_users
    return [panels.GREEN if margin >= -1e-3 else panels.RED for margin in metrics.margins["sinr"][0]]


def world(axes: Axes, system: ActiveCrb, scene: Any, colours: list[str]) -> None:
    """Map: links, users, and the target's rectangle with its scatterers, enlarged in the emptiest corner."""
    axes.set_title("map")
    bs, ris, target = (np.array(p) for p in (system.bs_position_m, system.ris_position_m, system.target_position_m))
    users = np.zeros((0, 2)) if scene.user_position is None else np.asarray(scene.user_position[0])
    nodes = np.concatenate([bs[None], ris[None], target[None], users])
    axes.plot(*np.stack([bs, ris], axis=1), color=panels.FAINT, linewidth=2.0, zorder=1)
    axes.plot(*np.stack([ris, target], axis=1), color=panels.AMBER, linewidth=2.0, zorder=1)
    for user in users:
        axes.plot(*np.stack([ris, user], axis=1), color=panels.FAINT, linewidth=1.6, zorder=1)
    panels.fit_map(axes, nodes, pad=0.22)
    _rectangle(axes, system)
    panels.node(axes, bs, "BS", "^", panels.BLUE)
    panels.node(axes, ris, "surface", "s", panels.PURPLE)
    for k, (user, colour) in enumerate(zip(users, colours, strict=False)):
        panels.node(axes, user, "user" if len(users) == 1 else f"{k + 1}", "o", colour, below=True)
    inset = axes.inset_axes(panels.free_corner(axes, nodes, 0.34, 0.36))
    _rectangle(inset, system)
    if scene.scatterer_position is not None:
        x, y = np.asarray(scene.scatterer_position[0]).T
        inset.scatter(x, y, s=14.0, color=panels.DARK_AMBER, zorder=3, linewidth=0)
    half = 0.5 * np.maximum(system.target_size_m, 1e-3)
    half = 0.62 * np.maximum(system.target_size_m, 0.02 * max(system.target_size_m) + 1e-3)
    inset.set(xlim=target[0] + half[0] * np.array([-1, 1]), ylim=target[1] + half[1] * np.array([-1, 1]))
    inset.set_aspect("equal", adjustable="box", anchor="C")
    inset.set_xticks([])
    inset.set_yticks([])
    inset.grid(False)
    for spine in inset.spines.values():
        spine.set(visible=True, color=panels.AMBER)
    width, height = system.target_size_m
    inset.set_title(f"target, {width:g} m x {height:g} m", fontsize=9.5, color=panels.DARK_AMBER, pad=3)


def _rectangle(axes: Axes, system: ActiveCrb) -> None:
    from matplotlib.patches import Rectangle

    low = np.array(system.target_position_m) - 0.5 * np.array(system.target_size_m)
    axes.add_patch(Rectangle((low[0], low[1]), *system.target_size_m, facecolor="#f3d9b1", edgecolor=panels.AMBER, zorder=2))


def pattern(axes: Axes, system: ActiveCrb, scene: Any, design: Any, colours: list[str]) -> None:
    """Power that the surface radiates in the first pass, by direction; directions of users (above) and scatterers (below)."""
    axes.set_title("power radiated by the surface, first pass")
    top = ceiling_dbm(system, scene) + HEADROOM_DB
    low = top - SPAN_DB
    shown = None if design is None else 10.0 * np.log10(np.maximum(system.radiated_w(scene, design, PSI)[0], 1e-30)) + 30.0
    while shown is not None and shown.max() < low + 10.0 and low > -200.0:
        low -= SPAN_DB
    span = top - low
    axes.set_xlim(-1.0, 1.0)
    axes.set_ylim(low, top)
    axes.set_xlabel("ψ, sine of the angle from the normal of the surface")
    axes.set_ylabel("power (dBm)")
    ris = np.array(system.ris_position_m)
    if scene.scatterer_position is not None:
        psi = -direction_cosine(ris, np.asarray(scene.scatterer_position[0]), axis=0)
        axes.axvspan(psi.min(), psi.max(), color=panels.AMBER, alpha=0.16, linewidth=0, zorder=0)
        axes.vlines(psi, low, low + 0.06 * span, color=panels.AMBER, linewidth=1.6, zorder=3)
        middle = float(np.clip(0.5 * (psi.min() + psi.max()), -0.88, 0.88))
        axes.text(middle, low + 0.07 * span, "target", ha="center", fontsize=9.5, fontweight="bold", color=panels.DARK_AMBER,
                  zorder=5, path_effects=panels.halo())  # fmt: skip
    if scene.user_position is not None:
        psi = direction_cosine(ris, np.asarray(scene.user_position[0]), axis=0)
        placed = panels.spread(psi, 0.072, -0.97, 0.97)
        for k, (at, label, colour) in enumerate(zip(psi, placed, colours, strict=True)):
            axes.plot([at, at, label], [low, top - 0.2 * span, top - 0.1 * span], color=colour, linewidth=1.1,
                      linestyle=(0, (4, 3)), zorder=1)  # fmt: skip
            name = f"{k + 1}" if len(psi) > 1 else "user"
            panels.node(axes, np.array([label, top - 0.065 * span]), name, "o", colour, below=True)
    if shown is None:
        axes.text(0.5, 0.5, "no design yet", transform=axes.transAxes, ha="center", va="center", color="#8b96a0")
        return
    axes.fill_between(PSI, low, np.clip(shown, low, top), color=panels.PURPLE, alpha=0.14, linewidth=0)
    axes.plot(PSI, shown, color=panels.PURPLE, linewidth=1.8)


def ceiling_dbm(system: ActiveCrb, scene: Any) -> float:
    """The most that any design can radiate towards one direction: `N P_s`, or `N a^2 s_1^2 P_0` where that is less, dBm."""
    strongest = float(scene.reference["singular"][0, 0] * scene.reference["cap"][0]) ** 2
    most = strongest * system.power_w
    if not system.passive:
        most = min(most + system.num_elements * system.noise_surface_w * system.max_amplitude**2, system.surface_power_w)
    return 10.0 * float(np.log10(system.num_elements * most)) + 30.0


def surface(figure: Figure, place: Any, system: ActiveCrb, scene: Any, design: Any) -> None:
    """Amplitudes (dB below the cap) over phases; a passive surface has phases only."""
    coefficients = None if design is None else np.asarray(design.coefficients)
    if system.passive:
        panels.surface(figure.add_subplot(place), coefficients)
        return
    parts = place.subgridspec(2, 1, hspace=0.16)
    upper, lower = figure.add_subplot(parts[0]), figure.add_subplot(parts[1])
    panels.surface(lower, None if coefficients is None else coefficients / np.abs(coefficients))
    lower.set_title("")
    lower.set_ylabel("phase (°)")
    lower.set_yticks([] if design is None else [-180, 0, 180])
    upper.set_title("amplitude and phase of each element")
    cap = float(scene.reference["cap"][0])
    upper.set_ylabel("dB of cap")
    if coefficients is None:
        panels.nothing(upper)
        return
    level = 20.0 * np.log10(np.maximum(np.abs(coefficients[0]) / cap, 1e-3))
    index = np.arange(1, len(level) + 1)
    upper.bar(index, level + 60.0, bottom=-60.0, width=0.62, color=panels.PURPLE, alpha=0.75)
    upper.axhline(0.0, color=panels.INK, linewidth=1.2)
    upper.annotate(f"cap {20.0 * np.log10(cap):.3g} dB", (1.0, 0.0), (-2, 2), xycoords=("axes fraction", "data"),
                   textcoords="offset points", ha="right", va="bottom", fontsize=9.0)  # fmt: skip
    upper.set_xlim(0.0, len(level) + 1.0)
    upper.set_ylim(-60.0, 18.0)
    upper.set_yticks([-60, -30, 0])
    upper.tick_params(labelbottom=False)


def budgets(axes: Axes, system: ActiveCrb, design: Any, metrics: Any) -> None:
    """Both power budgets: what BS and surface spend of them, split into users and sensing, first and second pass."""
    axes.set_title("power budgets")
    if design is None:
        panels.nothing(axes)
        return
    beams = np.sum(np.abs(design.beams[0]) ** 2) / system.power_w, np.sum(np.abs(design.sensing_beams[0]) ** 2) / system.power_w
    rows = [("BS", system.power_w, (("users", beams[0], panels.GREEN), ("sensing", beams[1], panels.AMBER)))]
    if not system.passive:
        first, second = (float(w[0]) / system.surface_power_w for w in (metrics.first_pass_w, metrics.second_pass_w))
        passes = (("1st pass", first, panels.PURPLE), ("2nd pass", second, LIGHT))
        rows.append(("surface", system.surface_power_w, passes))
    panels.stacked(axes, rows)


def bound(axes: Axes, scene: Any, metrics: Any) -> None:
    """NMSE bound of the design and its lower bound over all designs; the gap between them."""
    axes.set_title("NMSE bound")
    response = float(np.sum(np.abs(scene.target_response[0]) ** 2))
    least = float(scene.reference["lower_bound_db"][0]) - 10.0 * np.log10(response)
    reached = least if metrics is None else float(metrics.nmse_bound_db[0])
    reach = next((r for r in RANGES_DB if reached - least <= r), RANGES_DB[-1])
    low = least - 0.3 * reach
    axes.set_xlim(low, least + reach)
    axes.set_ylim(1.75, -0.4)
    axes.set_yticks([])
    axes.set_xlabel("dB")
    axes.spines["left"].set_visible(False)
    axes.grid(False, axis="y")
    style: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "fontsize": 10.0, "va": "bottom"}
    bold = style | {"fontweight": "bold", "ha": "right"}
    axes.text(0.0, 1.08, "lower bound", **style)
    axes.text(1.0, 1.08, f"{least:.1f} dB", **bold)
    axes.barh([1.25], [least - low], left=low, height=0.24, color=panels.NEUTRAL)
    axes.vlines([least, least], [0.1, 1.1], [0.4, 1.4], color=panels.INK, linewidth=1.6, zorder=4)
    axes.text(0.0, 0.08, "design", **style)
    if metrics is None:
        axes.text(1.0, 0.08, "none yet", ha="right", color="#8b96a0", **style)
        return
    axes.text(1.0, 0.08, f"{reached:.1f} dB", **bold)
    axes.barh([0.25], [least - low], left=low, height=0.24, color=panels.BLUE)
    axes.barh([0.25], [reached - least], left=least, height=0.24, color=panels.BLUE, alpha=0.45)
    small = style | {"fontsize": 9.0, "va": "top", "ha": "right", "color": panels.BLUE}
    axes.text(1.0, 0.42, f"gap {panels.rounded(reached - least)} dB", **small)
