"""Amplitude steps (P4.4) and (P6.4): the cap where it is feasible, else successive convex approximation in u = log a.

    min (sum_n p_n / a_n^2) (N sigma_r^2 + sigma_b^2 sum_n q_n / a_n^2)
    s.t.  surface power <= P_s,  a^T M_k a + gamma_k sigma_u^2 <= 0 for every k,  a_min <= a_n <= a_cap

In u the log of the objective is convex and every constraint is a signomial sum_j c_j exp(l_j^T u) <= 0; each negative term is
replaced by its tangent, an upper bound. So a feasible start stays feasible and the objective never rises. The convex programs
(N variables) are solved by a batched log-barrier Newton method.

Source: arXiv 2508.00379, problems (P4.4) and (P6.4); model page, sections 7.1 and 7.2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from baselines.active_crb.signomial import (
    LOWEST,
    AmplitudeProgram,
    interior_point,
    itself,
    monomials,
    solve_barrier,
    tangent,
)
from baselines.tools.linalg import Array, ComplexArray, abs2

__all__ = ["METHODS", "AmplitudeProgram", "amplitude_program", "amplitude_step"]

METHODS = ("newton", "sca")


def amplitude_program(
    *,
    u: ComplexArray,
    cap: Array,
    target_response: ComplexArray,
    incident: ComplexArray,
    inverse_diagonal: Array,
    noise_bs: float,
    noise_surface: float,
    surface_power: float | None,
    ris_user: ComplexArray | None = None,
    users: ComplexArray | None = None,
    threshold: Array | None = None,
    noise_user: float = 0.0,
    transmit_weight: Array | None = None,
) -> AmplitudeProgram:
    """The amplitude step's data at fixed phases and beams.

    Args:
        u: (B, N) phases, unit modulus.
        cap: (B,) a_cap.
        target_response: (B, N, N) H.
        incident: (B, N, N) B = G R G^H, W.
        inverse_diagonal: (B, N), q = diag((G G^H)^-1).
        noise_bs, noise_surface, noise_user: W.
        surface_power: P_s, W; None: no such constraint.
        ris_user: (B, K, N), rows h_k; users: (B, N, K), columns G w_k; threshold: (K,) linear; None: sensing only.
        transmit_weight: (B, N), p = diag(B^-1); computed from B if not given.

    Returns:
        The `AmplitudeProgram`.
    """
    count, n = u.shape
    exponents, two, four = monomials(n)
    rows: list[Array] = []
    constants: list[Array] = []
    scale = cap[:, None, None] ** 2
    if surface_power is not None:
        linear = np.zeros((count, n, n))
        index = np.arange(n)
        linear[:, index, index] = np.diagonal(incident, axis1=1, axis2=2).real + 2.0 * noise_surface
        turned = target_response * u[:, None, :]
        quartic = (turned[..., :, None] * incident[:, None] * turned.conj()[..., None, :]).real
        quartic[:, :, index, index] += noise_surface * abs2(target_response)
        surface = (two @ (scale * linear).reshape(count, -1).T).T
        surface += (four @ (scale[..., None] ** 2 * quartic).reshape(count, -1).T).T
        rows.append(surface / surface_power)
        constants.append(-np.ones(count))
    if threshold is not None:
        assert ris_user is not None and users is not None
        gammas = np.broadcast_to(np.asarray(threshold, dtype=float), (ris_user.shape[1],))
        for k, gamma in enumerate(gammas):
            path = ris_user[:, k].conj() * u
            own = path * users[:, :, k]
            total = (path[:, :, None] * incident * path.conj()[:, None, :]).real
            signal = (own[:, :, None] * own.conj()[:, None, :]).real
            form = gamma * total - (1.0 + gamma) * signal
            index = np.arange(n)
            form[:, index, index] += gamma * noise_surface * abs2(ris_user[:, k])
            # unit: threshold times noise at the cap
            unit = gamma * (noise_user + noise_surface * cap**2 * abs2(ris_user[:, k]).sum(1))
            rows.append((two @ (scale * form).reshape(count, -1).T).T / unit[:, None])
            constants.append(gamma * noise_user / unit)
    if transmit_weight is None:
        finite = np.asarray(np.isfinite(incident).all((1, 2)))
        inverse = np.linalg.pinv(np.where(finite[:, None, None], incident, 0.0), hermitian=True)
        transmit_weight = np.maximum(np.diagonal(inverse, axis1=1, axis2=2).real, 0.0)
    weight = transmit_weight / np.maximum(transmit_weight.sum(1, keepdims=True), 1e-300)
    return AmplitudeProgram(
        transmit=weight,
        receive=inverse_diagonal * noise_bs / cap[:, None] ** 2,
        floor=n * noise_surface,
        coefficients=np.ascontiguousarray(np.stack(rows, axis=1)) if rows else np.zeros((count, 0, len(exponents))),
        constant=np.stack(constants, axis=1) if rows else np.zeros((count, 0)),
    )


def amplitude_step(
    program: AmplitudeProgram,
    share: Array,
    *,
    method: str = "newton",
    rounds: int = 15,
    tolerance: float = 1e-5,
) -> tuple[Array, NDArray[np.bool_]]:
    """(P4.4) or (P6.4) from a feasible point: the cap where it is feasible (Proposition 4), else a local method.

    `sca`: convex programs with the tangents at the last point. `newton`: one barrier path on the signomials themselves
    (tangent renewed at every step), which ends in a point of the same kind several times faster.

    Args:
        program: the batch.
        share: (B, N), current amplitudes over the cap, in [1e-3, 1].
        method: `newton` or `sca`.
        rounds: convex programs per scene at most (`sca`).
        tolerance: decrease of log f at which a scene stops (`sca`).

    Returns:
        Amplitudes over the cap (B, N) and where they are better than `share` (B,), that is of smaller objective, or feasible
        where `share` is not. They meet the constraints wherever they are not `share` itself.

    Raises:
        ValueError: `method` is unknown.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}, got {method!r}")
    old = np.log(np.clip(share, LOWEST, 1.0))
    best, value = old.copy(), program.objective(old)
    value = np.where((program.constraints(old) <= 1e-9).all(1), value, np.inf)
    full = (program.constraints(np.zeros_like(old)) <= 0.0).all(1)
    better: NDArray[np.bool_] = np.asarray(full & (old < 0.0).any(1))
    best[full] = 0.0
    rows = np.flatnonzero(~full & np.isfinite(program.objective(old)))
    point, inside = interior_point(program[rows], old[rows])
    rows, point = rows[inside], point[inside]
    for attempt in range(rounds if method == "sca" else 1):
        if not len(rows):
            break
        part = program[rows]
        if method == "sca":
            new = solve_barrier(tangent(part, point), point, gap=10.0 ** -min(4 + 2 * attempt, 7))
        else:
            new = solve_barrier(itself(part), point, gap=1e-6)
        before, after = part.objective(point), part.objective(new)
        good = (part.constraints(new) <= 0.0).all(1) & np.isfinite(after) & (after <= before)
        point = np.where(good[:, None], new, point)
        now = np.where(good, after, before)
        gain = now < value[rows]
        best[rows[gain]], value[rows[gain]], better[rows[gain]] = point[gain], now[gain], True
        going = good & (before - after > tolerance)
        rows, point = rows[going], point[going]
    return np.where(better[:, None], np.minimum(np.exp(best), 1.0), share), better
