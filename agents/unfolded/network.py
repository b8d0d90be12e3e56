"""The unfolded network: every layer is one prox-linear ascent step of the penalised score, and learned around it is how.

With the pieces s_i, c_j of a landscape and their Jacobian J at x, layer k does

    w        <- a few entropic (mirror) steps on the dual  min_w  w^T [s; c] + ||D^(1/2) J^T w||^2 / 2
                over the simplex times [0, penalty]^q
    step     =  D J^T w
    momentum <- beta * momentum + bounded(step)
    x        <- move(x, momentum)

D (diagonal metric), beta and the pace of the dual come from a schedule over k / layers, from a network that sees the state of
the ascent (levels, dual weights, progress), and, for the coordinates of single elements of the surface, from a network shared
by all of them. With `memory`, D is divided by the root mean square of each coordinate's past slopes. No weight depends on the
number of elements, antennas, users, targets or layers, so one network serves any.
Trained without labels and without a critic: the penalised score of the last layers is differentiated through all of them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

__all__ = ["Ascent", "UnfoldedNetwork", "value"]

SETTINGS = 5
"""Numbers that a layer needs: log metric and momentum of both coordinate kinds, log pace of the dual."""
STATE = 9
FEATURES = 4
FLOOR = 12.0
"""Range of the dual logits."""


class Ascent(NamedTuple):
    """What an ascent did: penalised value before every layer and after the last one (T + 1, B), best and last x (B, n)."""

    values: Tensor
    best: Tensor
    last: Tensor


def value(score: Tensor, slack: Tensor, penalty: float) -> Tensor:
    """`min_i s_i - penalty * sum_j max(0, -c_j)`, (B,)."""
    return score.min(dim=1).values - penalty * slack.clamp(max=0.0).abs().sum(dim=1)


@dataclasses.dataclass
class _Dual:
    """Logits of the dual weights: simplex over the score pieces, [0, penalty] for every slack."""

    simplex: Tensor
    box: Tensor
    penalty: float

    def weights(self) -> Tensor:
        return torch.cat([torch.softmax(self.simplex, dim=1), self.penalty * torch.sigmoid(self.box)], dim=1)

    def descend(self, pieces: Tensor, gram: Tensor, pace: Tensor, rounds: int) -> Tensor:
        """`rounds` mirror steps; the step is `pace` over the largest curvature."""
        split = self.simplex.shape[1]
        scale = pace / gram.diagonal(dim1=1, dim2=2).amax(dim=1).clamp_min(1e-12)
        for _ in range(rounds):
            slope = (pieces + (gram @ self.weights()[..., None])[..., 0]) * scale[:, None]
            simplex = self.simplex - slope[:, :split]
            self.simplex = (simplex - simplex.amax(dim=1, keepdim=True)).clamp_min(-FLOOR)
            self.box = (self.box - slope[:, split:]).clamp(-FLOOR, FLOOR)
        return self.weights()


class UnfoldedNetwork(nn.Module):
    """See the module.

    Args:
        layers: steps of an ascent.
        hidden: width of the network over the state; width: of the one shared over elements (0: none).
        knots: support points of the schedule, interpolated over k / layers.
        rounds: mirror steps of the dual per layer.
        penalty: weight of the cost in the ascent.
        reach: largest change of one coordinate by a step before momentum.
        first_metric: first entries of the metric, for the coordinates of the surface (32 of them) and for the others.
        first_momentum: first momentum factor.
        context: whether the network over the state exists (False: the schedule alone).
        memory: decay of the mean square of each coordinate's slope, by whose root the metric is divided (None: it is not).
        anneal: whether the first metric falls over the layers like `(1 + cos) / 2`, down to 3 %.
    """

    def __init__(
        self,
        layers: int = 32,
        hidden: int = 32,
        width: int = 8,
        knots: int = 16,
        rounds: int = 4,
        penalty: float = 2.0,
        reach: float = 0.3,
        context: bool = True,
        first_metric: Sequence[float] = (0.8, 1.0),
        first_momentum: float = 0.5,
        memory: float | None = None,
        anneal: bool = False,
    ) -> None:
        super().__init__()
        self.layers, self.rounds, self.penalty, self.reach, self.width = layers, rounds, penalty, reach, width
        beta = math.log(first_momentum / (1.0 - first_momentum))
        first = torch.tensor([math.log(first_metric[0]), math.log(first_metric[1]), beta, beta, math.log(2.0)])
        self.memory = memory
        schedule = first.repeat(knots, 1)
        if anneal:
            falling = 0.5 * (1.0 + torch.cos(math.pi * torch.arange(knots) / max(1, knots - 1)))
            schedule[:, :2] += torch.log(falling.clamp_min(0.03))[:, None]
        self.schedule = nn.Parameter(schedule)
        self.state: nn.Sequential | None = None
        if context:
            hidden_layers = [nn.Linear(STATE + width, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU()]
            answer = nn.Linear(hidden, SETTINGS + width)
            nn.init.zeros_(answer.weight)
            nn.init.zeros_(answer.bias)
            self.state = nn.Sequential(*hidden_layers, answer)
        if width:
            self.embed = nn.Linear(FEATURES, width)
            self.mix = nn.Linear(width, width)
            self.answer = nn.Linear(width, 2)
            nn.init.zeros_(self.answer.weight)
            nn.init.zeros_(self.answer.bias)

    def forward(
        self, landscape: Any, start: Tensor | None = None, layers: int | None = None, first_order: bool = False
    ) -> Ascent:
        """Ascend from `start` (None: the start rule) for `layers` steps (None: as built).

        `first_order`: slopes count as given when the ascent is differentiated, which leaves second derivatives of the landscape
        out; a value then depends on x by its slope.
        """
        total = self.layers if layers is None else layers
        x = landscape.start() if start is None else start
        momentum = torch.zeros_like(x)
        best, level = x, x.new_full((len(x),), -math.inf)
        dual: _Dual | None = None
        previous: Tensor | None = None
        squares = torch.zeros_like(x)
        values = []
        for k in range(total):
            at = landscape.linearise(x.detach() if first_order else x)
            now = value(at.score, at.slack, self.penalty)
            values.append(self._along(at, x, now) if first_order else now)
            best, level = torch.where((now > level)[:, None], x, best), torch.maximum(level, now)
            if dual is None:
                dual = _Dual(torch.zeros_like(at.score), torch.full_like(at.slack, -2.0), self.penalty)
            change = torch.zeros_like(now) if previous is None else now - previous
            previous = now
            root, beta, pace = self._settings(at, dual.weights(), momentum, landscape.surface, change, k, total)
            if self.memory is not None:
                slope = (at.jacobian @ dual.weights()[..., None])[..., 0]
                squares = self.memory * squares + (1.0 - self.memory) * slope**2
                root = root / (squares / (1.0 - self.memory ** (k + 1)) + 1e-12).sqrt().sqrt()
            scaled = at.jacobian * root[..., None]
            weights = dual.descend(torch.cat([at.score, at.slack], dim=1), scaled.mT @ scaled, pace, self.rounds)
            step = (scaled @ weights[..., None])[..., 0] * root
            momentum = beta * momentum + self.reach * torch.tanh(step / self.reach)
            x = landscape.move(x, momentum)
        score, slack = landscape.pieces(x)
        now = value(score, slack, self.penalty)
        values.append(now)
        best = torch.where((now > level)[:, None], x, best)
        return Ascent(torch.stack(values), best, x)

    def _along(self, at: Any, x: Tensor, now: Tensor) -> Tensor:
        """The value at x with its slope as derivative."""
        worst = torch.nn.functional.one_hot(at.score.argmin(dim=1), at.score.shape[1]).to(x.dtype)
        weights = torch.cat([worst, self.penalty * (at.slack < 0.0).to(x.dtype)], dim=1)
        slope = (at.jacobian @ weights[..., None])[..., 0].detach()
        return now + ((x - x.detach()) * slope).sum(dim=1)

    def _settings(
        self, at: Any, weights: Tensor, momentum: Tensor, surface: int, change: Tensor, k: int, total: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Root of the metric (B, n), momentum factor (B, n), pace of the dual (B,)."""
        others = momentum.shape[1] - surface
        general = self._interpolated(k / max(1, total - 1)).expand(len(momentum), -1)
        embedded = self._embed(at, weights, momentum, surface) if self.width else None
        shared: Tensor | None = None
        if self.state is not None:
            inputs = [self._state(at, weights, momentum, surface, change, k / total)]
            if embedded is not None:
                inputs.append(embedded.mean(dim=1))
            answer = self.state(torch.cat(inputs, dim=1))
            general = general + answer[:, :SETTINGS]
            shared = answer[:, SETTINGS:]
        metric, factor = general[:, :1], general[:, 2:3]
        if self.memory is None:  # slopes of single elements fall with their number
            metric = metric + math.log(max(1, surface) / 32.0)
        if embedded is not None:
            mixed = self.mix(embedded)
            own = self.answer(torch.relu(mixed if shared is None else mixed + shared[:, None]))
            metric, factor = metric + own[..., 0], factor + own[..., 1]
        else:
            metric, factor = metric.expand(-1, surface), factor.expand(-1, surface)
        metric = torch.cat([metric, general[:, 1:2].expand(-1, others)], dim=1)
        factor = torch.cat([factor, general[:, 3:4].expand(-1, others)], dim=1)
        return torch.exp(0.5 * metric), torch.sigmoid(factor), torch.exp(general[:, 4])

    def _interpolated(self, position: float) -> Tensor:
        """The schedule at a position in [0, 1], (1, SETTINGS)."""
        last = len(self.schedule) - 1
        if not last:
            return self.schedule
        at = min(max(position, 0.0), 1.0) * last
        left = min(int(at), last - 1)
        mixed: Tensor = (left + 1 - at) * self.schedule[left] + (at - left) * self.schedule[left + 1]
        return mixed[None]

    @staticmethod
    def _state(at: Any, weights: Tensor, momentum: Tensor, surface: int, change: Tensor, position: float) -> Tensor:
        """What the ascent looks like as a whole, (B, STATE)."""
        score, simplex = at.score, weights[:, : at.score.shape[1]]
        lowest = score.min(dim=1).values
        margin = at.slack.min(dim=1).values if at.slack.shape[1] else torch.zeros_like(lowest)
        squared = momentum**2
        return torch.stack(
            [
                lowest.clamp(-4.0, 4.0),
                (score.mean(dim=1) - lowest).clamp(max=2.0),
                margin.clamp(-1.0, 1.0),
                5.0 * (simplex * (score - lowest[:, None])).sum(dim=1).clamp(max=1.0),
                (simplex**2).sum(dim=1),
                change.clamp(-1.0, 1.0),
                torch.log10(squared[:, :surface].sum(dim=1) / max(1, surface) + 1e-9),
                torch.log10(squared[:, surface:].sum(dim=1) / max(1, squared.shape[1] - surface) + 1e-9),
                torch.full_like(lowest, position),
            ],
            dim=1,
        )

    def _embed(self, at: Any, weights: Tensor, momentum: Tensor, surface: int) -> Tensor:
        """What every coordinate of an element looks like, embedded, (B, surface, width)."""
        column = weights[..., None]
        slope = (at.jacobian[:, :surface] @ column)[..., 0] * (surface / (2.0 * math.pi))
        if at.alignment is not None and at.alignment.shape[1] == surface:
            aligned = (at.alignment @ column)[..., 0] * surface
        else:
            aligned = torch.zeros_like(slope)
        inputs = [slope, aligned, 10.0 * momentum[:, :surface], torch.log10(aligned.abs() + 0.03)]
        return torch.relu(self.embed(torch.stack(inputs, dim=2).clamp(-10.0, 10.0)))
