"""The data of a batch of scenes in normalised units, that the algorithms of `multifunctional` work on.

Use: `channels = Channels.of(system, known)` once per batch of scenes; with time switching `channels.slot(i)` per slot, so that
one slot is one problem with one side. `echoes = channels.echoes(theta)`, `channels.user_rows(theta)` at given coefficients.

Units: beams W over sqrt(P_BS), coefficients theta over sqrt(beta_max), users' signals over sigma_k, echoes over sigma_e, power
radiated by the surface over P_MF. So the constraints read ||W||_F <= 1, sum_i |theta_im|^2 <= 1 and
sum_im |theta_im|^2 (||[H W]_m||^2 + sigma_s^2) <= 1, and the received noises are 1 plus that of the surface.

Shapes: B batch, N antennas, M elements, S streams (users first), I sides of the problem (2; a slot: 1), K users and L targets of
these sides, Q receivers of an echo (M_s sensors for `mf`, else N antennas).

Source: arXiv 2412.01251, signal model; model page, sections 3, 4 and 7.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baselines.multifunctional.records import Rows
from baselines.tools.linalg import Array, ComplexArray, abs2, herm

FORMS = ("log", "sum", "db")
FLOOR = 1e-10
"""The page's floor of an echo SINR, -100 dB."""


@dataclass(frozen=True, kw_only=True)
class Echoes(Rows):
    """Echo of each side at given coefficients, in units of sigma_e.

    Attributes:
        signal: (B, I, Q, N) X_i, so that the echo is X_i W.
        leak: (B, I, Q, N) J_i, what else of the beams is received.
        noise: (B, I, Q, Q) Z_i, covariance of the noise (sensor 1 and surface).
    """

    signal: ComplexArray
    leak: ComplexArray
    noise: ComplexArray


@dataclass(frozen=True, kw_only=True)
class Channels(Rows):
    """Channels of a batch in the units of this module.

    Attributes:
        bs_ris: (B, M, N) H sqrt(P_BS) / s, s = sqrt(P_MF / beta_max), without such a budget sqrt(P_BS) rms(H).
        ris_user: (B, K, M) g_k sqrt(beta_max) s / sigma_k; user k receives (g_k^* theta_i)^T H W.
        user_side: (K,) index into the sides of the problem; target_side: (L,) likewise.
        target_steering: (B, L, M) a_l.
        target_gain: (B, L) `mf`: alpha_l sqrt(beta_max) s / sigma_e; else alpha_l beta_max s^2 / (sqrt(P_BS) sigma_e).
        sensing: (B, I, M_s, M) `mf`: A_i = sum_l alpha_l b_l a_l^H with those gains; else None.
        bs_sensor: (B, I, M_s, N) `mf`: G_i sqrt(P_BS) / sigma_e; else None.
        filters: (B, I, M_s) `mf`: the first filters u_i (7.6); else None.
        surface_noise: (B,) sigma_s^2 / s^2.
        return_gain: (B,) beta_max s^4 / (P_BS sigma_e^2): surface noise on its way to the BS (not `mf`).
        threshold: (B, K) SINR each user needs.
        mask: (B, I, M) coefficients that may differ from zero.
        kind: mf, active, star or passive. budget: whether the surface has a power budget (mf, active).
        form: log, sum or db. num_sensing_beams: S_0. index: (B,) number of the scene in its batch.
    """

    bs_ris: ComplexArray
    ris_user: ComplexArray
    user_side: NDArray[np.int64]
    target_side: NDArray[np.int64]
    target_steering: ComplexArray
    target_gain: ComplexArray
    sensing: ComplexArray | None
    bs_sensor: ComplexArray | None
    filters: ComplexArray | None
    surface_noise: Array
    return_gain: Array
    threshold: Array
    mask: NDArray[np.bool_]
    kind: str
    budget: bool
    form: str
    num_sensing_beams: int
    index: NDArray[np.int64]

    _shared = frozenset({"user_side", "target_side"})

    @classmethod
    def of(cls, system: Any, known: Any, first: int = 0) -> Channels:
        """From scenes, or what is known of them, numbered from `first`. Both sides, even with time switching."""
        h = np.asarray(known.bs_ris, dtype=complex)
        size = len(h)
        power, cap = float(system.power_w), float(system.max_gain)
        kind, budget = str(system.kind), bool(system.amplifies)
        if budget:
            scale = np.full(size, np.sqrt(float(system.surface_power_w) / cap))
        else:
            scale = np.sqrt(power * abs2(h).mean((1, 2)))
        sigma_user, sigma_echo = np.sqrt(float(system.noise_user_w)), np.sqrt(float(system.noise_sensor_w))
        user_side, target_side = np.asarray(system.user_side, dtype=np.int64), np.asarray(system.target_side, dtype=np.int64)
        steering = np.asarray(known.target_steering, dtype=complex)
        alpha = np.asarray(known.target_gain, dtype=complex)
        mf = kind == "mf"
        factor = np.sqrt(cap) * scale / sigma_echo if mf else cap * scale**2 / (np.sqrt(power) * sigma_echo)
        alpha = alpha * factor[:, None]
        sensing = bs_sensor = filters = None
        if mf:
            b = np.asarray(known.sensor_steering, dtype=complex)
            sides = [np.flatnonzero(target_side == i) for i in (0, 1)]
            parts = [np.swapaxes(b[:, t] * alpha[:, t, None], 1, 2) @ steering[:, t].conj() for t in sides]
            sensing = np.stack(parts, axis=1)
            bs_sensor = np.asarray(known.bs_sensor, dtype=complex) * (np.sqrt(power) / sigma_echo)
            filters = np.asarray(known.reference["filter"], dtype=complex)
        threshold = 2.0 ** float(system.min_rate_bps_hz) - 1.0
        return cls(
            bs_ris=h * (np.sqrt(power) / scale)[:, None, None],
            ris_user=np.asarray(known.ris_user, dtype=complex) * (np.sqrt(cap) * scale / sigma_user)[:, None, None],
            user_side=user_side,
            target_side=target_side,
            target_steering=steering,
            target_gain=alpha,
            sensing=sensing,
            bs_sensor=bs_sensor,
            filters=filters,
            surface_noise=float(system.noise_surface_w) / scale**2,
            return_gain=cap * scale**4 / (power * sigma_echo**2),
            threshold=np.full((size, len(user_side)), threshold),
            mask=np.broadcast_to(fixed_mask(system), (size, 2, h.shape[1])).copy(),
            kind=kind,
            budget=budget,
            form=str(system.form),
            num_sensing_beams=int(system.num_sensing_beams),
            index=np.arange(first, first + size),
        )

    def __len__(self) -> int:
        return len(self.bs_ris)

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """N, M, K, I."""
        return self.bs_ris.shape[2], self.bs_ris.shape[1], self.ris_user.shape[1], self.mask.shape[1]

    @property
    def equality(self) -> bool:
        """Whether sum_i |theta_im|^2 = 1 must hold (star, passive)."""
        return self.kind in ("star", "passive")

    def slot(self, side: int, share: float = 1.0) -> Channels:
        """The problem of one slot of time switching (`mf`): one side, its users and targets, rates over `share` of the time."""
        assert self.sensing is not None and self.bs_sensor is not None and self.filters is not None
        users, targets = np.flatnonzero(self.user_side == side), np.flatnonzero(self.target_side == side)
        return replace(
            self,
            ris_user=self.ris_user[:, users],
            user_side=np.zeros(len(users), np.int64),
            target_side=np.zeros(len(targets), np.int64),
            target_steering=self.target_steering[:, targets],
            target_gain=self.target_gain[:, targets],
            sensing=self.sensing[:, [side]],
            bs_sensor=self.bs_sensor[:, [side]],
            filters=self.filters[:, [side]],
            threshold=(1.0 + self.threshold[:, users]) ** (1.0 / share) - 1.0,
            mask=self.mask[:, [side]],
        )

    def user_rows(self, theta: ComplexArray) -> ComplexArray:
        """Rows (g_k^* theta_i)^T H of the users, (B, K, N), in units of sigma_k; theta (B, I, M)."""
        return (self.ris_user.conj() * theta[:, self.user_side]) @ self.bs_ris

    def user_noise(self, theta: ComplexArray) -> Array:
        """Noise of the users, surface noise included, (B, K), in units of sigma_k^2."""
        return 1.0 + self.surface_noise[:, None] * (abs2(self.ris_user) * abs2(theta[:, self.user_side])).sum(-1)

    def sinr(self, w: ComplexArray, theta: ComplexArray) -> Array:
        """SINR of the users (B, K) with beams w (B, N, S)."""
        power = abs2(self.user_rows(theta) @ w)
        users = np.arange(self.ris_user.shape[1])
        own = power[:, users, users]
        return own / (power.sum(-1) - own + self.user_noise(theta))

    def surface_power(self, w: ComplexArray, theta: ComplexArray) -> Array:
        """Radiated power over its budget (B,); without a budget the number means nothing."""
        incident = abs2(self.bs_ris @ w).sum(-1) + self.surface_noise[:, None]
        return (abs2(theta).sum(1) * incident).sum(-1)

    def echoes(self, theta: ComplexArray) -> Echoes:
        """X_i, J_i, Z_i at coefficients theta (B, I, M)."""
        if self.sensing is not None:
            assert self.bs_sensor is not None
            b = self.sensing * theta[:, :, None, :]
            noise = self.surface_noise[:, None, None, None] * (b @ herm(b))
            noise = noise + np.eye(noise.shape[-1])
            return Echoes(signal=b @ self.bs_ris[:, None], leak=self.bs_sensor, noise=noise)
        rho = self.target_steering.conj() * theta[:, self.target_side]
        eta = rho @ self.bs_ris
        weighted = eta * self.target_gain[..., None]
        sides = [np.flatnonzero(self.target_side == i) for i in (0, 1)]
        signal = np.stack([np.swapaxes(weighted[:, t], 1, 2) @ eta[:, t] for t in sides], axis=1)
        d = [np.swapaxes(weighted[:, t], 1, 2) @ rho[:, t] for t in sides]
        back = np.swapaxes(self.bs_ris, 1, 2) * abs2(theta).sum(1)[:, None, :] @ self.bs_ris.conj()
        noise = self.return_gain[:, None, None] * back + sum(x @ herm(x) for x in d)
        noise = np.eye(noise.shape[-1]) + self.surface_noise[:, None, None] * noise
        return Echoes(signal=signal, leak=signal[:, ::-1], noise=np.stack([noise, noise], axis=1))

    def utility(self, gamma: Array) -> Array:
        """Objective (B,) of echo SINRs (B, I) in the unit of `form` (bit, dB)."""
        return utility(self.form, gamma)

    def feasible(self, w: ComplexArray, theta: ComplexArray, rate: float = 1e-6, hard: float = 1e-7) -> NDArray[np.bool_]:
        """Rates to `rate` (bit), powers and caps to `hard` (relative) (B,)."""
        good = (np.log2(1 + self.sinr(w, theta)) >= np.log2(1 + self.threshold) - rate).all(-1)
        good &= abs2(w).sum((1, 2)) <= 1 + hard
        level = abs2(theta).sum(1)
        good &= (np.abs(level - 1.0) <= hard).all(-1) if self.equality else (level <= 1 + hard).all(-1)
        if self.budget:
            good &= self.surface_power(w, theta) <= 1 + hard
        return np.asarray(good)


def fixed_mask(system: Any) -> NDArray[np.bool_]:
    """(2, M): all coefficients, or even elements for side r and odd ones for side t (active, passive, mode switching)."""
    mask = np.ones((2, int(system.num_elements)), bool)
    if system.kind in ("active", "passive") or bool(system.mode_switching):
        mask[0, 1::2] = False
        mask[1, 0::2] = False
    return mask


def utility(form: str, gamma: Array) -> Array:
    """Model page, section 5: objective (B,) of echo SINRs (B, I); `log` in bit, `sum` and `db` in dB.

    Raises:
        ValueError: unknown form.
    """
    gamma = np.maximum(gamma, FLOOR)
    if form == "log":
        return np.asarray(np.log2(1.0 + gamma).sum(-1))
    if form == "sum":
        return np.asarray(10.0 * np.log10(gamma.sum(-1)))
    if form == "db":
        return np.asarray(10.0 * np.log10(gamma).mean(-1))
    raise ValueError(f"form must be one of {FORMS}, got {form!r}")
