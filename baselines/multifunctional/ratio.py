"""Two ratios over positive semidefinite matrices at once: Charnes-Cooper form, its dual, and the search over one of the ratios.

    max U(gamma_0, gamma_1),  gamma_i = <P_i, X> / (<Q_i, X> + c_i)   s.t.  <A_l, X> + a_l <= 0,  X = (X_1, .., X_J) >= 0

At `gamma_1 >= t` the best gamma_0 is a semidefinite program in (X, s), X over s, with the dual

    min nu_0  s.t.  nu_0 Q_0 + nu_1 (Q_1 - P_1 / t) + sum_l z_l A_l - P_0 >= 0,  nu_0 c_0 + nu_1 c_1 + sum_l z_l a_l >= 0,

nu_1, z >= 0, of which every feasible point certifies `gamma_0 <= nu_0`. Over an interval of t the objective is at most
`U(nu_0 at its lower end, upper end)`: intervals are halved (in dB) while that exceeds the best value found.

Source: model page, sections 8.2 and 8.3 (steps of arXiv 2412.01251, Algorithms 1 and 2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baselines.multifunctional.units import utility
from baselines.tools.dual_ipm import DualProblem, solve_dual
from baselines.tools.linalg import Array, ComplexArray

TOLERANCE = 1e-4
"""Relative duality gap of one program; with less the matrices found lose their interior to rounding."""
VIOLATION = 1e-6
"""Violation of a constraint over the size of its terms up to which matrices count as a solution."""
LOWEST = 1e-5
"""First of the ratios that are searched, over the largest one."""
SPAN = 4.0
"""Ratio of the first t searched to a guess, and of the guess to the last one."""
EDGE = 0.999
"""Last of them: at the largest itself the program has no interior."""


@dataclass(frozen=True, kw_only=True)
class RatioProgram:
    """One scene. Forms `F_f = factors diag(weights_f) factors^H + diag(diagonal_f)`, in the order P_i, Q_i, A_l.

    Attributes:
        factors: (J, n, q) columns of each block. weights: (J, q, f). diagonal: (J, n, f). constant: (f,) 0, c_i, a_l.
        signal: columns that P_0 and P_1 have to themselves, one slice per side.
        limit: (I,) certified limits of the ratios, that also scale the programs.
        form: of the objective, `log`, `sum` or `db`.
    """

    factors: ComplexArray
    weights: Array
    diagonal: Array
    constant: Array
    signal: tuple[slice, ...]
    limit: Array
    form: str

    @property
    def sides(self) -> int:
        """I."""
        return len(self.signal)

    def matrices(self) -> ComplexArray:
        """All forms, dense: (f, J, n, n)."""
        columns = np.moveaxis(self.weights, -1, 0)[:, :, None, :]
        out = (self.factors * columns) @ np.swapaxes(self.factors.conj(), -1, -2)
        index = np.arange(out.shape[-1])
        out[..., index, index] += np.moveaxis(self.diagonal, -1, 0)
        return np.asarray(out)

    def forms(self, x: ComplexArray) -> Array:
        """<F_f, X> + constant_f (B, f) for X (B, J, n, n)."""
        image = np.sum(self.factors.conj() * (x @ self.factors), axis=-2).real[..., None, :] @ self.weights
        image = image + np.diagonal(x, axis1=-2, axis2=-1).real[..., None, :] @ self.diagonal
        return np.asarray(image[..., 0, :].sum(1) + self.constant)

    def gamma(self, x: ComplexArray) -> Array:
        """Both ratios (B, I)."""
        forms = self.forms(x)
        return np.asarray(np.maximum(forms[:, : self.sides], 0.0) / forms[:, self.sides : 2 * self.sides])

    def violation(self, x: ComplexArray) -> Array:
        """Largest A_l over the sum of the sizes of its terms (B,)."""
        terms = np.sum(self.factors.conj() * (x @ self.factors), axis=-2).real[..., None, :] @ np.abs(self.weights)
        terms = terms + np.diagonal(x, axis1=-2, axis2=-1).real[..., None, :] @ np.abs(self.diagonal)
        size = terms[..., 0, :].sum(1) + np.abs(self.constant)
        rules = slice(2 * self.sides, None)
        return np.asarray((self.forms(x) / np.maximum(size, 1e-300))[:, rules].max(1, initial=-np.inf))

    def value(self, gamma: Array) -> Array:
        """U (B,) of ratios (B, I)."""
        return utility(self.form, gamma)


@dataclass(frozen=True, kw_only=True)
class RatioAnswers:
    """Programs at several t: `upper` bounds of the ratio (T,) (-inf: infeasible), X (T, J, n, n), where there is one (T,)."""

    upper: Array
    x: ComplexArray
    solved: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class RatioOptimum:
    """Result of `search`.

    Attributes:
        x: (J, n, n), the best matrices found; None where none were.
        value: U there. upper: certified, no X has more.
        infeasible: proved that no X meets the constraints. programs: how many were solved.
    """

    x: ComplexArray | None
    value: float
    upper: float
    infeasible: bool
    programs: int


Solve = Callable[[RatioProgram, int, Array, float], RatioAnswers]
"""(program, main side, t of the other side (T,) (nan: without), guess of the largest ratio) -> answers."""


def solve_fast(program: RatioProgram, main: int, t: Array, guess: float) -> RatioAnswers:
    """All programs of one scene at once by the dual interior-point method."""
    problem = dual_problem(program, main, t, guess)
    result = solve_dual(problem, tolerance=TOLERANCE)
    scale = result.primal[:, 0, -1, -1].real
    solved = np.isfinite(result.primal).all((1, 2, 3)) & (scale > 0) & (result.status != "infeasible")
    x = result.primal[:, :, :-1, :-1] / np.where(solved, scale, 1.0)[:, None, None, None]
    x = np.where(solved[:, None, None, None], x, 0.0)
    upper = np.where(result.status == "infeasible", -np.inf, guess * result.value)
    return RatioAnswers(upper=upper, x=x, solved=solved & (program.violation(x) <= VIOLATION))


def dual_problem(program: RatioProgram, main: int, t: Array, guess: float) -> DualProblem:
    """The dual in units of `guess`, variables 1, nu_0, (nu_1,) z; the inequality of s is one more row of the first block."""
    blocks, _, columns = program.factors.shape
    sides, constant = program.sides, program.constant
    bounded = sides == 2 and np.isfinite(t).all()
    factors = np.tile(program.factors, (len(t), 1, 1, 1))
    factors[..., program.signal[main]] /= np.sqrt(guess)
    if bounded:
        factors[..., program.signal[1 - main]] /= np.sqrt(t)[:, None, None, None]
    factors = np.concatenate([factors, np.zeros((len(t), blocks, 1, columns))], axis=2)

    def gather(forms: Array) -> Array:
        rest = [forms[..., 2 * sides :]]
        if bounded:
            rest = [(forms[..., 3 - main] - forms[..., 1 - main])[..., None], *rest]
        return np.concatenate([-forms[..., main, None], forms[..., sides + main, None], *rest], axis=-1)

    weights, inside, level = gather(program.weights), gather(program.diagonal), gather(constant)
    last = np.zeros((blocks, 1, weights.shape[-1]))
    last[0, 0] = level
    last[1:, 0, 0] = 1.0
    kind = np.full(weights.shape[-1], 2)
    kind[:2] = 0, 1
    negative = constant[2 * sides :] < 0
    grown = np.concatenate([np.zeros(len(kind) - len(negative), bool), negative])
    start = np.where(grown, 1.0 / np.maximum(np.abs(level) * negative.sum(), 1e-300), 1e-3)
    start[0] = 1.0
    start[1] = 2.0 * (start * np.abs(level))[2:].sum() / max(level[1], 1e-12)
    return DualProblem(
        factors=factors,
        weights=weights,
        diagonal=np.concatenate([inside, last], axis=1),
        cost=np.tile((np.arange(len(kind)) == 1).astype(float), (len(t), 1)),
        nonnegative=kind == 2,
        group=kind == 0,
        doubled=grown | (kind == 1),
        start=start,
    )


def search(
    program: RatioProgram,
    solve: Solve = solve_fast,
    tolerance: float = 1e-2,
    rounds: int = 6,
    width: int = 12,
    near: float | None = None,
) -> RatioOptimum:
    """The best X up to `tolerance` in U (bit, dB), with a certificate.

    Args:
        program: of one scene.
        solve: the programs at given t.
        tolerance: of U, where the search ends. rounds: of programs at most. width: programs per round at most.
        near: a guess of the second ratio at the optimum: search there and around the best found only, so that the certificate,
            still valid, may stay loose.
    """
    top = [float(limit) for limit in program.limit]
    x, value, most, count = None, -np.inf, list(top), 0
    for i in reversed(range(program.sides)):
        if near is not None and i + 1 < program.sides:
            continue
        alone = solve(program, i, np.array([np.nan]), top[i])
        count += 1
        if (alone.upper == -np.inf).any():
            return RatioOptimum(x=None, value=-np.inf, upper=-np.inf, infeasible=True, programs=count)
        most[i] = float(min(alone.upper[0], top[i]))
        x, value = _better(program, x, value, alone)
    if program.sides == 1:
        upper = float(program.value(np.array([most]))[0])
        return RatioOptimum(x=x, value=value, upper=upper, infeasible=False, programs=count)
    # ends of the intervals, and bounds of gamma_0 there
    t, ceiling = np.array([0.0, most[1]]), np.array([most[0], 0.0])
    lowest, edge = LOWEST * most[1], EDGE * most[1]
    fresh = np.geomspace(lowest, edge, width)
    if near is not None:
        fresh = np.unique(np.clip(near * np.geomspace(1.0 / SPAN, SPAN, width), lowest, edge))
    bounds = np.array([np.inf])
    for _ in range(rounds):
        answers = solve(program, 0, fresh, most[0])
        count += len(fresh)
        x, value = _better(program, x, value, answers)
        order = np.argsort(np.concatenate([t, fresh]), kind="stable")
        t, ceiling = np.concatenate([t, fresh])[order], np.concatenate([ceiling, np.minimum(answers.upper, most[0])])[order]
        ceiling = np.minimum.accumulate(ceiling)  # more of the one leaves less of the other
        bounds = interval_bounds(program, t, ceiling)
        wide = (t[1:] > lowest) & (t[:-1] < edge) & (bounds > value + tolerance)
        if near is not None and x is not None:
            inside = int(np.searchsorted(t, program.gamma(x[None])[0, 1])) - 1
            wide &= np.abs(np.arange(len(wide)) - inside) <= 1
        split = np.flatnonzero(wide)
        if not len(split):
            break
        split = split[np.argsort(-bounds[split])[:width]]
        parts = max(width // len(split), 1)
        share = np.arange(1, parts + 1) / (parts + 1)
        low, high = np.maximum(t[split, None], lowest), np.minimum(t[split + 1, None], edge)
        fresh = (low ** (1.0 - share) * high**share).ravel()
    return RatioOptimum(x=x, value=value, upper=float(bounds.max()), infeasible=False, programs=count)


def interval_bounds(program: RatioProgram, t: Array, ceiling: Array) -> Array:
    """Bounds of U (n - 1,) over gamma_1 in [t_j, t_j+1], from bounds of gamma_0 at the t_j (n,); -inf out of reach."""
    reached = ceiling[:-1] >= 0
    gamma = np.stack([np.where(reached, ceiling[:-1], 0.0), t[1:]], axis=1)
    return np.where(reached, program.value(gamma), -np.inf)


def _better(
    program: RatioProgram, x: ComplexArray | None, value: float, *answers: RatioAnswers
) -> tuple[ComplexArray | None, float]:
    """The best of X and those of the answers."""
    for answer in answers:
        for j in np.flatnonzero(answer.solved):
            own = float(program.value(program.gamma(answer.x[j : j + 1]))[0])
            if own > value:
                x, value = answer.x[j], own
    return x, value
