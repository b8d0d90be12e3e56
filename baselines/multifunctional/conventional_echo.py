"""Surfaces whose echo returns to the BS over four hops (`star`, `active`, `passive`): values and derivatives in scaled units.

In the units of `units.Channels` and with V = H W, rho_l = a_l^* o theta_i (l on side i), e_il = u_i^H eta_l^T,
f_l = rho_l V and the filter u_i of unit length:

    gamma_i = S_i / I_i,   S_i = || sum_{l in i} alpha_l e_il f_l ||^2,
    I_i = || sum_{l not in i} alpha_l e_il f_l ||^2 + 1
          + c sum_jm |x_im|^2 |theta_jm|^2 + d sum_j || sum_{l in j} alpha_l e_il rho_l ||^2,

x_i = H u_i^*. Every product is of fourth order in theta at most, so the derivatives below are exact and need no linearisation.

Source: arXiv 2412.01251, the benchmarks; model page, sections 4 (echo of the other kinds), 7.5 and 7.2 (Lemma 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baselines.multifunctional.filters import best_filters
from baselines.multifunctional.records import Rows
from baselines.multifunctional.units import FLOOR, Channels
from baselines.tools.linalg import Array, ComplexArray, abs2, herm

__all__ = ["Echo", "FourHop", "utility"]


@dataclass(frozen=True, kw_only=True)
class Echo:
    """What depends on (W, theta): signal and interference of each side at the filter `u`, and the ingredients.

    Attributes:
        signal, interference: (B, 2) S_i and I_i (the noise included). u: (B, 2, N) filters.
        incident: (B, M, S) V. rho: (B, L, M). forward: (B, L, S) f_l. back: (B, 2, L) e_il. filtered: (B, 2, M) x_i.
        far: (B, 2, 2, M) sum_{l in j} alpha_l e_il rho_l (first axis i); None without surface noise.
    """

    signal: Array
    interference: Array
    u: ComplexArray
    incident: ComplexArray
    rho: ComplexArray
    forward: ComplexArray
    back: ComplexArray
    filtered: ComplexArray
    far: ComplexArray | None

    @property
    def gamma(self) -> Array:
        """Echo SINR of each side (B, 2), linear."""
        return self.signal / self.interference


@dataclass(frozen=True, kw_only=True)
class FourHop(Rows):
    """`Channels` of kind star, active or passive with what the formulas above need besides.

    Attributes:
        channels: (B scenes). form: "db", "sum" or "log".
        user_path: (B, K, M) g_k^*, so that h_k^H W = (user_path_k o theta_i) V. steering: (B, L, M) a_l^*.
        echo_noise: (B, 2) c and d of the formula above; 0 without surface noise.
    """

    channels: Channels
    form: str
    user_path: ComplexArray
    steering: ComplexArray
    echo_noise: Array

    @classmethod
    def of(cls, channels: Channels, form: str | None = None) -> FourHop:
        """From `Channels`; form None: theirs.

        Raises:
            ValueError: the kind is mf (its echo has two hops and sensors of its own).
        """
        if channels.kind == "mf":
            raise ValueError("channels must be of kind 'star', 'active' or 'passive', got 'mf'")
        noise = channels.surface_noise
        return cls(
            channels=channels,
            form=form or channels.form,
            user_path=channels.ris_user.conj(),
            steering=channels.target_steering.conj(),
            echo_noise=np.stack([noise * channels.return_gain, noise], axis=1),
        )

    @property
    def bs_ris(self) -> ComplexArray:
        """H (B, M, N)."""
        return self.channels.bs_ris

    @property
    def gain(self) -> ComplexArray:
        """alpha_l (B, L)."""
        return self.channels.target_gain

    @property
    def target_side(self) -> NDArray[np.int64]:
        """(L,)."""
        return self.channels.target_side

    def echo(self, w: ComplexArray, theta: ComplexArray, u: ComplexArray | None = None) -> Echo:
        """Signal and interference at W (B, N, S), theta (B, 2, M) and filters u (B, 2, N); None: those of Lemma 1."""
        if u is None:
            u = best_filters(self.channels.echoes(theta), w)[0]
        v = self.bs_ris @ w
        rho = self.steering * theta[:, self.target_side]
        forward = rho @ v
        filtered = u.conj() @ np.swapaxes(self.bs_ris, 1, 2)
        back = filtered @ np.swapaxes(rho, 1, 2)
        product = self.gain[:, None, :] * back
        own = self.target_side == np.arange(2)[:, None]
        signal = abs2((product * own) @ forward).sum(-1)
        interference = abs2((product * ~own) @ forward).sum(-1) + 1.0
        far = None
        if self.channels.budget:
            far = np.stack([(product * own[j]) @ rho for j in (0, 1)], axis=2)
            interference += self.echo_noise[:, :1] * (abs2(filtered) @ abs2(theta).sum(1)[..., None])[..., 0]
            interference += self.echo_noise[:, 1:] * abs2(far).sum((2, 3))
        return Echo(
            signal=signal,
            interference=interference,
            u=u,
            incident=v,
            rho=rho,
            forward=forward,
            back=back,
            filtered=filtered,
            far=far,
        )

    def echo_gradient(
        self, theta: ComplexArray, echo: Echo, signal: Array, interference: Array, beams: bool = False
    ) -> tuple[ComplexArray, ComplexArray | None]:
        """Gradients of sum_i signal_i S_i + interference_i I_i at a fixed filter, with (B, 2) weights.

        By the envelope theorem this is also the gradient of functions of gamma_i with the filter of Lemma 1 eliminated.

        Returns:
            2 d / d theta^* (B, 2, M), mask not applied; and 2 d / d V^* (B, M, S) if `beams`, else None.
        """
        own = self.target_side == np.arange(2)[:, None]
        product = self.gain[:, None, :] * echo.back
        # cotangents of e (2, L) and of f (L, S); own and other side weigh differently
        weight = np.where(own, signal[..., None], interference[..., None])
        sums = [(product * keep) @ echo.forward for keep in (own, ~own)]
        inner = [total @ herm(echo.forward) for total in sums]
        d_back = 2.0 * weight * self.gain.conj()[:, None, :] * np.where(own, inner[0], inner[1])
        left = np.swapaxes(product, 1, 2).conj() * 2.0
        d_forward = (left * np.swapaxes(own * signal[..., None], 1, 2)) @ sums[0]
        d_forward += (left * np.swapaxes(~own * interference[..., None], 1, 2)) @ sums[1]
        d_rho = d_forward @ herm(echo.incident)
        gradient = np.zeros_like(theta)
        if self.channels.budget:
            assert echo.far is not None
            d_far = (2.0 * interference * self.echo_noise[:, 1:])[..., None, None] * echo.far
            for j in (0, 1):
                d_back += np.where(own[j], self.gain.conj()[:, None, :] * (d_far[:, :, j] @ herm(echo.rho)), 0.0)
                d_rho += np.where(own[j][:, None], np.swapaxes(product, 1, 2).conj() @ d_far[:, :, j], 0.0)
            load = (2.0 * interference * self.echo_noise[:, :1])[..., None] * abs2(echo.filtered)
            gradient += load.sum(1)[:, None, :] * theta
        d_rho += np.swapaxes(d_back, 1, 2) @ echo.filtered.conj()
        d_rho *= self.steering.conj()
        for i in (0, 1):
            gradient[:, i] += d_rho[:, self.target_side == i].sum(1)
        return gradient, (herm(echo.rho) @ d_forward if beams else None)

    # -- users and surface power --------------------------------------------------------------------------------------------
    def users(self, theta: ComplexArray, incident: ComplexArray) -> tuple[ComplexArray, Array, Array]:
        """h_k^H W (B, K, S), signal (B, K) and noise with interference (B, K) at theta and V (B, M, S)."""
        paths = self.user_path * theta[:, self.channels.user_side]
        received = paths @ incident
        power = abs2(received)
        index = np.arange(power.shape[1])
        own = power[:, index, index]
        noise = 1.0 + self.channels.surface_noise[:, None] * abs2(paths).sum(-1)
        return received, own, power.sum(-1) - own + noise

    def user_ratio(self, theta: ComplexArray, incident: ComplexArray) -> Array:
        """ln(SINR_k / Gamma) (B, K); needs Gamma > 0."""
        _, own, rest = self.users(theta, incident)
        return np.log(np.maximum(own, 1e-300) / np.maximum(self.channels.threshold * rest, 1e-300))

    def user_gradient(self, theta: ComplexArray, incident: ComplexArray, weight: Array) -> tuple[ComplexArray, ComplexArray]:
        """Gradients 2 d / d theta^* (B, 2, M) and 2 d / d V^* (B, M, S) of sum_k weight_k ln SINR_k, weight (B, K)."""
        received, own, rest = self.users(theta, incident)
        paths = self.user_path * theta[:, self.channels.user_side]
        index = np.arange(own.shape[1])
        share = weight / rest
        cotangent = -2.0 * share[..., None] * received
        cotangent[:, index, index] = 2.0 * weight / np.maximum(own, 1e-300) * received[:, index, index]
        d_paths = cotangent @ herm(incident)
        d_paths -= 2.0 * (share * self.channels.surface_noise[:, None])[..., None] * paths
        d_paths *= self.user_path.conj()
        gradient = np.stack([d_paths[:, self.channels.user_side == i].sum(1) for i in (0, 1)], axis=1)
        return gradient, herm(paths) @ cotangent

    def surface_use(self, theta: ComplexArray, incident: ComplexArray) -> Array:
        """P_surf / P_MF (B,); means nothing without a budget."""
        return (abs2(theta).sum(1) * self.burden(incident)).sum(-1)

    def burden(self, incident: ComplexArray) -> Array:
        """inc_m^2 over P_MF (B, M): P_surf / P_MF = sum_im |theta_im|^2 burden_m."""
        return abs2(incident).sum(-1) + self.channels.surface_noise[:, None]


def utility(form: str, gamma: Array) -> tuple[Array, Array]:
    """U of section 7.5 in nepers and dU / d gamma_i: "db" (1/2) sum ln gamma, "sum" ln sum gamma, "log" sum ln(1 + gamma).

    Args:
        form: of the objective. gamma: (B, 2), linear; below the floor of -100 dB the derivative of "db" is that at the floor.

    Returns:
        (B,) and (B, 2).

    Raises:
        ValueError: an unknown form.
    """
    gamma = np.maximum(gamma, FLOOR)
    if form == "db":
        return 0.5 * np.log(gamma).sum(-1), 0.5 / gamma
    if form == "sum":
        total = gamma.sum(-1)
        return np.log(total), np.repeat(1.0 / total[:, None], 2, axis=1)
    if form == "log":
        return np.log1p(gamma).sum(-1), 1.0 / (1.0 + gamma)
    raise ValueError(f"form must be 'db', 'sum' or 'log', got {form!r}")
