"""(SDR4.3) and (SDR6.3) in cvxpy: the phase step with V = u u^H relaxed, then Gaussian randomisation.

    (SDR4.3)  min tr(Xi V)  s.t.  V_nn = 1,  V >= 0
    (SDR6.3)  max t  s.t.  tr(S_k V) >= t gamma_k (tr(I_k V) + n_k),  tr(Xi V) <= slack,  V_nn = 1,  V >= 0

The second by bisection on t; whether a t can be reached is asked as the largest margin delta of the SINR constraints, a problem
with interior points on both sides of the answer.

Source: arXiv 2508.00379, problems (P4.2), (SDR4.3) and (SDR6.3); model page, sections 7.1 and 7.2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import cvxpy as cp
import numpy as np

from baselines.tools.convex import SOLVED, ConvexProgram, forms, inner, nearest_psd
from baselines.tools.linalg import Array, ComplexArray, abs2
from baselines.tools.randomisation import gaussian_phases
from baselines.tools.solver_call import SolverCall

RESIDUAL = 1e-3
"""Relative violation or loss up to which V is accepted: it only feeds the randomisation, whose candidates are checked exactly."""
RATIO = 1e-3
"""Relative width of the last interval of the bisection."""
STEPS = 60
MARGIN = 1e-6
"""Margin, relative to the largest signal, below which a t counts as out of reach."""


@dataclass(frozen=True, kw_only=True)
class PhaseProblem:
    """One of the two problems for one set of sizes."""

    program: ConvexProgram
    v: Any


@lru_cache(maxsize=64)
def echo_problem(elements: int) -> PhaseProblem:
    """Build (SDR4.3) once per size."""
    v = cp.Variable((elements, elements), hermitian=True, name="V")
    echo = cp.Parameter((1, 2 * elements**2), name="echo")
    problem = cp.Problem(cp.Minimize(cp.sum(inner(echo, v))), [v >> 0, cp.real(cp.diag(v)) == 1])
    return PhaseProblem(program=ConvexProgram(name="echo", problem=problem, parameters={"echo": echo}, cone=elements), v=v)


@lru_cache(maxsize=64)
def sinr_problem(elements: int, users: int, echo: bool) -> PhaseProblem:
    """Build the question of the bisection once per sizes; `echo`: with the surface power."""
    v, delta = cp.Variable((elements, elements), hermitian=True, name="V"), cp.Variable(name="delta")
    parameters = {"sinr": cp.Parameter((users, 2 * elements**2), name="sinr"), "noise": cp.Parameter(users, name="noise")}
    rules = [v >> 0, cp.real(cp.diag(v)) == 1, inner(parameters["sinr"], v) - parameters["noise"] >= delta]
    if echo:
        parameters["echo"] = cp.Parameter((1, 2 * elements**2), name="echo")
        rules.append(inner(parameters["echo"], v) <= 1)
    program = ConvexProgram(name="phases", problem=cp.Problem(cp.Maximize(delta), rules), parameters=parameters, cone=elements)
    return PhaseProblem(program=program, v=v)


def relax_echo(
    echo: ComplexArray, scene: int = 0, solvers: tuple[str, ...] | None = None
) -> tuple[ComplexArray | None, float, SolverCall]:
    """(SDR4.3) of one scene.

    Args:
        echo: (N, N) Xi, Hermitian and positive semidefinite, any unit.
        scene: number for the report; solvers: see `ConvexProgram.solve`.

    Returns:
        V (N, N) with unit diagonal (None unless accepted), the lower bound of u^H Xi u, the report.
    """
    unit = max(float(np.trace(echo).real) / len(echo), 1e-300)
    built = echo_problem(len(echo))
    call = built.program.solve(scene, solvers, echo=forms(echo[None] / unit))
    v = unit_diagonal(built.v.value) if call.status in SOLVED else None
    if v is None:
        return None, -np.inf, call
    value = float(np.einsum("nm,mn->", echo, v).real) / unit
    # relative to the mean over all phases, which is the trace
    residual = max((value - call.value) / len(echo), 0.0)
    call = replace(call, residual=residual, accepted=residual <= RESIDUAL)
    return (v if call.accepted else None), call.value * unit, call


def relax_sinr(
    own: ComplexArray,
    total: ComplexArray,
    threshold: Array,
    echo: ComplexArray | None,
    low: float,
    scene: int = 0,
    solvers: tuple[str, ...] | None = None,
) -> tuple[ComplexArray | None, tuple[float, float], SolverCall]:
    """(SDR6.3) of one scene by geometric bisection, in units of the noise n_k and of the slack.

    Args:
        own: (K, N) s_kk / sqrt(gamma_k n_k), |own_k^T u|^2 is the signal over gamma_k n_k.
        total: (K, N, N) (S_k + I_k) / n_k.
        threshold: (K,) gamma_k.
        echo: (N, N) Xi / slack; None: no surface budget.
        low: a t that is known to be reached, lower end of the first interval.
        scene: number for the report; solvers: see `ConvexProgram.solve`.

    Returns:
        V (N, N) at the last t reached (None: none above `low` was), the last interval (t reached, t out of reach or not
        solved), and one report of all solver calls.
    """
    users, elements = own.shape
    built = sinr_problem(elements, users, echo is not None)
    signal = own.conj()[:, :, None] * own[:, None, :]
    disturbance = total - threshold[:, None, None] * signal
    most = np.maximum(np.abs(own).sum(-1) ** 2, 1e-300)
    high = max(float(most.min()), 1e-300)
    low = min(max(low, 1e-6 * high), high)
    fixed = {} if echo is None else {"echo": forms(echo[None])}
    best, calls, broken = None, [], False
    for _ in range(STEPS):
        if high <= low * (1.0 + RATIO):
            break
        t = np.sqrt(low * high)
        rows = (signal - t * disturbance) / most[:, None, None]
        call = built.program.solve(scene, solvers, sinr=forms(rows), noise=t / most, **fixed)
        calls.append(call)
        if call.status not in SOLVED:
            broken = not call.infeasible
            high = t
            continue
        v = unit_diagonal(built.v.value)
        if v is None or call.value < -MARGIN:
            high = t
        else:
            low, best = t, v
    residual = 0.0 if best is None else _violation(best, low, signal, disturbance, most, echo)
    accepted = residual <= RESIDUAL and not (broken and best is None)
    last = calls[-1] if calls else None
    report = SolverCall(
        program="phases",
        scene=scene,
        solver="none" if last is None else last.solver,
        status="solver_error" if broken and best is None else "optimal",
        accepted=accepted,
        residual=residual,
        value=low,
        iterations=sum(c.iterations for c in calls),
        seconds=sum(c.seconds for c in calls),
    )
    return (best if accepted else None), (low, high), report


def unit_diagonal(value: Any) -> ComplexArray | None:
    """The nearest positive semidefinite matrix, scaled to unit diagonal; None where that cannot be."""
    v = nearest_psd(np.asarray(value))
    power = np.diagonal(v).real
    return v / np.sqrt(power[:, None] * power) if (power > 0).all() else None


def _violation(
    v: ComplexArray, t: float, signal: ComplexArray, disturbance: ComplexArray, most: Array, echo: ComplexArray | None
) -> float:
    """Largest violation by V: of the SINR constraints in units of the largest signal, of the surface budget in its own."""
    left = np.einsum("knm,mn->k", signal - t * disturbance, v).real - t
    worst = max(float((-left / most).max()), 0.0)
    return worst if echo is None else max(worst, float(np.einsum("nm,mn->", echo, v).real) - 1.0)


def candidates(v: ComplexArray, u: ComplexArray, draws: int, generator: np.random.Generator) -> ComplexArray:
    """The current phases u and `draws` vectors exp(j arg(L r)), V = L L^H, r ~ CN(0, I): (draws + 1, N)."""
    return np.concatenate([u[None], gaussian_phases(v, draws, generator, False)])


def echo_powers(echo: ComplexArray, u: ComplexArray) -> Array:
    """u^H Xi u of vectors u (.., N)."""
    return np.einsum("...n,nm,...m->...", u.conj(), echo, u, optimize=True).real


def smallest_ratios(own: ComplexArray, total: ComplexArray, threshold: Array, u: ComplexArray) -> Array:
    """min_k SINR_k / gamma_k of vectors u (.., N), arguments as `relax_sinr`."""
    signal = abs2(u @ own.T)
    both = np.einsum("...n,knm,...m->...k", u.conj(), total, u, optimize=True).real
    return np.asarray((signal / np.maximum(1.0 + both - threshold * signal, 1e-12)).min(-1))
