"""Bars of the picture of `multifunctional`: rates, budgets, echo SINRs, time of each slot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ris_gym.envs.pictures import panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ris_gym.systems.multifunctional import MultiFunctional

SIDES = ("side r", "side t")
SIDE_COLOURS = (panels.BLUE, "#c7702e")
"""Reflection and refraction."""
PALE = "#e6eaee"


def rates(axes: Axes, system: MultiFunctional, metrics: Any) -> None:
    """Rate of each user, green where R_min (black line) is met and red where not."""
    axes.set_title("rates")
    if metrics is None or not system.users:
        panels.nothing(axes, "no design yet" if system.users else "no users")
        return
    values, least = np.asarray(metrics.rate[0]), system.min_rate_bps_hz
    place = np.arange(system.users)
    met = np.asarray(metrics.margins["rate"][0]) >= -1e-3
    high = 1.45 * max(2.0 * least, float(values.max()), 0.1)
    size = 10.5 if system.users <= 8 else 8.0
    axes.barh(place, values, height=0.55, color=np.where(met, panels.GREEN, panels.RED))
    for k, value in enumerate(values):
        axes.text(high, k, f"{value:.2f}", ha="right", va="center", fontsize=size)
    if least > 0.0:
        axes.vlines(least, -0.5, system.users - 0.5, color=panels.INK, linewidth=1.8, zorder=4)
        axes.text(least, -0.6, f"needs {least:g}", ha="center", va="bottom", fontsize=9.5)
    axes.set_yticks(place, [str(k + 1) for k in place], fontsize=size)
    for label, side in zip(axes.get_yticklabels(), system.user_side, strict=True):
        label.set(color=SIDE_COLOURS[side], fontweight="bold")
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(max(system.users - 0.3, 1.2), -max(0.9, 0.5 + 0.14 * system.users))
    axes.set_xlim(0.0, high)
    axes.set_xlabel("bit/s/Hz")
    axes.grid(False, axis="y")


def budgets(axes: Axes, system: MultiFunctional, scene: Any, design: Any) -> None:
    """What BS (users, sensing) and surface (towards r and t) spend of their budgets; with time switching in each slot."""
    axes.set_title("power budgets")
    if design is None:
        panels.nothing(axes)
        return
    rows = spending(system, scene, design)
    for i, (name, budget, parts) in enumerate(rows):
        axes.barh([i], [1.0], height=0.26, color=PALE, zorder=1)
        left = 0.0
        for _, share, colour in parts:
            axes.barh([i], [share], left=left, height=0.26, color=colour, zorder=2)
            left += share
        axes.vlines([1.0], i - 0.17, i + 0.17, color=panels.INK, linewidth=1.6, zorder=3)
        axes.text(0.0, i - 0.18, f"{name} {panels.power_text(budget)}", va="bottom", fontsize=9.5)
        axes.text(1.0, i - 0.18, f"{100.0 * left:.0f} %", va="bottom", ha="right", fontsize=9.5, fontweight="bold")
        if len(rows) <= 2:
            for j, (part, _, colour) in enumerate(parts):
                axes.text(j, i + 0.17, part, va="top", ha=("left", "right")[j], fontsize=9.0, color=colour, fontweight="bold")
    axes.set_ylim(max(1.5, len(rows) - 0.55), -0.5)
    axes.set_xlim(0.0, 1.01)
    axes.set_xticks([0.0, 0.5, 1.0], ["0", "50", "100 %"])
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(False)


def spending(system: MultiFunctional, scene: Any, design: Any) -> list[tuple[str, float, list[tuple[str, float, str]]]]:
    """Rows (name, budget in W, parts), a part is (name, share of the budget, colour)."""
    slots = 2 if system.time_switching else 1
    users, sensing = (
        np.sum(np.abs(np.asarray(w[0]).reshape(slots, system.num_antennas, -1)) ** 2, axis=(1, 2)) / system.power_w
        for w in (design.beams, design.sensing_beams)
    )
    named = [f", slot {side[-1]}" for side in SIDES] if slots == 2 else [""]
    rows = [
        (f"BS{name}", system.power_w, [("users", float(users[i]), panels.GREEN), ("sensing", float(sensing[i]), panels.AMBER)])
        for i, name in enumerate(named)
    ]
    if system.surface_power_w is None:
        return rows
    w = np.asarray(design.all_beams[0]).reshape(slots, system.num_antennas, -1)
    load = np.sum(np.abs(np.asarray(scene.bs_ris[0]) @ w) ** 2, axis=-1) + system.noise_surface_w
    radiated = np.sum(np.abs(np.asarray(design.coefficients[0])) ** 2 * load, axis=-1) / system.surface_power_w
    parts = [(f"to {side[-1]}", float(radiated[i]), SIDE_COLOURS[i]) for i, side in enumerate(SIDES)]
    shared = [parts] if slots == 1 else [[part] for part in parts]
    return rows + [(f"surface{name}", system.surface_power_w, shared[i]) for i, name in enumerate(named)]


def echoes(axes: Axes, system: MultiFunctional, metrics: Any) -> None:
    """Echo SINR of each side in dB."""
    axes.set_title("echo SINR")
    if metrics is None:
        panels.nothing(axes)
        return
    values = np.asarray(metrics.echo_sinr_db[0])
    high = 10.0 * max(3.0, np.ceil(float(values.max()) / 10.0))
    low = min(-10.0, 10.0 * np.floor(float(values.min()) / 10.0) - 10.0)
    right = high + 0.6 * (high - low)
    axes.barh([0, 1], values - low, left=low, height=0.5, color=SIDE_COLOURS)
    for side, value in enumerate(values):
        axes.text(right, side, f"{value:.1f} dB", ha="right", va="center", fontsize=10.5)
    axes.axvline(0.0, color=panels.INK, linewidth=1.0)
    axes.set_yticks([0, 1], ["r", "t"])
    for label, colour in zip(axes.get_yticklabels(), SIDE_COLOURS, strict=True):
        label.set(color=colour, fontweight="bold")
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(1.6, -0.6)
    axes.set_xlim(low, right)
    axes.set_xlabel("dB")
    axes.grid(False, axis="y")


def time(axes: Axes, metrics: Any) -> None:
    """Part of the time of each slot."""
    axes.set_title("time", fontsize=11.0)
    if metrics is None:
        panels.nothing(axes)
        return
    first = float(metrics.time_fraction[0])
    for left, share, colour, where in ((0.0, first, SIDE_COLOURS[0], 0.0), (first, 1.0 - first, SIDE_COLOURS[1], 1.0)):
        axes.barh([0], [share], left=left, height=0.7, color=colour)
        axes.text(where, -0.5, f"{'rt'[int(where)]} {100.0 * share:.0f} %", ha=("left", "right")[int(where)], va="bottom",
                  fontsize=9.5, fontweight="bold", color=colour)  # fmt: skip
    axes.set_xlim(0.0, 1.0)
    axes.set_ylim(0.45, -1.15)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.grid(False)
