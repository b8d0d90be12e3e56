"""The convex subproblems as records of numpy arrays, batch first, that every form of the solvers takes.

Each step maximises a concave minorant of the objective at fixed filters, tight at the current point x_0 (W or theta):

    f(x) = sum_i [phi(l_i(x)) - w_i I_i(x)],   l_i(x) = Re <a_i, x> + b_i,   phi = ln (`log`, `db`) or the identity (`sum`),

with interference plus noise I_i (convex quadratic) and echo S_i = ||s_i(x)||^2, gamma_i = S_i / I_i:

* `log`: ln(1 + gamma_i) >= ln(l_S + l_I) - I_i / I_i^0 + const, l_S, l_I first-order expansions of S_i, I_i (log-MM form);
* `db`: ln gamma_i >= ln l_S - I_i / I_i^0 + const;
* `sum`: gamma_i >= 2 Re(y_i^H s_i) - ||y_i||^2 I_i, y_i = s_i^0 / I_i^0, all over gamma_r + gamma_t at x_0.

Units: `baselines.multifunctional.units`. Shapes: B batch, I sides, N antennas, S streams (users first), M elements, K users.
Source: arXiv 2412.01251, Algorithms 1 to 3 (their formulas reconstructed); model page, sections 7.1 and 7.3 to 7.6.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baselines.multifunctional.records import Rows
from baselines.multifunctional.units import Channels
from baselines.tools.linalg import Array, ComplexArray, abs2, herm


@dataclass(frozen=True, kw_only=True)
class Surrogate(Rows):
    """The affine part of f: l_i(x) = Re sum conj(slope_i) x_i + offset_i and the weights w_i.

    Attributes:
        slope: (B, I, N, S) of the transmit step (x = W for every side), (B, I, M) of the coefficient step (x_i = theta_i).
        offset, weight: (B, I).
        logarithmic: phi is ln; else the identity.
    """

    slope: ComplexArray
    offset: Array
    weight: Array
    logarithmic: bool

    def value(self, affine: Array, interference: Array) -> Array:
        """f (B,) from l (B, I) and I (B, I); -inf where a logarithm is undefined."""
        if self.logarithmic:
            with np.errstate(divide="ignore", invalid="ignore"):
                affine = np.where(affine > 0, np.log(affine), -np.inf)
        return np.asarray((affine - self.weight * interference).sum(-1))


def _surrogate(form: str, slope: ComplexArray, echo: Array, interference: Array, extra: ComplexArray, level: Array) -> Surrogate:
    """From slope = gradient of S, S^0, I^0, extra = gradient of I at x_0 and level = its value <extra, x_0> / 2."""
    if form == "log":
        return Surrogate(
            slope=slope + extra, offset=-echo + interference - 2.0 * level, weight=1.0 / interference, logarithmic=True
        )
    if form == "db":
        return Surrogate(slope=slope, offset=-echo, weight=1.0 / interference, logarithmic=True)
    total = np.maximum((echo / interference).sum(-1, keepdims=True), 1e-300)
    lift = (slope.shape[0], slope.shape[1]) + (1,) * (slope.ndim - 2)
    scale = 1.0 / (total * interference)
    return Surrogate(
        slope=slope * scale.reshape(lift),
        offset=np.zeros_like(echo),
        weight=echo / interference * scale,
        logarithmic=False,
    )


@dataclass(frozen=True, kw_only=True)
class TransmitSet(Rows):
    """Constraints on W (B, N, S): ||W||_F <= 1, ||T W||_F <= 1, Re(h_k w_k) >= sqrt(Gamma_k) ||[h_k w_j]_{j != k}, 1||.

    Attributes:
        rows: (B, K, N) h_k over the user's noise amplitude (surface noise included); threshold: (B, K) Gamma_k.
        surface: (B, M, N) T, so that ||T W||_F^2 <= 1 is the surface's power budget; None without one.
    """

    rows: ComplexArray
    threshold: Array
    surface: ComplexArray | None

    def cones(self, w: ComplexArray) -> Array:
        """Re(h_k w_k) - sqrt(Gamma_k) ||..|| (B, K)."""
        received = self.rows @ w
        users = np.arange(received.shape[1])
        own = received[:, users, users]
        rest = np.maximum(abs2(received).sum(-1) - abs2(own), 0.0)
        return own.real - np.sqrt(self.threshold * (rest + 1.0))

    def powers(self, w: ComplexArray) -> Array:
        """||W||_F^2 and, with a budget, ||T W||_F^2 (B, 1 or 2)."""
        parts = [abs2(w).sum((1, 2))]
        if self.surface is not None:
            parts.append(abs2(self.surface @ w).sum((1, 2)))
        return np.stack(parts, axis=-1)

    def rotated(self, w: ComplexArray) -> ComplexArray:
        """W with the free phases of the data columns such that h_k w_k >= 0."""
        users = np.arange(self.rows.shape[1])
        own = np.einsum("bkn,bnk->bk", self.rows, w[:, :, users])
        size = np.abs(own)
        turn = np.where(size > 0, own.conj() / np.where(size > 0, size, 1.0), 1.0)
        out = w.copy()
        out[:, :, users] *= turn[:, None, :]
        return out

    def violation(self, w: ComplexArray) -> Array:
        """Largest violation (B,): cones in noise amplitudes, powers relative."""
        worst = np.maximum(self.powers(w).max(-1) - 1.0, 0.0)
        return np.maximum(worst, -self.cones(w).min(-1)) if self.rows.shape[1] else worst


@dataclass(frozen=True, kw_only=True)
class TransmitProblem(Rows):
    """Transmit step (7.3): maximise f(W) over `feasible`. S_i = ||W^H p_i||^2, I_i = ||W^H q_i||^2 + 1.

    Attributes:
        signal: (B, I, N) p_i; leak: (B, I, N) q_i; form: of the objective.
        point: (B, N, S) W_0, rotated.
    """

    signal: ComplexArray
    leak: ComplexArray
    form: str
    feasible: TransmitSet
    point: ComplexArray

    def interference(self, w: ComplexArray) -> Array:
        """I_i (B, I)."""
        return abs2(self.leak.conj() @ w).sum(-1) + 1.0

    def echo(self, w: ComplexArray) -> Array:
        """S_i (B, I)."""
        return abs2(self.signal.conj() @ w).sum(-1)

    @property
    def surrogate(self) -> Surrogate:
        """The minorant at `point`."""
        forward, leak = self.signal.conj() @ self.point, self.leak.conj() @ self.point  # (B, I, S)
        slope = 2.0 * self.signal[..., None] * forward[:, :, None, :]
        extra = 2.0 * self.leak[..., None] * leak[:, :, None, :]
        echo, level = abs2(forward).sum(-1), abs2(leak).sum(-1)
        return _surrogate(self.form, slope, echo, level + 1.0, extra, level)

    def affine(self, surrogate: Surrogate, w: ComplexArray) -> Array:
        """l_i(W) (B, I)."""
        inner = np.einsum("bins,bns->bi", surrogate.slope.conj(), w, optimize=True)
        return inner.real + surrogate.offset

    def value(self, w: ComplexArray) -> Array:
        """f(W) (B,)."""
        surrogate = self.surrogate
        return surrogate.value(self.affine(surrogate, w), self.interference(w))


@dataclass(frozen=True, kw_only=True)
class CoefficientSet(Rows):
    """Constraints on theta (B, I, M), user k on side i(k) = `user_side`[k]:

    sum_i |theta_im|^2 <= 1 for every element, sum_im |theta_im|^2 incident_m <= 1, theta_im = 0 off the mask and
    Re [E_k theta_i(k)]_k >= sqrt(Gamma_k) ||([E_k theta_i(k)]_{j != k}, n_k * theta_i(k), 1)||.

    Attributes:
        rows: (B, K, S, M) E_k, in units of sigma_k, row k turned so that the first point has a real signal.
        noise: (B, K, M) n_k = sigma_s |g_k|; threshold: (B, K) Gamma_k; user_side: (K,).
        incident: (B, M) incident power and surface noise over the budget; None without one.
        mask: (B, I, M).
    """

    rows: ComplexArray
    noise: Array
    threshold: Array
    user_side: NDArray[np.int64]
    incident: Array | None
    mask: NDArray[np.bool_]

    _shared = frozenset({"user_side"})

    def cones(self, theta: ComplexArray) -> Array:
        """Re [E_k theta]_k - sqrt(Gamma_k) ||..|| (B, K)."""
        own_theta = theta[:, self.user_side]
        received = (self.rows @ own_theta[..., None])[..., 0]
        users = np.arange(received.shape[1])
        own = received[:, users, users]
        rest = np.maximum(abs2(received).sum(-1) - abs2(own), 0.0) + (self.noise**2 * abs2(own_theta)).sum(-1)
        return own.real - np.sqrt(self.threshold * (rest + 1.0))

    def power(self, theta: ComplexArray) -> Array:
        """Radiated power over its budget (B,); zero without one."""
        if self.incident is None:
            return np.zeros(len(theta))
        return (abs2(theta).sum(1) * self.incident).sum(-1)

    def violation(self, theta: ComplexArray) -> Array:
        """Largest violation (B,): cones in noise amplitudes, caps and power relative, masked entries in amplitude."""
        worst = np.maximum(abs2(theta).sum(1).max(-1) - 1.0, self.power(theta) - 1.0)
        worst = np.maximum(worst, np.where(self.mask, 0.0, np.abs(theta)).max((1, 2)))
        return np.maximum(worst, -self.cones(theta).min(-1)) if self.rows.shape[1] else np.maximum(worst, 0.0)


@dataclass(frozen=True, kw_only=True)
class CoefficientProblem(Rows):
    """Coefficient step of `mf` (7.4): maximise f over `feasible`. S_i = ||F_i theta_i||^2, I_i = ||d_i * theta_i||^2 + c_i.

    Attributes:
        signal: (B, I, S, M) F_i; leak: (B, I, M) d_i = sigma_s |z_i|; constant: (B, I) c_i; form: of the objective.
        point: (B, I, M) theta_0.
    """

    signal: ComplexArray
    leak: Array
    constant: Array
    form: str
    feasible: CoefficientSet
    point: ComplexArray

    def interference(self, theta: ComplexArray) -> Array:
        """I_i (B, I)."""
        return (self.leak**2 * abs2(theta)).sum(-1) + self.constant

    def echo(self, theta: ComplexArray) -> Array:
        """S_i (B, I)."""
        return abs2((self.signal @ theta[..., None])[..., 0]).sum(-1)

    @property
    def surrogate(self) -> Surrogate:
        """The minorant at `point`."""
        forward = (self.signal @ self.point[..., None])[..., 0]
        slope = 2.0 * (herm(self.signal) @ forward[..., None])[..., 0]
        quadratic = self.leak**2 * self.point
        level = (self.leak**2 * abs2(self.point)).sum(-1)
        return _surrogate(self.form, slope, abs2(forward).sum(-1), level + self.constant, 2.0 * quadratic, level)

    def affine(self, surrogate: Surrogate, theta: ComplexArray) -> Array:
        """l_i(theta) (B, I)."""
        return (surrogate.slope.conj() * theta).sum(-1).real + surrogate.offset

    def value(self, theta: ComplexArray) -> Array:
        """f(theta) (B,)."""
        surrogate = self.surrogate
        return surrogate.value(self.affine(surrogate, theta), self.interference(theta))


@dataclass(frozen=True, kw_only=True)
class ProjectionProblem(Rows):
    """Minimise ||theta - anchor||^2 over `feasible` (7.5). `point` (B, I, M) is the current one, feasible or nearly so."""

    anchor: ComplexArray
    feasible: CoefficientSet
    point: ComplexArray


@dataclass(frozen=True, kw_only=True)
class TransmitRestoration(Rows):
    """Maximise delta <= 1 with every rate cone of `feasible` >= delta and both powers kept (7.6); `point` (B, N, S)."""

    feasible: TransmitSet
    point: ComplexArray


@dataclass(frozen=True, kw_only=True)
class CoefficientRestoration(Rows):
    """Maximise delta <= 1 with every rate cone of `feasible` >= delta, caps and power kept (7.6); `point` (B, I, M)."""

    feasible: CoefficientSet
    point: ComplexArray


def transmit_set(channels: Channels, theta: ComplexArray) -> TransmitSet:
    """The constraints on W at coefficients theta (B, I, M)."""
    rows = channels.user_rows(theta) / np.sqrt(channels.user_noise(theta))[..., None]
    surface = None
    if channels.budget:
        level = abs2(theta).sum(1)
        left = np.maximum(1.0 - channels.surface_noise * level.sum(-1), 1e-12)
        surface = channels.bs_ris * np.sqrt(level / left[:, None])[..., None]
    return TransmitSet(rows=rows, threshold=channels.threshold, surface=surface)


def transmit_problem(channels: Channels, theta: ComplexArray, w: ComplexArray, filters: ComplexArray) -> TransmitProblem:
    """Transmit step at theta (B, I, M), beams w (B, N, S) and filters u (B, I, Q) of any norm."""
    echoes = channels.echoes(theta)
    column = filters[..., None]
    noise = (herm(column) @ echoes.noise @ column).real[..., 0, 0]
    scale = 1.0 / np.sqrt(noise)[..., None]
    feasible = transmit_set(channels, theta)
    return TransmitProblem(
        signal=(herm(echoes.signal) @ column)[..., 0] * scale,
        leak=(herm(echoes.leak) @ column)[..., 0] * scale,
        form=channels.form,
        feasible=feasible,
        point=feasible.rotated(w),
    )


def coefficient_set(channels: Channels, w: ComplexArray, theta: ComplexArray) -> CoefficientSet:
    """The constraints on theta at beams w (B, N, S); the rows are turned for theta (B, I, M)."""
    arrived = channels.bs_ris @ w  # (B, M, S)
    rows = np.swapaxes(arrived, 1, 2)[:, None] * channels.ris_user.conj()[:, :, None, :]
    users = np.arange(rows.shape[1])
    own = (rows[:, users, users] * theta[:, channels.user_side]).sum(-1)
    size = np.abs(own)
    turn = np.where(size > 0, own.conj() / np.where(size > 0, size, 1.0), 1.0)
    incident = abs2(arrived).sum(-1) + channels.surface_noise[:, None] if channels.budget else None
    return CoefficientSet(
        rows=rows * turn[..., None, None],
        noise=np.sqrt(channels.surface_noise)[:, None, None] * np.abs(channels.ris_user),
        threshold=channels.threshold,
        user_side=channels.user_side,
        incident=incident,
        mask=channels.mask,
    )


def coefficient_problem(channels: Channels, theta: ComplexArray, w: ComplexArray, filters: ComplexArray) -> CoefficientProblem:
    """Coefficient step of `mf` at theta (B, I, M), beams w (B, N, S) and filters u (B, I, M_s) of any norm."""
    assert channels.sensing is not None and channels.bs_sensor is not None
    u = filters / np.linalg.norm(filters, axis=-1, keepdims=True)
    z = (herm(channels.sensing) @ u[..., None])[..., 0]  # (B, I, M)
    arrived = channels.bs_ris @ w
    received = (u.conj()[:, :, None, :] @ channels.bs_sensor)[:, :, 0] @ w  # (B, I, S)
    return CoefficientProblem(
        signal=np.swapaxes(arrived, 1, 2)[:, None] * z.conj()[:, :, None, :],
        leak=np.sqrt(channels.surface_noise)[:, None, None] * np.abs(z),
        constant=abs2(received).sum(-1) + 1.0,
        form=channels.form,
        feasible=coefficient_set(channels, w, theta),
        point=theta,
    )
