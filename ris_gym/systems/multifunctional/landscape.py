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
    """One slot: users and targets served; where coordinates stand: mix (2, L, K + S_0), loading (K + 1), filter (2, ., M_s)."""

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
    for the rule's. The echo SINRs are always those of the best filters. Time switching has one such set per slot. Everything is
    computed in double precision.
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
        theta = decoding.coefficients(system, xp, values)
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
                required = (RATE_MARGIN / rules.RATE_MARGIN) * rules.slot_sinr(system, xp, share)
            reflecting, scale = (gain[:, i], size[:, i]) if switching else (gain.sum(dim=1), size)
            made = self._directions(at, slot, rows, eta, amplified)
            w = self._powered(made, rows[:, slot.users], amplified[:, slot.users], reflecting, scale, required)
            parts.append(rules.widened(system, xp, w, i) if switching else w)
        return (parts[0] if len(parts) == 1 else torch.stack(parts, dim=1)), theta, time

    def _directions(self, at: Tensor, slot: _Slot, rows: Tensor, eta: Tensor, amplified: Tensor) -> tuple[Tensor, Tensor]:
        """Unit directions (B, N, K + S_0) of a slot's streams, and the shares (B, S_0) of the sensing streams."""
        system, xp = self.system, self.xp
        k, count = slot.counts
        streams = system.num_sensing_beams
        h = rows[:, slot.users] / torch.sqrt(amplified[:, slot.users] + system.noise_user_w)[..., None]
        eta = eta[:, slot.targets]
        if self.nulls:
            h, eta = self._quiet(at, slot, h), self._quiet(at, slot, eta)
        mix = MIX * at[:, slot.mix].unflatten(1, (2, count, k + streams))
        first = torch.zeros(count, k + streams, dtype=at.dtype)
        for j in range(max(count, streams) if streams else 0):
            first[j % count, k + j % streams] = 1.0
        wanted = rules.unit(xp, herm(xp, eta)) @ torch.complex(mix[:, 0] + first, mix[:, 1])
        loading = torch.exp(LOADING * at[:, slot.loading])
        if k:
            mean = rules.mean_energy(xp, h)
            weighted = h * torch.sqrt(loading[:, :k])[..., None].to(h.dtype)
            wanted = rules.loaded(xp, weighted, rules.TARGET_LOADING * mean * loading[:, k], wanted)
            data = rules.towards_users(xp, h, torch.full_like(mean, k / system.power_w))
            wanted = torch.cat([wanted[..., :k] + data, wanted[..., k:]], dim=-1)
        strength = abs2(xp, wanted).sum(dim=1) + TINY
        share = strength[:, k:] / strength[:, k:].sum(dim=1, keepdim=True)
        return wanted / torch.sqrt(strength)[:, None], share

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

    def _powered(
        self, made: tuple[Tensor, Tensor], rows: Tensor, amplified: Tensor, reflecting: Tensor, size: Tensor, required: Tensor
    ) -> Tensor:
        """W of a slot: powers that just meet the rates, the rest for sensing; powers and the surface's scale in a few rounds."""
        system, xp = self.system, self.xp
        directions, share = made
        gain = abs2(xp, rows @ directions)
        cost = (reflecting[..., None] * abs2(xp, self.scene.bs_ris @ directions)).sum(dim=1)
        own = system.noise_surface_w * reflecting.sum(dim=-1)

        def powers(scale: Tensor) -> Tensor:
            squared = scale[:, None] ** 2
            over_noise = gain * (squared / (squared * amplified + system.noise_user_w))[..., None]
            served: Tensor = rules.just_served(xp, over_noise, required, share, system.power_w)
            return served

        power = powers(size)
        for _ in range(ROUNDS if system.amplifies else 0):
            radiated = ((power * cost).sum(dim=-1) + own) / system.surface_power_w
            power = powers(torch.minimum(size, 1.0 / torch.sqrt(radiated + TINY)))
        return directions * torch.sqrt(power + TINY)[:, None].to(directions.dtype)

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
