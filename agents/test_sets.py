"""Declared scene sets: a name stands for exact parameters, a stream, a number of scenes and a hash, for good.

A declared set never changes; other parameters, another stream or other scenes get another name (`-v2`). `agents.scenes` draws
and verifies the sets; this file holds only what is declared.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["SETS", "SceneSet", "declared", "find", "get", "parameter_hash", "set_name"]


@dataclasses.dataclass(frozen=True)
class SceneSet:
    """A declared set.

    Args:
        name: for instance `beampattern/test-v1`; split, seed: the stream; count: number of scenes.
        parameters: all parameters of the system (`system.to_dict()`), written out: a changed default does not change the set.
        sha256: `agents.scenes.scene_hash` of all its scenes, without estimates and derived constants.
        episode: form of episode whose own sampler draws the scenes (None: `system.sample`); such sets are called
            `<system>/<episode>-<split>-v1`, or with more words before.
        single: noise is drawn in single precision, see `agents.scenes.scene_hash`.
    """

    name: str
    split: str
    seed: int
    count: int
    parameters: Mapping[str, Any]
    sha256: str
    episode: str | None = None
    single: bool = False

    def system(self) -> Any:
        """The system that the set belongs to."""
        import ris_gym

        return ris_gym.systems.from_dict(dict(self.parameters))

    def check(self, system: Any) -> None:
        """Raise ValueError unless `system` has exactly the declared parameters; the message names those that differ."""
        mine, theirs = _rounded(self.system().to_dict()), _rounded(system.to_dict())
        different = [key for key in {**mine, **theirs} if mine.get(key) != theirs.get(key)]
        if different:
            values = ", ".join(f"{key}={theirs.get(key)} (declared: {mine.get(key)})" for key in different)
            raise ValueError(
                f"scenes: {self.name!r} is declared for other parameters than the system's: {values}; give a number of scenes, "
                f"they get the name {set_name(system, self.split, episode=self.episode)!r}"
            )


BEAMPATTERN: dict[str, Any] = {
    "system": "beampattern",
    "num_antennas": 8,
    "num_elements": 32,
    "num_users": 1,
    "angles_deg": [-60.0, -30.0, 0.0, 30.0, 60.0],
    "num_sensing_beams": 2,
    "spacing": 0.5,
    "bs_position_m": [0.0, 0.0],
    "ris_position_m": [40.0, 10.0],
    "user_position_m": [45.0, 0.0],
    "user_radius_m": 0.0,
    "path_loss_1m_db": 30.0,
    "exponent_bs_ris": 2.2,
    "exponent_ris_user": 2.2,
    "exponent_bs_user": 3.5,
    "rician_db": -3.010299956639812,
    "shadowing_db": 10.0,
    "los_bs_ris": False,
    "power_dbm": 30.0,
    "noise_dbm": -80.0,
    "sinr_threshold_db": 22.0,
    "cancel_sensing": True,
    "phase_bits": None,
}
SECTORS: dict[str, Any] = {
    **BEAMPATTERN,
    "angles_deg": [float(centre + offset) for centre in (-60, -30, 0, 30, 60) for offset in (-4, -2, 0, 2, 4)],
    "num_sensing_beams": 4,
}
ACTIVE_CRB: dict[str, Any] = {
    "system": "active_crb",
    "num_antennas": 16,
    "num_elements": 8,
    "num_users": 3,
    "num_scatterers": 12,
    "kind": "active",
    "bs_position_m": [0.0, 0.0],
    "ris_position_m": [30.0, 10.0],
    "target_position_m": [35.0, 4.0],
    "target_size_m": [4.5, 2.0],
    "target_rcs_m2": 10.0,
    "user_area_m": [50.0, 70.0, -35.0, -10.0],
    "path_loss_1m_db": 30.0,
    "exponent_bs_ris": 2.2,
    "exponent_ris_user": 2.8,
    "rician_db": 5.0,
    "power_dbm": 30.0,
    "surface_power_dbm": 5.0,
    "max_gain_db": 30.0,
    "noise_bs_dbm": -90.0,
    "noise_user_dbm": -90.0,
    "noise_surface_dbm": -90.0,
    "num_snapshots": 256,
    "sinr_threshold_db": 12.0,
    "target_response_error": 0.0,
}
HARD: dict[str, Any] = {**ACTIVE_CRB, "sinr_threshold_db": 15.0}
MULTI_FUNCTIONAL: dict[str, Any] = {
    "system": "multifunctional",
    "kind": "mf",
    "protocol": "es",
    "objective_form": "auto",
    "phase_bits": None,
    "num_antennas": 8,
    "num_elements_h": 8,
    "num_elements_v": 4,
    "num_sensors_h": 6,
    "num_sensors_v": 6,
    "num_users": [2, 2],
    "num_targets": [2, 2],
    "num_sensing_beams": 2,
    "bs_position_m": [-20.0, 10.0, 10.0],
    "ris_position_m": [0.0, 0.0, 10.0],
    "x_range_m": [5.0, 20.0],
    "y_range_m": [-20.0, 20.0],
    "user_height_m": 1.5,
    "target_height_range_m": [0.0, 20.0],
    "target_angles_deg": None,
    "target_distance_m": 20.0,
    "path_loss_1m_db": 30.0,
    "exponent_bs_ris": 2.2,
    "exponent_ris_user": 2.2,
    "rician_db": 3.0,
    "target_rcs_m2": 1.0,
    "noise_user_dbm": -80.0,
    "noise_surface_dbm": -80.0,
    "noise_sensor_dbm": -80.0,
    "max_gain_db": 30.0,
    "total_power_dbm": 30.0,
    "surface_share": 0.1,
    "min_rate_bps_hz": 1.0,
    "isolation_db": [0.0, 0.0],
}
MULTI_FUNCTIONAL_MS: dict[str, Any] = {**MULTI_FUNCTIONAL, "protocol": "ms"}
MULTI_FUNCTIONAL_TS: dict[str, Any] = {**MULTI_FUNCTIONAL, "protocol": "ts"}
MULTI_FUNCTIONAL_ACTIVE: dict[str, Any] = {**MULTI_FUNCTIONAL, "kind": "active"}
NONORTHOGONAL: dict[str, Any] = {
    "system": "nonorthogonal",
    "model": "two_user",
    "fisher": "complex",
    "objective_form": "weighted",
    "design_symbols": "realisation",
    "angle_bound_factor": 2.0,
    "num_blocks": 1,
    "num_antennas": 8,
    "surface_shape": [4, 4],
    "user_shape": [4, 4],
    "power_dbm": 30.0,
    "snr_db": 0.0,
    "num_slots": 2,
    "weight": 0.5,
    "phase_bits": 2,
    "symbol_variance": 1.0,
    "bs_height_m": 10.0,
    "ris_height_m": 5.0,
    "bs_ris_distance_m": 30.0,
    "ris_user_distance_m": 10.0,
    "path_loss_1m_db": 30.0,
    "exponent_bs_ris": 2.3,
    "exponent_ris_user": 2.2,
    "bs_azimuth_deg": -45.0,
    "user_azimuth_deg": None,
    "comm_azimuth_deg": None,
    "max_azimuth_deg": 60.0,
    "surface_spacing_m": 2.0,
    "block_time_s": 0.5,
    "speed_mps": 4.0,
    "speed_correlation": 0.9,
    "initial_std_m": 1.0,
    "min_range_m": 6.0,
    "max_range_m": 20.0,
    "num_frames": 32,
    "measurement": "gaussian",
}
ONE_USER: dict[str, Any] = {**NONORTHOGONAL, "fisher": "paper", "user_azimuth_deg": 0.0, "surface_spacing_m": 0.0}
NONORTHOGONAL_THEOREM1: dict[str, Any] = {**ONE_USER, "model": "consistent"}
NONORTHOGONAL_PAPER: dict[str, Any] = {**ONE_USER, "model": "mixed"}
NONORTHOGONAL_TRACKING: dict[str, Any] = {
    **NONORTHOGONAL,
    "num_blocks": 2,
    "surface_shape": [8, 8],
    "snr_db": -20.0,
    "comm_azimuth_deg": -30.0,
}
VEHICULAR: dict[str, Any] = {
    "system": "vehicular",
    "num_users": 3,
    "num_frames": 80,
    "frame_s": 0.05,
    "road_offset_m": 30.0,
    "start_m": -30.0,
    "spacing_m": 10.0,
    "jitter_m": 2.0,
    "speed_min_mps": 13.0,
    "speed_max_mps": 17.0,
    "speed_std_mps": 0.3,
    "acceleration_psd_m2ps3": 0.5,
    "report_period": 20,
    "report_std_m": 2.0,
    "report_std_mps": 0.5,
    "carrier_hz": 28e9,
    "bandwidth_hz": 10e6,
    "power_dbm": 20.0,
    "noise_dbm": -97.0,
    "self_interference_db": 95.0,
    "num_cols": 64,
    "num_rows": 2,
    "num_antennas": 16,
    "user_distance_m": 1.0,
    "element_gain": 3.141592653589793,
    "false_alarm": 0.0001,
    "sensing_threshold_db": None,
    "reflect_share": 1.0,
    "width_span": 6.0,
    "c_assist": False,
    "s_assist": True,
    "cyclic": True,
    "choose_reflector": False,
    "unauthorised_radar": False,
    "radar_position_m": [20.0, 0.0],
    "radar_snr_offset_db": 0.0,
    "radar_detection_max": 0.1,
    "suppression_span_db": 40.0,
    "radar_robust": False,
}
VEHICULAR_REQUIREMENT: dict[str, Any] = {**VEHICULAR, "sensing_threshold_db": 18.0}
VEHICULAR_RECIPROCITY: dict[str, Any] = {**VEHICULAR, "sensing_threshold_db": 21.0, "c_assist": True}
ANCHOR: dict[str, Any] = {
    "system": "anchor",
    "num_elements": 64,
    "num_pilots": 24,
    "oversample": 4,
    "element_snr_db": -22.0,
    "wide_codewords": "phase",
    "codeword_iterations": 200,
    "pilot_cost": 0.02,
    "score_kind": "hit",
    "allow_stop": False,
}

TEST_CHANNELS = "38aa2f6365624b2ecf32ba9143aa063ac2552577409ffa1bc0d6ba540b3670df"
VALIDATION_CHANNELS = "94abe801a6653593e2897808d22937ad8f84d7a8a9ffd818f2bdabda7bd5ca58"
CRB_TEST_CHANNELS = "17bede3ad619f0f0780f9ad33c08ed1fa3601a567585f091333234ab6377a1e0"
CRB_VALIDATION_CHANNELS = "31db04133db829cf954c3cfc8c4c62d01dd03a1c12217662b7564d8fcc9c70c6"
MF_TEST_CHANNELS = "b1db35a2b10b3504f067086ed0c3a427fc67adbe67fba20aec9b2319eb22c5e0"
MF_VALIDATION_CHANNELS = "93ccd3fad7db4e55c2990f1493e5467c017d89418c53d73d84c47c1d97505ef2"
MF_ACTIVE_TEST_CHANNELS = "4ac3c8790a94b3b59f51dc3d95c19d0178d9d14316f9e7f8191c0459a8fbebb7"
MF_ACTIVE_VALIDATION_CHANNELS = "7a2f0e3da4ab9c0c060cd6f6a9e5c789f752a08022d95575c884c625ac8402ed"
NO_TEST_SCENES = "211d8de7694a1605ef82f8b7365e4046f8cdb4c785b02c952eca24cd0d60c925"
NO_VALIDATION_SCENES = "b1667129f5f1dde7f95b8429930f37a1f536678c1804bb1525388a25e90a7084"
NO_ONE_USER_TEST_SCENES = "9230bd20ce6c23bb133a333b34904db4dbf7109022edea07c0171173fe347dd4"
NO_TRACKING_TEST_SCENES = "77cbb4c556df9c713f8e5b17033666e1d45905b4c587340ee5a75e2abc533243"
NO_TRACKING_VALIDATION_SCENES = "5c83934c6790c8b760bbb03e64491def32f78c2b2ae8c8e91ea0a31f92778b10"
VEHICULAR_TEST_PASSES = "b6c505cafadb2320fe7994132d2bdf111ae6afc7e2e14ee434babc8083238e1f"
VEHICULAR_VALIDATION_PASSES = "772c09993fdd0f961480b3c84fff87730476e00bd16cd1f2137d0980689691d5"
ANCHOR_TEST_SCENES = "a002aff462aac267d5d3756d843fc01370af2297e2422819fed441bbff0ae5c0"
ANCHOR_VALIDATION_SCENES = "91356e0b25085009d233c91166643c65c695f9cc7a18ece6c24360e830737152"

SETS: dict[str, SceneSet] = {
    entry.name: entry
    for entry in (
        SceneSet("beampattern/test-v1", "test", 0, 1000, BEAMPATTERN, TEST_CHANNELS),
        SceneSet("beampattern/sectors-test-v1", "test", 0, 1000, SECTORS, TEST_CHANNELS),
        SceneSet("beampattern/validation-v1", "validation", 0, 256, BEAMPATTERN, VALIDATION_CHANNELS),
        SceneSet("active_crb/test-v1", "test", 0, 1000, ACTIVE_CRB, CRB_TEST_CHANNELS),
        SceneSet("active_crb/hard-test-v1", "test", 0, 1000, HARD, CRB_TEST_CHANNELS),
        SceneSet("active_crb/validation-v1", "validation", 0, 256, ACTIVE_CRB, CRB_VALIDATION_CHANNELS),
        SceneSet("active_crb/hard-validation-v1", "validation", 0, 256, HARD, CRB_VALIDATION_CHANNELS),
        SceneSet("multifunctional/test-v1", "test", 0, 1000, MULTI_FUNCTIONAL, MF_TEST_CHANNELS),
        SceneSet("multifunctional/ms-test-v1", "test", 0, 1000, MULTI_FUNCTIONAL_MS, MF_TEST_CHANNELS),
        SceneSet("multifunctional/ts-test-v1", "test", 0, 1000, MULTI_FUNCTIONAL_TS, MF_TEST_CHANNELS),
        SceneSet("multifunctional/active-test-v1", "test", 0, 1000, MULTI_FUNCTIONAL_ACTIVE, MF_ACTIVE_TEST_CHANNELS),
        SceneSet("multifunctional/validation-v1", "validation", 0, 256, MULTI_FUNCTIONAL, MF_VALIDATION_CHANNELS),
        SceneSet("multifunctional/ms-validation-v1", "validation", 0, 256, MULTI_FUNCTIONAL_MS, MF_VALIDATION_CHANNELS),
        SceneSet("multifunctional/ts-validation-v1", "validation", 0, 256, MULTI_FUNCTIONAL_TS, MF_VALIDATION_CHANNELS),
        SceneSet(
            "multifunctional/active-validation-v1", "validation", 0, 256, MULTI_FUNCTIONAL_ACTIVE, MF_ACTIVE_VALIDATION_CHANNELS
        ),
        SceneSet("nonorthogonal/test-v1", "test", 0, 1000, NONORTHOGONAL, NO_TEST_SCENES),
        SceneSet("nonorthogonal/theorem1-test-v1", "test", 0, 1000, NONORTHOGONAL_THEOREM1, NO_ONE_USER_TEST_SCENES),
        SceneSet("nonorthogonal/paper-test-v1", "test", 0, 1000, NONORTHOGONAL_PAPER, NO_ONE_USER_TEST_SCENES),
        SceneSet("nonorthogonal/validation-v1", "validation", 0, 256, NONORTHOGONAL, NO_VALIDATION_SCENES),
        SceneSet(
            "nonorthogonal/tracking-test-v1", "test", 0, 200, NONORTHOGONAL_TRACKING, NO_TRACKING_TEST_SCENES, "tracking"
        ),
        SceneSet(
            "nonorthogonal/tracking-validation-v1", "validation", 0, 128, NONORTHOGONAL_TRACKING,
            NO_TRACKING_VALIDATION_SCENES, "tracking",
        ),
        SceneSet("vehicular/test-v1", "test", 0, 200, VEHICULAR, VEHICULAR_TEST_PASSES, single=True),
        SceneSet("vehicular/requirement-test-v1", "test", 0, 200, VEHICULAR_REQUIREMENT, VEHICULAR_TEST_PASSES, single=True),
        SceneSet("vehicular/reciprocity-test-v1", "test", 0, 200, VEHICULAR_RECIPROCITY, VEHICULAR_TEST_PASSES, single=True),
        SceneSet("vehicular/validation-v1", "validation", 0, 128, VEHICULAR, VEHICULAR_VALIDATION_PASSES, single=True),
        SceneSet(
            "vehicular/requirement-validation-v1", "validation", 0, 128, VEHICULAR_REQUIREMENT, VEHICULAR_VALIDATION_PASSES,
            single=True,
        ),
        SceneSet("anchor/test-v1", "test", 0, 1000, ANCHOR, ANCHOR_TEST_SCENES),
        SceneSet("anchor/validation-v1", "validation", 0, 512, ANCHOR, ANCHOR_VALIDATION_SCENES),
    )
}
"""`sectors-test-v1` has the channels of `test-v1`, which do not depend on the angles, and other directions to serve; the
`hard` sets have the channels of the default ones, with higher SINR thresholds; `ms` and `ts` sets those of the default ones with
another protocol, `active` sets the same channels without sensors. The users of `nonorthogonal/test-v1` have azimuths of their own
in every scene; in the `theorem1` and `paper` sets, the same scenes under two models, the user stays at azimuth 0 and only symbols
and phases differ; `tracking` sets of `nonorthogonal` hold episodes of a moving user. The passes of `vehicular` do not depend on
requirement and assistance: the sets of its presets are the same draws."""


def get(name: str) -> SceneSet:
    """The declared set of a name. Raises ValueError listing the names."""
    if name not in SETS:
        raise ValueError(f"scenes: no set is called {name!r}; declared sets: {', '.join(SETS)}")
    return SETS[name]


def find(text: str) -> SceneSet | None:
    """The set that a text names, or None for what may be a file. Raises ValueError for such a name that is not declared."""
    if text in SETS:
        return SETS[text]
    if re.fullmatch(r"[a-z_]+/([a-z]+-)*(train|validation|test)-v\d+", text) and not os.path.exists(text):
        return get(text)
    return None


def declared(system: Any, split: str, seed: int = 0, episode: str | None = None) -> SceneSet | None:
    """The declared set of exactly these parameters, this stream and this episode's sampler (None: the system's), or None."""
    for entry in SETS.values():
        stream = (entry.split, entry.seed, entry.episode)
        if stream == (split, seed, episode) and entry.parameters["system"] == system.name:
            if _rounded(entry.system().to_dict()) == _rounded(system.to_dict()):
                return entry
    return None


def parameter_hash(system: Any) -> str:
    """8 hexadecimal digits of the SHA-256 of all parameters, numbers to 12 digits (computed defaults differ in the last bit)."""
    return hashlib.sha256(json.dumps(_rounded(system.to_dict()), sort_keys=True).encode()).hexdigest()[:8]


def set_name(system: Any, split: str, seed: int = 0, episode: str | None = None) -> str:
    """The name of scenes that no declared set covers: `<system>/<parameter hash>/<split>`, with a seed other than 0 named, and
    `<episode>-<split>` for scenes of an episode's own sampler."""
    prefix = "" if episode is None else f"{episode}-"
    return f"{system.name}/{parameter_hash(system)}/{prefix}{split}" + (f"-seed{seed}" if seed else "")


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(entry) for entry in value]
    return f"{value:.12g}" if isinstance(value, float) else value
