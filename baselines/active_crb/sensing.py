"""Sensing only (P3): min tr(F^-1) s.t. tr(E_1 F) <= P_0, tr(E_2 F) <= P_1, exactly, all scenes of a batch at once.

The optimum is F = (lambda E_1 + nu E_2)^(-1/2). With the budgets divided out (e1, e2 of `Scaled`) and nu = r lambda, the costs
t_i(r) = tr(e_i F) satisfy: r = 0 is optimal iff t_2(0) <= t_1(0) (closed form (30)), r = inf iff t_1 <= t_2 there, else r is
where t_1 = t_2; log(t_1 / t_2) increases with r and its zero is found by Newton steps on log r kept inside a bracket. In the
end F is divided by max(t_1, t_2). Dual value at any r: tr((e1 + r e2)^(1/2))^2 / (1 + r).

Source: arXiv 2508.00379, problem (P3), (30); model page, section 7.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baselines.active_crb.algebra import eigh, inverse_roots, traces
from baselines.active_crb.transmitted import INFEASIBLE, OPTIMAL, Transmitted, safe_scaled
from baselines.active_crb.units import Channels, Scaled
from baselines.tools.linalg import Array, ComplexArray, herm

ROOM = 35.0
"""log of the largest ratio of the multipliers that is looked at, in scaled units."""
ITERATIONS = 60


def solve_sensing(scaled: Scaled) -> Transmitted:
    """(P3) for a batch of surfaces."""
    scaled = safe_scaled(scaled)
    count, users = len(scaled), scaled.users.shape[2]
    if scaled.e2 is None:
        share, price = np.zeros(count), np.ones((count, 1))
        y = scaled.e1
    else:
        share = surface_share(scaled.e1, scaled.e2)
        price = np.stack([1.0 - share, share], axis=1)
        y = price[:, :1, None] * scaled.e1 + price[:, 1:, None] * scaled.e2
    w, q = eigh(y)
    root = np.sqrt(np.maximum(w, 1e-300))
    f = (q / root[:, None, :]) @ herm(q)
    spent = traces(scaled.e1, f)
    if scaled.e2 is not None:
        spent = np.maximum(spent, traces(scaled.e2, f))
    level = root.sum(1)
    good = scaled.possible
    return Transmitted(
        f=np.where(good[:, None, None], f / spent[:, None, None], np.eye(f.shape[-1])),
        omega=np.zeros((*f.shape[:2], users), complex),
        value=np.where(good, level * spent, np.inf),
        dual=np.where(good, level**2, np.inf),
        status=np.where(good, OPTIMAL, INFEASIBLE),
        price=price * (level**2)[:, None],
        mu=np.zeros((count, users)),
        x=np.zeros((count, users, users), complex),
    )


def surface_share(e1: ComplexArray, e2: ComplexArray) -> Array:
    """nu / (lambda + nu) at the optimum (B,): 0 where the base station's budget binds alone, 1 where the surface's does."""
    f = inverse_roots(e1)
    bs_only = traces(e2, f) <= traces(e1, f)
    f = inverse_roots(e2)
    surface_only = ~bs_only & (traces(e1, f) <= traces(e2, f))
    share = np.where(surface_only, 1.0, 0.0)
    rows = np.flatnonzero(~bs_only & ~surface_only)
    if not len(rows):
        return share
    left, right = e1[rows], e2[rows]
    low, high, s = np.full(len(rows), -ROOM), np.full(len(rows), ROOM), np.zeros(len(rows))
    for _ in range(ITERATIONS):
        part = 1.0 / (1.0 + np.exp(-s))
        w, q = eigh((1.0 - part)[:, None, None] * left + part[:, None, None] * right)
        root = np.sqrt(np.maximum(w, 1e-300))
        first, second = herm(q) @ left @ q, herm(q) @ right @ q
        t1 = (np.diagonal(first, axis1=1, axis2=2).real / root).sum(1)
        t2 = (np.diagonal(second, axis1=1, axis2=2).real / root).sum(1)
        kernel = 1.0 / (root[:, :, None] * root[:, None, :] * (root[:, :, None] + root[:, None, :]))
        # d log(t1 / t2) / d s, F = Y^(-1/2), dY/ds = part (1 - part) (e2 - e1)
        change = ((part * (1.0 - part))[:, None, None] * (second - first)) * -kernel
        slope = traces(first, change) / t1 - traces(second, change) / t2
        gap = np.log(t1 / t2)
        low, high = np.where(gap < 0, s, low), np.where(gap < 0, high, s)
        target = s - gap / np.where(slope > 0, slope, np.inf)
        inside = (target >= low) & (target <= high) & (slope > 0)
        target = np.where(inside, target, 0.5 * (low + high))
        done = (inside & (np.abs(target - s) <= 1e-7)) | (high - low <= 1e-14)
        s = target
        if done.all():
            break
    share[rows] = 1.0 / (1.0 + np.exp(-s))
    return share


@dataclass(frozen=True, kw_only=True)
class ClosedForm:
    """The closed form (30) at surfaces: R = P_0 V_1 Lambda^-1 V_1^H / tr(Lambda^-1), Psi G = U Lambda V_1^H.

    Attributes:
        value: (B,) tr(F^-1) = (sum_n 1/lambda_n)^2 / P_0, 1/W.
        holds: (B,) its exact condition, tr(S R) <= P_1.
        trace_condition: (B,) the sufficient tr(S) P_0 <= P_1; norm_condition: (B,) the weaker lambda_max(S) P_0 <= P_1.
    """

    value: Array
    holds: NDArray[np.bool_]
    trace_condition: NDArray[np.bool_]
    norm_condition: NDArray[np.bool_]


def closed_form(channels: Channels, v: ComplexArray) -> ClosedForm:
    """(30) and the three conditions under which it is optimal (Remark 2)."""
    q = v[:, :, None] * (channels.left * channels.singular[:, None, :])  # Psi G V, (B, N, N)
    u, singular, _ = np.linalg.svd(q)
    total = (1.0 / singular).sum(1)
    value = total**2 / channels.power
    if channels.surface_power is None:
        every = np.ones(len(v), bool)
        return ClosedForm(value=value, holds=every, trace_condition=every, norm_condition=every)
    a = np.abs(v)
    left = channels.surface_power - channels.surface_noise(a)
    cost = channels.surface_cost(a)
    spent = channels.power / total * (np.einsum("bmi,bmn,bni->bi", u.conj(), cost, u, optimize=True).real * singular).sum(1)
    s = np.linalg.eigvalsh(herm(q) @ cost @ q)
    return ClosedForm(
        value=value,
        holds=spent <= left,
        trace_condition=s.sum(1) * channels.power <= left,
        norm_condition=s[:, -1] * channels.power <= left,
    )
