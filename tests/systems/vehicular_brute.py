"""`vehicular` slot by slot for one scene, from the model page alone: explicit arrays, matrix filter, scipy's chi-square."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

LIGHT = 299792458.0


class Brute:
    """One scene and its design, as plain numbers and lists."""

    def __init__(self, system: Any, scene: Any, design: Any) -> None:
        self.p, self.n = system, int(scene.frame[0])
        self.x = np.stack([scene.position[0], scene.velocity[0]], axis=1).copy()
        self.m, self.c = scene.belief_mean[0].copy(), scene.belief_cov[0].copy()
        self.rm, self.rc = scene.report_mean[0].copy(), scene.report_cov[0].copy()
        self.helper = scene.helper_snr[0].copy()
        self.noise = [array[0, self.n] for array in (scene.process, scene.echo, scene.detect)]
        self.reports = scene.report[0]
        self.design = {name: array[0] for name, array in design.items()}
        self.rate, self.credit = np.zeros(len(self.x)), np.zeros(len(self.x))
        self.detections = 0

    def beta(self, d: float) -> float:
        return (LIGHT / self.p.carrier_hz / (4 * np.pi * d)) ** 2

    def rho_c(self, k: int) -> float:
        p, r = self.p, np.hypot(self.x[k, 0], self.p.road_offset_m)
        watt = 10 ** (p.power_dbm / 10 - 3)
        noise = 10 ** (p.noise_dbm / 10 - 3)
        return watt * p.element_gain**2 * self.beta(r) * self.beta(p.user_distance_m) * p.num_elements**2 / noise

    def energy(self, k: int) -> float:
        p, r = self.p, np.hypot(self.x[k, 0], self.p.road_offset_m)
        watt, noise = 10 ** (p.power_dbm / 10 - 3), 10 ** (p.noise_dbm / 10 - 3)
        floor = noise + watt * 10 ** (-p.self_interference_db / 10)
        snr = watt * p.element_gain**2 * self.beta(r) ** 2 * p.num_elements**2 * p.num_antennas / floor
        return p.bandwidth_hz * p.frame_s / p.num_users * snr

    def gain(self, k: int, mean: Any, cov: Any, width: float, way: int) -> float:
        """A(way Delta, W) from the coefficients and the response of the array."""
        p = self.p
        i = np.arange(p.num_cols) - (p.num_cols - 1) / 2
        r = np.hypot(mean[0], p.road_offset_m)
        s = p.road_offset_m**2 / r**3 * np.sqrt(cov[0, 0])
        w = p.width_span * width * way * s
        v = np.exp(1j * np.pi * way * i * mean[0] / r) * np.exp(1j * np.pi * w * i**2 / (2 * p.num_cols))
        u = self.x[k, 0] / np.hypot(self.x[k, 0], p.road_offset_m)
        return abs(np.sum(v * np.exp(-1j * np.pi * way * i * u))) ** 2 / p.num_cols**2

    def dwell(self, k: int, share: float, power: float, echo: Any, detect: float) -> float:
        p = self.p
        gamma = power * share * self.energy(k) * self.gain(k, self.m[k], self.c[k], self.design["reflect_width"][k], 2)
        if share == 0 or not detect < stats.ncx2.sf(-2 * np.log(p.false_alarm), 2, 2 * gamma):
            return gamma
        self.detections += 1
        g, t = max(gamma, 1e-9), max(share * p.frame_s / p.num_users, 1e-9)
        noise = np.diag([
            6 / (np.pi**2 * g * (p.num_antennas**2 - 1)),
            (LIGHT / 2) ** 2 * 3 / (2 * np.pi**2 * p.bandwidth_hz**2 * g),
            (LIGHT / p.carrier_hz / 2) ** 2 * 3 / (2 * np.pi**2 * t**2 * g),
        ])  # fmt: skip

        def see(state: Any) -> np.ndarray:
            r = np.hypot(state[0], p.road_offset_m)
            return np.array([state[0] / r, r, state[1] * state[0] / r])

        (x, v), d = self.m[k], p.road_offset_m
        r = np.hypot(x, d)
        h = np.array([[d**2 / r**3, 0], [x / r, 0], [v * d**2 / r**3, x / r]])
        z = see(self.x[k]) + np.sqrt(np.diag(noise)) * echo
        gain = self.c[k] @ h.T @ np.linalg.inv(h @ self.c[k] @ h.T + noise)
        self.m[k] = self.m[k] + gain @ (z - see(self.m[k]))
        rest = np.eye(2) - gain @ h
        self.c[k] = rest @ self.c[k] @ rest.T + gain @ noise @ gain.T
        return gamma

    def run(self) -> Brute:
        p = self.p
        count, dt, q = p.num_users, p.frame_s / p.num_users, p.acceleration_psd_m2ps3
        f = np.array([[1, dt], [0, 1]])
        noise = q * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
        process, echo, detect = self.noise
        for k in range(count):
            for j in range(count):
                self.x[j] = f @ self.x[j] + np.linalg.cholesky(noise) @ process[k, j]
                self.m[j], self.c[j] = f @ self.m[j], f @ self.c[j] @ f.T + noise
                self.rm[j], self.rc[j] = f @ self.rm[j], f @ self.rc[j] @ f.T + noise
            a, wide = self.design["sensing_share"][k], self.design["refract_width"][k]

            def data(power: float, k: int = k, wide: float = wide) -> float:
                belief = (self.m[k], self.c[k]) if p.s_assist else (self.rm[k], self.rc[k])
                return float(np.log2(1 + power * self.rho_c(k) * self.gain(k, *belief, wide, 1)))

            first = a * data(1 - p.reflect_share)
            self.credit[k] = self.dwell(k, a, p.reflect_share, echo[k, 0], detect[k, 0]) + self.helper[k]
            self.helper[k] = 0
            self.rate[k] = first + (1 - a) * data(1)
            step = int(self.design["reflector"][k]) if "reflector" in self.design else 1
            if p.c_assist and count > 1 and step and (p.cyclic or k + step < count):
                j = (k + step) % count
                self.helper[j] += self.dwell(j, 1 - a, 1, echo[k, 1], detect[k, 1])
        self.n += 1
        if self.n % p.report_period == 0 and self.n < p.num_frames:
            noise = np.diag([p.report_std_m**2, p.report_std_mps**2])
            for k in range(count):
                z = self.x[k] + np.sqrt(np.diag(noise)) * self.reports[self.n, k]
                for mean, cov in ((self.m, self.c), (self.rm, self.rc)):
                    gain = cov[k] @ np.linalg.inv(cov[k] + noise)
                    mean[k] = mean[k] + gain @ (z - mean[k])
                    cov[k] = (np.eye(2) - gain) @ cov[k]
        return self
