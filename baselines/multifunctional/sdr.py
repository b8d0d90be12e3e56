"""Benchmark: alternating optimisation by semidefinite relaxation, with Gaussian randomisation of the coefficients.

Transmit step: the semidefinite program 8.2, exact, with a sensing covariance R_0 of any rank. Coefficient step: the relaxation
8.3 and `draws` Gaussian candidates. What is returned has the S_0 strongest eigenvectors of R_0 as sensing streams, which is
exact where S_0 is at least its rank, and else feasible (less interference, less power) but worth less.

Source: benchmark of arXiv 2412.01251, numerical section; model page, sections 7.8, 8.2 and 8.3.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from baselines.multifunctional.alternate import FEASIBLE, Point
from baselines.multifunctional.ao import AlternatingOptimisation
from baselines.multifunctional.filters import best_filters
from baselines.multifunctional.initial import restore, within_budget
from baselines.multifunctional.programs import coefficient_problem, transmit_problem
from baselines.multifunctional.ratio import Solve, solve_fast
from baselines.multifunctional.relaxation import draw, relax_coefficients, scaled
from baselines.multifunctional.transmit_sdp import MARGIN, solve_transmit_sdp, square_root
from baselines.multifunctional.units import Channels
from baselines.policy import Solution, scene_generators
from baselines.tools.linalg import Array, ComplexArray, herm
from baselines.tools.solver_call import SolverCall

RANK = 1e-3
"""Eigenvalues of R_0 above this share of the largest count for its rank."""


@dataclass(kw_only=True)
class SemidefiniteRelaxation(AlternatingOptimisation):
    """Both steps by semidefinite programs, accepted if every constraint holds and the objective did not fall. Kind `mf` only.

    After `solve` without time switching and with one start, `Solution.memory` holds, per scene, `full_objective` (B,): the value
    with all of R_0, `sensing_rank` (B,): the rank of R_0, and per iteration `coefficient_rank` (rounds, B, 2): ranks of the
    relaxed V_i, and `randomisation_loss` (rounds, B): value of the relaxation minus that of the best candidate at the same
    filters and beams, in the objective's unit; both nan where the scene had stopped or no candidate kept the rates.

    Attributes:
        rounds: iterations at most. draws: Gaussian candidates per coefficient step, the main eigenvectors among them.
        search_tolerance: of the objective, at which the search over one echo SINR ends. search_rounds: of programs at most.
    """

    name: str = "sdr"
    rounds: int = 4
    draws: int = 200
    search_tolerance: float = 2e-2
    search_rounds: int = 2
    _streams: list[np.random.Generator] = field(init=False, repr=False, compare=False, default_factory=list)
    _reports: list[dict[str, Array]] = field(init=False, repr=False, compare=False, default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.system.kind != "mf":
            raise ValueError(f"system.kind must be 'mf' for 'sdr' (other echoes are quartic in theta), got {self.system.kind!r}")
        for name in ("draws", "search_rounds"):
            value = getattr(self, name)
            if int(value) != value or value < 1:
                raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")
        if not self.search_tolerance > 0:
            raise ValueError(f"search_tolerance must be positive, got {self.search_tolerance!r}")

    def solve(self, known: Any, rng: np.random.Generator) -> Solution:
        """Canonical, hard-feasible designs for the scenes of `known`, and `memory`."""
        self._reports = []
        self._streams = scene_generators(np.random.default_rng(rng.integers(0, 2**63)), len(known))
        solution = super().solve(known, rng)
        plain = not self.system.time_switching and self.starts == 1 and self.mode_rule == "interleaved"
        if not plain or not self._reports:
            return solution
        memory = {
            name: np.concatenate([report[name] for report in self._reports], axis=int(array.ndim > 1))
            for name, array in self._reports[0].items()
        }
        return replace(solution, memory=memory)

    def run(self, channels: Channels, w: ComplexArray, theta: ComplexArray) -> tuple[Point, Array]:
        """From beams w (B, N, S) and coefficients theta (B, I, M): the last point, with S_0 sensing streams, and echo SINRs."""
        w, theta = restore(channels, w, within_budget(channels, w, theta), self.programs)
        users, antennas, count = channels.sizes[2], channels.sizes[0], len(w)
        point = Point.at(channels, with_streams(w, users, antennas), theta)
        history = [point.gamma]
        ranks, losses = np.full((self.rounds, count, theta.shape[1]), np.nan), np.full((self.rounds, count), np.nan)
        for i in np.flatnonzero(point.feasible):
            one, row = point[i : i + 1], channels[i : i + 1]
            for step in range(self.rounds):
                old = one.value[0]
                one = self._beams(row, one)
                one, ranks[step, i], losses[step, i] = self._coefficients(row, one)
                if len(history) <= step + 1:
                    history.append(history[-1].copy())
                for later in history[step + 1 :]:
                    later[i] = one.gamma[0]
                if one.value[0] - old <= self.tolerance * max(abs(old), 1.0):
                    break
            point = point.put(np.array([i]), one)
        last = Point.at(channels, with_streams(point.w, users, channels.num_sensing_beams), point.theta)
        strength = np.linalg.svd(point.w[:, :, users:], compute_uv=False) ** 2
        self._reports.append(
            {
                "full_objective": point.value,
                "sensing_rank": (strength > RANK * np.maximum(strength[:, :1], 1e-12)).sum(1),
                "coefficient_rank": ranks,
                "randomisation_loss": losses,
            }
        )
        return last, np.stack(history)

    def _search(self, point: Point) -> dict[str, Any]:
        near = float(point.gamma[0, -1])
        return {"tolerance": self.search_tolerance, "rounds": self.search_rounds, "width": 8, "near": near, "margin": MARGIN}

    def _solver(self, channels: Channels) -> Solve:
        """The form of the semidefinite programs, reporting to `programs.calls`."""
        scene = int(channels.index[0])
        if self.solver == "fast":

            def solve(*program: Any) -> Any:
                answers = solve_fast(*program)
                self.programs.calls.append(
                    SolverCall(program="ratio", scene=scene, solver="fast", status="stopped", accepted=bool(answers.solved.all()))
                )
                return answers

            return solve
        from baselines.multifunctional.textbook.ratio import TextbookRatio

        named = None if self.solver == "cvxpy" else (self.solver.upper(),)
        return TextbookRatio(solvers=named, scene=scene, calls=self.programs.calls)

    def _beams(self, channels: Channels, point: Point) -> Point:
        """The transmit step of one scene."""
        problem = transmit_problem(channels, point.theta, point.w, point.u)
        found = solve_transmit_sdp(problem, 0, solve=self._solver(channels), **self._search(point))
        if found.beams is None:
            return point
        w = np.concatenate([found.beams, square_root(found.sensing)], axis=1)[None]
        return point.improved(Point.at(channels, w, point.theta, point.rho))

    def _coefficients(self, channels: Channels, point: Point) -> tuple[Point, Array, float]:
        """The coefficient step of one scene, the ranks of V_i (I,) and the loss of the randomisation."""
        problem = coefficient_problem(channels, point.theta, point.w, point.u)
        relaxed = relax_coefficients(problem, 0, solve=self._solver(channels), **self._search(point))
        if relaxed.covariance is None:
            return point, np.full(point.theta.shape[1], np.nan), np.nan
        generator = self._streams[int(channels.index[0])]
        candidates = scaled(problem.feasible, 0, draw(relaxed, self.draws, generator))
        rows = np.zeros(len(candidates), np.int64)
        many, w = channels[rows], point.w[rows]
        kept = np.flatnonzero(many.feasible(w, candidates, **FEASIBLE))
        if not len(kept):
            return point, relaxed.ranks, np.nan
        candidates, many, w = candidates[kept], many[kept], w[kept]
        fixed = many.utility(problem[rows[kept]].echo(candidates) / problem[rows[kept]].interference(candidates))
        best = candidates[[int(many.utility(best_filters(many.echoes(candidates), w)[1]).argmax())]]
        loss = float(relaxed.value - fixed.max())
        return point.improved(Point.at(channels, point.w, best, point.rho)), relaxed.ranks, loss


def with_streams(w: ComplexArray, users: int, streams: int) -> ComplexArray:
    """W (B, N, K + streams): data beams and the strongest eigenvectors of the sensing covariance, else zeros."""
    sensing = w[:, :, users:]
    if sensing.shape[2]:
        own = np.stack([square_root(r, streams) for r in sensing @ herm(sensing)])
    else:
        own = np.zeros((*w.shape[:2], streams), complex)
    return np.concatenate([w[:, :, :users], own], axis=2)
