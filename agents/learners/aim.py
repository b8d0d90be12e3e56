"""The learner of an aim: where the truth is, from a belief that is wrong in ways that can be foreseen.

Every update plays fresh episodes with the agent as it is (with a cheap designer) and regresses, by the Huber loss, the offset
of the truth from the belief's mean, which a simulator knows, on the belief's features, which are all that the agent sees.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from agents.aim.network import AimNetwork
from agents.aim.policy import AimAgent, own_memory
from agents.artefact import Artefact
from agents.learners.base import Setup
from agents.learners.weights import fill

__all__ = ["AimLearner", "build", "load"]

KIND = "aim"


def build(setup: Setup) -> AimLearner:
    """The learner of a run."""
    return AimLearner(setup)


def load(stored: Artefact, system: Any, penalty: float | None, steps: int | None, name: str) -> AimAgent:
    """The policy of an artefact.

    Raises:
        KeyError, TypeError, ValueError: the description or the weights do not fit, or `steps` is given.
    """
    if steps is not None:
        raise ValueError(f"steps must be None for an agent that decides once per frame, got {steps}")
    settings = dict(stored.network)
    designer = str(settings.pop("designer"))
    del settings["kind"]
    network = AimNetwork(**settings)
    fill(network, stored.weights)
    return AimAgent(system, network, designer, stored.env.get("kwargs", {}), name, penalty)


class AimLearner:
    """See `agents.learners.base.Learner`. `steps` counts frames.

    Raises:
        ValueError: the episode is not sequential, or its scenes hold no belief of a position.
    """

    def __init__(self, setup: Setup) -> None:
        import ris_gym

        self.settings, self.system, self.setup = setup.hyper.aim, setup.system, setup
        name = setup.hyper.env.episode
        episode = next((one for one in setup.system.episodes if one.name == name), None)
        probe = None
        if episode is not None and episode.kind == "blocks" and setup.scenes is None:
            self.sampler = getattr(setup.system, episode.sampler)
            scene = self.sampler(np.random.default_rng(0), 1)
            probe = setup.system.aim(setup.system.known(scene))
        elif setup.scenes is not None:
            probe = setup.system.aim(setup.system.known(setup.scenes.scene[:1]))
        if probe is None:
            rule = "env.episode must be one whose scenes hold a belief of a position for algorithm 'aim'"
            raise ValueError(f"{rule}, got {name!r}")
        torch.manual_seed(setup.seed)
        size: dict[str, Any] = {"inputs": probe.features.shape[1], "outputs": probe.size}
        size |= {"hidden": self.settings.hidden, "reach_m": self.settings.reach_m}
        self.model = AimNetwork(**size)
        self.network: dict[str, Any] = {"kind": KIND, "designer": self.settings.designer, **size}
        self.env: dict[str, Any] = {"id": ris_gym.registry.get(setup.system.name).id, "kwargs": {"episode": name}}
        self.interface: dict[str, Any] = {}
        common = (self.env["kwargs"], KIND, setup.penalty)
        self.agent = AimAgent(setup.system, self.model, self.settings.designer, *common)
        self.player = AimAgent(setup.system, self.model, self.settings.training_designer, *common)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=self.settings.learning_rate)
        self.rng = np.random.default_rng(setup.seed)
        self._steps, self._last = 0, math.nan

    @property
    def steps(self) -> int:
        """Frames so far."""
        return self._steps

    def learn(self, pause: Callable[[], bool]) -> None:
        """One update after the other until `pause()` is False."""
        while pause():
            self._update()

    def _scenes(self) -> Any:
        if self.setup.scenes is None:
            return self.sampler(self.rng, self.settings.episodes)
        scene = self.setup.scenes.scene
        return scene[self.rng.integers(len(scene), size=self.settings.episodes)]

    def _play(self) -> tuple[np.ndarray, np.ndarray]:
        """Features (frames, f) and the offsets that would have been right (frames, d) of fresh episodes."""
        scene, memory = self._scenes(), None
        seen, right = [], []
        for _ in range(self.system.frames(scene)):
            known = self.system.known(scene)
            aim = self.system.aim(known, own_memory(memory))
            seen.append(aim.features)
            right.append(aim.target(scene))
            found = self.player.solve(known, self.rng, memory)
            memory = found.memory
            _, scene = self.system.step(scene, self.system.project(scene, found.design), self.rng)
        return np.concatenate(seen), np.concatenate(right).astype(np.float32)

    def _update(self) -> None:
        settings = self.settings
        left = 1.0 - self.setup.budget.fraction(self._steps)
        rate = settings.final_learning_rate + (settings.learning_rate - settings.final_learning_rate) * left
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        features, right = (torch.from_numpy(array) for array in self._play())
        total, count = 0.0, 0
        for _ in range(settings.epochs):
            order = torch.from_numpy(self.rng.permutation(len(features)))
            for rows in order.split(settings.minibatch):
                loss = torch.nn.functional.huber_loss(self.model(features[rows]), right[rows], delta=settings.threshold_m)
                self.optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(self.model.parameters(), settings.max_grad_norm)
                self.optimizer.step()
                total, count = total + float(loss.detach()), count + 1
        self._steps += len(features)
        self._last = total / count

    def weights(self) -> dict[str, np.ndarray]:
        """All weights."""
        return {key: item.detach().cpu().numpy().copy() for key, item in self.model.state_dict().items()}

    def state(self) -> dict[str, Any]:
        """Weights, optimiser, counter."""
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "steps": self._steps}

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of `state`."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._steps = int(state["steps"])

    def reseed(self, rng: np.random.Generator) -> None:
        """Set the stream of scenes and batches."""
        self.rng = np.random.default_rng(rng.integers(2**63))

    def scalars(self) -> dict[str, float]:
        """The last update's mean loss, m."""
        return {} if math.isnan(self._last) else {"train/loss": self._last}

    def close(self) -> None:
        """Nothing to release."""
