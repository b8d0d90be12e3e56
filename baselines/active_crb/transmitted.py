"""What every form of the transmit step answers."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from baselines.active_crb.units import Scaled, _Rows
from baselines.tools.linalg import Array, ComplexArray

OPTIMAL, INFEASIBLE, FAILED = "optimal", "infeasible", "failed"


@dataclass(frozen=True, kw_only=True)
class Transmitted(_Rows):
    """Answer in the units of `Scaled`.

    Attributes:
        f: (B, N, N) F, within both budgets; identity unless optimal.
        omega: (B, N, K) received user beams, F - omega omega^H is PSD; 0 for sensing only.
        value: (B,) tr(F^-1), inf unless optimal.
        dual: (B,) certified lower bound of it, inf where infeasibility is proved.
        status: (B,) optimal / infeasible / failed.
        price: (B, P) lambda, nu (P = 1: passive). mu: (B, K), x: (B, K, K): the dual point, at its best scale.
    """

    f: ComplexArray
    omega: ComplexArray
    value: Array
    dual: Array
    status: np.ndarray
    price: Array
    mu: Array
    x: ComplexArray

    def __len__(self) -> int:
        return len(self.f)


def safe_scaled(scaled: Scaled) -> Scaled:
    """The same with harmless numbers in scenes whose data are not finite, and those marked as not possible."""
    sound = np.isfinite(scaled.e1.sum((1, 2))) & np.isfinite(scaled.need.sum(1)) & np.isfinite(scaled.users.sum((1, 2)))
    if scaled.e2 is not None:
        sound &= np.isfinite(scaled.e2.sum((1, 2)))
    if sound.all():
        return scaled
    changes: dict[str, Any] = {"possible": scaled.possible & sound}
    for item in fields(scaled):
        old = getattr(scaled, item.name)
        if item.name in ("e1", "e2") and old is not None:
            changes[item.name] = np.where(sound[:, None, None], old, np.eye(old.shape[-1]) / old.shape[-1])
        if item.name == "users":
            changes[item.name] = np.where(sound[:, None, None], old, np.eye(*old.shape[1:]))
        if item.name == "need":
            changes[item.name] = np.where(sound[:, None], old, 1.0)
    return replace(scaled, **changes)
