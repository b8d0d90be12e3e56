"""Certified upper bound of the joint problem (P1): lift z = [u; x], |u_n| = |(G x)_n|, and drop the rank of E[z z^H].

    max t  s.t.  a_l^H U a_l >= t,  U_nn = (G R G^H)_nn,  h~_k^H Z h~_k >= Gamma_k sigma^2,  tr R <= P,  Z = [U C; C^H R] >= 0

A negative dual value proves that no design meets the SINR constraints.

Source: ours; beampattern page, section 8.3. It holds for every scheme of arXiv 2111.13511.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baselines.beampattern.units import Scaled, limit
from baselines.tools.dual_ipm import DualProblem, solve_dual
from baselines.tools.linalg import Array, abs2, herm


def bound_problem(scaled: Scaled) -> tuple[DualProblem, Array]:
    """The dual of the lifted problem in scaled units; variables z = (y_1..N, p, lambda_1..L, mu_1..K).

    Returns:
        The problem and the gain (B,) in scaled units that its unit of value stands for.
    """
    elements, antennas, users, angles = scaled.sizes
    count = len(scaled)
    g = scaled.bs_ris
    # p = 2 lambda_max(G^H G) p', by scaling the lower block with 1 / sqrt(2 lambda_max): y = p' = 1 is interior
    top = np.maximum(2.0 * np.linalg.eigvalsh(herm(g) @ g)[:, -1], 1e-12)
    root = np.sqrt(top)[:, None]
    m = elements + 1 + angles + users
    columns = np.zeros((count, elements + antennas, elements + angles + users), complex)
    columns[:, elements:, :elements] = herm(g) / root[:, :, None]
    columns[:, :elements, elements : elements + angles] = scaled.steering.T / np.sqrt(elements)
    h_r, h_d = np.swapaxes(scaled.ris_user, -1, -2), np.swapaxes(scaled.bs_user, -1, -2) / root[:, :, None]
    ease = limit(np.sqrt(abs2(h_r).sum(1) + abs2(h_d).sum(1)))
    columns[:, :elements, elements + angles :] = h_r / ease[:, None, :]
    columns[:, elements:, elements + angles :] = h_d / ease[:, None, :]
    kind = np.repeat([0, 1, 2, 3], [elements, 1, angles, users])
    weights = np.zeros((1, columns.shape[-1], m))
    column = np.arange(columns.shape[-1])
    weights[0, column, np.where(column < elements, column, column + 1)] = -1.0
    diagonal = np.zeros((1, elements + antennas, m))
    diagonal[0, np.arange(elements), np.arange(elements)] = 1.0
    diagonal[0, elements:, elements] = 1.0
    cost = np.zeros((count, m))
    cost[:, elements] = top
    cost[:, kind == 3] = -1.0 / ease**2
    problem = DualProblem(
        factors=columns[:, None],
        weights=weights,
        diagonal=diagonal,
        cost=cost,
        nonnegative=kind > 1,
        group=kind == 2,
        doubled=kind < 2,
        start=np.array([1.0, 1.0, 1.0 / angles, 0.01])[kind],
    )
    return problem, np.full(count, float(elements))


def dual_bound(scaled: Scaled) -> tuple[Array, NDArray[np.bool_]]:
    """Certified upper bound of the gain in scaled units (B,), inf where none was found; proofs of infeasibility (B,)."""
    problem, unit = bound_problem(scaled)
    result = solve_dual(problem, tolerance=1e-4, need_primal=False)
    return result.value * unit, np.asarray(result.status == "infeasible")


def joint_bound(
    system: Any,
    scene: Any,
    chunk: int = 256,
    program: Callable[[Scaled], tuple[Array, NDArray[np.bool_]]] = dual_bound,
) -> tuple[Array, np.ndarray]:
    """Upper bound of the smallest gain in dBm (B,) and status (B,): certified / infeasible / unknown.

    Where the scene is certified infeasible the value is the floor of the objective; where nothing could be proved (never
    seen) it is P N ||G||_F^2. `program` solves the lifted problem.
    """
    value, status = np.empty(len(scene)), np.empty(len(scene), dtype="<U10")
    for first in range(0, len(scene), chunk):
        part = slice(first, first + chunk)
        scaled = Scaled.of(system, scene[part], first)
        found, infeasible = program(scaled)
        proved = np.isfinite(found)
        trivial = len(scaled.steering[0]) * abs2(scaled.bs_ris).sum((1, 2))
        gain = np.where(proved, found, trivial)
        status[part] = np.where(infeasible, "infeasible", np.where(proved, "certified", "unknown"))
        floor = np.asarray(system.reference_dbm(scene[part])) - 60.0
        value[part] = np.maximum(10.0 * np.log10(np.maximum(gain * scaled.unit_w, 1e-300)) + 30.0, floor)
    return value, status
