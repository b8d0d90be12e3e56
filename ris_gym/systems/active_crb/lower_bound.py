"""Water filling of the joint lower bound (arXiv 2508.00379; model page, section 8.1)."""

from __future__ import annotations

import numpy as np

MAX_ITERATIONS = 100  # safeguarded Newton: 6 to 12 are used
ROOM = 39.0  # log(1e17): beyond it the ratio of the multipliers changes no digit of f


def water(e: np.ndarray, power: float, surface_power: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Minimise sum_n 1/f_n subject to sum_n e_n f_n <= P_0 and sum_n f_n <= P_s, f > 0.

    The minimiser is f_n = (lambda e_n + nu)^(-1/2), and the minimum is the dual maximum
    x = max over lambda, nu >= 0 of 2 sum_n sqrt(lambda e_n + nu) - lambda P_0 - nu P_s. With both
    budgets divided out (e_n/P_0 and 1/P_s) and nu = r lambda, the best common scale of the two
    multipliers gives x(r) = (sum_n sqrt(e_n/P_0 + r/P_s))^2 / (1 + r), which is a valid lower bound
    for every r >= 0; r is where both budgets bind, found by Newton steps on log r kept inside a
    bracket, for the whole batch at once.

    Args:
        e: eigenvalues of (G G^H)^(-1) / a_max^2, positive, (B, N).
        power: budget P_0 of the base station, W.
        surface_power: budget P_s of the surface, W; None for a passive surface (no such budget).

    Returns:
        x (B,), the bound on tr F^(-1) (1/W), and f (B, N), scaled to the first binding budget (W).

    Raises:
        ValueError: e is not (B, N) or not positive and finite, or a budget is not positive.
    """
    e = np.asarray(e, dtype=np.float64)
    if e.ndim != 2 or not np.all(np.isfinite(e) & (e > 0)):
        raise ValueError(f"e: an array (B, N) of positive numbers expected, got shape {e.shape}")
    for name, value in (("power", power), ("surface_power", surface_power)):
        if value is not None and not value > 0:
            raise ValueError(f"{name}: {value} given, must be positive")
    if surface_power is None:
        root = np.sqrt(e)
        total = root.sum(axis=1)
        return total**2 / power, power / (root * total[:, None])
    ratio = e * (surface_power / power)  # cost of the base station over that of the surface
    balance = balance_of(ratio)  # r = nu / lambda in units of the budgets
    alone = np.isinf(balance)
    lean = 1.0 / (1.0 + balance)
    heavy = np.where(alone, 1.0, np.where(alone, 0.0, balance) * lean)
    level = np.sqrt(lean[:, None] * ratio + heavy[:, None])
    x = level.sum(axis=1) ** 2 / surface_power
    f = 1.0 / level
    spent = np.maximum((ratio * f).sum(axis=1), f.sum(axis=1))
    return x, f * (surface_power / spent)[:, None]


def balance_of(ratio: np.ndarray) -> np.ndarray:
    """r >= 0 (inf allowed) where sum c/sqrt(c+r) = sum 1/sqrt(c+r), c = ratio (B, N): (B,).

    0 where the base station's budget binds alone, inf where the surface's does.
    """
    root = np.sqrt(ratio)
    bs_only = root.sum(axis=1) >= (1.0 / root).sum(axis=1)
    surface_only = ~bs_only & (ratio.sum(axis=1) <= ratio.shape[1])
    result = np.where(surface_only, np.inf, 0.0)
    rows = np.flatnonzero(~bs_only & ~surface_only)
    if not rows.size:
        return result
    c = ratio[rows]
    low, high = np.log(c.min(axis=1)) - ROOM, np.log(c.max(axis=1)) + ROOM
    s = np.log(c).mean(axis=1)
    for _ in range(MAX_ITERATIONS):
        weight = 1.0 / (c + np.exp(s)[:, None])
        half = np.sqrt(weight)
        bs, surface = (c * half).sum(axis=1), half.sum(axis=1)
        gap = np.log(bs / surface)  # increases with s
        weight *= half
        slope = 0.5 * np.exp(s) * (weight.sum(axis=1) / surface - (c * weight).sum(axis=1) / bs)
        low, high = np.where(gap < 0, s, low), np.where(gap < 0, high, s)
        with np.errstate(divide="ignore", invalid="ignore"):
            target = s - gap / slope
        inside = (target >= low) & (target <= high)
        target = np.where(inside, target, 0.5 * (low + high))
        # a short Newton step squares the error: after one of 1e-8 nothing is left of it
        done = (inside & (np.abs(target - s) <= 1e-8)) | (high - low <= 1e-15 * (1.0 + np.abs(s)))
        s = target
        if np.all(done):
            break
    result[rows] = np.exp(s)
    return result
