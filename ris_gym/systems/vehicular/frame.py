"""One frame of `vehicular`, slot by slot: motion, dwells, filter, rates (section 4A). numpy.

Evaluation and filter are one process: what a design is worth depends on the dwells that it makes, and they move the belief.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ris_gym.systems.base import FEASIBLE_MARGIN
from ris_gym.systems.vehicular import beams, dwell, motion, radar
from ris_gym.systems.vehicular.records import VehicularDesign, VehicularMetrics, VehicularScene

if TYPE_CHECKING:
    from ris_gym.systems.vehicular.parameters import Parameters

MARGIN_DB = (-40.0, 60.0)
Where = tuple[Any, Any]
"""Index of one vehicle per scene in arrays (B, K, ...)."""


class Frame:
    """The state within a frame. `run` plays it; afterwards arrays hold what metrics and the next scene need."""

    def __init__(self, system: Parameters, scene: VehicularScene, design: VehicularDesign) -> None:
        self.system, self.scene, self.design = system, scene, design
        self.real = np.asarray(scene.position).dtype
        self.rows = np.arange(len(scene))
        self.row = np.minimum(np.asarray(scene.frame), system.num_frames - 1)
        self.position, self.velocity = np.array(scene.position), np.array(scene.velocity)
        self.mean, self.cov = np.array(scene.belief_mean), np.array(scene.belief_cov)
        self.report_mean, self.report_cov = np.asarray(scene.report_mean), np.asarray(scene.report_cov)
        self.helper = np.array(scene.helper_snr)
        self.share = np.asarray(design.sensing_share, self.real)
        self.wide_e, self.wide_c = np.asarray(design.reflect_width, self.real), np.asarray(design.refract_width, self.real)
        shape = self.position.shape
        results = np.zeros((7, *shape), self.real)
        self.rate, self.credit, self.refract_gain, self.reflect_gain, self.error, self.nees, self.radar_snr = results
        self.radar_missed = np.ones(shape)
        self.detections = np.zeros(len(scene), np.int64)

    def run(self) -> Frame:
        """All slots."""
        system = self.system
        process, echo, detect = (
            np.asarray(array)[self.rows, self.row] for array in (self.scene.process, self.scene.echo, self.scene.detect)
        )
        f, q = motion.step_matrices(system.acceleration_psd_m2ps3, system.slot_s)
        noise = process @ motion.root(q).T.astype(self.real)
        for k in range(system.num_users):
            self.position = self.position + self.real.type(f[0, 1]) * self.velocity + noise[:, k, :, 0]
            self.velocity = self.velocity + noise[:, k, :, 1]
            psd, step = system.acceleration_psd_m2ps3, system.slot_s
            self.mean, self.cov = motion.predict(self.mean, self.cov, psd, step)
            self.report_mean, self.report_cov = motion.predict(self.report_mean, self.report_cov, psd, step)
            self.slot(k, echo[:, k], detect[:, k])
        return self

    def slot(self, k: int, echo: np.ndarray, detect: np.ndarray) -> None:
        """Own dwell, data, helper dwell of slot k; echo (B, 2, 3), detect (B, 2)."""
        system, own, a = self.system, (slice(None), k), self.share[:, k]
        snr = motion.comm_snr(system, self.position[:, k])
        if system.reflect_share < 1.0:
            first, _ = self.refraction(k)
            self.rate[:, k] = a * np.log2(1.0 + (1.0 - system.reflect_share) * snr * first)
        self.credit[:, k] = self.dwell(own, a, system.reflect_share, echo[:, 0], detect[:, 0]) + self.helper[:, k]
        self.helper[:, k] = 0.0
        second, off = self.refraction(k)
        self.rate[:, k] += (1.0 - a) * np.log2(1.0 + snr * second)
        self.refract_gain[:, k], self.error[:, k] = second, off
        self.reflect_gain[:, k] = self.reflection(own)[0]
        self.nees[:, k] = self.normalised_error(k)
        if system.assisted and (helped := self.reflector(k)) is not None:
            where, present = helped
            gamma = self.dwell(where, (1.0 - a) * present, 1.0, echo[:, 1], detect[:, 1])
            self.helper[where] += gamma

    def reflector(self, k: int) -> tuple[Where, np.ndarray] | None:
        """The vehicle that reflects in stage 2 of slot k, and whether there is one (B,); None where there never is."""
        system, last = self.system, self.system.num_users
        if not system.chooses:
            if k + 1 == last and not system.cyclic:
                return None
            return (slice(None), (k + 1) % last), np.ones(len(self.rows), self.real)
        step = np.asarray(self.design.reflector)[:, k]
        present = step > 0
        if not system.cyclic:
            present = present & (k + step < last)
        return (self.rows, (k + step) % last), present.astype(self.real)

    def refraction(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """A(Delta, W_c) of vehicle k's data beam, and the position error of the belief that points it, m."""
        system = self.system
        mean, cov = (self.mean, self.cov) if system.s_assist else (self.report_mean, self.report_cov)
        seen = motion.pointing(system, mean[:, k], cov[:, k])
        position = self.position[:, k]
        width = system.width_span * self.wide_c[:, k] * seen.spread
        cosine = position / motion.distance(system.road_offset_m, position)
        return beams.gain(system.num_cols, seen.cosine - cosine, width), np.abs(mean[:, k, 0] - position)

    def reflection(self, where: Where) -> tuple[np.ndarray, np.ndarray | None]:
        """A(2 Delta, W_e) of a vehicle's echo beam towards the BS, and towards an unauthorised radar."""
        system = self.system
        mean, cov, position = self.mean[where], self.cov[where], self.position[where]
        seen = motion.pointing(system, mean, cov)
        width = system.width_span * self.wide_e[where] * (2.0 * seen.spread)
        cosine = position / motion.distance(system.road_offset_m, position)
        if not system.unauthorised_radar:
            return beams.gain(system.num_cols, 2.0 * (seen.cosine - cosine), width), None
        suppression = np.asarray(self.design.suppression, self.real)[where]
        return radar.gains(system, mean, cov, seen.cosine, width, suppression, cosine, position)

    def dwell(
        self, where: Where, fraction: np.ndarray, power: float, echo: np.ndarray, detect: np.ndarray
    ) -> np.ndarray:
        """Look at a vehicle for a fraction of the slot: its energy SNR (B,); the belief is updated where it is detected."""
        system = self.system
        position, velocity = self.position[where], self.velocity[where]
        found, leaked = self.reflection(where)
        gamma = power * fraction * motion.echo_energy(system, position) * found
        if leaked is not None:
            seen = power * fraction * radar.echo_energy(system, position) * leaked
            self.radar_snr[where] += seen
            self.radar_missed[where] *= np.where(fraction > 0.0, 1.0 - dwell.detection(system.false_alarm, seen), 1.0)
        seen_at_all = (fraction > 0.0) & (detect < dwell.detection(system.false_alarm, gamma))
        self.detections += seen_at_all
        duration = fraction * self.real.type(system.slot_s)
        noise = dwell.variances(system, gamma, duration)
        measured = np.stack(
            [
                value + np.sqrt(variance) * echo[:, i]
                for i, (value, variance) in enumerate(zip(dwell.observables(system, position, velocity), noise, strict=True))
            ],
            axis=-1,
        )
        old_mean, old_cov = self.mean[where], self.cov[where]
        mean, cov = dwell.echo_update(system, old_mean, old_cov, measured, gamma, duration)
        self.mean[where] = np.where(seen_at_all[:, None], mean, old_mean)
        self.cov[where] = np.where(seen_at_all[:, None, None], cov, old_cov)
        return np.asarray(gamma)

    def normalised_error(self, k: int) -> np.ndarray:
        """(m - x)^T P^-1 (m - x) of vehicle k's full belief (finite: P floored)."""
        cov = self.cov[:, k].astype(float)
        first, second = self.mean[:, k, 0] - self.position[:, k], self.mean[:, k, 1] - self.velocity[:, k]
        p, q, s = np.maximum(cov[:, 0, 0], 1e-18), cov[:, 0, 1], cov[:, 1, 1]
        rest = np.maximum(s - q * q / p, 1e-18)
        return np.asarray(first**2 / p + (second - q / p * first) ** 2 / rest)

    # -- results ------------------------------------------------------------------------------------------------------------

    def after(self) -> VehicularScene:
        """The next decision point: the report of the next frame applied where it is due. After the last frame nothing moves."""
        system, scene = self.system, self.scene
        following = np.asarray(scene.frame) + 1
        due = (following % system.report_period == 0) & (following < system.num_frames)
        beliefs = [(self.mean, self.cov), (self.report_mean, self.report_cov)]
        if due.any():
            drawn = np.asarray(scene.report)[self.rows, np.minimum(following, system.num_frames - 1)]
            deviation = np.array([system.report_std_m, system.report_std_mps], self.real)
            reported = np.stack([self.position, self.velocity], axis=-1) + deviation * drawn
            for i, (mean, cov) in enumerate(beliefs):
                new_mean, new_cov = dwell.report_update(system, mean, cov, reported)
                at = due[:, None, None]
                beliefs[i] = np.where(at, new_mean, mean), np.where(at[..., None], new_cov, cov)
        moved = {
            "position": self.position, "velocity": self.velocity, "helper_snr": self.helper, "frame": following,
            "belief_mean": beliefs[0][0], "belief_cov": beliefs[0][1],
            "report_mean": beliefs[1][0], "report_cov": beliefs[1][1],
        }  # fmt: skip
        over = np.asarray(scene.frame) >= system.num_frames
        if over.any():
            for name, value in moved.items():
                old = np.asarray(getattr(scene, name))
                moved[name] = np.where(over.reshape(-1, *[1] * (old.ndim - 1)), old, value)
        return scene.replace(**moved)

    def metrics(self) -> VehicularMetrics:
        """What the frame was worth."""
        single = lambda array: np.asarray(array).astype(self.real, copy=False)  # noqa: E731
        extra: dict[str, Any] = {}
        if self.system.unauthorised_radar:
            extra["radar_detection"] = single(1.0 - self.radar_missed)
        return assemble(
            self.system, self.scene, rate=self.rate, credit=self.credit, share=self.share, refract_gain=self.refract_gain,
            reflect_gain=self.reflect_gain, radar_snr=self.radar_snr, position_error_m=self.error,
            position_error_m2=self.error**2, nees=single(np.minimum(self.nees, 1e6)), detections=self.detections, **extra,
        )  # fmt: skip


def assemble(
    system: Parameters, scene: VehicularScene, *, rate: np.ndarray, credit: np.ndarray, share: np.ndarray,
    refract_gain: np.ndarray, reflect_gain: np.ndarray, radar_snr: np.ndarray, **more: Any,
) -> VehicularMetrics:  # fmt: skip
    """Metrics from rates, credited energy SNR, gains (B, K): margins, cost and score of section 5A."""
    real = rate.dtype
    counted = np.asarray(scene.frame) > 0
    mean_rate, cost = rate.mean(axis=1), np.zeros(len(rate), real)
    margins: dict[str, np.ndarray] = {}
    if system.threshold is not None:
        ratio = credit / real.type(system.threshold)
        margins["sensing"] = ratio
        more["requirement_met"] = (ratio >= 1.0).mean(axis=1).astype(real)
    if system.unauthorised_radar:
        margins["radar"] = radar.limit(system) / np.maximum(radar_snr, real.type(1e-12))
        more["radar_snr_db"] = beams.decibels(radar_snr)
    for name, ratio in margins.items():
        cost += np.maximum(0.0, 1.0 - ratio).mean(axis=1)
        level = np.clip(10.0 * np.log10(np.maximum(ratio, 1e-12)), *MARGIN_DB)
        margins[name] = np.where(counted[:, None], level, 0.0).astype(real)
    feasible = np.ones(len(rate), bool)
    for margin in margins.values():
        feasible &= np.all(margin >= FEASIBLE_MARGIN, axis=1)
    return VehicularMetrics(
        objective=mean_rate, score=mean_rate.copy(), cost=np.where(counted, cost, 0.0).astype(real), feasible=feasible,
        margins=margins, counted=counted.astype(real), rate=rate, sensing_snr_db=beams.decibels(credit),
        time_sensing=share.mean(axis=1), refract_gain_db=beams.decibels(refract_gain),
        reflect_gain_db=beams.decibels(reflect_gain), **more,
    )  # fmt: skip
