"""Slow, explicit forms of `multifunctional` for one scene and one slot (no batch axis), from the signal model alone.

    transmit      x = sum_j w_j s_j,  s_j ~ CN(0, 1), users' streams first
    surface       element m hears v_m = (H x)_m + n_m and sends theta_im v_m into half-space i
    user k of i   y_k = sum_m g_km^* theta_im v_m + n_k
    target l of i is lit by sum_m a_lm^* theta_im v_m; its echo is alpha_l times that
    mf            sensor s of side i hears b_ls times every echo of its side + (G_i x)_s + n_s
    others        the echo enters element m with a_lm^*, leaves it with theta_im, reaches antenna n with H_mn; element m adds new
                  noise; antenna n hears both half-spaces and its own noise

H (M, N), g (K, M), a (L, M), b (L, M_s), G (2, M_s, N), theta (2, M), W (N, S). Powers in watts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg


@dataclass(frozen=True)
class Case:
    """One scene, the beams of one slot, and the noise powers."""

    kind: str
    h: np.ndarray
    users: np.ndarray
    a: np.ndarray
    alpha: np.ndarray
    g: np.ndarray | None
    b: np.ndarray | None
    user_side: np.ndarray
    target_side: np.ndarray
    w: np.ndarray
    theta: np.ndarray
    noise_user: float
    noise_surface: float
    noise_sensor: float

    def targets(self, side: int) -> list[int]:
        """Targets of a half-space."""
        return [l for l in range(len(self.alpha)) if self.target_side[l] == side]

    @property
    def receivers(self) -> int:
        """Length of the received echo."""
        return self.g.shape[1] if self.g is not None else self.h.shape[1]


def sides(numbers: tuple[int, int]) -> np.ndarray:
    """0 for the first `numbers[0]`, 1 for the rest."""
    return np.array([0] * numbers[0] + [1] * numbers[1], int)


def case(system: Any, scene: Any, design: Any, b: int = 0, slot: int | None = None) -> Case:
    """Entry `b` of the batches; `slot`: its beams, and the other row of the coefficients is zero."""
    streams = np.concatenate([design.beams[b], design.sensing_beams[b]], axis=-1)
    theta = np.array(design.coefficients[b])
    if slot is not None:
        streams = streams[slot]
        theta[1 - slot] = 0.0
    amplifies = system.kind in ("mf", "active")
    return Case(
        kind=system.kind,
        h=np.array(scene.bs_ris[b]),
        users=np.array(scene.ris_user[b]),
        a=np.array(scene.target_steering[b]),
        alpha=np.array(scene.target_gain[b]),
        g=np.array(scene.bs_sensor[b]) if system.kind == "mf" else None,
        b=np.array(scene.sensor_steering[b]) if system.kind == "mf" else None,
        user_side=sides(system.num_users),
        target_side=sides(system.num_targets),
        w=streams,
        theta=theta,
        noise_user=watts(system.noise_user_dbm),
        noise_surface=watts(system.noise_surface_dbm) if amplifies else 0.0,
        noise_sensor=watts(system.noise_sensor_dbm),
    )


def watts(dbm: float) -> float:
    return 1e-3 * 10.0 ** (dbm / 10.0)


def linear(db: Any) -> Any:
    return 10.0 ** (np.asarray(db) / 10.0)


def decibel(value: Any) -> Any:
    return 10.0 * np.log10(value)


def normals(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """CN(0, 1)."""
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2.0)


# -- users --------------------------------------------------------------------------------------------------------------------


def user_row(c: Case, k: int) -> np.ndarray:
    """h_k^H, element by element, (N,)."""
    theta = c.theta[c.user_side[k]]
    row = np.zeros(c.h.shape[1], complex)
    for m in range(len(theta)):
        row += c.users[k, m].conj() * theta[m] * c.h[m]
    return row


def user_noise(c: Case, k: int) -> float:
    """Amplified and own noise at user k, W."""
    theta = c.theta[c.user_side[k]]
    return float(sum(c.noise_surface * abs(c.users[k, m]) ** 2 * abs(theta[m]) ** 2 for m in range(len(theta))) + c.noise_user)


def user_sinr(c: Case, k: int) -> float:
    """Stream k is wanted; every other stream, sensing included, is interference."""
    power = [abs(user_row(c, k) @ c.w[:, j]) ** 2 for j in range(c.w.shape[1])]
    return float(power[k] / (sum(power) - power[k] + user_noise(c, k))) if power[k] else 0.0


# -- echo ---------------------------------------------------------------------------------------------------------------------


def echo(c: Case, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """X (wanted), J (unwanted), both (receivers, N), and the noise covariance Z, hop by hop."""
    if c.kind == "mf":
        assert c.b is not None and c.g is not None
        through = [np.zeros(c.receivers, complex) for _ in range(c.h.shape[0])]
        for m, column in enumerate(through):
            for l in c.targets(side):
                column += c.alpha[l] * c.b[l] * c.a[l, m].conj() * c.theta[side, m]
        wanted = sum(np.outer(column, c.h[m]) for m, column in enumerate(through))
        z = sum(c.noise_surface * np.outer(column, column.conj()) for column in through)
        return np.asarray(wanted), c.g[side], z + c.noise_sensor * np.eye(c.receivers)
    n = c.h.shape[1]
    x, z = [np.zeros((n, n), complex) for _ in range(2)], c.noise_sensor * np.eye(n, dtype=complex)
    for i in range(2):
        back = c.h.T @ np.diag(c.theta[i])  # surface of side i -> BS
        z += c.noise_surface * back @ back.conj().T  # the elements' noise of the second pass
        first = np.zeros((n, c.h.shape[0]), complex)  # the elements' noise of the first pass
        for l in c.targets(i):
            bounce = c.alpha[l] * np.outer(c.a[l].conj(), c.a[l].conj())
            x[i] += back @ bounce @ np.diag(c.theta[i]) @ c.h
            first += back @ bounce @ np.diag(c.theta[i])
        z += c.noise_surface * first @ first.conj().T
    return x[side], x[1 - side], z


def covariances(c: Case, side: int) -> tuple[np.ndarray, np.ndarray]:
    """R = E of the wanted echo, Q = E of everything else, in units of the receiver's noise."""
    x, j, z = echo(c, side)
    signal, other = x @ c.w, j @ c.w
    return signal @ signal.conj().T / c.noise_sensor, (other @ other.conj().T + z) / c.noise_sensor


def lemma1(c: Case, side: int) -> tuple[float, np.ndarray]:
    """Largest generalised eigenvalue and its unit vector, by LAPACK's own solver of the pencil."""
    r, q = covariances(c, side)
    values, vectors = scipy.linalg.eigh(r, q)
    return float(max(values[-1], 0.0)), vectors[:, -1] / np.linalg.norm(vectors[:, -1])


def quotient(u: np.ndarray, r: np.ndarray, q: np.ndarray) -> float:
    """u^H R u / u^H Q u."""
    return float((u.conj() @ r @ u).real / (u.conj() @ q @ u).real)


def echo_sinr(c: Case, side: int) -> float:
    """`lambda_max(Q^-1 R)` with Q and its Cholesky factor in extended precision: many digits however strong the interference."""
    x, j, z = (np.asarray(part, np.clongdouble) for part in echo(c, side))
    w = np.asarray(c.w, np.clongdouble)
    other = j @ w
    q = (other @ other.conj().T + z) / c.noise_sensor
    n = len(q)
    factor = np.zeros((n, n), np.clongdouble)
    for i in range(n):
        for k in range(i + 1):
            rest = q[i, k] - factor[i, :k] @ factor[k, :k].conj()
            factor[i, k] = np.sqrt(rest.real) if i == k else rest / factor[k, k]
    y = x @ w / np.sqrt(np.longdouble(c.noise_sensor))
    for i in range(n):
        y[i] = (y[i] - factor[i, :i] @ y[:i]) / factor[i, i]
    return float(np.linalg.norm(y.astype(complex), 2) ** 2)


# -- samples ------------------------------------------------------------------------------------------------------------------


def monte_carlo_user(c: Case, k: int, rng: np.random.Generator, samples: int) -> float:
    """Sample SINR of user k: elements and antennas in loops, symbols and noise drawn."""
    s = normals(rng, c.w.shape[1], samples)
    theta = c.theta[c.user_side[k]]
    wanted, unwanted = np.zeros(samples, complex), np.sqrt(c.noise_user) * normals(rng, samples)
    for m in range(len(theta)):
        out = c.users[k, m].conj() * theta[m]
        for n in range(c.h.shape[1]):
            wanted += out * c.h[m, n] * c.w[n, k] * s[k]
            for j in range(c.w.shape[1]):
                if j != k:
                    unwanted += out * c.h[m, n] * c.w[n, j] * s[j]
        unwanted += out * np.sqrt(c.noise_surface) * normals(rng, samples)
    return float(np.mean(np.abs(wanted) ** 2) / np.mean(np.abs(unwanted) ** 2))


def monte_carlo_echo(c: Case, side: int, u: np.ndarray, rng: np.random.Generator, samples: int) -> float:
    """Sample SINR of the echo of `side` after the filter u: every hop of every element, target and receiver in loops."""
    antennas, elements = c.h.shape[1], c.h.shape[0]
    s = normals(rng, c.w.shape[1], samples)
    x = [sum(c.w[n, j] * s[j] for j in range(c.w.shape[1])) for n in range(antennas)]
    incoming = [sum(c.h[m, n] * x[n] for n in range(antennas)) for m in range(elements)]

    def noise(power: float) -> np.ndarray:
        return np.sqrt(power) * normals(rng, samples)

    wanted = [np.zeros(samples, complex) for _ in range(c.receivers)]
    unwanted = [noise(c.noise_sensor) for _ in range(c.receivers)]
    halves = (side,) if c.kind == "mf" else (0, 1)
    for i in halves:
        own = [noise(c.noise_surface) for _ in range(elements)]
        for l in c.targets(i):
            lit = sum(c.a[l, m].conj() * c.theta[i, m] * incoming[m] for m in range(elements))
            hiss = sum(c.a[l, m].conj() * c.theta[i, m] * own[m] for m in range(elements))
            if c.kind == "mf":
                assert c.b is not None
                for r in range(c.receivers):
                    wanted[r] += c.b[l, r] * c.alpha[l] * lit
                    unwanted[r] += c.b[l, r] * c.alpha[l] * hiss
                continue
            for m in range(elements):
                for n in range(antennas):
                    home = c.h[m, n] * c.theta[i, m] * c.a[l, m].conj() * c.alpha[l]
                    if i == side:
                        wanted[n] += home * lit
                    else:
                        unwanted[n] += home * lit
                    unwanted[n] += home * hiss
        if c.kind != "mf":
            for m in range(elements):
                fresh = noise(c.noise_surface)
                for n in range(antennas):
                    unwanted[n] += c.h[m, n] * c.theta[i, m] * fresh
    if c.kind == "mf":
        assert c.g is not None
        for r in range(c.receivers):
            unwanted[r] += sum(c.g[side, r, n] * x[n] for n in range(antennas))
    out = [sum(u[r].conj() * part[r] for r in range(c.receivers)) for part in (wanted, unwanted)]
    return float(np.mean(np.abs(out[0]) ** 2) / np.mean(np.abs(out[1]) ** 2))


def monte_carlo_surface(c: Case, rng: np.random.Generator, samples: int) -> float:
    """Sample power that leaves the surface into both half-spaces, W."""
    x = c.w @ normals(rng, c.w.shape[1], samples)
    total = 0.0
    for i in range(2):
        for m in range(c.h.shape[0]):
            heard = c.h[m] @ x + np.sqrt(c.noise_surface) * normals(rng, samples)
            total += float(np.mean(np.abs(c.theta[i, m] * heard) ** 2))
    return total


# -- powers -------------------------------------------------------------------------------------------------------------------


def surface_power(h: np.ndarray, w: np.ndarray, theta: np.ndarray, noise: float) -> float:
    """(17e): sum over sides and elements, W."""
    heard = [float(np.linalg.norm(h[m] @ w) ** 2) + noise for m in range(len(h))]
    return float(sum(abs(theta[i, m]) ** 2 * heard[m] for i in range(len(theta)) for m in range(len(h))))


# -- metrics ------------------------------------------------------------------------------------------------------------------


def metrics(system: Any, scene: Any, design: Any, b: int = 0) -> dict[str, Any]:
    """Every reported quantity of entry `b` but for the clips, linear where a name does not end in `_db`."""
    ts = system.kind == "mf" and system.protocol == "ts"
    slots = [case(system, scene, design, b, i if ts else None) for i in range(2)]
    share = np.ones(2)
    if ts:
        share = np.array([design.time_fraction[b], 1.0 - design.time_fraction[b]])
    gamma = np.array([max(share[i] * echo_sinr(slots[i], i), 1e-10) for i in range(2)])
    side = slots[0].user_side
    sinr = np.array([user_sinr(slots[side[k]], k) for k in range(len(side))])
    form = system.objective_form if system.objective_form != "auto" else ("log" if system.kind == "mf" else "db")
    objective = {
        "log": np.sum(np.log2(1.0 + gamma)),
        "sum": decibel(gamma.sum()),
        "db": 0.5 * np.sum(decibel(gamma)),
    }[form]
    rate = share[side] * np.log2(1.0 + sinr)
    margin = rate - system.min_rate_bps_hz
    least = system.min_rate_bps_hz
    return {
        "objective": objective,
        "score": objective / 10.0,
        "cost": np.sum(np.maximum(0.0, -margin)) / least if least else 0.0,
        "feasible": bool(np.all(margin >= -1e-3)),
        "margin": margin,
        "echo_sinr_db": decibel(gamma),
        "sum_sinr_db": decibel(gamma.sum()),
        "mean_sinr_db": np.mean(decibel(gamma)),
        "min_sinr_db": np.min(decibel(gamma)),
        "rate": rate,
        "sinr": sinr,
        "power_w": max(float(np.linalg.norm(c.w) ** 2) for c in slots),
        "surface_power_w": max(surface_power(c.h, c.w, c.theta, c.noise_surface) for c in slots),
    }
