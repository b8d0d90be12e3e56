"""The two forms of the convex programs behind the alternation, its benchmarks and the bound."""

from __future__ import annotations

import time
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from baselines.active_crb import amplitudes, phases, transmit, zero_forcing
from baselines.active_crb.transmitted import Transmitted
from baselines.active_crb.units import Scaled
from baselines.tools.linalg import Array, ComplexArray
from baselines.tools.solver_call import SolverCall

SOLVERS = ("fast", "cvxpy", "clarabel", "scs")
Index = NDArray[np.int64] | None
"""Numbers of the scenes for the reports, None: 0, 1, .."""


class Programs(Protocol):
    """What a form of the programs offers; `calls` holds one report per solver call, in order."""

    calls: list[SolverCall]

    def transmit(self, scaled: Scaled, index: Index = None) -> Transmitted:
        """(SDR5.1), (P3) for sensing only."""
        ...

    def zero_forcing(self, scaled: Scaled, index: Index = None) -> Transmitted:
        """(SDR5.1) with zero-forcing directions for the user beams."""
        ...

    def phases(
        self, program: phases.PhaseProgram, u: ComplexArray, generators: list[np.random.Generator], index: Index = None
    ) -> tuple[ComplexArray, Array, NDArray[np.bool_]]:
        """(SDR6.3): phases (B, N), smallest SINR ratio (B,), where better than u (B,)."""
        ...

    def echo(
        self, form: ComplexArray, u: ComplexArray, generators: list[np.random.Generator], index: Index = None
    ) -> tuple[ComplexArray, Array]:
        """(P4.2): phases (B, N) and u^H Xi u (B,), not above that of u."""
        ...

    def amplitudes(
        self, program: amplitudes.AmplitudeProgram, share: Array, index: Index = None
    ) -> tuple[Array, NDArray[np.bool_]]:
        """(P4.4), (P6.4): amplitudes over the cap (B, N), where better than `share` (B,)."""
        ...


class Fast:
    """Our solvers, batched over scenes: one report per batch, which tells the time."""

    def __init__(self) -> None:
        self.calls: list[SolverCall] = []

    def _report(self, program: str, count: int, index: Index, began: float) -> None:
        first = int(index[0]) if index is not None and len(index) else 0
        seconds = time.process_time() - began
        self.calls.append(
            SolverCall(
                program=program, scene=first, scenes=count, solver="fast", status="stopped", accepted=True, seconds=seconds
            )
        )

    def transmit(self, scaled: Scaled, index: Index = None) -> Transmitted:
        """`transmit.solve_transmit`."""
        began = time.process_time()
        result = transmit.solve_transmit(scaled)
        self._report("transmit", len(scaled), index, began)
        return result

    def zero_forcing(self, scaled: Scaled, index: Index = None) -> Transmitted:
        """`zero_forcing.solve_zero_forcing`."""
        began = time.process_time()
        result = zero_forcing.solve_zero_forcing(scaled)
        self._report("zero_forcing", len(scaled), index, began)
        return result

    def phases(
        self, program: phases.PhaseProgram, u: ComplexArray, generators: list[np.random.Generator], index: Index = None
    ) -> tuple[ComplexArray, Array, NDArray[np.bool_]]:
        """`phases.raise_ratio`."""
        began = time.process_time()
        result = phases.raise_ratio(program, u)
        self._report("phases", len(u), index, began)
        return result

    def echo(
        self, form: ComplexArray, u: ComplexArray, generators: list[np.random.Generator], index: Index = None
    ) -> tuple[ComplexArray, Array]:
        """`phases.minimise_echo`."""
        began = time.process_time()
        result = phases.minimise_echo(form, u, generators)
        self._report("echo", len(u), index, began)
        return result

    def amplitudes(
        self, program: amplitudes.AmplitudeProgram, share: Array, index: Index = None
    ) -> tuple[Array, NDArray[np.bool_]]:
        """`amplitudes.amplitude_step`."""
        began = time.process_time()
        result = amplitudes.amplitude_step(program, share)
        self._report("amplitudes", len(share), index, began)
        return result


def make_programs(solver: str) -> Programs:
    """The form named `solver`: `fast`, or `cvxpy` (`clarabel`, `scs`: with that solver whatever the size), imported on first use.

    Raises:
        ValueError: unknown name.
    """
    if solver not in SOLVERS:
        raise ValueError(f"solver must be one of {SOLVERS}, got {solver!r}")
    if solver == "fast":
        return Fast()
    from baselines.active_crb.textbook import Textbook

    return Textbook(None if solver == "cvxpy" else (solver.upper(),))
