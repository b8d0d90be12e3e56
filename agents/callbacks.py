"""What happens between two updates of a training run: budget, validation, TensorBoard, artefact, checkpoint, progress bar."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Literal

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Image

from agents.validation import Validation

__all__ = ["Budget", "RunCallback"]


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


class RunCallback(BaseCallback):
    """Validates, logs, saves and stops. All of it happens between updates, at fixed fractions of the budget.

    Args:
        budget: ends the run.
        validation: the fixed scenes; policy: the live agent; picture: None or a function that draws it (H, W, 3) uint8.
        improved: called with the curve when the validation score is the best so far (saves the artefact).
        checkpoint: called to save the private state; reseed: called right after, so that the run goes on exactly as it
            would after a restart from that checkpoint.
        validations, checkpoints: how many over the whole budget.
    """

    def __init__(
        self,
        budget: Budget,
        validation: Validation,
        policy: Any,
        improved: Callable[[list[dict[str, float]]], None],
        checkpoint: Callable[[], None],
        reseed: Callable[[], None],
        picture: Callable[[], Any] | None = None,
        validations: int = 20,
        checkpoints: int = 40,
        pictures: int = 5,
        bar: bool = False,
        title: str = "train",
    ) -> None:
        super().__init__()
        self.budget, self.validation, self.policy, self.picture = budget, validation, policy, picture
        self.improved, self.checkpoint, self.reseed = improved, checkpoint, reseed
        self.every = {"validation": validations, "checkpoint": checkpoints, "picture": pictures}
        self.done = dict.fromkeys(self.every, -1)
        self.curve: list[dict[str, float]] = []
        self.best = -float("inf")
        self._bar: Any = None
        self._show, self._title = bar, title

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of this object."""
        return {"done": dict(self.done), "curve": [dict(point) for point in self.curve], "best": self.best}

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of `state`."""
        self.done, self.curve, self.best = state["done"], state["curve"], state["best"]

    def _due(self, what: str) -> bool:
        index = int(self.budget.fraction(self.num_timesteps) * self.every[what])
        if index == self.done[what]:
            return False
        self.done[what] = index
        return True

    def _on_training_start(self) -> None:
        if self._show:
            from tqdm import tqdm

            layout = "{desc} {percentage:3.0f}% |{bar}| {elapsed}<{remaining} {postfix}"
            self._bar = tqdm(total=100.0, desc=self._title, bar_format=layout)
            self._update_bar()

    def _on_rollout_start(self) -> None:
        if self._due("validation"):
            self.validate()
        if self._due("checkpoint") and self.num_timesteps:
            self.checkpoint()
            self.reseed()

    def validate(self) -> None:
        """Measure the agent on the validation scenes, log it, and keep it if it is the best so far."""
        scalars, _ = self.validation.measure(self.policy)
        point = {"seconds": self.budget.elapsed(), "steps": float(self.num_timesteps), **scalars}
        self.curve.append(point)
        for name, value in scalars.items():
            self.logger.record(f"validation/{name}", value)
        if self.picture is not None and self._due("picture"):
            frame = self.picture()
            if frame is not None:
                self.logger.record("validation/picture", Image(frame, "HWC"), exclude=("stdout", "log", "json", "csv"))
        self.logger.dump(self.num_timesteps)
        if scalars["penalised_score"] > self.best:
            self.best = scalars["penalised_score"]
            self.improved(self.curve)
        self._update_bar()

    def _update_bar(self) -> None:
        if self._bar is None:
            return
        self._bar.n = 100.0 * self.budget.fraction(self.num_timesteps)
        if self.curve:
            last, reference = self.curve[-1], self.validation.reference
            shown = {"score": last["penalised_score"], f"gap to {reference}": last.get(f"gap_to_{reference}")}
            shown |= {"gap to bound": last.get("gap_to_bound"), "success": last["success_rate"]}
            self._bar.set_postfix_str(", ".join(f"{k} {v:.2f}" for k, v in shown.items() if v is not None), refresh=False)
        self._bar.refresh()

    def _on_step(self) -> bool:
        return self.budget.fraction(self.num_timesteps) < 1.0

    def _on_rollout_end(self) -> None:
        self._update_bar()

    def _on_training_end(self) -> None:
        if self._bar is not None:
            self._update_bar()
            self._bar.close()
