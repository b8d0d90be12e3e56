"""The curves of the `nonorthogonal` figures: policies, presets, looks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import ris_gym

__all__ = ["BOUND", "CURVES", "PRESETS", "Curve", "line", "model_fields", "unit_key"]

BOUND = "bound"
PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "theorem1": {},
    "physical": {"user_azimuth_deg": 30.0, "comm_azimuth_deg": -30.0},
}


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A policy and its look; `own`: judged by a protocol of its own, so without V."""

    label: str
    colour: str
    marker: str
    policy: str
    options: Mapping[str, Any] = field(default_factory=dict)
    own: bool = False
    dash: str = "-"


CURVES: dict[str, Curve] = {
    BOUND: Curve(label="certified bound", colour="0.65", marker="", policy=BOUND),
    "cross_entropy": Curve(label="NO: cross_entropy", colour="C0", marker="o", policy="cross_entropy"),
    "coordinate_descent": Curve(
        label="best known: coordinate_descent", colour="C1", marker="s", policy="coordinate_descent", dash="--"
    ),
    "localisation_only": Curve(
        label="localisation_only", colour="k", marker="^", policy="localisation_only", own=True, dash="-."
    ),
    "td_isac": Curve(label="td_isac", colour="C3", marker="v", policy="td_isac", own=True),
    "td_isac_split": Curve(
        label="td_isac, split", colour="C4", marker="P", policy="td_isac", options={"split": True}, own=True, dash="-."
    ),
    "max_gain": Curve(label="max_gain", colour="C5", marker="X", policy="max_gain", dash=":"),
    "random": Curve(label="random", colour="C7", marker="d", policy="random", dash="-."),
}


def line(curve: str, label: str = "", variant: int | None = None, **system: Any) -> dict[str, Any]:
    """An entry of a configuration's `lines`.

    Args:
        curve: of `CURVES`; label: what sets the line apart, its name is `<curve>` or `<curve>, <label>`; variant: its colour is
            that of the variant, not of the curve; system: parameters.
    """
    name = f"{curve}, {label}" if label else curve
    return {"name": name, "curve": curve, "label": label, "variant": variant, "system": system}


def model_fields(preset: str, *fields: Mapping[str, Any]) -> dict[str, Any]:
    """`to_dict` of the system of a preset, with the azimuths of the figures."""
    own: dict[str, Any] = dict(PRESETS[preset])
    for part in fields:
        own |= part
    return dict(ris_gym.systems.make("nonorthogonal", preset=preset, **own).to_dict())


def unit_key(name: str, **what: Any) -> str:
    """The same for equal work."""
    text = json.dumps(what, sort_keys=True)
    return f"{name}_{hashlib.sha256(text.encode()).hexdigest()[:12]}"
