"""The drawing of Figure 4: beampatterns of the first scene, a row per objective, a heat map and a surface per half-space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.figures.base import Result
from agents.figures.drawing import canvas
from agents.figures.multifunctional.rules import NAMES

__all__ = ["draw_patterns"]

SIDES = ("reflection (r)", "refraction (t)")
RANGE_DB = 40.0
"""Levels by more below the largest of the half-space are drawn as that."""


def draw_patterns(config: Mapping[str, Any], result: Result) -> Any:
    """Two heat maps and two surfaces per objective."""
    arrays, target_side = result.drawing
    forms = list(config["forms"])
    figure = canvas(19.0, 4.6 * len(forms))
    for i, form in enumerate(forms):
        pattern, angles = arrays[form]["pattern"][0], arrays[form]["angles"][0]
        user_side = _user_sides(config, len(angles) - len(target_side))
        for side in range(2):
            users = angles[: len(user_side)][user_side == side]
            targets = angles[len(user_side) :][target_side == side]
            text = f"{NAMES[form]}: {SIDES[side]}, echo SINR {arrays[form]['echo'][0, side]:.1f} dB"
            _heat(figure, figure.add_subplot(len(forms), 4, 4 * i + 2 * side + 1), pattern[side], users, targets, text)
            solid = figure.add_subplot(len(forms), 4, 4 * i + 2 * side + 2, projection="3d")
            _surface(solid, pattern[side], targets)
            solid.set_title(f"{SIDES[side]}, dBm", fontsize=9)
    return figure


def _user_sides(config: Mapping[str, Any], count: int) -> np.ndarray:
    import ris_gym

    return np.asarray(ris_gym.systems.make("multifunctional", **config["system"]).user_side)[:count]


def _heat(figure: Any, axis: Any, power: np.ndarray, users: np.ndarray, targets: np.ndarray, text: str) -> None:
    top = float(power.max())
    picture = axis.imshow(
        power, origin="lower", extent=(-90, 90, -90, 90), cmap="viridis", vmin=top - RANGE_DB, vmax=top, aspect="auto"
    )
    axis.plot(targets[:, 1], targets[:, 0], "k*", markersize=14, markeredgecolor="w", label="target")
    axis.plot(users[:, 1], users[:, 0], "wo", markersize=8, markerfacecolor="none", markeredgewidth=2, label="user")
    axis.set_xlabel("azimuth, degrees")
    axis.set_ylabel("elevation, degrees")
    axis.set_title(text, fontsize=9)
    axis.legend(fontsize=8, loc="upper right", facecolor="0.4", labelcolor="w")
    figure.colorbar(picture, ax=axis, label="dBm")


def _surface(axis: Any, power: np.ndarray, targets: np.ndarray) -> None:
    line = np.linspace(-90.0, 90.0, len(power))
    azimuth, elevation = np.meshgrid(line, line)
    top = float(power.max())
    shown = np.maximum(power, top - RANGE_DB)
    look: dict[str, Any] = {"rcount": 91, "ccount": 91, "linewidth": 0, "antialiased": False}
    axis.plot_surface(azimuth, elevation, shown, cmap="viridis", vmin=top - RANGE_DB, vmax=top, **look)
    for phi, theta in targets:
        height = shown[np.abs(line - phi).argmin(), np.abs(line - theta).argmin()]
        axis.plot([theta, theta], [phi, phi], [height, top + 4.0], "k-", linewidth=1.5, zorder=10)
        axis.plot([theta], [phi], [top + 4.0], "k*", markersize=10, zorder=11)
    axis.set_xlabel("azimuth")
    axis.set_ylabel("elevation")
    axis.view_init(elev=42, azim=-60)
