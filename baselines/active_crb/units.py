"""The data of a batch of scenes that the algorithms of `active_crb` work on, free of antennas and of extreme units.

Use: `channels = Channels.of(system, known)` once per batch of scenes; `scaled = channels.at(v)` once per surface v. Both are
indexed by rows (`channels[rows]`). Beams are held as seen at the surface (`Beams`), which is all that any step needs, because
the SINR, the surface power and the CRB see the covariance R only through B = G R G^H and the user beams only through G w_k:

* transmit step: in F = Psi B Psi^H (N x N), scaled units of `Scaled`; `scaled.beams(F, omega)` gives `Beams` in watts;
* phase and amplitude steps: at fixed `Beams`, in v, with `channels.gain`, `noise`, `surface_noise`, `receive`;
* at the end `channels.design(beams, v)`: W (M x K) and L = V sqrt(V^H R_0 V) (M x N).

Everything is complex128 / float64 with a leading batch axis; powers are in W. Passive surfaces have `surface_power` None,
noise_surface 0 and cap 1; sensing only is `threshold` None (the users stay in `ris_user`, no step looks at them).

Source: arXiv 2508.00379; model page, sections 7 (common data), 7.2 (scaling, Proposition 5) and 9.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baselines.tools.linalg import Array, ComplexArray, abs2, herm

TINY = 1e-300


class _Rows:
    """Indexing by rows: arrays (and records) whose first axis is the batch are indexed, the rest is kept."""

    _shared: frozenset[str] = frozenset()

    def __getitem__(self, rows: Any) -> Any:
        changes = {}
        for item in fields(self):  # type: ignore[arg-type]
            value = getattr(self, item.name)
            if isinstance(value, (np.ndarray, _Rows)) and item.name not in self._shared:
                changes[item.name] = value[rows]
        return replace(self, **changes)  # type: ignore[type-var]


@dataclass(frozen=True, kw_only=True)
class Beams(_Rows):
    """Beams as seen at the surface.

    Attributes:
        cov: (B, N, N) B = G R G^H, W (channel gain included), R = W W^H + R_0.
        users: (B, N, K) columns G w_k, sqrt(W).
    """

    cov: ComplexArray
    users: ComplexArray

    def __len__(self) -> int:
        return len(self.cov)

    @classmethod
    def through(cls, channels: Channels, beams: ComplexArray, sensing_beams: ComplexArray) -> Beams:
        """From W (B, M, K) and L (B, M, columns) in sqrt(W)."""
        users, sensing = channels.bs_ris @ beams, channels.bs_ris @ sensing_beams
        return cls(cov=users @ herm(users) + sensing @ herm(sensing), users=users)

    def put(self, rows: Any, other: Beams) -> Beams:
        """These beams with `rows` replaced by those of `other`."""
        cov, users = self.cov.copy(), self.users.copy()
        cov[rows], users[rows] = other.cov, other.users
        return Beams(cov=cov, users=users)

    def times(self, power: Array) -> Beams:
        """Powers multiplied by (B,) numbers."""
        return Beams(cov=self.cov * power[:, None, None], users=self.users * np.sqrt(power)[:, None, None])


@dataclass(frozen=True, kw_only=True)
class Channels(_Rows):
    """What does not depend on the surface.

    Attributes:
        bs_ris: (B, N, M) G = U diag(singular) V^H, with left U (B, N, N), singular (B, N), basis V (B, M, N).
        inverse: (B, N, N) (G G^H)^-1; its diagonal is the q of the page.
        ris_user: (B, K, N), row k used as h_k^H.
        target_response: (B, N, N) H; `gain` = |H_mn|^2 (B, N, N).
        cap: (B,) largest amplitude a_cap.
        threshold: (K,) linear SINR, None: sensing only.
        power, surface_power (None: passive), noise_bs, noise_user, noise_surface: W. snapshots: T.
        index: (B,) number of each scene in the batch it came from.
    """

    bs_ris: ComplexArray
    left: ComplexArray
    singular: Array
    basis: ComplexArray
    inverse: ComplexArray
    ris_user: ComplexArray
    target_response: ComplexArray
    gain: Array
    cap: Array
    threshold: Array | None
    power: float
    surface_power: float | None
    noise_bs: float
    noise_user: float
    noise_surface: float
    snapshots: int
    index: NDArray[np.int64]

    _shared = frozenset({"threshold"})

    @classmethod
    def of(cls, system: Any, known: Any, first: int = 0) -> Channels:
        """From scenes, or what is known of them, numbered from `first`; `known.reference` is used."""
        reference = {name: np.asarray(value) for name, value in known.reference.items()}
        left, singular = reference["left"].astype(complex), reference["singular"].astype(float)
        h = np.asarray(known.target_response, dtype=complex)
        threshold = system.sinr_threshold
        if threshold is not None:
            threshold = np.broadcast_to(np.asarray(threshold, dtype=float), (system.num_users,))
        return cls(
            bs_ris=np.asarray(known.bs_ris, dtype=complex),
            left=left,
            singular=singular,
            basis=reference["basis"].astype(complex),
            inverse=(left / singular[:, None, :] ** 2) @ herm(left),
            ris_user=np.asarray(known.ris_user, dtype=complex),
            target_response=h,
            gain=abs2(h),
            cap=reference["cap"].astype(float),
            threshold=threshold,
            power=float(system.power_w),
            surface_power=None if system.passive else float(system.surface_power_w),
            noise_bs=float(system.noise_bs_w),
            noise_user=float(system.noise_user_w),
            noise_surface=float(system.noise_surface_w),
            snapshots=int(system.num_snapshots),
            index=np.arange(first, first + len(h)),
        )

    def __len__(self) -> int:
        return len(self.bs_ris)

    @property
    def sizes(self) -> tuple[int, int, int]:
        """N, M, K."""
        return self.bs_ris.shape[1], self.bs_ris.shape[2], self.ris_user.shape[1]

    def noise(self, a: Array) -> Array:
        """n_k = sigma_r^2 sum_n |h_kn|^2 a_n^2 + sigma_u^2 (B, K), W, at amplitudes a (B, N)."""
        return self.noise_surface * (abs2(self.ris_user) @ (a**2)[..., None])[..., 0] + self.noise_user

    def surface_noise(self, a: Array) -> Array:
        """s_0 (B,), W: the part of the surface power that does not depend on the beams; 0 if passive."""
        square = a**2
        second = (square * (self.gain @ square[..., None])[..., 0]).sum(-1)
        return self.noise_surface * (2.0 * square.sum(-1) + second)

    def receive(self, a: Array) -> Array:
        """y / T (B,), W: CRB = tr(F^-1) y / T, y = N sigma_r^2 + sigma_b^2 sum_n q_n / a_n^2."""
        q = np.diagonal(self.inverse, axis1=-2, axis2=-1).real
        y = a.shape[-1] * self.noise_surface + self.noise_bs * (q / a**2).sum(-1)
        return y / self.snapshots

    def surface_cost(self, a: Array) -> ComplexArray:
        """E_2 = I + H^H A^2 H (B, N, N)."""
        h = self.target_response
        return herm(h) @ (a[:, :, None] ** 2 * h) + np.eye(h.shape[-1])

    def sinr_ratio(self, v: ComplexArray, beams: Beams) -> Array:
        """SINR_k / gamma_k (B, K); `threshold` None: gamma = 1."""
        rows = self.ris_user.conj() * v[:, None, :]
        own = abs2(np.einsum("bkn,bnk->bk", rows, beams.users))
        total = np.einsum("bkn,bnm,bkm->bk", rows, beams.cov, rows.conj(), optimize=True).real
        gamma = 1.0 if self.threshold is None else self.threshold
        return own / (gamma * (np.maximum(total - own, 0.0) + self.noise(np.abs(v))))

    def spent(self, v: ComplexArray, beams: Beams) -> tuple[Array, Array]:
        """tr R (of the smallest R behind the beams) over P_0, and surface power over P_s (0 if passive), both (B,)."""
        bs = np.einsum("bmn,bnm->b", self.inverse, beams.cov).real / self.power
        if self.surface_power is None:
            return bs, np.zeros_like(bs)
        a = np.abs(v)
        f = v[:, :, None] * beams.cov * v.conj()[:, None, :]
        surface = np.einsum("bmn,bnm->b", self.surface_cost(a), f).real + self.surface_noise(a)
        return bs, surface / self.surface_power

    def at(self, v: ComplexArray) -> Scaled:
        """The data of the transmit step at surface v (B, N)."""
        a = np.abs(v)
        elements = v.shape[-1]
        e1 = self.inverse / (v.conj()[:, :, None] * v[:, None, :])
        trace = np.trace(e1, axis1=-2, axis2=-1).real
        unit = self.power / trace
        possible = np.ones(len(v), bool)
        e2, left_w = None, None
        if self.surface_power is not None:
            left_w = self.surface_power - self.surface_noise(a)
            possible = left_w > 1e-9 * self.surface_power
            left_w = np.where(possible, left_w, self.surface_power)
            unit = np.minimum(unit, left_w / elements)
            e2 = self.surface_cost(a) * (unit / left_w)[:, None, None]
        length = np.maximum(np.sqrt(abs2(self.ris_user).sum(-1)), TINY)
        return Scaled(
            e1=e1 * (unit / self.power)[:, None, None],
            e2=e2,
            users=np.swapaxes(self.ris_user / length[..., None], -1, -2),
            need=self.noise(a) / (length**2 * unit[:, None]),
            threshold=self.threshold,
            unit_w=unit,
            left_w=left_w,
            possible=possible,
            v=v,
        )

    def lift(self, through: ComplexArray) -> ComplexArray:
        """V diag(1/s) U^H x (B, M, columns): the shortest beams that G turns into `through` (B, N, columns)."""
        return self.basis @ ((herm(self.left) @ through) / self.singular[:, :, None])

    def design(self, beams: Beams) -> tuple[ComplexArray, ComplexArray]:
        """W (B, M, K) and L = V (V^H R_0 V)^(1/2) (B, M, N) of the smallest R behind the beams (negative parts of R_0 to 0)."""
        rest = beams.cov - beams.users @ herm(beams.users)
        inner = herm(self.left) @ rest @ self.left / (self.singular[:, :, None] * self.singular[:, None, :])
        return self.lift(beams.users), self.basis @ square_root(inner)


@dataclass(frozen=True, kw_only=True)
class Scaled(_Rows):
    """The transmit step at one surface: min tr(F^-1) over F in units of `unit_w`, where every number is O(1).

    tr(e1 F) <= 1, tr(e2 F) <= 1, and with F >= sum Omega_k >= 0:
    (1 + 1/gamma_k) u_k^H Omega_k u_k - u_k^H F u_k >= need_k.

    Attributes:
        e1: (B, N, N) E_1 unit_w / P_0. e2: (B, N, N) E_2 unit_w / P_1, None: passive.
        users: (B, N, K) unit columns u_k = h_k / ||h_k||.
        need: (B, K) n_k / (||h_k||^2 unit_w).
        threshold: (K,) or None.
        unit_w: (B,) W. left_w: (B,) P_1 in W, None: passive.
        possible: (B,) whether P_1 > 0.
        v: (B, N) the surface.
    """

    e1: ComplexArray
    e2: ComplexArray | None
    users: ComplexArray
    need: Array
    threshold: Array | None
    unit_w: Array
    left_w: Array | None
    possible: NDArray[np.bool_]
    v: ComplexArray

    _shared = frozenset({"threshold"})

    def __len__(self) -> int:
        return len(self.e1)

    def beams(self, f: ComplexArray, omega: ComplexArray) -> Beams:
        """From F (B, N, N) and the received user beams omega_k (B, N, K), both in scaled units."""
        inverse = 1.0 / self.v
        cov = f * (self.unit_w[:, None, None] * inverse[:, :, None] * inverse.conj()[:, None, :])
        return Beams(cov=0.5 * (cov + herm(cov)), users=omega * (inverse * np.sqrt(self.unit_w)[:, None])[:, :, None])

    def f_of(self, beams: Beams) -> tuple[ComplexArray, ComplexArray]:
        """F and omega in scaled units: the inverse of `beams`."""
        f = self.v[:, :, None] * beams.cov * self.v.conj()[:, None, :] / self.unit_w[:, None, None]
        return f, self.v[:, :, None] * beams.users / np.sqrt(self.unit_w)[:, None, None]


def square_root(x: ComplexArray) -> ComplexArray:
    """Positive semidefinite square root of Hermitian matrices (B, n, n), negative eigenvalues to 0."""
    w, q = np.linalg.eigh(0.5 * (x + herm(x)))
    return (q * np.sqrt(np.maximum(w, 0.0))[:, None, :]) @ herm(q)


def inverse_trace(x: ComplexArray) -> Array:
    """tr(X^-1) (B,) of Hermitian matrices, a large finite number (1e300) where not positive definite."""
    w = np.linalg.eigvalsh(x)
    good = w[:, 0] > 1e-14 * np.maximum(w[:, -1], TINY)
    return np.where(good, (1.0 / np.where(good[:, None], w, 1.0)).sum(-1), 1e300)
