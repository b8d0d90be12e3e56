"""Fig. 4 of the survey: optimal rate of a frame over the sensing requirement, four schemes; the same in other settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import ris_gym
from agents.figures.base import Figure, Result, Unit
from agents.figures.points import Results
from agents.figures.vehicular.fig4_answers import Data, questions
from agents.figures.vehicular.fig4_pictures import draw
from baselines.vehicular import BENCHMARKS

__all__ = ["FIG4", "LEVEL", "SETTINGS", "panel"]

LEVEL = 4.9
"""The rate at which the survey compares two curves, bit/s/Hz."""
THRESHOLDS = [float(x) for x in range(8, 25)]
LAYOUTS = {"wide": [-20.0, 0.0, 20.0], "close": [-10.0, 0.0, 10.0]}
STDS = [0.3, 0.5, 1.0, 2.0]
QUANTITIES = {"rate": "bit/s/Hz", "dedicated": "", "least": ""}


def panel(layout: str, std: float, slots: str = "flexible") -> dict[str, Any]:
    """An entry of a configuration's `panels`."""
    return {"layout": layout, "position_m": LAYOUTS[layout], "position_std_m": std, "slots": slots}


def name_of(entry: Mapping[str, Any]) -> str:
    """What a panel is called."""
    return f"{entry['slots']}_{entry['layout']}_{entry['position_std_m']:g}"


def configuration(panels: Sequence[Mapping[str, Any]], quick: bool) -> dict[str, Any]:
    """Thresholds in dB; `grid`: points of the shares by kind of slots."""
    return {
        "panels": list(panels),
        "thresholds_db": THRESHOLDS[::4] if quick else THRESHOLDS,
        "velocity_mps": 15.0,
        "velocity_std_mps": 0.2,
        "grid": {"flexible": 301 if quick else 1201, "equal": 51 if quick else 201},
        "tolerance": 1e-4,
        "level": LEVEL,
        "system": {},
    }


def configure(quick: bool) -> dict[str, Any]:
    """The page's setting."""
    return configuration([panel("wide", 0.5)], quick)


def configure_settings(quick: bool) -> dict[str, Any]:
    """Four priors and equal slots, in two layouts."""
    panels = [panel(layout, std) for layout in LAYOUTS for std in (STDS[1::2] if quick else STDS)]
    return configuration([*panels, *[panel(layout, 0.5, "equal") for layout in LAYOUTS]], quick)


def units(config: Mapping[str, Any]) -> list[Unit]:
    """One per panel."""
    system = dict(ris_gym.systems.make("vehicular", preset="reciprocity", **config["system"]).to_dict())
    return [
        Unit(
            key=name_of(entry),
            function="agents.figures.vehicular.work:times",
            arguments={
                "system": system,
                "position_m": entry["position_m"],
                "velocity_mps": config["velocity_mps"],
                "position_std_m": entry["position_std_m"],
                "velocity_std_mps": config["velocity_std_mps"],
                "slots": entry["slots"],
                "thresholds_db": config["thresholds_db"],
                "grid": config["grid"][entry["slots"]],
                "tolerance": config["tolerance"],
            },
        )
        for entry in config["panels"]
    ]


def read(config: Mapping[str, Any], results: Results) -> Data:
    """Panel -> quantity -> scheme -> (G,)."""
    return {
        name_of(entry): {
            quantity: dict(zip(BENCHMARKS, results[name_of(entry)][quantity], strict=True)) for quantity in QUANTITIES
        }
        for entry in config["panels"]
    }


def summarise(config: Mapping[str, Any], results: Results) -> Result:
    """A row per panel, scheme, threshold and quantity; no intervals: nothing is random."""
    data, rows = read(config, results), []
    for entry in config["panels"]:
        for scheme in BENCHMARKS:
            for i, threshold in enumerate(config["thresholds_db"]):
                for quantity, unit in QUANTITIES.items():
                    value = float(data[name_of(entry)][quantity][scheme][i])
                    rows.append({
                        "layout": entry["layout"], "position_std_m": entry["position_std_m"], "slots": entry["slots"],
                        "scheme": scheme, "threshold_db": threshold, "quantity": quantity, "unit": unit,
                        "mean": round(value, 5) if np.isfinite(value) else None,
                    })  # fmt: skip
    points = len(config["panels"]) * len(BENCHMARKS) * len(config["thresholds_db"])
    facts = {
        "scenes": {"none (deterministic); points of curves": {"count": points}},
        "printed": {"level_bps_hz": config["level"]},
    }
    return Result(rows=rows, answers=questions(config, data), facts=facts, drawing=data)


def _figure(name: str, title: str, configured: Any) -> Figure:
    return Figure(
        name=f"reciprocity-{name}",
        paper="vehicular",
        title=title,
        configure=configured,
        scale=lambda config, scenes: config,
        units=units,
        summarise=summarise,
        draw=draw,
    )


FIG4 = _figure("fig4", "optimal rate of a frame over the sensing requirement", configure)
SETTINGS = _figure("fig4-settings", "the same for four priors, two layouts, equal slots", configure_settings)
