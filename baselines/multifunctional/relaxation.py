"""The coefficient step of `mf` at fixed filters and beams, relaxed: theta_i theta_i^H becomes V_i of any rank.

    max U(gamma),  gamma_i = tr(F_i^H F_i V_i) / (sum_m d_im^2 V_i,mm + c_i)   s.t.  V_r,mm + V_t,mm <= 1,
        sum_im incident_m V_i,mm <= 1,  [E_k V E_k^H]_kk / Gamma_k >= sum_{j != k} [E_k V E_k^H]_jj + sum_m n_km^2 V_mm + 1

The value is an upper bound for these filters and beams. theta_i is drawn from CN(0, V_i), scaled element by element to the
caps and as a whole to the surface's power, and kept if the rates hold.

Source: model page, sections 7.8 and 8.3 (step of arXiv 2412.01251, Algorithm 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from baselines.multifunctional.programs import CoefficientProblem, CoefficientSet
from baselines.multifunctional.ratio import RatioProgram, Solve, search, solve_fast
from baselines.tools.linalg import Array, ComplexArray, abs2, herm
from baselines.tools.randomisation import complex_normal, square_root

RANK = 1e-3
"""Eigenvalues above this share of the largest count for the rank."""


@dataclass(frozen=True, kw_only=True)
class Relaxed:
    """The relaxed coefficient step of one scene.

    Attributes:
        covariance: (I, M, M) V_i; None where none was found.
        value: U at V. upper: certified, no coefficients have more at these filters and beams (-inf: none meet the rates).
        ranks: (I,). programs: how many were solved.
    """

    covariance: ComplexArray | None
    value: float
    upper: float
    ranks: Array
    programs: int


def ratio_program(problem: CoefficientProblem, row: int, margin: float = 0.0) -> RatioProgram:
    """The program of one scene; thresholds Gamma_k (1 + margin). What the mask forbids has no effect."""
    feasible, constant = problem.feasible, problem.constant[row]
    allowed = feasible.mask[row].astype(float)  # (I, M)
    sides, elements = allowed.shape
    streams, users = problem.signal.shape[2], feasible.rows.shape[1]
    budget = feasible.incident is not None
    rules = elements + int(budget) + users
    echo = herm(problem.signal[row]) * allowed[:, :, None] / np.sqrt(constant)[:, None, None]  # (I, M, S)
    factors = np.zeros((sides, elements, (sides + users) * streams), complex)
    weights = np.zeros((sides, factors.shape[2], 2 * sides + rules))
    diagonal, level = np.zeros((sides, elements, 2 * sides + rules)), np.zeros(2 * sides + rules)
    signal = tuple(slice(i * streams, (i + 1) * streams) for i in range(sides))
    for i in range(sides):
        factors[i][:, signal[i]] = echo[i]
        weights[i, signal[i], i] = 1.0
        diagonal[i, :, sides + i] = problem.leak[row, i] ** 2 * allowed[i] / constant[i]
        level[sides + i] = 1.0
    element = np.arange(elements)
    diagonal[:, element, 2 * sides + element] = 1.0
    level[2 * sides + element] = -1.0
    if feasible.incident is not None:
        diagonal[:, :, 2 * sides + elements] = feasible.incident[row] * allowed
        level[2 * sides + elements] = -1.0
    for k, side in enumerate(feasible.user_side):
        columns, form = slice((sides + k) * streams, (sides + k + 1) * streams), 2 * sides + elements + int(budget) + k
        threshold = max(float(feasible.threshold[row, k]) * (1.0 + margin), 1e-12)
        received = herm(feasible.rows[row, k]) * allowed[side][:, None]
        size = max(float(abs2(received[:, k]).sum()), 1e-300)
        factors[side][:, columns] = received / np.sqrt(size)
        weights[side, columns, form] = 1.0
        weights[side, columns.start + k, form] = -1.0 / threshold
        diagonal[side, :, form] = feasible.noise[row, k] ** 2 * allowed[side] / size
        level[form] = 1.0 / size
    return RatioProgram(
        factors=factors,
        weights=weights,
        diagonal=diagonal,
        constant=level,
        signal=signal,
        limit=np.array([most_echo(echo[i], None if not budget else feasible.incident[row]) for i in range(sides)]),  # type: ignore[index]
        form=problem.form,
    )


def most_echo(columns: ComplexArray, incident: Array | None) -> float:
    """Largest ||F theta||^2 there can be, from the caps and the power: columns (M, S) F^H, incident (M,)."""
    most = float(np.sqrt(abs2(columns).sum(-1)).sum() ** 2)
    if incident is not None:
        most = min(most, float(np.linalg.norm(columns / np.sqrt(incident)[:, None], 2) ** 2))
    return max(most, 1e-12)


def relax_coefficients(
    problem: CoefficientProblem, row: int, *, solve: Solve = solve_fast, margin: float = 0.0, **options: Any
) -> Relaxed:
    """One scene; `options` of `ratio.search` (tolerance, rounds, width, near)."""
    program = ratio_program(problem, row, margin)
    found = search(program, solve, **options)
    if found.x is None:
        ranks = np.zeros(program.sides)
        return Relaxed(covariance=None, value=-np.inf, upper=found.upper, ranks=ranks, programs=found.programs)
    allowed = problem.feasible.mask[row]
    v = found.x * (allowed[:, :, None] & allowed[:, None, :])
    values = np.linalg.eigvalsh(v)
    ranks = (values > RANK * values[:, -1:]).sum(-1).astype(float)
    return Relaxed(covariance=v, value=found.value, upper=found.upper, ranks=ranks, programs=found.programs)


def draw(relaxed: Relaxed, draws: int, generator: np.random.Generator) -> ComplexArray:
    """Coefficients (draws, I, M) from CN(0, V_i); the first are the main eigenvectors, with the power of V_i."""
    assert relaxed.covariance is not None
    sides, elements = relaxed.covariance.shape[:2]
    out = np.zeros((draws, sides, elements), complex)
    for i, v in enumerate(relaxed.covariance):
        factor = square_root(v)
        if factor.shape[1]:
            out[:, i] = complex_normal(generator, (draws, factor.shape[1])) @ factor.T
            out[0, i] = factor[:, -1] / np.linalg.norm(factor[:, -1]) * np.linalg.norm(factor)
    return out


def scaled(feasible: CoefficientSet, row: int, theta: ComplexArray) -> ComplexArray:
    """Candidates (D, I, M) of one scene scaled to the caps, element by element, and as a whole to the power of the surface."""
    level = abs2(theta).sum(1, keepdims=True)
    theta = theta / np.sqrt(np.maximum(level, 1.0))
    if feasible.incident is not None:
        power = (abs2(theta).sum(1) * feasible.incident[row]).sum(-1)
        theta = theta / np.sqrt(np.maximum(power, 1.0))[:, None, None]
    return theta
