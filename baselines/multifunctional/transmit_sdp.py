"""The transmit step at fixed filters and coefficients, solved to its global optimum as a semidefinite program.

With W_k = w_k w_k^H, R_0 the covariance of the sensing streams and R = sum W_k + R_0 the rank of W_k may be dropped:

    max U(gamma),  gamma_i = p_i^H R p_i / (q_i^H R q_i + 1)   s.t.  tr R <= 1, tr(T^H T R) <= 1,
                                                   (1 + 1/Gamma_k) h_k^H W_k h_k >= h_k^H R h_k + 1,

because w_k = W_k h_k / sqrt(h_k^H W_k h_k), R_0 <- R - sum w_k w_k^H >= 0 has the same metrics. The unknowns are R = B R' B with
B = (I + sum q_i q_i^H)^(-1/2), without which the direct paths (||q|| of some hundred) spoil the numbers. R_0 may need up to N
streams.

Source: model page, section 8.2 (step of arXiv 2412.01251, Algorithm 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from baselines.multifunctional.programs import TransmitProblem
from baselines.multifunctional.ratio import RatioOptimum, RatioProgram, Solve, search, solve_fast
from baselines.tools.linalg import Array, ComplexArray, abs2, herm

MARGIN = 1e-5
"""Relative excess of the thresholds in a design's program, which covers the solver's tolerance."""


@dataclass(frozen=True, kw_only=True)
class TransmitOptimum:
    """The transmit step of one scene.

    Attributes:
        beams: (N, K) w_k; None where no beams were found. sensing: (N, N) R_0, Hermitian positive semidefinite.
        value: U of this design in its unit, before any truncation of R_0 (-inf without one).
        upper: certified, no beams and no R_0 have more at these filters (-inf: proved that none meet the rates).
        ranks: (K + 1,) number of eigenvalues above 1e-4 of the largest of each W_k and of R_0 as the solver left them.
        programs: how many were solved.
    """

    beams: ComplexArray | None
    sensing: ComplexArray
    value: float
    upper: float
    ranks: Array
    programs: int


def ratio_program(problem: TransmitProblem, row: int, margin: float = 0.0) -> tuple[RatioProgram, ComplexArray]:
    """The program of one scene and the matrix B of its coordinates; thresholds Gamma_k (1 + margin)."""
    p, q, feasible = problem.signal[row].T, problem.leak[row].T, problem.feasible
    rows, threshold = feasible.rows[row], feasible.threshold[row] * (1.0 + margin)
    antennas, users, sides = len(p), len(rows), p.shape[1]
    values, vectors = np.linalg.eigh(np.eye(antennas) + q @ herm(q))
    b = (vectors / np.sqrt(values)) @ herm(vectors)
    parts = [b @ p, b @ q, b]
    if feasible.surface is not None:
        parts.append(b @ herm(feasible.surface[row]))
    lengths = np.maximum(np.sqrt(abs2(rows).sum(-1)), 1e-150)
    parts.append(b @ rows.conj().T / lengths)
    columns = np.concatenate(parts, axis=1)
    edges = np.cumsum([0, *(part.shape[1] for part in parts)])
    budgets = len(parts) - 3
    blocks, first = users + 1, 2 * sides + budgets
    forms = first + users + sides
    weights, constant = np.zeros((blocks, columns.shape[1], forms)), np.zeros(forms)
    for i in range(sides):
        weights[:, edges[0] + i, i] = 1.0
        weights[:, edges[1] + i, sides + i] = 1.0
        constant[sides + i] = 1.0
    for j in range(budgets):
        weights[:, edges[2 + j] : edges[3 + j], 2 * sides + j] = 1.0
        constant[2 * sides + j] = -1.0
    for k in range(users):
        form, column = first + k, edges[-2] + k
        weights[:, column, form] = 1.0
        weights[k, column, form] = -1.0 / threshold[k] if threshold[k] > 0 else -1e12
        constant[form] = 1.0 / lengths[k] ** 2
    for i in range(sides):  # q_i^H R q_i <= ||q_i||^2: follows from the power, but gives the dual an interior in B's coordinates
        weights[:, edges[1] + i, first + users + i] = 1.0
        constant[first + users + i] = -max(float(abs2(q[:, i]).sum()), 1e-12)
    program = RatioProgram(
        factors=np.tile(columns, (blocks, 1, 1)),
        weights=weights,
        diagonal=np.zeros((blocks, antennas, forms)),
        constant=constant,
        signal=tuple(slice(i, i + 1) for i in range(sides)),
        limit=np.maximum(abs2(p).sum(0), 1e-12),
        form=problem.form,
    )
    return program, b


def rank_one(shares: ComplexArray, rows: ComplexArray) -> tuple[ComplexArray, ComplexArray]:
    """w_k (N, K) and R_0 (N, N) with the metrics of W_1, .., W_K, R_0 in `shares` (K + 1, N, N); rows (K, N) h_k^H."""
    beams = np.zeros((shares.shape[1], len(rows)), complex)
    for k, row in enumerate(rows):
        received = shares[k] @ row.conj()
        power = float((row @ received).real)
        beams[:, k] = received / np.sqrt(max(power, 1e-300)) if power > 0 else 0.0
    rest = shares.sum(0) - beams @ herm(beams)
    values, vectors = np.linalg.eigh(0.5 * (rest + herm(rest)))
    return beams, (vectors * np.maximum(values, 0.0)) @ herm(vectors)


def solve_transmit_sdp(
    problem: TransmitProblem, row: int, *, solve: Solve = solve_fast, margin: float = 0.0, **options: Any
) -> TransmitOptimum:
    """One scene; `options` of `ratio.search` (tolerance, rounds, width, near)."""
    program, b = ratio_program(problem, row, margin)
    found: RatioOptimum = search(program, solve, **options)
    feasible = problem.feasible[row : row + 1]
    antennas, users = len(b), feasible.rows.shape[1]
    if found.x is None:
        nothing = np.zeros((antennas, antennas), complex)
        return TransmitOptimum(
            beams=None, sensing=nothing, value=-np.inf, upper=found.upper, ranks=np.zeros(users + 1), programs=found.programs
        )
    shares = b @ found.x @ b
    beams, sensing = rank_one(shares, feasible.rows[0])
    # the powers to rounding
    w = np.concatenate([beams, square_root(sensing)], axis=1)
    scale = 1.0 / max(float(feasible.powers(w[None]).max()), 1.0)
    beams, sensing = np.sqrt(scale) * beams, scale * sensing
    values = np.linalg.eigvalsh(shares)
    w = np.sqrt(scale) * w
    one = problem[row : row + 1]
    gamma = one.echo(w[None]) / one.interference(w[None])
    return TransmitOptimum(
        beams=beams,
        sensing=sensing,
        value=float(program.value(gamma)[0]),
        upper=found.upper,
        ranks=(values > 1e-4 * values[:, -1:]).sum(-1).astype(float),
        programs=found.programs,
    )


def square_root(covariance: ComplexArray, streams: int | None = None) -> ComplexArray:
    """Columns (N, streams) of the strongest eigenvectors of a covariance, scaled to their powers; None: N."""
    values, vectors = np.linalg.eigh(covariance)
    columns = vectors[:, ::-1] * np.sqrt(np.maximum(values[::-1], 0.0))
    count = len(covariance) if streams is None else streams
    out = np.zeros((len(covariance), count), complex)
    kept = min(count, len(covariance))
    out[:, :kept] = columns[:, :kept]
    return out
