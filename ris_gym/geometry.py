"""Directions and array responses. Planar helpers take positions (..., 2) in metres; `sign` is the sign of the exponent."""

from __future__ import annotations

import numpy as np


def steering_vector(num: int, u: np.ndarray | float, spacing: float = 0.5, sign: int = 1, centred: bool = False) -> np.ndarray:
    """Response of a uniform linear array.

    `a_i(u) = exp(sign j 2 pi (d / lambda) i u)`, i = 0..num-1 (`centred`: i - (num - 1) / 2).

    Args:
        num: number of elements.
        u: direction cosine(s) along the array axis, shape (...).
        spacing: element spacing over wavelength.

    Returns:
        complex128, shape (..., num).
    """
    index = np.arange(num) - (0.5 * (num - 1) if centred else 0.0)
    return np.exp(sign * 2j * np.pi * spacing * np.asarray(u, float)[..., None] * index)


def planar_steering_vector(
    shape: tuple[int, int], u: np.ndarray | float, w: np.ndarray | float, spacing: float = 0.5, sign: int = 1
) -> np.ndarray:
    """Response of a uniform planar array: Kronecker product of the responses along its two axes.

    Args:
        shape: (rows, columns).
        u: direction cosine along the rows' axis (...); w: along the columns' axis (...).

    Returns:
        complex128, shape (..., rows * columns); the columns' index runs fastest.
    """
    rows = steering_vector(shape[0], u, spacing, sign)
    columns = steering_vector(shape[1], w, spacing, sign)
    return (rows[..., :, None] * columns[..., None, :]).reshape(*rows.shape[:-1], shape[0] * shape[1])


def near_field_vector(elements_m: np.ndarray, point_m: np.ndarray, wavelength_m: float, sign: int = -1) -> np.ndarray:
    """Spherical-wave response of elements (n, d) to points (..., d): `exp(sign j 2 pi (r_i - r_0) / lambda)`, shape (..., n)."""
    distance = np.linalg.norm(point_m[..., None, :] - elements_m, axis=-1)
    return np.exp(sign * 2j * np.pi * (distance - distance[..., :1]) / wavelength_m)


def distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distance in metres between positions (..., d)."""
    return np.linalg.norm(np.asarray(a, float) - np.asarray(b, float), axis=-1)


def direction_cosine(array_m: np.ndarray, other_m: np.ndarray, axis: int) -> np.ndarray:
    """Cosine between coordinate `axis` (the array's axis) and the unit vector from the array to the other end."""
    difference = np.asarray(other_m, float) - np.asarray(array_m, float)
    return difference[..., axis] / np.linalg.norm(difference, axis=-1)


def disc(uniform: np.ndarray, centre_m: np.ndarray, radius_m: float) -> np.ndarray:
    """Points uniform in a disc, from uniform numbers (..., 2) in [0, 1): centre (2,) -> (..., 2) in metres."""
    r, angle = radius_m * np.sqrt(uniform[..., 0]), 2.0 * np.pi * uniform[..., 1]
    return np.asarray(centre_m, float) + np.stack([r * np.cos(angle), r * np.sin(angle)], axis=-1)
