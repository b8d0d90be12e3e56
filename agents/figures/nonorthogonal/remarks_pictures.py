"""The drawing of what goes beyond Section V: errors of the estimator over both bounds; gaps of the search and of the bound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.figures.base import Result
from agents.figures.drawing import canvas

__all__ = ["draw"]

PRESET_COLOURS = {"paper": "C0", "theorem1": "C1", "physical": "C2"}
LOOKS = {"C = 5 L": ("o", "-"), "C = 50 L": ("s", "--"), "descent, 8 starts": ("^", ":")}


def draw(config: Mapping[str, Any], result: Result) -> Any:
    """Three panels."""
    figure = canvas(15.0, 6.2)
    left, middle, right = figure.subplots(1, 3)
    for i, (receiver, found) in enumerate(result.drawing["errors"].items()):
        for kind, marker, dash in (("paper", "o", "-"), ("complex", "s", "--")):
            level = [10.0 * np.log10(arrays["error"] / arrays[kind]) for arrays in found.values()]
            mean = np.array([values.mean() for values in level])
            name = "Theorem 1" if kind == "paper" else "complex symbols"
            left.plot(list(found), mean, color=f"C{i}", marker=marker, linestyle=dash, markerfacecolor="none",
                      label=f"over {name}: {receiver}")  # fmt: skip
    left.axhline(0.0, color="k", linewidth=0.8)
    left.set_xlabel("SNR, dB")
    left.set_ylabel("squared error of the angles over the bound, dB")
    left.set_title("maximum-likelihood estimator against two bounds", fontsize=10)
    for preset, sizes in result.drawing["lines"].items():
        colour = PRESET_COLOURS[preset]
        for name, (marker, dash) in LOOKS.items():
            gap = [10.0 * float(np.mean(found[name]["value"] - found["descent, 64 starts"]["value"])) for found in sizes.values()]
            look: dict[str, Any] = {"color": colour, "marker": marker, "linestyle": dash, "label": f"{preset}: {name}"}
            middle.plot(list(sizes), gap, markerfacecolor="none", **look)
        gap = [10.0 * float(np.mean(found["descent, 64 starts"]["value"] - found["bound"]["value"])) for found in sizes.values()]
        right.plot(list(sizes), gap, color=colour, marker="o", markerfacecolor="none", label=preset)
    middle.set_title("searches above descent with 64 starts", fontsize=10)
    right.set_title("descent with 64 starts above the certified bound", fontsize=10)
    for axis in (middle, right):
        axis.set_xlabel("elements L")
        axis.set_ylabel("10 $\\Delta$V, dB")
        axis.set_xticks([side**2 for side in config["sides"]])
        axis.axhline(0.0, color="k", linewidth=0.8)
    for axis in (left, middle, right):
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=1 if axis is left else 3)
    return figure
