"""The closed form of the beampattern landscape for `control="full"` (model page, section 9.3), in torch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ris_gym.systems.beampattern import features
from ris_gym.systems.beampattern.records import BeampatternScene
from ris_gym.systems.landscape import Landscape, Linear

if TYPE_CHECKING:
    from ris_gym.systems.beampattern.system import Beampattern

LN10 = math.log(10.0)
TINY = 1e-9
"""Gains below this part of p_ref, and SINR below this part of the threshold, count as this: 30 dB below the metrics' floor."""


class _Paths(NamedTuple):
    """Per element `conj(x) v` for the rows x of `[S; H_r]` (B, N, P), P = L + K; conjugate effective channels (B, 2 M, P);
    F (B, 2 M, C); `[F, -j F]` (B, 2 M, 2 C); amplitudes of each beam at each row (B, 2 C, P). Real parts over imaginary ones."""

    real: Tensor
    imaginary: Tensor
    effective: Tensor
    beams: Tensor
    doubled: Tensor
    received: Tensor


class BeampatternLandscape(Landscape):
    """`s_l = log10(p_l / p_ref)` and `c_k = log10(SINR_k / Gamma_k)` over phases and F, which `move` keeps at unit norm.

    One user: `c = log10(h^H R h / (Gamma sigma^2))`, the SNR after the exact re-match (`system.repair`), which changes no gain.
    Everything is scaled to O(1), so single precision serves. Complex numbers are pairs of real ones, since small complex matrix
    products are slow in torch.
    """

    def __init__(self, system: Beampattern, known: BeampatternScene, dtype: torch.dtype = torch.float32) -> None:
        super().__init__(system, features.without_los(known), "full", dtype)
        self.targets, self.users = len(system.angles_deg), system.num_users
        self.elements, self.antennas = system.num_elements, system.num_antennas
        self.streams = system.num_users + system.num_sensing_beams
        self.leak = 0.0 if system.cancel_sensing else 1.0

        def tensor(array: np.ndarray) -> Tensor:
            return torch.as_tensor(np.ascontiguousarray(array)).to(dtype)

        level = np.sqrt(10.0 ** (np.broadcast_to(system.reference_dbm(known), len(known)) / 10.0 - 3.0))[:, None, None]
        threshold = np.asarray(system.sinr_threshold, float)
        self.threshold = torch.as_tensor(threshold).to(dtype)
        root, rms = math.sqrt(system.power_w), np.sqrt(np.mean(np.abs(known.bs_ris) ** 2, axis=(1, 2)))[:, None, None]
        rms = np.maximum(rms, np.finfo(float).tiny ** 0.25)
        noise = np.sqrt(threshold * system.noise_w)
        steering = np.broadcast_to(system.steering.conj(), (len(known), *system.steering.shape)) * (rms * root / level)
        reflected = np.asarray(known.ris_user).conj() * (rms * root / noise[..., None])
        g = np.asarray(known.bs_ris) / rms
        self.bs_ris = tensor(np.block([[g.real, -g.imag], [g.imag, g.real]]))
        paths = np.concatenate([steering, reflected], axis=1).swapaxes(1, 2)
        self.paths = tensor(paths.real), tensor(paths.imag)
        direct = np.asarray(known.bs_user).conj() * (root / noise[..., None])
        direct = np.concatenate([np.zeros((len(known), self.targets, self.antennas)), direct], axis=1).swapaxes(1, 2)
        self.direct = tensor(np.concatenate([direct.real, -direct.imag], axis=1))

    def start(self) -> Tensor:
        """The start rule's x with beams of unit norm."""
        return self.move(super().start(), torch.zeros(()))

    def beams(self, x: Tensor) -> Tensor:
        """F of x, real over imaginary parts, (B, 2 M, C)."""
        size = 2 * self.antennas * self.users
        flat = x[:, self.elements :]
        parts = flat[:, :size].unflatten(1, (2 * self.antennas, self.users))
        if self.streams == self.users:
            return parts
        more = flat[:, size:].unflatten(1, (2 * self.antennas, self.streams - self.users))
        return torch.cat([parts, more], dim=2)

    def _coordinates(self, by_beams: Tensor) -> Tensor:
        """Derivatives with respect to `beams(x)`, (B, 2 M, C, P), as coordinates of x (B, 2 M C, P)."""
        if self.streams == self.users:
            return by_beams.flatten(1, 2)
        return torch.cat([by_beams[:, :, : self.users].flatten(1, 2), by_beams[:, :, self.users :].flatten(1, 2)], dim=1)

    def _received(self, x: Tensor) -> _Paths:
        phase = math.pi * x[:, : self.elements, None]
        cosine, sine = torch.cos(phase), torch.sin(phase)
        real = self.paths[0] * cosine - self.paths[1] * sine
        imaginary = self.paths[0] * sine + self.paths[1] * cosine
        effective = self.bs_ris.mT @ torch.cat([real, -imaginary], dim=1) + self.direct
        beams = self.beams(x)
        upper, lower = beams.tensor_split(2, dim=1)
        doubled = torch.cat([beams, torch.cat([lower, -upper], dim=1)], dim=2)
        return _Paths(real, imaginary, effective, beams, doubled, doubled.mT @ effective)

    def _levels(self, received: Tensor) -> tuple[Tensor, Tensor | None]:
        """10^piece (B, P), and 1 + what a user is disturbed by in units of the noise (B, K); one user: None."""
        squared = received**2
        if self.users == 1:
            return squared.sum(1).clamp_min(TINY), None
        power = squared[:, : self.streams] + squared[:, self.streams :]
        gains, at_users = power[..., : self.targets].sum(1), power[..., self.targets :]
        signal = at_users.diagonal(dim1=1, dim2=2)
        other = at_users[:, : self.users].sum(1) - signal + self.leak * at_users[:, self.users :].sum(1)
        disturbed = 1.0 + self.threshold * other.clamp_min(0.0)
        return torch.cat([gains, signal / disturbed], dim=1).clamp_min(TINY), disturbed

    def pieces(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Pieces s (B, L), c (B, K)."""
        z = torch.log10(self._levels(self._received(x).received)[0])
        return z[:, : self.targets], z[:, self.targets :]

    def linearise(self, x: Tensor) -> Linear:
        """Pieces, Jacobian, alignment. The derivative along F itself is 0: F counts by its direction only."""
        at = self._received(x)
        levels, disturbed = self._levels(at.received)
        z = torch.log10(levels)
        if disturbed is None:
            response = at.received * ((2.0 / LN10) / levels)[:, None]
        else:
            at_targets = at.received[..., : self.targets] / levels[:, None, : self.targets]
            response = torch.cat([at_targets, self._by_user(at.received[..., self.targets :], disturbed)], dim=2) * (2.0 / LN10)
        turned = (self.bs_ris @ at.doubled) @ response
        over_real, over_imaginary = turned[:, : self.elements], turned[:, self.elements :]
        across = over_real * at.imaginary + over_imaginary * at.real
        along = over_real * at.real - over_imaginary * at.imaginary
        radial = (at.received * response).sum(1)
        upper, lower = at.effective.tensor_split(2, dim=1)
        rotated = torch.cat([-lower, upper], dim=1)
        by_beams = at.effective[:, :, None] * response[:, None, : self.streams] - radial[:, None, None] * at.beams[..., None]
        by_beams = by_beams + rotated[:, :, None] * response[:, None, self.streams :]
        jacobian = torch.cat([-math.pi * across, self._coordinates(by_beams)], dim=1)
        return Linear(z[:, : self.targets], z[:, self.targets :], jacobian, along)

    def _by_user(self, at_users: Tensor, disturbed: Tensor) -> Tensor:
        """Derivative of ln SINR_k: `Y_kk / |Y_kk|^2` for the signal, `-Gamma_k Y_jk / D_k` for what disturbs, (B, 2 C, K)."""
        own = torch.eye(self.streams, self.users, dtype=torch.bool)
        power = at_users[:, : self.streams] ** 2 + at_users[:, self.streams :] ** 2
        weight = torch.ones(self.streams, dtype=power.dtype)
        weight[self.users :] = self.leak
        against = -weight[:, None] * (self.threshold / disturbed)[:, None]
        factor = torch.where(own, 1.0 / power.clamp_min(TINY), against)
        return at_users * torch.cat([factor, factor], dim=1)

    def move(self, x: Tensor, step: Tensor) -> Tensor:
        """Phases x + step, beams x + step scaled to unit norm."""
        moved = x + step
        beams = moved[:, self.elements :]
        norm = torch.linalg.vector_norm(beams, dim=1, keepdim=True).clamp_min(TINY)
        return torch.cat([moved[:, : self.elements], beams / norm], dim=1)
