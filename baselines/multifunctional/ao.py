"""Policies that alternate: the paper's proposal `ao`, and `random` (random coefficients, optimised beams and filters).

Source: arXiv 2412.01251, Algorithm 3; model page, sections 7.6 to 7.8.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from baselines.chunked import ChunkedPolicy, Part
from baselines.multifunctional.alternate import Point, alternate
from baselines.multifunctional.forms import Programs, make_programs
from baselines.multifunctional.initial import matched_beams, random_phases, sensing_noise, within_budget
from baselines.multifunctional.units import Channels
from baselines.tools.linalg import Array, ComplexArray, abs2

MODE_RULES = ("interleaved", "free")


@dataclass(kw_only=True)
class Alternating(ChunkedPolicy):
    """Base class of the policies that alternate from random coefficients.

    Attributes:
        solver: form of the convex programs: `fast` (ours, batched) or `cvxpy` (scene by scene; `clarabel` and `scs` name the
            solver). After `solve`, `programs.calls` holds one report per call.
        rounds: at most this many; tolerance: relative gain of the objective below which a scene stops.
        starts: random starts per scene, the best is kept.
        mode_rule: mode switching: the `interleaved` mask, or `free`: the better of it and the mask of the stronger side of the
            energy-splitting design.
        extrapolation: `mf`: rounds start this many times the last change further on (see `alternate`): 0 is the paper's method.
        time_fractions: time switching: the lambda_r that are tried.
    """

    solver: str = "fast"
    rounds: int = 30
    tolerance: float = 1e-3
    starts: int = 1
    mode_rule: str = "interleaved"
    extrapolation: float = 0.0
    time_fractions: tuple[float, ...] = tuple(i / 10 for i in range(1, 10))
    programs: Programs = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.programs = make_programs(self.solver)
        for name in ("rounds", "starts"):
            value = getattr(self, name)
            if int(value) != value or value < 1:
                raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")
        if not self.tolerance >= 0:
            raise ValueError(f"tolerance must be at least 0, got {self.tolerance!r}")
        if not self.extrapolation >= 0:
            raise ValueError(f"extrapolation must be at least 0, got {self.extrapolation!r}")
        if self.mode_rule not in MODE_RULES:
            raise ValueError(f"mode_rule must be one of {MODE_RULES}, got {self.mode_rule!r}")
        fractions = tuple(float(x) for x in self.time_fractions)
        if not fractions or not all(0.05 <= x <= 0.95 for x in fractions):
            raise ValueError(f"time_fractions must be numbers in [0.05, 0.95], at least one, got {self.time_fractions!r}")
        self.time_fractions = fractions

    def begin_calls(self) -> None:
        """Forget the solver reports of the last call of `solve`."""
        self.programs.calls.clear()

    def surface(self, channels: Channels, generators: list[np.random.Generator]) -> ComplexArray:
        """The first coefficients theta (B, 2, M), within the caps (time switching: of each slot)."""
        raise NotImplementedError

    def run(self, channels: Channels, w: ComplexArray, theta: ComplexArray) -> tuple[Point, Array]:
        """From beams w (B, N, S) and coefficients theta (B, I, M): the last point and the echo SINRs of all rounds."""
        raise NotImplementedError

    def _alternate(self, channels: Channels, w: ComplexArray, theta: ComplexArray, surface: bool = True) -> tuple[Point, Array]:
        options: dict[str, Any] = {
            "rounds": self.rounds,
            "tolerance": self.tolerance,
            "surface": surface,
            "extrapolation": self.extrapolation,
        }
        return alternate(channels, w, within_budget(channels, w, theta), self.programs, **options)

    def solve_part(self, known: Any, first: int, generators: list[np.random.Generator]) -> Part:
        """The best of `starts` starts for each scene of a chunk."""
        channels = Channels.of(self.system, known, first)
        best: Part | None = None
        for _ in range(self.starts):
            part = self._once(channels, generators)
            best = part if best is None else _better(best, part)
        assert best is not None
        return best

    def _once(self, channels: Channels, generators: list[np.random.Generator]) -> Part:
        """The result of one start per scene."""
        if self.system.time_switching:
            return self._slots(channels, generators)
        if not self.system.mode_switching or self.mode_rule == "interleaved":
            return self._part(channels, *self._begin(channels, generators))
        split = replace(channels, mask=np.ones_like(channels.mask))
        wide, _ = self._begin(split, generators)
        strong = np.argmax(abs2(wide.theta), axis=1)[:, None] == np.arange(2)[:, None]
        own = replace(channels, mask=strong)
        free = self._part(own, *self.run(own, wide.w, np.where(strong, wide.theta, 0.0)))
        return _better(self._part(channels, *self._begin(channels, generators)), free)

    def _begin(self, channels: Channels, generators: list[np.random.Generator]) -> tuple[Point, Array]:
        theta = self.surface(channels, generators)
        return self.run(channels, matched_beams(channels, theta, sensing_noise(channels, generators)), theta)

    def _part(self, channels: Channels, point: Point, gammas: Array) -> Part:
        """Design, status and history of a problem without slots."""
        history = np.stack([channels.utility(gamma) for gamma in gammas])
        if self.system.phase_bits is not None:
            point, history = self._rounded(channels, point, history)
        users = channels.sizes[2]
        w = point.w * np.sqrt(self.system.power_w)
        mode = None
        if self.system.mode_switching:
            mode = np.argmax(channels.mask, axis=1).astype(np.int64)
        design = self.system.design(
            beams=w[:, :, :users],
            sensing_beams=w[:, :, users:],
            coefficients=point.theta * np.sqrt(self.system.max_gain),
            mode=mode,
        )
        return Part(design=design, status=np.where(point.feasible, "stopped", "infeasible").astype("<U10"), history=history)

    def _quantised(self, theta: ComplexArray) -> ComplexArray:
        """Phases at the nearest of the 2^b."""
        step = 2.0 * np.pi / 2**self.system.phase_bits
        return np.abs(theta) * np.exp(1j * step * np.round(np.angle(theta) / step))

    def _rounded(self, channels: Channels, point: Point, history: Array) -> tuple[Point, Array]:
        """Rounded phases, and beams and filters for them."""
        theta = self._quantised(point.theta)
        last, _ = self._alternate(channels, point.w, theta, surface=False)
        return last, history

    def _slots(self, channels: Channels, generators: list[np.random.Generator]) -> Part:
        """Time switching: every lambda_r with one problem per slot; the best feasible one."""
        batch, grid = len(channels), np.array(self.time_fractions)
        rows = np.tile(np.arange(batch), len(grid))  # grid point by grid point
        share = np.repeat(grid, batch)
        theta = self.surface(channels, generators)
        points, histories = [], []
        for side, fraction in enumerate((share, 1.0 - share)):
            slot = channels.slot(side)
            start = theta[:, [side]]
            w = matched_beams(slot, start, sensing_noise(slot, generators))
            wide = slot[rows]
            wide = replace(wide, threshold=(1.0 + wide.threshold) ** (1.0 / fraction[:, None]) - 1.0)
            point, gammas = self.run(wide, w[rows], start[rows])
            if self.system.phase_bits is not None:
                point, _ = self._rounded(wide, point, gammas)
            points.append(point)
            histories.append(gammas)
        longest = max(len(h) for h in histories)
        first, second = (np.concatenate([h, np.repeat(h[-1:], longest - len(h), axis=0)]) for h in histories)
        gammas = np.concatenate([first * share[:, None], second * (1.0 - share)[:, None]], axis=2)
        history = np.stack([channels.utility(gamma) for gamma in gammas])
        good = points[0].feasible & points[1].feasible
        value = np.where(good, history[-1], -1e9 - np.abs(share - 0.5)).reshape(len(grid), batch)
        pick = np.argmax(value, axis=0) * batch + np.arange(batch)
        return self._slot_part(channels, [p[pick] for p in points], share[pick], good[pick], history[:, pick])

    def _slot_part(self, channels: Channels, points: list[Point], share: Array, good: Array, history: Array) -> Part:
        """Design of both slots."""
        antennas, _, users, _ = channels.sizes
        beams = np.zeros((len(share), 2, antennas, users), complex)
        sensing = np.zeros((len(share), 2, antennas, channels.num_sensing_beams), complex)
        theta = np.concatenate([point.theta for point in points], axis=1)
        for side, point in enumerate(points):
            served = np.flatnonzero(channels.user_side == side)
            beams[:, side][:, :, served] = point.w[:, :, : len(served)]
            sensing[:, side] = point.w[:, :, len(served) :]
        root = np.sqrt(self.system.power_w)
        design = self.system.design(
            beams=beams * root,
            sensing_beams=sensing * root,
            coefficients=theta * np.sqrt(self.system.max_gain),
            time_fraction=share,
        )
        return Part(design=design, status=np.where(good, "stopped", "infeasible").astype("<U10"), history=history)

    def nothing(self, known: Any) -> Part:
        """The result for no scenes."""
        s = self.system
        slots = (0, 2) if s.time_switching else (0,)
        design = s.design(
            beams=np.zeros((*slots, s.num_antennas, s.users), complex),
            sensing_beams=np.zeros((*slots, s.num_antennas, s.num_sensing_beams), complex),
            coefficients=np.zeros((0, 2, s.num_elements), complex),
            time_fraction=np.zeros(0) if s.time_switching else None,
            mode=np.zeros((0, s.num_elements), np.int64) if s.mode_switching else None,
        )
        return Part(design=design, status=np.zeros(0, "<U10"), history=np.zeros((1, 0)))


@dataclass(kw_only=True)
class AlternatingOptimisation(Alternating):
    """Filter, transmit step, filter, coefficient step until the objective gains less than `tolerance` or `rounds` are over.

    A step is accepted only if the constraints hold and the objective did not fall, so the history never falls.

    Attributes:
        polish: star, active and passive: at the end the joint ascent of `conventional_joint`, kept where it is better.
    """

    name: str = "ao"
    polish: bool = False

    def surface(self, channels: Channels, generators: list[np.random.Generator]) -> ComplexArray:
        """Random phases, full amplitudes shared equally by the sides an element serves."""
        theta = random_phases(channels, generators)
        return theta * np.sqrt(2.0) if self.system.time_switching else theta

    def run(self, channels: Channels, w: ComplexArray, theta: ComplexArray) -> tuple[Point, Array]:
        """Beams, filters and coefficients."""
        point, gammas = self._alternate(channels, w, theta)
        if channels.kind == "mf" or not self.polish or not w.shape[2]:
            return point, gammas
        from baselines.multifunctional.conventional_joint import polished

        point = polished(channels, point, self.programs)
        return point, np.concatenate([gammas, point.gamma[None]])


@dataclass(kw_only=True)
class RandomCoefficients(Alternating):
    """Random phases, total gain and split of every element; beams and filters alternate as in `ao` (7.8)."""

    name: str = "random"

    def surface(self, channels: Channels, generators: list[np.random.Generator]) -> ComplexArray:
        """Uniform phases, uniform shares of the cap, uniform splits of it."""
        size = channels.sizes[1]
        phase, gain, split = np.split(np.stack([g.random((5, size)) for g in generators]), [2, 4], axis=1)
        if self.system.equality:
            gain = np.ones_like(gain)
        if not self.system.time_switching:
            share = np.concatenate([split, 1.0 - split], axis=1)
            gain = gain[:, :1] * np.where(channels.mask.all(1, keepdims=True), share, 1.0)
        return np.where(channels.mask, np.sqrt(gain) * np.exp(2j * np.pi * phase), 0.0)

    def run(self, channels: Channels, w: ComplexArray, theta: ComplexArray) -> tuple[Point, Array]:
        """Beams and filters."""
        return self._alternate(channels, w, theta, surface=False)


def _better(first: Part, second: Part) -> Part:
    """The feasible one of two results per scene, the better by its last objective if both are."""
    good = [part.status != "infeasible" for part in (first, second)]
    take = np.flatnonzero(good[1] & (~good[0] | (second.history[-1] > first.history[-1])))
    longest = max(len(first.history), len(second.history))
    histories = [np.concatenate([h, np.repeat(h[-1:], longest - len(h), axis=0)]) for h in (first.history, second.history)]
    history, status = histories[0].copy(), first.status.copy()
    history[:, take], status[take] = histories[1][:, take], second.status[take]
    design = first.design.put(take, second.design[take]) if len(take) else first.design
    return Part(design=design, status=status, history=history)
