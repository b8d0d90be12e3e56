"""What the bounds of `nonorthogonal` need of a scene: one row per block, every design reduced to quadratic forms in xi.

For every design of a block, with s_1 = |g_1|^2 and J = D^T Lambda_+ D / E,

    CRLB_x >= n_f / (a_C M s_1),   CRLB_angle >= tr(J^-1) / (2 a E),   Lambda_+ / E = |g_2|^2 A + kappa M Re(r^* r^T),

kappa = (1 + |X_2| / E) / 2 (`paper`), 1 (`known`), 0 (`complex`, and `two_user`, where r = 0). By Cauchy-Schwarz tr(J^-1) >=
(tr P^(1/2))^2 / tr(P J) for every P >= 0, with equality at P ~ J^-2, and tr(P J) = xi^H Q(W) xi, W = D P D^T.

Source: ours; model page, section 8 (system of arXiv 2208.05324).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from baselines.tools.linalg import Array, ComplexArray, abs2, herm
from ris_gym.systems.nonorthogonal.alphabet import largest_gain

SLACK = 1e-9
"""Subtracted from bounds (added to those of the mutual information) for rounding, lg; of scenes in single precision `SINGLE`."""
SINGLE = 2e-5
MIXES = (0.0, 0.1, 0.3, 1.0)
"""Shares of the coupling in the J that P is made from (closed form)."""


@dataclass(frozen=True, kw_only=True)
class BlockForms:
    """N blocks. |g_1| = |comm^H xi|, |g_2| = |sense^H xi|, r = moved^H xi.

    Attributes:
        comm, sense: (N, L) complex; moved: (N, L, 2) complex.
        jacobian: (N, 2, 2), D; spread: (2,), diagonal of A; coupling: (N,), kappa M.
        weight: (N,), zeta; symbol_lg, angle_lg: (N,), lg of n_f / (a_C M) and of 1 / (2 a E).
        levels: size of the alphabet, None: continuous.
    """

    comm: ComplexArray
    sense: ComplexArray
    moved: ComplexArray
    jacobian: Array
    spread: Array
    coupling: Array
    weight: Array
    symbol_lg: Array
    angle_lg: Array
    levels: int | None

    def __len__(self) -> int:
        return len(self.comm)

    def __getitem__(self, rows: NDArray) -> Self:
        shared = ("spread", "levels")
        return type(self)(**{f.name: v if f.name in shared else v[rows] for f in fields(self) for v in [getattr(self, f.name)]})

    def weighted(self, weight: float) -> Self:
        """The same blocks with another zeta."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return type(self)(**values | {"weight": np.full(len(self), weight)})

    @classmethod
    def of(cls, system: Any, scene: Any) -> Self:
        """The blocks of true scenes, (B n) rows."""
        ref = {key: np.asarray(value) for key, value in scene.reference.items()}
        products = np.conj(ref["products"].reshape(-1, *ref["products"].shape[2:]).astype(complex))
        flat = lambda name: ref[name].reshape(-1, *ref[name].shape[2:]).astype(float)  # noqa: E731
        sense, energy = products[..., 1], flat("energy")
        if system.two_user or system.fisher == "complex":
            moved, kappa = np.zeros((*sense.shape, 2), complex), np.zeros(len(sense))
        else:
            moved = system.user_centre * sense[..., None] - products[..., 2:]
            size = np.abs(ref["square"]).reshape(-1)
            kappa = np.ones(len(sense)) if system.fisher == "known" else 0.5 * (1.0 + size / energy)
        level = flat("level") * (system.power_w * system.num_antennas)
        users = system.num_user_antennas
        count = 2.0 if system.fisher == "complex" else 1.0
        return cls(
            comm=products[..., 0],
            sense=sense,
            moved=moved,
            jacobian=flat("jacobian"),
            spread=np.asarray(system.user_spread, float),
            coupling=users * kappa,
            weight=np.full(len(sense), float(system.weight)),
            symbol_lg=np.log10(count / (level * flat("comm_ratio") * users)),
            angle_lg=-np.log10(2.0 * level * energy),
            levels=system.phase_levels,
        )

    @property
    def coupled(self) -> bool:
        """Whether r matters."""
        return bool(np.any(self.coupling > 0))

    def form(self, w: Array, p: Array) -> ComplexArray:
        """C = w comm comm^H + Q(D P D^T), (N, L, L), from w (N,) and P (N, 2, 2)."""
        turned = self.jacobian @ p @ self.jacobian.mT
        level = (turned[:, 0, 0] * self.spread[0] + turned[:, 1, 1] * self.spread[1])[:, None, None]
        out = w[:, None, None] * (self.comm[:, :, None] * self.comm[:, None, :].conj())
        out = out + level * (self.sense[:, :, None] * self.sense[:, None, :].conj())
        if self.coupled:
            out = out + (self.moved @ (self.coupling[:, None, None] * turned)) @ herm(self.moved)
        return out

    def forms(self, x: ComplexArray) -> tuple[Array, Array]:
        """s_1 (N,) and J (N, 2, 2) of a lifted X (N, L, L)."""

        def at(v: ComplexArray) -> Array:
            return np.real(np.sum(v.conj() * (x @ v[..., None])[..., 0], axis=-1))

        inner = at(self.sense)[:, None, None] * np.diag(self.spread)
        if self.coupled:
            inner = inner + self.coupling[:, None, None] * np.real(herm(self.moved) @ x @ self.moved)
        return at(self.comm), self.jacobian.mT @ inner @ self.jacobian

    def value(self, symbol: Array, angle: Array) -> Array:
        """lg units: zeta and 1 - zeta times the logarithms (natural) `symbol` of 1 / s_1 and `angle` of tr J^-1."""
        first = self.weight * (self.symbol_lg + symbol / np.log(10.0))
        return first + (1.0 - self.weight) * (self.angle_lg + angle / np.log(10.0))


def root_trace(p: Array) -> tuple[Array, Array]:
    """tr P^(1/2) (N,), and P (N, 2, 2) with its negative eigenvalues set to zero."""
    values, vectors = np.linalg.eigh(0.5 * (p + p.mT))
    values = np.maximum(values, 0.0)
    return np.sqrt(values).sum(-1), (vectors * values[:, None, :]) @ vectors.mT


def separate(blocks: BlockForms) -> tuple[Array, Array]:
    """Closed form: bounds of both logarithms (natural) on their own, of 1 / s_1 (N,) and tr J^-1 (N,).

    |g_1| at its exact maximum; tr(P J) <= min(tr(W A) max |g_2|^2 + kappa M sum_i w_i max |v_i^T r|^2, L lambda_max(Q)), w and v
    the eigenvalues and vectors of W. Without coupling P ~ (D^T A D)^-2 and |g_2| at its exact maximum.
    """
    gain = lambda v: largest_gain(v.conj(), blocks.levels)[1]  # noqa: E731
    comm, sense = gain(blocks.comm), gain(blocks.sense) ** 2
    d, count = blocks.jacobian, len(blocks)
    best = np.full(count, -np.inf)
    size = blocks.coupling[:, None] * np.sum(abs2(blocks.moved), axis=1) * blocks.comm.shape[1]  # coupling at its largest
    for mix in MIXES if blocks.coupled else MIXES[:1]:
        inner = sense[:, None] * blocks.spread + mix * size
        if np.any(inner <= 0):
            continue
        inverse = np.linalg.inv(d.mT @ (inner[:, :, None] * d))
        total, p = root_trace(inverse @ inverse)
        turned = d @ p @ d.mT
        limit = sense * np.einsum("nii,i->n", turned, blocks.spread)
        if blocks.coupled:
            scales, axes = np.linalg.eigh(turned)
            reach = gain(np.moveaxis(blocks.moved @ axes, -1, 1)) ** 2
            limit = limit + blocks.coupling * np.sum(np.maximum(scales, 0.0) * reach, axis=-1)
            top = np.linalg.eigvalsh(blocks.form(np.zeros(count), p))[:, -1]
            limit = np.minimum(limit, blocks.comm.shape[1] * top)
        best = np.maximum(best, 2.0 * np.log(total) - np.log(limit))
    return -2.0 * np.log(comm), best


def hull_support(z: ComplexArray, levels: int) -> Array:
    """max over the alphabet's points v of Re(z^* v)."""
    return np.max([np.real(z * np.exp(-2j * np.pi * k / levels)) for k in range(levels)], axis=0)


def certificate(blocks: BlockForms, w: Array, p: Array, z: ComplexArray) -> Array:
    """Lower bound of V (N,), lg, from ANY w (N,) >= 0, P (N, 2, 2) and Hermitian Z (N, L, L); what breaks a rule is repaired.

    s_1^zeta tr(P J)^(1 - zeta) <= (zeta / w)^zeta (1 - zeta)^(1 - zeta) tr(C X), C = w F_1 + Q, and for X = xi xi^H

        tr(C X) <= sum_l Z_ll + 2 sum_{i<j} h(Z_ij) - L lambda_min(Z - C),   h the support function of the alphabet's hull

    (Z = diagonal with continuous phases): the dual of max tr(C X) over X >= 0, X_ll = 1 with the PSK cuts, repaired.
    """
    zeta, length = blocks.weight, z.shape[-1]
    w = np.where(zeta > 0, np.maximum(w, 1e-300), 0.0)
    total, p = root_trace(p)
    p = np.where((zeta < 1)[:, None, None], p, 0.0)
    z = 0.5 * (z + herm(z))
    diagonal = np.real(np.einsum("nii->ni", z))
    upper = np.triu_indices(length, 1)
    if blocks.levels is None:
        z = diagonal[:, :, None] * np.eye(length)
        cost = diagonal.sum(-1)
    else:
        cost = diagonal.sum(-1) + 2.0 * hull_support(z[:, upper[0], upper[1]], blocks.levels).sum(-1)
    slack = z - blocks.form(w, p)
    scale = np.linalg.norm(slack, axis=(1, 2)) + np.abs(diagonal).sum(-1)
    least = np.linalg.eigvalsh(slack)[:, 0] - 1e-14 * length * scale
    cost = cost - length * least
    with np.errstate(divide="ignore", invalid="ignore"):
        own = np.where(zeta > 0, zeta * np.log(w / np.where(zeta > 0, zeta, 1.0)), 0.0)
        rest = 1.0 - zeta
        other = np.where(rest > 0, rest * (2.0 * np.log(total) - np.log(np.where(rest > 0, rest, 1.0))), 0.0)
        found = (own + other - np.log(cost)) / np.log(10.0)
    found = found + zeta * blocks.symbol_lg + rest * blocks.angle_lg
    return np.where(np.isfinite(found), found, -np.inf)
