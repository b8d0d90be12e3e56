"""Benchmark: the best of all quantised coefficients, with optimised beams and filters.

Every element takes one of the amplitude pairs (beta_r, beta_t) / beta_max in {(1, 0), (1/2, 1/2), (0, 1)} and one of 2^b phases
for each side in use; as a whole they are scaled to the surface's power (step 4 of the projection). All are screened with
closed-form beams, the best `refine` get the transmit step. The search is exhaustive over this set only: continuous coefficients
may be better.

Source: benchmark of arXiv 2412.01251, numerical section; model page, section 7.8.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from baselines.chunked import Part
from baselines.multifunctional.alternate import alternate
from baselines.multifunctional.ao import Alternating
from baselines.multifunctional.filters import best_filters
from baselines.multifunctional.initial import matched_beams, sensing_noise, within_budget
from baselines.multifunctional.units import Channels
from baselines.tools.linalg import ComplexArray

MOST = 20_000
"""Candidates from which on the search is refused."""
SPLITS = ((1.0, 0.0), (0.5, 0.5), (0.0, 1.0))


@dataclass(kw_only=True)
class ExhaustiveSearch(Alternating):
    """Screen every quantised surface, refine the best. Kind `mf` without time switching, few elements only.

    Attributes:
        phase_bits: b of the candidates.
        refine: candidates per scene that get the transmit step (beams and filters in turn, at most `rounds`).
    """

    name: str = "exhaustive"
    phase_bits: int = 1
    refine: int = 25

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("phase_bits", "refine"):
            value = getattr(self, name)
            if int(value) != value or value < 1:
                raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")
        system = self.system
        if system.kind != "mf" or system.time_switching:
            got = f"{system.kind!r} with {system.protocol!r}"
            raise ValueError(f"system must be of kind 'mf' with protocol 'es' or 'ms' for 'exhaustive', got {got}")
        if system.phase_bits is not None and self.phase_bits > system.phase_bits:
            raise ValueError(f"phase_bits must be at most the system's {system.phase_bits}, got {self.phase_bits}")
        count = self.candidates_count
        if count > MOST:
            raise ValueError(
                f"system.num_elements must give at most {MOST} candidates for 'exhaustive': "
                f"{len(self.levels)} levels for each of {system.num_elements} elements make {count:.3g}"
            )

    @property
    def levels(self) -> ComplexArray:
        """What an element may be, (n, 2): theta_r, theta_t over sqrt(beta_max); n = 2^(2 b) + 2^(b + 1), modes: 2^(b + 1)."""
        phases = np.exp(2j * np.pi * np.arange(2**self.phase_bits) / 2**self.phase_bits)
        out = []
        for split in SPLITS:
            if self.system.mode_switching and min(split) > 0:
                continue
            sides = [np.sqrt(share) * phases if share else np.zeros(1) for share in split]
            out += list(itertools.product(*sides))
        return np.array(out, dtype=complex)

    @property
    def candidates_count(self) -> float:
        """Number of candidates, levels to the power of M."""
        return float(len(self.levels)) ** int(self.system.num_elements)

    def candidates(self) -> ComplexArray:
        """All coefficients (n^M, 2, M) over sqrt(beta_max)."""
        levels, elements = self.levels, int(self.system.num_elements)
        index = np.indices((len(levels),) * elements).reshape(elements, -1).T  # (n^M, M)
        return np.swapaxes(levels[index], 1, 2)

    def _once(self, channels: Channels, generators: list[np.random.Generator]) -> Part:
        """Screen and refine."""
        channels = replace(channels, mask=np.ones_like(channels.mask))
        noise, every = sensing_noise(channels, generators), self.candidates()
        kept = [self._screen(channels[i : i + 1], every, noise[i : i + 1]) for i in range(len(channels))]
        count = len(kept[0])
        rows = np.repeat(np.arange(len(channels)), count)
        theta = every[np.concatenate(kept)]
        many = channels[rows]
        w = matched_beams(many, theta, noise[rows])
        theta = within_budget(many, w, theta)
        point, gammas = alternate(many, w, theta, self.programs, rounds=self.rounds, tolerance=self.tolerance, surface=False)
        value = np.where(point.feasible, point.value, -1e9 + point.value).reshape(-1, count)
        pick = value.argmax(1) + count * np.arange(len(channels))
        best = point[pick]
        if self.system.mode_switching:
            channels = replace(channels, mask=np.abs(best.theta) > 0)
        return self._part(channels, best, gammas[:, pick])

    def _screen(self, channels: Channels, every: ComplexArray, noise: ComplexArray) -> NDArray[np.int64]:
        """Numbers of the most promising candidates of one scene."""
        rows = np.zeros(len(every), np.int64)
        many = channels[rows]
        w = matched_beams(many, every, noise[rows])
        theta = within_budget(many, w, every)
        value = many.utility(best_filters(many.echoes(theta), w)[1])
        return np.argsort(-value, kind="stable")[: self.refine]
