"""The system `active_crb`: parameters, scenes, metrics. Source: arXiv 2508.00379; section numbers: the model page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ris_gym import channels, diagnostics
from ris_gym import variables as var
from ris_gym.arrays import Array, Constant, namespace
from ris_gym.geometry import distance
from ris_gym.systems import checks
from ris_gym.systems.active_crb import beams as rules
from ris_gym.systems.active_crb import encoding, features, gradients, physics, sampler
from ris_gym.systems.active_crb.records import ActiveCrbDesign, ActiveCrbMetrics, ActiveCrbScene
from ris_gym.systems.base import System, check_control, check_raw

if TYPE_CHECKING:
    from ris_gym.systems.landscape import Landscape

KINDS = ("active", "passive")


@dataclass(frozen=True, kw_only=True)
class ActiveCrb(System):
    """Cramér-Rao bound of an extended target's response behind an amplifying surface, under per-user SINR thresholds.

    `x = sum_k w_k s_k + L s_0` reaches users and target by way of the surface `v_n = a_n exp(j phi_n)` only. Minimise
    `CRB = 1/T sum_n [(G R G^H)^-1]_nn / a_n^2 (N sigma_r^2 + sigma_b^2 sum_n [(G G^H)^-1]_nn / a_n^2)`, `R = W W^H + L L^H`,
    subject to `SINR_k >= gamma_k`, `tr R <= P_0`, `0 < a_n <= a_max`, and the power that the surface radiates in both passes
    `<= P_s`.

    Args:
        num_antennas: M; num_elements: N; num_users: K; num_scatterers: Q of the target. M >= N >= K.
        kind: `active`, or `passive`: a = 1, no noise and no power budget of the surface.
        bs_position_m, ris_position_m, target_position_m: plane geometry, metres; both arrays along x, half-wavelength spacing.
        target_size_m: x by y of the rectangle of the scatterers; target_rcs_m2: radar cross section, m^2.
        user_area_m: (x_min, x_max, y_min, y_max), users uniform.
        path_loss_1m_db, exponent_bs_ris, exponent_ris_user: path loss `PL_0 + 10 alpha log10 d`; to the target alpha = 2 per way.
        rician_db: Rician factor of both links.
        power_dbm: P_0; surface_power_dbm: P_s; max_gain_db: a_max^2.
        noise_bs_dbm, noise_user_dbm, noise_surface_dbm: noise powers.
        num_snapshots: T.
        sinr_threshold_db: one number for all users, K numbers, or None: sensing only.
        target_response_error: relative error of what is known of H.

    Raises:
        ValueError, TypeError: a field breaks its rule; the message names field, value and rule.

    Source: arXiv 2508.00379, (P1) and (P2).
    """

    name: ClassVar[str] = "active_crb"
    sense: ClassVar[int] = -1
    unit: ClassVar[str] = "dB"
    default_penalty: ClassVar[float] = 2.0
    scene: ClassVar[type] = ActiveCrbScene
    design: ClassVar[type] = ActiveCrbDesign
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "default": {},
        "sensing_only": {"sinr_threshold_db": None},
        "hard": {"sinr_threshold_db": 15.0},
        "surface_limited": {"surface_power_dbm": 0.0},
        "surface_limited_sensing": {"surface_power_dbm": -5.0, "sinr_threshold_db": None},
        "passive": {"kind": "passive", "sinr_threshold_db": None},
        "large": {"num_antennas": 32, "num_elements": 16, "num_users": 4},
    }

    num_antennas: int = 16
    num_elements: int = 8
    num_users: int = 3
    num_scatterers: int = 12
    kind: str = "active"
    bs_position_m: tuple[float, float] = (0.0, 0.0)
    ris_position_m: tuple[float, float] = (30.0, 10.0)
    target_position_m: tuple[float, float] = (35.0, 4.0)
    target_size_m: tuple[float, float] = (4.5, 2.0)
    target_rcs_m2: float = 10.0
    user_area_m: tuple[float, float, float, float] = (50.0, 70.0, -35.0, -10.0)
    path_loss_1m_db: float = 30.0
    exponent_bs_ris: float = 2.2
    exponent_ris_user: float = 2.8
    rician_db: float = 5.0
    power_dbm: float = 30.0
    surface_power_dbm: float = 5.0
    max_gain_db: float = 30.0
    noise_bs_dbm: float = -90.0
    noise_user_dbm: float = -90.0
    noise_surface_dbm: float = -90.0
    num_snapshots: int = 256
    sinr_threshold_db: float | tuple[float, ...] | None = 12.0
    target_response_error: float = 0.0

    def __post_init__(self) -> None:
        put = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731
        for name in ("num_antennas", "num_elements", "num_users", "num_scatterers", "num_snapshots"):
            put(name, checks.integer(name, getattr(self, name), 1))
        if self.num_antennas < self.num_elements:
            raise ValueError(
                f"num_antennas must be at least num_elements = {self.num_elements} (else no covariance reaches all elements "
                f"independently and the bound is infinite), got {self.num_antennas}"
            )
        if self.num_users > self.num_elements:
            raise ValueError(f"num_users must be at most num_elements = {self.num_elements}, got {self.num_users}")
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {KINDS}, got {self.kind!r}")
        for name in ("bs_position_m", "ris_position_m", "target_position_m"):
            put(name, checks.reals(name, getattr(self, name), size=2))
        put("target_size_m", checks.reals("target_size_m", self.target_size_m, 2, low=0.0))
        put("user_area_m", checks.reals("user_area_m", self.user_area_m, 4))
        for name in ("exponent_bs_ris", "exponent_ris_user", "target_response_error"):
            put(name, checks.real(name, getattr(self, name), 0.0))
        put("target_rcs_m2", checks.real("target_rcs_m2", self.target_rcs_m2, 0.0, open_low=True))
        levels = ("path_loss_1m_db", "rician_db", "power_dbm", "surface_power_dbm", "max_gain_db")
        for name in (*levels, "noise_bs_dbm", "noise_user_dbm", "noise_surface_dbm"):
            put(name, checks.real(name, getattr(self, name), -300.0, 300.0))
        if isinstance(self.sinr_threshold_db, (int, float, np.number)):
            put("sinr_threshold_db", checks.real("sinr_threshold_db", self.sinr_threshold_db, -100.0, 200.0))
        elif self.sinr_threshold_db is not None:
            put("sinr_threshold_db", checks.reals("sinr_threshold_db", self.sinr_threshold_db, self.num_users, -100.0, 200.0))
        self._check_geometry()

    def _check_geometry(self) -> None:
        ris = np.array(self.ris_position_m)
        if not float(distance(np.array(self.bs_position_m), ris)) > 0.0:
            raise ValueError(f"ris_position_m must differ from bs_position_m, got {self.ris_position_m}")
        x_min, x_max, y_min, y_max = self.user_area_m
        if x_min > x_max or y_min > y_max:
            raise ValueError(f"user_area_m must be (x_min, x_max, y_min, y_max) with min <= max, got {self.user_area_m}")
        half = 0.5 * np.array(self.target_size_m)
        if np.all(np.abs(ris - np.array(self.target_position_m)) <= half):
            raise ValueError(f"target_position_m must keep the target off ris_position_m, got {self.target_position_m}")
        if x_min <= ris[0] <= x_max and y_min <= ris[1] <= y_max:
            raise ValueError(f"user_area_m must not hold ris_position_m = {self.ris_position_m}, got {self.user_area_m}")

    # -- derived parameters -------------------------------------------------------------------------------------------------

    @cached_property
    def passive(self) -> bool:
        """Whether the surface only reflects."""
        return self.kind == "passive"

    @cached_property
    def power_w(self) -> float:
        """BS power budget P_0 in W."""
        return watts(self.power_dbm)

    @cached_property
    def surface_power_w(self) -> float:
        """Surface power budget P_s in W."""
        return watts(self.surface_power_dbm)

    @cached_property
    def noise_bs_w(self) -> float:
        """Noise power at the BS in W."""
        return watts(self.noise_bs_dbm)

    @cached_property
    def noise_user_w(self) -> float:
        """Noise power at a user in W."""
        return watts(self.noise_user_dbm)

    @cached_property
    def noise_surface_w(self) -> float:
        """Noise power of each element in W (passive: 0)."""
        return 0.0 if self.passive else watts(self.noise_surface_dbm)

    @cached_property
    def max_amplitude(self) -> float:
        """Largest amplitude a_max (passive: 1)."""
        return 1.0 if self.passive else 10.0 ** (self.max_gain_db / 20.0)

    @cached_property
    def thresholds_db(self) -> np.ndarray | None:
        """Required SINR per user, dB, (K,); None: sensing only."""
        if self.sinr_threshold_db is None:
            return None
        return np.broadcast_to(np.asarray(self.sinr_threshold_db, float), (self.num_users,))

    @cached_property
    def sinr_threshold(self) -> np.ndarray | None:
        """Required SINR per user, linear, (K,); None: sensing only."""
        return None if self.thresholds_db is None else 10.0 ** (self.thresholds_db / 10.0)

    @cached_property
    def threshold_constants(self) -> Constant | None:
        """`sinr_threshold` with its casts; None: sensing only."""
        return None if self.sinr_threshold is None else Constant(self.sinr_threshold)

    @cached_property
    def amplitude_bs_ris(self) -> float:
        """Path-loss amplitude from BS to surface."""
        gap = distance(np.array(self.bs_position_m), np.array(self.ris_position_m))
        return float(channels.path_amplitude(gap, self.exponent_bs_ris, self.path_loss_1m_db))

    @cached_property
    def line_of_sight(self) -> np.ndarray:
        """Line-of-sight part of `G`, weight included, (N, M)."""
        return sampler.los_bs_ris(self)

    # -- the world ----------------------------------------------------------------------------------------------------------

    def sample(
        self, rng: np.random.Generator, batch: int = 1, csi_error: float = 0.0, dtype: str = "complex128"
    ) -> ActiveCrbScene:
        """Draw scenes (section 2). `csi_error` e stores estimates `X + e rms(X) CN` of G and every h_k.

        Raises:
            ValueError: `batch`, `csi_error` or `dtype` is out of range, or the parameters give channels without full rank.
        """
        checks.integer("batch", batch, 0)
        checks.real("csi_error", csi_error, 0.0)
        return sampler.sample(self, rng, batch, csi_error, dtype)

    def advance(
        self, scene: ActiveCrbScene, design: Any, rng: np.random.Generator, correlation: float, csi_error: float
    ) -> ActiveCrbScene:
        """One block of fading: the scattered parts of G and h_k evolve, positions and H stay (section 12)."""
        return sampler.advance(self, scene, rng, correlation, csi_error)

    def check_scene(self, arrays: Mapping[str, np.ndarray]) -> ActiveCrbScene:
        """Validate channels (section 2); constants are computed anew. Raises ValueError for channels without full rank."""
        return sampler.check_scene(self, arrays)

    def known(self, scene: ActiveCrbScene) -> ActiveCrbScene:
        """Estimates in the place of truths, with the constants that follow from them; the scatterers are hidden with H."""
        known: ActiveCrbScene = super().known(scene)
        if known is scene:
            return scene
        if scene.target_response_estimate is not None:
            known = known.replace(scatterer_position=None)
        return sampler.with_constants(self, known)

    def draw_estimates(self, scene: ActiveCrbScene, rng: np.random.Generator, csi_error: float) -> ActiveCrbScene:
        """Estimates `X + e rms(X) CN` of G and h_k, and of H with `target_response_error`."""
        return sampler.with_estimates(self, scene, rng, csi_error)

    def evaluate(self, scene: ActiveCrbScene, design: ActiveCrbDesign) -> ActiveCrbMetrics:
        """Metrics (sections 4 and 5). Array-API generic."""
        return physics.evaluate(self, namespace(scene.bs_ris, design.beams, design.coefficients), scene, design)

    def diagnostics(self, scene: ActiveCrbScene, design: ActiveCrbDesign) -> dict[str, np.ndarray]:
        """`bayes_mse_db`, and for an active surface `neglected_noise_db` (section 4), (B,) each. numpy."""
        scene, design = scene.to_numpy(), design.to_numpy()
        out = {"bayes_mse_db": physics.bayes_mse_db(self, scene, design)}
        return out if self.passive else out | {"neglected_noise_db": physics.neglected_noise_db(scene, design)}

    def channel_diagnostics(self, scene: ActiveCrbScene, design: ActiveCrbDesign) -> dict[str, np.ndarray]:
        """Gain, correlation and rank of users, their coupling with the illumination (the K leading right singular vectors of
        `H Psi G`), gain and rank of the way back `G^T Psi`."""
        scene, design = diagnostics.double(scene, design)
        users = physics.effective_rows(np, scene, design.coefficients)
        through = design.coefficients[..., None] * scene.bs_ris
        _, sigma, right = np.linalg.svd(scene.target_response @ through, full_matrices=False)
        lit = (sigma[..., None] * right)[:, : users.shape[1]]
        return diagnostics.of_rows("channel", users) | {
            "channel_coupling": diagnostics.coupling(users, lit),
            "receive_gain_db": diagnostics.matrix_gain_db(through.mT),
            "receive_rank": diagnostics.effective_rank(through.mT),
        }

    def radiated_w(self, scene: ActiveCrbScene, design: ActiveCrbDesign, psi: np.ndarray) -> np.ndarray:
        """Power that the surface radiates in the first pass towards `psi` (n,), sines of angles from its normal, (B, n), W."""
        return physics.radiated_w(self, scene.to_numpy(), design.to_numpy(), psi)

    def self_check(self, seed: int = 0) -> dict[str, float]:
        """Deviations of the closed forms from explicit ones, by name: see `self_check.run`, and `self_check.TOLERANCES`."""
        from ris_gym.systems.active_crb.self_check import run

        return run(self, seed)

    # -- decisions ----------------------------------------------------------------------------------------------------------

    def variables(self, control: str = "full") -> var.Variables:
        """Beams (full), `amplitude` (active) and `phase`, or powers and regulariser after them (structured)."""
        check_control(self, control)
        return self._variables[control]

    @cached_property
    def _variables(self) -> dict[str, var.Variables]:
        n = self.num_elements
        surface: var.Variables = (var.Variable("phase", (n,), "phase", "surface"),)
        if not self.passive:
            surface = (var.Variable("amplitude", (n,), "level", "surface"), *surface)
        target = var.Variable("target_power", (n,), "level", "bs")
        powers: var.Variables = (target,)
        if self.sinr_threshold_db is not None:
            users = var.Variable("user_power", (self.num_users,), "level", "bs")
            powers = (users, target, var.Variable("regulariser", (1,), "level", "bs"))
        beams = (
            var.Variable("beams", (self.num_antennas, self.num_users), "cartesian", "bs"),
            var.Variable("sensing_beams", (self.num_antennas, n), "cartesian", "bs"),
        )
        return {"full": (*beams, *surface), "structured": (*surface, *powers), "surface": surface}

    def decode(self, known: ActiveCrbScene, raw: Array, control: str = "full") -> ActiveCrbDesign:
        """Raw action (B, n) -> design with one budget met with equality (sections 3 and 12)."""
        check_raw(self, known, raw, control)
        return rules.realised(self, known, raw, control).design

    def decode_evaluate(
        self, known: ActiveCrbScene, raw: Array, control: str = "full"
    ) -> tuple[ActiveCrbDesign, ActiveCrbMetrics]:
        """As the base class, with shared products."""
        check_raw(self, known, raw, control)
        made = rules.realised(self, known, raw, control)
        return made.design, made.evaluate(self, known)

    def encode(self, known: ActiveCrbScene, design: ActiveCrbDesign, control: str = "full") -> Array:
        """Inverse of `decode` (section 3). numpy."""
        check_control(self, control)
        return encoding.encode(self, known, design, control)

    def project(self, scene: ActiveCrbScene, design: ActiveCrbDesign) -> ActiveCrbDesign:
        """Amplitudes clipped to [1e-3 cap, cap], then F scaled down to both budgets; no floor (section 3)."""
        return rules.project(self, scene, design)

    def canonical(self, known: ActiveCrbScene, design: ActiveCrbDesign) -> ActiveCrbDesign:
        """N sensing beams in the row space of G, scaled up to the first binding budget (section 12)."""
        return encoding.canonical(self, known, design)

    def repair(self, known: ActiveCrbScene, design: ActiveCrbDesign) -> ActiveCrbDesign:
        """Blend with the rule's beams until the SINRs are met (section 12)."""
        return encoding.repair(self, known, design)

    def start(self, known: ActiveCrbScene, control: str = "full") -> np.ndarray:
        """Raw vector of the start rule (section 12): the best of 2 N linear phase profiles."""
        check_control(self, control)
        return encoding.start(self, known.to_numpy(), control)

    # -- what an agent sees -------------------------------------------------------------------------------------------------

    def observe_scene(self, known: ActiveCrbScene) -> dict[str, np.ndarray]:
        """Normalised channels, levels and target response (section 12)."""
        return features.scene(self, known)

    def observe_design(
        self, known: ActiveCrbScene, design: ActiveCrbDesign, metrics: ActiveCrbMetrics
    ) -> dict[str, np.ndarray]:
        """Score, margins / 10 and both budgets' use."""
        return features.design(self, metrics)

    def observe_local(self, known: ActiveCrbScene, raw: np.ndarray, control: str, penalty: float) -> dict[str, np.ndarray]:
        """Derivative, per-element paths and shares, Gram matrix (section 12)."""
        check_raw(self, known, raw, control)
        made = rules.realised(self, known, raw, control)
        common = self.frame(*self._jacobian(known, raw, control, made), penalty)
        common |= {name: features.shortened(common[name]) for name in ("direction", "ascent")}
        return common | features.local(self, known, made)

    def pieces(self, metrics: ActiveCrbMetrics) -> tuple[Array, Array]:  # type: ignore[override]
        """The score that each power budget alone would allow (B, 2) (passive: (B, 1)); margins / 10, at least -3, (B, K).

        The score grows with the power like its logarithm, so the budget with room left allows so much more; the least of the two
        is the score. Sensing only: no margins, (B, 0).
        """
        xp = namespace(metrics.score)
        score = metrics.score[:, None]
        if metrics.surface_room_db is not None:
            room = xp.stack([metrics.power_slack_db, metrics.surface_room_db], axis=1) / 10.0
            more = room - xp.min(room, axis=1, keepdims=True)
            score = score + xp.where(score > physics.SCORE_FLOOR, more, 0.0 * more)
        if not metrics.margins:
            return score, xp.zeros((score.shape[0], 0), dtype=score.dtype)
        return score, xp.clip(metrics.margins["sinr"] / 10.0, -physics.COST_LIMIT, None)

    def pieces_jacobian(
        self, known: ActiveCrbScene, raw: np.ndarray, control: str = "full"
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As the base class; for `full` and `structured` in closed form (numpy), except where the floor acts."""
        check_raw(self, known, raw, control)
        return self._jacobian(known, raw, control, None)

    def _jacobian(
        self, known: ActiveCrbScene, raw: np.ndarray, control: str, made: rules.Realised | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`pieces_jacobian`, with `beams.realised` of `raw` where it is known."""
        if control == "surface":
            return super().pieces_jacobian(features.bare(known), raw, control)
        return gradients.jacobian(self, known, raw, control, super().pieces_jacobian, made)

    def landscape(self, known: ActiveCrbScene, control: str = "full") -> Landscape:
        """As the base class; for `control="full"` in closed form, over N beams in the row space of G."""
        if control != "full":
            return super().landscape(features.bare(known), control)
        check_control(self, control)
        try:
            from ris_gym.systems.active_crb.landscape import ActiveCrbLandscape
        except ImportError as error:
            raise ImportError("landscapes need torch: pip install 'ris_gym[agents]'") from error
        return ActiveCrbLandscape(self, known)


def watts(dbm: float) -> float:
    """dBm -> W."""
    return 10.0 ** (dbm / 10.0 - 3.0)
