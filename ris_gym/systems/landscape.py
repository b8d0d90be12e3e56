"""The penalised score as a function of free real coordinates, in torch: what an optimiser or an unfolded network walks on.

    maximise  min_i s_i(x) - penalty * sum_j max(0, -c_j(x))

over x, the raw vector of `system.variables(control)` with the coordinates of single elements of the surface first. This module
is imported on first use only: it needs torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ris_gym import variables as var


@dataclass(frozen=True)
class Linear:
    """The pieces at a point and their first derivatives.

    Attributes:
        score: (B, p) pieces s_i; slack: (B, q) pieces c_j.
        jacobian: (B, n, p + q) derivatives with respect to x.
        alignment: (B, surface, p + q) or None: how well the path over each element agrees with the total (its real part, in
            units of the piece); for a phase it is minus the curvature of the piece's numerator.
    """

    score: Tensor
    slack: Tensor
    jacobian: Tensor
    alignment: Tensor | None = None


class Landscape:
    """The general form: derivatives of `evaluate(decode(x))` by automatic differentiation, one backward pass per piece.

    A system may supply a closed form with the same methods (`system.landscape`), tested equal.

    Args:
        system: the system model; known: what is known of the scenes; control: which variables x holds; dtype: real dtype.

    Attributes:
        surface: number of leading coordinates that belong to single elements of the surface.
    """

    def __init__(self, system: Any, known: Any, control: str = "full", dtype: torch.dtype = torch.float32) -> None:
        self.system, self.control, self.dtype = system, control, dtype
        self.numpy_known = known
        self.variables = system.variables(control)
        own = np.concatenate([np.full(v.size, v.owner == "surface" and bool(v.shape)) for v in self.variables])
        self.order = np.argsort(~own, kind="stable")
        self.surface = int(own.sum())
        self.periodic = torch.as_tensor(var.periodic(self.variables)[self.order])
        self.scene = known.astype("complex128" if dtype == torch.float64 else "complex64").to_torch()

    def on(self, scene: Any) -> Landscape:
        """The landscape of another scene (the truth, where x was found at what is known) over the same coordinates."""
        other: Landscape = self.system.landscape(scene, self.control)
        return other

    def __len__(self) -> int:
        return len(self.numpy_known)

    def start(self) -> Tensor:
        """The start rule's x, (B, n)."""
        raw = np.asarray(self.system.start(self.numpy_known, self.control))
        return torch.as_tensor(raw[:, self.order]).to(self.dtype)

    def pieces(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Pieces s (B, p) and c (B, q), differentiable."""
        raw = x[:, torch.as_tensor(np.argsort(self.order))]
        score, slack = self.system.pieces(self.system.decode_evaluate(self.scene, raw, self.control)[1])
        return score, slack

    def linearise(self, x: Tensor) -> Linear:
        """Pieces and Jacobian; differentiable once more where gradients are enabled."""
        again = torch.is_grad_enabled() and x.requires_grad
        with torch.enable_grad():
            at = x if again else x.detach().requires_grad_()
            score, slack = self.pieces(at)
            both = torch.cat([score, slack], dim=1)
            rows = [
                torch.autograd.grad(both[:, i].sum(), at, create_graph=again, retain_graph=True)[0]
                for i in range(both.shape[1])
            ]
        jacobian = torch.nan_to_num(torch.stack(rows, dim=2))
        if not again:
            score, slack = score.detach(), slack.detach()
        return Linear(score, slack, jacobian)

    def move(self, x: Tensor, step: Tensor) -> Tensor:
        """x + step, kept in the box: periodic coordinates wrapped, the others clipped."""
        moved = x + step
        wrapped = moved - 2.0 * torch.floor((moved.detach() + 1.0) / 2.0)
        return torch.where(self.periodic, wrapped, moved.clamp(-1.0, 1.0))

    def raw(self, x: Tensor) -> np.ndarray:
        """The raw vector of x for `system.decode`, numpy, double precision, in the box."""
        at = x.detach().double().numpy()
        at = np.where(self.periodic.numpy(), var.wrap(at), np.clip(at, -1.0, 1.0))
        return at[:, np.argsort(self.order)]
