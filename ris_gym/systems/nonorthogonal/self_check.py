"""The numerical self-check of `nonorthogonal` (model page, sections 4 and 10), for users who change parameters or code. numpy."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ris_gym import variables as var
from ris_gym.arrays import abs2
from ris_gym.systems.nonorthogonal import estimator, physics, tracking
from ris_gym.systems.nonorthogonal.records import NonOrthogonalDesign, NonOrthogonalScene

if TYPE_CHECKING:
    from ris_gym.systems.nonorthogonal.system import NonOrthogonal

TOLERANCES = {
    "explicit": 1e-10,
    "differences": 1e-8,
    "common_phase": 1e-10,
    "gradient": 1e-6,
    "decode_encode": 1e-9,
    "hard_constraints": 1e-9,
    "estimator_angle": 0.05,
    "estimator_position": 0.05,
}
"""Largest value of every entry of `run` that passes."""
RESOLVED = 1e-3
"""The estimator is tested where its bound is this part of a beam width of the user's array and of the distance."""


def run(system: NonOrthogonal, seed: int = 0, trials: int = 4000) -> dict[str, float]:
    """Deviations of the closed forms of `system` from explicit ones, by name; each should stay below `TOLERANCES`.

    - `explicit`: bounds of symbols, angles and position and the mutual information, of every Fisher matrix that the parameters
      allow, against the inverse of the matrix of angles and T or 2 T symbol parameters, relative;
    - `differences`: the same against a matrix from differences of the mean of the received samples; not in `mixed`, which has no
      such mean;
    - `common_phase`: change of the objective by a phase common to all elements;
    - `gradient`: derivative of V in closed form against differences, relative to the largest;
    - `decode_encode`: metrics after decode(encode(.)) and after project; `hard_constraints`: worst relative excess of P_t, of
      unit modulus or of the distance from the alphabet;
    - `estimator_angle`, `estimator_position`: |rms error over its bound - 1| of the maximum-likelihood estimator over `trials`
      at high SNR, of angles and (two blocks at different places) of the position, for whatever `fisher` against `complex`, the
      matrix that it attains; not in `mixed`, nor with a single antenna in a dimension.
    """
    rng = np.random.default_rng(seed)
    scene = system.sample(rng, batch=3)
    raw = rng.uniform(-1.0, 1.0, (3, var.length(system.variables())))
    scene = type(scene).concatenate([scene, scene])
    raw = np.concatenate([raw, system.start(scene[np.arange(3)])])
    design = system.decode(scene, raw)
    identified = min(system.user_shape) > 1
    out = {"explicit": 0.0}
    for kind in ("complex", "paper", "known") if identified else ("paper",):
        out["explicit"] = max(out["explicit"], deviation(system, scene, design, kind, columns))
        if system.model != "mixed":
            found = deviation(system, scene, design, kind, differenced)
            out["differences"] = max(out.get("differences", 0.0), found)
    turned = design.replace(coefficients=design.coefficients * np.exp(2j * np.pi * rng.random((len(scene), 1, 1))))
    metrics = system.evaluate(scene, design)
    out["common_phase"] = float(np.max(np.abs(system.evaluate(scene, turned).objective - metrics.objective)))
    out["gradient"] = _gradient(system, scene, raw, rng)
    again = system.evaluate(scene, system.decode(scene, system.encode(scene, design)))
    once = system.evaluate(scene, system.project(scene, design))
    out["decode_encode"] = float(max(np.max(np.abs(other.objective - metrics.objective)) for other in (again, once)))
    out["hard_constraints"] = excess(system, design)
    if identified and system.model != "mixed":
        out |= monte_carlo(system, scene[3], design[3], rng, trials)
    return out


Columns = Callable[["NonOrthogonal", NonOrthogonalScene, NonOrthogonalDesign, int, int, bool], tuple[np.ndarray, np.ndarray]]


def columns(
    system: NonOrthogonal, scene: NonOrthogonalScene, design: NonOrthogonalDesign, b: int, i: int, comm: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives of the mean (M T) with respect to (gamma, phi) (M T, 2) and Re x(t) (M T, T), (22) to (27), by sums.

    comm: of the samples of the communication user of `two_user`.
    """
    user, sign = _user(scene, b, i, comm), 1.0 if system.model == "literal" else -1.0
    lit = _amplitude(scene, design, b, i, comm) * np.asarray(design.coefficients)[b, i] * np.asarray(scene.incident)[b, i]
    steering = np.exp(1j * system.user_index @ user)
    response = lit * np.exp(1j * sign * system.element_index @ user)
    decoded = lit * np.exp(1j * system.element_index @ user) if system.model == "mixed" else response
    symbols = np.asarray(scene.symbols)[b, i]
    by_u = []
    for axis in range(2):
        index = 1j * (system.user_index[:, axis, None] + sign * system.element_index[None, :, axis])
        by_u.append(np.outer(steering * (index @ response), symbols).ravel())
    by_angle = np.stack(by_u, axis=1) @ _jacobian(user)
    by_symbol = [np.outer(steering * np.sum(decoded), unit).ravel() for unit in np.eye(system.num_slots)]
    return by_angle, np.stack(by_symbol, axis=1)


def differenced(
    system: NonOrthogonal, scene: NonOrthogonalScene, design: NonOrthogonalDesign, b: int, i: int, comm: bool
) -> tuple[np.ndarray, np.ndarray]:
    """As `columns`, by central differences (fourth order) of the mean as a function of the angles and symbols."""
    symbols = np.asarray(scene.symbols)[b, i]
    lit = _amplitude(scene, design, b, i, comm) * np.asarray(design.coefficients)[b, i] * np.asarray(scene.incident)[b, i]
    sign = 1.0 if system.model == "literal" else -1.0

    def mean(at: np.ndarray) -> np.ndarray:
        u = np.pi * np.array([np.cos(at[0]) * np.sin(at[1]), np.sin(at[0])])
        path = np.outer(np.exp(1j * system.user_index @ u), lit * np.exp(1j * sign * system.element_index @ u))
        return np.asarray(np.outer(path.sum(axis=1), at[2:]).ravel())

    angles = _angles(_user(scene, b, i, comm))
    at = np.concatenate([angles, symbols])
    size = 1e-3 / (np.pi * max(*system.surface_shape, *system.user_shape))
    out = []
    for j in range(len(at)):
        step = np.zeros(len(at))
        step[j] = size if j < 2 else 1.0
        near, far = (mean(at + f * step) - mean(at - f * step) for f in (1.0, 2.0))
        out.append((8.0 * near - far) / (12.0 * step[j]))
    found = np.stack(out, axis=1)
    return found[:, :2], found[:, 2:]


def _user(scene: NonOrthogonalScene, b: int, i: int, comm: bool) -> np.ndarray:
    return np.asarray(scene.comm_spatial_frequency if comm else scene.spatial_frequency)[b, i]


def _amplitude(scene: NonOrthogonalScene, design: NonOrthogonalDesign, b: int, i: int, comm: bool) -> complex:
    """alpha_B2I alpha_I2U a_B^H w."""
    last = np.asarray(scene.gain_ris_comm if comm else scene.gain_ris_user)[b, i]
    beam = np.vdot(np.asarray(scene.bs_steering)[b, i], np.asarray(design.beams)[b, i, :, 0])
    return complex(np.asarray(scene.gain_bs_ris)[b, i] * last * beam)


def _angles(u: np.ndarray) -> np.ndarray:
    """(gamma, phi) of u, cos phi < 0."""
    y, z = u / np.pi
    return np.array([np.arcsin(z), np.pi - np.arcsin(y / np.sqrt(1.0 - z**2))])


def _jacobian(u: np.ndarray) -> np.ndarray:
    """D."""
    gamma, phi = _angles(u)
    tilted = [-np.sin(gamma) * np.sin(phi), np.cos(gamma) * np.cos(phi)]
    return np.pi * np.array([tilted, [np.cos(gamma), 0.0]])


def bounds(
    system: NonOrthogonal, scene: NonOrthogonalScene, design: NonOrthogonalDesign, b: int, i: int, kind: str, made: Columns
) -> tuple[np.ndarray, np.ndarray]:
    """Covariance bounds of the angles (2, 2) and of every x(t) (T,), from the inverse of the whole Fisher matrix.

    In `two_user` the localised user does not know the symbols at all, and the other one knows its direction.
    """
    by_angle, by_symbol = made(system, scene, design, b, i, False)

    def inverse(parts: list[np.ndarray]) -> np.ndarray:
        flat = np.concatenate(parts, axis=1)
        matrix = 2.0 / system.noise_w * np.real(np.conj(flat.T) @ flat)
        size = np.sqrt(np.diagonal(matrix))
        return np.asarray(np.linalg.inv(matrix / np.outer(size, size)) / np.outer(size, size))

    def folded(diagonal: np.ndarray) -> np.ndarray:
        return np.asarray(diagonal.reshape(-1, system.num_slots).sum(axis=0))

    reals = lambda part: [part, 1j * part] if kind == "complex" else [part]  # noqa: E731
    if system.two_user:
        angle = inverse([by_angle, by_symbol, 1j * by_symbol])[:2, :2]
        return angle, folded(np.diagonal(inverse(reals(made(system, scene, design, b, i, True)[1]))))
    if kind == "known":
        return inverse([by_angle]), folded(np.diagonal(inverse([by_symbol])))
    both = inverse([by_angle, *reals(by_symbol)])
    return both[:2, :2], folded(np.diagonal(both)[2:])


def deviation(
    system: NonOrthogonal, scene: NonOrthogonalScene, design: NonOrthogonalDesign, kind: str, made: Columns
) -> float:
    """Worst relative difference of the closed forms from `bounds`."""
    level = physics.beam_level(np, scene, design)
    found = physics.values(system, np, scene, physics.moments(np, scene, design.coefficients), level, kind)
    bits = physics.information(system, np, scene, found, level, kind)
    worst = 0.0
    position = np.zeros((len(scene), 3, 3))
    rows = np.asarray(physics.position_rows(np, scene))
    for b in range(len(scene)):
        for i in range(system.num_blocks):
            angle, symbol = bounds(system, scene, design, b, i, kind, made)
            share = 1.0 if kind == "complex" else 0.5
            wanted = np.mean(share * np.log2(system.symbol_variance / symbol))
            wanted = np.clip(wanted, *physics.INFORMATION_RANGE)
            differences = [
                found.crlb_angle[b, i] / (0.5 * np.trace(angle)) - 1.0,
                found.crlb_symbol[b, i] / np.mean(symbol) - 1.0,
                (bits[b, i] - wanted) / max(abs(wanted), 1.0),
            ]
            worst = max(worst, float(np.max(np.abs(differences))))
            by_position = np.linalg.solve(_jacobian(_user(scene, b, i, False)), rows[b, i])
            position[b] += by_position.T @ np.linalg.solve(angle, by_position)
    if system.position_bound:
        bound = np.sqrt(np.trace(np.linalg.inv(position), axis1=1, axis2=2))
        mine = physics.position_bound(system, np, scene, found, level)
        worst = max(worst, float(np.max(np.abs(mine / bound - 1.0))))
    return worst


def excess(system: NonOrthogonal, design: NonOrthogonalDesign) -> float:
    """Largest relative excess of P_t, distance from unit modulus and from the alphabet."""
    xi = np.asarray(design.coefficients)
    spent = np.sum(abs2(np, np.asarray(design.beams)), axis=(-2, -1)) / system.power_w - 1.0
    off = np.max(np.abs(np.abs(xi) - 1.0))
    if system.alphabet is not None:
        points = system.alphabet.cast("complex128")
        off = max(off, np.max(np.min(np.abs(xi[..., None] - points), axis=-1)))
    return float(max(0.0, np.max(spent), off))


def _gradient(system: NonOrthogonal, scene: NonOrthogonalScene, raw: np.ndarray, rng: np.random.Generator) -> float:
    """Worst relative difference of a derivative of the weighted score along random directions from a central difference."""
    smooth: Any = dataclasses.replace(system.continuous, objective_form="weighted")
    raw = raw + 0.02 * rng.standard_normal(raw.shape)
    direction = rng.standard_normal(raw.shape)
    jacobian = smooth.pieces_jacobian(scene, raw)[2][:, 0]
    step = 1e-6

    def score(at: np.ndarray) -> np.ndarray:
        return np.asarray(smooth.evaluate(scene, smooth.decode(scene, at)).score)

    change = (score(raw + step * direction) - score(raw - step * direction)) / (2.0 * step)
    size = np.linalg.norm(jacobian, axis=1) * np.linalg.norm(direction, axis=1)
    return float(np.max(np.abs(np.sum(jacobian * direction, axis=1) - change) / np.maximum(size, 1e-3)))


def monte_carlo(
    system: NonOrthogonal, scene: NonOrthogonalScene, design: NonOrthogonalDesign, rng: np.random.Generator, trials: int
) -> dict[str, float]:
    """|rms error / bound - 1| of the estimator with one scene and design, at an SNR where the bound is small (`RESOLVED`)."""
    judge = dataclasses.replace(system, fisher="complex")
    size = np.max(system.user_shape / (2.0 * np.pi * np.sqrt(tracking.angle_information(system, scene, design))))
    if system.position_bound:
        size = max(size, float(_peb(judge, scene, design) / np.min(scene.ris_user_distance)))
    raised = system.snr_db + 20.0 * np.log10(float(size) / RESOLVED)
    loud = dataclasses.replace(judge, snr_db=float(np.clip(raised, -200.0, 200.0)))
    scene = loud.check_scene({name: np.asarray(array) for name, array in scene.items()})
    many = np.zeros(trials, int)
    guess = estimator.estimate_frequencies(loud, estimator.received(loud, scene[many], design[many], rng))
    weight = tracking.angle_information(loud, scene, design)
    error = np.mean((guess - np.asarray(scene.spatial_frequency)) ** 2, axis=0)
    out = {"estimator_angle": float(np.max(np.abs(np.sqrt(error * weight[0]) - 1.0)))}
    if system.position_bound:
        off = estimator.locate(loud, scene[many], guess, weight[many]) - np.asarray(scene.user_position)
        rms = float(np.sqrt(np.mean(np.sum(off**2, axis=-1))))
        out["estimator_position"] = abs(rms / _peb(loud, scene, design) - 1.0)
    return out


def _peb(system: NonOrthogonal, scene: NonOrthogonalScene, design: NonOrthogonalDesign) -> float:
    """The position error bound of the only scene, m."""
    bound: Any = system.evaluate(scene, design).peb_m
    return float(bound[0])
