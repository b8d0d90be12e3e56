"""What happens between two updates of a training run, whatever the algorithm: budget, validation, TensorBoard, artefact,
checkpoint, progress bar."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, Literal, Self

from agents.learners.base import Learner
from agents.validation import Validation

__all__ = ["Budget", "Pauses"]


class Budget:
    """What a run may use: minutes of wall or CPU time, a number of steps, or both (the first that is used up ends it)."""

    def __init__(self, minutes: float | None, steps: int | None, clock: Literal["wall", "cpu"] = "wall") -> None:
        if minutes is None and steps is None:
            raise ValueError("minutes or steps must be given")
        if minutes is not None and not minutes > 0.0:
            raise ValueError(f"minutes must be positive, got {minutes}")
        if steps is not None and steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps}")
        self.seconds = None if minutes is None else 60.0 * minutes
        self.steps = steps
        self._now = time.perf_counter if clock == "wall" else time.process_time
        self._used, self._since = 0.0, None

    _since: float | None

    def resume(self, used: float = 0.0) -> None:
        """Start the clock at `used` seconds."""
        self._used, self._since = used, self._now()

    def elapsed(self) -> float:
        """Seconds used."""
        return self._used + (0.0 if self._since is None else self._now() - self._since)

    def fraction(self, steps: int) -> float:
        """Used part of the budget, in [0, 1]; exactly reproducible if only steps count."""
        parts = [] if self.seconds is None else [self.elapsed() / self.seconds]
        parts += [] if self.steps is None else [steps / self.steps]
        return min(1.0, max(parts))


class Pauses:
    """What a learner calls between updates: validates, logs, saves, and says whether to go on.

    All of it happens at fixed fractions of the budget, so that a run limited by steps alone is reproducible.

    Args:
        budget: ends the run.
        learner: what is trained.
        validation: the fixed scenes; picture: None or a function that draws the agent's design (H, W, 3) uint8.
        improved: called with the curve when the validation score is the best so far (saves the artefact).
        checkpoint: called to save the private state; reseed: called right after, so that the run goes on exactly as it
            would after a restart from that checkpoint.
        log: a folder for TensorBoard, or None.
        validations, checkpoints, pictures, logs: how many over the whole budget.
    """

    def __init__(
        self,
        budget: Budget,
        learner: Learner,
        validation: Validation,
        improved: Callable[[list[dict[str, float]]], None],
        checkpoint: Callable[[], None],
        reseed: Callable[[], None],
        picture: Callable[[], Any] | None = None,
        log: str | os.PathLike[str] | None = None,
        validations: int = 20,
        checkpoints: int = 40,
        pictures: int = 5,
        logs: int = 400,
        bar: bool = False,
        title: str = "train",
    ) -> None:
        self.budget, self.learner, self.validation, self.picture = budget, learner, validation, picture
        self.improved, self.checkpoint, self.reseed = improved, checkpoint, reseed
        self.every = {"validation": validations, "checkpoint": checkpoints, "picture": pictures, "log": logs}
        self.done = dict.fromkeys(self.every, -1)
        self.curve: list[dict[str, float]] = []
        self.best = -float("inf")
        self._log, self._writer = log, None
        self._show, self._title, self._shown = bar, title, 0.0

    _bar: Any = None
    _writer: Any

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of this object."""
        return {"done": dict(self.done), "curve": [dict(point) for point in self.curve], "best": self.best}

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of `state`."""
        self.done = {name: int(state["done"][name]) for name in self.every}
        self.curve, self.best = [dict(point) for point in state["curve"]], float(state["best"])

    def __enter__(self) -> Self:
        if self._log is not None:
            from torch.utils.tensorboard import SummaryWriter

            # what a killed run wrote after its last checkpoint is written again: TensorBoard drops the first version
            self._writer = SummaryWriter(os.fspath(self._log), purge_step=self.learner.steps + 1 if self.curve else 0)
        if self._show:
            from tqdm import tqdm

            layout = "{desc} {percentage:3.0f}% |{bar}| {elapsed}<{remaining} {postfix}"
            self._bar = tqdm(total=100.0, desc=self._title, bar_format=layout)
            self._update_bar()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._update_bar()
            self._bar.close()
        if self._writer is not None:
            self._writer.close()

    def __call__(self) -> bool:
        """Do what is due; whether the budget allows another update."""
        if self.budget.fraction(self.learner.steps) >= 1.0:
            return False
        if self._due("validation"):
            self.validate()
        if self._due("log"):
            self._write(self.learner.scalars())
        if self._due("checkpoint") and self.learner.steps:
            self.checkpoint()
            self.reseed()
        if time.monotonic() - self._shown > 0.2:
            self._update_bar()
        return True

    def _due(self, what: str) -> bool:
        index = int(self.budget.fraction(self.learner.steps) * self.every[what])
        if index == self.done[what]:
            return False
        self.done[what] = index
        return True

    def validate(self) -> None:
        """Measure the agent on the validation scenes, log it, and keep it if it is the best so far."""
        scalars, _ = self.validation.measure(self.learner.agent)
        point = {"steps": float(self.learner.steps), **scalars}
        if self.budget.seconds is not None:  # else the curve depends on nothing but the seed
            point = {"seconds": self.budget.elapsed(), **point}
        self.curve.append(point)
        self._write({f"validation/{name}": value for name, value in scalars.items()} | {"time/seconds": self.budget.elapsed()})
        if self._writer is not None:
            if self.picture is not None and self._due("picture"):
                frame = self.picture()
                if frame is not None:
                    self._writer.add_image("validation/picture", frame, self.learner.steps, dataformats="HWC")
            self._writer.flush()
        if scalars["penalised_score"] > self.best:
            self.best = scalars["penalised_score"]
            self.improved(self.curve)
        self._update_bar()

    def _write(self, scalars: dict[str, float]) -> None:
        if self._writer is not None:
            for name, value in scalars.items():
                self._writer.add_scalar(name, value, self.learner.steps)

    def _update_bar(self) -> None:
        if self._bar is None:
            return
        self._shown = time.monotonic()
        self._bar.n = 100.0 * self.budget.fraction(self.learner.steps)
        if self.curve:
            last, reference = self.curve[-1], self.validation.reference
            shown = {"score": last["penalised_score"], f"gap to {reference}": last.get(f"gap_to_{reference}")}
            shown |= {"gap to bound": last.get("gap_to_bound"), "success": last["success_rate"]}
            self._bar.set_postfix_str(", ".join(f"{k} {v:.2f}" for k, v in shown.items() if v is not None), refresh=False)
        self._bar.refresh()
