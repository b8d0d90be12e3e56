"""The system `vehicular`: scenes, metrics, decisions. Section numbers: the model page (reciprocity, part A)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from ris_gym import variables as var
from ris_gym.arrays import Array, cis
from ris_gym.systems import checks
from ris_gym.systems.base import check_control, check_raw
from ris_gym.systems.vehicular import features, motion, planning, radar, sampler
from ris_gym.systems.vehicular.frame import Frame
from ris_gym.systems.vehicular.parameters import Parameters
from ris_gym.systems.vehicular.records import VehicularDesign, VehicularMetrics, VehicularScene

SHARES = (0.0, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0)
"""Sensing shares of discrete actions."""
LEVELS = (-1.0, -0.5, 0.0, 0.5, 1.0)
"""Raw numbers of the widths and suppressions 0, 1/4, 1/2, 3/4, 1 of discrete actions."""


@dataclass(frozen=True, kw_only=True)
class Vehicular(Parameters):
    """A platoon passes a base station; every vehicle carries a surface and is tracked by a filter while its passenger is served.

    In slot k of a frame vehicle k's surface reflects for a share a_k of the time (sensing) and refracts the data to its passenger
    for the rest. Beams are made from the belief, never from the true position. Maximise the mean rate over the pass, where there
    is a requirement at an energy SNR of the echoes of at least Gamma per vehicle and frame.

    Args:
        num_users: K vehicles; num_frames: T frames of `frame_s`, K slots each.
        road_offset_m: D, of the road from the BS; start_m, spacing_m, jitter_m: places at the start.
        speed_min_mps, speed_max_mps, speed_std_mps: common speed, deviation of each vehicle; acceleration_psd_m2ps3: q.
        report_period: frames from report to report of position and speed, with errors of report_std_m and report_std_mps.
        carrier_hz, bandwidth_hz, power_dbm, noise_dbm, self_interference_db: link budget.
        num_cols, num_rows: N_x, N_z of a surface; num_antennas: M, of the BS's receive array; user_distance_m: from surface to
            passenger.
        element_gain: g, linear, per pass. false_alarm: P_fa.
        sensing_threshold_db: Gamma of the credited energy SNR; None: no requirement.
        reflect_share: eps, power share that stage 1 reflects (1: mode switching, below: joint stage).
        width_span: W = span b s.
        c_assist: in stage 2 of slot k vehicle k + 1 reflects the data signal; cyclic: in the last slot vehicle 0 does.
        s_assist: data beams use echoes; False: reports alone.
        choose_reflector: the reflecting vehicle is a decision.
        unauthorised_radar: a radar at radar_position_m (SNR offset radar_snr_offset_db) must not detect with more than
            radar_detection_max; suppression_span_db, radar_robust: of the variable `suppression`.

    Raises:
        ValueError, TypeError: a field breaks its rule; the message names field, value and rule.

    Source: the system of Meng, Wu, Chen et al., "Intelligent Surface Empowered Integrated Sensing and Communication: From
    Coexistence to Reciprocity"; all formulas and values are of the model page.
    """

    scene: ClassVar[type] = VehicularScene
    design: ClassVar[type] = VehicularDesign

    # -- the world ----------------------------------------------------------------------------------------------------------

    def sample(
        self, rng: np.random.Generator, batch: int = 1, csi_error: float = 0.0, dtype: str = "complex128"
    ) -> VehicularScene:
        """Draw passes: the first decision point with all noise to come (section 2A). The belief is the error: `csi_error` is 0.

        Raises:
            ValueError: `batch`, `csi_error` or `dtype` is out of range.
        """
        checks.integer("batch", batch, 0)
        checks.real("csi_error", csi_error, 0.0)
        if csi_error:
            raise ValueError(f"csi_error must be 0 for {self.name} (the belief is the error), got {csi_error!r}")
        return sampler.sample(self, rng, batch, dtype)

    def frames(self, scene: VehicularScene) -> int | None:
        """Decisions that the passes still hold, the least of the batch."""
        return int(self.num_frames - np.max(scene.frame, initial=0))

    def check_scene(self, arrays: Mapping[str, np.ndarray]) -> VehicularScene:
        """Validate arrays (section 2A)."""
        return sampler.check_scene(self, arrays)

    def evaluate(self, scene: VehicularScene, design: VehicularDesign) -> VehicularMetrics:
        """Metrics of this frame; at what is known: expected ones (`planning`). numpy."""
        if scene.position is None:
            return planning.evaluate(self, scene, design)
        return Frame(self, scene, design).run().metrics()

    def advance(
        self, scene: VehicularScene, design: VehicularDesign, rng: np.random.Generator, correlation: float, csi_error: float
    ) -> VehicularScene:
        """The next decision point (all its numbers are in the scene)."""
        return Frame(self, scene, design).run().after()

    def step(
        self, scene: VehicularScene, design: VehicularDesign, rng: np.random.Generator | None = None, correlation: float = 0.95,
        csi_error: float = 0.0,
    ) -> tuple[VehicularMetrics, VehicularScene]:  # fmt: skip
        """Play one frame: its metrics, and the next decision point. All noise is in the scene; `rng` and the rest: unused."""
        played = Frame(self, scene, design).run()
        return played.metrics(), played.after()

    def trail(self, scene: VehicularScene, metrics: VehicularMetrics) -> np.ndarray:
        """Mean rate (bit/s/Hz) and root mean square error of the pointing beliefs (m) of a frame, (B, 2)."""
        return np.stack([metrics.objective, np.sqrt(np.mean(np.asarray(metrics.position_error_m2), axis=1))], axis=1)

    # -- decisions ----------------------------------------------------------------------------------------------------------

    def variables(self, control: str = "full") -> var.Variables:
        """`sensing_share` (K,) but for `surface`, `reflect_width`, `refract_width`, and the optional ones (K,) each."""
        check_control(self, control)
        return self._variables if control == "full" else self._variables[1:]

    @cached_property
    def _variables(self) -> var.Variables:
        shape = (self.num_users,)
        level = lambda name: var.Variable(name, shape, "level", "surface", grid=LEVELS)  # noqa: E731
        chosen = [var.Variable("sensing_share", shape, "fraction", "time", grid=SHARES)]
        chosen += [level("reflect_width"), level("refract_width")]
        if self.unauthorised_radar:
            chosen.append(level("suppression"))
        if self.chooses:
            chosen.append(var.Variable("reflector", shape, "choice", "surface", self.num_users))
        return tuple(chosen)

    def decode(self, known: VehicularScene, raw: Array, control: str = "full") -> VehicularDesign:
        """Raw action -> design; `surface`: shares are need-only where there is a requirement, else event-triggered."""
        check_raw(self, known, raw, control)
        values = var.split(self.variables(control), np.asarray(raw))
        for name in ("reflect_width", "refract_width", "suppression"):
            if name in values:
                values[name] = 0.5 * (values[name] + 1.0)
        if control == "surface":
            share = planning.ruled_share(self, known, values["reflect_width"], values.get("reflector"))
            values["sensing_share"] = share.astype(values["reflect_width"].dtype)
        return self._clipped(VehicularDesign(**values))

    def encode(self, known: VehicularScene, design: VehicularDesign, control: str = "full") -> np.ndarray:
        """Inverse of `decode`; `surface` drops the shares."""
        check_control(self, control)
        values: dict[str, np.ndarray] = {}
        for variable in self.variables(control):
            value = np.asarray(getattr(design, variable.name))
            values[variable.name] = 2.0 * value - 1.0 if variable.kind == "level" else value
        return np.asarray(var.join(self.variables(control), values))

    def project(self, scene: VehicularScene, design: VehicularDesign) -> VehicularDesign:
        """Clip to [0, 1]."""
        return self._clipped(design)

    def _clipped(self, design: VehicularDesign) -> VehicularDesign:
        def clip(array: np.ndarray) -> np.ndarray:
            return np.clip(array, 0, self.num_users - 1) if array.dtype.kind in "iu" else np.clip(array, 0.0, 1.0)

        return design.map(lambda array: clip(np.asarray(array)))

    def start(self, known: VehicularScene, control: str = "full") -> np.ndarray:
        """Focused beams, and shares of `planning.ruled_share`; the reflector is the next vehicle."""
        share = planning.ruled_share(self, known, np.zeros((len(known), self.num_users)))
        return self.encode(known, self.made(share), control)

    def made(
        self, share: np.ndarray, reflect_width: np.ndarray | None = None, refract_width: np.ndarray | None = None,
        suppression: np.ndarray | None = None, reflector: np.ndarray | None = None,
    ) -> VehicularDesign:  # fmt: skip
        """A design from shares (B, K); what is None: focused beams, no suppression, the next vehicle reflects."""
        zero = np.zeros_like(share)
        if self.chooses and reflector is None:
            reflector = np.ones(share.shape, np.int64)
        return VehicularDesign(
            sensing_share=share,
            reflect_width=zero if reflect_width is None else reflect_width,
            refract_width=zero if refract_width is None else refract_width,
            suppression=(zero if suppression is None else suppression) if self.unauthorised_radar else None,
            reflector=reflector if self.chooses else None,
        )

    def pieces_jacobian(self, known: Any, raw: np.ndarray, control: str = "full") -> Any:
        """Not defined: what counts is the return of a pass, which depends on detections.

        Raises:
            ValueError: always.
        """
        raise ValueError(f"{self.name} has no derivatives: rewards depend on detections and on what comes later")

    def landscape(self, known: Any, control: str = "full") -> Any:
        """Not defined, see `pieces_jacobian`. Raises ValueError."""
        check_control(self, control)
        return self.pieces_jacobian(known, np.zeros(0), control)

    # -- surfaces -----------------------------------------------------------------------------------------------------------

    def refract_coefficients(self, known: VehicularScene, design: VehicularDesign) -> np.ndarray:
        """Data beams (B, K, N) from the belief at the decision point, unit modulus, rows alike (section 3A).

        `v_i = exp(-j user_phase_i) exp(j pi i u) exp(j pi W i^2 / (2 N_x))`, `W = span b^c s`; elements column by column.
        """
        mean, cov = (known.belief_mean, known.belief_cov) if self.s_assist else (known.report_mean, known.report_cov)
        at = motion.pointing(self, np.asarray(mean, float), np.asarray(cov, float))
        width = self.width_span * np.asarray(design.refract_width, float) * at.spread
        column = math.pi * at.cosine[..., None] * self.column_index
        column = column + 0.5 * math.pi / self.num_cols * width[..., None] * self.column_index**2
        return cis(np, np.repeat(column, self.num_rows, axis=-1) - np.asarray(known.user_phase, float))

    def reflect_coefficients(self, known: VehicularScene, design: VehicularDesign) -> np.ndarray:
        """Echo beams (B, K, N): `exp(2 j pi i u) exp(j pi W i^2 / (2 N_x))`, `W = span b^e 2 s`, suppressed towards a radar."""
        mean, cov = np.asarray(known.belief_mean, float), np.asarray(known.belief_cov, float)
        at = motion.pointing(self, mean, cov)
        width = self.width_span * np.asarray(design.reflect_width, float) * (2.0 * at.spread)
        v = radar.focused(self, at.cosine, width)
        if self.unauthorised_radar:
            flat = v.reshape(-1, self.num_cols)
            to_radar, spread = (array.reshape(-1) for array in radar.believed(self, mean, cov))
            amount = np.asarray(design.suppression, float).reshape(-1)
            v = radar.suppressed(self, flat, amount, to_radar, spread).reshape(v.shape)
        return np.repeat(v, self.num_rows, axis=-1)

    # -- what an agent sees -------------------------------------------------------------------------------------------------

    def observe_scene(self, known: VehicularScene) -> dict[str, np.ndarray]:
        """Beliefs and link levels at each vehicle's own slot, clock, requirement (section 12A)."""
        return features.scene(self, known)
