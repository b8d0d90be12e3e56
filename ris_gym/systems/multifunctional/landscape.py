"""The landscape of `multifunctional` over the surface and over beams that follow it, in torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ris_gym import variables as var
from ris_gym.arrays import abs2, constant, energy, herm, namespace
from ris_gym.systems.landscape import Landscape, Linear
from ris_gym.systems.multifunctional import beams as rules
from ris_gym.systems.multifunctional import decoding, features, physics
from ris_gym.systems.multifunctional.records import MultiFunctionalDesign, MultiFunctionalMetrics, MultiFunctionalScene

if TYPE_CHECKING:
    from ris_gym.systems.multifunctional.system import MultiFunctional

MIX, LOADING, FILTER = 0.25, 0.75, 0.06
"""What one unit of a coordinate is: of a stream's part towards a target, of a loading (neper), of a filter's entry."""
RATE_MARGIN = 1.005
"""Factor of the users' required SINR."""
ROUNDS = 3
"""Rounds of the fixed point of powers and surface scale."""
LEAST = 1e-6
TINY = 1e-30


@dataclass
class _Slot:
    """One slot: users and targets served; where its coordinates stand: mix (2, L, K + S_0), loading (K + 1), filter (2, ., M_s)."""

    users: slice
    targets: slice
    sides: slice
    mix: slice
    loading: slice
    filters: slice
    counts: tuple[int, int]


class MultiFunctionalLandscape(Landscape):
    """Pieces over x = (surface, time, beams that follow the surface).

    With the users' rows `h` and the targets' `eta` at the surface of x, both times the projector off `{u_i^H G_i}`, stream j is
    sent along `A_j^-1 sum_l c_lj eta_l^H / ||eta_l||`, `A = h^H diag(mu) h + mu_0 I` (data streams: plus the regularised
    zero-forcing direction of their user), and the powers just meet every rate, what is left being for sensing: the rates are met
    along the whole ascent wherever that is possible, and their derivatives vanish there. Coordinates of the beams are `c`
    (complex), `log mu`, and the filters `u_i` (complex) whose reception is kept free of the BS's direct signal; at 0 they stand
    for the rule's. The echo SINRs are always those of the best filters. Time switching has one such set per slot. Everything is computed in
    double precision.
    """

    def __init__(self, system: MultiFunctional, known: MultiFunctionalScene, truth: MultiFunctionalScene | None = None) -> None:
        known = features.bare(known).astype("complex128")
        super().__init__(system, known, "full")
        self.scene = known.to_torch()
        self.truth = None if truth is None else features.bare(truth).astype("complex128").to_torch()
        self.xp = namespace(self.scene.bs_ris)
        self.own = system.variables("surface")
        surface = var.length(self.own)
        self.surface = sum(v.size for v in self.own if v.shape)
        self.periodic_own = torch.as_tensor(var.periodic(self.own))
        self.slots: list[_Slot] = []
        first = surface
        nulls = system.kind == "mf" and system.num_antennas > 2
        groups = [(slice(0, system.users), slice(0, system.targets), slice(0, 2))]
        if system.time_switching:
            groups = [(system.user_slices[i], system.target_slices[i], slice(i, i + 1)) for i in range(2)]
        for users, targets, sides in groups:
            k, count = users.stop - users.start, targets.stop - targets.start
            filters_of = 2 * (sides.stop - sides.start) * system.num_sensors if nulls else 0
            ends = np.cumsum([first, 2 * count * (k + system.num_sensing_beams), k + 1, filters_of]).tolist()
            mix, loading, filters = (slice(a, b) for a, b in pairwise(ends))
            self.slots.append(_Slot(users, targets, sides, mix, loading, filters, (k, count)))
            first = int(ends[-1])
        self.length, self.nulls = first, nulls
        if nulls:
            assert known.reference is not None and known.bs_sensor is not None
            self.filters = torch.as_tensor(known.reference["filter"])
            self.direct = torch.as_tensor(known.bs_sensor / math.sqrt(system.noise_sensor_w))

    def on(self, scene: MultiFunctionalScene) -> MultiFunctionalLandscape:
        """The landscape of another scene (the truth) over the same coordinates."""
        return MultiFunctionalLandscape(self.system, self.numpy_known, scene)

    # -- coordinates --------------------------------------------------------------------------------------------------------

    def start(self) -> Tensor:
        """The start rule's surface; beams as the rule, but for margins."""
        raw = np.asarray(self.system.start(self.numpy_known, "surface"), np.float32)
        return torch.nn.functional.pad(torch.as_tensor(raw), (0, self.length - raw.shape[1]))

    def move(self, x: Tensor, step: Tensor) -> Tensor:
        """x + step: phases wrapped, other numbers of the surface and time clipped, those of the beams free."""
        moved = x + step
        own = moved[:, : len(self.periodic_own)]
        wrapped = own - 2.0 * torch.floor((own.detach() + 1.0) / 2.0)
        own = torch.where(self.periodic_own, wrapped, own.clamp(-1.0, 1.0))
        return torch.cat([own, moved[:, len(self.periodic_own) :]], dim=1)

    def raw(self, x: Tensor) -> np.ndarray:
        """The raw vector of x for `system.decode`, in the box."""
        system = self.system
        with torch.no_grad():
            w = self._design(x)[0].numpy() / math.sqrt(system.power_w)
        own = var.slices(self.own)
        at = x.detach().double().numpy()
        at = np.where(self.periodic_own.numpy(), var.wrap(at[:, : len(self.periodic_own)]), at[:, : len(self.periodic_own)])
        parts = {name: at[:, where].clip(-1.0, 1.0) for name, where in own.items()}
        for name, part in (("beams", w[..., : system.users]), ("sensing_beams", w[..., system.users :])):
            flat = part.reshape(len(part), -1)
            parts[name] = np.concatenate([flat.real, flat.imag], axis=1).clip(-1.0, 1.0)
        return np.concatenate([parts[v.name] for v in system.variables("full")], axis=1)

    # -- values -------------------------------------------------------------------------------------------------------------

    def _design(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Beams, coefficients before the surface's budget, time."""
        system, xp, scene = self.system, self.xp, self.scene
        at = x.double()
        values = {name: at[:, where] for name, where in var.slices(self.own).items()}
        theta, _ = decoding.coefficients(system, xp, values)
        time = decoding.time_of(values)
        scaled, size = rules.isotropic(system, xp, scene, theta)
        rows, eta, amplified = rules.raw_rows(system, xp, scene, scaled)
        gain = abs2(xp, scaled)
        parts = []
        for i, slot in enumerate(self.slots):
            switching = len(self.slots) > 1
            required = RATE_MARGIN * (2.0**system.min_rate_bps_hz - 1.0) * torch.ones(len(at), dtype=at.dtype)
            if time is not None:
                share = time if i == 0 else 1.0 - time
                required = RATE_MARGIN * torch.expm1(physics.LN2 * system.min_rate_bps_hz / share)
            made = self._directions(at, slot, rows, eta, amplified, gain[:, i] if switching else gain.sum(dim=1))
            w = self._powered(made, size[:, i] if switching else size, required, self._strength)
            parts.append(rules.widened(system, xp, w, i) if switching else w)
        return (parts[0] if len(parts) == 1 else torch.stack(parts, dim=1)), theta, time

    def _directions(
        self, at: Tensor, slot: _Slot, rows: Tensor, eta: Tensor, amplified: Tensor, reflecting: Tensor
    ) -> rules.Slot:
        """Unit directions of a slot's streams, and what they do."""
        system, xp = self.system, self.xp
        k, count = slot.counts
        rows, amplified, eta = rows[:, slot.users], amplified[:, slot.users], eta[:, slot.targets]
        h = rows / torch.sqrt(amplified + system.noise_user_w)[..., None]
        if self.nulls:
            h, eta = self._quiet(at, slot, h), self._quiet(at, slot, eta)
        mix = MIX * at[:, slot.mix].unflatten(1, (2, count, k + system.num_sensing_beams))
        first = torch.zeros(count, k + system.num_sensing_beams, dtype=at.dtype)
        for j in range(max(count, system.num_sensing_beams) if system.num_sensing_beams else 0):
            first[j % count, k + j % system.num_sensing_beams] = 1.0
        wanted = rules.unit(xp, herm(xp, eta)) @ torch.complex(mix[:, 0] + first, mix[:, 1])
        loading = torch.exp(LOADING * at[:, slot.loading])
        if k:
            mean = rules.mean_energy(xp, h)
            weighted = h * torch.sqrt(loading[:, :k])[..., None].to(h.dtype)
            wanted = rules.loaded(xp, weighted, rules.TARGET_LOADING * mean * loading[:, k], wanted)
            data = rules.towards_users(xp, h, torch.full_like(mean, k / system.power_w))
            wanted = torch.cat([wanted[..., :k] + data, wanted[..., k:]], dim=-1)
        strength = abs2(xp, wanted).sum(dim=1)
        self._strength = strength[:, k:] + TINY
        directions = wanted / torch.sqrt(strength + TINY)[:, None]
        cost = (reflecting[..., None] * abs2(xp, self.scene.bs_ris @ directions)).sum(dim=1)
        own = system.noise_surface_w * reflecting.sum(dim=-1)
        return rules.Slot(directions, abs2(xp, rows @ directions), amplified, cost, own)

    def _quiet(self, at: Tensor, slot: _Slot, rows: Tensor) -> Tensor:
        """Rows times the projector off what the slot's filters hear of the BS."""
        xp = self.xp
        shape = (2, slot.sides.stop - slot.sides.start, self.system.num_sensors)
        change = FILTER * at[:, slot.filters].unflatten(1, shape)
        u = self.filters[:, slot.sides] + torch.complex(change[:, 0], change[:, 1])
        heard = (u.conj()[:, :, None] @ self.direct[:, slot.sides])[:, :, 0]
        heard = heard / torch.sqrt(abs2(xp, heard).sum(dim=-1, keepdim=True) + TINY)
        gram = heard @ herm(xp, heard) + LEAST * constant(xp, np.eye(heard.shape[1]), at)
        return rows - (rows @ herm(xp, heard)) @ torch.linalg.solve(gram, heard)

    def _powered(self, slot: rules.Slot, size: Tensor, required: Tensor, strength: Tensor) -> Tensor:
        """W of a slot: powers that just meet the rates, the rest for sensing in proportion to the streams' strengths."""
        system = self.system
        share = strength / strength.sum(dim=1, keepdim=True)
        scale, powers = size, self._powers(slot, size, required, share)
        for _ in range(ROUNDS if system.amplifies else 0):
            radiated = ((powers * slot.cost).sum(dim=-1) + slot.own) / system.surface_power_w
            scale = torch.minimum(size, 1.0 / torch.sqrt(radiated + TINY))
            powers = self._powers(slot, scale, required, share)
        return slot.directions * torch.sqrt(powers + TINY)[:, None].to(slot.directions.dtype)

    def _powers(self, slot: rules.Slot, scale: Tensor, required: Tensor, share: Tensor) -> Tensor:
        """Powers of the directions with the surface at `scale`, W."""
        power, users = self.system.power_w, slot.users
        if not users:
            return power * share
        squared = scale[:, None] ** 2
        gain = slot.gain * (squared / (squared * slot.amplified + self.system.noise_user_w))[..., None]
        mixed, heard = gain[..., :users], gain[..., users:]
        eye = torch.eye(users, dtype=gain.dtype)
        weight = required[:, None] / ((mixed * eye).sum(dim=-1) + TINY)
        mixing = eye - weight[..., None] * (mixed * (1.0 - eye))
        sound = mixing.detach().abs().amax(dim=(1, 2)) < 1e6
        mixing = torch.where(sound[:, None, None], mixing, eye)
        right = torch.stack([weight, weight * (heard * share[:, None]).sum(dim=-1)], dim=-1)
        a, b = torch.linalg.solve(mixing, torch.where(sound[:, None, None], right, -torch.ones_like(right))).unbind(-1)
        left = (power - a.sum(dim=-1)) / (1.0 + b.sum(dim=-1))
        good = (left > 0.0) & (a >= 0.0).all(dim=-1) & (b >= 0.0).all(dim=-1)
        left = torch.where(good, left, torch.zeros_like(left))
        equal = torch.full_like(a, power / users)
        if not share.shape[1]:
            whole = torch.where(good, a.sum(dim=-1), torch.ones_like(left))
            return torch.where(good[:, None], a * (power / whole)[:, None], equal)
        data = torch.where(good[:, None], a + b * left[:, None], equal)
        return torch.cat([data, left[:, None] * share], dim=1)

    def _metrics(self, x: Tensor) -> MultiFunctionalMetrics:
        system, xp = self.system, self.xp
        w, theta, time = self._design(x)
        load = energy(xp, physics.incoming(system, self.scene, w))
        theta = decoding.within_surface(system, theta, load)
        design: MultiFunctionalDesign = decoding.assembled(system, xp, w, theta, time)
        scene: Any = self.scene
        if self.truth is not None:  # the surface keeps its budget on the truth
            scene = self.truth
            load = energy(xp, physics.incoming(system, scene, w))
            design = design.replace(coefficients=decoding.within_surface(system, theta, load))
        return physics.evaluate(system, xp, scene, design)

    def pieces(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Pieces s (B, 1), c (B, K)."""
        score, slack = self.system.pieces(self._metrics(x))
        return score.to(x.dtype), slack.to(x.dtype)

    def linearise(self, x: Tensor) -> Linear:
        """Pieces and Jacobian; where no scene of the batch misses a rate, derivatives of the rates are left at 0."""
        again = torch.is_grad_enabled() and x.requires_grad
        with torch.enable_grad():
            at = x if again else x.detach().requires_grad_()
            score, slack = self.pieces(at)
            columns = [score[:, 0]]
            missed = bool((slack.detach() < 0.0).any())
            if missed:
                columns += list(slack.unbind(1))
            rows = [torch.autograd.grad(c.sum(), at, create_graph=again, retain_graph=True)[0] for c in columns]
        if not missed:
            rows += [torch.zeros_like(x)] * slack.shape[1]
        jacobian = torch.nan_to_num(torch.stack(rows, dim=2))
        if not again:
            score, slack = score.detach(), slack.detach()
        return Linear(score, slack, jacobian)
