"""Metrics of `nonorthogonal` (model page, sections 4 and 5). Array-API generic, and for any number of candidates at once.

All that depends on the coefficients are a few inner products, the *moments*: `xi @ products`, (..., P), with the columns g_1, g_2
and, where one user both decodes and is localised, sum_l l_y q_l and sum_l l_z q_l (q = xi o c_sense); in the other case r = 0.

The effective Fisher matrix of u is `Lambda = diag(alpha) + c_p p p^T + c_q q q^T` with `alpha = E |g_2|^2 diag(A)` and
`p + j q = r exp(-j arg g_1 + j arg(X_2) / 2)`. This form has no cancellation, so single precision serves too. With
X = p_y q_z - p_z q_y and for any real vector f

    det Lambda = alpha_y alpha_z + alpha_y (c_p p_z^2 + c_q q_z^2) + alpha_z (c_p p_y^2 + c_q q_y^2) + c_p c_q X^2,
    f^T Lambda^-1 f det Lambda = alpha_z f_y^2 + alpha_y f_z^2 + c_p (f_y p_z - f_z p_y)^2 + c_q (f_y q_z - f_z q_y)^2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ris_gym.arrays import Array, abs2, at_least, constant
from ris_gym.systems.base import FEASIBLE_MARGIN
from ris_gym.systems.nonorthogonal.records import NonOrthogonalDesign, NonOrthogonalMetrics, NonOrthogonalScene

if TYPE_CHECKING:
    from ris_gym.systems.nonorthogonal.system import NonOrthogonal

_ROWS = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
LEAST_GAIN = 1e-6
"""|g_1| and |g_2| are clipped below by this."""
TINY = 1e-36
"""Floor of determinants (representable in single precision)."""
INFORMATION_RANGE = (-10.0, 40.0)
"""Mutual information is clipped to this range, bit/symbol."""
MARGIN_DB = 40.0


@dataclass(frozen=True)
class Fisher:
    """Lambda and what it is made of. Arrays of any common shape; vectors are pairs (y, z)."""

    alpha: tuple[Array, Array]
    p: tuple[Array, Array] | None  # None where r = 0
    q: tuple[Array, Array] | None
    c_p: Array | None
    c_q: Array | None
    det: Array

    def inverse_form(self, y: Array, z: Array) -> Array:
        """`f^T Lambda^-1 f` of real vectors f = (y, z)."""
        top = self.alpha[1] * y**2 + self.alpha[0] * z**2
        if self.p is not None and self.q is not None:
            top = top + self.c_p * (y * self.p[1] - z * self.p[0]) ** 2 + self.c_q * (y * self.q[1] - z * self.q[0]) ** 2
        return top / self.det


@dataclass(frozen=True)
class Values:
    """What moments are worth, per block and candidate. `information` is bit/symbol, `rate` too; bounds in rad^2."""

    crlb_symbol: Array
    crlb_angle: Array
    power_comm: Array  # |g_1|^2, clipped
    power_sense: Array  # |g_2|^2, clipped
    fisher: Fisher


def moments(xp: Any, scene: NonOrthogonalScene, coefficients: Array) -> Array:
    """Moments (B, n, P) of coefficients (B, n, L), or (B, n, C, P) of C candidates (B, n, C, L)."""
    products = scene.reference["products"]  # type: ignore[index]
    if coefficients.ndim == products.ndim:
        return coefficients @ products
    return (coefficients[..., None, :] @ products)[..., 0, :]


def values(
    system: NonOrthogonal, xp: Any, scene: NonOrthogonalScene, moment: Array, level: Array, fisher: str | None = None
) -> Values:
    """Bounds of moments (B, n, ..., P) at `level` = a (B, n) (sections 4.2 to 4.4).

    Args:
        fisher: judge by another Fisher matrix than the system's.
    """
    reference: Any = scene.reference
    extra = (1,) * (moment.ndim - 3)

    def wide(array: Array) -> Array:
        return xp.reshape(array, (*array.shape[:2], *extra)) if extra else array

    kind = system.fisher if fisher is None else fisher
    energy, level = wide(reference["energy"]), wide(level)
    g1, g2 = moment[..., 0], moment[..., 1]
    power_comm, power_sense = (at_least(xp, abs2(xp, g), LEAST_GAIN**2) for g in (g1, g2))
    matrix = fisher_matrix(system, xp, moment, energy, wide(reference["square"]), power_sense, kind)
    factor = reference["factor"]
    angle = sum(matrix.inverse_form(wide(factor[..., 0, i]), wide(factor[..., 1, i])) for i in range(2))
    level_comm = level * wide(reference["comm_ratio"])
    symbol = (2.0 if kind == "complex" else 1.0) / system.num_user_antennas
    if matrix.p is not None and matrix.q is not None and kind != "known":
        d_p, d_q = symbol_weights(xp, energy, wide(reference["square"]), kind)
        symbol = symbol + (d_p * matrix.inverse_form(*matrix.p) + d_q * matrix.inverse_form(*matrix.q)) / system.num_slots
    return Values(
        crlb_symbol=symbol / (level_comm * power_comm),
        crlb_angle=0.5 * angle / level,
        power_comm=power_comm,
        power_sense=power_sense,
        fisher=matrix,
    )


def coupling(system: NonOrthogonal, xp: Any, moment: Array, square: Array) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """p, q: real and imaginary part of `r exp(-j arg g_1 + j arg(X_2) / 2)`, r = m bar g_2 - sum_l l q_l; pairs (y, z)."""
    g1 = moment[..., 0]
    power = abs2(xp, g1)
    turn = xp.where(power > 0, xp.conj(g1), xp.ones_like(g1)) / xp.sqrt(xp.where(power > 0, power, xp.ones_like(power)))
    half = 0.5 * xp.atan2(xp.imag(square), xp.real(square))
    turn = turn * (xp.cos(half) + 1j * xp.sin(half))
    y, z = (turn * (float(system.user_centre[i]) * moment[..., 1] - moment[..., 2 + i]) for i in range(2))
    return (xp.real(y), xp.real(z)), (xp.imag(y), xp.imag(z))


def fisher_matrix(
    system: NonOrthogonal, xp: Any, moment: Array, energy: Array, square: Array, power_sense: Array, kind: str
) -> Fisher:
    """Lambda of a Fisher matrix `paper`, `known` or `complex`."""
    ay, az = (energy * power_sense * float(spread) for spread in system.user_spread)
    det = ay * az
    if system.two_user:
        return Fisher((ay, az), None, None, None, None, at_least(xp, det, TINY))
    p, q = coupling(system, xp, moment, square)
    half = 0.5 * system.num_user_antennas
    if kind == "paper":
        size = xp.abs(square)
        c_p, c_q = half * (energy + size), half * at_least(xp, energy - size, 0.0)
    elif kind == "known":
        c_p = c_q = 2.0 * half * energy
    else:
        c_p = c_q = 0.0 * energy
    cross = p[0] * q[1] - p[1] * q[0]
    det = det + ay * (c_p * p[1] ** 2 + c_q * q[1] ** 2) + az * (c_p * p[0] ** 2 + c_q * q[0] ** 2) + c_p * c_q * cross**2
    return Fisher((ay, az), p, q, c_p, c_q, at_least(xp, det, TINY))


def symbol_weights(xp: Any, energy: Array, square: Array, kind: str) -> tuple[Array, Array]:
    """Weights of `p^T Lambda^-1 p` and `q^T Lambda^-1 q` in the sum of the symbol bounds over the slots."""
    if kind == "complex":
        return energy, energy
    size = xp.abs(square)
    return 0.5 * at_least(xp, energy - size, 0.0), 0.5 * (energy + size)


def objective(system: NonOrthogonal, xp: Any, found: Values) -> Array:
    """`V = zeta lg CRLB_x + (1 - zeta) lg CRLB_angle` per block and candidate, (38) with both weights."""
    return system.weight * xp.log10(found.crlb_symbol) + (1.0 - system.weight) * xp.log10(found.crlb_angle)


def information(
    system: NonOrthogonal, xp: Any, scene: NonOrthogonalScene, found: Values, level: Array, kind: str | None = None
) -> Array:
    """Average mutual information (47), bit/symbol, per block and candidate (sections 4.2 to 4.4).

    `1/T sum_t n_c log2(sigma_x^2 / CRLB(x(t)))`, n_c = 1 for `complex` (real and imaginary part), else 1/2. Where the symbols
    are not known (`statistical`), their slots share the mean bound.
    """
    kind = system.fisher if kind is None else kind
    share = 1.0 if kind == "complex" else 0.5
    bound = found.crlb_symbol
    matrix = found.fisher
    if matrix.p is None or matrix.q is None or kind == "known" or scene.symbols is None:
        out = xp.log2(system.symbol_variance / bound)
    else:
        extra = (1,) * (bound.ndim - 2)
        wide = lambda array: xp.reshape(array, (*array.shape[:2], *extra))  # noqa: E731
        half = 0.5 * xp.atan2(xp.imag(scene.reference["square"]), xp.real(scene.reference["square"]))  # type: ignore[index]
        scale = wide(level * scene.reference["comm_ratio"]) * found.power_comm  # type: ignore[index]
        if kind == "complex":
            coupled = matrix.inverse_form(*matrix.p) + matrix.inverse_form(*matrix.q)
        out = 0.0 * bound
        for t in range(system.num_slots):
            x = scene.symbols[..., t]
            if kind == "complex":
                rest = wide(abs2(xp, x)) * coupled
            else:
                x = x * (xp.cos(half) - 1j * xp.sin(half))  # x r~ = (x e^{-j half}) (p + j q): rho = -Im
                re, im = wide(xp.real(x)), wide(xp.imag(x))
                rest = matrix.inverse_form(*(re * matrix.q[i] + im * matrix.p[i] for i in range(2)))
            slot = ((2.0 if kind == "complex" else 1.0) / system.num_user_antennas + rest) / scale
            out = out + xp.log2(system.symbol_variance / slot) / system.num_slots
    return xp.clip(share * out, *INFORMATION_RANGE)


def beam_level(xp: Any, scene: NonOrthogonalScene, design: NonOrthogonalDesign) -> Array:
    """`a = 2 |alpha_B2I alpha_I2U|^2 |a_B^H w|^2 / sigma_z^2`, (B, n)."""
    gain = xp.sum(xp.conj(scene.bs_steering) * design.beams[..., 0], axis=-1)
    return scene.reference["level"] * at_least(xp, abs2(xp, gain), 1e-12)  # type: ignore[index]


def evaluate(
    system: NonOrthogonal, xp: Any, scene: NonOrthogonalScene, design: NonOrthogonalDesign
) -> NonOrthogonalMetrics:
    """Metrics of a design, means over the blocks."""
    level = beam_level(xp, scene, design)
    found = values(system, xp, scene, moments(xp, scene, design.coefficients), level)
    mean = (lambda array: array[:, 0]) if level.shape[1] == 1 else (lambda array: xp.mean(array, axis=1))
    bits = information(system, xp, scene, found, level)
    cost, margins = 0.0 * level[:, 0], {}
    if system.objective_form == "weighted":
        value = mean(objective(system, xp, found))
        score = -value - 4.0
        feasible = cost >= 0.0
    else:
        value = mean(bits)
        score = value / 10.0
        ratio = scene.reference["angle_limit"] / found.crlb_angle  # type: ignore[index]
        margin = xp.clip(10.0 * xp.log10(ratio), -MARGIN_DB, MARGIN_DB)
        margins["angle"] = margin
        cost = xp.sum(at_least(xp, -margin, 0.0), axis=1) / 10.0
        feasible = xp.all(margin >= FEASIBLE_MARGIN, axis=1)
    snr = 0.5 * system.symbol_variance * system.num_user_antennas * level * scene.reference["comm_ratio"]  # type: ignore[index]
    return NonOrthogonalMetrics(
        objective=value,
        score=score,
        cost=cost,
        feasible=feasible,
        margins=margins,
        crlb_symbol=mean(found.crlb_symbol),
        crlb_angle=mean(found.crlb_angle),
        mutual_information=mean(bits),
        rate=mean(xp.log1p(snr * found.power_comm)) / math.log(2.0),
        gain_comm=mean(xp.sqrt(found.power_comm)) / system.num_elements,
        gain_sense=mean(xp.sqrt(found.power_sense)) / system.num_elements,
        peb_m=position_bound(system, xp, scene, found, level) if system.position_bound else None,
        position_error_m=_position_error(xp, scene),
    )


def position_rows(xp: Any, scene: NonOrthogonalScene) -> Array:
    """`Q_i = -pi / d_i [I - k k^T]`, rows y and z: d u_i / d r, (B, n, 2, 3)."""
    k = scene.reference["direction"]  # type: ignore[index]
    rows = xp.stack([-k[..., 1, None] * k, -k[..., 2, None] * k], axis=-2)
    eye = constant(xp, _ROWS, rows)
    return (-math.pi / scene.ris_user_distance)[..., None, None] * (rows + eye)


def position_bound(
    system: NonOrthogonal, xp: Any, scene: NonOrthogonalScene, found: Values, level: Array
) -> Array:
    """`PEB = sqrt(tr J_r^-1)`, J_r = sum_i Q_i^T a_i Lambda_i Q_i (section 4.6), (B,), m; at most 1e6.

    The Cholesky factor of Lambda gives two rows per block, `J_r = S^T S` with the four rows s_i, and by Cauchy and Binet
    `tr J_r^-1 = sum_ij ||s_i x s_j||^2 / sum_ijk det(s_i, s_j, s_k)^2`: sums of squares, so single precision serves too.
    """
    m = found.fisher
    rows = xp.sqrt(level)[..., None, None] * position_rows(xp, scene)
    y, z = rows[..., 0, :], rows[..., 1, :]
    first, second = m.alpha
    if m.p is not None and m.q is not None:
        first = first + m.c_p * m.p[0] ** 2 + m.c_q * m.q[0] ** 2
        y = y + ((m.c_p * m.p[0] * m.p[1] + m.c_q * m.q[0] * m.q[1]) / first)[..., None] * z
        second = m.det / first
    s = xp.concat([xp.sqrt(first)[..., None] * y, xp.sqrt(second)[..., None] * z], axis=1)
    size = at_least(xp, xp.max(xp.sum(s**2, axis=-1), axis=1), 1e-30)
    s = s / xp.sqrt(size)[:, None, None]
    across = xp.linalg.cross(s[:, [0, 0, 0, 1, 1, 2]], s[:, [1, 2, 3, 2, 3, 3]])
    volume = xp.sum(s[:, [0, 0, 0, 1]] * across[:, [3, 4, 5, 5]], axis=-1)
    inverse = xp.sum(across**2, axis=(1, 2)) / at_least(xp, xp.sum(volume**2, axis=1), TINY)
    return xp.clip(xp.sqrt(inverse / size), 0.0, 1e6)


def _position_error(xp: Any, scene: NonOrthogonalScene) -> Array | None:
    """Distance of the belief's mean from the user on the floor, (B,), m; None where either is not held."""
    if scene.belief_mean is None or scene.user_position is None:
        return None
    gap = scene.belief_mean[:, :2] - scene.user_position[:, :2]
    return xp.sqrt(xp.sum(gap**2, axis=-1))
