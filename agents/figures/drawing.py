"""What the drawings of all papers share."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["canvas", "limits"]


def canvas(width: float, height: float) -> Any:
    """An empty matplotlib figure (inches) that needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def limits(values: list[np.ndarray], margin: float = 0.06) -> tuple[float, float] | None:
    """Axis limits around all finite values; None without any."""
    flat = np.concatenate([np.ravel(value) for value in values]) if values else np.array([])
    flat = flat[np.isfinite(flat)]
    if not flat.size:
        return None
    pad = margin * max(float(np.ptp(flat)), 0.5)
    return float(flat.min()) - pad, float(flat.max()) + pad
