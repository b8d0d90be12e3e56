"""An unfolded network as a policy."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

__all__ = ["UnfoldedAgent"]


class UnfoldedAgent:
    """`solve` runs the ascent on the landscape of what is known and returns its best iterate by the penalised score, after the
    system's exact repair where that helps (as every ascent of `baselines`). It draws no random numbers.

    Args:
        system: the system to act in; network: the unfolded network; name: shown in tables.
        penalty: of the score that ranks repaired against unrepaired designs; None: the system's.
        control: variables of the ascent; layers: steps, None: as trained.
        chunk: scenes worked on at a time.
    """

    privileged = False

    def __init__(
        self,
        system: Any,
        network: Any,
        name: str = "unfolded",
        penalty: float | None = None,
        control: str = "full",
        layers: int | None = None,
        chunk: int = 256,
    ) -> None:
        if layers is not None and layers < 1:
            raise ValueError(f"steps must be at least 1, got {layers}")
        if control not in system.controls:
            raise ValueError(f"control must be one of {system.controls}, got {control!r}")
        self.system, self.network, self.name, self.control = system, network, name, control
        self.penalty = float(system.default_penalty if penalty is None else penalty)
        self.layers, self.chunk = layers, chunk

    def solve(self, known: Any, rng: np.random.Generator) -> Any:
        """Designs for the scenes of `known`, as a `baselines` Solution; `history` is the best penalised score so far."""
        from baselines.finish import finish
        from baselines.policy import Solution, pad_history

        began = time.perf_counter()
        raws, history = [], []
        for first in range(0, max(1, len(known)), self.chunk):
            raw, values = self._ascend(known[np.arange(first, min(first + self.chunk, len(known)))])
            raws.append(raw)
            history.append(np.maximum.accumulate(values, axis=0))
        raw = np.concatenate(raws)
        design = finish(self.system, known, self.system.decode(known, raw, self.control), self.penalty)
        if self.control != "full":
            design = self.system.canonical(known, design)
        metrics = self.system.evaluate(known, design)
        return Solution(
            design=design,
            objective=np.asarray(metrics.objective, float),
            feasible=np.asarray(metrics.feasible, bool),
            status=np.full(len(known), "stopped"),
            history=pad_history(history),
            seconds=time.perf_counter() - began,
            history_of="score",
        )

    def _ascend(self, known: Any) -> tuple[np.ndarray, np.ndarray]:
        """Best raw vectors (b, n) and penalised values (layers + 1, b)."""
        import torch

        with torch.no_grad():
            landscape = self.system.landscape(known, self.control)
            ascent = self.network(landscape, layers=self.layers)
            raw = landscape.raw(ascent.best)
        return raw, ascent.values.double().numpy()

    def bind(self, env: Any) -> Any:
        """An object with `predict(observation, state, episode_start, deterministic)` that drives `env`."""
        from baselines.binding import BoundPolicy

        return BoundPolicy(self, env)
