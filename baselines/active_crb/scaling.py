"""Joint scaling R -> nu R, a^2 -> beta a^2 (Propositions 6-8), one-dimensional, all scenes at once.

With c_1 = sum_n a_n^2 B_nn, c_2 = sum_m a_m^2 [H Psi B Psi^H H^H]_mm, c_3 = 2 sigma_r^2 sum_n a_n^2 and
c_4 = sigma_r^2 sum_mn a_m^2 |H_mn|^2 a_n^2 at the given design, both budgets are met by

    nu(beta) = min(P_0 / tr R, (P_s - beta c_3 - beta^2 c_4) / (beta c_1 + beta^2 c_2)),

and the CRB is proportional to (N sigma_r^2 + q / beta) / (nu beta), q = sigma_b^2 sum_n q_n / a_n^2.

Source: arXiv 2508.00379, Propositions 6-8; model page, section 7.2.
"""

from __future__ import annotations

import numpy as np

from baselines.active_crb.units import TINY, Beams, Channels
from baselines.tools.linalg import Array, ComplexArray

POINTS = 400
RANGE = 1e-4
GOLDEN = 0.5 * (np.sqrt(5.0) - 1.0)


class _Line:
    """log of nu beta / (N sigma_r^2 + q / beta) along beta (B, points)."""

    def __init__(self, channels: Channels, v: ComplexArray, beams: Beams) -> None:
        a = np.abs(v)
        square = a**2
        self.elements, self.noise = a.shape[-1], channels.noise_surface
        h = channels.target_response * v[:, None, :]
        self.c1 = (square * np.diagonal(beams.cov, axis1=1, axis2=2).real).sum(-1)
        second = np.einsum("bmi,bij,bmj->bm", h, beams.cov, h.conj(), optimize=True).real
        self.c2 = (square * second).sum(-1)
        self.c3 = 2.0 * self.noise * square.sum(-1)
        self.c4 = channels.surface_noise(a) - self.c3
        self.q = channels.noise_bs * (np.diagonal(channels.inverse, axis1=1, axis2=2).real / square).sum(-1)
        self.bs = 1.0 / np.maximum(channels.spent(v, beams)[0], TINY)
        self.budget = channels.surface_power
        self.most = channels.cap**2 / square.max(-1)

    def nu(self, beta: Array) -> Array:
        """Largest scale of R at beta (B, points); 0 where the noise alone exceeds the surface budget."""
        bs = np.broadcast_to(self.bs[:, None], beta.shape)
        if self.budget is None:
            return np.asarray(bs)
        c1, c2, c3, c4 = (c[:, None] for c in (self.c1, self.c2, self.c3, self.c4))
        room = self.budget - beta * c3 - beta**2 * c4
        return np.asarray(np.clip(room / np.maximum(beta * c1 + beta**2 * c2, TINY), 0.0, bs))

    def __call__(self, beta: Array) -> Array:
        nu = np.maximum(self.nu(beta), TINY)
        return np.log(nu) + np.log(beta) - np.log(self.elements * self.noise + self.q[:, None] / beta)


def joint_scaling(channels: Channels, v: ComplexArray, beams: Beams) -> tuple[Array, Array]:
    """The best factors beta of a^2 and nu of R (B,), beta at most cap^2 / max a^2.

    In ISAC the SINR must be checked afterwards (it changes with both factors). 400 points of beta / beta_max, log-spaced in
    [1e-4, 1], then golden section between the neighbours of the best one.

    Args:
        channels: scenes.
        v: (B, N) surfaces. beams: at the surface, W.
    """
    line = _Line(channels, v, beams)
    grid = np.log(line.most)[:, None] + np.linspace(np.log(RANGE), 0.0, POINTS)
    best = line(np.exp(grid)).argmax(1)
    rows = np.arange(len(v))
    low, high = grid[rows, np.maximum(best - 1, 0)], grid[rows, np.minimum(best + 1, POINTS - 1)]
    for _ in range(60):
        left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        value = line(np.exp(np.stack([left, right], axis=1)))
        up = value[:, 0] < value[:, 1]
        low, high = np.where(up, left, low), np.where(up, high, right)
    ends = np.exp(np.stack([grid[rows, best], 0.5 * (low + high)], axis=1))
    pick = line(ends).argmax(1)
    beta = ends[rows, pick]
    return beta, line.nu(beta[:, None])[:, 0]


def scaled_design(v: ComplexArray, beams: Beams, beta: Array, nu: Array) -> tuple[ComplexArray, Beams]:
    """The surface and the beams after a joint scaling."""
    return v * np.sqrt(beta)[:, None], beams.times(nu)


def stationary_point(channels: Channels, v: ComplexArray, beams: Beams) -> Array:
    """beta* of Proposition 8 (B,): stationary in the surface-limited branch without c_2, c_4, cut at beta_max; inf: none."""
    line = _Line(channels, v, beams)
    if channels.surface_power is None or channels.noise_surface == 0:
        return np.full(len(v), np.inf)
    flat = line.c3 * line.elements * line.noise
    root = np.sqrt((line.c3 * line.q) ** 2 + flat * channels.surface_power * line.q)
    # (root - c_3 q) / flat without cancellation
    return np.asarray(np.minimum(line.most, channels.surface_power * line.q / (root + line.c3 * line.q)))
