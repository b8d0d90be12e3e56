"""Alternating optimisation with a local ascent over the phases in place of relaxation and randomisation.

Source: ours; beampattern page, section 9.2 (problem (P3) of arXiv 2111.13511).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from baselines.beampattern.ao import AlternatingOptimisation
from baselines.beampattern.common import Outcome
from baselines.beampattern.communication import phase_repair
from baselines.beampattern.smoothed import Smoothed
from baselines.beampattern.units import Scaled
from baselines.tools.lbfgs import minimise
from baselines.tools.linalg import ComplexArray


def local_step(
    scaled: Scaled,
    v: ComplexArray,
    f: ComplexArray,
    kappas: tuple[float, ...] = (8.0, 64.0, 512.0),
    iterations: tuple[int, ...] = (20, 40, 60),
) -> ComplexArray:
    """L-BFGS over the phases at fixed beams F (B, M, C): kappa rises, rho triples, multipliers follow. (B, N)."""
    rho, nu = 10.0, np.zeros((len(v), scaled.ris_user.shape[1]))
    for kappa, steps in zip(kappas, iterations, strict=True):
        objective = Smoothed(scaled=scaled, kappa=kappa, rho=rho, nu=nu, streams=f.shape[-1], beams=f)
        x, _ = minimise(objective, objective.join(v), iterations=steps)
        v = np.exp(1j * x)
        nu = np.maximum(0.0, nu + rho * objective.deficits(v, f))
        rho *= 3.0
    return v


@dataclass(kw_only=True)
class LocalAlternation(AlternatingOptimisation):
    """Per round: `local_step`, phase repair, exact transmit step; accepted where the gain rises."""

    name: str = "ao_local"
    rounds: int = 30

    def optimise(self, scaled: Scaled, generators: list[np.random.Generator]) -> Outcome:
        """Alternate until the gain rises by less than `tolerance`."""
        v, f, gain, feasible = self.begin(scaled, generators)
        status = np.where(feasible, "stopped", "infeasible").astype("<U10")
        history = [gain.copy()]
        rows = np.flatnonzero(feasible)
        for _ in range(self.rounds):
            if not len(rows):
                break
            part = scaled[rows]
            new_v = phase_repair(part, local_step(part, v[rows], f[rows]))
            new_f, new_gain, ok = self.transmit(part, new_v, [generators[i] for i in rows], f[rows])
            old = gain[rows]
            better = ok & (new_gain > old)
            took = rows[better]
            v[took], f[took], gain[took] = new_v[better], new_f[better], new_gain[better]
            history.append(gain.copy())
            rising = better & (new_gain - old > self.tolerance * old)
            status[rows[~rising]] = "stopped"
            rows = rows[rising]
        return Outcome(v=v, f=f, status=status, history=np.array(history))
