"""Transmit step (SDR5.1): the best covariance and user beams at a given surface, exactly, by a small dual.

In scaled units (`Scaled`; U = [u_1 .. u_K], c_k = 1 + 1/gamma_k) the dual of

    min tr(F^-1)  s.t.  tr(e1 F) <= 1, tr(e2 F) <= 1, Omega_k >= 0, F >= sum_k Omega_k,
                        c_k u_k^H Omega_k u_k - u_k^H F u_k >= need_k

is: maximise 2 tr(Y^(1/2)) + sum_k need_k mu_k - lambda - nu over lambda, nu >= 0 and a Hermitian K x K matrix X > 0, where
Y = lambda e1 + nu e2 + U (diag(mu) - X) U^H > 0 and X >= mu_k c_k e_k e_k^T for every k. The objective increases with mu_k, and
the last condition says mu_k c_k [X^-1]_kk <= 1, so mu_k = 1 / (c_k [X^-1]_kk), a concave function of X: only 2 + K^2 real
numbers remain. With q_k = X^-1 e_k / [X^-1]_kk, r_k = (need_k + u_k^H F u_k) / c_k and F = Y^(-1/2) the derivative in X is
sum_k r_k q_k q_k^H - U^H F U: where it vanishes, the K received signals sqrt(r_k) q_k are all that the users see of F, and
every SINR is met with equality.

Source: arXiv 2508.00379, problem (SDR5.1) and Proposition 5; model page, sections 7.2 and 9 (there mu_k is kept as unknown).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baselines.active_crb.algebra import eigh, traces
from baselines.active_crb.sensing import solve_sensing
from baselines.active_crb.transmit_newton import Problem, State, maximise
from baselines.active_crb.transmitted import FAILED, INFEASIBLE, OPTIMAL, Transmitted, safe_scaled
from baselines.active_crb.units import TINY, Beams, Channels, Scaled, _Rows
from baselines.tools.linalg import Array, ComplexArray, abs2, herm

GAP = 1e-5
"""Largest relative gap of primal to dual value of an answer called optimal."""
EXCESS = 1e-6
"""Largest share by which the user beams may exceed F where the users see it."""


def solve_transmit(scaled: Scaled, tolerance: float = 1e-7) -> Transmitted:
    """(SDR5.1) for a batch of surfaces, (P3) where there are no thresholds.

    Args:
        scaled: the problems.
        tolerance: relative gap to be reached.
    """
    if scaled.threshold is None:
        return solve_sensing(scaled)
    scaled = safe_scaled(scaled)
    problem = Problem.of(scaled)
    state, _, endless = maximise(problem, tolerance)
    return recover(scaled, problem, state, endless)


def recover(scaled: Scaled, problem: Problem, state: State, endless: NDArray[np.bool_]) -> Transmitted:
    """Primal point, certified value and status from a dual point."""
    root = np.sqrt(state.w)
    weight = 1.0 / root + state.t[:, None] / state.w
    f = (state.vectors * weight[:, None, :]) @ herm(state.vectors)
    spent = np.maximum(traces(problem.budgets, f[:, None]).max(1), TINY)
    f, weight = f / spent[:, None, None], weight / spent[:, None]
    k = np.arange(problem.users.shape[2])
    image = f @ problem.users
    received = herm(problem.users) @ image
    q = state.inverse * np.sqrt(state.phi)[:, None, :]  # unit columns along B^-1 e_k
    q = herm(state.inverse) @ q * np.sqrt(state.phi)[:, None, :]  # X^-1 e_k / [X^-1]_kk
    power = (problem.need + received[:, k, k].real) / problem.c
    seen = q * np.sqrt(np.maximum(power, 0.0))[:, None, :]
    # omega_k = F U (U^H F U)^-1 (received signal k); F - omega omega^H is PSD where U^H F U - seen seen^H is
    values, vectors = eigh(received)
    values = np.maximum(values, 1e-14 * np.maximum(values[:, -1:], TINY))
    whitened = (herm(vectors) @ seen) / np.sqrt(values)[:, :, None]
    excess = eigh(whitened @ herm(whitened))[0][:, -1] - 1.0
    omega = image @ (vectors @ (whitened / np.sqrt(values)[:, :, None]))
    value = (1.0 / weight).sum(1)
    slope = problem.slope(state.price, state.phi)
    dual = np.where(slope > 0, root.sum(1) ** 2 / np.where(slope > 0, slope, 1.0), np.inf)
    endless = endless | ~scaled.possible
    good = ~endless & (value <= (1.0 + GAP) * dual) & (excess <= EXCESS)
    good &= np.isfinite(omega).all((1, 2)) & np.isfinite(f).all((1, 2))
    best_scale = np.where(slope > 0, (root.sum(1) / np.where(slope > 0, slope, 1.0)) ** 2, 1.0)[:, None]
    return Transmitted(
        f=np.where(good[:, None, None], f, np.eye(f.shape[-1])),
        omega=np.where(good[:, None, None], omega, 0.0),
        value=np.where(good, value, np.inf),
        dual=np.where(scaled.possible, dual, np.inf),
        status=np.where(good, OPTIMAL, np.where(endless, INFEASIBLE, FAILED)),
        price=state.price * best_scale,
        mu=state.phi / problem.c * best_scale,
        x=state.x * best_scale[..., None],
    )


Program = Callable[[Scaled], Transmitted]


@dataclass(frozen=True, kw_only=True)
class Step(_Rows):
    """Transmit step at surfaces v.

    Attributes:
        v: (B, N). beams: as seen at the surface, W (of no use where not feasible).
        value: (B,) 10 log10 CRB, 1e300 where not feasible.
        feasible: (B,). failed: (B,) where neither was proved.
        scaled, result: the problem and its answer in scaled units.
    """

    v: ComplexArray
    beams: Beams
    value: Array
    feasible: NDArray[np.bool_]
    failed: NDArray[np.bool_]
    scaled: Scaled
    result: Transmitted

    def __len__(self) -> int:
        return len(self.v)


def transmit_step(channels: Channels, v: ComplexArray, program: Program = solve_transmit) -> Step:
    """The best beams at surfaces v (B, N)."""
    scaled = channels.at(v)
    result = program(scaled)
    feasible = result.status == OPTIMAL
    crb = np.where(feasible, result.value, 1.0) / scaled.unit_w * channels.receive(np.abs(v))
    return Step(
        v=v,
        beams=scaled.beams(result.f, result.omega),
        value=np.where(feasible, 10.0 * np.log10(crb), 1e300),
        feasible=feasible,
        failed=result.status == FAILED,
        scaled=scaled,
        result=result,
    )


def log_value_gradient(channels: Channels, step: Step) -> tuple[Array, Array]:
    """Derivatives of log CRB(v) = log min over beams, by phases and by log amplitudes, (B, N) each (0 where not feasible).

    At a fixed F only E_1 = Psi^-H (G G^H)^-1 Psi^-1 sees the phases, so with z_n = lambda [E_1 F]_nn (Danskin)
    d/dphi_n tr(F^-1) = -2 Im z_n; the amplitudes enter E_1 (-2 Re z_n), E_2, P_1, n_k and the receive factor.
    """
    scaled, result = step.scaled, step.result
    a, good = np.abs(step.v), step.feasible
    value = np.where(good, result.value, 1.0)[:, None]
    price = np.where(good[:, None], result.price, 0.0)
    z = price[:, :1] * np.einsum("bnm,bmn->bn", scaled.e1, result.f)
    phase, level = -2.0 * z.imag, -2.0 * z.real
    square = a**2
    if scaled.e2 is not None and scaled.left_w is not None:
        h = channels.target_response
        second = np.einsum("bmi,bij,bmj->bm", h, result.f, h.conj(), optimize=True).real
        level = level + 2.0 * square * price[:, 1:] * second * (scaled.unit_w / scaled.left_w)[:, None]
        around = (channels.gain @ square[..., None])[..., 0] + (np.swapaxes(channels.gain, 1, 2) @ square[..., None])[..., 0]
        noise = channels.noise_surface * square * (4.0 + 2.0 * around)  # d s_0 / d log a
        level += price[:, 1:] * (traces(scaled.e2, result.f) / scaled.left_w)[:, None] * noise
    if scaled.threshold is not None:
        size = abs2(channels.ris_user)
        pull = np.where(good[:, None], result.mu, 0.0) / np.maximum(size.sum(-1), TINY) / scaled.unit_w[:, None]
        level += 2.0 * channels.noise_surface * square * np.einsum("bk,bkn->bn", pull, size)
    q = np.diagonal(channels.inverse, axis1=-2, axis2=-1).real
    share = 2.0 * channels.noise_bs / channels.snapshots * q / square / channels.receive(a)[:, None]
    return phase / value, np.where(good[:, None], level / value - share, 0.0)
