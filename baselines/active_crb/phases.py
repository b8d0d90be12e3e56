"""Phase steps: second-pass power (P4.2) and max-min SINR ratio under the surface power (SDR6.3), local and fast.

    min u^H Xi u,    max min_k u^H S_k u / (gamma_k (u^H I_k u + n_k))  s.t.  u^H Xi u <= slack,    |u_n| = 1

Source: arXiv 2508.00379, problems (P4.2) and (SDR6.3); model page, sections 7.1, 7.2 and 9.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from baselines.tools.lbfgs import minimise
from baselines.tools.linalg import Array, ComplexArray, abs2, herm

WARM = (30.0, 300.0, 3000.0)
"""Sharpness of the soft minimum, stage by stage, from a point that is already good."""
COLD = (2.0, 20.0, 200.0)
"""The same from random phases."""
INTERIOR = 0.98
"""Share of the slack below which a start counts as well inside the surface power."""


def echo_form(target_response: ComplexArray, amplitude: Array, incident: ComplexArray) -> ComplexArray:
    """Xi = (H^H A^2 H) o (A B A)^T: u^H Xi u is the signal part of the second pass's power (W).

    Args:
        target_response: (B, N, N) H.
        amplitude: (B, N) a.
        incident: (B, N, N) B = G R G^H, Hermitian, W.

    Returns:
        (B, N, N), Hermitian PSD.
    """
    loud = amplitude[:, :, None] * target_response
    scaled = amplitude[:, :, None] * incident * amplitude[:, None, :]
    return np.asarray((herm(loud) @ loud) * np.swapaxes(scaled, -1, -2))


def quadratic(form: ComplexArray, u: ComplexArray) -> Array:
    """u^H form u of each scene, (B,)."""
    return np.einsum("bn,bn->b", u.conj(), (form @ u[..., None])[..., 0]).real


@dataclass(frozen=True, kw_only=True)
class PhaseProgram:
    """Max-min program in units of noise 1 and slack 1.

    Attributes:
        own: (B, K, N), s_kk / sqrt(gamma_k n_k): |own_k^T u|^2 is the signal over gamma_k n_k.
        total: (B, K, N, N), (S_k + I_k) / n_k, PSD.
        threshold: (K,) or (B, K), gamma_k.
        echo: (B, N, N), Xi / slack, or None without surface power.
    """

    own: ComplexArray
    total: ComplexArray
    threshold: Array
    echo: ComplexArray | None = None

    def __len__(self) -> int:
        return len(self.own)

    def __getitem__(self, rows: slice | NDArray) -> PhaseProgram:
        return replace(
            self,
            own=self.own[rows],
            total=self.total[rows],
            threshold=self.threshold[rows],
            echo=None if self.echo is None else self.echo[rows],
        )

    def ratios(self, u: ComplexArray) -> Array:
        """SINR_k / gamma_k (B, K) at phases u (B, N)."""
        signal = abs2((self.own @ u[..., None])[..., 0])
        both = np.einsum("bn,bkn->bk", u.conj(), (self.total @ u[:, None, :, None])[..., 0]).real
        return np.asarray(signal / np.maximum(1.0 + both - self.threshold * signal, 1e-12))

    def usage(self, u: ComplexArray) -> Array:
        """u^H Xi u / slack (B,); 0 without surface power."""
        return np.zeros(len(u)) if self.echo is None else quadratic(self.echo, u)


def phase_program(
    ris_user: ComplexArray,
    amplitude: Array,
    users: ComplexArray,
    incident: ComplexArray,
    threshold: Array,
    noise: Array,
    echo: ComplexArray | None = None,
    slack: Array | None = None,
) -> PhaseProgram:
    """The program at fixed beams and amplitudes.

    Args:
        ris_user: (B, K, N), rows h_k.
        amplitude: (B, N).
        users: (B, N, K), columns G w_k.
        incident: (B, N, N), G R G^H with R = W W^H + R_0.
        threshold: (K,) or (B, K), linear, positive.
        noise: (B, K), n_k, W.
        echo: (B, N, N), Xi; None: no surface power.
        slack: (B,), surface budget without the first pass and the noise, W; where it is not positive no phases are admissible.

    Returns:
        The `PhaseProgram`.
    """
    threshold = np.broadcast_to(np.asarray(threshold, dtype=float), noise.shape)
    paths = ris_user.conj() * amplitude[:, None, :]
    own = paths * np.swapaxes(users, -1, -2) / np.sqrt(threshold * noise)[..., None]
    side = paths / np.sqrt(noise)[..., None]
    total = side.conj()[..., :, None] * incident.conj()[:, None] * side[..., None, :]
    if echo is not None:
        budget = np.asarray(slack, dtype=float)
        closed = budget <= 0
        share = echo / np.where(closed, 1.0, budget)[:, None, None]
        echo = np.where(closed[:, None, None], 1e6 * np.eye(echo.shape[-1]), share)
    return PhaseProgram(own=own, total=total, threshold=threshold, echo=echo)


def lower_echo(
    form: ComplexArray, u: ComplexArray, *, iterations: int = 60, enough: Array | None = None
) -> tuple[ComplexArray, Array]:
    """L-BFGS on phi -> log u^H Xi u from the phases u.

    Args:
        form: (B, N, N) Xi.
        u: (B, N), unit modulus.
        iterations: steps.
        enough: (B,) values of u^H Xi u below which a scene stops; None: at the minimum.

    Returns:
        Phases (B, N) and u^H Xi u (B,), not above its start.
    """
    floor = np.maximum(np.einsum("bnn->b", form).real, 1e-300) * 1e-13
    stop = np.zeros(len(u)) if enough is None else enough

    def objective(x: Array, rows: NDArray[np.int64]) -> tuple[Array, Array]:
        point = np.exp(1j * x)
        image = (form[rows] @ point[..., None])[..., 0]
        value = np.einsum("bn,bn->b", point.conj(), image).real + floor[rows]
        gradient = 2.0 * (point.conj() * image).imag / value[:, None]
        gradient[value <= stop[rows]] = 0.0
        return np.log(value), gradient

    x, _ = minimise(objective, np.angle(u), iterations=iterations, gradient_tolerance=1e-6)
    out = np.exp(1j * x)
    value, old = quadratic(form, out), quadratic(form, u)
    better = value < old
    return np.where(better[:, None], out, u), np.where(better, value, old)


def minimise_echo(
    form: ComplexArray, u: ComplexArray, generators: list[np.random.Generator], *, restarts: int = 6, iterations: int = 60
) -> tuple[ComplexArray, Array]:
    """(P4.2) by descent from u and from random phases.

    Args:
        form: (B, N, N) Xi.
        u: (B, N), current phases, unit modulus.
        generators: one per scene.
        restarts: random starts besides u.
        iterations: L-BFGS steps per start.

    Returns:
        Phases (B, N) and u^H Xi u (B,), not above that of u.
    """
    count, n = u.shape
    random = np.stack([g.uniform(-np.pi, np.pi, (restarts, n)) for g in generators])
    starts = np.concatenate([u[:, None], np.exp(1j * random)], axis=1).reshape(-1, n)
    points, value = lower_echo(np.repeat(form, restarts + 1, axis=0), starts, iterations=iterations)
    best = value.reshape(count, -1).argmin(1)
    rows = np.arange(count)
    return points.reshape(count, -1, n)[rows, best], value.reshape(count, -1)[rows, best]


def raise_ratio(
    program: PhaseProgram, u: ComplexArray, *, sharpness: tuple[float, ...] = WARM, iterations: int = 40
) -> tuple[ComplexArray, Array, NDArray[np.bool_]]:
    """Raise the smallest SINR ratio by L-BFGS on the phases, strictly inside the surface power (log barrier).

        min_phi  1/kappa log sum_k ratio_k^-kappa - 1/kappa log(1 - u^H Xi u / slack)

    A start on the border (a transmit step fills the budget) is first moved inside by lowering u^H Xi u.

    Args:
        program: (B scenes).
        u: (B, N), unit modulus.
        sharpness: kappa, stage by stage.
        iterations: L-BFGS steps per stage.

    Returns:
        Phases (B, N), smallest ratio (B,), and where they are better than u (B,). What is returned meets the surface
        power unless it is u itself (where nothing better was found).
    """
    old = program.ratios(u).min(1)
    start = u
    if program.echo is not None:
        tight = np.flatnonzero(~(program.usage(u) <= INTERIOR))
        if len(tight):
            start = u.copy()
            start[tight], _ = lower_echo(program.echo[tight], u[tight], enough=np.full(len(tight), INTERIOR), iterations=20)
    rows = np.flatnonzero(program.usage(start) < 1.0)
    out, better = u.copy(), np.zeros(len(u), bool)
    if not len(rows):
        return out, old, better
    part = program if len(rows) == len(u) else program[rows]
    x = np.angle(start[rows])
    for kappa in sharpness:
        x, _ = minimise(_Soft(part, kappa), x, iterations=iterations, gradient_tolerance=1e-5)
    found = np.exp(1j * x)
    value = part.ratios(found).min(1)
    good = np.isfinite(value) & (value > old[rows]) & (part.usage(found) <= 1.0)
    out[rows[good]], better[rows[good]] = found[good], True
    old[rows[good]] = value[good]
    return out, old, better


@dataclass(frozen=True)
class _Soft:
    """The smoothed objective of `raise_ratio` and its gradient; infinite outside the surface power."""

    program: PhaseProgram
    kappa: float

    def __call__(self, x: Array, rows: NDArray[np.int64]) -> tuple[Array, Array]:
        part = self.program if len(rows) == len(self.program) else self.program[rows]
        u = np.exp(1j * x)
        amplitude = (part.own @ u[..., None])[..., 0]
        count, users, n = part.own.shape
        image = (part.total.reshape(count, users * n, n) @ u[..., None]).reshape(count, users, n)
        signal = np.maximum(abs2(amplitude), 1e-30)
        both = np.einsum("bn,bkn->bk", u.conj(), image).real
        noise = np.maximum(1.0 + both - part.threshold * signal, 1e-12)
        ratio = np.log(signal) - np.log(noise)
        low = ratio.min(1, keepdims=True)
        weight = np.exp(-self.kappa * (ratio - low))
        total = weight.sum(1, keepdims=True)
        value = np.log(total[:, 0]) / self.kappa - low[:, 0]
        weight /= total
        # d (u^H T u) / d phi = 2 Im(u* o T u)
        own = ((1.0 / signal + part.threshold / noise) * weight * amplitude)[..., None] * part.own.conj()
        slope = own.sum(1) - np.einsum("bk,bkn->bn", weight / noise, image)
        if part.echo is not None:
            echo = (part.echo @ u[..., None])[..., 0]
            room = 1.0 - np.einsum("bn,bn->b", u.conj(), echo).real
            inside = room > 0
            room = np.where(inside, room, 1.0)
            value = np.where(inside, value - np.log(room) / self.kappa, np.inf)
            slope = slope - echo / (self.kappa * room)[:, None]
        return value, -2.0 * (u.conj() * slope).imag
