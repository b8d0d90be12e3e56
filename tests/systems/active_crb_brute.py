"""Slow, explicit forms of `active_crb` for one scene (no batch axis), from the signal model of the model page alone.

    transmit   x = W s + L c,  s, c ~ CN(0, I),  R = W W^H + L L^H
    pass 1     r_1 = Psi (G x + n_1),                     user k hears  h_k^H r_1 + n_k
    pass 2     r_2 = Psi (H r_1 + n_2),                   the BS hears  y = G^T r_2 + n_b   (the echo of n_1 is neglected)

G (N, M), h (K, N), H (N, N), v = diag(Psi) (N,), W (M, K), L (M, N). Powers in watts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Case:
    """One scene and one design, and the powers."""

    g: np.ndarray
    h: np.ndarray
    target: np.ndarray
    w: np.ndarray
    sensing: np.ndarray
    v: np.ndarray
    noise_bs: float
    noise_user: float
    noise_surface: float
    snapshots: int

    @property
    def r(self) -> np.ndarray:
        """R = W W^H + L L^H."""
        return self.w @ self.w.conj().T + self.sensing @ self.sensing.conj().T


def case(system: Any, scene: Any, design: Any, b: int = 0) -> Case:
    """Entry `b` of the batches."""
    return Case(
        g=np.array(scene.bs_ris[b]),
        h=np.array(scene.ris_user[b]),
        target=np.array(scene.target_response[b]),
        w=np.array(design.beams[b]),
        sensing=np.array(design.sensing_beams[b]),
        v=np.array(design.coefficients[b]),
        noise_bs=system.noise_bs_w,
        noise_user=system.noise_user_w,
        noise_surface=system.noise_surface_w,
        snapshots=system.num_snapshots,
    )


def random_case(seed: int, m: int, n: int, k: int, t: int, noise_surface: float = 0.3) -> Case:
    """Gaussian numbers of order one."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2.0)

    z = normal(n, n)
    v = normal(n) if noise_surface else np.exp(2j * np.pi * rng.random(n))
    return Case(normal(n, m), normal(k, n), z + z.T, normal(m, k), normal(m, n), v, 0.2, 0.5, noise_surface, t)


def normals(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """CN(0, 1)."""
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2.0)


# -- the echo and its bound ---------------------------------------------------------------------------------------------------


def snapshots(c: Case, rng: np.random.Generator) -> np.ndarray:
    """X (M, T) with exact sample covariance `X X^H = T R`."""
    m, t = c.g.shape[1], c.snapshots
    assert t >= m
    values, vectors = np.linalg.eigh(c.r)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    rows, _ = np.linalg.qr(normals(rng, t, m))
    return np.sqrt(t) * root @ rows.conj().T


def mean_echo(c: Case, x: np.ndarray, target: np.ndarray) -> np.ndarray:
    """`G^T Psi H Psi G X`, (M, T)."""
    psi = np.diag(c.v)
    return c.g.T @ psi @ target @ psi @ c.g @ x


def echo_noise(c: Case, rng: np.random.Generator, columns: int) -> np.ndarray:
    """`G^T Psi N_2 + N_b`, (M, columns)."""
    n, m = c.g.shape
    second = np.sqrt(c.noise_surface) * normals(rng, n, columns)
    return c.g.T @ np.diag(c.v) @ second + np.sqrt(c.noise_bs) * normals(rng, m, columns)


def noise_covariance(c: Case) -> np.ndarray:
    """`E n n^H` of one snapshot, (M, M)."""
    through = c.g.T @ np.diag(c.v)
    return c.noise_surface * through @ through.conj().T + c.noise_bs * np.eye(c.g.shape[1])


def crb_by_differences(c: Case, x: np.ndarray, step: float = 1e-3) -> float:
    """tr F^-1 over the 2 N^2 real parameters; F of the real Gaussian vector [Re vec Y; Im vec Y], mean by differences.

    The central differences are of the mean itself about the true H; the covariance of the stacked real vector is written out.
    """
    n, t = c.target.shape[0], x.shape[1]

    def stacked(target: np.ndarray) -> np.ndarray:
        y = mean_echo(c, x, target).ravel(order="F")
        return np.concatenate([y.real, y.imag])

    size = np.linalg.norm(c.target)
    columns = []
    for unit in (1.0, 1j):
        for i in range(n * n):
            change = np.zeros(n * n, complex)
            change[i] = unit * step * size
            change = change.reshape(n, n, order="F")
            columns.append((stacked(c.target + change) - stacked(c.target - change)) / (2.0 * step * size))
    jacobian = np.stack(columns, axis=1)
    full = np.kron(np.eye(t), noise_covariance(c))
    real = 0.5 * np.block([[full.real, -full.imag], [full.imag, full.real]])
    fisher = jacobian.T @ np.linalg.solve(real, jacobian)
    scale = np.sqrt(np.diag(fisher))
    return float(np.sum(np.diag(np.linalg.inv(fisher / np.outer(scale, scale))) / scale**2))


def crb_by_kronecker(c: Case, x: np.ndarray) -> float:
    """tr J^-1, `J = D^H (I (x) Sigma^-1) D`, `D = (Psi G X)^T (x) G^T Psi`."""
    psi = np.diag(c.v)
    d = np.kron((psi @ c.g @ x).T, c.g.T @ psi)
    weight = np.kron(np.eye(x.shape[1]), np.linalg.inv(noise_covariance(c)))
    return float(np.trace(np.linalg.inv(d.conj().T @ weight @ d)).real)


def crb(c: Case) -> float:
    """The product of the two traces, in the form before the push-through identity."""
    psi = np.diag(c.v)
    left = psi @ c.g @ c.r @ c.g.conj().T @ psi.conj().T
    right = psi.conj().T @ c.g.conj() @ np.linalg.inv(noise_covariance(c)) @ c.g.T @ psi
    return float((np.trace(np.linalg.inv(left)) * np.trace(np.linalg.inv(right))).real / c.snapshots)


def least_squares(c: Case, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Best linear unbiased estimate of H from Y (M, T): weighted least squares on the vectorised model, no closed form."""
    psi, n = np.diag(c.v), c.target.shape[0]
    white = np.linalg.inv(np.linalg.cholesky(noise_covariance(c)))
    d = np.kron((psi @ c.g @ x).T, white @ c.g.T @ psi)
    h = np.linalg.lstsq(d, (white @ y).ravel(order="F"), rcond=None)[0]
    return h.reshape(n, n, order="F")


def bayes_mse(c: Case, variance: float) -> float:
    """MSE of the linear MMSE estimate of H with i.i.d. CN(0, variance) entries: `tr (J + I / variance)^-1`, J as a Kronecker."""
    psi = np.diag(c.v)
    left = (psi @ c.g @ c.r @ c.g.conj().T @ psi.conj().T).conj()
    right = psi.conj().T @ c.g.conj() @ np.linalg.inv(noise_covariance(c)) @ c.g.T @ psi
    j = c.snapshots * np.kron(left, right)
    return float(np.trace(np.linalg.inv(j + np.eye(len(j)) / variance)).real)


# -- users --------------------------------------------------------------------------------------------------------------------


def sinr(c: Case) -> np.ndarray:
    """SINR of every user, loops and all, (K,)."""
    users = c.w.shape[1]
    out = np.zeros(users)
    for k in range(users):
        row = np.array([c.h[k, n].conj() * c.v[n] for n in range(len(c.v))])
        path = row @ c.g
        signal = abs(path @ c.w[:, k]) ** 2
        others = sum(abs(path @ c.w[:, i]) ** 2 for i in range(users) if i != k)
        sensing = sum(abs(path @ c.sensing[:, j]) ** 2 for j in range(c.sensing.shape[1]))
        noise = c.noise_surface * np.sum(np.abs(row) ** 2) + c.noise_user
        out[k] = signal / (others + sensing + noise)
    return out


def user_noise(c: Case) -> np.ndarray:
    """`n_k = sigma_r^2 sum_n |h_kn|^2 a_n^2 + sigma_u^2`, (K,)."""
    return c.noise_surface * np.sum(np.abs(c.h) ** 2 * np.abs(c.v) ** 2, axis=1) + c.noise_user


# -- powers -------------------------------------------------------------------------------------------------------------------


def surface_power(c: Case) -> tuple[float, float]:
    """Powers that leave the surface in the two passes, `E ||r_1||^2` and `E ||r_2||^2`."""
    psi, n = np.diag(c.v), len(c.v)
    incoming = c.g @ c.r @ c.g.conj().T + c.noise_surface * np.eye(n)
    first = psi @ incoming @ psi.conj().T
    second = psi @ (c.target @ first @ c.target.conj().T + c.noise_surface * np.eye(n)) @ psi.conj().T
    return float(np.trace(first).real), float(np.trace(second).real)


def surface_affine(c: Case) -> tuple[np.ndarray, float]:
    """S (M, M) and s_0 with `P_surf = tr(S R) + s_0`."""
    a2 = np.abs(c.v) ** 2
    psi, n = np.diag(c.v), len(c.v)
    middle = np.eye(n) + c.target.conj().T @ np.diag(a2) @ c.target
    s = c.g.conj().T @ psi.conj().T @ middle @ psi @ c.g
    loop = sum(a2[i] * abs(c.target[i, j]) ** 2 * a2[j] for i in range(n) for j in range(n))
    return s, float(c.noise_surface * (2.0 * a2.sum() + loop))


def cap(target: np.ndarray, noise_surface: float, budget: float, max_amplitude: float) -> float:
    """`a_cap`: the largest common amplitude whose noise alone takes at most half of the budget, at most `max_amplitude`."""
    n = len(target)

    def noise(square: float) -> float:
        return noise_surface * (2.0 * n * square + square**2 * float(np.sum(np.abs(target) ** 2)))

    if noise(max_amplitude**2) <= 0.5 * budget:
        return max_amplitude
    low, high = 0.0, max_amplitude**2
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if noise(middle) <= 0.5 * budget else (low, middle)
    return float(np.sqrt(low))


# -- the bound of section 8.1 and the beams of section 12 ---------------------------------------------------------------------


def transmit_factor(e: np.ndarray, power: float, surface: float | None) -> tuple[float, np.ndarray]:
    """min sum 1 / f_n s.t. sum e_n f_n <= power, sum f_n <= surface (None: no such limit). Returns (value, f), by a 1-d search.

    At the optimum `f_n = (lambda e_n + nu)^-1/2`; along lambda = cos^2, nu = sin^2 of an angle everything else is a scale.
    """
    unit = e / e.mean()

    def made(share: np.ndarray) -> np.ndarray:
        f = ((1.0 - share) * unit + share) ** -0.5
        loads = [np.sum(e * f, axis=-1) / power] + ([] if surface is None else [f.sum(axis=-1) / surface])
        return f / np.max(loads, axis=0)[..., None]

    if surface is None:
        return float(np.sum(1.0 / made(np.zeros(1)))), made(np.zeros(1))
    low, high, best = 0.0, 1.0, 0.0
    for _ in range(12):  # the value is unimodal: ever finer grids about the best point
        shares = np.linspace(low, high, 41)
        best = float(shares[np.argmin(np.sum(1.0 / made(shares[:, None]), axis=-1))])
        width = (high - low) / 20.0
        low, high = max(best - width, 0.0), min(best + width, 1.0)
    return float(np.sum(1.0 / made(np.array([best])))), made(np.array([best]))


def lower_bound(c: Case, power: float, surface: float | None, max_amplitude: float) -> tuple[float, np.ndarray]:
    """Bound 8.1 and R_s (M, M), the covariance that attains it but for second pass and surface noise."""
    n = len(c.v)
    e, vectors = np.linalg.eigh(np.linalg.inv(c.g @ c.g.conj().T) / max_amplitude**2)
    x, f = transmit_factor(e, power, surface)
    y = n * c.noise_surface + c.noise_bs * e.sum()
    q = max_amplitude * c.g
    back = np.linalg.pinv(q)
    return x * y / c.snapshots, back @ (vectors * f) @ vectors.conj().T @ back.conj().T


def rule(c: Case, r_s: np.ndarray, gamma: np.ndarray | None, power: float, surface: float | None) -> tuple[Any, Any, float, Any]:
    """Beams of the surface control: (W, R_0, zeta before its floor, t); W, R_0 are scaled to the first binding budget.

    Zero-forcing through the least-norm inverse in the metric of R_s; what is left of R_s after the users' projections senses.
    """
    s, s0 = surface_affine(c)
    root = np.linalg.cholesky(r_s + 1e-15 * np.trace(r_s).real * np.eye(len(r_s)))
    if gamma is None:
        w, r0, zeta, t = np.zeros((len(r_s), c.h.shape[0]), complex), r_s, 1.0, None
    else:
        paths = (c.h.conj() * c.v) @ c.g
        gram = paths @ r_s @ paths.conj().T
        k0 = r_s @ paths.conj().T @ np.linalg.inv(gram)
        through = paths @ root
        null = np.eye(len(r_s)) - through.conj().T @ np.linalg.inv(through @ through.conj().T) @ through
        rest = root @ null @ root.conj().T
        t = 1.0 / np.diag(np.linalg.inv(gram)).real
        n = user_noise(c)
        fixed = (k0 * (gamma * n)) @ k0.conj().T
        grown = (k0 * t) @ k0.conj().T + rest
        shares = [(power - np.trace(fixed).real) / np.trace(grown).real]
        if surface is not None:
            shares.append((surface - s0 - np.trace(s @ fixed).real) / np.trace(s @ grown).real)
        zeta = float(min(shares))
        used = max(zeta, 1e-2)
        w, r0 = k0 * np.sqrt(gamma * n + used * t), used * rest
    total = w @ w.conj().T + r0
    scale = power / np.trace(total).real
    if surface is not None:
        scale = min(scale, (surface - s0) / np.trace(s @ total).real)
    return np.sqrt(scale) * w, scale * r0, zeta, t
