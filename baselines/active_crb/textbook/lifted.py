"""The amplitude step as the paper lifts it: a a^T relaxed to a real matrix, surrogates, randomisation and rescaling.

    min 1/2 (y_0/x_0 x^2 + x_0/y_0 y^2)   x = sum_n p_n / A_nn,   y = y_r + sum_n q_n / A_nn
    s.t. sum_n d_n A_nn + sum_m 1/2 (z_m/b_m A_mm^2 + b_m/z_m tr(K_m A)^2) <= 1,   tr(M_k A) + s_k <= 0,   A_nn <= 1,   A >= 0

x_0, y_0, b_m = A_mm, z_m = tr(K_m A) at the last point. Both surrogates lie above what they replace, with equality and equal
slope there (arithmetic-geometric mean).

Source: arXiv 2508.00379, problems (P4.4), (P6.4), surrogates in the place of (44)-(48), (58), rescaling (60)-(62); model page,
section 7.2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import cvxpy as cp
import numpy as np
from numpy.typing import NDArray

from baselines.active_crb.textbook.amplitudes import ALLOWED, ROUNDS, TOLERANCE
from baselines.tools.convex import SOLVED, ConvexProgram
from baselines.tools.linalg import Array, ComplexArray, abs2
from baselines.tools.solver_call import SolverCall

RESIDUAL = 1e-4
"""Violation of the constraints up to which a lifted point is accepted: it only feeds the randomisation."""
FLOOR = 1e-12


@dataclass(frozen=True, kw_only=True)
class AmplitudeData:
    """The amplitude step of one scene, amplitudes in units of the cap, surface power in units of its budget.

    Attributes:
        p: (N,) diag(B^-1), its scale is free. q: (N,) sigma_b^2 diag((G G^H)^-1) / cap^2. receive: y_r = N sigma_r^2.
        first: (N,) d, surface power of a_n^2. second: (N, N, N) K_m, real symmetric: of a_m^2 a^T K_m a.
        sinr: (K, N, N) M_k, real symmetric, and noise: (K,) s_k; K = 0 for sensing only.
    """

    p: Array
    q: Array
    receive: float
    first: Array
    second: Array
    sinr: Array
    noise: Array

    def objective(self, a: Array) -> Array:
        """(sum p_n / a_n^2)(y_r + sum q_n / a_n^2) of amplitudes (.., N): the CRB but for a factor."""
        return np.asarray((self.p / a**2).sum(-1) * (self.receive + (self.q / a**2).sum(-1)))

    def powers(self, a: Array) -> tuple[Array, Array]:
        """First and second pass over the surface budget, of amplitudes (.., N)."""
        loud = np.einsum("...i,mij,...j->...m", a, self.second, a, optimize=True)
        return (self.first * a**2).sum(-1), (a**2 * loud).sum(-1)

    def feasible(self, a: Array, allowed: float = ALLOWED) -> NDArray[np.bool_]:
        """Whether amplitudes (.., N) in (0, 1] meet the surface power and the SINR constraints."""
        sinr = np.einsum("...i,kij,...j->...k", a, self.sinr, a, optimize=True) + self.noise
        inside = (a > 0).all(-1) & (a <= 1.0 + 1e-12).all(-1) & (sum(self.powers(a)) <= 1.0 + allowed)
        return np.asarray(inside & (sinr <= allowed * self.noise).all(-1))


def amplitude_data(
    *,
    u: ComplexArray,
    cap: float,
    target_response: ComplexArray,
    incident: ComplexArray,
    inverse_diagonal: Array,
    noise_bs: float,
    noise_surface: float,
    surface_power: float,
    ris_user: ComplexArray | None = None,
    users: ComplexArray | None = None,
    threshold: Array | None = None,
    noise_user: float = 0.0,
) -> AmplitudeData:
    """The data of one scene from what `baselines.active_crb.amplitudes.amplitude_program` takes, without the batch axis."""
    elements = len(u)
    loud = target_response * u
    both = incident + noise_surface * np.eye(elements)
    second = (loud[:, :, None] * both * loud.conj()[:, None, :]).real
    first = np.diagonal(incident).real + 2.0 * noise_surface
    sinr, noise = np.zeros((0, elements, elements)), np.zeros(0)
    if threshold is not None and ris_user is not None and users is not None:
        path = ris_user.conj() * u
        own = path * users.T
        signal = (own[:, :, None] * own.conj()[:, None, :]).real
        total = (path[:, :, None] * incident * path.conj()[:, None, :]).real
        amplified = noise_surface * abs2(ris_user)[:, :, None] * np.eye(elements)
        gamma = threshold[:, None, None]
        sinr, noise = gamma * (total - signal + amplified) - signal, threshold * noise_user
        unit = noise + (cap**2 * gamma * amplified).sum((1, 2))
        sinr, noise = cap**2 * sinr / unit[:, None, None], noise / unit
    weight = np.diagonal(np.linalg.inv(incident)).real
    return AmplitudeData(
        p=weight / weight.sum(),
        q=noise_bs * inverse_diagonal / cap**2,
        receive=elements * noise_surface,
        first=cap**2 * first / surface_power,
        second=cap**4 * second / surface_power,
        sinr=sinr,
        noise=noise,
    )


@dataclass(frozen=True, kw_only=True)
class LiftedProgram:
    """The convex subproblem for one set of sizes and its matrix variable."""

    program: ConvexProgram
    lifted: Any


@lru_cache(maxsize=64)
def lifted_program(elements: int, users: int) -> LiftedProgram:
    """Build the subproblem once per sizes."""
    lifted = cp.Variable((elements, elements), PSD=True, name="A")
    diagonal, entries = cp.diag(lifted), cp.vec(lifted, order="C")
    names = dict.fromkeys(("p", "q", "first", "own"), elements)
    parameters: dict[str, Any] = {name: cp.Parameter(size, nonneg=True, name=name) for name, size in names.items()}
    parameters |= {"receive": cp.Parameter(nonneg=True, name="receive")}
    parameters["second"] = cp.Parameter((elements, elements**2), name="second")
    inverse = cp.inv_pos(diagonal)
    x, y = parameters["p"] @ inverse, parameters["receive"] + parameters["q"] @ inverse
    power = parameters["first"] @ diagonal + cp.sum_squares(cp.multiply(parameters["own"], diagonal))
    power = power + cp.sum_squares(parameters["second"] @ entries)
    rules = [diagonal <= 1, power <= 1]
    if users:
        parameters["sinr"] = cp.Parameter((users, elements**2), name="sinr")
        parameters["noise"] = cp.Parameter(users, name="noise")
        rules.append(parameters["sinr"] @ entries + parameters["noise"] <= 0)
    problem = cp.Problem(cp.Minimize(cp.square(x) + cp.square(y)), rules)
    program = ConvexProgram(name="lifted amplitudes", problem=problem, parameters=parameters, cone=elements)
    return LiftedProgram(program=program, lifted=lifted)


def factors(data: AmplitudeData, lifted: Array) -> tuple[float, float]:
    """x and y of the objective x y at a lifted point (N, N)."""
    diagonal = np.maximum(np.diagonal(lifted), FLOOR)
    return float((data.p / diagonal).sum()), float(data.receive + (data.q / diagonal).sum())


def loud(data: AmplitudeData, lifted: Array) -> Array:
    """z_m = tr(K_m A) (N,)."""
    return np.einsum("mij,ij->m", data.second, lifted)


def surface_power(data: AmplitudeData, lifted: Array) -> float:
    """Both passes over the budget at a lifted point."""
    diagonal = np.diagonal(lifted)
    return float(data.first @ diagonal + diagonal @ loud(data, lifted))


def surrogate_objective(data: AmplitudeData, lifted: Array, at: Array) -> float:
    """1/2 (y_0/x_0 x^2 + x_0/y_0 y^2), an upper bound of x y that touches it at `at`."""
    (x, y), (x0, y0) = factors(data, lifted), factors(data, at)
    return 0.5 * (y0 / x0 * x**2 + x0 / y0 * y**2)


def surrogate_power(data: AmplitudeData, lifted: Array, at: Array) -> float:
    """Upper bound of `surface_power` that touches it at `at`."""
    own, quiet = weights(data, at)
    diagonal, z = np.diagonal(lifted), loud(data, lifted)
    return float(data.first @ diagonal + (own * diagonal**2 + quiet * z**2).sum())


def weights(data: AmplitudeData, at: Array) -> tuple[Array, Array]:
    """z_m / (2 A_mm) and A_mm / (2 z_m) at a lifted point, (N,) each."""
    diagonal, z = np.maximum(np.diagonal(at), FLOOR), np.maximum(loud(data, at), 1e-300)
    return 0.5 * z / diagonal, 0.5 * diagonal / z


def solve_lifted_subproblem(
    data: AmplitudeData, at: Array, scene: int = 0, solvers: tuple[str, ...] | None = None
) -> tuple[Array | None, SolverCall]:
    """One step from the lifted point `at` (N, N), feasible: the next one (None: not solved), the report."""
    elements, users = len(at), len(data.noise)
    (x, y), (own, quiet) = factors(data, at), weights(data, at)
    values: dict[str, Any] = {
        "p": data.p / x,
        "q": data.q / y,
        "receive": np.array(data.receive / y),
        "first": data.first,
        "own": np.sqrt(own),
        "second": np.sqrt(quiet)[:, None] * data.second.reshape(elements, -1),
    }
    if users:
        size = np.maximum(np.abs(np.einsum("kij,ij->k", data.sinr, at)), data.noise)
        values |= {"sinr": data.sinr.reshape(users, -1) / size[:, None], "noise": data.noise / size}
    built = lifted_program(elements, users)
    call = built.program.solve(scene, solvers, **values)
    if call.status not in SOLVED:
        return None, call
    vectors = np.asarray(built.lifted.value)
    roots, vectors = np.linalg.eigh(0.5 * (vectors + vectors.T))
    new = (vectors * np.maximum(roots, 0.0)) @ vectors.T
    residual = max(surface_power(data, new) - 1.0, float(np.diagonal(new).max()) - 1.0, 0.0)
    if users:
        residual = max(residual, float(((np.einsum("kij,ij->k", data.sinr, new) + data.noise) / size).max()))
    call = replace(call, residual=residual, accepted=residual <= RESIDUAL)
    return (new if call.accepted else None), call


def solve_lifted(
    data: AmplitudeData,
    a: Array,
    generator: np.random.Generator,
    draws: int = 200,
    scene: int = 0,
    solvers: tuple[str, ...] | None = None,
) -> tuple[Array, list[SolverCall]]:
    """The amplitude step of one scene in the paper's form.

    Args:
        data: the step.
        a: (N,) feasible amplitudes.
        generator: of the randomisation; draws: candidates |L r|, A = L L^T, r ~ N(0, I), beside a and sqrt(A_nn).
        scene: number for the reports; solvers: see `ConvexProgram.solve`.

    Returns:
        Amplitudes (N,), feasible and not worse than a (a itself where that is not feasible), and one report per subproblem.
    """
    cap = np.ones_like(a)
    calls: list[SolverCall] = []
    if data.feasible(cap):
        return cap, calls
    if not data.feasible(a):
        return a, calls
    lifted = a[:, None] * a
    for _ in range(ROUNDS):
        new, call = solve_lifted_subproblem(data, lifted, scene, solvers)
        calls.append(call)
        if new is None:
            break
        (x, y), (x0, y0) = factors(data, new), factors(data, lifted)
        lifted = new
        if x0 * y0 - x * y <= TOLERANCE * x0 * y0:
            break
    roots, vectors = np.linalg.eigh(lifted)
    factor = vectors * np.sqrt(np.maximum(roots, 0.0))
    drawn = np.abs(generator.standard_normal((draws, len(a))) @ factor.T)
    points = rescale(data, np.concatenate([a[None], np.sqrt(np.maximum(np.diagonal(lifted), FLOOR))[None], drawn]))
    points = np.concatenate([a[None], points[data.feasible(points)]])
    return points[data.objective(points).argmin()], calls


def rescale(data: AmplitudeData, a: Array) -> Array:
    """Amplitudes (.., N) times sqrt(beta), beta the largest factor of a^2 that the cap and the surface power allow."""
    first, second = data.powers(a)
    beta = 2.0 / (first + np.sqrt(first**2 + 4.0 * second))
    beta = np.minimum(beta, 1.0 / np.maximum((a**2).max(-1), 1e-300))
    return np.asarray(np.maximum(a * np.sqrt(beta)[..., None], 1e-6))
