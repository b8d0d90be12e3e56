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


class _Beams(NamedTuple):
    """Users' rows D (B, K, N), pseudo-inverse (B, N, K), `(D D^H)^-1 (Y - D E)` (B, K, N), Y (B, K, K)."""

    rows: Tensor
    pseudo: Tensor
    change: Tensor
    wanted: Tensor


class _At(NamedTuple):
    """A point: a^2 and v (B, N), beams, X (B, N, N), `X^-1`, what users receive (B, K, N), H Psi X, budgets' use (B, i), the
    sums S_1 and S_2 (B,), noise n_k (B, K), room P_s - s_0 (B,) (ones for a passive surface)."""

    gain: Tensor
    v: Tensor
    beams: _Beams | None
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


class Frame:
    """The coordinates of a landscape: L_0, D and their units at what is known, and the start rule's point.

    Attributes:
        unit: L_0 (B, M, N); received: (B, K, 1), what user k receives of its own beam at the start, the unit of Y.
        user: rows `h_k^H` over `received`, (B, K, N); through: `G L_0` (B, N, N); start: x of the start rule (B, n).
    """

    def __init__(self, system: ActiveCrb, known: ActiveCrbScene) -> None:
        reference = known.reference
        assert reference is not None
        n, count = system.num_elements, len(known)
        self.users = users = 0 if system.sinr_threshold is None else system.num_users
        self.unit = np.asarray(reference["basis"]) * np.sqrt(np.asarray(reference["rule"], float))[:, None, :]
        self.through = np.asarray(known.bs_ris) @ self.unit
        self.received = np.ones((count, users, 1))
        surface = system.start(known.astype("complex64"), "surface").astype(float)
        v = rules.coefficients(system, np, known, var.split(system.variables("surface"), surface))
        e = np.tile(np.eye(n, dtype=complex), (count, 1, 1))
        if users:
            f = rules.rule(system, np, known, v)
            rows = physics.effective_rows(np, known, v)
            scale = np.sqrt(n / np.sum(np.abs(np.linalg.pinv(self.unit) @ f) ** 2, axis=(1, 2)))
            self.received = (scale[:, None] * np.abs(np.einsum("bkm,bmk->bk", rows, f[..., :users])))[..., None]
            hidden = np.linalg.qr(herm(np, rows @ self.unit), mode="complete")[0][..., users:]
            spent = np.sum(np.abs(f[..., users:]) ** 2, axis=(1, 2))
            level = np.sqrt(spent / np.sum(np.abs(self.unit @ hidden) ** 2, axis=(1, 2)))
            e = np.concatenate([np.zeros((count, n, users)), hidden * (scale * level)[:, None, None]], axis=2)
        y = np.tile(np.eye(users, dtype=complex), (count, 1, 1))
        self.user = np.asarray(known.ris_user)[:, :users].conj() / self.received
        flat = np.concatenate([y.reshape(count, -1), e.reshape(count, -1)], axis=1)
        self.start = np.concatenate([surface, flat.real, flat.imag], axis=1)


class ActiveCrbLandscape(Landscape):
    """Pieces over the surface and over beams that follow it: what users receive (Y) and what they do not see (E).

    `F = L_0 Z`, `Z = E + D^+ (Y - D E)` (N, N), `L_0 L_0^H = R_s` the covariance of bound 8.1, D (K, N) the users' rows
    `h_k^H Psi G L_0`: user k receives column i with amplitude Y_ki, whatever the surface. The first K columns are the users'
    beams, the others the sensing signal, which users receive nothing of (Y = 0 there), as in every optimum; so N columns are
    enough. With `b_1 = tr R / P_0`, `b_2 = tr(S R) / (P_s - s_0)` and both sums S_1, S_2 of the CRB, every piece is free of
    the scale of (Y, E), which `move` keeps:

        s_i = LB / 10 - log10(S_1 S_2 b_i / T),   c_k = log10(|c_k w_k|^2 / (gamma_k (I_k + n_k max_i b_i)))

    Args:
        frame: what defines the coordinates (None: that of `known`).
    """

    def __init__(
        self, system: ActiveCrb, known: ActiveCrbScene, frame: Frame | None = None, dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__(system, features.bare(known), "full", dtype)
        self.moved = frame is not None
        self.frame = frame = Frame(system, features.bare(known)) if frame is None else frame
        self.elements, self.users = system.num_elements, frame.users
        self.surface = self.elements if system.passive else 2 * self.elements
        complex_dtype = torch.complex128 if dtype == torch.float64 else torch.complex64

        def real(array: np.ndarray) -> Tensor:
            return torch.as_tensor(np.ascontiguousarray(array)).to(dtype)

        def whole(array: np.ndarray) -> Tensor:
            return torch.as_tensor(np.ascontiguousarray(array)).to(complex_dtype)

        reference = known.reference
        assert reference is not None
        self.through = whole(np.asarray(known.bs_ris) @ frame.unit)  # G L_0
        self.cost = real(np.sum(np.abs(frame.unit) ** 2, axis=1) / system.power_w)[..., None]
        self.user = whole(np.asarray(known.ris_user)[:, : self.users].conj() / frame.received)
        self.seen_user, self.seen_through = whole(frame.user), whole(frame.through)
        self.amplified = system.noise_surface_w * _abs2(self.user)
        self.noise = real(system.noise_user_w / frame.received[..., 0] ** 2)
        self.response = whole(np.asarray(known.target_response))
        self.spread = real(system.noise_surface_w * np.asarray(reference["response_power"], float))
        self.cap = real(reference["cap"])[:, None]
        self.received_cost = real(system.noise_bs_w * np.asarray(reference["inverse_diagonal"], float))
        self.level = real(np.asarray(reference["lower_bound_db"], float) / 10.0 + math.log10(system.num_snapshots))
        self.threshold = real(np.zeros(0) if system.sinr_threshold is None else system.sinr_threshold)
        self.own = torch.eye(self.users, dtype=torch.bool)

    def on(self, scene: ActiveCrbScene) -> ActiveCrbLandscape:
        """The landscape of another scene (the truth) over the same coordinates."""
        return ActiveCrbLandscape(self.system, scene, self.frame, self.dtype)

    # -- coordinates --------------------------------------------------------------------------------------------------------

    def start(self) -> Tensor:
        """The start rule's surface and beams."""
        return self.move(torch.as_tensor(self.frame.start).to(self.dtype), torch.zeros(()))

    def move(self, x: Tensor, step: Tensor) -> Tensor:
        """Amplitude levels clipped to [-1, 1], phases free, (Y, E) scaled to norm sqrt(N)."""
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
        with torch.no_grad():
            z = self._point(x)[3].numpy()
        f = self.frame.unit @ z
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

    def _point(self, x: Tensor) -> tuple[Tensor, Tensor, _Beams | None, Tensor]:
        """a^2, v, beams and Z of x."""
        n, k = self.elements, self.users
        phase = math.pi * x[:, self.surface - n : self.surface]
        turn = torch.polar(torch.ones_like(phase), phase)
        if self.surface > n:
            amplitude = self.cap * torch.exp(rules.LEVEL_NEPER * (x[:, :n] - 1.0))
        else:
            amplitude = torch.ones_like(phase)
        v, gain = turn * amplitude, amplitude**2
        free = x[:, self.surface :].unflatten(1, (2, -1))
        both = torch.complex(free[:, 0], free[:, 1])
        e = both[:, k * k :].unflatten(1, (n, n))
        if not k:
            return gain, v, None, e
        rows = (self.seen_user * v[:, None]) @ self.seen_through
        gram = _inverse(rows @ rows.mH)
        pseudo = rows.mH @ gram
        wanted = both[:, : k * k].unflatten(1, (k, k))
        change = gram @ (torch.nn.functional.pad(wanted, (0, n - k)) - rows @ e)
        return gain, v, _Beams(rows, pseudo, change, wanted), e + rows.mH @ change

    def _at(self, x: Tensor) -> _At:
        n = self.elements
        gain, v, beams, z = self._point(x)
        through = self.through @ z
        inverse = _inverse(through)
        received = (self.user * v[:, None]) @ through if self.moved or beams is None else beams.wanted
        bs = (self.cost * _abs2(z)).sum((1, 2))
        s1 = (_abs2(inverse) / gain[:, None]).sum((1, 2))
        noisy = self.system.num_elements * self.system.noise_surface_w
        s2 = noisy + (self.received_cost / gain).sum(1)
        noise = self.noise + (self.amplified * gain[:, None]).sum(2)
        if self.surface == n:
            return _At(gain, v, beams, z, through, inverse, received, through, bs[:, None], s1, s2, noise, torch.ones_like(bs))
        back = self.response @ (v[..., None] * through)
        signal = (gain[..., None] * (_abs2(through) + _abs2(back))).sum((1, 2))
        own = 2.0 * self.system.noise_surface_w * gain.sum(1) + (gain * (self.spread @ gain[..., None])[..., 0]).sum(1)
        room = (self.system.surface_power_w - own).clamp_min(1e-3 * self.system.surface_power_w)
        use = torch.stack([bs, signal / room], dim=1)
        return _At(gain, v, beams, z, through, inverse, received, back, use, s1, s2, noise, room)

    def _values(self, at: _At) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Pieces s (B, i), c (B, K); signal powers (B, K) and what they compete with (B, K)."""
        score = self.level[:, None] - torch.log10(at.first * at.second)[:, None] - torch.log10(at.use.clamp_min(TINY))
        power = _abs2(at.received)
        signal = power.diagonal(dim1=1, dim2=2)
        against = (power.sum(2) - signal).clamp_min(0.0) + at.noise * at.use.amax(1, keepdim=True)
        slack = torch.log10((signal / (self.threshold * against)).clamp_min(TINY))
        return score, slack, signal, against

    def pieces(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Pieces s (B, 2) (passive: (B, 1)), c (B, K)."""
        score, slack, _, _ = self._values(self._at(x))
        return score, slack

    def linearise(self, x: Tensor) -> Linear:
        """Pieces, Jacobian, and per element the real part of each piece's derivative with respect to `ln v` as alignment."""
        if self.moved:
            return super().linearise(x)
        at = self._at(x)
        score, slack, signal, against = self._values(at)
        n, k, budgets = self.elements, self.users, at.use.shape[1]
        # with respect to Z (B, N, i, N) and ln v (B, i, N): ln(S_1 S_2), negative, and ln b_i
        spectrum = (at.inverse / at.gain[:, None]) @ at.inverse.mH
        by_x = [at.inverse.mH @ (spectrum / at.first[:, None, None])]
        column = _abs2(at.inverse).sum(1) / (at.gain * at.first[:, None])
        by_v = [(column + self.received_cost / (at.gain * at.second[:, None])).to(at.v.dtype)]
        if budgets == 2:
            surface_by_x, surface_by_v = self._surface(at)
            by_x.append(surface_by_x)
            by_v.append(surface_by_v)
        by_z = (self.through.mH @ torch.cat(by_x, dim=2)).unflatten(2, (len(by_x), n))
        bs = self.cost * at.z / at.use[:, :1, None]
        by_z = torch.cat([by_z[:, :, :1], bs[:, :, None], by_z[:, :, 1:]], dim=2)
        along = torch.stack([by_v[0], torch.zeros_like(at.v), *by_v[1:]], dim=1)
        if at.beams is None:
            gradient = by_z.transpose(1, 2).flatten(2)
        else:
            gradient, follow = self._followed(at, at.beams, by_z)
            along = along + follow
        pieces, element = [gradient[:, :1] - gradient[:, 1:]], [along[:, :1] - along[:, 1:]]
        if at.beams is not None:
            largest = at.use.amax(1, keepdim=True)
            rows, binding = torch.arange(len(x)), 1 + torch.argmax(at.use, dim=1)
            share = at.noise * largest / against  # (B, K)
            factor = torch.where(self.own, (1.0 / signal.clamp_min(TINY))[..., None], -(1.0 / against)[..., None])
            response = torch.eye(k, dtype=x.dtype)[..., None] * (at.beams.wanted * factor)[:, None]  # (B, K, K, K)
            direct = torch.nn.functional.pad(response.flatten(2), (0, n * n))
            pieces.append(direct - share[..., None] * gradient[rows, binding][:, None])
            amplified = self.amplified * at.gain[:, None] * (largest / against)[..., None]
            element.append(-amplified - share[..., None] * along[rows, binding][:, None])
        by_beams, by_surface = (2.0 / LN10) * torch.cat(pieces, dim=1), (2.0 / LN10) * torch.cat(element, dim=1)
        parts = [rules.LEVEL_NEPER * by_surface.real, -math.pi * by_surface.imag, by_beams.real, by_beams.imag]
        jacobian = torch.cat(parts if self.surface > n else parts[1:], dim=2).mT
        real = by_surface.real.mT
        return Linear(score, slack, jacobian, torch.cat([real, real], dim=1) if self.surface > n else real)

    def _followed(self, at: _At, beams: _Beams, by_z: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients with respect to (Y, E), flat (B, i, .), and to ln v by way of the beams (B, i, N), from by_z (B, N, i, N).

        `dZ = P dE + D^+ dY - D^+ dD Z + P dD^H (D D^H)^-1 (Y - D E)`, P the projector off the rows of D.
        """
        k, count = self.users, by_z.shape[2]
        flat = by_z.flatten(2)
        by_y = beams.pseudo.mH @ flat
        by_e = (flat - beams.rows.mH @ by_y).unflatten(2, (count, -1))
        by_y = by_y.unflatten(2, (count, -1))  # (B, K, i, N)
        first = (by_e.flatten(1, 2).conj() @ beams.change.mT).unflatten(1, (-1, count))  # (B, N, i, K)
        second = (by_y.flatten(1, 2) @ at.z.mH).unflatten(1, (k, count))  # (B, K, i, N)
        by_rows = first.permute(0, 3, 2, 1) - second
        turned = (by_rows.conj().flatten(1, 2) @ self.seen_through.mT).unflatten(1, (k, count))
        follow = ((self.seen_user * at.v[:, None])[:, :, None] * turned).sum(1)
        return torch.cat([by_y[..., :k].transpose(1, 2).flatten(2), by_e.transpose(1, 2).flatten(2)], dim=2), follow

    def _surface(self, at: _At) -> tuple[Tensor, Tensor]:
        """Gradients of `ln b_2` with respect to X (B, N, N) and ln v (B, N)."""
        reflected = at.v[..., None] * at.x
        returned = self.response.mH @ (at.gain[..., None] * at.back)
        total = (at.use[:, 1] * at.room)[:, None]
        by_x = at.v.conj()[..., None] * (reflected + returned) / total[..., None]
        first = at.gain * (_abs2(at.x) + _abs2(at.back)).sum(2)
        spread = at.gain * ((self.spread + self.spread.mT) @ at.gain[..., None])[..., 0]
        own = 2.0 * self.system.noise_surface_w * at.gain + spread
        return by_x, (first + (returned.conj() * reflected).sum(2)) / total + own / at.room[:, None]


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
