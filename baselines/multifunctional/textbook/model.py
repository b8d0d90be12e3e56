"""Complex unknowns as real variables, and the rate cones, shared by the textbook programs of this folder.

A complex matrix X (n, s) is the real variable [Re X; Im X] (2 n, s); a row r acts on it by [Re r, -Im r] and [Im r, Re r].
Programs are parametrised (DPP) and built once per sizes.
"""

from __future__ import annotations

from typing import Any

import cvxpy as cp
import numpy as np
from numpy.typing import NDArray

from baselines.tools.convex import ConvexProgram
from baselines.tools.linalg import Array, ComplexArray

CLARABEL = {"equilibrate_enable": False}
"""Settings of Clarabel: the programs are scaled already, and its own scaling makes the exponential cones fail now and then."""


def cone_program(name: str, goal: Any, rules: list[Any], parameters: dict[str, Any]) -> ConvexProgram:
    """A program without semidefinite cones: Clarabel first, then SCS."""
    problem = cp.Problem(goal, rules)
    return ConvexProgram(name=name, problem=problem, parameters=parameters, cone=0, tolerance=1e-7, clarabel=CLARABEL)


def real_rows(rows: ComplexArray) -> Array:
    """Complex rows (.., m, n) -> real ones (.., 2 m, 2 n): first the real parts of the products, then the imaginary ones."""
    real = np.concatenate([rows.real, -rows.imag], axis=-1)
    imaginary = np.concatenate([rows.imag, rows.real], axis=-1)
    return np.concatenate([real, imaginary], axis=-2)


def stacked(x: ComplexArray) -> Array:
    """[Re X; Im X] (2 n, s): <A, X> = Re sum conj(A) X is the sum of the products of these."""
    return np.concatenate([x.real, x.imag], axis=0)


def unstacked(x: NDArray) -> ComplexArray:
    """The inverse of `stacked`."""
    half = len(x) // 2
    return np.asarray(x[:half] + 1j * x[half:], dtype=complex)


def minorant(affine: list[Any], interference: list[Any], logarithmic: bool) -> Any:
    """sum_i phi(l_i) - w_i I_i, the weights inside the interference."""
    terms = [cp.log(x) for x in affine] if logarithmic else affine
    return sum(terms) - sum(interference)


def affine_data(slope: ComplexArray, offset: Array, level: Array, logarithmic: bool) -> tuple[ComplexArray, Array]:
    """Slopes (I, ..) and offsets (I,) over l_i at the point (a logarithm's argument near 1)."""
    size = np.where(level > 0, level, 1.0) if logarithmic else np.ones_like(level)
    return slope / size.reshape(-1, *[1] * (slope.ndim - 1)), offset / size
