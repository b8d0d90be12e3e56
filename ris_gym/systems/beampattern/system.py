"""The system `beampattern`: parameters, scenes, metrics. Source: arXiv 2111.13511; section numbers: the model page."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ris_gym import diagnostics
from ris_gym import variables as var
from ris_gym.arrays import Array, Constant, abs2, at_least, energy, namespace
from ris_gym.geometry import distance, steering_vector
from ris_gym.surfaces import discrete_phase
from ris_gym.systems import checks
from ris_gym.systems.base import FEASIBLE_MARGIN, System, check_control, check_raw, decibel
from ris_gym.systems.beampattern import beams as rules
from ris_gym.systems.beampattern import features, gradients, sampler
from ris_gym.systems.beampattern.records import BeampatternDesign, BeampatternMetrics, BeampatternScene

if TYPE_CHECKING:
    from ris_gym.systems.landscape import Landscape

MARGIN_FLOOR_DB = -40.0
OBJECTIVE_RANGE_DB = 60.0


@dataclass(frozen=True, kw_only=True)
class Beampattern(System):
    """Max-min beampattern gain towards `angles_deg` under per-user SINR thresholds.

    Transmit signal `x = sum_k w_k s_k + x_r`; gain `p_l = a_l^H Phi G R G^H Phi^H a_l` (W) with `R = W W^H + F_0 F_0^H`;
    maximise `min_l p_l` subject to `SINR_k >= Gamma_k`, `tr R <= P`, `|v_n| = 1`.

    Args:
        num_antennas: M; num_elements: N; num_users: K; num_sensing_beams: S_0 (0: information beams only).
        angles_deg: desired angles from the surface's normal, degrees.
        spacing: element spacing over wavelength, both arrays.
        bs_position_m, ris_position_m, user_position_m, user_radius_m: plane geometry, metres; users uniform in the disc.
        path_loss_1m_db, exponent_bs_ris, exponent_ris_user, exponent_bs_user: path loss `PL_0 + 10 alpha log10 d`.
        rician_db: Rician factor of both links of the surface; los_bs_ris: True makes `G` its line-of-sight part.
        shadowing_db: standard deviation of the log-normal shadowing of the direct link.
        power_dbm, noise_dbm: transmit power P and noise power.
        sinr_threshold_db: one number for all users, or K numbers.
        cancel_sensing: whether users cancel the sensing signal.
        phase_bits: b-bit phases, or None for continuous ones.

    Raises:
        ValueError, TypeError: a field breaks its rule; the message names field, value and rule.

    Source: arXiv 2111.13511, (P1).
    """

    name: ClassVar[str] = "beampattern"
    sense: ClassVar[int] = 1
    unit: ClassVar[str] = "dBm"
    default_penalty: ClassVar[float] = 1.0
    scene: ClassVar[type] = BeampatternScene
    design: ClassVar[type] = BeampatternDesign
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "five": {},
        "sectors": {
            "angles_deg": tuple(float(c + d) for c in (-60, -30, 0, 30, 60) for d in (-4, -2, 0, 2, 4)),
            "num_sensing_beams": 4,
        },
    }

    num_antennas: int = 8
    num_elements: int = 32
    num_users: int = 1
    angles_deg: tuple[float, ...] = (-60.0, -30.0, 0.0, 30.0, 60.0)
    num_sensing_beams: int = 2
    spacing: float = 0.5
    bs_position_m: tuple[float, float] = (0.0, 0.0)
    ris_position_m: tuple[float, float] = (40.0, 10.0)
    user_position_m: tuple[float, float] = (45.0, 0.0)
    user_radius_m: float = 0.0
    path_loss_1m_db: float = 30.0
    exponent_bs_ris: float = 2.2
    exponent_ris_user: float = 2.2
    exponent_bs_user: float = 3.5
    rician_db: float = 10.0 * math.log10(0.5)
    shadowing_db: float = 10.0
    los_bs_ris: bool = False
    power_dbm: float = 30.0
    noise_dbm: float = -80.0
    sinr_threshold_db: float | tuple[float, ...] = 22.0
    cancel_sensing: bool = True
    phase_bits: int | None = None

    def __post_init__(self) -> None:
        put = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731
        for name, low in (("num_antennas", 1), ("num_elements", 1), ("num_users", 1), ("num_sensing_beams", 0)):
            put(name, checks.integer(name, getattr(self, name), low))
        put("angles_deg", checks.reals("angles_deg", self.angles_deg, low=-90.0, high=90.0))
        if not self.angles_deg:
            raise ValueError("angles_deg must hold at least one angle, got ()")
        for name in ("bs_position_m", "ris_position_m", "user_position_m"):
            put(name, checks.reals(name, getattr(self, name), size=2))
        for name in ("exponent_bs_ris", "exponent_ris_user", "exponent_bs_user", "user_radius_m", "shadowing_db"):
            put(name, checks.real(name, getattr(self, name), 0.0))
        for name in ("path_loss_1m_db", "rician_db", "power_dbm", "noise_dbm"):
            put(name, checks.real(name, getattr(self, name), -300.0, 300.0))
        put("spacing", checks.real("spacing", self.spacing, 0.0, open_low=True))
        for name in ("los_bs_ris", "cancel_sensing"):
            put(name, checks.flag(name, getattr(self, name)))
        if self.phase_bits is not None:
            put("phase_bits", checks.integer("phase_bits", self.phase_bits, 1, 16))
        if isinstance(self.sinr_threshold_db, (int, float, np.number)):
            put("sinr_threshold_db", checks.real("sinr_threshold_db", self.sinr_threshold_db, -100.0, 200.0))
        else:
            put("sinr_threshold_db", checks.reals("sinr_threshold_db", self.sinr_threshold_db, self.num_users, -100.0, 200.0))
        for a, b in (("bs", "ris"), ("ris", "user"), ("bs", "user")):
            gap = float(distance(np.array(getattr(self, f"{a}_position_m")), np.array(getattr(self, f"{b}_position_m"))))
            least = self.user_radius_m if b == "user" else 0.0
            if gap <= least:
                raise ValueError(f"{b}_position_m must be more than {least} m away from {a}_position_m, got {gap} m")

    # -- derived parameters -------------------------------------------------------------------------------------------------

    @cached_property
    def power_w(self) -> float:
        """Transmit power P in W."""
        return 10.0 ** (self.power_dbm / 10.0 - 3.0)

    @cached_property
    def noise_w(self) -> float:
        """Noise power in W."""
        return 10.0 ** (self.noise_dbm / 10.0 - 3.0)

    @cached_property
    def thresholds_db(self) -> np.ndarray:
        """Required SINR per user, dB, (K,)."""
        return np.broadcast_to(np.asarray(self.sinr_threshold_db, float), (self.num_users,))

    @cached_property
    def sinr_threshold(self) -> np.ndarray:
        """Required SINR per user, linear, (K,)."""
        return 10.0 ** (self.thresholds_db / 10.0)

    @cached_property
    def threshold_constants(self) -> tuple[Constant, Constant]:
        """`sinr_threshold` and `thresholds_db` with their casts."""
        return Constant(self.sinr_threshold), Constant(self.thresholds_db)

    @cached_property
    def steering(self) -> np.ndarray:
        """Steering vectors `a_l` of the surface towards the desired angles, (L, N)."""
        return self.steering_towards(np.asarray(self.angles_deg))

    @cached_property
    def departure(self) -> Constant:
        """Rows `a_l^H`, (L, N), with their casts."""
        return Constant(self.steering.conj())

    def steering_towards(self, angles_deg: np.ndarray) -> np.ndarray:
        """Steering vectors of the surface towards any angles (degrees, (n,)), (n, N)."""
        return steering_vector(self.num_elements, np.sin(np.deg2rad(angles_deg)), self.spacing)

    @cached_property
    def path_amplitudes(self) -> dict[str, float]:
        """Path-loss amplitudes of the three links at the nominal positions: `bs_ris`, `ris_user`, `bs_user`."""
        return sampler.nominal_amplitudes(self)

    @cached_property
    def line_of_sight(self) -> Constant:
        """Line-of-sight part of `G`, weight included, (N, M), with its casts."""
        return Constant(sampler.los_bs_ris(self))

    @cached_property
    def fixed_user(self) -> tuple[Constant, Constant, Constant]:
        """For users at `user_position_m`: line-of-sight `h_r` (K, N), amplitudes of `h_r` and `h_d` (K,), with casts."""
        users = np.broadcast_to(np.array(self.user_position_m), (self.num_users, 2))
        response, rho_r, rho_d = sampler.user_geometry(self, users)
        return Constant(response), Constant(rho_r), Constant(rho_d)

    @cached_property
    def reference_gain_w(self) -> float:
        """`p_ref = P rho(d_br)^2 N^2 M / L` in W, of sampled scenes."""
        return self._reference_gain(self.path_amplitudes["bs_ris"])

    def _reference_gain(self, rho: Any) -> Any:
        return self.power_w * rho**2 * self.num_elements**2 * self.num_antennas / len(self.angles_deg)

    def reference_dbm(self, scene: BeampatternScene) -> Any:
        """`p_ref` in dBm: a number for sampled scenes, (B,) for loaded ones."""
        if scene.reference is None:
            return self._nominal_reference_dbm
        gain = self._reference_gain(scene.reference["rho_bs_ris"])
        return 10.0 * namespace(gain).log10(gain) + 30.0

    @cached_property
    def _nominal_reference_dbm(self) -> float:
        return 10.0 * math.log10(self.reference_gain_w) + 30.0

    # -- the world ----------------------------------------------------------------------------------------------------------

    def sample(
        self, rng: np.random.Generator, batch: int = 1, csi_error: float = 0.0, dtype: str = "complex128"
    ) -> BeampatternScene:
        """Draw scenes (section 2). Every array has `batch` entries; `csi_error` e stores estimates `X + e rms(X) CN`.

        Raises:
            ValueError: `batch`, `csi_error` or `dtype` is out of range.
        """
        checks.integer("batch", batch, 0)
        checks.real("csi_error", csi_error, 0.0)
        return sampler.sample(self, rng, batch, csi_error, dtype)

    def advance(
        self, scene: BeampatternScene, design: Any, rng: np.random.Generator, correlation: float, csi_error: float
    ) -> BeampatternScene:
        """One block of fading: the scattered parts evolve, positions and shadowing stay (section 12)."""
        return sampler.advance(self, scene, rng, correlation, csi_error)

    def check_scene(self, arrays: Mapping[str, np.ndarray]) -> BeampatternScene:
        """Validate channels (section 2); without stored scales each link's own rms is its scale."""
        return sampler.check_scene(self, arrays)

    def from_file(self, arrays: Mapping[str, np.ndarray]) -> BeampatternScene:
        """As `check_scene`; channels that no sampler of this suite drew get the rms amplitudes of the file as `reference`."""
        scene = self.check_scene(arrays)
        known_origin = scene.reference is not None or {"bs_ris_scale", "bs_position"} <= set(arrays)
        return scene if known_origin else sampler.with_file_reference(scene)

    def known(self, scene: BeampatternScene) -> BeampatternScene:
        """Estimates in the place of truths; then the true scales (the direct link's shadowing) are hidden too."""
        known: BeampatternScene = super().known(scene)
        return known if known is scene else known.replace(bs_ris_scale=None, ris_user_scale=None, bs_user_scale=None)

    def draw_estimates(self, scene: BeampatternScene, rng: np.random.Generator, csi_error: float) -> BeampatternScene:
        """Estimates `X + e rms(X) CN` of the three links (section 12)."""
        return sampler.with_estimates(scene, rng, csi_error)

    def evaluate(self, scene: BeampatternScene, design: BeampatternDesign) -> BeampatternMetrics:
        """Metrics (section 4): `p_l = sum_s |[A F]_ls|^2`, `SINR_k`, their margins, cost and score. Array-API generic."""
        xp = namespace(scene.bs_ris, design.beams, design.coefficients)
        beams = design.all_beams
        at_targets, at_users = rules.responses(self, xp, scene, design.coefficients, beams)
        gains = energy(xp, at_targets)
        received = abs2(xp, at_users)
        signal = xp.linalg.diagonal(received[..., : self.num_users])
        disturbance: Any = self.noise_w
        if self.num_users > 1:
            disturbance = (xp.sum(received[..., : self.num_users], axis=-1) - signal) + disturbance
        if not self.cancel_sensing:
            disturbance = xp.sum(received[..., self.num_users :], axis=-1) + disturbance
        reference = self.reference_dbm(scene)
        needed = disturbance * self.threshold_constants[0](xp, signal)
        margins = decibel(signal / needed, 10.0 ** (MARGIN_FLOOR_DB / 10.0))
        spent = energy(xp, xp.reshape(beams, (beams.shape[0], beams.shape[1] * beams.shape[2])))
        return self._metrics(xp, gains, margins, reference, spent)

    def _metrics(self, xp: Any, gains: Array, margins: Array, reference: Any, power_w: Array) -> BeampatternMetrics:
        floor = 10.0 ** ((reference - 30.0 - OBJECTIVE_RANGE_DB) / 10.0)
        if getattr(floor, "shape", None):
            floor = xp.broadcast_to(xp.astype(floor, gains.dtype)[:, None], gains.shape)
        gains_dbm = decibel(gains, floor) + 30.0
        objective = xp.min(gains_dbm, axis=-1)
        sinr_db = margins + self.threshold_constants[1](xp, margins)
        return BeampatternMetrics(
            objective=objective,
            score=(objective - reference) / 10.0,
            cost=xp.sum(at_least(xp, -margins, 0.0), axis=-1) / 10.0,
            feasible=xp.all(margins >= FEASIBLE_MARGIN, axis=-1),
            margins={"sinr": margins},
            gains_dbm=gains_dbm,
            sinr_db=sinr_db,
            rate=xp.log1p(10.0 ** (sinr_db / 10.0)) / math.log(2.0),
            power_w=power_w,
        )

    def channel_diagnostics(self, scene: BeampatternScene, design: BeampatternDesign) -> dict[str, np.ndarray]:
        """Gain, correlation and rank of users (`channel_*`) and of angles (`target_*`), and the coupling between them."""
        scene, design = diagnostics.double(scene, design)
        v = design.coefficients[:, None]
        users = scene.bs_user.conj() + (scene.ris_user.conj() * v) @ scene.bs_ris
        targets = (self.departure.double * v) @ scene.bs_ris
        rows = diagnostics.of_rows("channel", users) | diagnostics.of_rows("target", targets)
        return rows | {"channel_coupling": diagnostics.coupling(users, targets)}

    def beampattern_dbm(self, scene: BeampatternScene, design: BeampatternDesign, angles_deg: np.ndarray) -> np.ndarray:
        """Beampattern gain over any angles (degrees, (n,)), (B, n) dBm, floored like the objective. numpy."""
        towards = dataclasses.replace(self, angles_deg=tuple(np.asarray(angles_deg, float)))
        gains = towards.evaluate(scene, design).gains_dbm
        return np.maximum(gains, np.asarray(self.reference_dbm(scene)).reshape(-1, 1) - OBJECTIVE_RANGE_DB)

    # -- decisions ----------------------------------------------------------------------------------------------------------

    def variables(self, control: str = "full") -> var.Variables:
        """`phase` (N,) and, by control, the beams (full) or the powers and regulariser of zero-forcing (structured)."""
        check_control(self, control)
        return self._variables[control]

    @cached_property
    def _variables(self) -> dict[str, var.Variables]:
        levels = None if self.phase_bits is None else 2**self.phase_bits
        phase = var.Variable("phase", (self.num_elements,), "phase", "surface", levels)
        return {
            "full": (
                phase,
                var.Variable("beams", (self.num_antennas, self.num_users), "cartesian", "bs"),
                var.Variable("sensing_beams", (self.num_antennas, self.num_sensing_beams), "cartesian", "bs"),
            ),
            "structured": (
                phase,
                var.Variable("user_power", (self.num_users,), "level", "bs"),
                var.Variable("target_power", (len(self.angles_deg),), "level", "bs"),
                var.Variable("regulariser", (1,), "level", "bs"),
            ),
            "surface": (phase,),
        }

    def decode(self, known: BeampatternScene, raw: Array, control: str = "full") -> BeampatternDesign:
        """Raw action (B, n) -> hard-feasible design; `structured` and `surface` compute the beams from `known` (section 12)."""
        check_raw(self, known, raw, control)
        return rules.decode(self, known, raw, control)

    def encode(self, known: BeampatternScene, design: BeampatternDesign, control: str = "full") -> Array:
        """Inverse of `decode` (section 3). numpy."""
        check_control(self, control)
        return rules.encode(self, known, design, control)

    def project(self, scene: BeampatternScene, design: BeampatternDesign) -> BeampatternDesign:
        """Unit modulus (or nearest of the b-bit alphabet), and `F <- F sqrt(P) / ||F||` (below 1e-12: 0)."""
        xp = namespace(design.beams, design.coefficients)
        scaled = rules.full_power(self, xp, design.all_beams)
        levels = None if self.phase_bits is None else 2**self.phase_bits
        users = design.beams.shape[-1]
        return BeampatternDesign(
            beams=scaled[..., :users],
            sensing_beams=scaled[..., users:],
            coefficients=discrete_phase(design.coefficients, levels),
        )

    def canonical(self, known: BeampatternScene, design: BeampatternDesign) -> BeampatternDesign:
        """Projected, with exactly `num_sensing_beams` columns of `F_0`: the strongest singular directions (section 3)."""
        return self.project(known, rules.truncate(self, self.project(known, design)))

    def repair(self, known: BeampatternScene, design: BeampatternDesign) -> BeampatternDesign:
        """Exact SNR repair and re-matching for one user (section 3), then canonical; several users: canonical only."""
        design = self.project(known, design)
        if self.num_users == 1:
            design = rules.repair(self, known, design)
        return self.canonical(known, design)

    def start(self, known: BeampatternScene, control: str = "full") -> np.ndarray:
        """Raw vector of the start rule (section 12): quadratic-phase superposition of the desired directions."""
        return rules.encode_rule(self, known, rules.start_coefficients(self, known), control)

    # -- what an agent sees -------------------------------------------------------------------------------------------------

    def observe_scene(self, known: BeampatternScene) -> dict[str, np.ndarray]:
        """Normalised channels and levels (section 12)."""
        return features.scene(self, known)

    def observe_design(
        self, known: BeampatternScene, design: BeampatternDesign, metrics: BeampatternMetrics
    ) -> dict[str, np.ndarray]:
        """Gains over `p_ref` in dB / 10, (B, L), and margins / 10, (B, K)."""
        return features.design(self, known, metrics)

    def observe_local(self, known: BeampatternScene, raw: np.ndarray, control: str, penalty: float) -> dict[str, np.ndarray]:
        """Derivative, per-element alignments, Gram matrix (section 12)."""
        common = super().observe_local(known, raw, control, penalty)
        return common | features.local(self, known, self.decode(known, raw, control))

    def pieces(self, metrics: BeampatternMetrics) -> tuple[Array, Array]:  # type: ignore[override]
        """`log10(p_l / p_ref)` (B, L), whose least is the score, and margins / 10 (B, K)."""
        reference = metrics.objective - 10.0 * metrics.score
        return (metrics.gains_dbm - reference[:, None]) / 10.0, metrics.margins["sinr"] / 10.0

    def pieces_jacobian(
        self, known: BeampatternScene, raw: np.ndarray, control: str = "full"
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As the base class; for `control="full"` in closed form (numpy)."""
        check_raw(self, known, raw, control)
        if control != "full":
            return super().pieces_jacobian(features.without_los(known), raw, control)
        metrics, jacobian = gradients.jacobian(self, known, raw)
        return *self.pieces(metrics), jacobian

    def landscape(self, known: BeampatternScene, control: str = "full") -> Landscape:
        """As the base class; for `control="full"` in closed form, over continuous phases (`design` rounds them to b bits)."""
        if control != "full":
            return super().landscape(features.without_los(known), control)
        from ris_gym.systems.beampattern.landscape import BeampatternLandscape

        return BeampatternLandscape(self, known)
