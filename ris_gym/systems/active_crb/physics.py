"""Surface power, SINR and Cramér-Rao bound of `active_crb` (model page, section 4). Array-API generic.

Everything follows from `X = G F` (B, N, C), what the columns of `F = [W, L]` send through the surface's elements:
`G R G^H = X X^H`, `c_k F = (conj(h_k) * v) X`. Scaling F scales X, so a design scaled to its budgets needs no second product.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ris_gym.arrays import Array, abs2, at_least, energy, herm
from ris_gym.geometry import steering_vector
from ris_gym.linear import inverse_gram_diagonal
from ris_gym.systems.active_crb.records import ActiveCrbDesign, ActiveCrbMetrics, ActiveCrbScene
from ris_gym.systems.base import FEASIBLE_MARGIN, decibel

if TYPE_CHECKING:
    from ris_gym.systems.active_crb.system import ActiveCrb

MARGIN_LIMIT_DB = 40.0
COST_LIMIT = 3.0
OBJECTIVE_RANGE_DB = 100.0
SCORE_FLOOR = -6.0
FLOOR_DB = -300.0
SURFACE = ("surface_power_w", "first_pass_w", "second_pass_w", "surface_slack_db", "surface_room_db")
"""Metrics that only an active surface has."""


@dataclass
class Passes:
    """Power that the surface radiates, split into the part that scales with R and its own noise, each (B,), W.

    `per_element` (B, N): energy `[G R G^H]_nn` that arrives at each element, W.
    """

    first: Array
    second: Array
    first_noise: Array
    second_noise: Array
    per_element: Array

    @property
    def noise(self) -> Array:
        """`s_0`, (B,)."""
        return self.first_noise + self.second_noise

    @property
    def signal(self) -> Array:
        """`tr(S R)`, (B,)."""
        return self.first + self.second

    def scaled(self, factor: Array) -> Passes:
        """For `R` times `factor` (B,)."""
        return Passes(
            self.first * factor, self.second * factor, self.first_noise, self.second_noise, self.per_element * factor[:, None]
        )


def passes(system: ActiveCrb, xp: Any, scene: ActiveCrbScene, v: Array, x: Array) -> Passes | None:
    """Both passes' powers (6) of coefficients v (B, N) and X (B, N, C); None for a passive surface."""
    if system.passive:
        return None
    noise = system.noise_surface_w
    gain = abs2(xp, v)
    per_element = energy(xp, x)
    returned = energy(xp, scene.target_response @ (v[..., None] * x))
    first_noise = noise * xp.sum(gain, axis=-1)
    assert scene.reference is not None
    spread = (scene.reference["response_power"] @ gain[..., None])[..., 0]
    return Passes(
        first=xp.sum(gain * per_element, axis=-1),
        second=xp.sum(gain * returned, axis=-1),
        first_noise=first_noise,
        second_noise=first_noise + noise * xp.sum(gain * spread, axis=-1),
        per_element=per_element,
    )


def evaluate(
    system: ActiveCrb,
    xp: Any,
    scene: ActiveCrbScene,
    design: ActiveCrbDesign,
    x: Array | None = None,
    spent: Array | None = None,
    radiated: Passes | None = None,
    inverse: tuple[Array, Array] | None = None,
) -> ActiveCrbMetrics:
    """Metrics of a design; X, `tr R`, the surface's powers and `inverse_gram_diagonal(X)` where they are known."""
    v, reference = design.coefficients, scene.reference
    assert reference is not None
    if x is None or spent is None:
        f = design.all_beams
        x, spent = scene.bs_ris @ f, energy(xp, xp.reshape(f, (f.shape[0], f.shape[1] * f.shape[2])))
    if radiated is None:
        radiated = passes(system, xp, scene, v, x)
    diagonal, regular = inverse_gram_diagonal(xp, x) if inverse is None else inverse
    bound = reference["lower_bound_db"]
    gain = abs2(xp, v)
    crb = (xp.sum(diagonal / gain, axis=-1) / system.num_snapshots) * (
        system.num_elements * system.noise_surface_w
        + system.noise_bs_w * xp.sum(reference["inverse_diagonal"] / gain, axis=-1)
    )
    tiny = max(10.0 ** (FLOOR_DB / 10.0), 10.0 * float(xp.finfo(crb.dtype).smallest_normal))
    objective = xp.where(regular, decibel(crb, tiny), bound + OBJECTIVE_RANGE_DB)
    objective = xp.minimum(objective, bound + OBJECTIVE_RANGE_DB)
    gap = objective - bound
    margins, sinr_db = margins_of(system, xp, scene, v, x)
    if margins is None:
        cost, feasible = 0.0 * gap, gap == gap
        soft: dict[str, Array] = {}
    else:
        cost = xp.sum(xp.clip(-margins / 10.0, 0.0, COST_LIMIT), axis=-1)
        feasible = xp.all(margins >= FEASIBLE_MARGIN, axis=-1)
        soft = {"sinr": margins}
    surface: dict[str, Array | None] = dict.fromkeys(SURFACE)
    use = [spent / system.power_w]
    if radiated is not None:
        first, second = radiated.first + radiated.first_noise, radiated.second + radiated.second_noise
        both = first + second
        use += [both / system.surface_power_w, radiated.signal / room_w(system, xp, radiated)]
        surface = {"surface_power_w": both, "first_pass_w": first, "second_pass_w": second}
    slack = -decibel(xp.stack(use), 1e-6)
    if radiated is not None:
        surface |= {"surface_slack_db": slack[1], "surface_room_db": slack[2]}
    return ActiveCrbMetrics(
        objective=objective,
        score=at_least(xp, -gap / 10.0, SCORE_FLOOR),
        cost=cost,
        feasible=feasible,
        margins=soft,
        nmse_bound_db=at_least(xp, objective - reference["response_db"], FLOOR_DB),
        gap_db=gap,
        sinr_db=sinr_db,
        rate=xp.log1p(10.0 ** (sinr_db / 10.0)) / math.log(2.0),
        min_sinr_margin_db=None if margins is None else xp.min(margins, axis=-1),
        power_w=spent,
        power_slack_db=slack[0],
        **surface,
    )


def room_w(system: ActiveCrb, xp: Any, radiated: Passes) -> Array:
    """What the surface's noise leaves of its budget, `P_s - s_0`, (B,), W; the cap of section 3 keeps it at P_s / 2 or more."""
    return at_least(xp, system.surface_power_w - radiated.noise, 1e-6 * system.surface_power_w)


def user_noise(system: ActiveCrb, xp: Any, scene: ActiveCrbScene, v: Array) -> Array:
    """`n_k = sigma_r^2 sum_n |h_kn|^2 a_n^2 + sigma_u^2`, (B, K), W."""
    if system.passive:
        return system.noise_user_w + 0.0 * abs2(xp, scene.ris_user[..., 0])
    amplified = (abs2(xp, scene.ris_user) @ abs2(xp, v)[..., None])[..., 0]
    return system.noise_surface_w * amplified + system.noise_user_w


def margins_of(system: ActiveCrb, xp: Any, scene: ActiveCrbScene, v: Array, x: Array) -> tuple[Array | None, Array]:
    """SINR margins clipped to [-40, 40] dB (None: sensing only) and SINR in dB, at least -60, (B, K) each."""
    at_users = (xp.conj(scene.ris_user) * v[:, None, :]) @ x
    power = abs2(xp, at_users)
    signal = xp.linalg.diagonal(power[..., : system.num_users])
    other = xp.sum(power, axis=-1) - signal
    sinr = signal / (at_least(xp, other, 0.0) + user_noise(system, xp, scene, v))
    sinr_db = decibel(sinr, 1e-6)
    if system.threshold_constants is None:
        return None, sinr_db
    needed = sinr / system.threshold_constants(xp, sinr)
    margins = 10.0 * xp.log10(xp.clip(needed, 10.0 ** (-MARGIN_LIMIT_DB / 10.0), 10.0 ** (MARGIN_LIMIT_DB / 10.0)))
    return margins, sinr_db


def bayes_mse_db(system: ActiveCrb, scene: ActiveCrbScene, design: ActiveCrbDesign, prior_scale: Any = 1.0) -> np.ndarray:
    """MSE of the linear estimator with prior variance `rho = prior_scale ||H||_F^2 / N^2` over `||H||_F^2`, dB, (B,). numpy.

    `MSE = sum_ij 1 / (T f_i g'_j + 1 / rho)`, f the eigenvalues of `A G R G^H A`, `g' = g / (sigma_b^2 + sigma_r^2 g)`, g those
    of `A G G^H A` (model page, section 4). Finite for every R, at most N^2 rho.
    """
    amplitude = np.abs(design.coefficients)[..., None]
    through = amplitude * (scene.bs_ris @ design.all_beams)
    f = np.linalg.svd(through, compute_uv=False) ** 2
    g = np.linalg.svd(amplitude * scene.bs_ris, compute_uv=False) ** 2
    received = g / (system.noise_bs_w + system.noise_surface_w * g)
    total = np.sum(abs2(np, scene.target_response), axis=(1, 2))
    inverse_prior = system.num_elements**2 / (total * prior_scale)
    terms = system.num_snapshots * f[:, :, None] * received[:, None, :] + inverse_prior[:, None, None]
    return 10.0 * np.log10(np.sum(1.0 / terms, axis=(1, 2)) / total)


def neglected_noise_db(scene: ActiveCrbScene, design: ActiveCrbDesign) -> np.ndarray:
    """Power of the neglected noise `G^T Psi H Psi N_1` at the BS over that of `G^T Psi N_2`, dB, (B,). numpy."""
    back = np.swapaxes(design.coefficients[..., None] * scene.bs_ris, 1, 2)
    twice = (back @ scene.target_response) * design.coefficients[:, None, :]
    ratio = np.sum(abs2(np, twice), axis=(1, 2)) / np.sum(abs2(np, back), axis=(1, 2))
    return np.maximum(10.0 * np.log10(np.maximum(ratio, 1e-300)), -300.0)


def radiated_w(system: ActiveCrb, scene: ActiveCrbScene, design: ActiveCrbDesign, psi: np.ndarray) -> np.ndarray:
    """`a^H(psi) Psi (G R G^H + sigma_r^2 I) Psi^H a(psi)`, (B, n), W: the first pass by direction (its mean: its power)."""
    responses = steering_vector(system.num_elements, psi).conj()  # (n, N)
    x = design.coefficients[..., None] * (scene.bs_ris @ design.all_beams)
    noise = system.noise_surface_w * np.sum(abs2(np, design.coefficients), axis=-1, keepdims=True)
    return np.asarray(np.sum(abs2(np, responses @ x), axis=-1) + noise)


def effective_rows(xp: Any, scene: ActiveCrbScene, v: Array) -> Array:
    """Rows `c_k = h_k^H Psi G`, (B, K, M)."""
    return (xp.conj(scene.ris_user) * v[:, None, :]) @ scene.bs_ris


def quadratic(xp: Any, x: Array) -> Array:
    """`X X^H`, (B, N, N)."""
    return x @ herm(xp, x)
