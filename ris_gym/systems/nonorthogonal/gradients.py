"""Derivative of the weighted objective with respect to the phases, in closed form (numpy); tested equal to autodiff.

With the moments m = xi @ products and `dV = sum_P Re(conj(C_P) d m_P)` it is
`dV / d theta_l = -Im(xi_l sum_P conj(C_P) products_lP)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ris_gym.arrays import abs2
from ris_gym.systems.nonorthogonal import physics
from ris_gym.systems.nonorthogonal.records import NonOrthogonalScene

if TYPE_CHECKING:
    from ris_gym.systems.nonorthogonal.system import NonOrthogonal

LOG10 = float(np.log(10.0))


def objective(
    system: NonOrthogonal, scene: NonOrthogonalScene, coefficients: np.ndarray, level: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """V per block (B, n) of coefficients (B, n, L), and its derivative with respect to their phases (B, n, L)."""
    assert scene.reference is not None
    moment = physics.moments(np, scene, coefficients)
    found = physics.values(system, np, scene, moment, level)
    weights = adjoint(system, scene, moment, found)
    rows = (scene.reference["products"] @ np.conj(weights)[..., None])[..., 0]
    return physics.objective(system, np, found), -np.imag(coefficients * rows)


def adjoint(
    system: NonOrthogonal, scene: NonOrthogonalScene, moment: np.ndarray, found: physics.Values
) -> np.ndarray:
    """C (B, n, P) of the docstring above: sum over both bounds of their weight times the derivative of their lg."""
    out = np.zeros_like(moment)
    zeta, rest = system.weight / LOG10, (1.0 - system.weight) / LOG10
    g1, g2 = moment[..., 0], moment[..., 1]
    free1, free2 = (abs2(np, g) > physics.LEAST_GAIN**2 for g in (g1, g2))
    if system.two_user:
        out[..., 0] = np.where(free1, -2.0 * zeta * g1 / found.power_comm, 0.0)
        out[..., 1] = np.where(free2, -2.0 * rest * g2 / found.power_sense, 0.0)
        return out
    power, p, q, x = _log_derivatives(system, scene, found, zeta, rest)
    out[..., 0] += np.where(free1, -2.0 * zeta * g1 / found.power_comm, 0.0)
    out[..., 1] += np.where(free2, 2.0 * power * g2, 0.0)
    half = 0.5 * np.angle(scene.reference["square"])  # type: ignore[index]
    turn = np.exp(1j * (half - np.angle(g1))).astype(moment.dtype)
    towards_phase = 0.0
    for i in range(2):
        slope = p[i] + 1j * q[i]  # dV = Re(conj(slope) dr')
        value = x[0][i] + 1j * x[1][i]  # r'
        pulled = np.conj(turn) * slope  # dV = Re(conj(pulled) dr)
        out[..., 1] += float(system.user_centre[i]) * pulled
        out[..., 2 + i] -= pulled
        towards_phase = towards_phase + np.imag(np.conj(slope) * value)
    # dV = h d arg(g_1), d arg(g_1) = Im(d g_1 / g_1) = Re(conj(j / conj(g_1)) d g_1)
    out[..., 0] += np.where(free1, towards_phase * 1j * g1 / found.power_comm, 0.0)
    return out


def _log_derivatives(
    system: NonOrthogonal, scene: NonOrthogonalScene, found: physics.Values, zeta: float, rest: float
) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray], tuple]:
    """Derivatives of `zeta ln CRLB_x + rest ln CRLB_angle` with respect to |g_2|^2, p and q (|g_1|^2 left out), and (p, q)."""
    reference, m = scene.reference, found.fisher
    assert reference is not None and m.p is not None and m.q is not None and m.c_p is not None and m.c_q is not None
    (ay, az), (py, pz), (qy, qz), c_p, c_q, det = m.alpha, m.p, m.q, m.c_p, m.c_q, m.det
    cross = py * qz - pz * qy
    # derivatives of det: alpha_y, alpha_z, p_y, p_z, q_y, q_z
    ddet = [
        az + c_p * pz**2 + c_q * qz**2,
        ay + c_p * py**2 + c_q * qy**2,
        2.0 * c_p * (az * py + c_q * cross * qz),
        2.0 * c_p * (ay * pz - c_q * cross * qy),
        2.0 * c_q * (az * qy - c_p * cross * pz),
        2.0 * c_q * (ay * qz + c_p * cross * py),
    ]
    total = [0.0 * det for _ in range(6)]

    def add(weight: np.ndarray | float, top: np.ndarray, slopes: list[np.ndarray | float]) -> None:
        """weight times the derivative of top / det."""
        for i in range(6):
            total[i] += weight * (slopes[i] - top * ddet[i] / det) / det

    factor = reference["factor"]
    angle = 2.0 * found.crlb_angle
    level = angle / sum(m.inverse_form(factor[..., 0, i], factor[..., 1, i]) for i in range(2))  # 1 / a
    for i in range(2):
        fy, fz = factor[..., 0, i], factor[..., 1, i]
        along_p, along_q = fy * pz - fz * py, fy * qz - fz * qy
        top = az * fy**2 + ay * fz**2 + c_p * along_p**2 + c_q * along_q**2
        slopes = [
            fz**2, fy**2, -2.0 * c_p * along_p * fz, 2.0 * c_p * along_p * fy, -2.0 * c_q * along_q * fz,
            2.0 * c_q * along_q * fy,
        ]  # fmt: skip
        add(rest * level / angle, top, slopes)
    kind = system.fisher
    if kind != "known":
        d_p, d_q = physics.symbol_weights(np, reference["energy"], reference["square"], kind)
        own = (2.0 if kind == "complex" else 1.0) / system.num_user_antennas
        terms = (d_p * m.inverse_form(py, pz), d_q * m.inverse_form(qy, qz))
        share = zeta / ((own + (terms[0] + terms[1]) / system.num_slots) * system.num_slots)
        slopes_p = [pz**2, py**2, 2.0 * (az * py + c_q * cross * qz), 2.0 * (ay * pz - c_q * cross * qy),
                    -2.0 * c_q * cross * pz, 2.0 * c_q * cross * py]  # fmt: skip
        slopes_q = [qz**2, qy**2, 2.0 * c_p * cross * qz, -2.0 * c_p * cross * qy,
                    2.0 * (az * qy - c_p * cross * pz), 2.0 * (ay * qz + c_p * cross * py)]  # fmt: skip
        add(share * d_p, az * py**2 + ay * pz**2 + c_q * cross**2, slopes_p)
        add(share * d_q, az * qy**2 + ay * qz**2 + c_p * cross**2, slopes_q)
    spread = reference["energy"]
    power = spread * (system.user_spread[0] * total[0] + system.user_spread[1] * total[1])
    return power, total[2:4], total[4:6], (m.p, m.q)
