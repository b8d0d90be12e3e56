"""The environment's own keywords (the system's fields are the others), validated against what the system offers."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ris_gym import scenes as scene_files
from ris_gym import variables as var
from ris_gym.arrays import Batch
from ris_gym.systems import checks
from ris_gym.systems.base import Episode, System


@dataclass(frozen=True, kw_only=True)
class EnvConfig:
    """Keywords of every environment; the first value named is the default unless the system says otherwise (`defaults_for`).

    Args:
        episode: `refine`, `one_shot`, `fading`; systems may have their own, with a preset and a length of their own; keywords
            that do not apply there must keep their default.
        horizon: steps per episode; step_size: raw increment per unit of action in `refine`.
        start: first design of `refine`, `rule` or `random`.
        control: `full`, `structured`, `surface`; observation: `csi` or `local`.
        action: `box` or `discrete` (an index per raw number; in `refine` of systems that take turns one number per step).
        dtype: precision of the rollout, `complex64` or `complex128`.
        penalty: reward = score - penalty * cost (None: the system's default).
        csi_error: relative error of what the agent knows; correlation: of the channel from block to block in `fading`.
        scenes: None, a path of an npz, or a Scene to draw from; scenes_order: `random` or `sequential`.
        diagnostics: whether `info` says how the surface shapes the channels (costs time, see `ris_gym.diagnostics`).
    """

    episode: str = "refine"
    horizon: int = 16
    step_size: float = 0.25
    start: str = "rule"
    control: str = "full"
    action: str = "box"
    observation: str = "csi"
    dtype: str = "complex64"
    penalty: float | None = None
    csi_error: float = 0.0
    correlation: float = 0.95
    scenes: str | os.PathLike[str] | Batch | None = None
    scenes_order: str = "random"
    diagnostics: bool = False


NAMES = tuple(field.name for field in dataclasses.fields(EnvConfig))


def split_keywords(system_class: type[System], keywords: Mapping[str, Any]) -> tuple[System, EnvConfig]:
    """Build system and configuration from `gym.make` keywords. Raises ValueError / TypeError naming the keyword."""
    own = {name: value for name, value in keywords.items() if name in NAMES}
    rest = {name: value for name, value in keywords.items() if name not in NAMES}
    episode = own.get("episode", system_class.env_defaults.get("episode", system_class.episodes[0].name))
    preset = rest.pop("preset", None)
    if preset is None:
        preset = next((form.preset for form in system_class.episodes if form.name == episode), None)
    try:
        system = system_class.from_preset(preset, **rest)
    except TypeError as error:
        if "has no parameter" in str(error):
            raise TypeError(f"{error}; environment keywords: {', '.join(NAMES)}, preset, render_mode") from None
        raise
    own["episode"] = episode
    return system, validate(system, EnvConfig(**{**system.defaults_for(own), **own}))


def validate(system: System, config: EnvConfig) -> EnvConfig:
    """The configuration with penalty filled in and scenes loaded, or ValueError / TypeError naming the keyword."""
    choices = {
        "episode": tuple(episode.name for episode in system.episodes),
        "start": ("rule", "random"),
        "control": system.controls,
        "action": ("box", "discrete"),
        "observation": system.observations,
        "dtype": ("complex64", "complex128"),
        "scenes_order": ("random", "sequential"),
    }
    for name, allowed in choices.items():
        value = getattr(config, name)
        if value not in allowed:
            raise ValueError(f"{name} must be one of {allowed} for {system.name}, got {value!r}")
    episode = episode_of(system, config)
    shortest = 2 if episode.kind == "blocks" else 1
    if episode.length is not None:
        checks.integer(episode.length, getattr(system, episode.length), shortest)
    checks.integer("horizon", config.horizon, shortest if episode.length is None else 1)
    checks.real("step_size", config.step_size, 0.0, 2.0, open_low=True)
    checks.real("csi_error", config.csi_error, 0.0)
    checks.real("correlation", config.correlation, 0.0, 1.0)
    checks.flag("diagnostics", config.diagnostics)
    penalty = system.default_penalty if config.penalty is None else checks.real("penalty", config.penalty, 0.0)
    if config.csi_error and not system.csi_errors:
        raise ValueError(f"csi_error must be 0 for {system.name}, got {config.csi_error!r}")
    if config.action == "discrete" and not var.discrete(system.variables(config.control)):
        names = [v.name for v in system.variables(config.control) if v.n is None]
        needs = "action='discrete' needs an alphabet for every variable"
        raise ValueError(f"{needs}; control={config.control!r} has none for {names}")
    if takes_turns(system, config) and len(sizes := set(var.alphabet(system.variables(config.control)).tolist())) > 1:
        one = f"action='discrete' in episode={episode.name!r} sets one number per step"
        raise ValueError(f"{one} and needs alphabets of one size, got sizes {sorted(sizes)}")
    _check_fixed(system, episode, config)
    system.check_episode(episode, config)
    scenes = config.scenes
    if scenes is not None and not isinstance(scenes, Batch):
        if not isinstance(scenes, (str, os.PathLike)):
            raise TypeError(f"scenes must be None, a path or a Scene, got {type(scenes).__name__}")
        _, scenes = scene_files.load_scenes(scenes, system)
    if scenes is not None:
        scenes = checked_scene(system, config, scenes, "scenes")
    return dataclasses.replace(config, penalty=penalty, scenes=scenes)


def _check_fixed(system: System, episode: Episode, config: EnvConfig) -> None:
    """Raise ValueError where a keyword that does not apply in this episode differs from its default."""
    if not episode.fixed:
        return
    given = {name: getattr(config, name) for name in NAMES if name not in episode.fixed}
    defaults = {field.name: field.default for field in dataclasses.fields(EnvConfig)} | dict(system.defaults_for(given))
    for name in episode.fixed:
        if (value := getattr(config, name)) != defaults[name]:
            raise ValueError(f"{name} does not apply in episode={episode.name!r}: must be {defaults[name]!r}, got {value!r}")


def checked_scene(system: System, config: EnvConfig, scene: Any, name: str) -> Batch:
    """A validated scene of this system for the episode, or TypeError / ValueError naming the argument."""
    if not isinstance(scene, system.scene):
        raise TypeError(f"{name} must be a {system.scene.__name__}, got {type(scene).__name__}")
    episode = episode_of(system, config)
    try:
        checked = system.check_scene(dict(scene.to_numpy().items()))
        system.check_scene_for(episode, checked)
        frames = system.frames(checked)
        if episode.kind == "blocks" and frames is not None and frames < (needed := horizon_of(system, config)):
            raise ValueError(f"episode={episode.name!r} needs scenes of {needed} decisions, got {frames}")
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    return checked


def episode_of(system: System, config: EnvConfig) -> Episode:
    """The form of episode that the configuration names."""
    return next(episode for episode in system.episodes if episode.name == config.episode)


def sampler_of(system: System, config: EnvConfig) -> Callable[..., Any]:
    """The system's method that draws the scenes of the episode: `(rng, batch, csi_error, dtype)`."""
    return getattr(system, episode_of(system, config).sampler)


def takes_turns(system: System, config: EnvConfig) -> bool:
    """Whether a step sets one raw number by its index, all in turn, instead of all at once."""
    return system.turns and config.action == "discrete" and episode_of(system, config).kind == "refine"


def horizon_of(system: System, config: EnvConfig) -> int:
    """Number of steps of an episode."""
    episode = episode_of(system, config)
    if episode.kind == "single":
        return 1
    return config.horizon if episode.length is None else int(getattr(system, episode.length))
