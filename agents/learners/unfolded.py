"""The unfolded learner: the penalised score of the last layers, differentiated through the whole ascent. No critic, no labels.

Every update draws fresh scenes (or scenes of the given set), ascends, and steps on `- mean value`. With an error of the known
channels (`env.csi_error`) the ascent sees the estimates and the loss is taken on the truth.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from agents.artefact import Artefact
from agents.learners.base import Setup
from agents.learners.weights import fill
from agents.unfolded.network import UnfoldedNetwork, value
from agents.unfolded.policy import UnfoldedAgent

__all__ = ["Unfolded", "build", "load"]

KIND = "unfolded"


def build(setup: Setup) -> Unfolded:
    """The learner of a run."""
    return Unfolded(setup)


def load(stored: Artefact, system: Any, penalty: float | None, steps: int | None, name: str) -> UnfoldedAgent:
    """The policy of an artefact.

    Raises:
        KeyError, TypeError, ValueError: the description or the weights do not fit.
    """
    settings = {key: item for key, item in stored.network.items() if key not in ("kind", "control")}
    network = UnfoldedNetwork(**settings)
    fill(network, stored.weights)
    return UnfoldedAgent(system, network, name, penalty, str(stored.network.get("control", "full")), steps)


class Unfolded:
    """See `agents.learners.base.Learner`. `steps` counts evaluations of a scene's landscape: layers times scenes."""

    def __init__(self, setup: Setup) -> None:
        import ris_gym

        self.settings = setup.hyper.unfolded
        env = setup.hyper.env
        self.control = self.settings.control or env.control or "full"
        if env.episode not in ("refine", "one_shot"):
            raise ValueError(f"env.episode must be 'refine' or 'one_shot' for algorithm 'unfolded', got {env.episode!r}")
        self.system, self.setup = setup.system, setup
        self.csi_error = float(env.csi_error or 0.0)
        torch.manual_seed(setup.seed)
        self.model = UnfoldedNetwork(**self.settings.network())
        self.network: dict[str, Any] = {"kind": KIND, "control": self.control, **self.settings.network()}
        self.env: dict[str, Any] = {"id": ris_gym.registry.get(setup.system.name).id, "kwargs": {}}
        self.interface: dict[str, Any] = {}
        self.agent = UnfoldedAgent(setup.system, self.model, KIND, setup.penalty, self.control)
        schedule = [self.model.schedule]
        others = [weight for name, weight in self.model.named_parameters() if name != "schedule"]
        groups = [{"params": part} for part in (schedule, others) if part]
        self.optimizer = torch.optim.Adam(groups, lr=self.settings.learning_rate)
        self.rng = np.random.default_rng(setup.seed)
        self._steps, self._skipped, self._last = 0, 0, math.nan

    @property
    def steps(self) -> int:
        """Layers times scenes so far."""
        return self._steps

    def learn(self, pause: Callable[[], bool]) -> None:
        """One update after the other until `pause()` is False."""
        while pause():
            self._update()

    def _scenes(self) -> Any:
        if self.setup.scenes is None:
            return self.system.sample(self.rng, batch=self.settings.batch, csi_error=self.csi_error)
        scene = self.setup.scenes.scene
        return scene[self.rng.integers(len(scene), size=self.settings.batch)]

    def _update(self) -> None:
        settings = self.settings
        left = 1.0 - self.setup.budget.fraction(self._steps)
        rate = settings.final_learning_rate + (settings.learning_rate - settings.final_learning_rate) * left
        rates = (rate * settings.schedule_rate / settings.learning_rate, rate)
        for group, own in zip(self.optimizer.param_groups, rates[: len(self.optimizer.param_groups)], strict=True):
            group["lr"] = own
        scene = self._scenes()
        known = self.system.known(scene)
        landscape = self.system.landscape(known, self.control)
        ascent = self.model(landscape, first_order=settings.first_order)
        values = ascent.values
        if known is not scene:
            score, slack = landscape.on(scene).pieces(ascent.last)
            last = value(score, slack, settings.penalty)
            values = torch.cat([values[:-1], last[None]])
        if settings.saturation is not None:
            values = -settings.saturation * torch.log1p((-values).clamp_min(0.0) / settings.saturation)
        loss = -(0.7 * values[-1].mean() + 0.2 * values[-settings.tail :].mean() + 0.1 * values.mean())
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), settings.max_grad_norm)
        if torch.isfinite(norm):
            self.optimizer.step()
        else:
            self._skipped += 1
        self._steps += self.model.layers * len(known)
        self._last = float(values[-1].detach().mean())

    def weights(self) -> dict[str, np.ndarray]:
        """All weights."""
        return {key: item.detach().cpu().numpy().copy() for key, item in self.model.state_dict().items()}

    def state(self) -> dict[str, Any]:
        """Weights, optimiser, counters."""
        counters = {"steps": self._steps, "skipped": self._skipped}
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), **counters}

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of `state`."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._steps, self._skipped = int(state["steps"]), int(state["skipped"])

    def reseed(self, rng: np.random.Generator) -> None:
        """Set the stream of the scenes."""
        self.rng = np.random.default_rng(rng.integers(2**63))

    def scalars(self) -> dict[str, float]:
        """The last update's mean value at the last layer, and updates left out for a gradient that was not finite."""
        scalars = {"train/skipped_updates": float(self._skipped)}
        return scalars if math.isnan(self._last) else scalars | {"train/last_value": self._last}

    def close(self) -> None:
        """Nothing to release."""
