"""What the policies of this system share: blocks of scenes as rows, judges of candidates, the form of a result.

In the weighted form V is a mean over blocks that do not interact, and the constraints of the other form are per block: every
block of every scene is one problem, a row. All that is asked of a row's candidates are the moments `xi @ products` (`physics`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baselines.chunked import ChunkedPolicy, Part
from baselines.tools.linalg import Array, ComplexArray
from ris_gym.arrays import Batch
from ris_gym.systems.nonorthogonal import physics

Index = NDArray[np.int64]
NEEDED = ("products", "factor", "level", "comm_ratio", "energy", "square", "angle_limit")


@dataclass(frozen=True, kw_only=True)
class Blocks(Batch):
    """Rows (F = B n, scene-major) of what `physics` asks of a scene, in double precision.

    Its second axis J are the points at which one design is judged: 1, or several of a belief. `reference` as in the scene:
    `products` (F, J, L, P), others (F, J, ...); a policy may add keys (F, J).
    """

    reference: dict[str, Any]
    symbols: Any = None  # (F, J, T) or None

    @classmethod
    def of(cls, *scenes: Any) -> Blocks:
        """From scenes, one per point."""

        def rows(arrays: Sequence[Any]) -> np.ndarray:
            joined = np.stack([np.asarray(a) for a in arrays], axis=2)
            joined = joined.astype(complex if joined.dtype.kind == "c" else float, copy=False)
            return joined.reshape(joined.shape[0] * joined.shape[1], *joined.shape[2:])

        keys = [key for key in NEEDED if key in scenes[0].reference]
        symbols = None if scenes[0].symbols is None else rows([s.symbols for s in scenes])
        return cls(reference={key: rows([s.reference[key] for s in scenes]) for key in keys}, symbols=symbols)

    def put_in(self, **arrays: Array) -> Blocks:
        """The same rows with entries of `reference` replaced or added."""
        return self.replace(reference=self.reference | arrays)

    def moments(self, coefficients: ComplexArray) -> ComplexArray:
        """Moments (F, J, C, P) of candidates (F, C, L)."""
        return np.asarray(coefficients[:, None] @ self.reference["products"])


Judge = Callable[[Blocks, ComplexArray], Array]
"""What candidates are worth, larger is better: rows (F), moments (F, J, C, P) -> (F, C); -inf: not allowed."""


def merit(system: Any, penalty: float | None) -> Judge:
    """The penalised score of a block, mean over the points."""
    return lambda blocks, moment: np.asarray(system.merit(blocks, moment, penalty)).mean(axis=1)


def weighted(system: Any, zeta: float | None = None, fisher: str | None = None) -> Judge:
    """`-V - 4` for another weight (None: the rows' own, `reference["zeta"]`) or by another Fisher matrix."""

    def judge(blocks: Blocks, moment: ComplexArray) -> Array:
        found = system.values(blocks, moment, fisher)
        z = blocks.reference["zeta"][..., None] if zeta is None else zeta
        value = z * np.log10(found.crlb_symbol) + (1.0 - z) * np.log10(found.crlb_angle)
        return np.asarray(-value.mean(axis=1) - 4.0)

    return judge


def within_limit(system: Any) -> Judge:
    """A tenth of the mutual information of candidates that meet the bound of the angle, -inf of others."""

    def judge(blocks: Blocks, moment: ComplexArray) -> Array:
        found = system.values(blocks, moment)
        bits = physics.information(system, np, blocks, found, system.level(blocks))  # type: ignore[arg-type]
        limit = blocks.reference["angle_limit"][..., None] * (1.0 + 1e-9)  # met with equality by the largest |g_2| for a factor 1
        met = np.all(found.crlb_angle <= limit, axis=1)
        return np.where(met, 0.1 * bits.mean(axis=1), -np.inf)

    return judge


@dataclass(kw_only=True)
class Found:
    """Result for B scenes: coefficients (B, n, L), penalised score (iterations, B), status."""

    coefficients: ComplexArray
    history: Array
    status: str = "stopped"


@dataclass(kw_only=True)
class PhasePolicy(ChunkedPolicy):
    """Base class: subclasses give `optimise`. Designs are canonical: phases of the alphabet, beams (41).

    `Solution.history` is of the objective in the weighted form, of the penalised score in the constrained form.
    """

    def optimise(self, known: Any, generators: list[np.random.Generator], first: int) -> Found:
        """Solve scenes (in double precision), the first of which has the number `first`, with a generator each."""
        raise NotImplementedError

    def solve_part(self, known: Any, first: int, generators: list[np.random.Generator]) -> Part:
        """Optimise and wrap."""
        known = known.astype("complex128")
        found = self.optimise(known, generators, first)
        history = -found.history - 4.0 if self.system.objective_form == "weighted" else found.history
        design = self.system.made(known, found.coefficients)
        return Part(design=design, status=np.full(len(known), found.status, "<U10"), history=history)

    def nothing(self, known: Any) -> Part:
        """The result for no scenes."""
        design = self.system.made(known, np.zeros((0, *self.shape), complex))
        return Part(design=design, status=np.zeros(0, "<U10"), history=np.zeros((1, 0)))

    def measured(self, metrics: Any) -> tuple[Array, str]:
        """The objective, or the penalised score in the constrained form."""
        if self.system.objective_form == "weighted":
            return super().measured(metrics)
        return np.asarray(self.system.penalised(metrics, self.penalty)), "score"

    # -- for subclasses -------------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, int]:
        """(n, L)."""
        return int(self.system.num_blocks), int(self.system.num_elements)

    @property
    def alphabet(self) -> ComplexArray:
        """The coefficients an element may take, (2^b,)."""
        return np.asarray(self.system.alphabet.double)

    def per_scene(self, rows: Array) -> Array:
        """Means over the blocks of values (..., F) of rows: (..., B)."""
        return np.asarray(rows.reshape(*rows.shape[:-1], -1, self.shape[0]).mean(axis=-1))

    def of_index(self, index: Index) -> ComplexArray:
        """Coefficients (B, n, L) of indices (F, L)."""
        return np.asarray(self.alphabet[index].reshape(-1, *self.shape))

    def scored(self, known: Any, coefficients: ComplexArray) -> Array:
        """Penalised score (B,)."""
        moment = physics.moments(np, known, coefficients)
        return np.asarray(self.system.merit(known, moment, self.penalty)).mean(axis=1)

    def rounded(self, phase: Array) -> ComplexArray:
        """Coefficients of the nearest phases of the alphabet."""
        levels = self.system.phase_levels
        if levels is None:
            return np.asarray(np.exp(1j * phase))
        return self.alphabet[np.rint(phase * (levels / (2.0 * np.pi))).astype(np.int64) % levels]


def needs_alphabet(system: Any, name: str) -> None:
    """Raise ValueError where phases are continuous."""
    if system.phase_bits is None:
        raise ValueError(f"system.phase_bits must be an integer for {name!r} (it searches an alphabet), got None")


def check_count(name: str, value: Any, least: int = 1) -> int:
    """An integer of at least `least`. Raises ValueError."""
    if isinstance(value, bool) or int(value) != value or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")
    return int(value)
