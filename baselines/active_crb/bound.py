"""Certified lower bound of the CRB over all beams, phases and amplitudes, interference and SINR included.

For lambda, nu >= 0 and a Hermitian K x K matrix X > 0 let mu_k = 1 / (c_k [X^-1]_kk), c_k = 1 + 1/gamma_k, and let z be the
eigenvalues of sum_k mu_k h_k h_k^H - [h_1 .. h_K] X [h_1 .. h_K]^H. With e the eigenvalues of (G G^H)^-1 / a_max^2, both
sorted the same way, every design that meets the SINR has

    tr(F^-1) >= 2 sum_i sqrt(lambda e_i + nu + z_i) + sigma_u^2 sum_k mu_k - lambda P_0 - nu P_s     (radicands >= 0)

by weak duality of the transmit step and Ky Fan's majorisation: phases act on E_1 as a unitary similarity, h_k and n_k >=
sigma_u^2 do not see them in F coordinates, and E_2 >= I, P_1 <= P_s. The right-hand side is concave in (lambda, nu, X); it is
raised here from several starts and evaluated as it stands, so whatever the ascent does the value is a bound. With the best
common scale of (lambda, nu, X) it reads (sum_i sqrt(.))^2 / (lambda P_0 + nu P_s - sigma_u^2 sum mu_k); a denominator that is
not positive proves that no design meets the SINR. X -> 0 gives bound 8.1.

Source: ours; model page, section 8.2 (it holds for every scheme of arXiv 2508.00379).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baselines.active_crb.algebra import eigh
from baselines.active_crb.transmit_newton import Problem, maximise
from baselines.active_crb.units import TINY, Channels, _Rows
from baselines.tools.lbfgs import minimise
from baselines.tools.linalg import Array, ComplexArray, abs2, herm

ROUNDS = 3
"""Duals solved at the alignment of the last one, before the ascent."""
MARGIN = 1e-9
"""Relative amount by which a certificate must hold in floating point."""
SHARES = (0.5, 0.99)
"""Starts of the share of P_0 in the budgets (the second: BS power almost free)."""


@dataclass(frozen=True, kw_only=True)
class Relaxed(_Rows):
    """Phase-free problem in units of `unit_w`: e (B, N) ascending, both budgets 1, users (B, N, K) unit columns.

    budgets (B, 2): cost of the base station per e, of the surface per unit (0: passive). need (B, K): noise.
    """

    e: Array
    flat: Array
    users: ComplexArray
    need: Array
    c: Array
    unit_w: Array

    _shared = frozenset({"c"})

    def __len__(self) -> int:
        return len(self.e)

    @classmethod
    def of(cls, system: Any, scene: Any) -> Relaxed:
        """From true scenes; `system.sinr_threshold` must not be None."""
        singular = np.linalg.svd(np.asarray(scene.bs_ris, dtype=complex), compute_uv=False)
        surface = None if system.passive else system.surface_power_w
        h, limit = np.asarray(scene.ris_user, dtype=complex), np.full(len(singular), system.max_amplitude)
        return cls.build(singular, limit, h, system.sinr_threshold, system.power_w, surface, system.noise_user_w)

    @classmethod
    def at(cls, channels: Channels) -> Relaxed:
        """From what a policy knows, with amplitudes up to the effective cap."""
        c = channels
        assert c.threshold is not None
        return cls.build(c.singular, c.cap, c.ris_user, c.threshold, c.power, c.surface_power, c.noise_user)

    @classmethod
    def build(
        cls, singular: Array, limit: Array, h: ComplexArray, gamma: Array, power: float, surface: float | None, noise: float
    ) -> Relaxed:
        """From singular values of G (B, N), largest amplitudes (B,), rows h_k (B, K, N), SINR, budgets and user noise in W."""
        e = np.sort(1.0 / (limit[:, None] * singular) ** 2, axis=1) / power
        unit, flat = 1.0 / e.sum(1), np.zeros(len(e))
        if surface is not None:
            unit = np.minimum(unit, surface / e.shape[1])
            flat = unit / surface
        length = np.maximum(np.sqrt(abs2(h).sum(-1)), TINY)
        return cls(
            e=e * unit[:, None],
            flat=flat,
            users=np.swapaxes(h / length[..., None], 1, 2),
            need=noise / (length**2 * unit[:, None]),
            c=1.0 + 1.0 / np.broadcast_to(np.asarray(gamma, dtype=float), h.shape[1:2]),
            unit_w=unit,
        )


def pieces(relaxed: Relaxed, factor: ComplexArray) -> tuple[ComplexArray, Array, Array, Array, ComplexArray]:
    """X^-1, phi_k = 1/[X^-1]_kk, eigenvalues z (ascending) and vectors of U (diag(mu) - X) U^H, from X = B B^H + tiny."""
    x = factor @ herm(factor)
    k = np.arange(x.shape[-1])
    x[:, k, k] += 1e-14 * np.maximum(np.trace(x, axis1=1, axis2=2).real, TINY)[:, None]
    inverse = np.linalg.inv(x)
    phi = 1.0 / np.maximum(inverse[:, k, k].real, TINY)
    inner = -x
    inner[:, k, k] += phi / relaxed.c
    z, vectors = eigh(relaxed.users @ inner @ herm(relaxed.users))
    return inverse, phi, phi / relaxed.c, z, vectors


class Objective:
    """-log of the bound at the best scale, lambda + nu = 1, and its gradient in x = (logit of lambda, entries of B)."""

    def __init__(self, relaxed: Relaxed) -> None:
        self.relaxed = relaxed
        self.passive = not bool(relaxed.flat.any())
        self.users = relaxed.users.shape[2]
        self.proved = np.zeros(len(relaxed), bool)

    def split(self, x: Array) -> tuple[Array, ComplexArray]:
        """lambda (b,) and B (b, K, K)."""
        share = np.ones(len(x)) if self.passive else 1.0 / (1.0 + np.exp(-np.clip(x[:, 0], -40.0, 40.0)))
        factor = np.ascontiguousarray(x[:, 1:]).view(complex).reshape(len(x), self.users, self.users)
        return share, factor

    @staticmethod
    def join(share: Array, factor: ComplexArray) -> Array:
        """The inverse of `split`."""
        share = np.clip(share, 1e-12, 1.0 - 1e-12)
        logit = np.log(share / (1.0 - share))
        return np.concatenate([logit[:, None], np.ascontiguousarray(factor.reshape(len(share), -1)).view(float)], axis=1)

    def __call__(self, x: Array, rows: NDArray[np.int64]) -> tuple[Array, Array]:
        relaxed = self.relaxed[rows]
        share, factor = self.split(x)
        inverse, phi, mu, z, vectors = pieces(relaxed, factor)
        radicand = share[:, None] * relaxed.e + ((1.0 - share) * relaxed.flat)[:, None] + z
        level = np.abs(relaxed.e).max(1)
        slope = 1.0 - (relaxed.need * mu).sum(1)
        inside = radicand.min(1) > 1e-9 * level
        proved = inside & (slope < -MARGIN)
        self.proved[rows[proved]] = True
        good = inside & (slope > MARGIN)
        root = np.sqrt(np.where(good[:, None], radicand, 1.0))
        slope = np.where(good, slope, 1.0)
        total = root.sum(1)
        value = np.where(good, np.log(slope) - 2.0 * np.log(total), np.inf)
        value = np.where(self.proved[rows] & ~good, np.inf, value)
        # gradient: tr(F dY) - .., F with eigenvalues 1/root on the eigenvectors of Z
        weight = 1.0 / (root * total[:, None])
        gradient = np.zeros_like(x)
        if not self.passive:
            gradient[:, 0] = -(weight * (relaxed.e - relaxed.flat[:, None])).sum(1) * share * (1.0 - share)
        seen = herm(vectors) @ relaxed.users
        received = herm(seen) @ (weight[:, :, None] * seen)
        k = np.arange(self.users)
        strength = (received[:, k, k].real + relaxed.need / slope[:, None]) / relaxed.c
        q = inverse * phi[:, None, :]
        by_x = received - (q * strength[:, None, :]) @ herm(q)
        by_factor = 2.0 * by_x @ factor
        gradient[:, 1:] = np.ascontiguousarray(by_factor.reshape(len(x), -1)).view(float)
        gradient[~good] = 0.0
        return value, gradient


def raise_bound(relaxed: Relaxed) -> tuple[Array, NDArray[np.bool_]]:
    """tr(F^-1) in scaled units (B,), 0 where nothing was found; whether infeasibility is proved (B,)."""
    objective = Objective(relaxed)
    count = len(relaxed)
    best = np.zeros(count)
    for bias in SHARES:
        x = start(relaxed, objective, bias)
        _, value = minimise(objective, x, iterations=100, gradient_tolerance=1e-6)
        best = np.maximum(best, np.where(np.isfinite(value), np.exp(-np.where(np.isfinite(value), value, 0.0)), 0.0))
    return best, objective.proved


def start(relaxed: Relaxed, objective: Objective, bias: float) -> Array:
    """A dual point: the transmit step's dual, e1 aligned with the last Z, `ROUNDS` times; shrunk until it is interior."""
    count, elements, users = relaxed.users.shape
    q = np.linalg.qr(np.concatenate([relaxed.users, np.tile(np.eye(elements, dtype=complex), (count, 1, 1))], axis=2))[0]
    best, level = np.zeros((count, 1 + 2 * users**2)), np.full(count, np.inf)
    e = relaxed.e * (1.0 - bias) * 2.0
    for _ in range(ROUNDS):
        budgets = [(q * e[:, None, :]) @ herm(q)]
        if not objective.passive:
            budgets.append(relaxed.flat[:, None, None] * np.eye(elements, dtype=complex))
        problem = Problem(budgets=np.stack(budgets, axis=1), users=relaxed.users, need=relaxed.need, c=relaxed.c)
        state, _, _ = maximise(problem, tolerance=1e-4, steps=40)
        total = state.price.sum(1)
        share = np.clip(state.price[:, 0] * 2.0 * (1.0 - bias) / total, 1e-6, 1.0 - 1e-6)
        factor = state.factor / np.sqrt(total)[:, None, None]
        for _ in range(12):
            x = objective.join(share, factor)
            value, _ = objective(x, np.arange(count))
            better = value < level
            best[better], level[better] = x[better], value[better]
            factor = np.where(np.isfinite(value)[:, None, None], factor, 0.8 * factor)
        _, _, _, _, q = pieces(relaxed, factor)
    return best


def joint_bound(system: Any, scene: Any, solver: str = "fast", chunk: int = 256) -> tuple[Array, np.ndarray]:
    """Lower bound of the objective in dB (B,) and status (B,): certified / infeasible / unknown.

    Sensing only: bound 8.1 (`scene.reference`). Where infeasibility is proved the value is the objective's cap, LB + 100 dB.

    Raises:
        ValueError: `solver` is unknown.
    """
    if solver != "fast":
        raise ValueError(f"solver must be 'fast' for the bound of active_crb, got {solver!r}")
    value = np.array(scene.reference["lower_bound_db"], dtype=float)
    status = np.full(len(value), "certified", dtype="<U10")
    if system.sinr_threshold is None or not len(value):
        return value, status
    for first in range(0, len(value), chunk):
        rows = slice(first, first + chunk)
        relaxed = Relaxed.of(system, scene[rows])
        found, proved = raise_bound(relaxed)
        singular = np.linalg.svd(np.asarray(scene[rows].bs_ris, dtype=complex), compute_uv=False)
        y = singular.shape[1] * system.noise_surface_w
        y = y + system.noise_bs_w * (1.0 / (system.max_amplitude * singular) ** 2).sum(1)
        crb = (1.0 - MARGIN) * found / relaxed.unit_w * y / system.num_snapshots
        decibel = 10.0 * np.log10(np.maximum(crb, 1e-300))
        value[rows] = np.where(proved, value[rows] + 100.0, np.maximum(value[rows], decibel))
        status[rows] = np.where(proved, "infeasible", "certified")
    return value, status
