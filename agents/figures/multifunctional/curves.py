"""The curves of the `multifunctional` figures: which surface, which policy, how it is drawn."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import ris_gym

__all__ = ["BOUND", "CURVES", "POLICIES", "SURFACES", "Curve", "line_name", "model_fields", "unit_key"]

BOUND = "bound"
SENSORS = ("num_sensors_h", "num_sensors_v")
AMPLIFIER = ("surface_share", "max_gain_db")


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A surface with a policy, and its look; `starts` None: those of the configuration."""

    label: str
    colour: str
    marker: str
    system: Mapping[str, Any] = field(default_factory=dict)
    policy: str = "ao"
    options: Mapping[str, Any] = field(default_factory=dict)
    starts: int | None = None
    bound: str = ""
    dash: str = "-"

    @property
    def kind(self) -> str:
        """Of the system."""
        return str(self.system.get("kind", "mf"))


_MS: dict[str, Any] = {"protocol": "ms"}
_ACTIVE, _STAR, _PASSIVE = ({"kind": kind} for kind in ("active", "star", "passive"))
_PLAIN: dict[str, Any] = {"polish": False}
_POLISH: dict[str, Any] = {"polish": True}
"""The joint ascent after `ao` takes far longer than `ao`; what it adds is measured at one point (Figure 7)."""
CURVES: dict[str, Curve] = {
    "es": Curve(label="MF, energy splitting", colour="C0", marker="o", bound="bound"),
    "ms": Curve(label="MF, mode switching, interleaved", colour="C1", marker="s", system=_MS, bound="bound"),
    "ms_free": Curve(
        label="MF, mode switching, free modes", colour="C8", marker="d", system=_MS, options={"mode_rule": "free"}, bound="bound"
    ),
    "ts": Curve(label="MF, time switching", colour="C2", marker="^", system={"protocol": "ts"}, bound="bound_ts"),
    "active": Curve(label="active", colour="C3", marker="v", system=_ACTIVE, options=_PLAIN),
    "star": Curve(label="STAR", colour="C4", marker="P", system=_STAR, options=_PLAIN),
    "passive": Curve(label="passive", colour="C5", marker="X", system=_PASSIVE, options=_PLAIN),
    "active_polished": Curve(label="active, polished", colour="C3", marker="v", system=_ACTIVE, options=_POLISH, starts=1),
    "star_polished": Curve(label="STAR, polished", colour="C4", marker="P", system=_STAR, options=_POLISH, starts=1),
    "passive_polished": Curve(label="passive, polished", colour="C5", marker="X", system=_PASSIVE, options=_POLISH, starts=1),
    "ao": Curve(label="ao", colour="C0", marker="o", bound="bound"),
    "exhaustive": Curve(label="exhaustive", colour="C3", marker="s", policy="exhaustive", starts=1, bound="bound"),
    "sdr": Curve(label="sdr", colour="C1", marker="x", policy="sdr", starts=1, bound="bound"),
    "random": Curve(label="random", colour="C4", marker="v", policy="random", bound="bound"),
    "gradient": Curve(label="gradient", colour="C2", marker="^", policy="gradient", starts=1, bound="bound"),
    "bound": Curve(label="bound", colour="0.6", marker="", policy=BOUND, starts=1),
    "bound_ts": Curve(
        label="bound, time switching", colour="0.6", marker="", system={"protocol": "ts"}, policy=BOUND, starts=1, dash=":"
    ),
}
SURFACES = ["es", "ms", "ms_free", "ts", "active", "star", "passive"]
POLICIES = ["ao", "exhaustive", "sdr", "random", "gradient"]


def line_name(curve: str, form: str) -> str:
    """Name of a line: a curve with designs for one objective."""
    return f"{curve}+{form}"


def model_fields(curve: Curve, form: str, *fields: Mapping[str, Any]) -> dict[str, Any]:
    """`to_dict` of the system of a line; parameters that its kind does not have stay at their defaults."""
    own: dict[str, Any] = {}
    for part in fields:
        own |= part
    own |= curve.system
    drop = (SENSORS if curve.kind != "mf" else ()) + (AMPLIFIER if curve.kind in ("star", "passive") else ())
    own = {key: value for key, value in own.items() if key not in drop}
    return dict(ris_gym.systems.make("multifunctional", **own, objective_form=form).to_dict())


def unit_key(curve: Curve, system: Mapping[str, Any], **rest: Any) -> str:
    """The same for lines that do the same work."""
    text = json.dumps({"system": system, "options": dict(curve.options), **rest}, sort_keys=True)
    return f"{curve.policy}_{hashlib.sha256(text.encode()).hexdigest()[:12]}"
