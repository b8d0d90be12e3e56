"""The smoothed objective of the local and joint ascent and its analytic gradient.

    phi(v, F) = -1/kappa log sum_l p_l^-kappa - rho/2 sum_k [max(0, log Gamma_k - log SINR_k + nu_k / rho)]^2

over the angles of v and F = [W, F0], normalised to unit power. K = 1: h^H R h / sigma^2 in place of the SNR (re-match
afterwards).

Source: ours; beampattern page, sections 9.2 and 9.3 (model of arXiv 2111.13511).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baselines.beampattern.units import Scaled
from baselines.tools.linalg import Array, ComplexArray, abs2, herm


@dataclass(kw_only=True)
class Smoothed:
    """Value and gradient of -phi over x = [arg v (N), re F (M C), im F (M C)], or over arg v alone with `beams` given.

    Attributes:
        scaled: scenes, one per row of x.
        kappa, rho: smoothing and weight of the constraint.
        nu: (B, K) multipliers.
        streams: C, number of columns of F.
        beams: (B, M, C) fixed F of unit power, or None.
        frozen: the surface does not move (its derivative is 0).
    """

    scaled: Scaled
    kappa: float
    rho: float
    nu: Array
    streams: int
    beams: ComplexArray | None = None
    frozen: bool = False

    def split(self, x: Array) -> tuple[ComplexArray, ComplexArray]:
        """v (b, N) and the raw F (b, M, C) of variables x (b, n)."""
        elements, antennas, _, _ = self.scaled.sizes
        v = np.exp(1j * x[:, :elements])
        size = antennas * self.streams
        f = x[:, elements : elements + size] + 1j * x[:, elements + size :]
        return v, f.reshape(-1, antennas, self.streams)

    @staticmethod
    def join(v: ComplexArray, f: ComplexArray | None = None) -> Array:
        """Variables of a surface and, unless they are fixed, beams."""
        parts = [np.angle(v)]
        if f is not None:
            flat = f.reshape(len(f), -1)
            parts += [flat.real, flat.imag]
        return np.concatenate(parts, axis=1)

    def deficits(self, v: ComplexArray, f: ComplexArray, rows: NDArray | slice = slice(None)) -> Array:
        """log Gamma_k - log SINR_k, (b, K), for F of unit power."""
        part = self.scaled[rows]
        return -np.log(self._ratio(part, part.rows(v)[0] @ f)[0])

    def _ratio(self, part: Scaled, received: ComplexArray) -> tuple[Array, Array, Array]:
        """SINR_k / Gamma_k, its numerator and denominator (b, K), from received amplitudes (b, K, C)."""
        users = received.shape[1]
        power = abs2(received)
        if users == 1:
            signal, noise = power.sum(-1), np.ones(power.shape[:2])
        else:
            signal = np.diagonal(power[..., :users], axis1=1, axis2=2)
            interference = power[..., :users].sum(-1) - signal + part.leak * power[..., users:].sum(-1)
            noise = 1.0 + part.threshold * np.maximum(interference, 0.0)
        signal = np.maximum(signal, 1e-30)
        return signal / noise, signal, noise

    def __call__(self, x: Array, rows: NDArray[np.int64]) -> tuple[Array, Array]:
        """-phi (b,) and its gradient (b, n) for the scenes `rows`."""
        every = len(rows) == len(self.scaled)
        part = self.scaled if every else self.scaled[rows]
        users = part.sizes[2]
        if self.beams is None:
            v, raw = self.split(x)
            norm = np.sqrt(np.maximum(abs2(raw).sum((1, 2)), 1e-300))[:, None, None]
            f = raw / norm
        else:
            v, f = np.exp(1j * x), self.beams if every else self.beams[rows]
        b = part.bs_ris @ f
        turned = v[:, :, None] * b
        target = part.steering.conj() @ turned
        received = part.ris_user.conj() @ turned + part.bs_user.conj() @ f
        # soft minimum of the log gains
        gains = np.maximum(abs2(target).sum(-1), 1e-30)
        log_gains = np.log(gains)
        low = log_gains.min(-1, keepdims=True)
        weight = np.exp(-self.kappa * (log_gains - low))
        total = weight.sum(-1, keepdims=True)
        value = low[:, 0] - np.log(total[:, 0]) / self.kappa
        d_target = (weight / total / gains)[..., None] * target
        # augmented Lagrangian of the SINR constraints
        ratio, signal, noise = self._ratio(part, received)
        excess = np.maximum(0.0, -np.log(ratio) + self.nu[rows] / self.rho)
        value = value - 0.5 * self.rho * (excess**2).sum(-1)
        pull = self.rho * excess
        if users == 1:
            d_received = (pull / signal)[..., None] * received
        else:
            slope = np.repeat(-(pull * part.threshold / noise)[..., None], received.shape[-1], axis=-1)
            slope[..., users:] *= part.leak
            index = np.arange(users)
            slope[:, index, index] = pull / signal
            d_received = slope * received
        # adjoint
        d = part.steering.T @ d_target + np.swapaxes(part.ris_user, -1, -2) @ d_received
        d_phase = 2.0 * np.sum(turned.conj() * d, axis=-1).imag * (0.0 if self.frozen else 1.0)
        if self.beams is not None:
            return -value, -d_phase
        d_f = herm(part.bs_ris) @ (v.conj()[:, :, None] * d) + np.swapaxes(part.bs_user, -1, -2) @ d_received
        radial = np.sum(f.conj() * d_f, axis=(1, 2)).real[:, None, None]
        d_raw = (2.0 * (d_f - radial * f) / norm).reshape(len(x), -1)
        return -value, -np.concatenate([d_phase, d_raw.real, d_raw.imag], axis=1)
