"""Fading: path loss, Rician channels, temporal correlation and channel-estimation error. numpy only, leading batch axis."""

from __future__ import annotations

import numpy as np


def path_amplitude(distance_m: np.ndarray | float, exponent: float, path_loss_1m_db: float) -> np.ndarray:
    """Amplitude `rho(d, alpha) = 10^(-PL0 / 20) (d / 1 m)^(-alpha / 2)`."""
    return np.asarray(10.0 ** (-path_loss_1m_db / 20.0) * np.asarray(distance_m, float) ** (-0.5 * exponent))


def rician_weights(rician_db: float) -> tuple[float, float]:
    """Amplitude weights (LoS, scattered) of Rician factor kappa: `sqrt(kappa / (1 + kappa))`, `sqrt(1 / (1 + kappa))`."""
    kappa = 10.0 ** (rician_db / 10.0)
    return float(np.sqrt(kappa / (1.0 + kappa))), float(np.sqrt(1.0 / (1.0 + kappa)))


def complex_normals(block: np.ndarray) -> np.ndarray:
    """Unit-variance circular complex Gaussians from real normals, pairwise along the last axis: (..., 2 n) -> (..., n).

    The block is scaled in place (it is the caller's fresh draw) and viewed as complex, which costs no copy.
    """
    block *= block.dtype.type(np.sqrt(0.5))
    return block.view(np.complex64 if block.dtype == np.float32 else np.complex128)


def draw(rng: np.random.Generator, shape: tuple[int, ...], real: np.dtype | type = np.float64) -> np.ndarray:
    """`shape` circular complex Gaussians of unit variance; `real` float32 gives complex64."""
    return complex_normals(rng.standard_normal((*shape[:-1], 2 * shape[-1]), dtype=real))  # type: ignore[arg-type]


def rms(array: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Root mean square modulus over `axes`, kept with length 1."""
    return np.sqrt(np.mean(array.real**2 + array.imag**2, axis=axes, keepdims=True))


def evolve(
    rng: np.random.Generator, channel: np.ndarray, los: np.ndarray | None, scale: np.ndarray, correlation: float
) -> np.ndarray:
    """One block of Gauss-Markov fading of the scattered part: `X <- X_los + r (X - X_los) + sqrt(1 - r^2) s CN`.

    Args:
        channel: current block (B, ...); los: its line-of-sight part (None: 0); scale: rms s of the scattered part, broadcastable.
        correlation: r in [0, 1].
    """
    fresh = draw(rng, channel.shape, channel.real.dtype)
    innovation = np.sqrt(1.0 - correlation**2) * scale * fresh
    scattered = channel if los is None else channel - los
    moved = correlation * scattered + innovation
    return (moved if los is None else los + moved).astype(channel.dtype, copy=False)


def estimate(rng: np.random.Generator, channel: np.ndarray, error: float, axes: tuple[int, ...]) -> np.ndarray:
    """An erroneous estimate `X + e rms(X) CN`, the rms taken over `axes` (the entries of one link)."""
    noise = draw(rng, channel.shape, channel.real.dtype)
    return (channel + error * rms(channel, axes) * noise).astype(channel.dtype, copy=False)
