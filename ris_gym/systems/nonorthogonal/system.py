"""The system `nonorthogonal`: scenes, metrics, decisions. Source: arXiv 2208.05324; section numbers: the model page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from ris_gym import diagnostics
from ris_gym import variables as var
from ris_gym.arrays import Array, cis, energy, namespace
from ris_gym.surfaces import discrete_phase, quantise_phase
from ris_gym.systems import checks
from ris_gym.systems.base import Aim, Episode, check_control, check_raw
from ris_gym.systems.nonorthogonal import aiming, features, gradients, physics, sampler, tracking
from ris_gym.systems.nonorthogonal.parameters import Parameters
from ris_gym.systems.nonorthogonal.records import NonOrthogonalDesign, NonOrthogonalMetrics, NonOrthogonalScene


@dataclass(frozen=True, kw_only=True)
class NonOrthogonal(Parameters):
    """A user decodes symbols and is localised from the same received block, by way of a surface with discrete phases.

    Sub-surfaces take turns (one per block); in each, the phases `xi` decide how well symbols are decoded (Cramer-Rao bound
    `CRLB_x` of a symbol) and how well the angles of the path to the surface are estimated (`CRLB_angle`). Minimise `V = zeta lg
    CRLB_x + (1 - zeta) lg CRLB_angle`, or maximise the mutual information under a bound of `CRLB_angle`.

    Args:
        model: `two_user` (one user decodes, another one is localised; physical), `consistent` (one user, one convention
            throughout; physical), `mixed` (the paper's printed conventions; not a physical channel), `literal` (its other
            convention throughout; for comparison).
        fisher: what is unknown beside the angles: `complex` (complex symbols; correct), `paper` (their real parts only, Theorem
            1), `known` (nothing: pilots).
        objective_form: `weighted` (V, lg) or `constrained` (mutual information, bit/symbol, under `CRLB_angle <= Gamma_0`).
        design_symbols: what policies know: `realisation` (the symbols, as the paper) or `statistical` (their mean powers).
        angle_bound_factor: Gamma_0 over the smallest `CRLB_angle` that the largest |g_2| allows.
        num_blocks: 1 (block 0 alone) or 2 (both sub-surfaces).
        num_antennas: N_t; surface_shape: (L_y, L_z) per sub-surface; user_shape: (M_y, M_z).
        power_dbm: P_t; snr_db: SNR at nominal distances before beamforming gain; num_slots: T; weight: zeta.
        phase_bits: b; None: continuous phases. symbol_variance: sigma_x^2 of x ~ CN(sqrt(1 - sigma_x^2), sigma_x^2).
        bs_height_m, ris_height_m: users are at height 0; bs_ris_distance_m, ris_user_distance_m: from the surface's centre.
        path_loss_1m_db, exponent_bs_ris, exponent_ris_user: path loss.
        bs_azimuth_deg, user_azimuth_deg, comm_azimuth_deg: from the surface's normal; None: uniform within `max_azimuth_deg`.
        surface_spacing_m: distance of the sub-surfaces.
        block_time_s, speed_mps, speed_correlation, initial_std_m, min_range_m, max_range_m, num_frames: the moving user of
            `tracking`; measurement: of its position, `gaussian` (at the bound) or `ml` (an estimator on received samples).

    Raises:
        ValueError, TypeError: a field breaks its rule; the message names field, value and rule.

    Source: arXiv 2208.05324, eqs. (38), (41); `two_user`, `complex`, the constrained form and `tracking` are ours.
    """

    scene: ClassVar[type] = NonOrthogonalScene
    design: ClassVar[type] = NonOrthogonalDesign

    # -- the world ----------------------------------------------------------------------------------------------------------

    def sample(
        self, rng: np.random.Generator, batch: int = 1, csi_error: float = 0.0, dtype: str = "complex128"
    ) -> NonOrthogonalScene:
        """Draw static scenes (section 2). `csi_error`: standard deviation of the known directions, in beam widths (section 12).

        Raises:
            ValueError: `batch`, `csi_error` or `dtype` is out of range.
        """
        checks.integer("batch", batch, 0)
        checks.real("csi_error", csi_error, 0.0)
        return sampler.sample(self, rng, batch, csi_error, dtype)

    def sample_tracking(
        self, rng: np.random.Generator, batch: int = 1, csi_error: float = 0.0, dtype: str = "complex128"
    ) -> NonOrthogonalScene:
        """Draw episodes of a moving user: true state, belief and all random numbers of `num_frames` frames (section 12).

        Raises:
            ValueError: the system has one block only, or an argument is out of range.
        """
        checks.integer("batch", batch, 0)
        if csi_error:
            raise ValueError(f"csi_error must be 0 in tracking (the belief is the error), got {csi_error!r}")
        self._check_tracking()
        return tracking.sample(self, rng, batch, dtype)

    def _check_tracking(self) -> None:
        if not self.position_bound:
            raise ValueError(
                f"tracking needs num_blocks=2 and surface_spacing_m above 0, got {self.num_blocks} and {self.surface_spacing_m:g}"
            )
        if min(self.user_shape) < 2:
            raise ValueError(f"tracking needs user_shape of at least 2 in both dimensions, got {self.user_shape}")

    def check_episode(self, episode: Episode, config: Any) -> None:
        """Raise ValueError where `tracking` does not fit the parameters."""
        if episode.name == "tracking":
            self._check_tracking()

    def check_scene_for(self, episode: Episode, scene: NonOrthogonalScene) -> None:
        """Raise ValueError unless scenes with a moving user meet `tracking`, and others the other episodes."""
        if (scene.frame is not None) != (episode.name == "tracking"):
            kind = "without" if scene.frame is None else "with"
            raise ValueError(f"scenes {kind} a moving user do not fit episode={episode.name!r}")

    def frames(self, scene: NonOrthogonalScene) -> int | None:
        """Decisions that tracking scenes still hold, the least of the batch; None: static."""
        return None if scene.frame is None else int(self.num_frames - np.max(scene.frame, initial=0))

    def known(self, scene: NonOrthogonalScene) -> NonOrthogonalScene:
        """Estimates or belief in the place of truths, statistics in that of symbols (section 12); constants follow from them."""
        known: NonOrthogonalScene = super().known(scene)
        if known is not scene:
            known = known.replace(user_position=None, comm_position=None)
        if scene.frame is not None:
            known = tracking.believed(self, known)
        if self.design_symbols == "statistical":
            known = known.replace(symbols=None)
        if known is scene:
            return scene
        hidden = dict.fromkeys(("velocity", "motion_noise", "measurement_noise", "symbols_ahead", "receiver_seed"))
        return sampler.finished(self, known.replace(**hidden), np.asarray(scene.incident).dtype.name)

    def draw_estimates(self, scene: NonOrthogonalScene, rng: np.random.Generator, csi_error: float) -> NonOrthogonalScene:
        """Directions with errors of `csi_error` beam widths, per user and block."""
        if csi_error and scene.frame is not None:
            raise ValueError(f"csi_error must be 0 in tracking (the belief is the error), got {csi_error!r}")
        return sampler.with_estimates(self, scene, rng, csi_error)

    def check_scene(self, arrays: Mapping[str, np.ndarray]) -> NonOrthogonalScene:
        """Validate arrays (section 2); constants are computed anew."""
        return sampler.check_scene(self, arrays)

    def evaluate(self, scene: NonOrthogonalScene, design: NonOrthogonalDesign) -> NonOrthogonalMetrics:
        """Metrics (sections 4 and 5). Array-API generic."""
        return physics.evaluate(self, namespace(scene.spatial_frequency, design.coefficients), scene, design)

    def advance(
        self, scene: NonOrthogonalScene, design: Any, rng: np.random.Generator, correlation: float, csi_error: float
    ) -> NonOrthogonalScene:
        """The next frame of `tracking` (all its numbers are in the scene); static scenes stay."""
        return scene if scene.frame is None else tracking.advance(self, scene, design)

    def aim(self, known: NonOrthogonalScene, memory: Mapping[str, Any] | None = None) -> Aim | None:
        """Offsets of the believed position in `tracking`, see `aiming`; None on static scenes."""
        return None if known.frame is None else aiming.aim(self, known, memory)

    def channel_diagnostics(self, scene: NonOrthogonalScene, design: NonOrthogonalDesign) -> dict[str, np.ndarray]:
        """`||H diag(xi) G||_F^2` per block of the user that decodes and of the one that is localised; all else is of rank one."""
        scene, design = diagnostics.double(scene, design)
        gain = np.abs(physics.moments(np, scene, design.coefficients)[..., :2]) ** 2
        common = np.abs(scene.gain_bs_ris) ** 2 * np.sum(np.abs(scene.bs_steering) ** 2, axis=-1) * self.num_user_antennas
        decodes = scene.gain_ris_user if scene.gain_ris_comm is None else scene.gain_ris_comm
        parts = {"channel": (gain[..., 0], decodes), "target": (gain[..., 1], scene.gain_ris_user)}
        return {
            f"{name}_gain_db": diagnostics.gain_db((np.sqrt(common * power) * np.abs(last))[..., None])
            for name, (power, last) in parts.items()
        }

    def self_check(self, seed: int = 0) -> dict[str, float]:
        """Deviations of the closed forms from explicit ones, by name: see `self_check.run`, and `self_check.TOLERANCES`."""
        from ris_gym.systems.nonorthogonal.self_check import run

        return run(self, seed)

    # -- what solvers ask ---------------------------------------------------------------------------------------------------

    def level(self, scene: NonOrthogonalScene) -> Array:
        """a (B, n) with the beams (41)."""
        return scene.reference["level"] * (self.power_w * self.num_antennas)  # type: ignore[index]

    def values(self, scene: NonOrthogonalScene, moment: Array, fisher: str | None = None) -> physics.Values:
        """Bounds of moments (B, n, ..., P), see `physics`, with the beams (41)."""
        return physics.values(self, namespace(moment), scene, moment, self.level(scene), fisher)

    def merit(self, scene: NonOrthogonalScene, moment: Array, penalty: float | None = None) -> Array:
        """Penalised score per block and candidate of moments (B, n, ..., P): its mean over blocks is that of the design.

        Weighted: `-V - 4`. Constrained: `I / 10 - penalty n max(0, -margin) / 10`, n blocks (cost is a sum over blocks).
        """
        xp = namespace(moment)
        found = self.values(scene, moment)
        if self.objective_form == "weighted":
            return -physics.objective(self, xp, found) - 4.0
        bits = physics.information(self, xp, scene, found, self.level(scene))
        limit = scene.reference["angle_limit"]  # type: ignore[index]
        limit = xp.reshape(limit, (*limit.shape, *[1] * (moment.ndim - 3)))
        margin = xp.clip(10.0 * xp.log10(limit / found.crlb_angle), -physics.MARGIN_DB, 0.0)
        return bits / 10.0 + (self.default_penalty if penalty is None else penalty) * self.num_blocks * margin / 10.0

    def made(self, scene: NonOrthogonalScene, coefficients: Array) -> NonOrthogonalDesign:
        """The canonical design of coefficients (B, n, L): beams (41)."""
        beams = math.sqrt(self.power_w / self.num_antennas) * scene.bs_steering
        return NonOrthogonalDesign(coefficients=coefficients, beams=beams[..., None])

    # -- decisions ----------------------------------------------------------------------------------------------------------

    def defaults_for(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Discrete actions where there is an alphabet; one step per element in `refine` with them."""
        action = given.get("action", "box" if self.phase_bits is None else "discrete")
        refine = given.get("episode", "refine") == "refine"
        defaults: dict[str, Any] = {"action": action}
        if action == "discrete" and refine:
            defaults["horizon"] = self.num_blocks * self.num_elements
        return defaults

    def variables(self, control: str = "full") -> var.Variables:
        """`phase` (n, L)."""
        check_control(self, control)
        return self._variables

    @cached_property
    def _variables(self) -> var.Variables:
        shape = (self.num_blocks, self.num_elements)
        return (var.Variable("phase", shape, "phase", "surface", self.phase_levels),)

    def decode(self, known: NonOrthogonalScene, raw: Array, control: str = "full") -> NonOrthogonalDesign:
        """Raw action (B, n L) -> phases of the alphabet and the beams (41) (section 3)."""
        check_raw(self, known, raw, control)
        return self.made(known, self._coefficients(raw))

    def _coefficients(self, raw: Array) -> Array:
        (variable,) = self._variables
        if self.alphabet is not None and isinstance(raw, np.ndarray):
            table = self.alphabet.cast("complex64" if raw.dtype == np.float32 else "complex128")
            return table[variable.index(raw)].reshape(len(raw), *variable.shape)
        xp = namespace(raw)
        if self.phase_levels is not None:  # rounded as in `Variable.index`; the derivative is that of the identity
            half = 0.5 * self.phase_levels
            raw = raw + (xp.floor(half * raw + 0.5) / half - raw).detach()
        return cis(xp, variable.value(raw))

    def encode(self, known: NonOrthogonalScene, design: NonOrthogonalDesign, control: str = "full") -> np.ndarray:
        """Inverse of `decode`; beams other than (41) are not represented (section 3). numpy."""
        check_control(self, control)
        xi = np.asarray(design.coefficients)
        phase = quantise_phase(np.arctan2(xi.imag, xi.real), self.phase_levels)
        return np.asarray(self._variables[0].raw(phase))

    def project(self, scene: NonOrthogonalScene, design: NonOrthogonalDesign) -> NonOrthogonalDesign:
        """Nearest phases of the alphabet; beams longer than P_t are scaled down to it."""
        xp = namespace(design.coefficients)
        w = design.beams[..., 0]
        largest = xp.max(xp.maximum(xp.abs(xp.real(w)), xp.abs(xp.imag(w))), axis=-1)
        unit = xp.where(largest > 1.0, largest, xp.ones_like(largest))  # else the square of a huge beam overflows
        norm, limit = unit * xp.sqrt(energy(xp, w / unit[..., None])), math.sqrt(self.power_w)
        scale = limit / xp.where(norm > limit * (1.0 + 1e-14), norm, limit * xp.ones_like(norm))
        beams = design.beams * scale[..., None, None]
        return NonOrthogonalDesign(coefficients=discrete_phase(design.coefficients, self.phase_levels), beams=beams)

    def canonical(self, known: NonOrthogonalScene, design: NonOrthogonalDesign) -> NonOrthogonalDesign:
        """The projected phases with the beams (41)."""
        return self.made(known, self.project(known, design).coefficients)

    def start(self, known: NonOrthogonalScene, control: str = "full") -> np.ndarray:
        """Raw vector of the localisation beam, `arg xi = -arg c_sense` rounded (section 12)."""
        check_control(self, control)
        sense = np.asarray(known.reference["products"])[..., 1]  # type: ignore[index]
        phase = quantise_phase(-np.angle(sense), self.phase_levels)
        return np.asarray(self._variables[0].raw(phase))

    # -- what an agent sees -------------------------------------------------------------------------------------------------

    def observe_scene(self, known: NonOrthogonalScene) -> dict[str, np.ndarray]:
        """Phases of c_sense and c_comm, D, symbols, levels, belief (section 12)."""
        return features.scene(self, known)

    def observe_design(
        self, known: NonOrthogonalScene, design: NonOrthogonalDesign, metrics: NonOrthogonalMetrics
    ) -> dict[str, np.ndarray]:
        """Coefficients, gains and coupling."""
        return features.design(self, known, design, metrics)

    def pieces(self, metrics: NonOrthogonalMetrics) -> tuple[Array, Array]:  # type: ignore[override]
        """The score (B, 1), and margins / 10 (B, n) in the constrained form."""
        xp = namespace(metrics.score)
        if "angle" in metrics.margins:
            return metrics.score[:, None], metrics.margins["angle"] / 10.0
        return metrics.score[:, None], xp.zeros((metrics.score.shape[0], 0), dtype=metrics.score.dtype)

    def pieces_jacobian(
        self, known: NonOrthogonalScene, raw: np.ndarray, control: str = "full"
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As the base class, of the phases before they are rounded; weighted form: in closed form (numpy)."""
        check_raw(self, known, raw, control)
        if self.objective_form != "weighted":
            bare = known.replace(frame=None, receiver_seed=None)
            return self.continuous.differentiated(bare, raw, control)
        raw = np.asarray(raw)
        coefficients = cis(np, self._variables[0].value(raw))
        value, slope = gradients.objective(self, known, coefficients, self.level(known))
        slope = (-math.pi / self.num_blocks) * slope.reshape(len(raw), 1, -1)
        return -value.mean(axis=1, keepdims=True) - 4.0, np.zeros((len(raw), 0), value.dtype), slope

    def observe_local(
        self, known: NonOrthogonalScene, raw: np.ndarray, control: str, penalty: float
    ) -> dict[str, np.ndarray]:
        """Derivative of the penalised score (direction, log-norm) and alignments per element (section 12)."""
        _, gradient = self.score_gradient(known, raw, control, penalty)
        norm = np.linalg.norm(gradient, axis=1, keepdims=True)
        frame = {
            "direction": gradient * (math.sqrt(gradient.shape[1]) / np.maximum(norm, 1e-30)),
            "log_norm": np.log10(norm + 1e-6),
        }
        return frame | features.alignment(self, known, self._coefficients(raw))

