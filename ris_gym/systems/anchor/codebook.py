"""The hierarchical codebook of `anchor` (model page, part B). numpy only.

Level l = 1, ..., log2 N has 2^l codewords of width W = 2 / 2^l with centres psi_c = -1 + (2 j + 1) / 2^l; the flat index of
codeword j of level l is 2^l - 2 + j.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

KINDS = ("phase", "off")
POINTS = 8
"""Points of the grid of the alternating projections, per element."""


def level_of(index: np.ndarray) -> np.ndarray:
    """Level l >= 1 of flat indices."""
    return np.frexp(np.asarray(index) + 2)[1] - 1


def sector(index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre and width in psi of the codewords of flat indices."""
    count = 2.0 ** level_of(index)
    return -1.0 + (2.0 * (np.asarray(index) + 2 - count) + 1.0) / count, 2.0 / count


def response(num_elements: int, direction: np.ndarray) -> np.ndarray:
    """`exp(j pi i psi)`, i = 0, ..., N - 1: (...,) -> (..., N), in the precision of `direction`."""
    angle = np.asarray(direction)[..., None] * (np.pi * np.arange(num_elements, dtype=np.asarray(direction).dtype))
    out = np.empty(angle.shape, np.complex64 if angle.dtype == np.float32 else np.complex128)
    np.cos(angle, out=out.real)
    np.sin(angle, out=out.imag)
    return out


@lru_cache(maxsize=16)
def codebook(num_elements: int, kind: str = "phase", iterations: int = 200) -> np.ndarray:
    """Coefficients v of all codewords (2 N - 2, N), complex128, not writeable.

    The finest level is matched, `v_i = exp(-j pi i psi_c)`. Wide ones: `phase` has unit moduli, from a chirp by `iterations`
    alternating projections between them and the wanted gain; `off` is matched with the first 2^l elements, the others are off.
    """
    index = np.arange(num_elements)
    levels = int(np.log2(num_elements))
    out = np.empty((2 * num_elements - 2, num_elements), complex)
    for level in range(1, levels + 1):
        count = 2**level
        centres = sector(count - 2 + np.arange(count))[0]
        matched = np.exp(-1j * np.pi * centres[:, None] * index)
        if level < levels and kind == "off":
            matched[:, count:] = 0.0
        elif level < levels:
            matched *= widened(num_elements, 2.0 / count, iterations)
        out[count - 2 : 2 * count - 2] = matched
    out.setflags(write=False)
    return out


def widened(num_elements: int, width: float, iterations: int) -> np.ndarray:
    """Unit-modulus v (N,) of gain near `2 N / W` within +-W/2 of psi = 0; other centres are shifts, `v_i exp(-j pi i psi_c)`.

    Alternating projections on the grid psi_g = -1 + 2 g / (8 N), which every centre shifts onto itself.
    """
    index, size = np.arange(num_elements), POINTS * num_elements
    psi = -1.0 + 2.0 * np.arange(size) / size
    inside, wanted = np.abs(psi) <= 0.5 * width, np.sqrt(2.0 * num_elements / width)
    sign = (-1.0) ** index  # exp(-j pi i): the grid begins at psi = -1
    v = np.exp(-1j * np.pi * width * (index - 0.5 * (num_elements - 1)) ** 2 / (2.0 * num_elements))
    for _ in range(iterations):
        pattern = np.fft.ifft(v * sign, size)
        pattern = np.where(inside, wanted * np.exp(1j * np.angle(pattern)), 0.0)
        v = np.exp(1j * np.angle(sign * np.fft.fft(pattern)[:num_elements]))
    return v
