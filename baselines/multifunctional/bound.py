"""Certified upper bound of the objective over all beams, coefficients and filters, in closed form up to one number.

With `t_i = sum_m |theta_im|^2 ||[H W]_m||^2` every design that meets the hard constraints has

    gamma_i <= g_i(t_i) = kappa c_i t_i / (kappa + c_i t_i),   t_r + t_t <= T,
    c_i = ||A_i||_2^2 / sigma_e^2,   kappa = P_BS ||H||_2^2 / sigma_s^2,
    T = min(P_MF / (1 + rho), beta_max ||H||_2^2 P_BS),   rho = sigma_s^2 / (P_BS max_m ||H_m||^2):

the echo cannot carry more than `||A_i||^2 t_i`, after any filter the signal is at most kappa times the amplified noise
(`W W^H <= P_BS I`), and the surface radiates at least `(1 + rho) t`. The best split `x` of T is the maximum of a concave
function `f`; whatever the search ends at, its tangent `f(x) + max(f'(x) (1 - x), -f'(x) x)` bounds it from above. With time
switching `gamma_i <= lambda_i g_i(T)` and `x` is the time of side r. Rates and direct interference are left out.

Source: ours; model page, section 8.1 (system of arXiv 2412.01251).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from baselines.multifunctional.units import FLOOR
from baselines.policy import Bound
from baselines.tools.linalg import Array, abs2

STEPS = 50
"""Bisections of the split."""
SLACK = 1e-8
"""Relative excess of T that covers the tolerance of the hard constraints; the same in the bound covers rounding."""


def utility(form: str, gamma: Array) -> tuple[Array, Array]:
    """The objective (B,) at echo SINRs (B, 2) > 0 and its derivatives (B, 2): `log` in bit, `sum` and `db` in dB.

    Raises:
        ValueError: another form.
    """
    decibel = 10.0 / np.log(10.0)
    if form == "log":
        return np.log1p(gamma).sum(-1) / np.log(2.0), 1.0 / (np.log(2.0) * (1.0 + gamma))
    if form == "sum":
        total = gamma.sum(-1)
        return decibel * np.log(total), np.broadcast_to(decibel / total[:, None], gamma.shape)
    if form == "db":
        return 0.5 * decibel * np.log(gamma).sum(-1), 0.5 * decibel / gamma
    raise ValueError(f"form must be 'log', 'sum' or 'db', got {form!r}")


def echo_limits(kappa: Array, c: Array, t: Array) -> tuple[Array, Array]:
    """`g_i(t_i)` (B, 2) and its derivative from kappa (B,), c (B, 2) and t (B, 2)."""
    reach = c * t
    share = kappa[:, None] / (kappa[:, None] + reach)
    return share * reach, share**2 * c


def best_split(form: str, kappa: Array, c: Array, total: Array, switching: bool = False) -> tuple[Array, Array]:
    """Upper bound of the largest utility (B,) over splits of `total` (B,) between the sides, and the split it was found at.

    Args:
        form: `log`, `sum` or `db`; kappa: (B,); c: (B, 2); total: (B,) T.
        switching: split the time instead, with all of T in both slots.
    """
    ends = echo_limits(kappa, c, np.repeat(total[:, None], 2, axis=1))[0]

    def at(x: Array) -> tuple[Array, Array]:
        split = np.stack([x, 1.0 - x], axis=1)
        if switching:
            gamma, slope = split * ends, ends
        else:
            gamma, slope = echo_limits(kappa, c, split * total[:, None])
            slope = slope * total[:, None]
        # the objective floors both echo SINRs
        value, weight = utility(form, gamma + FLOOR)
        change = weight * slope
        return value, change[:, 0] - change[:, 1]

    low, high = np.zeros_like(total), np.ones_like(total)
    for _ in range(STEPS):
        x = 0.5 * (low + high)
        rising = at(x)[1] > 0
        low, high = np.where(rising, x, low), np.where(rising, high, x)
    x = 0.5 * (low + high)
    value, slope = at(x)
    return value + np.maximum(slope * (1.0 - x), -slope * x), x


def norms(system: Any, scene: Any) -> tuple[Array, Array, Array]:
    """kappa (B,), c (B, 2) and T (B,) in W of true scenes of kind `mf`."""
    h = np.asarray(scene.bs_ris, dtype=complex)
    strongest = np.linalg.norm(h, 2, axis=(1, 2)) ** 2
    row = abs2(h).sum(-1).max(-1)
    noise, power = float(system.noise_surface_w), float(system.power_w)
    t = np.minimum(system.surface_power_w * power * row / (power * row + noise), system.max_gain * strongest * power)
    b, a = np.asarray(scene.sensor_steering, dtype=complex), np.asarray(scene.target_steering, dtype=complex)
    alpha = np.asarray(scene.target_gain, dtype=complex)
    c = np.stack(
        [
            np.linalg.norm(b[:, s].mT * alpha[:, None, s] @ a[:, s].conj(), 2, axis=(1, 2)) ** 2 / system.noise_sensor_w
            for s in system.target_slices
        ],
        axis=1,
    )
    return power * strongest / noise, c, t


def joint_bound(system: Any, scene: Any) -> Bound:
    """Upper bound of the objective per scene, in its unit.

    Kind `mf`: certified (mode switching: the value of energy splitting). Other kinds: no bound is known, +inf and `unknown`.
    """
    count = len(scene)
    if system.kind != "mf":
        return Bound(value=np.full(count, np.inf), status=np.full(count, "unknown", dtype="<U10"))
    kappa, c, total = norms(system, scene)
    value, _ = best_split(system.form, kappa, c, (1.0 + SLACK) * total, system.time_switching)
    value = value + SLACK * np.maximum(np.abs(value), 1.0)
    return Bound(value=value, status=np.full(count, "certified", dtype="<U10"))
