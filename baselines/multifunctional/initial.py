"""The first point of the alternating optimisation, and the search for one that meets the rates.

Source: arXiv 2412.01251, Algorithm 3; model page, section 7.6.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from baselines.multifunctional.filters import best_filters
from baselines.multifunctional.forms import Programs
from baselines.multifunctional.programs import (
    CoefficientRestoration,
    TransmitRestoration,
    coefficient_set,
    transmit_problem,
    transmit_set,
)
from baselines.multifunctional.units import Channels
from baselines.tools.linalg import ComplexArray, abs2, herm

ROUNDS = 8
"""Restorations of W and theta at most."""


def random_phases(channels: Channels, generators: list[np.random.Generator]) -> ComplexArray:
    """Random phases, full amplitudes shared equally by the sides an element serves, theta (B, I, M)."""
    _, elements, _, sides = channels.sizes
    phases = np.exp(2j * np.pi * np.stack([g.random((2, elements)) for g in generators]))[:, :sides]
    served = np.maximum(channels.mask.sum(1, keepdims=True), 1)
    return np.asarray(np.where(channels.mask, phases / np.sqrt(served), 0.0), dtype=complex)


def sensing_noise(channels: Channels, generators: list[np.random.Generator]) -> ComplexArray:
    """Standard complex Gaussian sensing streams (B, N, S_0)."""
    size = (channels.sizes[0], channels.num_sensing_beams, 2)
    draws = np.stack([g.standard_normal(size) for g in generators])
    return (draws[..., 0] + 1j * draws[..., 1]) / np.sqrt(2.0)


def within_budget(channels: Channels, w: ComplexArray, theta: ComplexArray) -> ComplexArray:
    """theta scaled down to the surface's budget, if it has one."""
    if not channels.budget:
        return theta
    power = channels.surface_power(w, theta)
    return theta / np.sqrt(np.maximum(power, 1.0))[:, None, None]


def matched_beams(channels: Channels, theta: ComplexArray, noise: ComplexArray) -> ComplexArray:
    """Beams (B, N, S) at full power: data beams h_k, sensing streams 0.1 ||h||_F times `noise`; `mf`: off the G_i^H u_i."""
    h = channels.user_rows(theta)
    strength = np.sqrt(abs2(h).sum((1, 2))) if h.shape[1] else np.ones(len(h))
    w = np.concatenate([herm(h), 0.1 * strength[:, None, None] * noise], axis=2)
    if channels.filters is not None and channels.bs_sensor is not None:
        heard = (herm(channels.bs_sensor) @ channels.filters[..., None])[..., 0]  # (B, I, N)
        basis = np.linalg.qr(np.swapaxes(heard, 1, 2))[0]
        # with no more antennas than sides nothing would be left
        if w.shape[1] > heard.shape[1]:
            w = w - basis @ (herm(basis) @ w)
    size = np.sqrt(abs2(w).sum((1, 2)))
    return np.asarray(w / np.where(size > 0, size, 1.0)[:, None, None], dtype=complex)


def normalised(theta: ComplexArray, mask: NDArray[np.bool_]) -> ComplexArray:
    """Every element scaled to sum_i |theta_im|^2 = 1; equal real entries where it is zero."""
    size = np.sqrt(abs2(theta).sum(1, keepdims=True))
    even = mask / np.sqrt(np.maximum(mask.sum(1, keepdims=True), 1))
    return np.where(size > 0, theta / np.where(size > 0, size, 1.0), even)


def restore(
    channels: Channels, w: ComplexArray, theta: ComplexArray, programs: Programs, surface: bool = True
) -> tuple[ComplexArray, ComplexArray]:
    """W and theta after at most `ROUNDS` rounds of "maximise delta" in turn, each scene until it meets the rates.

    Args:
        channels: of the batch. w: (B, N, S). theta: (B, I, M).
        surface: also change theta.
    """
    w, theta = w.copy(), theta.copy()
    lost = np.flatnonzero(~channels.feasible(w, theta))
    for _ in range(ROUNDS if surface else 1):
        if not len(lost):
            break
        part = channels[lost]
        sets = transmit_set(part, theta[lost])
        w[lost] = programs.restore_transmit(TransmitRestoration(feasible=sets, point=sets.rotated(w[lost])), part.index)[0]
        lost = lost[~part.feasible(w[lost], theta[lost])]
        if not len(lost) or not surface:
            break
        part = channels[lost]
        own = coefficient_set(part, w[lost], theta[lost])
        point = programs.restore_coefficients(CoefficientRestoration(feasible=own, point=theta[lost]), part.index)[0]
        theta[lost] = normalised(point, part.mask) if channels.equality else point
        lost = lost[~part.feasible(w[lost], theta[lost])]
    return w, theta


def repaired(channels: Channels, w: ComplexArray, theta: ComplexArray, programs: Programs) -> ComplexArray:
    """Beams for new coefficients that miss a rate: one restoration, then one transmit step (7.5)."""
    w = restore(channels, w, theta, programs, surface=False)[0]
    good = np.flatnonzero(channels.feasible(w, theta))
    if len(good):
        part = channels[good]
        filters = best_filters(part.echoes(theta[good]), w[good])[0]
        w[good] = programs.transmit(transmit_problem(part, theta[good], w[good], filters), part.index)[0]
    return w
