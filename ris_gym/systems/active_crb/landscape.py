"""The closed form of the `active_crb` landscape for `control="full"`, in torch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ris_gym import variables as var
from ris_gym.arrays import herm
from ris_gym.systems.active_crb import beams as rules
from ris_gym.systems.active_crb import features, physics
from ris_gym.systems.active_crb.records import ActiveCrbScene
from ris_gym.systems.landscape import Landscape, Linear

if TYPE_CHECKING:
    from ris_gym.systems.active_crb.system import ActiveCrb

LN10 = math.log(10.0)
TINY = 1e-30


class _At(NamedTuple):
    """A point: 1 / a^2 (B, N), v (B, N), Z and X (B, N, N), `X^-1`, what users receive (B, K, N), H Psi X, budgets' use (B, i),
    the sums S_1 and S_2 (B,), noise n_k (B, K), room P_s - s_0 (B,) (ones for a passive surface)."""

    gain: Tensor
    v: Tensor
    z: Tensor
    x: Tensor
    inverse: Tensor
    received: Tensor
    back: Tensor
    use: Tensor
    first: Tensor
    second: Tensor
    noise: Tensor
    room: Tensor


class ActiveCrbLandscape(Landscape):
    """Pieces over the surface and Z (N, N), `F = L_0 Z`, `L_0 L_0^H = R_s` the covariance of bound 8.1.

    The first K columns of Z are the users' beams, the others the sensing signal: N columns are enough, since the best sensing
    signal is invisible to the users and so has rank N - K. In these coordinates Z = I is the best for sensing alone. With
    `b_1 = tr R / P_0`, `b_2 = tr(S R) / (P_s - s_0)` and both sums S_1, S_2 of the CRB, every piece is free of the scale of Z,
    which `move` keeps:

        s_i = LB / 10 - log10(S_1 S_2 b_i / T),   c_k = log10(|c_k w_k|^2 / (gamma_k (I_k + n_k max_i b_i)))

    Args:
        frame: scene whose L_0 defines the coordinates (None: `known`).
    """

    def __init__(
        self, system: ActiveCrb, known: ActiveCrbScene, frame: ActiveCrbScene | None = None, dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__(system, features.bare(known), "full", dtype)
        self.frame = features.bare(known) if frame is None else frame
        n = self.elements = system.num_elements
        self.users = 0 if system.sinr_threshold is None else system.num_users
        self.surface = n if system.passive else 2 * n
        complex_dtype = torch.complex128 if dtype == torch.float64 else torch.complex64

        def real(array: np.ndarray) -> Tensor:
            return torch.as_tensor(np.ascontiguousarray(array)).to(dtype)

        def whole(array: np.ndarray) -> Tensor:
            return torch.as_tensor(np.ascontiguousarray(array)).to(complex_dtype)

        reference, frame_reference = known.reference, self.frame.reference
        assert reference is not None and frame_reference is not None
        root = np.sqrt(np.asarray(frame_reference["rule"], float))
        self.unit = np.asarray(frame_reference["basis"]) * root[:, None, :]  # L_0
        self.through = whole(np.asarray(known.bs_ris) @ self.unit)  # G L_0
        self.cost = real(root**2 / system.power_w)[..., None]
        self.user = whole(np.asarray(known.ris_user)[:, : self.users].conj())
        self.amplified = real(system.noise_surface_w * np.abs(np.asarray(known.ris_user)[:, : self.users]) ** 2)
        self.response = whole(np.asarray(known.target_response))
        spread = np.asarray(reference["response_power"], float)
        self.spread = real(system.noise_surface_w * spread)
        self.cap = real(reference["cap"])[:, None]
        self.received_cost = real(system.noise_bs_w * np.asarray(reference["inverse_diagonal"], float))
        self.level = real(np.asarray(reference["lower_bound_db"], float) / 10.0 + math.log10(system.num_snapshots))
        self.threshold = real(np.zeros(0) if system.sinr_threshold is None else system.sinr_threshold)
        self.own = torch.eye(self.users, n, dtype=torch.bool)

    def on(self, scene: ActiveCrbScene) -> ActiveCrbLandscape:
        """The landscape of another scene (the truth) over the same coordinates."""
        return ActiveCrbLandscape(self.system, scene, self.frame, self.dtype)

    # -- coordinates --------------------------------------------------------------------------------------------------------

    def start(self) -> Tensor:
        """The start rule's surface and beams."""
        known = self.frame
        surface = self.system.start(known, "surface")
        values = var.split(self.system.variables("surface"), surface)
        v = rules.coefficients(self.system, np, known, values)
        n, users = self.elements, self.users
        z = np.tile(np.eye(n, dtype=complex), (len(known), 1, 1))
        if users:
            rows = physics.effective_rows(np, known, v) @ self.unit
            f = rules.rule(self.system, np, known, v)
            served = (np.conj(self.unit.mT) @ f[..., :users]) / np.sum(np.abs(self.unit) ** 2, axis=1)[..., None]
            hidden = np.linalg.qr(herm(np, rows), mode="complete")[0][..., users:]
            level = np.sqrt(np.sum(np.abs(f[..., users:]) ** 2, axis=(1, 2)) / np.sum(np.abs(self.unit @ hidden) ** 2, axis=(1, 2)))
            z = np.concatenate([served, hidden * level[:, None, None]], axis=2)
        flat = z.reshape(len(known), -1)
        if not self.system.passive:
            surface = np.concatenate([surface[:, :n], surface[:, n:]], axis=1)
        x = torch.as_tensor(np.concatenate([surface, flat.real, flat.imag], axis=1)).to(self.dtype)
        return self.move(x, torch.zeros(()))

    def move(self, x: Tensor, step: Tensor) -> Tensor:
        """Amplitude levels clipped to [-1, 1], phases free, Z scaled to norm sqrt(N)."""
        moved = x + step
        z = moved[:, self.surface :]
        norm = torch.linalg.vector_norm(z, dim=1, keepdim=True).clamp_min(1e-12)
        z = z * (math.sqrt(self.elements) / norm)
        surface = moved[:, : self.surface]
        if self.surface > self.elements:
            level, phase = surface.tensor_split(2, dim=1)
            return torch.cat([level.clamp(-1.0, 1.0), phase, z], dim=1)
        return torch.cat([surface, z], dim=1)

    def raw(self, x: Tensor) -> np.ndarray:
        """The raw vector of x for `system.decode`: sensing beams filled up with zeros to N columns."""
        at = x.detach().double().numpy()
        n, m = self.elements, self.system.num_antennas
        z = (at[:, self.surface : self.surface + n * n] + 1j * at[:, self.surface + n * n :]).reshape(-1, n, n)
        f = self.unit @ z
        largest = np.max(np.maximum(np.abs(f.real), np.abs(f.imag)), axis=(1, 2), keepdims=True)
        f = f / np.where(largest > 0, largest, 1.0)
        w, sensing = f[..., : self.users], f[..., self.users :]
        if not self.users:
            w = np.zeros((len(at), m, self.system.num_users), complex)
        sensing = np.concatenate([sensing, np.zeros((len(at), m, n - sensing.shape[2]))], axis=2)
        values = {"beams": w, "sensing_beams": sensing, "phase": math.pi * at[:, self.surface - n : self.surface]}
        if self.surface > n:
            values["amplitude"] = np.clip(at[:, :n], -1.0, 1.0)
        return np.asarray(var.join(self.system.variables("full"), values))

    # -- values -------------------------------------------------------------------------------------------------------------

    def _at(self, x: Tensor) -> _At:
        n = self.elements
        phase = math.pi * x[:, self.surface - n : self.surface]
        turn = torch.polar(torch.ones_like(phase), phase)
        if self.surface > n:
            amplitude = self.cap * torch.exp(rules.LEVEL_NEPER * (x[:, :n] - 1.0))
        else:
            amplitude = torch.ones_like(phase)
        v, gain = turn * amplitude, amplitude**2
        z = torch.complex(x[:, self.surface : self.surface + n * n], x[:, self.surface + n * n :]).unflatten(1, (n, n))
        through = self.through @ z
        inverse = _inverse(through)
        received = (self.user * v[:, None]) @ through
        bs = (self.cost * _abs2(z)).sum((1, 2))
        s1 = (_abs2(inverse) / gain[:, None]).sum((1, 2))
        noisy = self.system.num_elements * self.system.noise_surface_w
        s2 = noisy + (self.received_cost / gain).sum(1)
        noise = self.system.noise_user_w + (self.amplified * gain[:, None]).sum(2)
        if self.surface == n:
            return _At(gain, v, z, through, inverse, received, through, bs[:, None], s1, s2, noise, torch.ones_like(bs))
        back = self.response @ (v[..., None] * through)
        signal = (gain[..., None] * (_abs2(through) + _abs2(back))).sum((1, 2))
        own = 2.0 * self.system.noise_surface_w * gain.sum(1) + (gain * (self.spread @ gain[..., None])[..., 0]).sum(1)
        room = (self.system.surface_power_w - own).clamp_min(1e-3 * self.system.surface_power_w)
        use = torch.stack([bs, signal / room], dim=1)
        return _At(gain, v, z, through, inverse, received, back, use, s1, s2, noise, room)

    def _values(self, at: _At) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Pieces s (B, i), c (B, K); signal powers (B, K) and what they compete with (B, K)."""
        score = self.level[:, None] - torch.log10(at.first * at.second)[:, None] - torch.log10(at.use.clamp_min(TINY))
        power = _abs2(at.received)
        signal = power[:, :, : self.users].diagonal(dim1=1, dim2=2)
        against = (power.sum(2) - signal).clamp_min(0.0) + at.noise * at.use.amax(1, keepdim=True)
        slack = torch.log10((signal / (self.threshold * against)).clamp_min(TINY))
        return score, slack, signal, against

    def pieces(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Pieces s (B, 2) (passive: (B, 1)), c (B, K)."""
        score, slack, _, _ = self._values(self._at(x))
        return score, slack

    def linearise(self, x: Tensor) -> Linear:
        """Pieces, Jacobian, and per element the real part of each piece's derivative with respect to `ln v` as alignment."""
        at = self._at(x)
        score, slack, signal, against = self._values(at)
        use_by_x, use_by_z, use_by_v = self._budgets(at)
        budgets = at.use.shape[1]
        # S_1 by X and v, S_2 by v, then both budgets, for the score pieces
        spectrum = (at.inverse / at.gain[:, None]) @ at.inverse.mH
        s1_by_x = at.inverse.mH @ (spectrum / at.first[:, None, None])
        column = _abs2(at.inverse).sum(1) / (at.gain * at.first[:, None])
        by_v = (column + self.received_cost / (at.gain * at.second[:, None]))[:, None] - use_by_v
        by_x = s1_by_x[:, None] - use_by_x
        by_z = -use_by_z
        if self.users:
            binding = torch.argmax(at.use, dim=1)
            rows = torch.arange(len(binding))
            share = at.noise * at.use.amax(1, keepdim=True) / against  # (B, K)
            factor = torch.where(self.own, (1.0 / signal.clamp_min(TINY))[..., None], -(1.0 / against)[..., None])
            response = at.received * factor
            own = self.user * at.v[:, None]
            users_by_x = own.conj()[..., None] * response[:, :, None] - share[..., None, None] * use_by_x[rows, binding][:, None]
            users_by_z = -share[..., None, None] * use_by_z[rows, binding][:, None]
            amplified = self.amplified * at.gain[:, None] * (at.use.amax(1, keepdim=True) / against)[..., None]
            users_by_v = own * (response.conj() @ at.x.mT) - amplified - share[..., None] * use_by_v[rows, binding][:, None]
            by_x, by_z = torch.cat([by_x, users_by_x], dim=1), torch.cat([by_z, users_by_z], dim=1)
            by_v = torch.cat([by_v.to(users_by_v.dtype), users_by_v], dim=1)
        gradient = (2.0 / LN10) * (self.through.mH[:, None] @ by_x + by_z).flatten(2)
        by_v = (2.0 / LN10) * by_v
        imaginary = by_v.imag if by_v.is_complex() else torch.zeros_like(by_v)
        parts = [rules.LEVEL_NEPER * by_v.real, -math.pi * imaginary, gradient.real, gradient.imag]
        jacobian = torch.cat(parts if self.surface > self.elements else parts[1:], dim=2).mT
        along = by_v.real.mT
        alignment = torch.cat([along, along], dim=1) if self.surface > self.elements else along
        assert budgets == score.shape[1]
        return Linear(score, slack, jacobian, alignment)

    def _budgets(self, at: _At) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients of `ln b_i` with respect to X (B, i, N, N), Z (B, i, N, N) and ln v (B, i, N)."""
        bs_by_z = self.cost * at.z / at.use[:, :1, None]
        zero = torch.zeros_like(at.x)
        none = torch.zeros_like(at.v)
        if self.surface == self.elements:
            return zero[:, None], bs_by_z[:, None], none[:, None]
        reflected = at.v[..., None] * at.x
        returned = self.response.mH @ (at.gain[..., None] * at.back)
        total = (at.use[:, 1] * at.room)[:, None]
        by_x = at.v.conj()[..., None] * (reflected + returned) / total[..., None]
        first = at.gain * (_abs2(at.x) + _abs2(at.back)).sum(2)
        spread = at.gain * ((self.spread + self.spread.mT) @ at.gain[..., None])[..., 0]
        own = 2.0 * self.system.noise_surface_w * at.gain + spread
        by_v = (first + (returned.conj() * reflected).sum(2)) / total + own / at.room[:, None]
        return torch.stack([zero, by_x], 1), torch.stack([bs_by_z, zero], 1), torch.stack([none, by_v], 1)


def _abs2(x: Tensor) -> Tensor:
    """Squared modulus."""
    return x.real**2 + x.imag**2


def _inverse(x: Tensor) -> Tensor:
    """Inverses of complex matrices (B, n, n) through their real form `[[Re, -Im], [Im, Re]]`, which torch inverts faster."""
    n = x.shape[-1]
    upper = torch.cat([x.real, -x.imag], dim=2)
    lower = torch.cat([x.imag, x.real], dim=2)
    inverse, _ = torch.linalg.inv_ex(torch.cat([upper, lower], dim=1))
    return torch.complex(inverse[:, :n, :n], inverse[:, n:, :n])
