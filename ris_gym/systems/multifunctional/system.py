"""The system `multifunctional`: scenes, metrics, decisions. Source: arXiv 2412.01251; section numbers: the model page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ris_gym import diagnostics
from ris_gym import variables as var
from ris_gym.arrays import Array, namespace
from ris_gym.systems import checks
from ris_gym.systems.base import check_control, check_raw
from ris_gym.systems.multifunctional import decoding, encoding, features, gradients, physics, sampler
from ris_gym.systems.multifunctional.parameters import Parameters
from ris_gym.systems.multifunctional.records import (
    MultiFunctionalDesign,
    MultiFunctionalMetrics,
    MultiFunctionalScene,
)

if TYPE_CHECKING:
    from ris_gym.systems.landscape import Landscape


@dataclass(frozen=True, kw_only=True)
class MultiFunctional(Parameters):
    """A surface that reflects, refracts, amplifies and senses: echo SINRs of both half-spaces under rate thresholds.

    Beams `W` reach users and targets by way of the surface only, `theta_r` in front of it (side 0, where the BS is) and `theta_t`
    behind it (side 1). Maximise `U(gamma_r, gamma_t)`, the echo SINRs after the best receive filters, subject to `R_k >= R_min`,
    the BS's power, the elements' gain and (mf, active) the power that the surface radiates.

    Args:
        kind: `mf` (amplifies, both sides, own sensing elements), `active` (amplifies; even elements reflect, odd ones refract),
            `star` (both sides, `|theta_r|^2 + |theta_t|^2 = 1`), `passive` (as `active`, modulus 1). Only `mf` has sensors.
        protocol: of `mf`: `es` (every element splits its energy), `ms` (every element serves one side), `ts` (time is split).
        objective_form: `log`: `sum_i log2(1 + gamma_i)`, bit, mf only; `sum`: of both, dB; `db`: mean of both dB values;
            `auto`: `log` for mf, else `db`.
        phase_bits: bits of the surface's phases; None: continuous.
        num_antennas: N; num_elements_h, num_elements_v: M = M_h M_v; num_sensors_h, num_sensors_v: M_s, their sum, per side.
        num_users, num_targets: per side (r, t); num_sensing_beams: S_0.
        bs_position_m, ris_position_m: metres; the surface lies in the y-z plane, the BS in front of it (smaller x).
        x_range_m, y_range_m, user_height_m, target_height_range_m: where users and targets are, as seen from the surface (x, y).
        target_angles_deg: (elevation, azimuth) of every target seen from the surface, or None: random positions;
            target_distance_m: their distance then.
        path_loss_1m_db, exponent_bs_ris, exponent_ris_user, rician_db: channels; target_rcs_m2: radar cross section.
        noise_user_dbm, noise_surface_dbm, noise_sensor_dbm: noise powers (the last one also of the BS's receiver).
        max_gain_db: beta_max, power gain of an element (star, passive: 0 dB whatever it says).
        total_power_dbm, surface_share: P_tot, and the part of it that the surface has (mf, active).
        min_rate_bps_hz: R_min of every user.
        isolation_db: by how much the direct path to the sensors of each side is weakened.

    Raises:
        ValueError, TypeError: a field breaks its rule; the message names field, value and rule.

    Source: arXiv 2412.01251, problem (17).
    """

    scene: ClassVar[type] = MultiFunctionalScene
    design: ClassVar[type] = MultiFunctionalDesign

    @cached_property
    def line_of_sight(self) -> tuple[np.ndarray, np.ndarray]:
        """Line-of-sight parts of H (M, N) and G_i (2, M_s, N), weights included."""
        return sampler.bs_links(self)

    # -- the world ----------------------------------------------------------------------------------------------------------

    def sample(
        self, rng: np.random.Generator, batch: int = 1, csi_error: float = 0.0, dtype: str = "complex128"
    ) -> MultiFunctionalScene:
        """Draw scenes (section 2). `csi_error` e stores estimates `X + e rms(X) CN` of every link and of the targets' gains.

        Raises:
            ValueError: `batch`, `csi_error` or `dtype` is out of range.
        """
        checks.integer("batch", batch, 0)
        checks.real("csi_error", csi_error, 0.0)
        return sampler.sample(self, rng, batch, csi_error, dtype)

    def advance(
        self, scene: MultiFunctionalScene, design: Any, rng: np.random.Generator, correlation: float, csi_error: float
    ) -> MultiFunctionalScene:
        """One block of fading: scattered parts of every link evolve; positions and the targets' gains stay (section 12)."""
        return sampler.advance(self, scene, rng, correlation, csi_error)

    def check_scene(self, arrays: Mapping[str, np.ndarray]) -> MultiFunctionalScene:
        """Validate channels (section 2); constants are computed anew."""
        return sampler.check_scene(self, arrays)

    def known(self, scene: MultiFunctionalScene) -> MultiFunctionalScene:
        """Estimates in the place of truths, with the constants that follow from them."""
        known: MultiFunctionalScene = super().known(scene)
        return known if known is scene else sampler.with_constants(self, known)

    def draw_estimates(self, scene: MultiFunctionalScene, rng: np.random.Generator, csi_error: float) -> MultiFunctionalScene:
        """Estimates `X + e rms(X) CN` of every link and of the targets' gains."""
        return sampler.with_estimates(self, scene, rng, csi_error)

    def channel_diagnostics(self, scene: MultiFunctionalScene, design: MultiFunctionalDesign) -> dict[str, np.ndarray]:
        """Gain of every user and target; correlation and rank of users (all together; time switching: per side, as each slot has
        its own beams), correlation and rank of targets and the coupling per side, (B, 2)."""
        scene, design = diagnostics.double(scene, design)
        theta, sides = design.coefficients, (np.flatnonzero(self.user_side == 0), np.flatnonzero(self.user_side == 1))
        users = (scene.ris_user.conj() * theta[:, self.user_side]) @ scene.bs_ris
        targets = (scene.target_steering.conj() * theta[:, self.target_side]) @ scene.bs_ris
        seen = [users[:, sides[i]] if self.time_switching else users for i in range(2)]
        lit = [targets[:, self.target_side == i] for i in range(2)]

        def both(function: Any, *pairs: list[np.ndarray]) -> np.ndarray:
            return np.stack([function(*parts) for parts in zip(*pairs, strict=True)], axis=-1)

        each = {"correlation": diagnostics.mean_correlation, "rank": diagnostics.effective_rank}
        return {
            "channel_gain_db": diagnostics.gain_db(users),
            **{f"channel_{name}": both(f, seen) if self.time_switching else f(users) for name, f in each.items()},
            "target_gain_db": diagnostics.gain_db(targets),
            **{f"target_{name}": both(f, lit) for name, f in each.items()},
            "channel_coupling": both(diagnostics.coupling, seen, lit),
        }

    def evaluate(self, scene: MultiFunctionalScene, design: MultiFunctionalDesign) -> MultiFunctionalMetrics:
        """Metrics (sections 4 and 5). Array-API generic."""
        return physics.evaluate(self, namespace(scene.bs_ris, design.beams, design.coefficients), scene, design)

    def self_check(self, seed: int = 0) -> dict[str, float]:
        """Deviations of the closed forms from explicit ones, by name: see `self_check.run`, and `self_check.TOLERANCES`."""
        from ris_gym.systems.multifunctional.self_check import run

        return run(self, seed)

    # -- decisions ----------------------------------------------------------------------------------------------------------

    def variables(self, control: str = "full") -> var.Variables:
        """Beams (full), `phase`, `amplitude`, `split`, `mode`, `time_fraction` as the kind has them, or powers (structured)."""
        check_control(self, control)
        return self._variables[control]

    @cached_property
    def _variables(self) -> dict[str, var.Variables]:
        m, slots = self.num_elements, (2,) if self.time_switching else ()
        phase = var.Variable("phase", (2, m) if self.split_phases else (m,), "phase", "surface", self.phase_levels)
        surface = [phase]
        if self.amplifies:
            surface.append(var.Variable("amplitude", (2, m) if self.time_switching else (m,), "level", "surface"))
        if self.split_phases and not self.time_switching:
            surface.append(var.Variable("split", (m,), "fraction", "surface"))
        if self.mode_switching:
            surface.append(var.Variable("mode", (m,), "mode", "surface"))
        if self.time_switching:
            surface.append(var.Variable("time_fraction", (), "fraction", "time"))
        n = self.num_antennas
        beams = (
            var.Variable("beams", (*slots, n, self.users), "cartesian", "bs"),
            var.Variable("sensing_beams", (*slots, n, self.num_sensing_beams), "cartesian", "bs"),
        )
        powers = [var.Variable("user_power", (self.users,), "level", "bs")]
        if self.num_sensing_beams:
            powers.append(var.Variable("target_power", (self.targets,), "level", "bs"))
        powers.append(var.Variable("regulariser", (1,), "level", "bs"))
        return {"full": (*beams, *surface), "structured": (*surface, *powers), "surface": tuple(surface)}

    def decode(self, known: MultiFunctionalScene, raw: Array, control: str = "full") -> MultiFunctionalDesign:
        """Raw action (B, n) -> design that meets every hard constraint at `known` (sections 3 and 12)."""
        check_raw(self, known, raw, control)
        return decoding.realised(self, known, raw, control).design

    def decode_evaluate(
        self, known: MultiFunctionalScene, raw: Array, control: str = "full"
    ) -> tuple[MultiFunctionalDesign, MultiFunctionalMetrics]:
        """As the base class, with shared products."""
        check_raw(self, known, raw, control)
        made = decoding.realised(self, known, raw, control)
        return made.design, made.evaluate(self, known)

    def encode(self, known: MultiFunctionalScene, design: MultiFunctionalDesign, control: str = "full") -> np.ndarray:
        """Inverse of `decode` (section 3). numpy."""
        check_control(self, control)
        return encoding.encode(self, known, design, control)

    def project(self, scene: MultiFunctionalScene, design: MultiFunctionalDesign) -> MultiFunctionalDesign:
        """Alphabet, mask, BS power, caps, surface power, in this order (section 3)."""
        return decoding.project(self, scene, design)

    def canonical(self, known: MultiFunctionalScene, design: MultiFunctionalDesign) -> MultiFunctionalDesign:
        """The projected design with S_0 sensing beams, the strongest of their covariance where there are more."""
        return encoding.canonical(self, known, design)

    def start(self, known: MultiFunctionalScene, control: str = "full") -> np.ndarray:
        """Raw vector of the start rule (section 12)."""
        check_control(self, control)
        return encoding.start(self, known.to_numpy(), control)

    # -- what an agent sees -------------------------------------------------------------------------------------------------

    def observe_scene(self, known: MultiFunctionalScene) -> dict[str, np.ndarray]:
        """Normalised channels, steering vectors and levels (section 12)."""
        return features.scene(self, known)

    def observe_design(
        self, known: MultiFunctionalScene, design: MultiFunctionalDesign, metrics: MultiFunctionalMetrics
    ) -> dict[str, np.ndarray]:
        """Echo SINRs, users' SINRs and margins of the rates."""
        return features.design(self, metrics)

    def pieces(self, metrics: MultiFunctionalMetrics) -> tuple[Array, Array]:  # type: ignore[override]
        """The score (B, 1), and margins over R_min (B, K) (R_min = 0: none)."""
        xp = namespace(metrics.score)
        if self.min_rate_bps_hz > 0.0:
            return metrics.score[:, None], metrics.margins["rate"] / self.min_rate_bps_hz
        return metrics.score[:, None], xp.zeros((metrics.score.shape[0], 0), dtype=metrics.score.dtype)

    def pieces_jacobian(
        self, known: MultiFunctionalScene, raw: np.ndarray, control: str = "full"
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As the base class; for `full` in closed form (numpy), for `surface` without derivatives that vanish."""
        check_raw(self, known, raw, control)
        return self._jacobian(known, raw, control, None)

    def _jacobian(
        self, known: MultiFunctionalScene, raw: np.ndarray, control: str, made: decoding.Realised | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`pieces_jacobian`, with `decoding.realised` of `raw` where it is known."""
        if control == "surface" and not self.time_switching:
            return self._rule_jacobian(features.bare(known), raw)
        if control != "full":
            return self.differentiated(features.bare(known), raw, control)
        made = decoding.realised(self, known, raw, control) if made is None else made
        return gradients.jacobian(self, known, raw, made)

    def _rule_jacobian(
        self, known: MultiFunctionalScene, raw: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`pieces_jacobian` of `surface`: rates that the rule can serve it keeps a margin above R_min, whatever the surface, so
        that their derivatives are 0; those of scenes that miss a rate are computed."""
        score, slack, first = self.differentiated(known, raw, "surface", slice(0, 1))
        jacobian = np.concatenate([first, np.zeros((len(raw), slack.shape[1], raw.shape[1]), first.dtype)], axis=1)
        missed = np.any(slack < 0.0, axis=1)
        if missed.any():
            jacobian[missed] = self.differentiated(known[missed], raw[missed], "surface")[2]
        return score, slack, jacobian

    def observe_local(self, known: MultiFunctionalScene, raw: np.ndarray, control: str, penalty: float) -> dict[str, np.ndarray]:
        """Derivative, per-element paths, Gram matrix (section 12)."""
        check_raw(self, known, raw, control)
        made = decoding.realised(self, known, raw, control)
        common = self.frame(*self._jacobian(known, raw, control, made), penalty)
        common |= {name: features.shortened(common[name]) for name in ("direction", "ascent")}
        return common | features.local(self, known, made)

    def landscape(self, known: MultiFunctionalScene, control: str = "full") -> Landscape:
        """As the base class; for `full` over the surface and beams that follow it."""
        if control != "full":
            return super().landscape(features.bare(known), control)
        check_control(self, control)
        try:
            from ris_gym.systems.multifunctional.landscape import MultiFunctionalLandscape
        except ImportError as error:
            raise ImportError("landscapes need torch: pip install 'ris_gym[agents]'") from error
        return MultiFunctionalLandscape(self, known)
